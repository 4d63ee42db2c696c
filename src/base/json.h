/* SPDX-License-Identifier: Apache-2.0 */
/* A strict JSON scanner (RFC 8259): validates, and gives slices of the input; never a tree.
 *
 * Values are "raw" slices: a string with its quotes and escapes, a number as written.  Input must be
 * UTF-8 (no BOM), escaped surrogates must come in pairs, and nesting is bounded.  A duplicate member
 * name is the caller's to refuse. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"

#define TD_JSON_DEPTH_MAX 64

enum td_json_type {
    TD_JSON_OBJECT,
    TD_JSON_ARRAY,
    TD_JSON_STRING,
    TD_JSON_NUMBER,
    TD_JSON_TRUE,
    TD_JSON_FALSE,
    TD_JSON_NULL,
};

/* Checks that `text` is one JSON value with nothing but white space around it and gives the value
 * without that white space.  0, TD_EJSON, or TD_EUTF8.  `ret_at` (may be NULL): where the first fault is. */
TD_MUST_USE int td_json_check(struct td_slice text, struct td_slice *ret_value, size_t *ret_at);

/* The type of a raw value that td_json_check has passed. */
enum td_json_type td_json_type(struct td_slice value);

/* Walks the members of an object or the elements of an array that td_json_check has passed.
 *
 *     struct td_json_iter it = td_json_iter(value);
 *     while (td_json_next(&it, &name, &member)) …
 *
 * `ret_name` is raw (with quotes); for an array it is the empty slice.  Any other value has no members. */
struct td_json_iter {
    struct td_slice _rest;
    bool _object;
};
struct td_json_iter td_json_iter(struct td_slice value);
bool td_json_next(struct td_json_iter *it, struct td_slice *ret_name, struct td_slice *ret_value);

/* Finds a member of a checked object by its name.  False when absent; with several, the first. */
bool td_json_get(struct td_slice object, const char *name, struct td_slice *ret_value);

/* Whether a raw string, unescaped, is exactly `text`. */
bool td_json_string_is(struct td_slice raw, const char *text);
/* Appends the unescaped bytes of a raw string.  0, or the error of the buffer. */
int td_json_unescape(struct td_slice raw, struct td_buf *out);
/* How many bytes that would be. */
size_t td_json_text_len(struct td_slice raw);
/* The bytes between the quotes of a raw string when it holds no escape; false otherwise. */
bool td_json_plain(struct td_slice raw, struct td_slice *ret_text);
/* A raw number that is a non-negative integer below 2^63 without fraction or exponent.  0 or TD_EJSON. */
TD_MUST_USE int td_json_u64(struct td_slice raw, uint64_t *ret_value);

/* Appends `text` as a JSON string with its quotes: escapes '"', '\', and what lies below 0x20.  `text`
 * should be UTF-8; each byte that is not part of a valid sequence becomes U+FFFD. */
int td_json_put_string(struct td_buf *out, struct td_slice text);
