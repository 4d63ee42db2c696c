/* SPDX-License-Identifier: Apache-2.0 */
/* What the log must hold: every event that was appended, in order, and what has been said about it. */
#pragma once

#include "base/rng.h"
#include "base/slice.h"
#include "base/topic.h"
#include "journal/journal.h"

/* An event is made from its number: `td_model_draft` makes the same one again. */
struct td_model_event {
    uint64_t seq;
    uint64_t batch; /* events of one batch are in the log together or not at all */
    uint32_t number;
    uint32_t
        content; /* what the content is made from; differs from the number in a repeat under the same dedup key only */
    uint16_t topic;
    uint16_t pad;     /* bytes of data beyond the least */
    uint32_t dedup;   /* the key, 0: none */
    uint32_t key;     /* of the window, also when it is the batch's; of `maybe` only */
    td_unix_ms time;  /* of its append */
    bool gone;        /* trimmed: it is no history any more */
    uint32_t gone_at; /* since which look at the trims; 0: since before this start */
    bool damaged; /* said to be, at the last start: whether it is trimmed as well nobody can say */
};

/* What its content makes of an event. */
struct td_slice td_model_key(const struct td_model_event *event);
enum td_class td_model_class(const struct td_model_event *event);
bool td_model_begins(const struct td_model_event *event);
bool td_model_removes(const struct td_model_event *event);
/* Whether two say the same, so that under one dedup key they are one.  Removals of one key do: only their origins differ, and who
 * says something again after a lost connection has another origin. */
bool td_model_same(const struct td_model_event *a, const struct td_model_event *b);

/* What the dedup window knows. */
struct td_model_known {
    uint32_t key;
    struct td_model_event event;
    uint64_t seq;
    td_unix_ms time;
    td_ns until;  /* the end of its window, of which the journal knows by the monotonic clock */
    uint64_t nth; /* keys that were remembered before it */
    bool unsure;  /* trimmed before a restart: it may be forgotten */
    bool read; /* at a start: then an older one may seem to be younger, if the wall clock jumped */
};

struct td_model {
    struct td_model_event *events; /* by seq, ascending */
    size_t n, cap;
    /* Of the append during which the process died: in the log whole, or not at all. */
    struct td_model_event *maybe;
    size_t n_maybe, maybe_cap;
    bool maybe_sure; /* all of it is new */
    struct td_model_known *known;
    size_t n_known, known_cap;
    uint64_t keys; /* remembered ever */
    uint64_t
        promised; /* everything up to here was readable: it survives a kill, and with fsync a power loss */
    uint64_t synced;        /* was durable: it survives a power loss */
    uint64_t head, horizon; /* at present */
    uint64_t horizon_max;
    uint32_t epoch;
};

void td_model_done(struct td_model *model);
void td_model_add(struct td_model *model, const struct td_model_event *event);
/* The event of a sequence, or NULL. */
const struct td_model_event *td_model_get(const struct td_model *model, uint64_t seq);
/* The index of the first event after `seq`. */
size_t td_model_after(const struct td_model *model, uint64_t seq);
/* The sequence of the last event of a topic, 0: none.  `ret_sure`: it is not trimmed (then state may be left of it, or of an older one). */
uint64_t td_model_last_of(const struct td_model *model, unsigned topic, bool *ret_sure);
/* Whether an event in (after, upto] that has been trimmed matches. */
bool td_model_gone(const struct td_model *model, const struct td_wanted *wanted, size_t n_wanted,
                   uint64_t after, uint64_t upto);
/* Whether an event in (after, upto] that has not been trimmed matches. */
bool td_model_matches(const struct td_model *model, const struct td_wanted *wanted, size_t n_wanted,
                      uint64_t after, uint64_t upto);
bool td_model_wants(const struct td_wanted *wanted, size_t n_wanted,
                    const struct td_model_event *event);

#define TD_MODEL_TOPICS 48
struct td_slice td_model_topic(unsigned topic);
/* A random pattern that some topic may match. */
struct td_slice td_model_pattern(struct td_rng *rng, char ret_text[TD_TOPIC_LEN_MAX + 1]);

/* The draft of an event; the text lies in `text`. */
struct td_model_text {
    char data[70000], dedup[16], key[16], origin[16];
};
struct td_draft td_model_draft(const struct td_model_event *event, struct td_model_text *text);
/* The greatest number of bytes that a sound log could take for the event. */
uint64_t td_model_bytes_max(const struct td_model_event *event);

/* Fails the run unless the record at `bytes` is exactly that event. */
void td_model_check(const struct td_model *model, const struct td_model_event *event,
                    const char *bytes);
/* Keeps a key of the dedup window; its event has its sequence. */
void td_model_remember(struct td_model *model, uint32_t key, const struct td_model_event *event,
                       td_unix_ms time, td_ns until);
/* Forgets the key of an event that is gone. */
void td_model_forget(struct td_model *model, uint64_t seq);
/* The newest of a key, or NULL. */
struct td_model_known *td_model_known(const struct td_model *model, uint32_t key);
/* The event number that a record holds. */
uint32_t td_model_number_of(const char *bytes);
