/* SPDX-License-Identifier: Apache-2.0 */
/* The property of the WebSocket decoder: however a stream is cut, and whether or not an idle decoder is thrown away, the same events and
 * the same fault come out; texts are UTF-8 and within the limit; a decoder that has failed stays failed. */
#pragma once

#include "base/assert.h"
#include "base/err.h"
#include "base/units.h"
#include "codec/ws.h"

#define MESSAGE_MAX 4096

struct agreed {
    unsigned window_bits; /* of compressed messages; 0: none may come */
    bool takeover;
};

struct outcome {
    struct td_buf events; /* each as type, close code, length, payload */
    int failed;
};

static void check_event(const struct td_ws_event *event)
{
    switch (event->type) {
    case TD_WS_TEXT:
    case TD_WS_BINARY:
        TD_ASSERT(event->type != TD_WS_TEXT || td_utf8_valid(event->payload));
        TD_ASSERT(event->payload.len <= MESSAGE_MAX);
        break;
    case TD_WS_CLOSE:
        TD_ASSERT(td_utf8_valid(event->payload));
        TD_ASSERT(event->payload.len <= TD_WS_CONTROL_MAX - 2);
        TD_ASSERT(event->close_code == TD_WS_NO_CODE || td_ws_close_code_valid(event->close_code));
        break;
    case TD_WS_PING:
    case TD_WS_PONG: TD_ASSERT(event->payload.len <= TD_WS_CONTROL_MAX); break;
    case TD_WS_CONT:
    default: TD_ASSERT(false); /* no such event */
    }
}

static void note_event(struct outcome *outcome, const struct td_ws_event *event)
{
    uint32_t facts[] = {event->type, (uint32_t)event->close_code, (uint32_t)event->payload.len};

    TD_ASSERT(td_buf_put(&outcome->events, td_slice((const char *)facts, sizeof(facts))) == 0);
    TD_ASSERT(td_buf_put(&outcome->events, event->payload) == 0);
}

static void check_fault(struct td_ws_decoder *decoder, int err)
{
    char byte = 0, *in = &byte;
    size_t in_len = 1;
    struct td_ws_event event;

    TD_ASSERT(decoder->failed == 1002 || decoder->failed == 1007 || decoder->failed == 1009);
    TD_ASSERT(decoder->failed == td_err_close(err));
    TD_ASSERT(td_ws_decode(decoder, &in, &in_len, &event) == err);
    TD_ASSERT(in_len == 1);
    TD_ASSERT(!td_ws_decoder_idle(decoder));
}

/* Decodes one piece; it is a heap copy of its exact size, since it is unmasked in place. */
static void feed(struct td_ws_decoder *decoder, struct td_slice piece, struct outcome *outcome)
{
    char *copy = malloc(piece.len), *in = copy;
    size_t in_len = piece.len;
    struct td_ws_event event;
    int r;

    TD_ASSERT(copy);
    memcpy(copy, piece.ptr, piece.len);
    while ((r = td_ws_decode(decoder, &in, &in_len, &event)) > 0) {
        check_event(&event);
        note_event(outcome, &event);
    }
    if (r < 0) {
        check_fault(decoder, r);
        outcome->failed = decoder->failed;
    } else {
        TD_ASSERT(in_len == 0);
    }
    free(copy);
}

static void begin(struct td_ws_decoder *decoder, const struct agreed *agreed)
{
    td_ws_decoder_init(decoder, MESSAGE_MAX);
    if (agreed->window_bits > 0)
        td_ws_decoder_inflate(decoder, agreed->window_bits, agreed->takeover);
}

/* Pieces of at most `piece_max` bytes, cut by the bytes of `cuts` where there are some. */
static void run(const struct agreed *agreed, struct td_slice rest, size_t piece_max,
                struct td_slice cuts, bool thrifty, struct outcome *ret_outcome)
{
    struct td_ws_decoder decoder;

    *ret_outcome = (struct outcome){.events = TD_BUF_INIT(64 * TD_MIB)};
    begin(&decoder, agreed);
    for (size_t i = 0; rest.len > 0 && ret_outcome->failed == 0; i++) {
        size_t n = cuts.len > 0 ? 1 + (uint8_t)cuts.ptr[i % cuts.len] % piece_max : piece_max;
        n = TD_MIN(n, rest.len);
        feed(&decoder, td_slice_to(rest, n), ret_outcome);
        rest = td_slice_from(rest, n);
        if (thrifty && td_ws_decoder_idle(&decoder)) {
            td_ws_decoder_done(&decoder);
            begin(&decoder, agreed);
        }
    }
    td_ws_decoder_done(&decoder);
}

static void check_stream(const struct agreed *agreed, struct td_slice stream)
{
    struct outcome whole;

    run(agreed, stream, TD_MAX(stream.len, (size_t)1), (struct td_slice){0}, false, &whole);
    for (int manner = 0; manner < 4; manner++) {
        struct outcome cut;

        /* Byte by byte, or at random: the input is as good a source of that as any. */
        run(agreed, stream, manner < 2 ? 1 : 200, manner < 2 ? (struct td_slice){0} : stream,
            manner & 1, &cut);
        TD_ASSERT(cut.failed == whole.failed);
        TD_ASSERT(td_slice_eq(td_buf_slice(&cut.events), td_buf_slice(&whole.events)));
        td_buf_done(&cut.events);
    }
    td_buf_done(&whole.events);
}
