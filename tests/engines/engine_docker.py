# SPDX-License-Identifier: Apache-2.0
"""dockerd of Debian's docker.io, with its own containerd."""

import json
import os
import signal
import time

from lib import check
from lib.check import contains, equal, wait_until

import frame
from cli import Cli, background, end, log_tail, need, read, wait_gone, write
from command import ok, says
from frame import checks


class Docker(Cli):
    docker = True
    # One from elsewhere may be another version.
    client = "/usr/bin/docker" if os.path.exists("/usr/bin/docker") else "docker"

    def __init__(self, job):
        super().__init__(job)
        need("dockerd")
        self.env = {"PATH": os.environ["PATH"], "HOME": self.directory, "DOCKER_CONFIG": self.directory}
        self.log = self.directory + "/log"
        self.socket = "unix://%s/d.sock" % self.directory
        self.bridge = True
        self.daemon = None

    def argv(self, words):
        return [self.client, "-H", self.socket, *words]

    def popen(self):
        return {"env": self.env}

    def launch(self):
        """Start dockerd and wait until it answers; it may make its bridge, which is in a network of our own."""
        write(self.directory + "/daemon.json", {})
        self.daemon = background(
            ["dockerd", "--config-file", self.directory + "/daemon.json", "--data-root", self.directory + "/root",
             "--exec-root", self.directory + "/exec", "-p", self.directory + "/pid", "-H", self.socket,
             "--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false",
             "--userland-proxy=false", "--exec-opt", "native.cgroupdriver=cgroupfs", "--storage-driver", "overlay2",
             "--add-runtime", "ours=" + self.runtime, "--default-runtime", "ours", "--live-restore",
             "--shutdown-timeout", "5"] + ([] if self.bridge else ["--bridge=none"]), self.log, env=self.env)
        return wait_until(lambda: self("version").rc == 0 or self.daemon.poll() is not None, 20, "dockerd to answer")

    def start(self):
        self.launch()
        if self.daemon.poll() is not None:
            self.bridge = False
            self.launch()
        check.check(self.daemon.poll() is None, "dockerd ends: %s", log_tail(self.log))
        ok(self("load", "-i", frame.BASE + "/images/docker.tar", seconds=60), "load")

    def stop(self):
        self.clear()
        end(self.daemon)


def _shim(e, name):
    """The process of containerd's shim above a container."""
    with open("/proc/%d/stat" % e.pid(name)) as file:
        pid = int(file.read().rpartition(")")[2].split()[1])
    contains(read("/proc/%d/cmdline" % pid), "shim")
    return pid


@checks("docker")
def info_knows_the_runtime(e):
    info = json.loads(ok(e("info", "--format", "{{json .}}")).out)
    equal(info["DefaultRuntime"], "ours", "default runtime")
    # From --version; the commit only with runc's name.
    equal(info["Runtimes"]["ours"]["path"], e.runtime, "path")


@checks("docker")
def health_check(e):
    name = e.box(opts=["--health-cmd", "test -e /tmp/well", "--health-interval", "300ms", "--health-retries", "2"])
    wait_until(lambda: e.inspect(name, "{{.State.Health.Status}}") == "unhealthy", 10, "unhealthy")
    ok(e("exec", name, "touch", "/tmp/well"))
    wait_until(lambda: e.inspect(name, "{{.State.Health.Status}}") == "healthy", 10, "healthy")
    e.remove(name)


@checks("docker")
def build(e):
    path = e.shared()
    write(path + "/Dockerfile", "FROM %s\nRUN echo made-$(id -u) >/made\nUSER 1000\nRUN id -u >/tmp/who\n" % e.image)
    ok(e("build", "--network", "none", "-q", "-t", "localhost/made", path, seconds=50), "build")
    says(e("run", "--rm", "--network", "none", "localhost/made", "cat", "/made", "/tmp/who"), "made-0\n1000")
    result = e("build", "--network", "none", "-q", "-", stdin=b"FROM localhost/bb\nRUN exit 9\n", seconds=50)
    contains(result.err, "returned a non-zero code: 9")


@checks("docker")
def bridge_network(e):
    if not e.bridge:
        raise check.Skip("no bridge in this kernel")
    server = e.name()
    ok(e("run", "-d", "--name", server, e.image, "sh", "-c", "echo served >/tmp/index.html; httpd -f -p 80 -h /tmp"))
    address = e.inspect(server, "{{.NetworkSettings.IPAddress}}")
    says(e("run", "--rm", e.image, "wget", "-q", "-O", "-", "http://%s/" % address), "served")
    e.remove(server)


@checks("docker")
def update_of_the_restart_policy(e):
    name = e.box()
    ok(e("update", "--restart", "always", name))
    os.kill(e.pid(name), signal.SIGKILL)
    wait_until(lambda: e.running(name) and e.inspect(name, "{{.RestartCount}}") == "1", 8, "the restart")
    e.remove(name)


@checks("docker")
def oom_score(e):
    says(e.run("cat", "/proc/self/oom_score_adj", opts=["--oom-score-adj", "500"]), "500")


@checks("docker")
def masks_of_devices(e):
    # No controller: a filter of BPF.
    result = e.shell("mknod /tmp/null c 1 3 && echo ok >/tmp/null; mknod /tmp/mem c 1 1 && cat /tmp/mem")
    check.check("Operation not permitted" in result.err, "%s", result)


@checks("docker")
def device_allowed_by_rule(e):
    script = "mknod /tmp/fuse c 10 229; head -c 1 </tmp/fuse 2>&1"
    closed = e.shell(script)
    contains(closed.out + closed.err, "Operation not permitted")
    opened = e.shell(script, opts=["--device-cgroup-rule", "c 10:229 rwm"])
    check.check("Operation not permitted" not in (opened.out + opened.err).split("head:")[0], "%s", opened)


@checks("docker")
def shim_killed(e):
    name = e.box()
    pid, shim = e.pid(name), _shim(e, name)
    os.kill(shim, signal.SIGKILL)
    wait_gone(shim)
    wait_gone(pid, 10)
    e.remove(name)


@checks("docker")
def containers_outlive_the_daemon(e):
    name = e.box()
    pid = e.pid(name)
    os.kill(e.daemon.pid, signal.SIGKILL)
    e.daemon.wait()
    time.sleep(0.2)
    e.launch()
    check.check(e.running(name) and e.pid(name) == pid, "not the same container")
    says(e("exec", name, "echo", "still"), "still")
    e.remove(name)
    wait_gone(pid)


@checks("docker")
def renamed_and_listed(e):
    name = e.box()
    ok(e("rename", name, "other-name"))
    contains(ok(e("ps", "--format", "{{.Names}} {{.Status}}")).out, "other-name Up")
    e.remove("other-name")


@checks("docker")
def difference_and_commit(e):
    name = e.box("sh", "-c", "echo x >/new")
    ok(e("wait", name))
    contains(ok(e("diff", name)).out, "A /new")
    ok(e("commit", name, "localhost/kept"))
    says(e("run", "--rm", "--network", "none", "localhost/kept", "cat", "/new"), "x")
    e.remove(name)


@checks("docker")
def propagation_of_mounts(e):
    path = e.shared()
    out = ok(e.shell("grep ' /b ' /proc/self/mountinfo", opts=["-v", path + ":/b:rprivate"])).out
    check.check(" /b " in out and "shared:" not in out and "master:" not in out, "%r", out)


@checks("docker")
def nothing_is_left(e):
    e.clear()
    equal(ok(e("ps", "-aq")).out, "", "containers")
    path = e.directory + "/exec/runtime-ours/moby"
    equal(os.listdir(path) if os.path.isdir(path) else [], [], "state of the runtime")
