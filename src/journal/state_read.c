/* SPDX-License-Identifier: Apache-2.0 */
/* Giving the state: the table says which sequences, the segments have the records. */
#include "base/assert.h"
#include "journal/cursor.h"
#include "os/clock.h"
#include <errno.h>

#define PICKS 64

/* What looking for a record comes to. */
enum found {
    FOUND,
    FOUND_COLD,   /* the keeper has been asked */
    FOUND_NOTHING /* it is damaged; or replaced since it was picked, and gone */
};

/* The record of a sequence in the sound stretch of a segment that ends at `to`, among the history or what is kept. */
static const char *record_in(struct td_journal *journal, const struct td_segment *segment,
                             uint64_t seq, uint32_t to)
{
    const uint64_t keys[] = {journal->all_key, journal->kept_key};

    for (size_t i = 0; i < TD_ARRAY_LEN(keys); i++) {
        uint32_t offset = td_segment_offset_after(journal, segment, keys[i], seq - 1, to);
        if (offset < to && td_record_seq(segment->map + offset) == seq)
            return segment->map + offset;
    }
    return NULL;
}

static enum found find_record(struct td_journal *journal, const struct td_set *set, uint64_t seq,
                              const char **ret_record)
{
    if (set->n == 0)
        return FOUND_NOTHING;
    struct td_segment *segment = set->segments[td_set_find(set, seq - 1)];
    if (!td_segment_warm(journal, segment))
        return FOUND_COLD;
    const struct td_damage *damage = td_segment_damage_after(segment, seq - 1);
    uint32_t to = damage ? damage->from : atomic_load_explicit(&segment->end, memory_order_acquire);
    const char *record = record_in(journal, segment, seq, to);
    if (!record) {
        if (segment->n_damage > 0)
            atomic_fetch_add(&journal->state_lost, 1);
        return FOUND_NOTHING;
    }
    *ret_record = record;
    return FOUND;
}

int td_journal_at(struct td_journal_reader *reader, uint64_t seq, struct td_record *ret_record)
{
    const char *record;

    if (seq == 0)
        return 0;
    switch (find_record(reader->journal, td_reader_set(reader), seq, &record)) {
    case FOUND: td_record_view(record, ret_record); return 1;
    case FOUND_COLD: return -EAGAIN;
    case FOUND_NOTHING: break;
    }
    return 0;
}

/* Gives what has been picked, moving the cursor; false when the answer ends with it. */
static bool give(struct td_journal *journal, const struct td_set *set, struct td_state_read *read,
                 const struct td_state_pick *picks, size_t n, size_t *bytes)
{
    for (size_t i = 0; i < n; i++) {
        struct td_record record;
        const char *at;
        enum found found = find_record(journal, set, picks[i].seq, &at);
        if (found == FOUND_COLD) {
            read->end = TD_READ_COLD;
            return false;
        }
        if (found == FOUND) {
            td_record_view(at, &record);
            if (read->n == read->records_max || (read->bytes_max > 0 && read->n > 0 &&
                                                 *bytes + record.frame.len > read->bytes_max)) {
                read->end = TD_READ_BUDGET;
                return false;
            }
            read->records[read->n++] = at;
            *bytes += record.frame.len;
        }
        read->cursor->chain = picks[i].chain;
        read->cursor->seq = picks[i].seq;
    }
    return true;
}

void td_journal_state(struct td_journal_reader *reader, struct td_state_read *read)
{
    struct td_journal *journal = reader->journal;
    /* The head before the set, as in td_journal_read. */
    uint64_t readable = td_journal_readable(journal);
    const struct td_set *set = td_reader_set(reader);
    struct td_state_walk walk = {
        .wanted = read->wanted,
        .n_wanted = read->n_wanted,
        .as_of = TD_MIN(read->as_of, readable),
        .now = td_clock_unix_ms(),
        .topics_left = read->topics_max > 0 ? read->topics_max : SIZE_MAX,
        .cursor = read->cursor,
    };
    struct td_state_pick picks[PICKS];
    size_t n, bytes = 0;

    TD_ASSERT(read->records_max > 0);
    read->n = 0;
    while ((n = td_state_walk(&journal->state, &walk, picks, PICKS)) > 0)
        if (!give(journal, set, read, picks, n, &bytes))
            return;
    read->end = walk.ended ? TD_READ_DONE : TD_READ_BUDGET;
}
