/* SPDX-License-Identifier: Apache-2.0 */
/* The queues: what does not fit waits, one queue for the kinds of a name, the oldest first.  Who is kept back by his own limits is passed over. */
#include "jobs/internal.h"
#include "os/clock.h"

/* When one goes, so many of those behind it are told their new place; who stands farther back is told when he has come nearer. */
#define PLACES_TOLD 64
/* So many of one queue are looked at in a turn. */
#define EXAMINED_MAX 256

static void show(struct td_jobs_row *row)
{
    atomic_store(&row->stat.queued, row->n_queued);
}

void td_queue_changed(struct td_jobs *jobs, struct td_jobs_row *row)
{
    row->changed = jobs->queues_changed = true;
    row->again = row->again || row->next; /* it may be one of those that were passed over */
}

void td_queues_changed(struct td_jobs *jobs)
{
    for (size_t i = 0; i < td_jobs_count_kinds(jobs); i++)
        td_queue_changed(jobs, jobs->rows[i]);
}

void td_queue_add(struct td_job *job)
{
    struct td_jobs_row *row = job->row;

    td_list_append(&row->queue, &job->queue);
    job->place = ++row->n_queued;
    show(row);
}

void td_queue_remove(struct td_job *job)
{
    struct td_jobs_row *row = job->row;

    if (td_list_empty(&job->queue))
        return;
    if (row->next == &job->queue)
        row->next = job->queue.next;
    td_list_remove(&job->queue);
    row->n_queued--;
    show(row);
    td_queue_changed(job->jobs, row);
}

/* False: there are more to be looked at, in the next turn, or all of them again. */
static bool start_some(struct td_jobs_row *row)
{
    struct td_list *node = row->next ? row->next : row->queue.next, *next;
    size_t n = 0;

    row->next = NULL;
    for (; node != &row->queue && row->n_running < row->concurrency; node = next) {
        struct td_job *job = TD_CONTAINER_OF(node, struct td_job, queue);
        if (n++ == EXAMINED_MAX) {
            row->next = node;
            return false;
        }
        next = node->next;
        if (td_job_fits(job))
            td_job_begin_run(job);
    }
    bool all = !row->again;
    row->again = false;
    return all;
}

static void tell_places(struct td_jobs *jobs, struct td_jobs_row *row)
{
    struct td_list *node = row->queue.next;

    for (size_t place = 1; node != &row->queue && place <= PLACES_TOLD; place++) {
        struct td_job *job = TD_CONTAINER_OF(node, struct td_job, queue);
        node = node->next;
        if (job->place == place)
            continue;
        job->place = place;
        job->progress_pending =
            true; /* told with the next look at the clock, all at most so often */
        td_jobs_wake_at(jobs, job->progress_at);
    }
}

void td_queues_turn(struct td_jobs *jobs)
{
    bool more = false;

    if (!jobs->queues_changed)
        return;
    for (size_t i = 0; i < td_jobs_count_kinds(jobs); i++) {
        struct td_jobs_row *row = jobs->rows[i];
        if (!row->changed)
            continue;
        row->changed = !start_some(row);
        more |= row->changed;
        tell_places(jobs, row);
    }
    jobs->queues_changed = more;
    if (more)
        td_jobs_wake_at(jobs, 0);
}
