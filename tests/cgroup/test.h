/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of cgroup/: one line for each check on standard output. */
#ifndef BRYO_TESTS_CGROUP_TEST_H
#define BRYO_TESTS_CGROUP_TEST_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/spec.h"

__attribute__((format(printf, 3, 4))) void check(bool passed, const char *name, const char *fmt,
						 ...);

/* ---- interpreter.c ---- */

/* What the kernel hands to the program. */
struct request {
	uint32_t type, major, minor, access;
};

/*
 * The verdict of a program, 0 or 1.  -1: the kernel's verifier would refuse it,
 * or it does what it may not; *why says what.
 */
int interpret(const struct bpf_insn *v, size_t n, const struct request *q, const char **why);

/* Every instruction that can be reached; *why says what is wrong, or NULL. */
bool verify(const struct bpf_insn *v, size_t n, const char **why);

void test_limits(void);
void test_devices(void);
void test_paths(void);
void test_scope(void);

#endif
