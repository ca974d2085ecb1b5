/* SPDX-License-Identifier: Apache-2.0 */
/* Directories, controllers and ownership. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cgroup/cgroup.h"
#include "cgroup/file.h"
#include "cgroup/tree.h"
#include "runtime/base/fd.h"

/* One component off the front of *p, into name; false at the end. */
static bool next_name(const char **p, char name[256])
{
	size_t len;

	*p += **p == '/';
	len = strcspn(*p, "/");
	if (!len)
		return false;
	memcpy(name, *p, len);
	name[len] = '\0';
	*p += len;
	return true;
}

/* ---- where a controller has gone ---- */

/* The hierarchy of cgroup v1 that has the controller, as /proc/cgroups tells; 0: none. */
static int v1_hierarchy(const char *controller)
{
	FILE *f = fopen("/proc/cgroups", "re");
	char line[128], name[64];
	int hierarchy, found = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %d", name, &hierarchy) == 2 &&
		    (!strcmp(name, controller) ||
		     (!strcmp(controller, "io") && !strcmp(name, "blkio"))))
			found = hierarchy;
	if (f)
		fclose(f);
	return found;
}

static int controller_missing(const struct cgroup *c, const struct limit *l, struct err *err)
{
	int hierarchy = v1_hierarchy(l->controller);

	if (hierarchy) {
		err_at(err, l->ptr, 0,
		       "the %.40s controller is not in the cgroup v2 tree on %s: cgroup v1 has it "
		       "(hierarchy %d)",
		       l->controller, c->mount_point, hierarchy);
		err_hint(err, "boot with cgroup_no_v1=all, or with "
			      "systemd.unified_cgroup_hierarchy=1");
	} else {
		err_at(err, l->ptr, 0, "the %.40s controller is not in the cgroup v2 tree on %s",
		       l->controller, c->mount_point);
		err_hint(err, "the kernel lacks it, cgroup_disable= has switched it off, or it was "
			      "not delegated to what you see as the root");
	}
	return -1;
}

/* ---- enabling controllers ---- */

/* A directory on the way, and its path for errors. */
struct place {
	int dir;
	int len; /* of c->path */
};

static int enable_failed(const struct cgroup *c, const struct place *p, const struct limit *l,
			 int num, struct err *err)
{
	int bad = err_at(err, l->ptr, num, "enable the %.40s controller in %s%.*s", l->controller,
			 c->mount_point, p->len, c->path);

	if (num == EBUSY)
		return err_hint(err, "it holds processes, and a cgroup limits either its "
				     "processes or its children");
	if (num == EACCES || num == EPERM)
		return err_hint(err, "as root: echo +%.16s >%s%.*s/cgroup.subtree_control",
				l->controller, c->mount_point, p->len, c->path);
	if (num == ENOENT)
		return err_hint(err, "the cgroup above it does not hand it on");
	return bad;
}

/*
 * Enable in one directory, for its children, what the list needs and is not
 * enabled.  One write for each: the kernel takes all or nothing, and the error
 * would not say which.
 */
static int enable_in(const struct cgroup *c, const struct place *p, const struct limits *list,
		     struct err *err)
{
	char enabled[512], there[512], word[64];

	if (!list->n)
		return 0;
	if (cgfile_read(p->dir, "cgroup.subtree_control", enabled, sizeof(enabled)) < 0 ||
	    cgfile_read(p->dir, "cgroup.controllers", there, sizeof(there)) < 0)
		return err_set(err, errno, "read the controllers of %s%.*s", c->mount_point, p->len,
			       c->path);
	for (size_t i = 0; i < list->n; i++) {
		const struct limit *l = &list->v[i];

		if (!*l->controller || cgfile_has_word(enabled, l->controller))
			continue;
		if (!cgfile_has_word(there, l->controller)) {
			/* Some files are there without one: memory.pressure and others. */
			if (l->flags & LIMIT_UNIFIED && p->len)
				continue;
			return controller_missing(c, l, err);
		}
		snprintf(word, sizeof(word), "+%.40s", l->controller);
		if (cgfile_write(p->dir, "cgroup.subtree_control", word) < 0)
			return enable_failed(c, p, l, errno, err);
		snprintf(enabled + strlen(enabled), sizeof(enabled) - strlen(enabled), " %.40s",
			 l->controller);
	}
	return 0;
}

/* ---- directories ---- */

/* Do pressure files and the like exist in every cgroup but the root? */
static bool needs_no_controller(const char *file)
{
	const char *dot = strchr(file, '.');

	return dot && (!strcmp(dot, ".pressure") || !strcmp(dot, ".stat"));
}

int cgroup_survey(struct cgroup *c, struct err *err)
{
	auto_close int cur = fcntl(c->mount, F_DUPFD_CLOEXEC, 3);
	const char *p = c->path;
	char name[256], text[256];
	uint64_t v;
	int next = -1;

	c->kept = 0;
	while (cur >= 0 && next_name(&p, name)) {
		next = cgfile_open(cur, name, O_PATH | O_DIRECTORY);
		if (next < 0 && errno == ENOENT)
			break;
		if (next < 0)
			return err_at(err, "/linux/cgroupsPath", errno, "open %s%.*s",
				      c->mount_point, (int)(p - c->path), c->path);
		close(cur);
		cur = next;
		c->kept++;
	}
	if (cur < 0)
		return err_set(err, errno, "open %s", c->mount_point);
	/* The root has no such file, and is never frozen. */
	if (cgfile_read(cur, "cgroup.events", text, sizeof(text)) < 0)
		return 0;
	if (cgfile_find(text, "frozen", &v) && v)
		return err_at(err, "/linux/cgroupsPath", 0, "%s%s is frozen, or is in one that is",
			      c->mount_point, c->path);
	if (!*p && next >= 0 && cgfile_find(text, "populated", &v) && v)
		return err_at(err, "/linux/cgroupsPath", 0, "%s%s holds processes already",
			      c->mount_point, c->path);
	return 0;
}

static int make_failed(const struct cgroup *c, int len, int num, struct err *err)
{
	const char *up = strrchr(c->path, '/');

	err_at(err, "/linux/cgroupsPath", num, "make the cgroup %s%.*s", c->mount_point, len,
	       c->path);
	if (num == EACCES || num == EPERM)
		return err_hint(err,
				"it is not delegated to you: systemd-run --user --scope -p "
				"Delegate=yes, or chown %.60s%.*s",
				c->mount_point, (int)(up - c->path) < 40 ? (int)(up - c->path) : 40,
				c->path);
	if (num == EROFS)
		return err_hint(err, "the tree is mounted read-only here");
	return -1;
}

/* One level further: enable, make, open. */
static int descend(const struct cgroup *c, struct place *p, const char *name, const char *rest,
		   const struct limits *list, bool make, struct err *err)
{
	int next;

	if (enable_in(c, p, list, err) < 0)
		return -1;
	p->len = (int)(rest - c->path);
	/* EEXIST: another bryo was faster with a parent that both need. */
	if (make && mkdirat(p->dir, name, 0755) < 0 && (errno != EEXIST || !*rest))
		return make_failed(c, p->len, errno, err);
	next = cgfile_open(p->dir, name, O_RDONLY | O_DIRECTORY);
	if (next < 0)
		return err_at(err, "/linux/cgroupsPath", errno, "open the cgroup %s%.*s",
			      c->mount_point, p->len, c->path);
	/* Without it, an empty parent may stay behind: not worth failing for. */
	if (make && *rest)
		(void)fsetxattr(next, TREE_MARK, "", 0, 0);
	close(p->dir);
	p->dir = next;
	return 0;
}

/* From the mount's root down to the cgroup; what is behind `kept` is made. */
static int walk(const struct cgroup *c, const struct limits *list, unsigned int kept, int *ret_dir,
		struct err *err)
{
	struct place p = {.dir = fcntl(c->mount, F_DUPFD_CLOEXEC, 3)};
	const char *rest = c->path;
	unsigned int depth = 0;
	char name[256];

	if (p.dir < 0)
		return err_set(err, errno, "open %s", c->mount_point);
	while (next_name(&rest, name))
		if (descend(c, &p, name, rest, list, depth++ >= kept, err) < 0) {
			close(p.dir);
			return -1;
		}
	*ret_dir = p.dir;
	return 0;
}

/* Those for which a controller has to be enabled. */
static int needing(const struct limits *list, struct limits *ret, struct err *err)
{
	ret->v = calloc(list->n + 1, sizeof(*ret->v));
	ret->n = 0;
	if (!ret->v)
		return err_set(err, ENOMEM, "the limits");
	for (size_t i = 0; i < list->n; i++)
		if (*list->v[i].controller && !needs_no_controller(list->v[i].file))
			ret->v[ret->n++] = list->v[i];
	return 0;
}

int cgroup_make(struct cgroup *c, struct err *err)
{
	struct limits need;
	struct stat st;
	int bad;

	if (needing(&c->limits, &need, err) < 0)
		return -1;
	bad = walk(c, &need, c->kept, &c->dir, err);
	free(need.v);
	if (bad && strncmp(err->ptr, "/linux", 6) != 0 && err->ptr[0])
		return err_under(err, "/linux/resources");
	if (bad)
		return -1;
	if (fstat(c->dir, &st) < 0)
		return err_set(err, errno, "stat the cgroup");
	c->inode = st.st_ino;
	return 0;
}

int cgroup_enable(const struct cgroup *c, const struct limits *list, struct err *err)
{
	struct limits need;
	int dir = -1, bad;

	if (needing(list, &need, err) < 0)
		return -1;
	bad = walk(c, &need, ~0U, &dir, err);
	free(need.v);
	if (dir >= 0)
		close(dir);
	return bad;
}

/* ---- a scope ---- */

/* The first limit whose controller the scope has not got.  1, 0: none, or -1. */
static int find_missing(const struct cgroup *c, struct limit *ret, struct err *err)
{
	char there[512];
	struct limits need;
	int found = 0;

	if (cgfile_read(c->dir, "cgroup.controllers", there, sizeof(there)) < 0)
		return err_set(err, errno, "read the controllers of the scope");
	if (needing(&c->limits, &need, err) < 0)
		return -1;
	for (size_t i = 0; !found && i < need.n; i++)
		if (!cgfile_has_word(there, need.v[i].controller) &&
		    !(need.v[i].flags & LIMIT_UNIFIED)) {
			*ret = need.v[i];
			found = 1;
		}
	free(need.v);
	return found;
}

/*
 * systemd has enabled what it knows, and what was delegated to the manager.  The
 * others, hugetlb and rdma, are ours to enable.
 */
static int need_controllers(const struct cgroup *c, struct err *err)
{
	static const char delegable[] = "cpu cpuset io memory pids";
	struct limit missing = {0};
	int found = find_missing(c, &missing, err);

	if (found <= 0)
		return found;
	if (!c->scope.user)
		return cgroup_enable(c, &c->limits, err);
	err_at(err, missing.ptr, 0,
	       "the %.40s controller is not in %s%.160s: your user manager does not have it",
	       missing.controller, c->mount_point, c->path);
	if (!cgfile_has_word(delegable, missing.controller))
		return err_hint(err, "systemd hands on %s only", delegable);
	return err_hint(err,
			"as root: systemctl edit user@.service, to add [Service] Delegate=%s; then "
			"log in again",
			delegable);
}

/* The kernel says where it is, not systemd: where the process that waits in it is. */
static int find_scope(struct cgroup *c, struct arena *a, struct err *err)
{
	struct tree t;
	struct stat st;
	const char *name;
	int bad;

	if (tree_find(true, a, &t, err) < 0)
		return -1;
	bad = tree_of(&t, c->scope.waiter, a, &c->path, err);
	close(t.fd);
	if (bad)
		return -1;
	name = strrchr(c->path, '/');
	if (!name || strcmp(name + 1, c->scope.unit) != 0)
		return err_set(err, 0,
			       "systemd says that %.100s has started, and its process is in %.100s",
			       c->scope.unit, c->path);
	c->dir = cgfile_open(c->mount, c->path + 1, O_RDONLY | O_DIRECTORY);
	if (c->dir < 0 || fstat(c->dir, &st) < 0)
		return err_set(err, errno, "open the scope %s%s", c->mount_point, c->path);
	if (cgroup_is_frozen(c->dir))
		return err_at(err, "/linux/cgroupsPath", 0, "%s%s is in a slice that is frozen",
			      c->mount_point, c->path);
	c->inode = st.st_ino;
	/* Above it nothing is ours. */
	for (const char *p = c->path; *++p;)
		c->kept += *p == '/';
	return 0;
}

int cgroup_make_scope(struct cgroup *c, struct arena *a, struct err *err)
{
	int bad = scope_start(&c->scope, &c->limits, a, err) < 0 || find_scope(c, a, err) < 0 ||
		  need_controllers(c, err) < 0;

	if (bad && err->ptr[0] && strncmp(err->ptr, "/linux", 6) != 0)
		return err_under(err, "/linux/resources");
	return bad ? -1 : 0;
}

static int attach(const struct cgroup *c, pid_t pid, struct err *err)
{
	struct arena a = {0};
	struct tree t;
	char *path;
	int bad = scope_attach(&c->scope, pid, err);

	if (!bad)
		bad = tree_find(true, &a, &t, err);
	if (bad)
		return -1;
	bad = tree_of(&t, pid, &a, &path, err);
	close(t.fd);
	if (!bad && (strncmp(path, c->path, strlen(c->path)) != 0 ||
		     (path[strlen(c->path)] && path[strlen(c->path)] != '/')))
		bad = err_set(err, 0,
			      "systemd has not put the container into %.100s but left it in "
			      "%.100s",
			      c->scope.unit, path);
	arena_finish(&a);
	return bad;
}

int cgroup_settle(struct cgroup *c, pid_t pid, struct err *err)
{
	bool waited = c->scope.waiter;

	if (c->scope.attach && attach(c, pid, err) < 0)
		return -1;
	scope_leave(&c->scope);
	if (waited && limits_write_pids(c->dir, &c->limits, 0, err) < 0)
		return err_under(err, "/linux/resources");
	return 0;
}

int cgroup_limit(const struct cgroup *c, struct err *err)
{
	if (limits_write(c->dir, &c->limits, err) < 0 ||
	    (c->scope.waiter && limits_write_pids(c->dir, &c->limits, 1, err) < 0))
		return err_under(err, "/linux/resources");
	if (c->devices.n && device_program_attach(c->dir, &c->devices, err) < 0)
		return err_under(err, "/linux/resources");
	return 0;
}

/* ---- ownership ---- */

static int give(int dir, const char *file, uid_t uid)
{
	if (fchownat(dir, file, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) == 0 || errno == ENOENT)
		return 0;
	return -1;
}

int cgroup_delegate(const struct cgroup *c, uid_t uid, struct err *err)
{
	/* For kernels that do not say; "MUST fall back to". */
	char list[1024] = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads", *save = NULL;
	auto_close int fd = open("/sys/kernel/cgroup/delegate", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, list, sizeof(list) - 1);

	if (n > 0)
		list[n] = '\0';
	if (fchown(c->dir, uid, (gid_t)-1) < 0)
		return err_set(err, errno, "give the cgroup to uid %u", uid);
	for (char *f = strtok_r(list, "\n", &save); f; f = strtok_r(NULL, "\n", &save)) {
		if (strchr(f, '/'))
			continue;
		if (give(c->dir, f, uid) < 0)
			return err_set(err, errno, "give the cgroup's %.60s to uid %u", f, uid);
	}
	return 0;
}
