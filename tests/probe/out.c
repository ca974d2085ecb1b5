// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

/* One process, one report: a file-scope buffer is the simplest thing. */
static char *buf;
static size_t len, cap;
static bool first = true;

static void put(const char *s, size_t n)
{
	if (len + n > cap) {
		cap = (len + n) * 2 + 65536;
		buf = realloc(buf, cap);
		if (!buf)
			abort();
	}
	memcpy(buf + len, s, n);
	len += n;
}

static void puts_(const char *s)
{
	put(s, strlen(s));
}

/* Bytes outside ASCII become code points of the same number (latin-1). */
static void quote(const char *s, size_t n)
{
	char esc[8];

	put("\"", 1);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\') {
			esc[0] = '\\';
			esc[1] = (char)c;
			put(esc, 2);
		} else if (c < 0x20 || c >= 0x7f) {
			snprintf(esc, sizeof(esc), "\\u%04x", c);
			put(esc, 6);
		} else {
			put((const char *)&c, 1);
		}
	}
	put("\"", 1);
}

static void lead(const char *key)
{
	if (!first)
		put(",\n", 2);
	first = false;
	if (key) {
		quote(key, strlen(key));
		put(":", 1);
	}
}

void out_open(const char *key, char bracket)
{
	lead(key);
	put(&bracket, 1);
	first = true;
}

void out_close(char bracket)
{
	put(&bracket, 1);
	first = false;
}

void out_null(const char *key)
{
	lead(key);
	puts_("null");
}

void out_strn(const char *key, const char *s, size_t n)
{
	lead(key);
	quote(s, n);
}

void out_str(const char *key, const char *s)
{
	if (s)
		out_strn(key, s, strlen(s));
	else
		out_null(key);
}

static void out_printf(const char *key, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void out_printf(const char *key, const char *fmt, ...)
{
	char text[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	lead(key);
	puts_(text);
}

void out_int(const char *key, long long v)
{
	out_printf(key, "%lld", v);
}

void out_uint(const char *key, unsigned long long v)
{
	out_printf(key, "%llu", v);
}

void out_hex(const char *key, unsigned long long v)
{
	out_printf(key, "\"%016llx\"", v);
}

void out_bool(const char *key, bool v)
{
	lead(key);
	puts_(v ? "true" : "false");
}

const char *errno_name(int num)
{
	const char *name = strerrorname_np(num);

	return name ? name : "unknown";
}

void out_errno(const char *key, int num)
{
	out_str(key, num ? errno_name(num) : "ok");
}

int out_flush(void)
{
	size_t done = 0;

	put("\n", 1);
	while (done < len) {
		ssize_t n = write(STDOUT_FILENO, buf + done, len - done);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}
