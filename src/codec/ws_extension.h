/* SPDX-License-Identifier: Apache-2.0 */
/* Sec-WebSocket-Extensions (RFC 6455 §9.1), and the one extension that is spoken: permessage-deflate (RFC 7692 §7.1). */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "codec/http1.h"

/* The window that clients are asked to keep to when they keep it between messages, where they leave that to the server: what they send
 * are commands, and it is memory for each connection. */
#define TD_WS_TAKEOVER_BITS 12

/* What has been agreed to.  The server never takes its window over from one message to the next. */
struct td_ws_deflate {
    uint8_t server_bits;    /* log2 of the largest window that the client inflates with, 8 to 15 */
    uint8_t client_bits;    /* and of the largest that it deflates with */
    bool client_takeover;   /* it goes on in its window from message to message */
    bool tells_server_bits; /* whether the answer names the one, … */
    bool tells_client_bits; /* … and the other */
};

/* Looks through the client's offers, in its order, for the first of permessage-deflate that can be agreed to; one with a parameter that is
 * unknown, doubled or has a value that it may not have is passed over (RFC 7692 §7).  `takeover`: a client may keep its window between
 * messages if it wants to; otherwise it is told not to, as it may be without having offered it (§7.1.1.2).
 * 1; 0 when there is none; or TD_EINVAL when a header does not follow the grammar, which fails the handshake (RFC 6455 §9.1). */
TD_MUST_USE int td_ws_deflate_choose(const struct td_http_request *request, bool takeover,
                                     struct td_ws_deflate *ret_agreed);
/* Appends the value of the answer's header: the extension with its parameters.  0 or the error of the buffer. */
int td_ws_deflate_put(const struct td_ws_deflate *agreed, struct td_buf *out);
