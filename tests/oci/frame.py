# SPDX-License-Identifier: Apache-2.0
"""Checks that prove requirements: their registration, and the container they work on.

A check is a function of a mode, decorated with the ids that it proves. What it
asserts in a block `with claim(id)` is that id's result alone; ids without a block
have the result of the whole function. It uses what the specification knows of, the
commands and what is seen from inside, so that any runtime can be its subject.
"""

import contextlib
import inspect
import json

from lib import check
from lib.case import Case, kind

MODES = ("root", "rootless")
PASS, FAIL, NONE = "pass", "FAIL", "n/a"
NO_ROOT = "needs root for what the test does to the host"

#: A row of the step table that is left out, to see that a check notices.
without = None


class Proof:
    def __init__(self, func, ids, modes, why):
        self.func = func
        self.ids = ids
        self.modes = modes
        self.why = why  # it is not for the other modes
        self.name = "%s: %s" % (func.__module__.rpartition(".")[2],
                                func.__name__.replace("_", " "))


class Reference:
    """What this host cannot show, and the tests that show it where they can."""

    def __init__(self, ids, reason, tests):
        self.ids = ids
        self.reason = reason
        self.tests = tests


PROOFS, REFERENCES = [], []


def proves(*ids, modes=MODES, why=NO_ROOT):
    def register(func):
        PROOFS.append(Proof(func, ids, modes, why))
        return func
    return register


def elsewhere(reason, tests, *ids):
    REFERENCES.append(Reference(ids, reason, tests))


# -- results --

def outcome(error):
    """(result, text) of what a check has raised, or None."""
    if error is None:
        return PASS, ""
    if isinstance(error, check.Skip):
        return NONE, check.one_line(error)
    where = check.place(error).splitlines()[-1:]
    text = str(error) if isinstance(error, check.Failed) else repr(error)
    if len(text) > 400:  # what was called, and what it said last
        text = text[:120] + " ... " + text[-260:]
    return FAIL, check.one_line("%s (%s)" % (text, "".join(where)))


def worse(one, other):
    order = (PASS, NONE, FAIL)
    return max(one, other, key=lambda result: order.index(result[0]))


_claims = None


@contextlib.contextmanager
def claim(*ids):
    """Only these ids depend on what is in the block; several blocks may claim one."""
    error = None
    try:
        yield
    except Exception as why:  # the other claims of the function go on
        error = why
    for id_ in ids:
        _claims[id_] = worse(_claims.get(id_, (PASS, "")), outcome(error))


def run_proof(proof, mode):
    """{id: (result, text)}"""
    global _claims
    _claims = {}
    error = None
    try:
        proof.func(mode)
    except Exception as why:  # any bug of a check is a failure of it
        error = why
    whole = outcome(error)
    unknown = sorted(set(_claims) - set(proof.ids))
    if unknown:
        whole = FAIL, "claims what it does not declare: %s" % unknown
    missing = [id_ for id_ in proof.ids if id_ not in _claims]
    if _claims and missing and whole[0] == PASS:
        whole = FAIL, "the check has not come to it"
    found = {id_: _claims.get(id_, whole) for id_ in proof.ids}
    if not missing and whole[0] == FAIL:  # afterwards, in clearing up
        found = {id_: worse(result, whole) for id_, result in found.items()}
    return found


# -- the container --

RAN = "the program has run"
DELETE = object()


class Box(Case):
    """A case whose configuration is set by "a.b.c", and reset."""

    def __enter__(self):
        super().__enter__()
        self.plain = json.dumps(self.config)
        if without:
            self.env["BRYO_SKIP"] = without
        return self

    def clean(self, what="afterwards"):
        # What a peer leaves is the matter of the checks that ask for it.
        if kind() != "bryo" and what == "afterwards":
            self.before.sweep()
        else:
            super().clean(what)

    def reset(self):
        self.bundle.config = json.loads(self.plain)

    def set(self, values):
        """{"process.user.uid": 5}; DELETE as a value deletes."""
        for path, value in values.items():
            at, names = self.config, path.split(".")
            for name in names[:-1]:
                at = at.setdefault(name, {})
            if value is DELETE:
                at.pop(names[-1], None)
            else:
                at[names[-1]] = value

    def accepts(self, values=(), **kwargs):
        """The program runs; what it says is returned."""
        self.reset()
        self.set(dict(values))
        result = self.run(["/probe", "echo", RAN], **kwargs)
        check.check(result.rc == 0 and RAN in result.out, "the valid counterpart: %s", result)
        return result

    def refuses(self, values=(), text=None, **kwargs):
        """An error, the program has not run, and there is no container."""
        self.reset()
        self.set(dict(values))
        self.process["args"] = ["/probe", "echo", RAN]
        if "process.args" in dict(values) or "process" in dict(values):
            self.set(dict(values))
        self.bundle.save(text)
        result = self.call("run", "-b", self.bundle.path, self.id(), **kwargs)
        what = str(dict(values) or text)[-200:]
        check.check(RAN not in result.out, "the program has run: %s", what)
        check.check(result.rc != 0, "no error: %s", what)
        check.check(self.call("state", self.id()).rc != 0, "a container is left: %s", what)
        return result

    def sees(self, values=(), args=("/probe", "facts"), **kwargs):
        """The probe's report, with the configuration so changed."""
        self.set(dict(values))
        return self.report(args, **kwargs)

    def started(self, args=("/probe", "sleep", "60"), suffix="c", **kwargs):
        """Its program runs: the pid."""
        self.create(list(args), suffix, **kwargs)
        self.ok("start", self.id(suffix))
        return self.state(suffix)["pid"]


def refuses(id_, good, *bad, modes=MODES, why=NO_ROOT):
    """Register a check: the good one is taken, each of the bad ones is an error."""
    def func(mode):
        with Box(mode) as box:
            box.accepts(good)
            for values in bad:
                box.refuses(values)
    func.__name__ = "refuses " + id_
    func.__module__ = _caller()
    proves(id_, modes=modes, why=why)(func)


def _caller():
    return inspect.currentframe().f_back.f_back.f_globals["__name__"]


def many_ids(mode):
    """For an ordinary user: with subordinate ids, and not only the one."""
    return "ranges" if mode == "rootless" else mode


def sees(mode, values=(), **kwargs):
    with Box(mode) as box:
        return box.sees(values, **kwargs)


def may_lack(why):
    """What the specification leaves to the runtime; bryo does it."""
    if kind() == "bryo":
        check.fail("%s", why)
    raise check.Skip(why)


def need_stand_in(what, is_there=False):
    """A case of the test build: a directory stands for what this host has not got."""
    if kind() != "bryo":
        raise check.Skip("the host has no %s" % what)
    if is_there:
        raise check.Skip("the host's own %s is in the way of the stand-in" % what)
