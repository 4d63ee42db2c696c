/* SPDX-License-Identifier: Apache-2.0 */
/* The runs: asked, told as they come, ended in time. */
#include "base/assert.h"
#include "base/err.h"
#include "jobs/llm_impl.h"
#include "os/clock.h"
#include "os/random.h"
#include <errno.h>

#define NEVER UINT64_MAX
/* Tokens that come faster than this are told together. */
#define GATHER_NS (30 * TD_NS_PER_MS)
/* One piece of text that is told. */
#define PIECE_MAX (16 * TD_KIB)
/* Of a stream with all that surrounds the tokens. */
#define STREAM_BYTES_MAX ((size_t)1024 * TD_MIB)
#define LOG_MAX          ((size_t)256)
/* How long usage and [DONE] are waited for behind a finish_reason. */
#define TRAILER_MS UINT64_C(5000)

int td_llms_new(struct td_upstream *upstream, struct td_llms **ret_llms)
{
    struct td_llms *llms = calloc(1, sizeof(*llms));
    uint64_t seed;

    if (!llms)
        return -ENOMEM;
    td_random_bytes(&seed, sizeof(seed));
    td_rng_init(&llms->rng, seed);
    td_list_init(&llms->runs);
    llms->upstream = upstream;
    *ret_llms = llms;
    return 0;
}

static void run_free(struct td_llm_run *run)
{
    if (run->transfer)
        td_transfer_cancel(run->transfer);
    td_list_remove(&run->node);
    td_llm_request_done(&run->request);
    td_llm_failure_done(&run->failure);
    td_chat_done(&run->chat);
    td_buf_done(&run->body);
    td_buf_done(&run->log);
    free(run);
}

void td_llms_free(struct td_llms *llms)
{
    if (!llms)
        return;
    while (!td_list_empty(&llms->runs))
        run_free(TD_CONTAINER_OF(llms->runs.next, struct td_llm_run, node));
    free(llms);
}

/* --- asking --- */

static void ask(struct td_llm_run *run)
{
    const char *headers[] = {"Content-Type: application/json", "Accept: text/event-stream",
                             run->request.authorization.ptr, NULL};
    struct td_transfer_options options = {
        .url = run->request.url.ptr,
        .post = true,
        .body = td_buf_slice(&run->request.body),
        .headers = headers,
        .connect_ms = run->connect_ms,
        .bytes_max = STREAM_BYTES_MAX,
        .bytes = td_llm_take_bytes,
        .ended = td_llm_take_end,
        .arg = run,
    };

    int r = td_upstream_start(run->llms->upstream, &options, &run->transfer);
    if (r < 0) {
        td_buf_puts(&run->failure.message, r == TD_EMANY
                                               ? "Too many requests to upstreams are under way."
                                               : "The request could not be started.");
        td_llm_failure_not_started(&run->failure);
        td_llm_end_run(run, TD_RUN_FAILED);
        return;
    }
    run->state = TD_LLM_ASKING;
    run->answer = TD_LLM_UNKNOWN;
    run->attempt++;
    run->asked = td_clock_ns();
    run->last_sign = 0;
}

int td_llm_start(struct td_llms *llms, const struct td_llm_spec *spec,
                 const struct td_run_input *input, const struct td_run_ops *ops, void *arg,
                 struct td_llm_run **ret_run)
{
    struct td_llm_run *run = calloc(1, sizeof(*run));

    if (!run)
        return -ENOMEM;
    *run = (struct td_llm_run){
        .llms = llms,
        .ops = ops,
        .arg = arg,
        .connect_ms = spec->connect_ms,
        .first_token_ms = spec->first_token_ms,
        .between_tokens_ms = spec->between_tokens_ms,
        .total_ms = spec->total_ms,
        .backoff_ms = spec->backoff_ms,
        .attempts_max = 1 + TD_MIN(spec->retries, 100u),
        .started = td_clock_ns(),
    };
    run->due = run->started;
    td_list_init(&run->node);
    td_list_append(&llms->runs, &run->node);
    td_llm_request_init(&run->request);
    td_llm_failure_init(&run->failure);
    td_chat_init(&run->chat, spec->text_max);
    td_buf_init(&run->body, TD_LLM_ERROR_BODY_MAX);
    td_buf_init(&run->log, LOG_MAX);
    if (td_llm_request_make(&run->request, spec, input, &run->failure.message) < 0) {
        td_llm_failure_not_started(&run->failure);
        td_llm_end_run(run, TD_RUN_FAILED);
    }
    *ret_run = run;
    return 0;
}

void td_llm_cancel(struct td_llm_run *run)
{
    if (run->state != TD_LLM_ENDED)
        td_llm_end_run(run, TD_RUN_CANCELLED);
}

/* --- telling --- */

/* The text that is new, in pieces of whole characters. */
static void tell_text(struct td_llm_run *run, td_ns now)
{
    struct td_slice rest = td_slice_from(td_buf_slice(&run->chat.text), run->told);

    run->last_told = now;
    while (rest.len > 0) {
        size_t len = TD_MIN(rest.len, PIECE_MAX);
        while (len < rest.len && ((unsigned char)rest.ptr[len] & 0xC0) == 0x80)
            len--;
        run->told += len;
        run->ops->text(run->arg, td_slice_to(rest, len));
        rest = td_slice_from(rest, len);
    }
}

static void tell_end(struct td_llm_run *run)
{
    struct td_llm_failure *failure = &run->failure;
    struct td_buf result = TD_BUF_INIT(td_llm_result_max(&run->chat));
    struct td_run_end end = {.outcome = run->outcome, .exit_status = -1};

    tell_text(run, run->ended);
    td_llm_result_put(&result, &(struct td_llm_result){.chat = &run->chat,
                                                       .partial = run->outcome != TD_RUN_DONE,
                                                       .attempts = run->attempt,
                                                       .started = run->started,
                                                       .first_token = run->first_token,
                                                       .ended = run->ended});
    if (result.err == 0)
        end.result = td_buf_slice(&result);
    if (run->outcome == TD_RUN_FAILED) {
        td_llm_request_redact(&run->request, &failure->message);
        td_llm_request_redact(&run->request, &failure->details);
        end.code = failure->code;
        end.message = td_buf_slice(&failure->message);
        end.details = td_buf_slice(&failure->details);
        end.actions = failure->actions;
        end.n_actions = failure->n_actions;
    }
    run->ops->ended(run->arg, &end);
    td_buf_done(&result);
    run_free(run);
}

/* --- time --- */

static td_ns after(td_ns from, uint64_t ms)
{
    return ms ? from + ms * TD_NS_PER_MS : NEVER;
}

/* When an answer that is under way is too late, apart from the limit in all. */
static td_ns late_at(const struct td_llm_run *run)
{
    if (run->chat.finish_reason.len > 0)
        return after(run->last_sign ? run->last_sign : run->asked,
                     run->between_tokens_ms ? TD_MIN(run->between_tokens_ms, TRAILER_MS)
                                            : TRAILER_MS);
    return run->last_sign ? after(run->last_sign, run->between_tokens_ms)
                          : after(run->asked, run->first_token_ms);
}

static td_ns deadline_of(const struct td_llm_run *run)
{
    td_ns total = after(run->started, run->total_ms);

    if (run->state == TD_LLM_ENDED || run->log.len > 0)
        return 0;
    if (run->state == TD_LLM_WAITING)
        return TD_MIN(run->due, total);
    td_ns tell = run->chat.text.len > run->told ? run->last_told + GATHER_NS : NEVER;
    return TD_MIN(TD_MIN(total, tell), late_at(run));
}

static void end_late(struct td_llm_run *run, td_ns now)
{
    if (now >= after(run->started, run->total_ms))
        td_llm_failure_timeout(&run->failure, "The whole answer was not there", run->total_ms);
    else if (run->chat.finish_reason.len > 0)
        return td_llm_conclude(run, 0);
    else if (run->last_sign)
        td_llm_failure_timeout(&run->failure, "Nothing more came from the upstream",
                               run->between_tokens_ms);
    else
        td_llm_failure_timeout(&run->failure, "No first token came from the upstream",
                               run->first_token_ms);
    td_llm_end_run(run, TD_RUN_FAILED);
}

static void turn(struct td_llm_run *run)
{
    td_ns now = td_clock_ns();

    if (run->log.len > 0) {
        run->ops->log(run->arg, td_buf_slice(&run->log), TD_S("warn"));
        td_buf_reset(&run->log);
    }
    if (run->state == TD_LLM_WAITING && now >= after(run->started, run->total_ms))
        end_late(run, now);
    else if (run->state == TD_LLM_WAITING && now >= run->due)
        ask(run);
    else if (run->state == TD_LLM_ASKING &&
             now >= TD_MIN(after(run->started, run->total_ms), late_at(run)))
        end_late(run, now);
    if (run->state == TD_LLM_ENDED)
        tell_end(run);
    else if (run->chat.text.len > run->told && now >= run->last_told + GATHER_NS)
        tell_text(run, now);
}

void td_llms_serve(struct td_llms *llms)
{
    struct td_list todo, *node;

    TD_ASSERT(!llms->serving);
    llms->serving = true;
    /* Callbacks may start and cancel runs, any of them: each is taken off the list before its turn. */
    td_list_init(&todo);
    td_list_splice(&todo, &llms->runs);
    while ((node = td_list_pop(&todo))) {
        td_list_append(&llms->runs, node);
        turn(TD_CONTAINER_OF(node, struct td_llm_run, node));
    }
    llms->serving = false;
}

td_ns td_llms_deadline(const struct td_llms *llms)
{
    td_ns deadline = NEVER;

    for (struct td_list *at = llms->runs.next; at != &llms->runs; at = at->next)
        deadline = TD_MIN(deadline, deadline_of(TD_CONTAINER_OF(at, struct td_llm_run, node)));
    return deadline;
}
