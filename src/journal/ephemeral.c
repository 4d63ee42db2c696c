/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/ephemeral.h"
#include "base/assert.h"
#include "base/err.h"
#include "journal/encode.h"
#include "journal/internal.h"
#include "os/clock.h"
#include <errno.h>
#include <stdlib.h>

struct slot {
    char *bytes; /* a record; NULL: empty */
    uint32_t size;
    uint64_t after; /* the head of the log when it came */
};

struct td_ephemeral {
    struct td_mutex lock;
    struct slot slots[TD_EPHEMERAL_EVENTS];
    size_t bytes;
    uint64_t
        first; /* number of the oldest that is held; event `i` lies in slot i % TD_EPHEMERAL_EVENTS */
    _Atomic uint64_t count; /* all that ever came: the number of the next */
    _Atomic uint64_t after; /* of the newest */
};

struct td_ephemeral *td_ephemeral_new(void)
{
    struct td_ephemeral *ring = calloc(1, sizeof(*ring));

    TD_ASSERT(ring);
    td_mutex_init(&ring->lock);
    return ring;
}

void td_ephemeral_free(struct td_ephemeral *ring)
{
    if (!ring)
        return;
    for (size_t i = 0; i < TD_EPHEMERAL_EVENTS; i++)
        free(ring->slots[i].bytes);
    td_mutex_done(&ring->lock);
    free(ring);
}

uint64_t td_ephemeral_count(const struct td_ephemeral *ring)
{
    return atomic_load(&ring->count);
}

static void forget_oldest(struct td_ephemeral *ring)
{
    struct slot *slot = &ring->slots[ring->first++ % TD_EPHEMERAL_EVENTS];

    ring->bytes -= slot->size;
    free(slot->bytes);
    *slot = (struct slot){0};
}

/* Builds one record.  0 or -ENOMEM. */
static int build(const struct td_draft *draft, const struct td_stamp *stamp, struct slot *ret_slot)
{
    char *bytes = malloc(td_record_size_max(draft));

    if (!bytes)
        return -ENOMEM;
    ret_slot->size = td_record_encode(draft, stamp, bytes);
    char *fitting = realloc(bytes, ret_slot->size);
    ret_slot->bytes = fitting ? fitting : bytes;
    return 0;
}

static void add(struct td_ephemeral *ring, struct slot slot)
{
    uint64_t number = atomic_load_explicit(&ring->count, memory_order_relaxed);

    while (number - ring->first == TD_EPHEMERAL_EVENTS ||
           ring->bytes + slot.size > TD_EPHEMERAL_BYTES)
        forget_oldest(ring);
    ring->slots[number % TD_EPHEMERAL_EVENTS] = slot;
    ring->bytes += slot.size;
    atomic_store(&ring->after, slot.after);
    atomic_store(&ring->count, number + 1);
}

int td_ephemeral_publish(struct td_journal *journal, const struct td_draft *drafts, size_t n)
{
    struct td_ephemeral *ring = journal->ephemeral;
    char time_text[TD_TIME_LEN + 1];
    const struct td_stamp stamp = {.time = td_clock_unix_ms(), .time_text = time_text};
    uint64_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += td_record_size_max(&drafts[i]);
    if (n > TD_EPHEMERAL_EVENTS || bytes > TD_EPHEMERAL_BYTES)
        return TD_ETOOLARGE;
    struct slot *made = calloc(n, sizeof(*made));
    int r = made ? 0 : -ENOMEM;
    td_time_format(stamp.time, time_text);
    for (size_t i = 0; i < n && r == 0; i++)
        r = build(&drafts[i], &stamp, &made[i]);
    if (r == 0) {
        td_mutex_lock(&ring->lock);
        for (size_t i = 0; i < n; i++) {
            made[i].after = atomic_load(&journal->head);
            add(ring, made[i]);
        }
        td_mutex_unlock(&ring->lock);
        td_journal_wake_readers(journal);
    }
    for (size_t i = 0; i < n && r < 0 && made; i++)
        free(made[i].bytes);
    free(made);
    return r;
}

size_t td_ephemeral_take(struct td_journal_reader *reader, uint64_t position, struct td_buf *out,
                         uint32_t *ret_offsets, size_t max, uint64_t *missed)
{
    struct td_ephemeral *ring = reader->journal->ephemeral;
    size_t n = 0;

    if (atomic_load(&ring->count) == reader->heard)
        return 0;
    td_mutex_lock(&ring->lock);
    if (reader->heard < ring->first) {
        *missed += ring->first - reader->heard;
        reader->heard = ring->first;
    }
    for (; n < max && reader->heard < atomic_load(&ring->count); n++, reader->heard++) {
        const struct slot *slot = &ring->slots[reader->heard % TD_EPHEMERAL_EVENTS];
        if (slot->after > position)
            break;
        size_t at = out->len;
        if (td_buf_put(out, td_slice(slot->bytes, slot->size)) < 0)
            break; /* the rest in the next turn */
        ret_offsets[n] = (uint32_t)at;
    }
    td_mutex_unlock(&ring->lock);
    return n;
}

bool td_ephemeral_waits(const struct td_journal_reader *reader, uint64_t position)
{
    const struct td_ephemeral *ring = reader->journal->ephemeral;

    /* The newest waits longest; when even it need not wait, nothing does. */
    return atomic_load(&ring->count) != reader->heard && atomic_load(&ring->after) <= position;
}
