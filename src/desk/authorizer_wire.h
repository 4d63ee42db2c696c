/* SPDX-License-Identifier: Apache-2.0 */
/* What is said between the desk and an authorizer: JSON, one question and one answer. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/slice.h"

struct td_principal;
struct td_permits;

/* Bytes of an answer. */
#define TD_AUTHORIZER_ANSWER_MAX ((size_t)4096)
/* The longest that an answer can hold, in seconds. */
#define TD_AUTHORIZER_TTL_MAX_S 86400

/* What an answer says. */
struct td_authorizer_answer {
    bool allow;
    bool has_ttl;
    uint64_t ttl_s; /* TD_AUTHORIZER_TTL_MAX_S at most */
};

/* Appends the question:
 *
 *     {"subject":"ann","roles":["dev"],"action":"subscribe","topic":"projects/42/..","endpoint":"project","address":"192.0.2.7:41234"} */
void td_authorizer_put_question(const struct td_principal *principal,
                                const struct td_permits *permits, struct td_slice pattern,
                                struct td_buf *out);
/* Appends what an answer is remembered by: subject, roles and pattern. */
void td_authorizer_put_key(const struct td_principal *principal, struct td_slice pattern,
                           struct td_buf *out);
/* Reads `{"allow":true,"ttl":30}`; other members are not looked at.  0, or TD_EINVAL, and then `ret_answer` is not written. */
TD_MUST_USE int td_authorizer_read_answer(struct td_slice body,
                                          struct td_authorizer_answer *ret_answer);
