/* SPDX-License-Identifier: Apache-2.0 */
/* All that is wrong with a document, and not the first of it only. */
#include "tests/spec/test.h"

#include <stdlib.h>
#include <string.h>

#include "spec/fields.h"
#include "spec/findings.h"

enum { MOST = 64 };

struct found {
	size_t n;
	enum severity severity[MOST];
	char line[MOST][1024];
};

static void take(void *data, enum severity severity, const struct err *e)
{
	struct found *f = data;

	if (f->n == MOST)
		return;
	f->severity[f->n] = severity;
	err_format(e, f->line[f->n++], sizeof(f->line[0]));
}

/* From memory of exactly that size, as accepts(). */
static void look(const char *s, size_t len, struct found *f)
{
	char *copy = malloc(len + !len);
	struct arena arena = {0};
	struct err err, first;
	struct findings findings = {.first = &first, .tell = take, .data = f};
	struct spec *spec;

	f->n = 0;
	if (!copy)
		abort();
	memcpy(copy, s, len);
	if (spec_validate(copy, len, &arena, &findings, &spec, &err) < 0)
		take(f, FINDING_ERROR, &err);
	arena_finish(&arena);
	free(copy);
}

static bool has(const struct found *f, enum severity severity, const char *line)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->severity[i] == severity && !strcmp(f->line[i], line))
			return true;
	return false;
}

static const char *first_error(const struct found *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->severity[i] == FINDING_ERROR)
			return f->line[i];
	return "ok";
}

/* ---- lines of edits.txt ---- */

struct line {
	const char *ptr, *value, *want;
};

struct lines {
	struct line v[1000];
	size_t n;
};

/* Those whose document is refused for what a value is; bad places are edit_test.c's matter. */
static void read_lines(struct text *edits, struct lines *l)
{
	char *line, *rest;

	for (line = edits->s; *line && l->n < 1000; line = rest) {
		struct line *one = &l->v[l->n];

		rest = line + strcspn(line, "\n");
		if (*rest)
			*rest++ = '\0';
		if (!*line || *line == '#')
			continue;
		one->ptr = strtok(line, "\t");
		one->value = strtok(NULL, "\t");
		one->want = strtok(NULL, "");
		if (!one->ptr || !one->value || !one->want)
			continue;
		one->want += strspn(one->want, "\t");
		l->n++;
	}
}

static bool is_refused(const struct line *l)
{
	return strcmp(l->want, "ok") != 0 && l->want[0] == '/';
}

/* The first of all errors is the one that a reader for use gets. */
static void test_first(const char *base, const struct lines *l)
{
	struct group g = {.name = "validate: its first error is that of run"};
	static struct found f;

	for (size_t i = 0; i < l->n; i++) {
		struct text t = {0};

		if (is_refused(&l->v[i]) && edit(&t, base, l->v[i].ptr, l->v[i].value)) {
			g.tried++;
			look(t.s, t.len, &f);
			if (strcmp(first_error(&f), l->v[i].want) != 0)
				group_fail(&g, "%s: \"%s\", not \"%s\"", l->v[i].ptr,
					   first_error(&f), l->v[i].want);
		}
		text_finish(&t);
	}
	group_end(&g);
}

static bool is_linux(const struct line *l)
{
	return !strncmp(l->ptr, "/linux/", 7) && !strncmp(l->want, "/linux/", 7);
}

static bool is_elsewhere(const struct line *l)
{
	return strncmp(l->ptr, "/linux", 6) != 0 && strncmp(l->want, "/linux", 6) != 0;
}

static void test_pair(struct group *g, const char *base, const struct line *a, const struct line *b)
{
	static struct found f;
	struct text one = {0}, both = {0};

	if (edit(&one, base, a->ptr, a->value) && edit(&both, one.s, b->ptr, b->value)) {
		g->tried++;
		look(both.s, both.len, &f);
		if (!has(&f, FINDING_ERROR, a->want) || !has(&f, FINDING_ERROR, b->want))
			group_fail(g, "%s and %s: not both of \"%s\" and \"%s\"", a->ptr, b->ptr,
				   a->want, b->want);
	}
	text_finish(&one);
	text_finish(&both);
}

typedef bool kind_of_line(const struct line *l);

/* Each of one kind with one of the other, which are taken in turn. */
static void test_pairs(struct group *g, const char *base, const struct lines *l, kind_of_line *one,
		       kind_of_line *other)
{
	size_t k = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (!is_refused(&l->v[i]) || !one(&l->v[i]))
			continue;
		for (size_t tries = 0; tries < l->n; tries++) {
			k = (k + 1) % l->n;
			if (is_refused(&l->v[k]) && other(&l->v[k]))
				break;
		}
		test_pair(g, base, &l->v[i], &l->v[k]);
	}
}

/* Each error is still told when there is another one, before it or behind it. */
static void test_both(const char *base, const struct lines *l)
{
	struct group g = {.name = "validate: one error does not hide another"};

	test_pairs(&g, base, l, is_elsewhere, is_linux);
	test_pairs(&g, base, l, is_linux, is_elsewhere);
	group_end(&g);
}

/* ---- documents of their own ---- */

static const struct {
	const char *doc;
	enum severity severity;
	const char *want; /* NULL: nothing */
} cases[] = {
	{"{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"x\"}}", FINDING_ERROR, NULL},
	{"{}", FINDING_ERROR, "/ociVersion: required, and missing"},
	{"{}", FINDING_ERROR, "/root: required, and missing"},
	{"{\"mount\":[]}", FINDING_WARNING, "/mount: unknown property (did you mean \"mounts\"?)"},
	{"{\"x.y\":{\"mount\":[]}}", FINDING_WARNING, "/x.y: unknown property"},
	{"{\"process\":{\"noNewPriviliges\":true}}", FINDING_WARNING,
	 "/process/noNewPriviliges: unknown property (did you mean \"noNewPrivileges\"?)"},
	{"{\"process\":{\"capability\":{}}}", FINDING_WARNING,
	 "/process/capability: unknown property (did you mean \"capabilities\"?)"},
	{"{\"mounts\":[7,{\"destination\":9},{\"destination\":\"\"}]}", FINDING_ERROR,
	 "/mounts/0: expected object, found number"},
	{"{\"mounts\":[7,{\"destination\":9},{\"destination\":\"\"}]}", FINDING_ERROR,
	 "/mounts/1/destination: expected string, found number"},
	{"{\"mounts\":[7,{\"destination\":9},{\"destination\":\"\"}]}", FINDING_ERROR,
	 "/mounts/2/destination: must not be empty"},
	{"{\"a\":1,\"a\":2,\"root\":{\"path\":\"\"}}", FINDING_ERROR,
	 "/root/path: must not be empty"},
	{"{\"a\":1,\"a\":2,\"root\":{\"path\":\"\"}}", FINDING_ERROR, "/a: duplicate key"},
	{"{\"ociVersion\":\"1.0.2\",\"domainname\":\"d\"}", FINDING_WARNING,
	 "/domainname: came with version 1.1.0 of the specification; the document follows 1.0.2"},
	{"{\"ociVersion\":\"1.2.0\",\"linux\":{\"memoryPolicy\":{\"mode\":\"MPOL_LOCAL\"}}}",
	 FINDING_WARNING,
	 "/linux/memoryPolicy: came with version 1.3.0 of the specification; the document follows "
	 "1.2.0"},
	{"{\"linux\":{\"resources\":{\"memory\":{\"kernel\":1,\"swappiness\":1}}}}", FINDING_ERROR,
	 "/linux/resources/memory/swappiness: is of cgroup v1: nothing in cgroup v2 does the same"},
	{"{\"linux\":{\"namespaces\":[{\"type\":\"pidd\"}],\"sysctl\":{\"a..b\":\"1\"}}}",
	 FINDING_ERROR, "/linux/sysctl/a..b: is no name of a kernel parameter"},
	{"{\"linux\":", FINDING_ERROR, "line 1, column 10: the text ends too early"},
};

static void test_cases(void)
{
	static struct found f;
	char name[160];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(name, sizeof(name), "validate: %.120s", cases[i].doc);
		look(cases[i].doc, strlen(cases[i].doc), &f);
		if (cases[i].want)
			check(has(&f, cases[i].severity, cases[i].want), name, "no \"%s\"",
			      cases[i].want);
		else
			check(f.n == 0, name, "\"%s\"", f.line[0]);
	}
}

/* ---- the tables ---- */

static bool has_field(const struct object *o, const char *name, size_t len)
{
	for (size_t i = 0; i < o->n; i++)
		if (strlen(o->fields[i].name) == len && !memcmp(o->fields[i].name, name, len))
			return true;
	return false;
}

/* A name that is none would let a rule look at what is known to be wrong. */
static void check_members(struct group *g, const struct object *o)
{
	for (const struct rule *r = o->rules; r && r->check; r++) {
		const char *m = r->members;

		g->tried++;
		while (*m) {
			size_t len = strcspn(m, " ");

			if (!len || !has_field(o, m, len))
				group_fail(g, "\"%s\": no member \"%.*s\"", r->members, (int)len,
					   m);
			m += len + (m[len] == ' ');
		}
	}
}

static void visit(const struct field_visit *v, void *data)
{
	if (v->field->object)
		check_members(data, v->field->object);
}

void test_validate(void)
{
	struct group g = {.name = "validate: rules name members that there are"};
	static struct lines lines;
	struct text base = {0}, edits = {0};

	text_read(&base, "base.json");
	text_read(&edits, "edits.txt");
	read_lines(&edits, &lines);
	test_first(base.s, &lines);
	test_both(base.s, &lines);
	test_cases();
	check_members(&g, &object_spec);
	fields_visit(&object_spec, visit, &g);
	group_end(&g);
	text_finish(&base);
	text_finish(&edits);
}
