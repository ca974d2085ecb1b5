# SPDX-License-Identifier: Apache-2.0
"""Do the tests of confinement detect anything?

For every row that runs in the box: leave it out (BRYO_SKIP, in the build with
the test hook) and run the checks that guard it.  A row whose absence no check
notices is a failure here, and so is a row without a check.
"""

from lib import users
from lib.check import Failed, Skip, check, fail, test
from lib.steps import rows, try_rows
from lib.view import make_view
from test_confinement import GUARDS

#: Rows that set no property which the probe could see.
NO_PROPERTY = {
    "terminal": "needs a console socket: see test_lifecycle.py",
    "notify": "only tells the host",
    "ready": "only tells the host",
    "wait-start": "only waits for the host",
}
#: (row, mode) where the property holds anyway, and why.
HOLDS_ANYWAY = {
    ("user", "rootless"): "the only id is the caller's already",
    ("propagation", "rootless"): "a new user namespace makes copies slaves",
}


def guards_of(row, mode):
    """{view name: [check]} for the row in the mode."""
    found = {}
    for name, view_name, func, modes in GUARDS:
        if name == row and mode in modes:
            found.setdefault(view_name, []).append(func)
    return found


_undisturbed = {}


def undisturbed(mode, view_name):
    """The view with every row in place: a check that fails here proves nothing."""
    key = mode, view_name
    if key not in _undisturbed:
        _undisturbed[key] = make_view(mode, view_name, faults=True)
    return _undisturbed[key]


def detects(row, mode):
    """How the absence is noticed, or None."""
    for view_name, funcs in guards_of(row, mode).items():
        for func in funcs:
            func(undisturbed(mode, view_name))
        try:
            view = make_view(mode, view_name, env={"BRYO_SKIP": row}, faults=True)
        except Failed as why:
            return "the run fails: %s" % why
        for func in funcs:
            try:
                func(view)
            except (Failed, KeyError, TypeError, AttributeError) as why:
                # A property that is absent from the report is noticed too.
                return "%s: %s" % (func.__name__, why)
    return None


def guard(row):
    if row.name in NO_PROPERTY or row.name.startswith("hook"):
        raise Skip(NO_PROPERTY.get(row.name, "hooks have tests of their own"))
    tried, blind = [], []
    for mode in users.MODES:
        try:
            users.identity(mode)
        except Skip:
            continue
        if not guards_of(row.name, mode) or (row.name, mode) in HOLDS_ANYWAY:
            continue
        tried.append(mode)
        if detects(row.name, mode) is None:
            blind.append(mode)
    check(tried, "no check guards the row %s", row.name)
    check(not blind, "the row %s can be left out unnoticed in %s", row.name, ", ".join(blind))


def register(row):
    def func():
        guard(row)
    func.__module__ = __name__
    test(name="row %s is guarded" % row)(func)


for _row in try_rows():
    if _row.side == "BOX":
        register(_row)


@test()
def hook_works():
    """An unknown row must not pass silently as "skipped"."""
    names = [row.name for row in rows()]
    check(len(names) == len(set(names)), "two rows have one name: %s", names)
    unknown = {row for row, _, _, _ in GUARDS if row not in names}
    # Guards may name rows under a name that the table does not use.
    if unknown:
        fail("checks guard rows that are not in the table: %s", ", ".join(sorted(unknown)))
