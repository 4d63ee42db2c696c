/* SPDX-License-Identifier: Apache-2.0 */
/* The place that a connection has at an endpoint, whose number is limited over all workers: by user, where the oldest makes room for the newest,
 * by address and by path, where nobody does.  Which worker the oldest lives on does not matter: it is written a letter. */
#pragma once

#include "edge/quota.h"
#include "edge/visit.h"

struct td_seat {
    struct td_ticket ticket;
    struct td_mail mail; /* of whoever replaces it */
    struct td_worker *worker;
    uint64_t address;           /* for which it is counted at the endpoint; 0: none */
    uint32_t index, generation; /* of the connection */
};

/* Takes a seat for a connection that is bound to an endpoint with limits; without any it needs none.  0; TD_EMANY or TD_ERATE with `*what` a
 * static sentence, or -ENOMEM. */
TD_MUST_USE int td_seat_take(struct td_worker *worker, struct td_conn *conn,
                             const struct td_visit *visit, const char **what);
/* Gives it up; NULL is fine. */
void td_seat_leave(struct td_seat *seat);
