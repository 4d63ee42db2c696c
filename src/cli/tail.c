/* SPDX-License-Identifier: Apache-2.0 */
/* `tidings tail`: follows patterns in the terminal.  Its place in the log is the last id that the stream gave, moved when an
 * event is printed; whatever breaks, it asks for what comes after that, so nothing is printed twice or skipped. */
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/pretty.h"
#include "codec/sse_reader.h"
#include "os/clock.h"
#include "os/process.h"

#define STDOUT 1
/* The server sends something every 15 s; three of those missed is a dead connection. */
#define SILENCE_MAX_MS   UINT64_C(45000)
#define BACKOFF_FIRST_MS UINT64_C(250)
#define BACKOFF_MAX_MS   UINT64_C(5000)

struct tail {
    /* what was asked for */
    struct td_cli_list patterns;
    struct td_cli_server server;
    const char *since, *format, *count;
    bool quiet;
    /* what that means */
    uint64_t count_left; /* events to print; UINT64_MAX: no end */
    bool json, color;
    /* the state of the following */
    struct td_client *client;
    int signals;
    struct td_sse_reader reader;
    struct td_backoff backoff;
    struct td_buf out; /* what is to be printed */
    char start[256];   /* `since` for as long as no id has come */
    td_ns heard_ns;    /* when the server last sent anything */
    bool connected;    /* said to be */
    bool finished;     /* as many as asked for, stdout is gone, or a signal */
    int failed;        /* of the reader: the stream is no Tidings stream */
};

static const char about[] =
    "Prints events as they come, each once, in order.  Reconnects by itself and goes on after the\n"
    "last event that it printed, also when the server was restarted.  A gap (retention dropped\n"
    "what was missed) and the state of the connection are told on standard error.\n"
    "\n"
    "Times are UTC.  Ends with 0 on SIGINT, SIGTERM, after --count events, or when nobody reads\n"
    "its output any more; with 1 when the server refuses for good.\n"
    "\n"
    "  tidings tail 'runs/**'\n"
    "  tidings tail --format json --since earliest --count 10 '**'\n";

/* --- what is printed --- */

static void say(const struct tail *tail, const char *text)
{
    if (!tail->quiet)
        fprintf(stderr, "tidings tail: %s\n", text);
}

/* A control message of the server (docs/protocol.md): told on standard error, most are of no interest here. */
static void on_control(struct tail *tail, struct td_slice message)
{
    static const char *const told[] = {"gap", "access_lost", "token_expiring", "draining",
                                       "command_error"};
    struct td_slice type, position;

    if (!td_json_get(message, "type", &type))
        return;
    if (td_json_string_is(type, "caught_up") && td_json_get(message, "position", &position) &&
        td_json_plain(position, &position) && position.len < sizeof(tail->start)) {
        memcpy(tail->start, position.ptr, position.len);
        tail->start[position.len] = '\0';
    }
    for (size_t i = 0; i < TD_ARRAY_LEN(told); i++) {
        if (!td_json_string_is(type, told[i]))
            continue;
        struct td_buf line = TD_BUF_INIT(TD_SSE_LINE_MAX);
        td_pretty_text(&line, message);
        td_buf_putc(&line, '\0');
        if (line.err == 0) /* a gap is told with --quiet too: it is about the events */
            fprintf(stderr, "tidings tail: %s: %s\n", told[i], line.ptr);
        td_buf_done(&line);
    }
}

static bool is_control(const struct td_sse_message *message, struct td_slice *ret_value)
{
    struct td_slice control;

    return td_slice_eq(message->event, TD_S("tidings")) &&
           td_json_check(message->data, ret_value, NULL) == 0 &&
           td_json_type(*ret_value) == TD_JSON_OBJECT &&
           td_json_get(*ret_value, "control", &control) && td_json_type(control) == TD_JSON_TRUE;
}

static int on_message(struct tail *tail, const struct td_sse_message *message)
{
    struct td_slice value;

    if (is_control(message, &value)) {
        on_control(tail, value);
        return 0;
    }
    if (tail->json) {
        size_t at = tail->out.len;
        td_buf_put(&tail->out, message->data);
        for (size_t i = at; i < tail->out.len; i++)
            if (tail->out.ptr[i] == '\n') /* between tokens, where JSON allows a space as well */
                tail->out.ptr[i] = ' ';
        td_buf_putc(&tail->out, '\n');
    } else {
        td_pretty_event(&tail->out, message->data, tail->color);
    }
    if (tail->out.err < 0)
        return tail->out.err;
    if (tail->count_left != UINT64_MAX && --tail->count_left == 0)
        tail->finished = true;
    return 0;
}

static void flush(struct tail *tail)
{
    if (tail->out.len > 0 && td_write_all(STDOUT, tail->out.ptr, tail->out.len) < 0)
        tail->finished = true; /* nobody reads any more */
    td_buf_reset(&tail->out);
}

static int on_bytes(struct td_slice bytes, void *arg)
{
    struct tail *tail = arg;
    struct td_sse_message message;
    int r = 0;

    tail->heard_ns = td_clock_ns();
    while (!tail->finished && (r = td_sse_reader_next(&tail->reader, &bytes, &message)) > 0) {
        td_backoff_reset(&tail->backoff);
        r = on_message(tail, &message);
        if (r < 0)
            break;
        if (tail->out.len > 256 * TD_KIB)
            flush(tail);
    }
    flush(tail);
    if (r < 0)
        tail->failed = r;
    return tail->finished ? TD_EUNAVAILABLE : r;
}

/* --- following --- */

static int subscribe(struct tail *tail)
{
    td_sse_reader_restart(&tail->reader);
    tail->connected = false;
    tail->failed = 0;
    tail->heard_ns = td_clock_ns();
    return td_client_subscribe(tail->client, &(struct td_client_stream){
                                                 .patterns = tail->patterns.items,
                                                 .n_patterns = tail->patterns.n,
                                                 .since = td_slice_str(tail->start),
                                                 .last_id = td_sse_reader_last_id(&tail->reader),
                                                 .on_bytes = on_bytes,
                                                 .arg = tail,
                                             });
}

/* Waits for the network, at most `timeout_ms`, and notices signals, and that nobody reads what is printed. */
static void wait_some(struct tail *tail, uint64_t timeout_ms)
{
    td_client_wait(tail->client, &tail->signals, 1, timeout_ms);
    if (td_signals_read(tail->signals) > 0 || td_nobody_reads(STDOUT))
        tail->finished = true;
}

static uint64_t silence_left_ms(const struct tail *tail)
{
    uint64_t silence_ms = (td_clock_ns() - tail->heard_ns) / TD_NS_PER_MS;

    return silence_ms < SILENCE_MAX_MS ? SILENCE_MAX_MS - silence_ms : 0;
}

/* Reads one connection to its end and says how that came; DONE: there is nothing more to do. */
static enum td_client_verdict follow(struct tail *tail, struct td_client_answer *answer)
{
    while (!tail->finished) {
        if (td_client_answered(tail->client, answer)) {
            if (tail->failed)
                snprintf(answer->message, sizeof(answer->message), "the stream cannot be read: %s",
                         td_err_hint(tail->failed));
            return tail->finished ? TD_CLIENT_DONE : answer->verdict;
        }
        uint64_t left_ms = silence_left_ms(tail);
        if (left_ms == 0) {
            td_client_cancel(tail->client);
            snprintf(answer->message, sizeof(answer->message), "nothing came for %u s",
                     (unsigned)(SILENCE_MAX_MS / 1000));
            return TD_CLIENT_RETRY;
        }
        wait_some(tail, left_ms);
        if (!tail->connected && td_client_streaming(tail->client)) {
            tail->connected = true;
            say(tail, "connected");
        }
    }
    return TD_CLIENT_DONE;
}

static void pause_before_retry(struct tail *tail, const struct td_client_answer *answer)
{
    uint64_t asked_ms = TD_MAX(answer->retry_after_ms, tail->reader.retry_ms);
    uint64_t wait_ms = td_backoff_next_ms(&tail->backoff, asked_ms);
    td_ns until_ns = td_clock_ns() + wait_ms * TD_NS_PER_MS;
    td_ns now_ns;
    char line[640];

    tail->reader.retry_ms = 0;
    snprintf(line, sizeof(line), "%s; again in %.1f s", answer->message, (double)wait_ms / 1000);
    say(tail, line);
    while (!tail->finished && (now_ns = td_clock_ns()) < until_ns)
        wait_some(tail, (until_ns - now_ns) / TD_NS_PER_MS + 1);
}

static int follow_for_ever(struct tail *tail)
{
    while (!tail->finished) {
        struct td_client_answer answer = {0};
        int r = subscribe(tail);

        if (r < 0)
            return td_cli_failed("tail", "%s", td_err_hint(r));
        switch (follow(tail, &answer)) {
        case TD_CLIENT_DONE: return TD_CLI_DONE;
        case TD_CLIENT_REFUSED: return td_cli_failed("tail", "%s", answer.message);
        case TD_CLIENT_RETRY: pause_before_retry(tail, &answer); break;
        }
    }
    return TD_CLI_DONE;
}

/* --- the verb --- */

static int check_options(struct tail *tail)
{
    tail->json = tail->format && strcmp(tail->format, "json") == 0;
    if (tail->format && !tail->json && strcmp(tail->format, "pretty") != 0)
        return td_cli_wrong("tail", "--format is pretty or json, not '%s'", tail->format);
    tail->count_left = UINT64_MAX;
    if (tail->count &&
        (td_slice_u64(td_slice_str(tail->count), &tail->count_left) < 0 || tail->count_left == 0))
        return td_cli_wrong("tail", "--count is a number from 1 on, not '%s'", tail->count);
    int n = snprintf(tail->start, sizeof(tail->start), "%s", tail->since ? tail->since : "");
    if (n < 0 || (size_t)n >= sizeof(tail->start))
        return td_cli_wrong("tail", "--since is a position, 'earliest' or 'now'");
    const char *no_color = getenv("NO_COLOR");
    tail->color = td_is_terminal(STDOUT) && !(no_color && *no_color);
    return 0;
}

static int open_and_follow(struct tail *tail)
{
    int status = td_cli_server_resolve("tail", &tail->server);

    if (status != 0)
        return status;
    tail->signals = td_signals_open();
    if (tail->signals < 0)
        return td_cli_failed("tail", "signals: %s", td_err_name(tail->signals));
    int r = td_client_new(tail->server.url, tail->server.token, tail->server.ca, &tail->client);
    if (r == TD_EINVAL)
        return td_cli_wrong("tail", "the token holds characters that no token has");
    if (r < 0)
        return td_cli_failed("tail", "%s", td_err_name(r));
    td_client_watch(tail->client, STDOUT);
    return follow_for_ever(tail);
}

int td_cli_tail(int argc, char **argv)
{
    struct tail tail = {
        .backoff = {.first_ms = BACKOFF_FIRST_MS, .max_ms = BACKOFF_MAX_MS},
        .out = TD_BUF_INIT(16 * TD_MIB),
        .signals = -1,
    };
    /* clang-format off */
    const struct td_cli_option options[] = {
        {"since", "POSITION", "Begin after this position, or at 'earliest'; default: now.", .value = &tail.since},
        {"format", "pretty|json", "json: one event a line exactly as it came; default: pretty.", .value = &tail.format},
        {"count", "N", "End after N events.", .value = &tail.count},
        {"quiet", NULL, "Say nothing about the connection.", .flag = &tail.quiet},
        TD_CLI_SERVER_OPTIONS(&tail.server),
    };
    /* clang-format on */
    const struct td_cli_usage usage = {
        .verb = "tail",
        .operands = "PATTERN...",
        .about = about,
        .options = options,
        .n_options = TD_ARRAY_LEN(options),
        .operands_min = 1,
        .operands_max = TD_CLI_LIST_MAX,
    };
    int status;
    int n = td_cli_parse(&usage, argc, argv, &status);

    if (n == TD_CLI_STOP)
        return status;
    for (int i = 1; i <= n; i++)
        tail.patterns.items[tail.patterns.n++] = argv[i];
    status = check_options(&tail);
    if (status == 0) {
        td_sse_reader_init(&tail.reader);
        status = open_and_follow(&tail);
        td_client_free(tail.client);
        td_sse_reader_done(&tail.reader);
    }
    td_buf_done(&tail.out);
    td_cli_server_done(&tail.server);
    return status;
}
