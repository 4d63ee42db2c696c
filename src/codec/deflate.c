/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/deflate.h"
#include "base/assert.h"
#include "base/err.h"
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

/* What ends each message and is left out of it (RFC 7692 §7.2.1): length and complement of an empty stored block. */
static const char tail[TD_DEFLATE_ROOM] = {'\x00', '\x00', '\xff', '\xff'};

/* ---- deflating ---- */

/* Level 1: without takeover the others save a few per cent more, but can be made ten times as slow by what a publisher chooses to send,
 * and one message must not hold up a worker.  Memory level 5 suits the window: less is to be cleared before each message. */
#define LEVEL     1
#define MEM_LEVEL 5

struct td_deflater {
    z_stream z;
};

int td_deflater_new(struct td_deflater **ret_deflater)
{
    struct td_deflater *deflater = calloc(1, sizeof(*deflater));

    if (!deflater)
        return -ENOMEM;
    /* A negative window is how zlib is asked for raw DEFLATE. */
    int r = deflateInit2(&deflater->z, LEVEL, Z_DEFLATED, -TD_DEFLATE_BITS, MEM_LEVEL,
                         Z_DEFAULT_STRATEGY);
    TD_ASSERT(r == Z_OK || r == Z_MEM_ERROR);
    if (r != Z_OK) {
        free(deflater);
        return -ENOMEM;
    }
    *ret_deflater = deflater;
    return 0;
}

void td_deflater_free(struct td_deflater *deflater)
{
    if (!deflater)
        return;
    (void)deflateEnd(&deflater->z); /* what it says of a message that was given up is of no use */
    free(deflater);
}

int td_deflate(struct td_deflater *deflater, struct td_slice message, struct td_buf *out)
{
    z_stream *z = &deflater->z;
    /* With the tail still on it, the longest that is shorter than the message; full at that, it is too long. */
    size_t room = message.len + sizeof(tail);

    TD_ASSERT(message.len < UINT32_MAX / 2);
    int r = td_buf_reserve(out, room);
    if (r < 0)
        return r;
    r = deflateReset(z);
    TD_ASSERT(r == Z_OK);
    z->next_in = (Bytef *)(uintptr_t)message.ptr;
    z->avail_in = (uInt)message.len;
    z->next_out = (Bytef *)out->ptr + out->len;
    z->avail_out = (uInt)room;
    r = deflate(z, Z_SYNC_FLUSH);
    TD_ASSERT(r == Z_OK);
    if (z->avail_out == 0)
        return 0;
    TD_ASSERT(z->avail_in == 0 && z->total_out > sizeof(tail));
    size_t len = z->total_out - sizeof(tail);
    TD_ASSERT(memcmp(out->ptr + out->len + len, tail, sizeof(tail)) == 0);
    out->len += len;
    return 1;
}

/* ---- inflating ---- */

/* Inflated bytes are made in pieces of this size, and each is judged before the next. */
#define PIECE_BYTES 4096

struct td_inflater {
    z_stream z;
    bool begun; /* something of the message has come */
    bool ended; /* the last that came was the end of a block marked as final */
};

int td_inflater_new(unsigned window_bits, struct td_inflater **ret_inflater)
{
    struct td_inflater *inflater = calloc(1, sizeof(*inflater));

    TD_ASSERT(window_bits >= TD_DEFLATE_BITS_MIN && window_bits <= TD_DEFLATE_BITS_MAX);
    if (!inflater)
        return -ENOMEM;
    /* zlib's own compressor has always taken 8 for 9, so peers that agreed to 8 may use 9. */
    int r = inflateInit2(&inflater->z, -(int)TD_MAX(window_bits, 9U));
    TD_ASSERT(r == Z_OK || r == Z_MEM_ERROR);
    if (r != Z_OK) {
        free(inflater);
        return -ENOMEM;
    }
    *ret_inflater = inflater;
    return 0;
}

void td_inflater_free(struct td_inflater *inflater)
{
    if (!inflater)
        return;
    (void)inflateEnd(&inflater->z);
    free(inflater);
}

/* Judges inflated bytes in their order: one that is beyond the limit is not looked at. */
static int take(struct td_slice piece, struct td_utf8 *utf8, struct td_buf *out)
{
    struct td_slice fits = td_slice_to(piece, TD_MIN(piece.len, out->max - out->len));

    if (utf8 && !td_utf8_feed(utf8, fits))
        return TD_EUTF8;
    if (fits.len < piece.len)
        return TD_ETOOLARGE;
    return td_buf_put(out, fits);
}

/* Makes one piece; whether zlib may hold more of it back. */
static int inflate_piece(struct td_inflater *inflater, int flush, struct td_utf8 *utf8,
                         struct td_buf *out, bool *ret_more)
{
    z_stream *z = &inflater->z;
    char piece[PIECE_BYTES];
    bool had_input = z->avail_in > 0;

    z->next_out = (Bytef *)piece;
    z->avail_out = sizeof(piece);
    int r = inflate(z, flush);
    *ret_more = z->avail_out == 0;
    int taken = take(td_slice(piece, sizeof(piece) - z->avail_out), utf8, out);
    if (taken < 0)
        return taken;
    if (r == Z_MEM_ERROR)
        return -ENOMEM;
    if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
        return TD_EPROTO;
    if (r == Z_STREAM_END) {
        /* §7.2.3.4: what follows a final block goes on in the same window.  inflateReset would forget that; this function,
         * which zlib exports but only lists, is the rest of it. */
        r = inflateResetKeep(z);
        TD_ASSERT(r == Z_OK);
        inflater->ended = true;
    } else if (had_input) {
        inflater->ended = false;
    }
    return 0;
}

static int inflate_all(struct td_inflater *inflater, struct td_slice in, int flush,
                       struct td_utf8 *utf8, struct td_buf *out)
{
    z_stream *z = &inflater->z;
    bool more = false;

    TD_ASSERT(in.len < UINT32_MAX / 2);
    z->next_in = (Bytef *)(uintptr_t)in.ptr;
    z->avail_in = (uInt)in.len;
    while (z->avail_in > 0 || more) {
        int r = inflate_piece(inflater, flush, utf8, out, &more);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Puts back what was left out of the message; behind it there must be the boundary between two blocks. */
static int end_message(struct td_inflater *inflater, struct td_utf8 *utf8, struct td_buf *out)
{
    bool begun = inflater->begun;

    inflater->begun = false;
    /* Compressors that are flushed twice in a row, as for an empty message, give nothing the second time.  And nothing can be missing
     * behind a final block, though it should be followed by the first byte of an empty one. */
    if (!begun || inflater->ended)
        return 0;
    int r = inflate_all(inflater, td_slice(tail, sizeof(tail)), Z_BLOCK, utf8, out);
    if (r < 0)
        return r;
    return inflater->z.data_type & 128 ? 0 : TD_EPROTO; /* as documented of Z_BLOCK */
}

int td_inflate(struct td_inflater *inflater, struct td_slice in, bool last, struct td_utf8 *utf8,
               struct td_buf *out)
{
    int r = inflate_all(inflater, in, Z_SYNC_FLUSH, utf8, out);

    inflater->begun |= in.len > 0;
    return r < 0 || !last ? r : end_message(inflater, utf8, out);
}
