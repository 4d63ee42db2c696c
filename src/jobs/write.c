/* SPDX-License-Identifier: Apache-2.0 */
/* What jobs have said goes into the log: in order, the events of both topics in one batch, on condition that nobody else has ended the job. */
#include "base/assert.h"
#include "base/err.h"
#include "base/log.h"
#include "jobs/internal.h"
#include "os/clock.h"

#define BATCH_BYTES ((size_t)512 * 1024)
#define BATCH_MAX   256
#define BATCH_ROOM \
    (BATCH_MAX + TD_JOB_REPORT_EVENTS_MAX + 8) /* a report, its end, and what was there before */
#define KEPT_BYTES ((size_t)16 * 1024)         /* of memory, by who has nothing to say */

static struct td_slice said_at(const struct td_job *job, size_t at, size_t len)
{
    return td_slice(job->said.ptr + at, len);
}

static void fill(const struct td_job *job, const struct td_job_event *event, struct td_draft *draft)
{
    *draft = (struct td_draft){
        .topic = event->own ? td_job_topic(job) : td_job_own(job),
        .type = said_at(job, event->type_at, event->type_len),
        .key = !event->own    ? TD_S("job")
               : event->keyed ? td_job_id(job)
                              : (struct td_slice){NULL, 0},
        .data = said_at(job, event->data_at, event->data_len),
        .actor = job->actor,
        .class = event->class,
        .begins_text = event->begins,
        .clears = event->clears,
    };
}

/* How many of its events go as one batch: what tells the end is in one, and so is what a report with a number says, with the number. */
static size_t count_batch(const struct td_job *job)
{
    const struct td_job_event *events = job->events;
    size_t n = 0, bytes = 0, end = job->n_events;

    if (td_job_has_ended(job) && job->end_at == 0)
        return end;
    if (td_job_has_ended(job))
        end = job->end_at;
    do
        bytes += events[n++].data_len;
    while (n < end && (events[n - 1].joined || (n < BATCH_MAX && bytes < BATCH_BYTES)));
    return events[n - 1].joined ? job->n_events : n;
}

static int write_batch(struct td_job *job, size_t n, uint64_t *ret_last)
{
    const struct td_jobs_log *log = &job->jobs->options.log;
    struct td_draft drafts[BATCH_ROOM];
    uint64_t seqs[BATCH_ROOM];
    struct td_batch batch = {.drafts = drafts, .n = n};

    TD_ASSERT(n <= BATCH_ROOM);
    for (size_t i = 0; i < n; i++) {
        fill(job, &job->events[i], &drafts[i]);
        batch.expect |= !job->events[i].own;
    }
    batch.expect_topic = td_job_own(job);
    batch.expect_seq = job->seq;
    int r = log->append(log->arg, &batch, seqs);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        if (!job->events[i].own)
            job->seq = seqs[i];
        if (ret_last)
            *ret_last = TD_MAX(*ret_last, seqs[i]);
    }
    return 0;
}

/* What waits of all jobs together, as far as it has changed with this one. */
void td_job_weigh(struct td_job *job)
{
    job->jobs->said += job->said.len - job->weighed;
    job->weighed = job->said.len;
}

bool td_jobs_say_too_much(const struct td_jobs *jobs)
{
    return jobs->retry_at > 0 && jobs->said > jobs->said_max;
}

static void forget(struct td_job *job, size_t n)
{
    size_t at = n < job->n_events ? job->events[n].type_at : job->said.len;

    td_buf_consume(&job->said, at);
    td_job_weigh(job);
    job->n_events -= n;
    job->end_at -= TD_MIN(job->end_at, n);
    memmove(job->events, job->events + n, job->n_events * sizeof(*job->events));
    for (size_t i = 0; i < job->n_events; i++) {
        job->events[i].type_at -= at;
        job->events[i].data_at -= at;
    }
    if (job->n_events == 0 && job->said.cap > KEPT_BYTES)
        td_buf_done(&job->said);
}

/* Whether no later try would do better: it is these events that are refused, not the log that is full. */
static bool is_final(int r)
{
    return r == TD_ECONFLICT || r == TD_ETOOLARGE || r == TD_ETEXTCHUNKS || r == TD_ESTATEKEYS ||
           r == TD_ETOPICKEYS;
}

/* Makes the end smaller: first without the lines kept, then without the result.  False: it is as small as it gets. */
static bool shrink_end(struct td_job *job)
{
    if (job->n_logs > 0) {
        job->n_logs = job->logs_at = 0;
        return true;
    }
    if (job->result.len == 0)
        return false;
    td_buf_reset(&job->result);
    if (job->state == TD_JOB_STATE_DONE) {
        job->state = TD_JOB_STATE_FAILED;
        (void)td_job_set(&job->code, TD_S("result_too_large"));
        (void)td_job_set(&job->error, TD_S("Its result does not fit into the log."));
        (void)td_job_set(&job->actions, TD_S("[\"Let it write a file, and give its name as the "
                                             "result.\"]"));
    }
    return true;
}

/* Drops what is refused for good.  The end is told all the same, for there is nobody else who would; true: it is to be tried now. */
static bool give_up(struct td_job *job, int r)
{
    td_log(TD_LOG_ERROR, "job", "%.*s: its events can't be written: %s", TD_JOB_ID_LEN,
           td_job_id(job).ptr, td_err_name(r));
    if (td_job_has_ended(job) && job->end_at > 0) {
        forget(job, job->end_at);
        return true;
    }
    forget(job, job->n_events);
    if (!td_job_has_ended(job)) {
        td_job_stop(job, TD_JOB_WHY_LOG);
        return false;
    }
    if (r != TD_ETOOLARGE || !shrink_end(job))
        return false;
    td_job_tell_end(job);
    return true;
}

void td_jobs_retry(struct td_jobs *jobs)
{
    jobs->retry_at = td_clock_ns() + TD_JOB_RETRY_NS;
    td_jobs_wake_at(jobs, jobs->retry_at);
}

int td_job_flush(struct td_job *job, uint64_t *ret_last)
{
    int r = 0;

    while (r == 0 && job->n_events > 0) {
        size_t n = count_batch(job);
        r = write_batch(job, n, ret_last);
        if (r == 0)
            forget(job, n);
        else if (is_final(r) && give_up(job, r))
            r = 0;
    }
    if (r < 0 && !is_final(r))
        td_jobs_retry(job->jobs);
    return r;
}

void td_job_write_for(struct td_job *job, struct td_job_answer *answer)
{
    uint64_t last = 0;

    if (job->jobs->retry_at == 0)
        (void)td_job_flush(job, &last); /* what fails is tried again by the turn */
    answer->position = job->seq;
    answer->wait_for = TD_MAX(job->seq, last);
}
