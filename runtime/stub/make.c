/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/err.h"
#include "runtime/base/fd.h"
#include "runtime/stub/stub.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/* The program itself, as the linker made it of stub.c. */
__asm__(".section .rodata\n"
	".balign 16\n"
	".globl stub_image\n"
	"stub_image:\n"
	".incbin \"" STUB_IMAGE "\"\n"
	".globl stub_image_end\n"
	"stub_image_end:\n"
	".previous\n");
extern const char stub_image[], stub_image_end[];

/*
 * Where vm.memfd_noexec is set the wish to execute must be said (memfd_create(2),
 * Linux 6.3); older kernels do not know the flag.
 */
static int memory_file(void)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("bryo-stub", flags | MFD_EXEC);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("bryo-stub", flags);
	return fd;
}

/* The segment grows by what is appended to the file. */
static void patch_headers(char *head, size_t grown)
{
	Elf64_Ehdr *e = (Elf64_Ehdr *)head;
	Elf64_Phdr *p = (Elf64_Phdr *)(head + e->e_phoff);

	p->p_filesz += grown;
	p->p_memsz += grown;
}

/* The linker ends the segment where the parameters begin. */
static size_t program_size(void)
{
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)stub_image;
	const Elf64_Phdr *p = (const Elf64_Phdr *)(stub_image + e->e_phoff);

	return p->p_filesz;
}

static int write_image(int fd, const struct stub_params *head, const struct sock_filter *insns)
{
	size_t code = program_size(), filter = head->len * sizeof(*insns);
	_Alignas(16) char copy[4096];

	if (code > sizeof(copy)) {
		errno = ENOEXEC;
		return -1;
	}
	memcpy(copy, stub_image, code);
	patch_headers(copy, sizeof(*head) + filter);
	if (fd_write_all(fd, copy, code) < 0 || fd_write_all(fd, head, sizeof(*head)) < 0 ||
	    fd_write_all(fd, insns, filter) < 0)
		return -1;
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
}

int stub_make(const struct sock_filter *insns, size_t len, unsigned int flags, struct err *err)
{
	struct stub_params head = {.len = (uint32_t)len, .flags = flags};
	auto_close int fd = memory_file();

	if (fd < 0) {
		err_set(err, errno, "make an executable memory file");
		if (err->num == EACCES)
			err_hint(err, "sysctl vm.memfd_noexec forbids it: 2 must not be set here");
		return -1;
	}
	/* What cannot be read is not dumpable when it runs: nobody traces it (ptrace(2)). */
	if (write_image(fd, &head, insns) < 0 || fchmod(fd, 0111) < 0)
		return err_set(err, errno, "write the program that starts the payload");
	return fd_take(&fd);
}

/* The stub inherits it; -1 is nothing. */
static int let_through(int fd)
{
	return fd < 0 ? 0 : fcntl(fd, F_SETFD, 0);
}

/* "chan,page,apparmor,selinux,held": what there is not is left out. */
static void write_numbers(char *text, size_t size, const struct stub_task *t)
{
	const int more[] = {t->page, t->apparmor.dir, t->selinux.dir, t->held};
	int n = snprintf(text, size, "%d", t->chan);

	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		n += more[i] < 0 ? snprintf(text + n, size - (size_t)n, ",")
				 : snprintf(text + n, size - (size_t)n, ",%d", more[i]);
}

int stub_exec(const struct stub_task *t)
{
	size_t n = 0, first = 0;
	char numbers[64];
	char **args;

	while (t->argv[n])
		n++;
	args = malloc((n + 5) * sizeof(*args));
	if (!args)
		return -1;
	write_numbers(numbers, sizeof(numbers), t);
	args[first++] = (char *)t->path;
	args[first++] = numbers;
	if (t->apparmor.dir >= 0)
		args[first++] = (char *)t->apparmor.request;
	if (t->selinux.dir >= 0)
		args[first++] = (char *)t->selinux.request;
	memcpy(args + first, t->argv, (n + 1) * sizeof(*args));
	if (!let_through(t->chan) && !let_through(t->page) && !let_through(t->apparmor.dir) &&
	    !let_through(t->selinux.dir) && !let_through(t->held))
		execveat(t->stub, "", args, t->env, AT_EMPTY_PATH);
	free(args);
	return -1;
}
