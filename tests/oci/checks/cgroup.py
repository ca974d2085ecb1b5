# SPDX-License-Identifier: Apache-2.0
"""Cgroups: where they are, whose, and what holds in them."""

import os

from lib import bundle, host, proc, users
from lib.case import kind
from lib.check import Failed, Skip, check, equal, wait_until
from oci.frame import RAN, Box, claim, elsewhere, may_lack, proves
from test_cgroup import (DELEGATED, DENY_ALL, NO_DEVICE, as_delegated, at, controllers, exists, made,
                         mount_point, opens, place, read, remove, write)

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
WHY = "the cgroup of an ordinary user is his own in any case"
WRITABLE = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]}


class Part(Box):
    """A case whose caller has a part of the tree: root all, an ordinary user one of his own."""

    top = leaf = None

    def __enter__(self):
        super().__enter__()
        if self.who.uid:
            users.identity("root")
            self.top = made("/%s-user" % self.marker)
            self.leaf = made(self.top + "/leaf")
            for path in (self.top, self.leaf):
                for name in ("",) + DELEGATED:
                    os.chown(at(path, name), self.who.uid, self.who.gid)
        return self

    def options(self, env=None, **kwargs):
        if self.leaf:
            kwargs = dict(as_delegated(self, self.leaf), **kwargs)
        found = super().options(env, **kwargs)
        return {key: value for key, value in found.items() if value is not None or key == "stdin"}

    def clean(self, what="afterwards"):
        if self.leaf and kind() == "bryo":  # of peers all that bears our mark is removed
            wait_until(lambda: not read(self.leaf, "cgroup.procs"), what="the end of all")
            remove(self.leaf)
        super().clean(what)

    def path(self):
        return "%s/%s-box/x" % (self.top or "", self.marker)


def cgroup_of(pid):
    with open("/proc/%d/cgroup" % pid) as file:
        return [line.strip()[3:] for line in file if line.startswith("0::")][0]


def started_in(box, path, suffix="c"):
    """With that value; where its process is."""
    box.linux["cgroupsPath"] = path
    return cgroup_of(box.started(suffix=suffix))


# -- where --

@proves("cgroup.path.absolute", "cgroup.path.relative", "cgroup.path.made", "cgroup.path.same")
def places(mode):
    with Part(mode) as box:
        path = box.path()
        with claim("cgroup.path.made"):
            check(not exists(path), "it is there before")
        with claim("cgroup.path.absolute", "cgroup.path.made"):
            equal(started_in(box, path), path, "cgroup")
            check(exists(path), "it is not there")
        box.delete()
        with claim("cgroup.path.same"):
            equal(started_in(box, path), path, "cgroup, again")
        box.delete()
        with claim("cgroup.path.relative"):
            relative = box.linux["cgroupsPath"] = box.marker + "/rel"
            if box.create(["/probe", "sleep", "60"], expect=False).rc != 0:
                may_lack("the runtime's place for relative paths is not an ordinary user's")
            first = cgroup_of(box.state()["pid"])
            check(first.endswith("/" + relative), "cgroup: %s", first)
            box.delete()
            equal(started_in(box, relative), first, "cgroup, again")
            box.delete()


@proves("cgroup.path.invalid")
def paths_that_are_invalid(mode):
    """Which ones are is the runtime's choice; none may lead out of the tree."""
    with Part(mode) as box:
        box.accepts({"linux.cgroupsPath": box.path()})
        invalid = []
        for path in ("/../../%s-x", "../%s-x", "/%s-x/../y", "/" + "d/" * 64 + "%s-x"):
            box.reset()
            box.linux["cgroupsPath"] = path % box.marker
            result = box.run(["/probe", "echo", RAN])
            if result.rc != 0:
                invalid.append(path)
                check(RAN not in result.out, "the program has run with %s", path)
                check(box.call("state", box.id()).rc != 0, "a container is left: %s", path)
        if not invalid:
            may_lack("the runtime calls none of those that were tried invalid")


@proves("cgroup.fit")
def cgroups_that_do_not_fit(mode):
    looked = 0
    with Part(mode) as box:
        path = box.linux["cgroupsPath"] = box.path()
        box.started(suffix="first")
        second = box.create(["/probe", "exit", "0"], "second", expect=False)
        looked += second.rc != 0
        equal(box.state("first")["status"], "running", "the first")
        box.call("delete", "--force", box.id("second"))
        box.delete("first")
        for part in (os.path.dirname(made(path)), path):
            for name in ("",) + DELEGATED:
                os.chown(at(part, name), box.who.uid, box.who.gid)
        write("1", path, "cgroup.freeze")
        wait_until(lambda: "frozen 1" in read(path, "cgroup.events"), what="frozen")
        box.save(["/probe", "exit", "0"])
        try:
            frozen = box.call("run", "-b", box.bundle.path, box.id(), timeout=5)
            looked += frozen.rc != 0
        except Failed:
            pass  # it hangs, frozen
        if exists(path):
            write("0", path, "cgroup.freeze")
        box.call("delete", "--force", box.id())
        if exists(path):
            box.run_ok(["/probe", "exit", "0"])
            remove(path)
    if looked < 2:
        may_lack("the runtime does not look at both, as it may")


# -- whose --

def owner(*parts):
    return os.stat(at(*parts)).st_uid


def owned(box, options=("rw",), mounted=True, **kwargs):
    """The path of a container whose program is user 1000."""
    path = place(box)
    if mounted:
        box.config["mounts"].append(dict(WRITABLE, options=list(options)))
    box.process["user"] = {"uid": 1000, "gid": 1000}
    box.started(**kwargs)
    return path


def no_list_of_the_kernel():
    proc.LIBC.unshare(CLONE_NEWNS)
    host._mount(None, "/", None, MS_REC | MS_PRIVATE)
    host._mount("hidden", "/sys/kernel/cgroup", "tmpfs", 0)


@proves("cgroup.owner.writable", "cgroup.owner.files", "cgroup.owner.missing",
        "cgroup.owner.fallback", "cgroup.owner.v1", modes=("root",), why=WHY)
def owner_of_a_writable_cgroup(mode):
    with Box(mode) as box:
        path = owned(box)
        with claim("cgroup.owner.writable"):
            equal(owner(path), 1000, "owner")
        with open("/sys/kernel/cgroup/delegate") as file:
            names = file.read().split()
        with claim("cgroup.owner.files"):
            for name in os.listdir(at(path)):
                equal(owner(path, name), 1000 if name in names else 0, "owner of " + name)
        with claim("cgroup.owner.missing"):
            check(any(not exists(path, name) for name in names), "all of them are there")
        with claim("cgroup.owner.v1"):
            equal([found for found in host.cgroups_named(box.marker)
                   if not found.startswith(mount_point() + "/")], [], "cgroups elsewhere")
        box.delete()
    with Box(mode) as box, claim("cgroup.owner.fallback"):
        path = owned(box, preexec_fn=no_list_of_the_kernel)
        for name in DELEGATED:
            equal(owner(path, name), 1000, "owner of " + name)
        equal(owner(path, "cgroup.freeze"), 0, "owner of cgroup.freeze")
        box.delete()


@proves("cgroup.owner.readonly", "cgroup.owner.unmounted", "cgroup.owner.namespace",
        modes=("root",), why=WHY)
def owner_of_others(mode):
    for id_, options, mounted in (("readonly", ("ro",), True), ("unmounted", (), False),
                                  ("namespace", ("rw",), True)):
        with Box(mode) as box, claim("cgroup.owner." + id_):
            if id_ == "namespace":
                bundle.drop_namespace(box.config, "cgroup")
            path = owned(box, options, mounted)
            equal([owner(path)] + [owner(path, name) for name in DELEGATED], [0] * 4, "owners")
            box.delete()


# -- devices --

@proves("resources.devices.order", "resources.devices.rights", "resources.devices.all",
        modes=("root",), why="an ordinary user can load no program for devices, nor make one")
def devices(mode):
    rule = {"allow": True, "type": "c", "major": 511, "minor": 7}
    with Box(mode) as box:
        box.linux["devices"] = [NO_DEVICE]

        def expect(read_, write_, *rules):
            box.linux["resources"] = {"devices": list(rules)}
            equal((opens(box), opens(box, "w")), (read_, write_), str(rules))
        box.linux["resources"] = {"devices": [DENY_ALL]}
        if box.run(["/probe", "open", "r", "/dev/null"]).out != "ok\n":
            may_lack("the runtime can load no program for devices on this host")
        for id_, r, w, rules in (
                ("order", "EPERM", "EPERM", [dict(rule, access="rwm"), DENY_ALL]),
                ("order", "ENXIO", "ENXIO", [DENY_ALL, dict(rule, access="rwm")]),
                ("rights", "ENXIO", "EPERM", [DENY_ALL, dict(rule, access="r")]),
                ("rights", "EPERM", "ENXIO", [DENY_ALL, dict(rule, access="w")]),
                ("rights", "EPERM", "EPERM", [DENY_ALL, dict(rule, minor=8, access="rwm")]),
                ("all", "EPERM", "EPERM", [{"allow": False, "access": "rwm"}]),
                ("all", "ENXIO", "ENXIO", [DENY_ALL, {"allow": True, "access": "rwm"}]),
                ("all", "ENXIO", "ENXIO", [DENY_ALL, {"allow": True, "type": "c", "major": 511,
                                                      "access": "rw"}])):
            with claim("resources.devices." + id_):
                expect(r, w, *rules)


# -- limits --

LIMITS = {"memory": {"memory": {"limit": 1 << 26}}, "cpu": {"cpu": {"quota": 50000}},
          "cpuset": {"cpu": {"cpus": "0"}}, "pids": {"pids": {"limit": 10}},
          "io": {"blockIO": {"weight": 100}}, "rdma": {"rdma": {"x": {"hcaHandles": 1}}}}


@proves("resources.absent", "resources.unified.missing")
def controllers_that_are_not_there(mode):
    missing = [name for name in LIMITS if name not in controllers()]
    if not missing:
        raise Skip("the tree has all controllers")
    with Box(mode) as box:
        box.accepts()
        for name in missing:
            with claim("resources.absent"):
                box.refuses({"linux.resources": LIMITS[name]})
        with claim("resources.unified.missing"):
            key = {"cpuset": "cpuset.cpus", "io": "io.max"}.get(missing[0], missing[0] + ".max")
            box.refuses({"linux.resources": {"unified": {key: "1"}}})
            box.refuses({"linux.resources": {"unified": {"nonsense.max": "1"}}})


@proves("resources.memory.unlimited", "resources.pids.unlimited", "resources.pids.zero")
def no_limits(mode):
    """Where there is no controller what is no limit is taken, and a limit is an error."""
    if "pids" in controllers() or "memory" in controllers():
        raise Skip("the tree has the controllers")
    with Box(mode) as box:
        for id_, none, some in (
                ("resources.memory.unlimited", {"memory": {"limit": -1, "swap": -1}}, {
                    "memory": {"limit": 1 << 26}}),
                ("resources.pids.unlimited", {"pids": {"limit": -1}}, {"pids": {"limit": 9}})):
            with claim(id_):
                try:
                    box.refuses({"linux.resources": some})
                    box.accepts({"linux.resources": none})
                except Failed:
                    may_lack("without a controller the runtime tells a limit from none in no case")
        with claim("resources.pids.zero"):
            box.refuses({"ociVersion": "1.3.0" if kind() == "bryo" else "1.0.2",
                         "linux.resources": {"pids": {"limit": 0}}})


@proves("resources.unified.unknown")
def unified(mode):
    with Part(mode) as box:
        path = box.linux["cgroupsPath"] = box.path()
        box.linux["resources"] = {"unified": {"cgroup.max.depth": "3"}}
        box.started()
        equal(read(path, "cgroup.max.depth"), "3", "cgroup.max.depth")
        box.delete()


@proves("resources.hugepages", "resources.hugepages.size", "resources.unified.controllers",
        modes=("root",), why="an ordinary user's part of the tree has no controller")
def huge_pages(mode):
    if "hugetlb" not in controllers():
        raise Skip("the tree has no hugetlb controller")
    with Box(mode) as box:
        path = place(box)
        values = {"linux.cgroupsPath": path,
                  "linux.resources": {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]}}
        box.set(values)
        box.started()
        if not exists(path, "hugetlb.2MB.rsvd.max"):
            box.delete()
            raise Skip("the kernel does not count reservations of 2 MB")
        with claim("resources.hugepages"):
            equal(read(path, "hugetlb.2MB.rsvd.max"), str(4 << 20), "limit")
        box.delete()
        with claim("resources.unified.controllers"):
            # Its parent is made for it, without any.
            box.linux["resources"] = {"unified": {"hugetlb.2MB.max": str(6 << 20)}}
            box.started()
            equal(read(path, "hugetlb.2MB.max"), str(6 << 20), "limit")
            box.delete()
        with claim("resources.hugepages.size"):
            box.accepts(values)
            box.refuses({"linux.resources": {"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}})


V1_ONLY = {"resources.memory.v1-only": ({"memory": {"swappiness": 10}}, {"memory": {
               "disableOOMKiller": True}}, {"memory": {"kernel": 1 << 20}}),
           "resources.cpu.realtime": ({"cpu": {"realtimeRuntime": 7}}, {"cpu": {
               "realtimePeriod": 7}}),
           "resources.io.leaf-weight": ({"blockIO": {"leafWeight": 10}},),
           "resources.network": ({"network": {"classID": 7}}, {"network": {
               "priorities": [{"name": "lo", "priority": 1}]}}),
           "resources.cpu.burst.quota": ({"cpu": {"quota": 1000, "burst": 2000}},),
           "resources.io.weight-device.one": ({"blockIO": {"weightDevice": [
               {"major": 8, "minor": 0}]}},),
           "resources.io.rate": ({"blockIO": {"throttleReadBpsDevice": [
               {"major": 8, "minor": 0}]}},),
           "resources.rdma.one": ({"rdma": {"x": {}}},)}


@proves("resources.memory.hierarchy", *V1_ONLY)
def limits_that_cannot_be(mode):
    """Without the controller any limit is an error: which it is cgroup_test and spec_test show."""
    with Box(mode) as box:
        with claim("resources.memory.hierarchy"):
            box.accepts({"linux.resources": {"memory": {"useHierarchy": True}}})
        for id_, cases in V1_ONLY.items():
            for members in cases:
                with claim(id_):
                    box.refuses({"linux.resources": members})


NO = "this host's cgroup v2 tree has no %s controller, unlike that of make check-vm"

elsewhere(NO % "memory", ["limits: memory and cpu", "cgroup: memory limit"],
          "resources.memory.limit", "resources.memory.swap")
elsewhere(NO % "memory", ["cgroup: memory limit"], "resources.memory.reservation")
elsewhere(NO % "memory", ["cgroup: memory changed"], "resources.memory.check-update")
elsewhere(NO % "cpu", ["limits: memory and cpu", "cgroup: cpu limits"], "resources.cpu.quota")
elsewhere(NO % "cpu", ["cgroup: cpu limits"], "resources.cpu.shares", "resources.cpu.burst")
elsewhere(NO % "cpu", ["cgroup_test"], "resources.cpu.idle")
elsewhere(NO % "cpuset", ["limits: cpuset", "cgroup: cpuset limits"], "resources.cpu.cpus",
          "resources.cpu.mems")
elsewhere(NO % "pids", ["limits: fork bomb", "cgroup: pids limit"], "resources.pids.limit")
elsewhere(NO % "io", ["limits: block io", "cgroup: io limits"], "resources.io.throttle")
elsewhere(NO % "io", ["cgroup_test"], "resources.io.weight", "resources.io.weight-device")
elsewhere("this host has no RDMA device", ["cgroup_test"], "resources.rdma")
elsewhere("the kernel counts reservations", ["cgroup_test"], "resources.hugepages.fallback")
