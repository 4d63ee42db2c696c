/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of the program under test, and the connections behind them. */
#include "os/net.h"
#include "base/assert.h"
#include "os/clock.h"
#include "os/loop.h"
#include "os/sim/wire.h"
#include <errno.h>

static struct {
    struct td_sim_socket **sockets;
    size_t n_sockets, sockets_cap;
    struct td_sim_conn **conns;
    size_t n_conns, conns_cap;
    int last_number; /* numbers are used once: a use after the close is found */
    int first_live;  /* numbers below belong to programs that are gone */
    int last_client;
    unsigned last_port;
} net = {.last_number = 1000};

/* ---- connections ---- */

static void conn_free(struct td_sim_conn *conn)
{
    size_t i = 0;

    while (net.conns[i] != conn)
        i++;
    /* Order is kept: runs of one seed must not depend on addresses or on who left. */
    net.n_conns--;
    memmove(net.conns + i, net.conns + i + 1, (net.n_conns - i) * sizeof(struct td_sim_conn *));
    td_sim_pipe_done(&conn->up);
    td_sim_pipe_done(&conn->down);
    free(conn);
}

void td_sim_conn_sweep(struct td_sim_conn *conn)
{
    if (conn->client_gone && conn->server_gone)
        conn_free(conn);
}

struct td_sim_conn *td_sim_conn_of(int client)
{
    for (size_t i = 0; i < net.n_conns; i++)
        if (net.conns[i]->client == client && !net.conns[i]->client_gone)
            return net.conns[i];
    td_assert_failed("a client that is not open", __FILE__, __LINE__);
}

static size_t random_size(size_t min, size_t max)
{
    struct td_rng *rng = td_sim_rng(TD_SIM_NET);
    size_t limit = min;

    /* As often small as large. */
    while (limit < max && !td_rng_one_in(rng, 4))
        limit *= 2;
    return min + (size_t)td_rng_below(rng, TD_MIN(limit, max - min) + 1);
}

int td_sim_connect(const char *address)
{
    struct td_rng *rng = td_sim_rng(TD_SIM_NET);
    struct td_sim_socket *listener = NULL;
    uint64_t n = 0;

    for (size_t i = 0; i < net.n_sockets; i++)
        if (net.sockets[i]->listens && strcmp(net.sockets[i]->address, address) == 0 &&
            td_rng_one_in(rng, ++n))
            listener = net.sockets[i];
    if (!listener)
        return -ECONNREFUSED;
    struct td_sim_conn *conn = calloc(1, sizeof *conn);
    TD_ASSERT(conn);
    if (net.n_conns == net.conns_cap) {
        net.conns_cap = net.conns_cap ? net.conns_cap * 2 : 16;
        net.conns = realloc(net.conns, net.conns_cap * sizeof(struct td_sim_conn *));
        TD_ASSERT(net.conns);
    }
    conn->client = ++net.last_client;
    conn->listener = listener->number;
    conn->arrives_at = td_clock_ns() + td_sim_wire_delay();
    conn->up.capacity = random_size(1024, 256 * TD_KIB);
    conn->up.window = random_size(512, 64 * TD_KIB);
    conn->up.last_at = conn->arrives_at;
    conn->down.capacity =
        td_rng_one_in(rng, 8) ? random_size(1, 16) : random_size(256, 64 * TD_KIB);
    if (td_sim_wire_room() > 0)
        conn->down.capacity = td_sim_wire_room();
    conn->down.window = 64 * TD_KIB;
    net.conns[net.n_conns++] = conn;
    return conn->client;
}

void td_sim_conn_reset_up(struct td_sim_conn *conn)
{
    if (conn->up_reset || conn->server_gone)
        return;
    conn->up_reset = true;
    conn->up_reset_at = TD_MAX(conn->up.last_at, td_clock_ns() + td_sim_wire_delay());
    td_sim_pipe_drop(&conn->up);
}

void td_sim_conn_reset_down(struct td_sim_conn *conn)
{
    if (conn->down_reset || conn->client_gone)
        return;
    conn->down_reset = true;
    conn->down_reset_at = TD_MAX(conn->down.last_at, td_clock_ns() + td_sim_wire_delay());
    td_sim_pipe_drop(&conn->down);
}

static void edge(struct td_sim_conn *conn, unsigned what)
{
    if (conn->socket)
        conn->socket->pending |= what;
}

static void pump_up(struct td_sim_conn *conn)
{
    uint64_t before = conn->up.arrived;

    if (!td_sim_pipe_pump(&conn->up))
        return;
    if (conn->server_gone && conn->up.arrived > before)
        td_sim_conn_reset_down(conn);
    edge(conn, conn->up.fin_arrived ? TD_IO_READ | TD_IO_HANGUP : TD_IO_READ);
}

static void pump_down(struct td_sim_conn *conn)
{
    uint64_t before = conn->down.arrived;

    if (!td_sim_pipe_pump(&conn->down))
        return;
    if (conn->client_gone && conn->down.arrived > before)
        td_sim_conn_reset_up(conn);
    if (conn->starved && td_sim_pipe_room(&conn->down) >= (conn->down.capacity + 2) / 3) {
        conn->starved = false;
        edge(conn, TD_IO_WRITE);
    }
}

void td_sim_conn_pump(struct td_sim_conn *conn)
{
    td_ns now = td_clock_ns();

    if (conn->partitioned || conn->arrives_at > now)
        return;
    if (!conn->server_reset && !conn->client_reset) {
        pump_up(conn);
        pump_down(conn);
    }
    if (conn->up_reset && !conn->server_reset && conn->up_reset_at <= now) {
        conn->server_reset = true;
        edge(conn, TD_IO_READ | TD_IO_WRITE | TD_IO_HANGUP);
    }
    if (conn->down_reset && !conn->client_reset && conn->down_reset_at <= now)
        conn->client_reset = true;
}

void td_sim_net_pump(void)
{
    for (size_t i = 0; i < net.n_conns; i++)
        td_sim_conn_pump(net.conns[i]);
}

td_ns td_sim_next_ns(void)
{
    td_ns next = UINT64_MAX, now = td_clock_ns();

    for (size_t i = 0; i < net.n_conns; i++) {
        const struct td_sim_conn *conn = net.conns[i];

        if (conn->partitioned)
            continue;
        if (conn->arrives_at > now) {
            next = TD_MIN(next, conn->arrives_at);
            continue;
        }
        if (!conn->server_reset && !conn->client_reset) {
            next = TD_MIN(next, td_sim_pipe_next(&conn->up));
            next = TD_MIN(next, td_sim_pipe_next(&conn->down));
        }
        if (conn->up_reset && !conn->server_reset)
            next = TD_MIN(next, conn->up_reset_at);
        if (conn->down_reset && !conn->client_reset)
            next = TD_MIN(next, conn->down_reset_at);
    }
    return next;
}

/* ---- sockets ---- */

struct td_sim_socket *td_sim_socket_of(int number)
{
    for (size_t i = 0; i < net.n_sockets; i++)
        if (net.sockets[i]->number == number)
            return net.sockets[i];
    td_assert_failed("a socket that is not open", __FILE__, __LINE__);
}

size_t td_sim_sockets(struct td_sim_socket ***ret_sockets)
{
    *ret_sockets = net.sockets;
    return net.n_sockets;
}

static struct td_sim_socket *socket_new(void)
{
    struct td_sim_socket *socket = calloc(1, sizeof *socket);

    TD_ASSERT(socket);
    if (net.n_sockets == net.sockets_cap) {
        net.sockets_cap = net.sockets_cap ? net.sockets_cap * 2 : 16;
        net.sockets = realloc(net.sockets, net.sockets_cap * sizeof(struct td_sim_socket *));
        TD_ASSERT(net.sockets);
    }
    socket->number = ++net.last_number;
    net.sockets[net.n_sockets++] = socket;
    return socket;
}

static void socket_free(struct td_sim_socket *socket)
{
    size_t i = 0;

    while (net.sockets[i] != socket)
        i++;
    net.n_sockets--;
    memmove(net.sockets + i, net.sockets + i + 1,
            (net.n_sockets - i) * sizeof(struct td_sim_socket *));
    free(socket->address);
    free(socket);
}

static int address_bind(const char *address, char ret_text[TD_ADDR_LEN_MAX + 1])
{
    const char *colon = strrchr(address, ':');
    uint64_t port;
    int n;

    if (!colon || td_slice_u64(td_slice_str(colon + 1), &port) != 0 || port > 65535)
        return -EINVAL;
    if (port == 0)
        port = 40000 + ++net.last_port;
    if (colon == address)
        n = snprintf(ret_text, TD_ADDR_LEN_MAX + 1, "0.0.0.0:%u", (unsigned)port);
    else
        n = snprintf(ret_text, TD_ADDR_LEN_MAX + 1, "%.*s:%u", (int)(colon - address), address,
                     (unsigned)port);
    return n > 0 && n <= TD_ADDR_LEN_MAX ? 0 : -EINVAL;
}

int td_net_listen(const char *address, bool shared, char *ret_bound)
{
    char bound[TD_ADDR_LEN_MAX + 1];
    int err = address_bind(address, bound);

    if (err < 0)
        return err;
    for (size_t i = 0; i < net.n_sockets; i++)
        if (net.sockets[i]->listens && strcmp(net.sockets[i]->address, bound) == 0 &&
            !(shared && net.sockets[i]->shared))
            return -EADDRINUSE;
    struct td_sim_socket *socket = socket_new();
    socket->listens = true;
    socket->shared = shared;
    socket->address = strdup(bound);
    TD_ASSERT(socket->address);
    if (ret_bound)
        memcpy(ret_bound, bound, sizeof bound);
    return socket->number;
}

/* The connection that a listener would accept next: the one that came first. */
static struct td_sim_conn *backlog_first(const struct td_sim_socket *listener)
{
    struct td_sim_conn *first = NULL;

    for (size_t i = 0; i < net.n_conns; i++) {
        struct td_sim_conn *conn = net.conns[i];

        if (conn->listener == listener->number && !conn->socket && !conn->server_gone &&
            !conn->partitioned && conn->arrives_at <= td_clock_ns() &&
            (!first || conn->arrives_at < first->arrives_at))
            first = conn;
    }
    return first;
}

bool td_sim_backlog(const struct td_sim_socket *listener)
{
    return backlog_first(listener) != NULL;
}

int td_net_accept(int listener, struct td_addr *ret_peer)
{
    struct td_sim_socket *from = td_sim_socket_of(listener);
    struct td_sim_conn *conn = backlog_first(from);
    unsigned max = td_sim_wire_sockets_max(), connected = 0;

    TD_ASSERT(from->listens);
    for (size_t i = 0; i < net.n_sockets; i++)
        connected += net.sockets[i]->conn != NULL;
    if (max > 0 && connected >= max)
        return -EMFILE;
    if (!conn)
        return -EAGAIN;
    if (conn->server_reset && td_rng_one_in(td_sim_rng(TD_SIM_NET), 2)) {
        conn->server_gone = true;
        td_sim_conn_sweep(conn);
        return -ECONNABORTED;
    }
    struct td_sim_socket *socket = socket_new();
    socket->conn = conn;
    conn->socket = socket;
    const uint8_t ip[4] = {10, (uint8_t)(conn->client >> 16), (uint8_t)(conn->client >> 8),
                           (uint8_t)conn->client};
    *ret_peer = td_addr_v4(ip, 50000);
    return socket->number;
}

/* The reset that arrived, told once. */
static int reset_told(struct td_sim_conn *conn)
{
    if (!conn->server_reset || conn->server_told)
        return 0;
    conn->server_told = true;
    return -ECONNRESET;
}

int64_t td_net_recv(int number, void *ret_bytes, size_t len)
{
    struct td_sim_conn *conn = td_sim_socket_of(number)->conn;
    size_t n;

    TD_ASSERT(conn);
    n = td_sim_pipe_read(&conn->up, ret_bytes, len);
    if (n > 0 || len == 0) {
        td_sim_conn_pump(conn);
        return (int64_t)n;
    }
    int err = reset_told(conn);
    if (err < 0)
        return err;
    return conn->server_reset || conn->up.fin_arrived ? 0 : -EAGAIN;
}

int64_t td_net_send(int number, const void *bytes, size_t len)
{
    struct iovec part = {(void *)(uintptr_t)bytes, len};

    return td_net_sendv(number, &part, 1);
}

int64_t td_net_sendv(int number, const struct iovec *parts, int n)
{
    struct td_sim_conn *conn = td_sim_socket_of(number)->conn;
    size_t taken = 0, wanted = 0;

    TD_ASSERT(conn);
    int err = reset_told(conn);
    if (err < 0)
        return err;
    /* A process that died in a file call goes on until the test looks: nobody may hear of it. */
    if (conn->server_reset || conn->down.fin || td_sim_dead())
        return -EPIPE;
    for (int i = 0; i < n && taken == wanted; i++) {
        wanted += parts[i].iov_len;
        taken += td_sim_pipe_write(&conn->down, parts[i].iov_base, parts[i].iov_len);
    }
    if (taken < wanted)
        conn->starved = true;
    td_sim_conn_pump(conn);
    return taken == 0 && wanted > 0 ? -EAGAIN : (int64_t)taken;
}

uint64_t td_net_unacked(int number)
{
    const struct td_sim_conn *conn = td_sim_socket_of(number)->conn;

    TD_ASSERT(conn);
    return conn->server_reset ? 0 : conn->down.written - conn->down.arrived;
}

void td_net_shutdown(int number)
{
    struct td_sim_conn *conn = td_sim_socket_of(number)->conn;

    TD_ASSERT(conn);
    conn->down.fin = true;
    td_sim_conn_pump(conn);
}

/* Nobody accepts what waits at a listener that closes. */
static void backlog_reset(int listener)
{
    for (size_t i = net.n_conns; i-- > 0;) {
        struct td_sim_conn *conn = net.conns[i];

        if (conn->listener != listener || conn->socket || conn->server_gone)
            continue;
        td_sim_conn_reset_down(conn);
        conn->server_gone = true;
        td_sim_conn_sweep(conn);
    }
}

void td_net_close(int number)
{
    if (number < net.first_live)
        return;
    struct td_sim_socket *socket = td_sim_socket_of(number);
    struct td_sim_conn *conn = socket->conn;

    socket_free(socket);
    if (!conn) {
        backlog_reset(number);
        return;
    }
    conn->socket = NULL;
    /* Closing with input unread resets, and takes away what the peer has not got yet (RFC 2525 2.17). */
    if (conn->up.arrived > conn->up.read)
        td_sim_conn_reset_down(conn);
    else
        conn->down.fin = true;
    conn->server_gone = true;
    td_sim_conn_pump(conn);
    td_sim_conn_sweep(conn);
}

unsigned td_sim_socket_state(const struct td_sim_socket *socket)
{
    const struct td_sim_conn *conn = socket->conn;
    unsigned what = 0;

    if (conn->up.arrived > conn->up.read || conn->up.fin_arrived || conn->server_reset)
        what |= TD_IO_READ;
    if (td_sim_pipe_room(&conn->down) > 0 || conn->server_reset)
        what |= TD_IO_WRITE;
    if (conn->up.fin_arrived || conn->server_reset)
        what |= TD_IO_HANGUP;
    return what;
}

/* ---- the end of the program ---- */

void td_sim_net_kill(bool silent)
{
    for (size_t i = net.n_conns; silent && i-- > 0;) {
        struct td_sim_conn *conn = net.conns[i];

        if (conn->server_gone)
            continue;
        if (conn->socket)
            socket_free(conn->socket);
        conn->socket = NULL;
        conn->server_gone = true;
        td_sim_pipe_drop(&conn->down);
        td_sim_conn_sweep(conn);
    }
    while (net.n_sockets > 0)
        td_net_close(net.sockets[0]->number);
    net.first_live = net.last_number + 1;
}

size_t td_sim_sockets_open(void)
{
    return net.n_sockets;
}

void td_sim_net_reset(void)
{
    while (net.n_sockets > 0)
        socket_free(net.sockets[0]);
    while (net.n_conns > 0)
        conn_free(net.conns[0]);
    free(net.sockets);
    free(net.conns);
    memset(&net, 0, sizeof net);
    net.last_number = 1000;
    td_sim_net_set(&(struct td_sim_net_faults){0});
}
