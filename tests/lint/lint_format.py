# SPDX-License-Identifier: Apache-2.0
"""clang-format has nothing to change (`make format` applies it)."""

import tree


def run(counts):
    tool = tree.need("clang-format", "clang-format")
    argv = [tool, "--dry-run", "-Werror"]
    results = tree.in_parallel([argv + [name] for name in tree.c_files()])
    findings = [line for _, out in results for line in out.splitlines() if ": error: " in line]
    findings += [out for code, out in results if code and ": error: " not in out]
    tree.tell(counts, "format: clang-format", findings)
