// SPDX-License-Identifier: Apache-2.0
/*
 * What the process can do, tried out.  Everything that succeeds is undone or
 * harmless; whatever changes the process is done in a child.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "probe.h"

#define ESCAPED 200  /* exit status of a child that got out; no errno is so big */
#define NO_CHILD 201 /* fork itself failed */
#define BY_SIGNAL 202

static int errno_of(int rc)
{
	return rc < 0 ? errno : 0;
}

/* The errno of `fn`, run in a child. */
static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn());
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return NO_CHILD;
	return WIFEXITED(status) ? WEXITSTATUS(status) : BY_SIGNAL;
}

static int try_write_root(void)
{
	int fd = open("/.probe-write", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	unlink("/.probe-write");
	return 0;
}

static int try_mknod(const char *path)
{
	if (mknod(path, S_IFCHR | 0600, makedev(1, 3)) < 0)
		return errno;
	unlink(path);
	return 0;
}

static int try_mount(void)
{
	if (mount("none", "/dev", "tmpfs", 0, NULL) < 0)
		return errno;
	umount2("/dev", MNT_DETACH);
	return 0;
}

static int try_remount_root(void)
{
	return errno_of(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
}

static int try_unshare_user(void)
{
	return errno_of(unshare(CLONE_NEWUSER));
}

static int try_unshare_mount(void)
{
	return errno_of(unshare(CLONE_NEWNS));
}

/*
 * The classic: a root directory below the working directory lets `..` climb
 * past it.  After a chroot(2) that leads to the host's tree, after a
 * pivot_root(2) only to the container's own root.
 */
static int try_chroot(void)
{
	struct stat before, after;

	if (stat("/", &before) < 0 || chdir("/") < 0)
		return errno;
	if (chroot("/dev") < 0 && chroot("/proc") < 0)
		return errno;
	for (int i = 0; i < 64; i++) {
		if (chdir("..") < 0)
			return errno;
	}
	if (chroot(".") < 0 || stat("/", &after) < 0)
		return errno;
	if (before.st_dev != after.st_dev || before.st_ino != after.st_ino)
		return ESCAPED;
	return 0;
}

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int try_tiocsti(void)
{
	char c = 'x';
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd >= 0)
		return errno_of(ioctl(fd, TIOCSTI, &c));
	return errno_of(ioctl(0, TIOCSTI, &c));
}

static int try_raw_socket(void)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 255);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int try_hostname(void)
{
	char name[128];

	if (gethostname(name, sizeof(name)) < 0)
		return errno;
	return errno_of(sethostname(name, strlen(name)));
}

static int try_setuid0(void)
{
	return errno_of(setuid(0));
}

static void out_result(const char *key, int num)
{
	if (num == ESCAPED)
		out_str(key, "escaped");
	else if (num == NO_CHILD)
		out_str(key, "no child");
	else if (num == BY_SIGNAL)
		out_str(key, "killed");
	else
		out_errno(key, num);
}

void report_attempts(void)
{
	out_open("attempts", '{');
	out_result("write_root", try_write_root());
	out_result("mknod_root", try_mknod("/.probe-node"));
	out_result("mknod_dev", try_mknod("/dev/.probe-node"));
	out_result("mount", try_mount());
	out_result("remount_root", try_remount_root());
	out_result("unshare_user", in_child(try_unshare_user));
	out_result("unshare_mount", in_child(try_unshare_mount));
	out_result("chroot", in_child(try_chroot));
	out_result("setuid0", in_child(try_setuid0));
	out_result("core_pattern", try_open("/proc/sys/kernel/core_pattern", O_WRONLY));
	out_result("sysrq", try_open("/proc/sysrq-trigger", O_WRONLY));
	out_result("exe_of_1", try_open("/proc/1/exe", O_WRONLY));
	out_result("mem_of_1", try_open("/proc/1/mem", O_RDWR));
	out_result("tiocsti", try_tiocsti());
	out_result("raw_socket", try_raw_socket());
	out_result("sethostname", try_hostname());
	out_close('}');
}
