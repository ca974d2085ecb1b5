/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File descriptors: ownership by scope, whole reads and writes, and files that
 * are replaced atomically.  Every descriptor is close-on-exec from birth.
 */
#ifndef BRYO_BASE_FD_H
#define BRYO_BASE_FD_H

#include <stddef.h>
#include <stdlib.h>
#include <sys/types.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"

/* Closes the descriptor when it goes out of scope; -1 is nothing. */
#define auto_close __attribute__((cleanup(fd_cleanup)))
/* free()s the pointer when it goes out of scope. */
#define auto_free __attribute__((cleanup(ptr_cleanup)))

void fd_cleanup(int *fd);
static inline void ptr_cleanup(void *p)
{
	free(*(void **)p);
}

/* Hand the descriptor out of its scope: returns it and leaves -1. */
static inline int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/*
 * Files of the kernel's: the whole text in one write(2), as their parsers want it; 0,
 * or -1 and errno.  And up to size - 1 bytes, terminated; their number, or -1.
 */
int fd_write_once(int fd, const char *text, size_t len);
ssize_t fd_read_text(int fd, char *buf, size_t size);

/* Write everything, over short writes and EINTR.  0, or -1 and errno. */
int fd_write_all(int fd, const void *buf, size_t len);

/*
 * Read from fd to its end into the arena, NUL-terminated behind the last byte.
 * More than `max` bytes is EFBIG.  0, or -1 and errno.
 */
int fd_read_all(int fd, size_t max, struct arena *a, char **ret_buf, size_t *ret_len);

#endif
