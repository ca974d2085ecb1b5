/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's cgroup in the cgroup v2 tree (cgroups(7), the kernel's
 * Documentation/admin-guide/cgroup-v2.rst): where it is, its making ahead of the
 * container's first process, its limits, and what is done to all processes in it.
 *
 * cgroup v1 is not touched and not looked at, but to say in an error where a
 * controller has gone.
 */
#ifndef BRYO_CGROUP_CGROUP_H
#define BRYO_CGROUP_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup/device.h"
#include "cgroup/limits.h"
#include "cgroup/scope.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "spec/spec.h"

enum cgroup_manager { CGROUP_AUTO, CGROUP_CGROUPFS, CGROUP_SYSTEMD, CGROUP_DISABLED };

struct cgroup {
	bool wanted;                   /* the container gets one of its own */
	bool begun;                    /* `kept` is known: there may be something to remove */
	struct limits limits;          /* what is written before it has a process */
	struct device_program devices; /* n == 0: none */
	const char *mount_point;       /* of the tree, for errors */
	struct unit scope;             /* unit NULL: systemd has no part in it */
	const char *enforced;          /* files that limits were written to; NULL: none */
	char *path;                    /* "/a/b", below the root of the mount; NULL: not yet */
	unsigned int kept;             /* how many of its components were there before us */
	uint64_t inode;                /* of the directory; 0: not known */
	int mount;                     /* handle of the mount's root; -1 */
	int dir;                       /* handle of the cgroup itself; -1 */
};

struct cgroup_wish {
	enum cgroup_manager manager;
	const struct spec_linux *linux_;
	const char *id;
	bool ordinary; /* the caller is no root: systemd is the user's own */
	bool may_load; /* a program for the devices, see device.h; else they are left out */
};

/* ---- making one ---- */

/*
 * Decide whether there will be one, and where:
 *
 *   absolute cgroupsPath   below the root of the mount
 *   relative               beneath the caller's own cgroup
 *   absent                 the leaf bryo-ID there, when a limit is asked for
 *
 * Beneath the caller's own, since what limits the caller (a batch system's job,
 * a CI runner's) then limits the container.  But controllers cannot be enabled
 * for the children of a cgroup that holds processes, as the caller's does.
 * Where one is needed the container's stands beside the caller's, in the same
 * parent, provided that the caller's has no limits that it would escape so.
 *
 * With CGROUP_SYSTEMD there always is one, a scope, and the path is not known
 * until it is made.  With CGROUP_AUTO an ordinary user to whom no cgroup is
 * delegated gets a scope too, instead of an error.
 *
 * Nothing is made.  Strings live in the arena; the handle is closed by
 * cgroup_finish().
 */
int cgroup_plan(struct cgroup *c, const struct cgroup_wish *wish, struct arena *a, struct err *err);

/*
 * Look at what is there: how much of the path exists, and that neither the
 * cgroup holds processes nor it or its parent is frozen: the container would be
 * limited together with strangers, or never start.
 */
int cgroup_survey(struct cgroup *c, struct err *err);

/*
 * Make the directories that are missing, and on the way enable the controllers
 * that the limits need, and no others.  Sets dir and inode.
 */
int cgroup_make(struct cgroup *c, struct err *err);

/*
 * The same when it is a scope: instead of both, systemd is asked.  When this returns
 * somebody waits in it, until cgroup_settle().
 */
int cgroup_make_scope(struct cgroup *c, struct arena *a, struct err *err);

/* All limits; err->ptr begins with /linux/resources. */
int cgroup_limit(const struct cgroup *c, struct err *err);

/*
 * In a scope: the container's process is there, or is put there now; who has waited
 * for it goes.
 */
int cgroup_settle(struct cgroup *c, pid_t pid, struct err *err);

/*
 * May the caller make a process in it?  The kernel asks for the right to move one
 * there from where the caller is, which ordinary users lack outside of the part of
 * the tree that is their manager's.
 */
int cgroup_is_in_reach(const struct cgroup *c, struct arena *a, bool *ret, struct err *err);

/* Give it to the user, as config-linux.md says ("Cgroup ownership"). */
int cgroup_delegate(const struct cgroup *c, uid_t uid, struct err *err);

/* Close the handles; idempotent. */
void cgroup_finish(struct cgroup *c);

/* ---- one that is there ---- */

/*
 * Open that of a container from what was remembered of it: path, kept, inode.
 * dir stays -1 when it is gone, or is another that has got its name.
 */
int cgroup_open(struct cgroup *c, struct arena *a, struct err *err);

/*
 * A handle of the cgroup that a process is to be born in which enters the container:
 * `sub` beneath its cgroup, or, without, the one that its first process is in now,
 * by its /proc/PID/cgroup: once a container has children with controllers
 * in its cgroup, no process can be put beside them.  Never outside.
 * c->scope.sub is what is below the container's, in `membership` or `sub`.
 * -1 and err.
 */
int cgroup_place(struct cgroup *c, char *membership, const char *sub, struct err *err);

/*
 * End all processes in it, and remove it with its children, and the parents that
 * were made for it and are empty.  What existed before stays.  Idempotent.
 */
int cgroup_remove(struct cgroup *c, struct err *err);

/*
 * Stop all its processes, or let them go on, and wait until it is so.  -1: it did
 * not come to be in time, or `stop` (a descriptor, -1: none) became readable;
 * whatever was frozen is thawed then.
 */
int cgroup_freeze(int dir, bool freeze, int stop, struct err *err);
bool cgroup_is_frozen(int dir);

/* SIGKILL for all its processes and those of its children, at once (5.14). */
int cgroup_kill(int dir, struct err *err);

/* Their pids, as the caller sees them, children's too; a zeroed end.  NULL and err. */
pid_t *cgroup_pids(int dir, struct arena *a, size_t *ret_n, struct err *err);

/* Enable what `list` needs on the way to a cgroup that is there, for `update`. */
int cgroup_enable(const struct cgroup *c, const struct limits *list, struct err *err);

#endif
