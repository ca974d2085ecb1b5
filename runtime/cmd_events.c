/* SPDX-License-Identifier: Apache-2.0 */
/* events: statistics and out-of-memory kills, one JSON object a line. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cgroup/file.h"
#include "runtime/base/fd.h"
#include "runtime/commands.h"
#include "runtime/group.h"
#include "runtime/stats.h"

static int print_event(const char *type, const char *id, const struct cgroup *c, struct err *err)
{
	struct json *j = json_new(false);
	int bad;

	if (!j)
		return err_set(err, ENOMEM, "the events");
	json_open_object(j);
	json_key(j, "type");
	json_str(j, type);
	json_key(j, "id");
	json_str(j, id);
	if (c) {
		json_key(j, "data");
		stats_write(j, c->dir);
		group_write_json(j, c);
	}
	json_close_object(j);
	bad = print_json(j, err);
	json_free(j);
	return bad;
}

int parse_duration(const char *option, const char *s, int *ret_ms, struct err *err)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = {{"ns", 1e-6}, {"us", 1e-3}, {"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}};
	double ms = 0;

	for (const char *p = s; *p;) {
		char *end;
		double n = strtod(p, &end);
		size_t len = strcspn(end, "0123456789.");
		bool known = false;

		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (strlen(units[i].unit) == len && !strncmp(end, units[i].unit, len)) {
				ms += n * units[i].ms;
				known = true;
			}
		if (end == p || !known)
			return err_set(err, 0, "%s: \"%.40s\" is no duration like 5s", option, s);
		p = end + len;
	}
	if (!(ms >= 1) || ms > 1e9)
		return err_set(err, 0, "%s: \"%.40s\" must be from 1ms to 1000000s", option, s);
	*ret_ms = (int)ms;
	return 0;
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* The value of a key in an open file of the cgroup; 0 when it is gone. */
static uint64_t value_of(int fd, const char *key)
{
	char text[1024];
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
	uint64_t v;

	if (n < 0)
		return 0;
	text[n] = '\0';
	return cgfile_find(text, key, &v) ? v : 0;
}

/*
 * Until the last process has ended.  The kernel wakes who polls the two files:
 * nothing is looked at in between.
 */
static int follow(const char *id, const struct cgroup *c, int interval, struct err *err)
{
	auto_close int life = cgfile_open(c->dir, "cgroup.events", O_RDONLY);
	auto_close int memory = cgfile_open(c->dir, "memory.events", O_RDONLY);
	struct pollfd p[] = {{.fd = life, .events = POLLPRI}, {.fd = memory, .events = POLLPRI}};
	uint64_t kills = value_of(memory, "oom_kill");
	long long next = now_ms() + interval;

	while (value_of(life, "populated")) {
		long long left = next - now_ms();
		uint64_t now;

		if (left > 0 && poll(p, 2, (int)left) < 0 && errno != EINTR)
			return err_set(err, errno, "poll");
		now = value_of(memory, "oom_kill");
		for (; kills < now; kills++)
			if (print_event("oom", id, NULL, err) < 0)
				return -1;
		if (now_ms() < next)
			continue;
		next += interval;
		if (print_event("stats", id, c, err) < 0)
			return -1;
	}
	return 0;
}

static int events(struct arguments *a, struct found *f, struct err *err)
{
	int interval = 5000, bad;
	enum status status;
	struct cgroup c;

	if (a->interval && parse_duration("--interval", a->interval, &interval, err) < 0)
		return -1;
	if (record_status(f->dir, &f->record, &status, err) < 0)
		return -1;
	if (status == STOPPED || status == CREATING)
		return err_set(err, 0, "container \"%s\" is %s: container not running",
			       f->record.id, status_names[status]);
	if (container_group(f, "watch", &c, err) < 0)
		return -1;
	if (a->stats)
		bad = print_event("stats", f->record.id, &c, err);
	else
		bad = follow(f->record.id, &c, interval, err);
	cgroup_finish(&c);
	return bad;
}

int cmd_events(struct arguments *a, struct err *err)
{
	struct found f;
	int bad;

	if (container_find(a, a->operands[0], &f, err) < 0)
		return -1;
	bad = events(a, &f, err);
	container_finish(&f);
	return bad;
}
