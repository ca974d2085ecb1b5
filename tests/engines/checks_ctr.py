# SPDX-License-Identifier: Apache-2.0
"""Checks for containerd, by its client ctr."""

import os
import signal
import time

from lib import check
from lib.check import contains, contains_any, equal, wait_until

import frame
import image
from cli import caps, read, wait_gone, write
from command import ends, names_missing, ok, says
from frame import checks

STATUS = "cat /proc/self/status"


@checks("ctr")
def run_prints(e):
    says(e.run("echo", "hello"), "hello")


@checks("ctr")
def exit_code_of_the_program(e):
    ends(e.run("sh", "-c", "exit 7"), 7)


@checks("ctr")
def death_by_signal_is_128_and_number(e):
    ends(e.run("sh", "-c", "sh -c 'kill -9 $$'; exit $?"), 137)
    name = e.name()
    tty = e.terminal("run", "--rm", *e.how(), image.NAME + ":latest", name, "sleep", "300")
    wait_until(lambda: e.tasks().get(name, (0, ""))[1] == "RUNNING", 8, "RUNNING")
    ok(e("task", "kill", "-s", "SIGKILL", name))
    equal(tty.finish(), 137, "exit code")


@checks("ctr")
def program_not_found(e):
    result = e.run("/no/such")
    check.check(result.rc != 0, "%s", result)
    names_missing(result.err, "/no/such")


@checks("ctr")
def program_not_found_in_path(e):
    result = e.run("no-such-program")
    check.check(result.rc != 0, "%s", result)
    names_missing(result.err, "no-such-program")


@checks("ctr")
def not_executable(e):
    result = e.run("/etc/plain")
    check.check(result.rc != 0, "%s", result)
    contains(result.err.lower(), "permission denied")


@checks("ctr")
def output_and_errors_are_separate_and_whole(e):
    result = ok(e.run("sh", "-c", "yes 0123456789 | head -c 300000; echo oops >&2"))
    equal(len(result.out), 300000, "length")
    equal(result.err.strip(), "oops", "standard error")


@checks("ctr")
def standard_input(e):
    says(e.run("sh", "-c", "read a; echo got $a", stdin=b"given\n"), "got given")


@checks("ctr")
def environment_and_workdir(e):
    says(e.run("sh", "-c", "echo $A $(pwd)", opts=["--env", "A=b", "--cwd", "/tmp"]), "b /tmp")


@checks("ctr")
def descriptors_of_the_engine_do_not_leak(e):
    equal(sorted(ok(e.run("probe", "fds")).out.split()), ["0", "1", "2"], "open descriptors")


@checks("ctr")
def terminal_of_a_person(e):
    tty = e.terminal("run", "--rm", "-t", *e.how(), image.NAME + ":latest", e.name(), "sh")
    tty.expect("# ")
    time.sleep(0.3)
    tty.send("tty; echo size $(stty size); exit 5\n")
    tty.expect("/dev/pts/0")
    tty.expect("size 33 77")
    equal(tty.finish(), 5, "exit code")


@checks("ctr")
def detached_and_listed(e):
    name = e.box()
    pid, status = e.tasks()[name]
    equal(status, "RUNNING", "status")
    contains(read("/proc/%d/cmdline" % pid), "sleep")
    e.remove(name)
    wait_gone(pid)


@checks("ctr")
def exec_output_and_exit_code(e):
    name = e.box()
    says(e.exec(name, "echo", "inside"), "inside")
    ends(e.exec(name, "sh", "-c", "exit 9"), 9)
    e.remove(name)


@checks("ctr")
def exec_standard_input(e):
    name = e.box()
    says(e.exec(name, "sh", "-c", "read a; echo got $a", stdin=b"typed\n"), "got typed")
    e.remove(name)


@checks("ctr")
def exec_user_and_workdir(e):
    name = e.box()
    says(e.exec(name, "sh", "-c", "id -u; pwd", opts=["--user", "1000:1000", "--cwd", "/tmp"]), "1000\n/tmp")
    e.remove(name)


@checks("ctr")
def exec_terminal(e):
    name = e.box()
    tty = e.terminal("task", "exec", "-t", "--exec-id", "tty", name, "sh")
    tty.expect("# ")
    time.sleep(0.3)
    tty.send("tty; echo size $(stty size); exit 6\n")
    tty.expect("/dev/pts/0")
    tty.expect("size 33 77")
    equal(tty.finish(), 6, "exit code")
    e.remove(name)


@checks("ctr")
def exec_detached(e):
    name = e.box()
    ok(e.exec(name, "sh", "-c", "echo done >/tmp/mark; exec sleep 303", opts=["-d"]))
    wait_until(lambda: e.exec(name, "cat", "/tmp/mark").out.strip() == "done", 8, "the mark")
    equal(len(ok(e("task", "ps", name)).out.splitlines()), 3, "lines of task ps")
    e.remove(name)


@checks("ctr")
def exec_not_found(e):
    name = e.box()
    result = e.exec(name, "/no/such")
    check.check(result.rc != 0, "%s", result)
    names_missing(result.err, "/no/such")
    e.remove(name)


@checks("ctr")
def exec_is_confined_like_init(e):
    name = e.box()
    script = "for f in CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp; do grep ^$f: /proc/%s/status; done; " \
             "cat /proc/%s/cgroup"
    first = ok(e.exec(name, "sh", "-c", script.replace("%s", "1"))).out
    equal(ok(e.exec(name, "sh", "-c", script.replace("%s", "self"))).out, first, "status")
    e.remove(name)


@checks("ctr")
def exec_after_the_end_fails(e):
    name = e.box("true")
    wait_until(lambda: e.status(name) == "STOPPED", 5, "STOPPED")
    check.check(e.exec(name, "true").rc != 0, "exec into a stopped container")
    e.remove(name)


@checks("ctr")
def processes(e):
    name = e.box("sh", "-c", "sleep 301 & exec sleep 302")
    wait_until(lambda: len(ok(e("task", "ps", name)).out.splitlines()) == 3, 5, "two processes")
    contains(e("task", "ps", name).out, str(e.pid(name)))
    e.remove(name)


@checks("ctr")
def pause_and_resume(e):
    path = e.shared()
    name = e.box("sh", "-c", "while :; do date +%s%N >/b/now; usleep 20000; done",
                 opts=["--mount", "type=bind,src=%s,dst=/b,options=rbind:rw" % path])
    wait_until(lambda: os.path.exists(path + "/now"), 5, "its clock")
    ok(e("task", "pause", name))
    equal(e.status(name), "PAUSED", "status")
    text = read(path + "/now")
    time.sleep(0.4)
    equal(read(path + "/now"), text, "clock of a paused container")
    ok(e("task", "resume", name))
    equal(e.status(name), "RUNNING", "status")
    wait_until(lambda: read(path + "/now") != text, 5, "the clock to go on")
    e.remove(name)


@checks("ctr")
def remove_paused(e):
    name = e.box()
    ok(e("task", "pause", name))
    ok(e("task", "rm", "-f", name))
    ok(e("container", "rm", name))


@checks("ctr")
def kill_with_a_caught_signal(e):
    path = e.shared()
    name = e.box("sh", "-c", "trap 'echo got >/b/usr1' USR1; touch /b/ready; while :; do sleep 0.1; done",
                 opts=["--mount", "type=bind,src=%s,dst=/b,options=rbind:rw" % path])
    wait_until(lambda: os.path.exists(path + "/ready"), 5, "ready")
    ok(e("task", "kill", "-s", "USR1", name))
    wait_until(lambda: os.path.exists(path + "/usr1"), 5, "the signal")
    e.remove(name)


@checks("ctr")
def kill_all(e):
    # In the host's pid namespace, where nobody else ends the children.
    name = e.box("sh", "-c", "sleep 301 & sleep 302", opts=["--with-ns", "pid:/proc/1/ns/pid"])
    pids = [int(line.split()[0]) for line in ok(e("task", "ps", name)).out.splitlines()[1:]]
    ok(e("task", "kill", "-a", "-s", "KILL", name))
    for pid in pids:
        wait_gone(pid)
    e.remove(name)


@checks("ctr")
def kill_after_the_end_says_so(e):
    name = e.box("true")
    wait_until(lambda: e.status(name) == "STOPPED", 5, "STOPPED")
    result = e("task", "kill", name)
    check.check(result.rc != 0, "%s", result)
    contains_any(result.err, ["already finished", "not found"])
    e.remove(name)


@checks("ctr")
def metrics(e):
    name = e.box()
    contains(ok(e("task", "metrics", name)).out, name)
    e.remove(name)


@checks("ctr")
def delete_tells_the_exit_code(e):
    name = e.box("sh", "-c", "exit 11")
    wait_until(lambda: e.status(name) == "STOPPED", 5, "STOPPED")
    contains(ok(e("task", "delete", name)).err, "exit code 11")
    ok(e("container", "rm", name))


@checks("ctr")
def started_again(e):
    # A second task of one container.
    name = e.box("sh", "-c", "exit 3")
    wait_until(lambda: e.status(name) == "STOPPED", 5, "STOPPED")
    ok(e("task", "delete", name))
    ends(e("task", "start", name), 3)
    ok(e("container", "rm", name))


@checks("ctr")
def pid_file(e):
    path = e.directory + "/box.pid"
    name = e.box(opts=["--pid-file", path])
    equal(int(read(path)), e.pid(name), "pid")
    e.remove(name)


@checks("ctr")
def bind_mounts(e):
    path = e.shared()
    write(path + "/in", "given", 0o666)
    mount = "type=bind,src=%s,dst=/b,options=rbind:%s"
    says(e.run("sh", "-c", "cat /b/in; echo taken >/b/out", opts=["--mount", mount % (path, "rw")]), "given")
    equal(read(path + "/out"), "taken\n", "file")
    result = e.run("sh", "-c", "echo no >/b/in", opts=["--mount", mount % (path, "ro")])
    check.check(result.rc != 0 and "Read-only" in result.err, "%s", result)


@checks("ctr")
def bind_mount_of_nothing_names_it(e):
    result = e.run("true", opts=["--mount", "type=bind,src=/no/such/source,dst=/b,options=rbind"])
    check.check(result.rc != 0, "%s", result)
    contains(result.err, "/no/such/source")


@checks("ctr")
def tmpfs(e):
    opts = ["--mount", "type=tmpfs,src=tmpfs,dst=/t,options=size=1m:mode=700"]
    result = e.run("sh", "-c", "stat -c %a /t; df -k /t | tail -n 1 | awk '{print $2}'", opts=opts)
    equal(ok(result).out.split(), ["700", "1024"], "mode and size")


@checks("ctr")
def read_only(e):
    result = e.run("touch", "/file", opts=["--read-only"])
    check.check(result.rc != 0 and "Read-only" in result.err, "%s", result)


@checks("ctr")
def root_file_system_by_path(e):
    says(e("run", "--rm", *e.how(), "--rootfs", e.rootfs(), e.name(), "/bin/echo", "from a directory"),
         "from a directory")


@checks("ctr")
def without_pivot(e):
    says(e.run("echo", "fine", opts=["--no-pivot"]), "fine")


@checks("ctr")
def capabilities(e):
    plain = caps(ok(e.run("sh", "-c", STATUS)).out)
    opts = ["--cap-add", "CAP_NET_ADMIN", "--cap-drop", "CAP_CHOWN"]
    equal(caps(ok(e.run("sh", "-c", STATUS, opts=opts)).out), (plain | 1 << 12) & ~1, "capabilities")


@checks("ctr")
def capabilities_that_nobody_can_grant(e):
    # The specification: a warning.
    says(e.run("echo", "fine", opts=["--cap-add", "CAP_SYS_RESOURCE"]), "fine")


@checks("ctr")
def privileged(e):
    script = STATUS + "; mkdir /tmp/m; mount -t tmpfs none /tmp/m && echo mounted"
    result = e.run("sh", "-c", script, opts=["--privileged"])
    contains(ok(result).out, "mounted")


@checks("ctr")
def no_new_privileges(e):
    contains(ok(e.run("sh", "-c", STATUS)).out, "NoNewPrivs:\t1")
    contains(ok(e.run("sh", "-c", STATUS, opts=["--allow-new-privs"])).out, "NoNewPrivs:\t0")


@checks("ctr")
def seccomp(e):
    contains(ok(e.run("sh", "-c", STATUS)).out, "Seccomp:\t0")
    contains(ok(e.run("sh", "-c", STATUS, opts=["--seccomp"])).out, "Seccomp:\t2")


@checks("ctr")
def seccomp_profile(e):
    path = e.directory + "/profile.json"
    write(path, {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"],
                                                                 "action": "SCMP_ACT_ERRNO", "errnoRet": 74}]})
    result = e.run("mkdir", "/tmp/x", opts=["--seccomp", "--seccomp-profile", path])
    check.check(result.rc == 1 and "Bad message" in result.err, "%s", result)


@checks("ctr")
def user_namespace(e):
    opts = ["--uidmap", "0:300000:65536", "--gidmap", "0:300000:65536"]
    says(e.run("sh", "-c", "id -u; awk '{print $2}' /proc/self/uid_map", opts=opts), "0\n300000")


@checks("ctr")
def device(e):
    out = ok(e.run("sh", "-c", "test -c /dev/fuse && echo there", opts=["--device", "/dev/fuse"])).out
    equal(out.strip(), "there", "device")


@checks("ctr")
def device_refused(e):
    result = e.run("sh", "-c", "mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem", opts=["--cap-add", "CAP_MKNOD"])
    check.check(result.rc != 0 and "Operation not permitted" in result.err, "%s", result)


@checks("ctr")
def network_namespace_by_path(e):
    holder = e.box()
    ns = "/proc/%d/ns/net" % e.pid(holder)
    says(e.run("readlink", "/proc/self/ns/net", opts=["--with-ns", "network:" + ns]), os.readlink(ns))
    e.remove(holder)


@checks("ctr")
def namespaces_by_path(e):
    holder = e.box()
    pid = e.pid(holder)
    opts = [w for kind, name in (("pid", "pid"), ("ipc", "ipc"), ("uts", "uts"))
            for w in ("--with-ns", "%s:/proc/%d/ns/%s" % (kind, pid, name))]
    out = ok(e.run("sh", "-c", "for n in pid ipc uts; do readlink /proc/self/ns/$n; done", opts=opts)).out.split()
    equal(out, [os.readlink("/proc/%d/ns/%s" % (pid, n)) for n in ("pid", "ipc", "uts")], "namespaces")
    e.remove(holder)


@checks("ctr")
def host_network(e):
    says(e.run("readlink", "/proc/self/ns/net", opts=["--net-host"]), os.readlink("/proc/self/ns/net"))


@checks("ctr")
def cgroup_by_name(e):
    name = e.box(opts=["--cgroup", "/mine/deep"])
    contains(read("/proc/%d/cgroup" % e.pid(name)), "0::/mine/deep\n")
    e.remove(name)
    wait_until(lambda: not os.path.exists("/sys/fs/cgroup/mine/deep"), 5, "the end of its cgroup")


@checks("ctr")
def another_namespace_of_containerd(e):
    ok(e("-n", "other", "image", "import", frame.BASE + "/images/oci.tar", seconds=60))
    says(e("-n", "other", "run", "--rm", *e.how(), image.NAME + ":latest", "same", "echo", "there"), "there")


@checks("ctr")
def same_name_twice(e):
    name = e.box()
    result = e("run", "-d", *e.how(), image.NAME + ":latest", name, "true")
    check.check(result.rc != 0 and "already exists" in result.err, "%s", result)
    e.remove(name)


@checks("ctr")
def hooks(e):
    path = e.shared()
    write(path + "/hook", "#!/bin/sh\nread -r s; echo $1 >>%s/told\n" % path, 0o755)

    def change(spec):
        spec["process"].update(args=["/bin/echo", "payload"], terminal=False)
        spec["hooks"] = {stage: [{"path": path + "/hook", "args": ["hook", stage]}] for stage in
                         ("prestart", "createRuntime", "poststart", "poststop")}
    says(e.run_config(change), "payload")
    told = wait_until(lambda: "poststop" in read(path + "/told") and read(path + "/told"), 5, "poststop")
    equal(told.split(), ["prestart", "createRuntime", "poststart", "poststop"], "hooks")


@checks("ctr")
def failed_start_shows_the_cause(e):
    def change(spec):
        spec["process"].update(args=["/bin/true"], terminal=False)
        spec["linux"]["sysctl"] = {"net.ipv4.no_such_thing": "1"}
    result = e.run_config(change)
    check.check(result.rc != 0, "%s", result)
    contains(result.err, "no_such_thing")
    equal(e.tasks(), {}, "tasks")


@checks("ctr")
def limits_of_the_process(e):
    def change(spec):
        spec["process"].update(args=["/bin/sh", "-c", "ulimit -n; ulimit -c"], terminal=False)
        spec["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 100},
                                      {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
    says(e.run_config(change), "100\n0")


@checks("ctr")
def limit_of_memory_kills(e):
    frame.need_controller("memory")
    opts = ["--memory-limit", str(20 << 20)]
    ends(e.run("sh", "-c", "head -c 100m /dev/zero | tail; exit $?", opts=opts), 137)


@checks("ctr")
def many_at_once(e):
    names = [e.name() for _ in range(6)]
    ttys = [e.terminal("run", "--rm", *e.how(), image.NAME + ":latest", name, "echo", "I am " + name) for name in names]
    for name, tty in zip(names, ttys):
        tty.expect("I am " + name)
        equal(tty.finish(), 0, "exit code")


@checks("ctr")
def shim_killed(e):
    name = e.box()
    pid, shim = e.pid(name), e.shim(name)
    os.kill(shim, signal.SIGKILL)
    wait_gone(shim)
    wait_gone(pid, 10)  # containerd has `delete --force` done
    e("task", "rm", "-f", name)
    ok(e("container", "rm", name))


@checks("ctr")
def containers_outlive_the_daemon(e):
    name = e.box()
    pid = e.pid(name)
    os.kill(e.daemon.pid, signal.SIGKILL)
    e.daemon.wait()
    e.launch()
    equal(e.tasks().get(name), (pid, "RUNNING"), "task")
    says(e.exec(name, "echo", "still"), "still")
    e.remove(name)


@checks("ctr")
def nothing_is_left(e):
    e.clear()
    left = []
    for top, dirs, _ in os.walk("/run/containerd/runc"):
        left += [os.path.join(top, name) for name in dirs if name not in ("default", "other")]
    equal(left, [], "state of the runtime")
