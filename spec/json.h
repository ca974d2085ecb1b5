/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON into C structures and back, driven by tables of fields.  The only files
 * of bryo that know yajl are spec/json.c and spec/json_write.c, and of the
 * parsers they use the streaming one: the tree API crashes on deep input, cuts strings at \u0000
 * and lets the first of two duplicate keys win.
 *
 * Refused whatever the table says: more than 4 MiB, more than 64 levels, NUL
 * (raw or \u0000), invalid UTF-8, lone surrogates, comments, data behind the
 * document, duplicate keys in an object (unknown objects included).  Unknown
 * keys are ignored, null is the same as an absent key.  Numbers are read from
 * their text: exact over 64 bits, no fractions, no exponents.
 */
#ifndef BRYO_SPEC_JSON_H
#define BRYO_SPEC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"

struct object; /* a table of fields; see spec/fields.h */

/*
 * Parse text as one object of the given table into *out, which is zeroed and
 * of the size that the table says.  -1: "pointer: message"; syntax errors name
 * line and column.
 */
int json_parse(const char *text, size_t len, const struct object *table, void *out, struct arena *a,
	       struct err *err);

/*
 * The same, going on behind values that are wrong: their errors, and warnings of keys
 * that the table has not, are told.  What is wrong is left out of *out; of a list's
 * elements an empty one remains.  -1: the text is no JSON, or *findings has had enough.
 */
struct findings;
int json_parse_all(const char *text, size_t len, const struct object *table, void *out,
		   struct arena *a, struct findings *findings, struct err *err);

/*
 * Writing.  A writer collects into memory of its own; the first failure (out of
 * memory, strings that are not UTF-8) sticks and is reported by json_finish().
 * Keys and values alternate inside objects, as in the text.
 */
struct json;

struct json *json_new(bool pretty); /* NULL: no memory */
void json_open_object(struct json *j);
void json_close_object(struct json *j);
void json_open_array(struct json *j);
void json_close_array(struct json *j);
void json_key(struct json *j, const char *key);
void json_str(struct json *j, const char *s); /* NULL writes null */
void json_int(struct json *j, int64_t v);
void json_uint(struct json *j, uint64_t v);
/* A number with a fraction, as text that is one: from the kernel's files. */
void json_number(struct json *j, const char *text);
void json_bool(struct json *j, bool v);
/* The members of *in that are set, as an object of the given table. */
void json_write(struct json *j, const struct object *table, const void *in);
/* The text, valid until json_free(); a newline ends it.  -1: see above. */
int json_finish(struct json *j, const char **ret_text, size_t *ret_len, struct err *err);
void json_free(struct json *j);

#endif
