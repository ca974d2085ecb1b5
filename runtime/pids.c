/* SPDX-License-Identifier: Apache-2.0 */
/* All processes of a container. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/commands.h"
#include "runtime/group.h"

/* Is that process in this pid namespace? */
static bool is_member(const char *pid, const struct stat *ns)
{
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s/ns/pid", pid);
	return stat(path, &st) == 0 && st.st_ino == ns->st_ino && st.st_dev == ns->st_dev;
}

/* Those of the pid namespace that the container made. */
static pid_t *namespace_pids(struct found *f, size_t *ret_n, struct err *err)
{
	pid_t *v = arena_array(&f->arena, 1, sizeof(*v)), *slot = v;
	size_t n = 0, cap = 1;
	char path[64];
	struct dirent *e;
	struct stat ns;
	DIR *d = opendir("/proc");

	snprintf(path, sizeof(path), "/proc/%lld/ns/pid", (long long)f->record.pid);
	if (!d || !v || stat(path, &ns) < 0) {
		err_set(err, v ? errno : ENOMEM, "the processes of container \"%s\"", f->record.id);
		if (d)
			closedir(d);
		return NULL;
	}
	v = NULL;
	cap = 0;
	while (slot && (e = readdir(d))) {
		if (!isdigit((unsigned char)e->d_name[0]) || !is_member(e->d_name, &ns))
			continue;
		slot = arena_push(&f->arena, &v, &n, &cap, sizeof(*v));
		if (slot)
			*slot = (pid_t)strtol(e->d_name, NULL, 10);
	}
	closedir(d);
	*ret_n = n;
	if (!v && slot)
		v = slot;
	if (!slot)
		err_set(err, ENOMEM, "the processes of container \"%s\"", f->record.id);
	return slot ? v : NULL;
}

pid_t *container_pids(struct found *f, size_t *ret_n, struct err *err)
{
	struct cgroup c;
	pid_t *v = NULL;

	if (group_open(f->dir, &f->arena, &c, err) < 0)
		return NULL;
	if (c.dir >= 0)
		v = cgroup_pids(c.dir, &f->arena, ret_n, err);
	else if (f->record.ownPidNamespace)
		v = namespace_pids(f, ret_n, err);
	else
		err_set(err, 0,
			"the processes of container \"%s\" cannot be told from others: it has "
			"neither a cgroup nor a pid namespace of its own",
			f->record.id);
	cgroup_finish(&c);
	return v;
}

static bool is_among(pid_t pid, const pid_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == pid)
			return true;
	return false;
}

/*
 * A handle is taken of each, then the list is read again: a pid that has been
 * recycled in between by a stranger is not in it, and one that has been recycled
 * by another process of the container has a handle that is dead.
 */
static int signal_each(struct found *f, int sig, struct err *err)
{
	size_t n, n_again = 0;
	pid_t *v = container_pids(f, &n, err), *again;
	int *fds = v ? arena_array(&f->arena, n + 1, sizeof(*fds)) : NULL;

	if (!v)
		return -1;
	if (!fds)
		return err_set(err, ENOMEM, "signal container \"%s\"", f->record.id);
	for (size_t i = 0; i < n; i++)
		fds[i] = pidfd_open(v[i], 0);
	again = container_pids(f, &n_again, err);
	for (size_t i = 0; i < n; i++) {
		if (fds[i] >= 0 && again && is_among(v[i], again, n_again))
			pidfd_send_signal(fds[i], sig, NULL, 0);
		fd_cleanup(&fds[i]);
	}
	return again ? 0 : -1;
}

/* At once, so that nothing that forks gets away. */
static int kill_group(struct found *f, bool *ret_killed, struct err *err)
{
	struct cgroup c;

	if (group_open(f->dir, &f->arena, &c, err) < 0)
		return -1;
	*ret_killed = c.dir >= 0 && cgroup_kill(c.dir, err) == 0;
	cgroup_finish(&c);
	return 0;
}

bool container_kill_group(struct found *f)
{
	struct err ignored;
	bool killed = false;

	return kill_group(f, &killed, &ignored) == 0 && killed;
}

int container_signal_all(struct found *f, int sig, struct err *err)
{
	bool killed = false;

	if (sig == SIGKILL && kill_group(f, &killed, err) < 0)
		return -1;
	return killed ? 0 : signal_each(f, sig, err);
}
