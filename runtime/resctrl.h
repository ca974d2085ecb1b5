/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classes of service and monitoring groups of the resctrl file system
 * (/linux/intelRdt): directories of its mount, with a file to which the process is
 * written.  Those that bryo made are remembered in the state directory, so that
 * `delete` removes them, and no others; a class that the configuration names it
 * only removes with a container that was not made to its end.
 */
#ifndef BRYO_RUNTIME_RESCTRL_H
#define BRYO_RUNTIME_RESCTRL_H

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/base/err.h"
#include "spec/spec.h"

/*
 * Put the process into its class and groups, making what the specification
 * wants made; `id` is the container's, `state` its state directory.  What is
 * half done after a failure resctrl_remove() removes.  A rehearsal writes no schemata to a
 * class that is there.
 */
int resctrl_enter(const struct spec_rdt *rdt, const char *id, int state, pid_t pid, bool rehearsed,
		  struct err *err);

/* Put one more process of that container where its first one was put. */
int resctrl_follow(const struct spec_rdt *rdt, const char *id, pid_t pid, struct err *err);

/* The container is made: a class that the configuration names stays when it has gone. */
int resctrl_keep(const struct spec_rdt *rdt, int state, struct err *err);

/* Remove what was made for the container with that state directory; idempotent. */
int resctrl_remove(int state, struct err *err);

#endif
