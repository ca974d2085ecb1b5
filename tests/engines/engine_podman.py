# SPDX-License-Identifier: Apache-2.0
"""podman, of root and of an ordinary user."""

import fcntl
import json
import os
import shutil
import signal
import socket
import time

from lib import check
from lib.check import contains, equal, wait_until

import command
import frame
import image
from cli import Cli, need, read, wait_gone, write
from command import ends, ok, says
from frame import checks

CONF = """
[containers]
netns = "none"
pids_limit = 0
default_ulimits = ["nofile=1024:1024", "nproc=4000:4000"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
stop_timeout = 0
runtime = "%(kind)s"
runtime_supports_json = ["%(kind)s", "bryo", "runc", "crun"]
runtime_supports_nocgroup = ["bryo", "crun"]
[engine.runtimes]
%(kind)s = ["%(runtime)s"]
"""


class Podman(Cli):
    driver = "overlay"

    def __init__(self, job):
        super().__init__(job)
        need("podman")
        self.conf = self.directory + "/containers.conf"
        write(self.conf, CONF % {"kind": job.kind, "runtime": self.runtime})
        # catatonit is in another place on every distribution.
        for path in ("/usr/libexec/podman/catatonit", "/usr/bin/catatonit"):
            if os.path.exists(path):
                write(self.conf, read(self.conf).replace("[engine]", 'init_path = "%s"\n[engine]' % path, 1))
                break
        self.env = {"PATH": os.environ["PATH"], "HOME": "/root", "CONTAINERS_CONF": self.conf, "TMPDIR": "/tmp"}
        self.places = ["--root", self.directory + "/storage", "--runroot", self.directory + "/runroot",
                       "--tmpdir", self.directory + "/tmp"]

    def argv(self, words):
        return ["podman", *self.places, "--storage-driver", self.driver, *words]

    def popen(self):
        return {"env": self.env}

    def start(self):
        ok(self("import", "--change", "CMD=/bin/sh", "--change", "ENV=PATH=/bin",
                frame.BASE + "/images/rootfs.tar", image.NAME, seconds=60), "import")

    def clear(self):
        self("pod", "rm", "-fa", "-t", "0")
        self("rm", "-fa", "-t", "0")

    def running(self, name):
        return self.inspect(name, "{{.State.Running}}") == "true"

    def conmon(self, name):
        return int(read(self.inspect(name, "{{.ConmonPidFile}}")))


class Rootless(Podman):
    rootless = True

    def __init__(self, job):
        super().__init__(job)
        need("newuidmap")
        home = frame.BASE + "/home"
        xdg = frame.BASE + "/xdg"
        for path in (home, xdg, self.directory):
            os.makedirs(path, mode=0o700, exist_ok=True)
            os.chown(path, job.uid, job.gid)
        self.env.update(HOME=home, USER=job.user, XDG_RUNTIME_DIR=xdg)
        self.places = []

    def popen(self):
        return {"env": self.env, "user": self.job.uid, "group": self.job.gid, "extra_groups": [],
                "cwd": self.env["HOME"]}

    def shared(self, mode=0o777):
        path = super().shared(mode)
        os.chown(path, self.job.uid, self.job.gid)
        return path


PODMAN = ("podman", "podman-rootless")


@checks(*PODMAN)
def pods(e):
    if not shutil.which("catatonit") and not os.path.exists("/usr/libexec/podman/catatonit"):
        raise check.Skip("no catatonit for the pod's first process")
    name = e.name()
    # The pod's cgroup of podman 4.3 with cgroupfs denies all devices.
    parent = () if e.rootless else ("--share-parent=false",)
    ok(e("pod", "create", "--name", name, "--network", "none", "--hostname", "poddy", *parent), "pod create")
    first = e.name()
    ok(e("run", "-d", "--pod", name, "--name", first, e.image, "sleep", "300"), "run in pod")
    script = "hostname; for n in net ipc uts; do readlink /proc/self/ns/$n; done"
    out = ok(e("run", "--rm", "--pod", name, e.image, "sh", "-c", script)).out.split()
    pid = e.pid(first)
    equal(out, ["poddy"] + [os.readlink("/proc/%d/ns/%s" % (pid, n)) for n in ("net", "ipc", "uts")], "the pod")
    ok(e("pod", "stop", "-t", "0", name))
    ok(e("pod", "start", name))
    says(e("exec", first, "echo", "again"), "again")
    ok(e("pod", "rm", "-f", "-t", "0", name), "pod rm")


# podman 4.3 with cgroupfs on cgroup v2 denies a pod of root all devices: its own filter, whatever the runtime.
@checks("podman-rootless")
def kube_play(e):
    path = e.shared() + "/pod.yaml"
    write(path, """
apiVersion: v1
kind: Pod
metadata: {name: kubish}
spec:
  restartPolicy: Never
  containers:
  - name: one
    image: %s
    imagePullPolicy: Never
    command: [sh, -c, "echo from kube; sleep 300"]
    securityContext: {runAsUser: 1000, readOnlyRootFilesystem: true}
""" % e.image)
    ok(e("play", "kube", "--network", "none", path), "play kube")
    e.logs_have("kubish-one", "from kube")
    says(e("exec", "kubish-one", "id", "-u"), "1000")
    ok(e("play", "kube", "--down", path), "play kube --down")


@checks(*PODMAN)
def hooks(e):
    path = e.shared()
    script = path + "/hook.sh"
    write(script, """#!/bin/sh
id=$(tr -d '\\n' | sed 's/.*"id": *"\\([^"]*\\)".*/\\1/')
echo $1 $id >>%s/told
""" % path, 0o755)
    stages = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
    os.mkdir(path + "/d")
    os.chmod(path + "/d", 0o755)
    for stage in stages:
        # createContainer runs with the container's mounts: the script is below a bind mount there.
        write("%s/d/%s.json" % (path, stage), {
            "version": "1.0.0", "hook": {"path": script, "args": ["hook.sh", stage]}, "when": {"always": True},
            "stages": [stage]})
    write(path + "/told", "", 0o666)
    name = e.name()
    ok(e("--hooks-dir", path + "/d", "run", "--name", name, *e.defaults, "-v", path + ":" + path, e.image, "true"))
    ident = e.inspect(name, "{{.Id}}")
    ok(e("--hooks-dir", path + "/d", "rm", "-f", name))
    lines = wait_until(lambda: len(read(path + "/told").splitlines()) >= 5 and read(path + "/told").splitlines(), 5,
                       "five hooks")
    equal(lines, ["%s %s" % (stage, ident) for stage in stages], "hooks")


@checks(*PODMAN)
def failing_hook_stops_the_start(e):
    path = e.shared()
    hook = {"path": "/bin/sh", "args": ["sh", "-c", "echo mine >&2; exit 3"]}
    write(path + "/h.json", {"version": "1.0.0", "hook": hook, "when": {"always": True}, "stages": ["prestart"]})
    result = e("--hooks-dir", path, "run", "--rm", *e.defaults, e.image, "echo", "never")
    check.check(result.rc not in (0, 3) and "never" not in result.out, "%s", result)
    contains(result.err, "hook")


@checks(*PODMAN)
def health_check(e):
    name = e.box(opts=["--health-cmd", "test -e /tmp/well", "--health-interval", "disable", "--health-retries", "1"])
    ends(e("healthcheck", "run", name), 1)
    ok(e("exec", name, "touch", "/tmp/well"))
    ok(e("healthcheck", "run", name), "healthcheck run")
    e.remove(name)


def _notified(e, how, script):
    """What systemd would be told by a container."""
    path = e.shared() + "/notify"
    name = e.name()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        os.chmod(path, 0o777)
        server.settimeout(8)
        e.env["NOTIFY_SOCKET"] = path
        try:
            ok(e("run", "-d", "--name", name, "--sdnotify", how, *e.defaults, e.image, "sh", "-c", script), "run")
            text = ""
            while "READY=1" not in text:
                text += server.recv(4096).decode() + "\n"
            return name, text
        except socket.timeout:
            check.fail("READY=1 did not come: %r %s", text, e("logs", name))
        finally:
            del e.env["NOTIFY_SOCKET"]


@checks(*PODMAN)
def notify_by_the_container(e):
    name, text = _notified(e, "container", "sleep 0.3; probe notify READY=1; sleep 300")
    contains(text, "READY=1")
    contains(text, "MAINPID=%d" % e.conmon(name))
    e.remove(name)


@checks(*PODMAN)
def notify_by_conmon(e):
    name, text = _notified(e, "conmon", "sleep 300")
    contains(text, "MAINPID=%d" % e.conmon(name))
    e.remove(name)


def _with_descriptors(e, files, *words, **env):
    """podman with these files as descriptors 3, 4, ..., and LISTEN_PID its own."""
    high = [fcntl.fcntl(file, fcntl.F_DUPFD, 50) for file in files]
    move = " ".join("%d<&%d %d<&-" % (3 + number, fd, fd) for number, fd in enumerate(high))
    try:
        how = e.popen()
        how["env"] = dict(how["env"], **env)
        # A python of somebody's home may be out of reach for others; other shells know no two-digit descriptors.
        return command.run(["bash", "-c", "LISTEN_PID=$$ exec \"$@\" " + move, "bash"] + e.argv(words),
                           pass_fds=high, **how)
    finally:
        for fd in high:
            os.close(fd)


def _letter(text):
    """A pipe with something in it."""
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "w") as file:
        file.write(text)
    return os.fdopen(ours)


@checks(*PODMAN)
def preserved_descriptors(e):
    with _letter("to three\n") as three, _letter("to four\n") as four:
        says(_with_descriptors(e, [three, four], "run", "--rm", "--preserve-fds", "2", *e.defaults, e.image,
                               "sh", "-c", "cat <&3; cat <&4"), "to three\nto four")


@checks(*PODMAN)
def exec_preserved_descriptors(e):
    name = e.box()
    with _letter("to three\n") as three:
        says(_with_descriptors(e, [three], "exec", "--preserve-fds", "1", name, "sh", "-c", "cat <&3"), "to three")
    e.remove(name)


@checks(*PODMAN)
def socket_activation(e):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        script = "echo $LISTEN_FDS $LISTEN_PID; readlink /proc/self/fd/3"
        out = ok(_with_descriptors(e, [server], "run", "--rm", *e.defaults, e.image, "sh", "-c", script,
                                   LISTEN_FDS="1")).out
        check.check(out.startswith("1 1\nsocket:"), "%r", out)


@checks(*PODMAN)
def systemd_mode(e):
    out = ok(e.shell("stat -f -c %T /run /tmp; echo $container", opts=["--systemd", "always"])).out
    equal(out.split()[-1], "podman", "container=")
    check.check(out.split()[0] == "tmpfs", "%r", out)


@checks("podman")
def without_cgroups(e):
    if e.job.kind == "runc":
        raise check.Skip("runc has no such option")
    name = e.box(opts=["--cgroups", "disabled"])
    says(e("exec", name, "echo", "fine"), "fine")
    e.remove(name)


@checks("podman")
def cgroups_without_conmon(e):
    says(e.run("echo", "fine", opts=["--cgroups", "no-conmon"]), "fine")


@checks("podman")
def user_namespace(e):
    opts = ["--uidmap", "0:%d:1000" % 300000, "--gidmap", "0:%d:1000" % 300000]
    path = e.shared()
    out = ok(e.shell("cat /proc/self/uid_map; touch /b/file; id -u", opts=opts + ["-v", path + ":/b"])).out
    equal(out.split(), ["0", "300000", "1000", "0"], "map")
    equal(os.stat(path + "/file").st_uid, 300000, "owner")


@checks("podman-rootless")
def keep_id(e):
    path = e.shared()
    # What podman does there is two user namespaces deep.
    says(e.shell("id -u; touch /b/file", opts=["--userns", "keep-id", "-v", path + ":/b"]), str(e.job.uid))
    equal(os.stat(path + "/file").st_uid, e.job.uid, "owner")


@checks("podman-rootless")
def owner_of_files_is_the_user(e):
    path = e.shared()
    ok(e.shell("touch /b/mine; chown 1000 /b/mine; touch /b/root", opts=["-v", path + ":/b"]))
    equal(os.stat(path + "/root").st_uid, e.job.uid, "owner of root's")
    check.check(os.stat(path + "/mine").st_uid not in (0, 1000, e.job.uid), "owner of 1000's")


@checks(*PODMAN)
def conmon_killed(e):
    name = e.box()
    pid, conmon = e.pid(name), e.conmon(name)
    os.kill(conmon, signal.SIGKILL)
    wait_gone(conmon)
    ident = e.inspect(name, "{{.Id}}")
    e.remove(name)
    wait_gone(pid)
    # podman asks nobody to delete it: that is left to us.
    argv = [e.runtime, "delete", "--force", ident]
    if e.rootless:
        argv = e.argv(["unshare"] + argv)
    ok(command.run(argv, **e.popen()), "delete --force")


@checks(*PODMAN)
def initialised_and_started_later(e):
    name = e.name()
    ok(e("create", "--name", name, *e.defaults, e.image, "sh", "-c", "echo started; sleep 300"))
    ok(e("init", name), "init")
    time.sleep(0.2)
    equal(e("logs", name).out, "", "log before start")
    ok(e("start", name))
    e.logs_have(name, "started")
    e.remove(name)


@checks(*PODMAN)
def removed_before_its_start(e):
    name = e.name()
    ok(e("create", "--name", name, *e.defaults, e.image, "sleep", "300"))
    ok(e("init", name), "init")
    pid = e.pid(name)
    e.remove(name)
    wait_gone(pid)


@checks(*PODMAN)
def info_names_the_runtime(e):
    info = json.loads(ok(e("info", "--format", "json")).out)["host"]["ociRuntime"]
    equal((info["name"], info["path"]), (e.job.kind, e.runtime), "runtime")
    contains(info["version"], e.job.kind)


@checks("podman")
def bridge_network(e):
    network = e.name()
    if e("network", "create", network).rc != 0:
        raise check.Skip("podman makes no network here")
    server = e.name()
    started = e("run", "-d", "--name", server, "--network", network, e.image, "sh", "-c",
                "echo served >/tmp/index.html; httpd -f -p 80 -h /tmp")
    ok(started, "run on a bridge")
    address = e.inspect(server, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
    says(e("run", "--rm", "--network", network, e.image, "wget", "-q", "-O", "-",
           "http://%s/" % address), "served")
    e.remove(server)


@checks(*PODMAN)
def runtime_flag_is_passed_on(e):
    says(e("--runtime-flag", "debug", "run", "--rm", *e.defaults, e.image, "echo", "fine"), "fine")


@checks(*PODMAN)
def nothing_is_left(e):
    e.clear()
    equal(ok(e("ps", "-aq")).out, "", "containers")
    roots = [os.path.join(top, e.job.kind) for top in ("/run", frame.BASE + "/xdg")]
    left = [os.path.join(path, name) for path in roots if os.path.isdir(path) for name in os.listdir(path)]
    equal(left, [], "state of the runtime")
