/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/path.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ns/sys.h"
#include "runtime/base/fd.h"

/* Linux gives up after 40 links too (path_resolution(7)). */
#define MAX_LINKS 40

int path_open(int root, const char *path, int flags, uint64_t resolve)
{
	return sys_openat2(root, path, (uint64_t)flags, 0,
			   RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve);
}

/* The walk of path_make_dir(): `done` names what exists, `rest` what is to come. */
struct walk {
	int root;
	int links;
	char done[PATH_MAX];
	char rest[PATH_MAX];
};

/* Cut the first component off rest: 1, 0 at the end, -1 and errno. */
static int next_component(struct walk *w, char name[NAME_MAX + 1])
{
	char *p = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(p, "/");

	if (!len)
		return 0;
	if (len > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, p, len);
	name[len] = '\0';
	memmove(w->rest, p + len, strlen(p + len) + 1);
	return 1;
}

/*
 * The component is a link that leads nowhere: go on with its target, which an
 * absolute link starts at the root of the container again.
 */
static int follow_dangling(struct walk *w, int parent, const char *name)
{
	char target[PATH_MAX], joined[2 * PATH_MAX];
	ssize_t n = readlinkat(parent, name, target, sizeof(target) - 1);

	if (n < 0)
		return -1;
	target[n] = '\0';
	if (++w->links > MAX_LINKS) {
		errno = ELOOP;
		return -1;
	}
	if ((size_t)snprintf(joined, sizeof(joined), "%s/%s", target, w->rest) >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(w->rest, joined, strlen(joined) + 1);
	if (target[0] == '/')
		w->done[0] = '\0';
	return 0;
}

/*
 * One component further.  `*parent` is the directory reached so far and is
 * replaced.  mkdirat() works on a descriptor that was resolved inside the root,
 * and the new directory is opened without following a link that a racing
 * process may have put in its place.
 */
static int step_into(struct walk *w, int *parent, const char *name)
{
	size_t len = strlen(w->done);
	int fd;

	if ((size_t)snprintf(w->done + len, sizeof(w->done) - len, "/%s", name) >=
	    sizeof(w->done) - len) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = path_open(w->root, w->done, O_PATH | O_DIRECTORY, 0);
	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(*parent, name, 0755) == 0) {
			fd = openat(*parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		} else if (errno == EEXIST) {
			w->done[len] = '\0';
			if (follow_dangling(w, *parent, name) < 0)
				return -1;
			fd = path_open(w->root, w->done[0] ? w->done : "/", O_PATH | O_DIRECTORY,
				       0);
		}
	}
	if (fd < 0)
		return -1;
	close(*parent);
	*parent = fd;
	return 0;
}

int path_make_dir(int root, const char *path, struct err *err)
{
	auto_close int cur = path_open(root, path, O_PATH | O_DIRECTORY, 0);
	char name[NAME_MAX + 1];
	struct walk w;
	int more;

	if (cur >= 0)
		return fd_take(&cur);
	if (errno != ENOENT)
		return err_set(err, errno, "open directory %s in the rootfs", path);
	if (strlen(path) >= sizeof(w.rest))
		return err_set(err, ENAMETOOLONG, "%s", path);
	w = (struct walk){.root = root};
	memcpy(w.rest, path, strlen(path) + 1);
	cur = path_open(root, "/", O_PATH | O_DIRECTORY, 0);
	if (cur < 0)
		return err_set(err, errno, "open the rootfs");
	name[0] = '\0';
	while ((more = next_component(&w, name)) > 0)
		if (step_into(&w, &cur, name) < 0)
			break;
	if (more)
		return err_set(err, errno, "make directory %s in the rootfs (at \"%s\")", path,
			       name);
	return fd_take(&cur);
}

int path_make_parent(int root, const char *path, char name[256], struct err *err)
{
	char dir[PATH_MAX];
	size_t len = strlen(path);
	const char *base;

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len >= sizeof(dir))
		return err_set(err, ENAMETOOLONG, "%s", path);
	memcpy(dir, path, len);
	dir[len] = '\0';
	base = strrchr(dir, '/');
	base = base ? base + 1 : dir;
	if (!*base || !strcmp(base, ".") || !strcmp(base, "..") || strlen(base) > NAME_MAX)
		return err_set(err, 0, "%s names no file", path);
	memcpy(name, base, strlen(base) + 1);
	dir[base - dir] = '\0';
	return path_make_dir(root, dir[0] ? dir : "/", err);
}

int path_make_file(int root, const char *path, struct err *err)
{
	auto_close int parent = -1;
	char name[256];
	int fd = path_open(root, path, O_PATH, 0);

	if (fd >= 0)
		return fd;
	if (errno != ENOENT)
		return err_set(err, errno, "open %s in the rootfs", path);
	parent = path_make_parent(root, path, name, err);
	if (parent < 0)
		return -1;
	fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(err, errno, "make file %s in the rootfs", path);
	close(fd);
	fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, errno, "open %s in the rootfs", path);
	return fd;
}
