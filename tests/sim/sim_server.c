/* SPDX-License-Identifier: Apache-2.0 */
/* The world of the whole server: workers, hub, edge and API on the journal, with clients that speak real bytes. */
#include "base/assert.h"
#include "base/err.h"
#include "os/clock.h"
#include "server_world.h"

#define STEPS_MIN 200
#define STEPS_MAX 1200
/* After this long without trouble and without progress somebody is stuck; a link of 16 bytes in flight is only slow. */
#define STUCK_NS (60 * TD_NS_PER_S)
#define FINAL_NS (3600 * TD_NS_PER_S)

/* ---- the beginning ---- */

static void sign_token(struct srv_world *world, unsigned subject, const struct td_slice *subscribe,
                       size_t n, struct td_buf *token)
{
    const struct td_slice admin[] = {TD_S("admin")};
    const struct td_claims claims = {
        .sub = td_slice_str(srv_subject(subject)),
        .roles = {admin,     subject == 0 ? 1 : 0},
        .has_grants = true,
        .grants.subscribe = {subscribe, n                   },
        .exp = td_clock_unix_ms() + UINT64_C(1000) * 86400 * 365,
    };

    td_buf_init(token, TD_TOKEN_LEN_MAX);
    int err = td_token_sign(world->issuer.keys, &world->issuer.rules, &claims, token);
    TD_MUST(err == 0, "no token: %s", td_err_name(err));
}

static void sign_tokens(struct srv_world *world)
{
    static const char *const grants[SRV_SUBJECTS][4] = {
        {0              },
        {"**"           },
        {"a/**",          "p/*/q/1"},
        {"b/*",               "entities/t/*", "a/*/c"},
        {"p/**"},
    };

    for (unsigned i = 0; i < SRV_SUBJECTS; i++) {
        struct td_slice subscribe[5];
        size_t n = 0;

        while (n < 4 && grants[i][n]) {
            subscribe[n] = td_slice_str(grants[i][n]);
            n++;
        }
        sign_token(world, i, subscribe, n, &world->tokens[i]);
        subscribe[n] = TD_S(SRV_NOBODY);
        sign_token(world, i, subscribe, n + 1, &world->renewals[i]);
    }
}

static void auth_begin(struct srv_world *world)
{
    const char *why = "";
    struct td_keys *keys = td_keys_new();

    TD_ASSERT(keys);
    const struct td_key key = {
        .alg = TD_S("HS256"),
        .secret = TD_S("a secret of the simulator, long enough for it"),
    };
    TD_MUST(td_keys_add(keys, &key, &why) == 0, "no key: %s", why);
    world->issuer.keys = keys;
    world->auth.issuers = &world->issuer;
    world->auth.n_issuers = 1;
    sign_tokens(world);
}

/* Topics that are kept for longer or shorter than the others. */
static void groups(struct srv_world *world)
{
    static const struct td_slice bulk[] = {
        {"p/**", 4},
        {"b/*",  3},
    };
    static const struct td_slice rare[] = {
        {"entities/**", 11}
    };
    struct td_rng *rng = &world->rng;
    struct td_journal_options *log = &world->options;

    world->groups[0] = (struct td_retention_group){
        .name = TD_S("bulk"),
        .patterns = bulk,
        .n_patterns = TD_ARRAY_LEN(bulk),
        .retain_bytes = log->segment_bytes / (1 + td_rng_below(rng, 4)),
    };
    world->groups[1] = (struct td_retention_group){
        .name = TD_S("rare"),
        .patterns = rare,
        .n_patterns = TD_ARRAY_LEN(rare),
        .retain_ms = td_rng_one_in(rng, 2) ? 1000 + td_rng_below(rng, 10000) : 0,
    };
    log->groups = world->groups;
    log->n_groups = TD_ARRAY_LEN(world->groups);
}

/* The one endpoint that clients use here. */
static void endpoints_begin(struct srv_world *world)
{
    const struct td_endpoint_spec spec = {
        .name = TD_S("ws"),
        .path = TD_S("/ws"),
        .rule = TD_S("any"),
        .transports = TD_ENDPOINT_WEBSOCKET,
        .format = TD_FORMAT_ENTITY,
        .limits = world->edge.limits,
    };
    struct td_endpoint *endpoint;
    struct td_buf why = TD_BUF_INIT(256);

    TD_MUST(td_endpoint_new(&spec, &endpoint, &why) == 0 &&
                td_endpoints_add(&world->endpoints, endpoint) == 0,
            "no endpoint: %.*s", (int)why.len, why.ptr);
    world->edge.endpoints = &world->endpoints;
}

static void options(struct srv_world *world)
{
    struct td_rng *rng = &world->rng;
    struct td_journal_options *log = &world->options;

    log->dir = "data/log";
    log->durability = td_rng_one_in(rng, 3) ? TD_DURABILITY_FAST : TD_DURABILITY_FSYNC;
    log->segment_bytes = 16384 * (1 + td_rng_below(rng, td_rng_one_in(rng, 3) ? 4 : 1));
    log->retain_bytes = td_rng_one_in(rng, 3) ? 0 : log->segment_bytes * (1 + td_rng_below(rng, 4));
    log->retain_ms = td_rng_one_in(rng, 4) ? 1000 + td_rng_below(rng, 20000) : 0;
    if (td_rng_one_in(rng, 3))
        groups(world);
    world->edge = (struct td_edge_options){
        .message_bytes_max = 65536,
        .body_bytes_max = 262144,
        .events_max = 64,
        .page_events_max = 100,
        .limits.subscriptions_max = 16,
        .limits.commands_per_s = 1000,
        .connections_max = 1000,
        .limits.sends_per_s = td_rng_one_in(rng, 3) ? 1 + (unsigned)td_rng_below(rng, 50) : 0,
        .pending_publishes_max = 1 + (unsigned)td_rng_below(rng, 8),
        .limits.ping_interval_s = 3 + (unsigned)td_rng_below(rng, 28),
        .limits.pong_timeout_s = 10,
        .limits.behind_timeout_s = 40,
        .limits.idle_timeout_s = 600,
        .limits.sse_interval_s = 1 + (unsigned)td_rng_below(rng, 15),
        .head_timeout_s = 30,
        .request_timeout_s = 30,
        .drain_s = 5,
        .poll_max_s = 20,
        .auth = &world->auth,
    };
    endpoints_begin(world);
    world->classed = td_rng_one_in(rng, 4) ? 0 : 20 + (unsigned)td_rng_below(rng, 80);
    for (size_t i = 0; i < SRV_HOT; i++)
        world->hot[i] = (uint16_t)td_rng_below(rng, SRV_TOPICS);
    world->n_workers = 1 + (size_t)td_rng_below(rng, SRV_WORKERS);
    world->n_publishers = 1 + (size_t)td_rng_below(rng, SRV_PUBLISHERS);
    world->n_readers = 1 + (size_t)td_rng_below(rng, SRV_READERS);
    world->faults_allowed = td_rng_one_in(rng, 2);
    world->wall_jumps = td_rng_one_in(rng, 5);
    td_sim_net_set(&(struct td_sim_net_faults){
        .delay_max = td_rng_one_in(rng, 3) ? 200 * TD_NS_PER_MS : 0,
        .piece_max = td_rng_one_in(rng, 4) ? 1 + (size_t)td_rng_below(rng, 50) : 0,
        .sockets_max = td_rng_one_in(rng, 10) ? 3 : 0,
    });
    td_world_say("%s, segments of %llu, keeps %llu bytes, %llu ms, %zu groups, %zu workers, %zu "
                 "publishers, %zu readers",
                 log->durability == TD_DURABILITY_FAST ? "fast" : "fsync",
                 (unsigned long long)log->segment_bytes, (unsigned long long)log->retain_bytes,
                 (unsigned long long)log->retain_ms, log->n_groups, world->n_workers,
                 world->n_publishers, world->n_readers);
}

/* ---- faults ---- */

static void faults_end(struct srv_world *world)
{
    td_world_say("no more faults");
    td_sim_disk_set(&(struct td_sim_disk_faults){0});
    if (world->faults_on)
        world->trouble_until = td_clock_ns() + 10 * TD_NS_PER_S;
    world->faults_on = false;
}

static void excuse_all(struct srv_world *world)
{
    for (size_t i = 0; i < world->n_publishers; i++)
        world->publishers[i].link.excused = true;
    for (size_t i = 0; i < world->n_readers; i++)
        world->readers[i].link.excused = true;
}

static void faults_begin(struct srv_world *world)
{
    struct td_rng *rng = &world->rng;
    struct td_sim_disk_faults faults = {0};

    switch (td_rng_below(rng, 4)) {
    case 0:
        faults.space_bytes = td_sim_disk_used_bytes() + td_rng_below(rng, 50000);
        world->was_full = true;
        break;
    case 1: faults.fail_write_in = 1 + (unsigned)td_rng_below(rng, 20); break;
    case 2:
        faults.fail_sync_in = 1 + (unsigned)td_rng_below(rng, 20);
        world->sync_may_fail = true;
        break;
    default: faults.die_in = 1 + (unsigned)td_rng_below(rng, 60); break;
    }
    td_world_say("faults: space %llu, write %u, sync %u, die %u",
                 (unsigned long long)faults.space_bytes, faults.fail_write_in, faults.fail_sync_in,
                 faults.die_in);
    td_sim_disk_set(&faults);
    world->faults_on = world->blurred = true;
    excuse_all(world);
}

/* ---- steps ---- */

static void clients(struct srv_world *world)
{
    struct td_rng *rng = &world->rng;

    for (size_t i = 0; i < world->n_publishers; i++)
        if (world->final || td_rng_one_in(rng, 2))
            srv_publisher_step(world, &world->publishers[i]);
    for (size_t i = 0; i < world->n_readers; i++)
        if (world->final || td_rng_one_in(rng, 2))
            srv_reader_step(world, &world->readers[i]);
}

static void come_back(struct srv_world *world)
{
    if (td_sim_dead())
        srv_crash(world, td_rng_one_in(&world->rng, 2));
}

void srv_pass(struct srv_world *world, td_ns ns)
{
    td_sim_advance(ns);
    clients(world);
}

/* A long time in which everybody goes on. */
static void long_time(struct srv_world *world)
{
    uint64_t n = 1 + td_rng_below(&world->rng, td_rng_one_in(&world->rng, 6) ? 200 : 20);

    td_world_say("%llu ms pass", (unsigned long long)n * 200);
    while (n-- > 0) {
        srv_pass(world, 200 * TD_NS_PER_MS);
        srv_turn(world);
        come_back(world);
        srv_commit(world);
        come_back(world);
    }
}

static void step(struct srv_world *world)
{
    struct td_rng *rng = &world->rng;
    uint64_t deed = td_rng_below(rng, 1000);

    srv_pass(world, td_rng_below(rng, td_rng_one_in(rng, 4) ? 30 * TD_NS_PER_MS : TD_NS_PER_MS));
    if (deed < 600)
        srv_turn(world);
    if (deed > 400 && deed < 850)
        srv_commit(world);
    if (deed > 700 && deed < 850)
        srv_keep(world);
    if (deed >= 900 && deed < 910)
        long_time(world);
    else if (deed < 920 && deed >= 910 && world->faults_allowed)
        (world->faults_on ? faults_end : faults_begin)(world);
    else if (deed >= 920 && deed < 925)
        srv_crash(world, td_rng_one_in(rng, 2));
    else if (deed >= 925 && deed < 928)
        srv_stop(world);
    else if (deed >= 928 && deed < 935 && world->wall_jumps)
        td_sim_jump_wall((int64_t)td_rng_below(rng, 20000) - 10000);
    come_back(world);
}

/* ---- the end ---- */

static void lift_all(struct srv_world *world)
{
    faults_end(world);
    td_sim_net_set(&(struct td_sim_net_faults){0});
    for (size_t i = 0; i < world->n_publishers + world->n_readers; i++) {
        struct srv_link *link = i < world->n_publishers
                                    ? &world->publishers[i].link
                                    : &world->readers[i - world->n_publishers].link;

        link->stalled_until = 0;
        link->partitioned = false;
        if (!link->client)
            continue;
        td_sim_client_partition(link->client, false);
        td_sim_client_window(link->client, 65536);
    }
    if (td_journal_health(world->journal) == TD_ELOGFAILED)
        srv_crash(world, td_rng_one_in(&world->rng, 2));
    world->final = true;
}

static bool all_done(struct srv_world *world)
{
    for (size_t i = 0; i < world->n_publishers; i++)
        if (!srv_publisher_done(&world->publishers[i]))
            return false;
    for (size_t i = 0; i < world->n_readers; i++)
        if (!srv_reader_done(world, &world->readers[i]))
            return false;
    return true;
}

static void fail_stuck(struct srv_world *world)
{
    for (size_t i = 0; i < world->n_publishers; i++)
        TD_MUST(srv_publisher_done(&world->publishers[i]),
                "stuck: publisher %zu still waits for %zu answers", i,
                world->publishers[i].n_queue);
    for (size_t i = 0; i < world->n_readers; i++) {
        const struct srv_reader *reader = &world->readers[i];

        TD_MUST(srv_reader_done(world, reader),
                "stuck: reader %u (kind %d, phase %d) stands at %llu, the head is %llu%s",
                reader->number, (int)reader->kind, (int)reader->phase,
                (unsigned long long)reader->position, (unsigned long long)world->truth.position,
                reader->wants_caught_up && !reader->caught_up ? ", and is not caught up" : "");
    }
}

/* A number that changes when anybody gets on. */
static uint64_t progress(const struct srv_world *world)
{
    uint64_t sum = world->received + world->gaps;

    for (size_t i = 0; i < world->n_readers; i++)
        sum += world->readers[i].position;
    for (size_t i = 0; i < world->n_publishers; i++)
        sum += world->publishers[i].n_queue;
    return sum;
}

static void settle(struct srv_world *world)
{
    td_ns until = td_clock_ns() + FINAL_NS, moved_at = td_clock_ns();
    uint64_t last = progress(world);

    while (!all_done(world) && td_clock_ns() < until && td_clock_ns() - moved_at < STUCK_NS) {
        if (progress(world) != last) {
            last = progress(world);
            moved_at = td_clock_ns();
        }
        td_ns next = td_sim_next_ns(), now = td_clock_ns();

        srv_pass(world, next > now ? TD_MIN(next - now, 20 * TD_NS_PER_MS) : TD_NS_PER_MS);
        srv_turn(world);
        srv_commit(world);
        srv_keep(world);
        TD_MUST(!td_sim_dead(), "the process died although all is well");
    }
    fail_stuck(world);
}

/* Nobody is connected: nothing may be left of them. */
static void check_empty(struct srv_world *world)
{
    td_ns until = td_clock_ns() + 60 * TD_NS_PER_S;
    uint64_t left = 1;

    for (size_t i = 0; i < world->n_publishers; i++)
        srv_link_close(&world->publishers[i].link, td_rng_one_in(&world->rng, 2));
    for (size_t i = 0; i < world->n_readers; i++)
        srv_link_close(&world->readers[i].link, td_rng_one_in(&world->rng, 2));
    while (left > 0 && td_clock_ns() < until) {
        td_sim_advance(50 * TD_NS_PER_MS);
        srv_turn(world);
        left = 0;
        for (size_t i = 0; i < world->n_workers; i++)
            left += atomic_load(&world->workers[i]->stat.connections);
    }
    TD_MUST(left == 0, "%llu connections are left although nobody is there",
            (unsigned long long)left);
    TD_MUST(td_sim_sockets_open() == world->n_workers, "%zu sockets are open without connections",
            td_sim_sockets_open());
}

static void check_acked(struct srv_world *world)
{
    for (size_t i = 0; i < world->truth.n_said; i++) {
        const struct srv_said *said = &world->truth.said[i];

        TD_MUST(said->fate != SRV_ACKED || said->seq > 0 || said->class == TD_CLASS_EPHEMERAL ||
                    world->options.durability == TD_DURABILITY_FAST,
                "event %zu was acknowledged, and is not in the log", i + 1);
    }
}

static void finish(struct srv_world *world)
{
    srv_stop(world);
    check_acked(world);
    srv_audit(world);
    for (size_t i = 0; i < world->n_workers; i++)
        td_worker_free(world->workers[i]);
    td_journal_reader_close(world->eye);
    td_journal_close(world->journal);
    TD_MUST(td_sim_maps_open() == 0 && td_sim_files_open() == 0 && td_sim_sockets_open() == 0,
            "%zu mappings, %zu files and %zu sockets are left", td_sim_maps_open(),
            td_sim_files_open(), td_sim_sockets_open());
    srv_truth_done(&world->truth);
    for (size_t i = 0; i < SRV_SUBJECTS; i++) {
        td_buf_done(&world->tokens[i]);
        td_buf_done(&world->renewals[i]);
    }
    td_endpoints_done(&world->endpoints);
    td_keys_unref(world->issuer.keys);
    td_sim_reset(0);
}

static void run_server(uint64_t seed)
{
    static struct srv_world fresh;
    struct srv_world *world = &fresh;
    unsigned steps;

    *world = (struct srv_world){0};
    td_sim_reset(seed);
    td_rng_init(&world->rng, seed ^ UINT64_C(0x736572766572));
    auth_begin(world);
    options(world);
    steps = STEPS_MIN + (unsigned)td_rng_below(&world->rng, STEPS_MAX - STEPS_MIN);
    srv_boot(world);
    for (unsigned i = 0; i < world->n_readers; i++) {
        world->readers[i].number = i;
        srv_reader_new(world, &world->readers[i]);
    }
    for (td_world_step = 1; td_world_step <= steps; td_world_step++)
        step(world);
    lift_all(world);
    settle(world);
    check_empty(world);
    finish(world);
    td_world_say("%llu events, %llu received, %llu ephemeral, %llu joined, %llu as state, %llu "
                 "views, %llu gaps, %llu "
                 "connections, %llu crashes, %llu stops, "
                 "%llu trims, %llu retries",
                 (unsigned long long)world->published, (unsigned long long)world->received,
                 (unsigned long long)world->ephemeral, (unsigned long long)world->joined,
                 (unsigned long long)world->state_shown, (unsigned long long)world->views,
                 (unsigned long long)world->gaps, (unsigned long long)world->resumes,
                 (unsigned long long)world->crashes, (unsigned long long)world->closes,
                 (unsigned long long)world->trims, (unsigned long long)world->retries);
}

const struct td_world td_world_server = {"server", run_server};
