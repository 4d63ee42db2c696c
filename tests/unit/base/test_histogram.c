/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/histogram.h"

static void bounds_ascend(void **state)
{
    for (size_t i = 1; i < TD_HISTOGRAM_BOUNDS; i++)
        assert_true(td_histogram_bounds[i] > td_histogram_bounds[i - 1]);
}

static void each_duration_is_in_its_bucket(void **state)
{
    for (size_t i = 0; i < TD_HISTOGRAM_BOUNDS; i++) {
        struct td_histogram histogram = {0};
        struct td_histogram_sum sum = {0};

        td_histogram_add(&histogram, td_histogram_bounds[i]); /* a bound belongs to its bucket */
        td_histogram_add(&histogram, td_histogram_bounds[i] + 1);
        td_histogram_sum(&sum, &histogram);
        assert_int_equal(sum.buckets[i], 1);
        assert_int_equal(sum.buckets[i + 1], 1);
        assert_int_equal(sum.count, 2);
        assert_int_equal(sum.sum_ns, 2 * td_histogram_bounds[i] + 1);
    }
}

static void several_are_summed(void **state)
{
    struct td_histogram a = {0}, b = {0};
    struct td_histogram_sum sum = {0};

    td_histogram_add(&a, 0);
    td_histogram_add(&a, UINT64_C(1) << 60);
    td_histogram_add(&b, 1);
    td_histogram_sum(&sum, &a);
    td_histogram_sum(&sum, &b);
    assert_int_equal(sum.buckets[0], 2);
    assert_int_equal(sum.buckets[TD_HISTOGRAM_BOUNDS], 1);
    assert_int_equal(sum.count, 3);
    assert_int_equal(sum.sum_ns, (UINT64_C(1) << 60) + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_ascend),
        cmocka_unit_test(each_duration_is_in_its_bucket),
        cmocka_unit_test(several_are_summed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
