/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which container has which label: a file "label" in the state directory of each.
 * There is no daemon and no list of all: what is taken is what these files and the
 * running processes have.
 *
 * A pair is reserved from the moment at which the file is written, under a lock
 * on the store, until the directory is removed.  What a crash has left half made
 * reserves nothing: it never started anything, and nobody can start it.
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

/*
 * Give the container two of the categories `usable` that no container of the store
 * and no process has, but for processes with exactly those of `own` (or NULL).  *ret is
 * the label with them.
 */
int labels_reserve(const struct label_place *p, const char *label, const struct mcs_set *usable,
		   const struct mcs_set *own, struct arena *a, char **ret, struct err *err);

/* Remember one that is given, so that nobody else gets its categories. */
int labels_note(const struct label_place *p, const char *label, struct err *err);

#endif
