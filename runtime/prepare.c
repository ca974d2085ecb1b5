/* SPDX-License-Identifier: Apache-2.0 */
/* From a bundle to a box that is ready to be walked: nothing is made here. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ns/cred.h"
#include "ns/procfs.h"
#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/commands.h"
#include "runtime/faults.h"
#include "runtime/notify.h"
#include "runtime/payload.h"
#include "runtime/record.h"
#include "runtime/rows.h"
#include "runtime/store.h"

/* Not a FIFO or a device, which could make us wait or read for ever. */
static int read_config(const char *bundle, struct arena *a, char **ret_text, size_t *ret_len,
		       struct err *err)
{
	auto_close int dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_close int fd = -1;
	struct stat st;

	if (dir < 0)
		return err_set(err, errno, "open the bundle %s", bundle);
	fd = openat(dir, "config.json", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_set(err, errno, "open config.json in the bundle %s", bundle);
		if (err->num == ENOENT)
			err_hint(err, "make one with: bryo spec -b %s", bundle);
		return -1;
	}
	if (!S_ISREG(st.st_mode))
		return err_set(err, 0, "config.json in the bundle %s is not a regular file",
			       bundle);
	if (fd_read_all(fd, SPEC_MAX_BYTES, a, ret_text, ret_len) < 0)
		return err_set(err, errno, "read config.json in the bundle %s", bundle);
	return 0;
}

/* An absent /linux is an empty one: so nothing below has to ask. */
static int parse_config(struct box *b, struct spec **ret, struct err *err)
{
	struct spec *s;

	if (spec_parse(b->config, b->config_len, b->arena, &s, err) < 0)
		return -1;
	if (!s->linux_)
		s->linux_ = arena_alloc(b->arena, sizeof(*s->linux_));
	if (!s->linux_)
		return err_set(err, ENOMEM, "the configuration");
	b->spec = *ret = s;
	return 0;
}

static int load_spec(struct box *b, const char *root, struct err *err)
{
	struct spec *s;

	if (parse_config(b, &s, err) < 0)
		return -1;
	if (!s->process && b->op == OP_RUN)
		return err_at(err, "/process", 0, "is needed to run the container");
	return b->id ? notify_plan(b, s, root, err) : 0;
}

static int absolute_bundle(struct box *b, struct err *err)
{
	const char *given = b->opt.bundle ? b->opt.bundle : ".";
	char *path = realpath(given, NULL);

	if (!path)
		return err_set(err, errno, "the bundle %s", given);
	b->bundle = arena_strdup(b->arena, path);
	free(path);
	return b->bundle ? 0 : err_set(err, ENOMEM, "the bundle");
}

int box_read_bundle(struct box *b, struct err *err)
{
	char *text = NULL;

	if (absolute_bundle(b, err) < 0 ||
	    read_config(b->bundle, b->arena, &text, &b->config_len, err) < 0)
		return -1;
	b->config = text;
	return 0;
}

static void tell_added_userns(const struct nsset *ns)
{
	if (!ns->added_userns)
		return;
	log_debug("added a user namespace: you are not root, and the configuration has none; "
		  "uid %u is root in it%s",
		  geteuid(), ns->uid.n > 1 ? ", your subordinate ids follow" : "");
	if (ns->uid.n == 1)
		log_debug("no subordinate ids for you in /etc/subuid and /etc/subgid, or no "
			  "newuidmap: no other id exists in the container");
}

static int plan_cgroup(struct box *b, struct err *err)
{
	const struct cgroup_wish wish = {
		.manager = b->cgroup_manager,
		.linux_ = b->spec->linux_,
		.id = b->id ? b->id : "ID",
		.ordinary = !b->ns.privileged || b->ns.in_child_userns,
		.may_load = b->ns.privileged && !b->ns.in_child_userns,
	};

	return cgroup_plan(&b->cgroup, &wish, b->arena, err);
}

static void plan_agent(struct box *b)
{
	const struct spec_seccomp *s = b->spec->linux_->seccomp;

	b->agent.page = b->agent.helper = b->apparmor.dir = b->label.dir = -1;
	if (!s || !spec_seccomp_notifies(s))
		return;
	b->agent.path = s->listenerPath;
	b->agent.metadata = s->listenerMetadata;
}

static int check_apparmor(const struct box *b, struct err *err)
{
	if (!row_has_apparmor(b) || faults_apparmor())
		return 0;
	return apparmor_check(err);
}

int box_begin(struct box *b, struct err *err)
{
	mode_t mask = umask(0);

	umask(mask);
	b->umask = mask;
	b->dir = b->listener = b->waiting = b->chan = b->sigfd = b->stub = -1;
	b->console = b->terminal = b->notify = b->exit_file = -1;
	b->procfd = procfs_open_root(err);
	return b->procfd < 0 ? -1 : 0;
}

/* With a terminal somebody must have the other end of it, and the other way round. */
static int check_terminal(const struct box *b, struct err *err)
{
	bool wanted = b->spec->process && b->spec->process->terminal;

	if (wanted && !b->opt.console_socket && (b->op == OP_CREATE || b->opt.detach)) {
		err_at(err, "/process/terminal", 0, "nobody would have the terminal");
		return err_hint(err, "%s, or give --console-socket",
				b->op == OP_CREATE ? "run it" : "do not detach");
	}
	if (!wanted && b->opt.console_socket)
		return err_set(err, 0, "--console-socket %s: the process has no terminal",
			       b->opt.console_socket);
	return 0;
}

static int prepare_env(struct box *b, const struct spec_process *p, struct err *err)
{
	struct strs env = p->env;

	if (b->opt.listen_fds &&
	    payload_listen_env(&env, b->opt.listen_fds, b->arena, &b->listen_pid, err) < 0)
		return -1;
	return payload_env(&env, b->arena, &b->env, err);
}

int box_plan(struct box *b, struct err *err)
{
	if (nsset_plan(&b->ns, b->spec, b->may_add_userns, b->arena, err) < 0)
		return -1;
	tell_added_userns(&b->ns);
	plan_agent(b);
	if (spec_check_supported(b->spec, err) < 0 || check_apparmor(b, err) < 0 ||
	    plan_cgroup(b, err) < 0 ||
	    mountset_plan(&b->mounts, b->spec, &b->ns, b->arena, err) < 0 ||
	    box_plan_overlay(b, err) < 0 || box_plan_label(b, err) < 0 ||
	    sysctl_check(&b->spec->linux_->sysctl, &b->ns, err) < 0)
		return -1;
	if (b->mounts.dropped_gid)
		log_debug("left out gid= of a devpts: the group does not exist in the container");
	if (b->spec->process)
		return prepare_env(b, b->spec->process, err);
	return 0;
}

int box_prepare(struct box *b, const char *root, struct err *err)
{
	if (box_begin(b, err) < 0 || box_read_bundle(b, err) < 0 || load_spec(b, root, err) < 0 ||
	    check_terminal(b, err) < 0)
		return -1;
	return box_plan(b, err);
}

/* ---- exec ---- */

static int read_stored_config(struct box *b, struct err *err)
{
	auto_close int fd =
		openat(b->dir, STORED_CONFIG, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char *text;

	if (fd < 0 || fd_read_all(fd, SPEC_MAX_BYTES, b->arena, &text, &b->config_len) < 0)
		return err_set(err, errno, "read the configuration of container \"%s\"", b->id);
	b->config = text;
	return 0;
}

int box_prepare_exec(struct box *b, int dir, const struct exec_options *o, char *const *command,
		     struct err *err)
{
	struct spec_process *p;
	struct spec *s;

	b->dir = dir;
	if (read_stored_config(b, err) < 0 || parse_config(b, &s, err) < 0)
		return -1;
	if (!s->process)
		return err_set(err, 0, "container \"%s\" has no process to go by", b->id);
	/* What was chosen is not in the configuration. */
	if (!s->process->selinuxLabel)
		s->process->selinuxLabel = b->record->selinuxLabel;
	if (exec_process(o, command, s->process, b->arena, &p, err) < 0)
		return -1;
	s->process = p;
	plan_agent(b);
	if (check_terminal(b, err) < 0 || check_apparmor(b, err) < 0 || box_plan_label(b, err) < 0)
		return -1;
	return prepare_env(b, p, err);
}
