/* SPDX-License-Identifier: Apache-2.0 */
/* The words for systemd: the name of a unit, its properties; and who tells it. */
#include "cgroup/scope.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/helper.h"

#define HELPER "bryo-scope"

enum { PATIENCE_MS = 90000, MAX_UNIT = 255, MAX_CPU = 8191 };

bool scope_is_possible(void)
{
	return access("/run/systemd/system", F_OK) == 0;
}

/* ---- names ---- */

static bool is_plain(char c)
{
	return isalnum((unsigned char)c) || (c && strchr(":-_.\\", c));
}

/* What systemd allows in no name becomes \xNN, as systemd-escape(1) has it. */
static char *escape(const char *s, size_t len, char *out)
{
	for (; len; len--, s++)
		if (is_plain(*s))
			*out++ = *s;
		else
			out += sprintf(out, "\\x%02x", (unsigned char)*s);
	*out = '\0';
	return out;
}

static bool ends_with(const char *s, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len >= n && !strncmp(s + len - n, end, n);
}

static int bad_path(struct err *err, const char *why)
{
	err_at(err, "/linux/cgroupsPath", 0, "%s", why);
	return err_hint(err, "for systemd it is SLICE:PREFIX:NAME, like system.slice:bryo:box");
}

static int set_slice(const char *asked, size_t len, struct arena *a, struct unit *s,
		     struct err *err)
{
	for (size_t i = 0; i < len; i++)
		if (!is_plain(asked[i]))
			return bad_path(err, "its slice has a character that no slice's name has");
	if (len && !ends_with(asked, len, ".slice"))
		return bad_path(err, "its slice does not end with \".slice\"");
	s->slice = len       ? arena_strndup(a, asked, len)
		   : s->user ? arena_strdup(a, "user.slice")
			     : arena_strdup(a, "system.slice");
	return s->slice ? 0 : err_set(err, ENOMEM, "the scope");
}

static int set_unit(const char *prefix, size_t len, const char *name, struct arena *a,
		    struct unit *s, struct err *err)
{
	char *end;

	if (!*name)
		return bad_path(err, "the name in it is empty");
	if (ends_with(name, strlen(name), ".slice"))
		return bad_path(err, "the name of a slice is no container's");
	if (len + strlen(name) > MAX_UNIT)
		return bad_path(err, "the name in it is too long");
	s->unit = arena_alloc(a, 4 * (len + strlen(name)) + sizeof("-.scope"));
	if (!s->unit)
		return err_set(err, ENOMEM, "the scope");
	end = escape(prefix, len, s->unit);
	if (len)
		*end++ = '-';
	end = escape(name, strlen(name), end);
	strcpy(end, ".scope");
	return strlen(s->unit) > MAX_UNIT ? bad_path(err, "the name in it is too long") : 0;
}

int scope_name(const char *asked, const char *id, bool user, struct arena *a, struct unit *ret,
	       struct err *err)
{
	struct unit s = {.user = user, .id = id};
	const char *prefix = asked ? strchr(asked, ':') : NULL;
	const char *name = prefix ? strchr(prefix + 1, ':') : NULL;

	if (!asked) {
		if (set_slice("", 0, a, &s, err) < 0 || set_unit("bryo", 4, id, a, &s, err) < 0)
			return -1;
	} else if (!name || strchr(name + 1, ':')) {
		return bad_path(err, "is not of the form that the systemd cgroup manager needs");
	} else if (set_slice(asked, (size_t)(prefix - asked), a, &s, err) < 0 ||
		   set_unit(prefix + 1, (size_t)(name - prefix - 1), name + 1, a, &s, err) < 0) {
		return -1;
	}
	*ret = s;
	return 0;
}

/* ---- properties ---- */

static int push(struct words *w, struct arena *a, const char *word, struct err *err)
{
	char **slot = arena_push(a, &w->v, &w->n, &w->cap, sizeof(*w->v));

	if (slot)
		*slot = (char *)word;
	return slot && word ? 0 : err_set(err, ENOMEM, "the properties of the scope");
}

static int add(struct words *w, struct arena *a, const char *name, const char *type,
	       const char *value, struct err *err)
{
	return push(w, a, name, err) < 0 || push(w, a, type, err) < 0 || push(w, a, value, err) < 0
		       ? -1
		       : 0;
}

/* A number in decimal digits, or "max"; else NULL: only the kernel understands it. */
static const char *number(const char *s)
{
	if (!strcmp(s, "max"))
		return "infinity";
	return *s && s[strspn(s, "0123456789")] == '\0' ? s : NULL;
}

static int add_number(struct words *w, struct arena *a, const char *name, const char *value,
		      struct err *err)
{
	const char *n = number(value);

	return n ? add(w, a, name, "t", n, err) : 0;
}

/* "QUOTA PERIOD", of which the second may be missing: microseconds in each second. */
static int add_quota(struct words *w, struct arena *a, const char *value, struct err *err)
{
	unsigned long long quota = strtoull(value, NULL, 10), period = 100000;
	const char *blank = strchr(value, ' ');

	if (blank)
		period = strtoull(blank + 1, NULL, 10);
	if (!period || (value[0] != 'm' && (!quota || quota > UINT64_MAX / 2000000)))
		return 0;
	if (blank && add(w, a, "CPUQuotaPeriodUSec", "t", arena_printf(a, "%llu", period), err) < 0)
		return -1;
	return add(w, a, "CPUQuotaPerSecUSec", "t",
		   value[0] == 'm'
			   ? "infinity"
			   : arena_printf(a, "%llu", (quota * 1000000 + period - 1) / period),
		   err);
}

/* "0-3,7" as a mask of bits; false: it is something that only the kernel understands. */
static bool parse_list(const char *s, unsigned char mask[MAX_CPU / 8 + 1], size_t *ret_n)
{
	*ret_n = 0;
	memset(mask, 0, MAX_CPU / 8 + 1);
	while (*s) {
		char *end;
		unsigned long first = strtoul(s, &end, 10), last = first;

		if (end == s)
			return false;
		if (*end == '-') {
			s = end + 1;
			last = strtoul(s, &end, 10);
			if (end == s)
				return false;
		}
		if ((*end && *end != ',') || last > MAX_CPU || first > last)
			return false;
		for (; first <= last; first++)
			mask[first / 8] |= (unsigned char)(1 << first % 8);
		if (last / 8 + 1 > *ret_n)
			*ret_n = last / 8 + 1;
		s = *end ? end + 1 : end;
	}
	return *ret_n > 0;
}

static int add_mask(struct words *w, struct arena *a, const char *name, const char *value,
		    struct err *err)
{
	unsigned char mask[MAX_CPU / 8 + 1];
	char *text;
	size_t n;

	if (!parse_list(value, mask, &n))
		return 0;
	text = arena_alloc(a, 2 * n + 1);
	for (size_t i = 0; text && i < n; i++)
		sprintf(text + 2 * i, "%02x", mask[i]);
	return add(w, a, name, "ay", text, err);
}

/* "MAJ:MIN KEY=VALUE", or "MAJ:MIN VALUE". */
static int add_device(struct words *w, struct arena *a, const char *name, const char *value,
		      struct err *err)
{
	const char *blank = strchr(value, ' '), *equals = strchr(value, '=');
	const char *n = blank ? number((equals ? equals : blank) + 1) : NULL;

	if (!n)
		return 0;
	return add(w, a, name, "a(st)",
		   arena_printf(a, "/dev/block/%.*s %s", (int)(blank - value), value, n), err);
}

static int add_rate(struct words *w, struct arena *a, const char *value, struct err *err)
{
	static const struct {
		const char *key, *name;
	} keys[] = {{" rbps=", "IOReadBandwidthMax"},
		    {" wbps=", "IOWriteBandwidthMax"},
		    {" riops=", "IOReadIOPSMax"},
		    {" wiops=", "IOWriteIOPSMax"}};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *at = strstr(value, keys[i].key);

		if (at && at == strchr(value, ' '))
			return add_device(w, a, keys[i].name, value, err);
	}
	return 0;
}

static int add_weight(struct words *w, struct arena *a, const char *value, struct err *err)
{
	if (!strncmp(value, "default ", 8))
		value += 8;
	return strchr(value, ' ') ? add_device(w, a, "IODeviceWeight", value, err)
				  : add_number(w, a, "IOWeight", value, err);
}

static int add_limit(struct words *w, struct arena *a, const struct limit *l, struct err *err)
{
	static const struct {
		const char *file, *name;
	} numbers[] = {{"memory.max", "MemoryMax"}, {"memory.high", "MemoryHigh"},
		       {"memory.low", "MemoryLow"}, {"memory.min", "MemoryMin"},
		       {"pids.max", "TasksMax"},    {"memory.swap.max", "MemorySwapMax"},
		       {"cpu.weight", "CPUWeight"}};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!strcmp(l->file, numbers[i].file))
			return add_number(w, a, numbers[i].name, l->value, err);
	if (!strcmp(l->file, "cpu.max"))
		return add_quota(w, a, l->value, err);
	if (!strcmp(l->file, "cpuset.cpus"))
		return add_mask(w, a, "AllowedCPUs", l->value, err);
	if (!strcmp(l->file, "cpuset.mems"))
		return add_mask(w, a, "AllowedMemoryNodes", l->value, err);
	if (!strcmp(l->file, "io.max"))
		return add_rate(w, a, l->value, err);
	/* systemd converts from its own scale to BFQ's. */
	if (!strcmp(l->file, "io.bfq.weight") && l->other_value)
		return add_weight(w, a, l->other_value, err);
	return strcmp(l->file, "io.weight") ? 0 : add_weight(w, a, l->value, err);
}

int scope_properties(const struct limits *list, struct arena *a, struct words *ret, struct err *err)
{
	struct words w = {0};

	for (size_t i = 0; i < list->n; i++)
		if (add_limit(&w, a, &list->v[i], err) < 0)
			return -1;
	*ret = w;
	return 0;
}

/* ---- bryo-scope ---- */

/* Nothing of bryo's goes along: the environment is what the user's bus is found by. */
static _Noreturn void execute(int helper, int sock, char *const *argv)
{
	static const char *const names[] = {"XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"};
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	char text[2][512], *env[3] = {NULL};
	sigset_t none;
	size_t n = 0;

	for (size_t i = 0; i < 2; i++) {
		const char *v = getenv(names[i]);

		if (v && snprintf(text[n], sizeof(text[n]), "%s=%s", names[i], v) <
				 (int)sizeof(text[n])) {
			env[n] = text[n];
			n++;
		}
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	sigaction(SIGPIPE, &dfl, NULL);
	helper = fcntl(helper, F_DUPFD_CLOEXEC, 10);
	sock = fcntl(sock, F_DUPFD_CLOEXEC, 10);
	if (helper >= 0 && sock >= 0 && dup2(sock, 0) == 0 && dup2(sock, 1) == 1 &&
	    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		execveat(helper, "", argv, env, AT_EMPTY_PATH);
	dprintf(sock, "execute " HELPER ": %s\n", strerror(errno));
	_exit(EXIT_FAILURE);
}

/* What it answers: nothing is "ok", the rest is a message and a hint. */
static int hear(int sock, struct err *err)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};
	char text[1024], *hint;
	ssize_t n = 0;
	int ready;

	do
		ready = poll(&p, 1, PATIENCE_MS);
	while (ready < 0 && errno == EINTR);
	if (ready > 0)
		n = recv(sock, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return err_set(err, n < 0 ? errno : 0, HELPER " %s",
			       ready ? "ended without an answer" : "does not answer");
	text[n] = '\0';
	if (!strcmp(text, "ok"))
		return 0;
	hint = strchr(text, '\n');
	if (hint)
		*hint++ = '\0';
	err_set(err, 0, "%s", text);
	return hint && *hint ? err_hint(err, "%s", hint) : -1;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Execute it.  With ret_pid it goes on until it is killed, or all copies of *ret_hold closed. */
static int call(char *const *argv, pid_t *ret_pid, int *ret_hold, struct err *err)
{
	auto_close int helper = helper_open(HELPER, err), ours = -1, its = -1;
	int pair[2], bad;
	pid_t pid;

	if (helper < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, errno, "socketpair");
	ours = pair[0];
	its = pair[1];
	pid = fork();
	if (pid < 0)
		return err_set(err, errno, "fork");
	if (pid == 0)
		execute(helper, its, argv);
	fd_cleanup(&its);
	its = -1;
	bad = hear(ours, err);
	if (bad || !ret_pid) {
		if (bad)
			kill(pid, SIGKILL);
		reap(pid);
		return bad;
	}
	*ret_pid = pid;
	*ret_hold = fd_take(&ours);
	return 0;
}

static int begin(const struct unit *s, const char *verb, struct words *w, struct arena *a,
		 struct err *err)
{
	return push(w, a, HELPER, err) < 0 || push(w, a, s->user ? "user" : "system", err) < 0 ||
			       push(w, a, verb, err) < 0 || push(w, a, s->unit, err) < 0
		       ? -1
		       : 0;
}

static int add_properties(const struct limits *list, struct words *w, struct arena *a,
			  struct err *err)
{
	struct words p;

	if (scope_properties(list, a, &p, err) < 0)
		return -1;
	for (size_t i = 0; i < p.n; i++)
		if (push(w, a, p.v[i], err) < 0)
			return -1;
	/* The end, which is no word. */
	if (!arena_push(a, &w->v, &w->n, &w->cap, sizeof(*w->v)))
		return err_set(err, ENOMEM, "the properties of the scope");
	w->v[w->n - 1] = NULL;
	return 0;
}

int scope_start(struct unit *s, const struct limits *list, struct arena *a, struct err *err)
{
	struct words w = {0};

	if (begin(s, "start", &w, a, err) < 0 || push(&w, a, s->slice, err) < 0 ||
	    push(&w, a, arena_printf(a, "container %s", s->id), err) < 0 ||
	    add_properties(list, &w, a, err) < 0)
		return -1;
	return call(w.v, &s->waiter, &s->hold, err);
}

/* It has nothing to finish, and may be frozen or without CPU time. */
void scope_leave(struct unit *s)
{
	if (!s->waiter)
		return;
	kill(s->waiter, SIGKILL);
	reap(s->waiter);
	close(s->hold);
	s->waiter = 0;
	s->hold = 0;
}

int scope_set(const struct unit *s, const struct limits *list, struct arena *a, struct err *err)
{
	struct words w = {0};

	if (begin(s, "set", &w, a, err) < 0 || add_properties(list, &w, a, err) < 0)
		return -1;
	/* What systemd has no property for it need not be told. */
	return w.n == 5 ? 0 : call(w.v, NULL, NULL, err);
}

int scope_attach(const struct unit *s, pid_t pid, struct err *err)
{
	char number_text[16], sub[4096];
	char *argv[] = {(char *)HELPER,
			(char *)(s->user ? "user" : "system"),
			(char *)"attach",
			s->unit,
			sub,
			number_text,
			NULL};

	snprintf(number_text, sizeof(number_text), "%d", pid);
	snprintf(sub, sizeof(sub), "%s%s", s->sub && *s->sub ? "/" : "", s->sub ? s->sub : "");
	return call(argv, NULL, NULL, err);
}

int scope_stop(const struct unit *s, struct err *err)
{
	char *argv[] = {(char *)HELPER, (char *)(s->user ? "user" : "system"), (char *)"stop",
			s->unit, NULL};

	return call(argv, NULL, NULL, err);
}
