/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaving out of a document what an error is about, so that the next one shows.
 * Pointers stay those of the text: what goes from a list is remembered.
 */
#ifndef BRYO_SPEC_DROP_H
#define BRYO_SPEC_DROP_H

#include "runtime/base/arena.h"
#include "spec/spec.h"

/* An element of a list that is gone. */
struct dropped {
	const char *list; /* pointer in the text */
	size_t index;     /* there, too */
};

struct drops {
	struct spec *spec;
	struct arena *arena;
	struct dropped *v;
	size_t n, cap;
};

/*
 * The pointer in the text of what has the pointer `ptr` in the document as it is now;
 * and leave out what a pointer in the text leads to, with as much around it as cannot be
 * without it.  What is not there is left out already.  -1: then nothing would be left.
 */
void drops_original(const struct drops *d, const char *ptr, char *ret, size_t size);
int drops_add(struct drops *d, const char *ptr);

#endif
