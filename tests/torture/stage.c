/* SPDX-License-Identifier: Apache-2.0 */
/* The server on its stage. */
#include "stage.h"
#include "base/assert.h"
#include "base/err.h"
#include "calls.h"
#include "edge/quota.h"
#include "os/clock.h"

/* ---- tokens ---- */

static void sign(struct stage *stage, struct td_buf *token, td_unix_ms exp)
{
    const struct td_slice admin = TD_S("admin");
    const struct td_claims claims = {
        .sub = TD_S("ann"),
        .roles = {&admin, 1},
        .exp = exp,
    };

    td_buf_init(token, TD_TOKEN_LEN_MAX);
    MUST(td_token_sign(stage->issuer.keys, &stage->issuer.rules, &claims, token) == 0, "no token");
}

static void auth_begin(struct stage *stage)
{
    const char *why = "";
    struct td_keys *keys = td_keys_new();
    const struct td_key key = {
        .alg = TD_S("HS256"),
        .secret = TD_S("a secret of the stage, which is long enough"),
    };

    MUST(keys && td_keys_add(keys, &key, &why) == 0, "no key: %s", why);
    stage->issuer.keys = keys;
    stage->auth.issuers = &stage->issuer;
    stage->auth.n_issuers = 1;
    sign(stage, &stage->token, td_clock_unix_ms() + UINT64_C(1000) * 86400 * 365);
    sign(stage, &stage->stale, td_clock_unix_ms() - 1000);
}

static void endpoint_begin(struct stage *stage, const struct td_endpoint_spec *spec)
{
    struct td_endpoint *endpoint;
    struct td_buf why = TD_BUF_INIT(256);

    MUST(td_endpoint_new(spec, &endpoint, &why) == 0 &&
             td_endpoints_add(&stage->endpoints, endpoint) == 0,
         "no endpoint: %.*s", (int)why.len, why.ptr);
}

static void endpoints_begin(struct stage *stage)
{
    const struct td_slice topics[] = {
        TD_S("t/{team}"),
        TD_S("enhance/{sub}/{session}/**"),
        TD_S("users/{sub}/** where team={team}"),
    };
    struct td_endpoint_spec spec = {
        .name = TD_S("ws"),
        .path = TD_S("/ws"),
        .rule = TD_S("any"),
        .transports = TD_ENDPOINT_WEBSOCKET,
        .format = TD_FORMAT_ENTITY,
        .limits = stage->edge.limits,
    };

    endpoint_begin(stage, &spec);
    spec.name = TD_S("board");
    spec.path = TD_S("/boards/{team}");
    spec.rule = TD_S("subscribe");
    spec.topics = topics;
    spec.n_topics = TD_ARRAY_LEN(topics);
    spec.connections_per_user = 1;
    spec.replacements_per_min = 1000000;
    spec.connections_per_path = 10;
    endpoint_begin(stage, &spec);
    stage->edge.endpoints = &stage->endpoints;
    stage->quota = td_quota_new();
    MUST(stage->quota, "no quota");
}

/* ---- life ---- */

static int make_worker(struct stage *stage)
{
    int listener = td_net_listen("127.0.0.1:8000", false, NULL);

    MUST(listener >= 0, "listen: %s", td_err_name(listener));
    stage->api = (struct td_api){
        .workers = &stage->worker,
        .n_workers = 1,
        .journal = stage->journal,
    };
    const struct td_worker_options options = {
        .edge = &stage->edge,
        .handler = {td_api_admit, td_api_handle, &stage->api},
        .journal = stage->journal,
        .quota = stage->quota,
        .listeners = &listener,
        .n_listeners = 1,
    };
    if (stage->armed)
        calls_arm();
    int r = td_worker_new(&options, &stage->worker);
    if (stage->armed)
        calls_disarm();
    if (r < 0)
        stage->worker = NULL;
    return r;
}

int stage_boot(struct stage *stage)
{
    struct td_journal_report report = {0};

    if (stage->armed)
        calls_arm();
    int r = td_journal_open(&stage->log, &stage->journal, &report);
    if (stage->armed)
        calls_disarm();
    if (r < 0) {
        stage->journal = NULL;
        return r;
    }
    MUST(report.cut_records == 0 && report.damaged_ranges == 0, "the log is damaged");
    r = make_worker(stage);
    if (r < 0) {
        td_journal_close(stage->journal);
        stage->journal = NULL;
    }
    return r;
}

static void check_closed(void)
{
    MUST(td_sim_maps_open() == 0 && td_sim_files_open() == 0 && td_sim_sockets_open() == 0,
         "%zu mappings, %zu files and %zu sockets are left", td_sim_maps_open(),
         td_sim_files_open(), td_sim_sockets_open());
}

void stage_down(struct stage *stage)
{
    td_worker_free(stage->worker);
    stage->worker = NULL;
    if (stage->journal)
        td_journal_close(stage->journal);
    stage->journal = NULL;
    stage->draining = false;
    check_closed();
}

void stage_restart(struct stage *stage)
{
    bool armed = stage->armed;

    stage->armed = false;
    stage_down(stage);
    int r = stage_boot(stage);
    MUST(r == 0, "the log does not open again: %s", td_err_name(r));
    stage->armed = armed;
}

void stage_begin(struct stage *stage)
{
    *stage = (struct stage){0};
    td_sim_reset(1);
    td_rng_init(&stage->rng, 1);
    td_sim_net_set(&(struct td_sim_net_faults){.delay_max = TD_NS_PER_MS, .room = 4096});
    auth_begin(stage);
    stage->log = (struct td_journal_options){
        .dir = "data/log",
        .segment_bytes = 16384,
        .retain_bytes = 8 * 16384,
    };
    stage->edge = (struct td_edge_options){
        .message_bytes_max = 8192,
        .body_bytes_max = 16384,
        .events_max = 64,
        .page_events_max = 100,
        .limits.subscriptions_max = 16,
        .limits.commands_per_s = 1000,
        .connections_max = 100,
        .pending_publishes_max = 8,
        .limits.ping_interval_s = 30,
        .limits.pong_timeout_s = 10,
        .limits.behind_timeout_s = 40,
        .limits.idle_timeout_s = 600,
        .limits.sse_interval_s = 15,
        .head_timeout_s = 30,
        .request_timeout_s = 30,
        .drain_s = 5,
        .poll_max_s = 20,
        .auth = &stage->auth,
        .query_token = true,
        .compression = true,
        .compression_bytes_min = 65536, /* only what comes is compressed */
    };
    endpoints_begin(stage);
    stage->strict = true;
}

void stage_end(struct stage *stage)
{
    stage_down(stage);
    td_buf_done(&stage->token);
    td_buf_done(&stage->stale);
    td_endpoints_done(&stage->endpoints);
    td_quota_free(stage->quota);
    td_keys_unref(stage->issuer.keys);
    td_sim_reset(1);
}

/* ---- at work ---- */

static void turn_journal(struct stage *stage, int (*step)(struct td_journal *journal))
{
    if (stage->armed)
        calls_arm();
    (void)step(stage->journal); /* what failed is seen in the log's health, and tried again */
    if (stage->armed)
        calls_disarm();
}

static void turn_worker(struct stage *stage)
{
    if (!stage->worker || !td_sim_loop_ready(stage->worker->loop))
        return;
    if (stage->armed)
        calls_arm();
    bool on = td_worker_turn(stage->worker, -1);
    if (stage->armed)
        calls_disarm();
    MUST(on || stage->draining, "the worker ends by itself");
    if (!on) {
        td_worker_free(stage->worker);
        stage->worker = NULL;
    }
}

void stage_turn(struct stage *stage)
{
    td_ns now = td_clock_ns(), next = td_sim_next_ns();

    /* To the next arrival, or so far that the log tries again what has failed. */
    td_sim_advance(next > now && next - now < 20 * TD_NS_PER_MS ? next - now + 1
                                                                : 20 * TD_NS_PER_MS);
    if (!stage->journal)
        return;
    turn_worker(stage);
    turn_journal(stage, td_journal_commit_step);
    if (stage->keeping || !stage->armed)
        turn_journal(stage, td_journal_keep_step);
    turn_worker(stage);
}

void stage_pass(struct stage *stage, unsigned ms)
{
    td_ns until = td_clock_ns() + ms * TD_NS_PER_MS;

    while (td_clock_ns() < until && stage->worker)
        stage_turn(stage);
}

/* ---- the truth ---- */

static void check_said(struct stage *stage, const unsigned *found)
{
    bool trimmed = td_journal_horizon(stage->journal) > 0;

    for (unsigned i = 1; i <= stage->n_said; i++) {
        const struct said *said = &stage->said[i];

        MUST(found[i] <= 1, "event %u is in the log %u times", i, found[i]);
        MUST(said->fate != FATE_ACKED || found[i] == 1 || trimmed,
             "event %u was answered, and is not in the log", i);
        MUST(said->fate != FATE_REFUSED || found[i] == 0, "event %u was refused, and is in the log",
             i);
        MUST(i == 1 || said->batch != said[-1].batch || found[i] == found[i - 1] || trimmed,
             "events %u and %u were sent as one, and one of them is in the log", i - 1, i);
    }
}

void stage_audit(struct stage *stage)
{
    static unsigned found[STAGE_EVENTS_MAX];
    char line[128], since[64] = "earliest";
    unsigned last = 0;
    struct td_slice body, rest;

    memset(found, 0, sizeof(found));
    for (bool more = true; more;) {
        struct td_buf page = TD_BUF_INIT(TD_MIB);

        snprintf(line, sizeof(line), "GET /api/v1/events?topic=**&limit=100&since=%s", since);
        unsigned status = client_ask(stage, client_request(stage, line, "", TD_S("")), &page);
        MUST(status == 200, "the log can't be read: %u", status);
        body = rest = td_buf_slice(&page);
        const char *at;
        while ((at = rest.len ? memmem(rest.ptr, rest.len, "\"n\":", 4) : NULL)) {
            unsigned number = number_of(rest);
            MUST(number > 0 && number <= stage->n_said, "event %u was never sent", number);
            MUST(number > last || stage->n_said == 0, "event %u stands behind %u", number, last);
            found[number]++;
            last = number;
            rest = td_slice_from(rest, (size_t)(at - rest.ptr) + 4);
        }
        more = memmem(body.ptr, body.len, "\"more\":true", 11) != NULL;
        at = memmem(body.ptr, body.len, "\"position\":\"", 12);
        MUST(at, "a page without a position");
        snprintf(since, sizeof(since), "%.*s", (int)strcspn(at + 12, "\""), at + 12);
        td_buf_done(&page);
    }
    check_said(stage, found);
}
