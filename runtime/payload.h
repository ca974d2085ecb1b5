/* SPDX-License-Identifier: Apache-2.0 */
/* The program that the box becomes: finding it, its environment, execve(2). */
#ifndef BRYO_RUNTIME_PAYLOAD_H
#define BRYO_RUNTIME_PAYLOAD_H

#include <limits.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "spec/spec.h"

/*
 * The environment as environ(7) has it: of several entries of one name the
 * last counts (Slurm appends a job's to an image's).  Linear but for a sort.
 */
int payload_env(const struct strs *env, struct arena *a, char ***ret_env, struct err *err);

/*
 * `env` with what sd_listen_fds(3) wants for n sockets.  *ret_pid is the place of the
 * number of the process, which the box alone knows: 11 bytes.
 */
int payload_listen_env(struct strs *env, unsigned int n, struct arena *a, char **ret_pid,
		       struct err *err);

/*
 * Find args[0] as execvp(3) does, in the PATH of the environment, and check
 * that it can be executed.  err->exit is 126 or 127 and the words are those
 * that engines look for.
 */
int payload_find(const struct strs *args, char *const *env, char ret_path[PATH_MAX],
		 struct err *err);

/* execve(2); returns only with an error, worded likewise. */
int payload_exec(const char *path, const struct strs *args, char *const *env, struct err *err);

/* What the errno of a failed execve(2) means for a payload of that name. */
int payload_error(const char *name, int num, struct err *err);

#endif
