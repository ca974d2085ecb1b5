# SPDX-License-Identifier: Apache-2.0
"""containerd and its client ctr: the way of Kubernetes, nerdctl and docker to a runtime."""

import json
import os
import tarfile

from lib import check
from lib.check import contains, wait_until

import frame
import image
from cli import Cli, background, end, log_tail, need, read, write
from command import ok

CONFIG = """
version = 2
root = "%(d)s/root"
state = "%(d)s/state"
oom_score = 0
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "%(d)s/c.sock"
[ttrpc]
  address = "%(d)s/c.sock.ttrpc"
"""


class Ctr(Cli):
    def __init__(self, job):
        super().__init__(job)
        need("ctr")
        self.log = self.directory + "/log"
        self.daemon = None

    def argv(self, words):
        return ["ctr", "-a", self.directory + "/c.sock", *words]

    def launch(self):
        write(self.directory + "/config.toml", CONFIG % {"d": self.directory})
        self.daemon = background(["containerd", "-c", self.directory + "/config.toml"], self.log)
        wait_until(lambda: self("version").rc == 0 or self.daemon.poll() is not None, 20, "containerd to answer")
        check.check(self.daemon.poll() is None, "containerd ends: %s", log_tail(self.log))

    def start(self):
        self.launch()
        ok(self("image", "import", frame.BASE + "/images/oci.tar", seconds=60), "image import")

    def stop(self):
        self.clear()
        end(self.daemon)

    def how(self):
        return ["--runtime", "io.containerd.runc.v2", "--runc-binary", self.runtime, "--cpu-shares", "0"]

    def run(self, *words, opts=(), **kwargs):
        """Once more when it succeeds and says nothing.  At a container's end ctr cancels the opening of FIFOs that it
        has not come to yet; the output of a quick container is lost then, one time in 300 under load.  With
        `--log-uri file://`, where the shim writes, none is."""
        for _ in range(2):
            result = self("run", "--rm", *self.how(), *opts, image.NAME + ":latest", self.name(), *words, **kwargs)
            if result.rc != 0 or result.out or result.err:
                break
        return result

    def box(self, *words, opts=()):
        name = self.name()
        ok(self("run", "-d", *self.how(), *opts, image.NAME + ":latest", name, *(words or ("sleep", "300"))), "run -d")
        return name

    def exec(self, name, *words, opts=(), **kwargs):
        return self("task", "exec", "--exec-id", "e" + self.name(), *opts, name, *words, **kwargs)

    def tasks(self):
        """{name: (pid, status)}"""
        return {words[0]: (int(words[1]), words[2]) for words in
                (line.split() for line in ok(self("task", "ls")).out.splitlines()[1:])}

    def pid(self, name):
        return self.tasks()[name][0]

    def status(self, name):
        return self.tasks()[name][1]

    def remove(self, name):
        ok(self("task", "rm", "-f", name), "task rm -f")
        ok(self("container", "rm", name), "container rm")

    def clear(self):
        for name in self("task", "ls", "-q").out.split():
            self("task", "rm", "-f", name)
        for name in self("container", "ls", "-q").out.split():
            self("container", "rm", name)

    def rootfs(self):
        path = self.directory + "/rootfs"
        if not os.path.isdir(path):
            with tarfile.open(frame.BASE + "/images/rootfs.tar") as tar:
                tar.extractall(path)
        return path

    def config(self, change):
        """A config.json as ctr makes it, changed by a function; its path."""
        name = self.box("true")
        info = json.loads(ok(self("container", "info", name)).out)
        self.remove(name)
        spec = info["Spec"]
        spec["root"] = {"path": self.rootfs()}
        spec["linux"].pop("cgroupsPath", None)
        change(spec)
        path = self.directory + "/config-%s.json" % self.name()
        write(path, spec)
        return path

    def run_config(self, change, **kwargs):
        return self("run", "--rm", *self.how(), "--config", self.config(change), self.name(), **kwargs)

    def shim(self, name):
        with open("/proc/%d/stat" % self.pid(name)) as file:
            pid = int(file.read().rpartition(")")[2].split()[1])
        contains(read("/proc/%d/cmdline" % pid), "shim")
        return pid
