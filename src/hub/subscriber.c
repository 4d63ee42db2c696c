/* SPDX-License-Identifier: Apache-2.0 */
/* Subscribers and their subscriptions. */
#include "base/assert.h"
#include "base/err.h"
#include "hub/aside.h"
#include <errno.h>

void td_subscriber_init(struct td_subscriber *subscriber, enum td_wire wire)
{
    *subscriber = (struct td_subscriber){.wire = wire};
    td_list_init(&subscriber->_list);
}

/* Claims the patterns of what was named as subscriptions behind those that are there, without filing them yet. */
static int claim_all(struct td_hub *hub, struct td_subscription *subs, struct td_slice named,
                     const struct td_slice *patterns, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct td_subscription *sub = &subs[i];
        int r = td_index_claim(&hub->index, patterns[i], &sub->pattern);
        sub->named = r == 0 ? td_index_ref(&hub->index, named) : NULL;
        if (sub->named)
            continue;
        if (r == 0)
            td_index_release(&hub->index, sub->pattern);
        while (i-- > 0) {
            td_index_unref(&hub->index, subs[i].named);
            td_index_release(&hub->index, subs[i].pattern);
        }
        return r < 0 ? r : -ENOMEM;
    }
    return 0;
}

/* Room for `n` subscriptions, those that are there in front.  Most connections have one, and then need no memory of their own. */
static struct td_subscription *make_room(struct td_subscriber *subscriber, size_t n)
{
    bool inside = !subscriber->_subs || subscriber->_subs == &subscriber->_one;

    if (inside && n == 1)
        return subscriber->_subs = &subscriber->_one;
    struct td_subscription *subs = realloc(inside ? NULL : subscriber->_subs, n * sizeof(*subs));
    if (!subs)
        return NULL;
    if (inside && subscriber->_n_subs > 0)
        subs[0] = subscriber->_one;
    return subscriber->_subs = subs;
}

/* Whether a subscription that is not counted yet is of a pattern that no other has. */
static bool is_new(const struct td_subscriber *subscriber, const struct td_subscription *sub)
{
    for (size_t i = 0; i < subscriber->_n_subs; i++)
        if (subscriber->_subs[i].pattern == sub->pattern)
            return false;
    return true;
}

/* In a gap that was told before something was subscribed, what was dropped of that has not been told. */
static void look_for_gap(struct td_hub *hub, struct td_subscriber *subscriber,
                         const struct td_subscription *fresh, size_t n)
{
    uint64_t position = td_hub_position(hub, subscriber);

    if (!subscriber->_behind || position >= subscriber->_told_upto)
        return;
    for (size_t i = 0; i < n && !subscriber->_gap_again; i++) {
        struct td_wanted wanted = td_pattern_wanted(fresh[i].pattern);
        subscriber->_gap_again = is_new(subscriber, &fresh[i]) &&
                                 td_journal_trimmed_after(hub->reader, &wanted, position);
    }
}

int td_hub_subscribe(struct td_hub *hub, struct td_subscriber *subscriber, struct td_slice named,
                     const struct td_slice *patterns, size_t n_patterns)
{
    size_t n = subscriber->_n_subs;

    TD_ASSERT(n_patterns > 0);
    if (n + n_patterns > TD_SUBSCRIPTIONS_MAX)
        return TD_ETOOLARGE;
    struct td_subscription *subs = make_room(subscriber, n + n_patterns);
    if (!subs)
        return -ENOMEM;
    int r = claim_all(hub, subs + n, named, patterns, n_patterns);
    if (r < 0)
        return r;
    look_for_gap(hub, subscriber, subs + n, n_patterns);
    /* The new ones stand behind the old and are not filed yet, so the old of the same name can go first. */
    struct td_subscription fresh[TD_SUBSCRIPTIONS_MAX];
    memcpy(fresh, subs + n, n_patterns * sizeof(*fresh));
    td_hub_unsubscribe(hub, subscriber, named);
    n = subscriber->_n_subs;
    memcpy(subs + n, fresh, n_patterns * sizeof(*fresh));
    for (size_t i = 0; i < n_patterns; i++)
        td_index_enter(&hub->index, subscriber, (uint32_t)(n + i));
    subscriber->_n_subs = (uint16_t)(n + n_patterns);
    subscriber->_n_named++;
    return 0;
}

/* Takes subscription number `item` out, moving the last into its place. */
static void drop(struct td_hub *hub, struct td_subscriber *subscriber, uint32_t item)
{
    struct td_subscription gone = subscriber->_subs[item];
    uint32_t last = (uint32_t)subscriber->_n_subs - 1;

    td_index_leave(&hub->index, subscriber, item);
    if (item != last) {
        subscriber->_subs[item] = subscriber->_subs[last];
        struct td_subscription *moved = &subscriber->_subs[item];
        moved->pattern->slots[moved->slot].item = item;
    }
    subscriber->_n_subs = (uint16_t)last;
    td_index_unref(&hub->index, gone.named);
}

bool td_hub_unsubscribe(struct td_hub *hub, struct td_subscriber *subscriber, struct td_slice named)
{
    bool found = false;

    for (uint32_t i = subscriber->_n_subs; i-- > 0;) {
        if (!td_slice_eq(td_pattern_text(subscriber->_subs[i].named), named))
            continue;
        drop(hub, subscriber, i);
        found = true;
    }
    subscriber->_n_named = (uint16_t)(subscriber->_n_named - found);
    return found;
}

void td_hub_leave(struct td_hub *hub, struct td_subscriber *subscriber)
{
    while (subscriber->_n_subs > 0)
        drop(hub, subscriber, (uint32_t)subscriber->_n_subs - 1);
    if (subscriber->_subs != &subscriber->_one)
        free(subscriber->_subs);
    subscriber->_subs = NULL;
    subscriber->_n_named = 0;
    td_aside_free_all(hub, subscriber);
    td_list_remove(&subscriber->_list);
    subscriber->_partial_seq = 0;
    subscriber->_behind = subscriber->_sought = false;
}

size_t td_hub_count_named(const struct td_subscriber *subscriber)
{
    return subscriber->_n_named;
}

bool td_hub_has_named(const struct td_subscriber *subscriber, struct td_slice named)
{
    for (size_t i = 0; i < subscriber->_n_subs; i++)
        if (td_slice_eq(td_pattern_text(subscriber->_subs[i].named), named))
            return true;
    return false;
}

size_t td_hub_named(const struct td_subscriber *subscriber, struct td_named *ret)
{
    for (size_t i = 0; i < subscriber->_n_subs; i++) {
        const struct td_subscription *sub = &subscriber->_subs[i];
        ret[i] = (struct td_named){td_pattern_text(sub->named), td_pattern_text(sub->pattern)};
    }
    return subscriber->_n_subs;
}

size_t td_hub_wanted(const struct td_subscriber *subscriber, struct td_wanted *ret)
{
    for (size_t i = 0; i < subscriber->_n_subs; i++)
        ret[i] = td_pattern_wanted(subscriber->_subs[i].pattern);
    return subscriber->_n_subs;
}

void td_hub_seek(struct td_hub *hub, struct td_subscriber *subscriber, uint64_t position,
                 struct td_told told)
{
    /* The rest of a record that is out in part goes first, and leaves the new position alone. */
    subscriber->_sought = td_hub_is_partial(subscriber);
    subscriber->_position = position;
    subscriber->_told_upto = told.upto;
    subscriber->_told_trims = told.trims;
    subscriber->_gap_again = false;
    subscriber->_behind = true;
    subscriber->_owes_caught_up = true;
    td_list_remove(&subscriber->_list);
    td_list_append(&hub->again, &subscriber->_list);
}

void td_hub_fall_behind(struct td_hub *hub, struct td_subscriber *subscriber)
{
    if (subscriber->_behind || subscriber->wire == TD_WIRE_NONE)
        return;
    subscriber->_behind = true;
    subscriber->_position = hub->position;
}

uint64_t td_hub_position(const struct td_hub *hub, const struct td_subscriber *subscriber)
{
    if (!subscriber->_behind)
        return hub->position;
    /* Whatever is told of it goes out behind the rest of a record that is out in part. */
    return td_hub_is_partial(subscriber) && !subscriber->_sought ? subscriber->_partial_seq
                                                                 : subscriber->_position;
}

bool td_hub_is_live(const struct td_subscriber *subscriber)
{
    return !subscriber->_behind;
}

bool td_hub_owe_caught_up(struct td_subscriber *subscriber)
{
    return subscriber->_owes_caught_up = subscriber->_behind;
}

bool td_hub_has_more(const struct td_subscriber *subscriber)
{
    return subscriber->_behind || subscriber->_asides;
}

bool td_hub_is_partial(const struct td_subscriber *subscriber)
{
    return subscriber->_partial_seq != 0;
}
