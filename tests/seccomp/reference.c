/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/seccomp/reference.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <strings.h>

/* arch/x86/entry/syscalls/syscall_32.tbl, and the call numbers of net.h and ipc.h. */
static const struct {
	const char *name;
	int number, through, call;
} x86_calls[] = {
	{"socket", 359, 102, 1},      {"bind", 361, 102, 2},        {"connect", 362, 102, 3},
	{"listen", 363, 102, 4},      {"accept", -1, 102, 5},       {"getsockname", 367, 102, 6},
	{"getpeername", 368, 102, 7}, {"socketpair", 360, 102, 8},  {"send", -1, 102, 9},
	{"recv", -1, 102, 10},        {"sendto", 369, 102, 11},     {"recvfrom", 371, 102, 12},
	{"shutdown", 373, 102, 13},   {"setsockopt", 366, 102, 14}, {"getsockopt", 365, 102, 15},
	{"sendmsg", 370, 102, 16},    {"recvmsg", 372, 102, 17},    {"accept4", 364, 102, 18},
	{"recvmmsg", 337, 102, 19},   {"sendmmsg", 345, 102, 20},   {"semop", -1, 117, 1},
	{"semget", 393, 117, 2},      {"semctl", 394, 117, 3},      {"semtimedop", -1, 117, 4},
	{"msgsnd", 400, 117, 11},     {"msgrcv", 401, 117, 12},     {"msgget", 399, 117, 13},
	{"msgctl", 402, 117, 14},     {"shmat", 397, 117, 21},      {"shmdt", 398, 117, 22},
	{"shmget", 395, 117, 23},     {"shmctl", 396, 117, 24},
};

#define N_X86_CALLS (sizeof(x86_calls) / sizeof(*x86_calls))

static uint32_t word(int action, struct opt_u64 ret)
{
	uint32_t data = (uint32_t)(ret.set ? ret.v : EPERM);

	switch (action) {
	case ACT_KILL_THREAD:
		return SCMP_ACT_KILL_THREAD;
	case ACT_KILL_PROCESS:
		return SCMP_ACT_KILL_PROCESS;
	case ACT_TRAP:
		return SCMP_ACT_TRAP;
	case ACT_ERRNO:
		return SCMP_ACT_ERRNO(data);
	case ACT_TRACE:
		return SCMP_ACT_TRACE(data);
	case ACT_LOG:
		return SCMP_ACT_LOG;
	case ACT_NOTIFY:
		return SCMP_ACT_NOTIFY;
	default:
		return SCMP_ACT_ALLOW;
	}
}

/* 0 is the weakest. */
static int strictness(uint32_t action)
{
	switch (action & 0xffff0000U) {
	case SCMP_ACT_KILL_PROCESS:
		return 7;
	case SCMP_ACT_KILL_THREAD:
		return 6;
	case SCMP_ACT_TRAP:
		return 5;
	case SCMP_ACT_ERRNO(0):
		return 4;
	case SCMP_ACT_NOTIFY:
		return 3;
	case SCMP_ACT_TRACE(0):
		return 2;
	case SCMP_ACT_LOG:
		return 1;
	default:
		return 0;
	}
}

static bool listed(const struct spec_seccomp *s, const char *name)
{
	for (size_t i = 0; i < s->architectures.n; i++) {
		if (!strcasecmp(s->architectures.v[i] + strlen("SCMP_ARCH_"), name))
			return true;
	}
	return seccomp_arch_native() == seccomp_arch_resolve_name(name);
}

/* The architecture of a call in libseccomp's terms; 0 when the filter does not cover it. */
static uint32_t token_of(const struct spec_seccomp *s, const struct seccomp_data *d)
{
	uint32_t nr = (uint32_t)d->nr;

	if (d->arch == AUDIT_ARCH_X86_64) {
		if (nr >= 0x40000000 && listed(s, "x32"))
			return SCMP_ARCH_X32;
		if (nr >= 0x40000000 && nr != UINT32_MAX)
			return 0;
		return listed(s, "x86_64") ? SCMP_ARCH_X86_64 : 0;
	}
	if (d->arch == AUDIT_ARCH_I386)
		return listed(s, "x86") ? SCMP_ARCH_X86 : 0;
	if (d->arch == AUDIT_ARCH_AARCH64)
		return listed(s, "aarch64") ? SCMP_ARCH_AARCH64 : 0;
	if (d->arch == AUDIT_ARCH_ARM)
		return listed(s, "arm") ? SCMP_ARCH_ARM : 0;
	if (d->arch == AUDIT_ARCH_RISCV64)
		return listed(s, "riscv64") ? SCMP_ARCH_RISCV64 : 0;
	return 0;
}

static bool has_32_bits(uint32_t token)
{
	return token == SCMP_ARCH_X86 || token == SCMP_ARCH_X32 || token == SCMP_ARCH_ARM;
}

static uint64_t as_passed(uint64_t v, bool bits32)
{
	int64_t sv = (int64_t)v;

	return bits32 && sv < 0 && sv >= INT32_MIN ? v & UINT32_MAX : v;
}

static bool holds(const struct spec_arg *c, const struct seccomp_data *d, bool bits32)
{
	uint64_t arg = bits32 ? d->args[c->index] & UINT32_MAX : d->args[c->index];

	switch (c->op) {
	case SCMP_CMP_NE:
		return arg != as_passed(c->value, bits32);
	case SCMP_CMP_LT:
		return arg < c->value;
	case SCMP_CMP_LE:
		return arg <= c->value;
	case SCMP_CMP_EQ:
		return arg == as_passed(c->value, bits32);
	case SCMP_CMP_GE:
		return arg >= c->value;
	case SCMP_CMP_GT:
		return arg > c->value;
	default:
		return (arg & c->value) == (as_passed(c->valueTwo, bits32) & c->value);
	}
}

static bool matches(const struct spec_args *args, const struct seccomp_data *d, bool bits32)
{
	size_t held = 0;
	bool repeats = false;

	for (size_t i = 0; i < args->n; i++) {
		held += holds(&args->v[i], d, bits32);
		for (size_t j = 0; j < i; j++)
			repeats |= args->v[i].index == args->v[j].index;
	}
	return repeats ? held > 0 : held == args->n;
}

static bool names_call(const struct spec_syscall *sys, const char *name)
{
	for (size_t i = 0; i < sys->names.n; i++) {
		if (!strcmp(sys->names.v[i], name))
			return true;
	}
	return false;
}

/* Does the entry name the call with this number directly? */
static bool names_number(const struct spec_syscall *sys, uint32_t token, int nr)
{
	for (size_t i = 0; token == SCMP_ARCH_X86 && i < N_X86_CALLS; i++) {
		if (x86_calls[i].number == nr)
			return names_call(sys, x86_calls[i].name);
	}
	for (size_t i = 0; i < sys->names.n; i++) {
		int n = seccomp_syscall_resolve_name_arch(token, sys->names.v[i]);

		if (n == nr)
			return true;
	}
	return false;
}

static bool any_names_number(const struct spec_seccomp *s, uint32_t token, int nr)
{
	for (size_t i = 0; i < s->syscalls.n; i++) {
		if (names_number(&s->syscalls.v[i], token, nr))
			return true;
	}
	return false;
}

struct verdict {
	bool found;
	uint32_t action;
	size_t order;
};

static void consider(struct verdict *v, uint32_t action, size_t order)
{
	int old = v->found ? strictness(v->action) : -1, new = strictness(action);

	if (new > old || (new == old &&order < v->order))
		*v = (struct verdict){true, action, order};
}

/* The verdict of the rules for `name` on a call through the multiplexer `nr`. */
static void consider_through(struct verdict *v, const struct spec_seccomp *s, const char *name,
			     bool explicit)
{
	struct verdict sure = {0}, any = {0};
	size_t first = s->syscalls.n;

	for (size_t i = 0; i < s->syscalls.n; i++) {
		const struct spec_syscall *sys = &s->syscalls.v[i];

		/* Of the entries without conditions, the first counts. */
		if (!names_call(sys, name) || (sure.found && !sys->args.n))
			continue;
		first = i < first ? i : first;
		consider(&any, word(sys->action, sys->errnoRet), i);
		if (!sys->args.n)
			consider(&sure, word(sys->action, sys->errnoRet), i);
	}
	if (explicit && sure.found)
		consider(v, sure.action, first);
	if (explicit || !any.found)
		return;
	if (!sure.found) {
		uint32_t fallback = word(s->defaultAction, s->defaultErrnoRet);

		if (strictness(fallback) > strictness(any.action))
			any.action = fallback;
	}
	consider(v, any.action, first);
}

static void consider_multiplexed(struct verdict *v, const struct spec_seccomp *s,
				 const struct seccomp_data *d)
{
	uint32_t call = (uint32_t)d->args[0];

	if (d->nr == 117)
		call &= 0xffff;
	for (size_t i = 0; i < N_X86_CALLS; i++) {
		if (x86_calls[i].through == d->nr && (uint32_t)x86_calls[i].call == call)
			consider_through(v, s, x86_calls[i].name,
					 any_names_number(s, SCMP_ARCH_X86, d->nr));
	}
}

uint32_t reference_verdict(const struct spec_seccomp *s, const struct seccomp_data *d)
{
	uint32_t token = token_of(s, d);
	struct verdict v = {0};
	bool always = false;

	if (!token)
		return SCMP_ACT_KILL_PROCESS;
	for (size_t i = 0; i < s->syscalls.n; i++) {
		const struct spec_syscall *sys = &s->syscalls.v[i];

		if (d->nr < 0 || !names_number(sys, token, d->nr))
			continue;
		/* Of the entries without conditions, the first counts. */
		if (!sys->args.n && always)
			continue;
		always |= !sys->args.n;
		if (matches(&sys->args, d, has_32_bits(token)))
			consider(&v, word(sys->action, sys->errnoRet), i);
	}
	if (token == SCMP_ARCH_X86)
		consider_multiplexed(&v, s, d);
	return v.found ? v.action : word(s->defaultAction, s->defaultErrnoRet);
}
