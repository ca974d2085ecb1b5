# SPDX-License-Identifier: Apache-2.0
"""Do the tests of confinement detect anything?

For every row that runs in the box, and some of the host: leave it out (BRYO_SKIP, in the
build with the test hook) and run the checks that guard it.  A row whose absence no check
notices is a failure here, and so is a row without a check.
"""

import os
import resource
import time

from lib import users
from lib.bundle import find_busybox
from lib.case import Case
from lib.check import Failed, Skip, check, contains, equal, fail, test
from lib.host import sacrifice
from lib.steps import rows, try_rows
from lib.view import make_view
from test_apparmor import profile_is_asked_for
from test_confinement import GUARDS
from test_netdev import moves_a_device
from test_resctrl import resctrl_is_entered
from test_selinux import label_is_asked_for, relabels_a_volume
from test_terminal import terminal_works

#: Rows of the host that can be left out like those of the box.
HOST_ROWS = ("scheduler", "io-priority", "resctrl", "net-devices")

#: (row, mode) where the property holds anyway, and why.
HOLDS_ANYWAY = {
    ("net-devices", "rootless"): "an ordinary user has no device to move",
    ("net-devices", "ranges"): "an ordinary user has no device to move",
    ("relabel", "userns"): "where SELinux is off, labels of files are the host root's",
    ("relabel", "rootless"): "where SELinux is off, labels of files are the host root's",
    ("relabel", "ranges"): "where SELinux is off, labels of files are the host root's",
    ("user", "rootless"): "the only id is the caller's already",
    # A mount namespace of a new user namespace has slaves of the host's mounts.
    ("propagation", "userns"): "nothing goes from a slave to its master",
    ("propagation", "rootless"): "nothing goes from a slave to its master",
    ("propagation", "ranges"): "nothing goes from a slave to its master",
}


# -- rows whose effect the probe's report cannot show --

def outlives(mode, env):
    """Row outlive: the box lives on when `create` has ended."""
    with Case(mode, faults=True) as case:
        case.create(["/probe", "echo", "hello"], env=env)
        time.sleep(0.05)
        equal(case.state()["status"], "created", "status")
        case.delete()


def waits(mode, env):
    """Row wait-start: the payload does not run before `start`."""
    with Case(mode, faults=True) as case:
        case.create(["/probe", "echo", "hello"], env=env)
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            equal(case.read_output(), "", "output before start")
            time.sleep(0.01)
        equal(case.state()["status"], "created", "status before start")
        case.delete()


def is_ready(mode, env):
    """Row ready: the host learns that the payload is about to run."""
    with Case(mode, faults=True) as case:
        equal(case.run_ok(["/probe", "echo", "hello"], env=env).out, "hello\n", "output")


def has_terminal(mode, env):
    """Row terminal: the payload has one of its own."""
    terminal_works(mode, env, faults=True)


def runs_box_hook(mode, env):
    """Row create-container: the hook ran before the payload."""
    with Case(mode, faults=True) as case:
        place = case.make_dir("hook", 0o777)
        case.config["hooks"] = {"createContainer": [
            {"path": "/bin/sh", "args": ["sh", "-c", "echo ran >%s/it" % place]}]}
        case.run_ok(["/probe", "exit", "0"], env=env)
        check(os.path.exists(place + "/it"), "the hook did not run")


def runs_start_hook(mode, env):
    """Row start-container: the hook ran in the container, before the payload."""
    if not find_busybox():
        raise Skip("no static busybox")
    with Case(mode, faults=True) as case:
        case.config["hooks"] = {"startContainer": [
            {"path": "/bin/sh", "args": ["sh", "-c", "echo ran >/work/it"]}]}
        result = case.run_ok(["/probe", "cat", "/work/it"], env=env)
        contains(result.out, "ran", "output")


def preserves_fds(mode, env):
    """Row fds: --preserve-fds passes so many, which are closed on exec till then.

    That all others are closed is the work of main() already: of both, in fact.
    """
    with Case(mode, faults=True) as case:
        case.save(["/probe", "fds"])

        def open_three():
            os.dup2(os.open("/dev/null", os.O_RDONLY), 3)
            os.set_inheritable(3, True)
        result = case.ok("run", "--preserve-fds", "1", "-b", case.bundle.path, case.id(),
                         env=env, preexec_fn=open_three, close_fds=False)
        equal(result.out, "0\n1\n2\n3\n", "descriptors")


def keeps_its_mounts(mode, env):
    """Row propagation: the host's table is the same, though it is all shared."""
    with Case(mode, faults=True) as case:
        case.save(["/probe", "exit", "0"])
        changes = sacrifice(lambda: case.call("run", "-b", case.bundle.path, case.id(),
                                              env=env, stdin=b""))
        equal(changes, [], "changes in the host's mount table")


def hides_the_runtime(mode, env):
    """Row stub: a payload that is /proc/self/exe is not the runtime."""
    with Case(mode, faults=True) as case:
        with open(case.binary, "rb") as file:
            if b"/ld-linux" in file.read(4096):
                raise Skip("a runtime that needs a dynamic loader cannot run in the image")
        case.process["noNewPrivileges"] = True
        result = case.run(["/proc/self/exe", "--version"], env=env)
        check("bryo version" not in result.out, "the payload runs the host's bryo: %s", result)


def raises_limits(mode, env):
    """Row raise-limits: a hard limit above the caller's, for who may."""
    with open("/proc/self/status") as file:
        caps = [line.split()[1] for line in file if line.startswith("CapEff")][0]
    if mode != "root" or not int(caps, 16) & 1 << 24:
        raise Skip("raising a limit needs CAP_SYS_RESOURCE")
    with Case(mode, faults=True) as case:
        case.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 500, "hard": 900}]
        report = case.report(None, env=env, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (400, 400)))
        equal(report["rlimits"]["NOFILE"], [500, 900], "limits")


def writes_to_the_overlay(mode, env):
    """Rows layers and overlay: the payload writes, and the rootfs has nothing of it."""
    with Case(mode, faults=True) as case:
        case.config["annotations"] = {"org.bryo.overlay": "tmpfs"}
        case.run_ok(["/probe", "write", "/new", "x"], env=env)
        check(not os.path.exists(case.bundle.inside("/new")), "the rootfs was written to")


SPECIAL = {"layers": writes_to_the_overlay, "overlay": writes_to_the_overlay,
           "stub": hides_the_runtime, "raise-limits": raises_limits,
           "propagation": keeps_its_mounts, "fds": preserves_fds, "outlive": outlives,
           "wait-start": waits, "ready": is_ready, "create-container": runs_box_hook,
           "start-container": runs_start_hook, "apparmor": profile_is_asked_for,
           "selinux": label_is_asked_for, "relabel": relabels_a_volume,
           "resctrl": resctrl_is_entered, "net-devices": moves_a_device,
           "terminal": has_terminal}


def guards_of(row, mode):
    """{view name: [check]} for the row in the mode."""
    found = {}
    for name, view_name, func, modes in GUARDS:
        if name == row and mode in modes:
            found.setdefault(view_name, []).append(func)
    return found


def detects_specially(row, mode):
    func = SPECIAL[row]
    func(mode, {})
    try:
        func(mode, {"BRYO_SKIP": row})
    except Failed as why:
        return str(why)
    return None


_undisturbed = {}


def undisturbed(mode, view_name):
    """The view with every row in place: a check that fails here proves nothing."""
    key = mode, view_name
    if key not in _undisturbed:
        _undisturbed[key] = make_view(mode, view_name, faults=True)
    return _undisturbed[key]


def detects(row, mode):
    """How the absence is noticed, or None."""
    if row in SPECIAL:
        return detects_specially(row, mode)
    for view_name, funcs in guards_of(row, mode).items():
        for func in funcs:
            func(undisturbed(mode, view_name))
        try:
            view = make_view(mode, view_name, env={"BRYO_SKIP": row}, faults=True)
        except Failed as why:
            return "the run fails: %s" % why
        for func in funcs:
            try:
                func(view)
            except (Failed, KeyError, TypeError, AttributeError) as why:
                # A property that is absent from the report is noticed too.
                return "%s: %s" % (func.__name__, why)
    return None


def is_guarded(row, mode):
    if (row, mode) in HOLDS_ANYWAY:
        return False
    return row in SPECIAL or bool(guards_of(row, mode))


def guard(row):
    tried, blind = [], []
    check(any(is_guarded(row.name, mode) for mode in users.MODES),
          "no check guards the row %s", row.name)
    for mode in users.MODES:
        try:
            users.identity(mode)
        except Skip:
            continue
        if not is_guarded(row.name, mode):
            continue
        tried.append(mode)
        if detects(row.name, mode) is None:
            blind.append(mode)
    if not tried:
        raise Skip("its guards need root")
    check(not blind, "the row %s can be left out unnoticed in %s", row.name, ", ".join(blind))


def register(row):
    def func():
        guard(row)
    func.__module__ = __name__
    test(name="row %s is guarded" % row)(func)


for _row in try_rows():
    if _row.side == "BOX" or _row.name in HOST_ROWS:
        register(_row)


@test()
def names_are_in_the_table():
    """A guard of a row that was renamed would never be asked."""
    names = [row.name for row in rows()]
    check(len(names) == len(set(names)), "two rows have one name: %s", names)
    unknown = ({row for row, _, _, _ in GUARDS} | set(SPECIAL)) - set(names)
    if unknown:
        fail("checks guard rows that are not in the table: %s", ", ".join(sorted(unknown)))
