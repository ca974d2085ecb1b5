# SPDX-License-Identifier: Apache-2.0
"""Namespaces by path (rows join and clone): the handle is what the payload has."""

import contextlib
import errno
import os
import signal

from lib import bundle, host, proc
from lib.case import Case, need_bryo
from lib.check import check, contains, equal, test, wait_until

MODES = ("root", "rootless")
MS_BIND = 0x1000
SHORT = {"network": "net", "mount": "mnt"}
#: What the test file may join one by one; the other two need more care.
TYPES = ("network", "ipc", "uts", "pid", "cgroup", "time")
#: What a pod shares among its containers.
POD = ("network", "ipc", "uts", "pid")


def link(pid, kind):
    return os.readlink("/proc/%s/ns/%s" % (pid, SHORT.get(kind, kind)))


def handle(pid, kind):
    return "/proc/%d/ns/%s" % (pid, SHORT.get(kind, kind))


def join(case, paths):
    """Name the paths in the config, whether or not the type is there already."""
    for kind, path in paths.items():
        bundle.drop_namespace(case.config, kind)
        case.linux["namespaces"].append({"type": kind, "path": path})
    if "user" in paths:
        case.linux.pop("uidMappings", None)
        case.linux.pop("gidMappings", None)


def one_id(case):
    """For a joined user namespace that maps the caller only: no group 5."""
    options = bundle.mount_of(case.config, "/dev/pts")["options"]
    if "gid=5" in options:
        options.remove("gid=5")


def place(case, kind):
    return [n["type"] for n in case.linux["namespaces"]].index(kind)


def only_owned(case, *kinds):
    """Leave out what needs a namespace that the container's root owns."""
    for kind, mount in (("network", "/sys"), ("ipc", "/dev/mqueue"), ("pid", "/proc")):
        if kind in kinds:
            bundle.drop_mount(case.config, mount)
    if "pid" in kinds:
        case.linux["maskedPaths"] = case.linux["readonlyPaths"] = []
    if "uts" in kinds:
        case.config.pop("hostname", None)


@contextlib.contextmanager
def holder(case, *options, program="sleep"):
    """The pid of a process in namespaces that `unshare` has made for the caller."""
    argv = ["unshare", "--fork", "--kill-child"] + list(options) + [program, "60"]
    child = proc.start(argv, **case.options(stdout=-3, stderr=-3))

    def inner():
        for pid, (_, ppid, _) in proc.table().items():
            if ppid == child.pid and program in proc.describe(pid).split(")")[0]:
                return pid
        check(child.poll() is None, "unshare %s failed", options)
        return None
    try:
        yield wait_until(inner, what="the process of unshare")
    finally:
        child.kill()
        proc.finish(child)


def reaped_status(case, suffix):
    """The status, after the runner has reaped: it is everybody's foster parent.

    A pid namespace ends only when all of its processes have been reaped, also
    those whose parent is outside (pid_namespaces(7)).
    """
    proc.descendants()
    return case.state(suffix)["status"]


def wait_stopped(case, suffix="c"):
    wait_until(lambda: reaped_status(case, suffix) == "stopped", what="the end of " + suffix)
    proc.descendants()


def running(case, args=("/probe", "sleep", "60"), suffix="c"):
    """A started container; the pid of its payload."""
    case.create(args, suffix)
    case.ok("start", case.id(suffix))
    return case.state(suffix)["pid"]


def first_container(case):
    """A container with namespaces of its own, as the infra container of a pod."""
    before = dict(case.config, linux=dict(case.linux))
    pid = running(case, suffix="first")
    case.bundle.config = before
    return pid


def check_joined(case, paths, owner, inside=True):
    """Run with the paths; seen from the host, and from inside where /proc is."""
    pid = running(case)
    for kind in paths:
        equal(link(pid, kind), link(owner, kind), kind + " namespace")
    others = {n["type"] for n in case.linux["namespaces"]} - set(paths)
    for kind in others:
        check(link(pid, kind) not in (link(owner, kind), link("self", kind)),
              "the %s namespace is not new", kind)
    want = {kind: link(owner, kind) for kind in paths}
    case.ok("kill", case.id(), "KILL")
    wait_stopped(case)
    case.ok("delete", case.id())
    if inside:
        report = case.report(["/probe", "facts"])
        for kind, text in want.items():
            equal(report["namespaces"][SHORT.get(kind, kind)], text, kind + " from inside")
        equal(sorted(map(int, report["fds"])), [0, 1, 2], "open descriptors")


# -- each type --

@test("root")
def each_type_from_unshare(mode):
    """Row join: one namespace by path, the others made."""
    for kind in TYPES:
        with Case(mode) as case, holder(case, "--" + SHORT.get(kind, kind)) as owner:
            join(case, {kind: handle(owner, kind)})
            check_joined(case, [kind], owner)


@test("userns")
def each_type_under_a_new_user_namespace(mode):
    """Row join: root may join what the container's user namespace does not own."""
    for kind in TYPES:
        with Case(mode) as case, holder(case, "--" + SHORT.get(kind, kind)) as owner:
            join(case, {kind: handle(owner, kind)})
            only_owned(case, kind)
            check_joined(case, [kind], owner, inside=kind != "pid")


@test("rootless")
def each_type_with_its_user_namespace(mode):
    """Row join: an ordinary user joins the user namespace first."""
    for kind in TYPES:
        with Case(mode) as case, holder(case, "--user", "--map-root-user",
                                        "--" + SHORT.get(kind, kind)) as owner:
            paths = {k: handle(owner, k) for k in (kind, "user")}
            join(case, paths)
            check_joined(case, paths, owner)


@test("root", "rootless")
def user_alone(mode):
    """Rows join and become-root: only the user namespace is joined."""
    with Case(mode) as case, holder(case, "--user", "--map-root-user") as owner:
        join(case, {"user": handle(owner, "user")})
        one_id(case)
        check_joined(case, ["user"], owner)
        equal(case.report(["/probe", "facts"])["uid"], [0] * 4, "uids")


@test("root")
def user_and_a_namespace_that_it_does_not_own(mode):
    """Row join, first pass: with the caller's privilege, before the user namespace."""
    with Case(mode) as case, holder(case, "--user", "--map-root-user") as owner, \
            holder(case, "--net") as other:
        join(case, {"user": handle(owner, "user"), "network": handle(other, "network")})
        only_owned(case, "network")
        one_id(case)
        pid = running(case)
        equal(link(pid, "user"), link(owner, "user"), "user namespace")
        equal(link(pid, "network"), link(other, "network"), "network namespace")
        case.delete()


@test("rootless")
def without_the_privilege(mode):
    """Row join: the kernel refuses, the error names the entry, nothing is left."""
    need_bryo("others have other words")
    with Case(mode) as case, holder(case, "--user", "--map-root-user", "--net") as owner:
        join(case, {"network": handle(owner, "network")})
        result = case.run_fails(["/probe", "echo", "hello"])
        contains(result.last_error(), "/linux/namespaces/%d/path" % place(case, "network"),
                 "error")
        equal(os.listdir(case.root), [], "state directory")


@test("root")
def order_of_the_entries_does_not_matter(mode):
    """Row join: the list of the config is a set."""
    with Case(mode) as case, holder(case, "--user", "--map-root-user", "--net",
                                    "--uts", "--ipc") as owner:
        kinds = ("uts", "user", "ipc", "network")
        join(case, {k: handle(owner, k) for k in kinds})
        one_id(case)
        for _ in range(2):
            case.linux["namespaces"].reverse()
            check_joined(case, kinds, owner)


@contextlib.contextmanager
def kept(case, pid, kinds):
    """{kind: file}: handles of a process kept by bind mounts, as `ip netns` does."""
    path = os.path.join(case.dir, "handles")
    os.makedirs(path, exist_ok=True)
    host._mount("handles", path, "tmpfs", 0)
    try:
        # A mount namespace is not bound where it could see itself.
        host._mount(None, path, None, host.MS_PRIVATE)
        files = {k: os.path.join(path, k) for k in kinds}
        for kind, file in files.items():
            bundle.write(file, "")
            host._mount(handle(pid, kind), file, None, MS_BIND)
        yield files
    finally:
        for name in os.listdir(path):
            proc.LIBC.umount2(os.path.join(path, name).encode(), 2)
        proc.LIBC.umount2(path.encode(), 2)


@test("root")
def handles_that_are_mounts(mode):
    """Row join: the last process has gone, the namespaces are there still."""
    kinds = ("network", "uts", "ipc")
    with Case(mode) as case, contextlib.ExitStack() as stack:
        with holder(case, "--net", "--uts", "--ipc") as owner:
            want = {k: link(owner, k) for k in kinds}
            paths = stack.enter_context(kept(case, owner, kinds))
        join(case, paths)
        report = case.report(["/probe", "facts"])
        for kind in kinds:
            equal(report["namespaces"][SHORT.get(kind, kind)], want[kind], kind)


def kept_mount_namespace(case, stack, tries=30):
    """Its name, and the handle that is kept.

    The kernel binds the handles of younger namespaces only, and since Linux
    6.18 it guesses their age by numbers that each processor hands out.
    """
    for last in [False] * tries + [True]:
        with holder(case, "--mount") as owner:
            try:
                return link(owner, "mount"), stack.enter_context(kept(case, owner, ["mount"]))
            except OSError as why:
                if last or why.errno != errno.EINVAL:
                    raise


@test("root")
def mount_namespace(mode):
    """Rows join and pivot: the container's mounts are made in the joined one."""
    with Case(mode) as case, contextlib.ExitStack() as stack:
        want, paths = kept_mount_namespace(case, stack)
        join(case, paths)
        report = case.report(["/probe", "facts"])
        equal(report["namespaces"]["mnt"], want, "mount namespace")
        check(not any(m["point"].startswith(case.dir) for m in report["mounts"]),
              "the host's mounts are in sight: %s", [m["point"] for m in report["mounts"]])


# -- pods --

@test("root")
def pod_of_root(mode):
    """Row join: what a second container of a pod shares with the first."""
    with Case(mode) as case:
        first = first_container(case)
        join(case, {k: handle(first, k) for k in POD})
        check_joined(case, POD, first)
        case.delete("first")


@test("userns", "rootless", "ranges")
def pod_with_a_user_namespace(mode):
    """Row join: user and all others but the mount namespace."""
    kinds = POD + ("user", "cgroup")
    with Case(mode) as case:
        first = first_container(case)
        join(case, {k: handle(first, k) for k in kinds})
        check_joined(case, kinds, first)
        case.delete("first")


@test("userns", "ranges")
def maps_beside_a_joined_user_namespace(mode):
    """Row idmap: engines repeat the maps; they are those of the handle."""
    with Case(mode) as case:
        first = first_container(case)
        maps = {k: case.linux[k] for k in ("uidMappings", "gidMappings")}
        join(case, {"user": handle(first, "user")})
        case.linux.update(maps)
        report = case.report(["/probe", "facts"])
        equal(report["namespaces"]["user"], link(first, "user"), "user namespace")
        for name, lines in zip(("uid_map", "gid_map"), case.who.maps):
            got = [tuple(map(int, line.split())) for line in report[name].splitlines()]
            equal(got, [tuple(line) for line in lines], name)
        case.delete("first")


@test(*MODES)
def host_name_of_the_pod(mode):
    """Row hostname: it is set in the namespace that is joined, and not in the host's."""
    with Case(mode) as case:
        first = first_container(case)
        kinds = ("uts", "user") if case.who.maps else ("uts",)
        join(case, {k: handle(first, k) for k in kinds})
        case.config["hostname"] = "second"
        equal(case.report(["/probe", "facts"])["hostname"], "second", "host name")
        case.config.pop("hostname")
        equal(case.report(["/probe", "facts"])["hostname"], "second", "host name kept")
        check(os.uname().nodename != "second", "the host's name has changed")
        case.delete("first")


# -- life of a container that joins --

@test("root", "rootless", "ranges")
def whole_life(mode):
    """Rows join and record: create, start, kill and delete as without."""
    kinds = POD + (() if mode == "root" else ("user",))
    with Case(mode) as case:
        first = first_container(case)
        join(case, {k: handle(first, k) for k in kinds})
        case.create(["/probe", "trap"])
        state = case.state()
        equal(state["status"], "created", "status")
        check(proc.alive(state["pid"]) and state["pid"] != first, "pid %s", state["pid"])
        case.ok("start", case.id())
        wait_until(lambda: "ready" in case.read_output(), what="the payload")
        case.ok("kill", case.id(), "USR1")
        wait_stopped(case)
        contains(case.read_output(), "got 10", "the payload's words")
        case.ok("delete", case.id())
        equal(case.state("first")["status"], "running", "the first container")
        equal(case.run(["/probe", "exit", "7"]).rc, 7, "exit status of run")
        case.delete("first")


@test("root", "rootless")
def namespaces_of_one_that_is_created_only(mode):
    """Row become-root: root may join before `start`; to others it is not dumpable."""
    with Case(mode) as case:
        before = dict(case.config, linux=dict(case.linux))
        case.create(["/probe", "sleep", "60"], "first")
        first = case.state("first")["pid"]
        case.bundle.config = before
        kinds = ("network", "ipc", "uts") if mode == "root" else ("network", "user")
        join(case, {k: handle(first, k) for k in kinds})
        if mode == "root":
            check_joined(case, kinds, first)
        else:
            result = case.run_fails(["/probe", "echo", "hello"])
            contains(result.last_error(), "/linux/namespaces/", "error")
        case.delete("first")


@test(*MODES)
def kill_all_needs_a_cgroup(mode):
    """`kill --all` may not reach the processes of the container that owns the pids.

    Without a cgroup the container's own cannot be told from those: refused.
    """
    kinds = ("pid",) if mode == "root" else ("pid", "user")
    with Case(mode) as case:
        first = first_container(case)
        join(case, {k: handle(first, k) for k in kinds})
        running(case, ["/probe", "spawn", "2"])
        for word in ("TERM", "KILL"):
            result = case.call("kill", "--all", case.id(), word)
            if result.rc != 0:
                contains(result.last_error(), "cgroup", "error")
                equal(case.state()["status"], "running", "status")
        equal(case.state("first")["status"], "running", "the first container")
        case.call("kill", case.id(), "KILL")
        wait_stopped(case)
        case.ok("delete", case.id())
        equal(case.state("first")["status"], "running", "the first container")
        # Its children live on until the pid namespace ends.
        case.delete("first")


@test(*MODES)
def death_of_the_owner_of_the_pids(mode):
    """The kernel ends the pid namespace; the second container is then stopped."""
    kinds = ("pid",) if mode == "root" else ("pid", "user")
    with Case(mode) as case:
        first = first_container(case)
        join(case, {k: handle(first, k) for k in kinds})
        running(case)
        case.create(["/probe", "sleep", "60"], "waiting")
        child = case.start_run(["/probe", "sleep", "60"], "front")
        wait_until(lambda: case.call("state", case.id("front")).rc == 0 and
                   case.state("front")["status"] == "running", what="the foreground")
        case.ok("kill", case.id("first"), "KILL")
        equal(proc.finish(child).rc, 128 + signal.SIGKILL, "exit status")
        for suffix in ("first", "c", "waiting"):
            wait_stopped(case, suffix)
            case.ok("delete", case.id(suffix))


@test(*MODES)
def owner_of_the_pids_is_dead_already(mode):
    """Row clone: no process can be made there; an error, and nothing left."""
    with Case(mode) as case:
        path = handle(os.getpid(), "pid")
        with holder(case, *(["--pid"] if mode == "root" else
                            ["--user", "--map-root-user", "--pid"])) as owner:
            # The parent keeps the namespace as that of its children.
            parent = proc.table()[owner][1]
            path = "/proc/%d/ns/pid_for_children" % parent
            join(case, {"pid": path} if mode == "root" else
                 {"pid": path, "user": handle(parent, "user")})
            os.kill(parent, signal.SIGSTOP)
            os.kill(owner, signal.SIGKILL)
            wait_until(lambda: not proc.alive(owner), what="the death")
            result = case.run_fails(["/probe", "echo", "hello"])
            check("hello" not in result.out, "%s", result)
            equal(os.listdir(case.root), [], "state directory")
            os.kill(parent, signal.SIGCONT)


# -- what is refused --

def refused(case, pointer, *words):
    """run and create fail, the last line names the element, no state is left."""
    for command in ("run", "create"):
        case.save(["/probe", "echo", "hello"])
        result = case.fails(command, "-b", case.bundle.path, case.id())
        check("hello" not in result.out, "the payload ran: %s", result)
        for word in (pointer,) + words:
            contains(result.last_error(), word, command)
        equal(os.listdir(case.root), [], "state directory")


@test(*MODES)
def handle_of_another_type(mode):
    """Row join: "MUST error if wrong namespace type", and say which entry."""
    need_bryo("pointers are bryo's")
    for kind, other in (("network", "uts"), ("uts", "ipc"), ("pid", "mount"),
                        ("cgroup", "network"), ("mount", "user"), ("user", "pid"),
                        ("ipc", "time"), ("time", "cgroup")):
        with Case(mode) as case:
            join(case, {kind: handle(os.getpid(), other) if mode == "root" else
                        "/proc/self/ns/" + SHORT.get(other, other)})
            refused(case, "/linux/namespaces/%d/path" % place(case, kind),
                    "is not a %s namespace" % kind)


@test(*MODES)
def path_that_is_no_namespace(mode):
    """Row join: any file may be named, and none may make it hang."""
    need_bryo("pointers are bryo's")
    with Case(mode) as case:
        dir_ = case.make_dir("files")
        bundle.write(os.path.join(dir_, "file"), "net:[4026531840]\n")
        os.mkfifo(os.path.join(dir_, "fifo"), 0o666)
        os.chmod(os.path.join(dir_, "fifo"), 0o666)
        os.symlink("loop", os.path.join(dir_, "loop"))
        for path in ("file", ".", "missing", "fifo", "loop", "file/below"):
            join(case, {"network": os.path.join(dir_, path)})
            result = case.run_fails(["/probe", "echo", "hello"], timeout=10)
            check("no such file or directory" not in result.err.lower(),
                  "podman would take it for a missing payload: %s", result)
            refused(case, "/linux/namespaces/%d/path" % place(case, "network"))
        for path in ("/dev/null", "/proc/self/mem", "/proc/self/fd/0"):
            join(case, {"network": path})
            refused(case, "/linux/namespaces/%d/path" % place(case, "network"))


# -- the caller's own --

@test("root")
def own_namespace_is_inherited(mode):
    """Row join: the caller's own by path is the same as no entry."""
    for kind in TYPES:
        with Case(mode) as case:
            join(case, {kind: "/proc/self/ns/" + SHORT.get(kind, kind)})
            case.config.pop("hostname")
            report = case.report(["/probe", "facts"])
            equal(report["namespaces"][SHORT.get(kind, kind)], link("self", kind), kind)


@test("rootless")
def own_namespace_is_inherited_rootless(mode):
    """The same where the container has a user namespace of its own."""
    for kind in ("network", "ipc", "uts", "cgroup", "time"):
        with Case(mode) as case:
            join(case, {kind: "/proc/self/ns/" + SHORT.get(kind, kind)})
            only_owned(case, kind)
            case.config.pop("hostname", None)
            report = case.report(["/probe", "facts"])
            equal(report["namespaces"][SHORT.get(kind, kind)], link("self", kind), kind)


@test("root")
def own_user_namespace_is_inherited(mode):
    """Row join: setns(2) would refuse the caller's own user namespace."""
    with Case(mode) as case:
        join(case, {"user": "/proc/self/ns/user"})
        report = case.report(["/probe", "facts"])
        equal(report["namespaces"]["user"], link("self", "user"), "user namespace")


@test(*MODES)
def own_namespace_and_what_would_change_the_host(mode):
    """Row join: host and domain name, parameters and mounts need another's."""
    need_bryo("others do as they are told")
    for kind, change, pointer in (
            ("uts", lambda c: None, "/hostname"),
            ("uts", lambda c: c.update(domainname=c.pop("hostname")), "/domainname"),
            ("network", lambda c: c["linux"].update(
                sysctl={"net.ipv4.ip_unprivileged_port_start": "1024"}),
             "/linux/sysctl/net.ipv4.ip_unprivileged_port_start"),
            ("ipc", lambda c: c["linux"].update(sysctl={"kernel.msgmax": "8192"}),
             "/linux/sysctl/kernel.msgmax"),
            ("mount", lambda c: None, "/linux/namespaces/")):
        for path in ("/proc/self/ns/", "/proc/%d/ns/" % os.getpid()):
            if mode != "root" and "self" not in path and os.geteuid() == 0:
                continue  # not the caller's to open
            with Case(mode) as case:
                join(case, {kind: path + SHORT.get(kind, kind)})
                change(case.config)
                before = os.uname().nodename
                refused(case, pointer)
                equal(os.uname().nodename, before, "the host's name")
