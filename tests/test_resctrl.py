# SPDX-License-Identifier: Apache-2.0
"""linux.intelRdt, against a directory that looks like resctrl (BRYO_RESCTRL)."""

import os

from lib import users
from lib.bundle import chown_tree, write
from lib.case import Case, need_bryo
from lib.check import check, contains, equal, test

MODES = users.MODES
SCHEMATA = "    L3:0=7ff;1=7ff\n    MB:0=100;1= 100\n"


class Tree:
    """The root group, and what the kernel says about the CPU."""

    def __init__(self, case, features="llc_occupancy\nmbm_total_bytes\n"):
        self.path = case.make_dir("resctrl")
        self.who = case.who
        self.env = {"BRYO_RESCTRL": self.path}
        self.group(".")
        if features:
            os.makedirs(self / "info/L3_MON")
            write(self / "info/L3_MON/mon_features", features)

    def __truediv__(self, name):
        return os.path.join(self.path, name)

    def group(self, name, schemata=SCHEMATA):
        os.makedirs(self / name, exist_ok=True)
        os.mkdir(self / name + "/mon_groups")
        write(self / name + "/tasks", "")
        write(self / name + "/schemata", schemata)
        if os.geteuid() == 0:
            chown_tree(self.path, self.who.uid, self.who.gid)

    def read(self, name):
        with open(self / name) as file:
            return file.read()

    def groups(self):
        found = []
        for top, dirs, _ in os.walk(self.path):
            found += [os.path.relpath(os.path.join(top, d), self.path) for d in dirs]
        return sorted(d for d in found if not d.endswith("mon_groups") and
                      not d.startswith("info"))


def created(case, tree, **members):
    """Create; returns the pid, which must be in every `tasks` that the call names."""
    case.linux["intelRdt"] = members
    case.create(["/probe", "exit", "0"], env=tree.env)
    return str(case.state()["pid"])


def resctrl_is_entered(mode, env=None):
    """Guards the row: the process is in the class."""
    with Case(mode, faults=True) as case:
        tree = Tree(case)
        tree.group("gold")
        tree.env.update(env or {})
        pid = created(case, tree, closID="gold")
        equal(tree.read("gold/tasks"), pid, "tasks")
        case.ok("delete", "--force", case.id(), env=tree.env)


@test(*MODES)
def class_that_is_there(mode):
    """Only closID: it must exist, and it stays."""
    need_bryo()
    with Case(mode, faults=True) as case:
        tree = Tree(case)
        tree.group("gold")
        pid = created(case, tree, closID="gold")
        equal(tree.read("gold/tasks"), pid, "tasks")
        equal(tree.read("gold/schemata"), SCHEMATA, "schemata are not touched")
        equal(tree.groups(), ["gold"], "groups")
        case.ok("delete", "--force", case.id(), env=tree.env)
        equal(tree.groups(), ["gold"], "groups after delete")


@test(*MODES)
def class_that_is_made(mode):
    """One that the configuration names stays, after delete and at the end of run."""
    need_bryo()
    with Case(mode, faults=True) as case:
        tree = Tree(case)
        pid = created(case, tree, closID="new", l3CacheSchema="L3:0=f;1=f0\nMB:0=10;1=10",
                      memBwSchema="MB:0=20;1=70")
        equal(tree.read("new/tasks"), pid, "tasks")
        equal(tree.read("new/schemata"), "L3:0=f;1=f0\nMB:0=20;1=70\n", "schemata")
        equal(tree.groups(), ["new"], "groups")
        case.ok("delete", "--force", case.id(), env=tree.env)
        equal(tree.groups(), ["new"], "groups after delete")
        case.linux["intelRdt"]["closID"] = "newer"
        case.run_ok(["/probe", "exit", "0"], env=tree.env)
        equal(tree.groups(), ["new", "newer"], "groups after run")


@test(*MODES)
def schemata_come_last(mode):
    """The second write begins where the first did, in a plain file."""
    need_bryo()
    with Case(mode, faults=True) as case:
        tree = Tree(case)
        created(case, tree, closID="new", l3CacheSchema="L3:0=f", memBwSchema="MB:0=20",
                schemata=["L2:0=3"])
        equal(tree.read("new/schemata"), "L2:0=3\nMB:0=20\n", "schemata")
        case.ok("delete", "--force", case.id(), env=tree.env)


@test(*MODES)
def class_of_the_container(mode):
    """Without closID it is named after the container."""
    need_bryo()
    with Case(mode, faults=True) as case:
        tree = Tree(case)
        pid = created(case, tree)
        equal(tree.groups(), [case.id()], "groups")
        equal(tree.read(case.id() + "/tasks"), pid, "tasks")
        equal(tree.read(case.id() + "/schemata"), "", "schemata are not touched")
        case.ok("delete", "--force", case.id(), env=tree.env)
        equal(tree.groups(), [], "groups after delete")


@test(*MODES)
def class_above_all(mode):
    need_bryo()
    with Case(mode, faults=True) as case:
        tree = Tree(case)
        pid = created(case, tree, closID="/", enableMonitoring=True)
        equal(tree.read("tasks"), pid, "tasks")
        equal(tree.read("mon_groups/%s/tasks" % case.id()), pid, "monitored tasks")
        case.ok("delete", "--force", case.id(), env=tree.env)
        check(os.path.exists(tree / "tasks"), "the mount itself was removed")
        equal(tree.groups(), [], "groups after delete")


@test(*MODES)
def monitoring_groups(mode):
    need_bryo()
    for members in ({"enableMonitoring": True}, {"enableCMT": True}, {"enableMBM": True}):
        with Case(mode, faults=True) as case:
            tree = Tree(case)
            tree.group("gold")
            pid = created(case, tree, closID="gold", **members)
            place = "gold/mon_groups/" + case.id()
            equal(tree.groups(), ["gold", place], "groups")
            equal(tree.read(place + "/tasks"), pid, "monitored tasks")
            equal(tree.read("gold/tasks"), pid, "tasks")
            case.ok("delete", "--force", case.id(), env=tree.env)
            equal(tree.groups(), ["gold"], "groups after delete")


@test(*MODES)
def who_enters_joins(mode):
    """And leaves nothing, and removes nothing."""
    need_bryo()
    with Case(mode, faults=True) as case:
        tree = Tree(case)
        case.linux["intelRdt"] = {"enableMonitoring": True}
        case.create(["/probe", "sleep", "60"], env=tree.env)
        case.ok("start", case.id())
        before = tree.groups()
        places = (case.id() + "/tasks", "%s/mon_groups/%s/tasks" % (case.id(), case.id()))
        first = [tree.read(place) for place in places]
        case.ok("exec", case.id(), "/probe", "exit", "0", env=tree.env)
        for place, old in zip(places, first):
            check(tree.read(place) != old, "%s has the first process only", place)
        case.fails("exec", case.id(), "/probe", "exit", "0",
                   env=dict(tree.env, BRYO_FAIL="user"))
        equal(tree.groups(), before, "groups")
        case.ok("delete", "--force", case.id(), env=tree.env)
        equal(tree.groups(), [], "groups after delete")


@test(*MODES)
def existing_class_is_compared(mode):
    """Values as the kernel writes them: blanks and leading zeros mean nothing."""
    need_bryo()
    good = ({"l3CacheSchema": "L3:0=7ff;1=7FF"}, {"l3CacheSchema": "L3:1=07ff"},
            {"memBwSchema": "MB:0=100;1=100"}, {"l3CacheSchema": "L3:0=7ff\nMB:0=7",
                                                "memBwSchema": "MB:1=100"})
    bad = ({"l3CacheSchema": "L3:0=7fe"}, {"l3CacheSchema": "L3:2=7ff"},
           {"l3CacheSchema": "L2:0=7ff"}, {"memBwSchema": "MB:0=10"},
           {"l3CacheSchema": "L3:0=7ff\nMB:0=7"}, {"l3CacheSchema": "nonsense"})
    for members in good + bad:
        with Case(mode, faults=True) as case:
            tree = Tree(case)
            tree.group("gold")
            case.linux["intelRdt"] = dict(members, closID="gold")
            result = case.run(["/probe", "exit", "0"], env=tree.env)
            equal(result.rc == 0, members in good, "%s: %s" % (members, result))
            if members in bad:
                contains(result.last_error(), "/linux/intelRdt/closID", "error")
                equal(len(result.err.splitlines()), 1, "lines")
            equal(tree.read("gold/schemata"), SCHEMATA, "schemata")
            equal(tree.groups(), ["gold"], "groups")


@test(*MODES)
def what_cannot_be_had(mode):
    """One line with the pointer, and nothing is left."""
    need_bryo()
    with Case(mode, faults=True) as case:
        tree = Tree(case, features="")
        tree.group(case.id())
        before = tree.groups()
        for members, pointer in (
                ({"closID": "missing"}, "/linux/intelRdt/closID"),
                ({}, "/linux/intelRdt"),
                ({"closID": "/", "enableMonitoring": True}, "/linux/intelRdt/enableMonitoring"),
                ({"closID": "/", "enableCMT": True}, "/linux/intelRdt/enableCMT"),
                ({"closID": "a/b"}, "/linux/intelRdt/closID"),
                ({"closID": ".."}, "/linux/intelRdt/closID"),
                ({"closID": "info"}, "/linux/intelRdt/closID"),
                ({"closID": "a", "memBwSchema": "L3:0=1"}, "/linux/intelRdt/memBwSchema"),
                ({"closID": "a", "memBwSchema": "MB:0=1\nMB:1=1"}, "/linux/intelRdt/memBwSchema"),
                ({"closID": "a", "schemata": ["L3:0=1", "a\nb"]}, "/linux/intelRdt/schemata/1")):
            case.linux["intelRdt"] = members
            result = case.run_fails(["/probe", "exit", "0"], env=tree.env)
            contains(result.last_error(), pointer, "error of %s" % members)
            equal(len(result.err.splitlines()), 1, "lines")
            equal(tree.groups(), before, "groups after %s" % members)


@test(*MODES)
def failure_leaves_no_group(mode):
    need_bryo()
    with Case(mode, faults=True) as case:
        tree = Tree(case)
        case.linux["intelRdt"] = {"closID": "new", "schemata": ["L3:0=1"], "enableMBM": True}
        case.run_fails(["/probe", "exit", "0"], env=dict(tree.env, BRYO_FAIL="rootfs"))
        equal(tree.groups(), [], "groups")
        # Killed: `delete` finds it.
        case.call("run", "-b", case.bundle.path, case.id(),
                  env=dict(tree.env, BRYO_KILL="rootfs"))
        equal(len(tree.groups()), 2, "groups of a killed bryo")
        case.ok("delete", "--force", case.id(), env=tree.env)
        equal(tree.groups(), [], "groups after delete")


@test("root", "rootless")
def no_resctrl(mode):
    """The host of the tests has none."""
    need_bryo()
    with open("/proc/self/mounts") as file:
        if " resctrl " in file.read():
            return
    with Case(mode) as case:
        case.linux["intelRdt"] = {"closID": "gold"}
        result = case.run_fails(["/probe", "exit", "0"])
        contains(result.last_error(), "/linux/intelRdt: no resctrl", "error")


@test(*MODES)
def class_of_others(mode):
    """validate --host writes no schemata to a class that is there, and makes none for good."""
    need_bryo()
    with Case(mode, faults=True) as case:
        tree = Tree(case)
        tree.group("gold")
        for name in ("gold", "/", "new"):
            case.linux["intelRdt"] = {"closID": name, "schemata": ["MB:0=20;1=70"]}
            case.save()
            said = case.ok("validate", "--host", case.bundle.path, env=tree.env)
            check(said.out.endswith("valid\n"), "%s", said)
        equal((tree.read("gold/schemata"), tree.read("schemata")), (SCHEMATA, SCHEMATA),
              "schemata")
        equal(tree.groups(), ["gold"], "groups")
