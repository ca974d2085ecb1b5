# SPDX-License-Identifier: Apache-2.0
"""What a hostile review found about commands, state and the life of containers.

Each test failed before the hole was closed; test_review_box.py has the others.
"""

import contextlib
import json
import os
import shlex
import signal
import time

from lib import proc
from lib.bundle import write
from lib.case import Case, need_bryo, need_busybox
from lib.check import Skip, check, contains, equal, test, wait_until

MODES = ("root", "rootless")
SOON = 5.0  # "at once", on a machine that is busy


def hook(script):
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"]}


# -- descriptors --

@test(*MODES)
def gap_in_preserved_descriptors(mode):
    """main.c: a gap is an error, before anything of ours could be in it."""
    need_bryo()
    for count, opened in ((1, ()), (2, (4,)), (3, (3, 5)), (40, (3, 4)), (2 ** 20, (3,))):
        for command in ("run", "create"):
            with Case(mode) as case:
                place = case.make_dir("out", 0o777)
                case.config["hooks"] = {"createRuntime": [hook(": >%s/ran" % place)]}
                case.save(["/probe", "fds"])

                def only():
                    null = os.open("/dev/null", os.O_RDONLY)
                    os.dup2(null, 100)
                    os.closerange(3, 100)
                    for fd in opened:
                        os.dup2(100, fd)
                result = case.call(command, "--preserve-fds", count, "-b", case.bundle.path,
                                   case.id(), close_fds=False, preexec_fn=only)
                check(result.rc > 0, "%d with %s open: %s", count, opened, result)
                contains(result.err, "preserve-fds", "error")
                equal(result.out, "", "descriptors inside")
                equal(os.listdir(place), [], "what was made")


# -- root and a user's state directory --

def as_root(case, *words, **kwargs):
    """Root uses the state directory of the case's user, as Slurm does."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    return proc.run(case.argv(*words), env=case.env, cwd=case.dir, **kwargs)


def forge(case, **members):
    path = os.path.join(case.root, case.id(), "record")
    with open(path) as file:
        record = json.load(file)
    before = dict(record)
    record.update(members)
    with open(path, "w") as file:
        json.dump(record, file)
    return before


def identity(pid):
    """What a record has of a process, on old and on new kernels."""
    fds = [os.pidfd_open(n) for n in (pid, os.getpid())]
    inodes = [os.fstat(fd).st_ino for fd in fds]
    for fd in fds:
        os.close(fd)
    with open("/proc/%d/stat" % pid) as file:
        start = int(file.read().rpartition(")")[2].split()[19])
    return {"pid": pid, "startTime": start,
            "identity": inodes[0] if inodes[0] != inodes[1] else start}


@test("rootless", "ranges")
def hooks_of_a_foreign_record(mode):
    """store.c: root, deleting a user's container, runs its hooks as the user."""
    for force in (False, True):
        with Case(mode) as case:
            place = case.make_dir("out", 0o777)
            case.create(["/probe", "exit", "0"])
            case.ok("start", case.id())
            case.wait_status("stopped")
            script = "id -u >%s/uid; id -G >%s/groups; grep Cap /proc/self/status >%s/caps"
            forge(case, hooks={"poststop": [hook(script % ((place,) * 3))]})
            result = as_root(case, "delete", *(["--force"] if force else []), case.id())
            check(result.rc == 0, "%s", result)
            with open(place + "/uid") as file:
                equal(file.read().strip(), str(case.who.uid), "the hook's uid")
            with open(place + "/groups") as file:
                equal(file.read().split(), [str(case.who.gid)], "the hook's groups")
            with open(place + "/caps") as file:
                for line in file:
                    if not line.startswith("CapBnd"):
                        equal(int(line.split()[1], 16), 0, "the hook's " + line.split()[0])


@contextlib.contextmanager
def sleeper():
    """A process of the runner's."""
    child = proc.start(["sleep", "60"])
    try:
        yield child
    finally:
        child.kill()
        proc.finish(child)


@test("rootless")
def pid_of_a_foreign_record(mode):
    """store.c: root does not kill what a user's record names."""
    with Case(mode) as case, sleeper() as victim:
        case.create(["/probe", "sleep", "60"])
        case.before.processes.add(victim.pid)
        before = forge(case, **identity(victim.pid))
        for words in (("kill", case.id(), "KILL"), ("kill", "--all", case.id(), "KILL"),
                      ("delete", "--force", case.id())):
            as_root(case, *words)
            time.sleep(0.02)
            equal(victim.poll(), None, "root's process after %s" % words[0])
        forge(case, **before)
        case.delete()


@test("rootless")
def root_looks_after_a_users_container(mode):
    """store.c: what it is for still works; making one there does not."""
    with Case(mode) as case:
        case.create(["/probe", "trap"])
        equal(json.loads(as_root(case, "state", case.id()).out)["status"], "created", "status")
        equal(as_root(case, "start", case.id()).rc, 0, "start")
        wait_until(lambda: "ready" in case.read_output(), what="the payload")
        contains(as_root(case, "list").out, case.id(), "list")
        equal(as_root(case, "kill", case.id(), "TERM").rc, 0, "kill")
        case.wait_status("stopped")
        equal(as_root(case, "delete", case.id()).rc, 0, "delete")
        for command in ("run", "create"):
            made = as_root(case, command, "-b", case.bundle.path, case.id("other"))
            check(made.rc > 0, "%s", made)
            contains(made.err, "belongs to uid %d" % case.who.uid, "error")
        equal(os.listdir(case.root), [], "state")


# -- the session keyring --

@test("root")
def keyring_of_another_container(mode):
    """Row keyring: it has no name that another could have taken before."""
    need_bryo("peers take it by its name")
    with Case(mode) as case:
        for suffix, name in (("p1", "_ses." + case.id()), ("p2", case.id())):
            case.create(["/probe", "plant", name], suffix)
            case.ok("start", case.id(suffix))
            wait_until(lambda: case.read_output(suffix), what="the keyring")
            contains(case.read_output(suffix), "ready", "the keyring")
        equal(case.run_ok(["/probe", "planted"]).out, "ENOKEY\n", "the key of the other")
        case.delete("p1")
        case.delete("p2")


# -- a pid that is another process's by now --

RECYCLE = """
pid=$(sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p')
kill -9 $pid
while [ -e /proc/$pid ]; do sleep 0.01; done
for n in 1 2 3 4 5 6 7 8 9 10; do
    echo $((pid - 1)) >/proc/sys/kernel/ns_last_pid
    sleep 60 </dev/null >/dev/null 2>&1 &
    [ $! = $pid ] && break
    kill $!
done
echo $pid $! >%s/pids
exit 1
"""


def private(case, script, *options):
    """A shell script as pid 1 of a pid and a mount namespace of its own."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    argv = ["unshare", "--fork", "--pid", "--mount", "--kill-child", *options,
            "sh", "-c", script]
    return proc.run(argv, env=case.env, cwd=case.dir)


@test("root")
def poststart_and_a_recycled_pid(mode):
    """cmd_start(): a poststart hook that fails stops the container, and only that."""
    with Case(mode) as case:
        place = case.make_dir("out", 0o777)
        case.config["hooks"] = {"poststart": [hook(RECYCLE % place)]}
        case.save(["/probe", "sleep", "60"])
        words = {"bryo": shlex.join(case.argv()), "bundle": shlex.quote(case.bundle.path),
                 "id": case.id(), "place": shlex.quote(place)}
        result = private(case, """
            %(bryo)s create -b %(bundle)s %(id)s </dev/null >/dev/null 2>&1 || exit 90
            %(bryo)s start %(id)s; echo "start $?"
            read pid victim <%(place)s/pids || exit 91
            sleep 0.1
            kill -0 $victim && echo "alive"
            %(bryo)s state %(id)s
            %(bryo)s delete --force %(id)s
            kill -0 $victim && echo "still alive"
            kill $victim
            echo "pids $pid $victim" """ % words, "--mount-proc")
        check("pids" in result.out, "%s", result)
        contains(result.out, "start 1\n", "exit status of start")
        pids = result.out.split("pids ")[1].split()
        if pids[0] != pids[1]:
            raise Skip("the pid could not be had again: %s" % pids)
        contains(result.out, '"status": "stopped"', "state")
        check("still alive" in result.out, "another process was killed: %s", result)


@test(*MODES)
def poststart_that_fails_stops_the_container(mode):
    with Case(mode) as case:
        case.config["hooks"] = {"poststart": [hook("exit 1")]}
        case.create(["/probe", "sleep", "60"], "other")
        case.create(["/probe", "sleep", "60"])
        pid = case.state()["pid"]
        case.fails("start", case.id())
        wait_until(lambda: not proc.alive(pid), what="the end of the payload")
        equal(case.state("other")["status"], "created", "status of another container")
        case.delete()
        case.delete("other")


# -- which processes are alive --

@test("root", "userns", "rootless")
def first_thread_has_ended(mode):
    """hold_process(): a process lives as long as its last thread."""
    with Case(mode) as case:
        case.create(["/probe", "leaderless"])
        case.ok("start", case.id())
        wait_until(lambda: "ready" in case.read_output(), what="the second thread")
        pid = case.state()["pid"]
        with open("/proc/%d/stat" % (pid or 1)) as file:
            state = file.read().rpartition(")")[2].split()[0]
        equal((pid > 0, state), (True, "Z"), "the first thread")
        time.sleep(0.05)
        equal(case.state()["status"], "running", "status")
        contains(case.fails("delete", case.id()).err, "running", "delete")
        case.ok("kill", case.id(), "KILL")
        case.wait_status("stopped")
        case.ok("delete", case.id())


@test("root", "rootless", "ranges")
def processes_that_proc_does_not_show(mode):
    """process_identity(): with hidepid= the state is right, in a /proc of our own."""
    with Case(mode) as case:
        user = []
        if case.who.uid:
            user = ["setpriv", "--reuid", str(case.who.uid), "--regid", str(case.who.gid),
                    "--clear-groups"]
        case.save(["/probe", "sleep", "60"])
        words = {"bryo": shlex.join(user + case.argv()), "id": case.id(),
                 "bundle": shlex.quote(case.bundle.path)}
        result = private(case, """
            mount -t proc -o hidepid=invisible proc /proc || exit 90
            %(bryo)s create -b %(bundle)s %(id)s </dev/null >/dev/null 2>&1 || exit 91
            %(bryo)s state %(id)s
            %(bryo)s delete %(id)s; echo "first $?"
            %(bryo)s start %(id)s
            %(bryo)s state %(id)s
            %(bryo)s delete %(id)s; echo "second $?"
            %(bryo)s kill %(id)s KILL; echo "kill $?"
            sleep 0.2
            %(bryo)s delete %(id)s; echo "third $?" """ % words)
        if result.rc == 90:
            raise Skip("no hidepid=invisible: " + result.last_error())
        for text in ('"status": "created"', "first 1", '"status": "running"', "second 1",
                     "kill 0", "third 0"):
            check(text in result.out, "no %s: %s %s", text, result.out, result)


# -- create --

@test(*MODES)
def failed_create_and_the_pid_file(mode):
    """Row record: what was there before is not ours to remove or to change."""
    need_bryo()
    with Case(mode) as case:
        path = os.path.join(case.make_dir("out", 0o777), "pid")

        def attempt(args, **changes):
            case.process.update(changes)
            write(path, "12345\n", 0o666)
            case.save(args)
            for command in ("create", "run"):
                case.fails(command, "--pid-file", path, "-b", case.bundle.path, case.id())
                with open(path) as file:
                    equal(file.read(), "12345\n", "the pid file after " + command)
        attempt(["/not-there"])
        attempt(["/probe"], cwd="/probe")
        case.config["hooks"] = {"createRuntime": [hook("exit 1")]}
        attempt(["/probe"], cwd="/")
        del case.config["hooks"]
        case.config["mounts"].append({"destination": "/x", "type": "no-such-type"})
        attempt(["/probe"])


@test(*MODES)
def namespace_path_that_is_a_fifo(mode):
    """nsset.c: opening it does not wait for a writer."""
    with Case(mode) as case:
        path = os.path.join(case.dir, "fifo")
        os.mkfifo(path)
        os.chmod(path, 0o666)
        for kind in ("network", "user", "pid"):
            spaces = [n for n in case.linux["namespaces"] if n["type"] != kind]
            case.linux["namespaces"] = spaces + [{"type": kind, "path": path}]
            case.save(["/probe", "exit", "0"])
            result = case.fails("run", "-b", case.bundle.path, case.id(), timeout=SOON)
            check(result.seconds < SOON, "took %g s", result.seconds)


def hanging(case, kind, command="create"):
    """A container in whose hook something hangs; the child that makes it."""
    place = case.make_dir("out", 0o777)
    mark = os.path.join(place, "began")
    if kind == "startContainer":
        mark = case.bundle.inside("/tmp/began")
    inside = "/tmp/began" if kind == "startContainer" else mark
    case.config["hooks"] = {kind: [hook(": >%s; exec sleep 60" % inside)]}
    case.save(["/probe", "sleep", "60"])
    if command == "start":
        case.create()
        child = case.start("start", case.id(), stdout=-3, stderr=-3)
    else:
        child = case.start(command, "-b", case.bundle.path, case.id(), stdout=-3, stderr=-3)
    wait_until(lambda: os.path.exists(mark), what="the hook " + kind)
    return child


@test(*MODES)
def create_that_hangs_is_terminated(mode):
    """hooks.c: SIGTERM is heard while a hook runs, and nothing is left."""
    need_bryo()
    for kind in ("createRuntime", "createContainer"):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Case(mode) as case:
                child = hanging(case, kind)
                child.send_signal(number)
                result = proc.finish(child, timeout=SOON)
                check(result.rc > 0, "%s", result)
                contains(case.fails("state", case.id()).err, "does not exist", "state")


def delete_hanging(mode, kind, command):
    with Case(mode) as case:
        child = hanging(case, kind, command)
        result = case.call("delete", "--force", case.id(), timeout=20)
        check(result.rc == 0, "%s of %s: %s", kind, command, result)
        check(proc.finish(child, timeout=SOON).rc > 0, "%s: %s succeeded", kind, command)
        contains(case.fails("state", case.id()).err, "does not exist", "state")
        case.clean("%s of %s" % (kind, command))


@test(*MODES)
def delete_of_what_hangs(mode):
    """delete --force: in bounded time, whoever hangs, and with all that there is."""
    need_bryo()
    need_busybox()
    delete_hanging(mode, "createRuntime", "create")
    delete_hanging(mode, "createContainer", "create")
    delete_hanging(mode, "createContainer", "run")
    delete_hanging(mode, "poststart", "run")
    delete_hanging(mode, "startContainer", "start")


@test(*MODES)
def delete_of_what_hangs_in_start(mode):
    """The same where it is `start` that waits, for a hook on the host."""
    need_bryo()
    delete_hanging(mode, "poststart", "start")


@test(*MODES)
def start_of_what_run_holds(mode):
    """cmd_start(): an error at once, not a wait for the container's end."""
    with Case(mode) as case:
        child = case.start_run(["/probe", "trap"])
        equal(child.stdout.readline(), b"ready\n", "the payload")
        result = case.fails("start", case.id(), timeout=SOON)
        check(result.seconds < SOON, "took %g s", result.seconds)
        equal(case.state()["status"], "running", "status")
        case.ok("kill", case.id(), "TERM")
        equal(proc.finish(child).rc, signal.SIGTERM, "exit status of run")


# -- limits and umask --

TIGHT = {"NOFILE": 4, "FSIZE": 0, "NPROC": 1}


def limit_of(pid, name):
    """The line of /proc/PID/limits: soft and hard."""
    words = {"NOFILE": "Max open files", "FSIZE": "Max file size", "NPROC": "Max processes"}
    with open("/proc/%d/limits" % pid) as file:
        for line in file:
            if line.startswith(words[name]):
                return line[len(words[name]):].split()[:2]
    return None


def check_limits(case, names):
    """`run`, and `create` with `start`: both end with the payload under the limits."""
    child = case.start_run(["/probe", "trap"])
    line = child.stdout.readline()
    if line != b"ready\n":
        child.kill()
        check(False, "%s: run: %s", names, proc.finish(child))
    pids = [case.state()["pid"]]
    for name in names:
        equal(limit_of(pids[0], name), [str(TIGHT[name])] * 2, "%s of run" % name)
    case.ok("kill", case.id(), "TERM")
    equal(proc.finish(child).rc, signal.SIGTERM, "%s: exit status of run" % names)
    case.create(["/probe", "sleep", "60"])
    case.ok("start", case.id())
    for name in names:
        wait_until(lambda: limit_of(case.state()["pid"], name) == [str(TIGHT[name])] * 2,
                   what="%s of start" % name)
    equal(case.state()["status"], "running", "status")
    case.delete()


@test("root", "userns", "rootless")
def tight_limits(mode):
    """Row rlimits: what is in the way of bryo itself is not in its way."""
    need_busybox()
    for names in (["NOFILE"], ["FSIZE"], ["NPROC"], list(TIGHT)):
        for hooks in (None, {"startContainer": [hook("/bin/ls / >/tmp/ls")]}):
            with Case(mode) as case:
                case.process["rlimits"] = [
                    {"type": "RLIMIT_" + name, "soft": TIGHT[name], "hard": TIGHT[name]}
                    for name in names]
                if hooks:
                    case.config["hooks"] = hooks
                check_limits(case, names)


@test(*MODES)
def limit_of_no_descriptors(mode):
    """NOFILE of 0 to 3: it works, or an error says what is wrong, at `create`."""
    need_bryo()
    for number in range(4):
        with Case(mode) as case:
            case.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": number, "hard": number}]
            result = case.create(["/probe", "sleep", "60"], expect=False)
            if result.rc == 0:
                case.ok("start", case.id())
                case.delete()
            else:
                contains(result.err, "rlimits", "error with %d" % number)


@test(*MODES)
def umask_of_hooks(mode):
    """hooks.c: hooks have the caller's, not that of bryo or of the payload."""
    kinds = ("createRuntime", "createContainer", "poststart", "poststop")
    for mask in (0o027, 0o077):
        with Case(mode) as case:
            place = case.make_dir("out", 0o777)
            case.process["user"]["umask"] = 0o002
            case.config["hooks"] = {
                kind: [hook("umask >%s/%s" % (place, kind))] for kind in kinds}
            result = case.run(["/probe", "exit", "0"], preexec_fn=lambda: os.umask(mask))
            check(result.rc == 0, "%s", result)
            for kind in kinds:
                with open(os.path.join(place, kind)) as file:
                    equal(int(file.read(), 8), mask, "umask of " + kind)


# -- the log --

@test(*MODES)
def usage_errors_are_logged(mode):
    """prepare(): whatever is wrong, once the name of the log is known."""
    need_bryo()
    with Case(mode) as case:
        path = os.path.join(case.make_dir("out", 0o777), "log")
        for words in (("no-such-command",), ("run", "--no-such-option", "x"), ("run",),
                      ("create", "--preserve-fds", "many", "x"), ("state", "x", "y"),
                      ("--no-such-option",), ("--rootless", "maybe", "list")):
            result = case.call("--log", path, "--log-format", "json", *words)
            check(result.rc > 0, "%s: %s", words, result)
            with open(path) as file:
                lines = [json.loads(line) for line in file]
            equal([line["level"] for line in lines][-1:], ["error"], "log of %s" % (words,))
            check(lines[-1]["msg"].strip(), "log of %s: %s", words, lines)
            os.unlink(path)
