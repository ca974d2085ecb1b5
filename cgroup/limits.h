/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /linux/resources as a list of writes.  The list is a pure function of the
 * configuration, so the conversions from the units of cgroup v1 can be tested
 * without a cgroup, and which controllers are needed follows from it.
 */
#ifndef BRYO_CGROUP_LIMITS_H
#define BRYO_CGROUP_LIMITS_H

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "spec/spec.h"

enum limit_flags {
	LIMIT_TRY = 1,     /* a first attempt that may fail: a later entry says what counts */
	LIMIT_NO_FILE = 2, /* without the file the kernel has no such thing to limit */
	LIMIT_UNIFIED = 4, /* a key of /unified */
};

struct limit {
	const char *controller; /* "" when the file belongs to none */
	char *file, *value;
	/* When `file` does not exist: this one instead; NULL: none. */
	char *other_file, *other_value;
	char *ptr; /* of the property, below /linux/resources */
	unsigned int flags;
};
LIST(limit);

/*
 * All writes in their order, /unified last; devices are not among them.  Zero
 * means "not set" but where the specification says otherwise.  -1: values that
 * contradict each other, err->ptr is below /linux/resources.
 */
int limits_compile(const struct spec_resources *r, struct arena *a, struct limits *ret,
		   struct err *err);

/* cpu.shares, of 2 to 262144, as cpu.weight, of 1 to 10000; 0 stays 0. */
uint64_t limits_cpu_weight(uint64_t shares);

/* blkio.weight, of 10 to 1000, as io.weight, of 1 to 10000. */
uint64_t limits_io_weight(uint64_t weight);

/*
 * Write them; err->ptr is below /linux/resources.  An entry whose other_file it was
 * gets that for its file.
 */
int limits_write(int dir, const struct limits *list, struct err *err);

/* The limit of processes alone, with `more` than it says. */
int limits_write_pids(int dir, const struct limits *list, int more, struct err *err);

/*
 * The files that limit something when the list has been written, with blanks in
 * between; `before` are those of earlier (NULL: none).  NULL and err.
 */
char *limits_names(const char *before, const struct limits *list, bool devices, struct arena *a,
		   struct err *err);

/*
 * `update`: what the kernel keeps in one file, or what needs another value to
 * be converted, is completed from the cgroup (quota without period, swap
 * without limit ...), and memory.checkBeforeUpdate is done.
 */
int limits_complete(int dir, struct spec_resources *r, struct err *err);

#endif
