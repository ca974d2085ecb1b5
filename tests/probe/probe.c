// SPDX-License-Identifier: Apache-2.0
/*
 * probe [probe|facts]      the whole report, or without the active attempts
 * probe hook FILE NAME     append to FILE what the hook NAME was given
 * probe NAME [ARGUMENT...] one of the tricks in commands.c
 */
#include <stdio.h>
#include <string.h>

#include "probe.h"

static int report(int argc, char **argv, char **envp, bool active)
{
	out_open(NULL, '{');
	report_fds();
	report_ids();
	report_caps();
	report_process(argc, argv, envp);
	report_signals();
	report_rlimits();
	report_namespaces();
	report_keyring();
	report_network();
	report_terminal();
	report_mounts();
	report_dev();
	report_paths();
	if (active)
		report_attempts();
	out_close('}');
	return out_flush() < 0 ? 74 : 0;
}

int main(int argc, char **argv, char **envp)
{
	const char *name = argc > 1 ? argv[1] : "probe";
	int status;

	if (strcmp(name, "probe") == 0 || strcmp(name, "facts") == 0)
		return report(argc, argv, envp, *name == 'p');
	if (strcmp(name, "hook") == 0)
		return record_self(argc, argv, envp);
	status = command_run(argc - 1, argv + 1);
	if (status >= 0)
		return status;
	fprintf(stderr, "probe: unknown command %s\n", name);
	return 64;
}
