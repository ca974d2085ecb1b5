/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/payload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* execvp(3): what is searched when PATH is not set. */
#define DEFAULT_PATH "/bin:/usr/bin"

#define ARGS0 "/process/args/0"

static int name_compare(const char *a, const char *b)
{
	size_t la = strcspn(a, "="), lb = strcspn(b, "=");
	int c = memcmp(a, b, la < lb ? la : lb);

	return c ? c : (la > lb) - (la < lb);
}

/* By name, then by place: qsort(3) is not stable. */
static int by_name(const void *x, const void *y)
{
	char *const *a = *(char *const *const *)x, *const *b = *(char *const *const *)y;
	int c = name_compare(*a, *b);

	return c ? c : (a > b) - (a < b);
}

int payload_env(const struct strs *env, struct arena *a, char ***ret_env, struct err *err)
{
	char **kept = arena_array(a, env->n + 1, sizeof(*kept));
	char ***sorted = arena_array(a, env->n + 1, sizeof(*sorted));
	bool *stale = arena_array(a, env->n + 1, sizeof(*stale));
	size_t n = 0;

	if (!kept || !sorted || !stale)
		return err_at(err, "/process/env", ENOMEM, "the environment");
	for (size_t i = 0; i < env->n; i++)
		sorted[i] = &env->v[i];
	qsort(sorted, env->n, sizeof(*sorted), by_name);
	for (size_t i = 1; i < env->n; i++)
		if (name_compare(*sorted[i - 1], *sorted[i]) == 0)
			stale[sorted[i - 1] - env->v] = true;
	for (size_t i = 0; i < env->n; i++)
		if (!stale[i])
			kept[n++] = env->v[i];
	*ret_env = kept;
	return 0;
}

static int denied(const char *name, const char *why, struct err *err)
{
	err_at(err, ARGS0, 0, "exec: \"%s\": permission denied%s", name, why);
	err->exit = EXIT_NOEXEC;
	return -1;
}

int payload_listen_env(struct strs *env, unsigned int n, struct arena *a, char **ret_pid,
		       struct err *err)
{
	const char *names = getenv("LISTEN_FDNAMES");
	char *fds = arena_printf(a, "LISTEN_FDS=%u", n);
	char *pid = arena_printf(a, "LISTEN_PID=%010d", 0);
	char *named = names ? arena_printf(a, "LISTEN_FDNAMES=%s", names) : NULL;
	char *more[] = {fds, pid, named};

	if (!fds || !pid || (names && !named) || strs_append(env, more, named ? 3 : 2, a) < 0)
		return err_at(err, "/process/env", ENOMEM, "the environment");
	*ret_pid = strchr(pid, '=') + 1;
	return 0;
}

/* 0, or -1 with errno: EISDIR where the system call would say EACCES. */
static int check_program(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -1;
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return -1;
	}
	/* The effective ids and capabilities are those of the payload by now. */
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS);
}

static int not_usable(const char *name, const char *path, int num, struct err *err)
{
	if (num == EISDIR)
		return denied(name, " (it is a directory)", err);
	if (num == EACCES)
		return denied(name, "", err);
	if (num == ENOENT)
		err_at(err, ARGS0, 0, "exec: \"%s\": stat %s: no such file or directory", name,
		       path);
	else
		err_at(err, ARGS0, num, "exec: \"%s\"", name);
	err->exit = num == ENOENT || num == ENOTDIR ? EXIT_NOTFOUND : EXIT_NOEXEC;
	return -1;
}

static const char *search_path(char *const *env)
{
	for (; env && *env; env++)
		if (!strncmp(*env, "PATH=", 5))
			return *env + 5;
	return DEFAULT_PATH;
}

int payload_find(const struct strs *args, char *const *env, char ret_path[PATH_MAX],
		 struct err *err)
{
	const char *name = args->v[0], *dir = search_path(env);
	bool seen = false;

	if (strchr(name, '/')) {
		if ((size_t)snprintf(ret_path, PATH_MAX, "%s", name) >= PATH_MAX)
			return not_usable(name, name, ENAMETOOLONG, err);
		return check_program(name) < 0 ? not_usable(name, name, errno, err) : 0;
	}
	for (;; dir++) {
		size_t len = strcspn(dir, ":");
		int n = snprintf(ret_path, PATH_MAX, "%.*s%s%s", (int)len, dir, len ? "/" : "./",
				 name);

		if (n < PATH_MAX && check_program(ret_path) == 0)
			return 0;
		/* execvp(3) goes on after EACCES, and reports it at the end. */
		seen |= errno == EACCES;
		dir += len;
		if (!*dir)
			break;
	}
	if (seen)
		return denied(name, "", err);
	err_at(err, ARGS0, 0, "exec: \"%s\": executable file not found in $PATH", name);
	err->exit = EXIT_NOTFOUND;
	return -1;
}

int payload_error(const char *name, int num, struct err *err)
{
	switch (num) {
	case EACCES:
		return denied(name, " (or its interpreter's, or the mount is noexec)", err);
	case ENOENT:
		/* The file itself was found a moment ago. */
		err_at(err, ARGS0, 0, "exec: \"%s\": no such file or directory", name);
		err_hint(err, "the interpreter that it names in its first line, or its dynamic "
			      "loader, is missing");
		err->exit = EXIT_NOTFOUND;
		return -1;
	case ENOEXEC:
		err_at(err, ARGS0, 0, "exec: \"%s\": exec format error", name);
		err_hint(err, "not a program for this machine, or a script without #!");
		break;
	default:
		err_at(err, ARGS0, num, "exec: \"%s\"", name);
	}
	err->exit = EXIT_NOEXEC;
	return -1;
}

int payload_exec(const char *path, const struct strs *args, char *const *env, struct err *err)
{
	execve(path, args->v, env);
	return payload_error(args->v[0], errno, err);
}
