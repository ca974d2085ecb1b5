/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BRYO_TESTS_SELINUX_H
#define BRYO_TESTS_SELINUX_H

#include <stdbool.h>

void check(bool ok, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

void test_labels(void);

#endif
