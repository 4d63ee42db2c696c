/* SPDX-License-Identifier: Apache-2.0 */
/* What /metrics says of jobs. */
#include "api/metrics_text.h"
#include "jobs/jobs.h"

/* One number of each kind, under a name. */
static void put(const struct td_api *api, struct td_buf *out, const char *name, const char *type,
                const char *help, size_t offset)
{
    const struct td_jobs *jobs = api->jobs;
    size_t n = td_jobs_count_kinds(jobs);
    char label[128];

    td_metric_head(out, name, type, help);
    if (n == 0)
        td_metric_value(out, name, NULL, 0);
    for (size_t i = 0; i < n; i++) {
        const char *stat = (const char *)td_jobs_stat(jobs, i);
        const _Atomic uint64_t *value = (const _Atomic uint64_t *)(const void *)(stat + offset);
        struct td_slice kind = td_jobs_kind_name(jobs, i);
        snprintf(label, sizeof(label), "kind=\"%.*s\"", (int)kind.len, kind.ptr);
        td_metric_value(out, name, label, atomic_load_explicit(value, memory_order_relaxed));
    }
}

static void put_ended(const struct td_api *api, struct td_buf *out)
{
    static const char *const states[TD_JOB_ENDINGS] = {"done", "failed", "cancelled"};
    const struct td_jobs *jobs = api->jobs;
    size_t n = td_jobs_count_kinds(jobs);
    const char *name = "tidings_jobs_ended_total";
    char label[160];

    td_metric_head(out, name, "counter", "Jobs that have ended.");
    if (n == 0)
        td_metric_value(out, name, NULL, 0);
    for (size_t i = 0; i < n; i++) {
        struct td_slice kind = td_jobs_kind_name(jobs, i);
        for (size_t j = 0; j < TD_JOB_ENDINGS; j++) {
            snprintf(label, sizeof(label), "kind=\"%.*s\",state=\"%s\"", (int)kind.len, kind.ptr,
                     states[j]);
            td_metric_value(out, name, label, atomic_load(&td_jobs_stat(jobs, i)->ended[j]));
        }
    }
}

void td_api_put_jobs(const struct td_api *api, struct td_buf *out)
{
    const struct td_jobs *jobs = api->jobs;
    struct td_histogram_sum durations = {0};

    if (!jobs)
        return;
    put(api, out, "tidings_jobs_started_total", "counter", "Jobs that were started.",
        offsetof(struct td_job_stat, started));
    put(api, out, "tidings_jobs_refused_total", "counter", "Starts for which there was no room.",
        offsetof(struct td_job_stat, refused));
    put(api, out, "tidings_jobs_running", "gauge", "Jobs that run here.",
        offsetof(struct td_job_stat, running));
    put(api, out, "tidings_jobs_queued", "gauge", "Jobs that wait for their turn.",
        offsetof(struct td_job_stat, queued));
    put_ended(api, out);
    for (size_t i = 0; i < td_jobs_count_kinds(jobs); i++)
        td_histogram_sum(&durations, &td_jobs_stat(jobs, i)->duration);
    td_metric_histogram(out, "tidings_jobs_duration_seconds",
                        "How long jobs took, from their start to their end.", &durations);
}
