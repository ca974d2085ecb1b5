/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/opts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Options of `options` first: a command's own wins over a global one. */
struct scope {
	const struct option_row *own, *global;
};

static const struct option_row *by_name(const struct option_row *o, const char *name, size_t len)
{
	for (; o && o->name; o++)
		if (strlen(o->name) == len && !strncmp(o->name, name, len))
			return o;
	return NULL;
}

static const struct option_row *by_letter(const struct option_row *o, char letter)
{
	for (; o && o->name; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

static int bad_value(const struct option_row *o, const char *value, struct err *err)
{
	return err_set(err, 0, "--%s: \"%.80s\" is not one of its values (%s)", o->name, value,
		       o->value);
}

static int store_choice(const struct option_row *o, const char *value, int *p, struct err *err)
{
	for (int i = 0; o->choices[i]; i++)
		if (!strcmp(o->choices[i], value)) {
			*p = i;
			return 0;
		}
	return bad_value(o, value, err);
}

static int store_list(const char *value, struct opt_list *l, struct arena *a, struct err *err)
{
	const char **slot = arena_push(a, &l->v, &l->n, &l->cap, sizeof(*l->v));

	if (!slot)
		return err_set(err, ENOMEM, "the command line");
	*slot = value;
	return 0;
}

static int store(const struct option_row *o, const char *value, struct arguments *a,
		 struct err *err)
{
	char *p = (char *)a + o->offset, *end;
	unsigned long n;

	if (!value && o->kind != OPT_FLAG)
		return err_set(err, 0, "flag needs an argument: --%s", o->name);
	switch (o->kind) {
	case OPT_FLAG:
		if (value && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
			return err_set(err, 0, "--%s takes no value", o->name);
		*(bool *)p = !value || !strcmp(value, "true");
		return 0;
	case OPT_STRING:
		*(const char **)p = value;
		return 0;
	case OPT_UINT:
		errno = 0;
		n = strtoul(value, &end, 10);
		if (errno || *end || end == value || *value == '-' || n > 65536)
			return bad_value(o, value, err);
		*(unsigned int *)p = (unsigned int)n;
		return 0;
	case OPT_CHOICE:
		return store_choice(o, value, (int *)p, err);
	case OPT_LIST:
		return store_list(value, (struct opt_list *)p, &a->arena, err);
	case OPT_LATER:
		break;
	}
	return err_set(err, 0, "--%s is not supported yet", o->name);
}

static bool takes_value(const struct option_row *o)
{
	return o->value != NULL;
}

/*
 * One option at argv[*i].  go-runc's and podman's probes look for the words
 * "flag needs an argument".
 */
static int parse_one(struct scope s, int argc, char **argv, int *i, struct arguments *a,
		     struct err *err)
{
	const char *arg = argv[*i], *value = NULL;
	const struct option_row *o;

	if (arg[1] == '-') {
		size_t len = strcspn(arg + 2, "=");

		o = by_name(s.own, arg + 2, len);
		o = o ? o : by_name(s.global, arg + 2, len);
		if (arg[2 + len] == '=')
			value = arg + 2 + len + 1;
	} else {
		o = by_letter(s.own, arg[1]);
		o = o ? o : by_letter(s.global, arg[1]);
		if (arg[2])
			value = arg[2] == '=' ? arg + 3 : arg + 2;
		if (o && !takes_value(o) && arg[2] && arg[2] != '=')
			o = NULL;
	}
	if (!o)
		return err_set(err, 0, "unknown option %.80s (see --help)", arg);
	if (takes_value(o) && !value && *i + 1 < argc)
		value = argv[++*i];
	return store(o, value, a, err);
}

static const struct command *find_command(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

static int count_operands(const struct command *c, const struct arguments *a, struct err *err)
{
	int most = c->most == OPERANDS_REST ? c->least : c->most;

	if (a->help || (a->n_operands >= c->least && a->n_operands <= most))
		return 0;
	if (a->n_operands < c->least)
		return err_set(err, 0, "%s needs: %s", c->name, c->operands);
	return err_set(err, 0, "%s: one operand too many: \"%.80s\"", c->name, a->operands[most]);
}

int opts_parse(int argc, char **argv, struct arguments *ret, const struct command **ret_command,
	       struct err *err)
{
	const struct command *c = NULL;
	bool only_operands = false;

	*ret = (struct arguments){.argv = argv};
	*ret_command = NULL;

	for (int i = 1; i < argc; i++) {
		struct scope s = {.own = c ? c->options : NULL, .global = global_options};

		if (c && c->most == OPERANDS_REST && ret->n_operands == c->least) {
			ret->rest = argv + i + !strcmp(argv[i], "--");
			break;
		}
		if (!only_operands && !strcmp(argv[i], "--")) {
			only_operands = true;
		} else if (!only_operands && argv[i][0] == '-' && argv[i][1]) {
			if (parse_one(s, argc, argv, &i, ret, err) < 0)
				return -1;
		} else if (!c) {
			c = *ret_command = find_command(argv[i]);
			if (!c)
				return err_set(err, 0, "unknown command \"%.80s\" (see --help)",
					       argv[i]);
			if (!c->run)
				return err_set(err, 0, "the command %s is not supported yet",
					       c->name);
		} else if (ret->n_operands < 4) {
			ret->operands[ret->n_operands++] = argv[i];
		}
	}
	return c ? count_operands(c, ret, err) : 0;
}

static void help_options(FILE *out, const struct option_row *o)
{
	for (; o && o->name; o++) {
		char left[64];

		if (o->kind == OPT_LATER)
			continue;
		snprintf(left, sizeof(left), "%c%c%s--%s%s%s", o->letter ? '-' : ' ',
			 o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name,
			 o->value ? " " : "", o->value ? o->value : "");
		fprintf(out, "  %-48s %s\n", left, o->help);
	}
}

void opts_help(FILE *out, const struct command *c)
{
	if (c) {
		fprintf(out, "usage: bryo [global options] %s [options]%s%s\n\n%s\n", c->name,
			*c->operands ? " " : "", c->operands, c->help);
		if (c->options && c->options->name)
			fprintf(out, "\noptions:\n");
		help_options(out, c->options);
		return;
	}
	fprintf(out, "usage: bryo [global options] command [options] operands\n\n"
		     "A rootless, minimal OCI container runtime.\n\ncommands:\n");
	for (c = commands; c->name; c++)
		if (c->run)
			fprintf(out, "  %-10s %s\n", c->name, c->help);
	fprintf(out, "\nglobal options:\n");
	help_options(out, global_options);
	fprintf(out, "\nSee bryo(1), bryo-config(5), bryo-steps(7); bryo COMMAND --help.\n");
}
