/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The first block is small, since `state` and `kill` read a record of a few
 * hundred bytes and every touched page costs them a fault; later ones double.
 */
#define FIRST_BLOCK (8u << 10)
#define LARGEST_BLOCK (1u << 20)

struct arena_block {
	struct arena_block *prev;
	size_t used, size;
	_Alignas(16) char mem[];
};

static struct arena_block *block_new(struct arena *a, size_t least)
{
	size_t size = a->last ? a->last->size * 2 : FIRST_BLOCK;
	struct arena_block *b;

	if (size > LARGEST_BLOCK)
		size = LARGEST_BLOCK;
	if (size < least)
		size = least;
	b = calloc(1, sizeof(*b) + size);
	if (!b)
		return NULL;
	b->size = size;
	b->prev = a->last;
	a->last = b;
	return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *b = a->last;
	void *p;

	if (size > SIZE_MAX / 4)
		return NULL;
	size = (size + 15) & ~(size_t)15;
	if (!b || b->size - b->used < size)
		b = block_new(a, size);
	if (!b)
		return NULL;
	p = b->mem + b->used;
	b->used += size;
	return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		return NULL;
	return arena_alloc(a, total);
}

void *arena_push(struct arena *a, void *v, size_t *n, size_t *cap, size_t size)
{
	/* Copied, not cast: a `struct x **` may not be accessed as `void **`. */
	char *array;

	memcpy(&array, v, sizeof(array));
	/* One more than n stays zeroed: the end mark of a list of pointers. */
	if (*n + 2 > *cap) {
		size_t new_cap = *cap ? *cap * 2 : 4;
		char *bigger = arena_array(a, new_cap, size);

		if (!bigger)
			return NULL;
		if (*n)
			memcpy(bigger, array, *n * size);
		array = bigger;
		memcpy(v, &array, sizeof(array));
		*cap = new_cap;
	}
	return array + (*n)++ * size;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *copy = arena_alloc(a, n + 1);

	if (copy)
		memcpy(copy, s, n);
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	s = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
	if (!s)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return s;
}

void arena_finish(struct arena *a)
{
	while (a->last) {
		struct arena_block *b = a->last;

		a->last = b->prev;
		free(b);
	}
}
