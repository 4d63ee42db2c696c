/* SPDX-License-Identifier: Apache-2.0 */
/* One GET of a small document by libcurl, waiting for its end: for threads that may wait. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "base/units.h"
#include <stdatomic.h>
#include <stdbool.h>

struct td_fetch {
    const char *url;             /* http: or https: */
    uint64_t timeout_ms;         /* for all of it */
    const _Atomic bool *give_up; /* set: it is broken off within a second */

    /* What came of it. */
    struct td_buf body;   /* the caller's, with its maximum; an answer beyond that is an error */
    uint64_t max_age_s;   /* of Cache-Control; 0 also for no-cache and no-store; … */
    bool has_max_age;     /* … whether it said anything of the kind */
    char error[256 + 32]; /* a sentence, when it failed */
};

/* 0 when the answer was 200 and whole; or TD_EUNAVAILABLE with `error`. */
TD_MUST_USE int td_fetch(struct td_fetch *fetch);
/* Reads the freshness of an answer from one header line, `Cache-Control: …` (RFC 9111 §5.2.2), if it is that. */
void td_fetch_read_header(struct td_fetch *fetch, struct td_slice line);
