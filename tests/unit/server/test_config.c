/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../auth/signatures.h"
#include "base/err.h"
#include "os/file.h"
#include "server/config.h"
#include "server/config_schema.h"
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET "0123456789abcdef0123456789abcdef"
#define KEY    "auth: {secret: " SECRET "}\n"

static char dir[64];

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static const char *file_of(const char *name, const char *content)
{
    const char *path = path_of(name);

    assert_int_equal(td_file_store(path, td_slice_str(content)), 0);
    return path;
}

/* Loads `yaml` with an environment.  The configuration, or NULL with what was said in `said`. */
static struct td_config *load(const char *yaml, const char *const *env, char said[4096])
{
    struct td_buf errors = TD_BUF_INIT(TD_CONFIG_ERRORS_MAX);
    struct td_config_inputs inputs = {.path = file_of("t.yaml", yaml), .env = env};
    struct td_config *config = NULL;
    int r = td_config_load(&inputs, &config, &errors);

    assert_int_equal(r, config ? 0 : TD_EINVAL);
    assert_true((errors.len > 0) == (r < 0));
    snprintf(said, 4096, "%.*s", (int)errors.len, errors.ptr ? errors.ptr : "");
    td_buf_done(&errors);
    return config;
}

static struct td_config *good(const char *yaml)
{
    char said[4096];
    struct td_config *config = load(yaml, NULL, said);

    if (!config)
        fail_msg("%s", said);
    return config;
}

/* The file must be refused with exactly these lines, each without the file's directory. */
static void bad(const char *yaml, const char *expected)
{
    char said[4096], told[4096] = "";
    struct td_config *config = load(yaml, NULL, said);
    size_t len = 0;

    assert_null(config);
    for (const char *line = said; *line;) {
        const char *end = strchr(line, '\n');
        const char *path = strstr(line, dir);
        assert_non_null(end);
        bool named = path && path < end;
        const char *from = named ? path + strlen(dir) + 1 : line;
        len += (size_t)snprintf(told + len, sizeof(told) - len, "%.*s%.*s\n",
                                named ? (int)(path - line) : 0, line, (int)(end - from), from);
        line = end + 1;
    }
    assert_string_equal(told, expected);
}

static void defaults(void **state)
{
    struct td_config *c = good(KEY);

    assert_int_equal(c->listen.n, 1);
    assert_true(td_slice_eq(c->listen.items[0], TD_S("127.0.0.1:8000")));
    assert_true(td_slice_eq(c->data, TD_S("tidings-data")));
    assert_int_equal(c->workers, 1);
    assert_int_equal(c->durability, TD_DURABILITY_FSYNC);
    assert_int_equal(c->segment_bytes, 64 * TD_MIB);
    assert_int_equal(c->retention.age_ms, UINT64_C(7) * 86400000);
    assert_int_equal(c->retention.bytes, UINT64_C(10) << 30);
    assert_int_equal(td_keys_len(c->auth.keys), 1);
    assert_int_equal(c->auth.rules.leeway_ms, 5000);
    assert_false(c->auth.rules.exp_optional);
    assert_int_equal(c->auth.policy.default_grants.subscribe.n, 0);
    assert_int_equal(c->auth.policy.n_roles, 0);
    assert_int_equal(c->served.n, c->n_shipped_endpoints);
    assert_int_equal(c->served.n, 7);
    assert_true(c->query_token);
    assert_int_equal(c->cookie.len, 0);
    assert_int_equal(c->origins.n, 0);
    assert_int_equal(c->heartbeat.idle_ms, 600000);
    assert_int_equal(c->limits.message_bytes, TD_MIB);
    assert_int_equal(c->heartbeat.stream_ms, 15000);
    assert_int_equal(c->log.level, TD_LOG_INFO);
    assert_int_equal(c->drain_ms, 10000);
    td_config_free(c);
}

static void a_whole_file(void **state)
{
    struct td_config *c = good("listen: [\"127.0.0.1:0\", \"[::1]:9000\", \":80\"]\n"
                               "data: /var/lib/tidings\n"
                               "workers: 2\n"
                               "durability: fast\n"
                               "segment_bytes: 16MiB\n"
                               "retention: {age: 90m, bytes: 0}\n"
                               "auth:\n"
                               "  keys:\n"
                               "    - {secret: " SECRET ", kid: a}\n"
                               "    - alg: HS512\n"
                               "      secret: " SECRET SECRET "\n"
                               "  issuer: login\n"
                               "  audience: tidings\n"
                               "  leeway: 0\n"
                               "  exp_optional: true\n"
                               "  default_grants: {subscribe: ['news/**', 'people/{sub}/*']}\n"
                               "  cookie: session\n"
                               "  query_token: false\n"
                               "roles:\n"
                               "  editor: {subscribe: ['projects/**'], publish: 'projects/**'}\n"
                               "  viewer: {subscribe: ['projects/*/news']}\n"
                               "origins: ['https://app.example.com', 'http://localhost:*']\n"
                               "heartbeat: {interval: 1m}\n"
                               "limits.connections: 5\n"
                               "log: {level: debug, format: text}\n"
                               "drain: 500ms\n");

    assert_int_equal(c->listen.n, 3);
    assert_true(td_slice_eq(c->listen.items[2], TD_S(":80")));
    assert_string_equal(c->data.ptr, "/var/lib/tidings");
    assert_int_equal(c->workers, 2);
    assert_int_equal(c->durability, TD_DURABILITY_FAST);
    assert_int_equal(c->retention.age_ms, 5400000);
    assert_int_equal(c->retention.bytes, 0);
    assert_int_equal(td_keys_len(c->auth.keys), 2);
    assert_true(td_slice_eq(c->auth.rules.issuer, TD_S("login")));
    assert_int_equal(c->auth.rules.leeway_ms, 0);
    assert_true(c->auth.rules.exp_optional);
    assert_int_equal(c->auth.policy.default_grants.subscribe.n, 2);
    assert_int_equal(c->auth.policy.n_roles, 2);
    assert_true(td_slice_eq(c->auth.policy.roles[0].name, TD_S("editor")));
    assert_int_equal(c->auth.policy.roles[0].grants.publish.n, 1);
    assert_true(
        td_slice_eq(c->auth.policy.roles[1].grants.subscribe.items[0], TD_S("projects/*/news")));
    assert_true(td_slice_eq(c->cookie, TD_S("session")));
    assert_false(c->query_token);
    assert_int_equal(c->origins.n, 2);
    assert_int_equal(c->heartbeat.interval_ms, 60000);
    assert_int_equal(c->limits.connections, 5);
    assert_int_equal(c->log.level, TD_LOG_DEBUG);
    assert_int_equal(c->drain_ms, 500);
    td_config_free(c);
}

/* All faults are told at once, with their lines. */
static void every_fault_is_told(void **state)
{
    bad(KEY "retention:\n"
            "  agee: 7d\n"
            "  bytes: lots\n"
            "worker: 1\n"
            "durability: maybe\n"
            "zzzzzzzz: 1\n"
            "listen: 8000\n",
        "t.yaml:3: retention.agee is not an option; did you mean retention.age?\n"
        "t.yaml:4: retention.bytes must be a size such as 512KiB, 64MiB or 10GiB, at least 2MiB, "
        "or "
        "0 (no bound), not 'lots'\n"
        "t.yaml:5: worker is not an option; did you mean workers?\n"
        "t.yaml:6: durability must be fsync or fast, not 'maybe'\n"
        "t.yaml:7: zzzzzzzz is not an option\n"
        "t.yaml:8: listen must be a list, each an address such as 127.0.0.1:8000, [::1]:8000 or "
        ":8000, not '8000'\n"
        "listen: name one address at least, here or in tls.listen\n");
}

static void shapes_are_checked(void **state)
{
    bad("", "t.yaml: no key to verify tokens with: set auth.secret_file (or auth.secret, "
            "auth.keys, auth.issuers, TIDINGS_AUTH_SECRET, TIDINGS_AUTH_SECRET_FILE)\n");
    bad("[]", "t.yaml:1: the file must be a mapping from options to values\n"
              "t.yaml: no key to verify tokens with: set auth.secret_file (or auth.secret, "
              "auth.keys, auth.issuers, TIDINGS_AUTH_SECRET, TIDINGS_AUTH_SECRET_FILE)\n");
    bad(KEY "workers: 1\nworkers: 2\n", "t.yaml:3: workers stands here twice\n");
    bad(KEY "retention: 7d\n", "t.yaml:2: retention must be a mapping\n");
    bad(KEY "workers: [1]\n", "t.yaml:2: workers must be a number from 1 to 64\n");
    bad(KEY "---\nworkers: 1\n", "t.yaml:3: a second document stands here; the file must be one\n");
    bad(KEY "roles: {a: {subscrib: [x]}}\n",
        "t.yaml:2: roles.a.subscrib is not an option; did you mean subscribe?\n");
    bad(KEY "roles: {a: {subscribe: [x//y]}}\n", "t.yaml:2: roles.a.subscribe must be a list, each "
                                                 "a valid pattern such as projects/42/** or "
                                                 "users/{sub}/*, not 'x//y'\n");
    bad(KEY "roles: [a]\n", "t.yaml:2: roles must be a mapping from names to mappings\n");
    bad(KEY "heartbeat: &h {interval: *h}\n", "t.yaml:2: heartbeat.interval must be a duration "
                                              "such as 500ms, 30s, 5m, 1h or 7d from 1s to "
                                              "1h\n");
}

static void yaml_faults_have_a_line(void **state)
{
    char said[4096];

    assert_null(load("workers: 1\n  bad: [\n", NULL, said));
    assert_non_null(strstr(said, "/t.yaml:2: "));
}

static void secrets_are_not_shown(void **state)
{
    char said[4096];

    assert_null(load("auth: {secret: hunter2}\n", NULL, said));
    assert_non_null(strstr(said, "too short"));
    assert_null(strstr(said, "hunter2"));
    assert_null(load("auth: {secret: [hunter2]}\n", NULL, said));
    assert_null(strstr(said, "hunter2"));
}

static void values_have_their_type(void **state)
{
    static const char *const wrong[] = {
        "workers: -1",
        "workers: 1.0",
        "workers: 65",
        "workers: ''",
        "drain: 10",
        "drain: 10 s",
        "drain: s",
        "drain: 99999999999999999999s",
        "drain: 2d",
        "drain: -1s",
        "segment_bytes: 1MB",
        "segment_bytes: 1k",
        "segment_bytes: 99999999999TiB",
        "auth.query_token: yes",
        "auth.query_token: 1",
        "auth.cookie: 'a b'",
        "auth.cookie: 'a=b'",
        "listen: ['::1:8000']",
        "listen: ['a:65536']",
        "listen: ['a:']",
        "origins: ['*']",
        "origins: ['https://a/']",
        "origins: ['HTTPS://a']",
        "origins: ['https://A']",
        "origins: ['https://a:b']",
        "origins: ['null']",
        "origins: ['https://']",
        "durability: FSYNC",
        "log: {level: 3}",
        "retention: {age: 1s}",
    };

    for (size_t i = 0; i < TD_ARRAY_LEN(wrong); i++) {
        char yaml[256], said[4096];
        snprintf(yaml, sizeof(yaml), "%s\nauth.secret: " SECRET "\n", wrong[i]);
        struct td_config *config = load(yaml, NULL, said);
        if (config || !strstr(said, "t.yaml:1: "))
            fail_msg("%s: %s", wrong[i], said);
    }
}

static void relations_are_checked(void **state)
{
    bad(KEY "segment_bytes: 8MiB\nretention.bytes: 8MiB\n",
        "retention.bytes: must be 0 or at least twice segment_bytes, because whole segments are "
        "dropped\n");
    bad(KEY "limits: {message_bytes: 8MiB}\n",
        "limits.message_bytes: must not be greater than limits.body_bytes\n");
    bad(KEY "segment_bytes: 4MiB\n",
        "limits.body_bytes: must be at most half of segment_bytes, because a publish lies in one "
        "segment\n");
}

static void jobs_are_kept_for_a_week(void **state)
{
    static const struct {
        const char *yaml;
        size_t n, topics; /* of the last group */
    } cases[] = {
        {KEY,                                                                1, 2},
        {KEY "retention: {groups: {a: {topics: ['jobs/**'], age: 1d}}}\n",   2, 1},
        {KEY "retention: {groups: {a: {topics: ['**'], age: 1d}}}\n",        1, 1},
        {KEY "retention: {groups: {jobs: {topics: ['jobs/*'], age: 1d}}}\n", 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct td_config *c = good(cases[i].yaml);
        assert_int_equal(c->retention.groups.n, cases[i].n);
        assert_int_equal(c->retention.groups.items[cases[i].n - 1].topics.n, cases[i].topics);
        td_config_free(c);
    }
}

static void kinds_of_jobs(void **state)
{
    struct td_config *c = good(KEY "jobs:\n"
                                   "  owner_running: 3\n"
                                   "  kinds:\n"
                                   "    - name: validate\n"
                                   "      params: ['project_id=[a-z]+', 'file?=[^,]*']\n"
                                   "      topic: projects/{project_id}\n"
                                   "      events: [start=validation_start, output=output]\n"
                                   "      argv: [check, '{file}']\n"
                                   "      exit_status: result\n"
                                   "    - {name: enhance, runner: llm, who: any, url: "
                                   "'http://127.0.0.1:1/v1', prompt: 'x'}\n");

    assert_int_equal(c->jobs.owner_running, 3);
    assert_int_equal(c->jobs.kinds->n, 2);
    const struct td_kind *kind = td_kinds_find(c->jobs.kinds, TD_S("validate"));
    assert_non_null(kind);
    assert_int_equal(kind->spec->exit_status, 1);
    assert_int_equal(kind->spec->concurrency, 8);
    assert_int_equal(kind->who, TD_WHO_PUBLISH);
    assert_true(td_slice_eq(kind->spec->argv.items[1], TD_S("{file}")));
    assert_int_equal(c->jobs.kinds->items[1].spec->runner, TD_RUNNER_LLM);
    td_config_free(c);
    bad(KEY "jobs: {kinds: [{name: a, who: any, argv: [x, '{y}']}]}\n",
        "jobs.kinds.a: argv: {y} is no parameter; declare it in params, or write {{ for a brace\n");
    bad(KEY "jobs: {kinds: [{name: a, who: any, argv: [x], runner: shell}]}\n",
        "t.yaml:2: jobs.kinds.runner must be command, llm, pipeline or external, not 'shell'\n");
    (void)state;
}

static void kinds_share_a_model(void **state)
{
    static const char yaml[] =
        KEY "llm: {url: 'http://llm/v1', model: m}\n"
            "jobs:\n  kinds:\n"
            "    - {name: a, runner: llm, who: any, prompt: p}\n"
            "    - {name: b, runner: llm, who: any, prompt: p, url: 'http://own/v1', model: n}\n";
    const char *const env[] = {"TIDINGS_LLM_KEY=k", "TIDINGS_LLM_MODEL=o", NULL};
    char said[4096];
    struct td_config *config = load(yaml, env, said);

    (void)state;
    assert_non_null(config);
    assert_string_equal(config->jobs.specs.items[0].url.ptr, "http://llm/v1");
    assert_string_equal(config->jobs.specs.items[0].model.ptr, "o");
    assert_string_equal(config->jobs.specs.items[0].key_env.ptr, "TIDINGS_LLM_KEY");
    assert_string_equal(config->jobs.specs.items[1].url.ptr, "http://own/v1");
    assert_string_equal(config->jobs.specs.items[1].model.ptr, "n");
    assert_int_equal(config->jobs.specs.items[1].key_env.len, 0);
    td_config_free(config);
}

static void groups_have_names(void **state)
{
    char said[4096];
    struct td_config *c =
        load(KEY "retention:\n"
                 "  state_ttl: 30d\n"
                 "  groups:\n"
                 "    bulk: {topics: ['runs/**', 'logs/*'], age: 1d, bytes: 1GiB}\n"
                 "    audit: {topics: ['audit/**'], state_ttl: 7d}\n",
             NULL, said);

    assert_non_null(c);
    assert_int_equal(c->retention.state_ttl_ms, UINT64_C(30) * 24 * 3600 * 1000);
    assert_int_equal(c->retention.groups.n, 3); /* and that of the jobs */
    const struct td_config_group *bulk = &c->retention.groups.items[0];
    assert_true(td_slice_eq(bulk->name, TD_S("bulk")));
    assert_int_equal(bulk->topics.n, 2);
    assert_int_equal(bulk->age_ms, 24 * 3600 * 1000);
    assert_int_equal(bulk->bytes, UINT64_C(1) << 30);
    assert_int_equal(bulk->state_ttl_ms, 0);
    assert_int_equal(c->retention.groups.items[1].bytes, 0);
    td_config_free(c);
    bad(KEY "retention: {groups: {bulk: {age: 1d}}}\n",
        "retention.groups.bulk: name 1 to 64 topics\n");
    bad(KEY "retention: {groups: {bulk: {topics: ['a//b']}}}\n",
        "t.yaml:2: retention.groups.bulk.topics must be a list, each a valid pattern such as "
        "runs/**, not 'a//b'\nretention.groups.bulk: name 1 to 64 topics\n");
}

static void the_environment_is_over_the_file(void **state)
{
    const char *const env[] = {"PATH=/bin",
                               "TIDINGS_RETENTION_AGE=1h",
                               "TIDINGS_LISTEN=127.0.0.1:1, 127.0.0.1:2",
                               "TIDINGS_AUTH_SECRET=" SECRET,
                               "TIDINGS_WORKERSX=9",
                               NULL};
    const char *const wrong[] = {"TIDINGS_WORKERS=many", "TIDINGS_AUTH_SECRET=short",
                                 "TIDINGS_ROLES=x", NULL};
    char said[4096];
    struct td_config *c = load("retention.age: 2h\nworkers: 3\nlisten: [':1']\n", env, said);

    assert_non_null(c);
    assert_int_equal(c->retention.age_ms, 3600000);
    assert_int_equal(c->workers, 3);
    assert_int_equal(c->listen.n, 2);
    assert_true(td_slice_eq(c->listen.items[1], TD_S("127.0.0.1:2")));
    td_config_free(c);

    assert_null(load("{}", wrong, said));
    assert_string_equal(
        said, "TIDINGS_WORKERS: workers must be a number from 1 to 64, not 'many'\n"
              "TIDINGS_ROLES: roles must be a mapping from names to mappings, not 'x'; it "
              "can only stand in the file\n"
              "auth.secret: the secret is too short: HS256 needs 32 bytes, HS384 48, HS512 "
              "64\n");
}

static void flags_are_over_all(void **state)
{
    const char *argv[] = {"serve", "--workers=4", "--config", "x.yaml", "--listen", ":7"};
    const char *wrong[] = {"serve", "--worker", "4", "x", "--workers"};
    struct td_config_inputs inputs = {0};
    struct td_buf errors = TD_BUF_INIT(TD_CONFIG_ERRORS_MAX);
    const char *const env[] = {"TIDINGS_WORKERS=2", "TIDINGS_AUTH_SECRET=" SECRET, NULL};
    struct td_config *c;

    assert_int_equal(td_config_flags(6, (char **)(uintptr_t)argv, &inputs, &errors), 0);
    assert_string_equal(inputs.path, "x.yaml");
    inputs.path = NULL;
    inputs.env = env;
    assert_int_equal(td_config_load(&inputs, &c, &errors), 0);
    assert_int_equal(c->workers, 4);
    assert_true(td_slice_eq(c->listen.items[0], TD_S(":7")));
    td_config_free(c);

    inputs = (struct td_config_inputs){0};
    assert_int_equal(td_config_flags(5, (char **)(uintptr_t)wrong, &inputs, &errors), TD_EINVAL);
    td_buf_putc(&errors, '\0');
    assert_string_equal(errors.ptr, "--worker is not a flag; did you mean --workers?\n"
                                    "'4' is not a flag\n"
                                    "'x' is not a flag\n"
                                    "--workers needs a value\n");
    td_buf_done(&errors);
}

static void a_secret_may_lie_in_a_file(void **state)
{
    char yaml[256], said[4096], path[128];

    snprintf(path, sizeof(path), "%s", file_of("secret", SECRET "\n"));
    snprintf(yaml, sizeof(yaml), "auth: {secret_file: %s}", path);
    struct td_config *c = good(yaml);
    assert_int_equal(td_keys_len(c->auth.keys), 1);

    struct td_config *same = good(KEY); /* the newline is no part of it */
    struct td_buf token = TD_BUF_INIT(TD_TOKEN_LEN_MAX);
    struct td_claims said_claims = {.sub = TD_S("a"), .exp = 2000}, *claims;
    const char *reason;
    assert_int_equal(td_token_sign(c->auth.keys, &c->auth.rules, &said_claims, &token), 0);
    assert_int_equal(td_token_verify(same->auth.keys, &same->auth.rules, td_buf_slice(&token), 1000,
                                     &claims, &reason),
                     0);
    td_claims_free(claims);
    td_buf_done(&token);
    td_config_free(same);
    td_config_free(c);

    snprintf(yaml, sizeof(yaml), "auth: {secret_file: %s, secret: " SECRET "}", path);
    assert_null(load(yaml, NULL, said));
    assert_string_equal(said, "auth.secret: give secret or secret_file, not both\n");
    assert_null(load("auth: {secret_file: /nonexistent/key}", NULL, said));
    assert_string_equal(said,
                        "/nonexistent/key: the secret cannot be read: No such file or directory\n");
}

static void issuers_are_rows_of_a_table(void **state)
{
    char yaml[2048], rsa[128], ec[128], secret[128];

    snprintf(rsa, sizeof(rsa), "%s", file_of("rsa.pem", rsa_pem));
    snprintf(ec, sizeof(ec), "%s", file_of("ec.json", p256_jwk));
    snprintf(secret, sizeof(secret), "%s", file_of("secret", SECRET "\n"));
    snprintf(
        yaml, sizeof(yaml),
        "auth:\n"
        "  secret: " SECRET "\n"
        "  keys: [{alg: RS256, kid: r, public_key_file: %s}]\n"
        "  issuers:\n"
        "    - {issuer: a, audience: x, algorithms: [ES256, RS512], public_key_files: [%s, %s]}\n"
        "    - {issuer: b, algorithms: [RS256, HS256], secret_file: %s, leeway: 1m}\n"
        "    - {issuer: c, algorithms: [RS256], jwks_url: 'https://login/jwks.json'}\n",
        rsa, ec, rsa, secret);
    struct td_config *c = good(yaml);
    assert_int_equal(td_keys_len(c->auth.keys), 2);
    assert_int_equal(c->verify.n_issuers, 4);
    const struct td_issuer *rows = c->verify.issuers;
    assert_true(td_slice_eq(rows[0].rules.issuer, TD_S("a")));
    assert_true(td_slice_eq(rows[0].rules.audience, TD_S("x")));
    assert_int_equal(rows[0].rules.leeway_ms, 5000);
    assert_int_equal(td_keys_len(rows[0].keys), 2);
    assert_int_equal(rows[1].rules.leeway_ms, 60000);
    assert_int_equal(td_keys_len(rows[1].keys), 1);
    assert_null(rows[2].keys);
    assert_ptr_equal(rows[3].keys, c->auth.keys);
    td_config_free(c);
    snprintf(yaml, sizeof(yaml),
             "auth.issuers: [{issuer: a, algorithms: [RS256], public_key_files: [%s]}]\n", rsa);
    c = good(yaml); /* there need be no short form */
    assert_int_equal(c->verify.n_issuers, 1);
    td_config_free(c);
}

static void keys_that_do_not_fit_are_told(void **state)
{
    char yaml[2048], expected[2048], rsa[128], small[128];

    snprintf(rsa, sizeof(rsa), "%s", file_of("rsa.pem", rsa_pem));
    snprintf(small, sizeof(small), "%s", file_of("small.pem", rsa_1024_pem));
    snprintf(yaml, sizeof(yaml),
             "auth:\n"
             "  issuer: e\n"
             "  keys:\n"
             "    - {public_key_file: %s}\n"
             "    - {alg: ES256, public_key_file: %s}\n"
             "    - {alg: RS256, public_key_file: %s}\n"
             "    - {alg: RS256, secret: " SECRET "}\n"
             "    - {alg: RS256, secret: " SECRET ", public_key_file: %s}\n"
             "  issuers:\n"
             "    - {algorithms: [RS256], public_key_files: [%s]}\n"
             "    - {issuer: b, public_key_files: [%s]}\n"
             "    - {issuer: c, algorithms: [RS256]}\n"
             "    - {issuer: d, algorithms: [RS256], jwks_url: 'http://x', secret_file: /y}\n"
             "    - {issuer: d, algorithms: [RS256], jwks_url: 'http://x'}\n"
             "    - {issuer: e, algorithms: [RS256], jwks_url: 'http://x'}\n",
             rsa, rsa, small, rsa, rsa, rsa);
    snprintf(
        expected, sizeof(expected),
        "auth.keys[0]: alg HS256 is for shared secrets; name that of the public key\n"
        "auth.keys[1]: rsa.pem: the key is of another type than alg needs\n"
        "auth.keys[2]: small.pem: the RSA key is shorter than 2048 bits\n"
        "auth.keys[3]: this alg needs a public_key_file, not a secret\n"
        "auth.keys[4]: give secret or secret_file, not both, and neither beside public_key_file\n"
        "auth.issuers[0]: name the issuer, as its tokens say it in iss\n"
        "auth.issuers[1]: name the algorithms that its keys are for\n"
        "auth.issuers[1]: rsa.pem: the key is of another type than alg needs\n"
        "auth.issuers[2]: give its keys either as files (public_key_files, secret_file) or as a "
        "jwks_url\n"
        "auth.issuers[3]: give its keys either as files (public_key_files, secret_file) or as a "
        "jwks_url\n"
        "auth.issuers[4]: another entry, or auth.issuer, has its name\n"
        "auth.issuers[5]: another entry, or auth.issuer, has its name\n");
    bad(yaml, expected);
    bad(KEY "auth.issuers: [{issuer: a, algorithms: [none], jwks_url: 'file:///x'}]\n",
        "t.yaml:2: auth.issuers.algorithms must be a list, each HS256, HS384, HS512, RS256, RS384, "
        "RS512, PS256, PS384, PS512, ES256 or ES384, not 'none'\n"
        "t.yaml:2: auth.issuers.jwks_url must be a URL that begins with https:// or http://, not "
        "'file:///x'\n"
        "auth.issuers[0]: name the algorithms that its keys are for\n"
        "auth.issuers[0]: give its keys either as files (public_key_files, secret_file) or as a "
        "jwks_url\n");
}

static void development_makes_a_key_and_keeps_it(void **state)
{
    struct td_buf errors = TD_BUF_INIT(TD_CONFIG_ERRORS_MAX), first = TD_BUF_INIT(256),
                  second = TD_BUF_INIT(256);
    char data[128], key[160];
    struct stat st;
    struct td_config *c;

    snprintf(data, sizeof(data), "%s/dev", dir);
    snprintf(key, sizeof(key), "%s/dev/dev.key", dir);
    struct td_config_inputs inputs = {.dev = true, .flags = {{TD_S("data"), data}}, .n_flags = 1};
    assert_int_equal(td_config_load(&inputs, &c, &errors), 0);
    assert_int_equal(td_keys_len(c->auth.keys), 1);
    assert_int_equal(c->auth.policy.default_grants.publish.n, 1);
    assert_int_equal(c->origins.n, 2);
    td_config_free(c);
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 64);
    assert_int_equal(td_file_load(key, &first), 0);
    assert_int_equal(td_config_load(&inputs, &c, &errors), 0);
    td_config_free(c);
    assert_int_equal(td_file_load(key, &second), 0);
    assert_true(td_slice_eq(td_buf_slice(&first), td_buf_slice(&second)));
    td_buf_done(&first);
    td_buf_done(&second);
    td_buf_done(&errors);
}

static void a_missing_file_is_told(void **state)
{
    struct td_config_inputs inputs = {.path = "/nonexistent/t.yaml"};
    struct td_buf errors = TD_BUF_INIT(TD_CONFIG_ERRORS_MAX);
    struct td_config *c;

    assert_int_equal(td_config_load(&inputs, &c, &errors), TD_EINVAL);
    assert_true(td_slice_starts(td_buf_slice(&errors),
                                TD_S("/nonexistent/t.yaml: cannot be read: No such file")));
    td_buf_done(&errors);
}

static void a_reload_knows_what_it_cannot_change(void **state)
{
    struct td_config *a = good(KEY),
                     *b = good(KEY "workers: 2\nlisten: [':1']\norigins: ['http://a']\n");
    struct td_buf out = TD_BUF_INIT(4096);

    assert_int_equal(td_config_diff_fixed(a, a, &out), 0);
    assert_int_equal(td_config_diff_fixed(a, b, &out), 2);
    assert_true(td_slice_eq(td_buf_slice(&out), TD_S("listen\nworkers\n")));
    td_buf_done(&out);
    td_config_free(a);
    td_config_free(b);
}

/* The table itself: names are unique, also in the environment, and each option is in help and documentation. */
static void the_table_is_sound(void **state)
{
    struct td_buf help = TD_BUF_INIT(TD_MIB), docs = TD_BUF_INIT(TD_MIB);

    td_config_put_help(&help);
    td_config_put_docs(&docs);
    td_buf_putc(&help, '\0');
    td_buf_putc(&docs, '\0');
    for (size_t i = 0; i < td_config_n_options; i++) {
        const struct td_config_option *option = &td_config_options[i];
        char name[64], other[64], cell[80], flag[80];
        td_config_env_name(option, name);
        for (size_t k = 0; k < i; k++) {
            td_config_env_name(&td_config_options[k], other);
            assert_string_not_equal(name, other);
        }
        snprintf(cell, sizeof(cell), "| `%s` |", option->path);
        assert_non_null(strstr(docs.ptr, cell));
        snprintf(flag, sizeof(flag), "  --%s", option->path);
        assert_true(option->fields || strstr(help.ptr, flag));
        assert_true(option->help && option->help[0]);
        assert_true(!option->valid || option->expected);
        assert_true(!option->fields ==
                    !(option->type == TD_CONFIG_RECORDS || option->type == TD_CONFIG_NAMED));
    }
    td_buf_done(&help);
    td_buf_done(&docs);
}

static int make_dir(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/tidings-config-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
    static const char *const names[] = {"t.yaml",  "secret",    "dev/dev.key",
                                        "rsa.pem", "small.pem", "ec.json"};

    for (size_t i = 0; i < TD_ARRAY_LEN(names); i++)
        unlink(path_of(names[i]));
    rmdir(path_of("dev"));
    return rmdir(dir);
}

/* Entries of the file stand for those that ship with their path or name. */
static void endpoints(void **state)
{
    struct td_config *c = good(KEY "limits: {subscriptions: 9}\n"
                                   "heartbeat: {interval: 7s}\n"
                                   "endpoints:\n"
                                   "  board:\n"
                                   "    path: /boards/{team}\n"
                                   "    topics: ['boards/{team}/**']\n"
                                   "    transports: [http, websocket]\n"
                                   "    rule: role:editor\n"
                                   "    pong_timeout: 1500ms\n"
                                   "    commands_per_second: 3\n"
                                   "  mine: {path: '/ws/projects/{p}'}\n"
                                   "  ws: {path: /socket}\n"
                                   "  audit: {enabled: false}\n"
                                   "  job: {enabled: false, path: /elsewhere}\n");
    const struct td_endpoint *board = td_endpoints_of_path(&c->served, TD_S("/boards/{team}"));

    assert_int_equal(c->served.n, 6);
    assert_non_null(board);
    assert_int_equal(board->transports, TD_ENDPOINT_WEBSOCKET | TD_ENDPOINT_HTTP);
    assert_int_equal(board->rule, TD_RULE_ROLE);
    assert_int_equal(board->limits.subscriptions_max, 9);
    assert_int_equal(board->limits.commands_per_s, 3);
    assert_int_equal(board->limits.ping_interval_s, 7);
    assert_int_equal(board->limits.pong_timeout_s, 2);
    assert_int_equal(board->replacements_per_min, 10);
    assert_non_null(td_endpoints_of_path(&c->served, TD_S("/ws/projects/{p}")));
    assert_non_null(td_endpoints_of_path(&c->served, TD_S("/socket")));
    assert_null(td_endpoints_of_path(&c->served, TD_S("/ws/projects/{project_id}")));
    assert_null(td_endpoints_of_path(&c->served, TD_S("/ws")));
    assert_null(td_endpoints_of_path(&c->served, TD_S("/ws/audit")));
    assert_null(td_endpoints_of_path(&c->served, TD_S("/ws/job/{job_id}")));
    td_config_free(c);

    bad(KEY "endpoints:\n  a: {path: /x, topics: ['{y}']}\n",
        "t.yaml:3: endpoints.a.topics: {y} is no variable of the path, and not {sub} or "
        "{session}\n");
    bad(KEY "endpoints:\n  a: {path: /healthz}\n",
        "t.yaml:3: endpoints.a.path: the server itself answers there; choose another\n");
    bad(KEY "endpoints:\n  a: {path: /api/v1/entities/x/y}\n",
        "t.yaml:3: endpoints.a.path: the server itself answers there; choose another\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(endpoints),
        cmocka_unit_test(a_whole_file),
        cmocka_unit_test(every_fault_is_told),
        cmocka_unit_test(shapes_are_checked),
        cmocka_unit_test(yaml_faults_have_a_line),
        cmocka_unit_test(secrets_are_not_shown),
        cmocka_unit_test(values_have_their_type),
        cmocka_unit_test(relations_are_checked),
        cmocka_unit_test(groups_have_names),
        cmocka_unit_test(kinds_of_jobs),
        cmocka_unit_test(kinds_share_a_model),
        cmocka_unit_test(jobs_are_kept_for_a_week),
        cmocka_unit_test(the_environment_is_over_the_file),
        cmocka_unit_test(flags_are_over_all),
        cmocka_unit_test(a_secret_may_lie_in_a_file),
        cmocka_unit_test(issuers_are_rows_of_a_table),
        cmocka_unit_test(keys_that_do_not_fit_are_told),
        cmocka_unit_test(development_makes_a_key_and_keeps_it),
        cmocka_unit_test(a_missing_file_is_told),
        cmocka_unit_test(a_reload_knows_what_it_cannot_change),
        cmocka_unit_test(the_table_is_sound),
    };

    return cmocka_run_group_tests_name("config", tests, make_dir, drop_dir);
}
