# SPDX-License-Identifier: Apache-2.0
"""create, start, state, kill, delete, list and run: what callers rely on."""

import json
import os
import signal

from lib import proc
from lib.case import Case, kind, need_bryo
from lib.check import check, contains, contains_any, equal, test, wait_until

MODES = ("root", "rootless")
GONE = "does not exist"


# -- the life of one container --

@test("root", "userns", "rootless", "ranges")
def whole_life(mode):
    with Case(mode) as case:
        case.create(["/probe", "trap"])
        state = case.state()
        equal(state["status"], "created", "status")
        equal((state["id"], state["bundle"]), (case.id(), case.bundle.path), "state")
        check(proc.alive(state["pid"]), "the pid of the state is dead")
        equal(case.read_output(), "", "output before start")
        case.ok("start", case.id())
        wait_until(lambda: "ready" in case.read_output(), what="the payload")
        equal(case.state()["status"], "running", "status")
        case.ok("kill", case.id(), "TERM")
        case.wait_status("stopped")
        contains(case.read_output(), "got 15", "the payload's words")
        check(case.state().get("pid", 0) in (0, state["pid"]), "pid of a stopped container")
        case.ok("delete", case.id())
        contains(case.fails("state", case.id()).err, GONE, "state after delete")


@test(*MODES)
def state_is_valid(mode):
    with Case(mode) as case:
        case.config["annotations"] = {"org.example.key": "value \"quoted\""}
        case.create(["/probe", "sleep", "60"])
        state = case.state()
        for key in ("ociVersion", "id", "status", "pid", "bundle"):
            check(key in state, "state lacks %s: %s", key, state)
        equal(state.get("annotations"), case.config["annotations"], "annotations")
        case.delete()


@test(*MODES)
def create_does_not_need_its_caller(mode):
    """The config may change after create, and must not matter."""
    with Case(mode) as case:
        case.create(["/probe", "echo", "first"])
        case.save(["/probe", "echo", "second"])
        case.ok("start", case.id())
        case.wait_status("stopped")
        contains(case.read_output(), "first", "output")
        case.delete()


@test(*MODES)
def start_twice_fails(mode):
    with Case(mode) as case:
        case.create(["/probe", "sleep", "60"])
        case.ok("start", case.id())
        case.fails("start", case.id())
        equal(case.state()["status"], "running", "status after the second start")
        case.delete()


@test(*MODES)
def same_id_fails(mode):
    with Case(mode) as case:
        case.create(["/probe", "sleep", "60"])
        again = case.call("create", "-b", case.bundle.path, case.id())
        check(again.rc > 0, "%s", again)
        contains_any(again.err, ("already exists", "with given ID already exists"), "error")
        run = case.call("run", "-b", case.bundle.path, case.id())
        check(run.rc > 0 and "exist" in run.err, "%s", run)
        equal(case.state()["status"], "created", "status of the first")
        case.delete()


@test(*MODES)
def delete_of_a_running_container_fails(mode):
    with Case(mode) as case:
        case.create(["/probe", "sleep", "60"])
        case.ok("start", case.id())
        case.fails("delete", case.id())
        equal(case.state()["status"], "running", "status")
        case.delete()


@test(*MODES)
def missing_container(mode):
    with Case(mode) as case:
        for words in (("state", "no-such"), ("kill", "no-such", "KILL"), ("start", "no-such"),
                      ("delete", "no-such")):
            result = case.fails(*words)
            equal(result.rc, 1, "exit status of %s" % words[0])
            contains(result.err, GONE, words[0])
            equal(result.out, "", "standard output of %s" % words[0])
        case.ok("delete", "--force", "no-such")
        case.ok("delete", "-f", "no-such")


@test(*MODES)
def kill_of_a_stopped_container(mode):
    with Case(mode) as case:
        case.create(["/probe", "exit", "0"])
        case.ok("start", case.id())
        case.wait_status("stopped")
        result = case.fails("kill", case.id(), "TERM")
        contains_any(result.err, ("container not running", "process already finished",
                                  "no such process", "not running"), "error")
        if kind() == "bryo":
            contains(result.err, "container not running", "error")
        case.ok("delete", case.id())


@test(*MODES)
def kill_takes_names_and_numbers(mode):
    with Case(mode) as case:
        for word, number in (("10", 10), ("USR1", 10), ("SIGUSR2", 12), (None, 15)):
            suffix = "k%s" % (word or "default")
            case.create(["/probe", "trap"], suffix)
            case.ok("start", case.id(suffix))
            wait_until(lambda: "ready" in case.read_output(suffix), what="the payload")
            case.ok("kill", case.id(suffix), *([word] if word else []))
            wait_until(lambda: "got %d" % number in case.read_output(suffix),
                       what="signal %s" % word)
            case.wait_status("stopped", suffix)
            case.delete(suffix)


@test(*MODES)
def kill_refuses_nonsense(mode):
    with Case(mode) as case:
        case.create(["/probe", "sleep", "60"])
        for word in ("NOSUCH", "-1", "65536", "9x", "SIG", "4294967305"):
            result = case.call("kill", case.id(), word)
            check(result.rc > 0, "kill %r: %s", word, result)
        equal(case.state()["status"], "created", "status")
        case.delete()


@test(*MODES)
def force_delete_kills(mode):
    with Case(mode) as case:
        case.create(["/probe", "ignore-term"])
        case.ok("start", case.id())
        wait_until(lambda: "ready" in case.read_output(), what="the payload")
        pid = case.state()["pid"]
        case.delete()
        check(not proc.alive(pid), "the payload lives on")


@test(*MODES)
def children_die_with_the_container(mode):
    with Case(mode) as case:
        case.create(["/probe", "spawn", "5"])
        case.ok("start", case.id())
        wait_until(lambda: "ready" in case.read_output(), what="the payload")
        case.ok("kill", case.id(), "KILL")
        case.wait_status("stopped")
        case.ok("delete", case.id())


# -- run --

@test("root", "userns", "rootless", "ranges")
def exit_status_is_the_payloads(mode):
    with Case(mode) as case:
        for number in (0, 1, 3, 125, 126, 127, 128, 255):
            equal(case.run(["/probe", "exit", number and str(number) or "0"]).rc, number,
                  "exit status")


@test(*MODES)
def exit_status_after_a_signal(mode):
    with Case(mode) as case:
        child = case.start_run(["/probe", "sleep", "60"])
        wait_until(lambda: case.call("state", case.id()).rc == 0 and
                   case.state()["status"] == "running", what="the container")
        case.ok("kill", case.id(), "KILL")
        equal(proc.finish(child).rc, 128 + 9, "exit status")


@test(*MODES)
def signals_are_forwarded(mode):
    with Case(mode) as case:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            child = case.start_run(["/probe", "trap"])
            equal(child.stdout.readline(), b"ready\n", "the payload")
            child.send_signal(number)
            result = proc.finish(child)
            contains(result.out, "got %d" % number, "the payload's words")
            equal(result.rc, number, "exit status")


@test(*MODES)
def stdio_passes_through(mode):
    with Case(mode) as case:
        data = bytes(range(256)) * 4096
        case.save(["/probe", "cat"])
        child = case.start("run", "-b", case.bundle.path, case.id(), stdin=-1, stdout=-1,
                           stderr=-1)
        out, err = child.communicate(data, timeout=30)
        check(out == data, "%d bytes in, %d bytes out, %r", len(data), len(out), err[-300:])
        equal(child.returncode, 0, "exit status")


@test(*MODES)
def run_detached(mode):
    with Case(mode) as case:
        case.save(["/probe", "trap"])
        with open(case.output(), "ab") as out:
            case.ok("run", "-d", "-b", case.bundle.path, case.id(), stdout=out, stderr=out)
        wait_until(lambda: "ready" in case.read_output(), what="the payload")
        equal(case.state()["status"], "running", "status")
        case.ok("kill", case.id(), "INT")
        case.wait_status("stopped")
        case.ok("delete", case.id())


@test(*MODES)
def run_keep(mode):
    need_bryo("--keep is new")
    with Case(mode) as case:
        case.save(["/probe", "exit", "4"])
        equal(case.call("run", "--keep", "-b", case.bundle.path, case.id()).rc, 4, "status")
        equal(case.state()["status"], "stopped", "status")
        case.ok("delete", case.id())


@test(*MODES)
def options_after_the_id(mode):
    """Slurm's examples are written so, and runc takes it."""
    with Case(mode) as case:
        case.save(["/probe", "echo", "hello"])
        result = case.ok("run", case.id(), "-b", case.bundle.path)
        equal(result.out, "hello\n", "output")
        case.save(["/probe", "sleep", "60"])
        with open(os.devnull, "w") as null:
            case.ok("create", case.id(), "--bundle", case.bundle.path, stdout=null, stderr=null)
        case.delete()


@test(*MODES)
def bundle_is_the_working_directory(mode):
    with Case(mode) as case:
        case.save(["/probe", "echo", "hello"])
        equal(case.ok("run", case.id(), cwd=case.bundle.path).out, "hello\n", "output")
        relative = os.path.relpath(case.bundle.path, case.dir)
        equal(case.ok("run", "-b", relative, case.id(), cwd=case.dir).out, "hello\n", "output")


@test(*MODES)
def pid_file(mode):
    with Case(mode) as case:
        path = os.path.join(case.xdg, "pid")
        case.create(["/probe", "sleep", "60"], words=("--pid-file", path))
        with open(path) as file:
            text = file.read()
        equal(text, str(case.state()["pid"]), "pid file")
        case.delete()


@test(*MODES)
def pid_file_that_cannot_be_written(mode):
    with Case(mode) as case:
        result = case.create(["/probe", "exit", "0"], expect=False,
                             words=("--pid-file", "/nonexistent/dir/pid"))
        check(result.rc > 0, "%s", result)


@test(*MODES)
def preserve_fds(mode):
    with Case(mode) as case:
        pipe = os.pipe()
        try:
            case.save(["/probe", "fds"])
            # Three and four are asked for; a fifth is held open as well.
            kept = sorted(pipe)
            first = [os.dup2(kept[0], 3), os.dup2(kept[1], 4)] if min(pipe) > 4 else kept
            result = case.ok("run", "--preserve-fds", "2", "-b", case.bundle.path, case.id(),
                             pass_fds=first + list(pipe))
        finally:
            for fd in set(pipe):
                os.close(fd)
        want = "0\n1\n2\n3\n4\n" if {3, 4} <= set(first + list(pipe)) else None
        if want:
            equal(result.out, want, "descriptors")


@test(*MODES)
def closed_stdio(mode):
    """In all eight combinations: the run works, no other file takes the number."""
    need_bryo()
    with Case(mode) as case:
        status = case.make_dir("shared", 0o777)
        os.mkdir(case.bundle.inside("shared"))
        case.config["mounts"].append({"destination": "/shared", "type": "bind",
                                      "source": status, "options": ["bind", "rw"]})
        for bits in range(8):
            closed = [fd for fd in range(3) if bits & 1 << fd]

            def close():
                for fd in closed:
                    os.close(fd)
            result = case.run(["/probe", "write", "/shared/ran", str(bits)], preexec_fn=close)
            equal(result.rc, 0, "exit status with %s closed" % closed)
            with open(os.path.join(status, "ran")) as file:
                equal(file.read(), str(bits), "the payload's file")


@test(*MODES)
def sigchld_ignored_by_the_caller(mode):
    need_bryo("others hang or lose the exit status")
    with Case(mode) as case:
        def ignore():
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        equal(case.run(["/probe", "exit", "5"], preexec_fn=ignore).rc, 5, "exit status")


# -- list --

@test(*MODES)
def list_formats(mode):
    with Case(mode) as case:
        case.ok("list")
        equal(case.ok("list", "-q").out, "", "ids of no containers")
        case.create(["/probe", "sleep", "60"], "a")
        case.create(["/probe", "sleep", "60"], "b")
        case.ok("start", case.id("b"))
        ids = sorted([case.id("a"), case.id("b")])
        equal(sorted(case.ok("list", "-q").out.split()), ids, "list -q")
        found = {c["id"]: c for c in json.loads(case.ok("list", "--format", "json").out)}
        equal(sorted(found), ids, "list json")
        equal(found[case.id("a")]["status"], "created", "status of a")
        equal(found[case.id("b")]["status"], "running", "status of b")
        table = case.ok("list").out.splitlines()
        check(table[0].startswith("ID") and "PID" in table[0], "heading: %r", table[0])
        equal(len(table), 3, "lines of the table")
        check(case.call("list", "--format", "nonsense").rc > 0, "a format that is none")
        case.delete("a")
        case.delete("b")


@test(*MODES)
def list_survives_rubbish(mode):
    with Case(mode) as case:
        need_bryo("others fail")
        case.create(["/probe", "sleep", "60"])
        os.mkdir(os.path.join(case.root, "half-made"))
        with open(os.path.join(case.root, "a-file"), "w"):
            pass
        ids = case.ok("list", "-q").out.split()
        check(case.id() in ids, "the good one is missing: %s", ids)
        os.rmdir(os.path.join(case.root, "half-made"))
        os.unlink(os.path.join(case.root, "a-file"))
        case.delete()
