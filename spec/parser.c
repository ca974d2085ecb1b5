/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a document, and the keys of its objects. */
#include "spec/parser.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/fields.h"
#include "spec/findings.h"

/* ---- errors ---- */

static void pointer(const struct parser *p, char *buf, size_t size)
{
	char index[24];

	buf[0] = '\0';
	for (size_t i = 0; i < p->depth; i++) {
		const struct frame *f = &p->frames[i];

		if (f->shape == IN_ARRAY) {
			snprintf(index, sizeof(index), "%zu", f->index);
			ptr_append(buf, size, index);
		} else if (f->key) {
			ptr_append(buf, size, f->key);
		}
	}
}

/* The rules of the objects that are open wait until this is mended. */
static void mark_flawed(struct parser *p)
{
	for (size_t i = 0; i < p->depth; i++) {
		struct frame *f = &p->frames[i];

		if (f->table && f->field)
			f->flawed |= UINT64_C(1) << (f->field - f->table->fields);
	}
}

int parser_tell(struct parser *p, struct err *e)
{
	mark_flawed(p);
	pointer(p, e->ptr, sizeof(e->ptr));
	findings_add(p->findings, FINDING_ERROR, e);
	return !findings_enough(p->findings);
}

int parser_fail(struct parser *p, const char *fmt, ...)
{
	struct err e = {0};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e.msg, sizeof(e.msg), fmt, ap);
	va_end(ap);
	return parser_tell(p, &e);
}

int parser_no_memory(struct parser *p)
{
	err_set(p->err, ENOMEM, "reading JSON");
	return 0;
}

/* ---- keys ---- */

int parser_field_key(struct parser *p, struct frame *f, size_t i)
{
	f->field = &f->table->fields[i];
	f->key = f->field->name;
	if (f->seen >> i & 1) {
		int go_on = parser_fail(p, "duplicate key");

		f->field = NULL;
		return go_on;
	}
	f->seen |= UINT64_C(1) << i;
	return 1;
}

struct fields_left {
	const struct object *table;
	size_t i;
};

static const char *next_field(void *data)
{
	struct fields_left *l = data;

	return l->i < l->table->n ? l->table->fields[l->i++].name : NULL;
}

/* "Runtimes [...] MUST ignore unknown properties" (config.md): so it is no error. */
static void tell_unknown(struct parser *p, const struct frame *f)
{
	struct fields_left left = {.table = f->table};
	struct err e;

	err_set(&e, 0, "unknown property");
	findings_suggest(&e, findings_nearest(f->key, next_field, &left));
	pointer(p, e.ptr, sizeof(e.ptr));
	findings_add(p->findings, FINDING_WARNING, &e);
}

/* A key that is no field: kept, since unknown ones may be duplicates too. */
int parser_other_key(struct parser *p, struct frame *f, const char *s, size_t len)
{
	const char *key = arena_strndup(p->arena, s, len);

	if (!key)
		return parser_no_memory(p);
	if (p->nkeys == p->keys_cap) {
		size_t cap = p->keys_cap ? p->keys_cap * 2 : 64;
		const char **bigger = reallocarray(p->keys, cap, sizeof(*bigger));

		if (!bigger)
			return parser_no_memory(p);
		p->keys = bigger;
		p->keys_cap = cap;
	}
	p->keys[p->nkeys++] = key;
	f->key = key;
	if (f->shape != IN_MAP) {
		f->field = NULL;
		if (f->table && p->findings->tell)
			tell_unknown(p, f);
		return 1;
	}
	if (!len)
		return parser_fail(p, "empty key");
	if (f->field->names && !name_find(f->field->names, key))
		return parser_fail(p, "unknown name");
	return 1;
}

/* ---- the end of an object ---- */

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int parser_check_keys(struct parser *p, struct frame *f)
{
	size_t n = p->nkeys - f->first_key;
	const char **keys;

	if (n < 2) {
		p->nkeys = f->first_key;
		return 1;
	}
	keys = p->keys + f->first_key;
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(keys[i - 1], keys[i]) != 0)
			continue;
		f->key = keys[i];
		if (!parser_fail(p, "duplicate key"))
			return 0;
	}
	p->nkeys = f->first_key;
	return 1;
}

/* Without a flaw in any of the members that it is about? */
static bool has_sense(const struct rule *r, const struct frame *f)
{
	const char *members = r->members;

	while (*members) {
		size_t len = strcspn(members, " ");

		for (size_t i = 0; i < f->table->n; i++) {
			const char *name = f->table->fields[i].name;

			if (f->flawed >> i & 1 && strlen(name) == len &&
			    !memcmp(name, members, len))
				return false;
		}
		members += len + (members[len] == ' ');
	}
	return true;
}

int parser_check_object(struct parser *p, struct frame *f)
{
	const struct rule *r = f->table->rules;

	for (size_t i = 0; i < f->table->n; i++) {
		f->field = &f->table->fields[i];
		f->key = f->field->name;
		if (f->field->required && !((f->present | f->flawed) >> i & 1) &&
		    !parser_fail(p, "required, and missing"))
			return 0;
	}
	f->field = NULL;
	f->key = NULL;
	pointer(p, p->findings->under, sizeof(p->findings->under));
	for (; r && r->check; r++) {
		size_t before = p->findings->errors;

		if (has_sense(r, f))
			r->check(f->base, f->present, p->findings);
		if (p->findings->errors > before)
			mark_flawed(p);
		if (findings_enough(p->findings))
			return 0;
	}
	p->findings->under[0] = '\0';
	return 1;
}
