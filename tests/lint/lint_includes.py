# SPDX-License-Identifier: Apache-2.0
"""Dependencies between the folders point downwards only."""

import os
import re

import tree

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
BASE = "runtime/base"

#: A folder, and what it may include besides itself.
BELOW = {
    BASE: (),
    "spec": (BASE,),
    "ns": (BASE, "spec"),
    "cgroup": (BASE, "spec"),
    "seccomp": (BASE, "spec"),
    "selinux": (BASE, "spec"),
    "runtime": (BASE, "spec", "ns", "cgroup", "seccomp", "selinux"),
}
ABOVE = ("tests", "bench")  # may include everything, and nobody includes them

#: A header of a library, and the folders or files that may include it.
LIBRARIES = {
    "yajl/": ("spec/json.c", "spec/json_write.c"),
    "seccomp.h": ("seccomp", "spec/fields_linux.c"),  # there for the SCMP_CMP_ values only
    "sys/capability.h": ("ns",),
    "selinux/": ("selinux",),
    "libmnl/": ("ns",),
}


def folder_of(name):
    """The longest folder of the table that the file is in."""
    found = [f for f in tuple(BELOW) + ABOVE if name.startswith(f + "/")]
    return max(found, key=len) if found else None


def library_of(header):
    for prefix in LIBRARIES:
        if header == prefix or (prefix.endswith("/") and header.startswith(prefix)):
            return prefix
    return None


def wrong(name, quote, header):
    """What is wrong with one line, or None."""
    folder = folder_of(name)
    if quote == "<":
        library = library_of(header)
        allowed = LIBRARIES.get(library, (folder,))
        if folder in ABOVE or folder in allowed or name in allowed:
            return None
        return "<%s> is for %s only" % (header, " and ".join(allowed))
    if folder in ABOVE and os.path.exists(os.path.join(tree.TOP, os.path.dirname(name), header)):
        return None
    if not os.path.exists(os.path.join(tree.TOP, header)):
        return '"%s": include by the full path from the top' % header
    target = folder_of(header)
    if target == folder or folder in ABOVE or target in BELOW.get(folder, ()):
        return None
    return "%s may not include %s" % (folder, header)


def run(counts):
    findings, seen = [], 0
    for name in tree.c_files():
        if folder_of(name) is None:
            findings.append("%s: in a folder that tests/lint does not know" % name)
            continue
        for number, line in enumerate(tree.read(name).splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                seen += 1
                why = wrong(name, *match.groups())
                findings += ["%s:%d: %s" % (name, number, why)] if why else []
    if not seen:
        findings.append("no #include found at all")
    tree.tell(counts, "includes: folders depend downwards only", findings)
