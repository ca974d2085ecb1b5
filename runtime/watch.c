/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"

/* Signals are blocked, as in the host: who ends the host's process group does not end it. */
static _Noreturn void watch(int end, int pidfd)
{
	char c;

	/* No handle of the caller's: he may wait for the end of a pipe. */
	if (dup3(end, 0, O_CLOEXEC) < 0 || dup3(pidfd, 1, O_CLOEXEC) < 0)
		_exit(EXIT_BRYO);
	close_range(2, ~0U, 0);
	if (chdir("/") < 0)
		_exit(EXIT_BRYO);
	while (read(0, &c, 1) < 0 && errno == EINTR)
		;
	pidfd_send_signal(1, SIGKILL, NULL, 0);
	_exit(0);
}

int watch_start(struct box *b, struct err *err)
{
	auto_close int mine = -1, its = -1;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(err, errno, "pipe");
	its = fds[0];
	mine = fds[1];
	b->watch.pid = fork();
	if (b->watch.pid < 0)
		return err_set(err, errno, "fork");
	if (!b->watch.pid) {
		close(fd_take(&mine));
		watch(its, b->ns.pidfd);
	}
	b->watch.fd = fd_take(&mine);
	return 0;
}

void watch_finish(struct box *b)
{
	if (b->watch.pid <= 0)
		return;
	close(b->watch.fd);
	while (waitpid(b->watch.pid, NULL, 0) < 0 && errno == EINTR)
		;
	b->watch.pid = 0;
}
