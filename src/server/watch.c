/* SPDX-License-Identifier: Apache-2.0 */
#include "server/watch.h"
#include "base/log.h"
#include "os/clock.h"
#include "os/process.h"
#include <errno.h>

/* Asked so many times in the manager's interval that a late answer is still in time. */
#define ASKED_EACH_INTERVAL 4
/* What closing the log and threads takes behind a drain, at most. */
#define CLOSING_S 30

static void ask(struct td_watch *watch)
{
    watch->_next = td_clock_ns() + watch->_interval;
    for (size_t i = 0; i < watch->n_workers; i++) {
        watch->_turns[i] = td_worker_turns(watch->workers[i]);
        td_worker_wake(watch->workers[i]);
    }
}

int td_watch_begin(struct td_watch *watch, struct td_worker **workers, size_t n)
{
    *watch = (struct td_watch){.workers = workers, .n_workers = n};
    watch->_interval = td_watchdog_ns() / ASKED_EACH_INTERVAL;
    if (watch->_interval == 0)
        return 0;
    watch->_turns = calloc(n, sizeof(*watch->_turns));
    if (!watch->_turns)
        return -ENOMEM;
    ask(watch);
    return 0;
}

void td_watch_done(struct td_watch *watch)
{
    free(watch->_turns);
    watch->_turns = NULL;
    watch->_interval = 0;
}

static bool all_turned(const struct td_watch *watch)
{
    for (size_t i = 0; i < watch->n_workers; i++)
        if (!td_worker_has_ended(watch->workers[i]) &&
            td_worker_turns(watch->workers[i]) == watch->_turns[i])
            return false;
    return true;
}

void td_watch_beat(struct td_watch *watch)
{
    td_ns now = td_clock_ns();

    if (watch->_interval == 0 || now < watch->_next)
        return;
    if (!all_turned(watch)) { /* they have been asked; asking again would hide it */
        watch->_next = now + watch->_interval;
        td_log(TD_LOG_WARN, "watchdog", "a worker has not turned for %llu ms",
               (unsigned long long)(watch->_interval / TD_NS_PER_MS));
        return;
    }
    (void)td_notify("WATCHDOG=1");
    ask(watch);
}

int td_watch_timeout_ms(const struct td_watch *watch)
{
    td_ns now = td_clock_ns();

    if (watch->_interval == 0)
        return -1;
    return now >= watch->_next ? 0 : (int)((watch->_next - now) / TD_NS_PER_MS) + 1;
}

void td_watch_tell_ready(const char *status)
{
    char state[256];

    snprintf(state, sizeof(state), "READY=1\nSTATUS=%s", status);
    (void)td_notify(state);
}

void td_watch_tell_reloading(void)
{
    char state[96];

    /* By this time the manager tells our READY=1 apart from one before the signal. */
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reloading",
             (unsigned long long)(td_clock_ns() / 1000));
    (void)td_notify(state);
}

void td_watch_tell_stopping(unsigned at_most_s)
{
    char state[128];

    snprintf(state, sizeof(state), "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=%llu",
             ((unsigned long long)at_most_s + CLOSING_S) * 1000000);
    (void)td_notify(state);
}
