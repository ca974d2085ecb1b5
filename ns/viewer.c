/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/viewer.h"

#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "ns/mount.h"
#include "ns/nsset.h"
#include "ns/procfs.h"
#include "ns/sys.h"
#include "runtime/base/fd.h"

/* ---- a user namespace with the same maps ---- */

/* In the new process: wait for the maps, and be root by them. */
static void await_maps(const struct nsset *ns, int pipe)
{
	struct err err;
	char c;

	if (read(pipe, &c, 1) != 1 || nsset_become_root(ns, &err) < 0)
		_exit(EXIT_FAILURE);
	close(pipe);
}

pid_t viewer_fork(const struct spec_idmaps *uids, const struct spec_idmaps *gids, struct err *err)
{
	struct nsset ns = {.create = CLONE_NEWUSER, .in_userns = true, .uid = *uids, .gid = *gids};
	auto_close int procfd = procfs_open_root(err);
	int ends[2], bad;

	if (procfd < 0)
		return -1;
	for (int t = 0; t < NS_COUNT; t++)
		ns.join[t] = -1;
	nsset_choose_writer(&ns);
	/*
	 * Root that became the user whose containers these are owns no files in /proc,
	 * and to change that would let the user look into what was root's.
	 */
	if (ns.deny_setgroups && prctl(PR_GET_DUMPABLE) != 1) {
		err_set(err, 0, "the files belong to a user namespace of uid %u", geteuid());
		return err_hint(err, "do it as that user, like: setpriv --reuid %u --clear-groups",
				geteuid());
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, errno, "pipe");
	if (nsset_clone(&ns, err) == 0) {
		close(ends[1]);
		await_maps(&ns, ends[0]);
		return 0;
	}
	close(ends[0]);
	bad = ns.pid <= 0 || nsset_map_ids(&ns, procfd, err) < 0;
	if (!bad && write(ends[1], "", 1) != 1)
		bad = err_set(err, errno, "wake the process that looks at the files");
	close(ends[1]);
	if (bad)
		nsset_kill(&ns);
	else
		fd_cleanup(&ns.pidfd);
	return bad ? -1 : ns.pid;
}

/* ---- the tmpfs beneath the root ---- */

/* Is "/" that tmpfs?  Then its upper directory, else -1. */
static int open_if_found(void)
{
	auto_close int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), work = -1;
	struct statfs fs;

	if (top < 0 || fstatfs(top, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
		return -1;
	work = openat(top, "work", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (work < 0)
		return -1;
	return sys_openat2(top, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
			   RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

/*
 * The copy's mounts are this process's alone.  Each round takes the topmost mount
 * on "/" off; to enter the namespace again is what makes the next one the root.
 */
static int uncover(int procfd, struct err *err)
{
	for (int round = 0; round < 16; round++) {
		auto_close int ns = -1;
		int fd = open_if_found();

		if (fd >= 0)
			return fd;
		ns = openat(procfd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
		if (ns < 0 || umount2("/", MNT_DETACH) < 0 || setns(ns, CLONE_NEWNS) < 0)
			break;
	}
	return err_set(err, 0, "the tmpfs of the overlay is not beneath the container's root");
}

static int enter(int pidfd, bool userns, int procfd, struct err *err)
{
	/* Processes in there must not trace us. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_set(err, errno, "prctl");
	if (setns(pidfd, CLONE_NEWNS | (userns ? CLONE_NEWUSER : 0)) < 0)
		return err_set(err, errno, "enter the container's mount namespace");
	if (unshare(CLONE_NEWNS) < 0)
		return err_set(err, errno, "copy the container's mounts");
	if (mountset_make_private(err) < 0)
		return -1;
	return uncover(procfd, err);
}

/* In memory that both processes see. */
struct answer {
	int fd; /* of the table that both share, or -1 */
	struct err err;
};

int viewer_open_beneath(int pidfd, bool userns, struct err *err)
{
	auto_close int procfd = procfs_open_root(err);
	struct answer *r;
	pid_t helper;
	int fd;

	if (procfd < 0)
		return -1;
	r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r == MAP_FAILED)
		return err_set(err, errno, "memory");
	r->fd = -1;
	helper = sys_clone3(CLONE_FILES, SIGCHLD, NULL);
	if (helper == 0) {
		r->fd = enter(pidfd, userns, procfd, &r->err);
		_exit(0);
	}
	if (helper < 0)
		err_set(err, errno, "fork");
	while (helper > 0 && waitpid(helper, NULL, 0) < 0 && errno == EINTR)
		;
	fd = r->fd;
	if (helper > 0 && fd < 0)
		*err = r->err;
	if (helper > 0 && fd < 0 && !err->msg[0])
		err_set(err, 0, "the process that enters the container died");
	munmap(r, sizeof(*r));
	return fd;
}
