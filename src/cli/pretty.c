/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pretty.h"
#include "base/json.h"
#include "base/utf8.h"

#define DIM   "\x1b[2m"
#define CYAN  "\x1b[36m"
#define BOLD  "\x1b[1m"
#define PLAIN "\x1b[0m"

/* The length of the UTF-8 character that `text` begins with; 0 when it begins with none. */
static size_t character(struct td_slice text)
{
    for (size_t n = 1; n <= 4 && n <= text.len; n++)
        if (td_utf8_valid(td_slice_to(text, n)))
            return n;
    return 0;
}

/* C0 and DEL, and C1 as UTF-8 writes it: C2 80 to C2 9F. */
static bool is_control(struct td_slice character)
{
    unsigned char first = (unsigned char)character.ptr[0];

    if (character.len == 1)
        return first < ' ' || first == 0x7F;
    return character.len == 2 && first == 0xC2 && (unsigned char)character.ptr[1] < 0xA0;
}

void td_pretty_text(struct td_buf *out, struct td_slice text)
{
    while (text.len > 0) {
        size_t n = character(text);
        bool hidden = n == 0 || is_control(td_slice_to(text, n));

        n = n ? n : 1;
        for (size_t i = 0; hidden && i < n; i++)
            td_buf_putf(out, "\\x%02x", (unsigned)(unsigned char)text.ptr[i]);
        if (!hidden)
            td_buf_put(out, td_slice_to(text, n));
        text = td_slice_from(text, n);
    }
}

/* Puts a member's value, a string without its quotes. */
static void put_part(struct td_buf *out, struct td_slice raw, const char *color)
{
    if (raw.len >= 2 && raw.ptr[0] == '"')
        raw = td_slice(raw.ptr + 1, raw.len - 2);
    td_buf_puts(out, color ? color : "");
    td_pretty_text(out, raw);
    td_buf_puts(out, color ? PLAIN " " : " ");
}

/* "2026-11-20T20:44:01.123Z", quoted, to "20:44:01.123"; anything else stays. */
static struct td_slice time_of_day(struct td_slice raw)
{
    bool usual = raw.len == 26 && raw.ptr[11] == 'T' && raw.ptr[24] == 'Z';

    return usual ? td_slice(raw.ptr + 12, 12) : raw;
}

void td_pretty_event(struct td_buf *out, struct td_slice event, bool color)
{
    struct td_slice value, time, topic, type, data;

    if (td_json_check(event, &value, NULL) < 0 || td_json_type(value) != TD_JSON_OBJECT ||
        !td_json_get(value, "topic", &topic) || !td_json_get(value, "type", &type)) {
        td_pretty_text(out, event);
        td_buf_putc(out, '\n');
        return;
    }
    if (td_json_get(value, "time", &time))
        put_part(out, time_of_day(time), color ? DIM : NULL);
    put_part(out, topic, color ? CYAN : NULL);
    put_part(out, type, color ? BOLD : NULL);
    if (td_json_get(value, "data", &data))
        td_pretty_text(out, data);
    td_buf_putc(out, '\n');
}
