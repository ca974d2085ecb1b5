/* SPDX-License-Identifier: Apache-2.0 */
/* pause, resume, update: commands on a container's cgroup. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/stop.h"
#include "runtime/commands.h"
#include "runtime/group.h"
#include "runtime/store.h"

int container_group(struct found *f, const char *what, struct cgroup *ret, struct err *err)
{
	if (group_open(f->dir, &f->arena, ret, err) < 0)
		return -1;
	if (ret->dir >= 0)
		return 0;
	cgroup_finish(ret);
	err_set(err, 0, "cannot %s container \"%s\": it has no cgroup of its own", what,
		f->record.id);
	return err_hint(err, "it gets one when /linux/cgroupsPath or a limit is given");
}

/* ---- pause and resume ---- */

static int set_frozen(struct found *f, bool freeze, struct err *err)
{
	const char *what = freeze ? "pause" : "resume";
	auto_close int stop = -1;
	enum status status;
	struct cgroup c;
	int bad;

	if (record_status(f->dir, &f->record, &status, err) < 0)
		return -1;
	if (status == STOPPED || status == CREATING || (freeze == (status == PAUSED)))
		return err_set(err, 0, "cannot %s container \"%s\": it is %s%s", what, f->record.id,
			       status_names[status],
			       status == STOPPED ? " (container not running)" : "");
	if (container_group(f, what, &c, err) < 0)
		return -1;
	stop = stop_open(err);
	bad = stop < 0 ? -1 : cgroup_freeze(c.dir, freeze, stop, err);
	cgroup_finish(&c);
	return bad;
}

static int with_container(struct arguments *a, bool freeze, struct err *err)
{
	struct found f;
	int bad;

	if (container_find(a, a->operands[0], &f, err) < 0)
		return -1;
	bad = set_frozen(&f, freeze, err);
	container_finish(&f);
	return bad;
}

int cmd_pause(struct arguments *a, struct err *err)
{
	return with_container(a, true, err);
}

int cmd_resume(struct arguments *a, struct err *err)
{
	return with_container(a, false, err);
}

/* ---- update ---- */

/* Bytes, with the suffixes that the callers know from docker: 512m, 1GiB. */
static int parse_bytes(const char *option, const char *s, int64_t *ret, struct err *err)
{
	static const char units[] = "bkmgtp";
	unsigned long long n;
	const char *unit;
	int64_t v;
	char *end;

	if (!strcmp(s, "-1")) {
		*ret = -1;
		return 0;
	}
	errno = 0;
	n = strtoull(s, &end, 10);
	unit = *end ? strchr(units, *end | 0x20) : units;
	if (errno || end == s || *s == '-' || *s == '+' || !unit ||
	    (*end && strcasecmp(end + 1, "") != 0 && strcasecmp(end + 1, "b") != 0 &&
	     strcasecmp(end + 1, "ib") != 0))
		return err_set(err, 0, "--%s: \"%.40s\" is no size like 512m", option, s);
	if (n > INT64_MAX || __builtin_mul_overflow((int64_t)n, 1LL << 10 * (unit - units), &v))
		return err_set(err, 0, "--%s: \"%.40s\" is too big", option, s);
	*ret = v;
	return 0;
}

static int parse_number(const char *option, const char *s, int64_t least, int64_t *ret,
			struct err *err)
{
	char *end;

	errno = 0;
	*ret = strtoll(s, &end, 10);
	if (errno || *end || end == s || *ret < least)
		return err_set(err, 0, "--%s: \"%.40s\" is not a number%s", option, s,
			       least < 0 ? "" : " from 0 on");
	return 0;
}

/* The options as the structures that a file would have filled. */
struct asked {
	struct spec_resources r;
	struct spec_memory memory;
	struct spec_cpu cpu;
	struct spec_pids pids;
	struct spec_blkio blkio;
};

/* Sizes are signed, -1 being "no limit". */
static int from_options(const struct update_options *u, struct asked *q, struct err *err)
{
	const struct {
		const char *option, *value;
		struct opt_i64 *i;
		struct opt_u64 *u;
		bool bytes;
	} all[] = {
		{"memory", u->memory, &q->memory.limit, NULL, true},
		{"memory-reservation", u->reservation, &q->memory.reservation, NULL, true},
		{"memory-swap", u->swap, &q->memory.swap, NULL, true},
		{"cpu-quota", u->quota, &q->cpu.quota, NULL, false},
		{"cpu-idle", u->idle, &q->cpu.idle, NULL, false},
		{"cpu-rt-runtime", u->rt_runtime, &q->cpu.realtimeRuntime, NULL, false},
		{"cpu-period", u->period, NULL, &q->cpu.period, false},
		{"cpu-burst", u->burst, NULL, &q->cpu.burst, false},
		{"cpu-share", u->shares, NULL, &q->cpu.shares, false},
		{"cpu-rt-period", u->rt_period, NULL, &q->cpu.realtimePeriod, false},
		{"pids-limit", u->pids, &q->pids.limit, NULL, false},
		{"blkio-weight", u->blkio_weight, NULL, &q->blkio.weight, false},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int64_t v = 0;

		if (!all[i].value)
			continue;
		if (all[i].bytes ? parse_bytes(all[i].option, all[i].value, &v, err) < 0
				 : parse_number(all[i].option, all[i].value, all[i].i ? -1 : 0, &v,
						err) < 0)
			return -1;
		if (all[i].i)
			*all[i].i = (struct opt_i64){true, v};
		else
			*all[i].u = (struct opt_u64){true, (uint64_t)v};
	}
	q->cpu.cpus = (char *)u->cpus;
	q->cpu.mems = (char *)u->mems;
	q->r = (struct spec_resources){
		.memory = &q->memory, .cpu = &q->cpu, .pids = &q->pids, .blockIO = &q->blkio};
	if (q->blkio.weight.v > 1000)
		return err_set(err, 0, "--blkio-weight: %s is not in 10..1000", u->blkio_weight);
	return 0;
}

static int from_file(const char *file, struct arena *a, struct spec_resources **ret,
		     struct err *err)
{
	bool standard = !strcmp(file, "-");
	auto_close int own = standard ? -1 : open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text;
	size_t len;

	if (fd_read_all(standard ? STDIN_FILENO : own, SPEC_MAX_BYTES, a, &text, &len) < 0)
		return err_set(err, errno, "read the resources %s", file);
	return spec_parse_resources(text, len, a, ret, err);
}

/* All that can be wrong with the request is seen before the first write. */
static int apply(struct found *f, struct cgroup *c, struct spec_resources *r, struct err *err)
{
	struct device_program devices = {0};
	struct limits list = {0};

	if (spec_check_resources_supported(r, err) < 0 || limits_complete(c->dir, r, err) < 0 ||
	    limits_compile(r, &f->arena, &list, err) < 0)
		return -1;
	if (r->devices.n && device_program_make(&r->devices, &f->arena, &devices, err) < 0)
		return -1;
	/* systemd first: what it writes is rounded, what we write counts. */
	if ((c->scope.unit && scope_set(&c->scope, &list, &f->arena, err) < 0) ||
	    cgroup_enable(c, &list, err) < 0 || limits_write(c->dir, &list, err) < 0)
		return -1;
	if (devices.n && device_program_attach(c->dir, &devices, err) < 0)
		return -1;
	c->enforced =
		limits_names(c->enforced, &list, devices.n && !devices.allows_all, &f->arena, err);
	return c->enforced ? group_write(f->dir, c, err) : -1;
}

static int update(struct arguments *a, struct found *f, struct err *err)
{
	struct asked asked = {0};
	struct spec_resources *r = &asked.r;
	enum status status;
	struct cgroup c;
	int bad;

	if (a->update.resources ? from_file(a->update.resources, &f->arena, &r, err) < 0
				: from_options(&a->update, &asked, err) < 0)
		return -1;
	if (store_lock(f->store, f->record.id, f->dir, err) < 0 ||
	    record_status(f->dir, &f->record, &status, err) < 0)
		return -1;
	if (status == CREATING || status == STOPPED)
		return err_set(err, 0, "cannot update container \"%s\": it is %s", f->record.id,
			       status_names[status]);
	if (container_group(f, "update", &c, err) < 0)
		return -1;
	bad = apply(f, &c, r, err);
	cgroup_finish(&c);
	return bad ? err_under(err, "/linux/resources") : 0;
}

int cmd_update(struct arguments *a, struct err *err)
{
	struct found f;
	int bad;

	if (container_find(a, a->operands[0], &f, err) < 0)
		return -1;
	bad = update(a, &f, err);
	container_finish(&f);
	return bad;
}
