/* SPDX-License-Identifier: Apache-2.0 */
/* The list of limits.c, written; and what `update` has to know before. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup/file.h"
#include "cgroup/limits.h"

static int write_failed(const struct limit *l, const char *file, const char *value, int num,
			struct err *err)
{
	if (num == ENOENT)
		return err_at(err, l->ptr, 0, "the cgroup has no file %.80s%s", file,
			      l->flags & LIMIT_UNIFIED ? "" : ": this kernel cannot limit it");
	err_at(err, l->ptr, num, "write \"%.80s\" to %.80s", value, file);
	if (num == EBUSY && !strncmp(file, "memory.", 7))
		return err_hint(err, "more is in use than can be taken away");
	return -1;
}

static int write_one(int dir, struct limit *l, struct err *err)
{
	const char *file = l->file, *value = l->value;
	int num = cgfile_write(dir, file, value) < 0 ? errno : 0;

	if (num == ENOENT && l->other_file) {
		file = l->other_file;
		value = l->other_value;
		num = cgfile_write(dir, file, value) < 0 ? errno : 0;
		if (!num)
			l->file = l->other_file;
	}
	if (!num || (l->flags & LIMIT_TRY) || (num == ENOENT && (l->flags & LIMIT_NO_FILE)))
		return 0;
	return write_failed(l, file, value, num, err);
}

int limits_write(int dir, const struct limits *list, struct err *err)
{
	for (size_t i = 0; i < list->n; i++)
		if (write_one(dir, &list->v[i], err) < 0)
			return -1;
	return 0;
}

int limits_write_pids(int dir, const struct limits *list, int more, struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		struct limit l = list->v[i];
		char value[32], *end;
		long long n = strtoll(l.value, &end, 10);

		if (strcmp(l.file, "pids.max") != 0 || *end)
			continue;
		snprintf(value, sizeof(value), "%lld", n + more);
		l.value = value;
		if (write_one(dir, &l, err) < 0)
			return -1;
	}
	return 0;
}

/* Does the entry take the limit away?  Of several devices one may keep its. */
static bool is_none(const struct limit *l)
{
	return !strncmp(l->value, "max", 3);
}

static char *without(char *names, const char *name, struct arena *a)
{
	size_t len = strlen(name);

	for (char *p = names; names && (p = strstr(p, name)); p += len)
		if ((p == names || p[-1] == ' ') && (!p[len] || p[len] == ' '))
			return arena_printf(a, "%.*s%s", (int)(p - names), names,
					    p + len + (p[len] == ' '));
	return names;
}

char *limits_names(const char *before, const struct limits *list, bool devices, struct arena *a,
		   struct err *err)
{
	char *names = arena_printf(a, "%s%s", before ? before : "", before && *before ? " " : "");

	for (size_t i = 0; names && i < list->n + devices; i++) {
		const char *file = i < list->n ? list->v[i].file : "devices";

		names = without(names, file, a);
		if (names && (i == list->n || !is_none(&list->v[i])))
			names = arena_printf(a, "%s%s ", names, file);
	}
	if (!names)
		err_set(err, ENOMEM, "the names of the limits");
	else if (*names)
		names[strlen(names) - 1] = '\0';
	return names;
}

/* ---- update ---- */

/* The number in a file; -1 for "max" or when there is none. */
static int64_t current(int dir, const char *file)
{
	char text[64];

	if (cgfile_read(dir, file, text, sizeof(text)) < 0 || text[0] == 'm')
		return -1;
	return (int64_t)strtoull(text, NULL, 10);
}

/* cpu.max holds both: what is not given stays. */
static void complete_quota(int dir, struct spec_cpu *c)
{
	char text[64], *blank;

	if ((c->quota.set && c->quota.v) || !c->period.set || !c->period.v)
		return;
	if (cgfile_read(dir, "cpu.max", text, sizeof(text)) < 0)
		return;
	blank = strchr(text, ' ');
	if (blank && text[0] != 'm')
		c->quota = (struct opt_i64){true, strtoll(text, NULL, 10)};
}

/* Memory and swap together need the limit of memory, which stays as it is. */
static void complete_swap(int dir, struct spec_memory *m)
{
	int64_t limit;

	if (!m->swap.set || m->swap.v <= 0 || (m->limit.set && m->limit.v))
		return;
	limit = current(dir, "memory.max");
	if (limit > 0)
		m->limit = (struct opt_i64){true, limit};
}

/*
 * Lowered below what is in use, memory.max makes the kernel kill; v1 refused.
 * config-linux.md: "MUST reject the new limit".
 */
static int check_usage(int dir, const struct spec_memory *m, struct err *err)
{
	int64_t used;

	if (!m->checkBeforeUpdate.set || !m->checkBeforeUpdate.v)
		return 0;
	if (!m->limit.set || m->limit.v <= 0)
		return 0;
	used = current(dir, "memory.current");
	if (used <= m->limit.v)
		return 0;
	return err_at(err, "/memory/limit", 0, "%lld is below what is in use, %lld",
		      (long long)m->limit.v, (long long)used);
}

int limits_complete(int dir, struct spec_resources *r, struct err *err)
{
	if (r->cpu)
		complete_quota(dir, r->cpu);
	if (!r->memory)
		return 0;
	complete_swap(dir, r->memory);
	return check_usage(dir, r->memory, err);
}
