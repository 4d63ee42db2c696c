/* SPDX-License-Identifier: Apache-2.0 */
/* `tidings top`: what the server does, again and again. */
#include "base/buf.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "os/clock.h"
#include "os/process.h"
#include "server/config.h"
#include <stdio.h>

#define VERB     "top"
#define STDOUT   1
#define ROWS     15
#define LIST_MAX "15"

/* What is read of /metrics, and its value the time before. */
struct counter {
    const char *name, *label;
    double value, before;
};

enum {
    PUBLISHED,
    DELIVERED,
    SENT,
    COMMANDS,
    JOBS,
    COUNTERS,
};

struct top {
    struct td_cli_server server;
    struct td_client *client;
    const char *interval;
    bool once;
    uint64_t interval_ms;
    td_ns taken, taken_before;
    struct counter counters[COUNTERS];
    struct td_buf text;
};

static const char about[] =
    "Shows connections, topics and rates, anew every two seconds, until it is interrupted.\n"
    "Needs the role admin.\n";

/* The sum of a metric over its labels. */
static double metric_sum(struct td_slice metrics, const char *name)
{
    size_t len = strlen(name);
    struct td_slice line;
    double sum = 0;

    while (td_slice_split(&metrics, '\n', &line)) {
        if (!td_slice_starts(line, td_slice(name, len)) || line.len == len ||
            (line.ptr[len] != ' ' && line.ptr[len] != '{'))
            continue;
        const char *space = memrchr(line.ptr, ' ', line.len);
        char number[32] = "";
        size_t n = (size_t)(line.ptr + line.len - space - 1);
        memcpy(number, space + 1, TD_MIN(n, sizeof(number) - 1));
        sum += strtod(number, NULL);
    }
    return sum;
}

static int get(struct top *top, const char *path, struct td_slice *ret_body)
{
    struct td_buf buf = TD_BUF_INIT(256);

    td_buf_puts(&buf, path);
    int status = td_cli_call(VERB, top->client, "GET", &buf, TD_S(""), ret_body);
    td_buf_done(&buf);
    return status;
}

static int read_metrics(struct top *top)
{
    struct td_slice body;
    int status = get(top, "/metrics", &body);

    if (status != 0)
        return status;
    top->taken_before = top->taken;
    top->taken = td_clock_ns();
    for (size_t i = 0; i < COUNTERS; i++) {
        top->counters[i].before = top->counters[i].value;
        top->counters[i].value = metric_sum(body, top->counters[i].name);
    }
    return 0;
}

static void print_rates(const struct top *top)
{
    double seconds = (double)(top->taken - top->taken_before) / (double)TD_NS_PER_S;

    for (size_t i = 0; i < COUNTERS; i++) {
        const struct counter *counter = &top->counters[i];
        if (top->taken_before == 0)
            printf("%s%s %.0f", i > 0 ? "   " : "", counter->label, counter->value);
        else
            printf("%s%s %.0f/s", i > 0 ? "   " : "", counter->label,
                   (counter->value - counter->before) / seconds);
    }
    printf("\n");
}

static void print_cell(struct top *top, struct td_slice row, const char *name, int width)
{
    struct td_slice text = td_cli_member(row, name, &top->text);
    int room = width < 0 ? -width : width;
    int shown = TD_MIN((int)text.len, room);

    if (width > 0)
        printf("%*s", room - shown, "");
    td_cli_print(td_slice_to(text, (size_t)shown));
    printf("%*s ", width < 0 ? room - shown : 0, "");
}

struct column {
    const char *name, *title;
    int width; /* negative: to the left */
};

static void print_table(struct top *top, struct td_slice object, const char *member,
                        const struct column *columns, size_t n)
{
    struct td_slice list, ignored, row;
    int rows = 0;

    printf("\n");
    for (size_t i = 0; i < n; i++)
        printf("%*s ", columns[i].width, columns[i].title);
    printf("\n");
    if (!td_json_get(object, member, &list))
        return;
    struct td_json_iter it = td_json_iter(list);
    while (rows++ < ROWS && td_json_next(&it, &ignored, &row)) {
        for (size_t i = 0; i < n; i++)
            print_cell(top, row, columns[i].name, columns[i].width);
        printf("\n");
    }
}

static int show(struct top *top, const char *path, const char *member, const struct column *columns,
                size_t n)
{
    struct td_slice body, object;
    int status = get(top, path, &body);

    if (status != 0)
        return status;
    if (td_json_check(body, &object, NULL) < 0)
        return td_cli_failed(VERB, "the answer can't be read; check --server");
    if (strcmp(member, "connections") == 0) {
        printf("connections ");
        td_cli_print(td_cli_member(object, "count", &top->text));
        printf("\n");
    }
    print_table(top, object, member, columns, n);
    return 0;
}

static int show_all(struct top *top)
{
    static const struct column connections[] = {
        {"user",          "USER",      -20},
        {"address",       "ADDRESS",   -22},
        {"transport",     "TRANSPORT", -10},
        {"endpoint",      "ENDPOINT",  -24},
        {"subscriptions", "SUBS",      5  },
        {"behind",        "BEHIND",    8  },
        {"sent_bytes",    "SENT",      11 },
    };
    static const struct column topics[] = {
        {"topic",  "TOPIC OF THE LAST MINUTE", -48},
        {"events", "EVENTS",                   8  },
        {"bytes",  "BYTES",                    11 },
        {"last",   "LAST",                     -24},
    };
    int status = read_metrics(top);

    if (status != 0)
        return status;
    if (!top->once && td_is_terminal(STDOUT))
        printf("\033[H\033[2J");
    print_rates(top);
    status = show(top, "/api/v1/admin/connections?limit=" LIST_MAX, "connections", connections,
                  TD_ARRAY_LEN(connections));
    if (status == 0)
        status = show(top, "/api/v1/admin/topics", "topics", topics, TD_ARRAY_LEN(topics));
    if (status != 0)
        return status;
    return fflush(stdout) == 0 ? 0 : td_cli_failed(VERB, "standard output cannot be written");
}

static int watch(struct top *top)
{
    int signals = td_signals_open();
    struct td_poll_item item = {.fd = signals};

    if (signals < 0)
        return td_cli_failed(VERB, "signals can't be waited for");
    for (;;) {
        int status = show_all(top);
        if (status != 0 || top->once)
            return status;
        (void)td_poll(&item, 1, (int)top->interval_ms);
        if (td_signals_read(signals) != 0)
            return TD_CLI_DONE;
    }
}

int td_cli_top(int argc, char **argv)
{
    struct top top = {
        .interval = "2s",
        .counters = {{"tidings_events_published_total", "published", 0, 0},
                     {"tidings_events_delivered_total", "delivered", 0, 0},
                     {"tidings_sent_bytes_total", "bytes", 0, 0},
                     {"tidings_commands_total", "commands", 0, 0},
                     {"tidings_jobs_ended_total", "jobs", 0, 0}},
        .text = TD_BUF_INIT(64 * TD_KIB),
    };
    /* clang-format off */
    const struct td_cli_option options[] = {
        {"interval", "TIME", "How often; default: 2s.", .value = &top.interval},
        {"once", NULL, "Show it once, and end.", .flag = &top.once},
        TD_CLI_SERVER_OPTIONS(&top.server),
    };
    /* clang-format on */
    const struct td_cli_usage usage = {
        .verb = VERB,
        .operands = "",
        .about = about,
        .options = options,
        .n_options = TD_ARRAY_LEN(options),
    };
    int status;

    if (td_cli_parse(&usage, argc, argv, &status) == TD_CLI_STOP)
        return status;
    if (td_config_duration(td_slice_str(top.interval), &top.interval_ms) < 0 ||
        top.interval_ms < 100 || top.interval_ms > 3600000)
        return td_cli_wrong(VERB, "--interval is a time from 100ms to 1h");
    status = td_cli_connect(VERB, &top.server, &top.client);
    if (status == 0)
        status = watch(&top);
    td_client_free(top.client);
    td_buf_done(&top.text);
    td_cli_server_done(&top.server);
    return status;
}
