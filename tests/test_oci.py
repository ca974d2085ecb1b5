# SPDX-License-Identifier: Apache-2.0
"""The conformance suite itself: its list is complete, and its checks notice what is missing.

The suite is `make check-oci`; see tests/oci/run.
"""

import json
import os
import sys

from lib import proc, users
from lib.bundle import TOP
from lib.case import binary, need_bryo
from lib.check import Skip, check, contains, equal, test

#: A row of the step table, and a requirement that nothing else would fulfil.
GUARDS = {
    "masked-paths": "masked-paths", "readonly-paths": "readonly-paths",
    "readonly-root": "root.readonly", "hostname": "hostname", "domainname": "domainname",
    "sysctl": "sysctl", "mounts": "mounts.destination", "dev-links": "links.fd",
    "bounding-set": "process.capabilities.bounding", "capabilities": "process.capabilities.ambient",
    "no-new-privs": "process.no-new-privileges", "oom-score": "process.oom-score-adj",
    "user": "process.user.uid", "umask": "process.user.umask", "cwd": "process.cwd",
    "rlimits": "process.rlimits.soft", "personality": "personality.domain",
    "memory-policy": "memory-policy.mode", "scheduler": "process.scheduler.policy",
    "io-priority": "process.io-priority", "time-offsets": "time.monotonic",
    "net-devices": "net.available", "resctrl": "rdt.tasks",
    "apparmor": "process.apparmor", "selinux": "process.selinux", "limits": "resources.hugepages",
    "create-container": "hooks.create-container.called", "poststart": "hooks.poststart.called",
    "wait-start": "create.program", "idmapped-mounts": "mounts.idmap.mappings",
    "affinity": "process.exec-affinity.final",
}


def suite(*words):
    return proc.run([sys.executable, os.path.join(TOP, "tests/oci/run")] + list(words),
                    timeout=150, env=dict(os.environ, BRYO=binary(True), BRYO_TEST=binary(True)))


def results(id_, *words):
    """Of all checks that prove the id, in the mode root."""
    result = suite("--job", "root", "-k", id_, *words)
    check(result.rc == 0, "%s", result)
    return [found[1] for found in json.loads(result.out)[id_]]


@test()
def every_requirement_has_a_check():
    need_bryo()
    result = suite("-c")
    equal(result.rc, 0, "problems: " + result.out)
    contains(result.out, "ok - oci: requirements", "output")


@test(*GUARDS)
def checks_notice(row):
    """With all rows the check passes, without the one it fails."""
    need_bryo()
    users.identity("root")
    id_ = GUARDS[row]
    with_it = results(id_)
    if "n/a" in with_it:
        raise Skip("the host cannot show %s" % id_)
    equal(set(with_it), {"pass"}, id_)
    check("FAIL" in results(id_, "--without", row), "%s passes without the row", id_)
