/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/stats.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup/file.h"

/* memory.stat is the longest, with about 60 lines. */
enum { TEXT_SIZE = 16384 };

/* A file of one number; "max" is the greatest there is, as runc has it. */
static bool number(int dir, const char *file, uint64_t *ret)
{
	char text[64];

	if (cgfile_read(dir, file, text, sizeof(text)) < 0)
		return false;
	*ret = text[0] == 'm' ? UINT64_MAX : strtoull(text, NULL, 10);
	return true;
}

static uint64_t number_or(int dir, const char *file, uint64_t otherwise)
{
	uint64_t v = otherwise;

	(void)number(dir, file, &v);
	return v;
}

static void member(struct json *j, const char *key, uint64_t v)
{
	json_key(j, key);
	json_uint(j, v);
}

static void open_member(struct json *j, const char *key)
{
	json_key(j, key);
	json_open_object(j);
}

/* ---- pressure (PSI) ---- */

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" */
static void pressure_line(struct json *j, char *line)
{
	char *save = NULL, *word = strtok_r(line, " ", &save);

	if (!word)
		return;
	open_member(j, word);
	while ((word = strtok_r(NULL, " ", &save))) {
		char *value = strchr(word, '=');

		if (!value || !isdigit((unsigned char)value[1]))
			continue;
		*value++ = '\0';
		json_key(j, word);
		json_number(j, value);
	}
	json_close_object(j);
}

static void pressure(struct json *j, int dir, const char *file)
{
	char text[512], *save = NULL;

	if (cgfile_read(dir, file, text, sizeof(text)) < 0)
		return;
	open_member(j, "psi");
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		pressure_line(j, l);
	json_close_object(j);
}

/* ---- the controllers ---- */

static uint64_t find(const char *text, const char *key, uint64_t factor)
{
	uint64_t v;

	return cgfile_find(text, key, &v) ? v * factor : 0;
}

/* cpu.stat counts microseconds, runc's shape nanoseconds. */
static void cpu(struct json *j, int dir)
{
	char text[2048] = "";

	(void)cgfile_read(dir, "cpu.stat", text, sizeof(text));
	open_member(j, "cpu");
	open_member(j, "usage");
	member(j, "total", find(text, "usage_usec", 1000));
	member(j, "kernel", find(text, "system_usec", 1000));
	member(j, "user", find(text, "user_usec", 1000));
	json_close_object(j);
	open_member(j, "throttling");
	member(j, "periods", find(text, "nr_periods", 1));
	member(j, "throttledPeriods", find(text, "nr_throttled", 1));
	member(j, "throttledTime", find(text, "throttled_usec", 1000));
	json_close_object(j);
	if (cgfile_read(dir, "cpu.max", text, sizeof(text)) > 0) {
		json_key(j, "limited");
		json_bool(j, text[0] != 'm');
	}
	pressure(j, dir, "cpu.pressure");
	json_close_object(j);
}

/* "0-3,7" as numbers. */
static void set_members(struct json *j, const char *key, int dir, const char *file)
{
	char text[2048], *p = text;

	if (cgfile_read(dir, file, text, sizeof(text)) < 0)
		return;
	json_key(j, key);
	json_open_array(j);
	while (isdigit((unsigned char)*p)) {
		unsigned long first = strtoul(p, &p, 10), last = first;

		if (*p == '-')
			last = strtoul(p + 1, &p, 10);
		for (; first <= last && first < 65536; first++)
			json_uint(j, first);
		p += *p == ',';
	}
	json_close_array(j);
}

static void cpuset(struct json *j, int dir)
{
	open_member(j, "cpuset");
	set_members(j, "cpus", dir, "cpuset.cpus.effective");
	set_members(j, "mems", dir, "cpuset.mems.effective");
	json_close_object(j);
}

struct memory_use {
	uint64_t limit, usage, max;
};

static void memory_entry(struct json *j, const char *key, const struct memory_use *m)
{
	open_member(j, key);
	member(j, "limit", m->limit);
	member(j, "usage", m->usage);
	member(j, "max", m->max);
	member(j, "failcnt", 0);
	json_close_object(j);
}

/* All lines of "key value" as members of an object. */
static void flat(struct json *j, const char *key, char *text)
{
	char *save = NULL;

	open_member(j, key);
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(l, ' ');

		if (!value)
			continue;
		*value++ = '\0';
		member(j, l, strtoull(value, NULL, 10));
	}
	json_close_object(j);
}

/* The swap of runc's shape is memory and swap together, as in cgroup v1. */
static void memory(struct json *j, int dir)
{
	struct memory_use m = {.limit = number_or(dir, "memory.max", 0),
			       .usage = number_or(dir, "memory.current", 0),
			       .max = number_or(dir, "memory.peak", 0)};
	struct memory_use s = {.limit = number_or(dir, "memory.swap.max", 0),
			       .usage = m.usage + number_or(dir, "memory.swap.current", 0)};
	char text[TEXT_SIZE] = "";

	(void)cgfile_read(dir, "memory.stat", text, sizeof(text));
	if (s.limit == UINT64_MAX || m.limit == UINT64_MAX)
		s.limit = UINT64_MAX;
	else
		s.limit += m.limit;
	open_member(j, "memory");
	member(j, "cache", find(text, "file", 1));
	memory_entry(j, "usage", &m);
	memory_entry(j, "swap", &s);
	memory_entry(j, "kernel", &(struct memory_use){.usage = find(text, "kernel", 1)});
	memory_entry(j, "kernelTCP", &(struct memory_use){.usage = find(text, "sock", 1)});
	flat(j, "raw", text);
	if (cgfile_read(dir, "memory.events", text, sizeof(text)) > 0)
		flat(j, "event_count", text);
	if (number(dir, "memory.max", &m.limit)) {
		json_key(j, "limited");
		json_bool(j, m.limit != UINT64_MAX);
	}
	pressure(j, dir, "memory.pressure");
	json_close_object(j);
}

static void pids(struct json *j, int dir)
{
	uint64_t limit = number_or(dir, "pids.max", UINT64_MAX), v;

	open_member(j, "pids");
	if (number(dir, "pids.current", &v))
		member(j, "current", v);
	/* runc: 0 is no limit. */
	if (limit != UINT64_MAX)
		member(j, "limit", limit);
	if (number(dir, "pids.peak", &v))
		member(j, "peak", v);
	if (number(dir, "pids.max", &v)) {
		json_key(j, "limited");
		json_bool(j, limit != UINT64_MAX);
	}
	json_close_object(j);
}

/* One table of runc's from the lines "MAJ:MIN rbytes=1 wbytes=2 rios=3 wios=4 ...". */
static void io_table(struct json *j, const char *table, const char *text, const char *read,
		     const char *write)
{
	const struct {
		const char *key, *op;
	} columns[] = {{read, "Read"}, {write, "Write"}};

	json_key(j, table);
	json_open_array(j);
	for (const char *l = text; l && *l; l = strchr(l, '\n'), l = l ? l + 1 : NULL) {
		unsigned int major, minor;

		if (sscanf(l, "%u:%u", &major, &minor) != 2)
			continue;
		for (size_t i = 0; i < 2; i++) {
			const char *p = strstr(l, columns[i].key), *end = strchrnul(l, '\n');

			if (!p || p > end)
				continue;
			json_open_object(j);
			member(j, "major", major);
			member(j, "minor", minor);
			json_key(j, "op");
			json_str(j, columns[i].op);
			member(j, "value", strtoull(p + strlen(columns[i].key), NULL, 10));
			json_close_object(j);
		}
	}
	json_close_array(j);
}

static void io(struct json *j, int dir)
{
	char text[TEXT_SIZE] = "";

	open_member(j, "blkio");
	if (cgfile_read(dir, "io.stat", text, sizeof(text)) > 0) {
		io_table(j, "ioServiceBytesRecursive", text, " rbytes=", " wbytes=");
		io_table(j, "ioServicedRecursive", text, " rios=", " wios=");
	}
	if (cgfile_read(dir, "io.max", text, sizeof(text)) >= 0) {
		json_key(j, "limited");
		json_bool(j, text[0] != '\0');
	}
	pressure(j, dir, "io.pressure");
	json_close_object(j);
}

/* A size is there when the file hugetlb.SIZE.current is. */
static void hugetlb_entry(struct json *j, int dir, const char *name)
{
	char size[32], file[96], text[512] = "";
	uint64_t v;

	if (sscanf(name, "hugetlb.%31[0-9KMGB].current", size) != 1 ||
	    snprintf(file, sizeof(file), "hugetlb.%s.current", size) < 0 || strcmp(file, name) != 0)
		return;
	open_member(j, size);
	member(j, "usage", number_or(dir, name, 0));
	snprintf(file, sizeof(file), "hugetlb.%s.rsvd.current", size);
	if (number(dir, file, &v))
		member(j, "reserved", v);
	snprintf(file, sizeof(file), "hugetlb.%s.events", size);
	(void)cgfile_read(dir, file, text, sizeof(text));
	member(j, "failcnt", find(text, "max", 1));
	json_close_object(j);
}

static void hugetlb(struct json *j, int dir)
{
	int fd = cgfile_open(dir, ".", O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	open_member(j, "hugetlb");
	while (d && (e = readdir(d)))
		hugetlb_entry(j, dir, e->d_name);
	json_close_object(j);
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

void stats_write(struct json *j, int dir)
{
	json_open_object(j);
	cpu(j, dir);
	cpuset(j, dir);
	memory(j, dir);
	pids(j, dir);
	io(j, dir);
	hugetlb(j, dir);
	open_member(j, "intel_rdt");
	json_close_object(j);
	json_key(j, "network_interfaces");
	json_str(j, NULL);
	json_close_object(j);
}
