# SPDX-License-Identifier: Apache-2.0
"""shellcheck for the shell, and Python's own compiler for the Python."""

import subprocess

import tree


def first_line(name):
    try:
        return tree.read(name).partition("\n")[0]
    except UnicodeDecodeError:
        return ""


def has_shebang(name, program):
    return first_line(name).startswith("#!") and program in first_line(name).split("/")[-1]


def run(counts):
    names = tree.files()
    tool = tree.need("shellcheck", "shellcheck")
    shell = [name for name in names if name.endswith(".sh") or has_shebang(name, "sh")]
    result = subprocess.run([tool, "--format=gcc"] + shell, cwd=tree.TOP, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    tree.tell(counts, "scripts: shellcheck", result.stdout.splitlines())
    findings = []
    for name in names:
        if name.endswith(".py") or has_shebang(name, "python3"):
            try:
                compile(tree.read(name), name, "exec", dont_inherit=True)
            except SyntaxError as why:
                findings.append("%s:%s: %s" % (name, why.lineno, why.msg))
    tree.tell(counts, "scripts: Python compiles", findings)
