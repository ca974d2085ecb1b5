# SPDX-License-Identifier: Apache-2.0
"""Checks of the sources themselves.

usage: python3 tests/lint [-l] [NAME...]

  -l    list the names

Without a NAME all of them run.  Those that need more than Python, git and the
built objects (TOOLS) are for `make lint` only; tests/test_lint.py runs the rest.
"""

import importlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.dirname(HERE), HERE]

from lib import check  # noqa: E402 (needs the path)

PLAIN = ("includes", "sizes", "text", "globals", "commits")
TOOLS = ("format", "tidy", "cppcheck", "scripts")


def main(names):
    if names == ["-l"]:
        print("\n".join(PLAIN + TOOLS))
        return 0
    unknown = [name for name in names if name not in PLAIN + TOOLS]
    if unknown:
        print("%s: no such check\n\n%s" % (unknown[0], __doc__), file=sys.stderr)
        return 2
    counts = check.Counts()
    for name in names or PLAIN + TOOLS:
        try:
            importlib.import_module("lint_" + name).run(counts)
        except check.Skip as why:
            counts.skip(name, why)
    counts.summary()
    return 1 if counts.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
