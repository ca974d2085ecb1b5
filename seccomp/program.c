/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp/program.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

/*
 * A conditional jump reaches 255 instructions.  Inside a rule the distance 255
 * stands for "to the next rule" until the end of the rule is known; six
 * conditions of at most six instructions never come near it.
 */
enum { NEXT = 255, REACH = 255 };

#define X32_BIT 0x40000000U /* __X32_SYSCALL_BIT, which only x86 headers have */

/* A run of numbers, up to the next span, that share a verdict or a chain of rules. */
struct span {
	uint32_t from, action;
	const struct rule *chain; /* NULL: just the action */
	size_t n_chain;
};

struct spans {
	struct span *v;
	size_t n, cap;
};

/* What one architecture's code is made from. */
struct target {
	const struct spans *spans;
	uint32_t fallback;
	bool wide; /* arguments are 64-bit registers */
};

bool program_stricter(uint32_t a, uint32_t b)
{
	/* As in seccomp_run_filters(): signed, so that KILL_PROCESS is the lowest. */
	return (int32_t)(a & SECCOMP_RET_ACTION_FULL) < (int32_t)(b & SECCOMP_RET_ACTION_FULL);
}

static void put(struct program *p, unsigned int code, uint32_t k, size_t jt, size_t jf)
{
	if (p->n == p->max) {
		p->full = true;
		return;
	}
	p->insns[p->n++] = (struct sock_filter){
		.code = (uint16_t)code, .jt = (uint8_t)jt, .jf = (uint8_t)jf, .k = k};
}

static void put_load(struct program *p, size_t offset)
{
	put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void put_jump(struct program *p, unsigned int op, uint32_t k, size_t jt, size_t jf)
{
	put(p, BPF_JMP | op | BPF_K, k, jt, jf);
}

static void put_ret(struct program *p, uint32_t action)
{
	put(p, BPF_RET | BPF_K, action, 0, 0);
}

/*
 * Everything from at + 1 on has just been written for the one way out of the
 * jump at `at`; make its other way out go behind that.  The code moves as a
 * whole, and jumps are relative, so a long jump can still be squeezed in.
 */
static void put_around(struct program *p, size_t at, bool when_true)
{
	size_t len = p->n - at - 1;
	struct sock_filter *jump = &p->insns[at];

	if (p->full)
		return;
	if (len > REACH) {
		put(p, 0, 0, 0, 0);
		if (p->full)
			return;
		memmove(jump + 2, jump + 1, len * sizeof(*jump));
		jump[1] = (struct sock_filter){.code = BPF_JMP | BPF_JA, .k = (uint32_t)len};
		jump->jt = when_true ? 0 : 1;
		jump->jf = when_true ? 1 : 0;
	} else {
		jump->jt = when_true ? (uint8_t)len : 0;
		jump->jf = when_true ? 0 : (uint8_t)len;
	}
}

/* ---- conditions ---- */

static uint32_t high(uint64_t v)
{
	return (uint32_t)(v >> 32);
}

static void put_load_low(struct program *p, uint32_t index)
{
	put_load(p, offsetof(struct seccomp_data, args) + index * sizeof(uint64_t) +
			    (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0));
}

static void put_load_high(struct program *p, uint32_t index)
{
	put_load(p, offsetof(struct seccomp_data, args) + index * sizeof(uint64_t) +
			    (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 0 : 4));
}

/*
 * Each of these writes the test of one condition: fall through when it holds,
 * NEXT when it does not.  False: it cannot hold.  Where registers have 32 bits
 * the upper word is taken to be 0 and its test is done here and now.
 */

static bool put_equal(struct program *p, uint32_t index, uint64_t v, bool wide)
{
	if (!wide && high(v))
		return false;
	if (wide) {
		put_load_high(p, index);
		put_jump(p, BPF_JEQ, high(v), 0, NEXT);
	}
	put_load_low(p, index);
	put_jump(p, BPF_JEQ, (uint32_t)v, 0, NEXT);
	return true;
}

static bool put_unequal(struct program *p, uint32_t index, uint64_t v, bool wide)
{
	if (!wide && high(v))
		return true;
	if (wide) {
		put_load_high(p, index);
		put_jump(p, BPF_JEQ, high(v), 0, 2);
	}
	put_load_low(p, index);
	put_jump(p, BPF_JEQ, (uint32_t)v, NEXT, 0);
	return true;
}

/* arg > v, arg >= v; low_op is JGT or JGE */
static bool put_above(struct program *p, uint32_t index, uint64_t v, bool wide, unsigned int low_op)
{
	if (!wide && high(v))
		return false;
	if (wide) {
		put_load_high(p, index);
		put_jump(p, BPF_JGT, high(v), 3, 0);
		put_jump(p, BPF_JEQ, high(v), 0, NEXT);
	}
	put_load_low(p, index);
	put_jump(p, low_op, (uint32_t)v, 0, NEXT);
	return true;
}

/* arg < v, arg <= v; low_op is the opposite, JGE or JGT */
static bool put_below(struct program *p, uint32_t index, uint64_t v, bool wide, unsigned int low_op)
{
	if (!wide && high(v))
		return true;
	if (wide) {
		put_load_high(p, index);
		put_jump(p, BPF_JGT, high(v), NEXT, 0);
		put_jump(p, BPF_JEQ, high(v), 0, 2);
	}
	put_load_low(p, index);
	put_jump(p, low_op, (uint32_t)v, NEXT, 0);
	return true;
}

static void put_masked_word(struct program *p, uint32_t mask, uint32_t v)
{
	if (mask != UINT32_MAX)
		put(p, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
	put_jump(p, BPF_JEQ, v, 0, NEXT);
}

static bool put_masked(struct program *p, uint32_t index, uint64_t mask, uint64_t v, bool wide)
{
	/* Bits of v outside the mask do not count: libseccomp drops them as well. */
	v &= mask;
	if (!wide && high(v))
		return false;
	if (wide && high(mask)) {
		put_load_high(p, index);
		put_masked_word(p, high(mask), high(v));
	}
	if ((uint32_t)mask) {
		put_load_low(p, index);
		put_masked_word(p, (uint32_t)mask, (uint32_t)v);
	}
	return true;
}

/* A negative number as a 32-bit program passes it. */
static uint64_t narrowed(uint64_t v, bool wide)
{
	if (!wide && high(v) == UINT32_MAX && (v & 0x80000000U))
		return (uint32_t)v;
	return v;
}

static bool put_condition(struct program *p, const struct spec_arg *c, bool wide)
{
	switch (c->op) {
	case SCMP_CMP_EQ:
		return put_equal(p, c->index, narrowed(c->value, wide), wide);
	case SCMP_CMP_NE:
		return put_unequal(p, c->index, narrowed(c->value, wide), wide);
	case SCMP_CMP_GT:
		return put_above(p, c->index, c->value, wide, BPF_JGT);
	case SCMP_CMP_GE:
		return put_above(p, c->index, c->value, wide, BPF_JGE);
	case SCMP_CMP_LT:
		return put_below(p, c->index, c->value, wide, BPF_JGE);
	case SCMP_CMP_LE:
		return put_below(p, c->index, c->value, wide, BPF_JGT);
	default:
		return put_masked(p, c->index, c->value, narrowed(c->valueTwo, wide), wide);
	}
}

/* ---- rules ---- */

static void resolve_next(struct program *p, size_t start)
{
	for (size_t i = start; i < p->n; i++) {
		struct sock_filter *insn = &p->insns[i];

		if (BPF_CLASS(insn->code) != BPF_JMP)
			continue;
		if (insn->jt == NEXT)
			insn->jt = (uint8_t)(p->n - i - 1);
		if (insn->jf == NEXT)
			insn->jf = (uint8_t)(p->n - i - 1);
	}
}

/* True: the rule always matches, so nothing behind it is ever reached. */
static bool put_rule(struct program *p, const struct rule *r, bool wide)
{
	size_t start = p->n;

	for (size_t i = 0; i < r->n_args; i++) {
		if (!put_condition(p, &r->args[i], wide)) {
			p->n = start;
			return false;
		}
	}
	put_ret(p, r->action);
	resolve_next(p, start);
	return p->n == start + 1;
}

static void put_span(struct program *p, const struct target *t, const struct span *s)
{
	/* A chain is sorted, the strictest first: the first match decides. */
	for (size_t i = 0; i < s->n_chain && !p->full; i++) {
		if (put_rule(p, &s->chain[i], t->wide))
			return;
	}
	put_ret(p, s->chain ? t->fallback : s->action);
}

/* A binary search over the spans [first, first + n). */
static void put_tree(struct program *p, const struct target *t, size_t first, size_t n)
{
	size_t at = p->n, half = n / 2;

	if (p->full)
		return;
	if (n == 1) {
		put_span(p, t, &t->spans->v[first]);
		return;
	}
	put_jump(p, BPF_JGE, t->spans->v[first + half].from, 0, 0);
	put_tree(p, t, first, half);
	put_around(p, at, true);
	put_tree(p, t, first + half, n - half);
}

/* ---- architectures ---- */

/*
 * A radix sort by number, which keeps the order of the configuration: three
 * times as fast as qsort(3), and this was the larger part of compiling.
 */
static int sort_by_number(struct rules *rules, struct arena *a)
{
	struct rule *from = rules->v, *to = arena_array(a, rules->n, sizeof(*to));

	if (!to)
		return -1;
	for (int shift = 0; shift < 32; shift += 8) {
		size_t start[257] = {0};
		struct rule *swap = from;

		for (size_t i = 0; i < rules->n; i++)
			start[(from[i].nr >> shift & 0xff) + 1]++;
		if (start[(from[0].nr >> shift & 0xff) + 1] == rules->n)
			continue;
		for (int i = 0; i < 256; i++)
			start[i + 1] += start[i];
		for (size_t i = 0; i < rules->n; i++)
			to[start[from[i].nr >> shift & 0xff]++] = from[i];
		from = to;
		to = swap;
	}
	rules->v = from;
	return 0;
}

static int compare_strictness(const void *va, const void *vb)
{
	const struct rule *a = va, *b = vb;

	if (program_stricter(a->action, b->action))
		return -1;
	if (program_stricter(b->action, a->action))
		return 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* The rules for one number, in order: drop what does not count; the new length. */
static size_t settle_number(struct program *p, struct rule *v, size_t n)
{
	const struct rule *always = NULL;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (!v[i].n_args && always) {
			p->shadowed |= program_stricter(v[i].action, always->action);
			continue;
		}
		v[kept] = v[i];
		if (!v[kept].n_args)
			always = &v[kept];
		kept++;
	}
	if (kept > 1)
		qsort(v, kept, sizeof(*v), compare_strictness);
	return kept;
}

/* Sort by number, then the strictest first. */
static int settle(struct program *p, struct rules *rules, struct arena *a)
{
	size_t kept = 0, n, k;

	if (rules->n && sort_by_number(rules, a))
		return -1;
	for (size_t i = 0; i < rules->n; i += n) {
		for (n = 1; i + n < rules->n && rules->v[i + n].nr == rules->v[i].nr; n++)
			;
		k = settle_number(p, &rules->v[i], n);
		if (kept < i)
			memmove(&rules->v[kept], &rules->v[i], k * sizeof(*rules->v));
		kept += k;
	}
	rules->n = kept;
	return 0;
}

static int add_span(struct spans *spans, struct span s, struct arena *a)
{
	const struct span *last = spans->n ? &spans->v[spans->n - 1] : NULL;
	struct span *next;

	if (last && !last->chain && !s.chain && last->action == s.action)
		return 0;
	next = arena_push(a, &spans->v, &spans->n, &spans->cap, sizeof(s));
	if (!next)
		return -1;
	*next = s;
	return 0;
}

/* Cut the numbers from `from` on into spans; the rules are settled. */
static int find_spans(struct spans *spans, const struct rules *rules, uint32_t from,
		      uint32_t fallback, struct arena *a)
{
	size_t i = 0, n;

	for (; i < rules->n; i += n) {
		const struct rule *r = &rules->v[i];
		struct span s = {.from = r->nr, .action = r->action};

		for (n = 1; i + n < rules->n && rules->v[i + n].nr == r->nr; n++)
			;
		if (r->n_args) {
			s.chain = r;
			s.n_chain = n;
		}
		if (r->nr > from &&
		    add_span(spans, (struct span){.from = from, .action = fallback}, a))
			return -1;
		if (add_span(spans, s, a))
			return -1;
		from = r->nr + 1;
	}
	return add_span(spans, (struct span){.from = from, .action = fallback}, a);
}

/* The code for one architecture; the number is in the accumulator. */
static int put_abi(struct program *p, struct abi *abi, uint32_t fallback, struct arena *a)
{
	struct spans spans = {0};
	struct target t = {.spans = &spans, .fallback = fallback};

	t.wide = (abi->token & __AUDIT_ARCH_64BIT) &&
		 !(abi->token & __AUDIT_ARCH_CONVENTION_MIPS64_N32);
	if (settle(p, &abi->rules, a) ||
	    find_spans(&spans, &abi->rules, abi->token == SCMP_ARCH_X32 ? X32_BIT : 0, fallback, a))
		return -1;
	put_tree(p, &t, 0, spans.n);
	return 0;
}

/*
 * x32 calls come with the architecture of x86_64 and a bit in the number.  -1
 * has the bit too, but is no x32 call: it is what a tracer leaves behind that
 * wants a call skipped, so it gets the default action, not the aliens' one.
 */
static int put_x86_64(struct program *p, struct abi *x64, struct abi *x32, uint32_t fallback,
		      uint32_t alien, struct arena *a)
{
	size_t at = p->n;

	put_jump(p, BPF_JGE, X32_BIT, 0, 0);
	if (!x64)
		put_ret(p, alien);
	else if (put_abi(p, x64, fallback, a))
		return -1;
	put_around(p, at, true);
	if (x32)
		return put_abi(p, x32, fallback, a);
	put_jump(p, BPF_JEQ, UINT32_MAX, 0, 1);
	put_ret(p, fallback);
	put_ret(p, alien);
	return 0;
}

static struct abi *find_abi(struct abi *abis, size_t n, uint32_t token)
{
	for (size_t i = 0; i < n; i++) {
		if (abis[i].token == token)
			return &abis[i];
	}
	return NULL;
}

int program_write(struct program *p, struct abi *abis, size_t n_abis, uint32_t fallback,
		  uint32_t alien, struct arena *a)
{
	struct abi *x64 = find_abi(abis, n_abis, SCMP_ARCH_X86_64);
	struct abi *x32 = find_abi(abis, n_abis, SCMP_ARCH_X32);

	put_load(p, offsetof(struct seccomp_data, arch));
	for (size_t i = 0; i < n_abis && !p->full; i++) {
		bool x86 = &abis[i] == x64 || &abis[i] == x32;
		size_t at = p->n;
		int r;

		if (&abis[i] == x32 && x64)
			continue;
		put_jump(p, BPF_JEQ, x86 ? AUDIT_ARCH_X86_64 : abis[i].token, 0, 0);
		put_load(p, offsetof(struct seccomp_data, nr));
		r = x86 ? put_x86_64(p, x64, x32, fallback, alien, a)
			: put_abi(p, &abis[i], fallback, a);
		if (r)
			return -1;
		put_around(p, at, false);
	}
	put_ret(p, alien);
	return 0;
}
