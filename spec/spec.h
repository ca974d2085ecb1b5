/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OCI runtime configuration (runtime-spec 1.3, config.md and
 * config-linux.md) as C structures.  Member names are the JSON names.
 *
 * A pointer that is NULL, a list with n == 0 and an opt_* without `set` mean
 * that the property is absent (or null).  Strings of a structure are never
 * empty: "" is read as absent, too.  Everything lives in the arena given
 * to the parser.  Lists of pointers are NULL-terminated behind the last.
 */
#ifndef BRYO_SPEC_SPEC_H
#define BRYO_SPEC_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"

struct opt_bool {
	bool set, v;
};

struct opt_i64 {
	bool set;
	int64_t v;
};

struct opt_u64 {
	bool set;
	uint64_t v;
};

/* v[n] is NULL; v itself is NULL when the list is absent. */
struct strs {
	char **v;
	size_t n;
};

/*
 * The list with n more strings behind; what it was made of stays as it is, for others
 * who have it.  -1: no memory.
 */
int strs_append(struct strs *list, char *const *more, size_t n, struct arena *a);

struct u32s {
	uint32_t *v;
	size_t n;
};

struct pair {
	char *key, *value;
};

struct pairs {
	struct pair *v;
	size_t n;
};

#define LIST(name)                                                                                 \
	struct name##s {                                                                           \
		struct name *v;                                                                    \
		size_t n;                                                                          \
	}

struct spec_idmap {
	uint32_t containerID, hostID, size;
};
LIST(spec_idmap);

/* ---- process ---- */

struct spec_user {
	uint32_t uid, gid;
	struct opt_u64 umask; /* 0..0777 */
	struct u32s additionalGids;
	char *username; /* Windows only; ignored */
};

struct spec_caps {
	struct strs bounding, effective, inheritable, permitted, ambient;
};

struct spec_rlimit {
	int type; /* RLIMIT_* */
	uint64_t soft, hard;
};
LIST(spec_rlimit);

struct spec_console {
	uint64_t height, width;
};

struct spec_scheduler {
	int policy; /* SCHED_* */
	int64_t nice, priority;
	uint64_t flags; /* SCHED_FLAG_* of sched_setattr(2) */
	uint64_t runtime, deadline, period;
};

struct spec_ioprio {
	int class; /* IOPRIO_CLASS_* */
	int64_t priority;
};

struct spec_affinity {
	char *initial, *final;
};

struct spec_process {
	bool terminal;
	struct spec_console *consoleSize;
	struct spec_user user;
	struct strs args, env;
	char *commandLine; /* Windows only; ignored */
	char *cwd;
	struct spec_caps *capabilities;
	struct spec_rlimits rlimits;
	bool noNewPrivileges;
	char *apparmorProfile, *selinuxLabel;
	struct opt_i64 oomScoreAdj; /* -1000..1000 */
	struct spec_scheduler *scheduler;
	struct spec_ioprio *ioPriority;
	struct spec_affinity *execCPUAffinity;
};

/* ---- root, mounts, hooks ---- */

struct spec_root {
	char *path;
	bool readonly;
};

struct spec_mount {
	char *destination, *type, *source;
	struct strs options;
	struct spec_idmaps uidMappings, gidMappings;
};
LIST(spec_mount);

struct spec_hook {
	char *path;
	struct strs args, env;
	struct opt_u64 timeout; /* seconds, > 0 */
};
LIST(spec_hook);

struct spec_hook_sets {
	struct spec_hooks prestart, createRuntime, createContainer;
	struct spec_hooks startContainer, poststart, poststop;
};

/* ---- linux ---- */

enum ns_type { NS_USER, NS_MOUNT, NS_PID, NS_NET, NS_IPC, NS_UTS, NS_CGROUP, NS_TIME, NS_COUNT };

struct spec_namespace {
	int type; /* enum ns_type */
	char *path;
};
LIST(spec_namespace);

struct spec_device {
	int type; /* 'c', 'b', 'u' or 'p' */
	char *path;
	int64_t major, minor;
	struct opt_u64 fileMode; /* 0..07777, without the file type */
	struct opt_u64 uid, gid;
};
LIST(spec_device);

struct spec_netdev {
	char *key; /* name on the host */
	char *name;
};
LIST(spec_netdev);

struct spec_timeoffset {
	char *key; /* "monotonic" or "boottime" */
	int64_t secs;
	uint32_t nanosecs;
};
LIST(spec_timeoffset);

struct spec_arg {
	uint32_t index; /* 0..5 */
	uint64_t value, valueTwo;
	int op; /* enum scmp_compare of <seccomp.h> */
};
LIST(spec_arg);

struct spec_syscall {
	struct strs names;
	int action; /* enum spec_action */
	struct opt_u64 errnoRet;
	struct spec_args args;
};
LIST(spec_syscall);

enum spec_action {
	ACT_KILL_THREAD, /* SCMP_ACT_KILL is the same */
	ACT_KILL_PROCESS,
	ACT_TRAP,
	ACT_ERRNO,
	ACT_TRACE,
	ACT_ALLOW,
	ACT_LOG,
	ACT_NOTIFY
};

/* Bits of spec_seccomp.flags. */
enum { SPEC_TSYNC = 1, SPEC_LOG = 2, SPEC_SPEC_ALLOW = 4, SPEC_WAIT_KILLABLE = 8 };

struct spec_seccomp {
	int defaultAction; /* enum spec_action */
	struct opt_u64 defaultErrnoRet;
	struct strs architectures; /* SCMP_ARCH_*, checked */
	uint64_t flags;
	char *listenerPath, *listenerMetadata;
	struct spec_syscalls syscalls;
};

struct spec_personality {
	int domain; /* 0 LINUX, 1 LINUX32 */
	struct strs flags;
};

/* MPOL_F_* of set_mempolicy(2), which the headers hide from user space or are too old for. */
enum { SPEC_MPOL_BALANCING = 1 << 13, SPEC_MPOL_RELATIVE = 1 << 14, SPEC_MPOL_STATIC = 1 << 15 };

struct spec_mempolicy {
	int mode; /* MPOL_* */
	char *nodes;
	uint64_t flags; /* SPEC_MPOL_* */
};

struct spec_rdt {
	char *closID, *l3CacheSchema, *memBwSchema;
	struct strs schemata;
	bool enableMonitoring, enableCMT, enableMBM;
};

/* ---- linux.resources ---- */

struct spec_devrule {
	bool allow;
	char *type; /* "a", "c", "b" or absent = a */
	struct opt_i64 major, minor;
	char *access;
};
LIST(spec_devrule);

struct spec_memory {
	struct opt_i64 limit, reservation, swap, kernel, kernelTCP;
	struct opt_u64 swappiness;
	struct opt_bool disableOOMKiller, useHierarchy, checkBeforeUpdate;
};

struct spec_cpu {
	struct opt_u64 shares, burst, period, realtimePeriod;
	struct opt_i64 quota, realtimeRuntime, idle;
	char *cpus, *mems;
};

struct spec_blkdev {
	int64_t major, minor;
	struct opt_u64 weight, leafWeight; /* weightDevice */
	struct opt_u64 rate;               /* throttle*Device */
};
LIST(spec_blkdev);

struct spec_blkio {
	struct opt_u64 weight, leafWeight;
	struct spec_blkdevs weightDevice;
	struct spec_blkdevs throttleReadBpsDevice, throttleWriteBpsDevice;
	struct spec_blkdevs throttleReadIOPSDevice, throttleWriteIOPSDevice;
};

struct spec_hugepage {
	char *pageSize;
	uint64_t limit;
};
LIST(spec_hugepage);

struct spec_netprio {
	char *name;
	uint32_t priority;
};
LIST(spec_netprio);

struct spec_network {
	struct opt_u64 classID;
	struct spec_netprios priorities;
};

struct spec_rdma {
	char *key; /* device */
	struct opt_u64 hcaHandles, hcaObjects;
};
LIST(spec_rdma);

struct spec_pids {
	struct opt_i64 limit; /* 0 is a limit, from 1.3 on; -1 is none */
};

struct spec_resources {
	struct spec_devrules devices;
	struct spec_memory *memory;
	struct spec_cpu *cpu;
	struct spec_pids *pids;
	struct spec_blkio *blockIO;
	struct spec_hugepages hugepageLimits;
	struct spec_network *network;
	struct spec_rdmas rdma;
	struct pairs unified;
};

enum spec_propagation { PROP_UNSET, PROP_PRIVATE, PROP_SHARED, PROP_SLAVE, PROP_UNBINDABLE };

struct spec_linux {
	struct spec_namespaces namespaces;
	struct spec_idmaps uidMappings, gidMappings;
	struct spec_timeoffsets timeOffsets;
	struct spec_devices devices;
	struct spec_netdevs netDevices;
	char *cgroupsPath;
	struct spec_resources *resources;
	struct spec_rdt *intelRdt;
	struct spec_mempolicy *memoryPolicy;
	struct spec_personality *personality;
	struct pairs sysctl;
	struct spec_seccomp *seccomp;
	int rootfsPropagation; /* enum spec_propagation */
	struct strs maskedPaths, readonlyPaths;
	char *mountLabel;
};

struct spec {
	char *ociVersion;
	struct spec_root *root;
	struct spec_process *process;
	char *hostname, *domainname;
	struct spec_mounts mounts;
	struct spec_hook_sets *hooks;
	struct pairs annotations;
	struct spec_linux *linux_; /* "linux" is a macro in gnu C */
};

/* Does it leave any call to an agent? */
bool spec_seccomp_notifies(const struct spec_seccomp *s);

/* The version of the specification that is followed, and written. */
#define SPEC_VERSION "1.3.0"
enum { SPEC_VERSION_MAJOR = 1, SPEC_VERSION_MINOR = 3 };

/* Limits of what is read (ARCHITECTURE: input is hostile). */
enum { SPEC_MAX_BYTES = 4 << 20, SPEC_MAX_DEPTH = 64 };

/*
 * Parse and check a config.json held in memory.  Syntax, types, ranges,
 * required members, and the rules of the specification that need nothing but
 * the document (duplicate namespaces, absolute paths ...).  Unknown keys are
 * ignored.  *ret_spec and all it points to live in the arena.
 * -1: err has the pointer and the cause.
 */
int spec_parse(const char *text, size_t len, struct arena *a, struct spec **ret_spec,
	       struct err *err);

/*
 * All that is wrong with a document, and warnings: of keys that the specification has
 * not, and of properties that are younger than the version which the document says that
 * it follows.  *ret_spec is what there is without that.  -1: it is no JSON; err.
 */
struct findings;
int spec_validate(const char *text, size_t len, struct arena *a, struct findings *f,
		  struct spec **ret_spec, struct err *err);

/* 10203 for "1.2.3"; UINT_MAX for what is no version. */
unsigned int spec_version_number(const char *version);

/* As spec_parse(), for the process.json of `exec`. */
int spec_parse_process(const char *text, size_t len, struct arena *a,
		       struct spec_process **ret_process, struct err *err);

/* As spec_parse(), for the resources of `update`; pointers begin below them. */
int spec_parse_resources(const char *text, size_t len, struct arena *a,
			 struct spec_resources **ret_resources, struct err *err);

/*
 * CPUs or memory nodes as a set; n is the highest plus one.  Blanks are allowed,
 * as the schema does.  -1: it is no list like "0-3,7", or beyond any machine.
 */
enum { SPEC_SET_BITS = 8192, SPEC_WORD_BITS = 8 * sizeof(unsigned long) };

struct spec_set {
	size_t n;
	unsigned long bits[SPEC_SET_BITS / SPEC_WORD_BITS];
};

int spec_list_parse(const char *s, struct spec_set *ret);

/*
 * Refuse what is known to the parser and applied by no row yet: -1 with the
 * pointer of the first such element and the message "not supported yet".
 * Values that mean "not set" (cpu.shares 0, memory.disableOOMKiller false,
 * empty objects and strings ...) pass.
 */
int spec_check_supported(const struct spec *s, struct err *err);

/* The same for the process of `exec`; pointers are those of process.json. */
int spec_check_process_supported(const struct spec_process *p, struct err *err);

/* The same for the resources of `update`. */
int spec_check_resources_supported(const struct spec_resources *r, struct err *err);

/*
 * The JSON pointers of all that spec_check_supported() can refuse, "*" for an
 * index or any key.
 */
void spec_list_refused(void (*emit)(const char *ptr, void *data), void *data);

/* The document of `bryo spec`: a shell in rootfs/, with little privilege. */
int spec_default(bool rootless, struct arena *a, struct spec **ret, struct err *err);

/* The document again, as JSON: parse(write(parse(x))) equals parse(x). */
int spec_write(const struct spec *s, struct arena *a, char **ret_text, size_t *ret_len,
	       struct err *err);

#endif
