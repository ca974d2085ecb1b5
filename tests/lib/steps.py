# SPDX-License-Identifier: Apache-2.0
"""The step table as the binary prints it: NAME, SIDE, POINTER by tabs."""

from . import check, proc
from .case import binary


class Row:
    def __init__(self, line):
        words = line.split("\t")
        check.check(len(words) >= 3, "`steps` printed %r", line)
        self.name, self.side, self.pointer = words[0], words[1].upper(), words[2]
        check.check(self.side in ("HOST", "BOX"), "side of %s: %r", self.name, self.side)

    def __str__(self):
        return self.name


def rows(faults=True, *words):
    result = proc.run([binary(faults), "steps", *words])
    check.check(result.rc == 0, "%s", result)
    found = [Row(line) for line in result.out.splitlines() if line.strip()]
    check.check(found, "`steps` printed nothing")
    return found


_cache = []


def try_rows():
    """For the registration of one test per row; empty if there is no binary."""
    try:
        if not _cache:
            _cache.extend(rows())
    except (check.Skip, check.Failed, OSError):
        pass
    return _cache
