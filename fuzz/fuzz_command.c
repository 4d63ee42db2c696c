/* SPDX-License-Identifier: Apache-2.0 */
/* What a client says on a WebSocket, a message a line, to a server on the simulated machine.  Whatever it is, what comes back is whole
 * messages of valid JSON (or the word pong), as many subscriptions as were asked for at most, and the connection goes as it came. */
#include "../tests/sim/client_json.h"
#include "../tests/torture/calls.h"
#include "../tests/torture/stage.h"
#include "base/json.h"
#include "edge/command.h"
#include "edge/command_topics.h"
#include "fuzz.h"
#include <stdarg.h>
#include <stdlib.h>

#define MESSAGES_MAX 24
#define TEXT_MAX     2048

/* ---- what the stage wants of torture, where calls fail ---- */

void calls_arm(void)
{
}

void calls_disarm(void)
{
}

const char *calls_failed(void)
{
    return NULL;
}

void stage_fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    abort();
}

/* ---- what a text means by itself ---- */

static void check_topics(struct td_slice text)
{
    struct td_command_topics topics, again;
    struct td_slice command;
    struct td_buf out = TD_BUF_INIT(TD_MIB);

    if (td_json_check(text, &command, NULL) < 0 || td_json_type(command) != TD_JSON_OBJECT)
        return;
    if (td_command_topics_read(&topics, command) == 0) {
        MUST(topics.n > 0 && topics.n <= TD_COMMAND_TOPICS_MAX, "%zu topics", topics.n);
        td_buf_puts(&out, "{\"topics\":[");
        for (size_t i = 0; i < topics.n; i++) {
            MUST(td_pattern_valid(topics.items[i]), "not a pattern");
            if (i > 0)
                td_buf_putc(&out, ',');
            td_json_put_string(&out, topics.items[i]);
        }
        td_buf_puts(&out, "]}");
        MUST(out.err == 0, "too long");
        MUST(td_command_topics_read(&again, td_buf_slice(&out)) == 0, "not read again");
        MUST(again.n == topics.n, "%zu topics become %zu", topics.n, again.n);
        for (size_t i = 0; i < topics.n; i++)
            MUST(td_slice_eq(again.items[i], topics.items[i]), "another topic");
        td_command_topics_done(&again);
    }
    td_command_topics_done(&topics);
    td_buf_done(&out);
}

/* ---- a connection ---- */

static struct td_conn *the_conn(struct stage *stage)
{
    for (uint32_t i = 0; i < TD_SLAB_CHUNK; i++) {
        struct td_conn *conn = td_worker_conn(stage->worker, i);
        if (conn && conn->state == TD_CONN_WS)
            return conn;
    }
    return NULL;
}

/* All that has been said to the client; valid, message by message. */
static void hear(struct stage *stage, struct client *client)
{
    struct td_slice text = {NULL, 0};

    stage_pass(stage, 60);
    if (!the_conn(stage))
        return; /* what was said to one that has gone need not be whole */
    ws_send(stage, client, "{\"type\":\"ping\",\"ref\":\"the last of all\"}");
    do
        MUST(ws_next(stage, client, &text), "the connection is closed");
    while (!memmem(text.ptr, text.len, "\"the last of all\"", 17));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stage stage;
    static unsigned runs;
    struct client client;
    struct td_slice rest = td_slice(size ? (const char *)data : NULL, size), line;
    size_t asked = 0;

    if (size > TEXT_MAX)
        return 0;
    if (runs++ % 256 == 0) {
        if (stage.worker)
            stage_end(&stage);
        stage_begin(&stage);
        MUST(stage_boot(&stage) == 0, "no start");
    }
    MUST(ws_open(&stage, &client, "/ws"), "no connection");
    struct td_conn *conn = the_conn(&stage);
    MUST(conn, "no connection");
    for (int i = 0; i < MESSAGES_MAX && td_slice_split(&rest, '\n', &line); i++) {
        check_topics(line);
        if (conn->state == TD_CONN_WS)
            td_command_take(stage.worker, conn, line);
        asked += TD_COMMAND_TOPICS_MAX;
        MUST(td_hub_count_named(&conn->subscriber) <= TD_MIN(asked, (size_t)16),
             "too many subscriptions");
    }
    hear(&stage, &client);
    client_close(&client);
    stage_pass(&stage, 60);
    MUST(!the_conn(&stage), "it is still there");
    MUST(stage.worker->hub, "no hub");
    return 0;
}
