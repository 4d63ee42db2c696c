/* SPDX-License-Identifier: Apache-2.0 */
/* The WebSocket protocol, RFC 6455, the server's side.  Sans-IO: bytes in, messages out.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-------+-+-------------+-------------------------------+
 *     |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
 *     |I|S|S|S|  (4)  |A|     (7)     |          (16 or 64)           |
 *     |N|V|V|V|       |S|             |                               |
 *     +-+-+-+-+-------+-+-------------+-------------------------------+   (§5.2)
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"
#include "base/utf8.h"

enum td_ws_opcode {
    TD_WS_CONT = 0,
    TD_WS_TEXT = 1,
    TD_WS_BINARY = 2,
    TD_WS_CLOSE = 8,
    TD_WS_PING = 9,
    TD_WS_PONG = 10,
};

#define TD_WS_HEAD_MAX      14
#define TD_WS_CONTROL_MAX   125
#define TD_WS_ACCEPT_LEN    28
#define TD_WS_FRAGMENTS_MAX 16384 /* frames of one message */
#define TD_WS_RSV1 \
    0x40 /* in the first byte of a message's first frame: it is compressed (RFC 7692 §6) */

/* "No code": what an empty close frame means (§7.1.5); never sent as a number. */
#define TD_WS_NO_CODE 1005

struct td_inflater;

/* Decodes what a client sends.  Holds memory only while a message is incomplete: td_ws_decoder_idle says
 * whether the structure may be thrown away (with td_ws_decoder_done) and begun anew at the next byte.  That is so after
 * every whole message, ping and pong, unless part of the next frame or an open message is held, or a compressed message
 * has left a window that the next goes on in. */
struct td_ws_decoder {
    size_t _message_max;
    struct td_buf _message;        /* of a fragmented message, or of a frame that came in pieces */
    uint64_t _left;                /* payload bytes of the frame that are still to come */
    struct td_utf8 _utf8;          /* of the open message */
    uint32_t _fragments;           /* of the open message */
    uint64_t _announced;           /* bytes of its frames so far, when it is compressed */
    struct td_inflater *_inflater; /* of an open compressed message, or with its window kept */
    int _err;                      /* what td_ws_decode returns once it has failed */
    int failed; /* the close code to send, once the stream has broken a rule (1002, 1007, 1009) */
    uint8_t _mask[4], _mask_at;
    uint8_t _type;        /* TD_WS_TEXT or _BINARY of the open message, 0 when none */
    uint8_t _window_bits; /* of compressed messages; 0: none may come */
    bool _takeover;       /* their window is kept between them */
    bool _compressed;     /* the open message is */
    bool _in_payload, _closed;
    uint8_t _head[TD_WS_HEAD_MAX], _head_len; /* kept until the frame is whole */
    uint8_t _control[TD_WS_CONTROL_MAX], _control_len;
};

struct td_ws_event {
    enum td_ws_opcode type;  /* TEXT, BINARY: a whole message; PING, PONG, CLOSE */
    struct td_slice payload; /* of CLOSE the reason; good until the next call */
    int close_code;          /* of CLOSE: TD_WS_NO_CODE when the frame was empty */
};

void td_ws_decoder_init(struct td_ws_decoder *decoder, size_t message_max);
/* Takes compressed messages from here on, as has been agreed to (codec/ws_extension.h): with a window of `window_bits`, kept from one
 * to the next when `takeover`. */
void td_ws_decoder_inflate(struct td_ws_decoder *decoder, unsigned window_bits, bool takeover);
void td_ws_decoder_done(struct td_ws_decoder *decoder);
bool td_ws_decoder_idle(const struct td_ws_decoder *decoder);
/* Takes bytes from the front of `in` (`*in` is moved past them; they are unmasked in place) until one event is whole.
 * Returns 1 with an event, 0 when all input is used and more is needed, TD_EPROTO, TD_EUTF8 or TD_ETOOLARGE once
 * the peer has broken the protocol: `failed` then holds the close code, and every further call fails the same.
 * A payload is a slice of the input where it could be, so it is also lost when the input is overwritten.
 * Messages that were whole before the fault have been given.  UTF-8 is checked as bytes arrive (§8.1), also
 * of close reasons; a close code that may not be sent (§7.4) is a fault.  TD_ETOOLARGE comes as soon as a head
 * announces what would make the message longer than `message_max`, and for more than TD_WS_FRAGMENTS_MAX frames.
 * A compressed message is inflated as it comes, and its limit and its UTF-8 are those of what comes out; bytes that can't be inflated are
 * TD_EPROTO.  Its frames may announce a quarter more than the limit in all, since what can't be compressed becomes longer.
 * Bytes behind a close frame are swallowed (§5.5.1); a decoder that has given one is not idle any more.
 * -ENOMEM, with `failed` 1013, is the only error that is not the peer's. */
TD_MUST_USE int td_ws_decode(struct td_ws_decoder *decoder, char **in, size_t *in_len,
                             struct td_ws_event *ret_event);

/* Writes the head of an unmasked final frame to `ret_head`; returns its length: 2, 4 or 10. */
size_t td_ws_frame_head(enum td_ws_opcode opcode, uint64_t payload_len, char ret_head[10]);
/* Length of that head. */
static inline size_t td_ws_head_len(uint64_t payload_len)
{
    return payload_len < 126 ? 2 : payload_len < 65536 ? 4 : 10;
}
/* Appends a whole unmasked frame, or nothing.  0, TD_ETOOLARGE or -ENOMEM as td_buf_put.  The payload of a control
 * frame has at most TD_WS_CONTROL_MAX bytes. */
int td_ws_put_frame(struct td_buf *out, enum td_ws_opcode opcode, struct td_slice payload);
/* Appends a close frame; the reason is cut to 123 bytes at a character's end.  TD_WS_NO_CODE gives an empty one, so
 * that the code of a close event can be answered as it is. */
int td_ws_put_close(struct td_buf *out, int code, struct td_slice reason);
/* Whether a close frame may carry this code (§7.4). */
bool td_ws_close_code_valid(int code);

/* Computes Sec-WebSocket-Accept (§4.2.2) for a key that must be the base64 of 16 bytes.  0 or TD_EINVAL
 * (TD_EUNAVAILABLE where the SSL library refuses SHA-1). */
TD_MUST_USE int td_ws_accept_key(struct td_slice key, char ret_accept[TD_WS_ACCEPT_LEN + 1]);
