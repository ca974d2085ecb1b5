# SPDX-License-Identifier: Apache-2.0
"""Who runs the runtime: root, and an unprivileged user with one or many ids."""

import os
import pwd
import shutil

from . import check, proc

USER = "bryotest"
RANGE = 65536
MODES = ("root", "userns", "rootless", "ranges")


class Identity:
    """A mode of running: the caller, and the id maps of the container.

    root      the caller is root, no user namespace
    userns    the caller is root, the container has a range of other ids
    rootless  an unprivileged caller, the one id
    ranges    an unprivileged caller with subordinate ids
    """

    def __init__(self, mode, uid, gid, name, maps):
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.name = name
        self.maps = maps  # [(container, host, size)] for uids, then for gids

    def __str__(self):
        return self.mode

    @property
    def privileged(self):
        return self.uid == 0

    @property
    def many_ids(self):
        return self.mode != "rootless"

    def host_uid(self, uid):
        """The id outside of an id of the container."""
        return self._outside(self.maps[0], uid) if self.maps else uid

    def host_gid(self, gid):
        return self._outside(self.maps[1], gid) if self.maps else gid

    @staticmethod
    def _outside(lines, ident):
        for inside, outside, size in lines:
            if inside <= ident < inside + size:
                return outside + ident - inside
        return None

    def popen(self):
        """Keyword arguments that make a child this user."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def _subids(path, user):
    """The first range of a user, by name or number."""
    names = (user.pw_name, str(user.pw_uid))
    try:
        with open(path) as file:
            for line in file:
                words = line.strip().split(":")
                if len(words) == 3 and words[0] in names:
                    return int(words[1]), int(words[2])
    except OSError:
        pass
    return None


def _make_user():
    """The test user, once per machine; only root gets here."""
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        made = proc.run(["useradd", "--no-create-home", "--home-dir", "/nonexistent",
                         "--shell", "/bin/sh", "--user-group", USER])
        check.check(made.rc == 0, "useradd: %s", made.err)
        user = pwd.getpwnam(USER)
    for path, option in (("/etc/subuid", "--add-subuids"), ("/etc/subgid", "--add-subgids")):
        if not _subids(path, user):
            first = 400000000
            proc.run(["usermod", option, "%d-%d" % (first, first + RANGE - 1), USER])
    return user


def _unprivileged():
    if os.geteuid() == 0:
        return _make_user()
    return pwd.getpwuid(os.geteuid())


_cache = {}


def identity(mode):
    """The identity of a mode; raises Skip with the reason."""
    if mode not in _cache:
        try:
            _cache[mode] = _identity(mode)
        except check.Skip as why:
            _cache[mode] = why
    if isinstance(_cache[mode], check.Skip):
        raise _cache[mode]
    return _cache[mode]


def _identity(mode):
    if mode in ("root", "userns"):
        if os.geteuid() != 0:
            raise check.Skip("needs root")
        maps = ([(0, 500000000, RANGE)],) * 2 if mode == "userns" else None
        return Identity(mode, 0, 0, "root", maps)
    user = _unprivileged()
    if mode == "rootless":
        maps = ([(0, user.pw_uid, 1)], [(0, user.pw_gid, 1)])
        return Identity(mode, user.pw_uid, user.pw_gid, user.pw_name, maps)
    uids, gids = _subids("/etc/subuid", user), _subids("/etc/subgid", user)
    if not uids or not gids:
        raise check.Skip("no subordinate ids for %s" % user.pw_name)
    if not shutil.which("newuidmap") or not shutil.which("newgidmap"):
        raise check.Skip("newuidmap or newgidmap is not installed")
    maps = ([(0, user.pw_uid, 1), (1,) + uids], [(0, user.pw_gid, 1), (1,) + gids])
    return Identity(mode, user.pw_uid, user.pw_gid, user.pw_name, maps)
