/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system as an overlay: /root/path and further directories below,
 * which nobody writes to, and on top a thin layer that takes all writes: a tmpfs
 * that ends with the container, or the directory "upper" of a kept one, with
 * the kernel's scratch "work" beside it (overlayfs.rst).
 *
 * Trust boundary: layers hold what strangers wrote, the upper one also what the
 * payload is writing.  The kernel reads instructions from extended attributes of
 * files in layers; those that lead from one name to the data of another
 * (redirect, metacopy) are off, whatever the module's defaults are.  In a user
 * namespace all is done with the capabilities of the container's root, which
 * reach no file that the payload could not reach itself.
 */
#ifndef BRYO_NS_OVERLAY_H
#define BRYO_NS_OVERLAY_H

#include <stdbool.h>
#include <sys/types.h>

#include "ns/mount.h"
#include "ns/nsset.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"

/* What the kernel stacks at most. */
enum { OVERLAY_LAYERS = 500 };

struct overlay_layer {
	const char *path; /* absolute */
	const char *ptr;  /* JSON pointer, or NULL: from the command line */
	uint64_t resolve; /* how to get there: RESOLVE_* of openat2(2) */
	int tree;         /* of foreign ids: the host's clone, to be idmapped; -1 */
	int fd;           /* in the box; -1 */
};

struct overlay {
	const char *dir;              /* holds upper and work, absolute; NULL: a tmpfs */
	const char *ptr;              /* where it was asked for, or NULL: on the command line */
	uint64_t resolve;             /* as that of a layer */
	uint64_t size;                /* of the tmpfs, in bytes */
	uint64_t inodes;              /* likewise */
	struct overlay_layer *layers; /* the first is on top; none: no overlay */
	size_t n;
	int home;        /* dir, open; it is locked by it; -1 */
	int upper, work; /* as the host has made them, then as the box has opened them */
	bool made_upper, made_work;
};

/* "tmpfs", "tmpfs:SIZE" with k, m, g or t behind the number, or a directory. */
int overlay_parse(struct overlay *o, const char *text, struct err *err);

/* No overlay. */
void overlay_init(struct overlay *o);

/*
 * In the host: open the kept directory, which must be the caller's and nobody
 * else's, and lock it.  The lock is freed with the last copy of o->home.  -1 and
 * err->num == EWOULDBLOCK when another has it.
 */
int overlay_open_home(struct overlay *o, const struct nsset *ns, struct err *err);

/* Then make what is missing in it. */
int overlay_make_dirs(struct overlay *o, const struct nsset *ns, struct err *err);

/* Only what was made and is still empty; idempotent. */
void overlay_unmake(struct overlay *o);

/*
 * The kernel's scratch, as far as that goes without privilege; what is left the
 * kernel removes at the next mount.  Not while it is mounted.
 */
void overlay_clean_work(int home);

/*
 * In a privileged host, before the box: clone the layers whose owner does not
 * exist in the container; and give the clones its ids, once the maps are written.
 */
bool overlay_may_idmap(const struct overlay *o, const struct nsset *ns);
int overlay_clone_foreign(struct overlay *o, const struct nsset *ns, struct err *err);
int overlay_idmap(struct overlay *o, const struct nsset *ns, struct err *err);

/* In the box, as the caller still: open all that the overlay is made of. */
int overlay_open_layers(struct overlay *o, struct err *err);

/*
 * In the box, as the container's root: mount it, as m->root.  A tmpfs is
 * attached on "/" before, so that it stays beneath the root: m->beneath.
 */
int overlay_mount(struct overlay *o, struct mountset *m, const struct nsset *ns, struct err *err);

/* Close all handles; and those that no lock depends on. */
void overlay_close_layers(struct overlay *o);
void overlay_finish(struct overlay *o);

#endif
