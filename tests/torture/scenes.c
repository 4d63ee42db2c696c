/* SPDX-License-Identifier: Apache-2.0 */
#include "scenes.h"
#include "../sim/client_json.h"
#include "../sim/client_sse.h"
#include "base/err.h"
#include "os/clock.h"
#include <stdlib.h>

/* ---- publishing ---- */

static bool publish(struct stage *stage, enum shape shape, const char *topic, unsigned n,
                    const char *headers)
{
    struct td_buf body = TD_BUF_INIT(16384);
    struct client client;
    struct answer answer;

    unsigned first = say(stage, &body, shape, topic, n);
    client_open(stage, &client,
                client_request(stage, "POST /api/v1/events", headers, td_buf_slice(&body)));
    client_answer(stage, &client, &answer);
    settle(stage, first, n, answer.status, td_buf_slice(&answer.body));
    td_buf_done(&answer.body);
    td_buf_done(&body);
    client_close(&client);
    return answer.status == 201;
}

static bool publish_one(struct stage *stage)
{
    return publish(stage, SHAPE_ONE, "t/one", 1, "");
}

static bool publish_array(struct stage *stage)
{
    return publish(stage, SHAPE_ARRAY, "t/array", 20, "");
}

static bool publish_lines(struct stage *stage)
{
    return publish(stage, SHAPE_LINES, "t/lines", 5, "Content-Type: application/x-ndjson\r\n");
}

/* Chunks that come one after the other, each held until the body is whole; behind it another request of the same connection. */
static bool publish_chunked(struct stage *stage)
{
    struct td_buf body = TD_BUF_INIT(16384), out = TD_BUF_INIT(32768);
    struct client client;
    struct answer answer;
    struct td_slice rest;

    unsigned first = say(stage, &body, SHAPE_ARRAY, "t/chunked", 8);
    client_open(stage, &client,
                client_request(stage, "POST /api/v1/events",
                               "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", TD_S("")));
    for (rest = td_buf_slice(&body); rest.len > 0;) {
        size_t n = TD_MIN(rest.len, (size_t)200);
        td_buf_reset(&out);
        td_buf_putf(&out, "%zx\r\n%.*s\r\n", n, (int)n, rest.ptr);
        client_send(stage, &client, td_buf_slice(&out));
        stage_turn(stage);
        rest = td_slice_from(rest, n);
    }
    client_send(stage, &client, TD_S("0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
    client_answer(stage, &client, &answer);
    settle(stage, first, 8, answer.status, td_buf_slice(&answer.body));
    bool done = answer.status == 201;
    td_buf_done(&answer.body);
    if (done) {
        client_answer(stage, &client, &answer);
        MUST(answer.status == 200 || !stage->strict, "what stands behind is answered %u",
             answer.status);
        td_buf_done(&answer.body);
    }
    td_buf_done(&body);
    td_buf_done(&out);
    client_close(&client);
    return done;
}

/* Several publishes at once: their answers wait for the disk, and come in order. */
static bool publish_pipelined(struct stage *stage)
{
    enum { N = 10 };
    struct td_buf out = TD_BUF_INIT(65536), body = TD_BUF_INIT(1024);
    unsigned first[N], n_done = 0;
    struct client client;
    struct answer answer;

    for (int i = 0; i < N; i++) {
        td_buf_reset(&body);
        first[i] = say(stage, &body, SHAPE_ONE, "t/pipe", 1);
        td_buf_puts(&out, client_request(stage, "POST /api/v1/events", "", td_buf_slice(&body)));
    }
    client_open(stage, &client, "");
    client_send(stage, &client, td_buf_slice(&out));
    for (int i = 0; i < N; i++) {
        client_answer(stage, &client, &answer);
        settle(stage, first[i], 1, answer.status, td_buf_slice(&answer.body));
        td_buf_done(&answer.body);
        n_done += answer.status == 201;
        if (answer.status == 0)
            break;
    }
    td_buf_done(&out);
    td_buf_done(&body);
    client_close(&client);
    return n_done == N;
}

/* ---- reading ---- */

/* Events first … first + n - 1, each once and in order; false when the connection ends before. */
static bool hear_ws(struct stage *stage, struct client *client, unsigned first, unsigned n)
{
    struct td_slice text;

    for (unsigned next = first; next < first + n;) {
        if (!ws_next(stage, client, &text))
            return false;
        unsigned number = number_of(text);
        MUST(number == 0 || number == next, "event %u comes, and %u should", number, next);
        next += number == next;
    }
    return true;
}

static bool hear_sse(struct stage *stage, struct client *client, unsigned first, unsigned n)
{
    for (unsigned next = first; next < first + n;) {
        struct td_buf block = TD_BUF_INIT(TD_MIB);
        struct client_sse event;
        const char *why = "";

        bool come = client_until(stage, client, "\n\n", &block);
        if (come) {
            MUST(client_sse_next(td_buf_slice(&block), &event, &why) == 1, "not an event: %s", why);
            MUST(!event.data.ptr || client_json_valid(event.data), "not JSON: %.*s",
                 (int)event.data.len, event.data.ptr);
            unsigned number = number_of(event.data);
            MUST(number == 0 || number == next, "event %u comes, and %u should", number, next);
            next += number == next;
        }
        td_buf_done(&block);
        if (!come)
            return false;
    }
    return true;
}

/* Publishes by another connection, and hears it on this one. */
static bool speak_and_hear(struct stage *stage, struct client *client, const char *topic,
                           bool (*hear)(struct stage *, struct client *, unsigned, unsigned))
{
    unsigned first = stage->n_said + 1;

    return publish(stage, SHAPE_ARRAY, topic, 4, "") && hear(stage, client, first, 4);
}

static bool websocket(struct stage *stage)
{
    struct td_buf command = TD_BUF_INIT(4096);
    struct client client;
    bool done = ws_open(stage, &client, "/ws");

    if (done) {
        ws_send(
            stage, &client,
            "{\"type\":\"SUBSCRIBE\",\"ref\":1,\"topics\":[\"t/**\",\"t/w\\u002fs\",\"*/w/s\",\"u/"
            "*\",\"v\"]}");
        done = ws_until(stage, &client, "\"type\":\"subscribed\"");
    }
    if (done) {
        td_buf_puts(&command, "{\"type\":\"publish\",\"event\":");
        unsigned first = say(stage, &command, SHAPE_ARRAY, "t/w/s", 3);
        td_buf_puts(&command, "}");
        td_buf_putc(&command, '\0');
        ws_send(stage, &client, command.ptr);
        struct td_slice text;
        unsigned next = first;
        bool answered = false;
        while ((done = ws_next(stage, &client, &text)) && !(answered && next == first + 3)) {
            unsigned number = number_of(text);
            MUST(number == 0 || number == next, "event %u comes, and %u should", number, next);
            next += number == next;
            if (memmem(text.ptr, text.len, "\"published\"", 11)) {
                settle(stage, first, 3, 201, text);
                answered = true;
            } else if (memmem(text.ptr, text.len, "\"command_error\"", 15)) {
                settle(stage, first, 3, 503, text);
                done = false;
                break;
            }
            if (answered && next == first + 3)
                break;
        }
    }
    if (done) {
        ws_send(stage, &client, "{\"type\":\"UNSUBSCRIBE\",\"topics\":[\"t/**\",\"u/*\"]}");
        done = ws_until(stage, &client, "\"type\":\"unsubscribed\"");
    }
    if (done) {
        ws_send(stage, &client, "{\"type\":\"ping\"}");
        done = ws_until(stage, &client, "\"type\":\"pong\"");
    }
    td_buf_done(&command);
    client_close(&client);
    return done;
}

static bool websocket_flat(struct stage *stage)
{
    struct client client;
    bool done = ws_open(stage, &client, "/api/v1/events?topic=t/*&topic=t/flat&type=t&format=flat");

    done = done && speak_and_hear(stage, &client, "t/flat", hear_ws);
    client_close(&client);
    return done;
}

/* The second connection takes the place of the first. */
static bool endpoint(struct stage *stage)
{
    struct client first, second;
    bool done = ws_open(stage, &first, "/boards/red?type=t");

    if (done) {
        done = ws_open(stage, &second, "/boards/red?session=mine") &&
               ws_until(stage, &second, "\"type\":\"caught_up\"") &&
               speak_and_hear(stage, &second, "t/red", hear_ws);
        client_close(&second);
    }
    client_close(&first);
    return done;
}

static bool event_stream(struct stage *stage)
{
    struct client client;

    bool done = sse_open(stage, &client, "topic=t/**&topic=t/sse&type=t");
    done = done && client_until(stage, &client, "\"type\":\"caught_up\"", NULL);
    done = done && client_until(stage, &client, "\n\n", NULL);
    done = done && speak_and_hear(stage, &client, "t/sse", hear_sse);
    client_close(&client);
    return done;
}

static bool long_poll(struct stage *stage)
{
    struct client client;
    struct answer answer;
    unsigned first = stage->n_said + 1;

    client_open(stage, &client,
                client_request(stage, "GET /api/v1/events?topic=t/poll&since=now&wait=5",
                               "Origin: http://localhost\r\n", TD_S("")));
    stage_pass(stage, 100);
    bool done = publish(stage, SHAPE_ONE, "t/poll", 1, "");
    client_answer(stage, &client, &answer);
    if (answer.status == 200 && done) {
        unsigned number = number_of(td_buf_slice(&answer.body));
        MUST(number == first || !stage->strict, "event %u is polled, and %u was said", number,
             first);
        done = number == first;
    }
    MUST(answer.status == 200 || answer.status == 0 || answer.status >= 500,
         "a poll is answered %u", answer.status);
    done = done && answer.status == 200;
    td_buf_done(&answer.body);
    client_close(&client);
    return done;
}

static void many(struct stage *stage)
{
    for (unsigned i = 0; i < 6; i++)
        MUST(publish(stage, SHAPE_ARRAY, i % 2 ? "t/many" : "t/few", 50, ""), "not published");
}

static bool get(struct stage *stage, const char *line, const char *headers, unsigned expected)
{
    unsigned status = client_ask(stage, client_request(stage, line, headers, TD_S("")), NULL);

    MUST(status == expected || status == 0 || status >= 500, "%s is answered %u", line, status);
    MUST(status == expected || !stage->strict, "%s is answered %u", line, status);
    return status == expected;
}

static bool pages(struct stage *stage)
{
    return get(stage, "GET /api/v1/events?topic=t/many&since=earliest", "", 200) &&
           get(stage, "GET /api/v1/events?topic=t/many&topic=t/*&limit=7&format=flat", "", 200) &&
           get(stage, "GET /api/v1/events?topic=%74/few&type=t&type=x&wait=0", "", 200);
}

static bool resume(struct stage *stage)
{
    struct client client;
    bool done = ws_open(stage, &client, "/ws");

    if (done) {
        ws_send(stage, &client,
                "{\"type\":\"SUBSCRIBE\",\"since\":\"earliest\",\"topics\":[\"t/many\",\"t/*\",\"t/"
                "**\"]}");
        ws_send(stage, &client, "{\"type\":\"SUBSCRIBE\",\"topics\":[\"t/few\",\"t/many\"]}");
        unsigned last = 0;
        struct td_slice text = {NULL, 0};
        while ((done = ws_next(stage, &client, &text)) &&
               !memmem(text.ptr, text.len, "\"caught_up\"", 11)) {
            unsigned number = number_of(text);
            MUST(number == 0 || number > last, "event %u comes behind %u", number, last);
            last = TD_MAX(last, number);
            if (memmem(text.ptr, text.len, "\"command_error\"", 15)) {
                MUST(!stage->strict, "refused: %.*s", (int)text.len, text.ptr);
                done = false;
                break;
            }
        }
    }
    client_close(&client);
    return done;
}

/* Events of a key: the latest is state, and is shown first to who comes new. */
static bool keep_state(struct stage *stage)
{
    stage->members = "\"key\":\"k\",\"class\":\"latest\",";
    bool done = publish(stage, SHAPE_ARRAY, "t/state", 3, "");
    stage->members = NULL;
    return done;
}

static void kept(struct stage *stage)
{
    MUST(keep_state(stage), "not published");
}

static bool state(struct stage *stage)
{
    struct client sse, ws;

    bool done = keep_state(stage);
    bool up = sse_open(stage, &sse, "topic=t/state&topic=t/*");
    done = up && client_until(stage, &sse, "\"state\":true", NULL) && done;
    done = done && client_until(stage, &sse, "\"type\":\"caught_up\"", NULL);
    up = ws_open(stage, &ws, "/ws");
    if (up && done) {
        ws_send(stage, &ws, "{\"type\":\"SUBSCRIBE\",\"topics\":[\"t/state\"],\"state\":true}");
        done = ws_until(stage, &ws, "\"state\":true") && ws_until(stage, &ws, "\"caught_up\"");
    }
    done = get(stage, "GET /api/v1/events?topic=t/state&since=now&state=1", "", 200) && done;
    client_close(&sse);
    client_close(&ws);
    return done && up;
}

/* An older `since` on a live connection brings history beside what is live. */
static bool history(struct stage *stage)
{
    struct client client;
    bool done = ws_open(stage, &client, "/ws");

    if (done) {
        ws_send(stage, &client, "{\"type\":\"SUBSCRIBE\",\"topics\":[\"t/live\"]}");
        done = ws_until(stage, &client, "\"subscribed\"");
    }
    if (done) {
        ws_send(stage, &client,
                "{\"type\":\"SUBSCRIBE\",\"topics\":[\"t/few\"],\"since\":\"earliest\",\"ref\":7}");
        done = ws_until(stage, &client, "\"history\":true") &&
               ws_until(stage, &client, "\"caught_up\"");
    }
    done = done && speak_and_hear(stage, &client, "t/live", hear_ws);
    client_close(&client);
    return done;
}

/* Another token for a connection that is open. */
static bool renew(struct stage *stage)
{
    char command[1024];
    struct client client;
    bool done = ws_open(stage, &client, "/api/v1/events?topic=t/*&topic=t/renew");

    if (done) {
        snprintf(command, sizeof(command), "{\"type\":\"auth\",\"token\":\"%.*s\"}",
                 (int)stage->token.len, stage->token.ptr);
        ws_send(stage, &client, command);
        done = ws_until(stage, &client, "\"authenticated\"");
    }
    done = done && speak_and_hear(stage, &client, "t/renew", hear_ws);
    client_close(&client);
    return done;
}

/* A message that is compressed (RFC 7692), in two pieces. */
static bool compressed(struct stage *stage)
{
    static const char ping[] =
        "\xc1\x9f\x00\x00\x00\x00\xaa\x56\x2a\xa9\x2c\x48\x55\xb2\x52\x2a\xc8\xcc\x4b\x57\xd2\x51"
        "\x2a\x4a\x4d\x03\x71\x8a\x52\x8b\x8b\x53\x53\x94\x6a\x01\x00";
    struct client client;
    struct td_buf head = TD_BUF_INIT(4096);

    client_open(stage, &client,
                client_request(stage, "GET /ws",
                               "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Extensions: permessage-deflate\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                               TD_S("")));
    bool done = client_until(stage, &client, "\r\n\r\n", &head);
    bool agreed = head.len > 0 && memmem(head.ptr, head.len, "permessage-deflate", 18);
    MUST(agreed || !stage->strict, "no compression");
    td_buf_done(&head);
    done = done && agreed && ws_until(stage, &client, "\"connection\"");
    for (int i = 0; i < 2 && done; i++) {
        client_send(stage, &client, td_slice(ping, 9));
        stage_pass(stage, 50);
        client_send(stage, &client, td_slice(ping + 9, sizeof(ping) - 10));
        done = ws_until(stage, &client, "\"pressed\"");
    }
    client_close(&client);
    return done;
}

/* Who reads nothing for a while is behind, and gets all of it later. */
static bool slow_reader(struct stage *stage)
{
    struct client client, other;
    unsigned first = 0;

    bool done = sse_open(stage, &client, "topic=t/slow");
    done = done && client_until(stage, &client, "\"type\":\"caught_up\"", NULL);
    done = done && client_until(stage, &client, "\n\n", NULL);
    bool up = ws_open(stage, &other, "/api/v1/events?topic=t/slow");
    if (done && up) {
        td_sim_client_window(client.handle, 0);
        td_sim_client_window(other.handle, 100);
        first = stage->n_said + 1;
        for (unsigned i = 0; i < 3 && done; i++)
            done = publish(stage, SHAPE_ARRAY, "t/slow", 50, "");
        td_sim_client_window(client.handle, 65536);
        td_sim_client_window(other.handle, 65536);
        done = done && hear_sse(stage, &client, first, 150);
        done = done && hear_ws(stage, &other, first, 150);
    }
    client_close(&client);
    client_close(&other);
    return done && up;
}

/* ---- the log ---- */

static void trimmed(struct stage *stage)
{
    for (unsigned i = 0; i < 20; i++)
        MUST(publish(stage, SHAPE_ARRAY, "t/old", 50, ""), "not published");
    stage_pass(stage, 500);
    MUST(td_journal_horizon(stage->journal) > 0, "nothing is trimmed");
}

static bool gap(struct stage *stage)
{
    struct client client;

    bool done = sse_open(stage, &client, "topic=t/old&since=00000001.5");
    done = done && client_until(stage, &client, "\"type\":\"gap\"", NULL);
    done = done && client_until(stage, &client, "\"type\":\"caught_up\"", NULL);
    client_close(&client);
    return done;
}

/* A segment is filled and sealed, and an old one is trimmed. */
static bool roll(struct stage *stage)
{
    bool done = true;

    for (unsigned i = 0; i < 3; i++)
        done = publish(stage, SHAPE_ARRAY, "t/old", 50, "") && done;
    stage_pass(stage, 100);
    return done;
}

static bool restart(struct stage *stage)
{
    bool armed = stage->armed;

    stage->armed = false;
    stage_down(stage);
    stage->armed = armed;
    int r = stage_boot(stage);
    MUST(r == 0 || !stage->strict, "no start: %s", td_err_name(r));
    stage->armed = false;
    if (r < 0)
        MUST(stage_boot(stage) == 0, "no second start");
    stage->armed = armed;
    return r == 0;
}

/* ---- the rest ---- */

static bool refusals(struct stage *stage)
{
    char text[2048];
    struct client client;

    snprintf(text, sizeof(text),
             "GET /api/v1/events?topic=a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %.*s\r\n\r\n",
             (int)stage->stale.len, stage->stale.ptr);
    unsigned status = client_ask(stage, text, NULL);
    MUST(status == 401 || status == 0 || status >= 500, "an old token is answered %u", status);
    snprintf(
        text, sizeof(text),
        "GET /ws?token=%.*s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        (int)stage->stale.len, stage->stale.ptr);
    client_open(stage, &client, text);
    client_end(stage, &client);
    bool told = client.in.len > 0 && memmem(client.in.ptr, client.in.len, "Unauthorized", 12);
    MUST(told || !stage->strict, "who is not let in is not told why");
    client_close(&client);
    return told && status == 401 && get(stage, "GET /nothing", "", 404) &&
           get(stage, "PUT /api/v1/events", "", 405) &&
           get(stage, "GET /api/v1/events?topic=**/**", "", 400) &&
           get(stage, "OPTIONS /api/v1/events", "Origin: http://localhost\r\n", 204);
}

static bool metrics(struct stage *stage)
{
    struct td_buf body = TD_BUF_INIT(TD_MIB);
    unsigned status = client_ask(stage, client_request(stage, "GET /metrics", "", TD_S("")), &body);
    bool whole = body.len > 0 && memmem(body.ptr, body.len, "\ntidings_expect_failures_total ", 31);

    MUST(status == 0 || (status == 200 && whole), "the metrics are cut");
    td_buf_done(&body);
    return status == 200 && get(stage, "GET /readyz", "", 200) &&
           get(stage, "GET /healthz", "", 200);
}

/* Nothing is said for so long that heartbeats go. */
static bool heartbeats(struct stage *stage)
{
    struct client ws, sse;

    bool done = ws_open(stage, &ws, "/api/v1/events?topic=t/quiet");
    done = sse_open(stage, &sse, "topic=t/quiet") && done;
    done = done && client_until(stage, &sse, "\"type\":\"caught_up\"", NULL);
    stage_pass(stage, 32000);
    done = done && client_until(stage, &sse, "\n\nid: ", NULL);
    done = done && ws_until(stage, &ws, "\"type\":\"heartbeat\"");
    client_close(&ws);
    client_close(&sse);
    return done;
}

/* Connections of each kind are told, and let go. */
static bool drain(struct stage *stage)
{
    struct client ws, sse, poll, idle;

    bool done = ws_open(stage, &ws, "/api/v1/events?topic=t/d");
    done = sse_open(stage, &sse, "topic=t/d") && done;
    client_open(
        stage, &poll,
        client_request(stage, "GET /api/v1/events?topic=t/d&since=now&wait=5", "", TD_S("")));
    client_open(stage, &idle, "GET / HTTP/1.1\r\n");
    stage_pass(stage, 200);
    stage->draining = true;
    td_worker_stop(stage->worker);
    client_end(stage, &ws);
    client_end(stage, &sse);
    client_end(stage, &poll);
    client_end(stage, &idle);
    bool told = ws.in.len > 0 && memmem(ws.in.ptr, ws.in.len, "\"draining\"", 10);
    MUST(told || !stage->strict, "a WebSocket is not told of the drain");
    client_close(&ws);
    client_close(&sse);
    client_close(&poll);
    client_close(&idle);
    for (unsigned i = 0; stage->worker && i < 1000; i++)
        stage_turn(stage);
    MUST(!stage->worker, "the drain does not end");
    stage_restart(stage);
    return done && told;
}

const struct scene scenes[] = {
    {"publish_one",    NULL,     publish_one,    .alone = true},
    {"publish_array",                NULL,          publish_array    },
    {"publish_lines",                NULL,          publish_lines},
    {"publish_chunked",                NULL,        publish_chunked  },
    {"publish_pipelined",                NULL,      publish_pipelined},
    {"websocket",                NULL,              websocket          },
    {"websocket_flat",                NULL,         websocket_flat},
    {"endpoint",                NULL,               endpoint                },
    {"event_stream",                NULL,           event_stream},
    {"long_poll",                NULL,              long_poll                   },
    {"pages",                many,                  pages},
    {"resume",                many,                 resume                  },
    {"state",                kept,                  state},
    {"history",                many,                history                },
    {"renew",                NULL,                  renew},
    {"compressed",                NULL,             compressed           },
    {"slow_reader",                NULL,            slow_reader},
    {"gap",                trimmed,                    gap                },
    {"roll",                trimmed,                   roll,.keeping = true},
    {"restart", trimmed,         restart                    },
    {"refusals",         NULL,         refusals},
    {"metrics",        NULL,        metrics                    },
    {"heartbeats",         NULL,          heartbeats,.alone = true},
    {"drain",      NULL,drain             },
};
const size_t n_scenes = TD_ARRAY_LEN(scenes);
