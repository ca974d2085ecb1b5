# SPDX-License-Identifier: Apache-2.0
"""process.apparmorProfile: on hosts that have AppArmor, and against a file (BRYO_APPARMOR)."""

import os

from lib import users
from lib.agent import Agent
from lib.bundle import write
from lib.case import Case, need_bryo
from lib.check import Skip, check, contains, equal, test, wait_until
from lib.view import seccomp

MODES = users.MODES


def enabled():
    try:
        with open("/sys/module/apparmor/parameters/enabled") as file:
            return file.read().startswith("Y")
    except OSError:
        return False


def fake(case):
    """A directory that stands for /proc/self/attr/apparmor; whoever may write to it."""
    path = case.make_dir("attr", 0o755)
    write(os.path.join(path, "exec"), "", 0o666)
    return path


def read(path):
    with open(os.path.join(path, "exec")) as file:
        return file.read()


def profile_is_asked_for(mode, env=None):
    """Guards the row: the kernel is told of the profile."""
    with Case(mode, faults=True) as case:
        path = fake(case)
        case.process["apparmorProfile"] = "my-profile"
        case.run_ok(["/probe", "exit", "0"], env=dict(env or {}, BRYO_APPARMOR=path))
        equal(read(path), "exec my-profile", "what is written")


@test(*MODES)
def who_asks(mode):
    """With and without the stub, and with a filter and its listener beside it."""
    need_bryo()
    for no_new_privs in (True, False):
        for rules in (None, seccomp()):
            with Case(mode, faults=True) as case:
                path = fake(case)
                case.process["noNewPrivileges"] = no_new_privs
                case.process["apparmorProfile"] = "a profile//&:ns:other"
                if rules:
                    case.linux["seccomp"] = rules
                report = case.report(("/probe", "probe", "one"), env={"BRYO_APPARMOR": path})
                equal(report["args"], ["/probe", "probe", "one"], "arguments")
                equal(sorted(map(int, report["fds"])), [0, 1, 2], "descriptors of the payload")
                equal(read(path), "exec a profile//&:ns:other", "what is written")


@test(*MODES)
def profile_beside_an_agent(mode):
    """The stub has both to do, the profile first."""
    need_bryo()
    with Case(mode, faults=True) as case:
        path = fake(case)
        case.process["apparmorProfile"] = "my-profile"
        case.linux["seccomp"] = dict(
            seccomp(), defaultAction="SCMP_ACT_NOTIFY", syscalls=[],
            listenerPath=os.path.join(case.dir, "agent"))
        with Agent(case.linux["seccomp"]["listenerPath"]) as agent:
            result = case.run_ok(["/probe", "echo", "hello"], env={"BRYO_APPARMOR": path})
            equal(result.out, "hello\n", "output")
            equal(agent.errors, [], "errors of the agent")
        equal(read(path), "exec my-profile", "what is written")


@test(*MODES)
def profile_of_a_created_container(mode):
    """The stub asks for it at the start, the last thing before the payload."""
    need_bryo()
    with Case(mode, faults=True) as case:
        path = fake(case)
        case.process["apparmorProfile"] = "my-profile"
        case.create(["/probe", "echo", "hello"], env={"BRYO_APPARMOR": path})
        equal(read(path), "", "what is written by create")
        case.ok("start", case.id())
        case.wait_status("stopped")
        equal(read(path), "exec my-profile", "what is written by start")
        case.delete()


@test(*MODES)
def profile_of_who_enters(mode):
    """The container's, or the one that is asked for."""
    need_bryo()
    for no_new_privs in (True, False):
        with Case(mode, faults=True) as case:
            # In the image: who enters sees nothing else.
            path = case.bundle.inside("attr")
            os.mkdir(path)
            write(os.path.join(path, "exec"), "", 0o666)
            env = {"BRYO_APPARMOR": "/attr"}
            case.process["noNewPrivileges"] = no_new_privs
            case.linux["seccomp"] = seccomp()
            case.process["apparmorProfile"] = "first"
            case.create(["/probe", "sleep", "60"], env={"BRYO_APPARMOR": path})
            case.ok("start", case.id())
            wait_until(lambda p=path: read(p), what="the first profile")
            for words, want in (([], "exec first"), (["--apparmor", "other"], "exec other")):
                write(os.path.join(path, "exec"), "", 0o666)
                case.ok("exec", *words, case.id(), "/probe", "exit", "0", env=env)
                equal(read(path), want, "what is written")
            case.delete()


@test(*MODES)
def profile_that_cannot_be_had(mode):
    """One line with the pointer; the payload does not run."""
    need_bryo()
    for no_new_privs in (True, False):
        with Case(mode, faults=True) as case:
            path = fake(case)
            os.unlink(os.path.join(path, "exec"))
            case.process["noNewPrivileges"] = no_new_privs
            if not no_new_privs:
                case.linux["seccomp"] = seccomp()
            case.process["apparmorProfile"] = "my-profile"
            result = case.run_fails(["/probe", "echo", "hello"], env={"BRYO_APPARMOR": path})
            equal((result.out, len(result.err.splitlines())), ("", 1), "output, lines of errors")
            contains(result.last_error(), "/process/apparmorProfile", "error")
            case.create(["/probe", "echo", "hello"], env={"BRYO_APPARMOR": path},
                        expect=no_new_privs)
            if no_new_privs:
                line = case.fails("start", case.id()).last_error()
                contains(line, "/process/apparmorProfile", "error of start")
                case.delete()


@test(*MODES)
def host_without_apparmor(mode):
    need_bryo()
    if enabled():
        raise Skip("this host has AppArmor")
    with Case(mode) as case:
        case.process["apparmorProfile"] = "unconfined"
        result = case.run_fails(["/probe", "exit", "0"])
        equal(len(result.err.splitlines()), 1, "lines of %r" % result.err)
        contains(result.last_error(),
                 "/process/apparmorProfile: AppArmor is not enabled on this host", "error")
        check(case.call("state", case.id()).rc != 0, "a container was left")


@test(*MODES)
def host_with_apparmor(mode):
    """Both ways, with the one profile that is always there."""
    need_bryo()
    if not enabled():
        raise Skip("this host has no AppArmor")
    for no_new_privs in (True, False):
        with Case(mode) as case:
            case.process["noNewPrivileges"] = no_new_privs
            case.process["apparmorProfile"] = "unconfined"
            result = case.run_ok(["/probe", "cat", "/proc/self/attr/apparmor/current"])
            contains(result.out, "unconfined", "profile")
            case.process["apparmorProfile"] = "bryo-tests-no-such-profile"
            line = case.run_fails(["/probe", "exit", "0"]).last_error()
            contains(line, "/process/apparmorProfile", "error")
