/* SPDX-License-Identifier: Apache-2.0 */
/* /metrics: what is counted, and where it comes from.  Labels have fixed values only; never topics or subjects. */
#include "api/metrics_text.h"
#include "desk/authorizer.h"
#include "os/usage.h"

/* A counter of the edge, summed over the workers.  Rows of one name stand next to each other, each with its own label. */
struct metric {
    const char *name, *labels, *type, *help;
    size_t offset; /* in struct td_edge_stat */
};

#define METRIC(name, type, counter, help)                                         \
    {                                                                             \
        "tidings_" name, NULL, type, help, offsetof(struct td_edge_stat, counter) \
    }
#define LABELLED(name, labels, counter, help)                                            \
    {                                                                                    \
        "tidings_" name, labels, "counter", help, offsetof(struct td_edge_stat, counter) \
    }

#define OPENED(transport, counter)                                               \
    LABELLED("connections_opened_total", "transport=\"" transport "\"", counter, \
             "Readers that began, by transport.")
#define GAPS(reason, number)                                      \
    LABELLED("gaps_total", "reason=\"" reason "\"", gaps[number], \
             "Gaps told to readers, by reason.")
#define RESUMES(result, number)                                         \
    LABELLED("resumes_total", "result=\"" result "\"", resumed[number], \
             "Streams that came back with a position, by whether they got all that they missed.")
#define FAILURES(reason, number)                                                    \
    LABELLED("auth_failures_total", "reason=\"" reason "\"", auth_failures[number], \
             "Requests without a valid token, by reason.")
#define LIMITED(limit, number)                                        \
    LABELLED("limited_total", "limit=\"" limit "\"", limited[number], \
             "What peers were refused, by the limit that they met.")

static const struct metric metrics[] = {
    METRIC("connections_accepted_total", "counter", accepted, "Connections accepted."),
    OPENED("websocket", ws_opened),
    OPENED("sse", sse_opened),
    OPENED("longpoll", polls),
    METRIC("tls_handshakes_total", "counter", tls_handshakes, "TLS handshakes that were finished."),
    METRIC("tls_failures_total", "counter", tls_failures,
           "TLS handshakes and sessions that failed."),
    METRIC("http_requests_total", "counter", http_requests, "HTTP requests served."),
    METRIC("http_errors_total", "counter", http_errors, "HTTP answers with status 400 or more."),
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
    GAPS("retention", TD_GAP_RETENTION),
    GAPS("epoch", TD_GAP_EPOCH),
    GAPS("unsynced", TD_GAP_UNSYNCED),
    GAPS("damaged", TD_GAP_DAMAGED),
    RESUMES("whole", TD_RESUMED_WHOLE),
    RESUMES("gap", TD_RESUMED_GAP),
    FAILURES("missing", TD_AUTH_MISSING),
    FAILURES("invalid", TD_AUTH_INVALID),
    FAILURES("expired", TD_AUTH_EXPIRED),
    LIMITED("body", TD_LIMITED_BODY),
    LIMITED("commands", TD_LIMITED_COMMANDS),
    LIMITED("connections", TD_LIMITED_CONNECTIONS),
    LIMITED("control_frames", TD_LIMITED_CONTROL_FRAMES),
    LIMITED("descriptors", TD_LIMITED_DESCRIPTORS),
    LIMITED("message", TD_LIMITED_MESSAGE),
    LIMITED("presence", TD_LIMITED_PRESENCE),
    LIMITED("publishes", TD_LIMITED_PUBLISHES),
    LIMITED("subscriptions", TD_LIMITED_SUBSCRIPTIONS),
    LIMITED("tokens", TD_LIMITED_TOKENS),
    METRIC("heartbeat_timeouts_total", "counter", heartbeat_timeouts,
           "Connections closed because the peer was silent."),
    METRIC("sent_bytes_total", "counter", bytes_sent, "Bytes sent."),
    METRIC("received_bytes_total", "counter", bytes_received, "Bytes received."),
    METRIC("outbox_bytes", "gauge", outbox_bytes,
           "Answers and control messages that wait for their sockets; as of the last second."),
};

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
#define SUM(api, counter) sum(api, offsetof(struct td_edge_stat, counter))

static void put_connections(const struct td_api *api, struct td_buf *out)
{
    uint64_t all = SUM(api, connections), ws = SUM(api, connections_ws),
             sse = SUM(api, connections_sse), poll = SUM(api, connections_poll);
    uint64_t readers = ws + sse + poll;

    td_metric_head(out, "tidings_connections", "gauge", "Open connections by transport.");
    td_metric_value(out, "tidings_connections", "transport=\"websocket\"", ws);
    td_metric_value(out, "tidings_connections", "transport=\"sse\"", sse);
    td_metric_value(out, "tidings_connections", "transport=\"longpoll\"", poll);
    /* The numbers are read one after the other while they change. */
    td_metric_value(out, "tidings_connections", "transport=\"http\"",
                    all > readers ? all - readers : 0);
}

static void put_closed(const struct td_api *api, struct td_buf *out)
{
    static const char name[] = "tidings_connections_closed_total";
    char label[32];

    td_metric_head(out, name, "counter", "Connections ended, by close code of the WebSocket.");
    for (size_t i = 0; i < TD_CLOSE_CODES + 2; i++) {
        if (i < TD_CLOSE_CODES)
            snprintf(label, sizeof(label), "code=\"%u\"", td_close_codes[i]);
        else
            snprintf(label, sizeof(label), "code=\"%s\"", i == TD_CLOSE_CODES ? "other" : "none");
        td_metric_value(out, name, label,
                        sum(api, offsetof(struct td_edge_stat, closed) + i * sizeof(uint64_t)));
    }
}

static void put_edge(const struct td_api *api, struct td_buf *out)
{
    struct td_histogram_sum delivery = {0};

    put_connections(api, out);
    put_closed(api, out);
    for (size_t i = 0; i < TD_ARRAY_LEN(metrics); i++) {
        const struct metric *metric = &metrics[i];
        if (i == 0 || strcmp(metric->name, metrics[i - 1].name) != 0)
            td_metric_head(out, metric->name, metric->type, metric->help);
        td_metric_value(out, metric->name, metric->labels, sum(api, metric->offset));
    }
    for (size_t i = 0; i < api->n_workers; i++)
        td_histogram_sum(&delivery, &api->workers[i]->stat.delivery);
    td_metric_histogram(out, "tidings_delivery_seconds",
                        "From an event's arrival to its being sent to all live readers of that "
                        "worker; one event of a broadcast is timed.",
                        &delivery);
}

/* Of the topics of no group with an empty name. */
static void put_groups(const struct td_api *api, struct td_buf *out)
{
    char label[TD_SEGMENT_LEN_MAX + 16];

    td_metric_head(out, "tidings_log_group_bytes", "gauge",
                   "Bytes of the events of a retention group in sealed segments.");
    for (size_t i = 0; i < td_journal_groups(api->journal); i++) {
        struct td_group_stat group;
        td_journal_group_stat(api->journal, i, &group);
        snprintf(label, sizeof(label), "group=\"%.*s\"", (int)group.name.len, group.name.ptr);
        td_metric_value(out, "tidings_log_group_bytes", label, group.bytes);
    }
}

static void put_journal(const struct td_api *api, struct td_buf *out)
{
    struct td_journal_stat stat;
    struct td_histogram_sum syncs = {0};

    td_journal_stat(api->journal, &stat);
    td_metric(out, "tidings_log_appended_total", "counter", "Events appended to the log.",
              stat.appended);
    td_metric(out, "tidings_log_syncs_total", "counter", "Times that the log was synced.",
              stat.synced_batches);
    td_histogram_sum(&syncs, td_journal_sync_times(api->journal));
    td_metric_histogram(out, "tidings_log_sync_seconds", "How long a sync of the log took.",
                        &syncs);
    td_metric(out, "tidings_log_append_failures_total", "counter", "Appends that failed.",
              stat.append_failures);
    td_metric(out, "tidings_log_sync_failures_total", "counter", "Syncs that failed.",
              stat.sync_failures);
    td_metric(out, "tidings_log_segments", "gauge", "Segments of the log.", stat.segments);
    td_metric(out, "tidings_log_bytes", "gauge", "Bytes of the log on disk.", stat.bytes);
    td_metric(out, "tidings_log_head", "gauge", "Sequence of the last event appended.", stat.head);
    td_metric(out, "tidings_log_durable", "gauge", "Sequence of the last event synced.",
              stat.durable);
    td_metric(out, "tidings_log_horizon", "gauge", "Sequence of the last event trimmed.",
              stat.horizon);
    td_metric(out, "tidings_log_dedup_keys", "gauge", "Idempotency keys remembered.",
              stat.dedup_keys);
    td_metric(out, "tidings_log_state_keys", "gauge", "Keys with retained state.", stat.state_keys);
    td_metric(out, "tidings_log_state_bytes", "gauge", "Memory of the table of state.",
              stat.state_bytes);
    put_groups(api, out);
    td_metric(out, "tidings_log_writable", "gauge", "1 when the log can be written.",
              td_journal_health(api->journal) == 0);
}

static void put_process(const struct td_api *api, struct td_buf *out)
{
    struct td_usage usage;
    char label[64];

    td_usage_read(&usage);
    td_metric_seconds(out, "process_cpu_seconds_total", "counter",
                      "User and system CPU time spent, in seconds.", usage.cpu);
    td_metric(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
              usage.resident_bytes);
    td_metric(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.", usage.virtual_bytes);
    td_metric(out, "process_open_fds", "gauge", "Open descriptors.", usage.descriptors);
    td_metric(out, "process_max_fds", "gauge", "How many descriptors may be open.",
              usage.descriptors_max);
    td_metric_seconds(out, "process_start_time_seconds", "gauge",
                      "When the server was started, in seconds since 1970.",
                      api->started * TD_NS_PER_MS);
    snprintf(label, sizeof(label), "version=\"%s\"", api->version ? api->version : "");
    td_metric_head(out, "tidings_build_info", "gauge", "1; the label says what runs.");
    td_metric_value(out, "tidings_build_info", label, 1);
}

static void put_audit(const struct td_audit *audit, struct td_buf *out)
{
    static const char name[] = "tidings_audit_total";
    char label[96];

    td_metric_head(out, name, "counter", "What the audit was told, by action and outcome.");
    for (int action = 0; action < TD_AUDIT_ACTIONS; action++) {
        for (int outcome = 0; outcome < TD_AUDIT_OUTCOMES; outcome++) {
            uint64_t n =
                atomic_load_explicit(&audit->counts[action][outcome], memory_order_relaxed);
            if (n == 0 && outcome != TD_AUDIT_DONE)
                continue; /* few actions have all outcomes */
            snprintf(label, sizeof(label), "action=\"%s\",outcome=\"%s\"",
                     td_audit_action_text((enum td_audit_action)action),
                     td_audit_outcome_text((enum td_audit_outcome)outcome));
            td_metric_value(out, name, label, n);
        }
    }
    td_metric(out, "tidings_audit_lost_total", "counter",
              "Audit events that could not be appended to the log.",
              atomic_load_explicit(&audit->lost, memory_order_relaxed));
}

static void put_authorizer(const struct td_authorizer_stat *stat, struct td_buf *out)
{
    static const char name[] = "tidings_authorizer_requests_total";
    static const char *const labels[TD_AUTHORIZER_RESULTS] = {
        "result=\"allowed\"", "result=\"denied\"", "result=\"timeout\"", "result=\"unreachable\"",
        "result=\"invalid\""};

    td_metric_head(out, name, "counter", "Questions to the authorizer, by how they ended.");
    for (size_t i = 0; i < TD_AUTHORIZER_RESULTS; i++)
        td_metric_value(out, name, labels[i],
                        atomic_load_explicit(&stat->results[i], memory_order_relaxed));
    td_metric(out, "tidings_authorizer_cache_hits_total", "counter",
              "Patterns for which an answer of the authorizer was remembered.",
              atomic_load_explicit(&stat->hits, memory_order_relaxed));
    td_metric(out, "tidings_authorizer_cache_entries", "gauge",
              "Answers of the authorizer that are remembered, and questions under way.",
              atomic_load_explicit(&stat->entries, memory_order_relaxed));
}

static void put_reload(const struct td_api_reload *reload, struct td_buf *out)
{
    td_metric(out, "tidings_config_last_reload_successful", "gauge",
              "0 when the last reload was refused, and the configuration in use is an older one.",
              !atomic_load(&reload->failed));
    td_metric_seconds(out, "tidings_config_last_reload_success_timestamp_seconds", "gauge",
                      "When the configuration in use was loaded, in seconds since 1970.",
                      atomic_load(&reload->success) * TD_NS_PER_MS);
}

void td_api_metrics(struct td_request *request, const struct td_api *api)
{
    struct td_buf out = TD_BUF_INIT(1024 * 1024);

    put_edge(api, &out);
    put_journal(api, &out);
    td_api_put_jobs(api, &out);
    put_process(api, &out);
    if (api->audit)
        put_audit(api->audit, &out);
    if (request->worker->desk)
        put_authorizer(td_desk_authorizer_stat(request->worker->desk), &out);
    if (api->reload)
        put_reload(api->reload, &out);
    td_metric(&out, "tidings_expect_failures_total", "counter",
              "Broken expectations inside the server; any is a bug.",
              atomic_load_explicit(&td_expect_failures, memory_order_relaxed));
    td_respond(request,
               &(struct td_response){.status = 200,
                                     .content_type = "text/plain; version=0.0.4; charset=utf-8",
                                     .body = td_buf_slice(&out),
                                     .err = out.err});
    td_buf_done(&out);
}
