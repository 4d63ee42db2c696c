/* SPDX-License-Identifier: Apache-2.0 */
/* The query of a request, and behind a newline its Last-Event-ID.  What is taken keeps the rules of topics, types and positions; what
 * is not says why; and escaping each byte of what was taken changes nothing. */
#include "base/err.h"
#include "edge/query.h"
#include "fuzz.h"
#include <stdlib.h>

#define QUERY_MAX 4096

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* As it comes from the parser, which lets only some bytes through; false when it does not. */
static bool read_head(struct td_slice query, struct td_slice last, struct td_buf *text,
                      struct td_http_request *ret_head)
{
    td_buf_puts(text, "GET /api/v1/events?");
    td_buf_put(text, query);
    td_buf_puts(text, " HTTP/1.1\r\nHost: x\r\n");
    if (last.len > 0) {
        td_buf_puts(text, "Last-Event-ID: ");
        td_buf_put(text, last);
        td_buf_puts(text, "\r\n");
    }
    td_buf_puts(text, "\r\n");
    must(text->err == 0);
    return td_http_parse_request(td_buf_slice(text), ret_head) > 0 &&
           td_slice_eq(ret_head->path, TD_S("/api/v1/events"));
}

static void put_escaped(struct td_buf *out, const char *name, struct td_slice value)
{
    td_buf_puts(out, name);
    for (size_t i = 0; i < value.len; i++)
        td_buf_putf(out, "%%%02x", (unsigned)(unsigned char)value.ptr[i]);
    td_buf_putc(out, '&');
}

static void check_again(const struct td_query *query)
{
    struct td_buf escaped = TD_BUF_INIT(8 * QUERY_MAX + 64), text = TD_BUF_INIT(16 * QUERY_MAX);
    struct td_buf why = TD_BUF_INIT(256);
    struct td_http_request head;
    struct td_query again;

    for (size_t i = 0; i < query->n_topics; i++)
        put_escaped(&escaped, "topic=", query->topics[i]);
    for (size_t i = 0; i < query->n_types; i++)
        put_escaped(&escaped, "type=", query->types[i]);
    must(escaped.err == 0);
    if (read_head(td_buf_slice(&escaped), (struct td_slice){NULL, 0}, &text, &head)) {
        must(td_query_read(&again, &head, &why) == 0);
        must(again.n_topics == query->n_topics && again.n_types == query->n_types);
        for (size_t i = 0; i < query->n_topics; i++)
            must(td_slice_eq(again.topics[i], query->topics[i]));
        for (size_t i = 0; i < query->n_types; i++)
            must(td_slice_eq(again.types[i], query->types[i]));
        td_query_done(&again);
    }
    td_buf_done(&escaped);
    td_buf_done(&text);
    td_buf_done(&why);
}

static void check(const struct td_query *query)
{
    must(query->n_topics <= TD_QUERY_LIST_MAX && query->n_types <= TD_QUERY_LIST_MAX);
    for (size_t i = 0; i < query->n_topics; i++)
        must(td_pattern_valid(query->topics[i]));
    for (size_t i = 0; i < query->n_types; i++)
        must(td_segment_valid(query->types[i]));
    must(query->limit <= 1000 && query->wait_s <= 3600);
    if (query->since == TD_SINCE_POSITION) {
        char text[TD_POSITION_LEN_MAX + 1];
        struct td_position position;
        enum td_since since;
        td_position_format(query->position, text);
        must(td_since_parse(td_slice_str(text), &since, &position) == 0);
        must(position.epoch == query->position.epoch && position.seq == query->position.seq);
    }
    check_again(query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_slice last = td_slice(size ? (const char *)data : NULL, size), query = {NULL, 0};
    struct td_buf text = TD_BUF_INIT(2 * QUERY_MAX), why = TD_BUF_INIT(256);
    struct td_http_request head;
    struct td_query read;

    if (size > QUERY_MAX)
        return 0;
    (void)td_slice_split(&last, '\n', &query);
    if (read_head(query, last, &text, &head)) {
        int r = td_query_read(&read, &head, &why);
        must(r <= 0 && (r == 0) == (why.len == 0));
        if (r == 0)
            check(&read);
        td_query_done(&read);
    }
    td_buf_done(&text);
    td_buf_done(&why);
    return 0;
}
