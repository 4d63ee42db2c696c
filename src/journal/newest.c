/* SPDX-License-Identifier: Apache-2.0 */
/* Reading backward, to find where the newest records of some patterns begin. */
#include "base/assert.h"
#include "journal/cursor.h"
#include <stdlib.h>

/* The offsets under each wanted key that have not been looked at yet: the last of them is next. */
struct back {
    struct td_segment *segment;
    struct td_read *read;
    struct td_offsets *offsets;
    uint64_t until;
    size_t found;
};

/* The greatest offset left, 0 when there is none. */
static uint32_t last_offset(const struct back *back)
{
    uint32_t last = 0;

    for (size_t i = 0; i < back->read->n_wanted; i++)
        if (back->offsets[i].n > 0)
            last = TD_MAX(last, back->offsets[i].at[back->offsets[i].n - 1]);
    return last;
}

static bool take(struct back *back, uint32_t offset, struct td_slice topic)
{
    bool match = false;

    for (size_t i = 0; i < back->read->n_wanted; i++) {
        struct td_offsets *offsets = &back->offsets[i];
        if (offsets->n == 0 || offsets->at[offsets->n - 1] != offset)
            continue;
        offsets->n--;
        match = match || td_wanted_matches(&back->read->wanted[i], topic);
    }
    return match;
}

/* Looks at what lies behind `from`; true when the answer is found. */
static bool look_back(struct back *back, uint32_t from)
{
    struct td_read *read = back->read;
    struct td_record record;
    uint32_t offset;

    while ((offset = last_offset(back)) >= from && offset > 0) {
        td_record_view(back->segment->map + offset, &record);
        bool match = take(back, offset, record.topic);
        if (record.seq > back->until)
            continue;
        read->examined++;
        bool spent = read->examined == read->examined_max;
        back->found += match;
        if (back->found == read->records_max || spent) {
            read->position = record.seq - 1;
            read->end = back->found == read->records_max ? TD_READ_DONE : TD_READ_BUDGET;
            return true;
        }
    }
    return false;
}

/* Of damage only what lies behind the last of it is looked at; a reader from there is told of it. */
static bool look_at_segment(struct td_journal *journal, struct back *back)
{
    struct td_segment *segment = back->segment;
    const struct td_damage *damage =
        segment->n_damage > 0 ? &segment->damage[segment->n_damage - 1] : NULL;
    bool locked = !atomic_load_explicit(&segment->sealed, memory_order_acquire);

    if (locked)
        td_mutex_lock(&journal->index_lock);
    for (size_t i = 0; i < back->read->n_wanted; i++) {
        back->offsets[i] = td_segment_get(segment, back->read->wanted[i].key);
        if (damage && damage->to >= atomic_load(&segment->end))
            back->offsets[i].n = 0;
    }
    bool found = look_back(back, damage ? damage->to : 0);
    if (locked)
        td_mutex_unlock(&journal->index_lock);
    if (!found && damage) {
        back->read->position = damage->after_seq;
        return true;
    }
    return found;
}

void td_journal_newest(struct td_journal_reader *reader, struct td_read *read)
{
    struct td_journal *journal = reader->journal;
    /* The head before the set, as in td_journal_read. */
    uint64_t readable = td_journal_readable(journal);
    const struct td_set *set = td_reader_set(reader);
    struct back back = {
        .read = read,
        .offsets = calloc(read->n_wanted + 1, sizeof(struct td_offsets)),
        .until = TD_MIN(read->until, readable),
    };

    TD_ASSERT(back.offsets && read->records_max > 0);
    read->n = read->examined = 0;
    read->end = TD_READ_DONE;
    read->position = set->horizon;
    for (size_t i = set->n; i-- > 0;) {
        back.segment = set->segments[i];
        if (back.until <= back.segment->header.prev_last)
            continue;
        enum td_entry entry = td_segment_enter(journal, back.segment, read, 0);
        if (entry == TD_ENTRY_COLD) {
            read->end = TD_READ_COLD;
            break;
        }
        if (entry == TD_ENTRY_READ && look_at_segment(journal, &back))
            break;
        uint64_t before = i > 0 ? atomic_load(&set->segments[i - 1]->last_seq) : set->horizon;
        if (before < back.segment->header.prev_last) {
            read->position = before;
            break;
        }
    }
    free(back.offsets);
}
