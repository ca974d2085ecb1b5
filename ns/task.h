/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the kernel treats a process: scheduling, CPUs, memory nodes, personality
 * (sched(7), numa(7), ioprio_set(2), personality(2)).  All of it is inherited
 * over fork(2) and execve(2).
 */
#ifndef BRYO_NS_TASK_H
#define BRYO_NS_TASK_H

#include <sys/types.h>

#include "runtime/base/err.h"
#include "spec/spec.h"

/*
 * Of any process, 0 is the calling one: what needs a privilege needs it in the
 * initial user namespace, which the host may have and the box may not.  The
 * process must have the caller's ids still, or the caller CAP_SYS_NICE.
 */
int task_scheduler(pid_t pid, const struct spec_scheduler *s, struct err *err);
int task_io_priority(pid_t pid, const struct spec_ioprio *p, struct err *err);

/*
 * Of any process, 0 is the calling one: the CPUs of a list like "0-3,7", which
 * is that of execCPUAffinity's `initial` or `final`; NULL changes nothing.
 * err->ptr stays empty: the caller knows which of the two it was.
 */
int task_affinity(pid_t pid, const char *cpus, struct err *err);

/* Of the calling process. */
int task_memory_policy(const struct spec_mempolicy *m, struct err *err);
int task_personality(const struct spec_personality *p, struct err *err);

#endif
