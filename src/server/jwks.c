/* SPDX-License-Identifier: Apache-2.0 */
#include "server/jwks.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "os/clock.h"
#include "os/thread.h"
#include "server/fetch.h"
#include <curl/curl.h>
#include <errno.h>

#define FETCH_TIMEOUT_MS 10000
#define FRESH_S          600
#define FRESH_MIN_S      60
#define FRESH_MAX_S      86400
/* After a failure: so long, doubled each time up to the other. */
#define RETRY_S     2
#define RETRY_MAX_S 60

/* One issuer's URL.  Its texts are a copy, because it is fetched from while configurations come and go. */
struct source {
    struct td_list list; /* in jwks.sources */
    uint64_t id;
    struct td_slice issuer, url;
    struct td_slices algs;
    bool is_wanted; /* by the setup that was equipped last */

    const struct td_keys *keys; /* NULL until they have come */
    td_ns due;                  /* when it is fetched again */
    td_ns asked;                /* when a token last made it be, 0: never */
    unsigned failures;          /* one after the other */
};

struct td_jwks {
    struct td_mutex mutex; /* over all that follows but the thread itself */
    struct td_cond cond;
    struct td_list sources;
    uint64_t next_id;
    bool has_new;
    _Atomic bool stopping;
    bool is_running;
    struct td_thread thread;
    void (*wake)(void *arg);
    void *arg;
};

/* What a setup keeps: which source each of its issuers is. */
struct rows {
    struct td_jwks *jwks;
    size_t n;
    struct td_issuer *issuers;
    uint64_t ids[]; /* 0: its keys are not fetched */
};

/* ---- sources ---- */

static void source_free(struct source *source)
{
    td_list_remove(&source->list);
    td_keys_unref(source->keys);
    free(source);
}

static struct td_slice copy_text(char **at, struct td_slice text)
{
    struct td_slice copy = {*at, text.len};

    memcpy(*at, text.ptr, text.len);
    (*at)[text.len] = '\0';
    *at += text.len + 1;
    return copy;
}

static struct source *source_new(struct td_jwks *jwks, const struct td_config_issuer *issuer)
{
    struct td_slices algs = issuer->algorithms;
    size_t bytes = issuer->rules.issuer.len + issuer->jwks_url.len + 2;

    for (size_t i = 0; i < algs.n; i++)
        bytes += algs.items[i].len + 1;
    struct source *source = calloc(1, sizeof(*source) + algs.n * sizeof(struct td_slice) + bytes);
    if (!source)
        return NULL;
    struct td_slice *items = (struct td_slice *)(void *)(source + 1);
    char *at = (char *)(items + algs.n);
    source->id = ++jwks->next_id;
    source->issuer = copy_text(&at, issuer->rules.issuer);
    source->url = copy_text(&at, issuer->jwks_url);
    for (size_t i = 0; i < algs.n; i++)
        items[i] = copy_text(&at, algs.items[i]);
    source->algs = (struct td_slices){items, algs.n};
    td_list_append(&jwks->sources, &source->list);
    return source;
}

static bool same_list(struct td_slices a, struct td_slices b)
{
    bool same = a.n == b.n;

    for (size_t i = 0; same && i < a.n; i++)
        same = td_slice_eq(a.items[i], b.items[i]);
    return same;
}

static struct source *source_of(struct td_jwks *jwks, const struct td_config_issuer *issuer)
{
    for (struct td_list *at = jwks->sources.next; at != &jwks->sources; at = at->next) {
        struct source *source = TD_CONTAINER_OF(at, struct source, list);
        if (td_slice_eq(source->issuer, issuer->rules.issuer) &&
            td_slice_eq(source->url, issuer->jwks_url) &&
            same_list(source->algs, issuer->algorithms))
            return source;
    }
    return source_new(jwks, issuer);
}

static struct source *source_by_id(const struct td_jwks *jwks, uint64_t id)
{
    for (struct td_list *at = jwks->sources.next; at != &jwks->sources; at = at->next) {
        struct source *source = TD_CONTAINER_OF(at, struct source, list);
        if (source->id == id)
            return source;
    }
    return NULL;
}

/* ---- the thread ---- */

static uint64_t fresh_s(const struct td_fetch *fetch)
{
    uint64_t seconds = fetch->has_max_age ? fetch->max_age_s : FRESH_S;

    return TD_MAX((uint64_t)FRESH_MIN_S, TD_MIN(seconds, (uint64_t)FRESH_MAX_S));
}

static void tell_failure(struct td_slice issuer, struct td_slice url, const char *error)
{
    struct td_log_line line;

    if (!td_log_begin(&line, TD_LOG_WARN, "jwks"))
        return;
    td_log_str(&line, "issuer", issuer);
    td_log_str(&line, "url", url);
    td_log_str(&line, "message", td_slice_str(error));
    td_log_end(&line);
}

/* Fetches and reads the keys of one source, of which only what never changes is looked at.  NULL after a line in the log. */
static struct td_keys *load(struct td_jwks *jwks, const struct source *source,
                            struct td_fetch *fetch)
{
    const struct td_key_choice choice = {
        source->algs.items, source->algs.n, {NULL, 0}
    };
    struct td_keys *keys = td_keys_new();
    const char *reason = "out of memory";

    *fetch = (struct td_fetch){
        .url = source->url.ptr,
        .timeout_ms = FETCH_TIMEOUT_MS,
        .give_up = &jwks->stopping,
        .body = TD_BUF_INIT(TD_KEY_TEXT_MAX),
    };
    int r = td_fetch(fetch);
    if (r < 0)
        reason = fetch->error;
    else if (keys)
        r = td_keys_add_text(keys, td_buf_slice(&fetch->body), &choice, &reason);
    td_buf_done(&fetch->body);
    if (keys && r == 0)
        return keys;
    tell_failure(source->issuer, source->url, reason);
    td_keys_unref(keys);
    return NULL;
}

/* Takes over what was fetched. */
static void settle(struct td_jwks *jwks, struct source *source, struct td_keys *keys,
                   const struct td_fetch *fetch)
{
    uint64_t wait_s = fresh_s(fetch);

    if (keys) {
        td_keys_unref(source->keys);
        source->keys = keys;
        source->failures = 0;
        jwks->has_new = true;
    } else {
        wait_s = TD_MIN((uint64_t)RETRY_S << TD_MIN(source->failures, 8U), (uint64_t)RETRY_MAX_S);
        source->failures++;
    }
    source->due = td_clock_ns() + wait_s * TD_NS_PER_S;
}

/* Fetches one source that is due; the mutex is not held meanwhile.  Whether there was one. */
static bool fetch_one(struct td_jwks *jwks)
{
    struct td_fetch fetch;
    struct source *source = NULL;

    for (struct td_list *at = jwks->sources.next; at != &jwks->sources && !source; at = at->next)
        if (TD_CONTAINER_OF(at, struct source, list)->due <= td_clock_ns())
            source = TD_CONTAINER_OF(at, struct source, list);
    if (!source)
        return false;
    source->due = UINT64_MAX; /* nobody but this thread frees a source */
    td_mutex_unlock(&jwks->mutex);
    struct td_keys *keys = load(jwks, source, &fetch);
    if (keys)
        td_log(TD_LOG_DEBUG, "jwks", "%zu keys of %s", td_keys_len(keys), source->issuer.ptr);
    td_mutex_lock(&jwks->mutex);
    settle(jwks, source, keys, &fetch);
    if (keys)
        jwks->wake(jwks->arg);
    return true;
}

static void drop_unwanted(struct td_jwks *jwks)
{
    for (struct td_list *at = jwks->sources.next, *next; at != &jwks->sources; at = next) {
        next = at->next;
        if (!TD_CONTAINER_OF(at, struct source, list)->is_wanted)
            source_free(TD_CONTAINER_OF(at, struct source, list));
    }
}

static td_ns until_next(const struct td_jwks *jwks)
{
    td_ns now = td_clock_ns(), next = UINT64_MAX;

    for (struct td_list *at = jwks->sources.next; at != &jwks->sources; at = at->next)
        next = TD_MIN(next, TD_CONTAINER_OF(at, struct source, list)->due);
    return next == UINT64_MAX ? UINT64_MAX : next > now ? next - now : 0;
}

static void run(void *arg)
{
    struct td_jwks *jwks = arg;

    td_mutex_lock(&jwks->mutex);
    while (!atomic_load(&jwks->stopping)) {
        drop_unwanted(jwks);
        if (!fetch_one(jwks))
            (void)td_cond_wait(&jwks->cond, &jwks->mutex, until_next(jwks));
    }
    td_mutex_unlock(&jwks->mutex);
}

/* ---- the main thread, and workers that ask ---- */

/* A token named a key that is not there.  Verified before it is believed it is not, so it may only hasten what is due anyway. */
static void ask(size_t issuer, void *arg)
{
    struct rows *rows = arg;
    struct td_jwks *jwks = rows->jwks;
    td_ns now = td_clock_ns();

    if (issuer >= rows->n || rows->ids[issuer] == 0)
        return;
    td_mutex_lock(&jwks->mutex);
    struct source *source = source_by_id(jwks, rows->ids[issuer]);
    if (source && source->due != UINT64_MAX &&
        (source->asked == 0 || now - source->asked >= TD_JWKS_ASK_S * TD_NS_PER_S)) {
        source->asked = now;
        source->due = TD_MIN(source->due, now);
        td_cond_signal(&jwks->cond);
    }
    td_mutex_unlock(&jwks->mutex);
}

int td_jwks_new(void (*wake)(void *arg), void *arg, struct td_jwks **ret_jwks)
{
    struct td_jwks *jwks = calloc(1, sizeof(*jwks));

    if (!jwks || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(jwks);
        return -ENOMEM;
    }
    td_mutex_init(&jwks->mutex);
    td_cond_init(&jwks->cond);
    td_list_init(&jwks->sources);
    jwks->wake = wake;
    jwks->arg = arg;
    *ret_jwks = jwks;
    return 0;
}

void td_jwks_free(struct td_jwks *jwks)
{
    if (!jwks)
        return;
    td_mutex_lock(&jwks->mutex);
    atomic_store(&jwks->stopping, true);
    td_cond_signal(&jwks->cond);
    td_mutex_unlock(&jwks->mutex);
    if (jwks->is_running)
        td_thread_join(&jwks->thread);
    while (!td_list_empty(&jwks->sources))
        source_free(TD_CONTAINER_OF(jwks->sources.next, struct source, list));
    td_cond_done(&jwks->cond);
    td_mutex_done(&jwks->mutex);
    free(jwks);
    curl_global_cleanup();
}

static void rows_free(void *arg)
{
    struct rows *rows = arg;

    for (size_t i = 0; i < rows->n; i++)
        if (rows->ids[i] != 0)
            td_keys_unref(rows->issuers[i].keys);
    free(rows->issuers);
    free(rows);
}

/* Fills a setup's own copy of the table with the keys that have come.  0 or -ENOMEM. */
static int fill(struct td_jwks *jwks, const struct td_config_issuers *issuers, struct rows *rows)
{
    for (size_t i = 0; i < issuers->n; i++) {
        if (issuers->items[i].jwks_url.len == 0)
            continue;
        struct source *source = source_of(jwks, &issuers->items[i]);
        if (!source)
            return -ENOMEM;
        source->is_wanted = true;
        rows->ids[i] = source->id;
        rows->issuers[i].keys = source->keys ? td_keys_ref(source->keys) : NULL;
    }
    return 0;
}

static bool any_url(const struct td_config_issuers *issuers)
{
    for (size_t i = 0; i < issuers->n; i++)
        if (issuers->items[i].jwks_url.len > 0)
            return true;
    return false;
}

int td_jwks_equip(struct td_jwks *jwks, struct td_setup *setup)
{
    const struct td_config_issuers *issuers = &setup->config->issuers;
    size_t n = setup->auth.n_issuers;

    if (!jwks->is_running && !any_url(issuers))
        return 0;
    struct rows *rows = calloc(1, sizeof(*rows) + n * sizeof(rows->ids[0]));
    struct td_issuer *table = calloc(n + 1, sizeof(*table));
    if (!rows || !table) {
        free(rows);
        free(table);
        return -ENOMEM;
    }
    memcpy(table, setup->auth.issuers, n * sizeof(*table));
    *rows = (struct rows){jwks, n, table};
    td_setup_keep(setup, rows_free, rows);
    td_mutex_lock(&jwks->mutex);
    for (struct td_list *at = jwks->sources.next; at != &jwks->sources; at = at->next)
        TD_CONTAINER_OF(at, struct source, list)->is_wanted = false;
    int r = fill(jwks, issuers, rows);
    jwks->has_new = false;
    td_cond_signal(&jwks->cond);
    td_mutex_unlock(&jwks->mutex);
    setup->auth.issuers = table;
    setup->auth.missing = ask;
    setup->auth.arg = rows;
    if (r == 0 && !jwks->is_running) {
        r = td_thread_start(&jwks->thread, "jwks", run, jwks);
        jwks->is_running = r == 0;
    }
    return r;
}

bool td_jwks_has_new(struct td_jwks *jwks)
{
    td_mutex_lock(&jwks->mutex);
    bool has_new = jwks->has_new;
    td_mutex_unlock(&jwks->mutex);
    return has_new;
}
