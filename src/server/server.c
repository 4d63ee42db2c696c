/* SPDX-License-Identifier: Apache-2.0 */
#include "server/server.h"
#include "api/api.h"
#include "audit/audit.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/log.h"
#include "desk/jobs.h"
#include "edge/presence.h"
#include "edge/quota.h"
#include "edge/worker.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/launcher.h"
#include "os/process.h"
#include "os/thread.h"
#include "server/jwks.h"
#include "server/open_journal.h"
#include "server/reload.h"
#include "server/setup.h"
#include "server/watch.h"
#include <errno.h>

_Static_assert(TD_CONFIG_LISTEN_MAX <= TD_LISTENERS_MAX, "each is a listener");

struct server {
    const struct td_server_options *options;
    struct td_launcher launcher;
    struct td_journal *journal;
    struct td_setups setups;
    struct td_watch watch;
    struct td_api_reload reload;
    struct td_api api;
    struct td_worker **workers;
    struct td_thread *threads;
    size_t n_workers, n_started;
    struct td_quota *quota;
    struct td_reserved reserved, busy;
    struct td_presence *presence;
    struct td_desk *desk;
    struct td_audit audit;
    struct td_jwks *jwks;
    int signals;
    int bell; /* rung when there are new keys */
    char bound[TD_LISTENERS_MAX][TD_ADDR_LEN_MAX + 1];
};

static void write_line(struct td_slice line)
{
    /* Where the log can't be written there is nobody to tell. */
    (void)!td_write_all(2, line.ptr, line.len);
}

static void open_log(const struct td_config *config)
{
    td_log_open(&(struct td_log_sink){
        .write = write_line,
        .now = td_clock_unix_ms,
        .level = (enum td_log_level)config->log.level,
        .json = config->log.format == 0,
    });
}

static int failed(const char *what, const char *name, int err)
{
    td_log(TD_LOG_ERROR, "start", "%s %s: %s (%s)", what, name, td_err_name(err), td_err_hint(err));
    return err;
}

/* The addresses that speak HTTP, then those that speak TLS. */
static const char *address_at(const struct td_config *config, size_t i)
{
    return i < config->listen.n ? config->listen.items[i].ptr
                                : config->tls.listen.items[i - config->listen.n].ptr;
}

/* Each worker has listeners of its own on the same ports; the kernel spreads connections over them. */
static int listen_for(struct server *server, size_t number, int *ret_sockets, size_t *ret_n)
{
    const struct td_config *config = server->options->config;

    for (size_t i = 0; i < config->listen.n + config->tls.listen.n; i++) {
        /* The first worker may have been given a port by the kernel; the others join it. */
        const char *address = number == 0 ? address_at(config, i) : server->bound[i];
        int socket =
            td_net_listen(address, server->n_workers > 1, number == 0 ? server->bound[i] : NULL);
        if (socket < 0) {
            for (size_t j = 0; j < i; j++)
                td_net_close(ret_sockets[j]);
            return failed("can't listen on", address, socket);
        }
        ret_sockets[i] = socket;
        *ret_n = i + 1;
    }
    return 0;
}

static int make_worker(struct server *server, size_t number)
{
    int sockets[TD_LISTENERS_MAX];
    size_t n = 0;

    int r = listen_for(server, number, sockets, &n);
    if (r < 0)
        return r;
    const struct td_worker_options options = {
        .number = (unsigned)number,
        .edge = &server->setups.current->edge,
        .handler = {td_api_admit, td_api_handle, &server->api},
        .journal = server->journal,
        .quota = server->quota,
        .presence = server->presence,
        .desk = server->desk,
        .audit = &server->audit,
        .reserved = &server->reserved,
        .busy = &server->busy,
        .listeners = sockets,
        .n_listeners = n,
        .n_tls_listeners = server->options->config->tls.listen.n,
    };
    r = td_worker_new(&options, &server->workers[number]);
    return r < 0 ? failed("a worker", "", r) : 0;
}

static void ring(void *arg)
{
    const struct server *server = arg;

    td_bell_ring(server->bell);
}

static int open_jwks(struct server *server)
{
    server->bell = td_bell_open();
    int r = server->bell < 0 ? server->bell : td_jwks_new(ring, server, &server->jwks);

    return r < 0 ? failed("fetching keys", "", r) : 0;
}

static int open_desk(struct server *server)
{
    struct td_config *config = server->options->config;
    struct td_desk_jobs_options options = {
        .launcher = &server->launcher,
        .reserved = &server->reserved,
        .busy = &server->busy,
    };

    int r = td_desk_new(server->journal, &server->desk);
    if (r < 0)
        return r;
    td_desk_audit(server->desk, &server->audit);
    options.kinds = td_config_lend_kinds(config, &options.limits);
    return td_desk_open_jobs(server->desk, &options);
}

static int make_workers(struct server *server)
{
    const struct td_config *config = server->options->config;
    size_t n = config->workers;

    server->quota = td_quota_new();
    server->presence = td_presence_new(&(struct td_presence_options){
        .topics = config->presence.topics.items,
        .n_topics = config->presence.topics.n,
        .entries_max = config->presence.entries,
        .announce_max = config->presence.announce,
    });
    if (!server->quota || !server->presence)
        return -ENOMEM;
    int r = open_desk(server);
    if (r < 0)
        return failed("the desk", "", r);
    server->setups.n_workers = n;
    server->setups.jwks = server->jwks;
    server->setups.desk = server->desk;
    server->setups.revocations = td_desk_revocations(server->desk);
    r = td_setups_load(&server->setups, server->options->config);
    if (r < 0)
        return r;
    atomic_init(&server->reload.success, td_clock_unix_ms());
    server->workers = calloc(n, sizeof(struct td_worker *));
    server->threads = calloc(n, sizeof(*server->threads));
    if (!server->workers || !server->threads)
        return -ENOMEM;
    server->n_workers = n;
    server->api = (struct td_api){
        .workers = server->workers,
        .n_workers = n,
        .journal = server->journal,
        .audit = &server->audit,
        .jobs = td_desk_jobs(server->desk),
        .version = server->options->version,
        .started = td_clock_unix_ms(),
        .reload = &server->reload,
        .dev = server->options->dev,
    };
    for (size_t i = 0; i < n; i++) {
        r = make_worker(server, i);
        if (r < 0)
            return r;
    }
    server->setups.workers = server->workers;
    return 0;
}

static void run_worker(void *arg)
{
    struct td_worker *worker = arg;

    while (td_worker_turn(worker, -1))
        ;
}

static int start(struct server *server)
{
    int r = td_journal_start(server->journal);

    if (r == 0)
        r = td_desk_load(server->desk);
    if (r == 0)
        r = td_desk_start(server->desk);
    for (size_t i = 0; r == 0 && i < server->n_workers; i++) {
        char name[16];
        snprintf(name, sizeof(name), "worker-%u", (unsigned)i % 1000);
        r = td_thread_start(&server->threads[i], name, run_worker, server->workers[i]);
        server->n_started += r == 0;
    }
    return r < 0 ? failed("threads", "", r) : 0;
}

/* How often those are asked that have to let go of something, or to end. */
#define ASK_MS 20
/* How long of the drain commands may take to end: they are killed before that. */
#define JOBS_DRAIN_S 7u

static void tell_ready(const struct server *server)
{
    char status[128];

    snprintf(status, sizeof(status), "listening on %s", server->bound[0]);
    td_watch_tell_ready(status);
}

static void note(struct server *server, enum td_audit_action action, enum td_audit_outcome outcome)
{
    struct td_audit_note note;

    td_audit_begin(&note, &server->audit, action, outcome);
    td_audit_str(&note, "version", td_slice_str(server->options->version));
    td_audit_end(&note);
}

static void reload(struct server *server)
{
    td_watch_tell_reloading();
    bool taken = td_reload(&server->setups, server->options->config, server->options->inputs);
    if (taken)
        atomic_store(&server->reload.success, td_clock_unix_ms());
    atomic_store(&server->reload.failed, !taken);
    note(server, TD_AUDIT_RELOADED, taken ? TD_AUDIT_DONE : TD_AUDIT_FAILED);
    tell_ready(server);
}

/* The same configuration with the keys that have come. */
static void take_new_keys(struct server *server)
{
    struct td_config *config = server->setups.current->config;

    if (!td_bell_answer(server->bell) || !td_jwks_has_new(server->jwks))
        return;
    int r = td_setups_load(&server->setups, config);
    if (r < 0)
        td_log(TD_LOG_ERROR, "jwks", "%s: the old keys stay in use", td_err_name(r));
}

/* Waits for a signal, `ask_ms` at most (-1: without end), seeing to what has its time meanwhile.  0: none came. */
static int next_signal(struct server *server, int ask_ms)
{
    struct td_poll_item items[] = {{.fd = server->signals}, {.fd = server->bell}};
    int beat_ms = td_watch_timeout_ms(&server->watch);

    (void)td_poll(items, TD_ARRAY_LEN(items),
                  ask_ms < 0 || (beat_ms >= 0 && beat_ms < ask_ms) ? beat_ms : ask_ms);
    td_watch_beat(&server->watch);
    take_new_keys(server);
    return td_signals_read(server->signals);
}

static bool is_end(int signal)
{
    return signal == SIGTERM || signal == SIGINT;
}

static void serve(struct server *server)
{
    int signal = 0;

    while (!is_end(signal)) {
        signal = next_signal(server, td_setups_collect(&server->setups) ? -1 : ASK_MS);
        if (signal == SIGHUP)
            reload(server);
    }
}

static bool all_ended(const struct server *server)
{
    for (size_t i = 0; i < server->n_started; i++)
        if (!td_worker_has_ended(server->workers[i]))
            return false;
    return true;
}

/* What runs here is ended, while those who watch it are still there to be told. */
static void drain_jobs(struct server *server, unsigned at_most_s)
{
    td_ns until = td_clock_ns() + at_most_s * TD_NS_PER_S;

    td_desk_drain(server->desk);
    while (!td_desk_is_drained(server->desk) && td_clock_ns() < until)
        if (is_end(next_signal(server, ASK_MS)))
            return;
}

/* Workers let their connections go; a second signal makes them do so at once. */
static void drain(struct server *server)
{
    unsigned at_most_s = server->setups.current->edge.drain_s;

    td_log(TD_LOG_INFO, "stop", "draining, at most %u s", at_most_s);
    td_watch_tell_stopping(at_most_s);
    note(server, TD_AUDIT_STOPPING, TD_AUDIT_DONE);
    drain_jobs(server, TD_MIN(at_most_s, JOBS_DRAIN_S));
    for (size_t i = 0; i < server->n_started; i++)
        td_worker_stop(server->workers[i]);
    while (!all_ended(server)) {
        if (!is_end(next_signal(server, ASK_MS)))
            continue;
        td_log(TD_LOG_WARN, "stop", "a second signal: stopping at once");
        for (size_t i = 0; i < server->n_started; i++)
            td_worker_abandon(server->workers[i]);
    }
}

static void finish(struct server *server)
{
    for (size_t i = 0; i < server->n_started; i++)
        td_worker_stop(server->workers[i]); /* also where only some could be started */
    for (size_t i = 0; i < server->n_started; i++)
        td_thread_join(&server->threads[i]);
    if (server->desk)
        td_desk_stop(server->desk);
    if (server->journal)
        td_journal_stop(server->journal);
    td_desk_free(server->desk); /* what it had no answer for goes to the workers, who free it */
    for (size_t i = 0; i < server->n_workers; i++)
        td_worker_free(server->workers[i]);
    free(server->workers);
    free(server->threads);
    if (server->journal)
        td_journal_close(server->journal);
    td_quota_free(server->quota);
    td_reserved_done(&server->reserved);
    td_reserved_done(&server->busy);
    td_presence_free(server->presence);
    td_jwks_free(server->jwks);
    if (server->bell >= 0)
        td_file_close(server->bell);
    td_setups_done(&server->setups);
    td_audit_done(&server->audit);
    td_watch_done(&server->watch);
}

struct url {
    char text[sizeof("https://") + TD_ADDR_LEN_MAX];
};

/* Of the listener number `i`. */
static struct url url_of(const struct server *server, size_t i)
{
    bool tls = i >= server->options->config->listen.n;
    struct url url;

    snprintf(url.text, sizeof(url.text), "%s://%s", tls ? "https" : "http", server->bound[i]);
    return url;
}

static void log_start(const struct server *server, int64_t descriptors)
{
    const struct td_config *config = server->options->config;
    size_t n = config->listen.n + config->tls.listen.n;
    struct td_buf urls = TD_BUF_INIT(TD_CONFIG_LISTEN_MAX * sizeof(struct url));

    for (size_t i = 0; i < n; i++)
        td_buf_putf(&urls, "%s%s", i > 0 ? " " : "", url_of(server, i).text);
    td_log(TD_LOG_INFO, "start", "listening on %.*s, %zu worker%s, %lld descriptors", (int)urls.len,
           urls.ptr, server->n_workers, server->n_workers == 1 ? "" : "s", (long long)descriptors);
    td_buf_done(&urls);
}

static int run(struct server *server)
{
    const struct td_server_options *options = server->options;

    server->signals = td_signals_open();
    int r = server->signals < 0 ? server->signals : 0;
    int64_t descriptors = td_descriptors_raise();
    if (r == 0)
        r = td_server_open_journal(options->config, &server->journal);
    if (r < 0)
        return r;
    td_audit_init(&server->audit, server->journal, options->config->audit.events);
    td_reserved_init(&server->reserved, td_journal_seed(server->journal));
    td_reserved_init(&server->busy, td_journal_seed(server->journal));
    r = open_jwks(server);
    if (r == 0)
        r = make_workers(server);
    if (r == 0)
        r = td_watch_begin(&server->watch, server->workers, server->n_workers);
    if (r == 0)
        r = start(server);
    if (r == 0) {
        log_start(server, descriptors);
        td_log_certificate(options->config);
        note(server, TD_AUDIT_STARTED, TD_AUDIT_DONE);
        tell_ready(server);
        if (options->ready)
            options->ready(url_of(server, 0).text, options->arg);
        serve(server);
        drain(server);
    }
    finish(server);
    return r;
}

int td_server_run(const struct td_server_options *options)
{
    struct server server = {.options = options};

    open_log(options->config);
    /* First of all, so that it, and what it starts, has nothing of ours. */
    int r = td_launcher_fork(&server.launcher);
    if (r < 0)
        return failed("the launcher", "", r);
    r = run(&server);
    td_launcher_close(&server.launcher);
    if (r == 0)
        td_log(TD_LOG_INFO, "stop", "stopped");
    return r;
}
