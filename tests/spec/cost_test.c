/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of long lists is linear: ten times the elements take at most twenty
 * times as long.  Never an absolute time: machines and sanitizers differ.
 */
#include "tests/spec/test.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 5 };

static const struct {
	const char *name, *head, *element, *tail;
	size_t few;
} lists[] = {
	{"env", "\"process\":{\"cwd\":\"/\",\"args\":[\"a\"],\"env\":[", "\"V%zu=value\"", "]}",
	 10000},
	{"args", "\"process\":{\"cwd\":\"/\",\"args\":[", "\"a%zu\"", "]}", 10000},
	{"mounts", "\"mounts\":[", "{\"destination\":\"/%zu\"}", "]", 10000},
	{"masked paths", "\"linux\":{\"maskedPaths\":[", "\"/p%zu\"", "]}", 10000},
	{"hooks", "\"hooks\":{\"poststop\":[", "{\"path\":\"/h%zu\"}", "]}", 10000},
	{"group IDs",
	 "\"process\":{\"cwd\":\"/\",\"args\":[\"a\"],\"user\":{\"uid\":0,\"gid\":0,"
	 "\"additionalGids\":[",
	 "%zu", "]}}", 10000},
	{"annotations", "\"annotations\":{", "\"key%zu\":\"v\"", "}", 10000},
	{"unknown keys", "\"x\":{", "\"key%zu\":0", "}", 10000},
	/* As many as 4 MiB hold. */
	{"system calls",
	 "\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[",
	 "{\"names\":[\"%zu\"],\"action\":\"SCMP_ACT_LOG\"}", "]}}", 8000},
};

static void list(struct text *t, size_t which, size_t n)
{
	text_printf(t, "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},%s", lists[which].head);
	for (size_t i = 0; i < n; i++) {
		char element[128];
		const char *at = strstr(lists[which].element, "%zu");

		snprintf(element, sizeof(element), "%.*s%zu%s", (int)(at - lists[which].element),
			 lists[which].element, i, at + 3);
		text_printf(t, i ? ",%s" : "%s", element);
	}
	text_printf(t, "%s}", lists[which].tail);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The best of some rounds; below 0 when it is refused. */
static double cost(size_t which, size_t n, char *got, size_t size)
{
	struct text t = {0};
	double best = -1;

	list(&t, which, n);
	for (int i = 0; i < ROUNDS; i++) {
		double start = seconds(), took;

		if (!accepts(t.s, t.len, got, size)) {
			best = -1;
			break;
		}
		took = seconds() - start;
		if (best < 0 || took < best)
			best = took;
	}
	text_finish(&t);
	return best;
}

void test_cost(void)
{
	char name[64], got[1024];

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		size_t n = lists[i].few;
		double few = cost(i, n, got, sizeof(got));
		double many = few < 0 ? -1 : cost(i, 10 * n, got, sizeof(got));

		snprintf(name, sizeof(name), "cost: %s", lists[i].name);
		check(many >= 0 && many <= 20 * few, name, "%s; %f s for %zu, %f s for ten times",
		      got, few, n, many);
	}
}
