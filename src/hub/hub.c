/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's own cursor: what is new, to the live. */
#include "hub/hub.h"
#include "base/assert.h"
#include "base/topic.h"
#include "hub/state.h"
#include "journal/ephemeral.h"
#include <errno.h>

int td_hub_new(struct td_journal *journal, struct td_journal_reader *reader,
               const struct td_hub_ops *ops, void *arg, struct td_hub **ret_hub)
{
    struct td_hub *hub = calloc(1, sizeof(*hub));

    if (!hub)
        return -ENOMEM;
    int r = td_wakeup_new(&hub->encoder, &hub->wakeup);
    if (r == 0)
        r = td_layout_new(&hub->encoder, &hub->layout);
    if (r < 0) {
        td_wakeup_free(hub->wakeup);
        free(hub);
        return r;
    }
    hub->journal = journal;
    hub->reader = reader;
    hub->ops = ops;
    hub->arg = arg;
    hub->position = td_journal_readable(journal);
    td_index_init(&hub->index, td_journal_seed(journal));
    hub->all =
        (struct td_wanted){td_pattern_key(hub->index.seed, TD_S("**"), NULL), TD_S("**"), true};
    td_list_init(&hub->again);
    td_list_init(&hub->cold);
    td_list_init(&hub->paced);
    td_buf_init(&hub->scratch, TD_WAKEUP_ENCODED_MAX);
    *ret_hub = hub;
    return 0;
}

void td_hub_free(struct td_hub *hub)
{
    if (!hub)
        return;
    TD_ASSERT(td_list_empty(&hub->again) && td_list_empty(&hub->cold) &&
              td_list_empty(&hub->paced));
    td_index_done(&hub->index);
    td_wakeup_free(hub->wakeup);
    td_encoder_done(&hub->encoder);
    td_layout_free(hub->layout);
    td_buf_done(&hub->scratch);
    free(hub);
}

void td_hub_deflate_from(struct td_hub *hub, size_t bytes)
{
    TD_ASSERT(hub->encoder.n_deflated == 0);
    hub->encoder.deflate_min = bytes;
}

void td_hub_patterns(const struct td_hub *hub, size_t max,
                     void (*each)(void *arg, struct td_slice pattern, uint32_t subscribers),
                     void *arg)
{
    struct td_pattern **head;
    uint64_t key;
    size_t at = 0;

    while (max > 0 && (head = td_map_each(&hub->index.patterns, &at, &key)))
        for (const struct td_pattern *pattern = *head; pattern && max > 0; pattern = pattern->next)
            if (pattern->n > 0) {
                each(arg, td_pattern_text(pattern), pattern->n);
                max--;
            }
}

uint64_t td_hub_head(const struct td_hub *hub)
{
    return hub->position;
}

void td_hub_stat(const struct td_hub *hub, struct td_hub_stat *ret_stat)
{
    *ret_stat = hub->stat;
    ret_stat->patterns = hub->index.n_patterns;
    ret_stat->subscriptions = hub->index.n_slots;
}

/* Where a live subscriber could not be served from the wakeup, it goes on by itself from here. */
static void go_alone(struct td_hub *hub, struct td_subscriber *subscriber)
{
    if (subscriber->_behind)
        return;
    if (subscriber->wire == TD_WIRE_NONE) {
        hub->ops->touched(subscriber, hub->arg);
        return;
    }
    td_hub_fall_behind(hub, subscriber);
    td_list_remove(&subscriber->_list); /* it may have been on its way with history */
    td_list_append(&hub->again, &subscriber->_list);
}

static void all_go_alone(struct td_hub *hub)
{
    size_t cursor = 0;
    uint64_t key;
    struct td_pattern **head;

    while ((head = td_map_each(&hub->index.patterns, &cursor, &key)))
        for (struct td_pattern *pattern = *head; pattern; pattern = pattern->next)
            for (uint32_t i = 0; i < pattern->n; i++)
                go_alone(hub, pattern->slots[i].subscriber);
}

size_t td_hub_account(struct td_subscriber *subscriber, const struct td_sent *sent, size_t taken)
{
    size_t whole = 0;

    while (whole < sent->n && taken >= sent->lens[whole]) {
        taken -= sent->lens[whole];
        subscriber->_position = sent->seqs[whole];
        whole++;
    }
    TD_ASSERT(whole < sent->n || taken == 0);
    if (taken > 0) {
        subscriber->_partial_seq = sent->seqs[whole];
        subscriber->_partial_sent = (uint32_t)taken;
    }
    return whole;
}

/* The socket took `taken` bytes of a share and no more: the subscriber is behind. */
static void stopped_short(struct td_hub *hub, struct td_subscriber *subscriber,
                          const struct td_share *share, size_t taken)
{
    uint64_t seqs[TD_WAKEUP_RECORDS];
    size_t lens[TD_WAKEUP_RECORDS];

    for (size_t i = 0; i < share->n; i++) {
        struct td_slice bytes;
        int r = td_wakeup_record(hub->wakeup, subscriber->wire, share->items[i], &bytes);
        TD_ASSERT(r == 0); /* it was made a moment ago */
        seqs[i] = hub->wakeup->views[share->items[i]].seq;
        lens[i] = bytes.len;
    }
    td_hub_fall_behind(hub, subscriber);
    const struct td_sent sent = {seqs, lens, share->n};
    hub->stat.delivered += td_hub_account(subscriber, &sent, taken);
    hub->stat.short_sends++;
}

/* ---- those that are paced ---- */

/* How long one has to wait.  The low bits of the clock come round: what lies further ahead than a pace lies behind. */
static uint32_t wait_ms(const struct td_hub *hub, const struct td_subscriber *subscriber)
{
    if (subscriber->pace_ms == 0)
        return 0;
    uint32_t ahead = subscriber->_due_ms - (uint32_t)(hub->now / TD_NS_PER_MS);
    return ahead <= subscriber->pace_ms ? ahead : 0;
}

bool td_hub_is_early(const struct td_hub *hub, const struct td_subscriber *subscriber)
{
    return wait_ms(hub, subscriber) > 0;
}

void td_hub_wait(struct td_hub *hub, struct td_subscriber *subscriber)
{
    struct td_list *before = hub->paced.prev;

    /* Most are paced alike, so the place is mostly at the end. */
    while (before != &hub->paced && wait_ms(hub, TD_CONTAINER_OF(before, struct td_subscriber,
                                                                 _list)) > wait_ms(hub, subscriber))
        before = before->prev;
    td_list_append(before->next, &subscriber->_list);
}

void td_hub_sent(const struct td_hub *hub, struct td_subscriber *subscriber)
{
    if (subscriber->pace_ms == 0)
        return;
    /* Up to a whole millisecond, so that the next is never early. */
    uint32_t now_ms = (uint32_t)((hub->now + TD_NS_PER_MS - 1) / TD_NS_PER_MS);
    subscriber->_due_ms = now_ms + subscriber->pace_ms;
}

void td_hub_tick(struct td_hub *hub, td_ns now)
{
    hub->now = now;
}

td_ns td_hub_next_due(const struct td_hub *hub)
{
    if (td_list_empty(&hub->paced))
        return UINT64_MAX;
    uint32_t wait = wait_ms(hub, TD_CONTAINER_OF(hub->paced.next, struct td_subscriber, _list));
    return wait > 0 ? (hub->now / TD_NS_PER_MS + wait) * TD_NS_PER_MS : hub->now;
}

/* ---- a wakeup ---- */

/* Sends a share of the wakeup.  Whether the socket is there and took only part of it, `*ret_taken` bytes. */
static bool is_sent_short(struct td_hub *hub, struct td_subscriber *subscriber,
                          const struct td_share *share, struct td_slice bytes, size_t *ret_taken)
{
    struct iovec part = {(void *)(uintptr_t)bytes.ptr, bytes.len};
    int64_t taken = hub->ops->send(subscriber, &part, 1, hub->arg);

    hub->stat.sends++;
    if (taken < 0)
        return false;
    td_hub_sent(hub, subscriber);
    *ret_taken = (size_t)taken;
    if (*ret_taken == bytes.len)
        hub->stat.delivered += share->n;
    return *ret_taken < bytes.len;
}

static void deliver(struct td_hub *hub, const struct td_touched *touched)
{
    struct td_subscriber *subscriber = touched->subscriber;
    struct td_share share;
    struct td_slice bytes;
    size_t taken;

    if (subscriber->_n_subs == 0 || subscriber->_behind)
        return; /* it went, or stopped, since it was touched */
    if (td_hub_is_early(hub, subscriber)) {
        td_hub_fall_behind(hub, subscriber);
        td_list_remove(&subscriber->_list);
        td_hub_wait(hub, subscriber);
        return;
    }
    td_wakeup_share(hub->wakeup, touched, hub->ops, hub->arg, &share);
    if (share.n == 0)
        return;
    if (subscriber->wire == TD_WIRE_NONE) {
        hub->ops->touched(subscriber, hub->arg);
        return;
    }
    if (td_wakeup_bytes(hub->wakeup, subscriber->wire, &share, &bytes) < 0) {
        go_alone(hub, subscriber);
        return;
    }
    if (is_sent_short(hub, subscriber, &share, bytes, &taken))
        stopped_short(hub, subscriber, &share, taken);
}

/* Reads what is new into the wakeup.  The position that the hub then has reached. */
static uint64_t read_new(struct td_hub *hub, uint64_t until)
{
    struct td_read read = {
        .wanted = &hub->all,
        .n_wanted = 1,
        .after = hub->position,
        .until = until,
        .records = hub->wakeup->records,
        .records_max = TD_WAKEUP_RECORDS,
        .bytes_max = TD_WAKEUP_BYTES,
    };
    td_journal_read(hub->reader, &read);
    hub->wakeup->n = read.n;
    if (read.end == TD_READ_GAP && read.n == 0) {
        /* The hub itself was outrun or met damage: everyone learns of it at his own position. */
        all_go_alone(hub);
        return read.gap_to;
    }
    return read.position;
}

/* ---- ephemeral events ---- */

/* The rest of the event that the socket took in part; what stood behind it is lost to this one. */
static void keep_torn(struct td_hub *hub, struct td_subscriber *subscriber,
                      const struct td_share *share, size_t taken)
{
    for (size_t i = 0; i < share->n && taken > 0; i++) {
        struct td_slice bytes;
        int r = td_wakeup_record(hub->wakeup, subscriber->wire, share->items[i], &bytes);
        TD_ASSERT(r == 0); /* it was made a moment ago */
        if (taken < bytes.len) {
            hub->ops->keep(subscriber, td_slice_from(bytes, taken), hub->arg);
            return;
        }
        taken -= bytes.len;
    }
}

/* At most once, to those that are live: nobody waits for it, and it waits for nobody. */
static void deliver_ephemeral(struct td_hub *hub, const struct td_touched *touched)
{
    struct td_subscriber *subscriber = touched->subscriber;
    struct td_share share;
    struct td_slice bytes;
    size_t taken;

    if (subscriber->_n_subs == 0 || td_hub_has_more(subscriber) ||
        subscriber->wire == TD_WIRE_NONE || td_hub_is_early(hub, subscriber))
        return;
    td_wakeup_share(hub->wakeup, touched, hub->ops, hub->arg, &share);
    if (share.n == 0 || td_wakeup_bytes(hub->wakeup, subscriber->wire, &share, &bytes) < 0)
        return;
    if (is_sent_short(hub, subscriber, &share, bytes, &taken))
        keep_torn(hub, subscriber, &share, taken);
}

static void advance_ephemeral(struct td_hub *hub)
{
    uint32_t offsets[TD_WAKEUP_RECORDS];
    struct td_wakeup *wakeup = hub->wakeup;

    td_buf_reset(&hub->scratch);
    wakeup->n = td_ephemeral_take(hub->reader, hub->position, &hub->scratch, offsets,
                                  TD_WAKEUP_RECORDS, &hub->stat.ephemeral_missed);
    if (wakeup->n == 0 || hub->index.n_slots == 0)
        return;
    for (size_t i = 0; i < wakeup->n; i++)
        wakeup->records[i] = hub->scratch.ptr + offsets[i];
    if (td_wakeup_gather(wakeup, &hub->index) == 0)
        for (size_t i = 0; i < wakeup->n_touched; i++)
            deliver_ephemeral(hub, &wakeup->touched[i]);
    td_wakeup_end(wakeup);
}

static void advance_log(struct td_hub *hub)
{
    uint64_t readable = td_journal_readable(hub->journal);

    if (hub->position >= readable)
        return;
    if (hub->index.n_slots == 0) {
        hub->position = readable;
        return;
    }
    uint64_t reached = read_new(hub, readable);
    hub->stat.wakeups++;
    if (hub->wakeup->n > 0 && td_wakeup_gather(hub->wakeup, &hub->index) < 0) {
        all_go_alone(hub);
        hub->wakeup->n_touched = 0;
    }
    /* The hub stands at the old position meanwhile: who stops short is behind from there. */
    for (size_t i = 0; hub->wakeup->n > 0 && i < hub->wakeup->n_touched; i++)
        deliver(hub, &hub->wakeup->touched[i]);
    td_wakeup_end(hub->wakeup);
    hub->position = reached;
}

void td_hub_advance(struct td_hub *hub)
{
    td_list_splice(&hub->again, &hub->cold);
    advance_log(hub);
    advance_ephemeral(hub);
}

void td_hub_run(struct td_hub *hub)
{
    while (td_hub_next_due(hub) <= hub->now) {
        struct td_list *node = hub->paced.next;
        td_list_remove(node);
        td_list_append(&hub->again, node);
    }
    struct td_list *last = hub->again.prev;

    for (size_t turns = 0; turns < TD_HUB_TURNS && !td_list_empty(&hub->again); turns++) {
        struct td_list *node = td_list_pop(&hub->again);
        td_hub_catch_up(hub, TD_CONTAINER_OF(node, struct td_subscriber, _list));
        if (node == last)
            break; /* those behind it have had a turn */
    }
}

bool td_hub_is_due(const struct td_hub *hub)
{
    return hub->position < td_journal_readable(hub->journal) ||
           td_ephemeral_waits(hub->reader, hub->position);
}

bool td_hub_has_again(const struct td_hub *hub)
{
    return !td_list_empty(&hub->again);
}
