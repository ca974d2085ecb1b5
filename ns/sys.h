/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls that glibc has no function for: openat2(2), clone3(2).
 */
#ifndef BRYO_NS_SYS_H
#define BRYO_NS_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * openat2(2), close-on-exec.  EAGAIN means that a rename somewhere on the path
 * raced with a scoped lookup: the manual asks for a retry.  A hostile container
 * may rename for ever, so the number of tries is bounded.
 */
static inline int sys_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode,
			      uint64_t resolve)
{
	struct open_how how = {.flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve};
	long fd = -1;

	for (int tries = 0; tries < 128; tries++) {
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return (int)fd;
}

/*
 * fork(2) with the flags of clone3(2), into the cgroup of that handle (0: none):
 * no CLONE_VM, so the child goes on in a copy of the caller's memory and glibc
 * need not know.
 */
static inline pid_t sys_clone3_into(int cgroup, uint64_t flags, uint64_t exit_signal, int *pidfd)
{
	struct clone_args args = {
		.flags = flags | (pidfd ? CLONE_PIDFD : 0) | (cgroup ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = exit_signal,
		.cgroup = (uint64_t)(unsigned int)cgroup,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static inline pid_t sys_clone3(uint64_t flags, uint64_t exit_signal, int *pidfd)
{
	return sys_clone3_into(0, flags, exit_signal, pidfd);
}

#endif
