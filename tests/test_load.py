# SPDX-License-Identifier: Apache-2.0
"""Many runs, one after another and at once, leave nothing."""

import os

from lib import proc
from lib.bundle import drop_mount
from lib.case import Case, kind
from lib.check import check, equal, test

#: A peer only shows that the test works.
IN_SEQUENCE = int(os.environ.get("BRYO_TESTS_RUNS", "1000" if kind() == "bryo" else "20"))
AT_ONCE = 100 if kind() == "bryo" else 20


def open_files():
    return len(os.listdir("/proc/self/fd"))


@test("root", "rootless")
def in_sequence(mode):
    with Case(mode) as case:
        drop_mount(case.config, "/dev/mqueue")
        case.save(["/probe", "exit", "0"])
        count = IN_SEQUENCE if mode == "rootless" else max(IN_SEQUENCE // 4, 1)
        for number in range(count):
            result = case.call("run", "-b", case.bundle.path, case.id("s%d" % number))
            check(result.rc == 0, "run %d: %s", number, result)
        case.clean("after %d runs" % count)


@test("root", "rootless")
def at_once(mode):
    with Case(mode) as case:
        case.save(["/probe", "echo", "hello"])
        children = [case.start("run", "-b", case.bundle.path, case.id("p%d" % number),
                               stdout=-1, stderr=-1) for number in range(AT_ONCE)]
        for child in children:
            result = proc.finish(child, timeout=60)
            equal((result.rc, result.out), (0, "hello\n"), "a run: " + result.err)
        case.clean("after %d runs at once" % AT_ONCE)


@test("root", "rootless")
def one_id_has_one_winner(mode):
    """Sixteen callers create the same id: one gets it."""
    with Case(mode) as case:
        case.save(["/probe", "sleep", "60"])
        with open(case.output(), "ab") as out:
            children = [case.start("create", "-b", case.bundle.path, case.id(), stdout=out,
                                   stderr=out) for _ in range(16)]
            codes = [proc.finish(child, timeout=60).rc for child in children]
        equal(codes.count(0), 1, "winners")
        check(min(codes) >= 0, "somebody died: %s", codes)
        check("exist" in case.read_output(), "what the losers say: %s", case.read_output())
        equal(case.state()["status"], "created", "status")
        case.delete()


@test("root", "rootless")
def one_delete_of_many(mode):
    """Deleting at the same time, by force: all succeed, all is gone."""
    with Case(mode) as case:
        case.create(["/probe", "sleep", "60"])
        case.ok("start", case.id())
        children = [case.start("delete", "--force", case.id(), stdout=-1, stderr=-1)
                    for _ in range(8)]
        for child in children:
            result = proc.finish(child)
            equal(result.rc, 0, result.err)


@test("root", "rootless")
def runtime_killed_while_the_payload_runs(mode):
    """kill -9 of a foreground run: one delete clears up."""
    with Case(mode) as case:
        child = case.start_run(["/probe", "trap"])
        equal(child.stdout.readline(), b"ready\n", "the payload")
        proc.kill_pid(child.pid)
        child.wait()
        case.delete()
        case.clean("after delete --force")
        proc.finish(child)
