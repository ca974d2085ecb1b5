/* SPDX-License-Identifier: Apache-2.0 */
/* wait: the exit status of a container, for who is not its parent. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/commands.h"
#include "runtime/keeper.h"

enum { EXIT_TIMEOUT = 124 }; /* as timeout(1) */

/* Of <linux/pidfd.h>, Linux 6.15, which the headers may be older than. */
struct exit_info {
	uint64_t mask, cgroup;
	uint32_t ids[11];
	int32_t status;
};
#define GET_INFO _IOWR(0xFF, 11, struct exit_info)
#define INFO_EXIT (UINT64_C(1) << 3)

struct deadline {
	bool set;
	struct timespec at;
};

static int start_clock(const char *duration, struct deadline *ret, struct err *err)
{
	int ms = 0;

	*ret = (struct deadline){.set = duration};
	if (!duration)
		return 0;
	if (parse_duration("--timeout", duration, &ms, err) < 0)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &ret->at);
	ret->at.tv_sec += ms / 1000;
	ret->at.tv_nsec += ms % 1000 * 1000000L;
	return 0;
}

/* Milliseconds that are left, rounded up; -1: for ever. */
static int left(const struct deadline *d)
{
	struct timespec now;
	long long ms;

	if (!d->set)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (d->at.tv_sec - now.tv_sec) * 1000LL +
	     (d->at.tv_nsec - now.tv_nsec + 999999) / 1000000;
	return ms < 0 ? 0 : (int)ms;
}

static int await(const char *id, int pidfd, short events, const struct deadline *d, struct err *err)
{
	struct pollfd p = {.fd = pidfd, .events = events};
	int n;

	do
		n = poll(&p, 1, left(d));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return 0;
	if (n < 0)
		return err_set(err, errno, "poll");
	err_set(err, 0, "container \"%s\" has not ended", id);
	err->exit = EXIT_TIMEOUT;
	return -1;
}

static int unknown(const char *id, const char *why, struct err *err)
{
	err_set(err, 0, "the exit status of container \"%s\" is not known: %s", id, why);
	return err_hint(err, "run --detach keeps it");
}

/* By the keeper, which ends once it has written it. */
static int from_keeper(const struct found *f, int file, const struct deadline *d, int *ret,
		       struct err *err)
{
	auto_close int keeper = -1;

	if (keeper_read(file, ret, err) < 0 || *ret >= 0)
		return *ret >= 0 ? 0 : -1;
	keeper = record_hold_creator(&f->record, err);
	if (keeper < 0 && err->msg[0])
		return -1;
	if (keeper >= 0 && await(f->record.id, keeper, POLLIN, d, err) < 0)
		return -1;
	if (keeper_read(file, ret, err) < 0)
		return -1;
	return *ret >= 0 ? 0 : unknown(f->record.id, "who waited for it was killed", err);
}

/*
 * The kernel tells everybody who has a handle, since Linux 6.15, once the parent has been
 * told: it says so by POLLHUP.
 */
static int from_kernel(const char *id, int pidfd, const struct deadline *d, int *ret,
		       struct err *err)
{
	struct exit_info info = {.mask = INFO_EXIT};

	if (pidfd < 0)
		return unknown(id, "it has ended, and its parent was told", err);
	if (ioctl(pidfd, GET_INFO, &info) < 0 && errno != ESRCH)
		return unknown(id, "before Linux 6.15 its parent alone is told", err);
	if (await(id, pidfd, 0, d, err) < 0)
		return -1;
	info.mask = INFO_EXIT;
	if (ioctl(pidfd, GET_INFO, &info) < 0 || !(info.mask & INFO_EXIT))
		return unknown(id, "before Linux 6.15 its parent alone is told", err);
	*ret = keeper_status(info.status);
	return 0;
}

static int wait_for(const struct found *f, const struct deadline *d, int *ret, struct err *err)
{
	auto_close int file = keeper_open(f->dir, err), pidfd = -1;
	const char *id = f->record.id;
	enum status status;

	if (file < 0 && err->num != ENOENT)
		return -1;
	if (record_hold(f->dir, &f->record, &status, &pidfd, err) < 0)
		return -1;
	if (pidfd >= 0 && await(id, pidfd, POLLIN, d, err) < 0)
		return -1;
	return file >= 0 ? from_keeper(f, file, d, ret, err) : from_kernel(id, pidfd, d, ret, err);
}

int cmd_wait(struct arguments *a, struct err *err)
{
	struct deadline d;
	struct found f;
	int status = -1, bad;

	if (start_clock(a->timeout, &d, err) < 0 || container_find(a, a->operands[0], &f, err) < 0)
		return -1;
	bad = wait_for(&f, &d, &status, err);
	container_finish(&f);
	if (bad)
		return -1;
	printf("%d\n", status);
	if (fflush(stdout))
		return err_set(err, errno, "write to standard output");
	return status;
}
