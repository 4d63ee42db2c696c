/* SPDX-License-Identifier: Apache-2.0 */
/* The check is a loop over values with one bit a level to tell objects from arrays: nothing recurses.
 * Strings are nearly all of what is published, so their plain bytes are passed eight at a time. */
#include "base/json.h"
#include "base/err.h"
#include "base/json_text.h"
#include "base/utf8.h"

/* Of `at`, `end`: at <= end; on a fault `at` stands on it. */
struct scan {
    const char *at, *end;
    uint64_t objects; /* bit 0: whether the innermost open container is an object */
    unsigned depth;
};

_Static_assert(TD_JSON_DEPTH_MAX <= 64, "one bit a level");

/* What comes after a step of the scan; errors are negative. */
enum step { ENDED, MORE, DONE };

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool peek(const struct scan *s, char c)
{
    return s->at < s->end && *s->at == c;
}

static void blanks(struct scan *s)
{
    while (s->at < s->end && is_blank(*s->at))
        s->at++;
}

static int digits(struct scan *s)
{
    if (s->at == s->end || !is_digit(*s->at))
        return TD_EJSON;
    while (s->at < s->end && is_digit(*s->at))
        s->at++;
    return 0;
}

/* RFC 8259 §6. */
static int number(struct scan *s)
{
    if (peek(s, '-'))
        s->at++;
    if (peek(s, '0'))
        s->at++;
    else if (digits(s) < 0)
        return TD_EJSON;
    if (peek(s, '.')) {
        s->at++;
        if (digits(s) < 0)
            return TD_EJSON;
    }
    if (peek(s, 'e') || peek(s, 'E')) {
        s->at++;
        if (peek(s, '+') || peek(s, '-'))
            s->at++;
        return digits(s);
    }
    return 0;
}

static int literal(struct scan *s, struct td_slice word)
{
    if (!td_slice_starts(td_slice(s->at, (size_t)(s->end - s->at)), word))
        return TD_EJSON;
    s->at += word.len;
    return 0;
}

/* RFC 8259 §7; `at` is on the first quote. */
static int string(struct scan *s)
{
    s->at++;
    for (;;) {
        s->at = td_json_text_plain(s->at, s->end);
        if (s->at == s->end || (unsigned char)*s->at < 0x20)
            return TD_EJSON;
        struct td_slice rest = td_slice(s->at, (size_t)(s->end - s->at));
        size_t n;
        if (*s->at == '"') {
            s->at++;
            return 0;
        }
        if (*s->at == '\\') {
            char ignored[TD_JSON_TEXT_CHAR_MAX];
            n = td_json_text_escape(rest, ignored, NULL);
            if (n == 0)
                return TD_EJSON;
        } else {
            n = td_utf8_char(rest);
            if (n == 0)
                return TD_EUTF8;
        }
        s->at += n;
    }
}

/* A member's name and the colon behind it. */
static int name(struct scan *s)
{
    blanks(s);
    if (!peek(s, '"'))
        return TD_EJSON;
    int r = string(s);
    if (r < 0)
        return r;
    blanks(s);
    if (!peek(s, ':'))
        return TD_EJSON;
    s->at++;
    return MORE;
}

static int close_container(struct scan *s)
{
    s->at++;
    s->objects >>= 1;
    s->depth--;
    return ENDED;
}

static int open_container(struct scan *s, bool object)
{
    if (s->depth == TD_JSON_DEPTH_MAX)
        return TD_EJSON;
    s->at++;
    s->depth++;
    s->objects = s->objects << 1 | object;
    blanks(s);
    if (peek(s, object ? '}' : ']'))
        return close_container(s);
    return object ? name(s) : MORE;
}

/* A whole scalar or empty container (ENDED), or what opens a container with something in it (MORE). */
static int begin_value(struct scan *s)
{
    blanks(s);
    if (s->at == s->end)
        return TD_EJSON;
    switch (*s->at) {
    case '{': return open_container(s, true);
    case '[': return open_container(s, false);
    case '"': return string(s);
    case 't': return literal(s, TD_S("true"));
    case 'f': return literal(s, TD_S("false"));
    case 'n': return literal(s, TD_S("null"));
    default: return number(s);
    }
}

/* Behind a value: the end of its container (ENDED), a comma (MORE), or the end of all (DONE). */
static int after_value(struct scan *s)
{
    if (s->depth == 0)
        return DONE;
    bool object = s->objects & 1;
    blanks(s);
    if (peek(s, object ? '}' : ']'))
        return close_container(s);
    if (!peek(s, ','))
        return TD_EJSON;
    s->at++;
    return object ? name(s) : MORE;
}

static int check(struct scan *s)
{
    int r = MORE;

    while (r >= 0 && r != DONE)
        r = r == MORE ? begin_value(s) : after_value(s);
    return r;
}

int td_json_check(struct td_slice text, struct td_slice *ret_value, size_t *ret_at)
{
    /* An empty text may have no address, which must not be calculated with. */
    const char *from = text.len ? text.ptr : "";
    struct scan s = {.at = from, .end = from + text.len};

    blanks(&s);
    const char *begin = s.at;
    int r = check(&s);
    const char *end = s.at;
    if (r >= 0) {
        blanks(&s);
        if (s.at == s.end) {
            *ret_value = td_slice(begin, (size_t)(end - begin));
            return 0;
        }
        r = TD_EJSON;
    }
    if (ret_at)
        *ret_at = (size_t)(s.at - from);
    return r;
}

enum td_json_type td_json_type(struct td_slice value)
{
    switch (value.len ? value.ptr[0] : 'n') {
    case '{': return TD_JSON_OBJECT;
    case '[': return TD_JSON_ARRAY;
    case '"': return TD_JSON_STRING;
    case 't': return TD_JSON_TRUE;
    case 'f': return TD_JSON_FALSE;
    case 'n': return TD_JSON_NULL;
    default: return TD_JSON_NUMBER;
    }
}

/* The first byte behind the string whose first quote is at `at`. */
static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\' && at + 1 < end)
            at++;
    return at < end ? at + 1 : end;
}

/* The first byte behind the checked value at `at`. */
static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;

    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else {
            at++;
            if (depth > 0 || (at < end && *at != ',' && *at != '}' && *at != ']' && !is_blank(*at)))
                continue;
        }
        if (depth == 0)
            break;
    }
    return at;
}

/* Moves over blanks and the marks between values. */
static const char *skip_marks(const char *at, const char *end)
{
    while (at < end && (is_blank(*at) || *at == ',' || *at == ':'))
        at++;
    return at;
}

struct td_json_iter td_json_iter(struct td_slice value)
{
    struct td_json_iter it = {._object = td_json_type(value) == TD_JSON_OBJECT};

    if (value.len >= 2 && (it._object || td_json_type(value) == TD_JSON_ARRAY))
        it._rest = td_slice(value.ptr + 1, value.len - 2);
    return it;
}

bool td_json_next(struct td_json_iter *it, struct td_slice *ret_name, struct td_slice *ret_value)
{
    if (it->_rest.len == 0)
        return false;
    const char *end = it->_rest.ptr + it->_rest.len;
    const char *at = skip_marks(it->_rest.ptr, end);
    const char *begin = at;

    if (at == end)
        return false;
    *ret_name = (struct td_slice){NULL, 0};
    if (it->_object) {
        at = skip_string(at, end);
        *ret_name = td_slice(begin, (size_t)(at - begin));
        begin = at = skip_marks(at, end);
    }
    at = skip_value(at, end);
    *ret_value = td_slice(begin, (size_t)(at - begin));
    it->_rest = td_slice(at, (size_t)(end - at));
    return true;
}

bool td_json_get(struct td_slice object, const char *wanted, struct td_slice *ret_value)
{
    struct td_json_iter it = td_json_iter(object);
    struct td_slice name, value;

    while (it._object && td_json_next(&it, &name, &value)) {
        if (td_json_string_is(name, wanted)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

int td_json_u64(struct td_slice raw, uint64_t *ret_value)
{
    uint64_t value;

    if (td_slice_u64(raw, &value) < 0 || value > INT64_MAX)
        return TD_EJSON;
    *ret_value = value;
    return 0;
}
