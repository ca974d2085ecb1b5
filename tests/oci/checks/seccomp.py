# SPDX-License-Identifier: Apache-2.0
"""The filter of system calls, and the agent that it asks."""

import errno
import json
import os
import signal
import socket

from lib.agent import Agent, number
from lib.check import check, contains, equal, wait_until
from oci.frame import Box, claim, proves, refuses

METADATA = "text for the agent: \u00e9 \"quoted\""
#: lseek(-1, VALUE, WHENCE), which the probe tries, is EBADF where no rule is for it.
SEEK = ["/probe", "seek"]


def rules(*syscalls, **members):
    return {"linux.seccomp": dict({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(syscalls)},
                                  **members)}


def rule(name="sethostname", action="SCMP_ACT_ERRNO", **members):
    return dict({"names": [name], "action": action}, **members)


def seek(box, values, *words):
    """The errors of lseek with the arguments, one by one."""
    box.reset()
    box.set(values)
    return box.run_ok(SEEK + list(words)).out.split()


def attempt(box, values):
    """The error of sethostname(2)."""
    box.reset()
    return box.sees(values, args=["/probe", "probe"])["attempts"]["sethostname"]


def end_of(box, action):
    """The exit status of a program whose lseek meets the action."""
    box.reset()
    box.set(rules(rule("lseek", action)))
    return box.run(SEEK + ["0"])


# -- actions --

@proves("seccomp.action.allow", "seccomp.action.errno", "seccomp.action.kill",
        "seccomp.action.kill-process", "seccomp.action.trap", "seccomp.action.trace",
        "seccomp.action.log", "seccomp.errno", "seccomp.errno.default")
def actions(mode):
    with Box(mode) as box:
        for name, word in (("allow", "ALLOW"), ("log", "LOG")):
            with claim("seccomp.action." + name):
                equal(seek(box, rules(rule("lseek", "SCMP_ACT_" + word)), "0"), ["EBADF"], name)
        with claim("seccomp.action.errno", "seccomp.errno"):
            equal(seek(box, rules(rule("lseek", errnoRet=errno.EADDRNOTAVAIL)), "0"),
                  ["EADDRNOTAVAIL"], "error")
        with claim("seccomp.errno.default"):
            equal(seek(box, rules(rule("lseek")), "0"), ["EPERM"], "error")
        with claim("seccomp.action.trace"):
            equal(seek(box, rules(rule("lseek", "SCMP_ACT_TRACE")), "0"), ["ENOSYS"], "error")
        for name, words in (("kill", ("KILL", "KILL_THREAD")), ("kill-process", ("KILL_PROCESS",)),
                            ("trap", ("TRAP",))):
            with claim("seccomp.action." + name):
                for word in words:
                    result = end_of(box, "SCMP_ACT_" + word)
                    equal((result.rc, result.out), (128 + signal.SIGSYS, ""), word)


@proves("seccomp.default-action", "seccomp.default-errno")
def default_action(mode):
    # All that a small static program needs, but for lseek.
    with Box(mode) as box:
        names = """execve execveat exit exit_group write writev brk arch_prctl set_tid_address mmap
            munmap mprotect set_robust_list rseq prlimit64 readlinkat readlink getrandom newfstatat
            fstat read close openat fcntl ioctl futex rt_sigaction rt_sigprocmask prctl getpid
            capget capset setresuid setresgid setgroups chdir fchdir close_range keyctl seccomp
            uname statfs dup dup2 dup3 poll ppoll epoll_ctl epoll_pwait sigaltstack gettid tgkill
            nanosleep getppid setsid personality umask sched_yield sched_getaffinity madvise
            getdents64 faccessat faccessat2 access fstatfs setuid setgid wait4 socket connect sendto
            recvfrom sendmsg recvmsg socketpair socketcall clone clone3 kill rt_sigreturn lstat stat
            getuid getgid geteuid getegid setrlimit getcwd open pipe2 eventfd2 unlink unlinkat statx
            restart_syscall clock_gettime timer_create timer_settime timer_delete setfsuid
            setfsgid epoll_create1 epoll_wait mount umount2 pidfd_open pread64 mkdirat""".split()
        allowed = {"names": names, "action": "SCMP_ACT_ALLOW"}
        with claim("seccomp.default-action"):
            values = rules(allowed, defaultAction="SCMP_ACT_ERRNO")
            equal(seek(box, values, "0"), ["EPERM"], "error")
            equal(seek(box, rules(dict(allowed, names=names + ["lseek"]),
                                  defaultAction="SCMP_ACT_ERRNO"), "0"), ["EBADF"], "error")
        with claim("seccomp.default-errno"):
            values = rules(allowed, defaultAction="SCMP_ACT_ERRNO",
                           defaultErrnoRet=errno.EADDRNOTAVAIL)
            equal(seek(box, values, "0"), ["EADDRNOTAVAIL"], "error")
            equal(seek(box, rules(allowed, defaultAction="SCMP_ACT_ERRNO"), "0"), ["EPERM"],
                  "error without a number")


GOOD = rules(rule())
refuses("seccomp.default-action.required", GOOD,
        {"linux.seccomp": {"syscalls": [rule()]}}, {"linux.seccomp": {}},
        rules(rule(), defaultAction="SCMP_ACT_NO"))
refuses("seccomp.default-errno.no-errno", rules(defaultAction="SCMP_ACT_ALLOW"),
        rules(defaultAction="SCMP_ACT_ALLOW", defaultErrnoRet=5),
        rules(defaultAction="SCMP_ACT_LOG", defaultErrnoRet=5))
refuses("seccomp.errno.no-errno", rules(rule(errnoRet=5)),
        rules(rule(action="SCMP_ACT_ALLOW", errnoRet=5)),
        rules(rule(action="SCMP_ACT_KILL", errnoRet=5)),
        rules(rule(action="SCMP_ACT_LOG", errnoRet=5)))
refuses("seccomp.action.invalid", GOOD, rules(rule(action="SCMP_ACT_NO")), rules(rule(action="")),
        rules({"names": ["sethostname"]}))
refuses("seccomp.names", GOOD, rules({"names": [], "action": "SCMP_ACT_ERRNO"}),
        rules({"action": "SCMP_ACT_ERRNO"}))
refuses("seccomp.architectures.invalid", rules(rule(), architectures=["SCMP_ARCH_X86_64"]),
        rules(rule(), architectures=["SCMP_ARCH_NO"]), rules(rule(), architectures=["x86_64"]))
refuses("seccomp.flags.invalid", rules(rule(), flags=["SECCOMP_FILTER_FLAG_LOG"]),
        rules(rule(), flags=["SECCOMP_FILTER_FLAG_NO"]))
refuses("seccomp.op.invalid", rules(rule(args=[{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}])),
        rules(rule(args=[{"index": 0, "value": 1, "op": "SCMP_CMP_NO"}])),
        rules(rule(args=[{"index": 0, "value": 1}])),
        rules(rule(args=[{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}])))


@proves("seccomp.architectures", "seccomp.flags")
def architectures_and_flags(mode):
    arch = {"x86_64": "X86_64", "aarch64": "AARCH64"}.get(os.uname().machine)
    with Box(mode) as box:
        with claim("seccomp.architectures"):
            values = rules(rule(errnoRet=errno.EADDRNOTAVAIL))
            values["linux.seccomp"]["architectures"] = ["SCMP_ARCH_" + (arch or "X86_64")]
            equal(attempt(box, values), "EADDRNOTAVAIL", "error")
        with claim("seccomp.flags"):
            for flags in (["SECCOMP_FILTER_FLAG_LOG"], ["SECCOMP_FILTER_FLAG_TSYNC"],
                          ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"], []):
                values = rules(rule(errnoRet=errno.EADDRNOTAVAIL), flags=flags)
                equal(attempt(box, values), "EADDRNOTAVAIL", "error with %s" % flags)


# -- operators --

OPERATORS = {"ne": ("NE", ("6",), ("5",)), "lt": ("LT", ("4",), ("5", "6")),
             "le": ("LE", ("4", "5"), ("6",)), "eq": ("EQ", ("5",), ("4", "6")),
             "ge": ("GE", ("5", "6"), ("4",)), "gt": ("GT", ("6",), ("4", "5"))}


@proves(*["seccomp.op." + name for name in OPERATORS], "seccomp.op.masked-eq", "seccomp.op.index")
def operators(mode):
    def by(**arg):
        return rules(rule("lseek", errnoRet=errno.EADDRNOTAVAIL, args=[dict({"index": 1}, **arg)]))
    with Box(mode) as box:
        def expect(values, caught, free):
            want = ["EADDRNOTAVAIL"] * len(caught) + ["EBADF"] * len(free)
            equal(seek(box, values, *caught, *free), want, "errors of %s, %s" % (caught, free))
        for name, (word, caught, free) in OPERATORS.items():
            with claim("seccomp.op." + name):
                expect(by(value=5, op="SCMP_CMP_" + word), caught, free)
        with claim("seccomp.op.masked-eq"):
            expect(by(value=0xf0, valueTwo=0x50, op="SCMP_CMP_MASKED_EQ"), ("0x5f", "0x50"),
                   ("0x60", "5"))
        with claim("seccomp.op.index"):
            large = 1 << 40 | 5
            expect(by(value=large, op="SCMP_CMP_EQ"), (str(large),), ("5", str(large + 1)))
            expect(by(index=2, value=1, op="SCMP_CMP_EQ"), ("7,1",), ("1,0",))


# -- the agent --

def asking(box, *names, **members):
    """Rules that ask about the calls; the agent's socket."""
    path = os.path.join(box.dir, "agent")
    calls = [rule(name, "SCMP_ACT_NOTIFY") for name in names]
    box.set(rules(*calls, **dict({"listenerPath": path}, **members)))
    return path


class PatientAgent(Agent):
    """Answers also on connections that stay open, and remembers those."""

    def __init__(self, *args):
        super().__init__(*args)
        self.messages, self.left_open = [], 0

    def receive(self, peer):
        peer.settimeout(1)
        text = b""
        while True:
            try:
                part, control, _, _ = peer.recvmsg(65536, 1024)
            except socket.timeout:
                self.left_open += 1
                return text
            count = self.take(control)
            if not part:
                return text
            self.messages.append(count)
            text += part


@proves("seccomp.action.notify", "seccomp.listener.socket", "seccomp.listener.one",
        "seccomp.listener.closed", "seccomp.listener.metadata", "seccomp.state.json",
        "seccomp.state.rights", "seccomp.state.first", "seccomp.state.version",
        "seccomp.state.fds", "seccomp.state.pid", "seccomp.state.state")
def agent(mode):
    with Box(mode) as box:
        box.config["annotations"] = {"org.example.key": "value"}
        path = asking(box, "sethostname", listenerMetadata=METADATA)
        with PatientAgent(path, {number("sethostname"): (0, errno.EADDRNOTAVAIL)}) as served:
            got = box.sees(args=["/probe", "probe"])["attempts"]["sethostname"]
            wait_until(lambda: served.states or served.errors, what="the state")
            with claim("seccomp.listener.socket", "seccomp.listener.one", "seccomp.state.json"):
                equal((served.errors, len(served.states)), ([], 1), "errors, states")
            with claim("seccomp.listener.closed"):
                equal(served.left_open, 0, "connections that are open")
            with claim("seccomp.state.rights"):
                equal(sum(served.messages), 1, "descriptors")
            with claim("seccomp.state.first"):
                equal(served.messages[:1], [1], "descriptors of the first message")
            with claim("seccomp.action.notify"):
                check(number("sethostname") in served.calls, "calls: %s", served.calls)
                equal(got, "EADDRNOTAVAIL", "answer")
            state = served.states[0]
        with claim("seccomp.listener.metadata"):
            equal(state.get("metadata"), METADATA, "metadata")
        with claim("seccomp.state.version"):
            check(state["ociVersion"].startswith("1."), "version %s", state["ociVersion"])
        with claim("seccomp.state.fds"):
            equal(state["fds"], ["seccompFd"], "names")
        with claim("seccomp.state.pid"):
            check(state["pid"] > 1, "pid %s", state["pid"])
            equal(state["pid"], state["state"]["pid"], "pid")
        with claim("seccomp.state.state"):
            inner = state["state"]
            equal((inner["id"], inner["bundle"], inner["annotations"]),
                  (box.id(), box.bundle.path, {"org.example.key": "value"}), "state")
            contains(("creating", "created"), inner["status"], "status")


@proves("seccomp.listener.failure", "seccomp.listener.ignored", "seccomp.listener.metadata.path")
def agents_that_are_not_there(mode):
    with Box(mode) as box:
        with claim("seccomp.listener.ignored"):
            box.accepts(rules(rule(), listenerPath=os.path.join(box.dir, "nobody")))
        with claim("seccomp.listener.failure"):
            asking(box, "sethostname")
            box.refuses({"linux.seccomp": box.linux["seccomp"]})
        with claim("seccomp.listener.metadata.path"):
            box.refuses(rules(rule(action="SCMP_ACT_NOTIFY"), listenerMetadata="x"))
            box.refuses(rules(rule(), listenerMetadata="x"))
