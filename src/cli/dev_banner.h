/* SPDX-License-Identifier: Apache-2.0 */
/* What `tidings dev` says once it listens. */
#pragma once

#include "base/slice.h"
#include <stdbool.h>

#define TD_DEV_PEOPLE 4 /* dev, ann, bob, root */

struct td_dev_banner {
    struct td_slice tokens[TD_DEV_PEOPLE];
    struct td_slice data;
    const char *examples; /* NULL: there are none */
    bool imitates;        /* the model is none */
};

/* A `ready` of struct td_server_options; `arg` is a struct td_dev_banner. */
void td_dev_banner_print(const char *url, void *arg);
