/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents made from the tables of fields: for each field each wrong type,
 * numbers around the limits of each width, and each required member missing.
 */
#include "tests/spec/test.h"

#include <stdlib.h>
#include <string.h>

#include "spec/fields.h"

static const char *const values[] = {
	[T_NULL] = "null",     [T_BOOL] = "true", [T_NUMBER] = "1",
	[T_STRING] = "\"/x\"", [T_ARRAY] = "[]",  [T_OBJECT] = "{}",
};

/*
 * A document in which the pointer has that value, and nothing else is; "*" is
 * index 0 in a list, and in a map a key that all maps take.
 */
static void document(struct text *t, const char *ptr, const char *value)
{
	char closing[64];
	size_t n = 0;

	while (*ptr) {
		size_t len = strcspn(++ptr, "/");

		if (len == 1 && ptr[0] == '*' && t->len && strstr(t->s, "\"timeOffsets\":")) {
			text_printf(t, "{\"boottime\":");
			closing[n++] = '}';
		} else if (len == 1 && ptr[0] == '*' &&
			   (strstr(t->s, "\"netDevices\":") || strstr(t->s, "\"rdma\":"))) {
			text_printf(t, "{\"x\":");
			closing[n++] = '}';
		} else if (len == 1 && ptr[0] == '*') {
			text_printf(t, "[");
			closing[n++] = ']';
		} else {
			text_printf(t, "{\"%.*s\":", (int)len, ptr);
			closing[n++] = '}';
		}
		ptr += len;
	}
	text_add(t, value, strlen(value));
	while (n)
		text_add(t, &closing[--n], 1);
}

/* The pointer as an error has it. */
static void concrete(char *buf, size_t size, const char *ptr)
{
	bool map = strstr(ptr, "netDevices") || strstr(ptr, "rdma");
	const char *name = strstr(ptr, "timeOffsets") ? "boottime" : map ? "x" : "0";
	size_t len = 0;

	for (; *ptr; ptr++) {
		if (*ptr == '*')
			len += (size_t)snprintf(buf + len, size - len, "%s", name);
		else
			buf[len++] = *ptr;
	}
	buf[len] = '\0';
}

static void expect(struct group *g, const char *ptr, const char *value, const char *want)
{
	struct text t = {0};
	char got[1024];

	document(&t, ptr, value);
	accepts(t.s, t.len, got, sizeof(got));
	g->tried++;
	if (strcmp(got, want) != 0)
		group_fail(g, "%s: \"%s\", not \"%s\"", t.s, got, want);
	text_finish(&t);
}

/* ---- types ---- */

static void wrong_elements(struct group *g, const struct field_visit *v, const char *ptr,
			   enum json_type want)
{
	bool array = kind_types[v->field->kind].value == T_ARRAY;
	const char *key = v->field->names && !array ? v->field->names->name : "k";
	char value[64], message[512];

	for (enum json_type t = T_NULL; t <= T_OBJECT; t++) {
		if (t == want || (!array && t == T_NULL))
			continue;
		if (array)
			snprintf(value, sizeof(value), "[%s]", values[t]);
		else
			snprintf(value, sizeof(value), "{\"%s\":%s}", key, values[t]);
		snprintf(message, sizeof(message), "%s/%s: expected %s, found %s", ptr,
			 array ? "0" : key, json_type_names[want], json_type_names[t]);
		expect(g, v->ptr, value, message);
	}
}

static void wrong_types(const struct field_visit *v, void *data)
{
	const struct kind_type *kt = &kind_types[v->field->kind];
	char ptr[256], message[512];

	concrete(ptr, sizeof(ptr), v->ptr);
	for (enum json_type t = T_BOOL; t <= T_OBJECT; t++) {
		if (t == kt->value)
			continue;
		snprintf(message, sizeof(message), "%s: expected %s, found %s", ptr,
			 json_type_names[kt->value], json_type_names[t]);
		expect(data, v->ptr, values[t], message);
	}
	if (kt->value == T_ARRAY || (kt->value == T_OBJECT && kt->element != T_NULL))
		wrong_elements(data, v, ptr, kt->element);
}

/* ---- numbers ---- */

static const struct {
	const char *text;
	bool negative, integer, huge;
	uint64_t v;
} numbers[] = {
	{"0", false, true, false, 0},
	{"-0", false, true, false, 0},
	{"-1", true, true, false, 1},
	{"2147483647", false, true, false, 0x7fffffff},
	{"2147483648", false, true, false, 0x80000000},
	{"-2147483649", true, true, false, 0x80000001},
	{"4294967294", false, true, false, 0xfffffffe},
	{"4294967295", false, true, false, 0xffffffff},
	{"4294967296", false, true, false, 0x100000000},
	{"9007199254740993", false, true, false, 9007199254740993},
	{"9223372036854775807", false, true, false, INT64_MAX},
	{"9223372036854775808", false, true, false, 1ULL << 63},
	{"-9223372036854775808", true, true, false, 1ULL << 63},
	{"-9223372036854775809", true, true, false, (1ULL << 63) + 1},
	{"18446744073709551615", false, true, false, UINT64_MAX},
	{"18446744073709551616", false, true, true, 0},
	{"99999999999999999999999999999999", false, true, true, 0},
	{"1e3", false, false, false, 0},
	{"1E0", false, false, false, 0},
	{"1.5", false, false, false, 0},
	{"1.0", false, false, false, 0},
	{"1e400", false, false, false, 0},
};

static bool in_range(const struct field *f, size_t i)
{
	__int128 v = numbers[i].v;

	if (numbers[i].negative)
		v = -v;
	return !numbers[i].huge && v >= f->min && v <= (__int128)f->max;
}

/*
 * A number in range is taken: what is wrong then is that the rest of the
 * document is missing, or a rule, not this text.
 */
static void try_number(struct group *g, const struct field_visit *v, const char *ptr, size_t i)
{
	bool list = v->field->kind == K_U32S;
	char value[64], message[512], got[1024];
	struct text t = {0};

	snprintf(value, sizeof(value), list ? "[%s]" : "%s", numbers[i].text);
	if (!numbers[i].integer)
		snprintf(message, sizeof(message), "%s%s: %s is not an integer", ptr,
			 list ? "/0" : "", numbers[i].text);
	else
		snprintf(message, sizeof(message), "%s%s: %s is not in %lld..%llu", ptr,
			 list ? "/0" : "", numbers[i].text, (long long)v->field->min,
			 (unsigned long long)v->field->max);
	if (!numbers[i].integer || !in_range(v->field, i)) {
		expect(g, v->ptr, value, message);
		return;
	}
	document(&t, v->ptr, value);
	accepts(t.s, t.len, got, sizeof(got));
	g->tried++;
	if (strstr(got, "is not"))
		group_fail(g, "%s: \"%s\"", t.s, got);
	text_finish(&t);
}

static void limits(const struct field_visit *v, void *data)
{
	const struct kind_type *kt = &kind_types[v->field->kind];
	char ptr[256];

	if (kt->value != T_NUMBER && kt->element != T_NUMBER)
		return;
	concrete(ptr, sizeof(ptr), v->ptr);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		try_number(data, v, ptr, i);
}

/* ---- required members ---- */

/* Something that the field takes. */
static void sample(struct text *t, const struct field *f)
{
	enum json_type type = kind_types[f->kind].value;

	if (f->kind == K_ENUM)
		text_printf(t, "\"%s\"", f->names->name);
	else if (f->kind == K_STRS)
		text_printf(t, "[\"/x\"]");
	else if (f->required && f->object)
		text_printf(t, "{\"path\":\"/x\"}"); /* root */
	else if (strcmp(f->name, "ociVersion") == 0)
		text_printf(t, "\"1.0.0\"");
	else
		text_printf(t, "%s", values[type]);
}

/* The object that the pointer leads to, with all that is required but `except`. */
static void without(struct group *g, const char *ptr, const struct object *o, size_t except)
{
	struct text members = {0};
	char at[256], message[512];

	text_printf(&members, "{");
	for (size_t i = 0; i < o->n; i++) {
		if (i == except || !o->fields[i].required)
			continue;
		text_printf(&members, members.len > 1 ? ",\"%s\":" : "\"%s\":", o->fields[i].name);
		sample(&members, &o->fields[i]);
	}
	text_printf(&members, "}");
	concrete(at, sizeof(at), ptr);
	snprintf(message, sizeof(message), "%s/%s: required, and missing", at,
		 o->fields[except].name);
	expect(g, ptr, members.s, message);
	text_finish(&members);
}

static void missing_in(struct group *g, const char *ptr, const struct object *o)
{
	for (size_t i = 0; i < o->n; i++) {
		if (o->fields[i].required)
			without(g, ptr, o, i);
	}
}

static void missing(const struct field_visit *v, void *data)
{
	const struct field *f = v->field;
	char ptr[256];

	if (!f->object)
		return;
	snprintf(ptr, sizeof(ptr), "%s%s", v->ptr,
		 f->kind == K_LIST || f->kind == K_OBJMAP ? "/*" : "");
	missing_in(data, ptr, f->object);
}

/* ---- the tables themselves ---- */

static void complete(const struct field_visit *v, void *data)
{
	const struct field *f = v->field;
	enum json_type value = kind_types[f->kind].value;
	enum json_type element = kind_types[f->kind].element;
	struct group *g = data;

	g->tried++;
	if (!f->doc || !*f->doc)
		group_fail(g, "%s has no line for the manual", v->ptr);
	if (v->how == ROW && !v->row)
		group_fail(g, "%s names no row", v->ptr);
	if ((value == T_NUMBER || element == T_NUMBER) && !f->max)
		group_fail(g, "%s has no range", v->ptr);
	if ((f->kind == K_ENUM || f->kind == K_NAMES || f->kind == K_FLAGS) && !f->names)
		group_fail(g, "%s has no names", v->ptr);
	if (f->applied == MEMBERS && f->kind != K_OBJ && f->kind != K_PTR)
		group_fail(g, "%s has no members", v->ptr);
	if (f->object && f->object->n > 64)
		group_fail(g, "%s has more members than bits", v->ptr);
}

static void group_of(const char *name, field_visitor *visit)
{
	struct group g = {.name = name};

	fields_visit(&object_spec, visit, &g);
	group_end(&g);
}

void test_tables(void)
{
	struct group g = {.name = "tables: required members of the top level"};

	group_of("tables: complete", complete);
	group_of("tables: wrong types", wrong_types);
	group_of("tables: limits of numbers", limits);
	group_of("tables: required members", missing);
	missing_in(&g, "", &object_spec);
	group_end(&g);
}
