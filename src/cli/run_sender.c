/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_sender.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/units.h"
#include "cli/client.h"
#include "os/clock.h"
#include <errno.h>

#define BATCH_EVENTS_MAX 500
#define BATCH_BYTES_MAX  (256 * TD_KIB)
#define BACKOFF_FIRST_MS UINT64_C(200)
#define BACKOFF_MAX_MS   UINT64_C(5000)

struct td_run_sender {
    struct td_client *client;
    struct td_run_spool *spool;
    struct td_buf event; /* what is written next, or, while `held`, what has no room yet */
    struct td_buf batch; /* the request under way or to repeat; empty: none */
    struct td_backoff backoff;
    td_ns retry_ns; /* not before */
    bool held;
    bool lost;
    bool away; /* the server was said to be away */
    bool disk_told;
    bool quiet;
};

int td_run_sender_new(const struct td_run_sender_config *config, struct td_run_sender **ret_sender)
{
    struct td_run_sender *sender = calloc(1, sizeof(*sender));

    if (!sender)
        return -ENOMEM;
    td_buf_init(&sender->event, config->event_bytes_max);
    td_buf_init(&sender->batch, BATCH_BYTES_MAX + config->event_bytes_max);
    sender->backoff = (struct td_backoff){.first_ms = BACKOFF_FIRST_MS, .max_ms = BACKOFF_MAX_MS};
    sender->quiet = config->quiet;
    int r = td_client_new(config->server_url, config->token, config->ca, &sender->client);
    if (r == 0)
        r = td_run_spool_new(&config->spool, &sender->spool);
    if (r < 0) {
        td_run_sender_free(sender);
        return r;
    }
    *ret_sender = sender;
    return 0;
}

void td_run_sender_free(struct td_run_sender *sender)
{
    if (!sender)
        return;
    td_client_free(sender->client);
    td_run_spool_free(sender->spool);
    td_buf_done(&sender->event);
    td_buf_done(&sender->batch);
    free(sender);
}

bool td_run_sender_ready(const struct td_run_sender *sender)
{
    return !sender->held;
}

struct td_buf *td_run_sender_event(struct td_run_sender *sender)
{
    TD_ASSERT(!sender->held);
    td_buf_reset(&sender->event);
    return &sender->event;
}

bool td_run_sender_idle(const struct td_run_sender *sender)
{
    return !sender->held && sender->batch.len == 0 && td_run_spool_bytes(sender->spool) == 0;
}

bool td_run_sender_lost(const struct td_run_sender *sender)
{
    return sender->lost;
}

void td_run_sender_give_up(struct td_run_sender *sender, const char *why)
{
    if (sender->lost || td_run_sender_idle(sender))
        return;
    fprintf(stderr, "tidings run: %s; the rest is not published\n", why);
    sender->lost = true;
    sender->held = false;
    td_client_cancel(sender->client);
    td_buf_reset(&sender->batch);
}

/* Puts the event into the spool, or holds it until there is room. */
void td_run_sender_put(struct td_run_sender *sender)
{
    if (sender->lost)
        return;
    TD_ASSERT(sender->event.err == 0 && sender->event.len > 0);
    int r = td_run_spool_put(sender->spool, td_buf_slice(&sender->event));
    sender->held = r < 0;
    if (r < 0 && !sender->disk_told) {
        sender->disk_told = true;
        fprintf(stderr, "tidings run: %s: the command waits until the server has taken some\n",
                r == TD_EFULL ? "the buffer is full" : td_err_name(r));
    }
}

/* --- sending --- */

/* Makes the next batch of what waits.  Whether there is one to send. */
static bool gather(struct td_run_sender *sender)
{
    struct td_run_batch batch;

    if (sender->batch.len > 0)
        return true;
    int r = td_run_spool_peek(sender->spool, BATCH_EVENTS_MAX, BATCH_BYTES_MAX, &batch);
    if (r > 0) {
        r = td_buf_put(&sender->batch, batch.ndjson);
        td_run_spool_drop(sender->spool, batch.ndjson.len);
    }
    if (r < 0)
        td_run_sender_give_up(sender, td_err_name(r));
    return sender->batch.len > 0;
}

static void on_answer(struct td_run_sender *sender, const struct td_client_answer *answer)
{
    switch (answer->verdict) {
    case TD_CLIENT_DONE:
        td_buf_reset(&sender->batch);
        td_backoff_reset(&sender->backoff);
        if (sender->away && !sender->quiet)
            fprintf(stderr, "tidings run: the server is back\n");
        sender->away = false;
        return;
    case TD_CLIENT_REFUSED: td_run_sender_give_up(sender, answer->message); return;
    case TD_CLIENT_RETRY:
        if (!sender->away && !sender->quiet)
            fprintf(stderr, "tidings run: %s; output is kept and will be published later\n",
                    answer->message);
        sender->away = true;
        uint64_t wait_ms = td_backoff_next_ms(&sender->backoff, answer->retry_after_ms);
        sender->retry_ns = td_clock_ns() + wait_ms * TD_NS_PER_MS;
    }
}

/* Begins what can begin. */
static void step(struct td_run_sender *sender)
{
    struct td_client_answer answer;

    if (td_client_answered(sender->client, &answer))
        on_answer(sender, &answer);
    if (sender->lost || td_client_busy(sender->client) || td_clock_ns() < sender->retry_ns)
        return;
    if (gather(sender)) {
        int r = td_client_post(sender->client, td_buf_slice(&sender->batch), false);
        if (r < 0)
            td_run_sender_give_up(sender, td_err_name(r));
    }
    if (sender->held)
        td_run_sender_put(sender);
}

void td_run_sender_wait(struct td_run_sender *sender, const int *fds, size_t n, uint64_t timeout_ms)
{
    td_ns now_ns = td_clock_ns();

    step(sender);
    if (!td_run_sender_idle(sender) && sender->retry_ns > now_ns)
        timeout_ms = TD_MIN(timeout_ms, (sender->retry_ns - now_ns) / TD_NS_PER_MS + 1);
    td_client_wait(sender->client, fds, n, timeout_ms);
    step(sender);
}
