/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/netdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/fd.h"

#define PTR "/linux/netDevices"

/* Of what an address was added with; all else the kernel finds out. */
#define SETTABLE                                                                                   \
	(IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE |            \
	 IFA_F_MCAUTOJOIN)

/* Attributes that say what an address is, as they came: most are four or sixteen bytes. */
static const uint16_t kept_attrs[] = {IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_RT_PRIORITY,
				      IFA_PROTO};

#define N_KEPT (sizeof(kept_attrs) / sizeof(kept_attrs[0]))

struct address {
	struct address *next;
	struct ifaddrmsg head;
	uint32_t flags;
	struct {
		uint8_t len, bytes[16];
	} attrs[N_KEPT];
	char label[IFNAMSIZ];
};

struct netdev {
	const char *name;          /* on the host */
	const char *new_name;      /* in the box; may be a template, "eth%d" */
	char given_name[IFNAMSIZ]; /* what became of it */
	int index, new_index;
	bool was_up;
	struct address *addresses;
};

/* ---- asking ---- */

struct link {
	int index;
	unsigned int flags;
	char name[IFNAMSIZ];
};

static int take_link(const struct nlmsghdr *h, void *arg)
{
	const struct ifinfomsg *i = netlink_head(h, sizeof(*i));
	struct link *l = arg;
	size_t len;
	const char *name = i ? netlink_attr(h, sizeof(*i), IFLA_IFNAME, 2, &len) : NULL;

	if (h->nlmsg_type != RTM_NEWLINK || !name || i->ifi_index <= 0 || len > IFNAMSIZ ||
	    name[len - 1])
		return -1;
	l->index = i->ifi_index;
	l->flags = i->ifi_flags;
	memcpy(l->name, name, len);
	return 0;
}

/* By name, or by index when that is NULL. */
static int get_link(struct netlink *n, const char *name, int index, struct link *ret,
		    struct err *err)
{
	const struct ifinfomsg head = {.ifi_index = index};
	struct netlink_request r;

	*ret = (struct link){0};
	netlink_begin(&r, RTM_GETLINK, 0, &head, sizeof(head));
	if (name)
		netlink_put_str(&r, IFLA_IFNAME, name);
	if (netlink_ask(n, &r, take_link, ret, err) < 0)
		return -1;
	return ret->index ? 0 : err_set(err, EBADMSG, "no answer about a network device");
}

struct indices {
	int wanted, highest;
	bool taken;
};

static int take_index(const struct nlmsghdr *h, void *arg)
{
	const struct ifinfomsg *i = netlink_head(h, sizeof(*i));
	struct indices *x = arg;

	if (h->nlmsg_type != RTM_NEWLINK || !i || i->ifi_index <= 0)
		return -1;
	x->taken |= i->ifi_index == x->wanted;
	if (i->ifi_index > x->highest)
		x->highest = i->ifi_index;
	return 0;
}

/* The same index as before where it is free, as the kernel would do it. */
static int free_index(struct netlink *n, int wanted, int *ret, struct err *err)
{
	const struct ifinfomsg head = {0};
	struct indices x = {.wanted = wanted};
	struct netlink_request r;

	netlink_begin(&r, RTM_GETLINK, NLM_F_DUMP, &head, sizeof(head));
	if (netlink_ask(n, &r, take_index, &x, err) < 0)
		return -1;
	*ret = x.taken ? x.highest + 1 : wanted;
	return 0;
}

struct collection {
	struct netdev *dev;
	struct arena *a;
	bool full;
};

static void keep_attrs(const struct nlmsghdr *h, struct address *to)
{
	size_t len;
	const char *label = netlink_attr(h, sizeof(to->head), IFA_LABEL, 2, &len);

	for (size_t i = 0; i < N_KEPT; i++) {
		const void *v = netlink_attr(h, sizeof(to->head), kept_attrs[i], 1, &len);

		if (!v || len > sizeof(to->attrs[i].bytes))
			continue;
		to->attrs[i].len = (uint8_t)len;
		memcpy(to->attrs[i].bytes, v, len);
	}
	if (label)
		snprintf(to->label, sizeof(to->label), "%s", label);
}

/* "All permanent IP addresses of any family with global scope". */
static int take_address(const struct nlmsghdr *h, void *arg)
{
	const struct ifaddrmsg *head = netlink_head(h, sizeof(*head));
	struct collection *c = arg;
	struct address *a;
	const uint32_t *wide;
	uint32_t flags;
	size_t len;

	if (h->nlmsg_type != RTM_NEWADDR || !head)
		return -1;
	wide = netlink_attr(h, sizeof(*head), IFA_FLAGS, sizeof(*wide), &len);
	flags = wide ? *wide : head->ifa_flags;
	if (head->ifa_index != (unsigned int)c->dev->index ||
	    head->ifa_scope != RT_SCOPE_UNIVERSE || !(flags & IFA_F_PERMANENT))
		return 0;
	a = arena_alloc(c->a, sizeof(*a));
	if (!a) {
		c->full = true;
		return 0;
	}
	*a = (struct address){.next = c->dev->addresses, .head = *head, .flags = flags & SETTABLE};
	keep_attrs(h, a);
	c->dev->addresses = a;
	return 0;
}

/* The last of them comes first, and is added last again: see add_addresses(). */
static int get_addresses(struct netlink *n, struct netdev *dev, struct arena *a, struct err *err)
{
	const struct ifaddrmsg head = {.ifa_index = (unsigned int)dev->index};
	struct collection c = {.dev = dev, .a = a};
	struct netlink_request r;

	netlink_begin(&r, RTM_GETADDR, NLM_F_DUMP, &head, sizeof(head));
	if (netlink_ask(n, &r, take_address, &c, err) < 0)
		return -1;
	return c.full ? err_set(err, ENOMEM, "addresses") : 0;
}

/* ---- changing ---- */

static int move(struct netlink *from, int to, int index, const char *name, int new_index,
		struct err *err)
{
	const struct ifinfomsg head = {.ifi_index = index};
	struct netlink_request r;

	netlink_begin(&r, RTM_SETLINK, 0, &head, sizeof(head));
	netlink_put(&r, IFLA_NET_NS_FD, &to, sizeof(to));
	netlink_put_str(&r, IFLA_IFNAME, name);
	netlink_put(&r, IFLA_NEW_IFINDEX, &new_index, sizeof(new_index));
	return netlink_ask(from, &r, NULL, NULL, err);
}

static int set_up(struct netlink *n, int index, struct err *err)
{
	const struct ifinfomsg head = {
		.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	struct netlink_request r;

	netlink_begin(&r, RTM_SETLINK, 0, &head, sizeof(head));
	return netlink_ask(n, &r, NULL, NULL, err);
}

/* "eth0:1" of eth0 that is called net1 now: "net1:1". */
static void put_label(struct netlink_request *r, const struct address *a, const char *old,
		      const char *new)
{
	size_t n = strlen(old);
	char label[IFNAMSIZ];

	if (!a->label[0])
		return;
	if (strncmp(a->label, old, n) != 0)
		netlink_put_str(r, IFA_LABEL, a->label);
	else if ((size_t)snprintf(label, sizeof(label), "%s%s", new, a->label + n) < sizeof(label))
		netlink_put_str(r, IFA_LABEL, label);
}

static int add_address(struct netlink *n, int index, const struct address *a, const char *old,
		       const char *new, struct err *err)
{
	struct ifaddrmsg head = {.ifa_family = a->head.ifa_family,
				 .ifa_prefixlen = a->head.ifa_prefixlen,
				 .ifa_scope = a->head.ifa_scope,
				 .ifa_index = (unsigned int)index};
	struct netlink_request r;

	netlink_begin(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));
	for (size_t i = 0; i < N_KEPT; i++)
		if (a->attrs[i].len)
			netlink_put(&r, kept_attrs[i], a->attrs[i].bytes, a->attrs[i].len);
	netlink_put(&r, IFA_FLAGS, &a->flags, sizeof(a->flags));
	put_label(&r, a, old, new);
	return netlink_ask(n, &r, NULL, NULL, err);
}

/*
 * The list is in reverse: the first in it was the last to be reported.  The order
 * counts, since the first of a network is the one that packets are sent from.
 */
static int add_addresses(struct netlink *n, int index, const struct address *a, const char *old,
			 const char *new, struct err *err)
{
	if (!a)
		return 0;
	if (add_addresses(n, index, a->next, old, new, err) < 0)
		return -1;
	return add_address(n, index, a, old, new, err);
}

/* ---- one device ---- */

/* The name of what was tried in front of what the kernel said. */
static int could_not(const struct netdev *dev, const char *what, struct err *err)
{
	char hint[sizeof(err->hint)];
	int num = err->num;

	snprintf(hint, sizeof(hint), "%s", err->hint);
	err_at(err, "", num, "%s %s", what, dev->name);
	if (hint[0])
		return err_hint(err, "%s", hint);
	if (num == EPERM)
		return err_hint(err, "needs CAP_NET_ADMIN on the host");
	return -1;
}

/* "MUST generate an error, unless the user has provided a template". */
static int check_name(struct netdevs *d, const struct netdev *dev, struct err *err)
{
	struct link l;

	if (strchr(dev->new_name, '%'))
		return 0;
	if (get_link(&d->box.link, dev->new_name, 0, &l, err) == 0)
		return err_at(err, "/name", EEXIST, "\"%s\" in the container", dev->new_name);
	return err->num == ENODEV ? 0 : could_not(dev, "look for the new name of", err);
}

static int look_at(struct netdevs *d, struct netdev *dev, struct arena *a, struct err *err)
{
	struct link l;

	if (get_link(&d->host.link, dev->name, 0, &l, err) < 0)
		return could_not(dev, "find the device", err);
	dev->index = l.index;
	dev->was_up = l.flags & IFF_UP;
	if (check_name(d, dev, err) < 0)
		return -1;
	if (get_addresses(&d->host.link, dev, a, err) < 0)
		return could_not(dev, "the addresses of", err);
	if (free_index(&d->box.link, dev->index, &dev->new_index, err) < 0)
		return could_not(dev, "an index for", err);
	return 0;
}

static int settle(struct netdevs *d, struct netdev *dev, struct err *err)
{
	struct netlink *n = &d->box.link;
	struct link l;

	if (get_link(n, NULL, dev->new_index, &l, err) < 0)
		return could_not(dev, "find, in the container, what was", err);
	snprintf(dev->given_name, sizeof(dev->given_name), "%s", l.name);
	if (add_addresses(n, dev->new_index, dev->addresses, dev->name, l.name, err) < 0)
		return could_not(dev, "add the addresses of", err);
	if (set_up(n, dev->new_index, err) < 0)
		return could_not(dev, "set up, in the container, what was", err);
	return 0;
}

static int move_one(struct netdevs *d, struct netdev *dev, struct arena *a, struct err *err)
{
	if (look_at(d, dev, a, err) < 0)
		return -1;
	if (move(&d->host.link, d->box.ns, dev->index, dev->new_name, dev->new_index, err) < 0)
		return could_not(dev, "move the device", err);
	d->n++;
	return settle(d, dev, err);
}

static int bring_back_one(struct netdevs *d, struct netdev *dev, struct err *err)
{
	struct netlink *n = &d->host.link;
	int index;

	if (free_index(n, dev->index, &index, err) < 0 ||
	    move(&d->box.link, d->host.ns, dev->new_index, dev->name, index, err) < 0 ||
	    add_addresses(n, index, dev->addresses, dev->name, dev->name, err) < 0 ||
	    (dev->was_up && set_up(n, index, err) < 0))
		return could_not(dev, "bring back the device", err);
	return 0;
}

/* ---- all of them ---- */

/* A socket belongs to the namespace that it was made in; the caller returns to his own. */
static int open_inside(struct netspace *to, int own, struct err *err)
{
	int bad;

	if (setns(to->ns, CLONE_NEWNET) < 0)
		return err_set(err, errno, "enter the container's network namespace");
	bad = netlink_open(&to->link, err);
	if (setns(own, CLONE_NEWNET) < 0)
		return err_set(err, errno, "return to the host's network namespace");
	return bad;
}

static int open_spaces(struct netdevs *d, const struct nsset *ns, struct err *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", ns->pid);
	d->host.ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	d->box.ns = open(path, O_RDONLY | O_CLOEXEC);
	if (d->host.ns < 0 || d->box.ns < 0)
		return err_set(err, errno, "open the network namespaces");
	if (netlink_open(&d->host.link, err) < 0)
		return -1;
	return open_inside(&d->box, d->host.ns, err);
}

static int begin(struct netdevs *d, const struct spec_netdevs *list, const struct nsset *ns,
		 struct arena *a, struct err *err)
{
	static const struct netspace closed = {.ns = -1, .link.fd = -1};

	*d = (struct netdevs){.begun = true, .host = closed, .box = closed};
	if (!nsset_private(ns, NS_NET))
		return err_at(err, PTR, 0, "needs a network namespace of the container's own");
	if (open_spaces(d, ns, err) < 0) {
		if (err->num == EPERM)
			err_hint(err, "needs CAP_SYS_ADMIN and CAP_NET_ADMIN on the host");
		return err_under(err, PTR);
	}
	d->v = arena_array(a, list->n, sizeof(*d->v));
	return d->v ? 0 : err_at(err, PTR, ENOMEM, "network devices");
}

int netdevs_move(struct netdevs *d, const struct spec_netdevs *list, const struct nsset *ns,
		 struct arena *a, struct err *err)
{
	if (begin(d, list, ns, a, err) < 0)
		return -1;
	for (size_t i = 0; i < list->n; i++) {
		const struct spec_netdev *s = &list->v[i];
		char ptr[64] = "";

		d->v[i] = (struct netdev){.name = s->key, .new_name = s->name ? s->name : s->key};
		if (move_one(d, &d->v[i], a, err) == 0)
			continue;
		ptr_append(ptr, sizeof(ptr), s->key);
		return err_under(err, PTR "%s", ptr);
	}
	return 0;
}

int netdevs_bring_back(struct netdevs *d, struct err *err)
{
	struct err *where = err, ignored;
	int bad = 0;

	for (; d->begun && d->n; d->n--) {
		if (bring_back_one(d, &d->v[d->n - 1], where) == 0)
			continue;
		where = &ignored;
		bad = -1;
	}
	return bad;
}

static void close_space(struct netspace *s)
{
	fd_cleanup(&s->ns);
	fd_cleanup(&s->link.fd);
}

void netdevs_finish(struct netdevs *d)
{
	if (!d->begun)
		return;
	close_space(&d->host);
	close_space(&d->box);
	*d = (struct netdevs){.begun = false};
}
