/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of a job, and templates.  What is taken has the form that the kind asks for, and says the same when it is written and taken again; a
 * text whose braces are doubled is itself once it is expanded. */
#include "base/json.h"
#include "fuzz.h"
#include "jobs/params.h"
#include "jobs/template.h"
#include <stdlib.h>

static void must(bool holds)
{
    if (!holds)
        abort();
}

static const struct td_kind *kind(void)
{
    static const struct td_slice params[] = {
        {"a=[a-z]{1,4}", 12},
        {"b?=[^x]*",     8 },
        {"c?=-?[0-9]+",  11}
    };
    static const struct td_slice argv[] = {
        {"run", 3}
    };
    static const struct td_kind_spec spec = {
        .name = {"k",     1},
        .who = {"any",   3},
        .topic = {"t/{a}", 5},
        .params = {params,  3},
        .argv = {argv,    1}
    };
    static struct td_kinds *kinds;
    struct td_buf errors = TD_BUF_INIT(4096);

    if (!kinds)
        must(td_kinds_new(&spec, 1, &kinds, &errors) == 0);
    td_buf_done(&errors);
    return &kinds->items[0];
}

static int take(struct td_params *params, struct td_slice json)
{
    struct td_buf why = TD_BUF_INIT(4096);
    int r = td_params_take(params, kind(), (struct td_slice){NULL, 0}, json, &why);

    must(r == 0 || why.len > 0);
    td_buf_done(&why);
    return r;
}

static void check_again(const struct td_params *params)
{
    struct td_buf members = TD_BUF_INIT((size_t)1024 * 1024),
                  json = TD_BUF_INIT((size_t)1024 * 1024);
    struct td_slice checked, before, after;
    struct td_params again;

    td_params_put(params, TD_PARAMS_ALL, &members);
    must(members.err == 0 && members.len > 0 && members.ptr[0] == ',');
    members.ptr[0] = '{';
    td_buf_put(&json, td_buf_slice(&members));
    td_buf_putc(&json, '}');
    must(td_json_check(td_buf_slice(&json), &checked, NULL) == 0);
    must(take(&again, checked) == 0);
    for (size_t i = 0; i < kind()->n_params; i++) {
        bool there = td_params_value(params, i, &before);
        must(td_params_value(&again, i, &after) == there);
        must(!there || (td_slice_eq(before, after) && td_param_fits(&kind()->params[i], before)));
    }
    td_params_done(&again);
    td_buf_done(&members);
    td_buf_done(&json);
}

static bool nothing(void *arg, struct td_slice name, struct td_slice *ret_value)
{
    (void)arg;
    must(name.len > 0 && name.len <= TD_TEMPLATE_NAME_MAX);
    *ret_value = name;
    return name.len % 2 == 0;
}

static void check_template(struct td_slice text)
{
    struct td_buf doubled = TD_BUF_INIT(2 * text.len + 1), out = TD_BUF_INIT(2 * text.len + 1);

    must(td_template_expand(text, nothing, NULL, &out) == 0 && out.len <= text.len);
    td_buf_reset(&out);
    for (size_t i = 0; i < text.len; i++) {
        td_buf_putc(&doubled, text.ptr[i]);
        if (text.ptr[i] == '{')
            td_buf_putc(&doubled, '{');
    }
    must(td_template_expand(td_buf_slice(&doubled), nothing, NULL, &out) == 0);
    must(td_slice_eq(td_buf_slice(&out), text));
    td_buf_done(&doubled);
    td_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_slice text = td_slice((const char *)data, size), json;
    struct td_params params;

    if (size > (size_t)64 * 1024)
        return 0;
    check_template(text);
    if (td_json_check(text, &json, NULL) < 0)
        return 0;
    if (take(&params, json) == 0)
        check_again(&params);
    td_params_done(&params);
    return 0;
}
