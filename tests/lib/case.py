# SPDX-License-Identifier: Apache-2.0
"""A test case: a private directory, a bundle, a runtime, and a clean end."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile

from . import bundle, check, host, proc, users

HELPERS = "/usr/sbin:/usr/bin:/sbin:/bin"

_numbers = itertools.count(1)
_base = None


def binary(faults=False):
    """The runtime under test; `faults` asks for the build with the test hook."""
    if faults:
        default = os.path.join(bundle.TOP, "build/bryo-test")
        path = os.environ.get("BRYO_TEST", default)
    else:
        path = os.environ.get("BRYO", os.path.join(bundle.TOP, "build/bryo"))
    if not os.path.exists(path):
        text = "%s is not built" % path
        raise check.Skip(text) if faults else check.Failed(text)
    return path


def kind():
    """"bryo", or the peer whose name the binary has."""
    name = os.path.basename(os.environ.get("BRYO", "bryo"))
    return name if name in ("runc", "crun", "youki") else "bryo"


def need_bryo(why="is about bryo itself"):
    if kind() != "bryo":
        raise check.Skip("%s (the runtime is %s)" % (why, kind()))


def need_busybox():
    if not bundle.find_busybox():
        raise check.Skip("no static busybox")


def prepare_host():
    """Once per process, before the first case: a host that is ours to look at."""
    os.umask(0o022)
    proc.become_subreaper()
    paths = (bundle.TOP, os.environ.get("BRYO", ""), sys.executable, os.environ.get("BRYO_TEST", ""))
    host.isolate([os.path.realpath(path) for path in paths if path])
    host.join_new_keyring()


def base():
    """The directory of all cases of this process; world-searchable."""
    global _base
    if _base is None:
        path = tempfile.mkdtemp(prefix="bryo-tests-")
        os.chmod(path, 0o755)
        if host.isolated:
            host.make_shared(path)
        bundle.make_image(os.path.join(path, "image"))
        _base = path
    return _base


def remove_base():
    global _base
    if _base is None:
        return
    if host.isolated:
        proc.LIBC.umount2(_base.encode(), 2)
    shutil.rmtree(_base, ignore_errors=True)
    _base = None


def _reachable(path, who):
    """A binary that the user may execute: itself, or a copy."""
    at = os.path.abspath(path)
    if os.geteuid() != 0 or who.uid == 0:
        return at
    top = at
    while top != "/" and os.stat(top).st_mode & 0o001:
        top = os.path.dirname(top)
    if top == "/":
        return at
    copy = os.path.join(base(), os.path.basename(at))
    if not os.path.exists(copy):
        shutil.copy(at, copy)
        os.chmod(copy, 0o755)
    return copy


class Case:
    """with Case("rootless") as case: case.run(["/probe", "exit", "3"])"""

    def __init__(self, mode, faults=False, args=("/probe",), runtime=None):
        self.who = users.identity(mode)
        self.faults = faults
        self.args = args
        self.runtime = runtime  # a peer, as the positive control of a test

    def __enter__(self):
        self.binary = _reachable(self.runtime or binary(self.faults), self.who)
        self.marker = "bt%dx%d" % (os.getpid(), next(_numbers))
        self.dir = os.path.join(base(), self.marker)
        os.mkdir(self.dir)
        self.root = self.make_dir("state", 0o700)
        self.xdg = self.make_dir("xdg", 0o700)
        self.bundle = bundle.Bundle(os.path.join(self.dir, "bundle"),
                                    os.path.join(base(), "image"), self.who, self.args)
        self.env = {"PATH": HELPERS, "XDG_RUNTIME_DIR": self.xdg, "HOME": self.dir}
        self.before = host.Snapshot(self.marker, self.dir)
        return self

    def __exit__(self, kind_, error, trace):
        try:
            if error is None:
                self.clean()
            else:
                self.before.sweep()
        finally:
            # A leaked mount must not lead the removal into another tree.
            shutil.rmtree(self.dir, ignore_errors=True)

    def clean(self, what="afterwards"):
        """Fails if anything was left behind."""
        self.before.assert_nothing_left([self.root], what=what)

    def make_dir(self, name, mode=0o755, owner=None):
        path = os.path.join(self.dir, name)
        os.makedirs(path)
        os.chmod(path, mode)
        if os.geteuid() == 0:
            os.chown(path, *(owner or (self.who.uid, self.who.gid)))
        return path

    # -- the configuration --

    @property
    def config(self):
        return self.bundle.config

    @property
    def process(self):
        return self.bundle.config["process"]

    @property
    def linux(self):
        return self.bundle.config["linux"]

    def id(self, suffix="c"):
        return "%s-%s" % (self.marker, suffix)

    # -- the runtime --

    #: What `run` chooses by itself: True for tests of that. Others are about all else, and where
    #: SELinux is on a container of its type has few of root's rights, and none in a /tmp.
    labelled = False

    def argv(self, *words):
        # Behind global options, perhaps.
        if "run" in words[:4] and not self.labelled and kind() == "bryo" and not self.runtime and \
                os.path.exists("/sys/fs/selinux/enforce"):
            at = words.index("run") + 1
            words = words[:at] + ("--selinux=off",) + words[at:]
        return [self.binary, "--root", self.root] + [str(w) for w in words]

    def options(self, env=None, **kwargs):
        kwargs.setdefault("cwd", self.dir)
        for key, value in self.who.popen().items():
            kwargs.setdefault(key, value)
        kwargs["env"] = dict(self.env, **(env or {}))
        return kwargs

    def call(self, *words, **kwargs):
        """Run one command of the runtime to its end."""
        return proc.run(self.argv(*words), **self.options(**kwargs))

    def start(self, *words, **kwargs):
        """The same, not waited for: a Popen for proc.finish()."""
        return proc.start(self.argv(*words), **self.options(**kwargs))

    def ok(self, *words, **kwargs):
        result = self.call(*words, **kwargs)
        check.check(result.rc == 0, "%s", result)
        return result

    def fails(self, *words, **kwargs):
        """The command must fail, by exit status and not by a signal."""
        result = self.call(*words, **kwargs)
        check.check(result.rc > 0, "should have failed: %s", result)
        check.check(result.err.strip(), "failed without a word: %s", result)
        return result

    def save(self, args=None):
        if args is not None:
            self.process["args"] = list(args)
        self.bundle.save()

    def run(self, args=None, suffix="c", **kwargs):
        """`run` of the bundle in the foreground."""
        self.save(args)
        return self.call("run", "-b", self.bundle.path, self.id(suffix), **kwargs)

    def start_run(self, args=None, suffix="c", **kwargs):
        """`run` with pipes, not waited for."""
        self.save(args)
        return self.start("run", "-b", self.bundle.path, self.id(suffix),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)

    def run_ok(self, args=None, **kwargs):
        result = self.run(args, **kwargs)
        check.check(result.rc == 0, "%s", result)
        return result

    def run_fails(self, args=None, **kwargs):
        result = self.run(args, **kwargs)
        check.check(result.rc > 0, "should have failed: %s", result)
        check.check(result.err.strip(), "failed without a word: %s", result)
        return result

    def report(self, args=("/probe",), **kwargs):
        """The report of the probe as the payload."""
        result = self.run_ok(args, **kwargs)
        try:
            return json.loads(result.out)
        except ValueError as why:
            return check.fail("no report: %s: %s", why, result)

    def create(self, args=None, suffix="c", expect=True, words=(), **kwargs):
        """`create`, with the output in files: a container holds its pipes open."""
        self.save(args)
        out = kwargs.pop("stdout", None)
        with open(self.output(suffix), "ab") as file:
            result = self.call("create", "-b", self.bundle.path, *words, self.id(suffix),
                               stdout=out or file, stderr=subprocess.STDOUT, **kwargs)
        result.err = self.read_output(suffix)
        proc.no_report(result.err)
        if expect:
            check.check(result.rc == 0, "%s", result)
        return result

    def output(self, suffix="c"):
        return os.path.join(self.dir, "output-" + suffix)

    def read_output(self, suffix="c"):
        with open(self.output(suffix), errors="backslashreplace") as file:
            return file.read()

    def state(self, suffix="c"):
        return json.loads(self.ok("state", self.id(suffix)).out)

    def wait_status(self, status, suffix="c"):
        return check.wait_until(lambda: self.state(suffix)["status"] == status,
                                what="status " + status)

    def delete(self, suffix="c"):
        return self.ok("delete", "--force", self.id(suffix))
