/* SPDX-License-Identifier: Apache-2.0 */
/* validate: all that is wrong with a bundle, without running it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "ns/cred.h"
#include "runtime/base/arena.h"
#include "runtime/base/fd.h"
#include "runtime/commands.h"
#include "runtime/validate.h"
#include "spec/json.h"

/* ---- the report ---- */

static bool is_same(const struct err *a, const struct err *b)
{
	return !strcmp(a->ptr, b->ptr) && !strcmp(a->msg, b->msg);
}

/* The host may warn of what the document has been warned of, in other words. */
static bool is_told(const struct report *r, enum severity severity, const struct err *e)
{
	for (size_t i = 0; i < r->n; i++)
		if (is_same(&r->v[i].err, e) ||
		    (severity == FINDING_WARNING && r->v[i].severity == FINDING_WARNING &&
		     *e->ptr && !strcmp(r->v[i].err.ptr, e->ptr)))
			return true;
	return false;
}

static void push(struct report *r, enum severity severity, const struct err *e)
{
	struct found_one *one;
	void *v = r->v;

	one = arena_push(r->arena, &v, &r->n, &r->cap, sizeof(*one));
	if (!one) {
		r->no_memory = true;
		return;
	}
	r->v = v;
	*one = (struct found_one){severity, *e};
}

/*
 * So many of a kind are a document that nobody has written; to go through those that
 * were told for each of a million would take hours.
 */
enum { MOST_FINDINGS = 1000 };

static void take(void *data, enum severity severity, const struct err *e)
{
	struct report *r = data;

	if (r->more[severity] || is_told(r, severity, e))
		return;
	r->more[severity] = r->told[severity] == MOST_FINDINGS;
	if (r->more[severity])
		return;
	r->told[severity]++;
	push(r, severity, e);
}

static void tell_more(struct report *r)
{
	static const char *const texts[] = {
		[FINDING_ERROR] = "there are more errors; the rest was not looked at",
		[FINDING_WARNING] = "there are more warnings",
	};
	struct err e;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (!r->more[i])
			continue;
		err_set(&e, 0, "%s", texts[i]);
		push(r, FINDING_WARNING, &e);
	}
}

static bool is_below(const char *ptr, const char *top)
{
	size_t len = strlen(top);

	return !strncmp(ptr, top, len) && (!ptr[len] || ptr[len] == '/');
}

bool report_flawed(const struct report *r, const char *ptr)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].severity == FINDING_ERROR &&
		    (is_below(r->v[i].err.ptr, ptr) || is_below(ptr, r->v[i].err.ptr)))
			return true;
	return false;
}

static bool is_reported(const struct report *r, enum severity severity, const struct err *e)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].severity == severity &&
		    (severity == FINDING_ERROR ? !strcmp(r->v[i].err.ptr, e->ptr)
					       : is_same(&r->v[i].err, e)))
			return true;
	return false;
}

/* Something in its place, so that the rest of the process is looked at. */
static bool put_in_place(struct report *r, const char *ptr)
{
	struct spec_process *p = r->drops.spec->process;

	if (strcmp(ptr, "/process/cwd") != 0 || !p)
		return false;
	p->cwd = arena_strdup(r->arena, "/");
	return p->cwd;
}

/*
 * What a rehearsal cannot go without: it would be about another container, or none.
 * Its program is looked for when all else has been done.
 */
static bool is_needed(const char *ptr)
{
	return is_below(ptr, "/linux/namespaces") || is_below(ptr, "/root") ||
	       is_below(ptr, "/process/args") || !strcmp(ptr, "/linux");
}

/* -1: nothing is left to look at. */
static int leave_out(struct report *r, const char *ptr)
{
	struct spec *s = r->drops.spec;

	if (!*ptr || (r->rehearsing && is_needed(ptr)))
		return -1;
	if (put_in_place(r, ptr))
		return 0;
	/* Without its name the rest of a command is no command. */
	if (is_below(ptr, "/process/args"))
		ptr = "/process";
	if (drops_add(&r->drops, ptr) < 0)
		return -1;
	if (!s->linux_)
		s->linux_ = arena_alloc(r->arena, sizeof(*s->linux_));
	return s->linux_ ? 0 : -1;
}

/*
 * Without the element that was named; if it was named before, and is not there any
 * more, without what it was in.
 */
static int go_without(struct report *r, const struct err *e, bool again)
{
	char ptr[sizeof(e->ptr)], *last;

	snprintf(ptr, sizeof(ptr), "%s", e->ptr);
	last = again ? strrchr(ptr, '/') : NULL;
	if (last)
		*last = '\0';
	return leave_out(r, ptr);
}

void report_warn(struct report *r, const char *ptr, const char *text)
{
	struct err e;

	err_at(&e, ptr, 0, "%s", text);
	findings_add(&r->findings, FINDING_WARNING, &e);
}

/* What the look has failed of; false when there is no going on without it. */
static bool take_failure(struct report *r, struct err *e, struct err *last)
{
	enum severity severity = r->not_tried ? FINDING_WARNING : FINDING_ERROR;
	char ptr[sizeof(e->ptr)];
	bool again;

	r->not_tried = false;
	e->step[0] = '\0';
	drops_original(&r->drops, e->ptr, ptr, sizeof(ptr));
	memcpy(e->ptr, ptr, sizeof(e->ptr));
	again = is_reported(r, severity, e);
	if (!again)
		findings_add(&r->findings, severity, e);
	/* The owner did not help either. */
	if ((!again || !is_same(e, last)) && go_without(r, e, again) == 0) {
		*last = again ? *e : (struct err){0};
		return true;
	}
	if (severity == FINDING_WARNING)
		report_warn(r, "", "the rest of the host was not looked at");
	return false;
}

/* So many errors in one look are a document that nobody has written. */
enum { MOST_ERRORS = 100 };

void report_look(struct report *r, struct box *b, look_fn *look)
{
	struct err e, last = {0};

	for (int i = 0; i < MOST_ERRORS; i++)
		if (look(b, &e) == 0 || !take_failure(r, &e, &last))
			return;
	report_warn(r, "", "there may be more errors: mend these first");
}

/* ---- looks that need nothing but the bundle ---- */

/* A namespace that is misspelt was meant to be one: what needs it is not wrong, too. */
static int plan_namespaces(struct box *b, bool flawed, struct err *err)
{
	if (nsset_plan(&b->ns, b->spec, true, b->arena, err) < 0)
		return -1;
	for (int t = 0; flawed && t < NS_COUNT; t++)
		b->ns.create |= nsset_clone_flags[t];
	/* Whether the caller has it is a question about the host. */
	b->ns.privileged = true;
	return 0;
}

static int look_namespaces(struct box *b, struct err *err)
{
	return plan_namespaces(b, false, err);
}

/* It may have been left out. */
static bool has_root(const struct box *b)
{
	return b->spec->root && b->spec->root->path;
}

static int look_rootfs(struct box *b, struct err *err)
{
	auto_close int bundle = open(b->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;

	if (bundle < 0)
		return err_set(err, errno, "open the bundle %s", b->bundle);
	if (!has_root(b))
		return 0;
	fd = mount_open_dir(bundle, b->spec->root->path, 0, err);
	return fd < 0 ? err_under(err, "/root/path") : 0;
}

static int look_overlay(struct box *b, struct err *err)
{
	return has_root(b) ? box_plan_overlay(b, err) : 0;
}

static int look_mounts(struct box *b, struct err *err)
{
	return mountset_plan(&b->mounts, b->spec, &b->ns, b->arena, err);
}

static int look_sysctl(struct box *b, struct err *err)
{
	return sysctl_check(&b->spec->linux_->sysctl, &b->ns, err);
}

static int look_filter(struct box *b, struct err *err)
{
	struct filter f = {0};
	int bad = 0;

	if (b->spec->linux_->seccomp)
		bad = filter_compile(b->spec->linux_->seccomp, &f, err);
	filter_finish(&f);
	return bad;
}

struct caps_left {
	int next;
	struct arena *arena;
};

static const char *next_cap(void *data)
{
	struct caps_left *l = data;
	char name[40];

	if (l->next > cred_last_cap())
		return NULL;
	return arena_strdup(l->arena, cred_cap_name(l->next++, name));
}

/* "[...] MUST be logged as a warning" (config.md): no error. */
static void look_caps(struct report *r, const struct strs *set, const char *name)
{
	for (size_t i = 0; i < set->n && !r->more[FINDING_WARNING]; i++) {
		struct caps_left left = {.arena = r->arena};
		struct err e;

		if (!set->v[i] || cred_knows_cap(set->v[i]))
			continue;
		err_set(&e, 0, "there is no capability %.64s", set->v[i]);
		snprintf(e.ptr, sizeof(e.ptr), "/process/capabilities/%s/%zu", name, i);
		findings_suggest(&e, findings_nearest(set->v[i], next_cap, &left));
		findings_add(&r->findings, FINDING_WARNING, &e);
	}
}

static void look_all_caps(struct report *r, const struct spec_caps *c)
{
	look_caps(r, &c->bounding, "bounding");
	look_caps(r, &c->effective, "effective");
	look_caps(r, &c->inheritable, "inheritable");
	look_caps(r, &c->permitted, "permitted");
	look_caps(r, &c->ambient, "ambient");
}

static void look_at_bundle(struct report *r, struct box *b)
{
	struct err ignored;

	report_look(r, b, look_rootfs);
	report_look(r, b, look_overlay);
	report_look(r, b, look_namespaces);
	(void)plan_namespaces(b, report_flawed(r, "/linux/namespaces"), &ignored);
	report_look(r, b, look_mounts);
	report_look(r, b, look_sysctl);
	report_look(r, b, look_filter);
}

/* ---- the document ---- */

static int look_at_document(struct report *r, struct box *b, struct err *err)
{
	size_t n;

	if (spec_validate(b->config, b->config_len, b->arena, &r->findings, &r->drops.spec, err) <
	    0) {
		findings_add(&r->findings, FINDING_ERROR, err);
		return 1;
	}
	if (r->drops.spec->process && r->drops.spec->process->capabilities)
		look_all_caps(r, r->drops.spec->process->capabilities);
	/* What is not known cannot be left out. */
	if (r->more[FINDING_ERROR])
		return 1;
	n = r->n;
	for (size_t i = 0; i < n; i++)
		if (r->v[i].severity == FINDING_ERROR)
			(void)leave_out(r, r->v[i].err.ptr);
	if (!r->drops.spec->linux_)
		r->drops.spec->linux_ = arena_alloc(b->arena, sizeof(struct spec_linux));
	if (!r->drops.spec->linux_)
		return err_set(err, ENOMEM, "the configuration");
	b->spec = r->drops.spec;
	return 0;
}

static const char *const severities[] = {[FINDING_ERROR] = "error", [FINDING_WARNING] = "warning"};

static int print_text(const struct report *r, struct err *err)
{
	for (size_t i = 0; i < r->n; i++) {
		char line[1024];

		err_format(&r->v[i].err, line, sizeof(line));
		printf("%s: %s\n", severities[r->v[i].severity], line);
	}
	if (!r->findings.errors)
		printf("valid\n");
	return fflush(stdout) ? err_set(err, errno, "write to standard output") : 0;
}

static void json_member(struct json *j, const char *key, const char *text)
{
	if (!*text)
		return;
	json_key(j, key);
	json_str(j, text);
}

static int print_report(const struct report *r, struct err *err)
{
	struct json *j = json_new(true);
	int bad;

	if (!j)
		return err_set(err, ENOMEM, "the report");
	json_open_array(j);
	for (size_t i = 0; i < r->n; i++) {
		struct err e = r->v[i].err;
		char text[1024], hint[sizeof(e.hint)];

		snprintf(hint, sizeof(hint), "%s", e.hint);
		json_open_object(j);
		json_member(j, "severity", severities[r->v[i].severity]);
		json_member(j, "pointer", e.ptr);
		e.ptr[0] = e.hint[0] = '\0';
		err_format(&e, text, sizeof(text));
		json_member(j, "message", text);
		json_member(j, "hint", hint);
		json_close_object(j);
	}
	json_close_array(j);
	bad = print_json(j, err);
	json_free(j);
	return bad;
}

static int validate(struct arguments *a, struct report *r, struct box *b, struct err *err)
{
	int bad;

	if (box_begin(b, err) < 0 || box_read_bundle(b, err) < 0)
		return -1;
	bad = look_at_document(r, b, err);
	if (bad < 0)
		return -1;
	if (!bad)
		look_at_bundle(r, b);
	if (!bad && a->host && report_host(r, b, a, err) < 0)
		return -1;
	tell_more(r);
	if (r->no_memory)
		return err_set(err, ENOMEM, "the report");
	if ((a->json ? print_report(r, err) : print_text(r, err)) < 0)
		return -1;
	return r->findings.errors ? EXIT_FAILURE : 0;
}

int cmd_validate(struct arguments *a, struct err *err)
{
	struct arena arena = {0};
	struct err first;
	struct report r = {.arena = &arena,
			   .findings = {.first = &first, .tell = take, .data = &r},
			   .drops = {.arena = &arena}};
	struct box b = {
		.op = OP_REHEARSE,
		.opt = a->box,
		.may_add_userns = a->rootless != ROOTLESS_FALSE,
		.cgroup_manager =
			a->systemd_cgroup ? CGROUP_SYSTEMD : (enum cgroup_manager)a->cgroup_manager,
		.arena = &arena,
	};
	int status;

	if (a->n_operands)
		b.opt.bundle = a->operands[0];
	status = validate(a, &r, &b, err);
	arena_finish(&arena);
	return status;
}
