/* SPDX-License-Identifier: Apache-2.0 */
/* Reserving pairs, in a store and a /proc of our own: many at once, and after crashes. */
#include "runtime/labels.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/store.h"
#include "selinux/seclabel.h"
#include "tests/selinux/selinux_test.h"

#define BASE "u:r:t:s0"

struct place {
	char path[64];
	int store, proc;
};

static void make_place(struct place *p)
{
	char name[128];

	snprintf(p->path, sizeof(p->path), "/tmp/bryo-selinux-XXXXXX");
	if (!mkdtemp(p->path))
		abort();
	snprintf(name, sizeof(name), "%s/store", p->path);
	mkdir(name, 0700);
	p->store = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(name, sizeof(name), "%s/proc", p->path);
	mkdir(name, 0700);
	p->proc = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void remove_place(struct place *p)
{
	char command[128];

	close(p->store);
	close(p->proc);
	snprintf(command, sizeof(command), "rm -rf %s", p->path);
	(void)!system(command);
}

static void put(int dir, const char *name, const char *text)
{
	auto_close int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || fd_write_all(fd, text, strlen(text)) < 0)
		abort();
}

static void add_process(const struct place *p, int pid, const char *label)
{
	char name[64];

	snprintf(name, sizeof(name), "%d", pid);
	mkdirat(p->proc, name, 0700);
	snprintf(name, sizeof(name), "%d/attr", pid);
	mkdirat(p->proc, name, 0700);
	snprintf(name, sizeof(name), "%d/attr/current", pid);
	put(p->proc, name, label);
}

static struct mcs_set set_of(const char *level)
{
	struct mcs_set s = {0};

	mcs_parse(level, &s);
	return s;
}

/*
 * One container; the lock of its directory is kept by *ret_dir.  The label, or what is
 * wrong, in `text`.
 */
static bool reserve(const struct place *p, const char *id, const char *usable, const char *own,
		    char text[SECLABEL_MAX], int *ret_dir)
{
	struct label_place where = {.store = p->store, .procfd = p->proc, .dir = -1};
	struct mcs_set cats = set_of(usable), mine = set_of(own ? own : "s0");
	struct arena a = {0};
	struct err err = {0};
	char *label = NULL;
	bool ok = store_create(p->store, id, &where.dir, &err) == 0 &&
		  labels_reserve(&where, BASE, &cats, own ? &mine : NULL, &a, &label, &err) == 0;

	snprintf(text, SECLABEL_MAX, "%s", ok ? label : err.msg);
	arena_finish(&a);
	*ret_dir = where.dir;
	return ok;
}

/* Is it there until the directory goes? */
static void test_life(void)
{
	char one[SECLABEL_MAX], two[SECLABEL_MAX];
	int dir, other;
	struct place p = {.store = -1};
	struct err err;
	bool ok;

	make_place(&p);
	ok = reserve(&p, "one", "s0:c4,c9", NULL, one, &dir);
	check(ok && !strcmp(one, BASE ":c4,c9"), "the only pair", "%s", one);
	ok = reserve(&p, "two", "s0:c4,c9", NULL, two, &other);
	check(!ok, "a pair is reserved from the first moment", "%s", two);
	close(other);
	/* The record is there, and nobody works on the container any more. */
	put(dir, "record", "{}");
	close(dir);
	ok = reserve(&p, "three", "s0:c4,c9", NULL, two, &other);
	check(!ok, "a container keeps its pair", "%s", two);
	close(other);
	store_enter(p.store, "one", &dir, &err);
	store_remove(p.store, "one", dir, &err);
	close(dir);
	ok = reserve(&p, "four", "s0:c4,c9", NULL, two, &other);
	check(ok, "delete frees it", "%s", two);
	close(other);
	/* What has just been made has no record, and its maker is gone: a crash. */
	ok = reserve(&p, "five", "s0:c4,c9", NULL, two, &other);
	check(ok, "a crash between the reservation and the record loses none", "%s", two);
	close(other);
	remove_place(&p);
}

static void test_processes(void)
{
	char text[SECLABEL_MAX];
	struct place p = {.store = -1};
	int dir;
	bool ok;

	make_place(&p);
	add_process(&p, 1, "system_u:system_r:init_t:s0-s0:c0.c1023\n");
	add_process(&p, 7, "system_u:system_r:svirt_t:s0:c4,c9");
	mkdirat(p.proc, "8", 0700);
	ok = reserve(&p, "one", "s0:c4,c9", NULL, text, &dir);
	check(!ok, "a pair of a running process is not taken again", "%s", text);
	close(dir);
	ok = reserve(&p, "two", "s0:c4,c9", "s0:c4,c9", text, &dir);
	check(ok, "but for a caller that has no other", "%s", text);
	close(dir);
	ok = reserve(&p, "three", "s0:c4,c9,c10", NULL, text, &dir);
	check(ok && strcmp(text, BASE ":c4,c9") != 0, "another one", "%s", text);
	close(dir);
	remove_place(&p);
}

enum { MAKERS = 8, EACH = 125 };

static void make_some(const struct place *p, int maker)
{
	struct place mine = *p;
	char name[128];

	snprintf(name, sizeof(name), "%s/store", p->path);
	/* A lock belongs to an open file: each maker needs its own. */
	mine.store = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < EACH; i++) {
		char id[32], text[SECLABEL_MAX];
		int dir;

		snprintf(id, sizeof(id), "c%d-%d", maker, i);
		if (!reserve(&mine, id, "s0:c0.c45", NULL, text, &dir))
			_exit(1);
		put(dir, "record", "{}");
		close(dir);
	}
	_exit(0);
}

/* The labels of all; how many are there twice. */
static int count_twice(const struct place *p, int *ret_n)
{
	struct mcs_taken *t = calloc(1, sizeof(*t));
	int twice = 0, n = 0;

	for (int i = 0; i < MAKERS * EACH; i++) {
		char name[64], text[SECLABEL_MAX] = "";
		struct mcs_pair pair = {0, 0};
		auto_close int fd = -1;
		struct mcs_set s;

		snprintf(name, sizeof(name), "c%d-%d/label", i / EACH, i % EACH);
		fd = openat(p->store, name, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 ||
		    sscanf(text, BASE ":c%u,c%u", &pair.a, &pair.b) != 2 || pair.a >= pair.b)
			continue;
		twice += mcs_is_taken(t, pair);
		s = seclabel_set(text);
		mcs_take(t, &s);
		n++;
	}
	free(t);
	*ret_n = n;
	return twice;
}

/* From a range of 1035 pairs, so that chance cannot hide a mistake. */
static void test_many(void)
{
	int bad = 0, n, twice, status;
	struct place p = {.store = -1};

	make_place(&p);
	for (int i = 0; i < MAKERS; i++)
		if (fork() == 0)
			make_some(&p, i);
	for (int i = 0; i < MAKERS; i++)
		bad += wait(&status) < 0 || status != 0;
	twice = count_twice(&p, &n);
	check(!bad && n == MAKERS * EACH && !twice, "a thousand at once never share a pair",
	      "%d makers failed, %d labels, %d twice", bad, n, twice);
	remove_place(&p);
}

void test_labels(void)
{
	fflush(stdout);
	test_life();
	test_processes();
	fflush(stdout);
	test_many();
}
