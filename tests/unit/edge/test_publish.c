/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "edge/publish.h"

static struct td_principal *ann;

static int setup(void **state)
{
    static const struct td_slice publish[] = {
        {"a/**",        4 },
        {"entities/**", 11}
    };
    const struct td_claims claims = {
        .sub = TD_S("ann"),
        .has_grants = true,
        .grants = {.publish = {publish, 2}},
        .exp = TD_EXP_NEVER,
    };
    const struct td_policy policy = {0};
    const char *reason;

    (void)state;
    return td_principal_new(&claims, &policy, &ann, &reason);
}

static int teardown(void **state)
{
    (void)state;
    td_principal_unref(ann);
    return 0;
}

static int parse(struct td_publish *publish, const char *body, bool ndjson)
{
    struct td_buf why = TD_BUF_INIT(1024);
    const struct td_publish_options options = {
        .events_max = 5, .event_bytes_max = 64, .principal = ann, .idempotency_key = TD_S("k")};

    int r = td_publish_parse(publish, td_slice_str(body), ndjson, &options, &why);
    /* Whoever is refused is told why. */
    assert_int_equal(r<0, why.len> 0);
    td_buf_done(&why);
    return r;
}

static void refused(int err, const char *body, bool ndjson)
{
    struct td_publish publish;

    assert_int_equal(parse(&publish, body, ndjson), err);
    td_publish_done(&publish);
}

#define assert_slice(slice, text)                                 \
    do {                                                          \
        assert_int_equal((slice).len, sizeof(text) - 1);          \
        assert_memory_equal((slice).ptr, text, sizeof(text) - 1); \
    } while (0)

static void test_one(void **state)
{
    struct td_publish publish;

    (void)state;
    assert_int_equal(parse(&publish,
                           " {\"topic\":\"a\\/b\",\"type\":\"t\",\"data\":{\"x\" : 1},"
                           "\"class\":\"log\",\"key\":\"p/q\",\"dedup\":\"d\\u00e9\"} ",
                           false),
                     0);
    assert_false(publish.is_list);
    assert_int_equal(publish.batch.n, 1);
    const struct td_draft *draft = publish.batch.drafts;
    assert_slice(draft->topic, "a/b");
    assert_slice(draft->type, "t");
    assert_slice(draft->data, "{\"x\" : 1}");
    assert_slice(draft->key, "p/q");
    assert_slice(draft->dedup, "d\xc3\xa9");
    assert_slice(draft->dedup_scope, "ann");
    assert_slice(draft->actor, "\"ann\"");
    assert_slice(publish.batch.dedup, "k");
    td_publish_done(&publish);
}

static void test_lists(void **state)
{
    struct td_publish publish;

    (void)state;
    assert_int_equal(parse(&publish,
                           "[{\"topic\":\"a\",\"type\":\"t\"},{\"topic\":\"a/b\",\"type\":\"u\"}]",
                           false),
                     0);
    assert_true(publish.is_list);
    assert_int_equal(publish.batch.n, 2);
    assert_slice(publish.batch.drafts[0].data, "null");
    assert_slice(publish.batch.drafts[1].topic, "a/b");
    td_publish_done(&publish);

    assert_int_equal(
        parse(&publish,
              "\n{\"topic\":\"a\",\"type\":\"t\"}\r\n\r\n{\"topic\":\"a/b\",\"type\":\"u\"}", true),
        0);
    assert_int_equal(publish.batch.n, 2);
    td_publish_done(&publish);

    assert_int_equal(
        parse(&publish, "{\"topics\":[\"a/1\",\"a/2\"],\"type\":\"t\",\"dedup\":\"d\"}", false), 0);
    assert_true(publish.is_list);
    assert_int_equal(publish.batch.n, 2);
    assert_slice(publish.batch.drafts[0].dedup, "d#0");
    assert_slice(publish.batch.drafts[1].dedup, "d#1");
    td_publish_done(&publish);
}

#define CHUNK(data) "{\"topic\":\"a\",\"type\":\"t\",\"class\":\"append\",\"data\":" data
#define KEY         ",\"key\":\"k\"}"

static void test_classes(void **state)
{
    struct td_publish publish;

    (void)state;
    assert_int_equal(parse(&publish, CHUNK("{\"content\":\"x\",\"offset\":0}") KEY, false), 0);
    assert_int_equal(publish.batch.drafts[0].class, TD_CLASS_APPEND);
    assert_true(publish.batch.drafts[0].begins_text);
    td_publish_done(&publish);
    assert_int_equal(parse(&publish, CHUNK("{\"offset\":7,\"content\":\"\"}") KEY, false), 0);
    assert_false(publish.batch.drafts[0].begins_text);
    td_publish_done(&publish);
    assert_int_equal(
        parse(&publish, "{\"topic\":\"a\",\"type\":\"t\",\"class\":\"latest\"}", false), 0);
    assert_int_equal(publish.batch.drafts[0].class, TD_CLASS_LATEST);
    td_publish_done(&publish);
}

/* They are told apart, and the order of the request is remembered. */
static void test_ephemeral(void **state)
{
    const struct td_publish_options options = {
        .events_max = 8, .event_bytes_max = 64, .principal = ann};
    struct td_buf why = TD_BUF_INIT(1024);
    struct td_publish publish;

    (void)state;
    assert_int_equal(
        td_publish_parse(&publish,
                         TD_S("[{\"topic\":\"a/1\",\"type\":\"t\",\"class\":\"ephemeral\"},"
                              "{\"topic\":\"a/2\",\"type\":\"t\"},"
                              "{\"topic\":\"a/3\",\"type\":\"t\",\"class\":\"ephemeral\"}]"),
                         false, &options, &why),
        0);
    assert_int_equal(publish.n, 3);
    assert_int_equal(publish.batch.n, 1);
    assert_int_equal(publish.n_ephemeral, 2);
    assert_slice(publish.batch.drafts[0].topic, "a/2");
    assert_slice(publish._drafts[1].topic, "a/1");
    assert_slice(publish._drafts[2].topic, "a/3");
    assert_true(publish._is_ephemeral[0] && !publish._is_ephemeral[1] && publish._is_ephemeral[2]);
    td_publish_done(&publish);
    td_buf_done(&why);
}

static void test_refused(void **state)
{
    (void)state;
    refused(TD_EJSON, "", false);
    refused(TD_EJSON, "{", false);
    refused(TD_EINVAL, "[]", false);
    refused(TD_EINVAL, "\n\n", true);
    refused(TD_EINVAL, "1", false);
    refused(TD_EINVAL, "{\"topic\":\"a\"}", false);
    refused(TD_EINVAL, "{\"type\":\"t\"}", false);
    refused(TD_EINVAL, "{\"topic\":\"a\",\"topics\":[\"a\"],\"type\":\"t\"}", false);
    refused(TD_EINVAL, "{\"topic\":\"a\",\"topic\":\"a\",\"type\":\"t\"}", false);
    refused(TD_EINVAL, "{\"topic\":\"a\",\"type\":\"t\",\"tpye\":1}", false);
    refused(TD_EINVAL, "{\"topic\":\"a\",\"type\":\"\"}", false);
    refused(TD_EINVAL, "{\"topic\":\"a\",\"type\":\"x\\ny\"}", false);
    refused(TD_EINVAL, "{\"topic\":\"a\",\"type\":\"t\",\"class\":\"newest\"}", false);
    refused(TD_EINVAL, "{\"topic\":\"a\",\"type\":\"t\",\"class\":1}", false);
    /* a chunk without key, content or offset, or with two */
    refused(TD_EINVAL, CHUNK("{\"content\":\"x\",\"offset\":0}") "}", false);
    refused(TD_EINVAL, CHUNK("{\"offset\":0}") KEY, false);
    refused(TD_EINVAL, CHUNK("{\"content\":\"x\"}") KEY, false);
    refused(TD_EINVAL, CHUNK("{\"content\":1,\"offset\":0}") KEY, false);
    refused(TD_EINVAL, CHUNK("{\"content\":\"x\",\"offset\":-1}") KEY, false);
    refused(TD_EINVAL, CHUNK("{\"content\":\"x\",\"offset\":1.0}") KEY, false);
    refused(TD_EINVAL, CHUNK("{\"content\":\"x\",\"offset\":0,\"offset\":0}") KEY, false);
    refused(TD_EINVAL, CHUNK("{\"content\":\"x\",\"offset\":9007199254740992}") KEY, false);
    refused(TD_EINVAL, CHUNK("\"x\"") KEY, false);
    /* parse() gives an Idempotency-Key */
    refused(TD_EINVAL, "{\"topic\":\"a\",\"type\":\"t\",\"class\":\"ephemeral\"}", false);
    refused(TD_EINVAL, "{\"topic\":\"a\",\"type\":\"t\",\"key\":\"a b\"}", false);
    refused(TD_EINVAL, "{\"topic\":\"a\",\"type\":\"t\",\"dedup\":\"\"}", false);
    refused(TD_EINVAL, "{\"topics\":[],\"type\":\"t\"}", false);
    refused(TD_ETOPIC, "{\"topic\":\"a//b\",\"type\":\"t\"}", false);
    refused(TD_ETOPIC, "{\"topic\":\"a/*\",\"type\":\"t\"}", false);
    refused(TD_EFORBIDDEN, "{\"topic\":\"b\",\"type\":\"t\"}", false);
    refused(TD_ERESERVED, "{\"topic\":\"jobs/1\",\"type\":\"t\"}", false);
    refused(TD_EINVAL, "{\"topic\":\"entities/a/1\",\"type\":\"t\"}", false);
    refused(TD_EINVAL, "{\"topic\":\"entities/a/1\",\"type\":\"ENTITY_UPDATED\",\"key\":\"k\"}",
            false);
    refused(TD_EINVAL,
            "{\"topic\":\"entities/a/1\",\"type\":\"ENTITY_UPDATED\",\"class\":\"ephemeral\"}",
            false);
    refused(TD_ETOOLARGE,
            "{\"topic\":\"a\",\"type\":\"t\",\"data\":"
            "\"0123456789012345678901234567890123456789012345678901234567890123456789\"}",
            false);
    refused(TD_ETOOLARGE, "{\"topics\":[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"],\"type\":\"t\"}",
            false);
    /* The good ones before a bad one do not count. */
    refused(TD_EFORBIDDEN, "{\"topic\":\"a\",\"type\":\"t\"}\n{\"topic\":\"b\",\"type\":\"t\"}",
            true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),     cmocka_unit_test(test_lists),
        cmocka_unit_test(test_classes), cmocka_unit_test(test_ephemeral),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
