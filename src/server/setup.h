/* SPDX-License-Identifier: Apache-2.0 */
/* What can change while the server runs, as one immutable thing: the options of the edge, with what verifies tokens.
 *
 * A setup is built from a configuration, then installed: each worker takes it up at the start of its next turn (td_worker_configure).
 * Setups that no worker uses any more are freed by td_setups_collect.  All of this is the main thread's. */
#pragma once

#include "base/compiler.h"
#include "edge/worker.h"
#include "server/config.h"

#define TD_SETUP_KEPT_MAX 8

struct td_setup {
    struct td_edge_options edge; /* its `auth` is … */
    struct td_auth auth;         /* … this */
    struct td_config *config;    /* what it was made of; a reference */

    struct {
        void (*free)(void *what);
        void *what;
    } _kept[TD_SETUP_KEPT_MAX];
    size_t _n_kept;
    struct td_setup *_older;
};

/* Builds a setup for one of `n_workers` workers; its members may be changed until it is installed.  0 or -ENOMEM. */
TD_MUST_USE int td_setup_new(struct td_config *config, size_t n_workers,
                             struct td_setup **ret_setup);
/* Frees `what` with the setup: for what its options point to and the configuration does not own. */
void td_setup_keep(struct td_setup *setup, void (*free)(void *what), void *what);
/* Only for one that was never installed. */
void td_setup_free(struct td_setup *setup);

struct td_jwks;

/* The setup in use, and those before it that a worker may still use.  Zeroed at first. */
struct td_setups {
    struct td_setup *current;
    struct td_worker **workers;         /* borrowed; NULL before they are made */
    size_t n_workers;                   /* also before that */
    struct td_jwks *jwks;               /* borrowed: gives the keys that are fetched */
    struct td_desk *desk;               /* likewise: asks the authorizer; NULL: there is none */
    struct td_revocations *revocations; /* likewise: what has been taken from subjects */
    uint64_t generation;
};

/* Builds a setup from a configuration, with the keys of its issuers as far as they have been fetched, and installs it.  0; or -ENOMEM, and
 * nothing has changed. */
TD_MUST_USE int td_setups_load(struct td_setups *setups, struct td_config *config);
/* Makes a setup the current one and gives it to the workers.  Takes it over. */
void td_setups_install(struct td_setups *setups, struct td_setup *setup);
/* Frees what no worker uses any more.  False while some older setup is still in use: ask again. */
bool td_setups_collect(struct td_setups *setups);
/* Frees all; the workers have ended. */
void td_setups_done(struct td_setups *setups);
