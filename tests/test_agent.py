# SPDX-License-Identifier: Apache-2.0
"""SCMP_ACT_NOTIFY: an agent of our own is handed the listener and answers."""

import errno
import json
import os
import signal
import socket

from lib import proc, users
from lib.agent import Agent, number
from lib.case import Case, need_bryo, need_busybox
from lib.check import check, contains, equal, test, wait_until
from lib.view import seccomp

MODES = users.MODES
METADATA = "text for the agent: \u00e9 \"quoted\""


def ask(case, *names, **members):
    """A filter that asks about the calls, and the agent's socket."""
    rules = seccomp()
    rules["syscalls"] = [{"names": list(names), "action": "SCMP_ACT_NOTIFY"}] if names else []
    rules["listenerPath"] = os.path.join(case.dir, "agent")
    rules.update(members)
    case.linux["seccomp"] = rules
    return rules["listenerPath"]


def deny_hostname():
    return {number("sethostname"): (0, errno.EADDRNOTAVAIL)}


def check_state(agent, case, status):
    equal(agent.errors, [], "errors of the agent")
    equal(len(agent.states), 1, "states sent")
    state = agent.states[0]
    equal((state["fds"], state["metadata"]), (["seccompFd"], METADATA), "fds, metadata")
    equal(len(agent.fds), 1, "descriptors sent")
    equal((state["state"]["id"], state["state"]["status"]), (case.id(), status), "id, status")
    equal(state["state"]["bundle"], case.bundle.path, "bundle")
    equal(state["state"]["annotations"], {"org.example.key": "value"}, "annotations")
    equal(state["state"]["pid"], state["pid"], "pid")
    check(state["pid"] > 1, "pid %s", state["pid"])
    check(state["ociVersion"].startswith("1."), "version %s", state["ociVersion"])


def both_filters(func):
    """With no_new_privs the stub installs the filter, without it bryo does."""
    def run(mode):
        for no_new_privs in (True, False):
            need_bryo()
            with Case(mode) as case:
                case.process["noNewPrivileges"] = no_new_privs
                case.config["annotations"] = {"org.example.key": "value"}
                func(case)
    run.__name__ = func.__name__
    run.__module__ = func.__module__
    run.__doc__ = func.__doc__
    test(*MODES)(run)
    return func


@both_filters
def agent_answers(case):
    path = ask(case, "sethostname", listenerMetadata=METADATA)
    with Agent(path, deny_hostname()) as agent:
        report = case.report()
        equal(report["attempts"]["sethostname"], "EADDRNOTAVAIL", "the agent's answer")
        equal((report["seccomp"], report["seccomp_filters"]), (2, 1), "mode, filters")
        equal(sorted(map(int, report["fds"])), [0, 1, 2], "descriptors of the payload")
        equal(agent.calls, [number("sethostname")], "calls")
        check_state(agent, case, "creating")


@both_filters
def agent_of_a_created_container(case):
    early = not case.process["noNewPrivileges"]
    path = ask(case, "sethostname", listenerMetadata=METADATA)
    with Agent(path, deny_hostname()) as agent:
        case.create(["/probe"])
        if early:
            wait_until(lambda: agent.states, what="the state")
        equal(len(agent.states), 1 if early else 0, "states sent by create")
        case.ok("start", case.id())
        case.wait_status("stopped")
        equal(json.loads(case.read_output())["attempts"]["sethostname"], "EADDRNOTAVAIL",
              "the agent's answer")
        check_state(agent, case, "creating" if early else "created")
        case.delete()


@both_filters
def every_call_is_asked_about(case):
    """No call is made between the filter and the agent's having it."""
    path = ask(case, defaultAction="SCMP_ACT_NOTIFY", flags=[
        "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])
    with Agent(path) as agent:
        result = case.run_ok(["/probe", "echo", "hello"])
        equal(result.out, "hello\n", "output")
        check(number("execve") in agent.calls, "execve was not asked about")
        check(number("exit_group") in agent.calls, "exit_group was not asked about")
        equal(agent.errors, [], "errors of the agent")


@both_filters
def agent_outlives_bryo(case):
    """--detach: the agent answers when bryo is gone."""
    path = ask(case, "sethostname")
    with Agent(path, deny_hostname()):
        case.save(["/probe", "sleep", "100"])
        case.ok("run", "-d", "-b", case.bundle.path, case.id(), stdin=None,
                stdout=None, stderr=None)
        equal(case.state()["status"], "running", "status")
        case.delete()


@both_filters
def agent_of_who_enters(case):
    """A state of its own, with its pid beside the container's."""
    path = ask(case, "sethostname", listenerMetadata=METADATA)
    with Agent(path, deny_hostname()) as agent:
        case.create(["/probe", "sleep", "60"])
        case.ok("start", case.id())
        wait_until(lambda: agent.states, what="the first state")
        report = json.loads(case.ok("exec", case.id(), "/probe").out)
        equal(report["attempts"]["sethostname"], "EADDRNOTAVAIL", "the agent's answer")
        equal(len(agent.states), 2, "states sent")
        state = agent.states[1]
        equal((state["state"]["status"], state["metadata"]), ("running", METADATA), "status")
        equal(state["state"]["pid"], case.state()["pid"], "pid of the container")
        check(state["pid"] != state["state"]["pid"], "the process is not the first one")
        case.delete()


@both_filters
def nobody_is_left_inside(case):
    """The helper that bryo needs without no_new_privs has ended, and been reaped."""
    path = ask(case, "sethostname")
    with Agent(path, deny_hostname()):
        for _ in range(10):
            listing = case.run_ok(["/probe", "ls", "/proc"]).out.split()
            equal([name for name in listing if name.isdigit()], ["1"], "processes")


@both_filters
def hooks_beside_an_agent(case):
    """Rows behind the filter wait for their own children still."""
    need_busybox()
    case.config["hooks"] = {"startContainer": [
        {"path": "/bin/sh", "args": ["sh", "-c", "exit 0"]}]}
    path = ask(case, "sethostname")
    with Agent(path, deny_hostname()):
        case.run_ok(["/probe", "exit", "0"])
        case.config["hooks"]["startContainer"][0]["args"][2] = "exit 3"
        contains(case.run_fails(["/probe", "exit", "0"]).last_error(), "exit status 3", "error")


@both_filters
def large_states_arrive_whole(case):
    case.config["annotations"] = {"key%d" % n: "x" * 60000 for n in range(20)}
    path = ask(case, "sethostname")
    with Agent(path, deny_hostname()) as agent:
        case.run_ok(["/probe", "exit", "0"])
        wait_until(lambda: agent.states, what="the state")
        equal(agent.states[0]["state"]["annotations"], case.config["annotations"], "annotations")


@both_filters
def long_paths_of_the_socket(case):
    directory = case.make_dir("d" * 120)
    path = ask(case, "sethostname", listenerPath=os.path.join(directory, "agent"))
    os.symlink(directory, os.path.join(case.dir, "short"))
    with Agent(os.path.join(case.dir, "short", "agent"), deny_hostname()) as agent:
        case.run_ok(["/probe", "exit", "0"])
        wait_until(lambda: agent.states, what="the state for %s" % path)


@both_filters
def path_is_ignored_without_notify(case):
    ask(case, listenerPath="not/even/absolute")
    equal(case.run_ok(["/probe", "echo", "hello"]).out, "hello\n", "output")


@both_filters
def no_agent(case):
    """One line with the pointer; the payload has not run."""
    path = ask(case, "sethostname")
    for what in ("missing", "deaf", "file"):
        if what == "deaf":
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
                deaf.bind(path)
            os.chmod(path, 0o777)
        elif what == "file":
            os.unlink(path)
            with open(path, "w"):
                os.chmod(path, 0o777)
        result = case.run_fails(["/probe", "echo", "hello"])
        equal(result.out, "", "output: " + what)
        equal(len(result.err.splitlines()), 1, "lines of %r" % result.err)
        contains(result.last_error(), "/linux/seccomp/listenerPath", what)
        check(case.call("state", case.id()).rc != 0, "%s: a container was left", what)


@test(*MODES)
def start_without_an_agent(mode):
    """The container does not run without one, whoever asks."""
    need_bryo()
    with Case(mode) as case:
        ask(case, "sethostname")
        case.create(["/probe", "echo", "hello"])
        line = case.fails("start", case.id()).last_error()
        contains(line, "/linux/seccomp/listenerPath", "error")
        wait_until(lambda: case.state()["status"] == "stopped", what="the end of the container")
        equal(case.read_output(), "", "output")
        case.delete()


@test("root", "rootless")
def wrong_values(mode):
    need_bryo()
    with Case(mode) as case:
        for members, pointer in (
                ({"listenerPath": "relative"}, "/linux/seccomp/listenerPath"),
                ({"listenerPath": None}, "/linux/seccomp/listenerPath"),
                ({"listenerPath": None, "defaultAction": "SCMP_ACT_NOTIFY"},
                 "/linux/seccomp/listenerPath"),
                ({"listenerPath": None, "syscalls": [], "listenerMetadata": "x"},
                 "/linux/seccomp/listenerMetadata")):
            ask(case, "sethostname", **members)
            result = case.run_fails(["/probe", "exit", "0"])
            equal(len(result.err.splitlines()), 1, "lines of %r" % result.err)
            contains(result.last_error(), pointer, str(members))


@test("root", "rootless")
def agent_that_is_silent(mode):
    """execve waits for an answer that does not come: bryo ends when it is asked to."""
    need_bryo()
    with Case(mode) as case, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(ask(case, "execve"))
        os.chmod(case.linux["seccomp"]["listenerPath"], 0o777)
        listener.listen(1)
        listener.settimeout(10)
        case.save(["/probe", "exit", "0"])
        child = case.start("run", "-b", case.bundle.path, case.id(), stdout=-1, stderr=-1)
        with listener.accept()[0] as peer:
            data, fds, _, _ = socket.recv_fds(peer, 65536, 1)
            check(data and fds, "no listener was sent")
            child.send_signal(signal.SIGTERM)
            try:
                result = proc.finish(child, timeout=5)
            finally:
                os.close(fds[0])
        equal(result.rc, 128 + signal.SIGTERM, "status")
        contains(result.last_error(), "interrupted by signal 15", "error")
        equal(os.listdir(case.root), [], "state")
