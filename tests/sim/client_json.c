/* SPDX-License-Identifier: Apache-2.0 */
#include "client_json.h"

#define DEPTH_MAX 64

static const char *skip_blank(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Each returns the end of what it read, or NULL when it is not there. */

static const char *skip_string(const char *at, const char *end)
{
    if (at == end || *at != '"')
        return NULL;
    for (at++; at < end && *at != '"'; at++) {
        if ((unsigned char)*at < 0x20)
            return NULL;
        if (*at != '\\')
            continue;
        if (++at == end || !strchr("\"\\/bfnrtu", *at))
            return NULL;
        if (*at != 'u')
            continue;
        for (int i = 0; i < 4; i++)
            if (++at == end || !is_hex(*at))
                return NULL;
    }
    return at < end ? at + 1 : NULL;
}

static const char *skip_digits(const char *at, const char *end)
{
    const char *from = at;

    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at > from ? at : NULL;
}

static const char *skip_number(const char *at, const char *end)
{
    if (at < end && *at == '-')
        at++;
    if (at < end && *at == '0')
        at++;
    else
        at = skip_digits(at, end);
    if (at && at < end && *at == '.')
        at = skip_digits(at + 1, end);
    if (at && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        at = skip_digits(at, end);
    }
    return at;
}

static const char *skip_word(const char *at, const char *end)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < TD_ARRAY_LEN(words); i++) {
        size_t len = strlen(words[i]);

        if ((size_t)(end - at) >= len && memcmp(at, words[i], len) == 0)
            return at + len;
    }
    return NULL;
}

static const char *skip_value(const char *at, const char *end, int depth);

/* An object or an array, by its closing bracket. */
static const char *skip_nest(const char *at, const char *end, int depth, char close)
{
    at = skip_blank(at + 1, end);
    if (at < end && *at == close)
        return at + 1;
    for (;;) {
        if (close == '}') {
            at = skip_string(skip_blank(at, end), end);
            at = at ? skip_blank(at, end) : NULL;
            if (!at || at == end || *at != ':')
                return NULL;
            at++;
        }
        at = skip_value(skip_blank(at, end), end, depth + 1);
        at = at ? skip_blank(at, end) : NULL;
        if (!at || at == end)
            return NULL;
        if (*at == close)
            return at + 1;
        if (*at++ != ',')
            return NULL;
    }
}

static const char *skip_value(const char *at, const char *end, int depth)
{
    if (at == end || depth > DEPTH_MAX)
        return NULL;
    switch (*at) {
    case '{': return skip_nest(at, end, depth, '}');
    case '[': return skip_nest(at, end, depth, ']');
    case '"': return skip_string(at, end);
    case 't':
    case 'f':
    case 'n': return skip_word(at, end);
    default: return skip_number(at, end);
    }
}

bool client_json_valid(struct td_slice text)
{
    const char *end = text.ptr + text.len;
    const char *at = skip_value(skip_blank(text.ptr, end), end, 0);

    return at && skip_blank(at, end) == end;
}

bool client_json_get(struct td_slice object, const char *name, struct td_slice *ret_raw)
{
    const char *end = object.ptr + object.len;
    const char *at = skip_blank(object.ptr, end);
    size_t len = strlen(name);

    if (at == end || *at != '{')
        return false;
    for (at = skip_blank(at + 1, end); at < end && *at == '"'; at = skip_blank(at, end)) {
        const char *key = at + 1;
        const char *key_end = skip_string(at, end);

        if (!key_end)
            return false;
        const char *value = skip_blank(skip_blank(key_end, end) + 1, end);
        at = skip_value(value, end, 0);
        if (!at)
            return false;
        if ((size_t)(key_end - 1 - key) == len && memcmp(key, name, len) == 0) {
            *ret_raw = td_slice(value, (size_t)(at - value));
            return true;
        }
        at = skip_blank(at, end);
        if (at < end && *at == ',')
            at++;
    }
    return false;
}

bool client_json_next(struct td_slice *rest, struct td_slice *ret_item)
{
    const char *end = rest->ptr + rest->len;
    const char *at = skip_blank(rest->ptr, end);

    if (at == end || (*at != '[' && *at != ','))
        return false;
    at = skip_blank(at + 1, end);
    const char *stop = skip_value(at, end, 0);
    if (!stop)
        return false;
    *ret_item = td_slice(at, (size_t)(stop - at));
    *rest = td_slice(stop, (size_t)(end - stop));
    return true;
}

struct td_slice client_json_plain(struct td_slice raw)
{
    if (raw.len < 2 || raw.ptr[0] != '"' || memchr(raw.ptr, '\\', raw.len))
        return td_slice(NULL, 0);
    return td_slice(raw.ptr + 1, raw.len - 2);
}
