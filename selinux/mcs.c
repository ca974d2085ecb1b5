/* SPDX-License-Identifier: Apache-2.0 */
#include "selinux/mcs.h"

#include <string.h>

/* Of a set with more, see mcs_take(). */
enum { MOST_OF_A_CONTAINER = 16 };

void mcs_add(struct mcs_set *s, unsigned int category)
{
	s->bits[category / 64] |= UINT64_C(1) << category % 64;
}

bool mcs_has(const struct mcs_set *s, unsigned int category)
{
	return s->bits[category / 64] >> category % 64 & 1;
}

size_t mcs_count(const struct mcs_set *s)
{
	size_t n = 0;

	for (size_t i = 0; i < MCS_CATEGORIES / 64; i++)
		n += (size_t)__builtin_popcountll(s->bits[i]);
	return n;
}

bool mcs_includes(const struct mcs_set *s, const struct mcs_set *part)
{
	for (size_t i = 0; i < MCS_CATEGORIES / 64; i++)
		if (part->bits[i] & ~s->bits[i])
			return false;
	return true;
}

void mcs_intersect(struct mcs_set *s, const struct mcs_set *with)
{
	for (size_t i = 0; i < MCS_CATEGORIES / 64; i++)
		s->bits[i] &= with->bits[i];
}

/* "c12"; *s is behind it. */
static bool parse_category(const char **s, unsigned int *ret)
{
	unsigned int n = 0;
	const char *p = *s;

	if (*p++ != 'c' || *p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9' && n < MCS_CATEGORIES; p++)
		n = n * 10 + (unsigned int)(*p - '0');
	*s = p;
	*ret = n;
	return n < MCS_CATEGORIES;
}

/* "c1,c3.c5", up to the end or to a range's other end. */
static bool parse_categories(const char *s, struct mcs_set *ret)
{
	for (;; s++) {
		unsigned int first, last;

		if (!parse_category(&s, &first))
			return false;
		last = first;
		if (*s == '.' && (s++, !parse_category(&s, &last)))
			return false;
		for (; first <= last; first++)
			mcs_add(ret, first);
		if (*s != ',')
			return !*s;
	}
}

bool mcs_parse(const char *level, struct mcs_set *ret)
{
	const char *dash = strchr(level, '-'), *upper = dash ? dash + 1 : level;
	const char *colon = strchr(upper, ':');
	struct mcs_set s = {0};

	if (upper[0] != 's' || upper[1] < '0' || upper[1] > '9')
		return false;
	if (colon && !parse_categories(colon + 1, &s))
		return false;
	*ret = s;
	return true;
}

/* Pairs in the order (0,1) (0,2) (1,2) (0,3) ... */
static size_t index_of(struct mcs_pair p)
{
	return (size_t)p.b * (p.b - 1) / 2 + p.a;
}

bool mcs_is_taken(const struct mcs_taken *t, struct mcs_pair p)
{
	size_t i = index_of(p);

	return t->bits[i / 64] >> i % 64 & 1;
}

/* The categories as a list, in order; their number. */
static size_t list(const struct mcs_set *s, unsigned int *v, size_t most)
{
	size_t n = 0;

	for (unsigned int c = 0; c < MCS_CATEGORIES && n < most; c++)
		if (mcs_has(s, c))
			v[n++] = c;
	return n;
}

void mcs_take(struct mcs_taken *t, const struct mcs_set *s)
{
	unsigned int v[MOST_OF_A_CONTAINER + 1];
	size_t n = list(s, v, MOST_OF_A_CONTAINER + 1);

	if (n > MOST_OF_A_CONTAINER)
		return;
	for (size_t b = 1; b < n; b++)
		for (size_t a = 0; a < b; a++) {
			size_t i = index_of((struct mcs_pair){v[a], v[b]});

			t->bits[i / 64] |= UINT64_C(1) << i % 64;
		}
}

/* Below n, each equally likely. */
static bool below(uint32_t n, mcs_random_fn *random, void *arg, uint32_t *ret)
{
	uint32_t r, fair = UINT32_MAX - UINT32_MAX % n;

	do
		if (!random(arg, &r))
			return false;
	while (r >= fair);
	*ret = r % n;
	return true;
}

bool mcs_choose(const struct mcs_set *usable, const struct mcs_taken *t, mcs_random_fn *random,
		void *arg, struct mcs_pair *ret)
{
	unsigned int v[MCS_CATEGORIES];
	size_t n = list(usable, v, MCS_CATEGORIES), pairs = n < 2 ? 0 : n * (n - 1) / 2;
	size_t a, b = 1;
	uint32_t start;

	if (!pairs || !below((uint32_t)pairs, random, arg, &start))
		return false;
	while ((b + 1) * b / 2 <= start)
		b++;
	a = start - b * (b - 1) / 2;
	for (size_t i = 0; i < pairs; i++) {
		struct mcs_pair p = {v[a], v[b]};

		if (!mcs_is_taken(t, p)) {
			*ret = p;
			return true;
		}
		if (++a == b) {
			a = 0;
			b = b + 1 == n ? 1 : b + 1;
		}
	}
	return false;
}
