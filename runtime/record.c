/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/record.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/group.h"
#include "runtime/shared.h"
#include "spec/fields.h"

#define RECORD "record"
#define UNPUBLISHED ".record.new"

const char *const status_names[] = {"creating", "created", "running", "stopped", "paused"};

static const struct field record_fields[] = {
	{F(record, ociVersion, K_STR)},
	{F(record, id, K_STR), .required = true},
	{F(record, bundle, K_STR), .required = true, .absolute = true},
	{F(record, rootfs, K_STR)},
	{F(record, created, K_STR)},
	{F(record, pid, K_I64), RANGE(0, INT32_MAX)},
	{F(record, identity, K_U64), ANY_U64},
	{F(record, creator, K_I64), RANGE(0, INT32_MAX)},
	{F(record, creatorIdentity, K_U64), ANY_U64},
	{F(record, ownPidNamespace, K_BOOL)},
	{F(record, hasProcess, K_BOOL)},
	{F(record, noPivot, K_BOOL)},
	{F(record, listenerPath, K_STR)},
	{F(record, listenerMetadata, K_STR)},
	{F(record, selinuxLabel, K_STR)},
	{F(record, mountLabel, K_STR)},
	{F(record, annotations, K_MAP)},
	{F(record, hooks, K_PTR), .object = &object_hook_sets},
};

static const struct object object_record = OBJECT(record, record_fields, NULL);

/*
 * Days since 1970 as a date of the Gregorian calendar.  Not gmtime(3) and
 * strftime(3): they read the time zone's file, which nobody asks for.
 */
static void date_of(long days, int *year, int *month, int *day)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	for (*year = 1970;; (*year)++) {
		bool leap = (*year % 4 == 0 && *year % 100 != 0) || *year % 400 == 0;

		if (days < 365 + leap) {
			for (*month = 0; days >= lengths[*month] + (leap && *month == 1);
			     (*month)++)
				days -= lengths[*month] + (leap && *month == 1);
			break;
		}
		days -= 365 + leap;
	}
	(*month)++;
	*day = (int)days + 1;
}

static char *now(struct arena *a)
{
	int year, month, day, seconds;
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	date_of(ts.tv_sec / 86400, &year, &month, &day);
	seconds = (int)(ts.tv_sec % 86400);
	return arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", year, month, day,
			    seconds / 3600, seconds / 60 % 60, seconds % 60, ts.tv_nsec);
}

static char *rootfs_path(const struct box *b)
{
	const char *path = b->spec->root->path;

	if (path[0] == '/')
		return arena_strdup(b->arena, path);
	return arena_printf(b->arena, "%s/%s", b->bundle, path);
}

int record_of(const struct box *b, struct record *ret, struct err *err)
{
	struct record r = {
		.ociVersion = b->spec->ociVersion,
		.id = (char *)b->id,
		.bundle = (char *)b->bundle,
		.rootfs = rootfs_path(b),
		.created = now(b->arena),
		.pid = b->ns.pid,
		.ownPidNamespace = b->ns.create & nsset_clone_flags[NS_PID],
		.hasProcess = b->spec->process,
		.noPivot = b->opt.no_pivot,
		.listenerPath = (char *)b->agent.path,
		.listenerMetadata = (char *)b->agent.metadata,
		.selinuxLabel = (char *)b->label.process,
		.mountLabel = (char *)b->label.mount,
		.annotations = b->spec->annotations,
		.hooks = b->spec->hooks,
	};

	if (!r.rootfs || !r.created)
		return err_set(err, ENOMEM, "the record of the container");
	*ret = r;
	return 0;
}

/*
 * No fsync(): a record that a power cut takes describes a container that the
 * same power cut took.
 */
static int write_file(int dir, const char *text, size_t len)
{
	auto_close int fd = openat(dir, UNPUBLISHED,
				   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -1 : fd_write_all(fd, text, len);
}

int record_write(int dir, const struct record *r, struct err *err)
{
	struct json *j = json_new(false);
	const char *text;
	size_t len;
	int bad;

	if (!j)
		return err_set(err, ENOMEM, "the record of the container");
	json_write(j, &object_record, r);
	bad = json_finish(j, &text, &len, err);
	if (!bad && write_file(dir, text, len) < 0)
		bad = err_set(err, errno, "write the record of the container");
	json_free(j);
	return bad;
}

int record_publish(int dir, struct err *err)
{
	if (renameat(dir, UNPUBLISHED, dir, RECORD) < 0)
		return err_set(err, errno, "publish the record of the container");
	return 0;
}

static int open_record(int dir, bool *ret_published)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	int fd = openat(dir, RECORD, flags);

	*ret_published = fd >= 0;
	if (fd < 0 && errno == ENOENT)
		fd = openat(dir, UNPUBLISHED, flags);
	/* Published between the two. */
	if (fd < 0 && errno == ENOENT) {
		fd = openat(dir, RECORD, flags);
		*ret_published = fd >= 0;
	}
	return fd;
}

int record_read(int dir, const char *id, struct arena *a, struct record *ret, struct err *err)
{
	bool published;
	auto_close int fd = open_record(dir, &published);
	struct err why;
	char *text;
	size_t len;
	int bad;

	*ret = (struct record){.id = (char *)id};
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fd_read_all(fd, SPEC_MAX_BYTES, a, &text, &len) < 0)
		return err_set(err, errno, "read the record of \"%s\"", id);
	bad = json_parse(text, len, &object_record, ret, a, &why);
	/* Half written is half made. */
	if (bad && !published) {
		*ret = (struct record){.id = (char *)id};
		return 0;
	}
	if (bad)
		return err_set(err, 0, "the record of \"%s\" is damaged: %.60s: %.160s", id,
			       why.ptr, why.msg);
	ret->isPublished = published;
	if (strcmp(ret->id, id) != 0)
		return err_set(err, 0, "the record of \"%s\" is that of another", id);
	return 0;
}

/* PID_FS_MAGIC of <linux/magic.h>, from Linux 6.9 on. */
#define PIDFS_MAGIC 0x50494446

/* Field 22 of /proc/PID/stat; 0 when it cannot be read. */
static uint64_t start_time(pid_t pid)
{
	char path[32], buf[1024], *p;
	auto_close int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	/* The name, in brackets, may hold anything; brackets too (proc(5)). */
	p = strrchr(buf, ')');
	for (int field = 2; field < 22 && p; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	return p ? strtoull(p, NULL, 10) : 0;
}

/*
 * A number that no other process will have as long as the system runs: the
 * inode of the pidfd where pidfds have inodes of their own, else the time at
 * which the process of that pid was started.
 */
int process_identity(int pidfd, pid_t pid, uint64_t *ret, struct err *err)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(pidfd, &fs) < 0 || fstat(pidfd, &st) < 0)
		return err_set(err, errno, "pidfd of process %d", pid);
	*ret = fs.f_type == PIDFS_MAGIC ? st.st_ino : start_time(pid);
	if (*ret)
		return 0;
	err_set(err, 0, "/proc/%d/stat cannot be read", pid);
	return err_hint(err, "on Linux before 6.9, /proc must not be mounted with hidepid=");
}

/*
 * A handle of that process while it lives, or -1.  A pidfd is
 * readable when the last thread has ended, whatever the first one did.
 */
static int hold_process(pid_t pid, uint64_t known, struct err *err)
{
	/* The handle first: what is checked then cannot change its meaning. */
	auto_close int fd = pid ? pidfd_open(pid, 0) : -1;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t identity = 0;

	*err = (struct err){0};
	if (fd < 0) {
		if (pid && errno != ESRCH && errno != EINVAL)
			err_set(err, errno, "pidfd of process %d", pid);
		return -1;
	}
	if (poll(&p, 1, 0) != 0 || process_identity(fd, pid, &identity, err) < 0 ||
	    identity != known)
		return -1;
	return fd_take(&fd);
}

static enum status status_of(int dir, const struct record *r, bool alive)
{
	if (!r->isPublished)
		return CREATING;
	if (!alive)
		return STOPPED;
	if (group_is_frozen(dir))
		return PAUSED;
	return shared_is_waiting(dir) ? CREATED : RUNNING;
}

int record_hold(int dir, const struct record *r, enum status *ret, int *ret_pidfd, struct err *err)
{
	int fd = hold_process((pid_t)r->pid, r->identity, err);

	/* Not known to be dead is not dead. */
	if (fd < 0 && err->msg[0])
		return -1;
	*ret = status_of(dir, r, fd >= 0);
	*ret_pidfd = fd;
	return 0;
}

int record_hold_creator(const struct record *r, struct err *err)
{
	return hold_process((pid_t)r->creator, r->creatorIdentity, err);
}

int record_status(int dir, const struct record *r, enum status *ret, struct err *err)
{
	auto_close int fd = -1;

	return record_hold(dir, r, ret, &fd, err);
}

/*
 * Hooks need the pid before there is a record, to find the namespaces by; the
 * identity is not known then.  What a crash left half-made may be dead.
 */
static bool has_process(const struct record *r, enum status status)
{
	struct err ignored;
	auto_close int fd = -1;

	if (status != CREATING)
		return status != STOPPED;
	if (!r->identity)
		return true;
	fd = hold_process((pid_t)r->pid, r->identity, &ignored);
	return fd >= 0;
}

void record_state(struct json *j, const struct record *r, enum status status, const char *owner)
{
	json_open_object(j);
	json_key(j, "ociVersion");
	json_str(j, r->ociVersion ? r->ociVersion : SPEC_VERSION);
	json_key(j, "id");
	json_str(j, r->id);
	json_key(j, "pid");
	json_int(j, has_process(r, status) ? r->pid : 0);
	json_key(j, "status");
	json_str(j, status_names[status]);
	json_key(j, "bundle");
	json_str(j, r->bundle ? r->bundle : "");
	json_key(j, "rootfs");
	json_str(j, r->rootfs ? r->rootfs : "");
	json_key(j, "created");
	json_str(j, r->created ? r->created : "");
	if (r->annotations.n) {
		json_key(j, "annotations");
		json_open_object(j);
		for (size_t i = 0; i < r->annotations.n; i++) {
			json_key(j, r->annotations.v[i].key);
			json_str(j, r->annotations.v[i].value);
		}
		json_close_object(j);
	}
	if (r->cgroup)
		group_write_json(j, r->cgroup);
	if (r->selinuxLabel) {
		json_key(j, "selinuxLabel");
		json_str(j, r->selinuxLabel);
	}
	if (r->mountLabel) {
		json_key(j, "mountLabel");
		json_str(j, r->mountLabel);
	}
	if (owner) {
		json_key(j, "owner");
		json_str(j, owner);
	}
	json_close_object(j);
}
