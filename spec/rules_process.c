/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about CPUs, memory nodes and scheduling that the tables cannot say. */
#include <ctype.h>
#include <errno.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>

#include "spec/fields.h"
#include "spec/findings.h"
#include "spec/spec.h"

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " ");
}

/* A number below `bits`; the text behind it, or NULL. */
static const char *list_number(const char *s, size_t bits, size_t *ret)
{
	char *end;

	s = skip_blanks(s);
	if (!isdigit((unsigned char)*s))
		return NULL;
	errno = 0;
	*ret = strtoul(s, &end, 10);
	return errno || *ret >= bits ? NULL : skip_blanks(end);
}

int spec_list_parse(const char *s, struct spec_set *ret)
{
	*ret = (struct spec_set){.n = 0};
	for (;; s++) {
		size_t first = 0, last;

		s = list_number(s, SPEC_SET_BITS, &first);
		last = first;
		if (s && *s == '-')
			s = list_number(s + 1, SPEC_SET_BITS, &last);
		if (!s || last < first || (*s && *s != ','))
			return -1;
		for (size_t i = first; i <= last; i++)
			ret->bits[i / SPEC_WORD_BITS] |= 1UL << i % SPEC_WORD_BITS;
		if (last >= ret->n)
			ret->n = last + 1;
		if (!*s)
			return 0;
	}
}

static void check_list(const char *s, const char *ptr, struct findings *f)
{
	struct spec_set set;

	if (s && spec_list_parse(s, &set) < 0)
		finding(f, ptr, "\"%.64s\" is not a list like 0-3,7", s);
}

static void check_initial(void *obj, uint64_t present, struct findings *f)
{
	(void)present;
	check_list(((const struct spec_affinity *)obj)->initial, "/initial", f);
}

static void check_final(void *obj, uint64_t present, struct findings *f)
{
	(void)present;
	check_list(((const struct spec_affinity *)obj)->final, "/final", f);
}

/* In process.json they are looked at, too: exec(1) uses them. */
const struct rule rules_affinity[] = {{check_initial, "initial"}, {check_final, "final"}, {0}};

static bool is_realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

/* The kernel would say EINVAL for all of it, or ignore it. */
static void check_policy(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_scheduler *s = obj;

	(void)present;
	if (s->flags & (SCHED_FLAG_KEEP_POLICY | SCHED_FLAG_KEEP_PARAMS))
		return;
	if (is_realtime(s->policy) && !s->priority)
		finding(f, "/priority", "a real-time policy needs one in 1..99");
	if (!is_realtime(s->policy) && s->priority)
		finding(f, "/priority", "is for SCHED_FIFO and SCHED_RR");
	if (s->policy != SCHED_DEADLINE && (s->runtime || s->deadline || s->period))
		finding(f,
			s->runtime    ? "/runtime"
			: s->deadline ? "/deadline"
				      : "/period",
			"is for SCHED_DEADLINE");
}

const struct rule rules_scheduler[] = {
	{check_policy, "policy priority flags runtime deadline period"}, {0}};

static void check_flags(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_personality *p = obj;

	(void)present;
	if (p->flags.n)
		finding(f, "/flags/0", "unknown value \"%.64s\": there are none yet",
			p->flags.v[0]);
}

const struct rule rules_personality[] = {{check_flags, "flags"}, {0}};

static bool needs_nodes(int mode)
{
	return mode != MPOL_DEFAULT && mode != MPOL_LOCAL && mode != MPOL_PREFERRED;
}

static void check_nodes(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_mempolicy *m = obj;

	(void)present;
	if (needs_nodes(m->mode) && !m->nodes)
		finding(f, "/nodes", "required by the mode, and missing");
	else if ((m->mode == MPOL_DEFAULT || m->mode == MPOL_LOCAL) && m->nodes)
		finding(f, "/nodes", "the mode has none");
	else
		check_list(m->nodes, "/nodes", f);
}

static void check_policy_flags(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_mempolicy *m = obj;
	const uint64_t both = SPEC_MPOL_STATIC | SPEC_MPOL_RELATIVE;

	(void)present;
	if ((m->flags & both) == both)
		finding(f, "/flags",
			"MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other");
}

const struct rule rules_mempolicy[] = {
	{check_nodes, "mode nodes"}, {check_policy_flags, "flags"}, {0}};
