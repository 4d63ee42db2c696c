/* SPDX-License-Identifier: Apache-2.0 */
/* From a path to its endpoint and the values of its variables, and from a template with these to a topic. */
#include "base/err.h"
#include "codec/http1.h"
#include "edge/endpoint.h"
#include <stdlib.h>

static bool is_variable(struct td_slice segment)
{
    return segment.len > 0 && segment.ptr[0] == '{';
}

/* Walks two paths segment by segment: negative, 0 or positive, as the one stands before the other. */
static int compare(struct td_slice a, struct td_slice b)
{
    struct td_slice of_a, of_b;

    for (;;) {
        bool more_a = td_slice_split(&a, '/', &of_a), more_b = td_slice_split(&b, '/', &of_b);
        if (!more_a || !more_b)
            return (int)more_a - (int)more_b;
        bool variable_a = is_variable(of_a), variable_b = is_variable(of_b);
        if (variable_a != variable_b)
            return variable_a ? 1 : -1;
        int order = variable_a ? 0 : td_slice_cmp(of_a, of_b);
        if (order != 0)
            return order;
    }
}

bool td_endpoint_path_eq(struct td_slice a, struct td_slice b)
{
    return compare(a, b) == 0;
}

int td_endpoints_add(struct td_endpoints *endpoints, struct td_endpoint *endpoint)
{
    size_t at = endpoints->n;

    if (endpoints->n == TD_ENDPOINTS_MAX)
        return TD_ETOOLARGE;
    for (; at > 0 && compare(endpoint->path, endpoints->items[at - 1]->path) < 0; at--)
        endpoints->items[at] = endpoints->items[at - 1];
    endpoints->items[at] = endpoint;
    endpoints->n++;
    return 0;
}

void td_endpoints_done(struct td_endpoints *endpoints)
{
    while (endpoints->n > 0)
        td_endpoint_unref(endpoints->items[--endpoints->n]);
}

struct td_endpoint *td_endpoints_of_path(const struct td_endpoints *endpoints, struct td_slice path)
{
    for (size_t i = 0; endpoints && i < endpoints->n; i++)
        if (td_slice_eq(endpoints->items[i]->path, path))
            return endpoints->items[i];
    return NULL;
}

/* Decodes a segment into the place of the nth value; false when it is no segment of a topic then. */
static bool take_value(struct td_slice segment, size_t nth, struct td_endpoint_values *values)
{
    struct td_buf text = TD_BUF_INIT(TD_SEGMENT_LEN_MAX);
    char *place = values->_text + nth * TD_SEGMENT_LEN_MAX;
    bool good =
        td_http_unescape(segment, false, &text) == 0 && td_segment_valid(td_buf_slice(&text));

    if (good) {
        memcpy(place, text.ptr, text.len);
        values->items[nth] = td_slice(place, text.len);
    }
    td_buf_done(&text);
    return good;
}

static bool matches(struct td_slice template, struct td_slice path,
                    struct td_endpoint_values *values)
{
    struct td_slice want, got;
    size_t n = 0;

    while (td_slice_split(&template, '/', &want)) {
        if (!td_slice_split(&path, '/', &got))
            return false;
        if (is_variable(want) ? !take_value(got, n++, values) : !td_slice_eq(want, got))
            return false;
    }
    return !path.ptr;
}

struct td_endpoint *td_endpoints_find(const struct td_endpoints *endpoints, struct td_slice path,
                                      struct td_endpoint_values *ret_values)
{
    ret_values->sub = ret_values->session = (struct td_slice){NULL, 0};
    for (size_t i = 0; endpoints && i < endpoints->n; i++)
        if (matches(endpoints->items[i]->path, path, ret_values))
            return endpoints->items[i];
    return NULL;
}

struct td_slice td_endpoint_value(const struct td_endpoint *endpoint,
                                  const struct td_endpoint_values *values, struct td_slice name)
{
    if (td_slice_eq(name, TD_S("sub")))
        return values->sub;
    if (td_slice_eq(name, TD_S("session")))
        return values->session;
    for (size_t i = 0; i < endpoint->n_variables; i++)
        if (td_slice_eq(endpoint->variables[i], name))
            return values->items[i];
    return (struct td_slice){NULL, 0};
}

int td_endpoint_expand(const struct td_endpoint *endpoint, const struct td_endpoint_values *values,
                       struct td_slice template, struct td_buf *out)
{
    struct td_slice text, name;

    /* The template was checked: each brace has its mate. */
    while (td_slice_split(&template, '{', &text)) {
        td_buf_put(out, text);
        if (!template.ptr)
            break;
        (void)td_slice_split(&template, '}', &name);
        struct td_slice value = td_endpoint_value(endpoint, values, name);
        if (!value.ptr)
            return TD_ETOPIC;
        td_buf_put(out, value);
        if (!template.ptr)
            break;
    }
    return out->err;
}
