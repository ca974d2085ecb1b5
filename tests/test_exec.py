# SPDX-License-Identifier: Apache-2.0
"""exec: its options, its errors, and whom it lets in."""

import json
import os
import signal
import subprocess

from lib import proc
from lib.bundle import write
from lib.case import Case, need_bryo, need_busybox
from lib.check import check, contains, equal, test, wait_until
from lib.steps import rows
from lib.view import seccomp
from test_terminal import ConsoleSocket
from test_process import own_binary

MODES = ("root", "userns", "rootless", "ranges")


def started(case):
    case.create(["/probe", "sleep", "60"])
    case.ok("start", case.id())
    case.wait_status("running")


def facts(case, *words):
    return json.loads(case.ok("exec", *words, case.id(), "/probe", "facts").out)


def process_file(case, **members):
    path = os.path.join(case.dir, "process.json")
    write(path, json.dumps(dict({"args": ["/probe", "facts"], "cwd": "/"}, **members)))
    return path


# -- what it is given --

@test(*MODES)
def options(mode):
    """The first process, with what the command line says instead."""
    with Case(mode) as case:
        case.process["env"] = ["PATH=/bin", "A=1", "B=2"]
        started(case)
        found = facts(case, "--cwd", "/proc", "-e", "B=3", "--env", "C=x y", "--env=D=")
        equal(found["cwd"], "/proc", "cwd")
        equal(sorted(found["env"]), ["A=1", "B=3", "C=x y", "D=", "PATH=/bin"], "env")
        equal(found["no_new_privs"], 1, "no_new_privs")
        case.delete()


@test("root", "userns", "ranges")
def user_and_groups(mode):
    with Case(mode) as case:
        case.process["user"] = {"uid": 1, "gid": 2, "additionalGids": [3]}
        started(case)
        for words, uid, gid, groups in (
                ([], 1, 2, [3]), (["-u", "5"], 5, 2, []), (["--user", "5:6"], 5, 6, []),
                (["-u", "5:6", "-g", "7", "--additional-gids", "8"], 5, 6, [7, 8]),
                (["-g", "4"], 1, 2, [3, 4])):
            found = facts(case, *words)
            equal(found["uid"], [uid] * 4, "uid of %s" % words)
            equal(found["gid"], [gid] * 4, "gid of %s" % words)
            equal(sorted(found["groups"]), groups, "groups of %s" % words)
        case.delete()


@test(*MODES)
def capabilities_are_added(mode):
    with Case(mode) as case:
        started(case)
        before = facts(case)["caps"]
        after = facts(case, "-c", "CAP_CHOWN", "--cap=CAP_FOWNER")["caps"]
        more = 1 << 0 | 1 << 3
        for kind in ("bounding", "effective", "permitted"):
            equal(int(after[kind], 16), int(before[kind], 16) | more, kind)
        for kind in ("inheritable", "ambient"):
            equal(after[kind], before[kind], kind)
        case.delete()


@test(*MODES)
def process_json(mode):
    """What it says, and where it says nothing the container's."""
    with Case(mode) as case:
        case.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 500, "hard": 600}]
        case.process["oomScoreAdj"] = 333
        case.process["user"]["umask"] = 0o027
        started(case)
        first = facts(case)
        path = process_file(case, env=["X=1"], cwd="/tmp" if mode == "none" else "/proc")
        found = json.loads(case.ok("exec", "-p", path, case.id()).out)
        for name in ("caps", "rlimits", "umask", "no_new_privs", "oom_score_adj", "seccomp"):
            equal(found[name], first[name], name)
        equal(found["env"], ["X=1"], "env")
        equal(found["cwd"], "/proc", "cwd")
        path = process_file(case, capabilities={"bounding": ["CAP_KILL"]}, noNewPrivileges=False,
                            rlimits=[{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}])
        found = json.loads(case.ok("exec", "--process", path, case.id()).out)
        equal(int(found["caps"]["bounding"], 16), 1 << 5, "bounding set")
        equal(int(found["caps"]["permitted"], 16), 0, "permitted set")
        equal(found["rlimits"]["NOFILE"], [10, 20], "limit")
        equal(found["no_new_privs"], 1, "no_new_privs never goes away")
        case.delete()


@test(*MODES)
def cpus_of_exec(mode):
    """execCPUAffinity: of the first process nothing, of others the final list, else the first."""
    with Case(mode) as case:
        case.process["execCPUAffinity"] = {"initial": "0"}
        started(case)
        equal(int(facts(case)["cpus"], 16), 1, "CPUs by the configuration")
        for members, want in (({"initial": "0", "final": "1"}, 2), ({"final": "0"}, 1)):
            path = process_file(case, execCPUAffinity=members)
            if os.cpu_count() < 2 and want == 2:
                contains(case.fails("exec", "-p", path, case.id()).last_error(),
                         "/process/execCPUAffinity/final", "error")
                continue
            found = json.loads(case.ok("exec", "-p", path, case.id()).out)
            equal(int(found["cpus"], 16), want, "CPUs by %s" % members)
        with open("/proc/%d/status" % case.state()["pid"], encoding="ascii") as file:
            first = next(line for line in file if line.startswith("Cpus_allowed_list"))
        equal(first.split()[1], "0" if os.cpu_count() < 2 else "0-%d" % (os.cpu_count() - 1),
              "CPUs of the first process")
        case.delete()


@test(*MODES)
def edits_of_the_bundle_have_no_effect(mode):
    """runtime.md: neither a filter that is taken out nor a capability put in."""
    with Case(mode) as case:
        case.linux["seccomp"] = seccomp()
        started(case)
        before = facts(case)
        del case.linux["seccomp"]
        for kind in ("bounding", "effective", "permitted"):
            case.process["capabilities"][kind] = ["CAP_SYS_ADMIN"]
        case.save(["/probe"])
        after = facts(case)
        for name in ("caps", "seccomp"):
            equal(after[name], before[name], name)
        case.delete()


@test(*MODES)
def exit_statuses(mode):
    with Case(mode) as case:
        started(case)
        equal(case.call("exec", case.id(), "/probe", "exit", "42").rc, 42, "status")
        equal(case.call("exec", case.id(), "/probe", "signal", "9").rc, 137, "signal")
        equal(case.call("exec", case.id(), "/none").rc, 127, "no program")
        equal(case.call("exec", case.id(), "/proc").rc, 126, "no program at all")
        equal(case.call("exec", "--cwd", "/none", case.id(), "/probe").rc, 255, "bryo's own")
        case.delete()


@test(*MODES)
def signals_are_handed_on(mode):
    with Case(mode) as case:
        started(case)
        child = case.start("exec", case.id(), "/probe", "trap", stdout=-1, stderr=-1)
        equal(child.stdout.readline(), b"ready\n", "the payload")
        child.send_signal(signal.SIGTERM)
        result = proc.finish(child)
        contains(result.out, "15", "what the payload got")
        case.delete()


@test(*MODES)
def detached(mode):
    """It lives on without bryo; the pid file has its pid."""
    with Case(mode) as case:
        started(case)
        pid_file = os.path.join(case.xdg, "pid")
        out = os.path.join(case.dir, "out")
        with open(out, "wb") as file:
            case.ok("exec", "-d", "--pid-file", pid_file, case.id(), "/probe", "sleep", "60",
                    stdout=file, stderr=file)
        with open(pid_file, encoding="ascii") as file:
            pid = int(file.read())
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            equal(file.read(), b"/probe\0sleep\x0060\0", "command line")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid not in proc.descendants(), what="its end")
        case.delete()


@test(*MODES)
def the_process_dies_with_bryo(mode):
    """In the foreground, as with run."""
    with Case(mode) as case:
        started(case)
        child = case.start("exec", case.id(), "/probe", "sleep", "60", stdout=-1, stderr=-1)
        wait_until(lambda: any("sleep" in words and case.id() not in words
                               for words in command_lines(child.pid)), what="the payload")
        child.kill()
        proc.finish(child)
        pid = case.state()["pid"]
        wait_until(lambda: peers_of(pid) == [pid], what="its end")
        case.delete()


def command_lines(parent):
    found = []
    for pid, (_, ppid, _) in proc.table().items():
        if ppid != parent:
            continue
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as file:
                found.append(file.read().decode().split("\0"))
        except OSError:
            pass
    return found


@test(*MODES)
def preserved_descriptors(mode):
    with Case(mode) as case:
        started(case)

        def open_three():
            os.dup2(os.open("/dev/null", os.O_RDONLY), 3)
            os.set_inheritable(3, True)
        for words, want in ((["--preserve-fds", "1"], "0\n1\n2\n3\n"), ([], "0\n1\n2\n")):
            result = case.ok("exec", *words, case.id(), "/probe", "fds", preexec_fn=open_three,
                             close_fds=False)
            equal(result.out, want, "descriptors")
        case.delete()


@test(*MODES)
def handle_of_the_process(mode):
    """--pidfd-socket, of create and of exec."""
    with Case(mode) as case, ConsoleSocket(case, "pidfd") as first:
        case.create(["/probe", "sleep", "60"], words=["--pidfd-socket", first.path])
        equal(pid_of(first.receive()), case.state()["pid"], "pid of the first process")
        case.ok("start", case.id())
        case.wait_status("running")
        with ConsoleSocket(case, "second", "other") as second:
            pid_file = os.path.join(case.xdg, "pid")
            case.ok("exec", "-d", "--pid-file", pid_file, "--pidfd-socket", second.path, case.id(),
                    "/probe", "sleep", "60", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            handle = second.receive()
            with open(pid_file, encoding="ascii") as file:
                pid = int(file.read())
            equal(pid_of(handle), pid, "pid of the other process")
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        wait_until(lambda: pid not in proc.descendants(), what="its end")
        contains(case.fails("exec", "--pidfd-socket", "/none", case.id(), "/probe").last_error(),
                 "pidfd socket", "error")
        case.delete()


def pid_of(handle):
    with open("/proc/self/fdinfo/%d" % handle, encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pid:"))


@test(*MODES)
def sockets_of_a_service_manager(mode):
    """LISTEN_FDS: only when LISTEN_PID says that they are for bryo."""
    need_busybox()
    with Case(mode) as case:
        case.save(["/bin/sh", "-c", "echo $LISTEN_FDS ${LISTEN_PID:+$(($LISTEN_PID == $$))} "
                   "$LISTEN_FDNAMES; /probe fds"])
        for own, want in ((True, "2 1 a:b\n0\n1\n2\n3\n4\n5\n"), (False, "\n0\n1\n2\n3\n")):
            def prepare(own=own):
                for fd in (3, 4, 5):
                    os.dup2(os.open("/dev/null", os.O_RDONLY), fd)
                    os.set_inheritable(fd, True)
                os.environ["LISTEN_PID"] = str(os.getpid() if own else 1)
            # The number is known in the child only: a shell puts it there.
            who = "LISTEN_PID=%s exec \"$@\"" % ("$$" if own else "1")
            words = case.argv("run", "--preserve-fds", "1", "-b", case.bundle.path, case.id())
            result = proc.run(["/bin/sh", "-c", who, "sh", *words], close_fds=False,
                              **joined(case.options(env={"LISTEN_FDS": "2",
                                                         "LISTEN_FDNAMES": "a:b"}), prepare))
            equal(result.rc, 0, "exit status: %s" % result)
            equal(result.out, want, "what the payload has")


def joined(options, prepare):
    """`prepare` in the child as well as what is there."""
    before = options.get("preexec_fn")

    def both():
        prepare()
        if before:
            before()
    return dict(options, preexec_fn=both)


# -- whom it lets in --

@test(*MODES)
def only_running_containers(mode):
    with Case(mode) as case:
        contains(case.fails("exec", case.id(), "/probe").last_error(), "does not exist", "missing")
        case.create(["/probe", "exit", "0"])
        contains(case.fails("exec", case.id(), "/probe").last_error(), "not running", "created")
        case.ok("start", case.id())
        case.wait_status("stopped")
        contains(case.fails("exec", case.id(), "/probe").last_error(), "not running", "stopped")
        case.delete()


@test("root", "userns")
def no_pivot(mode):
    """The root of its mount namespace is the host's: nobody is let in there."""
    with Case(mode) as case:
        case.create(["/probe", "sleep", "60"], words=["--no-pivot"])
        case.ok("start", case.id())
        contains(case.fails("exec", case.id(), "/probe", "ls", "/").last_error(), "--no-pivot",
                 "error")
        case.delete()


@test(*MODES)
def forged_records(mode):
    """F8: the pid of another process is not taken for the container's."""
    need_bryo()
    with Case(mode) as case:
        started(case)
        path = os.path.join(case.root, case.id(), "record")
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
        for pid in (os.getpid(), 1):
            with open(path, "w", encoding="utf-8") as file:
                json.dump(dict(record, pid=pid), file)
            case.fails("exec", case.id(), "/probe", "exit", "0")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(record, file)
        case.ok("exec", case.id(), "/probe", "exit", "0")
        case.delete()


@test("root", "userns", "rootless")
def namespaces_that_change_meanwhile(mode):
    """A first process that goes from one namespace into another: it is those that were seen."""
    need_bryo()
    with Case(mode) as case:
        for kind in ("bounding", "effective", "permitted"):
            case.process["capabilities"][kind] = ["CAP_SYS_ADMIN"]
        case.create(["/probe", "flip"])
        case.ok("start", case.id())
        wait_until(lambda: "ready" in case.read_output(), what="the payload")
        seen = set()
        for _ in range(100):
            seen.add(case.call("exec", case.id(), "/probe", "exit", "0").last_error())
            if any("changed its mount namespace" in error for error in seen):
                break
        else:
            check(False, "it was never noticed: %s", seen)
        case.delete()


@test("root", "rootless")
def working_directories_that_lead_out(mode):
    """F3, CVE-2024-21626: descriptors and magic links as --cwd."""
    with Case(mode) as case:
        started(case)
        for fd in list(range(3, 20)) + [250]:
            for cwd in ("/proc/self/fd/%d" % fd, "/proc/1/cwd", "/proc/self/root"):
                result = case.call("exec", "--cwd", cwd, case.id(), "/probe", "getcwd")
                check(result.rc > 0 or result.out.strip().startswith("/"), "%s: %s", cwd, result)
                check(result.rc > 0, "%s was entered: %s", cwd, result)
        case.delete()


# -- bad input: one line, nothing started, nothing left --

BAD = (
    (["--user", "root"], "--user"), (["--user", "1:wheel"], "--user"),
    (["--user", "+1"], "--user"), (["--user", "-1"], "--user"), (["--user", " 1"], "--user"),
    (["--user", "1:"], "--user"), (["--user", ":1"], "--user"), (["--user", "0x1"], "--user"),
    (["--user", "4294967295"], "--user"), (["--user", "4294967296"], "--user"),
    (["--user", "99999999999999999999"], "--user"), (["--user", ""], "--user"),
    (["-g", "4294967295"], "--additional-gids"), (["-g", "x"], "--additional-gids"),
    (["-e", "NOVALUE"], "--env"), (["-e", "=x"], "--env"),
    (["--cwd", "relative"], "--cwd"), (["--cap", "CAP_NONE"], "--cap"),
    (["--cgroup", "/nowhere"], "cgroup"), (["--no-such-option"], "--no-such-option"),
    (["--console-socket", "/tmp/none"], "--console-socket"),
    (["-d", "-t"], "--console-socket"), (["-t=maybe"], "--tty"), (["-tx"], "-tx"),
    (["--pid-file", "/none/pid"], "pid file"),
    (["--preserve-fds", "9"], "--preserve-fds"),
    (["--process", "/none"], "--process"),
)


@test("root", "rootless")
def bad_options(mode):
    with Case(mode) as case:
        started(case)
        before = sorted(os.listdir(os.path.join(case.root, case.id())))
        for words, named in BAD:
            result = case.fails("exec", *words, case.id(), "/probe", "echo", "it ran")
            check("it ran" not in result.out, "%s: it ran", words)
            equal(len(result.err.strip().splitlines()), 1, "lines of %s: %s" % (words, result.err))
            contains(result.last_error(), named, "error of %s" % words)
        equal(sorted(os.listdir(os.path.join(case.root, case.id()))), before, "state directory")
        case.delete()


BAD_PROCESSES = (
    ("", "premature"), ("{", ""), ("[]", "expected object"), ('{"args":["/probe"]}', "/cwd"),
    ('{"cwd":"/"}', "/args"), ('{"cwd":"/","args":[]}', "/args"),
    ('{"cwd":"x","args":["/probe"]}', "/cwd"),
    ('{"cwd":"/","args":["/probe"],"user":{"uid":4294967295,"gid":0}}', "/user/uid"),
    ('{"cwd":"/","args":["/probe"],"cwd":"/"}', "/cwd"),
    ('{"cwd":"/","args":["/probe"],"oomScoreAdj":1001}', "/oomScoreAdj"),
    ('{"cwd":"/","args":["/probe"]} x', ""),
)


@test("root", "rootless")
def bad_processes(mode):
    with Case(mode) as case:
        started(case)
        path = os.path.join(case.dir, "process.json")
        for text, named in BAD_PROCESSES:
            write(path, text)
            result = case.fails("exec", "--process", path, case.id())
            equal(result.rc, 255, "status")
            equal(len(result.err.strip().splitlines()), 1, "lines of %s" % result.err)
            contains(result.last_error(), named if named != "premature" else "", text)
        case.fails("exec", "--process", path, case.id(), "/probe")
        case.delete()


@test("root")
def flags_with_values(mode):
    """-t=false and --detach=false are what engines' scripts write for "not"."""
    with Case(mode) as case:
        started(case)
        for words in (["-t=false"], ["--tty=false", "-d=false"], ["-d=false", "--detach=false"]):
            result = case.ok("exec", *words, case.id(), "/probe", "echo", "here")
            equal(result.out.strip(), "here", "output of %s" % words)
        case.delete()


# -- what is left behind --

@test("root", "rootless")
def rows_that_fail(mode):
    """Each row of exec's table fails: an error, no process, the container goes on."""
    need_bryo()
    with Case(mode, faults=True) as case:
        want_all_rows(case)
        started(case)
        pid_file = os.path.join(case.xdg, "pid")
        for row in exec_rows():
            result = case.fails("exec", "--pid-file", pid_file, case.id(), "/probe", "exit", "0",
                                env={"BRYO_FAIL": row})
            contains(result.last_error(), "injected", "error of " + row)
            check(not os.path.exists(pid_file), "%s: pid file left", row)
            equal(case.call("exec", case.id(), "/probe", "exit", "3").rc, 3, "exec after " + row)
        equal(case.state()["status"], "running", "status")
        case.delete()


#: Not with the configuration of want_all_rows().
NOT_WANTED = {"console", "pidfd", "terminal", "early-filter", "outlive", "apparmor", "resctrl",
              "scope", "label", "selinux", "watch"}


def exec_rows():
    return [row.name for row in rows(True, "--exec") if row.name not in NOT_WANTED]


def want_all_rows(case):
    case.linux["seccomp"] = seccomp()
    case.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0"}
    case.linux["personality"] = {"domain": "LINUX"}
    case.process.update(rlimits=[{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
                        scheduler={"policy": "SCHED_OTHER"},
                        ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 6},
                        execCPUAffinity={"initial": "0", "final": "0"})


@test("root", "rootless")
def bryo_is_killed(mode):
    """At every row: nobody is left in the container but its first process."""
    need_bryo()
    with Case(mode, faults=True) as case:
        want_all_rows(case)
        started(case)
        pid = case.state()["pid"]
        for row in exec_rows():
            result = case.call("exec", "--pid-file", os.path.join(case.xdg, "pid"), case.id(),
                               "/probe", "sleep", "10",
                               env={"BRYO_KILL": row}, timeout=9)
            check(result.rc != 0, "%s: %s", row, result)
            wait_until(lambda r=row: peers_of(pid) == [pid], what="processes after " + row)
        case.delete()


def peers_of(pid):
    namespace = os.stat("/proc/%d/ns/pid" % pid).st_ino
    found = []
    proc.descendants()
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.stat("/proc/%s/ns/pid" % name).st_ino == namespace:
                found.append(int(name))
        except OSError:
            pass
    return found


@test("root", "rootless")
def in_the_shell(mode):
    """What people do: a pipe through a container."""
    need_busybox()
    with Case(mode) as case:
        started(case)
        result = case.ok("exec", case.id(), "/bin/sh", "-c", "cat | tr a-z A-Z", stdin=b"piped\n")
        equal(result.out, "PIPED\n", "output")
        equal(case.state()["status"], "running", "status")
        case.delete()


@test("root", "rootless")
def pid_file_that_nobody_reads(mode):
    """A FIFO as the pid file: an error, and no waiting for ever."""
    need_bryo()
    with Case(mode) as case:
        started(case)
        path = os.path.join(case.xdg, "fifo")
        os.mkfifo(path, 0o666)
        os.chmod(path, 0o666)
        result = case.call("exec", "--pid-file", path, case.id(), "/probe", "exit", "0", timeout=5)
        equal(result.rc, 255, "status")
        contains(result.last_error(), "open the pid file", "error")
        os.unlink(path)
        case.delete()


@test(*MODES)
def process_from_a_pipe(mode):
    """--process /dev/stdin: read once, though bryo may have to execute itself again."""
    with Case(mode) as case:
        case.binary = own_binary(case, 0o755)
        started(case)
        fifo = os.path.join(case.xdg, "fifo")
        os.mkfifo(fifo, 0o666)
        os.chmod(fifo, 0o666)
        child = case.start("exec", "--process", fifo, case.id(), stdout=-1, stderr=-1)
        with open(fifo, "w", encoding="ascii") as file:
            json.dump({"args": ["/probe", "exit", "5"], "cwd": "/"}, file)
        equal(proc.finish(child, timeout=5).rc, 5, "status")
        os.unlink(fifo)
        case.delete()


@test("root", "rootless")
def half_a_line_into_a_terminal(mode):
    """The end of the input ends it also behind a line without an end."""
    need_busybox()
    with Case(mode) as case:
        started(case)
        for text in (b"", b"line\n", b"half", b"line\nhalf"):
            result = case.ok("exec", "-t", case.id(), "/bin/sh", "-c", "stty -echo; cat",
                             stdin=text, timeout=5)
            contains(result.out.replace("\r", ""), text.decode(), "output")
        case.delete()
