/* SPDX-License-Identifier: Apache-2.0 */
/* Delivers the events of a run in order, each once: gathers what waits into one request at a time and repeats
 * it, the same bytes, until the server has answered; meanwhile what is put waits in the spool. */
#pragma once

#include "base/buf.h"
#include "base/compiler.h"
#include "cli/run_spool.h"
#include <stdbool.h>

struct td_run_sender;

struct td_run_sender_config {
    const char *server_url, *token, *ca; /* token and ca may be NULL */
    struct td_run_spool_config spool;
    size_t event_bytes_max;
    bool quiet; /* says only what is lost */
};

/* Returns 0, or what td_client_new and td_run_spool_new return. */
TD_MUST_USE int td_run_sender_new(const struct td_run_sender_config *config,
                                  struct td_run_sender **ret_sender);
void td_run_sender_free(struct td_run_sender *sender);

/* Whether another event will be taken: false while the last one has no room in the spool. */
bool td_run_sender_ready(const struct td_run_sender *sender);
/* The buffer to write the next event into, a line of NDJSON without its LF; only while ready. */
struct td_buf *td_run_sender_event(struct td_run_sender *sender);
/* Takes the event that was written there. */
void td_run_sender_put(struct td_run_sender *sender);

/* Whether everything that was put is on the server. */
bool td_run_sender_idle(const struct td_run_sender *sender);
/* Whether events were given up: the server refused them for good, the spool's disk failed, or td_run_sender_give_up.
 * From then on what is put goes nowhere. */
bool td_run_sender_lost(const struct td_run_sender *sender);
/* Says `why` and gives up what is not delivered.  Harmless when nothing is owed or all is lost already. */
void td_run_sender_give_up(struct td_run_sender *sender, const char *why);

/* Goes on sending and waits for the network, for one of `fds` (td_client_wait), or `timeout_ms`. */
void td_run_sender_wait(struct td_run_sender *sender, const int *fds, size_t n,
                        uint64_t timeout_ms);
