/* SPDX-License-Identifier: Apache-2.0 */
#include "base/compiler.h"
#include "base/err.h"
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

static int digits_at(const char *at, size_t n)
{
    int number = 0;

    for (size_t i = 0; i < n; i++) {
        if (at[i] < '0' || at[i] > '9')
            return -1;
        number = number * 10 + (at[i] - '0');
    }
    return number;
}

int td_time_parse(struct td_slice text, td_unix_ms *ret_time)
{
    static const unsigned char at[] = {0, 5, 8, 11, 14, 17, 20}, len[] = {4, 2, 2, 2, 2, 2, 3};
    char again[TD_TIME_LEN + 1];
    uint64_t number[7];

    if (text.len != TD_TIME_LEN)
        return TD_EINVAL;
    for (size_t i = 0; i < TD_ARRAY_LEN(at); i++) {
        int value = digits_at(text.ptr + at[i], len[i]);
        if (value < 0)
            return TD_EINVAL;
        number[i] = (uint64_t)value;
    }
    if (number[0] < 1970 || number[1] < 1 || number[1] > 12 || number[2] < 1)
        return TD_EINVAL;
    uint64_t year = number[0] - (number[1] <= 2), month = (number[1] + 9) % 12;
    uint64_t day = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 +
                   number[2] - 1 - 719468;
    td_unix_ms time =
        (((day * 24 + number[3]) * 60 + number[4]) * 60 + number[5]) * 1000 + number[6];
    td_time_format(time, again); /* which tells whether there is such a day, and such an hour */
    if (!td_slice_eq(td_slice(again, TD_TIME_LEN), text))
        return TD_EINVAL;
    *ret_time = time;
    return 0;
}
