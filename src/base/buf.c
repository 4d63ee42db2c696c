/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/assert.h"
#include "base/err.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void td_buf_init(struct td_buf *buf, size_t max)
{
    *buf = TD_BUF_INIT(max);
}

void td_buf_done(struct td_buf *buf)
{
    free(buf->ptr);
    *buf = TD_BUF_INIT(buf->max);
}

void td_buf_reset(struct td_buf *buf)
{
    buf->len = 0;
    buf->err = 0;
}

static int fail(struct td_buf *buf, int err)
{
    if (buf->err == 0)
        buf->err = err;
    return err;
}

int td_buf_reserve(struct td_buf *buf, size_t n)
{
    TD_ASSERT(buf->len <= buf->cap);
    if (n <= buf->cap - buf->len)
        return 0;
    if (n > buf->max - buf->len)
        return fail(buf, TD_ETOOLARGE);
    size_t twice = buf->cap > buf->max / 2 ? buf->max : 2 * buf->cap;
    size_t cap = TD_MIN(TD_MAX(buf->len + n, TD_MAX(twice, (size_t)64)), buf->max);
    /* One byte beyond is for the NUL that vsnprintf insists on. */
    char *ptr = realloc(buf->ptr, cap + 1);
    if (!ptr)
        return fail(buf, -ENOMEM);
    buf->ptr = ptr;
    buf->cap = cap;
    return 0;
}

int td_buf_put(struct td_buf *buf, struct td_slice bytes)
{
    int r = td_buf_reserve(buf, bytes.len);
    if (r < 0)
        return r;
    if (bytes.len > 0)
        memcpy(buf->ptr + buf->len, bytes.ptr, bytes.len);
    buf->len += bytes.len;
    return 0;
}

int td_buf_putc(struct td_buf *buf, char c)
{
    return td_buf_put(buf, td_slice(&c, 1));
}

int td_buf_puts(struct td_buf *buf, const char *str)
{
    return td_buf_put(buf, td_slice_str(str));
}

int td_buf_putu(struct td_buf *buf, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return td_buf_put(buf, td_slice(digits + at, sizeof(digits) - at));
}

int td_buf_putf(struct td_buf *buf, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    TD_ASSERT(need >= 0);
    int r = td_buf_reserve(buf, (size_t)need);
    if (r < 0 || need == 0)
        return r;
    va_start(args, format);
    vsnprintf(buf->ptr + buf->len, (size_t)need + 1, format, args);
    va_end(args);
    buf->len += (size_t)need;
    return 0;
}

void td_buf_consume(struct td_buf *buf, size_t n)
{
    TD_ASSERT(n <= buf->len);
    if (n == 0)
        return;
    memmove(buf->ptr, buf->ptr + n, buf->len - n);
    buf->len -= n;
}
