/* SPDX-License-Identifier: Apache-2.0 */
#include "base/units.h"

void td_time_format(td_unix_ms time, char ret_text[TD_TIME_LEN + 1])
{
    struct tm tm;
    time_t seconds = (time_t)(time / 1000);

    gmtime_r(&seconds, &tm);
    size_t n = strftime(ret_text, TD_TIME_LEN + 1, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret_text + n, TD_TIME_LEN + 1 - n, ".%03uZ", (unsigned)(time % 1000));
}
