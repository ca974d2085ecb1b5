/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walkers.  Both processes go through the same array in the same order;
 * where the side changes between neighbouring rows, the one hands the baton to
 * the other.  So the order on the page is the order in time, and no step holds
 * synchronisation.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/log.h"
#include "runtime/base/stop.h"
#include "runtime/baton.h"
#include "runtime/faults.h"
#include "runtime/shared.h"
#include "runtime/steps.h"
#include "spec/json.h"

size_t step_find(const char *name)
{
	for (size_t i = 0; i < n_steps; i++)
		if (!strcmp(steps[i].name, name))
			return i;
	abort();
}

/* `exec` has some of the rows only, and so has a rehearsal. */
static bool is_of_command(const struct box *b, const struct step *s)
{
	if (b->op == OP_REHEARSE)
		return !(s->flags & STEP_ABROAD);
	return b->op != OP_EXEC || (s->flags & STEP_ENTERS);
}

bool step_is_wanted(const struct box *b, const struct step *s)
{
	return is_of_command(b, s) && (!s->wanted || s->wanted(b));
}

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* One row on its own side. */
static int run_row(struct box *b, size_t i, struct err *err)
{
	const struct step *s = &steps[i];
	long long start = now_ns();
	int bad = 0;

	/* The row that execs does not come back, the first has no memory yet. */
	if (b->shared)
		b->shared->rows[i].start = start;
	if (!faults_inject(b, s->name, &bad, err))
		bad = s->apply(b, err);
	if (b->shared) {
		b->shared->rows[i].start = start;
		b->shared->rows[i].end = now_ns();
	}
	if (!bad)
		return 0;
	if (!err->step[0])
		snprintf(err->step, sizeof(err->step), "%s", s->name);
	if (!(s->flags & STEP_SOFT))
		return -1;
	log_warn("%s: %s", s->name, err->msg);
	return 0;
}

static _Noreturn void box_fail(struct box *b, const struct err *err)
{
	b->shared->err = *err;
	__atomic_store_n(&b->shared->failed, 1, __ATOMIC_RELEASE);
	(void)baton_send(b->chan, BATON_ERROR);
	_exit(err->exit ? err->exit : EXIT_BRYO);
}

/*
 * Does the box's row come first behind the one that makes it?  Then it is born with the
 * baton: nobody wakes the other up.
 */
static enum side turn_at_birth(const struct box *b, size_t clone)
{
	for (size_t i = clone + 1; i < n_steps; i++)
		if (!(steps[i].flags & STEP_BESIDE) && step_is_wanted(b, &steps[i]))
			return steps[i].side;
	return HOST;
}

/* The end of the table is the payload: execve(2) does not come back. */
static _Noreturn void walk_box(struct box *b, size_t first)
{
	enum side turn = turn_at_birth(b, first - 1);
	struct err err;

	for (size_t i = first; i < n_steps; i++) {
		const struct step *s = &steps[i];

		if ((s->flags & STEP_BESIDE) || !step_is_wanted(b, s))
			continue;
		if (s->side == HOST && turn == BOX && baton_send(b->chan, BATON) < 0)
			_exit(EXIT_BRYO);
		if (s->side == BOX && turn == HOST)
			baton_await_host(b);
		turn = s->side;
		err = (struct err){0};
		if (s->side == BOX && run_row(b, i, &err) < 0)
			box_fail(b, &err);
	}
	_exit(EXIT_BRYO);
}

/* A signal that came while a row ran. */
static int check_interrupted(const struct box *b, struct err *err)
{
	static const struct timespec at_once;
	siginfo_t info;
	sigset_t set = stop_signals();
	int sig;

	if (b->sigfd < 0)
		return 0;
	sig = sigtimedwait(&set, &info, &at_once);
	return sig < 0 ? 0 : stop_interrupted(sig, err);
}

/* What the box does until it execs, seen from the host. */
static int await_payload(struct box *b, struct err *err)
{
	if (baton_await_box(b, BATON_READY, err) < 0)
		return -1;
	if (b->op == OP_REHEARSE)
		return 0;
	if (baton_await_exec(b, err) < 0)
		return -1;
	b->shared->rows[step_find("exec")].end = now_ns();
	return 0;
}

static int walk_host(struct box *b, size_t first, struct err *err)
{
	size_t clone = step_find("clone"), exec = step_find("exec");
	enum side turn = HOST;

	for (size_t i = first; i < n_steps; i++) {
		const struct step *s = &steps[i];

		if (!step_is_wanted(b, s))
			continue;
		if ((s->side == BOX || (s->flags & STEP_BESIDE)) && turn == HOST &&
		    baton_send(b->chan, BATON) < 0)
			return baton_await_box(b, BATON_READY, err);
		if (s->side == HOST && !(s->flags & STEP_BESIDE) && turn == BOX &&
		    baton_await_box(b, BATON, err) < 0)
			return -1;
		turn = (s->flags & STEP_BESIDE) ? BOX : s->side;
		/* `create` ends where the box begins to wait. */
		if (s->flags & STEP_ENDS_CREATE)
			return 0;
		if (i == exec) {
			if (await_payload(b, err) < 0)
				return -1;
			turn = HOST;
		}
		if (s->side == BOX)
			continue;
		if (check_interrupted(b, err) < 0)
			return -1;
		if (run_row(b, i, err) < 0)
			/* Beside a box that has failed: what it has to say is the cause. */
			return (s->flags & STEP_BESIDE) && b->shared->failed
				       ? baton_await_box(b, BATON_READY, err)
				       : -1;
		if (b->side == BOX)
			walk_box(b, i + 1);
		if (i == clone)
			turn = turn_at_birth(b, i);
	}
	return 0;
}

void steps_undo(struct box *b)
{
	for (size_t i = n_steps; i-- > 0;)
		if (steps[i].undo && is_of_command(b, &steps[i]))
			steps[i].undo(b);
}

int steps_walk(struct box *b, size_t first, struct err *err)
{
	*err = (struct err){0};
	if (walk_host(b, first, err) == 0)
		return 0;
	/* A row that a signal has cut short failed of nothing else. */
	(void)check_interrupted(b, err);
	/*
	 * Undo is idempotent, and a row that failed half-way may have left
	 * something: so all rows are undone, not only those before it.
	 */
	if (b->op != OP_START)
		steps_undo(b);
	return -1;
}

/* One "complete event"; times in microseconds, so nanoseconds go beside it. */
static void trace_row(struct json *j, const struct box *b, size_t i)
{
	long long start = b->shared->rows[i].start, end = b->shared->rows[i].end;
	bool host = steps[i].side == HOST;

	if (!start || !end)
		return;
	json_open_object(j);
	json_key(j, "name");
	json_str(j, steps[i].name);
	json_key(j, "cat");
	json_str(j, host ? "host" : "box");
	json_key(j, "ph");
	json_str(j, "X");
	json_key(j, "ts");
	json_uint(j, (uint64_t)start / 1000);
	json_key(j, "dur");
	json_uint(j, (uint64_t)(end - start) / 1000);
	json_key(j, "pid");
	json_int(j, 1);
	json_key(j, "tid");
	json_int(j, host ? 1 : 2);
	json_key(j, "args");
	json_open_object(j);
	json_key(j, "ns");
	json_uint(j, (uint64_t)(end - start));
	json_close_object(j);
	json_close_object(j);
}

int steps_write_trace(const struct box *b, const char *file, struct err *err)
{
	auto_close int fd = -1;
	struct json *j = json_new(true);
	const char *text;
	size_t len;
	int bad;

	if (!j)
		return err_set(err, ENOMEM, "the trace");
	json_open_object(j);
	json_key(j, "traceEvents");
	json_open_array(j);
	for (size_t i = 0; b->shared && i < n_steps; i++)
		trace_row(j, b, i);
	json_close_array(j);
	json_close_object(j);
	bad = json_finish(j, &text, &len, err);
	if (!bad) {
		fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (fd < 0 || fd_write_all(fd, text, len) < 0)
			bad = err_set(err, errno, "write the trace %s", file);
	}
	json_free(j);
	return bad;
}
