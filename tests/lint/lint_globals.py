# SPDX-License-Identifier: Apache-2.0
"""No mutable variables of a file's scope, by the sections of the built objects."""

import os
import re
import subprocess

from lib import check

import tree

FOLDERS = ("runtime", "spec", "ns", "cgroup", "seccomp", "selinux")
ALLOWED = ("runtime/main.c", "runtime/base/log.c")
ON_ITS_OWN = ("runtime/stub/stub.c",)  # a program: its linker script has no writable section
# objdump -t: value, seven flags, section, size, name
SYMBOL = re.compile(r"^[0-9a-f]+ .{7} (\S+)\s+([0-9a-f]+)\s+(?:\.hidden )?(\S+)$")
MUTABLE = re.compile(r"^(\.data|\.bss|\.tdata|\.tbss|\*COM\*)(?!\.rel\.ro)")


def variables(path):
    """Names in the writable sections of an object."""
    said = subprocess.run(["objdump", "-t", path], capture_output=True, text=True, check=True)
    for line in said.stdout.splitlines():
        match = SYMBOL.match(line)
        if match and MUTABLE.match(match.group(1)) and int(match.group(2), 16):
            yield match.group(3)


def run(counts):
    name = "globals: none outside %s" % " and ".join(ALLOWED)
    sources = [s for s in tree.c_files() if s.endswith(".c") and s.split("/")[0] in FOLDERS
               and s not in ON_ITS_OWN]
    findings, built, missing = [], set(), []
    for source in sources:
        path = os.path.join(tree.TOP, "build", source[:-2] + ".o")
        if not os.path.exists(path):
            missing.append(source)
            continue
        built.add(os.path.dirname(source))
        if source not in ALLOWED:
            findings += ["%s: %s" % (source, v) for v in variables(path)]
    if not built:
        raise check.Skip("not built here")
    # A folder whose sources are not objects of bryo is something else.
    findings += ["%s: is not built" % s for s in missing if os.path.dirname(s) in built]
    tree.tell(counts, name, findings)
