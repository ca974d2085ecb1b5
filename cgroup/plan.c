/* SPDX-License-Identifier: Apache-2.0 */
/* Whether there will be a cgroup, and where; see cgroup_plan(). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cgroup/cgroup.h"
#include "cgroup/file.h"
#include "cgroup/tree.h"
#include "runtime/base/fd.h"

/* ---- what is asked for ---- */

/*
 * A new cgroup has this anyway, and has it without the controller.  But systemd
 * limits the processes of whatever it makes.
 */
static bool is_default(const struct limit *l, bool systemd)
{
	size_t len = strlen(l->value);

	if (l->flags & LIMIT_UNIFIED || (systemd && !strcmp(l->file, "pids.max")))
		return false;
	return !strcmp(l->value, "max") || (len > 4 && !strcmp(l->value + len - 4, "=max")) ||
	       (!strcmp(l->file, "cpu.idle") && !strcmp(l->value, "0"));
}

static int plan_limits(struct cgroup *c, const struct cgroup_wish *w, struct arena *a,
		       struct err *err)
{
	const struct spec_resources *r = w->linux_->resources;
	size_t n = 0;

	if (!r)
		return 0;
	if (limits_compile(r, a, &c->limits, err) < 0)
		return err_under(err, "/linux/resources");
	for (size_t i = 0; i < c->limits.n; i++)
		if (!is_default(&c->limits.v[i], w->manager == CGROUP_SYSTEMD))
			c->limits.v[n++] = c->limits.v[i];
	c->limits.n = n;
	if (!r->devices.n || !w->may_load || w->manager == CGROUP_DISABLED)
		return 0;
	if (device_program_make(&r->devices, a, &c->devices, err) < 0)
		return err_under(err, "/linux/resources");
	if (c->devices.allows_all)
		c->devices.n = 0;
	return 0;
}

/* ---- where ---- */

/*
 * Has the cgroup limits that a neighbour would escape?  Not pids.max, which
 * systemd sets everywhere without having been asked; `ret` gets the file.
 */
static bool has_limits(int dir, const char **ret)
{
	static const struct {
		const char *file, *none;
	} files[] = {
		{"memory.max", "max"}, {"memory.high", "max"}, {"memory.swap.max", "max"},
		{"cpu.max", "max"},    {"cpuset.cpus", ""},    {"io.max", ""},
	};
	char text[256];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		size_t len = strlen(files[i].none);

		*ret = files[i].file;
		if (cgfile_read(dir, files[i].file, text, sizeof(text)) >= 0 &&
		    (len ? strncmp(text, files[i].none, len) != 0 : text[0] != '\0'))
			return true;
	}
	return false;
}

/* The real root of the hierarchy may hold processes and limit its children too. */
static bool is_hierarchy_root(int dir)
{
	char text[64];

	return cgfile_read(dir, "cgroup.type", text, sizeof(text)) < 0 && errno == ENOENT;
}

static int no_base(const char *own, const char *why, const char *what, const struct limit *l,
		   struct err *err)
{
	err_at(err, l->ptr, 0,
	       "your own cgroup, %.100s, holds processes, so none in it can be "
	       "limited; and %s%s",
	       own, why, what);
	err_hint(err, "give an absolute cgroupsPath, beneath a cgroup without processes that you "
		      "may write to");
	return err_under(err, "/linux/resources");
}

/* The caller's own cgroup, or its parent: see cgroup_plan(). */
static int choose_base(const struct cgroup *c, char *own, struct err *err)
{
	auto_close int dir = cgfile_open(c->mount, own[1] ? own + 1 : ".", O_PATH | O_DIRECTORY);
	const struct limit *first = NULL;
	const char *file;
	char copy[128];

	for (size_t i = c->limits.n; i-- > 0;)
		if (*c->limits.v[i].controller)
			first = &c->limits.v[i];
	if (!first || (dir >= 0 && is_hierarchy_root(dir)))
		return 0;
	strncpy(copy, own, sizeof(copy) - 1);
	copy[sizeof(copy) - 1] = '\0';
	if (!own[1])
		return no_base(copy, "nothing is to be seen above it", "", first, err);
	if (dir >= 0 && has_limits(dir, &file))
		return no_base(copy, "one beside it would escape its ", file, first, err);
	*strrchr(own, '/') = '\0';
	return 0;
}

/* May the caller make a cgroup there, with all the controllers that it needs? */
static bool is_delegated(const struct cgroup *c, const char *base)
{
	auto_close int dir = cgfile_open(c->mount, base[1] ? base + 1 : ".", O_PATH | O_DIRECTORY);
	static const char *const files[] = {".", "cgroup.procs", "cgroup.subtree_control"};
	char there[512];

	if (dir < 0 || cgfile_read(dir, "cgroup.controllers", there, sizeof(there)) < 0)
		return false;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) - !c->limits.n; i++)
		if (faccessat(dir, files[i], W_OK, AT_EACCESS) < 0)
			return false;
	for (size_t i = 0; i < c->limits.n; i++)
		if (*c->limits.v[i].controller && !(c->limits.v[i].flags & LIMIT_UNIFIED) &&
		    !cgfile_has_word(there, c->limits.v[i].controller))
			return false;
	return true;
}

static int plan_relative(struct cgroup *c, const struct tree *t, const struct cgroup_wish *w,
			 const char *below, struct arena *a, struct err *err)
{
	char *own;
	int bad;

	if (tree_own(t, a, &own, err) < 0)
		return -1;
	bad = choose_base(c, own, err);
	if (w->manager == CGROUP_AUTO && w->ordinary && (bad || !is_delegated(c, own)) &&
	    scope_is_possible())
		return scope_name(NULL, w->id, true, a, &c->scope, err);
	if (bad)
		return -1;
	c->path = arena_printf(a, "%s%s", own[0] && own[1] ? own : "", below);
	return c->path ? 0 : err_set(err, ENOMEM, "the cgroup");
}

static int plan_path(struct cgroup *c, const struct cgroup_wish *w, struct arena *a,
		     struct err *err)
{
	const char *asked = w->linux_->cgroupsPath;
	bool absolute = asked && asked[0] == '/';
	char *clean;
	struct tree t;
	int bad;

	if (!asked)
		asked = arena_printf(a, "bryo-%s", w->id);
	if (!asked)
		return err_set(err, ENOMEM, "the cgroup");
	bad = tree_clean(asked, a, &clean, err);
	if (!bad && !*clean)
		bad = err_set(err, 0, "names the root of the tree, which is no container's");
	if (bad)
		return err_under(err, "/linux/cgroupsPath");
	if (tree_find(!absolute, a, &t, err) < 0)
		return -1;
	c->mount = t.fd;
	c->mount_point = t.point;
	c->path = clean;
	return absolute ? 0 : plan_relative(c, &t, w, clean, a, err);
}

static int plan_scope(struct cgroup *c, const struct cgroup_wish *w, struct arena *a,
		      struct err *err)
{
	struct tree t;

	if (!scope_is_possible()) {
		err_set(err, 0,
			"the systemd cgroup manager is asked for, and systemd does not run "
			"on this host");
		return err_hint(err, "--cgroup-manager cgroupfs");
	}
	if (scope_name(w->linux_->cgroupsPath, w->id, w->ordinary, a, &c->scope, err) < 0 ||
	    tree_find(true, a, &t, err) < 0)
		return -1;
	c->mount = t.fd;
	c->mount_point = t.point;
	return 0;
}

int cgroup_plan(struct cgroup *c, const struct cgroup_wish *w, struct arena *a, struct err *err)
{
	*c = (struct cgroup){.mount = -1, .dir = -1};
	if (plan_limits(c, w, a, err) < 0)
		return -1;
	if (w->manager == CGROUP_DISABLED) {
		if (!c->limits.n)
			return 0;
		err_at(err, c->limits.v[0].ptr, 0, "is asked for, and cgroups are disabled");
		return err_under(err, "/linux/resources");
	}
	c->wanted = w->linux_->cgroupsPath || c->limits.n || c->devices.n ||
		    w->manager == CGROUP_SYSTEMD;
	if (w->manager == CGROUP_SYSTEMD)
		return plan_scope(c, w, a, err);
	return c->wanted ? plan_path(c, w, a, err) : 0;
}

void cgroup_finish(struct cgroup *c)
{
	/* A zeroed one has never been planned: 0 is nobody's handle here. */
	if (c->dir > 0)
		close(c->dir);
	if (c->mount > 0)
		close(c->mount);
	if (c->scope.hold > 0)
		close(c->scope.hold);
	c->dir = c->mount = -1;
	c->scope.hold = 0;
}
