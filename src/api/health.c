/* SPDX-License-Identifier: Apache-2.0 */
/* /healthz: the loop turns.  /readyz: whether to send traffic here. */
#include "api/api.h"
#include "base/err.h"

void td_api_healthz(struct td_request *request, const struct td_api *api)
{
    (void)api;
    td_respond(request, &(struct td_response){.status = 200,
                                              .content_type = "application/json",
                                              .headers = TD_S("Cache-Control: no-store\r\n"),
                                              .body = TD_S("{\"status\":\"ok\"}\n")});
}

void td_api_readyz(struct td_request *request, const struct td_api *api)
{
    int log = td_journal_health(api->journal);

    if (request->worker->draining) {
        td_respond_error(request, TD_EDRAINING, TD_S("The server is stopping."));
    } else if (log < 0) {
        td_respond_error(request, log, TD_S("The log can't be written; readers are served."));
    } else {
        td_respond(request, &(struct td_response){.status = 200,
                                                  .content_type = "application/json",
                                                  .headers = TD_S("Cache-Control: no-store\r\n"),
                                                  .body = TD_S("{\"status\":\"ready\"}\n")});
    }
}
