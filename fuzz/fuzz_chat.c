/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of a chat-completions upstream: the first byte says where the rest is cut.  Cut or whole, the same is read, and what is read keeps
 * the promises of the header. */
#include "base/assert.h"
#include "base/json.h"
#include "base/units.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "jobs/chat.h"

#define TEXT_MAX ((size_t)256)

/* Reads `in` in chunks of `chunk` bytes; returns what td_chat_end says. */
static int read_in_chunks(struct td_chat *chat, struct td_slice in, size_t chunk)
{
    int r = 0;

    td_chat_init(chat, TEXT_MAX);
    while (in.len > 0 && r == 0) {
        struct td_slice part = td_slice_to(in, TD_MIN(chunk, in.len));
        size_t before = chat->text.len;
        in = td_slice_from(in, part.len);
        r = td_chat_feed(chat, part);
        /* What is new begins and ends with a character. */
        TD_ASSERT(td_utf8_valid(td_slice_from(td_buf_slice(&chat->text), before)));
        TD_ASSERT((r == 1) == (chat->done || chat->error.len > 0));
    }
    TD_ASSERT(r >= 0 || td_chat_feed(chat, TD_S("data: [DONE]\n\n")) == r);
    int end = td_chat_end(chat);
    TD_ASSERT(r >= 0 || end == r);
    return end;
}

static void same(const struct td_buf *a, const struct td_buf *b)
{
    TD_ASSERT(td_slice_eq(td_buf_slice(a), td_buf_slice(b)));
    TD_ASSERT(a->len <= a->max);
    TD_ASSERT(td_utf8_valid(td_buf_slice(a)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_chat whole, cut;
    struct td_slice value;

    if (size < 2)
        return 0;
    struct td_slice stream = td_slice((const char *)data + 1, size - 1);
    int whole_r = read_in_chunks(&whole, stream, stream.len);
    int cut_r = read_in_chunks(&cut, stream, 1 + data[0] % 32);

    TD_ASSERT(whole_r == cut_r);
    TD_ASSERT(whole.done == cut.done && whole.tool_calls == cut.tool_calls);
    TD_ASSERT(whole.pieces == cut.pieces && whole.signs == cut.signs);
    TD_ASSERT(whole.pieces <= whole.signs);
    same(&whole.text, &cut.text);
    same(&whole.refusal, &cut.refusal);
    same(&whole.usage, &cut.usage);
    same(&whole.model, &cut.model);
    same(&whole.finish_reason, &cut.finish_reason);
    same(&whole.error_code, &cut.error_code);
    same(&whole.error, &cut.error);
    if (whole.usage.len > 0)
        TD_ASSERT(td_json_check(td_buf_slice(&whole.usage), &value, NULL) == 0 &&
                  td_json_type(value) == TD_JSON_OBJECT);
    td_chat_done(&whole);
    td_chat_done(&cut);

    td_chat_init(&whole, TEXT_MAX);
    int r = td_chat_read_whole(&whole, stream);
    TD_ASSERT(r < 0 || whole.done || whole.error.len > 0);
    same(&whole.text, &whole.text);
    td_chat_done(&whole);
    return 0;
}
