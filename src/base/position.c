/* SPDX-License-Identifier: Apache-2.0 */
#include "base/position.h"
#include "base/err.h"

#define EPOCH_DIGITS 8

static const char hex_digits[] = "0123456789abcdef";

size_t td_position_format(struct td_position position, char ret_text[TD_POSITION_LEN_MAX + 1])
{
    char digits[20];
    size_t at = sizeof(digits), len = 0;

    for (unsigned shift = 32; shift > 0; shift -= 4)
        ret_text[len++] = hex_digits[position.epoch >> (shift - 4) & 15];
    ret_text[len++] = '.';
    do {
        digits[--at] = (char)('0' + position.seq % 10);
        position.seq /= 10;
    } while (position.seq > 0);
    memcpy(ret_text + len, digits + at, sizeof(digits) - at);
    len += sizeof(digits) - at;
    ret_text[len] = '\0';
    return len;
}

int td_position_put(struct td_buf *out, struct td_position position)
{
    char text[TD_POSITION_LEN_MAX + 1];

    td_position_format(position, text);
    return td_buf_putf(out, "\"%s\"", text);
}

int td_position_parse(struct td_slice text, struct td_position *ret_position)
{
    struct td_position position = {0};

    if (text.len < EPOCH_DIGITS + 2 || text.len > TD_POSITION_LEN_MAX)
        return TD_EPOSITION;
    for (size_t i = 0; i < EPOCH_DIGITS; i++) {
        const char *digit = memchr(hex_digits, text.ptr[i], 16);
        if (!digit)
            return TD_EPOSITION;
        position.epoch = position.epoch << 4 | (uint32_t)(digit - hex_digits);
    }
    if (text.ptr[EPOCH_DIGITS] != '.')
        return TD_EPOSITION;
    struct td_slice seq = td_slice_from(text, EPOCH_DIGITS + 1);
    if (seq.ptr[0] == '0' && seq.len > 1)
        return TD_EPOSITION;
    if (td_slice_u64(seq, &position.seq) < 0)
        return TD_EPOSITION;
    *ret_position = position;
    return 0;
}
