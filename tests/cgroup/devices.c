/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs for devices against a reference that reads the entries as
 * config-linux.md writes of them, in an interpreter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup/device.h"
#include "tests/cgroup/test.h"

enum { R = BPF_DEVCG_ACC_READ, W = BPF_DEVCG_ACC_WRITE, M = BPF_DEVCG_ACC_MKNOD };

/* ---- the reference ---- */

static bool names(const struct spec_devrule *e, const struct request *q, uint32_t right)
{
	int letter = right == R ? 'r' : right == W ? 'w' : 'm';
	char type = q->type == BPF_DEVCG_DEV_CHAR ? 'c' : 'b';

	if (e->type && e->type[0] != 'a' && e->type[0] != type)
		return false;
	if (e->major.set && e->major.v >= 0 && e->major.v != q->major)
		return false;
	if (e->minor.set && e->minor.v >= 0 && e->minor.v != q->minor)
		return false;
	return !e->access || strchr(e->access, letter);
}

/* Every container has these, whatever is listed. */
static bool is_default(const struct request *q, uint32_t right)
{
	static const struct {
		uint32_t major, minor;
	} nodes[] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 1}, {5, 2}};

	if (right == M)
		return true;
	if (q->type != BPF_DEVCG_DEV_CHAR)
		return false;
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (nodes[i].major == q->major && nodes[i].minor == q->minor)
			return true;
	return q->major == 136;
}

static bool allowed(const struct spec_devrules *list, const struct request *q)
{
	for (uint32_t right = 1; right <= 4; right <<= 1) {
		bool verdict = true;

		if (!(q->access & right) || is_default(q, right))
			continue;
		for (size_t i = 0; i < list->n; i++)
			if (names(&list->v[i], q, right))
				verdict = list->v[i].allow;
		if (!verdict)
			return false;
	}
	return true;
}

/* ---- comparing ---- */

/* Numbers that rules and requests share, so that they meet. */
static const int64_t numbers[] = {0, 1, 3, 5, 8, 136, 200, 4095, 1048575, 0xffffffff};

static bool try_all(const struct spec_devrules *list, const struct device_program *p, char *why,
		    size_t size)
{
	const size_t n = sizeof(numbers) / sizeof(numbers[0]);

	for (uint32_t i = 0; i < 2 * 8 * n * n; i++) {
		struct request q = {.type = i % 2 + 1,
				    .access = i / 2 % 8,
				    .major = (uint32_t)numbers[i / 16 % n],
				    .minor = (uint32_t)numbers[i / 16 / n]};
		const char *bad = NULL;
		int got = interpret(p->v, p->n, &q, &bad);
		bool want = allowed(list, &q);

		if (got == want && !bad)
			continue;
		snprintf(why, size, "type %u access %u %u:%u: got %d, want %d (%s)", q.type,
			 q.access, q.major, q.minor, got, want, bad ? bad : "");
		return false;
	}
	return true;
}

static bool matches(const struct spec_devrules *list, char *why, size_t size)
{
	struct device_program p;
	struct arena a = {0};
	struct err err;
	const char *bad;
	bool ok = device_program_make(list, &a, &p, &err) == 0;

	snprintf(why, size, "%.200s", ok ? "" : err.msg);
	if (ok && !verify(p.v, p.n, &bad)) {
		snprintf(why, size, "%s", bad);
		ok = false;
	}
	ok = ok && try_all(list, &p, why, size);
	arena_finish(&a);
	return ok;
}

/* ---- cases ---- */

#define NUM(x)                                                                                     \
	{                                                                                          \
		true, (x)                                                                          \
	}
#define ANY                                                                                        \
	{                                                                                          \
		false, 0                                                                           \
	}

static struct spec_devrule deny_all[] = {{false, NULL, ANY, ANY, "rwm"}};
static struct spec_devrule deny_unnamed[] = {{false, NULL, ANY, ANY, NULL}};
static struct spec_devrule allow_all[] = {{true, "a", NUM(-1), NUM(-1), "rwm"}};
static struct spec_devrule example[] = {
	{false, NULL, ANY, ANY, "rwm"},
	{true, "c", NUM(10), NUM(229), "rw"},
	{true, "b", NUM(8), NUM(0), "r"},
};
/* A right that is allowed and one that is denied, asked for together. */
static struct spec_devrule parts[] = {
	{false, "a", ANY, ANY, "rwm"},
	{true, "c", NUM(8), ANY, "rw"},
	{false, "c", NUM(8), NUM(1), "w"},
};
static struct spec_devrule overridden[] = {
	{true, "b", NUM(8), NUM(0), "rwm"},
	{false, "a", ANY, ANY, "rwm"},
};
static struct spec_devrule nothing[] = {{false, "a", ANY, ANY, ""}};
static struct spec_devrule big[] = {{false, "c", NUM(4095), NUM(0xffffffff), "rw"}};

static const struct {
	const char *name;
	struct spec_devrule *v;
	size_t n;
} cases[] = {
	{"no entries", NULL, 0},
	{"deny all", deny_all, 1},
	{"deny all, no rights named", deny_unnamed, 1},
	{"allow all", allow_all, 1},
	{"the example of the specification", example, 3},
	{"a right taken from another", parts, 3},
	{"the last entry counts", overridden, 2},
	{"an entry without rights", nothing, 1},
	{"the greatest numbers", big, 1},
};

/* ---- random lists ---- */

static int64_t pick_number(void)
{
	return rand() % 3 ? numbers[rand() % 10] : -1;
}

static void fill(struct spec_devrule *r)
{
	static char *const types[] = {"a", "b", "c", NULL};
	static char *const rights[] = {"r", "w", "m", "rw", "rm", "wm", "rwm", NULL};

	*r = (struct spec_devrule){.allow = rand() % 2,
				   .type = types[rand() % 4],
				   .access = rights[rand() % 8],
				   .major = {rand() % 4, pick_number()},
				   .minor = {rand() % 4, pick_number()}};
}

static void test_random(void)
{
	struct spec_devrule v[24];
	char why[256] = "";
	bool ok = true;

	srand(4);
	for (int round = 0; ok && round < 400; round++) {
		struct spec_devrules list = {.v = v, .n = (size_t)rand() % 24};

		for (size_t i = 0; i < list.n; i++)
			fill(&v[i]);
		ok = matches(&list, why, sizeof(why));
	}
	check(ok, "devices: 400 random lists", "%s", why);
}

/* Jumps are short, however long the list: each goes to the next entry. */
static void test_long(void)
{
	struct spec_devrules list = {.v = calloc(20001, sizeof(*list.v)), .n = 20000};
	struct device_program p;
	struct arena a = {0};
	struct err err;
	const char *bad = "";
	bool ok;

	for (size_t i = 0; list.v && i < 20001; i++)
		list.v[i] = (struct spec_devrule){true, "c", NUM(1000), NUM((int64_t)i), "r"};
	ok = list.v && device_program_make(&list, &a, &p, &err) == 0 && verify(p.v, p.n, &bad);
	check(ok, "devices: 20000 entries", "%s", bad);
	list.n++;
	ok = device_program_make(&list, &a, &p, &err) < 0 && !strcmp(err.ptr, "/devices");
	check(ok, "devices: more are refused", "%s: %s", err.ptr, err.msg);
	arena_finish(&a);
	free(list.v);
}

void test_devices(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct spec_devrules list = {.v = cases[i].v, .n = cases[i].n};
		char name[128], why[256];
		bool ok = matches(&list, why, sizeof(why));

		snprintf(name, sizeof(name), "devices: %s", cases[i].name);
		check(ok, name, "%s", why);
	}
	test_random();
	test_long();
}
