/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a process that has just installed a filter with a listener
 * (SECCOMP_FILTER_FLAG_NEW_LISTENER) hands it to the host without a system
 * call.  Any call might be one that the filter forbids, or one that it hands to
 * an agent who does not have the listener yet, and so would never return.
 *
 * So both share a page.  The process leaves the number of the descriptor there
 * and watches the page; the host, which looks at it now and then, takes the
 * descriptor (pidfd_getfd(2)), sends it, and says so in the page.
 *
 * The host of an ordinary user may take it from the stub, which was executed in
 * the box's user namespace, but not from the box before that (ptrace(2): it is
 * not dumpable).  There a process without the filter, with the same table of
 * descriptors, watches the page too and sends what it finds to the host.
 */
#ifndef BRYO_RUNTIME_STUB_HANDOVER_H
#define BRYO_RUNTIME_STUB_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

enum { HANDOVER_SIZE = 4096 };

struct handover {
	uint32_t listener; /* the descriptor's number plus one; 0: not there yet */
	uint32_t sent;     /* to the agent */
	uint32_t comes;    /* to the host, in a message: it need not take it */
};

/* A counter that runs all the time, and how far it gets in half a minute or so. */
#if defined(__x86_64__)
#define HANDOVER_PATIENCE (UINT64_C(1) << 36)
static inline uint64_t handover_ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("pause\n\trdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}
#elif defined(__aarch64__)
#define HANDOVER_PATIENCE (UINT64_C(1) << 34)
static inline uint64_t handover_ticks(void)
{
	uint64_t ticks;

	__asm__ volatile("yield\n\tmrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
}
#elif defined(__riscv) && __riscv_xlen == 64
#define HANDOVER_PATIENCE (UINT64_C(1) << 30)
static inline uint64_t handover_ticks(void)
{
	uint64_t ticks;

	__asm__ volatile("rdtime %0" : "=r"(ticks));
	return ticks;
}
#else
#error "the time that a hand-over may take needs a counter of this architecture"
#endif

/*
 * True once the host has sent it.  False when that takes too long: the host has
 * died, which cannot be seen from here.
 */
static inline bool handover(struct handover *page, int listener)
{
	uint64_t start = handover_ticks();

	__atomic_store_n(&page->listener, (uint32_t)listener + 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&page->sent, __ATOMIC_ACQUIRE))
		if (handover_ticks() - start > HANDOVER_PATIENCE)
			return false;
	return true;
}

#endif
