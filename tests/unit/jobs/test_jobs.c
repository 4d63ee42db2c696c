/* SPDX-License-Identifier: Apache-2.0 */
/* The engine with runners that only remember what they were asked, on a log in a folder of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/err.h"
#include "base/json.h"
#include "jobs/internal.h"
#include "os/clock.h"
#include "os/file.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LIST(...)                                                  \
    ({                                                             \
        static const struct td_slice items[] = {__VA_ARGS__};      \
        (struct td_slices){items, sizeof(items) / sizeof(*items)}; \
    })

static char dir[] = "/tmp/tidings-jobs-XXXXXX";
static struct td_journal *journal;
static struct td_journal_reader *reader;
static struct td_kinds *kinds;
static struct td_kind_spec specs[6];
static struct td_jobs *jobs;
static struct td_reserved reserved;
static struct td_principal *ann, *bob;

/* A run as the fake runner keeps it. */
static struct run {
    const struct td_run_ops *ops;
    void *arg;
    char document[512], value[256];
    bool cancelled, ended;
} runs[512];
static size_t n_runs;

static int fake_start(void *arg, const struct td_kind_spec *spec, const struct td_run_input *input,
                      const struct td_run_ops *ops, void *run_arg, void **ret_run)
{
    struct run *run = &runs[n_runs++];
    struct td_slice value = {NULL, 0};

    (void)arg;
    if (td_slice_eq(spec->name, TD_S("broken")))
        return -ENOENT;
    *run = (struct run){.ops = ops, .arg = run_arg};
    snprintf(run->document, sizeof(run->document), "%.*s", (int)input->document.len,
             input->document.ptr);
    if (input->value(input->arg, TD_S("result.first.word"), &value))
        snprintf(run->value, sizeof(run->value), "%.*s", (int)value.len, value.ptr);
    *ret_run = run;
    return 0;
}

static void fake_cancel(void *arg)
{
    struct run *run = arg;

    run->cancelled = true;
}

static void wake(void *arg)
{
    (void)arg;
}

/* Memory: the nth allocation fails that the engine makes while `armed`. */
static struct {
    bool armed;
    unsigned made, fails_at;
} memory;

static bool is_out(void)
{
    return memory.armed && ++memory.made == memory.fails_at;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
    return is_out() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return is_out() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return is_out() ? NULL : __real_realloc(old, size);
}

static int log_error;          /* 0: it takes what it is given, … */
static int takes_batches = -1; /* … so many times; -1: always */

static int append(void *arg, const struct td_batch *batch, uint64_t *ret_seqs)
{
    (void)arg;
    if (log_error < 0)
        return log_error;
    if (takes_batches == 0)
        return -ENOSPC;
    takes_batches -= takes_batches > 0;
    bool armed = memory.armed;
    memory.armed = false; /* the log has a torture of its own */
    int r = td_journal_append(journal, batch, ret_seqs);
    while (td_journal_commit_step(journal) > 0)
        ;
    memory.armed = armed;
    return r;
}

static void walk(void *arg, struct td_state_read *read)
{
    bool armed = memory.armed;

    (void)arg;
    memory.armed = false;
    read->as_of = td_journal_readable(journal);
    td_journal_state(reader, read);
    memory.armed = armed;
}

static int state(void *arg, struct td_slice topic, struct td_slice key,
                 struct td_record *ret_record)
{
    struct td_state_cursor cursor = {0};
    const char *records[4];
    const struct td_wanted wanted = {td_topic_key(td_journal_seed(journal), topic), topic, true};
    struct td_state_read read = {
        .wanted = &wanted, .n_wanted = 1, .records = records, .records_max = 4, .cursor = &cursor};

    walk(arg, &read);
    for (size_t i = 0; i < read.n; i++) {
        td_record_view(records[i], ret_record);
        if (td_slice_eq(ret_record->key, key))
            return 1;
    }
    return 0;
}

static struct td_principal *someone(const char *subject, bool admin)
{
    static const struct td_slice all = {"**", 2}, role = {"admin", 5};
    const struct td_claims claims = {
        .sub = td_slice_str(subject),
        .exp = TD_EXP_NEVER,
        .has_grants = true,
        .grants = {.subscribe = {&all, 1}, .publish = {&all, 1}},
        .roles = {&role,                  admin               },
    };
    const struct td_policy policy = {0};
    struct td_principal *principal;
    const char *reason;

    assert_int_equal(td_principal_new(&claims, &policy, &principal, &reason), 0);
    return principal;
}

static size_t n_lent_back;

static void lent_back(void *arg)
{
    (void)arg;
    n_lent_back++;
}

static void open_jobs(void)
{
    const struct td_jobs_options options = {
        .kinds = {kinds,  lent_back,                 NULL},
        .reserved = &reserved,
        .log = {journal,      append,                         state, walk, NULL},
        .runners = {{fake_start, fake_cancel, NULL}, {fake_start, fake_cancel, NULL}},
        .limits = {.unfinished_max = 10,      .owner_unfinished_max = 5},
    };
    int r;

    while ((r = td_jobs_new(&options, &jobs)) == -ENOMEM && memory.armed)
        ;
    assert_int_equal(r, 0);
    while ((r = td_jobs_recover(jobs)) == 0 || (r == -ENOMEM && memory.armed))
        ;
    assert_int_equal(r, 1);
    td_jobs_turn(jobs);
    n_runs = 0;
}

static void declare_kinds(void)
{
    struct td_buf errors = TD_BUF_INIT(4096);

    specs[0] = (struct td_kind_spec){
        .name = TD_S("validate"),
        .who = TD_S("publish"),
        .params = LIST(TD_S("p=[a-z]+"), TD_S("file?=.*")),
        .topic = TD_S("projects/{p}"),
        .events =
            LIST(TD_S("start=started"), TD_S("output=output"), TD_S("text=token"),
                 TD_S("complete=complete"), TD_S("error=failed"), TD_S("cancelled=cancelled")),
        .carry = LIST(TD_S("p")),
        .argv = LIST(TD_S("check")),
        .exit_status = 1,
        .concurrency = 2,
        .queue = 2,
    };
    specs[1] = (struct td_kind_spec){.name = TD_S("first"),
                                     .title = TD_S("First"),
                                     .internal = true,
                                     .who = TD_S("publish"),
                                     .argv = LIST(TD_S("first")),
                                     .concurrency = 1,
                                     .queue = 1};
    specs[2] = (struct td_kind_spec){.name = TD_S("second"),
                                     .internal = true,
                                     .who = TD_S("publish"),
                                     .argv = LIST(TD_S("second"), TD_S("{result.first.word}")),
                                     .concurrency = 1,
                                     .queue = 1};
    specs[3] =
        (struct td_kind_spec){.name = TD_S("generate"),
                              .runner = TD_RUNNER_PIPELINE,
                              .who = TD_S("any"),
                              .params = LIST(TD_S("p=[a-z]+")),
                              .topic = TD_S("projects/{p}"),
                              .shared = true,
                              .events = LIST(TD_S("step=agent_update"), TD_S("complete=completion"),
                                             TD_S("error=completion"), TD_S("log=log")),
                              .steps = LIST(TD_S("first"), TD_S("second")),
                              .concurrency = 5,
                              .queue = 1};
    specs[4] = (struct td_kind_spec){.name = TD_S("broken"),
                                     .who = TD_S("any"),
                                     .argv = LIST(TD_S("x")),
                                     .concurrency = 1,
                                     .queue = 1};
    specs[5] = (struct td_kind_spec){
        .name = TD_S("outside"),
        .runner = TD_RUNNER_EXTERNAL,
        .who = TD_S("any"),
        .topic = TD_S("outside/{job_id}"),
        .params = LIST(TD_S("proposal_id?=.*")),
        .carry = LIST(TD_S("proposal_id")),
        .events = LIST(TD_S("output=line"), TD_S("error=lost"), TD_S("text=token")),
        .concurrency = 1,
        .queue = 1};
    assert_int_equal(td_kinds_new(specs, 6, &kinds, &errors), 0);
    td_buf_done(&errors);
}

static int set_up(void **state_)
{
    const struct td_journal_options options = {.dir = dir, .segment_bytes = 1024 * 1024};
    struct td_journal_report report;

    (void)state_;
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(dir));
    assert_int_equal(td_journal_open(&options, &journal, &report), 0);
    assert_int_equal(td_journal_reader_open(journal, wake, NULL, &reader), 0);
    td_reserved_init(&reserved, 1);
    declare_kinds();
    ann = someone("ann", false);
    bob = someone("bob", false);
    open_jobs();
    return 0;
}

static int unlink_file(const char *name, void *arg)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", (const char *)arg, name);
    return td_path_unlink(path);
}

static int tear_down(void **state_)
{
    (void)state_;
    td_jobs_free(jobs);
    assert_false(td_reserved_has(&reserved, TD_S("projects/a")));
    td_reserved_done(&reserved);
    td_kinds_free(kinds);
    td_principal_unref(ann);
    td_principal_unref(bob);
    td_journal_reader_close(reader);
    td_journal_close(journal);
    assert_int_equal(td_dir_list(dir, unlink_file, dir), 0);
    return rmdir(dir);
}

/* ---- what was told ---- */

static uint64_t told_after; /* what lies before is not told any more */

/* All events of a topic (or pattern), one a line: type, a space, data. */
static const char *told(const char *pattern)
{
    static char text[1024 * 1024];
    static const char *records[1024];
    struct td_wanted wanted = {.pattern = td_slice_str(pattern)};
    size_t len = 0;

    wanted.key = td_pattern_key(td_journal_seed(journal), wanted.pattern, &wanted.exact);
    struct td_read read = {.wanted = &wanted,
                           .n_wanted = 1,
                           .after = told_after,
                           .until = td_journal_readable(journal),
                           .records = records,
                           .records_max = TD_ARRAY_LEN(records)};
    td_journal_read(reader, &read);
    assert_int_equal(read.end, TD_READ_DONE);
    text[0] = '\0';
    for (size_t i = 0; i < read.n; i++) {
        struct td_record record;
        td_record_view(records[i], &record);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s %.*s\n", (int)record.type.len,
                                record.type.ptr, (int)record.data.len, record.data.ptr);
        assert_true(len < sizeof(text));
    }
    return text;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void says(const char *text, const char *what)
{
    if (!strstr(text, what))
        fail_msg("'%s' does not say '%s'", text, what);
}

/* ---- asking ---- */

static char body[8192], why[1024];
static struct td_job_answer answer;
static struct td_buf body_buf, why_buf;

static int done(int r)
{
    snprintf(body, sizeof(body), "%.*s", (int)body_buf.len, body_buf.ptr ? body_buf.ptr : "");
    snprintf(why, sizeof(why), "%.*s", (int)why_buf.len, why_buf.ptr ? why_buf.ptr : "");
    td_buf_done(&body_buf);
    td_buf_done(&why_buf);
    return r;
}

static struct td_job_answer *begin(void)
{
    td_buf_init(&body_buf, 1024 * 1024);
    td_buf_init(&why_buf, 1024);
    answer = (struct td_job_answer){.body = &body_buf, .why = &why_buf};
    return &answer;
}

static int start_with(struct td_job_start start)
{
    if (!start.principal)
        start.principal = ann;
    int r = done(td_jobs_start(jobs, &start, begin()));
    td_jobs_turn(jobs);
    return r;
}

static int start(const char *kind, const char *params)
{
    return start_with(
        (struct td_job_start){.kind = td_slice_str(kind), .params = td_slice_str(params)});
}

/* The id in the last answer. */
static struct td_slice id_of(void)
{
    static char id[TD_JOB_ID_LEN + 1];
    const char *at = strstr(body, "\"job_id\":\"");

    assert_non_null(at);
    memcpy(id, at + strlen("\"job_id\":\""), TD_JOB_ID_LEN);
    return td_slice(id, TD_JOB_ID_LEN);
}

static int cancel(const struct td_principal *who, struct td_slice id)
{
    struct td_job_which which = {.principal = who, .id = id};
    int r = done(td_jobs_cancel(jobs, &which, begin()));

    td_jobs_turn(jobs);
    return r;
}

static int get(const struct td_principal *who, struct td_slice id)
{
    struct td_job_which which = {.principal = who, .id = id};

    return done(td_jobs_get(jobs, &which, begin()));
}

static void end_run(size_t n, struct td_run_end end)
{
    runs[n].ended = true;
    runs[n].ops->ended(runs[n].arg, &end);
    td_jobs_turn(jobs);
    td_jobs_turn(jobs);
}

/* ---- tests ---- */

static void a_job_tells_its_life(void **state_)
{
    (void)state_;
    assert_int_equal(start("validate", "{\"p\":\"a\",\"file\":\"x y\"}"), 0);
    says(body, "\"state\":\"running\"");
    says(body, "\"topic\":\"projects/a\"");
    assert_null(strstr(body, "internal"));
    assert_int_equal(n_runs, 1);
    says(runs[0].document, "\"params\":{\"p\":\"a\",\"file\":\"x y\"},\"results\":{}}");
    assert_true(td_reserved_has(&reserved, TD_S("projects/a")));
    runs[0].ops->line(runs[0].arg, TD_S("one"), false);
    runs[0].ops->line(runs[0].arg, TD_S("\"two\""), true);
    runs[0].ops->progress(runs[0].arg, 40, TD_S("on it"));
    runs[0].ops->progress(runs[0].arg, 30, (struct td_slice){NULL, 0});
    td_jobs_turn(jobs);
    end_run(0, (struct td_run_end){.outcome = TD_RUN_DONE, .exit_status = 3});
    const char *own = told("projects/a");
    assert_int_equal(count(own, "\n"), 4);
    says(own, "started {\"job_id\":\"");
    says(own, "\",\"p\":\"a\",\"line\":\"one\",\"stream\":\"stdout\"}\n");
    says(own, "\",\"p\":\"a\",\"line\":\"\\\"two\\\"\",\"stream\":\"stderr\"}\n");
    says(own, "complete {");
    says(own, "\"status\":\"failed\",\"summary\":\"one\",\"duration\":");
    says(own, "\"result\":{\"exit_status\":3},\"exit_status\":3}");
    const char *life = told("jobs/*");
    says(life, "\"progress\":40,");
    says(life, "\"message\":\"on it\"");
    assert_null(strstr(life, "\"progress\":30"));
    assert_int_equal(count(life, "completed {"), 1);
    says(life, "\"progress\":100");
    assert_int_equal(get(ann, id_of()), 0);
    says(body, "\"state\":\"done\"");
    says(body, "\"error\":null");
    assert_int_equal(jobs->n, 0);
    assert_false(td_reserved_has(&reserved, TD_S("projects/a")));
}

static void text_has_offsets_and_leaves_no_state(void **state_)
{
    struct td_record record;

    (void)state_;
    assert_int_equal(start("validate", "{\"p\":\"a\"}"), 0);
    runs[0].ops->text(runs[0].arg, TD_S("h\xc3\xa9"));
    runs[0].ops->text(runs[0].arg, TD_S("\"llo\n"));
    td_jobs_turn(jobs);
    runs[0].ops->text(runs[0].arg, TD_S("more"));
    td_jobs_turn(jobs);
    const char *own = told("projects/a");
    says(own, "\"offset\":0,\"content\":\"h\xc3\xa9\\\"llo\\n\"}");
    says(own, "\"offset\":8,\"content\":\"more\"}");
    assert_int_equal(count(own, "token {"), 2);
    assert_int_equal(state(NULL, TD_S("projects/a"), id_of(), &record), 1);
    end_run(0, (struct td_run_end){.outcome = TD_RUN_DONE, .exit_status = 0});
    assert_int_equal(state(NULL, TD_S("projects/a"), id_of(), &record), 0);
    says(told("projects/a"), "complete {");
}

static void a_failure_says_why(void **state_)
{
    const struct td_slice actions[] = {TD_S("Do this.")};

    (void)state_;
    assert_int_equal(start("validate", "{\"p\":\"a\"}"), 0);
    end_run(0, (struct td_run_end){.outcome = TD_RUN_FAILED,
                                   .exit_status = -1,
                                   .code = TD_S("killed"),
                                   .message = TD_S("It was killed."),
                                   .details = TD_S("by 9"),
                                   .actions = actions,
                                   .n_actions = 1});
    says(told("jobs/*"), "\"error\":\"It was killed.\",\"code\":\"killed\",\"details\":\"by 9\","
                         "\"suggested_actions\":[\"Do this.\"]");
    says(told("projects/a"), "failed {");
    assert_int_equal(get(ann, id_of()), 0);
    says(body, "\"error\":{\"code\":\"killed\",\"message\":\"It was killed.\",\"details\":\"by 9\","
               "\"suggested_actions\":[\"Do this.\"]}");
    assert_int_equal(start("broken", "{}"), 0);
    assert_int_equal(get(ann, id_of()), 0);
    says(body, "\"code\":\"not_started\"");
}

static void bad_starts_change_nothing(void **state_)
{
    (void)state_;
    assert_int_equal(start("nothing", "{}"), TD_EINVAL);
    assert_int_equal(start("first", "{}"), TD_EINVAL);
    assert_int_equal(start("validate", "{}"), TD_EINVAL);
    says(why, "Parameter p is missing.");
    assert_int_equal(start("validate", "{\"p\":\"A\"}"), TD_EINVAL);
    assert_int_equal(start("validate", "{\"p\":{}}"), TD_EINVAL);
    assert_int_equal(start("validate", "{\"p\":\"a\",\"q\":1}"), TD_EINVAL);
    says(why, "Parameter q is not one of this kind of job.");
    assert_int_equal(start("validate", "[]"), TD_EINVAL);
    assert_int_equal(start("outside", "{}"), TD_EINVAL);
    assert_int_equal(start_with((struct td_job_start){.kind = TD_S("generate"),
                                                      .params = TD_S("{\"p\":\"a\"}"),
                                                      .given = TD_S("{\"p\":\"b\"}")}),
                     TD_EINVAL);
    says(why, "given twice");
    assert_int_equal(start_with((struct td_job_start){.kind = TD_S("generate"),
                                                      .params = TD_S("{\"p\":\"a\"}"),
                                                      .viewers = TD_S("[1]")}),
                     TD_EINVAL);
    assert_string_equal(told("**"), "");
    assert_int_equal(jobs->n, 0);
    assert_int_equal(jobs->owners.len, 0);
}

static void a_key_names_one_job(void **state_)
{
    struct td_job_start keyed = {
        .kind = TD_S("validate"), .params = TD_S("{\"p\":\"a\"}"), .key = TD_S("k1")};
    char first[TD_JOB_ID_LEN];

    (void)state_;
    assert_int_equal(start_with(keyed), 0);
    memcpy(first, id_of().ptr, TD_JOB_ID_LEN);
    assert_int_equal(start_with(keyed), 0);
    assert_memory_equal(first, id_of().ptr, TD_JOB_ID_LEN);
    assert_int_equal(n_runs, 1);
    keyed.params = TD_S("{\"p\":\"b\"}");
    assert_int_equal(start_with(keyed), TD_EMISMATCH);
    keyed.principal = bob; /* another subject's key is another key */
    assert_int_equal(start_with(keyed), 0);
    end_run(0, (struct td_run_end){.outcome = TD_RUN_DONE, .exit_status = 0});
    keyed.principal = ann;
    assert_int_equal(start_with(keyed), TD_EMISMATCH);
    keyed.params = TD_S("{\"p\":\"a\"}");
    assert_int_equal(start_with(keyed), 0);
    says(body, "\"state\":\"done\"");
    assert_int_equal(n_runs, 2);
}

static void what_does_not_fit_is_queued_then_refused(void **state_)
{
    char third[TD_JOB_ID_LEN], fourth[TD_JOB_ID_LEN];

    (void)state_;
    for (int i = 0; i < 4; i++)
        assert_int_equal(start("validate", "{\"p\":\"a\"}"), 0);
    says(body, "\"state\":\"queued\"");
    says(body, "\"place\":2");
    assert_int_equal(n_runs, 2);
    memcpy(fourth, id_of().ptr, TD_JOB_ID_LEN);
    assert_int_equal(start("validate", "{\"p\":\"a\"}"), TD_ERATE);
    assert_true(answer.retry_after_s > 0);
    assert_int_equal(jobs->n, 4);
    assert_int_equal(cancel(ann, td_slice(fourth, TD_JOB_ID_LEN)), 0);
    says(body, "\"state\":\"cancelled\"");
    assert_int_equal(jobs->n, 3);
    struct td_job *queued = TD_CONTAINER_OF(jobs->rows[0]->queue.next, struct td_job, queue);
    memcpy(third, td_job_id(queued).ptr, TD_JOB_ID_LEN);
    end_run(0, (struct td_run_end){.outcome = TD_RUN_DONE, .exit_status = 0});
    assert_int_equal(n_runs, 3);
    assert_int_equal(get(ann, td_slice(third, TD_JOB_ID_LEN)), 0);
    says(body, "\"state\":\"running\"");
    start("generate", "{\"p\":\"a\"}");
    start("generate", "{\"p\":\"a\"}");
    assert_int_equal(start("generate", "{\"p\":\"a\"}"), 0);
    assert_int_equal(start("generate", "{\"p\":\"a\"}"), TD_ERATE);
    says(why, "As many of your jobs");
}

static void cancel_is_for_who_may(void **state_)
{
    struct td_principal *admin = someone("root", true);

    (void)state_;
    assert_int_equal(start_with((struct td_job_start){.kind = TD_S("broken")}), 0);
    assert_int_equal(get(bob, id_of()), TD_ENOTFOUND);
    assert_int_equal(get(bob, TD_S("00000000000000000000000000000000")), TD_ENOTFOUND);
    assert_int_equal(get(bob, TD_S("x")), TD_ENOTFOUND);
    assert_int_equal(start_with((struct td_job_start){
                         .kind = TD_S("outside"), .external = true, .viewers = TD_S("[\"bob\"]")}),
                     0);
    struct td_slice id = id_of();
    assert_int_equal(get(bob, id), 0);
    assert_int_equal(start("validate", "{\"p\":\"a\"}"), 0);
    id = id_of();
    assert_int_equal(cancel(bob, id), 0); /* who may publish to its topic */
    says(body, "\"state\":\"cancelling\"");
    assert_true(runs[1].cancelled);
    assert_int_equal(cancel(ann, id_of()), 0);
    says(body, "\"state\":\"cancelling\"");
    end_run(1, (struct td_run_end){.outcome = TD_RUN_CANCELLED, .exit_status = -1});
    assert_int_equal(count(told("projects/a"), "cancelled {"), 1);
    assert_int_equal(cancel(admin, id_of()), 0);
    says(body, "\"state\":\"cancelled\"");
    td_principal_unref(admin);
}

static void a_pipeline_passes_results_on(void **state_)
{
    (void)state_;
    assert_int_equal(start("generate", "{\"p\":\"a\"}"), 0);
    runs[0].ops->line(runs[0].arg, TD_S("working"), false);
    runs[0].ops->progress(runs[0].arg, 50, (struct td_slice){NULL, 0});
    td_jobs_turn(jobs);
    says(told("jobs/*"), "\"progress\":25,");
    end_run(0, (struct td_run_end){.outcome = TD_RUN_DONE,
                                   .exit_status = 0,
                                   .result = TD_S("{\"word\":\"a\\nb\"}")});
    assert_int_equal(n_runs, 2);
    assert_string_equal(runs[1].value, "a\nb");
    says(runs[1].document, "\"results\":{\"first\":{\"word\":\"a\\nb\"}}");
    end_run(1, (struct td_run_end){.outcome = TD_RUN_DONE,
                                   .exit_status = 0,
                                   .result = TD_S("{\"files\":2,\"status\":\"good\"}")});
    const char *own = told("projects/a");
    says(own,
         "\"agent\":\"first\",\"agent_name\":\"First\",\"status\":\"started\",\"duration\":null,"
         "\"message\":\"Starting First agent\"}");
    says(own, "\"message\":\"Completed second agent in ");
    says(own, "log {");
    says(own, "\"message\":\"working\",\"level\":\"info\",\"agent\":\"first\"}");
    assert_int_equal(count(own, "completion {"), 1);
    says(own, "\"files\":2,\"status\":\"good\"}");
    assert_null(strstr(own, "\"status\":\"completed\",\"summary\""));
    assert_int_equal(
        done(td_jobs_project(
            jobs, &(struct td_job_project){ann, TD_S("a"), TD_S("\"Name\""), false}, begin())),
        0);
    says(body, "\"status\":\"completed\",\"progress\":100,");
    says(body, "{\"id\":\"a\",\"name\":\"Name\",");
    says(body, "\"agents\":[{\"agent\":\"first\"");
    says(body, "\"message\":\"working\"");
}

static void a_pipeline_stops_at_the_first_failure(void **state_)
{
    (void)state_;
    assert_int_equal(start("generate", "{\"p\":\"a\"}"), 0);
    end_run(0, (struct td_run_end){.outcome = TD_RUN_FAILED,
                                   .exit_status = 1,
                                   .code = TD_S("exit_status"),
                                   .message = TD_S("It failed.")});
    assert_int_equal(n_runs, 1);
    const char *own = told("projects/a");
    says(own, "\"message\":\"Failed First agent in ");
    assert_int_equal(count(own, "completion {"), 1);
    says(own, "\"error\":\"It failed.\"");
}

static void what_was_not_ended_is_ended_after_a_restart(void **state_)
{
    char first[TD_JOB_ID_LEN];
    struct td_record record;

    (void)state_;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(start("validate", "{\"p\":\"a\"}"), 0);
        if (i == 0)
            memcpy(first, id_of().ptr, sizeof(first));
    }
    struct td_slice text = td_slice(first, sizeof(first));
    runs[0].ops->text(runs[0].arg, TD_S("so far"));
    td_jobs_turn(jobs);
    assert_int_equal(state(NULL, TD_S("projects/a"), text, &record), 1);
    td_jobs_free(jobs); /* as if it had been killed */
    open_jobs();
    assert_int_equal(state(NULL, TD_S("projects/a"), text, &record), 0);
    assert_int_equal(jobs->n, 0);
    assert_int_equal(count(told("jobs/*"), "error {"), 3);
    assert_int_equal(count(told("jobs/*"), "\"code\":\"orphaned\""), 3);
    assert_int_equal(count(told("projects/a"), "failed {"), 3);
    assert_int_equal(count(told("projects/a"), "\"p\":\"a\",\"status\":\"failed\""), 3);
    td_jobs_free(jobs);
    open_jobs();
    assert_int_equal(count(told("jobs/*"), "error {"), 3);
}

static struct td_slice token_of(void)
{
    static char token[65];
    const char *at = strstr(body, "\"lease_token\":\"");

    assert_non_null(at);
    memcpy(token, at + strlen("\"lease_token\":\""), 64);
    return td_slice(token, 64);
}

static int report(struct td_slice id, struct td_slice token, const char *json)
{
    const struct td_job_report of = {ann, id, token, td_slice_str(json)};
    int r = done(td_jobs_report(jobs, &of, begin()));

    td_jobs_turn(jobs);
    return r;
}

static void a_worker_elsewhere_reports(void **state_)
{
    char id[TD_JOB_ID_LEN], topic[64];

    (void)state_;
    assert_int_equal(start_with((struct td_job_start){.kind = TD_S("outside"), .external = true}),
                     0);
    struct td_slice token = token_of();
    memcpy(id, id_of().ptr, sizeof(id));
    struct td_slice job = td_slice(id, sizeof(id));
    snprintf(topic, sizeof(topic), "outside/%.*s", (int)sizeof(id), id);
    assert_null(strstr(told("**"), token.ptr));
    assert_int_equal(report(job, TD_S("wrong"), "{}"), TD_ENOTFOUND);
    assert_int_equal(report(job, token, "{\"events\":[{\"line\":\"one\"},{\"line\":1}]}"),
                     TD_EINVAL);
    assert_string_equal(told(topic), "");
    assert_int_equal(report(job, token,
                            "{\"events\":[{\"line\":\"one\",\"stream\":\"stderr\"},"
                            "{\"type\":\"custom\",\"data\":{\"a\":1}}],\"progress\":10}"),
                     0);
    says(told(topic), "\"line\":\"one\",\"stream\":\"stderr\"}");
    says(told(topic), "custom {\"job_id\":\"");
    says(body, "\"progress\":10");
    td_jobs_free(jobs); /* the lease begins anew after a restart */
    open_jobs();
    assert_int_equal(jobs->n, 1);
    assert_int_equal(cancel(ann, job), 0);
    assert_int_equal(report(job, token, "{}"), 0);
    says(body, "\"state\":\"cancelling\"");
    assert_int_equal(report(job, token, "{\"state\":\"done\",\"result\":{\"n\":1}}"), 0);
    assert_int_equal(report(job, token, "{}"), TD_ENOTFOUND);
    assert_int_equal(get(ann, job), 0);
    says(body, "\"result\":{\"n\":1}");
}

static void a_token_is_told_once(void **state_)
{
    const struct td_job_start with_key = {
        .kind = TD_S("outside"), .external = true, .key = TD_S("k")};

    (void)state_;
    assert_int_equal(start_with(with_key), 0);
    says(body, "\"lease_token\":\"");
    assert_int_equal(start_with(with_key), 0);
    says(body, "\"external\":true");
    assert_null(strstr(body, "lease"));
}

static void a_lease_ends(void **state_)
{
    (void)state_;
    assert_int_equal(
        start_with((struct td_job_start){.kind = TD_S("outside"), .external = true, .lease_s = 60}),
        0);
    TD_CONTAINER_OF(jobs->all.next, struct td_job, list)->lease_until = 1;
    jobs->next = 0;
    td_jobs_turn(jobs);
    assert_int_equal(get(ann, id_of()), 0);
    says(body, "\"code\":\"orphaned\"");
    says(told("outside/*"), "lost {");
}

static void a_job_that_takes_too_long_is_ended(void **state_)
{
    (void)state_;
    specs[0].time_ms = 60000;
    assert_int_equal(start("validate", "{\"p\":\"a\"}"), 0);
    TD_CONTAINER_OF(jobs->all.next, struct td_job, list)->deadline = 1;
    jobs->next = 0;
    td_jobs_turn(jobs);
    assert_true(runs[0].cancelled);
    end_run(0, (struct td_run_end){.outcome = TD_RUN_CANCELLED, .exit_status = -1});
    says(told("projects/a"), "\"code\":\"timeout\"");
}

static void a_drain_ends_what_runs(void **state_)
{
    (void)state_;
    for (int i = 0; i < 3; i++)
        assert_int_equal(start("validate", "{\"p\":\"a\"}"), 0);
    td_jobs_drain(jobs);
    td_jobs_turn(jobs);
    assert_false(td_jobs_rest(jobs));
    assert_int_equal(start("validate", "{\"p\":\"a\"}"), TD_EDRAINING);
    end_run(0, (struct td_run_end){.outcome = TD_RUN_CANCELLED, .exit_status = -1});
    end_run(1, (struct td_run_end){.outcome = TD_RUN_DONE, .exit_status = 0});
    assert_true(td_jobs_rest(jobs));
    assert_int_equal(count(told("jobs/*"), "\"code\":\"server_stopping\""), 3);
    assert_int_equal(jobs->n, 0);
}

static void jobs_are_listed_to_who_may_see_them(void **state_)
{
    const struct td_job_list mine = {.principal = ann, .limit = 2};

    (void)state_;
    for (int i = 0; i < 3; i++)
        assert_int_equal(start("generate", "{\"p\":\"a\"}"), 0);
    assert_int_equal(done(td_jobs_list(jobs, &mine, begin())), 0);
    assert_int_equal(count(body, "\"job_id\""), 2);
    const char *next = strstr(body, "\"next\":\"");
    assert_non_null(next);
    struct td_job_list rest = mine;
    char after[TD_JOB_ID_LEN];
    memcpy(after, next + strlen("\"next\":\""), sizeof(after));
    rest.after = td_slice(after, sizeof(after));
    assert_int_equal(done(td_jobs_list(jobs, &rest, begin())), 0);
    assert_int_equal(count(body, "\"job_id\""), 1);
    says(body, "\"next\":null");
    rest = (struct td_job_list){.principal = bob, .limit = 9};
    assert_int_equal(done(td_jobs_list(jobs, &rest, begin())), 0);
    says(body, "{\"jobs\":[],\"next\":");
    rest = (struct td_job_list){.principal = ann, .limit = 9, .state = TD_S("done")};
    assert_int_equal(done(td_jobs_list(jobs, &rest, begin())), 0);
    assert_int_equal(count(body, "\"job_id\""), 0);
}

static void other_kinds_are_for_new_jobs(void **state_)
{
    struct td_kind_spec other[] = {specs[0], specs[4]};
    struct td_buf errors = TD_BUF_INIT(4096);
    struct td_kinds *others;

    (void)state_;
    n_lent_back = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(start("validate", "{\"p\":\"a\"}"), 0);
    assert_int_equal(n_runs, 2);
    other[0].events = LIST(TD_S("output=said"), TD_S("complete=over"));
    other[0].concurrency = 3;
    other[1].name = TD_S("more");
    assert_int_equal(td_kinds_new(other, 2, &others, &errors), 0);
    assert_int_equal(td_jobs_use_kinds(jobs, &(struct td_kinds_lent){others, lent_back, NULL}), 0);
    td_jobs_turn(jobs);
    assert_int_equal(n_runs, 3); /* there is room for one more of those that wait */
    assert_int_equal(start("generate", "{\"p\":\"b\"}"), TD_EINVAL);
    assert_int_equal(start("more", ""), 0);
    assert_int_equal(start("validate", "{\"p\":\"c\"}"), TD_ERATE);
    td_jobs_limit(jobs, &(struct td_jobs_limits){.unfinished_max = 10, .owner_unfinished_max = 6});
    assert_int_equal(start("validate", "{\"p\":\"c\"}"), 0);
    for (size_t i = 0; i < 3; i++) { /* they began as kinds of before */
        runs[i].ops->line(runs[i].arg, TD_S("hello"), false);
        end_run(i, (struct td_run_end){.outcome = TD_RUN_DONE, .exit_status = 0});
    }
    assert_int_equal(count(told("projects/a"), "output {"), 3);
    assert_int_equal(count(told("projects/a"), "complete {"), 3);
    assert_int_equal(n_lent_back, 0); /* one waits still, or runs */
    assert_int_equal(n_runs, 6);
    end_run(4, (struct td_run_end){.outcome = TD_RUN_DONE, .exit_status = 0});
    assert_int_equal(n_lent_back, 1);
    end_run(3, (struct td_run_end){.outcome = TD_RUN_DONE, .exit_status = 0});
    end_run(5, (struct td_run_end){.outcome = TD_RUN_DONE, .exit_status = 0});
    assert_int_equal(count(told("projects/c"), "over {"), 1);
    assert_int_equal(td_jobs_count_kinds(jobs), 7); /* of each name, also of those before */
    assert_int_equal(jobs->n, 0);
    td_jobs_free(jobs);
    assert_int_equal(n_lent_back, 2);
    td_kinds_free(others);
    td_buf_done(&errors);
    open_jobs();
}

/* Names are kept, so there is an end to them; what is in use then stays so. */
static void there_are_so_many_names(void **state_)
{
    static struct td_kind_spec many[TD_KINDS_MAX];
    static char names[TD_KINDS_MAX][16];
    struct td_buf errors = TD_BUF_INIT(4096);
    struct td_kinds *set[6] = {NULL};
    size_t n = 0;
    int r = 0;

    (void)state_;
    n_lent_back = 0;
    for (; r == 0 && n < TD_ARRAY_LEN(set); n++) {
        for (size_t i = 0; i < TD_KINDS_MAX; i++) {
            snprintf(names[i], sizeof(names[i]), "k-%zu-%zu", n, i);
            many[i] = (struct td_kind_spec){.name = td_slice_str(names[i]),
                                            .who = TD_S("any"),
                                            .argv = LIST(TD_S("x")),
                                            .concurrency = 1};
        }
        assert_int_equal(td_kinds_new(many, TD_KINDS_MAX, &set[n], &errors), 0);
        r = td_jobs_use_kinds(jobs, &(struct td_kinds_lent){set[n], lent_back, NULL});
    }
    assert_int_equal(r, TD_EMANY);
    assert_int_equal(n, TD_JOB_ROWS_MAX / TD_KINDS_MAX); /* six names were there before */
    assert_int_equal(n_lent_back, n);                    /* all but the one in use */
    assert_int_equal(td_jobs_count_kinds(jobs), TD_JOB_ROWS_MAX);
    td_jobs_free(jobs);
    assert_int_equal(n_lent_back, n + 1);
    for (size_t i = 0; i < n; i++)
        td_kinds_free(set[i]);
    td_buf_done(&errors);
    open_jobs();
}

/* The same kinds, but `validate` as `change` makes it. */
static struct td_kinds *change_validate(void (*change)(struct td_kind_spec *spec))
{
    static struct td_kind_spec other[6];
    struct td_buf errors = TD_BUF_INIT(4096);
    struct td_kinds *others;

    memcpy(other, specs, sizeof(other));
    change(&other[0]);
    assert_int_equal(td_kinds_new(other, 6, &others, &errors), 0);
    td_buf_done(&errors);
    assert_int_equal(td_jobs_use_kinds(jobs, &(struct td_kinds_lent){.kinds = others}), 0);
    td_jobs_limit(jobs,
                  &(struct td_jobs_limits){.unfinished_max = 999, .owner_unfinished_max = 999});
    return others;
}

static void in_sessions(struct td_kind_spec *spec)
{
    spec->session_concurrency = 1;
    spec->queue = 999;
}

static int start_in(const char *session)
{
    return start_with((struct td_job_start){.kind = TD_S("validate"),
                                            .params = TD_S("{\"p\":\"a\"}"),
                                            .session = td_slice_str(session)});
}

static void the_queue_is_looked_through_in_turns(void **state_)
{
    struct td_kinds *others = change_validate(in_sessions);
    char last[TD_JOB_ID_LEN];

    (void)state_;
    assert_int_equal(start_in("a"), 0);
    assert_int_equal(start_in("b"), 0);
    for (int i = 0; i < 300; i++) /* more than one turn looks at */
        assert_int_equal(start_in("a"), 0);
    assert_int_equal(start_in("c"), 0);
    says(body, "\"place\":301");
    memcpy(last, id_of().ptr, sizeof(last));
    assert_int_equal(n_runs, 2);
    end_run(1, (struct td_run_end){.outcome = TD_RUN_DONE, .exit_status = 0});
    assert_int_equal(n_runs, 3); /* in the second turn */
    assert_int_equal(get(ann, td_slice(last, sizeof(last))), 0);
    says(body, "\"state\":\"running\"");
    end_run(0, (struct td_run_end){.outcome = TD_RUN_DONE, .exit_status = 0});
    assert_int_equal(n_runs, 4);
    size_t place = 0;
    for (struct td_list *node = jobs->rows[0]->queue.next; node != &jobs->rows[0]->queue;
         node = node->next) {
        const struct td_job *job = TD_CONTAINER_OF(node, struct td_job, queue);
        place++;
        assert_int_equal(job->place, place <= 64 ? place : place + 1); /* those in front are told */
    }
    assert_int_equal(place, 299);
    td_jobs_free(jobs);
    td_kinds_free(others);
    open_jobs();
}

static void many_at_once(struct td_kind_spec *spec)
{
    spec->concurrency = 20;
}

static void what_waits_for_the_log_is_bounded_over_all_jobs(void **state_)
{
    static char line[2048], result[4096];
    struct td_kinds *others = change_validate(many_at_once);
    size_t n = 0;

    (void)state_;
    memset(line, 'x', sizeof(line));
    memset(result, '1', sizeof(result));
    for (int i = 0; i < 12; i++)
        assert_int_equal(start("validate", "{\"p\":\"a\"}"), 0);
    jobs->said_max = 100000;
    log_error = -ENOSPC;
    for (int i = 0; i < 12 * 20; i++) {
        runs[i % 12].ops->line(runs[i % 12].arg, td_slice(line, sizeof(line)), false);
        if (i % 12 == 0)
            td_jobs_turn(jobs);
    }
    assert_true(jobs->said > 50000 && jobs->said < 200000);
    for (size_t i = 0; i < 12; i++)
        n += runs[i].cancelled;
    assert_int_equal(n, 12); /* each has tried to say more */
    for (size_t i = 0; i < 12; i++)
        end_run(i, (struct td_run_end){.outcome = i == 0 ? TD_RUN_DONE : TD_RUN_CANCELLED,
                                       .exit_status = -1,
                                       .result = td_slice(result, sizeof(result))});
    assert_true(jobs->said < 200000);
    log_error = 0;
    jobs->retry_at = 0;
    for (struct td_list *node = jobs->all.next; node != &jobs->all; node = node->next)
        td_job_soil(TD_CONTAINER_OF(node, struct td_job, list));
    td_jobs_turn(jobs);
    assert_int_equal(jobs->n, 0);
    assert_int_equal(jobs->said, 0);
    assert_int_equal(count(told("projects/a"), "failed {"), 12);
    td_jobs_free(jobs);
    td_kinds_free(others);
    open_jobs();
}

static void a_worker_goes_on_after_a_restart_where_it_was(void **state_)
{
    struct td_job_which of_seven = {.principal = ann, .proposal_id = TD_S("7")};
    char id[TD_JOB_ID_LEN], topic[64];

    (void)state_;
    assert_int_equal(start_with((struct td_job_start){.kind = TD_S("outside"),
                                                      .params = TD_S("{\"proposal_id\":\"7\"}"),
                                                      .external = true}),
                     0);
    struct td_slice token = token_of();
    memcpy(id, id_of().ptr, sizeof(id));
    struct td_slice job = td_slice(id, sizeof(id));
    snprintf(topic, sizeof(topic), "outside/%.*s", (int)sizeof(id), id);
    assert_int_equal(report(job, token, "{\"events\":[{\"text\":\"h\u00e9\"},{\"text\":\"llo\"}]}"),
                     0);
    for (int i = 0; i < 2; i++) {
        td_jobs_free(jobs);
        open_jobs();
        assert_int_equal(report(job, token, "{\"events\":[{\"text\":\"+\"}]}"), 0);
    }
    says(told(topic), "\"offset\":0,\"content\":\"h\303\251llo\"");
    says(told(topic), "\"offset\":6,\"content\":\"+\"");
    says(told(topic), "\"offset\":7,\"content\":\"+\"");
    of_seven.proposal_id = TD_S("8");
    assert_int_equal(done(td_jobs_cancel(jobs, &of_seven, begin())), TD_ENOTFOUND);
    of_seven.proposal_id = TD_S("7");
    assert_int_equal(done(td_jobs_cancel(jobs, &of_seven, begin())), 0);
    says(body, "\"state\":\"cancelling\"");
    assert_int_equal(report(job, token, "{\"state\":\"cancelled\"}"), 0);
}

static void a_worker_hears_that_the_log_refuses_for_good(void **state_)
{
    (void)state_;
    assert_int_equal(start_with((struct td_job_start){.kind = TD_S("outside"), .external = true}),
                     0);
    struct td_slice token = token_of();
    char id[TD_JOB_ID_LEN];
    memcpy(id, id_of().ptr, sizeof(id));
    struct td_slice job = td_slice(id, sizeof(id));
    log_error = -ENOSPC;
    assert_int_equal(report(job, token, "{\"events\":[{\"line\":\"kept\"}]}"), -ENOSPC);
    says(why, "It is noted, but can't be written yet.");
    log_error = 0;
    jobs->retry_at = 0;
    assert_int_equal(report(job, token, "{}"), 0);
    assert_int_equal(count(told("outside/*"), "\"line\":\"kept\""), 1);
    log_error = TD_ETOPICKEYS;
    assert_int_equal(report(job, token, "{\"events\":[{\"line\":\"gone\"}]}"), TD_ETOPICKEYS);
    says(why, "the job has failed");
    log_error = 0;
    td_jobs_turn(jobs);
    assert_int_equal(jobs->n, 0);
}

static void agents_of_an_orphan_are_what_they_are(void **state_)
{
    (void)state_;
    assert_int_equal(start("generate", "{\"p\":\"a\"}"), 0);
    end_run(0, (struct td_run_end){.outcome = TD_RUN_DONE, .exit_status = 0});
    assert_int_equal(start("generate", "{\"p\":\"b\"}"), 0);
    td_jobs_free(jobs);
    open_jobs();
    assert_int_equal(get(ann, id_of()), 0);
    says(body,
         "{\"agent\":\"first\",\"agent_name\":\"First\",\"status\":\"failed\",\"duration\":null},"
         "{\"agent\":\"second\",\"agent_name\":\"second\",\"status\":\"skipped\",\"duration\":"
         "null}");
    says(told("projects/b"), "\"agent\":\"first\",\"agent_name\":\"First\",\"status\":\"failed\","
                             "\"duration\":null,\"message\":\"Failed First agent\"");
    says(told("projects/a"), "\"agent\":\"second\",\"agent_name\":\"second\",\"status\":\"failed\","
                             "\"duration\":null");
    says(told("jobs/*"), "\"status\":\"completed\",\"duration\":0");
}

static void what_is_told_of_a_job_is_in_the_log(void **state_)
{
    struct td_record record;

    (void)state_;
    assert_int_equal(start("validate", "{\"p\":\"a\"}"), 0);
    struct td_slice id = id_of();
    char topic[64];
    snprintf(topic, sizeof(topic), "jobs/%.*s", (int)id.len, id.ptr);
    runs[0].ops->ended(runs[0].arg, &(struct td_run_end){.outcome = TD_RUN_DONE, .exit_status = 0});
    assert_int_equal(get(ann, id), 0); /* before the turn */
    says(body, "\"state\":\"done\"");
    assert_int_equal(state(NULL, td_slice_str(topic), TD_S("job"), &record), 1);
    assert_true(record.seq <= answer.wait_for);
    td_jobs_free(jobs); /* killed */
    open_jobs();
    assert_int_equal(get(ann, id), 0);
    says(body, "\"state\":\"done\"");
}

/* A job of the kind that a worker elsewhere runs; its id and its topic in `ret_id` and `ret_topic`. */
static struct td_slice start_elsewhere(const char *kind, const char *params,
                                       char ret_id[TD_JOB_ID_LEN], char ret_topic[64])
{
    assert_int_equal(start_with((struct td_job_start){.kind = td_slice_str(kind),
                                                      .params = td_slice_str(params),
                                                      .external = true}),
                     0);
    memcpy(ret_id, id_of().ptr, TD_JOB_ID_LEN);
    snprintf(ret_topic, 64, "outside/%.*s", TD_JOB_ID_LEN, ret_id);
    return token_of();
}

static void a_refused_report_changes_nothing(void **state_)
{
    char id[TD_JOB_ID_LEN], topic[64];
    struct td_slice token = start_elsewhere("outside", "{}", id, topic);
    struct td_slice job = td_slice(id, sizeof(id));

    (void)state_;
    log_error = -ENOSPC;
    assert_int_equal(report(job, token, "{\"events\":[{\"text\":\"a\"}]}"), -ENOSPC);
    assert_int_equal(report(job, token,
                            "{\"seq\":1,\"progress\":60,\"message\":\"far\",\"events\":[{"
                            "\"text\":\"bcd\"},{\"progress\":50},{\"line\":1}]}"),
                     TD_EINVAL);
    assert_int_equal(report(job, token,
                            "{\"seq\":1,\"progress\":60,\"events\":[{\"text\":\"bcd\"}],"
                            "\"error\":{}}"),
                     TD_EINVAL);
    log_error = 0;
    jobs->retry_at = 0;
    assert_int_equal(report(job, token, "{\"seq\":1,\"events\":[{\"text\":\"b\"}]}"), 0);
    says(body, "\"progress\":0,");
    assert_null(strstr(body, "far"));
    says(told(topic), "\"offset\":0,\"content\":\"a\"}");
    says(told(topic), "\"offset\":1,\"content\":\"b\"}");
    assert_int_equal(count(told(topic), "token {"), 2);
}

/* A report of so many lines. */
static const char *many_lines(size_t n, const char *more)
{
    static char json[64 * 1024];
    size_t len = (size_t)snprintf(json, sizeof(json), "{\"seq\":1%s,\"events\":[", more);

    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(json + len, sizeof(json) - len, "%s{\"line\":\"n\"}",
                                i > 0 ? "," : "");
    snprintf(json + len, sizeof(json) - len, "]}");
    return json;
}

static void a_report_with_a_number_is_in_the_log_as_a_whole(void **state_)
{
    static const char *const ends[] = {"", ",\"state\":\"done\""};

    (void)state_;
    for (size_t i = 0; i < 2; i++) {
        char id[TD_JOB_ID_LEN], topic[64];
        struct td_slice token = start_elsewhere("outside", "{}", id, topic);
        struct td_slice job = td_slice(id, sizeof(id));
        takes_batches = 1; /* then it is full, and the server is killed */
        (void)report(job, token, many_lines(1000, ends[i]));
        td_jobs_free(jobs);
        takes_batches = -1;
        open_jobs();
        assert_int_equal(report(job, token, many_lines(1000, ends[i])), i == 0 ? 0 : TD_ENOTFOUND);
        assert_int_equal(count(told(topic), "\"line\":\"n\""), 1000);
        if (i == 0)
            assert_int_equal(report(job, token, "{\"state\":\"done\"}"), 0);
        assert_int_equal(get(ann, job), 0);
        says(body, "\"state\":\"done\"");
    }
}

static void an_end_that_finds_no_memory_is_told_later(void **state_)
{
    (void)state_;
    assert_int_equal(start("validate", "{\"p\":\"a\"}"), 0);
    end_run(0, (struct td_run_end){.outcome = TD_RUN_DONE, .exit_status = 0});
    const char *completed = strstr(told("jobs/*"), "completed {");
    assert_non_null(completed);
    const size_t rooms[] = {8, strlen(completed) + 20}; /* for nothing, for one of its topics */
    for (size_t i = 0; i < TD_ARRAY_LEN(rooms); i++) {
        assert_int_equal(start("validate", "{\"p\":\"a\"}"), 0);
        struct td_job *job = TD_CONTAINER_OF(jobs->all.next, struct td_job, list);
        td_buf_done(&job->said);
        job->said.max = rooms[i];
        end_run(i + 1, (struct td_run_end){.outcome = TD_RUN_DONE, .exit_status = 0});
        assert_int_equal(jobs->n, 1);
        assert_int_equal(count(told("jobs/*"), "completed {"), i + 1);
        assert_int_equal(count(told("projects/a"), "complete {"), i + 1);
        job->said.max = TD_JOB_SAID_MAX;
        jobs->retry_at = 1;
        jobs->next = 0;
        td_jobs_turn(jobs);
        assert_int_equal(jobs->n, 0);
        assert_int_equal(count(told("jobs/*"), "completed {"), i + 2);
        assert_int_equal(count(told("projects/a"), "complete {"), i + 2);
    }
}

static void a_pipeline_elsewhere_is_one_piece_of_work(void **state_)
{
    char id[TD_JOB_ID_LEN], topic[64];
    struct td_slice token = start_elsewhere("generate", "{\"p\":\"a\"}", id, topic);
    struct td_slice job = td_slice(id, sizeof(id));

    (void)state_;
    assert_int_equal(report(job, token, "{\"progress\":50}"), 0);
    says(body, "\"progress\":50,");
    assert_int_equal(count(body, "\"status\":\"waiting\""), 2);
    td_jobs_free(jobs);
    open_jobs();
    assert_int_equal(report(job, token, "{}"), 0);
    assert_int_equal(count(body, "\"status\":\"waiting\""), 2);
    assert_int_equal(report(job, token, "{\"state\":\"done\"}"), 0);
}

static void three_in_sessions(struct td_kind_spec *spec)
{
    in_sessions(spec);
    spec->concurrency = 3;
}

static void who_was_passed_over_is_looked_at_again(void **state_)
{
    const struct td_run_end end = {.outcome = TD_RUN_DONE, .exit_status = 0};
    struct td_kinds *others = change_validate(three_in_sessions);
    char first[TD_JOB_ID_LEN];

    (void)state_;
    assert_int_equal(start_in("a"), 0);
    assert_int_equal(start_in("b"), 0);
    assert_int_equal(start_in("c"), 0);
    for (int i = 0; i < 256; i++) { /* as many as a turn looks at */
        assert_int_equal(start_in("a"), 0);
        if (i == 0)
            memcpy(first, id_of().ptr, sizeof(first));
    }
    assert_int_equal(start_in("b"), 0);
    runs[2].ops->ended(runs[2].arg, &end);
    td_jobs_turn(jobs); /* all of `a` are passed over, … */
    runs[0].ops->ended(runs[0].arg, &end);
    td_jobs_turn(jobs); /* … and that of `b` */
    td_jobs_turn(jobs);
    assert_int_equal(n_runs, 4);
    assert_int_equal(get(ann, td_slice(first, sizeof(first))), 0);
    says(body, "\"state\":\"running\"");
    td_jobs_free(jobs);
    td_kinds_free(others);
    open_jobs();
}

/* Whatever is answered: a job that says something and is done, and one of a worker that reports. */
static void play(void)
{
    static const char *const reports[] = {
        "{\"seq\":1,\"events\":[{\"line\":\"a\"},{\"text\":\"b\"}],\"message\":\"m\"}",
        "{\"seq\":2,\"state\":\"failed\",\"error\":{\"code\":\"c\",\"message\":\"\\u00e9\"}}",
    };
    struct td_job_start elsewhere = {.kind = TD_S("outside"), .external = true};

    n_runs = 0;
    (void)start("validate", "{\"p\":\"a\",\"file\":\"f\"}");
    if (n_runs == 1) { /* it may run though there was no memory to say so */
        runs[0].ops->line(runs[0].arg, TD_S("a line"), false);
        runs[0].ops->text(runs[0].arg, TD_S("text"));
        runs[0].ops->progress(runs[0].arg, 50, TD_S("half"));
        td_jobs_turn(jobs);
        end_run(0, (struct td_run_end){.outcome = TD_RUN_DONE, .result = TD_S("{\"n\":1}")});
    }
    (void)start("generate", "{\"p\":\"a\"}");
    for (size_t n = n_runs - (n_runs > 0); n < n_runs; n++) /* both of its steps, as they come */
        if (!runs[n].ended)
            end_run(n, (struct td_run_end){.outcome = TD_RUN_DONE, .result = TD_S("{\"word\":1}")});
    if (start_with(elsewhere) < 0 || !strstr(body, "lease_token"))
        return;
    struct td_slice token = token_of(), job = id_of();
    for (size_t i = 0; i < TD_ARRAY_LEN(reports); i++)
        (void)report(job, token, reports[i]);
    (void)get(ann, job);
}

/* Ends what is left, with time that has come; how many jobs were started. */
static uint64_t play_out(void)
{
    uint64_t started = 0;

    for (size_t i = 0; i < td_jobs_count_kinds(jobs); i++)
        started += atomic_load(&td_jobs_stat(jobs, i)->started);
    for (int i = 0; i < 3; i++) {
        for (struct td_list *node = jobs->all.next; node != &jobs->all; node = node->next)
            TD_CONTAINER_OF(node, struct td_job, list)->lease_until = 1;
        jobs->retry_at = jobs->retry_at > 0;
        jobs->next = 0;
        td_jobs_turn(jobs);
    }
    return started;
}

static size_t count_ends(const char *text)
{
    return count(text, "completed {") + count(text, "error {") + count(text, "cancelled {");
}

static void memory_may_be_out_anywhere(void **state_)
{
    unsigned nth = 0;

    (void)state_;
    do {
        told_after = td_journal_readable(journal);
        memory.made = 0;
        memory.fails_at = ++nth;
        memory.armed = true;
        play();
        memory.armed = false;
        uint64_t started = play_out();
        size_t left = jobs->n;
        if (left > 0)
            fail_msg("allocation %u: %zu jobs are left", nth, left);
        assert_int_equal(count_ends(told("jobs/*")), started);
        td_jobs_free(jobs);
        open_jobs();
        assert_int_equal(jobs->n, 0);
    } while (memory.made >= nth);
    says(told("projects/a"), "\"agent\":\"second\""); /* the last time all was there */
    assert_int_equal(count(told("jobs/*"), "completed {"), 2);
    assert_true(nth > 50);
    told_after = 0;
}

static void memory_may_be_out_after_a_restart(void **state_)
{
    char id[TD_JOB_ID_LEN], topic[64];
    unsigned nth = 0;

    (void)state_;
    do {
        told_after = td_journal_readable(journal);
        n_runs = 0;
        assert_int_equal(start("validate", "{\"p\":\"a\"}"), 0);
        runs[0].ops->text(runs[0].arg, TD_S("text"));
        td_jobs_turn(jobs);
        struct td_slice token = start_elsewhere("outside", "{}", id, topic);
        struct td_slice job = td_slice(id, sizeof(id));
        assert_int_equal(report(job, token, "{\"seq\":1,\"events\":[{\"text\":\"abc\"}]}"), 0);
        td_jobs_free(jobs);
        memory.made = 0;
        memory.fails_at = ++nth;
        memory.armed = true;
        open_jobs();
        memory.armed = false;
        jobs->retry_at = jobs->retry_at > 0; /* an end that found none is told now */
        jobs->next = 0;
        td_jobs_turn(jobs);
        assert_int_equal(jobs->n, 1);
        assert_int_equal(count(told("projects/a"), "failed {"), 1);
        assert_int_equal(report(job, token, "{\"seq\":1,\"events\":[{\"text\":\"abc\"}]}"), 0);
        assert_int_equal(report(job, token, "{\"seq\":2,\"events\":[{\"text\":\"+\"}]}"), 0);
        says(told(topic), "\"offset\":3,\"content\":\"+\"");
        assert_int_equal(report(job, token, "{\"state\":\"done\"}"), 0);
        assert_int_equal(count_ends(told("jobs/*")), 2);
    } while (memory.made >= nth);
    assert_true(nth > 20);
    told_after = 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_tells_its_life),
        TEST(text_has_offsets_and_leaves_no_state),
        TEST(a_failure_says_why),
        TEST(bad_starts_change_nothing),
        TEST(a_key_names_one_job),
        TEST(what_does_not_fit_is_queued_then_refused),
        TEST(cancel_is_for_who_may),
        TEST(a_pipeline_passes_results_on),
        TEST(a_pipeline_stops_at_the_first_failure),
        TEST(what_was_not_ended_is_ended_after_a_restart),
        TEST(a_worker_elsewhere_reports),
        TEST(a_token_is_told_once),
        TEST(a_lease_ends),
        TEST(a_job_that_takes_too_long_is_ended),
        TEST(a_drain_ends_what_runs),
        TEST(jobs_are_listed_to_who_may_see_them),
        TEST(other_kinds_are_for_new_jobs),
        TEST(there_are_so_many_names),
        TEST(what_is_told_of_a_job_is_in_the_log),
        TEST(a_worker_goes_on_after_a_restart_where_it_was),
        TEST(a_worker_hears_that_the_log_refuses_for_good),
        TEST(agents_of_an_orphan_are_what_they_are),
        TEST(the_queue_is_looked_through_in_turns),
        TEST(what_waits_for_the_log_is_bounded_over_all_jobs),
        TEST(a_refused_report_changes_nothing),
        TEST(a_report_with_a_number_is_in_the_log_as_a_whole),
        TEST(an_end_that_finds_no_memory_is_told_later),
        TEST(a_pipeline_elsewhere_is_one_piece_of_work),
        TEST(who_was_passed_over_is_looked_at_again),
        TEST(memory_may_be_out_anywhere),
        TEST(memory_may_be_out_after_a_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
