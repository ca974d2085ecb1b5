/* SPDX-License-Identifier: Apache-2.0 */
#include "selinux/seclabel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/base/fd.h"

#define SELINUXFS "/sys/fs/selinux"
#define ETC "/etc/selinux"

bool seclabel_is_enabled(void)
{
	struct statfs fs;

	return statfs(SELINUXFS, &fs) == 0 && fs.f_type == SELINUX_MAGIC;
}

static bool says_yes(int dir, const char *name)
{
	auto_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	char c = '0';

	return fd >= 0 && read(fd, &c, 1) == 1 && c == '1';
}

int seclabel_open(const char *fake, struct seclabel_host *ret, struct err *err)
{
	struct seclabel_host h = {.fs = -1, .etc = ETC};
	auto_close int top = fake ? open(fake, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fake) {
		h.fs = openat(top, "fs", O_PATH | O_DIRECTORY | O_CLOEXEC);
		h.etc = fake;
	} else if (seclabel_is_enabled()) {
		h.fs = open(SELINUXFS, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (h.fs < 0 && (fake || seclabel_is_enabled()))
		return err_set(err, errno, "open %s", SELINUXFS);
	h.enforcing = h.fs >= 0 && says_yes(h.fs, "enforce");
	h.has_levels = h.fs >= 0 && says_yes(h.fs, "mls");
	*ret = h;
	return 0;
}

void seclabel_close(struct seclabel_host *h)
{
	fd_cleanup(&h->fs);
	h->fs = -1;
}

static bool is_known(const struct seclabel_host *h, const char *label)
{
	auto_close int fd = openat(h->fs, "context", O_RDWR | O_CLOEXEC);
	size_t len = strlen(label);

	return fd >= 0 && write(fd, label, len) == (ssize_t)len;
}

int seclabel_check(const struct seclabel_host *h, const char *label, struct err *err)
{
	if (strlen(label) < SECLABEL_MAX && is_known(h, label))
		return 0;
	err_set(err, 0, "SELinux: \"%.120s\" is no label of the running policy", label);
	err_hint(err, "its user, role, type or level is unknown, or they do not go together");
	return -1;
}

/* ---- the policy's files ---- */

static int read_text(const char *path, struct arena *a, char **ret, struct err *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len;

	if (fd < 0 || fd_read_all(fd, 64 * 1024, a, ret, &len) < 0)
		return err_set(err, errno, "read %s", path);
	return 0;
}

/* The value of a line 'key = "value"' or "key=value"; NULL: there is none. */
static char *find_value(const char *text, const char *key, struct arena *a)
{
	size_t len = strlen(key);

	for (const char *p = text; *p; p += strcspn(p, "\n"), p += strspn(p, "\n")) {
		const char *value = p + strspn(p, " \t");

		if (strncmp(value, key, len) != 0)
			continue;
		value += len;
		value += strspn(value, " \t");
		if (*value++ != '=')
			continue;
		value += strspn(value, " \t\"");
		return arena_strndup(a, value, strcspn(value, " \t\"\r\n"));
	}
	return NULL;
}

static int no_types(const char *path, struct err *err)
{
	return err_set(err, ENOENT, "SELinux: the policy has no types for containers in %s", path);
}

int seclabel_read_types(const struct seclabel_host *h, struct arena *a, struct seclabel_types *ret,
			struct err *err)
{
	char path[512], *text, *policy;

	snprintf(path, sizeof(path), "%s/config", h->etc);
	if (read_text(path, a, &text, err) < 0)
		return -1;
	policy = find_value(text, "SELINUXTYPE", a);
	if (!policy || !*policy || strchr(policy, '/') || *policy == '.')
		return err_set(err, 0, "%s names no policy (SELINUXTYPE=)", path);
	snprintf(path, sizeof(path), "%s/%s/contexts/lxc_contexts", h->etc, policy);
	if (read_text(path, a, &text, err) < 0)
		return err->num == ENOENT ? no_types(path, err) : -1;
	ret->process = find_value(text, "process", a);
	ret->file = find_value(text, "file", a);
	if (!ret->process || !ret->file || !*ret->process || !*ret->file)
		return no_types(path, err);
	return 0;
}

/* ---- what the policy allows ---- */

/* The number in a file; 0: there is none. */
static unsigned int read_number(int dir, const char *path)
{
	auto_close int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	char buf[16];
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	unsigned int value = 0;

	for (ssize_t i = 0; i < n && buf[i] >= '0' && buf[i] <= '9' && i < 9; i++)
		value = value * 10 + (unsigned int)(buf[i] - '0');
	return value;
}

/* "allowed decided auditallow auditdeny seqno flags", the first four and the last hexadecimal. */
static bool answers_no(const char *answer, unsigned int bit)
{
	unsigned int allowed, flags;

	if (sscanf(answer, "%x %*x %*x %*x %*u %x", &allowed, &flags) != 2)
		return false;
	/* 1: of a type that is permissive by itself. */
	return !(allowed >> (bit - 1) & 1) && !(flags & 1);
}

bool seclabel_denies(const struct seclabel_host *h, const char *subject, const char *object,
		     const char *class, const char *permission)
{
	char path[128], text[2 * SECLABEL_MAX + 32];
	unsigned int number, bit;
	auto_close int fd = -1;
	ssize_t n;
	int len;

	if (!h->enforcing)
		return false;
	snprintf(path, sizeof(path), "class/%s/index", class);
	number = read_number(h->fs, path);
	snprintf(path, sizeof(path), "class/%s/perms/%s", class, permission);
	bit = read_number(h->fs, path);
	fd = openat(h->fs, "access", O_RDWR | O_CLOEXEC);
	len = snprintf(text, sizeof(text), "%s %s %u", subject, object, number);
	if (!number || !bit || bit > 32 || fd < 0 || (size_t)len >= sizeof(text) ||
	    write(fd, text, (size_t)len) != len)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return answers_no(text, bit);
}

void seclabel_categories(const struct seclabel_host *h, const char *label, struct mcs_set *ret)
{
	char text[SECLABEL_MAX + 32];
	const char *level = seclabel_level(label);
	int stem = level ? (int)(level - label + (ptrdiff_t)strcspn(level, ":-")) : -1;

	*ret = (struct mcs_set){0};
	if (stem < 0 || stem >= SECLABEL_MAX)
		return;
	/* Nearly always all of them: one question instead of a thousand. */
	snprintf(text, sizeof(text), "%.*s:c0.c%d", stem, label, MCS_CATEGORIES - 1);
	if (is_known(h, text)) {
		memset(ret, 0xff, sizeof(*ret));
		return;
	}
	for (unsigned int c = 0; c < MCS_CATEGORIES; c++) {
		snprintf(text, sizeof(text), "%.*s:c%u", stem, label, c);
		if (is_known(h, text))
			mcs_add(ret, c);
	}
}

/* ---- labels as text ---- */

const char *seclabel_level(const char *label)
{
	for (int colons = 0; colons < 3; colons++) {
		label = strchr(label, ':');
		if (!label)
			return NULL;
		label++;
	}
	return label;
}

char *seclabel_with_level(const char *label, const char *level, struct arena *a)
{
	const char *old = seclabel_level(label);
	int stem = (int)(old ? (size_t)(old - label) - 1 : strlen(label));

	if (!level)
		return arena_strndup(a, label, (size_t)stem);
	return arena_printf(a, "%.*s:%s", stem, label, level);
}

char *seclabel_with_pair(const char *label, struct mcs_pair p, struct arena *a)
{
	const char *level = seclabel_level(label);
	char text[64];

	if (!level || strcspn(level, ":-") > 16)
		return NULL;
	snprintf(text, sizeof(text), "%.*s:c%u,c%u", (int)strcspn(level, ":-"), level, p.a, p.b);
	return seclabel_with_level(label, text, a);
}

struct mcs_set seclabel_set(const char *label)
{
	const char *level = seclabel_level(label);
	struct mcs_set s = {0};

	if (level)
		mcs_parse(level, &s);
	return s;
}

bool seclabel_of_file(int fd, char *buf, size_t size)
{
	ssize_t n = fgetxattr(fd, SECLABEL_XATTR, buf, size - 1);

	if (n <= 0)
		return false;
	/* The kernel counts the NUL, files written by others may have a newline. */
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return *buf;
}
