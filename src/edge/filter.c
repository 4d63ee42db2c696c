/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/filter.h"
#include "base/json.h"
#include "base/topic.h"
#include "edge/opened.h"
#include <errno.h>

/* Conditions and their texts, in one block; each text ends with a NUL. */
struct td_conditions {
    size_t n;
    struct td_condition items[];
};

struct td_filter {
    bool excludes; /* td_principal_excludes has to be asked */
    struct td_conditions *conditions;
    size_t n_types;
    char types[]; /* n_types times: length byte, type */
};

/* The filter exists when somebody asks for something, and most do not. */
static int need(struct td_conn *conn, size_t type_bytes)
{
    struct td_filter *filter = conn->filter;

    if (!filter || type_bytes > 0) {
        filter = realloc(filter, sizeof(*filter) + type_bytes);
        if (!filter)
            return -ENOMEM;
        if (!conn->filter)
            *filter = (struct td_filter){0};
        conn->filter = filter;
    }
    conn->subscriber.checked = true;
    return 0;
}

int td_filter_exclude(struct td_conn *conn)
{
    int r = need(conn, 0);

    if (r == 0)
        conn->filter->excludes = true;
    return r;
}

int td_filter_types(struct td_conn *conn, const struct td_slice *types, size_t n)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += 1 + types[i].len;
    if (n == 0)
        return 0;
    int r = need(conn, bytes);
    if (r < 0)
        return r;
    char *at = conn->filter->types;
    for (size_t i = 0; i < n; i++) {
        *at++ = (char)types[i].len;
        memcpy(at, types[i].ptr, types[i].len);
        at += types[i].len;
    }
    conn->filter->n_types = n;
    return 0;
}

static struct td_slice keep(char **at, struct td_slice text)
{
    struct td_slice copy = {*at, text.len};

    if (!text.ptr)
        return text;
    memcpy(*at, text.ptr, text.len);
    (*at)[text.len] = '\0';
    *at += text.len + 1;
    return copy;
}

int td_filter_conditions(struct td_conn *conn, const struct td_condition *conditions, size_t n)
{
    size_t bytes = 0;

    if (n == 0)
        return 0;
    for (size_t i = 0; i < n; i++)
        bytes += conditions[i].member.len + conditions[i].value.len + conditions[i].pattern.len + 3;
    struct td_conditions *kept = malloc(sizeof(*kept) + n * sizeof(kept->items[0]) + bytes);
    int r = kept ? need(conn, 0) : -ENOMEM;
    if (r < 0) {
        free(kept);
        return r;
    }
    char *at = (char *)&kept->items[n];
    kept->n = n;
    for (size_t i = 0; i < n; i++) {
        kept->items[i] = conditions[i];
        kept->items[i].member = keep(&at, conditions[i].member);
        kept->items[i].value = keep(&at, conditions[i].value);
        kept->items[i].pattern = keep(&at, conditions[i].pattern);
    }
    free(conn->filter->conditions);
    conn->filter->conditions = kept;
    return 0;
}

void td_filter_free(struct td_conn *conn)
{
    if (conn->filter)
        free(conn->filter->conditions);
    free(conn->filter);
    conn->filter = NULL;
}

static bool type_wanted(const struct td_filter *filter, struct td_slice type)
{
    const char *at = filter->types;

    if (filter->n_types == 0)
        return true;
    for (size_t i = 0; i < filter->n_types; i++) {
        size_t len = (unsigned char)*at++;
        if (td_slice_eq(td_slice(at, len), type))
            return true;
        at += len;
    }
    return false;
}

static bool holds(const struct td_condition *condition, const struct td_record *record)
{
    struct td_slice raw, text;

    if (!td_json_get(record->data, condition->member.ptr, &raw))
        return false;
    if (condition->as_pattern)
        return td_json_type(raw) == TD_JSON_STRING && td_json_plain(raw, &text) &&
               td_topic_valid(text) && td_pattern_match(condition->value, text);
    if (td_json_type(raw) == TD_JSON_STRING)
        return td_json_string_is(raw, condition->value.ptr);
    return td_slice_eq(raw, condition->value);
}

/* Whether something that was named brings the topic without a condition. */
static bool named_besides(const struct td_conn *conn, const struct td_conditions *conditions,
                          struct td_slice topic)
{
    struct td_named named[TD_SUBSCRIPTIONS_MAX];
    size_t n = td_hub_named(&conn->subscriber, named);

    for (size_t i = 0; i < n; i++) {
        bool conditional = false;
        for (size_t j = 0; j < conditions->n; j++)
            conditional |= td_slice_eq(conditions->items[j].pattern, named[i].named);
        if (!conditional && td_pattern_match(named[i].pattern, topic))
            return true;
    }
    return false;
}

/* Those that are asked of some topics: one of them has to hold, or something else has to bring the event. */
static bool passes_topics(const struct td_conn *conn, const struct td_conditions *conditions,
                          const struct td_record *record)
{
    bool asked = false;

    for (size_t i = 0; i < conditions->n; i++) {
        const struct td_condition *condition = &conditions->items[i];
        if (!condition->pattern.ptr || !td_pattern_match(condition->pattern, record->topic))
            continue;
        if (holds(condition, record))
            return true;
        asked = true;
    }
    return !asked || named_besides(conn, conditions, record->topic);
}

/* Those that are asked of all: for each member one has to hold. */
static bool passes_all(const struct td_conditions *conditions, const struct td_record *record)
{
    for (size_t i = 0; i < conditions->n; i++) {
        bool passes = false;
        if (conditions->items[i].pattern.ptr)
            continue;
        for (size_t j = 0; j < conditions->n && !passes; j++)
            passes = !conditions->items[j].pattern.ptr &&
                     td_slice_eq(conditions->items[j].member, conditions->items[i].member) &&
                     holds(&conditions->items[j], record);
        if (!passes)
            return false;
    }
    return true;
}

bool td_conn_wants(const struct td_conn *conn, const struct td_record *record)
{
    const struct td_filter *filter = conn->filter;

    if (!filter)
        return true;
    if (filter->excludes && td_principal_excludes(conn->principal, record->topic) &&
        !td_opened_shows(conn, record->topic))
        return false;
    if (!type_wanted(filter, record->type))
        return false;
    return !filter->conditions || (passes_all(filter->conditions, record) &&
                                   passes_topics(conn, filter->conditions, record));
}
