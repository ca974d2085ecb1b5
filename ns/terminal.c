/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/terminal.h"

#include <linux/magic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ns/mount.h"
#include "ns/path.h"
#include "ns/sys.h"
#include "runtime/base/fd.h"

/* Documentation/admin-guide/devices.txt: /dev/ptmx, and that of every devpts. */
enum { PTMX_MAJOR = 5, PTMX_MINOR = 2 };

static int open_root(struct err *err)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return root < 0 ? err_at(err, "/process/terminal", errno, "open the root") : root;
}

/*
 * In a devpts there is nothing but terminals, and nobody can put anything else
 * there: so the directory is verified and what is opened is in that very file
 * system.
 */
static int open_ptmx(int root, struct err *err)
{
	auto_close int pts = path_open(root, "/dev/pts", O_PATH | O_DIRECTORY, 0), fd = -1;
	struct statfs fs;
	struct stat st;

	if (pts >= 0 && fstatfs(pts, &fs) == 0 && fs.f_type == DEVPTS_SUPER_MAGIC)
		fd = sys_openat2(pts, "ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK, 0,
				 RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
	    st.st_rdev == makedev(PTMX_MAJOR, PTMX_MINOR))
		return fd_take(&fd);
	err_at(err, "/process/terminal", 0, "there is no ptmx in /dev/pts that can be opened");
	return err_hint(err, "a terminal needs a devpts mounted on /dev/pts");
}

int terminal_open(const struct spec_console *size, struct terminal *ret, struct err *err)
{
	auto_close int root = open_root(err), master = -1, slave = -1;
	int unlock = 0;

	if (root < 0)
		return -1;
	master = open_ptmx(root, err);
	if (master < 0)
		return -1;
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return err_at(err, "/process/terminal", errno, "unlock the terminal");
	/* Whoever gets it decides for himself. */
	if (fcntl(master, F_SETFL, 0) < 0)
		return err_at(err, "/process/terminal", errno, "fcntl");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_at(err, "/process/terminal", errno, "open the terminal");
	if (size && (size->height || size->width)) {
		struct winsize ws = {.ws_row = (unsigned short)size->height,
				     .ws_col = (unsigned short)size->width};

		if (ioctl(master, TIOCSWINSZ, &ws) < 0)
			return err_at(err, "/process/consoleSize", errno,
				      "set the terminal's size");
	}
	ret->master = fd_take(&master);
	ret->slave = fd_take(&slave);
	return 0;
}

/* A file to bind over: what is there, or an empty one. */
static int console_place(int parent, const char *name)
{
	int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (mknodat(parent, name, S_IFREG | 0600, 0) < 0 && errno != EEXIST)
		return -1;
	return openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

int terminal_bind_console(int slave, struct err *err)
{
	auto_close int root = open_root(err), parent = -1, place = -1, tree = -1;
	struct stat st;
	char name[256];

	if (root < 0)
		return -1;
	parent = path_make_parent(root, "/dev/console", name, err);
	if (parent < 0)
		return -1;
	place = console_place(parent, name);
	if (place < 0 || fstat(place, &st) < 0)
		return err_at(err, "/process/terminal", errno, "make a place for /dev/console");
	if (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode))
		return err_at(err, "/process/terminal", 0,
			      "/dev/console in the rootfs is a link or a directory");
	tree = open_tree(slave, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 || mount_attach(tree, place) < 0)
		return err_at(err, "/process/terminal", errno, "bind the terminal to /dev/console");
	return 0;
}

int terminal_take(int slave, const struct spec_user *user, struct err *err)
{
	auto_close int fd = slave;

	if (fchown(fd, user->uid, (gid_t)-1) < 0)
		return err_at(err, "/process/terminal", errno, "give the terminal to uid %u",
			      user->uid);
	if (ioctl(fd, TIOCSCTTY, 0) < 0)
		return err_at(err, "/process/terminal", errno, "make it the controlling terminal");
	for (int std = 0; std < 3; std++)
		if (dup2(fd, std) < 0)
			return err_at(err, "/process/terminal", errno, "dup2");
	return 0;
}
