# SPDX-License-Identifier: Apache-2.0
"""Slurm on one node: a job's step in a container (oci.conf)."""

import json
import os
import tarfile
import time

from lib import check
from lib.check import contains, equal, wait_until

import command
import frame
from cli import Cli, background, end, log_tail, need, read, write
from command import ends, ok, says
from frame import checks

SLURM_CONF = """
ClusterName=bryo
SlurmctldHost=vm(10.99.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=%(d)s/munge.sock
CredType=cred/munge
CryptoType=crypto/munge
StateSaveLocation=%(d)s/state
SlurmdSpoolDir=%(d)s/spool
SlurmctldPidFile=%(d)s/slurmctld.pid
SlurmdPidFile=%(d)s/slurmd.pid
SlurmctldLogFile=%(d)s/slurmctld.log
SlurmdLogFile=%(d)s/slurmd.log
SlurmdDebug=debug
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
PlugStackConfig=/dev/null
KillWait=2
InactiveLimit=0
ReturnToService=2
MinJobAge=60
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName=vm NodeAddr=10.99.0.1 CPUs=2 RealMemory=100 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES
"""
OCI_CONF = """
RunTimeQuery="%(rt)s --root=%(d)s/rt-%%u state %%n.%%u.%%j.%%s.%%t"
RunTimeRun="%(rt)s --root=%(d)s/rt-%%u run %(run)s"
RunTimeKill="%(rt)s --root=%(d)s/rt-%%u kill -a %%n.%%u.%%j.%%s.%%t"
RunTimeDelete="%(rt)s --root=%(d)s/rt-%%u delete --force %%n.%%u.%%j.%%s.%%t"
"""


class Slurm(Cli):
    def __init__(self, job):
        super().__init__(job)
        for program in ("slurmctld", "slurmd", "munged", "srun"):
            need(program)
        self.env = {"PATH": os.environ["PATH"], "HOME": "/root", "SLURM_CONF": self.directory + "/slurm.conf"}
        self.daemons = []

    def argv(self, words):
        return list(words)

    def popen(self):
        return {"env": self.env, "cwd": "/tmp"}

    def bundle(self, uid):
        """As `spec` makes it, for root or for a user."""
        path = "%s/bundle-%d" % (self.directory, uid)
        os.makedirs(path)
        with tarfile.open(frame.BASE + "/images/rootfs.tar") as tar:
            tar.extractall(path + "/rootfs")
        argv = [self.runtime, "spec"] + (["--rootless"] if uid else [])
        who = {"user": uid, "group": self.job.gid, "extra_groups": []} if uid else {}
        os.chmod(path, 0o777)
        ok(command.run(argv, cwd=path, env=self.env, **who), "spec")
        config = json.loads(read(path + "/config.json"))
        config["process"]["terminal"] = False
        config["root"]["readonly"] = False
        write(path + "/config.json", config)
        for top, dirs, files in os.walk(path):
            for name in [top] + [os.path.join(top, name) for name in files]:
                os.chown(name, uid, self.job.gid if uid else 0, follow_symlinks=False)
        return path

    def start(self):
        d = self.directory
        self.roots = [d + "/rt-root", d + "/rt-" + self.job.user]
        for path in [d + "/state", d + "/spool", d + "/munge"] + self.roots:
            os.mkdir(path)
        os.chown(self.roots[1], self.job.uid, self.job.gid)
        self.bundles = {uid: self.bundle(uid) for uid in (0, self.job.uid)}
        with open(d + "/munge/key", "wb") as file:
            file.write(os.urandom(1024))
        os.chmod(d + "/munge/key", 0o400)
        write(d + "/slurm.conf", SLURM_CONF % {"d": d})
        # slurmd refuses a hybrid host even when it uses no cgroups.
        write(d + "/cgroup.conf", "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\n")
        # What SchedMD documents for runc; crun wants options first.
        run = "-b %b %n.%u.%j.%s.%t" if self.job.kind == "crun" else "%n.%u.%j.%s.%t -b %b"
        write(d + "/oci.conf", OCI_CONF % {"d": d, "rt": self.runtime, "run": run})
        self.daemons = [background(argv, d + "/daemons.log", env=self.env) for argv in (
            ["munged", "-F", "-f", "-S", d + "/munge.sock", "--key-file", d + "/munge/key", "--pid-file",
             d + "/munge/pid", "--seed-file", d + "/munge/seed", "--log-file", d + "/munge/log"],
            ["slurmctld", "-D", "-c", "-f", d + "/slurm.conf"],
            ["slurmd", "-D", "-f", d + "/slurm.conf", "-N", "vm"])]
        try:
            wait_until(lambda: self("sinfo", "-h", "-o", "%T").out.strip() == "idle", 30, "an idle node")
        except check.Failed as why:
            check.fail("%s: %s", why, log_tail(d + "/daemons.log", 40))

    def stop(self):
        for child in reversed(self.daemons):
            end(child)

    def clear(self):
        self("scancel", "--state=RUNNING", "-u", "root")
        self("scancel", "--state=RUNNING", "-u", self.job.user)
        time.sleep(1)

    def step(self, *words, uid=0, opts=(), **kwargs):
        who = {"user": uid, "group": self.job.gid, "extra_groups": []} if uid else {}
        result = command.run(["srun", *opts, "--container=" + self.bundles[uid], *words], env=self.env, cwd="/tmp",
                             **who, **kwargs)
        return result

    def left(self):
        return [name for path in self.roots for name in os.listdir(path)]

    def nothing_left(self):
        try:
            wait_until(lambda: not self.left(), 8, "the end of its container")
        except check.Failed as why:
            check.fail("%s: %s", why, log_tail(self.directory + "/slurmd.log", 12))

    def submit(self, script, *opts):
        out = self.directory + "/out"
        job = ok(self("sbatch", "--parsable", "-o", out, *opts, "--container=" + self.bundles[0], "/dev/stdin",
                      stdin=script.encode()), "sbatch").out.strip()
        return job, out

    def state(self, job):
        return self("scontrol", "-o", "show", "job", job).out


@checks("slurm")
def step_prints(e):
    says(e.step("sh", "-c", "echo $(id -u) $(ls /bin/probe)"), "0 /bin/probe")
    e.nothing_left()


@checks("slurm")
def step_of_an_ordinary_user(e):
    out = ok(e.step("sh", "-c", "cat /proc/self/uid_map; echo mine >/tmp/file; ls /bin/probe", uid=e.job.uid)).out
    equal(out.split()[:3] + out.split()[-1:], ["0", str(e.job.uid), "1", "/bin/probe"], "its user namespace")
    e.nothing_left()


@checks("slurm")
def exit_code(e):
    ends(e.step("sh", "-c", "exit 9"), 9)
    e.nothing_left()


@checks("slurm")
def standard_input(e):
    says(e.step("cat", stdin=b"given\n"), "given")


@checks("slurm")
def job_environment_and_path(e):
    # PATH is there twice, the job's after the image's.
    says(e.step("sh", "-c", "test $SLURM_JOB_ID -gt 0 && echo $PATH"), os.environ["PATH"])


@checks("slurm")
def program_not_found(e):
    result = e.step("/no/such")
    check.check(result.rc != 0, "%s", result)
    contains(result.err, "/no/such")
    e.nothing_left()


@checks("slurm")
def batch_job(e):
    job, out = e.submit("#!/bin/sh\necho batch $(ls /bin/probe)\n")
    wait_until(lambda: "JobState=COMPLETED" in e.state(job), 15, "its end")
    # What slurmstepd says about a `state` that finds nothing is there too.
    equal(read(out).splitlines()[0], "batch /bin/probe", "output")
    e.nothing_left()


@checks("slurm")
def cancelled_job(e):
    job, out = e.submit("#!/bin/sh\ntrap 'exit 3' TERM\necho begun\nwhile :; do sleep 0.1; done\n")
    wait_until(lambda: os.path.exists(out) and "begun" in read(out), 15, "its begin")
    check.check(e.left(), "no container in the runtime's directory")
    ok(e("scancel", job))
    wait_until(lambda: "JobState=CANCELLED" in e.state(job), 20, "CANCELLED")
    e.nothing_left()


@checks("slurm")
def cancelled_job_that_ignores_it(e):
    job, out = e.submit("#!/bin/sh\ntrap '' TERM\necho begun\nsleep 100\n")
    wait_until(lambda: os.path.exists(out) and "begun" in read(out), 15, "its begin")
    ok(e("scancel", job))
    wait_until(lambda: "JobState=CANCELLED" in e.state(job), 20, "CANCELLED")
    e.nothing_left()


@checks("slurm")
def cancelled_step_of_an_ordinary_user(e):
    who = {"user": e.job.uid, "group": e.job.gid, "extra_groups": []}
    log = e.directory + "/step.log"
    # slurmstepd waits for ever for one that ignores TERM and keeps the output open, whatever the runtime.
    argv = ["srun", "--container=" + e.bundles[e.job.uid], "sh", "-c",
            "trap 'exit 3' TERM; echo begun; while :; do sleep 0.1; done"]
    child = background(argv, log, env=e.env, cwd="/tmp", **who)
    try:
        wait_until(lambda: "begun" in read(log), 10, "its begin")
        check.check(e.left(), "no container in the runtime's directory")
        ok(e("scancel", "-u", e.job.user))
        code = child.wait(20)
        check.check(code != 0, "exit code 0 of a cancelled step: %s", log_tail(log))
    finally:
        child.kill()
        child.wait()
    e.nothing_left()


@checks("slurm")
def killed_job(e):
    # Nothing tells the container: slurmstepd has to delete it.
    job, out = e.submit("#!/bin/sh\necho begun\nexec sleep 100\n")
    wait_until(lambda: os.path.exists(out) and "begun" in read(out), 15, "its begin")
    ok(e("scancel", "-s", "KILL", "--full", job))
    wait_until(lambda: "JobState=RUNNING" not in e.state(job), 20, "its end")
    e.nothing_left()
