/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/value.h"
#include "base/json.h"
#include <errno.h>
#include <stdlib.h>

struct td_values_block {
    struct td_values_block *next;
    char text[];
};

bool td_job_value(void *arg, struct td_slice name, struct td_slice *ret_value)
{
    const struct td_job *job = arg;
    int nth = td_kind_param(job->kind, name);

    if (nth >= 0)
        return td_params_value(&job->params, (size_t)nth, ret_value);
    if (td_slice_eq(name, TD_S("job_id")))
        *ret_value = td_job_id(job);
    else if (td_slice_eq(name, TD_S("sub")))
        *ret_value = job->segment;
    else if (td_slice_eq(name, TD_S("session")))
        *ret_value = job->session;
    else if (td_slice_eq(name, TD_S("request_id")))
        *ret_value = job->request_id;
    else
        return false;
    return ret_value->len > 0;
}

/* A raw value as text: of a string what it says, of anything else its JSON. */
static bool text_of(struct td_values *values, struct td_slice raw, struct td_slice *ret_value)
{
    if (td_json_type(raw) != TD_JSON_STRING) {
        *ret_value = raw;
        return true;
    }
    if (td_json_plain(raw, ret_value))
        return true;
    struct td_buf text = TD_BUF_INIT(raw.len);
    struct td_values_block *block = malloc(sizeof(*block) + raw.len);
    bool good = block && td_json_unescape(raw, &text) == 0;
    if (good) {
        memcpy(block->text, text.ptr, text.len);
        *ret_value = td_slice(block->text, text.len);
        block->next = values->_blocks;
        values->_blocks = block;
    } else {
        free(block);
    }
    td_buf_done(&text);
    return good;
}

/* `STEP`, or `STEP.MEMBER` of a result that is an object. */
static bool result_value(struct td_values *values, struct td_slice name, struct td_slice *ret_value)
{
    const struct td_job *job = values->job;

    for (size_t i = 0; job->agents && i < job->kind->n_steps; i++) {
        struct td_slice step = job->kind->steps[i]->spec->name, raw;
        struct td_slice result = td_buf_slice(&job->agents[i].result);
        if (!td_slice_starts(name, step) || result.len == 0)
            continue;
        if (name.len == step.len)
            return text_of(values, result, ret_value);
        char member[TD_TEMPLATE_NAME_MAX + 1];
        struct td_slice rest = td_slice_from(name, step.len);
        if (rest.ptr[0] != '.' || rest.len > TD_TEMPLATE_NAME_MAX)
            continue;
        snprintf(member, sizeof(member), "%.*s", (int)rest.len - 1, rest.ptr + 1);
        return td_json_type(result) == TD_JSON_OBJECT && td_json_get(result, member, &raw) &&
               text_of(values, raw, ret_value);
    }
    return false;
}

static bool value(void *arg, struct td_slice name, struct td_slice *ret_value)
{
    struct td_values *values = arg;
    struct td_slice result = TD_S("result.");

    if (td_slice_starts(name, result))
        return result_value(values, td_slice_from(name, result.len), ret_value);
    return td_job_value((void *)(uintptr_t)values->job, name, ret_value);
}

static int put_document(const struct td_job *job, struct td_buf *out)
{
    struct td_buf params = TD_BUF_INIT(2 * 1024 * 1024);
    bool first = true;

    td_buf_puts(out, "{\"job_id\":\"");
    td_buf_put(out, td_job_id(job));
    td_buf_puts(out, "\",\"params\":{");
    td_params_put(&job->params, TD_PARAMS_ALL, &params);
    if (params.len > 0)
        td_buf_put(out, td_slice_from(td_buf_slice(&params), 1));
    td_buf_puts(out, "},\"results\":{");
    for (size_t i = 0; job->agents && i < job->kind->n_steps; i++) {
        struct td_slice result = td_buf_slice(&job->agents[i].result);
        if (result.len == 0)
            continue;
        if (!first)
            td_buf_putc(out, ',');
        first = false;
        td_json_put_string(out, job->kind->steps[i]->spec->name);
        td_buf_putc(out, ':');
        td_buf_put(out, result);
    }
    td_buf_puts(out, "}}");
    int r = params.err < 0 ? params.err : out->err;
    td_buf_done(&params);
    return r;
}

int td_values_init(struct td_values *values, const struct td_job *job)
{
    *values = (struct td_values){
        .job = job,
        ._document = TD_BUF_INIT(TD_KIND_STEPS_MAX * TD_JOB_RESULT_MAX + 4 * 1024 * 1024),
    };
    int r = put_document(job, &values->_document);
    values->input = (struct td_run_input){
        .document = td_buf_slice(&values->_document),
        .value = value,
        .arg = values,
    };
    return r;
}

void td_values_done(struct td_values *values)
{
    while (values->_blocks) {
        struct td_values_block *next = values->_blocks->next;
        free(values->_blocks);
        values->_blocks = next;
    }
    td_buf_done(&values->_document);
}
