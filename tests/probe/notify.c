// SPDX-License-Identifier: Apache-2.0
/* probe notify TEXT...: what sd_notify(3) does, one datagram per argument. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "probe.h"

int notify(char **text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	socklen_t length;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!path || strlen(path) >= sizeof(to.sun_path) || fd < 0) {
		fprintf(stderr, "probe: NOTIFY_SOCKET is %s\n", path ? path : "not set");
		return 1;
	}
	memcpy(to.sun_path, path, strlen(path));
	if (*path == '@')
		*to.sun_path = '\0';
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	for (; *text; text++) {
		if (sendto(fd, *text, strlen(*text), 0, (struct sockaddr *)&to, length) < 0) {
			perror("probe: sendto");
			return 1;
		}
	}
	return close(fd);
}
