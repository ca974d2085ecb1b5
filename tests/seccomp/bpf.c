/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/seccomp/bpf.h"

#include <stdbool.h>
#include <string.h>

struct machine {
	uint32_t a, x, mem[BPF_MEMWORDS];
	bool written[BPF_MEMWORDS];
	const struct seccomp_data *data;
};

static const uint16_t codes[] = {
	BPF_LD | BPF_W | BPF_ABS,
	BPF_LD | BPF_W | BPF_LEN,
	BPF_LDX | BPF_W | BPF_LEN,
	BPF_LD | BPF_IMM,
	BPF_LDX | BPF_IMM,
	BPF_LD | BPF_MEM,
	BPF_LDX | BPF_MEM,
	BPF_ST,
	BPF_STX,
	BPF_RET | BPF_K,
	BPF_RET | BPF_A,
	BPF_MISC | BPF_TAX,
	BPF_MISC | BPF_TXA,
	BPF_ALU | BPF_NEG,
	BPF_ALU | BPF_ADD | BPF_K,
	BPF_ALU | BPF_ADD | BPF_X,
	BPF_ALU | BPF_SUB | BPF_K,
	BPF_ALU | BPF_SUB | BPF_X,
	BPF_ALU | BPF_MUL | BPF_K,
	BPF_ALU | BPF_MUL | BPF_X,
	BPF_ALU | BPF_DIV | BPF_K,
	BPF_ALU | BPF_DIV | BPF_X,
	BPF_ALU | BPF_AND | BPF_K,
	BPF_ALU | BPF_AND | BPF_X,
	BPF_ALU | BPF_OR | BPF_K,
	BPF_ALU | BPF_OR | BPF_X,
	BPF_ALU | BPF_XOR | BPF_K,
	BPF_ALU | BPF_XOR | BPF_X,
	BPF_ALU | BPF_LSH | BPF_K,
	BPF_ALU | BPF_LSH | BPF_X,
	BPF_ALU | BPF_RSH | BPF_K,
	BPF_ALU | BPF_RSH | BPF_X,
	BPF_JMP | BPF_JA,
	BPF_JMP | BPF_JEQ | BPF_K,
	BPF_JMP | BPF_JEQ | BPF_X,
	BPF_JMP | BPF_JGE | BPF_K,
	BPF_JMP | BPF_JGE | BPF_X,
	BPF_JMP | BPF_JGT | BPF_K,
	BPF_JMP | BPF_JGT | BPF_X,
	BPF_JMP | BPF_JSET | BPF_K,
	BPF_JMP | BPF_JSET | BPF_X,
};

static bool known(uint16_t code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		if (codes[i] == code)
			return true;
	}
	return false;
}

static const char *check_jump(const struct sock_filter *f, size_t left)
{
	if (BPF_OP(f->code) == BPF_JA)
		return f->k < left ? NULL : "jump out of the program";
	return f->jt < left && f->jf < left ? NULL : "branch out of the program";
}

static const char *check_alu(const struct sock_filter *f)
{
	if (BPF_SRC(f->code) != BPF_K)
		return NULL;
	if (BPF_OP(f->code) == BPF_DIV && !f->k)
		return "division by 0";
	if ((BPF_OP(f->code) == BPF_LSH || BPF_OP(f->code) == BPF_RSH) && f->k >= 32)
		return "shift by 32 or more";
	return NULL;
}

static const char *check_memory(const struct sock_filter *f)
{
	int class = BPF_CLASS(f->code);
	bool load = class == BPF_LD || class == BPF_LDX;

	if (class == BPF_ST || class == BPF_STX || (load && BPF_MODE(f->code) == BPF_MEM))
		return f->k < BPF_MEMWORDS ? NULL : "no such memory word";
	if (load && BPF_MODE(f->code) == BPF_ABS)
		return f->k < sizeof(struct seccomp_data) && !(f->k & 3) ? NULL : "bad offset";
	return NULL;
}

const char *bpf_check(const struct sock_filter *insns, size_t n)
{
	if (!n || n > BPF_MAXINSNS)
		return "bad length";
	for (size_t i = 0; i < n; i++) {
		const char *why = NULL;

		if (!known(insns[i].code))
			return "unknown instruction";
		if (BPF_CLASS(insns[i].code) == BPF_JMP)
			why = check_jump(&insns[i], n - i - 1);
		else if (BPF_CLASS(insns[i].code) == BPF_ALU)
			why = check_alu(&insns[i]);
		else
			why = check_memory(&insns[i]);
		if (why)
			return why;
	}
	return BPF_CLASS(insns[n - 1].code) == BPF_RET ? NULL : "does not end in a return";
}

static const char *load(struct machine *m, const struct sock_filter *f)
{
	uint32_t *to = BPF_CLASS(f->code) == BPF_LDX ? &m->x : &m->a;

	switch (BPF_MODE(f->code)) {
	case BPF_IMM:
		*to = f->k;
		return NULL;
	case BPF_LEN:
		*to = sizeof(*m->data);
		return NULL;
	case BPF_MEM:
		if (f->k >= BPF_MEMWORDS || !m->written[f->k])
			return "reads memory never written";
		*to = m->mem[f->k];
		return NULL;
	default:
		if (f->k > sizeof(*m->data) - sizeof(*to))
			return "reads behind the data";
		memcpy(to, (const char *)m->data + f->k, sizeof(*to));
		return NULL;
	}
}

static const char *store(struct machine *m, const struct sock_filter *f)
{
	if (f->k >= BPF_MEMWORDS)
		return "writes behind the memory";
	m->mem[f->k] = BPF_CLASS(f->code) == BPF_STX ? m->x : m->a;
	m->written[f->k] = true;
	return NULL;
}

/* False: a division by zero, which makes the whole program return 0. */
static bool compute(struct machine *m, const struct sock_filter *f)
{
	uint32_t v = BPF_SRC(f->code) == BPF_X ? m->x : f->k;

	switch (BPF_OP(f->code)) {
	case BPF_ADD:
		m->a += v;
		break;
	case BPF_SUB:
		m->a -= v;
		break;
	case BPF_MUL:
		m->a *= v;
		break;
	case BPF_DIV:
		if (!v)
			return false;
		m->a /= v;
		break;
	case BPF_AND:
		m->a &= v;
		break;
	case BPF_OR:
		m->a |= v;
		break;
	case BPF_XOR:
		m->a ^= v;
		break;
	case BPF_LSH:
		m->a <<= v & 31;
		break;
	case BPF_RSH:
		m->a >>= v & 31;
		break;
	default:
		m->a = -m->a;
		break;
	}
	return true;
}

static size_t jump(const struct machine *m, const struct sock_filter *f)
{
	uint32_t v = BPF_SRC(f->code) == BPF_X ? m->x : f->k;
	bool taken;

	switch (BPF_OP(f->code)) {
	case BPF_JA:
		return f->k;
	case BPF_JEQ:
		taken = m->a == v;
		break;
	case BPF_JGE:
		taken = m->a >= v;
		break;
	case BPF_JGT:
		taken = m->a > v;
		break;
	default:
		taken = m->a & v;
		break;
	}
	return taken ? f->jt : f->jf;
}

static void move(struct machine *m, const struct sock_filter *f)
{
	if (BPF_MISCOP(f->code) == BPF_TAX)
		m->x = m->a;
	else
		m->a = m->x;
}

const char *bpf_run(const struct sock_filter *insns, size_t n, const struct seccomp_data *data,
		    uint32_t *ret_action)
{
	struct machine m = {.data = data};
	const char *why = NULL;

	for (size_t pc = 0; pc < n && !why; pc++) {
		const struct sock_filter *f = &insns[pc];

		switch (BPF_CLASS(f->code)) {
		case BPF_LD:
		case BPF_LDX:
			why = load(&m, f);
			break;
		case BPF_ST:
		case BPF_STX:
			why = store(&m, f);
			break;
		case BPF_ALU:
			if (!compute(&m, f)) {
				*ret_action = 0;
				return NULL;
			}
			break;
		case BPF_JMP:
			pc += jump(&m, f);
			break;
		case BPF_MISC:
			move(&m, f);
			break;
		default:
			*ret_action = BPF_RVAL(f->code) == BPF_A ? m.a : f->k;
			return NULL;
		}
	}
	return why ? why : "ran off the end";
}
