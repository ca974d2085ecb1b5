// SPDX-License-Identifier: Apache-2.0
/* What the process itself is: ids, capabilities, limits, signals, links. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

#define MAX_FILE ((size_t)1 << 20)
#define MAX_FD 65536 /* looked at when there is no /proc/self/fd */
#define MAX_GROUPS 65536

bool have_proc(void)
{
	struct statfs fs;

	return statfs("/proc/self", &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

char *slurp(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0;
	ssize_t n = 0;
	char *text;

	if (fd < 0)
		return NULL;
	text = malloc(MAX_FILE + 1);
	if (!text)
		abort();
	while (len < MAX_FILE && (n = read(fd, text + len, MAX_FILE - len)) > 0)
		len += (size_t)n;
	close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

static void out_file(const char *key, const char *path)
{
	char *text = have_proc() ? slurp(path) : NULL;

	out_str(key, text);
	free(text);
}

static void out_link(const char *key, const char *path)
{
	char target[4096];
	ssize_t n = have_proc() ? readlink(path, target, sizeof(target)) : -1;

	if (n < 0)
		out_null(key);
	else
		out_strn(key, target, (size_t)n);
}

/* ---- file descriptors ---- */

static void out_fd(int fd)
{
	char name[32], link[64];
	struct stat st;

	snprintf(name, sizeof(name), "%d", fd);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	out_open(name, '{');
	out_link("link", link);
	if (fstat(fd, &st) == 0) {
		out_uint("mode", st.st_mode);
		out_uint("dev", st.st_dev);
		out_uint("ino", st.st_ino);
		out_uint("rdev_major", major(st.st_rdev));
		out_uint("rdev_minor", minor(st.st_rdev));
		out_uint("uid", st.st_uid);
	}
	out_int("flags", fcntl(fd, F_GETFL));
	out_bool("cloexec", fcntl(fd, F_GETFD) & FD_CLOEXEC);
	out_close('}');
}

void report_fds(void)
{
	DIR *dir = have_proc() ? opendir("/proc/self/fd") : NULL;
	struct dirent *entry;

	out_open("fds", '{');
	if (!dir) {
		for (int fd = 0; fd < MAX_FD; fd++) {
			if (fcntl(fd, F_GETFD) >= 0)
				out_fd(fd);
		}
	}
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(dir))
			out_fd(atoi(entry->d_name));
	}
	if (dir)
		closedir(dir);
	out_close('}');
}

/* ---- ids and privileges ---- */

void report_ids(void)
{
	static gid_t groups[MAX_GROUPS];
	uid_t u[3];
	gid_t g[3];
	int n = getgroups(MAX_GROUPS, groups);

	out_open("uid", '[');
	if (getresuid(&u[0], &u[1], &u[2]) == 0) {
		for (int i = 0; i < 3; i++)
			out_uint(NULL, u[i]);
	}
	out_uint(NULL, (uid_t)setfsuid((uid_t)-1));
	out_close(']');
	out_open("gid", '[');
	if (getresgid(&g[0], &g[1], &g[2]) == 0) {
		for (int i = 0; i < 3; i++)
			out_uint(NULL, g[i]);
	}
	out_uint(NULL, (gid_t)setfsgid((gid_t)-1));
	out_close(']');
	out_open("groups", '[');
	for (int i = 0; i < n; i++)
		out_uint(NULL, groups[i]);
	out_close(']');
	out_file("uid_map", "/proc/self/uid_map");
	out_file("gid_map", "/proc/self/gid_map");
	out_file("setgroups", "/proc/self/setgroups");
}

static unsigned long long prctl_set(int option, unsigned long arg)
{
	unsigned long long set = 0;

	for (unsigned long cap = 0; cap < 64; cap++) {
		int on = option == PR_CAPBSET_READ ? prctl(option, cap, 0, 0, 0)
						   : prctl(option, arg, cap, 0, 0);

		if (on == 1)
			set |= 1ULL << cap;
	}
	return set;
}

/* The number behind "Name:" in /proc/self/status. */
static void out_status(const char *key, const char *name)
{
	char *text = have_proc() ? slurp("/proc/self/status") : NULL;
	char *at = text ? strstr(text, name) : NULL;

	if (at)
		out_int(key, strtol(at + strlen(name), NULL, 10));
	else
		out_null(key);
	free(text);
}

void report_caps(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {0};

	out_open("caps", '{');
	if (syscall(SYS_capget, &head, data) == 0) {
		out_hex("inheritable", data[0].inheritable | (uint64_t)data[1].inheritable << 32);
		out_hex("permitted", data[0].permitted | (uint64_t)data[1].permitted << 32);
		out_hex("effective", data[0].effective | (uint64_t)data[1].effective << 32);
	}
	out_hex("bounding", prctl_set(PR_CAPBSET_READ, 0));
	out_hex("ambient", prctl_set(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET));
	out_close('}');
	out_int("no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	out_int("seccomp", prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
	out_status("seccomp_filters", "\nSeccomp_filters:");
	out_int("securebits", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
	out_int("dumpable", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
}

/* ---- the process ---- */

static void out_list(const char *key, char **list)
{
	out_open(key, '[');
	for (; *list; list++)
		out_str(NULL, *list);
	out_close(']');
}

static void out_clock(const char *key, clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) == 0)
		out_int(key, now.tv_sec);
	else
		out_null(key);
}

static void report_names(void)
{
	struct utsname uts;

	if (uname(&uts) == 0) {
		out_str("hostname", uts.nodename);
		out_str("domainname", uts.domainname);
		out_str("machine", uts.machine);
	}
}

static void report_cwd(void)
{
	char path[4096];
	/* The system call, since the library hides the "(unreachable)" prefix. */
	long n = syscall(SYS_getcwd, path, sizeof(path));

	if (n > 0)
		out_str("cwd", path);
	else
		out_errno("cwd", errno);
	out_link("cwd_link", "/proc/self/cwd");
	out_link("root_link", "/proc/self/root");
	out_link("exe", "/proc/self/exe");
}

/* How the kernel treats it: scheduling, CPUs, memory nodes. */
static void report_task(void)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
		uint32_t util_min, util_max;
	} attr = {0};
	unsigned long nodes[16] = {0}, cpus[16] = {0};
	int mode = -1;

	out_open("scheduler", '{');
	if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) == 0) {
		out_uint("policy", attr.policy);
		out_uint("flags", attr.flags);
		out_int("nice", attr.nice);
		out_uint("priority", attr.priority);
		out_uint("runtime", attr.runtime);
		out_uint("deadline", attr.deadline);
		out_uint("period", attr.period);
	}
	out_close('}');
	out_int("ioprio", syscall(SYS_ioprio_get, 1, 0));
	if (syscall(SYS_get_mempolicy, &mode, nodes, 8 * sizeof(nodes), NULL, 0) < 0)
		mode = -errno;
	out_int("mempolicy", mode);
	out_hex("mempolicy_nodes", nodes[0]);
	if (syscall(SYS_sched_getaffinity, 0, sizeof(cpus), cpus) < 0)
		cpus[0] = 0;
	out_hex("cpus", cpus[0]);
}

void report_process(int argc, char **argv, char **envp)
{
	mode_t mask = umask(0);
	int death = -1;

	umask(mask);
	out_int("pid", getpid());
	out_int("ppid", getppid());
	out_int("sid", getsid(0));
	out_int("pgid", getpgid(0));
	out_uint("umask", mask);
	out_int("argc", argc);
	out_list("args", argv);
	out_list("env", envp);
	report_cwd();
	report_names();
	prctl(PR_GET_PDEATHSIG, &death, 0, 0, 0);
	out_int("pdeathsig", death);
	out_int("personality", personality(0xffffffff));
	report_task();
	out_int("nice", getpriority(PRIO_PROCESS, 0));
	out_int("subreaper", prctl(PR_GET_CHILD_SUBREAPER, &death, 0, 0, 0) == 0 ? death : -1);
	out_clock("clock_monotonic", CLOCK_MONOTONIC);
	out_clock("clock_boottime", CLOCK_BOOTTIME);
	out_file("timens_offsets", "/proc/self/timens_offsets");
	out_file("oom_score_adj", "/proc/self/oom_score_adj");
	out_file("cgroup", "/proc/self/cgroup");
	out_file("selinux", "/proc/self/attr/current");
	out_file("port_start", "/proc/sys/net/ipv4/ip_unprivileged_port_start");
	out_bool("proc_is_procfs", have_proc());
}

/* Raw system calls: the C library hides its two internal signals. */
void report_signals(void)
{
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		unsigned long mask;
	} act;
	unsigned long long blocked = 0, ignored = 0, caught = 0;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &blocked, 8);
	for (int sig = 1; sig <= 64; sig++) {
		memset(&act, 0, sizeof(act));
		if (syscall(SYS_rt_sigaction, sig, NULL, &act, 8) < 0)
			continue;
		if (act.handler == (void *)SIG_IGN)
			ignored |= 1ULL << (sig - 1);
		else if (act.handler)
			caught |= 1ULL << (sig - 1);
	}
	out_open("signals", '{');
	out_hex("blocked", blocked);
	out_hex("ignored", ignored);
	out_hex("caught", caught);
	out_close('}');
}

static void out_limit(const char *key, rlim_t v)
{
	if (v == RLIM_INFINITY)
		out_str(key, "unlimited");
	else
		out_uint(key, v);
}

void report_rlimits(void)
{
	static const char *const names[RLIM_NLIMITS] = {
		[RLIMIT_CPU] = "CPU",           [RLIMIT_FSIZE] = "FSIZE",
		[RLIMIT_DATA] = "DATA",         [RLIMIT_STACK] = "STACK",
		[RLIMIT_CORE] = "CORE",         [RLIMIT_RSS] = "RSS",
		[RLIMIT_NPROC] = "NPROC",       [RLIMIT_NOFILE] = "NOFILE",
		[RLIMIT_MEMLOCK] = "MEMLOCK",   [RLIMIT_AS] = "AS",
		[RLIMIT_LOCKS] = "LOCKS",       [RLIMIT_SIGPENDING] = "SIGPENDING",
		[RLIMIT_MSGQUEUE] = "MSGQUEUE", [RLIMIT_NICE] = "NICE",
		[RLIMIT_RTPRIO] = "RTPRIO",     [RLIMIT_RTTIME] = "RTTIME",
	};

	out_open("rlimits", '{');
	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		struct rlimit lim;

		if (getrlimit(i, &lim) < 0)
			continue;
		out_open(names[i], '[');
		out_limit(NULL, lim.rlim_cur);
		out_limit(NULL, lim.rlim_max);
		out_close(']');
	}
	out_close('}');
}

void report_namespaces(void)
{
	static const char *const names[] = {"user",
					    "mnt",
					    "pid",
					    "net",
					    "ipc",
					    "uts",
					    "cgroup",
					    "time",
					    "pid_for_children",
					    "time_for_children"};
	char path[64];

	out_open("namespaces", '{');
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		out_link(names[i], path);
	}
	out_close('}');
}

/* ---- keyring, network, terminal ---- */

void report_keyring(void)
{
	char text[512];
	long id = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
	long n;

	out_open("keyring", '{');
	out_errno("result", id < 0 ? errno : 0);
	if (id >= 0) {
		out_int("id", id);
		n = syscall(SYS_keyctl, KEYCTL_DESCRIBE, id, text, sizeof(text));
		if (n > 0)
			out_strn("description", text, strnlen(text, sizeof(text)));
		else
			out_null("description");
	}
	out_close('}');
}

void report_network(void)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct if_nameindex *list = sock < 0 ? NULL : if_nameindex();

	if (!list) {
		out_null("network");
		return;
	}
	out_open("network", '{');
	for (struct if_nameindex *at = list; at->if_index; at++) {
		struct ifreq req = {0};

		snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", at->if_name);
		if (ioctl(sock, SIOCGIFFLAGS, &req) < 0)
			continue;
		out_open(at->if_name, '{');
		out_int("flags", req.ifr_flags & 0xffff);
		out_bool("up", req.ifr_flags & IFF_UP);
		out_close('}');
	}
	out_close('}');
	if_freenameindex(list);
	close(sock);
}

void report_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	out_open("terminal", '{');
	out_errno("dev_tty", fd < 0 ? errno : 0);
	if (fd >= 0)
		close(fd);
	out_open("isatty", '[');
	for (int i = 0; i < 3; i++)
		out_bool(NULL, isatty(i));
	out_close(']');
	out_str("name", isatty(0) ? ttyname(0) : NULL);
	if (isatty(0)) {
		struct winsize size = {0};

		ioctl(0, TIOCGWINSZ, &size);
		out_int("rows", size.ws_row);
		out_int("cols", size.ws_col);
	}
	out_close('}');
}
