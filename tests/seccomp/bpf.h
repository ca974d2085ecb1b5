/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interpreter for the classic BPF that seccomp accepts: what the kernel's
 * bpf_check_classic() and seccomp_check_filter() let through, and nothing else.
 */
#ifndef BRYO_TESTS_SECCOMP_BPF_H
#define BRYO_TESTS_SECCOMP_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* Would the kernel load it?  NULL, or what is wrong with it. */
const char *bpf_check(const struct sock_filter *insns, size_t n);

/*
 * Run a program on one call.  NULL and *ret_action, or what went wrong; a
 * program that bpf_check() passed can only fail by reading memory unwritten.
 */
const char *bpf_run(const struct sock_filter *insns, size_t n, const struct seccomp_data *data,
		    uint32_t *ret_action);

#endif
