/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what a chat-completions upstream streams: Server-Sent Events, a chunk of JSON each, then `data: [DONE]`.  Bytes in, the answer as far
 * as it has come out; no IO.
 *
 * The format is OpenAI's as its many imitators speak it, so this is lenient where they differ and no answer is put at risk by it:
 *
 * - usage comes in a chunk of its own with `choices` [], null or absent, or in every chunk: the last that is an object counts;
 * - `finish_reason` may come early, never, or as "": the last that is not empty counts;
 * - of several choices the one with index 0 counts, or the first without an index;
 * - `content` may be a list of parts, of which those of type text count;
 * - what is thought aloud (`reasoning_content`, `reasoning`, `thinking`) and tool calls, which nobody offered, are no text, but a sign of life;
 * - unknown members, such as `obfuscation`, and unknown events are ignored;
 * - an error may be an object, a string, or an event named `error`. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"
#include "codec/sse_reader.h"
#include <stdbool.h>
#include <stdint.h>

#define TD_CHAT_USAGE_MAX   ((size_t)4 * 1024)
#define TD_CHAT_ERROR_MAX   ((size_t)1024) /* longer ones are cut */
#define TD_CHAT_WORD_MAX    ((size_t)128) /* a model's name, a reason, a code; longer ones are cut */
#define TD_CHAT_REFUSAL_MAX ((size_t)64 * 1024)

struct td_chat {
    struct td_buf text;          /* so far: UTF-8, whole characters */
    struct td_buf refusal;       /* what the model says instead */
    struct td_buf usage;         /* raw JSON, an object; empty when none has come */
    struct td_buf model;         /* as the upstream calls it */
    struct td_buf finish_reason; /* stop, length, content_filter, …; empty when none has come */
    struct td_buf error;         /* what the upstream says went wrong; empty: nothing */
    struct td_buf error_code;    /* its code, or type */
    uint64_t pieces;             /* chunks with text: about the number of tokens */
    uint64_t signs;              /* chunks that showed that the model is at work */
    bool tool_calls;             /* there were some */
    bool done;                   /* [DONE], or a whole answer */
    struct td_sse_reader _reader;
    int _failed;
};

void td_chat_init(struct td_chat *chat, size_t text_max);
void td_chat_done(struct td_chat *chat);

/* Reads on.  0; 1 when nothing that comes behind it counts any more, which is after [DONE] and after an error; TD_ETOOLARGE for more than
 * text_max of text, or an event beyond TD_SSE_LINE_MAX; TD_EJSON, TD_EUTF8 for an event that is no chunk.  What has failed stays failed; what came before is
 * kept. */
TD_MUST_USE int td_chat_feed(struct td_chat *chat, struct td_slice bytes);
/* The stream has ended; an unfinished last event counts if it is whole otherwise.  0 when the answer is: after [DONE], or a finish_reason;
 * TD_EPROTO when the stream ended early; or the error of td_chat_feed. */
TD_MUST_USE int td_chat_end(struct td_chat *chat);
/* Reads an answer that was not streamed, one JSON object: for upstreams that don't.  0, or an error of td_chat_feed; TD_EPROTO when it is JSON, but
 * holds neither a message nor an error. */
TD_MUST_USE int td_chat_read_whole(struct td_chat *chat, struct td_slice body);

/* Finds what an answer with an error status says: {"error":{"message","code","type"}}, {"error":"…"}, {"message":"…"}, {"detail":"…"}, or one of
 * these in an array.  Appends to both buffers, which have room for TD_CHAT_ERROR_MAX and TD_CHAT_WORD_MAX.  Whether it says anything. */
bool td_chat_error_read(struct td_slice json, struct td_buf *message, struct td_buf *code);
/* Appends as much of a text as there is room for, cut at a character, and with U+FFFD for each byte that is not UTF-8. */
void td_chat_put_cut(struct td_buf *out, struct td_slice text);
