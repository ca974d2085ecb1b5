/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program between bryo and the payload: a few hundred bytes that the box
 * executes from a sealed memory file, and that then execute the payload.
 *
 * Trust boundary: a payload whose interpreter is /proc/self/exe is executed by
 * the program that calls execve(2).  Were that bryo, a hostile image would get
 * hold of the host's executable, and could write to it later (CVE-2019-5736).
 * It is this program, of which there is nothing to be had.
 *
 * No C library: its start-up would cost more than all that is done here.
 * Called with argv = { path, channel, the payload's argv ... }.
 */
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "runtime/stub/stub.h"

/* Behind the image, where stub_write() puts it; see stub.ld. */
extern const struct stub_params stub_params __attribute__((visibility("hidden")));

#if defined(__x86_64__)
__asm__(".globl _start\n"
	"_start:\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call stub_main\n");

static long call(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n"
	"_start:\n"
	"	mov x0, sp\n"
	"	bl stub_main\n");

static long call(long nr, long a, long b, long c)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
}
#elif defined(__riscv) && __riscv_xlen == 64
__asm__(".globl _start\n"
	"_start:\n"
	"	mv a0, sp\n"
	"	andi sp, sp, -16\n"
	"	call stub_main\n");

static long call(long nr, long a, long b, long c)
{
	register long a7 __asm__("a7") = nr;
	register long a0 __asm__("a0") = a;
	register long a1 __asm__("a1") = b;
	register long a2 __asm__("a2") = c;

	__asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
	return a0;
}
#else
#error "the stub needs _start and a system call for this architecture"
#endif

static int number(const char *s)
{
	int n = 0;

	while (*s)
		n = n * 10 + (*s++ - '0');
	return n;
}

/* Tell the host; a filter may forbid it, the exit status remains. */
static _Noreturn void fail(int chan, char what, long error)
{
	struct stub_message m = {.what = what, .num = (unsigned char)-error};

	call(SYS_write, chan, (long)&m, sizeof(m));
	for (;;)
		call(SYS_exit_group, -error == 2 /* ENOENT */ ? 127 : 126, 0, 0);
}

_Noreturn void stub_main(long *stack);

_Noreturn void stub_main(long *stack)
{
	long argc = stack[0];
	char **argv = (char **)(stack + 1), **envp = argv + argc + 1;
	const struct stub_params *p = &stub_params;
	struct {
		unsigned short len;
		const struct sock_filter *filter;
	} program = {(unsigned short)p->len, p->insns};
	int chan;
	long error;

	/* Should we be readable after all, by a capability: see stub_make(). */
	call(SYS_prctl, PR_SET_DUMPABLE, 0, 0);
	/* Somebody has executed it himself, by /proc/self/exe. */
	if (argc < 3)
		fail(-1, STUB_EXEC, -2);
	chan = number(argv[1]);

	call(SYS_fcntl, chan, F_SETFD, FD_CLOEXEC);
	if (p->len) {
		error = call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, p->flags, (long)&program);
		/* With TSYNC the answer may be a thread; there is one only. */
		if (error)
			fail(chan, STUB_FILTER, error);
	}
	error = call(SYS_execve, (long)argv[0], (long)(argv + 2), (long)envp);
	fail(chan, STUB_EXEC, error);
}
