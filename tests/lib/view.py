# SPDX-License-Identifier: Apache-2.0
"""Views: the probe's report, together with the config that was asked for."""

import os
import resource
import signal

from . import bundle, check, host
from .case import Case, kind

#: What the named peer does not have; bryo has everything.
LACKS = {
    "runc": {"domainname", "time", "cgroup2", "groups", "private"},
    "crun": {"time"},
    "youki": {"time"},
}
CALLER_UMASK = 0o077
SECRET = "BRYO_TESTS_SECRET"
SECCOMP_ERRNO = 99  # EADDRNOTAVAIL: nothing else answers sethostname so
HOST_RLIMITS = {"CORE": resource.RLIMIT_CORE, "CPU": resource.RLIMIT_CPU,
                "DATA": resource.RLIMIT_DATA, "AS": resource.RLIMIT_AS,
                "RSS": resource.RLIMIT_RSS, "MEMLOCK": resource.RLIMIT_MEMLOCK}


def has(feature):
    return feature not in LACKS.get(kind(), ())


def need(feature):
    if not has(feature):
        raise check.Skip("%s has no %s" % (kind(), feature))


class View:
    """One run of the probe: what it saw, what was asked, who asked."""

    def __init__(self, case, report, caller):
        self.report = report
        self.config = case.config
        self.process = case.process
        self.linux = case.linux
        self.who = case.who
        self.marker = case.marker
        self.rootfs = case.bundle.rootfs
        self.caller = caller

    def mount(self, point):
        """The topmost mount at a mount point."""
        found = [m for m in self.report["mounts"] if m["point"] == point]
        check.check(found, "nothing is mounted on %s", point)
        return found[-1]

    def path(self, path):
        return self.report["paths"][path]


def seccomp():
    arch = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64",
            "riscv64": "SCMP_ARCH_RISCV64"}.get(os.uname().machine)
    rules = {"defaultAction": "SCMP_ACT_ALLOW",
             "syscalls": [{"names": ["sethostname"], "action": "SCMP_ACT_ERRNO",
                           "errnoRet": SECCOMP_ERRNO}]}
    if arch:
        rules["architectures"] = [arch]
    return rules


def _process(case):
    process = case.process
    process["env"] = [bundle.PATH, "HOME=/work", "A=1", "B=two  words", "EMPTY=", "C==\t\u00e9"]
    process["args"] = ["/probe", "probe", "", "two words", "\u00e9"]
    process["cwd"] = "/work"
    process["user"] = {"uid": 0, "gid": 0, "umask": 0o027}
    if case.who.many_ids:
        process["user"].update(uid=1000, gid=1001, additionalGids=[])
    if case.who.privileged or (case.who.many_ids and has("groups")):
        process["user"]["additionalGids"] = [2000, 2001]
    process["oomScoreAdj"] = 321
    process["capabilities"] = {
        "bounding": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
        "permitted": ["CAP_KILL", "CAP_NET_BIND_SERVICE"],
        "effective": ["CAP_KILL"],
        "inheritable": ["CAP_NET_BIND_SERVICE"],
        "ambient": ["CAP_NET_BIND_SERVICE"],
    }
    process["rlimits"] = [
        {"type": "RLIMIT_" + name, "soft": soft, "hard": hard} for name, soft, hard in (
            ("NOFILE", 512, 1024), ("FSIZE", 1 << 30, 1 << 31), ("MSGQUEUE", 4096, 8192),
            ("SIGPENDING", 100, 200), ("STACK", 4 << 20, 16 << 20), ("NPROC", 5000, 6000),
            ("LOCKS", 10, 20), ("NICE", 0, 0), ("RTPRIO", 0, 0), ("RTTIME", 10 ** 6, 2 * 10 ** 6))]


def _mounts(case):
    source = case.make_dir("source")
    bundle.write(os.path.join(source, "file"), "from the host\n")
    for name in ("bound", "bound-rw"):
        os.mkdir(case.bundle.inside(name))
    bundle.write(case.bundle.inside("bound-file"), "")
    case.config["mounts"] += [
        {"destination": "/work", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "nodev", "noexec", "noatime", "mode=0755", "size=1048576"]},
        bundle.bind(source, "/bound", "ro", "nosuid", "nodev", "noexec"),
        bundle.bind(source, "/bound-rw", "nodev"),
        bundle.bind(os.path.join(source, "file"), "/bound-file", "ro"),
    ]
    if has("cgroup2"):
        case.config["mounts"].append(
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]})


def _task(case):
    """How the kernel treats the process; the peers here are too old for some."""
    case.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 5}
    case.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}
    case.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0",
                                  "flags": ["MPOL_F_STATIC_NODES"]}
    case.linux["personality"] = {"domain": "LINUX32"}


def rich(case):
    """A config in which every row of the step table has something to do."""
    _process(case)
    _mounts(case)
    case.config["root"]["readonly"] = True
    case.config["hostname"] = "box-name"
    case.config["domainname"] = "box.domain"
    if kind() == "bryo":
        _task(case)
    linux = case.linux
    linux["rootfsPropagation"] = "private"
    linux["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "77"}
    linux["maskedPaths"] += ["/masked-file", "/masked-dir", "/not-there"]
    linux["readonlyPaths"] += ["/readonly-dir", "/not-there"]
    linux["seccomp"] = seccomp()
    if has("time"):
        linux["namespaces"].append({"type": "time"})
        linux["timeOffsets"] = {"monotonic": {"secs": 1000000, "nanosecs": 0},
                                "boottime": {"secs": 2000000, "nanosecs": 5}}
    if case.who.privileged and kind() == "bryo":
        linux["cgroupsPath"] = "/%s-cgroup/box" % case.marker
        linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    if case.who.mode == "root":
        linux["devices"] = [{"path": "/dev/extra", "type": "c", "major": 1, "minor": 3,
                             "fileMode": 0o640, "uid": 1000, "gid": 1001},
                            {"path": "/dev/sub/pipe", "type": "p", "fileMode": 0o600}]


def early(case):
    """Without no_new_privs: the filter goes in while there are privileges."""
    rich(case)
    case.process["noNewPrivileges"] = False


def plain(case):
    """A writable root, root as the user, strong capabilities, a cwd to make."""
    case.process["cwd"] = "/made/by/the/runtime"
    names = ["CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_SETUID", "CAP_NET_RAW"]
    case.process["capabilities"] = {n: list(names) for n in ("bounding", "effective", "permitted")}


VIEWS = {"rich": rich, "early": early, "plain": plain}


def hostile_caller():
    """Runs in the child before the runtime: what must not be inherited."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
    os.umask(CALLER_UMASK)


def make_view(mode, name, env=None, faults=False):
    """Run the probe; raises check.Failed when the run fails."""
    with Case(mode, faults=faults) as case:
        VIEWS[name](case)
        caller = {"namespaces": host.namespaces(), "keyring": host.session_keyring()}
        fds = [os.open("/", os.O_RDONLY), os.open("/etc", os.O_PATH), os.memfd_create("leak")]
        fds += os.pipe()
        more = {"extra_groups": [10, 20, 3000]} if case.who.privileged else {}
        try:
            report = case.report(None, env=dict(env or {}, **{SECRET: "1"}), pass_fds=fds,
                                 preexec_fn=hostile_caller, **more)
        finally:
            for fd in fds:
                os.close(fd)
        return View(case, report, caller)


_views = {}


def view(mode, name):
    """The view, made once; its failure too is remembered."""
    key = mode, name
    if key not in _views:
        try:
            _views[key] = make_view(mode, name)
        except (check.Failed, check.Skip) as why:
            _views[key] = why
    if isinstance(_views[key], Exception):
        why, _views[key] = _views[key], type(_views[key])("no %s view, see above" % name)
        raise why
    return _views[key]
