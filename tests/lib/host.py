# SPDX-License-Identifier: Apache-2.0
"""The host: its preparation for the tests, and proof that nothing was left."""

import contextlib
import ctypes
import os
import stat
import time

from . import check, proc

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE, MS_SHARED = 0x4000, 1 << 18, 1 << 20
KEYCTL_JOIN_SESSION_KEYRING, KEYCTL_GET_KEYRING_ID = 1, 0
KEY_SPEC_SESSION_KEYRING = -3
SYS_KEYCTL = {"x86_64": 250, "aarch64": 219}

#: Set by isolate(): only we change the mount table, /tmp and /dev/shm.
isolated = False


def _mount(source, target, fstype, flags, data=None):
    encode = lambda s: s.encode() if s is not None else None
    if proc.LIBC.mount(encode(source), target.encode(), encode(fstype),
                       ctypes.c_ulong(flags), encode(data)) != 0:
        num = ctypes.get_errno()
        raise OSError(num, "mount %s on %s: %s" % (fstype, target, os.strerror(num)))


@contextlib.contextmanager
def late_mount(path):
    """A mount on the host while the container runs; gone at the end."""
    _mount("late", path, "tmpfs", 0, "mode=755")
    try:
        yield
    finally:
        proc.LIBC.umount2(path.encode(), 2)


def make_shared(path):
    """A mount point of its own, in a peer group: what is leaked shows."""
    _mount("bryo-tests", path, "tmpfs", 0, "mode=755")
    _mount(None, path, None, MS_SHARED)


def isolate(keep=()):
    """As root: a mount namespace of our own, with fresh /tmp and /dev/shm.

    Then every difference in the mount table and in those directories is ours.
    Paths that the tests need and that lie there are kept in sight.
    """
    global isolated
    if os.geteuid() != 0:
        return
    if proc.LIBC.unshare(CLONE_NEWNS) != 0:
        return
    # Away from the host's peer groups, and into groups of our own: as under
    # systemd, a runtime that forgets to make its mounts private leaks them.
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    _mount(None, "/", None, MS_REC | MS_SHARED)
    for path in ("/tmp", "/dev/shm"):
        if os.path.isdir(path) and not any(k.startswith(path + "/") for k in keep):
            _mount("bryo-tests", path, "tmpfs", 0, "mode=1777")
    if os.environ.get("BRYO_TESTS_CGROUP2"):
        show_cgroup2()
    isolated = True


def show_cgroup2():
    """For a runtime that refuses hybrid hosts: a pure cgroup v2."""
    _mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0)


def cgroup2_view():
    """The same for one child only, as its preexec_fn."""
    proc.LIBC.unshare(CLONE_NEWNS)
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    show_cgroup2()


def sacrifice(func):
    """Call func() in a child whose mount namespace may be ruined.

    All of its mounts are shared, among themselves.  Returns what differs in
    its mount table afterwards; the file is open before, since /proc may go.
    """
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(theirs, "\n".join(_sacrificed(func)).encode()[:4096])
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        text = pipe.read().decode()
    os.waitpid(pid, 0)
    return text.splitlines()


def _sacrificed(func):
    proc.LIBC.unshare(CLONE_NEWNS)
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    _mount(None, "/", None, MS_REC | MS_SHARED)
    with open("/proc/self/mountinfo") as table:
        before = table.read().splitlines()
        try:
            func()
        except (check.Failed, OSError) as why:
            return ["the call failed: %s" % check.one_line(why)]
        table.seek(0)
        after = table.read().splitlines()
    return sorted(set(before) ^ set(after))


def keyctl(*args):
    number = SYS_KEYCTL.get(os.uname().machine)
    if number is None:
        return -1
    return proc.LIBC.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in args])


def join_new_keyring():
    """So that "the container has another session keyring" means something."""
    keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0)


def session_keyring():
    return keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0)


def namespaces():
    found = {}
    for name in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"):
        try:
            found[name] = os.readlink("/proc/self/ns/" + name)
        except OSError:
            found[name] = None
    return found


def _read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def mount_table(below=None):
    """{(id, mount point): whole line}; only those below a path if given."""
    found = {}
    for line in _read("/proc/self/mountinfo").splitlines():
        words = line.split(" ")
        if below is None or words[4].startswith(below):
            found[words[0], words[4]] = line
    return found


def cgroups_named(part):
    """Cgroup directories whose name has `part` in it, in every hierarchy."""
    found = []
    for top, dirs, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(top, name) for name in dirs if part in name]
    return found


def remove_cgroups(paths):
    """Children first."""
    for path in sorted(paths, key=len, reverse=True):
        try:
            os.rmdir(path)
        except OSError:
            pass


def _names(path):
    try:
        return set(os.listdir(path))
    except OSError:
        return set()


def _sysv_ipc():
    found = set()
    for kind in ("shm", "sem", "msg"):
        for line in _read("/proc/sysvipc/" + kind).splitlines()[1:]:
            words = line.split()
            found.add((kind, words[0], words[1]))
    return found


def tree(path):
    """{relative path: (type and mode, owner, group, device, size, mtime, text)}.

    The digest of a canary: any change shows.
    """
    found = {}
    for top, dirs, files in os.walk(path):
        for name in ["."] + dirs + files:
            full = os.path.join(top, name)
            st = os.lstat(full)
            found[os.path.relpath(full, path)] = (
                oct(st.st_mode), st.st_uid, st.st_gid, st.st_rdev, st.st_ino,
                st.st_size if stat.S_ISREG(st.st_mode) else 0, st.st_mtime_ns,
                _content(full, st))
    return found


def _content(path, st):
    if stat.S_ISLNK(st.st_mode):
        return os.readlink(path)
    if stat.S_ISREG(st.st_mode) and st.st_size < 1 << 20:
        with open(path, "rb") as file:
            return file.read()
    return None


def difference(before, after):
    """The keys that differ between two dictionaries, as readable text."""
    lines = []
    for key in sorted(set(before) | set(after), key=str):
        if before.get(key) != after.get(key):
            lines.append("%s: %r -> %r" % (key, before.get(key), after.get(key)))
    return lines


#: What an escape through /proc would write to: part of the snapshot.
SETTINGS = ["/proc/sys/kernel/" + name for name in (
    "core_pattern", "modprobe", "panic", "sysrq", "hostname", "domainname")]
SETTINGS.append("/proc/sys/net/ipv4/ip_unprivileged_port_start")


def settings():
    return {path: _read(path) for path in SETTINGS if os.path.exists(path)}


def restore_settings(want):
    for path, text in want.items():
        if _read(path) != text:
            with open(path, "w") as file:
                file.write(text)


class Snapshot:
    """The host at one moment, for what a container run could leave behind."""

    def __init__(self, marker, base):
        self.marker = marker
        self.below = None if isolated else base
        self.mounts = mount_table(self.below)
        self.processes = set(proc.descendants())
        self.ipc = _sysv_ipc()
        self.tmp = {path: self._tmp(path) for path in ("/tmp", "/dev/shm")}
        self.run = self._run()
        self.settings = settings()

    def _tmp(self, path):
        names = _names(path)
        if isolated:
            return names
        return {n for n in names if "bryo" in n or self.marker in n}

    @staticmethod
    def _run():
        return {n for n in _names("/run") if "bryo" in n}

    def leftovers(self, state_dirs=()):
        """Everything that was not there before, as lines of text."""
        left = ["mount " + line for line in
                difference(self.mounts, mount_table(self.below))]
        left += ["setting " + line for line in difference(self.settings, settings())]
        left += ["process " + proc.describe(pid) for pid in self.new_processes()]
        left += ["cgroup " + path for path in cgroups_named(self.marker)]
        left += ["ipc %s %s" % (kind, ident) for kind, _, ident in _sysv_ipc() - self.ipc]
        for path, names in self.tmp.items():
            left += ["file %s/%s" % (path, name) for name in self._tmp(path) - names]
        left += ["file /run/" + name for name in self._run() - self.run]
        for path in state_dirs:
            left += ["state %s/%s" % (path, name) for name in sorted(_names(path))]
        return left

    def new_processes(self):
        return [pid for pid in proc.descendants() if pid not in self.processes]

    def assert_nothing_left(self, state_dirs=(), seconds=2.0, what="host"):
        """A dying process and its cgroup may take a moment to go."""
        end = time.monotonic() + seconds
        left = self.leftovers(state_dirs)
        while left and time.monotonic() < end:
            time.sleep(0.01)
            left = self.leftovers(state_dirs)
        if left:
            self.sweep()
            check.fail("%s: left behind: %s", what, "; ".join(left[:8]))

    def sweep(self):
        """Clear up after a failure, so that later tests can be trusted."""
        proc.kill_leftovers(self.new_processes())
        remove_cgroups(cgroups_named(self.marker))
        if os.geteuid() == 0:
            restore_settings(self.settings)
        if isolated:
            for key in sorted(set(mount_table()) - set(self.mounts), reverse=True):
                proc.LIBC.umount2(key[1].encode(), 2)
