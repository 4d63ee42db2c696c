/* SPDX-License-Identifier: Apache-2.0 */
#include "base/compiler.h"
#include "base/units.h"
#include <stdio.h>
#include <time.h>

/* Behind it the year has five digits, which RFC 3339 does not know. */
#define YEAR_9999_END UINT64_C(253402300799999)

void td_time_format(td_unix_ms time, char ret_text[TD_TIME_LEN + 1])
{
    struct tm tm;

    time = TD_MIN(time, YEAR_9999_END);
    time_t seconds = (time_t)(time / 1000);

    gmtime_r(&seconds, &tm);
    size_t n = strftime(ret_text, TD_TIME_LEN + 1, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret_text + n, TD_TIME_LEN + 1 - n, ".%03uZ", (unsigned)(time % 1000));
}
