/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: the least work that makes the sandbox of bench/run.sh's config.json. No JSON, no
 * state, no cgroup; what is left is what the kernel asks for. The figures of every runtime are
 * given as multiples of this program.
 *
 *	floor ROOTFS [rootless] CMD [ARG...]	run CMD in the sandbox, pass on its exit code
 *	floor --filter				write the seccomp filter to standard output
 *
 * It is fast, not safe: ROOTFS is trusted, paths are walked by name, and the child shares the
 * parent's memory until it executes CMD. A real runtime cannot take these liberties, so this is a
 * bound and not a goal.
 *
 * It is linked statically with the C library that bryo uses, whose start-up is in the figures:
 * glibc's asks CPUID dozens of times, and in a virtual machine each leaves the guest.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define QUIET (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define LAST_CAP 63

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#else
#error "add the audit architecture"
#endif

struct job {
	const char *rootfs;
	int rootless;
	uid_t uid;
	gid_t gid;
	char **argv;
};

/* ---- config.json's filter: ten calls get EPERM, and (as by libseccomp) other architectures die */

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define DENY(name, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, skip, 0)

static const struct sock_filter filter[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	LOAD(nr),
	/* x32 calls carry bit 30; no other architecture has numbers so large */
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	DENY(add_key, 10),
	DENY(bpf, 9),
	DENY(delete_module, 8),
	DENY(finit_module, 7),
	DENY(init_module, 6),
	DENY(kexec_load, 5),
	DENY(perf_event_open, 4),
	DENY(reboot, 3),
	DENY(swapon, 2),
	DENY(userfaultfd, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
};

static _Noreturn void die(const char *what)
{
	dprintf(2, "floor: %s: %s\n", what, strerror(errno));
	_exit(125);
}

/* Every call here must work: a floor that skipped a step would be measured too low. */
static int must(int ret, const char *what)
{
	if (ret < 0)
		die(what);
	return ret;
}

/* ---- mounts */

static int make_fs(const char *type, unsigned int attr, const char *const *options)
{
	int fs = must(fsopen(type, FSOPEN_CLOEXEC), type);

	for (; options && options[0]; options += 2)
		must(fsconfig(fs, options[1] ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, options[0],
			      options[1], 0),
		     options[0]);
	must(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), type);
	return must(fsmount(fs, FSMOUNT_CLOEXEC, attr), type);
}

static void attach(int mnt, int dir, const char *to)
{
	must(move_mount(mnt, "", dir, to, MOVE_MOUNT_F_EMPTY_PATH), to);
}

static int clone_mount(int dir, const char *from)
{
	return must(open_tree(dir, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH),
		    from);
}

static void set_readonly(int mnt)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	must(mount_setattr(mnt, "", AT_EMPTY_PATH, &attr, sizeof(attr)), "mount_setattr");
}

/* ---- /dev */

static void make_devices(int dev, int rootless)
{
	static const struct {
		const char *host;
		unsigned int major, minor;
	} nodes[] = {
		{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
		{"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
	};
	static const char *const links[][2] = {
		{"/proc/self/fd", "fd"},       {"/proc/self/fd/0", "stdin"},
		{"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"},
		{"/proc/kcore", "core"},       {"pts/ptmx", "ptmx"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		const char *name = nodes[i].host + strlen("/dev/");

		if (!rootless) {
			must(mknodat(dev, name, S_IFCHR | 0666,
				     makedev(nodes[i].major, nodes[i].minor)),
			     name);
			continue;
		}
		/* mknod of a device needs the initial user namespace: bind the host's */
		must(mknodat(dev, name, S_IFREG | 0666, 0), name);
		attach(clone_mount(AT_FDCWD, nodes[i].host), dev, name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		must(symlinkat(links[i][0], dev, links[i][1]), links[i][1]);
}

static void make_dev(int root, int rootless)
{
	static const char *const dev_options[] = {"mode", "755", "size", "65536k", NULL};
	static const char *const shm_options[] = {"mode", "1777", "size", "65536k", NULL};
	static const char *const pts_options[] = {"newinstance", NULL,   "ptmxmode", "0666",
						  "mode",        "0620", NULL};
	int dev = make_fs("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME, dev_options);

	attach(dev, root, "dev");
	must(mkdirat(dev, "pts", 0755), "pts");
	must(mkdirat(dev, "shm", 0755), "shm");
	must(mkdirat(dev, "mqueue", 0755), "mqueue");
	attach(make_fs("devpts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, pts_options), dev, "pts");
	attach(make_fs("tmpfs", QUIET, shm_options), dev, "shm");
	attach(make_fs("mqueue", QUIET, NULL), dev, "mqueue");
	make_devices(dev, rootless);
}

/* ---- masked and read-only paths */

static int exists(int root, const char *path)
{
	return faccessat(root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/*
 * Look before cloning: a clone that finds no target would have to be dropped, and dropping a
 * detached mount waits for an RCU grace period.
 */
static void mask_paths(int root)
{
	static const char *const files[] = {"proc/kcore",         "proc/keys",
					    "proc/latency_stats", "proc/timer_list",
					    "proc/timer_stats",   "proc/sched_debug"};
	static const char *const dirs[] = {"proc/acpi", "proc/asound", "sys/firmware", "proc/scsi"};
	int empty = -1;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (exists(root, files[i]))
			attach(clone_mount(root, "dev/null"), root, files[i]);

	/* one empty file system, shown everywhere: a superblock costs far more than a mount */
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (!exists(root, dirs[i]))
			continue;
		if (empty < 0) {
			empty = make_fs("tmpfs", QUIET | MOUNT_ATTR_RDONLY, NULL);
			attach(empty, root, dirs[i]);
		} else {
			attach(clone_mount(empty, ""), root, dirs[i]);
		}
	}
}

static void protect_paths(int root)
{
	static const char *const paths[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys",
					    "proc/sysrq-trigger"};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int mnt;

		if (!exists(root, paths[i]))
			continue;
		mnt = clone_mount(root, paths[i]);
		set_readonly(mnt);
		attach(mnt, root, paths[i]);
	}
}

static void make_mounts(const struct job *job)
{
	struct mount_attr private = {.propagation = MS_PRIVATE};
	int root;

	must(mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof(private)), "private");
	root = clone_mount(AT_FDCWD, job->rootfs);
	set_readonly(root);
	attach(root, AT_FDCWD, job->rootfs);

	/* before the old root goes: a user namespace gets a new procfs or sysfs only while it sees
	 * a whole one */
	attach(make_fs("proc", QUIET, NULL), root, "proc");
	attach(make_fs("sysfs", QUIET | MOUNT_ATTR_RDONLY, NULL), root, "sys");
	make_dev(root, job->rootless);
	mask_paths(root);
	protect_paths(root);

	must(fchdir(root), "fchdir");
	must((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(umount2(".", MNT_DETACH), "umount2");
	must(chdir("/"), "chdir");
}

/* ---- everything that is not a mount */

static void write_file(const char *path, const char *text, size_t len)
{
	int fd = must(open(path, O_WRONLY | O_CLOEXEC), path);

	if (write(fd, text, len) != (ssize_t)len)
		die(path);
	close(fd);
}

/* A single id may be mapped from inside, by the process itself: parent and child need not talk at
 * all. */
static void map_ids(const struct job *job)
{
	char line[32];
	int len;

	write_file("/proc/self/setgroups", "deny", 4);
	len = snprintf(line, sizeof(line), "0 %u 1\n", job->uid);
	write_file("/proc/self/uid_map", line, (size_t)len);
	len = snprintf(line, sizeof(line), "0 %u 1\n", job->gid);
	write_file("/proc/self/gid_map", line, (size_t)len);
}

static void raise_loopback(void)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");

	must(ioctl(fd, SIOCSIFFLAGS, &ifr), "lo");
	close(fd);
}

static void drop_capabilities(void)
{
	static const unsigned int keep =
		1U << CAP_AUDIT_WRITE | 1U << CAP_KILL | 1U << CAP_NET_BIND_SERVICE;
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{.effective = keep, .permitted = keep}};

	for (int cap = 0; cap <= LAST_CAP; cap++)
		if ((cap >= 32 || !(keep & 1U << cap)) &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			/* the first number that this kernel does not know */
			if (errno == EINVAL)
				break;
			die("PR_CAPBSET_DROP");
		}
	must((int)syscall(SYS_capset, &head, data), "capset");
}

static int box(void *arg)
{
	static char *const env[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm",
		NULL};
	static const struct rlimit files = {1024, 1024};
	static const struct sock_fprog prog = {ARRAY_SIZE(filter), (struct sock_filter *)filter};
	const struct job *job = arg;

	if (job->rootless)
		map_ids(job);
	must((int)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL), "session keyring");
	must(setsid(), "setsid");
	raise_loopback();
	must(sethostname("bench", 5), "sethostname");
	umask(0);
	make_mounts(job);
	umask(022);
	must(setrlimit(RLIMIT_NOFILE, &files), "RLIMIT_NOFILE");
	drop_capabilities();
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	must((int)syscall(SYS_close_range, 3U, ~0U, 0U), "close_range");
	must((int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog), "seccomp");
	execve(job->argv[0], job->argv, env);
	die(job->argv[0]);
}

int main(int argc, char **argv)
{
	static char stack[64 * 1024] __attribute__((aligned(16)));
	/* the child borrows the parent's memory and the parent sleeps until exec: no page table is
	 * copied */
	int flags = CLONE_VM | CLONE_VFORK | SIGCHLD | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
		    CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	struct job job = {.uid = geteuid(), .gid = getegid()};
	int status;
	pid_t pid;

	if (argc == 2 && strcmp(argv[1], "--filter") == 0)
		return write(1, filter, sizeof(filter)) == (ssize_t)sizeof(filter) ? 0 : 125;
	if (argc > 2 && strcmp(argv[2], "rootless") == 0)
		job.rootless = 1;
	if (argc < 3 + job.rootless) {
		fprintf(stderr,
			"usage: floor ROOTFS [rootless] CMD [ARG...]\n       floor --filter\n");
		return 125;
	}
	job.rootfs = argv[1];
	job.argv = argv + 2 + job.rootless;
	if (job.rootless)
		flags |= CLONE_NEWUSER;

	pid = must(clone(box, stack + sizeof(stack), flags, &job), "clone");
	must(waitpid(pid, &status, 0), "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
