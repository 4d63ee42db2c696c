/* SPDX-License-Identifier: Apache-2.0 */
/* A position: where an event stands in the log, `<epoch>.<sequence>`, e.g. `9f3c21aa.1729`.
 *
 * The epoch is a random number made with the log; a position of another epoch means that the log is
 * another one.  Sequences increase over all topics and are not contiguous.  Sequence 0 stands before
 * the first event. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"

struct td_position {
    uint32_t epoch;
    uint64_t seq;
};

/* The longest text of a position: 8 hex digits, a dot, 20 digits. */
#define TD_POSITION_LEN_MAX 29

/* Writes the text with a NUL behind it and returns its length. */
size_t td_position_format(struct td_position position, char ret_text[TD_POSITION_LEN_MAX + 1]);
/* Appends the text as a JSON string.  0 or the error of the buffer. */
int td_position_put(struct td_buf *out, struct td_position position);
/* Reads a text that must be exactly what td_position_format writes.  0, or TD_EPOSITION. */
TD_MUST_USE int td_position_parse(struct td_slice text, struct td_position *ret_position);
