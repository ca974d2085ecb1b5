/* SPDX-License-Identifier: Apache-2.0 */
/* The process of `exec`: from process.json, or from the command line. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "ns/cred.h"
#include "runtime/base/fd.h"
#include "runtime/commands.h"

static const struct spec_caps no_caps;

static bool is_empty(const char *s)
{
	return !s || !*s;
}

/* What the process does not say is as it is for the container's first one. */
static void complete(struct spec_process *p, const struct spec_process *first)
{
	if (!p->capabilities)
		p->capabilities = first->capabilities;
	if (!p->rlimits.n)
		p->rlimits = first->rlimits;
	if (!p->oomScoreAdj.set)
		p->oomScoreAdj = first->oomScoreAdj;
	if (is_empty(p->apparmorProfile))
		p->apparmorProfile = first->apparmorProfile;
	if (is_empty(p->selinuxLabel))
		p->selinuxLabel = first->selinuxLabel;
	if (!p->scheduler)
		p->scheduler = first->scheduler;
	if (!p->ioPriority)
		p->ioPriority = first->ioPriority;
	if (!p->execCPUAffinity)
		p->execCPUAffinity = first->execCPUAffinity;
	if (!p->user.umask.set)
		p->user.umask = first->user.umask;
	/* Never less than the container's: its filter may rest on it. */
	p->noNewPrivileges |= first->noNewPrivileges;
}

/* Digits only: names are in the image, which is not to be believed (CVE-2016-3697). */
static int parse_id(const char *option, const char *text, size_t len, uint32_t *ret,
		    struct err *err)
{
	uint64_t id = 0;

	for (size_t i = 0; i < len && id <= UINT32_MAX; i++) {
		if (text[i] < '0' || text[i] > '9')
			id = UINT64_MAX >> 8;
		else
			id = id * 10 + (uint64_t)(text[i] - '0');
	}
	/* (uid_t)-1 means "leave it" to the kernel. */
	if (!len || id >= UINT32_MAX)
		return err_set(err, 0, "%s: \"%.40s\" is not a numeric id below 4294967295", option,
			       text);
	*ret = (uint32_t)id;
	return 0;
}

static int parse_user(const char *text, struct spec_user *u, struct err *err)
{
	size_t len = strcspn(text, ":");

	if (parse_id("--user", text, len, &u->uid, err) < 0)
		return -1;
	/* Groups belong to a user: those of the container's are not this one's. */
	u->additionalGids = (struct u32s){0};
	if (!text[len])
		return 0;
	return parse_id("--user", text + len + 1, strlen(text + len + 1), &u->gid, err);
}

static int add_groups(const struct exec_options *o, struct spec_user *u, struct arena *a,
		      struct err *err)
{
	size_t n = u->additionalGids.n;
	uint32_t *v = arena_array(a, n + o->groups.n + 1, sizeof(*v));

	if (!v)
		return err_set(err, ENOMEM, "the process");
	if (n)
		memcpy(v, u->additionalGids.v, n * sizeof(*v));
	for (size_t i = 0; i < o->groups.n; i++)
		if (parse_id("--additional-gids", o->groups.v[i], strlen(o->groups.v[i]), &v[n + i],
			     err) < 0)
			return -1;
	u->additionalGids = (struct u32s){v, n + o->groups.n};
	return 0;
}

/* `list` with the strings of an option behind it. */
static int append(struct strs *list, const struct opt_list *more, struct arena *a, struct err *err)
{
	if (strs_append(list, (char *const *)more->v, more->n, a) < 0)
		return err_set(err, ENOMEM, "the process");
	return 0;
}

static int add_caps(const struct opt_list *names, struct spec_process *p, struct arena *a,
		    struct err *err)
{
	struct spec_caps *caps = arena_alloc(a, sizeof(*caps));

	if (!caps)
		return err_set(err, ENOMEM, "the process");
	*caps = p->capabilities ? *p->capabilities : no_caps;
	for (size_t i = 0; i < names->n; i++)
		if (!cred_knows_cap(names->v[i]))
			return err_set(err, 0, "--cap: \"%.40s\" is not a capability", names->v[i]);
	p->capabilities = caps;
	if (append(&caps->bounding, names, a, err) < 0 ||
	    append(&caps->permitted, names, a, err) < 0)
		return -1;
	return append(&caps->effective, names, a, err);
}

/* The container's first process, with what the command line says instead. */
static int process_of_options(const struct exec_options *o, char *const *command,
			      const struct spec_process *first, struct arena *a,
			      struct spec_process *p, struct err *err)
{
	const struct opt_list args = {.v = (const char **)command};

	*p = *first;
	p->args = (struct strs){0};
	p->terminal = false;
	while (args.v[p->args.n])
		p->args.n++;
	p->args.v = (char **)command;
	for (size_t i = 0; i < o->env.n; i++)
		if (!strchr(o->env.v[i], '=') || o->env.v[i][0] == '=')
			return err_set(err, 0, "--env: \"%.80s\" is not NAME=VALUE", o->env.v[i]);
	if (o->cwd && o->cwd[0] != '/')
		return err_set(err, 0, "--cwd: \"%.80s\" is not absolute", o->cwd);
	if (o->cwd)
		p->cwd = (char *)o->cwd;
	if (!is_empty(o->apparmor))
		p->apparmorProfile = (char *)o->apparmor;
	if (!is_empty(o->label))
		p->selinuxLabel = (char *)o->label;
	if (o->no_new_privs)
		p->noNewPrivileges = true;
	if (o->user && parse_user(o->user, &p->user, err) < 0)
		return -1;
	if (append(&p->env, &o->env, a, err) < 0 || add_groups(o, &p->user, a, err) < 0)
		return -1;
	return o->caps.n ? add_caps(&o->caps, p, a, err) : 0;
}

static int read_process(const char *file, struct arena *a, struct spec_process **ret,
			struct err *err)
{
	auto_close int fd = open(file, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	char *text;
	size_t len;

	if (fd < 0 || fd_read_all(fd, SPEC_MAX_BYTES, a, &text, &len) < 0)
		return err_set(err, errno, "read %s", file);
	if (spec_parse_process(text, len, a, ret, err) < 0)
		return -1;
	if (!(*ret)->args.n)
		return err_at(err, "/args", 0, "is empty: there is no program to execute");
	return 0;
}

int exec_process(const struct exec_options *o, char *const *command,
		 const struct spec_process *first, struct arena *a, struct spec_process **ret,
		 struct err *err)
{
	struct spec_process *p = arena_alloc(a, sizeof(*p));

	if (!p)
		return err_set(err, ENOMEM, "the process");
	if (o->process) {
		if (read_process(o->process, a, &p, err) < 0)
			return -1;
		complete(p, first);
	} else if (process_of_options(o, command, first, a, p, err) < 0) {
		return -1;
	}
	p->terminal |= o->tty;
	*ret = p;
	return spec_check_process_supported(p, err);
}
