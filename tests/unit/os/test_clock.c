/* SPDX-License-Identifier: Apache-2.0 */
/* Each clock between two readings of the kernel's own, in its unit. */
#include "os/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define READINGS 10000

static uint64_t kernel_ns(clockid_t clock)
{
    struct timespec time;

    assert_int_equal(clock_gettime(clock, &time), 0);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void monotonic_is_in_nanoseconds_and_never_goes_back(void **state)
{
    td_ns last = kernel_ns(CLOCK_MONOTONIC);
    td_ns first = last;

    for (int i = 0; i < READINGS; i++) {
        td_ns now = td_clock_ns();

        assert_true(now >= last);
        last = now;
    }
    assert_true(last <= kernel_ns(CLOCK_MONOTONIC));
    assert_true(last > first);
}

static void wall_is_in_milliseconds_since_1970(void **state)
{
    td_unix_ms before = kernel_ns(CLOCK_REALTIME) / TD_NS_PER_MS;
    td_unix_ms now = td_clock_unix_ms();

    assert_in_range(now, before, kernel_ns(CLOCK_REALTIME) / TD_NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_is_in_nanoseconds_and_never_goes_back),
        cmocka_unit_test(wall_is_in_milliseconds_since_1970),
    };

    return cmocka_run_group_tests_name("os/clock", tests, NULL, NULL);
}
