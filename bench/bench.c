/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time programs against each other, or find their peak memory, and print a Markdown table.
 *
 *	bench [-m] [-n ROUNDS] [-w WARMUPS] [-p PAUSE_MS] [-r NAME]... [FILE]
 *
 * FILE (or standard input) has a line for each contender, fields separated by tabs:
 *
 *	NAME	USER	VIEW	COMMAND
 *
 * USER is `-` or UID:GID. VIEW is `-` or the path of a mount namespace to run in. COMMAND is split
 * at spaces, without quoting; a word such as `9<FILE` opens FILE as descriptor 9. Each -r adds a
 * column: the ratio to that contender.
 *
 * The machine's speed drifts by more than the differences looked for, hence every round runs each
 * contender once, in a random order, so that nobody is always measured in the wake of the same
 * neighbour (a network namespace is taken down after its last process was waited for). A contender
 * that fails once is reported with what it wrote and is out.
 */
#define _GNU_SOURCE 1
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONTENDERS 32
#define MAX_WORDS 64
#define MAX_REFS 4
#define LAUNCH_FAILED 126

struct contender {
	char *name;
	int set_user;
	uid_t uid;
	gid_t gid;
	int view; /* a mount namespace, or -1 */
	char *argv[MAX_WORDS + 1];
	int redirect; /* the descriptor to open `input` as, or -1 */
	char *input;
	int output; /* a memfd: what the last run wrote */
	int failed;
	double *sample;
	size_t samples;
};

struct options {
	int memory;
	long rounds, warmups, pause;
	const char *refs[MAX_REFS];
	size_t nrefs;
};

struct bench {
	struct options opt;
	struct contender list[MAX_CONTENDERS];
	size_t n;
	int null;
	sigset_t held; /* signals that wait for the end of a run */
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(2);
}

static _Noreturn void bad(const char *what, const char *arg)
{
	fprintf(stderr, "bench: %s: %s\n", what, arg);
	exit(2);
}

/* ---- the list of contenders */

static void parse_command(struct contender *c, char *text)
{
	size_t n = 0;
	char *save = NULL;

	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (isdigit((unsigned char)word[0]) && word[1] == '<') {
			c->redirect = word[0] - '0';
			c->input = word + 2;
			continue;
		}
		if (n == MAX_WORDS)
			bad("too many words", c->name);
		c->argv[n++] = word;
	}
	if (n == 0)
		bad("no command", c->name);
}

static void parse_line(struct bench *b, char *line)
{
	struct contender *c = &b->list[b->n];
	char *field[4] = {NULL};

	for (size_t i = 0; i < 4; i++)
		field[i] = i < 3 ? strsep(&line, "\t") : line;
	if (!field[3])
		bad("a line needs NAME, USER, VIEW and COMMAND", field[0]);
	if (b->n++ == MAX_CONTENDERS)
		bad("too many contenders", field[0]);

	*c = (struct contender){.name = field[0], .view = -1, .redirect = -1};
	if (strcmp(field[1], "-") != 0) {
		if (sscanf(field[1], "%u:%u", &c->uid, &c->gid) != 2)
			bad("not UID:GID", field[1]);
		c->set_user = 1;
	}
	if (strcmp(field[2], "-") != 0 && (c->view = open(field[2], O_RDONLY | O_CLOEXEC)) < 0)
		die(field[2]);
	parse_command(c, field[3]);
	c->output = memfd_create("output", MFD_CLOEXEC);
	c->sample = calloc((size_t)b->opt.rounds, sizeof(*c->sample));
	if (c->output < 0 || !c->sample)
		die(c->name);
}

/* The lines are never freed: the contenders point into them. */
static void parse_file(struct bench *b, FILE *file)
{
	for (;;) {
		char *line = NULL;
		size_t size = 0;
		ssize_t len = getline(&line, &size, file);

		if (len < 0)
			break;
		line[strcspn(line, "\n")] = '\0';
		if (line[0] && line[0] != '#')
			parse_line(b, line);
	}
}

/* ---- one run */

/*
 * Runs in a vfork child: system calls only, and the raw ones for the ids, since the C library's
 * would take its locks and look for threads.
 */
static void become(const struct bench *b, const struct contender *c)
{
	if (sigprocmask(SIG_UNBLOCK, &b->held, NULL) < 0)
		return;
	if (c->view >= 0 && setns(c->view, CLONE_NEWNS) < 0)
		return;
	if (c->set_user && (syscall(SYS_setgroups, 0, NULL) < 0 ||
			    syscall(SYS_setresgid, c->gid, c->gid, c->gid) < 0 ||
			    syscall(SYS_setresuid, c->uid, c->uid, c->uid) < 0))
		return;
	if (dup2(b->null, 0) < 0 || dup2(c->output, 1) < 0 || dup2(c->output, 2) < 0)
		return;
	if (c->redirect >= 0) {
		int fd = open(c->input, O_RDONLY);

		if (fd < 0 || (fd != c->redirect && dup2(fd, c->redirect) < 0))
			return;
	}
	execvp(c->argv[0], c->argv);
}

static void clear_output(const struct contender *c)
{
	if (lseek(c->output, 0, SEEK_CUR) > 0 &&
	    (ftruncate(c->output, 0) < 0 || lseek(c->output, 0, SEEK_SET) < 0))
		die("memfd");
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int run_timed(const struct bench *b, const struct contender *c, double *ret_ms)
{
	double start = now_ms();
	int status;
	pid_t pid;

	/* vfork: a copy of this process's page tables would be time that is nobody's */
	pid = vfork();
	if (pid == 0) {
		become(b, c);
		_exit(LAUNCH_FAILED);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		die("vfork");
	*ret_ms = now_ms() - start;
	return status;
}

/* VmHWM in KiB */
static double peak_of(pid_t pid)
{
	char path[64], line[256];
	unsigned long kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	if (!file)
		die(path);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmHWM: %lu", &kib) == 1)
			break;
	fclose(file);
	return (double)kib;
}

/*
 * wait4's ru_maxrss will not do: it is the greatest of the process, of what it was before it
 * executed the program, and of every child that it waited for, the payload included. Instead stop
 * the process at its own exit, while it still has its memory, and read the high-water mark. Its
 * children are not traced. The mark begins anew at execve: of a program that executes itself again
 * the last image counts.
 */
static int run_traced(const struct bench *b, const struct contender *c, double *ret_kib)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 && raise(SIGSTOP) == 0)
			become(b, c);
		_exit(LAUNCH_FAILED);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, NULL,
		   PTRACE_O_TRACEEXIT | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL) < 0)
		die("ptrace");
	for (intptr_t signal = 0;;) {
		if (ptrace(PTRACE_CONT, pid, NULL, (void *)signal) < 0 && errno != ESRCH)
			die("ptrace");
		if (waitpid(pid, &status, __WALL) < 0)
			die("waitpid");
		if (!WIFSTOPPED(status))
			return status;
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8))
			*ret_kib = peak_of(pid);
		/* an event is not a signal for the program; anything else is */
		signal = status >> 16 ? 0 : WSTOPSIG(status);
	}
}

static void report_failure(const struct contender *c, int status)
{
	char text[4096];
	ssize_t len = pread(c->output, text, sizeof(text), 0);

	if (WIFSIGNALED(status))
		fprintf(stderr, "bench: %s: killed by signal %d:\n", c->name, WTERMSIG(status));
	else
		fprintf(stderr, "bench: %s: exit code %d:\n", c->name, WEXITSTATUS(status));
	if (len > 0)
		fwrite(text, 1, (size_t)len, stderr);
}

static void run_once(const struct bench *b, struct contender *c, int keep)
{
	double value = 0;
	int status;

	clear_output(c);
	status = b->opt.memory ? run_traced(b, c, &value) : run_timed(b, c, &value);
	if (status != 0) {
		report_failure(c, status);
		c->failed = 1;
	} else if (keep) {
		c->sample[c->samples++] = value;
	}
}

/* ---- rounds */

static void shuffle(size_t *order, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		uint32_t r;
		size_t j, swap;

		if (getrandom(&r, sizeof(r), 0) != sizeof(r))
			die("getrandom");
		j = r % i;
		swap = order[i - 1];
		order[i - 1] = order[j];
		order[j] = swap;
	}
}

/*
 * A run that is cut short could leave a container behind, so SIGTERM and SIGINT are blocked and
 * looked for between runs.
 */
static void stop_if_asked(const struct bench *b)
{
	sigset_t pending;

	sigpending(&pending);
	if (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT))
		sigprocmask(SIG_UNBLOCK, &b->held, NULL);
}

static void run_rounds(struct bench *b)
{
	const struct timespec pause = {b->opt.pause / 1000, b->opt.pause % 1000 * 1000000};
	size_t order[MAX_CONTENDERS];

	for (size_t i = 0; i < b->n; i++)
		order[i] = i;
	for (long round = -b->opt.warmups; round < b->opt.rounds; round++) {
		shuffle(order, b->n);
		for (size_t i = 0; i < b->n; i++) {
			struct contender *c = &b->list[order[i]];

			if (c->failed)
				continue;
			run_once(b, c, round >= 0);
			stop_if_asked(b);
			if (b->opt.pause)
				nanosleep(&pause, NULL);
		}
	}
}

/* ---- the table */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(const struct contender *c, double q)
{
	double at = q * (double)(c->samples - 1);
	size_t i = (size_t)at;

	if (i + 1 >= c->samples)
		return c->sample[c->samples - 1];
	return c->sample[i] + (at - (double)i) * (c->sample[i + 1] - c->sample[i]);
}

static const struct contender *find(const struct bench *b, const char *name)
{
	for (size_t i = 0; i < b->n; i++)
		if (strcmp(b->list[i].name, name) == 0)
			return &b->list[i];
	return NULL;
}

static void print_row(const struct bench *b, const struct contender *c)
{
	int digits = b->opt.memory ? 0 : 2;

	printf("| %s |", c->name);
	if (c->failed) {
		printf(" failed | | |");
		for (size_t i = 0; i < b->opt.nrefs; i++)
			printf(" |");
		printf("\n");
		return;
	}
	printf(" %.*f | %.*f | %.*f |", digits, quantile(c, 0.5), digits, quantile(c, 0.1), digits,
	       quantile(c, 0.9));
	for (size_t i = 0; i < b->opt.nrefs; i++) {
		const struct contender *ref = find(b, b->opt.refs[i]);

		if (ref && !ref->failed)
			printf(" %.2f |", quantile(c, 0.5) / quantile(ref, 0.5));
		else
			printf(" |");
	}
	printf("\n");
}

static void print_table(const struct bench *b)
{
	const char *unit = b->opt.memory ? "KiB" : "ms";

	for (size_t i = 0; i < b->n; i++)
		if (!b->list[i].failed)
			qsort(b->list[i].sample, b->list[i].samples, sizeof(double), by_value);
	printf("| | median %s | p10 | p90 |", unit);
	for (size_t i = 0; i < b->opt.nrefs; i++)
		printf(" / %s |", b->opt.refs[i]);
	printf("\n|---|---:|---:|---:|");
	for (size_t i = 0; i < b->opt.nrefs; i++)
		printf("---:|");
	printf("\n");
	for (size_t i = 0; i < b->n; i++)
		print_row(b, &b->list[i]);
}

static long number(const char *text, long min)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (end == text || *end || value < min || value > 1000000)
		bad("not a number in range", text);
	return value;
}

static const char *parse_options(struct options *opt, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "mn:w:p:r:")) != -1) {
		if (c == 'm')
			opt->memory = 1;
		else if (c == 'n')
			opt->rounds = number(optarg, 1);
		else if (c == 'w')
			opt->warmups = number(optarg, 0);
		else if (c == 'p')
			opt->pause = number(optarg, 0);
		else if (c == 'r' && opt->nrefs < MAX_REFS)
			opt->refs[opt->nrefs++] = optarg;
		else
			bad("usage", "bench [-m] [-n ROUNDS] [-w WARMUPS] [-p PAUSE_MS] [-r "
				     "NAME]... [FILE]");
	}
	return argv[optind];
}

int main(int argc, char **argv)
{
	static struct bench b = {.opt = {.rounds = 200, .warmups = 3}};
	const char *name = parse_options(&b.opt, argc, argv);
	FILE *file = name ? fopen(name, "re") : stdin;

	if (!file)
		die(name);
	b.null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (b.null < 0)
		die("/dev/null");
	parse_file(&b, file);
	sigemptyset(&b.held);
	sigaddset(&b.held, SIGTERM);
	sigaddset(&b.held, SIGINT);
	sigprocmask(SIG_BLOCK, &b.held, NULL);
	run_rounds(&b);
	print_table(&b);
	for (size_t i = 0; i < b.n; i++)
		if (b.list[i].failed)
			return 1;
	return 0;
}
