/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks of the test build (build/bryo-test, -DBRYO_FAULTS).  In bryo itself
 * they are empty.
 *
 * BRYO_SKIP=ROW takes a row away, BRYO_FAIL=ROW makes it fail, and BRYO_KILL=ROW
 * kills the host with SIGKILL when that row is about to run, on either side.
 */
#ifndef BRYO_RUNTIME_FAULTS_H
#define BRYO_RUNTIME_FAULTS_H

#include <stdbool.h>

#include "runtime/box.h"

#ifdef BRYO_FAULTS
/* In the host, before the clone. */
void faults_prepare(struct box *b);
/* Before a row: true when it must not run; *ret is then its result. */
bool faults_inject(struct box *b, const char *row, int *ret, struct err *err);
#else
static inline void faults_prepare(struct box *b)
{
	(void)b;
}

static inline bool faults_inject(struct box *b, const char *row, int *ret, struct err *err)
{
	(void)b;
	(void)row;
	(void)ret;
	(void)err;
	return false;
}
#endif

#endif
