/* SPDX-License-Identifier: Apache-2.0 */
/* What of some records is sent to one who is behind, and as which messages.  Private to the hub.
 *
 * Whoever is behind gets as much as he would have got in time, and no more than he needs: of `latest` events with the same topic and
 * key that lie in front of him together the last one, and chunks of one text that come next to each other in what he is sent as
 * one.  Everything else goes as it is, in order.
 *
 *     records    A0  L  x  A5  A9  L  y        (A: chunks of a text by offset, L: latest of one key)
 *     messages   A0     x  A5……    L  y        A5 and A9 joined, with the id of A9; the first L is left out
 *
 * Nothing overtakes: a message stands where its last record does. */
#pragma once

#include "base/buf.h"
#include "codec/chunk.h"
#include "hub/hub.h"

#define TD_LAYOUT_RECORDS 256
/* Joined chunks make no message longer than this, unless one of them is. */
#define TD_LAYOUT_JOINED_MAX (16 * 1024)

struct td_layout {
    int n;
    struct iovec parts[TD_LAYOUT_RECORDS]; /* a message each */
    uint64_t seqs[TD_LAYOUT_RECORDS];      /* of the last record in it */
    bool derived[TD_LAYOUT_RECORDS];       /* it can't be made again from that record alone */
    size_t bytes;
    /* What lies behind this may be lost with a power loss: it takes nothing's place, or whoever has passed that would never get it. */
    uint64_t durable;

    struct td_encoder *_encoder;
    struct td_record _views[TD_LAYOUT_RECORDS];
    uint32_t
        _hashes[TD_LAYOUT_RECORDS]; /* of topic and key of the `latest` ones, 0 of the others */
    struct td_chunk _chunks[TD_LAYOUT_RECORDS];
    struct td_buf _encoded; /* messages that are no slices of the log */
    struct td_buf _joined;  /* an event made of several */
};

/* The encoder has to live as long. */
TD_MUST_USE int td_layout_new(struct td_encoder *encoder, struct td_layout **ret_layout);
void td_layout_free(struct td_layout *layout);
/* Lays out at most TD_LAYOUT_RECORDS verified records, in order, for a subscriber, leaving out what ops->wants does not want.
 * With marks (not NULL) each event is told with them.  0, or the error of encoding.  The messages are good until the next call. */
TD_MUST_USE int td_layout_make(struct td_layout *layout, const struct td_hub_ops *ops, void *arg,
                               const struct td_subscriber *subscriber, const char *const *records,
                               size_t n, const struct td_format_marks *marks);
