/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bryo-export user|trusted devices|none: the upper layer whose directory is
 * descriptor 3, to standard output, as a layer of an image (layer.md of the OCI
 * image specification): a tar archive in which ".wh.NAME" says that NAME is gone.
 *
 * A program of its own, executed by `bryo export`: libarchive is a shared library,
 * and loading it would cost every invocation of bryo.
 *
 * Trust boundary: the layer is a stranger's, who may be changing it.  A name is
 * opened once, without following it, and all else is asked of the descriptor.
 */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { UPPER = 3, MAX_LIST = 65536 };

/* Of one file.  A hole of the size of a file system's fantasy would take for ever. */
static const off_t largest = (off_t)1 << 44;

/* Files with several names, by inode: the first name is in the archive. */
struct link {
	struct link *next;
	ino_t ino;
	char path[];
};

struct exporter {
	struct archive *out;
	const char *marks; /* "user.overlay." or "trusted.overlay." */
	bool devices;
	struct link *links[4096];
	char path[PATH_MAX];
	size_t len;
};

static _Noreturn void die(int num, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A name of a stranger's may hold anything; one line it has to be. */
static void put_escaped(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			fprintf(stderr, "\\x%02x", (unsigned char)*s);
		else
			putc(*s, stderr);
}

static void say(int num, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void say(int num, const char *fmt, va_list ap)
{
	char text[PATH_MAX + 256];

	vsnprintf(text, sizeof(text), fmt, ap);
	fputs("bryo: export: ", stderr);
	put_escaped(text);
	if (num)
		fprintf(stderr, ": %s", strerror(num));
	putc('\n', stderr);
}

static void die(int num, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(num, fmt, ap);
	va_end(ap);
	exit(EXIT_FAILURE);
}

static void warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(0, fmt, ap);
	va_end(ap);
}

/* ---- paths ---- */

static size_t push(struct exporter *x, const char *name)
{
	size_t len = x->len, more = strlen(name);

	if (len + more + 2 > sizeof(x->path))
		die(ENAMETOOLONG, "%.80s...", x->path);
	if (len)
		x->path[x->len++] = '/';
	memcpy(x->path + x->len, name, more + 1);
	x->len += more;
	return len;
}

static void pop(struct exporter *x, size_t len)
{
	x->len = len;
	x->path[len] = '\0';
}

/* Of a descriptor that is for its path only: reads of it go by this name. */
static const char *proc_name(int fd, char buf[40])
{
	snprintf(buf, 40, "/proc/self/fd/%d", fd);
	return buf;
}

/* ---- attributes ---- */

static bool has_mark(const struct exporter *x, int fd, const char *mark, char value)
{
	char name[64], proc[40], got = 0;

	snprintf(name, sizeof(name), "%s%s", x->marks, mark);
	return getxattr(proc_name(fd, proc), name, &got, 1) >= 0 && (!value || got == value);
}

/*
 * What belongs into an image: the kernel's own marks do not, nor do labels of this
 * host.  Marks that the payload has set are stored with "overlay." twice.
 */
static const char *name_in_layer(const struct exporter *x, const char *name, char buf[256])
{
	size_t len = strlen(x->marks);

	if (!strncmp(name, x->marks, len)) {
		if (strncmp(name + len, "overlay.", 8) != 0)
			return NULL;
		snprintf(buf, 256, "%s%s", x->marks, name + len + 8);
		return buf;
	}
	if (!strncmp(name, "user.", 5) || !strcmp(name, "security.capability") ||
	    !strncmp(name, "system.posix_acl_", 17))
		return name;
	return NULL;
}

static void add_attributes(struct exporter *x, struct archive_entry *e, int fd)
{
	static char list[MAX_LIST], value[MAX_LIST];
	char proc[40], buf[256];
	ssize_t n = listxattr(proc_name(fd, proc), list, sizeof(list));

	if (n < 0 && errno != EOPNOTSUPP)
		die(errno, "attributes of /%s", x->path);
	for (char *p = list; n > 0 && p < list + n; p += strlen(p) + 1) {
		const char *name = name_in_layer(x, p, buf);
		ssize_t size = name ? getxattr(proc, p, value, sizeof(value)) : -1;

		if (name && size < 0 && errno != ENODATA)
			die(errno, "attribute %s of /%s", p, x->path);
		if (name && size >= 0)
			archive_entry_xattr_add_entry(e, name, value, (size_t)size);
	}
}

/* ---- entries ---- */

static void check(struct exporter *x, int status)
{
	if (status < ARCHIVE_WARN)
		die(0, "write /%s: %s", x->path, archive_error_string(x->out));
}

/* Times of access and change are this host's. */
static struct archive_entry *new_entry(const char *path, const struct stat *st)
{
	struct archive_entry *e = archive_entry_new();

	if (!e)
		die(ENOMEM, "/%s", path);
	archive_entry_copy_stat(e, st);
	archive_entry_unset_atime(e);
	archive_entry_unset_ctime(e);
	archive_entry_set_nlink(e, 1);
	archive_entry_set_dev(e, 0);
	archive_entry_set_ino64(e, 0);
	archive_entry_copy_pathname(e, path);
	return e;
}

/* An empty file whose name is all: the specification's whiteouts. */
static void put_mark(struct exporter *x, const char *prefix, const char *name)
{
	char path[PATH_MAX + 16];
	const struct stat st = {.st_mode = S_IFREG | 0644};
	const char *slash = strrchr(x->path, '/');
	int dir = name ? (int)(slash ? slash - x->path + 1 : 0) : (int)x->len;
	struct archive_entry *e;

	snprintf(path, sizeof(path), "%.*s%s%s%s", dir, x->path, name || !dir ? "" : "/", prefix,
		 name ? name : "");
	e = new_entry(path, &st);
	check(x, archive_write_header(x->out, e));
	archive_entry_free(e);
}

/* The path of an earlier name of the file, or NULL: then this one is remembered. */
static const char *find_link(struct exporter *x, ino_t ino)
{
	struct link **at = &x->links[ino % 4096], *l;

	for (l = *at; l; l = l->next)
		if (l->ino == ino)
			return l->path;
	l = malloc(sizeof(*l) + x->len + 1);
	if (!l)
		die(ENOMEM, "/%s", x->path);
	l->ino = ino;
	memcpy(l->path, x->path, x->len + 1);
	l->next = *at;
	*at = l;
	return NULL;
}

/* Where the data are; a file without holes is said to be one piece. */
static void add_pieces(struct archive_entry *e, int fd, off_t size)
{
	off_t data = 0, hole;
	bool sparse = false;

	for (off_t at = 0; at < size; at = hole) {
		data = lseek(fd, at, SEEK_DATA);
		if (data < 0 || data >= size)
			break;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole <= data)
			return;
		hole = hole > size ? size : hole;
		if (data || hole < size)
			archive_entry_sparse_add_entry(e, data, hole - data);
		sparse |= data || hole < size;
	}
	/* All of it is a hole. */
	if (!sparse && size && data < 0)
		archive_entry_sparse_add_entry(e, size, 0);
}

static void put_bytes(struct exporter *x, const char *buf, size_t n)
{
	if (archive_write_data(x->out, buf, n) < 0)
		die(0, "write /%s: %s", x->path, archive_error_string(x->out));
}

/* libarchive wants holes too, and leaves them out: so the zeros are never touched. */
static void put_zeros(struct exporter *x, off_t n)
{
	static const char zeros[64 << 20];

	for (; n > 0; n -= (off_t)sizeof(zeros))
		put_bytes(x, zeros, n < (off_t)sizeof(zeros) ? (size_t)n : sizeof(zeros));
}

/* One piece up to `end`, or to where the file ends by now. */
static off_t put_piece(struct exporter *x, int fd, off_t at, off_t end)
{
	static char buf[1 << 17];

	while (at < end) {
		size_t want = end - at < (off_t)sizeof(buf) ? (size_t)(end - at) : sizeof(buf);
		ssize_t n = pread(fd, buf, want, at);

		if (n < 0)
			die(errno, "read /%s", x->path);
		if (n == 0)
			break;
		put_bytes(x, buf, (size_t)n);
		at += n;
	}
	return at;
}

/* What has become shorter meanwhile is filled up, what has become longer is cut. */
static void put_data(struct exporter *x, int fd, off_t size)
{
	off_t at = 0;

	while (at < size) {
		off_t data = lseek(fd, at, SEEK_DATA), hole;

		if (data < 0 || data >= size)
			break;
		put_zeros(x, data - at);
		hole = lseek(fd, data, SEEK_HOLE);
		at = put_piece(x, fd, data, hole < 0 || hole > size ? size : hole);
		if (at <= data)
			break;
	}
	put_zeros(x, size - at);
}

static void put_file(struct exporter *x, int path_fd, const struct stat *st)
{
	struct archive_entry *e = new_entry(x->path, st);
	const char *first = st->st_nlink > 1 ? find_link(x, st->st_ino) : NULL;
	char proc[40];
	int fd;

	if (first) {
		archive_entry_copy_hardlink(e, first);
		archive_entry_unset_size(e);
		check(x, archive_write_header(x->out, e));
		archive_entry_free(e);
		return;
	}
	if (st->st_size > largest)
		die(EFBIG, "/%s", x->path);
	fd = open(proc_name(path_fd, proc), O_RDONLY | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		die(errno, "open /%s", x->path);
	add_attributes(x, e, path_fd);
	add_pieces(e, fd, st->st_size);
	check(x, archive_write_header(x->out, e));
	put_data(x, fd, st->st_size);
	check(x, archive_write_finish_entry(x->out));
	close(fd);
	archive_entry_free(e);
}

static void put_other(struct exporter *x, int fd, const struct stat *st)
{
	struct archive_entry *e = new_entry(x->path, st);
	char target[PATH_MAX];
	ssize_t n;

	if (S_ISLNK(st->st_mode)) {
		n = readlinkat(fd, "", target, sizeof(target) - 1);
		if (n < 0)
			die(errno, "read the link /%s", x->path);
		target[n] = '\0';
		archive_entry_copy_symlink(e, target);
		archive_entry_unset_size(e);
	}
	add_attributes(x, e, fd);
	check(x, archive_write_header(x->out, e));
	archive_entry_free(e);
}

/* ---- the walk ---- */

static void put_dir(struct exporter *x, int fd, const struct stat *st);

static void put_name(struct exporter *x, int dir, const char *name)
{
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	size_t len = push(x, name);
	struct stat st;

	if (fd < 0 && errno != ENOENT)
		die(errno, "open /%s", x->path);
	if (fd >= 0 && fstat(fd, &st) < 0)
		die(errno, "stat /%s", x->path);
	if (fd >= 0 && !strncmp(name, ".wh.", 4))
		die(0, "/%s: names that begin with .wh. mean something else in a layer", x->path);
	if (fd < 0)
		; /* gone meanwhile */
	else if (S_ISCHR(st.st_mode) && st.st_rdev == 0)
		put_mark(x, ".wh.", name);
	else if (S_ISREG(st.st_mode) && !st.st_size && has_mark(x, fd, "whiteout", 0))
		put_mark(x, ".wh.", name);
	else if (S_ISDIR(st.st_mode))
		put_dir(x, fd, &st);
	else if (S_ISREG(st.st_mode))
		put_file(x, fd, &st);
	else if (S_ISSOCK(st.st_mode))
		warn("left out the socket /%s", x->path);
	else if ((S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) && !x->devices)
		die(0, "/%s is a device, which no container of this kind can have made", x->path);
	else
		put_other(x, fd, &st);
	pop(x, len);
	if (fd >= 0)
		close(fd);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int no_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static void put_contents(struct exporter *x, int fd)
{
	struct dirent **list;
	int n = scandirat(fd, ".", &list, no_dots, by_name);

	if (n < 0)
		die(errno, "read /%s", x->path);
	for (int i = 0; i < n; i++) {
		put_name(x, fd, list[i]->d_name);
		free(list[i]);
	}
	free(list);
}

static void put_dir(struct exporter *x, int fd, const struct stat *st)
{
	struct archive_entry *e = new_entry(x->len ? x->path : "./", st);

	archive_entry_unset_size(e);
	add_attributes(x, e, fd);
	check(x, archive_write_header(x->out, e));
	archive_entry_free(e);
	if (has_mark(x, fd, "opaque", 'y'))
		put_mark(x, ".wh..wh..opq", NULL);
	put_contents(x, fd);
}

static struct archive *open_archive(void)
{
	struct archive *out = archive_write_new();

	if (!out)
		die(ENOMEM, "the archive");
	if (archive_write_set_format_pax(out) != ARCHIVE_OK ||
	    archive_write_set_options(out, "xattrheader=SCHILY") != ARCHIVE_OK ||
	    archive_write_add_filter_none(out) != ARCHIVE_OK ||
	    archive_write_open_fd(out, STDOUT_FILENO) != ARCHIVE_OK)
		die(0, "open the archive: %s", archive_error_string(out));
	return out;
}

int main(int argc, char **argv)
{
	static struct exporter x;
	struct stat st;

	if (argc != 3) {
		fputs("bryo-export: is executed by: bryo export ID FILE|-\n", stderr);
		return 2;
	}
	prctl(PR_SET_DUMPABLE, 0);
	/* Names are UTF-8; those that are not are kept as they are. */
	setlocale(LC_CTYPE, "C.UTF-8");
	x.marks = !strcmp(argv[1], "user") ? "user.overlay." : "trusted.overlay.";
	x.devices = !strcmp(argv[2], "devices");
	if (fstat(UPPER, &st) < 0 || !S_ISDIR(st.st_mode))
		die(errno, "the upper layer");
	x.out = open_archive();
	put_dir(&x, UPPER, &st);
	check(&x, archive_write_close(x.out));
	archive_write_free(x.out);
	return EXIT_SUCCESS;
}
