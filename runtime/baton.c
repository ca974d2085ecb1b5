/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/baton.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ns/cred.h"
#include "runtime/agent.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/socket.h"
#include "runtime/base/stop.h"
#include "runtime/payload.h"
#include "runtime/rows.h"
#include "runtime/shared.h"
#include "runtime/stub/stub.h"

struct message {
	char what;
	char text[511];
};

int baton_pair(int ret_fds[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return err_set(err, errno, "socket pair");
	return 0;
}

int baton_send(int chan, enum baton what)
{
	char c = (char)what;
	ssize_t n;

	do
		n = send(chan, &c, 1, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : -1;
}

int baton_send_fd(int chan, enum baton what, int fd)
{
	char c = (char)what;

	return socket_send_fd(chan, &c, 1, fd) == 1 ? 0 : -1;
}

void baton_warn(void *box, const char *fmt, ...)
{
	const struct box *b = box;
	struct message m = {.what = BATON_WARNING};
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(m.text, sizeof(m.text), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(m.text))
		n = sizeof(m.text) - 1;
	(void)!send(b->chan, &m, 1 + (size_t)n, MSG_NOSIGNAL);
}

/* The next message; 0 is end-of-file.  A descriptor with it is the caller's. */
static ssize_t receive(int chan, struct message *m, int *ret_fd)
{
	ssize_t n = socket_receive(chan, m, sizeof(*m) - 1, ret_fd);

	if (n < 0 && errno == ECONNRESET)
		n = 0;
	if (n > 0)
		((char *)m)[n] = '\0';
	return n;
}

void baton_await_host(struct box *b)
{
	auto_close int fd = -1;
	struct message m;

	if (receive(b->chan, &m, &fd) <= 0 || m.what != BATON)
		_exit(EXIT_BRYO);
}

/* The box has died without a word: what the kernel knows of it. */
static int box_died(const struct box *b, struct err *err)
{
	siginfo_t info = {0};

	err_set(err, 0, "the container's first process died");
	if (b->op == OP_START || waitid(P_PID, (id_t)b->ns.pid, &info, WEXITED | WNOWAIT) < 0)
		return -1;
	if (info.si_code == CLD_EXITED)
		err_set(err, 0, "the container's first process left with status %d",
			info.si_status);
	else
		err_set(err, 0, "the container's first process was killed by signal %d (%s)",
			info.si_status, strsignal(info.si_status));
	return -1;
}

static int box_failed(const struct box *b, struct err *err)
{
	if (!b->shared->failed)
		return box_died(b, err);
	*err = b->shared->err;
	/* A hostile or torn file behind `start` must not make us read on for ever. */
	err->step[sizeof(err->step) - 1] = err->ptr[sizeof(err->ptr) - 1] = '\0';
	err->msg[sizeof(err->msg) - 1] = err->hint[sizeof(err->hint) - 1] = '\0';
	return -1;
}

/* Wait for the box, and for a signal that asks us to stop. */
static int wait_readable(const struct box *b, struct err *err)
{
	struct pollfd p[2] = {{.fd = b->chan, .events = POLLIN},
			      {.fd = b->sigfd, .events = POLLIN}};
	struct signalfd_siginfo info;

	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return err_set(err, errno, "poll");
	if (!(p[1].revents & POLLIN) || (p[0].revents & POLLIN))
		return 0;
	if (read(b->sigfd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return stop_interrupted((int)info.ssi_signo, err);
}

int baton_await_box(struct box *b, enum baton what, struct err *err)
{
	struct message m;

	for (;;) {
		auto_close int fd = -1;

		if (wait_readable(b, err) < 0)
			return -1;
		if (receive(b->chan, &m, &fd) <= 0 || m.what == BATON_ERROR)
			return box_failed(b, err);
		if (m.what == (char)what)
			return 0;
		if (fd >= 0 && agent_serve(b, (enum baton)m.what, fd, err) < 0)
			return -1;
		if (m.what == BATON_WARNING && b->warned)
			b->warned(b->warned_data, m.text);
		else if (m.what == BATON_WARNING)
			log_warn("%s", m.text);
	}
}

/* The stub's last words: it has no more to say than an errno. */
static int stub_failed(const struct box *b, const struct message *m, struct err *err)
{
	int num = (unsigned char)m->text[0];
	const char *profile = b->spec->process ? b->spec->process->apparmorProfile : NULL;

	b->shared->payload[sizeof(b->shared->payload) - 1] = '\0';
	if (m->what == STUB_FILTER)
		return err_at(err, "/linux/seccomp", num, "install the filter");
	if (m->what == STUB_APPARMOR)
		return apparmor_failed(profile, num, err);
	if (m->what == STUB_SELINUX)
		return label_failed(b, num, err);
	payload_error(b->shared->payload, num, err);
	label_hint(b, err);
	return -1;
}

int baton_await_exec(struct box *b, struct err *err)
{
	struct message m;

	for (;;) {
		auto_close int fd = -1;

		/* A file system of the container's or an agent may keep execve(2) waiting. */
		if (wait_readable(b, err) < 0)
			return -1;
		if (receive(b->chan, &m, &fd) <= 0)
			break;
		if (m.what == STUB_FILTER || m.what == STUB_EXEC || m.what == STUB_APPARMOR ||
		    m.what == STUB_SELINUX)
			return stub_failed(b, &m, err);
		if (fd >= 0 && agent_serve(b, (enum baton)m.what, fd, err) < 0)
			return -1;
	}
	return b->shared->failed ? box_failed(b, err) : 0;
}
