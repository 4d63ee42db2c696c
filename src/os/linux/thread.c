/* SPDX-License-Identifier: Apache-2.0 */
/* pthreads.  A failing lock is a bug of ours (mutexes check their owner in debug builds), so it aborts. */
#include "os/thread.h"

#include "base/assert.h"
#include <errno.h>
#include <signal.h>

/* Handed to the new thread, which frees it. */
struct start {
    void (*run)(void *arg);
    void *arg;
    char name[16];
};

void td_mutex_init(struct td_mutex *mutex)
{
    pthread_mutexattr_t attr;

    TD_ASSERT(pthread_mutexattr_init(&attr) == 0);
#ifdef TD_DEBUG
    TD_ASSERT(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK) == 0);
#endif
    TD_ASSERT(pthread_mutex_init(&mutex->_mutex, &attr) == 0);
    pthread_mutexattr_destroy(&attr);
}

void td_mutex_done(struct td_mutex *mutex)
{
    TD_ASSERT(pthread_mutex_destroy(&mutex->_mutex) == 0);
}

void td_mutex_lock(struct td_mutex *mutex)
{
    TD_ASSERT(pthread_mutex_lock(&mutex->_mutex) == 0);
}

void td_mutex_unlock(struct td_mutex *mutex)
{
    TD_ASSERT(pthread_mutex_unlock(&mutex->_mutex) == 0);
}

/* Waits count on the monotonic clock: a jump of the wall clock must not end or stretch them. */
void td_cond_init(struct td_cond *cond)
{
    pthread_condattr_t attr;

    TD_ASSERT(pthread_condattr_init(&attr) == 0);
    TD_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    TD_ASSERT(pthread_cond_init(&cond->_cond, &attr) == 0);
    pthread_condattr_destroy(&attr);
}

void td_cond_done(struct td_cond *cond)
{
    TD_ASSERT(pthread_cond_destroy(&cond->_cond) == 0);
}

void td_cond_signal(struct td_cond *cond)
{
    TD_ASSERT(pthread_cond_signal(&cond->_cond) == 0);
}

bool td_cond_wait(struct td_cond *cond, struct td_mutex *mutex, td_ns timeout_ns)
{
    struct timespec until;
    int err;

    if (timeout_ns == UINT64_MAX) {
        TD_ASSERT(pthread_cond_wait(&cond->_cond, &mutex->_mutex) == 0);
        return true;
    }
    TD_ASSERT(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec += (time_t)(timeout_ns / TD_NS_PER_S);
    until.tv_nsec += (long)(timeout_ns % TD_NS_PER_S);
    if (until.tv_nsec >= (long)TD_NS_PER_S) {
        until.tv_nsec -= (long)TD_NS_PER_S;
        until.tv_sec++;
    }
    err = pthread_cond_timedwait(&cond->_cond, &mutex->_mutex, &until);
    TD_ASSERT(err == 0 || err == ETIMEDOUT);
    return err == 0;
}

static void *run_thread(void *arg)
{
    struct start *start = arg;
    struct start mine = *start;

    free(start);
    pthread_setname_np(pthread_self(), mine.name);
    mine.run(mine.arg);
    return NULL;
}

int td_thread_start(struct td_thread *thread, const char *name, void (*run)(void *arg), void *arg)
{
    struct start *start = malloc(sizeof *start);
    sigset_t all, before;
    int err;

    if (!start)
        return -ENOMEM;
    *start = (struct start){.run = run, .arg = arg};
    snprintf(start->name, sizeof start->name, "%s", name);

    /* The new thread inherits the mask; there is no moment in which a signal could reach it. */
    sigfillset(&all);
    TD_ASSERT(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    err = pthread_create(&thread->_thread, NULL, run_thread, start);
    TD_ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (err)
        free(start);
    return -err;
}

void td_thread_join(struct td_thread *thread)
{
    TD_ASSERT(pthread_join(thread->_thread, NULL) == 0);
}
