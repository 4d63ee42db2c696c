/* SPDX-License-Identifier: Apache-2.0 */
/* `tidings run`: a command, its output passed through and published line by line.  One loop waits for the
 * command's pipes, its end, our signals and the network; while the sender has no room the pipes are not read. */
#include "base/buf.h"
#include "base/err.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/run_report.h"
#include "cli/run_sender.h"
#include "codec/lines.h"
#include "os/clock.h"
#include "os/process.h"
#include <errno.h>

#define STDIN                0
#define STDOUT               1
#define STDERR               2
#define CLOSED               (-1)
#define CHUNK                (64 * TD_KIB)
#define SPOOL_MEMORY         (1 * TD_MIB)
#define SPOOL_DISK_STANDARD  (UINT64_C(1) << 30)
#define WAIT_STANDARD_S      UINT64_C(60)
#define END_OF_OUTPUT_MAX_MS UINT64_C(1000)
/* More than its pipes can hold is not from the command itself, but from what it left behind. */
#define PIPES_BYTES_MAX      (2 * TD_MIB)
#define EXIT_NOT_DELIVERED   75  /* EX_TEMPFAIL of sysexits.h */
#define EXIT_CANNOT_EXECUTE  126 /* as shells have it */
#define EXIT_NO_SUCH_COMMAND 127

/* One of the command's two outputs. */
struct output {
    const char *name;
    int from, to; /* the pipe, CLOSED at its end; our own output, CLOSED when nobody reads that */
    struct td_lines lines;
    struct td_slice rest; /* of `chunk`: read, passed through, not yet split */
    char chunk[CHUNK];
};

struct run {
    /* what was asked for */
    struct td_cli_server server;
    const char *topic, *id, *kind, *buffer, *wait;
    bool quiet;
    char **command; /* NULL at the end */
    /* what that means */
    uint64_t disk_bytes_max, wait_ms;
    /* the state */
    int signals;
    struct td_run_report report;
    struct td_run_sender *sender;
    struct td_process process;
    struct output outputs[2];
    td_ns started_ns, exited_ns; /* exited_ns 0: it runs */
    int status;
    uint64_t read_after_exit_bytes;
    bool told_exit; /* the `exited` event was put */
};

static const char about[] =
    "Runs COMMAND and publishes what it prints, a line an event, to runs/{you}/{id}: `started`,\n"
    "`output` for each line, `exited` with its status.  Output is passed through as it comes.  "
    "The\n"
    "command reads our standard input unless that is a terminal; it gets SIGINT, SIGTERM and\n"
    "SIGHUP passed on, with its whole process group.\n"
    "\n"
    "While the server is away lines are kept, in memory up to 1 MiB and then in a temporary file\n"
    "(in TMPDIR, removed by itself) up to --buffer; when that is full, the command waits.  No "
    "line\n"
    "is lost or published twice.  After the command has ended, what is owed is delivered for at\n"
    "most --wait seconds.  Output of processes that it left behind is read for one second more.\n"
    "A line longer than 16 KiB is published in pieces, all but the last with \"partial\":true.\n"
    "\n"
    "Ends with the command's own status (128 + the number of a signal that ended it), but with 75\n"
    "instead of 0 when not everything could be published; 127 or 126 when it cannot be started.\n"
    "When the server refuses for good that is said once, and the command goes on.\n"
    "\n"
    "  tidings run -- make -j4\n"
    "  tidings run --kind backup --id nightly -- sh -c 'pg_dump shop > shop.sql'\n";

/* --- the command's output --- */

static void put_line(struct run *run, const struct output *output, const struct td_line *line)
{
    td_run_report_output(&run->report, output->name, line, td_run_sender_event(run->sender));
    td_run_sender_put(run->sender);
}

/* Splits what was read for as long as the sender takes lines. */
static void publish_rest(struct run *run, struct output *output)
{
    struct td_line line;

    while (td_run_sender_ready(run->sender) && td_lines_next(&output->lines, &output->rest, &line))
        put_line(run, output, &line);
}

static void pass_through(struct output *output, struct td_slice bytes)
{
    if (output->to != CLOSED && td_write_all(output->to, bytes.ptr, bytes.len) < 0)
        output->to = CLOSED; /* nobody reads it any more; the command's work goes on */
}

/* Reads one chunk.  Whether there may be more at once. */
static bool read_chunk(struct run *run, struct output *output)
{
    publish_rest(run, output);
    if (output->rest.len > 0 || output->from == CLOSED || !td_run_sender_ready(run->sender))
        return false;
    int64_t n = td_read_some(output->from, output->chunk, sizeof(output->chunk));
    if (n == -EAGAIN)
        return false;
    if (n <= 0) {
        output->from = CLOSED; /* td_process_close closes it */
        return false;
    }
    run->read_after_exit_bytes += run->exited_ns != 0 ? (uint64_t)n : 0;
    output->rest = td_slice(output->chunk, (size_t)n);
    pass_through(output, output->rest);
    publish_rest(run, output);
    return true;
}

/* Reads both, in turns, so that neither waits for the other's end.  Whether one may have more. */
static bool read_outputs(struct run *run)
{
    bool more = false;

    for (size_t i = 0; i < TD_ARRAY_LEN(run->outputs); i++)
        more |= read_chunk(run, &run->outputs[i]);
    return more;
}

static bool outputs_ended(const struct run *run)
{
    return run->outputs[0].from == CLOSED && run->outputs[0].rest.len == 0 &&
           run->outputs[1].from == CLOSED && run->outputs[1].rest.len == 0;
}

/* --- the end --- */

/* The command has ended and all of its output is read: the lines without LF, then `exited`. */
static void tell_exit(struct run *run)
{
    struct td_line line;

    for (size_t i = 0; i < TD_ARRAY_LEN(run->outputs); i++) {
        run->outputs[i].from = CLOSED; /* nothing comes after `exited` */
        if (!td_run_sender_ready(run->sender))
            return;
        if (td_lines_end(&run->outputs[i].lines, &line))
            put_line(run, &run->outputs[i], &line);
    }
    if (!td_run_sender_ready(run->sender))
        return;
    uint64_t duration_ms = (run->exited_ns - run->started_ns) / TD_NS_PER_MS;
    td_run_report_exited(&run->report, run->status, duration_ms, td_run_sender_event(run->sender));
    td_run_sender_put(run->sender);
    run->told_exit = true;
}

static uint64_t since_exit_ms(const struct run *run)
{
    return (td_clock_ns() - run->exited_ns) / TD_NS_PER_MS;
}

static void on_ended(struct run *run, bool more)
{
    uint64_t gone_ms = since_exit_ms(run);
    bool drained = !more || run->read_after_exit_bytes > PIPES_BYTES_MAX;
    bool late = gone_ms >= END_OF_OUTPUT_MAX_MS && td_run_sender_ready(run->sender) && drained;

    if (!run->told_exit && (outputs_ended(run) || late))
        tell_exit(run);
    if (gone_ms >= run->wait_ms)
        td_run_sender_give_up(run->sender, "the time to --wait for the server is over");
}

static void pass_signals(struct run *run)
{
    int signal;

    while ((signal = td_signals_read(run->signals)) > 0)
        if (run->exited_ns == 0)
            td_process_signal(&run->process, signal);
        else
            run->wait_ms = 0; /* the command is gone: whoever waits for us wants to stop waiting */
}

static void notice_exit(struct run *run)
{
    int r = td_process_wait(&run->process, &run->status);

    if (r == 0)
        return;
    if (r < 0)
        run->status = TD_CLI_FAILED;
    run->exited_ns = td_clock_ns();
}

/* --- the loop --- */

static void wait_for_something(struct run *run, bool more)
{
    int fds[4] = {run->signals};
    size_t n = 1;
    uint64_t timeout_ms = 60000;

    if (run->exited_ns == 0)
        fds[n++] = run->process.pidfd;
    else
        timeout_ms = run->told_exit ? run->wait_ms - TD_MIN(since_exit_ms(run), run->wait_ms)
                                    : END_OF_OUTPUT_MAX_MS / 10;
    for (size_t i = 0; i < TD_ARRAY_LEN(run->outputs); i++)
        if (run->outputs[i].from != CLOSED && td_run_sender_ready(run->sender))
            fds[n++] = run->outputs[i].from;
    td_run_sender_wait(run->sender, fds, n, more ? 0 : timeout_ms);
}

static int run_loop(struct run *run)
{
    for (;;) {
        pass_signals(run);
        if (run->exited_ns == 0)
            notice_exit(run); /* before the pipes are read: what it wrote last is then in them */
        bool more = read_outputs(run);
        if (run->exited_ns != 0)
            on_ended(run, more);
        bool settled = td_run_sender_idle(run->sender) || td_run_sender_lost(run->sender);
        if (run->told_exit && settled)
            break;
        wait_for_something(run, more);
    }
    if (run->status == 0 && td_run_sender_lost(run->sender))
        return EXIT_NOT_DELIVERED;
    return run->status;
}

/* --- the start --- */

static void output_init(struct output *output, const char *name, int from, int to)
{
    output->name = name;
    output->from = from;
    output->to = to;
    td_lines_init(&output->lines, TD_RUN_LINE_MAX);
}

static int start(struct run *run)
{
    const struct td_process_options options = {
        .argv = (const char *const *)run->command,
        .group = true,
        /* A group of its own may not read the terminal: it would be stopped. */
        .inherit_stdin = !td_is_terminal(STDIN),
    };
    int r = td_process_spawn(&options, &run->process);

    if (r < 0) {
        td_cli_failed("run", "%s: %s", run->command[0], td_err_name(r));
        return r == -ENOENT ? EXIT_NO_SUCH_COMMAND : EXIT_CANNOT_EXECUTE;
    }
    run->started_ns = td_clock_ns();
    output_init(&run->outputs[0], "stdout", run->process.out_fd, STDOUT);
    output_init(&run->outputs[1], "stderr", run->process.err_fd, STDERR);
    if (!run->quiet)
        fprintf(stderr, "tidings run: publishing to %s\n", run->report.topic);
    td_run_report_started(&run->report, run->kind, run->process.pid, run->command,
                          td_run_sender_event(run->sender));
    td_run_sender_put(run->sender);
    int status = run_loop(run);
    for (size_t i = 0; i < TD_ARRAY_LEN(run->outputs); i++)
        td_lines_done(&run->outputs[i].lines);
    td_process_close(&run->process);
    return status;
}

static int open_and_start(struct run *run)
{
    int status = td_cli_server_resolve("run", &run->server);
    const char *dir = getenv("TMPDIR");

    if (status != 0)
        return status;
    if (td_run_report_init(&run->report, run->server.token, run->topic, run->id) < 0)
        return td_cli_wrong("run", "%s", td_err_hint(TD_ETOPIC));
    run->signals = td_signals_open();
    if (run->signals < 0)
        return td_cli_failed("run", "signals: %s", td_err_name(run->signals));
    const struct td_run_sender_config config = {
        .server_url = run->server.url,
        .token = run->server.token,
        .ca = run->server.ca,
        .spool = {SPOOL_MEMORY, run->disk_bytes_max, dir && *dir ? dir : "/tmp"},
        .event_bytes_max = TD_RUN_EVENT_MAX,
        .quiet = run->quiet,
    };
    int r = td_run_sender_new(&config, &run->sender);
    if (r == TD_EINVAL)
        return td_cli_wrong("run", "the token holds characters that no token has");
    if (r < 0)
        return td_cli_failed("run", "%s", td_err_name(r));
    return start(run);
}

/* --- the verb --- */

/* Reads a number of bytes with an optional K, M or G (of 1024). */
static int parse_size(struct td_slice text, uint64_t *ret_bytes)
{
    static const char units[] = "KMG";
    const char *unit = text.len > 0 ? memchr(units, text.ptr[text.len - 1], 3) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    uint64_t number;

    if (unit)
        text.len--;
    if (td_slice_u64(text, &number) < 0 || number > (UINT64_C(1) << 40) >> shift)
        return TD_EINVAL;
    *ret_bytes = number << shift;
    return 0;
}

static int check_options(struct run *run)
{
    uint64_t wait_s = WAIT_STANDARD_S;

    run->disk_bytes_max = SPOOL_DISK_STANDARD;
    if (run->buffer && parse_size(td_slice_str(run->buffer), &run->disk_bytes_max) < 0)
        return td_cli_wrong("run", "--buffer is a size like 512M, at most 1024G, not '%s'",
                            run->buffer);
    if (run->wait && (td_slice_u64(td_slice_str(run->wait), &wait_s) < 0 || wait_s > 86400))
        return td_cli_wrong("run", "--wait is a number of seconds, at most 86400, not '%s'",
                            run->wait);
    run->wait_ms = wait_s * 1000;
    if (strlen(run->kind) > TD_RUN_KIND_MAX)
        return td_cli_wrong("run", "--kind is a word, not a text");
    return 0;
}

int td_cli_run(int argc, char **argv)
{
    struct run *run = calloc(1, sizeof(*run)); /* two chunks are too much for a stack */

    if (!run)
        return td_cli_failed("run", "out of memory");
    run->kind = "command";
    /* clang-format off */
    const struct td_cli_option options[] = {
        {"topic", "TOPIC", "Publish there instead of to runs/{you}/{id}.", .value = &run->topic},
        {"kind", "KIND", "What kind of work it is, told in `started`; default: command.", .value = &run->kind},
        {"id", "ID", "The run's name, a segment of a topic; default: made of time and chance.", .value = &run->id},
        {"buffer", "SIZE", "The most to keep on disk while the server is away; default: 1G.", .value = &run->buffer},
        {"wait", "SECONDS", "How long to deliver what is owed after the command's end; default: 60.", .value = &run->wait},
        {"quiet", NULL, "Say nothing about topic and connection.", .flag = &run->quiet},
        TD_CLI_SERVER_OPTIONS(&run->server),
    };
    /* clang-format on */
    const struct td_cli_usage usage = {
        .verb = "run",
        .operands = "-- COMMAND...",
        .about = about,
        .options = options,
        .n_options = TD_ARRAY_LEN(options),
        .operands_min = 1,
        .operands_max = SIZE_MAX - 1,
    };
    int status;
    int n = td_cli_parse(&usage, argc, argv, &status);

    if (n != TD_CLI_STOP) {
        argv[n + 1] = NULL; /* at most argv[argc], which is NULL */
        run->command = argv + 1;
        status = check_options(run);
        if (status == 0)
            status = open_and_start(run);
        td_run_sender_free(run->sender);
        td_cli_server_done(&run->server);
    }
    free(run);
    return status;
}
