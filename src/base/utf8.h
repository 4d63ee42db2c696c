/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 (RFC 3629), checked as bytes arrive: an invalid byte is found at that byte, not at the end. */
#pragma once

#include "base/slice.h"

struct td_utf8 {
    uint32_t _state;
};

/* Feeds bytes to a checker that began as {0}.  False as soon as no continuation could make it valid. */
bool td_utf8_feed(struct td_utf8 *utf8, struct td_slice bytes);
/* Whether the bytes fed so far end at a character's end. */
bool td_utf8_complete(const struct td_utf8 *utf8);
/* Whether all of `text` is valid. */
bool td_utf8_valid(struct td_slice text);
/* The length of the character that `text` begins with, 1 to 4; 0 when it begins with none. */
size_t td_utf8_char(struct td_slice text);
