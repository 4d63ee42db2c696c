/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config_schema.h"
#include "base/cidr.h"
#include "base/topic.h"

#define NO_MAX UINT64_MAX
#define SECOND 1000
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static const char *const durability_words[] = {"fsync", "fast", NULL};
static const char *const level_words[] = {"debug", "info", "warn", "error", "none", NULL};
static const char *const format_words[] = {"json", "text", NULL};
static const char *const tls_words[] = {"1.2", "1.3", NULL};
static const char *const runner_words[] = {"command", "llm", "pipeline", "external", NULL};
static const char *const exit_words[] = {"failure", "result", NULL};
static const char *const event_words[] = {"event", "flat", "entity", NULL};

_Static_assert(TD_DURABILITY_FSYNC == 0 && TD_DURABILITY_FAST == 1, "durability_words");
_Static_assert(TD_TLS_1_2 == 0 && TD_TLS_1_3 == 1, "tls_words");
_Static_assert(TD_RUNNER_COMMAND == 0 && TD_RUNNER_EXTERNAL == 3, "runner_words");
_Static_assert(TD_FORMAT_EVENT == 0 && TD_FORMAT_FLAT == 1 && TD_FORMAT_ENTITY == 2, "event_words");
_Static_assert(TD_LOG_DEBUG == 0 && TD_LOG_NONE == 4, "level_words");
_Static_assert(sizeof(struct td_config_keys) == sizeof(struct td_config_array), "one layout");
_Static_assert(sizeof(struct td_config_issuers) == sizeof(struct td_config_array), "one layout");
_Static_assert(sizeof(struct td_config_endpoints) == sizeof(struct td_config_array), "one layout");
_Static_assert(sizeof(struct td_config_groups) == sizeof(struct td_config_array), "one layout");
_Static_assert(sizeof(struct td_config_kinds) == sizeof(struct td_config_array), "one layout");
_Static_assert(offsetof(struct td_policy, n_roles) - offsetof(struct td_policy, roles) ==
                   offsetof(struct td_config_array, n),
               "one layout");

static bool port_valid(struct td_slice text)
{
    uint64_t port;

    return text.len <= 5 && td_slice_u64(text, &port) == 0 && port <= 65535;
}

/* HOST:PORT as os/net.h takes it: the host may be empty, IPv6 stands in brackets. */
static bool address_valid(struct td_slice text)
{
    const char *colon = text.len ? memrchr(text.ptr, ':', text.len) : NULL;

    if (!colon || text.len > 63)
        return false;
    struct td_slice host = td_slice_to(text, (size_t)(colon - text.ptr));
    if (!port_valid(td_slice_from(text, host.len + 1)))
        return false;
    if (host.len > 0 && host.ptr[0] == '[')
        return host.ptr[host.len - 1] == ']' && host.len > 2;
    return !memchr(host.len ? host.ptr : "", ':', host.len);
}

/* An Origin as browsers send it (RFC 6454 §7): scheme, host in lower case, port; the port may be `*`. */
static bool origin_valid(struct td_slice text)
{
    static const char host_bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_[]:";
    struct td_slice http = TD_S("http://"), https = TD_S("https://");
    struct td_slice rest;

    if (td_slice_starts(text, http))
        rest = td_slice_from(text, http.len);
    else if (td_slice_starts(text, https))
        rest = td_slice_from(text, https.len);
    else
        return false;
    const char *colon = rest.len ? memrchr(rest.ptr, ':', rest.len) : NULL;
    struct td_slice host = rest;
    if (colon && rest.ptr[rest.len - 1] != ']') { /* not the colons inside of an IPv6 address */
        struct td_slice port = td_slice_from(rest, (size_t)(colon - rest.ptr) + 1);
        if (!td_slice_eq(port, TD_S("*")) && !port_valid(port))
            return false;
        host = td_slice_to(rest, (size_t)(colon - rest.ptr));
    }
    for (size_t i = 0; i < host.len; i++)
        if (!host.ptr[i] || !strchr(host_bytes, host.ptr[i]))
            return false;
    return host.len > 0;
}

/* A token of RFC 9110 §5.6.2, which is what a cookie's name is (RFC 6265 §4.1.1). */
static bool cookie_valid(struct td_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c >= 127 || strchr("()<>@,;:\\\"/[]?={}", c))
            return false;
    }
    return text.len > 0 && text.len <= 64;
}

static bool cidr_valid(struct td_slice text)
{
    struct td_cidr cidr;

    return td_cidr_parse(text, &cidr) == 0;
}

/* Only what is fetched by HTTP: no file, no other scheme. */
static bool url_valid(struct td_slice text)
{
    if (!td_slice_starts(text, TD_S("https://")) && !td_slice_starts(text, TD_S("http://")))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] == 127)
            return false;
    return text.len <= 2048;
}

static bool filled(struct td_slice text)
{
    return text.len > 0;
}

static bool transport_valid(struct td_slice text)
{
    return td_slice_eq(text, TD_S("websocket")) || td_slice_eq(text, TD_S("http"));
}

#define ALG_EXPECTED     "HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256 or ES384"
#define PATTERN_EXPECTED "a valid pattern such as projects/42/** or users/{sub}/*"

/* clang-format off */
#define KEY(name) offsetof(struct td_config_key, name)
static const struct td_config_option key_items[] = {
    {"alg", TD_CONFIG_TEXT, KEY(alg), .standard = "HS256", .valid = td_alg_valid, .expected = ALG_EXPECTED, .help = "The one algorithm that the key is for."},
    {"kid", TD_CONFIG_TEXT, KEY(kid), .help = "The key's name; tokens that name another are not tried with it."},
    {"secret", TD_CONFIG_TEXT, KEY(secret), .secret = true, .help = "The shared secret: 32 bytes at least for HS256, 48 for HS384, 64 for HS512."},
    {"secret_file", TD_CONFIG_TEXT, KEY(secret_file), .valid = filled, .expected = "a path", .help = "A file that holds the secret; a newline at its end is dropped."},
    {"public_key_file", TD_CONFIG_TEXT, KEY(public_key_file), .valid = filled, .expected = "a path", .help = "For RS, PS and ES: a file with a PEM public key, a JWK, or a set of them (JWKS) of which those for alg (and of that kid) are taken. RSA has 2048 bits at least."},
};
static const struct td_config_fields key_fields = {key_items, TD_ARRAY_LEN(key_items), sizeof(struct td_config_key), 0};

#define ISSUER(name) offsetof(struct td_config_issuer, name)
static const struct td_config_option issuer_items[] = {
    {"issuer", TD_CONFIG_TEXT, ISSUER(rules.issuer), .valid = filled, .expected = "the issuer's name", .help = "What its tokens say in iss, compared as a whole. A token is verified with the keys of its own issuer and no others."},
    {"audience", TD_CONFIG_TEXT, ISSUER(rules.audience), .help = "What the claim aud must be or hold. Not checked when absent."},
    {"algorithms", TD_CONFIG_LIST, ISSUER(algorithms), .valid = td_alg_valid, .expected = ALG_EXPECTED, .help = "What its keys are for. A key that does not say its own algorithm is bound to the first of these that fits it; one that says another is not used."},
    {"public_key_files", TD_CONFIG_LIST, ISSUER(public_key_files), .valid = filled, .expected = "a path", .help = "Files with its public keys: PEM, JWK or JWKS."},
    {"secret_file", TD_CONFIG_TEXT, ISSUER(secret_file), .valid = filled, .expected = "a path", .help = "A file that holds a secret shared with it; a newline at its end is dropped."},
    {"jwks_url", TD_CONFIG_TEXT, ISSUER(jwks_url), .valid = url_valid, .expected = "a URL that begins with https:// or http://", .help = "Where its public keys are fetched from (JWKS), instead of files."},
    {"leeway", TD_CONFIG_DURATION, ISSUER(rules.leeway_ms), .standard = "5s", .min = 0, .max = 5 * MINUTE, .help = "How far its clock may be ahead when nbf is checked. exp is exact."},
};
static const struct td_config_fields issuer_fields = {issuer_items, TD_ARRAY_LEN(issuer_items), sizeof(struct td_config_issuer), 0};

#define ROLE(name) offsetof(struct td_role, name)
static const struct td_config_option role_items[] = {
    {"name", TD_CONFIG_TEXT, ROLE(name), .valid = filled, .expected = "the name of a role", .help = "The role."},
    {"subscribe", TD_CONFIG_LIST, ROLE(grants.subscribe), .valid = td_policy_pattern_valid, .expected = PATTERN_EXPECTED, .help = "Patterns that the role may subscribe."},
    {"publish", TD_CONFIG_LIST, ROLE(grants.publish), .valid = td_policy_pattern_valid, .expected = PATTERN_EXPECTED, .help = "Patterns that the role may publish to."},
};
static const struct td_config_fields role_fields = {role_items, TD_ARRAY_LEN(role_items), sizeof(struct td_role), 0};

#define GROUP(name) offsetof(struct td_config_group, name)
static const struct td_config_option group_items[] = {
    {"name", TD_CONFIG_TEXT, GROUP(name), .valid = td_segment_valid, .expected = "a name of letters, digits and . _ ~ @ : -", .help = "The group."},
    {"topics", TD_CONFIG_LIST, GROUP(topics), .valid = td_pattern_valid, .expected = "a valid pattern such as runs/**", .help = "Patterns of its topics, 64 at most. A topic is of the first group with one that matches it."},
    {"age", TD_CONFIG_DURATION, GROUP(age_ms), .standard = "0", .min = MINUTE, .max = NO_MAX, .off = "kept for ever", .help = "Its events older than this may be dropped."},
    {"bytes", TD_CONFIG_BYTES, GROUP(bytes), .standard = "0", .min = TD_MIB, .max = NO_MAX, .off = "no bound", .help = "The size beyond which its oldest events are dropped."},
    {"state_ttl", TD_CONFIG_DURATION, GROUP(state_ttl_ms), .standard = "0", .min = SECOND, .max = NO_MAX, .off = "kept until it is removed", .help = "State of its topics whose last event is older is not kept."},
};
static const struct td_config_fields group_fields = {group_items, TD_ARRAY_LEN(group_items), sizeof(struct td_config_group), 0};

#define ENDPOINT(name) offsetof(struct td_config_endpoint, name)
#define FILTER_EXPECTED "a name of letters, digits and . _ ~ @ : - that no other parameter has (since, state, type, format, limit, wait, session, token)"
static const struct td_config_option endpoint_items[] = {
    {"name", TD_CONFIG_TEXT, ENDPOINT(name), .valid = td_segment_valid, .expected = "a name of letters, digits and . _ ~ @ : -", .help = "The endpoint."},
    {"enabled", TD_CONFIG_BOOL, ENDPOINT(enabled), .standard = "true", .help = "Whether it is there: false takes away the one that ships with its name or path."},
    {"path", TD_CONFIG_TEXT, ENDPOINT(path), .valid = td_endpoint_path_valid, .expected = "a path such as /ws/projects/{project_id}, in which a variable is a whole segment", .help = "Where it is. A variable takes any legal segment of a topic; other paths are 404. Where several endpoints match, the one with a literal segment first has it."},
    {"topics", TD_CONFIG_LIST, ENDPOINT(topics), .valid = td_endpoint_topic_valid, .expected = "a pattern such as projects/{project_id}/** or users/{sub}/**, perhaps with ` where MEMBER={variable}` behind it", .help = "What a reader is subscribed to, as far as it is granted: patterns with the path's variables, {sub} (the subject) and {session} (given as ?session=, or made and told). With `where`, only events of which a member of data is that. Without topics clients SUBSCRIBE."},
    {"transports", TD_CONFIG_LIST, ENDPOINT(transports), .standard = "websocket", .valid = transport_valid, .expected = "websocket or http", .help = "How it is read: as a WebSocket, by http (events streams, pages, long-poll), or both."},
    {"format", TD_CONFIG_WORD, ENDPOINT(format), .standard = "event", .words = event_words, .help = "How events are written, unless ?format= says otherwise."},
    {"rule", TD_CONFIG_TEXT, ENDPOINT(rule), .standard = "any", .valid = td_endpoint_rule_valid, .expected = "any, subscribe, job, role:NAME or public", .help = "Who may come in. any: whoever has a valid token. subscribe: who is granted something of a topic without {sub} and {session}. job: who may see the job {job_id}. role:NAME: who has that role, and admins. public: everyone, without a token, for its topics alone."},
    {"filters", TD_CONFIG_LIST, ENDPOINT(filters), .valid = td_endpoint_filter_valid, .expected = FILTER_EXPECTED, .help = "Parameters of the URL that leave only events whose data has that member with that value; the same one given again is another value."},
    {"topic_filters", TD_CONFIG_LIST, ENDPOINT(topic_filters), .valid = td_endpoint_filter_valid, .expected = FILTER_EXPECTED, .help = "Likewise, where the member of data is a topic and the parameter a pattern."},
    {"connections_per_user", TD_CONFIG_NUMBER, ENDPOINT(connections_per_user), .standard = "0", .min = 1, .max = 1000000, .off = "no limit", .help = "WebSockets and streams of one subject, over all workers. Another one closes the oldest (4009)."},
    {"replacements_per_minute", TD_CONFIG_NUMBER, ENDPOINT(replacements_per_minute), .standard = "10", .min = 1, .max = 1000000, .off = "none", .help = "How many connections of a subject may be closed so in a minute; then the new one is (4029), so that tabs do not replace each other for ever."},
    {"connections_per_path", TD_CONFIG_NUMBER, ENDPOINT(connections_per_path), .standard = "0", .min = 1, .max = 1000000, .off = "no limit", .help = "WebSockets and streams with the same values in the path, over all workers. Another one is answered 503."},
    {"connections_per_address", TD_CONFIG_NUMBER, ENDPOINT(connections_per_address), .standard = "0", .min = 1, .max = 1000000, .off = "100 where the rule is public, otherwise no limit", .help = "WebSockets and streams of one address, over all workers; an IPv6 address counts as its /64. Another one is answered 503."},
    {"subscriptions", TD_CONFIG_NUMBER, ENDPOINT(subscriptions), .standard = "0", .min = 1, .max = 500, .off = "as limits.subscriptions", .help = "Subscriptions of one connection, with those of the topics, which always fit."},
    {"commands_per_second", TD_CONFIG_NUMBER, ENDPOINT(commands_per_second), .standard = "0", .min = 1, .max = 10000, .off = "as limits.commands_per_second", .help = "Commands that one WebSocket may send a second."},
    {"sends_per_second", TD_CONFIG_NUMBER, ENDPOINT(sends_per_second), .standard = "0", .min = 1, .max = 1000, .off = "as limits.sends_per_second", .help = "How often in a second one connection is sent events, at the most."},
    {"ping_interval", TD_CONFIG_DURATION, ENDPOINT(ping_interval_ms), .standard = "0", .min = SECOND, .max = HOUR, .off = "as heartbeat.interval", .help = "How often a WebSocket is pinged."},
    {"pong_timeout", TD_CONFIG_DURATION, ENDPOINT(pong_timeout_ms), .standard = "0", .min = SECOND, .max = HOUR, .off = "as heartbeat.timeout", .help = "How long a pong may take."},
    {"idle_timeout", TD_CONFIG_DURATION, ENDPOINT(idle_timeout_ms), .standard = "0", .min = SECOND, .max = DAY, .off = "as heartbeat.idle", .help = "How long a WebSocket may have nothing subscribed."},
    {"behind_timeout", TD_CONFIG_DURATION, ENDPOINT(behind_timeout_ms), .standard = "0", .min = SECOND, .max = HOUR, .off = "as heartbeat.behind", .help = "How long a slow reader may acknowledge nothing."},
    {"stream_interval", TD_CONFIG_DURATION, ENDPOINT(stream_interval_ms), .standard = "0", .min = SECOND, .max = HOUR, .off = "as heartbeat.stream", .help = "How long an event stream may be sent nothing."},
};
static const struct td_config_fields endpoint_fields = {endpoint_items, TD_ARRAY_LEN(endpoint_items), sizeof(struct td_config_endpoint), offsetof(struct td_config_endpoint, line)};

#define KIND(name) offsetof(struct td_kind_spec, name)
static const struct td_config_option kind_items[] = {
    {"name", TD_CONFIG_TEXT, KIND(name), .valid = td_segment_valid, .expected = "a name of letters, digits and . _ ~ @ : -", .help = "The kind."},
    {"runner", TD_CONFIG_WORD, KIND(runner), .standard = "command", .words = runner_words, .help = "What runs it: a command on this machine, a request to a language model, a pipeline of other kinds, or a worker elsewhere that reports (external)."},
    {"title", TD_CONFIG_TEXT, KIND(title), .help = "What people are told: the agent_name of a step."},
    {"params", TD_CONFIG_LIST, KIND(params), .valid = td_kind_param_valid, .expected = "NAME=REGEX, or NAME?=REGEX for one that may be absent", .help = "Its parameters, each with a POSIX extended regular expression that matches the whole value. Others are refused."},
    {"topic", TD_CONFIG_TEXT, KIND(topic), .help = "Where its events go besides jobs/{job_id}. {PARAMETER}, {sub}, {session}, {request_id} and {job_id} are replaced; each must be a legal segment."},
    {"events", TD_CONFIG_LIST, KIND(events), .valid = td_kind_event_valid, .expected = "EVENT=NAME, where EVENT is start, status, progress, output, text, log, step, complete, error or cancelled", .help = "What is told on that topic, and under what name."},
    {"carry", TD_CONFIG_LIST, KIND(carry), .valid = filled, .expected = "the name of a parameter", .help = "Parameters that each of these events carries."},
    {"who", TD_CONFIG_TEXT, KIND(who), .standard = "publish", .valid = td_kind_who_valid, .expected = "publish, any or role:NAME", .help = "Who may start it: who may publish to its topic, anyone with a valid token, or who has that role."},
    {"internal", TD_CONFIG_BOOL, KIND(internal), .standard = "false", .help = "It is a step of pipelines only."},
    {"shared", TD_CONFIG_BOOL, KIND(shared), .standard = "false", .help = "Others may publish to its topic while a job runs; otherwise that is refused (reserved_topic)."},
    {"steps", TD_CONFIG_LIST, KIND(steps), .valid = td_segment_valid, .expected = "the name of a kind", .help = "Of a pipeline: kinds that are run in this order."},
    {"time", TD_CONFIG_DURATION, KIND(time_ms), .standard = "10m", .min = 100, .max = 7 * DAY, .off = "no limit", .help = "How long it may run."},
    {"concurrency", TD_CONFIG_NUMBER, KIND(concurrency), .standard = "8", .min = 1, .max = 10000, .help = "Jobs of this kind that run at once; others are queued."},
    {"queue", TD_CONFIG_NUMBER, KIND(queue), .standard = "100", .min = 1, .max = 100000, .off = "none is queued", .help = "Jobs of this kind that may be queued; beyond that a start is refused (rate_limited)."},
    {"session_concurrency", TD_CONFIG_NUMBER, KIND(session_concurrency), .standard = "8", .min = 1, .max = 10000, .off = "no limit", .help = "Jobs of this kind that run at once for one session of /ws/enhance; others are queued."},
    {"argv", TD_CONFIG_LIST, KIND(argv), .help = "Of a command: the program and its arguments, never through a shell. {PARAMETER} and {result.STEP} are replaced within one argument, which stays one."},
    {"dir", TD_CONFIG_TEXT, KIND(dir), .valid = filled, .expected = "a path", .help = "Of a command: its working directory, the server's when absent; a value in it is one segment."},
    {"env", TD_CONFIG_LIST, KIND(env), .valid = filled, .expected = "NAME=VALUE or NAME", .help = "Of a command: what its environment has besides the server's PATH, HOME and LANG; NAME alone: as the server has it. A template as argv is."},
    {"exit_status", TD_CONFIG_WORD, KIND(exit_status), .standard = "failure", .words = exit_words, .help = "Of a command: whether another exit status than 0 is a failure of the job or a result (status failed of a job that completed)."},
    {"memory", TD_CONFIG_BYTES, KIND(memory_bytes), .standard = "0", .min = TD_MIB, .max = NO_MAX, .off = "no limit", .help = "Of a command: address space of each of its processes."},
    {"cpu_time", TD_CONFIG_DURATION, KIND(cpu_ms), .standard = "0", .min = SECOND, .max = DAY, .off = "no limit", .help = "Of a command: processor time of each of its processes, rounded up to seconds; then it is killed (killed)."},
    {"grace", TD_CONFIG_DURATION, KIND(grace_ms), .standard = "5s", .min = 1, .max = 10 * MINUTE, .help = "Of a command: how long it may take to end by itself once it is told to (SIGTERM), when it is cancelled or has been too long; then what is left of it is killed."},
    {"output_bytes", TD_CONFIG_BYTES, KIND(output_bytes), .standard = "16MiB", .min = 1024, .max = 1024 * TD_MIB, .off = "no limit", .help = "Of a command: how much it may write; then it is ended (output_limit). Of an llm: its answer, which is 96 KiB at most."},
    {"url", TD_CONFIG_TEXT, KIND(url), .valid = url_valid, .expected = "a URL that begins with https:// or http://", .help = "Of an llm: the upstream's base or its /chat/completions (OpenAI's wire format); llm.url when absent, with the key of llm.key_env unless the kind names one."},
    {"model", TD_CONFIG_TEXT, KIND(model), .valid = filled, .expected = "the name of a model", .help = "Of an llm: the model that is asked for; llm.model when absent."},
    {"key_env", TD_CONFIG_TEXT, KIND(key_env), .valid = filled, .expected = "the name of an environment variable", .help = "Of an llm: the variable of the server's environment that holds the API key."},
    {"key_file", TD_CONFIG_TEXT, KIND(key_file), .valid = filled, .expected = "a path", .help = "Of an llm: a file that holds the API key; a newline at its end is dropped."},
    {"system", TD_CONFIG_TEXT, KIND(system), .help = "Of an llm: the system message, a template as `prompt` is."},
    {"prompt", TD_CONFIG_TEXT, KIND(prompt), .help = "Of an llm: the user message. {PARAMETER} and {result.STEP} are replaced; {{ is a brace."},
    {"max_tokens", TD_CONFIG_NUMBER, KIND(max_tokens), .standard = "0", .min = 1, .max = 10000000, .off = "the upstream decides", .help = "Of an llm: tokens of the answer."},
    {"temperature", TD_CONFIG_TEXT, KIND(temperature), .valid = td_kind_temperature_valid, .expected = "a number from 0 to 2", .help = "Of an llm: how freely it chooses its words; the upstream decides when absent."},
    {"extra", TD_CONFIG_TEXT, KIND(extra), .valid = td_kind_extra_valid, .expected = "an object of JSON", .help = "Of an llm: members that the request has too, or instead of ours of that name, as `'{\"top_p\":0.9,\"seed\":7}'`."},
    {"retries", TD_CONFIG_NUMBER, KIND(retries), .standard = "2", .min = 1, .max = 10, .off = "it is asked once", .help = "Of an llm: how often a request that failed before its first piece, and may do better, is sent again."},
    {"retry_delay", TD_CONFIG_DURATION, KIND(retry_delay_ms), .standard = "500ms", .min = 1, .max = MINUTE, .help = "Of an llm: how long is waited before the first of these, more or less a quarter; twice as long before each further one."},
    {"connect_time", TD_CONFIG_DURATION, KIND(connect_ms), .standard = "10s", .min = 100, .max = HOUR, .off = "no limit", .help = "Of an llm: until there is a connection."},
    {"first_byte_time", TD_CONFIG_DURATION, KIND(first_byte_ms), .standard = "60s", .min = 100, .max = DAY, .off = "no limit", .help = "Of an llm: until the answer begins."},
    {"idle_time", TD_CONFIG_DURATION, KIND(idle_ms), .standard = "30s", .min = 100, .max = DAY, .off = "no limit", .help = "Of an llm: between two pieces of the answer."},
};
static const struct td_config_fields kind_fields = {kind_items, TD_ARRAY_LEN(kind_items), sizeof(struct td_kind_spec), 0};

#define AT(member) offsetof(struct td_config, member)
const struct td_config_option td_config_options[] = {
    {"listen", TD_CONFIG_LIST, AT(listen), .standard = TD_CONFIG_DEV_LISTEN, .valid = address_valid, .expected = "an address such as 127.0.0.1:8000, [::1]:8000 or :8000",
        .help = "Addresses to listen on. Without a host: all addresses."},
    {"data", TD_CONFIG_TEXT, AT(data), .standard = "tidings-data", .valid = filled, .expected = "a path",
        .help = "The directory of the log. It is made when absent."},
    {"workers", TD_CONFIG_NUMBER, AT(workers), .standard = "1", .min = 1, .max = 64,
        .help = "Threads that serve connections. One is best until it fills a core."},
    {"durability", TD_CONFIG_WORD, AT(durability), .standard = "fsync", .words = durability_words,
        .help = "fsync: a publish is answered, and shown to readers, once it is on disk. fast: once it is written; it is synced every 50 ms and the answer says durable:false."},
    {"segment_bytes", TD_CONFIG_BYTES, AT(segment_bytes), .standard = "64MiB", .min = TD_MIB, .max = 1024 * TD_MIB,
        .help = "Size of one file of the log. Retention drops whole segments."},
    {"compression", TD_CONFIG_BOOL, AT(compression), .standard = "false",
        .help = "Whether WebSocket clients with a valid token may agree on permessage-deflate. Each event is compressed once, whoever gets it. Leave it off where one message holds a secret beside text that somebody else chooses (SECURITY.md)."},
    {"compression_min_bytes", TD_CONFIG_BYTES, AT(compression_min_bytes), .standard = "128", .min = 0, .max = TD_MIB,
        .help = "Events whose message is shorter go uncompressed."},
    {"compression_takeover", TD_CONFIG_BOOL, AT(compression_takeover), .standard = "false",
        .help = "Whether clients may keep their window from message to message. It saves bytes of their commands and costs 9 KB to 40 KB for each connection that has sent a compressed one; otherwise an idle connection holds nothing."},
    {"origins", TD_CONFIG_LIST, AT(origins), .valid = origin_valid, .expected = "an origin such as https://app.example.com or http://localhost:*", .reloadable = true,
        .help = "Browser origins that may use cookies and read answers (CORS). The port may be *."},
    {"trusted_proxies", TD_CONFIG_LIST, AT(trusted_proxies), .valid = cidr_valid, .expected = "a network such as 10.0.0.0/8 or fd00::/8, or an address", .reloadable = true,
        .help = "Proxies whose X-Forwarded-For is believed: whom it names last that is not one of them counts as the peer, for logs and limits."},
    {"drain", TD_CONFIG_DURATION, AT(drain_ms), .standard = "10s", .min = 0, .max = HOUR, .reloadable = true,
        .help = "How long SIGTERM waits for connections to leave."},
    {"roles", TD_CONFIG_NAMED, AT(auth.policy.roles), .fields = &role_fields, .reloadable = true,
        .help = "What roles grant to tokens without a tidings claim. The role admin may do everything and needs no entry."},
    {"endpoints", TD_CONFIG_NAMED, AT(endpoints), .fields = &endpoint_fields, .reloadable = true,
        .help = "Paths that are bound to topics, with who may read them and how many. Those that ship stand at the end of this page; an entry with the path or the name of one takes its place."},

    {"tls.listen", TD_CONFIG_LIST, AT(tls.listen), .valid = address_valid, .expected = "an address such as 127.0.0.1:8443, [::1]:8443 or :8443",
        .help = "Addresses to listen on with TLS (https, wss), beside those of `listen`."},
    {"tls.certificate", TD_CONFIG_TEXT, AT(tls.certificate), .valid = filled, .expected = "a path", .reloadable = true,
        .help = "A PEM file: the server's certificate, then those that lead to its issuer. It is read again on SIGHUP: new connections get the new one, old ones stay."},
    {"tls.key", TD_CONFIG_TEXT, AT(tls.key), .valid = filled, .expected = "a path", .reloadable = true,
        .help = "A PEM file: the certificate's private key, without a passphrase."},
    {"tls.min_version", TD_CONFIG_WORD, AT(tls.min_version), .standard = "1.2", .words = tls_words, .reloadable = true,
        .help = "The oldest version of TLS that is spoken."},

    {"retention.age", TD_CONFIG_DURATION, AT(retention.age_ms), .standard = "7d", .min = MINUTE, .max = NO_MAX, .off = "kept for ever",
        .help = "Events older than this may be dropped."},
    {"retention.bytes", TD_CONFIG_BYTES, AT(retention.bytes), .standard = "10GiB", .min = 2 * TD_MIB, .max = NO_MAX, .off = "no bound",
        .help = "The size beyond which the oldest events are dropped: of the topics of no group. State is not counted."},
    {"retention.state_ttl", TD_CONFIG_DURATION, AT(retention.state_ttl_ms), .standard = "0", .min = SECOND, .max = NO_MAX, .off = "kept until it is removed",
        .help = "State whose last event is older is not kept."},
    {"retention.groups", TD_CONFIG_NAMED, AT(retention.groups), .fields = &group_fields,
        .help = "Topics with an age and bytes of their own, so that they push out no others, and no others them; 16 groups at most. The options above are for the topics of none. Where none names jobs/** or enhance/**, a group `jobs` keeps those for 7 days, 1 GiB at most."},

    {"auth.secret", TD_CONFIG_TEXT, AT(_auth_key.secret), .secret = true, .reloadable = true,
        .help = "The secret of one HS256 key, at least 32 bytes; short for an entry of auth.keys."},
    {"auth.secret_file", TD_CONFIG_TEXT, AT(_auth_key.secret_file), .valid = filled, .expected = "a path", .reloadable = true,
        .help = "A file that holds that secret; a newline at its end is dropped."},
    {"auth.issuer", TD_CONFIG_TEXT, AT(auth.rules.issuer), .reloadable = true,
        .help = "What the claim iss must be. Not checked when absent."},
    {"auth.audience", TD_CONFIG_TEXT, AT(auth.rules.audience), .reloadable = true,
        .help = "What the claim aud must be or hold. Not checked when absent."},
    {"auth.leeway", TD_CONFIG_DURATION, AT(auth.rules.leeway_ms), .standard = "5s", .min = 0, .max = 5 * MINUTE, .reloadable = true,
        .help = "How far the issuer's clock may be ahead when nbf is checked. exp is exact."},
    {"auth.exp_optional", TD_CONFIG_BOOL, AT(auth.rules.exp_optional), .standard = "false", .reloadable = true,
        .help = "Accept tokens without exp, which never expire."},
    {"auth.default_grants.subscribe", TD_CONFIG_LIST, AT(auth.policy.default_grants.subscribe), .valid = td_policy_pattern_valid, .expected = PATTERN_EXPECTED, .reloadable = true,
        .help = "Patterns that every token without a tidings claim may subscribe. {sub} stands for the subject."},
    {"auth.default_grants.publish", TD_CONFIG_LIST, AT(auth.policy.default_grants.publish), .valid = td_policy_pattern_valid, .expected = PATTERN_EXPECTED, .reloadable = true,
        .help = "Patterns that every token without a tidings claim may publish to."},
    {"auth.cookie", TD_CONFIG_TEXT, AT(cookie), .valid = cookie_valid, .expected = "the name of a cookie", .reloadable = true,
        .help = "The cookie that may carry the token, for requests with an allowed Origin. Cookies are not read when absent."},
    {"auth.query_token", TD_CONFIG_BOOL, AT(query_token), .standard = "true", .reloadable = true,
        .help = "Whether ?token= and ?access_token= are read. They are never logged."},
    {"auth.keys", TD_CONFIG_RECORDS, AT(_auth_keys), .fields = &key_fields, .reloadable = true,
        .help = "Keys that tokens may be signed with. A token is verified only with keys of its own alg, and of its own kid where both have one."},
    {"auth.issuers", TD_CONFIG_RECORDS, AT(issuers), .fields = &issuer_fields, .reloadable = true,
        .help = "Others who issue tokens, each with its own keys. The options above are for tokens whose iss is none of theirs."},

    {"heartbeat.interval", TD_CONFIG_DURATION, AT(heartbeat.interval_ms), .standard = "30s", .min = SECOND, .max = HOUR, .reloadable = true,
        .help = "A WebSocket is pinged so often; one that was sent nothing meanwhile gets a `heartbeat` message too."},
    {"heartbeat.stream", TD_CONFIG_DURATION, AT(heartbeat.stream_ms), .standard = "15s", .min = SECOND, .max = HOUR, .reloadable = true,
        .help = "An event stream (SSE) that was sent nothing for so long is sent its position."},
    {"heartbeat.timeout", TD_CONFIG_DURATION, AT(heartbeat.timeout_ms), .standard = "10s", .min = SECOND, .max = HOUR, .reloadable = true,
        .help = "How long a pong may take; then the connection is closed (4008)."},
    {"heartbeat.idle", TD_CONFIG_DURATION, AT(heartbeat.idle_ms), .standard = "10m", .min = SECOND, .max = DAY, .off = "never", .reloadable = true,
        .help = "A WebSocket with no subscription, no job of its own that runs or waits, and nothing but heartbeats for so long is closed (4008)."},
    {"heartbeat.behind", TD_CONFIG_DURATION, AT(heartbeat.behind_ms), .standard = "40s", .min = SECOND, .max = HOUR, .reloadable = true,
        .help = "A connection with unsent data whose peer acknowledges nothing for so long is closed (4008)."},

    {"limits.message_bytes", TD_CONFIG_BYTES, AT(limits.message_bytes), .standard = "1MiB", .min = 1024, .max = 8 * TD_MIB, .reloadable = true,
        .help = "One WebSocket message, or one event in a body."},
    {"limits.body_bytes", TD_CONFIG_BYTES, AT(limits.body_bytes), .standard = "4MiB", .min = 1024, .max = 64 * TD_MIB, .reloadable = true,
        .help = "The body of a request."},
    {"limits.batch_events", TD_CONFIG_NUMBER, AT(limits.batch_events), .standard = "1000", .min = 1, .max = 10000, .reloadable = true,
        .help = "Events in one publish."},
    {"limits.page_events", TD_CONFIG_NUMBER, AT(limits.page_events), .standard = "1000", .min = 1, .max = 1000, .reloadable = true,
        .help = "Events in one page of history."},
    {"limits.subscriptions", TD_CONFIG_NUMBER, AT(limits.subscriptions), .standard = "100", .min = 1, .max = 500, .reloadable = true,
        .help = "Subscriptions of one connection."},
    {"limits.commands_per_second", TD_CONFIG_NUMBER, AT(limits.commands_per_second), .standard = "20", .min = 1, .max = 10000, .reloadable = true,
        .help = "Commands that one WebSocket may send a second."},
    {"limits.connections", TD_CONFIG_NUMBER, AT(limits.connections), .standard = "100000", .min = 1, .max = 4000000, .reloadable = true,
        .help = "Connections in all."},
    {"limits.sends_per_second", TD_CONFIG_NUMBER, AT(limits.sends_per_second), .standard = "0", .min = 1, .max = 1000, .off = "no bound", .reloadable = true,
        .help = "How often in a second one WebSocket or stream is sent events, at the most: one at once, then what has gathered, together."},
    {"limits.connections_per_address", TD_CONFIG_NUMBER, AT(limits.connections_per_address), .standard = "0", .min = 1, .max = 4000000, .off = "no limit", .reloadable = true,
        .help = "Connections of one address, over all workers; an IPv6 address counts as its /64. Behind a trusted proxy WebSockets and streams are counted."},
    {"limits.connections_per_user", TD_CONFIG_NUMBER, AT(limits.connections_per_user), .standard = "0", .min = 1, .max = 4000000, .off = "no limit", .reloadable = true,
        .help = "WebSockets and streams of one subject, over all workers."},
    {"limits.bad_tokens_per_second", TD_CONFIG_NUMBER, AT(limits.bad_tokens_per_second), .standard = "10", .min = 1, .max = 10000, .off = "no limit", .reloadable = true,
        .help = "Tokens of one address that may be invalid or expired; ten times as many at once. Beyond that tokens that are not known yet are refused without being looked at."},
    {"limits.publishes_per_second", TD_CONFIG_NUMBER, AT(limits.publishes_per_second), .standard = "0", .min = 1, .max = 1000000, .off = "no limit", .reloadable = true,
        .help = "Publishes (requests or commands, whatever they hold) of one connection; twice as many at once."},
    {"limits.pending_publishes", TD_CONFIG_NUMBER, AT(limits.pending_publishes), .standard = "256", .min = 1, .max = 65536, .reloadable = true,
        .help = "Publishes of one connection that may wait for the disk; then it is not read from."},
    {"limits.state_keys", TD_CONFIG_NUMBER, AT(limits.state_keys), .standard = "1000000", .min = 1, .max = 100000000,
        .help = "Keys with state, of all topics. Each takes about 150 bytes of memory."},
    {"limits.topic_keys", TD_CONFIG_NUMBER, AT(limits.topic_keys), .standard = "10000", .min = 1, .max = 100000000,
        .help = "Keys with state of one topic."},
    {"limits.lock_ttl", TD_CONFIG_DURATION, AT(limits.lock_ttl_ms), .standard = "1h", .min = SECOND, .max = 24 * HOUR, .reloadable = true,
        .help = "The longest lease of a lock that may be asked for at once; its holder may renew it."},
    {"limits.locks_per_user", TD_CONFIG_NUMBER, AT(limits.locks_per_user), .standard = "100", .min = 1, .max = 1000000, .reloadable = true,
        .help = "Locks that one subject may hold."},
    {"limits.locks", TD_CONFIG_NUMBER, AT(limits.locks), .standard = "100000", .min = 1, .max = 10000000, .reloadable = true,
        .help = "Locks that are held in all. Each takes about 300 bytes of memory."},
    {"limits.head_time", TD_CONFIG_DURATION, AT(limits.head_time_ms), .standard = "10s", .min = SECOND, .max = HOUR, .reloadable = true,
        .help = "How long the request line and headers may take to arrive, and a new connection to begin its first request."},
    {"limits.request_time", TD_CONFIG_DURATION, AT(limits.request_time_ms), .standard = "30s", .min = SECOND, .max = HOUR, .reloadable = true,
        .help = "How long a request may take to arrive whole, counted from its first byte."},

    {"llm.url", TD_CONFIG_TEXT, AT(llm.url), .valid = url_valid, .expected = "a URL that begins with https:// or http://", .reloadable = true,
        .help = "The upstream of kinds with runner llm that name none: its base, such as https://api.example.com/v1, or its /chat/completions. In `tidings dev` without one an imitation is started."},
    {"llm.model", TD_CONFIG_TEXT, AT(llm.model), .valid = filled, .expected = "the name of a model", .reloadable = true,
        .help = "The model of kinds that name none."},
    {"llm.key_env", TD_CONFIG_TEXT, AT(llm.key_env), .standard = "TIDINGS_LLM_KEY", .valid = filled, .expected = "the name of an environment variable", .reloadable = true,
        .help = "The variable that holds the API key of llm.url, where it needs one."},

    {"jobs.unfinished", TD_CONFIG_NUMBER, AT(jobs.unfinished), .standard = "10000", .min = 1, .max = 1000000, .reloadable = true,
        .help = "Jobs that run, are queued, or are reported by others, in all. Each takes some 4 KB of memory."},
    {"jobs.owner_unfinished", TD_CONFIG_NUMBER, AT(jobs.owner_unfinished), .standard = "200", .min = 1, .max = 1000000, .reloadable = true,
        .help = "The same of one subject; beyond that a start is refused (rate_limited)."},
    {"jobs.owner_running", TD_CONFIG_NUMBER, AT(jobs.owner_running), .standard = "0", .min = 1, .max = 1000000, .off = "no limit", .reloadable = true,
        .help = "Jobs of one subject that run at once; others are queued."},
    {"jobs.kinds", TD_CONFIG_RECORDS, AT(jobs.specs), .fields = &kind_fields, .reloadable = true,
        .help = "Kinds of jobs (docs/jobs.md), 256 at most."},

    {"authorizer.url", TD_CONFIG_TEXT, AT(authorizer.url), .valid = url_valid, .expected = "a URL that begins with https:// or http://", .reloadable = true,
        .help = "Who is asked by HTTP POST whether a subject may subscribe a pattern of which its token grants nothing (docs/protocol.md). Nobody when absent."},
    {"authorizer.timeout", TD_CONFIG_DURATION, AT(authorizer.timeout_ms), .standard = "2s", .min = 10, .max = MINUTE, .reloadable = true,
        .help = "How long an answer may take; then it is refused as `unavailable`."},
    {"authorizer.cache", TD_CONFIG_DURATION, AT(authorizer.cache_ms), .standard = "30s", .min = SECOND, .max = DAY, .reloadable = true,
        .help = "How long a permission holds when the answer has no ttl. It is asked for again when three quarters of that are over."},
    {"authorizer.denied_cache", TD_CONFIG_DURATION, AT(authorizer.denied_ms), .standard = "5s", .min = 0, .max = DAY, .reloadable = true,
        .help = "The same of a refusal."},
    {"authorizer.grace", TD_CONFIG_DURATION, AT(authorizer.grace_ms), .standard = "10s", .min = 0, .max = HOUR, .reloadable = true,
        .help = "How long open subscriptions go on behind the time of their permission when the authorizer gives no answer."},
    {"authorizer.cache_entries", TD_CONFIG_NUMBER, AT(authorizer.cache_entries), .standard = "10000", .min = 1, .max = 1000000, .reloadable = true,
        .help = "Answers that are remembered, with questions that are under way; the one that was used longest ago makes room."},
    {"authorizer.concurrency", TD_CONFIG_NUMBER, AT(authorizer.concurrency), .standard = "16", .min = 1, .max = 128, .reloadable = true,
        .help = "Questions under way at once; others wait, within their timeout."},
    {"authorizer.secret_file", TD_CONFIG_TEXT, AT(authorizer.secret_file), .valid = filled, .expected = "a path", .reloadable = true,
        .help = "A file with a secret that is sent with each question; a newline at its end is dropped."},
    {"authorizer.header", TD_CONFIG_TEXT, AT(authorizer.header), .standard = "Authorization", .valid = cookie_valid, .expected = "the name of a header", .reloadable = true,
        .help = "The header that carries the secret. In Authorization it stands behind `Bearer `."},

    {"audit.events", TD_CONFIG_BOOL, AT(audit.events), .standard = "true",
        .help = "Whether what security and operations want to know of (connections, refusals, jobs, locks, entities, reloads, acts of admins) becomes events on audit/**, which only the role admin may see. The log has it in either case."},
    {"audit.publishes", TD_CONFIG_BOOL, AT(audit.publishes), .standard = "false", .reloadable = true,
        .help = "Whether each publish becomes such an event too."},

    {"presence.topics", TD_CONFIG_LIST, AT(presence.topics), .standard = "projects/*", .valid = td_pattern_valid, .expected = "a valid pattern such as rooms/*",
        .help = "Topics of which it is kept, and told, who follows them (presence_joined, presence_left). An empty list: none."},
    {"presence.announce", TD_CONFIG_NUMBER, AT(presence.announce), .standard = "250", .min = 1, .max = 100000, .off = "nobody is told",
        .help = "While so many connections or fewer are on a topic, each that comes, and later goes, is told to the others. Beyond that they are only counted and listed."},
    {"presence.entries", TD_CONFIG_NUMBER, AT(presence.entries), .standard = "100000", .min = 1, .max = 10000000,
        .help = "Connections that may be present on topics, in all, each topic counted; others are not shown. Each takes about 200 bytes of memory."},

    {"log.level", TD_CONFIG_WORD, AT(log.level), .standard = "info", .words = level_words, .reloadable = true,
        .help = "The least that is logged. debug shows each handshake."},
    {"log.format", TD_CONFIG_WORD, AT(log.format), .standard = "json", .words = format_words,
        .help = "How log lines look."},
};
/* clang-format on */
const size_t td_config_n_options = TD_ARRAY_LEN(td_config_options);

const struct td_config_option *td_config_find(struct td_slice path)
{
    for (size_t i = 0; i < td_config_n_options; i++)
        if (td_slice_eq(td_slice_str(td_config_options[i].path), path))
            return &td_config_options[i];
    return NULL;
}

bool td_config_is_section(struct td_slice path)
{
    for (size_t i = 0; i < td_config_n_options; i++) {
        struct td_slice option = td_slice_str(td_config_options[i].path);
        if (option.len > path.len && td_slice_starts(option, path) && option.ptr[path.len] == '.')
            return true;
    }
    return false;
}

/* Optimal string alignment, three rows of the matrix at a time.  Texts here are short; longer ones are simply far. */
size_t td_config_distance(struct td_slice a, struct td_slice b, size_t max)
{
    enum { LEN_MAX = 63 };
    size_t rows[3][LEN_MAX + 1];

    if (a.len > LEN_MAX || b.len > LEN_MAX)
        return max + 1;
    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t replaced = above[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            row[j] = TD_MIN(replaced, TD_MIN(above[j], row[j - 1]) + 1);
            bool swapped =
                i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1];
            if (swapped)
                row[j] = TD_MIN(row[j], two_above[j - 2] + 1);
        }
    }
    return TD_MIN(rows[a.len % 3][b.len], max + 1);
}

const char *td_config_nearest(struct td_slice path, char ret_path[64])
{
    size_t best = 1 + TD_MIN((size_t)3, path.len / 3); /* more edits than that are another word */
    struct td_slice found = {NULL, 0};

    for (size_t i = 0; i < td_config_n_options; i++) {
        struct td_slice option = td_slice_str(td_config_options[i].path);
        for (size_t end = 1; end <= option.len; end++) {
            if (end < option.len && option.ptr[end] != '.')
                continue; /* the option, and each section that it stands in */
            struct td_slice candidate = td_slice_to(option, end);
            size_t distance = td_config_distance(path, candidate, best);
            if (distance >= best)
                continue;
            best = distance;
            found = candidate;
        }
    }
    if (!found.ptr)
        return NULL;
    memcpy(ret_path, found.ptr, found.len);
    ret_path[found.len] = '\0';
    return ret_path;
}

void td_config_env_name(const struct td_config_option *option, char ret_name[64])
{
    size_t len = 0;

    for (const char *c = "TIDINGS_"; *c; c++)
        ret_name[len++] = *c;
    for (const char *c = option->path; *c && len < 63; c++)
        ret_name[len++] = *c == '.' ? '_' : (char)(*c >= 'a' && *c <= 'z' ? *c - ('a' - 'A') : *c);
    ret_name[len] = '\0';
}
