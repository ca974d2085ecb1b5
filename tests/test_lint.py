# SPDX-License-Identifier: Apache-2.0
"""The checks of the sources that need no tools; `make lint` runs all."""

import os
import sys

from lib import proc
from lib.bundle import TOP
from lib.check import Skip, check, fail, test


@test("includes", "sizes", "text", "globals", "commits")
def sources(name):
    result = proc.run([sys.executable, os.path.join(TOP, "tests/lint"), name])
    lines = result.out.splitlines()
    bad = [line for line in lines if line.startswith(("not ok", "    "))]
    if bad:
        fail("%s", "; ".join(line.strip() for line in bad[:8]))
    check(result.rc == 0 and lines, "%s", result)
    for line in lines:
        if line.startswith("skip - "):
            raise Skip(line.partition(": ")[2])
