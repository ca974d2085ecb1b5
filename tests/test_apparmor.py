# SPDX-License-Identifier: Apache-2.0
"""process.apparmorProfile: on hosts that have AppArmor, and against a file (BRYO_APPARMOR)."""

import json
import os
import shutil
import subprocess

from lib import proc, users
from lib.agent import Agent
from lib.bundle import TOP, write
from lib.case import Case, need_bryo, need_busybox
from lib.check import Failed, Skip, check, contains, equal, test, wait_until
from lib.view import seccomp
from test_terminal import ConsoleSocket, read_until

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


# -- on a host that has it --

PROFILES = os.path.join(TOP, "tests/apparmor/profiles")
ONE, TWO = "bryo-tests-one", "bryo-tests-two"
MISSING = "bryo-tests-no-such-profile"
FILES = ("one", "two", "inner", "far")
#: What is read of the files is told by their names; the first line is the profile.
LOOK = "cat /proc/self/attr/apparmor/current; for f in %s; do cat /$f; done 2>/dev/null; true" % (
    " ".join(FILES))

_loaded = []


def is_loaded(profile):
    """Nothing changes: "permprofile" asks whether it could. Who is confined himself is told no."""
    try:
        with open("/proc/self/attr/apparmor/current", "w") as file:
            file.write("permprofile " + profile)
    except FileNotFoundError:
        return False
    return True


def need_profiles():
    """Root loads them, once; they stay, as the user of the tests does."""
    need_busybox()
    if not enabled():
        raise Skip("this host has no AppArmor")
    if not _loaded and os.geteuid() == 0 and shutil.which("apparmor_parser"):
        result = proc.run(["apparmor_parser", "-r", "-K", "-q", PROFILES])
        check(result.rc == 0, "%s", result)
        _loaded.append(True)
    if not is_loaded(ONE):
        raise Skip("the profiles are not loaded: apparmor_parser -r tests/apparmor/profiles, as root")


def confined(mode, profile=ONE, **kwargs):
    """A case whose payload looks what it may."""
    case = Case(mode, args=("/bin/sh", "-c", LOOK), **kwargs)
    case.profile = profile
    return case


def furnish(case):
    for name in FILES:
        write(case.bundle.inside(name), name + "\n")
    if case.profile is not None:
        case.process["apparmorProfile"] = case.profile


def seen(profile, *denied):
    """The output of LOOK: its profile, and what is left of the files."""
    first = profile if profile == "unconfined" else profile + " (enforce)"
    return [first] + [name for name in FILES if name not in denied]


def ways():
    """(no_new_privs, filter): the first without, with a filter, is the one without the stub."""
    return [(no_new_privs, rules) for no_new_privs in (False, True) for rules in (seccomp(), None)]


def ask(case, no_new_privs, rules):
    case.process["noNewPrivileges"] = no_new_privs
    case.linux.pop("seccomp", None)
    if rules:
        case.linux["seccomp"] = rules


def confines(mode, env=None, faults=False):
    """What the profile denies is denied in it, and is not without."""
    for no_new_privs, rules in ways():
        with confined(mode, faults=faults) as case:
            furnish(case)
            ask(case, no_new_privs, rules)
            equal(case.run_ok(env=env).out.split("\n")[:-1], seen(ONE, "one"), "in the profile")
            del case.process["apparmorProfile"]
            equal(case.run_ok(env=env).out.split("\n")[:-1], seen("unconfined"), "without")


@test(*MODES)
def confined_by_run(mode):
    need_profiles()
    confines(mode)


@test(*MODES)
def confinement_is_noticed(mode):
    """Guards the row, in the kernel's words: left out, the tests here fail."""
    need_bryo()
    need_profiles()
    confines(mode, faults=True)
    try:
        confines(mode, {"BRYO_SKIP": "apparmor"}, faults=True)
    except Failed as why:
        contains(str(why), "unconfined", "what is noticed")
        return
    raise Failed("the row can be left out unnoticed")


@test(*("%s, %s" % (name, mode) for name in ("crun", "runc") for mode in ("root", "rootless")))
def control_of_other_runtimes(which):
    """The same bundle, the same profile: the same is seen."""
    need_profiles()
    name, mode = which.split(", ")
    if not shutil.which(name):
        raise Skip(name + " is not installed")
    for profile, want in ((ONE, seen(ONE, "one")), ("unconfined", seen("unconfined")),
                          (ONE + "//inner", seen(ONE + "//inner", "inner"))):
        for runtime in (None, shutil.which(name)):
            with confined(mode, profile, runtime=runtime) as case:
                furnish(case)
                equal(case.run_ok().out.split("\n")[:-1], want, "%s: %s" % (runtime, profile))
    with confined(mode, MISSING, runtime=shutil.which(name)) as case:
        furnish(case)
        check(case.create(expect=False).rc != 0, "created without its profile")
        case.call("delete", "--force", case.id())


@test(*MODES)
def confined_by_create_and_exec(mode):
    """The container's profile for those who enter, or the one that is asked for."""
    need_profiles()
    for no_new_privs, rules in ways():
        with confined(mode) as case:
            furnish(case)
            ask(case, no_new_privs, rules)
            case.create(["/bin/sh", "-c", LOOK + "; sleep 60"])
            equal(case.read_output(), "", "output before the start")
            case.ok("start", case.id())
            wait_until(lambda c=case: len(c.read_output().split()) >= 5, what="the output")
            equal(case.read_output().split("\n")[:-1], seen(ONE, "one"), "of the first process")
            for words, want in (([], seen(ONE, "one")), (["--apparmor", TWO], seen(TWO, "two"))):
                out = case.ok("exec", *words, case.id(), "/bin/sh", "-c", LOOK).out
                equal(out.split("\n")[:-1], want, "exec %s" % words)
            is_told(case.fails("exec", "--apparmor", MISSING, case.id(), "/bin/true").err)
            case.delete()


@test(*MODES)
def who_enters_chooses(mode):
    """An empty profile is none that is asked for: the container's."""
    need_profiles()
    with confined(mode) as case:
        furnish(case)
        case.create(["/bin/sleep", "60"])
        case.ok("start", case.id())
        own = seen(ONE, "one")
        for words, want in ((["--apparmor", ""], own),
                            (["--apparmor", "unconfined"], seen("unconfined"))):
            out = case.ok("exec", *words, case.id(), "/bin/sh", "-c", LOOK).out
            equal(out.split("\n")[:-1], want, "exec %s" % words)
        for profile, want in ((None, own), ("", own), (TWO, seen(TWO, "two"))):
            process = dict(case.process, args=["/bin/sh", "-c", LOOK], apparmorProfile=profile)
            if profile is None:
                del process["apparmorProfile"]
            path = os.path.join(case.dir, "process.json")
            write(path, json.dumps(process))
            out = case.ok("exec", "--process", path, case.id()).out
            equal(out.split("\n")[:-1], want, "exec with %r" % profile)
        case.delete()


def is_told(text):
    equal(len(text.splitlines()), 1, "lines of %r" % text)
    contains(text, "/process/apparmorProfile: change to the profile " + MISSING, "error")
    contains(text, "it is not loaded", "error")


@test(*MODES)
def profile_that_is_not_loaded(mode):
    """One line with the pointer, by `create` and not only by `start`; and nothing is left."""
    need_bryo()
    need_profiles()
    for no_new_privs, rules in ways():
        with confined(mode, MISSING) as case:
            furnish(case)
            ask(case, no_new_privs, rules)
            result = case.run_fails()
            equal(result.out, "", "output")
            is_told(result.err)
            is_told(case.create(expect=False).err)
            case.clean("after create")
            result = case.call("validate", "--host", case.bundle.path)
            check(result.rc != 0, "valid: %s", result)
            contains(result.out + result.err, "/process/apparmorProfile", "findings")
            contains(result.out + result.err, MISSING, "findings")
            case.process["apparmorProfile"] = ONE
            case.save()
            equal(case.ok("validate", "--host", case.bundle.path).out.split()[-1], "valid", "of " + ONE)


@test(*MODES)
def names_of_profiles(mode):
    """Children, stacks and policy namespaces are the kernel's matter: as given."""
    need_profiles()
    both = ONE + "//&" + TWO
    for profile, want in (("unconfined", seen("unconfined")), ("", seen("unconfined")),
                          (ONE + "//inner", seen(ONE + "//inner", "inner")),
                          (both, seen(both, "one", "two")),
                          (":bryo-tests:bryo-tests-far", seen("bryo-tests-far", "far"))):
        for no_new_privs, rules in ways()[:3:2]:
            with confined(mode, profile) as case:
                furnish(case)
                ask(case, no_new_privs, rules)
                lines = case.run_ok().out.split("\n")[:-1]
                if "//&" in profile:
                    # In the kernel's order.
                    lines[0] = "//&".join(sorted(lines[0].split(" ")[0].split("//&"))) + " (enforce)"
                equal(lines, want, profile)


@test(*MODES)
def payload_dies_with_bryo(mode):
    """The kernel forgets PR_SET_PDEATHSIG when the profile changes."""
    need_profiles()
    need_bryo()
    for no_new_privs, rules in ways()[:3:2]:
        for env in ({}, {"BRYO_SKIP": "watch"}):
            with confined(mode, faults=True) as case:
                furnish(case)
                ask(case, no_new_privs, rules)
                case.save(["/bin/sleep", "100"])
                with case.start("run", "-b", case.bundle.path, case.id(), env=env,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as job:
                    record = os.path.join(case.root, case.id(), "record")
                    wait_until(lambda r=record: os.path.exists(r), what="the record")
                    case.wait_status("running")
                    pid = case.state()["pid"]
                    wait_until(lambda p=pid: ONE in profile_of(p), what="the payload")
                    job.kill()
                if env:
                    equal(case.state()["status"], "running", "status without the watcher")
                else:
                    case.wait_status("stopped")
                case.delete()


def profile_of(pid):
    try:
        with open("/proc/%d/attr/apparmor/current" % pid) as file:
            return file.read().strip()
    except OSError:
        return ""


@test(*MODES)
def confined_beside_an_agent(mode):
    need_bryo()
    need_profiles()
    with confined(mode) as case:
        furnish(case)
        case.linux["seccomp"] = dict(
            seccomp(), defaultAction="SCMP_ACT_NOTIFY", syscalls=[],
            listenerPath=os.path.join(case.dir, "agent"))
        with Agent(case.linux["seccomp"]["listenerPath"]) as agent:
            equal(case.run_ok().out.split("\n")[:-1], seen(ONE, "one"), "in the profile")
            equal(agent.errors, [], "errors of the agent")


@test(*MODES)
def bryo_in_a_profile(mode):
    """One without rules is as none; one that does not allow the change makes it an error."""
    need_bryo()
    need_profiles()
    if not shutil.which("aa-exec"):
        raise Skip("no aa-exec")
    for no_new_privs, rules in ways():
        for runtime in ("bryo-tests-runtime", "bryo-tests-narrow"):
            with confined(mode) as case:
                furnish(case)
                ask(case, no_new_privs, rules)
                case.save()
                result = proc.run(["aa-exec", "-p", runtime, "--"] +
                                  case.argv("run", "-b", case.bundle.path, case.id()),
                                  **case.options())
                if runtime == "bryo-tests-runtime":
                    equal((result.err, result.out.split("\n")[:-1]), ("", seen(ONE, "one")), runtime)
                    continue
                check(result.rc != 0 and result.out == "", "%s", result)
                equal(len(result.err.splitlines()), 1, "lines of %r" % result.err)
                contains(result.err, "/process/apparmorProfile: change to the profile " + ONE, "error")


@test(*MODES)
def terminal_in_a_profile(mode):
    need_bryo()
    need_profiles()
    with confined(mode) as case, ConsoleSocket(case) as console:
        furnish(case)
        case.process["terminal"] = True
        case.save(["/bin/sh", "-c", LOOK + "; read x"])
        case.ok("create", "--console-socket", console.path, "-b", case.bundle.path, case.id())
        fd = console.receive()
        case.ok("start", case.id())
        text = read_until(fd, "far")
        equal(text.replace("\r", "").split(), seen(ONE, "one")[0].split() + seen(ONE, "one")[1:],
              "on the terminal")
        os.write(fd, b"\n")
        case.wait_status("stopped")
        case.delete()


@test(*MODES)
def hooks_in_the_container(mode):
    """Those of startContainer are programs of the image: they get the payload's profile."""
    need_profiles()
    for no_new_privs, rules in ways():
        with confined(mode) as case:
            furnish(case)
            ask(case, no_new_privs, rules)
            words = "cat /proc/self/attr/apparmor/current /proc/%d/attr/apparmor/current >/tmp/%s"
            hooks = case.config["hooks"] = {
                "startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", words % (1, "start")]}]}
            equal(case.run_ok().out.split("\n")[:-1], seen(ONE, "one"), "of the payload")
            with open(case.bundle.inside("/tmp/start")) as file:
                equal(file.read().split("\n"), [ONE + " (enforce)", "unconfined", ""],
                      "of the hook, and of its container then")
            hooks["startContainer"][0]["args"][2] = "cat /one"
            contains(case.run_fails().err, "/hooks/startContainer/0", "error of a hook that is denied")


@test(*MODES)
def profile_that_allows_no_signal(mode):
    """Who is told so; and where there is a cgroup, `delete` needs none."""
    need_bryo()
    need_profiles()
    with confined(mode, "bryo-tests-deaf") as case:
        furnish(case)
        case.create(["/bin/sleep", "2"])
        case.ok("start", case.id())
        wait_until(lambda: "deaf" in profile_of(case.state()["pid"]), what="the payload")
        for words in (["kill", case.id(), "KILL"], ["delete", "--force", case.id()]):
            line = case.fails(*words).last_error()
            contains(line, "ermission denied (a security module forbids it", " ".join(words))
        case.wait_status("stopped")
        case.delete()
        if mode not in ("root", "userns"):
            return
        case.linux["cgroupsPath"] = "/%s/box" % case.marker
        case.create(["/bin/sleep", "100"])
        case.ok("start", case.id())
        wait_until(lambda: "deaf" in profile_of(case.state()["pid"]), what="the payload")
        case.fails("kill", case.id(), "KILL")
        case.delete()
