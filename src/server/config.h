/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration: defaults, then one YAML file, then the environment, then flags; each overrides what stands before it.
 *
 * One table (config_schema.c) drives all of it: parser, check, help, and docs/configuration.md.  An option is
 * named by its path: `retention.age` is a key in the file, TIDINGS_RETENTION_AGE in the environment and --retention.age on
 * the command line.  Lists are comma-separated in the latter two; `auth.keys`, `auth.issuers`, `roles`, `endpoints`,
 * `retention.groups` and `jobs.kinds` can only stand in the file.
 *
 * A configuration that was loaded is immutable and may be read by any thread. */
#pragma once

#include "auth/cache.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/log.h"
#include "edge/endpoint.h"
#include "jobs/jobs.h"
#include "journal/journal.h"
#include "os/tls.h"
#include <stdbool.h>

#define TD_CONFIG_FLAGS_MAX  64
#define TD_CONFIG_ERRORS_MAX ((size_t)64 * 1024)
#define TD_CONFIG_FILE_MAX   TD_MIB
#define TD_CONFIG_LISTEN_MAX 16
#define TD_CONFIG_DEV_DATA   "tidings-data"
#define TD_CONFIG_DEV_LISTEN "127.0.0.1:8000"

/* A key as it is configured; the compiled ones are in `auth.keys`. */
struct td_config_key {
    struct td_slice alg, kid, secret, secret_file, public_key_file;
};

struct td_config_keys {
    const struct td_config_key *items;
    size_t n;
};

/* An entry of auth.issuers. */
struct td_config_issuer {
    struct td_token_rules rules;
    struct td_slices algorithms, public_key_files;
    struct td_slice secret_file, jwks_url;
    struct td_keys *keys; /* of its files; NULL when they come from jwks_url */
};

struct td_config_issuers {
    struct td_config_issuer *items;
    size_t n;
};

/* An entry of retention.groups. */
struct td_config_group {
    struct td_slice name;
    struct td_slices topics;
    uint64_t age_ms, bytes, state_ttl_ms;
};

struct td_config_groups {
    struct td_config_group *items;
    size_t n;
};

struct td_config_kinds {
    struct td_kind_spec *items;
    size_t n;
};

/* An entry of endpoints; numbers that are 0 are as for all connections. */
struct td_config_endpoint {
    struct td_slice name, path, rule;
    bool enabled;
    struct td_slices topics, transports, filters, topic_filters;
    unsigned format; /* enum td_format */
    uint64_t connections_per_user, replacements_per_minute, connections_per_path;
    uint64_t connections_per_address;
    uint64_t subscriptions, commands_per_second, sends_per_second;
    uint64_t ping_interval_ms, pong_timeout_ms, idle_timeout_ms, behind_timeout_ms,
        stream_interval_ms;
    unsigned line; /* where it stands in its file */
};

struct td_config_endpoints {
    struct td_config_endpoint *items;
    size_t n;
};

/* Texts end with a NUL behind their last byte.  Durations are in milliseconds; 0 is "off" or "no bound" where the table says so. */
struct td_config {
    struct td_slices listen;
    struct td_slice data;
    uint64_t workers;
    unsigned durability; /* enum td_durability */
    uint64_t segment_bytes;
    bool compression, compression_takeover;
    uint64_t compression_min_bytes;
    struct {
        uint64_t age_ms, bytes, state_ttl_ms;
        struct td_config_groups groups;
    } retention;
    struct {
        const struct td_keys *keys; /* the first that is a secret signs tokens */
        struct td_token_rules rules;
        struct td_policy policy;
    } auth;                           /* the short form: all of `auth` but its issuers */
    struct td_config_issuers issuers; /* auth.issuers */
    struct td_auth verify;  /* what verifies tokens: `issuers` in their order, then `auth` */
    struct td_slice cookie; /* name; empty: cookies are not read */
    bool query_token;
    struct {
        struct td_slices listen;
        struct td_slice certificate, key; /* paths */
        unsigned min_version;             /* enum td_tls_version */
        struct td_tls_context *context;   /* made of them; NULL: nothing speaks TLS */
    } tls;
    struct {
        struct td_slices topics; /* patterns */
        uint64_t entries, announce;
    } presence;
    struct td_slices trusted_proxies;     /* networks, as text */
    struct td_slices origins;             /* `http://localhost:*`: any port */
    struct td_config_endpoints endpoints; /* those that ship, then those of the file */
    size_t n_shipped_endpoints;
    struct td_endpoints served; /* made of them */
    struct {
        uint64_t interval_ms, timeout_ms, idle_ms, behind_ms, stream_ms;
    } heartbeat;
    struct {
        uint64_t message_bytes, body_bytes;
        uint64_t batch_events, page_events;
        uint64_t subscriptions;
        uint64_t commands_per_second;
        uint64_t connections, connections_per_address, connections_per_user;
        uint64_t bad_tokens_per_second, publishes_per_second;
        uint64_t lock_ttl_ms, locks_per_user, locks;
        uint64_t pending_publishes;
        uint64_t sends_per_second;
        uint64_t head_time_ms, request_time_ms;
        uint64_t state_keys, topic_keys;
    } limits;
    struct {
        struct td_slice url, model, key_env;
    } llm; /* of the kinds that do not say so themselves */
    struct {
        uint64_t unfinished, owner_unfinished, owner_running;
        struct td_config_kinds specs;
        struct td_kinds *kinds; /* made of them */
    } jobs;
    struct {
        struct td_slice url, header, secret_file;
        struct td_slice line; /* the header with the secret, as it is sent; empty: none */
        uint64_t timeout_ms, cache_ms, denied_ms, grace_ms, cache_entries, concurrency;
    } authorizer;
    struct {
        unsigned level;  /* enum td_log_level */
        unsigned format; /* 0 json, 1 text */
    } log;
    struct {
        bool events, publishes;
    } audit;
    uint64_t drain_ms;

    struct td_config_key _auth_key; /* auth.secret, auth.secret_file */
    struct td_config_keys _auth_keys;
    struct td_keys *_keys;
    struct td_config_block *_blocks; /* the memory of texts and lists */
    _Atomic unsigned _refs;
};

struct td_config_inputs {
    const char *path;       /* of the YAML file; NULL: there is none */
    const char *const *env; /* NAME=value, ending with NULL, as environ; NULL: none */
    struct td_config_flag {
        struct td_slice path;
        const char *value;
    } flags[TD_CONFIG_FLAGS_MAX];
    size_t n_flags;
    /* Development: listens on TD_CONFIG_DEV_LISTEN, keeps its data in TD_CONFIG_DEV_DATA, grants everything but audit to every
     * token, allows any localhost origin, and signs with a secret made on first use and kept in DATA/dev.key (0600). */
    bool dev;
    /* Development: the directory of the examples, an absolute path; its dev.yaml is read before the file.  NULL: there are none. */
    const char *examples;
    bool keys_only; /* for signing tokens: the certificate is not read */
};

/* Reads `--PATH VALUE` and `--PATH=VALUE` arguments (`--config` sets inputs->path; in development `--examples` inputs->examples) from argv[1] on, as flags.  0; or TD_EINVAL with a
 * line in `errors` for each that is none.  Slices point into argv. */
TD_MUST_USE int td_config_flags(int argc, char **argv, struct td_config_inputs *inputs,
                                struct td_buf *errors);

/* Loads and checks.  0; or TD_EINVAL with one line in `errors` for each thing that is wrong, all of them:
 *
 *     tidings.yaml:12: retention.agee is not an option; did you mean retention.age?
 *     TIDINGS_WORKERS: workers must be a number from 1 to 64, not 'many'
 *
 * `errors` should have the maximum TD_CONFIG_ERRORS_MAX.  The caller gives the configuration back with td_config_free.
 * Reads files named by the configuration (secrets, the certificate and its key), nothing else; the data directory is only made in development. */
TD_MUST_USE int td_config_load(const struct td_config_inputs *inputs, struct td_config **ret_config,
                               struct td_buf *errors);
/* Another reference to the same; any thread that has one may take another, and give its own back. */
struct td_config *td_config_ref(struct td_config *config);
/* Gives a reference back; the last one frees it. */
void td_config_free(struct td_config *config);

/* Its kinds of jobs, with a reference that goes when they are done with, and how many jobs there may be. */
struct td_kinds_lent td_config_lend_kinds(struct td_config *config,
                                          struct td_jobs_limits *ret_limits);

/* The endpoints that ship, as a file that says the same would. */
struct td_slice td_config_shipped_endpoints(void);
/* What counts for one connection: on this endpoint, or (NULL) on none. */
struct td_conn_limits td_config_conn_limits(const struct td_config *config,
                                            const struct td_config_endpoint *endpoint);

/* Reads a duration as options are written: 500ms, 30s, 5m, 1h, 7d, or 0.  0 or TD_EINVAL. */
TD_MUST_USE int td_config_duration(struct td_slice text, uint64_t *ret_ms);

/* Options that differ between the two and that a reload cannot change: their paths, one a line.  Returns how many. */
size_t td_config_diff_fixed(const struct td_config *old, const struct td_config *new,
                            struct td_buf *out);

/* All options that flags can set, with default and a sentence, for --help. */
void td_config_put_help(struct td_buf *out);
/* docs/configuration.md, generated. */
void td_config_put_docs(struct td_buf *out);
