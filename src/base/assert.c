/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include <stdio.h>
#include <stdlib.h>

_Atomic uint64_t td_expect_failures;
bool td_expect_aborts;

void td_assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "tidings: %s:%d: assertion failed: %s\n", file, line, expr);
    abort();
}

void td_expect_failed(const char *expr, const char *file, int line)
{
    atomic_fetch_add_explicit(&td_expect_failures, 1, memory_order_relaxed);
    if (td_expect_aborts)
        td_assert_failed(expr, file, line);
}
