/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/region.h"

#include <stdlib.h>
#include <string.h>

/* In front of each piece: its size. */
enum { HEAD = 16 };

int region_init(struct region *r, size_t size)
{
	*r = (struct region){.mem = malloc(size), .size = size};
	return r->mem ? 0 : -1;
}

void region_finish(struct region *r)
{
	free(r->mem);
	*r = (struct region){0};
}

void *region_malloc(void *region, size_t size)
{
	struct region *r = region;
	size_t whole = (size + HEAD + 15) & ~(size_t)15;
	char *p = r->mem + r->used;

	if (size > r->size || r->size - r->used < whole)
		abort();
	r->used += whole;
	memcpy(p, &size, sizeof(size));
	return p + HEAD;
}

void *region_realloc(void *region, void *p, size_t size)
{
	void *copy = region_malloc(region, size);
	size_t old;

	if (!p)
		return copy;
	memcpy(&old, (char *)p - HEAD, sizeof(old));
	memcpy(copy, p, old < size ? old : size);
	return copy;
}

/* Nothing: all of it goes at once. */
void region_free(void *region, void *p)
{
	(void)region;
	(void)p;
}
