/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/changes.h"

#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "ns/overlay.h"
#include "ns/sys.h"
#include "runtime/base/fd.h"

struct walk {
	const struct changes *c;
	char path[PATH_MAX]; /* without the first slash */
	size_t len;
	struct err *err;
};

/* The lower layers that show in a directory: indices, the topmost first. */
struct below {
	size_t n;
	uint16_t v[OVERLAY_LAYERS];
};

/* ---- names ---- */

struct names {
	struct arena arena;
	char **v;
	size_t n, cap;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Takes the descriptor. */
static int read_names(int fd, struct names *l)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	int bad = 0;

	if (!d) {
		close(fd);
		return -1;
	}
	while (!bad && (errno = 0, e = readdir(d))) {
		char **slot;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		slot = arena_push(&l->arena, &l->v, &l->n, &l->cap, sizeof(*l->v));
		if (slot)
			*slot = arena_strdup(&l->arena, e->d_name);
		bad = !slot || !*slot;
	}
	bad |= errno != 0;
	closedir(d);
	return bad ? -1 : 0;
}

static void sort_names(struct names *l)
{
	size_t n = 0;

	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_name);
	for (size_t i = 0; i < l->n; i++)
		if (!i || strcmp(l->v[i], l->v[n - 1]) != 0)
			l->v[n++] = l->v[i];
	l->n = n;
}

static bool has_name(const struct names *l, const char *name)
{
	return l->n && bsearch(&name, l->v, l->n, sizeof(*l->v), by_name);
}

/* One component more on the path; the length to go back to, or -1. */
static ssize_t push(struct walk *w, const char *name)
{
	size_t len = w->len, more = strlen(name);

	if (len + more + 2 > sizeof(w->path))
		return err_set(w->err, ENAMETOOLONG, "a path in the upper layer: %.80s...",
			       w->path);
	if (len)
		w->path[w->len++] = '/';
	memcpy(w->path + w->len, name, more + 1);
	w->len += more;
	return (ssize_t)len;
}

static void pop(struct walk *w, ssize_t len)
{
	w->len = (size_t)len;
	w->path[w->len] = '\0';
}

/* ---- what overlayfs says of a file ---- */

/* An id of a layer that was idmapped is the container's as it is. */
static uint32_t inside(const struct spec_idmaps *maps, uint32_t id)
{
	for (size_t i = 0; maps && i < maps->n; i++)
		if (id >= maps->v[i].hostID && id - maps->v[i].hostID < maps->v[i].size)
			return maps->v[i].containerID + (id - maps->v[i].hostID);
	return id;
}

static int stat_inside(const struct walk *w, int fd, struct stat *st)
{
	if (fstat(fd, st) < 0)
		return -1;
	st->st_uid = inside(w->c->uids, st->st_uid);
	st->st_gid = inside(w->c->gids, st->st_gid);
	return 0;
}

static bool has_mark(const struct walk *w, int fd, const char *mark, char value)
{
	char name[64], proc[40], got = 0;

	snprintf(name, sizeof(name), "%s.overlay.%s", w->c->userxattr ? "user" : "trusted", mark);
	/* An O_PATH descriptor has no attributes, its name has. */
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return getxattr(proc, name, &got, 1) >= 0 && (!value || got == value);
}

static bool is_whiteout(const struct walk *w, int fd, const struct stat *st)
{
	if (S_ISCHR(st->st_mode))
		return st->st_rdev == 0;
	return S_ISREG(st->st_mode) && !st->st_size && has_mark(w, fd, "whiteout", 0);
}

/* ---- the layers below ---- */

static int open_below(const struct walk *w, size_t layer, int flags)
{
	return sys_openat2(w->c->lower[layer], w->len ? w->path : ".",
			   (uint64_t)(flags | O_NOFOLLOW), 0,
			   RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/*
 * What is at the path below, through the layers of `in` that show there; if it is a
 * directory, *ret has the layers that show in it.
 */
static bool look_below(const struct walk *w, const struct below *in, struct below *ret,
		       struct stat *ret_st)
{
	bool found = false;

	ret->n = 0;
	for (size_t i = 0; i < in->n; i++) {
		auto_close int fd = open_below(w, in->v[i], O_PATH);
		struct stat st;

		if (fd < 0 || stat_inside(w, fd, &st) < 0)
			continue;
		if (is_whiteout(w, fd, &st))
			break;
		if (!found)
			*ret_st = st;
		if (!S_ISDIR(st.st_mode)) {
			found = true;
			break;
		}
		found = true;
		ret->v[ret->n++] = in->v[i];
		if (has_mark(w, fd, "opaque", 'y'))
			break;
	}
	return found;
}

static int tell(const struct walk *w, enum change what, const struct stat *st)
{
	if (w->c->visit(w->path, what, st, w->c->arg) == 0)
		return 0;
	return err_set(w->err, errno, "list the changes");
}

/* A directory was deleted and made again: what it had is deleted, unless made again too. */
static int tell_hidden(struct walk *w, const struct below *in, const struct names *have)
{
	struct names l = {0};
	int bad = 0;

	for (size_t i = 0; !bad && i < in->n; i++) {
		int fd = open_below(w, in->v[i], O_RDONLY | O_DIRECTORY);

		if (fd >= 0 && read_names(fd, &l) < 0)
			bad = err_set(w->err, errno, "read a layer's %s", w->path);
	}
	sort_names(&l);
	for (size_t i = 0; !bad && i < l.n; i++) {
		struct below ignored;
		struct stat st;
		ssize_t len;

		if (has_name(have, l.v[i]))
			continue;
		len = push(w, l.v[i]);
		bad = len < 0 || (look_below(w, in, &ignored, &st) && tell(w, DELETED, &st) < 0);
		if (len >= 0)
			pop(w, len);
	}
	arena_finish(&l.arena);
	return bad ? -1 : 0;
}

/* ---- the upper layer ---- */

static int visit_dir(struct walk *w, int dir, const struct below *in, const struct below *hidden);

/* An owner below that does not exist here tells nothing. */
static bool differs(const struct stat *a, const struct stat *b)
{
	return a->st_mode != b->st_mode || (a->st_uid != b->st_uid && b->st_uid != 65534) ||
	       (a->st_gid != b->st_gid && b->st_gid != 65534);
}

static int visit_subdir(struct walk *w, int fd, const struct stat *st, bool exists,
			const struct stat *old, const struct below *in)
{
	static const struct below none;
	bool merged = exists && S_ISDIR(old->st_mode), opaque = has_mark(w, fd, "opaque", 'y');
	auto_close int dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_set(w->err, errno, "open %s in the upper layer", w->path);
	if (!exists && tell(w, ADDED, st) < 0)
		return -1;
	if (exists && (!merged || opaque || differs(st, old)) && tell(w, CHANGED, st) < 0)
		return -1;
	if (merged && !opaque)
		return visit_dir(w, dir, in, &none);
	return visit_dir(w, dir, &none, merged ? in : &none);
}

/* Gone meanwhile is no error: the payload may be at work. */
static int visit_name(struct walk *w, int dir, const char *name, const struct below *in)
{
	auto_close int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st, old = {0};
	struct below next;
	bool exists;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || stat_inside(w, fd, &st) < 0)
		return err_set(w->err, errno, "open %s in the upper layer", w->path);
	exists = look_below(w, in, &next, &old);
	if (is_whiteout(w, fd, &st))
		return exists ? tell(w, DELETED, &old) : 0;
	if (S_ISDIR(st.st_mode))
		return visit_subdir(w, fd, &st, exists, &old, &next);
	return tell(w, exists ? CHANGED : ADDED, &st);
}

/* `in` shows through; `hidden` would if the directory were not opaque. */
static int visit_dir(struct walk *w, int dir, const struct below *in, const struct below *hidden)
{
	int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), bad = 0;
	struct names l = {0};

	if (again < 0 || read_names(again, &l) < 0)
		bad = err_set(w->err, errno, "read /%s in the upper layer", w->path);
	sort_names(&l);
	if (!bad && hidden->n)
		bad = tell_hidden(w, hidden, &l);
	for (size_t i = 0; !bad && i < l.n; i++) {
		ssize_t len = push(w, l.v[i]);

		bad = len < 0 || visit_name(w, dir, l.v[i], in) < 0;
		if (len >= 0)
			pop(w, len);
	}
	arena_finish(&l.arena);
	return bad ? -1 : 0;
}

int changes_visit(const struct changes *c, struct err *err)
{
	static const struct below none;
	struct walk w = {.c = c, .err = err};
	struct below all = {.n = c->n};

	for (size_t i = 0; i < c->n; i++)
		all.v[i] = (uint16_t)i;
	return visit_dir(&w, c->upper, &all, &none);
}
