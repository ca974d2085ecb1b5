# SPDX-License-Identifier: Apache-2.0
"""wait: the exit status of a detached container, and the keeper that learns it."""

import os
import signal
import subprocess
import time

from lib import proc
from lib.case import Case, need_bryo, need_busybox
from lib.check import Skip, check, contains, equal, test, wait_until

ALL = ("root", "userns", "rootless", "ranges")
MODES = ("root", "rootless")


#: The payload has the streams of `run -d`: a pipe of the test's would not end before it.
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def detached(case, args):
    need_bryo()
    case.save(args)
    case.ok("run", "-d", "-b", case.bundle.path, case.id(), **QUIET)


def waiter(case):
    """A `wait` that has begun."""
    job = case.start("wait", case.id(), **PIPES)
    time.sleep(0.3)
    return job


def waited(case, *words):
    """What `wait` prints, which is its exit status."""
    result = case.call("wait", *words, case.id())
    check(result.rc == int(result.out) and not result.err, "%s", result)
    return result.rc


def keeper(case):
    """The pid of the keeper: the parent of the container's process."""
    with open("/proc/%d/stat" % case.state()["pid"]) as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])


@test(*ALL)
def status_of_the_end(mode):
    """It comes when the container ends, to everybody who waits, and stays until delete."""
    with Case(mode) as case:
        detached(case, ["/probe", "sleep", "1"])
        jobs = [waiter(case) for _ in range(3)]
        for job in jobs:
            result = proc.finish(job)
            equal((result.rc, result.out), (0, "0\n"), "%s" % result)
        equal(case.state()["status"], "stopped", "status")
        case.delete()
        detached(case, ["/probe", "exit", "7"])
        equal(waited(case), 7, "while or after it runs")
        equal(waited(case), 7, "afterwards")
        case.delete()
        case.fails("wait", case.id())


@test(*ALL)
def status_of_a_signal(mode):
    """128 and the signal, as `run` has it; delete --force does not take it away from who waits."""
    with Case(mode) as case:
        detached(case, ["/probe", "sleep", "100"])
        job = waiter(case)
        case.ok("delete", "--force", case.id())
        result = proc.finish(job)
        equal((result.rc, result.out), (137, "137\n"), "%s" % result)


@test(*MODES)
def timeout(mode):
    """124 and a word, and the container goes on."""
    with Case(mode) as case:
        detached(case, ["/probe", "sleep", "100"])
        start = time.monotonic()
        result = case.fails("wait", "--timeout", "300ms", case.id())
        check(0.3 <= time.monotonic() - start < 30, "it took %s s", time.monotonic() - start)
        equal((result.rc, result.out), (124, ""), "%s" % result)
        contains(result.last_error(), "has not ended", "error")
        for bad in ("", "x", "-1s", "5", "1e99h"):
            contains(case.fails("wait", "--timeout", bad, case.id()).last_error(), "--timeout", bad)
        case.ok("kill", case.id(), "KILL")
        equal(waited(case, "--timeout", "60s"), 137, "status")
        case.delete()


@test(*MODES)
def nobody_is_waited_for_by_polling(mode):
    """A wait uses no time while it waits."""
    with Case(mode) as case:
        detached(case, ["/probe", "sleep", "100"])
        job = waiter(case)
        switches = context_switches(job.pid)
        time.sleep(1)
        equal(context_switches(job.pid), switches, "context switches")
        case.ok("kill", case.id(), "KILL")
        equal(proc.finish(job).rc, 137, "status")
        case.delete()


def context_switches(pid):
    with open("/proc/%d/status" % pid) as file:
        return [line for line in file if "ctxt_switches" in line]


@test(*ALL)
def created_containers(mode):
    """create leaves nobody behind; since Linux 6.15 the kernel tells all the same."""
    need_bryo()
    with Case(mode) as case:
        case.create(["/probe", "exit", "5"])
        job = waiter(case)
        case.ok("start", case.id())
        # The parent is told first, which are the tests.
        wait_until(lambda: proc.descendants() is not None and job.poll() is not None,
                   what="the end of wait")
        result = proc.finish(job)
        if "before Linux 6.15" in result.err:
            raise Skip("this kernel tells the parent alone")
        equal((result.rc, result.out), (5, "5\n"), "%s" % result)
        contains(case.fails("wait", case.id()).last_error(), "is not known", "afterwards")
        case.delete()


@test(*ALL)
def keeper_holds_nothing(mode):
    """No descriptor, terminal or directory of the caller's; a pipe ends with the payload's."""
    need_busybox()
    with Case(mode) as case:
        need_bryo()
        case.save(["/bin/sh", "-c", "echo here; exec >/dev/null 2>&1 </dev/null; exec sleep 100"])
        result = case.ok("run", "-d", "-b", case.bundle.path, case.id())  # to the pipe's end
        equal(result.out, "here\n", "output")
        pid = keeper(case)
        equal(sorted(os.listdir("/proc/%d/fd" % pid)), ["0", "1", "2", "3"], "descriptors")
        for fd in range(3):
            equal(os.readlink("/proc/%d/fd/%d" % (pid, fd)), "/dev/null", "stream")
        equal(os.readlink("/proc/%d/cwd" % pid), "/", "working directory")
        equal(os.getsid(pid), pid, "session")
        case.ok("kill", case.id(), "KILL")
        equal(waited(case), 137, "status")
        wait_until(lambda: pid not in proc.descendants(),
                   what="the keeper's end")
        case.delete()


@test(*MODES)
def keeper_is_killed(mode):
    """The container goes on; its status is not known then, and said to be so."""
    with Case(mode) as case:
        detached(case, ["/probe", "sleep", "100"])
        os.kill(keeper(case), signal.SIGKILL)
        equal(case.state()["status"], "running", "status")
        case.ok("kill", case.id(), "KILL")
        wait_until(lambda: case.state()["status"] == "stopped", what="the end")
        contains(case.fails("wait", case.id()).last_error(), "is not known", "error")
        case.delete()


@test(*MODES)
def failures_are_told(mode):
    """run -d fails as run does: one line, its status, and nothing left; by a signal, too."""
    need_bryo()
    with Case(mode, faults=True) as case:
        case.save(["/nonexistent"])
        result = case.fails("run", "-d", "-b", case.bundle.path, case.id())
        equal((result.rc, len(result.err.splitlines())), (127, 1), "%s" % result)
        case.save(["/probe", "sleep", "100"])
        result = case.fails("run", "-d", "-b", case.bundle.path, case.id(),
                            env={"BRYO_FAIL": "identify"})
        equal(result.rc, 125, "%s" % result)
        case.clean("after a failure")
        case.config["hooks"] = {"prestart": [{"path": "/bin/sleep", "args": ["sleep", "100"]}]}
        case.save()
        for sig in (signal.SIGTERM, signal.SIGINT):
            job = case.start("run", "-d", "-b", case.bundle.path, case.id(), **PIPES)
            wait_until(lambda: case.call("state", case.id()).rc == 0, what="the container")
            time.sleep(0.2)
            job.send_signal(sig)
            result = proc.finish(job)
            equal(result.rc, 128 + sig, "%s" % result)
            case.clean("after a signal")


@test(*MODES)
def caller_is_killed(mode):
    """run -d is killed while it makes a container: nothing goes on."""
    need_bryo()
    with Case(mode) as case:
        case.config["hooks"] = {"prestart": [{"path": "/bin/sleep", "args": ["sleep", "2"]}]}
        case.save(["/probe", "sleep", "100"])
        job = case.start("run", "-d", "-b", case.bundle.path, case.id(), **QUIET)
        wait_until(lambda: case.call("state", case.id()).rc == 0, what="the container")
        job.kill()
        proc.finish(job)
        time.sleep(2)  # the hook, which is nobody's now
        case.ok("delete", "--force", case.id())
