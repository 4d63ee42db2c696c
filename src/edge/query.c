/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/query.h"
#include "base/err.h"
#include "base/topic.h"

int td_since_parse(struct td_slice text, enum td_since *ret_since, struct td_position *ret_position)
{
    if (td_slice_eq(text, TD_S("earliest"))) {
        *ret_since = TD_SINCE_EARLIEST;
        return 0;
    }
    if (td_slice_eq(text, TD_S("now"))) {
        *ret_since = TD_SINCE_NOW;
        return 0;
    }
    int r = td_position_parse(text, ret_position);
    if (r == 0)
        *ret_since = TD_SINCE_POSITION;
    return r;
}

static int refuse(struct td_buf *why, int err, const char *what)
{
    td_buf_puts(why, what);
    return err;
}

static int read_number(struct td_slice value, uint64_t max, uint64_t *ret_number)
{
    uint64_t number;
    int r = td_slice_u64(value, &number);

    if (r < 0 || number > max)
        return TD_EINVAL;
    *ret_number = number;
    return 0;
}

static int read_format(struct td_query *query, struct td_slice value)
{
    query->has_format = true;
    if (td_slice_eq(value, TD_S("event")))
        query->format = TD_FORMAT_EVENT;
    else if (td_slice_eq(value, TD_S("flat")))
        query->format = TD_FORMAT_FLAT;
    else if (td_slice_eq(value, TD_S("entity")))
        query->format = TD_FORMAT_ENTITY;
    else
        return TD_EINVAL;
    return 0;
}

/* A parameter that is not ours is left alone: endpoints and tokens have theirs. */
static int read_parameter(struct td_query *query, struct td_slice name, struct td_slice value,
                          struct td_buf *why)
{
    if (td_slice_eq(name, TD_S("topic"))) {
        if (!td_pattern_valid(value))
            return refuse(why, TD_ETOPIC, "`topic` is not a pattern.");
        if (query->n_topics == TD_QUERY_LIST_MAX)
            return refuse(why, TD_ETOOLARGE, "Too many topics in one request.");
        query->topics[query->n_topics++] = value;
    } else if (td_slice_eq(name, TD_S("type"))) {
        if (!td_segment_valid(value))
            return refuse(why, TD_EINVAL, "`type` is not a type.");
        if (query->n_types == TD_QUERY_LIST_MAX)
            return refuse(why, TD_ETOOLARGE, "Too many types in one request.");
        query->types[query->n_types++] = value;
    } else if (td_slice_eq(name, TD_S("since"))) {
        if (td_since_parse(value, &query->since, &query->position) < 0)
            return refuse(why, TD_EPOSITION, "`since` is not a position.");
    } else if (td_slice_eq(name, TD_S("format"))) {
        if (read_format(query, value) < 0)
            return refuse(why, TD_EINVAL, "`format` must be event, flat or entity.");
    } else if (td_slice_eq(name, TD_S("limit"))) {
        if (read_number(value, 1000, &query->limit) < 0 || query->limit == 0)
            return refuse(why, TD_EINVAL, "`limit` must be a number from 1 to 1000.");
    } else if (td_slice_eq(name, TD_S("wait"))) {
        if (read_number(value, 3600, &query->wait_s) < 0)
            return refuse(why, TD_EINVAL, "`wait` must be a number of seconds.");
        query->has_wait = true;
    } else if (td_slice_eq(name, TD_S("state"))) {
        uint64_t state;
        if (read_number(value, 1, &state) < 0)
            return refuse(why, TD_EINVAL, "`state` must be 0 or 1.");
        query->state = state ? TD_STATE_FIRST : TD_STATE_NEVER;
    }
    return 0;
}

int td_query_read(struct td_query *query, const struct td_http_request *head, struct td_buf *why)
{
    struct td_slice rest = head->query, name, value;

    memset(query, 0, offsetof(struct td_query, _lists));
    query->topics = query->_lists;
    query->types = query->_lists + TD_QUERY_LIST_MAX;
    td_buf_init(&query->_text, head->query.len);
    if (td_buf_reserve(&query->_text, head->query.len) <
        0) /* slices point into it, so it must not move */
        return TD_EUNAVAILABLE;
    while (td_http_query_next(&rest, &name, &value)) {
        size_t at = query->_text.len;
        if (td_http_unescape(value, true, &query->_text) < 0)
            return refuse(why, TD_EINVAL, "The query holds a broken percent-escape.");
        value = td_slice(query->_text.ptr + at, query->_text.len - at);
        int r = read_parameter(query, name, value, why);
        if (r < 0)
            return r;
    }
    struct td_slice last = td_http_header(head, "last-event-id");
    if (last.len > 0 && td_since_parse(last, &query->since, &query->position) < 0)
        return refuse(why, TD_EPOSITION, "Last-Event-ID is not a position.");
    return 0;
}

void td_query_done(struct td_query *query)
{
    td_buf_done(&query->_text);
}
