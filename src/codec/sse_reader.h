/* SPDX-License-Identifier: Apache-2.0 */
/* The reading side of Server-Sent Events, by the algorithm of WHATWG HTML §9.2.6, for `tidings tail` and for what an upstream streams
 * to us.  Sans-IO and pull style: bytes in, one message a call out, wherever the bytes were cut.
 *
 * Bytes are passed on as they came: the server's stream is UTF-8 by §9.2.5, and who prints it escapes it. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"

/* The longest line, and the most data of one message. */
#define TD_SSE_LINE_MAX ((size_t)2 * 1024 * 1024)
#define TD_SSE_ID_MAX   ((size_t)256)

struct td_sse_message {
    struct td_slice event; /* "message" when the stream did not say */
    struct td_slice data;  /* lines joined by LF */
    struct td_slice id;    /* the last event id as of this message; empty when none has come yet */
};

struct td_sse_reader {
    struct td_buf _line, _data, _event;
    struct td_buf _id;      /* the `id:` of the block that is being read */
    struct td_buf _last_id; /* of the last whole block */
    uint64_t retry_ms;      /* the last `retry:`; 0 when there was none */
    unsigned _bom;          /* bytes of a byte order mark seen at the start; BOM_DONE beyond it */
    bool _after_cr;         /* an LF that follows belongs to the CR before it */
    bool _dispatched;       /* the message in _data and _event was given; the next call clears it */
    int _failed;
};

void td_sse_reader_init(struct td_sse_reader *reader);
void td_sse_reader_done(struct td_sse_reader *reader);
/* A new connection begins: what was incomplete is forgotten, as §9.2.6 says, the last event id and
 * `retry` are kept. */
void td_sse_reader_restart(struct td_sse_reader *reader);

/* Takes from the front of `in` what it understands.  Returns 1 with a message (its slices are good until the
 * next call), 0 when all of `in` is used up, or TD_ETOOLARGE for a line or message beyond
 * TD_SSE_LINE_MAX, or an id beyond TD_SSE_ID_MAX; a reader that has failed stays failed until it is restarted. */
TD_MUST_USE int td_sse_reader_next(struct td_sse_reader *reader, struct td_slice *in,
                                   struct td_sse_message *ret_message);

/* What to send as Last-Event-ID: moved by each block that ended with an empty line and held `id:`, also by one without
 * data.  Empty when there was none.  Good until the next call. */
struct td_slice td_sse_reader_last_id(const struct td_sse_reader *reader);
