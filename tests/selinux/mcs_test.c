/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of categories: parsing, what is taken, and the choice, with a source of our own. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "selinux/mcs.h"
#include "selinux/seclabel.h"
#include "tests/selinux/selinux_test.h"

static unsigned int passed, failed;

void check(bool ok, const char *name, const char *fmt, ...)
{
	char text[256] = "";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (ok)
		passed++;
	else
		failed++;
	printf("%s - %s%s%s\n", ok ? "ok" : "not ok", name, ok ? "" : ": ", ok ? "" : text);
}

static bool always(void *arg, uint32_t *ret)
{
	*ret = *(uint32_t *)arg;
	return true;
}

static bool never(void *arg, uint32_t *ret)
{
	(void)arg;
	(void)ret;
	return false;
}

static bool counting(void *arg, uint32_t *ret)
{
	uint32_t *state = arg;

	*state = *state * 1664525 + 1013904223;
	*ret = *state;
	return true;
}

static const struct {
	const char *level; /* NULL: no such text */
	size_t n;
	unsigned int has;
} levels[] = {
	{"s0", 0, 0},
	{"s0:c0", 1, 0},
	{"s0:c1,c1023", 2, 1023},
	{"s0:c1023,c1", 2, 1},
	{"s0:c5.c7", 3, 6},
	{"s0:c0.c1023", 1024, 512},
	{"s0:c1,c3.c5,c900", 5, 4},
	{"s0-s0:c0.c1023", 1024, 1000},
	{"s0:c1,c2-s15:c1.c4", 4, 3},
	{"s0:c1,c1", 1, 1},
};

static const char *const bad_levels[] = {
	"",          "c1",     "s",       "s0:",       "s0:c",    "s0:c1,",
	"s0:c1024",  "s0:1,2", "s0:c1 ",  "s0:c1,,c2", "s0:c1.",  "s0:c1.2",
	"SystemLow", "s0:c-1", "s0:c1-c", "s0-",       "s0:c1\n", "s0:c99999999999999999999",
};

static void test_levels(void)
{
	struct mcs_set s;

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		bool ok = mcs_parse(levels[i].level, &s);

		check(ok && mcs_count(&s) == levels[i].n &&
			      (!levels[i].n || mcs_has(&s, levels[i].has)),
		      levels[i].level, "%d, %zu categories", ok, ok ? mcs_count(&s) : 0);
	}
	for (size_t i = 0; i < sizeof(bad_levels) / sizeof(bad_levels[0]); i++)
		check(!mcs_parse(bad_levels[i], &s), "no level", "\"%s\" was taken", bad_levels[i]);
}

static struct mcs_set set_of(const char *level)
{
	struct mcs_set s = {0};

	mcs_parse(level, &s);
	return s;
}

/* All pairs of some categories, one after another, each once; then no more. */
static void exhaust(const char *level, size_t pairs, uint32_t start)
{
	struct mcs_taken *t = calloc(1, sizeof(*t));
	struct mcs_set usable = set_of(level);
	struct mcs_pair p;
	size_t n = 0;
	bool bad = false;

	while (n <= pairs && mcs_choose(&usable, t, counting, &start, &p)) {
		struct mcs_set s = {0};

		bad |= p.a >= p.b || mcs_is_taken(t, p) || !mcs_has(&usable, p.a) ||
		       !mcs_has(&usable, p.b);
		mcs_add(&s, p.a);
		mcs_add(&s, p.b);
		mcs_take(t, &s);
		n++;
	}
	check(!bad && n == pairs, "every pair once", "%s: %zu of %zu%s", level, n, pairs,
	      bad ? ", wrong ones" : "");
	free(t);
}

static void test_choice(void)
{
	struct mcs_taken *t = calloc(1, sizeof(*t));
	struct mcs_set all = set_of("s0:c0.c1023"), few = set_of("s0:c3,c9,c40"), s;
	uint32_t zero = 0, last = MCS_PAIRS - 1;
	struct mcs_pair p;

	check(mcs_choose(&all, t, always, &zero, &p) && p.a == 0 && p.b == 1, "the first pair",
	      "%u %u", p.a, p.b);
	check(mcs_choose(&all, t, always, &last, &p) && p.a == 1022 && p.b == 1023, "the last pair",
	      "%u %u", p.a, p.b);
	check(!mcs_choose(&all, t, never, NULL, &p), "no random number, no pair", "one came");
	s = set_of("s0:c1022,c1023");
	mcs_take(t, &s);
	check(mcs_choose(&all, t, always, &last, &p) && p.a == 0 && p.b == 1,
	      "behind the last comes the first", "%u %u", p.a, p.b);
	s = set_of("s0:c7");
	check(!mcs_choose(&s, t, always, &zero, &p), "one category is no pair", "%u %u", p.a, p.b);
	s = set_of("s0");
	check(!mcs_choose(&s, t, always, &zero, &p), "none is no pair", "%u %u", p.a, p.b);
	/* Who has three reaches all pairs of them. */
	mcs_take(t, &few);
	check(!mcs_choose(&few, t, always, &zero, &p), "a set takes all its pairs", "%u %u", p.a,
	      p.b);
	/* An administrator's process has all, and must not take all. */
	mcs_take(t, &all);
	check(mcs_choose(&all, t, always, &zero, &p), "a large set takes none", "nothing is left");
	memset(t->bits, 0xff, sizeof(t->bits));
	check(!mcs_choose(&all, t, always, &last, &p), "all 523,776 are taken", "%u %u", p.a, p.b);
	t->bits[0] &= ~UINT64_C(2);
	check(mcs_choose(&all, t, always, &last, &p) && p.a == 0 && p.b == 2, "but for one",
	      "%u %u", p.a, p.b);
	free(t);
	exhaust("s0:c1,c2", 1, 1);
	exhaust("s0:c0.c1", 1, 77);
	exhaust("s0:c10.c19", 45, 5);
	exhaust("s0:c0,c500,c501,c1023", 6, 9);
	exhaust("s0:c0.c99", 4950, 3);
}

/* What a caller with categories of its own may give of those that the policy has. */
static void test_limits(void)
{
	static const struct {
		const char *policy, *caller;
		size_t n;
	} cases[] = {
		{"s0:c0.c1023", "s0-s0:c0.c99", 100}, {"s0:c0.c99", "s0-s0:c0.c1023", 100},
		{"s0:c0.c99", "s0-s0:c90.c200", 10},  {"s0:c0.c99", "s0-s0:c100.c200", 0},
		{"s0:c0.c1023", "s0:c1,c1000", 2},    {"s0:c0.c1023", "s0", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mcs_set s = set_of(cases[i].policy), own = set_of(cases[i].caller);

		mcs_intersect(&s, &own);
		check(mcs_count(&s) == cases[i].n && mcs_includes(&own, &s),
		      "a caller with few categories", "%s: %zu", cases[i].caller, mcs_count(&s));
	}
}

static void test_spread(void)
{
	struct mcs_taken *t = calloc(1, sizeof(*t));
	struct mcs_set all = set_of("s0:c0.c1023");
	unsigned int seen[16] = {0}, least = UINT32_MAX;
	uint32_t state = 1;
	struct mcs_pair p;

	for (int i = 0; i < 16000; i++)
		if (mcs_choose(&all, t, counting, &state, &p))
			seen[p.a / 128]++, seen[8 + p.b / 128]++;
	/* Of two numbers the larger is seldom small: 1 of 64. */
	for (int i = 0; i < 16; i++)
		least = seen[i] < least ? seen[i] : least;
	check(least > 150 && least < 400, "categories are spread", "%u", least);
	free(t);
}

static const struct {
	const char *label, *level, *pair;
} texts[] = {
	{"u:r:t:s0", "s0", "u:r:t:s0:c3,c7"},
	{"u:r:t:s0:c1,c2", "s0:c1,c2", "u:r:t:s0:c3,c7"},
	{"u:r:t:s3-s15:c0.c9", "s3-s15:c0.c9", "u:r:t:s3:c3,c7"},
	{"u:r:t", NULL, NULL},
	{"u", NULL, NULL},
	{"", NULL, NULL},
};

static void test_texts(void)
{
	struct arena a = {0};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *level = seclabel_level(texts[i].label);
		const char *pair = seclabel_with_pair(texts[i].label, (struct mcs_pair){3, 7}, &a);

		check(!level == !texts[i].level && (!level || !strcmp(level, texts[i].level)),
		      "the level of a label", "%s: %s", texts[i].label, level ? level : "none");
		check(!pair == !texts[i].pair && (!pair || !strcmp(pair, texts[i].pair)),
		      "a label with a pair", "%s: %s", texts[i].label, pair ? pair : "none");
	}
	check(!strcmp(seclabel_with_level("u:r:t:s0:c1", NULL, &a), "u:r:t"), "without a level",
	      " ");
	check(!strcmp(seclabel_with_level("u:r:t", "s0:c1", &a), "u:r:t:s0:c1"), "with a level",
	      " ");
	arena_finish(&a);
}

int main(void)
{
	test_levels();
	test_choice();
	test_limits();
	test_spread();
	test_texts();
	test_labels();
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed != 0;
}
