/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/err.h"

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

/* Appends s to the text that ends at *pos, escaping what could forge lines. */
static void put(char *buf, size_t size, size_t *pos, const char *s)
{
	for (; *s && *pos + 5 < size; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f)
			*pos += (size_t)snprintf(buf + *pos, size - *pos, "\\x%02x", c);
		else
			buf[(*pos)++] = (char)c;
	}
	buf[*pos] = '\0';
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
		put(buf, size, &pos, strerror(e->num));
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
