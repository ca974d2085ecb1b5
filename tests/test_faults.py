# SPDX-License-Identifier: Apache-2.0
"""The fault sweep: every row fails, and the runtime is killed at every row.

BRYO_FAIL=ROW makes the row fail with EIO and the text "injected"; BRYO_KILL=ROW
kills the host process when the row is about to run on either side.  After an
error nothing may be left; after a kill one `delete --force` clears everything.
"""

import signal

from lib.case import Case
from lib.check import Skip, check, contains, equal, test, wait_until
from lib.steps import try_rows
from lib.view import rich

MODES = ("root", "userns", "rootless", "ranges")
MARK = "payload-ran"
#: Rows whose failure is only a warning (the column `soft` of the table).
SOFT = ()
#: Rows that have something to do only with configs which the sweep has not.
UNUSED = {"terminal", "netdev", "overlay", "label-choose", "exec-label", "join",
          "idmapped-mounts", "overlay-claim", "overlay-owner", "foreign-layers", "idmapped-layers",
          "layers"}  # those of overlays: test_overlay.py


def prepare(case):
    """Every row has work; the payload says that it ran."""
    rich(case)
    case.process["noNewPrivileges"] = True
    case.process["args"] = ["/probe", "echo", MARK]
    if any(row.name == "prestart" for row in try_rows()):
        case.config["hooks"] = {name: [{"path": "/bin/true"}] for name in (
            "prestart", "createRuntime", "createContainer", "startContainer",
            "poststart", "poststop")}


def prepare_early(case):
    prepare(case)
    case.process["noNewPrivileges"] = False


PLANS = {"early-filter": prepare_early}


def plan(case, row):
    PLANS.get(row.name, prepare)(case)


def is_planned(case, row):
    """What `steps BUNDLE` says; it prints the rows that the config wants."""
    case.save()
    result = case.call("steps", case.bundle.path)
    if result.rc != 0:
        return False
    return row.name in [line.split("\t")[0] for line in result.out.splitlines()]


def said_injected(result, row):
    """The error is one line and names the row."""
    last = result.last_error()
    contains(last, "injected", "last line of the error")
    contains(last, row.name, "last line of the error")


def fail_run(mode, row):
    """False if the row has nothing to do here."""
    with Case(mode, faults=True) as case:
        plan(case, row)
        result = case.run(None, env={"BRYO_FAIL": row.name})
        check(result.rc >= 0, "the runtime died: %s", result)
        if result.rc == 0 and "injected" not in result.err:
            contains(result.out, MARK, "output of an undisturbed run")
            check(not is_planned(case, row), "the failure was not noticed: %s", result)
            return False
        if row.name in SOFT:
            equal(result.rc, 0, "exit status with a soft row")
            return True
        check(result.rc != 0, "the failure was ignored: %s", result)
        said_injected(result, row)
        if row.side == "BOX" or row.name not in ("record", "exec", "poststart"):
            check(MARK not in result.out, "the payload ran: %s", result)
    return True


def fail_create(mode, row):
    with Case(mode, faults=True) as case:
        plan(case, row)
        hook = {"BRYO_FAIL": row.name}
        result = case.create(None, expect=False, env=hook)
        check(result.rc >= 0, "the runtime died: %s", result)
        if result.rc != 0:
            said_injected(result, row)
            case.clean("after a failed create")
            case.create(None)  # the same id is free at once
            case.delete()
            return
        # The row belongs to `start`, if to anything; the box has the hook's
        # environment from `create`, the host side needs it again.
        case.call("start", case.id(), env=hook)
        wait_until(lambda: case.state()["status"] == "stopped", what="end of the payload")
        case.delete()


def kill_run(mode, row):
    with Case(mode, faults=True) as case:
        plan(case, row)
        result = case.run(None, env={"BRYO_KILL": row.name})
        if result.rc == 0:
            check(not is_planned(case, row), "the runtime was not killed: %s", result)
            return False
        equal(result.rc, -signal.SIGKILL, "exit status")
        recover(case)
    return True


def recover(case):
    """After a kill: `list` works, one delete clears, the id can be used."""
    case.ok("list")
    state = case.call("state", case.id())
    check(state.rc >= 0, "%s", state)
    case.delete()
    case.clean("after delete --force")
    case.run_ok(["/probe", "echo", "again"])


def kill_create(mode, row):
    with Case(mode, faults=True) as case:
        plan(case, row)
        hook = {"BRYO_KILL": row.name}
        result = case.create(None, expect=False, env=hook)
        if result.rc == 0:
            # The row belongs to `start`, if to anything; the box has the hook's
            # environment from `create`, and may have no host to kill.
            result = case.call("start", case.id(), env=hook)
            if result.rc == 0:
                wait_until(lambda: case.state()["status"] == "stopped", what="end")
            case.delete()
            return
        equal(result.rc, -signal.SIGKILL, "exit status")
        recover(case)


def kill_delete(mode):
    """Killed in the middle of `delete`: the next one finishes the work."""
    done = 0
    for row in reversed(try_rows()):
        with Case(mode, faults=True) as case:
            prepare(case)
            case.create(None)
            result = case.call("delete", "--force", case.id(), env={"BRYO_KILL": row.name})
            done += result.rc == -signal.SIGKILL
            case.delete()
    return done


ACTIONS = {"fail run": fail_run, "fail create": fail_create,
           "kill run": kill_run, "kill create": kill_create}


def register(action, row):
    def func(mode):
        if row.name in UNUSED:
            raise Skip("nothing to do for this row in the sweep")
        if ACTIONS[action](mode, row) is False:
            raise Skip("the row has nothing to do in this mode")
    func.__module__ = __name__
    test(*MODES, name="%s at %s" % (action, row))(func)


for _action in ACTIONS:
    for _row in try_rows():
        register(_action, _row)


@test(*MODES)
def kill_during_delete(mode):
    if not try_rows():
        raise Skip("build/bryo-test is not built")
    kill_delete(mode)
