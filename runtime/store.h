/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where containers are remembered: one directory each below --root, else
 * $XDG_RUNTIME_DIR/bryo, else /run/bryo.
 *
 * Trust boundary: the directory must be the caller's and nobody else may write to
 * it.  Root becomes the user whose it is.  Ids are checked to be no paths before they
 * are used as names, and everything below is opened relative to descriptors.
 */
#ifndef BRYO_RUNTIME_STORE_H
#define BRYO_RUNTIME_STORE_H

#include <stdbool.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"

/* The configuration that a container was made with, in its directory. */
#define STORED_CONFIG "config.json"

/* [A-Za-z0-9_+-][A-Za-z0-9_+.-]*, at most 255 bytes; as runc has it. */
int store_check_id(const char *id, struct err *err);

/*
 * Open the store; `root` is that of --root or NULL.  With `create` it is made
 * (0700, parents too).  Without, one that is missing gives -1 and
 * err->num == ENOENT.
 */
int store_open(const char *root, bool create, int *ret_store, struct err *err);

/* Its absolute path, there or not; NULL: no memory. */
char *store_path(const char *root, struct arena *a);

/* Make and lock the directory of a new container; "already exists" otherwise. */
int store_create(int store, const char *id, int *ret_dir, struct err *err);

/* Open that of an existing one; "does not exist" otherwise (err->num stays 0). */
int store_enter(int store, const char *id, int *ret_dir, struct err *err);

/*
 * Wait for the lock of the directory, which serialises create, start and
 * delete; it is freed with the last copy of the descriptor.  -1 also when
 * another `delete` was faster: "does not exist".
 */
int store_lock(int store, const char *id, int dir, struct err *err);

void store_unlock(int dir);

/* Does somebody hold it? */
bool store_is_locked(int dir);

/* Remove the directory and what is in it, one level deep, never following a link. */
int store_remove(int store, const char *id, int dir, struct err *err);

/* All ids, sorted, NULL-terminated. */
int store_list(int store, struct arena *a, char ***ret_ids, struct err *err);

#endif
