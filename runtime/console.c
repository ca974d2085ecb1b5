/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/base/fd.h"

/* A socket address has 108 bytes: go by the descriptor of the directory. */
static int address_of(const char *path, int *ret_dir, struct sockaddr_un *ret)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char dir[4096];
	int n;

	n = snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path + 1) : 1,
		     slash ? path : ".");
	if (n >= (int)sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	*ret_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_dir < 0)
		return -1;
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", *ret_dir, name);
	if (n < (int)sizeof(ret->sun_path))
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

int console_connect(const char *kind, const char *path, struct err *err)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), dir = -1;
	/* Somebody may listen and never accept. */
	const struct timeval patience = {.tv_sec = 10};
	struct sockaddr_un a;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    address_of(path, &dir, &a) < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_set(err, errno, "connect to the %s %s", kind, path);
	return fd_take(&fd);
}

union control {
	struct cmsghdr head;
	char space[CMSG_SPACE(sizeof(int))];
};

int console_send(int socket, int fd, const char *text, struct err *err)
{
	struct iovec iov = {.iov_base = (char *)text, .iov_len = strlen(text)};
	union control c = {.space = {0}};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = c.space,
			   .msg_controllen = sizeof(c.space)};
	ssize_t n;

	c.head.cmsg_level = SOL_SOCKET;
	c.head.cmsg_type = SCM_RIGHTS;
	c.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&c.head), &fd, sizeof(int));
	do
		n = sendmsg(socket, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(err, errno, "send the handle of %s", text);
	return 0;
}

int console_receive(int socket, struct err *err)
{
	char text[64];
	struct iovec iov = {.iov_base = text, .iov_len = sizeof(text)};
	union control c;
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = c.space,
			   .msg_controllen = sizeof(c.space)};
	struct cmsghdr *head;
	ssize_t n;
	int fd;

	do
		n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	head = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (!head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int)))
		return err_set(err, n < 0 ? errno : 0, "receive the terminal");
	memcpy(&fd, CMSG_DATA(head), sizeof(int));
	return fd;
}
