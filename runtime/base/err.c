/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int num, const char *fmt, ...)
{
	va_list ap;

	*e = (struct err){.num = num};
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	return -1;
}

int err_at(struct err *e, const char *ptr, int num, const char *fmt, ...)
{
	va_list ap;

	*e = (struct err){.num = num};
	snprintf(e->ptr, sizeof(e->ptr), "%s", ptr);
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	return -1;
}

int err_under(struct err *e, const char *fmt, ...)
{
	char prefix[sizeof(e->ptr)], whole[2 * sizeof(e->ptr)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(prefix, sizeof(prefix), fmt, ap);
	va_end(ap);
	snprintf(whole, sizeof(whole), "%s%s", prefix, e->ptr);
	memcpy(e->ptr, whole, sizeof(e->ptr) - 1);
	e->ptr[sizeof(e->ptr) - 1] = '\0';
	return -1;
}

int err_hint(struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->hint, sizeof(e->hint), fmt, ap);
	va_end(ap);
	return -1;
}

/* Bytes of the UTF-8 character at s; 0 when it is none, or cut off. */
static size_t utf8_length(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* Appends s to the text that ends at *pos, escaping what could forge lines. */
static void put(char *buf, size_t size, size_t *pos, const char *s)
{
	while (*s && *pos + 5 < size) {
		size_t n = utf8_length((const unsigned char *)s);
		unsigned char c = (unsigned char)*s;

		if (!n || c < 0x20 || c == 0x7f) {
			*pos += (size_t)snprintf(buf + *pos, size - *pos, "\\x%02x", c);
			s++;
			continue;
		}
		memcpy(buf + *pos, s, n);
		*pos += n;
		s += n;
	}
	buf[*pos] = '\0';
}

/*
 * podman takes the C library's words for ENOENT as those of a payload that is
 * not there, and exits with 127 whatever was missing.  Only payload.c says them.
 */
const char *err_describe(int num)
{
	return num == ENOENT ? "not found" : strerror(num);
}

void err_format(const struct err *e, char *buf, size_t size)
{
	size_t pos = 0;

	buf[0] = '\0';
	if (e->step[0]) {
		put(buf, size, &pos, e->step);
		put(buf, size, &pos, ": ");
	}
	if (e->ptr[0]) {
		put(buf, size, &pos, e->ptr);
		put(buf, size, &pos, ": ");
	}
	put(buf, size, &pos, e->msg);
	if (e->num) {
		put(buf, size, &pos, ": ");
		put(buf, size, &pos, err_describe(e->num));
	}
	if (e->hint[0]) {
		put(buf, size, &pos, " (");
		put(buf, size, &pos, e->hint);
		put(buf, size, &pos, ")");
	}
}

void ptr_append(char *ptr, size_t size, const char *key)
{
	size_t pos = strlen(ptr);

	if (pos + 1 < size)
		ptr[pos++] = '/';
	for (; *key && pos + 2 < size; key++) {
		if (*key == '~' || *key == '/') {
			ptr[pos++] = '~';
			ptr[pos++] = *key == '~' ? '0' : '1';
		} else {
			ptr[pos++] = *key;
		}
	}
	ptr[pos] = '\0';
}
