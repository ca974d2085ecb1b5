/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executing the payload by way of the stub: see stub.c for why.
 */
#ifndef BRYO_RUNTIME_STUB_H
#define BRYO_RUNTIME_STUB_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* What follows the program in its image. */
struct stub_params {
	uint32_t len, flags; /* of the filter; 0: none */
	struct sock_filter insns[];
};

/* What it says on the channel when it fails; num is an errno (all are < 256). */
enum { STUB_EXEC = 'X', STUB_FILTER = 'F', STUB_APPARMOR = 'A', STUB_SELINUX = 'S' };

struct stub_message {
	char what;
	unsigned char num;
};

/*
 * The image, with a filter that is installed before the payload or len 0, as a
 * sealed memory file.  A descriptor, or -1 and err.
 */
int stub_make(const struct sock_filter *insns, size_t len, unsigned int flags, struct err *err);

/* A directory of /proc/self/attr; its file "exec" says how the next program is confined. */
struct stub_attr {
	int dir; /* or -1 */
	const char *request;
};

/* What it is to do. */
struct stub_task {
	int stub; /* the memory file */
	int chan; /* where failures are told */
	int page; /* in which the listener of a filter that has one is handed over, or -1 */
	struct stub_attr apparmor, selinux;
	int held;         /* kept until the payload is executed, or -1 */
	const char *path; /* the payload */
	char *const *argv, *const *env;
};

/* Execute it.  Returns only with an error of its own; -1 and errno. */
int stub_exec(const struct stub_task *t);

#endif
