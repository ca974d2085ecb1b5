/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion: scripts for bash(1), zsh(1) and fish(1), from the tables that the
 * command line is parsed by.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/commands.h"

/* What a value or an operand is, by its name in the tables. */
static bool is_directory(const char *value)
{
	return !strcmp(value, "DIR") || !strcmp(value, "[BUNDLE]") || strstr(value, "|DIR");
}

static bool is_file(const char *value)
{
	return !strcmp(value, "FILE") || !strcmp(value, "PATH");
}

static bool takes_id(const struct command *c)
{
	return !strncmp(c->operands, "ID", 2);
}

static bool is_hidden(const struct option_row *o)
{
	return o->kind == OPT_LATER;
}

static void each_option(const struct option_row *o, void (*print)(const struct option_row *))
{
	for (; o && o->name; o++)
		if (!is_hidden(o))
			print(o);
}

/* Text between quotes: what would end them, or mean something to the shell, is left out. */
static void plain(const char *text, const char *special)
{
	for (; *text; text++)
		putchar(strchr(special, *text) ? ' ' : *text);
}

/* ---- bash ---- */

static void bash_name(const struct option_row *o)
{
	printf(" --%s", o->name);
	if (o->letter)
		printf(" -%c", o->letter);
}

/* The patterns of an option with a value, and what completes the value. */
static void bash_value(const char *command, const struct option_row *o)
{
	if (is_hidden(o) || !o->value)
		return;
	printf("    %s,--%s", command, o->name);
	if (o->letter)
		printf("|%s,-%c", command, o->letter);
	printf(") COMPREPLY=(");
	if (is_directory(o->value))
		printf("$(compgen -d -- \"$cur\")");
	else if (is_file(o->value))
		printf("$(compgen -f -- \"$cur\")");
	else if (o->kind == OPT_CHOICE) {
		printf("$(compgen -W \"");
		for (int i = 0; o->choices[i]; i++)
			printf("%s ", o->choices[i]);
		printf("\" -- \"$cur\")");
	}
	printf("); return ;;\n");
}

static void bash_commands(void)
{
	for (const struct command *c = commands; c->name; c++)
		if (c->run)
			printf(" %s", c->name);
}

static void bash(void)
{
	printf("# bash completion of bryo(1), made by: bryo completion bash\n"
	       "_bryo() {\n"
	       "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "    local command= i word commands=\" ");
	bash_commands();
	printf(" \"\n"
	       "    COMPREPLY=()\n"
	       "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "        word=${COMP_WORDS[i]}\n"
	       "        if [[ $word != -* && $commands == *\" $word \"* ]]; then command=$word; "
	       "break; fi\n"
	       "    done\n"
	       "    case $command,$prev in\n");
	for (const struct command *c = commands; c->name; c++)
		for (const struct option_row *o = c->options; c->run && o && o->name; o++)
			bash_value(c->name, o);
	for (const struct option_row *o = global_options; o->name; o++)
		bash_value("*", o);
	printf("    esac\n"
	       "    if [[ $cur == -* ]]; then\n"
	       "        case $command in\n");
	for (const struct command *c = commands; c->name; c++) {
		if (!c->run)
			continue;
		printf("        %s) COMPREPLY=($(compgen -W \"", c->name);
		each_option(c->options, bash_name);
		printf(" --help\" -- \"$cur\")) ;;\n");
	}
	printf("        '') COMPREPLY=($(compgen -W \"");
	each_option(global_options, bash_name);
	printf("\" -- \"$cur\")) ;;\n"
	       "        esac\n"
	       "        return\n"
	       "    fi\n"
	       "    case $command in\n"
	       "    '') COMPREPLY=($(compgen -W \"$commands\" -- \"$cur\")) ;;\n");
	for (const struct command *c = commands; c->name; c++) {
		if (c->run && takes_id(c))
			printf("    %s) COMPREPLY=($(compgen -W \"$(bryo list -q 2>/dev/null)\" -- "
			       "\"$cur\")) ;;\n",
			       c->name);
		else if (c->run && is_directory(c->operands))
			printf("    %s) COMPREPLY=($(compgen -d -- \"$cur\")) ;;\n", c->name);
	}
	printf("    esac\n"
	       "}\n"
	       "complete -o filenames -F _bryo bryo\n");
}

/* ---- zsh ---- */

static const char zsh_special[] = "[]:'\"`$\\";

static void zsh_option(const struct option_row *o)
{
	char names[2][40];

	snprintf(names[0], sizeof(names[0]), "--%s%s", o->name, o->value ? "=" : "");
	snprintf(names[1], sizeof(names[1]), "-%c%s", o->letter, o->value ? "+" : "");
	for (int i = 0; i < 1 + (o->letter != 0); i++) {
		printf(" \\\n        '%s%s[", o->kind == OPT_LIST ? "*" : "", names[i]);
		plain(o->help, zsh_special);
		putchar(']');
		if (o->value) {
			putchar(':');
			plain(o->value, zsh_special);
			if (is_directory(o->value))
				printf(":_directories");
			else if (is_file(o->value))
				printf(":_files");
			else if (o->kind == OPT_CHOICE) {
				printf(":(");
				for (int k = 0; o->choices[k]; k++)
					printf("%s ", o->choices[k]);
				putchar(')');
			} else {
				printf(": ");
			}
		}
		putchar('\'');
	}
}

static void zsh(void)
{
	printf("#compdef bryo\n"
	       "# zsh completion of bryo(1), made by: bryo completion zsh\n"
	       "_bryo_ids() { compadd -- ${(f)\"$(bryo list -q 2>/dev/null)\"} }\n"
	       "_bryo() {\n"
	       "    local context state state_descr line\n"
	       "    typeset -A opt_args\n"
	       "    local -a bryo_commands=(");
	for (const struct command *c = commands; c->name; c++) {
		if (!c->run)
			continue;
		printf("\n        '%s:", c->name);
		plain(c->help, zsh_special);
		putchar('\'');
	}
	printf("\n    )\n    _arguments -C");
	each_option(global_options, zsh_option);
	printf(" \\\n        '1: :->command' '*:: :->rest'\n"
	       "    case $state in\n"
	       "    command) _describe command bryo_commands ;;\n"
	       "    rest)\n"
	       "        case $words[1] in\n");
	for (const struct command *c = commands; c->name; c++) {
		if (!c->run)
			continue;
		printf("        %s) _arguments", c->name);
		each_option(c->options, zsh_option);
		printf(" '--help[print a summary]'");
		if (takes_id(c))
			printf(" '1:id:_bryo_ids'");
		else if (is_directory(c->operands))
			printf(" '1:bundle:_directories'");
		if (c->most == OPERANDS_REST)
			printf(" '*::command:_normal'");
		printf(" ;;\n");
	}
	printf("        esac ;;\n"
	       "    esac\n"
	       "}\n"
	       "if [ \"$funcstack[1]\" = _bryo ]; then _bryo \"$@\"\n"
	       "else compdef _bryo bryo; fi\n");
}

/* ---- fish ---- */

static const char fish_special[] = "'\\";

static void fish_option(const char *when, const struct option_row *o)
{
	if (is_hidden(o))
		return;
	printf("complete -c bryo -n '%s' -l %s", when, o->name);
	if (o->letter)
		printf(" -s %c", o->letter);
	if (o->value && is_directory(o->value))
		printf(" -x -a '(__fish_complete_directories)'");
	else if (o->value && is_file(o->value))
		printf(" -r -F");
	else if (o->kind == OPT_CHOICE) {
		printf(" -x -a '");
		for (int i = 0; o->choices[i]; i++)
			printf("%s ", o->choices[i]);
		putchar('\'');
	} else if (o->value) {
		printf(" -x");
	}
	printf(" -d '");
	plain(o->help, fish_special);
	printf("'\n");
}

static void fish(void)
{
	char when[80];

	printf("# fish completion of bryo(1), made by: bryo completion fish\n"
	       "complete -c bryo -f\n");
	for (const struct option_row *o = global_options; o->name; o++)
		fish_option("__fish_use_subcommand", o);
	for (const struct command *c = commands; c->name; c++) {
		if (!c->run)
			continue;
		printf("complete -c bryo -n __fish_use_subcommand -a %s -d '", c->name);
		plain(c->help, fish_special);
		printf("'\n");
		snprintf(when, sizeof(when), "__fish_seen_subcommand_from %s", c->name);
		for (const struct option_row *o = c->options; o && o->name; o++)
			fish_option(when, o);
		if (takes_id(c))
			printf("complete -c bryo -n '%s' -a '(bryo list -q 2>/dev/null)'\n", when);
		else if (is_directory(c->operands))
			printf("complete -c bryo -n '%s' -x -a '(__fish_complete_directories)'\n",
			       when);
	}
}

int cmd_completion(struct arguments *a, struct err *err)
{
	const char *shell = a->operands[0];

	if (!strcmp(shell, "bash"))
		bash();
	else if (!strcmp(shell, "zsh"))
		zsh();
	else if (!strcmp(shell, "fish"))
		fish();
	else
		return err_set(err, 0, "completion: \"%.40s\" is not bash, zsh or fish", shell);
	if (fflush(stdout) != 0 || ferror(stdout))
		return err_set(err, errno, "write to standard output");
	return 0;
}
