/* SPDX-License-Identifier: Apache-2.0 */
/* The rootfs as a whole: pivot_root(2), masked and read-only paths. */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "ns/mount.h"
#include "ns/path.h"
#include "ns/sys.h"
#include "runtime/base/fd.h"

int mountset_make_cwd(struct mountset *m, const char *cwd, struct err *err)
{
	auto_close int fd = path_open(m->root, cwd, O_PATH | O_DIRECTORY, 0);

	/*
	 * Only what is missing is made, as the peers do: a cwd that is a file or
	 * out of reach is reported when it is entered.
	 */
	if (fd >= 0 || errno != ENOENT)
		return 0;
	fd = path_make_dir(m->root, cwd, err);
	return fd < 0 ? err_under(err, "/process/cwd") : 0;
}

static int swap_roots(bool no_pivot, struct err *err)
{
	/*
	 * --no-pivot: the old root stays below the new one, as on a ramfs, where
	 * pivot_root(2) does not work.
	 */
	if (no_pivot)
		return chroot(".") < 0 ? err_set(err, errno, "chroot to the rootfs") : 0;
	/*
	 * The old root is put on top of the new one, at the same place, and is
	 * taken off from there: no directory in the rootfs is needed for it
	 * (pivot_root(2), "pivot_root(".", ".")").
	 */
	if (syscall(SYS_pivot_root, ".", ".") < 0) {
		err_set(err, errno, "pivot_root");
		if (err->num == EINVAL)
			err_hint(err, "on an initial ramfs pass --no-pivot");
		return -1;
	}
	if (umount2(".", MNT_DETACH) < 0)
		return err_set(err, errno, "detach the host's root");
	return 0;
}

int mountset_pivot(struct mountset *m, const struct spec *s, bool no_pivot, struct err *err)
{
	int swapped = m->beneath >= 0 && !no_pivot ? m->beneath : m->root;

	if (fchdir(swapped) < 0)
		return err_at(err, "/root/path", errno, "enter the rootfs");
	if (swap_roots(no_pivot, err) < 0)
		return -1;
	/*
	 * What the root is attached on comes along, as the initial ramfs is beneath
	 * the host's root.  The root is the topmost still: it is what setns(2) finds,
	 * and the kernel does not count this as a chroot(2).
	 */
	if (swapped != m->root && (fchdir(m->root) < 0 || chroot(".") < 0))
		return err_at(err, "/root/path", errno, "enter the overlay");
	if (chdir("/") < 0)
		return err_set(err, errno, "enter the new root");
	/* Not earlier: pivot_root(2) refuses shared mounts. */
	if (s->linux_->rootfsPropagation == PROP_SHARED &&
	    mount_change(m->root, 0, 0, MS_SHARED, false) < 0)
		return err_at(err, "/linux/rootfsPropagation", errno, "make the root shared");
	return 0;
}

/*
 * What covers a masked path.  The first cover of each kind is attached itself
 * and then serves as the original of the others: a clone of a mount is cheaper
 * than a file system, and before Linux 6.15 only attached mounts can be cloned.
 */
static int next_cover(int original, bool *attached, struct err *err)
{
	int tree;

	if (!*attached) {
		*attached = true;
		tree = fcntl(original, F_DUPFD_CLOEXEC, 3);
	} else {
		tree = mount_clone(original, false);
	}
	return tree < 0 ? err_set(err, errno, "clone the cover") : tree;
}

struct covers {
	int dir, file;
	bool dir_used, file_used;
};

/* An empty directory, and the host's /dev/null; both read-only. */
static int make_covers(const struct mountset *m, struct covers *c, struct err *err)
{
	char size[] = "size=0k", inodes[] = "nr_inodes=2", mode[] = "mode=755";
	char *values[] = {size, inodes, mode}, *room[4], text[MOUNT_LABEL_TEXT];
	struct strs options = {.v = values, .n = 3};
	size_t bad;

	c->file = m->null;
	if (mount_change(c->file, MOUNT_ATTR_RDONLY, 0, 0, false) < 0)
		return err_set(err, errno, "make /dev/null read-only");
	options = mount_labelled(m, &options, room, text);
	c->dir = mount_new("tmpfs", "tmpfs", &options,
			   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				   MOUNT_ATTR_NOEXEC,
			   &bad, err);
	return c->dir < 0 ? -1 : 0;
}

static int mask_one(struct covers *c, int place, struct err *err)
{
	auto_close int tree = -1;
	struct stat st;

	if (fstat(place, &st) < 0)
		return err_set(err, errno, "stat");
	tree = S_ISDIR(st.st_mode) ? next_cover(c->dir, &c->dir_used, err)
				   : next_cover(c->file, &c->file_used, err);
	if (tree < 0)
		return -1;
	if (mount_attach(tree, place) < 0)
		return err_set(err, errno, "cover it");
	return 0;
}

/* What is left of path below dir, both of plain components; NULL when it is not below. */
static const char *below(const char *path, const char *dir)
{
	for (;;) {
		size_t len;

		path += strspn(path, "/");
		dir += strspn(dir, "/");
		len = strcspn(dir, "/");
		if (!len)
			return path;
		if (strncmp(path, dir, len) != 0 || (path[len] && path[len] != '/'))
			return NULL;
		path += len;
		dir += len;
	}
}

static bool has_dotdot(const char *path)
{
	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		size_t len = strcspn(path, "/");

		if (len == 2 && !memcmp(path, "..", 2))
			return true;
		path += len;
	}
	return false;
}

/*
 * Open a path that is to be covered.  Beneath a mount of ours the way goes from
 * that mount's own descriptor: whoever shares the rootfs may have renamed the
 * directory it is on meanwhile, and put another in its place.  What leads out of
 * the mount, by a link or by "..", is what the payload finds by that name.
 */
static int open_covered(const struct mountset *m, const char *path)
{
	for (size_t i = m->n; i-- > 0;) {
		const struct mount_entry *e = &m->v[i];
		const char *rest = e->at < 0 ? NULL : below(path, e->spec->destination);
		int fd;

		if (!rest)
			continue;
		if (has_dotdot(rest))
			break;
		fd = path_open(e->at, *rest ? rest : "/", O_PATH, RESOLVE_NO_SYMLINKS);
		if (fd < 0 && errno == ELOOP)
			break;
		return fd;
	}
	return path_open(m->root, path, O_PATH, 0);
}

/* A path that does not exist needs no cover; anything else that fails is an error. */
static bool is_absent(int num)
{
	return num == ENOENT || num == ENOTDIR;
}

int mountset_mask(struct mountset *m, const struct strs *paths, struct err *err)
{
	struct covers c = {.dir = -1, .file = -1};
	int bad = make_covers(m, &c, err) < 0 ? err_under(err, "/linux/maskedPaths") : 0;

	for (size_t i = 0; !bad && i < paths->n; i++) {
		auto_close int place = open_covered(m, paths->v[i]);

		if (place < 0 && is_absent(errno))
			continue;
		if (place < 0)
			err_set(err, errno, "open %s", paths->v[i]);
		else if (is_root(m, place))
			bad = err_set(err, 0, "the root itself cannot be masked");
		if (bad || place < 0 || mask_one(&c, place, err) < 0)
			bad = err_under(err, "/linux/maskedPaths/%zu", i);
	}
	fd_cleanup(&c.dir);
	return bad;
}

/* A read-only clone of the tree, on top of itself. */
static int cover_readonly(const struct mountset *m, int place, const char *path, struct err *err)
{
	auto_close int tree = -1;

	/* The process is in the root already: a cover would not be seen. */
	if (is_root(m, place)) {
		if (mount_change(place, MOUNT_ATTR_RDONLY, 0, 0, true) < 0)
			return err_set(err, errno, "make the root read-only");
		return 0;
	}
	tree = mount_clone(place, true);
	if (tree < 0)
		return err_set(err, errno, "clone %s", path);
	if (mount_change(tree, MOUNT_ATTR_RDONLY, 0, 0, true) < 0)
		return err_set(err, errno, "make %s read-only", path);
	if (mount_attach(tree, place) < 0)
		return err_set(err, errno, "cover %s", path);
	return 0;
}

int mountset_readonly(struct mountset *m, const struct strs *paths, struct err *err)
{
	for (size_t i = 0; i < paths->n; i++) {
		auto_close int place = open_covered(m, paths->v[i]);

		if (place < 0 && is_absent(errno))
			continue;
		if (place < 0)
			err_set(err, errno, "open %s", paths->v[i]);
		if (place < 0 || cover_readonly(m, place, paths->v[i], err) < 0)
			return err_under(err, "/linux/readonlyPaths/%zu", i);
	}
	return 0;
}

int mountset_readonly_root(struct mountset *m, struct err *err)
{
	if (mount_change(m->root, MOUNT_ATTR_RDONLY, 0, 0, false) < 0)
		return err_at(err, "/root/readonly", errno, "make the root read-only");
	return 0;
}
