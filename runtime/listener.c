/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/listener.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/baton.h"

/*
 * A path of the state directory may be longer than a socket address, which has
 * 108 bytes: go by the descriptor.
 */
static struct sockaddr_un address(int dir)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/start", dir);
	return a;
}

int listener_open(int dir, struct err *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = address(dir);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0)
		return err_set(err, errno, "make the socket that start will call");
	return fd_take(&fd);
}

int listener_call(int dir)
{
	/* Not blocking: the queue of a box that is stopped by a signal may be full. */
	auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a = address(dir);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return -1;
	return fd_take(&fd);
}

int listener_await(int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		char what = 0;

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return -1;
		if (recv(fd, &what, 1, 0) == 1 && what == BATON)
			return fd;
		close(fd);
	}
}
