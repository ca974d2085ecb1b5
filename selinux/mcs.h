/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Categories of MCS: which two a container gets.  Pure: nothing here touches the
 * kernel or a file.
 *
 * Two containers are kept apart when neither has all categories of the other, so
 * each gets two that no other has together.  Names are the conventional ones, c0 to
 * c1023; what a policy calls otherwise is not seen.
 */
#ifndef BRYO_SELINUX_MCS_H
#define BRYO_SELINUX_MCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MCS_CATEGORIES = 1024, MCS_PAIRS = MCS_CATEGORIES * (MCS_CATEGORIES - 1) / 2 };

/* A set of categories. */
struct mcs_set {
	uint64_t bits[MCS_CATEGORIES / 64];
};

/* a < b */
struct mcs_pair {
	unsigned int a, b;
};

/* Which pairs are taken. */
struct mcs_taken {
	uint64_t bits[(MCS_PAIRS + 63) / 64];
};

void mcs_add(struct mcs_set *s, unsigned int category);
bool mcs_has(const struct mcs_set *s, unsigned int category);
size_t mcs_count(const struct mcs_set *s);
bool mcs_includes(const struct mcs_set *s, const struct mcs_set *part);

/* Only those that are in the other, too. */
void mcs_intersect(struct mcs_set *s, const struct mcs_set *with);

/*
 * The categories of a level or a range of levels, "s0:c1,c3.c5-s0:c0.c9": those of its
 * upper end.  False: not such a text.
 */
bool mcs_parse(const char *level, struct mcs_set *ret);

/*
 * Who has these categories reaches what has a pair of them: so all their pairs are
 * taken.  Not those of larger sets, which are administrators' and would take all.
 */
void mcs_take(struct mcs_taken *t, const struct mcs_set *s);
bool mcs_is_taken(const struct mcs_taken *t, struct mcs_pair p);

/* A number; false when there is none to be had. */
typedef bool mcs_random_fn(void *arg, uint32_t *ret);

/*
 * Any pair of `usable` that is not taken; from a random one on, so that it ends.
 * False: none is left, or there is no random number.
 */
bool mcs_choose(const struct mcs_set *usable, const struct mcs_taken *t, mcs_random_fn *random,
		void *arg, struct mcs_pair *ret);

#endif
