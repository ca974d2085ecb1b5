/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/drop.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/fields.h"

/* ---- pointers ---- */

/* The next token, unescaped (RFC 6901); false at the end. */
static bool next_token(const char **ptr, char *ret, size_t size)
{
	const char *s = *ptr;
	size_t n = 0;

	if (*s != '/')
		return false;
	for (s++; *s && *s != '/'; s++) {
		char c = *s;

		if (c == '~' && (s[1] == '0' || s[1] == '1'))
			c = *++s == '0' ? '~' : '/';
		if (n + 1 < size)
			ret[n++] = c;
	}
	ret[n] = '\0';
	*ptr = s;
	return true;
}

/* How many of the list are gone; with a limit: of those before an index of the text. */
static size_t gone_before(const struct drops *d, const char *list, size_t limit)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		n += d->v[i].index < limit && !strcmp(d->v[i].list, list);
	return n;
}

static bool is_gone(const struct drops *d, const char *list, size_t index)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].index == index && !strcmp(d->v[i].list, list))
			return true;
	return false;
}

/* The index in the text of what has that index now. */
static size_t index_in_text(const struct drops *d, const char *list, size_t index)
{
	size_t at = index, next;

	/* As far as those that are gone have moved it, and then those that it has passed. */
	while ((next = index + gone_before(d, list, at + 1)) != at)
		at = next;
	return at;
}

void drops_original(const struct drops *d, const char *ptr, char *ret, size_t size)
{
	char token[256], *end;

	ret[0] = '\0';
	while (next_token(&ptr, token, sizeof(token))) {
		unsigned long index = strtoul(token, &end, 10);

		if (isdigit((unsigned char)token[0]) && !*end && gone_before(d, ret, SIZE_MAX))
			snprintf(token, sizeof(token), "%zu", index_in_text(d, ret, index));
		ptr_append(ret, size, token);
	}
}

/* ---- leaving out ---- */

enum outcome { DONE, OWNER, NO_MEMORY }; /* OWNER: what holds it must go, too */

static enum outcome drop_in(struct drops *d, const struct object *o, char *obj, const char *ptr,
			    const char *path);

static size_t size_of(const struct field *f)
{
	switch (f->kind) {
	case K_BOOL:
		return sizeof(bool);
	case K_U32:
		return sizeof(uint32_t);
	case K_ENUM:
		return sizeof(int);
	case K_OPT_BOOL:
		return sizeof(struct opt_bool);
	case K_OPT_U64:
	case K_OPT_I64:
		return sizeof(struct opt_u64);
	case K_OBJ:
		return f->object->size;
	default: /* numbers and pointers */
		return field_has_elements(f) ? sizeof(struct strs) : sizeof(uint64_t);
	}
}

static enum outcome unset(const struct field *f, char *obj)
{
	if (f->required)
		return OWNER;
	memset(obj + f->offset, 0, size_of(f));
	return DONE;
}

/* One element goes, the others move up; and the list, if it must have one. */
static enum outcome remove_element(const struct field *f, char *obj, char *first, size_t n,
				   size_t i)
{
	size_t size = field_element_size(f);
	char *count = obj + f->offset + offsetof(struct strs, n);

	memmove(first + i * size, first + (i + 1) * size, (n - i - 1) * size);
	n--;
	memcpy(count, &n, sizeof(n));
	if (f->kind == K_STRS || f->kind == K_NAMES)
		memset(first + n * size, 0, size);
	return !n && f->required ? OWNER : DONE;
}

static enum outcome drop_key(struct drops *d, const struct field *f, char *obj, const char *key,
			     const char *rest, const char *path)
{
	char *first, *its;
	void *v;
	size_t n = field_count(f, obj, &v), size = field_element_size(f);

	first = v;
	for (size_t i = 0; i < n; i++) {
		enum outcome out = OWNER;

		memcpy(&its, first + i * size, sizeof(its));
		if (strcmp(its, key) != 0)
			continue;
		if (*rest && f->object)
			out = drop_in(d, f->object, first + i * size, rest, path);
		return out == OWNER ? remove_element(f, obj, first, n, i) : out;
	}
	return DONE;
}

static enum outcome remember(struct drops *d, const char *list, size_t index)
{
	void *v = d->v;
	struct dropped *one = arena_push(d->arena, &v, &d->n, &d->cap, sizeof(*one));

	if (!one)
		return NO_MEMORY;
	d->v = v;
	*one = (struct dropped){arena_strdup(d->arena, list), index};
	return one->list ? DONE : NO_MEMORY;
}

static enum outcome drop_index(struct drops *d, const struct field *f, char *obj, const char *token,
			       const char *rest, const char *path)
{
	size_t index = strtoul(token, NULL, 10), now, n;
	char *list, where[256];
	enum outcome out = OWNER;
	void *v;

	snprintf(where, sizeof(where), "%.*s", (int)(strlen(path) - strlen(rest)), path);
	list = strrchr(where, '/');
	*list = '\0';
	n = field_count(f, obj, &v);
	now = index - gone_before(d, where, index);
	if (is_gone(d, where, index) || now >= n)
		return DONE;
	if (*rest && f->object)
		out = drop_in(d, f->object, (char *)v + now * f->object->size, rest, path);
	if (out != OWNER)
		return out;
	if (remember(d, where, index) != DONE)
		return NO_MEMORY;
	return remove_element(f, obj, v, n, now);
}

static enum outcome drop_member(struct drops *d, const struct field *f, char *obj, const char *rest,
				const char *path)
{
	char token[256], *inner = obj + f->offset;
	const char *next = rest;
	enum outcome out;

	if (!next_token(&next, token, sizeof(token)))
		return unset(f, obj);
	switch (f->kind) {
	case K_LIST:
	case K_STRS:
	case K_NAMES:
	case K_U32S:
		out = drop_index(d, f, obj, token, next, path);
		break;
	case K_MAP:
	case K_OBJMAP:
		out = drop_key(d, f, obj, token, next, path);
		break;
	case K_PTR:
		memcpy(&inner, obj + f->offset, sizeof(inner));
		if (!inner)
			return DONE;
		out = drop_in(d, f->object, inner, rest, path);
		break;
	case K_OBJ:
		out = drop_in(d, f->object, inner, rest, path);
		break;
	default: /* a flag that is none: it has not been set */
		return DONE;
	}
	return out == OWNER ? unset(f, obj) : out;
}

/* `path` is the whole pointer, of which `ptr` is the end. */
static enum outcome drop_in(struct drops *d, const struct object *o, char *obj, const char *ptr,
			    const char *path)
{
	char token[256];

	if (!next_token(&ptr, token, sizeof(token)))
		return OWNER;
	for (size_t i = 0; i < o->n; i++)
		if (!strcmp(o->fields[i].name, token))
			return drop_member(d, &o->fields[i], obj, ptr, path);
	return DONE;
}

int drops_add(struct drops *d, const char *ptr)
{
	return drop_in(d, &object_spec, (char *)d->spec, ptr, ptr) == DONE ? 0 : -1;
}
