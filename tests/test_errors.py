# SPDX-License-Identifier: Apache-2.0
"""Bad input: ids, bundles, payloads, options.  Errors are an interface too."""

import json
import os

from lib.case import Case, need_bryo, need_busybox
from lib.bundle import bind, write
from lib.check import check, contains, contains_any, equal, test
from lib.host import tree

MODES = ("root", "rootless")
GOOD_IDS = ("a", "0", "a.b", "n1.user.42.0.0", "a+b_c-d", "_x", "A" * 200, "x..y", "+a")
BAD_IDS = ("", ".", "..", "...", "/x", "a/b", "../x", "a b", "a\nb", "a\tb", "x" * 1025,
           "\u00e9", "a;b", "$(id)", "a\x7fb", "*", "a:b", "a\\b", ".hidden", "%s%n")

with open("/proc/sys/kernel/panic") as _file:
    PANIC = _file.read().strip()


# -- ids --

@test(*MODES)
def good_ids(mode):
    with Case(mode) as case:
        for ident in GOOD_IDS:
            case.save(["/probe", "echo", "hello"])
            result = case.call("run", "-b", case.bundle.path, ident)
            equal((result.rc, result.out), (0, "hello\n"), "id %r: %s" % (ident[:40], result.err))


@test(*MODES)
def bad_ids(mode):
    with Case(mode) as case:
        case.save(["/probe", "echo", "hello"])
        before = tree(case.dir)
        for ident in BAD_IDS:
            for command in ("run", "create"):
                result = case.call(command, "-b", case.bundle.path, "--", ident)
                if result.rc == 0 and command == "create":
                    case.call("delete", "--force", "--", ident)
                check(result.rc > 0, "%s %r: %s", command, ident[:40], result)
                equal(result.out, "", "output")
                check(len(result.err) < 3000, "the error is %d bytes long", len(result.err))
            for command in ("state", "delete", "start", "kill"):
                result = case.call(command, "--", ident)
                check(result.rc > 0, "%s %r: %s", command, ident[:40], result)
        equal(sorted(tree(case.dir)), sorted(before), "files beside the state directory")


@test(*MODES)
def forced_delete_of_bad_ids(mode):
    """The one command that forgives a missing container must not climb."""
    need_bryo("others differ")
    with Case(mode) as case:
        write(os.path.join(case.dir, "precious"), "text")
        before = tree(case.dir)
        for ident in ("..", ".", "../precious", "../bundle", "a/../../bundle", ""):
            case.call("delete", "--force", "--", ident)
        after = tree(case.dir)
        equal(sorted(after), sorted(before), "files")


# -- bundles --

def refuse(case, what, parts=()):
    result = case.call("run", "-b", case.bundle.path, case.id())
    check(result.rc > 0, "%s: %s", what, result)
    check(result.last_error(), "%s: no message", what)
    check("hello" not in result.out, "%s: the payload ran", what)
    if parts:
        contains_any(result.last_error(), parts, what)
    created = case.call("create", "-b", case.bundle.path, case.id())
    check(created.rc > 0, "%s: create: %s", what, created)
    case.clean("after " + what)
    return result


@test(*MODES)
def no_config(mode):
    with Case(mode) as case:
        os.unlink(os.path.join(case.bundle.path, "config.json"))
        refuse(case, "no config.json", ("config.json",))


@test(*MODES)
def no_bundle(mode):
    with Case(mode) as case:
        result = case.fails("run", "-b", "/nonexistent/bundle", case.id())
        contains(result.last_error(), "/nonexistent/bundle", "error")


@test(*MODES)
def config_is_not_json(mode):
    need_bryo("Go's and yajl's ideas differ")
    good = None
    with Case(mode) as case:
        case.process["args"] = ["/probe", "echo", "hello"]
        good = json.dumps(case.config)
        bad = {
            "empty": "", "blank": "  \n", "words": "hello", "cut off": good[:-2],
            "trailing comma": good[:-1] + ",}", "trailing data": good + "{}",
            "comment": good[:-1] + "/* x */}", "null": "null", "list": "[]", "number": "1",
            "string": '"x"', "byte order mark": "\ufeff" + good,
            "not UTF-8": good.encode()[:-1] + b',"x":"\xff"}',
            "NUL": good.replace('"hello"', '"a\\u0000b"'),
            "lone surrogate": good.replace('"hello"', '"\\ud800"'),
            "duplicate key": good[:-1] + ',"hostname":"other"}',
            "deep": good[:-1] + ',"x":' + "[" * 100000 + "]" * 100000 + "}",
            "huge": good[:-1] + ',"x":"' + "x" * (5 << 20) + '"}',
        }
        for what, text in bad.items():
            case.bundle.save(text)
            refuse(case, what)


@test(*MODES)
def config_with_wrong_values(mode):
    need_bryo("others accept some of these")
    changes = {
        "no version": lambda c: c.pop("ociVersion"),
        "version": lambda c: c.update(ociVersion="x"),
        "no args": lambda c: c["process"].update(args=[]),
        "relative cwd": lambda c: c["process"].update(cwd="work"),
        "no cwd": lambda c: c["process"].pop("cwd"),
        "uid": lambda c: c["process"]["user"].update(uid=-1),
        "uid 2^32-1": lambda c: c["process"]["user"].update(uid=4294967295),
        "uid 2^32": lambda c: c["process"]["user"].update(uid=4294967296),
        "group": lambda c: c["process"]["user"].update(additionalGids=[4294967295]),
        "uid as string": lambda c: c["process"]["user"].update(uid="0"),
        "fraction": lambda c: c["process"]["user"].update(uid=1.5),
        "rlimit": lambda c: c["process"].update(rlimits=[
            {"type": "RLIMIT_NONSENSE", "soft": 1, "hard": 1}]),
        "rlimit twice": lambda c: c["process"].update(rlimits=[
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}] * 2),
        "soft over hard": lambda c: c["process"].update(rlimits=[
            {"type": "RLIMIT_NOFILE", "soft": 20, "hard": 10}]),
        "namespace": lambda c: c["linux"]["namespaces"].append({"type": "nonsense"}),
        "namespace twice": lambda c: c["linux"]["namespaces"].append({"type": "pid"}),
        "seccomp action": lambda c: c["linux"].update(seccomp={"defaultAction": "NONSENSE"}),
        "propagation": lambda c: c["linux"].update(rootfsPropagation="nonsense"),
        "masked path": lambda c: c["linux"].update(maskedPaths=["relative"]),
        "no root": lambda c: c.pop("root"),
        "mount without destination": lambda c: c["mounts"].append({"type": "tmpfs"}),
        "oom score": lambda c: c["process"].update(oomScoreAdj=1001),
        "umask": lambda c: c["process"]["user"].update(umask=0o1000),
        # The value that is there: a runtime which writes it does no harm.
        "sysctl of the host": lambda c: c["linux"].update(sysctl={"kernel.panic": PANIC}),
        "sysctl that climbs": lambda c: c["linux"].update(
            sysctl={"net/../kernel/panic": PANIC}),
    }
    with Case(mode) as case:
        case.process["args"] = ["/probe", "echo", "hello"]
        good = json.dumps(case.config)
        for what, change in changes.items():
            config = json.loads(good)
            change(config)
            case.bundle.save(json.dumps(config))
            refuse(case, what)


@test(*MODES)
def unknown_keys_are_ignored(mode):
    with Case(mode) as case:
        case.config["org.example"] = {"x": [1, None, {"y": 2.5e3}]}
        case.process["fooBar"] = True
        case.linux["unheardOf"] = []
        equal(case.run_ok(["/probe", "echo", "hello"]).out, "hello\n", "output")


@test(*MODES)
def rootfs_that_is_none(mode):
    with Case(mode) as case:
        case.process["args"] = ["/probe", "echo", "hello"]
        write(os.path.join(case.bundle.path, "file"), "x")
        os.symlink("nowhere", os.path.join(case.bundle.path, "dangling"))
        os.symlink("loop", os.path.join(case.bundle.path, "loop"))
        for path in ("missing", "file", "dangling", "loop", "/proc/self/fd/0", "rootfs/probe"):
            case.config["root"]["path"] = path
            case.save()
            refuse(case, "root.path %r" % path)


@test(*MODES)
def rootfs_behind_a_link(mode):
    """Refused, or the link's target; never something else."""
    with Case(mode) as case:
        os.symlink("rootfs", os.path.join(case.bundle.path, "link"))
        case.config["root"]["path"] = "link"
        result = case.run(["/probe", "cat", "/masked-file"])
        check(result.rc > 0 or result.out == "secret\n", "%s", result)


@test(*MODES)
def rootfs_is_the_hosts_root(mode):
    """Refused, or nothing happens to the host's mounts (the end checks it)."""
    with Case(mode) as case:
        case.config["root"]["path"] = "/"
        case.config["mounts"] = []
        case.linux["maskedPaths"] = case.linux["readonlyPaths"] = []
        result = case.run(["/bin/true"])
        check(result.rc >= 0, "%s", result)


@test(*MODES)
def mount_that_cannot_be(mode):
    with Case(mode) as case:
        case.process["args"] = ["/probe", "echo", "hello"]
        for mount in (bind("/nonexistent/source", "/work"),
                      {"destination": "/work", "type": "nosuchfs", "source": "x"},
                      {"destination": "/work", "type": "tmpfs", "source": "x",
                       "options": ["size=nonsense"]}):
            case.config["mounts"].append(mount)
            case.save()
            result = refuse(case, "mount %r" % mount)
            contains_any(result.last_error(), ("work", "/mounts/"), "error")
            case.config["mounts"].pop()


# -- payloads --

def payload_error(mode, args, code, parts, prepare=None):
    with Case(mode) as case:
        if prepare:
            prepare(case)
        result = case.run(args)
        check(result.rc > 0, "%s", result)
        contains_any(result.last_error(), parts, "error")
        equal(len(result.err.strip().splitlines()), 1, "lines of the error")
        equal(result.rc, code, "exit status of run")
        created = case.create(args, expect=False)
        if created.rc == 0:
            started = case.call("start", case.id())
            check(started.rc > 0, "neither create nor start failed")
            contains_any(started.last_error(), parts, "error of start")
            case.delete()
        else:
            contains_any(created.last_error(), parts, "error of create")


NOT_FOUND = ("executable file not found in $PATH",)
NO_FILE = ("no such file or directory",)
DENIED = ("permission denied", "is a directory")


@test(*MODES)
def payload_not_in_path(mode):
    payload_error(mode, ["no-such-program"], 127, NOT_FOUND)


@test(*MODES)
def payload_missing(mode):
    payload_error(mode, ["/no/such/program"], 127, NO_FILE)


@test(*MODES)
def payload_is_a_directory(mode):
    payload_error(mode, ["/work"], 126, DENIED)


@test(*MODES)
def payload_is_not_executable(mode):
    payload_error(mode, ["/masked-file"], 126, ("permission denied",),
                  lambda case: os.chmod(case.bundle.inside("/masked-file"), 0o644))


@test(*MODES)
def payload_lacks_its_interpreter(mode):
    def prepare(case):
        write(case.bundle.inside("/script"), "#!/no/such/shell\n", 0o755)
    payload_error(mode, ["/script"], 127, NO_FILE, prepare)


@test(*MODES)
def payload_of_no_known_format(mode):
    def prepare(case):
        write(case.bundle.inside("/garbage"), "\x7fELF garbage", 0o755)
    payload_error(mode, ["/garbage"], 126, ("exec format error", "Exec format error"), prepare)


@test(*MODES)
def payload_is_found_in_the_path_of_the_config(mode):
    need_busybox()
    with Case(mode) as case:
        os.mkdir(case.bundle.inside("/first"))
        write(case.bundle.inside("/first/sh"), "not executable", 0o644)
        os.makedirs(case.bundle.inside("/second/true"))
        case.process["env"] = ["PATH=/nowhere", "PATH=/first:/second:/bin"]
        equal(case.run_ok(["sh", "-c", "echo $0"]).out, "sh\n", "output")
        equal(case.run(["true"]).rc, 0, "exit status")


@test(*MODES)
def working_directory_that_is_none(mode):
    with Case(mode) as case:
        for cwd in ("/probe", "/work/loop/x"):
            case.process["cwd"] = cwd
            case.save(["/probe", "echo", "hello"])
            result = case.call("run", "-b", case.bundle.path, case.id())
            if cwd == "/probe":
                check(result.rc > 0, "%s", result)
            elif result.rc == 0:
                equal(result.out, "hello\n", "output")


# -- the log and the command line --

@test(*MODES)
def log_is_one_object(mode):
    need_bryo("others write several")
    with Case(mode) as case:
        log = os.path.join(case.xdg, "log.json")
        case.save(["/no/such/program"])
        result = case.call("--log", log, "--log-format", "json", "run", "-b",
                           case.bundle.path, case.id())
        equal(result.rc, 127, "exit status")
        with open(log) as file:
            entry = json.load(file)
        equal(entry["level"], "error", "level")
        contains(entry["msg"], "no such file or directory", "msg")
        contains(entry["time"], "T", "time")


@test(*MODES)
def log_of_a_good_run(mode):
    with Case(mode) as case:
        log = os.path.join(case.xdg, "log")
        case.save(["/probe", "echo", "hello"])
        result = case.call("--log=" + log, "--log-format=json", "run", "-b",
                           case.bundle.path, case.id())
        equal((result.rc, result.out), (0, "hello\n"), result.err)
        if os.path.exists(log):
            equal(os.path.getsize(log), 0, "size of the log")


@test(*MODES)
def unknown_things_are_refused(mode):
    with Case(mode) as case:
        case.save(["/probe", "echo", "hello"])
        for words in (("no-such-command",), ("run", "--no-such-flag", "x"), ("run",),
                      ("state",), ("state", "a", "b"), ("kill",), ("delete",), ("start",)):
            result = case.fails(*words)
            check("hello" not in result.out, "the payload ran: %s", result)


@test(*MODES)
def what_is_not_there_says_so(mode):
    """podman asks `checkpoint --help` whether checkpoints are supported."""
    need_bryo()
    with Case(mode) as case:
        for words in (("checkpoint", "--help"), ("checkpoint", "x"), ("restore", "x")):
            result = case.fails(*words)
            equal(len(result.err.strip().splitlines()), 1, "lines of %r" % result.err)


@test(*MODES)
def version_is_parsed_by_others(mode):
    with Case(mode) as case:
        lines = case.ok("--version").out.splitlines()
        contains(lines[0], " version ", "first line")
        check(any(line.startswith("spec: ") for line in lines), "no spec line: %s", lines)


@test(*MODES)
def help_is_there(mode):
    with Case(mode) as case:
        contains(case.ok("--help").out.lower(), "usage", "help")


@test(*MODES)
def empty_runtime_directory_variable(mode):
    """podman sets XDG_RUNTIME_DIR to nothing; that is "not set"."""
    need_bryo("is about the default of --root")
    with Case(mode) as case:
        from lib import proc
        options = case.options(env={"XDG_RUNTIME_DIR": ""})
        del options["env"]["PATH"]
        result = proc.run([case.binary, "state", "no-such-" + case.marker], **options)
        equal(result.rc, 1, "exit status")
        contains(result.err, "does not exist", "error")
