/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of HTTP/1.1 (RFC 9112), strict: what a server may not say is a fault. */
#pragma once

#include "base/slice.h"

struct client_answer {
    unsigned status;
    bool has_length, closes; /* Content-Length; Connection: close */
    uint64_t length;
    struct td_slice position, type, accept,
        upgrade; /* Tidings-Position, Content-Type, Sec-WebSocket-Accept, Upgrade */
    size_t head_len;
};

/* Reads the head of an answer from the front of `in`.  1 when it is whole, 0 when there is more to come, -1 and a sentence when it is
 * not HTTP.  The slices point into `in`. */
int client_http_head(struct td_slice in, struct client_answer *ret_answer, const char **why);
