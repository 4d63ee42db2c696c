/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slice.h"
#include "base/err.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool td_slice_eq_nocase(struct td_slice a, struct td_slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

int td_slice_cmp(struct td_slice a, struct td_slice b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;

    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

struct td_slice td_slice_trim(struct td_slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = td_slice_from(s, 1);
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool td_slice_split(struct td_slice *rest, char sep, struct td_slice *ret_part)
{
    if (!rest->ptr)
        return false;
    const char *at = rest->len ? memchr(rest->ptr, sep, rest->len) : NULL;

    if (!at) {
        *ret_part = *rest;
        *rest = (struct td_slice){NULL, 0};
        return true;
    }
    *ret_part = td_slice_to(*rest, (size_t)(at - rest->ptr));
    *rest = td_slice_from(*rest, ret_part->len + 1);
    return true;
}

int td_slice_u64(struct td_slice s, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (s.len == 0)
        return TD_EINVAL;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(s.ptr[i] - '0');
        if (digit > 9 || value > UINT64_MAX / 10 || value * 10 > UINT64_MAX - digit)
            return TD_EINVAL;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return 0;
}
