# SPDX-License-Identifier: Apache-2.0
"""What limits do, measured: as root and as an ordinary user, with cgroups that
bryo makes itself and with those of systemd.

Needs real controllers, and systemd for half of it: it is for the test VM.  crun
and runc run the same there, as a control.
"""

import json
import os
import subprocess
import time

from lib import bundle, proc, users
from lib.case import Case, kind, need_bryo, need_busybox
from lib.check import Skip, check, contains, equal, test, wait_until

TOP = "/sys/fs/cgroup"
WAYS = ("root, cgroupfs", "root, systemd", "rootless, cgroupfs", "rootless, systemd")
SYSTEMD = ("root, systemd", "rootless, systemd")
MIB = 1 << 20


def read(*parts):
    with open(os.path.join(TOP, *(p.lstrip("/") for p in parts))) as file:
        return file.read().strip()


def exists(path):
    return os.path.exists(TOP + path)


def own():
    with open("/proc/self/cgroup") as file:
        return [line.strip()[3:] for line in file if line.startswith("0::")][0]


def need(*controllers):
    """In the part of the tree that is ours to use."""
    if not os.path.exists(TOP + "/cgroup.controllers"):
        raise Skip("no pure cgroup v2 tree")
    at = own() if os.geteuid() else "/"
    for name in controllers:
        if name not in read(at, "cgroup.controllers").split():
            raise Skip("no %s controller for us" % name)


class Managed(Case):
    """A case whose cgroups are made by a manager: "root, systemd" and so on."""

    def __init__(self, way, faults=False):
        mode, self.manager = way.split(", ")
        if mode != "root" and os.geteuid() == 0:
            raise Skip("for an ordinary user who has a manager, or a delegated cgroup")
        if self.manager == "systemd" and not os.path.isdir("/run/systemd/system"):
            raise Skip("systemd does not run here")
        if mode != "root" and self.manager == "cgroupfs":
            need_bryo("puts the container beside the caller's cgroup")
            if not os.access(TOP + os.path.dirname(own()) + "/cgroup.procs", os.W_OK):
                raise Skip("the cgroup above our own is not delegated to us")
        super().__init__(mode, faults=faults)

    def __enter__(self):
        super().__enter__()
        if self.manager == "systemd" and self.who.uid:
            self.env["XDG_RUNTIME_DIR"] = os.environ.get("XDG_RUNTIME_DIR", self.xdg)
        if self.manager == "systemd":
            # crun wants the slice to be named.
            slice_ = "" if kind() == "bryo" else "user.slice" if self.who.uid else "system.slice"
            self.linux["cgroupsPath"] = "%s:bt:%s" % (slice_, self.id())
        elif self.who.uid == 0:
            self.linux["cgroupsPath"] = "/%s-box" % self.marker
        bundle.drop_namespace(self.config, "cgroup")
        return self

    def argv(self, *words):
        systemd = ["--systemd-cgroup"] if self.manager == "systemd" else []
        return super().argv(*systemd, *words)

    def limit(self, **members):
        self.linux.setdefault("resources", {}).update(members)

    def unit(self):
        return "bt-%s.scope" % self.id()

    def systemctl(self, *words):
        user = ["--user"] if self.who.uid else []
        return proc.run(["systemctl"] + user + list(words),
                        env=dict(self.env, PATH="/usr/bin:/bin"))

    def place_of(self, pid):
        """The container's cgroup; crun has the process in one beneath it."""
        with open("/proc/%d/cgroup" % pid) as file:
            path = [line.strip()[3:] for line in file if line.startswith("0::")][0]
        while path != "/" and os.path.basename(path) not in (
                self.unit(), "bryo-" + self.id(), self.marker + "-box"):
            path = os.path.dirname(path)
        check(path != "/", "the process is in none of its own")
        return path

    def running(self, args):
        self.create(list(args))
        self.ok("start", self.id())
        return self.place_of(self.state()["pid"])


def stress_rootfs(case):
    """The VM's image has one with stress-ng."""
    if not os.path.exists("/srv/rootfs/bin/stress-ng"):
        raise Skip("no root file system with stress-ng")
    case.config["root"] = {"path": "/srv/rootfs", "readonly": True}
    case.config["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})
    case.linux.pop("maskedPaths", None)
    case.linux.pop("readonlyPaths", None)


def usage_of(path):
    return int(dict(l.split() for l in read(path, "cpu.stat").splitlines())["usage_usec"])


def kills_of(path):
    return int(dict(l.split() for l in read(path, "memory.events").splitlines())["oom_kill"])


@test(*WAYS)
def memory_and_cpu(way):
    """1 GiB is wanted in 50 MiB and a quarter of a CPU: it stays there, and `events` tells."""
    need("memory", "cpu")
    with Managed(way) as case:
        stress_rootfs(case)
        case.limit(memory={"limit": 50 * MIB, "swap": 50 * MIB},
                   cpu={"quota": 25000, "period": 100000})
        path = case.running(["/bin/stress-ng", "--vm", "4", "--vm-bytes", "256m",
                             "--temp-path", "/tmp", "--quiet", "--timeout", "120s"])
        watcher = None
        if kind() == "bryo":
            watcher = case.start("events", "--interval", "60s", case.id(), stdout=subprocess.PIPE)
        wait_until(lambda: int(read(path, "memory.current")) > 20 * MIB, seconds=60,
                   what="memory in use")
        first, start = usage_of(path), time.monotonic()
        most = 0
        while time.monotonic() < start + 8 or (not kills_of(path) and
                                               time.monotonic() < start + 60):
            most = max(most, int(read(path, "memory.current")))
            time.sleep(0.05)
        share = (usage_of(path) - first) / 1e6 / (time.monotonic() - start)
        peak = int(read(path, "memory.peak"))
        print("# %s: %.3f of a CPU, at most %.1f MiB, peak %.1f, %d OOM kills" % (
            way, share, most / MIB, peak / MIB, kills_of(path)))
        check(0.1 < share < 0.28, "used %.3f of a CPU", share)
        check(most <= 50 * MIB, "used %d bytes", most)
        # The kernel lets those who are about to die over the limit, by a few pages.
        check(peak <= 51 * MIB, "peak of %d bytes", peak)
        check(kills_of(path) > 0, "nothing was killed")
        if watcher:
            equal(json.loads(watcher.stdout.readline())["type"], "oom", "event")
            stats = json.loads(case.ok("events", "--stats", case.id()).out)
            equal(sorted(stats["cgroup"]["limits"]),
                  ["cpu.max", "memory.max", "memory.swap.max"], "limits that are told")
        case.ok("kill", case.id(), "KILL")
        if watcher:
            proc.finish(watcher)
        case.wait_status("stopped")
        case.delete()
        check(not exists(path), "the cgroup is left")


@test(*WAYS)
def fork_bomb(way):
    """It gets as far as the limit, and no further."""
    need("pids")
    need_busybox()
    with Managed(way) as case:
        case.limit(pids={"limit": 20})
        path = case.running(["/bin/sh", "-c", "while sleep 60 & do :; done; wait"])
        wait_until(lambda: "max 0" not in read(path, "pids.events"), seconds=60, what="the limit")
        equal(read(path, "pids.max"), "20", "pids.max")
        if exists(path + "/pids.peak"):
            equal(read(path, "pids.peak"), "20", "pids.peak")
        if kind() == "bryo":
            contains(case.state()["cgroup"]["limits"], "pids.max", "limits that are told")
        case.delete()
        check(not exists(path), "the cgroup is left")


@test(*WAYS)
def one_process(way):
    """Whoever waits in the scope for the container does not count against it."""
    need("pids")
    need_bryo("a thread of its own would not fit")
    with Managed(way) as case:
        case.limit(pids={"limit": 1})
        path = case.running(["/probe", "sleep", "60"])
        equal(read(path, "pids.max"), "1", "pids.max")
        equal(read(path, "pids.current"), "1", "pids.current")
        case.delete()


def disk_of(path):
    number = os.stat(path).st_dev
    link = "/sys/dev/block/%d:%d" % (os.major(number), os.minor(number))
    if not os.path.exists(link):
        raise Skip("%s is on no block device" % path)
    if os.path.exists(link + "/partition"):
        link += "/.."
    with open(link + "/dev") as file:
        return [int(n) for n in file.read().split(":")]


def direct_read(case, name):
    """Seconds for 3 MiB from the disk, without the page cache, as the payload sees them."""
    result = case.run_ok(["/bin/sh", "-c", "read a b </proc/uptime; "
                          "/bin/dd if=/data/%s of=/dev/null bs=64k iflag=direct count=48; "
                          "read c d </proc/uptime; echo $a $c" % name])
    contains(result.err, "48+0 records in", "output of dd")
    begin, end = map(float, result.out.split())
    return end - begin


@test(*WAYS)
def block_io(way):
    """1 MiB/s from the disk of the VM."""
    need("io")
    need_busybox()
    for mode, limited in (("free", False), ("limited", True)):
        with Managed(way) as case:
            data = "/var/tmp/%s" % case.marker
            os.mkdir(data)
            try:
                with open(data + "/file", "wb") as file:
                    file.write(os.urandom(3 * MIB))
                    os.fsync(file.fileno())
                os.chmod(data, 0o755)
                major, minor = disk_of(data)
                case.config["mounts"].append({"destination": "/data", "type": "bind",
                                              "source": data, "options": ["rbind", "ro"]})
                bundle_dir = os.path.join(case.bundle.rootfs, "data")
                os.mkdir(bundle_dir)
                if limited:
                    case.limit(blockIO={"throttleReadBpsDevice": [
                        {"major": major, "minor": minor, "rate": MIB}]})
                if not os.path.exists(os.path.join(case.bundle.rootfs, "bin/dd")):
                    os.link(os.path.join(case.bundle.rootfs, "bin/busybox"),
                            os.path.join(case.bundle.rootfs, "bin/dd"))
                took = direct_read(case, "file")
                print("# %s: 3 MiB %s in %.1f s" % (way, mode, took))
                if limited:
                    check(2.4 < took < 10, "3 MiB at 1 MiB/s took %.1f s", took)
                else:
                    check(took < 2.4, "3 MiB without a limit took %.1f s", took)
            finally:
                proc.run(["rm", "-rf", data], env={"PATH": "/bin"})


@test(*WAYS)
def cpuset(way):
    """On the last CPU, and on no other."""
    need("cpuset")
    last = str(max(os.sched_getaffinity(0)))
    with Managed(way) as case:
        case.limit(cpu={"cpus": last, "mems": "0"})
        status = case.run_ok(["/probe", "cat", "/proc/self/status"]).out
        contains(status, "Cpus_allowed_list:\t%s\n" % last, "status")
        contains(status, "Mems_allowed_list:\t0\n", "status")


@test(*WAYS)
def never_outside(way):
    """The payload, asked at once, and the box before it is one."""
    need("pids")
    with Managed(way) as case:
        case.limit(pids={"limit": 30})
        for i in range(5):
            lines = case.run_ok(["/probe", "cat", "/proc/self/cgroup"], suffix="c").out
            check(any(name in lines for name in (case.unit(), "bryo-" + case.id(), "-box")),
                  "run %d: it was in %s", i, lines)
        case.create(["/probe", "sleep", "60"])
        path = case.place_of(case.state()["pid"])
        equal(read(path, "pids.max"), "30", "pids.max of a created container")
        equal(read(path, "pids.current"), "1", "pids.current of a created container") \
            if kind() == "bryo" else None
        case.delete()
        check(not exists(path), "the cgroup is left")


@test(*WAYS)
def life(way):
    """exec, update, pause, resume, kill --all, delete."""
    need("memory", "cpu", "pids")
    need_busybox()
    with Managed(way) as case:
        case.limit(memory={"limit": 64 * MIB}, pids={"limit": 50})
        path = case.running(["/bin/sh", "-c", "while :; do :; done"])
        inside = case.ok("exec", case.id(), "/probe", "cat", "/proc/self/cgroup").out
        contains(inside, path, "cgroup of an exec'd process")
        case.ok("update", "--memory", str(48 * MIB), "--pids-limit", "40", "--cpu-quota", "20000",
                "--cpu-period", "100000", case.id())
        equal([read(path, f) for f in ("memory.max", "pids.max", "cpu.max")],
              [str(48 * MIB), "40", "20000 100000"], "after update")
        if case.manager == "systemd":
            shown = case.systemctl("show", case.unit(), "-p",
                                   "MemoryMax,TasksMax,CPUQuotaPerSecUSec").out
            for want in ("MemoryMax=%d" % (48 * MIB), "TasksMax=40", "CPUQuotaPerSecUSec=200ms"):
                contains(shown, want, "what systemd knows")
        first, start = usage_of(path), time.monotonic()
        time.sleep(3)
        share = (usage_of(path) - first) / 1e6 / (time.monotonic() - start)
        print("# %s: %.3f of a CPU after update" % (way, share))
        check(share < 0.23, "used %.3f of a CPU", share)
        case.ok("pause", case.id())
        equal(case.state()["status"], "paused", "status")
        first = usage_of(path)
        time.sleep(1)
        check(usage_of(path) - first < 2000, "a paused one used %d us", usage_of(path) - first)
        case.ok("resume", case.id())
        wait_until(lambda: usage_of(path) - first > 20000, seconds=20, what="going on")
        case.ok("kill", "--all", case.id(), "KILL")
        case.wait_status("stopped")
        case.ok("delete", case.id())
        check(not exists(path), "the cgroup is left")


# -- systemd --

@test(*SYSTEMD)
def unit(way):
    """Where cgroupsPath says, delegated, with the properties of the limits; gone at the end."""
    need("memory", "cpu", "cpuset", "pids", "io")
    with Managed(way) as case:
        case.linux["cgroupsPath"] = "bt.slice:bt:" + case.id()
        case.limit(memory={"limit": 64 * MIB, "swap": 96 * MIB, "reservation": 32 * MIB},
                   cpu={"shares": 512, "quota": 30000, "period": 50000, "cpus": "0", "mems": "0"},
                   pids={"limit": 33})
        path = case.running(["/probe", "sleep", "60"])
        equal(path.split("/")[-2], "bt.slice", "slice")
        shown = dict(line.split("=", 1) for line in
                     case.systemctl("show", case.unit()).out.splitlines() if "=" in line)
        for name, want in (("MemoryMax", 64 * MIB), ("MemorySwapMax", 32 * MIB),
                           ("MemoryLow", 32 * MIB), ("CPUQuotaPerSecUSec", "600ms"),
                           ("CPUQuotaPeriodUSec", "50ms"), ("AllowedCPUs", 0),
                           ("AllowedMemoryNodes", 0), ("TasksMax", 33), ("Delegate", "yes"),
                           ("CollectMode", "inactive-or-failed"), ("DefaultDependencies", "no"),
                           ("ActiveState", "active"), ("ControlGroup", path)):
            equal(shown.get(name), str(want), name)
        if kind() == "bryo":
            equal(case.state()["cgroup"]["unit"], case.unit(), "unit that is told")
            # systemd writes again what it knows: the limits are the same.
            before = [read(path, f) for f in ("memory.max", "cpu.max", "cpu.weight", "pids.max")]
            equal(case.systemctl("daemon-reload").rc, 0, "daemon-reload")
            equal([read(path, f) for f in ("memory.max", "cpu.max", "cpu.weight", "pids.max")],
                  before, "limits after a reload")
        case.delete()
        check(not exists(path), "the cgroup is left")
        contains(case.systemctl("show", case.unit(), "-p", "LoadState").out, "not-found", "unit")


@test(*SYSTEMD)
def unit_that_is_taken(way):
    """The second is refused, and the first goes on."""
    need_bryo()
    with Managed(way) as case:
        path = case.running(["/probe", "sleep", "60"])
        result = case.run_fails(["/probe", "exit", "0"], suffix="other")
        contains(result.last_error(), "systemd has a unit %s already" % case.unit(), "error")
        contains(result.last_error(), "stop " + case.unit(), "error")
        equal(case.state()["status"], "running", "the first")
        check(exists(path), "its cgroup is gone")
        case.delete()


@test(*SYSTEMD)
def unit_that_was_stopped(way):
    """By systemctl: the container is stopped, and can be deleted and made again."""
    need_bryo()
    with Managed(way) as case:
        for _ in range(2):
            case.running(["/probe", "sleep", "60"])
            case.systemctl("kill", "-s", "KILL", case.unit())
            case.systemctl("stop", case.unit())
            case.wait_status("stopped")
            case.ok("delete", case.id())


@test(*SYSTEMD)
def every_container_has_a_unit(way):
    """With --systemd-cgroup: bryo-ID.scope, also without limits; as often as one likes."""
    need_bryo()
    with Managed(way) as case:
        case.linux.pop("cgroupsPath")
        for _ in range(10):
            out = case.run_ok(["/probe", "cat", "/proc/self/cgroup"]).out
            contains(out, "/bryo-%s.scope" % case.id(), "cgroup of the payload")
            contains(out, "user.slice" if case.who.uid else "/system.slice/", "its slice")


@test(*SYSTEMD)
def paths_of_units(way):
    """scope_name(): what is no SLICE:PREFIX:NAME is refused, and nothing is made."""
    need_bryo()
    with Managed(way) as case:
        for path in ("/a", "a", "a:b", "a:b:c", "a.slice:b:c:d", "a.slice:b:", "::x.slice",
                     "../a.slice:b:c", "a.slice:b:" + "c" * 250):
            case.linux["cgroupsPath"] = path
            contains(case.run_fails(["/probe", "exit", "0"]).last_error(), "/linux/cgroupsPath",
                     path)


@test("rootless, systemd")
def auto(way):
    """cgroup_plan(): nothing delegated, limits asked for: the user manager's scope."""
    need_bryo()
    need("pids")
    with Managed(way) as case:
        case.linux.pop("cgroupsPath")
        case.manager = "auto"
        words = ["/probe", "cat", "/proc/self/cgroup"]
        contains(case.run_ok(words).out, "0::%s\n" % own(), "cgroup without limits")
        case.limit(pids={"limit": 10})
        near = os.access(TOP + os.path.dirname(own()) + "/cgroup.procs", os.W_OK)
        contains(case.run_ok(words).out, "/bryo-%s%s\n" % (case.id(), "" if near else ".scope"),
                 "cgroup with a limit")


@test("rootless, systemd")
def missing_controller(way):
    """need_controllers(): which, where, and what would delegate it; nothing is left."""
    need_bryo()
    with Managed(way) as case:
        if "hugetlb" not in read("cgroup.controllers").split():
            raise Skip("no hugetlb controller")
        case.limit(hugepageLimits=[{"pageSize": "2MB", "limit": 0}])
        error = case.run_fails(["/probe", "exit", "0"]).last_error()
        for part in ("/linux/resources/hugepageLimits/0", "the hugetlb controller is not in",
                     case.unit(), "cpu cpuset io memory pids"):
            contains(error, part, "error")


@test("rootless, systemd")
def no_manager(way):
    """no_bus(): one line with what to do."""
    need_bryo()
    with Managed(way) as case:
        case.env["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=/nowhere"
        error = case.run_fails(["/probe", "exit", "0"]).last_error()
        contains(error, "the bus of your user manager cannot be reached", "error")
        contains(error, "enable-linger", "error")


@test(*users.MODES)
def no_systemd(mode):
    """plan_scope(): said before anything is made."""
    need_bryo()
    if os.path.isdir("/run/systemd/system"):
        raise Skip("systemd runs here")
    with Case(mode) as case:
        case.save(["/probe", "echo", "hello"])
        for words in (("--systemd-cgroup",), ("--cgroup-manager", "systemd")):
            for command in ("run", "create"):
                error = case.fails(*words, command, "-b", case.bundle.path, case.id()).last_error()
                contains(error, "systemd does not run on this host", "error")
                contains(error, "--cgroup-manager cgroupfs", "error")


# -- rows that fail, a bryo that is killed --

ROWS = ("cgroup", "limits", "clone", "scope", "idmap", "mounts", "record", "exec")


def no_unit(case):
    shown = case.systemctl("show", case.unit(), "-p", "LoadState").out
    return "not-found" in shown


@test(*SYSTEMD)
def rows_that_fail(way):
    """No unit is left, and the next run can have it at once."""
    need_bryo()
    with Managed(way, faults=True) as case:
        case.limit(pids={"limit": 20})
        for row in ROWS:
            result = case.run(["/probe", "exit", "3"], env={"BRYO_FAIL": row})
            check("injected" in result.err or result.rc == 3, "%s: %s", row, result)
            check(no_unit(case), "%s: the unit is left", row)
        equal(case.run(["/probe", "exit", "3"]).rc, 3, "exit status")


@test(*SYSTEMD)
def killed_at_rows(way):
    """Who waits in the scope goes with bryo, and the scope with him, or with `delete`."""
    need_bryo()
    with Managed(way, faults=True) as case:
        case.limit(pids={"limit": 20})
        for row in ROWS:
            case.run(["/probe", "exit", "3"], env={"BRYO_KILL": row})
            case.call("delete", "--force", case.id())
            wait_until(lambda: no_unit(case), seconds=20, what="no unit after " + row)
        equal(case.run(["/probe", "exit", "3"]).rc, 3, "exit status")
