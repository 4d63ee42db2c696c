/* SPDX-License-Identifier: Apache-2.0 */
/* Time and size, each with its unit in its name.  Two clocks, never mixed: td_ns is monotonic and serves
 * timeouts, heartbeats and rates; td_unix_ms is the wall clock and serves what people and tokens see. */
#pragma once

#include "base/compiler.h"
#include "base/slice.h"
#include <stdint.h>

typedef uint64_t td_ns;      /* nanoseconds on the monotonic clock */
typedef uint64_t td_unix_ms; /* milliseconds since 1970-01-01T00:00:00Z */

#define TD_NS_PER_US UINT64_C(1000)
#define TD_NS_PER_MS UINT64_C(1000000)
#define TD_NS_PER_S  UINT64_C(1000000000)

#define TD_KIB ((size_t)1024)
#define TD_MIB ((size_t)1024 * 1024)

/* Writes `time` as RFC 3339 with milliseconds and Z, `2026-11-20T20:44:01.123Z`, and a NUL.  What
 * lies beyond the year 9999 is written as its last millisecond. */
#define TD_TIME_LEN 24
void td_time_format(td_unix_ms time, char ret_text[TD_TIME_LEN + 1]);
/* Reads a text that must be exactly what td_time_format writes.  0, or TD_EINVAL. */
TD_MUST_USE int td_time_parse(struct td_slice text, td_unix_ms *ret_time);
