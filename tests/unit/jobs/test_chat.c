/* SPDX-License-Identifier: Apache-2.0 */
/* Streams as they were seen in the wild, each read whole, byte by byte, and cut at every offset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/units.h"
#include "jobs/chat.h"

#define TEXT_MAX 64

static void put_part(struct td_buf *out, const char *name, const struct td_buf *part)
{
    if (part->len == 0)
        return;
    td_buf_putf(out, " %s=", name);
    td_buf_put(out, td_buf_slice(part));
}

/* All that was read, in one line. */
static void describe(const struct td_chat *chat, int r, struct td_buf *out)
{
    td_buf_put(out, td_buf_slice(&chat->text));
    td_buf_putf(out, "|%d %d", (int)chat->pieces, (int)chat->signs);
    put_part(out, "refusal", &chat->refusal);
    put_part(out, "finish", &chat->finish_reason);
    put_part(out, "usage", &chat->usage);
    put_part(out, "model", &chat->model);
    put_part(out, "error", &chat->error);
    put_part(out, "code", &chat->error_code);
    if (chat->tool_calls)
        td_buf_puts(out, " tools");
    if (chat->done)
        td_buf_puts(out, " done");
    if (r < 0)
        td_buf_putf(out, " %s", td_err_name(r));
    td_buf_putc(out, '\0');
}

static void read_cut(struct td_slice stream, size_t cut, const char *expected)
{
    struct td_chat chat;
    struct td_buf out = TD_BUF_INIT(TD_MIB);
    int r = 0;

    td_chat_init(&chat, TEXT_MAX);
    if (cut == 0) {
        for (size_t i = 0; i < stream.len && r >= 0; i++)
            r = td_chat_feed(&chat, td_slice(stream.ptr + i, 1));
    } else {
        r = td_chat_feed(&chat, td_slice_to(stream, cut));
        if (r >= 0)
            r = td_chat_feed(&chat, td_slice_from(stream, cut));
    }
    int end = td_chat_end(&chat);
    if (r < 0)
        assert_int_equal(end, r);
    describe(&chat, end, &out);
    if (strcmp(out.ptr, expected) != 0)
        fail_msg("cut at %zu:\n%s\ngave   %s\nwanted %s", cut, stream.ptr, out.ptr, expected);
    td_buf_done(&out);
    td_chat_done(&chat);
}

static void check(const char *stream, const char *expected)
{
    for (size_t cut = 0; cut <= strlen(stream); cut++)
        read_cut(td_slice_str(stream), cut, expected);
}

/* A chunk with a delta, and one with a reason. */
#define DELTA(members)                                                                           \
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m-1\"," \
    "\"choices\":[{\"index\":0,\"delta\":{" members                                              \
    "},\"finish_reason\":null}],\"usage\":null}\n\n"
#define FINISH(reason)                                                                        \
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason \
    "\"}]}\n\n"
#define DONE "data: [DONE]\n\n"

static void the_plain_stream(void **state)
{
    check(DELTA("\"role\":\"assistant\",\"content\":\"\"") DELTA("\"content\":\"Hel\"")
              DELTA("\"content\":\"lo\"") FINISH("stop") DONE,
          "Hello|2 2 finish=stop model=m-1 done");
    check(DELTA("\"content\":\"a\\\"\\n\\u00e9\\ud83d\\ude00\"")
              DELTA("\"content\":\"\xC3\xA9\xF0\x9F\x98\x80\"") FINISH("length") DONE,
          "a\"\n\xC3\xA9\xF0\x9F\x98\x80\xC3\xA9\xF0\x9F\x98\x80|2 2 finish=length model=m-1 done");
    check(FINISH("stop") DONE, "|0 0 finish=stop done"); /* an empty answer is one */
}

static void framing(void **state)
{
    /* A mark at the start, comments, other fields, CRLF and CR, data in two lines, no space behind the colon. */
    check("\xEF\xBB\xBF: OPENROUTER PROCESSING\r\n\r\nevent: message\r\nid: 7\r\nretry: "
          "5\r\ndata:{\"choices\":\r\ndata:"
          "[{\"delta\":{\"content\":\"x\"}}]}\r\n\r\n:\rdata: "
          "{\"choices\":[{\"delta\":{\"content\":\"y\"}}]}\r\r"
          "data: [DONE]\r\n\r\n",
          "xy|2 2 done");
    check("data:\n\ndata: \n\n" FINISH("stop"), "|0 0 finish=stop");
    /* The last lines are not ended. */
    check(DELTA("\"content\":\"x\"") "data: [DONE]", "x|1 1 model=m-1 done");
    check(DELTA("\"content\":\"x\"") "data: [DONE]\n", "x|1 1 model=m-1 done");
    /* What comes behind the end does not count. */
    check(FINISH("stop") DONE DELTA("\"content\":\"x\"") "data: nonsense\n\n",
          "|0 0 finish=stop done");
}

static void usage(void **state)
{
    const char *plain = DELTA("\"content\":\"x\"") FINISH("stop");
    char stream[2048];
    static const char *const chunks[] = {
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"total_tokens\":3}}\n\n",
        "data: {\"choices\":null,\"usage\":{\"prompt_tokens\":1,\"total_tokens\":3}}\n\n",
        "data: {\"usage\":{\"prompt_tokens\":1,\"total_tokens\":3}}\n\n",
        /* In every chunk: the last counts. */
        "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":9}}\n\n"
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"total_tokens\":3}}\n\n"
        "data: {\"choices\":[],\"usage\":null}\n\n",
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(chunks); i++) {
        snprintf(stream, sizeof stream, "%s%s%s", plain, chunks[i], DONE);
        check(stream,
              "x|1 1 finish=stop usage={\"prompt_tokens\":1,\"total_tokens\":3} model=m-1 done");
    }
    check("data: {\"usage\":{\ndata: \"n\":\t1}}\n\n" DONE, "|0 0 usage={ \"n\": 1} done");
    /* In front of the end of the text: kept for one that is cancelled. */
    check(
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"usage\":{\"total_tokens\":2}}\n\n",
        "x|1 1 usage={\"total_tokens\":2} PROTO");
}

static void reasons(void **state)
{
    /* Early, with the text; empty; never; more than one; in the chunk that has text. */
    check(FINISH("stop") DELTA("\"content\":\"x\"") DONE, "x|1 1 finish=stop model=m-1 done");
    check(DELTA("\"content\":\"x\"") FINISH("") DONE, "x|1 1 model=m-1 done");
    check(DELTA("\"content\":\"x\"") DONE, "x|1 1 model=m-1 done");
    check(FINISH("stop") FINISH("content_filter") FINISH("") DONE,
          "|0 0 finish=content_filter done");
    check("data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n",
          "x|1 1 finish=stop");
}

static void streams_that_end_early(void **state)
{
    check("", "|0 0 PROTO");
    check(DELTA("\"content\":\"some\""), "some|1 1 model=m-1 PROTO");
    check(DELTA("\"content\":\"some\"") "data: {\"choices\":[{\"delta\":{\"con",
          "some|1 1 model=m-1 PROTO");
    check(DELTA("\"content\":\"some\"") "data: {\"choices\":[{\"delta\":{\"content\":\"\xC3",
          "some|1 1 model=m-1 PROTO");
    check(DELTA("\"content\":\"some\"") ": still here\n\n", "some|1 1 model=m-1 PROTO");
    check("<html>Bad gateway</html>", "|0 0 PROTO");
}

static void errors(void **state)
{
    check(DELTA("\"content\":\"x\"") "data: {\"error\":{\"message\":\"Over "
                                     "\\\"it\\\"\",\"type\":\"server_error\",\"param\":null,"
                                     "\"code\":null}}\n\n" DONE,
          "x|1 1 model=m-1 error=Over \"it\" code=server_error");
    check("data: {\"error\":{\"message\":\"slow down\",\"code\":429}}\n\n",
          "|0 0 error=slow down code=429");
    check("data: {\"error\":\"model not found\"}\n\n", "|0 0 error=model not found");
    check(
        "data: "
        "{\"object\":\"error\",\"message\":\"bad\",\"type\":\"BadRequestError\",\"code\":400}\n\n",
        "|0 0 error=bad code=400");
    check("data: "
          "{\"error\":{\"code\":502,\"message\":\"p\"},\"choices\":[{\"delta\":{\"content\":\"\"},"
          "\"finish_reason\":\"error\"}]}\n\n",
          "|0 0 error=p code=502");
    check("event: error\ndata: {\"message\":\"overloaded\",\"type\":\"overloaded_error\"}\n\n",
          "|0 0 error=overloaded code=overloaded_error");
    check("event: error\ndata: out of memory\n\n", "|0 0 error=out of memory");
    check("event: error\ndata: \xC3( \xFF\n\n", "|0 0 error=\xEF\xBF\xBD( \xEF\xBF\xBD");
    check("data: {\"error\":{\"odd\":1}}\n\n", "|0 0 error={\"error\":{\"odd\":1}}");
    check("data: "
          "{\"error\":null,\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]"
          "}\n\n",
          "x|1 1 finish=stop");
    /* What it had said before the end counts although the connection broke in the middle of the error. */
    check(FINISH("stop") "data: {\"error\":", "|0 0 finish=stop");
}

static void what_is_no_text(void **state)
{
    check(DELTA("\"content\":\"\",\"obfuscation\":\"a8Fj\"")
              DELTA("\"content\":\"x\",\"obfuscation\":\"k\"") FINISH("stop"),
          "x|1 1 finish=stop model=m-1");
    check(DELTA("\"content\":null,\"refusal\":\"I \"") DELTA("\"refusal\":\"won't\"") FINISH("stop")
              DONE,
          "|0 2 refusal=I won't finish=stop model=m-1 done");
    check(DELTA("\"reasoning_content\":\"hm\"") DELTA("\"content\":\"\",\"reasoning\":\"hm\"")
              DELTA("\"thinking\":\"hm\"") DONE,
          "|0 3 model=m-1 done");
    check(DELTA("\"content\":null,\"tool_calls\":[{\"index\":0,\"id\":\"t\",\"function\":{\"name\":"
                "\"f\",\"arguments\":\"\"}}]") FINISH("tool_calls") DONE,
          "|0 1 finish=tool_calls model=m-1 tools done");
    check(DELTA("\"tool_calls\":[]") DELTA("\"function_call\":{\"name\":\"f\"}") DONE,
          "|0 1 model=m-1 tools done");
    check(DELTA("\"content\":[{\"type\":\"thinking\",\"thinking\":[]},{\"type\":\"text\",\"text\":"
                "\"a\"},{\"type\":\"text\",\"text\":\"b\"}]") DONE,
          "ab|1 4 model=m-1 done");
    check("data: {\"type\":\"ping\"}\n\nevent: other\ndata: {}\n\ndata: {\"choices\":{}}\n\ndata: "
          "{\"choices\":[1,{\"delta\":null}]}\n\n" DONE,
          "|0 0 done");
}

static void several_choices(void **state)
{
    check("data: "
          "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"},\"finish_reason\":\"length\"},"
          "{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n"
          "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"}}]}\n\n"
          "data: "
          "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"y\"},\"finish_reason\":\"stop\"}]}"
          "\n\n" DONE,
          "xy|2 2 finish=stop done");
}

static void what_is_no_chunk(void **state)
{
    check(DELTA("\"content\":\"x\"") "data: nonsense\n\n" DONE, "x|1 1 model=m-1 JSON");
    check("data: [1]\n\n", "|0 0 JSON");
    check("data: \"x\"\n\n", "|0 0 JSON");
    check("data: {\"choices\":[{\"delta\":{\"content\":\"\\ud800\"}}]}\n\n", "|0 0 JSON");
    check("data: {\"choices\":[{\"delta\":{\"content\":\"\xC3(\"}}]}\n\n" DONE, "|0 0 UTF8");
}

static void text_is_bounded(void **state)
{
    /* 64 bytes; the piece that is too much is left out whole. */
    check(DELTA("\"content\":\"0123456789012345678901234567890123456789\"")
              DELTA("\"content\":\"012345678901234567890123\"") FINISH("stop"),
          "0123456789012345678901234567890123456789012345678901234567890123|2 2 finish=stop "
          "model=m-1");
    check(DELTA("\"content\":\"0123456789012345678901234567890123456789\"")
              DELTA("\"content\":\"01234567890123456789012\\u00e9\"") FINISH("stop"),
          "0123456789012345678901234567890123456789|1 1 model=m-1 TOOLARGE");

    struct td_chat chat;
    static char line[TD_SSE_LINE_MAX];
    memset(line, 'x', sizeof line);
    memcpy(line, "data: ", 6);
    td_chat_init(&chat, TEXT_MAX);
    assert_int_equal(td_chat_feed(&chat, td_slice(line, sizeof line)), 0);
    assert_int_equal(td_chat_feed(&chat, TD_S("x")), TD_ETOOLARGE);
    assert_int_equal(td_chat_feed(&chat, TD_S(DONE)), TD_ETOOLARGE);
    assert_int_equal(td_chat_end(&chat), TD_ETOOLARGE);
    td_chat_done(&chat);
}

/* Words that an upstream makes long are cut at a character; usage beyond its bound is left out. */
static void words_are_bounded(void **state)
{
    struct td_chat chat;
    struct td_buf stream = TD_BUF_INIT(TD_MIB);

    td_buf_puts(&stream, "data: {\"model\":\"");
    for (size_t i = 0; i < TD_CHAT_WORD_MAX; i++)
        td_buf_puts(&stream, "\xE2\x82\xAC");
    td_buf_puts(&stream, "\",\"usage\":{\"x\":\"");
    for (size_t i = 0; i < TD_CHAT_USAGE_MAX; i++)
        td_buf_putc(&stream, 'x');
    td_buf_puts(&stream, "\"},\"error\":\"");
    for (size_t i = 0; i < TD_CHAT_ERROR_MAX; i++)
        td_buf_puts(&stream, "\xC3\xA9");
    td_buf_puts(&stream, "\"}\n\n");
    td_chat_init(&chat, TEXT_MAX);
    assert_int_equal(td_chat_feed(&chat, td_buf_slice(&stream)), 1);
    assert_int_equal(chat.model.len, 126);
    assert_int_equal(chat.usage.len, 0);
    assert_int_equal(chat.error.len, TD_CHAT_ERROR_MAX);
    td_chat_done(&chat);
    td_buf_done(&stream);
}

static void check_whole(const char *body, const char *expected)
{
    struct td_chat chat;
    struct td_buf out = TD_BUF_INIT(TD_MIB);

    td_chat_init(&chat, TEXT_MAX);
    describe(&chat, td_chat_read_whole(&chat, td_slice_str(body)), &out);
    assert_string_equal(out.ptr, expected);
    td_buf_done(&out);
    td_chat_done(&chat);
}

static void answers_that_are_not_streamed(void **state)
{
    check_whole(
        "{\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
        "\"content\":\"Hello\"},\"finish_reason\":\"stop\"}],\"usage\":{\"total_tokens\":2}}\n",
        "Hello|1 1 finish=stop usage={\"total_tokens\":2} model=m done");
    check_whole("{\"error\":{\"message\":\"no\",\"code\":\"x\"}}", "|0 0 error=no code=x");
    check_whole("[{\"error\":{\"message\":\"no\",\"code\":400}}]", "|0 0 error=no code=400");
    check_whole("{\"status\":\"fine\"}", "|0 0 PROTO");
    check_whole("\"x\"", "|0 0 PROTO");
    check_whole("", "|0 0 JSON");
}

static void what_error_bodies_say(void **state)
{
    static const struct {
        const char *body, *message, *code;
    } cases[] = {
        {"{\"error\":{\"message\":\"Wrong "
         "key\",\"type\":\"invalid_request_error\",\"code\":\"invalid_api_key\"}}", "Wrong key", "invalid_api_key"},
        {"{\"error\":\"not found\"}",                                                        "not found", ""               },
        {"{\"detail\":\"Not Found\"}",                                                       "Not Found", ""               },
        {"{\"message\":\"x\",\"type\":\"t\"}",                                               "x",         "t"              },
        {"[{\"error\":{\"code\":404,\"message\":\"g\"}}]",                                   "g",         "404"            },
        {"[]",                                                                               NULL,        NULL             },
        {"{}",                                                                               NULL,        NULL             },
        {"<html>",                                                                           NULL,        NULL             },
        {"",                                                                                 NULL,        NULL             },
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        struct td_buf message = TD_BUF_INIT(TD_CHAT_ERROR_MAX),
                      code = TD_BUF_INIT(TD_CHAT_WORD_MAX);
        bool found = td_chat_error_read(td_slice_str(cases[i].body), &message, &code);

        assert_int_equal(found, cases[i].message != NULL);
        assert_true(td_slice_eq(td_buf_slice(&message), td_slice_str(cases[i].message)));
        assert_true(td_slice_eq(td_buf_slice(&code), td_slice_str(cases[i].code)));
        td_buf_done(&message);
        td_buf_done(&code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plain_stream),
        cmocka_unit_test(framing),
        cmocka_unit_test(usage),
        cmocka_unit_test(reasons),
        cmocka_unit_test(streams_that_end_early),
        cmocka_unit_test(errors),
        cmocka_unit_test(what_is_no_text),
        cmocka_unit_test(several_choices),
        cmocka_unit_test(what_is_no_chunk),
        cmocka_unit_test(text_is_bounded),
        cmocka_unit_test(words_are_bounded),
        cmocka_unit_test(answers_that_are_not_streamed),
        cmocka_unit_test(what_error_bodies_say),
    };

    return cmocka_run_group_tests_name("chat", tests, NULL, NULL);
}
