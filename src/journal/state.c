/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/state.h"
#include "base/assert.h"
#include "base/err.h"
#include "journal/state_topic.h"
#include <stdlib.h>

/* Entries that one update, and one settling, may look at for what can be forgotten. */
#define PRUNE_ON_UPDATE 2
#define PRUNE_ON_SETTLE 1024

_Static_assert(sizeof(struct td_state_link) == 8, "a link is a word");

void td_state_init(struct td_state *state)
{
    td_map_init(&state->map, sizeof(struct td_state_entry *));
    td_mutex_init(&state->mutex);
    for (size_t i = 0; i < TD_GROUPS; i++)
        td_list_init(&state->by_age[i]);
    td_list_init(&state->pending);
}

void td_state_setup(struct td_state *state, uint64_t seed, const struct td_groups *groups,
                    const struct td_journal_options *options)
{
    state->seed = seed;
    state->groups = groups;
    state->keys_max = options->state_keys_max;
    state->topic_keys_max = options->topic_keys_max;
}

void td_state_stat(struct td_state *state, struct td_journal_stat *stat)
{
    td_mutex_lock(&state->mutex);
    stat->state_keys = state->n_keys;
    stat->state_topics = state->n_topics;
    stat->state_bytes = state->bytes + td_map_bytes(&state->map);
    td_mutex_unlock(&state->mutex);
}

static void entry_free(struct td_state_entry *entry)
{
    if (entry->cap > 0)
        free(entry->links);
    free(entry);
}

void td_state_done(struct td_state *state)
{
    struct td_state_entry **first;
    size_t cursor = 0;
    uint64_t key;

    while ((first = td_map_each(&state->map, &cursor, &key)))
        for (struct td_state_entry *entry = *first, *same; entry; entry = same) {
            same = entry->same;
            entry_free(entry);
        }
    td_map_done(&state->map);
    td_state_topics_free(state);
    td_mutex_done(&state->mutex);
}

/* ---- entries ---- */

static struct td_state_entry *find(const struct td_state *state, const uint64_t key[2])
{
    struct td_state_entry **first = td_map_get(&state->map, key[0]);
    struct td_state_entry *entry = first ? *first : NULL;

    while (entry && entry->key[1] != key[1])
        entry = entry->same;
    return entry;
}

/* Whether there is something that a newcomer is shown, once all of it is readable. */
static bool holds(const struct td_state_entry *entry)
{
    return entry->n > 0 && !entry->links[entry->last].removes;
}

static struct td_state_entry *entry_new(struct td_state *state, const uint64_t key[2],
                                        struct td_slice topic)
{
    struct td_state_entry *entry = calloc(1, sizeof(*entry));
    struct td_state_entry **first = td_map_put(&state->map, key[0], NULL);

    TD_ASSERT(entry && first);
    memcpy(entry->key, key, sizeof(entry->key));
    entry->same = *first;
    *first = entry;
    entry->links = &entry->one;
    entry->topic = td_state_topic_get(state, topic);
    entry->topic->n_entries++;
    td_list_init(&entry->by_age);
    td_list_init(&entry->pending);
    state->bytes += sizeof(*entry);
    return entry;
}

static void entry_remove(struct td_state *state, struct td_state_entry *entry)
{
    struct td_state_entry **first = td_map_get(&state->map, entry->key[0]), **link = first;

    for (uint32_t i = 0; i < entry->n; i++)
        if (entry->links[i].begins)
            td_state_slot_kill(state, entry->topic, entry->links[i].seq);
    if (holds(entry)) {
        entry->topic->n_keys--;
        state->n_keys--;
    }
    while (*link != entry)
        link = &(*link)->same;
    *link = entry->same;
    if (!*first)
        td_map_remove(&state->map, entry->key[0]);
    td_list_remove(&entry->by_age);
    td_list_remove(&entry->pending);
    entry->topic->n_entries--;
    if (entry->topic->n_entries == 0)
        td_state_topic_drop(state, entry->topic);
    state->bytes -= sizeof(*entry) + entry->cap * sizeof(*entry->links);
    entry_free(entry);
}

static struct td_state_link link_of(uint64_t seq, bool begins, bool removes)
{
    TD_ASSERT(seq >> 62 == 0);
    return (struct td_state_link){
        .seq = seq & (UINT64_MAX >> 2), .begins = begins, .removes = removes};
}

static void push(struct td_state *state, struct td_state_entry *entry, struct td_state_link link)
{
    if (entry->n == TD_MAX(entry->cap, 1U)) {
        uint32_t cap = entry->n * 2;
        struct td_state_link *links =
            realloc(entry->cap > 0 ? entry->links : NULL, cap * sizeof(*links));
        TD_ASSERT(links);
        if (entry->cap == 0)
            links[0] = entry->one;
        state->bytes += (cap - entry->cap) * sizeof(*links);
        entry->links = links;
        entry->cap = cap;
    }
    if (link.begins || link.removes)
        entry->last = entry->n;
    entry->links[entry->n++] = link;
}

/* Takes the first `n` links off, whole chains. */
static void drop_front(struct td_state *state, struct td_state_entry *entry, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (entry->links[i].begins)
            td_state_slot_kill(state, entry->topic, entry->links[i].seq);
    entry->n -= n;
    entry->last -= n;
    memmove(entry->links, entry->links + n, entry->n * sizeof(*entry->links));
    /* A long text that has been replaced gives its memory back. */
    if (entry->cap > 16 && entry->n <= entry->cap / 4) {
        uint32_t cap = TD_MAX(entry->n, 4U);
        struct td_state_link *links = realloc(entry->links, cap * sizeof(*links));
        if (!links)
            return;
        state->bytes -= (entry->cap - cap) * sizeof(*links);
        entry->links = links;
        entry->cap = cap;
    }
}

/* Forgets what has been replaced by something that is on disk; true when the entry is gone with it. */
static bool prune(struct td_state *state, struct td_state_entry *entry, uint64_t durable)
{
    uint32_t n = 0;

    if (entry->links[entry->last].seq <= durable) {
        n = entry->last;
    } else {
        for (uint32_t i = 1; i <= entry->last && entry->links[i].seq <= durable; i++)
            if (entry->links[i].begins || entry->links[i].removes)
                n = i;
    }
    if (n > 0)
        drop_front(state, entry, n);
    /* A removal with nothing left to hide; what is behind it begins anew. */
    while (entry->links[0].removes) {
        if (entry->n == 1) {
            entry_remove(state, entry);
            return true;
        }
        drop_front(state, entry, 1);
    }
    td_list_remove(&entry->pending);
    if (entry->last > 0)
        td_list_append(&state->pending, &entry->pending);
    return false;
}

/* Looks at entries with several chains, those first that have waited longest. */
static bool prune_some(struct td_state *state, uint64_t durable, unsigned max)
{
    bool some = false;

    for (unsigned i = 0; i < max && !td_list_empty(&state->pending); i++) {
        struct td_state_entry *entry =
            TD_CONTAINER_OF(state->pending.next, struct td_state_entry, pending);
        uint32_t next = 1;
        while (!entry->links[next].begins && !entry->links[next].removes)
            next++;
        if (entry->links[next].seq > durable)
            break;
        prune(state, entry, durable);
        some = true;
    }
    return some;
}

/* ---- updates ---- */

static void apply(struct td_state *state, const struct td_state_event *event, uint64_t durable)
{
    struct td_state_entry *entry = find(state, event->key);

    if (!entry && event->removes)
        return;
    if (!entry)
        entry = entry_new(state, event->key, event->topic);
    bool held = holds(entry);
    /* What it continued at td_state_check may have grown too old a moment ago. */
    bool continues = event->append && !event->begins && entry->append && held && !event->removes;
    struct td_state_link link = link_of(event->seq, !continues && !event->removes, event->removes);

    push(state, entry, link);
    entry->append = event->append && !event->removes;
    entry->time = event->time;
    if (link.begins)
        td_state_slot_add(state, entry->topic, event->seq, entry);
    entry->topic->n_keys += (size_t)holds(entry) - held;
    state->n_keys += (size_t)holds(entry) - held;
    td_list_remove(&entry->by_age);
    td_list_append(&state->by_age[entry->topic->group], &entry->by_age);
    if (entry->last > 0 || link.removes)
        prune(state, entry, durable);
}

void td_state_apply(struct td_state *state, const struct td_state_event *events, size_t n,
                    uint64_t durable)
{
    td_mutex_lock(&state->mutex);
    for (size_t i = 0; i < n; i++) {
        apply(state, &events[i], durable);
        prune_some(state, durable, PRUNE_ON_UPDATE);
    }
    td_mutex_unlock(&state->mutex);
}

bool td_state_expired(const struct td_state *state, const struct td_state_entry *entry,
                      td_unix_ms now)
{
    uint64_t ttl_ms = state->groups->at[entry->topic->group].state_ttl_ms;

    return ttl_ms > 0 && now > entry->time && now - entry->time > ttl_ms;
}

static bool expire_some(struct td_state *state, struct td_list *by_age, td_unix_ms now)
{
    bool some = false;

    for (unsigned i = 0; i < PRUNE_ON_SETTLE && !td_list_empty(by_age); i++) {
        struct td_state_entry *entry = TD_CONTAINER_OF(by_age->next, struct td_state_entry, by_age);
        if (!td_state_expired(state, entry, now))
            break;
        entry_remove(state, entry);
        some = true;
    }
    return some;
}

bool td_state_settle(struct td_state *state, uint64_t durable, td_unix_ms now)
{
    td_mutex_lock(&state->mutex);
    bool some = prune_some(state, durable, PRUNE_ON_SETTLE);
    for (size_t i = 0; i < TD_GROUPS; i++)
        some = expire_some(state, &state->by_age[i], now) || some;
    td_mutex_unlock(&state->mutex);
    return some;
}

/* ---- what is needed ---- */

uint32_t td_state_link_from(const struct td_state_entry *entry, uint64_t seq)
{
    uint32_t low = 0, high = entry->n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (entry->links[middle].seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct td_state_link *link_at(const struct td_state_entry *entry, uint64_t seq)
{
    uint32_t i = td_state_link_from(entry, seq);

    return i < entry->n && entry->links[i].seq == seq ? &entry->links[i] : NULL;
}

static struct td_state_entry *find_fresh(const struct td_state *state, const uint64_t key[2],
                                         td_unix_ms now)
{
    struct td_state_entry *entry = find(state, key);

    return entry && !td_state_expired(state, entry, now) ? entry : NULL;
}

bool td_state_needs(struct td_state *state, const struct td_state_event *event, td_unix_ms now)
{
    td_mutex_lock(&state->mutex);
    const struct td_state_entry *entry = find_fresh(state, event->key, now);
    bool needs = entry && link_at(entry, event->seq);
    td_mutex_unlock(&state->mutex);
    return needs;
}

bool td_state_has(struct td_state *state, const uint64_t key[2], td_unix_ms now)
{
    td_mutex_lock(&state->mutex);
    bool has = find_fresh(state, key, now) != NULL;
    td_mutex_unlock(&state->mutex);
    return has;
}

uint64_t td_state_live(struct td_state *state, const uint64_t key[2], const uint64_t *seqs,
                       size_t n, td_unix_ms now)
{
    uint64_t live = 0;

    td_mutex_lock(&state->mutex);
    const struct td_state_entry *entry = find_fresh(state, key, now);
    for (size_t i = 0; entry && i < n; i++)
        live += link_at(entry, seqs[i]) != NULL;
    td_mutex_unlock(&state->mutex);
    return live;
}

/* ---- limits ---- */

/* What the events before have come to: what a key has, or how many new keys a topic. */
struct tally {
    uint64_t n;
    bool seen, counted, append;
};

/* What the key of an event has before it. */
static struct tally *tally_of(const struct td_state *state, const struct td_state_event *event,
                              struct td_map *tallies, bool *ret_held)
{
    const struct td_state_entry *entry = find(state, event->key);
    struct tally *tally = td_map_put(tallies, event->key[0] ^ event->key[1], NULL);
    bool held = entry && holds(entry);

    TD_ASSERT(tally);
    if (!tally->seen && held && !td_state_expired(state, entry, event->time)) {
        tally->append = entry->append;
        tally->n = entry->n - entry->last;
    }
    tally->seen = true;
    *ret_held = held;
    return tally;
}

static int check_one(const struct td_state *state, struct td_state_event *event,
                     struct td_map *tallies, size_t *n_new)
{
    bool held;
    struct tally *of_key = tally_of(state, event, tallies, &held);

    if (event->append && !event->removes && !of_key->append)
        event->begins = true;
    of_key->n = event->begins || !event->append ? 1 : of_key->n + 1;
    of_key->append = event->append && !event->removes;
    if (event->removes)
        return 0;
    if (of_key->n > TD_STATE_CHUNKS_MAX)
        return TD_ETEXTCHUNKS;
    if (held || of_key->counted)
        return 0;
    of_key->counted = true;
    if (state->n_keys + ++*n_new > state->keys_max)
        return TD_ESTATEKEYS;
    const struct td_state_topic *topic = td_state_topic_find(state, event->topic);
    struct tally *of_topic = td_map_put(tallies, td_topic_key(state->seed, event->topic), NULL);
    TD_ASSERT(of_topic);
    return (topic ? topic->n_keys : 0) + ++of_topic->n > state->topic_keys_max ? TD_ETOPICKEYS : 0;
}

int td_state_check(struct td_state *state, struct td_state_event *events, size_t n)
{
    struct td_map tallies;
    size_t n_new = 0;
    int r = 0;

    td_map_init(&tallies, sizeof(struct tally));
    td_mutex_lock(&state->mutex);
    for (size_t i = 0; i < n && r == 0; i++)
        r = check_one(state, &events[i], &tallies, &n_new);
    td_mutex_unlock(&state->mutex);
    td_map_done(&tallies);
    return r;
}

/* ---- the start ---- */

void td_state_load(struct td_state *state, const struct td_index_state *part, struct td_slice topic,
                   const uint64_t *seqs)
{
    struct td_state_entry *entry = find(state, part->key);
    bool continues =
        !(part->flags & (TD_STATE_BEGINS | TD_STATE_REMOVES)) && entry && entry->append;

    if (entry && !continues)
        entry_remove(state, entry);
    if (part->flags & TD_STATE_REMOVES)
        return;
    if (!continues)
        entry = entry_new(state, part->key, topic);
    for (uint32_t i = 0; i < part->count; i++)
        push(state, entry, link_of(seqs[i], !continues && i == 0, false));
    entry->append = part->flags & TD_STATE_APPEND;
    entry->time = part->time;
    if (!continues) {
        entry->topic->n_keys++;
        state->n_keys++;
    }
}

void td_parts_load(struct td_state *state, const struct td_parts *parts, const char *segment)
{
    for (uint32_t i = 0; i < parts->n; i++) {
        const struct td_part *part = &parts->at[i];
        struct td_index_state about = part->about;
        struct td_record record;
        td_record_view(segment + part->offset, &record);
        about.count = part->n;
        td_state_load(state, &about, record.topic, part->cap > 0 ? part->seqs : &part->one);
    }
}

static int by_begin(const void *a, const void *b)
{
    const struct td_state_entry *const *x = a, *const *y = b;
    uint64_t seq_x = (*x)->links[0].seq, seq_y = (*y)->links[0].seq;

    return seq_x < seq_y ? -1 : seq_x > seq_y;
}

static int by_time(const void *a, const void *b)
{
    const struct td_state_entry *const *x = a, *const *y = b;

    return (*x)->time < (*y)->time ? -1 : (*x)->time > (*y)->time;
}

void td_state_loaded(struct td_state *state)
{
    struct td_state_entry **all = calloc(state->n_keys + 1, sizeof(struct td_state_entry *));
    struct td_state_entry **first;
    size_t cursor = 0, n = 0;
    uint64_t key;

    TD_ASSERT(all);
    while ((first = td_map_each(&state->map, &cursor, &key)))
        for (struct td_state_entry *entry = *first; entry; entry = entry->same)
            all[n++] = entry;
    TD_ASSERT(n == state->n_keys);
    if (n > 0)
        qsort(all, n, sizeof(struct td_state_entry *), by_begin);
    for (size_t i = 0; i < n; i++)
        td_state_slot_add(state, all[i]->topic, all[i]->links[0].seq, all[i]);
    if (n > 0)
        qsort(all, n, sizeof(struct td_state_entry *), by_time);
    for (size_t i = 0; i < n; i++)
        td_list_append(&state->by_age[all[i]->topic->group], &all[i]->by_age);
    free(all);
}
