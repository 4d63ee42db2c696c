/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds in use: those of the configuration, and earlier ones of which jobs are left. */
#include "base/assert.h"
#include "base/err.h"
#include "jobs/internal.h"
#include <errno.h>
#include <stdlib.h>

static size_t count(const struct td_kinds *kinds)
{
    return kinds ? kinds->n : 0;
}

static void give_back(const struct td_kinds_lent *lent)
{
    if (lent->done)
        lent->done(lent->arg);
}

static void unref(struct td_kind_set *set)
{
    if (!set || --set->refs > 0)
        return;
    give_back(&set->lent);
    free(set);
}

/* ---- rows ---- */

static struct td_jobs_row *find_row(const struct td_jobs *jobs, struct td_slice name)
{
    for (size_t i = 0; i < atomic_load(&jobs->n_rows); i++)
        if (td_slice_eq(td_jobs_kind_name(jobs, i), name))
            return jobs->rows[i];
    return NULL;
}

/* One more, which other threads see when it is whole. */
static int add_row(struct td_jobs *jobs, struct td_slice name)
{
    size_t n = atomic_load(&jobs->n_rows);
    struct td_jobs_row *row;

    if (n == TD_JOB_ROWS_MAX)
        return TD_EMANY;
    TD_ASSERT(name.len <= TD_SEGMENT_LEN_MAX);
    row = calloc(1, sizeof(*row));
    if (!row)
        return -ENOMEM;
    memcpy(row->name, name.ptr, name.len);
    row->name_len = name.len;
    td_list_init(&row->queue);
    jobs->rows[n] = row;
    atomic_store(&jobs->n_rows, n + 1);
    return 0;
}

/* ---- the set ---- */

static int find_rows(struct td_jobs *jobs, struct td_kind_set *set)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count(set->lent.kinds); i++) {
        struct td_slice name = set->lent.kinds->items[i].spec->name;
        if (!find_row(jobs, name))
            r = add_row(jobs, name);
        set->rows[i] = find_row(jobs, name);
    }
    return r;
}

int td_jobs_use_kinds(struct td_jobs *jobs, const struct td_kinds_lent *kinds)
{
    size_t n = count(kinds->kinds);
    struct td_kind_set *set = calloc(1, sizeof(*set) + n * sizeof(struct td_jobs_row *));

    if (!set) {
        give_back(kinds);
        return -ENOMEM;
    }
    set->lent = *kinds;
    set->refs = 1;
    int r = find_rows(jobs, set);
    if (r < 0) {
        unref(set);
        return r;
    }
    for (size_t i = 0; i < n; i++)
        set->rows[i]->concurrency = kinds->kinds->items[i].spec->concurrency;
    unref(jobs->set);
    jobs->set = set;
    td_queues_changed(jobs);
    td_jobs_wake_at(jobs, 0);
    return 0;
}

int td_catalog_init(struct td_jobs *jobs)
{
    td_list_init(&jobs->unknown.queue);
    jobs->rows = calloc(TD_JOB_ROWS_MAX, sizeof(struct td_jobs_row *));
    if (!jobs->rows) {
        give_back(&jobs->options.kinds);
        return -ENOMEM;
    }
    return td_jobs_use_kinds(jobs, &jobs->options.kinds);
}

void td_catalog_done(struct td_jobs *jobs)
{
    for (size_t i = 0; i < atomic_load(&jobs->n_rows); i++)
        free(jobs->rows[i]);
    free(jobs->rows);
    unref(jobs->set);
}

const struct td_kind *td_catalog_find(const struct td_jobs *jobs, struct td_slice name)
{
    return jobs->set ? td_kinds_find(jobs->set->lent.kinds, name) : NULL;
}

/* ---- a job's ---- */

void td_job_be(struct td_job *job, const struct td_kind *kind)
{
    TD_ASSERT(!job->set);
    job->kind = kind;
    job->row = kind ? job->jobs->set->rows[kind->index] : &job->jobs->unknown;
    if (!kind)
        return;
    job->set = job->jobs->set;
    job->set->refs++;
}

void td_job_be_none(struct td_job *job)
{
    unref(job->set);
    job->set = NULL;
    job->kind = NULL;
}

/* ---- figures ---- */

size_t td_jobs_count_kinds(const struct td_jobs *jobs)
{
    return atomic_load(&jobs->n_rows);
}

struct td_slice td_jobs_kind_name(const struct td_jobs *jobs, size_t kind)
{
    return td_slice(jobs->rows[kind]->name, jobs->rows[kind]->name_len);
}

const struct td_job_stat *td_jobs_stat(const struct td_jobs *jobs, size_t kind)
{
    return &jobs->rows[kind]->stat;
}
