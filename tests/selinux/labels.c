/* SPDX-License-Identifier: Apache-2.0 */
/* Reserving pairs, in a store and a /proc of our own: many at once, and after crashes. */
#include "runtime/labels.h"

#include <fcntl.h>
#include <sched.h>
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

/* A lock belongs to an open file: each process needs its own. */
static void open_store(struct place *p, const char *which)
{
	char name[128];

	snprintf(name, sizeof(name), "%s/%s", p->path, which);
	mkdir(name, 0700);
	p->store = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void make_place(struct place *p)
{
	char name[128];

	snprintf(p->path, sizeof(p->path), "/tmp/bryo-selinux-XXXXXX");
	if (!mkdtemp(p->path))
		abort();
	open_store(p, "store");
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

struct made {
	bool ok;
	char text[SECLABEL_MAX]; /* the label, or what is wrong */
	int dir, held;           /* its lock, and what reserves the pair for now */
};

static struct made reserve(const struct place *p, const char *id, const char *usable,
			   const char *own)
{
	struct label_place where = {.store = p->store, .procfd = p->proc, .dir = -1};
	struct mcs_set cats = set_of(usable);
	const struct label_draw draw = {.label = BASE, .usable = &cats, .own = own};
	struct made m = {.dir = -1, .held = -1};
	struct arena a = {0};
	struct err err = {0};
	char *label = NULL;

	m.ok = store_create(p->store, id, &where.dir, &err) == 0 &&
	       labels_reserve(&where, &draw, &a, &label, &m.held, &err) == 0;
	snprintf(m.text, sizeof(m.text), "%s", m.ok ? label : err.msg);
	arena_finish(&a);
	m.dir = where.dir;
	return m;
}

/* Its process has the label, or has died. */
static void let_go(struct made *m)
{
	fd_cleanup(&m->held);
	m->held = -1;
}

static void crash(struct made *m)
{
	let_go(m);
	fd_cleanup(&m->dir);
	m->dir = -1;
}

/* Is it there until the directory goes? */
static void test_life(void)
{
	struct place p = {.store = -1};
	struct made one, m;
	struct err err;

	make_place(&p);
	one = reserve(&p, "one", "s0:c4,c9", NULL);
	check(one.ok && !strcmp(one.text, BASE ":c4,c9"), "the only pair", "%s", one.text);
	let_go(&one);
	m = reserve(&p, "two", "s0:c4,c9", NULL);
	check(!m.ok, "a pair is reserved from the first moment", "%s", m.text);
	crash(&m);
	/* The record is there, and nobody works on the container any more. */
	put(one.dir, "record", "{}");
	crash(&one);
	m = reserve(&p, "three", "s0:c4,c9", NULL);
	check(!m.ok, "a container keeps its pair", "%s", m.text);
	crash(&m);
	store_enter(p.store, "one", &one.dir, &err);
	store_remove(p.store, "one", one.dir, &err);
	crash(&one);
	m = reserve(&p, "four", "s0:c4,c9", NULL);
	check(m.ok, "delete frees it", "%s", m.text);
	crash(&m);
	/* What has just been made has no record, and its maker is gone: a crash. */
	m = reserve(&p, "five", "s0:c4,c9", NULL);
	check(m.ok, "a crash between the reservation and the record loses none", "%s", m.text);
	crash(&m);
	remove_place(&p);
}

static void test_processes(void)
{
	struct place p = {.store = -1};
	struct made m;

	make_place(&p);
	add_process(&p, 1, "system_u:system_r:init_t:s0-s0:c0.c1023\n");
	add_process(&p, 7, "system_u:system_r:svirt_t:s0:c4,c9");
	mkdirat(p.proc, "8", 0700);
	m = reserve(&p, "one", "s0:c4,c9", NULL);
	check(!m.ok, "a pair of a running process is not taken again", "%s", m.text);
	crash(&m);
	m = reserve(&p, "two", "s0:c4,c9", "u:r:caller:s0-s0:c4,c9");
	check(m.ok, "but for a caller that has no other", "%s", m.text);
	crash(&m);
	add_process(&p, 9, BASE ":c4,c9");
	m = reserve(&p, "three", "s0:c4,c9", "u:r:caller:s0:c4,c9");
	check(!m.ok, "unless a container of another store has it", "%s", m.text);
	crash(&m);
	m = reserve(&p, "four", "s0:c4,c9", BASE ":c4,c9");
	check(m.ok, "or the caller is in that container", "%s", m.text);
	crash(&m);
	m = reserve(&p, "five", "s0:c4,c9,c10", NULL);
	check(m.ok && strcmp(m.text, BASE ":c4,c9") != 0, "another one", "%s", m.text);
	crash(&m);
	remove_place(&p);
}

/* What one store is giving away no other gives, before there is a process to be seen. */
static void test_stores(void)
{
	struct place p = {.store = -1}, other;
	struct made one, m;

	make_place(&p);
	other = p;
	open_store(&other, "other");
	one = reserve(&p, "one", "s0:c4,c9", NULL);
	check(one.ok, "the only pair", "%s", one.text);
	m = reserve(&other, "one", "s0:c4,c9", NULL);
	check(!m.ok, "another store does not give it meanwhile", "%s", m.text);
	crash(&m);
	m = reserve(&other, "two", "s0:c4,c9,c10", NULL);
	check(m.ok && strcmp(m.text, one.text) != 0, "but another one", "%s", m.text);
	crash(&m);
	crash(&one);
	m = reserve(&other, "three", "s0:c4,c9", NULL);
	check(m.ok, "and gives it when the first one has died", "%s", m.text);
	crash(&m);
	close(other.store);
	remove_place(&p);
}

enum { MAKERS = 8, EACH = 125 };

static void make_some(const struct place *p, int maker)
{
	struct place mine = *p;

	open_store(&mine, "store");
	for (int i = 0; i < EACH; i++) {
		struct made m;
		char id[32];

		snprintf(id, sizeof(id), "c%d-%d", maker, i);
		m = reserve(&mine, id, "s0:c0.c45", NULL);
		if (!m.ok)
			_exit(1);
		put(m.dir, "record", "{}");
		crash(&m);
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

static int make_all(const struct place *p, void (*maker)(const struct place *p, int n))
{
	int bad = 0, status;

	fflush(stdout);
	for (int i = 0; i < MAKERS; i++)
		if (fork() == 0)
			maker(p, i);
	for (int i = 0; i < MAKERS; i++)
		bad += wait(&status) < 0 || status != 0;
	return bad;
}

/* From a range of 1035 pairs, so that chance cannot hide a mistake. */
static void test_many(void)
{
	int bad, n, twice;
	struct place p = {.store = -1};

	make_place(&p);
	bad = make_all(&p, make_some);
	twice = count_twice(&p, &n);
	check(!bad && n == MAKERS * EACH && !twice, "a thousand at once never share a pair",
	      "%d makers failed, %d labels, %d twice", bad, n, twice);
	remove_place(&p);
}

enum { ROUNDS = 40 };

/*
 * Each with a store of its own, and one container at a time; 28 pairs for all.  A
 * directory with the name of the label tells who else has it.
 */
static void make_and_run(const struct place *p, int maker)
{
	struct place mine = *p;
	char id[32], running[SECLABEL_MAX + 16];

	snprintf(id, sizeof(id), "store%d", maker);
	open_store(&mine, id);
	for (int i = 0; i < ROUNDS; i++) {
		struct made m;

		snprintf(id, sizeof(id), "c%d", i);
		m = reserve(&mine, id, "s0:c0.c7", NULL);
		snprintf(running, sizeof(running), "%s.running", m.text);
		if (!m.ok || mkdirat(p->proc, running, 0700) < 0)
			_exit(1);
		add_process(p, 1000 + maker, m.text);
		let_go(&m);
		usleep(500);
		/* It has ended. */
		unlinkat(p->proc, running, AT_REMOVEDIR);
		add_process(p, 1000 + maker, BASE);
		crash(&m);
	}
	_exit(0);
}

static void test_many_stores(void)
{
	struct place p = {.store = -1};
	int bad;

	make_place(&p);
	bad = make_all(&p, make_and_run);
	check(!bad, "stores that draw at once never share a pair", "%d of %d makers shared", bad,
	      MAKERS);
	remove_place(&p);
}

void test_labels(void)
{
	/* Names that nobody else binds: another run of this, perhaps. */
	if (unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNET : CLONE_NEWNET) < 0)
		printf("# in the network namespace of all\n");
	test_life();
	test_processes();
	test_stores();
	test_many();
	test_many_stores();
}
