/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to all processes of a cgroup, and its end. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "cgroup/cgroup.h"
#include "cgroup/file.h"
#include "cgroup/tree.h"
#include "runtime/base/fd.h"

enum { PATIENCE_MS = 30000, FREEZE_MS = 10000, MAX_LEVELS = 128 };

/* ---- waiting ---- */

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/*
 * Until cgroup.events says "key want".  The kernel wakes who polls it, at most
 * every 10 ms; it is read before, so nothing is missed.  1: it says so; 0: time
 * is up, or `stop` is readable; -1 and errno.
 */
static int await(int dir, const char *key, uint64_t want, int timeout, int stop)
{
	auto_close int fd = cgfile_open(dir, "cgroup.events", O_RDONLY);
	long long end = now_ms() + timeout;

	while (fd >= 0) {
		struct pollfd p[] = {{.fd = fd, .events = POLLPRI}, {.fd = stop, .events = POLLIN}};
		long long left = end - now_ms();
		char text[256];
		uint64_t v;
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

		if (n < 0)
			return -1;
		text[n] = '\0';
		if (cgfile_find(text, key, &v) && v == want)
			return 1;
		if (left <= 0 || p[1].revents)
			return 0;
		n = poll(p, 2, (int)left);
		if (n < 0 && errno != EINTR)
			return -1;
		if (p[1].revents)
			return 0;
	}
	return -1;
}

bool cgroup_is_frozen(int dir)
{
	char text[256];
	uint64_t v;

	return cgfile_read(dir, "cgroup.events", text, sizeof(text)) > 0 &&
	       cgfile_find(text, "frozen", &v) && v;
}

int cgroup_freeze(int dir, bool freeze, int stop, struct err *err)
{
	int done, num;

	if (cgfile_write(dir, "cgroup.freeze", freeze ? "1" : "0") < 0)
		return err_set(err, errno, "write cgroup.freeze");
	done = await(dir, "frozen", freeze, FREEZE_MS, stop);
	if (done > 0)
		return 0;
	num = done < 0 ? errno : 0;
	/* Half-frozen for ever would be worse than not frozen. */
	if (freeze)
		(void)cgfile_write(dir, "cgroup.freeze", "0");
	return err_set(err, num,
		       freeze ? "the cgroup could not be frozen: it is thawed again"
			      : "the cgroup is still frozen: is one above it?");
}

int cgroup_kill(int dir, struct err *err)
{
	if (cgfile_write(dir, "cgroup.kill", "1") < 0)
		return err_set(err, errno, "write cgroup.kill");
	return 0;
}

/* ---- children ---- */

typedef int visit_fn(int dir, void *data);

/* A stream of its own on the directory. */
static DIR *open_stream(int dir)
{
	int fd = cgfile_open(dir, ".", O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

/*
 * Each child, then the cgroup itself.  The container may have made any number of
 * levels; the kernel's own limit is in cgroup.max.depth, ours is the stack.
 */
static int visit(int dir, int level, bool remove, visit_fn *fn, void *data)
{
	DIR *d = level < MAX_LEVELS ? open_stream(dir) : NULL;
	struct dirent *e;
	int bad = 0;

	while (d && !bad && (e = readdir(d))) {
		auto_close int child = -1;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		child = cgfile_open(dir, e->d_name, O_RDONLY | O_DIRECTORY);
		if (child >= 0)
			bad = visit(child, level + 1, remove, fn, data);
		if (remove && !bad)
			unlinkat(dir, e->d_name, AT_REMOVEDIR);
	}
	if (d)
		closedir(d);
	return bad || !fn ? bad : fn(dir, data);
}

struct pids {
	struct arena *a;
	pid_t *v;
	size_t n, cap;
};

static int add_pids(int dir, void *data)
{
	auto_close int fd = cgfile_open(dir, "cgroup.procs", O_RDONLY);
	struct pids *p = data;
	size_t len;
	char *text;

	/* Gone meanwhile: nobody is in it.  A threaded one has its processes above. */
	if (fd < 0 || fd_read_all(fd, 16 << 20, p->a, &text, &len) < 0)
		return errno == ENOMEM ? -1 : 0;
	for (char *end; isdigit((unsigned char)*text); text = *end ? end + 1 : end) {
		pid_t pid = (pid_t)strtol(text, &end, 10);
		pid_t *slot;

		/* 0: a process that our pid namespace does not show. */
		if (!pid)
			continue;
		slot = arena_push(p->a, &p->v, &p->n, &p->cap, sizeof(*p->v));
		if (!slot)
			return -1;
		*slot = pid;
	}
	return 0;
}

pid_t *cgroup_pids(int dir, struct arena *a, size_t *ret_n, struct err *err)
{
	struct pids p = {.a = a};

	if (visit(dir, 0, false, add_pids, &p) < 0) {
		err_set(err, ENOMEM, "the processes of the cgroup");
		return NULL;
	}
	if (!p.v)
		p.v = arena_array(a, 1, sizeof(*p.v));
	if (!p.v)
		err_set(err, ENOMEM, "the processes of the cgroup");
	*ret_n = p.n;
	return p.v;
}

/* ---- the end ---- */

/* The directory of the path's first `len` bytes, without the last name. */
static int open_parent(const struct cgroup *c, size_t len, char name[256])
{
	char dir[4096];
	size_t start = len;

	while (start && c->path[start - 1] != '/')
		start--;
	if (len >= sizeof(dir) || len - start > 255)
		return -1;
	memcpy(name, c->path + start, len - start);
	name[len - start] = '\0';
	if (start <= 1)
		return cgfile_open(c->mount, ".", O_PATH | O_DIRECTORY);
	memcpy(dir, c->path + 1, start - 2);
	dir[start - 2] = '\0';
	return cgfile_open(c->mount, dir, O_PATH | O_DIRECTORY);
}

/*
 * Kill what is in it and wait until it is empty.  A process that has been reaped
 * may count for a moment longer.
 */
static int empty(int dir, struct err *err)
{
	int done;

	if (cgroup_kill(dir, err) < 0)
		return err->num == ENOENT || err->num == ENODEV ? 0 : -1;
	done = await(dir, "populated", 0, PATIENCE_MS, -1);
	/* The files are gone with the cgroup, by another's hand. */
	if (done > 0 || (done < 0 && (errno == ENOENT || errno == ENODEV)))
		return 0;
	return err_set(err, done < 0 ? errno : 0, "the processes of the cgroup do not end");
}

static int remove_leaf(const struct cgroup *c, struct err *err)
{
	char name[256];
	auto_close int parent = open_parent(c, strlen(c->path), name);

	if (parent < 0)
		return errno == ENOENT ? 0 : err_set(err, errno, "open the cgroup's parent");
	/* Mostly it is empty, and has no children. */
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (c->dir >= 0) {
		if (empty(c->dir, err) < 0)
			return -1;
		(void)visit(c->dir, 0, true, NULL, NULL);
		if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
	}
	return err_set(err, errno, "remove the cgroup %s%s", c->mount_point, c->path);
}

static unsigned int depth_of(const char *path)
{
	unsigned int n = 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* One that bryo made, and only when it is empty: else whoever uses it removes it. */
static bool remove_parent(const struct cgroup *c, size_t len)
{
	char name[256];
	auto_close int parent = open_parent(c, len, name);
	auto_close int dir = parent < 0 ? -1 : cgfile_open(parent, name, O_RDONLY | O_DIRECTORY);

	return dir >= 0 && fgetxattr(dir, TREE_MARK, NULL, 0) >= 0 &&
	       unlinkat(parent, name, AT_REMOVEDIR) == 0;
}

/*
 * The scope ends when it is empty.  systemd is asked all the same, and waited for:
 * its name and its cgroup are free when this returns.
 */
static int remove_scope(struct cgroup *c, struct err *err)
{
	struct err ignored;

	scope_leave(&c->scope);
	if (c->dir < 0)
		return 0;
	if (empty(c->dir, err) < 0)
		return -1;
	(void)visit(c->dir, 0, true, NULL, NULL);
	/* A manager that is gone has nothing to say any more. */
	(void)scope_stop(&c->scope, &ignored);
	return remove_leaf(c, err);
}

int cgroup_remove(struct cgroup *c, struct err *err)
{
	unsigned int depth = c->path ? depth_of(c->path) : 0;
	size_t len = depth ? strlen(c->path) : 0;

	if (c->begun && c->scope.unit)
		return remove_scope(c, err);
	if (!c->begun || !depth)
		return 0;
	if (depth <= c->kept)
		return c->dir < 0 ? 0 : empty(c->dir, err);
	if (remove_leaf(c, err) < 0)
		return -1;
	while (--depth) {
		while (c->path[--len] != '/')
			;
		if (!remove_parent(c, len))
			break;
	}
	return 0;
}

int cgroup_open(struct cgroup *c, struct arena *a, struct err *err)
{
	auto_close int dir = -1;
	struct stat st;
	struct tree t;

	if (tree_find(false, a, &t, err) < 0)
		return -1;
	c->mount = t.fd;
	c->mount_point = t.point;
	dir = cgfile_open(t.fd, c->path + 1, O_RDONLY | O_DIRECTORY);
	if (dir < 0 && errno == ENOENT)
		return 0;
	if (dir < 0 || fstat(dir, &st) < 0)
		return err_set(err, errno, "open the cgroup %s", c->path);
	/* The inode number of a cgroup is never used twice. */
	if (c->inode && st.st_ino == c->inode)
		c->dir = fd_take(&dir);
	return 0;
}
