/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/faults.h"

#ifdef BRYO_FAULTS

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

static bool named(const char *variable, const char *row)
{
	const char *name = getenv(variable);

	return name && !strcmp(name, row);
}

/*
 * The box may be in a pid namespace from which the host cannot be signalled; a
 * process beside the host does it at the box's word.
 */
void faults_prepare(struct box *b)
{
	pid_t host = getpid();
	int fds[2];
	char c;

	if (!getenv("BRYO_KILL") || pipe2(fds, O_CLOEXEC) < 0)
		return;
	b->faults.host = pidfd_open(host, 0);
	b->faults.killer = fds[1];
	if (fork() == 0) {
		dup2(fds[0], 0);
		close_range(1, ~0U, 0);
		if (read(0, &c, 1) == 1)
			kill(host, SIGKILL);
		_exit(0);
	}
	close(fds[0]);
}

static void kill_host(struct box *b)
{
	struct pollfd p = {.fd = b->faults.host, .events = POLLIN};

	if (b->side == HOST)
		raise(SIGKILL);
	if (write(b->faults.killer, "k", 1) == 1)
		poll(&p, 1, -1);
}

bool faults_inject(struct box *b, const char *row, int *ret, struct err *err)
{
	if (named("BRYO_KILL", row))
		kill_host(b);
	*ret = named("BRYO_FAIL", row) ? err_set(err, EIO, "injected") : 0;
	return *ret || named("BRYO_SKIP", row);
}

/* ---- what stands for files of the kernel ---- */

const char *faults_resctrl(void)
{
	return getenv("BRYO_RESCTRL");
}

const char *faults_apparmor(void)
{
	return getenv("BRYO_APPARMOR");
}

const char *faults_selinux(void)
{
	return getenv("BRYO_SELINUX");
}

static const char *const group_files[] = {"tasks", "schemata"};

static int group_path(char *path, size_t size, const char *group, const char *name)
{
	return (size_t)snprintf(path, size, "%s/%s", group, name) < size ? 0 : -1;
}

int faults_resctrl_mkdir(int dir, const char *name)
{
	char path[1024];
	int fd;

	if (mkdirat(dir, name, 0755) < 0)
		return -1;
	if (!faults_resctrl())
		return 0;
	for (size_t i = 0; i < 2; i++) {
		if (group_path(path, sizeof(path), name, group_files[i]) < 0)
			return -1;
		fd = openat(dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0 || close(fd) < 0)
			return -1;
	}
	return group_path(path, sizeof(path), name, "mon_groups") < 0 ? -1
								      : mkdirat(dir, path, 0755);
}

int faults_resctrl_rmdir(int dir, const char *name)
{
	char path[1024];

	for (size_t i = 0; faults_resctrl() && i < 2; i++)
		if (group_path(path, sizeof(path), name, group_files[i]) == 0)
			unlinkat(dir, path, 0);
	if (faults_resctrl() && group_path(path, sizeof(path), name, "mon_groups") == 0)
		unlinkat(dir, path, AT_REMOVEDIR);
	return unlinkat(dir, name, AT_REMOVEDIR);
}

#endif
