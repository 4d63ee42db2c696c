/* SPDX-License-Identifier: Apache-2.0 */
/* From the queue to the end: one run, or those of a pipeline one after the other. */
#include "base/assert.h"
#include "base/err.h"
#include "base/json.h"
#include "jobs/internal.h"
#include "jobs/value.h"
#include "os/clock.h"
#include <errno.h>

/* The kind of the run: a step of a pipeline, or the job's own. */
static const struct td_kind *running_kind(const struct td_job *job)
{
    return job->kind->n_steps > 0 ? job->kind->steps[job->step] : job->kind;
}

bool td_job_fits(struct td_job *job)
{
    const struct td_jobs_options *options = &job->jobs->options;
    const struct td_kind_spec *spec = job->kind->spec;
    const struct td_job_count *session =
        job->session_hash ? td_map_get(&job->jobs->sessions, job->session_hash) : NULL;

    if (job->jobs->draining || job->row->n_running >= job->row->concurrency)
        return false;
    if (options->limits.owner_running_max > 0 &&
        td_job_owner_count(job)->running >= options->limits.owner_running_max)
        return false;
    return !session || spec->session_concurrency == 0 ||
           session->running < spec->session_concurrency;
}

/* Counts it among those that run (by 1) or out of them (by -1). */
static void count_running(struct td_job *job, int by)
{
    struct td_jobs_row *kind = job->row;
    struct td_job_count *session =
        job->session_hash ? td_map_get(&job->jobs->sessions, job->session_hash) : NULL;

    kind->n_running += (size_t)by;
    atomic_store(&kind->stat.running, kind->n_running);
    td_job_owner_count(job)->running += (uint32_t)by;
    if (session) {
        session->running += (uint32_t)by;
        if (session->running == 0)
            td_map_remove(&job->jobs->sessions, job->session_hash);
    }
}

void td_job_begin_run(struct td_job *job)
{
    td_queue_remove(job);
    if (job->session_hash) /* only sessions of which something runs are counted */
        (void)td_map_put(&job->jobs->sessions, job->session_hash, NULL);
    count_running(job, 1);
    job->state = TD_JOB_STATE_RUNNING;
    job->started = td_clock_unix_ms();
    job->began = td_clock_ns();
    job->place = 0;
    if (job->kind->spec->time_ms > 0) {
        job->deadline = job->began + job->kind->spec->time_ms * TD_NS_PER_MS;
        td_jobs_wake_at(job->jobs, job->deadline);
    }
    job->step_pending = true;
    td_job_tell_start(job);
    td_job_tell_status(job);
}

/* ---- a run ---- */

void td_job_set_progress(struct td_job *job, double progress, struct td_slice message)
{
    double before = job->progress;

    if (td_job_has_ended(job))
        return;
    if (job->agents && job->lease_s == 0 && progress >= 0) /* a worker elsewhere speaks of it all */
        progress = ((double)job->step * 100 + TD_MIN(progress, 100)) / (double)job->kind->n_steps;
    if (progress > job->progress)
        job->progress = TD_MIN(progress, 100);
    bool news = message.len > 0 && !td_slice_eq(message, td_buf_slice(&job->message));
    if (news)
        (void)td_job_set(&job->message, message);
    if (!news && job->progress <= before)
        return;
    job->progress_pending = true;
    td_jobs_wake_at(job->jobs, job->progress_at);
}

static void on_line(void *arg, struct td_slice line, bool is_stderr)
{
    td_job_tell_line(arg, line, is_stderr);
}

static void on_text(void *arg, struct td_slice piece)
{
    td_job_tell_text(arg, piece);
}

static void on_progress(void *arg, double progress, struct td_slice message)
{
    td_job_set_progress(arg, progress, message);
}

static void on_log(void *arg, struct td_slice message, struct td_slice level)
{
    td_job_tell_log(arg, message, level);
}

/* Those whose turn does not come. */
static void skip_agents(struct td_job *job)
{
    for (size_t i = 0; job->agents && i < job->kind->n_steps; i++)
        if (job->agents[i].status == TD_AGENT_WAITING)
            job->agents[i].status = TD_AGENT_SKIPPED;
}

static void end_agent(struct td_job *job, enum td_agent_status status)
{
    struct td_job_agent *agent = job->agents ? &job->agents[job->step] : NULL;

    if (!agent || agent->status != TD_AGENT_STARTED)
        return;
    agent->status = status;
    if (agent->duration_ms != TD_AGENT_MS_UNKNOWN)
        agent->duration_ms = (td_clock_ns() - agent->started) / TD_NS_PER_MS;
    td_job_tell_agent(job, job->step);
}

static void take_failure(struct td_job *job, const struct td_run_end *end)
{
    (void)td_job_set(&job->code, end->code.len > 0 ? end->code : TD_S("failed"));
    (void)td_job_set(&job->error, end->message.len > 0 ? end->message : TD_S("It failed."));
    (void)td_job_set(&job->details, end->details);
    td_job_set_actions(job, end->actions, end->n_actions);
}

/* Keeps a step's result, and the last one's as that of the whole.  False when it is too large. */
static bool take_result(struct td_job *job, struct td_slice result)
{
    struct td_job_agent *agent = job->agents ? &job->agents[job->step] : NULL;

    td_buf_reset(&job->result);
    if (agent)
        agent->result = TD_BUF_INIT(TD_JOB_RESULT_MAX);
    if (result.len == 0)
        return true;
    return td_buf_put(&job->result, result) == 0 &&
           (!agent || td_buf_put(&agent->result, result) == 0);
}

static void run_is_done(struct td_job *job, struct td_slice result)
{
    char by_exit[32];

    if (result.len == 0 && job->exit_status >= 0) { /* a command that reported none */
        snprintf(by_exit, sizeof(by_exit), "{\"exit_status\":%d}", job->exit_status);
        result = td_slice_str(by_exit);
    }
    if (!take_result(job, result)) {
        end_agent(job, TD_AGENT_FAILED);
        td_buf_reset(&job->result);
        td_job_fail(job, "result_too_large", "Its result is larger than 256 KiB.");
        return;
    }
    end_agent(job, TD_AGENT_COMPLETED);
    if (job->step + 1 >= job->kind->n_steps) {
        td_job_end(job, TD_JOB_STATE_DONE);
        return;
    }
    td_job_set_progress(job, 100, (struct td_slice){NULL, 0});
    job->step++;
    job->step_pending = true;
    td_job_soil(job);
}

static void end_stopped(struct td_job *job)
{
    switch (job->why) {
    case TD_JOB_WHY_NONE:
    case TD_JOB_WHY_CANCEL:
        end_agent(job, TD_AGENT_CANCELLED);
        td_job_end(job, TD_JOB_STATE_CANCELLED);
        return;
    case TD_JOB_WHY_TIMEOUT:
        end_agent(job, TD_AGENT_FAILED);
        td_job_fail(job, "timeout", "It took longer than its kind allows, and was ended.");
        return;
    case TD_JOB_WHY_STOPPING:
        end_agent(job, TD_AGENT_CANCELLED);
        td_job_fail(job, "server_stopping", "The server is stopping.");
        return;
    case TD_JOB_WHY_LOG:
        end_agent(job, TD_AGENT_FAILED);
        td_job_fail(job, "log_failed", "What it said could not be written.");
        return;
    }
}

static void on_ended(void *arg, const struct td_run_end *end)
{
    struct td_job *job = arg;

    TD_ASSERT(job->run);
    job->run = NULL;
    job->jobs->n_runs--;
    job->exit_status = end->exit_status;
    td_job_soil(job);
    if (job->why != TD_JOB_WHY_NONE || end->outcome == TD_RUN_CANCELLED) {
        end_stopped(job);
    } else if (end->outcome == TD_RUN_DONE) {
        run_is_done(job, end->result);
    } else {
        take_failure(job, end);
        end_agent(job, TD_AGENT_FAILED);
        td_job_end(job, TD_JOB_STATE_FAILED);
    }
}

static const struct td_run_ops run_ops = {
    .line = on_line,
    .text = on_text,
    .progress = on_progress,
    .log = on_log,
    .ended = on_ended,
};

/* ---- steps ---- */

static void begin_agent(struct td_job *job)
{
    struct td_job_agent *agent = &job->agents[job->step];

    agent->status = TD_AGENT_STARTED;
    agent->started = td_clock_ns();
    job->text_offset = 0;
    td_job_tell_agent(job, job->step);
    if (job->step > 0) /* of the first the start has told */
        td_job_tell_status(job);
}

void td_job_start_step(struct td_job *job)
{
    const struct td_kind *kind = running_kind(job);
    const struct td_job_runner *runner = NULL;
    struct td_values values;
    int r = -ENOSYS;

    job->step_pending = false;
    if (job->agents)
        begin_agent(job);
    if (td_job_has_ended(job))
        return;
    if (kind->spec->runner < TD_ARRAY_LEN(job->jobs->options.runners))
        runner = &job->jobs->options.runners[kind->spec->runner];
    if (runner && runner->start) {
        r = td_values_init(&values, job);
        if (r == 0)
            r = runner->start(runner->arg, kind->spec, &values.input, &run_ops, job, &job->run);
        td_values_done(&values);
    }
    if (r < 0) {
        job->run = NULL;
        end_agent(job, TD_AGENT_FAILED);
        (void)td_job_set(&job->details, td_slice_str(td_err_name(r)));
        td_job_fail(job, "not_started", "It could not be started.");
        return;
    }
    job->jobs->n_runs++;
}

/* ---- the end ---- */

void td_job_stop(struct td_job *job, enum td_job_why why)
{
    if (td_job_has_ended(job) || job->why != TD_JOB_WHY_NONE)
        return;
    job->why = why;
    if (why == TD_JOB_WHY_CANCEL && job->state == TD_JOB_STATE_RUNNING) {
        job->state = TD_JOB_STATE_CANCELLING;
        td_job_tell_status(job);
    }
    if (job->run) {
        const struct td_job_runner *runner =
            &job->jobs->options.runners[running_kind(job)->spec->runner];
        runner->cancel(job->run);
    } else if (job->lease_s == 0) {
        end_stopped(job);
    }
}

/* Takes it out of the queue, or out of those that run. */
static void withdraw(struct td_job *job)
{
    if (!td_list_empty(&job->queue))
        td_queue_remove(job);
    else if (job->began > 0 && job->lease_s == 0)
        count_running(job, -1);
}

void td_job_orphan(struct td_job *job, const char *message)
{
    end_agent(job, TD_AGENT_FAILED);
    td_job_fail(job, "orphaned", message);
}

void td_job_undo(struct td_job *job)
{
    if (!td_list_empty(&job->list) && !td_job_has_ended(job))
        withdraw(job);
    td_job_free(job);
}

/* What to do about what the engine itself has to say. */
static struct td_slice actions_for(const char *code)
{
    static const struct {
        const char *code, *actions;
    } known[] = {
        {"orphaned",         "[\"Start it again.\"]"                                                      },
        {"server_stopping",  "[\"Start it again once the server is back.\"]"                              },
        {"timeout",          "[\"Give it less to do, or raise `time` of its kind in the configuration.\"]"},
        {"not_started",      "[\"Check the kind in the configuration of the server.\"]"                   },
        {"result_too_large", "[\"Let it write a file, and give its name as the result.\"]"                },
        {"log_failed",       "[\"Free disk space on the server, then start it again.\"]"                  },
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(known); i++)
        if (strcmp(known[i].code, code) == 0)
            return td_slice_str(known[i].actions);
    return TD_S("[]");
}

void td_job_fail(struct td_job *job, const char *code, const char *message)
{
    (void)td_job_set(&job->code, td_slice_str(code));
    (void)td_job_set(&job->error, td_slice_str(message));
    (void)td_job_set(&job->actions, actions_for(code));
    td_job_end(job, TD_JOB_STATE_FAILED);
}

static void count_end(struct td_job *job)
{
    static const enum td_job_ending endings[] = {
        [TD_JOB_STATE_DONE] = TD_JOB_DONE,
        [TD_JOB_STATE_FAILED] = TD_JOB_FAILED,
        [TD_JOB_STATE_CANCELLED] = TD_JOB_CANCELLED,
    };
    struct td_jobs_row *kind = job->row;

    atomic_fetch_add(&kind->stat.ended[endings[job->state]], 1);
    if (job->began > 0)
        td_histogram_add(&kind->stat.duration, td_clock_ns() - job->began);
}

static void note_end(struct td_job *job)
{
    struct td_audit_note note;

    td_job_note(job, TD_AUDIT_JOB_ENDED,
                job->state == TD_JOB_STATE_FAILED ? TD_AUDIT_FAILED : TD_AUDIT_DONE, job->owner,
                &note);
    td_audit_str(&note, "state", td_slice_str(td_job_state_word(job->state)));
    if (job->started > 0)
        td_audit_u64(&note, "ms", job->ended > job->started ? job->ended - job->started : 0);
    if (job->state == TD_JOB_STATE_FAILED)
        td_audit_str(&note, "code", td_buf_slice(&job->code));
    td_audit_end(&note);
}

/* Results are what takes most room where so much waits already: this one is not kept, and the job says so. */
static enum td_job_state lose_result(struct td_job *job)
{
    td_buf_done(&job->result);
    job->n_logs = job->logs_at = 0;
    (void)td_job_set(&job->code, TD_S("log_failed"));
    (void)td_job_set(&job->error, TD_S("Its result could not be written."));
    (void)td_job_set(&job->actions, actions_for("log_failed"));
    return TD_JOB_STATE_FAILED;
}

void td_job_end(struct td_job *job, enum td_job_state state)
{
    TD_ASSERT(!job->run);
    if (td_job_has_ended(
            job)) /* what was said on the way here was refused, and that has ended it */
        return;
    if (job->progress_pending && job->began > 0)
        td_job_tell_progress(job);
    if (td_job_has_ended(job)) /* the log has refused even that */
        return;
    withdraw(job);
    if (state == TD_JOB_STATE_DONE && td_jobs_say_too_much(job->jobs))
        state = lose_result(job);
    job->state = state;
    job->ended = td_clock_unix_ms();
    job->step_pending = job->progress_pending = false;
    if (state == TD_JOB_STATE_DONE)
        job->progress = 100;
    skip_agents(job);
    td_job_tell_end(job);
    count_end(job);
    note_end(job);
    if (job->jobs->options.limits.owner_running_max > 0) /* that is over all kinds */
        td_queues_changed(job->jobs);
    else
        td_queue_changed(job->jobs, job->row);
    td_job_soil(job);
}
