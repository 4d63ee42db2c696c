/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop of one thread: raw epoll, edge-triggered, each socket registered once at accept for both
 * directions and never again.  An edge is told once: read and write until -EAGAIN, or come back by yourself. */
#pragma once

#include "base/compiler.h"
#include "base/units.h"
#include <stdbool.h>
#include <stdint.h>

enum td_io {
    TD_IO_READ = 1,
    TD_IO_WRITE = 2,
    TD_IO_HANGUP = 4, /* the peer has ended or reset; a read will say which */
};

struct td_io_event {
    uint64_t tag;
    unsigned what; /* of enum td_io */
};

struct td_loop;

TD_MUST_USE int td_loop_new(struct td_loop **ret_loop);
void td_loop_free(struct td_loop *loop);
/* Registers a socket or pipe; events carry `tag`.  Closing the socket removes it. */
TD_MUST_USE int td_loop_add(struct td_loop *loop, int socket, uint64_t tag);
/* Registers a listening socket, level-triggered, read only; td_loop_pause takes it out (out of descriptors) and back. */
TD_MUST_USE int td_loop_add_listener(struct td_loop *loop, int socket, uint64_t tag);
TD_MUST_USE int td_loop_pause(struct td_loop *loop, int socket, uint64_t tag, bool paused);

/* Sleeping without missing a wake-up:
 *
 *     td_loop_doze(loop);                       says: from here on a wake must be sent
 *     if (there is work) td_loop_undoze(loop);  looked again after saying so
 *     n = td_loop_wait(loop, …, there is work ? 0 : timeout);
 *
 * td_loop_wake (any thread, after it has published the work) then costs a system call only when the loop dozes. */
void td_loop_doze(struct td_loop *loop);
void td_loop_undoze(struct td_loop *loop);
/* Waits for events, at most `timeout_ms` (-1: without end, 0: not at all).  Returns how many; 0 also after a
 * wake or a signal.  Ends the doze.  `max` is at most TD_LOOP_EVENTS_MAX. */
#define TD_LOOP_EVENTS_MAX 256
int td_loop_wait(struct td_loop *loop, struct td_io_event *ret_events, int max, int timeout_ms);
void td_loop_wake(struct td_loop *loop);
/* A descriptor for td_poll, readable while td_loop_wait would tell something at once: for a loop within another wait.  In the simulator there is none: -1. */
int td_loop_fd(const struct td_loop *loop);
