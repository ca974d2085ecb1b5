/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code generator behind filter_compile(): tables of rules in, classic BPF
 * out.  It knows nothing of names or of the configuration's other members.
 *
 * Only the instructions that the kernel's seccomp_is_const_allow() can follow
 * are used to reach a verdict that does not depend on arguments, so the kernel
 * skips the program altogether for calls which are always allowed.
 */
#ifndef BRYO_SECCOMP_PROGRAM_H
#define BRYO_SECCOMP_PROGRAM_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/arena.h"
#include "spec/spec.h"

struct program {
	struct sock_filter *insns; /* room for max */
	size_t n, max;
	bool full;     /* did not fit; what is there must not be used */
	bool shadowed; /* a rule that does not count is stricter than the one that does */
};

/*
 * One rule for one system call number.  No args: it always matches, and of such
 * rules for one number only the first counts.
 */
struct rule {
	uint32_t nr, action; /* action: SECCOMP_RET_* with its data */
	size_t order;        /* position in the configuration */
	const struct spec_arg *args;
	size_t n_args; /* ANDed */
};
LIST(rule);

/* The rules of one architecture. */
struct abi {
	uint32_t token; /* SCMP_ARCH_* */
	struct rules rules;
	size_t cap;
};

/* Is action a stricter than b?  The kernel's order, without the data. */
bool program_stricter(uint32_t a, uint32_t b);

/*
 * Append the whole program: dispatch on the architecture, then on the number.
 * Rules come in the order of the configuration; they are sorted, and those that
 * do not count dropped.  `fallback` is for calls no rule matches, `alien` for
 * architectures that are not in the list.  -1: no memory.
 */
int program_write(struct program *p, struct abi *abis, size_t n_abis, uint32_t fallback,
		  uint32_t alien, struct arena *a);

#endif
