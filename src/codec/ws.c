/* SPDX-License-Identifier: Apache-2.0 */
/* What the server writes (RFC 6455 §5) and its half of the handshake (§4.2.2).  The decoder is ws_decode.c. */
#include "codec/ws.h"
#include "base/assert.h"
#include "base/base64.h"
#include "base/err.h"
#include <openssl/sha.h>

#define KEY_LEN 16

_Static_assert(TD_BASE64_LEN(SHA_DIGEST_LENGTH) == TD_WS_ACCEPT_LEN,
               "the accept value is a SHA-1 in base64");

/* §4.1: what makes an accept value say "WebSocket" and nothing else. */
static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

static void put_big_endian(char *to, uint64_t number, size_t n)
{
    while (n > 0) {
        to[--n] = (char)(number & 0xff);
        number >>= 8;
    }
}

size_t td_ws_frame_head(enum td_ws_opcode opcode, uint64_t payload_len, char ret_head[10])
{
    TD_ASSERT(payload_len <= INT64_MAX); /* §5.2: the most significant bit is 0 */
    ret_head[0] = (char)(0x80 | opcode);
    if (payload_len < 126) {
        ret_head[1] = (char)payload_len;
        return 2;
    }
    if (payload_len < 65536) {
        ret_head[1] = 126;
        put_big_endian(ret_head + 2, payload_len, 2);
        return 4;
    }
    ret_head[1] = 127;
    put_big_endian(ret_head + 2, payload_len, 8);
    return 10;
}

int td_ws_put_frame(struct td_buf *out, enum td_ws_opcode opcode, struct td_slice payload)
{
    TD_ASSERT(opcode < TD_WS_CLOSE || payload.len <= TD_WS_CONTROL_MAX); /* §5.5 */
    /* Room for both first: half a frame in a stream can't be taken back. */
    int r = td_buf_reserve(out, td_ws_head_len(payload.len) + payload.len);
    if (r < 0)
        return r;
    out->len += td_ws_frame_head(opcode, payload.len, out->ptr + out->len);
    return td_buf_put(out, payload);
}

/* The length of the longest prefix of valid UTF-8 that fits into `max` bytes and ends at a character's end. */
static size_t cut_at_character(struct td_slice text, size_t max)
{
    if (text.len <= max)
        return text.len;
    size_t len = max;
    while (len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--;
    return len;
}

int td_ws_put_close(struct td_buf *out, int code, struct td_slice reason)
{
    char payload[TD_WS_CONTROL_MAX];

    if (code == TD_WS_NO_CODE)
        return td_ws_put_frame(out, TD_WS_CLOSE, TD_S(""));
    TD_ASSERT(td_ws_close_code_valid(code));
    size_t len = cut_at_character(reason, sizeof(payload) - 2);
    put_big_endian(payload, (uint64_t)code, 2);
    if (len > 0)
        memcpy(payload + 2, reason.ptr, len);
    return td_ws_put_frame(out, TD_WS_CLOSE, td_slice(payload, len + 2));
}

bool td_ws_close_code_valid(int code)
{
    if (code >= 3000 && code <= 4999)
        return true;
    /* 1004 has no meaning; 1005, 1006 and 1015 only ever name the absence of a close frame. */
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

int td_ws_accept_key(struct td_slice key, char ret_accept[TD_WS_ACCEPT_LEN + 1])
{
    unsigned char nonce[KEY_LEN], digest[SHA_DIGEST_LENGTH];
    char text[TD_BASE64_LEN(KEY_LEN) + sizeof(guid) - 1];

    if (key.len != TD_BASE64_LEN(KEY_LEN) || td_base64_decode(key, nonce, sizeof(nonce)) != KEY_LEN)
        return TD_EINVAL;
    memcpy(text, key.ptr, key.len);
    memcpy(text + key.len, guid, sizeof(guid) - 1);
    /* Fails only where the SSL library has been configured to refuse SHA-1. */
    if (!SHA1((const unsigned char *)text, sizeof(text), digest))
        return TD_EUNAVAILABLE;
    td_base64_encode(td_slice((const char *)digest, sizeof(digest)), ret_accept);
    return 0;
}
