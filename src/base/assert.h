/* SPDX-License-Identifier: Apache-2.0 */
/* Assertions.  They stay on in release builds: a broken invariant must stop the process, never the
 * truth of the log.
 *
 *   TD_ASSERT        cheap, always checked, aborts.
 *   TD_DEBUG_ASSERT  costly; checked in debug, sanitizer and simulator builds.
 *   TD_EXPECT(cond)  a question: false is counted and, in tests, aborts; the caller handles it. */
#pragma once

#include "base/compiler.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

TD_NORETURN void td_assert_failed(const char *expr, const char *file, int line);

/* Counts a failed TD_EXPECT and, when td_expect_aborts is set (tests, simulator), aborts. */
void td_expect_failed(const char *expr, const char *file, int line);

/* Failed expectations since the start of the process; shown in /metrics.  Any thread. */
extern _Atomic uint64_t td_expect_failures;
/* Set once at start by test programs. */
extern bool td_expect_aborts;

#define TD_ASSERT(cond)                                  \
    do {                                                 \
        if (TD_UNLIKELY(!(cond)))                        \
            td_assert_failed(#cond, __FILE__, __LINE__); \
    } while (0)

#ifdef TD_DEBUG
#    define TD_DEBUG_ASSERT(cond) TD_ASSERT(cond)
#else
#    define TD_DEBUG_ASSERT(cond) ((void)sizeof(cond))
#endif

#define TD_EXPECT(cond) \
    (TD_LIKELY(cond) ? true : (td_expect_failed(#cond, __FILE__, __LINE__), false))
