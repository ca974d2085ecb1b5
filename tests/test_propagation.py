# SPDX-License-Identifier: Apache-2.0
"""Propagation of mounts (mount_namespaces(7)) between the host and a container.

Most of it needs root, for the mounts that the tests make on the host.
"""

import os

from lib import host, proc
from lib.bundle import bind
from lib.case import Case, need_busybox
from lib.check import check, equal, test, wait_until
from lib.users import MODES as ALL
from test_mounts import add, mounted, source, table, tmpfs, with_submount

#: The option, and what mountinfo's optional fields say then.
KINDS = {"shared": "shared:", "slave": "master:", "private": None, "unbindable": "unbindable"}


def fields(mount):
    """The words without the numbers of the groups."""
    return sorted(f.partition(":")[0] for f in mount["propagation"])


def wanted(kind):
    return {"shared": ["shared"], "slave": ["master"], "private": [],
            "unbindable": ["unbindable"]}[kind]


def rbind(path, destination, *options):
    return dict(bind(path, destination), options=["rbind"] + list(options))


def inside(pid):
    """The mount points of a container, as the host reads them."""
    with open("/proc/%d/mountinfo" % pid) as file:
        return [line.split()[4] for line in file]


def start(case, args):
    case.create(args)
    case.ok("start", case.id())
    return case.state()["pid"]


# -- what mountinfo says --

@test("root")
def each_option_of_binds(mode):
    """set_propagation(): the mount itself; below it the same when recursive."""
    with Case(mode) as case, with_submount(case) as path:
        for kind in KINDS:
            add(case, rbind(path, "/m/all-" + kind, "r" + kind),
                rbind(path, "/m/one-" + kind, kind))
        add(case, rbind(path, "/m/plain"))
        mounts = table(case)
        for kind in KINDS:
            equal(fields(mounts["/m/all-" + kind]), wanted(kind), "r" + kind)
            equal(fields(mounts["/m/all-%s/sub" % kind]), wanted(kind), "below r" + kind)
            equal(fields(mounts["/m/one-" + kind]), wanted(kind), kind)
        for point in ("/m/plain", "/m/plain/sub", "/m/one-private/sub", "/m/one-unbindable/sub",
                      "/m/one-shared/sub"):
            check("unbindable" not in fields(mounts[point]), "%s is unbindable", point)
        for point in ("/m/plain", "/m/plain/sub", "/m/one-private/sub"):
            equal(fields(mounts[point]), [], point)


@test(*ALL)
def binds_are_private_by_default(mode):
    """set_propagation(): neither peer nor slave, whatever the host's is."""
    with Case(mode) as case:
        path = source(case)
        add(case, bind(path, "/m/bind"), rbind(path, "/m/rbind"), bind(path, "/m/p", "private"),
            rbind(path, "/m/rp", "rprivate"), tmpfs("/m/new"), tmpfs("/m/new-p", "private"))
        mounts = table(case)
        for point in ("/", "/m/bind", "/m/rbind", "/m/p", "/m/rp", "/m/new", "/m/new-p", "/dev",
                      "/proc"):
            equal(fields(mounts[point]), [], point)


@test(*ALL)
def slave_receives_only(mode):
    """set_propagation(): rslave is no peer, in any mode."""
    with Case(mode) as case:
        path = source(case)
        add(case, rbind(path, "/m/slave", "rslave"), rbind(path, "/m/one", "slave"))
        mounts = table(case)
        for point in ("/m/slave", "/m/one"):
            check("shared" not in fields(mounts[point]), "%s: %s", point, mounts[point])


@test(*ALL)
def new_file_systems(mode):
    """mount_one(): propagation of a mount that is not a bind."""
    with Case(mode) as case:
        add(case, tmpfs("/m/shared", "shared"), tmpfs("/m/unbindable", "unbindable"),
            tmpfs("/m/rshared", "rshared"))
        mounts = table(case)
        equal(fields(mounts["/m/shared"]), ["shared"], "shared")
        equal(fields(mounts["/m/rshared"]), ["shared"], "rshared")
        equal(fields(mounts["/m/unbindable"]), ["unbindable"], "unbindable")


@test(*ALL)
def propagation_by_remount(mode):
    """remount(): of an earlier entry."""
    with Case(mode) as case:
        add(case, tmpfs("/m/new"), {"destination": "/m/new",
                                    "options": ["remount", "bind", "unbindable"]})
        equal(fields(table(case)["/m/new"]), ["unbindable"], "after the remount")


@test(*ALL)
def rootfs_propagation(mode):
    """Rows rootfs and pivot: linux.rootfsPropagation."""
    for kind in KINDS:
        with Case(mode) as case:
            case.linux["rootfsPropagation"] = kind
            mounts = table(case)
            got = fields(mounts["/"])
            if kind == "shared":
                check("shared" in got, "%s: %s", kind, got)
            elif kind == "slave":
                # Without a shared mount on the host it is a slave of nothing.
                check(got in ([], ["master"]) and (got or mode != "root"), "%s: %s", kind, got)
            else:
                equal(got, wanted(kind), kind)
            for point in ("/dev", "/proc"):
                check("master" not in fields(mounts[point]), "%s with %s", point, kind)


# -- from the host into the container --

@test("root", "userns")
def later_mounts_appear_in_slaves_only(mode):
    """set_propagation(): a mount on the host, after the start."""
    with Case(mode) as case:
        path = source(case)
        options = ("", "private", "rprivate", "slave", "rslave", "shared", "rshared",
                   "unbindable", "runbindable")
        for option in options:
            add(case, rbind(path, "/m/x" + option, *([option] if option else [])))
        pid = start(case, ["/probe", "sleep", "60"])
        with host.late_mount(os.path.join(path, "sub")):
            # Propagation is done before mount(2) returns.
            points = inside(pid)
            for option in options:
                equal("/m/x%s/sub" % option in points,
                      option in ("slave", "rslave", "shared", "rshared"),
                      "%r shows the host's mount" % option)
        check("/m/xrslave/sub" not in inside(pid), "the end of the mount did not appear")
        case.delete()


@test("root", "userns")
def later_mounts_below_the_rootfs(mode):
    """Row rootfs: with slave and shared they appear, else not."""
    for kind in ("private", "slave", "shared", "unbindable", None):
        with Case(mode) as case:
            if kind:
                case.linux["rootfsPropagation"] = kind
            pid = start(case, ["/probe", "sleep", "60"])
            with host.late_mount(case.bundle.inside("work")):
                if kind == "slave":
                    check("/work" in inside(pid), "slave does not show the host's mount")
                elif kind != "shared":
                    check("/work" not in inside(pid), "%s shows the host's mount", kind)
            case.delete()


@test("root", "userns")
def mounts_below_the_rootfs_are_shown(mode):
    """clone_root(): what the host has mounted there before the start."""
    with Case(mode) as case:
        with mounted(case.bundle.inside("work")):
            case.before = host.Snapshot(case.marker, case.dir)
            check("/work" in table(case), "the mount is not there")
        case.before = host.Snapshot(case.marker, case.dir)


# -- from the container to the host --

def mount_inside(case, *points):
    """A payload that mounts on the points and stays."""
    need_busybox()
    for name in ("bounding", "effective", "permitted"):
        case.process["capabilities"][name].append("CAP_SYS_ADMIN")
    lines = ["mount -t tmpfs made-inside %s || exit 9" % point for point in points]
    pid = start(case, ["/bin/sh", "-c", "\n".join(lines + ["echo ready", "exec sleep 60"])])
    wait_until(lambda: "ready" in case.read_output() or case.state()["status"] == "stopped",
               what="the mounts of the payload")
    check("ready" in case.read_output(), "the payload: %s", case.read_output())
    return pid


@test(*ALL)
def mounts_of_the_payload_stay_inside(mode):
    """Rows propagation and mounts: by default nothing reaches the host's table."""
    with Case(mode) as case:
        path = source(case)
        options = ("", "private", "rprivate", "slave", "rslave")
        for option in options:
            add(case, rbind(path, "/m/x" + option, *([option] if option else [])))
        before = host.mount_table()
        mount_inside(case, "/work", "/tmp", *["/m/x%s/sub" % option for option in options])
        equal(host.difference(before, host.mount_table()), [], "the host's mounts")
        case.delete()


@test("root")
def mounts_of_the_payload_with_shared(mode):
    """set_propagation(): only `shared` hands them on, to the source alone."""
    with Case(mode) as case:
        path = source(case)
        add(case, rbind(path, "/m/shared", "rshared"))
        before = set(host.mount_table())
        pid = mount_inside(case, "/m/shared/sub", "/work")
        new = [point for _, point in set(host.mount_table()) - before]
        equal(new, [os.path.join(path, "sub")], "mounts that reached the host")
        check("/m/shared/sub" in inside(pid), "the mount is not in the container")
        proc.LIBC.umount2(os.path.join(path, "sub").encode(), 2)
        wait_until(lambda: "/m/shared/sub" not in inside(pid), what="the umount inside")
        case.delete()


@test("root")
def mounts_of_bryo_with_a_shared_rootfs(mode):
    """Rows rootfs and pivot: bryo's own mounts never reach the host."""
    for kind in ("shared", "slave"):
        with Case(mode) as case:
            case.linux["rootfsPropagation"] = kind
            path = source(case)
            add(case, rbind(path, "/m/shared", "rshared"), tmpfs("/m/shared/sub"),
                bind(path, "/work", "rshared"))
            before = host.mount_table()
            case.create(["/probe", "sleep", "60"])
            made = host.difference(before, host.mount_table())
            # What the configuration puts on a shared bind is asked for.
            made = [line for line in made if os.path.join(path, "sub") not in line]
            equal(made, [], "the host's mounts with " + kind)
            case.delete()
            proc.LIBC.umount2(os.path.join(path, "sub").encode(), 2)
