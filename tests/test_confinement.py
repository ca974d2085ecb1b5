# SPDX-License-Identifier: Apache-2.0
"""What the payload sees, compared with what the config asks.

One function per property.  @guards(ROW) says which row of the step table sets
the property; test_guard.py takes that row out and expects the check to fail.
"""

import stat

from lib import bundle
from lib.case import need_bryo
from lib.check import check, contains, equal, test
from lib.host import namespaces
from lib.users import MODES
from lib.view import SECRET, has, need, view

#: [(row, name of the view, the check)] for test_guard.py
GUARDS = []

CAP_BITS = {"CAP_KILL": 5, "CAP_SETUID": 7, "CAP_NET_BIND_SERVICE": 10, "CAP_NET_RAW": 13,
            "CAP_SYS_CHROOT": 18, "CAP_SYS_ADMIN": 21, "CAP_MKNOD": 27, "CAP_AUDIT_WRITE": 29}
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8),
           "urandom": (1, 9), "tty": (5, 0)}
#: Mount options that are bits of the mount, in the words of mountinfo.
MOUNT_BITS = ("ro", "nosuid", "nodev", "noexec", "noatime", "relatime")


def guards(*rows, name="rich", modes=MODES):
    """Register func(view) as a test in each mode, guarding the rows."""
    def register(func):
        def run(mode):
            func(view(mode, name))
        run.__name__ = func.__name__
        run.__module__ = func.__module__
        run.__doc__ = func.__doc__
        GUARDS.extend((row, name, func, modes) for row in rows)
        test(*modes)(run)
        return func
    return register


def mask(names):
    return "%016x" % sum(1 << CAP_BITS[name] for name in set(names))


def options_of(mount):
    return mount["options"].split(",")


# -- namespaces and ids --

@guards("clone")
def namespaces_are_new(view):
    """Row clone: every namespace of the config is another than the caller's."""
    short = {"network": "net", "mount": "mnt"}
    for space in view.linux["namespaces"]:
        name = short.get(space["type"], space["type"])
        inside = view.report["namespaces"][name]
        check(inside, "no link of the %s namespace", name)
        check(inside != view.caller["namespaces"][name], "%s namespace is the host's", name)


@guards("clone")
def other_namespaces_are_shared(view):
    """Row clone: a namespace that the config does not name is the caller's."""
    if not view.who.maps:
        equal(view.report["namespaces"]["user"], namespaces()["user"], "user namespace")


@guards("clone")
def is_pid_one(view):
    """Row clone: the payload is the first process of its pid namespace."""
    equal(view.report["pid"], 1, "pid")
    equal(view.report["ppid"], 0, "parent")


@guards("idmap", modes=("userns", "rootless", "ranges"))
def id_maps_are_exact(view):
    """Row idmap: the maps are the config's, line by line."""
    for name, lines in zip(("uid_map", "gid_map"), view.who.maps):
        got = [tuple(map(int, line.split())) for line in view.report[name].splitlines()]
        equal(got, [tuple(line) for line in lines], name)


@guards("idmap", modes=("rootless",))
def setgroups_is_denied(view):
    """Row idmap: an unprivileged single map goes with setgroups=deny."""
    equal(view.report["setgroups"].strip(), "deny", "setgroups")


@guards("become-root", modes=("userns",))
def files_belong_to_root(view):
    """Row become-root: what the set-up makes belongs to the container's root."""
    for point in ("/dev", "/dev/shm", "/work"):
        equal(view.mount(point)["stat"]["uid"], 0, point + " owner")
        equal(view.mount(point)["stat"]["gid"], 0, point + " group")


@guards("user")
def user_is_asked(view):
    """Row user: real, effective, saved and file system ids."""
    user = view.process["user"]
    equal(view.report["uid"], [user["uid"]] * 4, "uids")
    equal(view.report["gid"], [user["gid"]] * 4, "gids")


@guards("user", modes=("root", "userns", "ranges"))
def groups_are_asked(view):
    """Row user: exactly the supplementary groups of the config."""
    equal(sorted(view.report["groups"]), view.process["user"]["additionalGids"], "groups")


# -- host name, time, network, sysctl --

@guards("hostname")
def hostname_is_asked(view):
    """Row hostname."""
    equal(view.report["hostname"], view.config["hostname"], "hostname")


@guards("domainname")
def domainname_is_asked(view):
    """Row domainname."""
    need("domainname")
    equal(view.report["domainname"], view.config["domainname"], "domainname")


@guards("time-offsets")
def clocks_are_offset(view):
    """Row time-offsets: both clocks of the time namespace."""
    need("time")
    got = {}
    for line in view.report["timens_offsets"].splitlines():
        name, secs, nanosecs = line.split()
        got[name] = {"secs": int(secs), "nanosecs": int(nanosecs)}
    equal(got, view.linux["timeOffsets"], "offsets")
    check(view.report["clock_monotonic"] >= 1000000, "the clock does not show the offset")


@guards("loopback")
def loopback_is_up(view):
    """Row loopback: lo is there, up, and no other device is up."""
    network = view.report["network"]
    check("lo" in network, "no lo")
    check(network["lo"]["up"], "lo is down")
    others = [name for name, dev in network.items() if name != "lo" and dev["up"]]
    equal(others, [], "other devices that are up")


@guards("sysctl")
def sysctl_is_written(view):
    """Row sysctl."""
    want = view.linux["sysctl"]["net.ipv4.ip_unprivileged_port_start"]
    equal(view.report["port_start"].strip(), want, "ip_unprivileged_port_start")


# -- file systems --

@guards()
def no_mount_propagates(view):
    """Row propagation: private means neither a peer nor a master outside.

    test_guard.py takes the row out where that can do no harm.
    """
    need("private")
    linked = ["%s %s" % (m["point"], m["propagation"]) for m in view.report["mounts"]
              if m["propagation"]]
    equal(linked, [], "mounts in peer groups")


@guards("rootfs", "pivot")
def root_is_the_rootfs(view):
    """Rows rootfs and pivot: / is the bundle's rootfs and nothing lies around it."""
    root = view.mount("/")
    check(view.rootfs.endswith(root["root"]), "root of / is %s", root["root"])
    equal(view.report["root_link"], "/", "/proc/self/root")
    equal(len([m for m in view.report["mounts"] if m["point"] == "/"]), 1, "mounts on /")
    check("file" == view.path("/readonly-dir/file")["type"], "the image's file is not there")


@guards("pivot")
def no_host_mount_is_left(view):
    """Row pivot: every mount is one that was asked for, or a mask of it."""
    asked = {m["destination"] for m in view.config["mounts"]} | {"/"}
    asked |= set(view.linux["maskedPaths"]) | set(view.linux["readonlyPaths"])
    asked |= {"/dev/" + name for name in DEVICES} | {"/dev/console"}
    extra = [m["point"] for m in view.report["mounts"]
             if m["point"] not in asked and not m["point"].startswith("/sys/fs/cgroup/")]
    equal(extra, [], "mounts that nobody asked for")


@guards("pivot", name="plain")
def chroot_does_not_escape(view):
    """Row pivot: with CAP_SYS_CHROOT the climb ends at the container's root."""
    equal(view.report["attempts"]["chroot"], "ok", "chroot and climb")


def expected_parent(asked, number):
    """The last earlier mount that the destination lies on, or the root."""
    point = asked[number]["destination"]
    for earlier in reversed(asked[:number]):
        if point.startswith(earlier["destination"] + "/"):
            return earlier["destination"]
    return "/"


@guards("mounts")
def mounts_are_in_order(view):
    """Row mounts: each is mounted on what the config lists before it."""
    points = {m["id"]: m["point"] for m in view.report["mounts"]}
    asked = view.config["mounts"]
    for number, mount in enumerate(asked):
        parent = points.get(view.mount(mount["destination"])["parent"])
        equal(parent, expected_parent(asked, number), "parent of " + mount["destination"])


@guards("mounts")
def mount_flags_are_asked(view):
    """Row mounts: exactly the flags of the config, and none of them missing."""
    for asked in view.config["mounts"]:
        options = asked.get("options", [])
        got = options_of(view.mount(asked["destination"]))
        for bit in MOUNT_BITS:
            if bit in options:
                check(bit in got, "%s lacks %s: %s", asked["destination"], bit, got)
        for bit in ("ro", "noexec"):
            # The kernel locks what the host's mount had; these two it had not.
            if bit not in options and asked["destination"] != "/proc":
                check(bit not in got, "%s is %s unasked", asked["destination"], bit)


@guards("mounts")
def mount_types_are_asked(view):
    """Row mounts: the file system type, and the data options of tmpfs."""
    for asked in view.config["mounts"]:
        mount = view.mount(asked["destination"])
        if "bind" in asked.get("options", ()):
            continue
        want = {"cgroup": "cgroup2"}.get(asked["type"], asked["type"])
        equal(mount["fstype"], want, asked["destination"] + " type")
    work = view.mount("/work")
    contains(work["super"], "size=1024k", "/work")
    equal(work["stat"]["mode"], 0o755, "/work mode")
    equal(view.mount("/dev/shm")["stat"]["mode"], 0o1777, "/dev/shm mode")


@guards("box-sources", modes=("rootless", "ranges"))
def binds_are_opened_by_the_caller(view):
    """Row box-sources: an unprivileged caller's sources are opened in the box."""
    binds_show_their_source(view)


@guards("sources", "mounts")
def binds_show_their_source(view):
    """Rows sources and mounts: a bind shows the directory or file meant."""
    contains(view.mount("/bound")["root"], view.marker + "/source", "root of /bound")
    contains(view.mount("/bound-file")["root"], "/source/file", "root of /bound-file")
    equal(view.mount("/bound-file")["stat"]["type"], "file", "/bound-file")


@guards("devices")
def default_devices_exist(view):
    """Row devices: the six default devices, for everyone."""
    for name, number in DEVICES.items():
        node = view.report["dev"].get(name)
        check(node, "no /dev/%s", name)
        equal((node["type"], node["major"], node["minor"]), ("char",) + number, name)
        equal(node["mode"] & 0o666, 0o666, name + " mode")


@guards("devices", modes=("root",))
def asked_devices_exist(view):
    """Row devices: linux.devices with mode and owner."""
    node = view.report["dev"].get("extra")
    check(node, "no /dev/extra")
    equal((node["type"], node["major"], node["minor"], node["mode"], node["uid"], node["gid"]),
          ("char", 1, 3, 0o640, 1000, 1001), "/dev/extra")
    check("sub" in view.report["dev"], "no directory for /dev/sub/pipe")


@guards("devices")
def no_other_devices(view):
    """Row devices: /dev holds nothing that was not asked for."""
    allowed = set(DEVICES) | {"fd", "stdin", "stdout", "stderr", "core", "ptmx", "pts", "shm",
                              "mqueue", "extra", "sub"}
    equal(sorted(set(view.report["dev"]) - allowed), [], "unexpected in /dev")


@guards("dev-links")
def device_links_exist(view):
    """Row dev-links: the symbolic links that the specification wants."""
    dev = view.report["dev"]
    want = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0",
            "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
    for name, target in want.items():
        check(name in dev, "no /dev/%s", name)
        equal(dev[name].get("target"), target, "/dev/" + name)
    ptmx = dev.get("ptmx", {})
    check(ptmx.get("target") in ("pts/ptmx", "/dev/pts/ptmx") or
          (ptmx.get("major"), ptmx.get("minor")) == (5, 2), "/dev/ptmx is %r", ptmx)


@guards("readonly-paths")
def readonly_paths_are_readonly(view):
    """Row readonly-paths: the flag is set, and a write is refused."""
    for path in bundle.READONLY + ["/readonly-dir"]:
        seen = view.path(path)
        if seen["type"] is not None:
            check(seen["readonly"], "%s is writable", path)
    equal(view.path("/readonly-dir")["readonly"], True, "/readonly-dir")
    equal(view.report["attempts"]["core_pattern"] in ("EROFS", "EACCES"), True, "core_pattern")
    check("ro" in options_of(view.mount("/readonly-dir")), "/readonly-dir is not a ro mount")
    check("ro" in options_of(view.mount("/proc/sys")), "/proc/sys is not a ro mount")


@guards("masked-paths")
def masked_paths_are_empty(view):
    """Row masked-paths: nothing can be read from or written to them."""
    for path in bundle.MASKED + ["/masked-file", "/masked-dir"]:
        seen = view.path(path)
        if seen["type"] == "dir":
            equal(seen["entries"], 0, "entries of " + path)
            check(seen["readonly"], "%s is writable", path)
        elif seen["type"] is not None:
            check(seen["bytes"] <= 0, "%s can be read", path)
            equal((seen["type"], seen.get("major"), seen.get("minor")), ("char", 1, 3), path)


@guards("readonly-root")
def root_is_readonly(view):
    """Row readonly-root: the flag is set, and a write is refused."""
    check("ro" in options_of(view.mount("/")), "/ is writable")
    equal(view.report["attempts"]["write_root"] in ("EROFS", "EACCES"), True, "write to /")
    check(view.path("/masked-dir")["readonly"], "statvfs does not say read-only")


@guards("mounts", name="plain")
def root_is_writable_unless_asked(view):
    """Nobody asked for a read-only root here."""
    check("ro" not in options_of(view.mount("/")), "/ is read-only unasked")
    equal(view.report["attempts"]["write_root"], "ok", "write to /")


# -- the process --

@guards("keyring")
def session_keyring_is_new(view):
    """Row keyring: another session keyring than the caller's."""
    keyring = view.report["keyring"]
    equal(keyring["result"], "ok", "session keyring")
    check(keyring["id"] != view.caller["keyring"], "the keyring is the caller's")
    # Without one the kernel answers with the user's default session keyring.
    check("_uid_ses." not in (keyring["description"] or ""), "no keyring of its own: %s",
          keyring["description"])


@guards("session")
def session_is_new(view):
    """Row session: the payload leads a session without a terminal."""
    equal((view.report["sid"], view.report["pgid"]), (1, 1), "session, process group")
    check(view.report["terminal"]["dev_tty"] != "ok", "there is a controlling terminal")


@guards("bounding-set")
def bounding_set_is_asked(view):
    """Row bounding-set."""
    want = mask(view.process["capabilities"]["bounding"])
    equal(view.report["caps"]["bounding"], want, "bounding set")


@guards("capabilities")
def capability_sets_are_asked(view):
    """Row capabilities: the sets after execve, by the rules of capabilities(7)."""
    asked, got = view.process["capabilities"], view.report["caps"]
    if view.process["user"]["uid"] == 0:
        # The bounding set; but with no_new_privs execve(2) adds nothing.
        gained = mask((set(asked["bounding"]) | set(asked["inheritable"])) &
                      set(asked["permitted"]))
    else:
        gained = mask(asked["ambient"])
    equal(got["inheritable"], mask(asked["inheritable"]), "inheritable set")
    equal(got["ambient"], mask(asked["ambient"]), "ambient set")
    equal(got["permitted"], gained, "permitted set")
    equal(got["effective"], gained, "effective set")
    equal(view.report["securebits"], 0, "securebits")


@guards("capabilities", name="plain")
def nothing_is_inheritable_unless_asked(view):
    """Row capabilities: absent sets are empty ones."""
    equal(view.report["caps"]["inheritable"], mask([]), "inheritable set")
    equal(view.report["caps"]["ambient"], mask([]), "ambient set")


@guards("no-new-privs")
def no_new_privs_is_set(view):
    """Row no-new-privs."""
    equal(view.report["no_new_privs"], 1, "no_new_privs")


@guards("no-new-privs", name="early")
def no_new_privs_is_not_set_unasked(view):
    """Row no-new-privs: not on by itself."""
    equal(view.report["no_new_privs"], 0, "no_new_privs")


def filter_works(view):
    equal(view.report["seccomp"], 2, "seccomp mode")
    equal(view.report["seccomp_filters"], 1, "number of filters")
    equal(view.report["attempts"]["sethostname"], "EADDRNOTAVAIL", "the filtered call")


@guards("filter", "filter-compile")
def filter_is_installed(view):
    """Rows filter-compile and filter: seccomp with no_new_privs."""
    filter_works(view)


@guards("early-filter", name="early")
def filter_is_installed_early(view):
    """Row early-filter: seccomp without no_new_privs."""
    filter_works(view)


@guards("rlimits")
def rlimits_are_asked(view):
    """Row rlimits: soft and hard, of all that the config has."""
    for limit in view.process["rlimits"]:
        name = limit["type"].replace("RLIMIT_", "")
        equal(view.report["rlimits"][name], [limit["soft"], limit["hard"]], name)


@guards("umask")
def umask_is_asked(view):
    """Row umask."""
    equal(view.report["umask"], view.process["user"]["umask"], "umask")


@guards("cwd")
def cwd_is_asked(view):
    """Row cwd: by system call and by link, inside the root."""
    equal(view.report["cwd"], view.process["cwd"], "getcwd")
    equal(view.report["cwd_link"], view.process["cwd"], "/proc/self/cwd")


@guards("cwd-dir", name="plain")
def cwd_is_made(view):
    """Row cwd-dir: a working directory that the image lacks is made."""
    equal(view.report["cwd"], "/made/by/the/runtime", "getcwd")


@guards("signals")
def signals_are_reset(view):
    """Row signals: nothing blocked, nothing ignored, though the caller did both."""
    equal(view.report["signals"]["blocked"], "%016x" % 0, "blocked signals")
    equal(view.report["signals"]["ignored"], "%016x" % 0, "ignored signals")


@guards("fds")
def only_stdio_is_open(view):
    """Row fds: 0 to 2, though the caller held more without close-on-exec."""
    equal(sorted(map(int, view.report["fds"])), [0, 1, 2], "open descriptors")
    for fd in view.report["fds"].values():
        check(not stat.S_ISDIR(fd["mode"]), "a directory is open: %s", fd["link"])


@guards("oom-score")
def oom_score_is_asked(view):
    """Row oom-score."""
    equal(int(view.report["oom_score_adj"]), view.process["oomScoreAdj"], "oom_score_adj")


@guards("scheduler")
def scheduler_is_asked(view):
    """Row scheduler."""
    need_bryo()
    asked, got = view.process["scheduler"], view.report["scheduler"]
    equal((got["policy"], got["nice"]), (3, asked["nice"]), "SCHED_BATCH and nice value")


@guards("io-priority")
def io_priority_is_asked(view):
    """Row io-priority: class and level as in ioprio_get(2)."""
    need_bryo()
    equal(view.report["ioprio"], 2 << 13 | view.process["ioPriority"]["priority"], "ioprio")


@guards("memory-policy")
def memory_policy_is_asked(view):
    """Row memory-policy: MPOL_BIND with MPOL_F_STATIC_NODES."""
    need_bryo()
    equal(view.report["mempolicy"], 2 | 1 << 15, "mode and flags")
    equal(view.report["mempolicy_nodes"], "%016x" % 1, "nodes")


@guards("personality")
def personality_is_asked(view):
    """Row personality."""
    need_bryo()
    equal(view.report["personality"], 8, "PER_LINUX32")


@guards("exec", "payload")
def arguments_are_asked(view):
    """Rows payload and exec: args as they are, also an empty one."""
    want = [a.encode().decode("latin-1") for a in view.process["args"]]
    equal(view.report["args"], want, "args")


@guards("exec")
def environment_is_asked(view):
    """Row exec: the config's environment in its order, nothing of the caller's."""
    want = [e.encode().decode("latin-1") for e in view.process["env"]]
    equal(view.report["env"], want, "env")
    check(not any(SECRET in e for e in view.report["env"]), "the caller's environment")


@guards("cgroupns", modes=("root", "userns"))
@guards(modes=("rootless", "ranges"))
def cgroup_is_the_root(view):
    """Row cgroupns: with a cgroup namespace the payload's own cgroup is /."""
    if has("cgroup2"):
        line = [c for c in view.report["cgroup"].splitlines() if c.startswith("0::")]
        equal(line, ["0::/"], "cgroup v2 path")


# -- what the payload can do, whatever the row --

@guards(name="rich")
def dangerous_acts_fail(view):
    """No row of its own: the sum of them."""
    attempts = view.report["attempts"]
    for name in ("mount", "remount_root", "unshare_mount", "chroot", "mknod_root", "raw_socket",
                 "core_pattern", "sysrq", "mknod_dev"):
        check(attempts[name] not in ("ok", "escaped"), "%s: %s", name, attempts[name])


@guards(name="plain", modes=("userns", "rootless", "ranges"))
def root_in_a_user_namespace_is_no_root(view):
    """CAP_SYS_ADMIN inside a user namespace does not reach the host's kernel."""
    attempts = view.report["attempts"]
    for name in ("core_pattern", "sysrq", "mknod_root", "mknod_dev"):
        check(attempts[name] != "ok", "%s succeeded", name)
