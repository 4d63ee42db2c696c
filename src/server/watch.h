/* SPDX-License-Identifier: Apache-2.0 */
/* What the service manager is told (sd_notify): that the server is ready, reloads and stops, and, where it wants to know (WatchdogSec),
 * that every worker still turns.  Main thread. */
#pragma once

#include "base/compiler.h"
#include "base/units.h"
#include "edge/worker.h"

struct td_watch {
    struct td_worker **workers; /* borrowed */
    size_t n_workers;
    uint64_t *_turns; /* of each worker, when it was asked */
    td_ns _interval, _next;
};

/* Reads WATCHDOG_USEC; without it td_watch_beat does nothing.  0 or -ENOMEM. */
TD_MUST_USE int td_watch_begin(struct td_watch *watch, struct td_worker **workers, size_t n);
void td_watch_done(struct td_watch *watch);

/* Tells WATCHDOG=1 when its time has come and every worker has turned since it was last told, and wakes the workers, so that an idle one
 * turns too.  A worker that hangs makes the manager end the server. */
void td_watch_beat(struct td_watch *watch);
/* Milliseconds until td_watch_beat has something to do; -1: never. */
int td_watch_timeout_ms(const struct td_watch *watch);

void td_watch_tell_ready(const char *status);
void td_watch_tell_reloading(void);
/* `at_most_s`: how long it may take, which the manager's own patience is stretched to. */
void td_watch_tell_stopping(unsigned at_most_s);
