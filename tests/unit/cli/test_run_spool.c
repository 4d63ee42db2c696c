/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka wants these in front of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"
#include "cli/run_spool.h"
#include "os/file.h"
#include <cmocka.h>

static struct td_run_spool *spool_of(size_t memory_bytes_max, uint64_t disk_bytes_max)
{
    struct td_run_spool *spool;
    const struct td_run_spool_config config = {
        .memory_bytes_max = memory_bytes_max,
        .disk_bytes_max = disk_bytes_max,
        .dir = "/tmp",
    };

    assert_int_equal(td_run_spool_new(&config, &spool), 0);
    return spool;
}

/* Takes a batch and checks it. */
static void take(struct td_run_spool *spool, size_t entries_max, size_t bytes_max,
                 struct td_slice expected)
{
    struct td_run_batch batch;

    assert_int_equal(td_run_spool_peek(spool, entries_max, bytes_max, &batch), 1);
    assert_int_equal(batch.ndjson.len, expected.len);
    assert_memory_equal(batch.ndjson.ptr, expected.ptr, expected.len);
    td_run_spool_drop(spool, batch.ndjson.len);
}

static void assert_empty(struct td_run_spool *spool)
{
    struct td_run_batch batch;

    assert_int_equal(td_run_spool_peek(spool, 1, 1, &batch), 0);
    assert_int_equal(td_run_spool_bytes(spool), 0);
}

static void test_batches_are_bounded(void **state)
{
    struct td_run_spool *spool = spool_of(100, 0);

    (void)state;
    assert_empty(spool);
    assert_int_equal(td_run_spool_put(spool, TD_S("one")), 0);
    assert_int_equal(td_run_spool_put(spool, TD_S("two")), 0);
    assert_int_equal(td_run_spool_put(spool, TD_S("three")), 0);
    assert_int_equal(td_run_spool_bytes(spool), 14);
    take(spool, 1, 100, TD_S("one\n"));
    take(spool, 9, 9, TD_S("two\n"));
    assert_int_equal(td_run_spool_put(spool, TD_S("four")), 0);
    take(spool, 9, 1, TD_S("three\n")); /* one goes even when it is longer */
    take(spool, 9, 9, TD_S("four\n"));
    assert_empty(spool);
    td_run_spool_free(spool);
}

static void test_a_batch_that_is_not_dropped_comes_again(void **state)
{
    struct td_run_spool *spool = spool_of(100, 0);
    struct td_run_batch batch;

    (void)state;
    assert_int_equal(td_run_spool_put(spool, TD_S("one")), 0);
    assert_int_equal(td_run_spool_peek(spool, 9, 99, &batch), 1);
    assert_int_equal(td_run_spool_put(spool, TD_S("two")), 0);
    assert_int_equal(td_run_spool_peek(spool, 1, 99, &batch), 1);
    assert_int_equal(batch.n_entries, 1);
    take(spool, 9, 99, TD_S("one\ntwo\n"));
    td_run_spool_free(spool);
}

static void test_full_refuses_and_keeps(void **state)
{
    struct td_run_spool *spool = spool_of(8, 10);

    (void)state;
    assert_int_equal(td_run_spool_put(spool, TD_S("abc")), 0);
    assert_int_equal(td_run_spool_put(spool, TD_S("def")), 0); /* memory is full */
    assert_int_equal(td_run_spool_put(spool, TD_S("ghijk")), 0);
    assert_int_equal(td_run_spool_put(spool, TD_S("lmno")), TD_EFULL);
    assert_int_equal(td_run_spool_put(spool, TD_S("lmn")), 0);
    assert_int_equal(td_run_spool_put(spool, TD_S("x")), TD_EFULL);
    take(spool, 1, 100, TD_S("abc\n"));
    /* There is room in memory, but what comes later must not overtake what is on disk. */
    assert_int_equal(td_run_spool_put(spool, TD_S("x")), TD_EFULL);
    take(spool, 9, 100, TD_S("def\n"));
    take(spool, 9, 100, TD_S("ghijk\n"));
    assert_int_equal(td_run_spool_put(spool, TD_S("opq")), 0);
    take(spool, 9, 100, TD_S("lmn\nopq\n"));
    assert_empty(spool);
    td_run_spool_free(spool);
}

static void test_memory_only_refuses(void **state)
{
    struct td_run_spool *spool = spool_of(8, 0);

    (void)state;
    assert_int_equal(td_run_spool_put(spool, TD_S("abcdefg")), 0);
    assert_int_equal(td_run_spool_put(spool, TD_S("h")), TD_EFULL);
    td_run_spool_free(spool);
}

static void test_no_disk_is_an_error_that_loses_nothing(void **state)
{
    struct td_run_spool *spool;
    const struct td_run_spool_config config = {8, 100, "/nonexistent/directory"};

    (void)state;
    assert_int_equal(td_run_spool_new(&config, &spool), 0);
    assert_int_equal(td_run_spool_put(spool, TD_S("abcdefg")), 0);
    assert_true(td_run_spool_put(spool, TD_S("h")) < 0);
    take(spool, 9, 100, TD_S("abcdefg\n"));
    assert_int_equal(td_run_spool_put(spool, TD_S("h")), 0);
    take(spool, 9, 100, TD_S("h\n"));
    td_run_spool_free(spool);
}

/* Numbered entries of random length in, random batches out: all come, once, in order. */
static void churn(uint64_t seed)
{
    struct td_rng rng;
    struct td_run_spool *spool = spool_of(128, 1 + 64 + seed % 400);
    uint64_t put = 0, taken = 0;

    td_rng_init(&rng, seed);
    for (int i = 0; i < 4000; i++) {
        char text[80];
        struct td_run_batch batch;
        int n = snprintf(text, sizeof(text), "%0*llu", 1 + (int)td_rng_below(&rng, 60),
                         (unsigned long long)put);
        int r = td_run_spool_put(spool, td_slice(text, (size_t)n));
        assert_true(r == 0 || r == TD_EFULL);
        put += r == 0;
        if (r == 0 && !td_rng_one_in(&rng, 3))
            continue;
        if (td_run_spool_peek(spool, 1 + td_rng_below(&rng, 9), 100, &batch) == 0)
            continue;
        struct td_slice rest = batch.ndjson, line;
        for (size_t k = 0; k < batch.n_entries; k++) {
            uint64_t number;
            assert_true(td_slice_split(&rest, '\n', &line));
            assert_int_equal(td_slice_u64(line, &number), 0);
            assert_int_equal(number, taken++);
        }
        assert_int_equal(rest.len, 0);
        td_run_spool_drop(spool, batch.ndjson.len);
    }
    assert_true(taken > 500 && taken <= put);
    td_run_spool_free(spool);
}

static void test_everything_comes_once_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++)
        churn(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches_are_bounded),
        cmocka_unit_test(test_a_batch_that_is_not_dropped_comes_again),
        cmocka_unit_test(test_full_refuses_and_keeps),
        cmocka_unit_test(test_memory_only_refuses),
        cmocka_unit_test(test_no_disk_is_an_error_that_loses_nothing),
        cmocka_unit_test(test_everything_comes_once_in_order),
    };
    return cmocka_run_group_tests_name("run_spool", tests, NULL, NULL);
}
