/* SPDX-License-Identifier: Apache-2.0 */
/* Those who are behind: from their position on, until they meet the hub. */
#include "base/assert.h"
#include "base/err.h"
#include "base/topic.h"
#include "hub/aside.h"

/* Sends the rest of the record that went in part. */
static enum td_step finish_partial(struct td_hub *hub, struct td_subscriber *subscriber)
{
    const char *bytes = NULL;
    struct td_read read = {
        .wanted = &hub->all,
        .n_wanted = 1,
        .after = subscriber->_partial_seq - 1,
        .until = subscriber->_partial_seq,
        .told = td_told_upto(UINT64_MAX),
        .records = &bytes,
        .records_max = 1,
    };
    struct td_record record;

    td_journal_read(hub->reader, &read);
    if (read.n == 0 && read.end == TD_READ_COLD)
        return TD_STEP_COLD;
    if (read.n == 1)
        td_record_view(bytes, &record);
    if (read.n == 0 || record.seq != subscriber->_partial_seq) {
        hub->ops->broken(subscriber, hub->arg);
        return TD_STEP_BLOCKED;
    }
    struct td_slice rest = record.frame;
    if (subscriber->wire != TD_WIRE_WS_EVENT) {
        td_buf_reset(&hub->scratch);
        if (td_encode(&hub->encoder, &record, subscriber->wire, NULL, &hub->scratch) < 0) {
            hub->ops->broken(subscriber, hub->arg);
            return TD_STEP_BLOCKED;
        }
        rest = td_buf_slice(&hub->scratch);
    }
    TD_ASSERT(subscriber->_partial_sent < rest.len);
    rest = td_slice_from(rest, subscriber->_partial_sent);
    struct iovec part = {(void *)(uintptr_t)rest.ptr, rest.len};
    int64_t taken = hub->ops->send(subscriber, &part, 1, hub->arg);
    if (taken < 0)
        return TD_STEP_BLOCKED;
    if ((size_t)taken < rest.len) {
        subscriber->_partial_sent += (uint32_t)taken;
        return TD_STEP_BLOCKED;
    }
    if (!subscriber->_sought)
        subscriber->_position = subscriber->_partial_seq;
    subscriber->_sought = false;
    subscriber->_partial_seq = 0;
    hub->stat.delivered++;
    return TD_STEP_ON;
}

bool td_hub_lay_out(struct td_hub *hub, struct td_subscriber *subscriber,
                    const char *const *records, size_t n, const struct td_format_marks *marks,
                    struct td_budget *budget)
{
    uint64_t n_deflated = hub->encoder.n_deflated;

    hub->layout->durable = td_journal_durable(hub->journal);
    if (td_layout_make(hub->layout, hub->ops, hub->arg, subscriber, records, n, marks) < 0) {
        hub->ops->broken(subscriber, hub->arg);
        return false;
    }
    /* The socket may take less; then the turn is over. */
    size_t deflated = TD_TURN_DEFLATED * (size_t)(hub->encoder.n_deflated - n_deflated);
    budget->bytes -= TD_MIN(budget->bytes, TD_MAX(hub->layout->bytes, deflated));
    return true;
}

/* Sends what has been laid out, and moves the position past what went.  False when the socket took no more or is gone. */
static bool send_layout(struct td_hub *hub, struct td_subscriber *subscriber)
{
    struct td_layout *layout = hub->layout;
    size_t lens[TD_LAYOUT_RECORDS];

    if (layout->n == 0)
        return true;
    for (int i = 0; i < layout->n; i++)
        lens[i] = layout->parts[i].iov_len;
    int64_t taken = hub->ops->send(subscriber, layout->parts, layout->n, hub->arg);
    hub->stat.sends++;
    if (taken < 0)
        return false;
    const struct td_sent sent = {layout->seqs, lens, (size_t)layout->n};
    size_t whole = td_hub_account(subscriber, &sent, (size_t)taken);
    hub->stat.delivered += whole;
    if (whole == sent.n)
        return true;
    hub->stat.short_sends++;
    if (subscriber->_partial_seq != 0 && layout->derived[whole]) {
        /* Its rest can't be made again from one record. */
        const char *bytes = layout->parts[whole].iov_base;
        size_t out = subscriber->_partial_sent;
        subscriber->_partial_seq = 0;
        subscriber->_position = layout->seqs[whole];
        hub->stat.delivered++;
        hub->ops->keep(subscriber, td_slice(bytes + out, lens[whole] - out), hub->arg);
    }
    return false;
}

static struct td_told told(const struct td_subscriber *subscriber)
{
    if (subscriber->_gap_again)
        return (struct td_told){0};
    return (struct td_told){subscriber->_told_upto, subscriber->_told_trims};
}

static enum td_step tell_gap(struct td_hub *hub, struct td_subscriber *subscriber,
                             const struct td_read *read)
{
    const struct td_gap gap = {
        .from = read->gap_from, .to = read->gap_to, .reason = read->gap_reason};

    if (read->gap_reason == TD_GAP_RETENTION) { /* what was kept in between still comes */
        subscriber->_told_upto = read->gap_to;
        subscriber->_told_trims = TD_TRIMS_ALL;
        subscriber->_gap_again = false;
    } else {
        subscriber->_position = read->gap_to;
    }
    hub->ops->gap(subscriber, &gap, hub->arg);
    if (!subscriber->_behind || subscriber->stateless)
        return TD_STEP_ON;
    /* Not before what was kept in between: that would take its keys back to what they were. */
    uint64_t as_of = TD_MAX(read->gap_to, subscriber->_told_upto);
    if (td_aside_state(hub, subscriber, as_of) < 0) {
        hub->ops->broken(subscriber, hub->arg);
        return TD_STEP_BLOCKED;
    }
    return TD_STEP_ON;
}

static enum td_step met(struct td_hub *hub, struct td_subscriber *subscriber)
{
    subscriber->_behind = false;
    if (subscriber->_owes_caught_up) {
        subscriber->_owes_caught_up = false;
        hub->ops->caught_up(subscriber, hub->arg);
    }
    return TD_STEP_LIVE;
}

/* At or beyond where the hub is: another worker was faster, the log has lost it, or the state is to come a little further on. */
static enum td_step ahead(struct td_hub *hub, struct td_subscriber *subscriber)
{
    if (subscriber->_position <= td_journal_readable(hub->journal))
        return TD_STEP_AGAIN;
    struct td_wanted wanted[TD_SUBSCRIPTIONS_MAX];
    const char *none;
    struct td_read read = {
        .wanted = wanted,
        .n_wanted = td_hub_wanted(subscriber, wanted),
        .after = subscriber->_position,
        .until = td_journal_readable(hub->journal),
        .told = told(subscriber),
        .records = &none,
        .records_max = 1,
    };
    td_journal_read(hub->reader, &read);
    if (read.end == TD_READ_GAP)
        return tell_gap(hub, subscriber, &read);
    subscriber->_position = hub->position;
    return TD_STEP_ON;
}

/* Reads on in the stream. */
static enum td_step stream_step(struct td_hub *hub, struct td_subscriber *subscriber,
                                struct td_budget *budget)
{
    struct td_wanted wanted[TD_SUBSCRIPTIONS_MAX];
    const char *records[TD_LAYOUT_RECORDS];

    uint64_t stop = td_aside_stop(subscriber);

    if (subscriber->_n_subs == 0 || (subscriber->_position == hub->position && stop == UINT64_MAX))
        return met(hub, subscriber);
    if (subscriber->_position >= hub->position)
        return ahead(hub, subscriber);
    struct td_read read = {
        .wanted = wanted,
        .n_wanted = td_hub_wanted(subscriber, wanted),
        .after = subscriber->_position,
        .told = told(subscriber),
        .until = TD_MIN(hub->position, stop),
        .records = records,
        .records_max = TD_LAYOUT_RECORDS,
        .bytes_max = budget->bytes,
        .examined_max = budget->records,
    };
    td_journal_read(hub->reader, &read);
    if (!td_hub_lay_out(hub, subscriber, records, read.n, NULL, budget) ||
        !send_layout(hub, subscriber))
        return TD_STEP_BLOCKED;
    subscriber->_position = read.position;
    budget->records -= TD_MIN(budget->records, TD_MAX(read.examined, (size_t)1));
    switch (read.end) {
    case TD_READ_GAP: return tell_gap(hub, subscriber, &read);
    case TD_READ_COLD: return TD_STEP_COLD;
    case TD_READ_BUDGET:
        /* Without records it was the bound on looking, not on sending, that stopped it. */
        return read.n == 0 || budget->bytes == 0 || budget->records == 0 ? TD_STEP_AGAIN
                                                                         : TD_STEP_ON;
    case TD_READ_DONE: return TD_STEP_ON;
    }
    return TD_STEP_ON;
}

static enum td_step step(struct td_hub *hub, struct td_subscriber *subscriber,
                         struct td_budget *budget)
{
    struct td_aside *aside = td_aside_next(subscriber);

    if (budget->bytes == 0 || budget->records == 0)
        return TD_STEP_AGAIN;
    if (aside)
        return td_aside_step(hub, subscriber, aside, budget);
    return stream_step(hub, subscriber, budget);
}

void td_hub_catch_up(struct td_hub *hub, struct td_subscriber *subscriber)
{
    struct td_budget budget = {TD_TURN_BYTES, TD_TURN_RECORDS};
    uint64_t sends = hub->stat.sends;
    enum td_step next = TD_STEP_ON;

    td_list_remove(&subscriber->_list);
    if (!td_hub_has_more(subscriber))
        return;
    /* The rest of an event waits for no pace: messages may stand behind it. */
    if (td_hub_is_partial(subscriber))
        next = finish_partial(hub, subscriber);
    if (next == TD_STEP_ON && td_hub_has_more(subscriber) && td_hub_is_early(hub, subscriber)) {
        td_hub_wait(hub, subscriber);
        return;
    }
    /* The edge may have closed it from within a call: then there is nothing more for it. */
    while (td_hub_has_more(subscriber) && (next == TD_STEP_ON || next == TD_STEP_LIVE))
        next = step(hub, subscriber, &budget);
    if (hub->stat.sends != sends)
        td_hub_sent(hub, subscriber);
    if (!td_hub_has_more(subscriber))
        return;
    td_list_remove(&subscriber->_list);
    if (next == TD_STEP_AGAIN && td_hub_is_early(hub, subscriber))
        td_hub_wait(hub, subscriber);
    else if (next == TD_STEP_AGAIN)
        td_list_append(&hub->again, &subscriber->_list);
    else if (next == TD_STEP_COLD)
        td_list_append(&hub->cold, &subscriber->_list);
}
