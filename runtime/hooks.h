/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks (config.md, "POSIX-platform Hooks"): programs told of the state on stdin. */
#ifndef BRYO_RUNTIME_HOOKS_H
#define BRYO_RUNTIME_HOOKS_H

#include "runtime/record.h"
#include "spec/spec.h"

struct hook_how {
	mode_t umask;        /* the caller's */
	int sigfd;           /* a signal there ends the wait, and the hook; or -1 */
	int procfd;          /* for the profile of AppArmor that they get */
	const char *profile; /* or NULL */
};

/*
 * Run them in order, each to its end or its timeout, with nothing but its own
 * environment: never the container's (CVE-2025-23266).  `name` is that of the
 * list, for the pointer.  -1 at the first that fails.
 */
int hooks_run(const struct spec_hooks *list, const char *name, const struct record *r,
	      enum status status, const struct hook_how *how, struct err *err);

/* The same for poststop: who fails is warned of, and the others run all the same. */
void hooks_run_all(const struct spec_hooks *list, const char *name, const struct record *r,
		   enum status status, mode_t mask);

#endif
