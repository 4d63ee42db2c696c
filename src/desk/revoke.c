/* SPDX-License-Identifier: Apache-2.0 */
#include "desk/revoke.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "desk/internal.h"
#include "desk/revoked.h"
#include <errno.h>

static struct td_slice segment_of(struct td_slice topic)
{
    return td_slice_from(topic, strlen(TD_REVOKED_ROOT "/"));
}

static int set(struct td_desk *desk, struct td_slice topic, struct td_slice json)
{
    struct td_slice patterns[TD_TAKEN_MAX];
    struct td_buf text = TD_BUF_INIT(json.len);
    struct td_taken taken;

    int r = td_buf_reserve(&text, json.len); /* slices point into it */
    if (r == 0)
        r = td_revoked_read(json, &text, patterns, &taken);
    if (r == 0)
        r = td_revoked_set(desk->revoked, segment_of(topic), &taken);
    td_buf_done(&text);
    return r;
}

/* A member of the ask, or of what was said before when the ask does not name it. */
static void put_member(struct td_buf *out, const char *name, struct td_slice said,
                       struct td_slice before)
{
    struct td_slice value;

    if (!td_json_get(said, name, &value) && !(before.ptr && td_json_get(before, name, &value)))
        return;
    if (td_json_type(value) == TD_JSON_NULL)
        return;
    td_buf_putf(out, "%s\"%s\":", out->len > 1 ? "," : "", name);
    td_buf_put(out, value);
}

int td_revoke(struct td_desk *desk, struct td_ask *ask)
{
    struct td_record record;
    struct td_slice before = {NULL, 0};
    struct td_buf *out = &ask->body;

    int r = td_desk_state(desk, ask->topic, TD_S(TD_REVOKED_KEY), &record);
    if (r < 0)
        return r;
    if (r > 0)
        before = record.data;
    td_buf_putc(out, '{');
    put_member(out, "before", ask->document, before);
    put_member(out, "subscribe", ask->document, before);
    td_buf_putc(out, '}');
    if (out->err < 0)
        return TD_EUNAVAILABLE;
    /* What nothing is left of needs no state. */
    const struct td_draft draft = {
        .topic = ask->topic,
        .type = TD_S("subject_revoked"),
        .key = TD_S(TD_REVOKED_KEY),
        .data = out->len > 2 ? td_buf_slice(out) : TD_S("null"),
        .actor = ask->principal->subject_json,
    };
    r = td_desk_append(desk, &(struct td_batch){.drafts = &draft, .n = 1}, &ask->wait_for);
    return r < 0 ? r : set(desk, ask->topic, td_buf_slice(out));
}

int td_revoke_load(struct td_desk *desk)
{
    struct td_state_cursor cursor = {0};
    const char *records[64];
    const struct td_slice pattern = TD_S(TD_REVOKED_ROOT "/*");
    const struct td_wanted wanted = {
        .key = td_pattern_key(td_journal_seed(desk->journal), pattern, NULL), .pattern = pattern};
    struct td_state_read read = {
        .wanted = &wanted,
        .n_wanted = 1,
        .as_of = td_journal_readable(desk->journal),
        .records = records,
        .records_max = TD_ARRAY_LEN(records),
        .cursor = &cursor,
    };

    do {
        td_journal_state(desk->reader, &read);
        for (size_t i = 0; i < read.n; i++) {
            struct td_record record;
            td_record_view(records[i], &record);
            int r = set(desk, record.topic, record.data);
            if (r == -ENOMEM) /* nobody may come in who has been shut out */
                return r;
            if (r < 0)
                td_log(TD_LOG_ERROR, "revocation", "%.*s: %s (%s)", (int)record.topic.len,
                       record.topic.ptr, td_err_name(r), td_err_hint(r));
        }
    } while (read.end == TD_READ_BUDGET);
    return read.end == TD_READ_COLD ? -EAGAIN : 0;
}
