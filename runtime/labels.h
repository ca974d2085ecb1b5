/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which container has which label: a file "label" in the state directory of each.
 * There is no daemon and no list of all: what is taken is what these files and the
 * running processes have.
 *
 * A pair is reserved from the moment at which the file is written, under a lock
 * on the store, until the directory is removed.  What a crash has left half made
 * reserves nothing: it never started anything, and nobody can start it.
 *
 * Other stores do not see the file.  For them a descriptor reserves the pair until the
 * container's first process has the label, where everybody sees it: the box keeps it
 * until execve(2), as the lock that says "created".  The kernel closes it when it is
 * done with execve(2), so the two overlap; and when the box dies.
 */
#ifndef BRYO_RUNTIME_LABELS_H
#define BRYO_RUNTIME_LABELS_H

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "selinux/mcs.h"

struct label_place {
	int store, dir; /* of all containers, and of this one, which is locked */
	int procfd;     /* whose processes are looked at */
};

struct label_draw {
	const char *label; /* that gets the pair */
	const struct mcs_set *usable;
	/*
	 * The label of a caller who has but his own categories, or NULL: other processes
	 * with exactly these are no containers, unless they have their type.
	 */
	const char *own;
};

/*
 * Give the container two categories that no container of the store and no process has,
 * and that nobody is being given.  *ret is the label with them, *ret_held the
 * descriptor that reserves them for now.
 */
int labels_reserve(const struct label_place *p, const struct label_draw *w, struct arena *a,
		   char **ret, int *ret_held, struct err *err);

/* Remember one that is given, so that nobody else gets its categories. */
int labels_note(const struct label_place *p, const char *label, struct err *err);

#endif
