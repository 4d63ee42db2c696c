/* SPDX-License-Identifier: Apache-2.0 */
/* One wakeup: the new records, the runs that they form by pattern, and their bytes.  Private to the hub.
 *
 * A run is what one pattern's subscribers get of the wakeup.  Whoever is touched by one run, most are, is
 * sent the run's bytes, which are put together once; who is touched by several gets them merged by sequence,
 * each record once.  Where that, or what remains of it for one that is `checked`, is the same as a run or as what the one
 * before got, it is sent the same bytes. */
#pragma once

#include "base/buf.h"
#include "hub/index.h"

/* A wakeup's bounds: records, and bytes of their frames. */
#define TD_WAKEUP_RECORDS 1024
#define TD_WAKEUP_BYTES   (1024 * 1024)
/* Bytes encoded or gathered in a wakeup; whom it does not suffice falls behind and reads on by himself. */
#define TD_WAKEUP_ENCODED_MAX (16 * 1024 * 1024)

struct td_span {
    uint32_t at, len; /* in td_wakeup._bytes; len 0: not made yet */
};

struct td_run {
    struct td_pattern *pattern;
    struct td_run *next;
    uint16_t *items; /* records of the wakeup, ascending */
    uint32_t n, cap;
    struct td_span bytes[TD_WIRES]; /* gathered, for each wire that somebody wanted */
};

struct td_run_link {
    struct td_run_link *next;
    struct td_run *run;
};

/* Somebody whom the wakeup touches. */
struct td_touched {
    struct td_subscriber *subscriber;
    struct td_run *run;       /* the first run that does, … */
    struct td_run_link *more; /* … and the others */
};

struct td_wakeup {
    struct td_encoder *encoder; /* the hub's */
    uint64_t number;
    size_t n;
    const char *records[TD_WAKEUP_RECORDS];
    struct td_record views[TD_WAKEUP_RECORDS];
    struct td_run *runs;   /* newest first */
    struct td_run *_spare; /* of earlier wakeups */
    struct td_touched *touched;
    size_t n_touched, _cap_touched;
    struct td_run_link *_links;
    size_t _n_links, _cap_links;
    struct td_span *_encoded[TD_WIRES]; /* each record as on that wire */
    uint64_t _encoded_in[TD_WIRES];     /* the wakeup for which that is */
    struct td_buf _bytes;               /* encoded records, and runs put together */
    struct td_buf _own;                 /* the latest share that is no run: */
    uint64_t _own_in;                   /* the wakeup in which it was put together; 0: none */
    enum td_wire _own_wire;
    size_t _own_n;
    uint16_t _own_items[TD_WAKEUP_RECORDS];
    uint16_t _merged[2][TD_WAKEUP_RECORDS];
    uint16_t _kept[TD_WAKEUP_RECORDS]; /* of a share, by one that is checked */
};

/* What one subscriber gets: records of the wakeup in order. */
struct td_share {
    const uint16_t *items;
    size_t n;
    struct td_run *run; /* when it is what one run is, else NULL */
};

TD_MUST_USE int td_wakeup_new(struct td_encoder *encoder, struct td_wakeup **ret_wakeup);
void td_wakeup_free(struct td_wakeup *wakeup);
/* Sorts the `n` records in `records` into runs and finds whom they touch.  0 or -ENOMEM. */
TD_MUST_USE int td_wakeup_gather(struct td_wakeup *wakeup, const struct td_index *index);
/* What a touched subscriber gets; one that is `checked` is asked through ops->wants.  Good until the next call. */
void td_wakeup_share(struct td_wakeup *wakeup, const struct td_touched *touched,
                     const struct td_hub_ops *ops, void *arg, struct td_share *ret_share);
/* The bytes of record number `item`. 0, TD_ETOOLARGE, -ENOMEM.  The slice is good until the next call. */
TD_MUST_USE int td_wakeup_record(struct td_wakeup *wakeup, enum td_wire wire, size_t item,
                                 struct td_slice *ret_bytes);
/* The bytes of a share, one after the other.  Likewise. */
TD_MUST_USE int td_wakeup_bytes(struct td_wakeup *wakeup, enum td_wire wire,
                                const struct td_share *share, struct td_slice *ret_bytes);
/* Gives back what a large wakeup took. */
void td_wakeup_end(struct td_wakeup *wakeup);
