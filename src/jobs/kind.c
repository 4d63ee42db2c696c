/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/kind.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/json.h"
#include "jobs/kind_check.h"
#include "jobs/template.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#define REPEAT_MAX      255
#define TEMPERATURE_MAX 15 /* bytes of a number */

static const char *const event_names[TD_KIND_EVENTS] = {
    [TD_KIND_START] = "start",       [TD_KIND_STATUS] = "status",
    [TD_KIND_PROGRESS] = "progress", [TD_KIND_OUTPUT] = "output",
    [TD_KIND_TEXT] = "text",         [TD_KIND_LOG] = "log",
    [TD_KIND_STEP] = "step",         [TD_KIND_COMPLETE] = "complete",
    [TD_KIND_ERROR] = "error",       [TD_KIND_CANCELLED] = "cancelled",
};

void td_kind_fault(struct td_kind_check *check, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    td_buf_putf(check->errors, "jobs.kinds.%.*s: %s\n", (int)check->kind->spec->name.len,
                check->kind->spec->name.ptr, text);
    check->faults++;
}

/* ---- the forms of texts ---- */

static bool is_name(struct td_slice text)
{
    struct td_buf braces = TD_BUF_INIT(TD_TEMPLATE_NAME_MAX + 2);
    struct td_slice literal, name = {NULL, 0};
    bool dotted =
        text.len > 0 && (memchr(text.ptr, '.', text.len) || memchr(text.ptr, '-', text.len));

    td_buf_putf(&braces, "{%.*s}", (int)TD_MIN(text.len, (size_t)TD_TEMPLATE_NAME_MAX + 1),
                text.ptr ? text.ptr : "");
    struct td_slice rest = td_buf_slice(&braces);
    bool good = braces.err == 0 && td_template_next(&rest, &literal, &name) && name.ptr &&
                rest.len == 0 && !dotted;
    td_buf_done(&braces);
    return good;
}

/* Takes `NAME?=REGEX` apart. */
static bool split_param(struct td_slice text, struct td_slice *ret_name, bool *ret_optional,
                        struct td_slice *ret_regex)
{
    const char *equals = text.len > 0 ? memchr(text.ptr, '=', text.len) : NULL;

    if (!equals)
        return false;
    struct td_slice name = td_slice_to(text, (size_t)(equals - text.ptr));
    *ret_regex = td_slice_from(text, name.len + 1);
    *ret_optional = name.len > 0 && name.ptr[name.len - 1] == '?';
    name.len -= *ret_optional;
    *ret_name = name;
    return is_name(name) && ret_regex->len > 0;
}

bool td_kind_param_valid(struct td_slice text)
{
    struct td_slice name, regex;
    bool optional;

    return split_param(text, &name, &optional, &regex);
}

/* Which event `text` names, and under what name; negative: none. */
static int split_event(struct td_slice text, struct td_slice *ret_name)
{
    struct td_slice rest = text, event;

    if (!td_slice_split(&rest, '=', &event) || !rest.ptr || !td_segment_valid(rest))
        return -1;
    *ret_name = rest;
    for (int i = 0; i < TD_KIND_EVENTS; i++)
        if (td_slice_eq(event, td_slice_str(event_names[i])))
            return i;
    return -1;
}

bool td_kind_event_valid(struct td_slice text)
{
    struct td_slice name;

    return split_event(text, &name) >= 0;
}

bool td_kind_who_valid(struct td_slice text)
{
    struct td_slice role = TD_S("role:");

    return td_slice_eq(text, TD_S("publish")) || td_slice_eq(text, TD_S("any")) ||
           (td_slice_starts(text, role) && text.len > role.len);
}

bool td_kind_extra_valid(struct td_slice text)
{
    struct td_slice json;

    return td_json_check(text, &json, NULL) == 0 && td_json_type(json) == TD_JSON_OBJECT;
}

double td_kind_temperature(struct td_slice text)
{
    char number[TEMPERATURE_MAX + 1] = "-1";

    if (text.len > 0 && text.len <= TEMPERATURE_MAX) {
        memcpy(number, text.ptr, text.len);
        number[text.len] = '\0';
    }
    return strtod(number, NULL);
}

bool td_kind_temperature_valid(struct td_slice text)
{
    struct td_slice json;

    return text.len <= TEMPERATURE_MAX && td_json_check(text, &json, NULL) == 0 &&
           td_json_type(json) == TD_JSON_NUMBER && td_kind_temperature(json) >= 0 &&
           td_kind_temperature(json) <= 2;
}

/* ---- one kind ---- */

int td_kind_param(const struct td_kind *kind, struct td_slice name)
{
    for (size_t i = 0; i < kind->n_params; i++)
        if (td_slice_eq(kind->params[i].name, name))
            return (int)i;
    return -1;
}

bool td_param_fits(const struct td_param *param, struct td_slice value)
{
    return value.len <= TD_PARAM_BYTES_MAX && !memchr(value.ptr, '\0', value.len) &&
           regexec(&param->regex, value.ptr, 0, NULL, 0) == 0;
}

/* Matching a value against a repeat takes time that grows with the square of its bound: some 30 s for 20,000. */
static bool repeats_often(struct td_slice regex)
{
    unsigned bound = 0;
    bool inside = false;

    for (size_t i = 0; i < regex.len; i++) {
        char c = regex.ptr[i];
        if (c == '\\')
            i++;
        bool is_digit = c >= '0' && c <= '9';
        inside = c == '{' || (inside && (is_digit || c == ','));
        bound = inside && is_digit ? bound * 10 + (unsigned)(c - '0') : 0;
        if (bound > REPEAT_MAX)
            return true;
    }
    return false;
}

static bool compile_regex(struct td_kind_check *check, struct td_param *param,
                          struct td_slice regex)
{
    struct td_buf whole = TD_BUF_INIT(4096);
    char why[128];

    if (repeats_often(regex)) {
        td_kind_fault(check,
                      "params: the pattern of %.*s repeats more than %d times; write + or *, a "
                      "value is 64 KiB at most",
                      (int)param->name.len, param->name.ptr, REPEAT_MAX);
        return false;
    }
    td_buf_putf(&whole, "^(%.*s)$", (int)regex.len, regex.ptr);
    td_buf_putc(&whole, '\0');
    if (whole.err < 0) {
        td_kind_fault(check, "params: the pattern of %.*s is longer than 4 KiB",
                      (int)param->name.len, param->name.ptr);
        td_buf_done(&whole);
        return false;
    }
    int r = regcomp(&param->regex, whole.ptr, REG_EXTENDED | REG_NOSUB);
    td_buf_done(&whole);
    if (r == 0)
        return true;
    (void)regerror(r, &param->regex, why, sizeof(why));
    td_kind_fault(check, "params: the pattern of %.*s is no POSIX extended regular expression: %s",
                  (int)param->name.len, param->name.ptr, why);
    return false;
}

static void compile_params(struct td_kind_check *check, struct td_kind *kind)
{
    const struct td_slices texts = kind->spec->params;

    if (texts.n > TD_KIND_PARAMS_MAX)
        td_kind_fault(check, "params: %d at most", TD_KIND_PARAMS_MAX);
    for (size_t i = 0; i < TD_MIN(texts.n, (size_t)TD_KIND_PARAMS_MAX); i++) {
        struct td_param param = {0};
        struct td_slice regex;
        bool good = split_param(texts.items[i], &param.name, &param.optional, &regex);
        TD_ASSERT(good); /* td_kind_param_valid has seen it */
        if (td_kind_is_given(param.name))
            td_kind_fault(check, "params: %.*s is given by the server and can't be declared",
                          (int)param.name.len, param.name.ptr);
        else if (td_kind_param(kind, param.name) >= 0)
            td_kind_fault(check, "params: %.*s stands twice", (int)param.name.len, param.name.ptr);
        else if (compile_regex(check, &param, regex))
            kind->params[kind->n_params++] = param;
    }
}

static void compile_events(struct td_kind_check *check, struct td_kind *kind)
{
    const struct td_slices texts = kind->spec->events;
    struct td_slice name = {NULL, 0};

    for (size_t i = 0; i < texts.n; i++) {
        int event = split_event(texts.items[i], &name);
        TD_ASSERT(event >= 0); /* td_kind_event_valid has seen it */
        if (kind->events[event].len > 0)
            td_kind_fault(check, "events: %s stands twice", event_names[event]);
        kind->events[event] = name;
    }
}

static void compile_who(struct td_kind *kind)
{
    struct td_slice who = kind->spec->who, role = TD_S("role:");

    kind->who = td_slice_eq(who, TD_S("any")) ? TD_WHO_ANY : TD_WHO_PUBLISH;
    if (td_slice_starts(who, role)) {
        kind->who = TD_WHO_ROLE;
        kind->role = td_slice_from(who, role.len);
    }
}

/* ---- the set ---- */

static void compile_steps(struct td_kind_check *check, const struct td_kinds *kinds,
                          struct td_kind *kind)
{
    const struct td_slices steps = kind->spec->steps;

    for (size_t i = 0; i < steps.n && i < TD_KIND_STEPS_MAX; i++) {
        const struct td_kind *step = td_kinds_find(kinds, steps.items[i]);
        int len = (int)steps.items[i].len;
        const char *name = steps.items[i].ptr;
        if (!step)
            td_kind_fault(check, "steps: there is no kind named %.*s", len, name);
        else if (step == kind)
            td_kind_fault(check, "steps: it would run itself for ever");
        else if (step->spec->runner != TD_RUNNER_COMMAND && step->spec->runner != TD_RUNNER_LLM)
            td_kind_fault(check, "steps: %.*s is neither a command nor an llm; a step must be", len,
                          name);
        else
            kind->steps[kind->n_steps++] = step;
    }
    if (steps.n > TD_KIND_STEPS_MAX)
        td_kind_fault(check, "steps: %d at most", TD_KIND_STEPS_MAX);
}

int td_kinds_new(const struct td_kind_spec *specs, size_t n, struct td_kinds **ret_kinds,
                 struct td_buf *errors)
{
    struct td_kinds *kinds = calloc(1, sizeof(*kinds));
    struct td_kind_check check = {.errors = errors};

    if (kinds && n > 0)
        kinds->items = calloc(TD_MIN(n, (size_t)TD_KINDS_MAX), sizeof(*kinds->items));
    if (!kinds || (n > 0 && !kinds->items)) {
        free(kinds);
        return -ENOMEM;
    }
    if (n > TD_KINDS_MAX) {
        td_buf_putf(errors, "jobs.kinds: %d at most\n", TD_KINDS_MAX);
        check.faults++;
    }
    for (size_t i = 0; i < TD_MIN(n, (size_t)TD_KINDS_MAX); i++) {
        struct td_kind *kind = check.kind = &kinds->items[i];
        kind->spec = &specs[i];
        kind->index = i;
        if (specs[i].name.len == 0) {
            td_buf_putf(errors, "jobs.kinds: entry %zu has no name\n", i + 1);
            check.faults++;
        } else if (td_kinds_find(kinds, specs[i].name)) {
            td_kind_fault(&check, "stands twice");
        }
        kinds->n++;
        compile_params(&check, kind);
        compile_events(&check, kind);
        compile_who(kind);
    }
    for (size_t i = 0; i < kinds->n; i++) {
        check.kind = &kinds->items[i];
        compile_steps(&check, kinds, &kinds->items[i]);
        td_kind_check(&check, &kinds->items[i]);
    }
    if (check.faults > 0) {
        td_kinds_free(kinds);
        return TD_EINVAL;
    }
    *ret_kinds = kinds;
    return 0;
}

void td_kinds_free(struct td_kinds *kinds)
{
    if (!kinds)
        return;
    for (size_t i = 0; i < kinds->n; i++)
        for (size_t j = 0; j < kinds->items[i].n_params; j++)
            regfree(&kinds->items[i].params[j].regex);
    free(kinds->items);
    free(kinds);
}

const struct td_kind *td_kinds_find(const struct td_kinds *kinds, struct td_slice name)
{
    for (size_t i = 0; kinds && i < kinds->n; i++)
        if (td_slice_eq(kinds->items[i].spec->name, name))
            return &kinds->items[i];
    return NULL;
}
