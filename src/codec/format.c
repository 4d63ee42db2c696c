/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/format.h"
#include "base/assert.h"
#include "base/json.h"
#include <errno.h>

/* Objects of up to so many members are flattened without memory of their own. */
#define MEMBERS_NEAR 48

struct member {
    struct td_slice raw_name, value;
    struct td_slice name; /* unescaped */
    bool dropped;
};

/* Puts `name` (with its punctuation) and a text as a JSON string. */
static void put_text(struct td_buf *out, const char *name, struct td_slice text)
{
    td_buf_puts(out, name);
    td_json_put_string(out, text);
}

static void put_raw(struct td_buf *out, const char *name, struct td_slice raw)
{
    td_buf_puts(out, name);
    td_buf_put(out, raw);
}

static bool is_envelope(struct td_slice name, const struct td_format_marks *marks)
{
    if ((marks->state && td_slice_eq(name, TD_S("state"))) ||
        (marks->history && (td_slice_eq(name, TD_S("history")) || td_slice_eq(name, TD_S("ref")))))
        return true;
    return td_slice_eq(name, TD_S("type")) || td_slice_eq(name, TD_S("event_id")) ||
           td_slice_eq(name, TD_S("topic")) || td_slice_eq(name, TD_S("timestamp"));
}

/* By name, and equal names as they stand. */
static int compare_members(const void *a, const void *b)
{
    const struct member *left = *(struct member *const *)a, *right = *(struct member *const *)b;
    int order = td_slice_cmp(left->name, right->name);

    return order != 0 ? order : left < right ? -1 : left > right;
}

static size_t count_members(struct td_slice object)
{
    struct td_json_iter it = td_json_iter(object);
    struct td_slice name, value;
    size_t n = 0;

    while (td_json_next(&it, &name, &value))
        n++;
    return n;
}

/* Reads the members.  Names with escapes are decoded into `names`, which has room for all of them, so that it does not
 * move. */
static void read_members(struct td_slice object, const struct td_format_marks *marks,
                         struct member *members, struct td_buf *names)
{
    struct td_json_iter it = td_json_iter(object);
    struct td_slice raw, value;

    for (size_t i = 0; td_json_next(&it, &raw, &value); i++) {
        struct td_slice name;
        if (!td_json_plain(raw, &name)) {
            size_t at = names->len;
            if (td_json_unescape(raw, names) < 0)
                return; /* remembered by the buffer */
            name = td_slice(names->ptr + at, names->len - at);
        }
        members[i] = (struct member){raw, value, name, is_envelope(name, marks)};
    }
}

/* Drops all but the last of each name; sorting keeps that cheap whatever a publisher makes up. */
static void drop_repeated(struct member *members, struct member **sorted, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sorted[i] = &members[i];
    qsort(sorted, n, sizeof(*sorted), compare_members);
    for (size_t i = 1; i < n; i++)
        if (td_slice_eq(sorted[i - 1]->name, sorted[i]->name))
            sorted[i - 1]->dropped = true;
}

static int put_members(struct td_slice object, const struct td_format_marks *marks,
                       struct td_buf *out)
{
    struct member near[MEMBERS_NEAR], *members = near;
    struct member *near_sorted[MEMBERS_NEAR], **sorted = near_sorted;
    struct td_buf names = TD_BUF_INIT(object.len);
    size_t n = count_members(object);
    int r = 0;

    if (n == 0)
        return 0;
    if (n > MEMBERS_NEAR) {
        members = calloc(n, sizeof(*members));
        sorted = calloc(n, sizeof(*sorted));
    }
    if (!members || !sorted)
        r = -ENOMEM;
    /* An escape is longer than what it stands for: the text of the object is room enough. */
    if (r == 0 && memchr(object.ptr, '\\', object.len))
        r = td_buf_reserve(&names, object.len);
    if (r == 0) {
        read_members(object, marks, members, &names);
        r = names.err;
    }
    if (r == 0) {
        drop_repeated(members, sorted, n);
        for (size_t i = 0; i < n; i++) {
            if (members[i].dropped)
                continue;
            td_buf_putc(out, ',');
            td_buf_put(out, members[i].raw_name);
            put_raw(out, ":", members[i].value);
        }
    }
    if (n > MEMBERS_NEAR) {
        free(members);
        free(sorted);
    }
    td_buf_done(&names);
    return r;
}

static int put_flat(const struct td_format_input *in, struct td_buf *out)
{
    int r = 0;

    put_text(out, "{\"type\":", in->type);
    if (td_json_type(in->data) == TD_JSON_OBJECT)
        r = put_members(in->data, &in->marks, out);
    else
        put_raw(out, ",\"data\":", in->data);
    if (in->id.ptr)
        put_text(out, ",\"event_id\":", in->id);
    put_text(out, ",\"topic\":", in->topic);
    put_text(out, ",\"timestamp\":", in->time);
    td_buf_putc(out, '}');
    return r;
}

bool td_entity_topic(struct td_slice topic, struct td_slice *ret_type, struct td_slice *ret_id)
{
    struct td_slice prefix = TD_S("entities/");

    if (!td_slice_starts(topic, prefix))
        return false;
    struct td_slice rest = td_slice_from(topic, prefix.len);
    const char *slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
    if (!slash)
        return false;
    struct td_slice type = td_slice_to(rest, (size_t)(slash - rest.ptr));
    struct td_slice id = td_slice_from(rest, type.len + 1);
    if (type.len == 0 || id.len == 0 || memchr(id.ptr, '/', id.len))
        return false;
    *ret_type = type;
    *ret_id = id;
    return true;
}

/* What a client reads as `action`; NULL for a type that is no change of an entity. */
static const char *entity_action(struct td_slice type)
{
    if (td_slice_eq(type, TD_S("ENTITY_CREATED")))
        return "created";
    if (td_slice_eq(type, TD_S("ENTITY_UPDATED")))
        return "updated";
    return td_slice_eq(type, TD_S("ENTITY_DELETED")) ? "deleted" : NULL;
}

static void put_entity(const struct td_format_input *in, struct td_buf *out)
{
    struct td_slice type = {0}, id = {0}, payload = in->data, version = {0};
    const char *action = entity_action(in->type);
    bool has_version = false, is_entity = td_entity_topic(in->topic, &type, &id);

    TD_ASSERT(action && is_entity);
    if (td_json_type(in->data) == TD_JSON_OBJECT && td_json_get(in->data, "payload", &payload))
        has_version =
            td_json_get(in->data, "version", &version) && td_json_type(version) == TD_JSON_NUMBER;
    put_text(out, "{\"type\":\"EVENT_NOTIFICATION\",\"event_type\":", in->type);
    put_text(out, ",\"entity_type\":", type);
    put_text(out, ",\"entity_id\":", id);
    put_text(out, ",\"action\":", td_slice_str(action));
    put_text(out, ",\"timestamp\":", in->time);
    put_raw(out, ",\"payload\":", payload);
    if (has_version)
        put_raw(out, ",\"version\":", version);
    if (in->actor.ptr)
        put_raw(out, ",\"actor\":", in->actor);
    if (in->origin.ptr)
        put_raw(out, ",\"origin\":", in->origin);
    if (in->id.ptr)
        put_text(out, ",\"event_id\":", in->id);
    td_buf_putc(out, '}');
}

/* In place of the brace that ends the event. */
static void put_marks(const struct td_format_marks *marks, struct td_buf *out)
{
    if (out->err < 0 || (!marks->state && !marks->history))
        return;
    out->len--;
    if (marks->state)
        td_buf_puts(out, ",\"state\":true");
    if (marks->history)
        td_buf_puts(out, ",\"history\":true");
    if (marks->history && marks->ref.len > 0)
        put_raw(out, ",\"ref\":", marks->ref);
    td_buf_putc(out, '}');
}

int td_format_event(enum td_format format, const struct td_format_input *in, struct td_buf *out)
{
    size_t start = out->len;
    int r = 0;

    if (format == TD_FORMAT_FLAT)
        r = put_flat(in, out);
    else if (format == TD_FORMAT_ENTITY && td_format_is_entity(in->topic, in->type))
        put_entity(in, out);
    else
        td_buf_put(out, in->event);
    put_marks(&in->marks, out);
    if (r == 0)
        r = out->err;
    if (r < 0)
        out->len = start;
    return r;
}

bool td_format_is_entity(struct td_slice topic, struct td_slice type)
{
    struct td_slice entity_type, id;

    return entity_action(type) && td_entity_topic(topic, &entity_type, &id);
}

struct td_slice td_format_sse_event_name(struct td_slice type)
{
    if (td_slice_eq(type, TD_S("error")))
        return TD_S("job_error");
    if (td_slice_eq(type, TD_S("open")))
        return TD_S("job_open");
    return type;
}
