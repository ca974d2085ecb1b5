/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/cred.h"

#include <ctype.h>
#include <grp.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "ns/path.h"
#include "ns/procfs.h"
#include "ns/sys.h"
#include "runtime/base/fd.h"

/* Sets of capabilities, one bit each; the kernel has 41 today. */
typedef uint64_t capset_bits;

int cred_last_cap(void)
{
	return cap_max_bits() - 1;
}

bool cred_knows_cap(const char *name)
{
	cap_value_t value;

	return cap_from_name(name, &value) == 0;
}

const char *cred_cap_name(int cap, char buf[40])
{
	char *name = cap_to_name(cap);

	snprintf(buf, 40, "%s", name ? name : "");
	for (char *p = buf; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	cap_free(name);
	return buf;
}

/*
 * A list of names as bits.  "Capabilities that cannot be mapped to the
 * relevant kernel interface, or cannot be granted otherwise, MUST be logged as
 * a warning" and should not fail (config.md, "Linux Process").
 */
static capset_bits bits_of(const struct strs *names, const char *set, cred_warn_fn *warn, void *arg)
{
	capset_bits bits = 0;

	for (size_t i = 0; i < names->n; i++) {
		cap_value_t v;

		if (cap_from_name(names->v[i], &v) < 0 || v > cred_last_cap())
			warn(arg, "/process/capabilities/%s/%zu: this kernel has no capability %s",
			     set, i, names->v[i]);
		else
			bits |= (capset_bits)1 << v;
	}
	return bits;
}

/* What is asked and cannot be had is warned about and left out. */
static capset_bits grantable(capset_bits asked, capset_bits have, const char *set,
			     cred_warn_fn *warn, void *arg)
{
	char name[40];

	for (int c = 0; c <= cred_last_cap(); c++)
		if ((asked & ~have) & ((capset_bits)1 << c))
			warn(arg, "/process/capabilities/%s: %s cannot be granted here", set,
			     cred_cap_name(c, name));
	return asked & have;
}

static capset_bits current(cap_flag_t flag)
{
	cap_t caps = cap_get_proc();
	capset_bits bits = 0;

	for (int c = 0; caps && c <= cred_last_cap(); c++) {
		cap_flag_value_t v = CAP_CLEAR;

		if (cap_get_flag(caps, c, flag, &v) == 0 && v == CAP_SET)
			bits |= (capset_bits)1 << c;
	}
	cap_free(caps);
	return bits;
}

static int set_flags(cap_t caps, cap_flag_t flag, capset_bits bits)
{
	for (cap_value_t c = 0; c <= cred_last_cap(); c++)
		if ((bits & ((capset_bits)1 << c)) && cap_set_flag(caps, flag, 1, &c, CAP_SET) < 0)
			return -1;
	return 0;
}

static int set_caps(capset_bits effective, capset_bits permitted, capset_bits inheritable,
		    struct err *err)
{
	cap_t caps = cap_init();
	int bad = !caps || set_flags(caps, CAP_EFFECTIVE, effective) < 0 ||
		  set_flags(caps, CAP_PERMITTED, permitted) < 0 ||
		  set_flags(caps, CAP_INHERITABLE, inheritable) < 0 || cap_set_proc(caps) < 0;

	if (bad)
		err_at(err, "/process/capabilities", errno, "set the capabilities");
	cap_free(caps);
	return bad ? -1 : 0;
}

/* Of those asked, the ones that are in the bounding set. */
static capset_bits bounded(capset_bits asked)
{
	for (cap_value_t c = 0; c <= cred_last_cap(); c++)
		if ((asked & ((capset_bits)1 << c)) && cap_get_bound(c) != 1)
			asked &= ~((capset_bits)1 << c);
	return asked;
}

int cred_bounding_set(const struct spec_caps *caps, cred_warn_fn *warn, void *arg, struct err *err)
{
	static const struct spec_caps none;
	capset_bits keep = bits_of(&(caps ? caps : &none)->bounding, "bounding", warn, arg);

	keep = grantable(keep, bounded(keep), "bounding", warn, arg);
	/* Dropping one that is not there is no error, and cheaper than to ask. */
	for (cap_value_t c = 0; c <= cred_last_cap(); c++)
		if (!(keep & ((capset_bits)1 << c)) && cap_drop_bound(c) < 0)
			return err_at(err, "/process/capabilities/bounding", errno,
				      "drop capability %d from the bounding set", c);
	return 0;
}

/*
 * The kernel clears the effective set when root becomes somebody else; the
 * permitted one stays with PR_SET_KEEPCAPS.  Rows between here and the
 * capabilities row (a filter without no_new_privs, a cwd that only root may
 * enter) need it.
 */
static int change_ids(const struct spec_user *u, struct err *err)
{
	capset_bits permitted;

	if (prctl(PR_SET_KEEPCAPS, 1) < 0)
		return err_set(err, errno, "prctl(PR_SET_KEEPCAPS)");
	if (setresgid(u->gid, u->gid, u->gid) < 0)
		return err_at(err, "/process/user/gid", errno, "become gid %u", u->gid);
	if (setresuid(u->uid, u->uid, u->uid) < 0)
		return err_at(err, "/process/user/uid", errno, "become uid %u", u->uid);
	if (prctl(PR_SET_KEEPCAPS, 0) < 0)
		return err_set(err, errno, "prctl(PR_SET_KEEPCAPS)");
	permitted = current(CAP_PERMITTED);
	return set_caps(permitted, permitted, 0, err);
}

static bool is_mapped(const struct spec_idmaps *maps, uint32_t id)
{
	for (size_t i = 0; i < maps->n; i++)
		if (id >= maps->v[i].containerID && id - maps->v[i].containerID < maps->v[i].size)
			return true;
	return !maps->n;
}

static int unmapped(const char *ptr, uint32_t id, struct err *err)
{
	err_at(err, ptr, 0, "%u is not mapped in the container's user namespace", id);
	return err_hint(err, "grant a range in /etc/subuid and /etc/subgid, or add it to "
			     "linux.uidMappings and gidMappings");
}

static int set_groups(const struct spec_user *u, const struct nsset *ns, int procfd,
		      struct err *err)
{
	const struct u32s *g = &u->additionalGids;

	for (size_t i = 0; i < g->n; i++) {
		if (is_mapped(&ns->gid, g->v[i]))
			continue;
		unmapped("", g->v[i], err);
		return err_under(err, "/process/user/additionalGids/%zu", i);
	}
	if (setgroups(g->n, g->v) == 0)
		return 0;
	/*
	 * Where setgroups is denied the caller's groups cannot be dropped: a file
	 * may deny a group what it grants to others.
	 */
	err_at(err, "/process/user/additionalGids", errno, "set the supplementary groups");
	if (!(ns->target ? ns->groups_denied : nsset_denies_groups(procfd, "self")))
		return -1;
	if (!g->n)
		return 0;
	return err_hint(err, "with a single mapped gid the kernel allows none: map a range");
}

int cred_user(const struct spec_user *u, const struct nsset *ns, int procfd, struct err *err)
{
	if (!is_mapped(&ns->uid, u->uid))
		return unmapped("/process/user/uid", u->uid, err);
	if (!is_mapped(&ns->gid, u->gid))
		return unmapped("/process/user/gid", u->gid, err);
	if (set_groups(u, ns, procfd, err) < 0)
		return -1;
	return change_ids(u, err);
}

static int raise_ambient(capset_bits bits, struct err *err)
{
	if (cap_reset_ambient() < 0)
		return err_at(err, "/process/capabilities/ambient", errno, "clear the set");
	for (cap_value_t c = 0; c <= cred_last_cap(); c++)
		if ((bits & ((capset_bits)1 << c)) && cap_set_ambient(c, CAP_SET) < 0)
			return err_at(err, "/process/capabilities/ambient", errno,
				      "raise capability %d", c);
	return 0;
}

int cred_capabilities(const struct spec_caps *caps, cred_warn_fn *warn, void *arg, struct err *err)
{
	static const struct spec_caps none;
	capset_bits have = current(CAP_PERMITTED), p, e, i, a;

	if (!caps)
		caps = &none;
	p = grantable(bits_of(&caps->permitted, "permitted", warn, arg), have, "permitted", warn,
		      arg);
	e = grantable(bits_of(&caps->effective, "effective", warn, arg), p, "effective", warn, arg);
	/* capset(2): not more than the bounding set without CAP_SETPCAP. */
	i = bits_of(&caps->inheritable, "inheritable", warn, arg);
	i = grantable(i, bounded(i & have), "inheritable", warn, arg);
	/* capabilities(7): ambient ones are permitted and inheritable. */
	a = grantable(bits_of(&caps->ambient, "ambient", warn, arg), p & i, "ambient", warn, arg);
	if (set_caps(e, p, i, err) < 0)
		return -1;
	return raise_ambient(a, err);
}

#define BIT(cap) ((capset_bits)1 << (cap))

/* The rows do, and say so then. */
static void no_warning(void *arg, const char *fmt, ...)
{
	(void)arg;
	(void)fmt;
}

int cred_narrow(const struct spec_caps *caps, bool limits, bool filter, struct err *err)
{
	/* To drop from the bounding set; ids and groups; a terminal, and a cwd for its user. */
	capset_bits keep = BIT(CAP_SETPCAP) | BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_CHOWN) |
			   BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH);
	capset_bits have = current(CAP_PERMITTED);

	if (limits)
		keep |= BIT(CAP_SYS_RESOURCE);
	if (filter)
		keep |= BIT(CAP_SYS_ADMIN);
	if (caps)
		keep |= bits_of(&caps->permitted, "permitted", no_warning, NULL) |
			bits_of(&caps->inheritable, "inheritable", no_warning, NULL);
	/* Root would have by execve(2) what is left there. */
	if (cred_bounding_set(caps, no_warning, NULL, err) < 0)
		return -1;
	return set_caps(keep & have, keep & have, 0, err);
}

int cred_lower(struct err *err)
{
	cap_t caps = cap_get_proc();
	int bad = !caps || cap_clear_flag(caps, CAP_EFFECTIVE) < 0 || cap_set_proc(caps) < 0;

	if (bad)
		err_at(err, "/process/capabilities", errno, "lower the capabilities");
	cap_free(caps);
	return bad ? -1 : 0;
}

int cred_no_new_privs(struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_at(err, "/process/noNewPrivileges", errno, "prctl(PR_SET_NO_NEW_PRIVS)");
	return 0;
}

static int limit_failed(size_t i, const struct spec_rlimit *l, struct err *err)
{
	struct rlimit old;

	err_set(err, errno, "set the limit");
	if (err->num == EPERM && getrlimit((__rlimit_resource_t)l->type, &old) == 0)
		err_hint(err, "the caller's hard limit is %llu and only CAP_SYS_RESOURCE raises it",
			 (unsigned long long)old.rlim_max);
	return err_under(err, "/process/rlimits/%zu", i);
}

int cred_raise_limits(const struct spec_rlimits *limits, struct err *err)
{
	for (size_t i = 0; i < limits->n; i++) {
		const struct spec_rlimit *l = &limits->v[i];
		struct rlimit r;

		if (getrlimit((__rlimit_resource_t)l->type, &r) < 0)
			return limit_failed(i, l, err);
		if (l->hard <= r.rlim_max)
			continue;
		r.rlim_max = l->hard;
		if (setrlimit((__rlimit_resource_t)l->type, &r) < 0)
			return limit_failed(i, l, err);
	}
	return 0;
}

int cred_rlimits(const struct spec_rlimits *limits, struct err *err)
{
	for (size_t i = 0; i < limits->n; i++) {
		const struct spec_rlimit *l = &limits->v[i];
		struct rlimit r = {.rlim_cur = l->soft, .rlim_max = l->hard};

		if (setrlimit((__rlimit_resource_t)l->type, &r) < 0)
			return limit_failed(i, l, err);
	}
	return 0;
}

int cred_oom_score(int64_t score, int procfd, struct err *err)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", (int)score);

	if (procfs_write(procfd, "self/oom_score_adj", text, (size_t)n) == 0)
		return 0;
	err_at(err, "/process/oomScoreAdj", errno, "set oom_score_adj to %s", text);
	if (err->num == EACCES)
		err_hint(err, "a value below the caller's own needs CAP_SYS_RESOURCE");
	return -1;
}

int cred_keyring(struct err *err)
{
	/*
	 * Without a name: one of that name could be there already, made by
	 * another container of the same user for us to find.
	 */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0)
		return 0;
	/* A kernel without keyrings has none that could be shared. */
	if (errno == ENOSYS)
		return 0;
	err_set(err, errno, "join a new session keyring");
	return err_hint(err, "quotas: /proc/sys/kernel/keys; or pass --no-new-keyring");
}

int cred_session(struct err *err)
{
	if (setsid() < 0)
		return err_set(err, errno, "setsid");
	return 0;
}

int cred_signals(struct err *err)
{
	/* All zero is SIG_DFL in the kernel's struct sigaction of every architecture. */
	static const unsigned long dfl[16];
	sigset_t none;

	/*
	 * Handlers go with execve(2); what is ignored stays so (conmon ignores
	 * SIGPIPE).  glibc's sigaction(3) refuses its own signals 32 and 33, which
	 * its posix_spawn(3), and so make, leaves ignored: hence the system call.
	 */
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP &&
		    syscall(SYS_rt_sigaction, sig, dfl, NULL, (NSIG - 1) / 8) < 0)
			return err_set(err, errno, "reset signal %d", sig);
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return err_set(err, errno, "unblock signals");
	return 0;
}

int cred_cwd(const char *cwd, struct err *err)
{
	auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_close int fd = root < 0 ? -1 : path_open(root, cwd, O_PATH | O_DIRECTORY, 0);
	char where[PATH_MAX];

	if (fd < 0 || fchdir(fd) < 0)
		return err_at(err, "/process/cwd", errno, "enter %s", cwd);
	/*
	 * Trust boundary: a directory outside the root has no path here, and the
	 * system call says "(unreachable)".
	 */
	if (syscall(SYS_getcwd, where, sizeof(where)) < 0)
		return err_at(err, "/process/cwd", errno, "getcwd in %s", cwd);
	if (where[0] != '/')
		return err_at(err, "/process/cwd", 0, "%s is outside the container", cwd);
	return 0;
}
