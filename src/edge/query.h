/* SPDX-License-Identifier: Apache-2.0 */
/* What a request asks of the resource /api/v1/events: `topic`, `since`, `type`, `format`, `limit`, `wait`, `state`. */
#pragma once

#include "codec/format.h"
#include "edge/http.h"

enum td_since {
    TD_SINCE_NONE,
    TD_SINCE_EARLIEST,
    TD_SINCE_NOW,
    TD_SINCE_POSITION,
};

/* When the retained state is sent. */
enum td_state_wish {
    TD_STATE_DEFAULT,   /* to a stream that begins without `since`, and after a gap */
    TD_STATE_AFTER_GAP, /* only then */
    TD_STATE_NEVER,     /* `state=0` */
    TD_STATE_FIRST,     /* `state=1`: at the beginning, and after a gap */
};

struct td_query {
    struct td_slice *topics; /* valid patterns */
    size_t n_topics;
    bool any_topic; /* it is enough that something of one of them is granted */
    struct td_slice *types;
    size_t n_types;
    enum td_since since;
    struct td_position position;
    enum td_format format;
    bool has_format;
    uint64_t limit; /* 0: not given */
    uint64_t wait_s;
    bool has_wait;
    enum td_state_wish state;
    const struct td_permits
        *permits; /* what the authorizer says of the topics; NULL: it was not asked */
    struct td_buf _text;
    struct td_slice _lists[2 * 128];
};
#define TD_QUERY_LIST_MAX 128

/* Reads the query of a request, and Last-Event-ID, which wins over `since`.  0, or an error with a sentence in `why`.
 * End with td_query_done in either case. */
TD_MUST_USE int td_query_read(struct td_query *query, const struct td_http_request *head,
                              struct td_buf *why);
void td_query_done(struct td_query *query);
/* Reads `earliest`, `now` or a position.  0 or TD_EPOSITION. */
TD_MUST_USE int td_since_parse(struct td_slice text, enum td_since *ret_since,
                               struct td_position *ret_position);
