# SPDX-License-Identifier: Apache-2.0
"""The files of the tree, and how a check tells its findings."""

import os
import shutil
import subprocess

from lib import check

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NOT_OURS = {".git", "build", "__pycache__"}


def git(*words):
    """What git prints, or None when this is not a checkout."""
    # Root may look after a checkout of somebody else's.
    argv = ["git", "-c", "safe.directory=" + TOP, "-C", TOP] + list(words)
    if not shutil.which("git") or not os.path.exists(os.path.join(TOP, ".git")):
        return None
    result = subprocess.run(argv, capture_output=True, text=True)
    check.check(result.returncode == 0, "git: %s", result.stderr)
    return result.stdout


def files():
    """Everything that is in the tree or will be, relative to its top."""
    said = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if said is not None:
        found = said.split("\0")
    else:
        found = []
        for top, dirs, names in os.walk(TOP):
            dirs[:] = [name for name in dirs if name not in NOT_OURS]
            found += [os.path.relpath(os.path.join(top, name), TOP) for name in names]
    return sorted({name for name in found if os.path.isfile(os.path.join(TOP, name))})


def c_files():
    return [name for name in files() if name.endswith((".c", ".h"))]


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as file:
        return file.read()


def tell(counts, name, findings):
    """One result; each finding is `file:line: what`."""
    if findings:
        why = findings[0] if len(findings) == 1 else "%d places" % len(findings)
        counts.not_ok(name, why, "\n".join(findings[:50]))
    else:
        counts.ok(name)


def need(program, package):
    """A tool that is absent is a failure: this is asked for by name."""
    path = shutil.which(program)
    check.check(path, "%s is not installed (sh tests/deps.sh lint; Debian: %s)", program, package)
    return path


def in_parallel(commands):
    """Run them, as many at a time as there are processors; [(code, output)]."""
    results, running = [], []
    commands = list(commands)
    width = len(os.sched_getaffinity(0))
    while commands or running:
        while commands and len(running) < width:
            running.append(subprocess.Popen(commands.pop(0), cwd=TOP, text=True,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT))
        child = running.pop(0)
        out = child.communicate()[0]
        results.append((child.returncode, out))
    return results
