/* SPDX-License-Identifier: Apache-2.0 */
#include "stamp.h"

enum { SEQUENCE_AT = 1, SEQUENCE_DIGITS = 10, DUE_AT = 12, DUE_DIGITS = 19 };

static void put_digits(char *at, unsigned width, uint64_t value)
{
    for (; width > 0; width--, value /= 10)
        at[width - 1] = (char)('0' + value % 10);
}

static uint64_t digits(const char *at, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value = value * 10 + (uint64_t)(at[i] - '0');
    return value;
}

void stamp_put(char *at, const struct stamp *stamp)
{
    at[0] = '#';
    put_digits(at + SEQUENCE_AT, SEQUENCE_DIGITS, stamp->sequence);
    at[DUE_AT - 1] = '@';
    put_digits(at + DUE_AT, DUE_DIGITS, stamp->due_ns);
}

const char *stamp_find(const char *at, const char *end, struct stamp *ret_stamp)
{
    at = memchr(at, '#', (size_t)(end - at));
    if (!at || end - at < STAMP_LEN || at[DUE_AT - 1] != '@')
        return NULL;
    ret_stamp->sequence = (uint32_t)digits(at + SEQUENCE_AT, SEQUENCE_DIGITS);
    ret_stamp->due_ns = digits(at + DUE_AT, DUE_DIGITS);
    return at + STAMP_LEN;
}
