/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the payload is allowed: ids, capabilities, limits, and its place in
 * sessions and keyrings (credentials(7), capabilities(7), getrlimit(2)).
 * All of it is for the calling process, the box.
 */
#ifndef BRYO_NS_CRED_H
#define BRYO_NS_CRED_H

#include <stdbool.h>
#include <sys/types.h>

#include "ns/nsset.h"
#include "runtime/base/err.h"
#include "spec/spec.h"

/* Told of everything that the specification wants warned about. */
typedef void cred_warn_fn(void *arg, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Drop from the bounding set what /process/capabilities/bounding does not list;
 * an absent list drops all.  Unknown and ungrantable ones are warned about.
 */
int cred_bounding_set(const struct spec_caps *caps, cred_warn_fn *warn, void *arg, struct err *err);

/*
 * Supplementary groups, gid, uid.  procfd is not used by who joins a process.  Permitted
 * capabilities are kept over the change and made effective again: later rows need them.
 */
int cred_user(const struct spec_user *u, const struct nsset *ns, int procfd, struct err *err);

/* The other four sets, exactly; the last row that needs privilege is before it. */
int cred_capabilities(const struct spec_caps *caps, cred_warn_fn *warn, void *arg, struct err *err);

/*
 * Drop for good, and before cred_bounding_set(), what neither `caps` lists nor a row
 * up to cred_capabilities() needs: raising limits and a filter without no_new_privs
 * only where there are such.
 */
int cred_narrow(const struct spec_caps *caps, bool limits, bool filter, struct err *err);

/*
 * None is effective until the next execve(2), which makes of the other sets what it
 * would have made anyway (capabilities(7)): it does not look at this one.
 */
int cred_lower(struct err *err);

int cred_no_new_privs(struct err *err);
/*
 * Hard limits that are to be higher than they are: while there is privilege.
 * cred_rlimits() then sets all of them as asked; lowering is always allowed.
 */
int cred_raise_limits(const struct spec_rlimits *limits, struct err *err);
int cred_rlimits(const struct spec_rlimits *limits, struct err *err);
int cred_oom_score(int64_t score, int procfd, struct err *err);

/* A new session keyring (session-keyring(7)). */
int cred_keyring(struct err *err);

/* A new session: no controlling terminal is shared (setsid(2)). */
int cred_session(struct err *err);

/* Default dispositions and an empty mask. */
int cred_signals(struct err *err);

/*
 * Enter the working directory: resolved inside the root without magic links,
 * and verified to be inside (CVE-2024-21626).
 */
int cred_cwd(const char *cwd, struct err *err);

/*
 * AppArmor.  Is it switched on?  In the host: its files are there even if it is
 * not, and who is in the container sees the image's idea of /sys.
 */
int apparmor_check(struct err *err);

/*
 * The directory of the calling process's files, or -1 and err; whether the profile
 * is loaded; what is to be written there to the file "exec"; writing it, for the next
 * program that this process executes; and what its failure means (profile NULL: not known).
 */
int apparmor_open(int procfd, struct err *err);
int apparmor_find(int dir, const char *profile, struct arena *a, struct err *err);
char *apparmor_request(const char *profile, struct arena *a);
int apparmor_set(int dir, const char *profile, const char *request, struct err *err);
int apparmor_failed(const char *profile, int num, struct err *err);

/* JSON names of capabilities: "CAP_CHOWN" ...; the bounding set as the kernel has it. */
int cred_last_cap(void);
bool cred_knows_cap(const char *name);
const char *cred_cap_name(int cap, char buf[40]);

/* Write the namespaced sysctls; `key` with dots or slashes. */
int sysctl_check(const struct pairs *list, const struct nsset *ns, struct err *err);
int sysctl_write(const struct pairs *list, int procfd, struct err *err);

#endif
