/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container in the making: the state that the rows of the step table share.
 * The host process has one and, since the box is born by a fork, so has the box.
 */
#ifndef BRYO_RUNTIME_BOX_H
#define BRYO_RUNTIME_BOX_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "cgroup/cgroup.h"
#include "ns/mount.h"
#include "ns/netdev.h"
#include "ns/nsset.h"
#include "ns/overlay.h"
#include "runtime/base/arena.h"
#include "runtime/base/err.h"
#include "seccomp/filter.h"
#include "spec/spec.h"

enum side { HOST, BOX };

/* OP_REHEARSE: made, and thrown away before anything is executed; see rehearse.c. */
enum op { OP_RUN, OP_CREATE, OP_START, OP_EXEC, OP_REHEARSE };

/* Are there labels of SELinux: none, of our choice, or given ones? */
enum label_wish { LABEL_NONE, LABEL_CHOSEN, LABEL_GIVEN };

struct record;

/* What both processes see; see shared.h. */
struct shared;

/* An option that may be given again; the texts are those of argv. */
struct opt_list {
	const char **v;
	size_t n, cap;
};

/* The flags of `run` and `create`. */
struct box_options {
	const char *bundle, *pid_file, *trace;
	const char *console_socket, *pidfd_socket;
	bool detach, keep, no_pivot, no_new_keyring, no_subreaper;
	unsigned int preserve_fds;
	unsigned int listen_fds; /* the first of them: sockets of a service manager */
	const char *overlay;     /* see overlay_parse() */
	struct opt_list lower;   /* directories beneath /root/path */
	const char *selinux;     /* "auto", "off" or a label; NULL: not given */
};

struct box {
	enum op op;
	enum side side;
	const char *id, *bundle; /* bundle: absolute */
	struct box_options opt;
	bool may_add_userns; /* not forbidden by --rootless=false */
	const struct spec *spec;
	const struct record *record; /* exec: of the container, as it is */
	const char *config;          /* the text of the configuration, for `exec` to come */
	size_t config_len;
	struct arena *arena;

	int store;    /* the directory of all containers */
	int dir;      /* this one's; -1 in the box */
	int listener; /* where `start` will call; -1 */
	int waiting;  /* the lock that says so, until execve(2); -1 */
	int chan;     /* the baton: to the other process */
	int box_chan; /* the box's end of it, until the clone */
	int sigfd;    /* signals that end the host while it waits; -1 */
	int procfd;
	/* Gets the box's warnings; NULL: they are logged. */
	void (*warned)(void *data, const char *text);
	void *warned_data;
	/* For the test build, see faults.h: a pipe to who kills the host, and its pidfd. */
	struct {
		int killer, host;
	} faults;
	struct shared *shared;
	mode_t umask; /* the caller's */

	enum cgroup_manager cgroup_manager;
	struct cgroup cgroup;
	struct nsset ns;
	struct mountset mounts;
	struct overlay overlay;
	struct netdevs netdevs; /* until the container is made */
	struct filter filter;   /* the host's; the box has it in `shared` */
	char **env;
	char *listen_pid; /* in env, for the box to fill in; or NULL */
	char payload[PATH_MAX];
	bool wrote_pid_file;
	int exit_file;            /* see keeper.h; or -1 */
	bool notifies;            /* it has a socket for sd_notify(3), see notify.h */
	int notify;               /* where that is listened to, in the host; or -1 */
	bool late_filter;         /* the stub installs it */
	int stub;                 /* the program that executes the payload, or -1 */
	int console;              /* where the master of the terminal is sent, or -1 */
	int terminal;             /* where it arrives, in the foreground, or -1 */
	struct spec_console size; /* of the caller's terminal, in the foreground; 0: none */
	/* AppArmor's files of the box, and what is written there; see ns/apparmor.c. */
	struct {
		int dir; /* or -1 */
		char *request;
	} apparmor;
	/* Of SELinux; see rows_selinux.c. */
	struct {
		enum label_wish wish;
		const char *process, *mount; /* NULL: none */
		int dir;                     /* as apparmor.dir; or -1 */
		int held;                    /* see labels.h; or -1 */
	} label;
	/* Who kills the box when the host has died; see watch.h. */
	struct {
		pid_t pid; /* or 0 */
		int fd;
	} watch;
	/* Who decides about calls with SCMP_ACT_NOTIFY; see agent.h. */
	struct {
		const char *path, *metadata; /* path NULL: nobody is needed */
		int page;                    /* in the box; or -1 */
		struct handover *await;      /* in the host: a listener will come for this one */
		int helper;                  /* and this process (a pidfd) will send it; or -1 */
	} agent;
};

#endif
