/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of durations in steps of 1.6 % (64 for each doubling), so that a quantile is that exact at
 * any magnitude and adding costs no more than a shift. */
#pragma once

#include <stdint.h>

enum { HISTOGRAM_SLOTS = 60 * 64 };

struct histogram {
    uint64_t count;
    uint64_t max_ns;
    uint64_t slots[HISTOGRAM_SLOTS];
};

void histogram_add(struct histogram *histogram, uint64_t duration_ns);

/* The duration that the share `quantile` (0 to 1) of all does not exceed; 0 of an empty histogram. */
uint64_t histogram_quantile_ns(const struct histogram *histogram, double quantile);
