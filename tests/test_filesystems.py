# SPDX-License-Identifier: Apache-2.0
"""Row mounts: file systems of their own, idmapped mounts, and what is refused."""

import json
import os

from lib import bundle, host, proc
from lib.bundle import bind, mount_of, write
from lib.case import Case, need_bryo
from lib.check import check, contains, equal, test
from lib.users import MODES as ALL
from test_mounts import (add, mounted, refused, source, stats, table, tmpfs, with_submount,
                         words)

MODES = ("root", "rootless")
NOBODY = 65534


def without_user_namespace(case):
    """As an engine for root would write it: bryo adds the user namespace."""
    bundle.drop_namespace(case.config, "user")
    for key in ("uidMappings", "gidMappings"):
        case.linux.pop(key, None)


# -- idmapped mounts --

def host_files(case):
    """Files of the host's root and of another user."""
    path = case.make_dir("of-root", owner=(0, 0))
    for name, uid in (("root", 0), ("thousand", 1000), ("beyond", 3000000)):
        write(os.path.join(path, name), name)
        os.lchown(os.path.join(path, name), uid, uid)
    return path


@test("userns")
def idmap(mode):
    """Row idmapped-mounts: host ids through the container's map, not beside it."""
    with Case(mode) as case:
        path = host_files(case)
        add(case, bind(path, "/m/plain"), bind(path, "/m/mapped", "idmap"))
        points = ["/m/%s/%s" % (d, n) for d in ("plain", "mapped")
                  for n in ("root", "thousand", "beyond")]
        found = stats(case, "/m/mapped", "/m/plain", *points)
        for name, uid in (("/root", 0), ("/thousand", 1000), ("/beyond", NOBODY), ("", 0)):
            equal(found["/m/mapped" + name]["uid"], uid, "mapped" + name)
            equal(found["/m/mapped" + name]["gid"], uid, "mapped" + name)
            equal(found["/m/plain" + name]["uid"], NOBODY, "plain" + name)
        case.run_ok(["/probe", "write", "/m/mapped/new", "x"])
        st = os.stat(os.path.join(path, "new"))
        equal((st.st_uid, st.st_gid), (0, 0), "owner on the host of a file made inside")
        contains(case.run_fails(["/probe", "write", "/m/plain/new", "x"]).err, "EACCES", "plain")


@test("userns")
def idmap_with_flags(mode):
    """Rows idmapped-mounts and mounts: beside other options."""
    with Case(mode) as case:
        path = host_files(case)
        add(case, bind(path, "/m/ro", "idmap", "ro", "nosuid", "nodev", "noexec"),
            bind(os.path.join(path, "thousand"), "/m/file", "idmap"))
        got = words(table(case)["/m/ro"])
        check({"ro", "nosuid", "nodev", "noexec", "idmapped"} <= set(got), "options: %s", got)
        found = stats(case, "/m/ro/root", "/m/file")
        equal((found["/m/ro/root"]["uid"], found["/m/file"]["uid"]), (0, 1000), "owners")


@test("userns")
def ridmap(mode):
    """Row idmapped-mounts: recursive or not."""
    with Case(mode) as case:
        with with_submount(case) as path:
            add(case, dict(bind(path, "/m/all"), options=["rbind", "ridmap"]),
                dict(bind(path, "/m/one"), options=["rbind", "idmap"]))
            for name in (path, os.path.join(path, "file"), os.path.join(path, "sub/file")):
                os.chown(name, 7, 8)
            found = stats(case, "/m/all/file", "/m/all/sub/file", "/m/one/file",
                          "/m/one/sub/file")
            equal([found[p]["uid"] for p in sorted(found)], [7, 7, 7, NOBODY], "owners")


@test("root", "rootless", "ranges")
def idmap_is_refused(mode):
    """plan_mount(): "without user namespace and mappings an error MUST"; with a pointer."""
    need_bryo("pointers are bryo's")
    for option in ("idmap", "ridmap"):
        with Case(mode) as case:
            index = add(case, bind(source(case), "/m/x", option))
            refused(case, index, "user namespace" if mode == "root" else "privilege",
                    pointer="/options")


@test("userns")
def idmap_of_what_cannot_be_mapped(mode):
    """Row idmapped-mounts: a file system that does not know it; an error with a hint."""
    need_bryo("pointers are bryo's")
    with Case(mode) as case:
        index = add(case, bind("/proc/self/status", "/m/x", "idmap"))
        refused(case, index, "idmapped mounts", pointer="/options")


def mapped(mount, uids, gids):
    lists = [[dict(zip(("containerID", "hostID", "size"), line)) for line in lines]
             for lines in (uids, gids)]
    return dict(mount, uidMappings=lists[0], gidMappings=lists[1])


@test("root", "userns")
def mappings_of_a_mount(mode):
    """Row idmapped-mounts: maps of its own; without the option they count as well."""
    need_bryo("peers here are too old")
    with Case(mode) as case:
        path = host_files(case)
        base = case.who.host_uid(0)
        # What is root's on disk is 5's in the container, 1000's is 0's; the gids differ.
        maps = ([(0, base + 5, 1), (1000, base, 1)], [(0, base + 6, 1), (1000, base + 7, 1)])
        add(case, mapped(bind(path, "/m/a", "idmap"), *maps), mapped(bind(path, "/m/b"), *maps),
            bind(path, "/m/plain"))
        names = ("root", "thousand", "beyond")
        found = stats(case, *["/m/%s/%s" % (d, n) for d in ("a", "b", "plain") for n in names])
        for place in ("/m/a/", "/m/b/"):
            got = [(found[place + n]["uid"], found[place + n]["gid"]) for n in names]
            equal(got, [(5, 6), (0, 7), (NOBODY, NOBODY)], place)
        plain = (NOBODY, NOBODY) if base else (0, 1000)
        equal((found["/m/plain/root"]["uid"], found["/m/plain/thousand"]["uid"]), plain, "plain")


@test("root", "userns")
def mappings_map_back(mode):
    """Row idmapped-mounts: what is made inside has the source's ids on disk."""
    need_bryo("peers here are too old")
    with Case(mode) as case:
        path = host_files(case)
        base = case.who.host_uid(0)
        os.chown(path, 3000, 3000)
        maps = [(3000, base, 10)]
        add(case, mapped(bind(path, "/m/a", "idmap"), maps, maps))
        case.run_ok(["/probe", "write", "/m/a/new", "x"])
        st = os.stat(os.path.join(path, "new"))
        equal((st.st_uid, st.st_gid), (3000, 3000), "owner on the host of a file made inside")


@test("root", "userns")
def recursive_mappings(mode):
    need_bryo("peers here are too old")
    with Case(mode) as case:
        base = case.who.host_uid(0)
        maps = [(7, base + 9, 1)]
        with with_submount(case) as path:
            add(case, mapped(dict(bind(path, "/m/all"), options=["rbind", "ridmap"]), maps, maps),
                mapped(dict(bind(path, "/m/one"), options=["rbind"]), maps, maps))
            for name in ("file", "sub/file"):
                os.chown(os.path.join(path, name), 7, 7)
            found = stats(case, "/m/all/file", "/m/all/sub/file", "/m/one/file",
                          "/m/one/sub/file")
            equal([found[p]["uid"] for p in sorted(found)],
                  [9, 9, 9, NOBODY if base else 7], "owners")


@test("root", "userns")
def mapped_mounts_need_their_row(mode):
    """Row idmapped-mounts: that these tests see it when it is left out."""
    need_bryo("the test build is bryo's")
    with Case(mode, faults=True) as case:
        path = host_files(case)
        maps = [(0, case.who.host_uid(5), 1)]
        add(case, mapped(bind(path, "/m/a", "idmap"), maps, maps))
        for env, want in (({}, True), ({"BRYO_SKIP": "idmapped-mounts"}, False)):
            result = case.run_ok(["/probe", "stat", "/m/a/root"], env=env)
            equal(list(json.loads(result.out).values())[0]["uid"] == 5, want, "with %s" % env)


@test("rootless", "ranges")
def mappings_need_privilege(mode):
    need_bryo("pointers are bryo's")
    with Case(mode) as case:
        maps, path = [(0, 0, 1)], source(case)
        for option, pointer in (("idmap", "/options"), ("ro", "/uidMappings")):
            index = add(case, mapped(bind(path, "/m/x", option), maps, maps))
            refused(case, index, "privilege", pointer=pointer)
            case.config["mounts"].pop()


@test("root", "rootless")
def wrong_mappings(mode):
    need_bryo("pointers are bryo's")
    with Case(mode) as case:
        good = bind(source(case), "/m/x", "idmap")
        one, tmpfs = [(0, 0, 1)], {"destination": "/m/x", "type": "tmpfs", "source": "tmpfs"}
        for mount, part, pointer in (
                (mapped(good, one, []), "gidMappings", "/uidMappings"),
                (mapped(good, [], one), "uidMappings", "/gidMappings"),
                (mapped(good, one + one, one), "overlaps", "/uidMappings/1"),
                (mapped(good, one, [(0, 0, 2), (5, 1, 1)]), "overlaps", "/gidMappings/1"),
                (mapped(tmpfs, one, one), "bind", "/uidMappings"),
                (dict(tmpfs, options=["idmap"]), "bind", "/options")):
            index = add(case, mount)
            refused(case, index, part, pointer=pointer)
            case.config["mounts"].pop()


# -- options and types that are not known --

@test(*ALL)
def unknown_option_of_a_bind(mode):
    """mount_opts_parse(): the pointer says which."""
    need_bryo("others ignore it")
    with Case(mode) as case:
        path = source(case)
        for option in ("bogus", "size=1k", "RO", "ro ", "copy-symlink", "mode=755"):
            index = add(case, bind(path, "/m/x", "nosuid", option))
            refused(case, index, '"%s"' % option, pointer="/options/2")
            case.config["mounts"].pop()
        # buildah has empty ones.
        add(case, bind(path, "/m/x", "nosuid", ""))
        case.run_ok(["/probe", "exit", "0"])


@test(*ALL)
def unknown_option_of_a_file_system(mode):
    """make_tree(): the file system's own words, and which option."""
    need_bryo("others have other words")
    with Case(mode) as case:
        for option in ("bogus", "bogus=1", "size=nonsense", "mode=9", "nr_inodes=x"):
            index = add(case, tmpfs("/m/x", "nosuid", "mode=755", option))
            refused(case, index, option.partition("=")[0], "tmpfs", pointer="/options/2")
            case.config["mounts"].pop()


@test(*ALL)
def unknown_type(mode):
    """make_tree(): no file system of that name."""
    need_bryo("pointers are bryo's")
    with Case(mode) as case:
        for kind in ("nosuchfs", "tmpfs\n", "../tmpfs", "x" * 5000):
            index = add(case, {"destination": "/m/x", "type": kind, "source": "x"})
            refused(case, index, *(["has no file system"] if kind == "nosuchfs" else []),
                    pointer="/type")
            case.config["mounts"].pop()


@test(*ALL)
def neither_type_nor_bind(mode):
    """check_together(): a mount needs the one or the other, and a bind its source."""
    need_bryo("pointers are bryo's")
    with Case(mode) as case:
        for mount, pointer in (({"destination": "/m/x", "source": "/tmp"}, "/type"),
                               ({"destination": "/m/x", "options": ["bind"]}, "/source"),
                               ({"destination": "/m/x", "type": "bind", "source": "/missing",
                                 "options": ["rbind"]}, "/source")):
            index = add(case, mount)
            refused(case, index, pointer=pointer)
            case.config["mounts"].pop()


@test(*ALL)
def type_of_a_bind_does_not_matter(mode):
    """plan_mount(): `bind` among the options makes a bind, whatever the type is."""
    with Case(mode) as case:
        path = source(case)
        for kind in ("none", "bind", "ext4", "proc", "nosuchfs"):
            add(case, dict(bind(path, "/m/" + kind), type=kind))
        untyped = bind(path, "/m/untyped")
        untyped.pop("type")
        add(case, untyped)
        mounts = table(case)
        for kind in ("none", "bind", "ext4", "proc", "nosuchfs", "untyped"):
            check(mounts["/m/" + kind]["root"].endswith("/source"), "%s: %s", kind,
                  mounts["/m/" + kind])


# -- proc, sysfs, mqueue, devpts, cgroup --

@test("rootless", "ranges")
def what_needs_a_namespace_of_its_own(mode):
    """new_fs_hint(): sysfs, mqueue and proc with the host's namespace."""
    need_bryo("words are bryo's")
    for kind, destination, word in (("network", "/sys", "needs a network namespace"),
                                    ("ipc", "/dev/mqueue", "needs an ipc namespace"),
                                    ("pid", "/proc", "needs a pid namespace")):
        with Case(mode) as case:
            bundle.drop_namespace(case.config, kind)
            index = [m["destination"] for m in case.config["mounts"]].index(destination)
            refused(case, index, word, pointer="/type")
            check("has no file system" not in case.call(
                "run", "-b", case.bundle.path, case.id()).err, "the kernel has it")


@test("rootless")
def the_same_with_an_added_user_namespace(mode):
    """new_fs_hint(): also when bryo has added the user namespace."""
    need_bryo("others do not add one")
    with Case(mode) as case:
        without_user_namespace(case)
        bundle.drop_namespace(case.config, "network")
        index = [m["destination"] for m in case.config["mounts"]].index("/sys")
        refused(case, index, "needs a network namespace", pointer="/type")


@test("root")
def with_the_hosts_namespaces(mode):
    """Row mounts: root needs none of them."""
    with Case(mode) as case:
        for kind in ("network", "ipc", "pid"):
            bundle.drop_namespace(case.config, kind)
        mounts = table(case)
        for point in ("/sys", "/dev/mqueue", "/proc"):
            check(point in mounts, "nothing on %s", point)


@test("rootless", "ranges")
def a_config_for_root(mode):
    """drop_unmapped_gid(): mqueue and devpts in a user namespace that bryo has added."""
    need_bryo("others do not add one")
    with Case(mode) as case:
        without_user_namespace(case)
        options = mount_of(case.config, "/dev/pts")["options"]
        options[:] = [o for o in options if not o.startswith("gid=")]
        for gid in (None, "gid=5", "gid=99999"):
            mount_of(case.config, "/dev/pts")["options"] = options + ([gid] if gid else [])
            report = case.report(["/probe", "facts"])
            mounts = {m["point"]: m for m in report["mounts"]}
            equal(mounts["/dev/mqueue"]["fstype"], "mqueue", "/dev/mqueue")
            pts = mounts["/dev/pts"]
            equal(pts["fstype"], "devpts", "/dev/pts")
            check(report["namespaces"]["user"] != host.namespaces()["user"], "no user namespace")
            mapped = any(int(line.split()[0]) <= 5 < sum(map(int, line.split()[::2]))
                         for line in report["gid_map"].splitlines())
            equal("gid=" in pts["super"], gid == "gid=5" and mapped, "%s: %s" % (gid, pts))
            contains(pts["super"], "ptmxmode=666", "the other options")


@test("rootless")
def group_that_the_config_does_not_map(mode):
    """drop_unmapped_gid(): in a user namespace that was asked for it is an error."""
    need_bryo("pointers are bryo's")
    with Case(mode) as case:
        options = mount_of(case.config, "/dev/pts")["options"]
        options.append("gid=5")
        index = [m["destination"] for m in case.config["mounts"]].index("/dev/pts")
        refused(case, index, "gid=5", pointer="/options/%d" % (len(options) - 1))


def cgroup(*options):
    return {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
            "options": ["nosuid", "noexec", "nodev"] + list(options)}


@test(*ALL)
def cgroup_with_a_namespace(mode):
    """protect_cgroup(): writable only when that was asked, and read-only when that was."""
    with Case(mode) as case:
        for option in ("ro", "rw"):
            index = add(case, cgroup(option))
            mount = table(case)["/sys/fs/cgroup"]
            equal(mount["fstype"], "cgroup2", "type")
            check(option in words(mount), "%s: %s", option, mount)
            case.config["mounts"].pop(index)


@test("root")
def cgroup_without_a_namespace(mode):
    """protect_cgroup(), P7: the whole tree is shown read-only, whatever is asked."""
    need_bryo("others mount it writable")
    with Case(mode) as case:
        bundle.drop_namespace(case.config, "cgroup")
        for options in ((), ("rw",), ("rrw",)):
            index = add(case, cgroup(*options))
            mount = table(case)["/sys/fs/cgroup"]
            check("ro" in words(mount), "%s: %s", options, mount)
            name = "/sys/fs/cgroup/" + case.marker
            contains(case.run_fails(["/probe", "mkdir", name]).err, "EROFS", "mkdir")
            case.config["mounts"].pop(index)


@test("userns", "rootless", "ranges")
def cgroup_without_a_namespace_in_a_user_namespace(mode):
    """make_tree(): the kernel refuses it; an error with the pointer."""
    need_bryo("pointers are bryo's")
    with Case(mode) as case:
        bundle.drop_namespace(case.config, "cgroup")
        index = add(case, cgroup("ro"))
        refused(case, index, pointer="/type")


@test("root")
def cgroup_remounted_writable(mode):
    """protect_cgroup(), P7: nor by a later entry that changes the flags."""
    need_bryo("others mount it writable")
    with Case(mode) as case:
        bundle.drop_namespace(case.config, "cgroup")
        add(case, cgroup("ro"), {"destination": "/sys/fs/cgroup",
                                 "options": ["remount", "bind", "rw"]})
        mount = table(case)["/sys/fs/cgroup"]
        check("ro" in words(mount), "it can be written: %s", mount)
        contains(case.run_fails(["/probe", "mkdir", "/sys/fs/cgroup/" + case.marker]).err,
                 "EROFS", "mkdir")


@test(*ALL)
def nothing_is_left_of_a_half_made_tree(mode):
    """Row mounts, undo: the last mount fails, all others are gone with it."""
    with Case(mode) as case:
        path = source(case)
        add(case, bind(path, "/m/a", "ro"), tmpfs("/m/b"), bind(path, "/m/b/c"))
        index = add(case, tmpfs("/m/d", "bogus"))
        if os.geteuid() == 0:
            with mounted(os.path.join(case.dir, "other")):
                case.before = host.Snapshot(case.marker, case.dir)
                refused(case, index)
            case.before = host.Snapshot(case.marker, case.dir)
        else:
            refused(case, index)
        equal(proc.descendants(), sorted(case.before.processes), "processes")
