/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/json.h"
#include "codec/format.h"

static struct td_format_input input(const char *topic, const char *type, const char *data)
{
    return (struct td_format_input){
        .event = TD_S("{\"the\":\"event\"}"),
        .id = TD_S("9f3c21aa.7"),
        .topic = td_slice_str(topic),
        .type = td_slice_str(type),
        .time = TD_S("2026-11-20T20:44:01.123Z"),
        .data = td_slice_str(data),
    };
}

/* Formats behind something that is there already and checks it, byte for byte. */
static void check(enum td_format format, const struct td_format_input *in, const char *want)
{
    struct td_buf out = TD_BUF_INIT(1 << 16);
    struct td_slice value;

    assert_int_equal(td_buf_puts(&out, "before"), 0);
    assert_int_equal(td_format_event(format, in, &out), 0);
    struct td_slice got = td_slice_from(td_buf_slice(&out), strlen("before"));
    if (!td_slice_eq(got, td_slice_str(want)))
        fail_msg("%.*s", (int)got.len, got.ptr);
    assert_int_equal(td_json_check(got, &value, NULL), 0);
    td_buf_done(&out);
}

#define TAIL \
    "\"event_id\":\"9f3c21aa.7\",\"topic\":\"a/b\",\"timestamp\":\"2026-11-20T20:44:01.123Z\"}"

static void flatten(void **state)
{
    /* clang-format off */
    static const char *const cases[][2] = {
        {"{\"line\":\"x\",\"n\":[1,{}]}", "{\"type\":\"t\",\"line\":\"x\",\"n\":[1,{}]," TAIL},
        {"{ \"line\" : 1 }", "{\"type\":\"t\",\"line\":1," TAIL},
        {"{}", "{\"type\":\"t\"," TAIL},
        {"null", "{\"type\":\"t\",\"data\":null," TAIL},
        {"[1]", "{\"type\":\"t\",\"data\":[1]," TAIL},
        {"\"x\"", "{\"type\":\"t\",\"data\":\"x\"," TAIL},
        {"{\"data\":1}", "{\"type\":\"t\",\"data\":1," TAIL},
        /* the envelope wins, however a name is written */
        {"{\"type\":1,\"topic\":2,\"a\":3,\"timestamp\":4,\"event_id\":5}", "{\"type\":\"t\",\"a\":3," TAIL},
        {"{\"t\\u0079pe\":1,\"\\u0074opic\":2,\"event\\u005fid\":3}", "{\"type\":\"t\"," TAIL},
        {"{\"Type\":1,\"type \":2}", "{\"type\":\"t\",\"Type\":1,\"type \":2," TAIL},
        /* the last of equal names wins */
        {"{\"a\":1,\"b\":2,\"a\":3}", "{\"type\":\"t\",\"b\":2,\"a\":3," TAIL},
        {"{\"a\":1,\"\\u0061\":2,\"b\":3}", "{\"type\":\"t\",\"\\u0061\":2,\"b\":3," TAIL},
        {"{\"\":1,\"\":2}", "{\"type\":\"t\",\"\":2," TAIL},
    };
    /* clang-format on */

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        struct td_format_input in = input("a/b", "t", cases[i][0]);
        check(TD_FORMAT_FLAT, &in, cases[i][1]);
    }
}

/* Many members with few names: each name is left once, with its last value. */
static void flatten_many(void **state)
{
    struct td_buf data = TD_BUF_INIT(1 << 20), out = TD_BUF_INIT(1 << 20);
    struct td_slice name, value;
    size_t names = 0;

    td_buf_putc(&data, '{');
    for (unsigned i = 0; i < 5000; i++)
        td_buf_putf(&data, "%s\"%c%u\":%u", i ? "," : "", 'a', i % 100, i);
    td_buf_putc(&data, '}');
    struct td_format_input in = input("a/b", "t", "");
    in.data = td_buf_slice(&data);
    assert_int_equal(td_format_event(TD_FORMAT_FLAT, &in, &out), 0);
    assert_int_equal(td_json_check(td_buf_slice(&out), &value, NULL), 0);
    for (struct td_json_iter it = td_json_iter(value); td_json_next(&it, &name, &value);)
        names++;
    assert_int_equal(names, 100 + 4);
    assert_true(td_json_get(td_buf_slice(&out), "a7", &value));
    assert_true(td_slice_eq(value, TD_S("4907")));
    td_buf_done(&data);
    td_buf_done(&out);
}

static void notify_of_entities(void **state)
{
    struct td_format_input in = input("entities/applications/app123", "ENTITY_UPDATED",
                                      "{\"version\":3,\"payload\":{\"name\":\"x\"}}");

    check(TD_FORMAT_ENTITY, &in,
          "{\"type\":\"EVENT_NOTIFICATION\",\"event_type\":\"ENTITY_UPDATED\","
          "\"entity_type\":\"applications\",\"entity_id\":\"app123\",\"action\":\"updated\","
          "\"timestamp\":\"2026-11-20T20:44:01.123Z\",\"payload\":{\"name\":\"x\"},\"version\":3,"
          "\"event_id\":\"9f3c21aa.7\"}");
    in.type = TD_S("ENTITY_DELETED");
    in.data = TD_S("{\"name\":\"x\",\"version\":9}");
    in.actor = TD_S("\"ann\"");
    in.origin = TD_S("\"c1\"");
    check(TD_FORMAT_ENTITY, &in,
          "{\"type\":\"EVENT_NOTIFICATION\",\"event_type\":\"ENTITY_DELETED\","
          "\"entity_type\":\"applications\",\"entity_id\":\"app123\",\"action\":\"deleted\","
          "\"timestamp\":\"2026-11-20T20:44:01.123Z\",\"payload\":{\"name\":\"x\",\"version\":9},"
          "\"actor\":\"ann\",\"origin\":\"c1\",\"event_id\":\"9f3c21aa.7\"}");
    check(TD_FORMAT_EVENT, &in, "{\"the\":\"event\"}");
}

static void know_entities(void **state)
{
    struct td_slice type = TD_S("ENTITY_CREATED");
    struct td_format_input in = input("a/b", "ENTITY_CREATED", "{}");

    assert_true(td_format_is_entity(TD_S("entities/a/b"), type));
    assert_false(td_format_is_entity(TD_S("entities/a"), type));
    assert_false(td_format_is_entity(TD_S("entities/a/b/c"), type));
    assert_false(td_format_is_entity(TD_S("entities"), type));
    assert_false(td_format_is_entity(TD_S("entity/a/b"), type));
    assert_false(td_format_is_entity(TD_S("entities/a/b"), TD_S("presence_joined")));
    check(TD_FORMAT_ENTITY, &in, "{\"the\":\"event\"}");
}

static void name_stream_events(void **state)
{
    assert_true(td_slice_eq(td_format_sse_event_name(TD_S("error")), TD_S("job_error")));
    assert_true(td_slice_eq(td_format_sse_event_name(TD_S("open")), TD_S("job_open")));
    assert_true(td_slice_eq(td_format_sse_event_name(TD_S("errors")), TD_S("errors")));
}

static void format_all_or_nothing(void **state)
{
    struct td_format_input in = input("a/b", "t", "{\"a\":1}");
    size_t whole = strlen("{\"type\":\"t\",\"a\":1," TAIL);

    for (size_t room = 0; room <= whole; room++) {
        struct td_buf out = TD_BUF_INIT(2 + room);
        assert_int_equal(td_buf_puts(&out, "ok"), 0);
        int r = td_format_event(TD_FORMAT_FLAT, &in, &out);
        assert_int_equal(r, room < whole ? TD_ETOOLARGE : 0);
        assert_int_equal(out.len, room < whole ? 2 : 2 + whole);
        td_buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flatten),
        cmocka_unit_test(flatten_many),
        cmocka_unit_test(notify_of_entities),
        cmocka_unit_test(know_entities),
        cmocka_unit_test(name_stream_events),
        cmocka_unit_test(format_all_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
