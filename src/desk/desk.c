/* SPDX-License-Identifier: Apache-2.0 */
#include "desk/desk.h"
#include "base/err.h"
#include "desk/authorizer.h"
#include "desk/entities.h"
#include "desk/internal.h"
#include "desk/jobs.h"
#include "desk/locks.h"
#include "desk/permit.h"
#include "desk/revoke.h"
#include "desk/revoked.h"
#include "jobs/upstream.h"
#include "os/clock.h"
#include <errno.h>
#include <stdlib.h>

/* Topics that were written to and are not readable yet.  Beyond so many, those that have become readable are looked for. */
#define UNREADABLE_MAX 4096
/* How often an ask is carried out anew because somebody else was quicker. */
#define CONFLICTS_MAX 16

static void letter_came(void *arg)
{
    struct td_desk *desk = arg;

    td_bell_ring(desk->bell);
}

/* With each commit: most of them are nobody's business here, and let the thread sleep. */
static void log_moved(void *arg)
{
    struct td_desk *desk = arg;

    atomic_store(&desk->moved, true);
    if (atomic_load(&desk->waits))
        td_bell_ring(desk->bell);
}

int td_desk_new(struct td_journal *journal, struct td_desk **ret_desk)
{
    struct td_desk *desk = calloc(1, sizeof(*desk));

    if (!desk)
        return -ENOMEM;
    desk->journal = journal;
    desk->bell = td_bell_open();
    td_mailbox_init(&desk->mailbox, letter_came, desk);
    td_list_init(&desk->waiting);
    td_map_init(&desk->unreadable, sizeof(uint64_t));
    desk->locks = td_locks_new(desk);
    int r = desk->bell < 0 ? desk->bell : desk->locks ? 0 : -ENOMEM;
    if (r == 0)
        r = td_journal_reader_open(journal, log_moved, desk, &desk->reader);
    desk->revoked = td_revoked_new();
    desk->authorizer = td_authorizer_new();
    if (r == 0 && (!desk->revoked || !desk->authorizer))
        r = -ENOMEM;
    if (r < 0) {
        td_desk_free(desk);
        return r;
    }
    *ret_desk = desk;
    return 0;
}

void td_desk_audit(struct td_desk *desk, struct td_audit *audit)
{
    desk->audit = audit;
}

void td_desk_note(struct td_audit_note *note, const struct td_desk *desk, const struct td_ask *ask,
                  enum td_audit_action action, struct td_slice topic)
{
    td_audit_begin(note, desk->audit, action, TD_AUDIT_DONE);
    td_audit_topic(note, topic);
    if (!ask)
        return;
    td_audit_actor(note, ask->principal->subject);
    if (ask->address.len > 0)
        td_audit_address(note, ask->address);
}

int td_desk_conflict(struct td_ask *ask)
{
    return ++ask->_conflicts < CONFLICTS_MAX ? -EAGAIN : TD_EUNAVAILABLE;
}

static void refuse_all(struct td_list *asks)
{
    struct td_list *node;

    while ((node = td_list_pop(asks))) {
        struct td_ask *ask = TD_CONTAINER_OF(node, struct td_ask, list);
        ask->err = TD_EDRAINING;
        ask->answered(ask);
    }
}

void td_desk_free(struct td_desk *desk)
{
    if (!desk)
        return;
    td_mailbox_take(&desk->mailbox, &desk->waiting);
    refuse_all(&desk->waiting);
    td_mailbox_done(&desk->mailbox);
    td_desk_close_jobs(desk);
    td_locks_free(desk->locks);
    td_authorizer_free(desk->authorizer);
    td_upstream_free(desk->upstream);
    td_map_done(&desk->unreadable);
    td_revoked_free(desk->revoked);
    if (desk->reader)
        td_journal_reader_close(desk->reader);
    if (desk->bell >= 0)
        td_file_close(desk->bell);
    free(desk);
}

struct td_upstream *td_desk_upstream(struct td_desk *desk)
{
    const struct td_upstream_options options = {0};

    if (!desk->upstream && td_upstream_new(&options, &desk->upstream) < 0)
        desk->upstream = NULL;
    return desk->upstream;
}

/* ---- the log ---- */

/* What was last written to the topic and can't be read yet; 0: nothing. */
static uint64_t unreadable(struct td_desk *desk, uint64_t key)
{
    const uint64_t *seq = td_map_get(&desk->unreadable, key);

    if (!seq)
        return 0;
    if (*seq > td_journal_readable(desk->journal))
        return *seq;
    td_map_remove(&desk->unreadable, key);
    return 0;
}

static void forget_readable(struct td_desk *desk)
{
    uint64_t readable = td_journal_readable(desk->journal), key;
    size_t at = 0;
    const uint64_t *seq;
    struct td_map kept;

    td_map_init(&kept, sizeof(uint64_t));
    while ((seq = td_map_each(&desk->unreadable, &at, &key))) {
        uint64_t *copy = *seq > readable ? td_map_put(&kept, key, NULL) : NULL;
        if (copy)
            *copy = *seq;
    }
    td_map_done(&desk->unreadable);
    desk->unreadable = kept;
}

int td_desk_append(struct td_desk *desk, const struct td_batch *batch, uint64_t *ret_seqs)
{
    if (desk->unreadable.len >= UNREADABLE_MAX)
        forget_readable(desk);
    int r = td_journal_append(desk->journal, batch, ret_seqs);
    for (size_t i = 0; r == 0 && i < batch->n; i++) {
        uint64_t key = td_topic_key(td_journal_seed(desk->journal), batch->drafts[i].topic);
        uint64_t *seq = td_map_put(&desk->unreadable, key, NULL);
        if (seq)
            *seq = TD_MAX(*seq, ret_seqs[i]); /* of a repeat it is an old one */
        else /* it is not known which: nothing is read until all of it can be */
            desk->unreadable_all = TD_MAX(desk->unreadable_all, ret_seqs[i]);
    }
    return r;
}

/* As td_desk_state, for what the state says as of what is readable. */
static int readable_state(struct td_desk *desk, const struct td_wanted *wanted, struct td_slice key,
                          struct td_record *ret_record)
{
    struct td_state_cursor cursor = {0};
    const char *records[16];
    struct td_state_read read = {
        .wanted = wanted,
        .n_wanted = 1,
        .as_of = td_journal_readable(desk->journal),
        .records = records,
        .records_max = TD_ARRAY_LEN(records),
        .cursor = &cursor,
    };

    do {
        td_journal_state(desk->reader, &read);
        for (size_t i = 0; i < read.n; i++) {
            td_record_view(records[i], ret_record);
            if (td_slice_eq(ret_record->key, key))
                return 1;
        }
    } while (read.end == TD_READ_BUDGET);
    return read.end == TD_READ_COLD ? -EAGAIN : 0;
}

int td_desk_state(struct td_desk *desk, struct td_slice topic, struct td_slice key,
                  struct td_record *ret_record)
{
    const struct td_wanted wanted = {
        .key = td_topic_key(td_journal_seed(desk->journal), topic),
        .pattern = topic,
        .exact = true,
    };
    uint64_t newer = unreadable(desk, wanted.key);

    /* A log that has failed will never make it readable: what is there is all that there is. */
    if (td_journal_health(desk->journal) == TD_ELOGFAILED)
        return readable_state(desk, &wanted, key, ret_record);
    if (desk->unreadable_all > td_journal_readable(desk->journal))
        return -EAGAIN;
    if (newer == 0)
        return readable_state(desk, &wanted, key, ret_record);
    int r = td_journal_at(desk->reader, newer, ret_record);
    if (r < 0)
        return r;
    /* Where it is of another key of the topic, the one that is looked for may be an older one that can't be read yet either. */
    if (r == 0 || !td_slice_eq(ret_record->topic, topic) || !td_slice_eq(ret_record->key, key))
        return -EAGAIN;
    return !(ret_record->flags & TD_RECORD_REMOVES);
}

/* ---- asks ---- */

static int read_state(struct td_desk *desk, struct td_ask *ask)
{
    struct td_record record;
    int r = td_desk_state(desk, ask->topic, ask->key, &record);

    if (r <= 0)
        return r < 0 ? r : TD_ENOTFOUND;
    ask->wait_for = record.seq;
    return td_buf_put(&ask->body, record.data);
}

static int no_parts(struct td_desk *desk, struct td_ask *ask)
{
    (void)desk;
    (void)ask;
    return TD_EUNAVAILABLE;
}

/* clang-format off */
static int (*const verbs[])(struct td_desk *desk, struct td_ask *ask) = {
    [TD_ASK_READ] = read_state,
    [TD_ASK_REVOKE] = td_revoke,
    [TD_ASK_PARTS] = no_parts,
    [TD_ASK_JOB] = td_desk_ask_jobs,
    [TD_ASK_ENTITY] = td_entity_get,
    [TD_ASK_ENTITIES] = td_entity_list,
    [TD_ASK_CHANGE] = td_entity_change,
    [TD_ASK_PUBLISH] = td_entity_publish,
    [TD_ASK_LOCK] = td_lock_take,
    [TD_ASK_UNLOCK] = td_lock_give_back,
    [TD_ASK_LOCKED] = td_lock_get,
    [TD_ASK_PERMITS] = td_permits_ask,
};
/* clang-format on */

/* 0, also when the answer is an error; -EAGAIN; or 1: somebody keeps it, and will answer. */
static int carry_out(struct td_desk *desk, struct td_ask *ask)
{
    int r = verbs[ask->verb](desk, ask);

    if (r == -EAGAIN) {
        td_buf_reset(&ask->body);
        td_buf_reset(&ask->why);
        return r;
    }
    if (r < 0)
        ask->err = r;
    return ask->verb == TD_ASK_PERMITS && r > 0;
}

static void take(struct td_desk *desk, struct td_list *asks)
{
    struct td_list *node;

    while ((node = td_list_pop(asks))) {
        struct td_ask *ask = TD_CONTAINER_OF(node, struct td_ask, list);
        int r = carry_out(desk, ask);
        if (r == -EAGAIN)
            td_list_append(&desk->waiting, &ask->list);
        else if (r == 0)
            ask->answered(ask);
    }
}

/* ---- what happens by itself ---- */

void td_desk_undue(struct td_desk *desk, struct td_due *due)
{
    td_heap_remove(due->_held ? &desk->held : &desk->dues, &due->_node);
    due->_held = false;
}

void td_desk_due(struct td_desk *desk, struct td_due *due, td_ns at)
{
    td_desk_undue(desk, due);
    td_heap_add(&desk->dues, &due->_node, at);
}

static struct td_due *due_of(struct td_heap_node *node)
{
    return TD_CONTAINER_OF(node, struct td_due, _node);
}

static void run_due(struct td_desk *desk)
{
    td_ns now = td_clock_ns();
    struct td_heap_node *node;

    while ((node = desk->dues.first) && node->at <= now) {
        struct td_due *due = due_of(node);
        td_desk_undue(desk, due);
        if (due->run(desk, due) != -EAGAIN)
            continue;
        td_heap_add(&desk->held, node, now);
        due->_held = true;
    }
}

int td_desk_wait_ms(const struct td_desk *desk, td_ns now)
{
    const struct td_heap_node *node = desk->dues.first;

    if (!node)
        return -1;
    if (node->at <= now)
        return 0;
    return (int)TD_MIN((node->at - now + TD_NS_PER_MS - 1) / TD_NS_PER_MS, (uint64_t)60 * 1000);
}

void td_desk_turn(struct td_desk *desk)
{
    struct td_list asks;

    td_journal_quiesce(desk->reader, false);
    td_list_init(&asks);
    if (desk->upstream)
        td_upstream_serve(desk->upstream);
    td_authorizer_turn(desk);
    bool hears = td_desk_hear_jobs(desk) > 0;
    if (atomic_exchange(&desk->moved, false) || hears) { /* what they waited for may be there */
        td_list_splice(&asks, &desk->waiting);
        while (desk->held.first)
            td_desk_due(desk, due_of(desk->held.first), 0);
    }
    run_due(desk);
    td_mailbox_take(&desk->mailbox, &asks);
    take(desk, &asks);
    td_desk_turn_jobs(desk);
}

bool td_desk_rests(struct td_desk *desk)
{
    bool waits = !td_list_empty(&desk->waiting) || desk->held.first || td_desk_jobs_wait(desk);

    td_journal_quiesce(desk->reader, true);
    atomic_store(&desk->waits, waits); /* and then looks, so that no move of the log is missed */
    return !(waits && atomic_load(&desk->moved)) && !td_mailbox_any(&desk->mailbox) &&
           td_desk_jobs_rest(desk);
}

struct td_revocations *td_desk_revocations(struct td_desk *desk)
{
    return td_revoked_table(desk->revoked);
}

int td_desk_load(struct td_desk *desk)
{
    struct td_poll_item item = {.fd = desk->bell};
    int r;

    td_journal_quiesce(desk->reader, false);
    atomic_store(&desk->waits, true);
    while ((r = td_revoke_load(desk)) == -EAGAIN) {
        td_journal_quiesce(desk->reader, false);
        (void)td_poll(&item, 1, 100); /* a segment is read in */
        (void)td_bell_answer(desk->bell);
    }
    return r;
}

/* ---- the thread ---- */

static void run(void *arg)
{
    struct td_desk *desk = arg;

    while (!atomic_load(&desk->stopping)) {
        td_desk_turn(desk);
        td_desk_wait(desk, td_desk_rests(desk));
    }
}

int td_desk_start(struct td_desk *desk)
{
    int r = td_thread_start(&desk->thread, "desk", run, desk);

    desk->is_running = r == 0;
    return r;
}

void td_desk_stop(struct td_desk *desk)
{
    if (!desk->is_running)
        return;
    atomic_store(&desk->stopping, true);
    td_bell_ring(desk->bell);
    td_thread_join(&desk->thread);
    desk->is_running = false;
}
