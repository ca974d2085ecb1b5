/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /linux/resources/devices as an eBPF program of a cgroup (BPF_PROG_TYPE_CGROUP_DEVICE):
 * cgroup v2 has no file for them.  The kernel asks it at each open(2) and
 * mknod(2) of a device.
 *
 * For every right that is asked for (read, write, mknod) the last entry counts
 * that names the device and the right; a right that no entry names is granted,
 * as in an untouched cgroup of v1.  Behind the entries of the configuration
 * stand those of the devices that every container has, as with every peer:
 * engines send "deny all" and rely on it.
 */
#ifndef BRYO_CGROUP_DEVICE_H
#define BRYO_CGROUP_DEVICE_H

#include <linux/bpf.h>
#include <stddef.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "spec/spec.h"

struct device_program {
	struct bpf_insn *v;
	size_t n;
	bool allows_all; /* need not be attached to a new cgroup */
};

/* In the arena; -1 when there is no memory, or there are too many entries. */
int device_program_make(const struct spec_devrules *rules, struct arena *a,
			struct device_program *ret, struct err *err);

/*
 * Load it and attach it to the cgroup, in place of ours that may be there: at
 * no moment is there none.  Programs of others stay, and hold too.
 */
int device_program_attach(int dir, const struct device_program *p, struct err *err);

#endif
