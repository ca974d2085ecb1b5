/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/labels.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
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

/* A process of the caller's own level, which is no container unless it has their type. */
static bool is_own(const char *text, const struct mcs_set *s, const struct label_draw *w)
{
	const char *level = seclabel_level(text);
	struct mcs_set own;

	if (!w->own || !level)
		return false;
	own = seclabel_set(w->own);
	return !memcmp(s, &own, sizeof(own)) &&
	       (!strcmp(text, w->own) || strncmp(text, w->label, (size_t)(level - text)) != 0);
}

static void take_text(struct mcs_taken *t, char *text, ssize_t len, const struct label_draw *w)
{
	struct mcs_set s;

	if (len <= 0)
		return;
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	s = seclabel_set(text);
	if (!w || !is_own(text, &s, w))
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
static int take_processes(int procfd, const struct label_draw *w, struct mcs_taken *t,
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
			take_text(t, text, n, w);
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

/*
 * What stores and users have in common is the kernel: a name of its abstract sockets is
 * bound once.  Who may not have one draws another, so that a name that a stranger has
 * bound costs a pair and gives nothing away.
 *
 * A descriptor, or -1 and errno: EADDRINUSE when somebody has it.
 */
static int hold(struct mcs_pair p)
{
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "bryo-mcs/c%u,c%u", p.a,
			   p.b);

	if (fd < 0 ||
	    bind(fd, (struct sockaddr *)&name,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) < 0)
		return -1;
	return fd_take(&fd);
}

static void take_pair(struct mcs_taken *t, struct mcs_pair p)
{
	struct mcs_set s = {0};

	mcs_add(&s, p.a);
	mcs_add(&s, p.b);
	mcs_take(t, &s);
}

static int none_left(const struct label_draw *w, struct err *err)
{
	err_set(err, 0, "SELinux: no two categories are left for the container");
	return err_hint(err, "the policy and your own level leave %zu to choose from",
			mcs_count(w->usable));
}

/*
 * The processes are looked at while the pair is held: another store's container that had
 * it before has the label by now.  Each round takes a pair out, so that it ends.
 */
static int draw(const struct label_place *p, const struct label_draw *w, struct arena *a,
		struct mcs_pair *ret, int *ret_held, struct err *err)
{
	struct mcs_taken *t = arena_alloc(a, sizeof(*t));

	if (!t)
		return err_set(err, ENOMEM, "choose a label");
	if (take_containers(p->store, t, a, err) < 0)
		return -1;
	for (;;) {
		auto_close int held = -1;

		if (!mcs_choose(w->usable, t, from_kernel, NULL, ret))
			return none_left(w, err);
		held = hold(*ret);
		if (held < 0 && errno != EADDRINUSE)
			return err_set(err, errno, "reserve a pair of categories");
		if (held >= 0 && take_processes(p->procfd, w, t, err) < 0)
			return -1;
		if (held >= 0 && !mcs_is_taken(t, *ret)) {
			*ret_held = fd_take(&held);
			return 0;
		}
		take_pair(t, *ret);
	}
}

static int choose(const struct label_place *p, const struct label_draw *w, struct arena *a,
		  char **ret, int *ret_held, struct err *err)
{
	auto_close int held = -1;
	struct mcs_pair pair;
	char *label;

	if (draw(p, w, a, &pair, &held, err) < 0)
		return -1;
	label = seclabel_with_pair(w->label, pair, a);
	if (!label)
		return err_set(err, 0, "SELinux: \"%.100s\" cannot have categories", w->label);
	if (labels_note(p, label, err) < 0)
		return -1;
	*ret = label;
	*ret_held = fd_take(&held);
	return 0;
}

int labels_reserve(const struct label_place *p, const struct label_draw *w, struct arena *a,
		   char **ret, int *ret_held, struct err *err)
{
	int bad;

	while (flock(p->store, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_set(err, errno, "lock the state directory");
	bad = choose(p, w, a, ret, ret_held, err);
	flock(p->store, LOCK_UN);
	return bad;
}
