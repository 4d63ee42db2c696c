/* SPDX-License-Identifier: Apache-2.0 */
/* Reading forward: the offsets under the wanted keys of one segment after the other, merged.
 *
 * Offsets under a key are in order, so a segment costs one lookup for each pattern, and a record only when it is filed under one of
 * them.  Damage divides a segment into sound stretches; nothing outside of these is ever touched. */
#include "base/assert.h"
#include "journal/cursor.h"
#include "journal/internal.h"

/* What a step of reading has come to. */
enum step {
    STEP_PASS,  /* nothing here is wanted, without a look at it */
    STEP_NEXT,  /* nothing more here: go on with the next segment */
    STEP_ENDED, /* the answer is complete */
};

struct walk {
    struct td_journal_reader *reader;
    struct td_read *read;
    uint64_t until;
    size_t bytes;
};

static enum step end(struct walk *walk, enum td_read_end how, uint64_t position)
{
    walk->read->end = how;
    walk->read->position = position;
    return STEP_ENDED;
}

static enum step gap(struct walk *walk, enum td_gap_reason reason, uint64_t from, uint64_t to)
{
    TD_ASSERT(reason == TD_GAP_UNSYNCED || to > from);
    walk->read->gap_reason = reason;
    walk->read->gap_from = from;
    walk->read->gap_to = to;
    return end(walk, TD_READ_GAP, walk->read->position);
}

/* Takes the first offset off the merge; whether one of the patterns that it is filed under matches. */
static bool take(struct td_merge *merge, const struct td_wanted *wanted, struct td_slice topic)
{
    uint32_t offset = td_merge_first(merge);
    bool match = false;

    do {
        match = match || td_wanted_matches(&wanted[td_merge_which(merge)], topic);
        td_merge_advance(merge);
    } while (!td_merge_empty(merge) && td_merge_first(merge) == offset);
    return match;
}

/* Gives the records of one sound stretch, up to the offset `to`. */
static enum step read_stretch(struct walk *walk, struct td_merge *merge, uint32_t to)
{
    struct td_read *read = walk->read;
    struct td_record record;

    while (!td_merge_empty(merge) && td_merge_first(merge) < to) {
        const char *bytes = merge->segment->map + td_merge_first(merge);
        uint64_t seq = td_record_seq(bytes);
        if (seq > walk->until)
            return end(walk, TD_READ_DONE, walk->until);
        if (read->n == read->records_max ||
            (read->examined_max > 0 && read->examined == read->examined_max))
            return end(walk, TD_READ_BUDGET, read->position);
        td_record_view(bytes, &record);
        read->examined++;
        if (take(merge, read->wanted, record.topic)) {
            if (read->bytes_max > 0 && read->n > 0 &&
                walk->bytes + record.frame.len > read->bytes_max)
                return end(walk, TD_READ_BUDGET, read->position);
            read->records[read->n++] = bytes;
            walk->bytes += record.frame.len;
        }
        TD_DEBUG_ASSERT(seq > read->position);
        read->position = seq;
    }
    return STEP_NEXT;
}

static enum step read_segment(struct walk *walk, struct td_segment *segment)
{
    struct td_journal_reader *reader = walk->reader;
    struct td_read *read = walk->read;
    struct td_merge merge;

    for (;;) {
        const struct td_damage *damage = td_segment_damage_after(segment, read->position);
        if (damage && read->position >= damage->after_seq)
            return gap(walk, TD_GAP_DAMAGED, read->position, damage->next_seq - 1);
        uint32_t to =
            damage ? damage->from : atomic_load_explicit(&segment->end, memory_order_acquire);
        uint32_t from = td_segment_offset_after(reader->journal, segment, reader->journal->all_key,
                                                read->position, to);
        td_merge_init(&merge, reader, segment, read, from);
        if (read_stretch(walk, &merge, to) == STEP_ENDED)
            return STEP_ENDED;
        if (!damage)
            return STEP_NEXT;
        if (walk->until <= damage->after_seq)
            return end(walk, TD_READ_DONE, walk->until);
        read->position = TD_MAX(read->position, damage->after_seq);
    }
}

/* What may lie before the first record of a segment. */
static enum step enter_segment(struct walk *walk, struct td_segment *segment)
{
    const struct td_segment_header *header = &segment->header;
    uint64_t position = walk->read->position;

    if (position < header->prev_last)
        return gap(walk, TD_GAP_DAMAGED, position, header->prev_last);
    if (position > header->prev_last && position < header->lost_to)
        return gap(walk, TD_GAP_UNSYNCED, position, header->lost_to);
    switch (td_segment_enter(walk->reader->journal, segment, walk->read, position)) {
    case TD_ENTRY_READ: return STEP_NEXT;
    case TD_ENTRY_PASS: return STEP_PASS;
    case TD_ENTRY_COLD: break;
    }
    return end(walk, TD_READ_COLD, position);
}

size_t td_set_find(const struct td_set *set, uint64_t after)
{
    size_t low = 0, high = set->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->segments[middle]->header.prev_last <= after)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? low - 1 : 0;
}

/* What was trimmed of all that is wanted, as `look` asks for it. */
static void look_for_trimmed(struct td_journal *journal, const struct td_wanted *wanted, size_t n,
                             struct td_trimmed_look *look)
{
    td_mutex_lock(&journal->trimmed_lock);
    for (size_t i = 0; i < n; i++)
        td_trimmed_look(&journal->trimmed, &wanted[i], look);
    td_mutex_unlock(&journal->trimmed_lock);
}

static enum step pass_trimmed(struct walk *walk, const struct td_set *set)
{
    struct td_journal *journal = walk->reader->journal;
    struct td_read *read = walk->read;

    uint64_t top = atomic_load_explicit(&journal->trimmed_top, memory_order_acquire);
    uint64_t told = TD_MAX(read->position, read->told.upto);

    if (read->position < set->horizon) {
        td_mutex_lock(&journal->trimmed_lock);
        uint64_t hole_end = td_trimmed_hole_end(&journal->trimmed, read->position);
        td_mutex_unlock(&journal->trimmed_lock);
        if (hole_end > 0)
            return gap(walk, TD_GAP_UNSYNCED, read->position, hole_end);
    }
    bool trims = read->told.trims < atomic_load_explicit(&journal->trims, memory_order_acquire);
    if (told < top || (read->position < top && trims)) {
        struct td_trimmed_look look = {.after = read->position, .trims = read->told.trims};
        look_for_trimmed(journal, read->wanted, read->n_wanted, &look);
        /* What went later may lie anywhere behind the position: only the last of it is known. */
        if (look.last > told || look.later)
            return gap(walk, TD_GAP_RETENTION, look.later ? read->position : told, look.last);
    }
    read->position = TD_MAX(read->position, set->horizon);
    return STEP_NEXT;
}

void td_journal_read(struct td_journal_reader *reader, struct td_read *read)
{
    struct td_journal *journal = reader->journal;
    /* The head first: a set loaded before it may lack the segment that the head is in. */
    uint64_t readable = td_journal_readable(journal);
    const struct td_set *set = td_reader_set(reader);
    struct walk walk = {.reader = reader, .read = read, .until = TD_MIN(read->until, readable)};

    TD_ASSERT(read->records_max > 0);
    read->n = read->examined = 0;
    read->position = read->after;
    /* Nobody but a run that ended before it synced can have given a position beyond the head. */
    if (read->after > td_journal_head(journal)) {
        gap(&walk, TD_GAP_UNSYNCED, read->after, readable);
        return;
    }
    if (pass_trimmed(&walk, set) == STEP_ENDED)
        return;
    for (size_t i = td_set_find(set, read->position); i < set->n; i++) {
        struct td_segment *segment = set->segments[i];
        if (read->position >= walk.until)
            break;
        enum step step = enter_segment(&walk, segment);
        if (step == STEP_NEXT)
            step = read_segment(&walk, segment);
        if (step == STEP_ENDED)
            return;
        uint64_t last_seq = atomic_load(&segment->last_seq); /* read once: it may move */
        if (i + 1 < set->n || set->lost_tail > 0)
            read->position = TD_MAX(read->position, TD_MIN(last_seq, walk.until));
    }
    if (read->position < set->lost_tail && read->position < walk.until)
        gap(&walk, TD_GAP_DAMAGED, read->position, set->lost_tail);
    else
        end(&walk, TD_READ_DONE, TD_MAX(read->position, walk.until));
}

struct td_told td_journal_told(struct td_journal_reader *reader, const struct td_wanted *wanted,
                               size_t n_wanted)
{
    struct td_journal *journal = reader->journal;
    struct td_trimmed_look look = {0};

    /* The count first: what goes in between is told once too often rather than never. */
    uint32_t trims = atomic_load_explicit(&journal->trims, memory_order_acquire);
    look_for_trimmed(journal, wanted, n_wanted, &look);
    return (struct td_told){look.last, trims};
}

bool td_journal_trimmed_after(struct td_journal_reader *reader, const struct td_wanted *wanted,
                              uint64_t after)
{
    if (after >= atomic_load_explicit(&reader->journal->trimmed_top, memory_order_acquire))
        return false;
    struct td_trimmed_look look = {0};
    look_for_trimmed(reader->journal, wanted, 1, &look);
    return look.last > after;
}
