# SPDX-License-Identifier: Apache-2.0
"""clang-tidy, with the checks of .clang-tidy."""

import tree

FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-iquote", ".", "-Wall", "-Wextra",
         "-DSTUB_IMAGE=\"\""]


def flags(name):
    if name == "runtime/base/err.c" or name.startswith("bench/"):
        return FLAGS
    return FLAGS + ["-include", "tests/lint/analyzer.h"]


def run(counts):
    tool = tree.need("clang-tidy", "clang-tidy")
    sources = [name for name in tree.c_files() if name.endswith(".c")]
    results = tree.in_parallel([[tool, "--quiet", name, "--"] + flags(name) for name in sources])
    findings = sorted({line.replace(tree.TOP + "/", "") for _, out in results
                       for line in out.splitlines() if ": warning: " in line or
                       "error: " in line})
    findings += [out for code, out in results if code and "error: " not in out]
    tree.tell(counts, "tidy: clang-tidy", findings)
