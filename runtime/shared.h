/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that the host and the box both see.  For `create` it is a file in the
 * state directory, so that `start` sees it too.
 *
 * That file also tells whether the container waits for `start`: its creation
 * puts a lock on it (F_OFD_SETLK of fcntl(2)) which the box holds on to by a
 * close-on-exec descriptor.  So it is the kernel that says, at no cost to
 * the box, whether the payload has been executed.
 */
#ifndef BRYO_RUNTIME_SHARED_H
#define BRYO_RUNTIME_SHARED_H

#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/base/err.h"

#define MAX_STEPS 96

struct shared {
	pid_t pid; /* of the box, as the host sees it */
	/* The box's error: behind its seccomp filter it may not be able to send one. */
	int failed;
	struct err err;
	char payload[256]; /* args[0], for the errors of the stub */
	struct {
		long long start, end; /* CLOCK_MONOTONIC, ns; 0: not run */
	} rows[MAX_STEPS];
	/* The filter, compiled by the host while the box is at its rows. */
	uint32_t filter_ready;
	unsigned int filter_flags;
	size_t filter_len;
	struct sock_filter filter[BPF_MAXINSNS];
};

/* Memory for a container that nobody will start: `run`.  NULL and err. */
struct shared *shared_new(struct err *err);

/*
 * The same in a new file of the state directory.  *ret_lock is the descriptor
 * that holds the lock: the box's to keep, the host's to close.
 */
struct shared *shared_create(int dir, int *ret_lock, struct err *err);

/* The file of a created container. */
struct shared *shared_open(int dir, struct err *err);

/*
 * The host has written the filter; the box waits until it has (futex(2)), and ends
 * when the host at the other end of `chan` is gone.
 */
void shared_filter_ready(struct shared *s);
void shared_await_filter(const struct shared *s, int chan);

/* Does the container wait for `start`? */
bool shared_is_waiting(int dir);

#endif
