/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a document.  Who reads one for use wants the first error and no
 * more; `validate` wants them all, and so whoever finds one tells it and goes on.
 */
#ifndef BRYO_SPEC_FINDINGS_H
#define BRYO_SPEC_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/err.h"

enum severity { FINDING_ERROR, FINDING_WARNING };

struct findings {
	struct err *first; /* of the errors; filled when there is one */
	size_t errors;
	/* Gets each; NULL: the first is all that is wanted, and warnings are not. */
	void (*tell)(void *data, enum severity severity, const struct err *e);
	void *data;
	char under[sizeof(((struct err *)0)->ptr)]; /* the object that is looked at */
};

/* Is the first enough, and there? */
bool findings_enough(const struct findings *f);

/* An error in the element at `ptr`, which is relative to the object looked at. */
void finding(struct findings *f, const char *ptr, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, with the pointer in *e already. */
void findings_add(struct findings *f, enum severity severity, const struct err *e);

/*
 * Of the words that next() gives until NULL, the one that `word` may be a misspelling
 * of: few letters missing, added, changed, swapped or in the other case.  NULL: none.
 */
typedef const char *next_word(void *data);
const char *findings_nearest(const char *word, next_word *next, void *data);

/* Adds the question whether that was meant, if it is any. */
void findings_suggest(struct err *e, const char *nearest);

#endif
