/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of a container's overlay: in the state directory, for
 * `diff`, `export` and `delete`; and in the kept directory, who uses it.
 *
 * A kept directory is in use while its lock (flock(2)) is held, which is as long
 * as bryo or the box works on it, and from then on while the process lives that
 * the file "owner" in it names.
 */
#ifndef BRYO_RUNTIME_LAYERS_H
#define BRYO_RUNTIME_LAYERS_H

#include "runtime/box.h"

struct layers {
	char *dir;              /* the kept directory; NULL: a tmpfs */
	uint64_t device, inode; /* of dir */
	struct strs lower;      /* the first is on top */
	bool userns;            /* in which the ids are those of the maps */
	bool userxattr;         /* the attributes of layers are user.*, not trusted.* */
	struct spec_idmaps uids, gids;
};

/* In the state directory. */
int layers_write(int dir, const struct overlay *o, const struct nsset *ns, struct arena *a,
		 struct err *err);

/* *ret->lower.n == 0: it has no overlay. */
int layers_read(int dir, struct arena *a, struct layers *ret, struct err *err);

/*
 * The kept directory, if it is the same still: a descriptor, or -1 and err
 * (err->num == ENOENT when it is not).
 */
int layers_open_home(const struct layers *l, struct err *err);

/* Is it in use?  By the holder of the lock o->home only: -1 and err otherwise. */
int layers_check_unused(const struct overlay *o, struct err *err);

/* Is no lower layer one that a living container writes to?  -1 and err. */
int layers_check_lower(const struct overlay *o, struct err *err);

/* The error of one who does not get the lock, with the holder's name if it is known; -1. */
int layers_say_locked(const char *dir, struct err *err);

/* In the kept directory: it is this process's. */
int layers_write_owner(int home, const char *id, pid_t pid, uint64_t identity, struct err *err);

/* Of a container that has ended: scratch and owner, unless it is another's by now. */
void layers_release(int dir, const char *id);

#endif
