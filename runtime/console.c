/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/console.h"

#include <errno.h>
#include <string.h>

#include "runtime/base/socket.h"

int console_connect(const char *kind, const char *path, struct err *err)
{
	int fd = socket_connect(path);

	return fd < 0 ? err_set(err, errno, "connect to the %s %s", kind, path) : fd;
}

int console_send(int socket, int fd, const char *text, struct err *err)
{
	if (socket_send_fd(socket, text, strlen(text), fd) < 0)
		return err_set(err, errno, "send the handle of %s", text);
	return 0;
}

int console_receive(int socket, struct err *err)
{
	char text[64];
	int fd;
	ssize_t n = socket_receive(socket, text, sizeof(text), &fd);

	return fd < 0 ? err_set(err, n < 0 ? errno : 0, "receive the terminal") : fd;
}
