/* SPDX-License-Identifier: Apache-2.0 */
#include "desk/locks.h"
#include "base/err.h"
#include "base/json.h"
#include "desk/desk.h"
#include "desk/internal.h"
#include "os/clock.h"
#include <errno.h>
#include <stdlib.h>

/* After an append of its own has failed, the desk tries it again so much later. */
#define RETRY_NS TD_NS_PER_S

#define KEY TD_S("lock")

/* A lock that is held. */
struct lock {
    struct td_due due; /* its end */
    uint64_t fence;
    uint64_t last; /* the sequence of its last event */
    uint32_t topic_len, holder_len;
    char text[]; /* the topic, then the holder as a JSON string */
};

struct td_locks {
    struct td_desk *desk;
    struct td_map held;    /* key of the topic → struct lock * */
    struct td_map holders; /* hash of a holder → size_t, how many it holds */
    struct td_due load;
    bool loaded;
    struct td_state_cursor cursor; /* while it is not */
};

static struct td_slice topic_of(const struct lock *lock)
{
    return td_slice(lock->text, lock->topic_len);
}

static struct td_slice name_of(const struct lock *lock)
{
    return td_slice_from(topic_of(lock), strlen(TD_LOCK_PREFIX));
}

static struct td_slice holder_of(const struct lock *lock)
{
    return td_slice(lock->text + lock->topic_len, lock->holder_len);
}

static uint64_t key_of(const struct td_locks *locks, struct td_slice text)
{
    return td_topic_key(td_journal_seed(locks->desk->journal), text);
}

/* ---- those that are held ---- */

static int expire(struct td_desk *desk, struct td_due *due);

static struct lock *find(const struct td_locks *locks, struct td_slice topic)
{
    struct lock *const *lock = td_map_get(&locks->held, key_of(locks, topic));

    return lock && td_slice_eq(topic_of(*lock), topic) ? *lock : NULL;
}

static size_t count_of(const struct td_locks *locks, struct td_slice holder)
{
    const size_t *n = td_map_get(&locks->holders, key_of(locks, holder));

    return n ? *n : 0;
}

/* Makes a lock and takes it in.  NULL when memory is out, or (once in 2^64) another one has its key. */
static struct lock *add(struct td_locks *locks, struct td_slice topic, struct td_slice holder)
{
    struct lock *lock = calloc(1, sizeof(*lock) + topic.len + holder.len), **place;
    uint64_t key = key_of(locks, topic);
    size_t *n;

    if (!lock)
        return NULL;
    lock->due.run = expire;
    lock->topic_len = (uint32_t)topic.len;
    lock->holder_len = (uint32_t)holder.len;
    memcpy(lock->text, topic.ptr, topic.len);
    memcpy(lock->text + topic.len, holder.ptr, holder.len);
    n = td_map_get(&locks->held, key) ? NULL
                                      : td_map_put(&locks->holders, key_of(locks, holder), NULL);
    place = n ? td_map_put(&locks->held, key, NULL) : NULL;
    if (!place) {
        if (n && *n == 0)
            td_map_remove(&locks->holders, key_of(locks, holder));
        free(lock);
        return NULL;
    }
    *place = lock;
    ++*n;
    return lock;
}

static void drop(struct td_locks *locks, struct lock *lock)
{
    uint64_t holder = key_of(locks, holder_of(lock));
    size_t *n = td_map_get(&locks->holders, holder);

    if (n && --*n == 0)
        td_map_remove(&locks->holders, holder);
    td_map_remove(&locks->held, key_of(locks, topic_of(lock)));
    td_desk_undue(locks->desk, &lock->due);
    free(lock);
}

/* ---- what is told ---- */

/* One thing that happens to a lock. */
struct act {
    const char *type;
    const struct lock *lock;
    struct td_slice actor; /* raw, or empty: it happens by itself */
    uint64_t ttl_s;        /* 0: it is not held any more */
    td_unix_ms now;
    bool renews;
};

static void put_until(struct td_buf *out, const struct act *act)
{
    char until[TD_TIME_LEN + 1];

    td_time_format(act->now + act->ttl_s * 1000, until);
    td_buf_puts(out, ",\"until\":");
    td_json_put_string(out, td_slice_str(until));
}

static void put_event(struct td_buf *out, const struct act *act)
{
    td_buf_puts(out, "{\"name\":");
    td_json_put_string(out, name_of(act->lock));
    td_buf_puts(out, ",\"holder\":");
    td_buf_put(out, holder_of(act->lock));
    if (act->lock->fence > 0) {
        td_buf_puts(out, ",\"fence\":");
        td_buf_putu(out, act->lock->fence);
    }
    if (act->ttl_s > 0) {
        put_until(out, act);
        td_buf_puts(out, ",\"ttl\":");
        td_buf_putu(out, act->ttl_s);
    }
    td_buf_putc(out, '}');
}

static void put_changed(struct td_buf *out, const struct act *act, struct td_slice project_id)
{
    td_buf_puts(out, "{\"project_id\":");
    td_json_put_string(out, project_id);
    if (act->ttl_s > 0) {
        td_buf_puts(out, ",\"locked\":true,\"holder\":");
        td_buf_put(out, holder_of(act->lock));
        put_until(out, act);
    } else {
        td_buf_puts(out, ",\"locked\":false,\"holder\":null,\"until\":null");
    }
    td_buf_putc(out, '}');
}

/* The id in `projects/{id}`. */
static bool project_of(struct td_slice name, struct td_slice *ret_id)
{
    if (!td_slice_starts(name, TD_S("projects/")))
        return false;
    *ret_id = td_slice_from(name, strlen("projects/"));
    return !memchr(ret_id->ptr, '/', ret_id->len);
}

/* Appends what happens, for who follows the lock, and for all in a project. */
static int tell(struct td_desk *desk, const struct act *act, uint64_t *ret_seq)
{
    struct td_buf event = TD_BUF_INIT(4096), changed = TD_BUF_INIT(4096);
    struct td_slice id;
    uint64_t seqs[2];
    struct td_draft drafts[2] = {
        {
         .topic = topic_of(act->lock),
         .type = td_slice_str(act->type),
         .key = KEY,
         .actor = act->actor,
         .class = act->renews ? TD_CLASS_LATEST : TD_CLASS_LOG,
         .clears = act->ttl_s == 0,
         },
    };
    struct td_batch batch = {
        .drafts = drafts,
        .n = 1,
        .expect = true,
        .expect_topic = topic_of(act->lock),
        .expect_seq = td_journal_last(desk->journal, topic_of(act->lock)),
    };

    put_event(&event, act);
    drafts[0].data = td_buf_slice(&event);
    if (project_of(name_of(act->lock), &id)) {
        put_changed(&changed, act, id);
        drafts[1] = drafts[0];
        drafts[1].topic = name_of(act->lock);
        drafts[1].type = TD_S("lock_changed");
        drafts[1].data = td_buf_slice(&changed);
        batch.n = 2;
    }
    int r = event.err < 0 ? event.err : changed.err;
    if (r == 0)
        r = td_desk_append(desk, &batch, seqs);
    td_buf_done(&event);
    td_buf_done(&changed);
    if (r == 0)
        *ret_seq = seqs[0];
    /* Nobody else writes to a lock's topic: this ends once what the desk itself wrote is read again. */
    return r == TD_ECONFLICT ? -EAGAIN : r;
}

/* Notes for the audit that a lock was taken, or is free because of `freed`. */
static void note(const struct td_desk *desk, const struct td_ask *ask, const struct lock *lock,
                 const char *freed)
{
    struct td_audit_note note;
    struct td_buf holder = TD_BUF_INIT(lock->holder_len);

    td_desk_note(&note, desk, ask, freed ? TD_AUDIT_LOCK_FREED : TD_AUDIT_LOCK_TAKEN,
                 name_of(lock));
    if (td_json_unescape(holder_of(lock), &holder) == 0)
        td_audit_str(&note, "holder", td_buf_slice(&holder));
    td_audit_u64(&note, "fence", lock->fence);
    if (freed)
        td_audit_str(&note, "reason", td_slice_str(freed));
    td_audit_end(&note);
    td_buf_done(&holder);
}

static int expire(struct td_desk *desk, struct td_due *due)
{
    struct lock *lock = TD_CONTAINER_OF(due, struct lock, due);
    uint64_t seq;
    int r = tell(desk, &(struct act){.type = "lock_expired", .lock = lock}, &seq);

    if (r == 0) {
        note(desk, NULL, lock, "the lease has ended");
        drop(desk->locks, lock);
    } else if (r != -EAGAIN) /* it is held until its end is told */
        td_desk_due(desk, due, td_clock_ns() + RETRY_NS);
    return r;
}

/* ---- the start ---- */

/* A lock as its last event says, written at `record->time`. */
static int load_one(struct td_locks *locks, const struct td_record *record)
{
    struct td_slice holder, raw;
    uint64_t ttl_s, fence = record->seq;
    td_unix_ms now = td_clock_unix_ms();

    if (!td_slice_eq(record->key, KEY) || !td_json_get(record->data, "holder", &holder) ||
        td_json_type(holder) != TD_JSON_STRING || !td_json_get(record->data, "ttl", &raw) ||
        td_json_u64(raw, &ttl_s) < 0 || ttl_s > TD_LOCK_TTL_MAX)
        return 0; /* not ours */
    if (td_json_get(record->data, "fence", &raw) && td_json_u64(raw, &fence) < 0)
        return 0;
    struct lock *lock = add(locks, record->topic, holder);
    if (!lock)
        return -ENOMEM;
    lock->fence = fence;
    lock->last = record->seq;
    td_unix_ms until = record->time + ttl_s * 1000;
    uint64_t left = until > now ? TD_MIN(until - now, ttl_s * 1000) : 0;
    td_desk_due(locks->desk, &lock->due, td_clock_ns() + left * TD_NS_PER_MS);
    return 0;
}

/* Reads those that are held.  0 once all are, -EAGAIN or an error. */
static int load(struct td_locks *locks)
{
    const struct td_slice pattern = TD_S(TD_LOCK_PREFIX "**");
    struct td_wanted wanted = {.pattern = pattern};
    const char *records[64];
    struct td_record record;
    struct td_state_read read = {
        .wanted = &wanted,
        .n_wanted = 1,
        .as_of = td_journal_readable(locks->desk->journal),
        .records = records,
        .records_max = TD_ARRAY_LEN(records),
        .cursor = &locks->cursor,
    };

    if (locks->loaded)
        return 0;
    wanted.key = td_pattern_key(td_journal_seed(locks->desk->journal), pattern, &wanted.exact);
    do {
        struct td_state_cursor page = locks->cursor;
        td_journal_state(locks->desk->reader, &read);
        for (size_t i = 0; i < read.n; i++) {
            td_record_view(records[i], &record);
            int r = find(locks, record.topic) ? 0 : load_one(locks, &record);
            if (r < 0) {
                locks->cursor = page; /* all of it again: what is held already is found */
                return r;
            }
        }
    } while (read.end == TD_READ_BUDGET);
    locks->loaded = read.end == TD_READ_DONE;
    return locks->loaded ? 0 : -EAGAIN;
}

static int load_due(struct td_desk *desk, struct td_due *due)
{
    int r = load(desk->locks);

    if (r < 0 && r != -EAGAIN)
        td_desk_due(desk, due, td_clock_ns() + RETRY_NS);
    return r;
}

struct td_locks *td_locks_new(struct td_desk *desk)
{
    struct td_locks *locks = calloc(1, sizeof(*locks));

    if (!locks)
        return NULL;
    locks->desk = desk;
    locks->load.run = load_due;
    td_map_init(&locks->held, sizeof(struct lock *));
    td_map_init(&locks->holders, sizeof(size_t));
    td_desk_due(desk, &locks->load, 0);
    return locks;
}

void td_locks_free(struct td_locks *locks)
{
    struct lock **lock;
    size_t at = 0;
    uint64_t key;

    if (!locks)
        return;
    while ((lock = td_map_each(&locks->held, &at, &key)))
        free(*lock);
    td_map_done(&locks->held);
    td_map_done(&locks->holders);
    free(locks);
}

/* ---- asks ---- */

static void answer(struct td_ask *ask, const struct lock *lock)
{
    td_ns now = td_clock_ns(), at = lock->due._node.at;
    uint64_t left = at > now ? (at - now + TD_NS_PER_S - 1) / TD_NS_PER_S : 0;

    td_buf_puts(&ask->body, "{\"name\":");
    td_json_put_string(&ask->body, name_of(lock));
    td_buf_puts(&ask->body, ",\"holder\":");
    td_buf_put(&ask->body, holder_of(lock));
    td_buf_puts(&ask->body, ",\"fence\":");
    td_buf_putu(&ask->body, lock->fence);
    td_buf_puts(&ask->body, ",\"expires_in\":");
    td_buf_putu(&ask->body, left);
    td_buf_puts(&ask->body, "}\n");
    ask->record = ask->wait_for = lock->last;
}

/* The position that an answer reflects. */
static void answer_position(const struct td_desk *desk, struct td_ask *ask)
{
    ask->position = TD_MAX(ask->wait_for, td_journal_readable(desk->journal));
    ask->has_position = true;
}

static int check_limits(const struct td_locks *locks, struct td_ask *ask, struct td_slice holder)
{
    if (count_of(locks, holder) >= ask->lock.per_holder_max) {
        td_ask_fail(ask, TD_ERATE, "You hold as many locks as limits.locks_per_user allows.");
        return TD_ERATE;
    }
    if (locks->held.len >= ask->lock.locks_max) {
        td_ask_fail(ask, TD_ERATE, "There are as many locks as limits.locks allows.");
        return TD_ERATE;
    }
    return 0;
}

static int take(struct td_desk *desk, struct td_ask *ask, struct lock **ret_lock)
{
    struct td_slice holder = ask->principal->subject_json;
    int r = check_limits(desk->locks, ask, holder);

    if (r < 0)
        return r;
    struct lock *lock = add(desk->locks, ask->topic, holder);
    if (!lock)
        return -ENOMEM;
    r = tell(desk,
             &(struct act){.type = "lock_acquired",
                           .lock = lock,
                           .actor = holder,
                           .ttl_s = ask->lock.ttl_s,
                           .now = td_clock_unix_ms()},
             &lock->last);
    if (r < 0) {
        drop(desk->locks, lock);
        return r;
    }
    lock->fence = lock->last;
    note(desk, ask, lock, NULL);
    ask->created = true;
    *ret_lock = lock;
    return 0;
}

int td_lock_take(struct td_desk *desk, struct td_ask *ask)
{
    int r = load(desk->locks);

    if (r < 0)
        return r;
    struct lock *lock = find(desk->locks, ask->topic);
    if (lock && !td_slice_eq(holder_of(lock), ask->principal->subject_json)) {
        answer(ask, lock);
        return TD_ELOCKED;
    }
    if (!lock)
        r = take(desk, ask, &lock);
    else
        r = tell(desk,
                 &(struct act){.type = "lock_renewed",
                               .lock = lock,
                               .actor = ask->principal->subject_json,
                               .ttl_s = ask->lock.ttl_s,
                               .now = td_clock_unix_ms(),
                               .renews = true},
                 &lock->last);
    if (r < 0)
        return r;
    td_desk_due(desk, &lock->due, td_clock_ns() + ask->lock.ttl_s * TD_NS_PER_S);
    answer(ask, lock);
    answer_position(desk, ask);
    return ask->body.err;
}

int td_lock_give_back(struct td_desk *desk, struct td_ask *ask)
{
    int r = load(desk->locks);

    if (r < 0)
        return r;
    struct lock *lock = find(desk->locks, ask->topic);
    if (!lock)
        return TD_ENOTFOUND;
    if (!td_slice_eq(holder_of(lock), ask->principal->subject_json) && !ask->principal->is_admin) {
        answer(ask, lock);
        return TD_ELOCKED;
    }
    r = tell(
        desk,
        &(struct act){.type = "lock_released", .lock = lock, .actor = ask->principal->subject_json},
        &ask->wait_for);
    if (r < 0)
        return r;
    note(desk, ask, lock, "given back");
    drop(desk->locks, lock);
    answer_position(desk, ask);
    return 0;
}

int td_lock_get(struct td_desk *desk, struct td_ask *ask)
{
    int r = load(desk->locks);

    if (r < 0)
        return r;
    const struct lock *lock = find(desk->locks, ask->topic);
    if (lock)
        answer(ask, lock);
    answer_position(desk, ask);
    return lock ? ask->body.err : TD_ENOTFOUND;
}
