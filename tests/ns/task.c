/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of CPUs, and the affinity that exec will set by them. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ns/task.h"

typedef void checker(bool ok, const char *name, const char *detail);

void test_task(checker *check);

static void test_lists(checker *check)
{
	static const struct {
		const char *list;
		size_t n; /* 0: refused */
		unsigned long first;
	} cases[] = {{"0", 1, 1},
		     {"0-3,7", 8, 0x8f},
		     {" 1 , 3 - 4 ", 5, 0x1a},
		     {"63", 64, 1UL << 63},
		     {"8191", 8192, 0},
		     {"8192", 0, 0},
		     {"", 0, 0},
		     {",", 0, 0},
		     {"1,", 0, 0},
		     {"2-1", 0, 0},
		     {"1-", 0, 0},
		     {"-1", 0, 0},
		     {"+1", 0, 0},
		     {"0x1", 0, 0},
		     {"1 2", 0, 0},
		     {"18446744073709551617", 0, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct spec_set set;
		char name[64];
		bool good = spec_list_parse(cases[i].list, &set) == 0;

		snprintf(name, sizeof(name), "a list of CPUs: \"%s\"", cases[i].list);
		check(good == (cases[i].n != 0) &&
			      (!good || (set.n == cases[i].n && set.bits[0] == cases[i].first)),
		      name, "is taken for another");
	}
}

/* In a child, since it would be ours. */
static int try_affinity(const char *cpus, cpu_set_t *ret)
{
	struct err err = {0};

	if (task_affinity(0, cpus, &err) < 0)
		return err.num ? err.num : 1;
	return sched_getaffinity(0, sizeof(*ret), ret) < 0 ? errno : 0;
}

static bool in_child(bool (*func)(void))
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0)
		_exit(func() ? 0 : 1);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool sets_first(void)
{
	char list[16];
	cpu_set_t all, got;
	int cpu = 0;

	if (try_affinity(NULL, &all))
		return false;
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	snprintf(list, sizeof(list), "%d", cpu);
	return !try_affinity(list, &got) && CPU_COUNT(&got) == 1 && CPU_ISSET(cpu, &got);
}

static bool refuses_missing(void)
{
	cpu_set_t got;

	return try_affinity("8191", &got) == EINVAL && try_affinity("x", &got) == 1;
}

void test_task(checker *check)
{
	test_lists(check);
	check(in_child(sets_first), "affinity: one CPU of those there are", "not set");
	check(in_child(refuses_missing), "affinity: a CPU that is not there", "not refused");
}
