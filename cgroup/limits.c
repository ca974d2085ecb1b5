/* SPDX-License-Identifier: Apache-2.0 */
/* From /linux/resources to a list of writes; see limits.h. */
#include "cgroup/limits.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- the list ---- */

struct builder {
	struct arena *a;
	struct limits *out;
	size_t cap;
	bool no_memory;
};

/* Where an entry goes that there was no memory for: the error comes at the end. */
static struct limit *push(struct builder *b)
{
	struct limit *l = arena_push(b->a, &b->out->v, &b->out->n, &b->cap, sizeof(*l));

	if (!l)
		b->no_memory = true;
	return l;
}

/* A file and its value; `ptr` is below /linux/resources. */
__attribute__((format(printf, 5, 6))) static struct limit *add(struct builder *b,
							       const char *controller,
							       const char *file, const char *ptr,
							       const char *fmt, ...)
{
	struct limit *l = push(b);
	char value[512];
	va_list ap;

	if (!l)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	l->controller = controller;
	l->file = arena_strdup(b->a, file);
	l->value = arena_strdup(b->a, value);
	l->ptr = arena_strdup(b->a, ptr);
	if (!l->file || !l->value || !l->ptr)
		b->no_memory = true;
	return l;
}

/* A number of which -1 means "no limit". */
static struct limit *add_max(struct builder *b, const char *controller, const char *file,
			     const char *ptr, int64_t v)
{
	if (v < 0)
		return add(b, controller, file, ptr, "max");
	return add(b, controller, file, ptr, "%lld", (long long)v);
}

/* ---- memory ---- */

static bool asks(const struct opt_i64 *o)
{
	return o->set && o->v != 0;
}

/*
 * /memory/swap is memory and swap together, memory.swap.max is swap alone: the
 * limit is taken off, as runc does it.
 */
static int add_swap(struct builder *b, const struct spec_memory *m, struct err *err)
{
	static const char file[] = "memory.swap.max", ptr[] = "/memory/swap";
	struct limit *l;

	if (!asks(&m->swap) && !(m->limit.set && m->limit.v == -1))
		return 0;
	if (!asks(&m->swap) || m->swap.v < 0 || (m->limit.set && m->limit.v < 0)) {
		l = add_max(b, "memory", file, ptr, asks(&m->swap) ? m->swap.v : -1);
	} else if (!asks(&m->limit)) {
		return err_at(err, ptr, 0, "needs /memory/limit: it counts memory and swap");
	} else if (m->swap.v < m->limit.v) {
		return err_at(err, ptr, 0, "%lld is below /memory/limit, %lld",
			      (long long)m->swap.v, (long long)m->limit.v);
	} else {
		l = add_max(b, "memory", file, ptr, m->swap.v - m->limit.v);
	}
	/* A kernel without swap has none to forbid, and none to allow. */
	if (l && (!strcmp(l->value, "0") || !strcmp(l->value, "max")))
		l->flags |= LIMIT_NO_FILE;
	return 0;
}

static int add_memory(struct builder *b, const struct spec_memory *m, struct err *err)
{
	if (!m)
		return 0;
	if (add_swap(b, m, err) < 0)
		return -1;
	if (asks(&m->limit))
		add_max(b, "memory", "memory.max", "/memory/limit", m->limit.v);
	if (asks(&m->reservation))
		add_max(b, "memory", "memory.low", "/memory/reservation", m->reservation.v);
	return 0;
}

/* ---- cpu ---- */

/*
 * The curve of runc and crun: a power of ten whose exponent is quadratic in the
 * logarithm of the shares, so that the least, the default (1024 to 100) and the
 * greatest of both scales fall together.
 */
uint64_t limits_cpu_weight(uint64_t shares)
{
	double l;

	if (!shares)
		return 0;
	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	l = log2((double)shares);
	return (uint64_t)ceil(pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0));
}

static int add_quota(struct builder *b, const struct spec_cpu *c, struct err *err)
{
	static const char max[] = "cpu.max", burst_file[] = "cpu.max.burst";
	uint64_t period = c->period.set ? c->period.v : 0;
	struct limit *l;

	if (c->burst.set && asks(&c->quota) && c->quota.v > 0 && c->burst.v > (uint64_t)c->quota.v)
		return err_at(err, "/cpu/burst", 0, "%llu is above /cpu/quota, %lld",
			      (unsigned long long)c->burst.v, (long long)c->quota.v);
	/*
	 * The kernel wants burst <= quota at every moment, so which of the two has
	 * to come first depends on what is there: tried before, written after.
	 */
	if (c->burst.set && asks(&c->quota)) {
		l = add(b, "cpu", burst_file, "/cpu/burst", "%llu", (unsigned long long)c->burst.v);
		if (l)
			l->flags |= LIMIT_TRY;
	}
	if (asks(&c->quota) && c->quota.v > 0 && period)
		add(b, "cpu", max, "/cpu/quota", "%lld %llu", (long long)c->quota.v,
		    (unsigned long long)period);
	else if (asks(&c->quota) && c->quota.v > 0)
		add(b, "cpu", max, "/cpu/quota", "%lld", (long long)c->quota.v);
	else if (period)
		add(b, "cpu", max, "/cpu/period", "max %llu", (unsigned long long)period);
	else if (asks(&c->quota))
		add(b, "cpu", max, "/cpu/quota", "max");
	if (c->burst.set && (c->burst.v || asks(&c->quota)))
		add(b, "cpu", burst_file, "/cpu/burst", "%llu", (unsigned long long)c->burst.v);
	return 0;
}

static int add_cpu(struct builder *b, const struct spec_cpu *c, struct err *err)
{
	bool idle = c && c->idle.set && c->idle.v;

	if (!c)
		return 0;
	if (c->idle.set)
		add(b, "cpu", "cpu.idle", "/cpu/idle", "%lld", (long long)c->idle.v);
	/* An idle cgroup has the least weight; the kernel refuses another. */
	if (c->shares.set && c->shares.v && !idle)
		add(b, "cpu", "cpu.weight", "/cpu/shares", "%llu",
		    (unsigned long long)limits_cpu_weight(c->shares.v));
	if (add_quota(b, c, err) < 0)
		return -1;
	if (c->cpus)
		add(b, "cpuset", "cpuset.cpus", "/cpu/cpus", "%s", c->cpus);
	if (c->mems)
		add(b, "cpuset", "cpuset.mems", "/cpu/mems", "%s", c->mems);
	return 0;
}

/* ---- block devices ---- */

uint64_t limits_io_weight(uint64_t weight)
{
	return weight ? 1 + (weight - 10) * 9999 / 990 : 0;
}

/* BFQ has the scale of blkio.weight; io.weight belongs to iocost. */
static int add_weight(struct builder *b, const char *device, uint64_t weight, const char *ptr,
		      struct err *err)
{
	struct limit *l;

	if (!weight)
		return 0;
	if (weight < 10)
		return err_at(err, ptr, 0, "%llu is not in 10..1000", (unsigned long long)weight);
	l = add(b, "io", "io.bfq.weight", ptr, "%s%llu", device, (unsigned long long)weight);
	if (!l)
		return 0;
	l->other_file = arena_strdup(b->a, "io.weight");
	l->other_value =
		arena_printf(b->a, "%s%llu", device, (unsigned long long)limits_io_weight(weight));
	if (!l->other_file || !l->other_value)
		b->no_memory = true;
	return 0;
}

static int add_weights(struct builder *b, const struct spec_blkdevs *list, struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct spec_blkdev *d = &list->v[i];
		char device[48], ptr[64];

		snprintf(device, sizeof(device), "%lld:%lld ", (long long)d->major,
			 (long long)d->minor);
		snprintf(ptr, sizeof(ptr), "/blockIO/weightDevice/%zu/weight", i);
		if (!d->weight.set && !d->leafWeight.set)
			return err_at(err, ptr, 0, "is missing, and so is leafWeight");
		if (d->weight.set && add_weight(b, device, d->weight.v, ptr, err) < 0)
			return -1;
	}
	return 0;
}

/* io.max keeps what a write does not name: one write for each entry. */
static int add_rates(struct builder *b, const struct spec_blkdevs *list, const char *name,
		     const char *key, struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct spec_blkdev *d = &list->v[i];
		char ptr[80];

		snprintf(ptr, sizeof(ptr), "/blockIO/%s/%zu/rate", name, i);
		if (!d->rate.set)
			return err_at(err, ptr, 0, "is missing");
		/* 0 takes a limit away, as in cgroup v1. */
		if (d->rate.v)
			add(b, "io", "io.max", ptr, "%lld:%lld %s=%llu", (long long)d->major,
			    (long long)d->minor, key, (unsigned long long)d->rate.v);
		else
			add(b, "io", "io.max", ptr, "%lld:%lld %s=max", (long long)d->major,
			    (long long)d->minor, key);
	}
	return 0;
}

static int add_blkio(struct builder *b, const struct spec_blkio *io, struct err *err)
{
	if (!io)
		return 0;
	if (io->weight.set && add_weight(b, "", io->weight.v, "/blockIO/weight", err) < 0)
		return -1;
	if (add_weights(b, &io->weightDevice, err) < 0)
		return -1;
	if (add_rates(b, &io->throttleReadBpsDevice, "throttleReadBpsDevice", "rbps", err) < 0 ||
	    add_rates(b, &io->throttleWriteBpsDevice, "throttleWriteBpsDevice", "wbps", err) < 0 ||
	    add_rates(b, &io->throttleReadIOPSDevice, "throttleReadIOPSDevice", "riops", err) < 0)
		return -1;
	return add_rates(b, &io->throttleWriteIOPSDevice, "throttleWriteIOPSDevice", "wiops", err);
}

/* ---- the rest ---- */

/*
 * Reservations are limited where the kernel can (5.7): a process then fails to
 * map, and does not get SIGBUS later (config-linux.md).
 */
static void add_hugepages(struct builder *b, const struct spec_hugepages *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct spec_hugepage *h = &list->v[i];
		char file[96], ptr[48];
		struct limit *l;

		snprintf(file, sizeof(file), "hugetlb.%.32s.rsvd.max", h->pageSize);
		snprintf(ptr, sizeof(ptr), "/hugepageLimits/%zu", i);
		l = add(b, "hugetlb", file, ptr, "%llu", (unsigned long long)h->limit);
		if (!l)
			return;
		l->other_file = arena_printf(b->a, "hugetlb.%.32s.max", h->pageSize);
		l->other_value = l->value;
		if (!l->other_file)
			b->no_memory = true;
	}
}

static int add_rdma(struct builder *b, const struct spec_rdmas *list, struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct spec_rdma *r = &list->v[i];
		char value[320], ptr[128] = "/rdma";
		int n = snprintf(value, sizeof(value), "%.200s", r->key);

		ptr_append(ptr, sizeof(ptr), r->key);
		if (!r->hcaHandles.set && !r->hcaObjects.set)
			return err_at(err, ptr, 0, "has neither hcaHandles nor hcaObjects");
		if (r->hcaHandles.set)
			n += snprintf(value + n, sizeof(value) - (size_t)n, " hca_handle=%llu",
				      (unsigned long long)r->hcaHandles.v);
		if (r->hcaObjects.set)
			snprintf(value + n, sizeof(value) - (size_t)n, " hca_object=%llu",
				 (unsigned long long)r->hcaObjects.v);
		add(b, "rdma", "rdma.max", ptr, "%s", value);
	}
	return 0;
}

/*
 * Trust boundary: the key becomes a file name.  It is looked up beneath the
 * cgroup in any case; a slash would reach that of a child.  What would take the
 * cgroup out of our hands is not a setting.
 */
static int check_unified(const char *key, const char *ptr, struct err *err)
{
	static const char *const ours[] = {"cgroup.procs", "cgroup.threads", "cgroup.freeze",
					   "cgroup.kill",  "cgroup.type",    NULL};

	if (!*key || strchr(key, '/') || key[0] == '.' || strchr(key, '\n') || strlen(key) > 255)
		return err_at(err, ptr, 0, "is no name of a cgroup's file");
	for (const char *const *o = ours; *o; o++)
		if (!strcmp(key, *o))
			return err_at(err, ptr, 0, "is no limit");
	return 0;
}

static int add_unified(struct builder *b, const struct pairs *list, struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *key = list->v[i].key;
		size_t len = strcspn(key, ".");
		char ptr[sizeof(err->ptr)] = "/unified";
		struct limit *l;

		ptr_append(ptr, sizeof(ptr), key);
		if (check_unified(key, ptr, err) < 0)
			return -1;
		l = push(b);
		if (!l)
			return 0;
		/* The files of the core belong to no controller. */
		l->controller = len == 6 && !strncmp(key, "cgroup", len)
					? ""
					: arena_strndup(b->a, key, len);
		l->file = list->v[i].key;
		l->value = list->v[i].value;
		l->ptr = arena_strdup(b->a, ptr);
		l->flags = LIMIT_UNIFIED;
		if (!l->controller || !l->ptr)
			b->no_memory = true;
	}
	return 0;
}

int limits_compile(const struct spec_resources *r, struct arena *a, struct limits *ret,
		   struct err *err)
{
	struct limits list = {0};
	struct builder b = {.a = a, .out = &list};

	if (add_memory(&b, r->memory, err) < 0 || add_cpu(&b, r->cpu, err) < 0)
		return -1;
	/* 0 is a limit: see the specification's 1.3. */
	if (r->pids && r->pids->limit.set)
		add_max(&b, "pids", "pids.max", "/pids/limit", r->pids->limit.v);
	if (add_blkio(&b, r->blockIO, err) < 0)
		return -1;
	add_hugepages(&b, &r->hugepageLimits);
	if (add_rdma(&b, &r->rdma, err) < 0)
		return -1;
	if (add_unified(&b, &r->unified, err) < 0)
		return -1;
	if (b.no_memory)
		return err_set(err, ENOMEM, "the limits");
	*ret = list;
	return 0;
}
