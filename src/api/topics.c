/* SPDX-License-Identifier: Apache-2.0 */
/* GET /api/v1/admin/topics: which topics are written to, and what is subscribed, as the newest events and the workers say. */
#include "api/api.h"
#include "base/err.h"
#include "base/json.h"
#include "base/map.h"
#include "edge/gather.h"
#include "os/clock.h"

/* What is looked at: so many of the newest events, of so many seconds. */
#define EVENTS_MAX 20000
#define WINDOW_S   60
#define READ       256
/* Rows of each list: the topics with the most events; patterns of each worker. */
#define LIST_MAX 1000

/* A topic in the window.  Two of one hash count as one: it is a list for people. */
struct row {
    uint64_t events, bytes, last;
    uint8_t topic_len;
    char topic[TD_TOPIC_LEN_MAX];
};

static void put_pattern(void *arg, struct td_slice pattern, uint32_t subscribers)
{
    struct td_ask *ask = arg;

    td_buf_putf(&ask->body, "%s{\"pattern\":", ask->body.len > 0 ? "," : "");
    td_json_put_string(&ask->body, pattern);
    td_buf_putf(&ask->body, ",\"subscribers\":%u}", subscribers);
}

static void list_patterns(struct td_worker *worker, struct td_ask *ask)
{
    td_hub_patterns(worker->hub, LIST_MAX, put_pattern, ask);
}

/* Counts what lies in the window; false when it is still being read in. */
static bool count_topics(struct td_worker *worker, struct td_map *rows)
{
    const struct td_wanted all = {
        td_pattern_key(td_journal_seed(worker->journal), TD_S("**"), NULL), TD_S("**"), false};
    const char *records[READ];
    td_unix_ms from = td_clock_unix_ms() - (td_unix_ms)WINDOW_S * 1000;
    struct td_read read = {
        .wanted = &all,
        .n_wanted = 1,
        .until = td_journal_readable(worker->journal),
        .records = records,
        .records_max = EVENTS_MAX,
        .examined_max = EVENTS_MAX,
        .told = td_told_upto(UINT64_MAX),
    };

    td_journal_newest(worker->reader, &read);
    read.after = read.position;
    read.records_max = READ;
    do {
        td_journal_read(worker->reader, &read);
        for (size_t i = 0; i < read.n; i++) {
            struct td_record record;
            td_record_view(records[i], &record);
            if (record.time < from)
                continue;
            struct row *row = td_map_put(
                rows, td_topic_key(td_journal_seed(worker->journal), record.topic), NULL);
            if (!row)
                return true;
            row->events++;
            row->bytes += record.json.len;
            row->last = record.time;
            row->topic_len = (uint8_t)record.topic.len;
            memcpy(row->topic, record.topic.ptr, record.topic.len);
        }
        read.after = read.end == TD_READ_GAP ? TD_MAX(read.gap_to, read.position) : read.position;
    } while (read.end == TD_READ_BUDGET || read.end == TD_READ_GAP);
    return read.end != TD_READ_COLD;
}

static int by_events(const void *a, const void *b)
{
    const struct row *one = *(const struct row *const *)a, *other = *(const struct row *const *)b;

    return one->events < other->events ? 1 : one->events > other->events ? -1 : 0;
}

static void put_rows(const struct td_map *rows, struct td_buf *out)
{
    const struct row **sorted = malloc((rows->len + 1) * sizeof(const struct row *));
    size_t at = 0, n = 0;
    const struct row *row;
    uint64_t key;

    if (!sorted)
        return;
    while ((row = td_map_each(rows, &at, &key)))
        sorted[n++] = row;
    qsort(sorted, n, sizeof(*sorted), by_events);
    for (size_t i = 0; i < TD_MIN(n, (size_t)LIST_MAX); i++) {
        char last[TD_TIME_LEN + 1];
        td_time_format(sorted[i]->last, last);
        td_buf_putf(out, "%s{\"topic\":", i > 0 ? "," : "");
        td_json_put_string(out, td_slice(sorted[i]->topic, sorted[i]->topic_len));
        td_buf_putf(out, ",\"events\":%llu,\"bytes\":%llu,\"last\":\"%s\"}",
                    (unsigned long long)sorted[i]->events, (unsigned long long)sorted[i]->bytes,
                    last);
    }
    free(sorted);
}

void td_api_topics(struct td_request *request, const struct td_api *api)
{
    struct td_buf body = TD_BUF_INIT(TD_ASK_BODY_MAX + 1024 * 1024);
    struct td_map rows;

    if (!td_api_admin(request))
        return;
    if (!request->answer) {
        td_request_gather(request, api->workers, api->n_workers,
                          td_edge_ask_new(request->worker, request->conn, TD_ASK_PARTS, 1),
                          list_patterns);
        return;
    }
    td_map_init(&rows, sizeof(struct row));
    bool whole = count_topics(request->worker, &rows);
    td_buf_putf(&body, "{\"window_s\":%d,\"whole\":%s,\"topics\":[", WINDOW_S,
                whole ? "true" : "false");
    put_rows(&rows, &body);
    td_buf_puts(&body, "],\"patterns\":[");
    td_buf_put(&body, td_buf_slice(&request->answer->body));
    td_buf_puts(&body, "]}\n");
    td_map_done(&rows);
    td_respond(request, &(struct td_response){
                            .status = 200,
                            .content_type = "application/json",
                            .body = td_buf_slice(&body),
                            .err = body.err,
                        });
    td_buf_done(&body);
}
