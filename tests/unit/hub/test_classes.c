/* SPDX-License-Identifier: Apache-2.0 */
/* What classes do for who is behind, paced, or there: superseding, joining, gathering, ephemeral events. */
#include "../journal/fixture.h"
#include "base/json.h"
#include "base/rng.h"
#include "codec/deflate.h"
#include "codec/ws.h"
#include "hub/hub.h"
#include "journal/ephemeral.h"
#include <stdlib.h>

static struct fixture log_;
static struct td_hub *hub;
static struct td_subscriber subscriber;
static struct td_buf got, kept;
static size_t room;
static unsigned sends;

static int64_t take(struct td_subscriber *to, const struct iovec *parts, int n, void *arg)
{
    int64_t taken = 0;

    (void)to;
    (void)arg;
    size_t first = TD_MIN(room, kept.len);
    assert_int_equal(td_buf_put(&got, td_slice(kept.ptr, first)), 0);
    td_buf_consume(&kept, first);
    room -= first;
    if (kept.len > 0)
        return 0;
    sends++;
    for (int i = 0; i < n && room > 0; i++) {
        size_t len = TD_MIN(parts[i].iov_len, room);
        assert_int_equal(td_buf_put(&got, td_slice(parts[i].iov_base, len)), 0);
        room -= len;
        taken += (int64_t)len;
    }
    return taken;
}

static void no_gap(struct td_subscriber *to, const struct td_gap *gap, void *arg)
{
    (void)to;
    (void)gap;
    (void)arg;
    fail();
}

static void keep(struct td_subscriber *to, struct td_slice rest, void *arg)
{
    (void)to;
    (void)arg;
    assert_int_equal(td_buf_put(&kept, rest), 0);
}

static void history_ended(struct td_subscriber *to, struct td_slice ref, void *arg)
{
    (void)to;
    (void)arg;
    assert_int_equal(td_buf_putf(&kept, "ended %.*s", (int)ref.len, ref.ptr), 0);
}

static void ignore(struct td_subscriber *to, void *arg)
{
    (void)to;
    (void)arg;
}

static bool wants(const struct td_subscriber *from, const struct td_record *record, void *arg)
{
    (void)from;
    (void)arg;
    return record->type.ptr[0] != 'u';
}

static const struct td_hub_ops ops = {
    .send = take,
    .gap = no_gap,
    .keep = keep,
    .history_ended = history_ended,
    .caught_up = ignore,
    .touched = ignore,
    .broken = ignore,
    .wants = wants,
};

static int begin(enum td_wire wire)
{
    fixture_init(&log_);
    fixture_open(&log_);
    td_buf_init(&got, TD_MIB);
    td_buf_init(&kept, TD_MIB);
    sends = 0;
    room = SIZE_MAX;
    assert_int_equal(td_hub_new(log_.journal, log_.reader, &ops, NULL, &hub), 0);
    td_subscriber_init(&subscriber, wire);
    const struct td_slice pattern = TD_S("a/**");
    assert_int_equal(td_hub_subscribe(hub, &subscriber, pattern, &pattern, 1), 0);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return begin(TD_WIRE_SSE_FLAT);
}

static int setup_deflated(void **state)
{
    (void)state;
    return begin(TD_WIRE_WS_FLAT_DEFLATED);
}

static int teardown(void **state)
{
    (void)state;
    td_hub_leave(hub, &subscriber);
    td_hub_free(hub);
    fixture_close(&log_);
    td_buf_done(&got);
    td_buf_done(&kept);
    return 0;
}

static void publish(const char *topic, const char *key, enum td_class class, const char *data)
{
    const struct td_draft draft = {
        .topic = td_slice_str(topic),
        .type = TD_S("t"),
        .key = td_slice_str(key),
        .data = td_slice_str(data),
        .class = class,
        .begins_text = class == TD_CLASS_APPEND && strstr(data, "\"offset\":0}") != NULL,
    };
    const struct td_batch batch = {.drafts = &draft, .n = 1};
    uint64_t seq;

    if (class == TD_CLASS_EPHEMERAL)
        assert_int_equal(td_ephemeral_publish(log_.journal, &draft, 1), 0);
    else
        assert_int_equal(td_journal_append(log_.journal, &batch, &seq), 0);
}

static void run(void)
{
    while (td_journal_commit_step(log_.journal) > 0)
        ;
    while (td_hub_is_due(hub) || td_hub_has_again(hub)) {
        td_hub_advance(hub);
        td_hub_run(hub);
    }
    if (room > 0)
        td_hub_catch_up(hub, &subscriber);
}

/* Takes one short frame off the front, and puts what it says as the data of an event stream. */
static void put_frame_as_line(struct td_slice *rest, struct td_buf *lines)
{
    size_t head = (uint8_t)rest->ptr[1] < 126 ? 2 : 4, len = (uint8_t)rest->ptr[1];
    struct td_inflater *inflater;

    if (head == 4)
        len = (size_t)((uint8_t)rest->ptr[2] << 8 | (uint8_t)rest->ptr[3]);
    assert_int_equal(rest->ptr[0] & 0x3f, TD_WS_TEXT);
    assert_true(rest->len >= head + len);
    struct td_slice payload = td_slice(rest->ptr + head, len);
    td_buf_puts(lines, "data: ");
    if (rest->ptr[0] & TD_WS_RSV1) {
        assert_int_equal(td_inflater_new(TD_DEFLATE_BITS, &inflater), 0);
        assert_int_equal(td_inflate(inflater, payload, true, NULL, lines), 0);
        td_inflater_free(inflater);
    } else {
        td_buf_put(lines, payload);
    }
    td_buf_puts(lines, "\n");
    *rest = td_slice_from(*rest, head + len);
}

/* What came, without ids and times: the data of each, by what stands between two marks. */
static void check(const char *want)
{
    struct td_buf seen = TD_BUF_INIT(65536), lines = TD_BUF_INIT(TD_MIB);
    struct td_slice rest = td_buf_slice(&got), line;

    if (subscriber.wire == TD_WIRE_WS_FLAT_DEFLATED) {
        while (rest.len > 0)
            put_frame_as_line(&rest, &lines);
        rest = td_buf_slice(&lines);
    }

    while (rest.ptr && td_slice_split(&rest, '\n', &line)) {
        struct td_slice json, member;
        if (!td_slice_starts(line, TD_S("data: ")))
            continue;
        assert_int_equal(td_json_check(td_slice_from(line, 6), &json, NULL), 0);
        static const char *const names[] = {"n", "offset", "content", "state", "history", "ref"};
        for (size_t i = 0; i < TD_ARRAY_LEN(names); i++)
            if (td_json_get(json, names[i], &member))
                td_buf_putf(&seen, "%c%.*s", names[i][0], (int)member.len, member.ptr);
        td_buf_putc(&seen, ' ');
    }
    td_buf_putc(&seen, '\0');
    assert_string_equal(seen.ptr, want);
    td_buf_done(&seen);
    td_buf_done(&lines);
    td_buf_reset(&got);
}

static void publish_mixed(void)
{
    publish("a/1", "", TD_CLASS_LOG, "{\"n\":1}");
    publish("a/1", "p", TD_CLASS_LATEST, "{\"n\":2}");
    publish("a/1", "p", TD_CLASS_APPEND, "{\"content\":\"x\",\"offset\":0}");
    publish("a/1", "q", TD_CLASS_LATEST, "{\"n\":3}");
    publish("a/1", "p", TD_CLASS_LATEST, "{\"n\":4}");
    publish("a/1", "p", TD_CLASS_APPEND, "{\"content\":\"\\u00e9\",\"offset\":1}");
    publish("a/1", "p", TD_CLASS_APPEND, "{\"content\":\"z\",\"offset\":3}");
    publish("a/2", "p", TD_CLASS_LATEST, "{\"n\":5}");
    publish("a/1", "p", TD_CLASS_LATEST, "{\"n\":6}");
    publish("a/1", "p", TD_CLASS_APPEND, "{\"content\":\"new\",\"offset\":0}");
    publish("a/1", "p", TD_CLASS_APPEND, "{\"content\":\"er\",\"offset\":3}");
    publish("a/1", "p", TD_CLASS_APPEND, "{\"content\":\"hole\",\"offset\":9}");
}

static void the_live_get_each(void **state)
{
    (void)state;
    publish_mixed();
    run();
    check("n1 n2 o0c\"x\" n3 n4 o1c\"\\u00e9\" o3c\"z\" n5 n6 o0c\"new\" o3c\"er\" o9c\"hole\" ");
    assert_int_equal(sends, 1);
}

static void who_is_behind_gets_the_last(void **state)
{
    (void)state;
    td_hub_fall_behind(hub, &subscriber);
    publish_mixed();
    run();
    check("n1 o0c\"x\" n3 o1c\"\\u00e9z\" n5 n6 o0c\"newer\" o9c\"hole\" ");
}

/* What a filter leaves out stands for nothing. */
static void what_is_not_wanted_supersedes_nothing(void **state)
{
    const struct td_draft unwanted = {
        .topic = TD_S("a/1"),
        .type = TD_S("u"),
        .key = TD_S("p"),
        .data = TD_S("{\"n\":2}"),
        .class = TD_CLASS_LATEST,
    };
    const struct td_batch batch = {.drafts = &unwanted, .n = 1};
    uint64_t seq;

    (void)state;
    subscriber.checked = true;
    td_hub_fall_behind(hub, &subscriber);
    publish("a/1", "p", TD_CLASS_LATEST, "{\"n\":1}");
    assert_int_equal(td_journal_append(log_.journal, &batch, &seq), 0);
    run();
    check("n1 ");
}

/* However the socket takes it: the same bytes as in one go, and no position is passed by. */
static void short_sends_change_nothing(void **state)
{
    struct td_buf whole = TD_BUF_INIT(TD_MIB);

    (void)state;
    td_hub_fall_behind(hub, &subscriber);
    uint64_t from = td_hub_position(hub, &subscriber);
    publish_mixed();
    run();
    assert_int_equal(td_buf_put(&whole, td_buf_slice(&got)), 0);
    for (size_t piece = 1; piece < whole.len; piece += 1 + piece / 7) {
        td_buf_reset(&got);
        td_hub_seek(hub, &subscriber, from, (struct td_told){0});
        room = 0;
        run();
        for (unsigned turns = 0; td_hub_has_more(&subscriber) || kept.len > 0; turns++) {
            assert_true(turns < 10000);
            room = piece;
            size_t first = TD_MIN(room, kept.len); /* the edge flushes what was kept */
            assert_int_equal(td_buf_put(&got, td_slice(kept.ptr, first)), 0);
            td_buf_consume(&kept, first);
            room -= first;
            td_hub_catch_up(hub, &subscriber);
            if (td_hub_has_again(hub))
                td_hub_run(hub);
        }
        room = SIZE_MAX;
        /* Joined or not depends on where it stopped; the texts do not. */
        assert_true(got.len >= whole.len);
        if (got.len == whole.len)
            assert_memory_equal(got.ptr, whole.ptr, whole.len);
    }
    td_buf_done(&whole);
}

static void joined_messages_are_bounded(void **state)
{
    char data[2100];
    unsigned messages = 0;

    (void)state;
    td_hub_fall_behind(hub, &subscriber);
    for (unsigned i = 0; i < 40; i++) {
        int n =
            snprintf(data, sizeof(data), "{\"content\":\"%01000u\",\"offset\":%u}", i, i * 1000);
        assert_in_range(n, 1, sizeof(data) - 1);
        publish("a/1", "text", TD_CLASS_APPEND, data);
    }
    run();
    struct td_slice rest = td_buf_slice(&got), line;
    while (rest.ptr && td_slice_split(&rest, '\n', &line)) {
        assert_true(line.len < 17 * 1024);
        messages += td_slice_starts(line, TD_S("data: "));
    }
    assert_in_range(messages, 3, 4);
    td_buf_reset(&got);
}

static void a_pace_gathers(void **state)
{
    (void)state;
    subscriber.pace_ms = 50;
    td_hub_tick(hub, TD_NS_PER_S);
    publish("a/1", "p", TD_CLASS_LATEST, "{\"n\":1}");
    run();
    check("n1 "); /* one at once */
    for (int i = 2; i < 9; i++) {
        char data[32];
        snprintf(data, sizeof(data), "{\"n\":%d}", i);
        td_hub_tick(hub, TD_NS_PER_S + (td_ns)i * 5 * TD_NS_PER_MS);
        publish("a/1", "p", TD_CLASS_LATEST, data);
        run();
    }
    publish("a/1", "", TD_CLASS_LOG, "{\"n\":9}");
    run();
    check("");
    assert_int_equal(td_hub_next_due(hub), TD_NS_PER_S + 50 * TD_NS_PER_MS);
    td_hub_tick(hub, td_hub_next_due(hub));
    td_hub_run(hub);
    check("n8 n9 "); /* then what has gathered, the last of it never left out */
    assert_int_equal(sends, 2);
    assert_int_equal(td_hub_next_due(hub), UINT64_MAX);
    td_hub_tick(hub, 3 * TD_NS_PER_S);
    publish("a/1", "p", TD_CLASS_LATEST, "{\"n\":10}");
    run();
    check("n10 ");
}

static void ephemeral_events_go_to_the_live(void **state)
{
    (void)state;
    publish("a/1", "", TD_CLASS_LOG, "{\"n\":1}");
    publish("a/1", "", TD_CLASS_EPHEMERAL, "{\"n\":2}");
    publish("b/1", "", TD_CLASS_EPHEMERAL, "{\"n\":0}");
    td_hub_advance(hub); /* it does not overtake what is not durable yet */
    check("");
    run();
    assert_null(memmem(strstr(got.ptr, "\"n\":2"), 20, "event_id", 8));
    check("n1 n2 ");
    td_hub_fall_behind(hub, &subscriber);
    publish("a/1", "", TD_CLASS_EPHEMERAL, "{\"n\":3}");
    td_hub_advance(hub);
    run();
    check("");
    publish("a/1", "", TD_CLASS_EPHEMERAL, "{\"n\":4}");
    run();
    check("n4 ");
}

/* One that went in part is finished; nothing else of it is owed. */
static void a_torn_ephemeral_event_is_finished(void **state)
{
    (void)state;
    publish("a/1", "", TD_CLASS_EPHEMERAL, "{\"n\":1}");
    publish("a/1", "", TD_CLASS_EPHEMERAL, "{\"n\":2}");
    room = 10;
    run();
    assert_int_equal(got.len, 10);
    room = SIZE_MAX;
    publish("a/1", "", TD_CLASS_LOG, "{\"n\":3}");
    run();
    check("n1 n3 ");
}

static void the_ring_is_bounded(void **state)
{
    struct td_hub_stat stat;

    (void)state;
    for (unsigned i = 0; i < TD_EPHEMERAL_EVENTS + 7; i++)
        publish("a/1", "", TD_CLASS_EPHEMERAL, "{\"n\":1}");
    run();
    td_hub_stat(hub, &stat);
    assert_int_equal(stat.ephemeral_missed, 7);
    assert_int_equal(stat.delivered, TD_EPHEMERAL_EVENTS);
    td_buf_reset(&got);
}

/* An older `since` on a connection that is live: its own cursor, marked, and an end. */
static void history_goes_beside_the_stream(void **state)
{
    const struct td_slice b = TD_S("b");

    (void)state;
    publish("b", "", TD_CLASS_LOG, "{\"n\":1}");
    publish("b", "", TD_CLASS_LOG, "{\"n\":2}");
    publish("a/1", "", TD_CLASS_LOG, "{\"n\":3}");
    run();
    check("n3 ");
    assert_int_equal(td_hub_subscribe(hub, &subscriber, b, &b, 1), 0);
    const struct td_hub_history history = {.named = &b, .n_named = 1, .ref = TD_S("7")};
    assert_int_equal(td_hub_send_history(hub, &subscriber, &history), 0);
    publish("b", "", TD_CLASS_LOG, "{\"n\":4}");
    publish("a/1", "", TD_CLASS_LOG, "{\"n\":5}");
    run();
    check("n4 n5 n1htruer7 n2htruer7 ");
    assert_int_equal(kept.len, strlen("ended 7"));
    td_buf_reset(&kept);
}

static void what_is_unsubscribed_is_no_history(void **state)
{
    const struct td_slice b = TD_S("b");

    (void)state;
    publish("b", "", TD_CLASS_LOG, "{\"n\":1}");
    run();
    assert_int_equal(td_hub_subscribe(hub, &subscriber, b, &b, 1), 0);
    const struct td_hub_history history = {.named = &b, .n_named = 1};
    assert_int_equal(td_hub_send_history(hub, &subscriber, &history), 0);
    assert_true(td_hub_unsubscribe(hub, &subscriber, b));
    run();
    check("");
    assert_int_equal(kept.len, strlen("ended "));
    td_buf_reset(&kept);
}

#define TEST(name)          cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_DEFLATED(name) cmocka_unit_test_setup_teardown(name, setup_deflated, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_live_get_each),
        TEST(who_is_behind_gets_the_last),
        TEST(what_is_not_wanted_supersedes_nothing),
        TEST(short_sends_change_nothing),
        TEST(joined_messages_are_bounded),
        TEST(a_pace_gathers),
        TEST(ephemeral_events_go_to_the_live),
        TEST(a_torn_ephemeral_event_is_finished),
        TEST(the_ring_is_bounded),
        TEST(history_goes_beside_the_stream),
        TEST(what_is_unsubscribed_is_no_history),
        TEST_DEFLATED(the_live_get_each),
        TEST_DEFLATED(who_is_behind_gets_the_last),
        TEST_DEFLATED(short_sends_change_nothing),
        TEST_DEFLATED(a_pace_gathers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
