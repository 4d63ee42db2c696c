/* SPDX-License-Identifier: Apache-2.0 */
/* Our JSON scanner against jansson, for the unit test and the fuzz target: both must take the same texts and
 * read the same in them.  Where they differ on purpose the difference is computed, not skipped:
 *
 *   \u0000         jansson refuses it in names: it is given \u0001 instead.
 *   1e999          jansson refuses what no double can hold: it is given 1 instead.
 *   nesting        ours ends at TD_JSON_DEPTH_MAX, jansson's at 2048: the brackets are counted.
 *   a NUL byte     jansson loses one behind a number or a literal: ours must refuse each.
 *   double names   jansson keeps the last: such objects are compared by count only. */
#pragma once

#include "base/json.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define JSON_PEER_FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL)

/* Puts " 1 " in place of the number that ends at `end`; returns the new length of the text.  The blanks
 * keep it apart from what stands before and behind: `1-1e999` and `1e999e9` are wrong and must stay so. */
static inline size_t json_peer_tame(char *text, size_t len, size_t end)
{
    size_t begin = end;

    while (begin > 0 && strchr("0123456789.eE+-", text[begin - 1]) && text[begin - 1]) {
        begin--;
        if (text[begin] == '-' && (begin == 0 || !strchr("eE", text[begin - 1])))
            break;
    }
    if (end - begin < 3 || end > len)
        abort(); /* not the number that jansson complained of */
    memcpy(text + begin, " 1 ", 3);
    memmove(text + begin + 3, text + end, len - end);
    return len - (end - begin) + 3;
}

/* What jansson makes of the text, NULL when it refuses; `ret_tamed` says whether it got another text. */
static inline json_t *json_peer_load(struct td_slice in, bool *ret_tamed)
{
    char *text = malloc(in.len + 1), *nul;
    size_t len = in.len;
    json_error_t error;
    json_t *json;

    if (!text)
        abort();
    if (len > 0)
        memcpy(text, in.ptr, len);
    *ret_tamed = false;
    for (char *at = text; (nul = memmem(at, len - (size_t)(at - text), "\\u0000", 6));
         at = nul + 6) {
        nul[5] = '1';
        *ret_tamed = true;
    }
    while (!(json = json_loadb(text, len, JSON_PEER_FLAGS, &error)) &&
           json_error_code(&error) == json_error_numeric_overflow) {
        len = json_peer_tame(text, len, (size_t)error.position);
        *ret_tamed = true;
    }
    free(text);
    return json;
}

/* The deepest nesting of a valid text. */
static inline size_t json_peer_depth(struct td_slice text)
{
    size_t depth = 0, deepest = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '[' || c == '{'))
            deepest = TD_MAX(deepest, ++depth);
        else if (!in_string && (c == ']' || c == '}'))
            depth--;
    }
    return deepest;
}

static inline bool json_peer_same_string(struct td_slice raw, const char *text, size_t len)
{
    struct td_buf buf = TD_BUF_INIT(raw.len), again = TD_BUF_INIT(6 * raw.len + 2);
    struct td_slice plain, value = {NULL, 0};
    bool same =
        td_json_unescape(raw, &buf) == 0 && td_slice_eq(td_buf_slice(&buf), td_slice(text, len));

    same = same && (!td_json_plain(raw, &plain) || td_slice_eq(plain, td_slice(text, len)));
    same = same && td_json_string_is(raw, text) == (strlen(text) == len);
    /* What is read is written so that it reads the same. */
    same = same && td_json_put_string(&again, td_buf_slice(&buf)) == 0;
    same = same && td_json_check(td_buf_slice(&again), &value, NULL) == 0;
    td_buf_reset(&buf);
    same = same && td_json_unescape(value, &buf) == 0;
    same = same && td_slice_eq(td_buf_slice(&buf), td_slice(text, len));
    td_buf_done(&buf);
    td_buf_done(&again);
    return same;
}

static inline bool json_peer_same(struct td_slice value, const json_t *json);

static inline bool json_peer_same_items(struct td_slice value, const json_t *json)
{
    struct td_json_iter it = td_json_iter(value);
    struct td_slice name, item, found;
    size_t n = 0;

    while (td_json_next(&it, &name, &item))
        n++;
    if (json_is_array(json) ? n != json_array_size(json) : n < json_object_size(json))
        return false;
    if (json_is_object(json) && n > json_object_size(json))
        return true;
    it = td_json_iter(value);
    for (size_t i = 0; td_json_next(&it, &name, &item); i++) {
        const json_t *child = json_array_get(json, i);
        if (json_is_object(json)) {
            struct td_buf key = TD_BUF_INIT(name.len + 1);
            if (td_json_unescape(name, &key) < 0 || td_buf_putc(&key, '\0') < 0)
                abort();
            child = json_object_get(json, key.ptr);
            bool got = td_json_get(value, key.ptr, &found) && found.ptr == item.ptr;
            td_buf_done(&key);
            if (!child || !got)
                return false;
        }
        if (!json_peer_same(item, child))
            return false;
    }
    return true;
}

/* Whether a checked value reads as jansson reads it. */
static inline bool json_peer_same(struct td_slice value, const json_t *json)
{
    char digits[512];

    switch (td_json_type(value)) {
    case TD_JSON_OBJECT: return json_is_object(json) && json_peer_same_items(value, json);
    case TD_JSON_ARRAY: return json_is_array(json) && json_peer_same_items(value, json);
    case TD_JSON_STRING:
        return json_is_string(json) &&
               json_peer_same_string(value, json_string_value(json), json_string_length(json));
    case TD_JSON_NUMBER:
        if (value.len >= sizeof(digits))
            return json_is_real(json);
        memcpy(digits, value.ptr, value.len);
        digits[value.len] = '\0';
        return json_is_real(json) && !(strtod(digits, NULL) < json_real_value(json)) &&
               !(strtod(digits, NULL) > json_real_value(json));
    case TD_JSON_TRUE: return json_is_true(json);
    case TD_JSON_FALSE: return json_is_false(json);
    case TD_JSON_NULL: return json_is_null(json);
    }
    return false;
}

/* Whether both say the same of the text. */
static inline bool json_peer_agrees(struct td_slice text)
{
    struct td_slice value;
    bool tamed, agree;
    size_t at = SIZE_MAX;
    int r = td_json_check(text, &value, &at);
    if (text.len > 0 && memchr(text.ptr, '\0', text.len))
        return r < 0 && at <= text.len;
    json_t *json = json_peer_load(text, &tamed);

    if (r < 0)
        agree = at <= text.len && (!json || json_peer_depth(text) > TD_JSON_DEPTH_MAX);
    else
        agree = json && at == SIZE_MAX && (tamed || json_peer_same(value, json));
    json_decref(json);
    return agree;
}
