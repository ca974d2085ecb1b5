/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SELinux as files: labels, and what the running policy has to say of them.  No
 * library: the kernel's interface is selinuxfs, the policy's a few text files.
 *
 * A label is "user:role:type", and ":level" where the policy has levels; a level is
 * "s0:c1,c2", or a range of two with "-" between.
 */
#ifndef BRYO_SELINUX_SECLABEL_H
#define BRYO_SELINUX_SECLABEL_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "selinux/mcs.h"

/* Of a label; the kernel takes a page. */
enum { SECLABEL_MAX = 1024 };

#define SECLABEL_XATTR "security.selinux"

struct seclabel_host {
	int fs;          /* selinuxfs; -1: there is no SELinux */
	const char *etc; /* "/etc/selinux" */
	bool enforcing;
	bool has_levels;
};

/* What a policy wants containers to be; without a level of their own. */
struct seclabel_types {
	char *process, *file;
};

/* Is it there? One system call. */
bool seclabel_is_enabled(void);

/*
 * The host's, or what stands for it in tests: a directory with "fs" and "etc".  Where
 * there is none that is no error: ret->fs is -1.
 */
int seclabel_open(const char *fake, struct seclabel_host *ret, struct err *err);
void seclabel_close(struct seclabel_host *h);

/*
 * Is it one that the running policy knows?  The kernel is asked.  -1 and err with
 * num EINVAL: it is not.
 */
int seclabel_check(const struct seclabel_host *h, const char *label, struct err *err);

/* Those of the policy; -1 and err, with num ENOENT when the policy has none. */
int seclabel_read_types(const struct seclabel_host *h, struct arena *a, struct seclabel_types *ret,
			struct err *err);

/*
 * Does the policy forbid `permission` of the class?  What the kernel does not answer
 * is not forbidden: this is for messages before the fact, the kernel decides.
 */
bool seclabel_denies(const struct seclabel_host *h, const char *subject, const char *object,
		     const char *class, const char *permission);

/* Which categories may a process with this label have?  Asked of the kernel. */
void seclabel_categories(const struct seclabel_host *h, const char *label, struct mcs_set *ret);

/* ---- labels as text ---- */

/* The level, NULL when there is none. */
const char *seclabel_level(const char *label);

/* The label with another level (NULL: none); NULL: no memory. */
char *seclabel_with_level(const char *label, const char *level, struct arena *a);

/* The same with these two categories, of the sensitivity that the label has. */
char *seclabel_with_pair(const char *label, struct mcs_pair p, struct arena *a);

/* The categories of the label, none when it has no level. */
struct mcs_set seclabel_set(const char *label);

/* A file's label; false: it has none. */
bool seclabel_of_file(int fd, char *buf, size_t size);

#endif
