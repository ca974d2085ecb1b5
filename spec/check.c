/* SPDX-License-Identifier: Apache-2.0 */
/* What a document asks for that no row of the step table applies, and from which version on. */
#include "spec/fields.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "spec/findings.h"
#include "spec/json.h"
#include "spec/spec.h"

/* A walk over what a document asks for; findings->under is the object that it is in. */
struct asked {
	struct findings *f;
	unsigned int version; /* of the document: what is younger is told; UINT_MAX: nothing is */
};

static void check_members(const struct asked *q, const struct object *o, const void *obj,
			  enum applied how);

static bool refused(enum applied how)
{
	return how == REFUSED || how == V1_ONLY;
}

/* The pointer of an element: the field, and the key or the index if there is any. */
static void enter(char *ptr, size_t size, const struct field *f, const char *element, size_t i)
{
	char index[24];
	const char *key;

	ptr_append(ptr, size, f->name);
	if (f->kind == K_OBJMAP) {
		memcpy(&key, element, sizeof(key));
		ptr_append(ptr, size, key);
	}
	if (f->kind == K_LIST) {
		snprintf(index, sizeof(index), "%zu", i);
		ptr_append(ptr, size, index);
	}
}

/* The objects of a list, a map or a member: one level down in the tables. */
static void check_objects(const struct asked *q, const struct field *f, const void *obj,
			  enum applied how)
{
	const char *first = (const char *)obj + f->offset;
	size_t n = 1, len = strlen(q->f->under);
	void *elements;

	if (f->kind == K_PTR) {
		memcpy(&elements, first, sizeof(elements));
		first = elements;
		n = first ? 1 : 0;
	} else if (f->kind != K_OBJ) {
		n = field_count(f, obj, &elements);
		first = elements;
	}
	for (size_t i = 0; i < n && !findings_enough(q->f); i++) {
		const char *inner = first + i * f->object->size;

		enter(q->f->under, sizeof(q->f->under), f, inner, i);
		check_members(q, f->object, inner, how);
		q->f->under[len] = '\0';
	}
}

static void tell_younger(const struct asked *q, const struct field *f)
{
	struct err e = {0};

	err_set(&e, 0,
		"came with version %u.%u.%u of the specification; the document follows %u.%u.%u",
		f->since / 10000, f->since / 100 % 100, f->since % 100, q->version / 10000,
		q->version / 100 % 100, q->version % 100);
	ptr_append(e.ptr, sizeof(e.ptr), f->name);
	findings_add(q->f, FINDING_WARNING, &e);
}

static void check_field(const struct asked *q, const struct field *f, const void *obj,
			enum applied how)
{
	char ptr[64] = "";

	if (f->applied != LIKE_OWNER)
		how = f->applied;
	if (f->since > q->version && field_is_set(f, obj))
		tell_younger(q, f);
	ptr_append(ptr, sizeof(ptr), f->name);
	if (refused(how) && field_asks(f, obj))
		finding(q->f, ptr, "%s",
			how == V1_ONLY ? "is of cgroup v1: nothing in cgroup v2 does the same"
				       : "not supported yet");
	else if (f->object && (how == ROW || how == MEMBERS))
		check_objects(q, f, obj, how);
}

static void check_members(const struct asked *q, const struct object *o, const void *obj,
			  enum applied how)
{
	for (size_t i = 0; i < o->n && !findings_enough(q->f); i++)
		check_field(q, &o->fields[i], obj, how);
}

static int first_refused(const struct object *o, const void *obj, struct err *err)
{
	struct findings first = {.first = err};
	const struct asked q = {.f = &first, .version = UINT_MAX};

	check_members(&q, o, obj, MEMBERS);
	return first.errors ? -1 : 0;
}

int spec_check_supported(const struct spec *s, struct err *err)
{
	return first_refused(&object_spec, s, err);
}

int spec_check_process_supported(const struct spec_process *p, struct err *err)
{
	return first_refused(&object_process, p, err);
}

int spec_check_resources_supported(const struct spec_resources *r, struct err *err)
{
	return first_refused(&object_resources, r, err);
}

int spec_validate(const char *text, size_t len, struct arena *a, struct findings *f,
		  struct spec **ret_spec, struct err *err)
{
	struct spec *s = arena_alloc(a, sizeof(*s));
	struct asked q = {.f = f};

	if (!s)
		return err_set(err, ENOMEM, "reading JSON");
	if (json_parse_all(text, len, &object_spec, s, a, f, err) < 0)
		return -1;
	q.version = spec_version_number(s->ociVersion);
	check_members(&q, &object_spec, s, MEMBERS);
	*ret_spec = s;
	return 0;
}

struct listing {
	void (*emit)(const char *ptr, void *data);
	void *data;
};

/*
 * Of a subtree that is refused as a whole only the top: its members are
 * LIKE_OWNER.
 */
static void list_refused(const struct field_visit *v, void *data)
{
	const struct listing *l = data;

	if (v->field->applied == REFUSED || v->field->applied == V1_ONLY)
		l->emit(v->ptr, l->data);
}

void spec_list_refused(void (*emit)(const char *ptr, void *data), void *data)
{
	struct listing l = {emit, data};

	fields_visit(&object_spec, list_refused, &l);
}
