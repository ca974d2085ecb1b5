/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink answers as the kernel gives them, and as it never should: a socket
 * pair stands for the kernel, and each answer lies in it before it is asked for.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ns/netlink.h"

static unsigned int passed, failed;

static void check(bool ok, const char *name, const char *detail)
{
	if (ok)
		passed++;
	else
		failed++;
	printf("%s - %s%s%s\n", ok ? "ok" : "not ok", name, ok ? "" : ": ", ok ? "" : detail);
}

struct answer {
	_Alignas(NLMSG_ALIGNTO) char buf[1024];
	size_t len;
};

/* A message whose header claims `claim` bytes, or the truth when that is 0. */
static void add(struct answer *a, uint16_t type, uint16_t flags, const void *body, size_t len,
		uint32_t claim)
{
	struct nlmsghdr h = {.nlmsg_len = claim ? claim : (uint32_t)(NLMSG_HDRLEN + len),
			     .nlmsg_type = type,
			     .nlmsg_flags = flags,
			     .nlmsg_seq = 1};

	memcpy(a->buf + a->len, &h, sizeof(h));
	memcpy(a->buf + a->len + NLMSG_HDRLEN, body, len);
	a->len += NLMSG_ALIGN(NLMSG_HDRLEN + len);
}

static int count_links(const struct nlmsghdr *h, void *arg)
{
	size_t len;

	if (!netlink_head(h, sizeof(struct ifinfomsg)))
		return -1;
	*(int *)arg += netlink_attr(h, sizeof(struct ifinfomsg), IFLA_IFNAME, 1, &len) ? 10 : 1;
	return 0;
}

/* What asking gives: 0, or the error number; *ret_links as count_links() counts. */
static int ask(const struct answer *a, int *ret_links, struct err *err)
{
	const struct ifinfomsg head = {0};
	struct netlink n = {.fd = -1};
	struct netlink_request r;
	int fds[2], bad;

	*ret_links = 0;
	*err = (struct err){0};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) < 0)
		return -1;
	if (a->len && send(fds[1], a->buf, a->len, 0) < 0)
		return -1;
	/* Whoever waits for more than there is gets an end of file. */
	shutdown(fds[1], SHUT_WR);
	n.fd = fds[0];
	netlink_begin(&r, RTM_GETLINK, 0, &head, sizeof(head));
	bad = netlink_ask(&n, &r, count_links, ret_links, err);
	close(fds[0]);
	close(fds[1]);
	return bad ? err->num : 0;
}

static void expect(const struct answer *a, int num, int links, const char *name)
{
	struct err err;
	char got[128];
	int n, is = ask(a, &n, &err);

	snprintf(got, sizeof(got), "error %d, links %d", is, n);
	check(is == num && n == links, name, got);
}

static const struct nlmsgerr fine = {.error = 0};
static const struct ifinfomsg link_head = {.ifi_index = 1};

static void test_good(void)
{
	struct {
		struct ifinfomsg head;
		struct rtattr attr;
		char name[4];
	} named = {.head = {.ifi_index = 1}, .attr = {8, IFLA_IFNAME}, .name = "lo"};
	struct answer a = {.len = 0}, b = {.len = 0};

	add(&a, RTM_NEWLINK, 0, &link_head, sizeof(link_head), 0);
	add(&a, RTM_NEWLINK, 0, &named, sizeof(named), 0);
	add(&a, NLMSG_ERROR, 0, &fine, sizeof(fine), 0);
	expect(&a, 0, 11, "answers in one datagram");
	add(&b, RTM_NEWLINK, NLM_F_MULTI, &link_head, sizeof(link_head), 0);
	add(&b, NLMSG_DONE, NLM_F_MULTI, &fine.error, sizeof(fine.error), 0);
	expect(&b, 0, 1, "the end of a dump");
}

static void test_errors(void)
{
	struct {
		struct nlmsgerr e;
		struct rtattr attr;
		char said[8];
	} refusal = {.e = {.error = -EBUSY, .msg = {.nlmsg_len = NLMSG_HDRLEN}},
		     .attr = {12, NLMSGERR_ATTR_MSG},
		     .said = "because"};
	struct answer a = {.len = 0}, b = {.len = 0}, c = {.len = 0};
	struct err err;
	int n, num = -EIO;

	add(&a, NLMSG_ERROR, NLM_F_ACK_TLVS, &refusal, sizeof(refusal), 0);
	check(ask(&a, &n, &err) == EBUSY && !strcmp(err.hint, "because"), "the kernel's words",
	      err.hint);
	add(&b, NLMSG_DONE, NLM_F_MULTI, &num, sizeof(num), 0);
	expect(&b, EIO, 0, "a dump that failed");
	add(&c, RTM_NEWLINK, NLM_F_DUMP_INTR, &link_head, sizeof(link_head), 0);
	expect(&c, EAGAIN, 0, "a dump that was overtaken by a change");
	/* Its length leads out of the message, and so would a look behind it. */
	refusal.e.msg.nlmsg_len = 4000;
	a.len = 0;
	add(&a, NLMSG_ERROR, NLM_F_ACK_TLVS, &refusal, sizeof(refusal), 0);
	check(ask(&a, &n, &err) == EBUSY && !err.hint[0], "words that lie outside", err.hint);
}

static void test_malformed(void)
{
	static const struct {
		const char *name;
		size_t len;
		uint32_t claim;
	} cases[] = {
		{"a message longer than the datagram", 16, 4000},
		{"a message shorter than its header", 16, 8},
		{"a length of nothing at all", 16, 0xffffffff},
		{"a body that is too short", 4, 0},
	};
	struct nlmsgerr wrong = {.error = 1};
	struct answer a;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a.len = 0;
		add(&a, RTM_NEWLINK, 0, &link_head, cases[i].len, cases[i].claim);
		add(&a, NLMSG_ERROR, 0, &fine, sizeof(fine), 0);
		expect(&a, EBADMSG, 0, cases[i].name);
	}
	a.len = 0;
	expect(&a, EBADMSG, 0, "no answer");
	add(&a, NLMSG_ERROR, 0, &wrong, sizeof(wrong), 0);
	expect(&a, EBADMSG, 0, "a positive error");
	a.len = 0;
	add(&a, NLMSG_ERROR, 0, &fine, 4, 0);
	expect(&a, EBADMSG, 0, "an error without the request");
}

/* Attributes that claim too much or too little end the search, and no more. */
static void test_attributes(void)
{
	static const uint16_t lengths[] = {0, 3, 9, 4000, 65535};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct {
			struct ifinfomsg head;
			struct rtattr attr;
			char name[4];
		} m = {.attr = {lengths[i], IFLA_IFNAME}};
		struct answer a = {.len = 0};

		add(&a, RTM_NEWLINK, 0, &m, sizeof(m), 0);
		add(&a, NLMSG_ERROR, 0, &fine, sizeof(fine), 0);
		expect(&a, 0, 1, "an attribute of a wrong length");
	}
}

static void test_request(void)
{
	const struct ifinfomsg head = {0};
	struct netlink n = {.fd = -1};
	struct netlink_request r;
	struct err err = {0};

	netlink_begin(&r, RTM_GETLINK, 0, &head, sizeof(head));
	for (int i = 0; i < 20; i++)
		netlink_put_str(&r, IFLA_IFNAME, "a name that is thirty-one long");
	check(netlink_ask(&n, &r, NULL, NULL, &err) < 0 && err.num == EMSGSIZE,
	      "a request that is too long", err.msg);
}

void test_task(void (*check)(bool ok, const char *name, const char *detail));

int main(void)
{
	test_task(check);
	test_good();
	test_errors();
	test_malformed();
	test_attributes();
	test_request();
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed ? 1 : 0;
}
