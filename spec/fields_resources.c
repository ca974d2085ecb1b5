/* SPDX-License-Identifier: Apache-2.0 */
/* The properties of linux.resources. */
#include "spec/fields.h"

#include "spec/spec.h"

static const struct field devrule_fields[] = {
	{F(spec_devrule, allow, K_BOOL), .required = true, .applied = LIKE_OWNER,
	 .doc = "Allow or deny."},
	{F(spec_devrule, type, K_STR), .applied = LIKE_OWNER,
	 .doc = "c: character, b: block, a: all (the default)."},
	/* -1 is the wildcard of the engines' own structures. */
	{F(spec_devrule, major, K_OPT_I64), RANGE(-1, UINT32_MAX), .applied = LIKE_OWNER,
	 .doc = "Major number; all when absent."},
	{F(spec_devrule, minor, K_OPT_I64), RANGE(-1, UINT32_MAX), .applied = LIKE_OWNER,
	 .doc = "Minor number; all when absent."},
	{F(spec_devrule, access, K_STR), .applied = LIKE_OWNER,
	 .doc = "r: read, w: write, m: make a node."},
};
static const struct object object_devrule = OBJECT(spec_devrule, devrule_fields, rules_devrule);

static const struct field memory_fields[] = {
	{F(spec_memory, limit, K_OPT_I64), BY("limits"), RANGE(-1, INT64_MAX),
	 .minus_one_unsets = true, .doc = "Bytes of memory."},
	{F(spec_memory, reservation, K_OPT_I64), BY("limits"), RANGE(-1, INT64_MAX),
	 .minus_one_unsets = true, .doc = "Bytes that are reclaimed last."},
	{F(spec_memory, swap, K_OPT_I64), BY("limits"), RANGE(-1, INT64_MAX),
	 .minus_one_unsets = true, .doc = "Bytes of memory and swap together."},
	{F(spec_memory, kernel, K_OPT_I64), .applied = V1_ONLY, RANGE(-1, INT64_MAX),
	 .minus_one_unsets = true, .doc = "Bytes of kernel memory."},
	{F(spec_memory, kernelTCP, K_OPT_I64), .applied = V1_ONLY, RANGE(-1, INT64_MAX),
	 .minus_one_unsets = true, .doc = "Bytes of TCP buffers."},
	{F(spec_memory, swappiness, K_OPT_U64), .applied = V1_ONLY, RANGE(0, 200),
	 .doc = "How eagerly memory is swapped out."},
	{F(spec_memory, disableOOMKiller, K_OPT_BOOL), .applied = V1_ONLY,
	 .doc = "Stop processes instead of ending one."},
	{F(spec_memory, useHierarchy, K_OPT_BOOL), .applied = IGNORED, SINCE(1, 0, 2),
	 .doc = "Count the memory of child cgroups.  cgroup v2 always does."},
	{F(spec_memory, checkBeforeUpdate, K_OPT_BOOL), BY("limits"), SINCE(1, 1, 0),
	 .doc = "Refuse a limit that is below what is in use."},
};
static const struct object object_memory = OBJECT(spec_memory, memory_fields, NULL);

static const struct field cpu_fields[] = {
	{F(spec_cpu, shares, K_OPT_U64), BY("limits"), ANY_U64, .doc = "Weight among cgroups."},
	{F(spec_cpu, burst, K_OPT_U64), BY("limits"), ANY_U64, SINCE(1, 1, 0),
	 .doc = "Microseconds over the quota."},
	{F(spec_cpu, period, K_OPT_U64), BY("limits"), ANY_U64,
	 .doc = "Microseconds of the quota's period."},
	{F(spec_cpu, realtimePeriod, K_OPT_U64), .applied = V1_ONLY, ANY_U64,
	 .doc = "Microseconds of the real-time period."},
	{F(spec_cpu, quota, K_OPT_I64), BY("limits"), RANGE(-1, INT64_MAX),
	 .minus_one_unsets = true, .doc = "Microseconds in each period."},
	{F(spec_cpu, realtimeRuntime, K_OPT_I64), .applied = V1_ONLY, RANGE(-1, INT64_MAX),
	 .doc = "Real-time microseconds in each period."},
	{F(spec_cpu, idle, K_OPT_I64), BY("limits"), RANGE(0, 1), SINCE(1, 1, 0),
	 .doc = "Run only when nothing else does."},
	{F(spec_cpu, cpus, K_STR), BY("limits"), .doc = "CPUs, like 0-3,7."},
	{F(spec_cpu, mems, K_STR), BY("limits"), .doc = "Memory nodes, like 0-3,7."},
};
static const struct object object_cpu = OBJECT(spec_cpu, cpu_fields, NULL);

/* Weights: 0 is what engines send for "not set"; 10 to 1000 are valid. */
/* Versions of clang-format disagree about braces in macros. */
/* clang-format off */
#define DEV(member)                                                                                \
	{F(spec_blkdev, member, K_I64), .required = true, RANGE(0, UINT32_MAX),                    \
	 .applied = LIKE_OWNER, .doc = "The " #member " number of the device."}
/* clang-format on */

static const struct field blkweight_fields[] = {
	DEV(major),
	DEV(minor),
	{F(spec_blkdev, weight, K_OPT_U64), RANGE(0, 1000), .applied = LIKE_OWNER,
	 .doc = "Weight of the device."},
	{F(spec_blkdev, leafWeight, K_OPT_U64), RANGE(0, 1000), .applied = V1_ONLY,
	 .doc = "Weight against child cgroups."},
};
static const struct object object_blkweight = OBJECT(spec_blkdev, blkweight_fields, NULL);

static const struct field blkrate_fields[] = {
	DEV(major),
	DEV(minor),
	{F(spec_blkdev, rate, K_OPT_U64), ANY_U64, .applied = LIKE_OWNER,
	 .doc = "Bytes or operations in a second."},
};
static const struct object object_blkrate = OBJECT(spec_blkdev, blkrate_fields, NULL);

static const struct field blkio_fields[] = {
	{F(spec_blkio, weight, K_OPT_U64), BY("limits"), RANGE(0, 1000),
	 .doc = "Weight among cgroups."},
	{F(spec_blkio, leafWeight, K_OPT_U64), .applied = V1_ONLY, RANGE(0, 1000),
	 .doc = "Weight against child cgroups."},
	{F(spec_blkio, weightDevice, K_LIST), BY("limits"), .object = &object_blkweight,
	 .doc = "Weights on single devices."},
	{F(spec_blkio, throttleReadBpsDevice, K_LIST), BY("limits"), .object = &object_blkrate,
	 .doc = "Bytes read in a second."},
	{F(spec_blkio, throttleWriteBpsDevice, K_LIST), BY("limits"), .object = &object_blkrate,
	 .doc = "Bytes written in a second."},
	{F(spec_blkio, throttleReadIOPSDevice, K_LIST), BY("limits"), .object = &object_blkrate,
	 .doc = "Reads in a second."},
	{F(spec_blkio, throttleWriteIOPSDevice, K_LIST), BY("limits"), .object = &object_blkrate,
	 .doc = "Writes in a second."},
};
static const struct object object_blkio = OBJECT(spec_blkio, blkio_fields, NULL);

static const struct field hugepage_fields[] = {
	{F(spec_hugepage, pageSize, K_STR), .required = true, .nonempty = true,
	 .applied = LIKE_OWNER, .doc = "Size of the page, like 2MB."},
	{F(spec_hugepage, limit, K_U64), .required = true, ANY_U64, .applied = LIKE_OWNER,
	 .doc = "Bytes in pages of that size."},
};
static const struct object object_hugepage = OBJECT(spec_hugepage, hugepage_fields, rules_hugepage);

static const struct field netprio_fields[] = {
	{F(spec_netprio, name, K_STR), .required = true, .nonempty = true, .applied = LIKE_OWNER,
	 .doc = "Network device."},
	{F(spec_netprio, priority, K_U32), .required = true, ANY_U32, .applied = LIKE_OWNER,
	 .doc = "Priority of its traffic."},
};
static const struct object object_netprio = OBJECT(spec_netprio, netprio_fields, NULL);

static const struct field network_fields[] = {
	{F(spec_network, classID, K_OPT_U64), .applied = V1_ONLY, ANY_U32,
	 .doc = "Class of the traffic."},
	{F(spec_network, priorities, K_LIST), .applied = V1_ONLY, .object = &object_netprio,
	 .doc = "Priorities on devices."},
};
static const struct object object_network = OBJECT(spec_network, network_fields, NULL);

static const struct field rdma_fields[] = {
	{F(spec_rdma, hcaHandles, K_OPT_U64), ANY_U32, .applied = LIKE_OWNER,
	 .doc = "Handles of the device."},
	{F(spec_rdma, hcaObjects, K_OPT_U64), ANY_U32, .applied = LIKE_OWNER,
	 .doc = "Objects of the device."},
};
static const struct object object_rdma = OBJECT(spec_rdma, rdma_fields, NULL);

static const struct field pids_fields[] = {
	{F(spec_pids, limit, K_OPT_I64), BY("limits"), RANGE(-1, INT64_MAX), .zero_asks = true,
	 .minus_one_unsets = true,
	 .doc = "Processes and threads; -1 is no limit, and so is 0 in a document of a version "
		"before 1.3."},
};
static const struct object object_pids = OBJECT(spec_pids, pids_fields, NULL);

static const struct field resources_fields[] = {
	{F(spec_resources, devices, K_LIST), .object = &object_devrule, BY("limits"),
	 .doc = "Devices that may be used, the last matching entry counts.  Without effect "
		"when bryo runs without privilege or in a user namespace: no device node "
		"can be made there."},
	{F(spec_resources, memory, K_PTR), .object = &object_memory, .applied = MEMBERS,
	 .doc = "Memory."},
	{F(spec_resources, cpu, K_PTR), .object = &object_cpu, .applied = MEMBERS,
	 .doc = "CPU time."},
	{F(spec_resources, pids, K_PTR), .object = &object_pids, .applied = MEMBERS,
	 .doc = "Number of processes."},
	{F(spec_resources, blockIO, K_PTR), .object = &object_blkio, .applied = MEMBERS,
	 .doc = "Block devices."},
	{F(spec_resources, hugepageLimits, K_LIST), BY("limits"), .object = &object_hugepage,
	 .doc = "Huge pages."},
	{F(spec_resources, network, K_PTR), .object = &object_network, .applied = MEMBERS,
	 .doc = "Traffic classes of cgroup v1."},
	{F(spec_resources, rdma, K_OBJMAP), BY("limits"), .object = &object_rdma, SINCE(1, 0, 2),
	 .doc = "RDMA devices, by name."},
	{F(spec_resources, unified, K_MAP), BY("limits"), SINCE(1, 1, 0),
	 .doc = "Files of cgroup v2 and what is written to them."},
};
const struct object object_resources = OBJECT(spec_resources, resources_fields, NULL);
