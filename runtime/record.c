/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/shared.h"
#include "spec/fields.h"

#define RECORD "record"
#define UNPUBLISHED ".record.new"

const char *const status_names[] = {"creating", "created", "running", "stopped"};

static const struct field record_fields[] = {
	{F(record, ociVersion, K_STR)},
	{F(record, id, K_STR), .required = true},
	{F(record, bundle, K_STR), .required = true, .absolute = true},
	{F(record, rootfs, K_STR)},
	{F(record, created, K_STR)},
	{F(record, pid, K_I64), RANGE(0, INT32_MAX)},
	{F(record, startTime, K_U64), ANY_U64},
	{F(record, ownPidNamespace, K_BOOL)},
	{F(record, hasProcess, K_BOOL)},
	{F(record, annotations, K_MAP)},
	{F(record, hooks, K_PTR), .object = &object_hook_sets},
};

static const struct object object_record = OBJECT(record, record_fields, NULL);

static char *now(struct arena *a)
{
	struct timespec ts;
	char date[32];
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", gmtime_r(&ts.tv_sec, &tm));
	return arena_printf(a, "%s.%09ldZ", date, ts.tv_nsec);
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

int process_start_time(pid_t pid, uint64_t *ret, bool *ret_zombie)
{
	char path[32], buf[1024], *p;
	auto_close int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return -1;
	buf[n] = '\0';
	/* The name, in brackets, may hold anything; brackets too (proc(5)). */
	p = strrchr(buf, ')');
	if (!p || p[1] != ' ') {
		errno = EINVAL;
		return -1;
	}
	p += 2;
	if (ret_zombie)
		*ret_zombie = *p == 'Z' || *p == 'X';
	for (int field = 3; field < 22 && p; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	*ret = p ? strtoull(p, NULL, 10) : 0;
	return 0;
}

/* Does the process of the record still live?  A recycled pid is another's. */
static bool is_alive(const struct record *r)
{
	uint64_t start = 0;
	bool zombie = false;

	return process_start_time((pid_t)r->pid, &start, &zombie) == 0 && !zombie &&
	       start == r->startTime;
}

static enum status status_of(int dir, const struct record *r, bool alive)
{
	if (!r->isPublished)
		return CREATING;
	if (!alive)
		return STOPPED;
	return shared_is_waiting(dir) ? CREATED : RUNNING;
}

enum status record_status(int dir, const struct record *r)
{
	return status_of(dir, r, r->pid && is_alive(r));
}

int record_hold(int dir, const struct record *r, enum status *ret, int *ret_pidfd, struct err *err)
{
	/* The handle first: what is checked then cannot change its meaning. */
	auto_close int fd = r->pid ? pidfd_open((pid_t)r->pid, 0) : -1;
	bool alive;

	if (r->pid && fd < 0 && errno != ESRCH && errno != EINVAL)
		return err_set(err, errno, "pidfd of process %lld", (long long)r->pid);
	alive = fd >= 0 && is_alive(r);
	*ret = status_of(dir, r, alive);
	*ret_pidfd = alive ? fd_take(&fd) : -1;
	return 0;
}

/*
 * Hooks need the pid before there is a record, to find the namespaces by; the
 * start time is not known then.  What a crash left half-made may be dead.
 */
static bool has_process(const struct record *r, enum status status)
{
	if (status == CREATING)
		return !r->startTime || is_alive(r);
	return status != STOPPED;
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
	if (owner) {
		json_key(j, "owner");
		json_str(j, owner);
	}
	json_close_object(j);
}
