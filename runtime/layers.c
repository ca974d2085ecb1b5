/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/record.h"
#include "spec/fields.h"
#include "spec/json.h"

#define FILE_NAME "overlay"
#define OWNER "owner"

static const struct field layers_fields[] = {
	{F(layers, dir, K_STR), .absolute = true},
	{F(layers, device, K_U64), ANY_U64},
	{F(layers, inode, K_U64), ANY_U64},
	{F(layers, lower, K_STRS), .absolute = true},
	{F(layers, userns, K_BOOL)},
	{F(layers, userxattr, K_BOOL)},
	{F(layers, uids, K_LIST), .object = &object_idmap},
	{F(layers, gids, K_LIST), .object = &object_idmap},
};

static const struct object object_layers = OBJECT(layers, layers_fields, NULL);

/* ---- in the state directory ---- */

static int write_file(int dir, const struct layers *l, struct err *err)
{
	auto_close int fd = openat(dir, FILE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct json *j = json_new(false);
	const char *text;
	size_t len;
	int bad;

	if (!j)
		return err_set(err, ENOMEM, "remember the overlay");
	json_write(j, &object_layers, l);
	bad = json_finish(j, &text, &len, err);
	if (!bad && (fd < 0 || fd_write_all(fd, text, len) < 0))
		bad = err_set(err, errno, "remember the overlay");
	json_free(j);
	return bad;
}

int layers_write(int dir, const struct overlay *o, const struct nsset *ns, struct arena *a,
		 struct err *err)
{
	struct layers l = {
		.dir = (char *)o->dir,
		.lower = {.v = arena_array(a, o->n, sizeof(char *)), .n = o->n},
		.userns = ns->in_userns,
		.userxattr = ns->in_userns || ns->in_child_userns,
		.uids = ns->uid,
		.gids = ns->gid,
	};
	struct stat st;

	if (!l.lower.v)
		return err_set(err, ENOMEM, "remember the overlay");
	for (size_t i = 0; i < o->n; i++)
		l.lower.v[i] = (char *)o->layers[i].path;
	if (o->dir && fstat(o->home, &st) < 0)
		return err_set(err, errno, "stat %s", o->dir);
	if (o->dir) {
		l.device = st.st_dev;
		l.inode = st.st_ino;
	}
	return write_file(dir, &l, err);
}

int layers_read(int dir, struct arena *a, struct layers *ret, struct err *err)
{
	auto_close int fd = openat(dir, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct err why;
	char *text;
	size_t len;

	*ret = (struct layers){0};
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fd_read_all(fd, SPEC_MAX_BYTES, a, &text, &len) < 0)
		return err_set(err, errno, "read what is remembered of the overlay");
	if (json_parse(text, len, &object_layers, ret, a, &why) == 0)
		return 0;
	return err_set(err, 0, "what is remembered of the overlay is damaged: %.60s: %.160s",
		       why.ptr, why.msg);
}

/* ---- in the kept directory ---- */

int layers_open_home(const struct layers *l, struct err *err)
{
	auto_close int fd = open(l->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, errno, "open the overlay's directory %s", l->dir);
	if (st.st_dev != l->device || st.st_ino != l->inode)
		return err_set(err, ENOENT, "the overlay's directory %s, which is another now",
			       l->dir);
	return fd_take(&fd);
}

struct owner {
	int pid;
	uint64_t identity;
	char id[256];
};

static bool read_owner(int home, struct owner *ret)
{
	auto_close int fd = openat(home, OWNER, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[512];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	return sscanf(text, "%d %" SCNu64 " %255s", &ret->pid, &ret->identity, ret->id) == 3;
}

static bool is_alive(const struct owner *w)
{
	const struct record r = {.creator = w->pid, .creatorIdentity = w->identity};
	struct err err;
	auto_close int fd = record_hold_creator(&r, &err);

	/* Not known to be dead is not dead. */
	return fd >= 0 || err.msg[0];
}

static int in_use(const char *dir, const struct owner *w, struct err *err)
{
	if (!w)
		err_set(err, 0, "the overlay's directory %s is in use", dir);
	else
		err_set(err, 0, "the overlay's directory %s is in use by container \"%s\"", dir,
			w->id);
	return err_hint(err, "each container needs one of its own");
}

int layers_check_unused(const struct overlay *o, struct err *err)
{
	struct owner w;

	if (!read_owner(o->home, &w) || !is_alive(&w))
		return 0;
	return in_use(o->dir, &w, err);
}

/* The kernel allows it, and what is seen then is undefined (overlayfs.rst). */
static int check_lower(const struct overlay_layer *l, struct err *err)
{
	const char *base = strrchr(l->path, '/');
	auto_close int fd = -1, home = -1;
	struct owner w;

	if (!base || strcmp(base, "/upper") != 0)
		return 0;
	fd = open(l->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	home = fd < 0 ? -1 : openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (home < 0 || !read_owner(home, &w) || !is_alive(&w))
		return 0;
	err_set(err, 0, "the layer %s is being written by container \"%s\"", l->path, w.id);
	err_hint(err, "wait for its end, or copy the directory");
	return l->ptr ? err_under(err, "%s", l->ptr) : -1;
}

int layers_check_lower(const struct overlay *o, struct err *err)
{
	for (size_t i = 0; i < o->n; i++)
		if (check_lower(&o->layers[i], err) < 0)
			return -1;
	return 0;
}

int layers_say_locked(const char *dir, struct err *err)
{
	auto_close int home = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct owner w;
	bool known = home >= 0 && read_owner(home, &w) && is_alive(&w);

	return in_use(dir, known ? &w : NULL, err);
}

int layers_write_owner(int home, const char *id, pid_t pid, uint64_t identity, struct err *err)
{
	auto_close int fd =
		openat(home, OWNER,
		       O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	char text[512];
	int n = snprintf(text, sizeof(text), "%d %" PRIu64 " %s\n", pid, identity, id);

	if (fd < 0 || fd_write_all(fd, text, (size_t)n) < 0)
		return err_set(err, errno, "write who uses the overlay's directory");
	return 0;
}

/*
 * A directory that cannot be opened, or is another by now, is not ours to clean;
 * nor is one that another container has begun to use.
 */
void layers_release(int dir, const char *id)
{
	struct arena a = {0};
	struct layers l;
	struct owner w;
	struct err err;
	auto_close int home = -1;

	if (layers_read(dir, &a, &l, &err) == 0 && l.dir)
		home = layers_open_home(&l, &err);
	arena_finish(&a);
	if (home < 0 || flock(home, LOCK_EX | LOCK_NB) < 0)
		return;
	if (read_owner(home, &w) && (strcmp(w.id, id) != 0 || is_alive(&w)))
		return;
	overlay_clean_work(home);
	unlinkat(home, OWNER, 0);
}
