/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading config.json and process.json, and the rules of config.md that the
 * tables cannot say.  A rule sees one object, once its members are read.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/fields.h"
#include "spec/findings.h"
#include "spec/json.h"
#include "spec/spec.h"

/*
 * One of the three numbers of a semantic version: no sign, no leading zero.
 * Returns the text behind it, NULL when it is none.
 */
static const char *version_number(const char *s, unsigned long *ret)
{
	char *end;

	if (!isdigit((unsigned char)*s) || (*s == '0' && isdigit((unsigned char)s[1])))
		return NULL;
	*ret = strtoul(s, &end, 10);
	return end - s > 9 ? NULL : end;
}

/* Identifiers between dots, none empty; returns the text behind, or NULL. */
static const char *version_suffix(const char *s)
{
	do {
		const char *start = ++s;

		while (isalnum((unsigned char)*s) || *s == '-')
			s++;
		if (s == start)
			return NULL;
	} while (*s == '.');
	return s;
}

static bool parse_version(const char *s, unsigned long part[3])
{
	for (int i = 0; i < 3; i++) {
		s = version_number(s, &part[i]);
		if (!s || (i < 2 && *s++ != '.'))
			return false;
	}
	if (*s == '-')
		s = version_suffix(s);
	if (s && *s == '+')
		s = version_suffix(s);
	return s && !*s;
}

/*
 * Before 1.3 the limit was no pointer in the specification's Go types, so engines
 * wrote a 0 for "not set"; since then it is a number of processes.
 */
static void unset_old_zero(struct spec *s)
{
	struct spec_resources *r = s->linux_ ? s->linux_->resources : NULL;

	if (r && r->pids && r->pids->limit.v == 0)
		r->pids->limit.set = false;
}

static void check_version(void *obj, uint64_t present, struct findings *f)
{
	struct spec *s = obj;
	unsigned long part[3];

	(void)present;
	if (!s->ociVersion)
		return;
	if (!parse_version(s->ociVersion, part)) {
		finding(f, "/ociVersion", "\"%.64s\" is not a semantic version", s->ociVersion);
		return;
	}
	if (part[0] != SPEC_VERSION_MAJOR || part[1] > SPEC_VERSION_MINOR)
		finding(f, "/ociVersion", "%.64s is not in 1.0..%d.%d", s->ociVersion,
			SPEC_VERSION_MAJOR, SPEC_VERSION_MINOR);
	if (part[1] < 3)
		unset_old_zero(s);
}

const struct rule rules_spec[] = {{check_version, "ociVersion"}, {0}};

unsigned int spec_version_number(const char *version)
{
	unsigned long part[3];

	if (!version || !parse_version(version, part))
		return UINT_MAX;
	return (unsigned int)(part[0] * 10000 + part[1] * 100 + part[2]);
}

/*
 * The specification gives env the semantics of environ in IEEE Std 1003.1, whose
 * strings "have the form name=value", where names shall not contain '='.  So an
 * entry without '=', or without a name, is an invalid value; execve(2) would
 * hand it on, and each libc would make something else of it.
 */
static void check_env(const struct strs *env, struct findings *f)
{
	char ptr[32];

	for (size_t i = 0; i < env->n && !findings_enough(f); i++) {
		const char *eq = strchr(env->v[i], '=');

		snprintf(ptr, sizeof(ptr), "/env/%zu", i);
		if (!eq || eq == env->v[i])
			finding(f, ptr, "\"%.64s\" is not NAME=VALUE", env->v[i]);
	}
}

static void check_args(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_process *p = obj;

	if (!object_has(&object_process, present, "args"))
		return; /* it has been said */
	if (!p->args.n)
		finding(f, "/args", "needs at least one entry");
	else if (!p->args.v[0][0])
		finding(f, "/args/0", "must not be empty");
}

static void check_process_env(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_process *p = obj;

	(void)present;
	check_env(&p->env, f);
}

static void check_rlimits(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_process *p = obj;
	uint64_t types = 0;
	char ptr[40];

	(void)present;
	for (size_t i = 0; i < p->rlimits.n; i++) {
		uint64_t bit = UINT64_C(1) << p->rlimits.v[i].type;

		snprintf(ptr, sizeof(ptr), "/rlimits/%zu/type", i);
		if (types & bit)
			finding(f, ptr, "the type is there already");
		types |= bit;
	}
}

const struct rule rules_process[] = {
	{check_args, "args"}, {check_process_env, "env"}, {check_rlimits, "rlimits"}, {0}};

static void check_rlimit(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_rlimit *r = obj;

	(void)present;
	if (r->soft > r->hard)
		finding(f, "/soft", "%llu is above the hard limit, %llu",
			(unsigned long long)r->soft, (unsigned long long)r->hard);
}

const struct rule rules_rlimit[] = {{check_rlimit, "soft hard"}, {0}};

/*
 * The end of a range may be 4294967295, one behind the last ID there is; the
 * kernel refuses what wraps around.
 */
static void check_range(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_idmap *m = obj;

	(void)present;
	if (m->size > UINT32_MAX - m->containerID)
		finding(f, "/size", "containerID and size exceed 4294967295");
	else if (m->size > UINT32_MAX - m->hostID)
		finding(f, "/size", "hostID and size exceed 4294967295");
}

const struct rule rules_idmap[] = {{check_range, "containerID hostID size"}, {0}};

static void check_mappings(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_mount *m = obj;

	(void)present;
	if (m->uidMappings.n && !m->gidMappings.n)
		finding(f, "/uidMappings", "needs gidMappings");
	if (m->gidMappings.n && !m->uidMappings.n)
		finding(f, "/gidMappings", "needs uidMappings");
	/* The user namespace is one of their own. */
	check_idmaps(&m->uidMappings, "/uidMappings", true, f);
	check_idmaps(&m->gidMappings, "/gidMappings", true, f);
}

const struct rule rules_mount[] = {{check_mappings, "uidMappings gidMappings"}, {0}};

static void check_hook_env(void *obj, uint64_t present, struct findings *f)
{
	const struct spec_hook *h = obj;

	(void)present;
	check_env(&h->env, f);
}

const struct rule rules_hook[] = {{check_hook_env, "env"}, {0}};

int strs_append(struct strs *list, char *const *more, size_t n, struct arena *a)
{
	char **v = arena_array(a, list->n + n + 1, sizeof(*v));

	if (!v)
		return -1;
	if (list->n)
		memcpy(v, list->v, list->n * sizeof(*v));
	if (n)
		memcpy(v + list->n, more, n * sizeof(*v));
	*list = (struct strs){v, list->n + n};
	return 0;
}

int spec_parse(const char *text, size_t len, struct arena *a, struct spec **ret_spec,
	       struct err *err)
{
	struct spec *s = arena_alloc(a, sizeof(*s));

	if (!s)
		return err_set(err, ENOMEM, "reading JSON");
	if (json_parse(text, len, &object_spec, s, a, err))
		return -1;
	*ret_spec = s;
	return 0;
}

int spec_parse_process(const char *text, size_t len, struct arena *a,
		       struct spec_process **ret_process, struct err *err)
{
	struct spec_process *p = arena_alloc(a, sizeof(*p));

	if (!p)
		return err_set(err, ENOMEM, "reading JSON");
	if (json_parse(text, len, &object_process, p, a, err))
		return -1;
	*ret_process = p;
	return 0;
}

int spec_parse_resources(const char *text, size_t len, struct arena *a,
			 struct spec_resources **ret_resources, struct err *err)
{
	struct spec_resources *r = arena_alloc(a, sizeof(*r));

	if (!r)
		return err_set(err, ENOMEM, "reading JSON");
	if (json_parse(text, len, &object_resources, r, a, err))
		return -1;
	*ret_resources = r;
	return 0;
}
