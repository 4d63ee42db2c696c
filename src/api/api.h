/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP resources: a table of paths, a file for each resource. */
#pragma once

#include "edge/http.h"
#include "edge/worker.h"

/* How the configuration came to be as it is. */
struct td_api_reload {
    _Atomic bool failed;        /* the last reload was refused; the configuration is an older one */
    _Atomic td_unix_ms success; /* when one was last loaded and taken */
};

struct td_jobs;
struct td_api_dev;

/* What the resources need to know of the whole server; immutable while workers run. */
struct td_api {
    struct td_worker *const *workers; /* all of them, for metrics */
    size_t n_workers;
    struct td_journal *journal;
    struct td_audit *audit;       /* NULL: nothing of it is counted */
    const struct td_jobs *jobs;   /* for their figures; NULL: there are none */
    const char *version;          /* of the program */
    td_unix_ms started;           /* 0: unknown */
    struct td_api_reload *reload; /* written by the main thread; NULL: there are no reloads */
    const struct td_api_dev *dev; /* `tidings dev`: its workbench is at /; NULL otherwise */
};

/* The edge's handler; `arg` is a struct td_api.  A body is let in only where one is taken, from who has a valid token. */
bool td_api_admit(struct td_request *request, void *arg);
void td_api_handle(struct td_request *request, void *arg);

/* The resources. */
void td_api_events(struct td_request *request, const struct td_api *api);
void td_api_connections(struct td_request *request, const struct td_api *api);
void td_api_connection(struct td_request *request, const struct td_api *api);
void td_api_topics(struct td_request *request, const struct td_api *api);
void td_api_journal(struct td_request *request, const struct td_api *api);
void td_api_why(struct td_request *request, const struct td_api *api);
void td_api_revoke(struct td_request *request, const struct td_api *api);
void td_api_entities(struct td_request *request, const struct td_api *api);
void td_api_entity(struct td_request *request, const struct td_api *api);
void td_api_endpoint(struct td_request *request, const struct td_api *api);
void td_api_jobs(struct td_request *request, const struct td_api *api);
void td_api_job(struct td_request *request, const struct td_api *api);
void td_api_job_cancel(struct td_request *request, const struct td_api *api);
void td_api_job_events(struct td_request *request, const struct td_api *api);
void td_api_project(struct td_request *request, const struct td_api *api);
void td_api_generate(struct td_request *request, const struct td_api *api);
void td_api_lock(struct td_request *request, const struct td_api *api);
void td_api_presence(struct td_request *request, const struct td_api *api);
void td_api_healthz(struct td_request *request, const struct td_api *api);
void td_api_readyz(struct td_request *request, const struct td_api *api);
void td_api_metrics(struct td_request *request, const struct td_api *api);
void td_api_page(struct td_request *request, const struct td_api *api);
void td_api_dev_people(struct td_request *request, const struct td_api *api);
bool td_api_dev_admit(struct td_request *request, const struct td_api *api);
void td_api_dev_token(struct td_request *request, const struct td_api *api);

/* The same for the role admin, or answers 403. */
bool td_api_admin(struct td_request *request);
/* Appends what stands in the path behind `prefix`, percent-decoded, which is to be a topic.  0, or TD_ETOPIC when it is none. */
TD_MUST_USE int td_api_topic(const struct td_request *request, const char *prefix,
                             struct td_buf *topic);
/* A number that the query of a request names: its value, `absent` when it is not there, 0 for what is no number from 1 to `max`. */
uint64_t td_api_number(const struct td_request *request, const char *name, uint64_t absent,
                       uint64_t max);
/* Authenticates, or answers 401 itself; whether it passed. */
bool td_api_authenticate(struct td_request *request);
/* Whether a reader asks for a stream (SSE) rather than a page. */
bool td_api_wants_stream(const struct td_http_request *head);
/* Reads the query of a request, or answers what is wrong with it; whether it was good.  End with td_query_done in any case. */
struct td_query;
bool td_api_read_query(struct td_request *request, struct td_query *query);
/* Whether a path is that of a resource, which no endpoint can have. */
bool td_api_has_path(struct td_slice path);
