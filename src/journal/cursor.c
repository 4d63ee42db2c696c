/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/cursor.h"
#include "base/assert.h"
#include <stdlib.h>

/* Points a cursor at its offsets from `from` on; false when there are none. */
static bool fill(const struct td_merge *merge, struct td_cursor *cursor, uint32_t from)
{
    struct td_journal *journal = merge->journal;
    struct td_segment *segment = merge->segment;
    uint64_t key = merge->wanted[cursor->which].key;
    bool locked = !atomic_load_explicit(&segment->sealed, memory_order_acquire);

    if (locked)
        td_mutex_lock(&journal->index_lock);
    bool sealed = atomic_load_explicit(&segment->sealed, memory_order_relaxed);
    struct td_offsets offsets = td_segment_get(segment, key);
    uint32_t skip = td_offsets_below(offsets, from);
    uint32_t n = offsets.n - skip;
    cursor->more = false;
    cursor->at = cursor->chunk;
    if (sealed && n > 0) { /* without any there is no place to point at */
        cursor->at = offsets.at + skip;
    } else if (n > 0) {
        cursor->more = n > TD_CURSOR_CHUNK;
        n = TD_MIN(n, TD_CURSOR_CHUNK);
        memcpy(cursor->chunk, offsets.at + skip, n * sizeof(uint32_t));
    }
    cursor->end = cursor->at + n;
    if (locked)
        td_mutex_unlock(&journal->index_lock);
    return n > 0;
}

static void sift_down(struct td_merge *merge, size_t i)
{
    struct td_cursor **heap = merge->heap, *cursor = heap[i];

    for (size_t child; (child = 2 * i + 1) < merge->n; i = child) {
        if (child + 1 < merge->n && *heap[child + 1]->at < *heap[child]->at)
            child++;
        if (*cursor->at <= *heap[child]->at)
            break;
        heap[i] = heap[child];
    }
    heap[i] = cursor;
}

static void reserve(struct td_journal_reader *reader, size_t n)
{
    if (n <= reader->cursors_cap)
        return;
    free(reader->cursors);
    free(reader->heap);
    reader->cursors = calloc(n, sizeof(*reader->cursors));
    reader->heap = calloc(n, sizeof(struct td_cursor *));
    TD_ASSERT(reader->cursors && reader->heap);
    reader->cursors_cap = n;
}

void td_merge_init(struct td_merge *merge, struct td_journal_reader *reader,
                   struct td_segment *segment, const struct td_read *read, uint32_t from)
{
    reserve(reader, read->n_wanted);
    *merge = (struct td_merge){
        .journal = reader->journal,
        .segment = segment,
        .wanted = read->wanted,
        .heap = reader->heap,
    };
    for (size_t i = 0; i < read->n_wanted; i++) {
        struct td_cursor *cursor = &reader->cursors[i];
        cursor->which = (uint32_t)i;
        if (fill(merge, cursor, from))
            merge->heap[merge->n++] = cursor;
    }
    for (size_t i = merge->n / 2; i-- > 0;)
        sift_down(merge, i);
}

void td_merge_advance(struct td_merge *merge)
{
    struct td_cursor *cursor = merge->heap[0];
    uint32_t last = *cursor->at++;

    if (cursor->at == cursor->end && !(cursor->more && fill(merge, cursor, last + 1)))
        merge->heap[0] = merge->heap[--merge->n];
    if (merge->n > 0)
        sift_down(merge, 0);
}

bool td_wanted_matches(const struct td_wanted *wanted, struct td_slice topic)
{
    return td_slice_eq(wanted->pattern, TD_S("**")) || td_pattern_match(wanted->pattern, topic);
}

const struct td_damage *td_segment_damage_after(const struct td_segment *segment, uint64_t position)
{
    for (size_t i = 0; i < segment->n_damage; i++)
        if (segment->damage[i].next_seq > position + 1)
            return &segment->damage[i];
    return NULL;
}

/* What is filed between the damage before `to` and `to`.  Damage at the end of a segment has no bytes: it is not before itself. */
static struct td_offsets stretch(const struct td_segment *segment, uint64_t key, uint32_t to)
{
    struct td_offsets all = td_segment_get(segment, key);
    uint32_t from = 0;

    if (segment->n_damage == 0)
        return all;
    for (size_t i = 0; i < segment->n_damage && segment->damage[i].from < to; i++)
        from = segment->damage[i].to;
    uint32_t first = td_offsets_below(all, from);
    return (struct td_offsets){all.at + first, td_offsets_below(all, to) - first};
}

uint32_t td_segment_offset_after(struct td_journal *journal, const struct td_segment *segment,
                                 uint64_t key, uint64_t position, uint32_t to)
{
    bool locked = !atomic_load_explicit(&segment->sealed, memory_order_acquire);

    if (locked)
        td_mutex_lock(&journal->index_lock);
    struct td_offsets all = stretch(segment, key, to);
    uint32_t i = td_offsets_after(all, segment->map, position);
    uint32_t offset = i < all.n ? all.at[i] : to;
    if (locked)
        td_mutex_unlock(&journal->index_lock);
    return offset;
}

/* Whether the verified index of a cold segment knows of nothing that is wanted behind a position. */
static bool passes_by(const struct td_segment *segment, const struct td_read *read, uint64_t after)
{
    const struct td_sealed *sealed = &segment->sealed_index;

    if (sealed->header->damaged)
        return false;
    for (size_t i = 0; i < read->n_wanted; i++) {
        const struct td_index_key *entry = td_sealed_find(sealed, read->wanted[i].key);
        if (entry && entry->last_seq > after)
            return false;
    }
    return true;
}

static void ask(struct td_journal *journal, struct td_segment *segment, int what)
{
    int heat = atomic_load(&segment->heat);

    while (heat < what)
        if (atomic_compare_exchange_weak(&segment->heat, &heat, what)) {
            td_journal_call_keeper(journal);
            return;
        }
}

bool td_segment_warm(struct td_journal *journal, struct td_segment *segment)
{
    if (atomic_load_explicit(&segment->heat, memory_order_acquire) == TD_HOT)
        return true;
    ask(journal, segment, TD_WANTED);
    return atomic_load(&segment->heat) == TD_HOT;
}

enum td_entry td_segment_enter(struct td_journal *journal, struct td_segment *segment,
                               const struct td_read *read, uint64_t after)
{
    if (atomic_load_explicit(&segment->heat, memory_order_acquire) == TD_HOT)
        return TD_ENTRY_READ;
    bool indexed = atomic_load_explicit(&segment->indexed, memory_order_acquire);
    if (indexed && passes_by(segment, read, after))
        return TD_ENTRY_PASS;
    ask(journal, segment, indexed ? TD_WANTED : TD_ASKED);
    /* The keeper may have finished just now; then nobody would wake this reader. */
    return atomic_load(&segment->heat) == TD_HOT ? TD_ENTRY_READ : TD_ENTRY_COLD;
}
