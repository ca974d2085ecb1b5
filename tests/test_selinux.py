# SPDX-License-Identifier: Apache-2.0
"""Labels of SELinux: where it is on (make check-vm), and against files (BRYO_SELINUX)."""

import contextlib
import glob
import itertools
import json
import os
import random
import re
import shutil
import subprocess

from lib import proc, users
from lib.bundle import bind, drop_mount, write
from lib.case import Case, need_bryo, need_busybox
from lib.check import Skip, check, contains, equal, test, wait_until
from lib.view import seccomp

MODES = users.MODES
FS = "/sys/fs/selinux/"
XATTR = "security.selinux"
PROCESS = "system_u:system_r:container_t:s0"
FILE = "system_u:object_r:container_file_t:s0"
CONTEXTS = 'process = "%s"\nfile = "%s"\nro_file = "x"\n' % (PROCESS, FILE)
PAIR = re.compile(r"^(.*:s0):c(\d+),c(\d+)$")


def enabled():
    return os.path.exists(FS + "enforce")


def need_enforcing():
    need_bryo()
    need_busybox()
    if not enabled():
        raise Skip("this host has no SELinux")
    with open(FS + "enforce") as file:
        if file.read() != "1":
            raise Skip("SELinux is not enforcing")


def need_none():
    need_bryo()
    if enabled():
        raise Skip("this host has SELinux")


# -- against files --

def fake(case, **files):
    """What stands for SELinux: /sys/fs/selinux, /etc/selinux and /proc/self/attr."""
    top = case.make_dir("selinux", 0o755)
    for name, text in dict({
            "fs/enforce": "1", "fs/mls": "1", "fs/context": "", "attr/exec": "",
            "attr/keycreate": "", "config": "SELINUX=enforcing\nSELINUXTYPE=some\n",
            "some/contexts/lxc_contexts": CONTEXTS}, **files).items():
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if text is None:
            os.mkdir(path)
        else:
            write(path, text, 0o666)
    case.labelled = True
    return top


def without_labelled_mounts(case):
    """The kernel here takes no context=."""
    for place in ("/dev/shm", "/dev/pts", "/dev/mqueue", "/dev", "/sys"):
        drop_mount(case.config, place)
    case.linux["maskedPaths"] = []


def read(top, name="attr/exec"):
    with open(os.path.join(top, name)) as file:
        return file.read()


def label_is_asked_for(mode, env=None):
    """Guards the row: the kernel is told of the label."""
    with Case(mode, faults=True) as case:
        top = fake(case)
        case.process["selinuxLabel"] = PROCESS
        case.run_ok(["/probe", "exit", "0"], env=dict(env or {}, BRYO_SELINUX=top))
        equal(read(top), PROCESS, "what is written")
        equal(read(top, "attr/keycreate"), PROCESS, "label of keys")


@test(*MODES)
def who_asks(mode):
    """With and without the stub, with a filter and AppArmor beside it."""
    need_none()
    for no_new_privs in (True, False):
        for rules in (None, seccomp()):
            for profile in ("", "some-profile"):
                with Case(mode, faults=True) as case:
                    top = fake(case)
                    other = case.make_dir("apparmor", 0o755)
                    write(os.path.join(other, "exec"), "", 0o666)
                    case.process.update(noNewPrivileges=no_new_privs, apparmorProfile=profile,
                                        selinuxLabel=PROCESS + ":c1,c2")
                    if rules:
                        case.linux["seccomp"] = rules
                    report = case.report(("/probe", "probe", "one"), env={
                        "BRYO_SELINUX": top, "BRYO_APPARMOR": other})
                    equal(report["args"], ["/probe", "probe", "one"], "arguments")
                    equal(sorted(map(int, report["fds"])), [0, 1, 2], "descriptors")
                    equal(read(top), PROCESS + ":c1,c2", "label")
                    equal(read(other, "exec"), profile and "exec " + profile, "profile")


@test(*MODES)
def label_of_a_created_container(mode):
    """The stub asks at the start; `exec` has the label, too, unless it is told another."""
    need_none()
    with Case(mode, faults=True) as case:
        top = fake(case)
        env = {"BRYO_SELINUX": top}
        case.config["mounts"].append(bind(top, top))
        case.process["selinuxLabel"] = PROCESS + ":c1,c2"
        case.create(["/probe", "sleep", "100"], env=env)
        equal(read(top), "", "what is written by create")
        case.ok("start", case.id())
        equal(read(top), PROCESS + ":c1,c2", "what is written by start")
        equal(case.state()["selinuxLabel"], PROCESS + ":c1,c2", "label in the state")
        for words, want in (((), PROCESS + ":c1,c2"), (("--process-label", "a:b:c"), "a:b:c")):
            write(os.path.join(top, "attr/exec"), "", 0o666)
            case.ok("exec", *words, case.id(), "/probe", "exit", "0", env=env)
            equal(read(top), want, "what exec writes")
        case.delete()


@test(*MODES)
def label_that_the_policy_does_not_know(mode):
    """Before anything is made: one line with the pointer."""
    need_none()
    with Case(mode, faults=True) as case:
        top = fake(case, **{"fs/context": None})
        for section, key in ((case.process, "selinuxLabel"), (case.linux, "mountLabel")):
            section[key] = "u:r:nothing"
            pointer = ("/process/" if section is case.process else "/linux/") + key
            result = case.run_fails(["/probe", "echo", "hello"], env={"BRYO_SELINUX": top})
            equal((result.out, len(result.err.splitlines())), ("", 1), "output, lines of errors")
            contains(result.last_error(), "label: %s: SELinux: \"u:r:nothing\" is no label" % pointer,
                     "error")
            del section[key]
        case.save()
        line = case.fails("run", "--selinux", "u:r:other", "-b", case.bundle.path, case.id(),
                          env={"BRYO_SELINUX": top}).last_error()
        contains(line, "\"u:r:other\" is no label of the running policy", "error")


@test(*MODES)
def label_that_cannot_be_asked_for(mode):
    need_none()
    for no_new_privs in (True, False):
        with Case(mode, faults=True) as case:
            top = fake(case)
            os.unlink(os.path.join(top, "attr/exec"))
            case.process.update(noNewPrivileges=no_new_privs, selinuxLabel=PROCESS)
            if not no_new_privs:
                case.linux["seccomp"] = seccomp()
            result = case.run_fails(["/probe", "echo", "hello"], env={"BRYO_SELINUX": top})
            equal((result.out, len(result.err.splitlines())), ("", 1), "output, lines of errors")
            contains(result.last_error(), "/process/selinuxLabel: SELinux: ask for the label",
                     "error")


@test(*MODES)
def host_without_selinux(mode):
    """Labels are refused; nobody who asks for none, or for auto, is told anything."""
    need_none()
    with Case(mode) as case:
        case.save(["/probe", "echo", "hello"])
        for words in ((), ("--selinux", "auto"), ("--selinux=off",)):
            result = case.ok("run", *words, "-b", case.bundle.path, case.id())
            equal((result.out, result.err), ("hello\n", ""), "output")
        line = case.fails("run", "--selinux", PROCESS, "-b", case.bundle.path, case.id())
        contains(line.last_error(), "--selinux: SELinux is not enabled on this host", "error")
        for section, key, where in ((case.process, "selinuxLabel", "/process/selinuxLabel"),
                                    (case.linux, "mountLabel", "/linux/mountLabel")):
            section[key] = PROCESS
            result = case.run_fails(["/probe", "exit", "0"])
            equal(len(result.err.splitlines()), 1, "lines of %r" % result.err)
            contains(result.last_error(), where + ": SELinux is not enabled on this host", "error")
            del section[key]
        case.config["annotations"] = {"org.bryo.selinux": "auto"}
        equal(case.run_ok(["/probe", "echo", "hello"]).err, "", "words about the annotation")


@test(*MODES)
def what_is_asked_for(mode):
    """The option, the annotation, the configuration; run and create."""
    need_none()
    with Case(mode, faults=True) as case:
        without_labelled_mounts(case)
        top = fake(case)
        env = {"BRYO_SELINUX": top}
        case.create(["/probe", "exit", "0"], env=env)
        check("selinuxLabel" not in case.state(), "create chooses a label by itself")
        case.delete()
        case.create(["/probe", "exit", "0"], words=["--selinux", "auto"], env=env)
        check(PAIR.match(case.state()["selinuxLabel"]), "no pair: %s", case.state())
        case.delete()
        case.config["annotations"] = {"org.bryo.selinux": "auto"}
        case.create(["/probe", "exit", "0"], env=env)
        check(PAIR.match(case.state()["selinuxLabel"]), "no pair: %s", case.state())
        case.delete()
        case.ok("run", "--selinux=off", "-b", case.bundle.path, case.id(), env=env)
        equal(read(top), "", "what is written with --selinux off")
        case.ok("run", "--selinux", "a:b:c:s0:c5,c7", "-b", case.bundle.path, case.id(), env=env)
        equal(read(top), "a:b:c:s0:c5,c7", "what is written with --selinux LABEL")
        # An image may have set it.
        for value in ("off", "unconfined_u:unconfined_r:unconfined_t:s0", ""):
            case.config["annotations"] = {"org.bryo.selinux": value}
            contains(case.run_fails(None, env=env).last_error(),
                     "/annotations/org.bryo.selinux: \"%s\" is not auto" % value, "error")
        del case.config["annotations"]
        case.process["selinuxLabel"] = PROCESS
        case.save()
        for words in (("--selinux=off",), ("--selinux", "a:b:c")):
            line = case.fails("run", *words, "-b", case.bundle.path, case.id(), env=env)
            contains(line.last_error(), "the configuration has a label: /process/selinuxLabel",
                     "error")


@test(*MODES)
def pairs_are_reserved(mode):
    """All different, of processes and files the same; `delete` frees them."""
    need_none()
    with Case(mode, faults=True) as case:
        without_labelled_mounts(case)
        env = {"BRYO_SELINUX": fake(case)}
        seen = set()
        for suffix in "abcd":
            case.create(["/probe", "exit", "0"], suffix, words=["--selinux", "auto"], env=env)
            state = case.state(suffix)
            stem, low, high = PAIR.match(state["selinuxLabel"]).groups()
            equal(stem, PROCESS, "label")
            check(int(low) < int(high) < 1024, "pair: %s", state["selinuxLabel"])
            equal(state["mountLabel"], "%s:c%s,c%s" % (FILE, low, high), "label of files")
            equal(read(case.root, case.id(suffix) + "/label"), state["selinuxLabel"], "reservation")
            contains(case.ok("list").out, state["selinuxLabel"], "list")
            listed = [c for c in json.loads(case.ok("list", "-f", "json").out)
                      if c["id"] == case.id(suffix)]
            equal(listed[0]["selinuxLabel"], state["selinuxLabel"], "list as JSON")
            seen.add((low, high))
        equal(len(seen), 4, "different pairs")
        for suffix in "abcd":
            case.delete(suffix)


@test(*MODES)
def site_has_a_default(mode):
    """/etc/bryo/selinux: what run does when nobody says anything, and what it may say."""
    need_none()
    for site, words, annotation, labelled in (
            ("auto\n", [], None, True), ("off\n", [], None, False), ("off", [], "auto", True),
            ("off", ["--selinux", "auto"], None, True), ("auto", ["--selinux", "off"], None, False)):
        with Case(mode, faults=True) as case:
            without_labelled_mounts(case)
            env = {"BRYO_SELINUX": fake(case, selinux=site)}
            if annotation:
                case.config["annotations"] = {"org.bryo.selinux": annotation}
            case.save(["/probe", "exit", "0"])
            case.ok("run", "--keep", *words, "-b", case.bundle.path, case.id(), env=env)
            equal("selinuxLabel" in case.state(), labelled, "a label with %r and %r" % (site, words))
            case.delete()
    for site in ("", "system_u:system_r:container_t:s0", "Auto"):
        with Case(mode, faults=True) as case:
            env = {"BRYO_SELINUX": fake(case, selinux=site)}
            error = case.run_fails(["/probe", "exit", "0"], env=env).last_error()
            contains(error, "/etc/bryo/selinux", "error of %r" % site)
            case.run_ok(["/probe", "exit", "0"])  # without SELinux nobody reads it


_firsts = itertools.cycle(random.sample(range(0, 1024 - 50, 50), 19))
_shift = random.randrange(50)


def few(n):
    """The level of a caller who has so many categories: others each time, since what has ended may
    be seen a moment longer, and others in each run, since names are the host's."""
    first = next(_firsts) + _shift
    return "s0-s0:c%d.c%d" % (first, first + n - 1)


def pairs_held(level):
    """Names that are bound now, of categories of the level."""
    first, last = map(int, re.findall(r"c(\d+)", level))
    with open("/proc/net/unix") as file:
        names = re.findall(r"@bryo-mcs/c(\d+),c(\d+)$", file.read(), re.M)
    return [pair for pair in names if first <= int(pair[0]) and int(pair[1]) <= last]


@test(*MODES)
def bryo_is_killed(mode):
    """The reservation goes with what is left behind: the only pair can be drawn again."""
    need_none()
    for row in ("join", "clone", "record"):
        with Case(mode, faults=True) as case:
            without_labelled_mounts(case)
            level = few(2)
            env = {"BRYO_SELINUX": fake(case, **{"attr/current": "u:r:t:" + level})}
            case.save(["/probe", "exit", "0"])
            case.call("create", "--selinux", "auto", "-b", case.bundle.path, case.id(),
                      env=dict(env, BRYO_KILL=row))
            check(PAIR.match(read(case.root, case.id() + "/label")), "no reservation at " + row)
            wait_until(lambda: not pairs_held(level), what="the end of the box")
            case.create(["/probe", "exit", "0"], "d", words=["--selinux", "auto"], env=env)
            equal(read(case.root, case.id("d") + "/label"), read(case.root, case.id() + "/label"),
                  "label of the next container")
            line = case.fails("create", "--selinux", "auto", "-b", case.bundle.path, case.id("e"),
                              env=env).last_error()
            contains(line, "SELinux: no two categories are left for the container", "error")
            case.delete()
            case.delete("d")
            equal(pairs_held(level), [], "names that are bound")


@test(*MODES)
def callers_with_few_categories(mode):
    """A container gets two of the caller's own, and no others."""
    need_none()
    with Case(mode, faults=True) as case:
        without_labelled_mounts(case)
        for level, own in (("s0-s0:c7,c9,c500", {7, 9, 500}), ("s0:c1000,c1001", {1000, 1001}),
                           ("s0:c900-s0:c900.c910", set(range(900, 911)))):
            shutil.rmtree(os.path.join(case.dir, "selinux"), ignore_errors=True)
            top = fake(case, **{"attr/current": "u:r:t:%s\n" % level})
            case.run_ok(["/probe", "exit", "0"], env={"BRYO_SELINUX": top})
            check(set(map(int, PAIR.match(read(top)).groups()[1:])) <= own, "label: %s", read(top))
        for level in ("s0:c5", "s0-s0:c5"):
            write(os.path.join(top, "attr/current"), "u:r:t:" + level)
            result = case.run_fails(["/probe", "exit", "0"], env={"BRYO_SELINUX": top})
            equal(len(result.err.splitlines()), 1, "lines of %r" % result.err)
            contains(result.err, "SELinux: u:r:t:%s has no two categories for a container" % level,
                     "error")


def draw_at_once(cases, count, prefix=(), env=None):
    """So many containers of each at the same time; their labels."""
    jobs, labels = [], []
    for case in cases:
        case.save(["/probe", "sleep", "100"])
    for number in range(count):
        for case in cases:
            with open(case.output("m%d" % number), "ab") as out:
                argv = case.argv("create", "--selinux", "auto", "-b", case.bundle.path,
                                 case.id("m%d" % number))
                jobs.append((case, number, proc.start(list(prefix) + argv, **case.options(
                    stdout=out, stderr=out, env=env and env(case)))))
    for case, number, job in jobs:
        equal(job.wait(), 0, "exit status: " + case.read_output("m%d" % number))
        labels.append(case.state("m%d" % number)["selinuxLabel"])
    return labels


def stores_share_nothing(cases, level, prefix=(), env=None):
    """Six pairs for two stores, that wait for their start: all different, and no seventh."""
    labels = draw_at_once(cases, 3, prefix, env)
    equal(len(set(labels)), 6, "different labels of %s" % labels)
    equal(len(pairs_held(level)), 6, "names that are bound")
    for case in cases:
        result = proc.run(list(prefix) + case.argv("create", "--selinux", "auto", "-b", case.bundle.path,
                                                   case.id("x")), **case.options(env=env and env(case)))
        contains(result.last_error(), "SELinux: no two categories are left", "the seventh")
    return labels


def two_stores(mode, **kwargs):
    """Of one user, or of two."""
    one, two = ("root", "rootless") if mode == "two users" else (mode, mode)
    stack = contextlib.ExitStack()
    return stack, [stack.enter_context(Case(m, **kwargs)) for m in (one, two)]


@test("two users", *MODES)
def stores_that_draw_at_once(mode):
    """What one gives, another does not, before there is a process to be seen."""
    need_none()
    stack, cases = two_stores(mode, faults=True)
    with stack:
        for case in cases:
            without_labelled_mounts(case)
            fake(case)

        def env(case):
            return {"BRYO_SELINUX": os.path.join(case.dir, "selinux")}
        for _ in range(5):
            level = few(4)
            for case in cases:
                write(os.path.join(case.dir, "selinux/attr/current"), "u:r:t:" + level)
            stores_share_nothing(cases, level, env=env)
            # From here on the process has it: the payload has no descriptor of it.
            cases[0].ok("start", cases[0].id("m0"), env=env(cases[0]))
            wait_until(lambda: len(pairs_held(level)) == 5, what="the end of the name after a start")
            for case in cases:
                for number in range(3):
                    case.delete("m%d" % number)
            equal(pairs_held(level), [], "names that are bound")


@test(*MODES)
def many_at_once(mode):
    """Each of 1035 pairs at most once, of what has ended and was not deleted, too."""
    need_none()
    with Case(mode, faults=True) as case:
        without_labelled_mounts(case)
        top = fake(case, **{"attr/current": "u:r:t:" + few(46)})
        case.save(["/probe", "exit", "0"])
        many, labels = int(os.environ.get("BRYO_TESTS_LABELS", "60")), set()
        for first in range(0, many, 20):
            jobs = [case.start("run", "--keep", "-b", case.bundle.path, case.id("m%d" % i),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={"BRYO_SELINUX": top}) for i in range(first, first + 20)]
            for job in jobs:
                equal(job.wait(), 0, "exit status")
        for i in range(first + 20):
            labels.add(read(case.root, case.id("m%d" % i) + "/label"))
            case.delete("m%d" % i)
        equal(len(labels), first + 20, "different labels")


@test(*MODES)
def policies_with_less(mode):
    """No categories, or no types for containers: a warning."""
    need_none()
    with Case(mode, faults=True) as case:
        without_labelled_mounts(case)
        top = fake(case, **{"fs/mls": "0"})
        result = case.run_ok(["/probe", "exit", "0"], env={"BRYO_SELINUX": top})
        equal(read(top), PROCESS, "label")
        contains(result.err, "the policy has no categories", "warning")
        write(os.path.join(top, "attr/exec"), "", 0o666)
        os.unlink(os.path.join(top, "some/contexts/lxc_contexts"))
        result = case.run_ok(["/probe", "exit", "0"], env={"BRYO_SELINUX": top})
        equal((read(top), len(result.err.splitlines())), ("", 1), "label, lines of warnings")
        contains(result.err, "no SELinux label: SELinux: the policy has no types", "warning")


@test("root", "userns")
def lost_output_is_announced(mode):
    """A file at a level that the container does not reach: one line."""
    need_none()
    with Case(mode, faults=True) as case:
        env = {"BRYO_SELINUX": fake(case)}
        case.process["selinuxLabel"] = PROCESS + ":c1,c2"
        case.save(["/probe", "exit", "0"])
        for level, wanted in (("s0-s0:c0.c1023", True), ("s0:c1,c3", True), ("s0:c1,c2", False),
                              ("s0", False)):
            path = os.path.join(case.dir, "out")
            with open(path, "w") as out:
                os.setxattr(path, XATTR, ("u:r:t:%s" % level).encode() + b"\0")
                result = case.ok("run", "-b", case.bundle.path, case.id(), env=env, stdout=out)
            lines = result.err.splitlines()
            equal(len(lines), int(wanted), "lines of %r" % result.err)
            if wanted:
                contains(lines[0], "may not use its standard output, at u:r:t:%s" % level, "warning")


def volume(case, *options):
    """A directory on the host with things in it, as a volume."""
    top = case.make_dir("volume", 0o777)
    os.makedirs(top + "/dir/sub")
    write(top + "/dir/file", "text\n")
    os.symlink("../outside", top + "/dir/link")
    os.mkfifo(top + "/fifo")
    write(os.path.join(case.dir, "outside"), "text\n")
    case.config["mounts"].append(bind(top, "/volume", *options))
    return top


def labels_of(top):
    """{label or None: names} of all that is in the directory, and itself."""
    found = {}
    for path in [top] + [os.path.join(d, n) for d, subs, files in os.walk(top) for n in subs + files]:
        try:
            label = os.getxattr(path, XATTR, follow_symlinks=False).rstrip(b"\0").decode()
        except OSError:
            label = None
        found.setdefault(label, set()).add(path[len(top):])
    return found


ALL_OF_IT = {"", "/dir", "/dir/sub", "/dir/file", "/dir/link", "/fifo"}


def relabels_a_volume(mode, env=None):
    """Guards the row: all that is in it, once, and nothing else."""
    with Case(mode, faults=True) as case:
        without_labelled_mounts(case)
        env = dict(env or {}, BRYO_SELINUX=fake(case))
        top = volume(case, "z")
        case.run_ok(["/probe", "exit", "0"], env=env)
        equal(labels_of(top), {FILE: ALL_OF_IT}, "labels with z")
        outside = os.path.join(case.dir, "outside")
        check(XATTR not in os.listxattr(outside), "the target of a link was labelled")
        before = os.stat(top + "/dir/file").st_ctime_ns
        # What another left half done.
        os.removexattr(top + "/dir/sub", XATTR)
        case.run_ok(["/probe", "exit", "0"], env=env)
        equal(labels_of(top), {FILE: ALL_OF_IT}, "labels after a second time")
        equal(os.stat(top + "/dir/file").st_ctime_ns, before, "time of the last change")


@test("root")
def volumes_are_relabelled(mode):
    need_none()
    relabels_a_volume(mode)
    with Case(mode, faults=True) as case:
        without_labelled_mounts(case)
        env = {"BRYO_SELINUX": fake(case)}
        top = volume(case, "Z")
        place = top + "/dir/sub"
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
        try:
            case.config["mounts"][-1]["options"] += ["rbind"]
            write(place + "/file", "text\n")
            case.create(["/probe", "exit", "0"], words=["--selinux", "auto"], env=env)
            equal(labels_of(top), {case.state()["mountLabel"]: ALL_OF_IT - {"/dir/sub"},
                                   None: {"/dir/sub", "/dir/sub/file"}}, "labels with Z")
            case.delete()
        finally:
            subprocess.run(["umount", place], check=True)
        os.symlink("/etc", top + "/etc")
        for source in ("/", "/etc", "/usr/share", "/home", "/tmp", "/proc", top + "/etc", case.env["HOME"]):
            case.config["mounts"][-1]["source"] = source
            line = case.run_fails(["/probe", "exit", "0"], env=env).last_error()
            contains(line, "/mounts/1/source: SELinux: %s is not relabelled" % source, "error")
        case.config["mounts"][-1] = {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
                                     "options": ["z"]}
        contains(case.run_fails(["/probe", "exit", "0"], env=env).last_error(),
                 "/mounts/1/options: z and Z are for bind mounts", "error")


# -- where it is on --

def put_label(path, label):
    os.setxattr(path, XATTR, label.encode() + b"\0", follow_symlinks=False)


def get_label(path):
    return os.getxattr(path, XATTR).rstrip(b"\0").decode()


def label_tree(path, label):
    for top, _, files in os.walk(path):
        for name in [top] + [os.path.join(top, f) for f in files]:
            put_label(name, label)


@contextlib.contextmanager
def labelled(mode, **kwargs):
    """A case whose rootfs a container may use."""
    with Case(mode, **kwargs) as case:
        label_tree(case.bundle.rootfs, FILE)
        case.labelled = True
        yield case


@contextlib.contextmanager
def permissive():
    with open(FS + "enforce", "w") as file:
        file.write("0")
    try:
        yield
    finally:
        with open(FS + "enforce", "w") as file:
            file.write("1")


def shell(case, script, *words, suffix="c", **kwargs):
    case.save(["/bin/sh", "-c", script])
    return case.call("run", *words, "-b", case.bundle.path, case.id(suffix), **kwargs)


@contextlib.contextmanager
def all_denials_told():
    """Categories deny without a word in a policy as it is shipped: see tests/vm/image/build.sh."""
    told, shipped = "/usr/share/vm/policy.nodontaudit", glob.glob("/etc/selinux/default/policy/policy.*")
    if os.geteuid() != 0 or not os.path.exists(told) or not shipped:
        yield None
        return

    def load(path):
        with open(path, "rb") as file, open(FS + "load", "wb", buffering=0) as into:
            into.write(file.read())

    def told_of(label):
        lines = proc.run(["dmesg"]).out.splitlines()
        return [line for line in lines if "avc:  denied" in line and "scontext=%s " % label in line]
    load(told)
    try:
        yield told_of
    finally:
        load(shipped[0])


def hosts_directory(case):
    """What root may do in /root, its modes alone allow others elsewhere."""
    if case.who.mode == "root":
        return "/root"
    path = case.make_dir("secret", 0o777, (case.who.host_uid(0), case.who.host_gid(0)))
    put_label(path, "system_u:object_r:user_home_t:s0")
    return path


def tries(case, place, label, wanted, told_of, mode=0):
    """mkdir and ls in a directory of the host's /, which is /mnt: are they done, and who denies?"""
    for script, is_done in (
            ("busybox mkdir /mnt%s/setest" % place, lambda out: os.path.isdir(place + "/setest")),
            ("ls /mnt%s && echo listed" % place, lambda out: "listed" in out)):
        result = shell(case, "cat /proc/self/attr/current; echo; " + script, *label())
        done = is_done(result.out)
        if os.path.isdir(place + "/setest"):
            os.rmdir(place + "/setest")
        equal(done, wanted, "%s: %s" % (script, result))
        has = result.out.split("\n")[0].rstrip("\0")
        if told_of and PAIR.match(has):
            denied = [line for line in told_of(has) if "tclass=dir" in line]
            check(denied, "no denial names %s: %s", has, script)
            for line in denied:
                contains(line, "permissive=%d" % mode, "denial")


def hosts_root_is_out_of_reach(case, label, no_label):
    """Both say with which words the next one is started."""
    case.config["mounts"].append(dict(bind("/", "/mnt"), options=["rbind"]))
    place = hosts_directory(case)
    with all_denials_told() as told_of:
        tries(case, place, label, False, told_of)
        if os.geteuid() == 0:
            with permissive():
                tries(case, place, label, True, told_of, 1)
        tries(case, place, no_label, True, told_of)


@test(*MODES)
def enforced_on_the_hosts_root(mode):
    """What the modes of the files allow, the label alone denies."""
    need_enforcing()
    with labelled(mode) as case:
        hosts_root_is_out_of_reach(case, lambda: [], lambda: ["--selinux=off"])


_pairs = iter((a, b) for b in range(1, 1024) for a in range(b))


class Engine:
    """Gives each container a label of its own, as podman does: any runtime is its."""

    def __init__(self, case):
        self.case = case

    def label(self):
        level = ":c%d,c%d" % next(_pairs)
        self.case.process["selinuxLabel"] = PROCESS + level
        self.case.linux["mountLabel"] = FILE + level
        return []

    def no_label(self):
        self.case.process.pop("selinuxLabel", None)
        self.case.linux.pop("mountLabel", None)
        return [] if self.case.runtime else ["--selinux=off"]


@test(*("bryo, " + mode for mode in MODES),
      *("%s, %s" % (name, mode) for name in ("crun", "runc") for mode in ("root", "rootless")))
def control_with_labels_of_an_engine(which):
    """Other runtimes, with the same labels: the same is denied, and the same is not."""
    need_enforcing()
    name, mode = which.split(", ")
    runtime = None if name == "bryo" else shutil.which(name)
    if name != "bryo" and not runtime:
        raise Skip(name + " is not installed")
    with labelled(mode, runtime=runtime) as case:
        engine = Engine(case)
        hosts_root_is_out_of_reach(case, engine.label, engine.no_label)
        shared = case.make_dir("shared", 0o777)
        case.config["mounts"][-1] = bind(shared, "/shared")
        engine.label()
        put_label(shared, case.linux["mountLabel"])
        script = "echo x >>/shared/file; cat /shared/file"
        equal(shell(case, script).out, "x\n", "output of the one")
        engine.label()
        result = shell(case, script)
        equal(result.out, "", "output of the other one")
        contains(result.err, "Permission denied", "errors of the other one")
        equal(shell(case, script, *engine.no_label()).out, "x\nx\n", "output without a label")


@test(*MODES)
def containers_are_kept_apart(mode):
    """A world-writable directory, labelled for one of two containers."""
    need_enforcing()
    with labelled(mode) as case:
        shared = case.make_dir("shared", 0o777)
        case.config["mounts"].append(bind(shared, "/shared"))
        case.create(["/bin/sleep", "100"], "a", words=["--selinux", "auto"], stdout=subprocess.DEVNULL)
        case.ok("start", case.id("a"))
        state = case.state("a")
        put_label(shared, state["mountLabel"])
        case.ok("exec", case.id("a"), "/bin/sh", "-c", "echo a >/shared/of-a && cat /shared/of-a")
        equal(get_label(shared + "/of-a"), state["mountLabel"], "label of a file of its own")
        result = shell(case, "cat /shared/of-a && echo READ; echo b >/shared/of-b", suffix="b")
        check("READ" not in result.out and not os.path.exists(shared + "/of-b"),
              "the other one got in: %s", result)
        contains(result.err, "Permission denied", "the other one's errors")
        result = shell(case, "cat /shared/of-a", "--selinux=off", suffix="d")
        equal(result.out, "a\n", "without a label")
        case.delete("a")


@test(*MODES)
def label_from_the_first_instruction(mode):
    """All ways to the payload; what it was before is the caller's."""
    need_enforcing()
    with open("/proc/self/attr/current") as file:
        own = file.read().rstrip("\0\n")
    for no_new_privs in (True, False):
        for rules in (None, seccomp()):
            with labelled(mode) as case:
                case.process["noNewPrivileges"] = no_new_privs
                if rules:
                    case.linux["seccomp"] = rules
                case.save(["/bin/cat", "/proc/self/attr/current", "/proc/self/attr/prev"])
                out = case.ok("run", "-b", case.bundle.path, case.id()).out
                now, before = out.replace("\0", "\n").split()[:2]
                check(PAIR.match(now) and now.startswith(PROCESS + ":"), "label: %s", now)
                equal(before, own, "label before")


@test(*MODES)
def mounts_are_labelled(mode):
    """tmpfs, devpts and an overlay can be used; the label is the container's."""
    need_enforcing()
    with labelled(mode) as case:
        result = shell(case, "echo 1 >/dev/shm/x && cat /dev/shm/x; ls /dev/pts; echo >/dev/null && echo 2;"
                       "ls /proc/acpi; echo 3")
        equal((result.out.split(), result.err), (["ptmx", "1", "2", "3"], "")
              if result.out.startswith("ptmx") else (["1", "ptmx", "2", "3"], ""), "output")
        case.create(["/bin/sleep", "100"], words=["--selinux", "auto"], stdout=subprocess.DEVNULL)
        state = case.state()
        if os.geteuid() == 0:
            for path in ("/dev/shm", "/dev/pts", "/dev"):
                equal(get_label("/proc/%d/root%s" % (state["pid"], path)), state["mountLabel"], path)
            check(get_label("/proc/%d/root/proc" % state["pid"]) != state["mountLabel"], "/proc")
        case.delete()
    with Case(mode) as case:
        case.labelled = True
        # Whose files have labels that no container may use.
        result = shell(case, "echo 1 >/new && cat /new /masked-file", "--overlay", "tmpfs")
        equal((result.out, result.err), ("1\nsecret\n", ""), "output with an overlay")


@test(*MODES)
def labels_of_an_engine(mode):
    """As podman and docker have them: both in the configuration, and a mount's own in quotes."""
    need_enforcing()
    with labelled(mode) as case:
        case.process["selinuxLabel"] = PROCESS + ":c65,c308"
        case.linux["mountLabel"] = FILE + ":c65,c308"
        case.config["mounts"].append({
            "destination": "/quoted", "type": "tmpfs", "source": "tmpfs",
            "options": ["mode=0777", 'context="%s:c1,c65"' % FILE]})
        result = shell(case, "cat /proc/self/attr/current; echo; echo x >/dev/shm/x; echo x >/quoted/x")
        equal(result.out.rstrip("\0\n"), PROCESS + ":c65,c308", "label")
        contains(result.err, "/quoted/x: Permission denied", "of a mount at another level")
        case.config["mounts"].pop()
        stem = PROCESS[:-2]
        for value in (PROCESS + ":c1,c1024", "system_u:system_r:nope_t:s0", "nope", ":::", stem, stem + "x",
                      stem + "s1:c1,c2", stem + "s0-s1", stem + "s0:c5-s0", PROCESS + ":c1,", PROCESS + ":",
                      PROCESS + ":c2.c1", PROCESS + ":c1,c1024.c1030",
                      PROCESS + ":c0.c1024", PROCESS + ":" + ",".join("c%d" % c for c in range(0, 600, 2))):
            case.process["selinuxLabel"] = value
            result = case.run_fails(["/bin/true"])
            equal(len(result.err.splitlines()), 1, "lines of %r" % result.err)
            contains(result.err, "/process/selinuxLabel: " + (
                "SELinux: \"%s\" is no label" % value if len(value) < 1024 else "longer than"), "error")
        case.process["selinuxLabel"] = PROCESS
        case.linux["mountLabel"] = "system_u:object_r:nope_t:s0"
        contains(case.run_fails(["/bin/true"]).last_error(), "/linux/mountLabel: SELinux: ", "error")


@test(*MODES)
def exec_has_the_label(mode):
    need_enforcing()
    with labelled(mode) as case:
        case.create(["/bin/sleep", "100"], words=["--selinux", "auto"], stdout=subprocess.DEVNULL)
        case.ok("start", case.id())
        label = case.state()["selinuxLabel"]
        show = ("/bin/cat", "/proc/self/attr/current")
        equal(case.ok("exec", case.id(), *show).out.rstrip("\0\n"), label, "label")
        other = PROCESS + ":c5,c6"
        equal(case.ok("exec", "--process-label", other, case.id(), *show).out.rstrip("\0\n"), other,
              "label that is asked for")
        line = case.fails("exec", "--process-label", "a:b:c:s0", case.id(), *show).last_error()
        contains(line, "/process/selinuxLabel: SELinux: \"a:b:c:s0\" is no label", "error")
        case.delete()


@test("root", "rootless")
def many_are_different(mode):
    """Made at once; a stopped one keeps its pair until it is deleted."""
    need_enforcing()
    with labelled(mode) as case:
        case.save(["/bin/true"])
        jobs = [case.start("run", "--keep", "-b", case.bundle.path, case.id("m%d" % i),
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for i in range(8)]
        for job in jobs:
            equal(job.wait(), 0, "exit status")
        labels = {case.state("m%d" % i)["selinuxLabel"] for i in range(8)}
        equal(len(labels), 8, "different labels")
        for i in range(8):
            case.delete("m%d" % i)


def runcon_argv(context):
    """By a shell: a program of the tests has no label that another one may begin with."""
    option = ["-l"] if context.startswith("s0") else []
    return ["runcon"] + option + [context, "sh", "-c", 'exec "$0" "$@"']


def runcon(context, case, *words, **kwargs):
    """The runtime, called at another level, or by another user of SELinux."""
    return proc.run(runcon_argv(context) + case.argv(*words), **case.options(**kwargs))


def categories_of(result):
    found = PAIR.match(result.out.rstrip("\0\n"))
    check(result.rc == 0 and found, "no pair: %s", result)
    return set(map(int, found.groups()[1:]))


def error_of(result):
    check(result.rc > 0, "should have failed: %s", result)
    equal((result.out, len(result.err.splitlines())), ("", 1), "output, lines of %r" % result.err)
    return result.err


@test("root", "rootless")
def callers_of_other_levels(mode):
    """Who has categories gives of his own, who has none gives any."""
    need_enforcing()
    with labelled(mode) as case:
        case.save(["/bin/cat", "/proc/self/attr/current"])
        words = "run", "-b", case.bundle.path, case.id()
        for level, own in (("s0-s0:c0.c99", set(range(100))), ("s0-s0:c7,c9,c500", {7, 9, 500}),
                           ("s0:c1,c2", {1, 2}), ("s0-s0:c0.c1023", set(range(1024))),
                           ("s0", set(range(1024)))):
            drawn = categories_of(runcon(level, case, *words))
            check(len(drawn) == 2 and drawn <= own, "at %s: %s", level, drawn)
        for level in ("s0:c5", "s0-s0:c5"):
            contains(error_of(runcon(level, case, *words)),
                     ":%s has no two categories for a container" % level, "error")


@test("root", "rootless")
def only_pair_after_a_crash(mode):
    """Whatever kill -9 leaves, the next one gets it."""
    need_enforcing()
    with labelled(mode, faults=True) as case:
        case.save(["/bin/cat", "/proc/self/attr/current"])
        for row in ("clone", "record"):
            level = few(2)
            runcon(level, case, "create", "--selinux", "auto", "-b", case.bundle.path, case.id(),
                   env={"BRYO_KILL": row}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            left = read(case.root, case.id() + "/label")
            check(PAIR.match(left), "no reservation at " + row)
            wait_until(lambda held=level: not pairs_held(held), what="the end of the box")
            drawn = runcon(level, case, "run", "-b", case.bundle.path, case.id("d"))
            equal(drawn.out.rstrip("\0\n"), left, "label of the next container: %s" % drawn)
            case.delete()


#: Of tests/vm/image/policy.cil: a role that may use its own categories only.
FEW = "unconfined_u:few_r:unconfined_t:"


def need_few():
    need_enforcing()
    if proc.run(["runcon", FEW + "s0", "true"]).rc != 0:
        raise Skip("the policy has no role with its own categories only")


@test("root", "rootless")
def callers_that_the_policy_limits(mode):
    """The kernel would refuse what is not their own."""
    need_few()
    with labelled(mode) as case:
        case.save(["/bin/cat", "/proc/self/attr/current"])
        words = "run", "-b", case.bundle.path, case.id()
        for _ in range(3):
            drawn = categories_of(runcon(FEW + "s0-s0:c0.c99", case, *words))
            check(len(drawn) == 2 and max(drawn) < 100, "categories: %s", drawn)
        equal(categories_of(runcon(FEW + "s0:c3,c4", case, *words)), {3, 4}, "categories")
        for level in ("s0", "s0:c3", "s0-s0:c3"):
            contains(error_of(runcon(FEW + level, case, *words)),
                     "SELinux: %s%s has no two categories for a container" % (FEW, level), "error")
        for level, wanted in ((":c98,c99", True), (":c1,c100", False)):
            case.process["selinuxLabel"] = PROCESS + level
            case.save()
            result = runcon(FEW + "s0-s0:c0.c99", case, *words)
            if wanted:
                equal(categories_of(result), {98, 99}, "categories")
            else:
                contains(error_of(result), "/process/selinuxLabel: SELinux: %ss0-s0:c0.c99 may not "
                         "start a process at %s:c1,c100" % (FEW, PROCESS), "error")


@test("root", "userns")
def policy_with_few_categories(mode):
    """What the policy gives its containers is a part of c0 to c1023; or it names nothing."""
    need_few()
    with labelled(mode) as case:
        case.save(["/bin/cat", "/proc/self/attr/current"])
        words = "run", "-b", case.bundle.path, case.id()
        contexts = os.path.join(case.dir, "lxc_contexts")
        argv = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/selinux/default/contexts/lxc_contexts && '
                'exec "$@"', contexts] + case.argv(*words)
        few_process = "few_u:system_r:container_t:s0"
        write(contexts, CONTEXTS.replace(PROCESS, few_process))
        for _ in range(3):
            result = proc.run(argv, **case.options())
            contains(result.out, few_process, "label")
            check(max(categories_of(result)) < 100, "categories: %s", result)
        # A type that is none, and one that the caller may not start.
        for kind, text in (("nope_t", "is no label"), ("podman_t", ":s0 may not start a process at")):
            write(contexts, CONTEXTS.replace("container_t", kind))
            contains(error_of(proc.run(argv, **case.options())), text, "error with " + kind)
        write(contexts, "")
        result = proc.run(argv, **case.options())
        contains(result.err, "no SELinux label: SELinux: the policy has no types", "warning")
        contains(result.out, ":unconfined_t:", "label")


@test("two users", "root", "rootless")
def stores_that_draw_from_few(mode):
    """Created ones of two stores, then running ones, whom the scan of processes finds."""
    need_enforcing()
    stack, cases = two_stores(mode)
    with stack:
        for case in cases:
            label_tree(case.bundle.rootfs, FILE)
            case.labelled = True
        for _ in range(3):
            level = few(4)
            labels = stores_share_nothing(cases, level, runcon_argv(level))
            for case in cases:
                for number in range(3):
                    case.ok("start", case.id("m%d" % number))
            wait_until(lambda: not pairs_held(level), what="the end of names when all run")
            running = set()
            for case in cases:
                for number in range(3):
                    with open("/proc/%d/attr/current" % case.state("m%d" % number)["pid"]) as file:
                        running.add(file.read().rstrip("\0\n"))
                contains(error_of(runcon(level, case, "run", "-b", case.bundle.path, case.id("x"))),
                         "no two categories are left", "the seventh")
            equal(running, set(labels), "labels of the processes")
            for case in cases:
                for number in range(3):
                    case.delete("m%d" % number)


@test("crun", "runc")
def pairs_of_other_runtimes(name):
    """What a process of theirs has is taken."""
    need_enforcing()
    runtime = shutil.which(name)
    if not runtime:
        raise Skip(name + " is not installed")
    with labelled("root", runtime=runtime) as other, labelled("root") as case:
        first = random.randrange(1022)
        other.process["selinuxLabel"] = PROCESS + ":c%d,c%d" % (first, first + 1)
        other.create(["/bin/sleep", "100"])
        other.ok("start", other.id())
        case.save(["/bin/cat", "/proc/self/attr/current"])
        words = "run", "-b", case.bundle.path, case.id()
        # The caller's own processes do not count, a container of the same level does.
        contains(error_of(runcon("s0:c%d,c%d" % (first, first + 1), case, *words)),
                 "no two categories are left", "error")
        for _ in range(4):
            drawn = categories_of(runcon("s0-s0:c%d.c%d" % (first, first + 2), case, *words))
            check(drawn != {first, first + 1}, "drawn: %s", drawn)
        other.ok("delete", "--force", other.id())
        wait_until(lambda: not other.before.new_processes(), what="the end of its process")
        equal(categories_of(runcon("s0:c%d,c%d" % (first, first + 1), case, *words)),
              {first, first + 1}, "categories when it has gone")


@test("root", "rootless")
def lost_output_of_a_login(mode):
    """A pipe that was made at a login's level: nothing arrives, and that is said."""
    need_enforcing()
    with labelled(mode) as case:
        case.save(["/bin/echo", "hello"])
        argv = ["runcon", "-l", "s0-s0:c0.c1023", "sh", "-c", '"$0" "$@" | cat'] + \
            case.argv("run", "-b", case.bundle.path, case.id())
        result = subprocess.run(argv, capture_output=True, text=True, check=False,
                                **case.options())
        equal(result.stdout, "", "output")
        equal(len(result.stderr.splitlines()), 1, "lines of %r" % result.stderr)
        contains(result.stderr, "may not use its standard output", "warning")


@test("root", "rootless")
def rootfs_that_is_not_labelled(mode):
    need_enforcing()
    with Case(mode) as case:
        case.labelled = True
        label_tree(case.bundle.rootfs, "system_u:object_r:user_tmp_t:s0")
        result = case.run_fails(["/bin/true"])
        equal((result.rc, len(result.err.splitlines())), (126, 1), "exit status, lines of errors")
        contains(result.err, "permission denied", "error")
        contains(result.err, "--selinux off", "what to do")


@test(*MODES)
def volumes_of_containers(mode):
    """Z: this container's alone; z: everybody's, from then on."""
    need_enforcing()
    with labelled(mode) as case:
        owner = case.who.host_uid(0), case.who.host_gid(0)
        shared = case.make_dir("shared", 0o777, owner)
        put_label(shared, "system_u:object_r:user_home_t:s0")
        script = "echo hello >>/shared/file && cat /shared/file"
        case.config["mounts"].append(bind(shared, "/shared"))
        check(shell(case, script).rc != 0, "a volume without a label could be used")
        case.config["mounts"][-1]["options"] = ["bind", "Z"]
        equal(shell(case, script).out, "hello\n", "output with Z")
        check(PAIR.match(get_label(shared + "/file")), "label: %s", get_label(shared + "/file"))
        case.config["mounts"][-1]["options"] = ["bind"]
        check(shell(case, script).rc != 0, "another container could use it")
        case.config["mounts"][-1]["options"] = ["bind", "z"]
        equal(shell(case, script).out, "hello\nhello\n", "output with z")
        equal(get_label(shared + "/file"), FILE, "label")
        case.config["mounts"][-1]["options"] = ["bind"]
        equal(shell(case, script).out, "hello\n" * 3, "output of another container")


@test(*MODES)
def payload_dies_with_bryo(mode):
    """The kernel forgets PR_SET_PDEATHSIG when the label changes."""
    need_enforcing()
    for detached in (False, True):
        with labelled(mode) as case:
            case.save(["/bin/sleep", "100"])
            job = case.start("run", *(["--detach"] if detached else []), "-b", case.bundle.path,
                             case.id(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if detached:
                equal(job.wait(), 0, "exit status")
            wait_until(lambda: os.path.exists(os.path.join(case.root, case.id(), "record")),
                       what="the record")
            case.wait_status("running")
            if not detached:
                job.kill()
                job.wait()
                case.wait_status("stopped")
            case.delete()
