/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of unix(7): calling one by its path, and descriptors in messages. */
#ifndef BRYO_BASE_SOCKET_H
#define BRYO_BASE_SOCKET_H

#include <stddef.h>
#include <sys/types.h>

/*
 * A stream to the socket of that path, which may be longer than an address has room
 * for.  Who neither accepts nor reads for SOCKET_PATIENCE seconds is given up:
 * EAGAIN.  A descriptor, or -1 and errno.
 */
enum { SOCKET_PATIENCE = 10 };
int socket_connect(const char *path);

/* As send(2), with a descriptor that goes along (SCM_RIGHTS). */
ssize_t socket_send_fd(int socket, const void *buf, size_t len, int fd);

/*
 * As recv(2).  *ret_fd is the descriptor that came along, close-on-exec and the
 * caller's, or -1; there is room for one.
 */
ssize_t socket_receive(int socket, void *buf, size_t size, int *ret_fd);

#endif
