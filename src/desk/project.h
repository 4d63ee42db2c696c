/* SPDX-License-Identifier: Apache-2.0 */
/* Projects: the entity projects/{id} with the newest job of the kind `generate` on it. */
#pragma once

#include "desk/desk.h"
#include "jobs/jobs.h"

/* Carries out TD_ASK_JOB_PROJECT: 0 or an error; -EAGAIN. */
TD_MUST_USE int td_project_get(struct td_desk *desk, struct td_jobs *jobs, struct td_ask *ask,
                               struct td_job_answer *answer);
/* Whether a start is one of a project, whose id is written to `ret_id`. */
bool td_project_of_start(const struct td_ask *ask, struct td_slice *ret_id);
/* 0 when what td_project_make has to read is there, or -EAGAIN. */
TD_MUST_USE int td_project_look(struct td_desk *desk, struct td_slice id);
/* Makes the entity of a project, unless there is one: {"id","name"}, both the id.  0 or an error. */
TD_MUST_USE int td_project_make(struct td_desk *desk, const struct td_principal *principal,
                                struct td_slice id);
