/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the host, and of hooks on either side; the table is in sandbox.c. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ns/cred.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/baton.h"
#include "runtime/console.h"
#include "runtime/faults.h"
#include "runtime/hooks.h"
#include "runtime/keeper.h"
#include "runtime/listener.h"
#include "runtime/notify.h"
#include "runtime/record.h"
#include "runtime/rows.h"
#include "runtime/shared.h"
#include "runtime/store.h"

/* ---- rows of the host before the clone ---- */

int row_state_apply(struct box *b, struct err *err)
{
	if (store_create(b->store, b->id, &b->dir, err) < 0)
		return -1;
	b->shared = b->op == OP_CREATE ? shared_create(b->dir, &b->waiting, err) : shared_new(err);
	return b->shared ? 0 : -1;
}

void row_state_undo(struct box *b)
{
	struct err err;

	if (b->dir < 0)
		return;
	if (store_remove(b->store, b->id, b->dir, &err) < 0)
		log_warn("%s", err.msg);
	close(fd_take(&b->dir));
	fd_cleanup(&b->waiting);
	b->waiting = -1;
}

bool row_notifies(const struct box *b)
{
	return b->notifies;
}

/* `create` leaves the listening to `start`. */
int row_notify_apply(struct box *b, struct err *err)
{
	if (notify_make(b->dir, err) < 0)
		return -1;
	if (b->op != OP_RUN)
		return 0;
	b->notify = notify_listen(b->dir, err);
	return b->notify < 0 ? -1 : 0;
}

void row_notify_undo(struct box *b)
{
	fd_cleanup(&b->notify);
	b->notify = -1;
}

int row_join_apply(struct box *b, struct err *err)
{
	if (nsset_open(&b->ns, b->spec, err) < 0 ||
	    mountset_check_namespaces(b->spec, &b->ns, err) < 0)
		return -1;
	return sysctl_check(&b->spec->linux_->sysctl, &b->ns, err);
}

void row_ns_undo(struct box *b)
{
	nsset_finish(&b->ns);
}

int row_filter_compile_apply(struct box *b, struct err *err)
{
	struct shared *s = b->shared;

	if (filter_compile(b->spec->linux_->seccomp, &b->filter, err) < 0)
		return -1;
	memcpy(s->filter, b->filter.insns, b->filter.n * sizeof(s->filter[0]));
	s->filter_len = b->filter.n;
	s->filter_flags = b->filter.flags;
	shared_filter_ready(s);
	return 0;
}

void row_filter_undo(struct box *b)
{
	filter_finish(&b->filter);
}

int row_sources_apply(struct box *b, struct err *err)
{
	if (b->side == HOST && b->mounts.by_box)
		return mountset_clone_unreachable(&b->mounts, b->spec, b->bundle, err);
	return mountset_clone_sources(&b->mounts, b->spec, b->bundle, err);
}

void row_mounts_undo(struct box *b)
{
	mountset_finish(&b->mounts);
}

int row_listen_apply(struct box *b, struct err *err)
{
	b->listener = listener_open(b->dir, err);
	return b->listener < 0 ? -1 : 0;
}

void row_listen_undo(struct box *b)
{
	fd_cleanup(&b->listener);
	b->listener = -1;
}

bool row_has_terminal(const struct box *b)
{
	return b->spec->process && b->spec->process->terminal;
}

int row_console_apply(struct box *b, struct err *err)
{
	struct winsize ws;
	int pair[2];

	if (b->opt.console_socket) {
		b->console = console_connect("console socket", b->opt.console_socket, err);
		return b->console < 0 ? -1 : 0;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_at(err, "/process/terminal", errno, "socket pair");
	b->console = pair[0];
	b->terminal = pair[1];
	/* Before the payload looks at it. */
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) == 0 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0)
		b->size = (struct spec_console){.height = ws.ws_row, .width = ws.ws_col};
	return 0;
}

void row_console_undo(struct box *b)
{
	fd_cleanup(&b->console);
	fd_cleanup(&b->terminal);
	b->console = b->terminal = -1;
}

/* ---- the clone ---- */

/* All but the standard streams, those to be preserved, and these two. */
static void close_all_but(unsigned int first, int one, int two)
{
	unsigned int low = (unsigned int)(one < two ? one : two),
		     high = (unsigned int)(one + two) - low;

	if (one < 0 || two < 0) {
		low = high = (unsigned int)(one < 0 ? two : one);
	}
	if (low > first)
		close_range(first, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0U, 0);
}

/*
 * What is the host's alone goes: handles that lead to its files, and the lock of the
 * state directory, which would otherwise be held for ever.  A box that enters a
 * container keeps nothing but what the payload may have: see before_clone.
 */
static void leave_host(struct box *b)
{
	fd_cleanup(&b->chan);
	fd_cleanup(&b->dir);
	fd_cleanup(&b->store);
	fd_cleanup(&b->sigfd);
	fd_cleanup(&b->terminal);
	fd_cleanup(&b->notify);
	b->notify = -1;
	b->chan = b->dir = b->store = b->sigfd = b->terminal = -1;
	cgroup_finish(&b->cgroup);
	nsset_finish(&b->ns);
	/* The killer is of the test build only: see faults.h. */
	if (b->op != OP_EXEC || b->faults.killer)
		return;
	close_all_but(3 + b->opt.preserve_fds, b->box_chan, b->console);
	b->procfd = -1;
}

/*
 * A container without a user namespace of its own that has CAP_SYS_PTRACE may trace
 * all that it sees, and what enters is seen before its rows have taken away what root
 * may do on the host: so most of it goes while nobody sees it.
 */
static int before_clone(void *arg, struct err *err)
{
	struct box *b = arg;
	const struct spec_process *p = b->spec->process;

	leave_host(b);
	if (b->op != OP_EXEC || b->ns.in_userns)
		return 0;
	return cred_narrow(p->capabilities, p->rlimits.n,
			   b->spec->linux_->seccomp && !p->noNewPrivileges, err);
}

/*
 * The first thing the box does.  It dies with the host from here on; one that has died
 * already has closed its end of the baton.
 */
static int be_born(struct box *b, struct err *err)
{
	struct pollfd host = {.fd = b->box_chan};

	b->side = BOX;
	leave_host(b);
	b->chan = b->box_chan;
	/* A copy of the host's; the name of the variable is before it. */
	if (b->listen_pid)
		snprintf(b->listen_pid, 11, "%d", getpid());
	umask(0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_set(err, errno, "prctl(PR_SET_PDEATHSIG)");
	if (poll(&host, 1, 0) > 0 && (host.revents & POLLHUP))
		_exit(EXIT_BRYO);
	return 0;
}

static int set_oom_score(void *arg, struct err *err)
{
	const struct box *b = arg;

	return cred_oom_score(b->spec->process->oomScoreAdj.v, b->procfd, err);
}

int row_clone_apply(struct box *b, struct err *err)
{
	int chan[2];
	pid_t pid;

	if (baton_pair(chan, err) < 0)
		return -1;
	b->chan = chan[0];
	b->box_chan = chan[1];
	faults_prepare(b);
	if (b->spec->process && b->spec->process->oomScoreAdj.set)
		b->ns.before_join = set_oom_score;
	b->ns.before_clone = before_clone;
	b->ns.arg = b;
	b->ns.stop = b->sigfd;
	pid = nsset_clone(&b->ns, err);
	if (pid == 0)
		return be_born(b, err);
	close(fd_take(&b->box_chan));
	if (pid < 0)
		return -1;
	b->shared->pid = pid;
	/* So that its end is seen when the box dies. */
	fd_cleanup(&b->console);
	b->console = -1;
	/* These are the box's alone from here on. */
	if (b->waiting >= 0)
		close(fd_take(&b->waiting));
	row_label_undo(b);
	return 0;
}

void row_clone_undo(struct box *b)
{
	nsset_kill(&b->ns);
	fd_cleanup(&b->chan);
	b->chan = -1;
}

bool row_makes_userns(const struct box *b)
{
	return b->ns.create & nsset_clone_flags[NS_USER];
}

int row_idmap_apply(struct box *b, struct err *err)
{
	return nsset_map_ids(&b->ns, b->procfd, err);
}

bool row_wants_idmapped_mounts(const struct box *b)
{
	for (size_t i = 0; i < b->mounts.n; i++)
		if (b->mounts.v[i].opts.idmap)
			return true;
	return false;
}

int row_idmapped_mounts_apply(struct box *b, struct err *err)
{
	return mountset_idmap(&b->mounts, &b->ns, b->procfd, err);
}

/* ---- hooks ---- */

static int run_hooks(struct box *b, const struct spec_hooks *list, const char *name,
		     enum status status, pid_t seen, struct err *err)
{
	struct hook_how how = {.umask = b->umask, .sigfd = b->sigfd};
	struct record r;

	if (record_of(b, &r, err) < 0)
		return -1;
	r.pid = seen;
	/*
	 * Trust boundary: only these are programs of the image, and no freer than the payload.
	 * With an early filter the box has asked for the profile, which they inherit.
	 */
	if (list == &b->spec->hooks->startContainer && row_has_apparmor(b) &&
	    !row_has_early_filter(b) && !faults_apparmor()) {
		how.profile = b->spec->process->apparmorProfile;
		how.procfd = b->procfd;
	}
	return hooks_run(list, name, &r, status, &how, err);
}

/*
 * What a row of hooks needs.  Status and pid are what runtime.md says: hooks that run in
 * the container's namespaces are told of the process as it is seen there.
 */
#define HOOK_ROW(id, list, status, seen)                                                           \
	bool row_has_##id(const struct box *b)                                                     \
	{                                                                                          \
		return b->spec->hooks && b->spec->hooks->list.n;                                   \
	}                                                                                          \
	int row_##id##_apply(struct box *b, struct err *err)                                       \
	{                                                                                          \
		return run_hooks(b, &b->spec->hooks->list, #list, status, seen, err);              \
	}

HOOK_ROW(prestart, prestart, CREATING, b->shared->pid)
HOOK_ROW(create_runtime, createRuntime, CREATING, b->shared->pid)
HOOK_ROW(create_container, createContainer, CREATING, getpid())
HOOK_ROW(start_container, startContainer, CREATED, getpid())
HOOK_ROW(poststart, poststart, RUNNING, b->shared->pid)

/* ---- the end of create ---- */

static int write_pid_file(const char *path, pid_t pid, bool *ret_written, struct err *err)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", pid);
	/* A FIFO that nobody reads would make us wait for ever. */
	auto_close int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);

	if (fd < 0)
		return err_set(err, errno, "open the pid file %s", path);
	*ret_written = true;
	if (fd_write_all(fd, text, (size_t)n) < 0)
		return err_set(err, errno, "write the pid file %s", path);
	return 0;
}

static int store_config(const struct box *b, struct err *err)
{
	auto_close int fd = openat(b->dir, STORED_CONFIG,
				   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || fd_write_all(fd, b->config, b->config_len) < 0)
		return err_set(err, errno, "store the configuration");
	return 0;
}

/* All but its name: so `record` has one rename(2) left to do. */
int row_identify_apply(struct box *b, struct err *err)
{
	auto_close int self = pidfd_open(getpid(), 0);
	struct record r;

	if (record_of(b, &r, err) < 0)
		return -1;
	if (self < 0)
		return err_set(err, errno, "pidfd of bryo itself");
	r.creator = getpid();
	if (process_identity(b->ns.pidfd, b->ns.pid, &r.identity, err) < 0 ||
	    process_identity(self, getpid(), &r.creatorIdentity, err) < 0)
		return -1;
	if (record_write(b->dir, &r, err) < 0)
		return -1;
	/* Before the container is there for `wait` to find. */
	if (b->op == OP_RUN && b->opt.detach && keeper_note(b, err) < 0)
		return -1;
	return store_config(b, err);
}

bool row_has_pidfd_socket(const struct box *b)
{
	return b->opt.pidfd_socket;
}

int row_pidfd_apply(struct box *b, struct err *err)
{
	auto_close int fd = console_connect("pidfd socket", b->opt.pidfd_socket, err);

	return fd < 0 ? -1 : console_send(fd, b->ns.pidfd, "pidfd", err);
}

bool row_has_pid_file(const struct box *b)
{
	return b->opt.pid_file;
}

int row_pid_file_apply(struct box *b, struct err *err)
{
	return write_pid_file(b->opt.pid_file, b->ns.pid, &b->wrote_pid_file, err);
}

int row_record_apply(struct box *b, struct err *err)
{
	if (row_has_pid_file(b) && row_pid_file_apply(b, err) < 0)
		return -1;
	return record_publish(b->dir, err);
}

/* A device that was named as pid file is not ours to remove. */
void row_pid_file_undo(struct box *b)
{
	struct stat st;

	if (b->wrote_pid_file && b->ns.pid && stat(b->opt.pid_file, &st) == 0 &&
	    S_ISREG(st.st_mode))
		unlink(b->opt.pid_file);
}
