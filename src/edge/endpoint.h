/* SPDX-License-Identifier: Apache-2.0 */
// (Line comments, because patterns hold the marks of block comments.)
//
// An endpoint: a URL template that is bound to topics, a format, a rule and limits.  Endpoints are data (the option `endpoints`); the ones
// that ship are data in the same form.
//
//     /ws/projects/{project_id}     →     projects/{project_id}/**, users/{sub}/**
//
// A variable is a whole segment of the path.  Its value is a legal segment of a topic once it is percent-decoded, so never `*`; a path with
// another one is of no endpoint.  Topics may hold the variables, {sub} (the subject's segment) and {session}, and a condition on a member of an
// event's `data`: `users/{sub}/** where proposal_id={id}`.
//
// Immutable, and shared by threads: references are counted with atomics, because a connection outlives the configuration that its endpoint
// came with.
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/topic.h"
#include "codec/format.h"
#include <stdatomic.h>

#define TD_ENDPOINTS_MAX          64
#define TD_ENDPOINT_VARIABLES_MAX 8
#define TD_ENDPOINT_TOPICS_MAX    16
#define TD_ENDPOINT_FILTERS_MAX   16
#define TD_VARIABLE_LEN_MAX       32

/* Who may come in. */
enum td_rule {
    TD_RULE_ANY, /* whoever has a valid token */
    TD_RULE_SUBSCRIBE, /* who may subscribe a part of one of its topics, those with {sub} or {session} not counted */
    TD_RULE_JOB,    /* who may see the job {job_id} */
    TD_RULE_ROLE,   /* who has the role */
    TD_RULE_PUBLIC, /* everyone: tokens are not looked at */
};

/* How an endpoint is spoken to. */
enum td_endpoint_transport {
    TD_ENDPOINT_WEBSOCKET = 1,
    TD_ENDPOINT_HTTP = 2, /* a stream, a page, long-poll */
};

/* Numbers that count for one connection. */
struct td_conn_limits {
    unsigned subscriptions_max; /* named */
    unsigned commands_per_s;    /* twice as many at once */
    unsigned sends_per_s;       /* of events; 0: no bound */
    unsigned ping_interval_s, pong_timeout_s, behind_timeout_s;
    unsigned idle_timeout_s; /* 0: never */
    unsigned sse_interval_s;
};

/* A topic of an endpoint, as a template. */
struct td_endpoint_topic {
    struct td_slice pattern;
    struct td_slice member, value; /* of the condition; member.ptr NULL: there is none */
    bool own;                      /* it holds {sub} or {session} */
};

/* Where nobody is known, an address may have so many connections, unless it is said. */
#define TD_PUBLIC_PER_ADDRESS 100

struct td_endpoint {
    struct td_slice name, path;
    struct td_slice variables[TD_ENDPOINT_VARIABLES_MAX]; /* in the order of the path */
    struct td_endpoint_topic topics[TD_ENDPOINT_TOPICS_MAX];
    struct td_slice filters
        [TD_ENDPOINT_FILTERS_MAX]; /* parameters of the URL: members of data that equal them, … */
    struct td_slice
        topic_filters[TD_ENDPOINT_FILTERS_MAX]; /* … or are topics that they match as patterns */
    size_t n_variables, n_topics, n_filters, n_topic_filters;
    unsigned transports; /* of enum td_endpoint_transport */
    enum td_format format;
    enum td_rule rule;
    struct td_slice role; /* of TD_RULE_ROLE */
    bool uses_session;    /* some topic holds {session} */
    struct td_conn_limits limits;
    /* Over all workers; 0: no limit. */
    unsigned connections_per_user, replacements_per_min, connections_per_path;
    unsigned connections_per_address;
    _Atomic uint32_t _refs;
    char _text[];
};

/* What an endpoint is made of. */
struct td_endpoint_spec {
    struct td_slice name, path, rule;
    const struct td_slice *topics, *filters, *topic_filters;
    size_t n_topics, n_filters, n_topic_filters;
    unsigned transports;
    enum td_format format;
    struct td_conn_limits limits;
    unsigned connections_per_user, replacements_per_min, connections_per_path;
    unsigned connections_per_address; /* 0: TD_PUBLIC_PER_ADDRESS where the rule is public */
};

/* Whether a text is a template of a path or of a topic (with its condition), or a rule, by its form alone. */
bool td_endpoint_path_valid(struct td_slice path);
bool td_endpoint_topic_valid(struct td_slice topic);
bool td_endpoint_rule_valid(struct td_slice rule);
bool td_endpoint_filter_valid(struct td_slice name);

/* Makes an endpoint of what has passed the above.  0 with one reference; TD_EINVAL with `FIELD: a sentence` appended to `why` when its parts
 * do not fit together, or -ENOMEM. */
TD_MUST_USE int td_endpoint_new(const struct td_endpoint_spec *spec,
                                struct td_endpoint **ret_endpoint, struct td_buf *why);
struct td_endpoint *td_endpoint_ref(struct td_endpoint *endpoint);
/* NULL is fine. */
void td_endpoint_unref(struct td_endpoint *endpoint);
/* Whether two templates match the same paths, whatever their variables are called. */
bool td_endpoint_path_eq(struct td_slice a, struct td_slice b);

/* What variables stand for: slices of `_text`, but for `sub` and `session`, which are the caller's to set. */
struct td_endpoint_values {
    struct td_slice items[TD_ENDPOINT_VARIABLES_MAX];
    struct td_slice sub, session;
    char _text[TD_ENDPOINT_VARIABLES_MAX * TD_SEGMENT_LEN_MAX];
};

/* The endpoints of a configuration: which of two that match a path has it is decided by their first segment that differs, a literal one
 * before a variable. */
struct td_endpoints {
    struct td_endpoint *items[TD_ENDPOINTS_MAX];
    size_t n;
};
/* Puts it in its place; takes over the reference.  TD_ETOOLARGE: there are TD_ENDPOINTS_MAX. */
TD_MUST_USE int td_endpoints_add(struct td_endpoints *endpoints, struct td_endpoint *endpoint);
void td_endpoints_done(struct td_endpoints *endpoints);
/* The endpoint of a path as it came, still percent-encoded, and the values of its variables; NULL: of none.  NULL `endpoints` is fine. */
struct td_endpoint *td_endpoints_find(const struct td_endpoints *endpoints, struct td_slice path,
                                      struct td_endpoint_values *ret_values);
/* The one with that template; NULL: there is none. */
struct td_endpoint *td_endpoints_of_path(const struct td_endpoints *endpoints,
                                         struct td_slice path);

/* The value of a variable by its name, {sub} and {session} too; ptr NULL: not known. */
struct td_slice td_endpoint_value(const struct td_endpoint *endpoint,
                                  const struct td_endpoint_values *values, struct td_slice name);
/* Appends a template with its variables replaced.  0, TD_ETOPIC when one has no value, or the error of the buffer. */
TD_MUST_USE int td_endpoint_expand(const struct td_endpoint *endpoint,
                                   const struct td_endpoint_values *values,
                                   struct td_slice template, struct td_buf *out);
