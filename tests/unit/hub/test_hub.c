/* SPDX-License-Identifier: Apache-2.0 */
/* The switch between live and behind, with sockets that take what they like. */
#include "../journal/fixture.h"
#include "base/json.h"
#include "base/rng.h"
#include "codec/deflate.h"
#include "codec/ws.h"
#include "hub/hub.h"
#include "hub/state.h"
#include <stdlib.h>

#define READERS_MAX 16
#define EVENTS_MAX  4000

/* A socket: takes at most `room` bytes, keeps them. */
struct reader {
    struct td_subscriber subscriber;
    struct td_buf got, kept;
    size_t room;
    const char *patterns[4];
    uint64_t from; /* its first event comes behind this */
    unsigned gaps, caught_up, touched, broken, history_ended;
    uint64_t gap_from, gap_to;
    const void *latest; /* the bytes of its latest send */
};

static struct fixture log_;
static struct td_hub *hub;
static struct reader readers[READERS_MAX];
static struct {
    uint64_t seq;
    char topic[32];
} events[EVENTS_MAX];
static size_t n_events;

static struct reader *reader_of(const struct td_subscriber *subscriber)
{
    return TD_CONTAINER_OF((struct td_subscriber *)(uintptr_t)subscriber, struct reader,
                           subscriber);
}

static int64_t take(struct td_subscriber *subscriber, const struct iovec *parts, int n, void *arg)
{
    struct reader *reader = reader_of(subscriber);
    int64_t taken = 0;

    assert_ptr_equal(arg, &log_);
    reader->latest = parts->iov_base;
    /* What was kept goes first, as the edge does it. */
    size_t first = TD_MIN(reader->room, reader->kept.len);
    assert_int_equal(td_buf_put(&reader->got, td_slice(reader->kept.ptr, first)), 0);
    td_buf_consume(&reader->kept, first);
    reader->room -= first;
    for (int i = 0; i < n; i++) {
        size_t len = TD_MIN(parts[i].iov_len, reader->room);
        assert_int_equal(td_buf_put(&reader->got, td_slice(parts[i].iov_base, len)), 0);
        reader->room -= len;
        taken += (int64_t)len;
        if (len < parts[i].iov_len)
            break;
    }
    return taken;
}

static void gap(struct td_subscriber *subscriber, const struct td_gap *gap, void *arg)
{
    struct reader *reader = reader_of(subscriber);

    assert_ptr_equal(arg, &log_);
    assert_int_equal(gap->reason, TD_GAP_RETENTION);
    assert_false(td_hub_is_partial(subscriber));
    reader->gaps++;
    reader->gap_from = gap->from;
    reader->gap_to = gap->to;
}

static void keep(struct td_subscriber *subscriber, struct td_slice rest, void *arg)
{
    assert_ptr_equal(arg, &log_);
    assert_int_equal(td_buf_put(&reader_of(subscriber)->kept, rest), 0);
}

static void history_ended(struct td_subscriber *subscriber, struct td_slice ref, void *arg)
{
    assert_ptr_equal(arg, &log_);
    reader_of(subscriber)->history_ended += 1 + (unsigned)ref.len;
}

static void caught_up(struct td_subscriber *subscriber, void *arg)
{
    assert_ptr_equal(arg, &log_);
    reader_of(subscriber)->caught_up++;
}

static void touched(struct td_subscriber *subscriber, void *arg)
{
    assert_ptr_equal(arg, &log_);
    reader_of(subscriber)->touched++;
}

static void broken(struct td_subscriber *subscriber, void *arg)
{
    assert_ptr_equal(arg, &log_);
    reader_of(subscriber)->broken++;
}

/* Those who ask get only types that end in an even digit. */
static bool wants(const struct td_subscriber *subscriber, const struct td_record *record, void *arg)
{
    (void)subscriber;
    assert_ptr_equal(arg, &log_);
    return (record->type.ptr[record->type.len - 1] - '0') % 2 == 0;
}

static const struct td_hub_ops ops = {take,      gap,     keep,   history_ended,
                                      caught_up, touched, broken, wants};

static int setup(void **state)
{
    (void)state;
    fixture_init(&log_);
    n_events = 0;
    return 0;
}

static void open_hub(void)
{
    fixture_open(&log_);
    assert_int_equal(td_hub_new(log_.journal, log_.reader, &ops, &log_, &hub), 0);
}

static void close_hub(void)
{
    for (size_t i = 0; i < READERS_MAX; i++) {
        if (readers[i].patterns[0])
            td_hub_leave(hub, &readers[i].subscriber);
        td_buf_done(&readers[i].got);
        td_buf_done(&readers[i].kept);
    }
    td_hub_free(hub);
    fixture_close(&log_);
    memset(readers, 0, sizeof(readers));
}

static void join(size_t i, enum td_wire wire, const char *const patterns[4])
{
    struct reader *reader = &readers[i];

    td_subscriber_init(&reader->subscriber, wire);
    td_buf_init(&reader->got, 64 * TD_MIB);
    td_buf_init(&reader->kept, TD_MIB);
    reader->room = SIZE_MAX;
    for (size_t p = 0; p < 4 && patterns[p]; p++) {
        struct td_slice pattern = td_slice_str(patterns[p]);
        reader->patterns[p] = patterns[p];
        assert_int_equal(td_hub_subscribe(hub, &reader->subscriber, pattern, &pattern, 1), 0);
    }
    reader->from = td_hub_head(hub);
}

static void publish(const char *topic, size_t pad)
{
    static char data[70000];
    char type[8];
    uint64_t seq;

    memset(data, 'x', sizeof(data));
    data[0] = data[pad + 1] = '"';
    snprintf(type, sizeof(type), "t%zu", n_events % 10);
    const struct td_draft draft = {
        .topic = td_slice_str(topic), .type = td_slice_str(type), .data = td_slice(data, pad + 2)};
    const struct td_batch batch = {.drafts = &draft, .n = 1};
    assert_int_equal(td_journal_append(log_.journal, &batch, &seq), 0);
    assert_true(n_events < EVENTS_MAX);
    events[n_events].seq = seq;
    snprintf(events[n_events].topic, sizeof(events[n_events].topic), "%s", topic);
    n_events++;
}

static void commit(void)
{
    while (td_journal_commit_step(log_.journal) > 0)
        ;
}

static void settle(void)
{
    commit();
    for (size_t i = 0; i < READERS_MAX; i++)
        readers[i].room = SIZE_MAX;
    for (unsigned turns = 0; td_hub_is_due(hub) || td_hub_has_again(hub); turns++) {
        assert_true(turns < 100000);
        while (td_journal_keep_step(log_.journal) > 0)
            ;
        td_hub_advance(hub);
        td_hub_run(hub);
    }
    for (size_t i = 0; i < READERS_MAX; i++)
        if (readers[i].patterns[0])
            td_hub_catch_up(hub, &readers[i].subscriber);
    while (td_hub_is_due(hub) || td_hub_has_again(hub)) {
        td_hub_advance(hub);
        td_hub_run(hub);
    }
}

/* What a compressed frame says; good until the next. */
static struct td_slice inflated(struct td_slice payload)
{
    static char bytes[128 * 1024];
    struct td_buf out = TD_BUF_INIT(sizeof(bytes));
    struct td_inflater *inflater;

    assert_int_equal(td_inflater_new(TD_DEFLATE_BITS, &inflater), 0);
    assert_int_equal(td_inflate(inflater, payload, true, NULL, &out), 0);
    memcpy(bytes, out.ptr, out.len);
    struct td_slice said = {bytes, out.len};
    td_inflater_free(inflater);
    td_buf_done(&out);
    assert_true(payload.len < said.len);
    return said;
}

/* Takes one text frame off the front of what a socket got; false at its end. */
static bool next_frame(struct td_slice *rest, struct td_slice *ret_payload)
{
    if (rest->len == 0)
        return false;
    const unsigned char *b = (const unsigned char *)rest->ptr;
    assert_int_equal(b[0] & ~TD_WS_RSV1, 0x81);
    size_t head = b[1] < 126 ? 2 : b[1] == 126 ? 4 : 10, len = b[1];
    assert_true(rest->len >= head);
    if (head > 2) {
        len = 0;
        for (size_t i = 2; i < head; i++)
            len = len << 8 | b[i];
    }
    assert_true(rest->len >= head + len);
    *ret_payload = td_slice(rest->ptr + head, len);
    if (b[0] & TD_WS_RSV1)
        *ret_payload = inflated(*ret_payload);
    *rest = td_slice_from(*rest, head + len);
    return true;
}

static bool matches(const struct reader *reader, size_t event)
{
    for (size_t p = 0; p < 4 && reader->patterns[p]; p++)
        if (td_pattern_match(td_slice_str(reader->patterns[p]), td_slice_str(events[event].topic)))
            return !reader->subscriber.checked || event % 2 == 0;
    return false;
}

/* Each got exactly what it should: in order, whole, once. */
static void check(const struct reader *reader)
{
    struct td_slice rest = td_buf_slice(&reader->got), payload, id;

    for (size_t e = 0; e < n_events; e++) {
        if (events[e].seq <= reader->from || !matches(reader, e))
            continue;
        if (reader->gaps > 0 && events[e].seq > reader->gap_from && events[e].seq <= reader->gap_to)
            continue;
        char text[TD_POSITION_LEN_MAX + 3];
        struct td_position position = {td_journal_epoch(log_.journal), events[e].seq};
        text[0] = '"';
        size_t n = td_position_format(position, text + 1);
        assert_true(next_frame(&rest, &payload));
        assert_int_equal(td_json_check(payload, &payload, NULL), 0);
        assert_true(td_json_get(payload, "id", &id));
        assert_int_equal(id.len, n + 2);
        assert_memory_equal(id.ptr + 1, text + 1, n);
    }
    assert_int_equal(rest.len, 0);
}

static void test_live(void **state)
{
    (void)state;
    open_hub();
    join(0, TD_WIRE_WS_EVENT, (const char *const[4]){"a/b"});
    join(1, TD_WIRE_WS_EVENT, (const char *const[4]){"a/**", "a/*", "**"});
    join(2, TD_WIRE_WS_EVENT, (const char *const[4]){"c"});
    join(3, TD_WIRE_NONE, (const char *const[4]){"a/*"});
    for (int i = 0; i < 50; i++) {
        publish("a/b", 10);
        publish("x/y", 10);
    }
    td_hub_advance(hub);
    assert_int_equal(readers[0].got.len, 0); /* nothing is shown before it is durable */
    settle();
    for (size_t i = 0; i < 3; i++)
        check(&readers[i]);
    assert_true(readers[3].touched > 0);
    assert_true(td_hub_is_live(&readers[3].subscriber));
    close_hub();
}

/* Overlapping patterns that come to what one of them matches are sent that run's bytes; neighbours that get other shares of the same
 * wakeup get their own. */
static void test_shares(void **state)
{
    (void)state;
    open_hub();
    join(0, TD_WIRE_WS_EVENT, (const char *const[4]){"a/*"});
    join(1, TD_WIRE_WS_EVENT, (const char *const[4]){"a/*", "*/b", "a/b"});
    for (size_t i = 2; i < 6; i++)
        join(i, TD_WIRE_WS_EVENT, (const char *const[4]){"**"});
    for (size_t i = 2; i < 5; i++)
        readers[i].subscriber.checked = true;
    join(6, TD_WIRE_SSE_EVENT, (const char *const[4]){"**"});
    readers[6].subscriber.checked = true;
    join(7, TD_WIRE_WS_EVENT, (const char *const[4]){"a/*", "c"});
    join(8, TD_WIRE_WS_EVENT, (const char *const[4]){"a/*", "c"});
    for (int i = 0; i < 10; i++) {
        publish("a/b", 10);
        publish("a/x", 10);
        publish("c", 10);
    }
    settle();
    for (size_t i = 0; i < 9; i++)
        if (i != 6)
            check(&readers[i]);
    assert_ptr_equal(readers[1].latest, readers[0].latest);
    close_hub();
}

static void short_at_every_byte(enum td_wire wire)
{
    open_hub();
    publish("a/b", 10);
    join(0, wire, (const char *const[4]){"a/**"});
    settle();
    for (size_t cut = 0; cut < 400; cut++) {
        readers[0].room = cut;
        publish("a/b", 40);
        publish("a/c", 60);
        publish("a/d", 20);
        commit();
        td_hub_advance(hub);
        if (wire == TD_WIRE_WS_EVENT)
            assert_int_equal(td_hub_is_live(&readers[0].subscriber),
                             cut >= 3 * 100 && readers[0].room > 0);
        readers[0].room = cut % 7;
        td_hub_catch_up(hub, &readers[0].subscriber);
        settle();
        assert_true(td_hub_is_live(&readers[0].subscriber));
    }
    check(&readers[0]);
    close_hub();
}

static void test_short_at_every_byte(void **state)
{
    (void)state;
    short_at_every_byte(TD_WIRE_WS_EVENT);
}

/* The rest of a compressed record is made again, after others have been compressed. */
static void test_short_at_every_byte_deflated(void **state)
{
    (void)state;
    short_at_every_byte(TD_WIRE_WS_EVENT_DEFLATED);
}

/* Each event is compressed once, for the live and for who is behind soon after. */
static void test_compressed_once(void **state)
{
    (void)state;
    open_hub();
    td_hub_deflate_from(hub, 200);
    for (size_t i = 0; i < READERS_MAX; i++)
        join(i, TD_WIRE_WS_EVENT_DEFLATED, (const char *const[4]){i % 2 ? "a/**" : "a/b"});
    publish("a/b", 10); /* too short */
    settle();
    assert_int_equal(hub->encoder.n_deflated, 0);
    publish("a/b", 3000);
    settle();
    assert_in_range(hub->encoder.n_deflated, 3000, 3200);
    for (size_t i = 0; i < READERS_MAX; i++) {
        assert_in_range(readers[i].got.len, 100, 500);
        assert_true(td_slice_eq(td_buf_slice(&readers[i].got), td_buf_slice(&readers[0].got)));
        check(&readers[i]);
    }
    readers[0].room = 0;
    publish("a/b", 3000);
    commit();
    td_hub_advance(hub);
    assert_in_range(hub->encoder.n_deflated, 6000, 6400);
    settle();
    assert_in_range(hub->encoder.n_deflated, 6000, 6400);
    assert_true(td_slice_eq(td_buf_slice(&readers[0].got), td_buf_slice(&readers[1].got)));
    close_hub();
}

/* A turn of one who is behind ends by what is compressed for him, not by the little that is sent. */
static void test_compressing_counts_in_a_turn(void **state)
{
    size_t turns = 0;

    (void)state;
    log_.options.segment_bytes = 4 * TD_MIB;
    open_hub();
    for (int i = 0; i < 40; i++)
        publish("a/b", 60000);
    commit();
    td_hub_advance(hub); /* before anybody is there: nothing is compressed for the live */
    join(0, TD_WIRE_WS_EVENT_DEFLATED, (const char *const[4]){"a/b"});
    readers[0].from = 0;
    td_hub_seek(hub, &readers[0].subscriber, 0, (struct td_told){0});
    for (; !td_hub_is_live(&readers[0].subscriber); turns++)
        td_hub_run(hub);
    assert_in_range(turns, 40, 60);
    check(&readers[0]);
    close_hub();
}

static void test_every_format_deflated(void **state)
{
    struct td_slice rest[2], payload[2];

    (void)state;
    open_hub();
    for (size_t i = 0; i < 6; i++)
        join(
            i,
            td_wire_of(i % 2 ? TD_TRANSPORT_WS_DEFLATED : TD_TRANSPORT_WS, (enum td_format)(i / 2)),
            (const char *const[4]){"**"});
    publish("entities/applications/a1", 500);
    publish("a/b", 1);
    settle();
    for (size_t i = 0; i < 6; i += 2) {
        for (size_t k = 0; k < 2; k++)
            rest[k] = td_buf_slice(&readers[i + k].got);
        assert_int_equal(rest[0].ptr[0] & TD_WS_RSV1, 0);
        assert_int_equal(rest[1].ptr[0] & TD_WS_RSV1, TD_WS_RSV1);
        assert_true(rest[1].len < rest[0].len);
        for (int n = 0; n < 2; n++) {
            assert_true(next_frame(&rest[0], &payload[0]));
            assert_true(next_frame(&rest[1], &payload[1]));
            assert_true(td_slice_eq(payload[0], payload[1]));
        }
        assert_int_equal(rest[0].len + rest[1].len, 0);
    }
    close_hub();
}

static void test_seek_and_unsubscribe(void **state)
{
    (void)state;
    open_hub();
    for (int i = 0; i < 300; i++)
        publish(i % 3 ? "a/b" : "a/c", 30);
    commit();
    join(0, TD_WIRE_WS_EVENT, (const char *const[4]){"a/b"});
    readers[0].from = events[9].seq;
    td_hub_seek(hub, &readers[0].subscriber, events[9].seq, (struct td_told){0});
    settle();
    check(&readers[0]);
    assert_int_equal(readers[0].caught_up, 1);
    assert_true(td_hub_unsubscribe(hub, &readers[0].subscriber, TD_S("a/b")));
    assert_false(td_hub_unsubscribe(hub, &readers[0].subscriber, TD_S("a/b")));
    size_t before = readers[0].got.len;
    publish("a/b", 30);
    settle();
    assert_int_equal(readers[0].got.len, before);
    close_hub();
}

/* What is told of a position goes out behind the rest of the record that is out in part, so it counts that record; what is
 * subscribed meanwhile goes on from there. */
static void test_position_in_the_middle_of_a_record(void **state)
{
    (void)state;
    open_hub();
    join(0, TD_WIRE_WS_EVENT, (const char *const[4]){"a/b"});
    publish("a/b", 100);
    publish("a/c", 100);
    publish("a/b", 100);
    commit();
    readers[0].room = 20;
    td_hub_advance(hub);
    assert_true(td_hub_is_partial(&readers[0].subscriber));
    assert_int_equal(td_hub_position(hub, &readers[0].subscriber), events[0].seq);
    readers[0].patterns[1] = "a/c";
    assert_int_equal(
        td_hub_subscribe(hub, &readers[0].subscriber, TD_S("a/c"), &(struct td_slice){"a/c", 3}, 1),
        0);
    settle();
    check(&readers[0]);
    assert_true(td_hub_is_live(&readers[0].subscriber));
    close_hub();
}

/* A reader that stands still while its events are trimmed is told, and goes on. */
static void test_gap(void **state)
{
    (void)state;
    log_.options.retain_bytes = 40 * TD_KIB;
    open_hub();
    join(0, TD_WIRE_WS_EVENT, (const char *const[4]){"a/**"});
    readers[0].room = 0;
    for (int i = 0; i < 1000; i++) {
        publish("a/b", 100);
        if (i % 20 == 0) {
            commit();
            while (td_journal_keep_step(log_.journal) > 0)
                ;
            td_hub_advance(hub);
            td_journal_quiesce(log_.reader, false);
        }
    }
    settle();
    assert_true(readers[0].gaps > 0 || readers[0].broken > 0);
    if (readers[0].broken == 0)
        check(&readers[0]);
    close_hub();
}

/* Random patterns, sockets, turns. */
static void random_run(uint64_t seed)
{
    static const char *const topics[] = {"a", "a/b", "a/c", "b/a/c", "b/d/c", "c/1/2/3"};
    static const char *const patterns[] = {"a",     "a/*",  "a/**", "**",
                                           "b/*/c", "*/**", "c/**", "*/d/*"};
    struct td_rng rng;

    td_rng_init(&rng, seed);
    fixture_init(&log_);
    log_.options.segment_bytes = 128 * TD_KIB;
    n_events = 0;
    open_hub();
    td_hub_deflate_from(hub, 200);
    for (size_t i = 0; i < READERS_MAX; i++) {
        const char *chosen[4] = {NULL};
        size_t n = 1 + td_rng_below(&rng, 3);
        for (size_t p = 0; p < n; p++)
            chosen[p] = patterns[td_rng_below(&rng, TD_ARRAY_LEN(patterns))];
        join(i, i % 3 ? TD_WIRE_WS_EVENT : TD_WIRE_WS_EVENT_DEFLATED, chosen);
        readers[i].subscriber.checked = td_rng_one_in(&rng, 4);
    }
    for (int step = 0; step < 1500; step++) {
        struct reader *reader = &readers[td_rng_below(&rng, READERS_MAX)];
        switch (td_rng_below(&rng, 6)) {
        case 0:
        case 1:
            publish(topics[td_rng_below(&rng, TD_ARRAY_LEN(topics))],
                    td_rng_one_in(&rng, 50) ? 60000 : td_rng_below(&rng, 300) + 1);
            break;
        case 2: td_journal_commit_step(log_.journal); break;
        case 3:
            td_journal_quiesce(log_.reader, false);
            td_hub_advance(hub);
            td_hub_run(hub);
            break;
        case 4: reader->room = td_rng_one_in(&rng, 3) ? SIZE_MAX : td_rng_below(&rng, 2000); break;
        default: td_hub_catch_up(hub, &reader->subscriber); break;
        }
        td_journal_keep_step(log_.journal);
    }
    settle();
    for (size_t i = 0; i < READERS_MAX; i++)
        check(&readers[i]);
    close_hub();
}

static void test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++)
        random_run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_live, setup),
        cmocka_unit_test_setup(test_shares, setup),
        cmocka_unit_test_setup(test_short_at_every_byte, setup),
        cmocka_unit_test_setup(test_short_at_every_byte_deflated, setup),
        cmocka_unit_test_setup(test_compressed_once, setup),
        cmocka_unit_test_setup(test_compressing_counts_in_a_turn, setup),
        cmocka_unit_test_setup(test_every_format_deflated, setup),
        cmocka_unit_test_setup(test_seek_and_unsubscribe, setup),
        cmocka_unit_test_setup(test_position_in_the_middle_of_a_record, setup),
        cmocka_unit_test_setup(test_gap, setup),
        cmocka_unit_test_setup(test_random, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
