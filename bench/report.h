/* SPDX-License-Identifier: Apache-2.0 */
/* The result of one run of the load generator, as one line of JSON. */
#pragma once

#include "process.h"
#include "publishers.h"
#include "subscribers.h"
#include <stdint.h>

/* What had been done and used at one moment. */
struct sample {
    uint64_t at_ns;
    uint64_t own_cpu_ns;
    uint64_t delivered, bytes;
    uint64_t acked;
    struct process_usage server;
};

struct report {
    struct sample start; /* before the first connection */
    struct sample idle;  /* all connected, nothing published */
    struct sample from;  /* the measured span */
    struct sample to;
    uint64_t connected_ns; /* what connecting took */
    uint64_t expected;     /* deliveries, over the whole run */
    const struct subscribers_tally *subscribers;
    const struct publishers_tally *publishers; /* NULL: nothing was published */
};

void report_print(const struct report *report);
