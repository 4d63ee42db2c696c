/* SPDX-License-Identifier: Apache-2.0 */
/* What the upstream answers: a stream, a whole text, or an error, after which it may be asked again. */
#include "base/assert.h"
#include "base/err.h"
#include "jobs/llm_impl.h"
#include "os/clock.h"

#define WHOLE_BODY_MAX     (8 * TD_MIB)
#define BACKOFF_DOUBLINGS  4u
#define RETRY_AFTER_MAX_MS 60000

void td_llm_end_run(struct td_llm_run *run, enum td_run_outcome outcome)
{
    TD_ASSERT(run->state != TD_LLM_ENDED);
    if (run->transfer)
        td_transfer_cancel(run->transfer);
    run->transfer = NULL;
    run->state = TD_LLM_ENDED;
    run->outcome = outcome;
    run->ended = td_clock_ns();
}

void td_llm_conclude(struct td_llm_run *run, int r)
{
    const struct td_chat *chat = &run->chat;
    bool empty = chat->text.len == 0;

    if (r == 0 && chat->error.len == 0 && !(empty && (chat->refusal.len > 0 || chat->tool_calls))) {
        td_llm_end_run(run, TD_RUN_DONE);
        return;
    }
    td_llm_failure_chat(&run->failure, chat, r);
    td_llm_end_run(run, TD_RUN_FAILED);
}

/* How long to wait for the next attempt; negative: there is none. */
static int64_t delay_of(struct td_llm_run *run, const struct td_transfer *transfer)
{
    uint64_t delay_ms = run->backoff_ms << TD_MIN(run->attempt - 1, BACKOFF_DOUBLINGS);
    td_ns now = td_clock_ns();
    struct td_slice value;
    uint64_t seconds;

    if (run->attempt >= run->attempts_max)
        return -1;
    delay_ms = delay_ms * 3 / 4 + td_rng_below(&run->llms->rng, delay_ms / 2 + 1);
    if (td_transfer_header(transfer, "Retry-After", &value) && td_slice_u64(value, &seconds) == 0) {
        if (seconds > RETRY_AFTER_MAX_MS / 1000)
            return -1;
        delay_ms = TD_MAX(delay_ms, seconds * 1000);
    }
    if (run->total_ms &&
        now + delay_ms * TD_NS_PER_MS >= run->started + run->total_ms * TD_NS_PER_MS)
        return -1;
    return (int64_t)delay_ms;
}

/* Whether it is tried again; `what` happened. */
static bool try_again(struct td_llm_run *run, const struct td_transfer *transfer, const char *what)
{
    int64_t delay_ms = delay_of(run, transfer);

    if (delay_ms < 0)
        return false;
    run->due = td_clock_ns() + (td_ns)delay_ms * TD_NS_PER_MS;
    run->state = TD_LLM_WAITING;
    td_buf_reset(&run->body);
    td_buf_reset(&run->log);
    td_buf_putf(&run->log, "%s; trying again in %.1f s (%u of %u).", what, (double)delay_ms / 1000,
                run->attempt, run->attempts_max - 1);
    return true;
}

/* --- the answer --- */

static bool is_json(const struct td_transfer *transfer)
{
    struct td_slice type;

    return td_transfer_header(transfer, "Content-Type", &type) && type.len >= 16 &&
           td_slice_eq_nocase(td_slice_to(type, 16), TD_S("application/json"));
}

static enum td_llm_answer answer_of(const struct td_transfer *transfer)
{
    int status = td_transfer_status(transfer);

    if (status < 200 || status > 299)
        return TD_LLM_ERROR;
    return is_json(transfer) ? TD_LLM_WHOLE : TD_LLM_STREAM;
}

static void on_stream(struct td_llm_run *run, struct td_slice bytes)
{
    int r = td_chat_feed(&run->chat, bytes);

    if (run->chat.signs > run->signs)
        run->last_sign = td_clock_ns();
    run->signs = run->chat.signs;
    if (run->chat.text.len > 0 && !run->first_token)
        run->first_token = td_clock_ns();
    if (r == 0)
        return;
    if (r > 0 && run->chat.done) {
        td_transfer_release(run->transfer);
        run->transfer = NULL;
    }
    td_llm_conclude(run, TD_MIN(r, 0));
}

static void on_error_status(struct td_llm_run *run, const struct td_transfer *transfer, int status)
{
    struct td_slice body = td_buf_slice(&run->body);
    char what[64];

    snprintf(what, sizeof(what), "The upstream answered with status %d", status);
    if (td_llm_status_may_pass(status, body) && try_again(run, transfer, what))
        return;
    td_llm_failure_status(&run->failure, status, body);
    td_llm_end_run(run, TD_RUN_FAILED);
}

void td_llm_take_bytes(struct td_transfer *transfer, struct td_slice bytes, void *arg)
{
    struct td_llm_run *run = arg;

    if (run->answer == TD_LLM_UNKNOWN) {
        run->answer = answer_of(transfer);
        run->body.max = run->answer == TD_LLM_WHOLE ? WHOLE_BODY_MAX : TD_LLM_ERROR_BODY_MAX;
    }
    if (run->answer == TD_LLM_STREAM) {
        on_stream(run, bytes);
        return;
    }
    run->last_sign = td_clock_ns();
    size_t room = run->body.max - run->body.len;
    int r = td_buf_put(&run->body, td_slice_to(bytes, TD_MIN(bytes.len, room)));
    if (r == 0 && bytes.len <= room)
        return;
    if (run->answer == TD_LLM_ERROR)
        on_error_status(run, transfer, td_transfer_status(transfer));
    else
        td_llm_conclude(run, r < 0 ? r : TD_ETOOLARGE);
    if (run->transfer)
        td_transfer_cancel(run->transfer);
    run->transfer = NULL;
}

static void on_broken(struct td_llm_run *run, const struct td_transfer *transfer,
                      const struct td_transfer_end *end)
{
    bool unasked = end->outcome == TD_TRANSFER_UNREACHABLE ||
                   (end->outcome == TD_TRANSFER_TIMEOUT && !end->connected);

    if (unasked && try_again(run, transfer, "The upstream could not be reached"))
        return;
    if (end->outcome == TD_TRANSFER_BROKEN && end->status == 0 &&
        try_again(run, transfer, "The upstream closed the connection"))
        return;
    /* Some forget the end of the last chunk. */
    if (end->outcome == TD_TRANSFER_BROKEN && run->answer == TD_LLM_STREAM &&
        td_chat_end(&run->chat) == 0) {
        td_llm_conclude(run, 0);
        return;
    }
    td_llm_failure_transfer(&run->failure, end);
    td_llm_end_run(run, TD_RUN_FAILED);
}

void td_llm_take_end(struct td_transfer *transfer, const struct td_transfer_end *end, void *arg)
{
    struct td_llm_run *run = arg;

    TD_ASSERT(run->state == TD_LLM_ASKING && run->transfer == transfer);
    run->transfer = NULL; /* gone when this returns */
    if (end->outcome != TD_TRANSFER_DONE)
        on_broken(run, transfer, end);
    else if (end->status < 200 || end->status > 299)
        on_error_status(run, transfer, end->status);
    else if (run->answer == TD_LLM_WHOLE)
        td_llm_conclude(run, td_chat_read_whole(&run->chat, td_buf_slice(&run->body)));
    else
        td_llm_conclude(run, td_chat_end(&run->chat));
    if (run->chat.text.len > 0 && !run->first_token)
        run->first_token = run->ended;
}
