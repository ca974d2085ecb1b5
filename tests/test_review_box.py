# SPDX-License-Identifier: Apache-2.0
"""What a hostile review found about the box: who gets in, and what it is made of.

Each test failed before the hole was closed; test_review.py has the others.
"""

import json
import os
import signal

from lib import bundle, host, proc
from lib.attack import Racer, races, remove
from lib.bundle import bind, write
from lib.case import Case, need_bryo
from lib.check import Skip, check, contains, equal, test
from lib.view import seccomp
from test_join import handle, join, one_id, running
from test_mounts import mounted
from test_process import digest, install_thief, own_binary

MODES = ("root", "rootless")
BOXED = ("userns", "rootless", "ranges")
ATTEMPTS = 120
STRONG = ("CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH",
          "CAP_SYS_CHROOT")


def strengthen(case):
    for names in case.process["capabilities"].values():
        names += STRONG


# -- who is in the namespaces already --

def joins_intruder(case, strong):
    """A container that spins on whoever comes in; the next one joins it."""
    before = json.loads(json.dumps(case.config))
    if strong:
        strengthen(case)
    owner = running(case, ["/probe", "intrude"], "spy")
    case.bundle.config = before
    join(case, {kind: handle(owner, kind)
                for kind in ["pid"] + (["user"] if case.who.maps else [])})
    one_id(case)


def hits(case):
    """Lines `hit PID HOW EXECUTABLE` of the intruder, which is ended."""
    found = [line for line in case.read_output("spy").splitlines() if line.startswith("hit")]
    proc.descendants()  # reaps: else the namespace does not end
    case.delete("spy")
    return found


@test("root", "userns", "rootless", "ranges")
def nobody_gets_at_a_box_that_joins(mode):
    """Row join: neither traced nor opened while it comes in, nor while it waits."""
    with Case(mode) as case:
        joins_intruder(case, bool(case.who.maps))
        for _ in range(ATTEMPTS):
            case.create(["/probe", "exit", "0"])
            case.delete()
            proc.descendants()
        equal(hits(case)[:5], [], "what the process that was there got at")


@test("root", "userns", "rootless", "ranges")
def nobody_gets_at_the_stub(mode):
    """Row stub: without CAP_SYS_PTRACE nothing is had before the filter is there."""
    with Case(mode) as case:
        joins_intruder(case, False)
        case.linux["seccomp"] = seccomp()
        for _ in range(ATTEMPTS):
            result = case.run(["/probe", "exit", "0"])
            equal(result.rc, 0, "exit status: %s" % result)
        equal(hits(case)[:5], [], "what the process that was there got at")


# -- the executable of bryo --

def executable(case):
    """(device, inode) of what the process of a created container executes."""
    st = os.stat("/proc/%d/exe" % case.state()["pid"])
    return st.st_dev, st.st_ino


def is_a_copy(case, what):
    """`create`: the box that waits is bryo itself, from memory or a read-only view."""
    case.create(["/probe", "exit", "0"])
    st = os.stat(case.binary)
    path = "/proc/%d/exe" % case.state()["pid"]
    read_only = os.statvfs(path).f_flag & os.ST_RDONLY
    check(executable(case) != (st.st_dev, st.st_ino), "%s: it is the host's file", what)
    check("memfd:" in os.readlink(path) or read_only, "%s: it can be written to", what)
    case.delete()


@test("root", "rootless", "ranges")
def waiting_box_is_a_copy(mode):
    """CVE-2019-5736: where no stub hides bryo, what is to be seen is a copy."""
    need_bryo()
    for bits in (0o755, 0o555):
        with Case(mode) as case:
            # What its owner may not write he may chmod(2), and be root inside.
            case.binary = own_binary(case, bits)
            case.linux["seccomp"] = seccomp()
            case.process["noNewPrivileges"] = False
            is_a_copy(case, "early filter, %o" % bits)
    with Case(mode) as case:
        case.binary = own_binary(case, 0o755)
        owner = running(case, suffix="first")
        join(case, {kind: handle(owner, kind)
                    for kind in ["pid"] + (["user"] if case.who.maps else [])})
        one_id(case)
        is_a_copy(case, "joined namespaces")
        proc.descendants()
        case.delete("first")


def nested(case):
    """A bundle within the container, for a bryo that is executed there."""
    os.makedirs(case.bundle.inside("/nested/rootfs"))
    config = bundle.make_config(case.who, ["/probe", "echo", "nested"])
    config["root"]["path"] = "/"
    write(case.bundle.inside("/nested/config.json"), json.dumps(config))


@test("root", "userns", "rootless")
def proc_self_exe_is_not_bryo(mode):
    """Row stub: a payload that names it runs neither a bryo nor the stub's work."""
    need_bryo()
    with Case(mode) as case:
        nested(case)
        write(case.bundle.inside("/version"), "#!/proc/self/exe --version\n", 0o755)
        write(case.bundle.inside("/list"), "#!/proc/self/exe\n", 0o755)
        for args in (["/proc/self/exe", "--version"], ["/proc/self/exe", "features"],
                     ["/proc/self/exe", "--root", "/tmp/s", "run", "-b", "/nested", "n"],
                     ["/proc/self/exe", "3"], ["/proc/self/exe"], ["/version"], ["/list"]):
            result = case.run(args)
            check(result.rc > 0, "%s: %s", args, result)
            for word in ("bryo version", "ociVersionMax", "nested", "usage:"):
                check(word not in result.out + result.err, "%s: %s", args, result)


@test(*MODES)
def executable_is_safe_with_an_early_filter(mode):
    """CVE-2019-5736 where there is no stub: a sealed copy is all there is."""
    need_bryo()
    for bits in (0o755, 0o777):
        with Case(mode) as case:
            case.binary = own_binary(case, bits)
            case.linux["seccomp"] = seccomp()
            case.process["noNewPrivileges"] = False
            install_thief(case)
            before = digest(case.binary)
            for args in (["/proc/self/exe", "steal"], ["/script"],
                         ["/probe", "open", "w", "/proc/1/exe"]):
                result = case.run(args)
                check("WRITABLE" not in result.out, "%s: %s", args, result)
            equal(digest(case.binary), before, "the runtime's binary")


# -- the flags of the host's mounts --

def unlocks(case):
    """A payload with CAP_SYS_ADMIN in its user namespace takes flags off."""
    strengthen(case)
    os.makedirs(case.bundle.inside("/bound"))
    case.config["mounts"].append(bind(os.path.join(case.dir, "flagged"), "/bound", "rbind"))
    return case.run_ok(["/probe", "unlock", "/bound", "/bound/covered"]).out.splitlines()


@test(*BOXED)
def flags_of_the_hosts_mounts_are_locked(mode):
    """Row box-sources: ro, nosuid, nodev, noexec, and what submounts cover."""
    if os.geteuid() != 0:
        raise Skip("needs root to mount")
    bits = 1 | 2 | 4 | 8  # ro, nosuid, nodev, noexec
    with Case(mode) as case:
        path = os.path.join(case.dir, "flagged")
        with mounted(path):
            os.mkdir(os.path.join(path, "covered"))
            write(os.path.join(path, "covered/secret"), "secret\n")
            with mounted(os.path.join(path, "covered"), flags=bits):
                host._mount(None, path, None, 0x1000 | 0x20 | bits)
                case.before = host.Snapshot(case.marker, case.dir)
                lines = unlocks(case)
        case.before = host.Snapshot(case.marker, case.dir)
        equal(len(lines), 7, "tries")
        check(not any("UNLOCKED" in line for line in lines), "the payload: %s", lines)


@test("userns")
def sources_that_the_container_cannot_reach(mode):
    """Row sources: in a directory of another user, which root has named."""
    with Case(mode) as case:
        hidden = case.make_dir("hidden", 0o700, (12345, 12345))
        for name in ("tree", "tree/sub"):
            os.mkdir(os.path.join(hidden, name))
        write(os.path.join(hidden, "tree/file"), "from the host\n")
        write(os.path.join(hidden, "tree/sub/file"), "from below\n")
        for name in ("one", "all"):
            os.mkdir(case.bundle.inside(name))
        write(case.bundle.inside("single"), "")
        case.config["mounts"] += [
            bind(os.path.join(hidden, "tree"), "/one"),
            bind(os.path.join(hidden, "tree"), "/all", "rbind", "ro"),
            bind(os.path.join(hidden, "tree/file"), "/single")]
        for place, want in (("/one/file", "from the host\n"), ("/all/sub/file", "from below\n"),
                            ("/single", "from the host\n")):
            equal(case.run_ok(["/probe", "cat", place]).out, want, place)


# -- a rootfs that others change meanwhile --

class Flipper(Racer):
    """Makes and removes a link at the second place, which leads to the first."""

    def _swap(self):
        signal.alarm(0)
        target, place = self.paths
        while True:
            for change in (lambda: os.symlink(target, place), lambda: os.unlink(place),
                           lambda: os.rmdir(place)):
                try:
                    change()
                except OSError:
                    pass


def mount_lines(text):
    """[(id, parent, point, words of flags, type)] of a mountinfo."""
    found = []
    for line in text.splitlines():
        words, _, rest = line.partition(" - ")
        words = words.split()
        found.append((words[0], words[1], words[4], words[5].split(","), rest.split()[0]))
    return found


def check_covers(text, names, what):
    """Everything that there is to be covered is so, on the container's procfs."""
    lines = mount_lines(text)
    tops = [line for line in lines if line[4] == "proc" and
            not any(line[1] == other[0] and other[4] == "proc" for other in lines)]
    equal(len(tops), 1, "%s: procfs mounts in %s" % (what, text))
    seen = {}
    for line in lines:
        if line[1] == tops[0][0]:
            # Its name may have changed from one line of the table to the next.
            seen[line[2].split("/", 2)[-1]] = line[3]
    for name in names:
        check(name in seen, "%s: %s is not covered: %s", what, name, text)
        check("ro" in seen[name], "%s: %s is not read-only: %s", what, name, text)
    return tops[0]


def procfs_names(case):
    """What the config covers of procfs and this kernel has."""
    paths = case.linux["maskedPaths"] + case.linux["readonlyPaths"]
    names = [path[6:] for path in paths if path.startswith("/proc/") and os.path.exists(path)]
    check("kcore" in names or "keys" in names, "nothing to mask: %s", names)
    check("sys" in names, "nothing to make read-only: %s", names)
    return names


@test(*MODES)
def proc_is_renamed_meanwhile(mode):
    """Rows masked-paths and readonly-paths: they follow the mount, not the name."""
    started = 0
    with Case(mode) as case:
        names = procfs_names(case)
        os.mkdir(case.bundle.inside("/proc2"))
        if os.geteuid() == 0:
            bundle.chown_tree(case.bundle.inside("/proc2"), case.who.host_uid(0),
                              case.who.host_gid(0))
        with Racer(case.bundle.inside("/proc"), case.bundle.inside("/proc2")):
            for number in range(races() * 2):
                result = case.run(["/probe", "mountinfo", "/proc", "/proc2"])
                if result.rc == 0 and result.out:
                    check_covers(result.out, names, "run %d" % number)
                    started += 1
    check(started, "no run was ever successful")


@test(*MODES)
def proc_becomes_a_link_meanwhile(mode):
    """Row mounts: procfs is mounted on a real /proc, or nothing runs."""
    with Case(mode) as case:
        names = procfs_names(case)
        os.mkdir(case.bundle.inside("/x"))
        os.rmdir(case.bundle.inside("/proc"))
        with Flipper("/x", case.bundle.inside("/proc")):
            for number in range(races() * 2):
                result = case.run(["/probe", "mountinfo", "/proc", "/x"])
                # To remove the directory removes the mount with all on it: rmdir(2).
                if result.rc == 0 and " - proc " in result.out:
                    top = check_covers(result.out, names, "run %d" % number)
                    check(top[2].split("//")[0] != "/x", "procfs is at /x: %s", result.out)
        remove(case.bundle.inside("/proc"))


# -- the root of the container as a path in the config --

@test(*MODES)
def read_only_root_by_path(mode):
    """Row readonly-paths: "/" is all that is mounted, too."""
    with Case(mode) as case:
        os.mkdir(case.bundle.inside("/bound"))
        volume = case.make_dir("volume", 0o777)
        case.config["mounts"].append(bind(volume, "/bound"))
        for path in ("/new", "/tmp/new", "/bound/new", "/dev/shm/new", "/dev/new"):
            case.linux["readonlyPaths"] = []
            case.run_ok(["/probe", "write", path, "x"])
            case.linux["readonlyPaths"] = ["/"]
            contains(case.run_fails(["/probe", "write", path + "2", "x"]).err, "EROFS", path)


@test(*MODES)
def masked_root_is_refused(mode):
    """Row masked-paths: nothing would be left to run."""
    for path in ("/", "//", "/."):
        with Case(mode) as case:
            case.linux["maskedPaths"] = [path]
            result = case.run_fails(["/probe", "echo", "hello"])
            equal(result.out, "", "output with %s masked" % path)
            contains(result.err, "mask", path)


@test(*MODES)
def covers_of_paths_that_lead_out_of_a_mount(mode):
    """open_covered(): a link or ".." means what it means to the payload."""
    for way in ("/vol/absolute", "/vol/relative", "/proc/..%s", "/vol/sub/../..%s"):
        with Case(mode) as case:
            volume = case.make_dir("volume")
            os.mkdir(os.path.join(volume, "sub"))
            case.config["mounts"].append(bind(volume, "/vol"))
            for place, masked in (("/readonly-dir", False), ("/masked-dir", True)):
                for name, target in (("absolute", place), ("relative", ".." + place)):
                    remove(os.path.join(volume, name))
                    os.symlink(target, os.path.join(volume, name))
                path = way % place if "%" in way else way
                case.linux["maskedPaths"] = [path] if masked else []
                case.linux["readonlyPaths"] = [] if masked else [path]
                result = case.run_fails(["/probe", "write", place + "/new", "x"])
                contains(result.err, "EROFS", path)
                names = case.run_ok(["/probe", "ls", place]).out.split()
                equal("file" in names, not masked, "%s: %s" % (path, names))


@test(*MODES)
def mount_on_the_root(mode):
    """Row mounts: it is the root from there on."""
    with Case(mode) as case:
        rootfs = case.bundle.rootfs
        others = list(case.config["mounts"])
        case.config["mounts"] = [
            {"destination": "/", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
            bind(os.path.join(rootfs, "probe"), "/probe", "ro")] + others
        lines = mount_lines(case.run_ok(["/probe", "cat", "/proc/self/mountinfo"]).out)
        top = [line for line in lines if line[2] == "/"]
        equal([line[4] for line in top[-1:]], ["tmpfs"], "file system of the root")
        names = case.run_ok(["/probe", "ls", "/"]).out.split()
        check("probe" in names and "masked-file" not in names, "the root has %s", names)
        case.config["mounts"] = [bind(rootfs, "/", "ro")] + others
        case.run_ok(["/probe", "cat", "/masked-file"])
        contains(case.run_fails(["/probe", "write", "/new", "x"]).err, "EROFS", "bind, ro")


# -- paths in the config --

@test(*MODES)
def destination_that_is_too_long(mode):
    """path.c: a name of more than 255 bytes is no name, at any place."""
    for path in ("/" + "x" * 300, "/tmp/" + "x" * 300 + "/y", "/tmp/y/" + "x" * 256):
        for mount in ({"destination": path, "type": "tmpfs", "source": "tmpfs"},
                      bind("/etc", path), {"destination": path, "type": "proc"}):
            with Case(mode) as case:
                case.config["mounts"].append(mount)
                before = sorted(os.listdir(case.bundle.inside("/tmp")))
                result = case.run_fails(["/probe", "echo", "hello"])
                equal(result.out, "", "output")
                equal([n for n in os.listdir(case.bundle.inside("/tmp"))
                       if n not in before and len(n) > 1], [], "names in /tmp")


@test(*MODES)
def rootfs_is_a_link_with_a_slash(mode):
    """Row sources: a slash at the end does not make a link a directory."""
    for path in ("link/", "link//", "link"):
        with Case(mode) as case:
            os.symlink("rootfs", os.path.join(case.bundle.path, "link"))
            case.config["root"]["path"] = path
            result = case.run_fails(["/probe", "echo", "hello"])
            equal(result.out, "", "output with " + path)
