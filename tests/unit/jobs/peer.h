/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP server that says what the test tells it to, on the test's own thread: the other side of td_upstream. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/units.h"
#include "jobs/upstream.h"
#include "os/clock.h"
#include "os/net.h"
#include <errno.h>
#include <stdio.h>

#define PEER_DEADLINE_NS (20 * TD_NS_PER_S)
#define PEER_CONNS       8

struct peer_conn {
    int socket;  /* -1: closed by us, or not there yet */
    bool closed; /* by the other side */
    char in[64 * 1024];
    size_t len;
};

struct peer {
    int listener;
    char address[TD_ADDR_LEN_MAX + 1];
    char url[128];
    struct peer_conn conns[PEER_CONNS];
    size_t n_conns;
};

static inline void peer_open(struct peer *peer)
{
    *peer = (struct peer){.n_conns = 0};
    peer->listener = td_net_listen("127.0.0.1:0", false, peer->address);
    assert_true(peer->listener >= 0);
}

static inline void peer_close_conn(struct peer_conn *conn)
{
    if (conn->socket >= 0)
        td_net_close(conn->socket);
    conn->socket = -1;
}

static inline void peer_close(struct peer *peer)
{
    for (size_t i = 0; i < peer->n_conns; i++)
        peer_close_conn(&peer->conns[i]);
    if (peer->listener >= 0)
        td_net_close(peer->listener);
}

static inline void peer_send(struct peer_conn *conn, const char *text)
{
    size_t len = strlen(text);

    while (len > 0) {
        int64_t n = td_net_send(conn->socket, text, len);
        if (n == -EAGAIN)
            continue;
        assert_true(n > 0);
        text += n;
        len -= (size_t)n;
    }
}

/* Accepts and reads what is there. */
static inline void peer_turn(struct peer *peer)
{
    struct td_addr from;
    int socket;

    while (peer->listener >= 0 && (socket = td_net_accept(peer->listener, &from)) >= 0) {
        assert_true(peer->n_conns < PEER_CONNS);
        peer->conns[peer->n_conns++] = (struct peer_conn){.socket = socket};
    }
    for (size_t i = 0; i < peer->n_conns; i++) {
        struct peer_conn *conn = &peer->conns[i];
        if (conn->socket < 0 || conn->closed)
            continue;
        int64_t n =
            td_net_recv(conn->socket, conn->in + conn->len, sizeof conn->in - 1 - conn->len);
        if (n > 0)
            conn->len += (size_t)n;
        else if (n != -EAGAIN)
            conn->closed = true;
        conn->in[conn->len] = '\0';
    }
}

/* Whether the whole request has come. */
static inline bool peer_has_request(const struct peer_conn *conn)
{
    const char *body = strstr(conn->in, "\r\n\r\n"), *length = strstr(conn->in, "Content-Length: ");

    return body && (!length || strlen(body + 4) >= strtoul(length + 16, NULL, 10));
}

/* One turn of both sides: waits for something at either. */
static inline void peer_turn_with(struct peer *peer, struct td_upstream *upstream)
{
    struct td_poll_item items[1 + PEER_CONNS];
    size_t n = 0;

    items[n++] = (struct td_poll_item){.fd = peer->listener};
    for (size_t i = 0; i < peer->n_conns; i++)
        items[n++] =
            (struct td_poll_item){.fd = peer->conns[i].closed ? -1 : peer->conns[i].socket};
    td_upstream_wait(upstream, items, n, 20);
    td_upstream_serve(upstream);
    peer_turn(peer);
}

/* Turns until `condition`, which may be anything that these turns change. */
#define peer_until(peer, upstream, condition)                                  \
    do {                                                                       \
        for (td_ns until_ = td_clock_ns() + PEER_DEADLINE_NS; !(condition);) { \
            if (td_clock_ns() > until_)                                        \
                fail_msg("waited in vain for: %s", #condition);                \
            peer_turn_with(peer, upstream);                                    \
        }                                                                      \
    } while (0)
