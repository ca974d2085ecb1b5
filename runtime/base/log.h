/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bryo says.  The last line on standard error is the error, complete.
 *
 * --log FILE: the text format takes everything; the JSON format takes exactly
 * one object, for an error, at the end (podman parses the whole file as one
 * object, containerd takes the last with level "error" and an RFC 3339 time).
 */
#ifndef BRYO_BASE_LOG_H
#define BRYO_BASE_LOG_H

#include <stdbool.h>

#include "runtime/base/err.h"

/* `file` may be NULL.  -1 and err when the file cannot be opened. */
int log_open(const char *file, bool json, bool debug, struct err *err);

bool log_is_debug(void);
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The error that ends the command. */
void log_error(const struct err *err);

#endif
