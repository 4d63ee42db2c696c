/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/poll.h"
#include "base/err.h"
#include "base/json.h"
#include "edge/control.h"
#include "edge/filter.h"
#include "edge/subscribe.h"
#include <errno.h>

/* A page ends at so many bytes of events, however few they are. */
#define PAGE_BYTES    (1024 * 1024)
#define PAGE_BODY_MAX (16 * 1024 * 1024)
#define PAGE_READ     256
/* As much state is shown in one page; who needs more of it reads a stream. */
#define STATE_BYTES (4 * 1024 * 1024)
/* Reads for one page in one turn of the worker, and records that each may look at. */
#define PAGE_READS    16
#define READ_EXAMINED 4096
/* Bytes of pages that a worker makes in a turn; the rest of those who asked have the next ones, in their order.  Each page is charged
 * something, and one that has looked at all that it may is charged as a full one. */
#define PAGES_TURN_BYTES (2 * PAGE_BYTES)
#define PAGE_LEAST_BYTES 1024
/* Records looked at for a page without `since`. */
#define NEWEST_EXAMINED 100000

/* A page being read. */
struct page {
    struct td_worker *worker;
    struct td_conn *conn;
    struct td_poll *poll;
    struct td_buf body;
    size_t n;
    uint64_t position; /* how far was looked */
    bool more, cold;
    bool tired; /* it has looked at all that it may in one turn */
    bool gap;
};

void td_poll_free(struct td_conn *conn)
{
    td_list_remove(&conn->poll->list);
    free(conn->poll);
    conn->poll = NULL;
}

/* Puts those of some records that are wanted, behind `*n` others. */
static int put_records(struct page *page, const char *const *records, size_t n_records,
                       const struct td_format_marks *marks, size_t *n)
{
    for (size_t i = 0; i < n_records; i++) {
        struct td_record record;
        td_record_view(records[i], &record);
        if (!td_conn_wants(page->conn, &record))
            continue;
        if ((*n)++ > 0)
            td_buf_putc(&page->body, ',');
        int r = td_encode(NULL, &record, page->poll->wire, marks, &page->body);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Where a page begins that was not given `since`: so that it holds the newest, ascending. */
static void find_newest(struct page *page)
{
    struct td_wanted wanted[TD_SUBSCRIPTIONS_MAX];
    struct td_read read = {
        .wanted = wanted,
        .n_wanted = td_hub_wanted(&page->conn->subscriber, wanted),
        .until = td_journal_readable(page->worker->journal),
        .records_max = page->poll->limit,
        .examined_max = NEWEST_EXAMINED,
    };

    td_journal_newest(page->worker->reader, &read);
    page->cold = read.end == TD_READ_COLD;
    page->poll->after = read.position;
    page->poll->told = td_journal_told(page->worker->reader, wanted, read.n_wanted);
    page->poll->newest = page->cold;
}

/* Reads until the page is full, the head is reached, or something stands in the way.  The same read as a reader's that is
 * behind, so what a page shows and what a stream brings can't differ. */
static int read_page(struct page *page)
{
    struct td_wanted wanted[TD_SUBSCRIPTIONS_MAX];
    const char *records[PAGE_READ];
    uint64_t until = td_journal_readable(page->worker->journal);
    struct td_poll *poll = page->poll;

    if (poll->newest)
        find_newest(page);
    page->position = poll->after;
    page->more = page->cold;
    if (page->cold)
        return 0;
    for (int reads = 0; page->n < poll->limit && page->body.len < PAGE_BYTES; reads++) {
        if (reads == PAGE_READS) {
            page->tired = page->more = true;
            return 0;
        }
        struct td_read read = {
            .wanted = wanted,
            .n_wanted = td_hub_wanted(&page->conn->subscriber, wanted),
            .after = page->position,
            .told = poll->told,
            .until = until,
            .records = records,
            .records_max = TD_MIN((size_t)PAGE_READ, poll->limit - page->n),
            .bytes_max = PAGE_BYTES,
            .examined_max = READ_EXAMINED,
        };
        td_journal_read(page->worker->reader, &read);
        int r = put_records(page, records, read.n, NULL, &page->n);
        if (r < 0)
            return r;
        page->position = read.position;
        if (read.end == TD_READ_GAP) {
            /* One gap a page: what it tells covers all that came before it.  But one of retention leaves the page where it is: another
             * right there is told in its place, and it is told again behind that. */
            bool instead = poll->gap_reason == TD_GAP_RETENTION && page->position == poll->after;
            if (page->n > 0 || (poll->gap_reason >= 0 && !instead)) {
                page->more = true;
                return 0;
            }
            poll->gap_reason = read.gap_reason;
            poll->gap_from = td_here(page->worker, page->position);
            poll->gap_to = read.gap_to;
            if (read.gap_reason == TD_GAP_RETENTION) /* what was kept in between still comes */
                poll->told = td_told_upto(read.gap_to);
            else
                page->position = poll->after = read.gap_to;
            if (instead && read.gap_reason != TD_GAP_RETENTION)
                poll->told = (struct td_told){0};
        } else if (read.end == TD_READ_COLD) {
            page->cold = page->more =
                true; /* what has been gathered is answered; the next page goes on */
            return 0;
        } else if (read.end == TD_READ_DONE) {
            return 0;
        }
    }
    page->more = page->position < until;
    return 0;
}

static void put_gap(struct page *page, struct td_buf *out)
{
    struct td_poll *poll = page->poll;

    td_buf_puts(out, ",\"gap\":{\"from\":");
    td_position_put(out, poll->gap_from);
    td_buf_puts(out, ",\"to\":");
    td_position_put(out, td_here(page->worker, poll->gap_to));
    td_buf_putf(out, ",\"reason\":\"%s\"}",
                td_gap_reason_text((enum td_gap_reason)poll->gap_reason));
    TD_COUNT(page->worker, gaps[poll->gap_reason]);
}

/* Whether the page holds the state: when it was asked for, and after a gap. */
static bool shows_state(const struct page *page)
{
    return page->poll->state == TD_STATE_FIRST ||
           (page->poll->gap_reason >= 0 && page->poll->state != TD_STATE_NEVER);
}

/* The state as of where the page ends, so that reading on from there misses nothing and repeats nothing.  False when a segment has to be
 * read in first. */
static bool put_state(struct page *page)
{
    struct td_wanted wanted[TD_SUBSCRIPTIONS_MAX];
    const char *records[PAGE_READ];
    const struct td_format_marks marks = {.state = true};
    struct td_state_cursor cursor = {0};
    struct td_state_read read = {
        .wanted = wanted,
        .n_wanted = td_hub_wanted(&page->conn->subscriber, wanted),
        .as_of = page->position,
        .records = records,
        .records_max = PAGE_READ,
        .cursor = &cursor,
    };
    size_t n = 0, end = page->body.len + STATE_BYTES;

    td_buf_puts(&page->body, ",\"state\":[");
    do {
        td_journal_state(page->worker->reader, &read);
        if (put_records(page, records, read.n, &marks, &n) < 0)
            return true; /* stays in the body */
    } while (read.end == TD_READ_BUDGET && page->body.len < end);
    td_buf_puts(&page->body, read.end == TD_READ_DONE ? "]" : "],\"state_complete\":false");
    return read.end != TD_READ_COLD;
}

/* Sends the page and makes the connection ready for its next request. */
static void answer(struct page *page)
{
    struct td_worker *worker = page->worker;
    struct td_conn *conn = page->conn;
    struct td_request request = {
        .worker = worker, .conn = conn, .reply = page->poll->reply, .principal = conn->principal};

    td_buf_puts(&page->body, "}\n");
    td_unsubscribe_all(worker, conn);
    td_conn_uncount(worker, conn);
    struct td_poll *poll = conn->poll;
    td_list_remove(&poll->list);
    conn->poll = NULL;
    conn->state = TD_CONN_HTTP;
    conn->active = worker->tick;
    if (page->body.err < 0)
        td_respond_error(&request, TD_EUNAVAILABLE, TD_S("The page could not be built."));
    else
        td_respond(&request, &(struct td_response){
                                 .status = 200,
                                 .content_type = "application/json",
                                 .headers = TD_S("Cache-Control: no-store\r\n"),
                                 .body = td_buf_slice(&page->body),
                                 .position = page->position,
                                 .has_position = true,
                             });
    free(poll);
    if (conn->state == TD_CONN_HTTP) {
        conn->reading_paused = true; /* a pipelined request may wait in the inbox */
        td_conn_dirty(worker, conn);
    }
}

/* What follows the events.  False when the state can't be had yet. */
static bool put_rest(struct page *page)
{
    td_buf_puts(&page->body, "],\"position\":");
    td_position_put(&page->body, td_here(page->worker, page->position));
    td_buf_puts(&page->body, page->more ? ",\"more\":true" : ",\"more\":false");
    if (page->poll->gap_reason >= 0)
        put_gap(page, &page->body);
    return !shows_state(page) || put_state(page);
}

/* Reads a page; answers it unless it is empty and may wait.  `last`: it may not. */
static void look(struct td_worker *worker, struct td_conn *conn, bool last)
{
    struct page page = {.worker = worker, .conn = conn, .poll = conn->poll};

    td_buf_init(&page.body, PAGE_BODY_MAX);
    td_buf_puts(&page.body, "{\"events\":[");
    int r = read_page(&page);
    if (r < 0)
        page.body.err = r; /* answer() sees it */
    worker->paged_bytes += page.tired ? PAGE_BYTES : PAGE_LEAST_BYTES + page.body.len;
    bool empty = page.n == 0 && conn->poll->gap_reason < 0 && page.body.err == 0 &&
                 conn->poll->state != TD_STATE_FIRST;
    if ((page.cold || page.tired) && empty && !last) {
        conn->poll->after = page.position;
        td_list_remove(&conn->poll->list);
        td_list_append(page.cold ? &worker->cold_polls : &worker->polls, &conn->poll->list);
    } else if (empty && !last && conn->poll->waits) {
        /* Nothing up to `position`.  The connection is subscribed, so the hub tells what comes behind it. */
        conn->poll->after = page.position;
    } else if (put_rest(&page) || last) {
        answer(&page);
    } else {
        td_list_remove(&conn->poll->list); /* the same again once the segment is there */
        td_list_append(&worker->cold_polls, &conn->poll->list);
    }
    td_buf_done(&page.body);
}

void td_poll_touched(struct td_worker *worker, struct td_conn *conn)
{
    if (conn->state != TD_CONN_POLL)
        return;
    td_list_remove(&conn->poll->list);
    td_list_append(&worker->polls, &conn->poll->list);
}

void td_polls_run(struct td_worker *worker)
{
    struct td_list turn;
    struct td_list *node;

    worker->paged_bytes = 0;
    td_list_init(&turn);
    td_list_splice(&turn, &worker->polls);
    while (worker->paged_bytes < PAGES_TURN_BYTES && (node = td_list_pop(&turn))) {
        struct td_poll *poll = TD_CONTAINER_OF(node, struct td_poll, list);
        look(worker, poll->conn, false);
    }
    td_list_splice(&turn, &worker->polls); /* behind those that had no turn */
    td_list_splice(&worker->polls, &turn);
}

void td_poll_end(struct td_worker *worker, struct td_conn *conn)
{
    if (conn->state == TD_CONN_POLL)
        look(worker, conn, true);
}

static struct td_poll *poll_new(struct td_request *request, const struct td_query *query)
{
    struct td_slice origin = request->reply.origin;
    struct td_poll *poll = calloc(1, sizeof(*poll) + origin.len);

    if (!poll)
        return NULL;
    const struct td_edge_options *options = request->worker->options;
    uint64_t limit = query->limit ? query->limit : 100;
    td_list_init(&poll->list);
    poll->conn = request->conn;
    poll->limit = (uint32_t)TD_MIN(limit, (uint64_t)options->page_events_max);
    poll->wire = td_wire_of(TD_TRANSPORT_JSON, query->format);
    poll->gap_reason = -1;
    poll->reply = request->reply;
    if (origin.ptr) {
        memcpy(poll->origin, origin.ptr, origin.len);
        poll->reply.origin.ptr = poll->origin;
    }
    /* A page that waits for nothing but a segment to be read in has as long as a request may take. */
    uint64_t wait_s = query->has_wait ? TD_MIN(query->wait_s, (uint64_t)options->poll_max_s)
                                      : options->request_timeout_s;
    poll->deadline = request->worker->tick + (td_ticks)wait_s * TD_TICKS_PER_S;
    return poll;
}

void td_page_start(struct td_request *request, const struct td_query *query)
{
    struct td_worker *worker = request->worker;
    struct td_conn *conn = request->conn;

    if (!td_request_subscribe(request, query))
        return;
    struct td_poll *poll = poll_new(request, query);
    if (!poll) {
        td_conn_drop(worker, conn, "no memory");
        return;
    }
    bool other_epoch = false;
    if (query->since == TD_SINCE_NONE && query->has_wait)
        poll->after = td_journal_readable(worker->journal); /* at once, with the position */
    else if (query->since == TD_SINCE_NONE)
        poll->newest = true;
    else
        poll->after = td_since_seq(worker, query->since, query->position, &other_epoch);
    poll->told = td_since_told(worker, conn, query->since, other_epoch);
    poll->state = (uint8_t)query->state;
    poll->waits = query->has_wait && query->wait_s > 0 && query->since != TD_SINCE_NONE;
    if (other_epoch) {
        poll->gap_reason = TD_GAP_EPOCH;
        poll->gap_from = query->position;
        poll->gap_to = poll->after;
    }
    if (query->has_wait) {
        TD_COUNT(worker, polls);
        TD_COUNT(worker, connections_poll);
        conn->counted_poll = true;
    }
    conn->poll = poll;
    conn->state = TD_CONN_POLL;
    if (worker->paged_bytes < PAGES_TURN_BYTES)
        look(worker, conn, false);
    else
        td_list_append(&worker->polls, &poll->list);
}
