/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/scan.h"

#include <stdint.h>
#include <string.h>

#include "spec/spec.h"

struct scan {
	const unsigned char *text, *end, *at;
	size_t depth, longest;
	const char *why; /* set by what fails; `at` is the place */
};

int json_error_at(struct err *err, const char *text, size_t offset, const char *why)
{
	size_t line = 1, start = 0;

	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			line++;
			start = i + 1;
		}
	}
	return err_set(err, 0, "line %zu, column %zu: %s", line, offset - start + 1, why);
}

/*
 * The length of the UTF-8 sequence at p, 0 when there is none.  Table 3-7 of
 * the Unicode standard: the second byte has narrower bounds behind E0 (overlong),
 * ED (surrogates), F0 (overlong) and F4 (above U+10FFFF).
 */
static size_t utf8_length(const unsigned char *p, const unsigned char *end)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if ((size_t)(end - p) < n)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	}
	return n;
}

bool utf8_valid(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + len;

	while (p < end) {
		size_t n = utf8_length(p, end);

		if (!n || !*p)
			return false;
		p += n;
	}
	return true;
}

static bool fail(struct scan *s, const char *why)
{
	s->why = why;
	return false;
}

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits behind \u; -1: they are not there. */
static int hex4(const struct scan *s, const unsigned char *p)
{
	int v = 0;

	if (s->end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int d = hex_digit(p[i]);

		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

/* At the 'u' of an escape; a high surrogate takes the low one with it. */
static bool scan_unicode(struct scan *s)
{
	int v = hex4(s, s->at + 1);
	int low;

	if (v < 0)
		return fail(s, "\\u needs four hexadecimal digits");
	if (v == 0)
		return fail(s, "NUL in a string");
	if (v < 0xd800 || v > 0xdfff) {
		s->at += 5;
		return true;
	}
	low = -1;
	if (v < 0xdc00 && s->end - s->at > 7 && s->at[5] == '\\' && s->at[6] == 'u')
		low = hex4(s, s->at + 7);
	if (low < 0xdc00 || low > 0xdfff)
		return fail(s, "lone surrogate in a string");
	s->at += 11;
	return true;
}

/* At the byte behind a backslash. */
static bool scan_escape(struct scan *s)
{
	if (s->at == s->end)
		return fail(s, "the text ends in a string");
	if (*s->at == 'u')
		return scan_unicode(s);
	if (!*s->at || !strchr("\"\\/bfnrt", *s->at))
		return fail(s, "unknown escape in a string");
	s->at++;
	return true;
}

static bool scan_char(struct scan *s)
{
	size_t n;

	if (*s->at == '\\') {
		s->at++;
		return scan_escape(s);
	}
	if (*s->at == 0)
		return fail(s, "NUL in a string");
	if (*s->at < 0x20)
		return fail(s, "control character in a string");
	n = utf8_length(s->at, s->end);
	if (!n)
		return fail(s, "invalid UTF-8");
	s->at += n;
	return true;
}

/* Over what is nothing special in a string: nearly all there is. */
static const unsigned char *skip_plain(const unsigned char *p, const unsigned char *end)
{
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

static const unsigned char *skip_space(const unsigned char *p, const unsigned char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

/* At the byte behind the opening quote; ends behind the closing one. */
static bool scan_string(struct scan *s)
{
	const unsigned char *start = s->at;

	s->at = skip_plain(s->at, s->end);
	while (s->at < s->end && *s->at != '"') {
		if (!scan_char(s))
			return false;
		s->at = skip_plain(s->at, s->end);
	}
	if (s->at == s->end)
		return fail(s, "the text ends in a string");
	if ((size_t)(s->at - start) > s->longest)
		s->longest = (size_t)(s->at - start);
	s->at++;
	return true;
}

/*
 * Brackets need not match here, the parser sees to that; the depth is counted
 * so that the parser's own stack stays small.
 */
static bool scan_token(struct scan *s)
{
	unsigned char c = *s->at;

	if (c == '"') {
		s->at++;
		return scan_string(s);
	}
	if ((c == '{' || c == '[') && ++s->depth > SPEC_MAX_DEPTH)
		return fail(s, "more than 64 levels");
	if ((c == '}' || c == ']') && s->depth)
		s->depth--;
	if (c == '/')
		return fail(s, "comments are not JSON");
	if (c == 0)
		return fail(s, "NUL in the text");
	if (c >= 0x7f || c < 0x20)
		return fail(s, "unexpected character");
	s->at++;
	return true;
}

int json_scan(const char *text, size_t len, size_t *ret_longest, struct err *err)
{
	struct scan s = {.text = (const unsigned char *)text};

	if (len > SPEC_MAX_BYTES)
		return err_set(err, 0, "larger than 4 MiB");
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		return json_error_at(err, text, 0, "byte order mark");
	s.at = s.text;
	s.end = s.text + len;
	s.at = skip_space(s.at, s.end);
	if (s.at == s.end)
		return err_set(err, 0, "empty");
	while (s.at < s.end) {
		if (!scan_token(&s))
			return json_error_at(err, text, (size_t)(s.at - s.text), s.why);
		s.at = skip_space(s.at, s.end);
	}
	*ret_longest = s.longest;
	return 0;
}
