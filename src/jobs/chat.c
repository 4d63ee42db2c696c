/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/chat.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/json.h"
#include "base/utf8.h"
#include <errno.h>

void td_chat_init(struct td_chat *chat, size_t text_max)
{
    *chat = (struct td_chat){
        .text = TD_BUF_INIT(text_max),
        .refusal = TD_BUF_INIT(TD_CHAT_REFUSAL_MAX),
        .usage = TD_BUF_INIT(TD_CHAT_USAGE_MAX),
        .model = TD_BUF_INIT(TD_CHAT_WORD_MAX),
        .finish_reason = TD_BUF_INIT(TD_CHAT_WORD_MAX),
        .error = TD_BUF_INIT(TD_CHAT_ERROR_MAX),
        .error_code = TD_BUF_INIT(TD_CHAT_WORD_MAX),
    };
    td_sse_reader_init(&chat->_reader);
}

void td_chat_done(struct td_chat *chat)
{
    td_buf_done(&chat->text);
    td_buf_done(&chat->refusal);
    td_buf_done(&chat->usage);
    td_buf_done(&chat->model);
    td_buf_done(&chat->finish_reason);
    td_buf_done(&chat->error);
    td_buf_done(&chat->error_code);
    td_sse_reader_done(&chat->_reader);
}

/* --- texts --- */

void td_chat_put_cut(struct td_buf *out, struct td_slice text)
{
    const struct td_slice replacement = TD_S("\xEF\xBF\xBD");
    int r = 0;

    while (r == 0 && text.len > 0) {
        size_t len = td_utf8_char(text);
        struct td_slice put = len ? td_slice_to(text, len) : replacement;
        if (put.len > out->max - out->len)
            return;
        r = td_buf_put(out, put); /* out of memory: it then says less */
        text = td_slice_from(text, len ? len : 1);
    }
}

/* Appends what a raw string or number says, cut to the room. */
static void put_word(struct td_buf *out, struct td_slice raw)
{
    struct td_buf text = TD_BUF_INIT(raw.len);

    if (td_json_type(raw) != TD_JSON_STRING)
        td_chat_put_cut(out, raw);
    else if (td_json_unescape(raw, &text) == 0)
        td_chat_put_cut(out, td_buf_slice(&text));
    td_buf_done(&text);
}

/* A member that is a string with something in it. */
static bool get_text(struct td_slice object, const char *name, struct td_slice *ret_raw)
{
    struct td_slice raw;

    if (!td_json_get(object, name, &raw) || td_json_type(raw) != TD_JSON_STRING ||
        td_json_text_len(raw) == 0)
        return false;
    *ret_raw = raw;
    return true;
}

static bool get_of(struct td_slice object, const char *name, enum td_json_type type,
                   struct td_slice *ret_raw)
{
    struct td_slice raw;

    if (!td_json_get(object, name, &raw) || td_json_type(raw) != type)
        return false;
    *ret_raw = raw;
    return true;
}

/* All of it or nothing, so that what is kept ends with a character. */
static int put_text(struct td_buf *out, struct td_slice raw)
{
    if (td_json_text_len(raw) > out->max - out->len)
        return TD_ETOOLARGE;
    return td_json_unescape(raw, out);
}

static void replace(struct td_buf *out, struct td_slice raw)
{
    td_buf_reset(out);
    put_word(out, raw);
}

/* --- errors --- */

static bool is_error_object(struct td_slice json)
{
    struct td_slice object;

    return get_text(json, "object", &object) && td_json_string_is(object, "error");
}

/* {"message","code","type"}, of which `code` may be null or a number. */
static bool read_error_members(struct td_slice json, struct td_buf *message, struct td_buf *code)
{
    struct td_slice raw;
    bool found = get_text(json, "message", &raw) || get_text(json, "detail", &raw);

    if (found)
        put_word(message, raw);
    if (get_text(json, "code", &raw) || get_of(json, "code", TD_JSON_NUMBER, &raw) ||
        get_text(json, "type", &raw))
        put_word(code, raw);
    return found;
}

bool td_chat_error_read(struct td_slice json, struct td_buf *message, struct td_buf *code)
{
    struct td_slice value, error, name;

    if (td_json_check(json, &value, NULL) < 0)
        return false;
    if (td_json_type(value) == TD_JSON_ARRAY) {
        struct td_json_iter it = td_json_iter(value);
        if (!td_json_next(&it, &name, &value))
            return false;
    }
    if (td_json_type(value) != TD_JSON_OBJECT)
        return false;
    if (get_text(value, "error", &error)) {
        put_word(message, error);
        return true;
    }
    if (get_of(value, "error", TD_JSON_OBJECT, &error))
        return read_error_members(error, message, code);
    return read_error_members(value, message, code);
}

/* The stream says that something went wrong, as clearly as it can. */
static int take_error(struct td_chat *chat, struct td_slice data)
{
    if (!td_chat_error_read(data, &chat->error, &chat->error_code)) {
        td_buf_reset(&chat->error_code);
        td_chat_put_cut(&chat->error, data.len ? data : TD_S("unknown error"));
    }
    return 1;
}

/* --- chunks --- */

/* A string, or a list of parts. */
static int take_content(struct td_chat *chat, struct td_slice content)
{
    struct td_json_iter it = td_json_iter(content);
    struct td_slice name, part, raw;
    size_t before = chat->text.len;
    int r = 0;

    if (td_json_type(content) == TD_JSON_STRING) {
        r = put_text(&chat->text, content);
    } else if (td_json_type(content) == TD_JSON_ARRAY) {
        while (r == 0 && td_json_next(&it, &name, &part)) {
            chat->signs++;
            if (td_json_type(part) == TD_JSON_OBJECT && get_text(part, "type", &raw) &&
                td_json_string_is(raw, "text") && get_text(part, "text", &raw))
                r = put_text(&chat->text, raw);
        }
    }
    chat->pieces += chat->text.len > before;
    return r;
}

/* `delta`, or the `message` of a whole answer. */
static int take_delta(struct td_chat *chat, struct td_slice delta)
{
    struct td_slice raw;
    uint64_t pieces = chat->pieces;
    int r = 0;

    if (td_json_get(delta, "content", &raw))
        r = take_content(chat, raw);
    if (r == 0 && get_text(delta, "refusal", &raw)) {
        chat->signs++;
        r = put_text(&chat->refusal, raw);
    }
    if ((get_of(delta, "tool_calls", TD_JSON_ARRAY, &raw) && raw.len > 2) ||
        get_of(delta, "function_call", TD_JSON_OBJECT, &raw)) {
        chat->tool_calls = true;
        chat->signs++;
    }
    if (get_text(delta, "reasoning_content", &raw) || get_text(delta, "reasoning", &raw) ||
        get_text(delta, "thinking", &raw))
        chat->signs++;
    chat->signs += chat->pieces > pieces;
    return r;
}

/* The choice that counts, of `choices`. */
static bool find_choice(struct td_slice chunk, struct td_slice *ret_choice)
{
    struct td_slice choices, name, choice, index;
    uint64_t number;

    if (!get_of(chunk, "choices", TD_JSON_ARRAY, &choices))
        return false;
    for (struct td_json_iter it = td_json_iter(choices); td_json_next(&it, &name, &choice);) {
        if (td_json_type(choice) != TD_JSON_OBJECT)
            continue;
        if (get_of(choice, "index", TD_JSON_NUMBER, &index) &&
            (td_json_u64(index, &number) < 0 || number != 0))
            continue;
        *ret_choice = choice;
        return true;
    }
    return false;
}

/* On one line: a control character in JSON stands between its tokens. */
static void take_usage(struct td_chat *chat, struct td_slice raw)
{
    replace(&chat->usage, raw);
    for (size_t i = 0; i < chat->usage.len; i++)
        if ((unsigned char)chat->usage.ptr[i] < 0x20)
            chat->usage.ptr[i] = ' ';
}

/* One chunk, or a whole answer: an object that was checked.  1 when it is an error. */
static int take_chunk(struct td_chat *chat, struct td_slice chunk, const char *delta_name)
{
    struct td_slice raw, choice;
    int r = 0;

    if (get_text(chunk, "model", &raw))
        replace(&chat->model, raw);
    if (get_of(chunk, "usage", TD_JSON_OBJECT, &raw) && raw.len <= TD_CHAT_USAGE_MAX)
        take_usage(chat, raw);
    if (get_text(chunk, "error", &raw) || get_of(chunk, "error", TD_JSON_OBJECT, &raw) ||
        is_error_object(chunk))
        return take_error(chat, chunk);
    if (!find_choice(chunk, &choice))
        return 0;
    if (get_of(choice, delta_name, TD_JSON_OBJECT, &raw))
        r = take_delta(chat, raw);
    if (get_text(choice, "finish_reason", &raw))
        replace(&chat->finish_reason, raw);
    return r;
}

static int take_message(struct td_chat *chat, const struct td_sse_message *message)
{
    struct td_slice data = td_slice_trim(message->data), chunk;

    if (td_slice_eq(message->event, TD_S("error")))
        return take_error(chat, data);
    if (td_slice_eq(data, TD_S("[DONE]"))) {
        chat->done = true;
        return 1;
    }
    if (data.len == 0)
        return 0;
    int r = td_json_check(data, &chunk, NULL);
    if (r < 0)
        return r;
    return td_json_type(chunk) == TD_JSON_OBJECT ? take_chunk(chat, chunk, "delta") : TD_EJSON;
}

int td_chat_feed(struct td_chat *chat, struct td_slice bytes)
{
    struct td_sse_message message;
    int r;

    if (chat->_failed)
        return chat->_failed;
    if (chat->done || chat->error.len > 0)
        return 1;
    while ((r = td_sse_reader_next(&chat->_reader, &bytes, &message)) > 0) {
        r = take_message(chat, &message);
        if (r != 0)
            break;
    }
    if (r < 0)
        chat->_failed = r;
    return r;
}

int td_chat_end(struct td_chat *chat)
{
    int before = chat->_failed;

    if (before < 0)
        return before;
    int r = td_chat_feed(chat, TD_S("\n\n"));
    if (r == TD_ETOOLARGE || r == -ENOMEM)
        return r;
    /* An event that is no chunk was cut off in the middle. */
    chat->_failed = 0;
    if (chat->error.len > 0 || chat->done || chat->finish_reason.len > 0)
        return 0;
    return TD_EPROTO;
}

int td_chat_read_whole(struct td_chat *chat, struct td_slice body)
{
    struct td_slice answer, choice;
    int r = td_json_check(body, &answer, NULL);

    if (r < 0)
        return r;
    if (td_json_type(answer) == TD_JSON_ARRAY) {
        take_error(chat, body);
        return 0;
    }
    if (td_json_type(answer) != TD_JSON_OBJECT)
        return TD_EPROTO;
    r = take_chunk(chat, answer, "message");
    if (r != 0)
        return r < 0 ? r : 0;
    if (!find_choice(answer, &choice))
        return TD_EPROTO;
    chat->done = true;
    return 0;
}
