/* SPDX-License-Identifier: Apache-2.0 */
#include "base/histogram.h"

#define US (TD_NS_PER_MS / 1000)
#define MS TD_NS_PER_MS
#define S  TD_NS_PER_S

const td_ns td_histogram_bounds[TD_HISTOGRAM_BOUNDS] = {
    100 * US, 250 * US, 500 * US, 1 * MS,   2500 * US, 5 * MS,    10 * MS, 25 * MS,
    50 * MS,  100 * MS, 250 * MS, 500 * MS, 1 * S,     5 * S / 2, 5 * S,   10 * S,
};

void td_histogram_add(struct td_histogram *histogram, td_ns duration)
{
    size_t i = 0;

    while (i < TD_HISTOGRAM_BOUNDS && duration > td_histogram_bounds[i])
        i++;
    atomic_fetch_add_explicit(&histogram->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_ns, duration, memory_order_relaxed);
}

void td_histogram_sum(struct td_histogram_sum *sum, const struct td_histogram *histogram)
{
    for (size_t i = 0; i <= TD_HISTOGRAM_BOUNDS; i++) {
        uint64_t n = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        sum->buckets[i] += n;
        sum->count += n;
    }
    sum->sum_ns += atomic_load_explicit(&histogram->sum_ns, memory_order_relaxed);
}
