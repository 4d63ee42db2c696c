/* SPDX-License-Identifier: Apache-2.0 */
/* Durations, counted by size: one thread adds, any thread reads.  What is read while something is added may lack it in part. */
#pragma once

#include "base/units.h"
#include <stdatomic.h>
#include <stddef.h>

/* The upper bounds of the buckets, from 100 µs to 10 s; behind them is one without a bound. */
#define TD_HISTOGRAM_BOUNDS 16
extern const td_ns td_histogram_bounds[TD_HISTOGRAM_BOUNDS];

struct td_histogram {
    _Atomic uint64_t buckets[TD_HISTOGRAM_BOUNDS + 1]; /* not cumulative */
    _Atomic uint64_t sum_ns;
};

void td_histogram_add(struct td_histogram *histogram, td_ns duration);

/* Several histograms as one. */
struct td_histogram_sum {
    uint64_t buckets[TD_HISTOGRAM_BOUNDS + 1];
    uint64_t sum_ns, count;
};
void td_histogram_sum(struct td_histogram_sum *sum, const struct td_histogram *histogram);
