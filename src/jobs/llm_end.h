/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a run that has ended.  For llm*.c only. */
#pragma once

#include "base/buf.h"
#include "base/slice.h"
#include "base/units.h"
#include "jobs/chat.h"
#include "jobs/upstream.h"

#define TD_LLM_DETAILS_MAX ((size_t)2048)
#define TD_LLM_ACTIONS_MAX 3

struct td_llm_failure {
    struct td_slice code;
    struct td_buf message, details;
    struct td_slice actions[TD_LLM_ACTIONS_MAX];
    size_t n_actions;
};

void td_llm_failure_init(struct td_llm_failure *failure);
void td_llm_failure_done(struct td_llm_failure *failure);

/* An answer with an error status, and as much of its body as was kept. */
void td_llm_failure_status(struct td_llm_failure *failure, int status, struct td_slice body);
/* A transfer that did not end with a whole answer. */
void td_llm_failure_transfer(struct td_llm_failure *failure, const struct td_transfer_end *end);
/* An answer that could not be read, or says that it failed; `r` is the error of td_chat_…, 0 for what the chat says. */
void td_llm_failure_chat(struct td_llm_failure *failure, const struct td_chat *chat, int r);
/* Too late: nothing was there after `waited_ms`; `what` is a part of a sentence such as "no first token came". */
void td_llm_failure_timeout(struct td_llm_failure *failure, const char *what, uint64_t waited_ms);
/* Not begun; the message is put by the caller. */
void td_llm_failure_not_started(struct td_llm_failure *failure);

/* Whether an answer of that status is worth another try, given what its body says. */
bool td_llm_status_may_pass(int status, struct td_slice body);

/* What the result of a run is made of. */
struct td_llm_result {
    const struct td_chat *chat;
    bool partial;
    unsigned attempts;
    td_ns started, first_token, ended; /* first_token: 0 when there was none */
};

/* Appends the result as the header of llm.h shows it; td_llm_result_max is how long it can become. */
void td_llm_result_put(struct td_buf *out, const struct td_llm_result *result);
size_t td_llm_result_max(const struct td_chat *chat);
