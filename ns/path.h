/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of the container.
 *
 * Trust boundary: everything below the rootfs is written by a stranger, and
 * may change while we look.  A path is therefore resolved once, by
 * openat2(RESOLVE_IN_ROOT) beneath a handle of the rootfs, and from then on the
 * descriptor is used and the string is not.  Absolute links and ".." stay
 * inside; magic links (/proc/self/fd/3) are refused.
 */
#ifndef BRYO_NS_PATH_H
#define BRYO_NS_PATH_H

#include <stdint.h>
#include <sys/types.h>

#include "runtime/base/err.h"

/*
 * Open a container path; flags of open(2), `resolve` adds to the RESOLVE_*
 * flags.  A descriptor, or -1 and errno.
 */
int path_open(int root, const char *path, int flags, uint64_t resolve);

/*
 * An O_PATH descriptor of the directory, made with its parents (mode 0755) where
 * they are missing; a link to a missing directory has its target made, inside.
 * A descriptor, or -1 and err.
 */
int path_make_dir(int root, const char *path, struct err *err);

/*
 * An O_PATH descriptor of the directory that holds the last component, made
 * when missing; the component itself goes to name.  A descriptor, or -1 and err.
 */
int path_make_parent(int root, const char *path, char name[256], struct err *err);

/* As path_make_dir(), for a regular file (mode 0644 when made). */
int path_make_file(int root, const char *path, struct err *err);

#endif
