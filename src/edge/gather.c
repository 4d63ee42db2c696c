/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/gather.h"
#include "base/err.h"
#include <stdlib.h>

/* What goes from worker to worker: one letter, so that their parts never meet. */
struct gather {
    struct td_mail mail;
    struct td_worker *const *workers;
    size_t n, at;
    struct td_ask *ask;
    void (*part)(struct td_worker *worker, struct td_ask *ask);
};

static void deliver(struct td_worker *worker, struct td_mail *mail)
{
    struct gather *gather = TD_CONTAINER_OF(mail, struct gather, mail);

    gather->part(worker, gather->ask);
    if (++gather->at < gather->n) {
        td_worker_post(gather->workers[gather->at], mail);
        return;
    }
    struct td_ask *ask = gather->ask;
    free(gather);
    ask->err = ask->body.err;
    ask->answered(ask);
}

void td_request_gather(struct td_request *request, struct td_worker *const *workers,
                       size_t n_workers, struct td_edge_ask *ask,
                       void (*part)(struct td_worker *worker, struct td_ask *ask))
{
    struct gather *gather = ask ? malloc(sizeof(*gather)) : NULL;

    if (!gather) {
        td_edge_ask_free(ask);
        td_respond_error(request, TD_EUNAVAILABLE, td_slice_str(td_err_hint(TD_EUNAVAILABLE)));
        return;
    }
    *gather = (struct gather){
        .mail = {.deliver = deliver},
        .workers = workers,
        .n = n_workers,
        .ask = &ask->ask,
        .part = part,
    };
    td_list_init(&gather->mail.list);
    if (!td_request_park(request, ask)) {
        free(gather);
        return;
    }
    td_worker_post(workers[0], &gather->mail);
}
