/* SPDX-License-Identifier: Apache-2.0 */
/* Runs, for their own files: llm.c asks and tells, llm_answer.c reads what is answered. */
#pragma once

#include "base/list.h"
#include "base/rng.h"
#include "jobs/chat.h"
#include "jobs/llm.h"
#include "jobs/llm_end.h"
#include "jobs/llm_request.h"

/* Of the body of an error its beginning says enough. */
#define TD_LLM_ERROR_BODY_MAX (16 * TD_KIB)

enum td_llm_state {
    TD_LLM_WAITING, /* for `due`, to ask (again) */
    TD_LLM_ASKING,  /* there is a transfer */
    TD_LLM_ENDED,   /* to be told */
};

/* What an answer turned out to be with its first bytes. */
enum td_llm_answer {
    TD_LLM_UNKNOWN,
    TD_LLM_STREAM,
    TD_LLM_WHOLE, /* one JSON object */
    TD_LLM_ERROR, /* of another status than 200 */
};

struct td_llms {
    struct td_upstream *upstream;
    struct td_list runs;
    struct td_rng rng;
    bool serving;
};

struct td_llm_run {
    struct td_list node;
    struct td_llms *llms;
    const struct td_run_ops *ops;
    void *arg;
    struct td_llm_request request;
    uint64_t connect_ms, first_token_ms, between_tokens_ms, total_ms, backoff_ms;
    unsigned attempt, attempts_max; /* attempt: of the one under way, from 1 */

    enum td_llm_state state;
    enum td_llm_answer answer;
    struct td_transfer *transfer; /* when TD_LLM_ASKING */
    struct td_chat chat;
    struct td_buf body; /* of an answer that is no stream */
    struct td_buf log;  /* to be told */
    uint64_t signs;     /* as of last_sign */
    size_t told;        /* bytes of the text */
    td_ns started, asked, due, last_sign, first_token, last_told;

    enum td_run_outcome outcome;
    td_ns ended;
    struct td_llm_failure failure;
};

/* Nothing more is asked or read; it is told with the next turn. */
void td_llm_end_run(struct td_llm_run *run, enum td_run_outcome outcome);
/* The answer is there, or (`r` negative) as much as there will be. */
void td_llm_conclude(struct td_llm_run *run, int r);
/* Callbacks of its transfer. */
void td_llm_take_bytes(struct td_transfer *transfer, struct td_slice bytes, void *arg);
void td_llm_take_end(struct td_transfer *transfer, const struct td_transfer_end *end, void *arg);
