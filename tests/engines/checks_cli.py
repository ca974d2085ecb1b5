# SPDX-License-Identifier: Apache-2.0
"""Checks for docker, podman and podman of an ordinary user: one container's life and confinement."""

import os
import signal
import time

from lib import check
from lib.check import contains, equal, wait_until

from cli import caps, read, wait_gone, write
from command import ends, names_missing, ok, says
from frame import checks, need_controller

ALL = ("podman", "podman-rootless", "docker")
ROOT = ("podman", "docker")
STATUS = "cat /proc/self/status"


# ---- run and exit codes

@checks(*ALL)
def run_prints(e):
    says(e.run("echo", "hello"), "hello")


@checks(*ALL)
def exit_code_of_the_program(e):
    ends(e.shell("exit 7"), 7)
    ends(e.run("false"), 1)


@checks(*ALL)
def program_not_found_is_127(e):
    result = ends(e.run("no-such-program"), 127)
    names_missing(result.err, "no-such-program")


@checks(*ALL)
def path_not_found_is_127(e):
    result = ends(e.run("/no/such"), 127)
    names_missing(result.err, "/no/such")


@checks(*ALL)
def not_executable_is_126(e):
    contains(ends(e.run("/etc/plain"), 126).err.lower(), "permission denied")


@checks(*ALL)
def directory_is_126(e):
    ends(e.run("/etc"), 126)


@checks(*ALL)
def death_by_signal_is_128_and_number(e):
    name = e.box()
    ok(e("kill", "-s", "KILL", name))
    says(e("wait", name), "137")
    e.remove(name)


@checks(*ALL)
def standard_input(e):
    says(e.run("cat", opts=["-i"], stdin=b"from outside\n"), "from outside")


@checks(*ALL)
def output_and_errors_are_separate_and_whole(e):
    result = ok(e.shell("yes 0123456789 | head -c 300000; echo oops >&2"))
    equal(len(result.out), 300000, "length")
    equal(result.err.strip(), "oops", "standard error")


@checks(*ALL)
def create_and_start_attached(e):
    name = e.name()
    ok(e("create", "--name", name, *e.defaults, e.image, "sh", "-c", "echo late; exit 3"))
    result = ends(e("start", "-a", name), 3)
    contains(result.out, "late")
    e.remove(name)


@checks(*ALL)
def logs(e):
    name = e.box("sh", "-c", "echo one; echo two >&2; sleep 300")
    e.logs_have(name, "one")
    wait_until(lambda: "two" in e("logs", name).err, 5, "two")
    e.remove(name)


@checks(*ALL)
def environment_workdir_hostname(e):
    script = "echo $A-$(pwd)-$(hostname)"
    says(e.shell(script, opts=["-e", "A=x y", "-w", "/work", "--hostname", "boxy"]), "x y-/work-boxy")


@checks(*ALL)
def descriptors_of_the_engine_do_not_leak(e):
    equal(sorted(ok(e.run("probe", "fds")).out.split()), ["0", "1", "2"], "open descriptors")


# ---- terminals

@checks(*ALL)
def terminal_without_a_person(e):
    out = ok(e.shell("test -t 0 && test -t 1 && tty", opts=["-t"])).out
    contains(out, "/dev/pts/0")


@checks(*ALL)
def terminal_of_a_person(e):
    tty = e.terminal("run", "--rm", "-it", *e.defaults, e.image, "sh")
    tty.expect("# ")
    tty.send("echo size $(stty size); exit 5\n")
    tty.expect("size 33 77")
    equal(tty.finish(), 5, "exit code")


@checks(*ALL)
def terminal_is_resized(e):
    script = "trap 'echo now $(stty size)' WINCH; echo ready; while :; do sleep 0.1; done"
    tty = e.terminal("run", "--rm", "-it", *e.defaults, e.image, "sh", "-c", script)
    tty.expect("ready")
    time.sleep(0.3)
    tty.resize(44, 88)
    os.kill(tty.child.pid, signal.SIGWINCH)
    tty.expect("now 44 88")
    tty.send("\x03")
    equal(tty.finish(), 130, "exit code after ^C")


@checks(*ALL)
def dev_console_is_the_terminal(e):
    contains(ok(e.shell("test -c /dev/console && echo hi >/dev/console", opts=["-t"])).out, "hi")


# ---- exec

@checks(*ALL)
def exec_output_and_exit_code(e):
    name = e.box()
    says(e("exec", name, "echo", "inside"), "inside")
    ends(e("exec", name, "sh", "-c", "exit 9"), 9)
    e.remove(name)


@checks(*ALL)
def exec_standard_input(e):
    name = e.box()
    says(e("exec", "-i", name, "cat", stdin=b"typed\n"), "typed")
    e.remove(name)


@checks(*ALL)
def exec_user(e):
    name = e.box()
    says(e("exec", "-u", "1000:2000", name, "sh", "-c", "id -u; id -g"), "1000\n2000")
    says(e("exec", "-u", "tester", name, "sh", "-c", "id -u; id -g"), "1000\n1000")
    e.remove(name)


@checks(*ALL)
def exec_workdir_and_environment(e):
    name = e.box(opts=["-e", "A=1"])
    says(e("exec", "-w", "/tmp", "-e", "B=2", name, "sh", "-c", "echo $(pwd) $A $B"), "/tmp 1 2")
    e.remove(name)


@checks(*ALL)
def exec_detached(e):
    name = e.box()
    ok(e("exec", "-d", name, "sh", "-c", "echo done >/tmp/mark; sleep 300"))
    wait_until(lambda: e("exec", name, "cat", "/tmp/mark").out.strip() == "done", 8, "the mark")
    e.remove(name)


@checks(*ALL)
def exec_terminal(e):
    name = e.box()
    contains(ok(e("exec", "-t", name, "sh", "-c", "test -t 0 && tty")).out, "/dev/pts/0")
    tty = e.terminal("exec", "-it", name, "sh")
    tty.expect("# ")
    # Engines set the size after the start: runc has none before.
    time.sleep(0.3)
    tty.send("echo size $(stty size); exit 6\n")
    tty.expect("size 33 77")
    equal(tty.finish(), 6, "exit code")
    e.remove(name)


@checks(*ALL)
def exec_not_found_and_not_executable(e):
    name = e.box()
    # docker of old times says 126 for both.
    for program in ("no-such-program", "/no/such"):
        result = e("exec", name, program)
        check.check(result.rc == 127 or e.docker and result.rc == 126, "%s", result)
        names_missing(result.out + result.err, program)
    result = ends(e("exec", name, "/etc/plain"), 126)
    contains((result.out + result.err).lower(), "permission denied")
    e.remove(name)


@checks(*ALL)
def exec_is_confined_like_init(e):
    name = e.box()
    wanted = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters", "Uid",
              "Gid")

    def pick(text):
        return [line for line in text.splitlines() if line.split(":")[0] in wanted]
    script = "cat /proc/%s/status; cat /proc/%s/cgroup; " \
             "for n in mnt pid net ipc uts user cgroup; do readlink /proc/%s/ns/$n; done"
    first = ok(e("exec", name, "sh", "-c", script.replace("%s", "1"))).out
    ours = ok(e("exec", name, "sh", "-c", script.replace("%s", "self"))).out
    equal(pick(ours), pick(first), "status of exec and of process 1")
    equal(ours.splitlines()[-7:], first.splitlines()[-7:], "namespaces")
    equal([line for line in ours.splitlines() if "::" in line], [line for line in first.splitlines() if "::" in line],
          "cgroups")
    e.remove(name)


@checks(*ALL)
def exec_privileged(e):
    name = e.box()
    plain = caps(ok(e("exec", name, "sh", "-c", STATUS)).out)
    more = caps(ok(e("exec", "--privileged", name, "sh", "-c", STATUS)).out)
    check.check(more & plain == plain and more != plain, "capabilities %x with --privileged, %x without", more, plain)
    e.remove(name)


@checks(*ALL)
def exec_many_at_once(e):
    name = e.box()
    script = " & ".join("echo $(( %d * 1 ))" % n for n in range(3))
    running = [e.terminal("exec", name, "sh", "-c", "echo n%d; %s; wait" % (n, script)) for n in range(5)]
    for number, tty in enumerate(running):
        tty.expect("n%d" % number)
        equal(tty.finish(), 0, "exit code")
    e.remove(name)


# ---- the processes of a container

@checks(*ALL)
def top(e):
    name = e.box("sh", "-c", "sleep 301 & sleep 302")
    wait_until(lambda: "sleep 301" in e("top", name).out, 5, "sleep in top")
    e.remove(name)


@checks(*ALL)
def kill_with_a_caught_signal(e):
    name = e.box("sh", "-c", "trap 'echo got usr1' USR1; echo ready; while :; do sleep 0.1; done")
    e.logs_have(name, "ready")
    ok(e("kill", "-s", "USR1", name))
    e.logs_have(name, "got usr1")
    ok(e("kill", "-s", "9", name))
    wait_until(lambda: not e.running(name), 5, "its end")
    e.remove(name)


@checks(*ALL)
def stop_lets_it_end_itself(e):
    name = e.box("sh", "-c", "trap 'exit 42' TERM; echo ready; while :; do sleep 0.1; done")
    e.logs_have(name, "ready")
    ok(e("stop", "-t", "8", name))
    equal(e.inspect(name, "{{.State.ExitCode}}"), "42", "exit code")
    e.remove(name)


@checks(*ALL)
def stop_kills_what_does_not_listen(e):
    name = e.box("probe", "ignore-term")
    e.logs_have(name, "ready")
    ok(e("stop", "-t", "1", name))
    equal(e.inspect(name, "{{.State.ExitCode}}"), "137", "exit code")
    e.remove(name)


@checks(*ALL)
def restart(e):
    name = e.box("sh", "-c", "echo life; exec sleep 300")
    before = e.pid(name)
    ok(e("restart", "-t", "0", name))
    check.check(e.running(name) and e.pid(name) != before, "not a new process")
    wait_until(lambda: e("logs", name).out.count("life") == 2, 5, "two lives")
    says(e("exec", name, "echo", "again"), "again")
    e.remove(name)


@checks(*ALL)
def wait_for_the_end(e):
    name = e.box("sh", "-c", "sleep 0.5; exit 12")
    says(e("wait", name), "12")
    e.remove(name)


@checks(*ALL)
def remove_by_force(e):
    name = e.box()
    pid = e.pid(name)
    e.remove(name)
    wait_gone(pid)
    check.check(e("inspect", name).rc != 0, "still known")


@checks(*ALL)
def init_process(e):
    out = ok(e.shell("sleep 0.1 & echo me $$; cat /proc/1/cmdline | tr '\\0' ' '", opts=["--init"])).out
    check.check("me 1\n" not in out, "the program is process 1: %r", out)
    ends(e.shell("exit 8", opts=["--init"]), 8)


@checks(*ALL)
def restart_policy(e):
    name = e.box("sh", "-c", "echo try; exit 4", opts=["--restart", "on-failure:2"])
    wait_until(lambda: e("logs", name).out.count("try") == 3 and not e.running(name), 10, "three tries")
    equal(e.inspect(name, "{{.State.ExitCode}}"), "4", "exit code")
    e.remove(name)


@checks(*ALL)
def attach(e):
    name = e.box("sh", "-c", "while ! test -e /tmp/go; do sleep 0.1; done; echo bye; exit 21")
    tty = e.terminal("attach", name)
    time.sleep(0.5)
    ok(e("exec", name, "touch", "/tmp/go"))
    tty.expect("bye")
    # podman loses it now and then: its business.
    check.check(tty.finish() == 21 or not e.docker, "exit code of docker attach")
    says(e("wait", name), "21")
    e.remove(name)


# ---- file systems

@checks(*ALL)
def read_only(e):
    result = e.shell("touch /file || touch /tmp/file && touch /t/file && echo fine",
                     opts=["--read-only", "--tmpfs", "/t", "--tmpfs", "/tmp"])
    says(result, "fine")
    contains(result.err, "Read-only file system")


@checks(*ALL)
def bind_mounts(e):
    path = e.shared()
    write(path + "/in", "given", 0o666)
    says(e.shell("cat /b/in; echo taken >/b/out", opts=["-v", path + ":/b"]), "given")
    equal(read(path + "/out"), "taken\n", "file")
    result = e.shell("cat /b/in; echo no >/b/in", opts=["-v", path + ":/b:ro"])
    check.check(result.rc != 0 and "Read-only" in result.err and "given" in result.out, "%s", result)
    says(e.run("cat", "/one", opts=["-v", path + "/in:/one:ro"]), "given")


@checks(*ALL)
def bind_mount_of_nothing_names_it(e):
    result = e.run("true", opts=["--mount", "type=bind,src=/no/such/source,dst=/b"])
    check.check(result.rc in (125, 126, 127), "%s", result)
    contains(result.err, "/no/such/source")


@checks(*ALL)
def volumes(e):
    name = e.name()
    ok(e.shell("echo kept >/v/file", opts=["-v", name + ":/v"]))
    says(e.run("cat", "/v/file", opts=["-v", name + ":/v"]), "kept")
    ok(e("volume", "rm", name))


@checks(*ALL)
def tmpfs_and_shm(e):
    opts = ["--tmpfs", "/t:size=1m,mode=0700", "--shm-size", "2m"]
    out = ok(e.shell("stat -c %a /t; df -k /t /dev/shm | tail -n 2 | awk '{print $2}'", opts=opts)).out
    equal(out.split(), ["700", "1024", "2048"], "mode and sizes")


@checks(*ALL)
def devices(e):
    source = "/dev/zero"
    out = ok(e.shell("head -c 3 /dev/mine | od -An -tx1; ls /dev", opts=["--device", source + ":/dev/mine"])).out
    contains(out, "00 00 00")
    for name in ("null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "fd", "stdin"):
        contains(out.split(), name)


@checks(*ALL)
def masked_and_read_only_paths(e):
    result = e.shell("cat /proc/kcore | head -c 1 | wc -c; ls /sys/firmware | wc -l; echo 1 >/proc/sys/kernel/panic")
    equal(result.out.split(), ["0", "0"], "kcore and firmware")
    check.check(result.rc != 0 and "Read-only" in result.err, "%s", result)


@checks(*ALL)
def copy_into_and_out_of(e):
    path = e.shared()
    write(path + "/a", "copied", 0o644)
    name = e.box()
    ok(e("cp", path + "/a", name + ":/tmp/a"))
    says(e("exec", name, "cat", "/tmp/a"), "copied")
    ok(e("cp", name + ":/tmp/a", path + "/b"))
    equal(read(path + "/b"), "copied", "file")
    e.remove(name)


# ---- privileges

@checks(*ALL)
def user_and_groups(e):
    out = ok(e.run("id", opts=["--user", "1000:1000", "--group-add", "2000"])).out
    contains(out, "uid=1000")
    contains(out, "2000")
    contains(ok(e.run("id", opts=["--user", "tester"])).out, "uid=1000")


@checks(*ALL)
def capabilities(e):
    none = ok(e.shell(STATUS, opts=["--cap-drop", "all"])).out
    equal((caps(none), caps(none, "CapBnd")), (0, 0), "without capabilities")
    plain = caps(ok(e.shell(STATUS)).out)
    more = caps(ok(e.shell(STATUS, opts=["--cap-add", "NET_ADMIN", "--cap-drop", "CHOWN"])).out)
    equal(more, (plain | 1 << 12) & ~1, "with NET_ADMIN, without CHOWN")


@checks(*ALL)
def capabilities_all(e):
    plain = caps(ok(e.shell(STATUS)).out)
    more = caps(ok(e.shell(STATUS, opts=["--cap-add", "ALL"])).out)
    check.check(more & plain == plain and more & 1 << 21, "capabilities %x, without them %x", more, plain)


@checks(*ALL)
def privileged(e):
    script = STATUS + "; mkdir /tmp/m && mount -t tmpfs none /tmp/m && echo mounted"
    out = ok(e.shell(script, opts=["--privileged"])).out
    if not e.rootless:
        # What this machine can grant, of those that the engine knows: CAP_AUDIT_READ is the last of docker's.
        limit = caps(read("/proc/self/status"), "CapBnd")
        equal(caps(out) & (1 << 38) - 1, limit & (1 << 38) - 1, "capabilities")
    contains(out, "mounted")
    contains(out, "Seccomp:\t0")


@checks(*ALL)
def no_new_privileges(e):
    contains(ok(e.shell(STATUS, opts=["--security-opt", "no-new-privileges"])).out, "NoNewPrivs:\t1")


@checks(*ALL)
def seccomp(e):
    contains(ok(e.shell(STATUS)).out, "Seccomp:\t2")
    contains(ok(e.shell(STATUS, opts=["--security-opt", "seccomp=unconfined"])).out, "Seccomp:\t0")
    path = e.shared() + "/profile.json"
    write(path, {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
                 "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 74}]})
    result = e.run("mkdir", "/tmp/x", opts=["--security-opt", "seccomp=" + path])
    check.check(result.rc == 1 and "Bad message" in result.err, "%s", result)


@checks(*ALL)
def resource_limits_of_processes(e):
    # Without one for nproc podman asks for more than may be had.
    opts = ["--ulimit", "nofile=512:600", "--ulimit", "core=0:0", "--ulimit", "nproc=1000:1000"]
    says(e.shell("ulimit -Sn; ulimit -Hn; ulimit -c", opts=opts), "512\n600\n0")


@checks(*ALL)
def sysctl(e):
    says(e.run("cat", "/proc/sys/kernel/msgmax", opts=["--sysctl", "kernel.msgmax=7000"]), "7000")


@checks(*ALL)
def failed_start_shows_the_cause(e):
    result = e.run("true", opts=["--sysctl", "net.ipv4.no_such_thing=1"])
    check.check(result.rc in (125, 126, 127), "%s", result)
    contains(result.err, "no_such_thing")
    equal(e("ps", "-aq").out.strip(), "", "containers left")


# ---- namespaces

@checks(*ALL)
def namespaces_of_another_container(e):
    first = e.box(opts=["--ipc", "shareable", "--hostname", "first"])
    opts = ["--pid", "container:" + first, "--ipc", "container:" + first, "--network", "container:" + first]
    script = "for n in pid ipc net; do readlink /proc/self/ns/$n; done; ps"
    out = ok(e("run", "--rm", *opts, e.image, "sh", "-c", script)).out
    inside = [os.readlink("/proc/%d/ns/%s" % (e.pid(first), n)) for n in ("pid", "ipc", "net")]
    equal(out.splitlines()[:3], inside, "namespaces")
    contains(out, "sleep 300")
    e.remove(first)


@checks(*ALL)
def namespaces_of_the_host(e):
    kinds = {"pid": "pid", "net": "network", "uts": "uts", "ipc": "ipc"}
    if e.rootless and not os.path.exists("/dev/mqueue"):
        del kinds["ipc"]  # podman wants the host's directory
    opts = [word for kind in kinds.values() for word in ("--" + kind, "host")]
    script = "for n in %s; do readlink /proc/self/ns/$n; done" % " ".join(kinds)
    equal(ok(e("run", "--rm", *opts, e.image, "sh", "-c", script)).out.split(),
          [os.readlink("/proc/self/ns/" + n) for n in kinds], "namespaces")


@checks(*ALL)
def network_none_has_loopback(e):
    out = ok(e.shell("ip addr")).out
    contains(out, "127.0.0.1")
    check.check("eth0" not in out and "10.99.0.1" not in out, "%r", out)


@checks(*ROOT)
def cgroup_namespace(e):
    private = ok(e.shell("grep ^0:: /proc/self/cgroup", opts=["--cgroupns", "private"])).out
    equal(private.strip(), "0::/", "own cgroup namespace")
    host = ok(e.shell("grep ^0:: /proc/self/cgroup", opts=["--cgroupns", "host"])).out
    check.check(len(host.strip()) > 10, "the host's cgroup namespace: %r", host)


@checks(*ROOT)
def its_cgroup_is_its_own(e):
    name = e.box()
    lines = [line.strip() for line in open("/proc/%d/cgroup" % e.pid(name)) if line.startswith("0::")]
    check.check(lines and e.inspect(name, "{{.Id}}")[:12] in lines[0], "cgroup %r", lines)
    path = "/sys/fs/cgroup" + lines[0][3:]
    check.check(os.path.isdir(path), "%s is not there", path)
    e.remove(name)
    wait_until(lambda: not os.path.exists(path), 5, "the end of " + path)


# ---- pause, statistics and limits

@checks(*ROOT)
def pause_and_unpause(e):
    path = e.shared()
    name = e.box("sh", "-c", "while :; do date +%s%N >/b/now; usleep 20000; done", opts=["-v", path + ":/b"])
    wait_until(lambda: os.path.exists(path + "/now"), 5, "its clock")
    ok(e("pause", name))
    equal(e.inspect(name, "{{.State.Status}}"), "paused", "status")
    text = read(path + "/now")
    time.sleep(0.4)
    equal(read(path + "/now"), text, "clock of a paused container")
    ok(e("unpause", name))
    wait_until(lambda: read(path + "/now") != text, 5, "the clock to go on")
    e.remove(name)


@checks(*ROOT)
def remove_paused(e):
    name = e.box()
    ok(e("pause", name))
    pid = e.pid(name)
    e.remove(name)
    wait_gone(pid)


@checks(*ROOT)
def stats(e):
    name = e.box()
    contains(ok(e("stats", "--no-stream", name)).out, name)
    e.remove(name)


@checks(*ROOT)
def limit_of_processes(e):
    need_controller("pids")
    opts = ["--pids-limit", "20"]
    result = e.shell("for i in $(seq 40); do sleep 3 & done; echo no", opts=opts)
    check.check("an't fork" in result.err, "%s", result)


@checks(*ROOT)
def no_limit_of_processes(e):
    # podman hands the 0 on, docker does not.
    says(e.shell("sleep 0; echo fine", opts=["--pids-limit", "0"]), "fine")


@checks(*ROOT)
def limit_of_memory_kills(e):
    need_controller("memory")
    ends(e.shell("head -c 100m /dev/zero | tail", opts=["--memory", "20m"]), 137)


@checks(*ROOT)
def update_of_limits(e):
    need_controller("pids")
    name = e.box()
    ok(e("update", "--pids-limit", "33", name))
    out = ok(e("exec", name, "sh", "-c", "cat /sys/fs/cgroup/pids.max")).out
    equal(out.strip(), "33", "pids.max")
    e.remove(name)
