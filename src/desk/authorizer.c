/* SPDX-License-Identifier: Apache-2.0 */
#include "desk/authorizer.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/log.h"
#include "desk/authorizer_settings.h"
#include "desk/authorizer_wire.h"
#include "desk/internal.h"
#include "desk/permit.h"
#include "desk/rulings.h"
#include "jobs/upstream.h"
#include "os/clock.h"
#include <errno.h>
#include <stdlib.h>

/* How long a failure is remembered: an authorizer that is down is not asked by everyone at once. */
#define FAILED_NS TD_NS_PER_S
/* A permission is asked for again when so much of its time is over. */
#define RENEW_AFTER(ns) ((ns) / 4 * 3)
/* A line of the log about failures, with how many there were, at most so often. */
#define COMPLAIN_NS (10 * TD_NS_PER_S)

/* Under way, or waiting for its turn. */
struct td_question {
    struct td_list list; /* of all, or of those that wait for their turn */
    struct td_authorizer *authorizer;
    struct td_ruling *ruling;
    struct td_transfer *transfer; /* NULL: it waits for its turn */
    struct td_list permits;       /* td_permit._list */
    td_ns deadline;
    struct td_buf text;   /* what is asked */
    struct td_buf answer; /* as far as it has come */
};

struct td_authorizer {
    struct td_mutex mutex;
    struct td_authorizer_settings *told;     /* what it was told last; NULL: that there is none */
    _Atomic uint64_t version;                /* of what it was told; 0: nothing yet */
    uint64_t taken;                          /* the version that is in use: … */
    struct td_authorizer_settings *settings; /* … these; NULL: there is no authorizer */

    struct td_upstream *upstream; /* the desk's */
    struct td_rulings *rulings;
    struct td_list running, queue;
    unsigned n_running;
    td_ns complain_at;
    uint64_t failures; /* since the last complaint */
    struct td_authorizer_stat stat;
};

static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void show_stat(struct td_authorizer *authorizer)
{
    atomic_store_explicit(&authorizer->stat.entries, td_rulings_len(authorizer->rulings),
                          memory_order_relaxed);
}

/* ---- settings ---- */

/* The mutex is held. */
static int tell(struct td_authorizer *authorizer, const struct td_authorizer_options *options)
{
    struct td_authorizer_settings *told = authorizer->told, *fresh = NULL;
    bool enabled = options->url.len > 0;

    if (told ? enabled && td_authorizer_settings_same(&told->options, options) : !enabled)
        return 0;
    if (enabled && !(fresh = td_authorizer_settings_new(options)))
        return -ENOMEM;
    td_authorizer_settings_free(told);
    authorizer->told = fresh;
    atomic_fetch_add(&authorizer->version, 1);
    return 0;
}

int td_desk_authorize_by(struct td_desk *desk, const struct td_authorizer_options *options,
                         uint64_t *ret_version)
{
    struct td_authorizer *authorizer = desk->authorizer;

    td_mutex_lock(&authorizer->mutex);
    int r = tell(authorizer, options);
    *ret_version = authorizer->told ? atomic_load(&authorizer->version) : 0;
    td_mutex_unlock(&authorizer->mutex);
    td_bell_ring(desk->bell);
    return r;
}

const struct td_authorizer_stat *td_desk_authorizer_stat(const struct td_desk *desk)
{
    return desk ? &desk->authorizer->stat : NULL;
}

/* ---- the end of a question ---- */

static void question_free(struct td_question *question)
{
    td_list_remove(&question->list);
    td_buf_done(&question->text);
    td_buf_done(&question->answer);
    free(question);
}

/* Tells all who wait; an ask of which this was the last question goes back. */
static void tell_waiting(struct td_question *question, const struct td_ruling *ruling)
{
    struct td_list *node;

    while ((node = td_list_pop(&question->permits))) {
        struct td_permit *permit = TD_CONTAINER_OF(node, struct td_permit, _list);
        struct td_ask *ask = permit->_ask;
        permit->err = ruling->err;
        permit->renew_at = ruling->renew_at;
        permit->expires_at = ruling->expires_at;
        if (--ask->permits->_left == 0)
            ask->answered(ask);
    }
}

static void settle(struct td_question *question, const struct td_ruling *said, bool remembered)
{
    struct td_rulings *rulings = question->authorizer->rulings;
    struct td_ruling *ruling = question->ruling;

    if (remembered) {
        ruling->err = said->err;
        ruling->expires_at = said->expires_at;
    }
    ruling->renew_at = said->renew_at;
    td_ruling_release(rulings, ruling);
    atomic_fetch_sub_explicit(&question->authorizer->stat.under_way, 1, memory_order_relaxed);
    tell_waiting(question, said);
    question_free(question);
}

static void answered(struct td_question *question, const struct td_authorizer_answer *answer)
{
    const struct td_authorizer_options *options = &question->authorizer->settings->options;
    td_ns now = td_clock_ns();
    uint64_t ms = answer->has_ttl ? answer->ttl_s * 1000
                  : answer->allow ? options->cache_ms
                                  : options->denied_ms;
    /* Less than a second would be a question for each look at the connection. */
    td_ns holds = (answer->allow ? TD_MAX(ms, UINT64_C(1000)) : ms) * TD_NS_PER_MS;
    const struct td_ruling said = {
        .err = answer->allow ? 0 : TD_EFORBIDDEN,
        .expires_at = now + holds,
        .renew_at = now + (answer->allow ? RENEW_AFTER(holds) : holds),
    };

    count(&question->authorizer->stat
               .results[answer->allow ? TD_AUTHORIZER_ALLOWED : TD_AUTHORIZER_DENIED],
          1);
    settle(question, &said, true);
}

static void complain(struct td_authorizer *authorizer, td_ns now, const char *why)
{
    struct td_log_line line;

    authorizer->failures++;
    if (now < authorizer->complain_at)
        return;
    authorizer->complain_at = now + COMPLAIN_NS;
    if (td_log_begin(&line, TD_LOG_WARN, "authorizer")) {
        td_log_str(&line, "message", td_slice_str(why));
        td_log_u64(&line, "failures", authorizer->failures);
        td_log_end(&line);
    }
    authorizer->failures = 0;
}

/* Nobody gets anything of that; what was permitted before holds until its time is over, and is asked for again meanwhile. */
static void fail(struct td_question *question, enum td_authorizer_result result, const char *why)
{
    td_ns now = td_clock_ns();
    bool holds = question->ruling->err == 0 && now < question->ruling->expires_at;
    const struct td_ruling said = {
        .err = TD_EUNAVAILABLE,
        .expires_at = now + FAILED_NS,
        .renew_at = now + FAILED_NS,
    };

    count(&question->authorizer->stat.results[result], 1);
    complain(question->authorizer, now, why);
    settle(question, &said, !holds);
}

/* ---- the questions ---- */

static void start_queued(struct td_authorizer *authorizer);

static void take_bytes(struct td_transfer *transfer, struct td_slice bytes, void *arg)
{
    struct td_question *question = arg;

    (void)transfer;
    (void)td_buf_put(&question->answer, bytes);
}

static void take_end(struct td_question *question, const struct td_transfer_end *end)
{
    struct td_authorizer_answer answer;
    char why[64];

    if (end->outcome == TD_TRANSFER_TIMEOUT) {
        fail(question, TD_AUTHORIZER_TIMEOUT, end->error);
    } else if (end->outcome == TD_TRANSFER_TOO_LARGE) {
        fail(question, TD_AUTHORIZER_INVALID, end->error);
    } else if (end->outcome != TD_TRANSFER_DONE) {
        fail(question, TD_AUTHORIZER_UNREACHABLE, end->error);
    } else if (end->status != 200) {
        snprintf(why, sizeof(why), "the answer has status %d, not 200", end->status);
        fail(question, TD_AUTHORIZER_INVALID, why);
    } else if (question->answer.err < 0 ||
               td_authorizer_read_answer(td_buf_slice(&question->answer), &answer) < 0) {
        fail(question, TD_AUTHORIZER_INVALID,
             "the answer is not {\"allow\":true or false,\"ttl\":seconds}");
    } else {
        answered(question, &answer);
    }
}

static void ended(struct td_transfer *transfer, const struct td_transfer_end *end, void *arg)
{
    struct td_question *question = arg;
    struct td_authorizer *authorizer = question->authorizer;

    (void)transfer;
    authorizer->n_running--;
    take_end(question, end);
    start_queued(authorizer);
}

static int start(struct td_question *question, td_ns now)
{
    struct td_authorizer *authorizer = question->authorizer;
    const struct td_authorizer_options *options = &authorizer->settings->options;
    const char *const headers[] = {
        "Content-Type: application/json",
        "Accept: application/json",
        options->header.len > 0 ? options->header.ptr : NULL,
        NULL,
    };

    return td_upstream_start(authorizer->upstream,
                             &(struct td_transfer_options){
                                 .url = options->url.ptr,
                                 .post = true,
                                 .body = td_buf_slice(&question->text),
                                 .headers = headers,
                                 .keep = true,
                                 .total_ms = (question->deadline - now) / TD_NS_PER_MS + 1,
                                 .bytes_max = TD_AUTHORIZER_ANSWER_MAX,
                                 .bytes = take_bytes,
                                 .ended = ended,
                                 .arg = question,
                             },
                             &question->transfer);
}

/* Who waits for his turn waits for those that are under way, each of which ends in time: so none waits longer than the timeout. */
static void start_queued(struct td_authorizer *authorizer)
{
    td_ns now = td_clock_ns();
    struct td_list *node;

    while (authorizer->n_running < authorizer->settings->options.concurrency &&
           (node = td_list_pop(&authorizer->queue))) {
        struct td_question *question = TD_CONTAINER_OF(node, struct td_question, list);
        if (now >= question->deadline) {
            fail(question, TD_AUTHORIZER_TIMEOUT, "too many questions are under way");
        } else if (start(question, now) < 0) {
            fail(question, TD_AUTHORIZER_UNREACHABLE, "a request could not be started");
        } else {
            td_list_append(&authorizer->running, &question->list);
            authorizer->n_running++;
        }
    }
}

static struct td_question *new_question(struct td_authorizer *authorizer, struct td_ruling *ruling,
                                        const struct td_ask *ask, const struct td_permit *permit)
{
    struct td_question *question = calloc(1, sizeof(*question));

    if (!question)
        return NULL;
    td_list_init(&question->list);
    td_list_init(&question->permits);
    td_buf_init(&question->text, TD_KIB * 128);
    td_buf_init(&question->answer, TD_AUTHORIZER_ANSWER_MAX);
    td_authorizer_put_question(ask->principal, ask->permits, permit->pattern, &question->text);
    if (question->text.err < 0) {
        question_free(question);
        return NULL;
    }
    question->authorizer = authorizer;
    question->ruling = ruling;
    question->deadline = td_clock_ns() + authorizer->settings->options.timeout_ms * TD_NS_PER_MS;
    td_ruling_hold(ruling, question);
    count(&authorizer->stat.under_way, 1);
    td_list_append(&authorizer->queue, &question->list);
    return question;
}

/* ---- asks ---- */

/* Answers from what is remembered, or lets the permit wait for a question. */
static void look_up(struct td_authorizer *authorizer, struct td_ask *ask, struct td_permit *permit,
                    struct td_slice key)
{
    struct td_ruling *ruling = td_rulings_get(authorizer->rulings, key);
    td_ns now = td_clock_ns();

    permit->err = TD_EUNAVAILABLE; /* no memory, or no room */
    permit->renew_at = permit->expires_at = now + FAILED_NS;
    if (!ruling)
        return;
    if (now < (ask->permits->renews ? ruling->renew_at : ruling->expires_at)) {
        /* A failed renewal has left the permission as it is. */
        permit->err = ruling->err;
        permit->renew_at = ruling->renew_at;
        permit->expires_at = ruling->expires_at;
        count(&authorizer->stat.hits, 1);
        return;
    }
    struct td_question *question =
        ruling->question ? ruling->question : new_question(authorizer, ruling, ask, permit);
    if (!question)
        return;
    permit->_ask = ask;
    td_list_append(&question->permits, &permit->_list);
    ask->permits->_left++;
}

int td_authorizer_ask(struct td_desk *desk, struct td_ask *ask)
{
    struct td_authorizer *authorizer = desk->authorizer;
    struct td_buf key = TD_BUF_INIT(TD_KIB * 128);
    struct td_slice id;

    ask->permits->_left = 1; /* so that none that fails at once gives the ask away */
    for (size_t i = 0; i < ask->permits->n; i++) {
        struct td_permit *permit = &ask->permits->items[i];
        if (td_permit_of_job(permit->pattern, &id))
            continue;
        permit->err = TD_EFORBIDDEN;
        if (!authorizer->settings)
            continue;
        td_buf_reset(&key);
        td_authorizer_put_key(ask->principal, permit->pattern, &key);
        if (key.err < 0)
            permit->err = TD_EUNAVAILABLE;
        else
            look_up(authorizer, ask, permit, td_buf_slice(&key));
    }
    td_buf_done(&key);
    if (authorizer->settings)
        start_queued(authorizer);
    show_stat(authorizer);
    return --ask->permits->_left > 0;
}

/* ---- turns ---- */

/* Those that are under way begin again, by the new settings. */
static void call_back(struct td_authorizer *authorizer)
{
    struct td_list *node;

    while ((node = td_list_pop(&authorizer->running))) {
        struct td_question *question = TD_CONTAINER_OF(node, struct td_question, list);
        td_transfer_cancel(question->transfer);
        question->transfer = NULL;
        td_buf_reset(&question->answer);
        td_list_append(&authorizer->queue, &question->list);
    }
    authorizer->n_running = 0;
}

static void end_all(struct td_authorizer *authorizer, int err)
{
    const struct td_ruling said = {.err = err};
    struct td_list *node;

    while ((node = td_list_pop(&authorizer->queue)))
        settle(TD_CONTAINER_OF(node, struct td_question, list), &said, true);
}

static void use(struct td_authorizer *authorizer, struct td_authorizer_settings *settings)
{
    call_back(authorizer);
    if (!settings)
        end_all(authorizer, TD_EFORBIDDEN);
    td_rulings_clear(authorizer->rulings);
    td_authorizer_settings_free(authorizer->settings);
    authorizer->settings = settings;
    if (settings) {
        td_rulings_limit(authorizer->rulings, settings->options.entries);
        start_queued(authorizer);
    }
    show_stat(authorizer);
}

void td_authorizer_turn(struct td_desk *desk)
{
    struct td_authorizer *authorizer = desk->authorizer;
    uint64_t version = atomic_load(&authorizer->version);
    struct td_authorizer_settings *settings = NULL;

    if (version == authorizer->taken)
        return;
    authorizer->upstream = td_desk_upstream(desk);
    td_mutex_lock(&authorizer->mutex);
    version = atomic_load(&authorizer->version);
    if (authorizer->told && authorizer->upstream)
        settings = td_authorizer_settings_new(&authorizer->told->options);
    td_mutex_unlock(&authorizer->mutex);
    authorizer->taken = version;
    use(authorizer, settings);
}

struct td_authorizer *td_authorizer_new(void)
{
    struct td_authorizer *authorizer = calloc(1, sizeof(*authorizer));

    if (!authorizer)
        return NULL;
    authorizer->rulings = td_rulings_new(1); /* as many as its settings will say */
    if (!authorizer->rulings) {
        free(authorizer);
        return NULL;
    }
    td_mutex_init(&authorizer->mutex);
    td_list_init(&authorizer->running);
    td_list_init(&authorizer->queue);
    return authorizer;
}

void td_authorizer_free(struct td_authorizer *authorizer)
{
    if (!authorizer)
        return;
    call_back(authorizer);
    end_all(authorizer, TD_EDRAINING);
    td_rulings_free(authorizer->rulings);
    td_authorizer_settings_free(authorizer->settings);
    td_authorizer_settings_free(authorizer->told);
    td_mutex_done(&authorizer->mutex);
    free(authorizer);
}
