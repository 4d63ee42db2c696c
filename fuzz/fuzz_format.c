/* SPDX-License-Identifier: Apache-2.0 */
/* Formats: whatever is published as data, each format is valid JSON, no name stands twice at its top, the envelope's
 * members are the envelope's, and the answer is the same again. */
#include "base/assert.h"
#include "base/json.h"
#include "codec/format.h"
#include "fuzz.h"

#define MEMBERS_MAX 256 /* names are compared with each other */

static bool same_name(struct td_slice a, struct td_slice b)
{
    struct td_buf left = TD_BUF_INIT(1 << 22), right = TD_BUF_INIT(1 << 22);

    TD_ASSERT(td_json_unescape(a, &left) == 0 && td_json_unescape(b, &right) == 0);
    bool same = td_slice_eq(td_buf_slice(&left), td_buf_slice(&right));
    td_buf_done(&left);
    td_buf_done(&right);
    return same;
}

static void check_names(struct td_slice object)
{
    struct td_json_iter it = td_json_iter(object);
    struct td_slice names[MEMBERS_MAX], value;

    for (size_t n = 0; n < MEMBERS_MAX && td_json_next(&it, &names[n], &value); n++)
        for (size_t i = 0; i < n; i++)
            TD_ASSERT(!same_name(names[i], names[n]));
}

static void check_format(enum td_format format, const struct td_format_input *in)
{
    struct td_buf out = TD_BUF_INIT(1 << 24), again = TD_BUF_INIT(1 << 24);
    struct td_slice whole, member;

    TD_ASSERT(td_format_event(format, in, &out) == 0);
    TD_ASSERT(td_format_event(format, in, &again) == 0);
    TD_ASSERT(td_slice_eq(td_buf_slice(&out), td_buf_slice(&again)));
    TD_ASSERT(td_json_check(td_buf_slice(&out), &whole, NULL) == 0);
    TD_ASSERT(td_json_type(whole) == TD_JSON_OBJECT && whole.len == out.len);
    check_names(whole);
    if (format != TD_FORMAT_EVENT) {
        TD_ASSERT(td_json_get(whole, "event_id", &member) &&
                  td_json_string_is(member, "9f3c21aa.7"));
        TD_ASSERT(td_json_get(whole, "timestamp", &member) &&
                  td_json_string_is(member, "2026-11-20T20:44:01.123Z"));
        TD_ASSERT(td_json_get(whole, "type", &member) &&
                  td_json_string_is(member, format == TD_FORMAT_FLAT ? "ENTITY_UPDATED"
                                                                     : "EVENT_NOTIFICATION"));
    }
    td_buf_done(&out);
    td_buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_buf event = TD_BUF_INIT(1 << 24);
    struct td_slice whole, value;

    /* Only what may be published is formatted: data that can be a member. */
    td_buf_puts(&event, "{\"data\":");
    td_buf_put(&event, td_slice((const char *)data, size));
    td_buf_putc(&event, '}');
    struct td_slice text = td_slice((const char *)data, size);
    if (td_json_check(text, &value, NULL) == 0 &&
        td_json_check(td_buf_slice(&event), &whole, NULL) == 0) {
        struct td_format_input in = {
            .event = whole,
            .id = TD_S("9f3c21aa.7"),
            .topic = TD_S("entities/applications/app123"),
            .type = TD_S("ENTITY_UPDATED"),
            .time = TD_S("2026-11-20T20:44:01.123Z"),
            .data = value,
        };
        check_format(TD_FORMAT_EVENT, &in);
        check_format(TD_FORMAT_FLAT, &in);
        check_format(TD_FORMAT_ENTITY, &in);
    }
    td_buf_done(&event);
    return 0;
}
