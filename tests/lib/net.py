# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of our own, as the host of a runtime."""

import json
import os
import re

from . import check, proc

CLONE_NEWNET = 0x40000000


def _setns(fd):
    if proc.LIBC.setns(fd, CLONE_NEWNET) != 0:
        raise OSError("setns")


class Net:
    """with Net() as net: net.ip("link", "add", ...); net.options() for Case.run()."""

    def __enter__(self):
        if os.geteuid() != 0:
            raise check.Skip("needs root")
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        if proc.LIBC.unshare(CLONE_NEWNET) != 0:
            raise check.Skip("no network namespaces")
        self.fd = os.open("/proc/self/ns/net", os.O_RDONLY)
        _setns(own)
        os.close(own)
        return self

    def __exit__(self, *error):
        os.close(self.fd)

    def options(self):
        return {"preexec_fn": lambda: _setns(self.fd)}

    def path(self):
        return "/proc/%d/fd/%d" % (os.getpid(), self.fd)

    def run(self, *words):
        return proc.run(list(words), **self.options())

    def ip(self, *words):
        result = self.run("ip", *words)
        check.check(result.rc == 0, "%s", result)
        return result.out

    def add(self, name, kind, *words):
        """A link of a kind that this kernel may not have."""
        result = self.run("ip", "link", "add", "name", name, "type", kind, *words)
        if "not supported" in result.err or "Unknown device type" in result.err:
            raise check.Skip("this kernel has no %s links" % kind)
        check.check(result.rc == 0, "%s", result)

    def links(self):
        return sorted(link["ifname"] for link in json.loads(self.ip("-j", "link")))

    def addresses(self, name):
        """{address/prefix} of global scope, and whether the link is up."""
        link = json.loads(self.ip("-j", "addr", "show", "dev", name))[0]
        return ({"%s/%d" % (a["local"], a["prefixlen"]) for a in link["addr_info"]
                 if a["scope"] == "global"}, "UP" in link["flags"])


def parse(text):
    """{name: (up, mtu, mac, {address/prefix})} of what busybox's `ip addr` says."""
    found = {}
    for part in re.split(r"^\d+: ", text, flags=re.M)[1:]:
        name = re.match(r"[^:@]+", part).group(0)
        mac = re.search(r"link/ether (\S+)", part)
        found[name] = ("UP" in re.search(r"<(.*?)>", part).group(1).split(","),
                       int(re.search(r"mtu (\d+)", part).group(1)), mac and mac.group(1),
                       set(re.findall(r"inet6? (\S+).* scope global", part)))
    return found
