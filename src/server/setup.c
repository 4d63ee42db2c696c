/* SPDX-License-Identifier: Apache-2.0 */
#include "server/setup.h"
#include "base/assert.h"
#include "desk/authorizer.h"
#include "server/jwks.h"
#include <errno.h>

static unsigned whole_seconds(uint64_t ms)
{
    return (unsigned)((ms + 999) / 1000);
}

static void free_config(void *config)
{
    td_config_free(config);
}

/* The networks of trusted_proxies, compiled.  0 or -ENOMEM. */
static int compile_proxies(struct td_setup *setup)
{
    struct td_slices texts = setup->config->trusted_proxies;
    struct td_cidr *items = calloc(texts.n + 1, sizeof(*items));

    if (!items)
        return -ENOMEM;
    td_setup_keep(setup, free, items);
    for (size_t i = 0; i < texts.n; i++) {
        int r = td_cidr_parse(texts.items[i], &items[i]);
        TD_ASSERT(r == 0); /* it was checked with the configuration */
    }
    setup->edge.trusted_proxies = (struct td_cidrs){items, texts.n};
    return 0;
}

int td_setup_new(struct td_config *config, size_t n_workers, struct td_setup **ret_setup)
{
    struct td_setup *setup = calloc(1, sizeof(*setup));

    if (!setup)
        return -ENOMEM;
    setup->config = td_config_ref(config);
    td_setup_keep(setup, free_config, config);
    setup->auth = config->verify;
    setup->edge = (struct td_edge_options){
        .message_bytes_max = config->limits.message_bytes,
        .body_bytes_max = config->limits.body_bytes,
        .events_max = config->limits.batch_events,
        .page_events_max = config->limits.page_events,
        .limits = td_config_conn_limits(config, NULL),
        .connections_max = (unsigned)((config->limits.connections + n_workers - 1) / n_workers),
        .connections_per_address = (unsigned)config->limits.connections_per_address,
        .connections_per_user = (unsigned)config->limits.connections_per_user,
        .bad_tokens_per_s = (unsigned)config->limits.bad_tokens_per_second,
        .lock_ttl_max_s = (unsigned)(config->limits.lock_ttl_ms / 1000),
        .locks_per_user = (unsigned)config->limits.locks_per_user,
        .locks_max = (unsigned)config->limits.locks,
        .publishes_per_s = (unsigned)config->limits.publishes_per_second,
        .pending_publishes_max = (unsigned)config->limits.pending_publishes,
        .poll_max_s = 60,
        .head_timeout_s = whole_seconds(config->limits.head_time_ms),
        .request_timeout_s = whole_seconds(config->limits.request_time_ms),
        .drain_s = whole_seconds(config->drain_ms),
        .auth = &setup->auth,
        .tls = config->tls.context,
        .cookie = config->cookie,
        .authorizer_grace_ms = config->authorizer.grace_ms,
        .audit_publishes = config->audit.publishes,
        .query_token = config->query_token,
        .compression = config->compression,
        .compression_takeover = config->compression_takeover,
        .compression_bytes_min = config->compression_min_bytes,
        .origins = config->origins.items,
        .n_origins = config->origins.n,
        .endpoints = &config->served,
    };
    if (compile_proxies(setup) < 0) {
        td_setup_free(setup);
        return -ENOMEM;
    }
    *ret_setup = setup;
    return 0;
}

void td_setup_keep(struct td_setup *setup, void (*free)(void *what), void *what)
{
    TD_ASSERT(setup->_n_kept < TD_SETUP_KEPT_MAX);
    setup->_kept[setup->_n_kept].free = free;
    setup->_kept[setup->_n_kept++].what = what;
}

void td_setup_free(struct td_setup *setup)
{
    if (!setup)
        return;
    while (setup->_n_kept-- >
           0) /* in the other order: what came later may point to what came earlier */
        setup->_kept[setup->_n_kept].free(setup->_kept[setup->_n_kept].what);
    free(setup);
}

void td_setups_install(struct td_setups *setups, struct td_setup *setup)
{
    setup->edge.generation = ++setups->generation;
    setup->_older = setups->current;
    setups->current = setup;
    for (size_t i = 0; setups->workers && i < setups->n_workers; i++)
        td_worker_configure(setups->workers[i], &setup->edge);
}

/* Before the workers take the setup up: what they ask from then on is asked of the one that it names. */
static int name_authorizer(struct td_desk *desk, struct td_setup *setup)
{
    const struct td_config *config = setup->config;

    return desk ? td_desk_authorize_by(desk,
                                       &(struct td_authorizer_options){
                                           .url = config->authorizer.url,
                                           .header = config->authorizer.line,
                                           .timeout_ms = config->authorizer.timeout_ms,
                                           .cache_ms = config->authorizer.cache_ms,
                                           .denied_ms = config->authorizer.denied_ms,
                                           .entries = config->authorizer.cache_entries,
                                           .concurrency = (unsigned)config->authorizer.concurrency,
                                       },
                                       &setup->edge.authorizer)
                : 0;
}

int td_setups_load(struct td_setups *setups, struct td_config *config)
{
    struct td_setup *setup;

    int r = td_setup_new(config, setups->n_workers, &setup);
    if (r < 0)
        return r;
    setup->auth.policy.revocations = setups->revocations;
    r = td_jwks_equip(setups->jwks, setup);
    if (r == 0)
        r = name_authorizer(setups->desk, setup);
    if (r < 0)
        td_setup_free(setup);
    else
        td_setups_install(setups, setup);
    return r;
}

static void free_older(struct td_setup *setup)
{
    struct td_setup *older = setup->_older;

    setup->_older = NULL;
    while (older) {
        struct td_setup *next = older->_older;
        td_setup_free(older);
        older = next;
    }
}

bool td_setups_collect(struct td_setups *setups)
{
    uint64_t used = setups->generation;
    struct td_setup *setup = setups->current;

    for (size_t i = 0; setups->workers && i < setups->n_workers; i++) {
        uint64_t its = td_worker_generation(setups->workers[i]); /* read once: it moves */
        used = TD_MIN(used, its);
    }
    /* The oldest that is in use, behind which none is. */
    while (setup->_older && setup->edge.generation > used)
        setup = setup->_older;
    free_older(setup);
    return !setups->current->_older;
}

void td_setups_done(struct td_setups *setups)
{
    if (!setups->current)
        return;
    free_older(setups->current);
    td_setup_free(setups->current);
    setups->current = NULL;
}
