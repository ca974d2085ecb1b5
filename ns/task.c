/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/task.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <stdbool.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * sched_setattr(2).  The header that has it does not go together with later
 * versions of glibc's <sched.h>.  The size must be this one: flags about
 * utilisation clamps are refused with the first, smaller one.
 */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

static int scheduler_failed(const struct spec_scheduler *s, struct err *err)
{
	err_at(err, "/process/scheduler", errno, "sched_setattr");
	if (err->num == EPERM)
		return err_hint(err,
				"a real-time policy, or a nice value below the caller's own, "
				"needs CAP_SYS_NICE on the host%s",
				s->policy == SCHED_DEADLINE
					? "; a deadline needs all CPUs of its domain, too"
					: "");
	if (err->num == EBUSY)
		return err_hint(err, "the CPUs have no time left for this deadline");
	if (err->num == EINVAL && s->policy == SCHED_DEADLINE)
		return err_hint(err, "1024 <= runtime <= deadline <= period, in nanoseconds");
	return -1;
}

int task_scheduler(pid_t pid, const struct spec_scheduler *s, struct err *err)
{
	const struct attributes a = {
		.size = sizeof(a),
		.policy = (uint32_t)s->policy,
		.flags = s->flags,
		.nice = (int32_t)s->nice,
		.priority = (uint32_t)s->priority,
		.runtime = s->runtime,
		.deadline = s->deadline,
		.period = s->period,
	};

	if (syscall(SYS_sched_setattr, pid, &a, 0) < 0)
		return scheduler_failed(s, err);
	return 0;
}

int task_io_priority(pid_t pid, const struct spec_ioprio *p, struct err *err)
{
	int value = IOPRIO_PRIO_VALUE(p->class, (int)p->priority);

	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid, value) == 0)
		return 0;
	err_at(err, "/process/ioPriority", errno, "ioprio_set");
	if (err->num == EPERM)
		err_hint(err, "IOPRIO_CLASS_RT needs CAP_SYS_ADMIN or CAP_SYS_NICE on the host");
	return -1;
}

int task_affinity(pid_t pid, const char *cpus, struct err *err)
{
	struct spec_set set;

	if (!cpus)
		return 0;
	if (spec_list_parse(cpus, &set) < 0)
		return err_set(err, 0, "\"%.64s\" is not a list like 0-3,7", cpus);
	if (syscall(SYS_sched_setaffinity, pid, sizeof(set.bits), set.bits) == 0)
		return 0;
	err_set(err, errno, "use CPUs %.64s", cpus);
	if (err->num == EINVAL)
		err_hint(err, "none of them is there, or allowed by the cgroup");
	return -1;
}

int task_memory_policy(const struct spec_mempolicy *m, struct err *err)
{
	struct spec_set set = {.n = 0};
	int mode = m->mode | (int)m->flags;

	if (m->nodes && spec_list_parse(m->nodes, &set) < 0)
		return err_at(err, "/linux/memoryPolicy/nodes", 0, "\"%.64s\" is not a list",
			      m->nodes);
	/* The kernel counts one more than there are. */
	if (syscall(SYS_set_mempolicy, mode, set.n ? set.bits : NULL, set.n ? set.n + 1 : 0) == 0)
		return 0;
	err_at(err, "/linux/memoryPolicy", errno, "set_mempolicy");
	if (err->num == ENOSYS)
		err_hint(err, "this kernel is built without NUMA");
	else if (err->num == EINVAL)
		err_hint(err,
			 "a node is not there or not allowed, or this kernel does not know the "
			 "mode or a flag");
	return -1;
}

int task_personality(const struct spec_personality *p, struct err *err)
{
	if (personality(p->domain ? PER_LINUX32 : PER_LINUX) < 0)
		return err_at(err, "/linux/personality", errno, "personality");
	return 0;
}
