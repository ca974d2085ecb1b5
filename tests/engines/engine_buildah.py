# SPDX-License-Identifier: Apache-2.0
"""buildah, of root and of an ordinary user."""

import os

from lib import check
from lib.check import contains, equal

import frame
from cli import Cli, caps, need, read, write
from command import ends, names_missing, ok, says
from frame import checks

CONTAINERFILE = """
FROM scratch
ADD rootfs.tar /
ENV PATH=/bin
RUN echo first-$(id -u) >/built; hostname >/name
USER 1000:1000
WORKDIR /tmp
RUN echo second-$(id -u)-$(pwd) >mine
USER 0
CMD ["/bin/sh"]
"""


class Buildah(Cli):
    isolation = "oci"
    isolated = ("--network", "none")

    def __init__(self, job):
        super().__init__(job)
        need("buildah")
        self.env = {"PATH": os.environ["PATH"], "HOME": "/root", "TMPDIR": "/var/tmp"}
        self.places = ["--root", self.directory + "/storage", "--runroot", self.directory + "/runroot"]
        self.box_name = None

    def argv(self, words):
        return ["buildah", *self.places, "--storage-driver", "overlay", *words]

    def popen(self):
        return {"env": self.env}

    def how(self):
        return ["--isolation", self.isolation, "--runtime", self.runtime, *self.isolated]

    def build(self, text, name, **kwargs):
        path = self.shared(0o755)
        os.symlink(frame.BASE + "/images/rootfs.tar", path + "/link")
        with open(frame.BASE + "/images/rootfs.tar", "rb") as source, open(path + "/rootfs.tar", "wb") as target:
            target.write(source.read())
        write(path + "/Containerfile", text)
        return self("bud", *self.how(), "-t", name, path, seconds=50, **kwargs)

    def start(self):
        ok(self.build("FROM scratch\nADD rootfs.tar /\nENV PATH=/bin\nCMD [\"/bin/sh\"]\n", "base"), "bud")
        self.box_name = ok(self("from", "base"), "from").out.strip()

    def run(self, *words, opts=(), **kwargs):
        return self("run", *self.how(), *opts, self.box_name, "--", *words, **kwargs)

    def terminal_run(self, *words):
        return self.terminal("run", *self.how(), "-t", self.box_name, "--", *words)

    def clear(self):
        pass


class Rootless(Buildah):
    isolation = "rootless"
    rootless = True

    def __init__(self, job):
        super().__init__(job)
        need("newuidmap")
        home, xdg = frame.BASE + "/home", frame.BASE + "/xdg"
        for path in (home, xdg, self.directory):
            os.makedirs(path, mode=0o700, exist_ok=True)
            os.chown(path, job.uid, job.gid)
        self.env.update(HOME=home, USER=job.user, XDG_RUNTIME_DIR=xdg)
        self.places = ["--root", home + "/storage", "--runroot", xdg + "/storage"]

    def popen(self):
        return {"env": self.env, "user": self.job.uid, "group": self.job.gid, "extra_groups": [],
                "cwd": self.env["HOME"]}


BOTH = ("buildah", "buildah-rootless")


@checks(*BOTH)
def build(e):
    ok(e.build(CONTAINERFILE, "built"), "bud")
    box = ok(e("from", "built")).out.strip()
    says(e("run", *e.how(), box, "--", "cat", "/built", "/tmp/mine"), "first-0\nsecond-1000-/tmp")
    ok(e("rm", box))


@checks(*BOTH)
def failing_build_shows_the_exit_code(e):
    result = e.build("FROM base\nRUN echo before; exit 9\n", "never")
    check.check(result.rc != 0, "%s", result)
    contains(result.err + result.out, "exit status 9")


@checks(*BOTH)
def run_output_and_exit_code(e):
    says(e.run("sh", "-c", "echo out; echo err >&2"), "out")
    ends(e.run("sh", "-c", "exit 9"), 9)


@checks(*BOTH)
def run_program_not_found(e):
    result = e.run("/no/such")
    check.check(result.rc != 0, "%s", result)
    names_missing(result.err, "/no/such")


@checks(*BOTH)
def run_death_by_signal(e):
    check.check(e.run("probe", "signal", "9").rc in (99, 137), "exit code")
    check.check(e.run("sh", "-c", "sh -c 'kill -9 $$'; exit $?").rc == 137, "exit code")


@checks(*BOTH)
def run_standard_input(e):
    says(e.run("cat", stdin=b"given\n"), "given")


@checks(*BOTH)
def run_terminal(e):
    tty = e.terminal_run("sh")
    tty.expect("# ")
    tty.send("tty; exit 5\n")
    tty.expect("/dev/pts/")
    equal(tty.finish(), 5, "exit code")


@checks(*BOTH)
def run_user_workdir_environment(e):
    opts = ["--user", "1000:1000", "--workingdir", "/tmp", "--env", "A=b"]
    says(e.run("sh", "-c", "echo $(id -u) $(pwd) $A", opts=opts), "1000 /tmp b")


@checks(*BOTH)
def run_volume(e):
    path = e.shared()
    if e.rootless:
        os.chown(path, e.job.uid, e.job.gid)
    ok(e.run("sh", "-c", "echo from inside >/b/file", opts=["-v", path + ":/b"]))
    equal(read(path + "/file"), "from inside\n", "file")


@checks(*BOTH)
def run_capabilities(e):
    out = ok(e.run("cat", "/proc/self/status", opts=["--cap-add", "CAP_NET_ADMIN", "--cap-drop", "CAP_CHOWN"])).out
    check.check(caps(out) & (1 << 12 | 1) == 1 << 12, "capabilities %x", caps(out))


@checks(*BOTH)
def run_is_confined(e):
    script = "cat /proc/self/status; cat /proc/kcore | wc -c; echo 1 >/proc/sys/kernel/panic || echo ro"
    out = ok(e.run("sh", "-c", script)).out
    contains(out, "Seccomp:\t2")
    equal(out.split()[-2:], ["0", "ro"], "masked and read-only")


@checks(*BOTH)
def runtime_flag_is_passed_on(e):
    says(e.run("echo", "fine", opts=["--runtime-flag", "debug"]), "fine")


@checks(*BOTH)
def nothing_is_left(e):
    roots = [os.path.join(top, e.job.kind) for top in ("/run", frame.BASE + "/xdg")]
    left = [os.path.join(path, name) for path in roots if os.path.isdir(path) for name in os.listdir(path)]
    equal(left, [], "state of the runtime")
