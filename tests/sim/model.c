/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"
#include "base/assert.h"
#include "base/position.h"
#include "world.h"

void td_model_done(struct td_model *model)
{
    free(model->events);
    free(model->maybe);
    free(model->known);
    memset(model, 0, sizeof *model);
}

void td_model_add(struct td_model *model, const struct td_model_event *event)
{
    TD_MUST(model->n == 0 || model->events[model->n - 1].seq < event->seq,
            "sequence %llu is not greater than the last, %llu", (unsigned long long)event->seq,
            (unsigned long long)model->events[model->n - 1].seq);
    if (model->n == model->cap) {
        model->cap = model->cap ? model->cap * 2 : 256;
        model->events = realloc(model->events, model->cap * sizeof *model->events);
        TD_ASSERT(model->events);
    }
    model->events[model->n++] = *event;
}

size_t td_model_after(const struct td_model *model, uint64_t seq)
{
    size_t low = 0, high = model->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (model->events[mid].seq <= seq)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct td_model_event *td_model_get(const struct td_model *model, uint64_t seq)
{
    size_t i = td_model_after(model, seq);

    return i > 0 && model->events[i - 1].seq == seq ? &model->events[i - 1] : NULL;
}

uint64_t td_model_last_of(const struct td_model *model, unsigned topic, bool *ret_sure)
{
    *ret_sure = true;
    for (size_t i = model->n; i-- > 0;)
        if (model->events[i].topic == topic) {
            *ret_sure = !model->events[i].gone;
            return model->events[i].seq;
        }
    return 0;
}

bool td_model_wants(const struct td_wanted *wanted, size_t n_wanted,
                    const struct td_model_event *event)
{
    for (size_t i = 0; i < n_wanted; i++)
        if (td_pattern_match(wanted[i].pattern, td_model_topic(event->topic)))
            return true;
    return false;
}

static bool any_matches(const struct td_model *model, const struct td_wanted *wanted,
                        size_t n_wanted, struct td_model_event from, uint64_t upto)
{
    for (size_t i = td_model_after(model, from.seq); i < model->n && model->events[i].seq <= upto;
         i++)
        if (model->events[i].gone == from.gone &&
            td_model_wants(wanted, n_wanted, &model->events[i]))
            return true;
    return false;
}

bool td_model_gone(const struct td_model *model, const struct td_wanted *wanted, size_t n_wanted,
                   uint64_t after, uint64_t upto)
{
    const struct td_model_event from = {.seq = after, .gone = true};

    return any_matches(model, wanted, n_wanted, from, upto);
}

bool td_model_matches(const struct td_model *model, const struct td_wanted *wanted, size_t n_wanted,
                      uint64_t after, uint64_t upto)
{
    const struct td_model_event from = {.seq = after};

    return any_matches(model, wanted, n_wanted, from, upto);
}

/* ---- the dedup window ---- */

struct td_model_known *td_model_known(const struct td_model *model, uint32_t key)
{
    for (size_t i = model->n_known; i-- > 0;)
        if (model->known[i].key == key)
            return &model->known[i];
    return NULL;
}

void td_model_remember(struct td_model *model, uint32_t key, const struct td_model_event *event,
                       td_unix_ms time, td_ns until)
{
    struct td_model_known *older = td_model_known(model, key);

    /* It stays in the log: when a crash takes the newer one back, it may be what a restart finds. */
    if (older)
        older->unsure = true;
    if (model->n_known == model->known_cap) {
        model->known_cap = model->known_cap ? model->known_cap * 2 : 64;
        model->known = realloc(model->known, model->known_cap * sizeof *model->known);
        TD_ASSERT(model->known);
    }
    model->known[model->n_known++] = (struct td_model_known){
        .key = key,
        .event = *event,
        .seq = event->seq,
        .time = time,
        .until = until,
        .nth = model->keys++,
    };
}

void td_model_forget(struct td_model *model, uint64_t seq)
{
    for (size_t i = 0; i < model->n_known; i++)
        if (model->known[i].seq == seq) {
            model->n_known--;
            memmove(&model->known[i], &model->known[i + 1],
                    (model->n_known - i) * sizeof *model->known);
            return;
        }
}

/* ---- topics and patterns ---- */

static const char *const topics[TD_MODEL_TOPICS] = {
    "a",
    "b",
    "c",
    "a/a",
    "a/b",
    "a/c",
    "b/a",
    "b/b",
    "b/c",
    "c/a",
    "c/b",
    "c/c",
    "a/a/a",
    "a/a/b",
    "a/b/a",
    "a/b/b",
    "b/a/a",
    "b/a/b",
    "b/b/a",
    "b/b/b",
    "c/a/a",
    "c/a/b",
    "c/b/a",
    "c/b/b",
    "jobs/1",
    "jobs/2",
    "jobs/3",
    "jobs/4",
    "jobs/1/out",
    "jobs/2/out",
    "jobs/3/out",
    "jobs/4/out",
    "jobs/1/err",
    "jobs/2/err",
    "jobs/3/err",
    "jobs/4/err",
    "entities/t/1",
    "entities/t/2",
    "entities/t/3",
    "entities/u/1",
    "entities/u/2",
    "entities/u/3",
    "x/y/z/1/2/3",
    "x/y/z/1/2/4",
    "x/y/z/5",
    "audit/a",
    "audit/b",
    "a.b~c:d@e-f_g",
};

struct td_slice td_model_topic(unsigned topic)
{
    return td_slice_str(topics[topic]);
}

struct td_slice td_model_pattern(struct td_rng *rng, char ret_text[TD_TOPIC_LEN_MAX + 1])
{
    struct td_slice rest = td_model_topic((unsigned)td_rng_below(rng, TD_MODEL_TOPICS)), part;
    uint64_t kind = td_rng_below(rng, 5); /* exact, prefix, everything, stars in the middle, both */
    size_t len = 0;

    if (kind == 2)
        return td_slice(memcpy(ret_text, "**", 3), 2);
    while (td_slice_split(&rest, '/', &part)) {
        bool star = kind >= 3 && td_rng_one_in(rng, 2);
        bool tail = (kind == 1 || kind == 4) && td_rng_one_in(rng, 2);

        if (star || tail)
            part = tail ? TD_S("**") : TD_S("*");
        if (len > 0)
            ret_text[len++] = '/';
        memcpy(ret_text + len, part.ptr, part.len);
        len += part.len;
        if (tail)
            break;
    }
    ret_text[len] = 0;
    return td_slice(ret_text, len);
}

/* ---- events and records ---- */

struct td_slice td_model_key(const struct td_model_event *event)
{
    return event->content % 4 == 0   ? TD_S("progress/1")
           : event->content % 4 == 1 ? TD_S("k")
                                     : TD_S("");
}

/* Its data is `null` then, which cannot tell the number: the origin does. */
bool td_model_removes(const struct td_model_event *event)
{
    return td_model_key(event).len > 0 && event->content % 28 < 4;
}

enum td_class td_model_class(const struct td_model_event *event)
{
    if (td_model_removes(event))
        return event->content % 8 < 4 ? TD_CLASS_LOG : TD_CLASS_LATEST;
    if (td_model_key(event).len == 0)
        return event->content % 8 < 4 ? TD_CLASS_LOG : TD_CLASS_LATEST;
    return event->content % 20 < 8    ? TD_CLASS_APPEND
           : event->content % 20 < 12 ? TD_CLASS_LATEST
                                      : TD_CLASS_LOG;
}

bool td_model_begins(const struct td_model_event *event)
{
    return td_model_class(event) == TD_CLASS_APPEND && event->content % 60 < 4;
}

static struct td_slice type_of(const struct td_model_event *event)
{
    return event->content % 2 ? TD_S("output") : TD_S("ENTITY_UPDATED");
}

bool td_model_same(const struct td_model_event *a, const struct td_model_event *b)
{
    if (a->content == b->content)
        return true;
    return td_model_removes(a) && td_model_removes(b) && a->topic == b->topic &&
           td_slice_eq(td_model_key(a), td_model_key(b)) && td_slice_eq(type_of(a), type_of(b)) &&
           td_model_class(a) == td_model_class(b);
}

static struct td_slice put_data(const struct td_model_event *event, bool as_stored, char *text,
                                size_t cap)
{
    if (td_model_removes(event))
        return TD_S("null");
    /* A line end between the members, which the log makes a space. */
    const char *blank = event->content % 3 == 0 ? (as_stored ? "  " : "\r\n") : " ";
    int n =
        snprintf(text, cap, "{\"n\":%u,%s\"c\":%u,\"p\":\"", event->number, blank, event->content);

    TD_ASSERT(n > 0 && (size_t)n + event->pad + 3 <= cap);
    memset(text + n, 'a' + (int)(event->content % 26), event->pad);
    memcpy(text + n + event->pad, "\"}", 3);
    return td_slice(text, (size_t)n + event->pad + 2);
}

struct td_draft td_model_draft(const struct td_model_event *event, struct td_model_text *text)
{
    struct td_draft draft = {
        .topic = td_model_topic(event->topic),
        .type = type_of(event),
        .key = td_model_key(event),
        .actor = event->content % 5 == 0 ? TD_S("\"ann \\\" \\u00e9\"") : TD_S(""),
        .class = td_model_class(event),
        .begins_text = td_model_begins(event),
        .data = put_data(event, false, text->data, sizeof text->data),
    };

    if (td_model_removes(event)) {
        int n = snprintf(text->origin, sizeof text->origin, "\"%u\"", event->number);

        draft.origin = td_slice(text->origin, (size_t)n);
    }
    if (event->dedup) {
        int n = snprintf(text->dedup, sizeof text->dedup, "%u", event->dedup);

        draft.dedup = td_slice(text->dedup, (size_t)n);
        draft.dedup_scope = event->dedup % 2 ? TD_S("ann") : TD_S("bob");
    }
    return draft;
}

uint64_t td_model_bytes_max(const struct td_model_event *event)
{
    return 320 + td_model_topic(event->topic).len + event->pad;
}

uint32_t td_model_number_of(const char *bytes)
{
    const struct td_slice origin = TD_S("\"origin\":\"");
    struct td_record record;
    uint64_t number = 0;

    td_record_view(bytes, &record);
    struct td_slice at = record.data;
    if (td_slice_eq(record.data, TD_S("null"))) {
        for (at = record.json; at.len > 0 && !td_slice_starts(at, origin);)
            at = td_slice_from(at, 1);
        at = td_slice_from(at, TD_MIN(at.len, origin.len));
    } else {
        TD_MUST(td_slice_starts(at, TD_S("{\"n\":")), "a record holds no event of ours: %.*s",
                (int)TD_MIN(at.len, 80), at.ptr);
        at = td_slice_from(at, 5);
    }
    for (; at.len > 0 && *at.ptr >= '0' && *at.ptr <= '9'; at = td_slice_from(at, 1))
        number = number * 10 + (uint64_t)(*at.ptr - '0');
    return (uint32_t)number;
}

static void check_frame(const struct td_record *record)
{
    const unsigned char *frame = (const unsigned char *)record->frame.ptr;
    uint64_t len = frame[1];
    size_t head = 2;

    if (len == 126) {
        len = (uint64_t)frame[2] << 8 | frame[3];
        head = 4;
    } else if (len == 127) {
        len = 0;
        for (int i = 2; i < 10; i++)
            len = len << 8 | frame[i];
        head = 10;
    }
    TD_MUST(frame[0] == 0x81 && len == record->json.len &&
                record->frame.ptr + head == record->json.ptr &&
                record->frame.len == head + record->json.len,
            "the frame around the record %llu is wrong", (unsigned long long)record->seq);
}

void td_model_check(const struct td_model *model, const struct td_model_event *event,
                    const char *bytes)
{
    static char text[sizeof((struct td_model_text *)0)->data];
    char id[TD_POSITION_LEN_MAX + 8], position[TD_POSITION_LEN_MAX + 1];
    struct td_record record;

    td_record_view(bytes, &record);
    TD_MUST(record.seq == event->seq, "got the record %llu, not %llu",
            (unsigned long long)record.seq, (unsigned long long)event->seq);
    struct td_slice data = put_data(event, true, text, sizeof text);
    TD_MUST(td_slice_eq(record.data, data), "record %llu: other data: %.*s, not %.*s",
            (unsigned long long)record.seq, (int)TD_MIN(record.data.len, 80), record.data.ptr,
            (int)TD_MIN(data.len, 80), data.ptr);
    TD_MUST(td_slice_eq(record.topic, td_model_topic(event->topic)), "record %llu: other topic",
            (unsigned long long)record.seq);
    TD_MUST(td_slice_eq(record.type, type_of(event)) &&
                td_slice_eq(record.key, td_model_key(event)),
            "record %llu: other type or key", (unsigned long long)record.seq);
    td_position_format((struct td_position){model->epoch, record.seq}, position);
    int n = snprintf(id, sizeof id, "{\"id\":\"%s\"", position);
    TD_MUST(td_slice_starts(record.json, td_slice(id, (size_t)n)), "record %llu: other id",
            (unsigned long long)record.seq);
    check_frame(&record);
}
