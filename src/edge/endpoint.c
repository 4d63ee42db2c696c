/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/endpoint.h"
#include "base/assert.h"
#include "base/err.h"
#include "codec/http1.h"
#include <errno.h>
#include <stdlib.h>

static bool variable_valid(struct td_slice name)
{
    if (name.len == 0 || name.len > TD_VARIABLE_LEN_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return true;
}

/* Takes some text and the variable behind it (ptr NULL at the end) off a template.  False when a brace has no mate, or what stands between
 * two is no name. */
static bool take_piece(struct td_slice *rest, struct td_slice *ret_text, struct td_slice *ret_name)
{
    const char *open = rest->len > 0 ? memchr(rest->ptr, '{', rest->len) : NULL;
    size_t before = open ? (size_t)(open - rest->ptr) : rest->len;

    *ret_text = td_slice_to(*rest, before);
    *ret_name = (struct td_slice){NULL, 0};
    if (before > 0 && memchr(rest->ptr, '}', before))
        return false;
    *rest = td_slice_from(*rest, before);
    if (!open)
        return true;
    const char *close = memchr(open, '}', rest->len);
    if (!close)
        return false;
    *ret_name = td_slice(open + 1, (size_t)(close - open) - 1);
    *rest = td_slice_from(*rest, ret_name->len + 2);
    return variable_valid(*ret_name);
}

/* The variable that a segment of a path is; ptr NULL when it is a literal. */
static struct td_slice variable_of(struct td_slice segment)
{
    if (segment.len < 2 || segment.ptr[0] != '{' || segment.ptr[segment.len - 1] != '}')
        return (struct td_slice){NULL, 0};
    return td_slice(segment.ptr + 1, segment.len - 2);
}

bool td_endpoint_path_valid(struct td_slice path)
{
    struct td_slice segment;
    size_t n = 0;

    if (path.len < 2 || path.len > TD_TOPIC_LEN_MAX || path.ptr[0] != '/')
        return false;
    path = td_slice_from(path, 1);
    while (td_slice_split(&path, '/', &segment)) {
        struct td_slice variable = variable_of(segment);
        if (++n > TD_TOPIC_SEGMENTS_MAX ||
            !(variable.ptr ? variable_valid(variable) : td_segment_valid(segment)))
            return false;
    }
    return true;
}

/* Cuts `PATTERN where MEMBER=VALUE` into its parts. */
static bool read_topic(struct td_slice text, struct td_endpoint_topic *ret_topic)
{
    static const char word[] = " where ";
    const char *where = text.len > 0 ? memmem(text.ptr, text.len, word, sizeof(word) - 1) : NULL;

    *ret_topic = (struct td_endpoint_topic){.pattern = text};
    if (!where)
        return true;
    ret_topic->pattern = td_slice_trim(td_slice_to(text, (size_t)(where - text.ptr)));
    struct td_slice rest = td_slice_from(text, (size_t)(where - text.ptr) + sizeof(word) - 1);
    if (!td_slice_split(&rest, '=', &ret_topic->member) || !rest.ptr)
        return false;
    ret_topic->member = td_slice_trim(ret_topic->member);
    ret_topic->value = td_slice_trim(rest);
    struct td_slice variable = variable_of(ret_topic->value);
    return td_segment_valid(ret_topic->member) &&
           (variable.ptr ? variable_valid(variable) : td_segment_valid(ret_topic->value));
}

bool td_endpoint_topic_valid(struct td_slice text)
{
    struct td_buf sample = TD_BUF_INIT(TD_TOPIC_LEN_MAX);
    struct td_endpoint_topic topic;
    struct td_slice piece, name;
    bool good = read_topic(text, &topic);

    for (struct td_slice rest = topic.pattern; good && rest.len > 0;) {
        good = take_piece(&rest, &piece, &name);
        td_buf_put(&sample, piece);
        if (name.ptr)
            td_buf_putc(&sample, 'x');
    }
    good = good && sample.err == 0 && td_pattern_valid(td_buf_slice(&sample));
    td_buf_done(&sample);
    return good;
}

static const struct td_slice rules[] = {
    [TD_RULE_ANY] = {"any",       3},
      [TD_RULE_SUBSCRIBE] = {"subscribe", 9},
    [TD_RULE_JOB] = {"job",       3},
      [TD_RULE_ROLE] = {"role:",     5},
    [TD_RULE_PUBLIC] = {"public",    6},
};

static bool read_rule(struct td_slice text, enum td_rule *ret_rule, struct td_slice *ret_role)
{
    for (size_t i = 0; i < TD_ARRAY_LEN(rules); i++) {
        bool role = i == TD_RULE_ROLE;
        if (!(role ? td_slice_starts(text, rules[i]) && text.len > rules[i].len
                   : td_slice_eq(text, rules[i])))
            continue;
        *ret_rule = (enum td_rule)i;
        *ret_role = role ? td_slice_from(text, rules[i].len) : (struct td_slice){NULL, 0};
        return true;
    }
    return false;
}

bool td_endpoint_rule_valid(struct td_slice text)
{
    enum td_rule rule;
    struct td_slice role;

    return read_rule(text, &rule, &role);
}

static bool is_one_of(struct td_slice name, const char *const *names)
{
    for (; *names; names++)
        if (td_slice_eq(name, td_slice_str(*names)))
            return true;
    return false;
}

bool td_endpoint_filter_valid(struct td_slice name)
{
    /* What the URL of any reader says (query.h), and where a token may stand. */
    static const char *const taken[] = {"since", "type",  "format",       "limit",   "wait",
                                        "state", "token", "access_token", "session", NULL};

    return td_segment_valid(name) && !is_one_of(name, taken);
}

/* An endpoint in the making. */
struct draft {
    const struct td_endpoint_spec *spec;
    struct td_endpoint *endpoint;
    char *text; /* where the next text goes */
    struct td_buf *why;
};

static struct td_slice keep(struct draft *draft, struct td_slice text)
{
    struct td_slice copy = {draft->text, text.len};

    if (!text.ptr)
        return text;
    memcpy(draft->text, text.ptr, text.len);
    draft->text += text.len;
    return copy;
}

static int refuse(const struct draft *draft, const char *field, const char *format, ...)
    TD_PRINTF(3, 4);

static int refuse(const struct draft *draft, const char *field, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    td_buf_putf(draft->why, "%s: %s", field, text);
    return TD_EINVAL;
}

static bool is_variable(const struct td_endpoint *endpoint, struct td_slice name)
{
    for (size_t i = 0; i < endpoint->n_variables; i++)
        if (td_slice_eq(endpoint->variables[i], name))
            return true;
    return false;
}

static int read_variables(struct draft *draft)
{
    /* Members of the message `connection`, where the variables stand too, and what topics call otherwise. */
    static const char *const taken[] = {
        "sub",           "session",  "type",      "control",          "ref", "message", "user",
        "connection_id", "position", "heartbeat", "token_expires_in", NULL};
    struct td_endpoint *endpoint = draft->endpoint;
    struct td_slice rest = td_slice_from(endpoint->path, 1), segment;

    while (td_slice_split(&rest, '/', &segment)) {
        struct td_slice name = variable_of(segment);
        if (!name.ptr)
            continue;
        if (is_one_of(name, taken) || is_variable(endpoint, name))
            return refuse(draft, "path", "{%.*s} is taken; call the variable otherwise",
                          (int)name.len, name.ptr);
        if (endpoint->n_variables == TD_ENDPOINT_VARIABLES_MAX)
            return refuse(draft, "path", "%d variables at most", TD_ENDPOINT_VARIABLES_MAX);
        endpoint->variables[endpoint->n_variables++] = name;
    }
    return 0;
}

/* Whether all variables of a template are known; notes what else is used. */
static int check_names(struct draft *draft, struct td_slice template, bool *ret_own)
{
    struct td_endpoint *endpoint = draft->endpoint;
    struct td_slice piece, name;

    while (template.len > 0 && take_piece(&template, &piece, &name)) {
        if (!name.ptr)
            continue;
        bool sub = td_slice_eq(name, TD_S("sub")), session = td_slice_eq(name, TD_S("session"));
        if (!sub && !session && !is_variable(endpoint, name))
            return refuse(draft, "topics",
                          "{%.*s} is no variable of the path, and not {sub} or {session}",
                          (int)name.len, name.ptr);
        if ((sub || session) && endpoint->rule == TD_RULE_PUBLIC)
            return refuse(draft, "topics", "{%.*s} means nothing where the rule is public",
                          (int)name.len, name.ptr);
        endpoint->uses_session |= session;
        *ret_own |= sub || session;
    }
    return 0;
}

static int read_topics(struct draft *draft)
{
    const struct td_endpoint_spec *spec = draft->spec;
    struct td_endpoint *endpoint = draft->endpoint;
    bool foreign = false;

    if (spec->n_topics > TD_ENDPOINT_TOPICS_MAX)
        return refuse(draft, "topics", "%d at most", TD_ENDPOINT_TOPICS_MAX);
    for (size_t i = 0; i < spec->n_topics; i++) {
        struct td_endpoint_topic topic;
        bool ignored = false, good = read_topic(keep(draft, spec->topics[i]), &topic);
        TD_ASSERT(good);
        int r = check_names(draft, topic.pattern, &topic.own);
        foreign |= !topic.own;
        if (r == 0)
            r = check_names(draft, topic.value, &ignored);
        if (r < 0)
            return r;
        endpoint->topics[endpoint->n_topics++] = topic;
    }
    if (endpoint->rule == TD_RULE_SUBSCRIBE && !foreign)
        return refuse(draft, "rule",
                      "subscribe asks who may subscribe a topic without {sub} and "
                      "{session}, and there is none; use any");
    if (endpoint->rule == TD_RULE_PUBLIC && endpoint->n_topics == 0)
        return refuse(draft, "topics", "name one at least, because a public reader has no grants");
    if (endpoint->n_topics == 0 && endpoint->transports & TD_ENDPOINT_HTTP)
        return refuse(draft, "topics", "name one at least, because there are no commands on http");
    return 0;
}

static int read_filters(struct draft *draft)
{
    const struct td_endpoint_spec *spec = draft->spec;
    struct td_endpoint *endpoint = draft->endpoint;

    if (spec->n_filters > TD_ENDPOINT_FILTERS_MAX ||
        spec->n_topic_filters > TD_ENDPOINT_FILTERS_MAX)
        return refuse(draft, "filters", "%d at most", TD_ENDPOINT_FILTERS_MAX);
    for (size_t i = 0; i < spec->n_filters; i++)
        endpoint->filters[endpoint->n_filters++] = keep(draft, spec->filters[i]);
    for (size_t i = 0; i < spec->n_topic_filters; i++)
        endpoint->topic_filters[endpoint->n_topic_filters++] = keep(draft, spec->topic_filters[i]);
    /* Without topics of its own, `topic` in the URL says what is subscribed. */
    if (endpoint->n_topics == 0 && spec->n_filters + spec->n_topic_filters > 0)
        return refuse(draft, "filters", "they need topics");
    return 0;
}

static int fill(struct draft *draft)
{
    const struct td_endpoint_spec *spec = draft->spec;
    struct td_endpoint *endpoint = draft->endpoint;

    endpoint->name = keep(draft, spec->name);
    endpoint->path = keep(draft, spec->path);
    endpoint->transports = spec->transports;
    endpoint->format = spec->format;
    endpoint->limits = spec->limits;
    if (endpoint->limits.subscriptions_max < spec->n_topics)
        endpoint->limits.subscriptions_max = (unsigned)spec->n_topics; /* its own always fit */
    endpoint->connections_per_user = spec->connections_per_user;
    endpoint->replacements_per_min = spec->replacements_per_min;
    endpoint->connections_per_path = spec->connections_per_path;
    endpoint->connections_per_address = spec->connections_per_address;
    bool good = read_rule(keep(draft, spec->rule), &endpoint->rule, &endpoint->role);
    TD_ASSERT(good);
    if (endpoint->rule == TD_RULE_PUBLIC && endpoint->connections_per_address == 0)
        endpoint->connections_per_address = TD_PUBLIC_PER_ADDRESS;
    if (endpoint->path.len == 0)
        return refuse(draft, "path", "name one, such as /ws/projects/{project_id}");
    if (endpoint->transports == 0)
        return refuse(draft, "transports", "name websocket, http, or both");
    int r = read_variables(draft);
    if (r < 0)
        return r;
    if (endpoint->rule == TD_RULE_JOB && !is_variable(endpoint, TD_S("job_id")))
        return refuse(draft, "rule", "job needs {job_id} in the path");
    if (endpoint->rule == TD_RULE_PUBLIC && endpoint->connections_per_user > 0)
        return refuse(draft, "connections_per_user",
                      "nobody is known where the rule is public; "
                      "connections_per_address counts");
    r = read_topics(draft);
    return r < 0 ? r : read_filters(draft);
}

static size_t text_bytes(const struct td_endpoint_spec *spec)
{
    size_t bytes = spec->name.len + spec->path.len + spec->rule.len;

    for (size_t i = 0; i < spec->n_topics; i++)
        bytes += spec->topics[i].len;
    for (size_t i = 0; i < spec->n_filters; i++)
        bytes += spec->filters[i].len;
    for (size_t i = 0; i < spec->n_topic_filters; i++)
        bytes += spec->topic_filters[i].len;
    return bytes;
}

int td_endpoint_new(const struct td_endpoint_spec *spec, struct td_endpoint **ret_endpoint,
                    struct td_buf *why)
{
    struct td_endpoint *endpoint = calloc(1, sizeof(*endpoint) + text_bytes(spec));

    if (!endpoint)
        return -ENOMEM;
    atomic_init(&endpoint->_refs, 1);
    struct draft draft = {spec, endpoint, endpoint->_text, why};
    int r = fill(&draft);
    if (r < 0)
        td_endpoint_unref(endpoint);
    else
        *ret_endpoint = endpoint;
    return r;
}

struct td_endpoint *td_endpoint_ref(struct td_endpoint *endpoint)
{
    atomic_fetch_add_explicit(&endpoint->_refs, 1, memory_order_relaxed);
    return endpoint;
}

void td_endpoint_unref(struct td_endpoint *endpoint)
{
    /* What others read of it has to have been read before it is freed. */
    if (endpoint && atomic_fetch_sub_explicit(&endpoint->_refs, 1, memory_order_acq_rel) == 1)
        free(endpoint);
}
