/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of a growing text: the `data` of an event of class append, `{"content":"…","offset":n,…}`.  Pure.
 *
 * `offset` counts the UTF-8 bytes of the text before the content; 0 begins a new text.  Chunks that lie next to each other may be told
 * as one: the escaped bytes of their contents joined, the offset of the first, and whatever else the last one says. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"
#include <stdint.h>

struct td_chunk {
    struct td_slice content; /* between its quotes, escapes and all */
    struct td_slice offset;  /* as it is written */
    uint64_t at;             /* the same as a number, … */
    uint64_t end;            /* … and where the next chunk of the text begins */
};

/* Reads checked JSON.  0 with slices of `data`; TD_EINVAL when it is no object with one `content`, a string, and one `offset`, a
 * whole number from 0 to 2^53, since that is as far as JavaScript counts. */
TD_MUST_USE int td_chunk_parse(struct td_slice data, struct td_chunk *ret_chunk);
/* Whether `next` goes on where `chunk` ends. */
static inline bool td_chunk_joins(const struct td_chunk *chunk, const struct td_chunk *next)
{
    return next->at == chunk->end && next->at > 0;
}
/* Appends `data` of the last of `n` chunks that join, its content and offset replaced by those of all of them.  0 or the
 * error of the buffer. */
int td_chunk_put_joined(struct td_buf *out, const struct td_chunk *chunks, size_t n,
                        struct td_slice data);
