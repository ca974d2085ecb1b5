/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Included before every file that clang-tidy reads, one at a time: its analyzer has to be told what
 * err.h promises, or it goes on after an error.
 */
#include "runtime/base/err.h"

#define err_set(...) (err_set(__VA_ARGS__), -1)
#define err_at(...) (err_at(__VA_ARGS__), -1)
#define err_under(...) (err_under(__VA_ARGS__), -1)
#define err_hint(...) (err_hint(__VA_ARGS__), -1)
