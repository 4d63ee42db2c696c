/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/llm_end.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/json.h"

#define MESSAGE_MAX ((size_t)2048)

void td_llm_failure_init(struct td_llm_failure *failure)
{
    *failure = (struct td_llm_failure){
        .message = TD_BUF_INIT(MESSAGE_MAX),
        .details = TD_BUF_INIT(TD_LLM_DETAILS_MAX),
    };
}

void td_llm_failure_done(struct td_llm_failure *failure)
{
    td_buf_done(&failure->message);
    td_buf_done(&failure->details);
}

static void advise(struct td_llm_failure *failure, struct td_slice action)
{
    TD_ASSERT(failure->n_actions < TD_LLM_ACTIONS_MAX);
    failure->actions[failure->n_actions++] = action;
}

/* What the upstream said, and its word for it. */
static void put_said(struct td_buf *out, const struct td_buf *message, const struct td_buf *code)
{
    td_chat_put_cut(out, td_buf_slice(message));
    if (code->len > 0) {
        td_chat_put_cut(out, TD_S(" ("));
        td_chat_put_cut(out, td_buf_slice(code));
        td_chat_put_cut(out, TD_S(")"));
    }
}

static void advise_on_status(struct td_llm_failure *failure, int status)
{
    if (status == 401 || status == 403) {
        advise(failure, TD_S("Check the key of the kind: key_env or key_file."));
    } else if (status == 404 || status == 405) {
        advise(failure, TD_S("Check the URL of the kind, and whether the upstream has the model."));
    } else if (status == 429) {
        advise(failure, TD_S("Try again later."));
        advise(failure,
               TD_S("Raise the quota at the upstream, or lower the concurrency of the kind."));
    } else if (status >= 500) {
        advise(failure, TD_S("Try again later; look at the upstream's own log if it stays so."));
    } else if (status >= 300 && status < 400) {
        advise(failure, TD_S("Name the URL that it redirects to; redirects are not followed."));
    } else {
        advise(failure, TD_S("Check the model and the prompt of the kind; the details say what the "
                             "upstream did not take."));
    }
}

void td_llm_failure_status(struct td_llm_failure *failure, int status, struct td_slice body)
{
    struct td_buf message = TD_BUF_INIT(TD_CHAT_ERROR_MAX), code = TD_BUF_INIT(TD_CHAT_WORD_MAX);

    failure->code = TD_S("upstream_error");
    td_buf_putf(&failure->message, "The upstream answered with status %d", status);
    td_buf_putf(&failure->details, "HTTP %d", status);
    if (td_chat_error_read(body, &message, &code)) {
        td_buf_puts(&failure->message, ": ");
        put_said(&failure->message, &message, &code);
    }
    td_chat_put_cut(&failure->message, TD_S("."));
    body = td_slice_trim(body);
    if (body.len > 0) {
        td_buf_puts(&failure->details, ": ");
        td_chat_put_cut(&failure->details, body);
    }
    advise_on_status(failure, status);
    td_buf_done(&message);
    td_buf_done(&code);
}

void td_llm_failure_transfer(struct td_llm_failure *failure, const struct td_transfer_end *end)
{
    td_buf_puts(&failure->details, end->error);
    switch (end->outcome) {
    case TD_TRANSFER_TIMEOUT:
        failure->code = TD_S("upstream_timeout");
        td_buf_puts(&failure->message, "The upstream could not be reached in time.");
        advise(failure, TD_S("Check that the upstream runs and that this machine can reach it."));
        break;
    case TD_TRANSFER_UNREACHABLE:
        failure->code = TD_S("upstream_refused");
        td_buf_puts(&failure->message, "The upstream could not be reached.");
        advise(failure,
               TD_S("Check that the upstream runs and that the URL of the kind is right."));
        break;
    case TD_TRANSFER_TOO_LARGE:
        failure->code = TD_S("output_limit");
        td_buf_puts(&failure->message, "The upstream sent more than an answer can need.");
        advise(failure,
               TD_S("Check that the URL of the kind is that of a chat-completions upstream."));
        break;
    case TD_TRANSFER_DONE:
    case TD_TRANSFER_BROKEN:
        failure->code = TD_S("upstream_error");
        td_buf_puts(&failure->message, "The upstream ended its answer early.");
        advise(failure, TD_S("Try again; look at the upstream's own log if it happens often."));
        break;
    }
}

void td_llm_failure_chat(struct td_llm_failure *failure, const struct td_chat *chat, int r)
{
    failure->code = TD_S("upstream_error");
    if (r == TD_ETOOLARGE) {
        failure->code = TD_S("output_limit");
        td_buf_putf(&failure->message, "The answer is longer than %zu bytes.", chat->text.max);
        advise(failure, TD_S("Ask for less, or limit it with max_tokens."));
    } else if (r == TD_EPROTO && chat->signs == 0) {
        td_buf_puts(&failure->message, "The upstream's answer holds nothing of a chat completion.");
        advise(failure,
               TD_S("Check that the URL of the kind is that of a chat-completions upstream."));
    } else if (r == TD_EPROTO) {
        td_buf_puts(&failure->message, "The upstream ended its answer early.");
        td_buf_puts(&failure->details, "neither a finish_reason nor [DONE] had come");
        advise(failure, TD_S("Try again; look at the upstream's own log if it happens often."));
    } else if (r < 0) {
        td_buf_puts(&failure->message, "The upstream sent something that is no chat completion.");
        td_buf_putf(&failure->details, "its JSON could not be read: %s", td_err_name(r));
        advise(failure,
               TD_S("Check that the URL of the kind is that of a chat-completions upstream."));
    } else if (chat->error.len > 0) {
        td_buf_puts(&failure->message, "The upstream reported an error: ");
        put_said(&failure->message, &chat->error, &chat->error_code);
        td_chat_put_cut(&failure->message, TD_S("."));
        advise(failure, TD_S("Try again later; look at the upstream's own log if it stays so."));
    } else if (chat->refusal.len > 0) {
        failure->code = TD_S("model_refused");
        td_buf_puts(&failure->message, "The model refused: ");
        td_chat_put_cut(&failure->message, td_buf_slice(&chat->refusal));
        advise(failure, TD_S("Ask for something else, or in other words."));
    } else {
        td_buf_puts(&failure->message, "The model called a tool, and none was offered.");
        advise(failure, TD_S("Use another model, or a prompt that asks for text."));
    }
}

void td_llm_failure_timeout(struct td_llm_failure *failure, const char *what, uint64_t waited_ms)
{
    failure->code = TD_S("upstream_timeout");
    td_buf_putf(&failure->message, "%s within %g s.", what, (double)waited_ms / 1000);
    advise(failure, TD_S("Try again; the upstream may be busy."));
    advise(failure, TD_S("Raise the time that the kind allows."));
}

void td_llm_failure_not_started(struct td_llm_failure *failure)
{
    failure->code = TD_S("not_started");
    advise(failure, TD_S("Check the configuration of the kind, and its parameters."));
}

bool td_llm_status_may_pass(int status, struct td_slice body)
{
    struct td_buf message = TD_BUF_INIT(TD_CHAT_ERROR_MAX), code = TD_BUF_INIT(TD_CHAT_WORD_MAX);
    bool may = status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505);

    /* A used-up quota says 429 as well, and does not pass by waiting. */
    if (status == 429 && td_chat_error_read(body, &message, &code))
        may = !td_slice_eq(td_buf_slice(&code), TD_S("insufficient_quota"));
    td_buf_done(&message);
    td_buf_done(&code);
    return may;
}

/* --- the result --- */

static void put_member(struct td_buf *out, const char *name, const struct td_buf *text)
{
    td_buf_putf(out, ",\"%s\":", name);
    if (text->len > 0)
        td_json_put_string(out, td_buf_slice(text));
    else
        td_buf_puts(out, "null");
}

void td_llm_result_put(struct td_buf *out, const struct td_llm_result *result)
{
    const struct td_chat *chat = result->chat;

    td_buf_puts(out, "{\"text\":");
    td_json_put_string(out, td_buf_slice(&chat->text));
    if (chat->refusal.len > 0)
        put_member(out, "refusal", &chat->refusal);
    if (result->partial)
        td_buf_puts(out, ",\"partial\":true");
    put_member(out, "finish_reason", &chat->finish_reason);
    put_member(out, "model", &chat->model);
    td_buf_puts(out, ",\"usage\":");
    td_buf_put(out, chat->usage.len > 0 ? td_buf_slice(&chat->usage) : TD_S("null"));
    td_buf_puts(out, ",\"pieces\":");
    td_buf_putu(out, chat->pieces);
    td_buf_puts(out, ",\"attempts\":");
    td_buf_putu(out, result->attempts);
    td_buf_puts(out, ",\"timings\":{\"first_token_ms\":");
    if (result->first_token)
        td_buf_putu(out, (result->first_token - result->started) / TD_NS_PER_MS);
    else
        td_buf_puts(out, "null");
    td_buf_puts(out, ",\"total_ms\":");
    td_buf_putu(out, (result->ended - result->started) / TD_NS_PER_MS);
    td_buf_puts(out, "}}");
}

size_t td_llm_result_max(const struct td_chat *chat)
{
    /* A byte becomes six at most, as \u0000. */
    return 6 * (chat->text.len + chat->refusal.len + chat->model.len + chat->finish_reason.len) +
           chat->usage.len + 512;
}
