/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentence in one table: the steps that make a sandbox, in order, and the
 * two walkers.  See bryo-steps(7).
 */
#ifndef BRYO_RUNTIME_STEPS_H
#define BRYO_RUNTIME_STEPS_H

#include "runtime/box.h"

enum {
	/*
	 * HOST only: runs while the box goes on with its rows, which have been
	 * handed the baton already.  A row of the box that is always wanted must
	 * follow, and what needs the result must wait for it.
	 */
	STEP_BESIDE = 1,
	/* A failure is a warning only: the row cites the text that allows it. */
	STEP_SOFT = 2,
	/* The box waits there: `create` has done its work. */
	STEP_ENDS_CREATE = 4,
	/*
	 * Of `exec`, too: a process that enters a container walks these rows, and no
	 * others.  So what binds the container's first process binds every other.
	 */
	STEP_ENTERS = 8,
	/* Changes something outside of the container: not of a rehearsal. */
	STEP_ABROAD = 16
};

struct step {
	const char *name; /* in errors, traces, `bryo steps`, the manual */
	enum side side;   /* the process that runs it */
	const char *ptr;  /* JSON pointer of the config element it reads, or NULL */
	/* A pure function of what both processes know before the clone; NULL: always. */
	bool (*wanted)(const struct box *);
	int (*apply)(struct box *, struct err *);
	void (*undo)(struct box *); /* HOST rows only; idempotent */
	unsigned int flags;         /* STEP_* */
};

extern const struct step steps[];
extern const size_t n_steps;

/* Will the box walk this row? */
bool step_is_wanted(const struct box *b, const struct step *s);

/* The row of that name; it must exist. */
size_t step_find(const char *name);

/*
 * Walk the table from row `first` on.  In the host: returns 0 when the payload
 * runs (OP_CREATE: when the box waits for `start`), -1 with err after undoing
 * the rows that had run.  In the box, where the walker comes to life in the
 * clone row, it does not return.
 */
int steps_walk(struct box *b, size_t first, struct err *err);

/* Undo all HOST rows, last first; `delete` does it with a box from its record. */
void steps_undo(struct box *b);

/* The rows' times as Chrome trace JSON. */
int steps_write_trace(const struct box *b, const char *file, struct err *err);

#endif
