/* SPDX-License-Identifier: Apache-2.0 */
/* Entries to eBPF; see device.h. */
#include "cgroup/device.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { TYPE_ANY = 0, ALL_RIGHTS = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE };

/* The kernel's BPF_COMPLEXITY_LIMIT is far above; each entry is at most 7. */
enum { MAX_RULES = 20000, INSNS_PER_RULE = 7, INSNS_AROUND = 12 };

struct rule {
	bool allow;
	int type;             /* BPF_DEVCG_DEV_*, or TYPE_ANY */
	int64_t major, minor; /* -1: any */
	int rights;
};

/*
 * Every node may be made, since to make one is not to use it, and the devices of
 * config-linux.md's list, /dev/console, /dev/ptmx and /dev/pts used.
 */
static const struct rule defaults[] = {
	{true, BPF_DEVCG_DEV_CHAR, -1, -1, BPF_DEVCG_ACC_MKNOD},
	{true, BPF_DEVCG_DEV_BLOCK, -1, -1, BPF_DEVCG_ACC_MKNOD},
	{true, BPF_DEVCG_DEV_CHAR, 1, 3, ALL_RIGHTS},    /* null */
	{true, BPF_DEVCG_DEV_CHAR, 1, 5, ALL_RIGHTS},    /* zero */
	{true, BPF_DEVCG_DEV_CHAR, 1, 7, ALL_RIGHTS},    /* full */
	{true, BPF_DEVCG_DEV_CHAR, 1, 8, ALL_RIGHTS},    /* random */
	{true, BPF_DEVCG_DEV_CHAR, 1, 9, ALL_RIGHTS},    /* urandom */
	{true, BPF_DEVCG_DEV_CHAR, 5, 0, ALL_RIGHTS},    /* tty */
	{true, BPF_DEVCG_DEV_CHAR, 5, 1, ALL_RIGHTS},    /* console */
	{true, BPF_DEVCG_DEV_CHAR, 5, 2, ALL_RIGHTS},    /* ptmx */
	{true, BPF_DEVCG_DEV_CHAR, 136, -1, ALL_RIGHTS}, /* pts */
};

enum { N_DEFAULTS = sizeof(defaults) / sizeof(defaults[0]) };

/* An absent list of rights is all of them: a deny then denies what it can. */
static int rights_of(const char *access)
{
	int rights = 0;

	if (!access)
		return ALL_RIGHTS;
	for (; *access; access++)
		rights |= *access == 'r'   ? BPF_DEVCG_ACC_READ
			  : *access == 'w' ? BPF_DEVCG_ACC_WRITE
					   : BPF_DEVCG_ACC_MKNOD;
	return rights;
}

static struct rule rule_of(const struct spec_devrule *r)
{
	return (struct rule){
		.allow = r->allow,
		.type = !r->type || r->type[0] == 'a' ? TYPE_ANY
			: r->type[0] == 'b'           ? BPF_DEVCG_DEV_BLOCK
						      : BPF_DEVCG_DEV_CHAR,
		.major = r->major.set ? r->major.v : -1,
		.minor = r->minor.set ? r->minor.v : -1,
		.rights = rights_of(r->access),
	};
}

/* ---- instructions ---- */

/* r2: the type; r3: the rights not decided yet; r4, r5: major and minor. */
enum { R_TYPE = 2, R_RIGHTS = 3, R_MAJOR = 4, R_MINOR = 5 };

static void emit(struct device_program *p, int code, int dst, int src, int off, int32_t imm)
{
	p->v[p->n++] = (struct bpf_insn){
		.code = (unsigned char)code,
		.dst_reg = (unsigned char)(dst & 15),
		.src_reg = (unsigned char)(src & 15),
		.off = (short)off,
		.imm = imm,
	};
}

static void emit_load(struct device_program *p, int reg, size_t offset)
{
	emit(p, BPF_LDX | BPF_MEM | BPF_W, reg, BPF_REG_1, (int)offset, 0);
}

static void emit_return(struct device_program *p, bool allow)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allow);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void emit_begin(struct device_program *p)
{
	emit_load(p, R_TYPE, offsetof(struct bpf_cgroup_dev_ctx, access_type));
	emit(p, BPF_ALU | BPF_MOV | BPF_X, R_RIGHTS, R_TYPE, 0, 0);
	emit(p, BPF_ALU | BPF_AND | BPF_K, R_TYPE, 0, 0, 0xffff);
	emit(p, BPF_ALU | BPF_RSH | BPF_K, R_RIGHTS, 0, 0, 16);
	/* access(2) with F_OK asks for no right, and is told no more than stat(2) is. */
	emit(p, BPF_JMP | BPF_JNE | BPF_K, R_RIGHTS, 0, 2, 0);
	emit_return(p, true);
	emit_load(p, R_MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
	emit_load(p, R_MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
}

/* Does it decide every right of every device, so that nothing before it counts? */
static bool is_last_word(const struct rule *r)
{
	return r->type == TYPE_ANY && r->major < 0 && r->minor < 0 && r->rights == ALL_RIGHTS;
}

/* Jumps to the next rule are filled in when its place is known. */
static void emit_rule(struct device_program *p, const struct rule *r)
{
	size_t first = p->n;

	/* 32-bit comparisons: an immediate would be sign-extended to 64. */
	if (r->type != TYPE_ANY)
		emit(p, BPF_JMP32 | BPF_JNE | BPF_K, R_TYPE, 0, 0, r->type);
	if (r->major >= 0)
		emit(p, BPF_JMP32 | BPF_JNE | BPF_K, R_MAJOR, 0, 0, (int32_t)(uint32_t)r->major);
	if (r->minor >= 0)
		emit(p, BPF_JMP32 | BPF_JNE | BPF_K, R_MINOR, 0, 0, (int32_t)(uint32_t)r->minor);
	if (r->rights != ALL_RIGHTS && r->allow) {
		emit(p, BPF_ALU | BPF_AND | BPF_K, R_RIGHTS, 0, 0, ALL_RIGHTS & ~r->rights);
		emit(p, BPF_JMP32 | BPF_JNE | BPF_K, R_RIGHTS, 0, 0, 0);
	} else if (r->rights != ALL_RIGHTS) {
		emit(p, BPF_JMP32 | BPF_JSET | BPF_K, R_RIGHTS, 0, 1, r->rights);
		emit(p, BPF_JMP | BPF_JA, 0, 0, 0, 0);
	}
	emit_return(p, r->allow);
	for (size_t i = first; i < p->n; i++)
		if (BPF_OP(p->v[i].code) != BPF_EXIT && !p->v[i].off &&
		    (BPF_CLASS(p->v[i].code) == BPF_JMP || BPF_CLASS(p->v[i].code) == BPF_JMP32))
			p->v[i].off = (short)(p->n - i - 1);
}

int device_program_make(const struct spec_devrules *rules, struct arena *a,
			struct device_program *ret, struct err *err)
{
	struct device_program p = {.allows_all = true};
	bool decided = false;

	if (rules->n > MAX_RULES)
		return err_at(err, "/devices", 0, "more than %d entries", MAX_RULES);
	p.v = arena_array(a, (rules->n + N_DEFAULTS) * INSNS_PER_RULE + INSNS_AROUND, sizeof(*p.v));
	if (!p.v)
		return err_set(err, ENOMEM, "the program of the devices");
	emit_begin(&p);
	/* The last match wins: so the last is looked at first, and the first match ends it. */
	for (size_t i = rules->n + N_DEFAULTS; i-- > 0 && !decided;) {
		struct rule r = i < rules->n ? rule_of(&rules->v[i]) : defaults[i - rules->n];

		if (!r.rights)
			continue;
		p.allows_all &= r.allow;
		/* What cannot be reached would be refused by the kernel's verifier. */
		decided = is_last_word(&r);
		emit_rule(&p, &r);
	}
	if (!decided)
		emit_return(&p, true);
	*ret = p;
	return 0;
}
