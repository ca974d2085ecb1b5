/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The foreground: wait for the end of the box, hand signals on, reap what is
 * reparented to us, and, where the box has a terminal, carry bytes between it and
 * ours, which is raw meanwhile: so it is the terminal of the box that interprets
 * Ctrl-C, and that has job control.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/commands.h"
#include "runtime/console.h"
#include "runtime/keeper.h"
#include "runtime/notify.h"
#include "runtime/watch.h"

struct buffer {
	char bytes[1024]; /* not more than a write(2) takes that poll(2) has announced */
	size_t n, done;
};

struct foreground {
	struct box *box;
	int signals;
	int master; /* -1: the box has no terminal of its own */
	int status;
	bool ended;
	bool stdin_open;
	char last; /* of the input */
	bool is_raw;
	struct termios saved; /* of our terminal */
	struct buffer in, out;
	size_t drained; /* what was carried after the end */
};

/* What a terminal holds at most: more is of those who outlive the box. */
enum { MOST_DRAINED = 64 * 1024 };

/* Reap all that has ended; the box may be among it. */
static void reap(struct foreground *f)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
		if (pid != f->box->ns.pid)
			continue;
		f->box->ns.pid = 0;
		f->ended = true;
		f->status = keeper_status(status);
	}
}

/* ---- our terminal ---- */

static void copy_size(const struct foreground *f)
{
	struct winsize ws;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0)
		(void)ioctl(f->master, TIOCSWINSZ, &ws);
}

/* Only while we are in its foreground; else a shell has it, which we would disturb. */
static void make_raw(struct foreground *f)
{
	struct termios raw;

	if (f->is_raw || tcgetpgrp(STDIN_FILENO) != getpgrp() ||
	    tcgetattr(STDIN_FILENO, &f->saved) < 0)
		return;
	raw = f->saved;
	cfmakeraw(&raw);
	f->is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

/* From the background too: SIGTTOU does not stop who has blocked it (tcsetattr(3)). */
static void restore(struct foreground *f)
{
	sigset_t ttou, before;

	if (!f->is_raw)
		return;
	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	sigprocmask(SIG_BLOCK, &ttou, &before);
	tcsetattr(STDIN_FILENO, TCSANOW, &f->saved);
	sigprocmask(SIG_SETMASK, &before, NULL);
	f->is_raw = false;
}

/* ---- signals ---- */

/* Those about our terminal; true when there is nothing more to do about it. */
static bool handle_terminal_signal(struct foreground *f, int sig)
{
	if (f->master < 0)
		return false;
	switch (sig) {
	case SIGWINCH:
		copy_size(f);
		return true;
	case SIGTSTP:
		restore(f);
		raise(SIGSTOP);
		return true;
	case SIGCONT:
		/* The shell has put the terminal as it wants it. */
		f->is_raw = false;
		make_raw(f);
		copy_size(f);
		return true;
	default:
		return false;
	}
}

static void handle_signals(struct foreground *f)
{
	struct signalfd_siginfo info;
	int sig;

	if (read(f->signals, &info, sizeof(info)) != sizeof(info))
		return;
	sig = (int)info.ssi_signo;
	if (sig == SIGCHLD)
		reap(f);
	/* SIGURG: the Go runtimes of callers use it for themselves. */
	else if (sig == SIGURG || sig == SIGPIPE || handle_terminal_signal(f, sig))
		return;
	else if (f->ended)
		f->drained = MOST_DRAINED;
	else
		pidfd_send_signal(f->box->ns.pidfd, sig, NULL, 0);
}

/* ---- bytes ---- */

/*
 * The end of the input is a key for who reads from a terminal.  After half a line it
 * ends that only, and must be typed again.
 */
static size_t end_of_input(const struct foreground *f, char *ret)
{
	struct termios t;

	if (tcgetattr(f->master, &t) < 0)
		return 0;
	ret[0] = ret[1] = (char)t.c_cc[VEOF];
	return f->last == '\n' ? 1 : 2;
}

static void take_input(struct foreground *f)
{
	ssize_t n = read(STDIN_FILENO, f->in.bytes, sizeof(f->in.bytes));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	f->in.done = 0;
	f->in.n = n > 0 ? (size_t)n : end_of_input(f, f->in.bytes);
	f->stdin_open = n > 0;
	if (n > 0)
		f->last = f->in.bytes[n - 1];
}

/* EIO: nobody has the other end open, which may change while the box lives. */
static void take_output(struct foreground *f)
{
	ssize_t n = read(f->master, f->out.bytes, sizeof(f->out.bytes));

	f->out.done = 0;
	f->out.n = n > 0 ? (size_t)n : 0;
	if (f->ended)
		f->drained += n > 0 ? (size_t)n : MOST_DRAINED;
}

/* What cannot be written to anybody any more is thrown away. */
static void put(struct buffer *b, int fd)
{
	ssize_t n = write(fd, b->bytes + b->done, b->n - b->done);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	b->done += n > 0 ? (size_t)n : b->n - b->done;
	if (b->done == b->n)
		b->n = b->done = 0;
}

enum { SIGNALS, INPUT, OUTPUT, MASTER, NOTIFY, SOURCES };

/*
 * poll(2) says POLLHUP of a master whose other end nobody has open, and does so at
 * once: it is asked again after a while then, unless it is the end.
 */
static void carry(struct foreground *f)
{
	struct pollfd p[SOURCES] = {
		[SIGNALS] = {.fd = f->signals, .events = POLLIN},
		[INPUT] = {.fd = f->stdin_open && !f->in.n ? STDIN_FILENO : -1, .events = POLLIN},
		[OUTPUT] = {.fd = f->out.n ? STDOUT_FILENO : -1, .events = POLLOUT},
		[MASTER] = {.fd = f->master,
			    .events = (short)((f->out.n ? 0 : POLLIN) | (f->in.n ? POLLOUT : 0))},
		[NOTIFY] = {.fd = f->box->notify, .events = POLLIN},
	};
	bool hung_up;

	if (!p[MASTER].events)
		p[MASTER].fd = -1;
	if (poll(p, SOURCES, f->ended && !f->out.n ? 0 : -1) < 0)
		return;
	if (f->ended && !f->out.n && !(p[MASTER].revents & POLLIN))
		f->drained = MOST_DRAINED;
	if (p[SIGNALS].revents)
		handle_signals(f);
	if (p[NOTIFY].revents && notify_relay(f->box->notify, f->box->ns.pid))
		close(fd_take(&f->box->notify));
	if (p[INPUT].revents)
		take_input(f);
	if (p[OUTPUT].revents)
		put(&f->out, STDOUT_FILENO);
	if (p[MASTER].revents & POLLOUT)
		put(&f->in, f->master);
	if (p[MASTER].revents & POLLIN)
		take_output(f);
	hung_up = (p[MASTER].revents & POLLHUP) && !(p[MASTER].revents & POLLIN);
	if (hung_up && !f->ended)
		(void)poll(p, 1, 50);
}

/* ---- together ---- */

static int begin(struct foreground *f, const sigset_t *blocked, struct err *err)
{
	sigset_t set = *blocked;

	if (f->box->terminal >= 0) {
		f->master = console_receive(f->box->terminal, err);
		if (f->master < 0)
			return -1;
		/* We stop and go on with our terminal as it was. */
		sigaddset(&set, SIGTSTP);
		sigaddset(&set, SIGCONT);
		if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
		    fcntl(f->master, F_SETFL, O_NONBLOCK) < 0)
			return err_set(err, errno, "prepare the terminal");
	}
	f->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (f->signals < 0)
		return err_set(err, errno, "signalfd");
	if (f->master >= 0) {
		f->stdin_open = true;
		/* It may have changed meanwhile. */
		copy_size(f);
		make_raw(f);
	}
	return 0;
}

int await_end(struct box *b, const sigset_t *blocked, struct err *err)
{
	struct foreground f = {.box = b, .master = -1, .signals = -1, .last = '\n'};
	int bad = begin(&f, blocked, err);

	while (!bad && (!f.ended || (f.master >= 0 && f.drained < MOST_DRAINED)))
		carry(&f);
	restore(&f);
	watch_finish(b);
	fd_cleanup(&f.signals);
	fd_cleanup(&f.master);
	return bad ? -1 : f.status;
}
