# SPDX-License-Identifier: Apache-2.0
"""The manuals say what the program does: options, steps, fields, mount options.

usage: python3 tests/test_manuals.py --update

writes the generated list of fields into man/bryo-config.5.
"""

import json
import os
import re
import shutil
import sys

sys.dont_write_bytecode = True

from lib import proc  # noqa: E402
from lib.bundle import TOP  # noqa: E402
from lib.case import binary, need_bryo  # noqa: E402
from lib.check import Skip, check, contains, equal, test  # noqa: E402
from lib.steps import rows  # noqa: E402

PAGES = ("bryo.1", "bryo-config.5", "bryo-steps.7")
BEGIN, END = '.\\" BEGIN fields', '.\\" END fields'
#: What `bryo-config.5` calls a row and no row is: who reads the file, who deletes.
NO_ROWS = {"config", "poststop"}


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as file:
        return file.read()


def page(name):
    return read("man/" + name)


def say(*words):
    """What the binary prints; it must succeed."""
    need_bryo()
    result = proc.run([binary()] + list(words))
    check(result.rc == 0, "%s", result)
    return result.out


def unescape(text):
    return text.replace("\\-", "-").replace("\\&", "")


def section(name, title, macro="Sh"):
    """The lines of a section or, with Ss, of a subsection."""
    lines, inside = [], False
    for line in page(name).splitlines():
        if line.startswith((".Sh ", ".Ss ")):
            inside = line == ".%s %s" % (macro, title) or (inside and macro == "Sh" and
                                                           line.startswith(".Ss "))
        elif inside:
            lines.append(line)
    check(lines, "%s has no section %s", name, title)
    return lines


@test(*PAGES)
def is_lint_clean(name):
    if not shutil.which("mandoc"):
        raise Skip("mandoc is not installed")
    result = proc.run(["mandoc", "-T", "lint", "-W", "warning", os.path.join(TOP, "man", name)])
    check(result.rc == 0 and not result.out, "%s", result.out)


# -- bryo-config(5) --

def generated_fields():
    build = os.environ.get("BRYO_BUILD", os.path.join(TOP, "build"))
    program = os.path.join(TOP, build, "tests/spec_test")
    if not os.path.exists(program):
        raise Skip("%s is not built" % program)
    result = proc.run([program, "--manual"])
    check(result.rc == 0, "%s", result)
    return result.out


def split_fields():
    """The page as what is before the list, the list, and what is behind."""
    lines = page("bryo-config.5").splitlines(keepends=True)
    marks = [n for n, line in enumerate(lines) if line.startswith((BEGIN, END))]
    check(len(marks) == 2, "bryo-config.5 has %d marks", len(marks))
    return ("".join(part) for part in (lines[:marks[0] + 1], lines[marks[0] + 1:marks[1]],
                                       lines[marks[1]:]))


@test()
def fields_are_those_of_the_tables():
    """Regenerate with: python3 tests/test_manuals.py --update"""
    want, got = generated_fields().splitlines(), list(split_fields())[1].splitlines()
    if want != got:
        lines = [n for n, pair in enumerate(zip(want, got)) if pair[0] != pair[1]]
        at = lines[0] if lines else min(len(want), len(got))
        check(False, "man/bryo-config.5 is stale, from %r on: "
              "run python3 tests/test_manuals.py --update", (want + [""])[at])


@test()
def fields_name_rows_that_exist():
    words = re.findall(r"^Applied by\n\.Cm (\S+) \.$", list(split_fields())[1], re.M)
    unknown = set(words) - {row.name for row in rows(faults=False)} - NO_ROWS
    check(words and not unknown, "rows that are not in the table: %s", sorted(unknown))


@test()
def mount_options_are_all_there():
    lines = section("bryo-config.5", "Mounts", "Ss")
    first = lines.index("These are known:")
    listed = []
    for line in lines[first + 1:]:
        if not line.startswith(".Cm "):
            break
        listed += [word for word in line.split()[1:] if word not in (",", ".")]
    equal(listed, json.loads(say("features"))["mountOptions"], "mount options")


# -- bryo-steps(7) --

@test()
def rows_are_those_of_the_table():
    found = []
    for line in section("bryo-steps.7", "STEPS"):
        row = re.match(r"\.It Cm (\S+) Dv (HOST|BOX)(?: Pa (\S+))?$", line)
        check(row or not line.startswith(".It"), "not a row: %s", line)
        if row:
            found.append((row.group(1), row.group(2), row.group(3) or "-"))
    equal(found, [(r.name, r.side, r.pointer) for r in rows(faults=False)], "rows")


# -- bryo(1) --

def helped_options(*command):
    """The options in the help: (letter, name, does it take a value)."""
    text = say(*command, "--help").partition("options:\n")[2]
    found = re.findall(r"^  (?:-(\w), |    )--([\w-]+)( \S+)?  *", text, re.M)
    return sorted((letter, name, value.strip() in WITH_VALUE or value.strip().isupper())
                  for letter, name, value in found)


#: Values that are words to choose from.
WITH_VALUE = {"tmpfs[:SIZE]|DIR", "auto|off|LABEL", "text|json", "table|json", "auto|true|false",
              "auto|cgroupfs|systemd|disabled"}


def helped_commands():
    text = say("--help").partition("commands:\n")[2].partition("\n\n")[0]
    return [line.split()[0] for line in text.splitlines()]


def written_options(title):
    found = []
    for line in section("bryo.1", title, "Ss"):
        words = re.match(r"\.It (?:Fl (\w) , )?Fl -([\w-]+)( .*)?$", unescape(line))
        check(words or not line.startswith(".It"), "not an option: %s", line)
        if words:
            found.append((words.group(1) or "", words.group(2), bool(words.group(3))))
    return found


def written_for(command):
    """All sections "Options of A and B" that name the command."""
    found = []
    for title in re.findall(r"^\.Ss (Options of .*)$", page("bryo.1"), re.M):
        if command in title.replace(",", "").split()[2:]:
            found += written_options(title)
    return sorted(found)


def later_commands():
    """Those that bryo(1) says are not there yet."""
    lines = section("bryo.1", "COMMANDS")
    start = next(n for n, line in enumerate(lines) if "not supported yet" in line)
    return [word for word in lines[start + 1].split()[1:] if word not in (",", ".")]


@test()
def commands_are_all_there():
    listed = [line.split()[2] for line in section("bryo.1", "COMMANDS")
              if line.startswith(".It Cm ")]
    equal(sorted(listed), sorted(helped_commands()), "commands")


@test()
def options_are_all_there():
    equal(sorted(written_options("Global options")), helped_options(), "global options")
    for command in helped_commands():
        equal(written_for(command), helped_options(command), "options of " + command)


@test()
def what_is_not_there_yet_is_refused():
    need_bryo()
    check(later_commands(), "bryo(1) lists none")
    for command in later_commands():
        result = proc.run([binary(), command])
        check(result.rc > 0, "%s", result)
        contains(result.err, "not supported yet", command)


# -- README.md and the like --

@test("README.md", "HACKING.md", "CONTRIBUTING.md")
def make_targets_exist(name):
    makefile = read("Makefile")
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile, re.M))
    named = set(re.findall(r"(?:`|^\s*(?:\$ )?|&& )make ([a-z][a-z-]+)", read(name), re.M))
    check(not named - targets, "%s names make targets that do not exist: %s", name,
          sorted(named - targets))


@test("README.md", "HACKING.md", "CONTRIBUTING.md")
def files_exist(name):
    """Paths in backquotes that begin with a folder of the tree."""
    folders = [d for d in os.listdir(TOP) if os.path.isdir(os.path.join(TOP, d))
               and not d.startswith(".") and d != "build"]
    found = re.findall(r"`((?:%s)/[\w./-]*)`" % "|".join(sorted(folders)), read(name))
    gone = [path for path in found if not os.path.exists(os.path.join(TOP, path))]
    check(not gone, "%s names files that do not exist: %s", name, gone)


def update():
    before, _, after = split_fields()
    with open(os.path.join(TOP, "man/bryo-config.5"), "w", encoding="utf-8") as file:
        file.write(before + generated_fields() + after)


if __name__ == "__main__":
    if sys.argv[1:] != ["--update"]:
        sys.exit(__doc__)
    update()
