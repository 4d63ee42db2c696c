/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/aside.h"
#include "base/assert.h"
#include "base/err.h"
#include <errno.h>

/* Topics looked at in one step of reading state. */
#define TOPICS_MAX 1024

/* Whether the stream has come to where the state is to be as of.  What is subscribed no more has no stream to wait for. */
static bool is_due(const struct td_subscriber *subscriber, const struct td_aside *aside)
{
    return !subscriber->_behind || subscriber->_n_subs == 0 ||
           subscriber->_position >= aside->until;
}

struct td_aside *td_aside_next(const struct td_subscriber *subscriber)
{
    struct td_aside *history = NULL;

    for (struct td_aside *aside = subscriber->_asides; aside; aside = aside->next) {
        if (aside->is_state && is_due(subscriber, aside))
            return aside;
        if (!aside->is_state && !history)
            history = aside;
    }
    return subscriber->_behind ? NULL : history;
}

uint64_t td_aside_stop(const struct td_subscriber *subscriber)
{
    uint64_t stop = UINT64_MAX;

    for (const struct td_aside *aside = subscriber->_asides; aside; aside = aside->next)
        if (aside->is_state)
            stop = TD_MIN(stop, aside->until);
    return stop;
}

static void aside_free(struct td_hub *hub, struct td_aside *aside)
{
    for (size_t i = 0; i < aside->n_named; i++)
        td_index_unref(&hub->index, aside->named[i]);
    free(aside);
}

static void take_out(struct td_subscriber *subscriber, const struct td_aside *aside)
{
    struct td_aside **link = &subscriber->_asides;

    while (*link != aside)
        link = &(*link)->next;
    *link = aside->next;
}

void td_aside_free_all(struct td_hub *hub, struct td_subscriber *subscriber)
{
    for (struct td_aside *aside; (aside = subscriber->_asides);) {
        subscriber->_asides = aside->next;
        aside_free(hub, aside);
    }
}

static struct td_aside *aside_new(struct td_hub *hub, const struct td_slice *named, size_t n,
                                  struct td_slice ref)
{
    struct td_aside *aside = calloc(1, sizeof(*aside) + n * sizeof(struct td_pattern *) + ref.len);

    if (!aside)
        return NULL;
    for (; aside->n_named < n; aside->n_named++) {
        struct td_pattern *pattern = td_index_ref(&hub->index, named[aside->n_named]);
        if (!pattern) {
            aside_free(hub, aside);
            return NULL;
        }
        aside->named[aside->n_named] = pattern;
    }
    aside->ref = td_slice((const char *)(aside->named + n), ref.len);
    if (ref.len > 0)
        memcpy(aside->named + n, ref.ptr, ref.len);
    return aside;
}

static void add(struct td_hub *hub, struct td_subscriber *subscriber, struct td_aside *aside)
{
    struct td_aside **last = &subscriber->_asides;

    while (*last)
        last = &(*last)->next;
    *last = aside;
    td_list_remove(&subscriber->_list);
    td_list_append(&hub->again, &subscriber->_list);
}

int td_aside_state(struct td_hub *hub, struct td_subscriber *subscriber, uint64_t as_of)
{
    struct td_aside *aside = subscriber->_asides;

    while (aside && (!aside->is_state || aside->n_named > 0))
        aside = aside->next;
    bool fresh = !aside;
    if (fresh)
        aside = aside_new(hub, NULL, 0, (struct td_slice){NULL, 0});
    if (!aside)
        return -ENOMEM;
    aside->is_state = true;
    aside->until = as_of;
    aside->cursor = (struct td_state_cursor){0};
    if (fresh)
        add(hub, subscriber, aside);
    return 0;
}

int td_hub_send_state(struct td_hub *hub, struct td_subscriber *subscriber,
                      const struct td_slice *named, size_t n_named)
{
    struct td_aside *aside = aside_new(hub, named, n_named, (struct td_slice){NULL, 0});

    if (!aside)
        return -ENOMEM;
    td_hub_fall_behind(hub, subscriber);
    aside->is_state = true;
    /* What retention dropped of the stream in between may live on as state; what it left goes first. */
    aside->until = TD_MAX(td_hub_position(hub, subscriber), subscriber->_told_upto);
    add(hub, subscriber, aside);
    subscriber->_owes_caught_up = true;
    return 0;
}

int td_hub_send_history(struct td_hub *hub, struct td_subscriber *subscriber,
                        const struct td_hub_history *history)
{
    struct td_aside *aside = aside_new(hub, history->named, history->n_named, history->ref);

    if (!aside)
        return -ENOMEM;
    aside->position = history->since;
    aside->told = history->told;
    aside->until = td_hub_position(hub, subscriber);
    add(hub, subscriber, aside);
    return 0;
}

static bool is_named(const struct td_aside *aside, const struct td_pattern *pattern)
{
    for (size_t i = 0; i < aside->n_named; i++)
        if (aside->named[i] == pattern)
            return true;
    return aside->n_named == 0;
}

/* The patterns that it is about, as they are subscribed now. */
static size_t wanted_of(const struct td_subscriber *subscriber, const struct td_aside *aside,
                        struct td_wanted *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < subscriber->_n_subs; i++)
        if (is_named(aside, subscriber->_subs[i].named))
            ret[n++] = td_pattern_wanted(subscriber->_subs[i].pattern);
    return n;
}

static void finish(struct td_hub *hub, struct td_subscriber *subscriber, struct td_aside *aside)
{
    take_out(subscriber, aside);
    if (!aside->is_state)
        hub->ops->history_ended(subscriber, aside->ref, hub->arg);
    aside_free(hub, aside);
}

/* Sends what was read.  The cursor is behind it already: what the socket does not take is kept, so that it need not go back. */
static enum td_step send(struct td_hub *hub, struct td_subscriber *subscriber,
                         const char *const *records, size_t n, const struct td_format_marks *marks,
                         struct td_budget *budget)
{
    struct td_layout *layout = hub->layout;

    if (!td_hub_lay_out(hub, subscriber, records, n, marks, budget))
        return TD_STEP_BLOCKED;
    if (layout->n == 0)
        return TD_STEP_ON;
    int64_t taken = hub->ops->send(subscriber, layout->parts, layout->n, hub->arg);
    hub->stat.sends++;
    if (taken < 0)
        return TD_STEP_BLOCKED;
    hub->stat.delivered += (uint64_t)layout->n;
    if ((size_t)taken == layout->bytes)
        return TD_STEP_ON;
    hub->stat.short_sends++;
    for (int i = 0; i < layout->n; i++) {
        size_t len = layout->parts[i].iov_len, out = TD_MIN(len, (size_t)taken);
        taken -= (int64_t)out;
        if (out < len)
            hub->ops->keep(subscriber,
                           td_slice((const char *)layout->parts[i].iov_base + out, len - out),
                           hub->arg);
    }
    return TD_STEP_BLOCKED;
}

static enum td_step state_step(struct td_hub *hub, struct td_subscriber *subscriber,
                               struct td_aside *aside, struct td_budget *budget)
{
    struct td_wanted wanted[TD_SUBSCRIPTIONS_MAX];
    const char *records[TD_LAYOUT_RECORDS];
    const struct td_format_marks marks = {.state = true};
    struct td_state_read read = {
        .wanted = wanted,
        .n_wanted = wanted_of(subscriber, aside, wanted),
        .as_of = TD_MAX(aside->until, td_hub_position(hub, subscriber)),
        .records = records,
        .records_max = TD_LAYOUT_RECORDS,
        .bytes_max = TD_ASIDE_BYTES,
        .topics_max = TOPICS_MAX,
        .cursor = &aside->cursor,
        .end = TD_READ_DONE,
    };

    if (read.n_wanted > 0)
        td_journal_state(hub->reader, &read);
    budget->records -= TD_MIN(budget->records, read.n + 1);
    enum td_step next = send(hub, subscriber, records, read.n, &marks, budget);
    if (next != TD_STEP_ON && !subscriber->_asides)
        return next; /* the connection is gone, and this with it */
    if (read.end == TD_READ_DONE) {
        finish(hub, subscriber, aside);
        return next;
    }
    return next == TD_STEP_ON && read.end == TD_READ_COLD ? TD_STEP_COLD : next;
}

static enum td_step history_step(struct td_hub *hub, struct td_subscriber *subscriber,
                                 struct td_aside *aside, struct td_budget *budget)
{
    struct td_wanted wanted[TD_SUBSCRIPTIONS_MAX];
    const char *records[TD_LAYOUT_RECORDS];
    const struct td_format_marks marks = {.history = true, .ref = aside->ref};
    struct td_read read = {
        .wanted = wanted,
        .n_wanted = wanted_of(subscriber, aside, wanted),
        .after = aside->position,
        .told = aside->told,
        .until = aside->until,
        .records = records,
        .records_max = TD_LAYOUT_RECORDS,
        .bytes_max = TD_ASIDE_BYTES,
        .examined_max = budget->records,
        .end = TD_READ_DONE,
        .position = aside->until,
    };

    /* A position beyond the log's end is told, as of the stream. */
    if (read.n_wanted > 0 && aside->position != aside->until)
        td_journal_read(hub->reader, &read);
    budget->records -= TD_MIN(budget->records, read.examined + 1);
    aside->position = read.position;
    bool is_gap = read.end == TD_READ_GAP;
    if (is_gap && read.gap_reason == TD_GAP_RETENTION)
        aside->told = td_told_upto(read.gap_to);
    else if (is_gap)
        aside->position = read.gap_to;
    enum td_step next = send(hub, subscriber, records, read.n, &marks, budget);
    if (!subscriber->_asides)
        return next;
    if (is_gap) {
        const struct td_gap gap = {read.gap_from, read.gap_to, read.gap_reason, true, aside->ref};
        hub->ops->gap(subscriber, &gap, hub->arg);
    } else if (read.end == TD_READ_DONE || aside->position >= aside->until) {
        finish(hub, subscriber, aside);
        return next;
    }
    return next == TD_STEP_ON && read.end == TD_READ_COLD ? TD_STEP_COLD : next;
}

enum td_step td_aside_step(struct td_hub *hub, struct td_subscriber *subscriber,
                           struct td_aside *aside, struct td_budget *budget)
{
    return aside->is_state ? state_step(hub, subscriber, aside, budget)
                           : history_step(hub, subscriber, aside, budget);
}
