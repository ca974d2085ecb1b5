/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/resctrl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/faults.h"

#define FILE_NAME "resctrl"
#define PTR "/linux/intelRdt"

/* A directory that was made, below the mount; an empty name: none. */
struct made {
	char name[512];
	unsigned long long inode; /* 0: not known, bryo was killed meanwhile */
};

struct resctrl {
	char path[PATH_MAX]; /* of the mount */
	struct made clos, mon;
	int mount, dir; /* handles of it, and of the class */
	bool rehearsed; /* classes that are there stay as they are */
};

/* ---- the mount ---- */

/* The last one hides those before it. */
static int find_mount(char path[PATH_MAX])
{
	const char *fake = faults_resctrl();
	FILE *f = fake ? NULL : setmntent("/proc/self/mounts", "re");
	struct mntent *m;

	path[0] = '\0';
	if (fake)
		snprintf(path, PATH_MAX, "%s", fake);
	while (f && (m = getmntent(f)))
		if (!strcmp(m->mnt_type, "resctrl"))
			snprintf(path, PATH_MAX, "%s", m->mnt_dir);
	if (f)
		endmntent(f);
	return path[0] && !strchr(path, '\n') ? 0 : -1;
}

static int open_mount(const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return -1;
	if (fs.f_type != RDTGROUP_SUPER_MAGIC && !faults_resctrl()) {
		errno = ENOTSUP;
		return -1;
	}
	return fd_take(&fd);
}

static int no_mount(int num, struct err *err)
{
	err_at(err, PTR, num, "no resctrl file system");
	return err_hint(err, "as root, on a CPU that has it: mount -t resctrl resctrl "
			     "/sys/fs/resctrl");
}

/* ---- what is remembered ---- */

static int remember(const struct resctrl *r, int state, struct err *err)
{
	auto_close int fd = openat(state, FILE_NAME,
				   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || dprintf(fd, "%s\n%llu %s\n%llu %s\n", r->path, r->clos.inode, r->clos.name,
			      r->mon.inode, r->mon.name) < 0)
		return err_at(err, PTR, errno, "remember what is made in resctrl");
	return 0;
}

static bool read_made(char *line, struct made *ret)
{
	char *name = line ? strchr(line, ' ') : NULL;

	if (!name || sscanf(line, "%llu", &ret->inode) != 1)
		return false;
	snprintf(ret->name, sizeof(ret->name), "%s", name + 1);
	return true;
}

/* 1: there is something; 0: nothing was made. */
static int recall(int state, struct resctrl *ret, struct err *err)
{
	auto_close int fd =
		openat(state, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct arena a = {0};
	char *text, *line;
	size_t len;
	bool good;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fd_read_all(fd, 2 * PATH_MAX, &a, &text, &len) < 0) {
		arena_finish(&a);
		return err_set(err, errno, "read what is remembered of resctrl");
	}
	line = strsep(&text, "\n");
	snprintf(ret->path, sizeof(ret->path), "%s", line);
	good = read_made(strsep(&text, "\n"), &ret->clos) &&
	       read_made(strsep(&text, "\n"), &ret->mon);
	arena_finish(&a);
	/* Killed before it was written: nothing had been made. */
	return good;
}

/* ---- making and removing directories ---- */

static int make(struct resctrl *r, int state, struct made *m, const char *ptr, struct err *err)
{
	struct stat st;

	/* Before and after: killed in between, `delete` still knows what to look for. */
	if (remember(r, state, err) < 0)
		return -1;
	if (faults_resctrl_mkdir(r->mount, m->name) < 0) {
		int num = errno;

		/* If it is there now it is another's. */
		m->name[0] = '\0';
		if (remember(r, state, err) < 0)
			return -1;
		err_at(err, ptr, num, "make a group in resctrl");
		return num == ENOSPC ? err_hint(err, "the CPU has no more of them") : -1;
	}
	if (fstatat(r->mount, m->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_at(err, ptr, errno, "make a group in resctrl");
	m->inode = st.st_ino;
	return remember(r, state, err);
}

/* Whose inode is not known is ours only if nobody is in it. */
static bool is_ours(const struct resctrl *r, const struct made *m)
{
	char path[sizeof(m->name) + 8], byte;
	struct stat st;

	if (m->inode)
		return fstatat(r->mount, m->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		       st.st_ino == m->inode;
	snprintf(path, sizeof(path), "%s/tasks", m->name);
	auto_close int fd = openat(r->mount, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && read(fd, &byte, 1) == 0;
}

static int unmake(const struct resctrl *r, const struct made *m, struct err *err)
{
	if (!m->name[0] || !is_ours(r, m))
		return 0;
	if (faults_resctrl_rmdir(r->mount, m->name) < 0 && errno != ENOENT)
		return err_set(err, errno, "remove %s/%s", r->path, m->name);
	return 0;
}

int resctrl_keep(const struct spec_rdt *rdt, int state, struct err *err)
{
	struct resctrl r = {.mount = -1};
	int found = rdt->closID ? recall(state, &r, err) : 0;

	if (found <= 0 || !r.clos.name[0])
		return found < 0 ? -1 : 0;
	r.clos.name[0] = '\0';
	return remember(&r, state, err);
}

int resctrl_remove(int state, struct err *err)
{
	struct resctrl r = {.mount = -1};
	int found = recall(state, &r, err), bad;

	if (found < 0)
		return -1;
	if (found) {
		r.mount = open_mount(r.path);
		/* Not mounted any more: gone with all that was in it. */
		bad = r.mount < 0 ? 0 : unmake(&r, &r.mon, err) || unmake(&r, &r.clos, err);
		fd_cleanup(&r.mount);
		if (bad)
			return -1;
	}
	unlinkat(state, FILE_NAME, 0);
	return 0;
}

/* ---- files ---- */

/* One write(2) each, as the file system wants it. */
static int write_file(int dir, const char *name, const char *text)
{
	auto_close int fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -1 : fd_write_once(fd, text, strlen(text));
}

/* In the arena; NULL when it cannot be read. */
static char *read_file(int dir, const char *name, struct arena *a)
{
	auto_close int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char *text;
	size_t len;

	if (fd < 0 || fd_read_all(fd, 1 << 16, a, &text, &len) < 0)
		return NULL;
	return text;
}

static int write_pid(int dir, const char *name, pid_t pid, struct err *err)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", pid);
	if (write_file(dir, name, number) < 0)
		return err_at(err, PTR, errno, "write process %d to %s", pid, name);
	return 0;
}

/* ---- schemata ---- */

static bool is_bandwidth(const char *line)
{
	return !strncmp(line + strspn(line, " "), "MB:", 3);
}

/*
 * What the two older properties ask for, as lines: where there is a memBwSchema, it
 * replaces lines of that kind in l3CacheSchema.
 */
static char *older_schemata(const struct spec_rdt *rdt, struct arena *a)
{
	char *rest = rdt->l3CacheSchema ? arena_strdup(a, rdt->l3CacheSchema) : NULL;
	char *text = arena_strdup(a, ""), *line;

	while (text && rest && (line = strsep(&rest, "\n")))
		if (*line && !(rdt->memBwSchema && is_bandwidth(line)))
			text = arena_printf(a, "%s%s\n", text, line);
	if (text && rdt->memBwSchema)
		text = arena_printf(a, "%s%s\n", text, rdt->memBwSchema);
	return text;
}

static char *newer_schemata(const struct spec_rdt *rdt, struct arena *a)
{
	char *text = arena_strdup(a, "");

	for (size_t i = 0; text && i < rdt->schemata.n; i++)
		text = arena_printf(a, "%s%s\n", text, rdt->schemata.v[i]);
	return text;
}

/* The kernel says what is wrong with a schema in a file of its own. */
static int schema_failed(const struct resctrl *r, const char *ptr, int num, struct err *err)
{
	struct arena a = {0};
	char *said = read_file(r->mount, "info/last_cmd_status", &a);

	err_at(err, ptr, num, "write the schemata");
	if (said && *said && strncmp(said, "ok", 2) != 0)
		err_hint(err, "%.*s", (int)strcspn(said, "\n"), said);
	arena_finish(&a);
	return -1;
}

static const char *skip_zeros(const char *s)
{
	s += strspn(s, " \t");
	while (*s == '0' && s[1] && s[1] != ' ')
		s++;
	return s;
}

static bool same_number(const char *a, const char *b)
{
	size_t n;

	a = skip_zeros(a);
	b = skip_zeros(b);
	n = strcspn(a, " \t");
	return n == strcspn(b, " \t") && !strncasecmp(a, b, n);
}

/* The value of "RESOURCE:...;DOMAIN=value" in the text of a schemata file; a copy. */
static char *value_of(const char *text, const char *resource, const char *domain, struct arena *a)
{
	char *rest = arena_strdup(a, text), *line, *part;

	while (rest && (line = strsep(&rest, "\n"))) {
		char *name = strsep(&line, ":");

		if (!line || strcmp(name + strspn(name, " "), resource) != 0)
			continue;
		while ((part = strsep(&line, ";"))) {
			char *number = strsep(&part, "=");

			if (part && same_number(number, domain))
				return part;
		}
	}
	return NULL;
}

static bool line_matches(char *line, const char *text, struct arena *a)
{
	char *resource = strsep(&line, ":"), *part;

	resource += strspn(resource, " ");
	if (!line)
		return false;
	while ((part = strsep(&line, ";"))) {
		char *domain = strsep(&part, "=");
		const char *is = part ? value_of(text, resource, domain, a) : NULL;

		if (!is || !same_number(is, part))
			return false;
	}
	return true;
}

/* "Runtimes MUST compare": a class that others may use is not changed. */
static int compare(const struct resctrl *r, char *asked, struct arena *a, struct err *err)
{
	char *text = read_file(r->dir, "schemata", a), *line;

	if (!text)
		return err_at(err, PTR "/closID", errno, "read the schemata");
	while ((line = strsep(&asked, "\n"))) {
		char *copy = arena_strdup(a, line);

		if (*line && (!copy || !line_matches(copy, text, a)))
			return err_at(err, PTR "/closID", 0,
				      "the class exists, and its schemata do not match \"%.64s\"",
				      line);
	}
	return 0;
}

static int set_schemata(const struct resctrl *r, const struct spec_rdt *rdt, bool existed,
			struct err *err)
{
	struct arena a = {0};
	char *older = older_schemata(rdt, &a), *newer = newer_schemata(rdt, &a);
	int bad = 0;

	if (!older || !newer)
		bad = err_at(err, PTR, ENOMEM, "the schemata");
	else if (existed)
		bad = compare(r, older, &a, err);
	else if (*older && write_file(r->dir, "schemata", older) < 0)
		bad = schema_failed(r,
				    rdt->l3CacheSchema ? PTR "/l3CacheSchema" : PTR "/memBwSchema",
				    errno, err);
	/* "Written last" (config-linux.md). */
	if (!bad && *newer && !(existed && r->rehearsed) &&
	    write_file(r->dir, "schemata", newer) < 0)
		bad = schema_failed(r, PTR "/schemata", errno, err);
	arena_finish(&a);
	return bad;
}

/* ---- classes ---- */

static int enter_class(struct resctrl *r, const struct spec_rdt *rdt, const char *id, int state,
		       pid_t pid, struct err *err)
{
	const char *name = rdt->closID ? rdt->closID : id;
	bool set = rdt->l3CacheSchema || rdt->memBwSchema || rdt->schemata.n;
	bool existed;

	/* The class that all others were taken from. */
	if (!strcmp(name, "/"))
		name = ".";
	existed = faccessat(r->mount, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	if (existed && !rdt->closID)
		return err_at(err, PTR, EEXIST, "make a class named after the container");
	if (!existed && rdt->closID && !set)
		return err_at(err, PTR "/closID", 0, "\"%s\" does not exist, and is not described",
			      name);
	if (!existed) {
		snprintf(r->clos.name, sizeof(r->clos.name), "%s", name);
		if (make(r, state, &r->clos, rdt->closID ? PTR "/closID" : PTR, err) < 0)
			return -1;
	}
	r->dir = openat(r->mount, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r->dir < 0)
		return err_at(err, PTR "/closID", errno, "open the class %s", name);
	if (set_schemata(r, rdt, existed, err) < 0)
		return -1;
	return write_pid(r->dir, "tasks", pid, err);
}

/* ---- monitoring ---- */

static int check_feature(const struct resctrl *r, const char *ptr, const char *feature,
			 struct err *err)
{
	struct arena a = {0};
	char *list = read_file(r->mount, "info/L3_MON/mon_features", &a);
	bool has = list && strstr(list, feature);

	arena_finish(&a);
	return has ? 0 : err_at(err, ptr, 0, "this CPU, or its kernel, does not monitor that");
}

static int check_monitoring(const struct resctrl *r, const struct spec_rdt *rdt, struct err *err)
{
	if (rdt->enableMonitoring && check_feature(r, PTR "/enableMonitoring", "", err) < 0)
		return -1;
	if (rdt->enableCMT && check_feature(r, PTR "/enableCMT", "llc_occupancy", err) < 0)
		return -1;
	if (rdt->enableMBM && check_feature(r, PTR "/enableMBM", "mbm_", err) < 0)
		return -1;
	return 0;
}

/* A group of that container's; its name is that of a directory below the mount. */
static void name_monitoring(struct resctrl *r, const struct spec_rdt *rdt, const char *id)
{
	const char *clos = rdt->closID ? rdt->closID : id;

	snprintf(r->mon.name, sizeof(r->mon.name), "%s/mon_groups/%s",
		 strcmp(clos, "/") != 0 ? clos : ".", id);
}

static int write_monitored(const struct resctrl *r, pid_t pid, struct err *err)
{
	char tasks[sizeof(r->mon.name) + 8];

	snprintf(tasks, sizeof(tasks), "%s/tasks", r->mon.name);
	return write_pid(r->mount, tasks, pid, err);
}

static int enter_monitoring(struct resctrl *r, const struct spec_rdt *rdt, const char *id,
			    int state, pid_t pid, struct err *err)
{
	name_monitoring(r, rdt, id);
	if (make(r, state, &r->mon, PTR, err) < 0)
		return -1;
	return write_monitored(r, pid, err);
}

static bool is_monitored(const struct spec_rdt *rdt)
{
	return rdt->enableMonitoring || rdt->enableCMT || rdt->enableMBM;
}

int resctrl_follow(const struct spec_rdt *rdt, const char *id, pid_t pid, struct err *err)
{
	struct resctrl r = {.mount = -1, .dir = -1};
	const char *name = rdt->closID ? rdt->closID : id;
	char tasks[NAME_MAX + 16];
	int bad;

	if (find_mount(r.path) < 0)
		return no_mount(0, err);
	r.mount = open_mount(r.path);
	if (r.mount < 0)
		return no_mount(errno, err);
	snprintf(tasks, sizeof(tasks), "%s/tasks", strcmp(name, "/") != 0 ? name : ".");
	name_monitoring(&r, rdt, id);
	bad = write_pid(r.mount, tasks, pid, err);
	if (!bad && is_monitored(rdt))
		bad = write_monitored(&r, pid, err);
	close(r.mount);
	return bad;
}

int resctrl_enter(const struct spec_rdt *rdt, const char *id, int state, pid_t pid, bool rehearsed,
		  struct err *err)
{
	struct resctrl r = {.mount = -1, .dir = -1, .rehearsed = rehearsed};
	int bad;

	if (find_mount(r.path) < 0)
		return no_mount(0, err);
	r.mount = open_mount(r.path);
	if (r.mount < 0)
		return no_mount(errno, err);
	if (strlen(id) > 200)
		bad = err_at(err, PTR, ENAMETOOLONG, "a group named after the container");
	else
		bad = check_monitoring(&r, rdt, err);
	if (!bad)
		bad = enter_class(&r, rdt, id, state, pid, err);
	if (!bad && is_monitored(rdt))
		bad = enter_monitoring(&r, rdt, id, state, pid, err);
	fd_cleanup(&r.dir);
	fd_cleanup(&r.mount);
	return bad;
}
