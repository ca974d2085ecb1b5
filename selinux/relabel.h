/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels on the files of a volume.
 *
 * Trust boundary: the tree may be a stranger's, and change meanwhile.  The walk goes from
 * descriptor to descriptor, follows no link, and stays in the one mount; so it labels
 * nothing but what is in that directory.  What a whole host rests on is refused.
 */
#ifndef BRYO_SELINUX_RELABEL_H
#define BRYO_SELINUX_RELABEL_H

#include "runtime/base/err.h"

/*
 * May this be relabelled at all?  `tree` is what is meant, an O_PATH descriptor, and
 * `source` its absolute name on the host, which the caller can still see.
 */
int relabel_check(int tree, const char *source, struct err *err);

/*
 * All that is in `tree` and has another label, and itself.  What a first call has
 * done a second one does not do again.  `procfd` is a verified procfs; the working
 * directory changes.
 */
int relabel_tree(int tree, int procfd, const char *label, struct err *err);

#endif
