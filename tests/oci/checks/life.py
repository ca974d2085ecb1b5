# SPDX-License-Identifier: Apache-2.0
"""The operations, the state, and the errors of both."""

import json
import os
import re
import subprocess

from lib import bundle, host, proc
from lib.case import kind
from lib.check import Skip, check, contains, equal, wait_until
from oci.frame import DELETE, RAN, Box, claim, proves
from test_mounts import source, tmpfs

SLEEP = ["/probe", "sleep", "60"]
COMMANDS = ("state", "create", "start", "kill", "delete")


def fails(box, *words, **kwargs):
    """By exit status, and at once."""
    result = box.call(*words, **dict(kwargs, timeout=10))
    check(result.rc > 0, "no error: %s", result)
    return result


# -- state --

STATE = {"ociVersion": str, "id": str, "status": str, "pid": int, "bundle": str}


def of_schema(state):
    """The rules of state-schema.json."""
    for name in ("ociVersion", "id", "status", "bundle"):
        check(name in state, "%s is missing: %s", name, state)
    for name, type_ in STATE.items():
        check(isinstance(state.get(name, type_()), type_), "%s: %r", name, state.get(name))
    contains(("creating", "created", "running", "stopped"), state["status"], "status")
    check(re.match(r"\d+\.\d+\.\d+", state["ociVersion"]), "version %r", state["ociVersion"])
    check(state.get("pid", 0) >= 0, "pid %r", state.get("pid"))
    for key, value in (state.get("annotations") or {}).items():
        check(key and isinstance(value, str), "annotation %r: %r", key, value)


@proves("state.version", "state.id", "state.status.created", "state.status.running",
        "state.status.stopped", "state.status.others", "state.pid", "state.bundle",
        "state.annotations", "state.schema")
def state(mode):
    with Box(mode) as box:
        box.config["annotations"] = {"org.example.key": "a \"value\""}
        box.save(["/probe", "trap"])
        # By a relative path, to see an absolute one.
        with open(box.output(), "ab") as out:
            box.ok("create", "--bundle", "bundle", box.id(), cwd=box.dir, stdout=out, stderr=out)
        seen = [box.state()]
        box.ok("start", box.id())
        wait_until(lambda: "ready" in box.read_output(), what="the program")
        seen.append(box.state())
        box.ok("kill", box.id(), "TERM")
        box.wait_status("stopped")
        seen.append(box.state())
        box.delete()
    with claim("state.version"):
        check(all(re.match(r"1\.\d+\.\d+", s["ociVersion"]) for s in seen), "%s", seen)
    with claim("state.id"):
        equal([s["id"] for s in seen], [box.id()] * 3, "id")
    for s, name in zip(seen, ("created", "running", "stopped")):
        with claim("state.status." + name):
            equal(s["status"], name, "status")
    with claim("state.status.others"):
        check({s["status"] for s in seen} <= {"created", "running", "stopped"}, "%s", seen)
    with claim("state.pid"):
        equal(seen[0]["pid"], seen[1]["pid"], "pid")
        check(seen[0]["pid"] > 1, "pid %s", seen[0]["pid"])
    with claim("state.bundle"):
        equal([s["bundle"] for s in seen], [box.bundle.path] * 3, "bundle")
    with claim("state.annotations"):
        equal([s["annotations"] for s in seen], [{"org.example.key": "a \"value\""}] * 3, "annotations")
    with claim("state.schema"):
        for s in seen:
            of_schema(s)


@proves("state.id.unique", "create.id.taken")
def ids_that_are_taken(mode):
    with Box(mode) as box:
        box.create(SLEEP)
        before = box.state()
        for command in ("create", "run"):
            fails(box, command, "-b", box.bundle.path, box.id(), stdout=subprocess.DEVNULL,
                  stderr=subprocess.DEVNULL)
        equal(box.state(), before, "the first")
        box.ok("start", box.id())
        fails(box, "create", "-b", box.bundle.path, box.id(), stdout=subprocess.DEVNULL,
              stderr=subprocess.DEVNULL)
        equal(box.state()["pid"], before["pid"], "the first")
        box.delete()


@proves("create.id.invalid")
def ids_that_cannot_be(mode):
    with Box(mode) as box:
        box.accepts()
        for id_ in ("", "a/b", "../x", ".", ".."):
            before = sorted(os.listdir(box.root))
            fails(box, "run", "-b", box.bundle.path, id_)
            equal(sorted(os.listdir(box.root)), before, "what %r left" % id_)


# -- without what they need --

def without_id(name):
    def func(mode):
        with Box(mode) as box:
            box.create(SLEEP)
            words = (name, "-b", box.bundle.path) if name == "create" else (name,)
            fails(box, *words)
            equal(box.state()["status"], "created", "status of another")
            box.delete()
    func.__name__ = name + "_without_an_id"
    proves("%s.no-id" % ("query" if name == "state" else name))(func)


for _name in COMMANDS:
    without_id(_name)


@proves("query.missing", "start.missing", "kill.missing", "delete.missing")
def no_such_container(mode):
    with Box(mode) as box:
        for id_, words in (("query.missing", ("state",)), ("start.missing", ("start",)),
                           ("kill.missing", ("kill",)), ("delete.missing", ("delete",))):
            with claim(id_):
                more = ["KILL"] if words == ("kill",) else []
                result = fails(box, *words, "no-such", *more)
                check(result.err.strip(), "without a word: %s", result)


@proves("create.no-bundle")
def no_bundle(mode):
    """The command line's default is the working directory."""
    with Box(mode) as box:
        empty = box.make_dir("empty")
        for words in (("create", box.id()), ("create", "-b", empty, box.id()),
                      ("create", "-b", "/nonexistent", box.id())):
            fails(box, *words, cwd=empty)
            fails(box, "state", box.id())
        box.accepts()


@proves("operations.exist", "scope.creator")
def operations(mode):
    with Box(mode) as box:
        box.create(["/probe", "trap"])
        box.ok("state", box.id())
        box.ok("start", box.id())
        wait_until(lambda: "ready" in box.read_output(), what="the program")
        box.ok("kill", box.id(), "TERM")
        box.wait_status("stopped")
        box.ok("delete", box.id())


# -- create --

def namespaces_of(pid):
    found = {}
    for name in ("mnt", "pid", "net", "ipc", "uts"):
        found[name] = os.readlink("/proc/%d/ns/%s" % (pid, name))
    return found


@proves("create.new", "create.program", "create.properties")
def create(mode):
    with Box(mode) as box:
        path = source(box)
        box.set({"root.readonly": True, "hostname": "made-by-create"})
        box.config["mounts"] += [tmpfs("/work", "size=64k", "noexec"), bundle.bind(path, "/tmp", "ro")]
        box.create(["/probe", "echo", RAN])
        with claim("create.new"):
            equal(box.state()["status"], "created", "status")
            check(proc.alive(box.state()["pid"]), "there is no process")
        pid = box.state()["pid"]
        with claim("create.program"):
            equal(box.read_output(), "", "output")
            equal(box.state()["status"], "created", "status")
        with claim("create.properties"):
            if os.geteuid() != 0:
                raise Skip("an ordinary user may not look at the process")
            own = host.namespaces()
            for name, link in namespaces_of(pid).items():
                check(link != own[name], "the %s namespace is not new", name)
            with open("/proc/%d/mountinfo" % pid) as file:
                mounts = {line.split()[4]: line.split()[5].split(",") for line in file}
            check("ro" in mounts["/"], "the root: %s", mounts["/"])
            check("noexec" in mounts.get("/work", ()), "/work: %s", mounts.get("/work"))
            check("ro" in mounts.get("/tmp", ()), "/tmp: %s", mounts.get("/tmp"))
            name = proc.run(["nsenter", "-t", str(pid), "-u", "uname", "-n"])
            equal(name.out.strip(), "made-by-create", "host name: " + name.err)
        box.delete()


@proves("create.cannot", "errors.clean")
def what_cannot_be_applied(mode):
    bad = ({"hostname": "x" * 65}, {"linux.sysctl": {"kernel.nonsense": "1"}},
           {"process.args": ["/missing"]}, {"root.path": "missing"},
           {"hooks": {"createContainer": [{"path": "/bin/false"}]}},
           {"linux.namespaces": [{"type": "network", "path": "/nonexistent/ns"}]})
    with Box(mode) as box:
        box.accepts()
        mounts = box.config["mounts"]
        for values in bad + ({"mounts": mounts + [bundle.bind("/nonexistent/x", "/work")]},
                             {"mounts": mounts + [tmpfs("/work", "nonsense=1")]}):
            box.reset()
            box.set(values)
            if "process.args" not in values:
                box.process["args"] = ["/probe", "echo", RAN]
            result = box.create(expect=False)
            with claim("create.cannot"):
                check(result.rc != 0, "no error: %s", str(values)[-200:])
                check(box.call("state", box.id()).rc != 0, "a container: %s", str(values)[-200:])
            with claim("errors.clean"):
                left = box.before.leftovers([box.root])
                if left:  # a dying process may take a moment
                    box.clean(str(values)[-100:])
            box.call("delete", "--force", box.id())


@proves("create.no-process", "start.no-process")
def without_a_process(mode):
    with Box(mode) as box:
        box.set({"process": DELETE})
        box.bundle.save()
        with open(box.output(), "ab") as out:
            with claim("create.no-process"):
                box.ok("create", "-b", box.bundle.path, box.id(), stdout=out, stderr=out)
                equal(box.state()["status"], "created", "status")
            with claim("start.no-process"):
                if box.call("state", box.id()).rc != 0:
                    raise Skip("a container without a process cannot be created")
                fails(box, "start", box.id())
        box.call("delete", "--force", box.id())


# -- start --

@proves("start.program", "start.twice", "start.stopped")
def start(mode):
    with Box(mode) as box:
        with claim("start.program"):
            box.create(["/probe", "echo", RAN])
            box.ok("start", box.id())
            wait_until(lambda: RAN in box.read_output(), what="the program")
            box.wait_status("stopped")
        with claim("start.stopped"):
            before = box.state()
            fails(box, "start", box.id())
            equal((box.state()["status"], box.read_output()), ("stopped", RAN + "\n"), "effect")
            equal(box.state()["id"], before["id"], "id")
        box.delete()
        with claim("start.twice"):
            pid = box.started(suffix="two")
            fails(box, "start", box.id("two"))
            got = box.state("two")
            equal((got["status"], got["pid"]), ("running", pid), "status, pid")
            box.delete("two")


# -- kill --

@proves("kill.running", "kill.created", "kill.stopped")
def kill(mode):
    with Box(mode) as box:
        with claim("kill.running"):
            for word, number in (("USR1", 10), ("SIGUSR2", 12), ("15", 15)):
                suffix = "k" + word
                box.started(["/probe", "trap"], suffix)
                wait_until(lambda: "ready" in box.read_output(suffix), what="the program")
                box.ok("kill", box.id(suffix), word)
                wait_until(lambda: "got %d" % number in box.read_output(suffix), what=word)
                box.wait_status("stopped", suffix)
                box.delete(suffix)
        with claim("kill.created"):
            box.create(["/probe", "echo", RAN])
            box.ok("kill", box.id(), "KILL")
            box.wait_status("stopped")
            check(RAN not in box.read_output(), "the program has run")
        with claim("kill.stopped"):
            for signal in ("TERM", "KILL", "0"):
                if signal == "0" and kind() != "bryo":
                    continue
                fails(box, "kill", box.id(), signal)
            equal(box.state()["status"], "stopped", "status")
        box.delete()


# -- delete --

@proves("delete.created", "delete.running")
def delete_of_what_has_not_stopped(mode):
    with Box(mode) as box:
        for id_, status in (("delete.created", "created"), ("delete.running", "running")):
            box.create(SLEEP, status)
            if status == "running":
                box.ok("start", box.id(status))
            with claim(id_):
                pid = box.state(status)["pid"]
                fails(box, "delete", box.id(status))
                got = box.state(status)
                equal((got["status"], got["pid"]), (status, pid), "status, pid")
                check(proc.alive(pid), "the process has ended")
            box.call("delete", "--force", box.id(status))


@proves("delete.resources", "delete.others", "delete.id-again")
def delete(mode):
    with Box(mode) as box:
        path = source(box)
        box.config["mounts"].append(bundle.bind(path, "/tmp"))
        before = host.tree(path)
        image = sorted(os.listdir(box.bundle.rootfs))
        box.started(["/probe", "exit", "0"])
        box.wait_status("stopped")
        box.ok("delete", box.id())
        with claim("delete.resources"):
            box.clean("after delete")
            fails(box, "state", box.id())
        with claim("delete.others"):
            equal(host.difference(before, host.tree(path)), [], "a source")
            equal(sorted(os.listdir(box.bundle.rootfs)), image, "the root file system")
            check(os.path.exists(os.path.join(box.bundle.path, "config.json")), "the bundle is gone")
        with claim("delete.id-again"):
            box.create(SLEEP)
            equal(json.loads(box.ok("state", box.id()).out)["status"], "created", "status")
            box.delete()
