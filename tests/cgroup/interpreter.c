/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of eBPF as a device program needs.  Written from the kernel's
 * Documentation/bpf/standardization, not from cgroup/device.c.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/cgroup/test.h"

static bool is_jump(const struct bpf_insn *i)
{
	int class = BPF_CLASS(i->code);

	return class == BPF_JMP || class == BPF_JMP32;
}

/* Where it may go from `at`: at most two places; -1 is nowhere. */
static bool successors(const struct bpf_insn *v, size_t n, size_t at, long next[2])
{
	const struct bpf_insn *i = &v[at];

	next[0] = (long)at + 1;
	next[1] = -1;
	if (is_jump(i) && BPF_OP(i->code) == BPF_EXIT)
		next[0] = -1;
	else if (is_jump(i) && BPF_OP(i->code) == BPF_JA)
		next[0] = (long)at + 1 + i->off;
	else if (is_jump(i))
		next[1] = (long)at + 1 + i->off;
	for (int k = 0; k < 2; k++)
		if (next[k] != -1 && (next[k] <= (long)at || next[k] >= (long)n))
			return false;
	return true;
}

bool verify(const struct bpf_insn *v, size_t n, const char **why)
{
	bool *reached = calloc(n + 1, sizeof(*reached)), ok = true;
	long next[2];

	*why = NULL;
	if (reached)
		reached[0] = true;
	for (size_t at = 0; reached && ok && at < n; at++) {
		if (!reached[at])
			*why = "unreachable instruction";
		else if (!successors(v, n, at, next))
			*why = "jump backwards, or out of the program";
		ok = !*why;
		for (int k = 0; ok && k < 2; k++)
			if (next[k] != -1)
				reached[next[k]] = true;
	}
	free(reached);
	return ok && n > 0;
}

struct machine {
	uint64_t r[11];
	bool set[11];
	const struct request *q;
	const char *why;
};

static uint64_t source(struct machine *m, const struct bpf_insn *i)
{
	if (BPF_SRC(i->code) == BPF_K)
		return (uint64_t)(int64_t)i->imm;
	if (!m->set[i->src_reg])
		m->why = "a register that was never set is read";
	return m->r[i->src_reg];
}

static void load(struct machine *m, const struct bpf_insn *i)
{
	uint32_t ctx[3] = {m->q->access << 16 | m->q->type, m->q->major, m->q->minor};

	if (i->code != (BPF_LDX | BPF_MEM | BPF_W) || i->src_reg != 1 || i->off % 4 || i->off < 0 ||
	    i->off >= 12)
		m->why = "a load that is not of the context";
	else
		m->r[i->dst_reg] = ctx[i->off / 4];
	m->set[i->dst_reg] = true;
}

static void compute(struct machine *m, const struct bpf_insn *i)
{
	bool wide = BPF_CLASS(i->code) == BPF_ALU64;
	uint64_t s = source(m, i), d = m->r[i->dst_reg];

	if (BPF_OP(i->code) != BPF_MOV && !m->set[i->dst_reg])
		m->why = "a register that was never set is changed";
	switch (BPF_OP(i->code)) {
	case BPF_MOV:
		d = s;
		break;
	case BPF_AND:
		d &= s;
		break;
	case BPF_RSH:
		d = (wide ? d : (uint32_t)d) >> (s & (wide ? 63 : 31));
		break;
	default:
		m->why = "unknown arithmetic";
	}
	m->r[i->dst_reg] = wide ? d : (uint32_t)d;
	m->set[i->dst_reg] = true;
}

static bool taken(struct machine *m, const struct bpf_insn *i)
{
	uint64_t d = m->r[i->dst_reg], s = source(m, i);

	if (!m->set[i->dst_reg])
		m->why = "a register that was never set is compared";
	if (BPF_CLASS(i->code) == BPF_JMP32) {
		d = (uint32_t)d;
		s = (uint32_t)s;
	}
	if (BPF_OP(i->code) == BPF_JNE)
		return d != s;
	if (BPF_OP(i->code) == BPF_JSET)
		return d & s;
	m->why = "unknown jump";
	return false;
}

int interpret(const struct bpf_insn *v, size_t n, const struct request *q, const char **why)
{
	struct machine m = {.q = q};

	m.set[1] = m.set[10] = true;
	for (size_t at = 0; at < n && !m.why;) {
		const struct bpf_insn *i = &v[at++];

		if (is_jump(i) && BPF_OP(i->code) == BPF_EXIT) {
			*why = m.set[0] && m.r[0] <= 1 ? NULL : "a result that is not 0 or 1";
			return *why ? -1 : (int)m.r[0];
		}
		if (is_jump(i))
			at += BPF_OP(i->code) == BPF_JA || taken(&m, i) ? (size_t)i->off : 0;
		else if (BPF_CLASS(i->code) == BPF_LDX)
			load(&m, i);
		else
			compute(&m, i);
	}
	*why = m.why ? m.why : "no exit";
	return -1;
}
