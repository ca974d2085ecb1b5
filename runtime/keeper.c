/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/stop.h"
#include "runtime/box.h"

#define FILE_NAME "exit"

int keeper_status(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

pid_t keeper_fork(int *ret_channel, struct err *err)
{
	pid_t caller = getpid(), pid;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, errno, "pipe");
	pid = fork();
	if (pid < 0) {
		close(ends[0]);
		close(ends[1]);
		return err_set(err, errno, "fork");
	}
	close(ends[pid ? 1 : 0]);
	*ret_channel = ends[pid ? 0 : 1];
	if (pid)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != caller)
		_exit(EXIT_BRYO);
	return 0;
}

static int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_BRYO;
	return keeper_status(status);
}

int keeper_await(pid_t keeper, int channel, struct err *err)
{
	auto_close int told = channel, sigfd = stop_open(err);
	struct pollfd p[2] = {{.fd = told, .events = POLLIN}, {.fd = sigfd, .events = POLLIN}};
	struct signalfd_siginfo info;
	char started;

	if (sigfd < 0)
		return -1;
	while (!p[0].revents) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_set(err, errno, "poll");
		if (p[1].revents && read(sigfd, &info, sizeof(info)) == sizeof(info))
			kill(keeper, (int)info.ssi_signo);
	}
	return read(told, &started, 1) == 1 ? 0 : reap(keeper);
}

int keeper_note(struct box *b, struct err *err)
{
	b->exit_file = openat(b->dir, FILE_NAME,
			      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return b->exit_file < 0 ? err_set(err, errno, "make the file of the exit status") : 0;
}

/*
 * Nothing of the caller's is held on to: a pipe that he reads to its end, a terminal, the
 * lock of an overlay, a directory that he wants to unmount.  All that is left are 3, the
 * file, and 4, the channel.
 */
static int let_go(int file, int channel)
{
	int null;

	/* Out of the way of one another. */
	file = fcntl(file, F_DUPFD_CLOEXEC, 5);
	channel = fcntl(channel, F_DUPFD_CLOEXEC, 5);
	if (file < 0 || channel < 0 || dup3(file, 3, O_CLOEXEC) < 0 ||
	    dup3(channel, 4, O_CLOEXEC) < 0)
		return -1;
	null = open("/dev/null", O_RDWR | O_NOCTTY | O_CLOEXEC);
	for (int fd = 0; fd < 3; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return -1;
	if (close_range(5, ~0U, 0) < 0 || chdir("/") < 0 || setsid() < 0)
		return -1;
	return prctl(PR_SET_PDEATHSIG, 0);
}

int keeper_stay(const struct box *b, int channel, struct err *err)
{
	char text[16], started = 1;
	int status;

	if (let_go(b->exit_file, channel) < 0)
		return err_set(err, errno, "stay behind for the exit status");
	(void)!write(4, &started, 1);
	close(4);
	prctl(PR_SET_NAME, "bryo-keeper");
	status = reap(b->ns.pid);
	(void)!write(3, text, (size_t)snprintf(text, sizeof(text), "%d\n", status));
	_exit(status);
}

int keeper_open(int dir, struct err *err)
{
	int fd = openat(dir, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? err_set(err, errno, "open the file of the exit status") : fd;
}

int keeper_read(int file, int *ret, struct err *err)
{
	char text[16] = "", *end;
	ssize_t n = pread(file, text, sizeof(text) - 1, 0);
	long status;

	if (n < 0)
		return err_set(err, errno, "read the exit status");
	*ret = -1;
	if (!n)
		return 0;
	status = strtol(text, &end, 10);
	if (end == text || *end != '\n' || status < 0 || status > 255)
		return err_set(err, 0, "the file of the exit status cannot be understood");
	*ret = (int)status;
	return 0;
}
