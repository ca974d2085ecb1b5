/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of what the kernel grants the payload beside its credentials; the table is in sandbox.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "ns/cred.h"
#include "ns/procfs.h"
#include "ns/task.h"
#include "ns/terminal.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/console.h"
#include "runtime/faults.h"
#include "runtime/payload.h"
#include "runtime/resctrl.h"
#include "runtime/rows.h"
#include "runtime/stub/stub.h"

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

bool row_has_affinity(const struct box *b)
{
	return b->op == OP_EXEC && b->spec->process->execCPUAffinity;
}

/* Once by who runs bryo, before there is a process in the cgroup, once in it. */
int row_first_affinity_apply(struct box *b, struct err *err)
{
	if (task_affinity(0, b->spec->process->execCPUAffinity->initial, err) < 0)
		return err_under(err, "/process/execCPUAffinity/initial");
	return 0;
}

int row_affinity_apply(struct box *b, struct err *err)
{
	if (task_affinity(b->ns.pid, b->spec->process->execCPUAffinity->final, err) < 0)
		return err_under(err, "/process/execCPUAffinity/final");
	return 0;
}

bool row_has_net_devices(const struct box *b)
{
	return b->spec->linux_->netDevices.n;
}

int row_net_devices_apply(struct box *b, struct err *err)
{
	return netdevs_move(&b->netdevs, &b->spec->linux_->netDevices, &b->ns, b->arena, err);
}

/* Only what has failed to become a container: see walk() of cmd_run.c. */
void row_net_devices_undo(struct box *b)
{
	struct err err;

	if (netdevs_bring_back(&b->netdevs, &err) < 0)
		log_warn("%s%s%s", err.msg, err.hint[0] ? ": " : "", err.hint);
	netdevs_finish(&b->netdevs);
}

bool row_has_resctrl(const struct box *b)
{
	return b->spec->linux_->intelRdt;
}

int row_resctrl_apply(struct box *b, struct err *err)
{
	if (b->op == OP_EXEC)
		return resctrl_follow(b->spec->linux_->intelRdt, b->id, b->ns.pid, err);
	return resctrl_enter(b->spec->linux_->intelRdt, b->id, b->dir, b->ns.pid,
			     b->op == OP_REHEARSE, err);
}

void row_resctrl_undo(struct box *b)
{
	struct err err;

	if (b->op != OP_EXEC && b->dir >= 0 && row_has_resctrl(b) &&
	    resctrl_remove(b->dir, &err) < 0)
		log_warn("%s", err.msg);
}

/* An empty one is none, as a label of SELinux. */
bool row_has_apparmor(const struct box *b)
{
	const char *profile = b->spec->process ? b->spec->process->apparmorProfile : NULL;

	return profile && *profile;
}

int row_procfs(const struct box *b, int *ret_own, struct err *err)
{
	*ret_own = -1;
	if (b->op != OP_EXEC)
		return b->procfd;
	*ret_own = procfs_open_root(err);
	return *ret_own;
}

/*
 * Where there is a stub it does it itself, or it would be confined in the payload's place.
 * Whether the profile is there is asked here: `create` has to fail, and not `start`.
 */
int row_apparmor_apply(struct box *b, struct err *err)
{
	const char *profile = b->spec->process->apparmorProfile;
	const char *fake = faults_apparmor();
	auto_close int own = -1;
	int proc = fake ? -1 : row_procfs(b, &own, err);

	if (!fake && proc < 0)
		return err_under(err, "/process/apparmorProfile");
	b->apparmor.dir =
		fake ? open(fake, O_PATH | O_DIRECTORY | O_CLOEXEC) : apparmor_open(proc, err);
	if (b->apparmor.dir < 0)
		return -1;
	b->apparmor.request = apparmor_request(profile, b->arena);
	if (!b->apparmor.request)
		return err_at(err, "/process/apparmorProfile", ENOMEM, "the profile");
	if (!row_has_early_filter(b))
		return apparmor_find(b->apparmor.dir, profile, b->arena, err);
	return apparmor_set(b->apparmor.dir, profile, b->apparmor.request, err);
}

bool row_has_rlimits(const struct box *b)
{
	return b->spec->process && b->spec->process->rlimits.n;
}

int row_raise_limits_apply(struct box *b, struct err *err)
{
	return cred_raise_limits(&b->spec->process->rlimits, err);
}

int row_rlimits_apply(struct box *b, struct err *err)
{
	return cred_rlimits(&b->spec->process->rlimits, err);
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

int row_terminal_apply(struct box *b, struct err *err)
{
	const struct spec_process *p = b->spec->process;
	const struct spec_console *size = b->size.height ? &b->size : p->consoleSize;
	struct terminal t;

	if (terminal_open(size, &t, err) < 0)
		return -1;
	if (b->op != OP_EXEC && terminal_bind_console(t.slave, err) < 0)
		return -1;
	if (terminal_take(t.slave, &p->user, err) < 0 ||
	    console_send(b->console, t.master, "/dev/ptmx", err) < 0)
		return -1;
	close(t.master);
	close(fd_take(&b->console));
	return 0;
}

int row_exec_apply(struct box *b, struct err *err)
{
	const struct strs *args;

	if (b->op == OP_REHEARSE)
		_exit(0);
	args = &b->spec->process->args;
	if (b->stub < 0) {
		payload_exec(b->payload, args, b->env, err);
		label_hint(b, err);
		return -1;
	}
	/*
	 * Trust boundary: who may read the stub's file may trace the stub, until it has
	 * said that it is not dumpable; and what is traced there gets no filter and no
	 * profile.  Its mode lets nobody read it, but root with CAP_DAC_OVERRIDE may.
	 */
	if (cred_lower(err) < 0)
		return -1;
	stub_exec(&(const struct stub_task){.stub = b->stub,
					    .chan = b->chan,
					    .page = b->agent.page,
					    .apparmor = {b->apparmor.dir, b->apparmor.request},
					    .selinux = {b->label.dir, b->label.process},
					    .held = b->label.held,
					    .path = b->payload,
					    .argv = args->v,
					    .env = b->env});
	return err_set(err, errno, "execute the program that starts the payload");
}
