/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The confinement probe: a static payload that reports everything it can see
 * of its own confinement as one JSON object, and does small tricks for tests.
 * It uses system calls where it can, so that it also works without /proc, or
 * with a fake one; what only /proc can tell is null then.
 */
#ifndef BRYO_TESTS_PROBE_H
#define BRYO_TESTS_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- out.c: JSON to a buffer, written to standard output in one go ---- */

void out_open(const char *key, char bracket); /* '{' or '['; key NULL in lists */
void out_close(char bracket);
void out_null(const char *key);
void out_str(const char *key, const char *s); /* NULL writes null */
void out_strn(const char *key, const char *s, size_t len);
void out_int(const char *key, long long v);
void out_uint(const char *key, unsigned long long v);
void out_hex(const char *key, unsigned long long v); /* 16 digits, as a string */
void out_bool(const char *key, bool v);
void out_errno(const char *key, int num); /* "ok" for 0, or the name of the errno */
int out_flush(void);                      /* 0, or -1 and errno */

/* The name of an errno; never NULL. */
const char *errno_name(int num);

/* ---- report.c, files.c, attempts.c: the parts of the report ---- */

/* Is a real procfs mounted at /proc? */
bool have_proc(void);
/* A whole file, cut off at 1 MiB; NULL when it cannot be read.  Leaks. */
char *slurp(const char *path);

void report_fds(void); /* must be first: it lists what the payload was born with */
void report_ids(void);
void report_caps(void);
void report_process(int argc, char **argv, char **envp);
void report_signals(void);
void report_rlimits(void);
void report_namespaces(void);
void report_keyring(void);
void report_network(void);
void report_terminal(void);

void report_mounts(void);
void report_dev(void);
void report_paths(void);

void report_attempts(void);

/* ---- record.c ---- */

/* There on every host, in no rootfs of the tests. */
#define PROBE_HOST_MARK "/usr/bin/env"

int record_self(int argc, char **argv, char **envp); /* probe hook FILE NAME */
int stat_paths(char **path);                         /* probe stat PATH... */

/* ---- notify.c ---- */

int notify(char **text); /* probe notify TEXT... */

/* ---- hostile.c ---- */

int intrude(char **arg);
int ambush(char **arg);     /* probe intrude: get at newcomers, for ever */
int unlock(char **arg);     /* probe unlock PATH COVERED: mount flags */
int plant(char **arg);      /* probe plant NAME: a session keyring */
int planted(char **arg);    /* probe planted: is there a key in ours? */
int leaderless(char **arg); /* probe leaderless */
int mountinfo(char **dir);  /* probe mountinfo PROC... */

/* ---- commands.c ---- */

/* Runs the sub-command argv[0]; returns the exit status, or -1 if unknown. */
int command_run(int argc, char **argv);

#endif
