/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/fd.h"

static struct {
	int fd;
	bool json, debug;
} out = {.fd = -1};

int log_open(const char *file, bool json, bool debug, struct err *err)
{
	out.json = json;
	out.debug = debug;
	if (!file || !*file)
		return 0;
	out.fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
	if (out.fd < 0)
		return err_set(err, errno, "open the log %s", file);
	return 0;
}

bool log_is_debug(void)
{
	return out.debug;
}

/* One write a line, so that lines of several processes do not mix. */
static void say(const char *level, const char *text, bool to_file)
{
	char line[1100];
	int n = snprintf(line, sizeof(line), "bryo: %s%s\n", level, text);

	if (n >= (int)sizeof(line)) {
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	(void)fd_write_all(STDERR_FILENO, line, (size_t)n);
	if (to_file && out.fd >= 0)
		(void)fd_write_all(out.fd, line, (size_t)n);
}

void log_debug(const char *fmt, ...)
{
	char text[900];
	va_list ap;

	if (!out.debug)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say("debug: ", text, !out.json);
}

void log_warn(const char *fmt, ...)
{
	char text[900];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say("warning: ", text, !out.json);
}

/*
 * A JSON string of what err_format() made: control characters are gone from
 * it already, and a bryo that is out of memory must still be able to say so.
 */
static void write_json(const char *text)
{
	char line[2400], stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	size_t n;

	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	n = (size_t)snprintf(line, sizeof(line), "{\"level\":\"error\",\"time\":\"%s\",\"msg\":\"",
			     stamp);
	for (; *text && n + 8 < sizeof(line); text++) {
		if (*text == '"' || *text == '\\')
			line[n++] = '\\';
		line[n++] = *text;
	}
	memcpy(line + n, "\"}\n", 3);
	(void)fd_write_all(out.fd, line, n + 3);
}

void log_error(const struct err *err)
{
	char text[1000];

	err_format(err, text, sizeof(text));
	say("", text, !out.json);
	if (out.json && out.fd >= 0)
		write_json(text);
}
