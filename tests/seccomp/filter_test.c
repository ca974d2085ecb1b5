/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp/: every verdict of a compiled program, found by interpreting it,
 * must be the reference's, and the kernel's.
 *
 *     filter_test [DIRECTORY WITH ENGINE CONFIGURATIONS]
 */
#include <linux/audit.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "tests/seccomp/bpf.h"
#include "tests/seccomp/check.h"
#include "tests/seccomp/reference.h"

#define BPF_ARCHES "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64"
#define X32_GETPPID (0x40000000 | 110)

static unsigned int passed, failed, skipped;

/* getppid(2) on the four architectures */
static const struct {
	uint32_t arch;
	int nr;
} getppids[] = {
	{AUDIT_ARCH_X86_64, 110},
	{AUDIT_ARCH_I386, 64},
	{AUDIT_ARCH_X86_64, X32_GETPPID},
	{AUDIT_ARCH_AARCH64, 173},
};

void check_report(const char *name, enum result result)
{
	if (result == PASS) {
		printf("ok - %s\n", name);
		passed++;
	} else if (result == SKIP) {
		printf("ok - %s # skipped: %s\n", name, check_why);
		skipped++;
	} else {
		printf("not ok - %s: %s\n", name, check_why);
		failed++;
	}
}

/* One entry, tried with every value at every position on every architecture. */
static enum result try_condition(int op, unsigned int index, uint64_t value, uint64_t two)
{
	struct spec_seccomp s = {
		.defaultAction = ACT_ALLOW,
		.architectures = NAMES(BPF_ARCHES),
		.syscalls = SYSCALLS({.names = NAMES("getppid"),
				      .action = ACT_ERRNO,
				      .args = ARGS({index, value, two, op})}),
	};
	struct filter f;
	enum result r = check_compile(&s, &f);

	if (r != PASS)
		return r;
	for (size_t i = 0; i < 4 * N_VALUES && r == PASS; i++) {
		struct seccomp_data d = {.arch = getppids[i % 4].arch, .nr = getppids[i % 4].nr};

		/* Any other argument than the one tested must not matter. */
		memset(d.args, 0x5a, sizeof(d.args));
		d.args[index] = check_values[i / 4];
		r = check_same(&s, &f, &d);
	}
	filter_finish(&f);
	return r;
}

static enum result try_operator(int op)
{
	for (unsigned int index = 0; index < 6; index++) {
		for (size_t i = 0; i < N_VALUES; i++) {
			if (try_condition(op, index, check_values[i], 0) != PASS)
				return FAIL;
		}
	}
	return PASS;
}

static enum result try_masks(void)
{
	for (unsigned int index = 0; index < 6; index++) {
		for (size_t i = 0; i < N_MASKS * N_VALUES; i++) {
			if (try_condition(SCMP_CMP_MASKED_EQ, index, check_masks[i / N_VALUES],
					  check_values[i % N_VALUES]) != PASS)
				return FAIL;
		}
	}
	return PASS;
}

static void matrix_groups(void)
{
	static const char *const names[] = {"",   "NE", "LT", "LE",
					    "EQ", "GE", "GT", "MASKED_EQ against 0"};

	for (int op = SCMP_CMP_NE; op <= SCMP_CMP_MASKED_EQ; op++) {
		char name[64];

		snprintf(name, sizeof(name), "operator %s, 6 positions, 12 x 12 values", names[op]);
		check_report(name, try_operator(op));
	}
	check_report("operator MASKED_EQ, 8 masks, 6 positions, 12 x 12 values", try_masks());
}

/* ---- tables of single verdicts ---- */

struct expected {
	uint32_t arch;
	int nr;
	uint64_t args[6];
	uint32_t action;
};

/* The table says it, the reference agrees, and the program does it. */
static enum result try_table(const struct spec_seccomp *s, const struct expected *v, size_t n)
{
	struct filter f;
	enum result r;

	if (seccomp_arch_native() != SCMP_ARCH_X86_64) {
		check_fail("the table is for x86_64");
		return SKIP;
	}
	r = check_compile(s, &f);
	if (r != PASS)
		return r;
	for (size_t i = 0; i < n && r == PASS; i++) {
		struct seccomp_data d = {.arch = v[i].arch, .nr = v[i].nr};

		for (int a = 0; a < 6; a++)
			d.args[a] = v[i].args[a];
		if (reference_verdict(s, &d) != v[i].action)
			r = check_fail("line %zu: the reference says %#x instead of %#x", i,
				       reference_verdict(s, &d), v[i].action);
		else
			r = check_same(s, &f, &d);
	}
	filter_finish(&f);
	return r;
}

#define TABLE(s, ...)                                                                              \
	try_table((s), (struct expected[]){__VA_ARGS__},                                           \
		  sizeof((struct expected[]){__VA_ARGS__}) / sizeof(struct expected))

#define X64 AUDIT_ARCH_X86_64
#define I386 AUDIT_ARCH_I386
#define A64 AUDIT_ARCH_AARCH64
#define ALLOW SECCOMP_RET_ALLOW
#define KILL SECCOMP_RET_KILL_PROCESS
#define ERRNO(e) (SECCOMP_RET_ERRNO | (e))

static enum result and_of_conditions(void)
{
	struct spec_seccomp s = {
		.defaultAction = ACT_ERRNO,
		.syscalls = SYSCALLS({.names = NAMES("getppid"),
				      .action = ACT_ALLOW,
				      .args = ARGS({0, 5, 0, SCMP_CMP_GE}, {3, 7, 0, SCMP_CMP_EQ})},
				     {.names = NAMES("getpid"),
				      .action = ACT_ALLOW,
				      .args = ARGS({5, 1, 0, SCMP_CMP_NE}, {2, 9, 0, SCMP_CMP_LT},
						   {4, 0xf0, 0x30, SCMP_CMP_MASKED_EQ})}),
	};

	return TABLE(&s, {X64, 110, {5, 0, 0, 7}, ALLOW}, {X64, 110, {9, 1, 1, 7}, ALLOW},
		     {X64, 110, {4, 0, 0, 7}, ERRNO(1)}, {X64, 110, {5, 0, 0, 8}, ERRNO(1)},
		     {X64, 110, {0}, ERRNO(1)}, {X64, 39, {0, 0, 8, 0, 0x3a, 0}, ALLOW},
		     {X64, 39, {0, 0, 9, 0, 0x3a, 0}, ERRNO(1)},
		     {X64, 39, {0, 0, 8, 0, 0x4a, 0}, ERRNO(1)},
		     {X64, 39, {0, 0, 8, 0, 0x3a, 1}, ERRNO(1)});
}

static enum result repeated_index(void)
{
	struct spec_seccomp s = {
		.defaultAction = ACT_ERRNO,
		.syscalls = SYSCALLS({.names = NAMES("getppid"),
				      .action = ACT_ALLOW,
				      .args = ARGS({0, 1, 0, SCMP_CMP_EQ}, {0, 2, 0, SCMP_CMP_EQ},
						   {1, 3, 0, SCMP_CMP_EQ})}),
	};
	struct filter f;
	enum result r = check_compile(&s, &f);

	if (r != PASS)
		return r;
	if (!f.repeated_index)
		r = check_fail("the caller is not told");
	filter_finish(&f);
	if (r != PASS)
		return r;
	return TABLE(&s, {X64, 110, {1}, ALLOW}, {X64, 110, {2}, ALLOW}, {X64, 110, {0, 3}, ALLOW},
		     {X64, 110, {3}, ERRNO(1)});
}

static enum result strictest_wins(void)
{
	struct spec_arg zero = {0, 0, 0, SCMP_CMP_EQ}, one = {1, 0, 0, SCMP_CMP_EQ};
	struct spec_seccomp s = {
		.defaultAction = ACT_ERRNO,
		.defaultErrnoRet = {true, 38},
		.syscalls = SYSCALLS(
			{.names = NAMES("getppid", "getpid", "getuid"), .action = ACT_ALLOW},
			{.names = NAMES("getppid"), .action = ACT_ERRNO, .args = ARGS(zero)},
			{.names = NAMES("getppid"), .action = ACT_KILL_THREAD, .args = ARGS(one)},
			{.names = NAMES("getpid"), .action = ACT_LOG},
			{.names = NAMES("getuid"), .action = ACT_ERRNO, .errnoRet = {true, 7}},
			{.names = NAMES("getuid"), .action = ACT_ERRNO, .errnoRet = {true, 8}},
			{.names = NAMES("getgid"), .action = ACT_ERRNO, .errnoRet = {true, 38}},
			{.names = NAMES("getgid"), .action = ACT_ALLOW}),
	};

	return TABLE(&s, {X64, 110, {1, 1}, ALLOW}, {X64, 110, {0, 1}, ERRNO(1)},
		     {X64, 110, {0, 0}, SECCOMP_RET_KILL_THREAD}, {X64, 39, {0}, ALLOW},
		     {X64, 102, {0}, ALLOW}, {X64, 104, {0}, ERRNO(38)}, {X64, 0, {0}, ERRNO(38)});
}

static enum result architectures(void)
{
	struct spec_seccomp s = {
		.defaultAction = ACT_ERRNO,
		.syscalls = SYSCALLS({.names = NAMES("getppid"), .action = ACT_ALLOW}),
	};
	struct spec_seccomp all = s;

	all.architectures = (struct strs)NAMES(BPF_ARCHES, "SCMP_ARCH_X86");
	if (TABLE(&s, {X64, 110, {0}, ALLOW}, {X64, 111, {0}, ERRNO(1)}, {X64, -1, {0}, ERRNO(1)},
		  {X64, X32_GETPPID, {0}, KILL}, {X64, -2, {0}, KILL}, {I386, 64, {0}, KILL},
		  {I386, 110, {0}, KILL}, {A64, 173, {0}, KILL}, {0, 110, {0}, KILL}) == FAIL)
		return FAIL;
	return TABLE(&all, {X64, 110, {0}, ALLOW}, {X64, 64, {0}, ERRNO(1)},
		     {X64, X32_GETPPID, {0}, ALLOW}, {X64, 0x40000000, {0}, ERRNO(1)},
		     {I386, 64, {0}, ALLOW}, {I386, 110, {0}, ERRNO(1)}, {I386, -1, {0}, ERRNO(1)},
		     {A64, 173, {0}, ALLOW}, {A64, 110, {0}, ERRNO(1)},
		     {AUDIT_ARCH_ARM, 64, {0}, KILL}, {0, 0, {0}, KILL},
		     {UINT32_MAX, 0, {0}, KILL});
}

/* T2: the kernel looks at 32 bits only, so what is in the others must not matter. */
static enum result high_garbage(void)
{
	struct spec_arg tiocsti = {1, UINT32_MAX, 0x5412, SCMP_CMP_MASKED_EQ};
	struct spec_arg vsock = {0, UINT32_MAX, 40, SCMP_CMP_MASKED_EQ};
	struct spec_arg linux32 = {0, UINT32_MAX, 8, SCMP_CMP_MASKED_EQ};
	struct spec_seccomp s = {
		.defaultAction = ACT_ALLOW,
		.syscalls = SYSCALLS(
			{.names = NAMES("ioctl"), .action = ACT_ERRNO, .args = ARGS(tiocsti)},
			{.names = NAMES("socket"), .action = ACT_ERRNO, .args = ARGS(vsock)},
			{.names = NAMES("personality"),
			 .action = ACT_ERRNO,
			 .args = ARGS(linux32)}),
	};

	return TABLE(&s, {X64, 16, {0, 0x5412}, ERRNO(1)},
		     {X64, 16, {0, 0xdeadbeef00005412}, ERRNO(1)},
		     {X64, 16, {0, 0x100005412}, ERRNO(1)}, {X64, 16, {0, 0x5413}, ALLOW},
		     {X64, 41, {0xffffffff00000028}, ERRNO(1)}, {X64, 41, {41}, ALLOW},
		     {X64, 135, {0x8000000000000008}, ERRNO(1)}, {X64, 135, {9}, ALLOW});
}

/* S4: the same call through socketcall(2) and ipc(2). */
static enum result multiplexers(void)
{
	struct spec_arg vsock = {0, 40, 0, SCMP_CMP_EQ}, other = {0, 40, 0, SCMP_CMP_NE};
	struct spec_seccomp deny = {
		.defaultAction = ACT_ALLOW,
		.architectures = NAMES("SCMP_ARCH_X86"),
		.syscalls = SYSCALLS(
			{.names = NAMES("socket"), .action = ACT_ERRNO, .args = ARGS(vsock)},
			{.names = NAMES("shmget", "bind", "send"), .action = ACT_ERRNO}),
	};
	struct spec_seccomp allow = {
		.defaultAction = ACT_ERRNO,
		.architectures = NAMES("SCMP_ARCH_X86"),
		.syscalls = SYSCALLS(
			{.names = NAMES("bind", "semop", "accept"), .action = ACT_ALLOW},
			{.names = NAMES("socket"), .action = ACT_ALLOW, .args = ARGS(other)}),
	};

	if (TABLE(&deny, {I386, 359, {40}, ERRNO(1)}, {I386, 359, {2}, ALLOW},
		  {I386, 102, {1, 0x1000}, ERRNO(1)}, {I386, 102, {2}, ERRNO(1)},
		  {I386, 102, {9}, ERRNO(1)}, {I386, 102, {3}, ALLOW}, {I386, 361, {0}, ERRNO(1)},
		  {I386, 117, {23}, ERRNO(1)}, {I386, 117, {23 | 1 << 16}, ERRNO(1)},
		  {I386, 117, {24}, ALLOW}, {I386, 395, {0}, ERRNO(1)}) == FAIL)
		return FAIL;
	return TABLE(&allow, {I386, 359, {40}, ERRNO(1)}, {I386, 359, {2}, ALLOW},
		     {I386, 102, {1}, ERRNO(1)}, {I386, 102, {2}, ALLOW}, {I386, 102, {5}, ALLOW},
		     {I386, 117, {1}, ALLOW}, {I386, 117, {2}, ERRNO(1)});
}

/* What the configuration says of socketcall itself counts, but does not open what is closed. */
static enum result named_multiplexer(void)
{
	struct spec_arg other = {0, 40, 0, SCMP_CMP_NE};
	struct spec_seccomp s = {
		.defaultAction = ACT_ERRNO,
		.architectures = NAMES("SCMP_ARCH_X86"),
		.syscalls = SYSCALLS(
			{.names = NAMES("socket"), .action = ACT_ALLOW, .args = ARGS(other)},
			{.names = NAMES("socketcall", "connect"), .action = ACT_ALLOW},
			{.names = NAMES("listen"), .action = ACT_ERRNO, .errnoRet = {true, 9}}),
	};

	return TABLE(&s, {I386, 102, {1}, ALLOW}, {I386, 102, {2}, ALLOW}, {I386, 102, {3}, ALLOW},
		     {I386, 102, {4}, ERRNO(9)}, {I386, 361, {0}, ERRNO(1)});
}

static enum result no_rules(void)
{
	struct spec_seccomp s = {.defaultAction = ACT_ALLOW};

	return TABLE(&s, {X64, 0, {0}, ALLOW}, {X64, 1000, {0}, ALLOW},
		     {X64, 0x40000000, {0}, KILL}, {I386, 0, {0}, KILL});
}

/* ---- what must be refused ---- */

static enum result refused(const struct spec_seccomp *s, const char *ptr, const char *word)
{
	struct filter f = {.n = 12345};
	struct err err = {0};

	if (!filter_compile(s, &f, &err)) {
		filter_finish(&f);
		return check_fail("%s: accepted", ptr);
	}
	if (strcmp(err.ptr, ptr) != 0)
		return check_fail("%s: the error is at %s", ptr, err.ptr);
	if (!strstr(err.msg, word))
		return check_fail("%s: \"%s\" does not tell \"%s\"", ptr, err.msg, word);
	return f.n == 12345 ? PASS : check_fail("%s: the result was touched", ptr);
}

static enum result refused_entry(int fallback, struct spec_syscall sys, const char *ptr,
				 const char *word)
{
	struct spec_seccomp s = {.defaultAction = fallback, .syscalls = {.v = &sys, .n = 1}};

	return refused(&s, ptr, word);
}

static enum result unknown_names(void)
{
	static const int order[] = {ACT_KILL_PROCESS, ACT_KILL_THREAD, ACT_TRAP, ACT_ERRNO,
				    ACT_TRACE,        ACT_LOG,         ACT_ALLOW};
	struct spec_syscall sys = {.names = NAMES("getppid", "no_such_call")};
	struct spec_seccomp s = {.syscalls = {.v = &sys, .n = 1}};
	struct filter f;

	for (size_t i = 0; i < 7 * 7; i++) {
		s.defaultAction = order[i / 7];
		sys.action = order[i % 7];
		if (i % 7 < i / 7) {
			if (refused(&s, "/linux/seccomp/syscalls/0/names/1", "no_such_call") !=
			    PASS)
				return FAIL;
		} else if (check_compile(&s, &f) == PASS) {
			filter_finish(&f);
		} else {
			return FAIL;
		}
	}
	return PASS;
}

static enum result refusals(void)
{
	struct spec_seccomp arch = {.architectures = NAMES("SCMP_ARCH_X86", "SCMP_ARCH_VAX")};
	struct spec_seccomp data = {.defaultAction = ACT_ALLOW, .defaultErrnoRet = {true, 1}};
	struct spec_syscall bad[] = {
		{.names = NAMES("read"), .action = ACT_NOTIFY, .errnoRet = {true, 1}},
		{.names = NAMES("read"), .action = ACT_KILL_THREAD, .errnoRet = {true, 0}},
		{.names = NAMES("read"), .action = ACT_ERRNO, .errnoRet = {true, 4096}},
		{.names = NAMES("read"),
		 .args = ARGS({5, 0, 0, SCMP_CMP_EQ}, {6, 0, 0, SCMP_CMP_EQ})},
		{.names = NAMES("read"), .args = ARGS({0, 0, 0, 8})},
	};
	static const char *const ptrs[] = {"/errnoRet", "/errnoRet", "/errnoRet", "/args/1/index",
					   "/args/0/op"};

	if (refused(&arch, "/linux/seccomp/architectures/1", "SCMP_ARCH_VAX") != PASS ||
	    refused(&data, "/linux/seccomp/defaultErrnoRet", "errno") != PASS)
		return FAIL;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char ptr[128];

		snprintf(ptr, sizeof(ptr), "/linux/seccomp/syscalls/0%s", ptrs[i]);
		if (refused_entry(ACT_ALLOW, bad[i], ptr, "") != PASS)
			return FAIL;
	}
	return PASS;
}

static enum result too_long(void)
{
	enum { N = 2000 };
	static struct spec_arg args[N];
	static struct spec_syscall calls[N];
	static char *read_only[] = {"read", NULL};
	struct spec_seccomp s = {.syscalls = {.v = calls, .n = N}};

	for (size_t i = 0; i < N; i++) {
		args[i] = (struct spec_arg){0, i, 0, SCMP_CMP_EQ};
		calls[i] = (struct spec_syscall){.names = {read_only, 1},
						 .action = ACT_ALLOW,
						 .args = {.v = &args[i], .n = 1}};
	}
	return refused(&s, "/linux/seccomp", "instructions");
}

/* All 23 of the specification: compiled, or refused by name where libseccomp is too old. */
static enum result all_architectures(void)
{
	static char *const names[] = {
		"X86",     "X86_64",      "X32",    "ARM",      "AARCH64",     "MIPS",
		"MIPS64",  "MIPS64N32",   "MIPSEL", "MIPSEL64", "MIPSEL64N32", "PPC",
		"PPC64",   "PPC64LE",     "S390",   "S390X",    "PARISC",      "PARISC64",
		"RISCV64", "LOONGARCH64", "M68K",   "SH",       "SHEB"};
	size_t known = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char name[64];
		struct spec_seccomp s = {
			.defaultAction = ACT_ERRNO,
			.architectures = NAMES(name),
			.syscalls = SYSCALLS({.names = NAMES("read", "socket", "semget", "send"),
					      .action = ACT_ALLOW})};
		struct filter f;
		struct err err;

		snprintf(name, sizeof(name), "SCMP_ARCH_%s", names[i]);
		if (filter_compile(&s, &f, &err)) {
			if (!strstr(err.msg, name))
				return check_fail("%s: %s", name, err.msg);
			continue;
		}
		known++;
		filter_finish(&f);
	}
	return known >= 19 ? PASS : check_fail("only %zu are known", known);
}

/* Some call is left to an agent: a listener, and what goes with it only. */
static enum result listener_flags(void)
{
	struct spec_syscall entry = {.names = NAMES("read"), .action = ACT_NOTIFY};
	struct spec_seccomp s = {.defaultAction = ACT_ALLOW,
				 .syscalls = {&entry, 1},
				 .flags = SPEC_TSYNC | SPEC_WAIT_KILLABLE};
	struct filter f;

	if (check_compile(&s, &f) != PASS)
		return FAIL;
	if (f.flags != (SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC |
			SECCOMP_FILTER_FLAG_TSYNC_ESRCH | 1U << 5))
		return FAIL;
	filter_finish(&f);
	return PASS;
}

static enum result flags(void)
{
	static const struct {
		uint64_t spec;
		unsigned int kernel;
	} v[] = {{0, 0},
		 {SPEC_TSYNC, SECCOMP_FILTER_FLAG_TSYNC},
		 {SPEC_LOG, SECCOMP_FILTER_FLAG_LOG},
		 {SPEC_SPEC_ALLOW, SECCOMP_FILTER_FLAG_SPEC_ALLOW},
		 {SPEC_WAIT_KILLABLE, 0},
		 {15, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG |
			      SECCOMP_FILTER_FLAG_SPEC_ALLOW}};

	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		struct spec_seccomp s = {.defaultAction = ACT_ALLOW, .flags = v[i].spec};
		struct filter f;

		if (check_compile(&s, &f) != PASS)
			return FAIL;
		filter_finish(&f);
		if (f.n || f.insns)
			return check_fail("filter_finish leaves something");
		if (check_compile(&s, &f) == PASS && f.flags != v[i].kernel)
			check_fail("%#x", f.flags);
		else
			check_why[0] = '\0';
		filter_finish(&f);
		if (check_why[0])
			return FAIL;
	}
	return PASS;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	matrix_groups();
	check_report("conditions of one entry are ANDed", and_of_conditions());
	check_report("a repeated index ORs, and is reported", repeated_index());
	check_report("the strictest of several rules wins", strictest_wins());
	check_report("architectures: native always, aliens die, x32 apart", architectures());
	check_report("garbage in the upper half of 32-bit arguments", high_garbage());
	check_report("socketcall and ipc do not get around rules", multiplexers());
	check_report("socketcall named by the configuration", named_multiplexer());
	check_report("no rules", no_rules());
	check_report("unknown names: refused exactly when stricter than the default",
		     unknown_names());
	check_report("refusals have the pointer", refusals());
	check_report("a program that is too long is refused", too_long());
	check_report("the architectures of the specification", all_architectures());
	check_report("flags", flags());
	check_report("a listener and its flags, when an agent is needed", listener_flags());
	random_groups();
	live_groups();
	engine_groups(argc > 1 ? argv[1] : "tests/spec/good");
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
