/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/account.h"
#include "base/assert.h"
#include "os/clock.h"

void td_each_init(struct td_each *each, struct td_journal *journal,
                  const struct td_segment *segment)
{
    TD_ASSERT(atomic_load(&segment->heat) == TD_HOT);
    *each = (struct td_each){
        .segment = segment,
        .history = td_segment_get(segment, journal->all_key),
        .kept = td_segment_get(segment, journal->kept_key),
    };
}

static bool in_damage(struct td_each *each, uint32_t offset)
{
    const struct td_segment *segment = each->segment;

    while (each->damage < segment->n_damage && segment->damage[each->damage].to <= offset)
        each->damage++;
    return each->damage < segment->n_damage && segment->damage[each->damage].from <= offset;
}

bool td_each_next(struct td_each *each, struct td_record *ret_record, uint32_t *ret_offset)
{
    while (each->history.n > 0 || each->kept.n > 0) {
        struct td_offsets *from = each->kept.n == 0                        ? &each->history
                                  : each->history.n == 0                   ? &each->kept
                                  : each->history.at[0] < each->kept.at[0] ? &each->history
                                                                           : &each->kept;
        uint32_t offset = *from->at++;
        from->n--;
        if (in_damage(each, offset))
            continue;
        td_record_view(each->segment->map + offset, ret_record);
        *ret_offset = offset;
        return true;
    }
    return false;
}

void td_account(struct td_journal *journal, struct td_segment *segment)
{
    struct td_group_share *shares = segment->shares;
    struct td_record record;
    struct td_each each;
    struct td_map groups; /* of topics that have been looked at */
    uint32_t offset;

    memset(shares, 0, sizeof(segment->shares));
    segment->kept_bytes = 0;
    td_map_init(&groups, sizeof(uint32_t));
    td_each_init(&each, journal, segment);
    while (td_each_next(&each, &record, &offset)) {
        uint32_t group = 0;
        if (record.flags & TD_RECORD_KEPT) {
            segment->kept_bytes += record.size;
            continue;
        }
        if (journal->groups.n > 1) {
            bool new;
            uint32_t *known = td_map_put(&groups, td_topic_key(journal->seed, record.topic), &new);
            TD_ASSERT(known);
            if (new)
                *known = td_groups_of(&journal->groups, record.topic);
            group = *known;
        }
        shares[group].bytes += record.size;
        shares[group].last_time = TD_MAX(shares[group].last_time, record.time);
    }
    td_map_done(&groups);
    segment->accounted = true;
}

bool td_account_load(struct td_journal *journal, struct td_segment *segment)
{
    const struct td_sealed *sealed = &segment->sealed_index;
    const struct td_index_header *header = sealed->header;

    segment->kept_bytes = header->kept_bytes;
    if (header->groups_id == journal->groups.id && header->groups == journal->groups.n) {
        for (uint32_t i = 0; i < header->groups; i++)
            segment->shares[i] =
                (struct td_group_share){sealed->groups[i].bytes, sealed->groups[i].last_time};
        segment->accounted = true;
    } else if (journal->groups.n == 1) {
        for (uint32_t i = 0; i < header->groups; i++) {
            segment->shares[0].bytes += sealed->groups[i].bytes;
            segment->shares[0].last_time =
                TD_MAX(segment->shares[0].last_time, sealed->groups[i].last_time);
        }
        segment->accounted = true;
    }
    return segment->accounted;
}

uint64_t td_account_bytes(const struct td_segment *segment, size_t group)
{
    uint64_t all = atomic_load(&segment->end), bytes = segment->shares[group].bytes;

    return bytes + (uint64_t)((double)segment->sealed_index.bytes * (double)bytes / (double)all);
}

/* ---- what it leaves of the state ---- */

static const struct td_index_state *find_state(const struct td_sealed *sealed,
                                               const uint64_t key[2])
{
    uint32_t low = 0, high = sealed->header->states;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const uint64_t *at = sealed->states[middle].key;
        if (at[0] < key[0] || (at[0] == key[0] && at[1] < key[1]))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == sealed->header->states || memcmp(sealed->states[low].key, key, 16) != 0)
        return NULL;
    return &sealed->states[low];
}

uint64_t td_segment_last_of_key(struct td_journal *journal, const struct td_segment *segment,
                                const uint64_t key[2])
{
    uint64_t seq = 0;

    if (atomic_load_explicit(&segment->sealed, memory_order_acquire)) {
        const struct td_index_state *state = find_state(&segment->sealed_index, key);
        return state ? segment->sealed_index.state_seqs[state->start + state->count - 1] : 0;
    }
    td_mutex_lock(&journal->index_lock);
    seq = td_parts_last_of(&segment->index->parts, key);
    td_mutex_unlock(&journal->index_lock);
    return seq;
}

void td_account_live(struct td_journal *journal, const struct td_segment *segment,
                     uint64_t *ret_live, uint64_t *ret_all)
{
    const struct td_sealed *sealed = &segment->sealed_index;
    td_unix_ms now = td_clock_unix_ms();

    *ret_live = *ret_all = 0;
    for (uint32_t i = 0; i < sealed->header->states; i++) {
        const struct td_index_state *state = &sealed->states[i];
        *ret_all += state->count;
        *ret_live += td_state_live(&journal->state, state->key, sealed->state_seqs + state->start,
                                   state->count, now);
    }
}
