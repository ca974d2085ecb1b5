/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/findings.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool findings_enough(const struct findings *f)
{
	return f->errors && !f->tell;
}

void findings_add(struct findings *f, enum severity severity, const struct err *e)
{
	struct err told = *e;

	if (findings_enough(f) || (severity == FINDING_WARNING && !f->tell))
		return;
	if (f->under[0])
		err_under(&told, "%s", f->under);
	if (severity == FINDING_ERROR && !f->errors++)
		*f->first = told;
	if (f->tell)
		f->tell(f->data, severity, &told);
}

void finding(struct findings *f, const char *ptr, const char *fmt, ...)
{
	struct err e;
	va_list ap;

	err_at(&e, ptr, 0, "%s", "");
	va_start(ap, fmt);
	vsnprintf(e.msg, sizeof(e.msg), fmt, ap);
	va_end(ap);
	findings_add(f, FINDING_ERROR, &e);
}

enum { LONGEST = 40 };

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits from the one to the other, a swap of neighbours being one (optimal string alignment). */
static size_t distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), row[3][LONGEST + 1] = {0};

	for (size_t k = 0; k <= m; k++)
		row[0][k] = k;
	for (size_t i = 1; i <= n; i++) {
		size_t *now = row[i % 3], *above = row[(i + 2) % 3], *before = row[(i + 1) % 3];

		now[0] = i;
		for (size_t k = 1; k <= m; k++) {
			int x = tolower((unsigned char)a[i - 1]),
			    y = tolower((unsigned char)b[k - 1]);

			now[k] = least(least(now[k - 1], above[k]) + 1, above[k - 1] + (x != y));
			if (i > 1 && k > 1 && x == tolower((unsigned char)b[k - 2]) &&
			    y == tolower((unsigned char)a[i - 2]))
				now[k] = least(now[k], before[k - 2] + 1);
		}
	}
	return row[n % 3][m];
}

/* SCMP_ACT_ALOW is near to ALLOW, not to all that begins with SCMP_ACT_. */
static size_t common_words(const char *a, const char *b)
{
	size_t n = 0;

	for (size_t i = 0; a[i] && tolower((unsigned char)a[i]) == tolower((unsigned char)b[i]);
	     i++)
		if (a[i] == '_')
			n = i + 1;
	return n;
}

static size_t most_edits(size_t len)
{
	return len < 3 ? 0 : len < 6 ? 1 : len < 10 ? 2 : 3;
}

const char *findings_nearest(const char *word, next_word *next, void *data)
{
	const char *nearest = NULL, *w;
	size_t best = LONGEST;

	if (strlen(word) > LONGEST)
		return NULL;
	while ((w = next(data))) {
		size_t common = common_words(word, w), d = LONGEST;

		if (strlen(w) <= LONGEST)
			d = distance(word + common, w + common);
		if (d < best && d <= most_edits(strlen(word + common))) {
			nearest = w;
			best = d;
		}
	}
	return nearest;
}

void findings_suggest(struct err *e, const char *nearest)
{
	if (nearest)
		err_hint(e, "did you mean \"%s\"?", nearest);
}
