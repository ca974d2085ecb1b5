/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping the host's executable out of the container's hands (CVE-2019-5736).
 *
 * A payload is executed by way of the stub (stub/stub.c), so that nothing of
 * the container ever runs bryo or can ask for its /proc/PID/exe.  What is left
 * are moments in which a process of bryo is visible to processes of a
 * container: when it joins a pid namespace (exec, pods), and when the stub
 * cannot be used (a filter that is installed early may forbid it).  Then the
 * executable must be one that nobody inside can write to.  Either its
 * permissions say so already - the usual case for an ordinary user - or bryo
 * executes itself once more, from a sealed copy: a view of it through an overlay
 * without an upper layer, or, for a caller who may not mount, a copy in memory.
 */
#ifndef BRYO_RUNTIME_SELFEXE_H
#define BRYO_RUNTIME_SELFEXE_H

#include <stdbool.h>

#include "ns/nsset.h"
#include "runtime/base/err.h"

/*
 * Could a process in the box write to our executable?  By its permissions:
 * what the caller itself may not write nobody with less may, unless it is the
 * owner, who may change them; and an inode whose
 * owner and group do not exist in the box's user namespace is out of reach of
 * all capabilities there (capability_wrt_inode_uidgid of user_namespaces(7)).
 */
bool selfexe_is_exposed(const struct nsset *ns);

/*
 * Execute the same command line from a sealed copy.  `preserve` descriptors
 * from 3 on go along.  Returns only on failure, -1 and err.
 */
int selfexe_protect(char *const *argv, unsigned int preserve, struct err *err);

#endif
