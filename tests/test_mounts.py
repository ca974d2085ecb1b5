# SPDX-License-Identifier: Apache-2.0
"""Row mounts: what each option of the specification does to a mount."""

import contextlib
import json
import os

from lib import bundle, host, proc
from lib.bundle import bind, write
from lib.case import Case, need_bryo, need_busybox
from lib.check import check, contains, equal, test
from lib.users import MODES as ALL

MODES = ("root", "rootless")
MS = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "nosymfollow": 256, "noatime": 1024,
      "nodiratime": 2048, "relatime": 1 << 21, "strictatime": 1 << 24}
MS_REMOUNT, MS_BIND, MS_REC = 32, 4096, 16384
FLAGS = ("ro", "nosuid", "nodev", "noexec", "nodiratime", "nosymfollow")
OPPOSITE = {"ro": "rw", "nosuid": "suid", "nodev": "dev", "noexec": "exec",
            "nodiratime": "diratime", "nosymfollow": "symfollow"}
#: Options for access times, and the word that mountinfo has for them.
TIMES = {"noatime": "noatime", "relatime": "relatime", "strictatime": None,
         "norelatime": None, "nostrictatime": "relatime", "atime": "relatime"}
#: Options that say something about the file system, or nothing at all.
HARMLESS = ("async", "defaults", "dirsync", "iversion", "lazytime", "loud", "mand",
            "noiversion", "nolazytime", "nomand", "silent", "sync")


@contextlib.contextmanager
def mounted(path, fstype="tmpfs", flags=0, data="mode=755", kind=None):
    """As root: a mount of the test's own, in the runner's mount namespace."""
    os.makedirs(path, exist_ok=True)
    host._mount("bryo-tests-source", path, fstype, flags, data)
    try:
        if kind is not None:
            host._mount(None, path, None, kind)
        yield path
    finally:
        proc.LIBC.umount2(path.encode(), 2)


def add(case, *mounts):
    """Append mounts; the index of the first."""
    case.config["mounts"] += mounts
    return len(case.config["mounts"]) - len(mounts)


def tmpfs(destination, *options):
    return {"destination": destination, "type": "tmpfs", "source": "tmpfs",
            "options": list(options)}


def source(case, name="source"):
    """A directory of the caller's with a file, a link and a directory."""
    path = case.make_dir(name)
    write(os.path.join(path, "file"), "from the host\n")
    os.mkdir(os.path.join(path, "sub"))
    os.symlink("file", os.path.join(path, "link"))
    if os.geteuid() == 0:
        bundle.chown_tree(path, case.who.host_uid(0), case.who.host_gid(0))
    return path


def table(case, **kwargs):
    """{mount point: mount} as the payload sees them."""
    return {m["point"]: m for m in case.report(["/probe", "facts"], **kwargs)["mounts"]}


def settable(case, flag):
    """The kernel locks the access time of mounts from another user namespace."""
    return not case.who.maps or flag not in ("nodiratime", "noatime")


def words(mount):
    return mount["options"].split(",")


def refused(case, index, *parts, pointer=""):
    """run and create fail, name the mount, and leave nothing."""
    for command in ("run", "create"):
        case.save(["/probe", "echo", "hello"])
        result = case.fails(command, "-b", case.bundle.path, case.id())
        check("hello" not in result.out, "the payload ran: %s", result)
        for part in ("/mounts/%d%s" % (index, pointer),) + parts:
            contains(result.last_error(), part, command)
        check("no such file or directory" not in result.err.lower(), "words: %s", result)
        equal(os.listdir(case.root), [], "state directory")
    case.clean("after the refusal")


# -- flags --

def variants(case, flags):
    """(kind, flag, mount of it) of what can be asked for in this mode."""
    path = source(case)
    for flag in flags:
        if settable(case, flag):
            yield "bind", flag, lambda point, *options: bind(path, point, *options)
        yield "new", flag, tmpfs


@test(*ALL)
def each_flag(mode):
    """set_attrs(), make_tree(): one flag, on a bind and on a new file system."""
    with Case(mode) as case:
        add(case, bind(source(case, "other"), "/m/bind"), tmpfs("/m/new"))
        tried = list(variants(case, FLAGS))
        for kind, flag, make in tried:
            add(case, make("/m/%s-%s" % (kind, flag), flag))
        mounts = table(case)
        for kind, flag, _ in tried:
            plain = set(words(mounts["/m/" + kind]))
            got = set(words(mounts["/m/%s-%s" % (kind, flag)]))
            equal((got ^ plain) - {"rw"}, {flag}, "%s with %s" % (kind, flag))


@test(*ALL)
def each_opposite(mode):
    """mountopt.c: of two that contradict each other the later counts."""
    with Case(mode) as case:
        tried = list(variants(case, FLAGS))
        for kind, flag, make in tried:
            add(case, make("/m/%s-%s" % (kind, flag), flag, OPPOSITE[flag]),
                make("/n/%s-%s" % (kind, flag), OPPOSITE[flag], flag))
        mounts = table(case)
        for kind, flag, _ in tried:
            name = "%s-%s" % (kind, flag)
            check(flag not in words(mounts["/m/" + name]), "%s was taken off", name)
            check(flag in words(mounts["/n/" + name]), "%s was put on", name)


@test(*ALL)
def each_access_time(mode):
    """mountopt.c, ATIME: one field of several bits."""
    with Case(mode) as case:
        points = []
        for kind, name, make in variants(case, TIMES):
            if kind == "bind" and case.who.maps:
                continue
            points += [("/m/%s-%s" % (kind, name), name), ("/n/%s-%s" % (kind, name), name)]
            add(case, make("/m/%s-%s" % (kind, name), name),
                make("/n/%s-%s" % (kind, name), "noatime", "strictatime", name))
        mounts = table(case)
        for point, name in points:
            got = set(words(mounts[point])) & {"noatime", "relatime"}
            equal(got, {TIMES[name]} - {None}, point)


@test("userns", "rootless", "ranges")
def locked_access_time(mode):
    """set_attrs(): the kernel lets nobody change it; what it is already may be asked."""
    need_bryo("words are bryo's")
    with Case(mode) as case:
        path = source(case)
        index = add(case, bind(path, "/m/same", "relatime"))
        if "relatime" in words(table(case)["/m/same"]):
            for option in ("noatime", "strictatime", "nodiratime"):
                case.config["mounts"][index] = bind(path, "/m/same", option)
                refused(case, index, "host's mount", pointer="/options")


@test("root")
def flags_of_the_source(mode):
    """set_attrs(): kept unless taken off, one by one."""
    with Case(mode) as case:
        path = os.path.join(case.dir, "flagged")
        bits = sum(MS[flag] for flag in FLAGS if flag != "ro") | MS["noatime"]
        with mounted(path, flags=bits):
            add(case, bind(path, "/m/same"),
                *[bind(path, "/m/" + OPPOSITE[flag], OPPOSITE[flag]) for flag in FLAGS])
            add(case, bind(path, "/m/strictatime", "strictatime"))
            mounts = table(case)
        same = set(words(mounts["/m/same"]))
        equal(same, set(FLAGS) - {"ro"} | {"rw", "noatime"}, "flags without a word")
        for flag in FLAGS:
            if flag != "ro":
                equal(same - set(words(mounts["/m/" + OPPOSITE[flag]])), {flag}, flag)
        equal(same - set(words(mounts["/m/strictatime"])), {"noatime"}, "strictatime")


@test("userns", "rootless")
def locked_flags(mode):
    """Row box-sources: in a user namespace the host's flags stay; the error has a hint."""
    need_bryo("words are bryo's")
    if os.geteuid() != 0:
        return
    with Case(mode) as case:
        path = os.path.join(case.dir, "flagged")
        with mounted(path, flags=MS["noexec"] | MS["nosuid"] | MS["ro"]):
            index = add(case, bind(path, "/m/same", "noexec", "nosuid"))
            got = words(table(case)["/m/same"])
            check({"ro", "noexec", "nosuid"} <= set(got), "flags: %s", got)
            for option in ("exec", "suid", "rw"):
                case.config["mounts"][index] = bind(path, "/m/same", option)
                case.before = host.Snapshot(case.marker, case.dir)
                refused(case, index, "cannot be taken off", pointer="/options")
        case.before = host.Snapshot(case.marker, case.dir)


@test("userns", "rootless", "ranges")
def payload_cannot_unlock(mode):
    """Row box-sources: nor by a payload with CAP_SYS_ADMIN, which may remount."""
    need_busybox()
    if os.geteuid() != 0:
        return
    with Case(mode) as case:
        for name in ("bounding", "effective", "permitted"):
            case.process["capabilities"][name].append("CAP_SYS_ADMIN")
        path = os.path.join(case.dir, "flagged")
        with mounted(path, flags=MS["noexec"] | MS["nosuid"] | MS["nodev"] | MS["ro"]):
            case.before = host.Snapshot(case.marker, case.dir)
            add(case, bind(path, "/m/same"))
            for option in ("exec", "suid", "dev", "rw"):
                keep = {"noexec", "nosuid", "nodev", "ro"} - {"no" + option, "ro"}
                words_ = ",".join(["remount", "bind", option] + sorted(keep) +
                                  ([] if option == "rw" else ["ro"]))
                script = "mount -o %s /m/same && echo unlocked" % words_
                result = case.run(["/bin/sh", "-c", script])
                check("unlocked" not in result.out, "%s: %s", option, result)
            case.run_ok(["/bin/sh", "-c", "mount -o remount,bind,ro,nosuid,nodev,noexec /m/same"])
        case.before = host.Snapshot(case.marker, case.dir)


@test(*ALL)
def flags_work(mode):
    """Not only in the table: writing, executing and following are refused."""
    with Case(mode) as case:
        path = source(case)
        for name in ("file", "sub"):
            os.chmod(os.path.join(path, name), 0o777)
        add(case, bind(path, "/m/ro", "ro"), bind(path, "/m/rw"),
            bind(path, "/m/nosymfollow", "nosymfollow"),
            bind(case.bundle.rootfs, "/m/noexec", "noexec"))
        contains(case.run_fails(["/probe", "write", "/m/ro/file", "x"]).err, "EROFS", "ro")
        case.run_ok(["/probe", "write", "/m/rw/file", "x"])
        contains(case.run_fails(["/probe", "cat", "/m/nosymfollow/link"]).err, "ELOOP", "link")
        equal(case.run_ok(["/probe", "cat", "/m/rw/link"]).out, "x", "link")
        contains(case.run_fails(["/m/noexec/probe", "exit", "0"]).err.lower(),
                 "permission denied", "noexec")


@test(*ALL)
def harmless_options(mode):
    """mountopt.c, SUPER and NOTHING: known to every runtime, accepted here too."""
    with Case(mode) as case:
        path = source(case)
        for option in HARMLESS:
            add(case, bind(path, "/m/bind-" + option, option), tmpfs("/m/new-" + option, option))
        mounts = table(case)
        contains(mounts["/m/new-sync"]["super"], "sync", "sync")
        equal(set(words(mounts["/m/new-defaults"])) - {"relatime"}, {"rw"}, "defaults")


# -- recursive flags --

@contextlib.contextmanager
def with_submount(case, flags=0, kind=None):
    """A source with a mount below it; needs root for the making only."""
    path = source(case)
    if os.geteuid() != 0:
        yield None
        return
    with mounted(os.path.join(path, "sub"), flags=flags, data="mode=777", kind=kind) as sub:
        write(os.path.join(sub, "file"), "below\n", 0o666)
        case.before = host.Snapshot(case.marker, case.dir)
        yield path
    case.before = host.Snapshot(case.marker, case.dir)


@test(*ALL)
def each_recursive_flag(mode):
    """mountopt.c, RATTR: the mount and all below; without the r only the top."""
    with Case(mode) as case, with_submount(case) as path:
        if not path:
            return
        names = [flag for flag in FLAGS + ("noatime",) if settable(case, flag)]
        for flag in names:
            add(case, dict(bind(path, "/m/all-" + flag), options=["rbind", "r" + flag]),
                dict(bind(path, "/m/one-" + flag), options=["rbind", flag]))
        mounts = table(case)
        for flag in names:
            for kind, below in (("all", True), ("one", False)):
                point = "/m/%s-%s" % (kind, flag)
                check(flag in words(mounts[point]), "%s lacks it", point)
                equal(flag in words(mounts[point + "/sub"]), below, point + "/sub")


@test("root")
def each_recursive_opposite(mode):
    """mountopt.c, RATTR: flags are taken off below too."""
    bits = sum(MS[flag] for flag in FLAGS) | MS["noatime"]
    with Case(mode) as case, with_submount(case) as path:
        host._mount(None, os.path.join(path, "sub"), None, MS_REMOUNT | MS_BIND | bits)
        case.before = host.Snapshot(case.marker, case.dir)
        for flag in FLAGS:
            add(case, dict(bind(path, "/m/" + flag), options=["rbind", "r" + OPPOSITE[flag]]))
        add(case, dict(bind(path, "/m/rstrictatime"), options=["rbind", "rstrictatime"]),
            dict(bind(path, "/m/rrelatime"), options=["rbind", "rrelatime"]),
            dict(bind(path, "/m/plain"), options=["rbind"]))
        mounts = table(case)
        plain = set(words(mounts["/m/plain/sub"])) - {"rw", "ro"}
        for flag in FLAGS:
            got = words(mounts["/m/%s/sub" % flag])
            check(flag not in got, "r%s left %s", OPPOSITE[flag], got)
            equal(set(got) - {"rw", "ro"}, plain - {flag}, "the others after " + flag)
        check(not {"noatime", "relatime"} & set(words(mounts["/m/rstrictatime/sub"])), "strict")
        check("relatime" in words(mounts["/m/rrelatime/sub"]), "relatime")


@test(*ALL)
def rro_and_ro(mode):
    """rro: no write below either; ro: below it is as it was."""
    with Case(mode) as case, with_submount(case) as path:
        if not path:
            return
        add(case, dict(bind(path, "/m/ro"), options=["rbind", "ro"]),
            dict(bind(path, "/m/rro"), options=["rbind", "rro"]))
        for point in ("/m/ro/file", "/m/rro/file", "/m/rro/sub/file", "/m/rro/sub/new"):
            contains(case.run_fails(["/probe", "write", point, "x"]).err, "EROFS", point)
        case.run_ok(["/probe", "write", "/m/ro/sub/file", "x"])


@test(*ALL)
def bind_and_rbind(mode):
    """clone_source(): bind shows no mount below, where the kernel lets it."""
    with Case(mode) as case, with_submount(case) as path:
        if not path:
            return
        index = add(case, dict(bind(path, "/m/rbind"), options=["rbind"]))
        check("/m/rbind/sub" in table(case), "rbind lacks what is below")
        case.config["mounts"][index] = bind(path, "/m/bind")
        if not case.who.maps:
            check("/m/bind/sub" not in table(case), "bind shows what is below")
        else:
            need_bryo("words are bryo's")
            refused(case, index, "rbind", pointer="/source")


# -- sources and destinations --

@test(*ALL)
def sources_of_binds(mode):
    """Rows sources and box-sources: file, directory, link, relative to the bundle."""
    with Case(mode) as case:
        path = source(case)
        os.symlink(os.path.join(path, "file"), os.path.join(case.dir, "to-file"))
        os.symlink("source", os.path.join(case.dir, "to-dir"))
        os.rename(source(case, "inner"), os.path.join(case.bundle.path, "inner"))
        add(case, bind(os.path.join(path, "file"), "/m/file"), bind(path, "/m/dir"),
            bind(os.path.join(case.dir, "to-file"), "/m/to-file"),
            bind(os.path.join(case.dir, "to-dir"), "/m/to-dir"),
            bind("inner/file", "/m/relative-file"), bind("inner", "/m/relative"),
            bind("../source/file", "/m/up"))
        for point in ("/m/file", "/m/dir/file", "/m/to-file", "/m/to-dir/file",
                      "/m/relative-file", "/m/relative/file", "/m/up"):
            equal(case.run_ok(["/probe", "cat", point]).out, "from the host\n", point)
        mounts = table(case)
        for point in ("/m/file", "/m/to-file", "/m/relative-file"):
            equal(mounts[point]["stat"]["type"], "file", point)
        check(not os.path.islink(case.bundle.inside("m/to-file")), "the destination is a link")


@test(*ALL)
def destinations_are_made(mode):
    """open_place(): directories and files that are missing, also in other mounts."""
    with Case(mode) as case:
        path = source(case)
        add(case, tmpfs("/a/b/c", "mode=755"), tmpfs("/a/b/c/d/e", "mode=755"),
            bind(path, "relative/dir"), bind(os.path.join(path, "file"), "/a/b/c/new/file"),
            bind(os.path.join(path, "file"), "other/file"), bind(path, "/a/./b/../x//y/"))
        mounts = table(case)
        for point in ("/a/b/c", "/a/b/c/d/e", "/relative/dir", "/a/b/c/new/file", "/other/file",
                      "/a/x/y"):
            check(point in mounts, "nothing on %s: %s", point, sorted(mounts))
        equal(mounts["/a/b/c/d/e"]["parent"], mounts["/a/b/c"]["id"], "parent")
        equal(mounts["/a/b/c/new/file"]["parent"], mounts["/a/b/c"]["id"], "parent of the file")
        st = os.stat(case.bundle.inside("a/b"))
        equal((oct(st.st_mode & 0o7777), st.st_uid, st.st_gid),
              ("0o755", case.who.host_uid(0), case.who.host_gid(0)), "directory that was made")


@test(*ALL)
def order_is_that_of_the_list(mode):
    """mountset_mount_all(): a later mount covers an earlier one, never the reverse."""
    with Case(mode) as case:
        path = source(case)
        add(case, bind(path, "/m/x/y"), tmpfs("/m/x"), tmpfs("/n/x"), bind(path, "/n/x/y"))
        contains(case.run_fails(["/probe", "cat", "/m/x/y/file"]).err, "ENOENT", "covered")
        equal(case.run_ok(["/probe", "cat", "/n/x/y/file"]).out, "from the host\n", "on top")


@test(*ALL)
def destination_of_the_wrong_kind(mode):
    """open_place(): a file where a directory is needed, and the reverse."""
    need_bryo("pointers are bryo's")
    with Case(mode) as case:
        path = source(case)
        for mount in (bind(path, "/probe"), bind(os.path.join(path, "file"), "/work"),
                      tmpfs("/probe"), bind(path, "/probe/below")):
            index = add(case, mount)
            refused(case, index, pointer="/destination")
            case.config["mounts"].pop()


# -- tmpfs --

@test(*ALL)
def tmpfs_data(mode):
    """mount_new(): size, mode and nr_inodes reach the file system."""
    with Case(mode) as case:
        add(case, tmpfs("/m/t", "size=64k", "mode=1751", "nr_inodes=5", "uid=0", "gid=0"))
        mount = table(case)["/m/t"]
        for part in ("size=64k", "mode=1751", "nr_inodes=5"):
            contains(mount["super"].split(","), part, "data")
        equal(oct(mount["stat"]["mode"]), "0o1751", "mode")
        need_busybox()
        script = "for i in 1 2 3 4 5 6; do : >/m/t/$i || exit 9; done"
        equal(case.run(["/bin/sh", "-c", script]).rc != 0, True, "more inodes than there are")


def stats(case, *paths):
    return json.loads(case.run_ok(["/probe", "stat"] + list(paths)).out)


def image_tree(case):
    """Something to copy up, with owners, modes, links and times of its own."""
    top = case.bundle.inside("image")
    os.makedirs(os.path.join(top, "dir/deeper/empty"))
    write(os.path.join(top, "file"), "text\n", 0o4751)
    write(os.path.join(top, "dir/deeper/private"), "x" * 70000, 0o600)
    write(os.path.join(top, "zero"), "", 0o444)
    os.symlink("../outside", os.path.join(top, "dir/link"))
    os.symlink("/masked-file", os.path.join(top, "absolute"))
    os.mkfifo(os.path.join(top, "fifo"), 0o640)
    if os.geteuid() == 0:
        for name, _, files in os.walk(top):
            for entry in [name] + [os.path.join(name, f) for f in files]:
                os.lchown(entry, case.who.host_uid(0), case.who.host_gid(0))
        if case.who.many_ids:
            os.lchown(os.path.join(top, "zero"), case.who.host_uid(7), case.who.host_gid(8))
            os.lchown(os.path.join(top, "dir/link"), case.who.host_uid(9), case.who.host_gid(9))
    os.chmod(os.path.join(top, "file"), 0o4751)
    os.chmod(os.path.join(top, "dir/deeper"), 0o1770)
    names = ["file", "zero", "absolute", "fifo", "dir", "dir/link", "dir/deeper",
             "dir/deeper/private", "dir/deeper/empty"]
    for n, name in enumerate(reversed(names)):
        os.utime(os.path.join(top, name), ns=(10 ** 18 + n, 10 ** 18 + 1000 * n + 7),
                 follow_symlinks=False)
    return names


@test(*ALL)
def tmpcopyup(mode):
    """copyup.c: everything that lies below, as it is."""
    with Case(mode) as case:
        names = image_tree(case)
        before = stats(case, *["/image/" + name for name in names])
        index = add(case, tmpfs("/image", "tmpcopyup", "mode=755", "size=1m"))
        after = stats(case, *["/image/" + name for name in names])
        for name in names:
            want, got = before["/image/" + name], after["/image/" + name]
            for key in ("format", "mode", "uid", "gid", "mtime", "target"):
                equal(got.get(key), want.get(key), "%s of %s" % (key, name))
            if want["format"] != 0o040000:
                equal(got["size"], want["size"], "size of " + name)
        equal(case.run_ok(["/probe", "cat", "/image/dir/deeper/private"]).out, "x" * 70000, "text")
        equal(sorted(set(case.run_ok(["/probe", "ls", "/image"]).out.split()) - {".", ".."}),
              ["absolute", "dir", "fifo", "file", "zero"], "entries")
        case.run_ok(["/probe", "write", "/image/file", "changed"])
        with open(case.bundle.inside("image/file")) as file:
            equal(file.read(), "text\n", "the image's file")
        case.config["mounts"][index]["options"].append("ro")
        equal(case.run_ok(["/probe", "cat", "/image/file"]).out, "text\n", "with ro")
        contains(case.run_fails(["/probe", "write", "/image/file", "x"]).err, "EROFS", "with ro")


@test(*ALL)
def tmpcopyup_that_does_not_fit(mode):
    """copyup.c: the tmpfs's own size limits what is copied."""
    need_bryo("pointers are bryo's")
    with Case(mode) as case:
        image_tree(case)
        index = add(case, tmpfs("/image", "tmpcopyup", "size=16k"))
        refused(case, index, "tmpcopyup", pointer="/options")


@test(*ALL)
def tmpcopyup_of_nothing(mode):
    """copyup.c: a destination that is missing or empty; not for other types."""
    need_bryo("pointers are bryo's")
    with Case(mode) as case:
        add(case, tmpfs("/m/missing", "tmpcopyup"), tmpfs("/work", "tmpcopyup"))
        check({"/m/missing", "/work"} <= set(table(case)), "the mounts are not there")
        index = add(case, bind(source(case), "/m/bind", "tmpcopyup"))
        refused(case, index, pointer="/options")


# -- remount --

@test(*ALL)
def remount(mode):
    """remount(): changes what an earlier entry has mounted."""
    with Case(mode) as case:
        path = source(case)
        add(case, bind(path, "/m/bind"), tmpfs("/m/new"),
            {"destination": "/m/bind", "type": "bind", "source": path,
             "options": ["bind", "remount", "ro", "nosuid", "nodev", "noexec"]},
            {"destination": "/m/new", "options": ["remount", "bind", "ro"]})
        mounts = table(case)
        check({"ro", "nosuid", "nodev", "noexec"} <= set(words(mounts["/m/bind"])), "bind: %s",
              mounts["/m/bind"])
        check("ro" in words(mounts["/m/new"]), "tmpfs: %s", mounts["/m/new"])
        contains(case.run_fails(["/probe", "write", "/m/bind/file", "x"]).err, "EROFS", "bind")


@test(*MODES)
def remount_of_nothing(mode):
    """remount(): a destination that is missing is not made."""
    need_bryo("pointers are bryo's")
    with Case(mode) as case:
        index = add(case, {"destination": "/m/missing", "options": ["remount", "bind", "ro"]})
        refused(case, index, pointer="/destination")
        check(not os.path.exists(case.bundle.inside("m")), "the destination was made")


@test(*MODES)
def remount_of_the_file_system(mode):
    """check_together(): its parameters cannot be changed, and that is not hushed up."""
    need_bryo("others hand them on to mount(2)")
    with Case(mode) as case:
        add(case, tmpfs("/m/new", "size=64k"))
        for option in ("size=128k", "bogus"):
            index = add(case, {"destination": "/m/new", "options": ["remount", "ro", option]})
            refused(case, index, option, pointer="/options/2")
            case.config["mounts"].pop()


@test("root")
def no_change_reaches_the_source(mode):
    """clone_source(): the host's own mount keeps its flags and its group."""
    with Case(mode) as case, with_submount(case) as path:
        before = host.mount_table()
        add(case, dict(bind(path, "/m/x"), options=["rbind", "rro", "rnoexec", "rslave"]),
            {"destination": "/m/x", "options": ["remount", "bind", "nosuid"]},
            dict(bind(path, "/m/y"), options=["rbind", "runbindable"]))
        case.create(["/probe", "sleep", "60"])
        equal(host.difference(before, host.mount_table()), [], "the host's mounts")
        case.delete()
