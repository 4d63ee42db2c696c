/* SPDX-License-Identifier: Apache-2.0 */
/* The frames that a client sends (RFC 6455 §5), made into messages.
 *
 *     head ──whole──▶ payload ──whole──▶ an event, or (a fragment) the next head
 *
 * Every rule is checked at the byte that breaks it, in the order of the bytes, so that how the network cut
 * the stream changes nothing: the same events come out, and the same fault.
 *
 * A payload that lies whole in the input is unmasked there and given as a slice of it.  Only what is still
 * incomplete when the input ends, and fragments, are copied: a control frame into `_control`, since it
 * may stand between the fragments of a message, which gather in `_message`.  `_message` grows by what has
 * arrived; a head that announces much costs nothing.
 *
 * A compressed message (RFC 7692) is inflated as it arrives and gathers in `_message` too, whether it lies whole in the input or
 * not.  Its inflater lives as long as the message, unless its window is kept for the next. */
#include "base/assert.h"
#include "base/err.h"
#include "codec/deflate.h"
#include "codec/ws.h"

_Static_assert(TD_WS_CONTROL_MAX <= UINT8_MAX, "_control_len holds it");

void td_ws_decoder_init(struct td_ws_decoder *decoder, size_t message_max)
{
    *decoder = (struct td_ws_decoder){._message_max = message_max};
    td_buf_init(&decoder->_message, message_max);
}

void td_ws_decoder_inflate(struct td_ws_decoder *decoder, unsigned window_bits, bool takeover)
{
    TD_ASSERT(window_bits >= TD_DEFLATE_BITS_MIN && window_bits <= TD_DEFLATE_BITS_MAX);
    decoder->_window_bits = (uint8_t)window_bits;
    decoder->_takeover = takeover;
}

static void drop_inflater(struct td_ws_decoder *decoder)
{
    td_inflater_free(decoder->_inflater);
    decoder->_inflater = NULL;
}

void td_ws_decoder_done(struct td_ws_decoder *decoder)
{
    drop_inflater(decoder);
    td_buf_done(&decoder->_message);
}

bool td_ws_decoder_idle(const struct td_ws_decoder *decoder)
{
    return decoder->_head_len == 0 && decoder->_type == 0 && !decoder->_closed &&
           !decoder->_inflater && decoder->failed == 0;
}

static int fail(struct td_ws_decoder *decoder, int err)
{
    drop_inflater(decoder);
    td_buf_done(&decoder->_message);
    decoder->_err = err;
    decoder->failed = td_err_close(err);
    return err;
}

static bool is_control(const struct td_ws_decoder *decoder)
{
    return (decoder->_head[0] & 0x08) != 0;
}

static enum td_ws_opcode opcode(const struct td_ws_decoder *decoder)
{
    return (enum td_ws_opcode)(decoder->_head[0] & 0x0f);
}

static bool is_final(const struct td_ws_decoder *decoder)
{
    return (decoder->_head[0] & 0x80) != 0;
}

/* Whether the frame is of a compressed message: its first frame says so (RFC 7692 §6). */
static bool is_compressed(const struct td_ws_decoder *decoder)
{
    return opcode(decoder) == TD_WS_CONT ? decoder->_compressed
                                         : (decoder->_head[0] & TD_WS_RSV1) != 0;
}

/* ---- the head ---- */

/* FIN, RSV and opcode (§5.2), and what may follow what (§5.4). */
static int check_opcode(struct td_ws_decoder *decoder)
{
    bool begins = opcode(decoder) == TD_WS_TEXT || opcode(decoder) == TD_WS_BINARY;

    if (decoder->_head[0] & 0x30) /* what no extension that is spoken uses */
        return TD_EPROTO;
    /* RFC 7692 §6, §6.1: only where it was agreed to, and neither on a continuation nor on a control frame. */
    if ((decoder->_head[0] & TD_WS_RSV1) && (decoder->_window_bits == 0 || !begins))
        return TD_EPROTO;
    switch (decoder->_head[0] & 0x0f) {
    case TD_WS_CONT:
        if (decoder->_type == 0)
            return TD_EPROTO;
        return decoder->_fragments < TD_WS_FRAGMENTS_MAX ? 0 : TD_ETOOLARGE;
    case TD_WS_TEXT:
    case TD_WS_BINARY: return decoder->_type == 0 ? 0 : TD_EPROTO;
    case TD_WS_CLOSE:
    case TD_WS_PING:
    case TD_WS_PONG: return is_final(decoder) ? 0 : TD_EPROTO; /* §5.5: never fragmented */
    default: return TD_EPROTO;
    }
}

/* MASK and the short length, which says how many bytes of length follow. */
static int check_mask(struct td_ws_decoder *decoder, size_t *ret_len_bytes)
{
    uint8_t len = decoder->_head[1] & 0x7f;

    if (!(decoder->_head[1] & 0x80)) /* §5.1: a client masks */
        return TD_EPROTO;
    if (is_control(decoder) && len > TD_WS_CONTROL_MAX)
        return TD_EPROTO;
    if (opcode(decoder) == TD_WS_CLOSE && len == 1) /* §5.5.1: nothing, or a code of two bytes */
        return TD_EPROTO;
    *ret_len_bytes = len == 126 ? 2 : len == 127 ? 8 : 0;
    return 0;
}

/* How much a frame of a message may announce: §10.4, as soon as it is known, and for the message, as limits of frames do not bound it.  Of
 * a compressed one it bounds only the work; what comes out of it is bounded where it does. */
static uint64_t room_for(const struct td_ws_decoder *decoder)
{
    if (!is_compressed(decoder))
        return decoder->_message_max - decoder->_message.len;
    return decoder->_message_max + decoder->_message_max / 4 + 64 - decoder->_announced;
}

/* The length of the payload.  All arithmetic is unsigned, and nothing is added before it was compared. */
static int check_len(struct td_ws_decoder *decoder, size_t len_bytes)
{
    uint64_t len = decoder->_head[1] & 0x7f;

    if (len_bytes > 0) {
        len = 0;
        for (size_t i = 0; i < len_bytes; i++)
            len = len << 8 | decoder->_head[2 + i];
        if (len > INT64_MAX) /* §5.2: the most significant bit must be 0 */
            return TD_EPROTO;
        if (len < (len_bytes == 2 ? 126 : 65536)) /* §5.2: the minimal number of bytes */
            return TD_EPROTO;
    }
    if (!is_control(decoder) && len > room_for(decoder))
        return TD_ETOOLARGE;
    decoder->_left = len;
    return 0;
}

static void begin_payload(struct td_ws_decoder *decoder)
{
    memcpy(decoder->_mask, decoder->_head + decoder->_head_len - 4, 4);
    decoder->_mask_at = 0;
    decoder->_in_payload = true;
    if (is_control(decoder)) {
        decoder->_control_len = 0;
        return;
    }
    if (opcode(decoder) != TD_WS_CONT) {
        decoder->_type = (uint8_t)opcode(decoder);
        decoder->_utf8 = (struct td_utf8){0};
        decoder->_fragments = 0;
        decoder->_compressed = (decoder->_head[0] & TD_WS_RSV1) != 0;
    }
    decoder->_fragments++;
    decoder->_announced += decoder->_compressed ? decoder->_left : 0;
}

/* Judges the head after each of its bytes.  1 when it is whole. */
static int head_grew(struct td_ws_decoder *decoder)
{
    size_t len_bytes;

    if (decoder->_head_len == 1)
        return check_opcode(decoder);
    int r = check_mask(decoder, &len_bytes);
    if (r < 0)
        return r;
    if (decoder->_head_len == 2 + len_bytes)
        return check_len(decoder, len_bytes);
    if (decoder->_head_len < 2 + len_bytes + 4)
        return 0;
    begin_payload(decoder);
    return 1;
}

static int take_head(struct td_ws_decoder *decoder, char **in, size_t *in_len)
{
    int r = 0;

    while (r == 0 && *in_len > 0) {
        TD_ASSERT(decoder->_head_len < sizeof(decoder->_head));
        memcpy(decoder->_head + decoder->_head_len++, *in, 1);
        (*in)++;
        (*in_len)--;
        r = head_grew(decoder);
    }
    return r;
}

/* ---- the payload ---- */

/* §5.3, eight bytes at a time; `at` says where in the mask the first byte stands. */
static void unmask(char *bytes, size_t n, const uint8_t mask[4], uint8_t at)
{
    uint8_t turned[8];
    uint64_t turned_word;
    size_t i = 0;

    for (size_t k = 0; k < sizeof(turned); k++)
        turned[k] = mask[(at + k) & 3];
    memcpy(&turned_word, turned, sizeof(turned_word));
    for (; n - i >= sizeof(turned_word); i += sizeof(turned_word)) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof(word));
        word ^= turned_word;
        memcpy(bytes + i, &word, sizeof(word));
    }
    for (; i < n; i++)
        bytes[i] = (char)(bytes[i] ^ turned[i & 7]);
}

/* What there is of a close frame, from its beginning (at most 125 bytes): the code as soon as it is there
 * (§7.4), and its reason (§5.5.1). */
static int check_close(struct td_slice payload, bool whole)
{
    struct td_utf8 utf8 = {0};

    if (payload.len < 2)
        return 0;
    int code = (uint8_t)payload.ptr[0] << 8 | (uint8_t)payload.ptr[1];
    if (!td_ws_close_code_valid(code))
        return TD_EPROTO;
    if (!td_utf8_feed(&utf8, td_slice_from(payload, 2)))
        return TD_EUTF8;
    return whole && !td_utf8_complete(&utf8) ? TD_EUTF8 : 0;
}

/* Takes what came of a control frame, whole in `came` or gathered.  1 with the payload once it is whole. */
static int take_control(struct td_ws_decoder *decoder, struct td_slice came,
                        struct td_slice *ret_payload)
{
    struct td_slice payload = came;
    bool whole = decoder->_left == 0;

    if (!whole || decoder->_control_len > 0) {
        TD_ASSERT(came.len <= sizeof(decoder->_control) - decoder->_control_len);
        memcpy(decoder->_control + decoder->_control_len, came.ptr, came.len);
        decoder->_control_len = (uint8_t)(decoder->_control_len + came.len);
        payload = td_slice((const char *)decoder->_control, decoder->_control_len);
    }
    int r = opcode(decoder) == TD_WS_CLOSE ? check_close(payload, whole) : 0;
    if (r < 0 || !whole)
        return r;
    *ret_payload = payload;
    return 1;
}

/* The same for a frame of a compressed message.  1 with what it says once the message is whole. */
static int take_compressed(struct td_ws_decoder *decoder, struct td_slice came,
                           struct td_slice *ret_payload)
{
    bool text = decoder->_type == TD_WS_TEXT;
    bool whole = decoder->_left == 0 && is_final(decoder);
    int r = 0;

    if (!decoder->_inflater)
        r = td_inflater_new(decoder->_window_bits, &decoder->_inflater);
    if (r == 0)
        r = td_inflate(decoder->_inflater, came, whole, text ? &decoder->_utf8 : NULL,
                       &decoder->_message);
    if (r < 0 || !whole)
        return r;
    if (text && !td_utf8_complete(&decoder->_utf8))
        return TD_EUTF8;
    if (!decoder->_takeover)
        drop_inflater(decoder);
    decoder->_announced = 0;
    *ret_payload = decoder->_message.len > 0 ? td_buf_slice(&decoder->_message) : TD_S("");
    return 1;
}

/* The same for a frame of a message that is not.  1 with the payload once the message is whole. */
static int take_data(struct td_ws_decoder *decoder, struct td_slice came,
                     struct td_slice *ret_payload)
{
    bool text = decoder->_type == TD_WS_TEXT;
    bool whole = decoder->_left == 0 && is_final(decoder);

    if (text && !td_utf8_feed(&decoder->_utf8, came)) /* §8.1 */
        return TD_EUTF8;
    if (text && whole && !td_utf8_complete(&decoder->_utf8))
        return TD_EUTF8;
    if (whole && decoder->_message.len == 0) {
        *ret_payload = came;
        return 1;
    }
    int r = td_buf_put(&decoder->_message, came);
    if (r < 0 || !whole)
        return r;
    *ret_payload = td_buf_slice(&decoder->_message);
    return 1;
}

static void fill_event(struct td_ws_decoder *decoder, struct td_slice payload,
                       struct td_ws_event *ret_event)
{
    if (!is_control(decoder)) {
        *ret_event = (struct td_ws_event){(enum td_ws_opcode)decoder->_type, payload, 0};
        decoder->_type = 0;
        return;
    }
    *ret_event = (struct td_ws_event){opcode(decoder), payload, 0};
    if (opcode(decoder) != TD_WS_CLOSE)
        return;
    decoder->_closed = true;
    ret_event->close_code = TD_WS_NO_CODE; /* §7.1.5 */
    if (payload.len >= 2) {
        ret_event->close_code = (uint8_t)payload.ptr[0] << 8 | (uint8_t)payload.ptr[1];
        ret_event->payload = td_slice_from(payload, 2);
    }
}

/* 1 with an event, 0 when the frame is a fragment that is whole or a frame that is not. */
static int take_payload(struct td_ws_decoder *decoder, char **in, size_t *in_len,
                        struct td_ws_event *ret_event)
{
    struct td_slice payload = {0};
    size_t n = (size_t)TD_MIN(decoder->_left, (uint64_t)*in_len);
    struct td_slice came = td_slice(*in, n);

    unmask(*in, n, decoder->_mask, decoder->_mask_at);
    decoder->_mask_at = (uint8_t)((decoder->_mask_at + n) & 3);
    decoder->_left -= n;
    *in += n;
    *in_len -= n;
    int r = is_control(decoder)      ? take_control(decoder, came, &payload)
            : is_compressed(decoder) ? take_compressed(decoder, came, &payload)
                                     : take_data(decoder, came, &payload);
    if (r < 0)
        return r;
    if (r > 0)
        fill_event(decoder, payload, ret_event);
    if (decoder->_left == 0) {
        decoder->_in_payload = false;
        decoder->_head_len = 0;
    }
    return r;
}

/* ---- both ---- */

int td_ws_decode(struct td_ws_decoder *decoder, char **in, size_t *in_len,
                 struct td_ws_event *ret_event)
{
    int r = 0;

    if (decoder->failed)
        return decoder->_err;
    if (decoder->_type == 0) /* a message that was given from here is no longer used */
        td_buf_done(&decoder->_message);
    if (decoder->_closed) { /* §5.5.1: nothing follows a close frame */
        *in += *in_len;
        *in_len = 0;
        return 0;
    }
    if (*in_len == 0)
        return 0;
    for (;;) {
        if (!decoder->_in_payload) {
            r = take_head(decoder, in, in_len);
            if (r <= 0)
                break;
        }
        r = take_payload(decoder, in, in_len, ret_event);
        if (r != 0 || decoder->_in_payload) /* still in it: the input is used up */
            break;
    }
    return r < 0 ? fail(decoder, r) : r;
}
