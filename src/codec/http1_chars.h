/* SPDX-License-Identifier: Apache-2.0 */
/* The character classes of HTTP/1.1 for the files of this codec: one table, one look-up a byte. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    TD_HTTP_TOKEN = 1, /* tchar (RFC 9110 §5.6.2) */
    TD_HTTP_VALUE = 2, /* field value: HTAB, SP, VCHAR, obs-text (§5.5) */
    TD_HTTP_TARGET =
        4,            /* request target: VCHAR but '#'; browsers send what RFC 3986 would escape */
    TD_HTTP_HOST = 8, /* of a host name or IPv4 address: A-Z a-z 0-9 . _ ~ - */
};

extern const uint8_t td_http_chars[256];

static inline bool td_http_is(char c, unsigned classes)
{
    return td_http_chars[(unsigned char)c] & classes;
}

/* The value of a hexadecimal digit, or -1. */
static inline int td_http_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
