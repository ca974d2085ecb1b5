/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/fd.h"

#define FILE_NAME "cgroup"

/* Fixed widths: the second time only the inode differs, and is written in place. */
int group_write(int dir, const struct cgroup *c, struct err *err)
{
	auto_close int fd =
		openat(dir, FILE_NAME, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	char text[4096];
	int n = snprintf(text, sizeof(text), "%10u %20llu\n%s\n", c->kept,
			 (unsigned long long)c->inode, c->path);

	if (n >= (int)sizeof(text))
		return err_set(err, ENAMETOOLONG, "remember the cgroup");
	if (fd < 0 || fd_write_all(fd, text, (size_t)n) < 0)
		return err_set(err, errno, "remember the cgroup");
	return 0;
}

static int parse(char *text, struct cgroup *c, struct err *err)
{
	unsigned long long inode;
	char *path = strchr(text, '\n'), *end = path ? strchr(path + 1, '\n') : NULL;

	if (sscanf(text, "%u %llu", &c->kept, &inode) != 2 || !end || path[1] != '/')
		return err_set(err, 0, "what is remembered of the cgroup is damaged");
	*end = '\0';
	c->inode = inode;
	c->path = path + 1;
	c->begun = true;
	return 0;
}

int group_open(int dir, struct arena *a, struct cgroup *ret, struct err *err)
{
	auto_close int fd = openat(dir, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct cgroup c = {.mount = -1, .dir = -1};
	char *text;
	size_t len;
	int bad;

	*ret = c;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fd_read_all(fd, 8192, a, &text, &len) < 0)
		return err_set(err, errno, "read what is remembered of the cgroup");
	/* Killed before a byte was written: nothing has been made. */
	if (!len)
		return 0;
	bad = parse(text, &c, err) < 0 || cgroup_open(&c, a, err) < 0;
	if (bad)
		cgroup_finish(&c);
	else
		*ret = c;
	return bad ? -1 : 0;
}

void group_forget(int dir)
{
	unlinkat(dir, FILE_NAME, 0);
}

int group_remove(int dir, struct err *err)
{
	struct arena a = {0};
	struct cgroup c;
	int bad = group_open(dir, &a, &c, err);

	if (!bad && c.path)
		bad = cgroup_remove(&c, err);
	cgroup_finish(&c);
	arena_finish(&a);
	if (!bad)
		group_forget(dir);
	return bad;
}

bool group_is_frozen(int dir)
{
	struct arena a = {0};
	struct cgroup c;
	struct err err;
	bool frozen;

	frozen = faccessat(dir, FILE_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
		 group_open(dir, &a, &c, &err) == 0 && c.dir >= 0 && cgroup_is_frozen(c.dir);
	if (frozen)
		cgroup_finish(&c);
	arena_finish(&a);
	return frozen;
}
