/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/template.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_more(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

/* The length of the name in braces that `text` begins with, braces and all; 0 when it begins with none. */
static size_t name_at(struct td_slice text)
{
    size_t len = 1;

    if (text.len < 3 || text.ptr[0] != '{' || !is_letter(text.ptr[1]))
        return 0;
    while (len < text.len && len <= TD_TEMPLATE_NAME_MAX && is_more(text.ptr[len]))
        len++;
    return len < text.len && text.ptr[len] == '}' ? len + 1 : 0;
}

bool td_template_next(struct td_slice *rest, struct td_slice *ret_literal,
                      struct td_slice *ret_name)
{
    struct td_slice text = *rest;

    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        struct td_slice here = td_slice_from(text, i);
        if (here.ptr[0] != '{')
            continue;
        size_t name = name_at(here);
        bool is_escaped = here.len > 1 && here.ptr[1] == '{';
        if (name == 0 && !is_escaped)
            continue;
        *ret_literal = td_slice_to(text, is_escaped ? i + 1 : i);
        *ret_name = is_escaped ? (struct td_slice){NULL, 0} : td_slice(here.ptr + 1, name - 2);
        *rest = td_slice_from(here, is_escaped ? 2 : name);
        return true;
    }
    *ret_literal = text;
    *ret_name = (struct td_slice){NULL, 0};
    *rest = td_slice_from(text, text.len);
    return true;
}

int td_template_expand(struct td_slice template, td_template_value *value, void *arg,
                       struct td_buf *out)
{
    struct td_slice literal, name, text;

    while (td_template_next(&template, &literal, &name)) {
        td_buf_put(out, literal);
        if (name.ptr && value(arg, name, &text))
            td_buf_put(out, text);
    }
    return out->err;
}

bool td_template_has(struct td_slice template, struct td_slice name)
{
    struct td_slice literal, found;

    while (td_template_next(&template, &literal, &found))
        if (found.ptr && td_slice_eq(found, name))
            return true;
    return false;
}
