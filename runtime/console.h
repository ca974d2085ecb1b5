/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handing the master of a terminal, or a pidfd, to who will use it: one message with
 * one descriptor (SCM_RIGHTS of unix(7)), as runc does and engines expect.
 */
#ifndef BRYO_RUNTIME_CONSOLE_H
#define BRYO_RUNTIME_CONSOLE_H

#include "runtime/base/err.h"

/* Connect to the socket of that kind; a path of any length. */
int console_connect(const char *kind, const char *path, struct err *err);

/* The text goes along; callers take it for a name. */
int console_send(int socket, int fd, const char *text, struct err *err);

/* A descriptor, close-on-exec. */
int console_receive(int socket, struct err *err);

#endif
