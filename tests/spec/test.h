/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of spec/: one line for each check on standard output. */
#ifndef BRYO_TESTS_SPEC_TEST_H
#define BRYO_TESTS_SPEC_TEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "spec/spec.h"

/* A check; `fmt` says why when it has not passed. */
__attribute__((format(printf, 3, 4))) void check(bool passed, const char *name, const char *fmt,
						 ...);

/*
 * A check of many values under one name: group_fail() for each that is wrong,
 * the first is told.
 */
struct group {
	const char *name;
	size_t tried, failed;
	char why[512];
};

__attribute__((format(printf, 2, 3))) void group_fail(struct group *g, const char *fmt, ...);
void group_end(struct group *g);

/* Text that grows; ends the test program when there is no memory. */
struct text {
	char *s;
	size_t len, size;
};

void text_add(struct text *t, const char *s, size_t len);
__attribute__((format(printf, 2, 3))) void text_printf(struct text *t, const char *fmt, ...);
void text_finish(struct text *t);

/* The file below the directory of the tests. */
void text_read(struct text *t, const char *name);

/*
 * Parses from memory of exactly that size, so that a sanitizer sees every read
 * behind it.  `ret` has the error as it would be printed, or "ok".
 */
bool accepts(const char *s, size_t len, char *ret, size_t size);

/* The same, and the document written back; t may be NULL. */
bool rewrite(const char *s, size_t len, bool process, struct text *t, char *ret, size_t size);

/* The document with `value` at `ptr`; "-" takes what is there out.  false: no such place. */
bool edit(struct text *t, const char *doc, const char *ptr, const char *value);

extern const char *test_dir;

void test_bytes(void);
void test_edits(void);
void test_validate(void);
void test_files(void);
void test_tables(void);
void test_refused(void);
void test_cost(void);
void print_manual(void);

#endif
