/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/labels.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "ns/procfs.h"
#include "runtime/base/fd.h"
#include "runtime/store.h"
#include "selinux/seclabel.h"

#define LABEL_FILE "label"

static bool from_kernel(void *arg, uint32_t *ret)
{
	(void)arg;
	return getrandom(ret, sizeof(*ret), 0) == (ssize_t)sizeof(*ret);
}

static void take_text(struct mcs_taken *t, char *text, ssize_t len, const struct mcs_set *but)
{
	struct mcs_set s;

	if (len <= 0)
		return;
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	s = seclabel_set(text);
	if (!but || memcmp(&s, but, sizeof(s)) != 0)
		mcs_take(t, &s);
}

static bool is_made(int dir)
{
	return faccessat(dir, "record", F_OK, 0) == 0;
}

/*
 * Made, or being made at this moment; not what a crash has left.  The second look is for
 * what has got its record, and lost its lock, since the first.
 */
static bool counts(int dir)
{
	return is_made(dir) || store_is_locked(dir) || is_made(dir);
}

static int take_one(int store, const char *id, struct mcs_taken *t, struct err *err)
{
	auto_close int dir = -1, fd = -1;
	char text[SECLABEL_MAX + 1];

	/* Gone meanwhile, which frees it; or not a directory of ours. */
	if (store_enter(store, id, &dir, err) < 0)
		return 0;
	fd = openat(dir, LABEL_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_set(err, errno, "read the label of \"%s\"", id);
	if (counts(dir))
		take_text(t, text, read(fd, text, SECLABEL_MAX), NULL);
	return 0;
}

static int take_containers(int store, struct mcs_taken *t, struct arena *a, struct err *err)
{
	char **ids;

	if (store_list(store, a, &ids, err) < 0)
		return -1;
	for (; *ids; ids++)
		if (take_one(store, *ids, t, err) < 0)
			return -1;
	return 0;
}

/* Other runtimes' containers, virtual machines, and those of other stores. */
static int take_processes(int procfd, const struct mcs_set *own, struct mcs_taken *t,
			  struct err *err)
{
	int fd = procfs_open(procfd, ".", O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		err_set(err, errno, "read /proc");
		fd_cleanup(&fd);
		return -1;
	}
	while ((e = readdir(d))) {
		char path[300], text[SECLABEL_MAX + 1];
		ssize_t n;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "%s/attr/current", e->d_name);
		/* Ended meanwhile, or not ours to look at. */
		n = procfs_read(procfd, path, text, sizeof(text));
		if (n > 0)
			take_text(t, text, n, own);
	}
	closedir(d);
	return 0;
}

int labels_note(const struct label_place *p, const char *label, struct err *err)
{
	auto_close int fd = openat(p->dir, LABEL_FILE,
				   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || fd_write_all(fd, label, strlen(label)) < 0)
		return err_set(err, errno, "write the label of the container");
	return 0;
}

static int choose(const struct label_place *p, const char *label, const struct mcs_set *usable,
		  const struct mcs_set *own, struct arena *a, char **ret, struct err *err)
{
	struct mcs_taken *t = arena_alloc(a, sizeof(*t));
	struct mcs_pair pair;

	if (!t)
		return err_set(err, ENOMEM, "choose a label");
	if (take_containers(p->store, t, a, err) < 0 || take_processes(p->procfd, own, t, err) < 0)
		return -1;
	if (!mcs_choose(usable, t, from_kernel, NULL, &pair)) {
		err_set(err, 0, "SELinux: no two categories are left for the container");
		return err_hint(err, "the policy and your own level leave %zu to choose from",
				mcs_count(usable));
	}
	*ret = seclabel_with_pair(label, pair, a);
	if (!*ret)
		return err_set(err, 0, "SELinux: \"%.100s\" cannot have categories", label);
	return labels_note(p, *ret, err);
}

int labels_reserve(const struct label_place *p, const char *label, const struct mcs_set *usable,
		   const struct mcs_set *own, struct arena *a, char **ret, struct err *err)
{
	int bad;

	while (flock(p->store, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_set(err, errno, "lock the state directory");
	bad = choose(p, label, usable, own, a, ret, err);
	flock(p->store, LOCK_UN);
	return bad;
}
