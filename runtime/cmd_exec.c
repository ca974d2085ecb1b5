/* SPDX-License-Identifier: Apache-2.0 */
/* exec: the walk of the table of those who enter a container. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ns/procfs.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/commands.h"
#include "runtime/group.h"
#include "runtime/selfexe.h"
#include "runtime/shared.h"
#include "runtime/steps.h"

static int check_command(const struct arguments *a, struct err *err)
{
	bool command = a->rest && a->rest[0];

	if (a->exec.process && command)
		return err_set(err, 0, "exec: --process and a command exclude one another");
	if (!a->exec.process && !command)
		return err_set(err, 0, "exec needs: %s", "ID COMMAND [ARGUMENT...], or --process");
	return 0;
}

/* The container's first process, held; its namespaces are those to enter. */
static int hold_target(const struct arguments *a, const struct found *f, int *ret_pidfd,
		       struct err *err)
{
	const struct record *r = &f->record;
	auto_close int pidfd = -1;
	enum status status;

	if (record_hold(f->dir, r, &status, &pidfd, err) < 0)
		return -1;
	if (status == PAUSED && !a->exec.ignore_paused) {
		err_set(err, 0, "cannot exec in container \"%s\": it is paused", r->id);
		return err_hint(err, "resume it, or give --ignore-paused to wait until it is");
	}
	if (status != RUNNING && status != PAUSED)
		return err_set(err, 0,
			       "cannot exec in container \"%s\": container not running (%s)", r->id,
			       status_names[status]);
	if (r->noPivot) {
		err_set(err, 0, "cannot exec in container \"%s\": it was made with --no-pivot",
			r->id);
		return err_hint(err, "the root of its mount namespace is the host's");
	}
	*ret_pidfd = fd_take(&pidfd);
	return 0;
}

/* The container looks on while a process of bryo's comes in: see selfexe.h. */
static int protect(const struct arguments *a, const struct nsset *ns, struct err *err)
{
	if (!selfexe_is_exposed(ns))
		return 0;
	return selfexe_protect(a->argv, a->box.preserve_fds, err);
}

/*
 * The usual case in which it is needed, a container without a user namespace of its
 * own, is seen before anything else is done: it will be done again.  What is overlooked
 * or taken for it here is looked at again when all is known.
 */
static int protect_at_once(const struct arguments *a, const struct found *f, struct err *err)
{
	static const struct nsset none;
	struct stat its, own;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%lld/ns/user", (long long)f->record.pid);
	if (stat(path, &its) < 0 || stat("/proc/self/ns/user", &own) < 0 ||
	    its.st_ino != own.st_ino || its.st_dev != own.st_dev)
		return 0;
	return protect(a, &none, err);
}

/* Where the kernel does not let the caller make a process, systemd will move it. */
static int find_way(struct box *b, int *place, struct err *err)
{
	struct cgroup *c = &b->cgroup;
	bool near = true;

	if (c->scope.unit && c->scope.user && cgroup_is_in_reach(c, b->arena, &near, err) < 0)
		return -1;
	c->scope.attach = !near;
	if (!near) {
		fd_cleanup(place);
		*place = -1;
	}
	return 0;
}

/* In its cgroup, if it has one: where its first process is now, or where asked. */
static int open_place(struct found *f, struct box *b, const char *sub, int *ret, struct err *err)
{
	char path[32], *text = arena_alloc(&f->arena, 16 * 1024);

	if (group_open(f->dir, &f->arena, &b->cgroup, err) < 0)
		return -1;
	if (b->cgroup.dir < 0 && sub)
		return err_set(err, 0, "--cgroup: container \"%s\" has no cgroup of its own",
			       b->id);
	if (b->cgroup.dir < 0)
		return 0;
	snprintf(path, sizeof(path), "%lld/cgroup", (long long)f->record.pid);
	if (!text)
		return err_set(err, ENOMEM, "the cgroup of container \"%s\"", b->id);
	if (procfs_read(b->procfd, path, text, 16 * 1024) < 0)
		return err_set(err, errno, "read /proc/%s", path);
	*ret = cgroup_place(&b->cgroup, text, sub, err);
	return *ret < 0 ? -1 : find_way(b, ret, err);
}

static int walk(struct box *b, struct err *err)
{
	sigset_t blocked;
	int status;

	if (take_signals(&blocked, &b->sigfd, err) < 0 || steps_walk(b, 0, err) < 0)
		return -1;
	if (b->opt.trace && steps_write_trace(b, b->opt.trace, err) < 0)
		log_warn("%s", err->msg);
	if (b->opt.detach)
		return 0;
	status = await_end(b, &blocked, err);
	if (status < 0)
		steps_undo(b);
	return status;
}

static int enter(struct arguments *a, struct found *f, int pidfd, struct err *err)
{
	auto_close int place = -1;
	struct box b = {
		.op = OP_EXEC,
		.id = f->record.id,
		.bundle = f->record.bundle,
		.store = -1,
		.record = &f->record,
		.opt = a->box,
		.arena = &f->arena,
	};
	int status = -1;

	if (box_begin(&b, err) == 0 &&
	    nsset_target(&b.ns, pidfd, (pid_t)f->record.pid, b.procfd, &f->arena, err) == 0 &&
	    protect(a, &b.ns, err) == 0 &&
	    box_prepare_exec(&b, f->dir, &a->exec, a->rest, err) == 0 &&
	    open_place(f, &b, a->exec.cgroup, &place, err) == 0) {
		b.ns.cgroup = place < 0 ? 0 : place;
		b.shared = shared_new(err);
		if (b.shared)
			status = walk(&b, err);
	}
	cgroup_finish(&b.cgroup);
	filter_finish(&b.filter);
	return status;
}

int cmd_exec(struct arguments *a, struct err *err)
{
	auto_close int pidfd = -1;
	struct found f;
	int status = -1;

	if (check_command(a, err) < 0 || container_find(a, a->operands[0], &f, err) < 0)
		return -1;
	if (protect_at_once(a, &f, err) == 0 && hold_target(a, &f, &pidfd, err) == 0)
		status = enter(a, &f, pidfd, err);
	container_finish(&f);
	return status;
}
