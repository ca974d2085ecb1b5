# SPDX-License-Identifier: Apache-2.0
"""Hooks: when each runs, with what, where, and what its failure does."""

import json
import os
import signal
import time

from lib import bundle, host, proc
from lib.case import Case, need_bryo, need_busybox
from lib.check import check, contains, equal, test, wait_until
from lib.view import SECRET

MODES = ("root", "rootless")
ALL = ("root", "userns", "rootless", "ranges")
KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart",
         "poststop")
#: config.md says of each in which namespaces it runs and what the state says.
INSIDE = ("createContainer", "startContainer")
STATUS = {"prestart": "creating", "createRuntime": "creating", "createContainer": "creating",
          "startContainer": "created", "poststart": "running", "poststop": "stopped"}
FAILING = KINDS[:5]
AT_CREATE = KINDS[:3]


class Log:
    """The file that all hooks and the payload append to, on the host and inside."""

    def __init__(self, case):
        self.dir = case.make_dir("shared", 0o777)
        self.path = os.path.join(self.dir, "log")
        bundle.write(self.path, "", 0o666)
        os.mkdir(case.bundle.inside("shared"))
        case.config["mounts"].append(bundle.bind(self.dir, "/shared", "rw"))
        self.program = os.path.join(os.path.dirname(case.dir), "image/probe")

    def path_in(self, kind):
        return "/shared/log" if kind in ("startContainer", "payload") else self.path

    def program_of(self, kind):
        return "/probe" if kind == "startContainer" else self.program

    def hook(self, kind, *words, **more):
        """A hook that is the probe with these words."""
        return dict({"path": self.program_of(kind), "args": ["probe"] + list(words)}, **more)

    def writer(self, kind, name=None, **more):
        return self.hook(kind, "hook", self.path_in(kind), name or kind, **more)

    def entries(self):
        with open(self.path) as file:
            text, at, found = file.read(), 0, []
        while text[at:].strip():
            entry, at = json.JSONDecoder().raw_decode(text, at)
            while text[at:at + 1] == "\n":
                at += 1
            found.append(entry)
        return found

    def names(self):
        return [entry["name"] for entry in self.entries()]

    def clear(self):
        bundle.write(self.path, "", 0o666)


def all_kinds(case, log, count=1, **more):
    case.config["hooks"] = {
        kind: [log.writer(kind, kind if count == 1 else "%s %d" % (kind, n), **more)
               for n in range(count)] for kind in KINDS}


def payload(log):
    return ["/probe", "hook", log.path_in("payload"), "payload"]


def expected(count=1):
    names = []
    for kind in KINDS:
        names += [kind if count == 1 else "%s %d" % (kind, n) for n in range(count)]
        if kind == "startContainer":
            names.append("payload")
    return names


def check_order(names, count=1):
    """poststart runs beside the payload: either may write first."""
    want = expected(count)
    early = [n for n in names if not n.startswith(("payload", "poststart"))]
    equal(early, [n for n in want if not n.startswith(("payload", "poststart"))], "order")
    equal([n for n in names if n.startswith("poststart")],
          [n for n in want if n.startswith("poststart")], "order of poststart")
    last_start = "startContainer" if count == 1 else "startContainer %d" % (count - 1)
    for name in ("payload", "poststart" if count == 1 else "poststart 0"):
        check(names.index(name) > names.index(last_start), "%s came early: %s", name, names)
    equal(len(names), len(want), "number of hooks")


# -- order, state, arguments, environment --

@test(*ALL)
def order_of_run(mode):
    """All hook rows: the kinds in the order of runtime.md, each list in its own."""
    with Case(mode) as case:
        log = Log(case)
        all_kinds(case, log, 3, timeout=20)  # which is not reached
        case.run_ok(payload(log))
        check_order(log.names(), 3)


@test(*ALL)
def order_of_create_start_delete(mode):
    """Hook rows: what create runs, what start runs, what delete runs."""
    with Case(mode) as case:
        log = Log(case)
        all_kinds(case, log)
        case.create(payload(log))
        equal(log.names(), list(AT_CREATE), "hooks of create")
        case.ok("start", case.id())
        check("poststart" in log.names(), "start returned before poststart: %s", log.names())
        case.wait_status("stopped")
        check("poststop" not in log.names(), "poststop before delete")
        case.ok("delete", case.id())
        check_order(log.names())


@test(*ALL)
def state_of_each_kind(mode):
    """Hook rows: the state on standard input, with the status of that moment."""
    with Case(mode) as case:
        log = Log(case)
        all_kinds(case, log)
        case.config["annotations"] = {"org.example.key": "a \"quoted\" \\ value \u00e9\n"}
        case.create(payload(log))
        created = case.state()
        case.ok("start", case.id())
        case.wait_status("stopped")
        case.ok("delete", case.id())
        for entry in log.entries():
            kind = entry["name"]
            if kind == "payload":
                equal(entry["stdin"], "", "standard input of the payload")
                continue
            # The probe writes bytes as code points of the same number.
            state = json.loads(entry["stdin"].encode("latin-1").decode())
            equal(state["status"], STATUS[kind], kind + " status")
            equal((state["id"], state["bundle"]), (case.id(), case.bundle.path), kind)
            equal(state["ociVersion"], created["ociVersion"], kind + " version")
            equal(state["annotations"], case.config["annotations"], kind + " annotations")
            if kind != "poststop":
                equal(state["pid"], 1 if kind in INSIDE else created["pid"], kind + " pid")


@test(*MODES)
def arguments_as_given(mode):
    """Hook rows: args is argv, argv[0] too; without args it is the path."""
    with Case(mode) as case:
        log = Log(case)
        hooks = case.config["hooks"] = {}
        for kind in KINDS:
            hooks[kind] = [log.writer(kind)]
            hooks[kind][0]["args"][0] = "another name"
            hooks[kind][0]["args"] += ["", "two words", "\u00e9", "-x"]
        case.run_ok(payload(log))
        for entry in log.entries():
            if entry["name"] == "payload":
                continue
            want = hooks[entry["name"]][0]["args"]
            equal([a.encode("latin-1").decode() for a in entry["args"]], want, entry["name"])


@test(*MODES)
def without_arguments(mode):
    """Hook rows: a path alone is run with itself as argv[0]."""
    with Case(mode) as case:
        log = Log(case)
        script = os.path.join(log.dir, "script")
        bundle.write(script, "#!/bin/sh\necho \"$0 $#\" >%s\n" % log.path, 0o755)
        case.config["hooks"] = {"createRuntime": [{"path": script}]}
        case.run_ok(["/probe", "exit", "0"])
        with open(log.path) as file:
            equal(file.read(), script + " 0\n", "argv of the script")


@test(*MODES)
def environment_is_the_hooks(mode):
    """Hook rows: nothing of the container's or the caller's environment."""
    with Case(mode) as case:
        log = Log(case)
        case.process["env"] = [bundle.PATH, "LD_PRELOAD=/evil.so", "LD_LIBRARY_PATH=/evil"]
        all_kinds(case, log)
        for hooks in case.config["hooks"].values():
            hooks.append(dict(hooks[0], env=["A=1", "B=two words", "EMPTY="]))
        case.run_ok(payload(log), env={SECRET: "1", "LD_BIND_NOW": "1"})
        seen = {kind: [e["env"] for e in log.entries() if e["name"] == kind] for kind in KINDS}
        for kind in KINDS:
            equal(seen[kind], [[], ["A=1", "B=two words", "EMPTY="]], kind)


@test(*ALL)
def descriptors_and_signals(mode):
    """Hook rows: 0 to 2 and no more; no signal blocked or ignored."""
    with Case(mode) as case:
        log = Log(case)
        all_kinds(case, log)
        fds = [os.open("/", os.O_RDONLY), os.memfd_create("leak")] + list(os.pipe())
        case.save(payload(log))
        try:
            case.ok("run", "-b", case.bundle.path, case.id(), pass_fds=fds,
                    preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN))
        finally:
            for fd in fds:
                os.close(fd)
        for entry in log.entries():
            equal(sorted(map(int, entry["fds"])), [0, 1, 2], entry["name"] + " descriptors")
            for name in ("blocked", "ignored"):
                equal(entry["signals"][name], "%016x" % 0, "%s %s" % (entry["name"], name))


@test(*MODES)
def preserved_descriptors_are_not_the_hooks(mode):
    """Row fds: --preserve-fds is for the payload."""
    with Case(mode) as case:
        log = Log(case)
        all_kinds(case, log)
        case.save(payload(log))
        read, write = os.pipe()
        try:
            kept = os.dup2(read, 3) if read != 3 else read
            case.ok("run", "--preserve-fds", "1", "-b", case.bundle.path, case.id(),
                    pass_fds=[kept])
        finally:
            for fd in {read, write, 3}:
                os.close(fd)
        for entry in log.entries():
            want = [0, 1, 2, 3] if entry["name"] == "payload" else [0, 1, 2]
            equal(sorted(map(int, entry["fds"])), want, entry["name"])


# -- where they run --

@test(*ALL)
def namespaces_of_each_kind(mode):
    """Hook rows: two kinds run in the container's namespaces, the others do not."""
    with Case(mode) as case:
        log = Log(case)
        all_kinds(case, log)
        case.run_ok(payload(log))
        entries = {e["name"]: e for e in log.entries()}
        own = host.namespaces()
        for kind in KINDS:
            got = entries[kind]["namespaces"]
            want = entries["payload"]["namespaces"] if kind in INSIDE else own
            for name in ("mnt", "net", "uts", "ipc", "pid", "user"):
                if got[name] or kind not in INSIDE:
                    equal(got[name], want[name], "%s: %s namespace" % (kind, name))


@test(*ALL)
def root_of_each_kind(mode):
    """Rows create-container and pivot: before the pivot it is the host's root still."""
    with Case(mode) as case:
        log = Log(case)
        all_kinds(case, log)
        case.run_ok(payload(log))
        for entry in log.entries():
            inside = entry["name"] in ("startContainer", "payload")
            equal(entry["host_root"], not inside, entry["name"] + " sees the host's files")


@test("root", "rootless")
def create_container_sees_the_rootfs(mode):
    """Row create-container: the mounts are there; what the hook mounts stays."""
    need_busybox()
    with Case(mode) as case:
        log = Log(case)
        os.mkdir(case.bundle.inside("from-hook"))
        if mode == "root":
            script = "mount -t tmpfs made-by-hook %s/shared" % case.bundle.rootfs
            case.config["hooks"] = {"createContainer": [
                {"path": "/bin/sh", "args": ["sh", "-c", script], "env": [bundle.PATH]}]}
        else:
            case.config["hooks"] = {"createContainer": [log.writer("createContainer")]}
        case.run_ok(["/probe", "exit", "0"])
        check("made-by-hook" not in "".join(host.mount_table().values()),
              "the hook's mount is in the host's table")


@test("userns", "ranges")
def identity_of_each_kind(mode):
    """Hook rows: inside as the container's root, outside as the caller."""
    with Case(mode) as case:
        log = Log(case)
        all_kinds(case, log)
        case.process["user"] = {"uid": 1000, "gid": 1000}
        case.run_ok(payload(log))
        for entry in log.entries():
            want = {"payload": 1000, "createContainer": 0}.get(entry["name"])
            if entry["name"] in INSIDE + ("payload",):
                check(want is None or entry["uid"] == want, "%s runs as %d", entry["name"],
                      entry["uid"])
            else:
                equal(entry["uid"], case.who.uid, entry["name"] + " uid")


# -- failures --

def gone(case, what):
    """No container, no processes, no mounts: `clean` looks at all of the host."""
    equal(os.listdir(case.root), [], what + ": state directory")
    proc.descendants()
    case.clean(what)


def failing(case, log, kind, words=("exit", "3"), **more):
    """A list whose second hook fails; the first and the third write."""
    case.config["hooks"] = {kind: [log.writer(kind, "before"), log.hook(kind, *words, **more),
                                   log.writer(kind, "after")]}
    return "/hooks/%s/1" % kind


@test(*ALL)
def failure_ends_run(mode):
    """Hook rows: error with the hook's pointer, later ones are not run, nothing left."""
    need_bryo("pointers are bryo's")
    for kind in FAILING:
        with Case(mode) as case:
            log = Log(case)
            pointer = failing(case, log, kind)
            result = case.run(["/probe", "sleep", "60"])
            check(result.rc > 0, "%s: %s", kind, result)
            equal(result.rc, 125, kind + " exit status")
            contains(result.last_error(), pointer, kind)
            contains(result.last_error(), "exit status 3", kind)
            equal(log.names(), ["before"], kind + ": hooks that ran")
            gone(case, kind)


@test(*ALL)
def failure_at_create_or_start(mode):
    """The same for create and start, each for its own kinds."""
    need_bryo("pointers are bryo's")
    for kind in FAILING:
        with Case(mode) as case:
            log = Log(case)
            pointer = failing(case, log, kind)
            created = case.create(["/probe", "sleep", "60"], expect=kind not in AT_CREATE)
            if kind in AT_CREATE:
                check(created.rc > 0, "%s: %s", kind, created)
                contains(created.last_error(), pointer, kind)
                gone(case, kind)
                continue
            result = case.fails("start", case.id())
            contains(result.last_error(), pointer, kind)
            equal(log.names(), ["before"], kind + ": hooks that ran")
            case.wait_status("stopped")
            case.ok("delete", case.id())
            gone(case, kind)


@test(*MODES)
def failure_before_the_payload(mode):
    """Rows up to start-container: the payload is never executed."""
    for kind in FAILING[:4]:
        with Case(mode) as case:
            log = Log(case)
            failing(case, log, kind)
            case.run_fails(payload(log))
            check("payload" not in log.names(), "%s: the payload ran", kind)


@test(*MODES)
def failure_of_poststart_ends_a_detached_run(mode):
    """Row poststart: runtime-spec 1.3 wants an error and the end of the container."""
    need_bryo("others only warn")
    with Case(mode) as case:
        log = Log(case)
        pointer = failing(case, log, "poststart")
        case.save(["/probe", "ignore-term"])
        with open(case.output(), "ab") as out:
            result = case.call("run", "-d", "-b", case.bundle.path, case.id(),
                               stdout=out, stderr=out)
        check(result.rc > 0, "%s", result)
        contains(case.read_output(), pointer, "error")
        gone(case, "poststart")


@test(*MODES)
def failure_of_poststop_only_warns(mode):
    """"The remaining hooks and lifecycle continue as if the hook had succeeded"."""
    need_bryo("words are bryo's")
    with Case(mode) as case:
        log = Log(case)
        pointer = failing(case, log, "poststop")
        result = case.run(["/probe", "exit", "5"])
        equal(result.rc, 5, "exit status of run")
        contains(result.err, "warning", "standard error")
        contains(result.err, pointer, "standard error")
        equal(log.names(), ["before", "after"], "hooks that ran")
        log.clear()
        case.create(["/probe", "exit", "0"])
        case.ok("start", case.id())
        case.wait_status("stopped")
        result = case.ok("delete", case.id())
        contains(result.err, pointer, "standard error of delete")
        equal(log.names(), ["before", "after"], "hooks of delete")
        gone(case, "poststop")


@test(*MODES)
def poststop_after_a_failed_hook(mode):
    """runtime.md, lifecycle: a failed hook leads to `delete`, and so to poststop."""
    need_bryo("others differ")
    for kind in AT_CREATE + ("startContainer", "poststart"):
        with Case(mode) as case:
            log = Log(case)
            failing(case, log, kind)
            case.config["hooks"]["poststop"] = [log.writer("poststop")]
            case.run_fails(["/probe", "sleep", "60"])
            equal(log.names(), ["before", "poststop"], kind)
            state = json.loads(log.entries()[-1]["stdin"])
            equal(state["status"], "stopped", "status")
            if kind in AT_CREATE:
                log.clear()
                case.create(["/probe", "sleep", "60"], expect=False)
                equal(log.names(), ["before", "poststop"], kind + " at create")


@test(*MODES)
def poststop_of_forced_delete(mode):
    """`delete --force` of a created and of a running container runs them once."""
    with Case(mode) as case:
        log = Log(case)
        case.config["hooks"] = {"poststop": [log.writer("poststop")]}
        for start in (False, True):
            log.clear()
            case.create(["/probe", "sleep", "60"])
            if start:
                case.ok("start", case.id())
            case.delete()
            equal(log.names(), ["poststop"], "hooks")
            case.ok("delete", "--force", case.id())
            equal(log.names(), ["poststop"], "hooks after the second delete")


@test(*MODES)
def last_words_are_in_the_error(mode):
    """hooks.c: engines show one line, so the hook's last line is in it."""
    need_bryo("words are bryo's")
    for kind in FAILING:
        with Case(mode) as case:
            log = Log(case)
            pointer = failing(case, log, kind, ("cat", "/nonexistent/file"))
            result = case.run_fails(["/probe", "sleep", "60"])
            contains(result.last_error(), pointer, kind)
            contains(result.last_error(), "/nonexistent/file: ENOENT", kind)
            equal(len(result.err.strip().splitlines()), 1, "lines of %r" % result.err)


@test(*MODES)
def killed_hook(mode):
    """hooks.c: a signal is a failure, and named."""
    need_bryo("words are bryo's")
    for kind in FAILING:
        with Case(mode) as case:
            log = Log(case)
            pointer = failing(case, log, kind, ("signal", "9"))
            result = case.run_fails(["/probe", "sleep", "60"])
            contains(result.last_error(), pointer, kind)
            contains(result.last_error(), "signal 9", kind)


@test(*MODES)
def missing_hook(mode):
    """podman takes "no such file or directory" for a payload that is missing."""
    need_bryo("words are bryo's")
    for kind in FAILING:
        for path in ("/nonexistent/hook", "/masked-file/x", "/proc/version"):
            with Case(mode) as case:
                case.config["hooks"] = {kind: [{"path": path}]}
                result = case.run_fails(["/probe", "sleep", "60"])
                equal(result.rc, 125, kind + " exit status")
                contains(result.last_error(), "/hooks/%s/0" % kind, kind)
                contains(result.last_error(), path, kind)
                check("no such file" not in result.err.lower(), "%s: %s", kind, result)
                gone(case, kind)


@test(*MODES)
def timeout_kills(mode):
    """hooks.c: after `timeout` seconds, not much later; it counts as a failure."""
    need_bryo("words are bryo's")
    for kind in KINDS:
        with Case(mode) as case:
            log = Log(case)
            pointer = failing(case, log, kind, ("sleep", "60"), timeout=1)
            begin = time.monotonic()
            result = case.run(["/probe", "exit", "0"] if kind == "poststop" else
                              ["/probe", "sleep", "60"])
            took = time.monotonic() - begin
            contains(result.err, pointer, kind)
            contains(result.err, "1 s", kind)
            check(0.9 < took < 8, "%s took %.1f s", kind, took)
            equal(result.rc, 0 if kind == "poststop" else 125, kind + " exit status")
            gone(case, kind)


# -- hooks that behave badly --

@test(*MODES)
def standard_input_unread(mode):
    """hooks.c: 1 MiB of state, which nobody reads, does not hang."""
    with Case(mode) as case:
        log = Log(case)
        case.config["annotations"] = {"org.example.big": "x" * (1 << 20)}
        case.config["hooks"] = {kind: [log.hook(kind, "exit", "0")] for kind in KINDS}
        result = case.run_ok(["/probe", "echo", "hello"], timeout=20)
        equal(result.out, "hello\n", "output")


@test(*MODES)
def standard_input_is_whole_for_each(mode):
    """hooks.c: 1 MiB of state arrives, from its start, for every hook of a list."""
    with Case(mode) as case:
        log = Log(case)
        value = "0123456789abcdef" * (1 << 16)
        case.config["annotations"] = {"org.example.big": value}
        case.config["hooks"] = {kind: [log.writer(kind), log.writer(kind)]
                                for kind in ("createRuntime", "startContainer", "poststop")}
        case.run_ok(["/probe", "exit", "0"])
        entries = log.entries()
        equal(len(entries), 6, "number of hooks")
        for entry in entries:
            state = json.loads(entry["stdin"])
            check(state["annotations"]["org.example.big"] == value, "%s: %d bytes",
                  entry["name"], len(entry["stdin"]))


@test(*MODES)
def daemon_that_holds_the_output(mode):
    """hooks.c: it is the hook that is waited for, and not its standard output."""
    for kind in KINDS:
        with Case(mode) as case:
            log = Log(case)
            case.config["hooks"] = {kind: [log.hook(kind, "orphans", "1")]}
            begin = time.monotonic()
            result = case.run(["/probe", "exit", "4"], timeout=20)
            took = time.monotonic() - begin
            equal(result.rc, 4, kind + " exit status: " + result.err)
            check(took < 10, "%s took %.1f s", kind, took)
            left = case.before.new_processes()
            check(kind in INSIDE or left, "%s: the daemon is gone", kind)
            # Inside it has died with the pid namespace; outside it is the hook's affair.
            proc.kill_leftovers(left)


@test(*MODES)
def much_output(mode):
    """hooks.c: a hook may say as much as it likes; the end is kept."""
    need_bryo("words are bryo's")
    with Case(mode) as case:
        script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; exit 6"
        case.config["hooks"] = {"createRuntime": [
            {"path": "/bin/sh", "args": ["sh", "-c", script]}]}
        result = case.run_fails(["/probe", "echo", "hello"])
        contains(result.last_error(), "exit status 6: line 19999", "error")
        equal(result.out, "", "standard output")


@test(*MODES)
def output_is_not_the_callers(mode):
    """hooks.c: what a good hook says goes nowhere."""
    with Case(mode) as case:
        log = Log(case)
        case.config["hooks"] = {kind: [log.hook(kind, "echo", "words of a hook")]
                                for kind in KINDS}
        result = case.run_ok(["/probe", "echo", "hello"])
        equal((result.out, result.err), ("hello\n", ""), "output")


@test(*MODES)
def interrupted_while_a_hook_runs(mode):
    """Hook rows: SIGTERM ends a hook without a timeout, and leaves nothing."""
    need_bryo("others differ")
    for kind in ("createRuntime", "createContainer", "startContainer", "poststart"):
        with Case(mode) as case:
            log = Log(case)
            case.config["hooks"] = {kind: [log.writer(kind), log.hook(kind, "sleep", "60")]}
            child = case.start_run(["/probe", "sleep", "60"])
            wait_until(log.names, what="the first hook")
            time.sleep(0.05)  # the second one has no way to tell
            child.terminate()
            result = proc.finish(child, timeout=20)
            equal(result.rc, 128 + signal.SIGTERM, "%s exit status: %s" % (kind, result.err))
            gone(case, kind)
