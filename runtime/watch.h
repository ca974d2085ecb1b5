/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of the host as that of the payload, where the kernel does not see to it: a
 * change of SELinux's label or of AppArmor's profile clears what prctl(PR_SET_PDEATHSIG)
 * has set.  A process that holds nothing but the box's pidfd and one end of a pipe kills
 * the box when the other end, which the host alone has, is closed.
 */
#ifndef BRYO_RUNTIME_WATCH_H
#define BRYO_RUNTIME_WATCH_H

#include "runtime/box.h"

/* After the clone, so that the box has nothing of the pipe. */
int watch_start(struct box *b, struct err *err);

/* End it, and the box, if that lives. */
void watch_finish(struct box *b);

#endif
