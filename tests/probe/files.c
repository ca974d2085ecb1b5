// SPDX-License-Identifier: Apache-2.0
/* What the process sees of the file system: mounts, /dev, guarded paths. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "probe.h"

static const char *type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "dir";
	case S_IFLNK:
		return "link";
	case S_IFCHR:
		return "char";
	case S_IFBLK:
		return "block";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "unknown";
	}
}

static void out_stat(const struct stat *st)
{
	out_str("type", type_of(st->st_mode));
	out_uint("mode", st->st_mode & 07777);
	out_uint("uid", st->st_uid);
	out_uint("gid", st->st_gid);
	out_uint("size", (unsigned long long)st->st_size);
	out_uint("dev", st->st_dev);
	out_uint("ino", st->st_ino);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		out_uint("major", major(st->st_rdev));
		out_uint("minor", minor(st->st_rdev));
	}
}

/* Undo the kernel's octal escapes (\040 is a space), in place. */
static char *unescape(char *s)
{
	char *to = s;

	for (char *at = s; *at; at++) {
		if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] && at[3]) {
			*to++ = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
			at += 3;
		} else {
			*to++ = *at;
		}
	}
	*to = '\0';
	return s;
}

/* "36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw" */
static void out_mount(char *line)
{
	static const char *const keys[] = {"id", "parent", "device", "root", "point", "options"};
	char *save = NULL, *word = strtok_r(line, " ", &save);
	const char *point = "/";
	struct stat st;

	out_open(NULL, '{');
	for (size_t i = 0; word && i < sizeof(keys) / sizeof(*keys); i++) {
		out_str(keys[i], unescape(word));
		if (i == 4)
			point = word;
		word = strtok_r(NULL, " ", &save);
	}
	out_open("propagation", '[');
	for (; word && strcmp(word, "-") != 0; word = strtok_r(NULL, " ", &save))
		out_str(NULL, word);
	out_close(']');
	word = strtok_r(NULL, " ", &save);
	out_str("fstype", word);
	word = strtok_r(NULL, " ", &save);
	out_str("source", word ? unescape(word) : NULL);
	out_str("super", strtok_r(NULL, " ", &save));
	if (lstat(point, &st) == 0) {
		out_open("stat", '{');
		out_stat(&st);
		out_close('}');
	}
	out_close('}');
}

void report_mounts(void)
{
	char *text = have_proc() ? slurp("/proc/self/mountinfo") : NULL;
	char *save = NULL;

	if (!text) {
		out_null("mounts");
		return;
	}
	out_open("mounts", '[');
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		out_mount(line);
	out_close(']');
	free(text);
}

void report_dev(void)
{
	DIR *dir = opendir("/dev");
	struct dirent *entry;

	if (!dir) {
		out_null("dev");
		return;
	}
	out_open("dev", '{');
	while ((entry = readdir(dir))) {
		char target[4096];
		struct stat st;
		ssize_t n;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		out_open(entry->d_name, '{');
		out_stat(&st);
		n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target));
		if (n >= 0)
			out_strn("target", target, (size_t)n);
		out_close('}');
	}
	out_close('}');
	closedir(dir);
}

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			n++;
	}
	closedir(dir);
	return n;
}

static void out_read(const char *path)
{
	char block[512];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, block, sizeof(block));

	out_errno("read", n < 0 ? errno : 0);
	out_int("bytes", n);
	if (fd >= 0)
		close(fd);
}

/* Opened for writing only, and never written. */
static int open_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static void out_path(const char *path)
{
	struct statvfs fs;
	struct stat st;

	out_open(path, '{');
	if (lstat(path, &st) < 0) {
		out_str("type", NULL);
		out_errno("lstat", errno);
		out_close('}');
		return;
	}
	out_stat(&st);
	if (S_ISDIR(st.st_mode))
		out_int("entries", count_entries(path));
	else
		out_read(path);
	if (!S_ISDIR(st.st_mode))
		out_errno("open_write", open_write(path));
	out_errno("access_write", access(path, W_OK) < 0 ? errno : 0);
	out_bool("readonly", statvfs(path, &fs) == 0 && (fs.f_flag & ST_RDONLY));
	out_close('}');
}

void report_paths(void)
{
	static const char *const paths[] = {
		/* masked by every engine */
		"/proc/acpi",
		"/proc/asound",
		"/proc/kcore",
		"/proc/keys",
		"/proc/latency_stats",
		"/proc/timer_list",
		"/proc/timer_stats",
		"/proc/sched_debug",
		"/proc/scsi",
		"/proc/interrupts",
		"/sys/firmware",
		"/sys/devices/virtual/powercap",
		/* read-only in every engine */
		"/proc/bus",
		"/proc/fs",
		"/proc/irq",
		"/proc/sys",
		"/proc/sysrq-trigger",
		/* what an escape would write to */
		"/proc/sys/kernel/core_pattern",
		"/proc/sys/kernel/modprobe",
		"/sys/fs/cgroup",
		"/sys/kernel/uevent_helper",
		/* fixtures of the tests */
		"/masked-file",
		"/masked-dir",
		"/readonly-dir",
		"/readonly-dir/file",
		"/work",
	};

	out_open("paths", '{');
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		out_path(paths[i]);
	out_close('}');
}
