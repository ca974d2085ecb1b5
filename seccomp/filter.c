/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration's filter, as tables of rules for the code generator.
 *
 * libseccomp resolves architectures, names and numbers; it does not generate
 * the program.  Its generator keeps one tree of conditions per system call, and
 * as soon as several entries meet on one call the tree loses rules (2.5.4): an
 * unconditional entry deletes the conditional ones whatever their actions, an
 * entry that only adds conditions to another one is dropped even when it is
 * stricter, two actions for the same condition are refused.  A deny rule lost that
 * way is a weaker sandbox without a word.  It also takes 23 ms for the profile
 * of podman (437 rules, 3 architectures; 34 ms as a binary tree) and makes 1144
 * or 1426 instructions of it, where program.c takes 0.34 ms and makes 662.
 *
 * What the specification leaves open is decided here:
 *
 * - Several entries match: the strictest action wins, as it does in the kernel
 *   for several filters, then the first entry.
 * - Several entries without conditions name one call: the first counts, as with
 *   libseccomp.  The profile of podman depends on it: it allows setns(2) in one
 *   entry and forbids it in a later one, and nested containers need it.  When
 *   the later one is stricter, filter.shadowed tells.
 * - One entry tests an argument twice: runc, crun and youki then OR all
 *   conditions of the entry, and profiles are written for them.  So do we, and
 *   say so in filter.repeated_index.
 * - Unknown names: see add_name().
 * - Multiplexed calls: see struct mux.
 */
#include "seccomp/filter.h"

#include <ctype.h>
#include <errno.h>
#include <linux/ipc.h>
#include <linux/net.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/fd.h"
#include "seccomp/program.h"

enum {
	MAX_ARGS = 6,
	MAX_CALLS = 32,
	/* Room for 40 engine profiles, and a bound on what a hostile one costs. */
	MAX_RULES = 16384
};

/*
 * An architecture that is not in the list.  libseccomp and the peers kill the
 * calling thread; a process that lost one of its threads in the middle of a
 * call hangs rather than ends, so it goes as a whole.
 */
#define ALIEN SECCOMP_RET_KILL_PROCESS

enum { MUX_SOCKET, MUX_IPC, MUX_COUNT };

/* Calls that some architectures also, or only, reach through socketcall(2) and ipc(2). */
static const struct mux_call {
	const char *name;
	int mux;
	unsigned int call;
} mux_calls[] = {
	{"socket", MUX_SOCKET, SYS_SOCKET},
	{"bind", MUX_SOCKET, SYS_BIND},
	{"connect", MUX_SOCKET, SYS_CONNECT},
	{"listen", MUX_SOCKET, SYS_LISTEN},
	{"accept", MUX_SOCKET, SYS_ACCEPT},
	{"getsockname", MUX_SOCKET, SYS_GETSOCKNAME},
	{"getpeername", MUX_SOCKET, SYS_GETPEERNAME},
	{"socketpair", MUX_SOCKET, SYS_SOCKETPAIR},
	{"send", MUX_SOCKET, SYS_SEND},
	{"recv", MUX_SOCKET, SYS_RECV},
	{"sendto", MUX_SOCKET, SYS_SENDTO},
	{"recvfrom", MUX_SOCKET, SYS_RECVFROM},
	{"shutdown", MUX_SOCKET, SYS_SHUTDOWN},
	{"setsockopt", MUX_SOCKET, SYS_SETSOCKOPT},
	{"getsockopt", MUX_SOCKET, SYS_GETSOCKOPT},
	{"sendmsg", MUX_SOCKET, SYS_SENDMSG},
	{"recvmsg", MUX_SOCKET, SYS_RECVMSG},
	{"accept4", MUX_SOCKET, SYS_ACCEPT4},
	{"recvmmsg", MUX_SOCKET, SYS_RECVMMSG},
	{"sendmmsg", MUX_SOCKET, SYS_SENDMMSG},
	{"semop", MUX_IPC, SEMOP},
	{"semget", MUX_IPC, SEMGET},
	{"semctl", MUX_IPC, SEMCTL},
	{"semtimedop", MUX_IPC, SEMTIMEDOP},
	{"msgsnd", MUX_IPC, MSGSND},
	{"msgrcv", MUX_IPC, MSGRCV},
	{"msgget", MUX_IPC, MSGGET},
	{"msgctl", MUX_IPC, MSGCTL},
	{"shmat", MUX_IPC, SHMAT},
	{"shmdt", MUX_IPC, SHMDT},
	{"shmget", MUX_IPC, SHMGET},
	{"shmctl", MUX_IPC, SHMCTL},
};

static const struct {
	const char *name;
	/* ipc(2) has a version in the upper half of its first argument. */
	uint32_t mask;
} mux_names[MUX_COUNT] = {{"socketcall", UINT32_MAX}, {"ipc", 0xffff}};

/* What the entries that name one multiplexed call come to. */
struct derived {
	bool used, exact;
	uint32_t action;       /* the strictest that any arguments could get */
	uint32_t exact_action; /* of the first entry without conditions */
	size_t order;
	struct spec_arg arg; /* the condition on the multiplexer's first argument */
};

/*
 * The multiplexers of one architecture.  A rule for socket(2) must hold for
 * socketcall(SYS_SOCKET) too, but the arguments of the latter lie in memory,
 * where a filter cannot look.  The call through the multiplexer therefore gets
 * the strictest verdict that any arguments could get: libseccomp tests the
 * wrong registers instead, and so lets pass what the configuration forbids.
 * When the configuration names the multiplexer itself, as the profiles of the
 * engines do, its word counts and only rules without conditions are derived.
 */
struct mux {
	int nr[MUX_COUNT]; /* < 0: not on this architecture */
	bool named[MUX_COUNT];
	struct derived calls[MUX_COUNT][MAX_CALLS];
	int direct[MUX_COUNT][MAX_CALLS]; /* the numbers of their own; 0: none */
	bool scanned;
};

struct compiler {
	const struct spec_seccomp *s;
	struct filter *f;
	struct arena arena;
	uint32_t fallback;
	struct abi *abis;
	size_t n_abis, cap_abis;
	struct mux *mux; /* one per architecture: rules point into it */
	struct abi *abi; /* the one being filled */
};

static int no_memory(struct err *err)
{
	return err_at(err, "/linux/seccomp", ENOMEM, "compile the seccomp filter");
}

/* ---- actions ---- */

static const uint32_t actions[] = {
	[ACT_KILL_THREAD] = SECCOMP_RET_KILL_THREAD,
	[ACT_KILL_PROCESS] = SECCOMP_RET_KILL_PROCESS,
	[ACT_TRAP] = SECCOMP_RET_TRAP,
	[ACT_ERRNO] = SECCOMP_RET_ERRNO,
	[ACT_TRACE] = SECCOMP_RET_TRACE,
	[ACT_ALLOW] = SECCOMP_RET_ALLOW,
	[ACT_LOG] = SECCOMP_RET_LOG,
	[ACT_NOTIFY] = SECCOMP_RET_USER_NOTIF,
};

static bool has_data(int action)
{
	return action == ACT_ERRNO || action == ACT_TRACE;
}

static uint32_t action_word(int action, const struct opt_u64 *data)
{
	if (!has_data(action))
		return actions[action];
	return actions[action] | (uint32_t)(data->set ? data->v : EPERM);
}

/* The pointers in errors are relative to the object that has the action. */
static int check_action(int action, const struct opt_u64 *data, const char *action_ptr,
			const char *data_ptr, struct err *err)
{
	/* The kernel cuts an errno above MAX_ERRNO down without a word. */
	uint64_t max = action == ACT_ERRNO ? 4095 : SECCOMP_RET_DATA;

	if (action < 0 || (size_t)action >= sizeof(actions) / sizeof(*actions))
		return err_at(err, action_ptr, EINVAL, "unknown seccomp action");
	if (data->set && !has_data(action))
		return err_at(err, data_ptr, 0, "this action takes no errno");
	if (data->set && data->v > max)
		return err_at(err, data_ptr, ERANGE, "errno %llu", (unsigned long long)data->v);
	return 0;
}

/* ---- the configuration on its own ---- */

static int check_args(const struct spec_args *args, struct err *err)
{
	for (size_t i = 0; i < args->n; i++) {
		const struct spec_arg *arg = &args->v[i];

		if (arg->index >= MAX_ARGS) {
			err_at(err, "/index", EINVAL, "argument %u", arg->index);
			return err_under(err, "/args/%zu", i);
		}
		if (arg->op < SCMP_CMP_NE || arg->op > SCMP_CMP_MASKED_EQ) {
			err_at(err, "/op", EINVAL, "unknown operator");
			return err_under(err, "/args/%zu", i);
		}
	}
	return 0;
}

static bool repeats_index(const struct spec_args *args)
{
	unsigned int seen = 0;

	for (size_t i = 0; i < args->n; i++) {
		if (seen & (1U << args->v[i].index))
			return true;
		seen |= 1U << args->v[i].index;
	}
	return false;
}

static int check_seccomp(const struct spec_seccomp *s, struct err *err)
{
	if (check_action(s->defaultAction, &s->defaultErrnoRet, "/defaultAction",
			 "/defaultErrnoRet", err))
		return err_under(err, "/linux/seccomp");
	for (size_t i = 0; i < s->syscalls.n; i++) {
		const struct spec_syscall *sys = &s->syscalls.v[i];

		if (check_action(sys->action, &sys->errnoRet, "/action", "/errnoRet", err) ||
		    check_args(&sys->args, err))
			return err_under(err, "/linux/seccomp/syscalls/%zu", i);
	}
	return 0;
}

/* Linux 5.19. */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/*
 * With a listener the kernel wants TSYNC's failures as an error number, since
 * the result is the listener.  WAIT_KILLABLE_RECV is about notifications: without
 * one it changes nothing, and the kernel refuses it, so it is left out.
 */
static unsigned int listener_flags(uint64_t flags)
{
	unsigned int f = SECCOMP_FILTER_FLAG_NEW_LISTENER;

	if (flags & SPEC_TSYNC)
		f |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
	if (flags & SPEC_WAIT_KILLABLE)
		f |= SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	return f;
}

static unsigned int kernel_flags(const struct spec_seccomp *s)
{
	uint64_t flags = s->flags;
	unsigned int f = spec_seccomp_notifies(s) ? listener_flags(flags) : 0;

	if (flags & SPEC_TSYNC)
		f |= SECCOMP_FILTER_FLAG_TSYNC;
	if (flags & SPEC_LOG)
		f |= SECCOMP_FILTER_FLAG_LOG;
	if (flags & SPEC_SPEC_ALLOW)
		f |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	return f;
}

/* ---- architectures ---- */

/* SCMP_ARCH_X86_64 is "x86_64" to libseccomp; 0 when this version lacks it. */
static uint32_t arch_token(const char *name)
{
	static const char prefix[] = "SCMP_ARCH_";
	char lower[32] = "";

	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return 0;
	name += sizeof(prefix) - 1;
	for (size_t i = 0; name[i]; i++) {
		if (i + 1 == sizeof(lower))
			return 0;
		lower[i] = (char)tolower((unsigned char)name[i]);
	}
	return seccomp_arch_resolve_name(lower);
}

bool filter_has_architecture(const char *name)
{
	return arch_token(name) != 0;
}

static int add_abi(struct compiler *c, uint32_t token, struct err *err)
{
	struct abi *abi;

	for (size_t i = 0; i < c->n_abis; i++) {
		if (c->abis[i].token == token)
			return 0;
	}
	abi = arena_push(&c->arena, &c->abis, &c->n_abis, &c->cap_abis, sizeof(*abi));
	if (!abi)
		return no_memory(err);
	abi->token = token;
	return 0;
}

/*
 * The native architecture is always there: runc and crun start from it and
 * only add the list, and without it no program could make its first call.
 */
static int find_abis(struct compiler *c, struct err *err)
{
	if (add_abi(c, seccomp_arch_native(), err))
		return -1;
	for (size_t i = 0; i < c->s->architectures.n; i++) {
		const char *name = c->s->architectures.v[i];
		uint32_t token = arch_token(name);

		if (!token) {
			err_set(err, 0, "libseccomp does not know the architecture %.64s", name);
			return err_under(err, "/linux/seccomp/architectures/%zu", i);
		}
		if (add_abi(c, token, err))
			return -1;
	}
	c->mux = arena_array(&c->arena, c->n_abis, sizeof(*c->mux));
	return c->mux ? 0 : no_memory(err);
}

/* ---- rules ---- */

static int push_rule(struct compiler *c, const struct rule *r, struct err *err)
{
	struct abi *abi = c->abi;
	struct rule *next;

	if (abi->rules.n == MAX_RULES)
		return err_at(err, "/linux/seccomp/syscalls", E2BIG, "more than %d rules",
			      MAX_RULES);
	next = arena_push(&c->arena, &abi->rules.v, &abi->rules.n, &abi->cap, sizeof(*next));
	if (!next)
		return no_memory(err);
	*next = *r;
	return 0;
}

static int add_rule(struct compiler *c, size_t order, int nr, struct err *err)
{
	const struct spec_syscall *sys = &c->s->syscalls.v[order];
	struct rule r = {.nr = (uint32_t)nr,
			 .action = action_word(sys->action, &sys->errnoRet),
			 .order = order,
			 .args = sys->args.v,
			 .n_args = sys->args.n};

	if (!repeats_index(&sys->args))
		return push_rule(c, &r, err);
	c->f->repeated_index = true;
	r.n_args = 1;
	for (size_t i = 0; i < sys->args.n; i++, r.args++) {
		if (push_rule(c, &r, err))
			return -1;
	}
	return 0;
}

static const struct mux_call *find_call(const char *name)
{
	for (size_t i = 0; i < sizeof(mux_calls) / sizeof(*mux_calls); i++) {
		if (mux_calls[i].name[0] == name[0] && !strcmp(mux_calls[i].name, name))
			return &mux_calls[i];
	}
	return NULL;
}

/*
 * libseccomp tells the pseudo number of a multiplexed call, and has nothing to
 * ask for the number of its own; so look for the name among the numbers.
 * socketcall is 102 and ipc 117 plus the ABI's first number wherever they
 * exist, and from 403 on all architectures share their numbers, none of them in
 * the list above.
 */
static void find_direct(struct mux *m, uint32_t token)
{
	int base = m->nr[MUX_SOCKET] < 0 ? m->nr[MUX_IPC] - 117 : m->nr[MUX_SOCKET] - 102;

	m->scanned = true;
	for (int nr = base + 103; nr < base + 403; nr++) {
		auto_free char *name = seccomp_syscall_resolve_num_arch(token, nr);
		const struct mux_call *call = name ? find_call(name) : NULL;

		if (call)
			m->direct[call->mux][call->call] = nr;
	}
}

static void derive(struct compiler *c, struct mux *m, const struct mux_call *call, size_t order)
{
	const struct spec_syscall *sys = &c->s->syscalls.v[order];
	struct derived *d = &m->calls[call->mux][call->call];
	uint32_t action = action_word(sys->action, &sys->errnoRet);

	if (!sys->args.n && d->exact) {
		c->f->shadowed |= program_stricter(action, d->exact_action);
		return;
	}
	if (!d->used || program_stricter(action, d->action))
		d->action = action;
	if (!d->used)
		d->order = order;
	d->used = true;
	if (sys->args.n) {
		c->f->multiplexed = true;
		return;
	}
	d->exact_action = action;
	d->exact = true;
}

static int add_multiplexed(struct compiler *c, struct mux *m, size_t order, const char *name,
			   struct err *err)
{
	const struct mux_call *call = find_call(name);
	int nr;

	/* A pseudo number, and no multiplexed call here: just not on this architecture. */
	if (!call || m->nr[call->mux] < 0)
		return 0;
	derive(c, m, call, order);
	if (!m->scanned)
		find_direct(m, c->abi->token);
	nr = m->direct[call->mux][call->call];
	return nr ? add_rule(c, order, nr, err) : 0;
}

/*
 * A name that this libseccomp has never heard of gets the default action.
 * When the rule is weaker than that, or as strict, nothing is lost; a stricter
 * one would vanish, and with it a part of the sandbox.
 */
static int add_name(struct compiler *c, struct mux *m, size_t order, const char *name,
		    struct err *err)
{
	const struct spec_syscall *sys = &c->s->syscalls.v[order];
	int nr = seccomp_syscall_resolve_name_arch(c->abi->token, name);

	if (nr == __NR_SCMP_ERROR) {
		if (!program_stricter(action_word(sys->action, &sys->errnoRet), c->fallback))
			return 0;
		err_set(err, 0,
			"libseccomp does not know the system call %.64s, and the default action "
			"is weaker than the one for it",
			name);
		return err_hint(err, "a newer libseccomp may know it");
	}
	if (nr < 0)
		return add_multiplexed(c, m, order, name, err);
	for (int i = 0; i < MUX_COUNT; i++) {
		if (nr == m->nr[i])
			m->named[i] = true;
	}
	return add_rule(c, order, nr, err);
}

static int add_derived(struct compiler *c, struct mux *m, int mux, unsigned int call,
		       struct err *err)
{
	struct derived *d = &m->calls[mux][call];
	struct rule r = {.nr = (uint32_t)m->nr[mux], .action = d->action, .order = d->order};

	if (!d->used || (m->named[mux] && !d->exact))
		return 0;
	if (m->named[mux])
		r.action = d->exact_action;
	else if (!d->exact && program_stricter(c->fallback, d->action))
		r.action = c->fallback;
	d->arg = (struct spec_arg){.index = 0,
				   .op = SCMP_CMP_MASKED_EQ,
				   .value = mux_names[mux].mask,
				   .valueTwo = call};
	r.args = &d->arg;
	r.n_args = 1;
	return push_rule(c, &r, err);
}

static int add_all_derived(struct compiler *c, struct mux *m, struct err *err)
{
	for (int mux = 0; mux < MUX_COUNT; mux++) {
		for (unsigned int call = 0; call < MAX_CALLS; call++) {
			if (add_derived(c, m, mux, call, err))
				return -1;
		}
	}
	return 0;
}

static int fill_abi(struct compiler *c, struct mux *m, struct err *err)
{
	for (int i = 0; i < MUX_COUNT; i++)
		m->nr[i] = seccomp_syscall_resolve_name_arch(c->abi->token, mux_names[i].name);
	for (size_t i = 0; i < c->s->syscalls.n; i++) {
		const struct strs *names = &c->s->syscalls.v[i].names;

		for (size_t j = 0; j < names->n; j++) {
			if (!add_name(c, m, i, names->v[j], err))
				continue;
			if (err->ptr[0])
				return -1;
			return err_under(err, "/linux/seccomp/syscalls/%zu/names/%zu", i, j);
		}
	}
	return add_all_derived(c, m, err);
}

/* ---- the program ---- */

static int write_program(struct compiler *c, struct err *err)
{
	struct program p = {.max = BPF_MAXINSNS};
	struct sock_filter *fitted;

	p.insns = arena_array(&c->arena, p.max, sizeof(*p.insns));
	if (!p.insns || program_write(&p, c->abis, c->n_abis, c->fallback, ALIEN, &c->arena))
		return no_memory(err);
	if (p.full)
		return err_at(err, "/linux/seccomp", E2BIG,
			      "the filter needs more than the %d instructions a filter can have",
			      BPF_MAXINSNS);
	fitted = malloc(p.n * sizeof(*fitted));
	if (!fitted)
		return no_memory(err);
	memcpy(fitted, p.insns, p.n * sizeof(*fitted));
	c->f->insns = fitted;
	c->f->n = p.n;
	c->f->shadowed |= p.shadowed;
	return 0;
}

static int compile(struct compiler *c, struct err *err)
{
	if (check_seccomp(c->s, err) || find_abis(c, err))
		return -1;
	c->fallback = action_word(c->s->defaultAction, &c->s->defaultErrnoRet);
	for (size_t i = 0; i < c->n_abis; i++) {
		c->abi = &c->abis[i];
		if (fill_abi(c, &c->mux[i], err))
			return -1;
	}
	return write_program(c, err);
}

int filter_compile(const struct spec_seccomp *s, struct filter *ret, struct err *err)
{
	struct filter f = {.flags = kernel_flags(s)};
	struct compiler c = {.s = s, .f = &f};
	int r = compile(&c, err);

	arena_finish(&c.arena);
	if (!r)
		*ret = f;
	return r;
}

void filter_finish(struct filter *f)
{
	free(f->insns);
	*f = (struct filter){0};
}
