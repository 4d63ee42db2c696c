/* SPDX-License-Identifier: Apache-2.0 */
/* A worker: one thread with its loop, its connections, its hub and its reader of the journal.  Workers share nothing but
 * the journal and the options; each listens on the same port (SO_REUSEPORT).
 *
 * A turn: events of the sockets, then what the journal made durable (answers to publishers, then deliveries), then
 * those who wanted to go on, then the clock, then every connection with something to send is flushed once. */
#pragma once

#include "audit/audit.h"
#include "auth/cache.h"
#include "base/cidr.h"
#include "base/compiler.h"
#include "base/histogram.h"
#include "base/list.h"
#include "edge/conn.h"
#include "edge/endpoint.h"
#include "hub/hub.h"
#include "journal/journal.h"
#include "os/loop.h"
#include "os/mailbox.h"
#include "os/net.h"
#include "os/tls.h"
#include <stdatomic.h>

/* Limits, times and what verifies tokens.  Immutable; replaced as a whole by td_worker_configure. */
struct td_edge_options {
    uint64_t generation;            /* greater than that of the options that these replace */
    size_t message_bytes_max;       /* of a WebSocket message */
    size_t body_bytes_max;          /* of a request */
    size_t events_max;              /* in one publish */
    size_t page_events_max;         /* in one page of history */
    struct td_conn_limits limits;   /* of a connection that is on no endpoint with its own */
    unsigned connections_max;       /* on one worker */
    unsigned pending_publishes_max; /* on one connection */
    unsigned connections_per_address, connections_per_user; /* over all workers; 0: no limit */
    unsigned bad_tokens_per_s;                              /* of one address; 0: no limit */
    unsigned publishes_per_s; /* on one connection, twice as many at once; 0: no limit */
    unsigned lock_ttl_max_s, locks_per_user, locks_max;
    struct td_cidrs trusted_proxies; /* whose X-Forwarded-For counts */
    unsigned drain_s, poll_max_s;
    unsigned head_timeout_s, request_timeout_s; /* for its head; for all of a request */
    const struct td_auth *auth;
    const struct td_tls_context *tls; /* for new connections; NULL: none, and TLS is refused */
    struct td_slice cookie;           /* name of the cookie that may carry a token; empty: none */
    uint64_t authorizer;              /* the version of the desk's authorizer; 0: there is none */
    uint64_t authorizer_grace_ms;   /* how long what it permitted goes on when it gives no answer */
    bool audit_publishes;           /* each publish is told to the audit */
    bool query_token;               /* ?token= and ?access_token= are accepted */
    bool compression;               /* permessage-deflate is agreed to */
    bool compression_takeover;      /* clients may keep their window between messages */
    size_t compression_bytes_min;   /* of a message; taken when the worker is made */
    const struct td_slice *origins; /* allowed origins; `http://localhost:*` is any port */
    size_t n_origins;
    const struct td_endpoints *endpoints; /* what is served besides the resources; NULL: nothing */
};

/* Why a token was not taken, in the order of their labels. */
enum td_auth_failure {
    TD_AUTH_MISSING,
    TD_AUTH_INVALID,
    TD_AUTH_EXPIRED,
    TD_AUTH_FAILURES,
};

/* What kept a peer from doing more, in the order of their labels. */
enum td_limited {
    TD_LIMITED_BODY,
    TD_LIMITED_COMMANDS,
    TD_LIMITED_CONNECTIONS,
    TD_LIMITED_CONTROL_FRAMES,
    TD_LIMITED_DESCRIPTORS,
    TD_LIMITED_MESSAGE,
    TD_LIMITED_PRESENCE,
    TD_LIMITED_PUBLISHES,
    TD_LIMITED_SUBSCRIPTIONS,
    TD_LIMITED_TOKENS,
    TD_LIMITED,
};

/* What a reader that came back with a position got. */
enum td_resumed {
    TD_RESUMED_WHOLE,
    TD_RESUMED_GAP,
    TD_RESUMED,
};

/* The codes that closes are counted by; behind them are all others, and those of connections that have none. */
#define TD_CLOSE_CODES 17
extern const uint16_t td_close_codes[TD_CLOSE_CODES];

/* Counters of one worker; written by it alone, read by whoever shows metrics. */
struct td_edge_stat {
    _Atomic uint64_t accepted, http_requests, http_errors, ws_opened, sse_opened, polls;
    _Atomic uint64_t published_events, published_requests, commands, command_errors;
    _Atomic uint64_t auth_failures[TD_AUTH_FAILURES], limited[TD_LIMITED], resumed[TD_RESUMED];
    _Atomic uint64_t gaps[TD_GAP_REASONS], closed[TD_CLOSE_CODES + 2];
    _Atomic uint64_t bytes_sent, bytes_received, outbox_bytes;
    _Atomic uint64_t delivered, sends, short_sends, wakeups, subscriptions, patterns;
    _Atomic uint64_t connections, connections_ws, connections_sse, connections_poll;
    _Atomic uint64_t heartbeat_timeouts, tls_handshakes, tls_failures;
    struct td_histogram
        delivery; /* from the turn that took an event to its being sent to all who are live */
};
#define TD_COUNT(worker, counter) \
    atomic_fetch_add_explicit(&(worker)->stat.counter, 1, memory_order_relaxed)
#define TD_COUNT_BY(worker, counter, n) \
    atomic_fetch_add_explicit(&(worker)->stat.counter, (n), memory_order_relaxed)
#define TD_UNCOUNT(worker, counter) \
    atomic_fetch_sub_explicit(&(worker)->stat.counter, 1, memory_order_relaxed)

struct td_desk;
struct td_reserved;
struct td_request;
struct td_quota;
struct td_presence;

/* What the floor above gives: the resources. */
struct td_edge_handler {
    /* Whether a request, of which only the head has come, may send its body; answers it itself when not. */
    bool (*admit)(struct td_request *request, void *arg);
    void (*request)(struct td_request *request, void *arg);
    void *arg;
};

/* A letter to a worker, embedded in what it brings.  It is delivered in the worker's turn, or, once all connections are gone, by
 * td_worker_free: so it always is, and whoever delivers it frees it. */
struct td_mail {
    struct td_list list;
    void (*deliver)(struct td_worker *worker, struct td_mail *mail);
};

#define TD_SCRATCH_BYTES (256 * 1024)
#define TD_SLAB_CHUNK    256
#define TD_LISTENERS_MAX 16

struct td_worker {
    unsigned number;
    const struct td_edge_options *options; /* the same for a whole turn */
    struct td_edge_handler handler;
    struct td_journal *journal;
    struct td_journal_reader *reader;
    struct td_hub *hub;
    struct td_loop *loop;
    struct td_token_cache *tokens;
    struct td_quota
        *quota; /* shared by the workers; NULL: nothing is counted by address and user */
    struct td_presence *presence; /* likewise; NULL: nobody is shown to be there */
    struct td_desk *desk;         /* likewise; NULL: there is none, and what needs it is refused */
    struct td_reserved *reserved; /* likewise: topics of jobs that run */
    struct td_reserved *busy;     /* likewise: connections that have started jobs */
    struct td_mailbox mailbox;    /* of td_mail.list */
    struct td_audit *audit;       /* shared by all; NULL: there is only the log */
    int listeners[TD_LISTENERS_MAX];
    size_t n_listeners, n_tls_listeners;
    int spare;               /* a descriptor to give up when there is no other; -1: none */
    td_ticks complain_at;    /* not before this is that told again */
    bool listening_paused;   /* out of descriptors */
    struct td_conn **chunks; /* the slab: chunks of TD_SLAB_CHUNK connections */
    uint32_t n_chunks;
    uint32_t *free_places;
    uint32_t n_free, n_conns;
    struct td_list dirty;      /* td_conn.dirty */
    struct td_list waiting;    /* td_outbox.waiting */
    struct td_list polls;      /* td_poll.list: to be looked at again, … */
    struct td_list cold_polls; /* … once a segment has been read in */
    size_t paged_bytes;        /* of pages, made since they had their turn; see poll.c */
    struct td_list gone;       /* td_conn.dirty of those to be freed */
    td_ns now;
    td_ticks tick; /* now, in ticks since the worker began, from 1 */
    td_ns _began;
    td_ticks swept;
    uint32_t sweep_at;
    uint64_t next_id;
    char date[32];         /* of the HTTP header, for … */
    uint64_t date_s;       /* … this second */
    _Atomic bool woken;    /* the journal has something new since this turn began */
    _Atomic bool stopping; /* set by td_worker_stop */
    _Atomic(const struct td_edge_options *) configured; /* set by td_worker_configure */
    _Atomic uint64_t generation;                        /* of the options in use */
    _Atomic uint64_t turns;                             /* begun */
    _Atomic bool abandoned;                             /* set by td_worker_abandon */
    _Atomic bool ended;                                 /* its last turn is over */
    uint64_t put_off_at; /* what was readable when a broadcast was put off; 0: none is */
    td_ns put_off_until, broadcast_ns; /* the latest it begins; what the last one took */
    bool draining;
    td_ticks drain_began;
    uint32_t drain_at;
    uint64_t sample_seq;  /* an event whose delivery is timed since … */
    td_ns sample_began;   /* … this; 0: none is */
    uint64_t outbox_seen; /* unsent bytes of those that this sweep has passed */
    td_ticks log_began;   /* bounded lines of the log: the second, how many are in it, */
    uint32_t log_lines;   /* … and how many were left out */
    uint64_t log_left_out;
    char *scratch;
    struct td_edge_stat stat;
};

struct td_worker_options {
    unsigned number;
    const struct td_edge_options *edge;
    struct td_edge_handler handler;
    struct td_journal *journal;
    struct td_quota *quota;       /* may be NULL; outlives the worker */
    struct td_reserved *reserved; /* may be NULL; outlives the worker */
    struct td_reserved *busy;     /* likewise */
    struct td_presence *presence; /* likewise */
    struct td_desk *desk;         /* may be NULL; its thread ends before the worker is freed */
    struct td_audit *audit;       /* may be NULL; outlives the worker */
    const int *listeners;         /* sockets; the worker closes them, also when it can't be made */
    size_t n_listeners;
    size_t n_tls_listeners; /* the last so many of them speak TLS */
};

TD_MUST_USE int td_worker_new(const struct td_worker_options *options,
                              struct td_worker **ret_worker);
/* Drops all connections. */
void td_worker_free(struct td_worker *worker);
/* One turn.  Waits at most `timeout_ms` for something to do (-1: until the next tick that matters).
 * False once it has been stopped and all connections are drained. */
bool td_worker_turn(struct td_worker *worker, int timeout_ms);
/* Asks the worker to drain: no new connections, the old ones told and closed within options.drain_s.  Any thread. */
void td_worker_stop(struct td_worker *worker);

/* Asks a worker that drains to let go of everyone at once. */
void td_worker_abandon(struct td_worker *worker);
/* Whether td_worker_turn has returned false; how many turns were begun.  Any thread. */
bool td_worker_has_ended(const struct td_worker *worker);
uint64_t td_worker_turns(const struct td_worker *worker);
/* Makes it turn soon.  Any thread. */
void td_worker_wake(struct td_worker *worker);
/* Sends it a letter.  Any thread, as long as the worker is not being freed. */
void td_worker_post(struct td_worker *worker, struct td_mail *mail);
/* Gives the worker other options, which it takes up at the start of its next turn, without touching a connection; verified tokens are
 * forgotten when `auth` is another.  One thread at a time, any.  Both the old and the new options have to live until
 * td_worker_generation says that they are not used any more. */
void td_worker_configure(struct td_worker *worker, const struct td_edge_options *options);
/* The generation of the options that the worker uses; it has let go of all that are older.  Any thread. */
uint64_t td_worker_generation(const struct td_worker *worker);

/* A sequence of the worker's log as a position. */
static inline struct td_position td_here(const struct td_worker *worker, uint64_t seq)
{
    return (struct td_position){td_journal_epoch(worker->journal), seq};
}

/* The numbers that count for a connection. */
static inline const struct td_conn_limits *td_conn_limits(const struct td_worker *worker,
                                                          const struct td_conn *conn)
{
    return conn->endpoint ? &conn->endpoint->limits : &worker->options->limits;
}

/* For the edge: the connection at a place of the slab, NULL when it is free. */
struct td_conn *td_worker_conn(struct td_worker *worker, uint32_t index);
/* Closes what is due: heartbeats, time-outs, drain. */
void td_worker_sweep(struct td_worker *worker);
/* The hub's calls into the edge; their `arg` is the worker. */
extern const struct td_hub_ops td_delivery_ops;
