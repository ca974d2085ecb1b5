/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/fd.h"

#define FILE_NAME "cgroup"
#define NEW_NAME "cgroup.new"

/*
 * Four lines: how much of the path was there and the inode; the path; whose unit it
 * is; what is limited.  `state` reads it at any moment, hence the other name first.
 */
int group_write(int dir, const struct cgroup *c, struct err *err)
{
	auto_close int fd =
		openat(dir, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	const char *whose = !c->scope.unit ? "none" : c->scope.user ? "user" : "system";
	char text[8192];
	int n = snprintf(text, sizeof(text), "%u %llu\n%s\n%s %s\n%s\n", c->kept,
			 (unsigned long long)c->inode, c->path, whose,
			 c->scope.unit ? c->scope.unit : "", c->enforced ? c->enforced : "");

	if (n >= (int)sizeof(text))
		return err_set(err, ENAMETOOLONG, "remember the cgroup");
	if (fd < 0 || fd_write_all(fd, text, (size_t)n) < 0 ||
	    renameat(dir, NEW_NAME, dir, FILE_NAME) < 0)
		return err_set(err, errno, "remember the cgroup");
	return 0;
}

/* The next line, without its end; NULL: there is none. */
static char *take_line(char **text)
{
	char *line = *text, *end = strchr(line, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	*text = end + 1;
	return line;
}

static int parse(char *text, struct cgroup *c, struct err *err)
{
	unsigned long long inode;
	char *numbers = take_line(&text), *path = numbers ? take_line(&text) : NULL;
	/* The first versions wrote two lines. */
	char *unit = path && *text ? take_line(&text) : NULL;

	if (!path || sscanf(numbers, "%u %llu", &c->kept, &inode) != 2 || path[0] != '/' ||
	    (unit && !strchr(unit, ' ')))
		return err_set(err, 0, "what is remembered of the cgroup is damaged");
	c->inode = inode;
	c->path = path;
	if (unit && strncmp(unit, "none ", 5) != 0) {
		c->scope.user = unit[0] == 'u';
		c->scope.unit = strchr(unit, ' ') + 1;
	}
	c->enforced = unit ? take_line(&text) : NULL;
	c->begun = true;
	return 0;
}

int group_read(int dir, struct arena *a, struct cgroup *ret, struct err *err)
{
	auto_close int fd = openat(dir, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct cgroup c = {.mount = -1, .dir = -1};
	char *text;
	size_t len;

	*ret = c;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fd_read_all(fd, 16384, a, &text, &len) < 0)
		return err_set(err, errno, "read what is remembered of the cgroup");
	/* Killed before a byte was written: nothing has been made. */
	if (!len)
		return 0;
	if (parse(text, &c, err) < 0)
		return -1;
	*ret = c;
	return 0;
}

int group_open(int dir, struct arena *a, struct cgroup *ret, struct err *err)
{
	if (group_read(dir, a, ret, err) < 0)
		return -1;
	if (!ret->path || cgroup_open(ret, a, err) == 0)
		return 0;
	cgroup_finish(ret);
	return -1;
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

void group_write_json(struct json *j, const struct cgroup *c)
{
	json_key(j, "cgroup");
	json_open_object(j);
	json_key(j, "path");
	json_str(j, c->path);
	if (c->scope.unit) {
		json_key(j, "unit");
		json_str(j, c->scope.unit);
	}
	json_key(j, "limits");
	json_open_array(j);
	for (const char *p = c->enforced; p && *p; p += strcspn(p, " "), p += *p == ' ') {
		char name[256];

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(p, " "), p);
		json_str(j, name);
	}
	json_close_array(j);
	json_close_object(j);
}
