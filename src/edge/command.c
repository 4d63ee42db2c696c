/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/command.h"
#include "base/err.h"
#include "base/json.h"
#include "base/topic.h"
#include "edge/admission.h"
#include "edge/ask.h"
#include "edge/authorize.h"
#include "edge/command_auth.h"
#include "edge/command_jobs.h"
#include "edge/command_topics.h"
#include "edge/control.h"
#include "edge/opened.h"
#include "edge/presence.h"
#include "edge/publish_ask.h"
#include "edge/recheck.h"
#include "edge/subscribe.h"
#include "edge/ws.h"

#define REF_MAX 256 /* bytes of `ref`, raw */

struct command {
    struct td_slice json;
    struct td_slice type; /* unescaped */
    struct td_slice ref;  /* raw, or empty */
    char type_text[64];
};

static bool within_rate(struct td_worker *worker, struct td_conn *conn)
{
    if (td_bucket_take(&conn->commands, td_conn_limits(worker, conn)->commands_per_s,
                       worker->tick)) {
        conn->refused_row = 0;
        return true;
    }
    TD_COUNT(worker, limited[TD_LIMITED_COMMANDS]);
    if (conn->refused_row < UINT8_MAX)
        conn->refused_row++;
    return false;
}

static void pong(struct td_worker *worker, struct td_conn *conn, struct td_slice ref)
{
    struct td_control control;

    td_control_begin(&control, "pong", ref);
    td_control_now(&control);
    td_control_send(&control, worker, conn);
}

static void put_list(struct td_buf *out, const struct td_slice *items, size_t n)
{
    td_buf_putc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            td_buf_putc(out, ',');
        td_json_put_string(out, items[i]);
    }
    td_buf_putc(out, ']');
}

static void answer_topics(struct td_worker *worker, struct td_conn *conn, const char *type,
                          struct td_slice ref, const struct td_slice *items, size_t n)
{
    struct td_control control;
    struct td_buf list = TD_BUF_INIT(TD_COMMAND_TOPICS_MAX * 300);

    put_list(&list, items, n);
    td_control_begin(&control, type, ref);
    td_control_raw(&control, "topics", td_buf_slice(&list));
    if (list.err < 0)
        control.json.err = list.err; /* half a list is not told; the connection ends */
    td_control_position(&control, "position",
                        td_here(worker, td_hub_position(worker->hub, &conn->subscriber)));
    td_control_send(&control, worker, conn);
    td_buf_done(&list);
}

/* Where a SUBSCRIBE goes on from, and whether the state is wanted. */
struct start {
    enum td_since since;
    struct td_position position;
    bool given, state;
};

static int read_start(struct td_conn *conn, struct td_command_topics *topics,
                      struct td_slice command, struct start *start, const char **what)
{
    bool first = td_hub_count_named(&conn->subscriber) == 0;
    const struct td_start *url = first && !conn->started ? conn->start : NULL;
    struct td_slice raw, text;

    *start = (struct start){.since = TD_SINCE_NOW};
    if (url)
        start->state = url->state;
    *what = "`state` must be true or false.";
    if (td_json_get(command, "state", &raw) && td_json_type(raw) != TD_JSON_NULL) {
        if (td_json_type(raw) != TD_JSON_TRUE && td_json_type(raw) != TD_JSON_FALSE)
            return TD_EINVAL;
        start->state = td_json_type(raw) == TD_JSON_TRUE;
    }
    if (td_json_get(command, "since", &raw) && td_json_type(raw) != TD_JSON_NULL) {
        int r = td_command_text(topics, raw, &text);
        *what = "`since` is not a position.";
        if (r == 0)
            r = td_since_parse(text, &start->since, &start->position);
        if (r < 0)
            return TD_EPOSITION;
        start->given = true;
    } else if (url && url->since != TD_SINCE_NONE) {
        start->since = (enum td_since)url->since;
        start->position = url->position;
        start->given = true;
    }
    return 0;
}

/* Subscribes to what may be had, telling of what may not; keeps the former in `topics`. */
static void subscribe_each(struct td_worker *worker, struct td_conn *conn, struct td_slice ref,
                           struct td_command_topics *topics, struct td_permits *permits)
{
    char what[TD_TOPIC_LEN_MAX + 64];
    size_t done = 0;

    for (size_t i = 0; i < topics->n && conn->state == TD_CONN_WS; i++) {
        int r = td_subscribe(worker, conn, topics->items[i]);
        if (r == 0) {
            topics->items[done++] = topics->items[i];
            continue;
        }
        td_opened_close(conn, topics->items[i]);
        const struct td_permit *permit = td_permits_find(permits, topics->items[i]);
        if (r == TD_EFORBIDDEN && permit && permit->err != TD_EFORBIDDEN)
            r = TD_EUNAVAILABLE;
        snprintf(what, sizeof(what), "%.*s: %s", (int)topics->items[i].len, topics->items[i].ptr,
                 r == TD_EFORBIDDEN     ? "nothing of it is granted to you."
                 : r == TD_ETOOLARGE    ? "too many subscriptions on this connection."
                 : r == TD_ESHAPES      ? "patterns like it have too many shapes."
                 : r == TD_EUNAVAILABLE ? "the authorizer gives no answer; try again."
                                        : "no memory.");
        td_control_error(worker, conn, ref, r, td_slice_str(what));
    }
    topics->n = done;
}

/* A connection has one position.  What is asked for of an older one comes beside the stream. */
static int send_history(struct td_worker *worker, struct td_conn *conn, struct td_slice ref,
                        const struct td_command_topics *topics, const struct start *start)
{
    bool other_epoch;
    uint64_t seq = td_since_seq(worker, start->since, start->position, &other_epoch);

    if (other_epoch)
        td_tell_other_epoch(worker, conn, start->position,
                            &(struct td_gap){.to = seq, .history = true, .ref = ref});
    if (conn->state != TD_CONN_WS)
        return 0;
    const struct td_hub_history history = {
        .named = topics->items,
        .n_named = topics->n,
        .since = seq,
        .told = td_since_told(worker, conn, start->since, other_epoch),
        .ref = ref,
    };
    return td_hub_send_history(worker->hub, &conn->subscriber, &history);
}

static void subscribe_from(struct td_worker *worker, struct td_conn *conn,
                           const struct command *command, struct td_command_topics *topics,
                           const struct start *start, struct td_permits *permits)
{
    bool first = td_hub_count_named(&conn->subscriber) == 0;
    bool history = !first && start->given && start->since != TD_SINCE_NOW, other_epoch;
    int r = 0;

    subscribe_each(worker, conn, command->ref, topics, permits);
    if (topics->n == 0 || conn->state != TD_CONN_WS)
        return;
    bool seek = first && start->given;
    if (seek) { /* so that the answer tells the position that it goes on from */
        uint64_t seq = td_since_seq(worker, start->since, start->position, &other_epoch);
        td_hub_seek(worker->hub, &conn->subscriber, seq,
                    td_since_told(worker, conn, start->since, other_epoch));
    }
    answer_topics(worker, conn, "subscribed", command->ref, topics->items, topics->n);
    td_presence_sync(worker, conn);
    if (conn->state != TD_CONN_WS)
        return;
    if (!conn->started)
        td_start_free(conn); /* it was for the first, whether that used it or had its own */
    conn->started = true;
    if (!history && (start->state || start->given)) /* after a history it ends that */
        r = td_owe_caught_up(conn, command->ref);
    if (r == 0 && seek)
        td_seek(worker, conn, start->since, start->position);
    if (r == 0 && start->state && conn->state == TD_CONN_WS)
        r = td_hub_send_state(worker->hub, &conn->subscriber, topics->items, topics->n);
    if (r == 0 && history && conn->state == TD_CONN_WS)
        r = send_history(worker, conn, command->ref, topics, start);
    if (r < 0)
        td_conn_drop(worker, conn, "no memory");
    else if (conn->owed && !td_hub_owe_caught_up(&conn->subscriber))
        td_tell_caught_up(worker, conn);
}

static int read_command(struct td_slice text, struct command *command);
static void permitted(struct td_worker *worker, struct td_conn *conn, struct td_edge_ask *ask);

/* Asks the authorizer for what is not granted, unless `permits` has its answer already.  0: there is nothing (more) to ask; 1: it was asked, and the command is
 * carried out when the answer is there; or an error. */
static int authorize(struct td_worker *worker, struct td_conn *conn, const struct command *command,
                     const struct td_command_topics *topics, const struct td_permits *permits,
                     const char **what)
{
    *what = "no memory";
    if (permits)
        return td_authorized_take(worker, conn, permits);
    int r = td_authorize_command(worker, conn, (struct td_slices){topics->items, topics->n},
                                 command->json, permitted);
    if (r == TD_ERATE)
        *what = "Too many commands wait for an answer; this one was not carried out.";
    return r;
}

/* `permits`: what the authorizer said, when the command has waited for that; or NULL. */
static void subscribe(struct td_worker *worker, struct td_conn *conn, const struct command *command,
                      struct td_permits *permits)
{
    struct td_command_topics topics;
    struct start start;
    const char *what = "SUBSCRIBE needs `topics` (patterns) or a `scope`.";
    int r = td_command_topics_read(&topics, command->json);

    if (r == TD_ETOPIC)
        what = "One of the topics is not a pattern.";
    if (r == 0)
        r = read_start(conn, &topics, command->json, &start, &what);
    if (r == 0)
        r = authorize(worker, conn, command, &topics, permits, &what);
    if (r == 0)
        subscribe_from(worker, conn, command, &topics, &start, permits);
    else if (r < 0)
        td_control_error(worker, conn, command->ref, r, td_slice_str(what));
    td_command_topics_done(&topics);
}

/* The answer is there: the command again, from its beginning. */
static void permitted(struct td_worker *worker, struct td_conn *conn, struct td_edge_ask *ask)
{
    struct command command;

    if (conn->state == TD_CONN_WS && read_command(ask->ask.document, &command) == 0)
        subscribe(worker, conn, &command, ask->ask.permits);
}

static void unsubscribe(struct td_worker *worker, struct td_conn *conn,
                        const struct command *command)
{
    struct td_command_topics topics;
    size_t done = 0;
    int r = td_command_topics_read(&topics, command->json);

    if (r < 0) {
        td_control_error(worker, conn, command->ref, r,
                         TD_S("UNSUBSCRIBE needs `topics` (patterns) or a `scope`."));
    } else {
        for (size_t i = 0; i < topics.n; i++) {
            td_opened_close(conn, topics.items[i]);
            if (td_hub_unsubscribe(worker->hub, &conn->subscriber, topics.items[i]))
                topics.items[done++] = topics.items[i];
        }
        answer_topics(worker, conn, "unsubscribed", command->ref, topics.items, done);
        td_presence_sync(worker, conn);
    }
    td_command_topics_done(&topics);
}

static void answer_published(struct td_worker *worker, struct td_conn *conn, struct td_slice ref,
                             const struct td_publish *publish)
{
    struct td_control control;

    td_control_begin(&control, "published", ref);
    td_buf_putc(&control.json, ',');
    td_publish_put_answer(publish, worker, &control.json);
    if (publish->last <= td_journal_readable(worker->journal) && (!conn->out || conn->out->n == 0))
        td_control_send(&control, worker, conn);
    else
        td_control_send_when(&control, worker, conn, publish->last);
}

/* The desk has appended it, or not. */
static void publish_asked(struct td_worker *worker, struct td_conn *conn, struct td_edge_ask *ask)
{
    if (conn->state != TD_CONN_WS)
        return;
    if (ask->ask.err < 0)
        td_control_error(worker, conn, ask->ref, ask->ask.err, td_ask_why(&ask->ask));
    else
        answer_published(worker, conn, ask->ref, td_publish_answered(worker, &ask->ask));
}

static void ask_desk(struct td_worker *worker, struct td_conn *conn, const struct command *command,
                     struct td_slice event, const struct td_publish_options *options)
{
    int r = td_conn_ask(worker, conn, td_publish_ask(worker, conn, event, false, options),
                        command->ref, publish_asked);

    if (r < 0)
        td_control_error(worker, conn, command->ref, r == TD_ERATE ? r : TD_EUNAVAILABLE,
                         r == TD_ERATE ? TD_S("Too many publishes are under way.")
                                       : td_slice_str(td_err_hint(TD_EUNAVAILABLE)));
}

/* `{"type":"publish","event":{…}}`; `event` may be an array. */
static void publish(struct td_worker *worker, struct td_conn *conn, const struct command *command)
{
    struct td_publish publish;
    struct td_buf why = TD_BUF_INIT(1024);
    struct td_slice event;
    char origin[20];

    if (!td_json_get(command->json, "event", &event)) {
        td_control_error(worker, conn, command->ref, TD_EINVAL,
                         TD_S("publish needs `event`: {topic, type, data}."));
        return;
    }
    if (worker->draining) {
        td_control_error(worker, conn, command->ref, TD_EDRAINING, TD_S("The server is stopping."));
        return;
    }
    if (!td_admission_publish(worker, conn)) {
        td_control_error(worker, conn, command->ref, TD_ERATE,
                         TD_S("Too many publishes; this one was not carried out."));
        return;
    }
    origin[0] = '"';
    td_conn_id(conn, origin + 1);
    origin[17] = '"';
    const struct td_publish_options options = {
        .principal = conn->principal,
        .origin = td_slice(origin, 18),
    };
    int r = td_publish_run(&publish, worker, event, false, &options, &why);
    if (r < 0)
        td_control_error(worker, conn, command->ref, r, td_buf_slice(&why));
    else if (r == TD_PUBLISH_ASK)
        ask_desk(worker, conn, command, event, &options);
    else
        answer_published(worker, conn, command->ref, &publish);
    td_publish_done(&publish);
    td_buf_done(&why);
}

/* Bare words are accepted for pings: some clients' keepalives are text. */
static bool bare_word(struct td_worker *worker, struct td_conn *conn, struct td_slice text)
{
    if (td_slice_eq_nocase(text, TD_S("pong")))
        return true;
    if (!td_slice_eq_nocase(text, TD_S("ping")))
        return false;
    td_ws_send(worker, conn, TD_WS_TEXT, TD_S("pong"));
    return true;
}

static int read_command(struct td_slice text, struct command *command)
{
    struct td_slice raw;
    struct td_buf type = TD_BUF_INIT(sizeof(command->type_text));

    *command = (struct command){0};
    int r = td_json_check(text, &command->json, NULL);
    if (r < 0)
        return r;
    if (td_json_type(command->json) != TD_JSON_OBJECT)
        return TD_EINVAL;
    if (td_json_get(command->json, "ref", &raw) && raw.len <= REF_MAX &&
        (td_json_type(raw) == TD_JSON_STRING || td_json_type(raw) == TD_JSON_NUMBER))
        command->ref = raw;
    if (!td_json_get(command->json, "type", &raw) || td_json_type(raw) != TD_JSON_STRING)
        return TD_EINVAL;
    r = td_json_unescape(raw, &type);
    if (r == 0 && type.len > 0) {
        memcpy(command->type_text, type.ptr, type.len);
        command->type = td_slice(command->type_text, type.len);
    }
    td_buf_done(&type);
    return r < 0 ? TD_EINVAL : 0;
}

bool td_command_admit(struct td_worker *worker, struct td_conn *conn)
{
    TD_COUNT(worker, commands);
    if (within_rate(worker, conn))
        return true;
    /* A burst is told; who goes on all the same is abusing the limit. */
    if (conn->refused_row > 2 * td_conn_limits(worker, conn)->commands_per_s ||
        conn->refused_row == UINT8_MAX)
        td_ws_close(worker, conn, 4029, "rate_limited: too many commands");
    else
        td_control_error(worker, conn, (struct td_slice){NULL, 0}, TD_ERATE,
                         TD_S("Too many commands; this one was not carried out."));
    return false;
}

void td_command_take(struct td_worker *worker, struct td_conn *conn, struct td_slice text)
{
    struct command command;

    if (bare_word(worker, conn, text))
        return;
    int r = read_command(text, &command);
    if (r < 0) {
        td_control_error(worker, conn, command.ref, r,
                         TD_S("A command is a JSON object with a `type`."));
        return;
    }
    td_recheck_policy(worker, conn); /* a command after a reload meets what that brought */
    if (conn->state != TD_CONN_WS)
        return;
    bool is_ping = td_slice_eq_nocase(command.type, TD_S("ping"));
    bool is_pong = td_slice_eq_nocase(command.type, TD_S("pong"));
    if (!is_ping && !is_pong)
        conn->active = worker->tick; /* heartbeats alone do not keep a connection */
    if (td_slice_eq_nocase(command.type, TD_S("subscribe")))
        subscribe(worker, conn, &command, NULL);
    else if (td_slice_eq_nocase(command.type, TD_S("unsubscribe")))
        unsubscribe(worker, conn, &command);
    else if (is_ping)
        pong(worker, conn, command.ref);
    else if (td_slice_eq_nocase(command.type, TD_S("publish")))
        publish(worker, conn, &command);
    else if (td_slice_eq_nocase(command.type, TD_S("start")))
        td_command_start(worker, conn, command.json, command.ref);
    else if (td_slice_eq_nocase(command.type, TD_S("cancel")))
        td_command_cancel_job(worker, conn, command.json, command.ref);
    else if (td_slice_eq_nocase(command.type, TD_S("auth")))
        td_command_auth(worker, conn, command.json, command.ref);
    else if (!is_pong)
        td_control_error(worker, conn, command.ref, TD_EINVAL,
                         TD_S("Unknown command: SUBSCRIBE, UNSUBSCRIBE, ping, publish, start, "
                              "cancel and auth are known."));
}
