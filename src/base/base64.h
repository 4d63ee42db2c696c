/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648 §4) with padding.  Strict: no white space, canonical padding bits. */
#pragma once

#include "base/compiler.h"
#include "base/slice.h"

/* Bytes that td_base64_encode writes for `n` bytes, without the NUL. */
#define TD_BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Writes TD_BASE64_LEN(in.len) characters and a NUL; returns the number of characters. */
size_t td_base64_encode(struct td_slice in, char *ret_text);
/* Decodes at most `cap` bytes.  Returns how many, or TD_EINVAL. */
TD_MUST_USE int td_base64_decode(struct td_slice text, void *ret_bytes, size_t cap);
