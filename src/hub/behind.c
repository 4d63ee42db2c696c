/* SPDX-License-Identifier: Apache-2.0 */
/* Those who are behind: from their position on, until they meet the hub. */
#include "base/assert.h"
#include "base/err.h"
#include "base/topic.h"
#include "hub/state.h"

#define PARTS_MAX 64

/* What one step of catching up came to. */
enum step {
    STEP_ON,      /* go on */
    STEP_AGAIN,   /* its turn is over; it wants another */
    STEP_BLOCKED, /* its socket takes no more, or it is gone */
    STEP_COLD,    /* a segment has to be read in first */
    STEP_LIVE,
};

static void cold(struct td_hub *hub, struct td_subscriber *subscriber)
{
    td_list_append(&hub->cold, &subscriber->_list);
}

/* Sends the rest of the record that went in part. */
static enum step finish_partial(struct td_hub *hub, struct td_subscriber *subscriber)
{
    const struct td_wanted all = {td_pattern_key(hub->index.seed, TD_S("**"), NULL), TD_S("**"),
                                  true};
    const char *bytes = NULL;
    struct td_read read = {
        .wanted = &all,
        .n_wanted = 1,
        .after = subscriber->_partial_seq - 1,
        .until = subscriber->_partial_seq,
        .gap_told = UINT64_MAX,
        .records = &bytes,
        .records_max = 1,
    };
    struct td_record record;

    td_journal_read(hub->reader, &read);
    if (read.n == 0 && read.end == TD_READ_COLD)
        return STEP_COLD;
    if (read.n == 1)
        td_record_view(bytes, &record);
    if (read.n == 0 || record.seq != subscriber->_partial_seq) {
        hub->ops->broken(subscriber, hub->arg);
        return STEP_BLOCKED;
    }
    struct td_slice rest = record.frame;
    if (subscriber->wire != TD_WIRE_WS_EVENT) {
        td_buf_reset(&hub->scratch);
        if (td_encode(&hub->encoder, &record, subscriber->wire, &hub->scratch) < 0) {
            hub->ops->broken(subscriber, hub->arg);
            return STEP_BLOCKED;
        }
        rest = td_buf_slice(&hub->scratch);
    }
    TD_ASSERT(subscriber->_partial_sent < rest.len);
    rest = td_slice_from(rest, subscriber->_partial_sent);
    struct iovec part = {(void *)(uintptr_t)rest.ptr, rest.len};
    int64_t taken = hub->ops->send(subscriber, &part, 1, hub->arg);
    if (taken < 0)
        return STEP_BLOCKED;
    if ((size_t)taken < rest.len) {
        subscriber->_partial_sent += (uint32_t)taken;
        return STEP_BLOCKED;
    }
    if (!subscriber->_sought)
        subscriber->_position = subscriber->_partial_seq;
    subscriber->_sought = false;
    subscriber->_partial_seq = 0;
    hub->stat.delivered++;
    return STEP_ON;
}

/* Puts records on the wire; returns how many parts they make, or an error. */
static int lay_out(struct td_hub *hub, struct td_subscriber *subscriber, const char *const *records,
                   size_t n, struct iovec *parts, uint64_t *seqs)
{
    size_t ends[PARTS_MAX];
    int used = 0;

    td_buf_reset(&hub->scratch);
    for (size_t i = 0; i < n; i++) {
        struct td_record record;
        td_record_view(records[i], &record);
        if (subscriber->checked && !hub->ops->wants(subscriber, &record, hub->arg))
            continue;
        seqs[used] = record.seq;
        parts[used] = (struct iovec){(void *)(uintptr_t)record.frame.ptr, record.frame.len};
        if (subscriber->wire != TD_WIRE_WS_EVENT) {
            int r = td_encode(&hub->encoder, &record, subscriber->wire, &hub->scratch);
            if (r < 0)
                return r;
            ends[used] = hub->scratch.len;
        }
        used++;
    }
    if (subscriber->wire != TD_WIRE_WS_EVENT)
        for (int i = 0; i < used; i++) {
            size_t at = i > 0 ? ends[i - 1] : 0;
            parts[i] = (struct iovec){hub->scratch.ptr + at, ends[i] - at};
        }
    return used;
}

/* Sends records; returns the bytes sent, or -1 when the socket took no more or is gone. */
static int64_t send_records(struct td_hub *hub, struct td_subscriber *subscriber,
                            const struct td_read *read)
{
    struct iovec parts[PARTS_MAX];
    uint64_t seqs[PARTS_MAX];
    size_t lens[PARTS_MAX], total = 0;

    TD_ASSERT(read->n <= PARTS_MAX);
    int n = lay_out(hub, subscriber, read->records, read->n, parts, seqs);
    if (n < 0) {
        hub->ops->broken(subscriber, hub->arg);
        return -1;
    }
    for (int i = 0; i < n; i++) {
        lens[i] = parts[i].iov_len;
        total += lens[i];
    }
    if (n == 0)
        return 0;
    int64_t taken = hub->ops->send(subscriber, parts, n, hub->arg);
    hub->stat.sends++;
    if (taken < 0)
        return -1;
    const struct td_sent sent = {seqs, lens, (size_t)n};
    hub->stat.delivered += td_hub_account(subscriber, &sent, (size_t)taken);
    if ((size_t)taken < total) {
        hub->stat.short_sends++;
        return -1;
    }
    return taken;
}

static enum step tell_gap(struct td_hub *hub, struct td_subscriber *subscriber,
                          const struct td_read *read)
{
    uint64_t from = subscriber->_position;

    if (read->gap_reason == TD_GAP_RETENTION) {
        from = TD_MAX(from, subscriber->_gap_told);
        subscriber->_gap_told = read->gap_to;
    } else {
        subscriber->_position = read->gap_to;
    }
    hub->ops->gap(subscriber, from, read->gap_to, read->gap_reason, hub->arg);
    return STEP_ON;
}

static enum step met(struct td_hub *hub, struct td_subscriber *subscriber)
{
    subscriber->_behind = false;
    if (subscriber->_owes_caught_up) {
        subscriber->_owes_caught_up = false;
        hub->ops->caught_up(subscriber, hub->arg);
    }
    return STEP_LIVE;
}

/* A position that the hub has not reached: another worker was faster, or the log has lost it. */
static enum step ahead(struct td_hub *hub, struct td_subscriber *subscriber)
{
    if (subscriber->_position <= td_journal_readable(hub->journal))
        return STEP_AGAIN;
    struct td_wanted wanted[TD_SUBSCRIPTIONS_MAX];
    const char *none;
    struct td_read read = {
        .wanted = wanted,
        .n_wanted = td_hub_wanted(subscriber, wanted),
        .after = subscriber->_position,
        .until = td_journal_readable(hub->journal),
        .gap_told = subscriber->_gap_told,
        .records = &none,
        .records_max = 1,
    };
    td_journal_read(hub->reader, &read);
    if (read.end == TD_READ_GAP)
        return tell_gap(hub, subscriber, &read);
    subscriber->_position = hub->position;
    return STEP_ON;
}

static enum step step(struct td_hub *hub, struct td_subscriber *subscriber, size_t *budget_bytes,
                      size_t *budget_records)
{
    struct td_wanted wanted[TD_SUBSCRIPTIONS_MAX];
    const char *records[PARTS_MAX];

    if (subscriber->_position == hub->position || subscriber->_n_subs == 0)
        return met(hub, subscriber);
    if (subscriber->_position > hub->position)
        return ahead(hub, subscriber);
    struct td_read read = {
        .wanted = wanted,
        .n_wanted = td_hub_wanted(subscriber, wanted),
        .after = subscriber->_position,
        .until = hub->position,
        .gap_told = subscriber->_gap_told,
        .records = records,
        .records_max = PARTS_MAX,
        .bytes_max = *budget_bytes,
        .examined_max = *budget_records,
    };
    td_journal_read(hub->reader, &read);
    int64_t sent = 0;
    uint64_t n_deflated = hub->encoder.n_deflated;
    if (read.n > 0)
        sent = send_records(hub, subscriber, &read);
    if (sent < 0)
        return STEP_BLOCKED;
    subscriber->_position = read.position;
    size_t cost = TD_TURN_DEFLATED * (size_t)(hub->encoder.n_deflated - n_deflated);
    *budget_bytes -= TD_MIN(*budget_bytes, TD_MAX((size_t)sent, cost));
    *budget_records -= TD_MIN(*budget_records, TD_MAX(read.examined, (size_t)1));
    switch (read.end) {
    case TD_READ_GAP: return tell_gap(hub, subscriber, &read);
    case TD_READ_COLD: return STEP_COLD;
    case TD_READ_BUDGET:
        /* Without records it was the bound on looking, not on sending, that stopped it. */
        return read.n == 0 || *budget_bytes == 0 || *budget_records == 0 ? STEP_AGAIN : STEP_ON;
    case TD_READ_DONE: return STEP_ON;
    }
    return STEP_ON;
}

void td_hub_catch_up(struct td_hub *hub, struct td_subscriber *subscriber)
{
    size_t budget_bytes = TD_TURN_BYTES, budget_records = TD_TURN_RECORDS;
    enum step next = STEP_ON;

    td_list_remove(&subscriber->_list);
    if (!subscriber->_behind)
        return;
    if (td_hub_is_partial(subscriber))
        next = finish_partial(hub, subscriber);
    while (next == STEP_ON) {
        /* Behind until it has met the hub; the edge may have closed it from within a call. */
        if (budget_bytes == 0 || budget_records == 0)
            next = STEP_AGAIN;
        else
            next = step(hub, subscriber, &budget_bytes, &budget_records);
        if (!subscriber->_behind && next != STEP_LIVE)
            return;
    }
    if (next == STEP_AGAIN)
        td_list_append(&hub->again, &subscriber->_list);
    else if (next == STEP_COLD)
        cold(hub, subscriber);
}
