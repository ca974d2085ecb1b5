/* SPDX-License-Identifier: Apache-2.0 */
/* The properties of config.md: top level, process, root, mounts, hooks. */
#include "spec/fields.h"

#include <linux/ioprio.h>
#include <linux/sched.h>
#include <sys/resource.h>

#include "spec/spec.h"

static const struct name rlimit_types[] = {
	{"RLIMIT_AS", RLIMIT_AS},
	{"RLIMIT_CORE", RLIMIT_CORE},
	{"RLIMIT_CPU", RLIMIT_CPU},
	{"RLIMIT_DATA", RLIMIT_DATA},
	{"RLIMIT_FSIZE", RLIMIT_FSIZE},
	{"RLIMIT_LOCKS", RLIMIT_LOCKS},
	{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
	{"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
	{"RLIMIT_NICE", RLIMIT_NICE},
	{"RLIMIT_NOFILE", RLIMIT_NOFILE},
	{"RLIMIT_NPROC", RLIMIT_NPROC},
	{"RLIMIT_RSS", RLIMIT_RSS},
	{"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
	{"RLIMIT_RTTIME", RLIMIT_RTTIME},
	{"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
	{"RLIMIT_STACK", RLIMIT_STACK},
	{0},
};

static const struct name sched_policies[] = {
	{"SCHED_OTHER", SCHED_NORMAL},
	{"SCHED_FIFO", SCHED_FIFO},
	{"SCHED_RR", SCHED_RR},
	{"SCHED_BATCH", SCHED_BATCH},
	{"SCHED_ISO", 4}, /* reserved in <linux/sched.h>, without a name */
	{"SCHED_IDLE", SCHED_IDLE},
	{"SCHED_DEADLINE", SCHED_DEADLINE},
	{0},
};

static const struct name sched_flags[] = {
	{"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},
	{"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
	{"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},
	{"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
	{"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},
	{"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
	{"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX},
	{0},
};

static const struct name ioprio_classes[] = {
	{"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
	{"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
	{"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE},
	{0},
};

/* ---- process ---- */

static const struct field console_fields[] = {
	{F(spec_console, height, K_U64), .required = true, RANGE(0, UINT16_MAX),
	 .applied = LIKE_OWNER, .doc = "Rows of the terminal."},
	{F(spec_console, width, K_U64), .required = true, RANGE(0, UINT16_MAX),
	 .applied = LIKE_OWNER, .doc = "Columns of the terminal."},
};
static const struct object object_console = OBJECT(spec_console, console_fields, NULL);

static const struct field user_fields[] = {
	{F(spec_user, uid, K_U32), .required = true, ANY_ID, BY("user"),
	 .doc = "User ID, as seen inside of the container."},
	{F(spec_user, gid, K_U32), .required = true, ANY_ID, BY("user"),
	 .doc = "Group ID, as seen inside of the container."},
	{F(spec_user, umask, K_OPT_U64), RANGE(0, 0777), BY("umask"), .zero_asks = true,
	 SINCE(1, 0, 2), .doc = "File mode creation mask, in decimal.  Unchanged when absent."},
	{F(spec_user, additionalGids, K_U32S), ANY_ID, BY("user"),
	 .doc = "Supplementary group IDs, as seen inside of the container."},
	{F(spec_user, username, K_STR), .applied = IGNORED,
	 .doc = "Has a meaning on Windows only."},
};
static const struct object object_user = OBJECT(spec_user, user_fields, NULL);

static const struct field caps_fields[] = {
	{F(spec_caps, bounding, K_STRS), BY("bounding-set"),
	 .doc = "Capabilities that the process and its children can ever gain."},
	{F(spec_caps, effective, K_STRS), BY("capabilities"), .doc = "Capabilities in force."},
	{F(spec_caps, inheritable, K_STRS), BY("capabilities"),
	 .doc = "Capabilities that file capabilities can hand on over an exec."},
	{F(spec_caps, permitted, K_STRS), BY("capabilities"),
	 .doc = "Capabilities that the process may put in force."},
	{F(spec_caps, ambient, K_STRS), BY("capabilities"),
	 .doc = "Capabilities that are kept over an exec without file capabilities."},
};
static const struct object object_caps = OBJECT(spec_caps, caps_fields, NULL);

static const struct field rlimit_fields[] = {
	{F(spec_rlimit, type, K_ENUM), .required = true, .names = rlimit_types,
	 .applied = LIKE_OWNER, .doc = "The limit, by its name in getrlimit(2)."},
	{F(spec_rlimit, soft, K_U64), .required = true, ANY_U64, .applied = LIKE_OWNER,
	 .doc = "The value in force.  18446744073709551615 is no limit."},
	{F(spec_rlimit, hard, K_U64), .required = true, ANY_U64, .applied = LIKE_OWNER,
	 .doc = "The ceiling of the soft value."},
};
static const struct object object_rlimit = OBJECT(spec_rlimit, rlimit_fields, rules_rlimit);

static const struct field scheduler_fields[] = {
	{F(spec_scheduler, policy, K_ENUM), .required = true, .names = sched_policies,
	 .applied = LIKE_OWNER, .doc = "Scheduling policy."},
	{F(spec_scheduler, nice, K_I64), RANGE(-20, 19), .applied = LIKE_OWNER,
	 .doc = "Nice value."},
	{F(spec_scheduler, priority, K_I64), RANGE(0, 99), .applied = LIKE_OWNER,
	 .doc = "Static priority of the real-time policies."},
	{F(spec_scheduler, flags, K_FLAGS), .names = sched_flags, .applied = LIKE_OWNER,
	 .doc = "Flags of sched_setattr(2)."},
	{F(spec_scheduler, runtime, K_U64), ANY_U64, .applied = LIKE_OWNER,
	 .doc = "Deadline scheduling: nanoseconds in each period."},
	{F(spec_scheduler, deadline, K_U64), ANY_U64, .applied = LIKE_OWNER,
	 .doc = "Deadline scheduling: nanoseconds to the deadline."},
	{F(spec_scheduler, period, K_U64), ANY_U64, .applied = LIKE_OWNER,
	 .doc = "Deadline scheduling: nanoseconds of the period."},
};
static const struct object object_scheduler =
	OBJECT(spec_scheduler, scheduler_fields, rules_scheduler);

static const struct field ioprio_fields[] = {
	{F(spec_ioprio, class, K_ENUM), .required = true, .names = ioprio_classes,
	 .applied = LIKE_OWNER, .doc = "I/O scheduling class."},
	{F(spec_ioprio, priority, K_I64), .required = true, RANGE(0, 7), .applied = LIKE_OWNER,
	 .doc = "Priority in the class, 0 is the highest."},
};
static const struct object object_ioprio = OBJECT(spec_ioprio, ioprio_fields, NULL);

static const struct field affinity_fields[] = {
	{F(spec_affinity, initial, K_STR), BY("first-affinity"),
	 .doc = "CPUs of the runtime while it enters the container."},
	{F(spec_affinity, final, K_STR), BY("affinity"), .doc = "CPUs of the process."},
};
static const struct object object_affinity = OBJECT(spec_affinity, affinity_fields, rules_affinity);

static const struct field process_fields[] = {
	{F(spec_process, terminal, K_BOOL), BY("terminal"),
	 .doc = "Give the process a terminal of its own."},
	{F(spec_process, consoleSize, K_PTR), .object = &object_console, BY("terminal"),
	 .doc = "Size of the terminal; without one it has no effect."},
	{F(spec_process, user, K_OBJ), .object = &object_user, .applied = MEMBERS,
	 .doc = "The IDs that the process runs with.  Without it: 0 and 0."},
	{F(spec_process, args, K_STRS), .required = true, BY("exec"),
	 .doc = "The program, looked up like execvp(3) does, and its arguments."},
	{F(spec_process, env, K_STRS), BY("exec"),
	 .doc = "The environment, as NAME=VALUE.  Nothing is added to it."},
	{F(spec_process, commandLine, K_STR), .applied = IGNORED,
	 .doc = "Has a meaning on Windows only."},
	{F(spec_process, cwd, K_STR), .required = true, .nonempty = true, .absolute = true,
	 BY("cwd"), .doc = "Working directory, an absolute path in the container."},
	{F(spec_process, capabilities, K_PTR), .object = &object_caps, .applied = MEMBERS,
	 .doc = "Capability sets, as CAP_NAME.  Sets that are absent are empty."},
	{F(spec_process, rlimits, K_LIST), .object = &object_rlimit, BY("rlimits"),
	 .doc = "Resource limits of the process, each type once."},
	{F(spec_process, noNewPrivileges, K_BOOL), BY("no-new-privs"),
	 .doc = "Let no exec grant privileges: no set-user-ID, no file capabilities."},
	{F(spec_process, apparmorProfile, K_STR), .longest = 1024, BY("apparmor"),
	 .doc = "AppArmor profile; it must be loaded, and let the container receive signals."},
	{F(spec_process, selinuxLabel, K_STR), .longest = 1023, BY("label"),
	 .doc = "SELinux label of the process; the running policy must know it."},
	{F(spec_process, oomScoreAdj, K_OPT_I64), RANGE(-1000, 1000), BY("oom-score"),
	 .zero_asks = true,
	 .doc = "How eagerly the kernel ends it when memory is short.  Unchanged when absent."},
	{F(spec_process, scheduler, K_PTR), .object = &object_scheduler, BY("scheduler"),
	 SINCE(1, 1, 0), .doc = "CPU scheduling of the process."},
	{F(spec_process, ioPriority, K_PTR), .object = &object_ioprio, BY("io-priority"),
	 SINCE(1, 1, 0), .doc = "I/O scheduling of the process."},
	{F(spec_process, execCPUAffinity, K_PTR), .object = &object_affinity, .applied = MEMBERS,
	 SINCE(1, 2, 1),
	 .doc = "CPUs of processes that enter the container later; no effect on the first one."},
};
const struct object object_process = OBJECT(spec_process, process_fields, rules_process);

/* ---- root, mounts, hooks ---- */

static const struct field root_fields[] = {
	{F(spec_root, path, K_STR), .required = true, .nonempty = true, BY("rootfs"),
	 .doc = "The root file system: a directory, absolute or relative to the bundle."},
	{F(spec_root, readonly, K_BOOL), BY("readonly-root"),
	 .doc = "Make the root file system read-only inside of the container."},
};
static const struct object object_root = OBJECT(spec_root, root_fields, NULL);

static const struct field idmap_fields[] = {
	{F(spec_idmap, containerID, K_U32), .required = true, ANY_ID, .applied = LIKE_OWNER,
	 .doc = "The first ID inside of the container."},
	{F(spec_idmap, hostID, K_U32), .required = true, ANY_ID, .applied = LIKE_OWNER,
	 .doc = "The first ID outside of the container."},
	{F(spec_idmap, size, K_U32), .required = true, RANGE(1, UINT32_MAX), .applied = LIKE_OWNER,
	 .doc = "How many IDs."},
};
const struct object object_idmap = OBJECT(spec_idmap, idmap_fields, rules_idmap);

static const struct field mount_fields[] = {
	{F(spec_mount, destination, K_STR), .required = true, .nonempty = true,
	 .applied = LIKE_OWNER,
	 .doc = "Where, in the container.  A relative path is taken as relative to /."},
	{F(spec_mount, type, K_STR), .applied = LIKE_OWNER,
	 .doc = "File system type; without a meaning for bind mounts."},
	{F(spec_mount, source, K_STR), BY("sources"),
	 .doc = "What; for bind mounts a path, absolute or relative to the bundle."},
	{F(spec_mount, options, K_STRS), .applied = LIKE_OWNER,
	 .doc = "Mount options, with the names of mount(8)."},
	{F(spec_mount, uidMappings, K_LIST), .object = &object_idmap, BY("idmapped-mounts"),
	 SINCE(1, 1, 0),
	 .doc = "User IDs of an ID-mapped bind mount: which ones files of the source seem to "
		"have, on the host.  At most 340 entries."},
	{F(spec_mount, gidMappings, K_LIST), .object = &object_idmap, BY("idmapped-mounts"),
	 SINCE(1, 1, 0), .doc = "The same for group IDs; both go together."},
};
static const struct object object_mount = OBJECT(spec_mount, mount_fields, rules_mount);

static const struct field hook_fields[] = {
	{F(spec_hook, path, K_STR), .required = true, .nonempty = true, .absolute = true,
	 .applied = LIKE_OWNER, .doc = "The program, an absolute path."},
	{F(spec_hook, args, K_STRS), .applied = LIKE_OWNER,
	 .doc = "Its arguments, the name of the program included."},
	{F(spec_hook, env, K_STRS), .applied = LIKE_OWNER,
	 .doc = "Its environment, as NAME=VALUE."},
	{F(spec_hook, timeout, K_OPT_U64), RANGE(1, INT32_MAX), .applied = LIKE_OWNER,
	 .doc = "Seconds after which the hook has failed."},
};
static const struct object object_hook = OBJECT(spec_hook, hook_fields, rules_hook);

static const struct field hook_set_fields[] = {
	{F(spec_hook_sets, prestart, K_LIST), .object = &object_hook, BY("prestart"),
	 .doc = "Run on the host, before createRuntime.  Deprecated."},
	{F(spec_hook_sets, createRuntime, K_LIST), .object = &object_hook, BY("create-runtime"),
	 SINCE(1, 0, 2),
	 .doc = "Run on the host, once the namespaces exist and before the root changes."},
	{F(spec_hook_sets, createContainer, K_LIST), .object = &object_hook, BY("create-container"),
	 SINCE(1, 0, 2), .doc = "Run in the container's namespaces, before the root changes."},
	{F(spec_hook_sets, startContainer, K_LIST), .object = &object_hook, BY("start-container"),
	 SINCE(1, 0, 2), .doc = "Run in the container, before the program."},
	{F(spec_hook_sets, poststart, K_LIST), .object = &object_hook, BY("poststart"),
	 .doc = "Run on the host, after the program has started."},
	{F(spec_hook_sets, poststop, K_LIST), .object = &object_hook, BY("poststop"),
	 .doc = "Run on the host, after the container is deleted."},
};
const struct object object_hook_sets = OBJECT(spec_hook_sets, hook_set_fields, NULL);

static const struct field spec_fields[] = {
	{F(spec, ociVersion, K_STR), .required = true, .nonempty = true, BY("config"),
	 .doc = "Version of the specification that the document follows: 1.0 to 1.3."},
	{F(spec, root, K_PTR), .required = true, .object = &object_root, .applied = MEMBERS,
	 .doc = "The root file system."},
	{F(spec, process, K_PTR), .object = &object_process, .applied = MEMBERS,
	 .doc = "The process to run; needed to start the container."},
	{F(spec, hostname, K_STR), .longest = 64, BY("hostname"),
	 .doc = "Host name, in a UTS namespace of the container's own."},
	{F(spec, domainname, K_STR), .longest = 64, BY("domainname"), SINCE(1, 1, 0),
	 .doc = "NIS domain name, in a UTS namespace of the container's own."},
	{F(spec, mounts, K_LIST), .object = &object_mount, BY("mounts"),
	 .doc = "What is mounted, in this order."},
	{F(spec, hooks, K_PTR), .object = &object_hook_sets, .applied = MEMBERS,
	 .doc = "Programs that run at points of the container's life."},
	{F(spec, annotations, K_MAP), BY("record"),
	 .doc = "Names and values that are handed on, in the state, to whom it concerns."},
	{F_AS(spec, linux_, "linux", K_PTR), .object = &object_linux, .applied = MEMBERS,
	 .doc = "What Linux has and other systems have not."},
};
const struct object object_spec = OBJECT(spec, spec_fields, rules_spec);
