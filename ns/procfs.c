/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/procfs.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "ns/sys.h"
#include "runtime/base/fd.h"

/* PROC_ROOT_INO of the kernel's proc_fs.h; the root of every procfs has it. */
#define PROCFS_ROOT_INODE 1

int procfs_open_root(struct err *err)
{
	auto_close int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;
	struct stat st;

	if (fd < 0 || fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return err_set(err, errno, "open /proc");
	if (fs.f_type != PROC_SUPER_MAGIC || st.st_ino != PROCFS_ROOT_INODE) {
		err_set(err, 0, "/proc is not a procfs");
		return err_hint(err, "mount one: mount -t proc proc /proc");
	}
	return fd_take(&fd);
}

int procfs_open(int procfd, const char *path, int flags)
{
	return sys_openat2(procfd, path, (uint64_t)flags, 0,
			   RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
}

int procfs_write(int procfd, const char *path, const char *text, size_t len)
{
	auto_close int fd = procfs_open(procfd, path, O_WRONLY);

	return fd < 0 ? -1 : fd_write_once(fd, text, len);
}

ssize_t procfs_read(int procfd, const char *path, char *buf, size_t size)
{
	auto_close int fd = procfs_open(procfd, path, O_RDONLY);

	return fd < 0 ? -1 : fd_read_text(fd, buf, size);
}
