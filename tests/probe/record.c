// SPDX-License-Identifier: Apache-2.0
/* What a hook was given, and what files are: for the tests to read afterwards. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe.h"

#define MAX_INPUT ((size_t)4 << 20)

static char *read_input(size_t *ret_len)
{
	char *text = malloc(MAX_INPUT);
	size_t len = 0;
	ssize_t n;

	if (!text)
		abort();
	while (len < MAX_INPUT && (n = read(STDIN_FILENO, text + len, MAX_INPUT - len)) > 0)
		len += (size_t)n;
	*ret_len = len;
	return text;
}

static void out_strings(const char *key, char **list)
{
	out_open(key, '[');
	for (; *list; list++)
		out_str(NULL, *list);
	out_close(']');
}

static void out_program(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path));

	out_strn("exe", path, n > 0 ? (size_t)n : 0);
	out_str("cwd", getcwd(path, sizeof(path)));
	out_int("pid", getpid());
	out_int("uid", getuid());
	out_bool("host_root", access(PROBE_HOST_MARK, F_OK) == 0);
}

/*
 * Append one JSON object about oneself to FILE, in one write(2): several hooks
 * share the file, and its order is their order in time.
 */
int record_self(int argc, char **argv, char **envp)
{
	size_t len;
	char *text;
	int fd;

	if (argc < 4)
		return 64;
	out_open(NULL, '{');
	report_fds();
	out_str("name", argv[3]);
	out_strings("args", argv);
	out_strings("env", envp);
	report_signals();
	report_namespaces();
	out_program();
	text = read_input(&len);
	out_strn("stdin", text, len);
	free(text);
	out_close('}');
	fd = open(argv[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) {
		fprintf(stderr, "probe: %s: %s\n", argv[2], errno_name(errno));
		return 1;
	}
	return out_flush() < 0 ? 74 : 0;
}

static void stat_one(const char *path)
{
	char target[4096];
	struct stat st;
	ssize_t n;

	if (lstat(path, &st) < 0) {
		out_errno(path, errno);
		return;
	}
	out_open(path, '{');
	out_uint("format", st.st_mode & S_IFMT);
	out_uint("mode", st.st_mode & 07777);
	out_uint("uid", st.st_uid);
	out_uint("gid", st.st_gid);
	out_uint("size", (unsigned long long)st.st_size);
	out_int("atime", st.st_atim.tv_sec * 1000000000LL + st.st_atim.tv_nsec);
	out_int("mtime", st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec);
	n = readlink(path, target, sizeof(target));
	if (n >= 0)
		out_strn("target", target, (size_t)n);
	out_close('}');
}

/* lstat(2) of each path as one JSON object. */
int stat_paths(char **path)
{
	out_open(NULL, '{');
	for (; *path; path++)
		stat_one(*path);
	out_close('}');
	return out_flush() < 0 ? 74 : 0;
}
