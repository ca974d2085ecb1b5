/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between `create` and `start`: the box waits on a listening socket in the
 * state directory, with close-on-exec.  So whoever can reach the directory can
 * wake it, no process polls, `start` gets a channel on which the last rows
 * report.
 */
#ifndef BRYO_RUNTIME_LISTENER_H
#define BRYO_RUNTIME_LISTENER_H

#include <stdbool.h>

#include "runtime/base/err.h"

/* Make the socket in `dir`.  A descriptor, or -1 and err. */
int listener_open(int dir, struct err *err);

/* A connection to the box; -1 and errno (ECONNREFUSED: nobody waits). */
int listener_call(int dir);

/*
 * In the box: wait for a caller that hands over the baton; its connection.
 * Those that go away before are forgotten.  -1 and errno.
 */
int listener_await(int listener);

#endif
