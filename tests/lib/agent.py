# SPDX-License-Identifier: Apache-2.0
"""A seccomp agent: what listens on /linux/seccomp/listenerPath (seccomp_unotify(2))."""

import array
import fcntl
import json
import os
import select
import socket
import struct
import threading

NOTIF_RECV, NOTIF_SEND = 0xC0502100, 0xC0182101
CONTINUE = 1
NOTIF = "=QIIiIQ6Q"  # id, pid, flags, nr, arch, instruction pointer, arguments
ANSWER = "=QqiI"     # id, value, error, flags
#: The numbers of x86_64 and of the generic table.
NUMBERS = {"x86_64": {"sethostname": 170, "execve": 59, "exit_group": 231},
           "aarch64": {"sethostname": 161, "execve": 221, "exit_group": 94}}


def number(name):
    return NUMBERS.get(os.uname().machine, NUMBERS["aarch64"])[name]


class Agent:
    """with Agent(path, {nr: (value, error)}): all other calls go on.

    One connection is taken; `states` has what was read from each, `calls` the
    numbers of the calls that were asked about.
    """

    def __init__(self, path, answers=None, owner=None):
        self.path = path
        self.answers = answers or {}
        self.owner = owner
        self.states = []
        self.fds = []
        self.calls = []
        self.stop = False
        self.errors = []

    def __enter__(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o777)
        self.socket.listen(8)
        self.socket.settimeout(0.05)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.stop = True
        self.thread.join()
        self.socket.close()
        for fd in self.fds:
            os.close(fd)
        os.unlink(self.path)

    def _serve(self):
        try:
            while not self.stop:
                self._accept()
                for fd in list(self.fds):
                    self._answer(fd)
        except Exception as why:  # the test's own thread shows it
            self.errors.append(repr(why))

    def _accept(self):
        self.socket.settimeout(0.001 if self.fds else 0.05)
        try:
            peer, _ = self.socket.accept()
        except socket.timeout:
            return
        with peer:
            text = self.receive(peer)
        self.states.append(json.loads(text.decode()))

    def receive(self, peer):
        """The state, to the end: the connection is closed after it."""
        peer.settimeout(5)
        text, control, _, _ = peer.recvmsg(65536, 1024)
        self.take(control)
        while True:
            part = peer.recv(65536)
            if not part:
                return text
            text += part

    def take(self, control):
        """The descriptors of a message; their number."""
        fds = [fd for level, kind, data in control
               if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
               for fd in array.array("i", data)]
        self.fds += fds
        return len(fds)

    def _answer(self, fd):
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        for _, events in poll.poll(1):
            if not events & select.POLLIN:
                return
            notif = bytearray(struct.calcsize(NOTIF))
            try:
                fcntl.ioctl(fd, NOTIF_RECV, notif)
                ident, _, _, nr = struct.unpack(NOTIF, notif)[:4]
                self.calls.append(nr)
                value, error = self.answers.get(nr, (0, None))
                flags = CONTINUE if error is None else 0
                fcntl.ioctl(fd, NOTIF_SEND,
                            struct.pack(ANSWER, ident, value, -(error or 0), flags))
            except FileNotFoundError:  # the caller was killed meanwhile
                pass
