/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of a container's cgroup: a file of its state directory,
 * written before the cgroup is made, so that `delete` finds it whatever became
 * of the bryo that made it.
 *
 * Trust boundary: a user can write what he likes into his state directory.  Root
 * looking after it goes on as that user (see store.c), so on its word nothing is
 * done to a cgroup that the user could not do himself.
 */
#ifndef BRYO_RUNTIME_GROUP_H
#define BRYO_RUNTIME_GROUP_H

#include <stdbool.h>

#include "cgroup/cgroup.h"
#include "spec/json.h"

/* Remember path, kept and inode, scope and enforced; again when more is known. */
int group_write(int dir, const struct cgroup *c, struct err *err);

/* What is remembered, and nothing opened; path NULL: a container without one. */
int group_read(int dir, struct arena *a, struct cgroup *ret, struct err *err);

/* Its member "cgroup" of an object: the path, and which files limit something. */
void group_write_json(struct json *j, const struct cgroup *c);

/*
 * Open the cgroup of the container with that state directory.  A container
 * without one: path is NULL; one that is gone: dir is -1.  cgroup_finish() closes
 * the handles.
 */
int group_open(int dir, struct arena *a, struct cgroup *ret, struct err *err);

/* Remove it with all that is in it, and forget it; idempotent. */
int group_remove(int dir, struct err *err);
void group_forget(int dir);

/* Is there one, and is it frozen? */
bool group_is_frozen(int dir);

#endif
