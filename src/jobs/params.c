/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/params.h"
#include "base/err.h"
#include "base/json.h"
#include "base/topic.h"
#include <errno.h>

static int refuse(struct td_buf *why, int err, struct td_slice name, const char *what)
{
    td_buf_putf(why, "Parameter %.*s %s", (int)TD_MIN(name.len, (size_t)64), name.ptr, what);
    return err;
}

/* Appends a value as text with a NUL behind it. */
static int take_text(struct td_params *params, struct td_slice name, struct td_slice raw,
                     size_t nth, struct td_buf *why)
{
    size_t at = params->_text.len;
    int r = 0;

    switch (td_json_type(raw)) {
    case TD_JSON_STRING:
        if (td_json_text_len(raw) > TD_PARAM_BYTES_MAX)
            return refuse(why, TD_ETOOLARGE, name, "is longer than 64 KiB.");
        r = td_json_unescape(raw, &params->_text);
        params->_values[nth].is_text = true;
        break;
    case TD_JSON_NUMBER:
    case TD_JSON_TRUE:
    case TD_JSON_FALSE: r = td_buf_put(&params->_text, raw); break;
    case TD_JSON_OBJECT:
    case TD_JSON_ARRAY:
    case TD_JSON_NULL:
        return refuse(why, TD_EINVAL, name, "must be a text, a number or a boolean.");
    }
    size_t len = params->_text.len - at;
    if (r == 0)
        r = td_buf_putc(&params->_text, '\0');
    if (r == TD_ETOOLARGE)
        return refuse(why, r, name, "is too much: parameters are 256 KiB at most, together.");
    params->_values[nth].at = at;
    params->_values[nth].len = len;
    params->_values[nth].is_there = r == 0;
    return r;
}

/* Takes one member.  What is there already must be the same. */
static int take(struct td_params *params, struct td_slice name, struct td_slice raw,
                bool declared_only, struct td_buf *why)
{
    struct td_slice text, before, after;
    int nth = td_json_plain(name, &text) ? td_kind_param(params->kind, text) : -1;
    bool is_null = td_json_type(raw) == TD_JSON_NULL;

    if (nth < 0 && declared_only)
        return 0;
    if (nth < 0)
        return refuse(why, TD_EINVAL, td_slice(name.ptr + 1, name.len - 2),
                      "is not one of this kind of job.");
    if (is_null)
        return 0;
    bool repeated = td_params_value(params, (size_t)nth, &before);
    size_t at = params->_values[nth].at;
    int r = take_text(params, text, raw, (size_t)nth, why);
    if (r < 0 || !repeated)
        return r;
    before.ptr = params->_text.ptr + at; /* the buffer may have moved */
    if (td_params_value(params, (size_t)nth, &after) && !td_slice_eq(before, after))
        return refuse(why, TD_EINVAL, text, "is given twice, with two values.");
    return r;
}

static int take_all(struct td_params *params, struct td_slice json, bool declared_only,
                    struct td_buf *why)
{
    struct td_slice name, value;
    int r = 0;

    if (json.len == 0)
        return 0;
    if (td_json_type(json) != TD_JSON_OBJECT) {
        td_buf_puts(why, "`params` must be an object.");
        return TD_EINVAL;
    }
    struct td_json_iter it = td_json_iter(json);
    while (r == 0 && td_json_next(&it, &name, &value))
        r = take(params, name, value, declared_only, why);
    return r;
}

static int check(const struct td_params *params, size_t nth, struct td_buf *why)
{
    const struct td_param *param = &params->kind->params[nth];
    struct td_slice value;

    if (!td_params_value(params, nth, &value))
        return param->optional ? 0 : refuse(why, TD_EINVAL, param->name, "is missing.");
    if (!td_param_fits(param, value))
        return refuse(why, TD_EINVAL, param->name,
                      "does not have the form that its kind asks for.");
    if (param->is_segment && !td_segment_valid(value))
        return refuse(why, TD_EINVAL, param->name,
                      "stands in a topic, so it must be 1 to 64 bytes A-Z a-z 0-9 . _ ~ @ : -.");
    return 0;
}

int td_params_take(struct td_params *params, const struct td_kind *kind, struct td_slice given,
                   struct td_slice json, struct td_buf *why)
{
    *params = (struct td_params){.kind = kind, ._text = TD_BUF_INIT(TD_PARAMS_BYTES_MAX)};
    int r = td_buf_reserve(&params->_text, TD_MIN(given.len + json.len + 256, TD_PARAMS_BYTES_MAX));
    if (r == 0)
        r = take_all(params, given, true, why);
    if (r == 0)
        r = take_all(params, json, false, why);
    for (size_t i = 0; r == 0 && i < kind->n_params; i++)
        r = check(params, i, why);
    return r;
}

void td_params_done(struct td_params *params)
{
    td_buf_done(&params->_text);
}

bool td_params_value(const struct td_params *params, size_t nth, struct td_slice *ret_value)
{
    if (!params->_values[nth].is_there)
        return false;
    *ret_value = td_slice(params->_text.ptr + params->_values[nth].at, params->_values[nth].len);
    return true;
}

static bool is_carried(const struct td_kind *kind, struct td_slice name)
{
    for (size_t i = 0; i < kind->spec->carry.n; i++)
        if (td_slice_eq(kind->spec->carry.items[i], name))
            return true;
    return false;
}

void td_params_put(const struct td_params *params, enum td_params_which which, struct td_buf *out)
{
    struct td_slice value;

    for (size_t i = 0; i < params->kind->n_params; i++) {
        struct td_slice name = params->kind->params[i].name;
        bool put = which == TD_PARAMS_ALL || is_carried(params->kind, name) ||
                   (which == TD_PARAMS_SEEN && params->kind->params[i].is_segment);
        if (!put || !td_params_value(params, i, &value))
            continue;
        td_buf_putf(out, ",\"%.*s\":", (int)name.len, name.ptr);
        if (params->_values[i].is_text)
            td_json_put_string(out, value);
        else
            td_buf_put(out, value);
    }
}
