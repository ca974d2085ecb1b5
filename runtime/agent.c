/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ns/sys.h"
#include "runtime/base/fd.h"
#include "runtime/base/socket.h"
#include "runtime/record.h"
#include "runtime/stub/handover.h"

#define PATH "/linux/seccomp/listenerPath"

/* Without them the other side could take the page away beneath us. */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)

bool agent_is_needed(const struct box *b)
{
	return b->agent.path;
}

/* ---- in the box ---- */

int agent_page_make(struct box *b, struct err *err)
{
	auto_close int fd = memfd_create("bryo-listener", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, HANDOVER_SIZE) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return err_set(err, errno, "memory for handing over the seccomp listener");
	b->agent.page = fd_take(&fd);
	return 0;
}

int agent_announce(const struct box *b, struct err *err)
{
	if (baton_send_fd(b->chan, BATON_PAGE, b->agent.page) < 0)
		return err_at(err, PATH, errno, "announce the seccomp listener");
	return 0;
}

static struct handover *map_page(int page, struct err *err)
{
	void *p = mmap(NULL, HANDOVER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, page, 0);

	if (p != MAP_FAILED)
		return p;
	err_set(err, errno, "memory for handing over the seccomp listener");
	return NULL;
}

static const struct timespec a_moment = {.tv_nsec = 50000};

/*
 * The process beside the box: it has its descriptors and not its filter.  It
 * ends with the box.
 */
static _Noreturn void pass_on(const struct box *b, pid_t box, const struct handover *page)
{
	uint32_t n = 0;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != box)
		_exit(EXIT_BRYO);
	while (!(n = __atomic_load_n(&page->listener, __ATOMIC_ACQUIRE)))
		nanosleep(&a_moment, NULL);
	_exit(baton_send_fd(b->chan, BATON_LISTENER, (int)(n - 1)) < 0 ? EXIT_BRYO : 0);
}

/*
 * The filter may forbid to wait for it.  Nobody need do that whose children end
 * while they are ignored; that it has ended before they no longer are is the
 * host's to see.
 */
static int start_passing_on(const struct box *b, struct handover *page, struct err *err)
{
	auto_close int pidfd = -1;
	pid_t pid, box = getpid();

	page->comes = 1;
	if (signal(SIGCHLD, SIG_IGN) == SIG_ERR)
		return err_set(err, errno, "ignore SIGCHLD");
	pid = sys_clone3(CLONE_FILES, SIGCHLD, &pidfd);
	if (pid == 0)
		pass_on(b, box, page);
	if (pid < 0 || baton_send_fd(b->chan, BATON_HELPER, pidfd) < 0)
		return err_set(err, errno, "a process for the seccomp listener");
	return agent_announce(b, err);
}

int agent_install(struct box *b, const struct filter *f, struct err *err)
{
	struct handover *page;
	int listener;

	if (agent_page_make(b, err) < 0)
		return -1;
	page = map_page(b->agent.page, err);
	if (!page || start_passing_on(b, page, err) < 0 || filter_install(f, &listener, err) < 0)
		return -1;
	if (!handover(page, listener))
		return err_at(err, PATH, ETIMEDOUT, "hand the seccomp listener over");
	munmap(page, HANDOVER_SIZE);
	if (signal(SIGCHLD, SIG_DFL) == SIG_ERR)
		return err_set(err, errno, "stop ignoring SIGCHLD");
	return 0;
}

/* ---- in the host ---- */

static struct handover *map_checked(int page, struct err *err)
{
	struct stat st;

	if (fstat(page, &st) == 0 && st.st_size == HANDOVER_SIZE &&
	    (fcntl(page, F_GET_SEALS) & SEALS) == SEALS)
		return map_page(page, err);
	err_set(err, 0, "the page for the seccomp listener is not what it should be");
	return NULL;
}

/* The number, or -1 when the box says something on the channel instead: it has failed. */
static int await_number(const struct box *b, const struct handover *page)
{
	struct pollfd p = {.fd = b->chan, .events = POLLIN};

	for (;;) {
		uint32_t n = __atomic_load_n(&page->listener, __ATOMIC_ACQUIRE);

		if (n)
			return (int)(n - 1);
		if (ppoll(&p, 1, &a_moment, NULL) > 0 &&
		    !__atomic_load_n(&page->listener, __ATOMIC_ACQUIRE))
			return -1;
	}
}

static int connect_to(const char *path, struct err *err)
{
	int fd = socket_connect(path);

	if (fd >= 0)
		return fd;
	err_at(err, PATH, errno, "connect to %s", path);
	if (err->num == ECONNREFUSED)
		err_hint(err, "no agent listens there");
	if (err->num == EAGAIN)
		err_hint(err, "the agent has taken no connection for %d s", SOCKET_PATIENCE);
	return -1;
}

static void write_state(struct json *j, pid_t pid, const struct record *r, enum status status,
			const char *metadata)
{
	json_open_object(j);
	json_key(j, "ociVersion");
	json_str(j, SPEC_VERSION);
	json_key(j, "fds");
	json_open_array(j);
	json_str(j, "seccompFd");
	json_close_array(j);
	json_key(j, "pid");
	json_int(j, pid);
	if (metadata) {
		json_key(j, "metadata");
		json_str(j, metadata);
	}
	json_key(j, "state");
	record_state(j, r, status, NULL);
	json_close_object(j);
}

/* "The file descriptors MUST be sent only in the first call" (config-linux.md). */
static int send_all(int fd, const char *text, size_t len, int listener)
{
	ssize_t n = socket_send_fd(fd, text, len, listener);

	while (n >= 0 && (len -= (size_t)n)) {
		text += n;
		do
			n = send(fd, text, len, MSG_NOSIGNAL);
		while (n < 0 && errno == EINTR);
	}
	return n < 0 ? -1 : 0;
}

static int send_state(const struct box *b, int listener, struct err *err)
{
	enum status status = b->op == OP_EXEC ? RUNNING : b->op == OP_START ? CREATED : CREATING;
	auto_close int fd = -1;
	struct json *j;
	struct record r;
	const char *text;
	size_t len;
	int bad;

	if (b->record)
		r = *b->record;
	else if (record_of(b, &r, err) < 0)
		return -1;
	fd = connect_to(b->agent.path, err);
	if (fd < 0)
		return -1;
	j = json_new(false);
	if (!j)
		return err_set(err, ENOMEM, "the container process state");
	write_state(j, b->ns.pid, &r, status, b->agent.metadata);
	bad = json_finish(j, &text, &len, err);
	if (!bad && send_all(fd, text, len, listener) < 0)
		bad = err_at(err, PATH, errno, "send the container process state to %s",
			     b->agent.path);
	json_free(j);
	return bad;
}

static int take_and_send(const struct box *b, int pidfd, int number, struct err *err)
{
	auto_close int listener = pidfd < 0 ? -1 : pidfd_getfd(pidfd, number, 0);

	if (listener >= 0)
		return send_state(b, listener, err);
	err_at(err, PATH, errno, "take the seccomp listener from the container");
	if (err->num == EPERM)
		err_hint(err, "bryo may not trace the container's first process");
	return -1;
}

/* Of a box that is alive and waits for us, so the number cannot be another's. */
static int serve_page(const struct box *b, struct handover *page, struct err *err)
{
	auto_close int pidfd = -1;
	int number = await_number(b, page);

	if (number < 0)
		return 0;
	pidfd = pidfd_open(b->ns.pid, 0);
	if (take_and_send(b, pidfd, number, err) == 0) {
		__atomic_store_n(&page->sent, 1, __ATOMIC_RELEASE);
		return 0;
	}
	/* `start` has no undo that would do it. */
	if (pidfd >= 0)
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	return -1;
}

/* From the helper, which must have ended when the box goes on. */
static int serve_listener(struct box *b, struct handover *page, int listener, struct err *err)
{
	struct pollfd p = {.fd = b->agent.helper, .events = POLLIN};

	if (send_state(b, listener, err) < 0)
		return -1;
	while (poll(&p, 1, -1) < 0)
		if (errno != EINTR)
			return err_set(err, errno, "poll");
	close(fd_take(&b->agent.helper));
	__atomic_store_n(&page->sent, 1, __ATOMIC_RELEASE);
	return 0;
}

static int serve_helper(struct box *b, int pidfd, struct err *err)
{
	b->agent.helper = fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
	return b->agent.helper < 0 ? err_set(err, errno, "dup") : 0;
}

int agent_serve(struct box *b, enum baton what, int fd, struct err *err)
{
	struct handover *page = what == BATON_PAGE ? map_checked(fd, err) : b->agent.await;
	int bad;

	if (what == BATON_HELPER)
		return serve_helper(b, fd, err);
	if (!page)
		return what == BATON_PAGE ? -1 : 0;
	if (what == BATON_PAGE && page->comes) {
		b->agent.await = page;
		return 0;
	}
	bad = what == BATON_PAGE ? serve_page(b, page, err) : serve_listener(b, page, fd, err);
	b->agent.await = NULL;
	munmap(page, HANDOVER_SIZE);
	return bad;
}
