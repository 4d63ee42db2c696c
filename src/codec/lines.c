/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/lines.h"
#include "base/assert.h"

void td_lines_init(struct td_lines *lines, size_t max)
{
    *lines = (struct td_lines){._held = TD_BUF_INIT(max)};
}

int td_lines_reserve(struct td_lines *lines)
{
    return td_buf_reserve(&lines->_held, lines->_held.max);
}

void td_lines_done(struct td_lines *lines)
{
    td_buf_done(&lines->_held);
}

/* The length of the UTF-8 sequence that `lead` begins; 1 for what begins none. */
static size_t sequence_length(unsigned char lead)
{
    if (lead >= 0xF0)
        return 4;
    if (lead >= 0xE0)
        return 3;
    return lead >= 0xC0 ? 2 : 1;
}

/* Where a full piece is cut: before a sequence that is not whole in it. */
static size_t cut_length(struct td_slice text)
{
    for (size_t back = 1; back <= 3 && back < text.len; back++) {
        unsigned char byte = (unsigned char)text.ptr[text.len - back];
        if ((byte & 0xC0) != 0x80)
            return sequence_length(byte) > back ? text.len - back : text.len;
    }
    return text.len;
}

static void hold(struct td_lines *lines, struct td_slice bytes)
{
    int r = td_buf_put(&lines->_held, bytes);

    TD_ASSERT(r == 0); /* memory for one line; callers keep within its maximum */
}

static void drop_given(struct td_lines *lines)
{
    td_buf_consume(&lines->_held, lines->_given);
    lines->_given = 0;
}

/* Gives the first `len` held bytes. */
static struct td_line give(struct td_lines *lines, size_t len, bool partial)
{
    lines->_given = len;
    return (struct td_line){td_slice(lines->_held.ptr, len), partial};
}

bool td_lines_next(struct td_lines *lines, struct td_slice *in, struct td_line *ret_line)
{
    drop_given(lines);
    size_t room = lines->_held.max - lines->_held.len;
    const char *lf = in->len ? memchr(in->ptr, '\n', TD_MIN(in->len, room + 1)) : NULL;

    if (lf) {
        struct td_slice rest = td_slice_to(*in, (size_t)(lf - in->ptr));
        *in = td_slice_from(*in, rest.len + 1);
        if (lines->_held.len == 0) { /* the usual case: whole in the input, not copied */
            *ret_line = (struct td_line){rest, false};
            return true;
        }
        hold(lines, rest);
        *ret_line = give(lines, lines->_held.len, false);
        return true;
    }
    if (in->len <= room) { /* also when it is exactly full: its LF may be the next byte */
        hold(lines, *in);
        *in = td_slice_from(*in, in->len);
        return false;
    }
    hold(lines, td_slice_to(*in, room));
    *in = td_slice_from(*in, room);
    *ret_line = give(lines, cut_length(td_buf_slice(&lines->_held)), true);
    return true;
}

bool td_lines_end(struct td_lines *lines, struct td_line *ret_line)
{
    drop_given(lines);
    if (lines->_held.len == 0)
        return false;
    *ret_line = give(lines, lines->_held.len, false);
    return true;
}
