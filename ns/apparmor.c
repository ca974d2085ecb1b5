/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AppArmor's profile of the next program: /proc/self/attr/apparmor/exec of
 * apparmor(7).  The kernel takes the name from the process alone that has opened
 * the file, and counts a new program as a new process: so whoever executes the
 * payload has to open it, too.
 */
#include <stdio.h>
#include <string.h>

#include "ns/cred.h"
#include "ns/procfs.h"
#include "ns/sys.h"
#include "runtime/base/fd.h"

int apparmor_check(struct err *err)
{
	auto_close int fd = open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC);
	char c = 'N';

	if (fd >= 0 && read(fd, &c, 1) == 1 && c == 'Y')
		return 0;
	return err_at(err, "/process/apparmorProfile", 0, "AppArmor is not enabled on this host");
}

int apparmor_open(int procfd, struct err *err)
{
	int fd = procfs_open(procfd, "self/attr/apparmor", O_PATH | O_DIRECTORY);

	return fd < 0 ? err_at(err, "/process/apparmorProfile", errno, "AppArmor's files") : fd;
}

/*
 * For whom the request will be made later, by somebody with less to say.  The kernel
 * answers what it would, and changes nothing; of its answers one is taken: permission
 * to change at once is another than that to change by execve(2).
 */
int apparmor_find(int dir, const char *profile, struct arena *a, struct err *err)
{
	auto_close int fd = procfs_open(dir, "current", O_WRONLY);
	const char *question = arena_printf(a, "permprofile %s", profile);

	if (!question)
		return err_at(err, "/process/apparmorProfile", ENOMEM, "the profile");
	if (fd >= 0 && fd_write_once(fd, question, strlen(question)) < 0 && errno == ENOENT)
		return apparmor_failed(profile, ENOENT, err);
	return 0;
}

char *apparmor_request(const char *profile, struct arena *a)
{
	return arena_printf(a, "exec %s", profile);
}

int apparmor_failed(const char *profile, int num, struct err *err)
{
	err_at(err, "/process/apparmorProfile", num, "change to the profile%s%.100s",
	       profile ? " " : "", profile ? profile : "");
	if (num == ENOENT)
		err_hint(err, "it is not loaded: see aa-status(8)");
	return -1;
}

int apparmor_set(int dir, const char *profile, const char *request, struct err *err)
{
	if (procfs_write(dir, "exec", request, strlen(request)) < 0)
		return apparmor_failed(profile, errno, err);
	return 0;
}
