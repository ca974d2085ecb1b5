# SPDX-License-Identifier: Apache-2.0
"""The process: what it is, what it may, and how it is treated."""

import os
import re
import select
import subprocess

from lib import proc
from lib.bundle import CAPS, PATH, write
from lib.case import need_busybox
from lib.check import Skip, check, contains, equal
from oci.frame import DELETE, Box, claim, elsewhere, many_ids, need_stand_in, proves, refuses, sees
from test_selinux import enabled as has_selinux
from test_selinux import fake as fake_selinux
from test_selinux import read as read_label
from test_terminal import ConsoleSocket, read_until, with_terminal

SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")
BITS = {"CAP_KILL": 5, "CAP_NET_BIND_SERVICE": 10, "CAP_AUDIT_WRITE": 29, "CAP_SYS_TIME": 25}
PR_CAPBSET_DROP, PR_SET_SECUREBITS = 24, 28


# -- terminal --

def terminal_says(mode, script, end, size=None):
    """What a shell on a terminal prints, until the end."""
    need_busybox()
    with Box(mode) as box, ConsoleSocket(box) as console:
        with_terminal(box, ["/bin/sh", "-c", script + "; echo " + end], size)
        box.ok("create", "-b", box.bundle.path, "--console-socket", console.path, box.id(),
               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        check(select.select([console.listener], [], [], 5)[0], "nobody called the console socket")
        master = console.receive()
        box.ok("start", box.id())
        text = read_until(master, end)
        box.wait_status("stopped")
        box.delete()
        return text.replace("\r", "")


@proves("process.terminal", "process.console-size", "device.console")
def terminal(mode):
    script = "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all three; " \
             "stat -c %t:%T $(tty); stat -c %t:%T /dev/console; " \
             "grep -c ' /dev/console ' /proc/self/mountinfo"
    script = script.replace("stat ", "busybox stat ").replace("grep ", "busybox grep ")
    text = terminal_says(mode, script.replace("tty;", "busybox tty;", 1)
                         .replace("$(tty)", "$(busybox tty)"), "done", size=(33, 77))
    lines = text.splitlines()
    with claim("process.terminal"):
        check(lines[0].startswith("/dev/pts/"), "the terminal: %s", lines)
        equal(lines[2], "all three", "the streams")
    with claim("process.console-size"):
        equal(lines[1], "33 77", "size")
    with claim("device.console"):
        equal(lines[4], lines[3], "device of /dev/console and the terminal")
        equal(lines[5], "1", "mounts on /dev/console")


@proves("process.console-size.ignored")
def size_without_a_terminal(mode):
    with Box(mode) as box:
        for terminal_ in (False, DELETE):
            box.accepts({"process.terminal": terminal_,
                         "process.consoleSize": {"height": 25, "width": 80}})


# -- what is executed --

@proves("process.cwd")
def working_directory(mode):
    equal(sees(mode, {"process.cwd": "/readonly-dir"})["cwd"], "/readonly-dir", "directory")


refuses("process.cwd.absolute", {"process.cwd": "/"}, {"process.cwd": "tmp"}, {"process.cwd": ""},
        {"process.cwd": DELETE})


def texts(strings):
    """The probe writes bytes as code points of the same number."""
    return [text.encode("latin-1").decode() for text in strings]


@proves("process.env")
def environment(mode):
    env = [PATH, "A=1", "B=two  words", "EMPTY=", "C==\t\u00e9"]
    report = sees(mode, {"process.env": env}, env={"BRYO_TESTS_SECRET": "1"})
    # HOME may be added, as getpwuid(3) would have it.
    equal([e for e in texts(report["env"]) if not e.startswith("HOME=")], env, "environment")


@proves("process.args", "process.args.search", "process.args.not-empty")
def arguments(mode):
    with claim("process.args"):
        args = ["/probe", "facts", "", "two words", "\u00e9", "$HOME", "-x"]
        equal(texts(sees(mode, args=args)["args"]), args, "arguments")
    with Box(mode) as box:
        with claim("process.args.search"):
            os.mkdir(box.bundle.inside("programs"))
            os.link(box.bundle.inside("probe"), box.bundle.inside("programs/tool"))
            box.set({"process.env": ["PATH=/nonexistent:/programs"]})
            equal(box.run_ok(["tool", "echo", "found"]).out, "found\n", "in PATH")
            box.set({"process.env": ["PATH=/nonexistent"]})
            check(box.run(["tool", "echo", "found"]).rc != 0, "found beside PATH")
    with Box(mode) as box, claim("process.args.not-empty"):
        box.accepts()
        box.refuses({"process.args": []})
        box.refuses({"process.args": DELETE})


# -- rlimits --

def limit(name, soft, hard):
    return {"type": "RLIMIT_" + name, "soft": soft, "hard": hard}


@proves("process.rlimits.soft", "process.rlimits.hard")
def limits(mode):
    wanted = {"NOFILE": (512, 1024), "FSIZE": (1 << 30, 1 << 31), "MSGQUEUE": (4096, 8192),
              "SIGPENDING": (100, 200), "STACK": (4 << 20, 16 << 20), "NPROC": (5000, 6000),
              "LOCKS": (10, 20), "NICE": (0, 0), "RTPRIO": (0, 0), "RTTIME": (10 ** 6, 2 * 10 ** 6),
              "CORE": (0, 4096), "CPU": (1000, 2000), "RSS": (1, 2), "MEMLOCK": (4096, 8192),
              # A sanitizer's shadow has to fit in.
              "AS": (1 << 46, 1 << 47), "DATA": (1 << 46, 1 << 47)}
    values = [limit(name, *pair) for name, pair in wanted.items()]
    got = sees(mode, {"process.rlimits": values})["rlimits"]
    for id_, at in (("process.rlimits.soft", 0), ("process.rlimits.hard", 1)):
        with claim(id_):
            equal({n: got[n][at] for n in wanted}, {n: p[at] for n, p in wanted.items()}, id_)


refuses("process.rlimits.unknown", {"process.rlimits": [limit("NOFILE", 100, 100)]},
        {"process.rlimits": [limit("BOGUS", 100, 100)]},
        {"process.rlimits": [{"type": "NOFILE", "soft": 1, "hard": 1}]},
        {"process.rlimits": [limit("NOFILE", 100, 100), limit("", 1, 1)]})
refuses("process.rlimits.duplicate",
        {"process.rlimits": [limit("NOFILE", 100, 100), limit("FSIZE", 1 << 30, 1 << 30)]},
        {"process.rlimits": [limit("NOFILE", 100, 100), limit("NOFILE", 100, 100)]},
        {"process.rlimits": [limit("NOFILE", 100, 100), limit("FSIZE", 1 << 30, 1 << 30),
                             limit("NOFILE", 90, 90)]})


# -- capabilities --

@proves(*["process.capabilities." + name for name in SETS])
def capabilities(mode):
    sets = {"bounding": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
            "permitted": ["CAP_KILL", "CAP_NET_BIND_SERVICE"], "effective": ["CAP_KILL"],
            "inheritable": ["CAP_NET_BIND_SERVICE"], "ambient": ["CAP_NET_BIND_SERVICE"]}
    # Of a user who is not root execve(2) leaves the ambient ones, of root the bounding set.
    got = sees(many_ids(mode), {"process.user.uid": 1000, "process.capabilities": sets})["caps"]
    want = dict(sets, permitted=sets["ambient"], effective=sets["ambient"])
    for name in SETS:
        with claim("process.capabilities." + name):
            mask = sum(1 << BITS[cap] for cap in want[name])
            equal(got[name], "%016x" % mask, name)


@proves("process.capabilities.unknown", "process.capabilities.go-on", "warnings.go-on")
def capabilities_that_are_none(mode):
    with Box(mode) as box:
        box.accepts({"process.capabilities": {"bounding": CAPS, "permitted": CAPS}})
        values = {"process.capabilities": {"bounding": CAPS + ["CAP_BOGUS"], "permitted": CAPS}}
        with claim("process.capabilities.go-on", "warnings.go-on"):
            box.accepts(values)
            got = box.sees()["caps"]["bounding"]
            equal(got, "%016x" % sum(1 << BITS[cap] for cap in CAPS), "bounding set")
        with claim("process.capabilities.unknown"):
            contains(box.accepts(values).err.upper(), "BOGUS", "standard error")


@proves("process.capabilities.denied")
def capabilities_that_do_not_fit(mode):
    """None is effective that is not permitted, none ambient that is not inheritable."""
    with Box(mode) as box:
        sets = {"bounding": CAPS, "permitted": CAPS, "effective": CAPS, "inheritable": CAPS}
        check("KILL" not in box.accepts({"process.capabilities": sets}).err, "without a reason")
        for more in ({"permitted": []}, {"inheritable": [], "ambient": ["CAP_KILL"]}):
            box.set({"process.capabilities": dict(sets, **more)})
            contains(box.run_ok(["/probe", "exit", "0"]).err.upper(), "KILL", "standard error")


@proves("process.capabilities.denied", modes=("root",),
        why="root of a new user namespace has all capabilities, whatever its maker has")
def capabilities_that_cannot_be_had(mode):
    def without_one():
        if proc.LIBC.prctl(PR_CAPBSET_DROP, BITS["CAP_SYS_TIME"], 0, 0, 0) != 0:
            os._exit(99)
    caps = CAPS + ["CAP_SYS_TIME"]
    with Box(mode) as box:
        values = {"process.capabilities": {"bounding": caps, "permitted": caps, "effective": caps}}
        check("SYS_TIME" not in box.accepts(values).err, "a warning without a reason")
        result = box.run_ok(["/probe", "exit", "0"], preexec_fn=without_one)
        contains(result.err.upper(), "SYS_TIME", "standard error")


@proves("process.no-new-privileges")
def no_new_privileges(mode):
    for value, want in ((True, 1), (False, 0), (DELETE, 0)):
        equal(sees(mode, {"process.noNewPrivileges": value})["no_new_privs"], want, str(value))


@proves("process.oom-score-adj", "process.oom-score-adj.unset")
def oom_score(mode):
    with claim("process.oom-score-adj"):
        got = sees(mode, {"process.oomScoreAdj": 321})["oom_score_adj"]
        equal(got.strip(), "321", "score")
    with claim("process.oom-score-adj.unset"), Box(mode) as box:
        box.set({"process.oomScoreAdj": DELETE})
        box.save(["/probe", "cat", "/proc/self/oom_score_adj"])
        caller = ["/bin/sh", "-c", "echo 77 >/proc/self/oom_score_adj && exec \"$@\"", "sh"]
        result = proc.run(caller + box.argv("run", "-b", box.bundle.path, box.id()), **box.options())
        equal(result.out.strip(), "77", "score of the caller")


# -- user --

@proves("process.user.uid", "process.user.gid", "process.user.groups")
def user(mode):
    values = {"process.user": {"uid": 1000, "gid": 1001}}
    report = sees(many_ids(mode), values)
    with claim("process.user.uid"):
        equal(report["uid"], [1000] * 4, "uid")
    with claim("process.user.gid"):
        equal(report["gid"], [1001] * 4, "gid")
    with claim("process.user.groups"):
        values["process.user"]["additionalGids"] = [5, 7]
        equal(sorted(sees(many_ids(mode), values)["groups"]), [5, 7], "groups")


@proves("process.user.umask", "process.user.umask.unset")
def mask_for_files(mode):
    with claim("process.user.umask"):
        equal(sees(mode, {"process.user.umask": 0o137})["umask"], 0o137, "umask")
    with claim("process.user.umask.unset"):
        report = sees(mode, preexec_fn=lambda: os.umask(0o026))
        equal(report["umask"], 0o026, "umask of the caller")


# -- modules of security --

@proves("process.apparmor")
def apparmor(mode):
    need_stand_in("AppArmor")
    with Box(mode, faults=True) as box:
        path = box.make_dir("attr")
        write(os.path.join(path, "exec"), "", 0o666)
        box.set({"process.apparmorProfile": "some-profile"})
        box.run_ok(["/probe", "exit", "0"], env={"BRYO_APPARMOR": path})
        with open(os.path.join(path, "exec")) as file:
            equal(file.read(), "exec some-profile", "what the kernel is told")


elsewhere("the host has no AppArmor", ["apparmor: confined by run", "apparmor: confined by create and exec"],
          "process.apparmor")


@proves("process.selinux")
def selinux(mode):
    need_stand_in("SELinux", has_selinux())
    with Box(mode, faults=True) as box:
        top = fake_selinux(box)
        label = "system_u:system_r:some_t:s0:c1,c2"
        box.set({"process.selinuxLabel": label})
        box.run_ok(["/probe", "exit", "0"], env={"BRYO_SELINUX": top})
        equal(read_label(top), label, "what the kernel is told")


# -- scheduling --

@proves("process.scheduler.policy", "process.scheduler.nice", "process.scheduler.unset")
def scheduler(mode):
    with claim("process.scheduler.policy", "process.scheduler.nice"):
        for name, policy in (("SCHED_OTHER", 0), ("SCHED_BATCH", 3)):
            got = sees(mode, {"process.scheduler": {"policy": name, "nice": 7}})["scheduler"]
            equal((got["policy"], got["nice"]), (policy, 7), name)
    with claim("process.scheduler.policy"):
        got = sees(mode, {"process.scheduler": {"policy": "SCHED_IDLE"}})["scheduler"]
        equal(got["policy"], 5, "SCHED_IDLE")
    with claim("process.scheduler.unset"):
        report = sees(mode, {"process.scheduler": {"policy": "SCHED_BATCH"}},
                      preexec_fn=lambda: os.nice(0))
        got = report["scheduler"]
        equal((got["policy"], got["nice"], got["priority"]), (3, 0, 0), "policy, nice, priority")


@proves("process.scheduler.priority", "process.scheduler.flags", "process.scheduler.deadline",
        modes=("root",), why="real-time policies need CAP_SYS_NICE")
def real_time(mode):
    with claim("process.scheduler.priority", "process.scheduler.flags"):
        for name, policy in (("SCHED_FIFO", 1), ("SCHED_RR", 2)):
            got = sees(mode, {"process.scheduler": {
                "policy": name, "priority": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}})["scheduler"]
            equal((got["policy"], got["priority"], got["flags"]), (policy, 3, 1), name)
    with claim("process.scheduler.deadline"):
        members = {"runtime": 1000000, "deadline": 20000000, "period": 30000000}
        got = sees(mode, {"process.scheduler": dict(members, policy="SCHED_DEADLINE")})["scheduler"]
        equal({name: got[name] for name in members}, members, "times")


refuses("process.scheduler.invalid", {"process.scheduler": {"policy": "SCHED_OTHER"}},
        {"process.scheduler": {"policy": "SCHED_BEST"}}, {"process.scheduler": {}},
        {"process.scheduler": {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_BEST"]}})


@proves("process.io-priority", "process.io-priority.group")
def io_priority(mode):
    with claim("process.io-priority"):
        classes = [("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)]
        classes += [("IOPRIO_CLASS_RT", 1)] if mode == "root" else []
        for name, number in classes:
            got = sees(mode, {"process.ioPriority": {"class": name, "priority": 6}})["ioprio"]
            equal((got >> 13, got & 7), (number, 6), name)
    with claim("process.io-priority.group"), Box(mode) as box:
        # As the probe has no more than itself: a shell, and its child.
        need_busybox()
        box.set({"process.ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 5}})
        result = box.run_ok(["/bin/sh", "-c", "/probe facts; true"])
        number = int(re.search(r'"ioprio": ?(\d+)', result.out).group(1))
        equal((number >> 13, number & 7), (2, 5), "of a child")


refuses("process.io-priority.invalid",
        {"process.ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 0}},
        {"process.ioPriority": {"class": "IOPRIO_CLASS_BEST", "priority": 0}},
        {"process.ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 8}},
        {"process.ioPriority": {"priority": 1}},
        {"process.ioPriority": {"class": "IOPRIO_CLASS_BE"}})


def cpus_of(text):
    return {n for n in range(64) if int(text, 16) >> n & 1}


@proves("process.exec-affinity.initial", "process.exec-affinity.final",
        "process.exec-affinity.empty", "process.exec-affinity.init")
def affinity(mode):
    every = os.sched_getaffinity(0)
    if len(every) < 2:
        raise Skip("one CPU")
    first, last = min(every), max(every)
    for id_, members, want in (
            ("initial", {"initial": str(first)}, {first}), ("final", {"final": str(last)}, {last}),
            ("final", {"initial": str(first), "final": str(last)}, {last}),
            ("empty", {"initial": "", "final": ""}, every)):
        with Box(mode) as box, claim("process.exec-affinity." + id_):
            box.set({"process.execCPUAffinity": members})
            pid = box.started()
            with claim("process.exec-affinity.init"):
                equal(os.sched_getaffinity(pid), every, "CPUs of the first process")
            result = box.ok("exec", box.id(), "/probe", "facts")
            text = re.search(r'"cpus": ?"([0-9a-f]+)"', result.out).group(1)
            equal(cpus_of(text), want, "CPUs with %s" % members)
            box.delete()


# -- streams --

@proves("streams", "streams.more")
def streams(mode):
    fds = list(os.pipe()) + [os.open("/", os.O_RDONLY)]
    low = os.dup2(fds[2], 3) if 3 not in fds else 3
    try:
        with Box(mode) as box:
            box.save(["/probe", "fds"])
            words = ("-b", box.bundle.path, box.id())
            with claim("streams"):
                result = box.ok("run", *words, pass_fds=set(fds + [low]))
                equal(result.out, "0\n1\n2\n", "descriptors")
            with claim("streams.more"):
                result = box.ok("run", "--preserve-fds", "1", *words, pass_fds=[low])
                equal(result.out, "0\n1\n2\n3\n", "descriptors")
    finally:
        for fd in set(fds + [low]):
            os.close(fd)
