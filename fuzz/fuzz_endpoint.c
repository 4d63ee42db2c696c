/* SPDX-License-Identifier: Apache-2.0 */
/* Three lines: a template of a path, one of a topic, and the path of a request.  A request that is led to the endpoint has values that are
 * segments of topics, which lead there again; what the topic becomes with them is a pattern that matches no more than the template allows. */
#include "base/err.h"
#include "edge/endpoint.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Wildcards that stand in a text. */
static size_t stars(struct td_slice text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == '*';
    return n;
}

static void check_topic(const struct td_endpoint *endpoint, const struct td_endpoint_values *values)
{
    struct td_buf topic = TD_BUF_INIT(1024);
    int r = td_endpoint_expand(endpoint, values, endpoint->topics[0].pattern, &topic);

    must(r == 0 || r == TD_ETOOLARGE);
    /* Values are as long as segments may be: beside other text, or one behind the other, they may make too much. */
    if (r == 0 && td_pattern_valid(td_buf_slice(&topic)))
        must(stars(td_buf_slice(&topic)) == stars(endpoint->topics[0].pattern));
    td_buf_done(&topic);
}

static void check_request(const struct td_endpoints *endpoints, struct td_slice request)
{
    struct td_endpoint_values values, again;
    struct td_buf path = TD_BUF_INIT(4096);
    struct td_endpoint *endpoint = td_endpoints_find(endpoints, request, &values);

    if (!endpoint)
        return;
    for (size_t i = 0; i < endpoint->n_variables; i++)
        must(td_segment_valid(values.items[i]));
    values.sub = values.session = TD_S("x");
    must(td_endpoint_expand(endpoint, &values, endpoint->path, &path) == 0);
    must(td_endpoints_find(endpoints, td_buf_slice(&path), &again) == endpoint);
    for (size_t i = 0; i < endpoint->n_variables; i++)
        must(td_slice_eq(values.items[i], again.items[i]));
    check_topic(endpoint, &values);
    td_buf_done(&path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_slice rest = td_slice(size ? (const char *)data : NULL, size), path = {NULL, 0},
                    topic = {NULL, 0};
    struct td_endpoints endpoints = {0};
    struct td_endpoint *endpoint;
    struct td_buf why = TD_BUF_INIT(512);

    (void)td_slice_split(&rest, '\n', &path);
    (void)td_slice_split(&rest, '\n', &topic);
    if (!td_endpoint_path_valid(path) || !td_endpoint_topic_valid(topic))
        return 0;
    must(td_endpoint_path_eq(path, path));
    const struct td_endpoint_spec spec = {
        .name = TD_S("x"),
        .path = path,
        .rule = TD_S("any"),
        .topics = &topic,
        .n_topics = 1,
        .transports = TD_ENDPOINT_WEBSOCKET,
    };
    int r = td_endpoint_new(&spec, &endpoint, &why);
    must((r < 0) == (why.len > 0));
    if (r == 0) {
        must(td_endpoints_add(&endpoints, endpoint) == 0);
        check_request(&endpoints, rest);
    }
    td_endpoints_done(&endpoints);
    td_buf_done(&why);
    return 0;
}
