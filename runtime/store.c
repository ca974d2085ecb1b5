/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/store.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"

int store_check_id(const char *id, struct err *err)
{
	size_t len = strlen(id);

	if (!len)
		return err_set(err, 0, "the container id is empty");
	if (len > NAME_MAX)
		return err_set(err, 0, "the container id is longer than %d bytes", NAME_MAX);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)id[i]) && !strchr(i ? "_+-." : "_+-", id[i]))
			return err_set(err, 0,
				       "invalid container id \"%.64s\": letters, digits and _+-. "
				       "only, and no dot first",
				       id);
	return 0;
}

/* Every missing directory on the way, 0700. */
static int make_path(const char *path)
{
	char part[PATH_MAX];

	if (strlen(path) >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (size_t i = 1;; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return -1;
		if (!path[i])
			return 0;
	}
}

static const char *default_root(char buf[PATH_MAX])
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	/* conmon hands on an empty variable: it counts as unset. */
	snprintf(buf, PATH_MAX, "%s/bryo", dir && *dir ? dir : "/run");
	return buf;
}

/* For good, and before anything that the user wrote is read. */
static int become_owner(const struct stat *st, const char *path, struct err *err)
{
	if (setgroups(0, NULL) < 0 || setresgid(st->st_gid, st->st_gid, st->st_gid) < 0 ||
	    setresuid(st->st_uid, st->st_uid, st->st_uid) < 0)
		return err_set(err, errno, "become uid %u, whose state directory %s is", st->st_uid,
			       path);
	return 0;
}

/*
 * A record that somebody else can write could make us signal any process of
 * ours, or run a hook of theirs.  Root looking after a user's containers (Slurm
 * does) goes on as that user.
 */
static int check_owner(int fd, const char *path, bool create, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set(err, errno, "stat %s", path);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, 0, "the state directory %s can be written by others", path);
	if (st.st_uid == geteuid())
		return 0;
	if (geteuid() == 0 && !create)
		return become_owner(&st, path, err);
	err_set(err, 0, "the state directory %s belongs to uid %u, not to you", path, st.st_uid);
	return err_hint(err, "pass --root with a directory of yours");
}

int store_open(const char *root, bool create, int *ret_store, struct err *err)
{
	char buf[PATH_MAX];
	const char *path = root && *root ? root : default_root(buf);
	auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && create) {
		if (make_path(path) < 0) {
			err_set(err, errno, "make the state directory %s", path);
			return err_hint(err, "set XDG_RUNTIME_DIR, or pass --root with a directory "
					     "of yours");
		}
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		return err_set(err, errno, "open the state directory %s", path);
	if (check_owner(fd, path, create, err) < 0)
		return -1;
	*ret_store = fd_take(&fd);
	return 0;
}

static int missing(const char *id, struct err *err)
{
	return err_set(err, 0, "container \"%s\" does not exist", id);
}

int store_enter(int store, const char *id, int *ret_dir, struct err *err)
{
	auto_close int fd = openat(store, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return missing(id, err);
	if (fd < 0)
		return err_set(err, errno, "open the state of \"%s\"", id);
	if (check_owner(fd, id, true, err) < 0)
		return -1;
	*ret_dir = fd_take(&fd);
	return 0;
}

int store_lock(int store, const char *id, int dir, struct err *err)
{
	struct stat mine, now;

	while (flock(dir, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_set(err, errno, "lock the state of \"%s\"", id);
	/* While we waited, another may have removed it, or made a new one. */
	if (fstat(dir, &mine) < 0 || fstatat(store, id, &now, AT_SYMLINK_NOFOLLOW) < 0 ||
	    mine.st_ino != now.st_ino || mine.st_dev != now.st_dev)
		return missing(id, err);
	return 0;
}

void store_unlock(int dir)
{
	flock(dir, LOCK_UN);
}

bool store_is_locked(int dir)
{
	if (flock(dir, LOCK_EX | LOCK_NB) < 0)
		return true;
	flock(dir, LOCK_UN);
	return false;
}

int store_create(int store, const char *id, int *ret_dir, struct err *err)
{
	auto_close int fd = -1;

	if (mkdirat(store, id, 0700) < 0) {
		if (errno == EEXIST)
			return err_set(err, 0, "container \"%s\" already exists", id);
		return err_set(err, errno, "make the state directory of \"%s\"", id);
	}
	fd = openat(store, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || store_lock(store, id, fd, err) < 0) {
		if (fd < 0)
			err_set(err, errno, "open the state of \"%s\"", id);
		unlinkat(store, id, AT_REMOVEDIR);
		return -1;
	}
	*ret_dir = fd_take(&fd);
	return 0;
}

/* A directory stream of its own, for a descriptor that stays ours. */
static DIR *open_stream(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

char *store_path(const char *root, struct arena *a)
{
	char buf[PATH_MAX], here[PATH_MAX];
	const char *path = root && *root ? root : default_root(buf);

	if (path[0] == '/')
		return arena_strdup(a, path);
	return getcwd(here, sizeof(here)) ? arena_printf(a, "%s/%s", here, path) : NULL;
}

/* The files of a directory in it. */
static void empty(int dir, const char *name)
{
	auto_close int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : open_stream(fd);
	struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(fd, e->d_name, 0);
	if (d)
		closedir(d);
}

static void remove_entry(int dir, const struct dirent *e)
{
	if (e->d_type != DT_DIR) {
		unlinkat(dir, e->d_name, 0);
	} else if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
		empty(dir, e->d_name);
		unlinkat(dir, e->d_name, AT_REMOVEDIR);
	}
}

int store_remove(int store, const char *id, int dir, struct err *err)
{
	struct dirent *e;
	DIR *d;

	/* Mostly there is nothing else. */
	unlinkat(dir, "record", 0);
	unlinkat(dir, "shared", 0);
	unlinkat(dir, STORED_CONFIG, 0);
	unlinkat(dir, "exit", 0);
	if (unlinkat(store, id, AT_REMOVEDIR) == 0)
		return 0;
	d = open_stream(dir);
	while (d && (e = readdir(d)))
		remove_entry(dir, e);
	if (d)
		closedir(d);
	if (unlinkat(store, id, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_set(err, errno, "remove the state directory of \"%s\"", id);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int store_list(int store, struct arena *a, char ***ret_ids, struct err *err)
{
	DIR *d = open_stream(store);
	size_t n = 0, cap = 0;
	struct err ignored;
	struct dirent *e;
	char **ids = NULL;

	if (!d)
		return err_set(err, errno, "read the state directory");
	while ((e = readdir(d))) {
		char **slot;

		if (store_check_id(e->d_name, &ignored) < 0)
			continue;
		slot = arena_push(a, &ids, &n, &cap, sizeof(*ids));
		if (slot)
			*slot = arena_strdup(a, e->d_name);
		if (!slot || !*slot) {
			closedir(d);
			return err_set(err, ENOMEM, "list the containers");
		}
	}
	closedir(d);
	if (!ids)
		ids = arena_array(a, 1, sizeof(*ids));
	if (!ids)
		return err_set(err, ENOMEM, "list the containers");
	qsort(ids, n, sizeof(*ids), by_name);
	*ret_ids = ids;
	return 0;
}
