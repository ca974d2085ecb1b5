# SPDX-License-Identifier: Apache-2.0
"""Does a process that enters a container get all that binds its first one?

For every row of `exec` that runs in the box: leave it out (BRYO_SKIP, for exec only) and
compare what the process is with what the first one is.  Whoever adds such a row is told
here when nothing notices its absence.
"""

import json
import os
import resource
import select
import signal
import subprocess
import time

from lib import host, proc, users
from lib.bundle import bind, write
from lib.case import Case, need_bryo, need_busybox
from lib.check import Failed, Skip, check, equal, test, wait_until
from lib.steps import rows
from lib.view import early, hostile_caller, rich
import test_selinux
from test_apparmor import fake, read
from test_terminal import ConsoleSocket, wait_for_orphan

SAME = ("uid", "gid", "groups", "caps", "no_new_privs", "seccomp", "seccomp_filters", "rlimits",
        "umask", "hostname", "namespaces", "cgroup", "uid_map", "gid_map", "oom_score_adj",
        "signals", "cwd", "fds", "scheduler", "ioprio", "mempolicy", "mempolicy_nodes",
        "personality", "securebits")

#: Rows whose absence changes nothing, and why; (row, mode) or (row, None).
HOLDS_ANYWAY = {
    ("become-root", None): "who joins is not dumpable already, and the row user sets the ids",
    ("bounding-set", "root"): "done before anybody sees it: see before_clone()",
    ("user", "rootless"): "the only id is the caller's already",
}


def facts(case, env):
    fds = [os.open("/", os.O_RDONLY), os.memfd_create("leak")]
    try:
        result = case.ok("exec", case.id(), "/probe", "facts", env=env, pass_fds=fds,
                         preexec_fn=hostile_caller)
    finally:
        for fd in fds:
            os.close(fd)
    try:
        return json.loads(result.out)
    except ValueError:
        raise Failed("no report: %s" % result) from None


def started(case):
    need_busybox()
    case.create(["/bin/sh", "-c", "/probe facts; echo ready; exec /probe sleep 60"])
    case.ok("start", case.id())
    wait_until(lambda: "ready" in case.read_output(), what="the payload")
    return json.loads(case.read_output().split("\nready")[0])


def compare(first, inside):
    for name in SAME:
        mine, its = inside[name], first[name]
        if name == "fds":
            mine, its = sorted(mine), sorted(its)
        equal(mine, its, name)
    equal(inside["env"], first["asked"], "env")
    equal(inside["sid"], inside["pid"], "session")
    equal(inside["keyring"]["result"], "ok", "session keyring")
    check(inside["keyring"]["id"] != host.session_keyring(), "the keyring is the caller's")
    check("_uid_ses." not in (inside["keyring"]["description"] or ""), "no keyring of its own")


def equals_the_first(configure):
    def run(mode, env):
        with Case(mode, faults=True) as case:
            configure(case)
            case.process["env"] = ["PATH=/bin", "B=two  words", "EMPTY=", "A=1"]
            first = started(case)
            first["asked"] = case.process["env"]
            compare(first, facts(case, env))
            case.delete()
    return run


def pid_in(path):
    with open(path, encoding="ascii") as file:
        return int(file.read())


# -- rows whose effect the report does not show --

def outlives(mode, env):
    with Case(mode, faults=True) as case:
        started(case)
        pid_file = os.path.join(case.xdg, "pid")
        case.ok("exec", "-d", "--pid-file", pid_file, case.id(), "/probe", "sleep", "60", env=env,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        pid = pid_in(pid_file)
        time.sleep(0.05)
        alive = pid in proc.descendants()
        if alive:
            os.kill(pid, signal.SIGKILL)
            wait_for_orphan(pid)
        case.delete()
        check(alive, "it has died with bryo")


def hides_the_runtime(mode, env):
    with Case(mode, faults=True) as case:
        with open(case.binary, "rb") as file:
            if b"/ld-linux" in file.read(4096):
                raise Skip("a runtime that needs a dynamic loader cannot run in the image")
        started(case)
        result = case.call("exec", case.id(), "/proc/self/exe", "--version", env=env)
        case.delete()
        check("bryo version" not in result.out, "the payload runs bryo: %s", result)


def preserves_fds(mode, env):
    with Case(mode, faults=True) as case:
        started(case)

        def open_three():
            os.dup2(os.open("/dev/null", os.O_RDONLY), 3)
            os.set_inheritable(3, True)
        result = case.ok("exec", "--preserve-fds", "1", case.id(), "/probe", "fds", env=env,
                         preexec_fn=open_three, close_fds=False)
        case.delete()
        equal(result.out, "0\n1\n2\n3\n", "descriptors")


def raises_limits(mode, env):
    with open("/proc/self/status", encoding="ascii") as file:
        caps = [line.split()[1] for line in file if line.startswith("CapEff")][0]
    if mode != "root" or not int(caps, 16) & 1 << 24:
        raise Skip("raising a limit needs CAP_SYS_RESOURCE")
    with Case(mode, faults=True) as case:
        case.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 500, "hard": 900}]
        started(case)
        result = case.ok("exec", case.id(), "/probe", "facts", env=env, preexec_fn=lambda:
                         resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400)))
        case.delete()
        equal(json.loads(result.out)["rlimits"]["NOFILE"], [500, 900], "limits")


def has_terminal(mode, env):
    with Case(mode, faults=True) as case, ConsoleSocket(case) as console:
        started(case)
        pid_file = os.path.join(case.xdg, "pid")
        case.ok("exec", "-t", "-d", "--console-socket", console.path, "--pid-file", pid_file,
                case.id(), "/bin/sh", "-c", "read x", env=env,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        called = select.select([console.listener], [], [], 0)[0]
        check(called, "nobody called the console socket")
        os.write(console.receive(), b"x\n")
        wait_for_orphan(pid_in(pid_file))
        case.delete()


def profile_is_asked_for(mode, env):
    with Case(mode, faults=True) as case:
        path = fake(case)
        case.process["apparmorProfile"] = "my-profile"
        # Who enters looks for it inside.
        os.makedirs(case.bundle.inside(path))
        case.config["mounts"].append(bind(path, path))
        case.create(["/probe", "sleep", "60"], env={"BRYO_APPARMOR": path})
        case.ok("start", case.id())
        write(os.path.join(path, "exec"), "", 0o666)
        case.ok("exec", case.id(), "/probe", "exit", "0", env=dict(env, BRYO_APPARMOR=path))
        case.delete()
        equal(read(path), "exec my-profile", "what is written")


def label_is_asked_for(mode, env):
    with Case(mode, faults=True) as case:
        top = test_selinux.fake(case)
        case.process["selinuxLabel"] = test_selinux.PROCESS
        os.makedirs(case.bundle.inside(top))
        case.config["mounts"].append(bind(top, top))
        case.create(["/probe", "sleep", "60"], env={"BRYO_SELINUX": top})
        case.ok("start", case.id())
        write(os.path.join(top, "attr/exec"), "", 0o666)
        case.ok("exec", case.id(), "/probe", "exit", "0", env=dict(env, BRYO_SELINUX=top))
        case.delete()
        equal(test_selinux.read(top), test_selinux.PROCESS, "what is written")


EQUAL = equals_the_first(rich)
SPECIAL = {"outlive": outlives, "stub": hides_the_runtime, "fds": preserves_fds,
           "raise-limits": raises_limits, "terminal": has_terminal,
           "apparmor": profile_is_asked_for, "selinux": label_is_asked_for,
           "early-filter": equals_the_first(early)}


def holds_anyway(row, mode):
    return (row, mode) in HOLDS_ANYWAY or (row, None) in HOLDS_ANYWAY


def guard(row, mode):
    need_bryo()
    if holds_anyway(row, mode):
        raise Skip(HOLDS_ANYWAY.get((row, mode)) or HOLDS_ANYWAY[row, None])
    func = SPECIAL.get(row, EQUAL)
    func(mode, {})
    try:
        func(mode, {"BRYO_SKIP": row})
    except Failed:
        return
    raise Failed("the row %s can be left out of exec unnoticed" % row)


def register(row):
    def func(mode):
        guard(row, mode)
    func.__module__ = __name__
    test(*users.MODES, name="row %s of exec is guarded" % row)(func)


try:
    ROWS = [row.name for row in rows(True, "--exec") if row.side == "BOX"]
except (Failed, Skip, OSError):
    ROWS = []
for _row in ROWS:
    register(_row)


@test()
def names_are_in_the_table():
    """A guard of a row that was renamed would never be asked."""
    need_bryo()
    unknown = set(SPECIAL) | {row for row, _ in HOLDS_ANYWAY}
    equal(sorted(unknown - set(ROWS)), [], "rows that exec does not have")
