# SPDX-License-Identifier: Apache-2.0
"""cppcheck."""

import subprocess

import tree

ARGV = ["--enable=warning,performance,portability", "--error-exitcode=1", "--inline-suppr",
        "--std=c11", "--quiet", "--suppress=missingIncludeSystem",
        "--suppress=normalCheckLevelMaxBranches",
        "--template={file}:{line}: {message} [{id}]", "-I.", "-D_GNU_SOURCE", "-D__x86_64__"]


def run(counts):
    tool = tree.need("cppcheck", "cppcheck")
    sources = [name for name in tree.c_files() if name.endswith(".c")]
    result = subprocess.run([tool] + ARGV + sources, cwd=tree.TOP, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    findings = result.stdout.splitlines()
    if result.returncode and not findings:
        findings = ["exit %d" % result.returncode]
    tree.tell(counts, "cppcheck", findings)
