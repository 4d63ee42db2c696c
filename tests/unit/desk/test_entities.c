/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "fixture.h"

#define SHOP "entities/apps/shop"

static struct td_ask ask;

static int change(enum td_entity_change how, const char *document, const char *if_match)
{
    ask_begin(&ask, TD_ASK_CHANGE, SHOP);
    ask.change = (struct td_ask_change){
        .how = how,
        .document = td_slice_str(document),
        .said = td_slice_str(document),
        .if_match = if_match ? td_slice_str(if_match) : (struct td_slice){NULL, 0},
        .bytes_max = 1000,
    };
    send_and_wait(&ask);
    return ask.err;
}

static uint64_t number(const char *name)
{
    struct td_slice value;
    uint64_t n = 0;

    if (ask.body.len > 0 && td_json_get(td_buf_slice(&ask.body), name, &value))
        assert_int_equal(td_json_u64(value, &n), 0);
    return n;
}

static void assert_payload(const char *text)
{
    struct td_slice value;

    assert_true(td_json_get(td_buf_slice(&ask.body), "payload", &value));
    assert_slice(value, text);
}

static int put(const char *document)
{
    int err = change(TD_ENTITY_PUT, document, NULL);

    return err;
}

static int get(void)
{
    ask_begin(&ask, TD_ASK_ENTITY, SHOP);
    send_and_wait(&ask);
    return ask.err;
}

/* Each without a sync in between: the desk reads what nobody else can read yet. */
static void versions_are_counted(void **state)
{
    uint64_t last = 0;

    (void)state;
    for (uint64_t version = 1; version <= 5; version++) {
        assert_int_equal(put("{\"a\":1}"), 0);
        assert_int_equal(number("version"), version);
        assert_int_equal(ask.created, version == 1);
        assert_true(ask.record > last);
        assert_int_equal(ask.wait_for, ask.record);
        last = ask.record;
        td_ask_done(&ask);
    }
    assert_int_equal(get(), 0);
    assert_int_equal(number("version"), 5);
    assert_int_equal(ask.wait_for, last); /* it is not told before it is durable */
    td_ask_done(&ask);
    desk_kill();
    assert_int_equal(put("{}"), 0);
    assert_int_equal(number("version"), 6);
    td_ask_done(&ask);
}

static void a_version_is_a_condition(void **state)
{
    char tag[64];

    (void)state;
    assert_int_equal(change(TD_ENTITY_PUT, "1", "*"), TD_ECONFLICT);
    assert_int_equal(ask.body.len, 0);
    td_ask_done(&ask);
    assert_int_equal(put("1"), 0);
    snprintf(tag, sizeof(tag), "W/\"x\", \"%08x.%llu\"", td_journal_epoch(log_of.journal),
             (unsigned long long)ask.record);
    td_ask_done(&ask);
    assert_int_equal(change(TD_ENTITY_PUT, "2", tag), 0);
    td_ask_done(&ask);
    assert_int_equal(change(TD_ENTITY_PUT, "3", tag), TD_ECONFLICT);
    assert_payload("2");
    td_ask_done(&ask);
    assert_int_equal(change(TD_ENTITY_PUT, "3", "2"), 0);
    td_ask_done(&ask);
    assert_int_equal(change(TD_ENTITY_PUT, "4", "\"2\""), TD_ECONFLICT);
    td_ask_done(&ask);
    assert_int_equal(change(TD_ENTITY_PUT, "4", "W/\"3\""), TD_ECONFLICT);
    td_ask_done(&ask);
    assert_int_equal(change(TD_ENTITY_DELETE, "", "*"), 0);
    assert_int_equal(number("version"), 4);
    assert_payload("3");
    td_ask_done(&ask);
    assert_int_equal(change(TD_ENTITY_DELETE, "", NULL), TD_ENOTFOUND);
    td_ask_done(&ask);
    /* It is made again, and at the same version: the first one's tag does not fit. */
    assert_int_equal(put("1"), 0);
    assert_int_equal(number("version"), 1);
    td_ask_done(&ask);
    assert_int_equal(change(TD_ENTITY_PUT, "2", tag), TD_ECONFLICT);
    td_ask_done(&ask);
}

static void what_is_deleted_is_gone(void **state)
{
    (void)state;
    assert_int_equal(put("{\"a\":1}"), 0);
    td_ask_done(&ask);
    assert_int_equal(change(TD_ENTITY_DELETE, "", NULL), 0);
    td_ask_done(&ask);
    assert_int_equal(get(), TD_ENOTFOUND);
    td_ask_done(&ask);
    commit();
    assert_int_equal(get(), TD_ENOTFOUND);
    td_ask_done(&ask);
    desk_kill();
    assert_int_equal(get(), TD_ENOTFOUND);
    td_ask_done(&ask);
}

static void a_patch_is_merged(void **state)
{
    (void)state;
    assert_int_equal(change(TD_ENTITY_PATCH, "{}", NULL), TD_ENOTFOUND);
    td_ask_done(&ask);
    assert_int_equal(put("{\"a\":1.10,\"b\":{\"c\":2}}"), 0);
    td_ask_done(&ask);
    assert_int_equal(change(TD_ENTITY_PATCH, "{\"b\":{\"d\":3},\"e\":null}", NULL), 0);
    assert_payload("{\"a\":1.10,\"b\":{\"c\":2,\"d\":3}}");
    td_ask_done(&ask);
}

static void a_patch_has_a_limit(void **state)
{
    static char patch[1100];

    (void)state;
    assert_int_equal(put("{\"a\":1}"), 0);
    td_ask_done(&ask);
    snprintf(patch, sizeof(patch), "{\"b\":\"%0995d\"}", 7);
    assert_int_equal(change(TD_ENTITY_PATCH, patch, NULL), TD_ETOOLARGE);
    td_ask_done(&ask);
    assert_int_equal(get(), 0);
    assert_int_equal(number("version"), 1);
    td_ask_done(&ask);
}

static int put_once(const char *document, const char *key)
{
    ask_begin(&ask, TD_ASK_CHANGE, SHOP);
    ask.change = (struct td_ask_change){
        .how = TD_ENTITY_PUT,
        .document = td_slice_str(document),
        .said = td_slice_str(document),
        .idempotency_key = td_slice_str(key),
        .if_none_match = true,
        .bytes_max = 1000,
    };
    send_and_wait(&ask);
    return ask.err;
}

static void a_repeat_is_answered_as_before(void **state)
{
    (void)state;
    assert_int_equal(put_once("1", "k"), 0);
    uint64_t first = ask.record;
    td_ask_done(&ask);
    assert_int_equal(put("2"), 0);
    td_ask_done(&ask);
    assert_int_equal(put_once("1", "k"), 0);
    assert_int_equal(ask.record, first);
    assert_int_equal(number("version"), 1);
    assert_payload("1");
    assert_true(ask.created);
    td_ask_done(&ask);
    assert_int_equal(put_once("3", "k"), TD_EMISMATCH);
    td_ask_done(&ask);
    assert_int_equal(put_once("3", "l"), TD_ECONFLICT);
    td_ask_done(&ask);
}

static void list(const char *after, size_t limit)
{
    ask_begin(&ask, TD_ASK_ENTITIES, "entities/apps/*");
    ask.page = (struct td_ask_page){td_slice_str(after), limit};
    send_and_wait(&ask);
}

static void assert_body_has(const char *text, bool has)
{
    assert_int_equal(memmem(ask.body.ptr, ask.body.len, text, strlen(text)) != NULL, has);
}

static void they_are_listed_in_order(void **state)
{
    (void)state;
    for (int i = 0; i < 9; i++) {
        char topic[64];
        snprintf(topic, sizeof(topic), "entities/apps/a%d", i * 7 % 9);
        ask_begin(&ask, TD_ASK_CHANGE, topic);
        ask.change = (struct td_ask_change){
            .how = TD_ENTITY_PUT, .document = TD_S("1"), .said = TD_S("1"), .bytes_max = 10};
        send_and_wait(&ask);
        assert_int_equal(ask.err, 0);
        td_ask_done(&ask);
    }
    commit();
    list("", 4);
    assert_int_equal(ask.err, 0);
    assert_body_has("\"a3\"", true);
    assert_body_has("\"a4\"", false);
    assert_body_has("\"more\":true", true);
    td_ask_done(&ask);
    list("a3", 5);
    assert_body_has("\"a3\"", false);
    assert_body_has("\"a4\"", true);
    assert_body_has("\"a8\"", true);
    assert_body_has("\"more\":false", true);
    td_ask_done(&ask);
    list("a35", 1);
    assert_body_has("\"a4\"", true);
    td_ask_done(&ask);
    ask_begin(&ask, TD_ASK_ENTITIES, "entities/apps/*");
    ask.principal = bob;
    ask.page.limit = 10;
    send_and_wait(&ask);
    assert_int_equal(ask.err, TD_EFORBIDDEN);
    td_ask_done(&ask);
}

static int publish(const struct td_draft *drafts, size_t n, const char *key, uint64_t *ret_seqs)
{
    struct td_batch batch = {
        .drafts = drafts, .n = n, .dedup = td_slice_str(key), .dedup_scope = td_slice_str("ann")};

    ask_begin(&ask, TD_ASK_PUBLISH, "");
    ask.publish = (struct td_ask_publish){&batch, ret_seqs};
    send_and_wait(&ask);
    int err = ask.err;
    td_ask_done(&ask);
    return err;
}

static struct td_draft event(const char *type, const char *data)
{
    return (struct td_draft){
        .topic = TD_S(SHOP), .type = td_slice_str(type), .data = td_slice_str(data)};
}

static void a_publish_is_a_change(void **state)
{
    const struct td_draft drafts[] = {
        event("ENTITY_UPDATED", "{\"name\":\"x\"}"),
        draft("rooms/1", "{\"payload\":1}"),
        event("ENTITY_UPDATED", "{\"payload\":{\"name\":\"y\"},\"version\":70}"),
        event("ENTITY_DELETED", "null"),
        event("ENTITY_CREATED", "[]"),
    };
    const char *const said[] = {
        "{\"payload\":{\"name\":\"x\"},\"version\":1}",
        "{\"payload\":1}",
        "{\"payload\":{\"name\":\"y\"},\"version\":2}",
        "{\"payload\":{\"name\":\"y\"},\"version\":3}",
        "{\"payload\":[],\"version\":1}",
    };
    uint64_t seqs[5], again[5];

    (void)state;
    assert_int_equal(publish(drafts, 5, "k", seqs), 0);
    commit();
    struct td_read read = read_after(&log_of, "**", 0);
    assert_int_equal(read.n, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(td_record_seq(records[i]), seqs[i]);
        assert_slice(record_data(records[i]), said[i]);
    }
    assert_int_equal(get(), 0);
    assert_payload("[]");
    td_ask_done(&ask);
    assert_int_equal(publish(drafts, 5, "k", again), 0);
    assert_memory_equal(seqs, again, sizeof(seqs));
    assert_int_equal(publish(drafts, 4, "k", again), TD_EMISMATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(versions_are_counted, desk_begin, desk_end),
        cmocka_unit_test_setup_teardown(a_version_is_a_condition, desk_begin, desk_end),
        cmocka_unit_test_setup_teardown(what_is_deleted_is_gone, desk_begin, desk_end),
        cmocka_unit_test_setup_teardown(a_patch_is_merged, desk_begin, desk_end),
        cmocka_unit_test_setup_teardown(a_patch_has_a_limit, desk_begin, desk_end),
        cmocka_unit_test_setup_teardown(a_repeat_is_answered_as_before, desk_begin, desk_end),
        cmocka_unit_test_setup_teardown(they_are_listed_in_order, desk_begin, desk_end),
        cmocka_unit_test_setup_teardown(a_publish_is_a_change, desk_begin, desk_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
