/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a segment anew without what nothing retains any more.
 *
 * What stays keeps its bytes and its sequence; what is no part of the history any more and stays for the sake of state
 * alone gets TD_RECORD_KEPT.  The order on disk, so that a crash anywhere leaves a log that opens right:
 *
 *   the new records     `.slim`, synced
 *   what goes           the table `trimmed`
 *   the old index       unlinked, the directory synced: a segment without one is read whole
 *   the new segment     renamed over the old one, the directory synced
 *   the new index       by sealing, as for any full segment
 *
 * Readers hold the old mapping until they have passed it. */
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "journal/account.h"
#include "journal/retain.h"
#include "os/clock.h"
#include "os/file.h"
#include <errno.h>
#include <stdlib.h>

#define CHUNK ((size_t)256 * TD_KIB)

enum fate {
    GOES,
    STAYS,
    STAYS_AS_STATE,
};

/* ---- what stays ---- */

static unsigned group_of(struct td_slim *slim, struct td_slice topic, uint64_t topic_key)
{
    bool new;
    uint32_t *known = td_map_put(&slim->groups, topic_key, &new);

    TD_ASSERT(known);
    if (new)
        *known = td_groups_of(&slim->journal->groups, topic);
    return *known;
}

/* Whether an older segment has something of a topic and key. */
static bool has_older(const struct td_slim *slim, const uint64_t key[2])
{
    for (size_t i = 0; i < slim->at; i++)
        if (td_segment_last_of_key(slim->journal, slim->set->segments[i], key) > 0)
            return true;
    return false;
}

/* Whether a newer one has, which a crash cannot take back. */
static bool has_newer(const struct td_slim *slim, const uint64_t key[2])
{
    uint64_t durable = td_journal_durable(slim->journal);

    for (size_t i = slim->at + 1; i < slim->set->n; i++) {
        uint64_t seq = td_segment_last_of_key(slim->journal, slim->set->segments[i], key);
        if (seq > 0 && seq <= durable)
            return true;
    }
    return false;
}

/* An event that says that there is nothing (any more): it stays as long as an older segment says that there is something, or that
 * would come back with the next start. */
static bool hides(const struct td_slim *slim, const struct td_state_event *event)
{
    return td_segment_last_of_key(slim->journal, slim->segment, event->key) == event->seq &&
           (event->removes || !td_state_has(&slim->journal->state, event->key, slim->now)) &&
           has_older(slim, event->key) && !has_newer(slim, event->key);
}

static enum fate fate_of(struct td_slim *slim, const struct td_record *record)
{
    bool history = !(record->flags & TD_RECORD_KEPT);
    struct td_state_event event;

    if (history) {
        unsigned group =
            group_of(slim, record->topic, td_topic_key(slim->journal->seed, record->topic));
        if (!(slim->going >> group & 1))
            return STAYS;
    }
    if (record->key.len == 0)
        return GOES;
    td_state_event_of(slim->journal->seed, record, &event);
    if (td_state_needs(&slim->journal->state, &event, slim->now) || hides(slim, &event))
        return STAYS_AS_STATE;
    return GOES;
}

/* Notes the last of each topic of which history goes. */
static void note(struct td_slim *slim, const struct td_record *record, uint32_t offset)
{
    uint64_t key = td_topic_key(slim->journal->seed, record->topic);
    struct td_gone_topic *topic = td_map_put(&slim->gone.topics, key, NULL);

    TD_ASSERT(topic);
    *topic = (struct td_gone_topic){group_of(slim, record->topic, key), offset};
}

void td_slim_plan(struct td_slim *slim, struct td_journal *journal, const struct td_set *set,
                  size_t at, unsigned going)
{
    struct td_record record;
    struct td_each each;
    uint32_t offset;

    *slim = (struct td_slim){
        .journal = journal,
        .set = set,
        .at = at,
        .segment = set->segments[at],
        .going = going,
        .now = td_clock_unix_ms(),
    };
    td_map_init(&slim->gone.topics, sizeof(struct td_gone_topic));
    td_map_init(&slim->groups, sizeof(uint32_t));
    td_each_init(&each, journal, slim->segment);
    while (td_each_next(&each, &record, &offset)) {
        enum fate fate = fate_of(slim, &record);
        if (fate != GOES)
            slim->bytes += record.size;
        if (fate != STAYS && !(record.flags & TD_RECORD_KEPT))
            note(slim, &record, offset);
    }
}

void td_slim_done(struct td_slim *slim)
{
    td_map_done(&slim->gone.topics);
    td_map_done(&slim->groups);
}

/* ---- the new file ---- */

struct writer {
    struct td_slim *slim;
    struct td_segment *new;
    char *chunk;
    size_t n;     /* bytes in `chunk` */
    uint64_t end; /* of what has been written, and is in `chunk` */
};

static int flush(struct writer *writer)
{
    int r = writer->n > 0 ? td_file_write_at(writer->new->file, writer->chunk, writer->n,
                                             writer->end - writer->n)
                          : 0;
    writer->n = 0;
    return r;
}

static void mark_kept(char *bytes)
{
    struct td_record_head head;

    memcpy(&head, bytes, sizeof(head));
    head.flags = (uint16_t)(head.flags | TD_RECORD_KEPT);
    memcpy(bytes, &head, sizeof(head));
    head.crc = td_crc32c(0, bytes + 8, head.size - 8);
    memcpy(bytes, &head, sizeof(head));
}

static int put(struct writer *writer, const char *bytes, const struct td_record *record,
               enum fate fate)
{
    struct td_segment *new = writer->new;
    bool large = record->size > CHUNK;
    int r = writer->n + record->size > CHUNK ? flush(writer) : 0;

    if (r < 0)
        return r;
    char *at = large ? malloc(record->size) : writer->chunk + writer->n;
    if (!at)
        return -ENOMEM;
    memcpy(at, bytes, record->size);
    if (fate == STAYS_AS_STATE)
        mark_kept(at);
    td_index_add(new->index, at, (uint32_t)writer->end);
    if (new->first_time == 0)
        new->first_time = record->time;
    new->last_time = TD_MAX(new->last_time, record->time);
    if (large) {
        r = td_file_write_at(new->file, at, record->size, writer->end);
        free(at);
    } else {
        writer->n += record->size;
    }
    writer->end += record->size;
    return r;
}

static bool is_known(struct td_journal *journal, const struct td_index_dedup *entry, td_ns now)
{
    td_mutex_lock(&journal->lock);
    bool known = td_dedup_holds(&journal->dedup, entry, now);
    td_mutex_unlock(&journal->lock);
    return known;
}

/* What was published under a dedup key stays known for as long as the window, whether or not its record stays: the index says so.
 * The lock is taken for each, so that appends do not wait for all of them. */
static void carry_dedups(const struct td_slim *slim, struct td_index *index)
{
    size_t n;
    const struct td_index_dedup *dedups = td_segment_dedups(slim->segment, &n);
    td_ns now = td_clock_ns();

    free(index->dedups);
    index->dedups = calloc(n + 1, sizeof(*index->dedups));
    TD_ASSERT(index->dedups);
    index->n_dedups = 0;
    index->dedups_cap = n + 1;
    for (size_t i = 0; i < n; i++)
        if (is_known(slim->journal, &dedups[i], now))
            index->dedups[index->n_dedups++] = dedups[i];
}

static int put_records(struct writer *writer)
{
    struct td_slim *slim = writer->slim;
    struct td_record record;
    struct td_each each;
    uint32_t offset;
    int r = td_file_write_at(writer->new->file, &writer->new->header,
                             sizeof(struct td_segment_header), 0);

    td_each_init(&each, slim->journal, slim->segment);
    while (r == 0 && td_each_next(&each, &record, &offset)) {
        enum fate fate = fate_of(slim, &record);
        if (fate != GOES)
            r = put(writer, slim->segment->map + offset, &record, fate);
    }
    carry_dedups(slim, writer->new->index);
    if (r == 0)
        r = flush(writer);
    return r == 0 ? td_file_sync(writer->new->file) : r;
}

static struct td_segment *segment_like(const struct td_segment *old)
{
    struct td_segment *new = td_segment_new();

    new->header = old->header;
    new->header.flags |= TD_SEGMENT_SLIM;
    new->header.last_seq = atomic_load(&old->last_seq);
    td_segment_header_seal(&new->header);
    new->slim = new->full = new->synced = new->listed = true;
    new->live_seen = old->live_seen;
    new->index = td_index_new(old->header.seed);
    atomic_init(&new->last_seq, new->header.last_seq);
    atomic_init(&new->heat, TD_HOT);
    return new;
}

static int write_file(struct td_slim *slim, const char *path, struct td_segment *new)
{
    struct writer writer = {
        .slim = slim,
        .new = new,
        .chunk = malloc(CHUNK),
        .end = sizeof(struct td_segment_header),
    };
    int r =
        writer.chunk
            ? td_file_open(path, TD_FILE_READ | TD_FILE_WRITE | TD_FILE_CREATE | TD_FILE_TRUNCATE)
            : -ENOMEM;

    if (r >= 0) {
        new->file = r;
        r = put_records(&writer);
    }
    if (r == 0)
        r = td_file_map(new->file, (size_t)writer.end, &new->map);
    free(writer.chunk);
    if (r < 0)
        return r;
    new->map_bytes = (size_t)writer.end;
    new->capacity = (uint32_t)writer.end;
    atomic_init(&new->end, (uint32_t)writer.end);
    td_file_close(new->file);
    new->file = -1;
    return 0;
}

/* ---- its place ---- */

/* Puts the new file into the place of the old one. */
static int replace_file(struct td_slim *slim, const char *path)
{
    struct td_journal *journal = slim->journal;
    char log[TD_LOG_PATH_MAX], idx[TD_LOG_PATH_MAX];

    td_segment_path(journal->dir, slim->segment->header.first_seq, ".log", log);
    td_segment_path(journal->dir, slim->segment->header.first_seq, ".idx", idx);
    int r = td_path_unlink(idx);
    if (r == 0 || r == -ENOENT)
        r = td_dir_sync(journal->dir);
    if (r == 0)
        r = td_path_rename(path, log);
    if (r < 0)
        return r;
    /* If this fails, the name may be the old file's after a crash as well as the new one's: both are whole. */
    if (td_dir_sync(journal->dir) < 0)
        journal->trimmed_dirty = true;
    return 0;
}

static void replace_segment(struct td_slim *slim, struct td_segment *new)
{
    struct td_journal *journal = slim->journal;

    td_mutex_lock(&journal->lock);
    const struct td_set *old = atomic_load(&journal->set);
    struct td_set *set = td_set_new(old->n, old->horizon);
    set->lost_tail = old->lost_tail;
    for (size_t i = 0; i < set->n; i++)
        set->segments[i] = old->segments[i] == slim->segment ? new : old->segments[i];
    td_set_publish(journal, set, slim->segment);
    td_mutex_unlock(&journal->lock);
    atomic_fetch_add(&journal->slimmed_segments, 1);
    /* What it leaves of the index in memory goes to disk at once: a start would read the segment otherwise. */
    if (td_journal_seal_step(journal) < 0)
        td_journal_call_keeper(journal);
}

int td_slim_write(struct td_slim *slim)
{
    struct td_journal *journal = slim->journal;
    struct td_segment *new = segment_like(slim->segment);
    char path[TD_LOG_PATH_MAX];

    td_segment_path(journal->dir, slim->segment->header.first_seq, ".slim", path);
    int r = write_file(slim, path, new);
    if (r == 0 && slim->going != 0) {
        td_journal_note_trimmed(journal, slim->segment, &slim->gone, false);
        r = td_journal_store_trimmed(journal);
    }
    if (r == 0)
        r = replace_file(slim, path);
    if (r < 0) {
        td_segment_free(new);
        if (td_path_unlink(path) < 0)
            return r; /* it goes at the next start */
        return r;
    }
    replace_segment(slim, new);
    return 1;
}
