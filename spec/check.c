/* SPDX-License-Identifier: Apache-2.0 */
/* What a document asks for that no row of the step table applies yet. */
#include "spec/fields.h"

#include <string.h>

#include "spec/spec.h"

struct asked {
	struct err *err;
};

static int check_members(const struct asked *q, const struct object *o, const void *obj,
			 enum applied how);

static bool refused(enum applied how)
{
	return how == REFUSED || how == V1_ONLY;
}

/* Puts the key or index of an element, if any, and the field in front. */
static int under(const struct asked *q, const struct field *f, const char *element, size_t i)
{
	char ptr[sizeof(q->err->ptr)] = "";
	const char *key;

	ptr_append(ptr, sizeof(ptr), f->name);
	if (f->kind == K_OBJMAP) {
		memcpy(&key, element, sizeof(key));
		ptr_append(ptr, sizeof(ptr), key);
	}
	if (f->kind == K_LIST)
		err_under(q->err, "/%zu", i);
	return err_under(q->err, "%s", ptr);
}

/* The objects of a list, a map or a member: one level down in the tables. */
static int check_objects(const struct asked *q, const struct field *f, const void *obj,
			 enum applied how)
{
	const char *first = (const char *)obj + f->offset;
	void *elements;
	size_t n = 1;

	if (f->kind == K_PTR) {
		memcpy(&elements, first, sizeof(elements));
		first = elements;
		n = first ? 1 : 0;
	} else if (f->kind != K_OBJ) {
		n = field_count(f, obj, &elements);
		first = elements;
	}
	for (size_t i = 0; i < n; i++) {
		const char *inner = first + i * f->object->size;

		if (check_members(q, f->object, inner, how))
			return under(q, f, inner, i);
	}
	return 0;
}

static int check_field(const struct asked *q, const struct field *f, const void *obj,
		       enum applied how)
{
	if (f->applied != LIKE_OWNER)
		how = f->applied;
	if (refused(how) && field_asks(f, obj)) {
		char ptr[64] = "";

		ptr_append(ptr, sizeof(ptr), f->name);
		return err_at(q->err, ptr, 0,
			      how == V1_ONLY ? "is of cgroup v1: nothing in cgroup v2 does the same"
					     : "not supported yet");
	}
	if (f->object && (how == ROW || how == MEMBERS))
		return check_objects(q, f, obj, how);
	return 0;
}

static int check_members(const struct asked *q, const struct object *o, const void *obj,
			 enum applied how)
{
	for (size_t i = 0; i < o->n; i++) {
		if (check_field(q, &o->fields[i], obj, how))
			return -1;
	}
	return 0;
}

int spec_check_supported(const struct spec *s, struct err *err)
{
	const struct asked q = {.err = err};

	return check_members(&q, &object_spec, s, MEMBERS);
}

int spec_check_process_supported(const struct spec_process *p, struct err *err)
{
	const struct asked q = {.err = err};

	return check_members(&q, &object_process, p, MEMBERS);
}

int spec_check_resources_supported(const struct spec_resources *r, struct err *err)
{
	const struct asked q = {.err = err};

	return check_members(&q, &object_resources, r, MEMBERS);
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
