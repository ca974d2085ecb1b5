/* SPDX-License-Identifier: Apache-2.0 */
/* What is decided about the mounts before the box exists, and what comes from the host. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "ns/mount.h"
#include "ns/sys.h"
#include "runtime/base/fd.h"

/* config-linux.md, "Default Devices". */
static const struct {
	const char *path;
	unsigned int major, minor;
} default_devices[] = {
	{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
	{"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};

#define N_DEFAULT (sizeof(default_devices) / sizeof(default_devices[0]))

static bool is_listed(const struct spec_devices *list, const char *path)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->v[i].path, path))
			return true;
	return false;
}

static mode_t device_type(int type)
{
	return type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
}

static int plan_devices(struct mountset *m, const struct spec_linux *l, struct arena *a,
			struct err *err)
{
	m->devices = arena_array(a, N_DEFAULT + l->devices.n, sizeof(*m->devices));
	if (!m->devices)
		return err_at(err, "/linux/devices", ENOMEM, "devices");
	for (size_t i = 0; i < N_DEFAULT; i++) {
		if (is_listed(&l->devices, default_devices[i].path))
			continue;
		m->devices[m->n_devices++] = (struct device){
			.path = default_devices[i].path,
			.type = S_IFCHR,
			.rdev = makedev(default_devices[i].major, default_devices[i].minor),
			.mode = 0666,
			.index = SIZE_MAX,
			.tree = -1,
		};
	}
	for (size_t i = 0; i < l->devices.n; i++) {
		const struct spec_device *d = &l->devices.v[i];

		m->devices[m->n_devices++] = (struct device){
			.path = d->path,
			.type = device_type(d->type),
			.rdev = d->type == 'p'
					? 0
					: makedev((unsigned int)d->major, (unsigned int)d->minor),
			.mode = d->fileMode.set ? (mode_t)d->fileMode.v : 0666,
			.uid = d->uid.set ? (uid_t)d->uid.v : 0,
			.gid = d->gid.set ? (gid_t)d->gid.v : 0,
			.index = i,
			.tree = -1,
		};
	}
	return 0;
}

static bool is_mapped(const struct spec_idmaps *maps, uint32_t id)
{
	for (size_t i = 0; i < maps->n; i++)
		if (id >= maps->v[i].containerID && id - maps->v[i].containerID < maps->v[i].size)
			return true;
	return false;
}

/*
 * The group of terminals that a configuration written for root names (gid=5)
 * may not exist in the user namespace that bryo added on its own; the kernel
 * would refuse the whole mount for it.  Terminals then have the creator's group.
 */
static void drop_unmapped_gid(struct mountset *m, struct mount_entry *e, const struct nsset *ns)
{
	struct mount_opts *o = &e->opts;

	if (!ns->added_userns || !e->fstype || strcmp(e->fstype, "devpts") != 0)
		return;
	for (size_t i = 0; i < o->data.n; i++) {
		if (strncmp(o->data.v[i], "gid=", 4) != 0 ||
		    is_mapped(&ns->gid, (uint32_t)strtoul(o->data.v[i] + 4, NULL, 10)))
			continue;
		m->dropped_gid = true;
		o->data.n--;
		for (size_t k = i; k < o->data.n; k++) {
			o->data.v[k] = o->data.v[k + 1];
			o->data_index[k] = o->data_index[k + 1];
		}
		return;
	}
}

/*
 * Mappings of its own "SHOULD" come with the option (config.md); without it they
 * are not ignored either, and concern the one mount.
 */
static int plan_idmap(struct mount_entry *e, const struct nsset *ns, struct err *err)
{
	bool mapped = e->spec->uidMappings.n;
	const char *ptr = e->opts.idmap ? "/options" : "/uidMappings";

	if (!e->opts.idmap && !mapped)
		return 0;
	e->opts.idmap = true;
	if (!e->opts.bind || e->opts.remount)
		return err_at(err, ptr, 0, "only bind mounts can be idmapped");
	if (!mapped && !(ns->create & nsset_clone_flags[NS_USER]))
		return err_at(err, ptr, 0,
			      "idmap without mappings needs a user namespace made for the "
			      "container");
	if (!ns->privileged)
		return err_at(err, ptr, EPERM, "idmapped mounts need privilege on the host");
	return 0;
}

/*
 * A relative destination is read as relative to "/" (config.md, "mounts"); the
 * lookup is in the root anyway.  "cgroup" is the name that engines give to the
 * hierarchy, of either version.
 */
static int plan_mount(struct mount_entry *e, const struct spec_mount *spec, const struct nsset *ns,
		      struct arena *a, struct err *err)
{
	*e = (struct mount_entry){
		.spec = spec, .fstype = spec->type, .tree = -1, .at = -1, .is_dir = true};
	if (spec->type && !strcmp(spec->type, "cgroup"))
		e->fstype = "cgroup2";
	if (mount_opts_parse(spec, a, &e->opts, err) < 0)
		return -1;
	if (e->opts.bind)
		e->fstype = NULL;
	return plan_idmap(e, ns, err);
}

/*
 * Everything below happens in a mount namespace of the box.  Without one it
 * would happen to the host.
 */
int mountset_check_namespaces(const struct spec *s, const struct nsset *ns, struct err *err)
{
	if (!nsset_private(ns, NS_MOUNT))
		return err_at(err, "/linux/namespaces", 0,
			      "a mount namespace is needed: bryo mounts nothing in the caller's");
	if ((s->hostname || s->domainname) && !nsset_private(ns, NS_UTS))
		return err_at(err, s->hostname ? "/hostname" : "/domainname", 0,
			      "needs a uts namespace: the host's name would change");
	return 0;
}

int mountset_plan(struct mountset *m, const struct spec *s, const struct nsset *ns, struct arena *a,
		  struct err *err)
{
	*m = (struct mountset){.n = s->mounts.n, .root = -1, .beneath = -1, .null = -1};
	m->bind_devices = ns->in_userns || ns->in_child_userns;
	m->by_box = ns->in_userns && (ns->create & nsset_clone_flags[NS_MOUNT]);
	if (mountset_check_namespaces(s, ns, err) < 0 || plan_devices(m, s->linux_, a, err) < 0)
		return -1;
	m->v = arena_array(a, m->n, sizeof(*m->v));
	if (!m->v)
		return err_at(err, "/mounts", ENOMEM, "mounts");
	for (size_t i = 0; i < m->n; i++)
		if (plan_mount(&m->v[i], &s->mounts.v[i], ns, a, err) < 0)
			return err_under(err, "/mounts/%zu", i);
	for (size_t i = 0; i < m->n; i++)
		drop_unmapped_gid(m, &m->v[i], ns);
	return 0;
}

/*
 * Trust boundary: a link in the bundle may lead anywhere, and what is mounted
 * becomes the stranger's; so the last component may not be a link, and "/"
 * itself, by whatever name, is never handed out.
 */
int mount_open_dir(int at, const char *path, uint64_t resolve, struct err *err)
{
	auto_close int fd = -1;
	char name[PATH_MAX];
	struct stat st, host;
	size_t len = strlen(path);

	/* With a slash at its end a link would be followed. */
	while (len > 1 && path[len - 1] == '/')
		len--;
	if ((size_t)snprintf(name, sizeof(name), "%.*s", (int)len, path) >= sizeof(name))
		return err_set(err, ENAMETOOLONG, "open %.80s...", path);
	fd = sys_openat2(at, name, O_PATH | O_NOFOLLOW, 0, resolve);
	if (fd < 0 || fstat(fd, &st) < 0 || stat("/", &host) < 0)
		return err_set(err, errno, "open %s", path);
	if (S_ISLNK(st.st_mode))
		return err_set(err, 0, "%s is a symbolic link", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, 0, "%s is not a directory", path);
	if (st.st_dev == host.st_dev && st.st_ino == host.st_ino)
		return err_set(err, 0, "%s is the host's root directory", path);
	return fd_take(&fd);
}

static int clone_root(struct mountset *m, const struct spec *s, int bundle, struct err *err)
{
	auto_close int dir = mount_open_dir(bundle, s->root->path, 0, err);

	if (dir < 0)
		return err_under(err, "/root/path");
	m->root = mount_clone(dir, true);
	if (m->root < 0)
		return err_at(err, "/root/path", errno, "clone the rootfs %s", s->root->path);
	return 0;
}

static int clone_source(struct mount_entry *e, int bundle, struct err *err)
{
	const char *source = e->spec->source;
	auto_close int fd = openat(bundle, source, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_at(err, "/source", errno, "open %s", source);
	e->is_dir = S_ISDIR(st.st_mode);
	e->tree = mount_clone(fd, e->opts.rec);
	if (e->tree >= 0)
		return 0;
	err_at(err, "/source", errno, "clone %s", source);
	if (err->num == EINVAL && !e->opts.rec)
		err_hint(err, "in a user namespace a tree with mounts below it needs rbind");
	return -1;
}

/* The host's node, which must be the very device. */
static int clone_node(const char *path, mode_t type, dev_t rdev, struct err *err)
{
	auto_close int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int tree;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, errno, "the host's %s", path);
	if ((st.st_mode & S_IFMT) != type || st.st_rdev != rdev)
		return err_set(err, 0, "the host's %s is not device %u:%u", path, major(rdev),
			       minor(rdev));
	tree = mount_clone(fd, false);
	if (tree < 0)
		return err_set(err, errno, "clone the host's %s", path);
	/*
	 * Detached clones are in the host's peer group still; what happens on
	 * a device node may not come back to the host.
	 */
	if (mount_change(tree, 0, 0, MS_PRIVATE, false) < 0) {
		close(tree);
		return err_set(err, errno, "make %s private", path);
	}
	return tree;
}

static int clone_devices(struct mountset *m, struct err *err)
{
	for (size_t i = 0; i < m->n_devices; i++) {
		struct device *d = &m->devices[i];

		/* A FIFO can be made by anybody. */
		if (d->type == S_IFIFO)
			continue;
		d->tree = clone_node(d->path, d->type, d->rdev, err);
		if (d->tree >= 0)
			continue;
		return err_under(err,
				 d->index == SIZE_MAX ? "/linux/devices" : "/linux/devices/%zu",
				 d->index);
	}
	return 0;
}

/* The capabilities by which root reaches what modes forbid; on or off again. */
static int reach_beyond_modes(bool on, struct err *err)
{
	static const cap_value_t dac[] = {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH};
	cap_t caps = cap_get_proc();
	int bad = !caps ||
		  cap_set_flag(caps, CAP_EFFECTIVE, 2, dac, on ? CAP_SET : CAP_CLEAR) < 0 ||
		  cap_set_proc(caps) < 0;

	if (bad)
		err_set(err, errno, "set CAP_DAC_OVERRIDE");
	cap_free(caps);
	return bad ? -1 : 0;
}

static bool is_out_of_reach(int bundle, const char *path)
{
	auto_close int fd = openat(bundle, path, O_PATH | O_CLOEXEC);

	return fd < 0 && (errno == EACCES || errno == EBADF);
}

static bool has_source(const struct mount_entry *e)
{
	return e->opts.bind && !e->opts.remount && e->tree < 0;
}

/*
 * What the box, without capabilities over the host's files, cannot open, and
 * what only the host's privilege can idmap.
 */
static int mark_out_of_reach(struct mountset *m, const struct spec *s, const char *bundle,
			     bool *ret_root, struct err *err)
{
	auto_close int dir = -1;

	if (reach_beyond_modes(false, err) < 0)
		return -1;
	dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*ret_root = is_out_of_reach(dir, s->root->path);
	for (size_t i = 0; i < m->n; i++)
		m->v[i].by_host =
			has_source(&m->v[i]) &&
			(m->v[i].opts.idmap || is_out_of_reach(dir, m->v[i].spec->source));
	return reach_beyond_modes(true, err);
}

int mountset_clone_unreachable(struct mountset *m, const struct spec *s, const char *bundle,
			       struct err *err)
{
	auto_close int dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool root = false;

	if (dir < 0)
		return err_set(err, errno, "open the bundle %s", bundle);
	if (mark_out_of_reach(m, s, bundle, &root, err) < 0 ||
	    (root && !m->overlaid && clone_root(m, s, dir, err) < 0))
		return -1;
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].by_host && clone_source(&m->v[i], dir, err) < 0)
			return err_under(err, "/mounts/%zu", i);
	return 0;
}

int mountset_clone_sources(struct mountset *m, const struct spec *s, const char *bundle,
			   struct err *err)
{
	/* When the bundle is out of reach, so was all in it: cloned already. */
	auto_close int dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (m->root < 0 && !m->overlaid && clone_root(m, s, dir, err) < 0)
		return -1;
	for (size_t i = 0; i < m->n; i++)
		if (has_source(&m->v[i]) && clone_source(&m->v[i], dir, err) < 0)
			return err_under(err, "/mounts/%zu", i);
	if (s->linux_->maskedPaths.n) {
		m->null = clone_node("/dev/null", S_IFCHR, makedev(1, 3), err);
		if (m->null < 0)
			return err_under(err, "/linux/maskedPaths");
	}
	return m->bind_devices ? clone_devices(m, err) : 0;
}

/* The user namespace whose maps a mount gets: the box's, or one with its own. */
static int userns_of(const struct mount_entry *e, const struct nsset *ns, int procfd,
		     struct err *err)
{
	char path[64];
	int fd;

	if (e->spec->uidMappings.n)
		return nsset_mapped_userns(&e->spec->uidMappings, &e->spec->gidMappings, procfd,
					   err);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", ns->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_set(err, errno, "open the container's user namespace") : fd;
}

static int idmap_one(const struct mount_entry *e, const struct nsset *ns, int procfd,
		     struct err *err)
{
	auto_close int userns = userns_of(e, ns, procfd, err);
	unsigned int flags = AT_EMPTY_PATH | (e->opts.idmap_rec ? AT_RECURSIVE : 0);
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns};

	if (userns < 0)
		return -1;
	if (mount_setattr(e->tree, "", flags, &attr, sizeof(attr)) == 0)
		return 0;
	err_at(err, e->spec->uidMappings.n ? "/uidMappings" : "/options", errno, "idmap");
	if (err->num == EINVAL)
		err_hint(err, "the file system of %s does not know idmapped mounts",
			 e->spec->source);
	return -1;
}

int mountset_idmap(struct mountset *m, const struct nsset *ns, int procfd, struct err *err)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].opts.idmap && idmap_one(&m->v[i], ns, procfd, err) < 0)
			return err_under(err, "/mounts/%zu", i);
	return 0;
}

void mountset_finish(struct mountset *m)
{
	fd_cleanup(&m->root);
	fd_cleanup(&m->beneath);
	fd_cleanup(&m->null);
	for (size_t i = 0; m->v && i < m->n; i++) {
		fd_cleanup(&m->v[i].tree);
		fd_cleanup(&m->v[i].at);
	}
	for (size_t i = 0; i < m->n_devices; i++)
		fd_cleanup(&m->devices[i].tree);
	*m = (struct mountset){.root = -1, .beneath = -1, .null = -1};
}
