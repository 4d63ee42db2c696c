/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/wakeup.h"
#include "base/assert.h"
#include "base/err.h"
#include <errno.h>

/* What a wakeup's scratch keeps between wakeups. */
#define KEPT_BYTES (256 * 1024)

_Static_assert(TD_WAKEUP_RECORDS <= UINT16_MAX, "items are 16 bits wide");

int td_wakeup_new(struct td_encoder *encoder, struct td_wakeup **ret_wakeup)
{
    struct td_wakeup *wakeup = calloc(1, sizeof(*wakeup));

    if (!wakeup)
        return -ENOMEM;
    wakeup->encoder = encoder;
    td_buf_init(&wakeup->_bytes, TD_WAKEUP_ENCODED_MAX);
    td_buf_init(&wakeup->_own, TD_WAKEUP_ENCODED_MAX);
    *ret_wakeup = wakeup;
    return 0;
}

static void free_runs(struct td_run *run)
{
    while (run) {
        struct td_run *next = run->next;
        free(run->items);
        free(run);
        run = next;
    }
}

void td_wakeup_free(struct td_wakeup *wakeup)
{
    if (!wakeup)
        return;
    free_runs(wakeup->runs);
    free_runs(wakeup->_spare);
    for (size_t i = 0; i < TD_WIRES; i++)
        free(wakeup->_encoded[i]);
    free(wakeup->touched);
    free(wakeup->_links);
    td_buf_done(&wakeup->_bytes);
    td_buf_done(&wakeup->_own);
    free(wakeup);
}

static struct td_run *run_of(struct td_wakeup *wakeup, struct td_pattern *pattern)
{
    if (pattern->wake == wakeup->number)
        return pattern->run;
    struct td_run *run = wakeup->_spare;
    if (run) {
        wakeup->_spare = run->next;
    } else {
        run = calloc(1, sizeof(*run));
        if (!run)
            return NULL;
    }
    run->pattern = pattern;
    run->n = 0;
    memset(run->bytes, 0, sizeof(run->bytes));
    run->next = wakeup->runs;
    wakeup->runs = run;
    pattern->run = run;
    pattern->wake = wakeup->number;
    return run;
}

static int run_add(struct td_run *run, size_t item)
{
    if (run->n == run->cap) {
        uint32_t cap = run->cap ? run->cap * 2 : 8;
        uint16_t *items = realloc(run->items, cap * sizeof(*items));
        if (!items)
            return -ENOMEM;
        run->items = items;
        run->cap = cap;
    }
    run->items[run->n++] = (uint16_t)item;
    return 0;
}

static int file_record(struct td_wakeup *wakeup, const struct td_index *index, size_t item)
{
    struct td_slice topic = wakeup->views[item].topic;
    uint64_t keys[TD_INDEX_KEYS_MAX];
    size_t n = td_index_keys(index, topic, keys);

    for (size_t i = 0; i < n; i++) {
        struct td_pattern *pattern = td_index_find(index, keys[i]);
        for (; pattern; pattern = pattern->next) {
            /* A key is a hash, so what lies under it is matched all the same. */
            if (pattern->n == 0 || !td_pattern_match(td_pattern_text(pattern), topic))
                continue;
            struct td_run *run = run_of(wakeup, pattern);
            if (!run || run_add(run, item) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

static int touched_add(struct td_wakeup *wakeup, struct td_subscriber *subscriber,
                       struct td_run *run)
{
    if (wakeup->n_touched == wakeup->_cap_touched) {
        size_t cap = wakeup->_cap_touched ? wakeup->_cap_touched * 2 : 256;
        void *touched = realloc(wakeup->touched, cap * sizeof(*wakeup->touched));
        if (!touched)
            return -ENOMEM;
        wakeup->touched = touched;
        wakeup->_cap_touched = cap;
    }
    subscriber->_touched = (uint32_t)wakeup->n_touched;
    wakeup->touched[wakeup->n_touched++] = (struct td_touched){subscriber, run, NULL};
    return 0;
}

/* Counts first, so that the links do not move once subscribers point at them. */
static int reserve_links(struct td_wakeup *wakeup)
{
    size_t need = 0;

    for (struct td_run *run = wakeup->runs; run; run = run->next)
        need += run->pattern->n;
    wakeup->_n_links = 0;
    if (wakeup->runs && !wakeup->runs->next)
        return 0; /* a single run links nothing */
    if (need <= wakeup->_cap_links)
        return 0;
    void *links = realloc(wakeup->_links, need * sizeof(struct td_run_link));
    if (!links)
        return -ENOMEM;
    wakeup->_links = links;
    wakeup->_cap_links = need;
    return 0;
}

static int touch(struct td_wakeup *wakeup, struct td_subscriber *subscriber, struct td_run *run)
{
    if (!td_hub_is_live(subscriber))
        return 0;
    /* A place of an earlier wakeup is not there, or is somebody else's, unless it has been touched before. */
    if (subscriber->_touched >= wakeup->n_touched ||
        wakeup->touched[subscriber->_touched].subscriber != subscriber)
        return touched_add(wakeup, subscriber, run);
    struct td_touched *touched = &wakeup->touched[subscriber->_touched];
    /* A subscriber may hold a pattern twice, by two requests; its slots then lie in the same run. */
    struct td_run *latest = touched->more ? touched->more->run : touched->run;
    if (latest == run)
        return 0;
    TD_ASSERT(wakeup->_n_links < wakeup->_cap_links);
    struct td_run_link *link = &wakeup->_links[wakeup->_n_links++];
    *link = (struct td_run_link){touched->more, run};
    touched->more = link;
    return 0;
}

int td_wakeup_gather(struct td_wakeup *wakeup, const struct td_index *index)
{
    wakeup->number++;
    wakeup->n_touched = 0;
    td_buf_reset(&wakeup->_bytes);
    for (size_t i = 0; i < wakeup->n; i++) {
        td_record_view(wakeup->records[i], &wakeup->views[i]);
        int r = file_record(wakeup, index, i);
        if (r < 0)
            return r;
    }
    int r = reserve_links(wakeup);
    if (r < 0)
        return r;
    for (struct td_run *run = wakeup->runs; run; run = run->next)
        for (uint32_t i = 0; i < run->pattern->n; i++) {
            r = touch(wakeup, run->pattern->slots[i].subscriber, run);
            if (r < 0)
                return r;
        }
    return 0;
}

/* Merges the ascending list `from` and another run into `into`, each item once. */
static size_t merge(uint16_t *into, const uint16_t *from, size_t n, const struct td_run *run)
{
    size_t a = 0, b = 0, out = 0;

    while (a < n || b < run->n) {
        uint16_t item;
        if (b == run->n || (a < n && from[a] <= run->items[b]))
            item = from[a++];
        else
            item = run->items[b++];
        if (out == 0 || into[out - 1] != item)
            into[out++] = item;
    }
    return out;
}

/* Merges the runs that touch a subscriber, of which there are several.  `ret_same`: one that is the same as all of them, or NULL. */
static const uint16_t *merge_runs(struct td_wakeup *wakeup, const struct td_touched *touched,
                                  size_t *ret_n, struct td_run **ret_same)
{
    const uint16_t *from = touched->run->items;
    struct td_run *longest = touched->run;
    size_t n = longest->n;
    uint16_t *into = NULL;

    for (struct td_run_link *link = touched->more; link; link = link->next) {
        into = wakeup->_merged[into == wakeup->_merged[0]];
        n = merge(into, from, n, link->run);
        from = into;
        if (link->run->n > longest->n)
            longest = link->run;
    }
    *ret_same = longest->n == n ? longest : NULL;
    *ret_n = n;
    return into;
}

void td_wakeup_share(struct td_wakeup *wakeup, const struct td_touched *touched,
                     const struct td_hub_ops *ops, void *arg, struct td_share *ret_share)
{
    const struct td_subscriber *subscriber = touched->subscriber;
    struct td_run *run = touched->run;
    const uint16_t *items = run->items;
    uint16_t *kept = wakeup->_kept;
    size_t n = run->n, n_kept = 0;

    if (touched->more)
        items = merge_runs(wakeup, touched, &n, &run);
    bool checked =
        subscriber->checked || (subscriber->present && n > 0 && wakeup->views[items[0]].seq == 0);
    for (size_t i = 0; checked && i < n; i++)
        if (ops->wants(subscriber, &wakeup->views[items[i]], arg))
            kept[n_kept++] = items[i];
    if (!checked || n_kept == n)
        *ret_share = (struct td_share){items, n, run};
    else
        *ret_share = (struct td_share){kept, n_kept, NULL};
}

/* Makes the wire's table of encoded records ready for this wakeup. */
static int begin_wire(struct td_wakeup *wakeup, enum td_wire wire)
{
    if (wakeup->_encoded_in[wire] == wakeup->number)
        return 0;
    if (!wakeup->_encoded[wire]) {
        wakeup->_encoded[wire] = calloc(TD_WAKEUP_RECORDS, sizeof(struct td_span));
        if (!wakeup->_encoded[wire])
            return -ENOMEM;
    }
    memset(wakeup->_encoded[wire], 0, wakeup->n * sizeof(struct td_span));
    wakeup->_encoded_in[wire] = wakeup->number;
    return 0;
}

int td_wakeup_record(struct td_wakeup *wakeup, enum td_wire wire, size_t item,
                     struct td_slice *ret_bytes)
{
    if (wire == TD_WIRE_WS_EVENT) {
        *ret_bytes = wakeup->views[item].frame;
        return 0;
    }
    int r = begin_wire(wakeup, wire);
    if (r < 0)
        return r;
    struct td_span *span = &wakeup->_encoded[wire][item];
    if (span->len == 0) {
        size_t at = wakeup->_bytes.len;
        r = td_encode(wakeup->encoder, &wakeup->views[item], wire, NULL, &wakeup->_bytes);
        if (r < 0) {
            wakeup->_bytes.len = at;
            return r;
        }
        *span = (struct td_span){(uint32_t)at, (uint32_t)(wakeup->_bytes.len - at)};
    }
    *ret_bytes = td_slice(wakeup->_bytes.ptr + span->at, span->len);
    return 0;
}

/* Puts the records of a share one after the other into `out`, which may be the buffer that they lie in. */
static int put_share(struct td_wakeup *wakeup, enum td_wire wire, const struct td_share *share,
                     struct td_buf *out)
{
    for (size_t i = 0; i < share->n; i++) {
        struct td_slice bytes;
        int r = td_wakeup_record(wakeup, wire, share->items[i], &bytes);
        if (r < 0)
            return r;
        r = td_buf_reserve(out, bytes.len);
        if (r < 0)
            return r;
        r = td_wakeup_record(wakeup, wire, share->items[i], &bytes); /* it may have moved */
        if (r < 0)
            return r;
        r = td_buf_put(out, bytes);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whether `_own` holds this share from whom it was put together for last: those who ask for the same get the same. */
static bool is_in_own(const struct td_wakeup *wakeup, enum td_wire wire,
                      const struct td_share *share)
{
    return wakeup->_own_in == wakeup->number && wakeup->_own_wire == wire &&
           wakeup->_own_n == share->n &&
           memcmp(wakeup->_own_items, share->items, share->n * sizeof(*share->items)) == 0;
}

static void note_own(struct td_wakeup *wakeup, enum td_wire wire, const struct td_share *share)
{
    wakeup->_own_in = wakeup->number;
    wakeup->_own_wire = wire;
    wakeup->_own_n = share->n;
    memcpy(wakeup->_own_items, share->items, share->n * sizeof(*share->items));
}

int td_wakeup_bytes(struct td_wakeup *wakeup, enum td_wire wire, const struct td_share *share,
                    struct td_slice *ret_bytes)
{
    struct td_span *known = share->run ? &share->run->bytes[wire] : NULL;

    TD_ASSERT(share->n > 0);
    if (share->n == 1)
        return td_wakeup_record(wakeup, wire, share->items[0], ret_bytes);
    if (known && known->len > 0) {
        *ret_bytes = td_slice(wakeup->_bytes.ptr + known->at, known->len);
        return 0;
    }
    if (!known && is_in_own(wakeup, wire, share)) {
        *ret_bytes = td_buf_slice(&wakeup->_own);
        return 0;
    }
    /* First all are encoded, so that the copies that follow lie together. */
    for (size_t i = 0; i < share->n; i++) {
        int r = td_wakeup_record(wakeup, wire, share->items[i], ret_bytes);
        if (r < 0)
            return r;
    }
    struct td_buf *out = known ? &wakeup->_bytes : &wakeup->_own;
    if (!known) {
        wakeup->_own_in = 0;
        td_buf_reset(out);
    }
    size_t at = out->len;
    int r = put_share(wakeup, wire, share, out);
    if (r < 0) {
        out->len = at;
        return r;
    }
    *ret_bytes = td_slice(out->ptr + at, out->len - at);
    if (known)
        *known = (struct td_span){(uint32_t)at, (uint32_t)ret_bytes->len};
    else
        note_own(wakeup, wire, share);
    return 0;
}

void td_wakeup_end(struct td_wakeup *wakeup)
{
    while (wakeup->runs) {
        struct td_run *run = wakeup->runs;
        wakeup->runs = run->next;
        run->next = wakeup->_spare;
        wakeup->_spare = run;
    }
    if (wakeup->_bytes.cap > KEPT_BYTES)
        td_buf_done(&wakeup->_bytes);
    if (wakeup->_own.cap > KEPT_BYTES)
        td_buf_done(&wakeup->_own);
}
