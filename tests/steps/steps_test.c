/* SPDX-License-Identifier: Apache-2.0 */
/* What has to hold of the step table as data. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "runtime/steps.h"
#include "spec/fields.h"

static unsigned int passed, failed;

static void check(bool ok, const char *name, const char *detail)
{
	if (ok)
		passed++;
	else
		failed++;
	printf("%s - %s%s%s\n", ok ? "ok" : "not ok", name, ok ? "" : ": ", ok ? "" : detail);
}

/*
 * A failure of these rows is a warning only.  A name may be added here together
 * with the sentence of the specification that allows it, and not otherwise.
 */
static const char *const soft_rows[] = {NULL};

static bool is_listed(const char *const *list, const char *name)
{
	for (; *list; list++)
		if (!strcmp(*list, name))
			return true;
	return false;
}

static void test_soft(void)
{
	for (size_t i = 0; i < n_steps; i++)
		if (!!(steps[i].flags & STEP_SOFT) != is_listed(soft_rows, steps[i].name)) {
			check(false, "soft rows are those of the list", steps[i].name);
			return;
		}
	check(true, "soft rows are those of the list", "");
}

/* Killing the box destroys its namespaces: that is the undo of all its rows. */
static void test_undo(void)
{
	for (size_t i = 0; i < n_steps; i++)
		if (steps[i].side == BOX && steps[i].undo) {
			check(false, "rows of the box have no undo", steps[i].name);
			return;
		}
	check(true, "rows of the box have no undo", "");
}

/* See struct step: a row of the box that is always wanted takes the baton. */
/* `enters`: of the rows of exec only. */
static void test_beside(unsigned int enters)
{
	for (size_t i = 0; i < n_steps; i++) {
		size_t k = i + 1;

		if (!(steps[i].flags & STEP_BESIDE) || (steps[i].flags & enters) != enters)
			continue;
		while (k < n_steps &&
		       ((steps[k].flags & STEP_BESIDE) || (steps[k].flags & enters) != enters ||
			(steps[k].side == BOX && steps[k].wanted)))
			k++;
		if (steps[i].side != HOST || k == n_steps || steps[k].side != BOX) {
			check(false, "a row of the box follows those beside it", steps[i].name);
			return;
		}
	}
	check(true, "a row of the box follows those beside it", "");
}

static void test_names(void)
{
	const char *bad = "";

	for (size_t i = 0; i < n_steps; i++) {
		if (strlen(steps[i].name) >= sizeof(((struct err *)0)->step) || !steps[i].apply)
			bad = steps[i].name;
		for (size_t k = 0; k < i; k++)
			if (!strcmp(steps[i].name, steps[k].name))
				bad = steps[i].name;
	}
	check(!*bad, "names are unique and fit, every row does something", bad);
}

/* Rows that are no rows of the table: reading the document, and delete's hooks. */
static const char *const outside[] = {"config", "poststop", NULL};

/*
 * What the parser knows and nobody applies.  A name may be added here together with the
 * sentence of the specification that allows it, and not otherwise.
 */
static const char *const ignored[] = {
	/* config.md, "Windows Process" and its user: of Windows containers. */
	"/process/user/username",
	"/process/commandLine",
	/* config-linux.md: children share the limit.  In cgroup v2 they always do. */
	"/linux/resources/memory/useHierarchy",
	NULL,
};

struct found {
	char bad[256];
};

/* That those of cgroup v1 are the ones of tests/spec/refused.txt is checked there. */
static void visit_claim(const struct field_visit *v, void *data)
{
	struct found *f = data;
	bool may = is_listed(ignored, v->ptr);

	if (v->how == REFUSED || (v->how == IGNORED) != may)
		snprintf(f->bad, sizeof(f->bad), "%s", v->ptr);
}

static void test_claims(void)
{
	struct found f = {""};

	fields_visit(&object_spec, visit_claim, &f);
	check(!f.bad[0], "each key is claimed by a row, or may be ignored", f.bad);
}

static void visit_field(const struct field_visit *v, void *data)
{
	struct found *f = data;

	if (v->how != ROW || is_listed(outside, v->row))
		return;
	for (size_t i = 0; i < n_steps; i++)
		if (!strcmp(steps[i].name, v->row))
			return;
	snprintf(f->bad, sizeof(f->bad), "%s by %s", v->ptr, v->row);
}

static void test_fields(void)
{
	struct found f = {""};

	fields_visit(&object_spec, visit_field, &f);
	check(!f.bad[0], "every applied field names a row of the table", f.bad);
}

/* A row's pointer must be a property of the configuration. */
struct wanted {
	const char *ptr;
	bool seen;
};

static void visit_ptr(const struct field_visit *v, void *data)
{
	struct wanted *w = data;

	if (!strcmp(v->ptr, w->ptr))
		w->seen = true;
}

static void test_pointers(void)
{
	for (size_t i = 0; i < n_steps; i++) {
		struct wanted w = {.ptr = steps[i].ptr};

		if (!w.ptr)
			continue;
		fields_visit(&object_spec, visit_ptr, &w);
		if (!w.seen) {
			check(false, "every row's pointer is a property", steps[i].name);
			return;
		}
	}
	check(true, "every row's pointer is a property", "");
}

int main(void)
{
	test_soft();
	test_undo();
	test_beside(0);
	test_beside(STEP_ENTERS);
	test_names();
	test_fields();
	test_claims();
	test_pointers();
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed ? 1 : 0;
}
