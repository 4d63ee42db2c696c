/* SPDX-License-Identifier: Apache-2.0 */
/* JSON strings: reading what they say, and writing them. */
#include "base/json_text.h"
#include "base/json.h"
#include "base/utf8.h"
#include <endian.h>

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Nonzero when one of the eight bytes is zero. */
static uint64_t any_zero(uint64_t word)
{
    return (word - EACH_BYTE(0x01)) & ~word & EACH_BYTE(0x80);
}

/* A high bit in each byte that is not plain, and by borrowing perhaps in bytes above one. */
static uint64_t not_plain(uint64_t word)
{
    uint64_t below_space = (word - EACH_BYTE(0x20)) & ~word & EACH_BYTE(0x80);

    return below_space | (word & EACH_BYTE(0x80)) | any_zero(word ^ EACH_BYTE('"')) |
           any_zero(word ^ EACH_BYTE('\\'));
}

static bool is_plain(char c)
{
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

const char *td_json_text_plain(const char *at, const char *end)
{
    uint64_t word;

    for (; (size_t)(end - at) >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        /* The lowest bit is always true, and in the first byte that is not plain. */
        uint64_t found = not_plain(le64toh(word));
        if (found)
            return at + TD_LOW_BIT(found) / 8;
    }
    while (at < end && is_plain(*at))
        at++;
    return at;
}

/* The code unit of `\uXXXX` at the start of `text`, or -1. */
static int32_t code_unit(struct td_slice text)
{
    int32_t unit = 0;

    if (text.len < 6 || text.ptr[0] != '\\' || text.ptr[1] != 'u')
        return -1;
    for (size_t i = 2; i < 6; i++) {
        char c = text.ptr[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static size_t encode(uint32_t code, char out[TD_JSON_TEXT_CHAR_MAX])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00 >> n & 0xff) | code);
    return n;
}

size_t td_json_text_escape(struct td_slice text, char ret_utf8[TD_JSON_TEXT_CHAR_MAX],
                           size_t *ret_len)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    size_t ignored, *len = ret_len ? ret_len : &ignored;

    if (text.len < 2 || text.ptr[0] != '\\')
        return 0;
    const char *letter = memchr(letters, text.ptr[1], sizeof(letters) - 1);
    if (letter) {
        ret_utf8[0] = meanings[letter - letters];
        *len = 1;
        return 2;
    }
    int32_t unit = code_unit(text);
    if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return 0;
    if (unit < 0xd800 || unit > 0xdbff) {
        *len = encode((uint32_t)unit, ret_utf8);
        return 6;
    }
    int32_t low = code_unit(td_slice_from(text, 6));
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *len = encode(0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00), ret_utf8);
    return 12;
}

/* What lies between the quotes. */
static struct td_slice inside(struct td_slice raw)
{
    return raw.len >= 2 && raw.ptr[0] == '"' ? td_slice(raw.ptr + 1, raw.len - 2)
                                             : (struct td_slice){NULL, 0};
}

/* Takes the next part off a string's inside: bytes without escapes (a slice of it) or the character of one
 * escape (a slice of `space`). */
static struct td_slice next_part(struct td_slice *text, char space[TD_JSON_TEXT_CHAR_MAX])
{
    const char *slash = memchr(text->ptr, '\\', text->len);
    struct td_slice part = td_slice_to(*text, slash ? (size_t)(slash - text->ptr) : text->len);
    size_t used = part.len;

    if (used == 0) {
        used = td_json_text_escape(*text, space, &part.len);
        part.ptr = space;
    }
    /* Only an unchecked string has a bad escape; its rest is dropped rather than looped on. */
    *text = td_slice_from(*text, used ? used : text->len);
    return used ? part : (struct td_slice){NULL, 0};
}

bool td_json_plain(struct td_slice raw, struct td_slice *ret_text)
{
    struct td_slice text = inside(raw);

    if (!text.ptr || memchr(text.ptr, '\\', text.len))
        return false;
    *ret_text = text;
    return true;
}

bool td_json_string_is(struct td_slice raw, const char *wanted)
{
    struct td_slice text = inside(raw), rest = td_slice_str(wanted);
    char space[TD_JSON_TEXT_CHAR_MAX];

    if (!text.ptr)
        return false;
    while (text.len > 0) {
        struct td_slice part = next_part(&text, space);
        if (part.len == 0 || !td_slice_starts(rest, part))
            return false;
        rest = td_slice_from(rest, part.len);
    }
    return rest.len == 0;
}

int td_json_unescape(struct td_slice raw, struct td_buf *out)
{
    struct td_slice text = inside(raw);
    char space[TD_JSON_TEXT_CHAR_MAX];
    size_t before = out->len;

    while (text.len > 0) {
        int r = td_buf_put(out, next_part(&text, space));
        if (r < 0) {
            out->len = before;
            return r;
        }
    }
    return 0;
}

size_t td_json_text_len(struct td_slice raw)
{
    struct td_slice text = inside(raw);
    char space[TD_JSON_TEXT_CHAR_MAX];
    size_t len = 0;

    while (text.len > 0)
        len += next_part(&text, space).len;
    return len;
}

/* Writes the first byte of `text`, which is not plain, and returns how many bytes that took: a whole
 * character when it begins one. */
static size_t put_special(struct td_buf *out, struct td_slice text)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[32] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    unsigned char c = (unsigned char)text.ptr[0];

    if (c >= 0x80) {
        size_t n = td_utf8_char(text);
        (void)td_buf_put(out, n ? td_slice_to(text, n) : TD_S("\xef\xbf\xbd"));
        return n ? n : 1;
    }
    char escape[6] = {'\\', (char)c};
    size_t len = 2;
    if (c < 0x20 && letters[c]) {
        escape[1] = letters[c];
    } else if (c < 0x20) {
        memcpy(escape, "\\u00", 4);
        escape[4] = hex[c >> 4];
        escape[5] = hex[c & 15];
        len = 6;
    }
    (void)td_buf_put(out, td_slice(escape, len));
    return 1;
}

int td_json_put_string(struct td_buf *out, struct td_slice text)
{
    size_t before = out->len;
    int r = td_buf_putc(out, '"');

    while (r == 0 && text.len > 0) {
        size_t n = (size_t)(td_json_text_plain(text.ptr, text.ptr + text.len) - text.ptr);
        r = td_buf_put(out, td_slice_to(text, n));
        text = td_slice_from(text, n);
        if (r == 0 && text.len > 0) {
            text = td_slice_from(text, put_special(out, text));
            r = out->err;
        }
    }
    if (r == 0)
        r = td_buf_putc(out, '"');
    if (r < 0)
        out->len = before;
    return r;
}
