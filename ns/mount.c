/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/mount.h"

#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "ns/path.h"
#include "ns/sys.h"
#include "runtime/base/fd.h"

int mount_clone(int fd, bool recursive)
{
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;

	return open_tree(fd, "", flags | (recursive ? AT_RECURSIVE : 0));
}

int mount_attach(int tree, int place)
{
	return move_mount(tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int mount_change(int tree, uint64_t set, uint64_t clr, unsigned int propagation, bool recursive)
{
	struct mount_attr attr = {.attr_set = set, .attr_clr = clr, .propagation = propagation};

	if (!set && !clr && !propagation)
		return 0;
	return mount_setattr(tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr,
			     sizeof(attr));
}

struct strs mount_labelled(const struct mountset *m, const struct strs *options, char **room,
			   char text[MOUNT_LABEL_TEXT])
{
	struct strs s = {.v = room, .n = options->n};

	if (s.n)
		memcpy(room, options->v, s.n * sizeof(*room));
	for (size_t i = 0; i < s.n; i++)
		if (!strncmp(room[i], "context=", 8))
			return s;
	if (m->label) {
		snprintf(text, MOUNT_LABEL_TEXT, "context=%s", m->label);
		room[s.n++] = text;
	}
	return s;
}

static bool is_context(const char *option)
{
	static const char *const keys[] = {"context=", "fscontext=", "defcontext=", "rootcontext="};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strncmp(option, keys[i], strlen(keys[i])))
			return true;
	return false;
}

/*
 * Engines put a label in quotes, since in mount(2) its commas would end the option;
 * here they would be part of it.
 */
static int set_quoted(int fs, const char *key, const char *quoted)
{
	char value[MOUNT_LABEL_TEXT];
	size_t len = strlen(quoted);

	if (len < 2 || len - 2 >= sizeof(value) || quoted[len - 1] != '"') {
		errno = EINVAL;
		return -1;
	}
	memcpy(value, quoted + 1, len - 2);
	value[len - 2] = '\0';
	return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0);
}

static int set_option(int fs, const char *option)
{
	char key[PATH_MAX];
	const char *eq = strchr(option, '=');

	if (!eq)
		return fsconfig(fs, FSCONFIG_SET_FLAG, option, NULL, 0);
	if ((size_t)(eq - option) >= sizeof(key)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(key, option, (size_t)(eq - option));
	key[eq - option] = '\0';
	if (eq[1] == '"' && is_context(option))
		return set_quoted(fs, key, eq + 1);
	return fsconfig(fs, FSCONFIG_SET_STRING, key, eq + 1, 0);
}

/* The file system's own words for what it refused, "e tmpfs: Unknown parameter 'x'". */
static const char *said_by_fs(int fs, char *buf, size_t size)
{
	ssize_t n = read(fs, buf, size - 1);

	if (n <= 2)
		return NULL;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return buf + 2;
}

int mount_failed(int fs, const char *fstype, const char *what, struct err *err)
{
	int num = errno;
	char buf[160];
	const char *said = said_by_fs(fs, buf, sizeof(buf));

	if (said)
		return err_set(err, num, "mount %s: %s (%s)", fstype, what, said);
	return err_set(err, num, "mount %s: %s", fstype, what);
}

int mount_new(const char *fstype, const char *source, const struct strs *options, uint64_t attrs,
	      size_t *ret_bad, struct err *err)
{
	auto_close int fs = fsopen(fstype, FSOPEN_CLOEXEC);
	int tree;

	*ret_bad = SIZE_MAX;
	if (fs < 0 && errno == ENODEV)
		return err_set(err, 0, "this kernel has no file system %s", fstype);
	if (fs < 0)
		return err_set(err, errno, "mount %s", fstype);
	if (source && fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return mount_failed(fs, fstype, "its source", err);
	for (size_t i = 0; options && i < options->n; i++) {
		if (set_option(fs, options->v[i]) == 0)
			continue;
		*ret_bad = i;
		return mount_failed(fs, fstype, options->v[i], err);
	}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return mount_failed(fs, fstype, "create", err);
	tree = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)attrs);
	if (tree < 0)
		return mount_failed(fs, fstype, "attach", err);
	return tree;
}

int mountset_make_private(struct err *err)
{
	auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || mount_change(root, 0, 0, MS_PRIVATE, true) < 0)
		return err_set(err, errno, "make the mounts of the new namespace private");
	return 0;
}

/*
 * Propagation of the container's own root mount.  The clone is made in the
 * namespace of the caller, so "shared" and "slave" refer to the host's mount
 * when that is shared.  Private unless asked otherwise: nothing may come in
 * from the host behind the configuration's back.
 */
static unsigned int root_propagation(int asked)
{
	switch (asked) {
	case PROP_SHARED:
		return MS_SHARED;
	case PROP_SLAVE:
		return MS_SLAVE;
	case PROP_UNBINDABLE:
		return MS_UNBINDABLE;
	default:
		return MS_PRIVATE;
	}
}

/*
 * The rootfs goes on top of "/", where every box can reach, whatever the modes
 * of the directories that lead to the bundle.  "/" of this process stays the
 * old one until the pivot.
 */
int mountset_attach_root(struct mountset *m, const struct spec *s, struct err *err)
{
	auto_close int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	unsigned int prop = root_propagation(s->linux_->rootfsPropagation);

	/* pivot_root(2) takes no shared mount: that comes after it. */
	if (mount_change(m->root, 0, 0, prop == MS_SHARED ? MS_PRIVATE : prop, true) < 0)
		return err_at(err, "/linux/rootfsPropagation", errno, "set the propagation");
	if (top < 0 || mount_attach(m->root, top) < 0)
		return err_at(err, "/root/path", errno, "attach the rootfs");
	return 0;
}

/* ---- one mount of /mounts ---- */

enum { MOST_OPTIONS = 64 };

static int fail(struct err *err, size_t i)
{
	return err_under(err, "/mounts/%zu", i);
}

/*
 * procfs and sysfs are what confinement is checked by, so their place must be
 * the directory itself: a link there would let the image choose another.
 */
static bool must_not_be_link(const struct mount_entry *e)
{
	return e->fstype && (!strcmp(e->fstype, "proc") || !strcmp(e->fstype, "sysfs"));
}

bool is_root(const struct mountset *m, int fd)
{
	struct statx a, b;

	return statx(m->root, "", AT_EMPTY_PATH, STATX_MNT_ID | STATX_INO, &a) == 0 &&
	       statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID | STATX_INO, &b) == 0 &&
	       a.stx_mnt_id == b.stx_mnt_id && a.stx_ino == b.stx_ino;
}

static int open_place(const struct mountset *m, const struct mount_entry *e, struct err *err)
{
	const char *dest = e->spec->destination;
	int fd;

	if (must_not_be_link(e)) {
		fd = path_open(m->root, dest, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
		if (fd >= 0)
			return fd;
		if (errno == ENOENT) {
			/* Made, and looked at again: another may have been faster. */
			fd = path_make_dir(m->root, dest, err);
			if (fd < 0)
				return err_under(err, "/destination");
			fd_cleanup(&fd);
			fd = path_open(m->root, dest, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
			if (fd >= 0)
				return fd;
		}
		if (errno == ELOOP || errno == ENOTDIR)
			return err_at(err, "/destination", 0,
				      "%s in the rootfs is a link or not a directory: "
				      "%s is mounted on a real directory only",
				      dest, e->fstype);
		return err_at(err, "/destination", errno, "open %s in the rootfs", dest);
	}
	fd = e->is_dir ? path_make_dir(m->root, dest, err) : path_make_file(m->root, dest, err);
	return fd < 0 ? err_under(err, "/destination") : fd;
}

/* In a user namespace, what the kernel's EPERM is about. */
static void new_fs_hint(const struct mount_entry *e, const struct nsset *ns, struct err *err)
{
	static const struct {
		const char *fstype;
		enum ns_type needs;
		const char *hint;
	} needs[] = {
		{"sysfs", NS_NET, "needs a network namespace of its own: bind-mount /sys instead"},
		{"mqueue", NS_IPC, "needs an ipc namespace of its own"},
		{"proc", NS_PID, "needs a pid namespace of its own: bind-mount /proc instead"},
		{"cgroup2", NS_CGROUP, "needs a cgroup namespace of its own"},
	};

	if (err->num != EPERM || !(ns->in_userns || ns->in_child_userns))
		return;
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (!strcmp(e->fstype, needs[i].fstype) && !nsset_private(ns, needs[i].needs)) {
			err_hint(err, "the container %s", needs[i].hint);
			return;
		}
	if (!strcmp(e->fstype, "proc") || !strcmp(e->fstype, "sysfs"))
		err_hint(err, "parts of it are covered by mounts here (a container in a "
			      "container): the kernel wants it uncovered");
	else if (!strcmp(e->fstype, "overlay"))
		err_hint(err, "this kernel has no overlay in user namespaces");
}

static bool names_an_id(const char *option)
{
	return !strncmp(option, "uid=", 4) || !strncmp(option, "gid=", 4);
}

static const char *const tree_flags[] = {
	"nsdelegate",           "favordynmods",     "memory_localevents",
	"memory_recursiveprot", "pids_localevents", "memory_hugetlb_accounting",
};

enum { N_TREE_FLAGS = sizeof(tree_flags) / sizeof(tree_flags[0]) };

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += len)
		if ((p == list || p[-1] == ',') && strchr(",\n", p[len]))
			return true;
	return false;
}

/*
 * A mount of the cgroup tree outside of any cgroup namespace sets the flags of
 * the one tree there is, also for the host: without "nsdelegate" delegated
 * subtrees would be no boundaries any more.  So it gets those that it has.
 */
static size_t flags_of_tree(char *v[N_TREE_FLAGS])
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *opts = NULL;
	size_t size = 0, n = 0;

	while (f && !opts && getline(&line, &size, f) > 0)
		if (strstr(line, " - cgroup2 "))
			opts = strrchr(line, ' ');
	for (size_t i = 0; opts && i < N_TREE_FLAGS; i++)
		if (has_word(opts + 1, tree_flags[i]))
			v[n++] = (char *)tree_flags[i];
	free(line);
	if (f)
		fclose(f);
	return n;
}

static bool is_cgroup_tree(const struct mount_entry *e)
{
	return e->fstype && !strcmp(e->fstype, "cgroup2");
}

/* The files of these have labels of the kernel's. */
static bool takes_label(const struct mount_entry *e)
{
	static const char *const without[] = {"proc", "sysfs", "mqueue", "cgroup2"};

	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++)
		if (!strcmp(e->fstype, without[i]))
			return false;
	return true;
}

/* What a refused option is about: the label is none of the mount's own. */
static int refused_option(const struct mount_opts *o, size_t bad, struct err *err)
{
	if (bad >= o->data.n) {
		err_hint(err, "the label of /linux/mountLabel; this file system may not take one");
		return err_under(err, "/type");
	}
	if (err->num == EINVAL && names_an_id(o->data.v[bad]))
		err_hint(err, "the id must be mapped in the user namespace");
	return err_under(err, "/options/%zu", o->data_index[bad]);
}

/* A new file system as a detached mount. */
static int make_tree(const struct mountset *m, const struct mount_entry *e, const struct nsset *ns,
		     struct err *err)
{
	char *room[MOST_OPTIONS], text[MOUNT_LABEL_TEXT];
	struct strs options;

	const struct mount_opts *o = &e->opts;
	uint64_t attrs = o->one.set;
	char *flags[N_TREE_FLAGS];
	struct strs keep = {.v = flags};
	bool whole = is_cgroup_tree(e) && !nsset_private(ns, NS_CGROUP);
	size_t bad;
	int tree;

	if (!e->fstype)
		return err_at(err, "/type", 0, "is needed");
	if (whole && o->data.n) {
		err_set(err, 0, "needs a cgroup namespace of the container's own");
		return err_under(err, "/options/%zu", o->data_index[0]);
	}
	if (whole)
		keep.n = flags_of_tree(flags);
	/* tmpcopyup writes into it first; read-only comes after that. */
	if (o->copyup)
		attrs &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	options = whole ? keep : o->data;
	if (m->label && takes_label(e)) {
		if (options.n >= MOST_OPTIONS)
			return err_at(err, "/options", 0, "are too many for a mount with a label");
		options = mount_labelled(m, &options, room, text);
	}
	tree = mount_new(e->fstype, e->spec->source, &options, attrs, &bad, err);
	if (tree >= 0)
		return tree;
	if (bad != SIZE_MAX && !whole)
		return refused_option(o, bad, err);
	new_fs_hint(e, ns, err);
	return err_under(err, "/type");
}

/*
 * A clone shares the host's peer group.  Without a word from the configuration
 * nothing propagates either way.  Where the option is not the recursive one, the
 * mounts below get what is next to it and not weaker: a slave only receives.
 */
static int set_propagation(const struct mountset *m, int tree, const struct mount_opts *o)
{
	/* What is shared from here on is shared with nobody outside. */
	if (m->held && mount_change(tree, 0, 0, MS_PRIVATE, true) < 0)
		return -1;
	switch (o->propagation) {
	case 0:
		return mount_change(tree, 0, 0, MS_PRIVATE, true);
	case MS_SHARED:
		return mount_change(tree, 0, 0, MS_SHARED, o->propagation_rec);
	case MS_SLAVE:
		return mount_change(tree, 0, 0, MS_SLAVE, true);
	default:
		if (mount_change(tree, 0, 0, MS_PRIVATE, true) < 0)
			return -1;
		return mount_change(tree, 0, 0, o->propagation, o->propagation_rec);
	}
}

static int set_attrs(int tree, const struct mount_opts *o, struct err *err)
{
	if (mount_change(tree, o->all.set, o->all.clr, 0, true) == 0 &&
	    mount_change(tree, o->one.set, o->one.clr, 0, false) == 0)
		return 0;
	err_at(err, "/options", errno, "set attributes of the mount");
	if (err->num == EPERM)
		err_hint(err, "flags of the host's mount cannot be taken off in a user namespace");
	return -1;
}

/* Can files be made in it that are seen elsewhere, too? */
static bool is_outside(const struct mount_entry *e, const struct nsset *ns)
{
	static const char *const inside[] = {"tmpfs", "ramfs", "devpts", "proc", "sysfs"};

	if (e->opts.bind || !e->fstype)
		return e->opts.bind;
	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
		if (!strcmp(e->fstype, inside[i]))
			return false;
	return strcmp(e->fstype, "mqueue") != 0 || !(ns->create & nsset_clone_flags[NS_IPC]);
}

bool mountset_holds(const struct mountset *m, const struct nsset *ns)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct mount_opts *o = &m->v[i].opts;
		uint64_t set = o->one.set | o->all.set, clr = o->one.clr | o->all.clr;

		if (o->remount ? clr & MOUNT_ATTR_RDONLY
			       : is_outside(&m->v[i], ns) && !(set & MOUNT_ATTR_RDONLY))
			return true;
	}
	return false;
}

static int hold(const struct mountset *m, const struct mount_entry *e, const struct nsset *ns,
		struct err *err)
{
	if (!m->held || !is_outside(e, ns))
		return 0;
	if (mount_change(e->tree, MOUNT_ATTR_RDONLY, 0, 0, true) < 0)
		return err_at(err, "/options", errno, "make the mount read-only");
	return 0;
}

/*
 * A cgroup2 mount shows the whole tree unless the box has a cgroup namespace
 * of its own.  The whole tree may not be written from inside, whoever owns
 * parts of it (CVE-2023-25809).
 */
static void protect_cgroup(struct mount_opts *o, bool is_cgroup, const struct nsset *ns)
{
	if (is_cgroup && !nsset_private(ns, NS_CGROUP))
		o->one.set |= MOUNT_ATTR_RDONLY;
}

static int fill_from_below(int tree, int place, struct err *err)
{
	auto_close int from = openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int to = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (from < 0 || to < 0)
		return err_at(err, "/options", errno, "tmpcopyup: open the directories");
	return copy_tree(from, to, err) < 0 ? err_under(err, "/options") : 0;
}

/* Change what is mounted there already. */
static int remount(const struct mountset *m, struct mount_entry *e, const struct nsset *ns,
		   struct err *err)
{
	const char *dest = e->spec->destination;
	auto_close int fd = path_open(m->root, dest, O_PATH, 0);
	unsigned int prop = e->opts.propagation;
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return err_at(err, "/destination", errno, "remount %s", dest);
	protect_cgroup(&e->opts, fs.f_type == CGROUP2_SUPER_MAGIC, ns);
	if (m->held) {
		e->opts.one.clr &= ~(uint64_t)MOUNT_ATTR_RDONLY;
		e->opts.all.clr &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	}
	if (set_attrs(fd, &e->opts, err) < 0)
		return -1;
	if (prop && mount_change(fd, 0, 0, prop, e->opts.propagation_rec) < 0)
		return err_at(err, "/options", errno, "set the propagation of %s", dest);
	return 0;
}

/*
 * A mount on "/" covers the rootfs: it is the root from here on, for the mounts
 * that follow and for the pivot.
 */
static int become_top(struct mountset *m, const struct mount_entry *e, struct err *err)
{
	int fd = fcntl(e->at, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return err_at(err, "/destination", errno, "keep the new root");
	close(m->root);
	m->root = fd;
	return 0;
}

static int mount_one(struct mountset *m, struct mount_entry *e, const struct nsset *ns,
		     struct err *err)
{
	auto_close int place = -1;

	if (e->opts.remount)
		return remount(m, e, ns, err);
	protect_cgroup(&e->opts, is_cgroup_tree(e), ns);
	place = open_place(m, e, err);
	if (place < 0)
		return -1;
	if (!e->opts.bind)
		e->tree = make_tree(m, e, ns, err);
	if (e->tree < 0)
		return -1;
	/* A new file system's mount is private as it is. */
	if ((e->opts.bind || e->opts.propagation) && set_propagation(m, e->tree, &e->opts) < 0)
		return err_at(err, "/options", errno, "set the propagation");
	if (e->opts.copyup && fill_from_below(e->tree, place, err) < 0)
		return -1;
	if ((e->opts.bind || e->opts.copyup || e->opts.all.set || e->opts.all.clr) &&
	    set_attrs(e->tree, &e->opts, err) < 0)
		return -1;
	if (hold(m, e, ns, err) < 0)
		return -1;
	if (mount_attach(e->tree, place) < 0)
		return err_at(err, "/destination", errno, "mount on %s", e->spec->destination);
	e->at = fd_take(&e->tree);
	return is_root(m, place) ? become_top(m, e, err) : 0;
}

int mountset_mount_all(struct mountset *m, const struct nsset *ns, struct err *err)
{
	for (size_t i = 0; i < m->n; i++)
		if (mount_one(m, &m->v[i], ns, err) < 0)
			return fail(err, i);
	return 0;
}
