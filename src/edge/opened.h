/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection may see besides what its token grants: by the rule of its endpoint, as long as it is bound to that, or because the authorizer said so
 * for one of its subscriptions, until that is asked for again, or because it subscribed a job that is shown to it. */
#pragma once

#include "base/compiler.h"
#include "base/slice.h"
#include "base/topic.h"
#include "base/units.h"
#include "edge/conn.h"

/* For td_opened.version: the job did, for good. */
#define TD_OPENED_BY_JOB UINT64_MAX

struct td_opened {
    struct td_opened *next;
    uint64_t version; /* of the authorizer that said so; 0: the endpoint's rule did, for good */
    td_ns renew_at, expires_at;
    bool asked; /* it is being asked for again */
    uint8_t len;
    char pattern[];
};

static inline struct td_slice td_opened_pattern(const struct td_opened *opened)
{
    return td_slice(opened->pattern, opened->len);
}

/* Opens a pattern, or sets the times of one that is open.  0 or -ENOMEM. */
TD_MUST_USE int td_open(struct td_conn *conn, const struct td_opened *times,
                        struct td_slice pattern);
/* The one that the authorizer, or a job, opened for that name; NULL: none. */
struct td_opened *td_opened_find(const struct td_conn *conn, struct td_slice name);
/* What they opened for that name is open no more. */
void td_opened_close(struct td_conn *conn, struct td_slice name);
void td_opened_free(struct td_conn *conn);
/* By the rule, and by the authorizer or a job. */
#define TD_OPENED_PARTS_MAX 2
/* Appends to the `n` patterns that a subscription comes to those parts of its name that are opened and that none of them covers, with their texts in `text`.  Returns how
 * many they are then.  `*ret_check` is set when some of these may match what the connection does not see all the same. */
size_t td_opened_add(const struct td_conn *conn, struct td_slice name,
                     char text[TD_OPENED_PARTS_MAX][TD_TOPIC_LEN_MAX + 1],
                     struct td_slice *patterns, size_t n, bool *ret_check);
/* By what a topic that the token does not let the connection see is opened all the same; NULL: it is not. */
const struct td_opened *td_opened_by(const struct td_conn *conn, struct td_slice topic);
static inline bool td_opened_shows(const struct td_conn *conn, struct td_slice topic)
{
    return td_opened_by(conn, topic) != NULL;
}
