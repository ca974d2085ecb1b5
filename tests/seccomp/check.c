/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/seccomp/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/seccomp/bpf.h"
#include "tests/seccomp/reference.h"

char check_why[512];

const uint64_t check_values[N_VALUES] = {
	0,
	1,
	(1ULL << 31) - 1,
	1ULL << 31,
	(1ULL << 31) + 1,
	(1ULL << 32) - 1,
	1ULL << 32,
	(1ULL << 32) + 1,
	(1ULL << 63) - 1,
	1ULL << 63,
	(1ULL << 63) + 1,
	UINT64_MAX,
};

const uint64_t check_masks[N_MASKS] = {
	0, 0xff, 1ULL << 31, UINT32_MAX, 1ULL << 32, 0xffffffff00000000, 1ULL << 63, UINT64_MAX,
};

enum result check_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(check_why, sizeof(check_why), fmt, ap);
	va_end(ap);
	return FAIL;
}

enum result check_compile(const struct spec_seccomp *s, struct filter *f)
{
	struct err err;
	const char *why;
	char text[512];

	if (filter_compile(s, f, &err)) {
		err_format(&err, text, sizeof(text));
		return check_fail("does not compile: %s", text);
	}
	why = bpf_check(f->insns, f->n);
	if (!why)
		return PASS;
	filter_finish(f);
	return check_fail("the kernel would refuse it: %s", why);
}

enum result check_same(const struct spec_seccomp *s, const struct filter *f,
		       const struct seccomp_data *d)
{
	uint32_t got = 0, want = reference_verdict(s, d);
	const char *why = bpf_run(f->insns, f->n, d, &got);

	if (why)
		return check_fail("the program %s", why);
	if (got == want)
		return PASS;
	return check_fail("arch %#x nr %d args %#llx %#llx %#llx %#llx %#llx %#llx: "
			  "%#x instead of %#x",
			  d->arch, d->nr, d->args[0], d->args[1], d->args[2], d->args[3],
			  d->args[4], d->args[5], got, want);
}
