/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent to a chat-completions upstream.  For llm*.c only. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "jobs/llm.h"

struct td_llm_request {
    struct td_buf url;           /* with a NUL at its end */
    struct td_buf authorization; /* "Authorization: Bearer …" with a NUL, or empty */
    struct td_buf body;
    struct td_slice key; /* inside of `authorization`; empty: none */
};

void td_llm_request_init(struct td_llm_request *request);
/* Wipes the key. */
void td_llm_request_done(struct td_llm_request *request);
/* Fills it from the specification and the values of a job.  0, or an error with a sentence in `why`. */
TD_MUST_USE int td_llm_request_make(struct td_llm_request *request, const struct td_llm_spec *spec,
                                    const struct td_run_input *input, struct td_buf *why);
/* Replaces each occurrence of the key in a text that came from the upstream by `***`, in place. */
void td_llm_request_redact(const struct td_llm_request *request, struct td_buf *text);
