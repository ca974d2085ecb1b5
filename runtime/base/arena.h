/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing region of memory that is freed as a whole.  Parsed documents and
 * plans live in one; nothing in it is freed on its own, so a failed parse
 * needs no cleanup.  Memory comes zeroed.  NULL means no memory, which is a
 * normal error of the caller.
 */
#ifndef BRYO_BASE_ARENA_H
#define BRYO_BASE_ARENA_H

#include <stddef.h>

struct arena {
	struct arena_block *last;
};

/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *a, size_t size);

/* An array; NULL also when n * size overflows. */
void *arena_array(struct arena *a, size_t n, size_t size);

/*
 * Room for one more element at the end of an array that lives in the arena:
 * grows *v geometrically (the old copy stays behind in the arena).  Returns the
 * zeroed new element and counts it in *n, or NULL.  The array always has a
 * zeroed element behind the last, so arrays of pointers are NULL-terminated.
 */
void *arena_push(struct arena *a, void *v, size_t *n, size_t *cap, size_t size);

char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void arena_finish(struct arena *a);

#endif
