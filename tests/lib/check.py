# SPDX-License-Identifier: Apache-2.0
"""The test framework: a decorator, checks, and one line of output per test."""

import sys
import time
import traceback


class Skip(Exception):
    """The test cannot run here; the text says why."""


class Failed(AssertionError):
    """A check did not hold."""


class Test:
    def __init__(self, name, func, args, doc):
        self.name = name
        self.func = func
        self.args = args
        self.doc = doc


TESTS = []


def test(*params, name=None):
    """Register a test, once per parameter.

    @test() calls func(); @test(*MODES) calls func(mode) for each, and the name
    of the parameter goes into the name of the test.
    """
    def register(func):
        base = "%s: %s" % (func.__module__.replace("test_", "", 1),
                           name or func.__name__.replace("_", " "))
        for param in params or (None,):
            label = base if param is None else "%s [%s]" % (base, param)
            args = () if param is None else (param,)
            TESTS.append(Test(label, func, args, func.__doc__))
        return func
    return register


def fail(text, *args):
    raise Failed(text % args if args else text)


def check(condition, text, *args):
    if not condition:
        fail(text, *args)


def equal(got, want, what="value"):
    if got != want:
        fail("%s: got %r, want %r", what, got, want)


def contains(text, part, what="text"):
    if part not in text:
        fail("%s: %r lacks %r", what, text, part)


def contains_any(text, parts, what="text"):
    if not any(part in text for part in parts):
        fail("%s: %r has none of %r", what, text, list(parts))


def wait_until(condition, seconds=5.0, what="condition"):
    """Poll; there is nothing to wait on for another program's side effects."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            fail("%s: not within %g s", what, seconds)
        time.sleep(0.005)


def one_line(text):
    return " ".join(str(text).split())


class Counts:
    """Collects results and prints them as they come."""

    def __init__(self, out=sys.stdout):
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        self.out = out

    def ok(self, name, seconds=None):
        self.passed += 1
        slow = " (%.1f s)" % seconds if seconds and seconds > 2 else ""
        print("ok - %s%s" % (name, slow), file=self.out, flush=True)

    def not_ok(self, name, why, details=""):
        self.failed += 1
        print("not ok - %s: %s" % (name, one_line(why)), file=self.out)
        for line in details.splitlines():
            print("    %s" % line, file=self.out)
        self.out.flush()

    def skip(self, name, why):
        self.skipped += 1
        print("skip - %s: %s" % (name, one_line(why)), file=self.out, flush=True)

    def add(self, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def summary(self):
        print("%d passed, %d failed, %d skipped" % (self.passed, self.failed, self.skipped),
              file=self.out, flush=True)


def run_test(item, counts, setup=None):
    """Run one registered test and count it."""
    start = time.monotonic()
    try:
        if setup:
            setup(item)
        item.func(*item.args)
    except Skip as why:
        counts.skip(item.name, why)
    except Failed as why:
        counts.not_ok(item.name, str(why)[:600], place(why))
    except Exception as why:  # any bug of a test is a failure of that test
        counts.not_ok(item.name, "%s: %s" % (type(why).__name__, why), traceback.format_exc())
    else:
        counts.ok(item.name, time.monotonic() - start)


def place(error):
    """Where in the test a check failed, as `file:line function`."""
    frames = traceback.extract_tb(error.__traceback__)
    return "\n".join("%s:%d %s" % (f.filename.rpartition("/")[2], f.lineno, f.name)
                     for f in frames if "/lib/check.py" not in f.filename)
