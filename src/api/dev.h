/* SPDX-License-Identifier: Apache-2.0 */
/* What only `tidings dev` has: people whom anyone on this machine may be. */
#pragma once

#include "auth/token.h"

/* Somebody to sign in as. */
struct td_dev_person {
    struct td_slice name;    /* for people to read */
    struct td_slice about;   /* what he may do, a sentence */
    struct td_claims claims; /* without times */
};

/* Immutable while workers run. */
struct td_api_dev {
    const struct td_dev_person *people;
    size_t n_people;
    const struct td_keys *keys; /* the first secret of them signs */
    const struct td_token_rules *rules;
    struct td_slice cookie; /* a token that the page at / brings along as a cookie */
};

#define TD_DEV_TOKEN_S \
    ((uint64_t)24 * 60 * 60) /* what a token of these is good for, unless less is asked for */
