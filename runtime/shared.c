/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/fd.h"

#define SHARED "shared"

static struct shared *map(int fd, struct err *err)
{
	void *p = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
		       MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

	if (p != MAP_FAILED)
		return p;
	err_set(err, errno, "memory shared with the container");
	return NULL;
}

struct shared *shared_new(struct err *err)
{
	return map(-1, err);
}

struct shared *shared_create(int dir, int *ret_lock, struct err *err)
{
	auto_close int fd = openat(dir, SHARED, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct shared *s;

	/* Blocks now: a full disk would be a SIGBUS later. */
	if (fd < 0 || (errno = posix_fallocate(fd, 0, sizeof(*s))) != 0 ||
	    fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		err_set(err, errno, "make the file shared with the container");
		return NULL;
	}
	s = map(fd, err);
	if (s)
		*ret_lock = fd_take(&fd);
	return s;
}

struct shared *shared_open(int dir, struct err *err)
{
	auto_close int fd = openat(dir, SHARED, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_size == sizeof(struct shared))
		return map(fd, err);
	err_set(err, 0, "the file shared with the container is missing or damaged");
	return NULL;
}

void shared_filter_ready(struct shared *s)
{
	__atomic_store_n(&s->filter_ready, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &s->filter_ready, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void shared_await_filter(const struct shared *s, int chan)
{
	const struct timespec patience = {.tv_nsec = 100 * 1000 * 1000};
	struct pollfd host = {.fd = chan};

	/*
	 * A host that dies takes the box with it, but not in moments: the signal is
	 * lost at a change of ids (prctl(2), PR_SET_PDEATHSIG).
	 */
	while (!__atomic_load_n(&s->filter_ready, __ATOMIC_ACQUIRE)) {
		if (poll(&host, 1, 0) > 0)
			_exit(EXIT_BRYO);
		syscall(SYS_futex, &s->filter_ready, FUTEX_WAIT, 0, &patience, NULL, 0);
	}
}

bool shared_is_waiting(int dir)
{
	auto_close int fd = openat(dir, SHARED, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}
