/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of SELinux, and how a label is asked for; the table is in sandbox.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ns/procfs.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/commands.h"
#include "runtime/faults.h"
#include "runtime/labels.h"
#include "runtime/rows.h"
#include "runtime/watch.h"
#include "selinux/relabel.h"
#include "selinux/seclabel.h"

#define ANNOTATION "org.bryo.selinux"

/* The Makefile says where it is. */
#ifndef BRYO_SYSCONF
#define BRYO_SYSCONF "/etc/bryo"
#endif

/* ---- what is asked for ---- */

static const char *text_or_null(const char *s)
{
	return s && *s ? s : NULL;
}

static const char *configured(const struct box *b)
{
	return b->spec->process ? text_or_null(b->spec->process->selinuxLabel) : NULL;
}

/*
 * Trust boundary: a stranger may have written the annotations, see in_bundle() of
 * rows_overlay.c.  So one can ask for more confinement, and not for less.
 */
static int read_annotation(const struct box *b, const char **ret, struct err *err)
{
	const struct pairs *list = &b->spec->annotations;

	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->v[i].key, ANNOTATION) != 0)
			continue;
		if (strcmp(list->v[i].value, "auto") != 0) {
			err_at(err, "/annotations/" ANNOTATION, 0, "\"%.60s\" is not auto",
			       list->v[i].value);
			return err_hint(err, "images can set annotations: say the rest by "
					     "--selinux");
		}
		*ret = list->v[i].value;
	}
	return 0;
}

static bool is_there(void)
{
	return faults_selinux() || seclabel_is_enabled();
}

/* The site's word for `run`, where nobody else has one; *ret stays without it. */
static int read_site(const char **ret, struct err *err)
{
	const char *fake = faults_selinux();
	auto_close int dir = open(fake ? fake : BRYO_SYSCONF, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_close int fd =
		dir < 0 ? -1 : openat(dir, "selinux", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char text[16];

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fd_read_text(fd, text, sizeof(text)) < 0)
		return err_set(err, errno, "read " BRYO_SYSCONF "/selinux");
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, "auto") != 0 && strcmp(text, "off") != 0)
		return err_set(err, 0, BRYO_SYSCONF "/selinux: \"%s\" is neither auto nor off",
			       text);
	*ret = text[0] == 'a' ? "auto" : "off";
	return 0;
}

static int plan_asked(struct box *b, struct err *err)
{
	const char *asked = NULL;

	if (read_annotation(b, &asked, err) < 0)
		return -1;
	if (b->opt.selinux)
		asked = b->opt.selinux;
	if (!asked && b->op == OP_RUN) {
		asked = "auto";
		if (is_there() && read_site(&asked, err) < 0)
			return -1;
	}
	if (!asked)
		return 0;
	if (!*asked)
		return err_set(err, 0, "--selinux: the label is empty");
	if (!strcmp(asked, "off"))
		return 0;
	if (!strcmp(asked, "auto")) {
		b->label.wish = is_there() ? LABEL_CHOSEN : LABEL_NONE;
		return 0;
	}
	b->label.wish = LABEL_GIVEN;
	b->label.process = asked;
	return 0;
}

int box_plan_label(struct box *b, struct err *err)
{
	const char *process = configured(b), *mount = text_or_null(b->spec->linux_->mountLabel);

	b->label.held = -1;
	if (b->op == OP_EXEC)
		mount = NULL;
	if (!process && !mount)
		return b->op == OP_EXEC ? 0 : plan_asked(b, err);
	if (b->opt.selinux && strcmp(b->opt.selinux, "auto") != 0)
		return err_set(err, 0, "--selinux %.60s: the configuration has a label: %s",
			       b->opt.selinux,
			       process ? "/process/selinuxLabel" : "/linux/mountLabel");
	b->label.wish = LABEL_GIVEN;
	b->label.process = process;
	b->label.mount = mount;
	return 0;
}

/* ---- row label: in the host, before the clone ---- */

bool row_has_label(const struct box *b)
{
	return b->label.wish != LABEL_NONE;
}

/* The element that asked, if it is one of the configuration. */
static int at_label(const struct box *b, struct err *err)
{
	return configured(b) ? err_under(err, "/process/selinuxLabel") : -1;
}

static int not_there(const struct box *b, struct err *err)
{
	const char *ptr = configured(b) ? "/process/selinuxLabel" : "/linux/mountLabel";

	if (b->opt.selinux && !configured(b))
		return err_set(err, 0, "--selinux: SELinux is not enabled on this host");
	return err_at(err, ptr, 0, "SELinux is not enabled on this host");
}

static int given(struct box *b, const struct seclabel_host *h, struct err *err)
{
	struct seclabel_types types;
	struct err ignored;

	if (b->label.process && seclabel_check(h, b->label.process, err) < 0)
		return at_label(b, err);
	if (b->label.mount && seclabel_check(h, b->label.mount, err) < 0)
		return err_under(err, "/linux/mountLabel");
	/* By the option alone: its files get the level of its processes. */
	if (b->op == OP_EXEC || configured(b) || b->label.mount ||
	    seclabel_read_types(h, b->arena, &types, &ignored) < 0)
		return 0;
	b->label.mount =
		seclabel_with_level(types.file, seclabel_level(b->label.process), b->arena);
	if (!b->label.mount)
		return err_set(err, ENOMEM, "the label");
	return seclabel_check(h, b->label.mount, err);
}

/* What the kernel would refuse later, and say no more of it than "permission denied". */
static int check_caller(const struct box *b, const struct seclabel_host *h, const char *own,
			const char *process, struct err *err)
{
	if (!seclabel_denies(h, own, process, "process", "transition"))
		return 0;
	err_set(err, EACCES, "SELinux: %.80s may not start a process at %.100s", own, process);
	return at_label(b, err);
}

/* A caller without categories: the policy lets it use any, or none. */
static bool may_use_any(const struct seclabel_host *h, const char *own, const char *process,
			const struct mcs_set *usable, struct arena *a)
{
	unsigned int c = 0;

	while (c < MCS_CATEGORIES && !mcs_has(usable, c))
		c++;
	process = c == MCS_CATEGORIES ? NULL
				      : seclabel_with_pair(process, (struct mcs_pair){c, c}, a);
	return process && !seclabel_denies(h, own, process, "process", "transition");
}

/*
 * A caller with categories gives of its own, whether or not the policy insists: they are
 * what has been set apart for it.  One without any has all, if the policy lets it.
 */
static int choose_pair(struct box *b, const struct seclabel_host *h, const char *own, char *process,
		       char **ret, struct err *err)
{
	const struct label_place place = {b->store, b->dir, b->procfd};
	struct mcs_set usable, mine = seclabel_set(own);
	struct label_draw draw = {.label = process, .usable = &usable};

	/* An unknown one could have no categories. */
	if (seclabel_check(h, process, err) < 0)
		return -1;
	seclabel_categories(h, process, &usable);
	if (!mcs_count(&mine) && check_caller(b, h, own, process, err) < 0)
		return -1;
	if (mcs_count(&mine) || !may_use_any(h, own, process, &usable, b->arena)) {
		mcs_intersect(&usable, &mine);
		draw.own = own;
	}
	if (draw.own && mcs_count(&usable) < 2) {
		err_set(err, EACCES, "SELinux: %.100s has no two categories for a container", own);
		return err_hint(err, "start bryo at a level that has, or give the label: "
				     "--selinux LABEL");
	}
	return labels_reserve(&place, &draw, b->arena, ret, &b->label.held, err);
}

static int choose(struct box *b, const struct seclabel_host *h, const char *own, struct err *err)
{
	struct seclabel_types types;
	char *process;

	if (seclabel_read_types(h, b->arena, &types, err) < 0) {
		if (err->num != ENOENT)
			return -1;
		log_warn("no SELinux label: %s: %s", err->msg, err_describe(err->num));
		b->label.wish = LABEL_NONE;
		return 0;
	}
	process = types.process;
	if (!h->has_levels)
		log_warn("SELinux: the policy has no categories, so that containers are not kept "
			 "apart from each other");
	else if (choose_pair(b, h, own, types.process, &process, err) < 0)
		return -1;
	b->label.process = process;
	b->label.mount = seclabel_with_level(types.file, seclabel_level(process), b->arena);
	if (!b->label.mount)
		return err_set(err, ENOMEM, "the label");
	if (seclabel_check(h, b->label.process, err) < 0)
		return -1;
	return seclabel_check(h, b->label.mount, err);
}

static const char *class_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFIFO:
		return "fifo_file";
	case S_IFCHR:
		return "chr_file";
	case S_IFREG:
		return "file";
	default:
		return NULL;
	}
}

/* The policy's answer; where it gives none, what MCS says of a higher level. */
static bool is_out_of_reach(const struct seclabel_host *h, const char *process, int fd, char *label,
			    size_t size)
{
	struct mcs_set have, needed;
	struct stat st;

	if (fstat(fd, &st) < 0 || !class_of(st.st_mode) || !seclabel_of_file(fd, label, size))
		return false;
	if (faccessat(h->fs, "access", F_OK, 0) == 0)
		return seclabel_denies(h, process, label, class_of(st.st_mode),
				       fd ? "write" : "read");
	have = seclabel_set(process);
	needed = seclabel_set(label);
	return !mcs_includes(&have, &needed);
}

/*
 * The kernel replaces a descriptor that the new label may not use by one of
 * /dev/null, and nobody gets an error: output would just not be there.
 */
static void warn_of_stdio(const struct box *b, const struct seclabel_host *h)
{
	static const char *const names[] = {"input", "output", "error"};
	char label[SECLABEL_MAX], first[SECLABEL_MAX] = "", list[64] = "";

	if (!h->enforcing || !b->label.process || row_has_terminal(b))
		return;
	for (int fd = 0; fd < 3; fd++) {
		size_t len = strlen(list);

		if (!is_out_of_reach(h, b->label.process, fd, label, sizeof(label)))
			continue;
		snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "", names[fd]);
		if (!len)
			memcpy(first, label, sizeof(first));
	}
	if (list[0])
		log_warn("SELinux: at %s the container may not use its standard %s, at %s: it "
			 "gets /dev/null there, and what it writes is lost; see bryo(1)",
			 b->label.process, list, first);
}

/* The caller's label; "": it has none. */
static void read_own(const struct box *b, char *buf, size_t size)
{
	const char *fake = faults_selinux();
	auto_close int top = fake ? open(fake, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	auto_close int fd = fake ? openat(top, "attr/current", O_RDONLY | O_CLOEXEC)
				 : procfs_open(b->procfd, "self/attr/current", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n < 0 ? 0 : n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
}

static int label_on(struct box *b, const struct seclabel_host *h, struct err *err)
{
	const struct label_place place = {b->store, b->dir, b->procfd};
	char own[4096]; /* the kernel's page: cut off, it could seem to have no categories */

	read_own(b, own, sizeof(own));
	if ((b->label.wish == LABEL_CHOSEN ? choose(b, h, own, err) : given(b, h, err)) < 0)
		return -1;
	if (b->label.wish == LABEL_NONE)
		return 0;
	/* A chosen one is noted by now, if it has a pair. */
	if (b->label.wish == LABEL_GIVEN && b->op != OP_EXEC && b->label.process &&
	    labels_note(&place, b->label.process, err) < 0)
		return -1;
	b->mounts.label = b->label.mount;
	if (b->label.process && check_caller(b, h, own, b->label.process, err) < 0)
		return -1;
	warn_of_stdio(b, h);
	return 0;
}

void row_label_undo(struct box *b)
{
	fd_cleanup(&b->label.held);
	b->label.held = -1;
}

int row_label_apply(struct box *b, struct err *err)
{
	struct seclabel_host h;
	int bad = seclabel_open(faults_selinux(), &h, err);

	if (!bad) {
		bad = h.fs < 0 ? not_there(b, err) : label_on(b, &h, err);
		seclabel_close(&h);
	}
	return bad;
}

/* ---- row selinux: in the box ---- */

bool row_is_labelled(const struct box *b)
{
	return b->label.wish == LABEL_CHOSEN || (b->label.wish == LABEL_GIVEN && b->label.process);
}

static int open_attributes(const struct box *b, struct err *err)
{
	const char *fake = faults_selinux();
	auto_close int own = -1;
	auto_close int stand_in = fake ? open(fake, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	int proc = fake ? -1 : row_procfs(b, &own, err), fd;

	if (!fake && proc < 0)
		return -1;
	fd = fake ? openat(stand_in, "attr", O_PATH | O_DIRECTORY | O_CLOEXEC)
		  : procfs_open(proc, "self/attr", O_PATH | O_DIRECTORY);
	return fd < 0 ? err_set(err, errno, "open /proc/self/attr") : fd;
}

/*
 * The label of the next program.  The kernel takes it from the process itself only,
 * as AppArmor's profile: see ns/apparmor.c.  Where there is a stub, that writes it.
 */
int row_selinux_apply(struct box *b, struct err *err)
{
	bool stub = !b->spec->process || !row_has_early_filter(b);
	const char *label = b->label.process;
	int dir = open_attributes(b, err);

	if (dir < 0)
		return at_label(b, err);
	b->label.dir = dir;
	/* Its session keyring, made below, would otherwise be out of its reach; no more is lost. */
	(void)procfs_write(dir, "keycreate", label, strlen(label));
	if (!stub && procfs_write(dir, "exec", label, strlen(label)) < 0)
		return label_failed(b, errno, err);
	return 0;
}

int label_failed(const struct box *b, int num, struct err *err)
{
	err_set(err, num, "SELinux: ask for the label %.160s", b->label.process);
	return err_under(err, "/process/selinuxLabel");
}

void label_hint(const struct box *b, struct err *err)
{
	if (b->label.process && err->exit == EXIT_NOEXEC && !err->hint[0])
		err_hint(err,
			 "SELinux may forbid it to %.60s: chcon -R -t container_file_t, or "
			 "--overlay tmpfs, or --selinux off",
			 b->label.process);
}

/* ---- row watch: in the host, beside the box ---- */

bool row_is_watched(const struct box *b)
{
	return (row_is_labelled(b) || row_has_apparmor(b)) && b->op != OP_CREATE && !b->opt.detach;
}

int row_watch_apply(struct box *b, struct err *err)
{
	return watch_start(b, err);
}

void row_watch_undo(struct box *b)
{
	watch_finish(b);
}

/* ---- row relabel: in the box ---- */

/* Without a label nothing keeps the container from the files. */
bool row_relabels(const struct box *b)
{
	for (size_t i = 0; row_is_labelled(b) && i < b->mounts.n; i++)
		if (b->mounts.v[i].opts.relabel)
			return true;
	return false;
}

/* What all containers may use has no categories. */
static const char *label_of_volume(const struct box *b, enum mount_relabel how)
{
	const char *level = b->label.mount ? seclabel_level(b->label.mount) : NULL;
	char stem[32];

	if (!b->label.mount || how == RELABEL_PRIVATE || !level)
		return b->label.mount;
	snprintf(stem, sizeof(stem), "%.*s", (int)strcspn(level, ":-"), level);
	return seclabel_with_level(b->label.mount, stem, b->arena);
}

static int relabel_one(struct box *b, const struct mount_entry *e, struct err *err)
{
	const char *label = label_of_volume(b, e->opts.relabel), *source = e->spec->source;
	char path[PATH_MAX];

	if (!label)
		return err_at(err, "/options", 0, "there is no /linux/mountLabel to relabel with");
	if (snprintf(path, sizeof(path), "%s%s%s", source[0] == '/' ? "" : b->bundle,
		     source[0] == '/' ? "" : "/", source) >= (int)sizeof(path))
		return err_at(err, "/source", ENAMETOOLONG, "relabel");
	if (relabel_check(e->tree, path, err) < 0 ||
	    relabel_tree(e->tree, b->procfd, label, err) < 0)
		return err_under(err, "/source");
	return 0;
}

/*
 * On the clones, which are what will be mounted, and by the container's root: an
 * ordinary user's subordinate ids own files, too.
 */
int row_relabel_apply(struct box *b, struct err *err)
{
	auto_close int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int bad = 0;

	for (size_t i = 0; !bad && i < b->mounts.n; i++)
		if (b->mounts.v[i].opts.relabel && relabel_one(b, &b->mounts.v[i], err) < 0)
			bad = err_under(err, "/mounts/%zu", i);
	/* Where hooks begin. */
	if (cwd >= 0 && fchdir(cwd) < 0 && !bad)
		bad = err_set(err, errno, "return to the working directory");
	return bad;
}
