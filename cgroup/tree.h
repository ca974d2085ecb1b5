/* SPDX-License-Identifier: Apache-2.0 */
/* Where things are in the tree; for the sources of cgroup/ only. */
#ifndef BRYO_CGROUP_TREE_H
#define BRYO_CGROUP_TREE_H

#include <sys/types.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"

/*
 * On directories that were made as parents of a container's cgroup: whoever
 * removes the last child removes them too, whichever container they were made for.
 */
#define TREE_MARK "user.bryo"

struct tree {
	int fd;      /* handle of the mount's root; the caller's to close */
	char *point; /* the mount point */
	char *root;  /* what the mount shows: a path of the hierarchy, mostly "/" */
};

/*
 * Find the mount of the cgroup v2 tree.  /sys/fs/cgroup is looked at first; only
 * when it is something else (a hybrid host), or `exact`, is mountinfo read:
 * ret->root is "/" without it.
 */
int tree_find(bool exact, struct arena *a, struct tree *ret, struct err *err);

/*
 * The caller's own cgroup below the mount's root: "/" or "/a/b".  -1: it is
 * outside of what the mount shows.
 */
int tree_own(const struct tree *t, struct arena *a, char **ret, struct err *err);

/* The same of another process. */
int tree_of(const struct tree *t, pid_t pid, struct arena *a, char **ret, struct err *err);

/*
 * The components of a path, put together again with one "/" before each; ""
 * when there is none.  "." and ".." are errors: nothing is resolved by guessing.
 */
int tree_clean(const char *path, struct arena *a, char **ret, struct err *err);

#endif
