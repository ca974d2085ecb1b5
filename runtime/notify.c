/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/store.h"

#define DIRECTORY "notify"
#define NAME "notify.sock"
#define INSIDE "/run/notify"
#define VARIABLE "NOTIFY_SOCKET"

static bool has_variable(const struct strs *env)
{
	for (size_t i = 0; i < env->n; i++)
		if (!strncmp(env->v[i], VARIABLE "=", sizeof(VARIABLE)))
			return true;
	return false;
}

static int add_mount(struct spec *s, char *source, struct arena *a)
{
	static const char *const flags[] = {"bind", "ro", "nosuid", "nodev", "noexec"};
	const size_t n = sizeof(flags) / sizeof(*flags);
	struct spec_mount *v = arena_array(a, s->mounts.n + 1, sizeof(*v));
	char **options = arena_array(a, n + 1, sizeof(*options));

	if (!v || !options)
		return -1;
	for (size_t i = 0; i < n; i++)
		options[i] = (char *)flags[i];
	if (s->mounts.n)
		memcpy(v, s->mounts.v, s->mounts.n * sizeof(*v));
	v[s->mounts.n++] = (struct spec_mount){
		.destination = (char *)INSIDE,
		.type = (char *)"none",
		.source = source,
		.options = {options, n},
	};
	s->mounts.v = v;
	return 0;
}

int notify_plan(struct box *b, struct spec *s, const char *root, struct err *err)
{
	const char *manager = getenv(VARIABLE);
	char *variable[] = {(char *)VARIABLE "=" INSIDE "/" NAME}, *source;

	if (!manager || !*manager || !s->process || has_variable(&s->process->env))
		return 0;
	source = store_path(root, b->arena);
	source = source ? arena_printf(b->arena, "%s/%s/" DIRECTORY, source, b->id) : NULL;
	if (!source || add_mount(s, source, b->arena) < 0 ||
	    strs_append(&s->process->env, variable, 1, b->arena) < 0)
		return err_set(err, ENOMEM, "the socket for sd_notify");
	b->notifies = true;
	return 0;
}

int notify_make(int dir, struct err *err)
{
	/* The payload may be another user of the container's than its root. */
	if (mkdirat(dir, DIRECTORY, 0755) < 0 || fchmodat(dir, DIRECTORY, 0755, 0) < 0)
		return err_set(err, errno, "make the directory for sd_notify");
	return 0;
}

int notify_listen(int dir, struct err *err)
{
	auto_close int fd = -1;
	auto_close int at = openat(dir, DIRECTORY, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (at < 0)
		return err_set(err, errno, "open the directory for sd_notify");
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/" NAME, at);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* That of `create`, or of a `start` that has been killed. */
	unlinkat(at, NAME, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    fchmodat(at, NAME, 0666, 0) < 0)
		return err_set(err, errno, "make the socket for sd_notify");
	return fd_take(&fd);
}

/* sd_notify(3): lines of VARIABLE=VALUE. */
static bool says_ready(char *text)
{
	char *rest;

	for (char *l = strtok_r(text, "\n", &rest); l; l = strtok_r(NULL, "\n", &rest))
		if (!strcmp(l, "READY=1"))
			return true;
	return false;
}

static int tell(pid_t pid)
{
	const char *manager = getenv(VARIABLE);
	auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t len = manager ? strlen(manager) : 0;
	char text[64];
	int n = snprintf(text, sizeof(text), "MAINPID=%d\nREADY=1\n", pid);

	if (fd < 0 || !len || len >= sizeof(a.sun_path))
		return -1;
	memcpy(a.sun_path, manager, len);
	if (*manager == '@')
		a.sun_path[0] = '\0';
	len += offsetof(struct sockaddr_un, sun_path);
	return sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (struct sockaddr *)&a, (socklen_t)len) < 0
		       ? -1
		       : 0;
}

bool notify_relay(int socket, pid_t pid)
{
	char text[4096];
	ssize_t n = recv(socket, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	if (!says_ready(text))
		return false;
	if (tell(pid) < 0)
		log_warn("tell the service manager at " VARIABLE ": %s", err_describe(errno));
	return true;
}

void notify_await(int socket, pid_t pid, int pidfd, int stop)
{
	struct pollfd p[3] = {{.fd = socket, .events = POLLIN},
			      {.fd = pidfd, .events = POLLIN},
			      {.fd = stop, .events = POLLIN}};

	for (;;) {
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			return;
		if (p[0].revents && notify_relay(socket, pid))
			return;
		if (p[1].revents || p[2].revents)
			return;
	}
}
