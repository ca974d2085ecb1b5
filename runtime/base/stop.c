/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/stop.h"

#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>

sigset_t stop_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	return set;
}

int stop_open(struct err *err)
{
	sigset_t set = stop_signals();
	int fd = signalfd(-1, &set, SFD_CLOEXEC);

	if (fd < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_set(err, errno, "signalfd");
	return fd;
}

int stop_interrupted(int sig, struct err *err)
{
	err_set(err, 0, "interrupted by signal %d (%s)", sig, strsignal(sig));
	err->exit = 128 + sig;
	return -1;
}
