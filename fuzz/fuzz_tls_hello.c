/* SPDX-License-Identifier: Apache-2.0 */
/* A client's first records: refused or not the same however the bytes arrive, and no ClientHello passes that says it is too long.  The
 * first byte of the input is a cut. */
#include "base/assert.h"
#include "fuzz.h"
#include "os/linux/tls_hello.h"

/* Feeds the input in pieces of `step` bytes. */
static bool follow(const uint8_t *bytes, size_t len, size_t step)
{
    struct td_tls_hello hello = {.n = 0};

    for (size_t at = 0; at < len; at += TD_MIN(step, len - at))
        if (!td_tls_hello_take(&hello, bytes + at, TD_MIN(step, len - at)))
            return false;
    return true;
}

/* The same looked at from the other side: what the handshake records hold, one behind the other, is a row of messages. */
static bool has_long_hello(const uint8_t *bytes, size_t len)
{
    uint8_t head[4];
    size_t n = 0, left = 0; /* of the head; of the message behind it */

    for (size_t at = 0; at + 5 <= len;) {
        size_t record = (size_t)bytes[at + 3] << 8 | bytes[at + 4];
        size_t end = TD_MIN(at + 5 + record, len);
        for (size_t i = at + 5; bytes[at] == 22 && i < end; i++) {
            if (left > 0) {
                left--;
                continue;
            }
            head[n++] = bytes[i];
            if (n < 4)
                continue;
            n = 0;
            left = (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
            if (head[0] == 1 && left > TD_TLS_HELLO_MAX)
                return true;
        }
        at = end;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    bool good = follow(data + 1, size - 1, SIZE_MAX);
    TD_ASSERT(follow(data + 1, size - 1, 1) == good);
    TD_ASSERT(follow(data + 1, size - 1, (size_t)data[0] + 1) == good);
    TD_ASSERT(!good || !has_long_hello(data + 1, size - 1));
    return 0;
}
