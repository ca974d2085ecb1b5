/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of json.h inside, for json.c and parser.c. */
#ifndef BRYO_SPEC_PARSER_H
#define BRYO_SPEC_PARSER_H

#include <stddef.h>
#include <stdint.h>

#include "spec/spec.h"

struct field;
struct findings;
struct object;

/* One open object or array. */
struct frame {
	enum { IN_OBJECT, IN_MAP, IN_ARRAY } shape;
	const struct object *table; /* IN_OBJECT; NULL: an unknown one */
	/*
	 * IN_OBJECT: what the value that comes next is for.  Else the field whose
	 * elements these are.  NULL: nobody knows it, the value is skipped.
	 */
	const struct field *field;
	char *base;      /* the structure, or the list, that is filled */
	const char *key; /* of the value that comes next; NULL: of none */
	size_t index;    /* IN_ARRAY: of the value that comes next */
	size_t cap;      /* room in the list */
	size_t first_key;
	/* Bits of fields: the key was there, not null, and there is an error below. */
	uint64_t seen, present, flawed;
};

struct parser {
	struct arena *arena;
	struct err *err;           /* what stops the parser */
	struct findings *findings; /* what is wrong with the values */
	const struct object *table;
	void *out;
	size_t depth;
	struct frame frames[SPEC_MAX_DEPTH];
	/*
	 * The keys of all open objects that are no fields: sorted at the end of
	 * their object, which finds duplicates at n log n whatever the keys are,
	 * where a hash table would have to fear chosen ones.
	 */
	const char **keys;
	size_t nkeys, keys_cap;
};

static inline struct frame *parser_top(struct parser *p)
{
	return p->depth ? &p->frames[p->depth - 1] : NULL;
}

/* What these return is for yajl: 0 stops it, 1 does not. */

/* An error at the value that is read, whose pointer *e gets. */
int parser_tell(struct parser *p, struct err *e);
int parser_fail(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int parser_no_memory(struct parser *p);

/* A key: that of field i, or one that is no field. */
int parser_field_key(struct parser *p, struct frame *f, size_t i);
int parser_other_key(struct parser *p, struct frame *f, const char *s, size_t len);

/* At the end of an object: no key twice, all that is required, and its rules. */
int parser_check_keys(struct parser *p, struct frame *f);
int parser_check_object(struct parser *p, struct frame *f);

#endif
