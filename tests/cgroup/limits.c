/* SPDX-License-Identifier: Apache-2.0 */
/* /linux/resources, as JSON, against the writes that follow from it. */
#include <stdio.h>
#include <string.h>

#include "cgroup/limits.h"
#include "tests/cgroup/test.h"

static const struct {
	const char *json, *want; /* "file=value;..." or "pointer: message" */
} cases[] = {
	{"{}", ""},
	{"{\"memory\":{\"limit\":0,\"swap\":0,\"reservation\":0}}", ""},
	{"{\"memory\":{\"limit\":1048576}}", "memory.max=1048576;"},
	{"{\"memory\":{\"limit\":-1}}", "memory.swap.max=max;memory.max=max;"},
	{"{\"memory\":{\"limit\":100,\"swap\":150,\"reservation\":50}}",
	 "memory.swap.max=50;memory.max=100;memory.low=50;"},
	{"{\"memory\":{\"limit\":100,\"swap\":100}}", "memory.swap.max=0;memory.max=100;"},
	{"{\"memory\":{\"limit\":100,\"swap\":-1}}", "memory.swap.max=max;memory.max=100;"},
	{"{\"memory\":{\"limit\":-1,\"swap\":70}}", "memory.swap.max=70;memory.max=max;"},
	{"{\"memory\":{\"swap\":-1}}", "memory.swap.max=max;"},
	{"{\"memory\":{\"swap\":70}}",
	 "/memory/swap: needs /memory/limit: it counts memory and swap"},
	{"{\"memory\":{\"limit\":100,\"swap\":99}}",
	 "/memory/swap: 99 is below /memory/limit, 100"},
	{"{\"memory\":{\"reservation\":-1}}", "memory.low=max;"},
	{"{\"cpu\":{\"shares\":0,\"quota\":0,\"period\":0}}", ""},
	{"{\"cpu\":{\"shares\":1024}}", "cpu.weight=100;"},
	{"{\"cpu\":{\"quota\":50000}}", "cpu.max=50000;"},
	{"{\"cpu\":{\"quota\":50000,\"period\":200000}}", "cpu.max=50000 200000;"},
	{"{\"cpu\":{\"quota\":-1,\"period\":200000}}", "cpu.max=max 200000;"},
	{"{\"cpu\":{\"quota\":-1}}", "cpu.max=max;"},
	{"{\"cpu\":{\"period\":200000}}", "cpu.max=max 200000;"},
	{"{\"cpu\":{\"quota\":50000,\"burst\":20000}}",
	 "cpu.max.burst=20000;cpu.max=50000;cpu.max.burst=20000;"},
	{"{\"cpu\":{\"burst\":20000}}", "cpu.max.burst=20000;"},
	{"{\"cpu\":{\"quota\":50000,\"burst\":50001}}",
	 "/cpu/burst: 50001 is above /cpu/quota, 50000"},
	{"{\"cpu\":{\"idle\":1,\"shares\":1024}}", "cpu.idle=1;"},
	{"{\"cpu\":{\"idle\":0,\"shares\":1024}}", "cpu.idle=0;cpu.weight=100;"},
	{"{\"cpu\":{\"cpus\":\"0-1\",\"mems\":\"0\"}}", "cpuset.cpus=0-1;cpuset.mems=0;"},
	{"{\"pids\":{}}", ""},
	{"{\"pids\":{\"limit\":0}}", "pids.max=0;"},
	{"{\"pids\":{\"limit\":-1}}", "pids.max=max;"},
	{"{\"pids\":{\"limit\":20}}", "pids.max=20;"},
	{"{\"blockIO\":{\"weight\":0}}", ""},
	{"{\"blockIO\":{\"weight\":500}}", "io.bfq.weight=500|io.weight=4950;"},
	{"{\"blockIO\":{\"weight\":9}}", "/blockIO/weight: 9 is not in 10..1000"},
	{"{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":16,\"weight\":10}]}}",
	 "io.bfq.weight=8:16 10|io.weight=8:16 1;"},
	{"{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":16,\"weight\":3}]}}",
	 "/blockIO/weightDevice/0/weight: 3 is not in 10..1000"},
	{"{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":16}]}}",
	 "/blockIO/weightDevice/0/weight: is missing, and so is leafWeight"},
	{"{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":600}],"
	 "\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":0,\"rate\":0}]}}",
	 "io.max=8:0 rbps=600;io.max=8:0 wiops=max;"},
	{"{\"blockIO\":{\"throttleWriteBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":7}],"
	 "\"throttleReadIOPSDevice\":[{\"major\":8,\"minor\":0,\"rate\":9}]}}",
	 "io.max=8:0 wbps=7;io.max=8:0 riops=9;"},
	{"{\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0}]}}",
	 "/blockIO/throttleReadBpsDevice/0/rate: is missing"},
	{"{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":2097152}]}",
	 "hugetlb.2MB.rsvd.max=2097152|hugetlb.2MB.max=2097152;"},
	{"{\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3,\"hcaObjects\":0}}}",
	 "rdma.max=mlx5_1 hca_handle=3 hca_object=0;"},
	{"{\"rdma\":{\"mlx5_1\":{}}}", "/rdma/mlx5_1: has neither hcaHandles nor hcaObjects"},
	{"{\"unified\":{\"memory.high\":\"7\",\"cgroup.max.depth\":\"2\",\"new.thing\":\"x y\"}}",
	 "memory.high=7;cgroup.max.depth=2;new.thing=x y;"},
	/* Whatever the order of the document: the specific comes last. */
	{"{\"unified\":{\"memory.max\":\"7\"},\"memory\":{\"limit\":9}}",
	 "memory.max=9;memory.max=7;"},
	{"{\"unified\":{\"a/b\":\"7\"}}", "/unified/a~1b: is no name of a cgroup's file"},
	{"{\"unified\":{\"..\":\"7\"}}", "/unified/..: is no name of a cgroup's file"},
	{"{\"unified\":{\"cgroup.procs\":\"1\"}}", "/unified/cgroup.procs: is no limit"},
	{"{\"unified\":{\"cgroup.kill\":\"1\"}}", "/unified/cgroup.kill: is no limit"},
};

static void print(const struct limits *list, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < list->n && len < size; i++) {
		const struct limit *l = &list->v[i];

		len += (size_t)snprintf(out + len, size - len, "%s=%s", l->file, l->value);
		if (l->other_file && len < size)
			len += (size_t)snprintf(out + len, size - len, "|%s=%s", l->other_file,
						l->other_value);
		if (len < size)
			len += (size_t)snprintf(out + len, size - len, ";");
	}
}

static void test_case(const char *json, const char *want)
{
	struct spec_resources *r;
	struct arena a = {0};
	struct limits list;
	struct err err = {0};
	char got[1024], name[200];

	if (spec_parse_resources(json, strlen(json), &a, &r, &err) < 0 ||
	    limits_compile(r, &a, &list, &err) < 0)
		err_format(&err, got, sizeof(got));
	else
		print(&list, got, sizeof(got));
	snprintf(name, sizeof(name), "limits: %.150s", json);
	check(!strcmp(got, want), name, "\"%s\", not \"%s\"", got, want);
	arena_finish(&a);
}

/* The ends, the default, and values of the formula in another language's arithmetic. */
static void test_weights(void)
{
	static const struct {
		uint64_t shares, weight;
	} t[] = {{0, 0},          {1, 1},          {2, 1},      {4, 2},
		 {15, 5},         {100, 17},       {1024, 100}, {65536, 3023},
		 {262143, 10000}, {262144, 10000}, {512, 59},   {~0ULL, 10000}};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint64_t got = limits_cpu_weight(t[i].shares);
		char name[64];

		snprintf(name, sizeof(name), "limits: weight of %llu shares",
			 (unsigned long long)t[i].shares);
		check(got == t[i].weight, name, "%llu, not %llu", (unsigned long long)got,
		      (unsigned long long)t[i].weight);
	}
	check(limits_io_weight(10) == 1 && limits_io_weight(1000) == 10000,
	      "limits: the ends of io.weight", "%llu %llu",
	      (unsigned long long)limits_io_weight(10), (unsigned long long)limits_io_weight(1000));
}

void test_limits(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_case(cases[i].json, cases[i].want);
	test_weights();
}
