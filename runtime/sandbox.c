/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The step table, and for each row an adapter of a few lines to the verb of a
 * folder.  Above each row: why it stands where it stands.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ns/cred.h"
#include "runtime/agent.h"
#include "runtime/base/fd.h"
#include "runtime/baton.h"
#include "runtime/listener.h"
#include "runtime/payload.h"
#include "runtime/rows.h"
#include "runtime/shared.h"
#include "runtime/steps.h"
#include "runtime/stub/stub.h"

/* ---- rows of the box ---- */

static bool is_privileged(const struct box *b)
{
	return b->ns.privileged;
}

static bool clones_in_box(const struct box *b)
{
	return !b->ns.privileged || b->mounts.by_box;
}

static bool makes_timens(const struct box *b)
{
	return b->ns.create & nsset_clone_flags[NS_TIME];
}

static int time_apply(struct box *b, struct err *err)
{
	if (nsset_enter_time(&b->spec->linux_->timeOffsets, b->procfd, err) < 0)
		return err_under(err, "/linux/timeOffsets");
	return 0;
}

static bool has_oom_score(const struct box *b)
{
	return b->spec->process && b->spec->process->oomScoreAdj.set;
}

/* A box that joins namespaces has it from the process that joins: see row_clone_apply(). */
static bool sets_oom_score(const struct box *b)
{
	return has_oom_score(b) && !nsset_joins(&b->ns);
}

static int oom_score_apply(struct box *b, struct err *err)
{
	return cred_oom_score(b->spec->process->oomScoreAdj.v, b->procfd, err);
}

static int become_root_apply(struct box *b, struct err *err)
{
	return nsset_become_root(&b->ns, err);
}

static bool makes_netns(const struct box *b)
{
	return b->ns.create & nsset_clone_flags[NS_NET];
}

static int loopback_apply(struct box *b, struct err *err)
{
	(void)b;
	return nsset_loopback_up(err);
}

static bool has_hostname(const struct box *b)
{
	return b->spec->hostname;
}

static int hostname_apply(struct box *b, struct err *err)
{
	if (sethostname(b->spec->hostname, strlen(b->spec->hostname)) < 0)
		return err_at(err, "/hostname", errno, "set the host name");
	return 0;
}

static bool has_domainname(const struct box *b)
{
	return b->spec->domainname;
}

static int domainname_apply(struct box *b, struct err *err)
{
	if (setdomainname(b->spec->domainname, strlen(b->spec->domainname)) < 0)
		return err_at(err, "/domainname", errno, "set the domain name");
	return 0;
}

static bool has_sysctl(const struct box *b)
{
	return b->spec->linux_->sysctl.n;
}

static int sysctl_apply(struct box *b, struct err *err)
{
	return sysctl_write(&b->spec->linux_->sysctl, b->procfd, err);
}

static int propagation_apply(struct box *b, struct err *err)
{
	(void)b;
	return mountset_make_private(err);
}

static int rootfs_apply(struct box *b, struct err *err)
{
	return mountset_attach_root(&b->mounts, b->spec, err);
}

static bool has_mounts(const struct box *b)
{
	return b->spec->mounts.n;
}

static int mounts_apply(struct box *b, struct err *err)
{
	return mountset_mount_all(&b->mounts, &b->ns, err);
}

static int devices_apply(struct box *b, struct err *err)
{
	return mountset_make_devices(&b->mounts, err);
}

static int dev_links_apply(struct box *b, struct err *err)
{
	return mountset_link_devices(&b->mounts, err);
}

static bool has_process(const struct box *b)
{
	return b->spec->process;
}

static int cwd_dir_apply(struct box *b, struct err *err)
{
	return mountset_make_cwd(&b->mounts, b->spec->process->cwd, err);
}

/* ---- the box becomes the container ---- */

static int pivot_apply(struct box *b, struct err *err)
{
	return mountset_pivot(&b->mounts, b->spec, b->opt.no_pivot, err);
}

static bool has_masked_paths(const struct box *b)
{
	return b->spec->linux_->maskedPaths.n;
}

static int masked_paths_apply(struct box *b, struct err *err)
{
	return mountset_mask(&b->mounts, &b->spec->linux_->maskedPaths, err);
}

static bool has_readonly_paths(const struct box *b)
{
	return b->spec->linux_->readonlyPaths.n;
}

static int readonly_paths_apply(struct box *b, struct err *err)
{
	return mountset_readonly(&b->mounts, &b->spec->linux_->readonlyPaths, err);
}

static bool has_readonly_root(const struct box *b)
{
	return b->spec->root->readonly;
}

static int readonly_root_apply(struct box *b, struct err *err)
{
	return mountset_readonly_root(&b->mounts, err);
}

static bool wants_keyring(const struct box *b)
{
	return !b->opt.no_new_keyring;
}

static int keyring_apply(struct box *b, struct err *err)
{
	(void)b;
	return cred_keyring(err);
}

static int session_apply(struct box *b, struct err *err)
{
	(void)b;
	return cred_session(err);
}

static const struct spec_caps *caps_of(const struct box *b)
{
	return b->spec->process ? b->spec->process->capabilities : NULL;
}

static int bounding_set_apply(struct box *b, struct err *err)
{
	return cred_bounding_set(caps_of(b), baton_warn, b, err);
}

static bool has_filter(const struct box *b)
{
	return b->spec->linux_->seccomp;
}

static bool has_no_new_privs(const struct box *b)
{
	return b->spec->process && b->spec->process->noNewPrivileges;
}

/* It is for the process: where there is none, `create` has nothing to confine. */
bool row_has_early_filter(const struct box *b)
{
	return has_process(b) && has_filter(b) && !has_no_new_privs(b);
}

static bool has_late_filter(const struct box *b)
{
	return has_filter(b) && has_no_new_privs(b);
}

static int filter_apply(struct box *b, struct err *err)
{
	struct filter f = {.insns = b->shared->filter};
	int ignored;

	shared_await_filter(b->shared, b->chan);
	f.n = b->shared->filter_len;
	f.flags = b->shared->filter_flags;
	if (agent_is_needed(b))
		return agent_install(b, &f, err);
	return filter_install(&f, &ignored, err);
}

/* Decided here, installed by the stub as its last act. */
static int late_filter_apply(struct box *b, struct err *err)
{
	b->late_filter = true;
	return agent_is_needed(b) ? agent_page_make(b, err) : 0;
}

/* An early filter may forbid to execute a memory file: see selfexe.h. */
static bool wants_stub(const struct box *b)
{
	return b->spec->process && !row_has_early_filter(b);
}

static int stub_apply(struct box *b, struct err *err)
{
	const struct shared *s = b->shared;

	if (b->late_filter)
		shared_await_filter(s, b->chan);
	b->stub = stub_make(s->filter, b->late_filter ? s->filter_len : 0, s->filter_flags, err);
	return b->stub < 0 ? -1 : 0;
}

static int user_apply(struct box *b, struct err *err)
{
	return cred_user(&b->spec->process->user, &b->ns, b->procfd, err);
}

static int umask_apply(struct box *b, struct err *err)
{
	const struct opt_u64 *asked = &b->spec->process->user.umask;

	(void)err;
	umask(asked->set ? (mode_t)asked->v : b->umask);
	return 0;
}

static int cwd_apply(struct box *b, struct err *err)
{
	return cred_cwd(b->spec->process->cwd, err);
}

static int no_new_privs_apply(struct box *b, struct err *err)
{
	(void)b;
	return cred_no_new_privs(err);
}

static int capabilities_apply(struct box *b, struct err *err)
{
	return cred_capabilities(caps_of(b), baton_warn, b, err);
}

static int payload_apply(struct box *b, struct err *err)
{
	const struct strs *args = &b->spec->process->args;

	snprintf(b->shared->payload, sizeof(b->shared->payload), "%s", args->v[0]);
	return payload_find(args, b->env, b->payload, err);
}

static bool outlives_host(const struct box *b)
{
	return b->op == OP_CREATE || b->opt.detach;
}

static int outlive_apply(struct box *b, struct err *err)
{
	(void)b;
	if (prctl(PR_SET_PDEATHSIG, 0) < 0)
		return err_set(err, errno, "prctl(PR_SET_PDEATHSIG)");
	return 0;
}

static bool writes_only_pid_file(const struct box *b)
{
	return b->op == OP_EXEC && row_has_pid_file(b);
}

static bool waits_for_start(const struct box *b)
{
	return b->op == OP_CREATE || b->op == OP_START;
}

static int wait_start_apply(struct box *b, struct err *err)
{
	int conn = listener_await(b->listener);

	if (conn < 0)
		return err_set(err, errno, "wait for start");
	close(b->chan);
	b->chan = conn;
	return 0;
}

static int signals_apply(struct box *b, struct err *err)
{
	(void)b;
	return cred_signals(err);
}

static int fds_apply(struct box *b, struct err *err)
{
	unsigned int first = 3 + b->opt.preserve_fds;

	for (unsigned int fd = 3; fd < first; fd++)
		if (fcntl((int)fd, F_SETFD, 0) < 0)
			return err_set(err, errno, "preserve descriptor %u", fd);
	if (close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return err_set(err, errno, "close_range");
	return 0;
}

static int ready_apply(struct box *b, struct err *err)
{
	/* A change of ids has cleared it (prctl(2)). */
	if (!outlives_host(b) && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_set(err, errno, "prctl(PR_SET_PDEATHSIG)");
	if (baton_send(b->chan, BATON_READY) < 0)
		_exit(EXIT_BRYO); /* nobody is left who could want the payload */
	return b->late_filter && agent_is_needed(b) ? agent_announce(b, err) : 0;
}

const struct step steps[] = {
	/* First: it claims the id, and its undo is the last. */
	{"state", HOST, NULL, NULL, row_state_apply, row_state_undo, 0},
	/* The lock that two containers race for, before anything is made for either. */
	{"overlay-claim", HOST, "/annotations", row_has_overlay, row_overlay_claim_apply,
	 row_overlay_claim_undo, STEP_ABROAD},
	/* The mount of its directory is one of the configuration's by now. */
	{"notify", HOST, NULL, row_notifies, row_notify_apply, row_notify_undo, STEP_ABROAD},
	/*
	 * Before the clone, while the host's selinuxfs can be asked: a wrong label is seen
	 * with nothing made.  After the state directory, which reserves it.
	 */
	{"label", HOST, "/process/selinuxLabel", row_has_label, row_label_apply, row_label_undo,
	 STEP_ENTERS},
	/* Before the clone, which joins them; a wrong handle is seen with nothing made. */
	{"join", HOST, "/linux/namespaces", NULL, row_join_apply, row_ns_undo, 0},
	/*
	 * A caller with privilege clones what comes from the host in the host's
	 * own mount namespace: ids of the container may not reach it.
	 */
	{"sources", HOST, "/mounts", is_privileged, row_sources_apply, row_mounts_undo, 0},
	/* Likewise; the clones are inherited by the box. */
	{"foreign-layers", HOST, "/annotations", row_has_foreign_layers, row_foreign_layers_apply,
	 NULL, 0},
	/* Who is to have the terminal must be there. */
	{"console", HOST, "/process/terminal", row_has_terminal, row_console_apply,
	 row_console_undo, STEP_ENTERS},
	/* The socket is inherited by the box, and there before anyone can call. */
	{"listen", HOST, NULL, waits_for_start, row_listen_apply, row_listen_undo, 0},
	/*
	 * Before the clone, which puts the box into it: the payload is at no moment
	 * outside, and the limits are at no moment not set.
	 */
	{"cgroup", HOST, "/linux/cgroupsPath", row_has_cgroup, row_cgroup_apply, row_cgroup_undo,
	 0},
	{"limits", HOST, "/linux/resources", row_has_limits, row_limits_apply, NULL, 0},
	/* Of `exec`: the CPUs while it comes in, and those that it has inside. */
	{"first-affinity", HOST, "/process/execCPUAffinity/initial", row_has_affinity,
	 row_first_affinity_apply, NULL, STEP_ENTERS},
	/* One clone3 with every new namespace: there is no half-made container. */
	{"clone", HOST, "/linux/namespaces", NULL, row_clone_apply, row_clone_undo, STEP_ENTERS},
	/* Next: nothing of the container happens outside, where systemd has to move it. */
	{"scope", HOST, "/linux/cgroupsPath", row_has_scope, row_scope_apply, NULL, STEP_ENTERS},
	/* Before the box acts: without a map it is nobody. */
	{"idmap", HOST, "/linux/uidMappings", row_makes_userns, row_idmap_apply, NULL, 0},
	/* Needs the maps written, and mounts that are still detached. */
	{"idmapped-mounts", HOST, "/mounts", row_wants_idmapped_mounts, row_idmapped_mounts_apply,
	 NULL, 0},
	{"idmapped-layers", HOST, "/annotations", row_has_foreign_layers, row_idmapped_layers_apply,
	 NULL, 0},
	{"affinity", HOST, "/process/execCPUAffinity/final", row_has_affinity, row_affinity_apply,
	 NULL, STEP_ENTERS},
	/*
	 * By the host, which may have the privilege: root of a user namespace has none
	 * here.  While the box has the caller's ids, so that an ordinary user may, too.
	 */
	{"scheduler", HOST, "/process/scheduler", row_has_scheduler, row_scheduler_apply, NULL,
	 STEP_ENTERS},
	{"io-priority", HOST, "/process/ioPriority", row_has_io_priority, row_io_priority_apply,
	 NULL, STEP_ENTERS},
	/* From the host's namespace; before sysctl, which may be about them. */
	{"net-devices", HOST, "/linux/netDevices", row_has_net_devices, row_net_devices_apply,
	 row_net_devices_undo, STEP_ABROAD},
	/* Its files are the host's, and want the process by the host's number. */
	{"resctrl", HOST, "/linux/intelRdt", row_has_resctrl, row_resctrl_apply, row_resctrl_undo,
	 STEP_ENTERS},
	/* After the clone, or the box would have its pipe; before the payload, which needs it. */
	{"watch", HOST, "/process", row_is_watched, row_watch_apply, row_watch_undo, STEP_ENTERS},
	/* Reading /proc and writing a file: time that the box need not wait for. */
	{"identify", HOST, "/annotations", NULL, row_identify_apply, NULL, STEP_BESIDE},
	{"overlay-owner", HOST, "/annotations", row_has_kept_overlay, row_overlay_owner_apply, NULL,
	 STEP_BESIDE | STEP_ABROAD},
	/* Likewise; an engine's profile takes as long as the mounts. */
	{"filter-compile", HOST, "/linux/seccomp", has_filter, row_filter_compile_apply,
	 row_filter_undo, STEP_BESIDE | STEP_ENTERS},
	/* As the caller still, not as root: the caller's ids reach the sources. */
	{"box-sources", BOX, "/mounts", clones_in_box, row_sources_apply, NULL, 0},
	/* Likewise, and in the namespace that they are mounted in: older kernels insist. */
	{"layers", BOX, "/root/path", row_has_overlay, row_layers_apply, NULL, 0},
	/* The files of /proc/self are ours only while the process is dumpable. */
	{"time-offsets", BOX, "/linux/timeOffsets", makes_timens, time_apply, NULL, 0},
	{"oom-score", BOX, "/process/oomScoreAdj", sets_oom_score, oom_score_apply, NULL, 0},
	/* From here on what the box makes belongs to the container's root. */
	{"become-root", BOX, NULL, NULL, become_root_apply, NULL, STEP_ENTERS},
	/* Its root is where the box is; before the mounts, which show it. */
	{"cgroupns", BOX, "/linux/namespaces", row_has_cgroupns, row_cgroupns_apply, NULL, 0},
	{"loopback", BOX, "/linux/namespaces", makes_netns, loopback_apply, NULL, 0},
	{"hostname", BOX, "/hostname", has_hostname, hostname_apply, NULL, 0},
	{"domainname", BOX, "/domainname", has_domainname, domainname_apply, NULL, 0},
	/* Before /proc/sys is covered; through the host's procfs, which the image cannot forge. */
	{"sysctl", BOX, "/linux/sysctl", has_sysctl, sysctl_apply, NULL, 0},
	/* Before the first mount: none may appear in the host's table. */
	{"propagation", BOX, "/linux/rootfsPropagation", NULL, propagation_apply, NULL, 0},
	/* With no more than the capabilities of the container's root, which it keeps for good. */
	{"overlay", BOX, "/root/path", row_has_overlay, row_overlay_apply, NULL, 0},
	{"rootfs", BOX, "/root/path", NULL, rootfs_apply, NULL, 0},
	/* While the host's directories can be told; before the mounts, which may be read-only. */
	{"relabel", BOX, "/mounts", row_relabels, row_relabel_apply, NULL, STEP_ABROAD},
	/* In listed order, beneath the rootfs. */
	{"mounts", BOX, "/mounts", has_mounts, mounts_apply, NULL, 0},
	/* On the /dev that the mounts have made. */
	{"devices", BOX, "/linux/devices", NULL, devices_apply, NULL, 0},
	/* Links are made where their target exists after the mounts. */
	{"dev-links", BOX, NULL, NULL, dev_links_apply, NULL, 0},
	/* While the root can be written still. */
	{"cwd-dir", BOX, "/process/cwd", has_process, cwd_dir_apply, NULL, 0},
	/* After the mounts and before the pivot, as config.md says of each. */
	{"prestart", HOST, "/hooks/prestart", row_has_prestart, row_prestart_apply, NULL,
	 STEP_ABROAD},
	{"create-runtime", HOST, "/hooks/createRuntime", row_has_create_runtime,
	 row_create_runtime_apply, NULL, STEP_ABROAD},
	{"create-container", BOX, "/hooks/createContainer", row_has_create_container,
	 row_create_container_apply, NULL, STEP_ABROAD},
	/* After hooks that it does not concern. */
	{"apparmor", BOX, "/process/apparmorProfile", row_has_apparmor, row_apparmor_apply, NULL,
	 STEP_ENTERS},
	/* Likewise; and before the keyring, which gets the label. */
	{"selinux", BOX, "/process/selinuxLabel", row_is_labelled, row_selinux_apply, NULL,
	 STEP_ENTERS},
	/* Everything of the host's that is needed has been opened or cloned. */
	{"pivot", BOX, "/root/path", NULL, pivot_apply, NULL, 0},
	/* After all mounts: a later one could uncover what is masked. */
	{"masked-paths", BOX, "/linux/maskedPaths", has_masked_paths, masked_paths_apply, NULL, 0},
	{"readonly-paths", BOX, "/linux/readonlyPaths", has_readonly_paths, readonly_paths_apply,
	 NULL, 0},
	{"session", BOX, NULL, NULL, session_apply, NULL, STEP_ENTERS},
	/* Leads a session by now, and /dev/console is a mount. */
	{"terminal", BOX, "/process/terminal", row_has_terminal, row_terminal_apply, NULL,
	 STEP_ENTERS},
	/* Last of the mounts: those above may have to make their places. */
	{"readonly-root", BOX, "/root/readonly", has_readonly_root, readonly_root_apply, NULL, 0},
	{"keyring", BOX, NULL, wants_keyring, keyring_apply, NULL, STEP_ENTERS},
	/* Dropping from the bounding set needs CAP_SETPCAP, which goes below. */
	{"bounding-set", BOX, "/process/capabilities/bounding", has_process, bounding_set_apply,
	 NULL, STEP_ENTERS},
	/* Its place in time is the end: the stub installs it right before the payload. */
	{"filter", BOX, "/linux/seccomp", has_late_filter, late_filter_apply, NULL, STEP_ENTERS},
	/* Before FSIZE and NOFILE could hit it. */
	{"stub", BOX, NULL, wants_stub, stub_apply, NULL, STEP_ENTERS},
	/* Raising a hard limit needs a privilege that goes; all else about them comes last. */
	{"raise-limits", BOX, "/process/rlimits", row_has_rlimits, row_raise_limits_apply, NULL,
	 STEP_ENTERS},
	{"user", BOX, "/process/user", has_process, user_apply, NULL, STEP_ENTERS},
	{"umask", BOX, "/process/user/umask", has_process, umask_apply, NULL, STEP_ENTERS},
	/* These two need no privilege, but a filter may forbid them. */
	{"memory-policy", BOX, "/linux/memoryPolicy", row_has_memory_policy,
	 row_memory_policy_apply, NULL, STEP_ENTERS},
	{"personality", BOX, "/linux/personality", row_has_personality, row_personality_apply, NULL,
	 STEP_ENTERS},
	/* As the user, with the capabilities of the container's root still. */
	{"cwd", BOX, "/process/cwd", has_process, cwd_apply, NULL, STEP_ENTERS},
	/*
	 * Without no_new_privs it needs CAP_SYS_ADMIN, which the next row takes; the
	 * later it is, the less it has to allow to us.
	 */
	{"early-filter", BOX, "/linux/seccomp", row_has_early_filter, filter_apply, NULL,
	 STEP_ENTERS},
	{"no-new-privs", BOX, "/process/noNewPrivileges", has_no_new_privs, no_new_privs_apply,
	 NULL, STEP_ENTERS},
	/* The last privilege goes. */
	{"capabilities", BOX, "/process/capabilities", has_process, capabilities_apply, NULL,
	 STEP_ENTERS},
	/* With the ids, the capabilities and the cwd that it will have. */
	{"payload", BOX, "/process/args", has_process, payload_apply, NULL, STEP_ENTERS},
	/* Before the host may go: its death would kill the box. */
	{"outlive", BOX, NULL, outlives_host, outlive_apply, NULL, STEP_ENTERS},
	/* As late as the pid file: who has it may wait for a payload. */
	{"pidfd", HOST, NULL, row_has_pidfd_socket, row_pidfd_apply, NULL, STEP_ENTERS},
	/* Whatever can fail but for the execution itself has failed; `record` has its own. */
	{"pid-file", HOST, NULL, writes_only_pid_file, row_pid_file_apply, row_pid_file_undo,
	 STEP_ENTERS},
	/* The end of `create`: whatever can fail before `start` has failed. */
	{"record", HOST, "/annotations", NULL, row_record_apply, row_pid_file_undo, STEP_ABROAD},
	{"wait-start", BOX, NULL, waits_for_start, wait_start_apply, NULL, STEP_ENDS_CREATE},
	{"start-container", BOX, "/hooks/startContainer", row_has_start_container,
	 row_start_container_apply, NULL, STEP_ABROAD},
	/* Not earlier: NOFILE, NPROC and FSIZE would hit rows above. */
	{"rlimits", BOX, "/process/rlimits", row_has_rlimits, row_rlimits_apply, NULL, STEP_ENTERS},
	/* Not earlier: SIGPIPE and SIGXFSZ are ignored by the rows above. */
	{"signals", BOX, NULL, NULL, signals_apply, NULL, STEP_ENTERS},
	/* Nothing may open a descriptor after it. */
	{"fds", BOX, NULL, NULL, fds_apply, NULL, STEP_ENTERS},
	/* The filter may forbid to send anything. */
	{"ready", BOX, NULL, NULL, ready_apply, NULL, STEP_ENTERS},
	{"exec", BOX, "/process/args", NULL, row_exec_apply, NULL, STEP_ENTERS},
	/* The payload has been executed; `start` has not returned yet. */
	{"poststart", HOST, "/hooks/poststart", row_has_poststart, row_poststart_apply, NULL,
	 STEP_ABROAD},
};

const size_t n_steps = sizeof(steps) / sizeof(steps[0]);
_Static_assert(sizeof(steps) / sizeof(steps[0]) <= MAX_STEPS, "struct shared has a slot for each");
