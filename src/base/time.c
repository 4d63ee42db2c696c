/* SPDX-License-Identifier: Apache-2.0 */
#include "base/compiler.h"
#include "base/units.h"
#include <string.h>

/* Behind it the year has five digits, which RFC 3339 does not know. */
#define YEAR_9999_END UINT64_C(253402300799999)

static void put_digits(char *at, unsigned number, size_t digits)
{
    while (digits-- > 0) {
        at[digits] = (char)('0' + number % 10);
        number /= 10;
    }
}

/* Every event carries one, so this does without strftime.  Years are counted from the first of March of the year 0: then the day that
 * leap years add is the last of its year, and the days before a month follow from a straight line (153 days in five months). */
void td_time_format(td_unix_ms time, char ret_text[TD_TIME_LEN + 1])
{
    time = TD_MIN(time, YEAR_9999_END);
    unsigned ms = (unsigned)(time % 1000), second = (unsigned)(time / 1000 % 86400);
    unsigned day = (unsigned)(time / 86400000) + 719468;    /* from 0000-03-01 to 1970-01-01 */
    unsigned era = day / 146097, day_of_era = day % 146097; /* 400 years each */
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned march_month = (5 * day_of_year + 2) / 153;
    unsigned month = march_month < 10 ? march_month + 3 : march_month - 9;

    memcpy(ret_text, "0000-00-00T00:00:00.000Z", TD_TIME_LEN + 1);
    put_digits(ret_text, era * 400 + year_of_era + (month <= 2), 4);
    put_digits(ret_text + 5, month, 2);
    put_digits(ret_text + 8, day_of_year - (153 * march_month + 2) / 5 + 1, 2);
    put_digits(ret_text + 11, second / 3600, 2);
    put_digits(ret_text + 14, second / 60 % 60, 2);
    put_digits(ret_text + 17, second % 60, 2);
    put_digits(ret_text + 20, ms, 3);
}
