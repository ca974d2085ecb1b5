# SPDX-License-Identifier: Apache-2.0
"""Intel RDT, against a directory that looks like resctrl."""

import os

from lib.check import Skip, check, equal
from oci.frame import Box, claim, need_stand_in, proves
from test_resctrl import SCHEMATA, Tree

LINE = "L3:0=f;1=f0"


def has_resctrl():
    with open("/proc/self/mounts") as file:
        return " resctrl " in file.read()


class Rdt(Box):
    """A case with the stand-in, which has the class "gold"."""

    def __enter__(self):
        need_stand_in("resctrl")
        super().__enter__()
        self.tree = Tree(self)
        self.tree.group("gold")
        return self

    def made(self, **members):
        """Create with these; the pid."""
        self.reset()
        self.linux["intelRdt"] = members
        self.create(["/probe", "exit", "0"], env=self.tree.env)
        return str(self.state()["pid"])

    def ended(self):
        self.ok("delete", "--force", self.id(), env=self.tree.env)

    def not_taken(self, **members):
        before = self.tree.groups(), self.tree.read("gold/schemata")
        self.refuses({"linux.intelRdt": members}, env=self.tree.env)
        equal((self.tree.groups(), self.tree.read("gold/schemata")), before, "resctrl")


def rdt(mode):
    return Rdt(mode, faults=True)


@proves("rdt.no-resctrl")
def no_resctrl(mode):
    if has_resctrl():
        raise Skip("the host has resctrl")
    with Box(mode) as box:
        box.accepts()
        for members in ({"closID": "gold"}, {"closID": "/"}):
            box.refuses({"linux.intelRdt": members})


@proves("rdt.unset")
def nothing_asked_for(mode):
    with rdt(mode) as box:
        before = box.tree.groups(), box.tree.read("tasks"), box.tree.read("gold/schemata")
        box.accepts(env=box.tree.env)
        after = box.tree.groups(), box.tree.read("tasks"), box.tree.read("gold/schemata")
        equal(after, before, "resctrl")


@proves("rdt.tasks", "rdt.class.only", "rdt.class.missing", "rdt.no-schemata", "rdt.class.kept")
def class_that_is_there(mode):
    with rdt(mode) as box:
        pid = box.made(closID="gold")
        with claim("rdt.tasks", "rdt.class.only"):
            equal(box.tree.read("gold/tasks"), pid, "tasks")
        with claim("rdt.no-schemata"):
            equal(box.tree.read("gold/schemata"), SCHEMATA, "schemata")
        box.ended()
        with claim("rdt.class.kept"):
            equal(box.tree.groups(), ["gold"], "classes after delete")
            # Made by the runtime, but by a name of its maker's.
            box.made(closID="new", l3CacheSchema=LINE)
            box.ended()
            equal(box.tree.groups(), ["gold", "new"], "classes after delete")
        with claim("rdt.class.missing"):
            box.not_taken(closID="missing")


@proves("rdt.default-class")
def class_of_the_root(mode):
    with rdt(mode) as box:
        pid = box.made(closID="/")
        equal(box.tree.read("tasks"), pid, "tasks")
        box.ended()
        check(os.path.exists(box.tree / "tasks"), "the root is gone")


@proves("rdt.class.id", "rdt.class.removed", "rdt.tasks", "rdt.no-schemata")
def class_of_the_container(mode):
    with rdt(mode) as box:
        pid = box.made()
        with claim("rdt.class.id"):
            equal(box.tree.groups(), sorted([box.id(), "gold"]), "classes")
        with claim("rdt.tasks"):
            equal(box.tree.read(box.id() + "/tasks"), pid, "tasks")
        with claim("rdt.no-schemata"):
            equal(box.tree.read(box.id() + "/schemata"), "", "schemata")
        box.ended()
        with claim("rdt.class.removed"):
            equal(box.tree.groups(), ["gold"], "classes after delete")


@proves("rdt.class.made", "rdt.l3-and-mb", "rdt.l3-or-mb", "rdt.schemata", "rdt.schemata.last")
def schemata(mode):
    """A plain file keeps what was written last, from its beginning."""
    for id_, members, text in (
            ("rdt.l3-or-mb", {"l3CacheSchema": LINE}, LINE + "\n"),
            ("rdt.l3-or-mb", {"memBwSchema": "MB:0=20;1=70"}, "MB:0=20;1=70\n"),
            ("rdt.l3-and-mb", {"l3CacheSchema": LINE, "memBwSchema": "MB:0=20;1=70"},
             LINE + "\nMB:0=20;1=70\n"),
            ("rdt.schemata", {"schemata": [LINE, "MB:0=9"]}, LINE + "\nMB:0=9\n"),
            ("rdt.schemata.last", {"l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20",
                                   "schemata": ["L2:0=3"]}, "L2:0=3\nMB:0=20\n")):
        with rdt(mode) as box:
            pid = box.made(closID="new", **members)
            with claim("rdt.class.made"):
                check("new" in box.tree.groups(), "no class: %s", box.tree.groups())
                equal(box.tree.read("new/tasks"), pid, "tasks")
            with claim(id_):
                equal(box.tree.read("new/schemata"), text, "schemata")
            box.ended()


@proves("rdt.class.compared", "rdt.l3.syntax", "rdt.mb.syntax", "rdt.schemata.syntax")
def what_is_refused(mode):
    with rdt(mode) as box:
        with claim("rdt.class.compared"):
            box.made(closID="gold", l3CacheSchema="L3:0=7ff;1=7ff", memBwSchema="MB:0=100")
            box.ended()
            for members in ({"l3CacheSchema": "L3:0=7fe"}, {"memBwSchema": "MB:0=10"},
                            {"l3CacheSchema": "L3:0=7ff", "memBwSchema": "MB:0=10"}):
                box.not_taken(closID="gold", **members)
        with claim("rdt.mb.syntax"):
            for text in ("L3:0=1", "0=20", "MB:0=1\nMB:1=1"):
                box.not_taken(closID="new", memBwSchema=text)
        with claim("rdt.l3.syntax"):
            # A rule for who writes the configuration: what starts so is taken.
            box.made(closID="l3", l3CacheSchema="L3:0=1")
            box.ended()
        with claim("rdt.schemata.syntax"):
            box.not_taken(closID="new", schemata=["L3:0=1\nMB:0=1"])


@proves("rdt.monitoring.made", "rdt.monitoring.id", "rdt.monitoring.removed",
        "rdt.monitoring.failure")
def monitoring(mode):
    with rdt(mode) as box:
        pid = box.made(closID="gold", enableMonitoring=True)
        group = "gold/mon_groups/" + box.id()
        with claim("rdt.monitoring.made"):
            equal(box.tree.read(group + "/tasks"), pid, "tasks")
        with claim("rdt.monitoring.id"):
            equal(box.tree.groups(), ["gold", group], "groups")
        box.ended()
        with claim("rdt.monitoring.removed"):
            equal(box.tree.groups(), ["gold"], "groups after delete")
        with claim("rdt.monitoring.failure"):
            os.makedirs(box.tree / group)
            box.not_taken(closID="gold", enableMonitoring=True)
            os.rmdir(box.tree / group)
