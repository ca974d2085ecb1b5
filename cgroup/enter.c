/* SPDX-License-Identifier: Apache-2.0 */
/* Where in the container's cgroup a process is to be born that enters it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cgroup/cgroup.h"
#include "cgroup/file.h"
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

int cgroup_place(const struct cgroup *c, char *membership, const char *sub, struct err *err)
{
	char *line = strncmp(membership, "0::", 3) ? strstr(membership, "\n0::") : membership;
	int fd;

	if (sub) {
		sub += strspn(sub, "/");
		fd = cgfile_open(c->dir, *sub ? sub : ".", O_PATH | O_DIRECTORY);
		return fd < 0 ? err_set(err, errno, "open \"%s\" in the container's cgroup", sub)
			      : fd;
	}
	if (line) {
		line += *line == '\n';
		line[strcspn(line, "\n")] = '\0';
		sub = below(line + 3, c->path);
	}
	fd = cgfile_open(c->dir, sub && *sub ? sub : ".", O_PATH | O_DIRECTORY);
	return fd < 0 ? err_set(err, errno, "open the cgroup of the container's first process")
		      : fd;
}
