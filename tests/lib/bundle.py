# SPDX-License-Identifier: Apache-2.0
"""Bundles: a small root file system and a config.json of our own making."""

import copy
import json
import os
import shutil

from . import check

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
PROBE = os.environ.get("BRYO_PROBE", os.path.join(TOP, "build/tests/probe"))

#: What the root file system has as empty directories: mount points, mostly.
DIRECTORIES = ("bin", "dev", "etc", "masked-dir", "proc", "readonly-dir", "sys", "tmp", "work")
APPLETS = ("sh", "cat", "echo", "env", "false", "id", "ls", "mount", "ps", "sleep", "true", "stty")

MASKED = ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
          "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
          "/sys/firmware"]
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
CAPS = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

MOUNTS = [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
     "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
     "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
     "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs",
     "options": ["nosuid", "noexec", "nodev", "ro"]},
]


def find_busybox():
    """A static busybox, or None."""
    path = shutil.which("busybox")
    if not path:
        return None
    with open(path, "rb") as file:
        return None if b"/ld-linux" in file.read(4096) else path


def make_image(path):
    """The programs of every bundle, once: bundles hard-link them."""
    os.makedirs(os.path.join(path, "bin"))
    if not os.path.exists(PROBE):
        raise check.Failed("%s is not built" % PROBE)
    shutil.copy(PROBE, os.path.join(path, "probe"))
    os.chmod(os.path.join(path, "probe"), 0o755)
    busybox = find_busybox()
    if busybox:
        shutil.copy(busybox, os.path.join(path, "bin/busybox"))
        for name in APPLETS:
            os.link(os.path.join(path, "bin/busybox"), os.path.join(path, "bin", name))


def make_rootfs(path, image, uid, gid):
    """A root file system whose directories belong to the container's root."""
    os.makedirs(path)
    for name in DIRECTORIES:
        os.mkdir(os.path.join(path, name))
    for name in os.listdir(os.path.join(image, "bin")):
        os.link(os.path.join(image, "bin", name), os.path.join(path, "bin", name))
    os.link(os.path.join(image, "probe"), os.path.join(path, "probe"))
    write(os.path.join(path, "masked-file"), "secret\n")
    write(os.path.join(path, "masked-dir/file"), "secret\n")
    write(os.path.join(path, "readonly-dir/file"), "text\n")
    os.chmod(os.path.join(path, "tmp"), 0o1777)
    if os.geteuid() == 0:
        chown_tree(path, uid, gid)


def chown_tree(path, uid, gid):
    """Not the hard links: those are shared with other bundles."""
    for top, _, files in os.walk(path):
        os.chown(top, uid, gid)
        for name in files:
            full = os.path.join(top, name)
            if os.lstat(full).st_nlink == 1:
                os.lchown(full, uid, gid)


def write(path, text, mode=0o644):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


def _mappings(lines):
    return [{"containerID": a, "hostID": b, "size": n} for a, b, n in lines]


def make_config(who, args):
    """What `runc spec` would write, for the identity."""
    spaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"]
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": list(args),
            "env": [PATH, "TERM=xterm"],
            "cwd": "/",
            "capabilities": {name: list(CAPS) for name in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "box",
        "mounts": copy.deepcopy(MOUNTS),
        "linux": {
            "namespaces": [{"type": name} for name in spaces],
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(READONLY),
        },
    }
    if who.maps:
        config["linux"]["namespaces"].append({"type": "user"})
        config["linux"]["uidMappings"] = _mappings(who.maps[0])
        config["linux"]["gidMappings"] = _mappings(who.maps[1])
    if who.many_ids:
        mount_of(config, "/dev/pts")["options"].append("gid=5")
    return config


def mount_of(config, destination):
    for mount in config["mounts"]:
        if mount["destination"] == destination:
            return mount
    raise KeyError(destination)


def drop_mount(config, destination):
    config["mounts"] = [m for m in config["mounts"]
                        if not (m["destination"] + "/").startswith(destination + "/")]


def drop_namespace(config, kind):
    spaces = config["linux"]["namespaces"]
    config["linux"]["namespaces"] = [n for n in spaces if n["type"] != kind]


def bind(source, destination, *options):
    return {"destination": destination, "type": "bind", "source": source,
            "options": ["bind"] + list(options)}


class Bundle:
    """A bundle directory; `config` is written by save()."""

    def __init__(self, path, image, who, args=("/probe",)):
        self.path = path
        self.who = who
        self.rootfs = os.path.join(path, "rootfs")
        self.config = make_config(who, args)
        os.makedirs(path)
        make_rootfs(self.rootfs, image, who.host_uid(0), who.host_gid(0))
        if os.geteuid() == 0:
            os.chown(path, who.uid, who.gid)
        self.save()

    @property
    def process(self):
        return self.config["process"]

    @property
    def linux(self):
        return self.config["linux"]

    def save(self, text=None):
        path = os.path.join(self.path, "config.json")
        data = text if text is not None else json.dumps(self.config, indent=1)
        mode = "wb" if isinstance(data, bytes) else "w"
        with open(path, mode) as file:
            file.write(data)
        return self

    def inside(self, path):
        """The host's path of a path of the container."""
        return os.path.join(self.rootfs, path.lstrip("/"))
