/* SPDX-License-Identifier: Apache-2.0 */
/* Device nodes and the links of /dev (config-linux.md, "Devices"; runtime-linux.md). */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "ns/mount.h"
#include "ns/path.h"
#include "ns/sys.h"
#include "runtime/base/fd.h"

static const struct {
	const char *name, *target;
} links[] = {
	{"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},
};

static int device_error(const struct device *d, struct err *err)
{
	if (d->index == SIZE_MAX)
		return err_under(err, "/linux/devices");
	return err_under(err, "/linux/devices/%zu", d->index);
}

/*
 * Something is there: the very device, or an error ("MUST generate an error if
 * a file exists that does not match").  A link is never followed: where it led,
 * the image has chosen (CVE-2026-47766, CVE-2025-31133).
 */
static int check_existing(const struct device *d, int parent, const char *name, struct err *err)
{
	struct stat st;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(err, errno, "look at %s in the rootfs", d->path);
	if ((st.st_mode & S_IFMT) == d->type && (d->type == S_IFIFO || st.st_rdev == d->rdev))
		return 0;
	return err_set(err, 0, "%s exists in the rootfs and is not that device", d->path);
}

static int make_node(const struct device *d, int parent, const char *name, struct err *err)
{
	auto_close int fd = -1;

	if (mknodat(parent, name, d->type | d->mode, d->rdev) < 0) {
		if (errno == EEXIST)
			return check_existing(d, parent, name, err);
		err_set(err, errno, "make %s (%u:%u)", d->path, major(d->rdev), minor(d->rdev));
		if (err->num == EPERM)
			err_hint(err, "mknod needs CAP_MKNOD on the host; in a user namespace "
				      "nobody has it: add one, and host nodes are bound");
		return -1;
	}
	if (!d->uid && !d->gid)
		return 0;
	fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchownat(fd, "", d->uid, d->gid, AT_EMPTY_PATH) < 0)
		return err_set(err, errno, "chown %s to %u:%u", d->path, d->uid, d->gid);
	return 0;
}

static int bind_node(struct device *d, int parent, const char *name, struct err *err)
{
	auto_close int place = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (place < 0 && errno == ENOENT) {
		if (mknodat(parent, name, S_IFREG | 0600, 0) < 0)
			return err_set(err, errno, "make a place for %s", d->path);
		place = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	}
	if (place < 0 || fstat(place, &st) < 0)
		return err_set(err, errno, "open %s in the rootfs", d->path);
	if (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode))
		return err_set(err, 0, "%s exists in the rootfs and is not that device", d->path);
	if (mount_attach(d->tree, place) < 0)
		return err_set(err, errno, "bind the host's %s", d->path);
	close(fd_take(&d->tree));
	return 0;
}

static int make_one(const struct mountset *m, struct device *d, struct err *err)
{
	auto_close int parent = -1;
	char name[256];

	parent = path_make_parent(m->root, d->path, name, err);
	if (parent < 0)
		return -1;
	if (d->tree >= 0)
		return bind_node(d, parent, name, err);
	return make_node(d, parent, name, err);
}

int mountset_make_devices(struct mountset *m, struct err *err)
{
	for (size_t i = 0; i < m->n_devices; i++)
		if (make_one(m, &m->devices[i], err) < 0)
			return device_error(&m->devices[i], err);
	return 0;
}

/*
 * runtime-linux.md wants the links when their source exists after the mounts:
 * /proc/self/fd exists wherever a procfs is mounted on /proc.  What the image
 * or a mount has put there already is left as it is, a ptmx of its own included.
 */
int mountset_link_devices(struct mountset *m, struct err *err)
{
	auto_close int dev = path_make_dir(m->root, "/dev", err);
	auto_close int fds = path_open(m->root, "/proc/self", O_PATH | O_NOFOLLOW, 0);
	auto_close int ptmx = path_open(m->root, "/dev/pts/ptmx", O_PATH, 0);

	if (dev < 0)
		return -1;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		int needs = links[i].target[0] == '/' ? fds : ptmx;

		if (needs < 0)
			continue;
		if (symlinkat(links[i].target, dev, links[i].name) < 0 && errno != EEXIST)
			return err_set(err, errno, "link /dev/%s", links[i].name);
	}
	return 0;
}
