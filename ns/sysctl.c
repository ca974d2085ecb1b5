/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel parameters that belong to a namespace (namespaces(7), sysctl(8)).  All
 * others concern the whole host and are refused.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ns/cred.h"
#include "ns/procfs.h"
#include "ns/sys.h"

static const struct {
	const char *key; /* in slashes; with a slash at the end: all below it */
	enum ns_type type;
} namespaced[] = {
	{"fs/mqueue/", NS_IPC},
	{"kernel/domainname", NS_UTS},
	{"kernel/hostname", NS_UTS},
	{"kernel/msgmax", NS_IPC},
	{"kernel/msgmnb", NS_IPC},
	{"kernel/msgmni", NS_IPC},
	{"kernel/msg_next_id", NS_IPC},
	{"kernel/sem", NS_IPC},
	{"kernel/sem_next_id", NS_IPC},
	{"kernel/shm_next_id", NS_IPC},
	{"kernel/shm_rmid_forced", NS_IPC},
	{"kernel/shmall", NS_IPC},
	{"kernel/shmmax", NS_IPC},
	{"kernel/shmmni", NS_IPC},
	{"net/", NS_NET},
	{"user/", NS_USER},
};

/*
 * "net.ipv4.conf.eth0/1.forwarding" is sysctl(8)'s way to write the name
 * eth0.1: when the first separator is a dot, slash and dot change places.
 */
static int to_path(const char *key, char path[256])
{
	size_t len = strlen(key);
	bool dots = key[strcspn(key, "./")] == '.';

	if (len >= 256)
		return -1;
	for (size_t i = 0; i <= len; i++) {
		if (dots && (key[i] == '.' || key[i] == '/'))
			path[i] = key[i] == '.' ? '/' : '.';
		else
			path[i] = key[i];
	}
	return strstr(path, "..") || path[0] == '/' ? -1 : 0;
}

static int namespace_of(const char *path)
{
	for (size_t i = 0; i < sizeof(namespaced) / sizeof(namespaced[0]); i++) {
		const char *key = namespaced[i].key;
		size_t len = strlen(key);

		if (key[len - 1] == '/' ? !strncmp(path, key, len) : !strcmp(path, key))
			return (int)namespaced[i].type;
	}
	return -1;
}

static int fail(const struct pair *p, struct err *err)
{
	char ptr[164] = "/linux/sysctl";

	ptr_append(ptr, sizeof(ptr), p->key);
	return err_under(err, "%s", ptr);
}

static int check_one(const struct pair *p, const struct nsset *ns, struct err *err)
{
	char path[256];
	int type;

	if (to_path(p->key, path) < 0)
		return err_set(err, 0, "not a name of a kernel parameter");
	type = namespace_of(path);
	if (type < 0)
		return err_set(err, 0, "belongs to no namespace: it would change the host");
	if (!nsset_private(ns, (enum ns_type)type))
		return err_set(err, 0, "needs a %s namespace: it would change the host",
			       nsset_type_names[type]);
	return 0;
}

int sysctl_check(const struct pairs *list, const struct nsset *ns, struct err *err)
{
	for (size_t i = 0; i < list->n; i++)
		if (check_one(&list->v[i], ns, err) < 0)
			return fail(&list->v[i], err);
	return 0;
}

int sysctl_write(const struct pairs *list, int procfd, struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct pair *p = &list->v[i];
		char path[256], below[300];

		if (to_path(p->key, path) < 0)
			return err_set(err, 0, "not a name of a kernel parameter");
		snprintf(below, sizeof(below), "sys/%s", path);
		if (procfs_write(procfd, below, p->value, strlen(p->value)) == 0)
			continue;
		err_set(err, errno, "write \"%s\"", p->value);
		return fail(p, err);
	}
	return 0;
}
