/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the jobs that have not ended, and its turn. */
#include "jobs/jobs.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/json.h"
#include "jobs/internal.h"
#include "journal/hash.h"
#include "os/clock.h"
#include <errno.h>
#include <stdlib.h>

int td_jobs_new(const struct td_jobs_options *options, struct td_jobs **ret_jobs)
{
    struct td_jobs *jobs = calloc(1, sizeof(*jobs));

    if (!jobs) {
        if (options->kinds.done)
            options->kinds.done(options->kinds.arg);
        return -ENOMEM;
    }
    jobs->options = *options;
    td_list_init(&jobs->all);
    td_list_init(&jobs->dirty);
    td_map_init(&jobs->by_id, sizeof(struct td_job *));
    td_map_init(&jobs->owners, sizeof(struct td_job_count));
    td_map_init(&jobs->sessions, sizeof(struct td_job_count));
    td_map_init(&jobs->projects, sizeof(struct td_job_latest));
    jobs->next = UINT64_MAX;
    jobs->said_max = TD_JOBS_PENDING_MAX;
    int r = td_catalog_init(jobs);
    if (r < 0) {
        td_jobs_free(jobs);
        return r;
    }
    *ret_jobs = jobs;
    return 0;
}

void td_jobs_free(struct td_jobs *jobs)
{
    if (!jobs)
        return;
    while (!td_list_empty(&jobs->all))
        td_job_free(TD_CONTAINER_OF(jobs->all.next, struct td_job, list));
    td_map_done(&jobs->by_id);
    td_map_done(&jobs->owners);
    td_map_done(&jobs->sessions);
    td_map_done(&jobs->projects);
    td_catalog_done(jobs);
    free(jobs);
}

void td_jobs_use_runner(struct td_jobs *jobs, enum td_runner which,
                        const struct td_job_runner *runner)
{
    TD_ASSERT(which < TD_ARRAY_LEN(jobs->options.runners));
    jobs->options.runners[which] = *runner;
}

void td_jobs_limit(struct td_jobs *jobs, const struct td_jobs_limits *limits)
{
    jobs->options.limits = *limits;
    td_queues_changed(jobs);
    td_jobs_wake_at(jobs, 0);
}

uint64_t td_jobs_hash(const struct td_jobs *jobs, const char *what, struct td_slice a,
                      struct td_slice b, struct td_slice c, uint64_t ret_hash[2])
{
    struct td_hash hash;
    uint64_t seed = td_journal_seed(jobs->options.log.journal), value[2];

    td_hash_init(&hash, seed, seed ^ UINT64_C(0x6a6f62736a6f6273));
    td_hash_field(&hash, td_slice_str(what));
    td_hash_field(&hash, a);
    td_hash_field(&hash, b);
    td_hash_field(&hash, c);
    td_hash_end(&hash, value);
    if (ret_hash)
        memcpy(ret_hash, value, sizeof(value));
    return value[0];
}

static uint64_t hash_of(const struct td_jobs *jobs, const char *what, struct td_slice text)
{
    const struct td_slice none = {NULL, 0};

    return td_jobs_hash(jobs, what, text, none, none, NULL);
}

struct td_job *td_jobs_find(struct td_jobs *jobs, struct td_slice id)
{
    struct td_job **job = td_map_get(&jobs->by_id, hash_of(jobs, "id", id));

    return job && td_slice_eq(td_job_id(*job), id) ? *job : NULL;
}

/* ---- one job ---- */

struct td_job *td_job_new(struct td_jobs *jobs, struct td_slice id)
{
    struct td_job *job = calloc(1, sizeof(*job));

    TD_ASSERT(id.len == TD_JOB_ID_LEN);
    if (!job)
        return NULL;
    job->jobs = jobs;
    td_list_init(&job->list);
    td_list_init(&job->queue);
    td_list_init(&job->dirty);
    memcpy(job->own, "jobs/", strlen("jobs/"));
    memcpy(job->own + strlen("jobs/"), id.ptr, id.len);
    job->exit_status = -1;
    job->created = td_clock_unix_ms();
    td_buf_init(&job->texts, 256 * 1024);
    td_buf_init(&job->message, TD_JOB_MESSAGE_MAX);
    td_buf_init(&job->last_line, TD_JOB_MESSAGE_MAX);
    td_buf_init(&job->result, TD_JOB_RESULT_MAX);
    td_buf_init(&job->code, 64);
    td_buf_init(&job->error, TD_JOB_MESSAGE_MAX);
    td_buf_init(&job->details, 8 * TD_JOB_MESSAGE_MAX);
    td_buf_init(&job->actions, 8 * TD_JOB_MESSAGE_MAX);
    td_buf_init(&job->said, TD_JOB_SAID_MAX);
    return job;
}

int td_job_enter(struct td_job *job)
{
    struct td_jobs *jobs = job->jobs;
    uint64_t hash = hash_of(jobs, "id", td_job_id(job));

    job->owner_hash = hash_of(jobs, "owner", job->owner);
    if (job->kind && job->session.len > 0)
        job->session_hash =
            td_jobs_hash(jobs, "session", job->kind_name, job->owner, job->session, NULL);
    if (!td_map_put(&jobs->owners, job->owner_hash, NULL))
        return -ENOMEM;
    bool reserves = job->kind && !job->kind->spec->shared && job->topic_len > 0;
    if (reserves && jobs->options.reserved) {
        int r = td_reserved_add(jobs->options.reserved, td_job_topic(job));
        if (r < 0)
            return r;
        job->is_reserved = true;
    }
    if (jobs->options.busy && job->connection.len > 0) {
        int r = td_reserved_add(jobs->options.busy, job->connection);
        if (r < 0)
            return r;
        job->is_busy = true;
    }
    struct td_job **place = td_map_put(&jobs->by_id, hash, NULL);
    if (!place)
        return -ENOMEM;
    *place = job;
    td_list_append(&jobs->all, &job->list);
    td_job_owner_count(job)->unfinished++;
    jobs->n++;
    return 0;
}

struct td_job_count *td_job_owner_count(struct td_job *job)
{
    struct td_job_count *count = td_map_get(&job->jobs->owners, job->owner_hash);

    TD_ASSERT(count);
    return count;
}

static void leave(struct td_job *job)
{
    struct td_jobs *jobs = job->jobs;
    struct td_job_count *owner = td_job_owner_count(job);

    td_map_remove(&jobs->by_id, hash_of(jobs, "id", td_job_id(job)));
    if (--owner->unfinished == 0)
        td_map_remove(&jobs->owners, job->owner_hash);
    jobs->n--;
}

void td_job_free(struct td_job *job)
{
    if (!td_list_empty(&job->list))
        leave(job);
    if (job->is_reserved)
        td_reserved_drop(job->jobs->options.reserved, td_job_topic(job));
    if (job->is_busy)
        td_reserved_drop(job->jobs->options.busy, job->connection);
    job->said.len = 0;
    td_job_weigh(job);
    td_list_remove(&job->list);
    td_list_remove(&job->queue);
    td_list_remove(&job->dirty);
    for (size_t i = 0; job->agents && i < job->kind->n_steps; i++)
        td_buf_done(&job->agents[i].result);
    for (size_t i = 0; i < TD_JOB_LOGS_MAX; i++)
        td_buf_done(&job->logs[i]);
    struct td_buf *bufs[] = {&job->texts, &job->message, &job->last_line, &job->result, &job->code,
                             &job->error, &job->details, &job->actions,   &job->said};
    for (size_t i = 0; i < TD_ARRAY_LEN(bufs); i++)
        td_buf_done(bufs[i]);
    if (job->params.kind)
        td_params_done(&job->params);
    td_job_be_none(job);
    free(job->agents);
    free(job->events);
    free(job);
}

void td_job_soil(struct td_job *job)
{
    if (td_list_empty(&job->dirty))
        td_list_append(&job->jobs->dirty, &job->dirty);
    td_jobs_wake_at(job->jobs, 0);
}

int td_job_set(struct td_buf *buf, struct td_slice text)
{
    td_buf_reset(buf);
    text.len = TD_MIN(text.len, buf->max);
    while (text.len > 0 && text.len == buf->max && ((unsigned char)text.ptr[text.len - 1] & 0x80))
        text.len--; /* cut between characters */
    return td_buf_put(buf, text);
}

void td_job_set_actions(struct td_job *job, const struct td_slice *actions, size_t n)
{
    td_buf_reset(&job->actions);
    td_buf_putc(&job->actions, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            td_buf_putc(&job->actions, ',');
        td_json_put_string(&job->actions, actions[i]);
    }
    if (td_buf_putc(&job->actions, ']') < 0 || job->actions.err < 0)
        (void)td_job_set(&job->actions, TD_S("[]"));
}

void td_job_note_project(struct td_jobs *jobs, struct td_slice kind, struct td_slice topic,
                         struct td_slice id, uint64_t made)
{
    if (!td_slice_eq(kind, TD_S("generate")) || topic.len == 0)
        return;
    struct td_job_latest *latest = td_map_put(
        &jobs->projects, td_topic_key(td_journal_seed(jobs->options.log.journal), topic), NULL);
    if (!latest || latest->made > made)
        return; /* without memory it is found no more, and nothing else */
    memcpy(latest->id, id.ptr, TD_JOB_ID_LEN);
    latest->made = made;
}

void td_job_note(const struct td_job *job, enum td_audit_action action,
                 enum td_audit_outcome outcome, struct td_slice actor,
                 struct td_audit_note *ret_note)
{
    td_audit_begin(ret_note, job->jobs->options.audit, action, outcome);
    td_audit_actor(ret_note, actor);
    td_audit_topic(ret_note, td_job_own(job));
    td_audit_str(ret_note, "job_id", td_job_id(job));
    td_audit_str(ret_note, "kind", job->kind_name);
}

/* ---- the turn ---- */

void td_jobs_wake_at(struct td_jobs *jobs, td_ns when)
{
    jobs->next = TD_MIN(jobs->next, when);
}

td_ns td_jobs_next(const struct td_jobs *jobs)
{
    return jobs->next;
}

static void check_time(struct td_job *job, td_ns now)
{
    struct td_jobs *jobs = job->jobs;

    if ((job->n_events > 0 || job->end_lost) && jobs->retry_at == 0)
        td_job_soil(job);
    if (td_job_has_ended(job))
        return;
    if (job->lease_s > 0 && now >= job->lease_until) {
        if (job->state == TD_JOB_STATE_CANCELLING)
            td_job_end(job, TD_JOB_STATE_CANCELLED);
        else
            td_job_orphan(job, "The worker did not report in time.");
        return;
    }
    if (job->deadline > 0 && now >= job->deadline) {
        job->deadline = 0;
        td_job_stop(job, TD_JOB_WHY_TIMEOUT);
    }
    if (job->progress_pending && now >= job->progress_at)
        td_job_tell_progress(job);
    if (job->lease_s > 0)
        td_jobs_wake_at(jobs, job->lease_until);
    if (job->deadline > 0)
        td_jobs_wake_at(jobs, job->deadline);
    if (job->progress_pending)
        td_jobs_wake_at(jobs, job->progress_at);
}

static void check_times(struct td_jobs *jobs)
{
    td_ns now = td_clock_ns();
    struct td_list *node = jobs->all.next, *next;

    if (now < jobs->next)
        return;
    jobs->next = UINT64_MAX;
    for (; node != &jobs->all; node = next) {
        next = node->next;
        check_time(TD_CONTAINER_OF(node, struct td_job, list), now);
    }
}

/* Writes what a job said, and lets it go when that was its end. */
static void settle(struct td_job *job)
{
    if (job->step_pending && !td_job_has_ended(job))
        td_job_start_step(job);
    if (job->end_lost && job->jobs->retry_at == 0)
        td_job_tell_end(job);
    if (job->jobs->retry_at == 0)
        (void)td_job_flush(job, NULL);
    (void)td_job_end_unheard(job);
    if (td_job_has_ended(job) && job->n_events == 0 && !job->end_lost && !job->run)
        td_job_free(job);
}

void td_jobs_turn(struct td_jobs *jobs)
{
    struct td_list dirty;
    struct td_list *node;

    if (jobs->retry_at > 0 && td_clock_ns() >= jobs->retry_at)
        jobs->retry_at = 0;
    check_times(jobs);
    td_queues_turn(jobs);
    td_list_init(&dirty);
    td_list_splice(&dirty, &jobs->dirty);
    while ((node = td_list_pop(&dirty)))
        settle(TD_CONTAINER_OF(node, struct td_job, dirty));
    if (!td_list_empty(&jobs->dirty))
        td_jobs_wake_at(jobs, 0);
    if (jobs->retry_at > 0)
        td_jobs_wake_at(jobs, jobs->retry_at);
}

bool td_jobs_rest(const struct td_jobs *jobs)
{
    return jobs->n_runs == 0 && td_list_empty(&jobs->dirty);
}

void td_jobs_drain(struct td_jobs *jobs)
{
    struct td_list *node = jobs->all.next, *next;

    jobs->draining = true;
    for (; node != &jobs->all; node = next) {
        struct td_job *job = TD_CONTAINER_OF(node, struct td_job, list);
        next = node->next;
        if (td_job_has_ended(job) || job->lease_s > 0)
            continue;
        if (job->run)
            td_job_stop(job, TD_JOB_WHY_STOPPING);
        else
            td_job_fail(job, "server_stopping", "The server is stopping.");
    }
}
