# SPDX-License-Identifier: Apache-2.0
"""Commands of engines: with a time limit, and on a terminal of our own."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time

from lib import check, proc

SECONDS = 25


def run(argv, stdin=None, seconds=SECONDS, **kwargs):
    """proc.run(), but with files: a daemon that keeps a pipe open does not hold us up."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
        if stdin is not None:
            given.write(stdin)
            given.seek(0)
        begin = time.monotonic()
        child = subprocess.Popen(argv, stdin=given if stdin is not None else subprocess.DEVNULL, stdout=out, stderr=err,
                                 start_new_session=True, **kwargs)
        late = wait(child, seconds)
        out.seek(0)
        err.seek(0)
        result = proc.Result(argv, child.returncode, out.read().decode("utf-8", "replace"),
                             err.read().decode("utf-8", "replace"), time.monotonic() - begin)
    check.check(not late, "not done after %g s: %s", seconds, result)
    return result


def wait(child, seconds):
    """Wait for a Popen in a session of its own; kills it and is True when it takes too long."""
    try:
        child.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
        return True


class Terminal:
    """A command with a terminal, as a person at a keyboard has it."""

    def __init__(self, argv, rows=33, columns=77, user=None, **kwargs):
        self.argv = argv
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        if user is not None:
            os.fchown(slave, user, -1)
            kwargs.update(user=user)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.child = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), **kwargs)
        self.text = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text):
        os.write(self.master, text.encode())

    def _read(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            self.text += os.read(self.master, 65536).decode("utf-8", "replace")
        except OSError:
            return False
        return True

    def expect(self, text, seconds=10):
        """Read until `text` has come; what came before and with it is consumed."""
        end = time.monotonic() + seconds
        while text not in self.text:
            left = end - time.monotonic()
            check.check(left > 0, "%s: %r did not come: %r", self.argv[-6:], text, self.text)
            ended = self.child.poll() is not None
            if not self._read(0.2 if ended else left) and ended:
                check.fail("%s ended with %s: %r did not come: %r", self.argv[-6:], self.child.returncode, text,
                           self.text)
        head, _, self.text = self.text.partition(text)
        return head

    def finish(self, seconds=10):
        """The exit code; everything still unread is in .text."""
        end = time.monotonic() + seconds
        while self.child.poll() is None and time.monotonic() < end:
            self._read(0.05)
        late = wait(self.child, 0.1)
        while self._read(0.02):
            pass
        after = termios.tcgetattr(self.slave)
        os.close(self.slave)
        os.close(self.master)
        check.check(not late, "%s: not done: %r", self.argv[-6:], self.text)
        check.check(after[3] & ~termios.PENDIN == self.before[3] & ~termios.PENDIN,
                    "the settings of the terminal are not restored")
        return self.child.returncode


def ok(result, what="command"):
    check.check(result.rc == 0, "%s failed: %s", what, result)
    return result


def says(result, text):
    """Exit 0 and just this output."""
    ok(result)
    check.check(result.out.strip() == text, "output %r, want %r: %s", result.out, text, result)


def names_missing(text, program):
    """A message as engines classify them: not found, and what.  Case and quotes are free."""
    check.check(program in text, "%r does not name %s", text, program)
    check.check(re.search(r"(?i)executable file.*not found|no such file or directory", text),
                "%r does not say that it is not found", text)


def ends(result, code):
    check.check(result.rc == code, "exit %s, want %d: %s", result.rc, code, result)
    return result
