# SPDX-License-Identifier: Apache-2.0
"""Subprocesses with a time limit, and the processes that they leave behind.

The runner is a child subreaper: whatever a runtime orphans becomes a child of
the runner.  So "nothing left" is exact, also for an unprivileged user and on a
machine where other people start containers.
"""

import ctypes
import os
import re
import signal
import subprocess
import time

from . import check

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_CHILD_SUBREAPER = 36
TIMEOUT = 30.0

#: What a build with sanitizers says when it finds something.
REPORT = re.compile(r"(\w+Sanitizer: |runtime error: )[^\n]*")

_known = set()  # pids of Popen objects, which reap for themselves


def become_subreaper():
    if LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


class Result:
    """What a finished command said: rc is -N after signal N."""

    def __init__(self, argv, rc, out, err, seconds):
        self.argv = argv
        self.rc = rc
        self.out = out
        self.err = err
        self.seconds = seconds

    def last_error(self):
        lines = self.err.strip().splitlines()
        return lines[-1] if lines else ""

    def __str__(self):
        return "%s: exit %s, out %r, err %r" % (
            " ".join(map(str, self.argv[:12]))[-160:], self.rc, self.out[-300:], self.err[-500:])


def _decode(data):
    return data.decode("utf-8", "backslashreplace") if data is not None else ""


def start(argv, **kwargs):
    """Popen which the reaper of orphans leaves alone."""
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    child = subprocess.Popen(argv, **kwargs)
    _known.add(child.pid)
    return child


def finish(child, stdin=None, timeout=TIMEOUT):
    """Wait for a Popen, kill it when it takes too long."""
    begin = time.monotonic()
    try:
        out, err = child.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        # A container that still holds the pipes must not hold up the tests.
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe:
                pipe.close()
        child.wait()
        _known.discard(child.pid)
        check.fail("%s: not done after %g s", child.args, timeout)
    _known.discard(child.pid)
    result = Result(child.args, child.returncode, _decode(out), _decode(err),
                    time.monotonic() - begin)
    no_report(result.err)
    return result


def no_report(text):
    """A sanitizer's report is a failure, also where the command was to fail."""
    found = REPORT.search(text)
    if found:
        check.fail("%s", found.group(0))


def run(argv, stdin=None, timeout=TIMEOUT, **kwargs):
    if isinstance(stdin, bytes):
        kwargs["stdin"] = subprocess.PIPE
    elif stdin is not None:
        kwargs["stdin"], stdin = stdin, None
    kwargs.setdefault("stdout", subprocess.PIPE)
    kwargs.setdefault("stderr", subprocess.PIPE)
    return finish(start(argv, **kwargs), stdin, timeout)


def _stat(pid):
    """(state, ppid, start time), or None when it is gone."""
    try:
        with open("/proc/%d/stat" % pid) as file:
            text = file.read()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1]), int(fields[19])


def table():
    """{pid: (state, ppid, start)} of all processes."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = _stat(int(name))
            if stat:
                found[int(name)] = stat
    return found


def descendants(root=None):
    """Pids below the runner, zombies of orphans reaped first."""
    root = root or os.getpid()
    procs = table()
    children = {}
    for pid, (_, ppid, _) in procs.items():
        children.setdefault(ppid, []).append(pid)
    found, todo = [], list(children.get(root, []))
    while todo:
        pid = todo.pop()
        if procs[pid][0] == "Z" and procs[pid][1] == os.getpid():
            if pid not in _known:
                _reap(pid)
            continue
        found.append(pid)
        todo += children.get(pid, [])
    return sorted(found)


def _reap(pid):
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def describe(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            words = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        with open("/proc/%d/comm" % pid) as file:
            return "%d (%s) %s" % (pid, file.read().strip(), words[:120])
    except OSError:
        return "%d (gone)" % pid


def alive(pid):
    stat = _stat(pid)
    return stat is not None and stat[0] != "Z"


def kill_pid(pid, sig=signal.SIGKILL):
    """End one process by its number, gently about its being gone already."""
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


def kill_leftovers(pids):
    """After a failed test: end its processes, so that the next starts clean."""
    for pid in pids:
        kill_pid(pid)
    end = time.monotonic() + 3
    while time.monotonic() < end and set(descendants()) & set(pids):
        time.sleep(0.01)
