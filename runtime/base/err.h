/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error of a failed call: fixed size, so that making one cannot fail and
 * one datagram carries it from the box to the host.
 *
 * Every function that can fail returns 0 or -1 and takes `struct err *` last;
 * it is filled exactly when -1 is returned.  errno is an argument, so cleanup
 * on the way out cannot clobber it.  Folders never print and never exit.
 */
#ifndef BRYO_BASE_ERR_H
#define BRYO_BASE_ERR_H

#include <stddef.h>

/* Exit codes of bryo itself; the payload's own are passed through. */
enum {
	EXIT_BRYO = 125,     /* `run`: bryo failed */
	EXIT_NOEXEC = 126,   /* the payload exists and cannot be executed */
	EXIT_NOTFOUND = 127, /* the payload, or its interpreter, does not exist */
	EXIT_EXEC = 255      /* `exec`: bryo failed */
};

struct err {
	int num;        /* errno, 0 when the message says it all */
	int exit;       /* exit code asked for, 0 for the command's own */
	char step[24];  /* the row of the step table; the walker fills it */
	char ptr[164];  /* JSON pointer of the config element, or "" */
	char msg[320];  /* what was tried, on what */
	char hint[160]; /* what to do about it, or "" */
};

/*
 * Fill *e: `num` is an errno or 0, the rest formats the message.  Clears ptr
 * and hint.  Always returns -1, for `return err_set(...)`.
 */
int err_set(struct err *e, int num, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set(), with the JSON pointer of the element at fault. */
int err_at(struct err *e, const char *ptr, int num, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Put a pointer in front of the one that is there: err_under(e, "/mounts/%zu", i)
 * turns "/options/2" into "/mounts/3/options/2".  Returns -1.
 */
int err_under(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Add what the user can do about it.  Returns -1. */
int err_hint(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * One line, without a newline: "step: ptr: msg: strerror (hint)", each part
 * only when it is there.  Control characters (a hostile config may hold any)
 * come out as \xNN.  Always terminated.
 */
void err_format(const struct err *e, char *buf, size_t size);

/* strerror(3), but for ENOENT: see err.c. */
const char *err_describe(int num);

/*
 * Append a key to a JSON pointer, escaped as RFC 6901 wants (~0, ~1); cut off
 * silently at `size`.
 */
void ptr_append(char *ptr, size_t size, const char *key);

#endif
