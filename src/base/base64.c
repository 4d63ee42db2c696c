/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"
#include "base/err.h"
#include <limits.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t td_base64_encode(struct td_slice in, char *ret_text)
{
    char *out = ret_text;

    for (size_t i = 0; i < in.len; i += 3) {
        size_t have = TD_MIN(in.len - i, (size_t)3);
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (k < have ? (unsigned char)in.ptr[i + k] : 0);
        for (unsigned k = 0; k < 4; k++)
            *out++ = k <= have ? alphabet[group >> (18 - 6 * k) & 63] : '=';
    }
    *out = '\0';
    return (size_t)(out - ret_text);
}

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int td_base64_decode(struct td_slice text, void *ret_bytes, size_t cap)
{
    unsigned char *out = ret_bytes;
    uint32_t group = 0;
    size_t padding = 0, n = 0;

    if (text.len % 4 != 0)
        return TD_EINVAL;
    while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
        padding++;
    size_t len = text.len / 4 * 3 - padding;
    if (len > cap || len > INT_MAX)
        return TD_EINVAL;
    /* Checked as a whole first: nothing is written of a text that is refused. */
    for (size_t i = 0; i < text.len - padding; i++)
        if (sextet(text.ptr[i]) < 0)
            return TD_EINVAL;
    /* The bits that padding stands for must be zero (RFC 4648 §3.5). */
    if (padding > 0 && sextet(text.ptr[text.len - padding - 1]) & (padding == 1 ? 3 : 15))
        return TD_EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        int bits = sextet(text.ptr[i]);
        group = group << 6 | (bits < 0 ? 0 : (uint32_t)bits);
        for (unsigned k = 0; i % 4 == 3 && k < 3 && n < len; k++)
            out[n++] = (unsigned char)(group >> (16 - 8 * k));
    }
    return (int)len;
}
