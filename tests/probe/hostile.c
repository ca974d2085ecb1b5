// SPDX-License-Identifier: Apache-2.0
/* Payloads that attack the runtime, or whoever comes into their namespaces. */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

/* An older libc numbers it, but does not wrap it. */
static int set_attr(const char *path, struct mount_attr *attr)
{
	return (int)syscall(SYS_mount_setattr, AT_FDCWD, path, 0, attr, sizeof(*attr));
}

/* ---- intrude ---- */

/*
 * Not the payload, which is this program, nor one that is about to be dead: it
 * has no memory any more, and no file.
 */
static void hit(int pid, const char *how)
{
	char path[64], target[128];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0 && errno != EACCES && errno != EPERM)
		return;
	target[n > 0 ? n : 0] = '\0';
	if (strcmp(target, "/probe") == 0)
		return;
	printf("hit %d %s %s\n", pid, how, target);
	fflush(stdout);
}

static void try_seize(int pid)
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0)
		return;
	hit(pid, "seized");
	ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	if (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
		ptrace(PTRACE_DETACH, pid, 0, 0);
}

static void try_open(int pid, const char *name, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	hit(pid, name);
	close(fd);
}

/* Pids are given out one by one, so a newcomer is among the next few: for ever. */
int intrude(char **arg)
{
	int top = getpid();

	(void)arg;
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		for (int pid = top; pid < top + 6; pid++) {
			if (pid == getpid() || (kill(pid, 0) < 0 && errno == ESRCH))
				continue;
			try_seize(pid);
			try_open(pid, "mem", O_RDWR);
			try_open(pid, "root", O_RDONLY);
			try_open(pid, "cwd", O_RDONLY);
			try_open(pid, "fd/0", O_PATH);
			try_open(pid, "fd/4", O_PATH);
			try_open(pid, "exe", O_RDONLY);
			top = pid;
		}
	}
}

/* ---- ambush ---- */

/*
 * Of a process that was seized before it had executed the payload, so that the kernel
 * reports that it does so: what it is confined by when it can be made to stop first.
 */
static bool caught_early(int pid)
{
	char path[64], *status, *filter, *caps;
	int what;

	ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	if (waitpid(pid, &what, __WALL) != pid || !WIFSTOPPED(what))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = slurp(path);
	filter = status ? strstr(status, "Seccomp:") : NULL;
	caps = status ? strstr(status, "CapPrm:\t") : NULL;
	printf("caught %d, filter %d, capabilities %.16s\n", pid, filter ? atoi(filter + 8) : -1,
	       caps ? caps + 8 : "?");
	free(status);
	ptrace(PTRACE_CONT, pid, 0, 0);
	if (waitpid(pid, &what, __WALL) != pid || !WIFSTOPPED(what))
		return false;
	ptrace(PTRACE_DETACH, pid, 0, 0);
	return what >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8);
}

/* For N seconds seize the next process that comes in, at the first moment that allows it. */
int ambush(char **arg)
{
	time_t end = time(NULL) + atoi(arg[0]);
	int hits = 0, top = getpid() + 1;
	bool there = false;

	printf("ready\n");
	fflush(stdout);
	while (time(NULL) <= end) {
		for (int i = 0; i < 1000; i++) {
			if (ptrace(PTRACE_SEIZE, top, 0, PTRACE_O_TRACEEXEC) == 0) {
				hits += caught_early(top++);
				there = false;
			} else if (errno != ESRCH) {
				there = true;
			} else if (there) {
				top++;
				there = false;
			}
		}
	}
	printf("hits %d\n", hits);
	return 0;
}

/* ---- unlock ---- */

static void tell(const char *what, int rc)
{
	printf("%s %s\n", rc < 0 ? errno_name(errno) : "UNLOCKED", what);
}

/* Take every flag off a mount, and what covers part of it; PATH COVERED. */
int unlock(char **arg)
{
	static const struct {
		const char *name;
		unsigned long long bit;
	} flags[] = {{"ro", MOUNT_ATTR_RDONLY},
		     {"nosuid", MOUNT_ATTR_NOSUID},
		     {"nodev", MOUNT_ATTR_NODEV},
		     {"noexec", MOUNT_ATTR_NOEXEC}};

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		struct mount_attr attr = {.attr_clr = flags[i].bit};

		tell(flags[i].name, set_attr(arg[0], &attr));
	}
	tell("remount", mount(NULL, arg[0], NULL, MS_REMOUNT | MS_BIND, NULL));
	tell("copy", (int)syscall(SYS_open_tree, AT_FDCWD, arg[0], OPEN_TREE_CLONE));
	tell("umount", umount2(arg[1], MNT_DETACH));
	return 0;
}

/* ---- plant, planted ---- */

/* A session keyring of that name, for everybody, with a key in it. */
int plant(char **arg)
{
	long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, arg[0]);

	if (ring < 0 || syscall(SYS_keyctl, KEYCTL_SETPERM, ring, 0x3f3f3f3f) < 0 ||
	    syscall(SYS_add_key, "user", "planted", "evil", 4, ring) < 0) {
		printf("plant: %s\n", errno_name(errno));
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	return (int)sleep(60);
}

int planted(char **arg)
{
	long key =
		syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", "planted", 0);

	(void)arg;
	printf("%s\n", key < 0 ? errno_name(errno) : "PLANTED");
	return 0;
}

/* ---- leaderless ---- */

static void *second_thread(void *arg)
{
	printf("ready\n");
	fflush(stdout);
	sleep(60);
	_exit(0);
	return arg;
}

/* The first thread ends, the process does not. */
int leaderless(char **arg)
{
	pthread_t thread;

	(void)arg;
	if (pthread_create(&thread, NULL, second_thread, NULL) != 0)
		return 1;
	syscall(SYS_exit, 0);
	return 1;
}

/* ---- mountinfo ---- */

/* The table of mounts, by the first of the paths that is a procfs: it may be moving. */
int mountinfo(char **dir)
{
	for (int i = 0; i < 1000; i++) {
		for (char **at = dir; *at; at++) {
			char path[64], *text;

			snprintf(path, sizeof(path), "%s/self/mountinfo", *at);
			text = slurp(path);
			if (!text)
				continue;
			printf("%s", text);
			return 0;
		}
		usleep(100);
	}
	return 1;
}
