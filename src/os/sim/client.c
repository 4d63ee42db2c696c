/* SPDX-License-Identifier: Apache-2.0 */
/* The clients at the other end, which the test plays. */
#include "base/assert.h"
#include "os/sim/wire.h"
#include <errno.h>

int64_t td_sim_client_send(int client, const void *bytes, size_t len)
{
    struct td_sim_conn *conn = td_sim_conn_of(client);

    if (conn->client_reset)
        return -ECONNRESET;
    if (conn->up.fin)
        return -EPIPE;
    size_t n = td_sim_pipe_write(&conn->up, bytes, len);
    td_sim_conn_pump(conn);
    return n == 0 && len > 0 ? -EAGAIN : (int64_t)n;
}

int64_t td_sim_client_recv(int client, void *ret_bytes, size_t cap)
{
    struct td_sim_conn *conn = td_sim_conn_of(client);
    size_t n = td_sim_pipe_read(&conn->down, ret_bytes, cap);

    if (n > 0 || cap == 0) {
        td_sim_conn_pump(conn);
        return (int64_t)n;
    }
    if (conn->client_reset)
        return -ECONNRESET;
    return conn->down.fin_arrived ? 0 : -EAGAIN;
}

void td_sim_client_shutdown(int client)
{
    struct td_sim_conn *conn = td_sim_conn_of(client);

    conn->up.fin = true;
    td_sim_conn_pump(conn);
}

static void leave(struct td_sim_conn *conn)
{
    conn->client_gone = true;
    /* Nobody reads any more, but what comes is seen (and answered with a reset). */
    conn->down.window = SIZE_MAX;
    td_sim_conn_pump(conn);
    td_sim_conn_sweep(conn);
}

void td_sim_client_close(int client)
{
    struct td_sim_conn *conn = td_sim_conn_of(client);

    if (conn->down.arrived > conn->down.read)
        td_sim_conn_reset_up(conn);
    else
        conn->up.fin = true;
    leave(conn);
}

void td_sim_client_reset(int client)
{
    struct td_sim_conn *conn = td_sim_conn_of(client);

    td_sim_conn_reset_up(conn);
    leave(conn);
}

void td_sim_client_window(int client, size_t bytes)
{
    struct td_sim_conn *conn = td_sim_conn_of(client);

    conn->down.window = bytes;
    td_sim_conn_pump(conn);
}

void td_sim_client_partition(int client, bool on)
{
    struct td_sim_conn *conn = td_sim_conn_of(client);

    conn->partitioned = on;
    td_sim_conn_pump(conn);
}
