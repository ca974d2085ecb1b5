/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exit status of a process is its parent's to know.  So `run --detach` leaves one
 * behind, the keeper: it makes the container, waits for its end, writes the status into
 * the state directory and ends with it, as a process that reaps it may want to see.
 * Of `create` the parent is the caller, or who reaps his orphans: engines count on that.
 */
#ifndef BRYO_RUNTIME_KEEPER_H
#define BRYO_RUNTIME_KEEPER_H

#include <sys/types.h>

#include "runtime/base/err.h"

struct box;

/*
 * Returns 0 in the keeper, which dies with its parent until keeper_stay(); in the parent
 * its pid.  *ret_channel is what they talk by.  -1 and err.
 */
pid_t keeper_fork(int *ret_channel, struct err *err);

/*
 * In the parent: until the container runs, signals that end bryo are the keeper's.  0, or
 * the exit status of a keeper that has failed, and has said why.  -1 and err.
 */
int keeper_await(pid_t keeper, int channel, struct err *err);

/* Make the file that will have the status; an empty one says that there is a keeper. */
int keeper_note(struct box *b, struct err *err);

/* In the keeper, once the container runs.  Returns only on failure, -1 and err. */
int keeper_stay(const struct box *b, int channel, struct err *err);

/*
 * The status that is written in the state directory: *ret is -1 while there is none.
 * A descriptor of the file outlives `delete`; -1 and err when there is no keeper.
 */
int keeper_open(int dir, struct err *err);
int keeper_read(int file, int *ret, struct err *err);

/* A wait status as shells have it. */
int keeper_status(int wait_status);

#endif
