/* SPDX-License-Identifier: Apache-2.0 */
/* The hub of one worker: its own cursor in the journal, the subscription index, and the one delivery path.
 *
 * A connection is a position in the log, not a queue.  Its subscriber is in one of two states:
 *
 *   live    its position is the hub's.  When the hub moves on, the new records are gathered into runs by
 *           pattern; each live subscriber that a run touches gets all that is new to it in one send.
 *   behind  it has a position of its own.  It is not pushed to; td_hub_catch_up reads on from its position
 *           when its socket takes bytes again, until it meets the hub's and is live.
 *
 *             subscribe ──────────► live ◄────────── met the hub's position
 *                                    │                        │
 *             since, short send      ▼                        │
 *             ──────────────────► behind ── EPOLLOUT, again ──┘
 *
 * Slow, resuming and new with an older position are all the same state.  One thread owns hub and
 * subscribers, so the switch is exact: nothing is lost, nothing doubled.  What the socket did not take stays in the
 * log: a subscriber keeps two numbers for a record that was sent in part, and no bytes.
 *
 * The hub does no IO: it calls the edge through td_hub_ops.  Not thread-safe; one for each worker. */
#pragma once

#include "base/compiler.h"
#include "base/list.h"
#include "base/slice.h"
#include "hub/encode.h"
#include "journal/journal.h"
#include <stdbool.h>
#include <sys/uio.h>

struct td_aside;
struct td_hub;
struct td_pattern;

/* One pattern of a subscriber. */
struct td_subscription {
    struct td_pattern *pattern;
    struct td_pattern *named; /* what the client named; often the same */
    uint32_t slot;            /* its place among the pattern's subscribers */
};

/* The delivery side of a connection; embedded in it.  Zeroed, then td_subscriber_init. */
struct td_subscriber {
    struct td_list
        _list; /* in the hub's list of those to run again, or of those that wait for a cold segment */
    uint64_t
        _position; /* everything at or before it has been sent (behind); live: see td_hub_position */
    uint64_t _told_upto;   /* see td_told, … */
    uint64_t _partial_seq; /* the record of which `_partial_sent` bytes are out; 0: none */
    uint32_t _partial_sent;
    uint32_t _told_trims; /* … and this, too */
    uint32_t _due_ms;     /* paced: nothing is sent before this, in the low bits of the clock */
    uint32_t
        _touched; /* its place among those that the wakeup touches, if it is the one that stands there */
    struct td_subscription *_subs; /* `_one` as long as it suffices */
    struct td_subscription _one;
    struct td_aside *_asides; /* retained state and history that it is being sent */
    uint16_t _n_subs, _n_named;
    uint16_t
        pace_ms; /* the least time between two sends of events, for which they gather; 0: none */
    enum td_wire
        wire : 8; /* how its records are put on the wire; TD_WIRE_NONE: it is only told (`touched`) */
    bool checked : 1;   /* each record is put to ops->wants */
    bool stateless : 1; /* a gap is not followed by the state */
    bool present : 1;   /* each ephemeral event is put to ops->wants: it is not told of itself */
    bool _behind : 1;
    bool
        _gap_again : 1; /* what was told of the gap that it is in is not all: more was subscribed since */
    bool _sought : 1; /* its position was set while a record was out in part */
    bool _owes_caught_up : 1;
};

/* What can't be had any more. */
struct td_gap {
    uint64_t from, to;
    enum td_gap_reason reason;
    bool history; /* of what a SUBSCRIBE with that `ref` (raw) asked for, not of the stream */
    struct td_slice ref;
};

/* Each gets the `arg` of td_hub_new. */
struct td_hub_ops {
    /* Sends to the subscriber's socket.  Returns the bytes taken (0: it takes none now; the edge calls
     * td_hub_catch_up when it does), or an error: the connection is going and nothing more is sent. */
    int64_t (*send)(struct td_subscriber *subscriber, const struct iovec *parts, int n, void *arg);
    /* Tells a gap; the message has to go before any further event.  After one of retention the position is still `from`: events
     * that other groups of topics have kept may lie in it, and go before the state, which is as of `to`. */
    void (*gap)(struct td_subscriber *subscriber, const struct td_gap *gap, void *arg);
    /* Keeps the rest of an event that went in part and can't be made again, to be sent before anything else. */
    void (*keep)(struct td_subscriber *subscriber, struct td_slice rest, void *arg);
    /* All that td_hub_send_history was asked for with that `ref` has been sent. */
    void (*history_ended)(struct td_subscriber *subscriber, struct td_slice ref, void *arg);
    /* It had a position of its own and has met the hub's: all that it missed has been sent. */
    void (*caught_up)(struct td_subscriber *subscriber, void *arg);
    /* Something arrived for a subscriber with TD_WIRE_NONE. */
    void (*touched)(struct td_subscriber *subscriber, void *arg);
    /* A record can't be sent (gone from the log when half of it was out, or no memory): the connection can't go on. */
    void (*broken)(struct td_subscriber *subscriber, void *arg);
    /* Whether it gets this record; asked when `checked` is set, and of ephemeral events when `present` is. */
    bool (*wants)(const struct td_subscriber *subscriber, const struct td_record *record,
                  void *arg);
};

struct td_hub_stat {
    uint64_t delivered, sends, short_sends, wakeups;
    uint64_t ephemeral_missed; /* because the worker was slower than the ring of them */
    uint64_t patterns, subscriptions;
};

TD_MUST_USE int td_hub_new(struct td_journal *journal, struct td_journal_reader *reader,
                           const struct td_hub_ops *ops, void *arg, struct td_hub **ret_hub);
/* All subscribers must have been left. */
void td_hub_free(struct td_hub *hub);

/* Messages of fewer bytes than that are not compressed on any wire.  Said once, before the first is sent. */
void td_hub_deflate_from(struct td_hub *hub, size_t bytes);

void td_subscriber_init(struct td_subscriber *subscriber, enum td_wire wire);

/* Adds `patterns` (what `named` comes to under the subject's grants; at least one, all valid).  A new
 * subscriber is live at the hub's position.  Naming the same again replaces it.
 * 0, or -ENOMEM, TD_ETOOLARGE (more than TD_SUBSCRIPTIONS_MAX patterns), TD_ESHAPES (more kinds of patterns with a `*` before their end than
 * an event can be looked up by, see hub/index.h); then nothing has changed. */
TD_MUST_USE int td_hub_subscribe(struct td_hub *hub, struct td_subscriber *subscriber,
                                 struct td_slice named, const struct td_slice *patterns,
                                 size_t n_patterns);
#define TD_SUBSCRIPTIONS_MAX 512
/* Removes what was subscribed as `named`; whether there was any. */
bool td_hub_unsubscribe(struct td_hub *hub, struct td_subscriber *subscriber,
                        struct td_slice named);
/* Removes all; the subscriber may then be freed. */
void td_hub_leave(struct td_hub *hub, struct td_subscriber *subscriber);
bool td_hub_has_named(const struct td_subscriber *subscriber, struct td_slice named);
/* How many were named that it holds; each may come to several patterns, or to part of one. */
size_t td_hub_count_named(const struct td_subscriber *subscriber);

/* Sets the position to go on from; the subscriber is behind (even at the hub's own position), will be run again by
 * td_hub_run, and gets ops->caught_up once it meets the hub's.  `told`: see td_read. */
void td_hub_seek(struct td_hub *hub, struct td_subscriber *subscriber, uint64_t position,
                 struct td_told told);
/* Sends the retained state of what was named, marked as such, as of the position where the subscriber stands, or when what retention
 * has dropped was told beyond it, once it has got there; its stream goes on behind that, and ops->caught_up follows.  0 or -ENOMEM. */
TD_MUST_USE int td_hub_send_state(struct td_hub *hub, struct td_subscriber *subscriber,
                                  const struct td_slice *named, size_t n_named);
/* Sends what came of what was named after `since` and up to where the subscriber stands, marked as history, whenever there is nothing
 * else to be sent; then ops->history_ended.  0 or -ENOMEM. */
struct td_hub_history {
    const struct td_slice *named;
    size_t n_named;
    uint64_t since;
    struct td_told told; /* as of td_hub_seek */
    struct td_slice ref; /* raw, or empty */
};
TD_MUST_USE int td_hub_send_history(struct td_hub *hub, struct td_subscriber *subscriber,
                                    const struct td_hub_history *history);
/* Stops pushing to a live subscriber whose socket is full of other bytes: it is behind from here.  One with TD_WIRE_NONE is
 * only ever told, and stays live. */
void td_hub_fall_behind(struct td_hub *hub, struct td_subscriber *subscriber);
/* What will have been sent before anything else can be: its own position when behind (the record that is out in part counts), the
 * hub's when live. */
uint64_t td_hub_position(const struct td_hub *hub, const struct td_subscriber *subscriber);
bool td_hub_is_live(const struct td_subscriber *subscriber);
/* Whether ops->caught_up will come, because it is behind; it is asked for hereby.  False of one that is live. */
bool td_hub_owe_caught_up(struct td_subscriber *subscriber);
/* Whether there is something that td_hub_catch_up would send, the socket willing. */
bool td_hub_has_more(const struct td_subscriber *subscriber);
/* Whether a record has been sent in part: nothing else may be sent before its rest. */
bool td_hub_is_partial(const struct td_subscriber *subscriber);

/* Tells the time, which only goes on. */
void td_hub_tick(struct td_hub *hub, td_ns now);
/* When td_hub_run has something to do for one that is paced; UINT64_MAX: never. */
td_ns td_hub_next_due(const struct td_hub *hub);
/* Moves the hub towards the readable head, as far as one wakeup goes, and sends what is new to the live. */
void td_hub_advance(struct td_hub *hub);
/* Goes on sending to one that is behind, as far as its socket and a turn's budget let it. */
void td_hub_catch_up(struct td_hub *hub, struct td_subscriber *subscriber);
/* Gives a turn to those that stopped for their budget, TD_HUB_TURNS of them at most, in rotation. */
void td_hub_run(struct td_hub *hub);
#define TD_HUB_TURNS 64
/* Whether td_hub_advance, or td_hub_run, would do something: asked before a worker sleeps. */
bool td_hub_is_due(const struct td_hub *hub);
bool td_hub_has_again(const struct td_hub *hub);

/* One pattern of a subscriber, and what the client named for it. */
struct td_named {
    struct td_slice named, pattern; /* good until the subscriber's subscriptions change */
};
/* All of them; those of one name stand in no order.  `ret` has room for TD_SUBSCRIPTIONS_MAX. */
size_t td_hub_named(const struct td_subscriber *subscriber, struct td_named *ret);
/* The patterns of a subscriber, for reading pages with the same eyes. `ret` has room for TD_SUBSCRIPTIONS_MAX. */
size_t td_hub_wanted(const struct td_subscriber *subscriber, struct td_wanted *ret);
/* Calls `each` for the patterns that are subscribed, at most `max` of them, in no order. */
void td_hub_patterns(const struct td_hub *hub, size_t max,
                     void (*each)(void *arg, struct td_slice pattern, uint32_t subscribers),
                     void *arg);
uint64_t td_hub_head(const struct td_hub *hub);
void td_hub_stat(const struct td_hub *hub, struct td_hub_stat *ret_stat);
