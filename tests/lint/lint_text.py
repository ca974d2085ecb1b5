# SPDX-License-Identifier: Apache-2.0
"""Licence lines, white space, and traces of the machine where a file was written."""

import os
import re

import tree

LICENCE = "SPDX-License-Identifier: Apache-2.0"
SOURCE = (".c", ".h", ".py", ".sh")
ALSO_SOURCE = ("Makefile", "tests/run", "tests/oci/run", ".ci/run")
LITERAL = ("LICENSE",)  # not our text

# Paths of somebody's workplace.  /root/path and /root/readonly are JSON pointers; examples have a /home/user.
PLACES = re.compile(r"(?<![\w.$)}/<>-])(/work/(?:main|shared|\.)|/home/(?!user\b)\w|/Users/|"
                    r"/root/(?!path\b|readonly\b))")
# Mirrors and registries that are reachable from some networks only, or none of a runtime's business.
HOSTS = re.compile(r"\b(?:[\w-]+\.)+(?:internal|corp|lan)\b(?=[/:])|\bartifactory\b|"
                   r"\b(?:docker|quay|ghcr|gcr)\.io/|\bpypi\.org\b|\bnpmjs\.org\b")


def is_source(name):
    return name.endswith(SOURCE) or name in ALSO_SOURCE


def licence(name, text):
    if is_source(name) and LICENCE not in "\n".join(text.splitlines()[:3]):
        yield "%s:1: no line with %s" % (name, LICENCE)


def indent(name, line):
    """What .editorconfig asks of the start of a line, or None."""
    white = line[:len(line) - len(line.lstrip(" \t"))]
    if name.endswith((".c", ".h")):
        # Up to 7 blanks align; a comment's lines start with one.
        return "blanks before a tab, or 8 of them" if re.search(r" \t| {8}", white) else None
    return None


def white_space(name, text):
    if text and not text.endswith("\n"):
        yield "%s: no newline at the end" % name
    if text.endswith("\n\n"):
        yield "%s: empty lines at the end" % name
    for number, line in enumerate(text.split("\n"), 1):
        if line.endswith((" ", "\t", "\r")):
            yield "%s:%d: white space at the end of the line" % (name, number)
        why = indent(name, line)
        if why:
            yield "%s:%d: indented by %s" % (name, number, why)
        if name.endswith((".c", ".h")) and len(line.expandtabs(8)) > 100:
            yield "%s:%d: longer than 100 columns" % (name, number)


def traces(name, text):
    if name == os.path.relpath(__file__, tree.TOP):
        return
    for number, line in enumerate(text.split("\n"), 1):
        for pattern in (PLACES, HOSTS):
            match = pattern.search(line)
            if match:
                yield "%s:%d: %s" % (name, number, match.group(0))


def run(counts):
    checks = (("text: a licence line in every source file", licence),
              ("text: white space", white_space),
              ("text: no paths or hosts of a workplace", traces))
    texts, findings = {}, []
    for name in tree.files():
        try:
            texts[name] = tree.read(name)
        except UnicodeDecodeError:
            findings.append("%s: not UTF-8" % name)
    tree.tell(counts, "text: everything is UTF-8", findings)
    for label, func in checks:
        findings = [f for name, text in texts.items() if name not in LITERAL
                    for f in func(name, text)]
        tree.tell(counts, label, findings)
