# SPDX-License-Identifier: Apache-2.0
"""What podman and docker have in common: the command line."""

import itertools
import json
import os
import shutil
import subprocess
import tempfile

from lib import check, proc

import command
import frame
import image


class Cli:
    """An engine with docker's command line; argv(words) is what to execute."""

    docker = False
    rootless = False
    defaults = ("--network", "none")
    image = image.NAME

    def __init__(self, job):
        self.job = job
        self.runtime = os.path.join(frame.BASE, "rt", job.kind)
        self.numbers = itertools.count(1)
        self.directory = frame.BASE + "/e"
        os.mkdir(self.directory)
        os.chmod(self.directory, 0o755)

    # What the engines differ in

    def argv(self, words):
        raise NotImplementedError

    def popen(self):
        return {}

    # The same for all

    def __call__(self, *words, **kwargs):
        kwargs.update(self.popen())
        return command.run(self.argv(words), **kwargs)

    def terminal(self, *words, **kwargs):
        kwargs.update(self.popen())
        kwargs.pop("extra_groups", None)
        return command.Terminal(self.argv(words), **kwargs)

    def run(self, *words, opts=(), **kwargs):
        return self("run", "--rm", *self.defaults, *opts, self.image, *words, **kwargs)

    def shell(self, script, opts=(), **kwargs):
        return self.run("sh", "-c", script, opts=opts, **kwargs)

    def name(self):
        return "c%d" % next(self.numbers)

    def box(self, *words, opts=()):
        """Start one in the background; its name."""
        name = self.name()
        command.ok(self("run", "-d", "--name", name, *self.defaults, *opts, self.image, *(words or ("sleep", "300"))),
                   "run -d")
        return name

    def remove(self, name):
        """And it works."""
        return command.ok(self("rm", "-f", name), "rm -f")

    def inspect(self, name, template):
        return command.ok(self("inspect", "--format", template, name), "inspect").out.strip()

    def pid(self, name):
        return int(self.inspect(name, "{{.State.Pid}}"))

    def running(self, name):
        return self.inspect(name, "{{.State.Running}}") == "true"

    def logs_have(self, name, text, seconds=8):
        """Wait until the log has it."""
        return check.wait_until(lambda: text in self("logs", name).out, seconds, "%r in the log of %s" % (text, name))

    def shared(self, mode=0o777):
        """A directory for bind mounts which everybody may write."""
        path = tempfile.mkdtemp(dir=self.directory)
        os.chmod(path, mode)
        return path

    def clear(self):
        """After a failure: no container of it disturbs the next check."""
        names = self("ps", "-aq").out.split()
        if names:
            self("rm", "-f", *names)

    def start(self):
        raise NotImplementedError

    def stop(self):
        pass


def caps(text, which="CapEff"):
    """A set of capabilities from the text of /proc/self/status."""
    for line in text.splitlines():
        if line.startswith(which + ":"):
            return int(line.split()[1], 16)
    check.fail("no %s in %r", which, text)


def wait_gone(pid, seconds=5):
    check.wait_until(lambda: not proc.alive(pid), seconds, "the end of process %d" % pid)


def need(program):
    if not shutil.which(program):
        raise check.Skip("%s is not installed" % program)


def background(argv, log, **kwargs):
    """A daemon; what it says goes to a file."""
    with open(log, "ab") as file:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, **kwargs)


def end(child, seconds=10):
    """TERM, and KILL when that does not help."""
    child.terminate()
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def log_tail(path, lines=5):
    try:
        with open(path, errors="replace") as file:
            return " | ".join(file.read().splitlines()[-lines:])
    except OSError:
        return ""


def read(path):
    with open(path) as file:
        return file.read()


def write(path, text, mode=0o644):
    with open(path, "w") as file:
        file.write(text if isinstance(text, str) else json.dumps(text))
    os.chmod(path, mode)
