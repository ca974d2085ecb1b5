/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about fields that hold for all kinds of them. */
#include "spec/fields.h"

#include <stdio.h>
#include <string.h>

#include "spec/spec.h"

const char *const json_type_names[] = {
	[T_NULL] = "null",     [T_BOOL] = "boolean", [T_NUMBER] = "number",
	[T_STRING] = "string", [T_ARRAY] = "array",  [T_OBJECT] = "object",
};

const struct kind_type kind_types[K_COUNT] = {
	[K_BOOL] = {T_BOOL, T_NULL},      [K_OPT_BOOL] = {T_BOOL, T_NULL},
	[K_U32] = {T_NUMBER, T_NULL},     [K_U64] = {T_NUMBER, T_NULL},
	[K_I64] = {T_NUMBER, T_NULL},     [K_OPT_U64] = {T_NUMBER, T_NULL},
	[K_OPT_I64] = {T_NUMBER, T_NULL}, [K_STR] = {T_STRING, T_NULL},
	[K_ENUM] = {T_STRING, T_NULL},    [K_STRS] = {T_ARRAY, T_STRING},
	[K_NAMES] = {T_ARRAY, T_STRING},  [K_FLAGS] = {T_ARRAY, T_STRING},
	[K_U32S] = {T_ARRAY, T_NUMBER},   [K_OBJ] = {T_OBJECT, T_NULL},
	[K_PTR] = {T_OBJECT, T_NULL},     [K_LIST] = {T_ARRAY, T_OBJECT},
	[K_MAP] = {T_OBJECT, T_STRING},   [K_OBJMAP] = {T_OBJECT, T_OBJECT},
};

bool object_has(const struct object *o, uint64_t present, const char *name)
{
	for (size_t i = 0; i < o->n; i++) {
		if (strcmp(o->fields[i].name, name) == 0)
			return present >> i & 1;
	}
	return false;
}

const char *name_of(const struct name *names, int64_t value)
{
	for (; names->name; names++) {
		if (names->value == value)
			return names->name;
	}
	return NULL;
}

const struct name *name_find(const struct name *names, const char *s)
{
	for (; names->name; names++) {
		if (strcmp(names->name, s) == 0)
			return names;
	}
	return NULL;
}

/*
 * All lists are a pointer and a count; copied as bytes, since the pointers are
 * of different types.
 */
size_t field_count(const struct field *f, const void *obj, void **ret_first)
{
	const char *at = (const char *)obj + f->offset;
	size_t n;

	memcpy(ret_first, at, sizeof(*ret_first));
	memcpy(&n, at + offsetof(struct strs, n), sizeof(n));
	return n;
}

static bool has_elements(const struct field *f, const void *obj)
{
	void *first;

	return field_count(f, obj, &first) > 0;
}

static bool has_string(const struct field *f, const void *obj)
{
	const char *s;

	memcpy(&s, (const char *)obj + f->offset, sizeof(s));
	return s && *s;
}

static bool has_pointer(const struct field *f, const void *obj)
{
	const void *p;

	memcpy(&p, (const char *)obj + f->offset, sizeof(p));
	return p;
}

/* The number or truth value of a field; false: it has none. */
static bool scalar(const struct field *f, const void *obj, int64_t *ret)
{
	const void *at = (const char *)obj + f->offset;
	const struct opt_bool *ob = at;
	const struct opt_u64 *ou = at;
	const struct opt_i64 *oi = at;

	switch (f->kind) {
	case K_BOOL:
		*ret = *(const bool *)at;
		return true;
	case K_OPT_BOOL:
		*ret = ob->v;
		return ob->set;
	case K_U32:
		*ret = *(const uint32_t *)at;
		return true;
	case K_U64:
	case K_FLAGS:
		*ret = (int64_t)((const uint64_t *)at)[0];
		return true;
	case K_I64:
		*ret = *(const int64_t *)at;
		return true;
	case K_OPT_U64:
		*ret = (int64_t)ou->v;
		return ou->set;
	case K_OPT_I64:
		*ret = oi->v;
		return oi->set;
	case K_ENUM:
		*ret = *(const int *)at;
		return true;
	default:
		return false;
	}
}

static bool is_optional(enum kind kind)
{
	return kind == K_OPT_BOOL || kind == K_OPT_U64 || kind == K_OPT_I64;
}

bool field_has_elements(const struct field *f)
{
	switch (f->kind) {
	case K_STRS:
	case K_NAMES:
	case K_U32S:
	case K_LIST:
	case K_MAP:
	case K_OBJMAP:
		return true;
	default:
		return false;
	}
}

size_t field_element_size(const struct field *f)
{
	switch (f->kind) {
	case K_LIST:
	case K_OBJMAP:
		return f->object->size;
	case K_MAP:
		return sizeof(struct pair);
	case K_U32S:
		return sizeof(uint32_t);
	default:
		return sizeof(char *);
	}
}

bool field_is_set(const struct field *f, const void *obj)
{
	int64_t v;

	if (field_has_elements(f))
		return has_elements(f, obj);
	switch (f->kind) {
	case K_OBJ:
		return true;
	case K_PTR:
		return has_pointer(f, obj);
	case K_STR:
		return has_string(f, obj);
	default:
		if (!scalar(f, obj, &v))
			return false;
		return v != 0 || f->required || f->zero_asks || is_optional(f->kind);
	}
}

bool field_asks(const struct field *f, const void *obj)
{
	int64_t v;

	if (!scalar(f, obj, &v))
		return field_is_set(f, obj);
	if (v == -1 && f->minus_one_unsets)
		return false;
	return v != 0 || f->zero_asks || f->required;
}

/* ---- checks of values ---- */

/* Digits to a magnitude; false: above 64 bits. */
static bool magnitude(const char *s, size_t len, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len; i++) {
		if (__builtin_mul_overflow(v, 10U, &v) ||
		    __builtin_add_overflow(v, (unsigned int)(s[i] - '0'), &v))
			return false;
	}
	*ret = v;
	return true;
}

static bool in_range(const struct field *f, bool negative, uint64_t v)
{
	if (negative && v)
		return f->min < 0 && v <= -(uint64_t)f->min;
	return v <= f->max && (f->min <= 0 || v >= (uint64_t)f->min);
}

/* 1e3 is refused like 1.5: no engine writes integers so. */
int field_number(const struct field *f, const char *s, size_t len, uint64_t *ret, char *why,
		 size_t size)
{
	bool negative = len && s[0] == '-';
	size_t first = negative;
	int shown = len > 40 ? 40 : (int)len;
	uint64_t v;

	for (size_t i = first; i < len; i++) {
		if (s[i] < '0' || s[i] > '9') {
			snprintf(why, size, "%.*s is not an integer", shown, s);
			return -1;
		}
	}
	if (!magnitude(s + first, len - first, &v) || !in_range(f, negative, v)) {
		snprintf(why, size, "%.*s is not in %lld..%llu", shown, s, (long long)f->min,
			 (unsigned long long)f->max);
		return -1;
	}
	*ret = negative ? -v : v;
	return 0;
}

int field_string(const struct field *f, const char *s, size_t len, char *why, size_t size)
{
	if (f->nonempty && !len)
		snprintf(why, size, "must not be empty");
	else if (f->longest && len > f->longest)
		snprintf(why, size, "longer than %u bytes", f->longest);
	else if (f->absolute && len && s[0] != '/')
		snprintf(why, size, "\"%.100s\" is not an absolute path", s);
	else
		return 0;
	return -1;
}

/* ---- all fields ---- */

struct visiting {
	field_visitor *visit;
	void *data;
	char ptr[160];
};

static void visit_object(struct visiting *w, const struct object *o, enum applied how,
			 const char *row);

static void visit_field(struct visiting *w, const struct field *f, enum applied how,
			const char *row)
{
	size_t len = strlen(w->ptr);
	struct field_visit v = {w->ptr, f, f->applied, f->row};

	if (f->applied == LIKE_OWNER) {
		v.how = how;
		v.row = row;
	}
	ptr_append(w->ptr, sizeof(w->ptr), f->name);
	w->visit(&v, w->data);
	if (f->kind == K_LIST || f->kind == K_OBJMAP)
		ptr_append(w->ptr, sizeof(w->ptr), "*");
	if (f->object)
		visit_object(w, f->object, v.how, v.row);
	w->ptr[len] = '\0';
}

static void visit_object(struct visiting *w, const struct object *o, enum applied how,
			 const char *row)
{
	for (size_t i = 0; i < o->n; i++)
		visit_field(w, &o->fields[i], how, row);
}

void fields_visit(const struct object *top, field_visitor *visit, void *data)
{
	struct visiting w = {.visit = visit, .data = data};

	visit_object(&w, top, MEMBERS, NULL);
}
