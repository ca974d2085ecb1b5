/* SPDX-License-Identifier: Apache-2.0 */
/* run and create: the walk of the whole table. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/stop.h"
#include "runtime/commands.h"
#include "runtime/keeper.h"
#include "runtime/notify.h"
#include "runtime/resctrl.h"
#include "runtime/rows.h"
#include "runtime/selfexe.h"
#include "runtime/shared.h"
#include "runtime/steps.h"
#include "runtime/store.h"

/*
 * From the first row on signals are taken where the walker looks for them, so
 * that an interrupted create leaves as little as a failed one.  Job control
 * stays with the kernel.
 */
static int block_signals(sigset_t *ret, struct err *err)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};

	sigfillset(ret);
	sigdelset(ret, SIGTSTP);
	sigdelset(ret, SIGTTIN);
	sigdelset(ret, SIGTTOU);
	sigdelset(ret, SIGCONT);
	sigdelset(ret, SIGSEGV);
	sigdelset(ret, SIGBUS);
	sigdelset(ret, SIGABRT);
	/* An inherited SIG_IGN would reap our children behind our back. */
	if (sigaction(SIGCHLD, &dfl, NULL) < 0 || sigprocmask(SIG_BLOCK, ret, NULL) < 0)
		return err_set(err, errno, "block signals");
	return 0;
}

int take_signals(sigset_t *ret_blocked, int *ret_sigfd, struct err *err)
{
	if (block_signals(ret_blocked, err) < 0)
		return -1;
	*ret_sigfd = stop_open(err);
	return *ret_sigfd < 0 ? -1 : 0;
}

/* Not warnings: every profile of podman's has the last, for every container. */
static void tell_of_filter(const struct filter *f)
{
	if (f->repeated_index)
		log_debug("/linux/seccomp/syscalls: an entry tests the same argument twice: its "
			  "conditions are ORed, as other runtimes do");
	if (f->multiplexed)
		log_debug("/linux/seccomp/syscalls: conditions on a call that 32-bit programs also "
			  "reach through socketcall(2) or ipc(2)");
	if (f->shadowed)
		log_debug("/linux/seccomp/syscalls: an entry is stricter than an earlier one for "
			  "the same call, which counts");
}

/*
 * What an earlier hook has made, poststop takes away: runtime.md leads from a
 * failed hook to `delete` and on to poststop.
 */
static void clean_up_after_hooks(const struct box *b)
{
	bool began = false;
	struct record r;
	struct err err;

	for (size_t i = 0; b->shared && i < n_steps; i++)
		if (steps[i].ptr && !strncmp(steps[i].ptr, "/hooks/", 7))
			began |= b->shared->rows[i].start != 0;
	if (began && record_of(b, &r, &err) == 0)
		run_poststop(&r);
}

/* Walk; then `run` in the foreground waits.  The exit status, or -1. */
static int walk(struct box *b, bool foreground, struct err *err)
{
	sigset_t blocked;
	struct record r;
	int status = 0;

	if (take_signals(&blocked, &b->sigfd, err) < 0)
		return -1;
	if (foreground && !b->opt.no_subreaper && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_set(err, errno, "prctl(PR_SET_CHILD_SUBREAPER)");
	if (steps_walk(b, 0, err) < 0) {
		clean_up_after_hooks(b);
		return -1;
	}
	tell_of_filter(&b->filter);
	if (b->spec->linux_->intelRdt && resctrl_keep(b->spec->linux_->intelRdt, b->dir, err) < 0)
		log_warn("%s", err->msg);
	/* What comes now is not to be waited for. */
	store_unlock(b->dir);
	/* The container's mounts should end with it, not with us. */
	mountset_finish(&b->mounts);
	/* So should its network; the devices in it are its own from now on. */
	netdevs_finish(&b->netdevs);
	if (b->opt.trace && steps_write_trace(b, b->opt.trace, err) < 0)
		log_warn("%s", err->msg);
	if (!foreground) {
		if (b->notify >= 0)
			notify_await(b->notify, b->ns.pid, b->ns.pidfd, b->sigfd);
		return 0;
	}
	status = await_end(b, &blocked, err);
	if (status < 0) {
		steps_undo(b);
		return -1;
	}
	if (!b->opt.keep) {
		int bad = record_of(b, &r, err);

		steps_undo(b);
		if (!bad)
			run_poststop(&r);
	}
	return status;
}

/* In the keeper, which does not come back when all goes well; its parent does. */
static int walk_detached(struct box *b, struct err *err)
{
	int channel;
	pid_t keeper = keeper_fork(&channel, err);

	if (keeper < 0)
		return -1;
	if (keeper > 0)
		return keeper_await(keeper, channel, err);
	if (walk(b, false, err) < 0)
		return -1;
	(void)keeper_stay(b, channel, err);
	steps_undo(b);
	return -1;
}

/*
 * The stub keeps bryo out of the payload's sight.  Where there is none, or where
 * others look on while the box comes in, the executable must be out of reach.
 */
static int protect_executable(const struct arguments *a, const struct box *b, struct err *err)
{
	bool early = b->spec->process && row_has_early_filter(b);

	if (!(early || nsset_joins(&b->ns)) || !selfexe_is_exposed(&b->ns))
		return 0;
	return selfexe_protect(a->argv, b->opt.preserve_fds, err);
}

static int make_container(struct arguments *a, enum op op, struct err *err)
{
	struct arena arena = {0};
	struct box b = {
		.op = op,
		.id = a->operands[0],
		.opt = a->box,
		.may_add_userns = a->rootless != ROOTLESS_FALSE,
		.cgroup_manager =
			a->systemd_cgroup ? CGROUP_SYSTEMD : (enum cgroup_manager)a->cgroup_manager,
		.arena = &arena,
	};
	int status = -1;

	if (store_check_id(b.id, err) < 0)
		return -1;
	if (box_prepare(&b, a->root, err) == 0 && protect_executable(a, &b, err) == 0 &&
	    store_open(a->root, true, &b.store, err) == 0)
		status = op == OP_RUN && b.opt.detach ? walk_detached(&b, err)
						      : walk(&b, op == OP_RUN, err);
	cgroup_finish(&b.cgroup);
	filter_finish(&b.filter);
	arena_finish(&arena);
	return status;
}

int cmd_run(struct arguments *a, struct err *err)
{
	return make_container(a, OP_RUN, err);
}

int cmd_create(struct arguments *a, struct err *err)
{
	return make_container(a, OP_CREATE, err);
}
