/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked for becomes a job: who may, with which parameters, under which id, and whether there is room. */
#include "base/assert.h"
#include "base/err.h"
#include "base/json.h"
#include "jobs/internal.h"
#include "jobs/value.h"
#include "os/clock.h"
#include "os/random.h"
#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>

#define RETRY_AFTER_S 5
#define CARRIED_MAX   ((size_t)16 * 1024)

static int refuse(struct td_job_answer *answer, int err, const char *why)
{
    td_buf_puts(answer->why, why);
    return err;
}

/* ---- texts of the job ---- */

static struct td_slice span(const struct td_job *job, size_t at)
{
    return td_slice(job->texts.ptr + at, job->texts.len - at);
}

static struct td_slice keep(struct td_job *job, struct td_slice text)
{
    size_t at = job->texts.len;

    td_buf_put(&job->texts, text);
    return span(job, at);
}

/* At most so many subjects, 255 bytes each, written anew. */
static int keep_viewers(struct td_job *job, struct td_slice viewers, struct td_job_answer *answer)
{
    struct td_slice name, value;
    size_t at = job->texts.len, n = 0;
    struct td_json_iter it = td_json_iter(viewers);

    if (viewers.len == 0 || td_json_type(viewers) == TD_JSON_NULL)
        return 0;
    if (td_json_type(viewers) != TD_JSON_ARRAY)
        return refuse(answer, TD_EINVAL, "`viewers` must be an array of subjects.");
    td_buf_putc(&job->texts, '[');
    while (td_json_next(&it, &name, &value)) {
        if (td_json_type(value) != TD_JSON_STRING || td_json_text_len(value) == 0 ||
            td_json_text_len(value) > 255)
            return refuse(answer, TD_EINVAL,
                          "Each of `viewers` must be a subject of 1 to 255 bytes.");
        if (++n > TD_JOB_VIEWERS_MAX)
            return refuse(answer, TD_ETOOLARGE, "A job has 100 viewers at most.");
        if (n > 1)
            td_buf_putc(&job->texts, ',');
        td_buf_put(&job->texts, value);
    }
    td_buf_putc(&job->texts, ']');
    job->viewers = span(job, at);
    return 0;
}

/* Room for all texts is taken at once, so that they do not move. */
static int keep_texts(struct td_job *job, const struct td_job_start *start,
                      struct td_job_answer *answer)
{
    size_t at;

    if (td_buf_reserve(&job->texts, start->viewers.len + start->principal->subject.len +
                                        start->principal->subject_json.len + start->session.len +
                                        start->request_id.len + start->connection.len +
                                        CARRIED_MAX + 1024) < 0)
        return -ENOMEM;
    job->kind_name = job->kind->spec->name;
    job->owner = keep(job, start->principal->subject);
    job->actor = keep(job, start->principal->subject_json);
    job->segment = keep(job, start->principal->segment);
    job->session = keep(job, start->session);
    job->request_id = keep(job, start->request_id);
    job->connection = keep(job, start->connection);
    int r = keep_viewers(job, start->viewers, answer);
    if (r < 0)
        return r;
    at = job->texts.len;
    td_params_put(&job->params, TD_PARAMS_CARRIED, &job->texts);
    job->carried = span(job, at);
    if (job->carried.len > CARRIED_MAX)
        return refuse(answer, TD_ETOOLARGE,
                      "Parameters that each event carries are 16 KiB at most.");
    return job->texts.err;
}

/* ---- its topic ---- */

static int name_topic(struct td_job *job, struct td_job_answer *answer)
{
    struct td_slice template = job->kind->spec->topic;
    struct td_buf topic = TD_BUF_INIT(TD_TOPIC_LEN_MAX);
    int r = 0;

    if (template.len == 0)
        return 0;
    if (td_template_has(template, TD_S("session")) && job->session.len == 0)
        return refuse(answer, TD_EINVAL,
                      "This kind is started within a session, as on /ws/enhance.");
    if (td_template_has(template, TD_S("request_id")) && job->request_id.len == 0)
        return refuse(answer, TD_EINVAL, "This kind needs a `request_id`.");
    r = td_template_expand(template, td_job_value, job, &topic);
    if (r < 0 || !td_topic_valid(td_buf_slice(&topic))) {
        td_buf_done(&topic);
        return refuse(answer, TD_ETOPIC, "These parameters make no valid topic.");
    }
    memcpy(job->topic, topic.ptr, topic.len);
    job->topic_len = topic.len;
    td_buf_done(&topic);
    return 0;
}

/* ---- who may ---- */

static bool has_role(const struct td_principal *principal, struct td_slice role)
{
    for (size_t i = 0; i < principal->roles.n; i++)
        if (td_slice_eq_nocase(principal->roles.items[i], role))
            return true;
    return principal->is_admin;
}

static int check_who(const struct td_job *job, const struct td_job_start *start,
                     struct td_job_answer *answer)
{
    const struct td_kind *kind = job->kind;
    struct td_slice topic = td_job_topic(job);

    if (kind->who == TD_WHO_ROLE && !has_role(start->principal, kind->role))
        return refuse(answer, TD_EFORBIDDEN,
                      "Your token has not the role that this kind asks for.");
    if (kind->who == TD_WHO_PUBLISH && !td_principal_may_publish(start->principal, topic))
        return refuse(answer, TD_EFORBIDDEN,
                      "Your token does not grant publishing to the topic of this job.");
    /* Who reports a job himself writes its events. */
    if (start->external && topic.len > 0 && !td_topic_reserved(topic) &&
        !td_principal_may_publish(start->principal, topic))
        return refuse(answer, TD_EFORBIDDEN,
                      "Who reports a job needs a grant to publish to its topic.");
    if (start->external && topic.len > 0 && td_topic_reserved(topic) && !start->principal->is_admin)
        return refuse(answer, TD_EFORBIDDEN, "Only an admin reports jobs of this kind.");
    return 0;
}

/* The values fit what the steps ask for, too. */
static int check_steps(const struct td_job *job, struct td_job_answer *answer)
{
    struct td_slice value;

    for (size_t i = 0; i < job->kind->n_steps; i++) {
        const struct td_kind *step = job->kind->steps[i];
        for (size_t j = 0; j < step->n_params; j++) {
            int nth = td_kind_param(job->kind, step->params[j].name);
            if (nth < 0 || !td_params_value(&job->params, (size_t)nth, &value) ||
                td_param_fits(&step->params[j], value))
                continue;
            td_buf_putf(answer->why,
                        "Parameter %.*s does not have the form that the step %.*s asks for.",
                        (int)step->params[j].name.len, step->params[j].name.ptr,
                        (int)step->spec->name.len, step->spec->name.ptr);
            return TD_EINVAL;
        }
    }
    return 0;
}

/* ---- its id ---- */

static void hex(const void *bytes, size_t n, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *at = bytes;

    for (size_t i = 0; i < n; i++) {
        ret_text[2 * i] = digits[at[i] >> 4];
        ret_text[2 * i + 1] = digits[at[i] & 15];
    }
}

static bool is_keyed(const struct td_job_start *start)
{
    return start->key.len > 0 || start->request_id.len > 0;
}

void td_job_id_of(const struct td_jobs *jobs, const struct td_principal *principal,
                  struct td_slice key, struct td_slice scope, struct td_slice request_id,
                  char ret_id[TD_JOB_ID_LEN])
{
    const struct td_slice none = {NULL, 0};
    unsigned char bytes[16];

    if (key.len > 0)
        td_jobs_hash(jobs, "key", principal->subject, key, none, (uint64_t *)(void *)bytes);
    else if (request_id.len > 0)
        td_jobs_hash(jobs, "request", principal->subject, scope, request_id,
                     (uint64_t *)(void *)bytes);
    else
        td_random_bytes(bytes, sizeof(bytes));
    hex(bytes, sizeof(bytes), ret_id);
}

/* What was asked for, so that the same key with something else can be told. */
static void note_content(struct td_job *job, bool external)
{
    struct td_buf params = TD_BUF_INIT(2 * TD_PARAMS_BYTES_MAX + 64 * 1024);
    uint64_t hash[2];

    td_params_put(&job->params, TD_PARAMS_ALL, &params);
    td_buf_putf(&params, ";%d;", (int)external);
    td_jobs_hash(job->jobs, "content", job->kind_name, td_buf_slice(&params), job->viewers, hash);
    hex(hash, sizeof(hash), job->content);
    td_buf_done(&params);
}

/* The same start found its job. */
static int answer_known(struct td_job *job, struct td_slice data, uint64_t seq,
                        struct td_job_answer *answer)
{
    struct td_job_view view;
    struct td_slice content;

    if (td_job_read(data, &view) < 0 || !td_json_get(view.internal, "content", &content))
        return TD_EDAMAGED;
    if (!td_json_is(content, td_slice_str(job->content)))
        return refuse(answer, TD_EMISMATCH,
                      "A job was started with this key, of another kind or with other parameters.");
    answer->position = seq;
    answer->wait_for = TD_MAX(answer->wait_for, seq);
    return td_job_put_shown(job->jobs, data, seq, answer->body);
}

static int find_known(struct td_job *job, struct td_job_answer *answer, bool *ret_found)
{
    struct td_job *live = td_jobs_find(job->jobs, td_job_id(job));
    struct td_buf data = TD_BUF_INIT(TD_JOB_SAID_MAX);
    struct td_record record;
    int r;

    *ret_found = true;
    if (live) {
        td_job_write_for(live, answer);
        r = td_job_put_document(live, true, &data);
        if (r == 0)
            r = answer_known(job, td_buf_slice(&data), live->seq, answer);
        td_buf_done(&data);
        return r;
    }
    r = td_job_stored(job->jobs, td_job_id(job), &record);
    if (r > 0)
        return answer_known(job, record.data, record.seq, answer);
    *ret_found = false;
    return r;
}

/* ---- whether there is room ---- */

static int check_room(struct td_job *job, bool external, struct td_job_answer *answer)
{
    struct td_jobs *jobs = job->jobs;
    const struct td_job_count *owner = td_map_get(
        &jobs->owners, td_jobs_hash(jobs, "owner", job->owner, (struct td_slice){NULL, 0},
                                    (struct td_slice){NULL, 0}, NULL));
    const char *why = NULL;

    if (jobs->draining)
        return refuse(answer, TD_EDRAINING, "The server is stopping and starts no job any more.");
    if (jobs->n >= jobs->options.limits.unfinished_max)
        why = "As many jobs run or wait as this server takes on.";
    else if (owner && owner->unfinished >= jobs->options.limits.owner_unfinished_max)
        why = "As many of your jobs run or wait as one may have.";
    else if (!external && job->row->n_queued > 0 && job->row->n_queued >= job->kind->spec->queue)
        why = "The queue of this kind is full.";
    if (!why)
        return 0;
    answer->retry_after_s = RETRY_AFTER_S;
    atomic_fetch_add(&job->row->stat.refused, 1);
    return refuse(answer, TD_ERATE, why);
}

static int enqueue(struct td_job *job, struct td_job_answer *answer)
{
    if (job->row->n_queued >= job->kind->spec->queue) {
        answer->retry_after_s = RETRY_AFTER_S;
        atomic_fetch_add(&job->row->stat.refused, 1);
        return refuse(answer, TD_ERATE, "As many jobs of this kind run as may at once.");
    }
    td_queue_add(job);
    td_job_tell_status(job);
    return 0;
}

/* ---- the start ---- */

static void begin_external(struct td_job *job, uint64_t lease_s, struct td_slice token)
{
    job->lease_s = lease_s > 0 ? lease_s : TD_JOB_LEASE_S;
    job->state = TD_JOB_STATE_RUNNING;
    job->started = td_clock_unix_ms();
    job->began = td_clock_ns();
    SHA256((const unsigned char *)token.ptr, token.len, job->lease_hash);
    td_job_renew(job);
    td_job_tell_start(job);
    td_job_tell_status(job);
}

static int make_agents(struct td_job *job)
{
    if (job->kind->n_steps == 0)
        return 0;
    job->agents = calloc(job->kind->n_steps, sizeof(*job->agents));
    return job->agents ? 0 : -ENOMEM;
}

static int prepare(struct td_job *job, const struct td_job_start *start,
                   struct td_job_answer *answer)
{
    int r = td_params_take(&job->params, job->kind, start->given, start->params, answer->why);

    if (r == 0)
        r = keep_texts(job, start, answer);
    if (r == 0)
        r = name_topic(job, answer);
    if (r == 0)
        r = check_who(job, start, answer);
    if (r == 0)
        r = check_steps(job, answer);
    if (r == 0)
        note_content(job, start->external);
    return r == 0 ? make_agents(job) : r;
}

/* Into the tables and the log, or out of all of them. */
static int launch(struct td_job *job, const struct td_job_start *start,
                  struct td_job_answer *answer)
{
    struct td_buf data = TD_BUF_INIT(TD_JOB_SAID_MAX);
    struct td_audit_note note;
    unsigned char secret[32];
    char token[64];
    uint64_t last = 0;

    job->made = td_journal_head(job->jobs->options.log.journal);
    int r = td_job_enter(job);
    if (r == 0 && start->external) {
        td_random_bytes(secret, sizeof(secret));
        hex(secret, sizeof(secret), token);
        begin_external(job, start->lease_s, td_slice(token, sizeof(token)));
    } else if (r == 0 && td_job_fits(job)) {
        td_job_begin_run(job);
    } else if (r == 0) {
        r = enqueue(job, answer);
    }
    if (r == 0)
        r = td_job_flush(job, &last);
    if (r < 0) {
        td_job_undo(job);
        return r;
    }
    atomic_fetch_add(&job->row->stat.started, 1);
    td_job_note(job, TD_AUDIT_JOB_STARTED, TD_AUDIT_DONE, job->owner, &note);
    if (start->address.len > 0)
        td_audit_address(&note, start->address);
    td_audit_end(&note);
    td_job_note_project(job->jobs, job->kind_name, td_job_topic(job), td_job_id(job), job->made);
    answer->position = job->seq;
    answer->wait_for = last;
    r = td_job_put_document(job, false, &data);
    if (r == 0)
        r = td_job_put_shown(job->jobs, td_buf_slice(&data), job->seq, answer->body);
    td_buf_done(&data);
    if (r == 0 && start->external) {
        answer->body->len--; /* into the object */
        td_buf_putf(answer->body, ",\"lease_token\":\"%.*s\",\"lease\":%llu}", (int)sizeof(token),
                    token, (unsigned long long)job->lease_s);
    }
    return r;
}

/* There is no job, but somebody has tried to start one: on the topic that it would have had. */
static void note_denied(const struct td_job *job, const struct td_job_start *start)
{
    struct td_audit_note note;

    td_audit_begin(&note, job->jobs->options.audit, TD_AUDIT_JOB_STARTED, TD_AUDIT_DENIED);
    td_audit_actor(&note, start->principal->subject);
    if (job->topic_len > 0)
        td_audit_topic(&note, td_job_topic(job));
    if (start->address.len > 0)
        td_audit_address(&note, start->address);
    td_audit_str(&note, "kind", job->kind->spec->name);
    td_audit_end(&note);
}

static int check_kind(const struct td_kind *kind, const struct td_job_start *start,
                      struct td_job_answer *answer)
{
    if (!kind || kind->spec->internal)
        return refuse(answer, TD_EINVAL, "There is no kind of job with this name.");
    if (kind->spec->runner == TD_RUNNER_EXTERNAL && !start->external)
        return refuse(answer, TD_EINVAL,
                      "Jobs of this kind are run elsewhere: say \"external\":true, and report it.");
    if (start->lease_s > TD_JOB_LEASE_MAX_S)
        return refuse(answer, TD_EINVAL, "`lease` must be 1 to 3600 seconds.");
    if (start->key.len > 255 || start->request_id.len > 255 || start->session.len > 255)
        return refuse(answer, TD_EINVAL, "Keys and request ids are 1 to 255 bytes.");
    return 0;
}

int td_jobs_start(struct td_jobs *jobs, const struct td_job_start *start,
                  struct td_job_answer *answer)
{
    const struct td_kind *kind = td_catalog_find(jobs, start->kind);
    char id[TD_JOB_ID_LEN];
    bool found = false;

    int r = check_kind(kind, start, answer);
    if (r < 0)
        return r;
    td_job_id_of(jobs, start->principal, start->key, start->scope, start->request_id, id);
    struct td_job *job = td_job_new(jobs, td_slice(id, sizeof(id)));
    if (!job)
        return -ENOMEM;
    td_job_be(job, kind);
    r = prepare(job, start, answer);
    if (r == TD_EFORBIDDEN)
        note_denied(job, start);
    if (r == 0 && is_keyed(start))
        r = find_known(job, answer, &found);
    if (r == 0 && !found)
        r = check_room(job, start->external, answer);
    if (r < 0 || found) {
        td_job_free(job);
        return r;
    }
    return launch(job, start, answer);
}
