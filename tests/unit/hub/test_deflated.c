/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"
#include "base/units.h"
#include "hub/deflated.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const enum td_wire wires[] = {TD_WIRE_WS_EVENT_DEFLATED, TD_WIRE_WS_FLAT_DEFLATED,
                                     TD_WIRE_WS_ENTITY_DEFLATED};

/* A frame that says whose it is. */
static struct td_slice frame_of(uint64_t seq, enum td_wire wire, size_t len)
{
    static char bytes[TD_DEFLATED_BYTES];

    memset(bytes, (int)(seq * 7 + wire), len);
    return td_slice(bytes, len);
}

static void check(const struct td_deflated *kept, uint64_t seq, enum td_wire wire, size_t len)
{
    struct td_slice found = td_deflated_find(kept, seq, wire);

    assert_non_null(found.ptr);
    assert_true(td_slice_eq(found, frame_of(seq, wire, len)));
}

static void test_keeps_the_last(void **state)
{
    struct td_deflated *kept = td_deflated_new();

    (void)state;
    assert_null(td_deflated_find(NULL, 1, wires[0]).ptr);
    assert_non_null(kept);
    assert_null(td_deflated_find(kept, 0, wires[0]).ptr);
    for (uint64_t seq = 1; seq <= 3 * TD_DEFLATED_SLOTS; seq++) {
        assert_null(td_deflated_find(kept, seq, wires[1]).ptr);
        td_deflated_keep(kept, seq, wires[1], frame_of(seq, wires[1], 100 + seq % 50));
    }
    for (uint64_t seq = 1; seq <= 3 * TD_DEFLATED_SLOTS; seq++)
        if (seq <= 2 * TD_DEFLATED_SLOTS)
            assert_null(td_deflated_find(kept, seq, wires[1]).ptr);
        else
            check(kept, seq, wires[1], 100 + seq % 50);
    assert_null(td_deflated_find(kept, 3 * TD_DEFLATED_SLOTS, wires[0]).ptr);
    td_deflated_free(kept);
}

static void test_tells_wires_apart(void **state)
{
    struct td_deflated *kept = td_deflated_new();

    (void)state;
    assert_non_null(kept);
    for (uint64_t seq = 1; seq <= TD_DEFLATED_SLOTS / 3; seq++)
        for (size_t i = 0; i < 3; i++)
            td_deflated_keep(kept, seq, wires[i], frame_of(seq, wires[i], 40 + i));
    for (uint64_t seq = 1; seq <= TD_DEFLATED_SLOTS / 3; seq++)
        for (size_t i = 0; i < 3; i++)
            check(kept, seq, wires[i], 40 + i);
    td_deflated_free(kept);
}

/* Of what is long fewer are kept, and of what is too long none; the sanitizers count the bytes. */
static void test_is_bounded(void **state)
{
    struct td_deflated *kept = td_deflated_new();
    size_t len = TD_DEFLATED_BYTES / 32, found = 0;

    (void)state;
    assert_non_null(kept);
    for (uint64_t seq = 1; seq <= 500; seq++)
        td_deflated_keep(kept, seq, wires[0], frame_of(seq, wires[0], len));
    for (uint64_t seq = 1; seq <= 500; seq++)
        found += td_deflated_find(kept, seq, wires[0]).ptr != NULL;
    assert_in_range(found, 1, 32);
    check(kept, 500, wires[0], len);
    td_deflated_keep(kept, 501, wires[0], frame_of(501, wires[0], TD_DEFLATED_BYTES / 16 + 1));
    assert_null(td_deflated_find(kept, 501, wires[0]).ptr);
    td_deflated_keep(kept, 0, wires[0], frame_of(0, wires[0], 10));
    assert_null(td_deflated_find(kept, 0, wires[0]).ptr);
    td_deflated_free(kept);
}

static void test_random(void **state)
{
    struct td_deflated *kept = td_deflated_new();
    struct td_rng rng;

    (void)state;
    assert_non_null(kept);
    td_rng_init(&rng, 1);
    for (int i = 0; i < 20000; i++) {
        uint64_t seq = 1 + td_rng_below(&rng, 3000);
        enum td_wire wire = wires[td_rng_below(&rng, 3)];
        size_t len = 1 + (seq * 31 + wire) % 9000;
        if (td_deflated_find(kept, seq, wire).ptr)
            check(kept, seq, wire, len);
        else
            td_deflated_keep(kept, seq, wire, frame_of(seq, wire, len));
    }
    td_deflated_free(kept);
}

#define WORDS "again and again and again and again and again and again and again and again"

static struct td_buf encoded(struct td_encoder *encoder, const struct td_record *record,
                             const struct td_format_marks *marks)
{
    struct td_buf out = TD_BUF_INIT(TD_MIB);

    assert_int_equal(td_encode(encoder, record, TD_WIRE_WS_EVENT_DEFLATED, marks, &out), 0);
    return out;
}

/* What an event of the log goes as says nothing of one that was made of it, or is told with marks, though their sequence is the same. */
static void test_only_what_lies_in_the_log_is_kept(void **state)
{
    const struct td_record of_log = {
        .seq = 5,
        .json = TD_S("{\"id\":\"1.5\",\"topic\":\"a\",\"type\":\"t\",\"data\":\"" WORDS "\"}"),
        .frame = TD_S("a frame"),
        .topic = TD_S("a"),
        .type = TD_S("t"),
        .data = TD_S("\"" WORDS "\""),
    };
    struct td_record joined = of_log;
    const struct td_format_marks marks = {.state = true};
    struct td_buf first[3];

    (void)state;
    joined.frame = (struct td_slice){NULL, 0};
    joined.json = TD_S("{\"id\":\"1.5\",\"topic\":\"a\",\"data\":\"more, " WORDS "\"}");
    for (int order = 0; order < 3; order++) {
        struct td_encoder encoder = {0};
        for (int i = 0; i < 9; i++) {
            int which = (order + i) % 3;
            struct td_buf out =
                encoded(&encoder, which == 1 ? &joined : &of_log, which == 2 ? &marks : NULL);
            if (order == 0 && i < 3) {
                first[which] = out;
                continue;
            }
            assert_true(td_slice_eq(td_buf_slice(&out), td_buf_slice(&first[which])));
            td_buf_done(&out);
        }
        /* The other two are made anew each time. */
        assert_in_range(encoder.n_deflated, 7 * sizeof(WORDS), 20 * sizeof(WORDS));
        td_encoder_done(&encoder);
    }
    for (int a = 0; a < 3; a++)
        assert_false(td_slice_eq(td_buf_slice(&first[a]), td_buf_slice(&first[(a + 1) % 3])));
    for (int a = 0; a < 3; a++)
        td_buf_done(&first[a]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_the_last),
        cmocka_unit_test(test_tells_wires_apart),
        cmocka_unit_test(test_is_bounded),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_only_what_lies_in_the_log_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
