/* SPDX-License-Identifier: Apache-2.0 */
/* Threads, mutexes, conditions.  In the simulator there is one thread: locks check that they are not taken
 * twice, td_cond_wait returns at once, and td_thread_start must not be called. */
#pragma once

#include "base/compiler.h"
#include "base/units.h"
#include <pthread.h>
#include <stdbool.h>

struct td_mutex {
    pthread_mutex_t _mutex;
};
struct td_cond {
    pthread_cond_t _cond;
};
struct td_thread {
    pthread_t _thread;
};

void td_mutex_init(struct td_mutex *mutex);
void td_mutex_done(struct td_mutex *mutex);
void td_mutex_lock(struct td_mutex *mutex);
void td_mutex_unlock(struct td_mutex *mutex);

void td_cond_init(struct td_cond *cond);
void td_cond_done(struct td_cond *cond);
void td_cond_signal(struct td_cond *cond);
/* Waits at most `timeout_ns` (UINT64_MAX: without end); false when the time ran out. */
bool td_cond_wait(struct td_cond *cond, struct td_mutex *mutex, td_ns timeout_ns);

/* Starts `run(arg)` on a thread named `name` (15 characters at most), with all signals blocked. */
TD_MUST_USE int td_thread_start(struct td_thread *thread, const char *name, void (*run)(void *arg),
                                void *arg);
void td_thread_join(struct td_thread *thread);
