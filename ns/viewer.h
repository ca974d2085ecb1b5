/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To look at files as a container does: with its ids, and with its root's
 * capabilities over files that belong to them, but outside of it.
 *
 * Trust boundary: not in the container's own user namespace, where its processes
 * could trace who comes in, but in a new one with the same maps, over which they
 * have no capability.
 */
#ifndef BRYO_NS_VIEWER_H
#define BRYO_NS_VIEWER_H

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/base/err.h"
#include "spec/spec.h"

/* A fork(2) into such a user namespace: 0 there, its pid here, -1 and err here. */
pid_t viewer_fork(const struct spec_idmaps *uids, const struct spec_idmaps *gids, struct err *err);

/*
 * The directory "upper" of the tmpfs beneath the root of a container (see
 * overlay_mount()), whose first process the pidfd refers to.  A helper process
 * enters its namespaces, takes a copy of its mounts, and in the copy takes off
 * what lies on the tmpfs: it opens nothing else in there.  A descriptor, or -1
 * and err.
 */
int viewer_open_beneath(int pidfd, bool userns, struct err *err);

#endif
