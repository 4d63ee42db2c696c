/* SPDX-License-Identifier: Apache-2.0 */
/* `tidings jobs`: lists jobs, shows one, cancels one. */
#include "base/buf.h"
#include "base/json.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/client.h"
#include <stdio.h>
#include <string.h>

#define VERB "jobs"

struct jobs {
    struct td_cli_server server;
    struct td_client *client;
    const char *kind, *state;
    bool json;
    struct td_buf path;
    struct td_buf text; /* of the member that is being printed */
};

static const char about[] =
    "Lists the jobs that you may see, shows one of them as JSON, or asks for its end.\n"
    "\n"
    "  list        one a line: id, state, progress, kind, owner, when it was made\n"
    "  show ID     the job, with its result or error and its last lines\n"
    "  cancel ID   may be said again; prints the state that it is in then\n";

static void print_member(struct jobs *jobs, struct td_slice object, const char *name, int width)
{
    struct td_slice text = td_cli_member(object, name, &jobs->text);

    td_cli_print(text);
    printf("%*s", text.len < (size_t)width ? width - (int)text.len : 1, "");
}

static int call(struct jobs *jobs, const char *method, struct td_slice *ret_answer)
{
    struct td_slice body;
    int status = td_cli_call(VERB, jobs->client, method, &jobs->path, TD_S(""), &body);

    if (status == 0 && td_json_check(body, ret_answer, NULL) < 0)
        return td_cli_failed(VERB, "the answer can't be read; check --server");
    return status;
}

/* ---- list ---- */

static void print_page(struct jobs *jobs, struct td_slice answer)
{
    struct td_slice list, ignored, job;

    if (!td_json_get(answer, "jobs", &list))
        return;
    struct td_json_iter it = td_json_iter(list);
    while (td_json_next(&it, &ignored, &job)) {
        if (jobs->json) {
            printf("%.*s\n", (int)job.len, job.ptr);
            continue;
        }
        print_member(jobs, job, "job_id", 34);
        print_member(jobs, job, "state", 12);
        print_member(jobs, job, "progress", 6);
        print_member(jobs, job, "kind", 16);
        print_member(jobs, job, "owner", 16);
        print_member(jobs, job, "created", 0);
        printf("\n");
    }
}

static int put_parameter(struct jobs *jobs, const char *name, const char *value)
{
    if (!value)
        return 0;
    td_buf_putf(&jobs->path, "&%s=", name);
    return td_client_escape(jobs->client, td_slice_str(value), &jobs->path);
}

/* Page by page, to the last. */
static int list(struct jobs *jobs)
{
    struct td_buf after = TD_BUF_INIT(256);
    struct td_slice answer = {NULL, 0}, next;
    int status = 0;

    do {
        td_buf_reset(&jobs->path);
        td_buf_puts(&jobs->path, "/api/v1/jobs?limit=1000");
        if (put_parameter(jobs, "kind", jobs->kind) < 0 ||
            put_parameter(jobs, "state", jobs->state) < 0)
            return td_cli_wrong(VERB, "--kind and --state are too long");
        if (after.len > 0)
            td_buf_putf(&jobs->path, "&after=%.*s", (int)after.len, after.ptr);
        status = call(jobs, "GET", &answer);
        if (status != 0)
            break;
        print_page(jobs, answer);
        td_buf_reset(&after);
        next = td_cli_member(answer, "next", &jobs->text);
        if (!td_slice_eq(next, TD_S("null")))
            td_buf_put(&after, next);
    } while (after.len > 0);
    td_buf_done(&after);
    return status;
}

/* ---- one ---- */

static int path_of(struct jobs *jobs, const char *id, const char *rest)
{
    td_buf_reset(&jobs->path);
    td_buf_puts(&jobs->path, "/api/v1/jobs/");
    int r = td_client_escape(jobs->client, td_slice_str(id), &jobs->path);
    td_buf_puts(&jobs->path, rest);
    return r < 0 || jobs->path.err < 0 ? td_cli_wrong(VERB, "the id is too long") : 0;
}

static int show(struct jobs *jobs, const char *id)
{
    struct td_slice answer = {NULL, 0};
    int status = path_of(jobs, id, "");

    if (status == 0)
        status = call(jobs, "GET", &answer);
    if (status == 0)
        printf("%.*s\n", (int)answer.len, answer.ptr);
    return status;
}

static int cancel(struct jobs *jobs, const char *id)
{
    struct td_slice answer = {NULL, 0};
    int status = path_of(jobs, id, "/cancel");

    if (status == 0)
        status = call(jobs, "POST", &answer);
    if (status == 0) {
        print_member(jobs, answer, "job_id", 0);
        print_member(jobs, answer, "state", 0);
        printf("\n");
    }
    return status;
}

static int carry_out(struct jobs *jobs, const char *what, const char *id)
{
    int status = td_cli_connect(VERB, &jobs->server, &jobs->client);

    if (status == 0 && strcmp(what, "list") == 0)
        status = list(jobs);
    else if (status == 0 && strcmp(what, "show") == 0)
        status = show(jobs, id);
    else if (status == 0)
        status = cancel(jobs, id);
    if (status == 0 && fflush(stdout) != 0)
        status = td_cli_failed(VERB, "standard output cannot be written");
    return status;
}

int td_cli_jobs(int argc, char **argv)
{
    struct jobs jobs = {.path = TD_BUF_INIT(8 * TD_KIB), .text = TD_BUF_INIT(64 * TD_KIB)};
    /* clang-format off */
    const struct td_cli_option options[] = {
        {"kind", "KIND", "Of list: only jobs of this kind.", .value = &jobs.kind},
        {"state", "STATE", "Of list: queued, running, cancelling, done, failed or cancelled.", .value = &jobs.state},
        {"json", NULL, "Of list: print each as JSON.", .flag = &jobs.json},
        TD_CLI_SERVER_OPTIONS(&jobs.server),
    };
    /* clang-format on */
    const struct td_cli_usage usage = {
        .verb = VERB,
        .operands = "list|show ID|cancel ID",
        .about = about,
        .options = options,
        .n_options = TD_ARRAY_LEN(options),
        .operands_min = 1,
        .operands_max = 2,
    };
    int status, n = td_cli_parse(&usage, argc, argv, &status);

    if (n == TD_CLI_STOP)
        return status;
    bool is_list = strcmp(argv[1], "list") == 0;
    bool is_known = is_list || strcmp(argv[1], "show") == 0 || strcmp(argv[1], "cancel") == 0;
    if (!is_known)
        return td_cli_wrong(VERB, "'%s' is none of list, show and cancel", argv[1]);
    if (n != (is_list ? 1 : 2))
        return td_cli_wrong(VERB, "%s", is_list ? "list takes no ID" : "name the ID of one job");
    status = carry_out(&jobs, argv[1], argv[2]);
    td_client_free(jobs.client);
    td_buf_done(&jobs.path);
    td_buf_done(&jobs.text);
    td_cli_server_done(&jobs.server);
    return status;
}
