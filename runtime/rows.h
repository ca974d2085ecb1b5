/* SPDX-License-Identifier: Apache-2.0 */
/* The adapters of the host's rows, and those of hooks; for the table in sandbox.c only. */
#ifndef BRYO_RUNTIME_ROWS_H
#define BRYO_RUNTIME_ROWS_H

#include "runtime/box.h"

int row_state_apply(struct box *b, struct err *err);
void row_state_undo(struct box *b);
bool row_notifies(const struct box *b);
int row_notify_apply(struct box *b, struct err *err);
void row_notify_undo(struct box *b);
int row_join_apply(struct box *b, struct err *err);
void row_ns_undo(struct box *b);
int row_filter_compile_apply(struct box *b, struct err *err);
void row_filter_undo(struct box *b);
int row_sources_apply(struct box *b, struct err *err);
void row_mounts_undo(struct box *b);
int row_listen_apply(struct box *b, struct err *err);
void row_listen_undo(struct box *b);
bool row_has_terminal(const struct box *b);
int row_terminal_apply(struct box *b, struct err *err);
int row_console_apply(struct box *b, struct err *err);
void row_console_undo(struct box *b);
int row_clone_apply(struct box *b, struct err *err);
void row_clone_undo(struct box *b);
bool row_makes_userns(const struct box *b);
int row_idmap_apply(struct box *b, struct err *err);
bool row_wants_idmapped_mounts(const struct box *b);
int row_idmapped_mounts_apply(struct box *b, struct err *err);
int row_identify_apply(struct box *b, struct err *err);
int row_record_apply(struct box *b, struct err *err);
bool row_has_pidfd_socket(const struct box *b);
int row_pidfd_apply(struct box *b, struct err *err);
bool row_has_pid_file(const struct box *b);
int row_pid_file_apply(struct box *b, struct err *err);
void row_pid_file_undo(struct box *b);

bool row_has_cgroup(const struct box *b);
int row_cgroup_apply(struct box *b, struct err *err);
void row_cgroup_undo(struct box *b);
bool row_has_scope(const struct box *b);
int row_scope_apply(struct box *b, struct err *err);
bool row_has_limits(const struct box *b);
int row_limits_apply(struct box *b, struct err *err);
bool row_has_cgroupns(const struct box *b);
int row_cgroupns_apply(struct box *b, struct err *err);

bool row_has_scheduler(const struct box *b);
int row_scheduler_apply(struct box *b, struct err *err);
bool row_has_io_priority(const struct box *b);
int row_io_priority_apply(struct box *b, struct err *err);
bool row_has_affinity(const struct box *b);
int row_first_affinity_apply(struct box *b, struct err *err);
int row_affinity_apply(struct box *b, struct err *err);
bool row_has_net_devices(const struct box *b);
int row_net_devices_apply(struct box *b, struct err *err);
void row_net_devices_undo(struct box *b);
bool row_has_resctrl(const struct box *b);
int row_resctrl_apply(struct box *b, struct err *err);
void row_resctrl_undo(struct box *b);
/* Seccomp without no_new_privs: no stub then, which the filter may forbid to execute. */
bool row_has_early_filter(const struct box *b);

/*
 * A handle of procfs: the host's, or, for who enters a container and has brought none
 * along, that inside, which is also *ret_own, the caller's to close.  -1 and err.
 */
int row_procfs(const struct box *b, int *ret_own, struct err *err);

bool row_has_apparmor(const struct box *b);
int row_apparmor_apply(struct box *b, struct err *err);
bool row_has_label(const struct box *b);
int row_label_apply(struct box *b, struct err *err);
void row_label_undo(struct box *b);
bool row_is_watched(const struct box *b);
int row_watch_apply(struct box *b, struct err *err);
void row_watch_undo(struct box *b);
bool row_relabels(const struct box *b);
int row_relabel_apply(struct box *b, struct err *err);
bool row_is_labelled(const struct box *b);
int row_selinux_apply(struct box *b, struct err *err);
/* The kernel did not take the label: always -1.  And what it may be that it did not execute. */
int label_failed(const struct box *b, int num, struct err *err);
void label_hint(const struct box *b, struct err *err);
bool row_has_rlimits(const struct box *b);
int row_raise_limits_apply(struct box *b, struct err *err);
int row_rlimits_apply(struct box *b, struct err *err);
bool row_has_memory_policy(const struct box *b);
int row_memory_policy_apply(struct box *b, struct err *err);
bool row_has_personality(const struct box *b);
int row_personality_apply(struct box *b, struct err *err);
int row_exec_apply(struct box *b, struct err *err);

bool row_has_prestart(const struct box *b);
int row_prestart_apply(struct box *b, struct err *err);
bool row_has_create_runtime(const struct box *b);
int row_create_runtime_apply(struct box *b, struct err *err);
bool row_has_create_container(const struct box *b);
int row_create_container_apply(struct box *b, struct err *err);
bool row_has_start_container(const struct box *b);
int row_start_container_apply(struct box *b, struct err *err);
bool row_has_poststart(const struct box *b);
int row_poststart_apply(struct box *b, struct err *err);

/* In rows_overlay.c. */
bool row_has_overlay(const struct box *b);
int row_overlay_claim_apply(struct box *b, struct err *err);
void row_overlay_claim_undo(struct box *b);
bool row_has_foreign_layers(const struct box *b);
int row_foreign_layers_apply(struct box *b, struct err *err);
int row_idmapped_layers_apply(struct box *b, struct err *err);
bool row_has_kept_overlay(const struct box *b);
int row_overlay_owner_apply(struct box *b, struct err *err);
int row_layers_apply(struct box *b, struct err *err);
int row_overlay_apply(struct box *b, struct err *err);

#endif
