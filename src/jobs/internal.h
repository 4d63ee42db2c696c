/* SPDX-License-Identifier: Apache-2.0 */
/* The jobs, for their own files. */
#pragma once

#include "audit/audit.h"
#include "base/list.h"
#include "base/map.h"
#include "base/topic.h"
#include "jobs/jobs.h"
#include "jobs/params.h"
#include "jobs/template.h"

#define TD_JOB_ID_LEN      32 /* hex digits */
#define TD_JOB_LOGS_MAX    100
#define TD_JOB_MESSAGE_MAX ((size_t)1024) /* bytes of a message, a line of a log */
#define TD_JOB_RESULT_MAX \
    ((size_t)256 *        \
     1024) /* told three times in the batch of the end, which fits the least segment */
#define TD_JOB_PENDING_MAX       ((size_t)4 * 1024 * 1024) /* of events that could not be written */
#define TD_JOBS_PENDING_MAX      ((size_t)64 * 1024 * 1024) /* the same of all jobs together */
#define TD_JOB_VIEWERS_MAX       100
#define TD_JOB_LEASE_S           30
#define TD_JOB_LEASE_MAX_S       3600
#define TD_JOB_PROGRESS_NS       (100 * TD_NS_PER_MS) /* between two events of progress of one job */
#define TD_JOB_RETRY_NS          TD_NS_PER_S          /* until the log is tried again */
#define TD_JOB_ROWS_MAX          1024
#define TD_JOB_REPORT_EVENTS_MAX 1000
#define TD_JOB_SAID_MAX          ((size_t)16 * 1024 * 1024)

enum td_job_state {
    TD_JOB_STATE_QUEUED,
    TD_JOB_STATE_RUNNING,
    TD_JOB_STATE_CANCELLING,
    TD_JOB_STATE_DONE,
    TD_JOB_STATE_FAILED,
    TD_JOB_STATE_CANCELLED,
};

/* Why a run is ended that has not ended by itself; the first one counts. */
enum td_job_why {
    TD_JOB_WHY_NONE,
    TD_JOB_WHY_CANCEL,
    TD_JOB_WHY_TIMEOUT,
    TD_JOB_WHY_STOPPING,
    TD_JOB_WHY_LOG, /* what it says can't be written */
};

enum td_agent_status {
    TD_AGENT_WAITING,
    TD_AGENT_STARTED,
    TD_AGENT_SKIPPED, /* the job has ended before its turn */
    TD_AGENT_COMPLETED,
    TD_AGENT_FAILED,
    TD_AGENT_CANCELLED,
};

#define TD_AGENT_MS_UNKNOWN UINT64_MAX

/* A step of a pipeline. */
struct td_job_agent {
    enum td_agent_status status;
    td_ns started;
    uint64_t duration_ms; /* TD_AGENT_MS_UNKNOWN: the server that ran it is gone */
    struct td_buf result; /* raw JSON */
};

/* An event that waits to be written: texts lie in the job's `said`. */
struct td_job_event {
    size_t type_at, type_len, data_at, data_len;
    enum td_class class;
    bool own;    /* on the topic of its kind; otherwise on jobs/{job_id} */
    bool keyed;  /* on its own topic: the key is the job's id */
    bool begins; /* of class append: the text */
    bool clears; /* the text is no state any more */
    bool joined; /* goes in one batch with the next */
};

struct td_job {
    struct td_list list;  /* of all, in the order in which they were made */
    struct td_list queue; /* of those of its kind that wait */
    struct td_list dirty; /* of those with something to be written or started */
    struct td_jobs *jobs;
    const struct td_kind *kind; /* NULL: it is not configured any more */
    struct td_kind_set *set;    /* that of the kind; a reference */
    struct td_jobs_row *row;    /* of its name */
    struct td_slice kind_name;
    struct td_params params;
    uint64_t owner_hash, session_hash; /* 0: no session */
    uint64_t seq;                      /* of the last event on jobs/{job_id}; 0: none yet */
    uint64_t made;                     /* the head of the log when it was started */
    enum td_job_state state;
    enum td_job_why why;
    bool holds;      /* a report is being taken up: nothing of it is written before it is whole */
    bool joins;      /* it has a number: what it says goes in one batch */
    bool end_lost;   /* there was no memory to tell its end: it is tried again */
    size_t n_before; /* events that were there before it */
    td_unix_ms created, started, ended;
    td_ns began, deadline; /* of its run; deadline 0: none */
    td_ns progress_at;     /* the earliest that progress is told again */
    td_ns lease_until;     /* of an external one */
    uint64_t lease_s;      /* 0: it is none */
    unsigned char lease_hash[32];
    uint64_t report_seq; /* of the last report that had a number; 0: none had */
    double progress;
    size_t step; /* of a pipeline: the one that runs */
    struct td_job_agent *agents;
    void *run; /* NULL: nothing runs */
    uint64_t text_offset;
    size_t place;    /* in the queue as it was told last; 0: none */
    int exit_status; /* -1: unknown */
    bool is_reserved, is_busy, progress_pending, step_pending, text_told, gone;

    char topic[TD_TOPIC_LEN_MAX + 1]; /* of its kind; empty: none */
    size_t topic_len;
    char own[sizeof("jobs/") + TD_JOB_ID_LEN];
    char content[2 * 16 + 1]; /* the hash of what was asked for, or empty */
    struct td_buf texts;      /* these, one behind the other: */
    struct td_slice owner, actor, viewers, session, request_id, carried, connection, known,
        segment; /* actor: the owner as raw JSON; segment: as topics say it */
    struct td_buf message, last_line, result, code, error, details, actions;
    struct td_buf logs[TD_JOB_LOGS_MAX]; /* a ring of raw objects */
    size_t n_logs, logs_at;
    struct td_buf said;
    size_t weighed; /* of `said`, in td_jobs.said */
    struct td_job_event *events;
    size_t n_events, events_cap;
    size_t end_at; /* the first of those that tell the end */
};

/* What there is of one owner or one session. */
struct td_job_count {
    uint32_t unfinished, running;
};

/* What there is of the kinds of one name, the configured one and those before it; as long as the jobs. */
struct td_jobs_row {
    char name[TD_SEGMENT_LEN_MAX + 1];
    size_t name_len;
    struct td_list queue;
    struct td_list *next; /* from where the queue is looked at on; NULL: from its beginning */
    size_t n_queued, n_running;
    bool changed;         /* somebody has ended, or gone from the queue, since it was looked at */
    bool again;           /* the same, while only part of it was looked at */
    uint64_t concurrency; /* as it is configured now, or was last */
    struct td_job_stat stat;
};

/* Kinds, as long as one of their jobs is there. */
struct td_kind_set {
    struct td_kinds_lent lent;
    size_t refs;
    struct td_jobs_row *rows[]; /* by the number of the kind */
};

struct td_jobs {
    struct td_jobs_options options;
    struct td_list all, dirty;
    struct td_map by_id;       /* hash of the id → struct td_job * */
    struct td_map owners;      /* hash of the subject → struct td_job_count */
    struct td_map sessions;    /* hash of kind, subject and session → struct td_job_count */
    struct td_map projects;    /* hash of a topic → struct td_job_latest */
    struct td_kind_set *set;   /* what new jobs are made of; a reference */
    struct td_jobs_row **rows; /* TD_JOB_ROWS_MAX of them; each that is counted stays */
    _Atomic size_t n_rows;
    struct td_jobs_row unknown; /* of jobs whose kind is not configured any more */
    size_t n, n_runs;
    size_t said, said_max; /* bytes that wait to be written, of all jobs: TD_JOBS_PENDING_MAX */
    td_ns next;            /* td_jobs_next */
    td_ns retry_at;        /* 0: the log takes what is written */
    struct td_state_cursor recovering;
    bool recovered, draining;
    bool queues_changed; /* one of the rows' */
};

/* The newest `generate` of a project. */
struct td_job_latest {
    char id[TD_JOB_ID_LEN];
    uint64_t made;
};

static inline struct td_slice td_job_id(const struct td_job *job)
{
    return td_slice(job->own + strlen("jobs/"), TD_JOB_ID_LEN);
}

static inline struct td_slice td_job_own(const struct td_job *job)
{
    return td_slice(job->own, sizeof(job->own) - 1);
}

static inline struct td_slice td_job_topic(const struct td_job *job)
{
    return td_slice(job->topic, job->topic_len);
}

static inline bool td_job_has_ended(const struct td_job *job)
{
    return job->state >= TD_JOB_STATE_DONE;
}

/* ---- jobs.c: the table ---- */
uint64_t td_jobs_hash(const struct td_jobs *jobs, const char *what, struct td_slice a,
                      struct td_slice b, struct td_slice c, uint64_t ret_hash[2]);
struct td_job *td_jobs_find(struct td_jobs *jobs, struct td_slice id);
/* A job that is in no table yet.  NULL when memory is out. */
struct td_job *td_job_new(struct td_jobs *jobs, struct td_slice id);
/* Puts it into the tables.  0 or -ENOMEM. */
TD_MUST_USE int td_job_enter(struct td_job *job);
/* Takes it out of all tables and frees it. */
void td_job_free(struct td_job *job);
/* Begins a note for the log and the audit; the caller may add to it, and ends it. */
void td_job_note(const struct td_job *job, enum td_audit_action action,
                 enum td_audit_outcome outcome, struct td_slice actor,
                 struct td_audit_note *ret_note);
void td_job_soil(struct td_job *job); /* it has something to be written or started */
void td_jobs_wake_at(struct td_jobs *jobs, td_ns when);
struct td_job_count *td_job_owner_count(struct td_job *job);
void td_job_note_project(struct td_jobs *jobs, struct td_slice kind, struct td_slice topic,
                         struct td_slice id, uint64_t made);

/* ---- catalog.c: kinds in use ---- */
TD_MUST_USE int td_catalog_init(struct td_jobs *jobs);
void td_catalog_done(struct td_jobs *jobs);
/* The kind of that name that new jobs are of; NULL: there is none. */
const struct td_kind *td_catalog_find(const struct td_jobs *jobs, struct td_slice name);
/* Makes the job one of that kind, which is of the set in use; NULL: of none. */
void td_job_be(struct td_job *job, const struct td_kind *kind);
void td_job_be_none(struct td_job *job);

/* ---- document.c ---- */
const char *td_job_state_word(enum td_job_state state);
const char *td_job_status_word(enum td_job_state state);
const char *td_agent_status_word(enum td_agent_status status);
/* TD_AGENT_WAITING for a word that is none. */
enum td_agent_status td_agent_status_of(struct td_slice word);
/* Appends a number with two decimals at most. */
void td_job_put_number(struct td_buf *out, double number);
void td_job_put_step(const struct td_job *job, struct td_buf *out);
void td_job_put_time(struct td_buf *out, td_unix_ms time);
/* The data of an event on jobs/{job_id}. */
int td_job_put_document(const struct td_job *job, bool with_logs, struct td_buf *out);
/* What is shown of such data: without what is ours, `error` as an object, with the position. */
int td_job_put_shown(const struct td_jobs *jobs, struct td_slice data, uint64_t seq,
                     struct td_buf *out);
/* What has to be known of a job that is in the log only; slices of `data`, texts raw. */
struct td_job_view {
    struct td_slice data, id, kind, state, owner, viewers, topic, created, internal;
};
TD_MUST_USE int td_job_read(struct td_slice data, struct td_job_view *ret_view);
/* Whether a raw string is that text, or an array of them holds it. */
bool td_json_is(struct td_slice raw, struct td_slice text);
bool td_json_holds(struct td_slice array, struct td_slice text);

/* ---- tell.c: events ---- */
/* Queues an event on jobs/{job_id} that carries the document as it is now. */
void td_job_tell(struct td_job *job, const char *type, enum td_class class);
/* Begins and ends one on the topic of its kind; false: that is not told there, and nothing has begun.  Members are put into job->said. */
bool td_job_begin(struct td_job *job, enum td_kind_event event, struct td_job_event *ret_event);
/* The same under any name. */
bool td_job_begin_as(struct td_job *job, struct td_slice type, struct td_job_event *ret_event);
void td_job_finish(struct td_job *job, const struct td_job_event *event);
/* What several of them have. */
/* Whether a member of that name (raw) stands in each of its events on the kind's topic already. */
bool td_job_names_itself(const struct td_job *job, struct td_slice name);
void td_job_put_member(struct td_job *job, const char *name, struct td_slice text);
void td_job_put_raw(struct td_job *job, const char *name, struct td_slice raw);
/* The status on both topics; progress, when its time has come. */
void td_job_tell_status(struct td_job *job);
void td_job_tell_start(struct td_job *job);
void td_job_tell_progress(struct td_job *job);
void td_job_tell_line(struct td_job *job, struct td_slice line, bool is_stderr);
void td_job_tell_text(struct td_job *job, struct td_slice piece);
void td_job_tell_log(struct td_job *job, struct td_slice message, struct td_slice level);
void td_job_tell_agent(struct td_job *job, size_t step);
void td_job_tell_end(struct td_job *job);
/* ---- write.c: into the log ---- */
void td_job_weigh(struct td_job *job);
/* Whether so much waits of all jobs, because the log takes nothing, that none may say more. */
bool td_jobs_say_too_much(const struct td_jobs *jobs);
/* Before it is shown to who asks: what is told of a job is in the log, as far as that takes anything, and the answer waits until that can be read. */
void td_job_write_for(struct td_job *job, struct td_job_answer *answer);
/* Nothing is written for a while: neither the log, nor memory, takes it now. */
void td_jobs_retry(struct td_jobs *jobs);
/* Writes what has gathered.  0, or an error, and then it is still there. */
int td_job_flush(struct td_job *job, uint64_t *ret_last);

/* ---- queue.c: those that wait for their turn ---- */
void td_queue_add(struct td_job *job);
/* Takes it out; nothing where it is in none. */
void td_queue_remove(struct td_job *job);
/* There may be room in a row; in all of them. */
void td_queue_changed(struct td_jobs *jobs, struct td_jobs_row *row);
void td_queues_changed(struct td_jobs *jobs);
/* Starts those for which there is room. */
void td_queues_turn(struct td_jobs *jobs);

/* ---- run.c ---- */
/* Whether there is room for it to run now. */
bool td_job_fits(struct td_job *job);
/* It runs from now on: counted, told; the run itself starts with the next turn. */
void td_job_begin_run(struct td_job *job);
void td_job_start_step(struct td_job *job);
/* Ends it: told on both topics.  Freed once that is written. */
void td_job_end(struct td_job *job, enum td_job_state state);
void td_job_fail(struct td_job *job, const char *code, const char *message);
/* Its server, or its worker, is gone. */
void td_job_orphan(struct td_job *job, const char *message);
/* Ends the run for a reason; the job's end comes with the run's. */
void td_job_stop(struct td_job *job, enum td_job_why why);
void td_job_set_progress(struct td_job *job, double progress, struct td_slice message);
/* Takes back a start that could not be written: nothing has happened. */
void td_job_undo(struct td_job *job);
int td_job_set(struct td_buf *buf, struct td_slice text); /* replaces what it holds */
/* Sets what is suggested after a failure: none when these are too long. */
void td_job_set_actions(struct td_job *job, const struct td_slice *actions, size_t n);
/* ---- query.c ---- */
bool td_job_may_see(const struct td_principal *principal, struct td_slice id, bool is_owner,
                    bool is_viewer);
/* Finds a job that is not in memory: 1 with its data and its sequence, 0, or -EAGAIN. */
TD_MUST_USE int td_job_stored(struct td_jobs *jobs, struct td_slice id,
                              struct td_record *ret_record);
/* ---- start.c ---- */
/* The id that a key, or a request within its scope, comes to; with neither a random one. */
void td_job_id_of(const struct td_jobs *jobs, const struct td_principal *principal,
                  struct td_slice key, struct td_slice scope, struct td_slice request_id,
                  char ret_id[TD_JOB_ID_LEN]);
/* ---- external.c ---- */
void td_job_renew(struct td_job *job); /* its lease begins anew */
/* Ends one whose worker has said what the log does not take: here is no run that could be ended.  False: it is no such job. */
bool td_job_end_unheard(struct td_job *job);
