/* SPDX-License-Identifier: Apache-2.0 */
/* start, kill, delete, state, list: commands on a container that is there. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/baton.h"
#include "runtime/commands.h"
#include "runtime/group.h"
#include "runtime/hooks.h"
#include "runtime/layers.h"
#include "runtime/listener.h"
#include "runtime/notify.h"
#include "runtime/resctrl.h"
#include "runtime/shared.h"
#include "runtime/steps.h"
#include "runtime/store.h"
#include "selinux/seclabel.h"

int container_find(const struct arguments *a, const char *id, struct found *ret, struct err *err)
{
	struct found f = {.store = -1, .dir = -1};
	int bad = store_check_id(id, err);

	if (!bad) {
		bad = store_open(a->root, false, &f.store, err);
		/*
		 * No store of the caller's: no container either, and callers look for
		 * the words.
		 */
		if (bad && (err->num == ENOENT || (err->num == EACCES && !a->root))) {
			err_set(err, 0, "container \"%s\" does not exist", id);
			err_hint(err, "no state directory: see XDG_RUNTIME_DIR and --root");
		}
	}
	if (!bad)
		bad = store_enter(f.store, id, &f.dir, err);
	if (!bad)
		bad = record_read(f.dir, id, &f.arena, &f.record, err);
	if (bad)
		container_finish(&f);
	else
		*ret = f;
	return bad ? -1 : 0;
}

void container_finish(struct found *f)
{
	fd_cleanup(&f->store);
	fd_cleanup(&f->dir);
	arena_finish(&f->arena);
	f->store = f->dir = -1;
}

int print_json(struct json *j, struct err *err)
{
	const char *text;
	size_t len;

	if (json_finish(j, &text, &len, err) < 0)
		return -1;
	if (fd_write_all(STDOUT_FILENO, text, len) < 0)
		return err_set(err, errno, "write to standard output");
	return 0;
}

/* ---- start ---- */

/* As much of the box as the rows behind wait-start need. */
static int restore_box(const struct found *f, struct box *b, struct spec *s, struct spec_root *root,
		       struct err *err)
{
	*root = (struct spec_root){.path = f->record.rootfs};
	*s = (struct spec){.ociVersion = f->record.ociVersion,
			   .root = root,
			   .hooks = f->record.hooks,
			   .annotations = f->record.annotations,
			   .linux_ = arena_alloc(b->arena, sizeof(*s->linux_))};
	if (!s->linux_)
		return err_set(err, ENOMEM, "start the container");
	b->spec = s;
	b->shared = shared_open(f->dir, err);
	if (!b->shared)
		return -1;
	b->ns.pid = (pid_t)f->record.pid;
	b->label.process = f->record.selinuxLabel;
	b->agent.path = f->record.listenerPath;
	b->agent.metadata = f->record.listenerMetadata;
	b->chan = listener_call(f->dir);
	if (b->chan < 0)
		return err_set(err, errno, "call the container");
	/* The call itself must not block; the rest is a conversation. */
	if (fcntl(b->chan, F_SETFL, 0) < 0)
		return err_set(err, errno, "fcntl");
	return 0;
}

/* Who holds the lock now: `delete --force` asks it to stop when it hangs. */
static int sign_record(struct found *f, struct err *err)
{
	auto_close int self = pidfd_open(getpid(), 0);

	if (self < 0)
		return err_set(err, errno, "pidfd of bryo itself");
	f->record.creator = getpid();
	if (process_identity(self, getpid(), &f->record.creatorIdentity, err) < 0 ||
	    record_write(f->dir, &f->record, err) < 0)
		return -1;
	return record_publish(f->dir, err);
}

/* If it was made so, and there is somebody to tell. */
static int listen_for_ready(const struct found *f, int *ret, struct err *err)
{
	const char *manager = getenv("NOTIFY_SOCKET");

	if (!manager || !*manager)
		return 0;
	*ret = notify_listen(f->dir, err);
	return *ret < 0 && err->num != ENOENT ? -1 : 0;
}

static int wake(struct found *f, int pidfd, struct err *err)
{
	struct spec_root root;
	struct spec s;
	struct box b = {
		.op = OP_START,
		.id = f->record.id,
		.bundle = f->record.bundle,
		.arena = &f->arena,
		.sigfd = -1,
		.chan = -1,
		.notify = -1,
	};
	sigset_t blocked;
	int bad = take_signals(&blocked, &b.sigfd, err);

	if (!bad)
		bad = listen_for_ready(f, &b.notify, err);

	if (!bad)
		bad = sign_record(f, err);
	if (!bad)
		bad = restore_box(f, &b, &s, &root, err);
	if (!bad)
		bad = steps_walk(&b, step_find("wait-start") + 1, err);
	if (!bad && b.notify >= 0) {
		/* Whoever wants to delete it need not wait for that. */
		store_unlock(f->dir);
		notify_await(b.notify, b.ns.pid, pidfd, b.sigfd);
	}
	fd_cleanup(&b.notify);
	fd_cleanup(&b.chan);
	fd_cleanup(&b.sigfd);
	/* A poststart hook that fails stops the container (config.md, 1.3). */
	if (bad && !strcmp(err->step, "poststart"))
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	return bad;
}

static int must_be_created(const struct found *f, int *ret_pidfd, struct err *err)
{
	enum status status;

	if (record_hold(f->dir, &f->record, &status, ret_pidfd, err) < 0)
		return -1;
	if (status != CREATED)
		return err_set(err, 0, "cannot start container \"%s\": it is %s, not created",
			       f->record.id, status_names[status]);
	if (!f->record.hasProcess)
		return err_at(err, "/process", 0, "is needed to start the container");
	return 0;
}

int cmd_start(struct arguments *a, struct err *err)
{
	auto_close int before = -1, pidfd = -1;
	struct found f;
	int bad;

	if (container_find(a, a->operands[0], &f, err) < 0)
		return -1;
	/* Once without the lock, which a container in the making holds for long. */
	bad = must_be_created(&f, &before, err);
	if (!bad)
		bad = store_lock(f.store, f.record.id, f.dir, err);
	if (!bad)
		bad = must_be_created(&f, &pidfd, err);
	if (!bad)
		bad = wake(&f, pidfd, err);
	container_finish(&f);
	return bad;
}

/* ---- state and list ---- */

static const char *owner_of(int dir, char buf[64])
{
	struct stat st;
	struct passwd *pw;
	FILE *f;

	buf[0] = '\0';
	if (fstat(dir, &st) < 0)
		return buf;
	snprintf(buf, 64, "%u", st.st_uid);
	f = fopen("/etc/passwd", "re");
	while (f && (pw = fgetpwent(f)))
		if (pw->pw_uid == st.st_uid) {
			snprintf(buf, 64, "%s", pw->pw_name);
			break;
		}
	if (f)
		fclose(f);
	return buf;
}

int cmd_state(struct arguments *a, struct err *err)
{
	enum status status = CREATING;
	struct cgroup c = {0};
	struct found f;
	struct json *j;
	int bad;

	if (container_find(a, a->operands[0], &f, err) < 0)
		return -1;
	j = json_new(true);
	bad = j ? record_status(f.dir, &f.record, &status, err) : err_set(err, ENOMEM, "the state");
	if (!bad)
		bad = group_read(f.dir, &f.arena, &c, err);
	if (!bad) {
		f.record.cgroup = c.path ? &c : NULL;
		record_state(j, &f.record, status, NULL);
		bad = print_json(j, err);
	}
	json_free(j);
	container_finish(&f);
	return bad;
}

struct listing {
	const struct arguments *a;
	struct json *j;
};

static void print_row(const struct record *r, enum status status, const char *owner)
{
	printf("%-24s %-8lld %-10s %-40s %-32s %s%s%s\n", r->id,
	       status == CREATING || status == STOPPED ? 0LL : (long long)r->pid,
	       status_names[status], r->bundle ? r->bundle : "", r->created ? r->created : "",
	       owner, r->selinuxLabel ? "  " : "", r->selinuxLabel ? r->selinuxLabel : "");
}

/* A container may go away while we look: it is then not in the list. */
static void list_one(const struct listing *l, int store, const char *id)
{
	auto_close int dir = -1;
	struct arena arena = {0};
	enum status status;
	struct record r;
	struct err err;
	char owner[64];

	if (store_enter(store, id, &dir, &err) < 0)
		return;
	if (record_read(dir, id, &arena, &r, &err) < 0 || record_status(dir, &r, &status, &err) < 0)
		log_warn("%s", err.msg);
	else if (l->a->quiet)
		printf("%s\n", id);
	else if (l->j)
		record_state(l->j, &r, status, owner_of(dir, owner));
	else
		print_row(&r, status, owner_of(dir, owner));
	arena_finish(&arena);
}

static int list_all(struct listing *l, int store, struct err *err)
{
	struct arena arena = {0};
	char **ids = NULL;
	int bad = store < 0 ? 0 : store_list(store, &arena, &ids, err);

	if (!bad && !l->j && !l->a->quiet)
		printf("%-24s %-8s %-10s %-40s %-32s %s\n", "ID", "PID", "STATUS", "BUNDLE",
		       "CREATED", seclabel_is_enabled() ? "OWNER  LABEL" : "OWNER");
	if (l->j)
		json_open_array(l->j);
	for (; !bad && ids && *ids; ids++)
		list_one(l, store, *ids);
	if (l->j)
		json_close_array(l->j);
	arena_finish(&arena);
	if (!bad && l->j)
		return print_json(l->j, err);
	if (!bad && (fflush(stdout) != 0 || ferror(stdout)))
		return err_set(err, errno, "write to standard output");
	return bad;
}

int cmd_list(struct arguments *a, struct err *err)
{
	bool json = a->format == FORMAT_JSON && !a->quiet;
	struct listing l = {.a = a, .j = json ? json_new(true) : NULL};
	auto_close int store = -1;
	int bad;

	if (json && !l.j)
		return err_set(err, ENOMEM, "list the containers");
	bad = store_open(a->root, false, &store, err);
	/* No store yet: an empty list. */
	if (!bad || err->num == ENOENT)
		bad = list_all(&l, bad ? -1 : store, err);
	json_free(l.j);
	return bad;
}

/* ---- kill ---- */

static int parse_signal(const char *s, int *ret, struct err *err)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (isdigit((unsigned char)*s) && !*end && n >= 0 && n < NSIG) {
		*ret = (int)n;
		return 0;
	}
	if (!strncasecmp(s, "SIG", 3))
		s += 3;
	for (int sig = 1; sig < NSIG; sig++) {
		const char *name = sigabbrev_np(sig);

		if (name && !strcasecmp(name, s)) {
			*ret = sig;
			return 0;
		}
	}
	return err_set(err, 0, "unknown signal \"%.40s\"", s);
}

/* The kernel's own answer is EPERM. */
static int not_signalled(int num, struct err *err)
{
	if (num != EACCES)
		return -1;
	return err_hint(err, "a security module forbids it; a profile of AppArmor has to have "
			     "the rule: signal (receive)");
}

static int signal_one(int pidfd, int sig, const char *id, struct err *err)
{
	if (pidfd_send_signal(pidfd, sig, NULL, 0) == 0)
		return 0;
	if (errno == ESRCH)
		return err_set(err, 0, "container \"%s\": container not running", id);
	err_set(err, errno, "send signal %d to container \"%s\"", sig, id);
	return not_signalled(err->num, err);
}

static int kill_container(const struct arguments *a, struct found *f, struct err *err)
{
	const struct record *r = &f->record;
	auto_close int pidfd = -1;
	enum status status;
	int sig = SIGTERM;

	if (a->n_operands > 1 && parse_signal(a->operands[1], &sig, err) < 0)
		return -1;
	if (record_hold(f->dir, r, &status, &pidfd, err) < 0)
		return -1;
	if (pidfd < 0 || status == CREATING)
		return err_set(err, 0, "cannot kill container \"%s\": container not running (%s)",
			       r->id, status_names[status]);
	if (!a->all || (sig == SIGKILL && r->ownPidNamespace))
		return signal_one(pidfd, sig, r->id, err);
	return container_signal_all(f, sig, err);
}

int cmd_kill(struct arguments *a, struct err *err)
{
	struct found f;
	int bad;

	if (container_find(a, a->operands[0], &f, err) < 0)
		return -1;
	bad = kill_container(a, &f, err);
	container_finish(&f);
	return bad;
}

/* ---- delete ---- */

void run_poststop(const struct record *r)
{
	mode_t mask = umask(0);

	umask(mask);
	if (r->hooks)
		hooks_run_all(&r->hooks->poststop, "poststop", r, STOPPED, mask);
}

static bool has_ended(int pidfd, int timeout_ms)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	int n;

	do
		n = poll(&p, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

/* SIGKILL, and wait for its end: it may take a while under load. */
static int end_process(struct found *f, int pidfd, struct err *err)
{
	const char *id = f->record.id;

	if (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH) {
		err_set(err, errno, "kill container \"%s\"", id);
		if (err->num != EACCES || !container_kill_group(f))
			return not_signalled(err->num, err);
	}
	if (!has_ended(pidfd, 30000))
		return err_set(err, 0, "container \"%s\" does not die of SIGKILL", id);
	return 0;
}

/*
 * A `create` that hangs (in a hook) holds the lock.  Asked to stop it undoes what
 * it has done; if it does not, it is killed.
 */
static void end_creator(const struct found *f)
{
	struct err ignored;
	auto_close int fd = -1;

	if (!store_is_locked(f->dir))
		return;
	fd = record_hold_creator(&f->record, &ignored);
	if (fd >= 0 && pidfd_send_signal(fd, SIGTERM, NULL, 0) == 0 && !has_ended(fd, 5000))
		pidfd_send_signal(fd, SIGKILL, NULL, 0);
}

static int delete_container(const struct arguments *a, struct found *f, struct err *err)
{
	const char *id = a->operands[0];
	auto_close int pidfd = -1, again = -1;
	enum status status;

	if (record_hold(f->dir, &f->record, &status, &pidfd, err) < 0)
		return -1;
	if (status != STOPPED && !a->force)
		return err_set(err, 0, "cannot delete container \"%s\": it is %s, not stopped", id,
			       status_names[status]);
	/* Before the lock: a `create` or `start` that hangs holds it until its box dies. */
	if (pidfd >= 0 && end_process(f, pidfd, err) < 0)
		return -1;
	if (a->force)
		end_creator(f);
	if (store_lock(f->store, id, f->dir, err) < 0)
		return -1;
	/* A `create` that was under way may have come to its end. */
	if (record_read(f->dir, id, &f->arena, &f->record, err) < 0 ||
	    record_hold(f->dir, &f->record, &status, &again, err) < 0)
		return -1;
	if (again >= 0 && end_process(f, again, err) < 0)
		return -1;
	/* With what it left behind; in this order, so that it can be tried again. */
	if (group_remove(f->dir, err) < 0 || resctrl_remove(f->dir, err) < 0)
		return -1;
	layers_release(f->dir, id);
	if (store_remove(f->store, id, f->dir, err) < 0)
		return -1;
	run_poststop(&f->record);
	return 0;
}

int cmd_delete(struct arguments *a, struct err *err)
{
	struct found f;
	int bad = container_find(a, a->operands[0], &f, err);

	if (!bad) {
		bad = delete_container(a, &f, err);
		container_finish(&f);
	}
	/* Engines clean up twice: with --force, gone is gone. */
	if (bad && a->force && strstr(err->msg, "does not exist"))
		return 0;
	return bad;
}
