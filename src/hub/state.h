/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the hub share.  Private to it. */
#pragma once

#include "hub/hub.h"
#include "hub/index.h"
#include "hub/layout.h"
#include "hub/wakeup.h"

/* A turn of one subscriber that is behind: bytes sent, records looked at. */
#define TD_TURN_BYTES   (64 * 1024)
#define TD_TURN_RECORDS 1024
/* As how many bytes sent a byte counts that was compressed for this one alone: it takes some ten times as long, and is worth some of that
 * to whoever has a slow line. */
#define TD_TURN_DEFLATED 4

/* What one step of sending to one who is behind came to. */
enum td_step {
    TD_STEP_ON,      /* go on */
    TD_STEP_AGAIN,   /* its turn is over; it wants another */
    TD_STEP_BLOCKED, /* its socket takes no more, or it is gone */
    TD_STEP_COLD,    /* a segment has to be read in first */
    TD_STEP_LIVE,
};

/* What is left of a turn. */
struct td_budget {
    size_t bytes, records;
};

struct td_hub {
    struct td_journal *journal;
    struct td_journal_reader *reader;
    const struct td_hub_ops *ops;
    void *arg;         /* of the ops */
    uint64_t position; /* the worker's cursor: the live have everything at or before it */
    struct td_index index;
    struct td_wanted all; /* `**` */
    struct td_wakeup *wakeup;
    struct td_encoder encoder;
    struct td_list again; /* behind, and able to go on at once */
    struct td_list cold;  /* behind, waiting for a segment to be read in */
    struct td_list paced; /* may be sent more at their `_due_ms`, the first first */
    td_ns now;
    struct td_layout *layout;
    struct td_buf scratch; /* the record that went in part, made again; ephemeral events */
    struct td_hub_stat stat;
};

/* Counts `taken` bytes of records that were sent one after the other: moves the position past those that went out
 * whole and notes the one that went in part.  Returns how many went out whole. */
struct td_sent {
    const uint64_t *seqs;
    const size_t *lens;
    size_t n;
};
size_t td_hub_account(struct td_subscriber *subscriber, const struct td_sent *sent, size_t taken);
/* Whether a paced one has been sent something so lately that it has to wait. */
bool td_hub_is_early(const struct td_hub *hub, const struct td_subscriber *subscriber);
/* Puts one that is early on the list of those that get a turn when their time has come. */
void td_hub_wait(struct td_hub *hub, struct td_subscriber *subscriber);
/* It has been sent something: from now on it is early for a while. */
void td_hub_sent(const struct td_hub *hub, struct td_subscriber *subscriber);
/* Lays out records for one who is behind, and charges his turn for them.  False when memory is out; then the connection can't go on. */
bool td_hub_lay_out(struct td_hub *hub, struct td_subscriber *subscriber,
                    const char *const *records, size_t n, const struct td_format_marks *marks,
                    struct td_budget *budget);
