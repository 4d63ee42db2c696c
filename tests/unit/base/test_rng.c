/* SPDX-License-Identifier: Apache-2.0 */
#include "base/compiler.h"
#include "base/rng.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_one_seed_one_run(void **state)
{
    struct td_rng a, b, c;

    td_rng_init(&a, 42);
    td_rng_init(&b, 42);
    td_rng_init(&c, 43);
    size_t same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t number = td_rng_next(&a);
        assert_int_equal(number, td_rng_next(&b));
        same += number == td_rng_next(&c);
    }
    assert_int_equal(same, 0);
}

/* Failing seeds are kept in the repository, so that a seed must go on to mean the same numbers.  The first
 * is what splitmix64 and xoshiro256** give for the seed 0: rotl(s1 * 5, 7) * 9 by hand. */
static void test_numbers_stay(void **state)
{
    struct td_rng rng;

    td_rng_init(&rng, 0);
    assert_true(rng._s[0] == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(rng._s[1] == UINT64_C(0x6e789e6aa1b965f4));
    assert_true(rng._s[2] == UINT64_C(0x06c45d188009454f));
    assert_true(rng._s[3] == UINT64_C(0xf88bb8a8724c81ec));
    assert_true(td_rng_next(&rng) == UINT64_C(0x99ec5f36cb75f2b4));
}

static void test_below(void **state)
{
    struct td_rng rng;
    unsigned counts[10] = {0}, hits = 0, high = 0;

    td_rng_init(&rng, 1);
    for (int i = 0; i < 100000; i++) {
        uint64_t number = td_rng_below(&rng, 10);
        assert_in_range(number, 0, 9);
        counts[number]++;
        hits += td_rng_one_in(&rng, 50);
        /* With a plain modulus two thirds, instead of a half, would lie in the lower half. */
        high += td_rng_below(&rng, UINT64_C(3) << 62) >= UINT64_C(3) << 61;
        assert_int_equal(td_rng_below(&rng, 1), 0);
    }
    for (size_t i = 0; i < TD_ARRAY_LEN(counts); i++)
        assert_in_range(counts[i], 9500, 10500);
    assert_in_range(hits, 1800, 2200);
    assert_in_range(high, 49000, 51000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_seed_one_run),
        cmocka_unit_test(test_numbers_stay),
        cmocka_unit_test(test_below),
    };

    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
