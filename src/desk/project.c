/* SPDX-License-Identifier: Apache-2.0 */
#include "desk/project.h"
#include "base/err.h"
#include "base/json.h"
#include "base/topic.h"
#include "desk/entity.h"

static struct td_slice topic_of(struct td_slice id, char text[TD_TOPIC_LEN_MAX + 1])
{
    int len = snprintf(text, TD_TOPIC_LEN_MAX + 1, "entities/projects/%.*s", (int)id.len, id.ptr);

    return td_slice(text, (size_t)len);
}

int td_project_get(struct td_desk *desk, struct td_jobs *jobs, struct td_ask *ask,
                   struct td_job_answer *answer)
{
    struct td_slice id = ask->job.project_id, name = {NULL, 0};
    char text[TD_TOPIC_LEN_MAX + 1];
    struct td_entity entity = {0};

    if (!td_segment_valid(id)) {
        td_buf_puts(answer->why, "There is no such project, or you may not see it.");
        return TD_ENOTFOUND;
    }
    int r = td_entity_find(desk, topic_of(id, text), &entity);
    if (r < 0)
        return r;
    if (entity.exists && td_json_type(entity.payload) == TD_JSON_OBJECT &&
        (!td_json_get(entity.payload, "name", &name) || td_json_type(name) != TD_JSON_STRING))
        name.len = 0;
    const struct td_job_project project = {ask->principal, id, name, entity.exists};
    r = td_jobs_project(jobs, &project, answer);
    if (r == 0 && entity.exists && entity.record.seq > answer->wait_for)
        answer->position = answer->wait_for = entity.record.seq;
    return r;
}

bool td_project_of_start(const struct td_ask *ask, struct td_slice *ret_id)
{
    const struct td_slice sources[] = {ask->job.given, ask->job.params};
    struct td_slice raw;

    if (ask->job.what != TD_ASK_JOB_START || !td_slice_eq(ask->job.kind, TD_S("generate")))
        return false;
    for (size_t i = 0; i < TD_ARRAY_LEN(sources); i++)
        if (sources[i].len > 0 && td_json_type(sources[i]) == TD_JSON_OBJECT &&
            td_json_get(sources[i], "project_id", &raw) && td_json_type(raw) == TD_JSON_STRING &&
            td_json_plain(raw, ret_id) && td_segment_valid(*ret_id))
            return true;
    return false;
}

int td_project_look(struct td_desk *desk, struct td_slice id)
{
    char text[TD_TOPIC_LEN_MAX + 1];
    struct td_entity entity;

    return td_entity_find(desk, topic_of(id, text), &entity);
}

int td_project_make(struct td_desk *desk, const struct td_principal *principal, struct td_slice id)
{
    char text[TD_TOPIC_LEN_MAX + 1], document[2 * TD_SEGMENT_LEN_MAX + 32];
    struct td_slice topic = topic_of(id, text);
    struct td_entity entity = {0};
    struct td_buf data = TD_BUF_INIT(1024);
    uint64_t seq;

    int r = td_entity_find(desk, topic, &entity);
    if (r < 0 || entity.exists)
        return r;
    snprintf(document, sizeof(document), "{\"id\":\"%.*s\",\"name\":\"%.*s\"}", (int)id.len, id.ptr,
             (int)id.len, id.ptr);
    td_entity_wrap(&data, td_slice_str(document), 1);
    const struct td_draft draft = {
        .topic = topic,
        .type = TD_S("ENTITY_CREATED"),
        .key = TD_ENTITY_KEY,
        .data = td_buf_slice(&data),
        .actor = principal->subject_json,
    };
    r = data.err < 0 ? data.err
                     : td_desk_append(desk,
                                      &(struct td_batch){.drafts = &draft,
                                                         .n = 1,
                                                         .expect = true,
                                                         .expect_topic = topic,
                                                         .expect_seq = entity.last},
                                      &seq);
    td_buf_done(&data);
    return r;
}
