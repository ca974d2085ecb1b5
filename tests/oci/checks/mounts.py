# SPDX-License-Identifier: Apache-2.0
"""Mounts: where, of what, and what each option does."""

import contextlib
import json
import os

from lib import bundle, host, users
from lib.bundle import bind
from lib.check import Skip, check, contains, equal
from oci.checks.features import features_of
from oci.frame import DELETE, Box, claim, proves
from test_filesystems import NOBODY, host_files, mapped, without_user_namespace
from test_mounts import MS, MS_BIND, MS_REC, MS_REMOUNT, mounted, source, stats, table, tmpfs, words
from test_propagation import fields

#: config.md, "Linux mount options".
MUST = """async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime nodev
    nodiratime noexec noiversion nolazytime norelatime nostrictatime nosuid private rbind relatime
    remount ro rprivate rshared rslave runbindable rw shared silent slave strictatime suid sync
    unbindable""".split()
SHOULD = """ratime rdev rdiratime rexec rnoatime rnodev rnodiratime rnoexec rnorelatime
    rnostrictatime rnosuid rnosymfollow rrelatime rro rrw rstrictatime rsuid rsymfollow nosymfollow
    symfollow idmap ridmap""".split()
MAY = ["mand", "nomand", "tmpcopyup"]
#: What mount(8) knows beyond those.
OF_MOUNT8 = """auto noauto user nouser users group owner nofail _netdev context fscontext defcontext
    rootcontext X- x- uhelper helper loop offset sizelimit verity""".split()


def rbind(path, destination, *options):
    return dict(bind(path, destination), options=["rbind"] + list(options))


def add(box, *mounts):
    box.config["mounts"] += mounts


# -- places --

@proves("mounts.order")
def order(mode):
    """The later one is above, and below one that came earlier."""
    with Box(mode) as box:
        add(box, tmpfs("/work", "size=64k"), tmpfs("/work/sub"), bind(source(box), "/work/sub/x"),
            tmpfs("/tmp"), bind(source(box, "other"), "/tmp"))
        report = box.sees()
        points = [m["point"] for m in report["mounts"]]
        for point in ("/work", "/work/sub", "/work/sub/x"):
            check(point in points, "%s is not there", point)
        result = box.run_ok(["/probe", "ls", "/tmp"])
        contains(result.out.split(), "file", "the last mount on /tmp")
    with Box(mode) as box:
        add(box, bind(source(box), "/tmp"), tmpfs("/tmp"))
        check("file" not in box.run_ok(["/probe", "ls", "/tmp"]).out.split(), "the first is on top")


@proves("mounts.destination", "mounts.destination.absolute", "mounts.destination.relative",
        "mounts.source.absolute", "mounts.source.relative")
def places(mode):
    with Box(mode) as box:
        path = source(box)
        os.mkdir(os.path.join(box.bundle.path, "beside"))
        bundle.write(os.path.join(box.bundle.path, "beside/mark"), "x")
        with claim("mounts.destination", "mounts.destination.absolute", "mounts.source.absolute"):
            add(box, bind(path, "/work"))
            equal(box.run_ok(["/probe", "cat", "/work/file"]).out, "from the host\n", "the file")
        with claim("mounts.destination.relative"):
            box.reset()
            add(box, bind(path, "work"), tmpfs("made/here"))
            equal(box.run_ok(["/probe", "cat", "/work/file"], cwd="/").out, "from the host\n", "file")
            check("/made/here" in table(box), "made/here is elsewhere")
        with claim("mounts.source.relative"):
            box.reset()
            add(box, bind("beside", "/work"))
            equal(box.run_ok(["/probe", "cat", "/work/mark"], cwd="/").out, "x", "the file")


@proves("mounts.bind", "mounts.type")
def types(mode):
    with Box(mode) as box:
        path = source(box)
        with claim("mounts.bind"):
            for type_ in ("bind", "none", "tmpfs", "nonsense", DELETE):
                for option in ("bind", "rbind"):
                    box.reset()
                    mount = {"destination": "/work", "type": type_, "source": path,
                             "options": [option]}
                    add(box, {k: v for k, v in mount.items() if v is not DELETE})
                    contains(box.run_ok(["/probe", "cat", "/work/file"]).out, "host", str(mount))
        with claim("mounts.type"):
            box.reset()
            add(box, {"destination": "/work", "type": "ramfs", "source": "x"})
            equal(table(box)["/work"]["fstype"], "ramfs", "type")
            box.accepts()
            good = box.config["mounts"]
            box.refuses({"mounts": good + [{"destination": "/work", "type": "nonsense",
                                            "source": path}]})


@proves("mounts.options.data")
def parameters(mode):
    with Box(mode) as box:
        good = box.config["mounts"] + [tmpfs("/m/new", "mode=0711", "size=64k")]
        box.set({"mounts": good})
        mount = table(box)["/m/new"]
        contains(mount["super"].split(","), "size=64k", "parameters")
        equal(mount["stat"]["mode"], 0o711, "mode")
        box.accepts({"mounts": good})
        box.refuses({"mounts": good + [tmpfs("/tmp", "no-such-parameter=1")]})


@proves("mounts.options.custom")
def options_beyond_the_list(mode):
    custom = set(features_of(mode)["mountOptions"]) - set(MUST + SHOULD + MAY)
    for name in custom:
        check(not any(name == known or (known.endswith("-") and name.startswith(known))
                      for known in OF_MOUNT8), "%s is one of mount(8)", name)


# -- options: what they do to the flags --

#: What takes a flag off.
OPPOSITE = {"ro": "rw", "nosuid": "suid", "nodev": "dev", "noexec": "exec",
            "nodiratime": "diratime", "nosymfollow": "symfollow"}
TIMES = {"noatime": "noatime", "relatime": "relatime", "strictatime": None}


def mount_of(box, *mounts):
    """What becomes of the last of these."""
    box.reset()
    add(box, *mounts)
    return table(box)[mounts[-1]["destination"]]


@proves(*["option." + name for pair in OPPOSITE.items() for name in pair])
def flags(mode):
    with Box(mode) as box:
        for on, off in OPPOSITE.items():
            with claim("option." + on):
                contains(words(mount_of(box, tmpfs("/m/new", on))), on, "options")
            with claim("option." + off):
                got = words(mount_of(box, tmpfs("/m/new", on, off)))
                check(on not in got, "%s left %s", off, on)


@proves("option.atime", "option.noatime", "option.relatime", "option.norelatime",
        "option.strictatime", "option.nostrictatime")
def times_of_access(mode):
    tried = {"noatime": ((), "noatime"), "atime": (("noatime",), "relatime"),
             "strictatime": ((), None), "nostrictatime": (("strictatime",), "relatime"),
             "relatime": ((), "relatime"), "norelatime": (("relatime",), None)}
    with Box(mode) as box:
        for name, (before, want) in tried.items():
            with claim("option." + name):
                got = set(words(mount_of(box, tmpfs("/m/new", *before, name))))
                got &= {"noatime", "relatime"}
                # Without relatime the kernel's default counts, which mount(8) leaves to it.
                check(got == {want} - {None} or name == "norelatime" and got == {"relatime"},
                      "options: %s", got)


@proves("option.sync", "option.async", "option.dirsync", "option.lazytime", "option.nolazytime",
        "option.iversion", "option.noiversion", "option.silent", "option.loud", "option.defaults",
        "option.mand", "option.nomand")
def options_of_the_file_system(mode):
    """Those that leave no trace are known: a tmpfs refuses what reaches it as a parameter."""
    seen = {"sync": (("sync",), True), "async": (("sync", "async"), False),
            "dirsync": (("dirsync",), True), "lazytime": (("lazytime",), True),
            "nolazytime": (("lazytime", "nolazytime"), False)}
    shown = {"async": "sync", "nolazytime": "lazytime"}
    with Box(mode) as box:
        plain = box.config["mounts"]
        for name in ("iversion", "noiversion", "silent", "loud", "mand", "nomand"):
            with claim("option." + name):
                box.accepts({"mounts": plain + [tmpfs("/m/new", name)]})
        for name, (options, there) in seen.items():
            with claim("option." + name):
                word = shown.get(name, name)
                got = mount_of(box, tmpfs("/m/new", *options))["super"].split(",")
                equal(word in got, there, word)
        with claim("option.defaults"):
            got = words(mount_of(box, tmpfs("/m/new", "defaults")))
            equal(set(got) - {"relatime"}, {"rw"}, "options")


@proves("option.remount")
def remount(mode):
    with Box(mode) as box:
        path = source(box)
        add(box, bind(path, "/work"), tmpfs("/tmp"),
            {"destination": "/work", "type": "bind", "source": path,
             "options": ["bind", "remount", "ro", "nosuid", "nodev"]})
        mounts = table(box)
        check({"ro", "nosuid", "nodev"} <= set(words(mounts["/work"])), "options: %s",
              mounts["/work"]["options"])
        contains(words(mounts["/tmp"]), "rw", "another mount")


@proves("option.tmpcopyup")
def copy_up(mode):
    with Box(mode) as box:
        add(box, tmpfs("/masked-dir", "tmpcopyup"), tmpfs("/readonly-dir"))
        equal(box.run_ok(["/probe", "cat", "/masked-dir/file"]).out, "secret\n", "the copy")
        equal(table(box)["/masked-dir"]["fstype"], "tmpfs", "type")
        check(box.run(["/probe", "cat", "/readonly-dir/file"]).rc != 0, "a copy unasked")


# -- options: below --

@contextlib.contextmanager
def tree_of_mounts(box, flags_=0, kind=None):
    """A source with a mount below it, which bears the flags; needs root."""
    users.identity("root")
    path = source(box)
    with mounted(os.path.join(path, "sub"), data="mode=777", kind=kind) as sub:
        bundle.write(os.path.join(sub, "file"), "below\n", 0o666)
        if flags_:
            host._mount(None, sub, None, MS_REMOUNT | MS_BIND | flags_)
        box.before = host.Snapshot(box.marker, box.dir)
        yield path
    box.before = host.Snapshot(box.marker, box.dir)


@proves("option.bind", "option.rbind")
def binds(mode):
    with claim("option.bind"), Box(mode) as box:
        add(box, bind(source(box), "/work"))
        equal(box.run_ok(["/probe", "cat", "/work/file"]).out, "from the host\n", "the file")
    with Box(mode) as box, claim("option.rbind"), tree_of_mounts(box) as path:
        add(box, rbind(path, "/work"))
        equal(box.run_ok(["/probe", "cat", "/work/sub/file"]).out, "below\n", "the file below")


RFLAGS = ("ro", "nosuid", "nodev", "noexec", "nodiratime", "nosymfollow", "noatime")


@proves(*["option.r" + name for name in RFLAGS])
def flags_below(mode):
    with Box(mode) as box, tree_of_mounts(box) as path:
        for name in RFLAGS:
            # The times of access of the host's mounts are locked in a user namespace.
            if box.who.maps and name in ("noatime", "nodiratime"):
                with claim("option.r" + name):
                    raise Skip("the kernel locks it in a user namespace")
                continue
            with claim("option.r" + name):
                box.reset()
                add(box, rbind(path, "/work", "r" + name))
                mounts = table(box)
                for point in ("/work", "/work/sub"):
                    contains(words(mounts[point]), name, "options of " + point)


ROPPOSITE = {"rrw": "ro", "rsuid": "nosuid", "rdev": "nodev", "rexec": "noexec",
             "rdiratime": "nodiratime", "rsymfollow": "nosymfollow"}


@proves(*["option." + name for name in ROPPOSITE], modes=("root",),
        why="the kernel locks the flags of the host's mounts in a user namespace")
def flags_off_below(mode):
    bits = sum(MS[flag] for flag in ROPPOSITE.values())
    with Box(mode) as box, tree_of_mounts(box, bits) as path:
        for name, flag in ROPPOSITE.items():
            with claim("option." + name):
                box.reset()
                add(box, rbind(path, "/work", name))
                check(flag not in words(table(box)["/work/sub"]), "%s left %s", name, flag)


@proves("option.ratime", "option.rrelatime", "option.rnorelatime", "option.rstrictatime",
        "option.rnostrictatime", modes=("root",),
        why="the kernel locks the flags of the host's mounts in a user namespace")
def times_below(mode):
    tried = {"ratime": ("noatime", {"relatime"}), "rrelatime": ("noatime", {"relatime"}),
             "rstrictatime": ("noatime", set()), "rnostrictatime": ("strictatime", {"relatime"}),
             "rnorelatime": ("relatime", set())}
    for name, (flag, want) in tried.items():
        with Box(mode) as box, claim("option." + name):
            with tree_of_mounts(box, MS[flag]) as path:
                add(box, rbind(path, "/work", name))
                got = set(words(table(box)["/work/sub"])) & {"noatime", "relatime"}
                check(got == want or name == "rnorelatime" and got == {"relatime"}, "%s", got)


# -- options: propagation --

KINDS = {"shared": ["shared"], "slave": ["master"], "private": [], "unbindable": ["unbindable"]}


@proves(*["option." + name for name in KINDS], *["option.r" + name for name in KINDS])
def propagation(mode):
    with Box(mode) as box, tree_of_mounts(box, kind=1 << 20 | MS_REC) as path:
        for kind, want in KINDS.items():
            for name, points in ((kind, ("",)), ("r" + kind, ("", "/sub"))):
                with claim("option." + name):
                    box.reset()
                    add(box, rbind(path, "/work", name))
                    mounts = table(box)
                    for point in points:
                        got = fields(mounts["/work" + point])
                        # A peer group of its own may receive besides.
                        if kind == "shared":
                            got = [word for word in got if word != "master"]
                        equal(got, want, "propagation of /work" + point)


# -- maps of ids --

def owners(box, *names):
    found = stats(box, *["/work/" + name for name in names])
    check(all(isinstance(each, dict) for each in found.values()), "files: %s", found)
    return [(found["/work/" + name]["uid"], found["/work/" + name]["gid"]) for name in names]


MAPPED = "an idmapped mount of the host's files needs privilege over them"


@proves("mounts.mappings.applied", "mounts.mappings.option", "mounts.idmap.mappings",
        "mounts.idmap.not-passed", "option.idmap", modes=("root",), why=MAPPED)
def maps_of_a_mount(mode):
    with Box(mode) as box:
        path = host_files(box)
        maps = ([(0, 5, 1), (1000, 0, 1)], [(0, 6, 1), (1000, 7, 1)])
        want = [(5, 6), (0, 7), (NOBODY, NOBODY)]
        with claim("mounts.mappings.applied", "mounts.idmap.mappings", "mounts.idmap.not-passed",
                   "mounts.mappings.option", "option.idmap"):
            add(box, mapped(bind(path, "/work", "idmap"), *maps))
            equal(owners(box, "root", "thousand", "beyond"), want, "owners with idmap")
        with claim("mounts.mappings.applied"):
            box.reset()
            add(box, mapped(bind(path, "/work"), *maps))
            equal(owners(box, "root", "thousand", "beyond"), want, "owners without the option")


@proves("mounts.ridmap.mappings", "mounts.ridmap.not-passed", "option.ridmap", modes=("root",),
        why=MAPPED)
def maps_below(mode):
    with Box(mode) as box, tree_of_mounts(box) as path:
        for name in ("file", "sub/file"):
            os.chown(os.path.join(path, name), 7, 7)
        add(box, mapped(rbind(path, "/work", "ridmap"), [(7, 9, 1)], [(7, 9, 1)]))
        equal(owners(box, "file", "sub/file"), [(9, 9)] * 2, "owners")


@proves("mounts.idmap.user-namespace", modes=("root",), why=MAPPED)
def maps_of_the_container(_):
    with Box("userns") as box:
        add(box, bind(host_files(box), "/work", "idmap"))
        equal(owners(box, "root", "thousand"), [(0, 0), (1000, 1000)], "owners")


@proves("mounts.mappings.both")
def one_map_of_two(mode):
    with Box(mode) as box:
        box.accepts()
        plain, path = box.config["mounts"], source(box)
        one = [{"containerID": 0, "hostID": 0, "size": 1}]
        box.accepts({"mounts": plain + [bind(path, "/work")]})
        for name in ("uidMappings", "gidMappings"):
            for options in (["bind"], ["bind", "idmap"]):
                mount = dict(bind(path, "/work"), options=options, **{name: one})
                box.refuses({"mounts": plain + [mount]})


@proves("mounts.idmap.nothing", "mounts.ridmap.nothing")
def nothing_to_map_by(mode):
    with Box(mode) as box:
        without_user_namespace(box)
        if mode != "root":
            # A user namespace is added, or asked for: its one id maps nothing of the host's.
            box.reset()
        plain, path = box.config["mounts"], source(box)
        for name in ("idmap", "ridmap"):
            with claim("mounts.%s.nothing" % name):
                box.plain = json.dumps(dict(box.config, mounts=plain))
                box.accepts({"mounts": plain + [bind(path, "/work")]})
                box.refuses({"mounts": plain + [bind(path, "/work", name)]})
