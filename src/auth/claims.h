/* SPDX-License-Identifier: Apache-2.0 */
/* The payload of a token, between JSON and struct td_claims.  For token.c only: by the time it comes here a
 * payload's signature has been checked. */
#pragma once

#include "auth/token.h"
#include <jansson.h>

/* Takes the reference to `payload`.  0, TD_EUNAUTHORIZED, TD_EEXPIRED or -ENOMEM as td_token_verify. */
TD_MUST_USE int td_claims_parse(json_t *payload, const struct td_token_rules *rules, td_unix_ms now,
                                struct td_claims **ret_claims, const char **reason);
/* A new JSON object for claims that are to be signed; 0, TD_EINVAL or -ENOMEM. */
TD_MUST_USE int td_claims_pack(const struct td_claims *claims, const struct td_token_rules *rules,
                               json_t **ret_payload);
