/* SPDX-License-Identifier: Apache-2.0 */
/* /metrics, in the Prometheus text format (version 0.0.4).  Labels never carry topics or subjects. */
#include "api/api.h"
#include "base/assert.h"

struct metric {
    const char *name, *type, *help;
    size_t offset; /* of the counter in struct td_edge_stat */
};

#define METRIC(name, type, counter, help)                                   \
    {                                                                       \
        "tidings_" name, type, help, offsetof(struct td_edge_stat, counter) \
    }

static const struct metric metrics[] = {
    METRIC("connections", "gauge", connections, "Open connections of any kind."),
    METRIC("connections_websocket", "gauge", connections_ws, "Open WebSocket connections."),
    METRIC("connections_sse", "gauge", connections_sse, "Open event streams."),
    METRIC("connections_accepted_total", "counter", accepted, "Connections accepted."),
    METRIC("connections_refused_total", "counter", refused, "Connections refused by a limit."),
    METRIC("connections_closed_total", "counter", closed, "Connections ended."),
    METRIC("http_requests_total", "counter", http_requests, "HTTP requests served."),
    METRIC("http_errors_total", "counter", http_errors, "HTTP answers with status 400 or more."),
    METRIC("websocket_opened_total", "counter", ws_opened, "WebSocket connections opened."),
    METRIC("sse_opened_total", "counter", sse_opened, "Event streams opened."),
    METRIC("polls_total", "counter", polls, "Long-polls begun."),
    METRIC("events_published_total", "counter", published_events, "Events published."),
    METRIC("publish_requests_total", "counter", published_requests, "Publishes accepted."),
    METRIC("events_delivered_total", "counter", delivered, "Events sent to readers."),
    METRIC("delivery_sends_total", "counter", sends, "System calls that sent events."),
    METRIC("delivery_short_sends_total", "counter", short_sends,
           "Sends that a slow reader's socket did not take whole."),
    METRIC("wakeups_total", "counter", wakeups, "Times that a worker took up new events."),
    METRIC("subscriptions", "gauge", subscriptions, "Subscribed patterns over all connections."),
    METRIC("patterns", "gauge", patterns, "Distinct patterns subscribed."),
    METRIC("commands_total", "counter", commands, "Commands received on WebSocket."),
    METRIC("command_errors_total", "counter", command_errors, "Commands refused."),
    METRIC("gaps_total", "counter", gaps, "Gaps told to readers."),
    METRIC("auth_failures_total", "counter", auth_failures, "Requests without a valid token."),
    METRIC("limited_total", "counter", rate_limited, "Commands refused by a rate limit."),
    METRIC("heartbeat_timeouts_total", "counter", heartbeat_timeouts,
           "Connections closed because the peer was silent."),
    METRIC("sent_bytes_total", "counter", bytes_sent, "Bytes sent."),
    METRIC("received_bytes_total", "counter", bytes_received, "Bytes received."),
};

static void put(struct td_buf *out, const char *name, const char *type, const char *help,
                uint64_t value)
{
    td_buf_putf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name,
                (unsigned long long)value);
}

static uint64_t sum(const struct td_api *api, size_t offset)
{
    uint64_t total = 0;

    for (size_t i = 0; i < api->n_workers; i++) {
        const char *stat = (const char *)&api->workers[i]->stat;
        total += atomic_load_explicit((const _Atomic uint64_t *)(const void *)(stat + offset),
                                      memory_order_relaxed);
    }
    return total;
}

static void put_journal(const struct td_api *api, struct td_buf *out)
{
    struct td_journal_stat stat;

    td_journal_stat(api->journal, &stat);
    put(out, "tidings_log_appended_total", "counter", "Events appended to the log.", stat.appended);
    put(out, "tidings_log_syncs_total", "counter", "Times that the log was synced.",
        stat.synced_batches);
    put(out, "tidings_log_append_failures_total", "counter", "Appends that failed.",
        stat.append_failures);
    put(out, "tidings_log_sync_failures_total", "counter", "Syncs that failed.",
        stat.sync_failures);
    put(out, "tidings_log_segments", "gauge", "Segments of the log.", stat.segments);
    put(out, "tidings_log_bytes", "gauge", "Bytes of the log on disk.", stat.bytes);
    put(out, "tidings_log_head", "gauge", "Sequence of the last event appended.", stat.head);
    put(out, "tidings_log_durable", "gauge", "Sequence of the last event synced.", stat.durable);
    put(out, "tidings_log_horizon", "gauge", "Sequence of the last event trimmed.", stat.horizon);
    put(out, "tidings_log_dedup_keys", "gauge", "Idempotency keys remembered.", stat.dedup_keys);
    put(out, "tidings_log_writable", "gauge", "1 when the log can be written.",
        td_journal_health(api->journal) == 0);
}

void td_api_metrics(struct td_request *request, const struct td_api *api)
{
    struct td_buf out = TD_BUF_INIT(64 * 1024);

    for (size_t i = 0; i < TD_ARRAY_LEN(metrics); i++)
        put(&out, metrics[i].name, metrics[i].type, metrics[i].help, sum(api, metrics[i].offset));
    put_journal(api, &out);
    put(&out, "tidings_expect_failures_total", "counter",
        "Broken expectations inside the server; any is a bug.",
        atomic_load_explicit(&td_expect_failures, memory_order_relaxed));
    td_respond(request, &(struct td_response){.status = 200,
                                              .content_type = "text/plain; version=0.0.4",
                                              .body = td_buf_slice(&out)});
    td_buf_done(&out);
}
