# SPDX-License-Identifier: Apache-2.0
"""Subjects of commits are `area: what`, in at most 60 characters."""

import re

from lib import check

import tree

SUBJECT = re.compile(r"^(?:[a-z0-9_.][\w./-]*(?:, [\w./-]+)*: \S|Revert \"|Merge )")
LONGEST = 60


def run(counts):
    said = tree.git("log", "--format=%h %s")
    if said is None:
        raise check.Skip("not a git checkout")
    findings = []
    for line in said.splitlines():
        commit, _, subject = line.partition(" ")
        if not SUBJECT.match(subject):
            findings.append("%s: not `area: what`: %s" % (commit, subject))
        if len(subject) > LONGEST and not subject.startswith(("Revert ", "Merge ")):
            findings.append("%s: %d characters: %s" % (commit, len(subject), subject))
    tree.tell(counts, "commits: subjects", findings)
