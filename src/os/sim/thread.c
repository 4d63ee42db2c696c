/* SPDX-License-Identifier: Apache-2.0 */
/* One thread: a lock that is taken twice, or given back by who does not hold it, is a bug that stops the run. */
#include "os/thread.h"
#include "base/assert.h"
#include <errno.h>

void td_mutex_init(struct td_mutex *mutex)
{
    pthread_mutexattr_t attr;

    TD_ASSERT(pthread_mutexattr_init(&attr) == 0);
    TD_ASSERT(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK) == 0);
    TD_ASSERT(pthread_mutex_init(&mutex->_mutex, &attr) == 0);
    TD_ASSERT(pthread_mutexattr_destroy(&attr) == 0);
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

void td_cond_init(struct td_cond *cond)
{
    TD_ASSERT(pthread_cond_init(&cond->_cond, NULL) == 0);
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
    /* Nobody else could signal it, so the wait is over at once; but it must have been a legal one. */
    TD_ASSERT(pthread_mutex_trylock(&mutex->_mutex) == EBUSY);
    return false;
}

int td_thread_start(struct td_thread *thread, const char *name, void (*run)(void *arg), void *arg)
{
    td_assert_failed("no threads in the simulator", __FILE__, __LINE__);
}

void td_thread_join(struct td_thread *thread)
{
    td_assert_failed("no threads in the simulator", __FILE__, __LINE__);
}
