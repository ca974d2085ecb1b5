# SPDX-License-Identifier: Apache-2.0
"""Path attacks: an image, or a neighbour, that leads the runtime outside.

The numbers are those of the list of escape classes: P1 to P16 and P19.  The
frame of each: a canary tree outside of the bundle; either the runtime refuses
with a message, or the container is confined; the canary is never touched.
"""

import json
import os
import socket
import stat

from lib import bundle
from lib.attack import Canary, Racer, links_to, peer, races, remove
from lib.bundle import bind, drop_mount, write
from lib.case import Case, kind, need_bryo
from lib.check import Failed, check, contains, equal, fail, test
from lib.host import cgroup2_view, difference, tree

MODES = ("root", "userns", "rootless")
#: What a runtime touches while it makes a container.
TOUCHED = ("/proc", "/sys", "/dev", "/tmp", "/etc", "/work", "/masked-dir", "/readonly-dir")


def attempt(case, canary, what, args=("/probe", "echo", "hello"), **kwargs):
    """Run; refused with words or confined, and the canary as it was."""
    result = case.run(args, **kwargs)
    check(result.rc >= 0, "%s: the runtime died: %s", what, result)
    check(result.rc == 0 or result.err.strip(), "%s: failed without a word", what)
    canary.check(what)
    return result


def rearrange(case):
    """A config that uses all of the touched paths."""
    case.process["cwd"] = "/work"
    case.config["mounts"] += [
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/etc/deep/er", "type": "tmpfs", "source": "tmpfs"}]
    case.linux["maskedPaths"] += ["/masked-dir", "/masked-file"]
    case.linux["readonlyPaths"] += ["/readonly-dir"]


def p1(place, how, mode):
    with Case(mode) as case:
        canary = Canary(case)
        rearrange(case)
        remove(case.bundle.inside(place))
        links_to(case.bundle.rootfs, place, canary.path)[how]()
        result = attempt(case, canary, "%s as %s link" % (place, how))
        if place in ("/proc", "/sys") and kind() == "bryo":
            check(result.rc > 0, "%s is a link and was taken: %s", place, result)
            contains(result.last_error(), place, "error")


@test(*MODES)
def p1_links_at_touched_paths(mode):
    """P1, P5, P6, P20: every path that the runtime touches is a link."""
    wrong = []
    for place in TOUCHED:
        for how in ("absolute", "climbing", "chain of 2", "chain of 41", "loop", "magic"):
            try:
                p1(place, how, mode)
            except Failed as why:
                wrong.append("%s %s: %s" % (place, how, why))
    check(not wrong, "%d of them: %s", len(wrong), " | ".join(wrong[:6]))


def fake_proc(case, canary):
    """An image whose /proc is a directory full of traps."""
    top = case.bundle.inside("/proc")
    for name in ("self/attr", "self/fd", "self/ns", "thread-self/attr", "1", "sys/net/ipv4",
                 "sys/kernel"):
        os.makedirs(os.path.join(top, name))
    for name in ("self/attr/exec", "self/attr/keycreate", "thread-self/attr/exec",
                 "self/oom_score_adj", "self/setgroups", "self/uid_map", "self/loginuid",
                 "sys/net/ipv4/ip_unprivileged_port_start", "sys/kernel/hostname"):
        write(os.path.join(top, name), "fake\n", 0o666)
    for number in range(64):
        os.symlink(canary / "file", os.path.join(top, "self/fd", str(number)))
    os.symlink("self", os.path.join(top, "2"))
    if os.geteuid() == 0:
        bundle.chown_tree(top, case.who.host_uid(0), case.who.host_gid(0))
    return tree(top)


@test(*MODES)
def p2_fake_proc(mode):
    """P2: nothing is written to, or believed of, a /proc that is no procfs."""
    with Case(mode) as case:
        canary = Canary(case)
        drop_mount(case.config, "/proc")
        case.linux["maskedPaths"] = case.linux["readonlyPaths"] = []
        case.process["oomScoreAdj"] = 300
        before = fake_proc(case, canary)
        fds = [os.open("/", os.O_RDONLY), os.open("/etc", os.O_PATH)]
        try:
            result = attempt(case, canary, "fake /proc", ["/probe", "fds"], pass_fds=fds)
        finally:
            for fd in fds:
                os.close(fd)
        changed = difference(before, tree(case.bundle.inside("/proc")))
        equal(changed, [], "changes in the fake /proc")
        if result.rc == 0:
            equal(result.out, "0\n1\n2\n", "descriptors")


@test(*MODES)
def p2_mounts_over_proc(mode):
    """P2: a tmpfs over /proc, a bind over /proc/self/attr."""
    with Case(mode) as case:
        canary = Canary(case)
        volume = case.make_dir("volume", 0o777)
        write(os.path.join(volume, "exec"), "", 0o666)
        for extra in ([{"destination": "/proc", "type": "tmpfs", "source": "tmpfs"}],
                      [bind(volume, "/proc/self/attr")],
                      [bind(volume, "/proc/sys/net/ipv4")]):
            mounts = list(case.config["mounts"])
            case.config["mounts"] += extra
            result = attempt(case, canary, "mount %r" % extra, ["/probe", "fds"])
            case.config["mounts"] = mounts
            if result.rc == 0:
                equal(result.out, "0\n1\n2\n", "descriptors")
        with open(os.path.join(volume, "exec")) as file:
            equal(file.read(), "", "what was written to the fake attribute")


def race(case, canary, what, first, second):
    # Without the race it must work, or the refusals below prove nothing.
    before = attempt(case, canary, what + ", no race")
    check(before.rc == 0, "%s: not even without the race: %s", what, before)
    with Racer(first, second):
        for number in range(races()):
            attempt(case, canary, what, suffix="r%d" % number)


@test(*MODES)
def p3_race_at_a_mount_point(mode):
    """P3: a mount point swapped with a link to the canary while it is used."""
    for place in ("/proc", "/work"):
        with Case(mode) as case:
            canary = Canary(case)
            twin = case.bundle.inside(place + "-twin")
            os.symlink(canary.path, twin)
            if place == "/work":
                case.config["mounts"].append(
                    {"destination": place, "type": "tmpfs", "source": "tmpfs"})
            race(case, canary, "race at " + place, case.bundle.inside(place), twin)


@test(*MODES)
def p4_race_at_a_bind_destination(mode):
    """P4: the first destination becomes a link, the second mount uses it."""
    with Case(mode) as case:
        canary = Canary(case)
        volume = case.make_dir("volume", 0o777)
        os.makedirs(os.path.join(volume, "a"))
        if os.geteuid() == 0:
            bundle.chown_tree(volume, case.who.host_uid(0), case.who.host_gid(0))
        os.symlink("../" * 40 + canary.path.lstrip("/"), os.path.join(volume, "b"))
        os.mkdir(case.bundle.inside("/vol"))
        case.config["mounts"] += [
            bind(volume, "/vol"), {"destination": "/vol/a", "type": "tmpfs", "source": "t"},
            {"destination": "/vol/a/x/y", "type": "tmpfs", "source": "t"}]
        race(case, canary, "race in a volume", os.path.join(volume, "a"),
             os.path.join(volume, "b"))


@test(*MODES)
def p5_links_within_the_image(mode):
    """P5: /proc -> proc2 stays inside, and is refused by name all the same."""
    for place in ("/proc", "/sys"):
        with Case(mode) as case:
            canary = Canary(case)
            os.rename(case.bundle.inside(place), case.bundle.inside(place + "2"))
            os.symlink(place.lstrip("/") + "2", case.bundle.inside(place))
            result = attempt(case, canary, place)
            check(result.rc > 0, "%s: %s", place, result)
            contains(result.last_error(), place, "error")


@test(*MODES)
def p5_files_at_mount_points(mode):
    """P5: /proc as a file, a fifo or a socket."""
    for place in ("/proc", "/sys"):
        with Case(mode) as case:
            canary = Canary(case)
            path = case.bundle.inside(place)
            for make in (lambda: write(path, "x"), lambda: os.mkfifo(path)):
                remove(path)
                make()
                result = attempt(case, canary, place)
                check(result.rc > 0, "%s: %s", place, result)


@test("rootless", "ranges")
def p7_cgroups_are_not_writable(mode):
    """P7: no cgroup directory can be made inside, however /sys came there."""
    for space in (True, False):
        for sys in ("rbind", "sysfs", "cgroup"):
            with Case(mode) as case:
                if not space:
                    bundle.drop_namespace(case.config, "cgroup")
                if sys == "rbind":
                    drop_mount(case.config, "/sys")
                    case.config["mounts"].append(
                        {"destination": "/sys", "type": "none", "source": "/sys",
                         "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]})
                if sys == "cgroup":
                    case.config["mounts"].append(
                        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                         "options": ["nosuid", "noexec", "nodev", "ro"]})
                for place in ("/sys/fs/cgroup/x", "/sys/fs/cgroup/unified/x",
                              "/sys/fs/cgroup/user.slice/x"):
                    result = case.run(["/probe", "mkdir", place])
                    check(result.rc != 0, "cgroupns %s, /sys %s: made %s", space, sys, place)


@test(*MODES)
def p8_race_at_missing_parents(mode):
    """P8: a parent of a destination that must be made is swapped."""
    for depth in (1, 4):
        with Case(mode) as case:
            canary = Canary(case)
            os.makedirs(case.bundle.inside("/vol/p"), exist_ok=True)
            os.chmod(case.bundle.inside("/vol"), 0o777)
            if os.geteuid() == 0:
                bundle.chown_tree(case.bundle.inside("/vol"), case.who.host_uid(0),
                                  case.who.host_gid(0))
            os.symlink(canary.path, case.bundle.inside("/vol/q"))
            case.config["mounts"].append(
                {"destination": "/vol/p" + "/n" * depth, "type": "tmpfs", "source": "t"})
            race(case, canary, "depth %d" % depth, case.bundle.inside("/vol/p"),
                 case.bundle.inside("/vol/q"))


def _fake_nulls(case, canary, path):
    """Ways to have another /dev/null: {name: function}."""
    def make_socket():
        # Relative, since the whole path may be longer than an address.
        here = os.open(".", os.O_RDONLY)
        os.chdir(os.path.dirname(path))
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(os.path.basename(path))
        os.fchdir(here)
        os.close(here)
    found = {"link": lambda: os.symlink(canary / "core_pattern", path),
             "climbing link": lambda: os.symlink("../" * 40 + (canary / "file").lstrip("/"),
                                                 path),
             # A runtime with the hole writes there: the name must be the container's own.
             "link to procfs": lambda: os.symlink("/proc/sys/kernel/domainname", path),
             "file": lambda: write(path, "secret\n"), "fifo": lambda: os.mkfifo(path),
             "socket": make_socket, "directory": lambda: os.mkdir(path)}
    if case.who.mode == "root":
        found["zero"] = lambda: os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    return found


@test(*MODES)
def p9_another_dev_null(mode):
    """P9: masks are made from the real null device, or the run is refused."""
    for mounted in (False, True):
        with Case(mode) as case:
            canary = Canary(case)
            drop_mount(case.config, "/dev")
            if mounted:
                case.config["mounts"].append(bind(case.bundle.inside("/dev"), "/dev"))
            case.linux["maskedPaths"] += ["/masked-file"]
            path = case.bundle.inside("/dev/null")
            for name, make in _fake_nulls(case, canary, path).items():
                remove(path)
                make()
                result = attempt(case, canary, name, ["/probe", "facts"])
                if result.rc == 0:
                    check_masked(result, name)


def check_masked(result, what):
    check(result.out, "%s: no report: %s", what, result)
    paths = json.loads(result.out)["paths"]
    seen = paths["/masked-file"]
    check(seen["bytes"] <= 0, "%s: the mask can be read: %r", what, seen)
    equal((seen["type"], seen.get("major"), seen.get("minor")), ("char", 1, 3), what)


@test("root", "userns", "rootless")
def p11_sysctl_is_written_to_procfs(mode):
    """P11: a bind over the sysctl file does not get the write."""
    with Case(mode) as case:
        canary = Canary(case)
        name = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
        case.linux["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "77"}
        case.config["mounts"].append(bind(canary / "file", name))
        attempt(case, canary, "bind over the sysctl")


def link_dev(case, canary, how, with_mount):
    """P12, P13: the image's /dev is a link to the canary."""
    if not with_mount:
        drop_mount(case.config, "/dev")
    remove(case.bundle.inside("/dev"))
    target = canary.path if how == "absolute" else "../" * 40 + canary.path.lstrip("/")
    os.symlink(target, case.bundle.inside("/dev"))


@test(*MODES)
def p12_dev_is_a_link(mode):
    """P12, P13: no device, link or ptmx is made or removed outside."""
    for how in ("absolute", "climbing"):
        for with_mount in (True, False):
            with Case(mode) as case:
                canary = Canary(case)
                link_dev(case, canary, how, with_mount)
                attempt(case, canary, "%s, mount %s" % (how, with_mount))


def control(name, versions, with_mount):
    """Does the peer with the hole fall for it?  If not, the test is blind."""
    path = peer(name, versions)
    with Case("root", runtime=path) as case:
        canary = Canary(case)
        link_dev(case, canary, "absolute", with_mount)
        view = {} if name == "runc" else {"preexec_fn": cgroup2_view}
        result = case.run(["/probe", "echo", "hello"], **view)
        check(canary.changes(), "%s left the canary alone: %s", name, result)


@test()
def p12_control_runc():
    """The control of P12: runc 1.1.5 makes links through the link."""
    control("runc", ("1.1.5",), False)


@test()
def p13_control_crun():
    """The control of P13: crun 1.8.1 makes devices through the link."""
    control("crun", ("1.8.1",), False)


@test(*MODES)
def p12_entries_of_dev_are_links(mode):
    """P6, P12: without a /dev mount, the names in it lead outside."""
    for name in ("null", "zero", "ptmx", "fd", "stdin", "pts", "shm", "console", "tty"):
        with Case(mode) as case:
            canary = Canary(case)
            for place in ("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"):
                drop_mount(case.config, place)
            target = canary / (name if os.path.exists(canary / name) else "new-" + name)
            os.symlink(target, case.bundle.inside("/dev/" + name))
            attempt(case, canary, "/dev/%s" % name)


@test(*MODES)
def p14_dev_console(mode):
    """P14: /dev/console as link, dangling link, fifo and directory."""
    for terminal in (False, True):
        for what in ("link", "dangling", "fifo", "directory"):
            with Case(mode) as case:
                canary = Canary(case)
                drop_mount(case.config, "/dev")
                case.process["terminal"] = terminal
                path = case.bundle.inside("/dev/console")
                {"link": lambda: os.symlink(canary / "console", path),
                 "dangling": lambda: os.symlink(canary / "new", path),
                 "fifo": lambda: os.mkfifo(path),
                 "directory": lambda: os.mkdir(path)}[what]()
                attempt(case, canary, "%s, terminal %s" % (what, terminal))


@test(*MODES)
def p15_streams_are_left_alone(mode):
    """P15: /dev/null leads to a host's file; the streams stay what they were."""
    with Case(mode) as case:
        canary = Canary(case)
        os.symlink("/bound/file", case.bundle.inside("/dev/null"))
        os.mkdir(case.bundle.inside("/bound"))
        drop_mount(case.config, "/dev")
        case.config["mounts"].append(bind(canary.path, "/bound"))
        path = os.path.join(case.dir, "output")
        with open(path, "wb") as file, open(os.devnull) as null:
            case.save(["/probe", "stdio"])
            result = case.call("run", "-b", case.bundle.path, case.id(), stdin=null, stdout=file)
            want = os.fstat(file.fileno())
        canary.check("streams")
        if result.rc == 0:
            with open(path) as file:
                lines = file.read().split()
            equal(lines[0].split(":")[:2], ["%o" % stat.S_IFCHR, str(os.makedev(1, 3))], "stdin")
            equal(lines[1].split(":")[3], str(want.st_ino), "inode of stdout")


@test(*MODES)
def p16_readonly_with_a_fake_proc(mode):
    """P16: what is asked read-only is so, whatever the image has at /proc."""
    with Case(mode) as case:
        canary = Canary(case)
        volume = case.make_dir("volume", 0o777)
        write(os.path.join(volume, "file"), "x", 0o666)
        fake_proc(case, canary)
        drop_mount(case.config, "/proc")
        os.mkdir(case.bundle.inside("/bound"))
        case.config["root"]["readonly"] = True
        case.config["mounts"].append(bind(volume, "/bound", "ro"))
        case.linux["maskedPaths"], case.linux["readonlyPaths"] = [], ["/readonly-dir"]
        for path in ("/new", "/bound/file", "/bound/new", "/readonly-dir/file"):
            result = attempt(case, canary, path, ["/probe", "write", path, "x"])
            check(result.rc != 0, "%s was written", path)


@test("rootless", "ranges")
def p19_helpers_are_not_searched(mode):
    """P19: newuidmap and others come from a fixed place, not from PATH."""
    need_bryo("crun and runc search PATH")
    with Case(mode) as case:
        evil = case.make_dir("evil", 0o777)
        for name in ("newuidmap", "newgidmap", "ip", "tar", "sh", "mount", "true"):
            write(os.path.join(evil, name), "#!/bin/sh\n: >%s/%s.ran\nexit 1\n" % (evil, name),
                  0o755)
        result = case.run(["/probe", "echo", "hello"], env={"PATH": evil})
        equal(sorted(n for n in os.listdir(evil) if n.endswith(".ran")), [], "helpers that ran")
        equal(result.out, "hello\n", "output: %s" % result.err)


@test(*MODES)
def p24_state_directory_is_a_link(mode):
    """P24: --root that another user could have made is refused, or not followed."""
    with Case(mode) as case:
        canary = Canary(case)
        os.symlink(canary.path, os.path.join(case.root, case.id()))
        result = case.run(["/probe", "echo", "hello"])
        check(result.rc > 0, "a state directory that is a link was used: %s", result)
        canary.check("state directory as a link")
        case.call("delete", "--force", case.id())
        canary.check("delete of a link")
        remove(os.path.join(case.root, case.id()))


@test("root")
def p26_the_hosts_propagation(mode):
    """P26: without a mount namespace: refused, or the host is unchanged."""
    with Case(mode) as case:
        bundle.drop_namespace(case.config, "mount")
        case.config["mounts"] = []
        case.linux["maskedPaths"] = case.linux["readonlyPaths"] = []
        result = case.run(["/probe", "echo", "hello"])
        if result.rc == 0 and "hello" not in result.out:
            fail("%s", result)
