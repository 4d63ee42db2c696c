/* SPDX-License-Identifier: Apache-2.0 */
/* A reader's connections: requests, heads of answers, and everything that a client may do to a server. */
#include "base/assert.h"
#include "client_json.h"
#include "os/clock.h"
#include "server_world.h"

/* The example of RFC 6455 1.3, whose answer is known. */
#define WS_KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define WS_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/* ---- where it begins ---- */

static void choose_start(struct srv_world *world, struct srv_reader *reader)
{
    struct td_rng *rng = &world->rng;
    uint64_t deed = world->final ? 99 : td_rng_below(rng, 100);
    uint64_t stood = reader->position;

    reader->early = reader->foreign = reader->must_hear = false;
    reader->gap_last = 0;
    srv_reader_told(reader, 0);
    reader->widened = false;
    if (!reader->known && deed >= 20)
        reader->start = td_rng_one_in(rng, 2) ? SRV_START_NEW : SRV_START_EARLIEST;
    else if (!reader->known || deed < 5)
        reader->start = SRV_START_NEW;
    else if (deed < 10)
        reader->start = SRV_START_EARLIEST;
    else if (deed < 13)
        reader->start = SRV_START_FOREIGN;
    else
        reader->start = SRV_START_SINCE;
    if (reader->start == SRV_START_SINCE && deed < 25 && reader->n_marks > 0)
        reader->position = reader->marks[td_rng_below(rng, reader->n_marks)];
    if (reader->start != SRV_START_SINCE || reader->position != stood)
        srv_view_forget(reader);
    srv_view_resume(reader);
    if (reader->start == SRV_START_SINCE)
        reader->must_hear =
            srv_truth_lost(&world->truth, reader->last_got) && reader->position >= reader->last_got;
    else
        reader->position = world->truth.horizon;
    if (reader->start != SRV_START_SINCE || reader->position < reader->last_got)
        reader->last_got = 0;
    reader->known = reader->start != SRV_START_NEW;
    reader->early = reader->start == SRV_START_EARLIEST;
    reader->foreign = reader->start == SRV_START_FOREIGN;
}

/* The text of `since`; empty when it gives none. */
static void put_since(const struct srv_world *world, const struct srv_reader *reader,
                      struct td_buf *out)
{
    switch (reader->start) {
    case SRV_START_NEW: break;
    case SRV_START_SINCE: td_buf_puts(out, srv_position(world, reader->position)); break;
    case SRV_START_EARLIEST: td_buf_puts(out, "earliest"); break;
    case SRV_START_FOREIGN:
        td_buf_putf(out, "%08x.%llu", world->truth.epoch + 1, (unsigned long long)reader->position);
        break;
    }
}

/* ---- requests ---- */

static void put_head(struct srv_world *world, const struct srv_reader *reader, struct td_buf *out)
{
    td_buf_puts(out, " HTTP/1.1\r\nHost: sim\r\nAuthorization: Bearer ");
    td_buf_put(out, td_buf_slice(&world->tokens[reader->subject]));
    td_buf_puts(out, "\r\n");
}

static void put_query(struct srv_world *world, const struct srv_reader *reader, bool topics,
                      bool since, struct td_buf *out)
{
    td_buf_puts(out, "?x=1");
    for (size_t i = 0; topics && i < reader->n_patterns; i++)
        td_buf_putf(out, "&topic=%s", reader->patterns[i].text);
    if (reader->type[0])
        td_buf_putf(out, "&type=%s", reader->type);
    if (reader->state != SRV_STATE_DEFAULT)
        td_buf_putf(out, "&state=%d", reader->state == SRV_STATE_FIRST);
    if (reader->format)
        td_buf_putf(out, "&format=%s", reader->format);
    if (since && reader->start != SRV_START_NEW) {
        td_buf_puts(out, "&since=");
        put_since(world, reader, out);
    }
}

static void ask_ws(struct srv_world *world, struct srv_reader *reader)
{
    struct td_buf *out = &reader->link.out;
    bool named = reader->kind == SRV_WS_URL;

    reader->seeks = !named && reader->start != SRV_START_NEW;
    reader->seeks_itself = reader->seeks && td_rng_one_in(&world->rng, 2);
    td_buf_puts(out, named ? "GET /api/v1/events" : "GET /ws");
    put_query(world, reader, named, !reader->seeks_itself, out);
    put_head(world, reader, out);
    td_buf_puts(out, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: " WS_KEY "\r\n\r\n");
    reader->wants_caught_up = named;
}

static void ask_sse(struct srv_world *world, struct srv_reader *reader)
{
    struct td_buf *out = &reader->link.out;
    bool header = reader->start != SRV_START_NEW && td_rng_one_in(&world->rng, 2);

    td_buf_puts(out, "GET /api/v1/events");
    put_query(world, reader, true, !header, out);
    put_head(world, reader, out);
    td_buf_puts(out, "Accept: text/event-stream\r\n");
    if (header) {
        td_buf_puts(out, "Last-Event-ID: ");
        put_since(world, reader, out);
        td_buf_puts(out, "\r\n");
    }
    td_buf_puts(out, "\r\n");
    reader->wants_caught_up = true;
}

void srv_reader_ask(struct srv_world *world, struct srv_reader *reader)
{
    struct td_buf *out = &reader->link.out;

    if (world->final)
        reader->limit = 100;
    td_buf_puts(out, "GET /api/v1/events");
    put_query(world, reader, true, true, out);
    td_buf_putf(out, "&limit=%u", reader->limit);
    if (reader->kind == SRV_POLL) {
        reader->wait_s = (unsigned)td_rng_below(&world->rng, 6);
        td_buf_putf(out, "&wait=%u", reader->wait_s);
    }
    put_head(world, reader, out);
    td_buf_puts(out, "Accept: application/json\r\n\r\n");
    reader->asked = true;
    reader->gap_last = 0; /* each page tells it anew */
    srv_reader_told(reader, 0);
    reader->asked_at = td_clock_ns();
    reader->asked_readable = world->truth.position;
}

void srv_reader_connect(struct srv_world *world, struct srv_reader *reader)
{
    if (!srv_link_open(world, &reader->link))
        return;
    choose_start(world, reader);
    reader->resumes++;
    reader->connection = (uint32_t)++world->resumes;
    reader->phase = SRV_HEAD;
    reader->asked = reader->caught_up = reader->wants_caught_up = reader->closing = false;
    reader->began = reader->kind == SRV_WS_URL; /* what its URL says of state is for that */
    reader->asks_state = false;
    reader->publishes = 0;
    reader->history.on = reader->history.asked = false;
    reader->seeks = reader->seeks_itself = false;
    for (size_t i = 0; i < reader->n_patterns; i++) {
        reader->patterns[i].on = reader->kind != SRV_WS;
        reader->patterns[i].from = 0;
    }
    if ((reader->kind == SRV_WS_URL || reader->kind == SRV_SSE) &&
        (reader->state == SRV_STATE_FIRST ||
         (reader->state == SRV_STATE_DEFAULT && reader->start == SRV_START_NEW)))
        srv_view_await(world, reader, ~0U,
                       reader->known ? srv_reader_due(reader) : (struct srv_range){0, 0});
    td_world_say(
        "reader %u connects, %s %llu", reader->number,
        (const char *const[]){"new", "since", "earliest,", "with another log's"}[reader->start],
        (unsigned long long)reader->position);
    if (reader->kind == SRV_WS || reader->kind == SRV_WS_URL)
        ask_ws(world, reader);
    else if (reader->kind == SRV_SSE)
        ask_sse(world, reader);
}

/* ---- heads ---- */

static bool all_granted(const struct srv_reader *reader)
{
    for (size_t i = 0; i < reader->n_patterns; i++)
        if (!srv_overlaps(reader->subject, td_slice_str(reader->patterns[i].text), NULL))
            return false;
    return true;
}

static void take_refusal(struct srv_world *world, struct srv_reader *reader, unsigned status,
                         struct td_slice body)
{
    struct td_slice code = {0};

    TD_MUST(client_json_valid(body) && client_json_get(body, "code", &code),
            "reader %u: an error %u without a code", reader->number, status);
    code = client_json_plain(code);
    td_world_say("reader %u is refused: %u %.*s", reader->number, status, (int)code.len, code.ptr);
    if (status == 403) {
        TD_MUST(!all_granted(reader), "reader %u is refused what it is granted", reader->number);
        reader->refused = true;
    } else {
        TD_MUST(status == 503 || status == 408, "reader %u: %u %.*s", reader->number, status,
                (int)code.len, code.ptr);
        srv_link_judge(world, &reader->link, "reader that was refused");
    }
    reader->closing = true;
}

static void take_opening(struct srv_world *world, struct srv_reader *reader,
                         const struct client_answer *answer)
{
    reader->phase = SRV_OPEN;
    if (reader->kind == SRV_SSE) {
        TD_MUST(answer->status == 200 && td_slice_eq(answer->type, TD_S("text/event-stream")),
                "reader %u: %u instead of a stream", reader->number, answer->status);
        TD_MUST(all_granted(reader), "reader %u streams what is not granted", reader->number);
        if (reader->start == SRV_START_NEW) {
            reader->position = srv_read_position(world, answer->position, NULL);
            reader->known = true;
        }
        return;
    }
    TD_MUST(answer->status == 101 && td_slice_eq_nocase(answer->upgrade, TD_S("websocket")) &&
                td_slice_eq(answer->accept, TD_S(WS_ACCEPT)),
            "reader %u: %u instead of an upgrade", reader->number, answer->status);
}

/* The head of an answer, and the body where it has one; false when there is none yet. */
static bool take_head(struct srv_world *world, struct srv_reader *reader)
{
    struct td_slice in = td_buf_slice(&reader->link.in);
    struct client_answer answer;
    const char *why;
    int r = client_http_head(in, &answer, &why);

    TD_MUST(r >= 0, "an answer to reader %u: %s", reader->number, why);
    if (r == 0 || in.len - answer.head_len < answer.length)
        return false;
    struct td_slice body = td_slice(in.ptr + answer.head_len, (size_t)answer.length);
    if (answer.status >= 400)
        take_refusal(world, reader, answer.status, body);
    else if (reader->kind == SRV_POLL || reader->kind == SRV_PAGE)
        srv_page_take(world, reader, &answer, body);
    else
        take_opening(world, reader, &answer);
    td_buf_consume(&reader->link.in, answer.head_len + (size_t)answer.length);
    return true;
}

/* ---- steps ---- */

static void leave(struct srv_world *world, struct srv_reader *reader, bool reset)
{
    srv_link_close(&reader->link, reset);
    reader->phase = SRV_OFF;
    if (!world->final && td_rng_one_in(&world->rng, 30))
        srv_reader_new(world, reader);
}

static void trouble(struct srv_world *world, struct srv_reader *reader)
{
    struct td_rng *rng = &world->rng;
    struct srv_link *link = &reader->link;

    switch (td_rng_below(rng, 300)) {
    case 0:
    case 1:
    case 2:
        td_world_say("reader %u stalls", reader->number);
        link->stalled_until =
            td_clock_ns() +
            td_rng_below(rng, td_rng_one_in(rng, 6) ? 80 * TD_NS_PER_S : 4 * TD_NS_PER_S);
        link->excused = true;
        link->partitioned = td_rng_one_in(rng, 3);
        if (link->partitioned)
            td_sim_client_partition(link->client, true);
        break;
    case 3:
    case 4: td_sim_client_window(link->client, 1 + (size_t)td_rng_below(rng, 200)); break;
    case 5:
    case 6: td_sim_client_window(link->client, 65536); break;
    case 7:
    case 8:
    case 9:
        td_world_say("reader %u leaves", reader->number);
        leave(world, reader, td_rng_one_in(rng, 2));
        break;
    default: break;
    }
}

static bool take_one(struct srv_world *world, struct srv_reader *reader)
{
    if (reader->phase == SRV_HEAD)
        return take_head(world, reader);
    if (reader->kind == SRV_SSE)
        return srv_stream_take_sse(world, reader);
    return srv_stream_take_ws(world, reader);
}

static void at_end(struct srv_world *world, struct srv_reader *reader)
{
    bool idle = (reader->kind == SRV_POLL || reader->kind == SRV_PAGE) && !reader->asked;
    /* It was sent half an event whose rest retention took. */
    bool outrun = srv_truth_trimmed_after(world, reader->position);

    td_world_say("reader %u: the connection has ended", reader->number);
    if (!idle && !reader->closing && !outrun && !reader->refused)
        srv_link_judge(world, &reader->link, "reader");
    leave(world, reader, false);
}

void srv_reader_step(struct srv_world *world, struct srv_reader *reader)
{
    struct srv_link *link = &reader->link;

    if (reader->phase != SRV_OFF && srv_link_is_dead(world, link))
        leave(world, reader, false);
    if (reader->phase == SRV_OFF) {
        if (!reader->refused && (world->final || td_rng_one_in(&world->rng, 6)))
            srv_reader_connect(world, reader);
        else if (reader->refused && !world->final && td_rng_one_in(&world->rng, 6))
            srv_reader_new(world, reader);
        return;
    }
    srv_link_pump(world, link);
    if (srv_link_stalls(link))
        return;
    while (reader->phase != SRV_OFF && !reader->refused && take_one(world, reader))
        ;
    if (reader->phase == SRV_OPEN && reader->kind != SRV_SSE && !link->ended)
        srv_stream_talk(world, reader);
    bool pages = reader->kind == SRV_POLL || reader->kind == SRV_PAGE;
    if (reader->refused || (pages && reader->closing && !link->ended)) {
        leave(world, reader, td_rng_one_in(&world->rng, 2));
        return;
    }
    if (pages && !reader->asked && !link->ended && (world->final || td_rng_one_in(&world->rng, 4)))
        srv_reader_ask(world, reader);
    if (link->ended)
        at_end(world, reader);
    else if (!world->final)
        trouble(world, reader);
}
