/* SPDX-License-Identifier: Apache-2.0 */
/* The runner against an upstream that says what each test tells it to. */
#include "peer.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "jobs/llm.h"
#include <unistd.h>

static struct peer peer;
static struct td_upstream *upstream;
static struct td_llms *llms;

/* What a run has told. */
struct told {
    struct td_buf text, log, result, message, details;
    size_t pieces;
    char code[64], action[256];
    bool ended;
    enum td_run_outcome outcome;
    struct td_llm_run *to_cancel; /* when the next piece comes */
};

static void on_line(void *arg, struct td_slice line, bool is_stderr)
{
    fail_msg("an llm writes no lines");
}

static void on_text(void *arg, struct td_slice piece)
{
    struct told *told = arg;

    assert_false(told->ended);
    assert_true(piece.len > 0 && piece.len <= 16 * TD_KIB);
    td_buf_put(&told->text, piece);
    told->pieces++;
    if (told->to_cancel)
        td_llm_cancel(told->to_cancel);
    told->to_cancel = NULL;
}

static void on_progress(void *arg, double progress, struct td_slice message)
{
    fail_msg("an llm knows no progress");
}

static void on_log(void *arg, struct td_slice message, struct td_slice level)
{
    struct told *told = arg;

    assert_true(td_slice_eq(level, TD_S("warn")));
    td_buf_put(&told->log, message);
}

static void on_ended(void *arg, const struct td_run_end *end)
{
    struct told *told = arg;
    struct td_slice value;

    assert_false(told->ended);
    assert_int_equal(end->exit_status, -1);
    told->ended = true;
    told->outcome = end->outcome;
    assert_int_equal(td_json_check(end->result, &value, NULL), 0);
    td_buf_put(&told->result, end->result);
    td_buf_put(&told->message, end->message);
    td_buf_put(&told->details, end->details);
    snprintf(told->code, sizeof told->code, "%.*s", (int)end->code.len, end->code.ptr);
    assert_int_equal(end->n_actions > 0, end->outcome == TD_RUN_FAILED);
    if (end->n_actions > 0)
        snprintf(told->action, sizeof told->action, "%.*s", (int)end->actions[0].len,
                 end->actions[0].ptr);
}

static const struct td_run_ops ops = {on_line, on_text, on_progress, on_log, on_ended};

static struct told told_init(void)
{
    return (struct told){.text = TD_BUF_INIT(4 * TD_MIB),
                         .log = TD_BUF_INIT(TD_MIB),
                         .result = TD_BUF_INIT(32 * TD_MIB),
                         .message = TD_BUF_INIT(TD_MIB),
                         .details = TD_BUF_INIT(TD_MIB)};
}

static void told_done(struct told *told)
{
    td_buf_done(&told->text);
    td_buf_done(&told->log);
    td_buf_done(&told->result);
    td_buf_done(&told->message);
    td_buf_done(&told->details);
}

static bool value_of(void *arg, struct td_slice name, struct td_slice *ret_value)
{
    if (td_slice_eq(name, TD_S("text"))) {
        *ret_value = TD_S("say \"hi\"\n{there}\xFF");
        return true;
    }
    if (td_slice_eq(name, TD_S("long"))) {
        *ret_value = td_slice_str(arg);
        return arg != NULL;
    }
    return false;
}

static const struct td_run_input input = {.value = value_of};

static int set_up(void **state)
{
    struct td_upstream_options options = {.transfers_max = 4};

    td_expect_aborts = true;
    peer_open(&peer);
    assert_int_equal(td_upstream_new(&options, &upstream), 0);
    return td_llms_new(upstream, &llms);
}

static int tear_down(void **state)
{
    td_llms_free(llms);
    td_upstream_free(upstream);
    peer_close(&peer);
    return 0;
}

static struct td_llm_spec spec_init(void)
{
    struct td_llm_spec spec = TD_LLM_SPEC_INIT;

    snprintf(peer.url, sizeof peer.url, "http://%s/v1/", peer.address);
    spec.url = td_slice_str(peer.url);
    spec.model = TD_S("m-1");
    spec.prompt = TD_S("Hello");
    spec.retries = 0;
    spec.backoff_ms = 20;
    return spec;
}

static struct td_llm_run *start(const struct td_llm_spec *spec, struct told *told)
{
    struct td_llm_run *run;

    *told = told_init();
    assert_int_equal(td_llm_start(llms, spec, &input, &ops, told, &run), 0);
    assert_false(told->ended); /* nothing is told from within */
    return run;
}

/* As the desk does it: what is due does not wait for the sockets. */
static void turn(void)
{
    td_llms_serve(llms);
    if (td_llms_deadline(llms) > td_clock_ns())
        peer_turn_with(&peer, upstream);
    td_llms_serve(llms);
}

#define until(condition)                                                       \
    do {                                                                       \
        for (td_ns until_ = td_clock_ns() + PEER_DEADLINE_NS; !(condition);) { \
            if (td_clock_ns() > until_)                                        \
                fail_msg("waited in vain for: %s", #condition);                \
            turn();                                                            \
        }                                                                      \
    } while (0)

/* Waits for the request of the nth connection. */
static struct peer_conn *request(size_t n)
{
    until(peer.n_conns > n && peer_has_request(&peer.conns[n]));
    return &peer.conns[n];
}

static struct td_slice member(const struct td_buf *json, const char *name)
{
    struct td_slice object, value;

    assert_int_equal(td_json_check(td_buf_slice(json), &object, NULL), 0);
    if (!td_json_get(object, name, &value))
        return TD_S("absent");
    return value;
}

static void assert_slice(struct td_slice slice, const char *expected)
{
    if (!td_slice_eq(slice, td_slice_str(expected)))
        fail_msg("%.*s is not %s", (int)slice.len, slice.ptr, expected);
}

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
#define DELTA(text)                                                                      \
    "data: {\"model\":\"m-1b\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text \
    "\"}}]}\n\n"
#define FINISH "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define USAGE  "data: {\"choices\":[],\"usage\":{\"total_tokens\":7}}\n\n"
#define DONE   "data: [DONE]\n\n"

static void the_request_is_what_upstreams_expect(void **state)
{
    struct td_llm_spec spec = spec_init();
    struct told told;

    setenv("TEST_LLM_KEY", "sk-secret", 1);
    spec.key_env = TD_S("TEST_LLM_KEY");
    spec.system = TD_S("Be {absent}brief. {\"a\": 1} {{text}");
    spec.prompt = TD_S("Improve: {text}!");
    spec.max_tokens = 99;
    spec.temperature = 0.5;
    spec.extra = TD_S("{\"top_p\": 0.9, \"stream_options\": null}");
    start(&spec, &told);
    struct peer_conn *conn = request(0);
    assert_non_null(strstr(conn->in, "POST /v1/chat/completions HTTP/1.1\r\n"));
    assert_non_null(strstr(conn->in, "\r\nAuthorization: Bearer sk-secret\r\n"));
    assert_non_null(strstr(conn->in, "\r\nContent-Type: application/json\r\n"));
    assert_string_equal(
        strstr(conn->in, "\r\n\r\n") + 4,
        "{\"model\":\"m-1\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief. {\\\"a\\\": "
        "1} {text}\"},"
        "{\"role\":\"user\",\"content\":\"Improve: say "
        "\\\"hi\\\"\\n{there}\xEF\xBF\xBD!\"}],\"stream\":true,"
        "\"max_tokens\":99,\"temperature\":0.5,\"top_p\":0.9,\"stream_options\":null}");
    told_done(&told);
}

static void urls_are_completed(void **state)
{
    static const char *const cases[][2] = {
        {"",                      "/chat/completions"                  },
        {"/v1",                   "/v1/chat/completions"               },
        {"/v1//",                 "/v1/chat/completions"               },
        {"/v1/chat/completions",  "/v1/chat/completions"               },
        {"/v1/chat/completions/", "/v1/chat/completions"               },
        {"/d?api-version=1/2",    "/d/chat/completions?api-version=1/2"},
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        struct td_llm_spec spec = spec_init();
        struct told told;
        char expected[128];

        snprintf(peer.url, sizeof peer.url, "http://%s%s", peer.address, cases[i][0]);
        spec.url = td_slice_str(peer.url);
        struct td_llm_run *run = start(&spec, &told);
        struct peer_conn *conn = request(i);
        snprintf(expected, sizeof expected, "POST %s HTTP/1.1\r\n", cases[i][1]);
        assert_memory_equal(conn->in, expected, strlen(expected));
        assert_null(strstr(conn->in, "Authorization"));
        td_llm_cancel(run);
        until(told.ended);
        told_done(&told);
    }
}

static void tokens_are_told_as_they_come(void **state)
{
    struct td_llm_spec spec = spec_init();
    struct told told;

    start(&spec, &told);
    struct peer_conn *conn = request(0);
    peer_send(conn, HEAD DELTA(""));
    peer_send(conn, DELTA("One"));
    until(told.pieces == 1);
    assert_slice(td_buf_slice(&told.text), "One");
    peer_send(conn, DELTA(" two") DELTA(" \\u00fc") DELTA(" \xF0\x9F\x98\x80"));
    until(told.text.len == strlen("One two \xC3\xBC \xF0\x9F\x98\x80"));
    assert_int_equal(told.pieces, 2); /* what came together is told together */
    assert_false(told.ended);
    peer_send(conn, FINISH USAGE DONE);
    until(told.ended);
    assert_int_equal(told.outcome, TD_RUN_DONE);
    assert_slice(td_buf_slice(&told.text), "One two \xC3\xBC \xF0\x9F\x98\x80");
    assert_slice(member(&told.result, "text"), "\"One two \xC3\xBC \xF0\x9F\x98\x80\"");
    assert_slice(member(&told.result, "finish_reason"), "\"stop\"");
    assert_slice(member(&told.result, "model"), "\"m-1b\"");
    assert_slice(member(&told.result, "usage"), "{\"total_tokens\":7}");
    assert_slice(member(&told.result, "pieces"), "4");
    assert_slice(member(&told.result, "partial"), "absent");
    assert_true(member(&told.result, "timings").len >
                strlen("{\"first_token_ms\":0,\"total_ms\":0}") - 1);
    /* It may end its connection itself. */
    assert_false(conn->closed);
    peer_close_conn(conn);
    until(td_upstream_transfers(upstream) == 0);
    told_done(&told);
}

/* The next one that comes soon is held back for what may come with it, but not for long. */
static void tokens_in_quick_succession_are_told_together(void **state)
{
    struct td_llm_spec spec = spec_init();
    struct told told;
    td_ns deadline;

    spec.between_tokens_ms = spec.first_token_ms = 0;
    start(&spec, &told);
    struct peer_conn *conn = request(0);
    peer_send(conn, HEAD DELTA("a"));
    until(told.pieces == 1);
    assert_true(td_llms_deadline(llms) == UINT64_MAX);
    peer_send(conn, DELTA("b"));
    peer_until(&peer, upstream, td_llms_deadline(llms) != UINT64_MAX);
    deadline = td_llms_deadline(llms);
    assert_true(deadline < td_clock_ns() + 30 * TD_NS_PER_MS);
    td_llms_serve(llms);
    if (td_clock_ns() < deadline)
        assert_int_equal(told.pieces, 1);
    until(told.pieces == 2);
    assert_true(td_clock_ns() >= deadline);
    assert_slice(td_buf_slice(&told.text), "ab");
    told_done(&told);
}

/* Many at once, in one read: one piece for each 16 KiB, cut at characters. */
static void fast_tokens_are_gathered(void **state)
{
    enum { TOKENS = 20000 };
    struct td_llm_spec spec = spec_init();
    struct told told;
    struct td_buf stream = TD_BUF_INIT(8 * TD_MIB);

    td_buf_puts(&stream, HEAD);
    for (size_t i = 0; i < TOKENS; i++)
        td_buf_puts(&stream, DELTA("\xE2\x82\xAC"));
    td_buf_puts(&stream, FINISH DONE);
    start(&spec, &told);
    struct peer_conn *conn = request(0);
    for (size_t sent = 0; sent < stream.len; turn()) {
        int64_t n = td_net_send(conn->socket, stream.ptr + sent, stream.len - sent);
        assert_true(n > 0 || n == -EAGAIN);
        sent += n > 0 ? (size_t)n : 0;
    }
    until(told.ended);
    assert_int_equal(told.outcome, TD_RUN_DONE);
    assert_int_equal(told.text.len, 3 * TOKENS);
    assert_true(told.pieces < TOKENS / 20);
    assert_slice(member(&told.result, "pieces"), "20000");
    td_buf_done(&stream);
    told_done(&told);
}

static void cancel_closes_at_once_and_keeps_what_came(void **state)
{
    struct td_llm_spec spec = spec_init();
    struct told told;
    struct td_llm_run *run = start(&spec, &told);
    struct peer_conn *conn = request(0);

    peer_send(conn, HEAD DELTA("some") "data: {\"choices\":[],\"usage\":{\"total_tokens\":2}}\n\n");
    until(told.pieces == 1);
    td_llm_cancel(run);
    assert_int_equal(td_upstream_transfers(upstream), 0);
    assert_false(told.ended);
    td_llm_cancel(run); /* again changes nothing */
    assert_true(td_llms_deadline(llms) <= td_clock_ns());
    td_llms_serve(llms);
    assert_true(told.ended);
    assert_int_equal(told.outcome, TD_RUN_CANCELLED);
    assert_slice(member(&told.result, "text"), "\"some\"");
    assert_slice(member(&told.result, "partial"), "true");
    assert_slice(member(&told.result, "finish_reason"), "null");
    assert_slice(member(&told.result, "usage"), "{\"total_tokens\":2}");
    until(conn->closed);
    told_done(&told);
}

static void cancel_at_any_point(void **state)
{
    struct td_llm_spec spec = spec_init();
    struct told told;

    /* Before it was sent. */
    td_llm_cancel(start(&spec, &told));
    until(told.ended);
    assert_int_equal(told.outcome, TD_RUN_CANCELLED);
    assert_int_equal(peer.n_conns, 0);
    assert_slice(member(&told.result, "attempts"), "0");
    told_done(&told);

    /* While nothing has come yet: the upstream is at its first token. */
    struct td_llm_run *run = start(&spec, &told);
    struct peer_conn *conn = request(0);
    td_llm_cancel(run);
    until(told.ended && conn->closed);
    told_done(&told);

    /* From within a callback of its own. */
    run = start(&spec, &told);
    told.to_cancel = run;
    conn = request(1);
    peer_send(conn, HEAD DELTA("some") FINISH);
    until(told.ended && conn->closed);
    assert_int_equal(told.outcome, TD_RUN_CANCELLED);
    told_done(&told);

    /* Between two attempts. */
    spec.retries = 1;
    run = start(&spec, &told);
    peer_send(request(2), "HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n");
    until(told.log.len > 0);
    td_llm_cancel(run);
    until(told.ended);
    assert_int_equal(told.outcome, TD_RUN_CANCELLED);
    assert_slice(member(&told.result, "attempts"), "1");
    told_done(&told);

    /* When it has ended by itself. */
    run = start(&spec, &told);
    conn = request(3);
    peer_send(conn, HEAD DELTA("all") DONE);
    for (td_ns deadline = td_clock_ns() + PEER_DEADLINE_NS; td_upstream_transfers(upstream) > 0;) {
        assert_true(td_clock_ns() < deadline);
        peer_turn_with(&peer, upstream); /* without serving the runs */
    }
    td_llm_cancel(run);
    until(told.ended);
    assert_int_equal(told.outcome, TD_RUN_DONE);
    told_done(&told);
}

static void what_fails_before_the_first_token_is_tried_again(void **state)
{
    struct td_llm_spec spec = spec_init();
    struct told told;

    spec.retries = 3;
    start(&spec, &told);
    peer_send(request(0), "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
    until(told.log.len > 0);
    td_ns waited = td_clock_ns();
    assert_memory_equal(
        told.log.ptr, "The upstream answered with status 429; trying again in 1.0 s (1 of 3).", 70);
    struct peer_conn *conn = request(1);
    assert_true(td_clock_ns() - waited > 900 * TD_NS_PER_MS);
    peer_close_conn(conn); /* no answer at all */
    peer_send(request(2), "HTTP/1.1 502 Bad\r\nContent-Length: 3\r\n\r\nbad");
    conn = request(3);
    assert_non_null(strstr(conn->in, "\"content\":\"Hello\""));
    peer_send(conn, HEAD DELTA("x") FINISH DONE);
    until(told.ended);
    assert_int_equal(told.outcome, TD_RUN_DONE);
    assert_slice(member(&told.result, "attempts"), "4");
    assert_non_null(strstr((td_buf_putc(&told.log, '\0'), told.log.ptr),
                           "The upstream closed the connection; trying again"));
    told_done(&told);
}

static void what_does_not_pass_is_not_tried_again(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 No\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 No\r\nContent-Length: 59\r\n\r\n{\"error\":{\"message\":\"used "
        "up\",\"code\":\"insufficient_quota\"}}",
        HEAD DELTA("some"), /* then it ends: the first token was told */
        HEAD "data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n",
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(answers); i++) {
        struct td_llm_spec spec = spec_init();
        struct told told;

        spec.retries = 3;
        start(&spec, &told);
        struct peer_conn *conn = request(i);
        peer_send(conn, answers[i]);
        peer_close_conn(conn);
        until(told.ended);
        assert_int_equal(told.outcome, TD_RUN_FAILED);
        assert_string_equal(told.code, "upstream_error");
        assert_int_equal(told.log.len, 0);
        told_done(&told);
    }
}

/* What each failure says: code, message, a part of the details, text that is kept. */
static void failures_say_what_happened(void **state)
{
    static const struct {
        const char *answer, *code, *message, *details, *text;
    } cases[] = {
        {"HTTP/1.1 401 No\r\nContent-Length: 79\r\n\r\n{\"error\":{\"message\":\"Wrong key "
         "sk-secret\",\"type\":\"invalid\",\"code\":\"bad_key\"}}  ",                "upstream_error", "The upstream answered with status 401: Wrong key *** (bad_key).",
         "HTTP 401: {\"error\":{\"message\":\"Wrong key ***\"",                                                                                                                                                                ""          },
        {"HTTP/1.1 404 No\r\nContent-Length: 19\r\n\r\n<h1>Not found\xFF</h1>",               "upstream_error",
         "The upstream answered with status 404.",                                                                                                                                 "HTTP 404: <h1>Not found\xEF\xBF\xBD</h1>", ""          },
        {"HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
         "upstream_error",                                                                                      "The upstream answered with status 302.",                          "HTTP 302",                                 ""          },
        {HEAD DELTA("some"),                                                                  "upstream_error", "The upstream ended its answer early.",                            "neither",
         "some"                                                                                                                                                                                                                            },
        {"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" DELTA("some"),                     "upstream_error",
         "The upstream ended its answer early.",                                                                                                                                   "the connection ended",                     "some"      },
        {HEAD DELTA("some") "data: {\"error\":{\"message\":\"Out of "
                            "memory\",\"type\":\"server_error\"}}\n\n",              "upstream_error", "The upstream reported an error: Out of memory (server_error).",   "",
         "some"                                                                                                                                                                                                                            },
        {HEAD DELTA("some") "data: nonsense\n\n",                                             "upstream_error",
         "The upstream sent something that is no chat completion.",                                                                                                                "its JSON",                                 "some"      },
        {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Welcome</html>",            "upstream_error",
         "The upstream's answer holds nothing of a chat completion.",                                                                                                              "",                                         ""          },
        {HEAD DELTA("0123456789") DELTA("0123456789"),                                        "output_limit",
         "The answer is longer than 16 bytes.",                                                                                                                                    "",                                         "0123456789"},
        {HEAD "data: {\"choices\":[{\"delta\":{\"refusal\":\"I won't.\"}}]}\n\n" FINISH DONE,
         "model_refused",                                                                                       "The model refused: I won't.",                                     "",                                         ""          },
        {HEAD "data: "
              "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]},\"finish_reason\":\"tool_"
              "calls\"}]}\n\n" DONE,
         "upstream_error",                                                                                      "The model called a tool, and none was offered.",                  "",                                         ""          },
        {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"odd\":1}",              "upstream_error",
         "The upstream's answer holds nothing of a chat completion.",                                                                                                              "",                                         ""          },
        {"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n\r\n{\"error\":\"no "
         "model\"}",                                                                 "upstream_error", "The upstream reported an error: no model.",                       "",                                         ""          },
    };

    setenv("TEST_LLM_KEY", "sk-secret", 1);
    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        struct td_llm_spec spec = spec_init();
        struct told told;

        /* A peer of its own for each: there are more than it has room for. */
        peer_close(&peer);
        peer_open(&peer);
        spec = spec_init();
        spec.key_env = TD_S("TEST_LLM_KEY");
        spec.text_max = 16;
        start(&spec, &told);
        struct peer_conn *conn = request(0);
        peer_send(conn, cases[i].answer);
        peer_close_conn(conn);
        until(told.ended);
        assert_int_equal(told.outcome, TD_RUN_FAILED);
        assert_string_equal(told.code, cases[i].code);
        assert_slice(td_buf_slice(&told.message), cases[i].message);
        assert_true(told.details.len >= strlen(cases[i].details));
        assert_memory_equal(told.details.ptr, cases[i].details, strlen(cases[i].details));
        assert_slice(td_buf_slice(&told.text), cases[i].text);
        assert_slice(member(&told.result, "partial"), "true");
        told_done(&told);
    }
}

static void nobody_listens(void **state)
{
    struct td_llm_spec spec = spec_init();
    struct told told;

    td_net_close(peer.listener);
    peer.listener = -1;
    spec.retries = 1;
    start(&spec, &told);
    until(told.ended);
    assert_int_equal(told.outcome, TD_RUN_FAILED);
    assert_string_equal(told.code, "upstream_refused");
    assert_slice(td_buf_slice(&told.message), "The upstream could not be reached.");
    assert_memory_equal(told.log.ptr, "The upstream could not be reached; trying again in 0.", 53);
    assert_slice(member(&told.result, "attempts"), "2");
    assert_string_equal(told.action,
                        "Check that the upstream runs and that the URL of the kind is right.");
    told_done(&told);
}

static void each_limit_of_time_is_kept(void **state)
{
    static const struct {
        uint64_t first, between, total;
        const char *answer, *message;
        enum td_run_outcome outcome;
    } cases[] = {
        {40,    60000, 0,  "",                                                                  "No first token came from the upstream within 0.04 s.", TD_RUN_FAILED},
 /* Comments, a role and an empty text are no token. */
        {40,    60000, 0,  HEAD ": processing\n\n" DELTA(""),
         "No first token came from the upstream within 0.04 s.",                                                                                        TD_RUN_FAILED},
        {60000, 40,    0,  HEAD DELTA("x") ": still here\n\n",
         "Nothing more came from the upstream within 0.04 s.",                                                                                          TD_RUN_FAILED},
 /* Thoughts are a sign of life. */
        {60000, 40,    0,  HEAD "data: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\"}}]}\n\n",
         "Nothing more came from the upstream within 0.04 s.",                                                                                          TD_RUN_FAILED},
        {0,     0,     40, HEAD DELTA("x"),                                                     "The whole answer was not there within 0.04 s.",        TD_RUN_FAILED},
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(cases); i++) {
        struct td_llm_spec spec = spec_init();
        struct told told;
        td_ns began = td_clock_ns();

        spec.first_token_ms = cases[i].first;
        spec.between_tokens_ms = cases[i].between;
        spec.total_ms = cases[i].total;
        start(&spec, &told);
        until(told.ended || (peer.n_conns > i && peer_has_request(&peer.conns[i])));
        if (!told.ended)
            peer_send(&peer.conns[i], cases[i].answer);
        until(told.ended);
        assert_int_equal(told.outcome, cases[i].outcome);
        assert_string_equal(told.code, "upstream_timeout");
        assert_slice(td_buf_slice(&told.message), cases[i].message);
        assert_true(td_clock_ns() - began >= 40 * TD_NS_PER_MS);
        until(peer.conns[i].closed);
        told_done(&told);
    }
}

/* The signs of life of an attempt that failed are not those of the next. */
static void the_first_token_of_a_retry_has_its_own_time(void **state)
{
    struct td_llm_spec spec = spec_init();
    struct told told;

    spec.retries = 1;
    spec.first_token_ms = 60;
    spec.between_tokens_ms = 0;
    start(&spec, &told);
    peer_send(request(0), "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
    peer_send(request(1), HEAD ": processing\n\n");
    td_ns began = td_clock_ns();
    until(told.ended);
    assert_int_equal(told.outcome, TD_RUN_FAILED);
    assert_string_equal(told.code, "upstream_timeout");
    assert_slice(td_buf_slice(&told.message),
                 "No first token came from the upstream within 0.06 s.");
    assert_slice(member(&told.result, "attempts"), "2");
    assert_slice(member(&told.result, "partial"), "true");
    assert_true(td_clock_ns() - began < PEER_DEADLINE_NS); /* between tokens there is no limit */
    until(peer.conns[1].closed);
    told_done(&told);
}

/* An upstream that says why it finished, and then neither [DONE] nor the end. */
static void a_missing_trailer_is_not_waited_for_long(void **state)
{
    struct td_llm_spec spec = spec_init();
    struct told told;

    spec.between_tokens_ms = 50;
    start(&spec, &told);
    peer_send(request(0), HEAD DELTA("all") FINISH);
    until(told.ended);
    assert_int_equal(told.outcome, TD_RUN_DONE);
    assert_slice(member(&told.result, "text"), "\"all\"");
    until(peer.conns[0].closed);
    told_done(&told);
}

static void an_answer_that_is_not_streamed_is_one(void **state)
{
    struct td_llm_spec spec = spec_init();
    struct told told;

    start(&spec, &told);
    struct peer_conn *conn = request(0);
    peer_send(conn, "HTTP/1.1 200 OK\r\nContent-Type: "
                    "application/json\r\n\r\n{\"choices\":[{\"message\":{\"content\":\"Hel");
    peer_send(conn, "lo\"},\"finish_reason\":\"length\"}],\"usage\":{\"total_tokens\":1}}");
    peer_close_conn(conn);
    until(told.ended);
    assert_int_equal(told.outcome, TD_RUN_DONE);
    assert_slice(td_buf_slice(&told.text), "Hello");
    assert_slice(member(&told.result, "finish_reason"), "\"length\"");
    told_done(&told);
}

static void what_cannot_be_asked_is_said(void **state)
{
    static char name[] = "/tmp/test_llm_XXXXXX";
    struct td_llm_spec good = spec_init(), spec;
    struct told told;
    const char *why = "";

#define REFUSED(text)                                                  \
    do {                                                               \
        start(&spec, &told);                                           \
        until(told.ended);                                             \
        assert_int_equal(told.outcome, TD_RUN_FAILED);                 \
        assert_string_equal(told.code, "not_started");                 \
        assert_memory_equal(told.message.ptr, text, sizeof(text) - 1); \
        told_done(&told);                                              \
    } while (0)

    unsetenv("TEST_LLM_NO_KEY");
    spec = good;
    spec.key_env = TD_S("TEST_LLM_NO_KEY");
    REFUSED("The environment variable TEST_LLM_NO_KEY, which is to hold the upstream's key, is not "
            "set, or empty.");
    setenv("TEST_LLM_NO_KEY", "two words", 1);
    REFUSED("The environment variable TEST_LLM_NO_KEY, which is to hold the upstream's key, holds "
            "none.");
    spec = good;
    spec.key_file = TD_S("/nonexistent/key");
    REFUSED("The upstream's key can't be read from the file /nonexistent/key: ");
    spec = good;
    spec.url = TD_S("ftp://host/");
    REFUSED("The kind can't be run: its url is no http or https URL");

    /* A template that grows beyond all bounds. */
    char *prompt = malloc(TD_LLM_PROMPT_MAX + 2);
    memset(prompt, 'x', TD_LLM_PROMPT_MAX + 1);
    prompt[TD_LLM_PROMPT_MAX + 1] = '\0';
    spec = good;
    spec.prompt = td_slice_str(prompt);
    REFUSED("The prompt, once filled, is longer than 4194304 bytes.");
    free(prompt);
#undef REFUSED
    assert_int_equal(peer.n_conns, 0);

    int file = mkstemp(name);
    assert_true(file >= 0);
    assert_int_equal(write(file, "sk-file\r\n", 9), 9);
    close(file);
    spec = good;
    spec.key_file = td_slice_str(name);
    struct td_llm_run *run = start(&spec, &told);
    assert_non_null(strstr(request(0)->in, "Bearer sk-file\r\n"));
    td_llm_cancel(run);
    until(told.ended);
    told_done(&told);
    unlink(name);

    assert_int_equal(td_llm_spec_check(&good, &why), 0);
    spec = good;
    spec.model = TD_S("");
    assert_int_equal(td_llm_spec_check(&spec, &why), TD_EINVAL);
    assert_non_null(strstr(why, "model"));
    spec = good;
    spec.prompt = TD_S("");
    assert_int_equal(td_llm_spec_check(&spec, &why), TD_EINVAL);
    spec = good;
    spec.extra = TD_S("[1]");
    assert_int_equal(td_llm_spec_check(&spec, &why), TD_EINVAL);
    assert_non_null(strstr(why, "extra"));
    spec = good;
    spec.key_env = spec.key_file = TD_S("x");
    assert_int_equal(td_llm_spec_check(&spec, &why), TD_EINVAL);
}

static void too_many_at_once_are_refused(void **state)
{
    struct td_llm_spec spec = spec_init();
    struct told told[5];

    for (size_t i = 0; i < 5; i++)
        start(&spec, &told[i]);
    until(told[4].ended);
    assert_string_equal(told[4].code, "not_started");
    for (size_t i = 0; i < 4; i++)
        assert_false(told[i].ended);
    for (size_t i = 0; i < 5; i++)
        told_done(&told[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_request_is_what_upstreams_expect),
        TEST(urls_are_completed),
        TEST(tokens_are_told_as_they_come),
        TEST(tokens_in_quick_succession_are_told_together),
        TEST(fast_tokens_are_gathered),
        TEST(cancel_closes_at_once_and_keeps_what_came),
        TEST(cancel_at_any_point),
        TEST(what_fails_before_the_first_token_is_tried_again),
        TEST(what_does_not_pass_is_not_tried_again),
        TEST(failures_say_what_happened),
        TEST(nobody_listens),
        TEST(each_limit_of_time_is_kept),
        TEST(the_first_token_of_a_retry_has_its_own_time),
        TEST(a_missing_trailer_is_not_waited_for_long),
        TEST(an_answer_that_is_not_streamed_is_one),
        TEST(what_cannot_be_asked_is_said),
        TEST(too_many_at_once_are_refused),
    };
#undef TEST

    return cmocka_run_group_tests_name("llm", tests, NULL, NULL);
}
