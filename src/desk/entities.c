/* SPDX-License-Identifier: Apache-2.0 */
#include "desk/entities.h"
#include "base/err.h"
#include "codec/merge_patch.h"
#include "desk/desk.h"
#include "desk/entity.h"
#include "desk/internal.h"
#include <errno.h>

/* Answers with what a record says. */
static int answer(struct td_desk *desk, struct td_ask *ask, const struct td_record *record)
{
    uint64_t readable = td_journal_readable(desk->journal);

    td_entity_put(&ask->body, record, td_principal_may_see(ask->principal, ask->topic));
    td_buf_putc(&ask->body, '\n');
    ask->record = ask->wait_for = record->seq;
    ask->position = TD_MAX(record->seq, readable);
    ask->has_position = true;
    return ask->body.err;
}

int td_entity_get(struct td_desk *desk, struct td_ask *ask)
{
    struct td_record record;
    int r = td_desk_state(desk, ask->topic, TD_ENTITY_KEY, &record);

    if (r == 0) {
        ask->position = td_journal_readable(desk->journal);
        ask->has_position = true;
    }
    return r < 0 ? r : r == 0 ? TD_ENOTFOUND : answer(desk, ask, &record);
}

/* ---- a page of them ---- */

struct page {
    struct td_desk *desk;
    struct td_ask *ask;
    struct td_wanted wanted[TD_GRANTS_MAX];
    size_t n_wanted, n;
    struct td_state_cursor cursor;
    bool more;
};

/* The part of the pattern that may be seen, as the journal looks for it. */
static int want(struct page *page, struct td_buf *text)
{
    struct td_slice patterns[TD_GRANTS_MAX];
    bool check;
    int n = td_principal_intersect(page->ask->principal, page->ask->topic, text, patterns, &check);

    if (n <= 0)
        return n < 0 ? n : TD_EFORBIDDEN;
    for (int i = 0; i < n; i++) {
        struct td_wanted *wanted = &page->wanted[page->n_wanted++];
        wanted->pattern = patterns[i];
        wanted->key =
            td_pattern_key(td_journal_seed(page->desk->journal), patterns[i], &wanted->exact);
    }
    return 0;
}

/* The cursor of a topic stands behind all that it holds when its chain is the last that there can be. */
static void begin_after(struct page *page, struct td_slice after)
{
    struct td_slice pattern = page->ask->topic; /* entities/{type}/ and a star */
    size_t prefix = pattern.len - 1;

    if (after.len == 0)
        return;
    memcpy(page->cursor.topic, pattern.ptr, prefix);
    memcpy(page->cursor.topic + prefix, after.ptr, after.len);
    page->cursor.topic_len = (uint8_t)(prefix + after.len);
    page->cursor.chain = UINT64_MAX;
}

static void put(struct page *page, const struct td_record *record)
{
    struct td_buf *out = &page->ask->body;

    if (!td_slice_eq(record->key, TD_ENTITY_KEY))
        return; /* left by an older version of the program */
    if (page->n == page->ask->page.limit || (page->n > 0 && out->len >= TD_ENTITY_PAGE_BYTES)) {
        page->more = true;
        return;
    }
    td_buf_puts(out, page->n++ == 0 ? "" : ",");
    td_entity_put(out, record, true);
}

static int walk(struct page *page, uint64_t as_of)
{
    const char *records[64];
    struct td_record record;
    struct td_state_read read = {
        .wanted = page->wanted,
        .n_wanted = page->n_wanted,
        .as_of = as_of,
        .records = records,
        .records_max = TD_ARRAY_LEN(records),
        .cursor = &page->cursor,
    };

    do {
        td_journal_state(page->desk->reader, &read);
        for (size_t i = 0; i < read.n && !page->more; i++) {
            td_record_view(records[i], &record);
            put(page, &record);
        }
    } while (read.end == TD_READ_BUDGET && !page->more);
    return read.end == TD_READ_COLD && !page->more ? -EAGAIN : 0;
}

int td_entity_list(struct td_desk *desk, struct td_ask *ask)
{
    struct page page = {.desk = desk, .ask = ask};
    struct td_buf text = TD_BUF_INIT(TD_INTERSECT_TEXT_MAX);
    int r = want(&page, &text);

    ask->position = td_journal_readable(desk->journal);
    ask->has_position = true;
    begin_after(&page, ask->page.after);
    td_buf_puts(&ask->body, "{\"entities\":[");
    if (r == 0)
        r = walk(&page, ask->position);
    td_buf_puts(&ask->body, page.more ? "],\"more\":true}\n" : "],\"more\":false}\n");
    td_buf_done(&text);
    return r < 0 ? r : ask->body.err;
}

/* ---- one change ---- */

/* Whether a tag of If-Match names the entity: its ETag, which is the position of its last event, or its version. */
static bool names(const struct td_desk *desk, const struct td_entity *entity, struct td_slice tag)
{
    struct td_position position;
    uint64_t version;

    if (tag.len >= 2 && tag.ptr[0] == '"' && tag.ptr[tag.len - 1] == '"')
        tag = td_slice(tag.ptr + 1, tag.len - 2);
    if (td_slice_u64(tag, &version) == 0)
        return version == entity->version;
    return td_position_parse(tag, &position) == 0 &&
           position.epoch == td_journal_epoch(desk->journal) && position.seq == entity->record.seq;
}

/* RFC 9110 §13.1.1, §13.1.2; a weak tag matches nothing. */
static bool holds(const struct td_desk *desk, const struct td_ask_change *change,
                  const struct td_entity *entity)
{
    struct td_slice rest = change->if_match, tag;

    if (change->if_none_match && entity->exists)
        return false;
    if (!rest.ptr)
        return true;
    while (entity->exists && td_slice_split(&rest, ',', &tag)) {
        tag = td_slice_trim(tag);
        if (td_slice_eq(tag, TD_S("*")) || names(desk, entity, tag))
            return true;
    }
    return false;
}

/* What becomes of the document, as the data of the event. */
static int make_data(const struct td_ask_change *change, const struct td_entity *entity,
                     struct td_buf *data)
{
    uint64_t version = entity->exists ? entity->version + 1 : 1;
    struct td_buf patched = TD_BUF_INIT(entity->payload.len + change->document.len + 2);
    struct td_slice document = entity->payload;
    int r = 0;

    if (change->how == TD_ENTITY_PUT) {
        document = change->document;
    } else if (change->how == TD_ENTITY_PATCH) {
        r = td_merge_patch(entity->payload, change->document, &patched);
        document = td_buf_slice(&patched);
        if (r == 0 && document.len > change->bytes_max)
            r = TD_ETOOLARGE;
    }
    if (r == 0) {
        td_buf_init(data, document.len + TD_ENTITY_WRAP_BYTES);
        td_entity_wrap(data, document, version);
        r = data->err;
    }
    td_buf_done(&patched);
    return r;
}

/* Answers with what was appended, or was by an earlier one of which this is a repeat. */
static int answer_record(struct td_desk *desk, struct td_ask *ask, uint64_t seq)
{
    struct td_record record;
    int r = td_journal_at(desk->reader, seq, &record);

    if (r < 0)
        return r;
    if (r == 0) { /* the event that the first answer told of is kept no more */
        ask->record = ask->wait_for = ask->position = seq;
        ask->has_position = true;
        td_buf_puts(&ask->body, "{\"event_id\":");
        td_position_put(&ask->body, (struct td_position){td_journal_epoch(desk->journal), seq});
        td_buf_puts(&ask->body, "}\n");
        return ask->body.err;
    }
    ask->created = td_slice_eq(record.type, TD_S("ENTITY_CREATED"));
    return answer(desk, ask, &record);
}

static int append(struct td_desk *desk, struct td_ask *ask, struct td_batch *batch,
                  struct td_draft *draft, const struct td_entity *entity)
{
    const struct td_ask_change *change = &ask->change;
    struct td_buf data = TD_BUF_INIT(0);
    uint64_t seq = 0;
    int r = make_data(change, entity, &data);

    draft->type = !entity->exists                   ? TD_S("ENTITY_CREATED")
                  : change->how == TD_ENTITY_DELETE ? TD_S("ENTITY_DELETED")
                                                    : TD_S("ENTITY_UPDATED");
    draft->clears = change->how == TD_ENTITY_DELETE;
    draft->data = td_buf_slice(&data);
    batch->expect_topic = ask->topic;
    batch->expect_seq = entity->last;
    batch->expect = true;
    if (r == 0)
        r = td_desk_append(desk, batch, &seq);
    td_buf_done(&data);
    if (r == TD_ECONFLICT)
        return td_desk_conflict(ask);
    if (r < 0)
        return r;
    td_entity_note(desk, ask, ask->topic, draft->type, entity->exists ? entity->version + 1 : 1);
    return answer_record(desk, ask, seq);
}

int td_entity_change(struct td_desk *desk, struct td_ask *ask)
{
    const struct td_ask_change *change = &ask->change;
    struct td_entity entity;
    struct td_draft draft = {
        .topic = ask->topic,
        .key = TD_ENTITY_KEY,
        .actor = ask->principal->subject_json,
        .said = change->said,
    };
    struct td_batch batch = {
        .drafts = &draft,
        .n = 1,
        .dedup = change->idempotency_key,
        .dedup_scope = ask->principal->subject,
    };
    uint64_t known;

    int r = td_journal_known(desk->journal, &batch, &known);
    if (r < 0)
        return r;
    if (known > 0)
        return answer_record(desk, ask, known);
    r = td_entity_find(desk, ask->topic, &entity);
    if (r < 0)
        return r;
    if (!holds(desk, change, &entity)) {
        if (entity.exists)
            r = answer(desk, ask, &entity.record);
        return r < 0 ? r : TD_ECONFLICT;
    }
    if (!entity.exists && change->how != TD_ENTITY_PUT)
        return TD_ENOTFOUND;
    return append(desk, ask, &batch, &draft, &entity);
}
