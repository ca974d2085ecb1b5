/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec_test [DIRECTORY]: all checks, with the files of that directory
 * spec_test --manual: the fields in mdoc(7), for bryo-config(5)
 * spec_test --refused: what refused.txt should hold
 */
#include "tests/spec/test.h"

#include <stdlib.h>
#include <string.h>

#include "spec/fields.h"
#include "spec/json.h"

const char *test_dir = "tests/spec";

static size_t passed_checks, failed_checks;

void check(bool passed, const char *name, const char *fmt, ...)
{
	char why[1024];
	va_list ap;

	if (passed) {
		passed_checks++;
		printf("ok - %s\n", name);
		return;
	}
	failed_checks++;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	printf("not ok - %s: %s\n", name, why);
}

void group_fail(struct group *g, const char *fmt, ...)
{
	va_list ap;

	if (g->failed++)
		return;
	va_start(ap, fmt);
	vsnprintf(g->why, sizeof(g->why), fmt, ap);
	va_end(ap);
}

void group_end(struct group *g)
{
	char name[160];

	snprintf(name, sizeof(name), "%s (%zu)", g->name, g->tried);
	check(g->tried && !g->failed, name, "%zu wrong, the first: %s", g->failed, g->why);
}

/* ---- text ---- */

void text_add(struct text *t, const char *s, size_t len)
{
	while (t->size - t->len < len + 1) {
		t->size = t->size ? t->size * 2 : 4096;
		t->s = realloc(t->s, t->size);
		if (!t->s)
			abort();
	}
	memcpy(t->s + t->len, s, len);
	t->len += len;
	t->s[t->len] = '\0';
}

void text_printf(struct text *t, const char *fmt, ...)
{
	char buf[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(buf))
		abort();
	text_add(t, buf, (size_t)n);
}

void text_finish(struct text *t)
{
	free(t->s);
	*t = (struct text){0};
}

void text_read(struct text *t, const char *name)
{
	char path[4096], buf[4096];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", test_dir, name);
	f = fopen(path, "re");
	if (!f) {
		perror(path);
		exit(1);
	}
	text_add(t, "", 0);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		text_add(t, buf, n);
	fclose(f);
}

/* ---- parsing ---- */

/* Parses with that table and writes the result to t, unless that is NULL. */
static int parse(const char *s, size_t len, bool process, struct arena *a, struct text *t,
		 struct err *err)
{
	struct spec_process *p = NULL;
	struct spec *spec = NULL;
	struct json *j;
	const char *written;
	size_t written_len;
	int r;

	if (process)
		r = spec_parse_process(s, len, a, &p, err);
	else
		r = spec_parse(s, len, a, &spec, err);
	if (r || !t)
		return r;
	j = json_new(true);
	if (!j)
		abort();
	json_write(j, process ? &object_process : &object_spec, process ? (void *)p : spec);
	r = json_finish(j, &written, &written_len, err);
	if (!r)
		text_add(t, written, written_len);
	json_free(j);
	return r;
}

bool rewrite(const char *s, size_t len, bool process, struct text *t, char *ret, size_t size)
{
	struct arena a = {0};
	struct err err = {0};
	char *exact = malloc(len ? len : 1);
	int r;

	if (!exact)
		abort();
	memcpy(exact, s, len);
	r = parse(exact, len, process, &a, t, &err);
	free(exact);
	if (r)
		err_format(&err, ret, size);
	else
		snprintf(ret, size, "ok");
	arena_finish(&a);
	return r == 0;
}

bool accepts(const char *s, size_t len, char *ret, size_t size)
{
	return rewrite(s, len, false, NULL, ret, size);
}

static void print_line(const char *line, void *data)
{
	(void)data;
	puts(line);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--manual") == 0) {
		print_manual();
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "--refused") == 0) {
		spec_list_refused(print_line, NULL);
		return 0;
	}
	if (argc > 1)
		test_dir = argv[1];
	test_bytes();
	test_edits();
	test_validate();
	test_files();
	test_tables();
	test_refused();
	test_cost();
	printf("%zu passed, %zu failed, 0 skipped\n", passed_checks, failed_checks);
	return failed_checks ? 1 : 0;
}
