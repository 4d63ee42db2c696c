/* SPDX-License-Identifier: Apache-2.0 */
/* A project as its newest generation leaves it: what GET /api/projects/{id} shows. */
#include "base/err.h"
#include "base/json.h"
#include "jobs/internal.h"

static void put(struct td_buf *out, const char *name, struct td_slice data, const char *member,
                const char *absent)
{
    struct td_slice raw;

    td_buf_putf(out, ",\"%s\":", name);
    if (data.len > 0 && td_json_get(data, member, &raw))
        td_buf_put(out, raw);
    else
        td_buf_puts(out, absent);
}

static int put_project(const struct td_job_project *project, struct td_slice data,
                       struct td_buf *out)
{
    td_buf_puts(out, "{\"id\":");
    td_json_put_string(out, project->id);
    td_buf_puts(out, ",\"name\":");
    if (project->name.len > 0)
        td_buf_put(out, project->name);
    else
        td_json_put_string(out, project->id);
    put(out, "status", data, "status", "\"new\"");
    put(out, "progress", data, "progress", "0");
    put(out, "job_id", data, "job_id", "null");
    put(out, "agents", data, "agents", "[]");
    put(out, "logs", data, "logs", "[]");
    put(out, "result", data, "result", "null");
    put(out, "error", data, "error", "null");
    return td_buf_putc(out, '}');
}

static int show_live(struct td_job *job, const struct td_job_project *project,
                     struct td_job_answer *answer)
{
    struct td_buf data = TD_BUF_INIT(TD_JOB_SAID_MAX);

    td_job_write_for(job, answer);
    int r = td_job_put_document(job, true, &data);
    if (r == 0)
        r = put_project(project, td_buf_slice(&data), answer->body);
    td_buf_done(&data);
    return r;
}

int td_jobs_project(struct td_jobs *jobs, const struct td_job_project *project,
                    struct td_job_answer *answer)
{
    char topic[sizeof("projects/") + TD_SEGMENT_LEN_MAX];
    const struct td_slice none = {NULL, 0};
    struct td_record record;

    td_buf_puts(answer->why, "There is no such project, or you may not see it.");
    int len =
        snprintf(topic, sizeof(topic), "projects/%.*s", (int)project->id.len, project->id.ptr);
    struct td_slice name = td_slice(topic, (size_t)len);
    if (!td_principal_may_see(project->principal, name))
        return TD_ENOTFOUND;
    const struct td_job_latest *latest =
        td_map_get(&jobs->projects, td_topic_key(td_journal_seed(jobs->options.log.journal), name));
    struct td_job *job = latest ? td_jobs_find(jobs, td_slice(latest->id, TD_JOB_ID_LEN)) : NULL;
    if (job)
        return show_live(job, project, answer);
    int r = latest ? td_job_stored(jobs, td_slice(latest->id, TD_JOB_ID_LEN), &record) : 0;
    if (r < 0)
        return r;
    if (r == 0) /* without a job, or one that retention has dropped */
        return project->exists ? put_project(project, none, answer->body) : TD_ENOTFOUND;
    answer->position = answer->wait_for = record.seq;
    return put_project(project, record.data, answer->body);
}
