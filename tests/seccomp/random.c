/* SPDX-License-Identifier: Apache-2.0 */
/* Random rule sets, and the proof that the interpreter notices a wrong program. */
#include <linux/audit.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>

#include "tests/seccomp/bpf.h"
#include "tests/seccomp/check.h"
#include "tests/seccomp/reference.h"

enum { ROUNDS = 2000, CALLS_PER_ROUND = 200, MAX_ENTRIES = 8, MAX_ENTRY_ARGS = 4 };

#define SEED 0x6272796f32303235ULL

struct random {
	uint64_t state;
};

/* One rule set, with room for everything it points to. */
struct rule_set {
	struct spec_seccomp s;
	struct spec_syscall calls[MAX_ENTRIES];
	struct spec_arg args[MAX_ENTRIES][MAX_ENTRY_ARGS];
	char *names[MAX_ENTRIES][3];
	char *arches[3];
};

/* Few names, so that entries meet on one call; some of them multiplexed. */
static char *const names[] = {"getppid", "read",  "ioctl", "socket", "bind",      "send",
			      "semget",  "shmat", "semop", "ipc",    "socketcall"};
static char *const arches[] = {"SCMP_ARCH_X86_64",  "SCMP_ARCH_X86", "SCMP_ARCH_X32",
			       "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_RISCV64"};
static const uint32_t audits[] = {AUDIT_ARCH_X86_64,  AUDIT_ARCH_I386, AUDIT_ARCH_X86_64,
				  AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM,  AUDIT_ARCH_RISCV64};

#define COUNT(v) (sizeof(v) / sizeof(*(v)))

/* splitmix64 */
static uint64_t next(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static size_t below(struct random *r, size_t n)
{
	return next(r) % n;
}

static uint64_t value(struct random *r)
{
	switch (below(r, 4)) {
	case 0:
		return next(r);
	case 1:
		return check_values[below(r, N_VALUES)];
	default:
		return below(r, 26);
	}
}

static int action(struct random *r, struct opt_u64 *data)
{
	static const int v[] = {ACT_KILL_THREAD, ACT_KILL_PROCESS, ACT_TRAP, ACT_ERRNO, ACT_ERRNO,
				ACT_TRACE,       ACT_NOTIFY,       ACT_LOG,  ACT_ALLOW, ACT_ALLOW};
	int a = v[below(r, COUNT(v))];

	if (a == ACT_ERRNO || a == ACT_TRACE)
		*data = (struct opt_u64){below(r, 2), below(r, 3)};
	return a;
}

static void make_entry(struct random *r, struct rule_set *set, size_t i)
{
	struct spec_syscall *sys = &set->calls[i];

	*sys = (struct spec_syscall){.names = {set->names[i], 1 + below(r, 2)},
				     .args = {set->args[i], below(r, MAX_ENTRY_ARGS + 1)}};
	sys->action = action(r, &sys->errnoRet);
	for (size_t j = 0; j < sys->names.n; j++)
		set->names[i][j] = names[below(r, COUNT(names))];
	set->names[i][sys->names.n] = NULL;
	for (size_t j = 0; j < sys->args.n; j++)
		set->args[i][j] = (struct spec_arg){.index = (uint32_t)below(r, 3),
						    .op = 1 + (int)below(r, 7),
						    .value = value(r),
						    .valueTwo = value(r)};
}

static void make_set(struct random *r, struct rule_set *set)
{
	set->s = (struct spec_seccomp){.architectures = {set->arches, below(r, 3)},
				       .syscalls = {set->calls, below(r, MAX_ENTRIES + 1)}};
	set->s.defaultAction = action(r, &set->s.defaultErrnoRet);
	for (size_t i = 0; i < set->s.architectures.n; i++)
		set->arches[i] = arches[below(r, COUNT(arches))];
	for (size_t i = 0; i < set->s.syscalls.n; i++)
		make_entry(r, set, i);
}

/* A value that some condition of the set asks for, or one beside it. */
static uint64_t likely(struct random *r, const struct rule_set *set)
{
	const struct spec_arg *arg = &set->args[below(r, MAX_ENTRIES)][below(r, MAX_ENTRY_ARGS)];
	uint64_t v = below(r, 4) ? arg->value : arg->valueTwo;

	switch (below(r, 6)) {
	case 0:
		return v + 1;
	case 1:
		return v - 1;
	case 2:
		return v | next(r) << 32;
	case 3:
		return value(r);
	default:
		return v;
	}
}

static struct seccomp_data make_call(struct random *r, const struct rule_set *set)
{
	size_t arch = below(r, COUNT(arches));
	uint32_t token = seccomp_arch_resolve_name(
		(const char *[]){"x86_64", "x86", "x32", "aarch64", "arm", "riscv64"}[arch]);
	struct seccomp_data d = {.arch = audits[arch]};

	d.nr = seccomp_syscall_resolve_name_arch(token, names[below(r, COUNT(names))]);
	/* The multiplexed calls' own numbers and multiplexers, which the name does not tell. */
	if (d.nr < 0 && token == SCMP_ARCH_X86)
		d.nr = (int[]){359, 361, 393, 397, 102, 102, 117, 117}[below(r, 8)];
	if (!below(r, 10))
		d.nr += (int)below(r, 3) - 1;
	for (size_t i = 0; i < 6; i++)
		d.args[i] = likely(r, set);
	return d;
}

static enum result random_sets(void)
{
	static struct rule_set set;
	struct random r = {SEED};
	enum result result = PASS;

	for (int round = 0; round < ROUNDS && result == PASS; round++) {
		struct filter f;

		make_set(&r, &set);
		result = check_compile(&set.s, &f);
		if (result != PASS)
			break;
		for (int i = 0; i < CALLS_PER_ROUND && result == PASS; i++) {
			struct seccomp_data d = make_call(&r, &set);

			result = check_same(&set.s, &f, &d);
		}
		filter_finish(&f);
		if (result != PASS)
			snprintf(check_why + strlen(check_why), 64, " (round %d)", round);
	}
	return result;
}

/*
 * Does any call of a small sample get another verdict than the reference's?  It
 * has the numbers on both sides of every boundary that other_operand() moves.
 */
static bool notices(const struct spec_seccomp *s, const struct filter *f)
{
	static const uint32_t arch[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64, AUDIT_ARCH_I386};
	static const int nr[] = {0, 110, 172, 173, 174, 500, -1, 0x40000000};

	for (size_t i = 0; i < 3 * 8 * N_VALUES * N_VALUES; i++) {
		struct seccomp_data d = {.arch = arch[i % 3], .nr = nr[i / 3 % 8]};

		d.args[0] = check_values[i / 24 % N_VALUES];
		d.args[1] = check_values[i / 24 / N_VALUES];
		if (check_same(s, f, &d) != PASS)
			return true;
	}
	return false;
}

/*
 * Break the program in every way of one kind, one at a time; each must be
 * noticed.  That is what makes the agreement of the other groups mean something.
 */
static enum result mutations(void (*mutate)(struct sock_filter *), bool (*applies)(int class))
{
	struct spec_seccomp s = {
		.defaultAction = ACT_ALLOW,
		.architectures = NAMES("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"),
		.syscalls = SYSCALLS({.names = NAMES("getppid"),
				      .action = ACT_ERRNO,
				      .args = ARGS({0, 1ULL << 31, 0, SCMP_CMP_GT},
						   {1, 1ULL << 32, 0, SCMP_CMP_LE})}),
	};
	struct filter f;
	size_t tried = 0, missed = 0;

	if (check_compile(&s, &f) != PASS)
		return FAIL;
	for (size_t i = 0; i < f.n; i++) {
		struct sock_filter old = f.insns[i];

		mutate(&f.insns[i]);
		if (applies(BPF_CLASS(old.code)) && memcmp(&old, &f.insns[i], sizeof(old)) != 0) {
			tried++;
			missed += !notices(&s, &f);
		}
		f.insns[i] = old;
	}
	filter_finish(&f);
	if (tried < 5 || missed)
		return check_fail("%zu of %zu not noticed", missed, tried);
	return PASS;
}

static void swap_branches(struct sock_filter *f)
{
	uint8_t jt = f->jt;

	f->jt = f->jf;
	f->jf = jt;
}

static void other_constant(struct sock_filter *f)
{
	f->k ^= 4;
}

static void other_operand(struct sock_filter *f)
{
	f->k ^= 1;
}

static bool is_jump(int class)
{
	return class == BPF_JMP;
}

static bool is_load(int class)
{
	return class == BPF_LD;
}

static bool is_return(int class)
{
	return class == BPF_RET;
}

/* The interpreter itself: programs with a known answer. */
static enum result interpreter(void)
{
	static const struct sock_filter sum[] = {
		BPF_STMT(BPF_LD | BPF_IMM, 40),         BPF_STMT(BPF_ST, 3),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),        BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0), BPF_STMT(BPF_LDX | BPF_MEM, 3),
		BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 4), BPF_STMT(BPF_ALU | BPF_OR | BPF_X, 0),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	static const struct sock_filter by_zero[] = {
		BPF_STMT(BPF_LDX | BPF_IMM, 0),
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
		BPF_STMT(BPF_RET | BPF_K, 1),
	};
	static const struct sock_filter bad[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0),
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 32),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 2),
		BPF_STMT(BPF_ST, 16),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_JMP | BPF_JA, 1),
		BPF_STMT(BPF_RET | BPF_X, 0),
		BPF_STMT(0xffff, 0),
	};
	struct seccomp_data d = {0};
	uint32_t got = 0;

	if (bpf_check(sum, 9) || bpf_run(sum, 9, &d, &got) || got != ((64 - 40) << 4 | 40))
		return check_fail("arithmetic: %#x", got);
	if (bpf_check(by_zero, 3) || bpf_run(by_zero, 3, &d, &got) || got)
		return check_fail("a division by zero does not return 0");
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct sock_filter program[] = {bad[i], BPF_STMT(BPF_RET | BPF_K, 0)};

		if (!bpf_check(program, 2))
			return check_fail("bad instruction %zu passes", i);
	}
	if (!bpf_run(sum + 5, 4, &d, &got) || !bpf_check(sum, 8) || !bpf_check(sum, 0))
		return check_fail("unwritten memory, or a missing return, passes");
	return PASS;
}

void random_groups(void)
{
	char name[128];

	snprintf(name, sizeof(name), "random rule sets: %d x %d calls, seed %#llx", ROUNDS,
		 CALLS_PER_ROUND, SEED);
	check_report(name, random_sets());
	check_report("the interpreter", interpreter());
	check_report("swapped branches are noticed", mutations(swap_branches, is_jump));
	check_report("other operands of jumps are noticed", mutations(other_operand, is_jump));
	check_report("other offsets are noticed", mutations(other_constant, is_load));
	check_report("other verdicts are noticed", mutations(other_constant, is_return));
}
