/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The properties of the configuration as data.  Parsing, writing, the list of
 * what is supported and the manual all follow from these tables: a property
 * that has no field here is unknown, hence ignored, as the specification wants.
 */
#ifndef BRYO_SPEC_FIELDS_H
#define BRYO_SPEC_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/err.h"

/* What the text holds; see json_type_names. */
enum json_type { T_NULL, T_BOOL, T_NUMBER, T_STRING, T_ARRAY, T_OBJECT };

extern const char *const json_type_names[];

/* What a member of a structure is, and so which JSON value fills it. */
enum kind {
	K_BOOL,     /* bool */
	K_OPT_BOOL, /* struct opt_bool */
	K_U32,      /* uint32_t */
	K_U64,      /* uint64_t */
	K_I64,      /* int64_t */
	K_OPT_U64,  /* struct opt_u64 */
	K_OPT_I64,  /* struct opt_i64 */
	K_STR,      /* char *; an empty string is the same as an absent one */
	K_ENUM,     /* int, from one of the names */
	K_STRS,     /* struct strs */
	K_NAMES,    /* struct strs, each one of the names */
	K_FLAGS,    /* uint64_t, from an array of names, each a bit */
	K_U32S,     /* struct u32s */
	K_OBJ,      /* a structure held by value */
	K_PTR,      /* a pointer to a structure */
	K_LIST,     /* LIST(): an array of objects */
	K_MAP,      /* struct pairs: any key, string values */
	K_OBJMAP,   /* LIST(): any key, objects; the first member is char *key */
	K_COUNT
};

/* The JSON type of a kind and, for arrays and maps, that of what they hold. */
struct kind_type {
	enum json_type value, element;
};

extern const struct kind_type kind_types[K_COUNT];

struct name {
	const char *name; /* NULL ends a list of names */
	int64_t value;
};

/*
 * Who applies a property.  REFUSED is zero on purpose: a field that says
 * nothing is refused, not silently dropped.
 */
enum applied {
	REFUSED,    /* by no row yet: spec_check_supported() stops at it */
	ROW,        /* by the row of the step table named in `row` */
	LIKE_OWNER, /* like the list or object that holds it */
	MEMBERS,    /* an object whose members say it for themselves */
	IGNORED,    /* the specification says that it has no effect here */
	V1_ONLY     /* of cgroup v1, with nothing in v2 that does the same: refused */
};

struct findings;
struct object;

#define SINCE(major, minor, patch) .since = ((major)*10000 + (minor)*100 + (patch))

struct field {
	const char *name;
	enum kind kind;
	unsigned int offset;
	bool required;
	/* Strings, also those in lists. */
	bool nonempty;
	bool absolute;
	unsigned int longest; /* in bytes; 0: any */
	/* Numbers, also those in lists: what is accepted. */
	int64_t min;
	uint64_t max;
	bool zero_asks;              /* 0 asks for something, it does not mean "not set" */
	bool minus_one_unsets;       /* -1 means "no limit", the same as not set */
	const struct name *names;    /* of K_ENUM, K_NAMES, K_FLAGS; of K_OBJMAP's keys */
	const struct object *object; /* of K_OBJ, K_PTR, K_LIST, K_OBJMAP */
	enum applied applied;
	const char *row;
	unsigned int since; /* SINCE(): the specification's version, if it is not 1.0.0 */
	const char *doc;    /* one line of the manual */
};

/*
 * What the tables cannot say of an object, looked at once all of its members are read;
 * pointers of findings are relative to the object.  `present` has the bit of each field
 * that the text has: see object_has().
 */
struct rule {
	void (*check)(void *obj, uint64_t present, struct findings *f); /* NULL ends a list */
	/* What it looks at, parted by spaces: it is left out when one of these is wrong. */
	const char *members;
};

/* A JSON object and the structure behind it. */
struct object {
	const struct field *fields;
	size_t n;
	size_t size;
	const struct rule *rules; /* or NULL */
};

extern const struct object object_spec, object_process, object_linux, object_resources;
extern const struct object object_idmap, object_seccomp, object_device, object_hook_sets;
extern const struct object object_syscall;

/* Is the member of that name among those of `present`? */
bool object_has(const struct object *o, uint64_t present, const char *name);

/* The SCMP_ARCH_*, MPOL_* and MPOL_F_* of the specification. */
extern const struct name spec_architectures[], spec_policy_modes[], spec_policy_flags[];

/* Does the member hold anything?  A required one always does. */
bool field_is_set(const struct field *f, const void *obj);
/* Does it ask for anything?  False also for values that mean "not set". */
bool field_asks(const struct field *f, const void *obj);
/* Is it of the kinds that are made of elements?  The size of one, their number, and the first. */
bool field_has_elements(const struct field *f);
size_t field_element_size(const struct field *f);
size_t field_count(const struct field *f, const void *obj, void **ret_first);
/*
 * A JSON number or string for that field, or for an element of it.  Negative
 * numbers come as two's complement.  -1: `why` says what is wrong with it.
 */
int field_number(const struct field *f, const char *s, size_t len, uint64_t *ret, char *why,
		 size_t size);
int field_string(const struct field *f, const char *s, size_t len, char *why, size_t size);
const char *name_of(const struct name *names, int64_t value); /* NULL: none */
const struct name *name_find(const struct name *names, const char *s);

/*
 * All fields, parents first.  `ptr` is the JSON pointer with "*" for an index or
 * any key; `how` and `row` are resolved, never LIKE_OWNER.
 */
struct field_visit {
	const char *ptr;
	const struct field *field;
	enum applied how;
	const char *row;
};

typedef void field_visitor(const struct field_visit *v, void *data);
void fields_visit(const struct object *top, field_visitor *visit, void *data);

/* In load.c, rules_linux.c and rules_process.c. */
extern const struct rule rules_spec[], rules_process[], rules_rlimit[], rules_idmap[];
extern const struct rule rules_mount[], rules_hook[], rules_linux[], rules_device[];
extern const struct rule rules_devrule[], rules_hugepage[], rules_rdt[], rules_syscall[];
extern const struct rule rules_seccomp[], rules_affinity[], rules_scheduler[];
extern const struct rule rules_personality[], rules_mempolicy[];
struct spec_idmaps;
void check_idmaps(const struct spec_idmaps *list, const char *name, bool userns,
		  struct findings *f);

/* Table notation; used by fields*.c only. */
#define F(type, member, kind_) F_AS(type, member, #member, kind_)
#define F_AS(type, member, name_, kind_)                                                           \
	.name = (name_), .kind = (kind_), .offset = offsetof(struct type, member)
#define BY(row_) .applied = ROW, .row = (row_)
#define RANGE(lo, hi) .min = (lo), .max = (hi)
#define ANY_U32 RANGE(0, UINT32_MAX)
#define ANY_U64 RANGE(0, UINT64_MAX)
#define ANY_I64 RANGE(INT64_MIN, INT64_MAX)
/* 4294967295 is (uid_t)-1, which means "leave it" to the kernel. */
#define ANY_ID RANGE(0, UINT32_MAX - 1)
/* Versions of clang-format disagree about braces in macros. */
/* clang-format off */
#define OBJECT(type, fields_, rules_)                                                              \
	{.fields = (fields_), .n = sizeof(fields_) / sizeof((fields_)[0]),                         \
	 .size = sizeof(struct type), .rules = (rules_)}
/* clang-format on */

#endif
