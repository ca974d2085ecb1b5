/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of config-linux.md that the tables cannot say. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "spec/fields.h"
#include "spec/findings.h"
#include "spec/spec.h"

/* user_namespaces(7): UID_GID_MAP_MAX_EXTENTS. */
enum { MAX_ID_RANGES = 340 };

/* A set of bits: which types are there. */
static unsigned int types_of(const struct spec_namespaces *list)
{
	unsigned int types = 0;

	for (size_t i = 0; i < list->n; i++)
		types |= 1U << list->v[i].type;
	return types;
}

static void check_namespaces(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_linux *l = obj;
	unsigned int types = 0;
	char ptr[40];

	(void)present;
	for (size_t i = 0; i < l->namespaces.n; i++) {
		unsigned int bit = 1U << l->namespaces.v[i].type;

		snprintf(ptr, sizeof(ptr), "/namespaces/%zu/type", i);
		if (types & bit)
			finding(f, ptr, "the type is there already");
		types |= bit;
	}
}

static bool overlap(uint32_t a, uint32_t b, uint32_t a_size, uint32_t b_size)
{
	return a < b ? b - a < a_size : a - b < b_size;
}

/* The first entry that this one overlaps with; `i` itself: none. */
static size_t overlapping(const struct spec_idmaps *list, size_t i)
{
	const struct spec_idmap *a = &list->v[i];

	for (size_t k = 0; k < i; k++) {
		const struct spec_idmap *b = &list->v[k];

		if (overlap(a->containerID, b->containerID, a->size, b->size) ||
		    overlap(a->hostID, b->hostID, a->size, b->size))
			return k;
	}
	return i;
}

/* The kernel would say EINVAL for the whole list, without the entry. */
void check_idmaps(const struct spec_idmaps *list, const char *name, bool userns, struct findings *f)
{
	char ptr[48];

	if (list->n && !userns)
		finding(f, name, "needs a user namespace");
	if (list->n > MAX_ID_RANGES) {
		finding(f, name, "more than %d entries", MAX_ID_RANGES);
		return;
	}
	for (size_t i = 1; i < list->n; i++) {
		size_t k = overlapping(list, i);

		snprintf(ptr, sizeof(ptr), "%s/%zu", name, i);
		if (k != i)
			finding(f, ptr, "overlaps with entry %zu", k);
	}
}

static void check_id_maps(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_linux *l = obj;
	bool userns = types_of(&l->namespaces) >> NS_USER & 1;

	(void)present;
	check_idmaps(&l->uidMappings, "/uidMappings", userns, f);
	check_idmaps(&l->gidMappings, "/gidMappings", userns, f);
}

static void check_time_offsets(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_linux *l = obj;

	(void)present;
	if (l->timeOffsets.n && !(types_of(&l->namespaces) >> NS_TIME & 1))
		finding(f, "/timeOffsets", "needs a time namespace");
}

/*
 * Key and value become a path below /proc/sys and the content of a file.  The
 * row resolves the path safely; what can only be an attempt ends here.
 */
static void check_sysctl(void *obj, uint64_t present, struct findings *f)
{
	const struct pairs *list = &((const struct spec_linux *)obj)->sysctl;

	(void)present;
	for (size_t i = 0; i < list->n; i++) {
		const char *why = NULL;
		char ptr[sizeof(f->under)] = "";

		if (strstr(list->v[i].key, "..") || strchr(list->v[i].key, '\n'))
			why = "is no name of a kernel parameter";
		else if (strchr(list->v[i].value, '\n'))
			why = "more than one line";
		if (!why)
			continue;
		ptr_append(ptr, sizeof(ptr), "sysctl");
		ptr_append(ptr, sizeof(ptr), list->v[i].key);
		finding(f, ptr, "%s", why);
	}
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

static void check_netdevs(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_netdevs *list = &((const struct spec_linux *)obj)->netDevices;

	(void)present;
	for (size_t i = 0; i < list->n; i++) {
		const char *why = check_netdev(list, i);
		char ptr[sizeof(f->under)] = "";

		if (!why)
			continue;
		ptr_append(ptr, sizeof(ptr), "netDevices");
		ptr_append(ptr, sizeof(ptr), list->v[i].key);
		finding(f, ptr, "%s", why);
	}
}

const struct rule rules_linux[] = {
	{check_namespaces, "namespaces"},
	{check_id_maps, "namespaces uidMappings gidMappings"},
	{check_time_offsets, "namespaces timeOffsets"},
	{check_netdevs, "netDevices"},
	{check_sysctl, "sysctl"},
	{0},
};

/* The file type that fits a type of device. */
static mode_t device_format(int type)
{
	return type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
}

/*
 * The schema wants a mode of at most 0777; docker and podman were seen to send
 * that of stat(2), type bits and all, for devices of the command line.
 */
static void check_mode(void *obj, uint64_t present, struct findings *f)
{
	struct spec_device *d = obj;
	mode_t format = (mode_t)d->fileMode.v & S_IFMT;

	(void)present;
	if (format && format != device_format(d->type))
		finding(f, "/fileMode", "%llu has another file type",
			(unsigned long long)d->fileMode.v);
	d->fileMode.v &= 07777;
}

static void check_number(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_device *d = obj;

	if (d->type != 'p' && !object_has(&object_device, present, "major"))
		finding(f, "/major", "required, and missing");
	if (d->type != 'p' && !object_has(&object_device, present, "minor"))
		finding(f, "/minor", "required, and missing");
}

const struct rule rules_device[] = {
	{check_number, "type major minor"}, {check_mode, "type fileMode"}, {0}};

static void check_rule_type(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_devrule *r = obj;

	(void)present;
	if (r->type && (!strchr("abc", r->type[0]) || r->type[1]))
		finding(f, "/type", "unknown value \"%.64s\"", r->type);
}

static void check_access(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_devrule *r = obj;

	(void)present;
	if (r->access && r->access[strspn(r->access, "rwm")])
		finding(f, "/access", "\"%.64s\" has more than r, w and m", r->access);
}

const struct rule rules_devrule[] = {{check_rule_type, "type"}, {check_access, "access"}, {0}};

/* "2MB" and the like: the unit is one of KB, MB and GB. */
static void check_size(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_hugepage *h = obj;
	size_t digits = h->pageSize ? strspn(h->pageSize, "0123456789") : 0;
	const char *unit = h->pageSize + digits;

	(void)present;
	if (h->pageSize && (!digits || h->pageSize[0] == '0' || !strchr("KMG", *unit) ||
			    strcmp(unit + !!*unit, "B") != 0))
		finding(f, "/pageSize", "\"%.64s\" is not a size like 2MB", h->pageSize);
}

const struct rule rules_hugepage[] = {{check_size, "pageSize"}, {0}};

/* The kernel's own names among the classes; the row makes a path of it. */
static bool is_class(const char *s)
{
	static const char *const taken[] = {".", "..", "info", "mon_groups", "mon_data"};

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (!strcmp(s, taken[i]))
			return false;
	return !strcmp(s, "/") || !strpbrk(s, "/\n");
}

static void check_class(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_rdt *r = obj;

	(void)present;
	if (r->closID && !is_class(r->closID))
		finding(f, "/closID", "\"%.64s\" is no name of a class", r->closID);
}

static void check_schema(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_rdt *r = obj;

	(void)present;
	if (r->memBwSchema &&
	    (strncmp(r->memBwSchema, "MB:", 3) != 0 || strchr(r->memBwSchema, '\n')))
		finding(f, "/memBwSchema", "is not one line that begins with MB:");
}

static void check_schemata(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_rdt *r = obj;
	char ptr[32];

	(void)present;
	for (size_t i = 0; i < r->schemata.n; i++) {
		snprintf(ptr, sizeof(ptr), "/schemata/%zu", i);
		if (strchr(r->schemata.v[i], '\n'))
			finding(f, ptr, "is more than one line");
	}
}

const struct rule rules_rdt[] = {
	{check_class, "closID"}, {check_schema, "memBwSchema"}, {check_schemata, "schemata"}, {0}};

/* ---- seccomp ---- */

/* "If the action does not support this, the runtime MUST generate an error." */
static void check_errno(int action, const struct opt_u64 *ret, const char *ptr, struct findings *f)
{
	if (!ret->set)
		return;
	if (action != ACT_ERRNO && action != ACT_TRACE)
		finding(f, ptr, "the action returns no error number");
	/* The kernel's MAX_ERRNO; above it the call would seem to succeed. */
	else if (action == ACT_ERRNO && ret->v > 4095)
		finding(f, ptr, "%llu is not in 0..4095", (unsigned long long)ret->v);
}

static void check_names(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_syscall *s = obj;

	if (object_has(&object_syscall, present, "names") && !s->names.n)
		finding(f, "/names", "needs at least one entry");
}

static void check_action(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_syscall *s = obj;

	(void)present;
	check_errno(s->action, &s->errnoRet, "/errnoRet", f);
}

const struct rule rules_syscall[] = {
	{check_names, "names"}, {check_action, "action errnoRet"}, {0}};

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

static void check_listener(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_seccomp *s = obj;

	(void)present;
	/* Without an agent such a call would fail with ENOSYS, not be judged. */
	if (!s->listenerPath && spec_seccomp_notifies(s))
		finding(f, "/listenerPath", "required by SCMP_ACT_NOTIFY, and missing");
	/* "If the SCMP_ACT_NOTIFY action is not used this value is ignored." */
	if (s->listenerPath && s->listenerPath[0] != '/' && spec_seccomp_notifies(s))
		finding(f, "/listenerPath", "\"%.64s\" is not an absolute path", s->listenerPath);
}

static void check_metadata(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_seccomp *s = obj;

	(void)present;
	if (!s->listenerPath && s->listenerMetadata)
		finding(f, "/listenerMetadata", "needs listenerPath");
}

static void check_default_action(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_seccomp *s = obj;

	(void)present;
	check_errno(s->defaultAction, &s->defaultErrnoRet, "/defaultErrnoRet", f);
}

const struct rule rules_seccomp[] = {
	{check_listener, "defaultAction listenerPath syscalls"},
	{check_metadata, "listenerPath listenerMetadata"},
	{check_default_action, "defaultAction defaultErrnoRet"},
	{0},
};
