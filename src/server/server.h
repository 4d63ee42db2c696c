/* SPDX-License-Identifier: Apache-2.0 */
/* The server: journal, workers and resources put together, from start to drained end. */
#pragma once

#include "base/compiler.h"
#include "os/net.h"
#include "server/config.h"

struct td_server_options {
    struct td_config *config;              /* borrowed */
    const struct td_config_inputs *inputs; /* what it was loaded from, and is again on SIGHUP */
    const char *version;                   /* of the program */
    const struct td_api_dev *dev;          /* NULL but in `tidings dev` */
    /* Called once all addresses are listened on, with the URL of the first of them. */
    void (*ready)(const char *url, void *arg);
    void *arg;
};

/* Serves until SIGTERM or SIGINT, then drains; SIGHUP loads the configuration again.  0, or an error after a line in the log.  Blocks signals and raises the limit of
 * descriptors for the whole process, and forks the launcher (os/launcher.h); call it once, on the main thread, before there are others. */
TD_MUST_USE int td_server_run(const struct td_server_options *options);
