/* SPDX-License-Identifier: Apache-2.0 */
/* The same verdicts from the running kernel: children that install a filter and call. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <errno.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/seccomp/check.h"
#include "tests/seccomp/reference.h"

#define ERRNO_MARK 99

/* What a child leaves for its parent: the number of a failed line, and two values. */
struct report {
	long line, got, want;
};

static struct report *report; /* shared memory */

/* In the child: note what is wrong, once. */
static void expect_at(long line, long got, long want)
{
	if (got == want || report->line)
		return;
	*report = (struct report){line, got, want};
}
#define EXPECT(got, want) expect_at(__LINE__, (got), (want))

static long call6(long nr, const uint64_t *a)
{
	long r = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);

	return r < 0 ? -errno : r;
}

static long call(long nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	return call6(nr, (uint64_t[6]){a0, a1, a2, 0, 0, 0});
}

/* In the child: compile and install, or leave. */
static void install(const struct spec_seccomp *s)
{
	struct filter f;
	struct err err;
	int listener;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || filter_compile(s, &f, &err) ||
	    filter_install(&f, &listener, &err))
		_exit(3);
	filter_finish(&f);
}

/* Run body in a child; `sig` is the signal that must end it, 0 for a normal end. */
static enum result in_child(void (*body)(const void *), const void *arg, int sig)
{
	int status = 0;
	pid_t pid;

	*report = (struct report){0};
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return check_fail("fork: %m");
	if (!pid) {
		body(arg);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (report->line)
		return check_fail("line %ld: %ld instead of %ld", report->line, report->got,
				  report->want);
	if (sig ? WIFSIGNALED(status) && WTERMSIG(status) == sig
		: WIFEXITED(status) && !WEXITSTATUS(status))
		return PASS;
	return check_fail("wait status %#x", (unsigned int)status);
}

/* ---- the matrix ---- */

/* Calls without arguments, so any will do; the n-th is tested at position n. */
static char *harmless[6][2] = {{"getppid"}, {"getpid"}, {"getuid"},
			       {"geteuid"}, {"getgid"}, {"getegid"}};
static const long harmless_nr[6] = {SYS_getppid, SYS_getpid, SYS_getuid,
				    SYS_geteuid, SYS_getgid, SYS_getegid};

static void try_position(const struct spec_seccomp *s, unsigned int index, long allowed)
{
	struct seccomp_data d = {.nr = (int)harmless_nr[index], .arch = seccomp_arch_native()};
	uint64_t args[6];

	for (size_t i = 0; i < N_VALUES; i++) {
		memset(args, 0x5a, sizeof(args));
		args[index] = check_values[i];
		/* __u64 is another type than uint64_t: a cast would break aliasing. */
		memcpy(d.args, args, sizeof(args));
		expect_at((long)i + 1, call6(d.nr, args),
			  reference_verdict(s, &d) == SECCOMP_RET_ALLOW ? allowed : -ERRNO_MARK);
	}
}

/* One condition at six positions, each on a call of its own. */
static void try_values(const void *v)
{
	struct spec_arg args[6];
	struct spec_syscall calls[6];
	struct spec_seccomp s = {.defaultAction = ACT_ALLOW, .syscalls = {calls, 6}};
	long allowed[6];

	for (unsigned int i = 0; i < 6; i++) {
		args[i] = *(const struct spec_arg *)v;
		args[i].index = i;
		calls[i] = (struct spec_syscall){
			{harmless[i], 1}, ACT_ERRNO, {true, ERRNO_MARK}, {&args[i], 1}};
		allowed[i] = call(harmless_nr[i], 0, 0, 0);
	}
	install(&s);
	for (unsigned int i = 0; i < 6; i++)
		try_position(&s, i, allowed[i]);
}

static enum result try_operator(int op, const uint64_t *values, size_t n, uint64_t two)
{
	for (size_t i = 0; i < n; i++) {
		struct spec_arg arg = {.op = op, .value = values[i], .valueTwo = two};

		if (in_child(try_values, &arg, 0) != PASS)
			return FAIL;
	}
	return PASS;
}

static enum result live_operators(void)
{
	for (int op = SCMP_CMP_NE; op < SCMP_CMP_MASKED_EQ; op++) {
		if (try_operator(op, check_values, N_VALUES, 0) != PASS)
			return FAIL;
	}
	return PASS;
}

static enum result live_masks(void)
{
	for (size_t i = 0; i < N_VALUES; i++) {
		if (try_operator(SCMP_CMP_MASKED_EQ, check_masks, N_MASKS, check_values[i]) != PASS)
			return FAIL;
	}
	return PASS;
}

/* ---- actions ---- */

static volatile sig_atomic_t trapped;

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	trapped = info->si_syscall;
}

static void act(const void *v)
{
	const int *action = v;
	struct sigaction sa = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
	struct spec_seccomp s = {
		.defaultAction = *action == ACT_ALLOW ? ACT_ERRNO : ACT_ALLOW,
		.syscalls = SYSCALLS(
			{.names = NAMES("getppid"), .action = *action},
			/* The last two are what a sanitizer does on the way to _exit(). */
			{.names = NAMES("exit_group", "rt_sigreturn", "sigaltstack", "gettid"),
			 .action = ACT_ALLOW}),
	};
	long parent = getppid(), got;

	sigaction(SIGSYS, &sa, NULL);
	install(&s);
	got = call(SYS_getppid, 0, 0, 0);
	if (*action == ACT_ERRNO)
		EXPECT(got, -EPERM);
	else if (*action == ACT_TRACE)
		EXPECT(got, -ENOSYS);
	else if (*action == ACT_TRAP)
		EXPECT(trapped, SYS_getppid);
	else
		EXPECT(got, parent);
}

static enum result live_actions(void)
{
	static const int alive[] = {ACT_ALLOW, ACT_LOG, ACT_ERRNO, ACT_TRACE, ACT_TRAP};
	static const int dead[] = {ACT_KILL_PROCESS, ACT_KILL_THREAD};

	for (size_t i = 0; i < sizeof(alive) / sizeof(*alive); i++) {
		if (in_child(act, &alive[i], 0) != PASS)
			return FAIL;
	}
	for (size_t i = 0; i < sizeof(dead) / sizeof(*dead); i++) {
		if (in_child(act, &dead[i], SIGSYS) != PASS)
			return FAIL;
	}
	return PASS;
}

static void garbage(const void *v)
{
	struct spec_arg tiocsti = {1, UINT32_MAX, 0x5412, SCMP_CMP_MASKED_EQ};
	struct spec_arg vsock = {0, UINT32_MAX, AF_VSOCK, SCMP_CMP_MASKED_EQ};
	struct spec_arg query = {0, UINT32_MAX, UINT32_MAX, SCMP_CMP_MASKED_EQ};
	struct opt_u64 mark = {true, ERRNO_MARK};
	struct spec_seccomp s = {
		.defaultAction = ACT_ALLOW,
		.syscalls = SYSCALLS({NAMES("ioctl"), ACT_ERRNO, mark, ARGS(tiocsti)},
				     {NAMES("socket"), ACT_ERRNO, mark, ARGS(vsock)},
				     {NAMES("personality"), ACT_ERRNO, mark, ARGS(query)}),
	};
	const uint64_t high = 0xdeadbeef00000000;

	(void)v;
	install(&s);
	EXPECT(call(SYS_ioctl, 0, 0x5412, 0), -ERRNO_MARK);
	EXPECT(call(SYS_ioctl, 0, 0x5412 | high, 0), -ERRNO_MARK);
	EXPECT(call(SYS_ioctl, (uint64_t)-1, 0x5413, 0), -EBADF);
	EXPECT(call(SYS_socket, AF_VSOCK | high, SOCK_STREAM, 0), -ERRNO_MARK);
	EXPECT(call(SYS_socket, AF_UNIX | high, SOCK_STREAM, 0) >= 0, 1);
	EXPECT(call(SYS_personality, UINT32_MAX | high, 0, 0), -ERRNO_MARK);
	EXPECT(call(SYS_personality, 0, 0, 0) >= 0, 1);
}

/* ---- installing ---- */

static void without_privilege(const void *v)
{
	struct spec_seccomp s = {.defaultAction = ACT_ALLOW};
	struct filter f;
	struct err err = {0};
	int listener;

	(void)v;
	if (!getuid())
		EXPECT(setresuid(65534, 65534, 65534), 0);
	EXPECT(filter_compile(&s, &f, &err), 0);
	EXPECT(filter_install(&f, &listener, &err), -1);
	EXPECT(err.num, EACCES);
	EXPECT(!strstr(err.hint, "noNewPrivileges"), 0);
	filter_finish(&f);
}

static void unknown_flag(const void *v)
{
	struct spec_seccomp s = {.defaultAction = ACT_ALLOW, .flags = SPEC_LOG};
	struct filter f;
	struct err err = {0};
	int listener;

	(void)v;
	EXPECT(filter_compile(&s, &f, &err), 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	f.flags |= 1U << 20;
	EXPECT(filter_install(&f, &listener, &err), -1);
	EXPECT(err.num, EINVAL);
	EXPECT(!strstr(err.msg, "0x100000"), 0);
	EXPECT(strcmp(err.ptr, "/linux/seccomp/flags"), 0);
	f.flags = SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	EXPECT(filter_install(&f, &listener, &err), 0);
	filter_finish(&f);
}

static void *other_thread(void *v)
{
	struct spec_seccomp s = {.defaultAction = ACT_ALLOW};

	install(&s);
	pthread_barrier_wait(v);
	pthread_barrier_wait(v);
	return NULL;
}

/* A thread with a filter of its own cannot be brought along. */
static void tsync(const void *v)
{
	struct spec_seccomp s = {.defaultAction = ACT_ALLOW, .flags = SPEC_TSYNC};
	struct filter f;
	struct err err = {0};
	int listener;
	pthread_barrier_t barrier;
	pthread_t thread;

	(void)v;
	pthread_barrier_init(&barrier, NULL, 2);
	EXPECT(pthread_create(&thread, NULL, other_thread, &barrier), 0);
	pthread_barrier_wait(&barrier);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	EXPECT(filter_compile(&s, &f, &err), 0);
	EXPECT(filter_install(&f, &listener, &err), -1);
	EXPECT(!strstr(err.msg, "thread"), 0);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	EXPECT(filter_install(&f, &listener, &err), 0);
	filter_finish(&f);
}

/* ---- other ABIs of an x86_64 kernel ---- */

#ifdef __x86_64__
static long int80(long nr, unsigned long a0, unsigned long a1)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(a0), "c"(a1) : "memory");
	return (int)r;
}

static void int80_getpid(const void *v)
{
	if (v)
		install(v);
	EXPECT(int80(20, 0, 0), getpid());
}

static void x32_getppid(const void *v)
{
	install(v);
	call(0x40000000 | SYS_getppid, 0, 0, 0);
}

/* S4: AF_VSOCK by the back door. */
static void int80_socketcall(const void *v)
{
	uint32_t *args = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (args == MAP_FAILED)
		_exit(4);
	args[0] = AF_VSOCK;
	args[1] = SOCK_STREAM;
	args[2] = 0;
	install(v);
	EXPECT(int80(359, AF_VSOCK, SOCK_STREAM), -ERRNO_MARK);
	EXPECT(int80(102, 1, (unsigned long)args), -ERRNO_MARK);
	EXPECT(call(SYS_socket, AF_VSOCK, SOCK_STREAM, 0), -ERRNO_MARK);
}

static enum result live_abis(void)
{
	struct spec_seccomp native = {.defaultAction = ACT_ALLOW};
	struct spec_arg vsock = {0, AF_VSOCK, 0, SCMP_CMP_EQ};
	struct spec_seccomp both = {
		.defaultAction = ACT_ALLOW,
		.architectures = NAMES("SCMP_ARCH_X86"),
		.syscalls = SYSCALLS({.names = NAMES("socket"),
				      .action = ACT_ERRNO,
				      .errnoRet = {true, ERRNO_MARK},
				      .args = ARGS(vsock)}),
	};

	if (in_child(x32_getppid, &native, SIGSYS) != PASS)
		return FAIL;
	if (in_child(int80_getpid, NULL, 0) != PASS) {
		check_fail("this kernel runs no 32-bit programs");
		return SKIP;
	}
	if (in_child(int80_getpid, &native, SIGSYS) != PASS ||
	    in_child(int80_getpid, &both, 0) != PASS)
		return FAIL;
	return in_child(int80_socketcall, &both, 0);
}
#else
static enum result live_abis(void)
{
	check_fail("for x86_64");
	return SKIP;
}
#endif

void live_groups(void)
{
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (report == MAP_FAILED) {
		check_report("live", check_fail("mmap: %m"));
		return;
	}
	check_report("live: six operators, 6 positions, 12 x 12 values", live_operators());
	check_report("live: MASKED_EQ, 8 masks, 6 positions, 12 x 12 values", live_masks());
	check_report("live: actions", live_actions());
	check_report("live: garbage in the upper half", in_child(garbage, NULL, 0));
	check_report("live: no privilege is EACCES with a hint",
		     in_child(without_privilege, NULL, 0));
	check_report("live: an unknown flag is named", in_child(unknown_flag, NULL, 0));
	check_report("live: TSYNC that fails is an error", in_child(tsync, NULL, 0));
	check_report("live: int 0x80, socketcall and x32", live_abis());
	munmap(report, sizeof(*report));
}
