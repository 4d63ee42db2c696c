/* SPDX-License-Identifier: Apache-2.0 */
/* The stamp that every published message carries and every subscriber looks for:
 *
 *     #SSSSSSSSSS@NNNNNNNNNNNNNNNNNNN     ten digits of sequence, nineteen of nanoseconds
 *
 * It is found by its '#', wherever the server under test puts the payload; nothing else that is
 * published has one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stamp {
    uint32_t sequence; /* from 1 */
    uint64_t due_ns;   /* when the message was due to be published, monotonic */
};

enum { STAMP_LEN = 1 + 10 + 1 + 19 };

/* Writes STAMP_LEN bytes. */
void stamp_put(char *at, const struct stamp *stamp);

/* The next stamp in [at, end).  Returns where to look for the one after it, or NULL when there is
 * none; `ret_stamp` is written when there is one. */
const char *stamp_find(const char *at, const char *end, struct stamp *ret_stamp);
