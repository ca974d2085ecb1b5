/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "runtime/base/log.h"
#include "runtime/commands.h"
#include "spec/spec.h"

#ifndef BRYO_VERSION
#define BRYO_VERSION "0"
#endif
#ifndef BRYO_COMMIT
#define BRYO_COMMIT "unknown"
#endif

#define AT(member) offsetof(struct arguments, member)

static const char *const rootless_choices[] = {"auto", "true", "false", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const managers[] = {"auto", "cgroupfs", "systemd", "disabled", NULL};
static const char *const list_formats[] = {"table", "json", NULL};

const struct option_row global_options[] = {
	{"root", 0, OPT_STRING, AT(root), "DIR",
	 "where containers are remembered [$XDG_RUNTIME_DIR/bryo or /run/bryo]", NULL},
	{"log", 0, OPT_STRING, AT(log), "FILE", "write messages there too", NULL},
	{"log-format", 0, OPT_CHOICE, AT(log_format), "text|json", "format of --log [text]",
	 log_formats},
	{"debug", 0, OPT_FLAG, AT(debug), NULL, "say more", NULL},
	{"rootless", 0, OPT_CHOICE, AT(rootless), "auto|true|false",
	 "false: never add a user namespace [auto]", rootless_choices},
	{"cgroup-manager", 0, OPT_CHOICE, AT(cgroup_manager), "auto|cgroupfs|systemd|disabled",
	 "who makes cgroups [auto]", managers},
	{"systemd-cgroup", 0, OPT_FLAG, AT(systemd_cgroup), NULL, "as --cgroup-manager systemd",
	 NULL},
	{"version", 'v', OPT_FLAG, AT(version), NULL, "print the version", NULL},
	{"help", 'h', OPT_FLAG, AT(help), NULL, "print this, or the help of a command", NULL},
	{0},
};

/* Versions of clang-format disagree about braces in macros. */
/* clang-format off */
#define BUNDLE                                                                                     \
	{"bundle", 'b', OPT_STRING, AT(box.bundle), "DIR", "the directory of config.json [.]", NULL}
#define CONSOLE                                                                                    \
	{"trace", 0, OPT_STRING, AT(box.trace), "FILE",                                            \
	 "write when each step ran, as Chrome trace JSON", NULL},                                  \
	{"console-socket", 0, OPT_STRING, AT(box.console_socket), "PATH",                          \
	 "send the master of the terminal to this socket", NULL},                                  \
	{"pidfd-socket", 0, OPT_STRING, AT(box.pidfd_socket), "PATH",                              \
	 "send a handle of the process to this socket", NULL}
#define COMMON                                                                                     \
	BUNDLE,                                                                                    \
	{"pid-file", 0, OPT_STRING, AT(box.pid_file), "FILE",                                      \
	 "write the pid of the container's first process there", NULL},                            \
	{"no-pivot", 0, OPT_FLAG, AT(box.no_pivot), NULL,                                          \
	 "chroot instead of pivot_root: for an initial ramfs only", NULL},                         \
	{"no-new-keyring", 0, OPT_FLAG, AT(box.no_new_keyring), NULL,                              \
	 "keep the caller's session keyring", NULL},                                               \
	{"preserve-fds", 0, OPT_UINT, AT(box.preserve_fds), "N",                                   \
	 "hand descriptors 3 to 2+N on to the container [0]", NULL},                               \
	{"overlay", 0, OPT_STRING, AT(box.overlay), "tmpfs[:SIZE]|DIR",                            \
	 "writes go to a tmpfs, or to DIR/upper; the rootfs stays as it is", NULL},                \
	{"lower", 0, OPT_LIST, AT(box.lower), "DIR",                                               \
	 "with --overlay: a directory beneath the rootfs, may be given again", NULL},              \
	{"selinux", 0, OPT_STRING, AT(box.selinux), "auto|off|LABEL",                              \
	 "the SELinux label, if the configuration has none [run: auto, create: off]", NULL},       \
	CONSOLE
/* clang-format on */

static const struct option_row run_options[] = {
	COMMON,
	{"detach", 'd', OPT_FLAG, AT(box.detach), NULL, "do not wait for the container", NULL},
	{"keep", 0, OPT_FLAG, AT(box.keep), NULL, "keep the state when the container ends", NULL},
	{"no-subreaper", 0, OPT_FLAG, AT(box.no_subreaper), NULL,
	 "do not reap processes that the container leaves", NULL},
	{0},
};
static const struct option_row create_options[] = {COMMON, {0}};
static const struct option_row exec_options[] = {
	{"process", 'p', OPT_STRING, AT(exec.process), "FILE",
	 "the process as JSON, like /process of a configuration", NULL},
	{"cwd", 0, OPT_STRING, AT(exec.cwd), "DIR", "the working directory", NULL},
	{"env", 'e', OPT_LIST, AT(exec.env), "NAME=VALUE", "add to the environment", NULL},
	{"tty", 't', OPT_FLAG, AT(exec.tty), NULL, "give it a terminal of its own", NULL},
	{"user", 'u', OPT_STRING, AT(exec.user), "UID[:GID]", "run as this user, by number", NULL},
	{"additional-gids", 'g', OPT_LIST, AT(exec.groups), "GID", "add a group, by number", NULL},
	{"cap", 'c', OPT_LIST, AT(exec.caps), "NAME", "add a capability, like CAP_SYS_PTRACE",
	 NULL},
	{"no-new-privs", 0, OPT_FLAG, AT(exec.no_new_privs), NULL,
	 "no more privileges by execve(2)", NULL},
	{"process-label", 0, OPT_STRING, AT(exec.label), "LABEL", "SELinux label", NULL},
	{"apparmor", 0, OPT_STRING, AT(exec.apparmor), "PROFILE", "AppArmor profile", NULL},
	{"cgroup", 0, OPT_STRING, AT(exec.cgroup), "PATH", "a cgroup below the container's", NULL},
	{"ignore-paused", 0, OPT_FLAG, AT(exec.ignore_paused), NULL,
	 "in a paused container, wait until it is resumed", NULL},
	{"detach", 'd', OPT_FLAG, AT(box.detach), NULL, "do not wait for the process", NULL},
	{"pid-file", 0, OPT_STRING, AT(box.pid_file), "FILE", "write the pid of the process there",
	 NULL},
	{"preserve-fds", 0, OPT_UINT, AT(box.preserve_fds), "N",
	 "hand descriptors 3 to 2+N on to the process [0]", NULL},
	CONSOLE,
	{0},
};
static const struct option_row kill_options[] = {
	{"all", 'a', OPT_FLAG, AT(all), NULL, "all processes of the container", NULL},
	{0},
};
static const struct option_row delete_options[] = {
	{"force", 'f', OPT_FLAG, AT(force), NULL,
	 "in any state, killing it if need be; a missing one is no error", NULL},
	{0},
};
static const struct option_row list_options[] = {
	{"format", 'f', OPT_CHOICE, AT(format), "table|json", "[table]", list_formats},
	{"quiet", 'q', OPT_FLAG, AT(quiet), NULL, "ids only", NULL},
	{0},
};
static const struct option_row ps_options[] = {
	{"format", 'f', OPT_CHOICE, AT(format), "table|json", "[table]", list_formats},
	{0},
};
static const struct option_row events_options[] = {
	{"stats", 0, OPT_FLAG, AT(stats), NULL, "print the statistics once", NULL},
	{"interval", 0, OPT_STRING, AT(interval), "DURATION",
	 "time between two statistics, like 500ms [5s]", NULL},
	{0},
};
static const struct option_row update_options[] = {
	{"resources", 'r', OPT_STRING, AT(update.resources), "FILE",
	 "JSON as in /linux/resources; -: standard input; all else is ignored", NULL},
	{"memory", 0, OPT_STRING, AT(update.memory), "SIZE", "memory, like 512m; -1: no limit",
	 NULL},
	{"memory-reservation", 0, OPT_STRING, AT(update.reservation), "SIZE",
	 "memory that is reclaimed last", NULL},
	{"memory-swap", 0, OPT_STRING, AT(update.swap), "SIZE", "memory and swap together", NULL},
	{"cpu-quota", 0, OPT_STRING, AT(update.quota), "USEC", "CPU time in each period", NULL},
	{"cpu-period", 0, OPT_STRING, AT(update.period), "USEC", "the period of the quota", NULL},
	{"cpu-burst", 0, OPT_STRING, AT(update.burst), "USEC", "CPU time over the quota", NULL},
	{"cpu-share", 0, OPT_STRING, AT(update.shares), "N", "weight among cgroups", NULL},
	{"cpu-idle", 0, OPT_STRING, AT(update.idle), "N", "1: run only when nothing else does",
	 NULL},
	{"cpu-rt-period", 0, OPT_STRING, AT(update.rt_period), "USEC", "refused: of cgroup v1",
	 NULL},
	{"cpu-rt-runtime", 0, OPT_STRING, AT(update.rt_runtime), "USEC", "refused: of cgroup v1",
	 NULL},
	{"cpuset-cpus", 0, OPT_STRING, AT(update.cpus), "LIST", "CPUs, like 0-3,7", NULL},
	{"cpuset-mems", 0, OPT_STRING, AT(update.mems), "LIST", "memory nodes, like 0-3,7", NULL},
	{"pids-limit", 0, OPT_STRING, AT(update.pids), "N", "processes; -1: no limit", NULL},
	{"blkio-weight", 0, OPT_STRING, AT(update.blkio_weight), "N",
	 "weight on block devices, 10 to 1000", NULL},
	{"kernel-memory", 0, OPT_LATER, 0, "SIZE", "", NULL},
	{"kernel-memory-tcp", 0, OPT_LATER, 0, "SIZE", "", NULL},
	{"l3-cache-schema", 0, OPT_LATER, 0, "TEXT", "", NULL},
	{"mem-bw-schema", 0, OPT_LATER, 0, "TEXT", "", NULL},
	{0},
};
static const struct option_row diff_options[] = {
	{"json", 0, OPT_FLAG, AT(json), NULL, "as JSON", NULL},
	{0},
};
static const struct option_row spec_options[] = {
	BUNDLE,
	{"rootless", 0, OPT_FLAG, AT(spec_rootless), NULL,
	 "for an ordinary user: with a user namespace", NULL},
	{0},
};
static const struct option_row steps_options[] = {
	BUNDLE,
	{"exec", 0, OPT_FLAG, AT(steps_exec), NULL, "the steps of a process that enters one", NULL},
	{0},
};
static const struct option_row validate_options[] = {
	BUNDLE,
	{"host", 0, OPT_FLAG, AT(host), NULL,
	 "look too for what this kernel and this user cannot do", NULL},
	{"json", 0, OPT_FLAG, AT(json), NULL, "as JSON", NULL},
	{0},
};
static const struct option_row wait_options[] = {
	{"timeout", 0, OPT_STRING, AT(timeout), "DURATION",
	 "wait no longer than that, like 5s; the exit status is 124 then", NULL},
	{0},
};
static const struct option_row no_options[] = {{0}};

const struct command commands[] = {
	{"run", "ID", 1, 1, "create and start a container, and wait for its end", run_options,
	 cmd_run},
	{"create", "ID", 1, 1, "create a container: all but the payload", create_options,
	 cmd_create},
	{"start", "ID", 1, 1, "start the payload of a created container", no_options, cmd_start},
	{"exec", "ID COMMAND [ARGUMENT...]", 1, OPERANDS_REST,
	 "run one more process in a container", exec_options, cmd_exec},
	{"state", "ID", 1, 1, "print the state of a container as JSON", no_options, cmd_state},
	{"kill", "ID [SIGNAL]", 1, 2, "send a signal to a container [TERM]", kill_options,
	 cmd_kill},
	{"wait", "ID", 1, 1,
	 "wait for the end of a container; print its exit status and end with it", wait_options,
	 cmd_wait},
	{"delete", "ID", 1, 1, "remove what is left of a stopped container", delete_options,
	 cmd_delete},
	{"list", "", 0, 0, "list the containers", list_options, cmd_list},
	{"pause", "ID", 1, 1, "stop all processes of a container", no_options, cmd_pause},
	{"resume", "ID", 1, 1, "let the processes of a paused container go on", no_options,
	 cmd_resume},
	{"ps", "ID [PS-OPTION...]", 1, OPERANDS_REST, "list the processes of a container",
	 ps_options, cmd_ps},
	{"events", "ID", 1, 1, "print statistics and out-of-memory kills as JSON", events_options,
	 cmd_events},
	{"update", "ID", 1, 1, "change the limits of a container", update_options, cmd_update},
	{"diff", "ID", 1, 1, "list what a container with an overlay has changed", diff_options,
	 cmd_diff},
	{"export", "ID FILE|-", 2, 2, "write what it has changed as a layer of an image",
	 no_options, cmd_export},
	{"spec", "", 0, 0, "write a config.json to start from", spec_options, cmd_spec},
	{"features", "", 0, 0, "print what bryo supports as JSON", no_options, cmd_features},
	{"steps", "[BUNDLE]", 0, 1, "print the steps that make a container, without running any",
	 steps_options, cmd_steps},
	{"validate", "[BUNDLE]", 0, 1, "print all that is wrong with a bundle, without running it",
	 validate_options, cmd_validate},
	{"completion", "SHELL", 1, 1, "print completions for bash, zsh or fish", no_options,
	 cmd_completion},
	{"checkpoint", "", 0, 0, "", no_options, NULL},
	{"restore", "", 0, 0, "", no_options, NULL},
	{0},
};

/*
 * A descriptor that we open may not become the container's standard input by
 * accident.  /dev/null is opened so that reads end and writes fail, as they
 * would on the closed descriptor.
 */
static int open_missing_stdio(struct err *err)
{
	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/null", (fd ? O_RDONLY : O_WRONLY) | O_NOCTTY) != fd)
			return err_set(err, errno, "open /dev/null for closed descriptor %d", fd);
	}
	return 0;
}

static int prepare_process(struct err *err)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	/*
	 * A set-uid bryo would trust the caller's environment and files with
	 * somebody else's privilege (CVE-2016-3135 and the like).
	 */
	if (getauxval(AT_SECURE))
		return err_set(err, 0, "bryo must not be installed set-uid or with capabilities");
	if (open_missing_stdio(err) < 0)
		return -1;
	/* What the caller left open is nobody's business (CVE-2024-21626). */
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0) {
		err_set(err, errno, "close_range");
		return err_hint(err, "bryo needs Linux 5.14 or later");
	}
	/* Errors that say what happened, instead of a death without words. */
	if (sigaction(SIGPIPE, &ignore, NULL) < 0 || sigaction(SIGXFSZ, &ignore, NULL) < 0)
		return err_set(err, errno, "sigaction");
	return 0;
}

static int print_version(void)
{
	printf("bryo version " BRYO_VERSION "\ncommit: " BRYO_COMMIT "\nspec: " SPEC_VERSION "\n");
	return fflush(stdout) ? -1 : 0;
}

/*
 * Descriptors that are to be handed on must be there, and before we have opened
 * any: what fills a gap would be ours.
 */
enum { MOST_LISTENERS = 1024 };

static int check_preserved(unsigned int n, struct err *err)
{
	for (unsigned int fd = 3; fd < 3 + n; fd++)
		if (fcntl((int)fd, F_GETFD) < 0)
			return err_set(err, errno, "--preserve-fds %u: descriptor %u is not open",
				       n, fd);
	return 0;
}

/*
 * Sockets of a service manager's, for this very process: sd_listen_fds(3).  They are
 * the first of those that are preserved.
 */
static unsigned int count_listeners(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	unsigned long n;
	char *end;

	if (!pid || !fds || strtol(pid, &end, 10) != getpid() || *end)
		return 0;
	n = strtoul(fds, &end, 10);
	return *end || *fds == '-' || n > MOST_LISTENERS ? 0 : (unsigned int)n;
}

/* Whatever is wrong, the log gets it once its name is known. */
static int prepare(int argc, char **argv, struct arguments *a, const struct command **c,
		   struct err *err)
{
	struct err log;
	int bad = prepare_process(err) < 0 || opts_parse(argc, argv, a, c, err) < 0;

	if (!bad) {
		a->box.listen_fds = count_listeners();
		a->box.preserve_fds += a->box.listen_fds;
		bad = check_preserved(a->box.preserve_fds, err) < 0;
	}
	if (log_open(a->log, a->log_format == LOG_JSON, a->debug, &log) < 0 && !bad) {
		*err = log;
		bad = 1;
	}
	return bad ? -1 : 0;
}

static int dispatch(const struct command *c, struct arguments *a, struct err *err)
{
	if (a->version)
		return print_version() < 0 ? err_set(err, errno, "write to standard output") : 0;
	if (a->help || !c) {
		opts_help(a->help ? stdout : stderr, c);
		return a->help ? 0 : 1;
	}
	return c->run(a, err);
}

int main(int argc, char **argv)
{
	const struct command *c = NULL;
	struct arguments a = {0};
	struct err err = {0};
	int status = prepare(argc, argv, &a, &c, &err);

	if (!status)
		status = dispatch(c, &a, &err);
	arena_finish(&a.arena);
	if (status >= 0)
		return status;
	log_error(&err);
	if (err.exit)
		return err.exit;
	if (c && c->run == cmd_exec)
		return EXIT_EXEC;
	return c && c->run == cmd_run ? EXIT_BRYO : EXIT_FAILURE;
}
