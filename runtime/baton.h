/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel between the two walkers: datagrams of one letter on a
 * SOCK_SEQPACKET pair, so that a message is whole or not there.
 *
 * End-of-file is ambiguous - the peer has exec'd, or has died - so the box says
 * READY before the last rows; end-of-file after READY, with no error left in
 * the shared memory, means that the payload runs.
 */
#ifndef BRYO_RUNTIME_BATON_H
#define BRYO_RUNTIME_BATON_H

#include "runtime/box.h"

enum baton {
	BATON = 'B',
	BATON_READY = 'R',
	BATON_ERROR = 'E',
	BATON_WARNING = 'W',
	/* These with a descriptor: see agent.h. */
	BATON_PAGE = 'P',
	BATON_HELPER = 'H',
	BATON_LISTENER = 'L'
};

/* A connected pair; -1 and err. */
int baton_pair(int ret_fds[2], struct err *err);

/* -1 when the peer is gone. */
int baton_send(int chan, enum baton what);

/* The same with a descriptor; -1 and errno. */
int baton_send_fd(int chan, enum baton what, int fd);

/* A warning of the box's, for the host to print. */
void baton_warn(void *box, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Box: wait for the baton.  Does not return when the host is gone. */
void baton_await_host(struct box *b);

/*
 * Host: wait until the box hands over the baton or says READY.  Prints its
 * warnings, and serves its listener.  -1: the box failed or died, or a signal asked us to stop.
 */
int baton_await_box(struct box *b, enum baton what, struct err *err);

/* Host, after READY: wait for the end-of-file of execve(2). */
int baton_await_exec(struct box *b, struct err *err);

#endif
