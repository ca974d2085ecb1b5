/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "seccomp/filter.h"

/* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV; Linux 5.19. */
#define WAIT_KILLABLE (1U << 5)

static const struct {
	unsigned int flag;
	const char *name;
} flag_names[] = {
	{SECCOMP_FILTER_FLAG_TSYNC, "SECCOMP_FILTER_FLAG_TSYNC"},
	{SECCOMP_FILTER_FLAG_LOG, "SECCOMP_FILTER_FLAG_LOG"},
	{SECCOMP_FILTER_FLAG_SPEC_ALLOW, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"},
	{SECCOMP_FILTER_FLAG_NEW_LISTENER, "SECCOMP_FILTER_FLAG_NEW_LISTENER"},
	{SECCOMP_FILTER_FLAG_TSYNC_ESRCH, "SECCOMP_FILTER_FLAG_TSYNC_ESRCH"},
	{WAIT_KILLABLE, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"},
};

static long set_filter(unsigned int flags, const struct sock_fprog *prog)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, prog);
}

static const char *flag_name(unsigned int flag)
{
	for (size_t i = 0; i < sizeof(flag_names) / sizeof(*flag_names); i++) {
		if (flag_names[i].flag == flag)
			return flag_names[i].name;
	}
	return "a seccomp flag";
}

/*
 * Flags are looked at before the program, so without one a known flag is EFAULT;
 * but one of them is refused on its own.
 */
static unsigned int unknown_flag(unsigned int flags)
{
	for (unsigned int flag = 1; flag; flag <<= 1) {
		unsigned int with = flag == WAIT_KILLABLE ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;

		if ((flags & flag) && set_filter(flag | with, NULL) == -1 && errno == EINVAL)
			return flag;
	}
	return 0;
}

static int explain(const struct filter *f, int num, struct err *err)
{
	unsigned int flag = num == EINVAL ? unknown_flag(f->flags) : 0;

	if (flag)
		return err_at(err, "/linux/seccomp/flags", num,
			      "this kernel does not know %s (%#x)", flag_name(flag), flag);
	err_at(err, "/linux/seccomp", num, "install the seccomp filter");
	if (num == EACCES)
		err_hint(err, "needs process.noNewPrivileges or CAP_SYS_ADMIN");
	else if (num == EBUSY)
		err_hint(err, "the caller has a filter with a listener already, and the kernel "
			      "allows one only");
	return -1;
}

int filter_install(const struct filter *f, int *ret_listener, struct err *err)
{
	bool listens = f->flags & SECCOMP_FILTER_FLAG_NEW_LISTENER;
	struct sock_fprog prog = {.len = (unsigned short)f->n, .filter = f->insns};
	long r = set_filter(f->flags, &prog);

	if (r < 0)
		return explain(f, errno, err);
	/* TSYNC reports a thread that it could not bring along as a success. */
	if (r > 0 && !listens)
		return err_at(err, "/linux/seccomp", 0,
			      "thread %ld cannot get the seccomp filter: it has another one", r);
	*ret_listener = listens ? (int)r : -1;
	return 0;
}
