/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that ask a command to stop: SIGHUP, SIGINT, SIGQUIT and SIGTERM. */
#ifndef BRYO_BASE_STOP_H
#define BRYO_BASE_STOP_H

#include <signal.h>

#include "runtime/base/err.h"

sigset_t stop_signals(void);

/* Block them, and get them by a descriptor of signalfd(2) instead.  -1 and err. */
int stop_open(struct err *err);

/* The error of who was asked: "interrupted", and the exit code of a shell.  Returns -1. */
int stop_interrupted(int sig, struct err *err);

#endif
