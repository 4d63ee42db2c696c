/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "codec/http1.h"
#include "codec/http1_chars.h"

/* Takes one decoded byte off the front of `text`: 1, 0 at its end, or TD_EINVAL. */
static int next_byte(struct td_slice *text, bool form, char *ret_byte)
{
    if (text->len == 0)
        return 0;
    char c = text->ptr[0];
    size_t len = 1;
    if (c == '%') {
        int high = text->len > 2 ? td_http_hex(text->ptr[1]) : -1;
        int low = text->len > 2 ? td_http_hex(text->ptr[2]) : -1;
        if (high < 0 || low < 0)
            return TD_EINVAL;
        c = (char)(high << 4 | low);
        len = 3;
    } else if (c == '+' && form) {
        c = ' ';
    }
    if (c == '\0')
        return TD_EINVAL;
    *ret_byte = c;
    *text = td_slice_from(*text, len);
    return 1;
}

bool td_http_query_next(struct td_slice *query, struct td_slice *ret_name,
                        struct td_slice *ret_value)
{
    struct td_slice pair;

    while (td_slice_split(query, '&', &pair)) {
        if (pair.len == 0)
            continue;
        const char *equals = memchr(pair.ptr, '=', pair.len);
        size_t name_len = equals ? (size_t)(equals - pair.ptr) : pair.len;
        *ret_name = td_slice_to(pair, name_len);
        *ret_value = td_slice_from(pair, equals ? name_len + 1 : name_len);
        return true;
    }
    return false;
}

int td_http_unescape(struct td_slice text, bool form, struct td_buf *out)
{
    size_t start = out->len;
    int r = td_buf_reserve(out, text.len); /* decoding never makes it longer */
    char c;

    if (r < 0)
        return r;
    while ((r = next_byte(&text, form, &c)) > 0)
        out->ptr[out->len++] = c;
    if (r < 0)
        out->len = start;
    return r;
}
