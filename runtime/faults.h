/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks of the test build (build/bryo-test, -DBRYO_FAULTS).  In bryo itself
 * they are empty.
 *
 * BRYO_SKIP=ROW takes a row away, BRYO_FAIL=ROW makes it fail, and BRYO_KILL=ROW
 * kills the host with SIGKILL when that row is about to run, on either side.
 *
 * BRYO_RESCTRL=DIRECTORY stands for the mount of resctrl, which few machines
 * have: groups are made and removed there with the files that the kernel puts in.
 * BRYO_APPARMOR=DIRECTORY likewise stands for /proc/self/attr/apparmor, and BRYO_SELINUX
 * for SELinux: "fs" in it for /sys/fs/selinux, "attr" for /proc/self/attr, all else for
 * /etc/selinux.
 */
#ifndef BRYO_RUNTIME_FAULTS_H
#define BRYO_RUNTIME_FAULTS_H

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/box.h"

#ifdef BRYO_FAULTS
/* In the host, before the clone. */
void faults_prepare(struct box *b);
/* Before a row: true when it must not run; *ret is then its result. */
bool faults_inject(struct box *b, const char *row, int *ret, struct err *err);
/* The directories that stand for others, or NULL. */
const char *faults_resctrl(void);
const char *faults_apparmor(void);
const char *faults_selinux(void);
int faults_resctrl_mkdir(int dir, const char *name);
int faults_resctrl_rmdir(int dir, const char *name);
#else
static inline void faults_prepare(struct box *b)
{
	(void)b;
}

static inline bool faults_inject(struct box *b, const char *row, int *ret, struct err *err)
{
	(void)b;
	(void)row;
	(void)ret;
	(void)err;
	return false;
}

static inline const char *faults_resctrl(void)
{
	return NULL;
}

static inline const char *faults_apparmor(void)
{
	return NULL;
}

static inline const char *faults_selinux(void)
{
	return NULL;
}

static inline int faults_resctrl_mkdir(int dir, const char *name)
{
	return mkdirat(dir, name, 0755);
}

static inline int faults_resctrl_rmdir(int dir, const char *name)
{
	return unlinkat(dir, name, AT_REMOVEDIR);
}
#endif

#endif
