/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The little of rtnetlink(7) that moving a network device needs.  No library:
 * Debian has no static archive of libmnl (see nsset_loopback_up()).  What does not
 * have the form that the kernel gives its messages is an error.
 */
#ifndef BRYO_NS_NETLINK_H
#define BRYO_NS_NETLINK_H

#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"

struct netlink {
	int fd; /* -1 */
	uint32_t seq;
};

/* A request under construction; too much of it is an error when it is sent. */
struct netlink_request {
	_Alignas(NLMSG_ALIGNTO) char buf[512];
	size_t len; /* more than there is room for: it did not fit */
};

/* A socket in the network namespace of the caller. */
int netlink_open(struct netlink *ret, struct err *err);

/* The header that the type wants, of a multiple of four bytes, is first. */
void netlink_begin(struct netlink_request *r, uint16_t type, uint16_t flags, const void *head,
		   size_t len);
void netlink_put(struct netlink_request *r, uint16_t type, const void *data, size_t len);
void netlink_put_str(struct netlink_request *r, uint16_t type, const char *s);

/* Called with each message of the answer; -1 when it makes no sense. */
typedef int netlink_each(const struct nlmsghdr *h, void *arg);

/*
 * Send and take the answer to its end.  -1: err->num is the kernel's error, and
 * the hint what it says about it; the message is the caller's to set.
 */
int netlink_ask(struct netlink *n, const struct netlink_request *r, netlink_each *each, void *arg,
		struct err *err);

/*
 * The body of a message: its first `size` bytes, or NULL if it is shorter.  And
 * an attribute behind them of at least `min` bytes, or NULL.
 */
const void *netlink_head(const struct nlmsghdr *h, size_t size);
const void *netlink_attr(const struct nlmsghdr *h, size_t head, uint16_t type, size_t min,
			 size_t *ret_len);

#endif
