/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs at the desk: the engine of jobs/jobs.h with its runners, asked through asks, in the desk's thread. */
#pragma once

#include "desk/desk.h"
#include "jobs/jobs.h"
#include "os/launcher.h"

struct td_desk_jobs_options {
    struct td_kinds_lent kinds; /* taken over */
    struct td_launcher
        *launcher; /* NULL: commands can't be run; outlives the desk, as the next does */
    struct td_reserved *reserved; /* may be NULL */
    struct td_reserved *busy;     /* connections that have started jobs; may be NULL */
    struct td_jobs_limits limits;
};

/* Lets the desk have jobs, before its thread is started.  0 or an error. */
TD_MUST_USE int td_desk_open_jobs(struct td_desk *desk, const struct td_desk_jobs_options *options);
/* Any thread: new jobs are made of these kinds, within these limits, from the desk's next turn on (td_jobs_use_kinds).  The kinds are taken over; those
 * that it had no time to take up are given back by the caller's thread. */
void td_desk_use_kinds(struct td_desk *desk, const struct td_kinds_lent *kinds,
                       const struct td_jobs_limits *limits);
/* Any thread: starts are refused from now on, and what runs here is ended; … */
void td_desk_drain(struct td_desk *desk);
/* … whether all of that has ended and is told. */
bool td_desk_is_drained(const struct td_desk *desk);
/* For figures; NULL: the desk has no jobs. */
const struct td_jobs *td_desk_jobs(const struct td_desk *desk);

/* ---- for desk.c ---- */
struct td_desk_jobs;
void td_desk_close_jobs(struct td_desk *desk);
/* Carries out an ask about jobs.  0, also when the answer is an error, or -EAGAIN. */
TD_MUST_USE int td_desk_ask_jobs(struct td_desk *desk, struct td_ask *ask);
/* Whether a principal may see a job.  0, TD_ENOTFOUND, also when there are no jobs at all; -EAGAIN while they are being taken up; or another error. */
TD_MUST_USE int td_desk_job_access(struct td_desk *desk, const struct td_principal *principal,
                                   struct td_slice id);
/* Hears what the runners have to say; at the beginning of a turn.  1 when asks that were put off may be carried out now. */
int td_desk_hear_jobs(struct td_desk *desk);
/* Goes on with what there is to do; at the end of a turn. */
void td_desk_turn_jobs(struct td_desk *desk);
/* Whether it waits for the log, or has to go on at once. */
bool td_desk_jobs_wait(const struct td_desk *desk);
bool td_desk_jobs_rest(const struct td_desk *desk);
/* Waits for the bell, the runners, and the time that something is due; not at all unless `rests`. */
void td_desk_wait(struct td_desk *desk, bool rests);
