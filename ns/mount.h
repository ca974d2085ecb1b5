/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts of the box, by descriptors throughout: what is mounted is first a
 * detached mount (open_tree(2), fsmount(2)) that gets all its attributes, and
 * is attached complete (move_mount(2)) on a place that was resolved inside the
 * rootfs.  So there is never a moment at which a read-only mount is writable.
 *
 * Sources of bind mounts, host device nodes and the rootfs are cloned before
 * anything of the container is mounted: nothing that the container controls
 * can influence where they lead, and propagation of the host is not touched.
 */
#ifndef BRYO_NS_MOUNT_H
#define BRYO_NS_MOUNT_H

#include <stdbool.h>
#include <sys/types.h>

#include "ns/mountopt.h"
#include "ns/nsset.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "spec/spec.h"

/* A device node: one of the defaults, or one of /linux/devices. */
struct device {
	const char *path;
	mode_t type; /* S_IFCHR, S_IFBLK or S_IFIFO */
	dev_t rdev;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	size_t index; /* in /linux/devices; SIZE_MAX for a default */
	int tree;     /* the host's node, cloned; -1 when mknod(2) makes it */
};

struct mount_entry {
	const struct spec_mount *spec;
	struct mount_opts opts;
	const char *fstype; /* "cgroup2" for "cgroup" */
	int tree;           /* bind mounts: the source, cloned; -1 */
	int at;             /* once mounted: its root, for paths below it; -1 */
	bool is_dir;        /* of the source */
	bool by_host;       /* the box cannot clone the source itself */
};

struct mountset {
	struct mount_entry *v;
	size_t n;
	struct device *devices;
	size_t n_devices;
	bool bind_devices; /* in a user namespace nobody may mknod(2) */
	bool dropped_gid;  /* gid= of a devpts, in a user namespace that was added */
	bool by_box;       /* the box clones what it can reach */
	bool overlaid;     /* the root is an overlay: nothing of it is cloned */
	int beneath;       /* what the root is attached on and must stay so; or -1 */
	int root;          /* the rootfs: first the host's directory, then its clone, then "/" */
	bool held;         /* what is the host's may not change: see mountset_holds() */
	const char *label; /* of SELinux, for new file systems; NULL: none */
	int null;          /* the host's /dev/null, cloned, for masked paths; or -1 */
};

/*
 * Parse and check what can be checked without the kernel: options of every
 * mount, device lists, what needs which namespace.
 */
int mountset_plan(struct mountset *m, const struct spec *s, const struct nsset *ns, struct arena *a,
		  struct err *err);

/*
 * With mountset.held nothing that is mounted can be changed where it is the host's, too:
 * no file is made there, for a mount either, and no mount is seen outside.  Is there
 * something that is read-only for this alone?
 */
bool mountset_holds(const struct mountset *m, const struct nsset *ns);

/*
 * Does the box have the namespaces that the configuration changes?  Again after
 * nsset_open(), which finds out whether a named one is the caller's own.
 */
int mountset_check_namespaces(const struct spec *s, const struct nsset *ns, struct err *err);

/*
 * Clone the rootfs (a real directory, and not "/"), the sources of bind mounts
 * and the host's device nodes into detached mounts: all that is not cloned yet.
 *
 * Trust boundary: flags of the host's mounts (read-only, nosuid ...), and what
 * they cover, are locked in a copy that a user namespace owns
 * (mount_namespaces(7)), and in clones made of that copy, but not in clones made
 * in the host's namespace.  So a box with a user namespace clones for itself
 * (mountset.by_box), from the copy that it was born with: hence the path of the
 * bundle and not a handle.
 */
int mountset_clone_sources(struct mountset *m, const struct spec *s, const char *bundle,
			   struct err *err);

/*
 * Before that, in a privileged caller: what the box could not clone, since it
 * has no capability over the host's files, or what is to be idmapped.
 */
int mountset_clone_unreachable(struct mountset *m, const struct spec *s, const char *bundle,
			       struct err *err);

/*
 * Give mounts with idmap or ridmap the ids of the box, or those of their own
 * mappings (mount_setattr(2)); privileged caller.
 */
int mountset_idmap(struct mountset *m, const struct nsset *ns, int procfd, struct err *err);

/* In the box, in this order. */
int mountset_make_private(struct err *err);
int mountset_attach_root(struct mountset *m, const struct spec *s, struct err *err);
int mountset_mount_all(struct mountset *m, const struct nsset *ns, struct err *err);
int mountset_make_devices(struct mountset *m, struct err *err);
int mountset_link_devices(struct mountset *m, struct err *err);
int mountset_make_cwd(struct mountset *m, const char *cwd, struct err *err);
int mountset_pivot(struct mountset *m, const struct spec *s, bool no_pivot, struct err *err);
int mountset_mask(struct mountset *m, const struct strs *paths, struct err *err);
int mountset_readonly(struct mountset *m, const struct strs *paths, struct err *err);
int mountset_readonly_root(struct mountset *m, struct err *err);

/* Close all handles. */
void mountset_finish(struct mountset *m);

/* ---- for the files of ns/ ---- */

/* Is it the root of the container? */
bool is_root(const struct mountset *m, int fd);

/* A detached copy of the mount at an O_PATH descriptor; -1 and errno. */
int mount_clone(int fd, bool recursive);

/* Attach a detached mount on the place of an O_PATH descriptor; -1 and errno. */
int mount_attach(int tree, int place);

/*
 * A detached mount of a new file system: options are "key=value" or "flag".
 * *ret_bad tells which option the file system refused, or SIZE_MAX.  -1 and err.
 */
int mount_new(const char *fstype, const char *source, const struct strs *options, uint64_t attrs,
	      size_t *ret_bad, struct err *err);

/* The error of a call on an fsopen(2) descriptor, with what the file system says; always -1. */
int mount_failed(int fs, const char *fstype, const char *what, struct err *err);

/*
 * A real directory, not a link to one, and not the host's "/" by whatever name; with
 * RESOLVE_* flags for the way there.  An O_PATH descriptor, or -1 and err.
 */
int mount_open_dir(int at, const char *path, uint64_t resolve, struct err *err);

/*
 * The options with the label that new file systems get; in `room`, which has one more
 * slot, and `text`.
 */
enum { MOUNT_LABEL_TEXT = 1100 };
struct strs mount_labelled(const struct mountset *m, const struct strs *options, char **room,
			   char text[MOUNT_LABEL_TEXT]);

/* Set and clear attributes; -1 and errno. */
int mount_change(int tree, uint64_t set, uint64_t clr, unsigned int propagation, bool recursive);

/* Copy a directory's contents into a fresh tmpfs: tmpcopyup. */
int copy_tree(int from, int to, struct err *err);

#endif
