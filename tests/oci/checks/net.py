# SPDX-License-Identifier: Apache-2.0
"""linux.netDevices: devices of a host of our own."""

from lib.bundle import drop_namespace
from lib.case import need_busybox
from lib.check import check, equal
from lib.net import Net, parse
from oci.frame import Box, claim, proves
from test_netdev import ADDRESSES, MAC, veth

WHY = "network devices are moved by root alone"
IP = ["/bin/busybox", "ip", "addr"]


def inside(box, net, devices):
    box.linux["netDevices"] = devices
    return parse(box.run_ok(IP, **net.options()).out)


@proves("net.available", "net.up", "net.attributes", "net.addresses", "net.name", "net.template",
        modes=("root",), why=WHY)
def devices(mode):
    need_busybox()
    with Net() as net, Box(mode) as box:
        veth(net)
        found = inside(box, net, {"v0": {}})
        with claim("net.available"):
            check("v0" in found, "devices: %s", found)
            check("v0" not in net.links(), "it is on the host, too")
        with claim("net.up"):
            equal(found["v0"][0], True, "up")
        with claim("net.attributes"):
            equal(found["v0"][1:3], (1400, MAC), "MTU, address")
        with claim("net.addresses"):
            equal(found["v0"][3], ADDRESSES, "addresses")
    with Net() as net, Box(mode) as box:
        veth(net)
        with claim("net.name"):
            found = inside(box, net, {"v0": {"name": "net0"}})
            equal(found["net0"][2:], (MAC, ADDRESSES), "address, addresses")
    with Net() as net, Box(mode) as box:
        for name in ("v0", "w0"):
            net.add(name, "veth", "peer", "name", name + "p")
        with claim("net.template"):
            found = inside(box, net, {"v0": {"name": "eth%d"}, "w0": {"name": "eth%d"}})
            equal(sorted(found), ["eth0", "eth1", "lo"], "devices")


@proves("net.possible", "net.taken", modes=("root",), why=WHY)
def devices_that_cannot_be_moved(mode):
    with Net() as net, Net() as pod, Box(mode) as box:
        veth(net)
        pod.add("net0", "ifb")
        before = net.links(), net.addresses("v0")
        drop_namespace(box.config, "network")
        box.linux["namespaces"].append({"type": "network", "path": pod.path()})
        for id_, devices_ in (("net.possible", {"missing": {}}), ("net.possible", {"lo": {"name": "x"}}),
                              ("net.taken", {"v0": {"name": "net0"}}),
                              ("net.taken", {"v0": {"name": "lo"}})):
            with claim(id_):
                config = dict(box.linux, netDevices=devices_)
                box.refuses({"linux": config}, **net.options())
                equal((net.links(), net.addresses("v0")), before, "the host's devices")
        with claim("net.taken"):
            box.accepts({"linux": dict(box.linux, netDevices={"v0": {"name": "net1"}})},
                        **net.options())
            check("net1" in pod.links(), "the valid counterpart")


@proves("net.possible", modes=("rootless",), why="root can")
def no_right_to_move(mode):
    with Box(mode) as box:
        box.accepts()
        box.refuses({"linux.netDevices": {"lo": {"name": "lo1"}}})


@proves("net.unmanaged", "net.not-back", modes=("root",), why=WHY)
def devices_afterwards(mode):
    with Net() as net, Net() as pod, Box(mode) as box:
        veth(net)
        drop_namespace(box.config, "network")
        box.linux["namespaces"].append({"type": "network", "path": pod.path()})
        box.linux["netDevices"] = {"v0": {"name": "net1"}}
        box.create(["/probe", "sleep", "60"], **net.options())
        check("net1" in pod.links(), "it was not moved: %s", pod.links())
        pod.ip("link", "set", "dev", "net1", "down", "mtu", "1300")
        with claim("net.unmanaged"):
            box.ok("start", box.id(), **net.options())
            box.ok("exec", box.id(), "/probe", "exit", "0", **net.options())
            equal(pod.addresses("net1")[1], False, "it is up again")
            check("mtu 1300" in pod.ip("link", "show", "dev", "net1"), "its MTU")
        with claim("net.not-back"):
            box.ok("delete", "--force", box.id(), **net.options())
            equal((pod.links(), net.links()), (["lo", "net1"], ["lo", "v0p"]), "pod and host")
