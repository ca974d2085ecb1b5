/* SPDX-License-Identifier: Apache-2.0 */
/* The statistics of a cgroup, in the shape that `runc events` has given them. */
#ifndef BRYO_RUNTIME_STATS_H
#define BRYO_RUNTIME_STATS_H

#include "spec/json.h"

/*
 * One object.  What the cgroup has no controller for is left out or 0; added to
 * runc's members are peaks and, with the controller's, "limited": whether a limit
 * of it is enforced.
 */
void stats_write(struct json *j, int dir);

#endif
