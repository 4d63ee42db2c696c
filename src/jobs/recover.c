/* SPDX-License-Identifier: Apache-2.0 */
/* After a start: what the log says was not ended when the server stopped is ended now, and what workers elsewhere run is taken up again. */
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "jobs/internal.h"
#include "os/clock.h"
#include <errno.h>
#include <stdlib.h>

#define PAGE 64

static struct td_slice keep_text(struct td_job *job, struct td_slice raw)
{
    size_t at = job->texts.len;

    if (raw.len > 0 && td_json_type(raw) == TD_JSON_STRING)
        (void)td_json_unescape(raw, &job->texts);
    return td_slice(job->texts.ptr + at, job->texts.len - at);
}

static struct td_slice keep_raw(struct td_job *job, struct td_slice raw)
{
    size_t at = job->texts.len;

    td_buf_put(&job->texts, raw);
    return td_slice(job->texts.ptr + at, job->texts.len - at);
}

static struct td_slice member(struct td_slice object, const char *name)
{
    struct td_slice raw;

    return td_json_get(object, name, &raw) ? raw : (struct td_slice){NULL, 0};
}

/* `{"a":1}` as the members `,"a":1` that each event of its topic carries. */
static struct td_slice keep_carried(struct td_job *job, struct td_slice object)
{
    size_t at = job->texts.len;

    if (object.len > 2 && td_json_type(object) == TD_JSON_OBJECT) {
        td_buf_putc(&job->texts, ',');
        td_buf_put(&job->texts, td_slice(object.ptr + 1, object.len - 2));
    }
    return td_slice(job->texts.ptr + at, job->texts.len - at);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads back what put_internal of document.c wrote. */
static void take_lease(struct td_job *job, struct td_slice internal)
{
    struct td_slice lease = member(internal, "lease"), raw = member(internal, "lease_hash"), hash;

    if (lease.len == 0 || td_json_u64(lease, &job->lease_s) < 0 ||
        job->lease_s > TD_JOB_LEASE_MAX_S || raw.len == 0 || !td_json_plain(raw, &hash) ||
        hash.len != 2 * sizeof(job->lease_hash)) {
        job->lease_s = 0;
        return;
    }
    for (size_t i = 0; i < sizeof(job->lease_hash); i++) {
        int high = digit(hash.ptr[2 * i]), low = digit(hash.ptr[2 * i + 1]);
        if (high < 0 || low < 0) {
            job->lease_s = 0;
            return;
        }
        job->lease_hash[i] = (unsigned char)(high << 4 | low);
    }
    struct td_slice seq = member(internal, "seq"), offset = member(internal, "offset");
    if (seq.len == 0 || offset.len == 0 || td_json_u64(seq, &job->report_seq) < 0 ||
        td_json_u64(offset, &job->text_offset) < 0)
        job->report_seq = job->text_offset = 0;
}

/* Negative: it is none. */
static double read_number(struct td_slice raw)
{
    char text[32];

    if (raw.len == 0 || raw.len >= sizeof(text) || td_json_type(raw) != TD_JSON_NUMBER)
        return -1;
    memcpy(text, raw.ptr, raw.len);
    text[raw.len] = '\0';
    return strtod(text, NULL);
}

static double read_progress(struct td_slice raw)
{
    double value = read_number(raw);

    return value > 0 && value <= 100 ? value : 0;
}

static uint64_t read_duration(struct td_slice raw)
{
    double seconds = read_number(raw);

    return seconds >= 0 && seconds < 1e9 ? (uint64_t)(seconds * 1000 + 0.5) : TD_AGENT_MS_UNKNOWN;
}

static void take_texts(struct td_job *job, const struct td_job_view *view)
{
    struct td_slice topic, content;

    job->kind_name = keep_text(job, view->kind);
    job->owner = keep_text(job, view->owner);
    job->actor = keep_raw(job, view->owner);
    job->viewers = keep_raw(job, view->viewers);
    job->request_id = keep_text(job, member(view->data, "request_id"));
    job->carried = keep_carried(job, member(view->internal, "carry"));
    job->known = keep_raw(job, member(view->internal, "params"));
    topic = keep_text(job, view->topic);
    if (topic.len > 0 && td_topic_valid(topic)) {
        memcpy(job->topic, topic.ptr, topic.len);
        job->topic_len = topic.len;
    }
    content = keep_text(job, member(view->internal, "content"));
    if (content.len < sizeof(job->content))
        memcpy(job->content, content.ptr ? content.ptr : "", content.len);
}

/* How far its agents had come, when it was written last; those that are not known any more are passed over. */
static void take_agents(struct td_job *job, const struct td_job_view *view)
{
    struct td_slice ignored, agent, agents = member(view->data, "agents");
    bool waits = td_json_string_is(view->state, "queued") ||
                 td_json_get(view->data, "external", &ignored); /* then no step is run here */
    struct td_json_iter it = td_json_iter(agents);

    /* That the first has begun is written with the second one only. */
    job->agents[0].status = waits ? TD_AGENT_WAITING : TD_AGENT_STARTED;
    job->agents[0].duration_ms = TD_AGENT_MS_UNKNOWN;
    while (agents.len > 0 && td_json_next(&it, &ignored, &agent)) {
        struct td_slice name = member(agent, "agent"), status = member(agent, "status");
        if (status.len == 0 || !td_json_plain(status, &status))
            continue;
        for (size_t i = 0; i < job->kind->n_steps; i++) {
            struct td_job_agent *at = &job->agents[i];
            if (!td_json_is(name, job->kind->steps[i]->spec->name) ||
                td_slice_eq(status, TD_S("waiting")))
                continue;
            at->status = td_agent_status_of(status);
            at->duration_ms = read_duration(member(agent, "duration"));
            if (at->status == TD_AGENT_STARTED)
                job->step = i;
        }
    }
}

/* A piece of its text, or another event of its topic. */
static void take_piece(struct td_job *job, const struct td_record *record)
{
    struct td_slice offset, content;
    uint64_t at;

    if (!td_slice_eq(record->key, td_job_id(job)) ||
        !td_json_get(record->data, "offset", &offset) || td_json_u64(offset, &at) < 0 ||
        !td_json_get(record->data, "content", &content) || td_json_type(content) != TD_JSON_STRING)
        return;
    job->text_offset = TD_MAX(job->text_offset, at + td_json_text_len(content));
    job->text_told = true;
}

/* A job as its last document says it was. */
static struct td_job *remake(struct td_jobs *jobs, const struct td_job_view *view, uint64_t seq)
{
    struct td_job *job = td_job_new(jobs, view->id);
    struct td_slice text;

    if (!job ||
        td_buf_reserve(&job->texts, TD_MIN(2 * view->data.len + 1024, job->texts.max)) < 0) {
        if (job)
            td_job_free(job);
        return NULL;
    }
    take_texts(job, view);
    td_job_be(job, td_catalog_find(jobs, job->kind_name));
    if (job->kind && job->kind->n_steps > 0) {
        job->agents = calloc(job->kind->n_steps, sizeof(*job->agents));
        if (!job->agents) {
            td_job_free(job);
            return NULL;
        }
    }
    if (job->agents)
        take_agents(job, view);
    if (!td_json_plain(view->created, &text) || td_time_parse(text, &job->created) < 0)
        job->created = td_clock_unix_ms();
    job->seq = seq;
    text = member(view->internal, "made");
    if (text.len == 0 || td_json_u64(text, &job->made) < 0)
        job->made = seq;
    job->state = TD_JOB_STATE_RUNNING;
    text = member(view->data, "started");
    if (text.len == 0 || !td_json_plain(text, &text) || td_time_parse(text, &job->started) < 0)
        job->started = 0;
    job->progress = read_progress(member(view->data, "progress"));
    text = member(view->internal, "text");
    job->text_told = text.len > 0 && td_json_type(text) == TD_JSON_TRUE;
    take_lease(job, view->internal);
    return job;
}

/* What of its text the log has: its worker goes on behind that.  0, or -EAGAIN. */
static int find_text(struct td_job *job)
{
    const struct td_jobs_log *log = &job->jobs->options.log;
    struct td_state_cursor cursor = {0};
    const char *records[PAGE];
    const struct td_wanted wanted = {
        .key = td_topic_key(td_journal_seed(log->journal), td_job_topic(job)),
        .pattern = td_job_topic(job),
        .exact = true,
    };
    struct td_state_read read = {
        .wanted = &wanted,
        .n_wanted = 1,
        .as_of = td_journal_readable(log->journal),
        .records = records,
        .records_max = PAGE,
        .cursor = &cursor,
    };

    do {
        log->walk(log->arg, &read);
        for (size_t i = 0; i < read.n; i++) {
            struct td_record record;
            td_record_view(records[i], &record);
            take_piece(job, &record);
        }
    } while (read.end == TD_READ_BUDGET);
    return read.end == TD_READ_COLD ? -EAGAIN : 0;
}

static bool tells_text(const struct td_job *job)
{
    return job->topic_len > 0 && job->kind && job->kind->events[TD_KIND_TEXT].len > 0;
}

/* One that was not ended. */
static int take_up(struct td_jobs *jobs, const struct td_job_view *view, uint64_t seq)
{
    struct td_job *job = remake(jobs, view, seq);

    if (!job)
        return -ENOMEM;
    int r = 0;
    /* An orphan's text, if it has told any, is no state any more: that is said without looking for it. */
    if (tells_text(job) && job->lease_s > 0)
        r = find_text(job);
    else if (tells_text(job) && !td_json_string_is(view->state, "queued"))
        job->text_told = true;
    if (r == 0)
        r = td_job_enter(job);
    if (r < 0) {
        td_job_free(job);
        return r;
    }
    if (job->lease_s == 0) {
        td_job_orphan(job, "The server was stopped while the job ran.");
        return 0;
    }
    job->began = td_clock_ns();
    if (td_json_string_is(view->state, "cancelling")) {
        job->state = TD_JOB_STATE_CANCELLING;
        job->why = TD_JOB_WHY_CANCEL;
    }
    td_job_renew(job);
    return 0;
}

static int take(struct td_jobs *jobs, const struct td_record *record)
{
    struct td_job_view view;
    struct td_slice state, kind, topic, raw;
    uint64_t made;

    if (!td_slice_eq(record->key, TD_S("job")) || td_job_read(record->data, &view) < 0 ||
        !td_json_plain(view.state, &state))
        return 0;
    if (td_json_plain(view.kind, &kind) && td_json_type(view.topic) == TD_JSON_STRING &&
        td_json_plain(view.topic, &topic)) {
        raw = member(view.internal, "made");
        if (raw.len == 0 || td_json_u64(raw, &made) < 0)
            made = record->seq;
        td_job_note_project(jobs, kind, topic, view.id, made);
    }
    if (!td_slice_eq(state, TD_S("queued")) && !td_slice_eq(state, TD_S("running")) &&
        !td_slice_eq(state, TD_S("cancelling")))
        return 0;
    return td_jobs_find(jobs, view.id) ? 0 : take_up(jobs, &view, record->seq);
}

int td_jobs_recover(struct td_jobs *jobs)
{
    const struct td_jobs_log *log = &jobs->options.log;
    struct td_wanted wanted = {.pattern = TD_S("jobs/*")};
    const char *records[PAGE];

    if (jobs->recovered)
        return 1;
    wanted.key = td_pattern_key(td_journal_seed(log->journal), wanted.pattern, &wanted.exact);
    struct td_state_read read = {
        .wanted = &wanted,
        .n_wanted = 1,
        .as_of = td_journal_readable(log->journal),
        .records = records,
        .records_max = PAGE,
        .topics_max = PAGE,
        .cursor = &jobs->recovering,
    };
    struct td_state_cursor page = jobs->recovering;
    log->walk(log->arg, &read);
    for (size_t i = 0; i < read.n; i++) {
        struct td_record record;
        td_record_view(records[i], &record);
        int r = take(jobs, &record);
        if (r < 0) {
            jobs->recovering = page; /* all of it again: what was taken up is found */
            return r;
        }
    }
    if (read.end == TD_READ_COLD)
        return -EAGAIN;
    if (read.end != TD_READ_DONE)
        return 0;
    jobs->recovered = true;
    if (jobs->n > 0)
        td_log(TD_LOG_WARN, "job", "%zu jobs had not ended when the server stopped", jobs->n);
    return 1;
}
