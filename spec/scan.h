/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look at the raw text before the JSON library sees it.  The library is no
 * longer maintained: it read behind the end of a buffer on cut \u escapes
 * (CVE-2017-16516), counts buffer sizes wrongly on very long input
 * (CVE-2022-24795), takes form feeds for white space and overlong or surrogate
 * UTF-8 for text.  Whatever passes this scan gives it no chance for any of it.
 */
#ifndef BRYO_SPEC_SCAN_H
#define BRYO_SPEC_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/err.h"

/*
 * Refuse what is no JSON text on the level of bytes, and what is over the limits
 * of spec.h.  *ret_longest is the length of the longest string, as it is
 * written.  -1: err names line and column.
 */
int json_scan(const char *text, size_t len, size_t *ret_longest, struct err *err);

/* The same for an error at `offset`, found by somebody else. */
int json_error_at(struct err *err, const char *text, size_t offset, const char *why);

/* Is it UTF-8, without surrogates, overlong forms and NUL? */
bool utf8_valid(const char *s, size_t len);

#endif
