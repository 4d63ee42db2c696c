/* SPDX-License-Identifier: Apache-2.0 */
/* `tidings publish`: one event from the command line, or one for each line of standard input. */
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "os/clock.h"
#include "os/process.h"
#include "os/random.h"
#include <errno.h>
#include <inttypes.h>

#define STDIN            0
#define BATCH_EVENTS     100
#define BATCH_BYTES_MAX  (512 * TD_KIB)
#define LINE_MAX_BYTES   (1 * TD_MIB)
#define BACKOFF_FIRST_MS UINT64_C(250)
#define BACKOFF_MAX_MS   UINT64_C(5000)

struct publish {
    const char *topic, *type;
    const char *key, *class, *dedup;
    bool retry;
    struct td_cli_server server;
    struct td_client *client;
    struct td_buf batch; /* events, an NDJSON line each */
    size_t n_events;
    uint64_t
        line; /* of standard input, the last that went into a batch; 0: the one event of the arguments */
    char made_dedup[24]; /* with --retry: the start of the dedup keys */
};

static const char about[] =
    "Publishes one event and prints its position.  Without JSON, or with '-', each line of "
    "standard\n"
    "input is the data of one event; they are sent as they come, up to 100 in a request, and the\n"
    "positions are printed a line each.  What was printed is on the server's disk.\n"
    "\n"
    "Ends with 1 at the first request that fails.  With --retry it tries again for as long as the\n"
    "server cannot be reached or says that it is busy; no event is published twice by that.\n"
    "\n"
    "  tidings publish rooms/1 message '{\"text\":\"hello\"}'\n"
    "  vmstat 1 | jq -Rc --unbuffered . | tidings publish --retry hosts/a vmstat\n";

static int failed(const struct publish *publish, const char *what)
{
    if (publish->line == 0)
        return td_cli_failed("publish", "%s", what);
    return td_cli_failed("publish", "up to line %" PRIu64 ": %s", publish->line, what);
}

/* --- what is sent --- */

static void put_member(struct td_buf *out, const char *name, const char *value)
{
    td_buf_puts(out, name);
    td_json_put_string(out, td_slice_str(value));
}

static void put_dedup(struct publish *publish)
{
    const char *start = publish->dedup ? publish->dedup : publish->made_dedup;

    if (!*start)
        return;
    put_member(&publish->batch, ",\"dedup\":", start);
    if (publish->line == 0)
        return;
    publish->batch.len--; /* inside the string's closing quote */
    td_buf_putf(&publish->batch, ":%" PRIu64 "\"", publish->line);
}

/* Adds one event to the batch.  0, or an exit status after the reason was printed. */
static int add(struct publish *publish, struct td_slice data)
{
    struct td_slice value;

    int r = td_json_check(data, &value, NULL);
    if (r < 0)
        return failed(publish, r == TD_EUTF8
                                   ? "the data is not UTF-8"
                                   : "the data is not JSON; a text needs its quotes: '\"text\"'");
    put_member(&publish->batch, "{\"topic\":", publish->topic);
    put_member(&publish->batch, ",\"type\":", publish->type);
    if (publish->key)
        put_member(&publish->batch, ",\"key\":", publish->key);
    if (publish->class)
        put_member(&publish->batch, ",\"class\":", publish->class);
    put_dedup(publish);
    td_buf_puts(&publish->batch, ",\"data\":");
    size_t data_at = publish->batch.len;
    td_buf_put(&publish->batch, value);
    for (size_t i = data_at; i < publish->batch.len; i++)
        if (publish->batch.ptr[i] == '\n' || publish->batch.ptr[i] == '\r')
            publish->batch.ptr[i] = ' '; /* between tokens; NDJSON needs its lines */
    td_buf_puts(&publish->batch, "}\n");
    publish->n_events++;
    return publish->batch.err < 0 ? failed(publish, td_err_hint(publish->batch.err)) : 0;
}

/* --- the request --- */

/* An ephemeral event has no position: a dash stands in its line. */
static void print_position(struct td_slice raw)
{
    struct td_slice text;

    if (td_json_type(raw) != TD_JSON_STRING)
        puts("-");
    else if (td_json_plain(raw, &text))
        printf("%.*s\n", (int)text.len, text.ptr);
}

/* Prints the positions of the answer: {"id":…} or {"ids":[…]}. */
static int print_positions(const struct publish *publish, struct td_slice body)
{
    struct td_slice answer, ids, id, name;

    if (td_json_check(body, &answer, NULL) < 0 || td_json_type(answer) != TD_JSON_OBJECT)
        return failed(publish, "published, but the answer cannot be read; check --server");
    if (td_json_get(answer, "ids", &ids) && td_json_type(ids) == TD_JSON_ARRAY) {
        struct td_json_iter it = td_json_iter(ids);
        while (td_json_next(&it, &name, &id))
            print_position(id);
    } else if (td_json_get(answer, "id", &id)) {
        print_position(id);
    }
    return fflush(stdout) == 0 ? TD_CLI_DONE : TD_CLI_FAILED;
}

static void wait_ms(struct publish *publish, uint64_t ms)
{
    td_ns until_ns = td_clock_ns() + ms * TD_NS_PER_MS, now_ns;

    while ((now_ns = td_clock_ns()) < until_ns)
        td_client_wait(publish->client, NULL, 0, (until_ns - now_ns) / TD_NS_PER_MS + 1);
}

/* Sends the batch until it is answered.  An exit status; reasons are printed. */
static int send_batch(struct publish *publish)
{
    struct td_backoff backoff = {.first_ms = BACKOFF_FIRST_MS, .max_ms = BACKOFF_MAX_MS};
    bool told = false;

    if (publish->n_events == 0)
        return TD_CLI_DONE;
    for (;;) {
        struct td_client_answer answer;
        int r = td_client_post(publish->client, td_buf_slice(&publish->batch),
                               !publish->dedup && !publish->retry);
        if (r < 0)
            return failed(publish, td_err_name(r));
        while (!td_client_answered(publish->client, &answer))
            td_client_wait(publish->client, NULL, 0, 1000);
        if (answer.verdict == TD_CLIENT_DONE) {
            td_buf_reset(&publish->batch);
            publish->n_events = 0;
            return print_positions(publish, answer.body);
        }
        if (answer.verdict == TD_CLIENT_REFUSED || !publish->retry)
            return failed(publish, answer.message);
        if (!told)
            fprintf(stderr, "tidings publish: %s; trying again\n", answer.message);
        told = true;
        wait_ms(publish, td_backoff_next_ms(&backoff, answer.retry_after_ms));
    }
}

/* --- standard input --- */

static int add_line(struct publish *publish, struct td_slice line)
{
    publish->line++;
    if (td_slice_trim(line).len == 0 || td_slice_eq(line, TD_S("\r")))
        return 0;
    int status = add(publish, line);
    if (status == 0 && (publish->n_events == BATCH_EVENTS || publish->batch.len > BATCH_BYTES_MAX))
        status = send_batch(publish);
    return status;
}

/* Takes the whole lines off the front of what was read. */
static int add_lines(struct publish *publish, struct td_buf *input)
{
    size_t at = 0;
    const char *lf;
    int status = 0;

    while (status == 0 && at < input->len &&
           (lf = memchr(input->ptr + at, '\n', input->len - at))) {
        size_t end = (size_t)(lf - input->ptr);
        status = add_line(publish, td_slice(input->ptr + at, end - at));
        at = end + 1;
    }
    td_buf_consume(input, at);
    return status;
}

/* Reads what is there, and sends what has gathered before it would wait for more. */
static int read_input(struct publish *publish, struct td_buf *input, bool *ret_end)
{
    struct td_poll_item item = {.fd = STDIN};

    if (td_poll(&item, 1, 0) == 0) {
        int status = send_batch(publish);
        if (status != 0)
            return status;
        td_poll(&item, 1, -1);
    }
    if (!item.ready)
        return 0;
    if (td_buf_reserve(input, TD_MIN(64 * TD_KIB, input->max - input->len)) < 0 ||
        input->len == input->max)
        return failed(publish, "a line of more than 1 MiB");
    int64_t n = td_read_some(STDIN, input->ptr + input->len, input->cap - input->len);
    if (n < 0 && n != -EAGAIN)
        return failed(publish, td_err_name((int)n));
    input->len += n > 0 ? (size_t)n : 0;
    *ret_end = n == 0;
    return 0;
}

static int publish_input(struct publish *publish)
{
    struct td_buf input = TD_BUF_INIT(LINE_MAX_BYTES);
    bool end = false;
    int status = 0;

    while (status == 0 && !end) {
        status = read_input(publish, &input, &end);
        if (status == 0)
            status = add_lines(publish, &input);
    }
    if (status == 0 && input.len > 0)
        status = add_line(publish, td_buf_slice(&input));
    if (status == 0)
        status = send_batch(publish);
    td_buf_done(&input);
    return status;
}

/* --- the verb --- */

static int publish_all(struct publish *publish, const char *json)
{
    int status = td_cli_server_resolve("publish", &publish->server);

    if (status != 0)
        return status;
    int r = td_client_new(publish->server.url, publish->server.token, publish->server.ca,
                          &publish->client);
    if (r == TD_EINVAL)
        return td_cli_wrong("publish", "the token holds characters that no token has");
    if (r < 0)
        return failed(publish, td_err_name(r));
    if (publish->retry) {
        uint64_t random;
        td_random_bytes(&random, sizeof(random));
        snprintf(publish->made_dedup, sizeof(publish->made_dedup), "pub-%016" PRIx64, random);
    }
    if (!json)
        return publish_input(publish);
    status = add(publish, td_slice_str(json));
    return status ? status : send_batch(publish);
}

int td_cli_publish(int argc, char **argv)
{
    struct publish publish = {.batch = TD_BUF_INIT(4 * TD_MIB)};
    /* clang-format off */
    const struct td_cli_option options[] = {
        {"key", "KEY", "What the event is about within its topic: the latest of each key is kept as state.", .value = &publish.key},
        {"class", "CLASS", "log (the default), latest, append or ephemeral.", .value = &publish.class},
        {"dedup", "KEY", "Publish only once under this key within 24 h; on lines, KEY:1, KEY:2, ….", .value = &publish.dedup},
        {"retry", NULL, "Try again while the server cannot be reached or is busy.", .flag = &publish.retry},
        TD_CLI_SERVER_OPTIONS(&publish.server),
    };
    /* clang-format on */
    const struct td_cli_usage usage = {
        .verb = "publish",
        .operands = "TOPIC TYPE [JSON]",
        .about = about,
        .options = options,
        .n_options = TD_ARRAY_LEN(options),
        .operands_min = 2,
        .operands_max = 3,
    };
    int status;
    int n = td_cli_parse(&usage, argc, argv, &status);

    if (n == TD_CLI_STOP)
        return status;
    const char *json = n == 3 && strcmp(argv[3], "-") != 0 ? argv[3] : NULL;
    publish.topic = argv[1];
    publish.type = argv[2];
    if (n == 2 && td_is_terminal(STDIN))
        return td_cli_wrong("publish",
                            "give the data as JSON, or '-' to type a line for each event");
    status = publish_all(&publish, json);
    td_client_free(publish.client);
    td_buf_done(&publish.batch);
    td_cli_server_done(&publish.server);
    return status;
}
