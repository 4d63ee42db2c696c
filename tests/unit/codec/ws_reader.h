/* SPDX-License-Identifier: Apache-2.0 */
/* Replays what a WebSocket client sends.  What comes out is written as a line:
 *
 *     T5:Hello    a text message (B binary, I ping, O pong) of 5 bytes; T300x* is 300 times '*'
 *     C1000:bye   a close frame
 *     !1002       the fault, as the close code to answer with
 *
 * Chunks are heap copies of their exact size, so that the sanitizers see a step too far. */
#pragma once

#include "base/err.h"
#include "base/units.h"
#include "codec/ws.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define M      70000 /* the limit of messages where it does not matter */
#define FIN    0x80
#define TEXT   (FIN | TD_WS_TEXT)
#define BINARY (FIN | TD_WS_BINARY)
#define CLOSE  (FIN | TD_WS_CLOSE)
#define PING   (FIN | TD_WS_PING)
#define PONG   (FIN | TD_WS_PONG)
#define LAST   (FIN | TD_WS_CONT)

/* What readers that are begun from here on have agreed to with their clients. */
static struct {
    unsigned window_bits; /* 0: nothing is compressed */
    bool takeover;
} agreed;

/* ---- a client ---- */

static void put_frame(struct td_buf *out, int byte0, struct td_slice payload, const char mask[4])
{
    char head[10];
    size_t n = td_ws_frame_head(TD_WS_CONT, payload.len, head);

    head[0] = (char)byte0;
    head[1] = (char)(head[1] | 0x80);
    assert_int_equal(td_buf_put(out, td_slice(head, n)), 0);
    assert_int_equal(td_buf_put(out, td_slice(mask, 4)), 0);
    for (size_t i = 0; i < payload.len; i++)
        assert_int_equal(td_buf_putc(out, (char)(payload.ptr[i] ^ mask[i & 3])), 0);
}

/* ---- what came out ---- */

static void log_payload(struct td_buf *log, struct td_slice payload)
{
    size_t same = 0;

    while (same < payload.len && payload.ptr[same] == payload.ptr[0])
        same++;
    td_buf_putf(log, "%zu", payload.len);
    if (same == payload.len && same > 8) {
        td_buf_putf(log, "x%c ", payload.ptr[0]);
        return;
    }
    td_buf_putc(log, ':');
    td_buf_put(log, payload);
    td_buf_putc(log, ' ');
}

static void log_event(struct td_buf *log, const struct td_ws_event *event)
{
    if (event->type == TD_WS_CLOSE) {
        td_buf_putf(log, "C%d:", event->close_code);
        td_buf_put(log, event->payload);
        td_buf_putc(log, ' ');
        return;
    }
    td_buf_putc(log, event->type == TD_WS_TEXT     ? 'T'
                     : event->type == TD_WS_BINARY ? 'B'
                     : event->type == TD_WS_PING   ? 'I'
                                                   : 'O');
    log_payload(log, event->payload);
}

struct reader {
    struct td_ws_decoder decoder;
    struct td_buf log;
    size_t message_max;
    unsigned window_bits; /* of compressed messages, 0 for none; */
    bool takeover;        /* the window is kept between them */
    bool thrifty;         /* throws the decoder away whenever it is idle */
    bool failed;
};

static void reader_begin(struct reader *reader)
{
    td_ws_decoder_init(&reader->decoder, reader->message_max);
    if (reader->window_bits > 0)
        td_ws_decoder_inflate(&reader->decoder, reader->window_bits, reader->takeover);
}

static void reader_init(struct reader *reader, size_t message_max, bool thrifty)
{
    *reader = (struct reader){.message_max = message_max,
                              .window_bits = agreed.window_bits,
                              .takeover = agreed.takeover,
                              .thrifty = thrifty};
    td_buf_init(&reader->log, 16 * TD_MIB);
    reader_begin(reader);
}

static void reader_done(struct reader *reader)
{
    td_ws_decoder_done(&reader->decoder);
    td_buf_done(&reader->log);
}

static void reader_feed(struct reader *reader, struct td_slice bytes)
{
    char *copy = malloc(TD_MAX(bytes.len, 1u)), *in = copy;
    size_t in_len = bytes.len;
    struct td_ws_event event;
    int r;

    assert_non_null(copy);
    if (bytes.len > 0)
        memcpy(copy, bytes.ptr, bytes.len);
    while ((r = td_ws_decode(&reader->decoder, &in, &in_len, &event)) > 0) {
        log_event(&reader->log, &event);
        if (event.type == TD_WS_CLOSE)
            assert_false(td_ws_decoder_idle(&reader->decoder));
        else if (in_len == 0 && reader->decoder._type == 0)
            assert_true(reader->takeover || td_ws_decoder_idle(&reader->decoder));
    }
    if (r == 0)
        assert_int_equal(in_len, 0);
    if (r < 0) {
        assert_int_equal(reader->decoder.failed, td_err_close(r));
        if (!reader->failed)
            td_buf_putf(&reader->log, "!%d", reader->decoder.failed);
        reader->failed = true;
    }
    if (reader->thrifty && td_ws_decoder_idle(&reader->decoder)) {
        td_ws_decoder_done(&reader->decoder);
        memset(&reader->decoder, 0xa5, sizeof(reader->decoder));
        reader_begin(reader);
    }
    free(copy);
}

static void check_log(const struct reader *reader, const char *name, struct td_slice expected)
{
    struct td_slice log = td_buf_slice(&reader->log);

    if (log.len > 0 && log.ptr[log.len - 1] == ' ')
        log.len--;
    assert_int_equal(reader->log.err, 0);
    if (!td_slice_eq(log, expected))
        fail_msg("%s: got \"%.*s\", expected \"%.*s\"", name, (int)TD_MIN(log.len, 200u), log.ptr,
                 (int)TD_MIN(expected.len, 200u), expected.ptr);
}

/* Replays a stream in one manner: pieces of `step` bytes, the first of them ending at `cut`. */
static void replay(struct td_slice stream, size_t cut, size_t step, size_t message_max,
                   const char *name, struct td_slice expected)
{
    for (int thrifty = 0; thrifty < 2; thrifty++) {
        struct td_slice rest = stream;
        struct reader reader;

        reader_init(&reader, message_max, thrifty);
        for (size_t n = cut; rest.len > 0; n = step) {
            n = TD_MIN(n, rest.len);
            reader_feed(&reader, td_slice_to(rest, n));
            rest = td_slice_from(rest, n);
        }
        check_log(&reader, name, expected);
        reader_done(&reader);
    }
}

static void replay_everywhere(struct td_slice stream, size_t message_max, const char *name,
                              struct td_slice expected)
{
    /* All offsets of a long stream would take hours; its heads and ends are what is interesting. */
    size_t stride = stream.len > 2000 ? 1999 : 1;

    replay(stream, stream.len, stream.len, message_max, name, expected);
    replay(stream, 1, 1, message_max, name, expected);
    for (size_t cut = 1; cut < stream.len;
         cut += cut < 64 || cut + 64 > stream.len ? 1 : TD_MIN(stride, stream.len - 64 - cut + 1))
        replay(stream, cut, stream.len, message_max, name, expected);
}

/* ---- vectors ---- */

struct piece {
    int byte0; /* 0: raw bytes, a frame otherwise; 0x100 a non-final continuation */
    struct td_slice bytes;
    char fill; /* when set: bytes.len times this character */
};

struct vector {
    const char *name;
    const char *expected;
    struct piece pieces[8];
    size_t message_max;
};

#define F(byte0, literal)                           \
    {                                               \
        (byte0) ? (byte0) : 0x100, TD_S(literal), 0 \
    }
#define BIG(byte0, len, chr)                        \
    {                                               \
        (byte0) ? (byte0) : 0x100, {NULL, len}, chr \
    }
#define RAW(literal)        \
    {                       \
        0, TD_S(literal), 0 \
    }

static void build(const struct vector *vector, struct td_buf *stream)
{
    static const char mask[4] = {0x37, (char)0xfa, 0x21, 0x3d};

    for (size_t i = 0; i < TD_ARRAY_LEN(vector->pieces); i++) {
        const struct piece *piece = &vector->pieces[i];
        struct td_buf filled = TD_BUF_INIT(TD_MIB);
        struct td_slice bytes = piece->bytes;

        if (piece->fill) {
            assert_int_equal(td_buf_reserve(&filled, bytes.len), 0);
            memset(filled.ptr, piece->fill, bytes.len);
            bytes.ptr = filled.ptr;
        }
        if (piece->byte0 == 0)
            assert_int_equal(td_buf_put(stream, bytes), 0);
        else
            put_frame(stream, piece->byte0 & 0xff, bytes, mask);
        td_buf_done(&filled);
    }
}

static void run_vectors(const struct vector *vectors, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct td_buf stream = TD_BUF_INIT(TD_MIB);

        build(&vectors[i], &stream);
        replay_everywhere(td_buf_slice(&stream), vectors[i].message_max, vectors[i].name,
                          td_slice_str(vectors[i].expected));
        td_buf_done(&stream);
    }
}

#define VECTORS(table)                           \
    static void test_##table(void **state)       \
    {                                            \
        (void)state;                             \
        run_vectors(table, TD_ARRAY_LEN(table)); \
    }
