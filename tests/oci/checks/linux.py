# SPDX-License-Identifier: Apache-2.0
"""Namespaces, devices, paths and the rest of the configuration for Linux."""

import json
import os
import stat

from lib import bundle, host, proc, users
from lib.bundle import drop_namespace
from lib.check import Skip, check, contains, equal
from oci.frame import Box, claim, many_ids, need_stand_in, proves, refuses, sees
from test_join import SHORT, handle, holder, join, one_id, only_owned
from test_mounts import tmpfs
from test_propagation import fields
from test_selinux import enabled as has_selinux
from test_selinux import fake as fake_selinux
from test_selinux import without_labelled_mounts

TYPES = ("pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time")


def link(name):
    return SHORT.get(name, name)


# -- what is there by default --

@proves(*["links." + name for name in ("fd", "stdin", "stdout", "stderr")],
        *["device." + name for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx")],
        *["filesystem." + name for name in ("proc", "sys", "devpts", "shm")])
def device_directory(mode):
    report = sees(mode)
    dev = report["dev"]
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"),
                         ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2")):
        with claim("links." + name):
            equal(dev[name].get("target"), target, "/dev/" + name)
    for name, number in (("null", (1, 3)), ("zero", (1, 5)), ("full", (1, 7)), ("random", (1, 8)),
                         ("urandom", (1, 9)), ("tty", (5, 0))):
        with claim("device." + name):
            got = dev[name]
            equal((got["type"], got["major"], got["minor"]), ("char",) + number, "/dev/" + name)
            equal(got["mode"] & 0o666, 0o666, "mode of /dev/" + name)
    types = {m["point"]: m["fstype"] for m in report["mounts"]}
    with claim("device.ptmx"):
        got = dev["ptmx"]
        check(got.get("target", "").lstrip("/").replace("dev/", "") == "pts/ptmx" or
              got.get("major") == 5, "/dev/ptmx: %s", got)
    for name, point, type_ in (("proc", "/proc", "proc"), ("sys", "/sys", "sysfs"),
                               ("devpts", "/dev/pts", "devpts"), ("shm", "/dev/shm", "tmpfs")):
        with claim("filesystem." + name):
            equal(types.get(point), type_, point)


# -- namespaces --

@proves(*["namespace." + name for name in TYPES], "namespaces.new")
def new_namespaces(mode):
    own = host.namespaces()
    for name in TYPES:
        with Box("userns" if name == "user" and mode == "root" else mode) as box:
            # Whoever lacks a type altogether has lost that point already.
            new = () if name == "time" else ("namespaces.new",)
            with claim("namespace." + name, *new):
                spaces = box.linux["namespaces"]
                if not any(n["type"] == name for n in spaces):
                    spaces.append({"type": name})
                got = box.sees()["namespaces"][link(name)]
                check(got and got != own[link(name)], "%s: %s", name, got)


@proves("namespaces.absent")
def namespaces_that_are_inherited(mode):
    own = host.namespaces()
    for name in ("network", "ipc", "uts", "cgroup", "pid"):
        with Box(mode) as box:
            drop_namespace(box.config, name)
            if mode == "root":
                # What belongs to the host's must not be changed.
                box.config.pop("hostname") if name == "uts" else None
            else:
                only_owned(box, name)
            report = box.sees()
            if mode != "root" and name == "pid":  # there is no /proc
                check(report["pid"] > 1, "a pid namespace of its own")
                continue
            equal(report["namespaces"][link(name)], own[link(name)], "%s namespace" % name)


@proves("namespaces.path")
def namespaces_by_path(mode):
    options = {"network": "--net", "ipc": "--ipc", "uts": "--uts", "cgroup": "--cgroup"}
    for name, option in options.items():
        with Box(mode) as box:
            more = [] if mode == "root" else ["--user", "--map-root-user"]
            with holder(box, option, *more) as pid:
                paths = {name: handle(pid, name)}
                if mode != "root":
                    paths["user"] = handle(pid, "user")
                    one_id(box)
                join(box, paths)
                got = box.sees()["namespaces"]
                for each in paths:
                    equal(got[link(each)], os.readlink(handle(pid, each)), each)


@proves("namespaces.path.absolute", "namespaces.path.type", "namespaces.duplicate")
def paths_that_are_refused(mode):
    with Box(mode) as box:
        box.accepts()
        spaces = [n for n in box.linux["namespaces"] if n["type"] != "ipc"]

        def with_path(path):
            return {"linux.namespaces": spaces + [{"type": "ipc", "path": path}]}
        with claim("namespaces.path.type"):
            if mode == "root":
                box.accepts(with_path("/proc/self/ns/ipc"))
            for path in ("/proc/self/ns/uts", "/proc/self/ns/net", "/dev/null", "/nonexistent"):
                box.refuses(with_path(path))
        with claim("namespaces.path.absolute"):
            for path in ("proc/self/ns/ipc", "self/ns/ipc", "../../../../../proc/self/ns/ipc"):
                box.refuses(with_path(path), cwd="/")
        with claim("namespaces.duplicate"):
            box.refuses({"linux.namespaces": spaces + [{"type": "ipc"}, {"type": "ipc"}]})
            box.refuses({"linux.namespaces": spaces + [{"type": "uts"}]})


@proves("mappings.uid", "mappings.gid", "mappings.no-chown")
def maps(mode):
    with Box("userns" if mode == "root" else many_ids(mode)) as box:
        before = host.tree(box.bundle.rootfs)
        report = box.sees()
        for id_, name, lines in (("uid", "uid_map", box.who.maps[0]),
                                 ("gid", "gid_map", box.who.maps[1])):
            with claim("mappings." + id_):
                got = [tuple(map(int, line.split())) for line in report[name].splitlines()]
                equal(got, [tuple(line) for line in lines], name)
        with claim("mappings.no-chown"):
            owners = {path: each[1:3] for path, each in host.tree(box.bundle.rootfs).items()}
            for path, each in before.items():
                equal(owners.get(path), each[1:3], "owner of " + path)


@proves("time.monotonic", "time.boottime")
def clocks(mode):
    with Box(mode) as box:
        box.linux["namespaces"].append({"type": "time"})
        box.linux["timeOffsets"] = {"monotonic": {"secs": 1000000, "nanosecs": 5},
                                    "boottime": {"secs": 2000000}}
        text = box.sees()["timens_offsets"] or ""
        got = {line.split()[0]: tuple(map(int, line.split()[1:])) for line in text.splitlines()}
        for name, want in (("monotonic", (1000000, 5)), ("boottime", (2000000, 0))):
            with claim("time." + name):
                equal(got.get(name), want, "offset")


# -- devices --

def node(path, type_="c", **members):
    numbers = {} if type_ == "p" else {"major": 1, "minor": 3}
    return dict({"path": path, "type": type_}, **dict(numbers, **members))


@proves("devices.available", "devices.mode", "devices.owner", "devices.anywhere", "devices.types",
        "devices.twice")
def devices(mode):
    with Box(mode) as box:
        # An ordinary user can hand in what the host has, with the host's mode and owner.
        named = node("/dev/null2") if mode == "root" else node("/dev/fuse", major=10, minor=229)
        box.linux["devices"] = [named]
        if mode != "root" and not os.path.exists("/dev/fuse"):
            box.linux["devices"] = []
            raise Skip("no device to hand in")
        with claim("devices.available"):
            got = box.sees()["dev"][os.path.basename(named["path"])]
            equal((got["type"], got["major"], got["minor"]),
                  ("char", named["major"], named["minor"]), "device")
        for id_, func in (("devices.mode", mode_and_owner), ("devices.owner", mode_and_owner),
                          ("devices.anywhere", device_outside), ("devices.types", device_types),
                          ("devices.twice", device_twice)):
            with claim(id_):
                if mode != "root":
                    raise Skip("an ordinary user cannot make device nodes")
                func()


def mode_and_owner():
    values = [node("/dev/mine", fileMode=0o640, uid=1000, gid=1001)]
    got = sees("root", {"linux.devices": values})["dev"]["mine"]
    equal((got["mode"], got["uid"], got["gid"]), (0o640, 1000, 1001), "mode, owner, group")


def device_outside():
    with Box("root") as box:
        box.linux["devices"] = [node("/tmp/null")]
        text = box.run_ok(["/probe", "stat", "/tmp/null"]).out
        equal(list(json.loads(text).values())[0]["format"], stat.S_IFCHR, "format")


def device_twice():
    """Not forbidden to the runtime: each is there."""
    dev = sees("root", {"linux.devices": [node("/dev/one"), node("/dev/two")]})["dev"]
    equal([(dev[name]["major"], dev[name]["minor"]) for name in ("one", "two")], [(1, 3)] * 2,
          "numbers")


def device_types():
    values = [node("/dev/a"), node("/dev/b", "b", major=7, minor=0), node("/dev/u", "u"),
              node("/dev/p", "p")]
    dev = sees("root", {"linux.devices": values})["dev"]
    equal([dev[name]["type"] for name in "abup"], ["char", "block", "char", "fifo"], "types")


@proves("devices.mismatch", modes=("root",), why="an ordinary user cannot make device nodes")
def file_in_the_way_of_a_device(mode):
    with Box(mode) as box:
        bundle.write(box.bundle.inside("tmp/node"), "a file\n")
        os.mknod(box.bundle.inside("tmp/null"), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        box.accepts({"linux.devices": [node("/tmp/null")]})
        box.refuses({"linux.devices": [node("/tmp/node")]})
        box.refuses({"linux.devices": [node("/tmp/null", minor=5)]})
        box.refuses({"linux.devices": [node("/tmp/null", "p")]})


# -- the host's parameters, and paths --

@proves("sysctl")
def parameters(mode):
    got = sees(mode, {"linux.sysctl": {"net.ipv4.ip_unprivileged_port_start": "77"}})
    equal(got["port_start"].strip(), "77", "parameter")


@proves("masked-paths", "readonly-paths")
def paths(mode):
    with Box(mode) as box:
        box.linux["maskedPaths"] += ["/masked-file", "/masked-dir", "/not-there"]
        box.linux["readonlyPaths"] += ["/readonly-dir", "/not-there"]
        got = box.sees()["paths"]
        with claim("masked-paths"):
            equal((got["/masked-file"]["bytes"], got["/masked-dir"]["entries"]), (0, 0), "contents")
        with claim("readonly-paths"):
            equal(got["/readonly-dir/file"]["open_write"], "EROFS", "writing to a file")
            check(got["/readonly-dir"]["readonly"], "/readonly-dir: %s", got["/readonly-dir"])
            check(got["/proc/sys"]["readonly"], "/proc/sys: %s", got["/proc/sys"])
        box.reset()
        box.linux.update(maskedPaths=[], readonlyPaths=[])
        got = box.sees()["paths"]
        check(got["/masked-file"]["bytes"] > 0 and not got["/readonly-dir"]["readonly"], "unasked")


refuses("masked-paths.absolute", {"linux.maskedPaths": ["/masked-file"]},
        {"linux.maskedPaths": ["masked-file"]}, {"linux.maskedPaths": [""]})
refuses("readonly-paths.absolute", {"linux.readonlyPaths": ["/readonly-dir"]},
        {"linux.readonlyPaths": ["readonly-dir"]}, {"linux.readonlyPaths": [""]})


@proves("mount-label")
def label_of_mounts(mode):
    """The kernel here takes no context=: it is asked for, and refused."""
    need_stand_in("SELinux", has_selinux())
    with Box(mode, faults=True) as box:
        env = {"BRYO_SELINUX": fake_selinux(box)}
        without_labelled_mounts(box)
        box.plain = json.dumps(box.config)
        box.accepts(env=env)
        label = "system_u:object_r:some_file_t:s0"
        box.accepts({"linux.mountLabel": label}, env=env)
        mounts = box.config["mounts"] + [tmpfs("/work")]
        result = box.refuses({"linux.mountLabel": label, "mounts": mounts}, env=env)
        contains(result.err, "context=" + label, "error")


# -- propagation of the root --

@proves(*["rootfs-propagation." + name for name in ("shared", "slave", "private", "unbindable")])
def propagation_of_the_root(mode):
    for name, want in (("shared", "shared"), ("slave", "master"), ("private", None),
                       ("unbindable", "unbindable")):
        with Box(mode) as box, claim("rootfs-propagation." + name):
            box.linux["rootfsPropagation"] = name
            got = fields([m for m in box.sees()["mounts"] if m["point"] == "/"][-1])
            if want and (name != "slave" or mode == "root"):
                contains(got, want, "propagation")
            if name in ("private", "unbindable"):
                check("master" not in got and "shared" not in got, "propagation: %s", got)
            users.identity("root")
            pid = box.started()
            with host.late_mount(box.bundle.inside("work")):
                with open("/proc/%d/mountinfo" % pid) as file:
                    seen = any(line.split()[4] == "/work" for line in file)
                # Where the host's mount is a peer of nobody a slave has nothing to receive.
                if name in ("private", "unbindable") or name == "slave" and mode == "root":
                    equal(seen, name == "slave", "a later mount of the host's is seen")
            box.delete()


# -- personality, memory policy --

@proves("personality.domain")
def personality(mode):
    got = sees(mode, {"linux.personality": {"domain": "LINUX32"}})
    equal(got["personality"] & 0xff, 8, "personality")
    check(got["machine"] != os.uname().machine, "machine: %s", got["machine"])
    got = sees(mode, {"linux.personality": {"domain": "LINUX"}})
    equal((got["personality"] & 0xff, got["machine"]), (0, os.uname().machine), "LINUX")


refuses("personality.invalid", {"linux.personality": {"domain": "LINUX"}},
        {"linux.personality": {"domain": "BSD"}}, {"linux.personality": {}},
        {"linux.personality": {"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}})


@proves("memory-policy.mode", "memory-policy.nodes", "memory-policy.flags")
def memory_policy(mode):
    def got(**members):
        report = sees(mode, {"linux.memoryPolicy": members})
        return report["mempolicy"], int(report["mempolicy_nodes"], 16)
    with claim("memory-policy.mode"):
        for name, number in (("DEFAULT", 0), ("LOCAL", 4)):
            equal(got(mode="MPOL_" + name)[0], number, name)
    with claim("memory-policy.mode", "memory-policy.nodes"):
        for name, number in (("PREFERRED", 1), ("BIND", 2), ("INTERLEAVE", 3), ("PREFERRED_MANY", 5)):
            equal(got(mode="MPOL_" + name, nodes="0"), (number, 1), name)
    with claim("memory-policy.flags"):
        for name, bit in (("STATIC_NODES", 1 << 15), ("RELATIVE_NODES", 1 << 14),
                          ("NUMA_BALANCING", 1 << 13)):
            equal(got(mode="MPOL_BIND", nodes="0", flags=["MPOL_F_" + name])[0], 2 | bit, name)


def policy(**members):
    return {"linux.memoryPolicy": members}


refuses("memory-policy.invalid", policy(mode="MPOL_BIND", nodes="0"), policy(mode="MPOL_BEST"),
        policy(nodes="0"), policy(mode="MPOL_BIND"), policy(mode="MPOL_LOCAL", nodes="0"),
        policy(mode="MPOL_BIND", nodes="0,"), policy(mode="MPOL_BIND", nodes="1000"),
        policy(mode="MPOL_BIND", nodes="0", flags=["MPOL_F_BEST"]))
