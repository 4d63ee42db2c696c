/* SPDX-License-Identifier: Apache-2.0 */
/* What comes on a WebSocket and on an event stream, and what is said on the former. */
#include "base/assert.h"
#include "client_json.h"
#include "client_sse.h"
#include "client_ws.h"
#include "os/clock.h"
#include "server_world.h"

static struct td_slice member(struct td_slice json, const char *name)
{
    struct td_slice raw;

    return client_json_get(json, name, &raw) ? client_json_plain(raw) : td_slice(NULL, 0);
}

static uint64_t position_of(const struct srv_world *world, struct td_slice json)
{
    struct td_slice text = member(json, "position");

    TD_MUST(text.len > 0, "a message without position: %.*s", (int)json.len, json.ptr);
    return srv_read_position(world, text, NULL);
}

static bool any_on(const struct srv_reader *reader)
{
    for (size_t i = 0; i < reader->n_patterns; i++)
        if (reader->patterns[i].on)
            return true;
    return false;
}

/* ---- commands ---- */

static void put_since(struct srv_world *world, struct srv_reader *reader, struct td_buf *text)
{
    td_buf_puts(text, ",\"since\":\"");
    if (reader->history.asked)
        srv_history_ask(world, reader, text);
    else if (reader->start == SRV_START_EARLIEST)
        td_buf_puts(text, "earliest");
    else if (reader->start == SRV_START_FOREIGN)
        td_buf_putf(text, "%08x.7", world->truth.epoch + 1);
    else
        td_buf_puts(text, srv_position(world, reader->position));
    td_buf_puts(text, "\"");
}

static void send_command(struct srv_world *world, struct srv_reader *reader, const char *type)
{
    struct td_buf text = TD_BUF_INIT(4096);
    const char *comma = "";

    td_buf_putf(&text, "{\"type\":\"%s\",\"topics\":[", type);
    for (size_t i = 0; i < reader->n_patterns; i++)
        if (reader->command >> i & 1) {
            td_buf_putf(&text, "%s\"%s\"", comma, reader->patterns[i].text);
            comma = ",";
        }
    td_buf_puts(&text, "]");
    if (reader->history.asked || (reader->seeks && reader->seeks_itself))
        put_since(world, reader, &text);
    if (reader->history.asked)
        td_buf_putf(&text, ",\"ref\":\"h%u\"", reader->history.serial);
    else
        td_buf_putf(&text, ",\"ref\":%u", reader->command);
    reader->asks_state = !reader->began && reader->state == SRV_STATE_FIRST;
    if (!reader->unsubscribing && td_rng_one_in(&world->rng, 3)) {
        reader->asks_state = td_rng_one_in(&world->rng, 2);
        td_buf_putf(&text, ",\"state\":%s", reader->asks_state ? "true" : "false");
    }
    td_buf_puts(&text, "}");
    TD_ASSERT(text.err == 0);
    client_ws_put(&reader->link.out, &world->rng, 1, td_buf_slice(&text));
    td_world_say("reader %u says %.*s", reader->number, (int)text.len, text.ptr);
    td_buf_done(&text);
    reader->asked = true;
    reader->command_errors = 0;
}

/* The bits of those that are granted nothing. */
static unsigned forbidden(const struct srv_reader *reader)
{
    unsigned bits = 0;

    for (size_t i = 0; i < reader->n_patterns; i++)
        if ((reader->command >> i & 1) &&
            !srv_overlaps(reader->subject, td_slice_str(reader->patterns[i].text), NULL))
            bits |= 1u << i;
    return bits;
}

static void command_done(struct srv_reader *reader)
{
    unsigned dead = reader->unsubscribing ? 0 : forbidden(reader);
    bool alive = false;

    for (size_t i = 0; i < reader->n_patterns; i++) {
        reader->patterns[i].dead |= (dead >> i & 1) != 0;
        alive |= !reader->patterns[i].dead;
    }
    reader->asked = false;
    reader->history.asked = false;
    reader->refused = !alive;
}

static void subscribe_some(struct srv_world *world, struct srv_reader *reader, bool all)
{
    reader->command = 0;
    for (size_t i = 0; i < reader->n_patterns; i++)
        if (!reader->patterns[i].on && !reader->patterns[i].dead &&
            (all || td_rng_one_in(&world->rng, 2)))
            reader->command |= 1u << i;
    if (reader->command == 0)
        return;
    reader->unsubscribing = false;
    send_command(world, reader, td_rng_one_in(&world->rng, 2) ? "SUBSCRIBE" : "subscribe");
}

/* What came before, of some that may be subscribed already. */
static void ask_history(struct srv_world *world, struct srv_reader *reader)
{
    reader->command = 0;
    for (size_t i = 0; i < reader->n_patterns; i++)
        if (!reader->patterns[i].dead && td_rng_one_in(&world->rng, 2))
            reader->command |= 1u << i;
    if (reader->command == 0)
        return;
    reader->unsubscribing = false;
    reader->history.asked = true;
    send_command(world, reader, "SUBSCRIBE");
}

static void unsubscribe_one(struct srv_world *world, struct srv_reader *reader)
{
    unsigned i = (unsigned)td_rng_below(&world->rng, reader->n_patterns);

    if (!reader->patterns[i].on)
        return;
    reader->command = 1u << i;
    reader->unsubscribing = true;
    reader->seeks = false;
    send_command(world, reader, "UNSUBSCRIBE");
}

/* The same subject with or without a grant that changes nothing for it: each of its subscriptions is made again. */
static void renew(struct srv_world *world, struct srv_reader *reader)
{
    const struct td_buf *token =
        &(td_rng_one_in(&world->rng, 2) ? world->tokens : world->renewals)[reader->subject];
    struct td_buf text = TD_BUF_INIT(TD_TOKEN_LEN_MAX + 64);

    td_buf_puts(&text, "{\"type\":\"auth\",\"token\":\"");
    td_buf_put(&text, td_buf_slice(token));
    td_buf_puts(&text, "\"}");
    TD_ASSERT(text.err == 0);
    client_ws_put(&reader->link.out, &world->rng, 1, td_buf_slice(&text));
    td_buf_done(&text);
}

/* One event of any class, if the subject may. */
static void publish_one(struct srv_world *world, struct srv_reader *reader)
{
    struct td_buf text = TD_BUF_INIT(65536);

    if (reader->subject != 0 || reader->publishes > 0)
        return;
    uint32_t number =
        srv_say(world, (struct srv_said){.request = ++world->next_request, .count = 1});
    td_buf_putf(&text, "{\"type\":\"publish\",\"ref\":\"p\",\"event\":");
    srv_put_event(&text, number, srv_said(world, number), false);
    td_buf_puts(&text, "}");
    TD_ASSERT(text.err == 0);
    client_ws_put(&reader->link.out, &world->rng, 1, td_buf_slice(&text));
    td_buf_done(&text);
    td_world_say("reader %u publishes %u", reader->number, number);
    reader->publishes = number;
}

static void take_published(struct srv_world *world, struct srv_reader *reader, struct td_slice json)
{
    struct td_slice id = {NULL, 0};

    TD_MUST(reader->publishes > 0 && client_json_get(json, "id", &id),
            "reader %u: something was published without an id, or not by it", reader->number);
    srv_acked(world, reader->link.boot, reader->publishes, id);
    reader->publishes = 0;
}

/* A publish was refused. */
static void take_refused(struct srv_world *world, struct srv_reader *reader, struct td_slice code)
{
    bool known = td_slice_eq(code, TD_S("log_full")) || td_slice_eq(code, TD_S("draining")) ||
                 td_slice_eq(code, TD_S("unavailable"));

    TD_MUST(known || td_slice_eq(code, TD_S("log_failed")), "reader %u: a publish is refused: %.*s",
            reader->number, (int)code.len, code.ptr);
    TD_MUST(reader->link.excused || reader->link.boot != world->boot || srv_troubled(world),
            "reader %u: a publish is refused without cause", reader->number);
    if (known)
        srv_said(world, reader->publishes)->fate = SRV_REFUSED;
    reader->publishes = 0;
}

void srv_stream_talk(struct srv_world *world, struct srv_reader *reader)
{
    struct td_rng *rng = &world->rng;

    if (reader->closing || reader->asked)
        return;
    if (reader->kind == SRV_WS && !any_on(reader))
        subscribe_some(world, reader, world->final);
    else if (world->final)
        return;
    else if (reader->kind == SRV_WS && td_rng_one_in(rng, 25))
        subscribe_some(world, reader, false);
    else if (reader->kind == SRV_WS && td_rng_one_in(rng, 40))
        unsubscribe_one(world, reader);
    else if (td_rng_one_in(rng, 40))
        renew(world, reader);
    else if (any_on(reader) && reader->known && !reader->history.on && td_rng_one_in(rng, 30))
        ask_history(world, reader);
    else if (td_rng_one_in(rng, 20))
        publish_one(world, reader);
    else if (td_rng_one_in(rng, 80))
        client_ws_put(&reader->link.out, rng, 1, TD_S("{\"type\":\"ping\"}"));
    else if (td_rng_one_in(rng, 80))
        client_ws_put(&reader->link.out, rng, 9, TD_S("beat"));
    else if (td_rng_one_in(rng, 300)) {
        client_ws_put(&reader->link.out, rng, 8, TD_S("\x03\xe8"));
        reader->closing = true;
    }
}

/* ---- control messages ---- */

static void take_connection(struct srv_world *world, struct srv_reader *reader,
                            struct td_slice json)
{
    uint64_t position = position_of(world, json);

    switch (reader->start) {
    case SRV_START_NEW:
        reader->position = position;
        reader->known = reader->kind == SRV_WS_URL;
        break;
    case SRV_START_SINCE:
        TD_MUST(reader->seeks_itself || position == reader->position,
                "reader %u goes on from %llu, not %llu", reader->number,
                (unsigned long long)position, (unsigned long long)reader->position);
        break;
    case SRV_START_EARLIEST:
        if (reader->kind == SRV_WS_URL)
            srv_reader_reach(world, reader, position, "the beginning");
        break;
    case SRV_START_FOREIGN: break;
    }
}

/* What only a new subscription brings was not seen until now. */
static void doubt_new(const struct srv_world *world, struct srv_reader *reader, unsigned patterns)
{
    struct srv_reader old = *reader;

    for (size_t i = 0; i < old.n_patterns; i++)
        old.patterns[i].on = reader->patterns[i].on && !(patterns >> i & 1);
    srv_view_narrow(world, &old);
    reader->view = old.view;
}

static void take_subscribed(struct srv_world *world, struct srv_reader *reader,
                            struct td_slice json)
{
    uint64_t position = position_of(world, json);
    struct td_slice topics, item;
    unsigned granted = reader->command & ~forbidden(reader), n = 0;
    bool on = any_on(reader);

    TD_MUST(reader->asked && !reader->unsubscribing, "reader %u: subscribed to nothing",
            reader->number);
    TD_MUST(client_json_get(json, "topics", &topics), "subscribed without topics");
    while (client_json_next(&topics, &item))
        n++;
    TD_MUST(n == (unsigned)__builtin_popcount(granted) &&
                reader->command_errors == (unsigned)__builtin_popcount(reader->command & ~granted),
            "reader %u asked for %x, was to get %x, got %u and %u errors", reader->number,
            reader->command, granted, n, reader->command_errors);
    if (on) { /* what it had reached it may be told before anything that it is owed */
        if (position != reader->position)
            srv_reader_reach(world, reader, position, "subscribed");
    } else if (reader->seeks && reader->start == SRV_START_SINCE) {
        TD_MUST(position == reader->position, "reader %u goes on from %llu, not %llu",
                reader->number, (unsigned long long)position, (unsigned long long)reader->position);
    } else {
        reader->position = position;
        reader->known = true;
        reader->early = reader->seeks && reader->start == SRV_START_EARLIEST;
    }
    if (reader->seeks || reader->asks_state)
        reader->wants_caught_up = true;
    if (reader->asks_state)
        reader->caught_up = false;
    if (!on && !(reader->seeks && reader->start == SRV_START_SINCE))
        srv_view_forget(reader);
    unsigned fresh = 0;
    for (size_t i = 0; i < reader->n_patterns; i++)
        if ((granted >> i & 1) && !reader->patterns[i].on) {
            fresh |= 1u << i;
            reader->patterns[i].on = true;
            reader->patterns[i].from = position;
            reader->patterns[i].told = reader->patterns[i].begun = 0;
            reader->widened = true;
        }
    if (reader->early)
        srv_reader_begun(world, reader);
    if (reader->history.asked)
        srv_history_begin(world, reader, granted, position);
    srv_view_narrow(world, reader);
    if (on)
        doubt_new(world, reader, fresh);
    srv_view_widen(world, reader);
    if (reader->asks_state)
        srv_view_await(world, reader, granted, srv_reader_due(reader));
    reader->began = true;
    reader->seeks = false;
    command_done(reader);
}

static void take_unsubscribed(struct srv_world *world, struct srv_reader *reader,
                              struct td_slice json)
{
    TD_MUST(reader->asked && reader->unsubscribing, "reader %u: unsubscribed from nothing",
            reader->number);
    if (position_of(world, json) != reader->position)
        srv_reader_reach(world, reader, position_of(world, json), "unsubscribed");
    for (size_t i = 0; i < reader->n_patterns; i++)
        if (reader->command >> i & 1)
            reader->patterns[i].on = false;
    srv_history_narrow(reader, reader->command);
    srv_view_narrow(world, reader);
    srv_view_doubt_awaited(reader);
    if (!any_on(reader)) /* nothing is owed any more */
        reader->wants_caught_up = reader->must_hear = reader->foreign = false;
    command_done(reader);
}

static void take_error(struct srv_world *world, struct srv_reader *reader, struct td_slice json)
{
    struct td_slice code = member(json, "code");

    if (td_slice_eq(member(json, "ref"), TD_S("p"))) {
        take_refused(world, reader, code);
        return;
    }
    TD_MUST(td_slice_eq(code, TD_S("forbidden")) && reader->asked && !reader->unsubscribing &&
                ++reader->command_errors <= (unsigned)__builtin_popcount(forbidden(reader)),
            "reader %u: %.*s", reader->number, (int)json.len, json.ptr);
    if (forbidden(reader) == reader->command &&
        reader->command_errors == (unsigned)__builtin_popcount(reader->command))
        command_done(reader);
}

static void take_authenticated(const struct srv_reader *reader, struct td_slice json)
{
    struct td_slice lost, item;

    TD_MUST(client_json_get(json, "lost", &lost), "authenticated without lost");
    while (client_json_next(&lost, &item))
        TD_MUST(td_slice_eq(item, TD_S("\"" SRV_NOBODY "\"")), "reader %u loses %.*s",
                reader->number, (int)item.len, item.ptr);
}

static void take_control(struct srv_world *world, struct srv_reader *reader, struct td_slice json)
{
    struct td_slice type = member(json, "type"), ref;

    td_world_say("reader %u: %.*s", reader->number, (int)json.len, json.ptr);
    if (td_slice_eq(type, TD_S("connection"))) {
        take_connection(world, reader, json);
    } else if (td_slice_eq(type, TD_S("subscribed"))) {
        take_subscribed(world, reader, json);
    } else if (td_slice_eq(type, TD_S("unsubscribed"))) {
        take_unsubscribed(world, reader, json);
    } else if (td_slice_eq(type, TD_S("caught_up"))) {
        if (client_json_get(json, "ref", &ref) && srv_history_is(reader, ref))
            srv_history_end(world, reader);
        else
            reader->caught_up = true;
        if (any_on(reader)) {
            srv_reader_reach(world, reader, position_of(world, json), "caught_up");
            srv_view_settled(reader, reader->position);
            srv_view_check(world, reader, reader->position);
        }
    } else if (td_slice_eq(type, TD_S("heartbeat"))) {
        if (any_on(reader))
            srv_reader_reach(world, reader, position_of(world, json), "a heartbeat");
    } else if (td_slice_eq(type, TD_S("gap")) && client_json_get(json, "history", &ref)) {
        srv_history_gap(world, reader, json);
    } else if (td_slice_eq(type, TD_S("gap"))) {
        srv_reader_gap(world, reader, json);
    } else if (td_slice_eq(type, TD_S("authenticated"))) {
        take_authenticated(reader, json);
    } else if (td_slice_eq(type, TD_S("command_error"))) {
        take_error(world, reader, json);
    } else if (td_slice_eq(type, TD_S("published"))) {
        take_published(world, reader, json);
    } else {
        TD_MUST(td_slice_eq(type, TD_S("pong")) || td_slice_eq(type, TD_S("draining")),
                "reader %u: an unknown message: %.*s", reader->number, (int)json.len, json.ptr);
    }
}

static void take_json(struct srv_world *world, struct srv_reader *reader, struct td_slice json)
{
    struct td_slice control;

    TD_MUST(client_json_valid(json), "reader %u: not JSON: %.*s", reader->number,
            (int)TD_MIN(json.len, (size_t)200), json.ptr);
    if (client_json_get(json, "control", &control))
        take_control(world, reader, json);
    else
        srv_reader_event(world, reader, json);
}

/* ---- WebSocket ---- */

static bool granted_all(const struct srv_reader *reader)
{
    for (size_t i = 0; i < reader->n_patterns; i++)
        if (!srv_overlaps(reader->subject, td_slice_str(reader->patterns[i].text), NULL))
            return false;
    return true;
}

static void take_close(struct srv_world *world, struct srv_reader *reader, struct td_slice payload)
{
    unsigned code = 1005;

    if (payload.len >= 2)
        code = (unsigned)(unsigned char)payload.ptr[0] << 8 | (unsigned char)payload.ptr[1];
    td_world_say("reader %u: closed with %u", reader->number, code);
    if (code == 4003) {
        TD_MUST(!granted_all(reader), "reader %u is refused what it is granted", reader->number);
        reader->refused = true;
    } else if (code != 1000 || !reader->closing) {
        TD_MUST(code == 1001 || code == 1013 || code == 4008, "reader %u is closed with %u",
                reader->number, code);
        if (!srv_truth_trimmed_after(world, reader->position))
            srv_link_judge(world, &reader->link, "WebSocket, by a close frame,");
    }
    if (!reader->closing)
        client_ws_put(&reader->link.out, &world->rng, 8, payload);
    reader->closing = true;
}

bool srv_stream_take_ws(struct srv_world *world, struct srv_reader *reader)
{
    struct client_frame frame;
    const char *why;
    int r = client_ws_frame(td_buf_slice(&reader->link.in), &frame, &why);

    TD_MUST(r >= 0, "reader %u: a bad frame: %s", reader->number, why);
    if (r == 0)
        return false;
    if (frame.opcode == 1)
        take_json(world, reader, frame.payload);
    else if (frame.opcode == 8)
        take_close(world, reader, frame.payload);
    else if (frame.opcode == 9)
        client_ws_put(&reader->link.out, &world->rng, 10, frame.payload);
    else
        TD_MUST(td_slice_eq(frame.payload, TD_S("beat")), "reader %u: a pong for nothing",
                reader->number);
    td_buf_consume(&reader->link.in, frame.len);
    return true;
}

/* ---- Server-Sent Events ---- */

/* What is in the log and new moves the reader's position, and nothing else does. */
static void check_sse_id(struct srv_world *world, const struct srv_reader *reader,
                         const struct client_sse *sse)
{
    struct srv_seen seen;
    bool moves = srv_look(sse->data, &seen) && seen.id.ptr && !seen.state;

    TD_MUST(moves == (sse->id.ptr != NULL), "reader %u: event %u with an id, or without",
            reader->number, seen.number);
    TD_MUST(!moves || srv_read_position(world, sse->id, NULL) == reader->position,
            "reader %u: an event has another id on the stream", reader->number);
}

bool srv_stream_take_sse(struct srv_world *world, struct srv_reader *reader)
{
    struct client_sse sse;
    const char *why;
    int r = client_sse_next(td_buf_slice(&reader->link.in), &sse, &why);

    TD_MUST(r >= 0, "reader %u: a bad stream: %s", reader->number, why);
    if (r == 0)
        return false;
    if (!sse.data.ptr && sse.id.ptr) {
        srv_reader_reach(world, reader, srv_read_position(world, sse.id, NULL), "an id alone");
    } else if (sse.data.ptr && td_slice_eq(sse.event, TD_S("tidings"))) {
        take_json(world, reader, sse.data);
        if (sse.id.ptr)
            TD_MUST(srv_read_position(world, sse.id, NULL) == reader->position,
                    "reader %u: the id of a control message is not its position", reader->number);
    } else if (sse.data.ptr) {
        TD_MUST(!td_slice_eq(sse.event, TD_S("error")) && !td_slice_eq(sse.event, TD_S("open")),
                "reader %u: an event that EventSource takes for its own", reader->number);
        take_json(world, reader, sse.data);
        check_sse_id(world, reader, &sse);
    }
    td_buf_consume(&reader->link.in, sse.len);
    return true;
}
