/* SPDX-License-Identifier: Apache-2.0 */
/* The whole server on the simulated machine: what its parts (truth, publishers, readers, the server's life) share. */
#pragma once

#include "api/api.h"
#include "auth/cache.h"
#include "base/rng.h"
#include "base/topic.h"
#include "client_http.h"
#include "edge/worker.h"
#include "os/sim/sim.h"
#include "world.h"

#define SRV_WORKERS    2
#define SRV_PUBLISHERS 3
#define SRV_READERS    8
#define SRV_PATTERNS   4
#define SRV_SUBJECTS   5
#define SRV_TOPICS     18
#define SRV_KEYS       4 /* none is one of them */
#define SRV_HOT        3 /* topics on which most is said that has a key */
#define SRV_QUEUE      8
#define SRV_BATCH_MAX  12

/* ---- the truth: what is in the log, as the world itself reads it ---- */

/* What a publisher said, by number (from 1). */
enum srv_fate {
    SRV_SENT,    /* not answered (yet): it may be in the log */
    SRV_REFUSED, /* must not be */
    SRV_ACKED,   /* must be */
};

struct srv_said {
    uint64_t seq; /* in the log; 0: not seen there */
    uint32_t request;
    uint32_t offset;                   /* of a chunk */
    uint16_t topic, pad, index, count; /* its place in the request */
    uint8_t fate;
    uint8_t class;               /* enum td_class */
    uint8_t key;                 /* 0: none */
    bool removes;                /* its data is null */
    bool keyed;                  /* the request has an Idempotency-Key */
    bool again_ok;               /* trimmed before a restart: its key may be forgotten */
    uint32_t shown[SRV_READERS]; /* ephemeral: the connection on which each reader got it */
};

struct srv_event {
    uint64_t seq;
    uint32_t number;
    uint32_t there_at; /* the last roll in which it was there, … */
    uint32_t gone_at;  /* … and the first in which it was not; 0: none */
};

/* Positions: what lies in (from, to]. */
struct srv_range {
    uint64_t from, to;
};

/* What the keeper trimmed before the world had read it. */
#define SRV_BLIND_MAX 64

struct srv_truth {
    struct srv_event *events; /* ascending */
    size_t n, cap;
    struct srv_event *lost; /* taken back by a power loss (`fast` only) */
    size_t n_lost, lost_cap;
    struct srv_range blind[SRV_BLIND_MAX];
    size_t n_blind;
    struct srv_said *said;
    size_t n_said, said_cap;
    uint64_t position; /* read up to here */
    uint64_t durable;  /* survives a power loss */
    uint64_t horizon;
    uint64_t horizon_max; /* a power loss may bring back what was trimmed */
    size_t audited;       /* events counted by the audit */
    uint32_t roll;        /* see srv_truth_roll */
    uint32_t epoch;
};

/* ---- a connection of a client ---- */

struct srv_link {
    int client; /* 0: none */
    struct td_buf out, in;
    bool ended;   /* by the server; a reset counts */
    bool excused; /* something was done to it for which the server may end it */
    td_ns used;   /* bytes went last */
    td_ns stalled_until;
    bool partitioned; /* until then */
    unsigned boot;
};

struct srv_request {
    uint32_t first; /* number of its first event */
    uint16_t n;
    bool list, ndjson, chunked, sent;
    char key[24]; /* empty: none */
};

struct srv_publisher {
    struct srv_link link;
    struct srv_request queue[SRV_QUEUE]; /* in order of sending */
    size_t n_queue;
    bool slow;
};

enum srv_kind {
    SRV_WS,     /* /ws, then SUBSCRIBE */
    SRV_WS_URL, /* /api/v1/events, upgraded */
    SRV_SSE,
    SRV_POLL,
    SRV_PAGE,
    SRV_KINDS,
};

enum srv_phase {
    SRV_OFF,
    SRV_HEAD, /* the answer's head is awaited (pages: between requests too) */
    SRV_OPEN,
};

/* How a reader's connection began. */
enum srv_start {
    SRV_START_NEW, /* no `since` */
    SRV_START_SINCE,
    SRV_START_EARLIEST,
    SRV_START_FOREIGN, /* a position of another log */
};

/* `state` of a URL. */
enum srv_wish {
    SRV_STATE_DEFAULT,
    SRV_STATE_NEVER,
    SRV_STATE_FIRST,
};

struct srv_pattern {
    char text[TD_TOPIC_LEN_MAX + 1];
    uint64_t from;  /* gets what comes after it */
    uint64_t told;  /* what retention took up to here is no loss any more */
    uint32_t begun; /* nor what was missing in this roll: it began with the oldest; 0: it did not */
    bool on;
    bool dead; /* nothing of it is granted */
};

/* What it knows of one topic and key. */
struct srv_known {
    uint64_t seq;   /* of the last event that it has; 0: there is none */
    uint64_t shown; /* in the state that is coming */
    bool known;
    bool heard; /* an event of it has come while state was to come */
};

struct srv_view {
    struct srv_known of[SRV_TOPICS][SRV_KEYS];
    bool awaits[SRV_TOPICS]; /* the state of it is coming, … */
    bool doubts[SRV_TOPICS]; /* … perhaps not all of it */
    struct srv_range
        due[SRV_TOPICS]; /* it comes once the stream has got to `from`, and not behind `to` */
    bool shows; /* some has come, and no event of the stream since: all that comes is coming now */
    uint64_t newest; /* the newest event shown as state on this connection */
};

/* A topic that nobody publishes to: granted or not, it makes a difference to the server and none to a reader. */
#define SRV_NOBODY "zz/nobody"

/* What a SUBSCRIBE on a live connection brings besides; one at a time. */
struct srv_history {
    bool asked, on;
    bool oldest;       /* asked for from there */
    bool foreign;      /* is owed a gap for its epoch */
    unsigned serial;   /* in its ref */
    unsigned patterns; /* a bit each, … */
    unsigned perhaps;  /* … and those that were unsubscribed meanwhile */
    uint32_t begun;    /* as of a pattern */
    uint64_t position, until;
    uint64_t gap_told, gap_last; /* as of a reader */
};

struct srv_reader {
    unsigned number;
    enum srv_kind kind;
    enum srv_phase phase;
    enum srv_start start;
    unsigned subject;
    struct srv_link link;
    struct srv_pattern patterns[SRV_PATTERNS];
    size_t n_patterns;
    enum srv_wish state; /* in its URL */
    bool asks_state;     /* the SUBSCRIBE that is on its way does */
    bool began;          /* the first SUBSCRIBE has been answered: the URL counts no more */
    uint32_t publishes;  /* the event that it has said itself and has no answer to; 0: none */
    struct srv_view view;
    struct srv_history history;
    char type[8];       /* gets only this type; empty: all */
    const char *format; /* NULL: the default */
    uint64_t position;  /* everything up to here has been accounted for */
    bool known;         /* the position is */
    uint64_t marks[4];  /* positions that it had before */
    size_t n_marks;
    uint64_t gap_told; /* the greatest `told` */
    bool widened;      /* something was subscribed since a gap was told: it may be told again */
    uint64_t gap_last; /* up to which such a gap was told on this connection */
    uint64_t last_got; /* the last event */
    bool early;        /* began at `earliest`: is not told of what was trimmed by then */
    bool must_hear;    /* got what a crash took back: has to be told */
    bool foreign;      /* is owed a gap for its epoch */
    bool caught_up, wants_caught_up;
    bool closing;            /* has sent or got a close frame */
    bool refused;            /* nothing is granted to it: nothing to come back for */
    bool asked;              /* a page is on its way, or a command */
    unsigned command;        /* the patterns, a bit each, that SUBSCRIBE or UNSUBSCRIBE is about */
    unsigned command_errors; /* got for it */
    bool unsubscribing;      /* which of them it is */
    bool seeks;              /* the next SUBSCRIBE goes on from `position` … */
    bool seeks_itself;       /* … which it names itself */
    uint64_t asked_readable; /* what could be read when the page was asked for, … */
    td_ns asked_at;          /* … and when that was */
    unsigned wait_s;
    unsigned limit;
    uint32_t connection; /* counts them */
    uint64_t got, gaps, resumes;
};

/* ---- the world ---- */

struct srv_world {
    struct td_rng rng;
    struct td_journal_options options;
    struct td_retention_group groups[2]; /* of the options */
    struct td_edge_options edge;
    struct td_endpoints endpoints; /* of `edge` */
    struct td_issuer issuer;
    struct td_auth auth;
    struct td_api api;
    struct td_journal *journal; /* NULL: down */
    struct td_worker *workers[SRV_WORKERS];
    size_t n_workers;
    struct td_journal_reader *eye; /* of the truth */
    struct srv_truth truth;
    struct srv_publisher publishers[SRV_PUBLISHERS];
    struct srv_reader readers[SRV_READERS];
    size_t n_publishers, n_readers;
    struct td_buf tokens[SRV_SUBJECTS];
    struct td_buf renewals[SRV_SUBJECTS]; /* other tokens, that grant SRV_NOBODY besides */
    uint32_t next_request;
    unsigned classed;      /* percent of the events that may be of any class */
    unsigned text_left;    /* as many chunks of one text are said in a row */
    uint16_t hot[SRV_HOT]; /* topics */
    uint32_t text_ends[SRV_TOPICS][SRV_KEYS];
    unsigned boot;
    bool draining;
    bool faults_allowed, faults_on, wall_jumps, sync_may_fail, was_full;
    bool blurred;        /* after faults the table of what was trimmed may say too much */
    td_ns trouble_until; /* after faults the log takes a moment to come back */
    bool final;          /* no more trouble: all must come to an end */
    uint64_t ephemeral, joined, state_shown, views, historic, histories;
    uint64_t published, received, gaps, resumes, crashes, closes, trims, retries;
};

/* server_said.c */
struct td_slice srv_topic(unsigned topic);
/* SRV_TOPICS when there is none of that name. */
unsigned srv_topic_number(struct td_slice topic);
bool srv_is_entity(unsigned topic);
struct td_slice srv_type(uint32_t number, const struct srv_said *said);
struct td_slice srv_key(const struct srv_said *said);
/* The number of an event. */
uint32_t srv_number(struct td_slice data, struct td_slice type);
/* The data of an event, as published or as the log holds it. */
void srv_put_data(struct td_buf *out, uint32_t number, const struct srv_said *said, bool as_stored);
/* The same of a chunk that holds the content of others before it too. */
void srv_put_joined(struct td_buf *out, uint32_t number, const struct srv_said *said,
                    bool as_stored, struct td_slice content, uint64_t offset);
/* The content of a chunk, escaped; returns how many bytes of the text it is. */
uint32_t srv_put_content(struct td_buf *out, uint32_t number, const struct srv_said *said);
/* As it is published. */
void srv_put_event(struct td_buf *out, uint32_t number, const struct srv_said *said, bool one_line);
/* A new event to be published, of which the request is known; its number. */
uint32_t srv_say(struct srv_world *world, struct srv_said said);
struct srv_said *srv_said(struct srv_world *world, uint32_t number);
/* The event of the same request that lies in the log in front of one; 0: it is the first. */
uint32_t srv_said_before(struct srv_world *world, uint32_t number);
bool srv_said_is_last(struct srv_world *world, uint32_t number);

/* server_truth.c */
/* Reads on in the log, and holds it against what was said. */
void srv_observe(struct srv_world *world);
/* Reads the whole log again. */
void srv_audit(struct srv_world *world);
/* After a restart: `power` may have taken back what was not durable. */
void srv_truth_restart(struct srv_world *world, bool power);
/* The index of the first event after `seq`. */
size_t srv_truth_after(const struct srv_truth *truth, uint64_t seq);
const struct srv_event *srv_truth_get(const struct srv_truth *truth, uint64_t seq);
const struct srv_event *srv_truth_lost(const struct srv_truth *truth, uint64_t seq);
/* Whether what lay at a sequence is not to be read any more. */
bool srv_truth_gone(struct srv_world *world, uint64_t seq);
/* … or anything behind it. */
bool srv_truth_trimmed_after(struct srv_world *world, uint64_t seq);
/* Looks which events are not to be read any more (`gone_at`); which look it was. */
uint32_t srv_truth_roll(struct srv_world *world);
#define SRV_ROLL_BLIND UINT32_MAX
/* Whether an event was missing in a roll, as far as anybody can say. */
bool srv_truth_gone_by(const struct srv_event *event, uint32_t roll);
/* Whether the world is blind to something in (from, to]. */
bool srv_truth_blind(const struct srv_truth *truth, uint64_t from, uint64_t to);
/* What became readable in the turn in which the process died may have been seen by readers, and may be gone. */
void srv_truth_blinded(struct srv_world *world);
void srv_truth_done(struct srv_truth *truth);
/* The text of a position in this log. */
const char *srv_position(const struct srv_world *world, uint64_t seq);
/* Reads a raw JSON string that holds a position; `*ret_epoch` may be NULL, then it must be of this log. */
uint64_t srv_read_position(const struct srv_world *world, struct td_slice text,
                           uint32_t *ret_epoch);

/* server_link.c */
bool srv_link_open(struct srv_world *world, struct srv_link *link);
/* Whether the server may refuse and end what it likes: the disk fails it, or it is stopping. */
bool srv_troubled(const struct srv_world *world);
/* Moves bytes in both directions, as far as they go. */
void srv_link_pump(struct srv_world *world, struct srv_link *link);
void srv_link_close(struct srv_link *link, bool reset);
/* Whether the client gives a connection up, to a server that has lost its power: no end comes from there. */
bool srv_link_is_dead(struct srv_world *world, const struct srv_link *link);
bool srv_link_stalls(const struct srv_link *link);
/* Fails the run when the server has ended the connection without a cause. */
void srv_link_judge(struct srv_world *world, struct srv_link *link, const char *who);

/* server_publisher.c */
void srv_publisher_step(struct srv_world *world, struct srv_publisher *publisher);
bool srv_publisher_done(const struct srv_publisher *publisher);
/* The log holds event `number` where an answer says (a raw id; null of an ephemeral one).  `boot`: of the connection. */
void srv_acked(struct srv_world *world, unsigned boot, uint32_t number, struct td_slice raw);

/* server_subject.c */
const char *srv_subject(unsigned subject);
bool srv_granted(const struct srv_world *world, unsigned subject, struct td_slice topic);
/* Whether anything of a pattern is granted.  `*ret_loose` (may be NULL) is set when some of what is has a star before its end, for
 * which a gap may be told that was none. */
bool srv_overlaps(unsigned subject, struct td_slice pattern, bool *ret_loose);
/* Somebody else from now on. */
void srv_reader_new(struct srv_world *world, struct srv_reader *reader);

/* server_reader.c: what a reader must get */
bool srv_wants(const struct srv_world *world, const struct srv_reader *reader,
               const struct srv_event *event);
/* Whether an event was given to be passed over: of class `latest`, with a newer one behind it that this reader gets. */
bool srv_superseded(const struct srv_world *world, const struct srv_reader *reader, size_t event);
/* An event in any format, as JSON. */
void srv_reader_event(struct srv_world *world, struct srv_reader *reader, struct td_slice json);
/* Everything up to `seq` has been said. */
void srv_reader_reach(struct srv_world *world, struct srv_reader *reader, uint64_t seq,
                      const char *by);
/* `{"from","to","reason"}`. */
void srv_reader_gap(struct srv_world *world, struct srv_reader *reader, struct td_slice json);
/* What retention took up to there is no loss any more of what is subscribed now; 0: nothing was told. */
void srv_reader_told(struct srv_reader *reader, uint64_t upto);
/* It stands at the oldest that there is, and is told only of what goes from now on. */
void srv_reader_begun(struct srv_world *world, struct srv_reader *reader);
/* Where state comes that is asked for now. */
struct srv_range srv_reader_due(const struct srv_reader *reader);
/* Whether there is a cause for a gap. */
void srv_check_gap(struct srv_world *world, struct srv_reader *reader, uint64_t from, uint64_t to,
                   struct td_slice reason);
/* Whether it has got everything. */
bool srv_reader_done(struct srv_world *world, const struct srv_reader *reader);
static inline bool srv_is_stream(const struct srv_reader *reader)
{
    return reader->kind != SRV_POLL && reader->kind != SRV_PAGE;
}

/* server_event.c: one event as it is shown */
struct srv_seen {
    struct td_slice id; /* raw; ptr NULL when it has none */
    struct td_slice type, key, data, z, content, offset;
    char topic[TD_TOPIC_LEN_MAX + 1];
    uint32_t number;
    bool state, history;
    struct td_slice ref;
};
/* Reads an event in any format; false when it is none. */
bool srv_look(struct td_slice json, struct srv_seen *ret_seen);
/* Holds an event against what was published, but for the content and offset of chunks, which may be joined. */
void srv_check_event(struct srv_world *world, const struct srv_reader *reader,
                     const struct srv_seen *seen);
/* Holds content and offset of a chunk, the event at index `last` of the truth, against the chunks that it was joined of. Returns the index of
 * the first of them; others may lie between them only when `between` (event `i` belongs to what is read there) says no. */
size_t srv_check_joined(struct srv_world *world, const struct srv_reader *reader,
                        const struct srv_seen *seen, size_t last,
                        bool (*between)(struct srv_world *, const struct srv_reader *, size_t i));

/* server_view.c: what it makes of it */
/* It knows nothing any more. */
void srv_view_forget(struct srv_reader *reader);
/* … of what it is not subscribed to. */
void srv_view_narrow(const struct srv_world *world, struct srv_reader *reader);
/* A new connection goes on from where the last one ended: what it was being shown is not whole. */
void srv_view_resume(struct srv_reader *reader);
/* The state of some patterns (a bit each) is to come, behind what is in the stream up to `due.from`, at the latest when it gets to `due.to`. */
void srv_view_await(const struct srv_world *world, struct srv_reader *reader, unsigned patterns,
                    struct srv_range due);
/* Something else was subscribed: what is on its way may show that too. */
void srv_view_widen(const struct srv_world *world, struct srv_reader *reader);
/* Not all of it may come: something was unsubscribed. */
void srv_view_doubt_awaited(struct srv_reader *reader);
/* The stream goes on behind `position`: what was due there has come. */
void srv_view_settle(struct srv_reader *reader, uint64_t position);
/* The reader is caught up: all of it has come. */
void srv_view_settled(struct srv_reader *reader, uint64_t position);
void srv_view_state(struct srv_world *world, struct srv_reader *reader, const struct srv_seen *seen,
                    uint64_t seq);
/* An event of the stream. */
void srv_view_event(const struct srv_world *world, struct srv_reader *reader, uint32_t number,
                    uint64_t seq);
/* One of which the world does not know what it replaces. */
void srv_view_doubt(const struct srv_world *world, struct srv_reader *reader, uint32_t number);
/* The reader is told that it is caught up. */
void srv_view_check(struct srv_world *world, const struct srv_reader *reader, uint64_t position);
/* The state that a page shows, as of the page's position. */
void srv_view_page(struct srv_world *world, struct srv_reader *reader, struct td_slice state,
                   uint64_t position, bool whole);

/* server_history.c: what comes besides */
/* Chooses where it begins, and appends that. */
void srv_history_ask(struct srv_world *world, struct srv_reader *reader, struct td_buf *since);
/* It was granted for some patterns, and ends at a position. */
void srv_history_begin(struct srv_world *world, struct srv_reader *reader, unsigned patterns,
                       uint64_t position);
/* Some patterns were unsubscribed. */
void srv_history_narrow(struct srv_reader *reader, unsigned patterns);
bool srv_history_is(const struct srv_reader *reader, struct td_slice ref);
void srv_history_event(struct srv_world *world, struct srv_reader *reader,
                       const struct srv_seen *seen, uint64_t seq);
void srv_history_gap(struct srv_world *world, struct srv_reader *reader, struct td_slice json);
void srv_history_end(struct srv_world *world, struct srv_reader *reader);

/* server_client.c: how it gets it */
void srv_reader_step(struct srv_world *world, struct srv_reader *reader);
/* Begins a connection, from where the reader stands, or wants to stand. */
void srv_reader_connect(struct srv_world *world, struct srv_reader *reader);
/* Asks for the next page. */
void srv_reader_ask(struct srv_world *world, struct srv_reader *reader);

/* server_stream.c: what comes on a WebSocket and on an event stream */
/* Takes one message off the front of what has come; false when there is none. */
bool srv_stream_take_ws(struct srv_world *world, struct srv_reader *reader);
bool srv_stream_take_sse(struct srv_world *world, struct srv_reader *reader);
/* Says something on the WebSocket now and then. */
void srv_stream_talk(struct srv_world *world, struct srv_reader *reader);

/* server_page.c: what comes as pages */
void srv_page_take(struct srv_world *world, struct srv_reader *reader,
                   const struct client_answer *answer, struct td_slice body);

/* server_life.c */
void srv_boot(struct srv_world *world);
void srv_crash(struct srv_world *world, bool power);
void srv_stop(struct srv_world *world);
/* Workers, committer and keeper, once each; in the final phase everything that is ready. */
void srv_turn(struct srv_world *world);
void srv_commit(struct srv_world *world);
void srv_keep(struct srv_world *world);

/* sim_server.c */
/* Lets time pass and everyone do what he can. */
void srv_pass(struct srv_world *world, td_ns ns);
