/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused on the level of bytes, and syntax. */
#include "tests/spec/test.h"

#include <stdlib.h>
#include <string.h>

/* Text with NUL in it: the length is that of the literal. */
#define RAW(s) s, sizeof(s) - 1

/* In front of the value of an unknown key, and behind it. */
#define HEAD "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"x\":"

static const struct {
	const char *name, *s;
	size_t len;
	const char *want;
} cases[] = {
	{"empty", RAW(""), "empty"},
	{"white space", RAW(" \n\t\r"), "empty"},
	{"byte order mark", RAW("\xef\xbb\xbf{}"), "line 1, column 1: byte order mark"},
	{"NUL", RAW("\0"), "line 1, column 1: NUL in the text"},
	{"NUL behind", RAW("{}\0"), "line 1, column 3: NUL in the text"},
	{"NUL in a key", RAW("{\"a\0\":1}"), "line 1, column 4: NUL in a string"},
	{"NUL in a string", RAW(HEAD "\"\0\"}"), "line 1, column 48: NUL in a string"},
	{"escaped NUL", RAW(HEAD "\"\\u0000\"}"), "line 1, column 49: NUL in a string"},
	{"escaped NUL in a key", RAW("{\"x\\u0000\":1}"), "line 1, column 5: NUL in a string"},
	{"null", RAW("null"), "expected object, found null"},
	{"a number", RAW("12"), "expected object, found number"},
	{"a string", RAW("\"a\""), "expected object, found string"},
	{"an array", RAW("[]"), "expected object, found array"},
	{"true", RAW("true"), "expected object, found boolean"},
	{"no members", RAW("{}"), "/ociVersion: required, and missing"},
	{"line comment", RAW("{ // x\n}"), "line 1, column 3: comments are not JSON"},
	{"block comment", RAW("{/**/}"), "line 1, column 2: comments are not JSON"},
	{"trailing bracket", RAW(HEAD "1}}"), "line 1, column 49: trailing garbage"},
	{"trailing text", RAW(HEAD "1} x"), "line 1, column 50: trailing garbage"},
	{"two documents", RAW(HEAD "1}{}"), "line 1, column 49: trailing garbage"},
	{"form feed", RAW("{\f}"), "line 1, column 2: unexpected character"},
	{"vertical tab", RAW("{\v}"), "line 1, column 2: unexpected character"},
	{"no-break space", RAW("{\xc2\xa0}"), "line 1, column 2: unexpected character"},
	{"delete", RAW("{\x7f}"), "line 1, column 2: unexpected character"},
	{"raw tab in a string", RAW(HEAD "\"\t\"}"),
	 "line 1, column 48: control character in a string"},
	{"raw newline in a string", RAW(HEAD "\"\n\"}"),
	 "line 1, column 48: control character in a string"},
	{"unknown escape", RAW(HEAD "\"\\x\"}"), "line 1, column 49: unknown escape in a string"},
	{"short \\u", RAW(HEAD "\"\\u12\"}"),
	 "line 1, column 49: \\u needs four hexadecimal digits"},
	{"\\u at the end", RAW(HEAD "\"\\u"),
	 "line 1, column 49: \\u needs four hexadecimal digits"},
	{"\\u at the end, a digit", RAW(HEAD "\"\\u1"),
	 "line 1, column 49: \\u needs four hexadecimal digits"},
	{"backslash at the end", RAW(HEAD "\"\\"), "line 1, column 49: the text ends in a string"},
	{"high surrogate", RAW(HEAD "\"\\ud800\"}"),
	 "line 1, column 49: lone surrogate in a string"},
	{"high surrogate at the end", RAW(HEAD "\"\\ud800\\u"),
	 "line 1, column 49: lone surrogate in a string"},
	{"low surrogate", RAW(HEAD "\"\\udc00\"}"),
	 "line 1, column 49: lone surrogate in a string"},
	{"two high surrogates", RAW(HEAD "\"\\ud800\\ud800\"}"),
	 "line 1, column 49: lone surrogate in a string"},
	{"UTF-8: lone continuation", RAW(HEAD "\"\x80\"}"), "line 1, column 48: invalid UTF-8"},
	{"UTF-8: overlong 2", RAW(HEAD "\"\xc0\xaf\"}"), "line 1, column 48: invalid UTF-8"},
	{"UTF-8: overlong NUL", RAW(HEAD "\"\xc0\x80\"}"), "line 1, column 48: invalid UTF-8"},
	{"UTF-8: overlong 3", RAW(HEAD "\"\xe0\x80\xaf\"}"), "line 1, column 48: invalid UTF-8"},
	{"UTF-8: overlong 4", RAW(HEAD "\"\xf0\x80\x80\xaf\"}"),
	 "line 1, column 48: invalid UTF-8"},
	{"UTF-8: surrogate", RAW(HEAD "\"\xed\xa0\x80\"}"), "line 1, column 48: invalid UTF-8"},
	{"UTF-8: above U+10FFFF", RAW(HEAD "\"\xf4\x90\x80\x80\"}"),
	 "line 1, column 48: invalid UTF-8"},
	{"UTF-8: five bytes", RAW(HEAD "\"\xf8\x88\x80\x80\x80\"}"),
	 "line 1, column 48: invalid UTF-8"},
	{"UTF-8: 0xff", RAW(HEAD "\"\xff\"}"), "line 1, column 48: invalid UTF-8"},
	{"UTF-8: cut by the quote", RAW(HEAD "\"\xe2\x82\"}"), "line 1, column 48: invalid UTF-8"},
	{"UTF-8: cut by the end", RAW(HEAD "\"\xe2\x82"), "line 1, column 48: invalid UTF-8"},
	{"UTF-8 in a key", RAW("{\"\xff\":1}"), "line 1, column 3: invalid UTF-8"},
	{"UTF-8: shortest and longest",
	 RAW(HEAD "\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf"
		  "\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80"
		  "\xf4\x8f\xbf\xbf\"}"),
	 "ok"},
	{"surrogate pair", RAW(HEAD "\"\\ud83d\\uDE00\"}"), "ok"},
	{"all escapes", RAW(HEAD "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"}"), "ok"},
	{"trailing comma", RAW(HEAD "1,}"), ""},
	{"trailing comma in an array", RAW(HEAD "[1,]}"), ""},
	{"no comma", RAW(HEAD "1 \"y\":1}"), ""},
	{"no colon", RAW("{\"a\" 1}"), ""},
	{"no value", RAW("{\"a\":}"), ""},
	{"no key", RAW("{:1}"), ""},
	{"number as a key", RAW("{1:1}"), ""},
	{"wrong bracket", RAW(HEAD "[1}]"), ""},
	{"single quotes", RAW("{'a':1}"), ""},
	{"plus", RAW(HEAD "+1}"), ""},
	{"leading zero", RAW(HEAD "01}"), ""},
	{"minus alone", RAW(HEAD "-}"), ""},
	{"no digit behind the point", RAW(HEAD "1.}"), ""},
	{"no digit before the point", RAW(HEAD ".5}"), ""},
	{"no exponent", RAW(HEAD "1e}"), ""},
	{"hexadecimal", RAW(HEAD "0x10}"), ""},
	{"NaN", RAW(HEAD "NaN}"), ""},
	{"Infinity", RAW(HEAD "-Infinity}"), ""},
	{"half a literal", RAW(HEAD "tru}"), ""},
	{"literal in capitals", RAW(HEAD "TRUE}"), ""},
	{"duplicate unknown key", RAW("{\"a\":1,\"b\":2,\"a\":3}"), "/a: duplicate key"},
	{"duplicate key, escaped", RAW("{\"a\":1,\"\\u0061\":3}"), "/a: duplicate key"},
	{"duplicate known key", RAW("{\"root\":null,\"root\":null}"), "/root: duplicate key"},
	{"duplicate key deep in unknown data", RAW(HEAD "[0,{\"y\":[{\"z\":1,\"z\":1}]}]}"),
	 "/x/1/y/0/z: duplicate key"},
	{"duplicate key with / and ~", RAW("{\"a/~\":1,\"a/~\":3}"), "/a~1~0: duplicate key"},
	{"duplicate empty key", RAW("{\"\":1,\"\":3}"), "/: duplicate key"},
	{"the same key on two levels", RAW(HEAD "{\"x\":{\"x\":1}}}"), "ok"},
	{"a known key in capitals is unknown", RAW(HEAD "1,\"ROOT\":3}"), "ok"},
	{"big numbers where nobody looks", RAW(HEAD "[1e999,-0,123456789012345678901]}"), "ok"},
	{"null is absent", RAW(HEAD "1,\"linux\":null,\"process\":null,\"mounts\":null}"), "ok"},
	{"sections of other systems", RAW(HEAD "1,\"windows\":{\"a\":[]},\"vm\":3}"), "ok"},
};

/* Where no text is wanted: an error that names line and column. */
static bool as_wanted(const char *got, const char *want)
{
	return *want ? strcmp(got, want) == 0 : strncmp(got, "line 1, column ", 15) == 0;
}

static void test_cases(void)
{
	char got[1024], name[160];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		accepts(cases[i].s, cases[i].len, got, sizeof(got));
		snprintf(name, sizeof(name), "bytes: %s", cases[i].name);
		check(as_wanted(got, cases[i].want), name, "\"%s\", not \"%s\"", got,
		      cases[i].want);
	}
}

/* A document whose unknown member is nested that deep, in [ or {"a": . */
static void nested(struct text *t, size_t depth, bool objects)
{
	text_add(t, HEAD, strlen(HEAD));
	for (size_t i = 0; i < depth; i++)
		text_printf(t, objects ? "{\"a\":" : "[");
	text_printf(t, objects ? "1" : "");
	for (size_t i = 0; i < depth; i++)
		text_printf(t, objects ? "}" : "]");
	text_printf(t, "}");
}

static void test_depth(void)
{
	static const struct {
		size_t depth;
		bool objects;
		const char *want;
	} depths[] = {
		{63, false, "ok"},
		{63, true, "ok"},
		{64, false, "line 1, column 110: more than 64 levels"},
		{64, true, "line 1, column 362: more than 64 levels"},
		{500000, false, "line 1, column 110: more than 64 levels"},
	};
	char got[1024], name[64];

	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		struct text t = {0};

		nested(&t, depths[i].depth, depths[i].objects);
		accepts(t.s, t.len, got, sizeof(got));
		snprintf(name, sizeof(name), "bytes: %zu levels of %s", depths[i].depth,
			 depths[i].objects ? "objects" : "arrays");
		check(strcmp(got, depths[i].want) == 0, name, "\"%s\"", got);
		text_finish(&t);
	}
}

static void test_size(void)
{
	struct text t = {0};
	char got[1024];

	text_add(&t, HEAD "\"", strlen(HEAD) + 1);
	while (t.len + 6 <= SPEC_MAX_BYTES - 2)
		text_add(&t, "\\u0041", 6);
	while (t.len < SPEC_MAX_BYTES - 2)
		text_add(&t, "x", 1);
	text_add(&t, "\"}", 2);
	check(t.len == SPEC_MAX_BYTES && accepts(t.s, t.len, got, sizeof(got)),
	      "bytes: 4 MiB, one string of escapes", "%s", got);
	text_add(&t, " ", 1);
	accepts(t.s, t.len, got, sizeof(got));
	check(strcmp(got, "larger than 4 MiB") == 0, "bytes: 4 MiB and one byte", "%s", got);
	text_finish(&t);
}

/* Cut anywhere, a document is none; each piece ends where its memory does. */
static void test_truncation(void)
{
	struct group g = {.name = "bytes: cut at every byte"};
	struct text t = {0};
	char got[1024];

	text_read(&t, "base.json");
	while (t.len && t.s[t.len - 1] != '}')
		t.len--;
	for (size_t i = 0; i < t.len; i++) {
		g.tried++;
		if (accepts(t.s, i, got, sizeof(got)))
			group_fail(&g, "accepted at %zu", i);
		else if (strncmp(got, "line ", 5) != 0 && strcmp(got, "empty") != 0)
			group_fail(&g, "%zu: %s", i, got);
	}
	group_end(&g);
	text_finish(&t);
}

/* Each byte replaced by some others: whatever comes of it, it is no crash. */
static void test_mutation(void)
{
	static const char bytes[] = "\0\x80\xff\"\\{}[],:0-";
	struct group g = {.name = "bytes: each one replaced"};
	struct text t = {0};
	char got[1024];

	text_read(&t, "base.json");
	for (size_t i = 0; i < t.len; i++) {
		char kept = t.s[i];

		for (size_t k = 0; k < sizeof(bytes) - 1; k++) {
			t.s[i] = bytes[k];
			g.tried++;
			if (!accepts(t.s, t.len, got, sizeof(got)) && !got[0])
				group_fail(&g, "no message at %zu", i);
		}
		t.s[i] = kept;
	}
	group_end(&g);
	text_finish(&t);
}

void test_bytes(void)
{
	test_cases();
	test_depth();
	test_size();
	test_truncation();
	test_mutation();
}
