/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole documents: good/ holds those of the specification's schema and what
 * engines send, bad/ those that the schema refuses, with bad.txt for the errors.
 * spec-example.json says 1.0.0, not 0.5.0-dev as it does there: versions before
 * 1.0 are refused.
 */
#include "tests/spec/test.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static int is_json(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return dot && strcmp(dot, ".json") == 0;
}

/* Calls `test` for each document below the directory. */
static void each_file(const char *dir, void (*test)(const char *name, const struct text *t))
{
	char path[2048];
	struct dirent **entries;
	int n;

	snprintf(path, sizeof(path), "%s/%s", test_dir, dir);
	n = scandir(path, &entries, is_json, alphasort);
	check(n > 0, dir, "no documents");
	for (int i = 0; i < n; i++) {
		struct text t = {0};

		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		text_read(&t, path);
		test(path, &t);
		text_finish(&t);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

/* write(parse(write(parse(x)))) is write(parse(x)). */
static void test_good(const char *name, const struct text *t)
{
	bool process = strstr(name, "exec-process");
	struct text once = {0}, twice = {0};
	char got[1024];
	bool good = rewrite(t->s, t->len, process, &once, got, sizeof(got));

	check(good, name, "%s", got);
	if (good && rewrite(once.s, once.len, process, &twice, got, sizeof(got)) &&
	    strcmp(once.s, twice.s) != 0)
		snprintf(got, sizeof(got), "not the same when written a second time");
	if (good)
		check(strcmp(got, "ok") == 0, name, "%s", got);
	text_finish(&once);
	text_finish(&twice);
}

/* Lines of a name, a tab and the error. */
static void test_bad(const char *name, const struct text *t)
{
	struct text list = {0};
	char got[1024], line[256];
	const char *want;

	text_read(&list, "bad.txt");
	snprintf(line, sizeof(line), "\n%s\t", name);
	want = strstr(list.s, line);
	accepts(t->s, t->len, got, sizeof(got));
	if (want) {
		want += strlen(line);
		check(strncmp(got, want, strcspn(want, "\n")) == 0 &&
			      strlen(got) == strcspn(want, "\n"),
		      name, "\"%s\"", got);
	} else {
		check(false, name, "not in bad.txt: \"%s\"", got);
	}
	text_finish(&list);
}

static void test_default(bool rootless)
{
	struct text once = {0}, twice = {0};
	struct arena a = {0};
	struct err err = {0};
	struct spec *s;
	char got[1024] = "", *written;
	size_t len;
	const char *name = rootless ? "default document, rootless" : "default document";

	if (!spec_default(rootless, &a, &s, &err) && !spec_check_supported(s, &err) &&
	    !spec_write(s, &a, &written, &len, &err)) {
		text_add(&once, written, len);
		rewrite(once.s, once.len, false, &twice, got, sizeof(got));
		check(strcmp(got, "ok") == 0 && strcmp(once.s, twice.s) == 0, name, "%s", got);
	} else {
		err_format(&err, got, sizeof(got));
		check(false, name, "%s", got);
	}
	text_finish(&once);
	text_finish(&twice);
	arena_finish(&a);
}

void test_files(void)
{
	each_file("good", test_good);
	each_file("bad", test_bad);
	test_default(false);
	test_default(true);
}
