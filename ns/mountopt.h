/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mount options as the configuration has them (config.md, "Linux mount
 * options"; mount(8)) into what the mount API wants: attributes of the mount
 * (mount_setattr(2)), its propagation, and parameters of the file system
 * (fsconfig(2)).  Pure: nothing here touches the kernel.
 */
#ifndef BRYO_NS_MOUNTOPT_H
#define BRYO_NS_MOUNTOPT_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "spec/spec.h"

/* Attributes to set and to clear, MOUNT_ATTR_*. */
struct mount_attrs {
	uint64_t set, clr;
};

/* Of SELinux: the files of a volume, for all containers or for this one. */
enum mount_relabel { RELABEL_NOT, RELABEL_SHARED, RELABEL_PRIVATE };

struct mount_opts {
	bool bind, rec; /* bind; rec: rbind */
	bool remount;
	bool copyup; /* tmpcopyup */
	enum mount_relabel relabel;
	bool idmap, idmap_rec;
	struct mount_attrs one;   /* the mount itself */
	struct mount_attrs all;   /* it and those below it: ro -> rro */
	unsigned int propagation; /* MS_PRIVATE ..., 0 when not asked */
	bool propagation_rec;
	/*
	 * The rest, for fsconfig(2): "key=value" or "flag".  data_index[i] is the
	 * place in the configuration's list, for errors.
	 */
	struct strs data;
	size_t *data_index;
};

/* One option's description, for bryo-config(5) and `bryo features`. */
const char *mount_option_name(size_t i); /* NULL behind the last */

/*
 * Parse the options of one mount.  -1: err->ptr is relative to the mount
 * ("/options/2").
 */
int mount_opts_parse(const struct spec_mount *m, struct arena *a, struct mount_opts *ret,
		     struct err *err);

#endif
