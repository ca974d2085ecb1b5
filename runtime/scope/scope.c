/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bryo-scope: what bryo has to say to systemd, by D-Bus.  A program of its own,
 * since libsystemd is a shared library, for which each bryo would pay.
 *
 *   bryo-scope system|user start UNIT SLICE DESCRIPTION [NAME TYPE VALUE]...
 *   bryo-scope system|user set UNIT [NAME TYPE VALUE]...
 *   bryo-scope system|user attach UNIT SUBGROUP PID
 *   bryo-scope system|user stop UNIT
 *
 * The answer is one write to standard output, a socket: "ok", or two lines, what
 * went wrong and what to do about it.
 *
 * A scope needs a process from its beginning, and ends when it has none.  `start`
 * makes one of itself and stays until standard input ends: until then bryo has put
 * the container in.
 */
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#define SERVICE "org.freedesktop.systemd1"
#define MANAGER SERVICE ".Manager"
#define OBJECT "/org/freedesktop/systemd1"

enum { PATIENCE_S = 60, MAX_MASK = 1024 };

struct session {
	sd_bus *bus;
	bool user;
	const char *unit;
	char job[128], result[32]; /* of the job that is waited for */
};

/* ---- answers ---- */

static void answer(const char *text)
{
	size_t len = strlen(text);

	if (write(STDOUT_FILENO, text, len) != (ssize_t)len)
		exit(EXIT_FAILURE);
}

/* Two lines, the second perhaps empty; what others wrote must not add one. */
__attribute__((format(printf, 2, 3))) static int fail(const char *hint, const char *fmt, ...)
{
	char text[512], *p = text;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, 300, fmt, ap);
	va_end(ap);
	while ((p = strchr(p, '\n')))
		*p = ' ';
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "\n%s", hint);
	answer(text);
	return -1;
}

static const char *words_of(const sd_bus_error *e, int r)
{
	return e && e->message ? e->message : strerror(-r);
}

static int call_failed(const struct session *s, const char *what, const sd_bus_error *e, int r)
{
	bool denied = r == -EACCES || r == -EPERM;

	return fail(denied && !s->user ? "the system's manager wants root" : "",
		    "systemd does not %s %s: %s", what, s->unit, words_of(e, r));
}

/* ---- the bus ---- */

/*
 * bryo may work for a user with the environment of another: root looking after a
 * user's container, sudo.  Whose directory it is decides.
 */
static void find_runtime_dir(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	char usual[64];
	struct stat st;

	if (dir && *dir && stat(dir, &st) == 0 && st.st_uid == geteuid())
		return;
	snprintf(usual, sizeof(usual), "/run/user/%u", geteuid());
	if (stat(usual, &st) < 0 || st.st_uid != geteuid())
		return;
	setenv("XDG_RUNTIME_DIR", usual, 1);
	unsetenv("DBUS_SESSION_BUS_ADDRESS");
}

static int no_bus(const struct session *s, int r)
{
	struct passwd *pw = getpwuid(geteuid());
	char hint[160];

	if (!s->user)
		return fail("is dbus running? else: --cgroup-manager cgroupfs",
			    "the bus of systemd cannot be reached: %s", strerror(-r));
	snprintf(hint, sizeof(hint),
		 "as root: loginctl enable-linger %.40s; and XDG_RUNTIME_DIR=/run/user/%u",
		 pw ? pw->pw_name : "USER", geteuid());
	return fail(hint, "the bus of your user manager cannot be reached: %s",
		    r == -ENOMEDIUM ? "XDG_RUNTIME_DIR is not set" : strerror(-r));
}

static int on_removed(sd_bus_message *m, void *data, sd_bus_error *e)
{
	const char *path, *unit, *result;
	struct session *s = data;
	uint32_t id;

	(void)e;
	if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) >= 0 &&
	    !strcmp(path, s->job))
		snprintf(s->result, sizeof(s->result), "%s", result);
	return 0;
}

static int open_bus(struct session *s)
{
	int r;

	if (s->user)
		find_runtime_dir();
	r = s->user ? sd_bus_open_user(&s->bus) : sd_bus_open_system(&s->bus);
	return r < 0 ? no_bus(s, r) : 0;
}

/* Signals of jobs are sent to those who asked for them only. */
static int watch_jobs(struct session *s)
{
	int r = sd_bus_match_signal(s->bus, NULL, SERVICE, OBJECT, MANAGER, "JobRemoved",
				    on_removed, s);

	if (r >= 0)
		r = sd_bus_call_method(s->bus, SERVICE, OBJECT, MANAGER, "Subscribe", NULL, NULL,
				       NULL);
	return r < 0 ? no_bus(s, r) : 0;
}

static int await_job(struct session *s, const char *what)
{
	time_t end = time(NULL) + PATIENCE_S;
	int r;

	while (!s->result[0]) {
		r = sd_bus_process(s->bus, NULL);
		if (r == 0)
			r = sd_bus_wait(s->bus, 1000000);
		if (r < 0 && r != -EINTR)
			return call_failed(s, what, NULL, r);
		if (time(NULL) > end)
			return call_failed(s, what, NULL, -ETIMEDOUT);
	}
	if (strcmp(s->result, "done") != 0 && strcmp(s->result, "skipped") != 0)
		return fail("", "systemd does not %s %s: the job ended with \"%s\"", what, s->unit,
			    s->result);
	return 0;
}

static int take_job(struct session *s, sd_bus_message *reply)
{
	const char *path;
	int r = sd_bus_message_read(reply, "o", &path);

	if (r >= 0)
		snprintf(s->job, sizeof(s->job), "%s", path);
	sd_bus_message_unref(reply);
	return r;
}

/* ---- properties ---- */

static uint64_t number(const char *text)
{
	return !strcmp(text, "infinity") ? UINT64_MAX : strtoull(text, NULL, 10);
}

/* Hexadecimal digits, as bytes. */
static int append_bytes(sd_bus_message *m, const char *text)
{
	uint8_t bytes[MAX_MASK];
	unsigned int byte;
	size_t n = 0;
	int r;

	for (; n < sizeof(bytes) && sscanf(text + 2 * n, "%2x", &byte) == 1; n++)
		bytes[n] = (uint8_t)byte;
	r = sd_bus_message_open_container(m, 'v', "ay");
	if (r >= 0)
		r = sd_bus_message_append_array(m, 'y', bytes, n);
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* "PATH NUMBER" */
static int append_device(sd_bus_message *m, const char *text)
{
	char path[64];

	if (sscanf(text, "%63s", path) != 1 || !strchr(text, ' '))
		return -EINVAL;
	return sd_bus_message_append(m, "v", "a(st)", 1, path, number(strchr(text, ' ') + 1));
}

static int append_value(sd_bus_message *m, const char *type, const char *value)
{
	if (!strcmp(type, "t"))
		return sd_bus_message_append(m, "v", "t", number(value));
	if (!strcmp(type, "ay"))
		return append_bytes(m, value);
	if (!strcmp(type, "a(st)"))
		return append_device(m, value);
	return -EINVAL;
}

static int append_limits(sd_bus_message *m, char *const *words)
{
	int r = 0;

	for (; r >= 0 && words[0] && words[1] && words[2]; words += 3) {
		r = sd_bus_message_open_container(m, 'r', "sv");
		if (r >= 0)
			r = sd_bus_message_append(m, "s", words[0]);
		if (r >= 0)
			r = append_value(m, words[1], words[2]);
		if (r >= 0)
			r = sd_bus_message_close_container(m);
	}
	return r;
}

/*
 * Delegate: all controllers, and what is below is the container's.  A PID of 0 is
 * whoever sends the message: so it need not be known by what number systemd sees
 * us.  A unit that fails goes as well: its name must be free for the next one.
 */
static int append_scope(sd_bus_message *m, const char *slice, const char *description)
{
	return sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Description",
				     "s", description, "Slice", "s", slice, "Delegate", "b", 1,
				     "DefaultDependencies", "b", 0, "CollectMode", "s",
				     "inactive-or-failed", "CPUAccounting", "b", 1,
				     "MemoryAccounting", "b", 1, "IOAccounting", "b", 1,
				     "TasksAccounting", "b", 1, "PIDs", "au", 1, (uint32_t)0);
}

/* ---- start ---- */

static int request_start(struct session *s, char *const *words, sd_bus_error *e)
{
	sd_bus_message *m = NULL, *reply = NULL;
	int r = sd_bus_message_new_method_call(s->bus, &m, SERVICE, OBJECT, MANAGER,
					       "StartTransientUnit");

	if (r >= 0)
		r = sd_bus_message_append(m, "ss", s->unit, "fail");
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sv)");
	if (r >= 0)
		r = append_scope(m, words[0], words[1]);
	if (r >= 0)
		r = append_limits(m, words + 2);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_append(m, "a(sa(sv))", 0);
	if (r >= 0)
		r = sd_bus_call(s->bus, m, 0, e, &reply);
	sd_bus_message_unref(m);
	return r < 0 ? r : take_job(s, reply);
}

/* Has the unit of that name ended, and only waits to be forgotten? */
static bool is_over(const struct session *s)
{
	char *path = NULL, *state = NULL;
	bool over = true;

	if (sd_bus_path_encode(OBJECT "/unit", s->unit, &path) >= 0 &&
	    sd_bus_get_property_string(s->bus, SERVICE, path, SERVICE ".Unit", "ActiveState", NULL,
				       &state) >= 0)
		over = !strcmp(state, "inactive") || !strcmp(state, "failed") ||
		       !strcmp(state, "deactivating");
	free(path);
	free(state);
	return over;
}

static void forget_failure(const struct session *s)
{
	sd_bus_call_method(s->bus, SERVICE, OBJECT, MANAGER, "ResetFailedUnit", NULL, NULL, "s",
			   s->unit);
}

static int start_failed(const struct session *s, const sd_bus_error *e, int r)
{
	char hint[160];

	if (!sd_bus_error_has_name(e, SERVICE ".UnitExists"))
		return call_failed(s, "start", e, r);
	snprintf(hint, sizeof(hint), "systemctl %sstop %.100s, or another name in cgroupsPath",
		 s->user ? "--user " : "", s->unit);
	return fail(hint, "systemd has a unit %s already", s->unit);
}

static void stay(void)
{
	char byte;
	ssize_t n;

	do
		n = read(STDIN_FILENO, &byte, 1);
	while (n > 0 || (n < 0 && errno == EINTR));
}

static int start(struct session *s, char *const *words)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	int r, tries = 0;

	if (watch_jobs(s) < 0)
		return -1;
	while ((r = request_start(s, words, &e)) < 0) {
		if (!sd_bus_error_has_name(&e, SERVICE ".UnitExists") || ++tries > 50 ||
		    !is_over(s))
			return start_failed(s, &e, r);
		sd_bus_error_free(&e);
		forget_failure(s);
		usleep(20000);
	}
	if (await_job(s, "start") < 0)
		return -1;
	s->bus = sd_bus_flush_close_unref(s->bus);
	answer("ok");
	stay();
	return 0;
}

/* ---- what is there ---- */

static int set(struct session *s, char *const *words)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(s->bus, &m, SERVICE, OBJECT, MANAGER,
					       "SetUnitProperties");

	/* Until the unit ends, and no longer: nothing is written to /etc. */
	if (r >= 0)
		r = sd_bus_message_append(m, "sb", s->unit, 1);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sv)");
	if (r >= 0)
		r = append_limits(m, words);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_call(s->bus, m, 0, &e, NULL);
	sd_bus_message_unref(m);
	if (r < 0)
		return call_failed(s, "change the limits of", &e, r);
	answer("ok");
	return 0;
}

static int attach(struct session *s, char *const *words)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	int r;

	if (!words[0] || !words[1])
		return fail("", "attach: words are missing");
	r = sd_bus_call_method(s->bus, SERVICE, OBJECT, MANAGER, "AttachProcessesToUnit", &e, NULL,
			       "ssau", s->unit, words[0], 1, (uint32_t)number(words[1]));
	if (r < 0)
		return call_failed(s, "put the process into", &e, r);
	answer("ok");
	return 0;
}

static int stop(struct session *s, char *const *words)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	int r;

	(void)words;
	if (watch_jobs(s) < 0)
		return -1;
	r = sd_bus_call_method(s->bus, SERVICE, OBJECT, MANAGER, "StopUnit", &e, &reply, "ss",
			       s->unit, "replace");
	if (r >= 0)
		r = take_job(s, reply);
	/* It has ended by itself: nobody was in it any more. */
	if (r < 0 && !sd_bus_error_has_name(&e, SERVICE ".NoSuchUnit"))
		return call_failed(s, "stop", &e, r);
	if (r >= 0 && await_job(s, "stop") < 0)
		return -1;
	forget_failure(s);
	answer("ok");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int words;
		int (*run)(struct session *, char *const *);
	} verbs[] = {
		{"start", 2, start}, {"set", 0, set}, {"attach", 2, attach}, {"stop", 0, stop}};
	struct session s = {0};

	for (size_t i = 0; argc > 3 && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(argv[2], verbs[i].name) && argc >= 4 + verbs[i].words) {
			s.user = !strcmp(argv[1], "user");
			s.unit = argv[3];
			if (open_bus(&s) < 0)
				return EXIT_FAILURE;
			return verbs[i].run(&s, argv + 4) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
		}
	fprintf(stderr, "bryo-scope is executed by bryo: see bryo(1), CGROUPS\n");
	return 2;
}
