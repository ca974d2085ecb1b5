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
#include "spec/region.h"
#include "spec/scan.h"
#include "spec/spec.h"

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
	uint64_t seen, present; /* bits of fields: the key was there, not null */
};

struct parser {
	struct arena *arena;
	struct err *err;
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

enum verdict { FAIL, SKIP, USE };

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

/* Returns 0, which stops yajl. */
__attribute__((format(printf, 2, 3))) static int fail(struct parser *p, const char *fmt, ...)
{
	char ptr[sizeof(p->err->ptr)], msg[sizeof(p->err->msg)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	pointer(p, ptr, sizeof(ptr));
	err_at(p->err, ptr, 0, "%s", msg);
	return 0;
}

static int no_memory(struct parser *p)
{
	err_set(p->err, ENOMEM, "reading JSON");
	return 0;
}

/* ---- values ---- */

static struct frame *top(struct parser *p)
{
	return p->depth ? &p->frames[p->depth - 1] : NULL;
}

/* The member that the value is for, or the list. */
static void *place(const struct frame *f)
{
	return f->shape == IN_OBJECT ? f->base + f->field->offset : f->base;
}

/* A value of that type comes: is it wanted here? */
static enum verdict begin(struct parser *p, enum json_type type)
{
	struct frame *f = top(p);
	enum json_type want = T_OBJECT;

	if (f && !f->field)
		return SKIP;
	if (f) {
		const struct kind_type *kt = &kind_types[f->field->kind];

		want = f->shape == IN_OBJECT ? kt->value : kt->element;
		/* Absent; but an element of an array cannot be. */
		if (type == T_NULL && f->shape != IN_ARRAY)
			return SKIP;
	}
	if (type != want) {
		fail(p, "expected %s, found %s", json_type_names[want], json_type_names[type]);
		return FAIL;
	}
	if (f && f->shape == IN_OBJECT)
		f->present |= UINT64_C(1) << (f->field - f->table->fields);
	return USE;
}

/* The value is complete. */
static int end(struct parser *p)
{
	struct frame *f = top(p);

	if (f && f->shape == IN_ARRAY)
		f->index++;
	return 1;
}

/* A new element of the list that is being filled. */
static void *push(struct parser *p, size_t size)
{
	struct frame *f = top(p);
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

static int store_name(struct parser *p, const struct field *f, const char *s)
{
	const struct name *name = name_find(f->names, s);
	char **element;

	if (!name)
		return fail(p, "unknown value \"%.100s\"", s);
	if (f->kind == K_ENUM) {
		*(int *)place(top(p)) = (int)name->value;
	} else if (f->kind == K_FLAGS) {
		*(uint64_t *)place(top(p)) |= (uint64_t)name->value;
	} else {
		element = push(p, sizeof(*element));
		if (!element)
			return no_memory(p);
		/* Names live in constant tables; nobody writes to a spec's strings. */
		*element = (char *)(uintptr_t)name->name;
	}
	return 1;
}

static int store_string(struct parser *p, const char *text, size_t len)
{
	const struct field *f = top(p)->field;
	char *s = arena_strndup(p->arena, text, len);
	char **element, why[160];
	struct pair *pair;

	if (!s)
		return no_memory(p);
	if (f->kind == K_ENUM || f->kind == K_FLAGS || f->kind == K_NAMES)
		return store_name(p, f, s);
	if (field_string(f, s, len, why, sizeof(why)))
		return fail(p, "%s", why);
	if (f->kind == K_STR) {
		*(char **)place(top(p)) = len ? s : NULL;
	} else if (f->kind == K_STRS) {
		element = push(p, sizeof(*element));
		if (!element)
			return no_memory(p);
		*element = s;
	} else {
		pair = push(p, sizeof(*pair));
		if (!pair)
			return no_memory(p);
		/* The key was copied into the arena when it came. */
		*pair = (struct pair){(char *)(uintptr_t)top(p)->key, s};
	}
	return 1;
}

static int put_number(struct parser *p, enum kind kind, uint64_t v)
{
	void *at = place(top(p));
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
			return no_memory(p);
		*element = (uint32_t)v;
	}
	return 1;
}

static int store_number(struct parser *p, const char *s, size_t len)
{
	const struct field *f = top(p)->field;
	char why[128];
	uint64_t v;

	if (field_number(f, s, len, &v, why, sizeof(why)))
		return fail(p, "%s", why);
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
	if (verdict == USE && top(p)->field->kind == K_BOOL)
		*(bool *)place(top(p)) = v;
	else if (verdict == USE)
		*(struct opt_bool *)place(top(p)) = (struct opt_bool){true, v};
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
		fail(p, "more than %d levels", SPEC_MAX_DEPTH);
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
	struct frame *owner = top(p), *f;
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
			return no_memory(p);
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
	struct frame *owner = top(p), *f;

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

static int field_key(struct parser *p, struct frame *f, size_t i)
{
	f->field = &f->table->fields[i];
	f->key = f->field->name;
	if (f->seen >> i & 1)
		return fail(p, "duplicate key");
	f->seen |= UINT64_C(1) << i;
	return 1;
}

/* A key that is no field: kept, since unknown ones may be duplicates too. */
static int other_key(struct parser *p, struct frame *f, const char *s, size_t len)
{
	const char *key = arena_strndup(p->arena, s, len);

	if (!key)
		return no_memory(p);
	if (p->nkeys == p->keys_cap) {
		size_t cap = p->keys_cap ? p->keys_cap * 2 : 64;
		const char **bigger = reallocarray(p->keys, cap, sizeof(*bigger));

		if (!bigger)
			return no_memory(p);
		p->keys = bigger;
		p->keys_cap = cap;
	}
	p->keys[p->nkeys++] = key;
	f->key = key;
	if (f->shape != IN_MAP) {
		f->field = NULL;
		return 1;
	}
	if (!len)
		return fail(p, "empty key");
	if (f->field->names && !name_find(f->field->names, key))
		return fail(p, "unknown name");
	return 1;
}

static int on_map_key(void *ctx, const unsigned char *key, size_t len)
{
	struct parser *p = ctx;
	struct frame *f = top(p);
	const char *s = (const char *)key;

	for (size_t i = 0; f->table && i < f->table->n; i++) {
		const char *name = f->table->fields[i].name;

		if (strlen(name) == len && memcmp(name, s, len) == 0)
			return field_key(p, f, i);
	}
	return other_key(p, f, s, len);
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_keys(struct parser *p, struct frame *f)
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
		if (strcmp(keys[i - 1], keys[i]) == 0) {
			f->key = keys[i];
			return fail(p, "duplicate key");
		}
	}
	p->nkeys = f->first_key;
	return 1;
}

static int check_object(struct parser *p, struct frame *f)
{
	char ptr[sizeof(p->err->ptr)];

	for (size_t i = 0; i < f->table->n; i++) {
		if (f->table->fields[i].required && !(f->present >> i & 1)) {
			f->key = f->table->fields[i].name;
			return fail(p, "required, and missing");
		}
	}
	f->key = NULL;
	if (f->table->check && f->table->check(f->base, f->present, p->err)) {
		pointer(p, ptr, sizeof(ptr));
		err_under(p->err, "%s", ptr);
		return 0;
	}
	return 1;
}

static int on_end_map(void *ctx)
{
	struct parser *p = ctx;
	struct frame *f = top(p);

	if (!check_keys(p, f) || (f->table && !check_object(p, f)))
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

int json_parse(const char *text, size_t len, const struct object *table, void *out, struct arena *a,
	       struct err *err)
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
	*p = (struct parser){.arena = a, .err = err, .table = table, .out = out};
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
