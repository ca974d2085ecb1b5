# SPDX-License-Identifier: Apache-2.0
"""Cgroups: where they are made, what holds in them, and that none is left.

Runs on any cgroup v2 tree, that of a hybrid host too; what needs a controller
is skipped where the tree has not got it.  The test VM has them all.
"""

import json
import os
import re
import signal
import subprocess
import time

from lib import bundle, proc, users
from lib.case import Case, need_bryo, need_busybox
from lib.check import Skip, check, contains, equal, test, wait_until
from lib.host import cgroup2_view

ROOT = ("root", "userns")
DENY_ALL = {"allow": False, "access": "rwm"}
#: A device that no driver has: what is allowed ends with ENXIO, the rest with EPERM.
NO_DEVICE = {"path": "/dev/none", "type": "c", "major": 511, "minor": 7}


# -- the tree --

def mount_point():
    """Of the cgroup v2 tree: the usual place, else the first."""
    found = []
    with open("/proc/self/mountinfo") as table:
        for line in table:
            left, _, right = line.partition(" - ")
            if right.startswith("cgroup2 "):
                found.append(left.split()[4])
    if not found:
        raise Skip("no cgroup v2 tree is mounted")
    return "/sys/fs/cgroup" if "/sys/fs/cgroup" in found else found[0]


def at(*parts):
    return "/".join((mount_point(),) + tuple(p.strip("/") for p in parts if p.strip("/")))


def read(*parts):
    with open(at(*parts)) as file:
        return file.read().strip()


def write(text, *parts):
    with open(at(*parts), "w") as file:
        file.write(text)


def exists(*parts):
    return os.path.exists(at(*parts))


#: Of other tests, and of engines, that run at the same time.
STRANGERS = re.compile(r"/(bt(?!%dx)\d+x|bryo-engines|libpod|podman)" % os.getpid())


def directories():
    return sorted(top for top, _, _ in os.walk(mount_point()) if not STRANGERS.search(top))


def own():
    with open("/proc/self/cgroup") as file:
        return [line.strip()[3:] for line in file if line.startswith("0::")][0]


def controllers(path=""):
    return read(path, "cgroup.controllers").split()


def need_controller(*names):
    for name in names:
        if name not in controllers():
            raise Skip("the tree has no %s controller" % name)


class Enabled:
    """The controllers of the root as they were, when a test is over."""

    def __enter__(self):
        self.before = set(read("cgroup.subtree_control").split())

    def __exit__(self, *_):
        for name in set(read("cgroup.subtree_control").split()) - self.before:
            try:
                write("-" + name, "cgroup.subtree_control")
            except OSError:
                pass


def resources(case, **members):
    case.linux.setdefault("resources", {}).update(members)


def path_of(case, name="box"):
    return "/%s-cgroup/%s" % (case.marker, name)


def place(case, name="box"):
    """The container gets the absolute path, which is returned."""
    case.linux["cgroupsPath"] = path_of(case, name)
    return path_of(case, name)


def running(case, args=("/probe", "sleep", "60"), suffix="c"):
    case.create(list(args), suffix)
    case.ok("start", case.id(suffix))
    return case.state(suffix)["pid"]


def made(path):
    os.makedirs(at(path))
    return path


def remove(path):
    """The path and its first parent, made by a test."""
    for each in (path, os.path.dirname(path)):
        if each != "/" and exists(each):
            os.rmdir(at(each))


# -- where --

@test(*ROOT)
def absolute_path(mode):
    """cgroup_plan(): below the mount; the payload is there from its first instruction."""
    need_bryo()
    with Case(mode) as case:
        path = place(case)
        bundle.drop_namespace(case.config, "cgroup")
        result = case.run_ok(["/probe", "cat", "/proc/self/cgroup"])
        contains(result.out.splitlines(), "0::" + path, "cgroup of the payload")
        check(not exists(os.path.dirname(path)), "the parent is left")


@test(*ROOT)
def namespace_begins_at_the_cgroup(mode):
    """Row cgroupns: made by the box, once it is in its cgroup."""
    with Case(mode) as case:
        place(case)
        contains(case.run_ok(["/probe", "cat", "/proc/self/cgroup"]).out.splitlines(), "0::/",
                 "cgroup of the payload")


@test("root")
def relative_path(mode):
    """tree_own(): beneath the caller's own cgroup."""
    need_bryo()
    with Case(mode) as case:
        case.linux["cgroupsPath"] = case.marker + "/rel"
        bundle.drop_namespace(case.config, "cgroup")
        want = "0::%s/%s/rel" % (own().rstrip("/"), case.marker)
        contains(case.run_ok(["/probe", "cat", "/proc/self/cgroup"]).out.splitlines(), want,
                 "cgroup of the payload")


@test("root")
def absent_path(mode):
    """cgroup_plan(): a leaf named after the container, when a limit is asked for."""
    need_bryo()
    with Case(mode) as case:
        bundle.drop_namespace(case.config, "cgroup")
        before = case.run_ok(["/probe", "cat", "/proc/self/cgroup"]).out
        contains(before.splitlines(), "0::" + own(), "cgroup without limits")
        resources(case, devices=[DENY_ALL])
        want = "0::%s/bryo-%s" % (own().rstrip("/"), case.id())
        contains(case.run_ok(["/probe", "cat", "/proc/self/cgroup"]).out.splitlines(), want,
                 "cgroup of the payload")


@test("root")
def nested_under_the_caller(mode):
    """Not beside: a caller that is limited limits its containers."""
    need_bryo()
    with Case(mode) as case:
        job = made("/%s-job" % case.marker)
        case.linux["cgroupsPath"] = "rel"
        bundle.drop_namespace(case.config, "cgroup")
        case.save(["/probe", "cat", "/proc/self/cgroup"])
        result = case.ok("run", "-b", case.bundle.path, case.id(),
                         preexec_fn=lambda: write(str(os.getpid()), job, "cgroup.procs"))
        contains(result.out.splitlines(), "0::%s/rel" % job, "cgroup of the payload")
        wait_until(lambda: not read(job, "cgroup.procs"), what="the caller's end")
        equal([n for n in os.listdir(at(job)) if n == "rel"], [], "children")
        remove(job)


@test(*("/../x", "../x", "/a/../../x", "/a/./b", "/", "//", "a/..", "x" * 256, "/d" * 65))
def paths_that_are_refused(path):
    """tree_clean(): nothing is guessed, nothing is made."""
    users.identity("root")
    need_bryo()
    with Case("root") as case:
        before = directories()
        case.linux["cgroupsPath"] = path
        result = case.run_fails(["/probe", "exit", "0"])
        contains(result.last_error(), "/linux/cgroupsPath", "error")
        equal(directories(), before, "cgroups")


@test("root")
def a_file_is_no_cgroup(mode):
    need_bryo()
    with Case(mode) as case:
        for path in ("/cgroup.procs", "/cgroup.procs/x"):
            case.linux["cgroupsPath"] = path
            contains(case.run_fails(["/probe", "exit", "0"]).last_error(), "/linux/cgroupsPath",
                     path)


@test("root")
def populated_target(mode):
    """cgroup_survey(): limits would hit strangers, delete would end them."""
    need_bryo()
    with Case(mode) as case:
        path = place(case)
        running(case, suffix="first")
        result = case.create(["/probe", "exit", "0"], "second", expect=False)
        check(result.rc > 0, "it was shared: %s", result)
        contains(result.err, "holds processes", "error")
        # A child's processes count as well.
        case.linux["cgroupsPath"] = os.path.dirname(path)
        contains(case.run_fails(["/probe", "exit", "0"]).err, "holds processes", "error")
        equal(case.state("first")["status"], "running", "the first")
        case.delete("first")


@test("root")
def frozen_target(mode):
    """cgroup_survey(): the container would be born frozen."""
    need_bryo()
    with Case(mode) as case:
        path = made(place(case))
        for frozen in (path, os.path.dirname(path)):
            write("1", frozen, "cgroup.freeze")
            wait_until(lambda: "frozen 1" in read(frozen, "cgroup.events"), what="frozen")
            contains(case.run_fails(["/probe", "exit", "0"]).last_error(), "frozen", frozen)
            write("0", frozen, "cgroup.freeze")
            wait_until(lambda: "frozen 0" in read(frozen, "cgroup.events"), what="thawed")
        case.run_ok(["/probe", "exit", "0"])
        check(exists(path), "what was there before is gone")
        remove(path)


@test("root")
def what_was_there_stays(mode):
    """cgroup_remove(): parents of ours go with the last container, others never."""
    need_bryo()
    with Case(mode) as case:
        parent = made("/%s-kept" % case.marker)
        for name in ("one", "two"):
            case.linux["cgroupsPath"] = "%s/ours/%s" % (parent, name)
            running(case, suffix=name)
        # Not by the one that made it, but by the last.
        case.delete("one")
        check(not exists(parent, "ours/one") and exists(parent, "ours/two"), "after the first")
        case.delete("two")
        check(not exists(parent, "ours"), "our parent is left")
        check(exists(parent), "a stranger's parent is gone")
        remove(parent)


@test("root")
def children_of_the_container(mode):
    """cgroup_remove(): what it has made below goes first, however deep."""
    need_bryo()
    need_busybox()
    with Case(mode) as case:
        path = place(case)
        case.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup",
                                      "source": "cgroup", "options": ["rw"]})
        script = "".join("/probe mkdir /sys/fs/cgroup/%s; " % name
                         for name in ("a", "a/b", "a/b/c", "d", "d/e")) + "sleep 60"
        running(case, ["/bin/sh", "-c", script])
        wait_until(lambda: exists(path, "d/e"), what="children")
        check(exists(path, "a/b/c"), "it made none: %s", case.read_output())
        case.delete()
        check(not exists(path), "its cgroup is left")


@test("root")
def hybrid_and_pure(mode):
    """tree_find(): the same container, whatever the mount is called."""
    need_bryo()
    if mount_point() == "/sys/fs/cgroup":
        raise Skip("the tree is a pure one")
    with Case(mode) as case:
        path = place(case)
        bundle.drop_namespace(case.config, "cgroup")
        case.save(["/probe", "cat", "/proc/self/cgroup"])
        result = case.ok("run", "-b", case.bundle.path, case.id(), preexec_fn=cgroup2_view)
        contains(result.out.splitlines(), "0::" + path, "cgroup in a pure tree")


# -- ownership --

DELEGATED = ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control")


@test(*ROOT)
def ownership(mode):
    """cgroup_delegate(): the directory and the files of the kernel's list, and no others."""
    need_bryo()
    for options, given in ((["rw"], True), (["ro"], False)):
        with Case(mode) as case:
            path = place(case)
            case.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup",
                                          "source": "cgroup", "options": options})
            case.process["user"] = {"uid": 1000, "gid": 1000}
            running(case)
            want = case.who.host_uid(1000) if given else 0
            for name in ("",) + DELEGATED:
                equal(os.stat(at(path, name)).st_uid, want, "owner of %r, %s" % (name, options))
            for name in ("cgroup.freeze", "cgroup.kill", "cgroup.max.depth"):
                equal(os.stat(at(path, name)).st_uid, 0, "owner of " + name)
            case.delete()


@test("root")
def ownership_needs_a_namespace(mode):
    need_bryo()
    with Case(mode) as case:
        path = place(case)
        bundle.drop_namespace(case.config, "cgroup")
        case.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup",
                                      "source": "cgroup", "options": ["rw"]})
        case.process["user"] = {"uid": 1000, "gid": 1000}
        running(case)
        equal(os.stat(at(path)).st_uid, 0, "owner")
        case.delete()


# -- limits --

MISSING = {"memory": ({"memory": {"limit": 1 << 26}}, "/memory/limit"),
           "cpu": ({"cpu": {"shares": 512}}, "/cpu/shares"),
           "cpuset": ({"cpu": {"cpus": "0"}}, "/cpu/cpus"),
           "pids": ({"pids": {"limit": 10}}, "/pids/limit"),
           "io": ({"blockIO": {"weight": 100}}, "/blockIO/weight"),
           "rdma": ({"rdma": {"x": {"hcaHandles": 1}}}, "/rdma/x")}


@test(*MISSING)
def missing_controller(name):
    """controller_missing(): named, with where it is; nothing is made."""
    users.identity("root")
    need_bryo()
    if name in controllers():
        raise Skip("the tree has it")
    members, pointer = MISSING[name]
    for path in (True, False):
        with Case("root") as case:
            if path:
                place(case)
            resources(case, **members)
            error = case.run_fails(["/probe", "echo", "hello"]).last_error()
            contains(error, "/linux/resources" + pointer, "error")
            contains(error, "the %s controller" % name, "error")
            with open("/proc/cgroups") as file:
                v1 = [l for l in file if l.split()[0] in (name, "blk" + name)
                      and l.split()[1] != "0"]
            if v1:
                contains(error, "cgroup v1 has it", "error")


UNSET = {"memory": {"limit": 0, "swap": 0, "disableOOMKiller": False},
         "cpu": {"shares": 0, "quota": 0, "period": 0}, "blockIO": {"weight": 0},
         "pids": {"limit": -1}}


@test(*users.MODES)
def what_means_unset(mode):
    """limits_compile(): engines send zeros for what nobody asked for."""
    with Case(mode) as case:
        resources(case, **UNSET)
        case.run_ok(["/probe", "exit", "0"])


CONTRADICTIONS = {
    "swap below the limit": ({"memory": {"limit": 100, "swap": 99}}, "/memory/swap"),
    "swap alone": ({"memory": {"swap": 99}}, "/memory/swap"),
    "burst above the quota": ({"cpu": {"quota": 5000, "burst": 5001}}, "/cpu/burst"),
    "a weight too small": ({"blockIO": {"weight": 5}}, "/blockIO/weight"),
    "swappiness": ({"memory": {"swappiness": 10}}, "/memory/swappiness"),
    "network": ({"network": {"classID": 7}}, "/network/classID"),
    "real time": ({"cpu": {"realtimeRuntime": 7}}, "/cpu/realtimeRuntime"),
    "negative": ({"memory": {"limit": -2}}, "/memory/limit"),
    "overflow": ({"pids": {"limit": 1 << 63}}, "/pids/limit"),
    "slash in a key": ({"unified": {"x/memory.max": "1"}}, "/unified/x~1memory.max"),
    "parent as a key": ({"unified": {"../cgroup.procs": "1"}}, "/unified/..~1cgroup.procs"),
    "not a limit": ({"unified": {"cgroup.procs": "1"}}, "/unified/cgroup.procs"),
}


@test(*CONTRADICTIONS)
def contradictions(name):
    """One line with the pointer, and nothing is made."""
    users.identity("root")
    need_bryo()
    members, pointer = CONTRADICTIONS[name]
    with Case("root") as case:
        place(case)
        resources(case, **members)
        before = directories()
        result = case.run_fails(["/probe", "echo", "hello"])
        contains(result.err, "/linux/resources" + pointer, "error")
        equal(len(result.err.strip().splitlines()), 1, "lines")
        equal(directories(), before, "cgroups")


@test("root")
def unified_keys(mode):
    """add_unified(): written as they are; one that is unknown is an error by its key."""
    need_bryo()
    with Case(mode) as case:
        path = place(case)
        resources(case, unified={"cgroup.max.depth": "3", "cgroup.max.descendants": "7"})
        running(case)
        equal(read(path, "cgroup.max.depth"), "3", "cgroup.max.depth")
        equal(read(path, "cgroup.max.descendants"), "7", "cgroup.max.descendants")
        case.delete()
        for key in ("cgroup.nonsense", "nonsense.max"):
            case.linux["resources"] = {"unified": {key: "1"}}
            contains(case.run_fails(["/probe", "exit", "0"]).last_error(),
                     "/linux/resources/unified/" + key, "error")
        case.linux["resources"] = {"unified": {"cgroup.max.depth": "many"}}
        contains(case.run_fails(["/probe", "exit", "0"]).last_error(), "cgroup.max.depth", "error")


@test("root")
def huge_pages(mode):
    """add_hugepages(): reservations are limited where the kernel can."""
    need_bryo()
    need_controller("hugetlb")
    with Enabled(), Case(mode) as case:
        path = place(case)
        resources(case, hugepageLimits=[{"pageSize": "2MB", "limit": 4 << 20}])
        running(case)
        if not exists(path, "hugetlb.2MB.max"):
            case.delete()
            raise Skip("no huge pages of 2 MB")
        file = "hugetlb.2MB.rsvd.max"
        equal(read(path, file if exists(path, file) else "hugetlb.2MB.max"), str(4 << 20), file)
        case.delete()
        case.linux["resources"] = {"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}
        contains(case.run_fails(["/probe", "exit", "0"]).last_error(), "/hugepageLimits/0", "error")


@test("root")
def disabled_manager(mode):
    """--cgroup-manager disabled: no cgroup; a limit is an error then, a path is not."""
    need_bryo()
    with Case(mode) as case:
        place(case)
        resources(case, devices=[DENY_ALL])
        bundle.drop_namespace(case.config, "cgroup")
        case.save(["/probe", "cat", "/proc/self/cgroup"])
        words = ("--cgroup-manager", "disabled", "run", "-b", case.bundle.path, case.id())
        contains(case.ok(*words).out.splitlines(), "0::" + own(), "cgroup")
        resources(case, pids={"limit": 5})
        case.save()
        contains(case.fails(*words).last_error(), "/linux/resources/pids/limit", "error")


# -- devices --

def opens(case, rights="r"):
    return case.run(["/probe", "open", rights, NO_DEVICE["path"]]).out.strip()


@test("root")
def device_rules(mode):
    """device_program_make(): the last entry counts, right by right."""
    need_bryo()
    with Case(mode) as case:
        case.linux["devices"] = [NO_DEVICE]
        rule = {"allow": True, "type": "c", "major": 511, "minor": 7}
        equal(opens(case), "ENXIO", "without rules")
        for rules, r, w in (
                ([DENY_ALL], "EPERM", "EPERM"),
                ([DENY_ALL, dict(rule, access="r")], "ENXIO", "EPERM"),
                ([DENY_ALL, dict(rule, access="rwm")], "ENXIO", "ENXIO"),
                ([dict(rule, access="rwm"), DENY_ALL], "EPERM", "EPERM"),
                ([DENY_ALL, dict(rule, type="b", access="rwm")], "EPERM", "EPERM"),
                ([DENY_ALL, dict(rule, minor=8, access="rwm")], "EPERM", "EPERM"),
                ([DENY_ALL, {"allow": True, "type": "c", "major": 511, "access": "rw"},
                  dict(rule, allow=False, access="w")], "ENXIO", "EPERM"),
                ([{"allow": False, "type": "c", "major": 511, "access": "w"}], "ENXIO", "EPERM"),
                ([{"allow": True, "access": "rwm"}], "ENXIO", "ENXIO")):
            resources(case, devices=rules)
            equal((opens(case), opens(case, "w")), (r, w), "%s" % rules)


@test("root")
def default_devices(mode):
    """What every container needs works under "deny all"."""
    with Case(mode) as case:
        resources(case, devices=[DENY_ALL])
        for name in ("null", "zero", "full", "random", "urandom", "pts/ptmx"):
            equal(case.run(["/probe", "open", "r", "/dev/" + name]).out.strip(), "ok", name)


@test("root")
def devices_changed(mode):
    """device_program_attach(): `update` replaces the program of a running container."""
    need_bryo()
    need_busybox()
    with Case(mode) as case:
        case.linux["devices"] = [NO_DEVICE]
        resources(case, devices=[DENY_ALL])
        place(case)
        script = ("while :; do /probe open r %s >/work/now; cat /work/now >/work/seen; "
                  "sleep 0.02; done" % NO_DEVICE["path"])
        running(case, ["/bin/sh", "-c", script])
        seen = case.bundle.inside("/work/seen")

        def sees(want):
            wait_until(lambda: os.path.exists(seen) and open(seen).read().strip() == want,
                       what=want)
        sees("EPERM")
        allow = {"allow": True, "type": "c", "major": 511, "minor": 7, "access": "r"}
        for rules, want in (([DENY_ALL, allow], "ENXIO"), ([DENY_ALL], "EPERM"),
                            ([{"allow": True, "access": "rwm"}], "ENXIO")):
            case.ok("update", "-r", "-", case.id(),
                    stdin=json.dumps({"devices": rules}).encode())
            sees(want)
        case.delete()


@test("userns")
def devices_of_a_user_namespace(mode):
    """Root outside can load the program, so it holds for a user namespace too."""
    need_bryo()
    with Case(mode) as case:
        resources(case, devices=[DENY_ALL])
        equal(case.run(["/probe", "open", "r", "/dev/null"]).out.strip(), "ok", "/dev/null")


@test("rootless", "ranges")
def devices_of_an_ordinary_user(mode):
    """No program can be loaded, and no device node be made: left out."""
    with Case(mode) as case:
        resources(case, devices=[DENY_ALL])
        case.run_ok(["/probe", "open", "r", "/dev/null"])


# -- an ordinary user --

@test("rootless", "ranges")
def not_delegated(mode):
    """make_failed(): where, and what would delegate it."""
    need_bryo()
    with Case(mode) as case:
        if os.geteuid() != 0 and os.access(at(own()), os.W_OK):
            raise Skip("the own cgroup is delegated")
        place(case)
        result = case.run_fails(["/probe", "echo", "hello"])
        contains(result.last_error(), "/linux/cgroupsPath", "error")
        contains(result.last_error(), "delegated", "error")


def as_delegated(case, leaf):
    """Keyword arguments: the runtime is in that cgroup, as the user."""
    def become():
        write(str(os.getpid()), leaf, "cgroup.procs")
        os.setgroups([])
        os.setresgid(*[case.who.gid] * 3)
        os.setresuid(*[case.who.uid] * 3)
    return {"user": None, "group": None, "extra_groups": None, "preexec_fn": become}


@test("rootless", "ranges")
def delegated(mode):
    """The user's own subtree: absolute and relative paths, and a clean end."""
    need_bryo()
    if os.geteuid() != 0:
        raise Skip("needs root to delegate")
    with Case(mode) as case:
        top = made("/%s-user" % case.marker)
        leaf = made(top + "/leaf")
        try:
            for path in (top, leaf):
                for name in ("",) + DELEGATED:
                    os.chown(at(path, name), case.who.uid, case.who.gid)
            case.save(["/probe", "cat", "/proc/self/cgroup"])
            bundle.drop_namespace(case.config, "cgroup")
            for asked, want in ((top + "/box", top + "/box"), ("rel/x", leaf + "/rel/x")):
                case.linux["cgroupsPath"] = asked
                case.save()
                result = case.ok("run", "-b", case.bundle.path, case.id(),
                                 **as_delegated(case, leaf))
                contains(result.out.splitlines(), "0::" + want, "cgroup of the payload")
            # From elsewhere the kernel does not let a user in.
            case.linux["cgroupsPath"] = top + "/box"
            case.save()
            result = case.fails("run", "-b", case.bundle.path, case.id())
            contains(result.last_error(), "cgroup.procs", "error")
            wait_until(lambda: not read(leaf, "cgroup.procs"), what="the end of all")
            equal(sorted(d for d in os.listdir(at(top)) if os.path.isdir(at(top, d))), ["leaf"],
                  "children")
        finally:
            remove(leaf)


# -- pause, resume, kill, ps, events --

def counting(case):
    """A payload that counts in a file; returns a function that reads it."""
    need_busybox()
    script = "i=0; while :; do i=$((i+1)); echo $i >/work/n; sleep 0.01; done"
    running(case, ["/bin/sh", "-c", script])
    file = case.bundle.inside("/work/n")

    def value():
        with open(file) as text:
            return text.read().strip()
    wait_until(lambda: os.path.exists(file) and value(), what="counting")
    return value


@test(*ROOT)
def pause_and_resume(mode):
    """cgroup_freeze(): stopped when the command returns."""
    need_bryo()
    with Case(mode) as case:
        place(case)
        value = counting(case)
        case.ok("pause", case.id())
        equal(case.state()["status"], "paused", "status")
        contains(case.ok("list").out, "paused", "list")
        before = value()
        time.sleep(0.1)
        equal(value(), before, "the counter of a paused container")
        contains(case.fails("pause", case.id()).last_error(), "paused", "pausing twice")
        contains(case.fails("delete", case.id()).last_error(), "paused", "delete")
        case.ok("resume", case.id())
        equal(case.state()["status"], "running", "status")
        wait_until(lambda: value() != before, what="counting again")
        contains(case.fails("resume", case.id()).last_error(), "running", "resuming twice")
        case.delete()


@test("root")
def end_of_a_paused_one(mode):
    """SIGKILL ends what is frozen."""
    need_bryo()
    with Case(mode) as case:
        place(case)
        for words in (("kill", case.id(), "KILL"), ("kill", "--all", case.id(), "KILL"),
                      ("delete", "--force", case.id())):
            running(case)
            case.ok("pause", case.id())
            case.ok(*words)
            if words[0] == "kill":
                case.wait_status("stopped")
                case.ok("delete", case.id())


@test(*users.MODES)
def pause_without_a_cgroup(mode):
    need_bryo()
    with Case(mode) as case:
        running(case)
        for words in (("pause",), ("update", "--cpu-idle", "0"), ("events", "--stats")):
            contains(case.fails(*words, case.id()).last_error(), "cgroup", words[0])
        case.delete()


@test("root")
def pause_that_is_interrupted(mode):
    """Thawed on every way out: a signal to `pause` leaves nothing frozen."""
    need_bryo()
    with Case(mode) as case:
        path = place(case)
        running(case)
        for _ in range(20):
            child = case.start("pause", case.id(), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
            os.kill(child.pid, signal.SIGTERM)
            proc.finish(child)
            if case.state()["status"] == "paused":
                case.ok("resume", case.id())
            equal(read(path, "cgroup.freeze"), "0", "cgroup.freeze")
        case.delete()


@test(*ROOT)
def kill_all(mode):
    """container_signal_all(): without a pid namespace too, and nobody else."""
    need_bryo()
    for word, members in (("TERM", ["pid"]), ("KILL", ["pid"]), ("TERM", []), ("9", [])):
        with Case(mode) as case:
            path = place(case)
            if mode == "root":
                for name in members:
                    bundle.drop_namespace(case.config, name)
            case.create(["/probe", "spawn", "3"])
            case.ok("start", case.id())
            wait_until(lambda: len(read(path, "cgroup.procs").split()) == 4, what="children")
            case.ok("kill", "--all", case.id(), word)
            if mode == "root" and members:
                wait_until(lambda: not read(path, "cgroup.procs"), what="the end of all")
            else:
                # The first of a pid namespace has no handler for TERM.
                case.call("kill", case.id(), "KILL")
            case.wait_status("stopped")
            case.delete()


@test("root")
def delete_ends_what_is_left(mode):
    """cgroup_remove(): orphans of a container without a pid namespace."""
    need_bryo()
    with Case(mode) as case:
        path = place(case)
        bundle.drop_namespace(case.config, "pid")
        running(case, ["/probe", "orphans", "3"])
        case.wait_status("stopped")
        check(read(path, "cgroup.procs"), "no orphans: the test proves nothing")
        case.ok("delete", case.id())
        check(not exists(path), "the cgroup is left")
        # `run` ends them as well.
        case.run_ok(["/probe", "orphans", "3"])


@test(*users.MODES)
def ps(mode):
    """container_pids(): by the cgroup, or by the pid namespace."""
    need_bryo()
    for with_cgroup in (True, False):
        if with_cgroup and mode not in ROOT:
            continue
        with Case(mode) as case:
            if with_cgroup:
                place(case)
            pid = running(case, ["/probe", "spawn", "2"])
            pids = wait_until(lambda: [p for p in [json.loads(
                case.ok("ps", "--format", "json", case.id()).out)] if len(p) == 3],
                what="three processes")[0]
            contains(pids, pid, "pids")
            table = case.call("ps", case.id())
            if table.rc == 0:
                lines = table.out.splitlines()
                contains(lines[0], "PID", "header")
                equal(len(lines), 4, "lines")
            case.delete()
            contains(case.fails("ps", case.id()).last_error(), "does not exist", "error")


@test("root")
def statistics(mode):
    """stats_write(): the shape of runc's."""
    need_bryo()
    with Case(mode) as case:
        place(case)
        running(case)
        event = json.loads(case.ok("events", "--stats", case.id()).out)
        equal((event["type"], event["id"]), ("stats", case.id()), "type and id")
        for name in ("cpu", "memory", "pids", "blkio", "hugetlb"):
            check(isinstance(event["data"][name], dict), "%s: %s", name, event["data"])
        check(event["data"]["cpu"]["usage"]["total"] > 0, "no CPU time: %s", event["data"]["cpu"])
        for bad in ("0", "0s", "x", "5", "-1s", "1y"):
            contains(case.fails("events", "--interval", bad, case.id()).last_error(),
                     "--interval", bad)
        child = case.start("events", "--interval", "50ms", case.id(), stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
        lines = [json.loads(child.stdout.readline()) for _ in range(2)]
        equal([e["type"] for e in lines], ["stats", "stats"], "events")
        case.ok("kill", case.id(), "KILL")
        equal(proc.finish(child).rc, 0, "exit status at the container's end")
        case.delete()


@test("root")
def update_refusals(mode):
    """One line, nothing changed."""
    need_bryo()
    with Case(mode) as case:
        path = place(case)
        running(case)
        for words, text in ((("--memory", "much"), "--memory"), (("--memory", "1x"), "--memory"),
                            (("--memory", "99999999999g"), "--memory"),
                            (("--cpu-quota", "1.5"), "--cpu-quota"),
                            (("--cpu-period", "-1"), "--cpu-period"),
                            (("--cpu-rt-period", "7"), "realtimePeriod"),
                            (("--blkio-weight", "2000"), "--blkio-weight"),
                            (("--l3-cache-schema", "x"), "not supported"),
                            (("-r", "/not/there"), "/not/there")):
            contains(case.fails("update", *words, case.id()).last_error(), text, words[0])
        for text, part in ((b"{", "line 1"), (b'{"memory":{"swappiness":4}}', "swappiness"),
                           (b'{"pids":{"limit":"x"}}', "/pids/limit"), (b"[]", "expected")):
            contains(case.fails("update", "-r", "-", case.id(), stdin=text).last_error(), part,
                     "error")
        case.ok("update", "-r", "-", case.id(), stdin=b"{}")
        case.ok("update", "-r", "-", case.id(), stdin=b'{"unified":{"cgroup.max.depth":"5"}}')
        equal(read(path, "cgroup.max.depth"), "5", "cgroup.max.depth")
        case.delete()


# -- nothing is left --

@test("root")
def churn(mode):
    """300 containers: the tree is as it was."""
    need_bryo()
    with Case(mode) as case:
        place(case)
        resources(case, devices=[DENY_ALL])
        before = directories()
        end = time.monotonic() + 60  # in an emulated machine: fewer
        for i in range(300):
            if time.monotonic() > end:
                break
            if i % 3:
                case.run_ok(["/probe", "exit", "0"])
            else:
                running(case)
                case.delete()
        equal(directories(), before, "cgroups")


@test("root")
def many_with_one_parent(mode):
    """Row cgroup: a parent that another's `delete` removes meanwhile is made again."""
    need_bryo()
    with Case(mode) as case:
        case.process["args"] = ["/probe", "exit", "0"]
        case.config["root"]["path"] = case.bundle.rootfs
        children = []
        for i in range(60):
            case.linux["cgroupsPath"] = path_of(case, "shared/%d" % i)
            where = case.make_dir("bundle-%d" % i)
            bundle.write(where + "/config.json", json.dumps(case.config))
            children.append(case.start("run", "-b", where, case.id(str(i)),
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE))
            if len(children) > 8:
                result = proc.finish(children.pop(0))
                equal(result.rc, 0, "exit status: %s" % result)
        for child in children:
            result = proc.finish(child)
            equal(result.rc, 0, "exit status: %s" % result)


# -- real limits: needs controllers --

def stats(case):
    return json.loads(case.ok("events", "--stats", case.id()).out)["data"]


@test("root")
def memory_limit(mode):
    """The kernel ends what takes more; `events` tells."""
    need_bryo()
    need_controller("memory")
    need_busybox()
    with Case(mode) as case:
        path = place(case)
        resources(case, memory={"limit": 32 << 20, "swap": 32 << 20, "reservation": 8 << 20})
        script = "read x </work/go; cat /dev/zero >/dev/shm/fill"
        os.mkfifo(case.bundle.inside("/work/go"))
        running(case, ["/bin/sh", "-c", script])
        equal(read(path, "memory.max"), str(32 << 20), "memory.max")
        equal(read(path, "memory.low"), str(8 << 20), "memory.low")
        if exists(path, "memory.swap.max"):
            equal(read(path, "memory.swap.max"), "0", "memory.swap.max")
        child = case.start("events", "--interval", "60s", case.id(), stdout=subprocess.PIPE)
        time.sleep(0.2)
        bundle.write(case.bundle.inside("/work/go"), "x\n", 0o600)
        equal(json.loads(child.stdout.readline())["type"], "oom", "event")
        case.wait_status("stopped")
        case.delete()
        proc.finish(child)


@test("root")
def memory_changed(mode):
    """limits_complete(): swap alone, and a check before the limit is lowered."""
    need_bryo()
    need_controller("memory")
    with Case(mode) as case:
        path = place(case)
        resources(case, memory={"limit": 64 << 20})
        running(case)
        case.ok("update", "--memory", "48m", case.id())
        equal(read(path, "memory.max"), str(48 << 20), "memory.max")
        if exists(path, "memory.swap.max"):
            case.ok("update", "--memory-swap", "64m", case.id())
            equal(read(path, "memory.swap.max"), str(16 << 20), "memory.swap.max")
        text = b'{"memory":{"limit":4096,"checkBeforeUpdate":true}}'
        contains(case.fails("update", "-r", "-", case.id(), stdin=text).last_error(),
                 "/memory/limit", "error")
        equal(read(path, "memory.max"), str(48 << 20), "memory.max")
        case.delete()


@test("root")
def cpu_limits(mode):
    """A quarter of one CPU: throttled; weight, burst and idle as converted."""
    need_bryo()
    need_controller("cpu")
    need_busybox()
    with Case(mode) as case:
        path = place(case)
        resources(case, cpu={"shares": 1024, "quota": 25000, "period": 100000, "burst": 5000})
        running(case, ["/bin/sh", "-c", "while :; do :; done"])
        equal(read(path, "cpu.max"), "25000 100000", "cpu.max")
        equal(read(path, "cpu.weight"), "100", "cpu.weight")
        if exists(path, "cpu.max.burst"):
            equal(read(path, "cpu.max.burst"), "5000", "cpu.max.burst")
        wait_until(lambda: stats(case)["cpu"]["throttling"]["throttledPeriods"] > 5,
                   seconds=20, what="throttling")
        first, start = stats(case)["cpu"]["usage"]["total"], time.monotonic()
        time.sleep(1)
        used = stats(case)["cpu"]["usage"]["total"] - first
        share = used / 1e9 / (time.monotonic() - start)
        check(share < 0.45, "used %.2f of a CPU", share)
        case.ok("update", "--cpu-quota", "60000", case.id())
        equal(read(path, "cpu.max"), "60000 100000", "cpu.max")
        case.ok("update", "--cpu-period", "200000", case.id())
        equal(read(path, "cpu.max"), "60000 200000", "cpu.max")
        case.ok("update", "--cpu-quota", "2000", "--cpu-burst", "1000", case.id())
        equal(read(path, "cpu.max"), "2000 200000", "cpu.max")
        case.ok("update", "--cpu-quota", "-1", case.id())
        equal(read(path, "cpu.max"), "max 200000", "cpu.max")
        case.delete()


@test("root")
def cpuset_limits(mode):
    need_bryo()
    need_controller("cpuset")
    with Case(mode) as case:
        place(case)
        resources(case, cpu={"cpus": "0", "mems": "0"})
        result = case.run_ok(["/probe", "cat", "/proc/self/status"])
        contains(result.out, "Cpus_allowed_list:\t0\n", "status")
        resources(case, cpu={"cpus": "9999"})
        contains(case.run_fails(["/probe", "exit", "0"]).last_error(), "/cpu/cpus", "error")


@test("root")
def pids_limit(mode):
    """A fork bomb ends at the limit; 0 is a limit."""
    need_bryo()
    need_controller("pids")
    need_busybox()
    with Case(mode) as case:
        path = place(case)
        resources(case, pids={"limit": 20})
        script = "while sleep 60 & do :; done; wait"
        running(case, ["/bin/sh", "-c", script])
        wait_until(lambda: "max 0" not in read(path, "pids.events"), seconds=20, what="the limit")
        equal(read(path, "pids.max"), "20", "pids.max")
        check(int(read(path, "pids.current")) <= 20, "above the limit")
        if exists(path, "pids.peak"):
            equal(read(path, "pids.peak"), "20", "pids.peak")
        case.delete()
        case.config["ociVersion"] = "1.3.0"
        resources(case, pids={"limit": 0})
        contains(case.run_fails(["/probe", "exit", "0"]).last_error(), "pids.max", "error")


@test("root", "rootless")
def no_limit_of_processes(mode):
    """What engines that know an older specification send: 0 for "not set"."""
    need_bryo()
    with Case(mode) as case:
        resources(case, pids={"limit": 0})
        equal(case.run(["/probe", "exit", "3"]).rc, 3, "exit status")
        if "pids" not in controllers():
            case.config["ociVersion"] = "1.3.0"
            contains(case.run_fails(["/probe", "exit", "0"]).last_error(),
                     "/linux/resources/pids/limit", "error")


def block_device(path):
    """The whole disk on which a file is, "MAJ:MIN"; Skip when there is none."""
    number = os.stat(path).st_dev
    link = "/sys/dev/block/%d:%d" % (os.major(number), os.minor(number))
    if not os.path.exists(link):
        raise Skip("%s is on no block device" % path)
    if os.path.exists(link + "/partition"):
        link += "/.."
    with open(link + "/dev") as file:
        return file.read().strip()


@test("root")
def io_limits(mode):
    need_bryo()
    need_controller("io")
    with Case(mode) as case:
        device = block_device("/usr")
        major, minor = map(int, device.split(":"))
        path = place(case)
        rate = {"major": major, "minor": minor, "rate": 1 << 20}
        resources(case, blockIO={"throttleWriteBpsDevice": [rate],
                                 "throttleReadIOPSDevice": [dict(rate, rate=100)]})
        running(case)
        contains(read(path, "io.max"), device + " rbps=max wbps=1048576 riops=100", "io.max")
        case.delete()
        bad = dict(rate, major=4095, minor=1048575)
        case.linux["resources"] = {"blockIO": {"throttleWriteBpsDevice": [bad]}}
        contains(case.run_fails(["/probe", "exit", "0"]).last_error(),
                 "/blockIO/throttleWriteBpsDevice/0", "error")


@test("root")
def only_what_is_needed(mode):
    """enable_in(): no controller is enabled that no limit needs."""
    need_bryo()
    need_controller("pids", "memory")
    with Case(mode) as case:
        path = place(case)
        resources(case, pids={"limit": 5})
        running(case)
        equal(controllers(path), ["pids"], "controllers")
        case.ok("update", "--memory", "64m", case.id())
        equal(sorted(controllers(path)), ["memory", "pids"], "controllers after update")
        case.delete()


@test("root")
def beside_the_caller(mode):
    """choose_base(): the caller's cgroup holds processes, so it cannot be limited in it."""
    need_bryo()
    need_controller("pids", "memory")
    with Case(mode) as case:
        job = made("/%s-job/caller" % case.marker)
        top = os.path.dirname(job)
        resources(case, pids={"limit": 50})
        bundle.drop_namespace(case.config, "cgroup")
        case.save(["/probe", "cat", "/proc/self/cgroup"])
        words = ("run", "-b", case.bundle.path, case.id())
        inside = {"preexec_fn": lambda: write(str(os.getpid()), job, "cgroup.procs")}
        contains(case.ok(*words, **inside).out.splitlines(), "0::%s/bryo-%s" % (top, case.id()),
                 "cgroup of the payload")
        # But not when the caller is limited itself: it would escape.
        write("+memory", "cgroup.subtree_control")
        write("+memory", top, "cgroup.subtree_control")
        write(str(1 << 30), job, "memory.max")
        contains(case.fails(*words, **inside).last_error(), "memory.max", "error")
        wait_until(lambda: not read(job, "cgroup.procs"), what="the end of all")
        remove(job)


@test("rootless", "ranges")
def limits_of_an_ordinary_user(mode):
    """choose_base(): in the caller's delegated subtree, beside the caller."""
    need_bryo()
    parent = os.path.dirname(own())
    if os.geteuid() == 0 or parent == "/" or not os.access(at(parent, "cgroup.procs"), os.W_OK):
        raise Skip("the cgroup above our own is not delegated to us")
    if not {"memory", "pids"} <= set(controllers(parent)):
        raise Skip("neither memory nor pids is delegated to us")
    with Case(mode) as case:
        resources(case, pids={"limit": 20}, memory={"limit": 64 << 20})
        running(case)
        path = "%s/bryo-%s" % (parent, case.id())
        equal(read(path, "pids.max"), "20", "pids.max")
        equal(read(path, "memory.max"), str(64 << 20), "memory.max")
        check(read(path, "cgroup.procs"), "nobody is in it")
        case.ok("pause", case.id())
        equal(case.state()["status"], "paused", "status")
        case.ok("update", "--memory", "48m", "--pids-limit", "10", case.id())
        equal(read(path, "pids.max"), "10", "pids.max")
        case.delete()
        check(not exists(path), "the cgroup is left")
