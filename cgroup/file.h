/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a cgroup, beneath its handle.
 * Nothing here knows what they mean.
 */
#ifndef BRYO_CGROUP_FILE_H
#define BRYO_CGROUP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Open a path beneath a directory of the tree: neither "..", nor a link, nor
 * another mount is followed.  A descriptor, or -1 and errno.
 */
int cgfile_open(int dir, const char *path, int flags);

/* One write(2) of the whole text, as the kernel's parsers want.  0, or -1 and errno. */
int cgfile_write(int dir, const char *file, const char *text);

/*
 * The content, NUL-terminated, without the newline at its end; cut off at
 * `size`.  Its length, or -1 and errno.
 */
ssize_t cgfile_read(int dir, const char *file, char *buf, size_t size);

/* Is the word in a list that blanks part? */
bool cgfile_has_word(const char *list, const char *word);

/* The value behind `key` in lines of "key value"; false: no such line. */
bool cgfile_find(const char *text, const char *key, uint64_t *ret);

#endif
