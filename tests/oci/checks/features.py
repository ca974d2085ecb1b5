# SPDX-License-Identifier: Apache-2.0
"""What the runtime says of itself, and whether it is so."""

import json
import re

from lib import proc
from lib.case import kind
from lib.check import Skip, check, contains, equal
from oci.frame import Box, claim, may_lack, proves
from test_mounts import tmpfs

#: features.md and features-linux.md: every property of version 1.3, a leaf by its type.
PR_CAPBSET_READ = 23
TRUTH, TEXT, LIST, MAP = bool, str, list, dict
KNOWN = {
    "ociVersionMin": TEXT, "ociVersionMax": TEXT, "hooks": LIST, "mountOptions": LIST,
    "annotations": MAP, "potentiallyUnsafeConfigAnnotations": LIST,
    "linux": {
        "namespaces": LIST, "capabilities": LIST,
        "cgroup": dict.fromkeys(("v1", "v2", "systemd", "systemdUser", "rdma"), TRUTH),
        "seccomp": dict.fromkeys(("actions", "operators", "archs", "knownFlags", "supportedFlags"),
                                 LIST) | {"enabled": TRUTH},
        "apparmor": {"enabled": TRUTH}, "selinux": {"enabled": TRUTH},
        "memoryPolicy": {"modes": LIST, "flags": LIST},
        "intelRdt": {"enabled": TRUTH, "schemata": TRUTH, "monitoring": TRUTH},
        "mountExtensions": {"idmap": {"enabled": TRUTH}}, "netDevices": {"enabled": TRUTH}}}
HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def features_in(box, **kwargs):
    result = box.call("features", **kwargs)
    if result.rc != 0 or not result.out.strip():
        raise Skip("the runtime has no command for its features")
    return json.loads(result.out)


def features_of(mode):
    with Box(mode) as box:
        return features_in(box)


def part(found, *names):
    """Most may be absent, or null."""
    for name in names:
        found = found.get(name) if found else None
    if found is None:
        may_lack("the runtime does not tell, and need not")
    return found


def number(version):
    return [int(part) for part in re.match(r"(\d+)\.(\d+)\.(\d+)", version).groups()]


def unknown(found, known, where=""):
    """Paths of what is not known, or of another type."""
    if not isinstance(known, dict):
        return [] if found is None or isinstance(found, known) else [where]
    return [path for key, value in found.items() for path in (
        unknown(value, known[key], where + "/" + key) if key in known else [where + "/" + key])]


def empty(found, where=""):
    if isinstance(found, dict) and found:
        return [path for key, value in found.items() for path in empty(value, where + "/" + key)]
    return [where] if found in ({}, [], "") else []


@proves("features.version-min", "features.version-min.taken", "features.version-max",
        "features.version-max.taken", "features.version-max.order", "features.known-only",
        "features.null", "features.compile-time", "features.annotations",
        "features.unsafe-annotations", "annotations.keys.reverse-domain")
def document(mode):
    with Box(mode) as box:
        found = features_in(box)
        for name, id_ in (("ociVersionMin", "min"), ("ociVersionMax", "max")):
            with claim("features.version-" + id_):
                check(re.fullmatch(r"\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?", found[name]), "%s", found)
            with claim("features.version-%s.taken" % id_):
                box.accepts({"ociVersion": found[name]})
        with claim("features.version-max.order"):
            check(number(found["ociVersionMax"]) >= number(found["ociVersionMin"]), "order")
        with claim("features.known-only"):
            equal(unknown(found, KNOWN), [], "properties that are not of the specification")
        with claim("features.null"):
            equal(empty(found), [], "empty values")
        with claim("features.compile-time"):
            other = features_in(box, cwd="/", env={"PATH": "/nonexistent", "HOME": "/"})
            equal(other, found, "elsewhere")
            with Box("rootless") as ordinary:
                equal(features_in(ordinary), found, "as an ordinary user")
        with claim("features.annotations"):
            for key, value in (found.get("annotations") or {}).items():
                check(key and isinstance(value, str), "%r: %r", key, value)
        names = found.get("potentiallyUnsafeConfigAnnotations") or []
        with claim("features.unsafe-annotations"):
            check(part({"list": names or None}, "list"), "none are listed")
            check(all(isinstance(name, str) and name for name in names), "%s", names)
        with claim("annotations.keys.reverse-domain"):
            for name in names:
                check(re.match(r"(org|com|net|io|run)\.[a-z]", name), "%s", name)


@proves("features.cgroup", "features.lsm", "features.rdt", "features.idmap", "features.net-devices")
def truths(mode):
    linux = features_of(mode)["linux"]
    with claim("features.cgroup"):
        for name in ("v1", "v2", "systemd", "systemdUser", "rdma"):
            check(isinstance(part(linux, "cgroup", name), bool), name)
        check(linux["cgroup"]["v2"], "v2, with which it runs here")
    with claim("features.lsm"):
        for name in ("apparmor", "selinux"):
            check(isinstance(part(linux, name, "enabled"), bool), name)
    with claim("features.rdt"):
        for name in ("enabled", "schemata", "monitoring"):
            check(isinstance(part(linux, "intelRdt", name), bool), name)
    # These two the other checks have seen.
    with claim("features.idmap"):
        equal(part(linux, "mountExtensions", "idmap", "enabled"), True, "maps of mounts")
    with claim("features.net-devices"):
        equal(part(linux, "netDevices", "enabled"), True, "network devices")


@proves("features.hooks")
def hooks(mode):
    with Box(mode) as box:
        found = features_in(box)["hooks"]
        equal(sorted(found), sorted(HOOKS), "hooks")
        hook = {"path": "/nonexistent"}
        for name in found:
            if name == "poststop":  # whose failure is a warning
                contains(box.accepts({"hooks": {name: [hook]}}).err, "nonexistent", name)
            elif name == "poststart":  # the program runs beside it
                box.reset()
                box.set({"hooks": {name: [hook]}})
                box.run_fails(["/probe", "exit", "0"])
            else:
                box.refuses({"hooks": {name: [hook]}})


@proves("features.mount-options", "features.mount-options.data")
def mount_options(mode):
    special = ("idmap", "ridmap", "remount", "bind", "rbind", "z", "Z")
    with Box(mode) as box:
        found = features_in(box)["mountOptions"]
        plain = box.config["mounts"]
        with claim("features.mount-options"):
            box.accepts({"mounts": plain + [tmpfs("/m/" + name, name) for name in found
                                            if name not in special]})
            box.refuses({"mounts": plain + [tmpfs("/m/x", "nonsense")]})
        with claim("features.mount-options.data"):
            for name in ("size", "mode", "gid", "uid", "newinstance", "ptmxmode", "lowerdir"):
                check(not any(option.startswith(name) for option in found), "%s is there", name)


def each_is_known(box, values, bogus, made):
    """Those of the list alone are no error; another one is."""
    for value in values:
        box.accepts(made(value))
    box.refuses(made(bogus))


#: In the order of the kernel.
CAPS = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO
    SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
    SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
    WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE""".split()


def can_have(name):
    return proc.LIBC.prctl(PR_CAPBSET_READ, CAPS.index(name.replace("CAP_", "")), 0, 0, 0) == 1


@proves("features.namespaces", "features.capabilities")
def namespaces_and_capabilities(mode):
    with Box(mode) as box:
        linux = features_in(box)["linux"]
        spaces = box.linux["namespaces"]

        def with_space(name):
            more = [] if any(n["type"] == name for n in spaces) or name == "user" else [
                {"type": name}]
            return {"linux.namespaces": spaces + more}
        with claim("features.namespaces"):
            each_is_known(box, linux["namespaces"], "nonsense", with_space)
        with claim("features.capabilities"):
            # Those that the caller has not got are a warning as well.
            caps = [name for name in linux["capabilities"] if mode == "rootless" or can_have(name)]
            check(len(caps) > 30 or mode == "root", "%s", caps)
            result = box.accepts({"process.capabilities": {"bounding": caps}})
            equal(result.err, "", "warnings")


def rule(**members):
    return {"linux.seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        dict({"names": ["sethostname"], "action": "SCMP_ACT_ERRNO"}, **members)]}}


OTHER_BYTE_ORDER = ["SCMP_ARCH_" + name for name in (
    "MIPS", "MIPS64", "MIPS64N32", "PPC", "PPC64", "S390", "S390X", "PARISC", "PARISC64")]


@proves(*["features.seccomp." + name for name in (
    "actions", "operators", "archs", "known-flags", "supported-flags")])
def filters(mode):
    def top(key):
        return lambda value: {"linux.seccomp": {"defaultAction": "SCMP_ACT_ALLOW", key: [value]}}
    with Box(mode) as box:
        found = features_in(box)["linux"]["seccomp"]
        for id_, key, bogus, made in (
                ("actions", "actions", "SCMP_ACT_NO", lambda value: rule(action=value)),
                ("operators", "operators", "SCMP_CMP_NO", lambda value: rule(args=[
                    {"index": 0, "value": 1, "valueTwo": 1, "op": value}])),
                ("archs", "archs", "SCMP_ARCH_NO", top("architectures")),
                ("known-flags", "knownFlags", "SECCOMP_FILTER_FLAG_NO", top("flags")),
                ("supported-flags", "supportedFlags", "SECCOMP_FILTER_FLAG_NO", top("flags"))):
            with claim("features.seccomp." + id_):
                # Those need an agent; the other checks have one.
                values = [v for v in part(found, key) if v not in (
                    "SCMP_ACT_NOTIFY", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")]
                if kind() != "bryo":  # libseccomp, which makes their filters, takes no others
                    values = [v for v in values if v not in OTHER_BYTE_ORDER]
                check(len(values) > 1, "%s", found[key])
                each_is_known(box, values, bogus, made)


@proves("features.memory-policy.modes", "features.memory-policy.flags")
def memory_policies(mode):
    need_nodes = "BIND", "INTERLEAVE", "PREFERRED", "PREFERRED_MANY", "WEIGHTED_INTERLEAVE"
    with Box(mode) as box:
        found = part(features_in(box), "linux", "memoryPolicy")

        def policy(name, flags=()):
            nodes = {"nodes": "0"} if name.replace("MPOL_", "") in need_nodes else {}
            return {"linux.memoryPolicy": dict({"mode": name, "flags": list(flags)}, **nodes)}
        with claim("features.memory-policy.modes"):
            each_is_known(box, found["modes"], "MPOL_NO", policy)
        with claim("features.memory-policy.flags"):
            each_is_known(box, found["flags"], "MPOL_F_NO",
                          lambda flag: policy("MPOL_BIND", [flag]))
