# SPDX-License-Identifier: Apache-2.0
"""Overlay root file systems: layers below that nobody writes to, a thin one on top."""

import hashlib
import json
import os
import shutil
import stat
import tarfile

from lib import bundle, host, proc
from lib.bundle import write
from lib.case import Case, need_bryo, need_busybox
from lib.check import Skip, check, contains, equal, test, wait_until
from lib.steps import try_rows
from lib.users import MODES
from test_mounts import MS_REMOUNT, mounted

#: Containers at once on one lower; the real number takes a while.
AT_ONCE = int(os.environ.get("BRYO_TESTS_OVERLAYS", "100"))
NEW_ROWS = ("overlay-claim", "foreign-layers", "idmapped-layers", "overlay-owner", "layers",
            "overlay")


def entry(path):
    """All that may not change; of files, which we read without a trace, the access time too."""
    st = os.lstat(path)
    text = (st.st_mode, st.st_uid, st.st_gid, st.st_nlink, st.st_rdev, st.st_mtime_ns,
            st.st_ctime_ns, st.st_atime_ns if stat.S_ISREG(st.st_mode) else None)
    attributes = sorted((name, os.getxattr(path, name, follow_symlinks=False))
                        for name in os.listxattr(path, follow_symlinks=False))
    content = None
    if stat.S_ISREG(st.st_mode):
        fd = os.open(path, os.O_RDONLY | os.O_NOATIME)
        with os.fdopen(fd, "rb") as file:
            content = hashlib.sha256(file.read()).hexdigest()
    elif stat.S_ISLNK(st.st_mode):
        content = os.readlink(path)
    return text, attributes, content


def tree(top):
    """The whole of a tree, for comparison."""
    found = {".": entry(top)}
    for where, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(where, name)
            found[os.path.relpath(path, top)] = entry(path)
    return found


def same(got, want, what):
    lines = host.difference(want, got)
    check(not lines, "%s: %s", what, "; ".join(lines))


def own(case, path):
    """Its owner is the container's root, as that of the rootfs."""
    if os.geteuid() == 0:
        bundle.chown_tree(path, case.who.host_uid(0), case.who.host_gid(0))


def layer(case, name, **files):
    """A lower directory: names with __ for a slash, and their contents."""
    path = case.make_dir(name)
    for file, text in files.items():
        at = os.path.join(path, file.replace("__", "/"))
        os.makedirs(os.path.dirname(at), exist_ok=True)
        write(at, text)
    own(case, path)
    return path


def options(case, upper, *lower):
    words = ["--overlay", upper]
    for path in lower:
        words += ["--lower", path]
    return words


def shell(case, words, script, suffix="c", expect=0, **kwargs):
    """Run the script in a container with these options."""
    need_bryo("options of bryo")
    need_busybox()
    case.save(["/bin/busybox", "sh", "-c", script])
    result = case.call("run", "-b", case.bundle.path, *words, case.id(suffix), **kwargs)
    if expect is not None:
        equal(result.rc, expect, "exit status of %r: %s" % (script, result))
    return result


def uppers(case):
    """Both kinds: what to give to --overlay."""
    return ("tmpfs", case.make_dir("kept", 0o700))


WRITER = """
set -e
cd /
echo new >new; echo more >>both; busybox rm gone; busybox rm -r old; busybox mkdir old
busybox mv dir/file dir/moved; busybox chmod 600 mode; busybox ln both hard
busybox ln -s /new link; busybox touch -d '2001-01-01 00:00:00' touched
busybox find / -xdev | busybox sort
"""


def layers_to_write_on(case):
    return layer(case, "lower", both="lower\n", gone="x\n", old__file="x\n", dir__file="x\n",
                 mode="x\n", touched="x\n")


@test(*MODES)
def writes_land_in_the_upper_only(mode):
    with Case(mode) as case:
        lower = layers_to_write_on(case)
        for upper in uppers(case):
            before = tree(lower), tree(case.bundle.rootfs)
            seen = shell(case, options(case, upper, lower), WRITER).out.split()
            check("/new" in seen and "/gone" not in seen and "/old/file" not in seen,
                  "what the container sees: %s", seen)
            same(tree(lower), before[0], "the lower layer")
            same(tree(case.bundle.rootfs), before[1], "the rootfs")
            case.clean("after one on " + upper)
            # Another has the layers as they were.
            result = shell(case, options(case, "tmpfs", lower),
                           "cat /both /gone /old/file /dir/file; [ ! -e /new ]")
            equal(result.out, "lower\nx\nx\nx\n", "what the next one sees")
            same(tree(lower), before[0], "the lower layer")


@test(*MODES)
def deletes_become_whiteouts(mode):
    with Case(mode) as case:
        lower = layers_to_write_on(case)
        kept = case.make_dir("kept", 0o700)
        shell(case, options(case, kept, lower), WRITER)
        st = os.lstat(kept + "/upper/gone")
        check(stat.S_ISCHR(st.st_mode) and st.st_rdev == 0, "no whiteout: %s", st)
        prefix = "trusted" if mode == "root" else "user"
        equal(os.getxattr(kept + "/upper/old", prefix + ".overlay.opaque"), b"y", "opaque")
        equal(sorted(os.listdir(kept)), ["upper"], "what is left in the directory")


@test(*MODES)
def kept_layers_survive(mode):
    with Case(mode) as case:
        kept = case.make_dir("kept", 0o700)
        words = options(case, kept)
        for number in range(3):
            out = shell(case, words, "echo %d >>/log; cat /log" % number).out
            equal(out.split(), [str(n) for n in range(number + 1)], "the log")
        check(not os.path.exists(case.bundle.inside("/log")), "the rootfs was written to")
        # Without the overlay there is nothing of it.
        check("log" not in shell(case, [], "ls /").out, "the rootfs has the upper's file")


@test(*MODES)
def layers_are_in_order(mode):
    """The rootfs is on top, then the lower ones as they are named."""
    with Case(mode) as case:
        first = layer(case, "first", a="first\n", b="first\n")
        second = layer(case, "second", a="second\n", b="second\n", c="second\n")
        write(case.bundle.inside("/a"), "rootfs\n")
        own(case, case.bundle.rootfs)
        equal(shell(case, options(case, "tmpfs", first, second), "cat /a /b /c").out,
              "rootfs\nfirst\nsecond\n", "files")


@test(*MODES)
def layers_hide_what_is_below(mode):
    """Whiteouts and opaque directories as image tools unpack them."""
    with Case(mode) as case:
        prefix = "trusted" if mode == "root" else "user"
        top = layer(case, "top", dir__new="x")
        below = layer(case, "below", gone="x", kept="x", dir__old="x")
        if os.geteuid() != 0:
            raise Skip("makes whiteouts as root")
        os.mknod(top + "/gone", stat.S_IFCHR | 0o600, 0)
        os.setxattr(top + "/dir", prefix + ".overlay.opaque", b"y")
        out = shell(case, options(case, "tmpfs", top, below), "ls /dir; [ -e /kept ]; [ ! -e /gone ]")
        equal(out.out, "new\n", "the opaque directory")


@test(*MODES)
def root_looks_like_the_rootfs(mode):
    with Case(mode) as case:
        os.chmod(case.bundle.rootfs, 0o1751)
        for upper in uppers(case):
            out = shell(case, options(case, upper), "busybox stat -c '%a %u %g' /").out
            equal(out, "1751 0 0\n", "the root directory on " + upper)
        os.chmod(case.bundle.rootfs, 0o755)


@test(*MODES)
def readonly_root_stays_so(mode):
    with Case(mode) as case:
        case.config["root"]["readonly"] = True
        for upper in uppers(case):
            result = shell(case, options(case, upper), "echo x >/file", expect=1)
            contains(result.err, "Read-only file system", "error")


@test(*MODES)
def root_is_no_chroot(mode):
    """The tmpfs beneath the root is out of reach, and user namespaces can be made."""
    with Case(mode) as case:
        script = "cd /; cd ..; cd ../..; ls; busybox unshare -U true || echo chrooted"
        names = shell(case, options(case, "tmpfs"), script).out.split()
        check("work" in names and "upper" not in names and "chrooted" not in names,
              "the root has %s", names)
        mounts = shell(case, options(case, "tmpfs"), "cat /proc/self/mountinfo").out
        roots = [line.split()[4] for line in mounts.splitlines() if " bryo" in line]
        equal(roots, ["/"], "mounts of bryo's that the container sees")


@test(*MODES)
def a_full_tmpfs_is_full(mode):
    """Size and number of files: the payload gets ENOSPC, and the host lives on."""
    with Case(mode) as case:
        words = options(case, "tmpfs:1m")
        result = shell(case, words, "busybox dd if=/dev/zero of=/big bs=64k count=64", expect=1)
        contains(result.err, "No space left on device", "error")
        script = "i=0; while [ $i -lt 2000 ] && busybox mkdir /tmp/$i; do i=$((i+1)); done; echo $i"
        result = shell(case, words, script)
        contains(result.err, "No space left on device", "error")
        check(100 < int(result.out) < 1000, "directories: %s", result.out)


@test(*MODES)
def a_directory_has_one_user(mode):
    with Case(mode) as case:
        kept = case.make_dir("kept", 0o700)
        words = options(case, kept)
        need_bryo("options of bryo")
        case.create(["/probe", "sleep", "60"], words=words)
        for status in ("created", "running"):
            equal(case.state()["status"], status, "status")
            case.save(["/probe", "exit", "0"])
            result = case.fails("run", "-b", case.bundle.path, *words, case.id("second"))
            contains(result.err, 'in use by container "%s"' % case.id(), "error")
            if status == "created":
                case.ok("start", case.id())
                case.wait_status("running")
        case.ok("kill", case.id(), "KILL")
        case.wait_status("stopped")
        # The dead one need not be deleted first, and then leaves the new one alone.
        case.create(["/probe", "sleep", "60"], suffix="next", words=words)
        case.delete()
        check(os.path.isdir(kept + "/work"), "the other's work directory was removed")
        case.delete("next")
        equal(os.listdir(kept), ["upper"], "what is left in the directory")


@test(*MODES)
def an_upper_becomes_a_lower(mode):
    """When its container has ended, and not before."""
    with Case(mode) as case:
        kept = case.make_dir("kept", 0o700)
        live(case, options(case, kept), "echo x >/new")
        result = shell(case, options(case, "tmpfs", kept + "/upper"), ":", "next", expect=125)
        contains(result.err, 'is being written by container "%s"' % case.id(), "error")
        case.delete()
        os.chmod(kept, 0o755)
        equal(shell(case, options(case, "tmpfs", kept + "/upper"), "cat /new").out, "x\n", "file")


@test(*MODES)
def many_start_on_one_directory(mode):
    """Sixteen at once on one upper directory: one gets it."""
    with Case(mode) as case:
        need_bryo("options of bryo")
        kept = case.make_dir("kept", 0o700)
        case.save(["/probe", "sleep", "60"])
        with open(case.output(), "ab") as out:
            children = [case.start("create", "-b", case.bundle.path, *options(case, kept),
                                   case.id("n%d" % n), stdout=out, stderr=out)
                        for n in range(16)]
            codes = [proc.finish(child, timeout=60).rc for child in children]
        equal(codes.count(0), 1, "winners: %s" % case.read_output())
        contains(case.read_output(), "in use", "what the losers say")
        case.delete("n%d" % codes.index(0))
        equal(os.listdir(kept), ["upper"], "what is left in the directory")


@test(*MODES)
def ids_of_other_owners(mode):
    """A layer as it was unpacked by root has its owners in a user namespace too."""
    if mode != "userns":
        raise Skip("needs the privilege to idmap, and a user namespace")
    with Case(mode) as case:
        path = layer(case, "lower", zero="x", five="x", dir__file="x")
        for name, uid in (("", 0), ("zero", 0), ("five", 5), ("dir", 7), ("dir/file", 8)):
            os.chown(os.path.join(path, name), uid, uid)
        before = tree(path)
        for kind in ("bounding", "effective", "permitted"):
            case.process["capabilities"][kind] += ["CAP_CHOWN", "CAP_DAC_OVERRIDE"]
        for upper in uppers(case):
            script = """cd /; busybox stat -c '%n %u %g' zero five dir dir/file
                     echo y >>five; busybox chown 9 dir/file; busybox stat -c '%n %u' five dir/file"""
            out = shell(case, options(case, upper, path), script).out
            equal(out.splitlines(), ["zero 0 0", "five 5 5", "dir 7 7", "dir/file 8 8", "five 5",
                                     "dir/file 9"], "owners on " + upper)
        same(tree(path), before, "the lower layer")
        st = os.stat(case.dir + "/kept/upper/five")
        equal(st.st_uid, case.who.host_uid(5), "owner in the upper directory")


@test(*MODES)
def names_with_special_characters(mode):
    with Case(mode) as case:
        for number, name in enumerate(("a:b", "a,b", "a\\b", "a=b c", "-x", "ä", "a\nb", "%n")):
            lower = layer(case, name, file="%d\n" % number)
            kept = case.make_dir("kept " + name, 0o700)
            out = shell(case, options(case, kept, lower), "cat /file; echo x >/new").out
            equal(out, "%d\n" % number, "the file below %r" % name)
            check(os.path.exists(kept + "/upper/new"), "nothing in %r", kept)


@test(*MODES)
def five_hundred_layers(mode):
    with Case(mode) as case:
        lower = [layer(case, "l/%d" % n, **{"file%d" % n: "x"}) for n in range(499)]
        out = shell(case, options(case, "tmpfs", *lower), "ls / | busybox grep -c file").out
        equal(int(out), 500, "files of layers, and masked-file")
        lower.append(layer(case, "l/more"))
        result = shell(case, options(case, "tmpfs", *lower), ":", expect=125)
        contains(result.err, "the kernel takes 500", "error")


@test(*MODES)
def annotations_ask_for_it(mode):
    with Case(mode) as case:
        os.makedirs(case.bundle.path + "/layers/one")
        write(case.bundle.path + "/layers/one/file", "below\n")
        os.mkdir(case.bundle.path + "/state", 0o700)
        if os.geteuid() == 0:
            os.chown(case.bundle.path + "/state", case.who.uid, case.who.gid)
        own(case, case.bundle.path + "/layers")
        for upper in ("tmpfs", "tmpfs:1m", "state"):
            case.config["annotations"] = {"org.bryo.overlay": upper,
                                          "org.bryo.overlay.lower.1": "layers/one"}
            equal(shell(case, [], "cat /file; echo x >/new").out, "below\n", "the file below")
            check(not os.path.exists(case.bundle.inside("/new")), "the rootfs was written to")
        check(os.path.exists(case.bundle.path + "/state/upper/new"), "nothing was kept")


@test(*MODES)
def options_replace_annotations(mode):
    with Case(mode) as case:
        kept = case.make_dir("kept", 0o700)
        case.config["annotations"] = {"org.bryo.overlay": "tmpfs",
                                      "org.bryo.overlay.lower.1": "missing"}
        shell(case, options(case, kept), "echo x >/new")
        check(os.path.exists(kept + "/upper/new"), "nothing was kept")


#: Annotations that a hostile image might set, and what is said.
FORGED = [
    ({"org.bryo.overlay": "/etc"}, "no directory in the bundle"),
    ({"org.bryo.overlay": "tmpfs", "org.bryo.overlay.lower.1": "/etc"}, "no directory in"),
    ({"org.bryo.overlay": "tmpfs", "org.bryo.overlay.lower.1": "../x"}, "no directory in"),
    ({"org.bryo.overlay": "tmpfs", "org.bryo.overlay.lower.1": "rootfs/link"}, "symbolic link"),
    ({"org.bryo.overlay": "tmpfs", "org.bryo.overlay.lower.1": "rootfs/link/ssl"}, "symbolic link"),
    ({"org.bryo.overlay": "tmpfs", "org.bryo.overlay.lower.2": "x"}, "lower.1"),
    ({"org.bryo.overlay": "rootfs/link"}, "symbolic link"),
    ({"org.bryo.overlay": "tmpfs:0"}, "not a size"),
    ({"org.bryo.overlay.lower.1": "x"}, "no org.bryo.overlay"),
]


@test(*MODES)
def annotations_stay_in_the_bundle(mode):
    with Case(mode) as case:
        os.symlink("/etc", case.bundle.inside("/link"))
        for annotations, text in FORGED:
            case.config["annotations"] = annotations
            result = shell(case, [], ":", expect=125)
            contains(result.err, text, "error for %s" % annotations)
            contains(result.err, "/annotations", "error for %s" % annotations)
            equal(result.err.count("\n"), 1, "lines of the error: " + result.err)


def bad_input(case):
    """Words, and what the one line says."""
    lower, other = layer(case, "lower", sub__file="x"), layer(case, "other")
    kept = case.make_dir("kept", 0o700)
    yield options(case, "tmpfs", case.dir + "/missing"), "missing"
    yield options(case, "tmpfs", lower + "/sub/file"), "not a directory"
    os.symlink(lower, case.dir + "/link")
    yield options(case, "tmpfs", case.dir + "/link"), "symbolic link"
    yield options(case, "tmpfs", "/"), "the host's root directory"
    yield options(case, "tmpfs", lower, lower), "lies in the layer"
    yield options(case, "tmpfs", lower, other, lower + "/sub"), "lies in the layer"
    yield options(case, "tmpfs", case.bundle.rootfs), "lies in the layer"
    yield options(case, kept, kept), "overlap"
    os.mkdir(lower + "/inside", 0o700)
    own(case, lower)
    yield options(case, lower + "/inside", lower), "overlap"
    yield options(case, case.dir + "/none"), "mkdir"
    yield options(case, lower + "/sub/file"), "irectory"
    yield options(case, case.dir + "/link"), case.dir + "/link"
    yield options(case, ""), "tmpfs:SIZE or a directory"
    for size in ("", "0", "x", "1x", "-1", "1mm", "99999999999999999999", "20000000t"):
        yield options(case, "tmpfs:" + size), "tmpfs:" + size
    yield ["--lower", lower], "--lower needs --overlay"
    shared = case.make_dir("shared", 0o777)
    yield options(case, shared), "written by others"
    if os.geteuid() == 0:
        yield options(case, case.make_dir("foreign", 0o755, (12345, 12345))), "belongs to uid 12345"
    file = case.make_dir("file", 0o700)
    write(file + "/upper", "x")
    yield options(case, file), "upper"
    linked = case.make_dir("linked", 0o700)
    os.symlink(lower, linked + "/upper")
    yield options(case, linked), "upper"


@test(*MODES)
def bad_input_is_one_line(mode):
    with Case(mode) as case:
        for words, text in bad_input(case):
            result = shell(case, words, ":", expect=125)
            contains(result.err, text, "error for %s" % words)
            equal(result.err.count("\n"), 1, "lines of the error: " + result.err)
            case.clean("after %s" % words)
        equal(os.listdir(case.dir + "/kept"), [], "what failed runs leave in the directory")


@test("root", "rootless")
def file_systems_that_cannot(mode):
    """As root, mounts of the test's own; what does not fit is one line."""
    if not host.isolated:
        raise Skip("mounts file systems as root")
    with Case(mode) as case:
        for fstype, data, flags, text in (
                ("ramfs", "mode=700", 0, "keeps no %s.* attributes" %
                 ("trusted" if mode == "root" else "user")),
                ("tmpfs", "mode=700", 1, "Read-only file system"),
                ("tmpfs", "mode=700,size=4k,nr_inodes=2", 0, "No space left on device")):
            path = os.path.join(case.dir, "mount")
            with mounted(path, fstype, 0, data):
                os.chown(path, case.who.uid, case.who.gid)
                if flags:
                    host._mount(None, path, None, MS_REMOUNT | flags)
                result = shell(case, options(case, path), ":", expect=125)
            contains(result.err, text, "error on " + fstype)
            equal(result.err.count("\n"), 1, "lines of the error: " + result.err)
        closed = layer(case, "closed", file="x")
        os.chown(closed, 0, 0)
        os.chmod(closed, 0o700)
        if mode != "root":
            result = shell(case, options(case, "tmpfs", closed + "/sub"), ":", expect=125)
            contains(result.err, "Permission denied", "error for a closed layer")


@test(*MODES)
def an_overlay_as_upper_or_lower(mode):
    """In a container: its root, an overlay, is a lower layer of another; as upper it cannot be."""
    if not host.isolated:
        raise Skip("mounts file systems as root")
    with Case(mode) as case:
        for name in ("low", "up", "wk", "merged"):
            os.mkdir(os.path.join(case.dir, name))
        at = os.path.join(case.dir, "merged")
        data = "lowerdir=%s,upperdir=%s,workdir=%s" % tuple(
            os.path.join(case.dir, n) for n in ("low", "up", "wk"))
        with mounted(at, "overlay", 0, data):
            write(at + "/file", "below\n")
            own(case, at)
            equal(shell(case, options(case, "tmpfs", at), "cat /file; echo x >/file").out,
                  "below\n", "a layer that is an overlay")
            equal(open(at + "/file").read(), "below\n", "it afterwards")
            os.mkdir(at + "/kept", 0o700)
            os.chown(at + "/kept", case.who.uid, case.who.gid)
            result = shell(case, options(case, at + "/kept"), ":", expect=None)
            if result.rc:
                equal(result.err.count("\n"), 1, "lines of the error: " + result.err)
                contains(result.err, "overlay", "error")
                equal(os.listdir(at + "/kept"), [], "what is left in the directory")


def canary(case):
    """What a hostile layer would like to change or read."""
    path = case.make_dir("canary", 0o755)
    write(path + "/file", "untouched\n")
    return path


@test(*MODES)
def hostile_layers_change_nothing_outside(mode):
    with Case(mode) as case:
        out, lower = canary(case), layer(case, "lower", dir__x="x", plain="x\n")
        os.symlink(out, lower + "/link")
        os.symlink("../../../../.." + out + "/file", lower + "/filelink")
        if os.geteuid() == 0:
            os.mknod(lower + "/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
            os.mknod(lower + "/disk", stat.S_IFBLK | 0o666, os.makedev(7, 0))
        os.chmod(lower + "/plain", 0o4755)
        before = tree(out), tree(lower)
        script = """echo x >/link/file; echo x >/filelink; busybox chmod 777 /link /filelink
                 busybox rm -rf /dir /plain; echo x >/null; cat /disk; busybox rm -f /link"""
        for upper in uppers(case):
            shell(case, options(case, upper, lower), script, expect=None)
            same(tree(out), before[0], "the canary")
            same(tree(lower), before[1], "the lower layer")


@test(*MODES)
def redirects_are_not_followed(mode):
    """Attributes planted in a kept upper or in a layer lead to nothing."""
    if os.geteuid() != 0:
        raise Skip("plants attributes as root")
    with Case(mode) as case:
        secret = layer(case, "lower", secret__key="secret\n", plain="plain\n")
        for prefix in ("user", "trusted"):
            kept = case.make_dir("kept-" + prefix, 0o700)
            shell(case, options(case, kept), ":")
            for top in (kept + "/upper", layer(case, "layer-" + prefix)):
                os.mkdir(top + "/door")
                os.setxattr(top + "/door", prefix + ".overlay.redirect", b"/secret")
                write(top + "/copy", "")
                os.setxattr(top + "/copy", prefix + ".overlay.redirect", b"/secret/key")
                os.setxattr(top + "/copy", prefix + ".overlay.metacopy", b"")
                own(case, top)
                words = options(case, kept, secret) if top.startswith(kept) else \
                    options(case, "tmpfs", top, secret)
                result = shell(case, words, "ls /door; cat /copy", expect=None)
                check("key" not in result.out and "secret" not in result.out,
                      "the attribute was followed: %s", result)


@test("root", "rootless")
def many_at_once_on_one_layer(mode):
    """BRYO_TESTS_OVERLAYS=1000 is the real thing."""
    with Case(mode) as case:
        need_bryo("options of bryo")
        need_busybox()
        lower = layers_to_write_on(case)
        before = tree(lower), tree(case.bundle.rootfs)
        case.save(["/bin/busybox", "sh", "-c", WRITER + "echo done; read line"])
        # An ordinary user has a quota of 200 keys.
        words = options(case, "tmpfs:1m", lower) + ["--no-new-keyring"]
        children = [case.start("run", "-b", case.bundle.path, *words, case.id("p%d" % number),
                               stdin=-1, stdout=-1, stderr=-1) for number in range(AT_ONCE)]
        for child in children:
            line = ""
            while line not in ("done\n",) and child.poll() is None:
                line = child.stdout.readline()
                line = line.decode() if isinstance(line, bytes) else line
        dead = [proc.finish(c) for c in children if c.poll() is not None]
        check(not dead, "%d of %d are dead: %s", len(dead), AT_ONCE, dead and dead[0])
        for child in children:
            child.stdin.close()
            child.stdin = None
            result = proc.finish(child, timeout=120)
            equal(result.rc, 1, "exit status of the last command: " + result.err)
        same(tree(lower), before[0], "the lower layer")
        same(tree(case.bundle.rootfs), before[1], "the rootfs")
        case.clean("after %d at once" % AT_ONCE)


# -- every new row fails, and bryo is killed at each --

def sweep(mode, row, variable):
    with Case(mode, faults=True) as case:
        need_bryo("options of bryo")
        lower, kept = layers_to_write_on(case), case.make_dir("kept", 0o700)
        if mode == "userns":
            os.chown(lower, 0, 0)  # foreign: it gets idmapped
        before = tree(lower), tree(case.bundle.rootfs)
        words = ["-b", case.bundle.path] + options(case, kept, lower)
        case.save(["/probe", "exit", "0"])
        for command in ("run", "create"):
            result = case.call(command, *words, case.id(), env={variable: row.name})
            if result.rc == 0:
                wanted = row.name not in ("foreign-layers", "idmapped-layers") or mode == "userns"
                check(not wanted, "the row did nothing: %s", result)
                raise Skip("the row has nothing to do in this mode")
            if variable == "BRYO_FAIL":
                contains(result.last_error(), "injected", "error")
                case.clean("after the failure of " + command)
            else:
                case.delete()
            check(set(os.listdir(kept)) <= {"upper"}, "left: %s", os.listdir(kept))
            same(tree(lower), before[0], "the lower layer")
            same(tree(case.bundle.rootfs), before[1], "the rootfs")
            # The directory can be used at once.
            case.ok("run", *words, case.id())
            equal(os.listdir(kept), ["upper"], "what is left in the directory")


def register(variable, row):
    def func(mode):
        sweep(mode, row, variable)
    func.__module__ = __name__
    test(*MODES, name="%s=%s" % (variable, row.name))(func)


for _row in try_rows():
    if _row.name in NEW_ROWS:
        register("BRYO_FAIL", _row)
        register("BRYO_KILL", _row)


# -- what is said of the changes --

def live(case, words, script, suffix="c"):
    """Start a container that has run the script and lives on."""
    need_bryo("options of bryo")
    need_busybox()
    ready = "\necho ready; exec busybox sleep 60"
    case.create(["/bin/busybox", "sh", "-c", "cd /; " + script + ready], suffix=suffix,
                words=words)
    case.ok("start", case.id(suffix))
    wait_until(lambda: "ready" in case.read_output(suffix), what="the script's end")


def changes(case, suffix="c"):
    """{path: (change, type, mode, uid, gid, size)}"""
    found = json.loads(case.ok("diff", "--json", case.id(suffix)).out)
    return {e["path"]: tuple(e[k] for k in ("change", "type", "mode", "uid", "gid", "size"))
            for e in found}


EDITS = """
set -e
echo new >new; echo more >>both; busybox rm gone; busybox rm -r old; busybox mkdir old
echo x >old/fresh; busybox chmod 600 mode; busybox mkdir -p a/b; busybox ln -s /new a/link
busybox mkfifo pipe; busybox chmod 700 dir; echo y >other/inside; busybox rm -r whole
busybox rm kind; busybox mkdir kind; busybox touch gone2; busybox rm gone2
busybox rm -r swap; echo x >swap
"""
EXPECTED = {
    "/new": ("added", "file", "0644", 0, 0, 4),
    "/both": ("changed", "file", "0644", 0, 0, 11),
    "/gone": ("deleted", "file", "0644", 0, 0, 2),
    "/old": ("changed", "directory", "0755", 0, 0),
    "/old/file": ("deleted", "file", "0644", 0, 0, 2),
    "/old/fresh": ("added", "file", "0644", 0, 0, 2),
    "/mode": ("changed", "file", "0600", 0, 0, 2),
    "/a": ("added", "directory", "0755", 0, 0),
    "/a/b": ("added", "directory", "0755", 0, 0),
    "/a/link": ("added", "link", "0777", 0, 0, 4),
    "/pipe": ("added", "fifo", "0644", 0, 0, 0),
    "/dir": ("changed", "directory", "0700", 0, 0),
    "/other/inside": ("added", "file", "0644", 0, 0, 2),
    "/whole": ("deleted", "directory", "0755", 0, 0),
    "/kind": ("changed", "directory", "0755", 0, 0),
    "/swap": ("changed", "file", "0644", 0, 0, 2),
}


def layer_to_edit(case):
    return layer(case, "lower", both="lower\n", gone="x\n", old__file="x\n", dir__file="x\n",
                 mode="x\n", other__file="x", whole__deep__file="x", kind="x", swap__file="x")


def drop_sizes(found):
    """Those of directories are the file system's business."""
    return {path: e[:5] if e[1] == "directory" else e for path, e in found.items()}


@test(*MODES)
def diff_lists_changes(mode):
    with Case(mode) as case:
        lower = layer_to_edit(case)
        for number, upper in enumerate(uppers(case)):
            name = "d%d" % number
            live(case, options(case, upper, lower), EDITS, name)
            same(drop_sizes(changes(case, name)), EXPECTED, "changes while it runs on " + upper)
            table = case.ok("diff", case.id(name)).out.splitlines()
            equal([line.split()[-1] for line in table], sorted(EXPECTED), "paths of the table")
            case.ok("kill", case.id(name), "KILL")
            case.wait_status("stopped", name)
            if upper == "tmpfs":
                result = case.fails("diff", case.id(name))
                contains(result.err, "is stopped: its upper layer, a tmpfs, ended", "error")
            else:
                same(drop_sizes(changes(case, name)), EXPECTED, "changes afterwards")
            case.delete(name)


@test(*MODES)
def exec_writes_to_the_same_layer(mode):
    """Who enters the container has its root, not what lies beneath."""
    with Case(mode) as case:
        for number, upper in enumerate(uppers(case)):
            name = "x%d" % number
            live(case, options(case, upper), "echo x >new", name)
            result = case.ok("exec", case.id(name), "/bin/busybox", "sh", "-c",
                             "cat /new; echo y >/entered; ls /..")
            check(result.out.startswith("x\n") and "upper" not in result.out.split(),
                  "what it sees: %s", result)
            equal(set(changes(case, name)), {"/new", "/entered"}, "changes")
            case.delete(name)


@test(*MODES)
def diff_of_nothing(mode):
    with Case(mode) as case:
        live(case, options(case, "tmpfs"), ":")
        equal(case.ok("diff", case.id()).out, "", "table")
        equal(json.loads(case.ok("diff", "--json", case.id()).out), [], "JSON")
        case.delete()
        case.create(["/probe", "sleep", "60"])
        contains(case.fails("diff", case.id()).err, "has no overlay", "error")
        case.delete()


@test(*MODES)
def diff_of_a_hostile_upper(mode):
    """Links, control characters, deep trees and closed directories: a list, or one line."""
    with Case(mode) as case:
        out = canary(case)
        script = r"""busybox ln -s %s link; busybox mkdir closed; echo x >closed/file
            busybox chmod 000 closed/file; busybox chmod 000 closed; echo x >"$(printf 'a\nb\033')"
            printf x >"$(printf 'bad\377')"
            busybox ln -s / upper; busybox mkdir work""" % out
        for number, upper in enumerate(uppers(case)):
            name = "h%d" % number
            live(case, options(case, upper), script, name)
            found = changes(case, name)
            equal(found["/link"][:2], ("added", "link"), "the link")
            equal(found["/closed/file"][:3], ("added", "file", "0000"), "the closed file")
            check("/a\nb\x1b" in found and "/bad\\xff" in found, "names: %s", sorted(found))
            check(not [p for p in found if p.startswith("/link/")], "a link was followed")
            table = case.ok("diff", case.id(name)).out
            check("\x1b" not in table and "a\\x0ab\\x1b" in table, "the table: %r", table)
            case.delete(name)
        deep = "/".join(["d"] * 1200)
        live(case, options(case, "tmpfs"), "busybox mkdir -p %s e/%s; busybox mv e %s" % (
            deep, deep, deep))
        result = case.fails("diff", case.id())
        equal(result.err.count("\n"), 1, "lines of the error: " + result.err)
        case.delete()


@test("userns", "rootless", "ranges")
def diff_of_a_rearranged_root(mode):
    """A payload that may mount puts things where the upper layer is looked for."""
    with Case(mode) as case:
        for kind in ("bounding", "effective", "permitted"):
            case.process["capabilities"][kind] += ["CAP_SYS_ADMIN"]
        out = canary(case)
        before = tree(out)
        cover = "echo x >/mine; busybox mount -t tmpfs none / && cd -P /.. && "
        for number, script in enumerate((
                cover + "busybox mkdir work && busybox ln -s %s upper" % out,
                cover + "busybox mkdir work upper && busybox mount -t tmpfs none /../upper",
                cover + "busybox ln -s %s upper; busybox ln -s %s work" % (out, out),
                "echo x >/mine; busybox umount -l /")):
            name = "r%d" % number
            live(case, options(case, "tmpfs"), script, name)
            equal(list(changes(case, name)), ["/mine"], "changes after %r" % script)
            case.delete(name)
        # One that looks like ours is the payload's own business.
        live(case, options(case, "tmpfs"), cover + "busybox mkdir work upper upper/fake", "fake")
        equal(list(changes(case, "fake")), ["/fake"], "changes")
        case.delete("fake")
        same(tree(out), before, "the canary")


@test("rootless")
def root_does_not_look_for_a_user(mode):
    """One line, and what to do; root who became the user cannot write the maps."""
    if os.geteuid() != 0:
        raise Skip("needs root")
    with Case(mode) as case:
        live(case, options(case, "tmpfs"), "echo x >new")
        result = case.fails("diff", case.id(), user=0, group=0)
        contains(result.err, "do it as that user", "error")
        equal(result.err.count("\n"), 1, "lines of the error: " + result.err)
        case.delete()


# -- the layer as an archive --

def helper(case):
    """bryo-export where the copy of bryo for the test user looks for it."""
    at = os.path.join(os.path.dirname(case.binary), "bryo-export")
    if not os.path.exists(at):
        source = os.path.join(bundle.TOP, os.environ.get("BRYO_BUILD", "build"), "bryo-export")
        if not os.path.exists(source):
            raise Skip("bryo-export is not built")
        shutil.copy(source, at)
        os.chmod(at, 0o755)


def export(case, suffix="c"):
    """The archive, as a tarfile."""
    helper(case)
    path = os.path.join(case.make_dir("out-" + suffix), "layer.tar")
    case.ok("export", case.id(suffix), path)
    result = case.call("export", case.id(suffix), "-", stdout=-1)
    check(result.rc == 0 and len(result.out) > 1000, "to standard output: %s", result)
    return tarfile.open(path), path


RICH = EDITS + """
echo linked >l1; busybox ln l1 l2; busybox ln l1 a/l3
busybox dd if=/dev/zero of=sparse bs=1 count=1 seek=10485759 2>/dev/null
busybox dd if=/dev/urandom of=random bs=64k count=5 2>/dev/null
busybox touch -d '2001-02-03 04:05:06' dated; busybox chmod 4755 dated
: >empty; echo x >"naïve name"
"""


@test(*MODES)
def export_is_a_layer(mode):
    with Case(mode) as case:
        lower = layer_to_edit(case)
        for number, upper in enumerate(uppers(case)):
            name = "e%d" % number
            live(case, options(case, upper, lower), RICH, name)
            tar, path = export(case, name)
            with tar:
                members = {m.name: m for m in tar.getmembers()}
                content = tar.extractfile("new").read()
                large = tar.extractfile("sparse")
                equal((large.seek(0, 2), large.seek(0), large.read(4)),
                      (10485760, 0, b"\0\0\0\0"), "the sparse file")
            equal(content, b"new\n", "a file")
            for mark in (".wh.gone", "old/.wh..wh..opq", ".wh.whole"):
                check(mark in members and members[mark].isreg() and members[mark].size == 0,
                      "%s is not in %s", mark, sorted(members))
            check("gone" not in members and "both" in members, "%s", sorted(members))
            links = {n for n in ("l1", "l2", "a/l3") if members[n].islnk()}
            equal(len(links), 2, "hard links: %s" % links)
            dated = members["dated"]
            equal((dated.mode, dated.mtime, dated.uid, dated.gid), (0o4755, 981173106, 0, 0),
                  "attributes of a file")
            equal((dated.uname, dated.gname), ("", ""), "names of its owner")
            check(os.stat(path).st_size < 1 << 20, "the holes are in the archive")
            case.delete(name)


def visible(case, words, suffix):
    """What a container sees: a tar of its root, made inside, by its busybox."""
    script = """cd /; busybox find . -xdev ! -type d ! -type p ! -type l | busybox sort |
        while read f; do busybox stat -c '%n %a %u %g %s %Y' "$f"; busybox md5sum <"$f"; done
        busybox find . -xdev -type d ! -name proc ! -name sys ! -name dev | busybox sort |
        while read f; do busybox stat -c '%n %a %u %g' "$f"; done
        busybox find . -xdev -type l | busybox sort | while read f; do busybox readlink "$f"; done"""
    return shell(case, words, script, suffix).out


def apply_layer(path, top):
    """A layer on a directory, with tar and the rules of the specification."""
    with tarfile.open(path) as tar:
        marks = [m.name for m in tar.getmembers() if os.path.basename(m.name).startswith(".wh.")]
        for member in tar.getmembers():
            at = os.path.join(top, member.name)
            if os.path.lexists(at) and os.path.isdir(at) != member.isdir():
                remove(at)
    for mark in marks:
        where, name = os.path.split(os.path.join(top, mark))
        if name == ".wh..wh..opq":
            for old in os.listdir(where) if os.path.isdir(where) else ():
                remove(os.path.join(where, old))
        else:
            remove(os.path.join(where, name[4:]))
    result = proc.run(["tar", "-x", "-p", "--numeric-owner", "--same-owner", "--xattrs",
                       "--xattrs-include=user.*", "--exclude=.wh.*", "--overwrite", "-f", path,
                       "-C", top])
    check(result.rc == 0, "%s", result)


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def apply_with_umoci(path, top):
    """The layer on the directory by way of an image."""
    if not shutil.which("umoci"):
        raise Skip("umoci is not installed")
    work = top + "-umoci"
    os.mkdir(work)
    for words in (["tar", "-C", top, "-cf", work + "/base.tar", "."],
                  ["umoci", "init", "--layout", work + "/image"],
                  ["umoci", "new", "--image", work + "/image:all"],
                  ["umoci", "raw", "add-layer", "--image", work + "/image:all", work + "/base.tar"],
                  ["umoci", "raw", "add-layer", "--image", work + "/image:all", path],
                  ["umoci", "unpack", "--image", work + "/image:all", work + "/bundle"]):
        result = proc.run(words)
        check(result.rc == 0, "%s", result)
    shutil.rmtree(top)
    os.rename(work + "/bundle/rootfs", top)


APPLY = {"tar": apply_layer, "umoci": apply_with_umoci}


@test(*APPLY)
def export_equals_the_view(tool):
    """Applied on a copy of the layers it is what the container saw, file for file."""
    with Case("root") as case:
        for kind in ("bounding", "effective", "permitted"):
            case.process["capabilities"][kind] += ["CAP_CHOWN", "CAP_FOWNER", "CAP_FSETID"]
        lower = layer_to_edit(case)
        kept = case.make_dir("kept", 0o700)
        script = RICH.replace("busybox rm kind; busybox mkdir kind", "echo z >kind") + \
            "busybox chown 5:7 dated l1; busybox chmod 4755 dated\n"
        live(case, options(case, kept, lower), script)
        tar, path = export(case)
        tar.close()
        case.delete()
        seen = visible(case, options(case, kept, lower), "seen")
        copy = case.make_dir("copy")
        for part in (lower, case.bundle.rootfs):
            equal(proc.run(["cp", "-a", part + "/.", copy]).rc, 0, "cp")
        APPLY[tool](path, copy)
        shutil.rmtree(case.bundle.rootfs)
        os.rename(copy, case.bundle.rootfs)
        equal(visible(case, [], "applied").splitlines(), seen.splitlines(), "the view")


@test(*MODES)
def export_has_attributes(mode):
    with Case(mode) as case:
        need_bryo("options of bryo")
        need_busybox()
        helper(case)
        if os.geteuid() != 0:
            raise Skip("sets attributes as root")
        kept = case.make_dir("kept", 0o700)
        prefix = "trusted" if mode == "root" else "user"
        live(case, options(case, kept), "echo x >file")
        os.setxattr(kept + "/upper/file", "user.mine", b"a\0b")
        os.setxattr(kept + "/upper/file", prefix + ".overlay.origin", b"secret")
        os.setxattr(kept + "/upper/file", prefix + ".overlay.overlay.opaque", b"y")
        tar, _ = export(case)
        with tar:
            headers = tar.getmember("file").pax_headers
        found = {k for k in headers if "xattr" in k}
        equal(found, {"SCHILY.xattr.user.mine", "SCHILY.xattr.%s.overlay.opaque" % prefix},
              "attributes")
        case.delete()


@test(*MODES)
def export_of_a_hostile_upper(mode):
    with Case(mode) as case:
        need_bryo("options of bryo")
        helper(case)
        out = canary(case)
        before = tree(out)
        script = r"""busybox ln -s %s link; busybox mkdir closed; echo x >closed/file
            busybox chmod 000 closed/file closed; busybox mkfifo fifo; echo x >"$(printf 'bad\377')"
            busybox truncate -s 1099511627776 huge; busybox ln -s / upper""" % out
        for number, upper in enumerate(uppers(case)):
            name = "h%d" % number
            live(case, options(case, upper), script, name)
            tar, path = export(case, name)
            with tar:
                members = {m.name: m for m in tar.getmembers()}
            check(members["link"].issym() and members["fifo"].isfifo() and
                  "closed/file" in members and members["huge"].size == 1 << 40, "%s", members)
            check(not [n for n in members if n.startswith("link/")], "a link was followed")
            check(os.stat(path).st_size < 1 << 20, "the holes are in the archive")
            case.delete(name)
        same(tree(out), before, "the canary")
        live(case, options(case, "tmpfs"), "echo x >.wh.file", "mark")
        out = case.make_dir("out")
        result = case.fails("export", case.id("mark"), out + "/layer.tar")
        contains(result.err, "/.wh.file", "error")
        equal(result.err.count("\n"), 1, "lines of the error: " + result.err)
        check(not os.listdir(out), "half an archive was left")
        case.delete("mark")


@test(*MODES)
def export_refuses_devices(mode):
    """In a user namespace nobody can have made them: somebody else did."""
    if os.geteuid() != 0:
        raise Skip("makes devices as root")
    with Case(mode) as case:
        helper(case)
        kept = case.make_dir("kept", 0o700)
        live(case, options(case, kept), ":")
        os.mknod(kept + "/upper/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        if mode == "root":
            tar, _ = export(case)
            with tar:
                check(tar.getmember("null").ischr(), "the device is not in the archive")
        else:
            result = case.fails("export", case.id(), case.make_dir("out") + "/x.tar")
            contains(result.err, "/null is a device", "error")
        case.delete()
