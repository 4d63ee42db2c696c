/* SPDX-License-Identifier: Apache-2.0 */
/* One event as it is shown: in any of the formats, alone or joined of several chunks. */
#include "base/assert.h"
#include "client_json.h"
#include "server_world.h"

#define DATA_MAX ((size_t)1024 * 1024)

static bool is_true(struct td_slice json, const char *name)
{
    struct td_slice raw;

    return client_json_get(json, name, &raw) && td_slice_eq(raw, TD_S("true"));
}

static void look_at_name(struct td_slice json, struct srv_seen *seen)
{
    struct td_slice topic, type, id;

    if (client_json_get(json, "topic", &topic)) {
        topic = client_json_plain(topic);
        snprintf(seen->topic, sizeof seen->topic, "%.*s", (int)topic.len, topic.ptr);
    } else if (client_json_get(json, "entity_type", &type) &&
               client_json_get(json, "entity_id", &id)) {
        type = client_json_plain(type);
        id = client_json_plain(id);
        snprintf(seen->topic, sizeof seen->topic, "entities/%.*s/%.*s", (int)type.len, type.ptr,
                 (int)id.len, id.ptr);
    }
    if (client_json_get(json, "event_type", &type) || client_json_get(json, "type", &type))
        seen->type = client_json_plain(type);
}

bool srv_look(struct td_slice json, struct srv_seen *ret_seen)
{
    struct srv_seen seen = {0};
    struct td_slice n;

    if (!client_json_get(json, "id", &seen.id))
        (void)client_json_get(json, "event_id", &seen.id);
    look_at_name(json, &seen);
    if (client_json_get(json, "key", &seen.key))
        seen.key = client_json_plain(seen.key);
    if (!client_json_get(json, "data", &seen.data))
        (void)client_json_get(json, "payload", &seen.data);
    struct td_slice from = seen.data.ptr ? seen.data : json;
    if (td_slice_eq(from, TD_S("null")))
        seen.number = srv_number(from, seen.type);
    else if (client_json_get(from, "n", &n) && client_json_get(from, "z", &seen.z))
        seen.number = (uint32_t)strtoul(n.ptr, NULL, 10);
    (void)client_json_get(from, "content", &seen.content);
    (void)client_json_get(from, "offset", &seen.offset);
    seen.state = is_true(json, "state");
    seen.history = is_true(json, "history");
    (void)client_json_get(json, "ref", &seen.ref);
    *ret_seen = seen;
    return seen.topic[0] && seen.type.len > 0 && seen.number > 0;
}

/* ---- content ---- */

void srv_check_event(struct srv_world *world, const struct srv_reader *reader,
                     const struct srv_seen *seen)
{
    const struct srv_said *said = srv_said(world, seen->number);
    struct td_buf want = TD_BUF_INIT(DATA_MAX);
    struct td_slice content = {0}, z = {0};
    uint64_t offset = 0;

    TD_MUST(said, "reader %u got an event that nobody published: %u", reader->number, seen->number);
    TD_MUST(td_slice_eq(td_slice_str(seen->topic), srv_topic(said->topic)) &&
                td_slice_eq(seen->type, srv_type(seen->number, said)),
            "reader %u got event %u on %s as %.*s", reader->number, seen->number, seen->topic,
            (int)seen->type.len, seen->type.ptr);
    TD_MUST(!seen->key.ptr || td_slice_eq(seen->key, srv_key(said)),
            "reader %u got event %u with another key", reader->number, seen->number);
    if (said->class == TD_CLASS_APPEND) {
        TD_MUST(seen->content.len >= 2 && td_slice_u64(seen->offset, &offset) == 0,
                "reader %u got chunk %u without content or offset", reader->number, seen->number);
        content = td_slice(seen->content.ptr + 1, seen->content.len - 2);
    }
    srv_put_joined(&want, seen->number, said, true, content, offset);
    TD_MUST(!seen->data.ptr || td_slice_eq(seen->data, td_buf_slice(&want)),
            "reader %u got event %u with other data", reader->number, seen->number);
    TD_MUST(said->removes ||
                (client_json_get(td_buf_slice(&want), "z", &z) && td_slice_eq(z, seen->z)),
            "reader %u got event %u with other members", reader->number, seen->number);
    td_buf_done(&want);
}

/* ---- joined chunks ---- */

static bool same_text(const struct srv_said *a, uint32_t a_number, const struct srv_said *b,
                      uint32_t b_number)
{
    struct td_slice type = srv_type(a_number, a); /* no removal, so it is no shared buffer */

    return a->topic == b->topic && a->key == b->key && b->class == TD_CLASS_APPEND &&
           td_slice_eq(type, srv_type(b_number, b));
}

/* Takes the content of a chunk off the end of what is left. */
static void take_content(struct srv_world *world, const struct srv_reader *reader, uint32_t number,
                         struct td_slice *rest, uint32_t *ret_bytes)
{
    struct td_buf content = TD_BUF_INIT(DATA_MAX);

    *ret_bytes = srv_put_content(&content, number, srv_said(world, number));
    TD_MUST(rest->len >= content.len &&
                memcmp(rest->ptr + rest->len - content.len, content.ptr, content.len) == 0,
            "reader %u got a text that does not end with that of chunk %u", reader->number, number);
    rest->len -= content.len;
    td_buf_done(&content);
}

/* Whether retention has dropped what stood in front of a chunk and is not of its text.  (Whether it was told is another's question.) */
static bool was_dropped(struct srv_world *world, const struct srv_event *chunk, size_t i)
{
    const struct srv_event *event = &world->truth.events[i];

    return !same_text(srv_said(world, chunk->number), chunk->number, srv_said(world, event->number),
                      event->number) &&
           srv_truth_gone(world, event->seq);
}

/* The chunk in front of one that was joined with it. */
static size_t chunk_before(struct srv_world *world, const struct srv_reader *reader, size_t at,
                           bool (*between)(struct srv_world *, const struct srv_reader *, size_t i))
{
    const struct srv_truth *truth = &world->truth;
    const struct srv_event *event = &truth->events[at];
    const struct srv_said *said = srv_said(world, event->number);
    size_t i = at;

    while (i > 0 && (!between(world, reader, i - 1) || was_dropped(world, event, i - 1)))
        i--;
    const struct srv_said *before = i > 0 ? srv_said(world, truth->events[i - 1].number) : NULL;
    TD_MUST(before && same_text(said, event->number, before, truth->events[i - 1].number),
            "reader %u got chunk %u joined over something else", reader->number, event->number);
    return i - 1;
}

size_t srv_check_joined(struct srv_world *world, const struct srv_reader *reader,
                        const struct srv_seen *seen, size_t last,
                        bool (*between)(struct srv_world *, const struct srv_reader *, size_t i))
{
    const struct srv_truth *truth = &world->truth;
    struct td_slice rest = td_slice(seen->content.ptr + 1, seen->content.len - 2);
    uint64_t offset = 0;
    uint32_t bytes;
    size_t first = last;

    TD_MUST(td_slice_u64(seen->offset, &offset) == 0, "reader %u got chunk %u without offset",
            reader->number, seen->number);
    take_content(world, reader, seen->number, &rest, &bytes);
    while (rest.len > 0) {
        size_t before = chunk_before(world, reader, first, between);
        uint32_t number = truth->events[before].number;
        uint32_t begins = srv_said(world, truth->events[first].number)->offset;

        take_content(world, reader, number, &rest, &bytes);
        TD_MUST(begins > 0 && srv_said(world, number)->offset + bytes == begins,
                "reader %u got chunks %u and %u joined, which do not lie next to each other",
                reader->number, number, truth->events[first].number);
        first = before;
    }
    TD_MUST(offset == srv_said(world, truth->events[first].number)->offset,
            "reader %u got chunk %u with offset %llu, but it begins with chunk %u", reader->number,
            seen->number, (unsigned long long)offset, truth->events[first].number);
    return first;
}
