/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line as tables: parsing, --help and the completions follow from
 * them.  Options may stand before or after the operands (Slurm puts them
 * behind the id), as --name=value, --name value, -x value or -xvalue; "--" ends
 * them.
 */
#ifndef BRYO_RUNTIME_OPTS_H
#define BRYO_RUNTIME_OPTS_H

#include <stdbool.h>
#include <stdio.h>

#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "runtime/box.h"

enum opt_kind {
	OPT_FLAG,   /* bool */
	OPT_STRING, /* const char * */
	OPT_UINT,   /* unsigned int */
	OPT_CHOICE, /* int: the index in `choices` */
	OPT_LIST,   /* struct opt_list: it may be given again; in arguments.arena */
	OPT_LATER   /* known, and not supported yet */
};

struct option_row {
	const char *name;
	char letter; /* 0: none */
	enum opt_kind kind;
	size_t offset;     /* in struct arguments */
	const char *value; /* its name in --help, NULL for flags */
	const char *help;
	const char *const *choices; /* NULL-terminated */
};

enum { ROOTLESS_AUTO, ROOTLESS_TRUE, ROOTLESS_FALSE };
enum { LOG_TEXT, LOG_JSON };
enum { FORMAT_TABLE, FORMAT_JSON };

/* The flags of `update`, as text: NULL is "not given". */
struct update_options {
	const char *resources, *memory, *reservation, *swap, *quota, *period, *burst, *idle;
	const char *shares, *rt_runtime, *rt_period, *cpus, *mems, *pids, *blkio_weight;
};

/* The flags of `exec`. */
struct exec_options {
	const char *process, *cwd, *user, *label, *apparmor, *cgroup;
	struct opt_list env, groups, caps;
	bool tty, no_new_privs, ignore_paused;
};

struct arguments {
	/* global */
	const char *root, *log;
	int log_format, rootless, cgroup_manager;
	bool debug, systemd_cgroup, version, help;
	/* of the commands */
	struct box_options box;
	struct update_options update;
	struct exec_options exec;
	const char *interval, *timeout;
	bool stats;
	bool all, force, quiet, spec_rootless, steps_exec, json, host;
	int format;
	char *const *argv; /* all of it, to execute bryo again */
	/* what is no option */
	const char *operands[4];
	int n_operands;
	char *const *rest;  /* see OPERANDS_REST; NULL: none */
	struct arena arena; /* of the lists; arena_finish() frees it */
};

/*
 * As the greatest number of operands: what follows the least number is another
 * program's, options or not, and goes to arguments.rest.
 */
enum { OPERANDS_REST = -1 };

struct command {
	const char *name, *operands; /* operands: as in the synopsis */
	int least, most;             /* number of operands */
	const char *help;
	const struct option_row *options;             /* ends with a NULL name */
	int (*run)(struct arguments *, struct err *); /* the exit status; -1: err. NULL: later */
};

extern const struct option_row global_options[];
extern const struct command commands[]; /* ends with a NULL name */

/*
 * Global options, a command, its options and operands.  *ret_command is NULL
 * when none is given.  -1 and err; what was read before the error is in *ret.
 */
int opts_parse(int argc, char **argv, struct arguments *ret, const struct command **ret_command,
	       struct err *err);

void opts_help(FILE *out, const struct command *c);

#endif
