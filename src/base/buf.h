/* SPDX-License-Identifier: Apache-2.0 */
/* A growing buffer of bytes with a maximum given at birth.
 *
 *   0 <= len <= cap <= max
 *
 * A put that would pass `max` changes nothing and returns TD_ETOOLARGE; the buffer then remembers the
 * error (`td_buf_err`), so that a row of puts can be checked once at its end.  Memory is taken at the
 * first put; td_buf_done gives it back and leaves an empty buffer with the same maximum. */
#pragma once

#include "base/compiler.h"
#include "base/slice.h"
#include <stdarg.h>

struct td_buf {
    char *ptr;
    size_t len, cap, max;
    int err; /* the first error of a put; 0 when all went in */
};

#define TD_BUF_INIT(maximum) ((struct td_buf){.max = (maximum)})

void td_buf_init(struct td_buf *buf, size_t max);
void td_buf_done(struct td_buf *buf);
/* Forgets content and error, keeps the memory. */
void td_buf_reset(struct td_buf *buf);
/* Makes room for `n` more bytes; `buf->ptr + buf->len` may then be written and `len` raised. */
int td_buf_reserve(struct td_buf *buf, size_t n);
int td_buf_put(struct td_buf *buf, struct td_slice bytes);
int td_buf_putc(struct td_buf *buf, char c);
int td_buf_puts(struct td_buf *buf, const char *str);
int td_buf_putu(struct td_buf *buf, uint64_t number);
int td_buf_putf(struct td_buf *buf, const char *format, ...) TD_PRINTF(2, 3);
/* Removes the first `n` bytes; n <= len. */
void td_buf_consume(struct td_buf *buf, size_t n);

static inline struct td_slice td_buf_slice(const struct td_buf *buf)
{
    return (struct td_slice){buf->ptr, buf->len};
}
