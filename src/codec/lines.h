/* SPDX-License-Identifier: Apache-2.0 */
/* Splits a stream of bytes into lines at LF.  A line longer than the maximum is given in pieces, each but its
 * last marked `partial`, cut where no UTF-8 sequence is torn.  Bytes are otherwise passed on as they are. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"

struct td_line {
    struct td_slice text; /* without its LF; good until the next call */
    bool partial;         /* the line goes on in the next piece */
};

struct td_lines {
    struct td_buf _held; /* the line that has no end yet, at most as many bytes as were given */
    size_t _given;       /* bytes of _held that the last call gave out */
};

/* `max`: the bytes of a line, at least 4. */
void td_lines_init(struct td_lines *lines, size_t max);
/* Takes the memory for the longest line now: later there is none to be had in vain, which would end the program.  0 or -ENOMEM. */
TD_MUST_USE int td_lines_reserve(struct td_lines *lines);
void td_lines_done(struct td_lines *lines);
/* Takes the next line off the front of `in`.  False when all of `in` is used up and more is needed. */
bool td_lines_next(struct td_lines *lines, struct td_slice *in, struct td_line *ret_line);
/* The stream has ended: gives what stands after the last LF.  False when that is nothing. */
bool td_lines_end(struct td_lines *lines, struct td_line *ret_line);
