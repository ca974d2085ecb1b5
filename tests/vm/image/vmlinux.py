# SPDX-License-Identifier: Apache-2.0
"""usage: vmlinux.py VMLINUZ VMLINUX -- the ELF file within a compressed kernel.

The VM boots it directly, by its PVH entry: no firmware, no decompression under
emulation, which takes seconds.
"""

import subprocess
import sys

ZSTD = b"\x28\xb5\x2f\xfd"


def find(data):
    """The first zstd frame that unpacks to an ELF file."""
    at = data.find(ZSTD)
    while at >= 0:
        # What follows the frame makes zstd complain: its status means nothing.
        out = subprocess.run(["zstd", "-dc"], input=data[at:], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL).stdout
        if out.startswith(b"\x7fELF"):
            return out
        at = data.find(ZSTD, at + 1)
    return sys.exit("vmlinux.py: no ELF file, compressed with zstd, in %s" % sys.argv[1])


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    elf = find(data)
    with open(sys.argv[2], "wb") as file:
        file.write(elf)


main()
