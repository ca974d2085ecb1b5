/* SPDX-License-Identifier: Apache-2.0 */
/* The list of fields for bryo-config(5), in mdoc(7), as made from the tables. */
#include "tests/spec/test.h"

#include "spec/fields.h"

/* A sentence on its own line, as mdoc wants; two spaces part them in the tables. */
static void print_doc(const char *doc)
{
	for (; *doc; doc++) {
		if (doc[0] == '.' && doc[1] == ' ' && doc[2] == ' ') {
			printf(".\n");
			doc += 2;
		} else {
			putchar(*doc);
		}
	}
	printf("\n");
}

static void print_field(const struct field_visit *v, void *data)
{
	(void)data;
	printf(".It Pa %s\n", v->ptr);
	print_doc(v->field->doc);
	if (v->field->required)
		printf("Required.\n");
	if (v->field->since)
		printf("Came with version %u.%u.%u.\n", v->field->since / 10000,
		       v->field->since / 100 % 100, v->field->since % 100);
	if (v->field->applied == LIKE_OWNER)
		return;
	if (v->how == ROW)
		printf("Applied by\n.Cm %s .\n", v->row);
	else if (v->how == REFUSED)
		printf("Not supported yet: refused.\n");
	else if (v->how == V1_ONLY)
		printf("Of cgroup v1 only: refused.\n");
	else if (v->how == IGNORED)
		printf("Ignored.\n");
}

void print_manual(void)
{
	fields_visit(&object_spec, print_field, NULL);
}
