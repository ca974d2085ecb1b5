# SPDX-License-Identifier: Apache-2.0
"""What bryo says of itself: steps, traces, features, spec, version, help, refusals."""

import json
import os
import re
import shutil

from lib import bundle, host, proc, users
from lib.bundle import bind, mount_of
from lib.case import Case, binary, need_bryo
from lib.check import Skip, check, contains, equal, test
from lib.host import tree

MODES = ("root", "rootless")
ALL = ("root", "userns", "rootless", "ranges")
TOP_LEVEL = ("process", "root", "hostname", "domainname", "mounts", "hooks", "linux",
             "annotations")
#: Commands and options of runc that come later, or never; help does not show them then.
LATER_COMMANDS = ("exec", "ps", "pause", "resume", "update", "events", "checkpoint", "restore")
def say(*words):
    need_bryo()
    result = proc.run([binary()] + list(words))
    check(result.rc == 0, "%s", result)
    return result.out


def commands():
    """The commands that the help shows."""
    text = say("--help").partition("commands:\n")[2].partition("\n\n")[0]
    return [line.split()[0] for line in text.splitlines() if line.strip()]


def step_rows(text):
    rows = [line.split("\t") for line in text.splitlines()]
    for row in rows:
        equal(len(row), 3, "columns of %r" % row)
    return rows


# -- steps --

@test()
def steps_prints_the_table():
    """cmd_steps(): name, side and pointer of every row, once."""
    rows = step_rows(say("steps"))
    names = [row[0] for row in rows]
    equal(len(set(names)), len(names), "number of names")
    for name, side, pointer in rows:
        check(re.fullmatch(r"[a-z][a-z-]*", name), "name %r", name)
        check(side in ("HOST", "BOX"), "side of %s: %r", name, side)
        check(pointer == "-" or pointer.split("/")[1] in TOP_LEVEL, "pointer of %s: %r", name,
              pointer)
    equal(names[0], "state", "first row")
    for earlier, later in (("clone", "idmap"), ("propagation", "rootfs"), ("rootfs", "mounts"),
                           ("mounts", "pivot"), ("prestart", "create-runtime"),
                           ("create-runtime", "create-container"), ("create-container", "pivot"),
                           ("pivot", "masked-paths"), ("user", "capabilities"),
                           ("bounding-set", "user"), ("early-filter", "capabilities"),
                           ("wait-start", "start-container"), ("fds", "exec"),
                           ("filter", "exec"), ("exec", "poststart")):
        check(names.index(earlier) < names.index(later), "%s after %s", earlier, later)


def wanted_steps(case, *words):
    case.save()
    return [row[0] for row in step_rows(case.ok("steps", *words).out)]


@test(*ALL)
def steps_of_a_bundle(mode):
    """cmd_steps(): the rows that the configuration wants, and nothing is run."""
    need_bryo()
    with Case(mode) as case:
        case.config["hooks"] = {"prestart": [{"path": "/nonexistent/hook"}]}
        case.save()
        before = tree(case.dir)
        names = wanted_steps(case, "-b", case.bundle.path)
        equal(wanted_steps(case, case.bundle.path), names, "bundle as an operand")
        equal(sorted(tree(case.dir)), sorted(before), "files")
        whole = [row[0] for row in step_rows(say("steps"))]
        equal([n for n in whole if n in names], names, "order")
        for name in ("clone", "rootfs", "mounts", "pivot", "prestart", "exec", "hostname",
                     "no-new-privs"):
            check(name in names, "%s is missing", name)
        for name in ("poststart", "sysctl", "domainname", "filter", "early-filter",
                     "wait-start", "time-offsets", "readonly-root"):
            check(name not in names, "%s is not wanted", name)
        equal("idmap" in names, mode != "root", "idmap")
        equal("sources" in names, case.who.privileged, "sources")
        if mode != "userns":  # there it depends on the mode of the directories
            equal("box-sources" in names, not case.who.privileged, "box-sources")


@test(*MODES)
def steps_follow_the_configuration(mode):
    """cmd_steps(): one property, one row."""
    need_bryo()
    changes = {
        "hostname": lambda c: c.pop("hostname"),
        "domainname": lambda c: c.update(domainname="x"),
        "sysctl": lambda c: c["linux"].update(sysctl={"net.ipv4.ip_forward": "1"}),
        "readonly-root": lambda c: c["root"].update(readonly=True),
        "masked-paths": lambda c: c["linux"].update(maskedPaths=[]),
        "readonly-paths": lambda c: c["linux"].update(readonlyPaths=[]),
        "rlimits": lambda c: c["process"].update(rlimits=[]),
        "oom-score": lambda c: c["process"].update(oomScoreAdj=300),
        "no-new-privs": lambda c: c["process"].update(noNewPrivileges=False),
        "loopback": lambda c: bundle.drop_namespace(c, "network"),
        "poststart": lambda c: c.update(hooks={"poststart": [{"path": "/x"}]}),
        "filter": lambda c: c["linux"].update(seccomp={"defaultAction": "SCMP_ACT_ALLOW"}),
    }
    for row, change in changes.items():
        with Case(mode) as case:
            before = set(wanted_steps(case, "-b", case.bundle.path))
            change(case.config)
            after = set(wanted_steps(case, "-b", case.bundle.path))
            differ = (before ^ after) - {"filter-compile", "raise-limits"}
            equal(differ, {row}, "rows that differ")


@test(*MODES)
def steps_of_a_bad_bundle(mode):
    """cmd_steps(): errors as `run` has them."""
    need_bryo()
    with Case(mode) as case:
        case.fails("steps", "-b", "/nonexistent/bundle")
        case.process["cwd"] = "relative"
        case.save()
        contains(case.fails("steps", "-b", case.bundle.path).last_error(), "/process/cwd", "error")


# -- traces --

def trace_of(path):
    with open(path) as file:
        document = json.load(file)
    events = document["traceEvents"]
    sides = {row[0]: row[1] for row in step_rows(say("steps"))}
    for event in events:
        for key in ("name", "cat", "ph", "ts", "dur", "pid", "tid"):
            check(key in event, "the event %s lacks %s", event, key)
        equal(event["ph"], "X", "phase of " + event["name"])
        check(event["ts"] > 0 and event["dur"] >= 0, "times of %s", event)
        equal(event["cat"].upper(), sides[event["name"]], "side of " + event["name"])
        ns = event["args"]["ns"]
        check(ns // 1000 == event["dur"], "%s: %d ns, %d us", event["name"], ns, event["dur"])
    names = [event["name"] for event in events]
    equal(names, [name for name in sides if name in names], "order")
    return events


@test(*ALL)
def trace_of_run(mode):
    """steps_write_trace(): an event for each row that `steps` says is wanted."""
    need_bryo()
    with Case(mode) as case:
        path = os.path.join(case.xdg, "trace.json")
        case.config["hooks"] = {kind: [{"path": "/bin/true"}] for kind in (
            "prestart", "createRuntime", "createContainer", "poststart")}
        case.save(["/probe", "exit", "3"])
        result = case.call("run", "--trace", path, "-b", case.bundle.path, case.id())
        equal((result.rc, result.err), (3, ""), "run")
        events = trace_of(path)
        names = [event["name"] for event in events]
        equal(names, wanted_steps(case, "-b", case.bundle.path), "rows")
        check({"exec", "pivot", "poststart"} <= set(names), "rows: %s", names)
        equal({e["cat"] for e in events}, {"host", "box"}, "sides")
        start = {e["name"]: e["ts"] for e in events}
        for earlier, later in (("state", "clone"), ("clone", "rootfs"), ("rootfs", "pivot"),
                               ("pivot", "exec"), ("exec", "poststart")):
            check(start[earlier] <= start[later], "%s began after %s", earlier, later)


@test(*MODES)
def trace_of_create(mode):
    """steps_write_trace(): up to where the container waits."""
    need_bryo()
    with Case(mode) as case:
        path = os.path.join(case.xdg, "trace.json")
        case.create(["/probe", "sleep", "60"], words=("--trace", path))
        names = [event["name"] for event in trace_of(path)]
        for name in ("state", "listen", "clone", "pivot", "capabilities", "record"):
            check(name in names, "%s is missing: %s", name, names)
        for name in ("exec", "ready", "fds", "filter"):
            check(name not in names, "%s has not run yet", name)
        case.delete()


@test(*MODES)
def trace_that_cannot_be_written(mode):
    """cmd_run.c: the container runs all the same; a warning."""
    need_bryo()
    with Case(mode) as case:
        case.save(["/probe", "exit", "3"])
        result = case.call("run", "--trace", "/nonexistent/trace", "-b", case.bundle.path,
                           case.id())
        equal(result.rc, 3, "exit status")
        contains(result.err, "warning", "standard error")
        contains(result.err, "/nonexistent/trace", "standard error")


# -- features --

@test()
def features_are_of_the_schema():
    """cmd_features(): features.md and features-linux.md, by the JSON schema's rules."""
    features = json.loads(say("features"))
    for key in ("ociVersionMin", "ociVersionMax"):
        check(re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", features[key]), "%s: %r", key,
              features[key])
    for key in ("hooks", "mountOptions", "potentiallyUnsafeConfigAnnotations"):
        strings(features.get(key, []), key)
    for key, value in features.get("annotations", {}).items():
        check(isinstance(value, str), "annotation %s: %r", key, value)
    linux = features["linux"]
    strings(linux["namespaces"], "namespaces", {"mount", "pid", "network", "uts", "ipc", "user",
                                                "cgroup", "time"})
    strings(linux["capabilities"], "capabilities")
    for name in linux["capabilities"]:
        check(re.fullmatch("CAP_[A-Z_]+", name), "capability %r", name)
    booleans(linux["cgroup"], ("v1", "v2", "systemd", "systemdUser", "rdma"))
    for key in ("apparmor", "selinux", "intelRdt", "netDevices"):
        booleans(linux[key], ("enabled",))
    booleans(linux["mountExtensions"]["idmap"], ("enabled",))
    seccomp_of_the_schema(linux["seccomp"])


def strings(values, what, allowed=None):
    check(isinstance(values, list), "%s: %r", what, values)
    for value in values:
        check(isinstance(value, str) and value, "%s: %r", what, value)
        check(allowed is None or value in allowed, "%s: %r", what, value)
    equal(len(set(values)), len(values), "different " + what)


def booleans(obj, keys):
    for key in keys:
        check(isinstance(obj.get(key, False), bool), "%s: %r", key, obj[key])


def seccomp_of_the_schema(seccomp):
    booleans(seccomp, ("enabled",))
    strings(seccomp["actions"], "actions", {"SCMP_ACT_" + a for a in (
        "KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ERRNO", "TRACE", "ALLOW", "LOG",
        "NOTIFY")})
    strings(seccomp["operators"], "operators", {"SCMP_CMP_" + a for a in (
        "NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")})
    strings(seccomp["archs"], "archs")
    for arch in seccomp["archs"]:
        check(re.fullmatch("SCMP_ARCH_[A-Z0-9_]+", arch), "arch %r", arch)
    flags = {"SECCOMP_FILTER_FLAG_" + f for f in ("TSYNC", "LOG", "SPEC_ALLOW",
                                                  "WAIT_KILLABLE_RECV")}
    strings(seccomp["knownFlags"], "knownFlags", flags)
    strings(seccomp["supportedFlags"], "supportedFlags", set(seccomp["knownFlags"]))


@test()
def features_are_true():
    """cmd_features(): what is listed is what the other tests use."""
    features = json.loads(say("features"))
    equal(set(features["hooks"]), {"prestart", "createRuntime", "createContainer",
                                   "startContainer", "poststart", "poststop"}, "hooks")
    for option in ("ro", "rro", "rbind", "tmpcopyup", "idmap", "ridmap", "nosymfollow",
                   "rslave", "remount"):
        check(option in features["mountOptions"], "%s is missing", option)
    spec = [line for line in say("--version").splitlines() if line.startswith("spec: ")]
    equal(spec, ["spec: " + features["ociVersionMax"]], "version")


@test("root", "rootless")
def every_mount_option_is_taken(mode):
    """cmd_features(), mountOptions: none of them is an unknown option."""
    need_bryo()
    with Case(mode) as case:
        source = case.make_dir("source")
        for option in json.loads(say("features"))["mountOptions"]:
            if option in ("idmap", "ridmap", "remount", "bind", "rbind"):
                continue
            new = {"destination": "/m/new-" + option, "type": "tmpfs", "source": "x",
                   "options": [option]}
            if option not in ("z", "Z"):
                case.config["mounts"].append(new)
            if option != "tmpcopyup" and "atime" not in option:
                case.config["mounts"].append(bind(source, "/m/bind-" + option, option))
        if mode == "rootless":
            # The kernel locks it on mounts from outside; see test_mounts.py.
            locked = [m for m in case.config["mounts"] if "bind-" in m["destination"] and
                      m["options"][-1] in ("diratime", "nodiratime", "rdiratime")]
            case.config["mounts"] = [m for m in case.config["mounts"] if m not in locked]
        case.run_ok(["/probe", "exit", "0"])


# -- spec --

def make_spec(case, *words):
    path = os.path.join(case.bundle.path, "config.json")
    os.unlink(path)
    equal(case.ok("spec", "-b", case.bundle.path, *words).out, "", "output of spec")
    with open(path) as file:
        return json.load(file)


@test(*MODES)
def spec_runs_as_it_is(mode):
    """cmd_spec(): only the program is changed; both kinds, for both callers."""
    need_bryo()
    for words in ((), ("--rootless",)):
        with Case(mode) as case:
            config = make_spec(case, *words)
            config["process"]["args"] = ["/probe", "facts"]
            case.bundle.config = config
            report = case.report(None)
            equal(report["no_new_privs"], 1, "no_new_privs")
            equal((report["pid"], report["uid"][0]), (1, 0), "pid and uid")
            equal(report["hostname"], config["hostname"], "host name")
            own = host.namespaces()
            for name in ("mnt", "pid", "uts", "ipc", "net"):
                if name != "net" or "--rootless" not in words:
                    check(report["namespaces"][name] != own[name], "%s is the host's", name)
            check("ro" in [m for m in report["mounts"] if m["point"] == "/"][-1]["options"]
                  .split(","), "the root is writable")


@test(*MODES)
def spec_overwrites_nothing(mode):
    """cmd_spec(): a config.json, or what is in its place, stays as it is."""
    need_bryo()
    with Case(mode) as case:
        path = os.path.join(case.bundle.path, "config.json")
        with open(path) as file:
            before = file.read()
        result = case.fails("spec", "-b", case.bundle.path)
        contains(result.last_error(), "not overwritten", "error")
        with open(path) as file:
            equal(file.read(), before, "config.json")
        os.unlink(path)
        os.symlink(os.path.join(case.dir, "elsewhere"), path)
        case.fails("spec", "-b", case.bundle.path)
        check(not os.path.exists(os.path.join(case.dir, "elsewhere")), "the link was followed")
        os.unlink(path)
        case.fails("spec", "-b", "/nonexistent/bundle")
        if case.who.uid == 0:
            case.ok("spec", cwd=case.bundle.path)
            check(os.path.exists(path), "not in the working directory")


# -- version and help --

@test()
def version_lines():
    """print_version(): three lines, which docker and podman parse."""
    for word in ("--version", "-v"):
        lines = say(word).splitlines()
        equal(len(lines), 3, "lines")
        check(re.fullmatch(r"bryo version \d+\.\d+\.\d+\S*", lines[0]), "%r", lines[0])
        check(re.fullmatch(r"commit: \S+", lines[1]), "%r", lines[1])
        check(re.fullmatch(r"spec: \d+\.\d+\.\d+", lines[2]), "%r", lines[2])


@test()
def help_of_every_command():
    """opts_help(): exit status 0 and the command's own name, nothing on stderr."""
    found = commands()
    for name in ("run", "create", "start", "state", "kill", "delete", "list", "spec",
                 "features", "steps"):
        check(name in found, "%s is not in the help", name)
    for name in found:
        for words in ((name, "--help"), (name, "-h"), ("--help", name)):
            result = proc.run([binary()] + list(words))
            equal((result.rc, result.err), (0, ""), " ".join(words))
            contains(result.out, "usage: bryo", " ".join(words))
        contains(result.out, name, "help of " + name)


@test()
def no_command():
    """dispatch(): the help on stderr, and not success."""
    need_bryo()
    result = proc.run([binary()])
    check(result.rc > 0 and result.out == "" and "usage" in result.err, "%s", result)


# -- refusals --

def nothing_made(case, *words):
    """The command fails, and the state directory is as it was."""
    case.save(["/probe", "echo", "hello"])
    before = sorted(tree(case.dir))
    result = case.fails(*words)
    contains(result.last_error(), "not supported yet", " ".join(words[:3]))
    check("hello" not in result.out, "the payload ran: %s", result)
    equal(sorted(tree(case.dir)), before, "files")
    return result


@test(*MODES)
def commands_of_the_future(mode):
    """main.c, commands without a function: they say so, whatever follows them."""
    need_bryo()
    with Case(mode) as case:
        shown = commands()
        for name in LATER_COMMANDS:
            if name not in shown:
                for words in ((name,), (name, case.id()), (name, "--help"),
                              (name, case.id(), "/bin/true")):
                    contains(nothing_made(case, *words).last_error(), name, "error")


@test(*MODES)
def systemd_is_no_obstacle_to_other_commands(mode):
    """Engines pass --systemd-cgroup to every command; most have no use for it."""
    need_bryo()
    with Case(mode) as case:
        case.create(["/probe", "sleep", "60"])
        for words in (("state",), ("start",), ("kill",), ("delete", "--force")):
            case.ok("--systemd-cgroup", *words, case.id())


@test(*MODES)
def cgroup_managers(mode):
    """main.c, managers: those that are accepted, and one that is none."""
    need_bryo()
    with Case(mode) as case:
        case.save(["/probe", "echo", "hello"])
        for name in ("disabled", "cgroupfs", "auto"):
            result = case.ok("--cgroup-manager", name, "run", "-b", case.bundle.path, case.id())
            equal(result.out, "hello\n", name)
        result = case.fails("--cgroup-manager", "nonsense", "run", "-b", case.bundle.path,
                            case.id())
        contains(result.last_error(), "nonsense", "error")


REFUSED = {
    "/linux/intelRdt": lambda c: c["linux"].update(intelRdt={"closID": "x"}),
    "/linux/memoryPolicy": lambda c: c["linux"].update(
        memoryPolicy={"mode": "MPOL_BIND", "nodes": "0"}),
    "/process/scheduler": lambda c: c["process"].update(scheduler={"policy": "SCHED_BATCH"}),
    "/linux/personality": lambda c: c["linux"].update(personality={"domain": "LINUX32"}),
}


@test(*MODES)
def elements_of_the_future(mode):
    """spec_check_supported(): the pointer, in run, create and steps."""
    need_bryo()
    with open(os.path.join(bundle.TOP, "tests/spec/refused.txt")) as file:
        listed = file.read().split()
    for pointer, change in REFUSED.items():
        if pointer not in listed:
            continue
        with Case(mode) as case:
            change(case.config)
            for words in (("run",), ("create",)):
                result = nothing_made(case, *words, "-b", case.bundle.path, case.id())
                contains(result.last_error(), pointer + ": not supported yet", words[0])
            contains(case.fails("steps", "-b", case.bundle.path).last_error(), pointer, "steps")


@test("root")
def set_uid_copy(mode):
    """prepare_process(): somebody else's privilege is refused, before all else."""
    need_bryo()
    who = users.identity("rootless")
    with Case(mode) as case:
        path = os.path.join(case.dir, "bryo-suid")
        shutil.copy(case.binary, path)
        os.chmod(path, 0o4755)
        if not proc.run(["findmnt", "-n", "-o", "OPTIONS", "-T", path]).out.find("nosuid") < 0:
            raise Skip("nosuid here")
        case.save(["/probe", "echo", "hello"])
        for words in (["--version"], ["features"], ["list"], ["--help"],
                      ["--root", case.root, "run", "-b", case.bundle.path, case.id()]):
            result = proc.run([path] + words, **dict(who.popen(), cwd="/", env=case.env))
            check(result.rc > 0, "%s: %s", words, result)
            contains(result.last_error(), "set-uid", "error")
            equal(result.out, "", "output")
        equal(os.listdir(case.root), [], "state directory")


@test("ranges")
def spec_of_root_for_an_ordinary_user(mode):
    """cmd_spec(), drop_unmapped_gid(): what `spec` writes runs for everybody."""
    need_bryo()
    with Case(mode) as case:
        case.bundle.config = make_spec(case)
        contains(mount_of(case.config, "/dev/pts")["options"], "gid=5", "devpts")
        check("user" not in [n["type"] for n in case.linux["namespaces"]], "a user namespace")
        case.run_ok(["/probe", "exit", "0"])
