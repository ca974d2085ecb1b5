/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readiness of the payload for a service manager (sd_notify(3)).  With
 * NOTIFY_SOCKET in bryo's environment the payload gets a socket of its own, in a
 * directory of the container's state that is bound into it.  What it says there is
 * not handed on as it is: a payload could name any process as the main one.  Of
 * READY=1 the service manager is told, with the pid of the payload, and of nothing
 * else.
 */
#ifndef BRYO_RUNTIME_NOTIFY_H
#define BRYO_RUNTIME_NOTIFY_H

#include "runtime/box.h"

/*
 * Into the configuration: a mount and a variable, unless it has that variable
 * itself.  `root` is that of --root or NULL.
 */
int notify_plan(struct box *b, struct spec *s, const char *root, struct err *err);

/* Make the directory that is bound, in the state directory `dir`. */
int notify_make(int dir, struct err *err);

/*
 * Listen there from now on.  A descriptor, close-on-exec, or -1 and err; also -1
 * with err->num == ENOENT when the container was made without.
 */
int notify_listen(int dir, struct err *err);

/* One message has come; true when it was READY=1 and the service manager knows. */
bool notify_relay(int socket, pid_t pid);

/* Wait for it, or for the end of the container, or until `stop` is readable. */
void notify_await(int socket, pid_t pid, int pidfd, int stop);

#endif
