/* SPDX-License-Identifier: Apache-2.0 */
/* ps: the processes of a container, as JSON or as ps(1) prints them. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/commands.h"

static int print_pids(const pid_t *v, size_t n, struct err *err)
{
	struct json *j = json_new(false);
	int bad;

	if (!j)
		return err_set(err, ENOMEM, "the processes");
	json_open_array(j);
	for (size_t i = 0; i < n; i++)
		json_int(j, v[i]);
	json_close_array(j);
	bad = print_json(j, err);
	json_free(j);
	return bad;
}

/* Which column of the header is the pid; -1: none. */
static int pid_column(const char *header)
{
	int column = 0;

	for (const char *p = header;; column++) {
		size_t len;

		p += strspn(p, " \t");
		len = strcspn(p, " \t\n");
		if (!len)
			return -1;
		if (len == 3 && !strncmp(p, "PID", 3))
			return column;
		p += len;
	}
}

static bool is_ours(const char *line, int column, const pid_t *v, size_t n)
{
	const char *p = line;
	long pid;

	for (int i = 0; i < column; i++) {
		p += strspn(p, " \t");
		p += strcspn(p, " \t\n");
	}
	pid = strtol(p, NULL, 10);
	for (size_t i = 0; i < n; i++)
		if (v[i] == pid)
			return true;
	return false;
}

static int print_rows(FILE *in, const pid_t *v, size_t n, struct err *err)
{
	char *line = NULL;
	size_t size = 0;
	int column = -1, bad = 0;

	for (bool first = true; !bad && getline(&line, &size, in) > 0; first = false) {
		if (first) {
			column = pid_column(line);
			fputs(line, stdout);
			if (column < 0)
				bad = err_set(err, 0, "ps prints no column PID with these options");
		} else if (is_ours(line, column, v, n)) {
			fputs(line, stdout);
		}
	}
	free(line);
	if (!bad && (fflush(stdout) != 0 || ferror(stdout)))
		bad = err_set(err, errno, "write to standard output");
	return bad;
}

static int run_ps(char *const argv[], const pid_t *v, size_t n, struct err *err)
{
	posix_spawn_file_actions_t fa;
	int out[2], num, status = 0, bad;
	FILE *in;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0)
		return err_set(err, errno, "pipe");
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, out[1], STDOUT_FILENO);
	num = posix_spawnp(&pid, argv[0], &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(out[1]);
	in = num ? NULL : fdopen(out[0], "r");
	if (!in) {
		close(out[0]);
		return err_set(err, num ? num : errno, "run ps");
	}
	bad = print_rows(in, v, n, err);
	fclose(in);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!bad && (!WIFEXITED(status) || WEXITSTATUS(status)))
		bad = err_set(err, 0, "ps failed");
	return bad;
}

static int list(struct arguments *a, struct found *f, struct err *err)
{
	size_t words = 0;
	char **argv;
	enum status status;
	size_t n = 0;
	pid_t *v;

	if (record_status(f->dir, &f->record, &status, err) < 0)
		return -1;
	if (status == STOPPED)
		return err_set(err, 0, "container \"%s\" is stopped: container not running",
			       f->record.id);
	v = container_pids(f, &n, err);
	if (!v)
		return -1;
	if (a->format == FORMAT_JSON)
		return print_pids(v, n, err);
	while (a->rest && a->rest[words])
		words++;
	argv = arena_array(&f->arena, words + 3, sizeof(*argv));
	if (!argv)
		return err_set(err, ENOMEM, "run ps");
	argv[0] = "ps";
	argv[1] = "-ef";
	if (words)
		memcpy(argv + 1, a->rest, words * sizeof(*argv));
	return run_ps(argv, v, n, err);
}

int cmd_ps(struct arguments *a, struct err *err)
{
	struct found f;
	int bad;

	if (container_find(a, a->operands[0], &f, err) < 0)
		return -1;
	bad = list(a, &f, err);
	container_finish(&f);
	return bad;
}
