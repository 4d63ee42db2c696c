/* SPDX-License-Identifier: Apache-2.0 */
/* One direction of a simulated connection, and the connection of two of them. */
#pragma once

#include "base/compiler.h"
#include "os/sim/impl.h"

/* Offsets in the stream, each counted from its beginning:
 *
 *     read <= arrived <= launched <= written
 *
 * What is not launched waits for room in the receiver's buffer (launched - read <= window); what has not arrived
 * fills the sender's (written - arrived <= capacity). */
struct td_sim_pipe {
    char *bytes; /* from `read` on */
    size_t bytes_cap;
    uint64_t read, arrived, launched, written;
    size_t capacity, window;
    struct td_sim_piece {
        uint64_t end;
        td_ns at;
    } * pieces; /* launched, not arrived, in order */
    size_t n_pieces, pieces_cap;
    td_ns last_at;
    bool fin, fin_launched, fin_arrived; /* the sender ended the stream */
    td_ns fin_at;
};

/* How many bytes the sender may write now. */
size_t td_sim_pipe_room(const struct td_sim_pipe *pipe);
/* Takes what there is room for and returns how much that was. */
size_t td_sim_pipe_write(struct td_sim_pipe *pipe, const char *bytes, size_t len);
/* Takes what has arrived. */
size_t td_sim_pipe_read(struct td_sim_pipe *pipe, char *ret_bytes, size_t len);
/* Sends what may be sent and lets arrive what is due; whether something did. */
bool td_sim_pipe_pump(struct td_sim_pipe *pipe);
td_ns td_sim_pipe_next(const struct td_sim_pipe *pipe);
/* Forgets what was not launched yet: it will never be. */
void td_sim_pipe_drop(struct td_sim_pipe *pipe);
void td_sim_pipe_done(struct td_sim_pipe *pipe);
/* The most connections that may be open, 0: no bound. */
unsigned td_sim_wire_sockets_max(void);
size_t td_sim_wire_room(void);
/* A random delay of a piece. */
td_ns td_sim_wire_delay(void);

/* A socket of the program under test. */
struct td_sim_socket {
    int number;
    struct td_loop *loop; /* NULL: not registered */
    uint64_t tag;
    unsigned pending; /* edges that were not told yet */
    bool listens, shared, paused;
    char *address;            /* of a listener */
    struct td_sim_conn *conn; /* of the others */
};

/* Both ends. */
struct td_sim_conn {
    int client; /* its handle */
    int listener;
    td_ns arrives_at;             /* when the listener sees it */
    struct td_sim_pipe up, down;  /* to the server, to the client */
    struct td_sim_socket *socket; /* NULL before it is accepted and after it was closed */
    bool partitioned;
    bool client_gone, server_gone; /* closed */
    bool up_reset, down_reset;     /* a reset is on its way to the server, to the client, … */
    td_ns up_reset_at, down_reset_at;
    bool server_reset, client_reset; /* … and has arrived */
    bool server_told;                /* and was told by a call */
    bool starved;                    /* a send found no room: an edge is owed */
};

/* The connection of a client, the socket of a number; one that is not open is a bug of the caller. */
struct td_sim_conn *td_sim_conn_of(int client);
struct td_sim_socket *td_sim_socket_of(int number);
/* All sockets that are open; good until the next is opened or closed. */
size_t td_sim_sockets(struct td_sim_socket ***ret_sockets);
/* Whether a connection waits to be accepted. */
bool td_sim_backlog(const struct td_sim_socket *listener);
/* What is true of the socket now, of enum td_io. */
unsigned td_sim_socket_state(const struct td_sim_socket *socket);
void td_sim_conn_pump(struct td_sim_conn *conn);
/* Frees a connection that both sides have closed. */
void td_sim_conn_sweep(struct td_sim_conn *conn);
/* Sends a reset to one side; what was on its way to it is lost. */
void td_sim_conn_reset_up(struct td_sim_conn *conn);
void td_sim_conn_reset_down(struct td_sim_conn *conn);
