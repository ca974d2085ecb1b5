# SPDX-License-Identifier: Apache-2.0
"""Canaries, racers and positive controls for the tests of escapes."""

import ctypes
import os
import re
import shutil
import signal
import subprocess

from . import check, host, proc
from .bundle import write

RENAME_EXCHANGE = 2
AT_FDCWD = -100


class Canary:
    """A tree outside of the bundle that the container's root may write to.

    If the runtime can be led here, something changes; nothing else can.
    """

    FILES = ("file", "ptmx", "null", "console", "passwd", "core_pattern")

    def __init__(self, case, name="canary"):
        self.path = case.make_dir(name)
        self.case = case
        for file in self.FILES:
            write(os.path.join(self.path, file), "canary\n")
        for directory in ("dir", "pts", "shm", "self", "net"):
            os.mkdir(os.path.join(self.path, directory))
        self.give_to(case.who.host_uid(0), case.who.host_gid(0))
        self.before = host.tree(self.path)

    def give_to(self, uid, gid):
        if os.geteuid() != 0:
            return
        for top, _, files in os.walk(self.path):
            for name in ["."] + files:
                os.chown(os.path.join(top, name), uid, gid)

    def __truediv__(self, name):
        return os.path.join(self.path, name)

    def changes(self):
        return host.difference(self.before, host.tree(self.path))

    def check(self, what):
        changed = self.changes()
        check.check(not changed, "%s: the canary changed: %s", what, "; ".join(changed[:4]))


def links_to(rootfs, place, target):
    """{kind: function that puts a link at `place`}, all leading to `target`."""
    full = os.path.join(rootfs, place.lstrip("/"))

    def absolute():
        os.symlink(target, full)

    def climbing():
        # More `..` than any root is deep, as an image would have it.
        os.symlink("../" * 40 + target.lstrip("/"), full)

    def chain(length):
        def make():
            for number in range(length):
                os.symlink("/chain%d" % (number + 1), os.path.join(rootfs, "chain%d" % number))
            os.symlink(target, os.path.join(rootfs, "chain%d" % length))
            os.symlink("/chain0", full)
        return make

    def loop():
        os.symlink(os.path.basename(full), full)

    def magic():
        os.symlink("/proc/1/root" + target, full)

    return {"absolute": absolute, "climbing": climbing, "chain of 2": chain(1),
            "chain of 41": chain(40), "loop": loop, "magic": magic}


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


class Racer:
    """A process that swaps two names until it is stopped."""

    def __init__(self, first, second):
        self.paths = first, second
        self.pid = None

    def __enter__(self):
        self.pid = os.fork()
        if self.pid == 0:
            self._swap()
        return self

    def _swap(self):
        signal.alarm(0)
        first, second = (path.encode() for path in self.paths)
        while proc.LIBC.renameat2(AT_FDCWD, first, AT_FDCWD, second,
                                  ctypes.c_uint(RENAME_EXCHANGE)) == 0:
            pass
        os._exit(1)

    def __exit__(self, *error):
        proc.kill_pid(self.pid)
        os.waitpid(self.pid, 0)


def races():
    """How often a race is run; the nightly count is higher."""
    return int(os.environ.get("BRYO_TESTS_RACES", "40"))


def peer(name, versions):
    """The path of an installed peer that has the hole, or Skip."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin:/sbin")
    if not path:
        raise check.Skip("control: %s is not installed" % name)
    said = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"(\d+\.\d+\.\d+)", said)
    if not found or found.group(1) not in versions:
        raise check.Skip("control: %s %s is not known to have the hole" %
                         (name, found and found.group(1)))
    return path
