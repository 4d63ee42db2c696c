/* SPDX-License-Identifier: Apache-2.0 */
/* The clients of the scenes. */
#include "../sim/client_http.h"
#include "../sim/client_json.h"
#include "../sim/client_ws.h"
#include "base/assert.h"
#include "base/err.h"
#include "calls.h"
#include "os/clock.h"
#include "stage.h"
#include <errno.h>
#include <stdlib.h>

/* Whoever hears nothing and is not let go for so long is forgotten.  Less than any time-out of the server that would
 * end it after all. */
#define PATIENCE_NS (8 * TD_NS_PER_S)
#define IN_MAX      TD_MIB

void client_open(struct stage *stage, struct client *client, const char *text)
{
    *client = (struct client){0};
    td_buf_init(&client->in, IN_MAX);
    client->handle = td_sim_connect("127.0.0.1:8000");
    if (client->handle < 0) {
        MUST(client->handle == -ECONNREFUSED && !stage->strict, "nobody listens");
        client->handle = 0;
        client->ended = true;
        return;
    }
    client_send(stage, client, td_slice_str(text));
}

static bool patient(const struct client *client)
{
    return td_clock_ns() - client->heard < PATIENCE_NS;
}

static void receive(struct client *client)
{
    char bytes[4096];

    while (!client->ended) {
        int64_t n = td_sim_client_recv(client->handle, bytes, sizeof(bytes));
        if (n == -EAGAIN)
            return;
        if (n <= 0)
            client->ended = true;
        else
            MUST(td_buf_put(&client->in, td_slice(bytes, (size_t)n)) == 0, "too much has come");
        client->heard = td_clock_ns();
    }
}

void client_send(struct stage *stage, struct client *client, struct td_slice bytes)
{
    client->heard = td_clock_ns();

    while (bytes.len > 0 && !client->ended) {
        int64_t n = td_sim_client_send(client->handle, bytes.ptr, bytes.len);
        if (n == -EAGAIN) {
            MUST(patient(client), "the server does not read");
            stage_turn(stage);
            receive(client);
        } else if (n < 0) {
            receive(client); /* what it said before it went */
            client->ended = true;
        } else {
            bytes = td_slice_from(bytes, (size_t)n);
        }
    }
}

void client_close(struct client *client)
{
    if (client->handle > 0)
        td_sim_client_close(client->handle);
    td_buf_done(&client->in);
    client->handle = 0;
    client->ended = true;
}

bool client_until(struct stage *stage, struct client *client, const char *text,
                  struct td_buf *ret_before)
{
    size_t len = strlen(text);

    client->heard = td_clock_ns();

    for (;;) {
        const char *at = client->in.len ? memmem(client->in.ptr, client->in.len, text, len) : NULL;
        if (at) {
            size_t n = (size_t)(at - client->in.ptr) + len;
            if (ret_before)
                td_buf_put(ret_before, td_slice(client->in.ptr, n));
            td_buf_consume(&client->in, n);
            return true;
        }
        if (client->ended)
            return false;
        MUST(patient(client), "forgotten: %s does not come; there is: %.*s", text,
             (int)client->in.len, client->in.ptr);
        stage_turn(stage);
        receive(client);
    }
}

void client_end(struct stage *stage, struct client *client)
{
    client->heard = td_clock_ns();

    while (!client->ended) {
        MUST(patient(client), "the connection is not ended");
        stage_turn(stage);
        receive(client);
    }
}

/* ---- HTTP ---- */

void client_answer(struct stage *stage, struct client *client, struct answer *ret_answer)
{
    struct client_answer head;
    struct td_buf text = TD_BUF_INIT(IN_MAX);
    const char *why = "";

    *ret_answer = (struct answer){.body = TD_BUF_INIT(IN_MAX)};
    do {
        td_buf_reset(&text);
        if (!client_until(stage, client, "\r\n\r\n", &text)) {
            MUST(client->in.len == 0 || calls_failed(), "half an answer: %.*s", (int)client->in.len,
                 client->in.ptr);
            td_buf_done(&text);
            return;
        }
        MUST(client_http_head(td_buf_slice(&text), &head, &why) == 1, "not an answer: %s", why);
    } while (head.status == 100);
    bool json = td_slice_starts(head.type, TD_S("application/"));
    client->heard = td_clock_ns();
    while (head.has_length && client->in.len < head.length && !client->ended) {
        MUST(patient(client), "the rest of an answer does not come");
        stage_turn(stage);
        receive(client);
    }
    td_buf_done(&text);
    if (head.has_length && client->in.len < head.length)
        return; /* cut: as if there were none */
    ret_answer->status = head.status;
    td_buf_put(&ret_answer->body, td_slice(client->in.ptr, (size_t)head.length));
    MUST(!json || client_json_valid(td_buf_slice(&ret_answer->body)), "not JSON: %.*s",
         (int)ret_answer->body.len, ret_answer->body.ptr);
    td_buf_consume(&client->in, (size_t)head.length);
}

unsigned client_ask(struct stage *stage, const char *request, struct td_buf *ret_body)
{
    struct client client;
    struct answer answer;

    client_open(stage, &client, request);
    client_answer(stage, &client, &answer);
    if (ret_body)
        td_buf_put(ret_body, td_buf_slice(&answer.body));
    td_buf_done(&answer.body);
    client_close(&client);
    return answer.status;
}

const char *client_request(struct stage *stage, const char *line, const char *headers,
                           struct td_slice body)
{
    static char text[20000];
    char length[64] = "";

    if (body.len > 0)
        snprintf(length, sizeof(length), "Content-Length: %zu\r\n", body.len);
    int n = snprintf(text, sizeof(text),
                     "%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %.*s\r\n%s%s\r\n%.*s", line,
                     (int)stage->token.len, stage->token.ptr, headers, length, (int)body.len,
                     body.len ? body.ptr : "");
    MUST(n > 0 && (size_t)n < sizeof(text), "a request that is too long");
    return text;
}

bool sse_open(struct stage *stage, struct client *client, const char *query)
{
    char line[256];
    struct td_buf head = TD_BUF_INIT(IN_MAX);

    snprintf(line, sizeof(line), "GET /api/v1/events?%s", query);
    client_open(stage, client,
                client_request(stage, line, "Accept: text/event-stream\r\n", TD_S("")));
    bool up = client_until(stage, client, "\r\n\r\n", &head) &&
              td_slice_starts(td_buf_slice(&head), TD_S("HTTP/1.1 200 "));
    MUST(up || !stage->strict, "the stream is refused: %.*s", (int)head.len, head.ptr);
    td_buf_done(&head);
    return up;
}

/* ---- WebSocket ---- */

bool ws_open(struct stage *stage, struct client *client, const char *path)
{
    char line[256];
    struct td_buf head = TD_BUF_INIT(IN_MAX);

    snprintf(line, sizeof(line), "GET %s", path);
    client_open(stage, client,
                client_request(stage, line,
                               "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Version: 13\r\n"
                               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                               TD_S("")));
    bool up = client_until(stage, client, "\r\n\r\n", &head) &&
              td_slice_starts(td_buf_slice(&head), TD_S("HTTP/1.1 101 "));
    MUST(up || !stage->strict, "the upgrade is refused: %.*s", (int)head.len, head.ptr);
    td_buf_done(&head);
    return up && ws_until(stage, client, "\"type\":\"connection\"");
}

void ws_send(struct stage *stage, struct client *client, const char *text)
{
    struct td_buf out = TD_BUF_INIT(IN_MAX);

    client_ws_put(&out, &stage->rng, 1, td_slice_str(text));
    client_send(stage, client, td_buf_slice(&out));
    td_buf_done(&out);
}

bool ws_next(struct stage *stage, struct client *client, struct td_slice *ret_text)
{
    static char text[65536];
    struct client_frame frame;
    const char *why = "";

    client->heard = td_clock_ns();

    for (;;) {
        int r = client_ws_frame(td_buf_slice(&client->in), &frame, &why);
        MUST(r >= 0, "not a frame: %s", why);
        if (r > 0 && frame.opcode == 8) {
            MUST(!stage->strict, "closed: %.*s", (int)frame.payload.len, frame.payload.ptr);
            client_end(stage, client);
            return false;
        }
        if (r > 0) {
            MUST(frame.payload.len < sizeof(text), "a message that is too long");
            if (frame.payload.len > 0)
                memcpy(text, frame.payload.ptr, frame.payload.len);
            *ret_text = td_slice(text, frame.payload.len);
            td_buf_consume(&client->in, frame.len);
            MUST(frame.opcode != 1 || client_json_valid(*ret_text) ||
                     td_slice_eq(*ret_text, TD_S("pong")),
                 "not JSON: %.*s", (int)ret_text->len, ret_text->ptr);
            if (frame.opcode == 1)
                return true;
            continue;
        }
        if (client->ended)
            return false;
        MUST(patient(client), "forgotten: no message comes");
        stage_turn(stage);
        receive(client);
    }
}

bool ws_until(struct stage *stage, struct client *client, const char *text)
{
    struct td_slice message;

    while (ws_next(stage, client, &message)) {
        if (memmem(message.ptr, message.len, text, strlen(text)))
            return true;
        if (memmem(message.ptr, message.len, "\"command_error\"", 15)) {
            MUST(!stage->strict, "refused: %.*s", (int)message.len, message.ptr);
            return false;
        }
    }
    MUST(!stage->strict, "%s does not come", text);
    return false;
}

/* ---- events ---- */

unsigned say(struct stage *stage, struct td_buf *out, enum shape shape, const char *topic,
             unsigned n)
{
    unsigned first = stage->n_said + 1;

    MUST(stage->n_said + n < STAGE_EVENTS_MAX, "too many events");
    stage->n_batches++;
    if (shape == SHAPE_ARRAY)
        td_buf_puts(out, "[");
    for (unsigned i = 0; i < n; i++) {
        unsigned number = ++stage->n_said;

        stage->said[number] = (struct said){FATE_UNKNOWN, stage->n_batches};
        if (shape == SHAPE_ARRAY && i > 0)
            td_buf_puts(out, ",");
        td_buf_putf(
            out, "{\"topic\":\"%s\",\"type\":\"t\",%s\"dedup\":\"k\\u002d%u\",\"data\":{\"n\":%u}}",
            topic, stage->members ? stage->members : "", number, number);
        if (shape == SHAPE_LINES)
            td_buf_puts(out, "\n");
    }
    if (shape == SHAPE_ARRAY)
        td_buf_puts(out, "]");
    return first;
}

void settle(struct stage *stage, unsigned first, unsigned n, unsigned status, struct td_slice body)
{
    enum fate fate = FATE_UNKNOWN;

    if (status == 201)
        fate = FATE_ACKED;
    else if (status >= 400 && !(body.len && memmem(body.ptr, body.len, "log_failed", 10)))
        fate = FATE_REFUSED;
    MUST(status == 201 || status == 0 || status >= 500, "answered %u: %.*s", status, (int)body.len,
         body.ptr);
    MUST(status == 201 || !stage->strict, "answered %u: %.*s", status, (int)body.len, body.ptr);
    for (unsigned i = 0; i < n; i++)
        stage->said[first + i].fate = fate;
}

unsigned number_of(struct td_slice text)
{
    const char *at = text.len ? memmem(text.ptr, text.len, "\"n\":", 4) : NULL;

    return at ? (unsigned)strtoul(at + 4, NULL, 10) : 0;
}
