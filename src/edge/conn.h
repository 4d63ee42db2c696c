/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: a small state machine in a slab, owned by one worker.
 *
 *     http ──► ws        (upgrade)            all of them ──► closing ──► gone
 *          ──► stream    (Server-Sent Events)
 *          ──► poll ──► http   (long-poll, answered)
 *          ──► asking ──► http (the desk has answered; the request is served again)
 *
 *   http     reads requests; answers are queued in the outbox
 *   poll     a page is being read, or waits for something to arrive; nothing more is read from the socket meanwhile
 *   asking   a request waits for the desk (ask.h); nothing more is read either
 *   ws       frames both ways
 *   stream   events one way; what the client still sends is dropped
 *   closing  the last bytes are going out and the peer is given a moment to read them; input is dropped
 *   gone     closed; freed at the end of the turn
 *
 * An idle connection holds no buffers: `in` exists while a request or message is incomplete, `out` while there
 * is something that is not a slice of the log.  Times are ticks of the worker, a tenth of a second each. */
#pragma once

#include "auth/principal.h"
#include "base/addr.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "codec/http1.h"
#include "codec/ws.h"
#include "edge/outbox.h"
#include "hub/hub.h"

struct td_bound;
struct td_endpoint;
struct td_filter;
struct td_guest;
struct td_opened;
struct td_present;
struct td_tls;
struct td_worker;

typedef uint32_t td_ticks;
#define TD_TICKS_PER_S 10

enum td_conn_state {
    TD_CONN_HTTP,
    TD_CONN_POLL,
    TD_CONN_ASKING,
    TD_CONN_WS,
    TD_CONN_STREAM,
    TD_CONN_CLOSING,
    TD_CONN_GONE,
};

/* What may be done so often a second, and has not been done yet: a token bucket, see edge/admission.h. */
struct td_bucket {
    td_ticks at; /* when it was filled up last */
    uint32_t left;
};

/* What has come and is not complete. */
struct td_inbox {
    struct td_buf bytes; /* as they came */
    size_t at;           /* what has been served of them */
    size_t need;         /* nothing to be done before so many more are there */
    td_ticks began;      /* when the first byte of the request came that is not whole yet */
    bool admitted;       /* the handler has seen its head and lets its body come */
    bool chunked;        /* its body is, and is decoded into … */
    struct td_http_body body;
    struct td_buf content;
    struct td_ws_decoder ws;
};

/* What the URL of a WebSocket says for its first SUBSCRIBE: where it goes on from, and whether the state comes first. */
struct td_start {
    int since; /* of enum td_since */
    struct td_position position;
    bool state;
};

/* A caught_up that is owed to a SUBSCRIBE with `since`. */
struct td_owed {
    struct td_owed *next;
    uint16_t ref_len;
    char ref[]; /* raw JSON, or empty */
};

/* How a request is to be answered. */
struct td_reply {
    bool keep_alive; /* false: the answer ends the connection */
    bool http10, head_only;
    struct td_slice origin; /* the Origin header, ptr NULL without one */
};

/* A page of events that is being read, or waited for. */
struct td_poll {
    struct td_list list; /* in the worker's list of those to be looked at again */
    struct td_conn *conn;
    uint64_t after;      /* the position from which it is read */
    struct td_told told; /* see td_read */
    td_ticks deadline;
    uint32_t limit; /* events */
    enum td_wire wire : 8;
    bool newest : 1; /* `after` has to be found first: the newest `limit` are wanted */
    bool waits : 1;  /* an empty page is not answered before the deadline */
    uint8_t state;   /* of enum td_state_wish */
    struct td_position gap_from;
    uint64_t gap_to;
    int gap_reason;        /* of enum td_gap_reason; -1: none */
    struct td_reply reply; /* its origin is a slice of … */
    char origin[];         /* … this */
};

struct td_conn {
    struct td_subscriber subscriber; /* delivery; see hub/hub.h */
    struct td_list dirty;           /* in the worker's list of those with bytes to flush, or gone */
    uint64_t id;                    /* also in `origin`: 16 hex digits */
    struct td_principal *principal; /* NULL before the token was seen */
    struct td_inbox *in;
    struct td_outbox *out;
    struct td_filter *filter;   /* NULL: it wants all; see edge/filter.h */
    union {                     /* NULL in any other state */
        struct td_poll *poll;   /* poll */
        struct td_start *start; /* ws, not `started`: NULL unless the URL gave one */
        struct td_owed *owed;   /* ws, `started`: in the order of the commands */
    };
    struct td_opened *opens;    /* seen besides what is granted; NULL: nothing; see edge/opened.h */
    struct td_present *present; /* topics on which it is shown to be; see presence.h */
    struct td_endpoint *endpoint; /* by which it came; a reference; NULL: by a resource */
    struct td_bound *bound;       /* what it is bound to there; NULL: nothing; see edge/visit.h */
    struct td_addr peer;          /* whom it serves: the other end, or whom a trusted proxy names */
    uint16_t close_code;
    uint8_t state;
    uint8_t refused_row;    /* commands refused by rate, one after the other */
    uint8_t controls;       /* ws: pings and pongs since the last sweep */
    uint8_t asks;           /* sent to the desk and not back yet */
    struct td_guest *guest; /* what admission.h knows of it; NULL: nothing */
    struct td_tls *tls;     /* NULL: plain; see edge/channel.h */
    char *why;              /* the cause of its end, for the log; NULL: none yet */
    uint64_t sent_bytes, received_bytes;
    int socket;
    uint32_t index;        /* in the slab */
    uint32_t generation;   /* of this place in the slab; events for an older one are dropped */
    td_ticks opened, sent; /* when it was accepted; when an event or a message was sent */
    td_ticks beat;         /* when the last ping went */
    td_ticks pinged;       /* when the ping that is unanswered went, 0: none */
    td_ticks acked;        /* behind: when the peer last acknowledged something, and … */
    uint32_t acked_bytes;  /* … how much that was by then, in the low bits */
    uint32_t expiring_at; /* ws: when it is to be told that its token ends, in seconds since 1970 */
    td_ticks active;      /* when something other than heartbeats was heard or sent */
    struct td_bucket commands, publishes;
    unsigned inflate_bits : 4; /* ws: the window of compressed messages; 0: none are agreed to */
    bool inflate_takeover : 1; /* … which is kept between them */
    bool reading_paused : 1;   /* it has input that was left in the kernel */
    bool writable : 1;         /* the socket took all of the last send; see edge/channel.h */
    bool peer_ended : 1;
    bool ws_close_sent : 1;
    bool over_limit : 1;   /* there are too many: it is told so, and closed */
    bool last_request : 1; /* its answer ends the connection: what comes behind it is not read */
    bool shut : 1;         /* our side of the stream has been ended */
    bool counted_ws : 1;   /* among connections_ws, connections_sse */
    bool counted_sse : 1;
    bool counted_poll : 1; /* connections_poll */
    bool started : 1;      /* ws: the first SUBSCRIBE has been answered */
    bool resuming : 1;     /* it came with a position and has not met the head yet */
};

/* Bytes of control messages that may wait before nothing more is read from the connection. */
#define TD_CONN_OUT_HIGH 4096

static inline struct td_conn *td_conn_of(struct td_subscriber *subscriber)
{
    return TD_CONTAINER_OF(subscriber, struct td_conn, subscriber);
}

/* The outbox, made when absent; NULL when memory is out (the connection is then closed). */
struct td_outbox *td_conn_out(struct td_worker *worker, struct td_conn *conn);
/* Puts the connection on the list of those that are flushed at the end of the turn. */
void td_conn_dirty(struct td_worker *worker, struct td_conn *conn);
/* Sends what waits, as far as the socket takes it, and then lets the hub go on. */
void td_conn_flush(struct td_worker *worker, struct td_conn *conn);
/* Whether a request or command may be taken: not while its answers would only pile up, nor behind a last request. */
bool td_conn_takes(const struct td_worker *worker, const struct td_conn *conn);
/* Reads what has come and acts on it. */
void td_conn_read(struct td_worker *worker, struct td_conn *conn);
/* Sends what is ready of the outbox; true when nothing is left of it. */
bool td_conn_send_out(struct td_worker *worker, struct td_conn *conn);
/* The loop says that the peer has ended or reset. */
void td_conn_hung_up(struct td_worker *worker, struct td_conn *conn);
/* No more requests or frames are taken; the connection goes once what waits is out. */
void td_conn_finish(struct td_worker *worker, struct td_conn *conn);
/* Notes why the connection is going to end; the first one counts. */
void td_conn_why(struct td_conn *conn, const char *reason);
/* Closes at once; the memory goes at the end of the turn.  `reason` is for the log. */
void td_conn_drop(struct td_worker *worker, struct td_conn *conn, const char *reason);
/* What became of a reader that came back with a position; counts once for each time that it did. */
void td_conn_resumed(struct td_worker *worker, struct td_conn *conn, int result);
/* Takes it out of the counts by transport. */
void td_conn_uncount(struct td_worker *worker, struct td_conn *conn);
/* The inbox, made when absent; NULL when memory is out. */
struct td_inbox *td_conn_in(struct td_worker *worker, struct td_conn *conn);
void td_conn_drop_inbox(struct td_conn *conn);
/* Writes the connection's id as text. */
void td_conn_id(const struct td_conn *conn, char ret_text[17]);
