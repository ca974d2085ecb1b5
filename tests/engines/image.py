# SPDX-License-Identifier: Apache-2.0
"""The image of all engines, made here: busybox and the probe; nothing is downloaded."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile

from lib import bundle, check

NAME = "localhost/bb"
USER = "tester"  # 1000 in the image
DIRECTORIES = ("bin", "dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr", "var", "var/tmp", "work")
FILES = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\n%s:x:1000:1000::/home:/bin/sh\n" % USER,
    "etc/group": "root:x:0:\n%s:x:1000:\nextra:x:2000:%s\n" % (USER, USER),
    "etc/plain": "not a program\n",
}


def _entry(name, kind, mode):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = mode
    return info


def rootfs_tar():
    """The root file system as one tar: the applets of busybox are relative links."""
    busybox = bundle.find_busybox()
    check.check(busybox, "no static busybox (Debian: busybox-static)")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in DIRECTORIES:
            tar.addfile(_entry(name, tarfile.DIRTYPE, 0o1777 if name.endswith("tmp") else 0o755))
        for name, path in (("bin/busybox", busybox), ("bin/probe", bundle.PROBE)):
            info = _entry(name, tarfile.REGTYPE, 0o755)
            info.size = os.path.getsize(path)
            with open(path, "rb") as file:
                tar.addfile(info, file)
        for applet in subprocess.run([busybox, "--list"], capture_output=True, text=True).stdout.split():
            if applet != "busybox":
                link = _entry("bin/" + applet, tarfile.SYMTYPE, 0o777)
                link.linkname = "busybox"
                tar.addfile(link)
        for name, text in FILES.items():
            info = _entry(name, tarfile.REGTYPE, 0o644)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def machine():
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def _configuration(layer):
    config = {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]}
    return json.dumps({"architecture": machine(), "os": "linux", "config": config, "history": [{}],
                       "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest(layer)]}}).encode()


def _write_tar(path, files):
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = _entry(name, tarfile.REGTYPE, 0o644)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def docker_archive(path, layer):
    """As `docker save` makes it."""
    config = _configuration(layer)
    name = digest(config) + ".json"
    _write_tar(path, {
        name: config, "layer.tar": layer,
        "manifest.json": json.dumps([{"Config": name, "RepoTags": [NAME + ":latest"],
                                      "Layers": ["layer.tar"]}]).encode()})


def oci_archive(path, layer):
    """An OCI image layout in a tar."""
    config, packed = _configuration(layer), gzip.compress(layer, 1, mtime=0)
    kind = "application/vnd.oci.image."

    def describe(data, what):
        return {"mediaType": kind + what, "digest": "sha256:" + digest(data), "size": len(data)}
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": kind + "manifest.v1+json", "config": describe(config, "config.v1+json"),
        "layers": [describe(packed, "layer.v1.tar+gzip")]}).encode()
    entry = describe(manifest, "manifest.v1+json")
    entry["annotations"] = {"io.containerd.image.name": NAME + ":latest", "org.opencontainers.image.ref.name": "latest"}
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
             "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()}
    files.update(("blobs/sha256/" + digest(data), data) for data in (config, packed, manifest))
    _write_tar(path, files)


#: crun insists on raising RLIMIT_MEMLOCK before it loads a filter of devices.  Where nobody may, it would not run at
#: all, though the kernels of today have no need for it.
MEMLOCK = """
#include <sys/resource.h>
int setrlimit64(__rlimit_resource_t what, const struct rlimit64 *limit)
{
	return what == RLIMIT_MEMLOCK ? 0 : prlimit64(0, what, limit, 0);
}
int setrlimit(__rlimit_resource_t what, const struct rlimit *limit)
{
	return what == RLIMIT_MEMLOCK ? 0 : prlimit(0, what, limit, 0);
}
"""


def make_preload(directory):
    """memlock.so, for crun; False without a compiler."""
    source = os.path.join(directory, "memlock.c")
    with open(source, "w") as file:
        file.write(MEMLOCK)
    argv = [os.environ.get("CC", "cc"), "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", source[:-1] + "so", source]
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def make(directory):
    """rootfs.tar, docker.tar and oci.tar in a directory."""
    layer = rootfs_tar()
    with open(os.path.join(directory, "rootfs.tar"), "wb") as file:
        file.write(layer)
    docker_archive(os.path.join(directory, "docker.tar"), layer)
    oci_archive(os.path.join(directory, "oci.tar"), layer)
