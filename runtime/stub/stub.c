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
 * Called with argv = { path, "channel,[page],[apparmor],[selinux],[held]", what is written
 * for apparmor and for selinux if they are given, the payload's argv ... }; see struct stub_task.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "runtime/stub/handover.h"
#include "runtime/stub/stub.h"

/* Behind the image, where stub_write() puts it; see stub.ld. */
extern const struct stub_params stub_params __attribute__((visibility("hidden")));

#if defined(__x86_64__)
__asm__(".globl _start\n"
	"_start:\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call stub_main\n");

static long call6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n"
	"_start:\n"
	"	mov x0, sp\n"
	"	bl stub_main\n");

static long call6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
#elif defined(__riscv) && __riscv_xlen == 64
__asm__(".globl _start\n"
	"_start:\n"
	"	mv a0, sp\n"
	"	andi sp, sp, -16\n"
	"	call stub_main\n");

static long call6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long a7 __asm__("a7") = nr;
	register long a0 __asm__("a0") = a;
	register long a1 __asm__("a1") = b;
	register long a2 __asm__("a2") = c;
	register long a3 __asm__("a3") = d;
	register long a4 __asm__("a4") = e;
	register long a5 __asm__("a5") = f;

	__asm__ volatile("ecall"
			 : "+r"(a0)
			 : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5)
			 : "memory");
	return a0;
}
#else
#error "the stub needs _start and a system call for this architecture"
#endif

static long call(long nr, long a, long b, long c)
{
	return call6(nr, a, b, c, 0, 0, 0);
}

/* The first number of a list, -1 when it is left out; *s is behind it and the comma. */
static int number(const char **s)
{
	int n = **s && **s != ',' ? 0 : -1;

	while (**s && **s != ',')
		n = n * 10 + (*(*s)++ - '0');
	if (**s)
		(*s)++;
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

/* The page in which the host finds the listener: see handover.h. */
static struct handover *map_page(int chan, int fd)
{
	long p = call6(SYS_mmap, 0, HANDOVER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	call(SYS_close, fd, 0, 0);
	if (p < 0 && p > -4096)
		fail(chan, STUB_FILTER, p);
	return (struct handover *)p;
}

/* The filter, and its listener into other hands before the next call. */
static void install(int chan, struct handover *page)
{
	const struct stub_params *p = &stub_params;
	struct {
		unsigned short len;
		const struct sock_filter *filter;
	} program = {(unsigned short)p->len, p->insns};
	long result = call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, p->flags, (long)&program);

	/* With TSYNC the answer may be a thread; there is one only. */
	if (result < 0 || (result && !page))
		fail(chan, STUB_FILTER, result);
	if (page && !handover(page, (int)result))
		fail(chan, STUB_FILTER, -ETIMEDOUT);
}

/* For the next program that we execute: see ns/apparmor.c; and ns/procfs.h, why so. */
static void confine(int chan, char who, int dir, const char *request)
{
	const struct open_how how = {.flags = O_WRONLY | O_CLOEXEC,
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV |
						RESOLVE_NO_MAGICLINKS};
	long fd = call6(SYS_openat2, dir, (long)"exec", (long)&how, sizeof(how), 0, 0);
	long len = 0, n;

	while (request[len])
		len++;
	n = fd < 0 ? fd : call(SYS_write, fd, (long)request, len);
	if (n != len)
		fail(chan, who, n < 0 ? n : -EIO);
	call(SYS_close, fd, 0, 0);
	call(SYS_close, dir, 0, 0);
}

_Noreturn void stub_main(long *stack);

_Noreturn void stub_main(long *stack)
{
	long argc = stack[0];
	char **argv = (char **)(stack + 1), **envp = argv + argc + 1;
	struct handover *page = 0;
	const char *numbers;
	int chan, fd, apparmor, selinux, held;
	char **next = argv + 2;

	/* By our file's mode we are not (see row_exec_apply()), unless fs.suid_dumpable is 1. */
	call(SYS_prctl, PR_SET_DUMPABLE, 0, 0);
	/* Somebody has executed it himself, by /proc/self/exe. */
	if (argc < 3)
		fail(-1, STUB_EXEC, -2);
	numbers = argv[1];
	chan = number(&numbers);
	fd = number(&numbers);
	apparmor = number(&numbers);
	selinux = number(&numbers);
	held = number(&numbers);

	call(SYS_fcntl, chan, F_SETFD, FD_CLOEXEC);
	if (held >= 0)
		call(SYS_fcntl, held, F_SETFD, FD_CLOEXEC);
	if (fd >= 0)
		page = map_page(chan, fd);
	if (apparmor >= 0)
		confine(chan, STUB_APPARMOR, apparmor, *next++);
	if (selinux >= 0)
		confine(chan, STUB_SELINUX, selinux, *next++);
	if (stub_params.len)
		install(chan, page);
	fail(chan, STUB_EXEC, call(SYS_execve, (long)argv[0], (long)next, (long)envp));
}
