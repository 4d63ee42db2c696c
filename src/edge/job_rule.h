/* SPDX-License-Identifier: Apache-2.0 */
/* Whose job is it?  The rule of endpoints that show one. */
#pragma once

#include "edge/visit.h"

/* Whether a job's document (jobs/{job_id}, key `job`) names the subject as its owner or among its viewers. */
bool td_job_is_shown_to(struct td_slice document, struct td_slice subject);
/* Whether the principal of a request may see the job {job_id} of its visit: by a grant; or because the document says so, which the desk is asked
 * for.  0, and visit->opened when it was the document; 1: the desk was asked, the request is served again; TD_ENOTFOUND, or another error of
 * the desk, with `*what` a static sentence. */
TD_MUST_USE int td_job_rule(struct td_request *request, struct td_visit *visit, const char **what);
