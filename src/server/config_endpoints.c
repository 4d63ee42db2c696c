/* SPDX-License-Identifier: Apache-2.0 */
/* The option `endpoints`: those that ship, which are configuration too, and those of the file, which come before them. */
#include "api/api.h"
#include "base/assert.h"
#include "base/err.h"
#include "server/config_schema.h"

/* src/server/endpoints.yaml, made by tools/embed.py. */
struct td_slice td_embedded_endpoints_yaml(void);

struct td_slice td_config_shipped_endpoints(void)
{
    return td_embedded_endpoints_yaml();
}

void td_config_ship_endpoints(struct td_config *config, struct td_buf *errors)
{
    td_config_read_yaml(config, "endpoints.yaml", td_config_shipped_endpoints(), errors);
    config->n_shipped_endpoints = config->endpoints.n;
}

static unsigned whole_seconds(uint64_t ms)
{
    return (unsigned)((ms + 999) / 1000);
}

/* The endpoint's own number where it has one. */
static uint64_t own(uint64_t of_endpoint, uint64_t of_all)
{
    return of_endpoint ? of_endpoint : of_all;
}

struct td_conn_limits td_config_conn_limits(const struct td_config *config,
                                            const struct td_config_endpoint *endpoint)
{
    static const struct td_config_endpoint none = {0};
    const struct td_config_endpoint *e = endpoint ? endpoint : &none;

    return (struct td_conn_limits){
        .subscriptions_max = (unsigned)own(e->subscriptions, config->limits.subscriptions),
        .commands_per_s = (unsigned)own(e->commands_per_second, config->limits.commands_per_second),
        .sends_per_s = (unsigned)own(e->sends_per_second, config->limits.sends_per_second),
        .ping_interval_s = whole_seconds(own(e->ping_interval_ms, config->heartbeat.interval_ms)),
        .pong_timeout_s = whole_seconds(own(e->pong_timeout_ms, config->heartbeat.timeout_ms)),
        .behind_timeout_s = whole_seconds(own(e->behind_timeout_ms, config->heartbeat.behind_ms)),
        .idle_timeout_s = whole_seconds(own(e->idle_timeout_ms, config->heartbeat.idle_ms)),
        .sse_interval_s = whole_seconds(own(e->stream_interval_ms, config->heartbeat.stream_ms)),
    };
}

static unsigned transports_of(const struct td_config_endpoint *endpoint)
{
    unsigned transports = 0;

    for (size_t i = 0; i < endpoint->transports.n; i++)
        transports |= td_slice_eq(endpoint->transports.items[i], TD_S("http"))
                          ? TD_ENDPOINT_HTTP
                          : TD_ENDPOINT_WEBSOCKET;
    return transports;
}

/* A fault of an endpoint: where it begins, which it is, and what is wrong. */
static void fault(const char *file, const struct td_config_endpoint *endpoint, const char *what,
                  struct td_buf *errors)
{
    td_buf_putf(errors, "%s:%u: endpoints.%s.%s\n", file, endpoint->line, endpoint->name.ptr, what);
}

static void compile_endpoint(struct td_config *config, const struct td_config_endpoint *endpoint,
                             const char *file, struct td_buf *errors)
{
    const struct td_endpoint_spec spec = {
        .name = endpoint->name,
        .path = endpoint->path,
        .rule = endpoint->rule,
        .topics = endpoint->topics.items,
        .n_topics = endpoint->topics.n,
        .filters = endpoint->filters.items,
        .n_filters = endpoint->filters.n,
        .topic_filters = endpoint->topic_filters.items,
        .n_topic_filters = endpoint->topic_filters.n,
        .transports = transports_of(endpoint),
        .format = (enum td_format)endpoint->format,
        .limits = td_config_conn_limits(config, endpoint),
        .connections_per_user = (unsigned)endpoint->connections_per_user,
        .replacements_per_min = (unsigned)endpoint->replacements_per_minute,
        .connections_per_path = (unsigned)endpoint->connections_per_path,
        .connections_per_address = (unsigned)endpoint->connections_per_address,
    };
    struct td_buf why = TD_BUF_INIT(512);
    struct td_endpoint *made;

    int r = td_endpoint_new(&spec, &made, &why);
    TD_ASSERT(r == 0 || r == TD_EINVAL); /* memory that is out ends a start, as everywhere here */
    td_buf_putc(&why, '\0');
    if (r < 0) {
        fault(file, endpoint, why.ptr, errors);
    } else if (td_endpoints_add(&config->served, made) < 0) {
        td_endpoint_unref(made);
        td_buf_putf(errors, "%s: endpoints: %d at most\n", file, TD_ENDPOINTS_MAX);
    }
    td_buf_done(&why);
}

/* Whether an entry of the file stands for another one. */
static bool replaces(const struct td_config_endpoint *a, const struct td_config_endpoint *b)
{
    return td_slice_eq(a->name, b->name) || td_endpoint_path_eq(a->path, b->path);
}

static void compile_own(struct td_config *config, size_t at, const char *file,
                        struct td_buf *errors)
{
    const struct td_config_endpoint *endpoint = &config->endpoints.items[at];

    if (endpoint->path.len == 0 && !endpoint->enabled)
        return; /* it takes one away by its name */
    if (endpoint->path.len == 0) {
        fault(file, endpoint, "path: name one, such as /ws/projects/{project_id}", errors);
        return;
    }
    if (td_api_has_path(endpoint->path)) {
        fault(file, endpoint, "path: the server itself answers there; choose another", errors);
        return;
    }
    for (size_t i = config->n_shipped_endpoints; i < at; i++) {
        if (!td_endpoint_path_eq(config->endpoints.items[i].path, endpoint->path))
            continue;
        fault(file, endpoint, "path: an entry above has the same; keep one of them", errors);
        return;
    }
    if (endpoint->enabled)
        compile_endpoint(config, endpoint, file, errors);
}

void td_config_compile_endpoints(struct td_config *config, const char *file, struct td_buf *errors)
{
    const struct td_config_endpoints *all = &config->endpoints;

    for (size_t i = config->n_shipped_endpoints; i < all->n; i++)
        compile_own(config, i, file, errors);
    for (size_t i = 0; i < config->n_shipped_endpoints; i++) {
        bool replaced = false;
        for (size_t j = config->n_shipped_endpoints; j < all->n; j++)
            replaced |= replaces(&all->items[j], &all->items[i]);
        if (!replaced)
            compile_endpoint(config, &all->items[i], "endpoints.yaml", errors);
    }
}
