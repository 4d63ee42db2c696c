/* SPDX-License-Identifier: Apache-2.0 */
/* Follows the records that a client sends in the clear, so as to refuse a ClientHello that says it is huge: OpenSSL would take
 * memory for all that it says, 128 KiB, before anything of it has come.  Private to tls.c. */
#pragma once

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Browsers send 0.5 to 2 KiB. */
#define TD_TLS_HELLO_MAX (16 * 1024)

/* Zeroed at first. */
struct td_tls_hello {
    uint8_t head[9]; /* of the record (RFC 8446 §5.1), then of the message that begins in it (§4) */
    uint8_t n;       /* bytes of it that are there */
    uint32_t record;  /* bytes of the record that are still to come */
    uint32_t message; /* bytes of the message that are still to come, in this record or the next */
};

/* Takes bytes as they come.  False when the peer must be refused: a ClientHello of more than TD_TLS_HELLO_MAX, or records in which that
 * can't be seen, because a message's head is spread over two. */
TD_MUST_USE bool td_tls_hello_take(struct td_tls_hello *hello, const uint8_t *bytes, size_t len);
