/* SPDX-License-Identifier: Apache-2.0 */
/* Readers look at segments without a lock, so what leaves the log is freed only when each reader has since said that it holds
 * nothing (td_journal_quiesce), or sleeps.
 *
 *   writer   set = new;  g = ++generation;  retired += (old, g)      …  free it when every reader's seen >= g
 *   reader   seen = generation;  …  look at set …  (nothing held any more)  seen = generation
 *
 * A reader that dozes counts as having passed everything; it registers again before it looks at the set.  Both do "store, then load
 * what the other stores", hence sequentially consistent: either the writer sees the registration, or the reader the new set. */
#include "base/assert.h"
#include "journal/internal.h"
#include <errno.h>
#include <stdlib.h>

struct td_set *td_set_new(size_t n, uint64_t horizon)
{
    struct td_set *set = calloc(1, sizeof(*set) + n * sizeof(struct td_segment *));

    TD_ASSERT(set);
    set->n = n;
    set->horizon = horizon;
    return set;
}

uint64_t td_set_last(const struct td_set *set)
{
    return set->n > 0 ? atomic_load(&set->segments[set->n - 1]->last_seq) : set->horizon;
}

void td_set_publish(struct td_journal *journal, struct td_set *set, struct td_segment *dropped)
{
    struct td_retired *retired = calloc(1, sizeof(*retired));

    TD_ASSERT(retired);
    retired->set = atomic_exchange(&journal->set, set);
    retired->segment = dropped;
    retired->generation = atomic_fetch_add(&journal->generation, 1) + 1;
    td_mutex_lock(&journal->readers_lock);
    retired->next = journal->retired;
    journal->retired = retired;
    td_mutex_unlock(&journal->readers_lock);
    atomic_store(&journal->horizon, set->horizon);
}

static uint64_t passed_by_all(struct td_journal *journal)
{
    uint64_t least = UINT64_MAX;

    for (struct td_list *node = journal->readers.next; node != &journal->readers;
         node = node->next) {
        struct td_journal_reader *reader = TD_CONTAINER_OF(node, struct td_journal_reader, node);
        uint64_t seen = atomic_load(&reader->seen); /* read once: it moves */
        least = TD_MIN(least, seen);
    }
    return least;
}

bool td_journal_reclaim(struct td_journal *journal)
{
    struct td_retired *free_list = NULL;

    td_mutex_lock(&journal->readers_lock);
    uint64_t passed = passed_by_all(journal);
    struct td_retired **link = &journal->retired;
    while (*link) {
        struct td_retired *retired = *link;
        if (retired->generation > passed) {
            link = &retired->next;
            continue;
        }
        *link = retired->next;
        retired->next = free_list;
        free_list = retired;
    }
    td_mutex_unlock(&journal->readers_lock);
    bool some = free_list != NULL;
    while (free_list) {
        struct td_retired *next = free_list->next;
        td_segment_free(free_list->segment);
        free(free_list->set);
        free(free_list);
        free_list = next;
    }
    return some;
}

int td_journal_reader_open(struct td_journal *journal, void (*wake)(void *arg), void *arg,
                           struct td_journal_reader **ret_reader)
{
    struct td_journal_reader *reader = calloc(1, sizeof(*reader));

    if (!reader)
        return -ENOMEM;
    reader->journal = journal;
    reader->wake = wake;
    reader->arg = arg;
    reader->heard = td_ephemeral_count(journal->ephemeral);
    td_mutex_lock(&journal->readers_lock);
    atomic_init(&reader->seen, atomic_load(&journal->generation));
    td_list_append(&journal->readers, &reader->node);
    td_mutex_unlock(&journal->readers_lock);
    *ret_reader = reader;
    return 0;
}

void td_journal_reader_close(struct td_journal_reader *reader)
{
    struct td_journal *journal = reader->journal;

    td_mutex_lock(&journal->readers_lock);
    td_list_remove(&reader->node);
    td_mutex_unlock(&journal->readers_lock);
    free(reader->cursors);
    free(reader->heap);
    free(reader);
}

void td_journal_quiesce(struct td_journal_reader *reader, bool doze)
{
    atomic_store(&reader->seen, doze ? TD_READER_DOZES : atomic_load(&reader->journal->generation));
}

const struct td_set *td_reader_set(struct td_journal_reader *reader)
{
    if (atomic_load_explicit(&reader->seen, memory_order_relaxed) == TD_READER_DOZES)
        td_journal_quiesce(reader, false);
    return atomic_load(&reader->journal->set);
}
