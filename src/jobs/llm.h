/* SPDX-License-Identifier: Apache-2.0 */
/* The runner `llm`: asks a chat-completions upstream and tells its answer as it comes.
 *
 * A run ends as
 *
 *   DONE       the answer is whole;
 *   CANCELLED  td_llm_cancel: the connection is closed by then;
 *   FAILED     not_started        the request can't be made (key, length), or too many are under way
 *              upstream_refused   no connection to the upstream
 *              upstream_timeout   no first token, nothing more, or no end in time
 *              upstream_error     an error status, an error in the stream, a stream that is none or that ended early
 *              model_refused      the model wrote a refusal, and nothing else
 *              output_limit       the answer is longer than text_max
 *
 * with a result, which is also there when it was broken off, as far as it had come:
 *
 *   {"text":"…","finish_reason":"stop","model":"…","usage":{…},"pieces":12,"attempts":1,
 *    "timings":{"first_token_ms":210,"total_ms":1840}}
 *
 * and "refusal":"…" if there is one, "partial":true if it is not DONE.  finish_reason, model, usage and first_token_ms are null when not known; usage is the
 * upstream's own object, and `pieces`, the number of chunks with text, is about that of the tokens where there is none.
 *
 * What fails before the first token is tried again where that makes sense: no connection, no answer to the request, 408, 429 and 5xx, each after
 * its backoff, more or less a quarter, or after what Retry-After says when that is longer; beyond a minute it is not tried again.  Each is told with `log`. */
#pragma once

#include "base/compiler.h"
#include "base/slice.h"
#include "base/units.h"
#include "jobs/runner.h"
#include "jobs/upstream.h"

#define TD_LLM_PROMPT_MAX ((size_t)4 * 1024 * 1024) /* system and prompt, filled, each */
#define TD_LLM_TEXT_MAX   ((size_t)1024 * 1024)
#define TD_LLM_KEY_MAX    ((size_t)8 * 1024)

/* Good during the call that starts a run; begin with TD_LLM_SPEC_INIT.  Texts that may be absent are so when empty. */
struct td_llm_spec {
    struct td_slice url; /* `…/v1`, to which /chat/completions is added, or all of it */
    struct td_slice model;
    struct td_slice key_env, key_file; /* where the key is read from at each start; at most one */
    struct td_slice system, prompt;    /* templates (jobs/template.h); `system` may be absent */
    struct td_slice
        extra; /* a JSON object whose members are sent too, or instead of ours of that name */
    uint64_t max_tokens;                                              /* 0: the upstream's */
    double temperature;                                               /* negative: the upstream's */
    uint64_t connect_ms, first_token_ms, between_tokens_ms, total_ms; /* 0: no limit */
    unsigned retries;
    uint64_t
        backoff_ms; /* before the first retry; doubled for each further one, up to 16 times as long */
    size_t text_max;
};

#define TD_LLM_SPEC_INIT                                                                         \
    {                                                                                            \
        .temperature = -1, .connect_ms = 10000, .first_token_ms = 120000,                        \
        .between_tokens_ms = 30000, .retries = 2, .backoff_ms = 500, .text_max = TD_LLM_TEXT_MAX \
    }

/* 0; TD_EINVAL with `ret_why` (static), such as "model must be named, …", when no run could be made of it. */
TD_MUST_USE int td_llm_spec_check(const struct td_llm_spec *spec, const char **ret_why);

/* The runs of one thread, over an upstream that outlives them. */
struct td_llms;
struct td_llm_run;

TD_MUST_USE int td_llms_new(struct td_upstream *upstream, struct td_llms **ret_llms);
/* Closes what is under way, without callbacks.  NULL is fine. */
void td_llms_free(struct td_llms *llms);

/* Starts a run.  Whatever is wrong with it is told by `ended`; -ENOMEM. */
TD_MUST_USE int td_llm_start(struct td_llms *llms, const struct td_llm_spec *spec,
                             const struct td_run_input *input, const struct td_run_ops *ops,
                             void *arg, struct td_llm_run **ret_run);
/* Closes the upstream's connection at once; `ended` is told by the next td_llms_serve.  One that has ended by then ends as it did.
 * Not after `ended`. */
void td_llm_cancel(struct td_llm_run *run);

/* All callbacks come from here: call it after each td_upstream_serve, and when td_llms_deadline has come. */
void td_llms_serve(struct td_llms *llms);
/* When there is something to do without news from the upstream; UINT64_MAX: never. */
td_ns td_llms_deadline(const struct td_llms *llms);
