/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/nsset.h"

#include <linux/nsfs.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ns/procfs.h"
#include "ns/sys.h"
#include "runtime/base/fd.h"

const char *const nsset_type_names[NS_COUNT] = {
	"user", "mount", "pid", "network", "ipc", "uts", "cgroup", "time",
};
const char *const nsset_proc_names[NS_COUNT] = {
	"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time",
};

const uint64_t nsset_clone_flags[NS_COUNT] = {
	CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,    CLONE_NEWNET,
	CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP, CLONE_NEWTIME,
};

bool nsset_private(const struct nsset *ns, enum ns_type type)
{
	return (ns->create & nsset_clone_flags[type]) || ns->named[type];
}

bool nsset_joins(const struct nsset *ns)
{
	for (int t = 0; t < NS_COUNT; t++)
		if (ns->named[t])
			return true;
	return false;
}

/*
 * The handle must be a namespace (any file may be named) and of the type asked
 * for: the specification wants an error otherwise.
 */
static int open_one(struct nsset *ns, const struct spec_namespace *n, struct err *err)
{
	auto_close int fd = open(n->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char own[64];
	struct stat st, mine;
	int type;

	if (fd < 0)
		return err_at(err, "/path", errno, "open namespace %s", n->path);
	type = ioctl(fd, NS_GET_NSTYPE);
	if (type < 0)
		return err_at(err, "/path", 0, "%s is not a namespace", n->path);
	if ((uint64_t)type != nsset_clone_flags[n->type])
		return err_at(err, "/path", 0, "%s is not a %s namespace", n->path,
			      nsset_type_names[n->type]);
	snprintf(own, sizeof(own), "/proc/self/ns/%s", nsset_proc_names[n->type]);
	if (fstat(fd, &st) < 0 || stat(own, &mine) < 0)
		return err_at(err, "/path", errno, "stat %s", n->path);
	/*
	 * Joining the caller's own namespace is the same as inheriting it; for a
	 * user namespace the kernel would refuse it, and for the mount namespace
	 * bryo does: the container's mounts would be made in the host's table.
	 */
	if (st.st_dev == mine.st_dev && st.st_ino == mine.st_ino) {
		if (n->type == NS_MOUNT)
			return err_at(err, "/path", 0, "%s is the caller's own mount namespace",
				      n->path);
		ns->named[n->type] = false;
		return 0;
	}
	ns->join[n->type] = fd_take(&fd);
	return 0;
}

int nsset_open(struct nsset *ns, const struct spec *s, struct err *err)
{
	const struct spec_namespaces *list = &s->linux_->namespaces;

	for (size_t i = 0; i < list->n; i++) {
		if (!list->v[i].path)
			continue;
		if (open_one(ns, &list->v[i], err) < 0)
			return err_under(err, "/linux/namespaces/%zu", i);
	}
	return 0;
}

/* A map of ids as proc shows it; the middle column is of no use to who joins. */
static int read_map(int procfd, pid_t pid, const char *name, struct arena *a,
		    struct spec_idmaps *ret, struct err *err)
{
	size_t size = 64 * 1024, cap = 0;
	char path[64], *text = arena_alloc(a, size), *line, *rest;

	if (!text)
		return err_set(err, ENOMEM, "the map of ids");
	snprintf(path, sizeof(path), "%d/%s", pid, name);
	if (procfs_read(procfd, path, text, size) < 0)
		return err_set(err, errno, "read /proc/%s", path);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		struct spec_idmap *m = arena_push(a, &ret->v, &ret->n, &cap, sizeof(*m));

		if (!m)
			return err_set(err, ENOMEM, "the map of ids");
		if (sscanf(line, "%u %u %u", &m->containerID, &m->hostID, &m->size) != 3)
			return err_set(err, 0, "/proc/%s cannot be understood", path);
	}
	return 0;
}

/* The directory of a process's namespaces: to look up one by one from /proc takes longer. */
static int open_namespaces(int procfd, const char *process, struct err *err)
{
	char path[32];
	int dir;

	snprintf(path, sizeof(path), "%s/ns", process);
	dir = openat(procfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? err_set(err, errno, "look at /proc/%s", path) : dir;
}

/* What namespaces there are to join, and which of them are the caller's own. */
static int compare_namespaces(struct nsset *ns, const char *process, struct err *err)
{
	auto_close int its = open_namespaces(ns->procfd, process, err);
	auto_close int own = its < 0 ? -1 : open_namespaces(ns->procfd, "self", err);

	if (own < 0)
		return -1;
	for (int t = 0; t < NS_COUNT; t++) {
		struct stat theirs, ours;

		/* A kernel may be without some: CONFIG_TIME_NS. */
		ns->join[t] = -1;
		if (fstatat(own, nsset_proc_names[t], &ours, 0) < 0 && errno == ENOENT)
			continue;
		if (fstatat(its, nsset_proc_names[t], &theirs, 0) < 0 ||
		    fstatat(own, nsset_proc_names[t], &ours, 0) < 0)
			return err_set(err, errno, "look at /proc/%s/ns/%s", process,
				       nsset_proc_names[t]);
		ns->seen[t] = theirs.st_ino;
		ns->named[t] = theirs.st_dev != ours.st_dev || theirs.st_ino != ours.st_ino;
		ns->join[t] = ns->named[t] ? ns->target : -1;
	}
	return 0;
}

bool nsset_denies_groups(int procfd, const char *process)
{
	char path[32], word[8];

	snprintf(path, sizeof(path), "%s/setgroups", process);
	return procfs_read(procfd, path, word, sizeof(word)) > 0 && !strncmp(word, "deny", 4);
}

int nsset_target(struct nsset *ns, int pidfd, pid_t pid, int procfd, struct arena *a,
		 struct err *err)
{
	struct pollfd alive = {.fd = pidfd, .events = POLLIN};
	char number[16];

	*ns = (struct nsset){.target = pidfd, .procfd = procfd, .pidfd = -1};
	snprintf(number, sizeof(number), "%d", pid);
	if (compare_namespaces(ns, number, err) < 0)
		return -1;
	ns->in_userns = ns->named[NS_USER];
	ns->groups_denied = nsset_denies_groups(procfd, number);
	if (ns->in_userns && (read_map(procfd, pid, "uid_map", a, &ns->uid, err) < 0 ||
			      read_map(procfd, pid, "gid_map", a, &ns->gid, err) < 0))
		return -1;
	/* Alive now, so all that was read was of this process. */
	if (poll(&alive, 1, 0) != 0)
		return err_set(err, 0, "the container's first process has ended");
	return 0;
}

/* The type is needed with a pidfd, and checked again with a namespace's own handle. */
static int join(const struct nsset *ns, int type)
{
	return setns(ns->join[type], (int)nsset_clone_flags[type]);
}

/*
 * Join what can be joined with the privilege at hand, then the user namespace,
 * then what only its owner may join.  A caller who is root on the host may
 * join host namespaces that the user namespace does not own, and an ordinary
 * user may join nothing before the user namespace: hence two passes.
 */
static int join_all(const struct nsset *ns, struct err *err)
{
	bool joined[NS_COUNT] = {false};

	for (int t = NS_USER + 1; t < NS_COUNT; t++)
		if (ns->join[t] >= 0 && ns->join[NS_USER] >= 0)
			joined[t] = join(ns, t) == 0;
	for (int t = NS_USER; t < NS_COUNT; t++) {
		if (ns->join[t] < 0 || joined[t] || join(ns, t) == 0)
			continue;
		err_set(err, errno, "join the %s namespace", nsset_type_names[t]);
		if (ns->target)
			return -1;
		return err_under(err, "/linux/namespaces/%zu/path", ns->place[t]);
	}
	return 0;
}

static uint64_t flags_of_clone(const struct nsset *ns)
{
	/*
	 * The time namespace is made later, in the box: its offsets can be set
	 * only while no process is in it.  The cgroup namespace has as its root
	 * the cgroup of who makes it, which with CLONE_INTO_CGROUP would be ours:
	 * the box makes it, once it is in its own.
	 */
	return ns->create & ~(uint64_t)(CLONE_NEWTIME | (ns->cgroup ? CLONE_NEWCGROUP : 0));
}

static pid_t clone_failed(const struct nsset *ns, int num, struct err *err)
{
	err_at(err, "/linux/namespaces", num, "make namespaces%s",
	       ns->cgroup ? " and a process in the cgroup" : "");
	if (ns->cgroup && num == EAGAIN)
		err_hint(err, "pids.max of the cgroup, or of one above it, is reached");
	else if (ns->cgroup && num == EACCES)
		err_hint(err, "you may not write to cgroup.procs in the nearest cgroup above both "
			      "it and your own");
	else if (ns->cgroup && (num == EBUSY || num == EOPNOTSUPP))
		err_hint(err, "the cgroup, or one above it, may hold no processes");
	else if (ns->create & CLONE_NEWUSER)
		nsset_userns_hint(err);
	else if (num == EPERM && !ns->privileged)
		err_hint(err, "you are not root, and --rootless=false forbids a user namespace");
	return -1;
}

/* What the joining process tells its parent, in memory that both see. */
struct join_result {
	pid_t pid;
	int num;
	struct err err;
};

/*
 * The container's first process may have gone into other namespaces since it was
 * looked at, between two of the joins even: into some of its own making, perhaps,
 * with privilege over them from others.  So what was joined must be what was seen.
 */
static int check_joined(const struct nsset *ns, struct err *err)
{
	auto_close int own = ns->target ? open_namespaces(ns->procfd, "self", err) : -1;

	if (ns->target && own < 0)
		return -1;
	for (int t = 0; ns->target && t < NS_COUNT; t++) {
		const char *name = t == NS_PID ? "pid_for_children" : nsset_proc_names[t];
		struct stat st;

		if (!ns->named[t])
			continue;
		if (fstatat(own, name, &st, 0) < 0)
			return err_set(err, errno, "look at /proc/self/ns/%s", name);
		if (st.st_ino != ns->seen[t])
			return err_set(err, 0,
				       "the container's first process has changed its %s "
				       "namespace meanwhile",
				       nsset_type_names[t]);
	}
	return 0;
}

/* In the helper: 0 in the box, which it has made; else it ends. */
static int join_and_clone(struct nsset *ns, pid_t caller, struct join_result *r)
{
	pid_t pid;

	/* In a cgroup that is frozen it may wait for longer than the caller lives. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != caller)
		_exit(0);
	if (ns->before_join && ns->before_join(ns->arg, &r->err) < 0)
		_exit(0);
	/*
	 * Processes that are there already must not trace what comes in, nor
	 * see its descriptors; the box inherits it.
	 */
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || join_all(ns, &r->err) < 0 ||
	    check_joined(ns, &r->err) < 0)
		_exit(0);
	if (ns->before_clone && ns->before_clone(ns->arg, &r->err) < 0)
		_exit(0);
	/* Not straight into *r, where the box would write its 0 too. */
	pid = sys_clone3(flags_of_clone(ns) | CLONE_PARENT, 0, NULL);
	if (pid == 0)
		return 0;
	r->num = pid < 0 ? errno : 0;
	r->pid = pid;
	_exit(0);
}

/* Until the helper has ended, or somebody asks us to stop: then it is made to end. */
static void await_helper(const struct nsset *ns, pid_t helper, int pidfd)
{
	struct pollfd p[2] = {{.fd = pidfd, .events = POLLIN},
			      {.fd = ns->stop ? ns->stop : -1, .events = POLLIN}};

	while (poll(p, 2, -1) < 0 && errno == EINTR)
		;
	if (!p[0].revents)
		kill(helper, SIGKILL);
	while (waitpid(helper, NULL, 0) < 0 && errno == EINTR)
		;
}

/*
 * setns(2) concerns the process that calls it (and, for pid namespaces, its
 * children).  So a helper process joins, and makes the box as its own sibling
 * (CLONE_PARENT): the caller stays where it is.
 *
 * The helper is born in the cgroup, for the box to inherit it: once it has joined
 * a user or a cgroup namespace it would not be allowed to move there.
 */
static pid_t clone_joined(struct nsset *ns, struct err *err)
{
	struct join_result *r =
		mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t helper, caller = getpid();
	auto_close int pidfd = -1;

	if (r == MAP_FAILED)
		return err_set(err, errno, "memory for joining namespaces");
	helper = sys_clone3_into(ns->cgroup, 0, SIGCHLD, &pidfd);
	if (helper == 0)
		return join_and_clone(ns, caller, r);
	if (helper < 0) {
		clone_failed(ns, errno, err);
	} else {
		await_helper(ns, helper, pidfd);
		if (r->pid > 0) {
			ns->pid = r->pid;
			/* Our child, not reaped: its pid is nobody else's. */
			ns->pidfd = pidfd_open(ns->pid, 0);
			if (ns->pidfd < 0)
				err_set(err, errno, "pidfd of the box");
		} else if (r->num) {
			clone_failed(ns, r->num, err);
		} else if (r->err.msg[0]) {
			*err = r->err;
		} else {
			err_set(err, 0, "the process that joins the namespaces died");
		}
	}
	munmap(r, sizeof(*r));
	return ns->pid > 0 && ns->pidfd >= 0 ? ns->pid : -1;
}

pid_t nsset_clone(struct nsset *ns, struct err *err)
{
	pid_t pid;

	for (int t = 0; t < NS_COUNT; t++)
		if (ns->join[t] >= 0)
			return clone_joined(ns, err);
	pid = sys_clone3_into(ns->cgroup, flags_of_clone(ns), SIGCHLD, &ns->pidfd);
	if (pid < 0)
		return clone_failed(ns, errno, err);
	if (pid > 0)
		ns->pid = pid;
	return pid;
}

void nsset_kill(struct nsset *ns)
{
	if (ns->pid <= 0)
		return;
	/* The pid is that of a child not yet reaped, so it cannot be recycled. */
	kill(ns->pid, SIGKILL);
	while (waitpid(ns->pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	ns->pid = 0;
}

void nsset_finish(struct nsset *ns)
{
	for (int t = 0; t < NS_COUNT; t++) {
		if (!ns->target)
			fd_cleanup(&ns->join[t]);
		ns->join[t] = -1;
	}
	fd_cleanup(&ns->pidfd);
	ns->pidfd = -1;
}

static uint32_t first_id(const struct spec_idmaps *maps)
{
	uint32_t lowest = maps->n ? maps->v[0].containerID : 0;

	for (size_t i = 1; i < maps->n; i++)
		if (maps->v[i].containerID < lowest)
			lowest = maps->v[i].containerID;
	return lowest;
}

int nsset_become_root(const struct nsset *ns, struct err *err)
{
	uid_t uid = first_id(&ns->uid);
	gid_t gid = first_id(&ns->gid);

	/*
	 * A process that came from outside keeps its ids, which may not even be
	 * mapped: files made with those would fail with EOVERFLOW.
	 */
	if (ns->in_userns && (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0))
		return err_set(err, errno, "become %u:%u in the user namespace", uid, gid);
	/*
	 * A hostile process in a pid namespace that is joined must not trace us
	 * or look at our descriptors.  execve(2) makes the payload dumpable again.
	 */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_set(err, errno, "prctl(PR_SET_DUMPABLE)");
	/* A change of ids has cleared it (prctl(2)). */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_set(err, errno, "prctl(PR_SET_PDEATHSIG)");
	return 0;
}

int nsset_enter_time(const struct spec_timeoffsets *offsets, int procfd, struct err *err)
{
	auto_close int fd = -1;

	if (unshare(CLONE_NEWTIME) < 0)
		return err_set(err, errno, "make the time namespace");
	for (size_t i = 0; i < offsets->n; i++) {
		const struct spec_timeoffset *o = &offsets->v[i];
		char line[96];
		int n = snprintf(line, sizeof(line), "%s %lld %u\n", o->key, (long long)o->secs,
				 o->nanosecs);

		if (procfs_write(procfd, "self/timens_offsets", line, (size_t)n) < 0) {
			err_set(err, errno, "set the %s clock's offset", o->key);
			return err_under(err, "/%s", o->key);
		}
	}
	fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0)
		return err_set(err, errno, "enter the time namespace");
	return 0;
}

/*
 * One flag of one interface: the ioctl of netdevice(7), and not libmnl, which
 * Debian has as a shared library only.  The binary is static, since linking
 * libmnl costs every invocation (`state` and `kill` too) 0.2 ms.
 */
int nsset_loopback_up(struct err *err)
{
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = {.ifr_name = "lo"};

	if (fd < 0)
		return err_set(err, errno, "socket for the loopback interface");
	if (ioctl(fd, SIOCGIFFLAGS, &lo) < 0)
		return err_set(err, errno, "flags of lo");
	lo.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		return err_set(err, errno, "set lo up");
	return 0;
}

/* The number in a file of /proc/sys, or -1. */
static long sysctl_number(const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buf[32];
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return -1;
	buf[n] = '\0';
	return strtol(buf, NULL, 10);
}

void nsset_userns_hint(struct err *err)
{
	if (sysctl_number("/proc/sys/user/max_user_namespaces") == 0)
		err_hint(err, "user namespaces are switched off: as root, "
			      "sysctl user.max_user_namespaces=10000");
	else if (sysctl_number("/proc/sys/kernel/unprivileged_userns_clone") == 0)
		err_hint(err, "user namespaces are for root only here: as root, "
			      "sysctl kernel.unprivileged_userns_clone=1");
	else if (sysctl_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1)
		err_hint(err, "AppArmor restricts user namespaces: add a profile for bryo, or, as "
			      "root, sysctl kernel.apparmor_restrict_unprivileged_userns=0");
	else if (err->num == EPERM)
		err_hint(err, "a seccomp filter, a chroot or a security module around bryo may "
			      "forbid user namespaces");
	else if (err->num == ENOSPC || err->num == EUSERS)
		err_hint(err, "a limit is reached: see user.max_*_namespaces, and at most 32 "
			      "levels of user namespaces");
}
