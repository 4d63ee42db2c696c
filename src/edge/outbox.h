/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection has to send that is not a slice of the log: answers and control messages.
 *
 * Answers to publishes wait here until their events are durable, in the order of the requests:
 *
 *     bytes:   [ ready to send ][ answer 1 ][ answer 2 ] …
 *                               until seq 1  until seq 2
 */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/list.h"
#include <stdbool.h>
#include <sys/uio.h>

struct td_conn;

struct td_pending {
    uint64_t seq; /* what must be readable before the answer may go */
    uint32_t len; /* of the answer */
};

struct td_outbox {
    struct td_list waiting; /* in the worker's list of those with held answers */
    struct td_conn *conn;   /* whose it is */
    struct td_buf ready;    /* may be sent */
    size_t sent;            /* of `ready` */
    struct td_slice
        lent; /* goes behind `ready`, from where it lies: a page of the program, not copied */
    struct td_buf held; /* answers that wait */
    struct td_pending *pending;
    uint32_t first, n, cap; /* pending[first .. first + n) */
};

struct td_outbox *td_outbox_new(struct td_conn *conn, size_t max);
void td_outbox_free(struct td_outbox *out);
/* Holds an answer until `seq` is readable.  0, -ENOMEM or TD_ETOOLARGE. */
TD_MUST_USE int td_outbox_hold(struct td_outbox *out, uint64_t seq, struct td_slice answer);
/* Makes ready what `readable` lets go.  1 when anything was, 0, or the error of the buffer. */
TD_MUST_USE int td_outbox_release(struct td_outbox *out, uint64_t readable);
/* Copies what is lent, so that more may be made ready behind it.  0, or the error of the buffer. */
TD_MUST_USE int td_outbox_own(struct td_outbox *out);
/* The bytes that may be sent, as at most two parts; how many parts. */
int td_outbox_parts(const struct td_outbox *out, struct iovec parts[2]);
/* Notes that so many of them were. */
void td_outbox_sent(struct td_outbox *out, size_t n);
/* Forgets the held answers; how many there were. */
size_t td_outbox_forget(struct td_outbox *out);
static inline size_t td_outbox_unsent(const struct td_outbox *out)
{
    return out ? out->ready.len - out->sent + out->lent.len : 0;
}
static inline bool td_outbox_empty(const struct td_outbox *out)
{
    return !out || (td_outbox_unsent(out) == 0 && out->n == 0);
}
