/* SPDX-License-Identifier: Apache-2.0 */
/* The way from a connection to its peer: its socket, plain or through a TLS session.  Nothing else of the edge touches the socket.
 *
 * conn->writable is kept true to what the loop will tell: it is false from the moment that the socket did not take all, or that the
 * session keeps something, until the loop's next edge. */
#pragma once

#include "edge/conn.h"
#include "os/tls.h"
#include <sys/uio.h>

/* Reads what has come.  Returns the bytes read, 0 at the peer's end of stream, -EAGAIN when there is no more, -EINTR when nothing came
 * of what was read yet and there may be more, or an error. */
TD_MUST_USE int64_t td_channel_recv(struct td_worker *worker, struct td_conn *conn, void *ret_bytes,
                                    size_t len);
/* Sends parts.  Returns the bytes taken, which will reach the peer (0: none now, the loop will tell), or an error. */
TD_MUST_USE int64_t td_channel_send(struct td_conn *conn, const struct iovec *parts, int n);
/* The socket takes bytes again: first what the session has kept.  0, or an error. */
TD_MUST_USE int td_channel_flush(struct td_conn *conn);
/* Ends our side of the stream.  False while something has to go before; the loop will tell when to ask again. */
TD_MUST_USE bool td_channel_end(struct td_conn *conn);
/* Bytes that were taken and that the peer has not acknowledged; 0 when unknown. */
uint64_t td_channel_unacked(const struct td_conn *conn);
void td_channel_close(struct td_conn *conn);

/* Whether something waits that has been made ready or taken, and that the socket has not. */
static inline bool td_conn_unsent(const struct td_conn *conn)
{
    return td_outbox_unsent(conn->out) > 0 || (conn->tls && td_tls_unsent(conn->tls) > 0);
}
