/* SPDX-License-Identifier: Apache-2.0 */
/* The whole server on the simulated machine, one worker, for scenes that are played once with each call failing; and the
 * clients of those scenes. */
#pragma once

#include "api/api.h"
#include "auth/cache.h"
#include "base/rng.h"
#include "edge/worker.h"
#include "os/sim/sim.h"

#define STAGE_EVENTS_MAX 2048

/* What became of an event. */
enum fate {
    FATE_NONE,
    FATE_UNKNOWN, /* sent, and not answered: it may be in the log */
    FATE_REFUSED, /* must not be */
    FATE_ACKED,   /* must be, once */
};

struct said {
    enum fate fate;
    unsigned batch; /* events of one are in the log together or not at all */
};

struct stage {
    struct td_journal_options log;
    struct td_edge_options edge;
    struct td_endpoints endpoints; /* of `edge` */
    struct td_quota *quota;
    struct td_issuer issuer;
    struct td_auth auth;
    struct td_api api;
    struct td_journal *journal;
    struct td_worker *worker;
    struct td_buf token, stale; /* of an admin; one that has expired */
    struct td_rng rng;
    bool armed;    /* the server's code runs with a call that fails */
    bool keeping;  /* the keeper has its turns too */
    bool strict;   /* nothing fails: whatever is asked must be done */
    bool draining; /* the worker has been stopped */
    const char
        *members; /* more members of the events that are said, each with its comma; NULL: none */
    struct said said[STAGE_EVENTS_MAX];
    unsigned n_said, n_batches; /* numbers begin at 1 */
};

void stage_begin(struct stage *stage);
/* Frees everything, and fails when something is left. */
void stage_end(struct stage *stage);
/* Opens the log and makes the worker; 0, or the error. */
int stage_boot(struct stage *stage);
/* Closes all, and boots again without failures. */
void stage_restart(struct stage *stage);
/* Ends the worker and the log in order. */
void stage_down(struct stage *stage);
/* Time passes, and each of the server's threads has a turn. */
void stage_turn(struct stage *stage);
void stage_pass(struct stage *stage, unsigned ms);
/* Reads the whole log by HTTP and holds it against what was said. */
void stage_audit(struct stage *stage);

/* Says what is wrong, and where, and ends the process. */
TD_NORETURN void stage_fail(const char *format, ...) TD_PRINTF(1, 2);
#define MUST(cond, ...)              \
    do {                             \
        if (!(cond))                 \
            stage_fail(__VA_ARGS__); \
    } while (0)

/* ---- clients ---- */

struct client {
    int handle;  /* 0: closed */
    bool ended;  /* by the server */
    td_ns heard; /* when anything came last */
    struct td_buf in;
};

/* Connects and sends; `text` may be empty. */
void client_open(struct stage *stage, struct client *client, const char *text);
void client_send(struct stage *stage, struct client *client, struct td_slice bytes);
void client_close(struct client *client);
/* Turns until the text has come, and takes everything up to its end out of what has come (`ret_before` gets it, may be NULL).
 * False when the connection has ended without it; neither is a failure. */
bool client_until(struct stage *stage, struct client *client, const char *text,
                  struct td_buf *ret_before);
/* Turns until there is no byte to come: the server has ended it. */
void client_end(struct stage *stage, struct client *client);

/* A whole answer. */
struct answer {
    unsigned status; /* 0: the connection has ended without one */
    struct td_buf body;
};
void client_answer(struct stage *stage, struct client *client, struct answer *ret_answer);
/* One request on a connection of its own; its status. */
unsigned client_ask(struct stage *stage, const char *request, struct td_buf *ret_body);
/* "METHOD path …" with Host, the token and these lines; what follows is the body, with its length. */
const char *client_request(struct stage *stage, const char *line, const char *headers,
                           struct td_slice body);

/* Begins an event stream; false when it is refused. */
bool sse_open(struct stage *stage, struct client *client, const char *query);
/* Upgrades `path`; false when that is refused. */
bool ws_open(struct stage *stage, struct client *client, const char *path);
void ws_send(struct stage *stage, struct client *client, const char *text);
/* Turns until a message with that text has come; false when the connection has ended, or a close frame has come. */
bool ws_until(struct stage *stage, struct client *client, const char *text);
/* The next message; false likewise.  It is good until the next call. */
bool ws_next(struct stage *stage, struct client *client, struct td_slice *ret_text);

/* ---- events ---- */

/* Appends `n` new events for a topic as an array, lines, or (n = 1, neither) one, and notes them as sent; the number of the
 * first. */
enum shape {
    SHAPE_ONE,
    SHAPE_ARRAY,
    SHAPE_LINES,
};
unsigned say(struct stage *stage, struct td_buf *out, enum shape shape, const char *topic,
             unsigned n);
/* What was answered for those. */
void settle(struct stage *stage, unsigned first, unsigned n, unsigned status, struct td_slice body);
/* The number of the event that a text holds; 0: none. */
unsigned number_of(struct td_slice text);
