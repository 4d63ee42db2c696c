/* SPDX-License-Identifier: Apache-2.0 */
#include "desk/jobs.h"
#include "base/err.h"
#include "base/log.h"
#include "desk/internal.h"
#include "desk/project.h"
#include "jobs/command.h"
#include "jobs/llm.h"
#include "jobs/upstream.h"
#include "os/clock.h"
#include <errno.h>
#include <stdlib.h>

/* Of an answer: its result, which is told with it, is a little more. */
#define LLM_TEXT_MAX ((size_t)96 * 1024)

/* Commands that run at once, of all kinds together. */
#define COMMANDS_MAX 4096

/* Kinds and limits that wait to be taken up. */
struct told {
    bool is_there;
    struct td_kinds_lent kinds;
    struct td_jobs_limits limits;
};

struct td_desk_jobs {
    struct td_jobs *jobs;
    struct td_launcher *launcher;
    struct td_commands *commands; /* NULL: no kind has asked for one yet, or there is no launcher */
    struct td_llms *llms;         /* likewise */
    struct td_mutex mutex;        /* over: */
    struct told told;
    _Atomic bool has_told;
    bool recovered, cold;
    _Atomic bool draining, drained;
};

/* ---- the log, for the jobs ---- */

static int append(void *arg, const struct td_batch *batch, uint64_t *ret_seqs)
{
    return td_desk_append(arg, batch, ret_seqs);
}

static int state(void *arg, struct td_slice topic, struct td_slice key,
                 struct td_record *ret_record)
{
    struct td_desk *desk = arg;
    int r = td_desk_state(desk, topic, key, ret_record);

    /* What is told of a job is durable. */
    return r > 0 && ret_record->seq > td_journal_readable(desk->journal) ? -EAGAIN : r;
}

static void walk(void *arg, struct td_state_read *read)
{
    struct td_desk *desk = arg;

    td_journal_state(desk->reader, read);
}

/* ---- the runners ---- */

static int start_command(void *arg, const struct td_kind_spec *kind,
                         const struct td_run_input *input, const struct td_run_ops *ops,
                         void *run_arg, void **ret_run)
{
    const struct td_command_spec spec = {
        .argv = kind->argv.items,
        .n_argv = kind->argv.n,
        .env = kind->env.items,
        .n_env = kind->env.n,
        .dir = kind->dir,
        .time_ms = kind->time_ms,
        .memory_bytes = kind->memory_bytes,
        .cpu_s = (kind->cpu_ms + 999) / 1000,
        .grace_ms = kind->grace_ms,
        .output_bytes = kind->output_bytes,
        .exit_status_is_result = kind->exit_status == 1,
    };
    struct td_command *command;
    int r = td_commands_start(arg, &spec, input, ops, run_arg, td_clock_ns(), &command);

    if (r == 0)
        *ret_run = command;
    return r;
}

static void cancel_command(void *run)
{
    td_command_cancel(run, td_clock_ns());
}

static int start_llm(void *arg, const struct td_kind_spec *kind, const struct td_run_input *input,
                     const struct td_run_ops *ops, void *run_arg, void **ret_run)
{
    struct td_llm_spec spec = TD_LLM_SPEC_INIT;
    struct td_llm_run *run;
    int r;

    spec.url = kind->url;
    spec.model = kind->model;
    spec.key_env = kind->key_env;
    spec.key_file = kind->key_file;
    spec.system = kind->system;
    spec.prompt = kind->prompt;
    spec.max_tokens = kind->max_tokens;
    spec.temperature = td_kind_temperature(kind->temperature);
    spec.extra = kind->extra;
    spec.retries = (unsigned)kind->retries;
    spec.backoff_ms = kind->retry_delay_ms;
    spec.connect_ms = kind->connect_ms;
    spec.first_token_ms = kind->first_byte_ms;
    spec.between_tokens_ms = kind->idle_ms;
    spec.total_ms = kind->time_ms;
    spec.text_max =
        TD_MIN(kind->output_bytes > 0 ? kind->output_bytes : LLM_TEXT_MAX, LLM_TEXT_MAX);
    r = td_llm_start(arg, &spec, input, ops, run_arg, &run);
    if (r == 0)
        *ret_run = run;
    return r;
}

static void cancel_llm(void *run)
{
    td_llm_cancel(run);
}

/* ---- open and close ---- */

static void give_back(const struct td_kinds_lent *kinds)
{
    if (kinds->done)
        kinds->done(kinds->arg);
}

static bool has_runner(const struct td_kinds *kinds, enum td_runner runner)
{
    for (size_t i = 0; kinds && i < kinds->n; i++)
        if (kinds->items[i].spec->runner == runner)
            return true;
    return false;
}

/* What runs them is made when a kind first asks for it: it is not free. */
static int open_llms(struct td_desk *desk)
{
    struct td_desk_jobs *jobs = desk->jobs;
    struct td_upstream *upstream = td_desk_upstream(desk);
    int r = upstream ? td_llms_new(upstream, &jobs->llms) : -ENOMEM;

    if (r == 0)
        td_jobs_use_runner(jobs->jobs, TD_RUNNER_LLM,
                           &(struct td_job_runner){start_llm, cancel_llm, jobs->llms});
    return r;
}

static int open_commands(struct td_desk *desk)
{
    struct td_desk_jobs *jobs = desk->jobs;
    int r = td_commands_new(jobs->launcher, COMMANDS_MAX, &jobs->commands);

    if (r == 0)
        td_jobs_use_runner(jobs->jobs, TD_RUNNER_COMMAND,
                           &(struct td_job_runner){start_command, cancel_command, jobs->commands});
    return r;
}

static int open_runners(struct td_desk *desk, const struct td_kinds *kinds)
{
    struct td_desk_jobs *jobs = desk->jobs;
    int r = 0;

    if (!jobs->commands && jobs->launcher && has_runner(kinds, TD_RUNNER_COMMAND))
        r = open_commands(desk);
    if (r == 0 && !jobs->llms && has_runner(kinds, TD_RUNNER_LLM))
        r = open_llms(desk);
    return r;
}

int td_desk_open_jobs(struct td_desk *desk, const struct td_desk_jobs_options *options)
{
    struct td_desk_jobs *jobs = calloc(1, sizeof(*jobs));
    const struct td_jobs_options of_jobs = {
        .kinds = options->kinds,
        .reserved = options->reserved,
        .busy = options->busy,
        .audit = desk->audit,
        .log = {desk->journal, append, state, walk, desk},
        .limits = options->limits,
    };

    if (!jobs) {
        give_back(&options->kinds);
        return -ENOMEM;
    }
    desk->jobs = jobs;
    jobs->launcher = options->launcher;
    td_mutex_init(&jobs->mutex);
    int r = td_jobs_new(&of_jobs, &jobs->jobs);
    return r < 0 ? r : open_runners(desk, options->kinds.kinds);
}

void td_desk_close_jobs(struct td_desk *desk)
{
    struct td_desk_jobs *jobs = desk->jobs;

    if (!jobs)
        return;
    td_commands_free(jobs->commands);
    td_llms_free(jobs->llms);
    td_jobs_free(jobs->jobs);
    if (jobs->told.is_there)
        give_back(&jobs->told.kinds);
    td_mutex_done(&jobs->mutex);
    free(jobs);
    desk->jobs = NULL;
}

/* ---- other kinds ---- */

void td_desk_use_kinds(struct td_desk *desk, const struct td_kinds_lent *kinds,
                       const struct td_jobs_limits *limits)
{
    const struct told told = {true, *kinds, *limits};
    struct told before = {.is_there = false};

    if (!desk || !desk->jobs) {
        give_back(kinds);
        return;
    }
    td_mutex_lock(&desk->jobs->mutex);
    before = desk->jobs->told;
    desk->jobs->told = told;
    atomic_store(&desk->jobs->has_told, true);
    td_mutex_unlock(&desk->jobs->mutex);
    if (before.is_there)
        give_back(&before.kinds);
    td_bell_ring(desk->bell);
}

static void take_told(struct td_desk *desk)
{
    struct td_desk_jobs *jobs = desk->jobs;
    struct told told;

    if (!atomic_exchange(&jobs->has_told, false))
        return;
    td_mutex_lock(&jobs->mutex);
    told = jobs->told;
    jobs->told.is_there = false;
    td_mutex_unlock(&jobs->mutex);
    if (!told.is_there)
        return;
    td_jobs_limit(jobs->jobs, &told.limits);
    int r = open_runners(desk, told.kinds.kinds);
    if (r < 0)
        give_back(&told.kinds);
    else
        r = td_jobs_use_kinds(jobs->jobs, &told.kinds);
    if (r < 0)
        td_log(TD_LOG_ERROR, "reload", "%s: the kinds of jobs stay as they were", td_err_name(r));
}

const struct td_jobs *td_desk_jobs(const struct td_desk *desk)
{
    return desk && desk->jobs ? desk->jobs->jobs : NULL;
}

void td_desk_drain(struct td_desk *desk)
{
    if (!desk || !desk->jobs)
        return;
    atomic_store(&desk->jobs->draining, true);
    td_bell_ring(desk->bell);
}

bool td_desk_is_drained(const struct td_desk *desk)
{
    return !desk || !desk->jobs || atomic_load(&desk->jobs->drained);
}

/* ---- asks ---- */

static int start(struct td_jobs *jobs, struct td_ask *ask, struct td_job_answer *answer)
{
    const struct td_ask_job *job = &ask->job;

    return td_jobs_start(jobs,
                         &(struct td_job_start){
                             .principal = ask->principal,
                             .kind = job->kind,
                             .params = job->params,
                             .given = job->given,
                             .viewers = job->viewers,
                             .key = job->key,
                             .session = job->session,
                             .request_id = job->request_id,
                             .scope = job->scope,
                             .address = ask->address,
                             .connection = job->connection,
                             .external = job->external,
                             .lease_s = job->lease_s,
                         },
                         answer);
}

static int list(struct td_jobs *jobs, struct td_ask *ask, struct td_job_answer *answer)
{
    return td_jobs_list(jobs,
                        &(struct td_job_list){
                            .principal = ask->principal,
                            .kind = ask->job.kind,
                            .state = ask->job.state,
                            .after = ask->job.after,
                            .limit = ask->job.limit,
                        },
                        answer);
}

static int report(struct td_jobs *jobs, struct td_ask *ask, struct td_job_answer *answer)
{
    return td_jobs_report(jobs,
                          &(struct td_job_report){
                              .principal = ask->principal,
                              .id = ask->job.id,
                              .token = ask->job.token,
                              .json = ask->job.json,
                          },
                          answer);
}

/* A project is made with its first generation.  What has to be read for that is looked for before anything is done. */
static int start_for(struct td_desk *desk, struct td_ask *ask, struct td_job_answer *answer)
{
    struct td_slice project;
    bool is_project = td_project_of_start(ask, &project);
    int r = is_project ? td_project_look(desk, project) : 0;

    if (r == 0)
        r = start(desk->jobs->jobs, ask, answer);
    if (r == 0 && is_project)
        (void)!td_project_make(desk, ask->principal, project); /* shown without it, if that fails */
    return r;
}

static int carry_out(struct td_desk *desk, struct td_ask *ask, struct td_job_answer *answer)
{
    struct td_jobs *jobs = desk->jobs->jobs;
    const struct td_job_which which = {
        .principal = ask->principal,
        .id = ask->job.id,
        .request_id = ask->job.request_id,
        .scope = ask->job.scope,
        .proposal_id = ask->job.proposal_id,
        .project_id = ask->job.project_id,
        .address = ask->address,
    };

    switch (ask->job.what) {
    case TD_ASK_JOB_START: return start_for(desk, ask, answer);
    case TD_ASK_JOB_CANCEL: return td_jobs_cancel(jobs, &which, answer);
    case TD_ASK_JOB_GET: return td_jobs_get(jobs, &which, answer);
    case TD_ASK_JOB_LIST: return list(jobs, ask, answer);
    case TD_ASK_JOB_REPORT: return report(jobs, ask, answer);
    case TD_ASK_JOB_ACCESS: return td_jobs_access(jobs, &which);
    case TD_ASK_JOB_PROJECT: return td_project_get(desk, jobs, ask, answer);
    }
    return TD_EINVAL;
}

int td_desk_ask_jobs(struct td_desk *desk, struct td_ask *ask)
{
    struct td_job_answer answer = {.body = &ask->body, .why = &ask->why};

    if (!desk->jobs) {
        ask->err = TD_EUNAVAILABLE;
        return 0;
    }
    take_told(desk); /* who asks behind a reload is answered by what it brought */
    if (!desk->jobs->recovered)
        return -EAGAIN;
    td_buf_reset(&ask->body);
    td_buf_reset(&ask->why);
    int r = carry_out(desk, ask, &answer);
    if (r == -EAGAIN)
        return r;
    ask->err = r;
    ask->position = answer.position;
    ask->has_position = answer.position > 0;
    ask->wait_for = r == 0 ? answer.wait_for : 0;
    ask->retry_after_s = answer.retry_after_s;
    if (r == 0)
        td_buf_reset(&ask->why);
    return 0;
}

int td_desk_job_access(struct td_desk *desk, const struct td_principal *principal,
                       struct td_slice id)
{
    if (!desk->jobs)
        return TD_ENOTFOUND;
    if (!desk->jobs->recovered)
        return -EAGAIN;
    return td_jobs_access(desk->jobs->jobs,
                          &(struct td_job_which){.principal = principal, .id = id});
}

/* ---- turns ---- */

int td_desk_hear_jobs(struct td_desk *desk)
{
    struct td_desk_jobs *jobs = desk->jobs;
    bool was_recovered;

    if (!jobs)
        return 0;
    was_recovered = jobs->recovered;
    if (!jobs->recovered) {
        int r = td_jobs_recover(jobs->jobs);
        jobs->recovered = r == 1;
        jobs->cold = r < 0;
    }
    if (jobs->commands)
        td_commands_serve(jobs->commands, td_clock_ns());
    if (jobs->llms)
        td_llms_serve(jobs->llms);
    return jobs->recovered && !was_recovered;
}

void td_desk_turn_jobs(struct td_desk *desk)
{
    struct td_desk_jobs *jobs = desk->jobs;

    if (!jobs)
        return;
    take_told(desk);
    if (atomic_load(&jobs->draining))
        td_jobs_drain(jobs->jobs);
    td_jobs_turn(jobs->jobs);
    if (atomic_load(&jobs->draining) && td_jobs_rest(jobs->jobs))
        atomic_store(&jobs->drained, true);
}

bool td_desk_jobs_wait(const struct td_desk *desk)
{
    return desk->jobs && !desk->jobs->recovered && desk->jobs->cold;
}

bool td_desk_jobs_rest(const struct td_desk *desk)
{
    return !desk->jobs || desk->jobs->recovered || desk->jobs->cold;
}

/* In milliseconds, rounded up, so that the time has come when it ends; -1: without end. */
static int timeout_ms(const struct td_desk_jobs *jobs)
{
    td_ns now = td_clock_ns(), at;

    if (!jobs)
        return -1;
    at = td_jobs_next(jobs->jobs);
    if (jobs->commands)
        at = TD_MIN(at, td_commands_deadline(jobs->commands));
    if (jobs->llms)
        at = TD_MIN(at, td_llms_deadline(jobs->llms));
    if (at == UINT64_MAX)
        return -1;
    return at <= now ? 0 : (int)TD_MIN((at - now + TD_NS_PER_MS - 1) / TD_NS_PER_MS, (td_ns)60000);
}

/* Of two times to wait, of which -1 has no end. */
static int sooner(int a, int b)
{
    return a < 0 || b < 0 ? TD_MAX(a, b) : TD_MIN(a, b);
}

void td_desk_wait(struct td_desk *desk, bool rests)
{
    struct td_desk_jobs *jobs = desk->jobs;
    struct td_poll_item items[] = {
        {.fd = desk->bell},
        {.fd = jobs && jobs->commands ? td_commands_fd(jobs->commands) : -1},
    };

    int ms = rests ? sooner(timeout_ms(jobs), td_desk_wait_ms(desk, td_clock_ns())) : 0;
    if (desk->upstream)
        (void)td_upstream_wait(desk->upstream, items, TD_ARRAY_LEN(items), ms);
    else
        (void)td_poll(items, TD_ARRAY_LEN(items), ms);
    (void)td_bell_answer(desk->bell);
}
