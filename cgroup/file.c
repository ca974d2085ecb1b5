/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroup/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/fd.h"

int cgfile_open(int dir, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned int)flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	long fd = -1;

	/* EAGAIN: a rename raced with the lookup (openat2(2)). */
	for (int tries = 0; tries < 128; tries++) {
		fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return (int)fd;
}

int cgfile_write(int dir, const char *file, const char *text)
{
	auto_close int fd = cgfile_open(dir, file, O_WRONLY);

	return fd < 0 ? -1 : fd_write_once(fd, text, strlen(text));
}

ssize_t cgfile_read(int dir, const char *file, char *buf, size_t size)
{
	auto_close int fd = cgfile_open(dir, file, O_RDONLY);
	ssize_t len = fd < 0 ? -1 : fd_read_text(fd, buf, size);

	while (len > 0 && buf[len - 1] == '\n')
		buf[--len] = '\0';
	return len;
}

bool cgfile_has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += len) {
		bool starts = p == list || strchr(" \n\t", p[-1]);

		if (starts && (!p[len] || strchr(" \n\t", p[len])))
			return true;
	}
	return false;
}

bool cgfile_find(const char *text, const char *key, uint64_t *ret)
{
	size_t len = strlen(key);

	for (const char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (!strncmp(p, key, len) && p[len] == ' ') {
			*ret = strtoull(p + len + 1, NULL, 10);
			return true;
		}
	return false;
}
