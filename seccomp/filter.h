/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp filters: from the configuration to a BPF program, and into the
 * kernel.  Compiling is a pure function of the configuration, of libseccomp's
 * tables (names, numbers, architectures) and of the native architecture, so
 * that its result can be cached.
 *
 * Several entries may match one call: the strictest one decides, in the kernel's
 * own order for stacked filters (KILL_PROCESS, KILL_THREAD, TRAP, ERRNO, NOTIFY,
 * TRACE, LOG, ALLOW); among equally strict ones the first of the configuration.  Of
 * the entries without conditions for one call, only the first counts.  The
 * conditions of one entry are ANDed.  filter.c has the reasons.
 */
#ifndef BRYO_SECCOMP_FILTER_H
#define BRYO_SECCOMP_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/err.h"
#include "spec/spec.h"

/* The program owns insns: filter_finish() frees them. */
struct filter {
	struct sock_filter *insns;
	size_t n;           /* <= BPF_MAXINSNS */
	unsigned int flags; /* SECCOMP_FILTER_FLAG_* for seccomp(2) */
	/* What the caller should warn about: */
	bool repeated_index; /* an entry tests one argument twice: its conditions were ORed */
	bool multiplexed;    /* conditions on a call that socketcall(2) or ipc(2) also reaches */
	bool shadowed;       /* an entry is stricter than an earlier one, which counts */
};

/*
 * Compile /linux/seccomp.  err->ptr is the full pointer (/linux/seccomp/...).
 * System calls whose names libseccomp does not know are skipped when their
 * action is weaker than the default action or as strict (they fall to the
 * default), and are an error otherwise.
 */
int filter_compile(const struct spec_seccomp *s, struct filter *ret, struct err *err);

/*
 * Install on the calling thread; seccomp(2).  Needs no_new_privs or CAP_SYS_ADMIN.
 * *ret_listener is the close-on-exec descriptor of who answers for
 * SCMP_ACT_NOTIFY, or -1 when no call is left to anybody.
 */
int filter_install(const struct filter *f, int *ret_listener, struct err *err);

/* Does this libseccomp know SCMP_ARCH_...? */
bool filter_has_architecture(const char *name);

void filter_finish(struct filter *f);

#endif
