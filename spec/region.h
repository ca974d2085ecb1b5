/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for yajl, which uses the result of malloc() and realloc() unchecked.
 * All that it can need is taken before it starts, where running out is a normal
 * error.  Should the sum ever be wrong, the process ends, and does not go on
 * with a null pointer that an attacker chooses the offset of.
 */
#ifndef BRYO_SPEC_REGION_H
#define BRYO_SPEC_REGION_H

#include <stddef.h>

struct region {
	char *mem;
	size_t used, size;
};

int region_init(struct region *r, size_t size); /* -1: no memory */
void region_finish(struct region *r);

/* The functions of yajl_alloc_funcs. */
void *region_malloc(void *region, size_t size);
void *region_realloc(void *region, void *p, size_t size);
void region_free(void *region, void *p);

#endif
