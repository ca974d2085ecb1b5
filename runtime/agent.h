/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent that decides about calls with SCMP_ACT_NOTIFY: it listens on
 * /linux/seccomp/listenerPath and is sent the filter's listener together with the
 * container process state (config-linux.md).  See stub/handover.h for how the
 * listener gets out of the box.
 */
#ifndef BRYO_RUNTIME_AGENT_H
#define BRYO_RUNTIME_AGENT_H

#include "runtime/baton.h"
#include "runtime/box.h"

/* Does the filter need an agent?  Not if nothing is left to one: the path is ignored then. */
bool agent_is_needed(const struct box *b);

/* Box: make the page, b->agent.page.  -1 and err. */
int agent_page_make(struct box *b, struct err *err);

/* Box: tell the host that a listener will be in the page. */
int agent_announce(const struct box *b, struct err *err);

/* Box: install the filter, and go on when the agent has its listener. */
int agent_install(struct box *b, const struct filter *f, struct err *err);

/*
 * Host, with the descriptor of a BATON_PAGE, HELPER or LISTENER: see to it that the
 * agent gets the listener.  Returns 0 also when the box has something else to say
 * meanwhile, which is then still unread on the channel.  -1 and err: nobody would
 * answer the box's calls, which waits until it is killed.
 */
int agent_serve(struct box *b, enum baton what, int fd, struct err *err);

#endif
