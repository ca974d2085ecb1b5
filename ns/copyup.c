/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpcopyup: what the image has below a tmpfs, copied into it.
 *
 * Trust boundary: the tree is the image's.  Every entry is opened beneath its
 * directory's descriptor and without following links, so nothing outside can
 * be read; devices are skipped; the tmpfs's own size limits the amount.
 */
#include <dirent.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "ns/mount.h"
#include "ns/sys.h"
#include "runtime/base/fd.h"

/* Directories below directories; what is deeper is refused. */
#define MAX_DEPTH 64

static int copy_dir(int from, int to, int depth, struct err *err);

static int copy_data(int from, int to)
{
	ssize_t n;

	do
		n = sendfile(to, from, NULL, 1 << 20);
	while (n > 0);
	return n < 0 ? -1 : 0;
}

static int copy_file(int from_dir, int to_dir, const char *name)
{
	auto_close int from =
		openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_close int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return from < 0 || to < 0 ? -1 : copy_data(from, to);
}

static int copy_link(int from_dir, int to_dir, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

	if (n < 0)
		return -1;
	target[n] = '\0';
	return symlinkat(target, to_dir, name);
}

static int copy_subdir(int from_dir, int to_dir, const char *name, int depth, struct err *err)
{
	auto_close int from =
		openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_close int to = -1;

	if (from < 0 || mkdirat(to_dir, name, 0700) < 0)
		return err_set(err, errno, "tmpcopyup: directory %s", name);
	to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return err_set(err, errno, "tmpcopyup: directory %s", name);
	return copy_dir(from, to, depth + 1, err);
}

/* Owner, mode and times.  An owner that is not mapped stays the box's root. */
static int copy_attributes(int to_dir, const char *name, const struct stat *st)
{
	struct timespec times[2] = {st->st_atim, st->st_mtim};

	if (fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 &&
	    errno != EINVAL && errno != EPERM)
		return -1;
	if (!S_ISLNK(st->st_mode) && fchmodat(to_dir, name, st->st_mode & 07777, 0) < 0)
		return -1;
	return utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW);
}

static int copy_entry(int from, int to, const char *name, int depth, struct err *err)
{
	struct stat st;
	int bad = 0;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(err, errno, "tmpcopyup: stat %s", name);
	if (S_ISDIR(st.st_mode)) {
		if (copy_subdir(from, to, name, depth, err) < 0)
			return -1;
	} else if (S_ISREG(st.st_mode)) {
		bad = copy_file(from, to, name);
	} else if (S_ISLNK(st.st_mode)) {
		bad = copy_link(from, to, name);
	} else if (S_ISFIFO(st.st_mode)) {
		bad = mknodat(to, name, S_IFIFO | 0600, 0);
	} else {
		return 0;
	}
	if (bad || copy_attributes(to, name, &st) < 0)
		return err_set(err, errno, "tmpcopyup: copy %s", name);
	return 0;
}

static int copy_dir(int from, int to, int depth, struct err *err)
{
	auto_close int fd = fcntl(from, F_DUPFD_CLOEXEC, 3);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	int bad = 0;

	if (dir)
		(void)fd_take(&fd);
	if (!dir || depth > MAX_DEPTH) {
		if (dir)
			closedir(dir);
		return err_set(err, dir ? ELOOP : errno, "tmpcopyup: read a directory");
	}
	while (!bad && (d = readdir(dir)))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			bad = copy_entry(from, to, d->d_name, depth, err);
	closedir(dir);
	return bad;
}

int copy_tree(int from, int to, struct err *err)
{
	return copy_dir(from, to, 0, err);
}
