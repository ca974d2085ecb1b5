/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef BRYO_LIBEXEC
#define BRYO_LIBEXEC "/usr/local/libexec/bryo"
#endif

static int open_in(const char *dir, int len, const char *name)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%.*s/%s", len, dir, name) >= (int)sizeof(path))
		return -1;
	return open(path, O_PATH | O_CLOEXEC);
}

int helper_open(const char *name, struct err *err)
{
	char self[PATH_MAX], near[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self));
	int fd = -1;

	while (n > 0 && self[n - 1] != '/')
		n--;
	if (n > 0)
		fd = open_in(self, (int)n - 1, name);
	/* Installed below another prefix than it was built for. */
	if (fd < 0 && n > 0) {
		snprintf(near, sizeof(near), "%.*s../libexec/bryo", (int)n, self);
		fd = open_in(near, (int)strlen(near), name);
	}
	if (fd < 0)
		fd = open_in(BRYO_LIBEXEC, (int)strlen(BRYO_LIBEXEC), name);
	if (fd >= 0)
		return fd;
	err_set(err, errno, "open " BRYO_LIBEXEC "/%s", name);
	return err_hint(err, "make install puts it there");
}
