// SPDX-License-Identifier: Apache-2.0
/* The small tricks of the probe: `probe NAME [ARGUMENT...]`. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

static int fail(const char *what)
{
	fprintf(stderr, "probe: %s: %s\n", what, errno_name(errno));
	return 1;
}

static void say(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		_exit(74);
}

static int do_exit(char **arg)
{
	return atoi(arg[0]);
}

static int do_signal(char **arg)
{
	/* pid 1 ignores signals without a handler, even its own: be a child. */
	kill(getpid(), atoi(arg[0]));
	usleep(10000);
	return 99;
}

static int do_sleep(char **arg)
{
	double t = atof(arg[0]);
	struct timespec wait = {(time_t)t, (long)((t - (double)(time_t)t) * 1e9)};

	while (nanosleep(&wait, &wait) < 0 && errno == EINTR)
		;
	return 0;
}

static int copy(int from)
{
	char block[65536];
	ssize_t n;

	while ((n = read(from, block, sizeof(block))) > 0) {
		for (ssize_t done = 0; done < n;) {
			ssize_t w = write(STDOUT_FILENO, block + done, (size_t)(n - done));

			if (w < 0)
				return fail("write");
			done += w;
		}
	}
	return n < 0 ? fail("read") : 0;
}

static int do_cat(char **arg)
{
	int fd = arg[0] ? open(arg[0], O_RDONLY | O_CLOEXEC) : STDIN_FILENO;

	return fd < 0 ? fail(arg[0]) : copy(fd);
}

static int do_write(char **arg)
{
	int fd = open(arg[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, arg[1], strlen(arg[1])) < 0)
		return fail(arg[0]);
	return close(fd) < 0 ? fail(arg[0]) : 0;
}

static int do_mkdir(char **arg)
{
	return mkdir(arg[0], 0755) < 0 ? fail(arg[0]) : 0;
}

static int do_ls(char **arg)
{
	DIR *dir = opendir(arg[0]);
	struct dirent *entry;

	if (!dir)
		return fail(arg[0]);
	while ((entry = readdir(dir)))
		printf("%s\n", entry->d_name);
	closedir(dir);
	return 0;
}

static int do_getcwd(char **arg)
{
	char path[4096];

	(void)arg;
	if (!getcwd(path, sizeof(path)))
		return fail("getcwd");
	printf("%s\n", path);
	return 0;
}

static int do_echo(char **arg)
{
	for (int i = 0; arg[i]; i++)
		printf("%s%s", i ? " " : "", arg[i]);
	printf("\n");
	return 0;
}

static int do_env(char **arg)
{
	(void)arg;
	for (char **at = environ; *at; at++)
		printf("%s\n", *at);
	return 0;
}

static int do_fds(char **arg)
{
	(void)arg;
	for (int fd = 0; fd < 65536; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d\n", fd);
	}
	return 0;
}

static int do_ignore_term(char **arg)
{
	signal(SIGTERM, SIG_IGN);
	say("ready\n");
	return do_sleep(arg[0] ? arg : (char *[]){"60", NULL});
}

static volatile sig_atomic_t got;

static void on_signal(int sig)
{
	got = sig;
}

/* Say "ready", wait for a signal, say "got N" and exit with N. */
static int do_trap(char **arg)
{
	sigset_t all, old;
	char text[32];

	(void)arg;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	for (int sig = 1; sig < 32; sig++)
		signal(sig, on_signal);
	say("ready\n");
	while (!got || got == SIGCHLD)
		sigsuspend(&old);
	snprintf(text, sizeof(text), "got %d\n", (int)got);
	say(text);
	return (int)got;
}

/* N children that sleep; the parent too.  `orphans N` exits at once instead. */
static void spawn(int n)
{
	for (int i = 0; i < n; i++) {
		if (fork() == 0) {
			sleep(60);
			_exit(0);
		}
	}
}

static int do_spawn(char **arg)
{
	spawn(atoi(arg[0]));
	say("ready\n");
	sleep(60);
	return 0;
}

static int do_orphans(char **arg)
{
	spawn(atoi(arg[0]));
	return 0;
}

/* Each argument is pushed into the terminal at descriptor 0 and /dev/tty. */
static int do_tiocsti(char **arg)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
	int line = 0;

	printf("tty %s\n", tty < 0 ? errno_name(errno) : "ok");
	for (const char *c = arg[0]; *c; c++) {
		printf("0 %s\n", ioctl(0, TIOCSTI, c) < 0 ? errno_name(errno) : "ok");
		if (tty >= 0)
			printf("t %s\n", ioctl(tty, TIOCSTI, c) < 0 ? errno_name(errno) : "ok");
	}
	printf("setd %s\n", ioctl(0, TIOCSETD, &line) < 0 ? errno_name(errno) : "ok");
	return 0;
}

static int do_open(char **arg)
{
	int flags = strchr(arg[0], 'w') ? O_WRONLY : O_RDONLY;
	int fd = open(arg[1], flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	printf("%s\n", fd < 0 ? errno_name(errno) : "ok");
	return fd < 0;
}

/* "TYPE:MAJOR:MINOR:DEV:INO" of descriptors 0 to 2. */
static int do_stdio(char **arg)
{
	struct stat st;

	(void)arg;
	for (int fd = 0; fd < 3; fd++) {
		if (fstat(fd, &st) < 0)
			printf("%s\n", errno_name(errno));
		else
			printf("%o:%llu:%llu:%llu\n", st.st_mode & S_IFMT,
			       (unsigned long long)st.st_rdev, (unsigned long long)st.st_dev,
			       (unsigned long long)st.st_ino);
	}
	return 0;
}

/* lseek(-1, V, W) for each "V" or "V,W": EBADF shows that no filter caught it. */
static int do_seek(char **arg)
{
	for (int i = 0; arg[i]; i++) {
		char *end;
		unsigned long long offset = strtoull(arg[i], &end, 0);
		int whence = *end == ',' ? atoi(end + 1) : 0;

		errno = 0;
		syscall(SYS_lseek, -1, offset, whence);
		printf("%s\n", errno_name(errno));
	}
	return 0;
}

/*
 * CVE-2019-5736, without the damage.  As the image's dynamic loader, or as the
 * interpreter of a script, this runs in the place of the runtime's own binary:
 * keep that file open, become another program, and ask for writing.
 */
static int do_steal(char **arg)
{
	char number[16];
	int fd;

	(void)arg;
	fd = open("/proc/self/exe", O_PATH);
	if (fd < 0)
		return fail("/proc/self/exe");
	snprintf(number, sizeof(number), "%d", fd);
	execl("/probe", "/probe", "stolen", number, NULL);
	return fail("/probe");
}

/* Write a byte over itself: refused by seals, read-only mounts and modes. */
static int try_rewrite(const char *path)
{
	char byte;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int num = 0;

	if (fd < 0 || pread(fd, &byte, 1, 0) != 1 || pwrite(fd, &byte, 1, 0) != 1)
		num = errno;
	if (fd >= 0)
		close(fd);
	return num;
}

static int do_stolen(char **arg)
{
	char path[64], target[512];
	ssize_t n;
	int num = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%s", arg[0]);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	/* As long as the runtime itself still runs, its file is busy. */
	for (int i = 0; i < 100; i++) {
		num = try_rewrite(path);
		if (num != ETXTBSY)
			break;
		usleep(10000);
	}
	printf("%s %s %s\n", num ? "safe" : "WRITABLE", errno_name(num), target);
	return num == 0;
}

/*
 * A process that dies has lost its memory, and with it the mark that it may not be
 * looked at: what it has open then is shown.  Streams of the payload's do no harm;
 * a file or a directory of the host's does.
 */
static bool is_harmless(const char *target)
{
	static const char *const kinds[] = {"pipe:", "socket:", "/dev/null", "/memfd:"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strncmp(target, kinds[i], strlen(kinds[i])))
			return true;
	return false;
}

static bool is_dying(const char *pid)
{
	char path[300], text[64];

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	return readlink(path, text, sizeof(text)) < 0 && errno != EACCES && errno != EPERM;
}

/* Listing /proc/PID/fd needs no more than its mode; its links do. */
static int watch_fds(const char *pid)
{
	char path[300], target[256];
	DIR *dir;
	struct dirent *entry;
	int hits = 0;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		if (n < 0)
			continue;
		target[n] = '\0';
		if (is_harmless(target) && is_dying(pid))
			continue;
		printf("link %s/%s: %s\n", path, entry->d_name, target);
		hits++;
	}
	if (dir)
		closedir(dir);
	return hits;
}

static int watch_one(const char *pid)
{
	static const char *const names[] = {"exe", "mem"};
	char path[300], exe[256];
	int hits = watch_fds(pid);

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "/proc/%s/%s", pid, names[i]);
		int fd = open(path, O_RDWR | O_CLOEXEC);

		if (fd >= 0 && ++hits)
			printf("opened %s\n", path);
		if (fd >= 0)
			close(fd);
	}
	if (ptrace(PTRACE_SEIZE, atoi(pid), 0, 0) == 0) {
		snprintf(path, sizeof(path), "/proc/%s/exe", pid);
		ssize_t n = readlink(path, exe, sizeof(exe) - 1);

		/* Without a file it is about to be dead: no memory, no harm. */
		if (n <= 0)
			return hits;
		printf("seized %s %.*s\n", pid, (int)n, exe);
		hits++;
	}
	return hits;
}

/* The payloads run this very program, which one may see; so are the dead. */
static bool is_payload(const char *pid)
{
	char path[300], text[64];
	char *stat;
	ssize_t n;
	bool dead;

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	n = readlink(path, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	if (n > 0)
		return strcmp(text, "/probe") == 0;
	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	stat = slurp(path);
	dead = !stat || strstr(stat, ") Z") || strstr(stat, ") X");
	free(stat);
	return dead;
}

/* Asked again after a hit: it may have become the payload in between. */
static int watch_all(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int hits = 0;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    atoi(entry->d_name) == getpid() || is_payload(entry->d_name))
			continue;
		if (watch_one(entry->d_name) && !is_payload(entry->d_name))
			hits++;
	}
	if (dir)
		closedir(dir);
	return hits;
}

/* For N seconds try to get at every process but the payloads. */
static int do_watch(char **arg)
{
	time_t end = time(NULL) + atoi(arg[0]);
	int hits = 0;

	say("ready\n");
	while (time(NULL) <= end)
		hits += watch_all();
	printf("hits %d\n", hits);
	return hits ? 1 : 0;
}

/* The container's own root, which who comes in looks its working directory up in. */
static bool is_own_root(const char *path)
{
	struct stat there, own;

	return stat(path, &there) == 0 && stat("/", &own) == 0 && there.st_dev == own.st_dev &&
	       there.st_ino == own.st_ino;
}

/* Handles that lead out of the container, of a process that has just been killed. */
static int snatch_fds(int pid)
{
	char path[300], target[256];
	int hits = 0;

	for (int fd = 0; fd < 64; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		n = readlink(path, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (is_harmless(target) || target[0] != '/' || is_own_root(path))
			continue;
		printf("snatched %s: %s\n", path, target);
		hits++;
	}
	return hits;
}

/* For N seconds kill whoever comes in, and take what it has in its hands. */
static int do_snatch(char **arg)
{
	time_t end = time(NULL) + atoi(arg[0]);
	int hits = 0, kills = 0, top = getpid() + 1;

	say("ready\n");
	while (time(NULL) <= end) {
		for (int pid = top; pid < top + 4; pid++) {
			if (kill(pid, SIGKILL) < 0)
				continue;
			kills++;
			top = pid;
			while (kill(pid, 0) == 0 && time(NULL) <= end) {
				hits += snatch_fds(pid);
				waitpid(-1, NULL, WNOHANG);
			}
		}
	}
	printf("kills %d\nhits %d\n", kills, hits);
	return 0;
}

/* For ever in another mount namespace. */
static int do_flip(char **arg)
{
	(void)arg;
	say("ready\n");
	while (unshare(CLONE_NEWNS) == 0)
		;
	return fail("unshare");
}

static const struct {
	const char *name;
	int args; /* at least so many */
	int (*run)(char **arg);
} commands[] = {
	{"exit", 1, do_exit},       {"signal", 1, do_signal},    {"sleep", 1, do_sleep},
	{"cat", 0, do_cat},         {"write", 2, do_write},      {"mkdir", 1, do_mkdir},
	{"ls", 1, do_ls},           {"getcwd", 0, do_getcwd},    {"echo", 0, do_echo},
	{"env", 0, do_env},         {"fds", 0, do_fds},          {"ignore-term", 0, do_ignore_term},
	{"trap", 0, do_trap},       {"spawn", 1, do_spawn},      {"orphans", 1, do_orphans},
	{"tiocsti", 1, do_tiocsti}, {"open", 2, do_open},        {"stdio", 0, do_stdio},
	{"flip", 0, do_flip},       {"watch", 1, do_watch},      {"snatch", 1, do_snatch},
	{"seek", 1, do_seek},       {"steal", 0, do_steal},      {"stolen", 1, do_stolen},
	{"stat", 1, stat_paths},    {"notify", 1, notify},       {"intrude", 0, intrude},
	{"ambush", 1, ambush},      {"unlock", 2, unlock},       {"plant", 1, plant},
	{"planted", 0, planted},    {"mountinfo", 1, mountinfo}, {"leaderless", 0, leaderless},
};

int command_run(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		int status;

		if (strcmp(argv[0], commands[i].name) != 0)
			continue;
		if (argc - 1 < commands[i].args)
			return 64;
		status = commands[i].run(argv + 1);
		return fflush(stdout) == 0 ? status : 74;
	}
	return -1;
}
