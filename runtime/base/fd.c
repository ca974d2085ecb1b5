/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void fd_cleanup(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

int fd_write_once(int fd, const char *text, size_t len)
{
	ssize_t n;

	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	if (n >= 0 && (size_t)n != len)
		errno = EIO;
	return n == (ssize_t)len ? 0 : -1;
}

ssize_t fd_read_text(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read(fd, buf + len, size - 1 - len);
		if (n > 0)
			len += (size_t)n;
	} while (n > 0 && len < size - 1);
	if (n < 0)
		return -1;
	buf[len] = '\0';
	return (ssize_t)len;
}

int fd_write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The size that fstat() tells is a hint only: FIFOs and /proc files lie. */
static size_t size_hint(int fd, size_t max)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
		return 4096;
	return (size_t)st.st_size < max ? (size_t)st.st_size + 1 : max + 1;
}

int fd_read_all(int fd, size_t max, struct arena *a, char **ret_buf, size_t *ret_len)
{
	size_t cap = size_hint(fd, max), len = 0;
	char *buf = arena_alloc(a, cap + 1);

	for (;;) {
		ssize_t n;

		if (!buf) {
			errno = ENOMEM;
			return -1;
		}
		n = read(fd, buf + len, cap - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max) {
			errno = EFBIG;
			return -1;
		}
		if (len == cap) {
			char *bigger = arena_alloc(a, cap * 2 + 1);

			if (bigger)
				memcpy(bigger, buf, len);
			buf = bigger;
			cap *= 2;
		}
	}
	buf[len] = '\0';
	*ret_buf = buf;
	*ret_len = len;
	return 0;
}
