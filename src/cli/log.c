/* SPDX-License-Identifier: Apache-2.0 */
/* `tidings log`: looks into the log, also while the server runs. */
#include "base/err.h"
#include "base/position.h"
#include "base/topic.h"
#include "cli/cli.h"
#include "journal/inspect.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define VERB "log"

struct arguments {
    const char *data, *topic, *since;
};

static int explain(const struct arguments *arguments, const char *what, int r)
{
    if (r == -ENOENT)
        return td_cli_failed(VERB, "there is no log in '%s'", arguments->data);
    return td_cli_failed(VERB, "%s '%s': %s", what, arguments->data, td_err_name(r));
}

static int finish(void)
{
    return fflush(stdout) == 0 ? TD_CLI_DONE
                               : td_cli_failed(VERB, "standard output cannot be written");
}

static void print_time(const char *name, td_unix_ms time)
{
    char text[TD_TIME_LEN + 1];

    if (time == 0)
        return;
    td_time_format(time, text);
    printf("%-16s %s\n", name, text);
}

static int show_stat(const struct arguments *arguments)
{
    struct td_inspect_stat stat;
    int r = td_inspect_stat(arguments->data, &stat);

    if (r < 0)
        return explain(arguments, "cannot read", r);
    printf("%-16s %08" PRIx32 "\n", "epoch", stat.epoch);
    printf("%-16s %" PRIu64 "\n", "records", stat.records);
    printf("%-16s %" PRIu64 "\n", "head", stat.last_seq);
    printf("%-16s %" PRIu64 "\n", "trimmed to", stat.horizon);
    print_time("oldest", stat.first_time);
    print_time("newest", stat.last_time);
    printf("%-16s %" PRIu64 " (%" PRIu64 " sealed)\n", "segments", stat.segments, stat.sealed);
    printf("%-16s %" PRIu64 "\n", "record bytes", stat.bytes);
    printf("%-16s %" PRIu64 "\n", "index bytes", stat.index_bytes);
    printf("%-16s %" PRIu64 " keys of %" PRIu64 " topics, %" PRIu64 " bytes kept for them alone\n",
           "state", stat.state_keys, stat.state_topics, stat.kept_bytes);
    for (size_t i = 0; i <= TD_GROUPS_MAX; i++)
        if (i > 0 && stat.group_bytes[i] > 0)
            printf("group %-10zu %" PRIu64 " bytes\n", i, stat.group_bytes[i]);
    if (stat.report.cut_bytes > 0)
        printf("%-16s %" PRIu64 " bytes\n", "unfinished", stat.report.cut_bytes);
    if (stat.report.damaged_ranges > 0)
        printf("%-16s %" PRIu64 " ranges; see 'tidings log verify'\n", "damaged",
               stat.report.damaged_ranges);
    return finish();
}

static void print_finding(const struct td_finding *finding, void *arg)
{
    switch (finding->kind) {
    case TD_FINDING_SEGMENT:
        printf("%016" PRIx64 "  %" PRIu64 " sound records up to %" PRIu64 "\n", finding->segment,
               finding->n, finding->to);
        break;
    case TD_FINDING_HEADER: printf("%016" PRIx64 "  DAMAGED header\n", finding->segment); break;
    case TD_FINDING_INDEX:
        printf("%016" PRIx64 "  DAMAGED index; the server makes a new one\n", finding->segment);
        break;
    case TD_FINDING_RECORDS:
        printf("%016" PRIx64 "  DAMAGED records behind %" PRIu64 " up to %" PRIu64 "\n",
               finding->segment, finding->from, finding->to);
        break;
    case TD_FINDING_LOST:
        printf("%016" PRIx64 "  behind %" PRIu64 " up to %" PRIu64
               ": left out after an unclean stop\n",
               finding->segment, finding->from, finding->to);
        break;
    case TD_FINDING_TAIL:
        printf("%-16s  %" PRIu64 " bytes of an unfinished batch at the end\n", "", finding->n);
        break;
    }
}

static int verify(const struct arguments *arguments)
{
    int64_t damaged = td_inspect_verify(arguments->data, print_finding, NULL);

    if (damaged < 0)
        return explain(arguments, "cannot read", (int)damaged);
    if (damaged > 0 && finish() == TD_CLI_DONE)
        return td_cli_failed(VERB, "%" PRId64 " things are damaged", damaged);
    return finish();
}

static int print_record(const struct td_record *record, uint64_t from, uint64_t to, void *arg)
{
    bool *whole = arg;

    if (!record) {
        fprintf(stderr, "tidings log: what lies behind %" PRIu64 " up to %" PRIu64 " is gone\n",
                from, to);
        *whole = false;
        return 0;
    }
    fwrite(record->json.ptr, 1, record->json.len, stdout);
    return putchar('\n') == EOF ? -EPIPE : 0;
}

static int dump(const struct arguments *arguments)
{
    struct td_position since = {0};
    struct td_inspect_stat stat;
    bool whole = true;
    struct td_dump options = {
        .pattern = arguments->topic ? td_slice_str(arguments->topic) : TD_S("**"),
        .each = print_record,
        .arg = &whole,
    };

    if (!td_pattern_valid(options.pattern))
        return td_cli_wrong(VERB, "'%s' is not a pattern", arguments->topic);
    if (arguments->since && td_position_parse(td_slice_str(arguments->since), &since) < 0)
        return td_cli_wrong(VERB, "'%s' is not a position", arguments->since);
    int r = td_inspect_stat(arguments->data, &stat);
    if (r < 0)
        return explain(arguments, "cannot read", r);
    if (arguments->since && since.epoch != stat.epoch)
        return td_cli_failed(VERB, "'%s' is a position of another log", arguments->since);
    /* Without a position the dump begins with what is there, and what was trimmed is no news. */
    options.after = arguments->since ? since.seq : stat.horizon;
    r = td_inspect_dump(arguments->data, &options);
    if (r < 0)
        return explain(arguments, "cannot read", r);
    return whole ? finish() : TD_CLI_FAILED;
}

static int backup(const struct arguments *arguments, const char *to)
{
    uint64_t bytes;
    int r = td_inspect_backup(arguments->data, to, &bytes);

    if (r == -EEXIST)
        return td_cli_failed(VERB, "'%s' is not empty", to);
    if (r < 0)
        return explain(arguments, "cannot back up", r);
    printf("%" PRIu64 " bytes copied to %s; a server can be started on it\n", bytes, to);
    return finish();
}

int td_cli_log(int argc, char **argv)
{
    struct arguments arguments = {.data = "tidings-data"};
    const struct td_cli_option options[] = {
        {"data",  "DIR",      "The data directory of the server. Default: tidings-data.",
         .value = &arguments.data                                                                                  },
        {"topic", "PATTERN",  "dump: only what the pattern matches.",                     .value = &arguments.topic},
        {"since", "POSITION", "dump: only what comes after the position.",
         .value = &arguments.since                                                                                 },
    };
    const struct td_cli_usage usage = {
        .verb = VERB,
        .operands = "stat|verify|dump|backup [TO]",
        .about =
            "Looks into the log of a server, also while it runs; nothing is changed.\n\n"
            "  stat      what is in the log\n"
            "  verify    checks every byte; exit status 1 when something is damaged\n"
            "  dump      prints the events, a line of JSON each; exit status 1 when some are\n"
            "            damaged or gone\n"
            "  backup    copies the log to the directory TO, which must be empty or absent; a\n"
            "            server can be started on the copy\n",
        .options = options,
        .n_options = TD_ARRAY_LEN(options),
        .operands_min = 1,
        .operands_max = 2,
    };
    int status, n = td_cli_parse(&usage, argc, argv, &status);

    if (n < 0)
        return status;
    const char *what = argv[1];
    if (strcmp(what, "backup") == 0)
        return n == 2 ? backup(&arguments, argv[2])
                      : td_cli_wrong(VERB, "backup needs a directory to copy to");
    if (n == 2)
        return td_cli_wrong(VERB, "'%s' is too much", argv[2]);
    if (strcmp(what, "stat") == 0)
        return show_stat(&arguments);
    if (strcmp(what, "verify") == 0)
        return verify(&arguments);
    if (strcmp(what, "dump") == 0)
        return dump(&arguments);
    return td_cli_wrong(VERB, "'%s' is none of stat, verify, dump, backup", what);
}
