/* SPDX-License-Identifier: Apache-2.0 */
/*
 * validate --host: the only one who knows what a kernel does for a user is that kernel,
 * so the container is made.  A rehearsal walks the one table, without the rows that
 * change something outside (STEP_ABROAD), and ends before anything is executed; what it
 * writes to the root file system goes to an overlay that ends with it.
 */
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/commands.h"
#include "runtime/rows.h"
#include "runtime/selfexe.h"
#include "runtime/steps.h"
#include "runtime/store.h"
#include "runtime/validate.h"

struct rehearsal {
	struct report *report;
	const char *root;
	int sigfd;
	bool overlay;     /* the configuration asks for one itself */
	bool interrupted; /* err says by what */
	struct err err;
};

/* "/pointer: text", as the rows of the box write it; both are in today's document. */
static void warned(void *data, const char *text)
{
	const struct rehearsal *h = data;
	char ptr[sizeof(h->err.ptr)] = "", original[sizeof(h->err.ptr)];
	size_t len = strcspn(text, ":");

	if (text[0] == '/' && !strncmp(text + len, ": ", 2) && len < sizeof(ptr)) {
		memcpy(ptr, text, len);
		text += len + 2;
	}
	drops_original(&h->report->drops, ptr, original, sizeof(original));
	report_warn(h->report, original, text);
}

/* ---- what is not tried ---- */

static bool is_one_of(const char *word, const char *const *list)
{
	while (*list && strcmp(*list, word) != 0)
		list++;
	return *list;
}

static bool has_option(const struct spec_mount *m, const char *start)
{
	for (size_t i = 0; i < m->options.n; i++)
		if (!strncmp(m->options.v[i], start, strlen(start)))
			return true;
	return false;
}

static bool is_new(const struct spec_mount *m)
{
	static const char *const others[] = {"bind", "rbind", "remount", NULL};

	for (size_t i = 0; i < m->options.n; i++)
		if (is_one_of(m->options.v[i], others))
			return false;
	return m->type;
}

/*
 * Does the mount alone change something?  Of a device the journal and times, of an
 * overlay the directory for work, which is emptied; others have options that count for
 * all mounts there are, or talk to a server.  So root tries those that are known to be
 * harmless, and whether the kernel has the others; the kernel lets nobody else mount them.
 */
static bool is_harmful(const struct spec_mount *m)
{
	static const char *const harmless[] = {"tmpfs",  "ramfs",  "devpts",  "proc", "sysfs",
					       "mqueue", "cgroup", "cgroup2", NULL};
	auto_close int fs = -1;

	if (!is_new(m) || is_one_of(m->type, harmless))
		return false;
	if (!strcmp(m->type, "overlay"))
		return has_option(m, "upperdir=") || has_option(m, "workdir=");
	fs = geteuid() == 0 ? fsopen(m->type, FSOPEN_CLOEXEC) : -1;
	return fs >= 0;
}

static void leave_out_harmful(struct report *r, const struct spec *s)
{
	char here[40], original[sizeof(((struct err *)0)->ptr)];

	for (size_t i = s->mounts.n; i-- > 0;) {
		if (!is_harmful(&s->mounts.v[i]))
			continue;
		snprintf(here, sizeof(here), "/mounts/%zu", i);
		drops_original(&r->drops, here, original, sizeof(original));
		report_warn(r, original, "not tried: it could change what is not the container's");
		(void)drops_add(&r->drops, original);
	}
}

/* What the rows would change in namespaces that are somebody else's. */
static void leave_out_joined(struct spec *s, const struct nsset *ns)
{
	if (nsset_joins(ns))
		s->linux_->sysctl.n = 0;
	if (ns->named[NS_UTS])
		s->hostname = s->domainname = NULL;
}

/* ---- looks at the host ---- */

/* Those that are executed in the container's file system are found there only. */
static int look_hook_list(const struct spec_hooks *list, const char *name, struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		if (access(list->v[i].path, X_OK) == 0)
			continue;
		err_set(err, errno, "execute %s", list->v[i].path);
		return err_under(err, "/hooks/%s/%zu/path", name, i);
	}
	return 0;
}

static int look_hooks(struct box *b, struct err *err)
{
	const struct spec_hook_sets *h = b->spec->hooks;

	if (!h)
		return 0;
	if (look_hook_list(&h->prestart, "prestart", err) < 0 ||
	    look_hook_list(&h->createRuntime, "createRuntime", err) < 0 ||
	    look_hook_list(&h->createContainer, "createContainer", err) < 0 ||
	    look_hook_list(&h->poststart, "poststart", err) < 0)
		return -1;
	return look_hook_list(&h->poststop, "poststop", err);
}

static int look_netdevs(struct box *b, struct err *err)
{
	const struct spec_netdevs *list = &b->spec->linux_->netDevices;

	for (size_t i = 0; i < list->n; i++) {
		char ptr[sizeof(err->ptr)] = "/linux/netDevices";

		ptr_append(ptr, sizeof(ptr), list->v[i].key);
		if (geteuid() != 0)
			return err_at(err, ptr, EPERM, "move the device: it needs privilege here");
		if (!if_nametoindex(list->v[i].key))
			return err_at(err, ptr, errno, "find the device");
	}
	return 0;
}

/* ---- the rehearsal ---- */

static int plan(struct box *b, const struct rehearsal *h, struct err *err)
{
	if (!h->overlay)
		b->opt.overlay = "tmpfs";
	if (box_plan(b, err) < 0)
		return -1;
	/* A kept one is not touched, nor is a volume. */
	b->overlay.dir = NULL;
	b->mounts.held = true;
	/* Nobody's agent is told of a container that will not be. */
	b->agent.path = NULL;
	return 0;
}

static int walk(struct box *b, struct err *err)
{
	int bad = steps_walk(b, 0, err);

	if (!bad)
		steps_undo(b);
	return bad;
}

/* Rows that are there for the rehearsal alone: what they cannot do nobody has asked for. */
static bool is_own_failure(const struct rehearsal *h, const struct err *e)
{
	return !h->overlay && (strstr(e->step, "layers") || !strcmp(e->step, "overlay"));
}

static int look_host(struct box *b, struct err *err)
{
	struct rehearsal *h = b->warned_data;
	struct box try = *b;
	bool holds = false;
	int bad = -1;

	try.sigfd = h->sigfd;
	if (plan(&try, h, err) == 0 && store_open(h->root, true, &try.store, err) == 0) {
		holds = mountset_holds(&try.mounts, &try.ns);
		bad = walk(&try, err);
	}
	cgroup_finish(&try.cgroup);
	filter_finish(&try.filter);
	mountset_finish(&try.mounts);
	fd_cleanup(&try.store);
	if (!bad)
		return 0;
	if (err->exit > 128) {
		h->interrupted = true;
		h->err = *err;
		return 0;
	}
	if (is_own_failure(h, err)) {
		char text[sizeof(err->msg)];

		snprintf(text, sizeof(text), "the rest of the host was not looked at: %.250s",
			 err->msg);
		report_warn(h->report, "/root/path", text);
		return 0;
	}
	if (holds && err->num == EROFS) {
		char ptr[sizeof(err->ptr)];

		memcpy(ptr, err->ptr, sizeof(ptr));
		err_at(err, ptr, 0, "not tried: it would write to a volume");
		h->report->not_tried = true;
	}
	return -1;
}

/* A cgroup of its own, beside the one that is asked for, where a container may be. */
static int rename_cgroup(struct spec *s, struct arena *a)
{
	if (!s->linux_->cgroupsPath)
		return 0;
	s->linux_->cgroupsPath = arena_printf(a, "%s-validate%d", s->linux_->cgroupsPath, getpid());
	return s->linux_->cgroupsPath ? 0 : -1;
}

static int rehearse(struct report *r, struct box *b, struct rehearsal *h, struct err *err)
{
	sigset_t blocked;

	b->id = arena_printf(b->arena, "validate-%d", getpid());
	if (!b->id || rename_cgroup(r->drops.spec, b->arena) < 0)
		return err_set(err, ENOMEM, "the rehearsal");
	leave_out_harmful(r, r->drops.spec);
	leave_out_joined(r->drops.spec, &b->ns);
	if (take_signals(&blocked, &h->sigfd, err) < 0)
		return -1;
	r->rehearsing = true;
	b->warned = warned;
	b->warned_data = h;
	report_look(r, b, look_host);
	if (h->interrupted)
		*err = h->err;
	return h->interrupted ? -1 : 0;
}

int report_host(struct report *r, struct box *b, const struct arguments *a, struct err *err)
{
	struct rehearsal h = {.report = r, .root = a->root, .overlay = b->overlay.n, .sigfd = -1};

	report_look(r, b, look_hooks);
	report_look(r, b, look_netdevs);
	if (report_flawed(r, "/linux/namespaces") || report_flawed(r, "/root") ||
	    report_flawed(r, "/linux/uidMappings") || report_flawed(r, "/linux/gidMappings")) {
		report_warn(r, "", "the rest of the host was not looked at: mend the errors first");
		return 0;
	}
	if (b->ns.named[NS_MOUNT]) {
		report_warn(r, "/linux/namespaces",
			    "the rest of the host was not looked at: that would change the mount "
			    "namespace that is joined");
		return 0;
	}
	/* The container that is joined looks on: see selfexe.h.  Nothing has been printed yet. */
	if (nsset_joins(&b->ns) && selfexe_is_exposed(&b->ns) &&
	    selfexe_protect(a->argv, 0, err) < 0)
		return -1;
	return rehearse(r, b, &h, err);
}
