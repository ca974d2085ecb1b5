/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of a container between commands: one small JSON file,
 * replaced atomically, and beside it the configuration as it was: edits to the
 * bundle's after `create` must have no effect (runtime.md, "Lifecycle").
 */
#ifndef BRYO_RUNTIME_RECORD_H
#define BRYO_RUNTIME_RECORD_H

#include "runtime/box.h"
#include "spec/json.h"

struct record {
	char *ociVersion, *id, *bundle, *rootfs;
	char *created;     /* RFC 3339, UTC */
	int64_t pid;       /* 0 until the container is created */
	uint64_t identity; /* of the process, with its pid: see process_identity() */
	int64_t creator;   /* the bryo that makes it, with its identity */
	uint64_t creatorIdentity;
	bool ownPidNamespace; /* its end ends all processes of the container */
	bool isPublished;     /* not in the file: under which name it was found */
	bool hasProcess;      /* the configuration had /process: it can be started */
	bool noPivot;         /* its mount namespace still has the host's root */
	char *listenerPath, *listenerMetadata; /* of an agent whom `start` has to tell */
	char *selinuxLabel, *mountLabel;       /* NULL: none */
	struct pairs annotations;
	struct spec_hook_sets *hooks; /* poststart and poststop */
	const struct cgroup *cgroup;  /* not in the file: what `state` adds; or NULL */
};

enum status { CREATING, CREATED, RUNNING, STOPPED, PAUSED };

extern const char *const status_names[];

/* Describe the box, but for the identity; strings stay those of the box and its arena. */
int record_of(const struct box *b, struct record *ret, struct err *err);

/*
 * Write it under a temporary name; record_publish() gives it its own: from then
 * on the container is created.
 */
int record_write(int dir, const struct record *r, struct err *err);
int record_publish(int dir, struct err *err);

/*
 * Read and check it.  One that is not published, or not even written, is that
 * of a container half made: ret->isPublished is false, and *ret may be empty
 * but for the id.
 */
int record_read(int dir, const char *id, struct arena *a, struct record *ret, struct err *err);

/*
 * Is it alive, and does it wait for `start`?  The kernel is asked, not the
 * record: a recycled pid is no container, and see shared.h.  -1 and err when
 * that cannot be told.
 */
int record_status(int dir, const struct record *r, enum status *ret, struct err *err);

/*
 * The same, for who means to signal it: *ret_pidfd refers to its process while
 * that lives (CREATING too, as soon as it is known), else it is -1.
 */
int record_hold(int dir, const struct record *r, enum status *ret, int *ret_pidfd, struct err *err);

/* A handle of the bryo that makes it, while that lives; -1. */
int record_hold_creator(const struct record *r, struct err *err);

/* What tells the process apart from a later one of the same pid.  -1 and err. */
int process_identity(int pidfd, pid_t pid, uint64_t *ret, struct err *err);

/* The state of runtime.md as an object, with runc's extra members. */
void record_state(struct json *j, const struct record *r, enum status status, const char *owner);

#endif
