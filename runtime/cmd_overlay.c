/* SPDX-License-Identifier: Apache-2.0 */
/* diff and export: what a container has written to its overlay. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ns/changes.h"
#include "ns/sys.h"
#include "ns/viewer.h"
#include "runtime/base/fd.h"
#include "runtime/base/helper.h"
#include "runtime/base/log.h"
#include "runtime/commands.h"
#include "runtime/layers.h"

/* ---- the layers of a container ---- */

static int open_kept(const struct layers *l, struct err *err)
{
	auto_close int home = layers_open_home(l, err);
	int fd;

	if (home < 0)
		return -1;
	fd = sys_openat2(home, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
			 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
	return fd < 0 ? err_set(err, errno, "open upper in %s", l->dir) : fd;
}

static int open_ephemeral(const struct found *f, const struct layers *l, struct err *err)
{
	auto_close int pidfd = -1;
	enum status status;

	if (record_hold(f->dir, &f->record, &status, &pidfd, err) < 0)
		return -1;
	if (pidfd >= 0 && status != CREATING)
		return viewer_open_beneath(pidfd, l->userns, err);
	err_set(err, 0, "container \"%s\" is %s: its upper layer, a tmpfs, %s", f->record.id,
		status_names[status], status == CREATING ? "is not there yet" : "ended with it");
	return err_hint(err, "--overlay DIR keeps one");
}

static int open_upper(const struct found *f, struct layers *l, struct err *err)
{
	if (layers_read(f->dir, (struct arena *)&f->arena, l, err) < 0)
		return -1;
	if (!l->lower.n) {
		err_set(err, 0, "container \"%s\" has no overlay: it writes to its rootfs",
			f->record.id);
		return err_hint(err, "run or create it with --overlay");
	}
	return l->dir ? open_kept(l, err) : open_ephemeral(f, l, err);
}

static int open_lower(const struct layers *l, int *fds, struct err *err)
{
	for (size_t i = 0; i < l->lower.n; i++) {
		fds[i] = open(l->lower.v[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fds[i] < 0)
			return err_set(err, errno, "open the layer %s", l->lower.v[i]);
	}
	return 0;
}

static bool sees_host_ids(void)
{
	return geteuid() == 0;
}

/*
 * A process that may look at all the files; 0 in it.  Root may do that anyway, and
 * sees the host's ids; anybody else needs a user namespace, and sees the container's.
 */
static pid_t fork_viewer(const struct layers *l, struct err *err)
{
	pid_t pid;

	if (l->userns && l->uids.n && !sees_host_ids())
		return viewer_fork(&l->uids, &l->gids, err);
	pid = fork();
	return pid < 0 ? err_set(err, errno, "fork") : pid;
}

/* The viewer has said what was wrong. */
static int await_viewer(pid_t pid, struct err *err)
{
	int status = 0;

	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			return err_set(err, errno, "wait for the process that looks at the files");
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return err_set(err, 0, "the process that looks at the files died of signal %d",
		       WTERMSIG(status));
}

/* ---- diff ---- */

struct output {
	bool json;
	bool any;
	struct err err;
};

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "link";
	case S_IFCHR:
		return "char";
	case S_IFBLK:
		return "block";
	case S_IFIFO:
		return "fifo";
	default:
		return "socket";
	}
}

static const char *const change_names[] = {"added", "changed", "deleted"};

/* Control characters, backslashes and what is not ASCII as \xNN: a stranger chose the names. */
static void escape(const char *s, char *buf, size_t size)
{
	size_t len = 0;

	for (; *s && len + 5 < size; s++) {
		unsigned char c = (unsigned char)*s;

		if (c >= ' ' && c < 0x7f && c != '\\')
			buf[len++] = *s;
		else
			len += (size_t)snprintf(buf + len, size - len, "\\x%02x", c);
	}
	buf[len] = '\0';
}

static int print_row(const char *path, enum change what, const struct stat *st)
{
	char name[4 * PATH_MAX + 1], owner[32];

	escape(path, name, sizeof(name));
	snprintf(owner, sizeof(owner), "%u:%u", st->st_uid, st->st_gid);
	return printf("%-8s %-9s %04o %-11s %12lld /%s\n", change_names[what],
		      type_name(st->st_mode), st->st_mode & 07777, owner, (long long)st->st_size,
		      name) < 0;
}

static void write_entry(struct json *j, const char *path, enum change what, const struct stat *st)
{
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o", st->st_mode & 07777);
	json_open_object(j);
	json_key(j, "path");
	json_str(j, path);
	json_key(j, "change");
	json_str(j, change_names[what]);
	json_key(j, "type");
	json_str(j, type_name(st->st_mode));
	json_key(j, "mode");
	json_str(j, mode);
	json_key(j, "uid");
	json_uint(j, st->st_uid);
	json_key(j, "gid");
	json_uint(j, st->st_gid);
	json_key(j, "size");
	json_int(j, st->st_size);
	json_close_object(j);
}

/*
 * One element at a time: a stranger decides how many there are.  A name that is no
 * UTF-8 is escaped as in the table.
 */
static int print_entry(struct output *o, const char *path, enum change what, const struct stat *st)
{
	char name[4 * PATH_MAX + 2] = "/";
	const char *text;
	size_t len;
	int bad = -1;

	for (int escaped = 0; bad && escaped < 2; escaped++) {
		struct json *j = json_new(false);

		if (!j)
			return err_set(&o->err, ENOMEM, "the list");
		if (escaped)
			escape(path, name + 1, sizeof(name) - 1);
		else
			snprintf(name + 1, sizeof(name) - 1, "%s", path);
		write_entry(j, name, what, st);
		bad = json_finish(j, &text, &len, &o->err);
		if (!bad)
			bad = printf("%s%.*s", o->any ? ",\n" : "[\n", (int)len - 1, text) < 0;
		json_free(j);
	}
	o->any = true;
	return bad;
}

static int visit(const char *path, enum change what, const struct stat *st, void *arg)
{
	struct output *o = arg;

	return o->json ? print_entry(o, path, what, st) : print_row(path, what, st);
}

static int print_changes(const struct layers *l, int upper, const int *lower, bool as_json,
			 struct err *err)
{
	struct output o = {.json = as_json};
	struct changes c = {.upper = upper,
			    .lower = lower,
			    .n = l->lower.n,
			    .uids = sees_host_ids() ? &l->uids : NULL,
			    .gids = sees_host_ids() ? &l->gids : NULL,
			    .userxattr = l->userxattr,
			    .visit = visit,
			    .arg = &o};

	if (changes_visit(&c, err) < 0)
		return -1;
	if (as_json)
		printf("%s]\n", o.any ? "\n" : "[");
	if (fflush(stdout) != 0 || ferror(stdout))
		return err_set(err, errno, "write to standard output");
	return 0;
}

/* Each level of directories takes some, and each layer one. */
static void raise_open_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int diff(const struct found *f, bool as_json, struct err *err)
{
	int lower[OVERLAY_LAYERS] = {0};
	auto_close int upper = -1;
	struct layers l;
	pid_t pid;

	raise_open_files();
	upper = open_upper(f, &l, err);
	if (upper < 0)
		return -1;
	if (l.lower.n > OVERLAY_LAYERS)
		return err_set(err, 0, "what is remembered of the overlay is damaged");
	if (open_lower(&l, lower, err) < 0)
		return -1;
	pid = fork_viewer(&l, err);
	if (pid < 0)
		return -1;
	if (pid == 0) {
		int bad = print_changes(&l, upper, lower, as_json, err);

		if (bad)
			log_error(err);
		_exit(bad ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	return await_viewer(pid, err);
}

int cmd_diff(struct arguments *a, struct err *err)
{
	struct found f;
	int bad;

	if (container_find(a, a->operands[0], &f, err) < 0)
		return -1;
	bad = diff(&f, a->json, err);
	container_finish(&f);
	return bad;
}

/* ---- export ---- */

#define HELPER "bryo-export"

/* In the viewer: nothing of bryo's goes along but the two descriptors. */
static _Noreturn void execute_helper(const struct layers *l, int helper, int upper, int out)
{
	char *argv[] = {(char *)HELPER, (char *)(l->userxattr ? "user" : "trusted"),
			(char *)(l->userns ? "none" : "devices"), NULL};
	char *env[] = {NULL};
	struct err err;

	/* Out of the way of the numbers that they get. */
	upper = fcntl(upper, F_DUPFD_CLOEXEC, 10);
	out = fcntl(out, F_DUPFD_CLOEXEC, 10);
	helper = fcntl(helper, F_DUPFD_CLOEXEC, 10);
	if (upper < 0 || out < 0 || helper < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(upper, 3) < 0 || close_range(4, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		err_set(&err, errno, "hand on descriptors");
	else if (execveat(helper, "", argv, env, AT_EMPTY_PATH) < 0)
		err_set(&err, errno, "execute bryo-export");
	log_error(&err);
	_exit(EXIT_FAILURE);
}

static int open_output(const char *name, bool *ret_made, struct err *err)
{
	int fd;

	if (!strcmp(name, "-")) {
		if (isatty(STDOUT_FILENO)) {
			err_set(err, 0, "standard output is a terminal");
			return err_hint(err, "name a file, or use a pipe");
		}
		return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	}
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOCTTY | O_CLOEXEC, 0666);
	*ret_made = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(name, O_WRONLY | O_TRUNC | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? err_set(err, errno, "open %s", name) : fd;
}

/* As the container's root where it has a user namespace: attributes hold ids too. */
static int export(const struct found *f, int out, struct err *err)
{
	auto_close int upper = -1, helper = helper_open(HELPER, err);
	struct layers l;
	pid_t pid;

	if (helper < 0)
		return -1;
	raise_open_files();
	upper = open_upper(f, &l, err);
	if (upper < 0)
		return -1;
	pid = l.userns && l.uids.n ? viewer_fork(&l.uids, &l.gids, err) : fork();
	if (pid < 0)
		return err->msg[0] ? -1 : err_set(err, errno, "fork");
	if (pid == 0)
		execute_helper(&l, helper, upper, out);
	return await_viewer(pid, err);
}

/* Half an archive is none. */
int cmd_export(struct arguments *a, struct err *err)
{
	const char *name = a->operands[1];
	auto_close int out = -1;
	bool made = false;
	struct found f;
	int bad;

	if (container_find(a, a->operands[0], &f, err) < 0)
		return -1;
	out = open_output(name, &made, err);
	bad = out < 0 ? -1 : export(&f, out, err);
	if (bad && made)
		unlink(name);
	container_finish(&f);
	return bad;
}
