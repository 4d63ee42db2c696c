/* SPDX-License-Identifier: Apache-2.0 */
/* What the JSON scanner and the functions on its strings share; nobody else includes it. */
#pragma once

#include "base/slice.h"

#define TD_JSON_TEXT_CHAR_MAX 4

/* The first byte of [at, end) that is not plain inside a string: a quote, a backslash, a byte below 0x20
 * or above 0x7f; `end` when all are plain. */
const char *td_json_text_plain(const char *at, const char *end);
/* Decodes the escape that `text` begins with (RFC 8259 §7), a pair of surrogates counting as one.
 * Returns its length in `text`, or 0 when it is none; `ret_utf8` gets the character, `ret_len` (may be
 * NULL) how many bytes that is. */
size_t td_json_text_escape(struct td_slice text, char ret_utf8[TD_JSON_TEXT_CHAR_MAX],
                           size_t *ret_len);
