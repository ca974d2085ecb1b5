/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON in, by the streaming parser of yajl and the tables of fields.h.
 *
 * This is a trust boundary: the text may come from anybody.  yajl gets only
 * text that json_scan() has been over, in one piece, with its stack bounded by
 * the depth, and memory that cannot run out below it (see struct region), since
 * it does not check its allocations.  Nothing here recurses on the input, and
 * the cost is linear but for sorting the unknown keys of an object.
 */
#include "spec/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "spec/fields.h"
#include "spec/findings.h"
#include "spec/parser.h"
#include "spec/region.h"
#include "spec/scan.h"
#include "spec/spec.h"

enum verdict { FAIL, SKIP, USE };

/* ---- values ---- */

/* The member that the value is for, or the list. */
static void *place(const struct frame *f)
{
	return f->shape == IN_OBJECT ? f->base + f->field->offset : f->base;
}

/* A value of that type comes: is it wanted here? */
static enum verdict begin(struct parser *p, enum json_type type)
{
	struct frame *f = parser_top(p);
	enum json_type want = T_OBJECT;

	if (f && !f->field)
		return SKIP;
	if (f) {
		const struct kind_type *kt = &kind_types[f->field->kind];

		want = f->shape == IN_OBJECT ? kt->value : kt->element;
		/* Absent; but what is in an array or a map cannot be. */
		if (type == T_NULL && f->shape == IN_OBJECT)
			return SKIP;
	}
	if (type != want)
		return parser_fail(p, "expected %s, found %s", json_type_names[want],
				   json_type_names[type])
			       ? SKIP
			       : FAIL;
	if (f && f->shape == IN_OBJECT)
		f->present |= UINT64_C(1) << (f->field - f->table->fields);
	return USE;
}

/* A new element of the list that is being filled. */
static void *push(struct parser *p, size_t size)
{
	struct frame *f = parser_top(p);
	char *list = place(f), *count = list + offsetof(struct strs, n);
	void *v, *element;
	size_t n;

	memcpy(&v, list, sizeof(v));
	memcpy(&n, count, sizeof(n));
	element = arena_push(p->arena, &v, &n, &f->cap, size);
	if (!element)
		return NULL;
	memcpy(list, &v, sizeof(v));
	memcpy(count, &n, sizeof(n));
	return element;
}

/*
 * The value is complete.  One that was wrong leaves an empty place in its list, so
 * that the others stay where the text has them.
 */
static int end(struct parser *p)
{
	struct frame *f = parser_top(p);
	size_t n;

	if (!f || f->shape != IN_ARRAY)
		return 1;
	f->index++;
	if (!f->field || f->field->kind == K_FLAGS)
		return 1;
	memcpy(&n, f->base + offsetof(struct strs, n), sizeof(n));
	return n == f->index || push(p, field_element_size(f->field)) || parser_no_memory(p);
}

static const char *next_name(void *names)
{
	const struct name **n = names;

	return (*n)->name ? (*n)++->name : NULL;
}

static int unknown_name(struct parser *p, const struct field *f, const char *s)
{
	const struct name *names = f->names;
	struct err e;

	err_set(&e, 0, "unknown value \"%.100s\"", s);
	findings_suggest(&e, findings_nearest(s, next_name, &names));
	return parser_tell(p, &e);
}

static int store_name(struct parser *p, const struct field *f, const char *s)
{
	const struct name *name = name_find(f->names, s);
	char **element;

	if (!name)
		return unknown_name(p, f, s);
	if (f->kind == K_ENUM) {
		*(int *)place(parser_top(p)) = (int)name->value;
	} else if (f->kind == K_FLAGS) {
		*(uint64_t *)place(parser_top(p)) |= (uint64_t)name->value;
	} else {
		element = push(p, sizeof(*element));
		if (!element)
			return parser_no_memory(p);
		/* Names live in constant tables; nobody writes to a spec's strings. */
		*element = (char *)(uintptr_t)name->name;
	}
	return 1;
}

static int store_string(struct parser *p, const char *text, size_t len)
{
	const struct field *f = parser_top(p)->field;
	char *s = arena_strndup(p->arena, text, len);
	char **element, why[160];
	struct pair *pair;

	if (!s)
		return parser_no_memory(p);
	if (f->kind == K_ENUM || f->kind == K_FLAGS || f->kind == K_NAMES)
		return store_name(p, f, s);
	if (field_string(f, s, len, why, sizeof(why)))
		return parser_fail(p, "%s", why);
	if (f->kind == K_STR) {
		*(char **)place(parser_top(p)) = len ? s : NULL;
	} else if (f->kind == K_STRS) {
		element = push(p, sizeof(*element));
		if (!element)
			return parser_no_memory(p);
		*element = s;
	} else {
		pair = push(p, sizeof(*pair));
		if (!pair)
			return parser_no_memory(p);
		/* The key was copied into the arena when it came. */
		*pair = (struct pair){(char *)(uintptr_t)parser_top(p)->key, s};
	}
	return 1;
}

static int put_number(struct parser *p, enum kind kind, uint64_t v)
{
	void *at = place(parser_top(p));
	uint32_t *element;

	switch (kind) {
	case K_U32:
		*(uint32_t *)at = (uint32_t)v;
		break;
	case K_U64:
		*(uint64_t *)at = v;
		break;
	case K_I64:
		*(int64_t *)at = (int64_t)v;
		break;
	case K_OPT_U64:
		*(struct opt_u64 *)at = (struct opt_u64){true, v};
		break;
	case K_OPT_I64:
		*(struct opt_i64 *)at = (struct opt_i64){true, (int64_t)v};
		break;
	default: /* K_U32S */
		element = push(p, sizeof(*element));
		if (!element)
			return parser_no_memory(p);
		*element = (uint32_t)v;
	}
	return 1;
}

static int store_number(struct parser *p, const char *s, size_t len)
{
	const struct field *f = parser_top(p)->field;
	char why[128];
	uint64_t v;

	if (field_number(f, s, len, &v, why, sizeof(why)))
		return parser_fail(p, "%s", why);
	return put_number(p, f->kind, v);
}

static int on_null(void *ctx)
{
	return begin(ctx, T_NULL) == FAIL ? 0 : end(ctx);
}

static int on_boolean(void *ctx, int v)
{
	struct parser *p = ctx;
	enum verdict verdict = begin(p, T_BOOL);

	if (verdict == FAIL)
		return 0;
	if (verdict == USE && parser_top(p)->field->kind == K_BOOL)
		*(bool *)place(parser_top(p)) = v;
	else if (verdict == USE)
		*(struct opt_bool *)place(parser_top(p)) = (struct opt_bool){true, v};
	return end(p);
}

static int on_number(void *ctx, const char *s, size_t len)
{
	struct parser *p = ctx;
	enum verdict verdict = begin(p, T_NUMBER);

	if (verdict == FAIL || (verdict == USE && !store_number(p, s, len)))
		return 0;
	return end(p);
}

static int on_string(void *ctx, const unsigned char *s, size_t len)
{
	struct parser *p = ctx;
	enum verdict verdict = begin(p, T_STRING);

	if (verdict == FAIL || (verdict == USE && !store_string(p, (const char *)s, len)))
		return 0;
	return end(p);
}

/* ---- objects and arrays ---- */

static struct frame *push_frame(struct parser *p)
{
	struct frame *f;

	/* json_scan() has seen to the depth; this is for whoever changes it. */
	if (p->depth == SPEC_MAX_DEPTH) {
		err_set(p->err, 0, "more than %d levels", SPEC_MAX_DEPTH);
		return NULL;
	}
	f = &p->frames[p->depth++];
	*f = (struct frame){.first_key = p->nkeys};
	return f;
}

/* The structure that a new object fills, made where it is not there yet. */
static void *new_object(struct parser *p, const struct frame *owner)
{
	const struct field *f = owner->field;
	void *obj = NULL;

	if (f->kind == K_OBJ)
		return place(owner);
	if (f->kind == K_PTR) {
		obj = arena_alloc(p->arena, f->object->size);
		memcpy(place(owner), &obj, sizeof(obj));
		return obj;
	}
	obj = push(p, f->object->size);
	if (obj && f->kind == K_OBJMAP)
		memcpy(obj, &owner->key, sizeof(owner->key));
	return obj;
}

static int open_object(struct parser *p)
{
	struct frame *owner = parser_top(p), *f;
	const struct object *table = p->table;
	void *obj = p->out;

	if (owner && owner->shape == IN_OBJECT &&
	    (owner->field->kind == K_MAP || owner->field->kind == K_OBJMAP)) {
		f = push_frame(p);
		if (!f)
			return 0;
		f->shape = IN_MAP;
		f->field = owner->field;
		f->base = place(owner);
		return 1;
	}
	if (owner) {
		table = owner->field->object;
		obj = new_object(p, owner);
		if (!obj)
			return parser_no_memory(p);
	}
	f = push_frame(p);
	if (!f)
		return 0;
	f->table = table;
	f->base = obj;
	return 1;
}

static int on_start_map(void *ctx)
{
	struct parser *p = ctx;
	enum verdict verdict = begin(p, T_OBJECT);

	if (verdict == USE)
		return open_object(p);
	return verdict == SKIP && push_frame(p);
}

static int on_start_array(void *ctx)
{
	struct parser *p = ctx;
	enum verdict verdict = begin(p, T_ARRAY);
	struct frame *owner = parser_top(p), *f;

	if (verdict == FAIL)
		return 0;
	f = push_frame(p);
	if (!f)
		return 0;
	f->shape = IN_ARRAY;
	if (verdict == USE) {
		f->field = owner->field;
		f->base = place(owner);
	}
	return 1;
}

static int on_end_array(void *ctx)
{
	struct parser *p = ctx;

	p->depth--;
	return end(p);
}

static int on_map_key(void *ctx, const unsigned char *key, size_t len)
{
	struct parser *p = ctx;
	struct frame *f = parser_top(p);
	const char *s = (const char *)key;

	for (size_t i = 0; f->table && i < f->table->n; i++) {
		const char *name = f->table->fields[i].name;

		if (strlen(name) == len && memcmp(name, s, len) == 0)
			return parser_field_key(p, f, i);
	}
	return parser_other_key(p, f, s, len);
}

static int on_end_map(void *ctx)
{
	struct parser *p = ctx;
	struct frame *f = parser_top(p);

	if (!parser_check_keys(p, f) || (f->table && !parser_check_object(p, f)))
		return 0;
	p->depth--;
	return end(p);
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_start_map,
	.yajl_map_key = on_map_key,
	.yajl_end_map = on_end_map,
	.yajl_start_array = on_start_array,
	.yajl_end_array = on_end_array,
};

/* ---- the text ---- */

/* yajl's message is "parse error: why\n", and "lexical error: why\n". */
static int syntax_error(yajl_handle h, const char *text, struct err *err)
{
	unsigned char *whole = yajl_get_error(h, 0, NULL, 0);
	char why[128] = "no JSON";
	const char *colon = whole ? strchr((char *)whole, ':') : NULL;
	size_t at = yajl_get_bytes_consumed(h);

	if (colon)
		snprintf(why, sizeof(why), "%s", colon + 1 + strspn(colon + 1, " "));
	why[strcspn(why, "\n")] = '\0';
	if (whole)
		yajl_free_error(h, whole);
	/* The bad token is consumed: its last byte is what can be pointed at. */
	return json_error_at(err, text, at ? at - 1 : 0, why);
}

static int parse_text(yajl_handle h, const char *text, size_t len, struct err *err)
{
	yajl_status status = yajl_parse(h, (const unsigned char *)text, len);

	if (status == yajl_status_error)
		return syntax_error(h, text, err);
	if (status == yajl_status_ok)
		status = yajl_complete_parse(h);
	if (status == yajl_status_error)
		return json_error_at(err, text, len, "the text ends too early");
	return status == yajl_status_ok ? 0 : -1;
}

int json_parse_all(const char *text, size_t len, const struct object *table, void *out,
		   struct arena *a, struct findings *findings, struct err *err)
{
	struct parser *p;
	struct region region;
	yajl_alloc_funcs funcs;
	yajl_handle h;
	size_t longest = 0;
	int r;

	if (json_scan(text, len, &longest, err))
		return -1;
	p = calloc(1, sizeof(*p));
	/* The buffer for unescaped strings doubles, and old ones are not reused. */
	if (!p || region_init(&region, (16U << 10) + 8 * longest)) {
		free(p);
		return err_set(err, ENOMEM, "reading JSON");
	}
	memset(out, 0, table->size);
	*p = (struct parser){
		.arena = a, .err = err, .findings = findings, .table = table, .out = out};
	funcs = (yajl_alloc_funcs){region_malloc, region_realloc, region_free, &region};
	h = yajl_alloc(&callbacks, &funcs, p);
	r = h ? parse_text(h, text, len, err) : err_set(err, ENOMEM, "reading JSON");
	if (h)
		yajl_free(h);
	free(p->keys);
	free(p);
	region_finish(&region);
	return r;
}

int json_parse(const char *text, size_t len, const struct object *table, void *out, struct arena *a,
	       struct err *err)
{
	struct findings first = {.first = err};

	return json_parse_all(text, len, table, out, a, &first, err);
}
