/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/publish_ask.h"

/* What the ask carries: the publish, and the bytes that its drafts point into. */
struct load {
    struct td_publish publish;
    struct td_buf bytes;
    bool told;
};

static void load_free(void *arg)
{
    struct load *load = arg;

    td_publish_done(&load->publish);
    td_buf_done(&load->bytes);
    free(load);
}

static struct td_slice keep(struct load *load, struct td_slice text)
{
    size_t at = load->bytes.len;

    td_buf_put(&load->bytes, text);
    return td_slice(load->bytes.ptr + at, load->bytes.len - at);
}

static struct load *load_new(const struct td_worker *worker, struct td_slice body, bool ndjson,
                             const struct td_publish_options *options)
{
    struct td_buf why = TD_BUF_INIT(1024);
    struct load *load = calloc(1, sizeof(*load));

    if (!load)
        return NULL;
    td_buf_init(&load->bytes, body.len + options->origin.len + options->idempotency_key.len);
    int r = td_buf_reserve(&load->bytes, load->bytes.max); /* so that it does not move */
    if (r == 0) {
        const struct td_publish_options kept = {
            .events_max = worker->options->events_max,
            .event_bytes_max = worker->options->message_bytes_max,
            .principal = options->principal,
            .origin = keep(load, options->origin),
            .idempotency_key = keep(load, options->idempotency_key),
        };
        r = td_publish_parse(&load->publish, keep(load, body), ndjson, &kept, &why);
    }
    if (r == 0)
        load->publish.seqs = calloc(load->publish.n, sizeof(*load->publish.seqs));
    td_buf_done(&why);
    if (r == 0 && load->publish.seqs)
        return load;
    load_free(load);
    return NULL;
}

struct td_edge_ask *td_publish_ask(struct td_worker *worker, struct td_conn *conn,
                                   struct td_slice body, bool ndjson,
                                   const struct td_publish_options *options)
{
    struct td_edge_ask *ask = td_edge_ask_new(worker, conn, TD_ASK_PUBLISH, 0);

    if (!ask)
        return NULL;
    struct load *load = load_new(worker, body, ndjson, options);
    if (!load) {
        td_edge_ask_free(ask);
        return NULL;
    }
    ask->ask.load = load;
    ask->ask.publish = (struct td_ask_publish){&load->publish.batch, load->publish.seqs};
    ask->free_load = load_free;
    return ask;
}

struct td_publish *td_publish_answered(struct td_worker *worker, const struct td_ask *answer)
{
    struct load *load = answer->load;

    if (!load->told)
        td_publish_appended(&load->publish, worker);
    load->told = true;
    return &load->publish;
}
