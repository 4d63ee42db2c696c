/* SPDX-License-Identifier: Apache-2.0 */
/* Stream sockets, all non-blocking and close-on-exec.  Functions return -errno. */
#pragma once

#include "base/addr.h"
#include "base/compiler.h"
#include "base/slice.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Listens on "HOST:PORT" (HOST may be empty: all addresses; port 0: any).  `shared`: SO_REUSEPORT, several
 * sockets on one port.  Returns a socket; `ret_bound` (may be NULL) gets the text of the address it got, TD_ADDR_LEN_MAX characters at most, and a NUL. */
TD_MUST_USE int td_net_listen(const char *address, bool shared, char *ret_bound);
/* Takes one waiting connection, with TCP_NODELAY and TCP_NOTSENT_LOWAT (128 KiB) set.
 * Returns a socket, or -EAGAIN, -EMFILE, -ENFILE, -ECONNABORTED, … */
TD_MUST_USE int td_net_accept(int listener, struct td_addr *ret_peer);
/* Returns the bytes read, 0 at the peer's end of stream, or -EAGAIN, -ECONNRESET, … */
TD_MUST_USE int64_t td_net_recv(int socket, void *ret_bytes, size_t len);
/* Returns how many bytes the kernel took, or -EAGAIN, -EPIPE, …  After fewer than were given, as after -EAGAIN, the loop tells
 * TD_IO_WRITE once there is room again. */
TD_MUST_USE int64_t td_net_send(int socket, const void *bytes, size_t len);
TD_MUST_USE int64_t td_net_sendv(int socket, const struct iovec *parts, int n);
/* Bytes sent that the peer has not acknowledged yet; 0 when unknown. */
uint64_t td_net_unacked(int socket);
/* Ends our side of the stream; the peer reads to the end. */
void td_net_shutdown(int socket);
void td_net_close(int socket);
