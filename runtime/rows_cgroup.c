/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the container's cgroup; the table is in sandbox.c. */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "runtime/base/log.h"
#include "runtime/group.h"
#include "runtime/rows.h"

bool row_has_cgroup(const struct box *b)
{
	return b->cgroup.wanted;
}

/* "The cgroup filesystem is to be mounted read/write" (config-linux.md). */
static bool mounts_writable(const struct spec_mounts *mounts)
{
	for (size_t i = 0; i < mounts->n; i++) {
		const struct spec_mount *m = &mounts->v[i];
		bool ro = false;

		if (!m->source || strcmp(m->source, "cgroup") != 0 ||
		    strcmp(m->destination, "/sys/fs/cgroup") != 0)
			continue;
		for (size_t k = 0; k < m->options.n; k++)
			ro |= !strcmp(m->options.v[k], "ro");
		return !ro;
	}
	return false;
}

/* The caller's id of the user who will execute the payload; false: none is known. */
static bool payload_uid(const struct box *b, uid_t *ret)
{
	uint32_t uid = b->spec->process->user.uid;

	if (!b->ns.in_userns) {
		*ret = uid;
		return true;
	}
	for (size_t i = 0; i < b->ns.uid.n; i++) {
		const struct spec_idmap *m = &b->ns.uid.v[i];

		if (uid >= m->containerID && uid - m->containerID < m->size) {
			*ret = m->hostID + (uid - m->containerID);
			return true;
		}
	}
	return false;
}

static int delegate(const struct box *b, struct err *err)
{
	uid_t uid;

	/* An ordinary user has nothing to give away. */
	if (!b->ns.privileged || !b->spec->process || !mounts_writable(&b->spec->mounts) ||
	    !(b->ns.create & nsset_clone_flags[NS_CGROUP]) || !payload_uid(b, &uid))
		return 0;
	return cgroup_delegate(&b->cgroup, uid, err);
}

/*
 * Written down when it is there: killed before, the one who waits in it goes with us,
 * and the scope with him.
 */
static int make_scope(struct box *b, struct err *err)
{
	struct cgroup *c = &b->cgroup;
	bool near = true;

	c->begun = true;
	if (cgroup_make_scope(c, b->arena, err) < 0 || group_write(b->dir, c, err) < 0)
		return -1;
	if (c->scope.user && cgroup_is_in_reach(c, b->arena, &near, err) < 0)
		return -1;
	c->scope.attach = !near;
	b->ns.cgroup = near ? c->dir : 0;
	return delegate(b, err);
}

static int make(struct box *b, struct err *err)
{
	if (cgroup_survey(&b->cgroup, err) < 0)
		return -1;
	b->cgroup.begun = true;
	/* Before and after: killed in between, `delete` still knows what to look for. */
	if (group_write(b->dir, &b->cgroup, err) < 0 || cgroup_make(&b->cgroup, err) < 0)
		return -1;
	return group_write(b->dir, &b->cgroup, err);
}

int row_cgroup_apply(struct box *b, struct err *err)
{
	int bad;

	if (b->cgroup.scope.unit)
		return make_scope(b, err);
	bad = make(b, err);
	/* The `delete` of another container may remove a parent that both use. */
	for (int tries = 0; bad && err->num == ENOENT && tries < 100; tries++)
		bad = make(b, err);
	if (bad)
		return -1;
	b->ns.cgroup = b->cgroup.dir;
	return delegate(b, err);
}

void row_cgroup_undo(struct box *b)
{
	struct err err;

	if (!b->cgroup.begun)
		return;
	if (cgroup_remove(&b->cgroup, &err) < 0)
		log_warn("%s", err.msg);
	else if (b->dir >= 0)
		group_forget(b->dir);
	cgroup_finish(&b->cgroup);
	b->cgroup.begun = false;
	b->ns.cgroup = 0;
}

bool row_has_limits(const struct box *b)
{
	return b->cgroup.wanted && (b->cgroup.limits.n || b->cgroup.devices.n);
}

int row_limits_apply(struct box *b, struct err *err)
{
	struct cgroup *c = &b->cgroup;

	if (cgroup_limit(c, err) < 0)
		return -1;
	c->enforced = limits_names(NULL, &c->limits, c->devices.n, b->arena, err);
	return c->enforced ? group_write(b->dir, c, err) : -1;
}

bool row_has_scope(const struct box *b)
{
	return b->cgroup.scope.unit && (b->op != OP_EXEC || b->cgroup.scope.attach);
}

int row_scope_apply(struct box *b, struct err *err)
{
	return cgroup_settle(&b->cgroup, b->ns.pid, err);
}

bool row_has_cgroupns(const struct box *b)
{
	return b->cgroup.wanted && (b->ns.create & nsset_clone_flags[NS_CGROUP]);
}

int row_cgroupns_apply(struct box *b, struct err *err)
{
	(void)b;
	if (unshare(CLONE_NEWCGROUP) < 0)
		return err_set(err, errno, "make the cgroup namespace");
	return 0;
}
