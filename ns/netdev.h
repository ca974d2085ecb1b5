/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network devices of the host that are moved into the box's network namespace
 * (/linux/netDevices).  What happens to them there later is not our matter; but
 * when the container cannot be made, they come back as they were.
 */
#ifndef BRYO_NS_NETDEV_H
#define BRYO_NS_NETDEV_H

#include <sys/types.h>

#include "ns/netlink.h"
#include "ns/nsset.h"
#include "runtime/base/arena.h"
#include "spec/spec.h"

struct netdev;

/* One of the two namespaces: a handle of it, and a socket in it. */
struct netspace {
	int ns;
	struct netlink link;
};

struct netdevs {
	bool begun; /* the rest is set */
	struct netspace host, box;
	struct netdev *v; /* those that have been moved */
	size_t n;
};

/* Move all of them; needs privilege in both namespaces.  -1 and err, after which some are moved. */
int netdevs_move(struct netdevs *d, const struct spec_netdevs *list, const struct nsset *ns,
		 struct arena *a, struct err *err);

/* Bring back what was moved; -1 and err is the first failure, after which it goes on. */
int netdevs_bring_back(struct netdevs *d, struct err *err);

/* Close the handles: the devices stay where they are.  Idempotent. */
void netdevs_finish(struct netdevs *d);

#endif
