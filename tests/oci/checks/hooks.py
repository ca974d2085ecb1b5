# SPDX-License-Identifier: Apache-2.0
"""Hooks: when each kind is called, where, with what, and what its failure does."""

import json
import os
import time

from lib import bundle, host, proc
from lib.check import check, equal, wait_until
from oci.frame import RAN, Box, claim, proves, refuses
from test_hooks import KINDS, Log, all_kinds, check_order, payload

#: The kinds as they are in ids.
ID = {"prestart": "prestart", "createRuntime": "create-runtime",
      "createContainer": "create-container", "startContainer": "start-container",
      "poststart": "poststart", "poststop": "poststop"}
AT_CREATE, INSIDE = KINDS[:3], ("createContainer", "startContainer")
STATUS = {"prestart": "creating", "createRuntime": "creating", "createContainer": "creating"}


def ids(what, kinds=KINDS):
    return ["hooks.%s.%s" % (ID[kind], what) for kind in kinds]


def state_of(entry):
    """The probe writes bytes as code points of the same number."""
    return json.loads(entry["stdin"].encode("latin-1").decode())


def whole_life(box, log):
    """{name: entry} of what hooks and program have written, and who was there when."""
    box.create(payload(log))
    after_create, created = log.names(), box.state()
    box.ok("start", box.id())
    after_start = log.names()
    box.wait_status("stopped")
    wait_until(lambda: "payload" in log.names(), what="the program")
    before_delete = log.names()
    box.ok("delete", box.id())
    return after_create, after_start, before_delete, log.names(), created


@proves(*ids("called"), "hooks.prestart.first", "hooks.create-container.after", "hooks.order",
        "operations.order")
def moments(mode):
    with Box(mode) as box:
        log = Log(box)
        all_kinds(box, log, 2)
        names = ["%s %d" % (kind, n) for kind in KINDS for n in range(2)]
        at_create, at_start, before_delete, all_, _ = whole_life(box, log)
        with claim("hooks.order"):
            for kind in KINDS:
                check(all_.index(kind + " 0") < all_.index(kind + " 1"), "%s: %s", kind, all_)
        with claim("operations.order"):
            check_order(all_, 2)
            equal(at_create, names[:6], "hooks of create")
        for kind in AT_CREATE:
            with claim("hooks.%s.called" % ID[kind]):
                check(kind + " 0" in at_create and kind + " 1" in at_create, "%s", at_create)
        with claim("hooks.prestart.first"):
            check(all_.index("prestart 1") < all_.index("createRuntime 0"), "%s", all_)
        with claim("hooks.create-container.after"):
            check(all_.index("createRuntime 1") < all_.index("createContainer 0"), "%s", all_)
        with claim("hooks.start-container.called"):
            check("startContainer 0" not in at_create, "it came with create")
            check(all_.index("startContainer 1") < all_.index("payload"), "%s", all_)
        with claim("hooks.poststart.called"):
            for entry in log.entries():
                if entry["name"].startswith("poststart"):
                    equal(state_of(entry)["status"], "running", "status")
            check("poststart 1" in at_start and "poststart 0" not in at_create, "%s", at_start)
            check(all_.index("startContainer 1") < all_.index("poststart 0"), "%s", all_)
        with claim("hooks.poststop.called"):
            check("poststop 0" not in before_delete and "poststop 1" in all_, "%s", all_)


#: What a hook of the host's finds of the process whose state it reads.
LOOK = """pid=$(sed -n 's/.*"pid":[[:space:]]*\\([0-9]*\\).*/\\1/p' | head -n 1)
{ readlink "/proc/$pid/ns/net"; stat -L -c %d:%i "/proc/$pid/root"; } >"$0" """


@proves("hooks.prestart.called", "hooks.create-runtime.called", modes=("root",),
        why="an ordinary user may not look at a process that is not his to trace")
def what_is_there_already(mode):
    """The namespaces are made, the root is the host's still."""
    own = os.stat("/")
    for kind in ("prestart", "createRuntime"):
        with Box(mode) as box, claim("hooks.%s.called" % ID[kind]):
            path = os.path.join(box.dir, "seen")
            box.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", LOOK, path],
                                           "env": [bundle.PATH]}]}
            box.create(["/probe", "sleep", "60"])
            with open(path) as file:
                space, root = file.read().split()
            equal(space, os.readlink("/proc/%d/ns/net" % box.state()["pid"]), "network namespace")
            equal(root, "%d:%d" % (own.st_dev, own.st_ino), "root")
            box.delete()


@proves("hooks.state", "hooks.pid.runtime", "hooks.pid.container", "state.status.creating")
def what_they_read(mode):
    with Box(mode) as box:
        log = Log(box)
        all_kinds(box, log)
        box.config["annotations"] = {"org.example.key": "a \"quoted\" value \u00e9\n"}
        created = whole_life(box, log)[4]
        for entry in log.entries():
            kind = entry["name"]
            if kind == "payload":
                continue
            with claim("hooks.state"):
                state = state_of(entry)
                equal((state["id"], state["bundle"], state["annotations"]),
                      (box.id(), box.bundle.path, box.config["annotations"]), kind)
                check(state["ociVersion"] and state["status"], "%s: %s", kind, state)
            if kind in STATUS:
                with claim("state.status.creating"):
                    equal(state["status"], STATUS[kind], kind)
            if kind in INSIDE:
                with claim("hooks.pid.container"):
                    equal(state["pid"], 1, "%s: pid in the container's pid namespace" % kind)
            elif kind != "poststop":
                with claim("hooks.pid.runtime"):
                    equal(state["pid"], created["pid"], kind + ": pid")


@proves(*ids("path"), *ids("namespace"))
def places(mode):
    with Box(mode) as box:
        log = Log(box)
        all_kinds(box, log)
        # The image's program cannot be found on the host, nor the host's in the image.
        only_inside, only_outside = "/only-inside", os.path.join(log.dir, "only-outside")
        os.link(box.bundle.inside("probe"), box.bundle.inside(only_inside))
        with open(box.bundle.inside("probe"), "rb") as file:
            data = file.read()
        with open(only_outside, "wb") as file:
            file.write(data)
        os.chmod(only_outside, 0o755)
        for kind in KINDS:
            box.config["hooks"][kind][0]["path"] = (
                only_inside if kind == "startContainer" else only_outside)
        whole_life(box, log)
        entries = {entry["name"]: entry for entry in log.entries()}
        own = host.namespaces()
        for kind in KINDS:
            with claim("hooks.%s.path" % ID[kind]):
                check(kind in entries, "it has not run")
                equal(entries[kind]["host_root"], kind != "startContainer", "sees the host's files")
            with claim("hooks.%s.namespace" % ID[kind]):
                got = entries[kind]["namespaces"]
                want = entries["payload"]["namespaces"] if kind in INSIDE else own
                for name in ("mnt", "net", "uts", "ipc", "pid", "user"):
                    if got[name] or kind not in INSIDE:
                        equal(got[name], want[name], name)


@proves("hooks.args", "hooks.env")
def arguments(mode):
    with Box(mode) as box:
        log = Log(box)
        all_kinds(box, log)
        more = ["", "two words", "\u00e9", "-x"]
        for hooks in box.config["hooks"].values():
            hooks[0]["args"] = ["another name"] + hooks[0]["args"][1:] + more
            hooks[0]["env"] = ["A=1", "B=two words", "EMPTY="]
        whole_life(box, log)
        for entry in log.entries():
            if entry["name"] != "payload":
                with claim("hooks.args"):
                    got = [text.encode("latin-1").decode() for text in entry["args"]]
                    equal((got[0], got[-4:]), ("another name", more), entry["name"])
                with claim("hooks.env"):
                    equal(entry["env"], ["A=1", "B=two words", "EMPTY="], entry["name"])


HOOK = {"path": "/bin/true"}
refuses("hooks.path.absolute", {"hooks": {"createRuntime": [HOOK]}},
        {"hooks": {"createRuntime": [{"path": "bin/true"}]}},
        {"hooks": {"poststop": [{"path": "true"}]}}, {"hooks": {"startContainer": [{"path": ""}]}},
        {"hooks": {"createContainer": [{"args": ["true"]}]}})
refuses("hooks.timeout.positive", {"hooks": {"createRuntime": [dict(HOOK, timeout=5)]}},
        {"hooks": {"createRuntime": [dict(HOOK, timeout=0)]}},
        {"hooks": {"poststop": [dict(HOOK, timeout=-1)]}})


@proves("hooks.timeout")
def timeout(mode):
    with Box(mode) as box:
        log = Log(box)
        slow = {"createRuntime": [log.hook("createRuntime", "sleep", "30", timeout=1)]}
        begin = time.monotonic()
        box.refuses({"hooks": slow})
        took = time.monotonic() - begin
        check(0.9 < took < 10, "it took %.1f s", took)


# -- failures --

def failing(log, kind):
    """The second of three fails; and who tells of the end."""
    hooks = {kind: [log.writer(kind, "before"), log.hook(kind, "exit", "3"),
                    log.writer(kind, "after")]}
    if kind != "poststop":
        hooks["poststop"] = [log.writer("poststop", "the end")]
    return hooks


def is_over(box):
    """No container, or one that has ended; the state then, or None."""
    result = box.call("state", box.id())
    state = json.loads(result.out) if result.rc == 0 else None
    check(state is None or state["status"] == "stopped", "it goes on: %s", state)
    return state


@proves(*ids("failure", AT_CREATE), "hooks.failure.poststop")
def failures_of_create(mode):
    for kind in AT_CREATE:
        with Box(mode) as box:
            log = Log(box)
            box.config["hooks"] = failing(log, kind)
            with claim("hooks.%s.failure" % ID[kind]):
                result = box.create(["/probe", "echo", RAN], expect=False)
                check(result.rc != 0, "no error: %s", result)
                equal(is_over(box), None, "the container")
                equal(log.names()[:1] + [n for n in log.names() if n == "after"], ["before"], "hooks")
                left = [proc.describe(pid) for pid in box.before.new_processes()]
                equal(left, [], "processes")
            with claim("hooks.failure.poststop"):
                check("the end" in log.names(), "%s: poststop was not called", kind)
            box.call("delete", "--force", box.id())


@proves(*ids("failure", ("startContainer", "poststart")), "hooks.failure.poststop")
def failures_of_start(mode):
    for kind in ("startContainer", "poststart"):
        with Box(mode) as box:
            log = Log(box)
            box.config["hooks"] = failing(log, kind)
            program = payload(log) if kind == "startContainer" else ["/probe", "sleep", "60"]
            box.create(program)
            pid = box.state()["pid"]
            with claim("hooks.%s.failure" % ID[kind]):
                result = box.call("start", box.id())
                check(result.rc != 0, "no error: %s", result)
                wait_until(lambda: proc.descendants() is not None and not proc.alive(pid),
                           what="the end of the process")
                is_over(box)
                equal([n for n in log.names() if n != "the end"], ["before"], "hooks and program")
            box.call("delete", "--force", box.id())
            with claim("hooks.failure.poststop"):
                check("the end" in log.names(), "%s: poststop was not called", kind)


@proves("hooks.poststop.failure")
def failure_of_poststop(mode):
    with Box(mode) as box:
        log = Log(box)
        box.config["hooks"] = failing(log, "poststop")
        box.create(["/probe", "exit", "0"])
        box.ok("start", box.id())
        box.wait_status("stopped")
        result = box.ok("delete", box.id())
        equal(log.names(), ["before", "after"], "hooks")
        check(result.err.strip(), "no warning")
        check(box.call("state", box.id()).rc != 0, "the container is there")
        bundle.write(log.path, "", 0o666)
