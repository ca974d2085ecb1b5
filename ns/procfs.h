/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of procfs, and nothing that pretends to be one.
 *
 * Trust boundary: a write that is meant for /proc/self/attr or /proc/sys and
 * that lands elsewhere has been the core of several container escapes.  So the
 * handle must be the root of a procfs (file system type and inode), and files
 * are opened beneath it without crossing a mount and without magic links: what
 * is opened is that very entry of that very procfs.
 */
#ifndef BRYO_NS_PROCFS_H
#define BRYO_NS_PROCFS_H

#include <sys/types.h>

#include "runtime/base/err.h"

/* The host's /proc as a verified handle.  A descriptor, or -1 and err. */
int procfs_open_root(struct err *err);

/* Open beneath the handle; flags of open(2).  A descriptor, or -1 and errno (EXDEV: covered). */
int procfs_open(int procfd, const char *path, int flags);

/* Write the text in one write(2), as procfs wants it.  0, or -1 and errno. */
int procfs_write(int procfd, const char *path, const char *text, size_t len);

/* Read up to size - 1 bytes and terminate them.  The length, or -1 and errno. */
ssize_t procfs_read(int procfd, const char *path, char *buf, size_t size);

#endif
