/* SPDX-License-Identifier: Apache-2.0 */
#include "selinux/relabel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "selinux/seclabel.h"

/* A descriptor each. */
enum { DEEPEST = 200 };

/* Not these themselves. */
static const char *const whole[] = {"/",        "/home",    "/media",  "/mnt", "/opt",
				    "/root",    "/run",     "/srv",    "/tmp", "/var",
				    "/var/lib", "/var/log", "/var/tmp"};

/* Nor anything in these. */
static const char *const system_dirs[] = {"/bin",   "/boot", "/dev",  "/etc", "/lib", "/lib32",
					  "/lib64", "/proc", "/sbin", "/sys", "/usr"};

static bool is_same(const struct stat *a, const char *path)
{
	struct stat b;

	return path && stat(path, &b) == 0 && a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

static bool lies_in(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && (!path[len] || path[len] == '/');
}

int relabel_check(int tree, const char *source, struct err *err)
{
	auto_free char *path = realpath(source, NULL);
	bool bad = !path;
	struct stat st;

	if (fstat(tree, &st) < 0)
		return err_set(err, errno, "stat %s", source);
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		bad |= is_same(&st, whole[i]);
	for (size_t i = 0; !bad && i < sizeof(system_dirs) / sizeof(system_dirs[0]); i++)
		bad |= is_same(&st, system_dirs[i]) || lies_in(path, system_dirs[i]);
	bad |= is_same(&st, getenv("HOME"));
	if (bad)
		return err_set(err, 0,
			       "SELinux: %.200s is not relabelled: the host needs it as it is",
			       source);
	return 0;
}

/* In the working directory. */
static bool has_label(const char *name, const char *label)
{
	char now[SECLABEL_MAX];
	ssize_t n = lgetxattr(name, SECLABEL_XATTR, now, sizeof(now) - 1);

	if (n < 0)
		return false;
	now[n] = '\0';
	return !strcmp(now, label);
}

static int failed(const char *name, struct err *err)
{
	err_set(err, errno, "SELinux: relabel %.200s", name);
	if (err->num == EPERM)
		err_hint(err, "its owner has to be the container's root or of its user namespace");
	if (err->num == EOPNOTSUPP)
		err_hint(err, "its file system keeps no labels");
	return -1;
}

static int label_entry(const char *name, const char *label, struct err *err)
{
	if (has_label(name, label))
		return 0;
	if (lsetxattr(name, SECLABEL_XATTR, label, strlen(label) + 1, 0) == 0 || errno == ENOENT)
		return 0;
	return failed(name, err);
}

struct walk {
	const char *label;
	uint64_t mount;
	struct err *err;
};

static bool in_mount(int fd, const struct walk *w, mode_t *ret_mode)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID | STATX_TYPE, &st) < 0 ||
	    !(st.stx_mask & STATX_MNT_ID) || st.stx_mnt_id != w->mount)
		return false;
	*ret_mode = st.stx_mode;
	return true;
}

static int walk_dir(const struct walk *w, int dir, int depth);

static int walk_entry(const struct walk *w, int dir, const char *name, int depth)
{
	auto_close int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	mode_t mode;

	/* Gone meanwhile; or another file system, which is none of this volume. */
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return failed(name, w->err);
	if (!in_mount(fd, w, &mode))
		return 0;
	if (S_ISDIR(mode) && walk_dir(w, fd, depth + 1) < 0)
		return -1;
	if (fchdir(dir) < 0)
		return failed(name, w->err);
	return label_entry(name, w->label, w->err);
}

static int walk_dir(const struct walk *w, int dir, int depth)
{
	auto_close int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 || depth > DEEPEST ? NULL : fdopendir(fd);
	struct dirent *e;
	int bad = 0;

	if (!d)
		return err_set(w->err, depth > DEEPEST ? ELOOP : errno,
			       "SELinux: relabel a directory");
	(void)fd_take(&fd);
	while (!bad && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			bad = walk_entry(w, dirfd(d), e->d_name, depth);
	closedir(d);
	return bad;
}

/* The descriptor is of a kind that fsetxattr(2) does not take: by its name in /proc. */
static int label_top(int tree, int procfd, const char *label, struct err *err)
{
	char name[32], now[SECLABEL_MAX];
	ssize_t n;

	snprintf(name, sizeof(name), "self/fd/%d", tree);
	if (fchdir(procfd) < 0)
		return failed("the directory", err);
	n = getxattr(name, SECLABEL_XATTR, now, sizeof(now) - 1);
	if (n > 0) {
		now[n] = '\0';
		if (!strcmp(now, label))
			return 0;
	}
	if (setxattr(name, SECLABEL_XATTR, label, strlen(label) + 1, 0) < 0)
		return failed("the directory", err);
	return 0;
}

int relabel_tree(int tree, int procfd, const char *label, struct err *err)
{
	struct walk w = {.label = label, .err = err};
	struct statx st;

	if (statx(tree, "", AT_EMPTY_PATH, STATX_MNT_ID | STATX_TYPE, &st) < 0 ||
	    !(st.stx_mask & STATX_MNT_ID))
		return failed("the directory", err);
	w.mount = st.stx_mnt_id;
	if (S_ISDIR(st.stx_mode) && walk_dir(&w, tree, 0) < 0)
		return -1;
	return label_top(tree, procfd, label, err);
}
