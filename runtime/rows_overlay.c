/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of an overlay, and how it is asked for; the table is in sandbox.c. */
#include <errno.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/commands.h"
#include "runtime/layers.h"
#include "runtime/rows.h"
#include "runtime/shared.h"
#include "runtime/steps.h"

#define ANNOTATION "org.bryo.overlay"
#define LOWER ANNOTATION ".lower."

/* ---- what is asked for ---- */

static const char *annotation(const struct box *b, const char *key)
{
	const struct pairs *list = &b->spec->annotations;

	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->v[i].key, key))
			return list->v[i].value;
	return NULL;
}

static const char *pointer(struct box *b, const char *key)
{
	char ptr[128] = "/annotations";

	ptr_append(ptr, sizeof(ptr), key);
	return arena_strdup(b->arena, ptr);
}

/*
 * Trust boundary: tools that make a bundle of an image make annotations of the
 * image's labels (conversion.md of the image specification).  So a stranger may
 * have written them, and a directory of theirs has to be in the bundle, with no
 * link on the way.
 */
static int in_bundle(struct box *b, const char *given, const char **ret_path, uint64_t *ret_resolve,
		     struct err *err)
{
	bool climbs = false;

	for (const char *p = given; *p; p += strcspn(p, "/"), p += strspn(p, "/"))
		climbs |= !strncmp(p, "..", 2) && (!p[2] || p[2] == '/');
	if (climbs || given[0] == '/' || !given[0]) {
		err_set(err, 0, "\"%.100s\" is no directory in the bundle", given);
		return err_hint(err, "images can set annotations: name other directories by "
				     "--overlay and --lower");
	}
	*ret_path = arena_printf(b->arena, "%s/%s", b->bundle, given);
	*ret_resolve = RESOLVE_NO_SYMLINKS;
	return *ret_path ? 0 : err_set(err, ENOMEM, "the overlay");
}

/* As the caller has named it. */
static int from_cwd(struct box *b, const char *given, const char **ret_path, struct err *err)
{
	char cwd[PATH_MAX];

	if (!*given)
		return err_set(err, 0, "the name of a directory is empty");
	if (given[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return err_set(err, errno, "the working directory");
	*ret_path = given[0] == '/' ? given : arena_printf(b->arena, "%s/%s", cwd, given);
	return *ret_path ? 0 : err_set(err, ENOMEM, "the overlay");
}

static size_t count_annotated(const struct box *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->spec->annotations.n; i++)
		n += !strncmp(b->spec->annotations.v[i].key, LOWER, strlen(LOWER));
	return n;
}

/* The first is /root/path; the others are to follow. */
static int make_list(struct box *b, size_t more, struct err *err)
{
	const char *root = b->spec->root->path;
	struct overlay *o = &b->overlay;

	o->n = more + 1;
	if (o->n > OVERLAY_LAYERS)
		return err_set(err, 0, "%zu layers: the kernel takes %d", o->n, OVERLAY_LAYERS);
	o->layers = arena_array(b->arena, o->n, sizeof(*o->layers));
	if (!o->layers)
		return err_set(err, ENOMEM, "the overlay");
	for (size_t i = 0; i < o->n; i++)
		o->layers[i].tree = o->layers[i].fd = -1;
	o->layers[0].ptr = "/root/path";
	o->layers[0].path =
		root[0] == '/' ? root : arena_printf(b->arena, "%s/%s", b->bundle, root);
	return o->layers[0].path ? 0 : err_set(err, ENOMEM, "the overlay");
}

static int plan_options(struct box *b, struct err *err)
{
	const struct opt_list *lower = &b->opt.lower;
	struct overlay *o = &b->overlay;

	if (overlay_parse(o, b->opt.overlay, err) < 0 || make_list(b, lower->n, err) < 0)
		return -1;
	if (o->dir && from_cwd(b, o->dir, &o->dir, err) < 0)
		return -1;
	for (size_t i = 0; i < lower->n; i++)
		if (from_cwd(b, lower->v[i], &o->layers[i + 1].path, err) < 0)
			return -1;
	return 0;
}

static int plan_lower(struct box *b, size_t i, struct err *err)
{
	struct overlay_layer *l = &b->overlay.layers[i];
	const char *given;
	char key[64];

	snprintf(key, sizeof(key), LOWER "%zu", i);
	given = annotation(b, key);
	l->ptr = pointer(b, key);
	if (!l->ptr)
		return err_set(err, ENOMEM, "the overlay");
	if (!given) {
		err_set(err, 0, "is missing: lower layers are numbered from 1 on");
		return err_under(err, "%s", l->ptr);
	}
	return in_bundle(b, given, &l->path, &l->resolve, err) < 0 ? err_under(err, "%s", l->ptr)
								   : 0;
}

static int plan_annotations(struct box *b, const char *text, struct err *err)
{
	struct overlay *o = &b->overlay;

	o->ptr = pointer(b, ANNOTATION);
	if (!o->ptr)
		return err_set(err, ENOMEM, "the overlay");
	if (overlay_parse(o, text, err) < 0 || make_list(b, count_annotated(b), err) < 0 ||
	    (o->dir && in_bundle(b, o->dir, &o->dir, &o->resolve, err) < 0))
		return err_under(err, "%s", o->ptr);
	for (size_t i = 1; i < o->n; i++)
		if (plan_lower(b, i, err) < 0)
			return -1;
	return 0;
}

/* All on the command line or all in annotations: the former counts. */
int box_plan_overlay(struct box *b, struct err *err)
{
	const char *text = annotation(b, ANNOTATION);

	overlay_init(&b->overlay);
	if (!b->opt.overlay && b->opt.lower.n)
		return err_set(err, 0, "--lower needs --overlay");
	if (!b->opt.overlay && !text && count_annotated(b))
		return err_at(err, "/annotations", 0, "there are lower layers, and no " ANNOTATION);
	if (!b->opt.overlay && !text)
		return 0;
	b->mounts.overlaid = true;
	return b->opt.overlay ? plan_options(b, err) : plan_annotations(b, text, err);
}

/* ---- rows ---- */

bool row_has_overlay(const struct box *b)
{
	return b->overlay.n;
}

bool row_has_kept_overlay(const struct box *b)
{
	return b->overlay.dir;
}

static int claim_home(struct box *b, struct err *err)
{
	struct overlay *o = &b->overlay;

	if (overlay_open_home(o, &b->ns, err) < 0)
		return err->num == EWOULDBLOCK ? layers_say_locked(o->dir, err) : -1;
	if (layers_check_unused(o, err) < 0)
		return -1;
	/* Before anything is made in there: `delete` finds it by the file. */
	return layers_write(b->dir, o, &b->ns, b->arena, err) < 0 ||
			       overlay_make_dirs(o, &b->ns, err) < 0
		       ? -1
		       : 0;
}

int row_overlay_claim_apply(struct box *b, struct err *err)
{
	if (layers_check_lower(&b->overlay, err) < 0)
		return -1;
	if (!b->overlay.dir)
		return layers_write(b->dir, &b->overlay, &b->ns, b->arena, err);
	if (claim_home(b, err) == 0)
		return 0;
	return b->overlay.ptr ? err_under(err, "%s", b->overlay.ptr) : -1;
}

static bool has_run(const struct box *b)
{
	return b->shared && b->shared->rows[step_find("exec")].end;
}

/* What the payload has made of the upper directory stays, be it nothing. */
void row_overlay_claim_undo(struct box *b)
{
	struct overlay *o = &b->overlay;
	bool mine = o->home >= 0;

	if (!has_run(b))
		overlay_unmake(o);
	overlay_finish(o);
	if (mine && b->dir >= 0)
		layers_release(b->dir, b->id);
}

bool row_has_foreign_layers(const struct box *b)
{
	return overlay_may_idmap(&b->overlay, &b->ns);
}

int row_foreign_layers_apply(struct box *b, struct err *err)
{
	return overlay_clone_foreign(&b->overlay, &b->ns, err);
}

int row_idmapped_layers_apply(struct box *b, struct err *err)
{
	return overlay_idmap(&b->overlay, &b->ns, err);
}

int row_overlay_owner_apply(struct box *b, struct err *err)
{
	uint64_t identity;

	if (process_identity(b->ns.pidfd, b->ns.pid, &identity, err) < 0)
		return -1;
	return layers_write_owner(b->overlay.home, b->id, b->ns.pid, identity, err);
}

int row_layers_apply(struct box *b, struct err *err)
{
	return overlay_open_layers(&b->overlay, err);
}

int row_overlay_apply(struct box *b, struct err *err)
{
	return overlay_mount(&b->overlay, &b->mounts, &b->ns, err);
}
