/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cgroup that systemd makes: a transient scope.  bryo-scope (runtime/scope/) is
 * who talks to systemd; it is executed only here.
 */
#ifndef BRYO_CGROUP_SCOPE_H
#define BRYO_CGROUP_SCOPE_H

#include <stdbool.h>
#include <sys/types.h>

#include "cgroup/limits.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"

struct unit {
	bool user;       /* of the caller's own manager, else of the system's */
	char *unit;      /* NULL: the cgroup is not systemd's */
	char *slice;     /* where it is to be started */
	const char *id;  /* of the container, for those who look at systemd's list */
	pid_t waiter;    /* the process that keeps the scope alive; 0: nobody */
	int hold;        /* while this is open, the waiter waits; 0: nobody does */
	bool attach;     /* the kernel does not let us clone into it: systemd moves the box */
	const char *sub; /* where to: below the scope's own cgroup; NULL: there */
};

/* Is systemd there? */
bool scope_is_possible(void);

/*
 * What cgroupsPath means: SLICE:PREFIX:NAME is PREFIX-NAME.scope in SLICE; NULL is
 * bryo-ID.scope.  -1: it is nothing of the kind.
 */
int scope_name(const char *asked, const char *id, bool user, struct arena *a, struct unit *ret,
	       struct err *err);

/* NAME TYPE VALUE, again and again, and a NULL. */
struct words {
	char **v;
	size_t n, cap;
};

/*
 * The properties of a unit that say the same as the limits, as far as there are
 * any; so that systemd, writing the files again, writes what is in them.
 */
int scope_properties(const struct limits *list, struct arena *a, struct words *ret,
		     struct err *err);

/* Start it, with somebody in it who waits until scope_leave(). */
int scope_start(struct unit *s, const struct limits *list, struct arena *a, struct err *err);
void scope_leave(struct unit *s);

int scope_set(const struct unit *s, const struct limits *list, struct arena *a, struct err *err);
int scope_attach(const struct unit *s, pid_t pid, struct err *err);

/* End it, and wait until systemd has forgotten it.  One that is gone is no error. */
int scope_stop(const struct unit *s, struct err *err);

#endif
