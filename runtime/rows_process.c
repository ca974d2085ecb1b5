/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of what the kernel grants the payload beside its credentials; the table is in sandbox.c.
 */
#include "ns/task.h"
#include "runtime/rows.h"

bool row_has_scheduler(const struct box *b)
{
	return b->spec->process && b->spec->process->scheduler;
}

int row_scheduler_apply(struct box *b, struct err *err)
{
	return task_scheduler(b->ns.pid, b->spec->process->scheduler, err);
}

bool row_has_io_priority(const struct box *b)
{
	return b->spec->process && b->spec->process->ioPriority;
}

int row_io_priority_apply(struct box *b, struct err *err)
{
	return task_io_priority(b->ns.pid, b->spec->process->ioPriority, err);
}

bool row_has_memory_policy(const struct box *b)
{
	return b->spec->linux_->memoryPolicy;
}

int row_memory_policy_apply(struct box *b, struct err *err)
{
	return task_memory_policy(b->spec->linux_->memoryPolicy, err);
}

bool row_has_personality(const struct box *b)
{
	return b->spec->linux_->personality;
}

int row_personality_apply(struct box *b, struct err *err)
{
	return task_personality(b->spec->linux_->personality, err);
}
