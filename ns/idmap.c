/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which ids the box has, and writing them: user_namespaces(7), newuidmap(1),
 * subuid(5).
 */
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ns/nsset.h"
#include "ns/procfs.h"
#include "ns/sys.h"
#include "runtime/base/fd.h"

/*
 * The helpers are looked for in these places only: a PATH of the caller's could
 * name somebody else's program.
 */
static const char *const helper_dirs[] = {"/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin"};

struct helper {
	const char *name, *pointer;
	char path[64];
	pid_t pid;
	int log; /* what it says */
};

static bool is_effective(cap_value_t cap)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t v = CAP_CLEAR;

	if (caps)
		cap_get_flag(caps, cap, CAP_EFFECTIVE, &v);
	cap_free(caps);
	return v == CAP_SET;
}

/*
 * A name for the caller's uid, from /etc/passwd alone: a static binary cannot
 * load the modules of nsswitch.conf(5).  Without one the uid itself is what
 * subuid(5) is searched for.
 */
static void caller_name(char *name, size_t size)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd *pw;

	name[0] = '\0';
	while (f && (pw = fgetpwent(f)))
		if (pw->pw_uid == getuid()) {
			snprintf(name, size, "%s", pw->pw_name);
			break;
		}
	if (f)
		fclose(f);
}

/* The first range that a line "name:start:count" of subuid(5) grants. */
static bool granted_range(const char *file, uint32_t id, uint32_t *start, uint32_t *count)
{
	FILE *f = fopen(file, "re");
	char name[128], number[16], line[256];
	bool found = false;

	caller_name(name, sizeof(name));
	snprintf(number, sizeof(number), "%u", id);
	while (f && !found && fgets(line, sizeof(line), f)) {
		char *rest = line, *who = strsep(&rest, ":"), *from = strsep(&rest, ":");

		if (!rest || (strcmp(who, name) != 0 && strcmp(who, number) != 0))
			continue;
		*start = (uint32_t)strtoul(from, NULL, 10);
		*count = (uint32_t)strtoul(rest, NULL, 10);
		found = *start && *count && *count <= UINT32_MAX - 1 - *start;
	}
	if (f)
		fclose(f);
	return found;
}

/* The caller as 0, and what is granted from 1 on. */
static int map_caller(struct spec_idmaps *maps, uint32_t id, bool granted, uint32_t start,
		      uint32_t count, struct arena *a)
{
	maps->v = arena_array(a, 2, sizeof(*maps->v));
	if (!maps->v)
		return -1;
	maps->v[0] = (struct spec_idmap){.containerID = 0, .hostID = id, .size = 1};
	maps->v[1] = (struct spec_idmap){.containerID = 1, .hostID = start, .size = count};
	maps->n = granted ? 2 : 1;
	return 0;
}

static int map_by_default(struct nsset *ns, struct arena *a, struct err *err)
{
	uint32_t ustart = 0, ucount = 0, gstart = 0, gcount = 0;
	bool granted =
		granted_range("/etc/subuid", geteuid(), &ustart, &ucount) &&
		granted_range("/etc/subgid", geteuid(), &gstart, &gcount) &&
		(access("/usr/bin/newuidmap", X_OK) == 0 || access("/bin/newuidmap", X_OK) == 0);

	if (map_caller(&ns->uid, geteuid(), granted, ustart, ucount, a) < 0 ||
	    map_caller(&ns->gid, getegid(), granted, gstart, gcount, a) < 0)
		return err_set(err, ENOMEM, "id maps");
	return 0;
}

/* user_namespaces(7): the one map that needs no privilege. */
static bool is_self_map(const struct spec_idmaps *maps, uint32_t self)
{
	return maps->n == 1 && maps->v[0].size == 1 && maps->v[0].hostID == self;
}

void nsset_choose_writer(struct nsset *ns)
{
	if (is_effective(CAP_SETUID) && is_effective(CAP_SETGID))
		return;
	if (is_self_map(&ns->uid, geteuid()) && is_self_map(&ns->gid, getegid()))
		ns->deny_setgroups = true;
	else
		ns->map_helpers = true;
}

static int plan_maps(struct nsset *ns, const struct spec_linux *l, struct arena *a, struct err *err)
{
	ns->uid = l->uidMappings;
	ns->gid = l->gidMappings;
	if (!ns->uid.n != !ns->gid.n)
		return err_at(err, ns->uid.n ? "/linux/gidMappings" : "/linux/uidMappings", 0,
			      "uidMappings and gidMappings go together");
	if (!ns->uid.n && ns->privileged)
		return err_at(err, "/linux/uidMappings", 0,
			      "a user namespace made by root needs mappings");
	if (!ns->uid.n && map_by_default(ns, a, err) < 0)
		return -1;
	nsset_choose_writer(ns);
	return 0;
}

/* Only the initial user namespace maps all ids to themselves (user_namespaces(7)). */
static bool in_child_userns(void)
{
	auto_close int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	unsigned int inside, outside, size;
	char buf[64];
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return true;
	buf[n] = '\0';
	return sscanf(buf, "%u %u %u", &inside, &outside, &size) != 3 || inside || outside ||
	       size != UINT32_MAX;
}

int nsset_plan(struct nsset *ns, const struct spec *s, bool may_add, struct arena *a,
	       struct err *err)
{
	const struct spec_namespaces *list = &s->linux_->namespaces;

	*ns = (struct nsset){.pidfd = -1,
			     .privileged = is_effective(CAP_SYS_ADMIN),
			     .in_child_userns = in_child_userns()};
	for (int t = 0; t < NS_COUNT; t++)
		ns->join[t] = -1;
	for (size_t i = 0; i < list->n; i++) {
		ns->place[list->v[i].type] = i;
		if (list->v[i].type == NS_USER)
			ns->in_userns = true;
		if (list->v[i].path)
			ns->named[list->v[i].type] = true;
		else
			ns->create |= nsset_clone_flags[list->v[i].type];
	}
	if (!ns->in_userns && !ns->privileged && may_add) {
		ns->create |= CLONE_NEWUSER;
		ns->in_userns = ns->added_userns = true;
	}
	if (ns->create & CLONE_NEWUSER)
		return plan_maps(ns, s->linux_, a, err);
	return 0;
}

static int write_map(pid_t pid, int procfd, const char *file, const struct spec_idmaps *maps,
		     struct err *err)
{
	auto_free char *text = malloc(maps->n * 36 + 1);
	char path[48];
	size_t len = 0;

	if (!text)
		return err_set(err, ENOMEM, "write %s", file);
	for (size_t i = 0; i < maps->n; i++)
		len += (size_t)sprintf(text + len, "%u %u %u\n", maps->v[i].containerID,
				       maps->v[i].hostID, maps->v[i].size);
	snprintf(path, sizeof(path), "%d/%s", pid, file);
	if (procfs_write(procfd, path, text, len) == 0)
		return 0;
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not know auto_free. */
	err_set(err, errno, "write %s", file);
	nsset_userns_hint(err);
	return -1;
}

static int write_maps(const struct nsset *ns, int procfd, struct err *err)
{
	char path[48];

	snprintf(path, sizeof(path), "%d/setgroups", ns->pid);
	/* Without it the kernel refuses an unprivileged gid_map (CVE-2014-8989). */
	if (ns->deny_setgroups && procfs_write(procfd, path, "deny", 4) < 0)
		return err_set(err, errno, "write setgroups");
	if (write_map(ns->pid, procfd, "uid_map", &ns->uid, err) < 0)
		return err_under(err, "/linux/uidMappings");
	if (write_map(ns->pid, procfd, "gid_map", &ns->gid, err) < 0)
		return err_under(err, "/linux/gidMappings");
	return 0;
}

/* A program of root's that nobody else can change, with the privilege it needs. */
static int find_helper(struct helper *h, struct err *err)
{
	struct stat st;

	for (size_t i = 0; i < sizeof(helper_dirs) / sizeof(helper_dirs[0]); i++) {
		snprintf(h->path, sizeof(h->path), "%s/%s", helper_dirs[i], h->name);
		if (stat(h->path, &st) < 0)
			continue;
		if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
			return err_at(err, h->pointer, 0,
				      "%s is not root's alone and will not be run", h->path);
		return 0;
	}
	err_at(err, h->pointer, 0, "%s is needed to map ranges of ids and is not installed",
	       h->name);
	return err_hint(err, "as root: apt install uidmap; or map one id only, your own");
}

/* argv of newuidmap(1): PID, then three numbers a range. */
static char **helper_args(const struct helper *h, pid_t pid, const struct spec_idmaps *maps,
			  struct arena *a)
{
	char **argv = arena_array(a, 3 + 3 * maps->n, sizeof(char *));
	size_t n = 0;

	if (!argv)
		return NULL;
	argv[n++] = (char *)h->name;
	argv[n++] = arena_printf(a, "%d", pid);
	for (size_t i = 0; i < maps->n; i++) {
		argv[n++] = arena_printf(a, "%u", maps->v[i].containerID);
		argv[n++] = arena_printf(a, "%u", maps->v[i].hostID);
		argv[n++] = arena_printf(a, "%u", maps->v[i].size);
	}
	for (size_t i = 0; i < n; i++)
		if (!argv[i])
			return NULL;
	return argv;
}

static int start_helper(struct helper *h, pid_t pid, const struct spec_idmaps *maps,
			struct err *err)
{
	char *env[] = {NULL};
	posix_spawn_file_actions_t fa;
	struct arena a = {0};
	int out[2], bad;
	char **argv;

	if (find_helper(h, err) < 0)
		return -1;
	argv = helper_args(h, pid, maps, &a);
	if (!argv || pipe2(out, O_CLOEXEC) < 0) {
		arena_finish(&a);
		return err_set(err, argv ? errno : ENOMEM, "start %s", h->path);
	}
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, out[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&fa, out[1], STDERR_FILENO);
	bad = posix_spawn(&h->pid, h->path, &fa, NULL, argv, env);
	posix_spawn_file_actions_destroy(&fa);
	arena_finish(&a);
	close(out[1]);
	h->log = out[0];
	if (bad) {
		h->pid = 0;
		return err_at(err, h->pointer, bad, "start %s", h->path);
	}
	return 0;
}

static int helper_failed(const struct helper *h, const char *said, struct err *err)
{
	struct stat st;

	err_at(err, h->pointer, 0, "%s failed: %.*s", h->path, (int)strcspn(said, "\n"), said);
	/* File capabilities (Fedora, Arch) do as well as the set-uid bit (Debian). */
	if (stat(h->path, &st) == 0 && !(st.st_mode & S_ISUID) && strstr(said, "ot permitted"))
		return err_hint(err, "it has no set-uid bit: as root, chmod u+s %s", h->path);
	return err_hint(err, "the ids must be granted to you in /etc/sub%cid", h->name[3]);
}

static int await_helper(struct helper *h, struct err *err)
{
	char said[200];
	size_t len = 0;
	ssize_t n;
	int status = 0;

	while (len < sizeof(said) - 1 && (n = read(h->log, said + len, sizeof(said) - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = '\0';
	close(h->log);
	h->log = -1;
	while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : helper_failed(h, said, err);
}

/* Both helpers at once: each costs an exec of a set-uid program. */
static int run_helpers(const struct nsset *ns, struct err *err)
{
	struct helper u = {.name = "newuidmap", .pointer = "/linux/uidMappings", .log = -1};
	struct helper g = {.name = "newgidmap", .pointer = "/linux/gidMappings", .log = -1};
	struct err ignored;
	int bad;

	bad = start_helper(&u, ns->pid, &ns->uid, err);
	if (!bad)
		bad = start_helper(&g, ns->pid, &ns->gid, err);
	if (u.pid)
		bad |= await_helper(&u, bad ? &ignored : err);
	if (g.pid)
		bad |= await_helper(&g, bad ? &ignored : err);
	fd_cleanup(&u.log);
	fd_cleanup(&g.log);
	return bad ? -1 : 0;
}

int nsset_map_ids(const struct nsset *ns, int procfd, struct err *err)
{
	return ns->map_helpers ? run_helpers(ns, err) : write_maps(ns, procfd, err);
}

/* A user namespace exists through somebody who is in it; a handle then keeps it. */
static _Noreturn void stay(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static int open_mapped(pid_t pid, int procfd, const struct spec_idmaps *uid,
		       const struct spec_idmaps *gid, struct err *err)
{
	char path[64];
	int fd;

	if (write_map(pid, procfd, "uid_map", uid, err) < 0)
		return err_under(err, "/uidMappings");
	if (write_map(pid, procfd, "gid_map", gid, err) < 0)
		return err_under(err, "/gidMappings");
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_at(err, "/uidMappings", errno, "open a user namespace") : fd;
}

int nsset_mapped_userns(const struct spec_idmaps *uid, const struct spec_idmaps *gid, int procfd,
			struct err *err)
{
	pid_t pid = sys_clone3(CLONE_NEWUSER, SIGCHLD, NULL);
	int fd;

	if (pid == 0)
		stay();
	if (pid < 0) {
		err_at(err, "/uidMappings", errno, "make a user namespace");
		nsset_userns_hint(err);
		return -1;
	}
	fd = open_mapped(pid, procfd, uid, gid, err);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return fd;
}
