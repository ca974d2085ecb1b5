/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>

#include "cgroup/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "cgroup/file.h"
#include "runtime/base/fd.h"

static const char usual_place[] = "/sys/fs/cgroup";

/* Depth and length: far more than anyone has, and no stack is exhausted by it. */
enum { MAX_DEPTH = 64, MAX_PATH = 3072, MAX_TABLE = 16 << 20 };

/* A handle of the mount point when a cgroup v2 tree is on it, else -1. */
static int open_tree_at(const char *point)
{
	auto_close int fd = open(point, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
		return -1;
	return fd_take(&fd);
}

static int read_text(const char *path, struct arena *a, char **ret)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len;

	return fd < 0 ? -1 : fd_read_all(fd, MAX_TABLE, a, ret, &len);
}

/* "\040" and the like, as proc_pid_mountinfo(5) has them. */
static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

/* One line of mountinfo; true when it is a cgroup v2 tree that can be reached. */
static bool take_line(char *line, struct tree *t)
{
	char *type = strstr(line, " - "), *words[5], *save = NULL;

	if (!type || strncmp(type + 3, "cgroup2 ", 8) != 0)
		return false;
	for (size_t i = 0; i < 5; i++) {
		words[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!words[i])
			return false;
	}
	unescape(words[3]);
	unescape(words[4]);
	t->fd = open_tree_at(words[4]);
	t->root = words[3];
	t->point = words[4];
	return t->fd >= 0;
}

static int find_in_table(struct arena *a, struct tree *ret, struct err *err)
{
	struct tree best = {.fd = -1};
	char *text, *save = NULL;

	if (read_text("/proc/self/mountinfo", a, &text) < 0)
		return err_set(err, errno, "read /proc/self/mountinfo");
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		struct tree t = {.fd = -1};

		if (!take_line(l, &t))
			continue;
		/* The usual place wins; else the first. */
		if (best.fd >= 0 && strcmp(t.point, usual_place) != 0) {
			close(t.fd);
			continue;
		}
		fd_cleanup(&best.fd);
		best = t;
	}
	if (best.fd < 0) {
		err_set(err, 0, "no cgroup v2 tree is mounted");
		return err_hint(err, "as root: mount -t cgroup2 cgroup2 %s", usual_place);
	}
	*ret = best;
	return 0;
}

int tree_find(bool exact, struct arena *a, struct tree *ret, struct err *err)
{
	struct tree t = {.fd = exact ? -1 : open_tree_at(usual_place)};

	if (t.fd < 0)
		return find_in_table(a, ret, err);
	t.point = arena_strdup(a, usual_place);
	t.root = arena_strdup(a, "/");
	if (!t.point || !t.root) {
		close(t.fd);
		return err_set(err, ENOMEM, "the cgroup");
	}
	*ret = t;
	return 0;
}

/* Is `path` at or below `dir`?  A sibling with the same beginning is not. */
static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && (!path[len] || path[len] == '/');
}

static int own_from(const char *file, const struct tree *t, struct arena *a, char **ret,
		    struct err *err)
{
	const char *root = strcmp(t->root, "/") != 0 ? t->root : "";
	char *text, *line;

	if (read_text(file, a, &text) < 0)
		return err_set(err, errno, "read %s", file);
	line = !strncmp(text, "0::", 3) ? text : strstr(text, "\n0::");
	if (!line)
		return err_set(err, 0, "%s names no cgroup of version 2", file);
	line = strchr(line, '/');
	if (!line)
		return err_set(err, 0, "%s cannot be understood", file);
	line[strcspn(line, "\n")] = '\0';
	/* "/.." begins what lies outside of the cgroup namespace. */
	if (!is_below(line, root) || is_below(line, "/.."))
		return err_set(err, 0,
			       "the cgroup in %.40s, %.120s, is not below %.120s, mounted on %s",
			       file, line, t->root, t->point);
	line += strlen(root);
	*ret = *line ? line : arena_strdup(a, "/");
	return *ret ? 0 : err_set(err, ENOMEM, "the cgroup");
}

int tree_own(const struct tree *t, struct arena *a, char **ret, struct err *err)
{
	return own_from("/proc/self/cgroup", t, a, ret, err);
}

int tree_of(const struct tree *t, pid_t pid, struct arena *a, char **ret, struct err *err)
{
	char file[32];

	snprintf(file, sizeof(file), "/proc/%d/cgroup", pid);
	return own_from(file, t, a, ret, err);
}

int tree_clean(const char *path, struct arena *a, char **ret, struct err *err)
{
	char *out = arena_alloc(a, strlen(path) + 2), *end = out;
	unsigned int depth = 0;

	if (!out)
		return err_set(err, ENOMEM, "the cgroup");
	if (strlen(path) > MAX_PATH)
		return err_set(err, 0, "is longer than %d bytes", MAX_PATH);
	while (*path) {
		size_t len = strcspn(path, "/");

		if ((len == 1 && path[0] == '.') || (len == 2 && !strncmp(path, "..", 2)))
			return err_set(err, 0, "\"%.*s\" in a cgroup's path is refused", (int)len,
				       path);
		if (len > 255)
			return err_set(err, 0, "a name in it is longer than 255 bytes");
		if (memchr(path, '\n', len))
			return err_set(err, 0, "a line feed in a cgroup's path is refused");
		if (len) {
			*end++ = '/';
			memcpy(end, path, len);
			end += len;
			depth++;
		}
		path += len + (path[len] == '/');
	}
	if (depth > MAX_DEPTH)
		return err_set(err, 0, "is deeper than %d", MAX_DEPTH);
	*ret = out;
	return 0;
}
