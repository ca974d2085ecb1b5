/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an upper layer changes of the layers below: names added, changed and
 * deleted, in the order of their paths.
 *
 * Trust boundary: the upper layer is being written by the payload.  No link is
 * followed, no file is opened but directories, and what does not fit together is
 * an error of the container's own list.
 */
#ifndef BRYO_NS_CHANGES_H
#define BRYO_NS_CHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "runtime/base/err.h"
#include "spec/spec.h"

enum change { ADDED, CHANGED, DELETED };

/* The stat is that of the new file; of a deleted one that of the old.  Not 0: stop. */
typedef int change_visitor(const char *path, enum change what, const struct stat *st, void *arg);

struct changes {
	int upper;        /* a directory that can be read */
	const int *lower; /* the first is on top */
	size_t n;
	/* Of the container, where the caller sees the host's ids; else NULL. */
	const struct spec_idmaps *uids, *gids;
	bool userxattr; /* the attributes are user.overlay.*, not trusted.overlay.* */
	change_visitor *visit;
	void *arg;
};

/* -1 and err, also when a visitor returned anything but 0. */
int changes_visit(const struct changes *c, struct err *err);

#endif
