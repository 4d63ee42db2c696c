/* SPDX-License-Identifier: Apache-2.0 */
#include "os/linux/tls_hello.h"

#define RECORD_HEAD    5
#define MESSAGE_HEAD   4
#define TYPE_HANDSHAKE 22
#define CLIENT_HELLO   1

static bool begin_message(struct td_tls_hello *hello)
{
    const uint8_t *head = hello->head + RECORD_HEAD;

    hello->message = (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
    return head[0] != CLIENT_HELLO || hello->message <= TD_TLS_HELLO_MAX;
}

/* Passes over what needs no look; how many bytes. */
static size_t pass(struct td_tls_hello *hello, size_t len)
{
    bool handshake = hello->head[0] == TYPE_HANDSHAKE;
    size_t n = handshake ? hello->message : hello->record;

    if (n > hello->record)
        n = hello->record;
    if (n > len)
        n = len;
    hello->record -= (uint32_t)n;
    if (handshake)
        hello->message -= (uint32_t)n;
    if (hello->record == 0)
        hello->n = 0;
    return n;
}

/* Whether the bytes that come next belong to a head. */
static bool in_head(const struct td_tls_hello *hello)
{
    return hello->n < RECORD_HEAD ||
           (hello->head[0] == TYPE_HANDSHAKE && hello->message == 0 && hello->record > 0);
}

static bool take_head(struct td_tls_hello *hello, uint8_t byte)
{
    if (hello->n == RECORD_HEAD + MESSAGE_HEAD)
        hello->n = RECORD_HEAD; /* another message in the same record */
    hello->head[hello->n++] = byte;
    if (hello->n == RECORD_HEAD) {
        hello->record = (uint32_t)hello->head[3] << 8 | hello->head[4];
        bool spread =
            hello->head[0] == TYPE_HANDSHAKE && hello->message == 0 && hello->record < MESSAGE_HEAD;
        if (hello->record == 0)
            hello->n = 0;
        return !spread;
    }
    if (hello->n < RECORD_HEAD)
        return true;
    hello->record--;
    if (hello->n < RECORD_HEAD + MESSAGE_HEAD)
        return hello->record > 0;
    bool good = begin_message(hello);
    if (hello->record == 0)
        hello->n = 0;
    return good;
}

bool td_tls_hello_take(struct td_tls_hello *hello, const uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        if (!in_head(hello)) {
            at += pass(hello, len - at);
            continue;
        }
        if (!take_head(hello, bytes[at++]))
            return false;
    }
    return true;
}
