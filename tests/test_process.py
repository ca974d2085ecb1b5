# SPDX-License-Identifier: Apache-2.0
"""Descriptors, executables, ids, terminals and filters: F, C, T and S.

The numbers are those of the list of escape classes, as in test_paths.py.
"""

import hashlib
import json
import os
import pty
import re
import resource
import select
import shutil
import socket
import termios

from lib import proc
from lib.attack import peer
from lib.bundle import mount_of, write
from lib.case import Case, kind, need_bryo
from lib.check import Skip, check, contains, equal, test, wait_until
from lib.view import SECCOMP_ERRNO, seccomp

MODES = ("root", "rootless")
ALL = ("root", "userns", "rootless", "ranges")


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest(), os.stat(path).st_mode


def need_exec(case):
    """Skip while the runtime has no `exec`."""
    result = case.call("exec", case.id(), "/probe", "exit", "0")
    if result.rc != 0 and ("unknown command" in result.err or "supported" in result.err):
        raise Skip("no exec: " + result.last_error())
    check(result.rc == 0, "%s", result)


def running(case, args):
    case.create(args)
    case.ok("start", case.id())
    wait_until(lambda: "ready" in case.read_output(), what="the payload")


# -- F: descriptors and executables --

@test("root", "userns", "rootless")
def f1_exec_shows_nothing(mode):
    """F1: what `exec` brings into the container cannot be opened or traced."""
    with Case(mode) as case:
        running(case, ["/probe", "watch", "2"])
        need_exec(case)
        while "hits" not in case.read_output():
            case.call("exec", case.id(), "/probe", "exit", "0")
        contains(case.read_output(), "hits 0", "the watcher")
        case.delete()


@test("root", "userns", "rootless")
def f1_exec_has_nothing_in_its_hands(mode):
    """F1: a process that is killed while it comes in shows its descriptors as it dies."""
    with Case(mode) as case:
        # Whoever may trace everything there is in his own namespace.
        for kind in ("bounding", "effective", "permitted"):
            case.process["capabilities"][kind] = everything = [
                "CAP_KILL", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE"]
        check(everything, "capabilities")
        running(case, ["/probe", "snatch", "3"])
        while "hits" not in case.read_output():
            case.call("exec", case.id(), "/probe", "sleep", "1")
        check(int(re.search(r"kills (\d+)", case.read_output()).group(1)) > 0, "%s",
              case.read_output())
        contains(case.read_output(), "hits 0", "the snatcher")
        case.delete()


@test(*ALL)
def f1_exec_is_not_caught_before_its_filter(mode):
    """F1, C7: nobody traces the stub, though root inside may read every file there."""
    need_bryo()
    with Case(mode) as case:
        for kind_ in ("bounding", "effective", "permitted"):
            case.process["capabilities"][kind_] = [
                "CAP_KILL", "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE"]
        case.linux["seccomp"] = seccomp()
        running(case, ["/probe", "ambush", "2"])
        while "hits" not in case.read_output():
            case.call("exec", case.id(), "/probe", "exit", "0")
        contains(case.read_output(), "hits 0", "the ambush")
        case.delete()


@test("root")
def f1_exec_brings_little_along(mode):
    """F1: who may trace what enters, and has no user namespace, gains no more than it needs."""
    need_bryo()
    given, needed = {0, 1, 2, 5, 7, 19}, {6, 8}
    with Case(mode) as case:
        for kind_ in ("bounding", "effective", "permitted"):
            case.process["capabilities"][kind_] = [
                "CAP_CHOWN", "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETUID",
                "CAP_SYS_PTRACE"]
        del case.process["rlimits"]
        case.linux["seccomp"] = seccomp()
        running(case, ["/probe", "ambush", "2"])
        while "hits" not in case.read_output():
            case.call("exec", case.id(), "/probe", "exit", "0")
        found = re.findall(r"capabilities ([0-9a-f]{16})", case.read_output())
        check(found, "nobody was caught: %s", case.read_output())
        for text in found:
            caps = {bit for bit in range(64) if int(text, 16) & 1 << bit}
            equal(caps - given - needed, set(), "capabilities of who came in")
        case.delete()


def own_binary(case, mode):
    """A copy of the runtime that belongs to the caller, in a mode."""
    path = os.path.join(case.dir, "runtime-%o" % mode)
    shutil.copy(case.binary, path)
    os.chmod(path, mode)
    if os.geteuid() == 0:
        os.chown(path, case.who.uid, case.who.gid)
    return path


def install_thief(case):
    """The image's dynamic loaders are the thief; a script names it too."""
    for name in ("lib", "lib64"):
        os.makedirs(case.bundle.inside(name), exist_ok=True)
    for name in ("lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1"):
        shutil.copy(case.bundle.inside("/probe"), case.bundle.inside(name))
        os.chmod(case.bundle.inside(name), 0o755)
    write(case.bundle.inside("/script"), "#!/proc/self/exe steal\n", 0o755)


@test("root", "userns", "rootless")
def f2_the_runtime_cannot_be_overwritten(mode):
    """F2, CVE-2019-5736: a payload that is /proc/self/exe gets no write access."""
    for bits in (0o755, 0o777):
        with Case(mode) as case:
            case.binary = own_binary(case, bits)
            install_thief(case)
            before = digest(case.binary)
            for args in (["/proc/self/exe", "steal"], ["/script"],
                         ["/probe", "open", "w", "/proc/1/exe"]):
                created = case.create(args, expect=False)
                if created.rc == 0:
                    case.call("start", case.id())
                    wait_until(lambda: case.state()["status"] == "stopped", what="the end")
                case.call("delete", "--force", case.id())
                check("WRITABLE" not in case.read_output(), "%s: %s", args, case.read_output())
            equal(digest(case.binary), before, "the runtime's binary")


@test("root", "userns", "rootless")
def f2_exec_of_proc_self_exe(mode):
    """F2: the same through `exec`."""
    with Case(mode) as case:
        case.binary = own_binary(case, 0o755)
        install_thief(case)
        before = digest(case.binary)
        running(case, ["/probe", "trap"])
        need_exec(case)
        for args in (["/proc/self/exe", "steal"], ["/script"]):
            result = case.call("exec", case.id(), *args)
            check("WRITABLE" not in result.out, "%s: %s", args, result)
        case.delete()
        equal(digest(case.binary), before, "the runtime's binary")


@test("root", "userns", "rootless")
def f3_working_directory_stays_inside(mode):
    """F3, CVE-2024-21626: no descriptor of the runtime is a way out."""
    with Case(mode) as case:
        os.symlink("/proc/self/fd/7", case.bundle.inside("/out"))
        os.symlink("/proc/1/cwd", case.bundle.inside("/out1"))
        places = ["/proc/self/fd/%d" % n for n in range(3, 24)]
        places += ["/proc/1/cwd", "/proc/self/cwd", "/out", "/out1", "/proc/1/root/..", "/.."]
        fds = [os.open("/", os.O_RDONLY | os.O_DIRECTORY), os.open(case.dir, os.O_PATH)]
        try:
            for place in places:
                case.process["cwd"] = place
                result = case.run(["/probe", "facts"], pass_fds=fds)
                check(result.rc >= 0, "%s: %s", place, result)
                if result.rc == 0:
                    is_inside(json.loads(result.out), place)
        finally:
            for fd in fds:
                os.close(fd)


def is_inside(report, place):
    check(report["cwd"].startswith("/"), "%s: getcwd says %s", place, report["cwd"])
    check(not report["cwd"].startswith("(unreachable)"), "%s: %s", place, report["cwd"])
    equal(sorted(report["fds"]), ["0", "1", "2"], "descriptors with cwd " + place)


def many_fds():
    """200 descriptors of all kinds, and one above the soft limit."""
    fds = [os.open("/", os.O_RDONLY), os.open("/etc/passwd", os.O_PATH),
           os.memfd_create("x"), os.pidfd_open(os.getpid())]
    fds += [sock.detach() for sock in socket.socketpair()]
    fds.append(select.epoll().fileno())
    fds += list(os.pipe())
    while len(fds) < 200:
        fds.append(os.dup(fds[0]))
    return fds


@test(*ALL)
def f4_no_descriptor_is_inherited(mode):
    """F4: the caller's 200 descriptors stay outside, by number and by limit."""
    with Case(mode) as case:
        epoll = select.epoll()
        fds = many_fds() + [epoll.fileno()]
        fds = [fd for fd in fds if _is_open(fd)]

        def lower():
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            os.dup2(fds[0], 900)
            os.set_inheritable(900, True)
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            result = case.run(["/probe", "fds"], pass_fds=fds, preexec_fn=lower)
        finally:
            epoll.close()
            for fd in fds:
                if _is_open(fd):
                    os.close(fd)
        equal((result.rc, result.out), (0, "0\n1\n2\n"), "descriptors: " + result.err)


def _is_open(fd):
    try:
        os.fstat(fd)
        return True
    except OSError:
        return False


@test()
def f4_control_bwrap():
    """The control of F4: bwrap 0.8.0 hands the descriptors on."""
    path = peer("bwrap", ("0.8.0", "0.9.0", "0.10.0", "0.11.0"))
    with Case("root") as case:
        fd = os.open("/", os.O_RDONLY)
        result = proc.run([path, "--bind", case.bundle.rootfs, "/", "--unshare-pid",
                           "/probe", "fds"], pass_fds=[fd])
        os.close(fd)
        check(len(result.out.split()) > 3, "bwrap passed no descriptor: %s", result)


# -- C: ids and capabilities --

@test(*MODES)
def c2_ids_out_of_range(mode):
    """C2: 2^32-1 means "keep" to setresuid, and must not get there."""
    need_bryo("crun 1.8.1 runs as root then")
    for key in ("uid", "gid"):
        for value in (4294967295, 4294967296, -1, 2 ** 63, 2 ** 64):
            with Case(mode) as case:
                case.process["user"][key] = value
                case.run_fails(["/probe", "echo", "hello"])
    with Case(mode) as case:
        case.process["user"]["additionalGids"] = [4294967295]
        case.run_fails(["/probe", "echo", "hello"])


@test("userns", "rootless", "ranges")
def c2_ids_that_are_not_mapped(mode):
    """C2, C6: an id without a mapping is an error, not nobody."""
    with Case(mode) as case:
        case.process["user"]["uid"] = 3000000
        case.run_fails(["/probe", "echo", "hello"])
        case.process["user"] = {"uid": 0, "gid": 3000000}
        case.run_fails(["/probe", "echo", "hello"])


@test(*ALL)
def c4_absent_capabilities_are_none(mode):
    """C4: capabilities missing, null, empty, or with sets missing."""
    none = "%016x" % 0
    variants = ({}, None, "missing", {"effective": []}, {"permitted": [], "bounding": []},
                {"ambient": []})
    for value in variants:
        with Case(mode) as case:
            if value == "missing":
                del case.process["capabilities"]
            else:
                case.process["capabilities"] = value
            report = case.report(["/probe", "facts"])
            for name, got in report["caps"].items():
                equal(got, none, "%s set with %r" % (name, value))


@test("root", "userns")
def c5_groups_of_the_caller(mode):
    """C5: a caller with 64 groups; inside exactly the list that is asked."""
    for asked in ([], [5, 6, 7]):
        with Case(mode) as case:
            case.process["user"]["additionalGids"] = asked
            report = case.report(["/probe", "facts"], extra_groups=list(range(700, 764)))
            equal(sorted(report["groups"]), asked, "groups")


@test("userns")
def c6_many_map_lines(mode):
    """C6: maps of up to 340 lines arrive whole and in order."""
    for count in (1, 2, 5, 6, 100, 340):
        with Case(mode) as case:
            # Short numbers: the kernel takes less than a page of text.
            lines = [{"containerID": n, "hostID": 70000 + n * 2, "size": 1}
                     for n in range(count)]
            case.linux["uidMappings"] = case.linux["gidMappings"] = lines
            mount_of(case.config, "/dev/pts")["options"].remove("gid=5")
            report = case.report(["/probe", "facts"])
            want = [[m["containerID"], m["hostID"], m["size"]] for m in lines]
            for name in ("uid_map", "gid_map"):
                got = [list(map(int, line.split())) for line in report[name].splitlines()]
                equal(got, want, "%s of %d lines" % (name, count))


@test("userns")
def c6_maps_that_cannot_be(mode):
    """C6: overlapping, empty, overflowing and too many lines are refused."""
    first = {"containerID": 0, "hostID": 500000000, "size": 10}
    bad = ([], [first, dict(first)], [dict(first, size=0)], [dict(first, size=4294967296)],
           [dict(first, hostID=4294967290)],
           [{"containerID": n, "hostID": 500000000 + n, "size": 1} for n in range(341)])
    for lines in bad:
        with Case(mode) as case:
            case.linux["uidMappings"] = case.linux["gidMappings"] = lines
            mount_of(case.config, "/dev/pts")["options"].remove("gid=5")
            case.run_fails(["/probe", "echo", "hello"])


@test(*ALL)
def c7_exec_equals_run(mode):
    """C7, C3: what `exec` sees is what the payload sees."""
    same = ("uid", "gid", "groups", "caps", "no_new_privs", "seccomp", "rlimits", "umask",
            "hostname", "namespaces", "cgroup", "uid_map", "gid_map", "oom_score_adj",
            "signals", "cwd", "env", "fds", "nice", "scheduler", "ioprio", "mempolicy",
            "mempolicy_nodes", "personality", "cpus")
    with Case(mode) as case:
        case.linux["seccomp"] = seccomp()
        case.process["oomScoreAdj"] = 222
        case.process["user"]["umask"] = 0o027
        if kind() == "bryo":
            case.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 3}
            case.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}
            case.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0"}
            case.linux["personality"] = {"domain": "LINUX32"}
        case.create(["/bin/sh", "-c", "/probe facts >/report; echo ready; /probe sleep 60"])
        case.ok("start", case.id())
        wait_until(lambda: "ready" in case.read_output(), what="the payload")
        need_exec(case)
        inside = json.loads(case.ok("exec", case.id(), "/probe", "facts").out)
        with open(case.bundle.inside("/report")) as file:
            first = json.load(file)
        case.delete()
        for name in same:
            if name == "env":
                first[name] = [e for e in first[name] if e.split("=")[0] not in (
                    "PWD", "SHLVL", "OLDPWD", "_")]
                # The shell of the first one has sorted it.
                first[name], inside[name] = sorted(first[name]), sorted(inside[name])
            if name == "fds":
                first[name], inside[name] = sorted(first[name]), sorted(inside[name])
            equal(inside[name], first[name], name)


# -- T: terminals --

@test(*MODES)
def t1_the_callers_terminal(mode):
    """T1, T3: the payload cannot push input into the terminal of the caller."""
    with Case(mode) as case:
        case.save(["/probe", "tiocsti", "x"])
        try:
            master, slave = pty.openpty()
        except OSError as why:
            raise Skip("no terminal: %s" % why) from None
        try:
            os.set_blocking(master, False)
            before = termios.tcgetattr(slave)

            def own_terminal():
                os.setsid()
                # The first terminal that a session leader opens is its own.
                os.close(os.open(os.ttyname(0), os.O_RDWR))
            if os.geteuid() == 0:
                os.chown(os.ttyname(slave), case.who.uid, case.who.gid)
            child = case.start("run", "-b", case.bundle.path, case.id(), stdin=slave,
                               stdout=-1, stderr=-1, preexec_fn=own_terminal)
            result = proc.finish(child)
            os.set_blocking(slave, False)
            try:
                pushed = os.read(slave, 100)
            except BlockingIOError:
                pushed = b""
            equal(termios.tcgetattr(slave), before, "settings of the terminal")
        finally:
            os.close(master)
            os.close(slave)
        equal(pushed, b"", "input of the caller's terminal")
        check(result.rc == 0, "%s", result)
        check("0 ok" not in result.out and "t ok" not in result.out and "tty ok" not in result.out,
              "the payload's tries: %s", result.out)


# -- S: filters --

VALUES = (0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1,
          2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1)
OPERATORS = {
    "SCMP_CMP_NE": lambda a, b: a != b, "SCMP_CMP_LT": lambda a, b: a < b,
    "SCMP_CMP_LE": lambda a, b: a <= b, "SCMP_CMP_EQ": lambda a, b: a == b,
    "SCMP_CMP_GE": lambda a, b: a >= b, "SCMP_CMP_GT": lambda a, b: a > b,
}


def seek_filter(*conditions):
    rules = seccomp()
    rules["syscalls"] = [{"names": ["lseek"], "action": "SCMP_ACT_ERRNO",
                          "errnoRet": SECCOMP_ERRNO, "args": list(conditions)}]
    return rules


def seeks(case, rules, values):
    """Was the call filtered?  One answer per value."""
    case.linux["seccomp"] = rules
    lines = case.run_ok(["/probe", "seek"] + [str(v) for v in values]).out.split()
    check(set(lines) <= {"EBADF", "EADDRNOTAVAIL"}, "answers: %s", lines)
    return [line == "EADDRNOTAVAIL" for line in lines]


@test(*MODES)
def s1_comparisons_have_64_bits(mode):
    """S1, CVE-2019-9893: every operator at the edges of 32 and 64 bits."""
    with Case(mode) as case:
        for name, holds in OPERATORS.items():
            for datum in (0, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 63, 2 ** 64 - 1):
                rules = seek_filter({"index": 1, "value": datum, "op": name})
                if datum in (0, 2 ** 64 - 1) and name in ("SCMP_CMP_LT", "SCMP_CMP_GT"):
                    continue  # never true: a library may refuse the rule
                equal(seeks(case, rules, VALUES), [holds(v, datum) for v in VALUES],
                      "%s %#x" % (name, datum))


@test(*MODES)
def s1_masked_comparison(mode):
    """S1: the seventh operator: mask in `value`, datum in `valueTwo`."""
    with Case(mode) as case:
        for bits, datum in ((0xffffffff, 1), (1 << 63, 1 << 63), (0xf0, 0)):
            rules = seek_filter({"index": 1, "value": bits, "valueTwo": datum,
                                 "op": "SCMP_CMP_MASKED_EQ"})
            equal(seeks(case, rules, VALUES), [v & bits == datum for v in VALUES],
                  "mask %#x" % bits)


@test(*MODES)
def s3_conditions_are_anded(mode):
    """S3: two conditions of one rule must both hold."""
    with Case(mode) as case:
        rules = seek_filter({"index": 1, "value": 5, "op": "SCMP_CMP_EQ"},
                            {"index": 2, "value": 1, "op": "SCMP_CMP_EQ"})
        equal(seeks(case, rules, ["5,1", "5,0", "4,1", "4,0"]), [True, False, False, False],
              "filtered")


@test(*MODES)
def s5_filters_are_not_mixed_up(mode):
    """S5: another rule is another filter, whatever is cached."""
    with Case(mode) as case:
        for datum in (1, 2, 1, 3):
            rules = seek_filter({"index": 1, "value": datum, "op": "SCMP_CMP_EQ"})
            equal(seeks(case, rules, [1, 2, 3]), [v == datum for v in (1, 2, 3)],
                  "filtered with %d" % datum)


@test(*MODES)
def s5_unknown_names_in_filters(mode):
    """An unknown name may be ignored where it would be allowed, never else."""
    need_bryo("others ignore it everywhere")
    with Case(mode) as case:
        case.linux["seccomp"] = dict(seccomp(), syscalls=[
            {"names": ["no_such_call"], "action": "SCMP_ACT_ALLOW"}])
        equal(case.run(["/probe", "exit", "0"]).rc, 0, "unknown name that is allowed")
