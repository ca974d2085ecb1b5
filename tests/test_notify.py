# SPDX-License-Identifier: Apache-2.0
"""sd_notify(3): the service manager hears that the payload is ready, and nothing else."""

import contextlib
import os
import socket
import subprocess
import time

from lib import proc
from lib.case import Case, need_bryo, need_busybox
from lib.check import check, contains, equal, test, wait_until

MODES = ("root", "userns", "rootless", "ranges")


class Manager:
    """The service manager's end."""

    def __init__(self, case):
        self.path = os.path.join(case.make_dir("manager", 0o777), "socket")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o777)
        self.socket.settimeout(10)
        self.env = {"NOTIFY_SOCKET": self.path}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def hear(self):
        return self.socket.recv(4096).decode()

    def hears_nothing(self):
        self.socket.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            text = self.socket.recv(4096)
            check(False, "the manager heard %r", text)


@test(*MODES)
def foreground(mode):
    """run: of all that is said only READY=1 is handed on, with the payload's pid."""
    need_bryo()
    need_busybox()
    with Case(mode) as case, Manager(case) as manager:
        child = case.start_run(
            ["/bin/sh", "-c", "/probe notify MAINPID=1 STATUS=busy 'X=1\nREADY=1'; read x"],
            env=manager.env, stdin=subprocess.PIPE)
        text = manager.hear()
        equal(text, "MAINPID=%d\nREADY=1\n" % case.state()["pid"], "what the manager heard")
        manager.hears_nothing()
        result = proc.finish(child, b"\n")
        equal(result.rc, 0, "exit status: %s" % result)


@test(*MODES)
def other_users(mode):
    """A payload that is not the container's root may speak, too."""
    need_bryo()
    if mode == "rootless":
        mode = "ranges"
    with Case(mode) as case, Manager(case) as manager:
        case.process["user"] = {"uid": 7, "gid": 7}
        result = case.run(["/probe", "notify", "READY=1"], env=manager.env)
        equal(result.rc, 0, "exit status: %s" % result)
        contains(manager.hear(), "READY=1", "message")


@test(*MODES)
def detached(mode):
    """run -d returns when the payload is ready, and not before."""
    need_bryo()
    need_busybox()
    with Case(mode) as case, Manager(case) as manager:
        case.save(["/bin/sh", "-c", "sleep 0.4; /probe notify READY=1; sleep 60"])
        begin = time.monotonic()
        case.ok("run", "-d", "-b", case.bundle.path, case.id(), env=manager.env,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        check(time.monotonic() - begin >= 0.35, "it did not wait")
        equal(manager.hear(), "MAINPID=%d\nREADY=1\n" % case.state()["pid"], "message")
        case.delete()


@test(*MODES)
def created(mode):
    """create and start, the manager's socket being given to both."""
    need_bryo()
    need_busybox()
    with Case(mode) as case, Manager(case) as manager:
        case.create(["/bin/sh", "-c", "/probe notify READY=1; sleep 60"], env=manager.env)
        manager.hears_nothing()
        manager.socket.settimeout(10)
        case.ok("start", case.id(), env=manager.env)
        equal(manager.hear(), "MAINPID=%d\nREADY=1\n" % case.state()["pid"], "message")
        case.delete()


@test(*MODES)
def never_ready(mode):
    """A payload that ends without a word, and one that is deleted while start waits."""
    need_bryo()
    with Case(mode) as case, Manager(case) as manager:
        case.create(["/probe", "exit", "0"], env=manager.env)
        case.ok("start", case.id(), env=manager.env)
        case.wait_status("stopped")
        case.delete()
        case.create(["/probe", "sleep", "60"], env=manager.env)
        child = case.start("start", case.id(), env=manager.env, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE)
        wait_until(lambda: case.state()["status"] == "running", what="running")
        case.delete()
        equal(proc.finish(child, timeout=10).rc, 0, "start")
        manager.hears_nothing()


@test("root", "rootless")
def a_variable_of_its_own(mode):
    """What the configuration says stays; and without a manager there is nothing."""
    need_bryo()
    with Case(mode) as case, Manager(case) as manager:
        case.process["env"] = ["NOTIFY_SOCKET=/its/own"]
        equal(case.run(["/probe", "env"], env=manager.env).out, "NOTIFY_SOCKET=/its/own\n", "env")
        case.process["env"] = ["A=1"]
        equal(case.run(["/probe", "env"]).out, "A=1\n", "env")
        equal(case.run(["/probe", "env"], env=manager.env).out,
              "A=1\nNOTIFY_SOCKET=/run/notify/notify.sock\n", "env")


@test("root", "rootless")
def the_directory_is_read_only(mode):
    """The payload cannot put another socket there, nor remove that one."""
    need_bryo()
    with Case(mode) as case, Manager(case) as manager:
        result = case.run(["/probe", "write", "/run/notify/x", "text"], env=manager.env)
        check(result.rc != 0, "%s", result)
        check(not os.path.exists(os.path.join(case.root, case.id())), "state is left")


@test("root", "rootless")
def relative_root(mode):
    need_bryo()
    with Case(mode) as case, Manager(case) as manager:
        case.save(["/probe", "notify", "READY=1"])
        words = [case.binary, "--root", "state", "run", "-b", case.bundle.path, case.id()]
        result = proc.run(words, **case.options(env=manager.env))
        equal(result.rc, 0, "exit status: %s" % result)
        contains(manager.hear(), "READY=1", "message")
