/* SPDX-License-Identifier: Apache-2.0 */
/* bpf(2): load the program of device.c, and attach it in place of an older one. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup/device.h"
#include "runtime/base/fd.h"

/* By which ours is told from those of systemd and others. */
static const char program_name[] = "bryo_devices";

enum { MAX_PROGRAMS = 64 }; /* BPF_CGROUP_MAX_PROGS of the kernel */

/*
 * The whole union, always: kernels from 6.17 on write behind what is short
 * (BPF_PROG_QUERY, query.revision), which corrupted the memory of a peer.
 */
static int sys_bpf(int cmd, union bpf_attr *attr)
{
	long n;

	do
		n = syscall(SYS_bpf, cmd, attr, sizeof(*attr));
	while (n < 0 && errno == EAGAIN);
	return (int)n;
}

static int load(const struct device_program *p)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insn_cnt = (uint32_t)p->n;
	attr.insns = (uint64_t)(uintptr_t)p->v;
	attr.license = (uint64_t)(uintptr_t) "Apache-2.0";
	memcpy(attr.prog_name, program_name, sizeof(program_name));
	return sys_bpf(BPF_PROG_LOAD, &attr);
}

static int open_program(uint32_t id)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	return sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
}

static bool is_ours(int fd)
{
	struct bpf_prog_info info;
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	memset(&info, 0, sizeof(info));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	return sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0 && !strcmp(info.name, program_name);
}

/* A handle of ours among those attached to this very cgroup; -1: none. */
static int find_attached(int dir)
{
	uint32_t ids[MAX_PROGRAMS] = {0};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)dir;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_cnt = MAX_PROGRAMS;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	if (sys_bpf(BPF_PROG_QUERY, &attr) < 0)
		return -1;
	for (uint32_t i = 0; i < attr.query.prog_cnt && i < MAX_PROGRAMS; i++) {
		auto_close int fd = open_program(ids[i]);

		if (fd >= 0 && is_ours(fd))
			return fd_take(&fd);
	}
	return -1;
}

int device_program_attach(int dir, const struct device_program *p, struct err *err)
{
	auto_close int new = load(p), old = -1;
	union bpf_attr attr;

	if (new < 0) {
		err_at(err, "/devices", errno, "load the program of the devices");
		if (err->num == EPERM)
			err_hint(err, "it needs CAP_BPF, or CAP_SYS_ADMIN, outside of any user "
				      "namespace");
		return -1;
	}
	old = find_attached(dir);
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)dir;
	attr.attach_bpf_fd = (uint32_t) new;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI | (old >= 0 ? BPF_F_REPLACE : 0);
	attr.replace_bpf_fd = old >= 0 ? (uint32_t)old : 0;
	if (sys_bpf(BPF_PROG_ATTACH, &attr) < 0)
		return err_at(err, "/devices", errno, "attach the program of the devices");
	return 0;
}
