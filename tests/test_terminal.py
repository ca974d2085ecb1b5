# SPDX-License-Identifier: Apache-2.0
"""Terminals: console sockets, the foreground, and who is to have neither."""

import array
import contextlib
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
import time

from lib import proc
from lib.bundle import drop_mount, mount_of
from lib.case import Case, need_bryo, need_busybox
from lib.check import check, contains, equal, fail, test, wait_until

MODES = ("root", "userns", "rootless", "ranges")


def read_until(fd, text, seconds=10.0):
    """All that comes, until the text is in it."""
    got, end = "", time.monotonic() + seconds
    while text not in got:
        ready = select.select([fd], [], [], max(0, end - time.monotonic()))[0]
        check(ready, "no %r within %g s, but %r", text, seconds, got)
        try:
            data = os.read(fd, 4096)
        except OSError:
            data = b""
        check(data, "end of %r without %r", got, text)
        got += data.decode(errors="backslashreplace")
    return got


class ConsoleSocket:
    """Who calls an OCI runtime and wants the terminal, or another descriptor."""

    def __init__(self, case, name="console.sock", place="console"):
        self.path = os.path.join(case.make_dir(place), name)
        self.master = -1
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        here = os.open(os.path.dirname(self.path), os.O_PATH)
        self.listener.bind("/proc/self/fd/%d/%s" % (here, name))
        os.close(here)
        os.chmod(self.path, 0o777)
        self.listener.listen(1)
        self.listener.settimeout(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        if self.master >= 0:
            os.close(self.master)

    def receive(self):
        peer, _ = self.listener.accept()
        fds = array.array("i")
        peer.settimeout(5)
        try:
            _, control, _, _ = peer.recvmsg(64, socket.CMSG_SPACE(4 * fds.itemsize))
        except TimeoutError:
            fail("the console socket got no message")
        finally:
            peer.close()
        for level, kind, data in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data)
        equal(len(fds), 1, "descriptors in the message")
        self.master = fds[0]
        return self.master


@contextlib.contextmanager
def terminal_of_ours(rows=31, columns=97):
    """(master, slave) for a bryo in the foreground."""
    master, slave = pty.openpty()
    set_size(master, rows, columns)
    try:
        yield master, slave
    finally:
        os.close(master)
        os.close(slave)


def set_size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def in_foreground(case, slave, *words):
    """bryo as the shell of that terminal would start it."""
    def own_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    options = case.options()
    before = options.pop("preexec_fn", None)

    def prepare():
        own_terminal()
        if before:
            before()
    return subprocess.Popen(case.argv(*words), stdin=slave, stdout=slave, stderr=slave,
                            preexec_fn=prepare, **options)


def is_raw(fd):
    flags = termios.tcgetattr(fd)[3]
    return not flags & (termios.ICANON | termios.ECHO | termios.ISIG)


def wait_for_orphan(pid):
    """Until the detached process has ended; it is ours to reap."""
    wait_until(lambda: pid not in proc.descendants(), what="the end of process %d" % pid)


def with_terminal(case, args, size=None):
    case.process["terminal"] = True
    if size:
        case.process["consoleSize"] = {"height": size[0], "width": size[1]}
    case.save(args)


WHAT_IT_IS = ("tty; stty size; stat -c %t:%T /dev/console $(tty); "
              "test -t 0 && test -t 1 && test -t 2 && echo all; "
              "read line </dev/tty; echo got $line; read rest")


# -- console sockets --

def terminal_works(mode, env=None, faults=False):
    """Row terminal: the payload has one, and it is /dev/console."""
    need_busybox()
    with Case(mode, faults=faults) as case, ConsoleSocket(case) as console:
        with_terminal(case, ["/bin/sh", "-c", WHAT_IT_IS], size=(33, 77))
        # Without a terminal it would hold pipes of ours open.
        case.ok("create", "-b", case.bundle.path, "--console-socket", console.path, case.id(),
                env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        check(select.select([console.listener], [], [], 0)[0], "nobody called the console socket")
        master = console.receive()
        case.ok("start", case.id())
        text = read_until(master, "all")
        contains(text, "/dev/pts/0\r\n33 77\r\n", "the payload's terminal")
        nodes = [line for line in text.split("\r\n") if line.count(":") == 1]
        equal(nodes[0], nodes[1], "/dev/console and the terminal")
        os.write(master, b"hello\n")
        read_until(master, "got hello")
        os.write(master, b"\x03")
        case.wait_status("stopped")
        case.delete()


@test(*MODES)
def console_socket(mode):
    terminal_works(mode)


@test("root", "rootless")
def console_socket_with_a_long_path(mode):
    need_busybox()
    with Case(mode) as case, ConsoleSocket(case, "c" * 80) as console:
        deep = os.path.join(case.dir, "console", "d" * 100)
        os.mkdir(deep)
        os.rename(console.path, os.path.join(deep, "c"))
        with_terminal(case, ["/bin/sh", "-c", "tty"])
        case.ok("run", "-d", "-b", case.bundle.path, "--console-socket", deep + "/c", case.id())
        read_until(console.receive(), "/dev/pts/0")
        case.wait_status("stopped")
        case.delete()


@test("root", "userns", "rootless", "ranges")
def the_terminal_is_the_users(mode):
    """A payload with another uid may open its own terminal."""
    need_busybox()
    with Case(mode) as case, ConsoleSocket(case) as console:
        user = 0 if mode == "rootless" else 1
        case.process["user"] = {"uid": user, "gid": user}
        with_terminal(case, ["/bin/sh", "-c", "stat -c owner:%u $(tty); echo opened >$(tty)"])
        case.ok("run", "-d", "-b", case.bundle.path, "--console-socket", console.path, case.id())
        text = read_until(console.receive(), "opened")
        contains(text, "owner:%d" % user, "owner")
        case.wait_status("stopped")
        case.delete()


@test("root", "userns", "rootless")
def exec_has_a_terminal(mode):
    """exec -t with a console socket; /dev/console stays as it was."""
    need_busybox()
    with Case(mode) as case, ConsoleSocket(case) as console:
        case.create(["/probe", "sleep", "60"])
        case.ok("start", case.id())
        pid_file = os.path.join(case.xdg, "pid")
        case.ok("exec", "-t", "-d", "--console-socket", console.path, "--pid-file", pid_file,
                case.id(), "/bin/sh", "-c", "tty; test -e /dev/console || echo none; read x; echo $x")
        master = console.receive()
        read_until(master, "none")
        os.write(master, b"typed\n")
        read_until(master, "typed\r\ntyped")
        with open(pid_file, encoding="ascii") as file:
            wait_for_orphan(int(file.read()))
        case.delete()


# -- the foreground --

def started_in_foreground(case, slave, script, *words, size=None):
    with_terminal(case, ["/bin/sh", "-c", script], size)
    return in_foreground(case, slave, "run", *words, "-b", case.bundle.path, case.id())


@test("root", "userns", "rootless")
def foreground(mode):
    """run with a terminal: raw meanwhile, size, keys, exit status, settings restored."""
    need_busybox()
    need_bryo()
    with Case(mode) as case, terminal_of_ours() as (master, slave):
        before = termios.tcgetattr(slave)
        bryo = started_in_foreground(
            case, slave, "trap 'echo interrupted; exit 7' INT; echo size $(stty size); "
            "read line; echo got $line; while :; do sleep 1; done", size=(5, 6))
        read_until(master, "size 31 97")
        wait_until(lambda: is_raw(slave), what="raw mode")
        os.write(master, b"hello\r")
        read_until(master, "got hello")
        os.write(master, b"\x03")
        read_until(master, "interrupted")
        equal(bryo.wait(20), 7, "exit status")
        equal(termios.tcgetattr(slave), before, "settings of the caller's terminal")


@test("root", "rootless")
def window_size_follows(mode):
    need_busybox()
    need_bryo()
    with Case(mode) as case, terminal_of_ours() as (master, slave):
        bryo = started_in_foreground(
            case, slave, "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done")
        read_until(master, "ready")
        wait_until(lambda: is_raw(slave), what="raw mode")
        set_size(master, 40, 50)
        read_until(master, "40 50")
        bryo.send_signal(signal.SIGKILL)
        bryo.wait(20)
        case.delete()


@test("root", "rootless")
def exec_in_the_foreground(mode):
    need_busybox()
    need_bryo()
    with Case(mode) as case, terminal_of_ours() as (master, slave):
        case.create(["/probe", "sleep", "60"])
        case.ok("start", case.id())
        before = termios.tcgetattr(slave)
        bryo = in_foreground(case, slave, "exec", "-t", case.id(), "/bin/sh", "-c",
                             "tty; stty size; read x; echo got $x; exit 9")
        contains(read_until(master, "31 97"), "/dev/pts/0", "terminal")
        wait_until(lambda: is_raw(slave), what="raw mode")
        os.write(master, b"it\r")
        read_until(master, "got it")
        equal(bryo.wait(20), 9, "exit status")
        equal(termios.tcgetattr(slave), before, "settings of the caller's terminal")
        case.delete()


@test("root", "rootless")
def settings_are_restored_on_signals(mode):
    """Whatever ends bryo in the foreground, but for SIGKILL."""
    need_busybox()
    need_bryo()
    for sig in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        with Case(mode) as case, terminal_of_ours() as (master, slave):
            before = termios.tcgetattr(slave)
            # The first process of a pid namespace gets only signals that it handles.
            bryo = started_in_foreground(
                case, slave, "trap 'exit 3' %d; echo ready; while :; do sleep 0.05; done" % sig)
            read_until(master, "ready")
            wait_until(lambda s=slave: is_raw(s), what="raw mode")
            bryo.send_signal(sig)
            equal(bryo.wait(20), 3, "exit status")
            equal(termios.tcgetattr(slave), before, "settings after %s" % sig.name)


@test("root", "rootless")
def stop_and_continue(mode):
    """SIGTSTP gives the terminal back, SIGCONT takes it again."""
    need_busybox()
    need_bryo()
    with Case(mode) as case, terminal_of_ours() as (master, slave):
        before = termios.tcgetattr(slave)
        bryo = started_in_foreground(case, slave, "echo ready; read x; echo got $x")
        read_until(master, "ready")
        wait_until(lambda: is_raw(slave), what="raw mode")
        bryo.send_signal(signal.SIGTSTP)
        _, status = os.waitpid(bryo.pid, os.WUNTRACED)
        check(os.WIFSTOPPED(status), "bryo did not stop")
        equal(termios.tcgetattr(slave), before, "settings while it is stopped")
        bryo.send_signal(signal.SIGCONT)
        wait_until(lambda: is_raw(slave), what="raw mode again")
        os.write(master, b"on\r")
        read_until(master, "got on")
        equal(bryo.wait(20), 0, "exit status")
        equal(termios.tcgetattr(slave), before, "settings in the end")


@test("root", "rootless")
def streams_that_are_no_terminal(mode):
    """Input from a pipe, output into one: all of it arrives, and its end, too."""
    need_busybox()
    need_bryo()
    with Case(mode) as case:
        with_terminal(case, ["/bin/sh", "-c", "stty -echo; echo ready; cat | wc -c; seq 3000"])
        result = case.call("run", "-b", case.bundle.path, case.id(), stdin=b"x" * 99 + b"\n")
        equal(result.rc, 0, "exit status")
        contains(result.out, "100\r\n", "input")
        equal(result.out.split("\r\n")[-4:-1], ["2998", "2999", "3000"], "the end of the output")


@test("root", "rootless")
def output_is_complete(mode):
    """Nothing of what was written before the end is lost."""
    need_busybox()
    need_bryo()
    for _ in range(5):
        with Case(mode) as case:
            with_terminal(case, ["/bin/sh", "-c", "seq 500"])
            result = case.call("run", "-b", case.bundle.path, case.id())
            equal(result.out.count("\r\n"), 500, "lines")


# -- what cannot be --

def nothing_made(case, *words):
    result = case.fails(*words)
    equal(len(result.err.strip().splitlines()), 1, "lines of the error: %s" % result.err)
    equal(os.listdir(case.root), [], "state directory")
    return result.last_error()


@test("root", "rootless")
def nobody_has_the_other_end(mode):
    """create, and run -d, of a terminal need a console socket."""
    need_bryo()
    with Case(mode) as case:
        with_terminal(case, ["/probe"])
        for words in (["create"], ["run", "-d"]):
            error = nothing_made(case, *words, "-b", case.bundle.path, case.id())
            contains(error, "/process/terminal", "error")
            contains(error, "--console-socket", "hint")


@test("root", "rootless")
def console_socket_without_terminal(mode):
    need_bryo()
    with Case(mode) as case, ConsoleSocket(case) as console:
        case.save(["/probe"])
        error = nothing_made(case, "create", "-b", case.bundle.path, "--console-socket",
                             console.path, case.id())
        contains(error, "--console-socket", "error")


@test("root", "rootless")
def console_sockets_that_fail(mode):
    """Missing, no socket, nobody listens, a name that is too long."""
    need_bryo()
    with Case(mode) as case, ConsoleSocket(case) as console:
        with_terminal(case, ["/probe"])
        console.listener.close()
        plain = os.path.join(case.dir, "plain")
        with open(plain, "w", encoding="ascii"):
            pass
        for path in (console.path, case.dir + "/none", case.dir, plain, case.dir + "/none/x",
                     case.dir + "/" + "n" * 200):
            error = nothing_made(case, "create", "-b", case.bundle.path, "--console-socket", path,
                                 case.id())
            contains(error, "console socket", "error for " + path)


@test("root", "rootless")
def console_socket_hangs_up(mode):
    """It accepts, and closes: an error or a container without a terminal, never a hang."""
    need_bryo()
    with Case(mode) as case, ConsoleSocket(case) as console:
        with_terminal(case, ["/probe"])
        running = case.start("create", "-b", case.bundle.path, "--console-socket", console.path,
                             case.id(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        console.listener.accept()[0].close()
        result = proc.finish(running, 20)
        if result.rc:
            contains(result.err, "terminal", "error")
        case.ok("delete", "--force", case.id())


@test("root", "userns", "rootless")
def no_devpts(mode):
    """A rootfs with a forged ptmx, or none: refused, and nothing of it is opened."""
    need_bryo()
    for what in ("nothing", "fifo", "link", "tmpfs"):
        with Case(mode) as case, ConsoleSocket(case) as console:
            drop_mount(case.config, "/dev/pts")
            if what == "tmpfs":
                mount_of(case.config, "/dev")["options"] = ["nosuid", "mode=755"]
            else:
                drop_mount(case.config, "/dev")
            if what in ("fifo", "link"):
                os.makedirs(case.bundle.inside("/dev/pts"), exist_ok=True)
                path = case.bundle.inside("/dev/pts/ptmx")
                if what == "fifo":
                    os.mkfifo(path)
                else:
                    os.symlink("/dev/ptmx", path)
            with_terminal(case, ["/probe"])
            error = nothing_made(case, "create", "-b", case.bundle.path, "--console-socket",
                                 console.path, case.id())
            contains(error, "devpts", "hint with " + what)


@test()
def sizes_out_of_range():
    need_bryo()
    with Case("root" if os.geteuid() == 0 else "rootless") as case:
        with_terminal(case, ["/probe"], size=(65536, 1))
        contains(nothing_made(case, "run", "-b", case.bundle.path, case.id()),
                 "/process/consoleSize/height", "error")
