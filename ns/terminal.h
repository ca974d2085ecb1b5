/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pseudo-terminal of a process that is to have one (config.md, "Linux Process";
 * pty(7), ioctl_tty(2)).  All of it is for the box, once its root is the container's.
 *
 * Trust boundary: /dev is the image's, or another container shares it.  The
 * terminal is therefore got from a ptmx that is verified to be one, and its other
 * end from the first (TIOCGPTPEER), never by a path like /dev/pts/0
 * (CVE-2025-52565).
 */
#ifndef BRYO_NS_TERMINAL_H
#define BRYO_NS_TERMINAL_H

#include "runtime/base/err.h"
#include "spec/spec.h"

struct terminal {
	int master, slave;
};

/* A new one of the container's devpts, with the size if that is known. */
int terminal_open(const struct spec_console *size, struct terminal *ret, struct err *err);

/* Bind the slave to /dev/console, whatever is there; a link is not followed. */
int terminal_bind_console(int slave, struct err *err);

/*
 * Make it the controlling terminal of the caller, who leads a session without one,
 * its standard streams, and the user's.  The slave's descriptor is closed.
 */
int terminal_take(int slave, const struct spec_user *user, struct err *err);

#endif
