/* SPDX-License-Identifier: Apache-2.0 */
/* What of an overlay is decided and made before the box: the kept directory, clones of layers. */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "ns/overlay.h"
#include "ns/sys.h"
#include "runtime/base/fd.h"

void overlay_init(struct overlay *o)
{
	*o = (struct overlay){.home = -1, .upper = -1, .work = -1};
}

/*
 * A quarter of the memory unless asked otherwise, where the kernel would take
 * half: there may be many.  An inode costs about a KiB that "size" does not
 * count, so their number is bounded by the size too.
 */
static void set_limits(struct overlay *o, uint64_t size)
{
	struct sysinfo s;

	if (!size)
		size = sysinfo(&s) == 0 ? (uint64_t)s.totalram * s.mem_unit / 4 : 1 << 30;
	o->size = size;
	o->inodes = size / 8192 + 256;
}

static int parse_size(const char *s, uint64_t *ret, struct err *err)
{
	static const char units[] = "kmgt";
	unsigned long long n;
	const char *unit;
	char *end;

	errno = 0;
	n = strtoull(s, &end, 10);
	unit = *end ? strchr(units, tolower((unsigned char)*end)) : NULL;
	if (errno || !isdigit((unsigned char)*s) || !n || (*end && (!unit || end[1])))
		return err_set(err, 0, "tmpfs:%.40s: not a size, like 512m or 2g", s);
	for (ptrdiff_t i = unit ? unit - units + 1 : 0; i > 0; i--)
		if (__builtin_mul_overflow(n, 1024ULL, &n))
			return err_set(err, ERANGE, "tmpfs:%.40s", s);
	/* Less than two pages have no room for the directories' names. */
	*ret = n < 65536 ? 65536 : n;
	return 0;
}

int overlay_parse(struct overlay *o, const char *text, struct err *err)
{
	uint64_t size = 0;

	if (!strncmp(text, "tmpfs:", 6) && parse_size(text + 6, &size, err) < 0)
		return -1;
	if (!*text)
		return err_set(err, 0, "an overlay is tmpfs, tmpfs:SIZE or a directory");
	if (!strcmp(text, "tmpfs") || size)
		set_limits(o, size);
	else
		o->dir = text;
	return 0;
}

/* ---- the kept directory ---- */

/* The id outside of the container's root; that of the caller where it is mapped alone. */
static uint32_t outside(const struct spec_idmaps *maps, uint32_t id, uint32_t otherwise)
{
	for (size_t i = 0; i < maps->n; i++)
		if (id >= maps->v[i].containerID && id - maps->v[i].containerID < maps->v[i].size)
			return maps->v[i].hostID + (id - maps->v[i].containerID);
	return otherwise;
}

static bool has_host_id(const struct spec_idmaps *maps, uint32_t id)
{
	for (size_t i = 0; i < maps->n; i++)
		if (id >= maps->v[i].hostID && id - maps->v[i].hostID < maps->v[i].size)
			return true;
	return false;
}

/*
 * Others could put a link, or a layer with attributes of their making, where the
 * upper directory is about to be.
 */
static int check_owner(const struct overlay *o, const struct nsset *ns, struct err *err)
{
	struct stat st;

	if (fstat(o->home, &st) < 0)
		return err_set(err, errno, "stat %s", o->dir);
	if (st.st_uid != geteuid() && st.st_uid != outside(&ns->uid, 0, geteuid())) {
		err_set(err, 0, "the overlay's directory %s belongs to uid %u, not to you", o->dir,
			st.st_uid);
		return err_hint(err, "use a directory of yours");
	}
	if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		err_set(err, 0, "the overlay's directory %s can be written by others", o->dir);
		return err_hint(err, "chmod go-w %.100s", o->dir);
	}
	return 0;
}

/* A real directory on the same mount; made with the owner and mode if it is missing. */
static int open_or_make(const struct overlay *o, const char *name, const struct stat *like,
			bool *ret_made, struct err *err)
{
	auto_close int fd = -1;

	if (mkdirat(o->home, name, like->st_mode & 07777) == 0)
		*ret_made = true;
	else if (errno != EEXIST)
		return err_set(err, errno, "make %s in %s", name, o->dir);
	fd = sys_openat2(o->home, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0,
			 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	if (fd < 0 && errno == EXDEV)
		return err_set(err, 0,
			       "%s in %s is another mount: it must be a directory of the "
			       "same file system",
			       name, o->dir);
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_set(err, 0, "%s in %s is not a directory", name, o->dir);
	if (fd < 0)
		return err_set(err, errno, "open %s in %s", name, o->dir);
	if (*ret_made &&
	    ((geteuid() == 0 && fchownat(fd, "", like->st_uid, like->st_gid, AT_EMPTY_PATH) < 0) ||
	     fchmodat(o->home, name, like->st_mode & 07777, 0) < 0))
		return err_set(err, errno, "owner and mode of %s in %s", name, o->dir);
	return fd_take(&fd);
}

/* The upper directory is the container's "/": it is made to look like the layer's. */
int overlay_make_dirs(struct overlay *o, const struct nsset *ns, struct err *err)
{
	struct stat root, upper,
		work = {
			.st_mode = 0700,
			.st_uid = outside(&ns->uid, 0, geteuid()),
			.st_gid = outside(&ns->gid, 0, getegid()),
		};

	if (stat(o->layers[0].path, &root) < 0)
		root = (struct stat){.st_mode = 0755, .st_uid = work.st_uid, .st_gid = work.st_gid};
	upper = root;
	if (ns->in_userns && !has_host_id(&ns->uid, root.st_uid))
		upper.st_uid = outside(&ns->uid, root.st_uid, work.st_uid);
	if (ns->in_userns && !has_host_id(&ns->gid, root.st_gid))
		upper.st_gid = outside(&ns->gid, root.st_gid, work.st_gid);
	o->upper = open_or_make(o, "upper", &upper, &o->made_upper, err);
	if (o->upper < 0)
		return -1;
	o->work = open_or_make(o, "work", &work, &o->made_work, err);
	return o->work < 0 ? -1 : 0;
}

int overlay_open_home(struct overlay *o, const struct nsset *ns, struct err *err)
{
	o->home = sys_openat2(AT_FDCWD, o->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, o->resolve);
	if (o->home < 0) {
		if (errno == ENOTDIR || errno == ELOOP)
			return err_set(err, 0,
				       "the overlay's directory %s is none, or there is a "
				       "symbolic link on the way",
				       o->dir);
		err_set(err, errno, "open the overlay's directory %s", o->dir);
		if (err->num == ENOENT)
			err_hint(err, "make it with: mkdir %.120s", o->dir);
		return -1;
	}
	if (check_owner(o, ns, err) < 0)
		return -1;
	if (flock(o->home, LOCK_EX | LOCK_NB) < 0) {
		int num = errno;

		/* Not ours to clean up. */
		close(fd_take(&o->home));
		return err_set(err, num, "lock the overlay's directory %s", o->dir);
	}
	return 0;
}

/* One directory, and what lies in it flat: that is all the kernel leaves. */
static void clean_dir(int parent, const char *name)
{
	struct dirent *e;
	DIR *d;
	int fd;

	/* Mostly it is empty.  The kernel makes it with no modes at all. */
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno != ENOTEMPTY)
		return;
	(void)fchmodat(parent, name, 0700, 0);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d)))
		if (unlinkat(dirfd(d), e->d_name, 0) < 0)
			unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	if (d)
		closedir(d);
	unlinkat(parent, name, AT_REMOVEDIR);
}

/* Nobody but the caller can write to "work", so a link cannot be where a directory was. */
void overlay_clean_work(int home)
{
	auto_close int work = openat(home, "work", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (work < 0)
		return;
	clean_dir(work, "work");
	clean_dir(work, "index");
	unlinkat(home, "work", AT_REMOVEDIR);
}

void overlay_unmake(struct overlay *o)
{
	if (o->home < 0)
		return;
	if (o->made_work)
		overlay_clean_work(o->home);
	if (o->made_upper)
		unlinkat(o->home, "upper", AT_REMOVEDIR);
	o->made_work = o->made_upper = false;
}

/* ---- layers of other ids ---- */

/*
 * Only the host's privilege can do it, and only for maps that are written for
 * this box.
 */
bool overlay_may_idmap(const struct overlay *o, const struct nsset *ns)
{
	return o->n && ns->privileged && (ns->create & nsset_clone_flags[NS_USER]);
}

/*
 * A layer as it was unpacked belongs to 0 and other ids of the host, and in the
 * container to nobody.  One that was unpacked for these very ids is left alone.
 */
static int clone_foreign(struct overlay_layer *l, const struct nsset *ns, struct err *err)
{
	auto_close int fd = mount_open_dir(AT_FDCWD, l->path, l->resolve, err);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return err_set(err, errno, "stat %s", l->path);
	if (has_host_id(&ns->uid, st.st_uid) && has_host_id(&ns->gid, st.st_gid))
		return 0;
	l->tree = mount_clone(fd, false);
	if (l->tree < 0)
		return err_set(err, errno, "clone the layer %s", l->path);
	if (mount_change(l->tree, MOUNT_ATTR_RDONLY, 0, MS_PRIVATE, false) < 0)
		return err_set(err, errno, "make the layer %s read-only", l->path);
	return 0;
}

int overlay_clone_foreign(struct overlay *o, const struct nsset *ns, struct err *err)
{
	for (size_t i = 0; i < o->n; i++)
		if (clone_foreign(&o->layers[i], ns, err) < 0)
			return o->layers[i].ptr ? err_under(err, "%s", o->layers[i].ptr) : -1;
	return 0;
}

int overlay_idmap(struct overlay *o, const struct nsset *ns, struct err *err)
{
	auto_close int userns = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", ns->pid);
	userns = open(path, O_RDONLY | O_CLOEXEC);
	if (userns < 0)
		return err_set(err, errno, "open the container's user namespace");
	for (size_t i = 0; i < o->n; i++) {
		struct overlay_layer *l = &o->layers[i];
		struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP,
					  .userns_fd = (uint64_t)userns};

		if (l->tree < 0 ||
		    mount_setattr(l->tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0)
			continue;
		err_set(err, errno, "idmap the layer %s", l->path);
		if (err->num == EINVAL)
			err_hint(err, "its file system does not know idmapped mounts: "
				      "chown the layer to the ids of the container");
		return l->ptr ? err_under(err, "%s", l->ptr) : -1;
	}
	return 0;
}

void overlay_close_layers(struct overlay *o)
{
	for (size_t i = 0; i < o->n; i++) {
		fd_cleanup(&o->layers[i].tree);
		fd_cleanup(&o->layers[i].fd);
		o->layers[i].tree = o->layers[i].fd = -1;
	}
	fd_cleanup(&o->upper);
	fd_cleanup(&o->work);
	o->upper = o->work = -1;
}

void overlay_finish(struct overlay *o)
{
	overlay_close_layers(o);
	fd_cleanup(&o->home);
	o->home = -1;
}
