# SPDX-License-Identifier: Apache-2.0
"""validate: all that is wrong with a bundle, and what this host cannot do; nothing is run."""

import json
import os
from copy import deepcopy
from random import Random

from lib import bundle, proc
from lib.agent import Agent
from lib.bundle import drop_namespace
from lib.case import Case, need_bryo
from lib.check import check, equal, test
from lib.host import tree
from lib.net import Net
from lib.view import seccomp

MODES = ("root", "rootless")
ALL = ("root", "userns", "rootless", "ranges")


def look(case, *words, **kwargs):
    """The lines of a report, and its exit status."""
    need_bryo()
    case.save()
    result = case.call("validate", *words, "-b", case.bundle.path, **kwargs)
    check(result.rc in (0, 1) and not result.err, "%s", result)
    return result.out.splitlines(), result.rc


def errors(case, *words, **kwargs):
    lines, status = look(case, *words, **kwargs)
    found = [line[len("error: "):] for line in lines if line.startswith("error: ")]
    equal(status, 1 if found else 0, "exit status of %r" % lines)
    equal("valid" in lines, not found, "\"valid\" in %r" % lines)
    return found


@test(*ALL)
def nothing_is_wrong(mode):
    """A bundle that runs is valid, on this host too."""
    with Case(mode) as case:
        equal(look(case), (["valid"], 0))
        equal(look(case, "--host"), (["valid"], 0))
        equal(case.ok("validate", case.bundle.path).out, "valid\n", "bundle as an operand")


#: What is done to the document, and the errors that each must give.
WRONG = (
    (lambda c: c["process"].update(cwd="work"),
     ['/process/cwd: "work" is not an absolute path']),
    (lambda c: c["process"].update(rlimits=[
        {"type": "RLIMIT_CORE", "soft": 2, "hard": 1}, {"type": "RLIMIT_CORE", "soft": 0,
                                                        "hard": 0}]),
     ["/process/rlimits/0/soft: 2 is above the hard limit, 1"]),
    (lambda c: c["process"].update(env=["A=1", "nothing", "=x"]),
     ['/process/env/1: "nothing" is not NAME=VALUE', '/process/env/2: "=x" is not NAME=VALUE']),
    (lambda c: c.update(hooks={"prestart": [{"path": "bin"}, {"path": "/x", "timeout": 0}]}),
     ['/hooks/prestart/0/path: "bin" is not an absolute path',
      "/hooks/prestart/1/timeout: 0 is not in 1..2147483647"]),
    (lambda c: c["linux"].update(seccomp={
        "defaultAction": "SCMP_ACT_ALOW", "listenerMetadata": "x",
        "syscalls": [{"names": [], "action": "SCMP_ACT_LOG", "errnoRet": 1}]}),
     ['/linux/seccomp/defaultAction: unknown value "SCMP_ACT_ALOW" (did you mean '
      '"SCMP_ACT_ALLOW"?)',
      "/linux/seccomp/syscalls/0/names: needs at least one entry",
      "/linux/seccomp/syscalls/0/errnoRet: the action returns no error number",
      "/linux/seccomp/listenerMetadata: needs listenerPath"]),
    (lambda c: c["linux"].update(memoryPolicy={"mode": "MPOL_BIND"}),
     ["/linux/memoryPolicy/nodes: required by the mode, and missing"]),
    (lambda c: c["linux"].update(resources={"memory": {"swappiness": 1, "kernel": 1}}),
     ["/linux/resources/memory/kernel: is of cgroup v1: nothing in cgroup v2 does the same",
      "/linux/resources/memory/swappiness: is of cgroup v1: nothing in cgroup v2 does the same"]),
    (lambda c: c["mounts"].extend([
        {"destination": "/a", "source": "/", "options": ["bind", "nosiud", "ro", "rr"]},
        {"destination": "/b", "type": "tmpfs", "uidMappings": [
            {"containerID": 1, "hostID": 4294967290, "size": 10}]},
        {"destination": "/c"}]),
     ['/mounts/-3/options/1: unknown option "nosiud" for a bind mount (did you mean "nosuid"?)',
      '/mounts/-3/options/3: unknown option "rr" for a bind mount',
      "/mounts/-2/uidMappings/0/size: hostID and size exceed 4294967295",
      "/mounts/-1/type: a type, or the option bind or rbind, is needed"]),
    (lambda c: c["linux"].update(sysctl={"kernel.panic": "1", "kernel.shm_rmid_forced": "1",
                                         "vm.swappiness": "1"}),
     ["/linux/sysctl/kernel.panic: belongs to no namespace: it would change the host",
      "/linux/sysctl/vm.swappiness: belongs to no namespace: it would change the host"]),
    (lambda c: c["root"].update(path="nowhere"), ["/root/path: open nowhere: not found"]),
)


def numbered(lines, config):
    """/mounts/-1 is the last one."""
    n = len(config["mounts"])
    for back in (1, 2, 3):
        lines = [line.replace("/mounts/-%d/" % back, "/mounts/%d/" % (n - back))
                 for line in lines]
    return lines


@test(*MODES)
def all_errors_at_once(mode):
    """Each error shows, alone and among all the others."""
    with Case(mode) as case:
        clean = json.dumps(case.config)
        for change, want in WRONG:
            case.bundle.config = json.loads(clean)
            change(case.config)
            found = errors(case)
            equal(sorted(found), sorted(numbered(want, case.config)), "errors")
        case.bundle.config = json.loads(clean)
        for change, _ in WRONG:
            change(case.config)
        equal(sorted(errors(case)),
              sorted(numbered([line for _, want in WRONG for line in want], case.config)),
              "all errors")


@test()
def run_says_the_same():
    """Whatever is found wrong in the document, run refuses, by the same pointer."""
    need_bryo()
    with Case("root") as case:
        clean = json.dumps(case.config)
        for change, want in WRONG:
            case.bundle.config = json.loads(clean)
            change(case.config)
            said = case.run().last_error()
            pointers = [line.split(":")[0] for line in numbered(want, case.config)]
            check(any(pointer in said for pointer in pointers), "%r has none of %r", said,
                  pointers)


@test(*MODES)
def warnings_are_no_errors(mode):
    """Misspelt keys, properties younger than the document, capabilities that there are not."""
    with Case(mode) as case:
        case.config["ociVersion"] = "1.0.2"
        case.config["mount"] = []
        case.config["com.example.x"] = {"mount": 1}
        case.config["domainname"] = "d"
        case.process["capabilities"]["bounding"].append("CAP_SYS_ADMI")
        at = len(case.process["capabilities"]["bounding"]) - 1
        lines, status = look(case)
        equal(status, 0, "exit status")
        equal(sorted(lines), sorted([
            'warning: /mount: unknown property (did you mean "mounts"?)',
            "warning: /com.example.x: unknown property",
            "warning: /domainname: came with version 1.1.0 of the specification; the document "
            "follows 1.0.2",
            "warning: /process/capabilities/bounding/%d: there is no capability CAP_SYS_ADMI (did "
            'you mean "CAP_SYS_ADMIN"?)' % at,
            "valid"]))


@test()
def report_as_json():
    """--json: the parts of each finding, and [] when there is none."""
    with Case("root") as case:
        lines, status = look(case, "--json")
        equal((json.loads("\n".join(lines)), status), ([], 0))
        case.config["mount"] = []
        case.config["root"]["path"] = "nowhere"
        lines, status = look(case, "--json")
        equal(status, 1, "exit status")
        equal(json.loads("\n".join(lines)), [
            {"severity": "warning", "pointer": "/mount", "message": "unknown property",
             "hint": 'did you mean "mounts"?'},
            {"severity": "error", "pointer": "/root/path", "message": "open nowhere: not found"}])


@test()
def text_that_is_no_json():
    """One line with the place; a bundle that is not there is an error of the command."""
    need_bryo()
    with Case("root") as case:
        case.save()
        bundle.write(os.path.join(case.bundle.path, "config.json"), '{\n "root": }')
        result = case.call("validate", "-b", case.bundle.path)
        equal((result.rc, len(result.out.splitlines())), (1, 1), "status and lines")
        check(result.out.startswith("error: line 2, column "), "%s", result)
        result = case.fails("validate", "-b", os.path.join(case.dir, "none"))
        equal((result.rc, result.out), (1, ""), "status and output")


VALUES = (None, True, 7, -1, "", "x", "/x", [], {}, [7], ["x"], [None], {"x": 7}, {"x": "y"}, [{}],
          2 ** 64, 1.5, [[]], {"": 1})


def places(value, path=()):
    """The paths of all that is in a document."""
    items = value.items() if isinstance(value, dict) else \
        enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield path + (key,)
        yield from places(inner, path + (key,))


def damage(document, random):
    """One value replaced, taken out, or with another name."""
    path = random.choice(sorted(places(document), key=str) or [()])
    if not path:
        return
    owner = document
    for key in path[:-1]:
        owner = owner[key]
    choice = random.random()
    if choice < 0.7:
        owner[path[-1]] = deepcopy(random.choice(VALUES))
    elif choice < 0.85 or isinstance(owner, list):
        del owner[path[-1]]
    else:
        owner[path[-1] + "x"] = owner.pop(path[-1])


@test()
def damaged_documents():
    """Whatever is in the document, there is a report; and what cannot be planned is not valid."""
    random = Random(7)
    with open(os.path.join(bundle.TOP, "tests/spec/base.json")) as file:
        base = file.read()
    with Case("root") as case:
        for _ in range(150):
            case.bundle.config = json.loads(base)
            for _ in range(random.choice((1, 3, 10))):
                damage(case.config, random)
            errors_found = errors(case)
            planned = case.call("steps", case.bundle.path)
            if planned.rc and not errors_found:
                check(any(text in planned.err for text in (
                    "/process: is needed", "/process/terminal", "cgroup", "AppArmor")),
                    "valid, but: %s", planned)


#: What a document has very many of; the severity, and how many of them are told.
MANY = (
    (lambda c, n: c["process"].update(env=["x"] * n), "error", 1000),
    (lambda c, n: c.update(mounts=[{}] * n), "error", 1000),
    (lambda c, n: c.update(("k%d" % i, 1) for i in range(n)), "warning", 1000),
    (lambda c, n: c["process"]["capabilities"].update(
        bounding=["CAP_X%d" % i for i in range(n)]), "warning", 1000),
    (lambda c, n: c["mounts"].append({"destination": "/a", "source": "/", "options":
                                      ["bind"] + ["ro"] * n + ["x"] * n}), "error", 100),
)


@test()
def very_many_findings():
    """The first of each kind are told, in no time, and that there are more."""
    with Case("root") as case:
        clean = json.dumps(case.config)
        for change, severity, most in MANY:
            case.bundle.config = json.loads(clean)
            change(case.config, 100000)
            lines, status = look(case)
            said = [line for line in lines if line.startswith(severity + ": /")]
            equal((len(said), status), (most, int(severity == "error")), "findings and status")
            check(any("more " in line for line in lines), "%r", lines[-2:])


# -- --host --

@test(*MODES)
def host_that_cannot(mode):
    """--host: what the kernel refuses, each thing of several; without --host it is not asked."""
    with Case(mode) as case:
        case.config["mounts"] += [
            {"destination": "/a", "type": "tmpfs", "source": "x", "options": ["nonsense=1"]},
            {"destination": "/b", "type": "nosuchfs", "source": "x"},
            {"destination": "/c", "source": os.path.join(case.dir, "none"), "options": ["bind"]}]
        at = len(case.config["mounts"]) - 3
        case.config["hooks"] = {"prestart": [{"path": "/nonexistent/hook"}]}
        case.process["args"] = ["/nonexistent/program", "-x"]
        case.linux["netDevices"] = {"none0": {}}
        equal(errors(case), [], "errors without --host")
        found = errors(case, "--host")
        pointers = [line.split(":")[0] for line in found]
        equal(sorted(pointers), sorted([
            "/mounts/%d/options/0" % at, "/mounts/%d/type" % (at + 1),
            "/mounts/%d/source" % (at + 2), "/hooks/prestart/0/path", "/process/args/0",
            "/linux/netDevices/none0"]), "pointers of %r" % found)


@test(*MODES)
def host_after_errors(mode):
    """--host looks on behind errors of the document, with the places that the text has."""
    with Case(mode) as case:
        case.config["mounts"] += [
            {"destination": "/a"},
            {"destination": "/b", "type": "tmpfs", "source": "x",
             "options": [7, "nosuid", "nonsense=1"]}]
        at = len(case.config["mounts"]) - 2
        found = [line.split(":")[0] for line in errors(case, "--host")]
        equal(sorted(found), sorted(["/mounts/%d/type" % at, "/mounts/%d/options/0" % (at + 1),
                                     "/mounts/%d/options/2" % (at + 1)]))


@test("rootless")
def host_and_privilege(mode):
    """--host: what the caller may not do is told, and a capability that cannot be had warned of."""
    with Case(mode) as case:
        case.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 2 ** 40}]
        case.process["user"] = {"uid": 4000, "gid": 0}
        case.process["oomScoreAdj"] = -900
        found = [line.split(":")[0] for line in errors(case, "--host")]
        equal(sorted(found), ["/process/oomScoreAdj", "/process/rlimits/0", "/process/user/uid"])


@test(*ALL)
def nothing_happens(mode):
    """--host: no hook, no payload, no agent, nothing new in the rootfs, and nothing left."""
    with Case(mode) as case:
        flag = os.path.join(case.make_dir("out", 0o777), "ran")
        program = os.path.join(os.path.dirname(case.dir), "image/probe")
        hook = {"path": program, "args": ["probe", "hook", flag, "x"]}
        case.config["hooks"] = {name: [hook] for name in (
            "prestart", "createRuntime", "createContainer", "poststart", "poststop")}
        case.config["mounts"] += [
            {"destination": "/new/place", "type": "tmpfs", "source": "x"},
            {"destination": "/out", "source": os.path.dirname(flag), "options": ["bind"]}]
        case.process["args"] = ["/probe", "hook", "/out/ran", "y"]
        case.linux["cgroupsPath"] = "/bryo-%s" % case.marker if mode == "root" else None
        case.linux["seccomp"] = dict(seccomp(), listenerPath=os.path.join(case.dir, "agent"))
        case.linux["seccomp"]["syscalls"].append(
            {"names": ["sethostname"], "action": "SCMP_ACT_NOTIFY"})
        case.save()
        before = sorted(tree(case.bundle.path))
        with Agent(os.path.join(case.dir, "agent")) as agent:
            equal(errors(case, "--host"), [], "errors")
            equal(agent.states, [], "what the agent got")
        check(not os.path.exists(flag), "something ran")
        equal(sorted(tree(case.bundle.path)), before, "files of the bundle")
        equal(case.ok("list", "-q").out, "", "containers")


@test("root")
def device_stays(mode):
    """--host does not move a network device."""
    with Net() as net, Case(mode) as case:
        net.add("v0", "veth", "peer", "name", "v1")
        case.linux["netDevices"] = {"v0": {}}
        equal(errors(case, "--host", **net.options()), [], "errors")
        check("v0" in net.ip("link"), "the device has gone")


@test("root")
def running_container_is_no_error(mode):
    """--host: the cgroup of a container of the same bundle, and its names, are left alone."""
    need_bryo()
    with Case(mode) as case:
        case.linux["cgroupsPath"] = "/bryo-%s" % case.marker
        case.create(["/probe", "sleep", "100"])
        equal(errors(case, "--host"), [], "errors")
        equal(json.loads(case.ok("state", case.id()).out)["status"], "created")
        case.delete()


@test("root")
def joined_namespaces_stay(mode):
    """--host: what is joined is somebody else's, and keeps its host name."""
    need_bryo()
    with Case(mode) as case:
        case.config["hostname"] = "first"
        case.create(["/probe", "sleep", "100"])
        pid = json.loads(case.ok("state", case.id()).out)["pid"]
        clean = json.dumps(case.config)
        for name in ("uts", "ipc"):
            drop_namespace(case.config, name)
            case.linux["namespaces"].append({"type": name, "path": "/proc/%d/ns/%s" % (pid, name)})
        case.config["hostname"] = "second"
        equal(errors(case, "--host"), [], "errors")
        said = proc.run(["nsenter", "-t", str(pid), "-u", "uname", "-n"])
        equal(said.out, "first\n", "host name")
        case.bundle.config = json.loads(clean)
        drop_namespace(case.config, "mount")
        case.linux["namespaces"].append({"type": "mount", "path": "/proc/%d/ns/mnt" % pid})
        lines, _ = look(case, "--host")
        check(any("was not looked at" in line for line in lines), "%r", lines)
        case.delete()


def volume(case, destination, *options):
    return {"destination": destination, "source": os.path.join(case.dir, "volume"),
            "options": ["rbind"] + list(options)}


def new(destination):
    return {"destination": destination, "type": "tmpfs", "source": "x"}


def in_devices(config):
    """A /dev of the host's, with room for what is made there."""
    config["mounts"] = [m for m in config["mounts"] if not m["destination"].startswith("/dev")]


#: What would be written to the volume that is mounted at the place, and the warning for it.
WRITES = (
    ("/v", lambda c: c["mounts"].append(new("/v/new/deep")), "/mounts/%d/destination"),
    ("/v", lambda c: c["mounts"].append({"destination": "/v/file", "source": "/etc/passwd",
                                         "options": ["bind"]}), "/mounts/%d/destination"),
    ("/v", lambda c: c["mounts"].extend([{"destination": "/v", "options": ["remount", "rw"]},
                                         new("/v/new")]), "/mounts/%d/destination"),
    ("/v", lambda c: c["process"].update(cwd="/v/new"), "/process/cwd"),
    ("/v", lambda c: c["linux"].update(devices=[{"path": "/v/fifo", "type": "p"}]),
     "/linux/devices/0"),
    ("/dev", in_devices, "/linux/devices"),
)


@test(*ALL)
def volumes_stay(mode):
    """--host: no file is made in a volume, and what would make one is told."""
    for place, change, pointer in WRITES:
        with Case(mode) as case:
            inside = case.make_dir("volume", 0o777)
            change(case.config)
            case.config["mounts"] = [volume(case, place)] + case.config["mounts"]
            if "%" in pointer:
                pointer %= len(case.config["mounts"]) - 1
            lines, status = look(case, "--host")
            check("warning: %s: not tried: it would write to a volume" % pointer in lines,
                  "%s: %r", pointer, lines)
            equal((os.listdir(inside), status), ([], 0), "files and status of %s" % pointer)


@test(*MODES)
def volumes_that_are_read_only(mode):
    """--host: what cannot be made in a read-only volume is an error, as for run."""
    with Case(mode) as case:
        case.make_dir("volume", 0o777)
        case.config["mounts"] += [volume(case, "/v", "ro"), new("/v/new")]
        found = errors(case, "--host")
        equal([line.split(":")[0] for line in found],
              ["/mounts/%d/destination" % (len(case.config["mounts"]) - 1)])
        check("/mounts/" in case.run().last_error(), "run takes it")


@test("root")
def mounts_stay_inside(mode):
    """--host: a volume that is shared with the host hands no mount on."""
    with Case(mode) as case:
        for name in ("there", "masked", "readonly"):
            case.make_dir(os.path.join("volume", name))
        case.config["mounts"] += [
            volume(case, "/v", "rshared"), new("/v/there"),
            {"destination": "/v", "options": ["remount", "rshared"]}, new("/v/masked")]
        case.linux.update(maskedPaths=["/v/masked"], readonlyPaths=["/v/readonly"])
        with open("/proc/self/mountinfo") as file:
            before = file.read()
        equal(errors(case, "--host"), [], "errors")
        with open("/proc/self/mountinfo") as file:
            equal(file.read(), before, "mounts of the host")


@test(*ALL)
def overlay_of_the_configuration(mode):
    """--host: a mount of type overlay would empty its directory for work."""
    with Case(mode) as case:
        work = case.make_dir("volume/work/work", 0o777)
        case.make_dir("volume/upper", 0o777)
        bundle.write(os.path.join(work, "file"), "x")
        volumes = os.path.join(case.dir, "volume")
        case.config["mounts"].append({
            "destination": "/o", "type": "overlay", "source": "x",
            "options": ["lowerdir=/etc", "upperdir=%s/upper" % volumes,
                        "workdir=%s/work" % volumes, "userxattr"]})
        equal(look(case, "--host"), (
            ["warning: /mounts/%d: not tried: it could change what is not the container's"
             % (len(case.config["mounts"]) - 1), "valid"], 0))
        equal(os.listdir(work), ["file"], "files")
