# SPDX-License-Identifier: Apache-2.0
"""Scheduling, I/O priority, memory policy and personality, one by one."""

import json
import os

from lib import users
from lib.case import Case, need_bryo
from lib.check import Skip, check, contains, equal, test
from lib.proc import run

RESET_ON_FORK = 1
MODES = users.MODES


def report(mode, change):
    need_bryo()
    with Case(mode) as case:
        change(case)
        return case.report()


def scheduler(**members):
    def change(case):
        case.process["scheduler"] = members
    return change


# -- process.scheduler --

@test(*MODES)
def ordinary_policies(mode):
    for name, policy in (("SCHED_OTHER", 0), ("SCHED_BATCH", 3), ("SCHED_IDLE", 5)):
        got = report(mode, scheduler(policy=name, nice=7))["scheduler"]
        equal(got["policy"], policy, name)
        if name != "SCHED_IDLE":
            equal(got["nice"], 7, name + " nice")


@test("root", "userns")
def real_time_policies(mode):
    """The host sets it, so root of a user namespace can have it too."""
    for name, policy in (("SCHED_FIFO", 1), ("SCHED_RR", 2)):
        got = report(mode, scheduler(policy=name, priority=3,
                                     flags=["SCHED_FLAG_RESET_ON_FORK"]))["scheduler"]
        equal((got["policy"], got["priority"], got["flags"]), (policy, 3, RESET_ON_FORK), name)


@test("root", "userns")
def deadline_policy(mode):
    members = {"runtime": 1000000, "deadline": 20000000, "period": 30000000}
    got = report(mode, scheduler(policy="SCHED_DEADLINE", **members))["scheduler"]
    equal(got["policy"], 6, "policy")
    for key, value in members.items():
        equal(got[key], value, key)


@test("root", "userns")
def negative_nice(mode):
    equal(report(mode, scheduler(policy="SCHED_OTHER", nice=-5))["nice"], -5, "nice value")


@test("rootless", "ranges")
def privileged_scheduling_is_refused(mode):
    need_bryo()
    for members in ({"policy": "SCHED_FIFO", "priority": 1}, {"policy": "SCHED_OTHER", "nice": -5}):
        with Case(mode) as case:
            case.process["scheduler"] = members
            line = case.run_fails(["/probe", "exit", "0"]).last_error()
            contains(line, "/process/scheduler", "error")
            contains(line, "CAP_SYS_NICE", "hint")


@test("root")
def nothing_is_changed_unasked(mode):
    got = report(mode, lambda case: None)
    equal((got["scheduler"]["policy"], got["nice"], got["mempolicy"], got["personality"]),
          (0, 0, 0, 0), "policy, nice value, memory policy, personality")


@test(*MODES)
def scheduling_of_a_created_container(mode):
    need_bryo()
    with Case(mode) as case:
        case.process["scheduler"] = {"policy": "SCHED_BATCH"}
        case.process["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
        case.create(["/probe"])
        case.ok("start", case.id())
        case.wait_status("stopped")
        got = json.loads(case.read_output())
        equal((got["scheduler"]["policy"], got["ioprio"] >> 13), (3, 3), "policy, I/O class")
        case.delete()


# -- process.ioPriority --

@test(*MODES)
def io_priorities(mode):
    def change(case):
        case.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 0}
    equal(report(mode, change)["ioprio"], 2 << 13, "best effort, 0")


@test("root", "userns")
def real_time_io_priority(mode):
    def change(case):
        case.process["ioPriority"] = {"class": "IOPRIO_CLASS_RT", "priority": 4}
    equal(report(mode, change)["ioprio"], 1 << 13 | 4, "real time, 4")


@test("rootless", "ranges")
def real_time_io_priority_is_refused(mode):
    need_bryo()
    with Case(mode) as case:
        case.process["ioPriority"] = {"class": "IOPRIO_CLASS_RT", "priority": 4}
        line = case.run_fails(["/probe", "exit", "0"]).last_error()
        contains(line, "/process/ioPriority", "error")
        contains(line, "CAP_SYS_NICE", "hint")


# -- linux.memoryPolicy, linux.personality --

@test(*MODES)
def memory_policies(mode):
    for policy, number, nodes in (
            ({"mode": "MPOL_DEFAULT"}, 0, 0), ({"mode": "MPOL_LOCAL"}, 4, 0),
            ({"mode": "MPOL_PREFERRED", "nodes": "0"}, 1, 1),
            ({"mode": "MPOL_INTERLEAVE", "nodes": " 0, 0-0 "}, 3, 1),
            ({"mode": "MPOL_PREFERRED_MANY", "nodes": "0"}, 5, 1),
            ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]},
             2 | 1 << 13, 1)):
        def change(case, value=policy):
            case.linux["memoryPolicy"] = value
        got = report(mode, change)
        equal((got["mempolicy"], int(got["mempolicy_nodes"], 16)), (number, nodes), str(policy))


@test("root", "rootless")
def nodes_that_are_not_there(mode):
    need_bryo()
    with Case(mode) as case:
        case.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "1000"}
        line = case.run_fails(["/probe", "exit", "0"]).last_error()
        contains(line, "/linux/memoryPolicy", "error")


@test(*MODES)
def personality_linux(mode):
    """LINUX takes back what the caller had."""
    need_bryo()
    with Case(mode) as case:
        case.linux["personality"] = {"domain": "LINUX"}
        case.save(["/probe"])
        setarch = run(["setarch", "-R", "true"])
        if setarch.rc != 0:
            raise Skip("no setarch")
        result = run(["setarch", "-R"] + case.argv("run", "-b", case.bundle.path, case.id()),
                     **case.options())
        equal(json.loads(result.out)["personality"], 0, "personality")


@test(*MODES)
def personality_with_an_early_filter(mode):
    """A profile that forbids personality(2) concerns the payload, not the row."""
    def change(case):
        case.process["noNewPrivileges"] = False
        case.linux["personality"] = {"domain": "LINUX32"}
        case.linux["memoryPolicy"] = {"mode": "MPOL_LOCAL"}
        case.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["personality", "set_mempolicy"], "action": "SCMP_ACT_ERRNO"}]}
    got = report(mode, change)
    equal(got["mempolicy"], 4, "memory policy")
    contains(got["machine"], "i686" if got["machine"] != "armv8l" else "armv8l", "machine")


# -- who enters --

def entered(case, *words):
    return json.loads(case.ok("exec", *words, case.id(), "/probe").out)


def cpus():
    return sorted(os.sched_getaffinity(0))


@test(*MODES)
def exec_has_all_of_it(mode):
    """What binds the first process binds those who enter."""
    need_bryo()
    with Case(mode) as case:
        case.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 3}
        case.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 2}
        case.linux["memoryPolicy"] = {"mode": "MPOL_LOCAL"}
        case.linux["personality"] = {"domain": "LINUX32"}
        case.create(["/probe", "sleep", "60"])
        case.ok("start", case.id())
        got = entered(case)
        equal((got["scheduler"]["policy"], got["nice"], got["ioprio"]), (3, 3, 2 << 13 | 2),
              "policy, nice value, I/O priority")
        equal((got["mempolicy"], got["personality"]), (4, 8), "memory policy, personality")
        case.delete()


@test(*MODES)
def affinity_of_exec(mode):
    """final wins over initial; neither concerns the first process."""
    need_bryo()
    first, last = cpus()[0], cpus()[-1]
    for members, want in (({"initial": str(first)}, {first}), ({"final": str(last)}, {last}),
                          ({"initial": str(first), "final": str(last)}, {last}),
                          ({"initial": "", "final": ""}, set(cpus()))):
        with Case(mode) as case:
            case.process["execCPUAffinity"] = members
            case.create(["/probe", "sleep", "60"])
            case.ok("start", case.id())
            pid = case.state()["pid"]
            equal(sorted(os.sched_getaffinity(pid)), cpus(), "CPUs of the first process")
            mask = int(entered(case)["cpus"], 16)
            equal({n for n in range(64) if mask >> n & 1}, want, "CPUs with %s" % members)
            case.delete()


@test("root", "rootless")
def affinity_that_cannot_be(mode):
    need_bryo()
    for name in ("initial", "final"):
        with Case(mode) as case:
            case.process["execCPUAffinity"] = {name: "8000"}
            case.create(["/probe", "sleep", "60"])
            case.ok("start", case.id())
            line = case.fails("exec", case.id(), "/probe").last_error()
            contains(line, "/process/execCPUAffinity/" + name, "error")
            case.delete()


@test("root")
def rows_of_exec_are_needed(mode):
    """That these tests see it when a row is left out."""
    need_bryo()
    first, last = cpus()[0], cpus()[-1]
    if first == last:
        raise Skip("one CPU")
    with Case(mode, faults=True) as case:
        case.process["execCPUAffinity"] = {"initial": str(first), "final": str(last)}
        case.create(["/probe", "sleep", "60"])
        case.ok("start", case.id())
        for env, want in (({}, 1 << last), ({"BRYO_SKIP": "affinity"}, 1 << first)):
            got = json.loads(case.ok("exec", case.id(), "/probe", env=env).out)
            equal(int(got["cpus"], 16), want, "CPUs with %s" % env)
        case.delete()


# -- values that are wrong --

BAD = (
    ("process", {"scheduler": {}}, "/process/scheduler/policy"),
    ("process", {"scheduler": {"policy": "SCHED_BEST"}}, "/process/scheduler/policy"),
    ("process", {"scheduler": {"policy": "SCHED_OTHER", "nice": 20}}, "/process/scheduler/nice"),
    ("process", {"scheduler": {"policy": "SCHED_OTHER", "priority": 1}},
     "/process/scheduler/priority"),
    ("process", {"scheduler": {"policy": "SCHED_RR"}}, "/process/scheduler/priority"),
    ("process", {"scheduler": {"policy": "SCHED_FIFO", "priority": 100}},
     "/process/scheduler/priority"),
    ("process", {"scheduler": {"policy": "SCHED_OTHER", "deadline": 1}},
     "/process/scheduler/deadline"),
    ("process", {"scheduler": {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"]}},
     "/process/scheduler/flags/0"),
    ("process", {"ioPriority": {"priority": 1}}, "/process/ioPriority/class"),
    ("process", {"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 8}},
     "/process/ioPriority/priority"),
    ("process", {"execCPUAffinity": {"initial": "1-"}}, "/process/execCPUAffinity/initial"),
    ("process", {"execCPUAffinity": {"final": "a"}}, "/process/execCPUAffinity/final"),
    ("process", {"execCPUAffinity": {"final": "3-1"}}, "/process/execCPUAffinity/final"),
    ("linux", {"memoryPolicy": {"nodes": "0"}}, "/linux/memoryPolicy/mode"),
    ("linux", {"memoryPolicy": {"mode": "MPOL_BIND"}}, "/linux/memoryPolicy/nodes"),
    ("linux", {"memoryPolicy": {"mode": "MPOL_LOCAL", "nodes": "0"}}, "/linux/memoryPolicy/nodes"),
    ("linux", {"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0,,1"}},
     "/linux/memoryPolicy/nodes"),
    ("linux", {"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "99999999999999999999"}},
     "/linux/memoryPolicy/nodes"),
    ("linux", {"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": [
        "MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}}, "/linux/memoryPolicy/flags"),
    ("linux", {"personality": {}}, "/linux/personality/domain"),
    ("linux", {"personality": {"domain": "BSD"}}, "/linux/personality/domain"),
    ("linux", {"personality": {"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}},
     "/linux/personality/flags/0"),
)


@test("root", "rootless")
def wrong_values(mode):
    """One line, with the pointer, and nothing is made."""
    need_bryo()
    with Case(mode) as case:
        good = json.dumps(case.config)
        for section, members, pointer in BAD:
            case.bundle.config = json.loads(good)
            case.config[section].update(members)
            result = case.run_fails(["/probe", "exit", "0"])
            equal(len(result.err.splitlines()), 1, "lines of %r" % result.err)
            contains(result.last_error(), pointer, "error of %s" % members)
            check(case.call("state", case.id()).rc != 0, "a container was left: %s", members)
