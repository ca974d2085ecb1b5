/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ns/cred.h"
#include "ns/sys.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"

enum outcome { DONE, TIMED_OUT, INTERRUPTED };

/* What a hook said last, for the error. */
struct output {
	char text[200];
	size_t len;
};

/*
 * The state in a memory file: a hook that does not read it cannot make us
 * wait, as the 64 KiB of a pipe could.
 */
static int state_file(const struct record *r, enum status status, struct err *err)
{
	auto_close int fd = memfd_create("state", MFD_CLOEXEC);
	struct json *j = json_new(false);
	const char *text;
	size_t len;
	int bad;

	if (fd < 0 || !j) {
		json_free(j);
		return err_set(err, fd < 0 ? errno : ENOMEM, "the state for a hook");
	}
	record_state(j, r, status, NULL);
	bad = json_finish(j, &text, &len, err);
	if (!bad && (fd_write_all(fd, text, len) < 0 || lseek(fd, 0, SEEK_SET) < 0))
		bad = err_set(err, errno, "the state for a hook");
	json_free(j);
	return bad ? -1 : fd_take(&fd);
}

/* The kernel takes the profile of a program from who executes it: see ns/apparmor.c. */
static int confine(const char *profile, int procfd, struct err *err)
{
	char request[sizeof("exec ") + 1024];
	auto_close int dir = apparmor_open(procfd, err);

	if (dir < 0)
		return -1;
	snprintf(request, sizeof(request), "exec %s", profile);
	return apparmor_set(dir, profile, request, err);
}

static _Noreturn void become_hook(const struct spec_hook *h, const struct hook_how *how, int in,
				  int out)
{
	char *none[] = {NULL}, *argv[] = {h->path, NULL};
	struct err err, ignored;

	if (how->profile && confine(how->profile, how->procfd, &err) < 0) {
		dprintf(out, "%s: %s", err.msg, err_describe(err.num));
		_exit(127);
	}
	umask(how->umask);
	if (cred_signals(&ignored) == 0 && dup2(in, STDIN_FILENO) >= 0 &&
	    dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0 &&
	    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		execve(h->path, h->args.n ? h->args.v : argv, h->env.v ? h->env.v : none);
	dprintf(out, "%s", err_describe(errno));
	_exit(127);
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* The end of what it says is kept: the last words tell the cause. */
static bool take_output(int fd, struct output *o)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));
	size_t keep, old;

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	keep = (size_t)n < sizeof(o->text) - 1 ? (size_t)n : sizeof(o->text) - 1;
	old = sizeof(o->text) - 1 - keep < o->len ? sizeof(o->text) - 1 - keep : o->len;
	memmove(o->text, o->text + o->len - old, old);
	memcpy(o->text + old, buf + (size_t)n - keep, keep);
	o->len = old + keep;
	o->text[o->len] = '\0';
	return n > 0;
}

/*
 * Until the hook itself has ended: a daemon that it leaves behind may hold the
 * pipe for ever.
 */
static enum outcome await_hook(int pidfd, int pipefd, int sigfd, const struct spec_hook *h,
			       struct output *o)
{
	long long end = h->timeout.set ? now_ms() + (long long)h->timeout.v * 1000 : 0;
	struct pollfd p[3] = {{.fd = pidfd, .events = POLLIN},
			      {.fd = pipefd, .events = POLLIN},
			      {.fd = sigfd, .events = POLLIN}};

	for (;;) {
		long long left = end ? end - now_ms() : -1;

		if (end && left <= 0)
			return TIMED_OUT;
		if (poll(p, 3, left > 1000000 ? 1000000 : (int)left) < 0 && errno != EINTR)
			return INTERRUPTED;
		if ((p[1].revents & (POLLIN | POLLHUP)) && !take_output(pipefd, o))
			p[1].fd = -1;
		if (p[0].revents & POLLIN) {
			while (p[1].fd >= 0 && poll(&p[1], 1, 0) == 1 && take_output(pipefd, o))
				;
			return DONE;
		}
		/* Not read: the walker does, and says which signal it was. */
		if (p[2].revents & POLLIN)
			return INTERRUPTED;
	}
}

static int judge(int status, enum outcome outcome, const struct spec_hook *h, struct output *o,
		 struct err *err)
{
	const char *said;

	while (o->len && o->text[o->len - 1] == '\n')
		o->text[--o->len] = '\0';
	said = strrchr(o->text, '\n');
	said = said ? said + 1 : o->text;
	if (outcome == INTERRUPTED)
		return err_set(err, 0, "hook %.100s: interrupted, killed", h->path);
	if (outcome == TIMED_OUT)
		return err_set(err, 0, "hook %.100s: not done after %llu s, killed", h->path,
			       (unsigned long long)h->timeout.v);
	if (WIFSIGNALED(status))
		return err_set(err, 0, "hook %.100s: killed by signal %d: %s", h->path,
			       WTERMSIG(status), said);
	if (WEXITSTATUS(status) != 0)
		return err_set(err, 0, "hook %.100s: exit status %d: %s", h->path,
			       WEXITSTATUS(status), said);
	return 0;
}

static int run_one(const struct spec_hook *h, int state, const struct hook_how *how,
		   struct err *err)
{
	auto_close int from = -1, pidfd = -1;
	struct output o = {.len = 0};
	int fds[2], status = 0;
	enum outcome outcome;
	pid_t pid;

	if (lseek(state, 0, SEEK_SET) < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return err_set(err, errno, "hook %s", h->path);
	from = fds[0];
	pid = sys_clone3(0, SIGCHLD, &pidfd);
	if (pid == 0)
		become_hook(h, how, state, fds[1]);
	close(fds[1]);
	if (pid < 0)
		return err_set(err, errno, "fork for hook %s", h->path);
	outcome = await_hook(pidfd, from, how->sigfd, h, &o);
	if (outcome != DONE)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return judge(status, outcome, h, &o, err);
}

int hooks_run(const struct spec_hooks *list, const char *name, const struct record *r,
	      enum status status, const struct hook_how *how, struct err *err)
{
	auto_close int state = state_file(r, status, err);

	if (state < 0)
		return -1;
	for (size_t i = 0; i < list->n; i++)
		if (run_one(&list->v[i], state, how, err) < 0)
			return err_under(err, "/hooks/%s/%zu", name, i);
	return 0;
}

void hooks_run_all(const struct spec_hooks *list, const char *name, const struct record *r,
		   enum status status, mode_t mask)
{
	const struct hook_how how = {.umask = mask, .sigfd = -1};
	struct err err;
	auto_close int state = list->n ? state_file(r, status, &err) : -1;

	for (size_t i = 0; i < list->n; i++)
		if (state < 0 || run_one(&list->v[i], state, &how, &err) < 0)
			log_warn("/hooks/%s/%zu: %s", name, i, err.msg);
}
