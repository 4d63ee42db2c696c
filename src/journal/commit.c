/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit: whatever was appended while the last sync ran is made durable by the next one. */
#include "base/assert.h"
#include "base/err.h"
#include "journal/internal.h"
#include "os/clock.h"
#include "os/file.h"

/* Segments synced in one step; more than two are rare, and wait for the next. */
#define FILES_MAX 4

#define FAST_SYNC_NS (50 * TD_NS_PER_MS)

struct commit {
    int files[FILES_MAX];
    struct td_segment *segments[FILES_MAX];
    size_t n;
    uint64_t to;     /* what is durable when all of it has been synced */
    uint64_t events; /* of `appended` */
    bool all;
};

void td_journal_wake_readers(struct td_journal *journal)
{
    td_mutex_lock(&journal->readers_lock);
    for (struct td_list *node = journal->readers.next; node != &journal->readers;
         node = node->next) {
        struct td_journal_reader *reader = TD_CONTAINER_OF(node, struct td_journal_reader, node);
        reader->wake(reader->arg);
    }
    td_mutex_unlock(&journal->readers_lock);
}

/* What has to be synced, oldest first.  The files stay open: the keeper closes one only when all of it is durable. */
static void gather(struct td_journal *journal, struct commit *commit)
{
    const struct td_set *set = atomic_load(&journal->set);
    size_t first = set->n;

    while (first > 0 && !set->segments[first - 1]->synced)
        first--;
    size_t n = TD_MIN(set->n - first, (size_t)FILES_MAX);
    for (size_t i = 0; i < n; i++) {
        struct td_segment *segment = set->segments[first + i];
        commit->files[i] = segment->file;
        commit->segments[i] = segment;
        commit->to = atomic_load_explicit(&segment->last_seq, memory_order_relaxed);
        segment->synced = true;
    }
    commit->n = n;
    commit->all = first + n == set->n;
    commit->events = atomic_load_explicit(&journal->appended, memory_order_relaxed);
}

static int sync_files(struct td_journal *journal, const struct commit *commit)
{
    bool created = false;

    for (size_t i = 0; i < commit->n; i++) {
        int r = td_file_sync(commit->files[i]);
        if (r < 0)
            return r;
        created = created || !commit->segments[i]->listed;
    }
    /* What is in a file counts only once the directory holds its name. */
    return created ? td_dir_sync(journal->dir) : 0;
}

/* After a failed sync nobody knows what is on disk, and asking again would be told a lie (the kernel marks the pages clean): nothing is
 * written any more until a restart has read what is there. */
void td_journal_fail(struct td_journal *journal)
{
    journal->sync_failed = true;
    atomic_fetch_add(&journal->sync_failures, 1);
    atomic_store(&journal->health, TD_ELOGFAILED);
}

int td_journal_commit_step(struct td_journal *journal)
{
    struct commit commit = {0};

    td_mutex_lock(&journal->lock);
    if (journal->sync_failed) {
        td_mutex_unlock(&journal->lock);
        return TD_ELOGFAILED;
    }
    gather(journal, &commit);
    td_mutex_unlock(&journal->lock);
    if (commit.n == 0)
        return 0;

    td_ns began = td_clock_ns();
    int r = sync_files(journal, &commit);
    td_histogram_add(&journal->sync_times, td_clock_ns() - began);
    td_mutex_lock(&journal->lock);
    for (size_t i = 0; r == 0 && i < commit.n; i++)
        commit.segments[i]->listed = true;
    if (r < 0)
        td_journal_fail(journal);
    else if (commit.all)
        journal->synced_events = commit.events;
    td_mutex_unlock(&journal->lock);
    if (r == 0 && commit.to > atomic_load_explicit(&journal->durable, memory_order_relaxed)) {
        atomic_store_explicit(&journal->durable, commit.to, memory_order_release);
        atomic_fetch_add_explicit(&journal->synced_batches, 1, memory_order_relaxed);
    }
    if (commit.n > 1)
        td_journal_call_keeper(journal);
    td_journal_wake_readers(journal);
    return r < 0 ? r : 1;
}

static bool wanted(struct td_journal *journal)
{
    return !journal->sync_failed &&
           atomic_load_explicit(&journal->head, memory_order_relaxed) >
               atomic_load_explicit(&journal->durable, memory_order_relaxed);
}

static void commit_thread(void *arg)
{
    struct td_journal *journal = arg;
    bool fast = journal->options.durability == TD_DURABILITY_FAST;

    td_mutex_lock(&journal->lock);
    while (!journal->stopping) {
        if (!wanted(journal)) {
            journal->committer_idle = true;
            td_cond_wait(&journal->commit_wanted, &journal->lock, UINT64_MAX);
            journal->committer_idle = false;
            continue;
        }
        td_ns until = td_clock_ns() + FAST_SYNC_NS, now;
        while (fast && !journal->stopping && (now = td_clock_ns()) < until)
            td_cond_wait(&journal->commit_wanted, &journal->lock, until - now);
        td_mutex_unlock(&journal->lock);
        td_journal_commit_step(journal);
        td_mutex_lock(&journal->lock);
    }
    td_mutex_unlock(&journal->lock);
}

void td_journal_call_keeper(struct td_journal *journal)
{
    td_mutex_lock(&journal->keeper_lock);
    journal->keeper_called = true;
    td_cond_signal(&journal->keeper_wanted);
    td_mutex_unlock(&journal->keeper_lock);
}

/* Ages are looked at once a second; so is what waits for a reader to pass. */
static void keep_thread(void *arg)
{
    struct td_journal *journal = arg;

    td_mutex_lock(&journal->keeper_lock);
    while (!journal->keeper_stopping) {
        journal->keeper_called = false;
        td_mutex_unlock(&journal->keeper_lock);
        while (td_journal_keep_step(journal) > 0)
            continue;
        td_mutex_lock(&journal->keeper_lock);
        if (!journal->keeper_called && !journal->keeper_stopping)
            td_cond_wait(&journal->keeper_wanted, &journal->keeper_lock, TD_NS_PER_S);
    }
    td_mutex_unlock(&journal->keeper_lock);
}

static void stop_committer(struct td_journal *journal)
{
    td_mutex_lock(&journal->lock);
    journal->stopping = true;
    td_cond_signal(&journal->commit_wanted);
    td_mutex_unlock(&journal->lock);
    td_thread_join(&journal->committer);
}

int td_journal_start(struct td_journal *journal)
{
    TD_ASSERT(!journal->running && !journal->options.read_only);
    journal->stopping = journal->keeper_stopping = false;
    int r = td_thread_start(&journal->committer, "td-committer", commit_thread, journal);
    if (r < 0)
        return r;
    r = td_thread_start(&journal->keeper, "td-keeper", keep_thread, journal);
    if (r < 0) {
        stop_committer(journal);
        return r;
    }
    journal->running = true;
    return 0;
}

void td_journal_stop(struct td_journal *journal)
{
    if (!journal->running)
        return;
    stop_committer(journal);
    td_mutex_lock(&journal->keeper_lock);
    journal->keeper_stopping = true;
    td_cond_signal(&journal->keeper_wanted);
    td_mutex_unlock(&journal->keeper_lock);
    td_thread_join(&journal->keeper);
    journal->running = false;
}
