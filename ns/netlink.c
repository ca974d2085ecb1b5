/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/fd.h"

/* As large as any part of an answer is (netlink(7): 8 kB, or 32 kB since Linux 4.9). */
enum { ANSWER_SIZE = 1 << 15 };

int netlink_open(struct netlink *ret, struct err *err)
{
	auto_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	int on = 1;

	/* Words with the errors, and requests that mean what they say. */
	if (fd < 0 || setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0)
		return err_set(err, errno, "netlink socket");
	*ret = (struct netlink){.fd = fd_take(&fd)};
	return 0;
}

static void append(struct netlink_request *r, const void *data, size_t len)
{
	size_t padded = NLMSG_ALIGN(len);

	if (r->len + padded <= sizeof(r->buf)) {
		memset(r->buf + r->len, 0, padded);
		memcpy(r->buf + r->len, data, len);
	}
	r->len += padded;
}

void netlink_begin(struct netlink_request *r, uint16_t type, uint16_t flags, const void *head,
		   size_t len)
{
	const struct nlmsghdr h = {.nlmsg_type = type,
				   .nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST | NLM_F_ACK)};

	r->len = 0;
	append(r, &h, sizeof(h));
	append(r, head, len);
}

void netlink_put(struct netlink_request *r, uint16_t type, const void *data, size_t len)
{
	const struct rtattr a = {.rta_type = type, .rta_len = (uint16_t)(sizeof(a) + len)};

	append(r, &a, sizeof(a));
	append(r, data, len);
}

void netlink_put_str(struct netlink_request *r, uint16_t type, const char *s)
{
	netlink_put(r, type, s, strlen(s) + 1);
}

const void *netlink_head(const struct nlmsghdr *h, size_t size)
{
	return h->nlmsg_len - NLMSG_HDRLEN >= size ? (const char *)h + NLMSG_HDRLEN : NULL;
}

/* The attribute of that type from an offset on; NULL: it is not there, or the rest is broken. */
static const void *find_attr(const struct nlmsghdr *h, size_t at, uint16_t type, size_t min,
			     size_t *ret_len)
{
	struct rtattr a;

	while (at <= h->nlmsg_len && h->nlmsg_len - at >= sizeof(a)) {
		memcpy(&a, (const char *)h + at, sizeof(a));
		if (a.rta_len < sizeof(a) || a.rta_len > h->nlmsg_len - at)
			return NULL;
		if ((a.rta_type & NLA_TYPE_MASK) == type && a.rta_len - sizeof(a) >= min) {
			*ret_len = a.rta_len - sizeof(a);
			return (const char *)h + at + sizeof(a);
		}
		at += RTA_ALIGN(a.rta_len);
	}
	return NULL;
}

const void *netlink_attr(const struct nlmsghdr *h, size_t head, uint16_t type, size_t min,
			 size_t *ret_len)
{
	return find_attr(h, NLMSG_HDRLEN + NLMSG_ALIGN(head), type, min, ret_len);
}

static int malformed(struct err *err)
{
	return err_set(err, EBADMSG, "an answer of the kernel's makes no sense");
}

/* The words follow a copy of the request, or of its header only (NLM_F_CAPPED). */
static int failed(const struct nlmsghdr *h, const struct nlmsgerr *e, struct err *err)
{
	size_t at = NLMSG_HDRLEN + sizeof(*e), len;
	const char *said = NULL;

	if (!(h->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len >= NLMSG_HDRLEN)
		at += NLMSG_ALIGN(e->msg.nlmsg_len) - NLMSG_HDRLEN;
	err_set(err, -e->error, "rtnetlink");
	if (h->nlmsg_flags & NLM_F_ACK_TLVS)
		said = find_attr(h, at, NLMSGERR_ATTR_MSG, 1, &len);
	return said ? err_hint(err, "%.*s", (int)strnlen(said, len), said) : -1;
}

/* 1: the answer ends here; 0: it goes on. */
static int take_one(const struct nlmsghdr *h, netlink_each *each, void *arg, struct err *err)
{
	const struct nlmsgerr *e;
	const int *num;

	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		return err_set(err, EAGAIN, "rtnetlink");
	switch (h->nlmsg_type) {
	case NLMSG_NOOP:
		return 0;
	case NLMSG_ERROR:
		e = netlink_head(h, sizeof(*e));
		if (!e || e->error > 0)
			return malformed(err);
		return e->error ? failed(h, e, err) : 1;
	case NLMSG_DONE:
		num = netlink_head(h, sizeof(*num));
		return num && *num < 0 ? err_set(err, -*num, "rtnetlink") : 1;
	default:
		return each && each(h, arg) < 0 ? malformed(err) : 0;
	}
}

/* All messages of one datagram; 1 when the answer ended among them. */
static int take_all(const char *buf, size_t len, uint32_t seq, netlink_each *each, void *arg,
		    struct err *err)
{
	while (len >= NLMSG_HDRLEN) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
		size_t step;
		int end;

		if (h->nlmsg_len < NLMSG_HDRLEN || h->nlmsg_len > len)
			return malformed(err);
		end = h->nlmsg_seq == seq ? take_one(h, each, arg, err) : 0;
		if (end)
			return end;
		step = NLMSG_ALIGN(h->nlmsg_len);
		buf += step;
		len = step < len ? len - step : 0;
	}
	return len ? malformed(err) : 0;
}

/* One datagram, whole and from the kernel. */
static ssize_t receive(int fd, char *buf, struct err *err)
{
	struct sockaddr_nl from = {0};
	struct iovec part = {.iov_base = buf, .iov_len = ANSWER_SIZE};
	struct msghdr m = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &part, .msg_iovlen = 1};
	ssize_t n;

	do
		n = recvmsg(fd, &m, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(err, errno, "rtnetlink");
	if (from.nl_pid || (m.msg_flags & MSG_TRUNC) || !n)
		return malformed(err);
	return n;
}

int netlink_ask(struct netlink *n, const struct netlink_request *r, netlink_each *each, void *arg,
		struct err *err)
{
	_Alignas(NLMSG_ALIGNTO) char copy[sizeof(r->buf)];
	struct nlmsghdr *h = (struct nlmsghdr *)copy;
	_Alignas(NLMSG_ALIGNTO) char buf[ANSWER_SIZE];
	int end = 0;

	if (r->len > sizeof(copy))
		return err_set(err, EMSGSIZE, "rtnetlink");
	memcpy(copy, r->buf, r->len);
	h->nlmsg_len = (uint32_t)r->len;
	h->nlmsg_seq = ++n->seq;
	if (send(n->fd, copy, r->len, 0) != (ssize_t)r->len)
		return err_set(err, errno, "rtnetlink");
	while (!end) {
		ssize_t len = receive(n->fd, buf, err);

		if (len < 0)
			return -1;
		end = take_all(buf, (size_t)len, n->seq, each, arg, err);
	}
	return end < 0 ? -1 : 0;
}
