/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens made by hand, right or wrong, for tests: HMAC-SHA256 (RFC 2104) over any header and payload, without the
 * library that is under test. */
#pragma once

#include "auth/token.h"
#include <openssl/sha.h>
#include <stdio.h>

#define SECRET "0123456789abcdef0123456789abcdef"
#define NOW    UINT64_C(1800000000000)
#define HS256  "{\"alg\":\"HS256\"}"

static inline size_t forge_base64url(const void *bytes, size_t len, char *ret_text)
{
    static const char map[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *in = bytes;
    size_t out = 0;

    for (size_t i = 0; i < len; i += 3) {
        unsigned left = (unsigned)(len - i);
        unsigned word = (unsigned)in[i] << 16 | (left > 1 ? (unsigned)in[i + 1] << 8 : 0) |
                        (left > 2 ? in[i + 2] : 0);
        unsigned letters = left > 2 ? 4 : left + 1;
        for (unsigned k = 0; k < letters; k++)
            ret_text[out++] = map[word >> (18 - 6 * k) & 63];
    }
    ret_text[out] = '\0';
    return out;
}

/* `secret` has at most 64 bytes, the block of SHA-256. */
static inline void forge_hmac(struct td_slice secret, struct td_slice text,
                              unsigned char ret_mac[SHA256_DIGEST_LENGTH])
{
    unsigned char inner[64 + TD_TOKEN_LEN_MAX * 2], outer[64 + SHA256_DIGEST_LENGTH];

    for (size_t i = 0; i < 64; i++) {
        unsigned char byte = i < secret.len ? (unsigned char)secret.ptr[i] : 0;
        inner[i] = byte ^ 0x36;
        outer[i] = byte ^ 0x5c;
    }
    memcpy(inner + 64, text.ptr, text.len);
    SHA256(inner, 64 + text.len, outer + 64);
    SHA256(outer, sizeof(outer), ret_mac);
}

/* Writes header.payload.signature for the given texts; returns a slice of a buffer that the next call uses again. */
static inline struct td_slice forge_bytes(struct td_slice secret, struct td_slice header,
                                          struct td_slice payload)
{
    static char token[4 * TD_TOKEN_LEN_MAX];
    unsigned char mac[SHA256_DIGEST_LENGTH];
    size_t len = forge_base64url(header.ptr, header.len, token);

    token[len++] = '.';
    len += forge_base64url(payload.ptr, payload.len, token + len);
    forge_hmac(secret, td_slice(token, len), mac);
    token[len++] = '.';
    len += forge_base64url(mac, sizeof(mac), token + len);
    return td_slice(token, len);
}

static inline struct td_slice forge(const char *header, const char *payload)
{
    return forge_bytes(TD_S(SECRET), td_slice_str(header), td_slice_str(payload));
}

static inline struct td_keys *forge_keys(void)
{
    struct td_key key = {.alg = TD_S("HS256"), .secret = TD_S(SECRET)};
    struct td_keys *keys = td_keys_new();
    const char *reason;

    if (!keys || td_keys_add(keys, &key, &reason) < 0)
        abort();
    return keys;
}
