/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The namespaces of the box: which are made, which are joined, and the process
 * that lives in them (namespaces(7), clone3 in clone(2), setns(2)).
 */
#ifndef BRYO_NS_NSSET_H
#define BRYO_NS_NSSET_H

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "spec/spec.h"

struct nsset {
	uint64_t create;             /* CLONE_NEW* of the namespaces to be made */
	int join[NS_COUNT];          /* handles of those to be joined (nsfs or pidfd), or -1 */
	bool named[NS_COUNT];        /* has a path, of a namespace that is not the caller's own */
	size_t place[NS_COUNT];      /* place in /linux/namespaces, for errors */
	bool privileged;             /* the caller has CAP_SYS_ADMIN: it may mount and clone */
	bool in_child_userns;        /* the caller is in a user namespace below the initial one */
	bool in_userns;              /* the box gets a user namespace, made or joined */
	bool added_userns;           /* ... which the configuration did not ask for */
	struct spec_idmaps uid, gid; /* maps to be written; n == 0 when joined */
	bool deny_setgroups;         /* the maps are written without privilege */
	bool groups_denied;          /* nsset_target(): it is a namespace of that kind */
	bool map_helpers;            /* newuidmap and newgidmap write them */
	/*
	 * Called in the process that joins, while /proc/self is its own still: what
	 * it sets there the box inherits.  May be NULL.
	 */
	int (*before_join)(void *arg, struct err *err);
	/*
	 * Called in it before it makes the box: what is of the host's alone is
	 * closed there, since the box can be killed by those who are in its pid
	 * namespace, and a process that dies shows its descriptors although it was not
	 * dumpable.  May be NULL.
	 */
	int (*before_clone)(void *arg, struct err *err);
	void *arg;
	int cgroup; /* handle of the cgroup to be born in; 0: the caller's */
	int target; /* pidfd of the process whose namespaces are joined; 0: by path */
	int procfd; /* of the host, and what was seen there: for nsset_target() */
	ino_t seen[NS_COUNT];
	int stop;  /* gives up waiting for the joining process when readable; 0: none */
	pid_t pid; /* of the box, in the caller's pid namespace; 0: none */
	int pidfd;
};

/*
 * Decide from the configuration and the caller's ids and capabilities.  An
 * ordinary user whose configuration has no user namespace gets one unless
 * `may_add` is false: the caller mapped to root, and the subordinate ids that
 * /etc/subuid and /etc/subgid grant behind it.
 */
int nsset_plan(struct nsset *ns, const struct spec *s, bool may_add, struct arena *a,
	       struct err *err);

/* Does the box get a namespace of this type for itself, or one that was named? */
bool nsset_private(const struct nsset *ns, enum ns_type type);

/* Is any namespace joined? */
bool nsset_joins(const struct nsset *ns);

/* Open the namespaces to be joined and check that each is of its type. */
int nsset_open(struct nsset *ns, const struct spec *s, struct err *err);

/*
 * Instead of nsset_plan() and nsset_open(): join all namespaces of a process in which
 * it is and the caller is not, and know its maps of ids.  pidfd must stay open;
 * it is what is joined, so a pid that is recycled meanwhile is an error.
 */
int nsset_target(struct nsset *ns, int pidfd, pid_t pid, int procfd, struct arena *a,
		 struct err *err);

/*
 * May that process ("self", or a number) not call setgroups(2)?  user_namespaces(7): where
 * the gid map was written without privilege.
 */
bool nsset_denies_groups(int procfd, const char *process);

/*
 * Make the box: returns 0 in the box, its pid in the caller, -1 with err.
 * ns->pid and ns->pidfd are set in the caller.
 */
pid_t nsset_clone(struct nsset *ns, struct err *err);

/* SIGKILL the box and reap it; idempotent. */
void nsset_kill(struct nsset *ns);

/* Close all handles. */
void nsset_finish(struct nsset *ns);

/* Who writes the maps: the caller with or without privilege, or newuidmap(1) for it. */
void nsset_choose_writer(struct nsset *ns);

/* Write the maps of the box (user_namespaces(7)), from outside. */
int nsset_map_ids(const struct nsset *ns, int procfd, struct err *err);

/*
 * A user namespace with these maps and nobody in it, for a mount; needs privilege.
 * A descriptor, or -1 and err, whose pointer is relative to who has the maps.
 */
int nsset_mapped_userns(const struct spec_idmaps *uid, const struct spec_idmaps *gid, int procfd,
			struct err *err);

/*
 * In the box: become the root of its user namespace, or its first mapped id
 * where 0 is not mapped; not dumpable from here on.
 */
int nsset_become_root(const struct nsset *ns, struct err *err);

/* In the box: a time namespace with these offsets (time_namespaces(7)). */
int nsset_enter_time(const struct spec_timeoffsets *offsets, int procfd, struct err *err);

/* In the box: the loopback interface up (netdevice(7)). */
int nsset_loopback_up(struct err *err);

/* When this host does not let the caller make user namespaces: say why. */
void nsset_userns_hint(struct err *err);

/* CLONE_NEW* of the types. */
extern const uint64_t nsset_clone_flags[NS_COUNT];

/* The JSON names of the types, in the order of enum ns_type; /proc names likewise. */
extern const char *const nsset_type_names[NS_COUNT];
extern const char *const nsset_proc_names[NS_COUNT];

#endif
