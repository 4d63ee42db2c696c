/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs: which there are, what may be asked of them, and what they tell (docs/decisions/0016, docs/jobs.md).
 *
 *     queued ──► running ──► cancelling ──► cancelled
 *        │          ├──► done      │
 *        │          └──► failed ◄──┘
 *        └──► cancelled, failed
 *
 * A job is its document: each change is an event on jobs/{job_id} with the key `job` that carries all of it, so the log's state is the table
 * of the jobs that have ended.  Here in memory are those that have not.  Of each of them exactly one event tells the end, also when the server was
 * killed meanwhile: it is appended on condition that what was known to be the last event of that topic still is.
 *
 * All of this belongs to one thread, the desk's, but for the figures of td_jobs_stat. */
#pragma once

#include "base/buf.h"
#include "base/histogram.h"
#include "jobs/kind.h"
#include "jobs/reserved.h"
#include "jobs/runner.h"
#include "journal/journal.h"

struct td_audit;
struct td_jobs;

/* The log, as the desk gives it. */
struct td_jobs_log {
    struct td_journal *journal;
    /* As td_desk_append, td_desk_state and td_journal_state. */
    int (*append)(void *arg, const struct td_batch *batch, uint64_t *ret_seqs);
    int (*state)(void *arg, struct td_slice topic, struct td_slice key,
                 struct td_record *ret_record);
    void (*walk)(void *arg, struct td_state_read *read);
    void *arg;
};

/* How runs of one runner are started.  `start` gives a handle for `cancel`, after which the run ends as TD_RUN_CANCELLED soon; neither calls
 * back from within itself.  A negative error of `start` is told as not_started. */
struct td_job_runner {
    int (*start)(void *arg, const struct td_kind_spec *spec, const struct td_run_input *input,
                 const struct td_run_ops *ops, void *run_arg, void **ret_run);
    void (*cancel)(void *run);
    void *arg;
};

/* Kinds that are lent: `done`, which may be NULL, is called when nothing is made of them any more, and no job that began with them is left. */
struct td_kinds_lent {
    const struct td_kinds *kinds; /* NULL: none */
    void (*done)(void *arg);
    void *arg;
};

/* Jobs that have not ended: in all, and of one owner. */
struct td_jobs_limits {
    size_t unfinished_max, owner_unfinished_max;
    size_t owner_running_max; /* 0: no limit */
};

struct td_jobs_options {
    struct td_kinds_lent kinds;   /* taken over also when td_jobs_new fails */
    struct td_reserved *reserved; /* may be NULL; outlives the jobs, as the next do */
    struct td_reserved *busy;     /* connections that have started jobs; may be NULL */
    struct td_audit *audit;       /* NULL: only lines of the log are made */
    struct td_jobs_log log;
    struct td_job_runner
        runners[2]; /* of TD_RUNNER_COMMAND and TD_RUNNER_LLM; `start` NULL: not available */
    struct td_jobs_limits limits;
};

TD_MUST_USE int td_jobs_new(const struct td_jobs_options *options, struct td_jobs **ret_jobs);
/* Forgets all; nothing is written, no run is ended. */
void td_jobs_free(struct td_jobs *jobs);

/* New jobs are of these kinds from now on; those under way keep what they began with.  What a kind with the name of an earlier one says of
 * its concurrency holds for those that are queued, too.  0; or -ENOMEM, or TD_EMANY when there have been too many names, and
 * then nothing has changed.  The kinds are taken over in either case. */
TD_MUST_USE int td_jobs_use_kinds(struct td_jobs *jobs, const struct td_kinds_lent *kinds);
/* Likewise: who runs them from now on. */
void td_jobs_use_runner(struct td_jobs *jobs, enum td_runner which,
                        const struct td_job_runner *runner);
void td_jobs_limit(struct td_jobs *jobs, const struct td_jobs_limits *limits);

/* Ends in the log what was not ended when the server stopped, and takes up what workers elsewhere report.  1 when it is done and jobs may be asked
 * for, 0: call it again in the next turn, -EAGAIN: after the next wake. */
TD_MUST_USE int td_jobs_recover(struct td_jobs *jobs);
/* Starts what can be, ends what is overdue, and writes what has gathered.  Call it when td_jobs_next has come, and whenever something was asked or
 * a runner has called back. */
void td_jobs_turn(struct td_jobs *jobs);
/* When td_jobs_turn is to be called next; UINT64_MAX: not by itself. */
td_ns td_jobs_next(const struct td_jobs *jobs);
/* Refuses new ones and ends those that run here (server_stopping). */
void td_jobs_drain(struct td_jobs *jobs);
/* Whether no run is left. */
bool td_jobs_rest(const struct td_jobs *jobs);

/* ---- what is asked.  0 or an error; -EAGAIN: ask again later. ---- */

struct td_job_answer {
    struct td_buf *body;    /* JSON */
    struct td_buf *why;     /* a sentence with an error, or nothing */
    uint64_t wait_for;      /* the answer holds once this is readable */
    uint64_t position;      /* of what it says; 0: unknown */
    unsigned retry_after_s; /* with TD_ERATE */
};

struct td_job_start {
    const struct td_principal *principal;
    struct td_slice kind;
    struct td_slice params,
        given; /* checked JSON objects, or empty; `given`: what the endpoint's path says */
    struct td_slice viewers;           /* a checked JSON value, or empty */
    struct td_slice key;               /* Idempotency-Key, or empty */
    struct td_slice session;           /* of the endpoint, or empty */
    struct td_slice request_id, scope; /* or empty; `scope`: within what it names one job */
    struct td_slice address;           /* who asks from where, for the audit; or empty */
    struct td_slice
        connection; /* the id of the WebSocket that asks, which the job holds open; or empty */
    bool external;
    uint64_t lease_s; /* of an external one; 0: the default */
};
TD_MUST_USE int td_jobs_start(struct td_jobs *jobs, const struct td_job_start *start,
                              struct td_job_answer *answer);

/* Which job is meant: `id`, or else `request_id` within `scope`, or else all that run with that `proposal_id` (and `project_id`, if that is given). */
struct td_job_which {
    const struct td_principal *principal;
    struct td_slice id, request_id, scope, proposal_id, project_id;
    struct td_slice address; /* who asks from where, for the audit; or empty */
};
/* `body`: an array of {"job_id","state"}.  TD_ENOTFOUND, TD_EFORBIDDEN. */
TD_MUST_USE int td_jobs_cancel(struct td_jobs *jobs, const struct td_job_which *which,
                               struct td_job_answer *answer);
/* `body`: the job. */
TD_MUST_USE int td_jobs_get(struct td_jobs *jobs, const struct td_job_which *which,
                            struct td_job_answer *answer);
/* 0, or TD_ENOTFOUND when there is no such job or the principal may not see it. */
TD_MUST_USE int td_jobs_access(struct td_jobs *jobs, const struct td_job_which *which);
/* A project: its newest job of the kind `generate` says how it stands. */
struct td_job_project {
    const struct td_principal *principal;
    struct td_slice id, name; /* name: a raw string, or empty: the id */
    bool exists;              /* also when it has no job */
};
TD_MUST_USE int td_jobs_project(struct td_jobs *jobs, const struct td_job_project *project,
                                struct td_job_answer *answer);

struct td_job_list {
    const struct td_principal *principal;
    struct td_slice kind, state; /* or empty */
    struct td_slice after;       /* a job id, or empty */
    size_t limit;                /* at most TD_JOB_LIST_MAX */
};
#define TD_JOB_LIST_MAX 1000
/* `body`: {"jobs":[…],"next":…}. */
TD_MUST_USE int td_jobs_list(struct td_jobs *jobs, const struct td_job_list *list,
                             struct td_job_answer *answer);

struct td_job_report {
    const struct td_principal *principal;
    struct td_slice id, token; /* text */
    struct td_slice json;      /* a checked object */
};
/* `body`: the job, so that its worker sees when it is to be cancelled. */
TD_MUST_USE int td_jobs_report(struct td_jobs *jobs, const struct td_job_report *report,
                               struct td_job_answer *answer);

/* ---- figures: any thread ---- */

enum td_job_ending { TD_JOB_DONE, TD_JOB_FAILED, TD_JOB_CANCELLED };
#define TD_JOB_ENDINGS 3

struct td_job_stat {
    _Atomic uint64_t started, refused, ended[TD_JOB_ENDINGS];
    _Atomic uint64_t running, queued;
    struct td_histogram duration; /* of those that ran */
};
/* How many kinds there are or have been since the start, by name; what is known of each stays. */
size_t td_jobs_count_kinds(const struct td_jobs *jobs);
struct td_slice td_jobs_kind_name(const struct td_jobs *jobs, size_t kind);
const struct td_job_stat *td_jobs_stat(const struct td_jobs *jobs, size_t kind);
