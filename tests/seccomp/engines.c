/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profiles of the engines, call by call: against the reference, and against
 * the program that libseccomp's own generator makes of them, which is what the
 * peers install.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "tests/seccomp/bpf.h"
#include "tests/seccomp/check.h"

enum { NUMBERS = 1024 };

static const uint32_t audits[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_X86_64,
				  AUDIT_ARCH_AARCH64};
static const uint32_t bits[] = {0, 0, 0x40000000, 0};

/* Arguments that the profiles look at: personality, socket, clone. */
static const uint64_t samples[][3] = {
	{0, 0, 0},  {8, 0, 0},  {0x20000, 0, 0},    {0x20008, 0, 0},    {0xffffffff, 0, 0},
	{16, 3, 9}, {16, 3, 0}, {1, 3, 9},          {40, 1, 0},         {2, 1, 0},
	{38, 5, 0}, {1, 0, 0},  {0x7e020000, 0, 0}, {0x10000000, 0, 0}, {0x01200011, 0, 0}};

/* ---- libseccomp's program ---- */

static uint32_t action_word(int action, struct opt_u64 ret)
{
	uint32_t data = (uint32_t)(ret.set ? ret.v : 1);

	switch (action) {
	case ACT_ERRNO:
		return SCMP_ACT_ERRNO(data);
	case ACT_KILL_PROCESS:
		return SCMP_ACT_KILL_PROCESS;
	case ACT_KILL_THREAD:
		return SCMP_ACT_KILL_THREAD;
	case ACT_LOG:
		return SCMP_ACT_LOG;
	case ACT_TRACE:
		return SCMP_ACT_TRACE(data);
	case ACT_TRAP:
		return SCMP_ACT_TRAP;
	default:
		return SCMP_ACT_ALLOW;
	}
}

static void peer_add(scmp_filter_ctx ctx, const struct spec_syscall *sys, uint32_t fallback)
{
	uint32_t action = action_word(sys->action, sys->errnoRet);
	struct scmp_arg_cmp args[6];

	if (action == fallback || sys->args.n > 6)
		return;
	for (size_t i = 0; i < sys->args.n; i++)
		args[i] = (struct scmp_arg_cmp){.arg = sys->args.v[i].index,
						.op = (enum scmp_compare)sys->args.v[i].op,
						.datum_a = sys->args.v[i].value,
						.datum_b = sys->args.v[i].valueTwo};
	for (size_t i = 0; i < sys->names.n; i++) {
		int nr = seccomp_syscall_resolve_name(sys->names.v[i]);

		if (nr != __NR_SCMP_ERROR)
			seccomp_rule_add_array(ctx, action, nr, (unsigned int)sys->args.n, args);
	}
}

static scmp_filter_ctx peer_context(const struct spec_seccomp *s)
{
	uint32_t fallback = action_word(s->defaultAction, s->defaultErrnoRet);
	scmp_filter_ctx ctx = seccomp_init(fallback);

	if (!ctx)
		return NULL;
	seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	for (size_t i = 0; i < s->architectures.n; i++) {
		const char *name = s->architectures.v[i] + strlen("SCMP_ARCH_");
		char lower[32] = "";

		for (size_t j = 0; name[j] && j + 1 < sizeof(lower); j++)
			lower[j] = (char)tolower((unsigned char)name[j]);
		seccomp_arch_add(ctx, seccomp_arch_resolve_name(lower));
	}
	for (size_t i = 0; i < s->syscalls.n; i++)
		peer_add(ctx, &s->syscalls.v[i], fallback);
	return ctx;
}

static int peer_program(const struct spec_seccomp *s, struct sock_filter *insns, size_t *n)
{
	auto_close int fd = memfd_create("peer", MFD_CLOEXEC);
	scmp_filter_ctx ctx = peer_context(s);
	ssize_t len = -1;

	if (ctx && fd >= 0 && !seccomp_export_bpf(ctx, fd))
		len = pread(fd, insns, BPF_MAXINSNS * sizeof(*insns), 0);
	if (ctx)
		seccomp_release(ctx);
	*n = len > 0 ? (size_t)len / sizeof(*insns) : 0;
	return *n ? 0 : -1;
}

/* ---- the walk ---- */

static struct seccomp_data nth_call(size_t i)
{
	size_t arch = i % 4, nr = i / 4 % NUMBERS, sample = i / 4 / NUMBERS;
	struct seccomp_data d = {.arch = audits[arch], .nr = (int)(nr | bits[arch])};

	for (int a = 0; a < 3; a++)
		d.args[a] = samples[sample][a];
	return d;
}

/* socketcall(2) and ipc(2) are where bryo does not do as libseccomp does. */
static bool multiplexer(const struct seccomp_data *d)
{
	return d->arch == AUDIT_ARCH_I386 && (d->nr == 102 || d->nr == 117);
}

static enum result same_as_peer(const struct filter *f, const struct sock_filter *peer, size_t n,
				const struct seccomp_data *d)
{
	uint32_t ours = 0, theirs = 0;

	if (multiplexer(d))
		return PASS;
	bpf_run(f->insns, f->n, d, &ours);
	bpf_run(peer, n, d, &theirs);
	if (ours == theirs)
		return PASS;
	return check_fail("arch %#x nr %d args %#llx %#llx %#llx: %#x, libseccomp's %#x", d->arch,
			  d->nr, d->args[0], d->args[1], d->args[2], ours, theirs);
}

static enum result walk(const struct spec_seccomp *s, struct filter *f, size_t *ret_peer)
{
	static struct sock_filter peer[BPF_MAXINSNS];
	size_t n, samples_n = sizeof(samples) / sizeof(*samples);

	if (peer_program(s, peer, &n))
		return check_fail("libseccomp makes no program of it");
	*ret_peer = n;
	for (size_t i = 0; i < 4 * NUMBERS * samples_n; i++) {
		struct seccomp_data d = nth_call(i);

		if (same_as_peer(f, peer, n, &d) != PASS)
			return FAIL;
		/* The reference is slow, and most calls have no conditions. */
		if (i >= 4 * NUMBERS * 2 && i % 7)
			continue;
		if (check_same(s, f, &d) != PASS)
			return FAIL;
	}
	return PASS;
}

static enum result try_profile(const struct spec_seccomp *s, const char *file)
{
	struct filter f;
	size_t peer = 0;
	enum result r = check_compile(s, &f);

	if (r != PASS)
		return r;
	r = walk(s, &f, &peer);
	printf("# %s: %zu instructions, libseccomp %zu\n", file, f.n, peer);
	filter_finish(&f);
	return r;
}

static enum result try_file(int dir, const char *file, struct arena *a)
{
	auto_close int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	struct spec *spec;
	struct err err;
	char *text;
	size_t len;

	if (fd < 0 || fd_read_all(fd, SPEC_MAX_BYTES, a, &text, &len))
		return check_fail("cannot read it");
	/* The process.json of an exec, or without a filter: not for this test. */
	if (spec_parse(text, len, a, &spec, &err) || !spec->linux_ || !spec->linux_->seccomp)
		return SKIP;
	return try_profile(spec->linux_->seccomp, file);
}

void engine_groups(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	enum result r;
	bool any = false;

	if (!dir) {
		check_fail("no directory %.200s", path);
		check_report("engine profiles", SKIP);
		return;
	}
	while ((e = readdir(dir))) {
		const char *dot = strrchr(e->d_name, '.');
		struct arena a = {0};
		char name[300];

		if (!dot || strcmp(dot, ".json") != 0)
			continue;
		snprintf(name, sizeof(name), "profile %s", e->d_name);
		r = try_file(dirfd(dir), e->d_name, &a);
		if (r != SKIP)
			check_report(name, r);
		any |= r != SKIP;
		arena_finish(&a);
	}
	closedir(dir);
	if (!any)
		check_report("engine profiles", check_fail("none in %.200s", path));
}
