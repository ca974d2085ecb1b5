/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of bryo's own that it executes: those that need shared libraries. */
#ifndef BRYO_BASE_HELPER_H
#define BRYO_BASE_HELPER_H

#include "runtime/base/err.h"

/* A handle to execute: beside bryo itself, as in the build; else where it is installed. */
int helper_open(const char *name, struct err *err);

#endif
