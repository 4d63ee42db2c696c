/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/kind_check.h"
#include "base/topic.h"
#include "jobs/template.h"

bool td_kind_is_given(struct td_slice name)
{
    return td_slice_eq(name, TD_S("sub")) || td_slice_eq(name, TD_S("job_id")) ||
           td_slice_eq(name, TD_S("session")) || td_slice_eq(name, TD_S("request_id"));
}

static bool is_result(struct td_slice name)
{
    return td_slice_starts(name, TD_S("result."));
}

/* ---- templates ---- */

static void check_names(struct td_kind_check *check, const char *field, struct td_slice text)
{
    struct td_slice literal, name;

    if (text.len > TD_KIND_TEXT_MAX)
        td_kind_fault(check, "%s: longer than 64 KiB", field);
    while (td_template_next(&text, &literal, &name)) {
        if (!name.ptr || td_kind_is_given(name) || td_kind_param(check->kind, name) >= 0)
            continue;
        if (!is_result(name))
            td_kind_fault(
                check, "%s: {%.*s} is no parameter; declare it in params, or write {{ for a brace",
                field, (int)name.len, name.ptr);
        else if (!check->kind->spec->internal)
            td_kind_fault(check, "%s: {%.*s} is known in a step only; say internal: true", field,
                          (int)name.len, name.ptr);
    }
}

static bool sample(void *arg, struct td_slice name, struct td_slice *ret_value)
{
    (void)arg;
    (void)name;
    *ret_value = TD_S("x");
    return true;
}

/* The topic as it is with every value one letter: its shape. */
static void check_shape(struct td_kind_check *check, struct td_slice topic)
{
    struct td_buf text = TD_BUF_INIT(TD_KIND_TEXT_MAX);
    int r = td_template_expand(topic, sample, NULL, &text);
    struct td_slice shape = td_buf_slice(&text);

    if (r < 0 || !td_topic_valid(shape))
        td_kind_fault(check, "topic: '%.*s' makes no valid topic",
                      (int)TD_MIN(topic.len, (size_t)200), topic.ptr);
    else if (td_topic_below(shape, TD_S("audit")) || td_topic_below(shape, TD_S("jobs")) ||
             td_topic_below(shape, TD_S("locks")) || td_topic_below(shape, TD_S("entities")))
        td_kind_fault(check, "topic: audit, jobs, locks and entities are the server's own");
    else if (td_topic_below(shape, TD_S("enhance")) && check->kind->who == TD_WHO_PUBLISH)
        td_kind_fault(check,
                      "who: must be any or role:NAME, because nobody may publish to enhance");
    td_buf_done(&text);
}

/* What stands in a topic has to be there, and be a segment. */
static void check_topic(struct td_kind_check *check, struct td_kind *kind)
{
    struct td_slice rest = kind->spec->topic, literal, name;

    if (rest.len == 0)
        return;
    check_names(check, "topic", rest);
    check_shape(check, rest);
    while (td_template_next(&rest, &literal, &name)) {
        int param = name.ptr ? td_kind_param(kind, name) : -1;
        if (name.ptr && is_result(name))
            td_kind_fault(check, "topic: a result can't stand in it");
        if (param < 0)
            continue;
        kind->params[param].is_segment = true;
        if (kind->params[param].optional)
            td_kind_fault(check, "topic: %.*s stands in it, so it can't be optional", (int)name.len,
                          name.ptr);
    }
}

/* ---- what belongs to which runner ---- */

static void check_command(struct td_kind_check *check, const struct td_kind *kind)
{
    const struct td_kind_spec *spec = kind->spec;

    if (spec->argv.n == 0 || spec->argv.items[0].len == 0)
        td_kind_fault(check, "argv: name the program and its arguments");
    if (spec->argv.n > TD_KIND_ARGS_MAX)
        td_kind_fault(check, "argv: %d at most", TD_KIND_ARGS_MAX);
    for (size_t i = 0; i < spec->argv.n; i++)
        check_names(check, "argv", spec->argv.items[i]);
    if (spec->argv.n > 0 && memchr(spec->argv.items[0].ptr, '{', spec->argv.items[0].len))
        td_kind_fault(check, "argv: which program it is can't depend on a parameter");
    check_names(check, "dir", spec->dir);
    for (size_t i = 0; i < spec->env.n; i++) {
        check_names(check, "env", spec->env.items[i]);
        if (spec->env.items[i].len == 0 || spec->env.items[i].ptr[0] == '=')
            td_kind_fault(check, "env: each must be NAME=VALUE, or NAME alone");
    }
}

static void check_llm(struct td_kind_check *check, const struct td_kind *kind)
{
    const struct td_kind_spec *spec = kind->spec;

    if (spec->url.len == 0)
        td_kind_fault(check, "url: where is the upstream? Name it here, or in llm.url for all");
    if (spec->prompt.len == 0)
        td_kind_fault(check, "prompt: what is it to be told?");
    if (spec->key_env.len > 0 && spec->key_file.len > 0)
        td_kind_fault(check, "key_env and key_file: name one of them");
    check_names(check, "prompt", spec->prompt);
    check_names(check, "system", spec->system);
}

/* Whether a name is that of a step, or of a member of its result: `STEP.MEMBER`. */
static bool names_step(struct td_slice name, const struct td_kind *step)
{
    struct td_slice of = step->spec->name;

    return td_slice_starts(name, of) && (name.len == of.len || name.ptr[of.len] == '.');
}

/* Whether `{result.NAME}` of a text is that of a step before number `n`. */
static void check_results(struct td_kind_check *check, const struct td_kind *kind, size_t n,
                          struct td_slice text)
{
    const struct td_kind_spec *step = kind->steps[n]->spec;
    struct td_slice literal, name;

    while (td_template_next(&text, &literal, &name)) {
        bool found = !name.ptr || !is_result(name);
        for (size_t i = 0; i < n && !found; i++)
            found = names_step(td_slice_from(name, strlen("result.")), kind->steps[i]);
        if (!found)
            td_kind_fault(check, "steps: %.*s wants {%.*s}, which is no step before it",
                          (int)step->name.len, step->name.ptr, (int)name.len, name.ptr);
    }
}

static void check_step(struct td_kind_check *check, const struct td_kind *kind, size_t n)
{
    const struct td_kind *step = kind->steps[n];

    for (size_t i = 0; i < n; i++)
        if (kind->steps[i] == step)
            td_kind_fault(check, "steps: %.*s stands twice", (int)step->spec->name.len,
                          step->spec->name.ptr);
    for (size_t i = 0; i < step->n_params; i++) {
        int param = td_kind_param(kind, step->params[i].name);
        struct td_slice name = step->params[i].name;
        if (step->params[i].optional || (param >= 0 && !kind->params[param].optional))
            continue;
        td_kind_fault(check, "params: its step %.*s needs %.*s; declare it here too",
                      (int)step->spec->name.len, step->spec->name.ptr, (int)name.len, name.ptr);
    }
    for (size_t i = 0; i < step->spec->argv.n; i++)
        check_results(check, kind, n, step->spec->argv.items[i]);
    check_results(check, kind, n, step->spec->prompt);
    check_results(check, kind, n, step->spec->system);
}

static void check_pipeline(struct td_kind_check *check, const struct td_kind *kind)
{
    if (kind->spec->steps.n == 0)
        td_kind_fault(check, "steps: name one kind at least");
    if (kind->spec->internal)
        td_kind_fault(check, "internal: a pipeline can't be a step, so nobody could start it");
    for (size_t i = 0; i < kind->n_steps; i++)
        check_step(check, kind, i);
}

static void check_fields(struct td_kind_check *check, const struct td_kind *kind)
{
    const struct td_kind_spec *spec = kind->spec;

    if (spec->runner != TD_RUNNER_COMMAND && spec->argv.n > 0)
        td_kind_fault(check, "argv: is for the runner command");
    if (spec->runner != TD_RUNNER_LLM && (spec->url.len > 0 || spec->prompt.len > 0))
        td_kind_fault(check, "url and prompt: are for the runner llm");
    if (spec->runner != TD_RUNNER_LLM && (spec->temperature.len > 0 || spec->extra.len > 0))
        td_kind_fault(check, "temperature and extra: are for the runner llm");
    if (spec->runner != TD_RUNNER_PIPELINE && spec->steps.n > 0)
        td_kind_fault(check, "steps: are for the runner pipeline");
}

void td_kind_check(struct td_kind_check *check, struct td_kind *kind)
{
    const struct td_kind_spec *spec = kind->spec;

    check_fields(check, kind);
    check_topic(check, kind);
    for (size_t i = 0; i < spec->carry.n; i++)
        if (td_kind_param(kind, spec->carry.items[i]) < 0)
            td_kind_fault(check, "carry: %.*s is no parameter", (int)spec->carry.items[i].len,
                          spec->carry.items[i].ptr);
    if (spec->topic.len == 0 && spec->events.n > 0)
        td_kind_fault(check, "events: need a topic to go to");
    if (spec->topic.len == 0 && !spec->internal && kind->who == TD_WHO_PUBLISH)
        td_kind_fault(check, "who: must be any or role:NAME where there is no topic");
    switch ((enum td_runner)spec->runner) {
    case TD_RUNNER_COMMAND: check_command(check, kind); break;
    case TD_RUNNER_LLM: check_llm(check, kind); break;
    case TD_RUNNER_PIPELINE: check_pipeline(check, kind); break;
    case TD_RUNNER_EXTERNAL:
        if (spec->internal)
            td_kind_fault(check, "internal: nobody could start it");
        break;
    }
}
