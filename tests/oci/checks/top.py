# SPDX-License-Identifier: Apache-2.0
"""The bundle, the top level of the configuration, root, names and annotations."""

import json
import os
import re

from lib import bundle
from lib.check import check, equal
from oci.frame import DELETE, RAN, Box, claim, proves, refuses, sees


# -- the document --

@proves("bundle.config-json")
def name_of_the_configuration(mode):
    with Box(mode) as box:
        box.accepts()
        path = os.path.join(box.bundle.path, "config.json")
        for place in ("config.JSON", "rootfs/config.json", "spec.json"):
            os.rename(path, os.path.join(box.bundle.path, place))
            result = box.call("run", "-b", box.bundle.path, box.id())
            check(result.rc != 0 and RAN not in result.out, "%s: %s", place, result)
            os.rename(os.path.join(box.bundle.path, place), path)


@proves("json.utf8")
def encoding(mode):
    with Box(mode) as box:
        box.accepts({"annotations": {"org.example.x": "\u00e9\u20ac"}})
        box.config["annotations"] = {"org.example.x": "XX"}
        box.process["args"] = ["/probe", "echo", RAN]
        text = json.dumps(box.config).encode()
        for bad in (b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80"):
            box.refuses(text=text.replace(b"XX", bad))
        box.refuses(text=json.dumps(box.config).encode("utf-16"))


@proves("json.duplicates")
def names_that_are_there_twice(mode):
    with Box(mode) as box:
        box.accepts()
        text = json.dumps(box.config)
        for name, value in (("hostname", '"other"'), ("root", '{"path": "rootfs"}')):
            box.refuses(text=text.replace('"%s":' % name, '"%s": %s, "%s":' % (name, value, name)))
        box.refuses(text=text.replace('"cwd":', '"cwd": "/", "cwd":'))


refuses("config.version", {"ociVersion": "1.0.2"}, {"ociVersion": DELETE}, {"ociVersion": ""},
        {"ociVersion": "1.0"}, {"ociVersion": "one"}, {"ociVersion": 1}, {"ociVersion": "1.0.2.3"})
refuses("config.version.unsupported", {"ociVersion": "1.0.0"}, {"ociVersion": "2.0.0"},
        {"ociVersion": "11.0.0"})


@proves("config.version.compatible")
def versions(mode):
    with Box(mode) as box:
        says = box.ok("--version").out
        own = int(re.search(r"^spec: 1\.(\d+)", says, re.M).group(1))
        for version in ("1.0.0", "1.0.1", "1.0.2", "1.0.2-dev", "1.1.0", "1.1.0-rc.2", "1.2.0",
                        "1.2.1", "1.3.0"):
            if int(version.split(".")[1]) <= own:
                box.accepts({"ociVersion": version})


@proves("config.unknown", "config.other-platforms")
def properties_that_are_not_known(mode):
    with Box(mode) as box:
        values = {name + "unknown": value for name in (
            "", "process.", "process.user.", "process.capabilities.", "root.", "linux.",
            "linux.resources.", "linux.seccomp.", "hooks.")
            for value in ({"a": [1, None, {"b": True}]},)}
        values["linux.seccomp.defaultAction"] = "SCMP_ACT_ALLOW"
        with claim("config.unknown"):
            box.accepts(values)
            box.reset()
            for each in box.config["mounts"] + box.linux["namespaces"] + box.process["rlimits"]:
                each["org.example.unknown"] = "x"
            box.run_ok(["/probe", "exit", "0"])
        with claim("config.other-platforms"):
            box.accepts({"windows": {"layerFolders": ["C:\\x"]}, "solaris": {"milestone": "x"},
                         "vm": {"kernel": {"path": "/x"}}, "zos": {}, "freebsd": {}})


refuses("config.valid-values", {"process.terminal": False, "hostname": "box"},
        {"process.terminal": "no"}, {"process.args": "/probe"}, {"process.user.uid": -1},
        {"process.user.uid": "0"}, {"process.user.gid": 1.5}, {"process.env": {"A": "1"}},
        {"mounts": {}}, {"mounts": [{"type": "tmpfs"}]}, {"root.readonly": "yes"},
        {"linux.namespaces": [{"type": "net"}]}, {"linux.namespaces": [{}]},
        {"linux.namespaces": "pid"}, {"linux.maskedPaths": ["/proc/kcore", 5]},
        {"linux.rootfsPropagation": "public"}, {"process.rlimits": [{"type": "RLIMIT_NOFILE"}]},
        {"linux.devices": [{"type": "x", "path": "/dev/x", "major": 1, "minor": 3}]},
        {"linux.sysctl": {"kernel.nonsense": "1"}}, {"linux.sysctl": ["net.ipv4.ip_forward=1"]},
        {"hooks": {"poststop": {"path": "/bin/true"}}}, {"process.oomScoreAdj": 1001})


# -- root --

refuses("root.required", {"root": {"path": "rootfs"}}, {"root": DELETE}, {"root": {}},
        {"root": {"readonly": False}})


@proves("root.path.relative", "root.path.absolute", "root.path.directory",
        "root.path.conventional")
def path_of_the_root(mode):
    with Box(mode) as box:
        with claim("root.path.relative"):
            for path in ("rootfs", "./rootfs", "rootfs/../rootfs"):
                box.accepts({"root.path": path}, cwd="/")
        with claim("root.path.conventional"):
            box.accepts({"root.path": "rootfs"})
        with claim("root.path.absolute"):
            box.accepts({"root.path": box.bundle.rootfs}, cwd="/")
        with claim("root.path.directory"):
            for path in ("missing", "rootfs/masked-file", "/nonexistent/rootfs", ""):
                box.refuses({"root.path": path})


@proves("root.readonly", "root.writable")
def writing_to_the_root(mode):
    with claim("root.readonly"):
        report = sees(mode, {"root.readonly": True}, args=["/probe", "probe"])
        equal(report["attempts"]["write_root"], "EROFS", "writing to a read-only root")
        equal("ro" in report["mounts"][0]["options"].split(","), True, "flag of the mount")
    with claim("root.writable"):
        for values in ({"root.readonly": False}, {"root.readonly": DELETE}):
            report = sees(mode, values, args=["/probe", "probe"])
            equal(report["attempts"]["write_root"], "ok", "writing to the root")


# -- names --

@proves("hostname", "domainname")
def names(mode):
    report = sees(mode, {"hostname": "some-host", "domainname": "some.domain"})
    with claim("hostname"):
        equal(report["hostname"], "some-host", "host name")
        equal(sees(mode, {"hostname": "h" * 64})["hostname"], "h" * 64, "host name")
    with claim("domainname"):
        equal(report["domainname"], "some.domain", "domain name")


# -- annotations --

refuses("annotations.map", {"annotations": {"org.example.key": "value"}},
        {"annotations": {"org.example.key": 5}}, {"annotations": ["org.example.key"]},
        {"annotations": {"org.example.key": {"a": "b"}}},
        {"annotations": {"org.example.key": None}})
refuses("annotations.keys.not-empty", {"annotations": {"a": "b"}}, {"annotations": {"": "b"}})


@proves("annotations.values.empty", "annotations.unknown", "annotations.image")
def annotations(mode):
    with Box(mode) as box:
        with claim("annotations.values.empty"):
            box.accepts({"annotations": {"org.example.empty": ""}})
        with claim("annotations.unknown"):
            box.accepts({"annotations": {"com.example.nobody.knows": "\u00e9 \n\"", "plain": "x"}})
        with claim("annotations.image"):
            image = "org.opencontainers.image."
            values = {"os": "linux", "os.version": "1", "os.features": "a,b", "architecture": "amd64",
                      "variant": "v2", "author": "Somebody", "created": "2026-01-01T00:00:00Z",
                      "stopSignal": "SIGTERM"}
            box.accepts({"annotations": {image + key: text for key, text in values.items()}})


# -- what is edited later --

@proves("create.edits")
def edits_after_create(mode):
    with Box(mode) as box:
        box.create(["/probe", "echo", "first"])
        box.config["hostname"] = "other"
        box.save(["/probe", "echo", "second"])
        box.ok("start", box.id())
        box.wait_status("stopped")
        equal(box.read_output(), "first\n", "what has run")
        bundle.write(os.path.join(box.bundle.path, "config.json"), "not even JSON")
        box.ok("state", box.id())
        box.ok("delete", box.id())
