/* SPDX-License-Identifier: Apache-2.0 */
/* The document that `bryo spec` writes. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "spec/spec.h"

/* A list ends with NULL. */
static const char *const args[] = {"sh", NULL};
static const char *const env[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", NULL};
static const char *const capabilities[] = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE",
					   NULL};

/* What of /proc and /sys tells about the host, or takes orders for it. */
static const char *const masked_paths[] = {"/proc/acpi",
					   "/proc/asound",
					   "/proc/interrupts",
					   "/proc/kcore",
					   "/proc/keys",
					   "/proc/latency_stats",
					   "/proc/sched_debug",
					   "/proc/scsi",
					   "/proc/timer_list",
					   "/proc/timer_stats",
					   "/sys/devices/virtual/powercap",
					   "/sys/firmware",
					   NULL};
static const char *const readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL};

static const struct {
	const char *destination, *type, *source, *options[8];
} mounts[] = {
	{"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
	{"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
	{"/dev/pts",
	 "devpts",
	 "devpts",
	 {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
	{"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
	{"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
	{"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}},
};

static const enum ns_type namespaces[] = {NS_PID, NS_NET, NS_IPC, NS_UTS, NS_MOUNT, NS_CGROUP};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Every copy is checked at once, at the end: a failed one leaves its name here
 * and NULL in the document, which nobody gets to see.
 */
struct maker {
	struct arena *a;
	bool failed;
};

static char *str(struct maker *m, const char *s)
{
	char *copy = arena_strdup(m->a, s);

	m->failed |= !copy;
	return copy;
}

static void *array(struct maker *m, size_t n, size_t size)
{
	void *v = arena_array(m->a, n, size);

	m->failed |= !v;
	return v;
}

/* Leaves out `except`, unless that is NULL. */
static struct strs strs(struct maker *m, const char *const *from, const char *except)
{
	struct strs list = {0};
	size_t n = 0;

	while (from[n])
		n++;
	list.v = array(m, n + 1, sizeof(*list.v));
	for (size_t i = 0; list.v && i < n; i++) {
		if (!except || strcmp(from[i], except) != 0)
			list.v[list.n++] = str(m, from[i]);
	}
	return list;
}

static struct spec_mounts default_mounts(struct maker *m, bool rootless)
{
	struct spec_mounts list = {.v = array(m, COUNT(mounts), sizeof(*list.v))};

	for (size_t i = 0; list.v && i < COUNT(mounts); i++) {
		struct spec_mount *mount = &list.v[list.n++];

		mount->destination = str(m, mounts[i].destination);
		mount->type = str(m, mounts[i].type);
		mount->source = str(m, mounts[i].source);
		/* With a single ID mapped there is no group 5 to give terminals to. */
		mount->options = strs(m, mounts[i].options, rootless ? "gid=5" : NULL);
	}
	return list;
}

static struct spec_process *default_process(struct maker *m)
{
	struct spec_process *p = array(m, 1, sizeof(*p));
	struct spec_caps *caps = array(m, 1, sizeof(*caps));
	struct spec_rlimit *nofile = array(m, 1, sizeof(*nofile));

	if (!p || !caps || !nofile)
		return NULL;
	*caps = (struct spec_caps){.bounding = strs(m, capabilities, NULL),
				   .effective = strs(m, capabilities, NULL),
				   .permitted = strs(m, capabilities, NULL)};
	*nofile = (struct spec_rlimit){RLIMIT_NOFILE, 1024, 1024};
	*p = (struct spec_process){.args = strs(m, args, NULL),
				   .env = strs(m, env, NULL),
				   .cwd = str(m, "/"),
				   .capabilities = caps,
				   .rlimits = {nofile, 1},
				   .noNewPrivileges = true};
	return p;
}

static struct spec_idmaps single_id(struct maker *m, uint32_t id)
{
	struct spec_idmap *map = array(m, 1, sizeof(*map));

	if (!map)
		return (struct spec_idmaps){0};
	*map = (struct spec_idmap){.containerID = 0, .hostID = id, .size = 1};
	return (struct spec_idmaps){map, 1};
}

static struct spec_linux *default_linux(struct maker *m, bool rootless)
{
	struct spec_linux *l = array(m, 1, sizeof(*l));

	if (!l)
		return NULL;
	l->namespaces.v = array(m, COUNT(namespaces) + 1, sizeof(*l->namespaces.v));
	if (!l->namespaces.v)
		return NULL;
	for (size_t i = 0; i < COUNT(namespaces); i++)
		l->namespaces.v[l->namespaces.n++].type = namespaces[i];
	if (rootless) {
		l->namespaces.v[l->namespaces.n++].type = NS_USER;
		l->uidMappings = single_id(m, geteuid());
		l->gidMappings = single_id(m, getegid());
	}
	l->maskedPaths = strs(m, masked_paths, NULL);
	l->readonlyPaths = strs(m, readonly_paths, NULL);
	return l;
}

int spec_default(bool rootless, struct arena *a, struct spec **ret, struct err *err)
{
	struct maker m = {.a = a};
	struct spec *s = array(&m, 1, sizeof(*s));
	struct spec_root *root = array(&m, 1, sizeof(*root));

	if (s && root) {
		*root = (struct spec_root){.path = str(&m, "rootfs"), .readonly = true};
		*s = (struct spec){.ociVersion = str(&m, SPEC_VERSION),
				   .root = root,
				   .process = default_process(&m),
				   .hostname = str(&m, "bryo"),
				   .mounts = default_mounts(&m, rootless),
				   .linux_ = default_linux(&m, rootless)};
	}
	if (m.failed)
		return err_set(err, ENOMEM, "making a configuration");
	*ret = s;
	return 0;
}
