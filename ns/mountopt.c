/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/mountopt.h"

#include <errno.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>

#include "spec/findings.h"

/* <sys/mount.h> and <linux/mount.h> do not go together in glibc 2.36. */
#define PRIVATE (1u << 18)
#define SLAVE (1u << 19)
#define SHARED (1u << 20)
#define UNBINDABLE (1u << 17)

enum kind {
	ATTR,  /* a attribute to set, b to clear */
	RATTR, /* the same for the mount and all below it */
	PROP,  /* a propagation, b 1 when recursive */
	BIND,  /* a 1 when recursive */
	IDMAP, /* a 1 when recursive */
	REMOUNT,
	COPYUP,
	RELABEL, /* a 1 when for this container alone */
	SUPER,   /* a flag of the file system, handed on */
	NOTHING
};

struct option {
	const char *name;
	enum kind kind;
	uint64_t a, b;
};

/*
 * The kernel reads the attributes for access times as one field of several
 * bits: it wants the whole field cleared before one value is set
 * (mount_setattr(2)).  relatime is the value 0.
 */
#define ATIME MOUNT_ATTR__ATIME

/*
 * NOTHING: silent and loud concern the kernel's log in mount(2) only; mandatory
 * locks left the kernel in 5.15; i_version is no parameter of fsconfig(2): the
 * file systems that can count versions do it unasked.  "defaults" leaves all as
 * it is.
 */
static const struct option options[] = {
	{"Z", RELABEL, 1, 0},
	{"async", SUPER, 0, 0},
	{"atime", ATTR, 0, ATIME},
	{"bind", BIND, 0, 0},
	{"defaults", NOTHING, 0, 0},
	{"dev", ATTR, 0, MOUNT_ATTR_NODEV},
	{"diratime", ATTR, 0, MOUNT_ATTR_NODIRATIME},
	{"dirsync", SUPER, 0, 0},
	{"exec", ATTR, 0, MOUNT_ATTR_NOEXEC},
	{"idmap", IDMAP, 0, 0},
	{"iversion", NOTHING, 0, 0},
	{"lazytime", SUPER, 0, 0},
	{"loud", NOTHING, 0, 0},
	{"mand", NOTHING, 0, 0},
	{"noatime", ATTR, MOUNT_ATTR_NOATIME, ATIME},
	{"nodev", ATTR, MOUNT_ATTR_NODEV, 0},
	{"nodiratime", ATTR, MOUNT_ATTR_NODIRATIME, 0},
	{"noexec", ATTR, MOUNT_ATTR_NOEXEC, 0},
	{"noiversion", NOTHING, 0, 0},
	{"nolazytime", SUPER, 0, 0},
	{"nomand", NOTHING, 0, 0},
	{"norelatime", ATTR, MOUNT_ATTR_STRICTATIME, ATIME},
	{"nostrictatime", ATTR, MOUNT_ATTR_RELATIME, ATIME},
	{"nosuid", ATTR, MOUNT_ATTR_NOSUID, 0},
	{"nosymfollow", ATTR, MOUNT_ATTR_NOSYMFOLLOW, 0},
	{"private", PROP, PRIVATE, 0},
	{"ratime", RATTR, 0, ATIME},
	{"rbind", BIND, 1, 0},
	{"rdev", RATTR, 0, MOUNT_ATTR_NODEV},
	{"rdiratime", RATTR, 0, MOUNT_ATTR_NODIRATIME},
	{"relatime", ATTR, MOUNT_ATTR_RELATIME, ATIME},
	{"remount", REMOUNT, 0, 0},
	{"rexec", RATTR, 0, MOUNT_ATTR_NOEXEC},
	{"ridmap", IDMAP, 1, 0},
	{"rnoatime", RATTR, MOUNT_ATTR_NOATIME, ATIME},
	{"rnodev", RATTR, MOUNT_ATTR_NODEV, 0},
	{"rnodiratime", RATTR, MOUNT_ATTR_NODIRATIME, 0},
	{"rnoexec", RATTR, MOUNT_ATTR_NOEXEC, 0},
	{"rnorelatime", RATTR, MOUNT_ATTR_STRICTATIME, ATIME},
	{"rnostrictatime", RATTR, MOUNT_ATTR_RELATIME, ATIME},
	{"rnosuid", RATTR, MOUNT_ATTR_NOSUID, 0},
	{"rnosymfollow", RATTR, MOUNT_ATTR_NOSYMFOLLOW, 0},
	{"ro", ATTR, MOUNT_ATTR_RDONLY, 0},
	{"rprivate", PROP, PRIVATE, 1},
	{"rrelatime", RATTR, MOUNT_ATTR_RELATIME, ATIME},
	{"rro", RATTR, MOUNT_ATTR_RDONLY, 0},
	{"rrw", RATTR, 0, MOUNT_ATTR_RDONLY},
	{"rshared", PROP, SHARED, 1},
	{"rslave", PROP, SLAVE, 1},
	{"rstrictatime", RATTR, MOUNT_ATTR_STRICTATIME, ATIME},
	{"rsuid", RATTR, 0, MOUNT_ATTR_NOSUID},
	{"rsymfollow", RATTR, 0, MOUNT_ATTR_NOSYMFOLLOW},
	{"runbindable", PROP, UNBINDABLE, 1},
	{"rw", ATTR, 0, MOUNT_ATTR_RDONLY},
	{"shared", PROP, SHARED, 0},
	{"silent", NOTHING, 0, 0},
	{"slave", PROP, SLAVE, 0},
	{"strictatime", ATTR, MOUNT_ATTR_STRICTATIME, ATIME},
	{"suid", ATTR, 0, MOUNT_ATTR_NOSUID},
	{"symfollow", ATTR, 0, MOUNT_ATTR_NOSYMFOLLOW},
	{"sync", SUPER, 0, 0},
	{"tmpcopyup", COPYUP, 0, 0},
	{"unbindable", PROP, UNBINDABLE, 0},
	{"z", RELABEL, 0, 0},
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

const char *mount_option_name(size_t i)
{
	return i < N_OPTIONS ? options[i].name : NULL;
}

static int compare(const void *name, const void *option)
{
	return strcmp(name, ((const struct option *)option)->name);
}

/* The later of two contradicting options wins, as in mount(8). */
static void add_attr(struct mount_attrs *to, uint64_t set, uint64_t clr)
{
	to->set &= ~clr;
	to->clr &= ~(set & ~(uint64_t)ATIME);
	to->set |= set;
	to->clr |= clr;
}

static int add_data(struct mount_opts *o, const char *s, size_t index, struct arena *a)
{
	/* The lists were made as long as the list of options, with its end mark. */
	char *copy = arena_strdup(a, s);

	if (!copy)
		return -1;
	o->data.v[o->data.n] = copy;
	o->data_index[o->data.n++] = index;
	return 0;
}

static void apply_option(struct mount_opts *o, const struct option *opt)
{
	switch (opt->kind) {
	case ATTR:
		add_attr(&o->one, opt->a, opt->b);
		break;
	case RATTR:
		add_attr(&o->all, opt->a, opt->b);
		break;
	case PROP:
		o->propagation = (unsigned int)opt->a;
		o->propagation_rec = opt->b;
		break;
	case BIND:
		o->bind = true;
		o->rec |= opt->a;
		break;
	case IDMAP:
		o->idmap = true;
		o->idmap_rec |= opt->a;
		break;
	case REMOUNT:
		o->remount = true;
		break;
	case COPYUP:
		o->copyup = true;
		break;
	case RELABEL:
		o->relabel = opt->a ? RELABEL_PRIVATE : RELABEL_SHARED;
		break;
	case SUPER:
	case NOTHING:
		break;
	}
}

static const char *next_option(void *index)
{
	return mount_option_name((*(size_t *)index)++);
}

static int unknown_option(const char *s, size_t i, struct err *err)
{
	size_t next = 0;

	err_set(err, 0, "unknown option \"%s\" for a bind mount", s);
	findings_suggest(err, findings_nearest(s, next_option, &next));
	return err_under(err, "/options/%zu", i);
}

static int check_together(const struct spec_mount *m, const struct mount_opts *o, struct err *err)
{
	const char *type = m->type ? m->type : "";

	if (o->copyup && (o->bind || strcmp(type, "tmpfs") != 0))
		return err_at(err, "/options", 0, "tmpcopyup is for mounts of type tmpfs");
	if (o->relabel && (!o->bind || o->remount))
		return err_at(err, "/options", 0, "z and Z are for bind mounts");
	if (o->remount && o->data.n) {
		err_set(err, 0, "remount does not change \"%s\"", o->data.v[0]);
		return err_under(err, "/options/%zu", o->data_index[0]);
	}
	if (o->remount && o->idmap)
		return err_at(err, "/options", 0, "remount and idmap do not go together");
	if (!o->bind && !o->remount && !*type)
		return err_at(err, "/type", 0, "a type, or the option bind or rbind, is needed");
	if (o->bind && !o->remount && !m->source)
		return err_at(err, "/source", 0, "a bind mount needs a source");
	return 0;
}

int mount_opts_parse(const struct spec_mount *m, struct arena *a, struct mount_opts *ret,
		     struct err *err)
{
	struct mount_opts o = {0};

	o.data.v = arena_array(a, m->options.n + 1, sizeof(char *));
	o.data_index = arena_array(a, m->options.n + 1, sizeof(size_t));
	if (!o.data.v || !o.data_index)
		return err_at(err, "/options", ENOMEM, "mount options");
	/* First of all whether it is a bind mount: what follows depends on it. */
	for (size_t i = 0; i < m->options.n; i++)
		if (!strcmp(m->options.v[i], "bind") || !strcmp(m->options.v[i], "rbind"))
			o.bind = true;
	for (size_t i = 0; i < m->options.n; i++) {
		const char *s = m->options.v[i];
		const struct option *opt =
			bsearch(s, options, N_OPTIONS, sizeof(options[0]), compare);

		/* buildah hands on empty ones. */
		if (!*s)
			continue;
		if (opt)
			apply_option(&o, opt);
		/*
		 * A bind mount shares the file system, so its parameters cannot be
		 * changed; mount(2) ignores them there without a word.
		 */
		if (!opt && o.bind)
			return unknown_option(s, i, err);
		if (opt && (opt->kind != SUPER || o.bind))
			continue;
		if (add_data(&o, s, i, a) < 0)
			return err_at(err, "/options", ENOMEM, "mount options");
	}
	if (check_together(m, &o, err) < 0)
		return -1;
	*ret = o;
	return 0;
}
