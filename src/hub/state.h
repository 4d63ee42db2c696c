/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the hub share.  Private to it. */
#pragma once

#include "hub/hub.h"
#include "hub/index.h"
#include "hub/wakeup.h"

/* A turn of one subscriber that is behind: bytes sent, records looked at. */
#define TD_TURN_BYTES   (64 * 1024)
#define TD_TURN_RECORDS 1024
/* As how many bytes sent a byte counts that was compressed for this one alone: it takes some ten times as long, and is worth some of that
 * to whoever has a slow line. */
#define TD_TURN_DEFLATED 4

struct td_hub {
    struct td_journal *journal;
    struct td_journal_reader *reader;
    const struct td_hub_ops *ops;
    void *arg;         /* of the ops */
    uint64_t position; /* the worker's cursor: the live have everything at or before it */
    struct td_index index;
    struct td_wakeup *wakeup;
    struct td_encoder encoder;
    struct td_list again;  /* behind, and able to go on at once */
    struct td_list cold;   /* behind, waiting for a segment to be read in */
    struct td_buf scratch; /* encoded records of one that is behind */
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
