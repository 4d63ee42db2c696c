/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/presence.h"
#include "base/json.h"
#include "base/list.h"
#include "base/map.h"
#include "edge/worker.h"
#include "journal/ephemeral.h"
#include "os/clock.h"
#include "os/random.h"
#include "os/thread.h"

/* A topic on which somebody is. */
struct place {
    struct td_list present; /* td_present.list */
    size_t n;
    uint64_t key;
    size_t len;
    char topic[];
};

struct td_present {
    struct td_list list;     /* of the place */
    struct td_present *next; /* of the connection */
    struct place *place;
    td_unix_ms since;
    bool told;   /* that it came; so it will be told that it goes */
    bool wanted; /* for td_presence_sync */
    char id[17];
    size_t user_len;
    char user[]; /* a JSON string */
};

struct td_presence {
    struct td_mutex mutex;
    struct td_map places; /* key of the topic → struct place * */
    size_t n, entries_max, announce_max;
    uint64_t seed;
    struct td_slice *topics;
    size_t n_topics;
};

struct td_presence *td_presence_new(const struct td_presence_options *options)
{
    size_t bytes = options->n_topics * sizeof(struct td_slice);

    for (size_t i = 0; i < options->n_topics; i++)
        bytes += options->topics[i].len;
    struct td_presence *presence = calloc(1, sizeof(*presence) + bytes);
    if (!presence)
        return NULL;
    td_mutex_init(&presence->mutex);
    td_map_init(&presence->places, sizeof(struct place *));
    td_random_bytes(&presence->seed, sizeof(presence->seed));
    presence->entries_max = options->entries_max;
    presence->announce_max = options->announce_max;
    presence->topics = (struct td_slice *)(presence + 1);
    presence->n_topics = options->n_topics;
    char *text = (char *)(presence->topics + options->n_topics);
    for (size_t i = 0; i < options->n_topics; i++) {
        struct td_slice pattern = options->topics[i];
        memcpy(text, pattern.ptr, pattern.len);
        presence->topics[i] = td_slice(text, pattern.len);
        text += pattern.len;
    }
    return presence;
}

void td_presence_free(struct td_presence *presence)
{
    if (!presence)
        return;
    td_map_done(&presence->places);
    td_mutex_done(&presence->mutex);
    free(presence);
}

bool td_presence_keeps(const struct td_presence *presence, struct td_slice topic)
{
    for (size_t i = 0; presence && i < presence->n_topics; i++)
        if (td_pattern_match(presence->topics[i], topic))
            return true;
    return false;
}

/* ---- the table ---- */

static struct place *find(const struct td_presence *presence, struct td_slice topic)
{
    struct place *const *place = td_map_get(&presence->places, td_topic_key(presence->seed, topic));

    return place && td_slice_eq(td_slice((*place)->topic, (*place)->len), topic) ? *place : NULL;
}

/* NULL when memory is out, or (once in 2^64) another topic has its key. */
static struct place *find_or_add(struct td_presence *presence, struct td_slice topic)
{
    struct place *place = find(presence, topic), **at;
    uint64_t key = td_topic_key(presence->seed, topic);

    if (place || td_map_get(&presence->places, key))
        return place;
    place = calloc(1, sizeof(*place) + topic.len);
    at = place ? td_map_put(&presence->places, key, NULL) : NULL;
    if (!at) {
        free(place);
        return NULL;
    }
    *at = place;
    td_list_init(&place->present);
    place->key = key;
    place->len = topic.len;
    memcpy(place->topic, topic.ptr, topic.len);
    return place;
}

static bool enter(struct td_presence *presence, struct td_present *present, struct td_slice topic)
{
    struct place *place;

    td_mutex_lock(&presence->mutex);
    place = presence->n < presence->entries_max ? find_or_add(presence, topic) : NULL;
    if (place) {
        present->place = place;
        td_list_append(&place->present, &present->list);
        presence->n++;
        present->told = ++place->n <= presence->announce_max;
    }
    td_mutex_unlock(&presence->mutex);
    return place;
}

static void leave(struct td_presence *presence, struct td_present *present)
{
    struct place *place = present->place;

    td_mutex_lock(&presence->mutex);
    td_list_remove(&present->list);
    presence->n--;
    if (--place->n == 0) {
        td_map_remove(&presence->places, place->key);
        free(place);
    }
    td_mutex_unlock(&presence->mutex);
}

void td_presence_put(struct td_presence *presence, struct td_slice topic, size_t limit,
                     struct td_buf *out)
{
    char since[TD_TIME_LEN + 1];
    const char *comma = "";

    td_mutex_lock(&presence->mutex);
    struct place *place = find(presence, topic);
    td_buf_puts(out, "\"count\":");
    td_buf_putu(out, place ? place->n : 0);
    td_buf_puts(out, ",\"users\":[");
    for (struct td_list *at = place ? place->present.next : NULL;
         place && at != &place->present && limit > 0; at = at->next, limit--) {
        const struct td_present *present = TD_CONTAINER_OF(at, struct td_present, list);
        td_time_format(present->since, since);
        td_buf_puts(out, comma);
        td_buf_puts(out, "{\"user\":");
        td_buf_put(out, td_slice(present->user, present->user_len));
        td_buf_putf(out, ",\"connection_id\":\"%s\",\"since\":\"%s\"}", present->id, since);
        comma = ",";
    }
    td_buf_putc(out, ']');
    td_mutex_unlock(&presence->mutex);
}

/* ---- a connection ---- */

/* Tells that somebody comes or goes.  Nobody was promised it: what there is no memory for is not told. */
static void tell(struct td_worker *worker, const struct td_present *present, struct td_slice topic,
                 const char *type)
{
    struct td_slice user = td_slice(present->user, present->user_len);
    struct td_buf data = TD_BUF_INIT(user.len + 128), origin = TD_BUF_INIT(32);

    td_json_put_string(&origin, td_slice_str(present->id));
    td_buf_puts(&data, "{\"user\":");
    td_buf_put(&data, user);
    td_buf_puts(&data, ",\"connection_id\":");
    td_buf_put(&data, td_buf_slice(&origin));
    td_buf_putc(&data, '}');
    const struct td_draft draft = {
        .topic = topic,
        .type = td_slice_str(type),
        .data = td_buf_slice(&data),
        .actor = user,
        .origin = td_buf_slice(&origin),
        .class = TD_CLASS_EPHEMERAL,
    };
    if (data.err == 0 && origin.err == 0)
        (void)!td_ephemeral_publish(worker->journal, &draft, 1);
    td_buf_done(&data);
    td_buf_done(&origin);
}

static void come(struct td_worker *worker, struct td_conn *conn, struct td_slice topic)
{
    struct td_slice user = conn->principal->subject_json;
    struct td_present *present = calloc(1, sizeof(*present) + user.len);

    if (!present)
        return;
    present->since = td_clock_unix_ms();
    present->wanted = true;
    present->user_len = user.len;
    memcpy(present->user, user.ptr, user.len);
    td_conn_id(conn, present->id);
    if (!enter(worker->presence, present, topic)) {
        TD_COUNT(worker, limited[TD_LIMITED_PRESENCE]);
        free(present);
        return;
    }
    present->next = conn->present;
    conn->present = present;
    if (present->told) {
        conn->subscriber.present = true;
        tell(worker, present, topic, "presence_joined");
    }
}

/* Takes it out of the list that `link` is of. */
static void go(struct td_worker *worker, struct td_conn *conn, struct td_present **link)
{
    struct td_present *present = *link;
    char topic[TD_TOPIC_LEN_MAX];
    size_t len = present->place->len;

    memcpy(topic, present->place->topic, len);
    *link = present->next;
    conn->subscriber.present = conn->present;
    leave(worker->presence, present);
    if (present->told && !worker->draining) /* else everyone goes */
        tell(worker, present, td_slice(topic, len), "presence_left");
    free(present);
}

bool td_presence_is_own(const struct td_conn *conn, const struct td_record *record)
{
    struct td_slice origin;
    char id[17];

    if (record->seq > 0 || !td_slice_eq(record->type, TD_S("presence_joined")) ||
        !td_json_get(record->json, "origin", &origin))
        return false;
    td_conn_id(conn, id);
    return td_json_string_is(origin, id);
}

/* The topic on which who has subscribed a pattern is present: itself, or all of a topic. */
static bool topic_of(struct td_slice pattern, struct td_slice *ret_topic)
{
    *ret_topic = pattern;
    if (pattern.len > 3 && td_slice_eq(td_slice_from(pattern, pattern.len - 3), TD_S("/**")))
        ret_topic->len -= 3;
    return td_pattern_is_topic(*ret_topic);
}

static void want(struct td_worker *worker, struct td_conn *conn, struct td_slice pattern)
{
    struct td_slice topic;

    if (!topic_of(pattern, &topic) || !td_presence_keeps(worker->presence, topic))
        return;
    for (struct td_present *present = conn->present; present; present = present->next)
        if (td_slice_eq(td_slice(present->place->topic, present->place->len), topic)) {
            present->wanted = true;
            return;
        }
    come(worker, conn, topic);
}

void td_presence_sync(struct td_worker *worker, struct td_conn *conn)
{
    struct td_named named[TD_SUBSCRIPTIONS_MAX];
    size_t n = 0;

    if (!worker->presence || worker->presence->n_topics == 0)
        return;
    if (conn->principal && (conn->state == TD_CONN_WS || conn->state == TD_CONN_STREAM))
        n = td_hub_named(&conn->subscriber, named);
    for (struct td_present *present = conn->present; present; present = present->next)
        present->wanted = false;
    for (size_t i = 0; i < n; i++)
        want(worker, conn, named[i].named);
    for (struct td_present **link = &conn->present; *link;) {
        if ((*link)->wanted)
            link = &(*link)->next;
        else
            go(worker, conn, link);
    }
}

void td_presence_leave(struct td_worker *worker, struct td_conn *conn)
{
    while (conn->present)
        go(worker, conn, &conn->present);
}
