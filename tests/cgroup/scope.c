/* SPDX-License-Identifier: Apache-2.0 */
/* Names of units, and the properties that follow from limits. */
#include <stdio.h>
#include <string.h>

#include "cgroup/scope.h"
#include "tests/cgroup/test.h"

static const struct {
	const char *asked, *slice, *unit; /* unit NULL: refused */
	bool user;
} names[] = {
	{NULL, "system.slice", "bryo-id.scope", false},
	{NULL, "user.slice", "bryo-id.scope", true},
	{"::x", "system.slice", "x.scope", false},
	{":p:x", "user.slice", "p-x.scope", true},
	{"a-b.slice:p:x", "a-b.slice", "p-x.scope", true},
	{"-.slice:p:x", "-.slice", "p-x.scope", false},
	{"a.slice:p:x+y z/@", "a.slice", "p-x\\x2by\\x20z\\x2f\\x40.scope", false},
	{"a.slice:p:x\\x2by", "a.slice", "p-x\\x2by.scope", false},
	{"a.slice:p:", NULL, NULL, false},
	{"a.slice:p:x.slice", NULL, NULL, false},
	{"a:p:x", NULL, NULL, false},
	{"a/b.slice:p:x", NULL, NULL, false},
	{"a.slice:p", NULL, NULL, false},
	{"a.slice:p:x:y", NULL, NULL, false},
	{"/a/b", NULL, NULL, false},
	{"", NULL, NULL, false},
};

static void one_name(size_t i)
{
	struct arena a = {0};
	struct unit u = {0};
	struct err err;
	char name[64];
	bool bad = scope_name(names[i].asked, "id", names[i].user, &a, &u, &err) < 0;

	snprintf(name, sizeof(name), "scope: name %s", names[i].asked ? names[i].asked : "(none)");
	if (bad)
		check(!names[i].unit && !strcmp(err.ptr, "/linux/cgroupsPath"), name, "%s: %s",
		      err.ptr, err.msg);
	else
		check(names[i].unit && !strcmp(u.unit, names[i].unit) &&
			      !strcmp(u.slice, names[i].slice),
		      name, "%s in %s", u.unit, u.slice);
	arena_finish(&a);
}

static const struct {
	const char *file, *value, *other, *want;
} limits[] = {
	{"memory.max", "1048576", NULL, "MemoryMax t 1048576"},
	{"memory.max", "max", NULL, "MemoryMax t infinity"},
	{"memory.max", "1G", NULL, ""},
	{"memory.low", "7", NULL, "MemoryLow t 7"},
	{"memory.swap.max", "0", NULL, "MemorySwapMax t 0"},
	{"cpu.weight", "100", NULL, "CPUWeight t 100"},
	{"cpu.idle", "1", NULL, ""},
	{"cpu.max", "25000 100000", NULL,
	 "CPUQuotaPeriodUSec t 100000 CPUQuotaPerSecUSec t 250000"},
	{"cpu.max", "25000", NULL, "CPUQuotaPerSecUSec t 250000"},
	{"cpu.max", "1 3000000", NULL, "CPUQuotaPeriodUSec t 3000000 CPUQuotaPerSecUSec t 1"},
	{"cpu.max", "max 50000", NULL, "CPUQuotaPeriodUSec t 50000 CPUQuotaPerSecUSec t infinity"},
	{"cpu.max", "max", NULL, "CPUQuotaPerSecUSec t infinity"},
	{"cpu.max", "1 0", NULL, ""},
	{"cpuset.cpus", "0-3,7", NULL, "AllowedCPUs ay 8f"},
	{"cpuset.cpus", "8", NULL, "AllowedCPUs ay 0001"},
	{"cpuset.cpus", "0-6:2/4", NULL, ""},
	{"cpuset.cpus", "99999", NULL, ""},
	{"cpuset.cpus", "3-1", NULL, ""},
	{"cpuset.mems", "0", NULL, "AllowedMemoryNodes ay 01"},
	{"pids.max", "20", NULL, "TasksMax t 20"},
	{"io.bfq.weight", "500", "4950", "IOWeight t 4950"},
	{"io.bfq.weight", "8:0 500", "8:0 4950", "IODeviceWeight a(st) /dev/block/8:0 4950"},
	{"io.weight", "default 5", NULL, "IOWeight t 5"},
	{"io.max", "8:0 rbps=600", NULL, "IOReadBandwidthMax a(st) /dev/block/8:0 600"},
	{"io.max", "8:0 wiops=max", NULL, "IOWriteIOPSMax a(st) /dev/block/8:0 infinity"},
	{"io.max", "8:0 rbps=1 wbps=2", NULL, ""},
	{"hugetlb.2MB.max", "0", NULL, ""},
};

static void one_limit(size_t i)
{
	struct limit l = {.controller = "x",
			  .file = (char *)limits[i].file,
			  .value = (char *)limits[i].value,
			  .other_value = (char *)limits[i].other};
	struct limits list = {.v = &l, .n = 1};
	struct arena a = {0};
	struct words w;
	struct err err;
	char got[256] = "", name[96];

	if (scope_properties(&list, &a, &w, &err) < 0)
		w.n = 0;
	for (size_t k = 0; k < w.n; k++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", k ? " " : "",
			 w.v[k]);
	snprintf(name, sizeof(name), "scope: %s=%s", limits[i].file, limits[i].value);
	check(!strcmp(got, limits[i].want), name, "\"%s\"", got);
	arena_finish(&a);
}

/* What `state` tells, after one update and another. */
static void names_of_limits(void)
{
	struct limit first[] = {{.file = (char *)"memory.max", .value = (char *)"5"},
				{.file = (char *)"cpu.max", .value = (char *)"1 2"},
				{.file = (char *)"io.max", .value = (char *)"8:0 rbps=5"}};
	struct limit then[] = {{.file = (char *)"cpu.max", .value = (char *)"max 2"},
			       {.file = (char *)"io.max", .value = (char *)"8:0 rbps=max"},
			       {.file = (char *)"pids.max", .value = (char *)"0"}};
	struct limits list = {.v = first, .n = 3}, more = {.v = then, .n = 3};
	struct arena a = {0};
	struct err err;
	char *one = limits_names(NULL, &list, true, &a, &err);
	char *two = limits_names(one, &more, false, &a, &err);

	check(!strcmp(one, "memory.max cpu.max io.max devices"), "scope: names", "%s", one);
	check(!strcmp(two, "memory.max devices io.max pids.max"), "scope: names after update", "%s",
	      two);
	two = limits_names("", &(struct limits){0}, false, &a, &err);
	check(!*two, "scope: no names", "%s", two);
	arena_finish(&a);
}

void test_scope(void)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		one_name(i);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		one_limit(i);
	names_of_limits();
}
