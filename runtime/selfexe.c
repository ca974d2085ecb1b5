/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/selfexe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define SELF "/proc/self/exe"

static bool maps_host_id(const struct spec_idmaps *maps, uint32_t id)
{
	for (size_t i = 0; i < maps->n; i++)
		if (id >= maps->v[i].hostID && id - maps->v[i].hostID < maps->v[i].size)
			return true;
	return false;
}

bool selfexe_is_exposed(const struct nsset *ns)
{
	struct stat st;

	if (stat(SELF, &st) < 0)
		return true;
	/*
	 * A file that is being executed is not "busy" to access(2).  Its owner can give
	 * himself the permission, and so can who is root in his name.
	 */
	if (faccessat(AT_FDCWD, SELF, W_OK, AT_EACCESS) < 0 &&
	    ((errno == EACCES && st.st_uid != geteuid()) || errno == EROFS))
		return false;
	/* Our own sealed copy: written by nobody any more. */
	if (!st.st_nlink)
		return false;
	return !ns->uid.n || maps_host_id(&ns->uid, st.st_uid) ||
	       maps_host_id(&ns->gid, st.st_gid) || (st.st_mode & S_IWOTH);
}

/* As much of the file as is ever loaded: debugging information follows it. */
static size_t loaded_size(size_t all)
{
	const ElfW(Phdr) *p = (const void *)getauxval(AT_PHDR);
	size_t n = getauxval(AT_PHNUM), end = 0;

	for (size_t i = 0; p && i < n; i++)
		if (p[i].p_type == PT_LOAD && p[i].p_offset + p[i].p_filesz > end)
			end = p[i].p_offset + p[i].p_filesz;
	return end && end < all ? end : all;
}

/* By a mapping: sendfile(2) would take each page through a pipe. */
static int copy_file(int to, int from, size_t len)
{
	void *p = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, from, 0);
	int bad;

	if (p == MAP_FAILED)
		return -1;
	bad = fd_write_all(to, p, len);
	munmap(p, len);
	return bad;
}

static int sealed_copy(struct err *err)
{
	auto_close int self = open(SELF, O_RDONLY | O_CLOEXEC), copy = -1;
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	struct stat st;

	copy = memfd_create("bryo", flags | MFD_EXEC);
	if (copy < 0 && errno == EINVAL)
		copy = memfd_create("bryo", flags);
	if (self < 0 || copy < 0 || fstat(self, &st) < 0)
		return err_set(err, errno, "copy bryo into memory");
	if (copy_file(copy, self, loaded_size((size_t)st.st_size)) < 0 ||
	    fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return err_set(err, errno, "copy bryo into memory");
	return fd_take(&copy);
}

/*
 * An overlay of that directory: without an upper layer it is read-only.  It wants a
 * second one below, and any will do that is no relative of the first.
 */
static int overlay_of(int dir)
{
	auto_close int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	char layers[40];

	snprintf(layers, sizeof(layers), "/proc/self/fd/%d:/sys", dir);
	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir", layers, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
}

/*
 * Our executable in a file system that nobody can write to: for a caller who may
 * mount, four times as cheap as a copy.  -1 where that cannot be had.
 */
static int sealed_view(void)
{
	auto_close int dir = -1, mount = -1, found = -1;
	struct stat ours, there;
	char path[PATH_MAX], *name;
	ssize_t n = readlink(SELF, path, sizeof(path) - 1);

	path[n > 0 ? n : 0] = '\0';
	name = strrchr(path, '/');
	if (!name || name == path)
		return -1;
	*name++ = '\0';
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	found = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	/* Another has taken its name, by an upgrade perhaps. */
	if (found < 0 || fstat(found, &there) < 0 || stat(SELF, &ours) < 0 ||
	    there.st_ino != ours.st_ino || there.st_dev != ours.st_dev)
		return -1;
	mount = overlay_of(dir);
	return mount < 0 ? -1 : openat(mount, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

int selfexe_protect(char *const *argv, unsigned int preserve, struct err *err)
{
	auto_close int copy = sealed_view();

	if (copy < 0)
		copy = sealed_copy(err);
	if (copy < 0)
		return -1;
	for (unsigned int fd = 3; fd < 3 + preserve; fd++)
		if (fcntl((int)fd, F_SETFD, 0) < 0)
			return err_set(err, errno, "preserve descriptor %u", fd);
	fexecve(copy, argv, environ);
	err_set(err, errno, "execute bryo from a sealed copy");
	if (err->num == EACCES)
		err_hint(err, "sysctl vm.memfd_noexec forbids it: 2 must not be set here");
	return -1;
}
