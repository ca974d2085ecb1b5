/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands: each returns its exit status, or -1 with err, which main()
 * prints; the exit status is then err->exit, or 1 (`run`: 125).
 */
#ifndef BRYO_RUNTIME_COMMANDS_H
#define BRYO_RUNTIME_COMMANDS_H

#include <signal.h>

#include "runtime/opts.h"
#include "runtime/record.h"

int cmd_run(struct arguments *a, struct err *err);
int cmd_create(struct arguments *a, struct err *err);
int cmd_start(struct arguments *a, struct err *err);
int cmd_state(struct arguments *a, struct err *err);
int cmd_list(struct arguments *a, struct err *err);
int cmd_kill(struct arguments *a, struct err *err);
int cmd_delete(struct arguments *a, struct err *err);
int cmd_spec(struct arguments *a, struct err *err);
int cmd_features(struct arguments *a, struct err *err);
int cmd_steps(struct arguments *a, struct err *err);
int cmd_validate(struct arguments *a, struct err *err);
int cmd_wait(struct arguments *a, struct err *err);
int cmd_pause(struct arguments *a, struct err *err);
int cmd_resume(struct arguments *a, struct err *err);
int cmd_update(struct arguments *a, struct err *err);
int cmd_ps(struct arguments *a, struct err *err);
int cmd_events(struct arguments *a, struct err *err);
int cmd_exec(struct arguments *a, struct err *err);
int cmd_completion(struct arguments *a, struct err *err);
int cmd_diff(struct arguments *a, struct err *err);
int cmd_export(struct arguments *a, struct err *err);

/* ---- shared by them ---- */

/* A container found by its id: the store, its directory, its record. */
struct found {
	int store, dir;
	struct arena arena;
	struct record record;
};

/* Open and read it; -1 and err ("does not exist"). */
int container_find(const struct arguments *a, const char *id, struct found *ret, struct err *err);
void container_finish(struct found *f);

/*
 * The pids of all its processes, as the caller sees them: those of its cgroup, or
 * of its pid namespace; in f->arena.  NULL and err when neither is its own.
 */
pid_t *container_pids(struct found *f, size_t *ret_n, struct err *err);

/*
 * The container's cgroup, open; -1 and err ("cannot WHAT ...") when it has none.
 * cgroup_finish() closes it.
 */
int container_group(struct found *f, const char *what, struct cgroup *ret, struct err *err);

/* Kill all of them by cgroup.kill, which no security module is asked about; false: no cgroup. */
bool container_kill_group(struct found *f);

/* Signal all of them; SIGKILL by cgroup.kill when there is a cgroup. */
int container_signal_all(struct found *f, int sig, struct err *err);

/* A duration as Go writes it: 500ms, 5s, 1m30s; in milliseconds.  -1 and err names the option. */
int parse_duration(const char *option, const char *s, int *ret_ms, struct err *err);

/*
 * The configuration of a bundle, checked, and what follows from it for the
 * caller: all of the box that is decided before the first row.  The box's
 * arena, options, op and id are the caller's; `root` is that of --root or NULL.
 */
int box_prepare(struct box *b, const char *root, struct err *err);

/* Parts of it: the text of config.json, and what follows from b->spec. */
int box_read_bundle(struct box *b, struct err *err);
int box_plan(struct box *b, struct err *err);

/* The part of it in rows_overlay.c: options and annotations to b->overlay. */
int box_plan_overlay(struct box *b, struct err *err);

/* That in rows_selinux.c: who says what the label is. */
int box_plan_label(struct box *b, struct err *err);

/* The first part of both: a box that has nothing yet but a handle of /proc. */
int box_begin(struct box *b, struct err *err);

/*
 * The same for a process that enters the container with the state directory `dir`:
 * by the configuration that it was made with.  box_begin() must have been called.
 */
int box_prepare_exec(struct box *b, int dir, const struct exec_options *o, char *const *command,
		     struct err *err);

/*
 * The process that `exec` is asked for: that of --process, completed by what the
 * container's first one has, or the first one with `command` and the options instead.
 */
int exec_process(const struct exec_options *o, char *const *command,
		 const struct spec_process *first, struct arena *a, struct spec_process **ret,
		 struct err *err);

/*
 * Wait for the end of the box in the foreground: hand on what comes by signals and,
 * with a terminal, by standard input.  The exit status, as a shell has it; -1: it could
 * not be waited for.
 */
int await_end(struct box *b, const sigset_t *blocked, struct err *err);

/*
 * Signals that ask to stop come by *ret_sigfd from here on, where the walker
 * looks for them; the others of *ret_blocked wait.
 */
int take_signals(sigset_t *ret_blocked, int *ret_sigfd, struct err *err);

/* poststop hooks; a failure is a warning (config.md). */
void run_poststop(const struct record *r);

/* Print all of a JSON text to standard output; -1 and err. */
int print_json(struct json *j, struct err *err);

#endif
