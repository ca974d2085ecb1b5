/* SPDX-License-Identifier: Apache-2.0 */
/* What the groups of this test share. */
#ifndef BRYO_TESTS_SECCOMP_CHECK_H
#define BRYO_TESTS_SECCOMP_CHECK_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seccomp/filter.h"
#include "spec/spec.h"

enum result { FAIL, PASS, SKIP };

/* Why the current group failed or was skipped. */
extern char check_why[512];

/* Set check_why; returns FAIL. */
enum result check_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Print the line of a group and count it. */
void check_report(const char *name, enum result result);

/* Compile, and let the kernel's own checks look at the program; FAIL with check_why. */
enum result check_compile(const struct spec_seccomp *s, struct filter *f);

/* The interpreter's verdict is the reference's; FAIL with check_why. */
enum result check_same(const struct spec_seccomp *s, const struct filter *f,
		       const struct seccomp_data *d);

/* 0, 1 and the neighbourhoods of 2^31, 2^32, 2^63 and 2^64. */
enum { N_VALUES = 12, N_MASKS = 8 };
extern const uint64_t check_values[N_VALUES];
extern const uint64_t check_masks[N_MASKS];

/* An entry for one or more names, and a list of architectures. */
/* Versions of clang-format disagree about braces in macros. */
/* clang-format off */
#define NAMES(...)                                                                                 \
	{.v = (char *[]){__VA_ARGS__, NULL},                                                       \
	 .n = sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)}
#define ARGS(...)                                                                                  \
	{.v = (struct spec_arg[]){__VA_ARGS__},                                                    \
	 .n = sizeof((struct spec_arg[]){__VA_ARGS__}) / sizeof(struct spec_arg)}
#define SYSCALLS(...)                                                                              \
	{.v = (struct spec_syscall[]){__VA_ARGS__},                                                \
	 .n = sizeof((struct spec_syscall[]){__VA_ARGS__}) / sizeof(struct spec_syscall)}
/* clang-format on */

/* The groups that live in other files. */
void random_groups(void);
void live_groups(void);
void engine_groups(const char *path);

#endif
