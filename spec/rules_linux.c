/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of config-linux.md that the tables cannot say. */
#include <string.h>
#include <sys/stat.h>

#include "spec/fields.h"
#include "spec/spec.h"

/* user_namespaces(7): UID_GID_MAP_MAX_EXTENTS. */
enum { MAX_ID_RANGES = 340 };

/* A set of bits: which types are there. */
static int check_namespaces(const struct spec_namespaces *list, unsigned int *ret_types,
			    struct err *err)
{
	unsigned int types = 0;

	for (size_t i = 0; i < list->n; i++) {
		unsigned int bit = 1U << list->v[i].type;

		if (types & bit) {
			err_set(err, 0, "the type is there already");
			return err_under(err, "/namespaces/%zu/type", i);
		}
		types |= bit;
	}
	*ret_types = types;
	return 0;
}

static bool overlap(uint32_t a, uint32_t b, uint32_t a_size, uint32_t b_size)
{
	return a < b ? b - a < a_size : a - b < b_size;
}

/* The kernel would say EINVAL for the whole list, without the entry. */
int check_idmaps(const struct spec_idmaps *list, const char *name, bool userns, struct err *err)
{
	if (list->n && !userns)
		return err_at(err, name, 0, "needs a user namespace");
	if (list->n > MAX_ID_RANGES)
		return err_at(err, name, 0, "more than %d entries", MAX_ID_RANGES);
	for (size_t i = 1; i < list->n; i++) {
		const struct spec_idmap *a = &list->v[i];

		for (size_t k = 0; k < i; k++) {
			const struct spec_idmap *b = &list->v[k];

			if (overlap(a->containerID, b->containerID, a->size, b->size) ||
			    overlap(a->hostID, b->hostID, a->size, b->size)) {
				err_set(err, 0, "overlaps with entry %zu", k);
				return err_under(err, "%s/%zu", name, i);
			}
		}
	}
	return 0;
}

/*
 * Key and value become a path below /proc/sys and the content of a file.  The
 * row resolves the path safely; what can only be an attempt ends here.
 */
static int check_sysctl(const struct pairs *list, struct err *err)
{
	char ptr[sizeof(err->ptr)];

	for (size_t i = 0; i < list->n; i++) {
		const char *why = NULL;

		if (strstr(list->v[i].key, "..") || strchr(list->v[i].key, '\n'))
			why = "is no name of a kernel parameter";
		else if (strchr(list->v[i].value, '\n'))
			why = "more than one line";
		if (why) {
			ptr[0] = '\0';
			ptr_append(ptr, sizeof(ptr), "sysctl");
			ptr_append(ptr, sizeof(ptr), list->v[i].key);
			return err_at(err, ptr, 0, "%s", why);
		}
	}
	return 0;
}

/* What the kernel accepts as the name of a device. */
static bool is_device_name(const char *s)
{
	size_t len = strlen(s);

	return len && len < 16 && strcmp(s, ".") != 0 && strcmp(s, "..") != 0 &&
	       !strpbrk(s, "/: \t\n\v\f\r");
}

/* One "%d", at the end. */
static bool is_template(const char *s)
{
	const char *percent = strchr(s, '%');

	return percent && !strcmp(percent, "%d");
}

static const char *name_inside(const struct spec_netdev *d)
{
	return d->name ? d->name : d->key;
}

static const char *check_netdev(const struct spec_netdevs *list, size_t i)
{
	const char *name = name_inside(&list->v[i]);

	if (!is_device_name(list->v[i].key) || strchr(list->v[i].key, '%'))
		return "is no name of a network device";
	if (!is_device_name(name) || (strchr(name, '%') && !is_template(name)))
		return "the new name is none of a network device";
	for (size_t k = 0; k < i; k++)
		if (!strcmp(name, name_inside(&list->v[k])) && !is_template(name))
			return "another device gets the same name";
	return NULL;
}

static int check_netdevs(const struct spec_netdevs *list, struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *why = check_netdev(list, i);
		char ptr[sizeof(err->ptr)] = "";

		if (!why)
			continue;
		ptr_append(ptr, sizeof(ptr), "netDevices");
		ptr_append(ptr, sizeof(ptr), list->v[i].key);
		return err_at(err, ptr, 0, "%s", why);
	}
	return 0;
}

int check_linux(void *obj, uint64_t present, struct err *err)
{
	const struct spec_linux *l = obj;
	unsigned int types = 0;
	bool userns;

	(void)present;
	if (check_namespaces(&l->namespaces, &types, err))
		return -1;
	userns = types >> NS_USER & 1;
	if (check_idmaps(&l->uidMappings, "/uidMappings", userns, err) ||
	    check_idmaps(&l->gidMappings, "/gidMappings", userns, err))
		return -1;
	if (l->timeOffsets.n && !(types >> NS_TIME & 1))
		return err_at(err, "/timeOffsets", 0, "needs a time namespace");
	if (check_netdevs(&l->netDevices, err))
		return -1;
	return check_sysctl(&l->sysctl, err);
}

/* The file type that fits a type of device. */
static mode_t device_format(int type)
{
	return type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
}

/*
 * The schema wants a mode of at most 0777; docker and podman were seen to send
 * that of stat(2), type bits and all, for devices of the command line.
 */
int check_device(void *obj, uint64_t present, struct err *err)
{
	struct spec_device *d = obj;
	mode_t format = (mode_t)d->fileMode.v & S_IFMT;

	if (d->type != 'p' && !object_has(&object_device, present, "major"))
		return err_at(err, "/major", 0, "required, and missing");
	if (d->type != 'p' && !object_has(&object_device, present, "minor"))
		return err_at(err, "/minor", 0, "required, and missing");
	if (format && format != device_format(d->type))
		return err_at(err, "/fileMode", 0, "%llu has another file type",
			      (unsigned long long)d->fileMode.v);
	d->fileMode.v &= 07777;
	return 0;
}

int check_devrule(void *obj, uint64_t present, struct err *err)
{
	const struct spec_devrule *r = obj;

	(void)present;
	if (r->type && (!strchr("abc", r->type[0]) || r->type[1]))
		return err_at(err, "/type", 0, "unknown value \"%.64s\"", r->type);
	if (r->access && r->access[strspn(r->access, "rwm")])
		return err_at(err, "/access", 0, "\"%.64s\" has more than r, w and m", r->access);
	return 0;
}

/* "2MB" and the like: the unit is one of KB, MB and GB. */
int check_hugepage(void *obj, uint64_t present, struct err *err)
{
	const struct spec_hugepage *h = obj;
	size_t digits = strspn(h->pageSize, "0123456789");
	const char *unit = h->pageSize + digits;

	(void)present;
	if (!digits || h->pageSize[0] == '0' || !strchr("KMG", *unit) ||
	    strcmp(unit + !!*unit, "B") != 0)
		return err_at(err, "/pageSize", 0, "\"%.64s\" is not a size like 2MB", h->pageSize);
	return 0;
}

/* The kernel's own names among the classes; the row makes a path of it. */
static bool is_class(const char *s)
{
	static const char *const taken[] = {".", "..", "info", "mon_groups", "mon_data"};

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (!strcmp(s, taken[i]))
			return false;
	return !strcmp(s, "/") || !strpbrk(s, "/\n");
}

int check_rdt(void *obj, uint64_t present, struct err *err)
{
	const struct spec_rdt *r = obj;

	(void)present;
	if (r->closID && !is_class(r->closID))
		return err_at(err, "/closID", 0, "\"%.64s\" is no name of a class", r->closID);
	if (r->memBwSchema &&
	    (strncmp(r->memBwSchema, "MB:", 3) != 0 || strchr(r->memBwSchema, '\n')))
		return err_at(err, "/memBwSchema", 0, "is not one line that begins with MB:");
	return 0;
}

/* ---- seccomp ---- */

/* "If the action does not support this, the runtime MUST generate an error." */
static int check_errno(int action, const struct opt_u64 *ret, const char *ptr, struct err *err)
{
	if (!ret->set)
		return 0;
	if (action != ACT_ERRNO && action != ACT_TRACE)
		return err_at(err, ptr, 0, "the action returns no error number");
	/* The kernel's MAX_ERRNO; above it the call would seem to succeed. */
	if (action == ACT_ERRNO && ret->v > 4095)
		return err_at(err, ptr, 0, "%llu is not in 0..4095", (unsigned long long)ret->v);
	return 0;
}

int check_syscall(void *obj, uint64_t present, struct err *err)
{
	const struct spec_syscall *s = obj;

	(void)present;
	if (!s->names.n)
		return err_at(err, "/names", 0, "needs at least one entry");
	return check_errno(s->action, &s->errnoRet, "/errnoRet", err);
}

bool spec_seccomp_notifies(const struct spec_seccomp *s)
{
	if (s->defaultAction == ACT_NOTIFY)
		return true;
	for (size_t i = 0; i < s->syscalls.n; i++) {
		if (s->syscalls.v[i].action == ACT_NOTIFY)
			return true;
	}
	return false;
}

int check_seccomp(void *obj, uint64_t present, struct err *err)
{
	const struct spec_seccomp *s = obj;

	(void)present;
	/* Without an agent such a call would fail with ENOSYS, not be judged. */
	if (!s->listenerPath && spec_seccomp_notifies(s))
		return err_at(err, "/listenerPath", 0, "required by SCMP_ACT_NOTIFY, and missing");
	/* "If the SCMP_ACT_NOTIFY action is not used this value is ignored." */
	if (s->listenerPath && s->listenerPath[0] != '/' && spec_seccomp_notifies(s))
		return err_at(err, "/listenerPath", 0, "\"%.64s\" is not an absolute path",
			      s->listenerPath);
	if (!s->listenerPath && s->listenerMetadata)
		return err_at(err, "/listenerMetadata", 0, "needs listenerPath");
	return check_errno(s->defaultAction, &s->defaultErrnoRet, "/defaultErrnoRet", err);
}
