/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `validate` has found in a bundle, and how it goes on: what an error is about is
 * left out of the document, and the look that has found it is taken again.
 */
#ifndef BRYO_RUNTIME_VALIDATE_H
#define BRYO_RUNTIME_VALIDATE_H

#include "runtime/box.h"
#include "spec/drop.h"
#include "spec/findings.h"

struct report {
	struct arena *arena;
	struct findings findings; /* told to this report */
	struct drops drops;
	struct found_one {
		enum severity severity;
		struct err err;
	} * v;
	size_t n, cap;
	size_t told[2];  /* by severity */
	bool more[2];    /* than are told */
	bool rehearsing; /* see report_host() */
	bool not_tried;  /* the look has failed of what it may not do itself: no error */
	bool no_memory;
};

/* Is there an error at that pointer, below it, or in what it is in? */
bool report_flawed(const struct report *r, const char *ptr);

void report_warn(struct report *r, const char *ptr, const char *text);

/*
 * Take a look until there is no error, each time without what the last error was about.
 * The look makes a plan of its own in *b, whose spec is that of the report.
 */
typedef int look_fn(struct box *b, struct err *err);
void report_look(struct report *r, struct box *b, look_fn *look);

/*
 * What this kernel and this user cannot do: make the container and throw it away, with
 * nothing of it executed and nothing changed outside.  -1 and err when a signal has
 * ended that.
 */
struct arguments;
int report_host(struct report *r, struct box *b, const struct arguments *a, struct err *err);

#endif
