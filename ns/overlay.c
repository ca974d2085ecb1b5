/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/overlay.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "ns/sys.h"
#include "runtime/base/fd.h"

/* ---- in the box: as the caller ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int at_layer(const struct overlay_layer *l, struct err *err)
{
	return l->ptr ? err_under(err, "%s", l->ptr) : -1;
}

/*
 * The kernel takes layers of the mounter's own mount namespace only (before
 * 6.15), so the box opens them in its own; those that the host has cloned are
 * attached there first, on "/", where the pivot takes them off again.
 */
static int open_layer(struct overlay_layer *l, int top, struct err *err)
{
	if (l->tree < 0) {
		l->fd = mount_open_dir(AT_FDCWD, l->path, l->resolve, err);
		return l->fd < 0 ? -1 : 0;
	}
	if (mount_attach(l->tree, top) < 0)
		return err_set(err, errno, "attach the idmapped layer %s", l->path);
	l->fd = fd_take(&l->tree);
	return 0;
}

/* The same directory that the host has locked, by a descriptor of this namespace. */
static int reopen(int *fd, int home, const char *name, struct err *err)
{
	auto_close int mine = openat(home, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat a, b;

	if (mine < 0 || fstat(mine, &a) < 0 || fstat(*fd, &b) < 0)
		return err_set(err, errno, "open %s in the overlay's directory", name);
	if (!same_file(&a, &b))
		return err_set(err, 0, "%s in the overlay's directory was replaced", name);
	close(*fd);
	*fd = fd_take(&mine);
	return 0;
}

int overlay_open_layers(struct overlay *o, struct err *err)
{
	auto_close int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), home = -1;

	for (size_t i = 0; i < o->n; i++)
		if (open_layer(&o->layers[i], top, err) < 0)
			return at_layer(&o->layers[i], err);
	if (!o->dir)
		return 0;
	home = sys_openat2(AT_FDCWD, o->dir, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, o->resolve);
	if (home < 0)
		err_set(err, errno, "open the overlay's directory %s", o->dir);
	if (home < 0 || reopen(&o->upper, home, "upper", err) < 0 ||
	    reopen(&o->work, home, "work", err) < 0)
		return o->ptr ? err_under(err, "%s", o->ptr) : -1;
	return 0;
}

/* ---- in the box: as the container's root ---- */

/*
 * The root of the container is the upper directory as far as mode and owner are
 * concerned: those of the topmost layer.  An owner that does not exist in the
 * container cannot be had.
 */
static int make_tmpfs_dirs(struct overlay *o, int tmpfs, struct err *err)
{
	struct stat st;

	if (fstat(o->layers[0].fd, &st) < 0 || mkdirat(tmpfs, "upper", st.st_mode & 07777) < 0 ||
	    mkdirat(tmpfs, "work", 0700) < 0)
		return err_set(err, errno, "make the directories of the tmpfs");
	(void)!fchownat(tmpfs, "upper", st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW);
	/* A change of owner may have cleared bits, and mkdir(2) sets no set-gid bit. */
	(void)fchmodat(tmpfs, "upper", st.st_mode & 07777, 0);
	o->upper = openat(tmpfs, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	o->work = openat(tmpfs, "work", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (o->upper < 0 || o->work < 0)
		return err_set(err, errno, "open the directories of the tmpfs");
	return 0;
}

/*
 * Attached on "/", where the root comes on top of it: so it lives as long as the
 * container's mount namespace, and no path in the container leads there.
 */
static int make_tmpfs(struct overlay *o, struct mountset *m, struct err *err)
{
	char size[40], inodes[40], mode[] = "mode=0700";
	char *values[] = {size, inodes, mode};
	struct strs options = {.v = values, .n = 3};
	auto_close int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	size_t bad;

	snprintf(size, sizeof(size), "size=%llu", (unsigned long long)o->size);
	snprintf(inodes, sizeof(inodes), "nr_inodes=%llu", (unsigned long long)o->inodes);
	m->beneath = mount_new("tmpfs", "bryo-upper", &options, 0, &bad, err);
	if (m->beneath < 0)
		return -1;
	if (top < 0 || mount_attach(m->beneath, top) < 0)
		return err_set(err, errno, "attach the tmpfs of the overlay");
	return make_tmpfs_dirs(o, m->beneath, err);
}

/* Whiteouts need none, but what a directory hides below is told by an attribute. */
static int check_attributes(const struct overlay *o, bool userxattr, struct err *err)
{
	auto_close int fd = openat(o->upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char c;

	if (fd < 0)
		return err_set(err, errno, "open the upper directory");
	if (fgetxattr(fd, userxattr ? "user.overlay.opaque" : "trusted.overlay.opaque", &c, 1) >=
		    0 ||
	    errno != EOPNOTSUPP)
		return 0;
	err_set(err, 0, "the file system of the upper layer keeps no %s.* attributes",
		userxattr ? "user" : "trusted");
	return err_hint(err, o->dir ? "use a directory on another, like ext4, xfs or btrfs"
				    : "tmpfs does from Linux 6.6 on: use --overlay DIR");
}

/*
 * By descriptor from Linux 6.13 on; before, by a name that is the descriptor: such a
 * kernel does not know the key so, or finds nothing behind an O_PATH descriptor.
 */
static int set_dir(int fs, const char *key, int fd)
{
	char path[32];

	if (fsconfig(fs, FSCONFIG_SET_FD, key, NULL, fd) == 0)
		return 0;
	if (errno != EINVAL && errno != EBADF)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return fsconfig(fs, FSCONFIG_SET_STRING, key, path, 0);
}

/* All in one value, which has 255 bytes at most: before Linux 6.8. */
static int set_layers_at_once(int fs, const struct overlay *o)
{
	char value[256];
	size_t len = 0;

	for (size_t i = 0; i < o->n; i++) {
		int n = snprintf(value + len, sizeof(value) - len, "%s/proc/self/fd/%d",
				 i ? ":" : "", o->layers[i].fd);

		if ((size_t)n >= sizeof(value) - len) {
			errno = E2BIG;
			return -1;
		}
		len += (size_t)n;
	}
	return fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir", value, 0);
}

static int set_layers(int fs, const struct overlay *o, struct err *err)
{
	for (size_t i = 0; i < o->n; i++) {
		if (set_dir(fs, "lowerdir+", o->layers[i].fd) == 0)
			continue;
		if (!i && errno == EINVAL && set_layers_at_once(fs, o) == 0)
			return 0;
		if (!i && errno == E2BIG) {
			err_set(err, 0, "%zu lower layers", o->n);
			return err_hint(err, "this kernel takes about 15; Linux 6.8 takes 500");
		}
		mount_failed(fs, "overlay", o->layers[i].path, err);
		return at_layer(&o->layers[i], err);
	}
	return 0;
}

/*
 * Said all of them, since a module parameter or a build option may have changed
 * each default (redirect_always_follow makes "off" follow).  No index and no
 * file handles: they would tie a kept upper directory to the very inodes of its
 * lower ones.  Inode numbers that stay over a copy-up where the kernel can have
 * them.  Not "volatile": a tmpfs gains nothing by it, and in a kept directory
 * what the payload was told to be on the disk would not be.
 */
static int set_options(int fs, bool userxattr, struct err *err)
{
	static const char *const values[][2] = {
		{"redirect_dir", "nofollow"}, {"metacopy", "off"}, {"index", "off"},
		{"nfs_export", "off"},        {"xino", "auto"},
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (fsconfig(fs, FSCONFIG_SET_STRING, values[i][0], values[i][1], 0) < 0)
			return mount_failed(fs, "overlay", values[i][0], err);
	if (userxattr && fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
		return mount_failed(fs, "overlay", "userxattr", err);
	return 0;
}

/* What the mount of any layer forbids, the overlay forbids: it has no such mount above it. */
static int flags_of_layers(const struct overlay *o, unsigned int *ret, struct err *err)
{
	static const struct {
		unsigned long has;
		unsigned int attr;
	} flags[] = {{ST_NOSUID, MOUNT_ATTR_NOSUID},
		     {ST_NODEV, MOUNT_ATTR_NODEV},
		     {ST_NOEXEC, MOUNT_ATTR_NOEXEC}};
	struct statfs fs;

	for (size_t i = 0; i <= o->n; i++) {
		if (fstatfs(i < o->n ? o->layers[i].fd : o->upper, &fs) < 0)
			return err_set(err, errno, "statfs of a layer");
		for (size_t k = 0; k < 3; k++)
			if ((unsigned long)fs.f_flags & flags[k].has)
				*ret |= flags[k].attr;
	}
	return 0;
}

/* To the directory above; at the top it stays what it is. */
static void climb(int *fd)
{
	int up = openat(*fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

	close(*fd);
	*fd = up;
}

/* Is the directory, by whatever names, the other one or in it? */
static bool lies_in(int fd, int other)
{
	auto_close int cur = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	struct stat in, st, last = {0};

	if (fstat(other, &in) < 0)
		return false;
	for (; cur >= 0 && fstat(cur, &st) == 0 && !same_file(&st, &last); climb(&cur)) {
		if (same_file(&st, &in))
			return true;
		last = st;
	}
	return false;
}

static int say_overlap(const struct overlay *o, const struct overlay_layer *l, struct err *err)
{
	err_set(err, 0, "the layer %s and the overlay's directory %s overlap", l->path, o->dir);
	err_hint(err, "neither may lie in the other");
	return at_layer(l, err);
}

/*
 * The kernel lets the upper directory be in a layer, and the container would see
 * it there.  One climb for all layers: there may be many.
 */
static int check_upper_place(const struct overlay *o, struct err *err)
{
	struct stat layers[OVERLAY_LAYERS], st, last = {0};
	auto_close int cur = -1;

	for (size_t i = 0; o->dir && i < o->n; i++)
		if (fstat(o->layers[i].fd, &layers[i]) < 0)
			return err_set(err, errno, "stat %s", o->layers[i].path);
	cur = o->dir ? fcntl(o->upper, F_DUPFD_CLOEXEC, 3) : -1;
	for (; cur >= 0 && fstat(cur, &st) == 0 && !same_file(&st, &last); climb(&cur)) {
		for (size_t i = 0; i < o->n; i++)
			if (same_file(&st, &layers[i]))
				return say_overlap(o, &o->layers[i], err);
		last = st;
	}
	return 0;
}

/* The kernel says ELOOP, and in its log which: find it. */
static int explain_overlap(const struct overlay *o, struct err *err)
{
	for (size_t i = 0; i < o->n; i++) {
		const struct overlay_layer *l = &o->layers[i];

		if (o->dir && (lies_in(l->fd, o->upper) || lies_in(l->fd, o->work)))
			return say_overlap(o, l, err);
		for (size_t k = 0; k < o->n; k++)
			if (k != i && lies_in(l->fd, o->layers[k].fd)) {
				err_set(err, 0, "the layer %s lies in the layer %s", l->path,
					o->layers[k].path);
				err_hint(err, "name each directory once, and none inside another");
				return at_layer(l, err);
			}
	}
	return err_set(err, ELOOP, "mount the overlay");
}

static int explain(const struct overlay *o, int fs, const struct nsset *ns, struct err *err)
{
	int num = errno;

	/* The box is the only one that mounts, so EBUSY is about overlaps too. */
	if (num == ELOOP || num == EBUSY)
		return explain_overlap(o, err);
	errno = num;
	mount_failed(fs, "overlay", "create", err);
	if (num == EPERM && (ns->in_userns || ns->in_child_userns))
		return err_hint(err, "this kernel has no overlay in user namespaces");
	if (num == EACCES && o->dir)
		return err_hint(err,
				"the container's root must be the owner of %.60s/upper and "
				"work",
				o->dir);
	if (num == EINVAL && o->dir)
		return err_hint(err,
				"the file system of %.60s may be no place for an upper layer "
				"(read-only, NFS, an overlay); dmesg says more",
				o->dir);
	if (num == EINVAL)
		return err_hint(err, "a layer may be an overlay itself, or have mounts in it; "
				     "dmesg says more");
	return -1;
}

static int mount_layers(const struct overlay *o, const char *label, const struct nsset *ns,
			struct err *err)
{
	bool userxattr = ns->in_userns || ns->in_child_userns;
	auto_close int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	unsigned int attrs = 0;
	int tree;

	if (fs < 0 && errno == ENODEV)
		return err_set(err, 0, "this kernel has no file system overlay");
	if (fs < 0)
		return err_set(err, errno, "mount overlay");
	if (check_upper_place(o, err) < 0 || check_attributes(o, userxattr, err) < 0 ||
	    flags_of_layers(o, &attrs, err) < 0)
		return -1;
	if (fsconfig(fs, FSCONFIG_SET_STRING, "source", "bryo", 0) < 0)
		return mount_failed(fs, "overlay", "its source", err);
	if (set_options(fs, userxattr, err) < 0 || set_layers(fs, o, err) < 0)
		return -1;
	if (set_dir(fs, "upperdir", o->upper) < 0)
		return mount_failed(fs, "overlay", "the upper directory", err);
	if (set_dir(fs, "workdir", o->work) < 0)
		return mount_failed(fs, "overlay", "the work directory", err);
	/* For all that is in it, whatever the files of the layers have. */
	if (label && fsconfig(fs, FSCONFIG_SET_STRING, "context", label, 0) < 0)
		return mount_failed(fs, "overlay", "the label", err);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return explain(o, fs, ns, err);
	tree = fsmount(fs, FSMOUNT_CLOEXEC, attrs);
	return tree < 0 ? mount_failed(fs, "overlay", "attach", err) : tree;
}

int overlay_mount(struct overlay *o, struct mountset *m, const struct nsset *ns, struct err *err)
{
	if (!o->dir && make_tmpfs(o, m, err) < 0)
		return -1;
	m->root = mount_layers(o, m->label, ns, err);
	if (m->root < 0 && !err->ptr[0] && o->ptr)
		err_under(err, "%s", o->ptr);
	/* The mount has its own references; the lock stays until the payload is executed. */
	overlay_close_layers(o);
	return m->root < 0 ? -1 : 0;
}
