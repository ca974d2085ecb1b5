# SPDX-License-Identifier: Apache-2.0
"""Where one engine runs: namespaces of its own, and a registry of checks.

An engine, its daemons and its containers are in a pid, mount, net, ipc, uts and cgroup namespace of their own.  Its
first process is reap(): when that ends the kernel kills everything else, and the mounts go with the namespace.  /run,
/tmp and whatever else engines write to are fresh there, and /sys/fs/cgroup is cgroup2 alone, rooted in a cgroup that
run() removes afterwards.
"""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback

from lib import check, host, proc

BASE = "/run/b"  # short: the paths of sockets have 108 bytes
CLONE_NEWCGROUP = 0x02000000
CGROUP = "/sys/fs/cgroup"
LIMIT = 60  # seconds for one check
FRESH = ("/tmp", "/var/tmp", "/var/log", "/var/lib/containers", "/var/lib/containerd", "/var/lib/docker",
         "/var/lib/cni", "/etc/cni", "/etc/containers", "/etc/docker", "/etc/slurm", "/var/spool")


class Job:
    """What the worker is told: {engine, runtime, kind, preload, images, names, cgroup, user, uid, gid}."""

    def __init__(self, text):
        self.__dict__.update(json.loads(text))


# ---- checks


class Check:
    def __init__(self, name, func, engines):
        self.name = name
        self.func = func
        self.engines = engines


CHECKS = []


def checks(*engines):
    """Register func(engine) for the engines of these names; the name is func's."""
    def register(func):
        CHECKS.append(Check(func.__name__.replace("_", " "), func, engines))
        return func
    return register


def checks_of(engine):
    return [item for item in CHECKS if engine in item.engines]


# ---- the namespaces, from inside


def _address(interface, address):
    busybox = shutil.which("busybox")
    for words in (["link", "set", interface, "up"], ["addr", "add", address, "dev", interface]):
        subprocess.run([busybox, "ip"] + words, stdin=subprocess.DEVNULL, check=True)


def _mounts(job):
    """Fresh directories; what we need from below them is moved to BASE."""
    os.umask(0o022)
    top = os.open(job.images, os.O_PATH | os.O_DIRECTORY)
    runtime = os.open(job.runtime, os.O_RDONLY)
    host._mount("bryo-engines", "/run", "tmpfs", 0, "mode=755")
    os.makedirs(BASE + "/images")
    os.makedirs(BASE + "/rt")
    os.makedirs("/run/lock")
    host._mount("/proc/self/fd/%d" % top, BASE + "/images", None, 0x1000)
    copy = BASE + "/rt/" + job.kind
    if job.preload:
        os.mkdir(BASE + "/real")
        with open(copy, "w") as file:
            file.write("#!/bin/sh\nLD_PRELOAD=%s/images/memlock.so exec %s/real/%s \"$@\"\n" % (BASE, BASE, job.kind))
        os.chmod(copy, 0o755)
        copy = BASE + "/real/" + job.kind
    with os.fdopen(runtime, "rb") as source, open(copy, "wb") as target:
        shutil.copyfileobj(source, target)
    os.chmod(copy, 0o755)
    os.close(top)
    policy = _slurp("/etc/containers/policy.json")
    for path in FRESH:
        if os.path.isdir(path):
            host._mount("bryo-engines", path, "tmpfs", 0, "mode=1777" if path.endswith("tmp") else "mode=755")
    if os.path.isdir("/etc/containers"):
        with open("/etc/containers/policy.json", "w") as file:
            file.write(policy or '{"default": [{"type": "insecureAcceptAnything"}]}')
        with open("/etc/containers/registries.conf", "w") as file:
            file.write("unqualified-search-registries = []\n")


def _slurp(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _cgroups(job):
    """cgroup2 alone, with a root of our own; we are in its child "engine", since a cgroup that hands out controllers
    may not have processes."""
    outside = BASE + "/cgroup"
    os.mkdir(outside)
    host._mount("cgroup2", outside, "cgroup2", 0)
    os.mkdir(outside + "/" + job.cgroup)
    _join(outside + "/" + job.cgroup)
    if proc.LIBC.unshare(CLONE_NEWCGROUP) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    proc.LIBC.umount2(outside.encode(), 2)
    os.rmdir(outside)
    host._mount("cgroup2", CGROUP, "cgroup2", 0)
    os.mkdir(CGROUP + "/engine")
    _join(CGROUP + "/engine")


def _join(path):
    with open(path + "/cgroup.procs", "w") as file:
        file.write("0")


def controllers():
    return _slurp(CGROUP + "/cgroup.controllers").split()


def need_controller(name):
    if name not in controllers():
        raise check.Skip("no controller %r in cgroup2 here" % name)


def enter(job):
    host._mount(None, "/", None, host.MS_REC | host.MS_PRIVATE)
    _mounts(job)
    _cgroups(job)
    _address("lo", "10.99.0.1/32")
    with open(BASE + "/hosts", "w") as file:
        file.write("127.0.0.1 localhost\n10.99.0.1 vm\n")
    host._mount(BASE + "/hosts", "/etc/hosts", None, 0x1000)
    with open("/proc/sys/kernel/hostname", "w") as file:
        file.write("vm")
    for name in list(os.environ):
        if name not in ("LANG", "LC_ALL", "TERM", "BRYO_PROBE"):
            del os.environ[name]
    os.environ.update(PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME="/root", USER="root")


def reap(child):
    """The first process of a pid namespace: wait for everybody, end with the child."""
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xff)


# ---- the worker


def tell(**what):
    print(json.dumps(what), flush=True)


def on_alarm(number, frame):
    raise check.Failed("not done after %d s" % LIMIT)


def one(item, engine):
    """(status, why) of one check."""
    signal.alarm(LIMIT)
    try:
        item.func(engine)
        return "ok", ""
    except check.Skip as why:
        return "skip", str(why)
    except (check.Failed, OSError) as why:
        where = ["%s:%d" % (os.path.basename(f.filename), f.lineno)
                 for f in traceback.extract_tb(why.__traceback__) if "engines" in f.filename]
        return "not ok", "%s [%s]" % (check.one_line(why)[:700], ", ".join(where[1:]))
    except Exception as why:  # a bug in the check must not end the run
        return "not ok", "%r\n%s" % (why, traceback.format_exc())
    finally:
        signal.alarm(0)


def work(job, make):
    """Everything that the worker does once it is inside."""
    signal.signal(signal.SIGALRM, on_alarm)
    wanted = [item for item in checks_of(job.engine) if not job.names or item.name in job.names]
    begin = time.monotonic()
    try:
        engine = make(job)
        engine.start()
    except (check.Failed, check.Skip, OSError) as why:
        tell(absent=check.one_line(why)) if isinstance(why, check.Skip) else tell(fatal=check.one_line(why))
        return
    tell(started=time.monotonic() - begin)
    for item in wanted:
        begin = time.monotonic()
        status, why = one(item, engine)
        tell(name=item.name, status=status, why=why, seconds=time.monotonic() - begin)
        if status == "not ok":
            try:
                engine.clear()
            except (check.Failed, OSError) as problem:
                tell(note="clearing up: %s" % check.one_line(problem))
    engine.stop()


def worker(text, make):
    """Called as process 1 of the namespaces; make(job) gives the engine."""
    job = Job(text)
    sys.stdin.close()
    sys.stdin = open(os.devnull)
    child = os.fork()
    if child:
        reap(child)
    status = 1
    try:
        proc.LIBC.prctl(1, signal.SIGKILL, 0, 0, 0)
        enter(job)
        work(job, make)
        status = 0
    except BaseException as why:
        tell(fatal="%r %s" % (why, traceback.format_exc()))
    finally:
        sys.stdout.flush()
        os._exit(status)


# ---- afterwards, outside


PREFIX = "bryo-engines-"  # and the pid of the driver


def stale(names):
    """Those of drivers that are no more."""
    for name in names:
        pid = name[len(PREFIX):].partition("-")[0]
        if name.startswith(PREFIX) and pid.isdigit() and not proc.alive(int(pid)):
            yield name


def sweep(name):
    """Remove the cgroup of a run, and those of killed drivers; in a mount namespace of our own, since cgroup2 may be
    mounted nowhere, or below v1's."""
    if proc.LIBC.unshare(host.CLONE_NEWNS) != 0:
        return
    host._mount(None, "/", None, host.MS_REC | host.MS_PRIVATE)
    host._mount("none", CGROUP, "tmpfs", 0)
    host._mount("cgroup2", CGROUP, "cgroup2", 0)
    _kill(os.path.join(CGROUP, name))
    _remove_cgroup(os.path.join(CGROUP, name), 10)
    # Without killing: a driver in another pid namespace looks dead from here.
    for each in stale(os.listdir(CGROUP)):
        _remove_cgroup(os.path.join(CGROUP, each), 0.1)


def _kill(top):
    try:
        with open(top + "/cgroup.kill", "w") as file:
            file.write("1")
    except OSError:
        pass


def _remove_cgroup(top, seconds):
    end = time.monotonic() + seconds
    while os.path.isdir(top) and time.monotonic() < end:
        for path, _, _ in os.walk(top, topdown=False):
            try:
                os.rmdir(path)
            except OSError:
                pass
        time.sleep(0.02)
