/* SPDX-License-Identifier: Apache-2.0 */
/* A publisher: POSTs in a pipeline, and what is lost with a connection under an Idempotency-Key is said again. */
#include "base/assert.h"
#include "client_json.h"
#include "os/clock.h"
#include "server_world.h"

/* ---- requests ---- */

static void request_new(struct srv_world *world, struct srv_request *request)
{
    struct td_rng *rng = &world->rng;

    *request = (struct srv_request){.n = 1};
    world->next_request++;
    if (td_rng_one_in(rng, 3)) {
        request->n = (uint16_t)(1 + td_rng_below(rng, SRV_BATCH_MAX));
        request->list = true;
        request->ndjson = td_rng_one_in(rng, 2);
    }
    request->chunked = td_rng_one_in(rng, 6);
    if (td_rng_one_in(rng, 2))
        snprintf(request->key, sizeof request->key, "key-%u", world->next_request);
    for (size_t i = 0; i < request->n; i++) {
        uint32_t number = srv_say(world, (struct srv_said){
                                             .request = world->next_request,
                                             .index = (uint16_t)i,
                                             .count = request->n,
                                             .keyed = request->key[0] != 0,
                                         });

        if (i == 0)
            request->first = number;
    }
}

static void put_events(struct srv_world *world, const struct srv_request *request,
                       struct td_buf *out)
{
    bool array = request->list && !request->ndjson;

    td_buf_puts(out, array ? " [" : "");
    for (uint32_t i = 0; i < request->n; i++) {
        td_buf_puts(out, i > 0 && array ? ", " : "");
        /* A line holds no line end. */
        srv_put_event(out, request->first + i, srv_said(world, request->first + i),
                      request->ndjson);
        td_buf_puts(out, request->ndjson ? "\n" : "");
    }
    td_buf_puts(out, array ? "]" : "");
}

static void put_chunks(struct td_rng *rng, struct td_slice body, struct td_buf *out)
{
    while (body.len > 0) {
        size_t n = 1 + (size_t)td_rng_below(rng, body.len);

        td_buf_putf(out, "%zx\r\n", n);
        td_buf_put(out, td_slice_to(body, n));
        td_buf_puts(out, "\r\n");
        body = td_slice_from(body, n);
    }
    td_buf_puts(out, "0\r\n\r\n");
}

static void request_send(struct srv_world *world, struct srv_publisher *publisher,
                         struct srv_request *request)
{
    struct td_buf *out = &publisher->link.out, body = TD_BUF_INIT(1024 * 1024);

    put_events(world, request, &body);
    td_buf_puts(out, "POST /api/v1/events HTTP/1.1\r\nHost: sim\r\nAuthorization: Bearer ");
    td_buf_put(out, td_buf_slice(&world->tokens[0]));
    td_buf_puts(out, request->ndjson ? "\r\nContent-Type: application/x-ndjson"
                                     : "\r\nContent-Type: application/json");
    if (request->key[0])
        td_buf_putf(out, "\r\nIdempotency-Key: %s", request->key);
    if (request->chunked) {
        td_buf_puts(out, "\r\nTransfer-Encoding: chunked\r\n\r\n");
        put_chunks(&world->rng, td_buf_slice(&body), out);
    } else {
        td_buf_putf(out, "\r\nContent-Length: %zu\r\n\r\n", body.len);
        td_buf_put(out, td_buf_slice(&body));
    }
    TD_ASSERT(out->err == 0 && body.err == 0);
    td_buf_done(&body);
    request->sent = true;
    for (uint32_t i = 0; i < request->n; i++) {
        struct srv_said *said = srv_said(world, request->first + i);

        said->fate = SRV_SENT;
        td_world_say("event %u: class %u on %s, key %u, offset %u%s", request->first + i,
                     said->class, srv_topic(said->topic).ptr, said->key, said->offset,
                     said->removes ? ", removes" : "");
    }
    td_world_say("publish %u..%u%s%s", request->first, request->first + request->n - 1,
                 request->key[0] ? " with " : "", request->key);
}

static void drop_first(struct srv_publisher *publisher)
{
    publisher->n_queue--;
    memmove(publisher->queue, publisher->queue + 1, publisher->n_queue * sizeof *publisher->queue);
}

/* ---- answers ---- */

void srv_acked(struct srv_world *world, unsigned boot, uint32_t number, struct td_slice raw)
{
    struct srv_said *said = srv_said(world, number);

    if (said->class == TD_CLASS_EPHEMERAL) {
        TD_MUST(td_slice_eq(raw, TD_S("null")), "the ephemeral event %u is said to lie at %.*s",
                number, (int)raw.len, raw.ptr);
        return;
    }
    uint64_t seq = srv_read_position(world, client_json_plain(raw), NULL);
    const struct srv_event *event = srv_truth_get(&world->truth, seq);
    if (!event && world->options.durability == TD_DURABILITY_FAST && boot != world->boot)
        return; /* said before the power went */
    if (!event && srv_truth_blind(&world->truth, seq - 1, seq)) {
        said->seq = seq;
        said->fate = SRV_ACKED;
        return;
    }
    TD_MUST(event && event->number == number,
            "event %u is acknowledged as %llu, where the log holds %u", number,
            (unsigned long long)seq, event ? event->number : 0);
    said->fate = SRV_ACKED;
}

static void accepted(struct srv_world *world, struct srv_publisher *publisher,
                     const struct srv_request *request, struct td_slice body)
{
    struct td_slice raw, item, position;
    uint32_t n = 0;
    uint64_t last = 0;
    bool logged = !srv_said_is_last(world, request->first) ||
                  srv_said(world, request->first)->class != TD_CLASS_EPHEMERAL;
    bool fast = world->options.durability == TD_DURABILITY_FAST || !logged;

    TD_MUST(client_json_valid(body), "a 201 without JSON");
    TD_MUST(client_json_get(body, "durable", &raw) &&
                td_slice_eq(raw, fast ? TD_S("false") : TD_S("true")),
            "a 201 does not say how durable: %.*s", (int)body.len, body.ptr);
    TD_MUST(client_json_get(body, "position", &position), "a 201 without a position");
    if (!request->list) {
        TD_MUST(client_json_get(body, "id", &raw), "a 201 without an id");
        srv_acked(world, publisher->link.boot, request->first, raw);
        TD_MUST(!logged || td_slice_eq(raw, position), "the position of one event is not its id");
        return;
    }
    TD_MUST(client_json_get(body, "ids", &raw), "a 201 for a list without ids");
    for (; client_json_next(&raw, &item); n++) {
        TD_MUST(n < request->n, "more ids than events");
        srv_acked(world, publisher->link.boot, request->first + n, item);
        if (!td_slice_eq(item, TD_S("null")))
            last = TD_MAX(last, srv_read_position(world, client_json_plain(item), NULL));
    }
    TD_MUST(n == request->n, "%u ids for %u events", n, request->n);
    TD_MUST(!logged || srv_read_position(world, client_json_plain(position), NULL) == last,
            "the position is not that of the last id");
}

static void refused(struct srv_world *world, struct srv_publisher *publisher,
                    const struct srv_request *request, unsigned status, struct td_slice body)
{
    struct td_slice code = {0};
    bool known;

    TD_MUST(client_json_valid(body) && client_json_get(body, "code", &code),
            "an error %u without a code", status);
    code = client_json_plain(code);
    td_world_say("publish %u refused: %u %.*s", request->first, status, (int)code.len, code.ptr);
    known = td_slice_eq(code, TD_S("log_full")) || td_slice_eq(code, TD_S("draining")) ||
            td_slice_eq(code, TD_S("unavailable")) || status == 408;
    TD_MUST(known || td_slice_eq(code, TD_S("log_failed")), "publish: %u %.*s", status,
            (int)code.len, code.ptr);
    TD_MUST(publisher->link.excused || publisher->link.boot != world->boot || srv_troubled(world),
            "a publish is refused without cause: %.*s", (int)code.len, code.ptr);
    for (uint32_t i = 0; i < request->n; i++) {
        struct srv_said *said = srv_said(world, request->first + i);

        /* One with a key may be in the log from an earlier try. */
        if (known && !said->keyed)
            said->fate = SRV_REFUSED;
    }
}

/* One answer off the front of what has come; false when there is none yet. */
static bool take_answer(struct srv_world *world, struct srv_publisher *publisher)
{
    struct srv_link *link = &publisher->link;
    struct td_slice in = td_buf_slice(&link->in);
    struct client_answer answer;
    const char *why;
    int r = client_http_head(in, &answer, &why);

    TD_MUST(r >= 0, "an answer to a publisher: %s", why);
    if (r == 0 || in.len - answer.head_len < answer.length)
        return false;
    TD_MUST(answer.has_length, "an answer without Content-Length");
    struct td_slice body = td_slice(in.ptr + answer.head_len, (size_t)answer.length);
    if (publisher->n_queue == 0 || !publisher->queue[0].sent) {
        TD_MUST(answer.status >= 400, "an answer that nobody asked for");
        td_buf_consume(&link->in, in.len);
        return false; /* 408 before it is closed */
    }
    struct srv_request request = publisher->queue[0];
    drop_first(publisher);
    if (answer.status == 201) {
        accepted(world, publisher, &request, body);
    } else {
        refused(world, publisher, &request, answer.status, body);
        if (request.key[0]) { /* again, at the end of the queue */
            request.sent = false;
            publisher->queue[publisher->n_queue++] = request;
            world->retries++;
        }
    }
    td_buf_consume(&link->in, answer.head_len + (size_t)answer.length);
    return true;
}

/* ---- the connection ---- */

static void lost(struct srv_world *world, struct srv_publisher *publisher)
{
    size_t kept = 0;

    for (size_t i = 0; i < publisher->n_queue; i++) {
        if (!publisher->queue[i].key[0] && publisher->queue[i].sent)
            continue;
        publisher->queue[i].sent = false;
        publisher->queue[kept++] = publisher->queue[i];
    }
    world->retries += kept;
    publisher->n_queue = kept;
    srv_link_close(&publisher->link, td_rng_one_in(&world->rng, 2));
}

static void trouble(struct srv_world *world, struct srv_publisher *publisher)
{
    struct td_rng *rng = &world->rng;
    struct srv_link *link = &publisher->link;

    if (td_rng_one_in(rng, 150)) {
        td_world_say("a publisher leaves");
        lost(world, publisher);
    } else if (td_rng_one_in(rng, 150)) {
        link->stalled_until = td_clock_ns() + td_rng_below(rng, 5 * TD_NS_PER_S);
        link->excused = true;
    }
}

static void send_more(struct srv_world *world, struct srv_publisher *publisher)
{
    struct td_rng *rng = &world->rng;

    for (size_t i = 0; i < publisher->n_queue; i++)
        if (!publisher->queue[i].sent) {
            /* Answers come in the order of sending: what waits goes to the end of those that are on their way. */
            request_send(world, publisher, &publisher->queue[i]);
        }
    while (!world->final && publisher->n_queue < SRV_QUEUE - 1 && !td_rng_one_in(rng, 3)) {
        struct srv_request *request = &publisher->queue[publisher->n_queue++];

        request_new(world, request);
        request_send(world, publisher, request);
    }
}

void srv_publisher_step(struct srv_world *world, struct srv_publisher *publisher)
{
    struct srv_link *link = &publisher->link;

    if (srv_link_is_dead(world, link))
        lost(world, publisher);
    if (link->client == 0 && !srv_link_open(world, link))
        return;
    if (!link->ended && !srv_link_stalls(link))
        send_more(world, publisher);
    srv_link_pump(world, link);
    while (take_answer(world, publisher))
        ;
    if (link->ended) {
        if (publisher->n_queue > 0 && publisher->queue[0].sent)
            srv_link_judge(world, link, "publisher");
        lost(world, publisher);
    } else if (!world->final) {
        trouble(world, publisher);
    }
}

bool srv_publisher_done(const struct srv_publisher *publisher)
{
    return publisher->n_queue == 0;
}
