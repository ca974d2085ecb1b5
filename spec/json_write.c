/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON out, by yajl's generator.  The text goes to a buffer of our own through
 * its print callback, since the generator does not check its allocations; what
 * it needs for itself is in struct json.
 */
#include "spec/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>

#include "spec/fields.h"
#include "spec/region.h"
#include "spec/scan.h"
#include "spec/spec.h"

struct json {
	yajl_gen gen;
	struct region region;
	char *text;
	size_t len, size;
	int num; /* errno of the first failure */
	const char *why;
};

static void fail(struct json *j, int num, const char *why)
{
	if (j->why)
		return;
	j->num = num;
	j->why = why;
}

static void collect(void *ctx, const char *s, size_t len)
{
	struct json *j = ctx;
	size_t size = j->size ? j->size : 4096;
	char *bigger;

	if (j->why)
		return;
	while (size - j->len < len + 1)
		size *= 2;
	if (size != j->size) {
		bigger = realloc(j->text, size);
		if (!bigger) {
			fail(j, ENOMEM, "writing JSON");
			return;
		}
		j->text = bigger;
		j->size = size;
	}
	memcpy(j->text + j->len, s, len);
	j->len += len;
	j->text[j->len] = '\0';
}

struct json *json_new(bool pretty)
{
	struct json *j = calloc(1, sizeof(*j));
	yajl_alloc_funcs funcs;

	if (!j || region_init(&j->region, 8192)) {
		free(j);
		return NULL;
	}
	funcs = (yajl_alloc_funcs){region_malloc, region_realloc, region_free, &j->region};
	j->gen = yajl_gen_alloc(&funcs);
	if (!j->gen) {
		json_free(j);
		return NULL;
	}
	yajl_gen_config(j->gen, yajl_gen_print_callback, collect, j);
	yajl_gen_config(j->gen, yajl_gen_beautify, pretty);
	yajl_gen_config(j->gen, yajl_gen_indent_string, "\t");
	return j;
}

void json_free(struct json *j)
{
	if (!j)
		return;
	if (j->gen)
		yajl_gen_free(j->gen);
	region_finish(&j->region);
	free(j->text);
	free(j);
}

static void did(struct json *j, yajl_gen_status status)
{
	if (status != yajl_gen_status_ok)
		fail(j, EINVAL, "writing JSON: keys and values out of order");
}

void json_open_object(struct json *j)
{
	did(j, yajl_gen_map_open(j->gen));
}

void json_close_object(struct json *j)
{
	did(j, yajl_gen_map_close(j->gen));
}

void json_open_array(struct json *j)
{
	did(j, yajl_gen_array_open(j->gen));
}

void json_close_array(struct json *j)
{
	did(j, yajl_gen_array_close(j->gen));
}

void json_str(struct json *j, const char *s)
{
	if (!s) {
		did(j, yajl_gen_null(j->gen));
		return;
	}
	if (!utf8_valid(s, strlen(s))) {
		fail(j, EILSEQ, "writing JSON");
		s = "";
	}
	did(j, yajl_gen_string(j->gen, (const unsigned char *)s, strlen(s)));
}

void json_key(struct json *j, const char *key)
{
	json_str(j, key);
}

void json_int(struct json *j, int64_t v)
{
	did(j, yajl_gen_integer(j->gen, v));
}

void json_uint(struct json *j, uint64_t v)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)v);

	did(j, yajl_gen_number(j->gen, text, (size_t)n));
}

void json_number(struct json *j, const char *text)
{
	did(j, yajl_gen_number(j->gen, text, strlen(text)));
}

void json_bool(struct json *j, bool v)
{
	did(j, yajl_gen_bool(j->gen, v));
}

int json_finish(struct json *j, const char **ret_text, size_t *ret_len, struct err *err)
{
	/* With beautify the generator ends the text with a newline itself. */
	if (j->len == 0 || j->text[j->len - 1] != '\n')
		collect(j, "\n", 1);
	if (j->why)
		return err_set(err, j->num, "%s", j->why);
	*ret_text = j->text;
	*ret_len = j->len;
	return 0;
}

/* ---- structures ---- */

static void write_flags(struct json *j, const struct field *f, uint64_t v)
{
	json_open_array(j);
	for (const struct name *n = f->names; n->name; n++) {
		if (v & (uint64_t)n->value)
			json_str(j, n->name);
	}
	json_close_array(j);
}

static void write_strings(struct json *j, char *const *v, size_t n)
{
	json_open_array(j);
	for (size_t i = 0; i < n; i++)
		json_str(j, v[i]);
	json_close_array(j);
}

static void write_numbers(struct json *j, const uint32_t *v, size_t n)
{
	json_open_array(j);
	for (size_t i = 0; i < n; i++)
		json_uint(j, v[i]);
	json_close_array(j);
}

static void write_pairs(struct json *j, const struct pair *v, size_t n)
{
	json_open_object(j);
	for (size_t i = 0; i < n; i++) {
		json_key(j, v[i].key);
		json_str(j, v[i].value);
	}
	json_close_object(j);
}

static void write_list(struct json *j, const struct field *f, const char *v, size_t n)
{
	const char *key;

	if (f->kind == K_LIST)
		json_open_array(j);
	else
		json_open_object(j);
	for (size_t i = 0; i < n; i++, v += f->object->size) {
		if (f->kind == K_OBJMAP) {
			memcpy(&key, v, sizeof(key));
			json_key(j, key);
		}
		json_write(j, f->object, v);
	}
	if (f->kind == K_LIST)
		json_close_array(j);
	else
		json_close_object(j);
}

static void write_elements(struct json *j, const struct field *f, const void *obj)
{
	void *first;
	size_t n = field_count(f, obj, &first);

	if (f->kind == K_U32S)
		write_numbers(j, first, n);
	else if (f->kind == K_MAP)
		write_pairs(j, first, n);
	else if (f->kind == K_LIST || f->kind == K_OBJMAP)
		write_list(j, f, first, n);
	else
		write_strings(j, first, n);
}

static void write_scalar(struct json *j, const struct field *f, const void *at)
{
	const char *s;

	switch (f->kind) {
	case K_BOOL:
		json_bool(j, *(const bool *)at);
		break;
	case K_OPT_BOOL:
		json_bool(j, ((const struct opt_bool *)at)->v);
		break;
	case K_U32:
		json_uint(j, *(const uint32_t *)at);
		break;
	case K_U64:
		json_uint(j, *(const uint64_t *)at);
		break;
	case K_I64:
		json_int(j, *(const int64_t *)at);
		break;
	case K_OPT_U64:
		json_uint(j, ((const struct opt_u64 *)at)->v);
		break;
	case K_OPT_I64:
		json_int(j, ((const struct opt_i64 *)at)->v);
		break;
	case K_ENUM:
		json_str(j, name_of(f->names, *(const int *)at));
		break;
	default: /* K_STR */
		memcpy(&s, at, sizeof(s));
		json_str(j, s);
	}
}

static void write_field(struct json *j, const struct field *f, const void *obj)
{
	const char *at = (const char *)obj + f->offset;
	const void *inner = at;

	json_key(j, f->name);
	switch (f->kind) {
	case K_PTR:
		memcpy(&inner, at, sizeof(inner));
		json_write(j, f->object, inner);
		break;
	case K_OBJ:
		json_write(j, f->object, inner);
		break;
	case K_FLAGS:
		write_flags(j, f, *(const uint64_t *)inner);
		break;
	default:
		if (field_has_elements(f))
			write_elements(j, f, obj);
		else
			write_scalar(j, f, at);
	}
}

void json_write(struct json *j, const struct object *table, const void *in)
{
	json_open_object(j);
	for (size_t i = 0; i < table->n; i++) {
		if (field_is_set(&table->fields[i], in))
			write_field(j, &table->fields[i], in);
	}
	json_close_object(j);
}

int spec_write(const struct spec *s, struct arena *a, char **ret_text, size_t *ret_len,
	       struct err *err)
{
	struct json *j = json_new(true);
	const char *text = NULL;
	char *copy;
	size_t len = 0;
	int r;

	if (!j)
		return err_set(err, ENOMEM, "writing JSON");
	json_write(j, &object_spec, s);
	r = json_finish(j, &text, &len, err);
	if (!r) {
		copy = arena_strndup(a, text, len);
		if (copy) {
			*ret_text = copy;
			*ret_len = len;
		} else {
			r = err_set(err, ENOMEM, "writing JSON");
		}
	}
	json_free(j);
	return r;
}
