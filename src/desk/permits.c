/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/topic.h"
#include "desk/authorizer.h"
#include "desk/internal.h"
#include "desk/jobs.h"
#include "desk/permit.h"
#include <errno.h>

bool td_permit_of_job(struct td_slice pattern, struct td_slice *ret_id)
{
    struct td_slice prefix = TD_S("jobs/");

    if (!td_topic_below(pattern, TD_S("jobs")) || pattern.len <= prefix.len)
        return false;
    *ret_id = td_slice_from(pattern, prefix.len);
    return !memchr(ret_id->ptr, '/', ret_id->len) && !memchr(ret_id->ptr, '*', ret_id->len);
}

int td_permits_ask(struct td_desk *desk, struct td_ask *ask)
{
    struct td_slice id;

    for (size_t i = 0; i < ask->permits->n; i++) {
        struct td_permit *permit = &ask->permits->items[i];
        if (!td_permit_of_job(permit->pattern, &id))
            continue;
        int r = td_desk_job_access(desk, ask->principal, id);
        if (r == -EAGAIN)
            return r;
        permit->err = r == TD_ENOTFOUND ? TD_EFORBIDDEN : r;
    }
    return td_authorizer_ask(desk, ask);
}
