# SPDX-License-Identifier: Apache-2.0
"""Completions: what each shell makes of them."""

import os
import re
import shutil

from lib import proc
from lib.case import Case, binary, need_bryo
from lib.check import Skip, check, contains, equal, test


def script(shell):
    need_bryo()
    if not shutil.which(shell):
        raise Skip("no " + shell)
    result = proc.run([binary(), "completion", shell])
    equal(result.rc, 0, "exit status")
    return result.out


def commands():
    text = proc.run([binary(), "--help"]).out.partition("commands:\n")[2].partition("\n\n")[0]
    return sorted(line.split()[0] for line in text.splitlines())


def in_bash(case, *words):
    """What bash offers for the last word."""
    text = script("bash") + '\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bryo; printf "%s\\n" "${COMPREPLY[@]}"'
    env = dict(case.env, PATH=os.path.dirname(case.binary) + ":" + case.env["PATH"])
    result = proc.run(["bash", "-c", text, "bash", "bryo", *words],
                      **dict(case.who.popen(), env=env, cwd=case.dir))
    equal(result.err, "", "errors")
    return sorted(word for word in result.out.split("\n") if word)


@test("bash", "zsh", "fish")
def syntax(shell):
    text = script(shell)
    result = proc.run([shell, "-n", "/dev/stdin"], stdin=text.encode())
    equal((result.rc, result.err), (0, ""), "syntax")
    for command in commands():
        check(re.search(r"\b%s\b" % command, text), "%s: no %s", shell, command)


@test("rootless")
def bash_completes(mode):
    with Case(mode) as case:
        equal(in_bash(case, ""), commands(), "commands")
        equal(in_bash(case, "st"), ["start", "state", "steps"], "commands with st")
        contains(in_bash(case, "--"), "--root", "global options")
        found = in_bash(case, "exec", "--")
        for option in ("--process", "--tty", "--env", "--console-socket"):
            contains(found, option, "options of exec")
        equal(in_bash(case, "--log-format", ""), ["json", "text"], "values")
        equal(in_bash(case, "list", "--format", "j"), ["json"], "values of list")
        equal(in_bash(case, "run", "-b", "bund"), ["bundle"], "directories")
        equal(in_bash(case, "--log-format", "json", "kil"), ["kill"], "after a global option")


@test("rootless")
def bash_knows_the_containers(mode):
    with Case(mode) as case:
        case.save(["/probe", "sleep", "60"])
        case.env["XDG_RUNTIME_DIR"] = case.xdg
        argv = [case.binary, "create", "-b", case.bundle.path, case.id()]
        with open(os.devnull, "wb") as null:
            equal(proc.run(argv, **case.options(stdout=null, stderr=null)).rc, 0, "create")
        equal(in_bash(case, "state", ""), [case.id()], "ids")
        proc.run([case.binary, "delete", "--force", case.id()], **case.options())


@test()
def zsh_completes():
    """As far as that can be seen without a terminal: the function is there and runs."""
    text = script("zsh")
    result = proc.run(["zsh", "-f", "-c", "autoload -U compinit; compinit -D -u; " + text +
                       "\nwhence -w _bryo"])
    contains(result.out, "_bryo: function", "zsh: " + result.err)


@test()
def fish_completes():
    text = script("fish")
    result = proc.run(["fish", "--no-config", "-c", text + "\ncomplete -C 'bryo st'"])
    equal([line.split()[0] for line in result.out.splitlines()], ["start", "state", "steps"],
          "commands")
    result = proc.run(["fish", "--no-config", "-c", text + "\ncomplete -C 'bryo exec --pro'"])
    equal([line.split()[0] for line in result.out.splitlines()],
          ["--process", "--process-label"], "options of exec")


@test()
def unknown_shell():
    need_bryo()
    result = proc.run([binary(), "completion", "csh"])
    check(result.rc > 0 and "csh" in result.err, "%s", result)
