/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the log can be written: what the last append met, and, while nobody appends, what the keeper finds. */
#include "base/err.h"
#include "journal/internal.h"
#include "os/clock.h"
#include "os/file.h"
#include <errno.h>

#define RETRY_NS (100 * TD_NS_PER_MS)
#define LOOK_NS  TD_NS_PER_S
/* As much as the smallest segment is given. */
#define PROBE_BYTES (UINT64_C(64) << 10)

/* What a failed append says about the disk; 0: nothing. */
static int verdict(const struct td_journal *journal, int r)
{
    if (journal->sync_failed || journal->options.read_only)
        return 0; /* known already */
    if (r == TD_EFULL)
        return r;
    return r > -1000 && r != -ENOMEM ? TD_EUNAVAILABLE : 0;
}

int td_journal_note_health(struct td_journal *journal, int r)
{
    if (r == 0) {
        journal->retry_at = 0;
        if (atomic_load_explicit(&journal->health, memory_order_relaxed) != 0)
            atomic_store(&journal->health, 0);
        return 0;
    }
    if (r == -ENOSPC || r == -EDQUOT)
        r = TD_EFULL;
    atomic_fetch_add(&journal->append_failures, 1);
    td_ns now = td_clock_ns();
    bool asked = journal->retry_at == 0 || now >= journal->retry_at;
    int health = verdict(journal, r);
    if (asked && health < 0) {
        atomic_store(&journal->health, health);
        journal->retry_at = health == TD_EFULL ? now + RETRY_NS : 0;
        journal->look_at = now + LOOK_NS;
    }
    return r;
}

/* Writes a file of a segment's least size, to disk, and removes it. */
static int probe(const char *dir)
{
    char path[TD_LOG_PATH_MAX];

    td_log_path(dir, TD_PROBE_NAME, path);
    int file = td_file_open(path, TD_FILE_WRITE | TD_FILE_CREATE | TD_FILE_TRUNCATE);
    if (file < 0)
        return file;
    int r = td_file_allocate(file, PROBE_BYTES);
    if (r == 0)
        r = td_file_write_at(file, TD_PROBE_NAME, sizeof(TD_PROBE_NAME), 0);
    if (r == 0)
        r = td_file_sync(file);
    td_file_close(file);
    int gone = td_path_unlink(path); /* one that stays is written over, or goes at the next start */
    return r < 0 ? r : gone;
}

void td_journal_look_at_disk(struct td_journal *journal)
{
    td_mutex_lock(&journal->lock);
    int health = atomic_load_explicit(&journal->health, memory_order_relaxed);
    uint64_t failures = atomic_load(&journal->append_failures);
    bool due = health < 0 && !journal->sync_failed && td_clock_ns() >= journal->look_at;
    td_mutex_unlock(&journal->lock);
    if (!due)
        return;

    int r = probe(journal->dir);
    td_mutex_lock(&journal->lock);
    journal->look_at = td_clock_ns() + LOOK_NS;
    /* An append that failed meanwhile knows better. */
    if (r == 0 && !journal->sync_failed && atomic_load(&journal->append_failures) == failures) {
        journal->retry_at = 0;
        atomic_store(&journal->health, 0);
    }
    td_mutex_unlock(&journal->lock);
}
