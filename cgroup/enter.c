/* SPDX-License-Identifier: Apache-2.0 */
/* Where in the container's cgroup a process is to be born that enters it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cgroup/cgroup.h"
#include "cgroup/file.h"
#include "cgroup/tree.h"
#include "runtime/base/fd.h"

/*
 * What follows the container's own path in a line like "0::/a/container/init"; ""
 * when the process is elsewhere.  The mount may show a part of the hierarchy only,
 * hence the search.
 */
static const char *below(const char *line, const char *path)
{
	size_t len = strlen(path);

	for (const char *p = strstr(line, path); p; p = strstr(p + 1, path))
		if (p[len] == '/')
			return p + len + 1;
		else if (!p[len])
			break;
	return "";
}

int cgroup_place(struct cgroup *c, char *membership, const char *sub, struct err *err)
{
	char *line = strncmp(membership, "0::", 3) ? strstr(membership, "\n0::") : membership;
	int fd;

	if (sub) {
		sub += strspn(sub, "/");
		c->scope.sub = sub;
		fd = cgfile_open(c->dir, *sub ? sub : ".", O_PATH | O_DIRECTORY);
		return fd < 0 ? err_set(err, errno, "open \"%s\" in the container's cgroup", sub)
			      : fd;
	}
	if (line) {
		line += *line == '\n';
		line[strcspn(line, "\n")] = '\0';
		c->scope.sub = sub = below(line + 3, c->path);
	}
	fd = cgfile_open(c->dir, sub && *sub ? sub : ".", O_PATH | O_DIRECTORY);
	return fd < 0 ? err_set(err, errno, "open the cgroup of the container's first process")
		      : fd;
}

/* How much of both paths is the same, in whole components. */
static size_t common(const char *a, const char *b)
{
	size_t same = 0, i = 0;

	for (; a[i] && a[i] == b[i]; i++)
		if (a[i] == '/')
			same = i;
	return (!a[i] || a[i] == '/') && (!b[i] || b[i] == '/') ? i : same;
}

int cgroup_is_in_reach(const struct cgroup *c, struct arena *a, bool *ret, struct err *err)
{
	auto_close int fd = -1;
	struct tree t;
	char *own, *file;

	if (tree_find(true, a, &t, err) < 0)
		return -1;
	if (tree_own(&t, a, &own, err) < 0) {
		close(t.fd);
		return -1;
	}
	file = arena_printf(a, "%.*s/cgroup.procs", (int)common(own, c->path), c->path);
	if (file)
		fd = cgfile_open(t.fd, file + 1, O_WRONLY);
	close(t.fd);
	*ret = fd >= 0;
	return file ? 0 : err_set(err, ENOMEM, "the cgroup");
}
