/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a filter must answer, decided from the configuration alone, entry by
 * entry and in 64-bit arithmetic.  Slow, and without a line in common with the
 * compiler.  It knows the multiplexed calls of x86 only.
 */
#ifndef BRYO_TESTS_SECCOMP_REFERENCE_H
#define BRYO_TESTS_SECCOMP_REFERENCE_H

#include <linux/seccomp.h>
#include <stdint.h>

#include "spec/spec.h"

/* SECCOMP_RET_* with its data. */
uint32_t reference_verdict(const struct spec_seccomp *s, const struct seccomp_data *d);

#endif
