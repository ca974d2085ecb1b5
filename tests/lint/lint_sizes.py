# SPDX-License-Identifier: Apache-2.0
"""Lengths of functions and files.

A function starts with `{` alone in column 1 and ends with `}` there, which
clang-format sees to; its length is that of the body between them.
"""

import re

import tree

MEDIAN, P95, LONGEST, FILE = 15, 50, 80, 600
NAME = re.compile(r"(\w+)\s*\(")


class Function:
    def __init__(self, where, name, length):
        self.where = where
        self.name = name
        self.length = length

    def __str__(self):
        return "%s: %s() has %d lines" % (self.where, self.name, self.length)


def signature(lines, brace):
    """The name in the lines above a brace."""
    start = brace
    while start > 0 and lines[start - 1] and lines[start - 1][0] not in "}#/" and \
            not lines[start - 1].endswith((";", "*/")):
        start -= 1
    text = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", " ".join(lines[start:brace]))
    match = NAME.search(text)
    return match.group(1) if match else "?"


def functions(name, text):
    found, start = [], None
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            where = "%s:%d" % (name, start + 1)
            found.append(Function(where, signature(lines, start), number - start - 1))
            start = None
    return found


def percentile(lengths, share):
    return sorted(lengths)[min(int(len(lengths) * share), len(lengths) - 1)]


def over(what, got, limit):
    return ["%s: %d lines, the limit is %d" % (what, got, limit)] if got > limit else []


def run(counts):
    every, findings = [], []
    for name in tree.c_files():
        text = tree.read(name)
        every += functions(name, text)
        findings += over(name, text.count("\n"), FILE)
    tree.tell(counts, "sizes: no file of C is above %d lines" % FILE, findings)
    findings = ["%s, the limit is %d" % (f, LONGEST) for f in every if f.length > LONGEST]
    if len(every) < 100:
        findings.append("only %d functions found" % len(every))
    tree.tell(counts, "sizes: no function is above %d lines" % LONGEST, findings)
    lengths = [f.length for f in every] or [0]
    tree.tell(counts, "sizes: median of the functions <= %d lines" % MEDIAN,
              over("median", percentile(lengths, 0.5), MEDIAN))
    tree.tell(counts, "sizes: 95%% of the functions <= %d lines" % P95,
              over("95th percentile", percentile(lengths, 0.95), P95))
