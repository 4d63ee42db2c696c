/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked about jobs, and that one is to end. */
#include "base/err.h"
#include "base/json.h"
#include "jobs/internal.h"
#include <errno.h>

#define LIST_EXAMINED_MAX 512 /* jobs that one answer looks at: some milliseconds of the desk */

/* ---- which, and who may see it ---- */

bool td_job_may_see(const struct td_principal *principal, struct td_slice id, bool is_owner,
                    bool is_viewer)
{
    char topic[sizeof("jobs/") + TD_JOB_ID_LEN];

    if (is_owner || is_viewer || principal->is_admin)
        return true;
    snprintf(topic, sizeof(topic), "jobs/%.*s", TD_JOB_ID_LEN, id.ptr);
    return td_principal_may_see(principal, td_slice_str(topic));
}

static bool may_see_live(const struct td_principal *principal, const struct td_job *job)
{
    return td_job_may_see(principal, td_job_id(job), td_slice_eq(principal->subject, job->owner),
                          job->viewers.len > 0 && td_json_holds(job->viewers, principal->subject));
}

static bool may_see_stored(const struct td_principal *principal, const struct td_job_view *view)
{
    return td_job_may_see(principal, view->id, td_json_is(view->owner, principal->subject),
                          td_json_holds(view->viewers, principal->subject));
}

static bool may_cancel(const struct td_principal *principal, const struct td_job *job)
{
    return principal->is_admin || td_slice_eq(principal->subject, job->owner) ||
           (job->topic_len > 0 && td_principal_may_publish(principal, td_job_topic(job)));
}

static bool id_valid(struct td_slice id)
{
    for (size_t i = 0; i < id.len; i++)
        if (!((id.ptr[i] >= '0' && id.ptr[i] <= '9') || (id.ptr[i] >= 'a' && id.ptr[i] <= 'f')))
            return false;
    return id.len == TD_JOB_ID_LEN;
}

int td_job_stored(struct td_jobs *jobs, struct td_slice id, struct td_record *ret_record)
{
    const struct td_jobs_log *log = &jobs->options.log;
    char topic[sizeof("jobs/") + TD_JOB_ID_LEN];

    snprintf(topic, sizeof(topic), "jobs/%.*s", TD_JOB_ID_LEN, id.ptr);
    return log->state(log->arg, td_slice_str(topic), TD_S("job"), ret_record);
}

/* The id that is meant; false: none can be. */
static bool which_id(const struct td_jobs *jobs, const struct td_job_which *which,
                     char ret_id[TD_JOB_ID_LEN])
{
    if (which->id.len > 0) {
        if (!id_valid(which->id))
            return false;
        memcpy(ret_id, which->id.ptr, TD_JOB_ID_LEN);
        return true;
    }
    if (which->request_id.len == 0)
        return false;
    td_job_id_of(jobs, which->principal, (struct td_slice){NULL, 0}, which->scope,
                 which->request_id, ret_id);
    return true;
}

/* ---- one job ---- */

/* 0 with the job in memory, or its data; TD_ENOTFOUND also when it may not be seen. */
static int look(struct td_jobs *jobs, const struct td_job_which *which, struct td_job **ret_job,
                struct td_record *ret_record)
{
    char id[TD_JOB_ID_LEN];
    struct td_job_view view;

    *ret_job = NULL;
    if (!which_id(jobs, which, id))
        return TD_ENOTFOUND;
    struct td_job *job = td_jobs_find(jobs, td_slice(id, sizeof(id)));
    if (job) {
        *ret_job = job;
        return may_see_live(which->principal, job) ? 0 : TD_ENOTFOUND;
    }
    int r = td_job_stored(jobs, td_slice(id, sizeof(id)), ret_record);
    if (r <= 0)
        return r == 0 ? TD_ENOTFOUND : r;
    r = td_job_read(ret_record->data, &view);
    return r == 0 && may_see_stored(which->principal, &view) ? 0 : TD_ENOTFOUND;
}

static int show_live(struct td_job *job, struct td_job_answer *answer)
{
    struct td_buf data = TD_BUF_INIT(TD_JOB_SAID_MAX);

    td_job_write_for(job, answer);
    int r = td_job_put_document(job, true, &data);
    if (r == 0)
        r = td_job_put_shown(job->jobs, td_buf_slice(&data), job->seq, answer->body);
    td_buf_done(&data);
    return r;
}

int td_jobs_get(struct td_jobs *jobs, const struct td_job_which *which,
                struct td_job_answer *answer)
{
    struct td_record record;
    struct td_job *job;
    int r = look(jobs, which, &job, &record);

    if (r == TD_ENOTFOUND)
        td_buf_puts(answer->why, "There is no such job, or it is not yours.");
    if (r < 0)
        return r;
    if (job)
        return show_live(job, answer);
    answer->position = answer->wait_for = record.seq;
    return td_job_put_shown(jobs, record.data, record.seq, answer->body);
}

int td_jobs_access(struct td_jobs *jobs, const struct td_job_which *which)
{
    struct td_record record;
    struct td_job *job;

    return look(jobs, which, &job, &record);
}

/* ---- its end ---- */

static void put_state(struct td_buf *out, struct td_slice id, struct td_slice state)
{
    if (out->len > 1)
        td_buf_putc(out, ',');
    td_buf_putf(out, "{\"job_id\":\"%.*s\",\"state\":\"%.*s\"}", (int)id.len, id.ptr,
                (int)state.len, state.ptr);
}

static void note_cancel(const struct td_job *job, const struct td_job_which *which,
                        enum td_audit_outcome outcome)
{
    struct td_audit_note note;

    td_job_note(job, TD_AUDIT_JOB_CANCELLED, outcome, which->principal->subject, &note);
    if (which->address.len > 0)
        td_audit_address(&note, which->address);
    td_audit_end(&note);
}

static void cancel_live(struct td_job *job, const struct td_job_which *which,
                        struct td_job_answer *answer)
{
    uint64_t last = 0;

    if (job->why == TD_JOB_WHY_NONE && !td_job_has_ended(job))
        note_cancel(job, which, TD_AUDIT_DONE);
    td_job_stop(job, TD_JOB_WHY_CANCEL);
    if (job->jobs->retry_at == 0)
        (void)td_job_flush(job, &last); /* what fails is tried again by the turn */
    answer->wait_for = TD_MAX(answer->wait_for, last);
    /* What it says has changed, so that an answer always tells of one of these two. */
    put_state(answer->body, td_job_id(job), td_slice_str(td_job_state_word(job->state)));
}

static int cancel_one(struct td_jobs *jobs, const struct td_job_which *which,
                      struct td_job_answer *answer)
{
    struct td_record record;
    struct td_job_view view;
    struct td_slice state;
    struct td_job *job;
    int r = look(jobs, which, &job, &record);

    if (job && may_cancel(which->principal, job)) {
        cancel_live(job, which, answer);
        return 0;
    }
    if (r == 0 && job) {
        note_cancel(job, which, TD_AUDIT_DENIED);
        td_buf_puts(answer->why, "You may see this job, but not cancel it.");
        return TD_EFORBIDDEN;
    }
    if (r == TD_ENOTFOUND)
        td_buf_puts(answer->why, "There is no such job, or it is not yours.");
    if (r < 0)
        return r;
    r = td_job_read(record.data, &view); /* it has ended: nothing is left to be done */
    if (r == 0 && td_json_plain(view.state, &state))
        put_state(answer->body, view.id, state);
    return r;
}

/* Whether a parameter of a job has that value. */
static bool has_param(const struct td_job *job, const char *name, struct td_slice value)
{
    struct td_slice found;
    int nth = job->kind && job->params.kind ? td_kind_param(job->kind, td_slice_str(name)) : -1;

    if (job->known.len > 0 && td_json_get(job->known, name, &found)) /* from before a restart */
        return td_slice_eq(found, value) || td_json_is(found, value);
    return nth >= 0 && td_params_value(&job->params, (size_t)nth, &found) &&
           td_slice_eq(found, value);
}

static int cancel_proposal(struct td_jobs *jobs, const struct td_job_which *which,
                           struct td_job_answer *answer)
{
    struct td_list *node = jobs->all.next, *next;
    size_t before = answer->body->len;
    const struct td_job *denied = NULL; /* one that may be seen */

    for (; node != &jobs->all; node = next) {
        struct td_job *job = TD_CONTAINER_OF(node, struct td_job, list);
        next = node->next;
        if (td_job_has_ended(job) || !has_param(job, "proposal_id", which->proposal_id) ||
            (which->project_id.len > 0 && !has_param(job, "project_id", which->project_id)))
            continue;
        if (may_cancel(which->principal, job))
            cancel_live(job, which, answer);
        else if (may_see_live(which->principal, job))
            denied = job;
    }
    if (answer->body->len > before)
        return 0;
    td_buf_puts(answer->why, denied ? "You may see this job, but not cancel it."
                                    : "No job of this proposal runs that you may cancel.");
    if (denied)
        note_cancel(denied, which, TD_AUDIT_DENIED);
    return denied ? TD_EFORBIDDEN : TD_ENOTFOUND;
}

int td_jobs_cancel(struct td_jobs *jobs, const struct td_job_which *which,
                   struct td_job_answer *answer)
{
    bool by_proposal =
        which->id.len == 0 && which->request_id.len == 0 && which->proposal_id.len > 0;

    td_buf_putc(answer->body, '[');
    int r = by_proposal ? cancel_proposal(jobs, which, answer) : cancel_one(jobs, which, answer);
    if (r < 0) {
        td_buf_reset(answer->body);
        return r;
    }
    return td_buf_putc(answer->body, ']');
}

/* ---- many ---- */

static bool is_wanted(const struct td_job_list *list, const struct td_job_view *view)
{
    return (list->kind.len == 0 || td_json_is(view->kind, list->kind)) &&
           (list->state.len == 0 || td_json_is(view->state, list->state)) &&
           may_see_stored(list->principal, view);
}

static int put_wanted(struct td_jobs *jobs, const struct td_job_list *list,
                      const struct td_state_read *read, struct td_job_answer *answer, size_t *n,
                      char ret_next[TD_JOB_ID_LEN])
{
    struct td_record record;
    struct td_job_view view;
    int r = 0;

    for (size_t i = 0; r == 0 && i < read->n && *n < list->limit; i++) {
        td_record_view(read->records[i], &record);
        if (!td_slice_eq(record.key, TD_S("job")) || td_job_read(record.data, &view) < 0)
            continue;
        memcpy(ret_next, view.id.ptr, TD_JOB_ID_LEN);
        if (!is_wanted(list, &view))
            continue;
        if ((*n)++ > 0)
            td_buf_putc(answer->body, ',');
        r = td_job_put_shown(jobs, record.data, record.seq, answer->body);
    }
    return r;
}

/* The cursor behind the job of that id. */
static void begin_after(struct td_state_cursor *cursor, struct td_slice id)
{
    if (id.len == 0)
        return;
    cursor->topic_len =
        (uint8_t)snprintf(cursor->topic, sizeof(cursor->topic), "jobs/%.*s", (int)id.len, id.ptr);
    cursor->chain = cursor->seq = UINT64_MAX >> 2;
}

int td_jobs_list(struct td_jobs *jobs, const struct td_job_list *list, struct td_job_answer *answer)
{
    const struct td_jobs_log *log = &jobs->options.log;
    struct td_state_cursor cursor = {0};
    struct td_wanted wanted = {.pattern = TD_S("jobs/*")};
    const char *records[64];
    char next[TD_JOB_ID_LEN];
    size_t n = 0, examined = 0;

    if (list->after.len > 0 && !id_valid(list->after)) {
        td_buf_puts(answer->why, "`after` must be the id of a job.");
        return TD_EINVAL;
    }
    wanted.key = td_pattern_key(td_journal_seed(log->journal), wanted.pattern, &wanted.exact);
    struct td_state_read read = {
        .wanted = &wanted,
        .n_wanted = 1,
        .as_of = td_journal_readable(log->journal),
        .records = records,
        .records_max = TD_ARRAY_LEN(records),
        .topics_max = TD_ARRAY_LEN(records),
        .cursor = &cursor,
    };
    begin_after(&cursor, list->after);
    answer->position = read.as_of;
    td_buf_puts(answer->body, "{\"jobs\":[");
    int r = 0;
    do {
        log->walk(log->arg, &read);
        r = put_wanted(jobs, list, &read, answer, &n, next);
        examined += read.n;
    } while (r == 0 && read.end == TD_READ_BUDGET && n < list->limit &&
             examined < LIST_EXAMINED_MAX);
    if (r == 0 && read.end == TD_READ_COLD)
        r = -EAGAIN;
    if (r < 0) {
        td_buf_reset(answer->body);
        return r;
    }
    bool more = read.end != TD_READ_DONE || n == list->limit;
    td_buf_puts(answer->body, "],\"next\":");
    if (more && examined > 0)
        td_buf_putf(answer->body, "\"%.*s\"}", TD_JOB_ID_LEN, next);
    else
        td_buf_puts(answer->body, "null}");
    return answer->body->err;
}
