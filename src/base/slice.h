/* SPDX-License-Identifier: Apache-2.0 */
/* A borrowed range of bytes: pointer and length, by value.  Never NUL-terminated unless said so.
 * A slice owns nothing and must not outlive what it points into. */
#pragma once

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct td_slice {
    const char *ptr;
    size_t len;
};

/* A slice of a string literal. */
#define TD_S(literal) ((struct td_slice){"" literal, sizeof(literal) - 1})

static inline struct td_slice td_slice(const char *ptr, size_t len)
{
    return (struct td_slice){ptr, len};
}

/* A slice of a NUL-terminated string; NULL gives the empty slice. */
static inline struct td_slice td_slice_str(const char *str)
{
    return (struct td_slice){str, str ? strlen(str) : 0};
}

static inline bool td_slice_eq(struct td_slice a, struct td_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool td_slice_starts(struct td_slice s, struct td_slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* `s` without its first `n` bytes; n <= s.len. */
static inline struct td_slice td_slice_from(struct td_slice s, size_t n)
{
    return (struct td_slice){s.ptr + n, s.len - n};
}

static inline struct td_slice td_slice_to(struct td_slice s, size_t n)
{
    return (struct td_slice){s.ptr, n};
}

/* Equality of ASCII text without regard to case. */
bool td_slice_eq_nocase(struct td_slice a, struct td_slice b);
/* Orders like memcmp, a shorter one first when it is a prefix. */
int td_slice_cmp(struct td_slice a, struct td_slice b);
/* `s` without the spaces and tabs around it. */
struct td_slice td_slice_trim(struct td_slice s);
/* Takes what stands before the first `sep` off the front of `rest` (all of it when there is none) and
 * returns it; `rest` then begins behind the separator.  False when `rest` was NULL-pointed, that is used up. */
bool td_slice_split(struct td_slice *rest, char sep, struct td_slice *ret_part);
/* Reads an unsigned decimal number that fills the whole slice, without sign or blanks.
 * Returns 0, or TD_EINVAL for anything else and for what does not fit in 64 bits. */
TD_MUST_USE int td_slice_u64(struct td_slice s, uint64_t *ret_value);
