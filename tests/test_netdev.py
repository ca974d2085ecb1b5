# SPDX-License-Identifier: Apache-2.0
"""linux.netDevices: devices of a host of our own, seen from the inside."""

import os

from lib.bundle import drop_namespace
from lib.case import Case, need_bryo, need_busybox
from lib.check import check, contains, equal, test, wait_until
from lib.net import Net, parse

MODES = ("root", "userns")
MAC = "02:00:00:00:00:07"
ADDRESSES = {"10.1.2.3/24", "10.1.2.4/24", "10.9.9.9/32", "fd00::7/64", "fd00::8/128"}


def veth(net, name="v0"):
    """One end has all kinds of addresses."""
    net.add(name, "veth", "peer", "name", name + "p")
    net.ip("link", "set", "dev", name, "address", MAC, "mtu", "1400")
    net.ip("link", "set", "dev", name, "up")
    net.ip("link", "set", "dev", name + "p", "up")
    for address in sorted(ADDRESSES):
        net.ip("addr", "add", address, "dev", name)
    net.ip("addr", "add", "10.7.7.7/24", "dev", name, "valid_lft", "1000", "preferred_lft", "1000")
    net.ip("addr", "add", "fd00::9/64", "dev", name, "valid_lft", "1000", "preferred_lft", "1000")
    net.ip("addr", "add", "10.8.8.8/24", "dev", name, "scope", "link")


def inside(case, net, **kwargs):
    """What the container says of its devices."""
    need_busybox()
    result = case.run_ok(["/bin/busybox", "ip", "addr"], **dict(net.options(), **kwargs))
    return parse(result.out)


def moves_a_device(mode, env=None):
    """Guards the row: the device is inside."""
    with Net() as net, Case(mode, faults=True) as case:
        net.add("v0", "veth", "peer", "name", "v1")
        case.linux["netDevices"] = {"v0": {}}
        report = case.report(env=env or {}, **net.options())
        check("v0" in report["network"], "no v0: %s", report["network"])


@test(*MODES)
def device_is_moved(mode):
    """Row net-devices: up, with its attributes and its permanent global addresses."""
    need_bryo()
    with Net() as net, Case(mode) as case:
        veth(net)
        case.linux["netDevices"] = {"v0": {}}
        up, mtu, mac, addresses = inside(case, net)["v0"]
        equal((up, mtu, mac), (True, 1400, MAC), "up, mtu, address")
        equal(addresses, ADDRESSES, "addresses")
        # Its namespace, and with it the peer, is taken down in the background.
        wait_until(lambda: net.links() == ["lo"], what="the end of the peer")


@test(*MODES)
def device_is_renamed(mode):
    """Also to a name that the host has, and to a template; a sysctl finds it."""
    need_bryo()
    with Net() as net, Case(mode) as case:
        veth(net)
        net.ip("link", "add", "link", "v0p", "name", "m0", "type", "macvlan")
        net.add("eth7", "ifb")
        net.add("eth8", "ifb")
        case.linux["netDevices"] = {"v0": {"name": "v0p"}, "m0": {"name": "net0"},
                                    "eth7": {"name": "eth%d"}, "eth8": {"name": "eth%d"}}
        case.linux["sysctl"] = {"net.ipv4.conf.net0.forwarding": "1"}
        found = inside(case, net)
        equal(sorted(found), ["eth0", "eth1", "lo", "net0", "v0p"], "links")
        equal(found["v0p"][3], ADDRESSES, "addresses")
        check(all(found[name][0] for name in found), "links that are down: %s", found)


@test(*MODES)
def labels_follow_the_name(mode):
    need_bryo()
    with Net() as net, Case(mode) as case:
        net.add("v0", "veth", "peer", "name", "v1")
        net.ip("addr", "add", "10.1.1.1/24", "dev", "v0", "label", "v0:one")
        case.linux["netDevices"] = {"v0": {"name": "net0"}}
        need_busybox()
        result = case.run_ok(["/bin/busybox", "ip", "addr"], **net.options())
        contains(result.out, "net0:one", "label")


@test(*MODES)
def device_of_a_created_container(mode):
    """It is there after create, and ends with the container's namespace."""
    need_bryo()
    with Net() as net, Case(mode) as case:
        veth(net)
        case.linux["netDevices"] = {"v0": {}}
        case.create(["/probe", "exit", "0"], **net.options())
        equal(net.links(), ["lo", "v0p"], "links of the host after create")
        case.delete()
        wait_until(lambda: net.links() == ["lo"], what="the end of the peer")


@test("root")
def namespace_that_is_joined(mode):
    """The device stays there when the container has ended."""
    need_bryo()
    with Net() as net, Net() as pod, Case(mode) as case:
        veth(net)
        pod.add("net0", "ifb")
        drop_namespace(case.config, "network")
        case.linux["namespaces"].append({"type": "network", "path": pod.path()})
        case.linux["netDevices"] = {"v0": {"name": "net0"}}
        line = case.run_fails(["/probe", "exit", "0"], **net.options()).last_error()
        contains(line, "/linux/netDevices/v0/name", "a name that is taken")
        equal(net.addresses("v0")[1], True, "v0 is up as it was")
        case.linux["netDevices"] = {"v0": {"name": "net1"}}
        case.run_ok(["/probe", "exit", "0"], **net.options())
        addresses, up = pod.addresses("net1")
        equal((addresses, up), (ADDRESSES, True), "addresses and state in the pod")
        equal(net.links(), ["lo", "v0p"], "links of the host")


@test(*MODES)
def failure_brings_them_back(mode):
    """Undo: names, addresses and state as they were."""
    need_bryo()
    with Net() as net, Case(mode, faults=True) as case:
        veth(net)
        net.add("down", "ifb")
        case.linux["netDevices"] = {"v0": {"name": "net0"}, "down": {}}
        before = net.links()
        for row in ("identify", "rootfs", "record", "exec"):
            env = {"BRYO_FAIL": row}
            result = case.run_fails(["/probe", "exit", "0"], env=env, **net.options())
            equal(len(result.err.splitlines()), 1, "lines of %r" % result.err)
            equal(net.links(), before, "links of the host: %s" % env)
            addresses, up = net.addresses("v0")
            equal((addresses, up), (ADDRESSES, True), "addresses and state: %s" % env)
            equal(net.addresses("down"), (set(), False), "the link that was down: %s" % env)


@test(*MODES)
def what_cannot_be_moved(mode):
    """One line with the pointer; what was moved before comes back."""
    need_bryo()
    with Net() as net, Case(mode) as case:
        veth(net)
        before = net.links()
        for devices, pointer in (
                ({"v0": {}, "missing": {}}, "/linux/netDevices/missing"),
                ({"v0": {"name": "lo"}}, "/linux/netDevices/v0/name"),
                ({"v0": {}, "lo": {"name": "lo1"}}, "/linux/netDevices/lo"),
                ({"v0": {"name": "a b"}}, "/linux/netDevices/v0"),
                ({"v0": {"name": "%d%d"}}, "/linux/netDevices/v0"),
                ({"v0": {"name": "a%s"}}, "/linux/netDevices/v0"),
                ({"v0": {"name": ".."}}, "/linux/netDevices/v0"),
                ({"v0": {"name": "x" * 16}}, "/linux/netDevices/v0/name"),
                ({"a/b": {}}, "/linux/netDevices/a~1b"),
                ({"x" * 16: {}}, "/linux/netDevices/" + "x" * 16),
                ({"v0": {}, "v0p": {"name": "v0"}}, "/linux/netDevices/v0p")):
            case.linux["netDevices"] = devices
            result = case.run_fails(["/probe", "exit", "0"], **net.options())
            equal(len(result.err.splitlines()), 1, "lines of %r" % result.err)
            contains(result.last_error(), pointer + ":", "error of %s" % devices)
            equal(net.links(), before, "links after %s" % devices)
            equal(net.addresses("v0"), (ADDRESSES, True), "v0 after %s" % devices)


@test("root")
def no_namespace_of_its_own(mode):
    need_bryo()
    with Net() as net, Case(mode) as case:
        net.add("v0", "veth", "peer", "name", "v1")
        drop_namespace(case.config, "network")
        case.config["mounts"] = [m for m in case.config["mounts"] if m["destination"] != "/sys"]
        case.linux["netDevices"] = {"v0": {}}
        line = case.run_fails(["/probe", "exit", "0"], **net.options()).last_error()
        contains(line, "/linux/netDevices: needs a network namespace", "error")


@test("rootless", "ranges")
def moving_needs_privilege(mode):
    need_bryo()
    with Case(mode) as case:
        case.linux["netDevices"] = {"lo": {"name": "lo1"}}
        line = case.run_fails(["/probe", "exit", "0"]).last_error()
        contains(line, "/linux/netDevices", "error")
        contains(line, "CAP_NET_ADMIN", "hint")
        check(os.path.exists("/sys/class/net/lo"), "lo is gone")
