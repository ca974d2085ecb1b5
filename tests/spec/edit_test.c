/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base.json with one value replaced, put in or taken out, as each line of
 * edits.txt says, and the error that this must give.
 */
#include "tests/spec/test.h"

#include <stdlib.h>
#include <string.h>

/* Behind the value that begins at s.  The text is known to be JSON. */
static const char *skip_value(const char *s)
{
	int depth = 0;

	do {
		if (*s == '"') {
			for (s++; *s != '"'; s++)
				s += *s == '\\';
		} else if (*s == '{' || *s == '[') {
			depth++;
		} else if (*s == '}' || *s == ']') {
			depth--;
		}
		s++;
	} while (depth > 0 || !strchr(",}] \t\n", *s));
	return s;
}

static const char *skip_space(const char *s)
{
	return s + strspn(s, " \t\n,:");
}

/*
 * The member of the object, or the element of the array, at s.  NULL: there is
 * none, and *ret_end is the closing bracket.  *ret_start is where the key begins.
 */
static const char *find_child(const char *s, const char *name, size_t len, const char **ret_start,
			      const char **ret_end)
{
	bool object = *s == '{';
	size_t index = object ? 0 : strtoul(name, NULL, 10);

	for (s = skip_space(s + 1); *s != '}' && *s != ']'; s = skip_space(skip_value(s))) {
		const char *key = s;

		*ret_start = s;
		if (object) {
			s = skip_space(skip_value(s));
			if (strncmp(key + 1, name, len) == 0 && key[1 + len] == '"')
				return s;
		} else if (index-- == 0) {
			return s;
		}
	}
	*ret_end = s;
	return NULL;
}

static void put_in(struct text *t, const char *doc, const char *end, const char *name,
		   const char *value)
{
	const char *last = end - 1;

	while (strchr(" \t\n", *last))
		last--;
	text_add(t, doc, (size_t)(end - doc));
	if (*last != '{' && *last != '[')
		text_printf(t, ",");
	if (*end == '}')
		text_printf(t, "\"%s\":", name);
	text_add(t, value, strlen(value));
	text_add(t, end, strlen(end));
}

/* Without a comma that is now behind nothing, or in front of it. */
static void take_out(struct text *t, const char *doc, const char *start, const char *end)
{
	end += strspn(end, " \t\n");
	if (*end == ',') {
		end++;
	} else {
		while (strchr(" \t\n", start[-1]))
			start--;
		if (start[-1] == ',')
			start--;
	}
	text_add(t, doc, (size_t)(start - doc));
	text_add(t, end, strlen(end));
}

bool edit(struct text *t, const char *doc, const char *ptr, const char *value)
{
	const char *at = skip_space(doc), *start = at, *end = at, *found;

	while (*ptr) {
		size_t len = strcspn(++ptr, "/");

		found = find_child(at, ptr, len, &start, &end);
		if (!found && ptr[len])
			return false;
		if (!found) {
			put_in(t, doc, end, ptr, value);
			return true;
		}
		at = found;
		ptr += len;
	}
	end = skip_value(at);
	if (strcmp(value, "-") == 0) {
		take_out(t, doc, start, end);
		return true;
	}
	text_add(t, doc, (size_t)(at - doc));
	text_add(t, value, strlen(value));
	text_add(t, end, strlen(end));
	return true;
}

static void test_line(const char *doc, char *line, size_t number)
{
	const char *ptr = strtok(line, "\t"), *value = strtok(NULL, "\t"), *want = strtok(NULL, "");
	struct text t = {0};
	char got[1024], name[200];

	snprintf(name, sizeof(name), "edits.txt:%zu: %s = %.60s", number, ptr ? ptr : "",
		 value ? value : "");
	if (!ptr || !value || !want || !edit(&t, doc, ptr, value)) {
		check(false, name, "no such place in base.json, or no such line");
	} else {
		want += strspn(want, "\t");
		accepts(t.s, t.len, got, sizeof(got));
		check(strcmp(got, want) == 0, name, "\"%s\", not \"%s\"", got, want);
	}
	text_finish(&t);
}

void test_edits(void)
{
	struct text base = {0}, edits = {0};
	size_t number = 1;
	char *line, *rest;

	text_read(&base, "base.json");
	text_read(&edits, "edits.txt");
	for (line = edits.s; *line; line = rest, number++) {
		rest = line + strcspn(line, "\n");
		if (*rest)
			*rest++ = '\0';
		if (*line && *line != '#')
			test_line(base.s, line, number);
	}
	text_finish(&base);
	text_finish(&edits);
}
