/* SPDX-License-Identifier: Apache-2.0 */
/* The properties of config-linux.md; those of linux.resources have their own file. */
#include "spec/fields.h"

#include <linux/mempolicy.h>
#include <seccomp.h>

#include "spec/spec.h"

static const struct name namespace_types[] = {
	{"user", NS_USER},     {"mount", NS_MOUNT}, {"pid", NS_PID},
	{"network", NS_NET},   {"ipc", NS_IPC},     {"uts", NS_UTS},
	{"cgroup", NS_CGROUP}, {"time", NS_TIME},   {0},
};

static const struct name clocks[] = {{"monotonic", 0}, {"boottime", 0}, {0}};

static const struct name device_types[] = {{"c", 'c'}, {"b", 'b'}, {"u", 'u'}, {"p", 'p'}, {0}};

/*
 * The names of the specification first: writing takes the first that fits.  The
 * others are what mount(8) says and every peer accepts.
 */
static const struct name propagations[] = {
	{"private", PROP_PRIVATE},       {"shared", PROP_SHARED},          {"slave", PROP_SLAVE},
	{"unbindable", PROP_UNBINDABLE}, {"rprivate", PROP_PRIVATE},       {"rshared", PROP_SHARED},
	{"rslave", PROP_SLAVE},          {"runbindable", PROP_UNBINDABLE}, {0},
};

static const struct name actions[] = {
	{"SCMP_ACT_KILL_THREAD", ACT_KILL_THREAD},
	{"SCMP_ACT_KILL", ACT_KILL_THREAD},
	{"SCMP_ACT_KILL_PROCESS", ACT_KILL_PROCESS},
	{"SCMP_ACT_TRAP", ACT_TRAP},
	{"SCMP_ACT_ERRNO", ACT_ERRNO},
	{"SCMP_ACT_TRACE", ACT_TRACE},
	{"SCMP_ACT_ALLOW", ACT_ALLOW},
	{"SCMP_ACT_LOG", ACT_LOG},
	{"SCMP_ACT_NOTIFY", ACT_NOTIFY},
	{0},
};

static const struct name operators[] = {
	{"SCMP_CMP_NE", SCMP_CMP_NE},
	{"SCMP_CMP_LT", SCMP_CMP_LT},
	{"SCMP_CMP_LE", SCMP_CMP_LE},
	{"SCMP_CMP_EQ", SCMP_CMP_EQ},
	{"SCMP_CMP_GE", SCMP_CMP_GE},
	{"SCMP_CMP_GT", SCMP_CMP_GT},
	{"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
	{0},
};

const struct name spec_architectures[] = {
	{"SCMP_ARCH_X86", 0},         {"SCMP_ARCH_X86_64", 0},  {"SCMP_ARCH_X32", 0},
	{"SCMP_ARCH_ARM", 0},         {"SCMP_ARCH_AARCH64", 0}, {"SCMP_ARCH_LOONGARCH64", 0},
	{"SCMP_ARCH_M68K", 0},        {"SCMP_ARCH_MIPS", 0},    {"SCMP_ARCH_MIPS64", 0},
	{"SCMP_ARCH_MIPS64N32", 0},   {"SCMP_ARCH_MIPSEL", 0},  {"SCMP_ARCH_MIPSEL64", 0},
	{"SCMP_ARCH_MIPSEL64N32", 0}, {"SCMP_ARCH_PPC", 0},     {"SCMP_ARCH_PPC64", 0},
	{"SCMP_ARCH_PPC64LE", 0},     {"SCMP_ARCH_S390", 0},    {"SCMP_ARCH_S390X", 0},
	{"SCMP_ARCH_SH", 0},          {"SCMP_ARCH_SHEB", 0},    {"SCMP_ARCH_PARISC", 0},
	{"SCMP_ARCH_PARISC64", 0},    {"SCMP_ARCH_RISCV64", 0}, {0},
};

static const struct name filter_flags[] = {
	{"SECCOMP_FILTER_FLAG_TSYNC", SPEC_TSYNC},
	{"SECCOMP_FILTER_FLAG_LOG", SPEC_LOG},
	{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SPEC_SPEC_ALLOW},
	{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SPEC_WAIT_KILLABLE},
	{0},
};

static const struct name personalities[] = {{"LINUX", 0}, {"LINUX32", 1}, {0}};

/* The last two are younger than the headers of some distributions. */
const struct name spec_policy_modes[] = {
	{"MPOL_DEFAULT", MPOL_DEFAULT},       {"MPOL_BIND", MPOL_BIND},
	{"MPOL_INTERLEAVE", MPOL_INTERLEAVE}, {"MPOL_PREFERRED", MPOL_PREFERRED},
	{"MPOL_LOCAL", MPOL_LOCAL},           {"MPOL_PREFERRED_MANY", 5},
	{"MPOL_WEIGHTED_INTERLEAVE", 6},      {0},
};

const struct name spec_policy_flags[] = {
	{"MPOL_F_NUMA_BALANCING", SPEC_MPOL_BALANCING},
	{"MPOL_F_RELATIVE_NODES", SPEC_MPOL_RELATIVE},
	{"MPOL_F_STATIC_NODES", SPEC_MPOL_STATIC},
	{0},
};

static const struct field namespace_fields[] = {
	{F(spec_namespace, type, K_ENUM), .required = true, .names = namespace_types,
	 .applied = LIKE_OWNER,
	 .doc = "user, mount, pid, network, ipc, uts, cgroup or time; each at most once."},
	{F(spec_namespace, path, K_STR), .absolute = true, .applied = LIKE_OWNER,
	 .doc = "The namespace to join.  Without it a new one is made."},
};
static const struct object object_namespace = OBJECT(spec_namespace, namespace_fields, NULL);

static const struct field timeoffset_fields[] = {
	{F(spec_timeoffset, secs, K_I64), ANY_I64, .applied = LIKE_OWNER, .doc = "Seconds."},
	{F(spec_timeoffset, nanosecs, K_U32), RANGE(0, 999999999), .applied = LIKE_OWNER,
	 .doc = "Nanoseconds on top of the seconds."},
};
static const struct object object_timeoffset = OBJECT(spec_timeoffset, timeoffset_fields, NULL);

static const struct field device_fields[] = {
	{F(spec_device, type, K_ENUM), .required = true, .names = device_types,
	 .applied = LIKE_OWNER, .doc = "c or u: character, b: block, p: FIFO."},
	{F(spec_device, path, K_STR), .required = true, .nonempty = true, .absolute = true,
	 .applied = LIKE_OWNER, .doc = "Where, in the container."},
	/* The widths of the kernel's dev_t: cut off, it would be another device. */
	{F(spec_device, major, K_I64), RANGE(0, 4095), .zero_asks = true, .applied = LIKE_OWNER,
	 .doc = "Major number; needed except for a FIFO."},
	{F(spec_device, minor, K_I64), RANGE(0, 1048575), .zero_asks = true, .applied = LIKE_OWNER,
	 .doc = "Minor number; needed except for a FIFO."},
	{F(spec_device, fileMode, K_OPT_U64), RANGE(0, 0177777), .applied = LIKE_OWNER,
	 .doc = "Permissions, in decimal.  Engines add the file type, which must fit."},
	{F(spec_device, uid, K_OPT_U64), ANY_ID, .applied = LIKE_OWNER, .doc = "Owner."},
	{F(spec_device, gid, K_OPT_U64), ANY_ID, .applied = LIKE_OWNER, .doc = "Group."},
};
const struct object object_device = OBJECT(spec_device, device_fields, rules_device);

static const struct field netdev_fields[] = {
	{F(spec_netdev, name, K_STR), .longest = 15, .applied = LIKE_OWNER,
	 .doc = "Its name in the container; with %d the kernel finds a number.  Without it the "
		"name stays."},
};
static const struct object object_netdev = OBJECT(spec_netdev, netdev_fields, NULL);

static const struct field arg_fields[] = {
	{F(spec_arg, index, K_U32), .required = true, RANGE(0, 5), .applied = LIKE_OWNER,
	 .doc = "Which argument, from 0."},
	{F(spec_arg, value, K_U64), .required = true, ANY_U64, .applied = LIKE_OWNER,
	 .doc = "What it is compared with; the mask of SCMP_CMP_MASKED_EQ."},
	{F(spec_arg, valueTwo, K_U64), ANY_U64, .applied = LIKE_OWNER,
	 .doc = "What the masked argument is compared with."},
	{F(spec_arg, op, K_ENUM), .required = true, .names = operators, .applied = LIKE_OWNER,
	 .doc = "The comparison, SCMP_CMP_*."},
};
static const struct object object_arg = OBJECT(spec_arg, arg_fields, NULL);

static const struct field syscall_fields[] = {
	{F(spec_syscall, names, K_STRS), .required = true, .nonempty = true, .applied = LIKE_OWNER,
	 .doc = "System calls, by name; at least one."},
	{F(spec_syscall, action, K_ENUM), .required = true, .names = actions, .applied = LIKE_OWNER,
	 .doc = "What happens to them, SCMP_ACT_*."},
	{F(spec_syscall, errnoRet, K_OPT_U64), RANGE(0, 65535), .applied = LIKE_OWNER,
	 SINCE(1, 1, 0),
	 .doc = "SCMP_ACT_ERRNO: the error returned, at most 4095.  "
		"SCMP_ACT_TRACE: the tracer's message.  Without it: EPERM."},
	{F(spec_syscall, args, K_LIST), .object = &object_arg, .applied = LIKE_OWNER,
	 .doc = "Conditions on the arguments."},
};
const struct object object_syscall = OBJECT(spec_syscall, syscall_fields, rules_syscall);

static const struct field seccomp_fields[] = {
	{F(spec_seccomp, defaultAction, K_ENUM), .required = true, .names = actions,
	 .applied = LIKE_OWNER, .doc = "What happens to all other system calls."},
	{F(spec_seccomp, defaultErrnoRet, K_OPT_U64), RANGE(0, 65535), .applied = LIKE_OWNER,
	 SINCE(1, 1, 0), .doc = "Like errnoRet, for the default action."},
	{F(spec_seccomp, architectures, K_NAMES), .names = spec_architectures,
	 .applied = LIKE_OWNER,
	 .doc = "SCMP_ARCH_*: calling conventions that the filter covers.  The machine's "
		"own is always among them; calls of any other end the process."},
	{F(spec_seccomp, flags, K_FLAGS), .names = filter_flags, .applied = LIKE_OWNER,
	 SINCE(1, 0, 2), .doc = "SECCOMP_FILTER_FLAG_* of seccomp(2)."},
	{F(spec_seccomp, listenerPath, K_STR), .applied = LIKE_OWNER, SINCE(1, 1, 0),
	 .doc = "Socket of an agent who decides about calls with SCMP_ACT_NOTIFY."},
	{F(spec_seccomp, listenerMetadata, K_STR), .applied = LIKE_OWNER, SINCE(1, 1, 0),
	 .doc = "Text handed to that agent."},
	{F(spec_seccomp, syscalls, K_LIST), .object = &object_syscall, .applied = LIKE_OWNER,
	 .doc = "The system calls with an action of their own."},
};
const struct object object_seccomp = OBJECT(spec_seccomp, seccomp_fields, rules_seccomp);

static const struct field personality_fields[] = {
	{F(spec_personality, domain, K_ENUM), .required = true, .names = personalities,
	 .applied = LIKE_OWNER, .doc = "LINUX or LINUX32."},
	{F(spec_personality, flags, K_STRS), .applied = LIKE_OWNER,
	 .doc = "The specification names none."},
};
static const struct object object_personality =
	OBJECT(spec_personality, personality_fields, rules_personality);

static const struct field mempolicy_fields[] = {
	{F(spec_mempolicy, mode, K_ENUM), .required = true, .names = spec_policy_modes,
	 .applied = LIKE_OWNER, .doc = "MPOL_* of set_mempolicy(2)."},
	{F(spec_mempolicy, nodes, K_STR), .applied = LIKE_OWNER, .doc = "Nodes, like 0-3,7."},
	{F(spec_mempolicy, flags, K_FLAGS), .names = spec_policy_flags, .applied = LIKE_OWNER,
	 .doc = "MPOL_F_* of set_mempolicy(2)."},
};
static const struct object object_mempolicy =
	OBJECT(spec_mempolicy, mempolicy_fields, rules_mempolicy);

static const struct field rdt_fields[] = {
	{F(spec_rdt, closID, K_STR), .longest = 200, .applied = LIKE_OWNER, SINCE(1, 0, 2),
	 .doc = "Class of service: a directory of resctrl, \"/\" for the one above all.  Without "
		"it one named after the container is made."},
	{F(spec_rdt, l3CacheSchema, K_STR), .applied = LIKE_OWNER, .doc = "L3 cache schema."},
	{F(spec_rdt, memBwSchema, K_STR), .applied = LIKE_OWNER, SINCE(1, 0, 2),
	 .doc = "Memory bandwidth schema."},
	{F(spec_rdt, schemata, K_STRS), .applied = LIKE_OWNER, SINCE(1, 3, 0),
	 .doc = "Lines of schemata, written after the two others."},
	{F(spec_rdt, enableMonitoring, K_BOOL), .applied = LIKE_OWNER, SINCE(1, 3, 0),
	 .doc = "Make a monitoring group, named after the container."},
	{F(spec_rdt, enableCMT, K_BOOL), .applied = LIKE_OWNER, SINCE(1, 1, 0),
	 .doc = "The same, if cache occupancy can be monitored."},
	{F(spec_rdt, enableMBM, K_BOOL), .applied = LIKE_OWNER, SINCE(1, 1, 0),
	 .doc = "The same, if memory bandwidth can be monitored."},
};
static const struct object object_rdt = OBJECT(spec_rdt, rdt_fields, rules_rdt);

static const struct field linux_fields[] = {
	{F(spec_linux, namespaces, K_LIST), .object = &object_namespace, BY("clone"),
	 .doc = "Namespaces to make or to join.  A type that is absent is inherited."},
	{F(spec_linux, uidMappings, K_LIST), .object = &object_idmap, BY("idmap"),
	 .doc = "User IDs of the user namespace; at most 340 entries."},
	{F(spec_linux, gidMappings, K_LIST), .object = &object_idmap, BY("idmap"),
	 .doc = "Group IDs of the user namespace; at most 340 entries."},
	{F(spec_linux, timeOffsets, K_OBJMAP), .object = &object_timeoffset, .names = clocks,
	 BY("time-offsets"), SINCE(1, 1, 0),
	 .doc = "Offsets of the clocks \"monotonic\" and \"boottime\"."},
	{F(spec_linux, devices, K_LIST), .object = &object_device, BY("devices"),
	 .doc = "Device nodes, besides those that every container has."},
	{F(spec_linux, netDevices, K_OBJMAP), .object = &object_netdev, BY("net-devices"),
	 SINCE(1, 3, 0), .doc = "Network devices of the host to move into the container."},
	{F(spec_linux, cgroupsPath, K_STR), BY("cgroup"),
	 .doc = "Where in the cgroup tree: below its mount when absolute, else beneath bryo's "
		"own cgroup; with systemd SLICE:PREFIX:NAME."},
	{F(spec_linux, resources, K_PTR), .object = &object_resources, .applied = MEMBERS,
	 .doc = "Limits of the cgroup."},
	{F(spec_linux, intelRdt, K_PTR), .object = &object_rdt, BY("resctrl"),
	 .doc = "Resource director: cache and bandwidth classes."},
	{F(spec_linux, memoryPolicy, K_PTR), .object = &object_mempolicy, BY("memory-policy"),
	 SINCE(1, 3, 0), .doc = "NUMA memory policy."},
	{F(spec_linux, personality, K_PTR), .object = &object_personality, BY("personality"),
	 SINCE(1, 0, 2), .doc = "Execution domain."},
	{F(spec_linux, sysctl, K_MAP), BY("sysctl"),
	 .doc = "Kernel parameters that belong to a namespace of the container's own."},
	{F(spec_linux, seccomp, K_PTR), .object = &object_seccomp, BY("filter-compile"),
	 .doc = "Filter of system calls."},
	{F(spec_linux, rootfsPropagation, K_ENUM), .names = propagations, BY("propagation"),
	 .doc = "private, shared, slave or unbindable: propagation of the root mount."},
	{F(spec_linux, maskedPaths, K_STRS), .nonempty = true, .absolute = true, BY("masked-paths"),
	 .doc = "Paths that are made unreadable."},
	{F(spec_linux, readonlyPaths, K_STRS), .nonempty = true, .absolute = true,
	 BY("readonly-paths"), .doc = "Paths that are made read-only."},
	{F(spec_linux, mountLabel, K_STR), .longest = 1023, BY("label"),
	 .doc = "SELinux label of what is in new file systems: tmpfs, devpts, overlay and others, "
		"but not proc, sysfs, mqueue and cgroup."},
};
const struct object object_linux = OBJECT(spec_linux, linux_fields, rules_linux);
