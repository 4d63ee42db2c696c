/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/outbox.h"
#include "base/assert.h"
#include <errno.h>

struct td_outbox *td_outbox_new(struct td_conn *conn, size_t max)
{
    struct td_outbox *out = calloc(1, sizeof(*out));

    if (!out)
        return NULL;
    out->conn = conn;
    td_list_init(&out->waiting);
    td_buf_init(&out->ready, max);
    td_buf_init(&out->held, max);
    return out;
}

void td_outbox_free(struct td_outbox *out)
{
    if (!out)
        return;
    td_list_remove(&out->waiting);
    td_buf_done(&out->ready);
    td_buf_done(&out->held);
    free(out->pending);
    free(out);
}

int td_outbox_hold(struct td_outbox *out, uint64_t seq, struct td_slice answer)
{
    if (out->first + out->n == out->cap) {
        if (out->first > 0) {
            memmove(out->pending, out->pending + out->first, out->n * sizeof(*out->pending));
            out->first = 0;
        } else {
            uint32_t cap = out->cap ? out->cap * 2 : 4;
            struct td_pending *pending = realloc(out->pending, cap * sizeof(*pending));
            if (!pending)
                return -ENOMEM;
            out->pending = pending;
            out->cap = cap;
        }
    }
    int r = td_buf_put(&out->held, answer);
    if (r < 0)
        return r;
    out->pending[out->first + out->n++] = (struct td_pending){seq, (uint32_t)answer.len};
    return 0;
}

int td_outbox_release(struct td_outbox *out, uint64_t readable)
{
    size_t len = 0;
    uint32_t n = 0;

    while (n < out->n && out->pending[out->first + n].seq <= readable)
        len += out->pending[out->first + n++].len;
    if (n == 0)
        return 0;
    TD_ASSERT(len <= out->held.len);
    int r = td_buf_put(&out->ready, td_slice(out->held.ptr, len));
    if (r < 0)
        return r;
    td_buf_consume(&out->held, len);
    out->first += n;
    out->n -= n;
    return 1;
}

int td_outbox_own(struct td_outbox *out)
{
    if (out->lent.len == 0)
        return 0;
    int r = td_buf_put(&out->ready, out->lent);
    if (r == 0)
        out->lent = TD_S("");
    return r;
}

int td_outbox_parts(const struct td_outbox *out, struct iovec parts[2])
{
    int n = 0;

    if (out->ready.len > out->sent)
        parts[n++] = (struct iovec){out->ready.ptr + out->sent, out->ready.len - out->sent};
    if (out->lent.len > 0)
        parts[n++] =
            (struct iovec){(void *)(uintptr_t)out->lent.ptr, out->lent.len}; /* only read */
    return n;
}

void td_outbox_sent(struct td_outbox *out, size_t n)
{
    size_t of_ready = TD_MIN(n, out->ready.len - out->sent);

    out->sent += of_ready;
    if (n > of_ready)
        out->lent = td_slice_from(out->lent, n - of_ready);
}

size_t td_outbox_forget(struct td_outbox *out)
{
    size_t n = out->n;

    out->n = 0;
    out->first = 0;
    td_buf_reset(&out->held);
    return n;
}
