/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/channel.h"
#include "base/log.h"
#include "edge/conn_log.h"
#include "edge/worker.h"
#include "os/net.h"
#include <errno.h>

static void log_handshake(const struct td_conn *conn)
{
    struct td_log_line line;

    if (!td_log_begin(&line, TD_LOG_DEBUG, "tls"))
        return;
    td_conn_log(&line, conn);
    td_log_str(&line, "version", td_slice_str(td_tls_version(conn->tls)));
    td_log_str(&line, "cipher", td_slice_str(td_tls_cipher(conn->tls)));
    td_log_str(&line, "resumed", td_tls_is_resumed(conn->tls) ? TD_S("yes") : TD_S("no"));
    td_log_end(&line);
}

static void log_failure(const struct td_conn *conn, const char *message)
{
    struct td_log_line line;

    if (!td_log_begin(&line, TD_LOG_DEBUG, "tls"))
        return;
    td_conn_log(&line, conn);
    td_log_str(&line, "message", td_slice_str(message));
    td_log_str(&line, "reason", td_slice_str(td_tls_reason(conn->tls)));
    td_log_end(&line);
}

int64_t td_channel_recv(struct td_worker *worker, struct td_conn *conn, void *ret_bytes, size_t len)
{
    if (!conn->tls)
        return td_net_recv(conn->socket, ret_bytes, len);
    bool was_ready = td_tls_is_ready(conn->tls);
    int64_t n = td_tls_recv(conn->tls, ret_bytes, len);
    if (n < 0 && n != -EAGAIN && n != -EINTR) {
        TD_COUNT(worker, tls_failures);
        log_failure(conn, was_ready ? "the session failed" : "the handshake failed");
        return n;
    }
    if (!was_ready && td_tls_is_ready(conn->tls)) {
        TD_COUNT(worker, tls_handshakes);
        log_handshake(conn);
    }
    if (td_tls_unsent(conn->tls) > 0)
        conn->writable = false;
    return n;
}

static size_t length_of(const struct iovec *parts, int n)
{
    size_t len = 0;

    for (int i = 0; i < n; i++)
        len += parts[i].iov_len;
    return len;
}

int64_t td_channel_send(struct td_conn *conn, const struct iovec *parts, int n)
{
    int64_t taken = conn->tls ? td_tls_sendv(conn->tls, parts, n)
                    : n == 1  ? td_net_send(conn->socket, parts->iov_base, parts->iov_len)
                              : td_net_sendv(conn->socket, parts, n);

    if (taken == -EAGAIN) {
        conn->writable = false;
        return 0;
    }
    if (taken >= 0 &&
        ((size_t)taken < length_of(parts, n) || (conn->tls && td_tls_unsent(conn->tls) > 0)))
        conn->writable = false;
    return taken;
}

int td_channel_flush(struct td_conn *conn)
{
    if (!conn->tls || !conn->writable)
        return 0;
    int r = td_tls_flush(conn->tls);
    if (r == 0 && td_tls_unsent(conn->tls) > 0)
        conn->writable = false;
    return r;
}

bool td_channel_end(struct td_conn *conn)
{
    if (conn->tls) {
        td_tls_end(conn->tls);
        if (td_tls_unsent(conn->tls) > 0) {
            conn->writable = false;
            return false;
        }
    }
    td_net_shutdown(conn->socket);
    return true;
}

uint64_t td_channel_unacked(const struct td_conn *conn)
{
    return td_net_unacked(conn->socket) + (conn->tls ? td_tls_unsent(conn->tls) : 0);
}

void td_channel_close(struct td_conn *conn)
{
    if (conn->tls) {
        td_tls_end(conn->tls); /* as far as the socket takes it */
        td_tls_free(conn->tls);
    }
    td_net_close(conn->socket);
    conn->tls = NULL;
    conn->socket = -1;
}
