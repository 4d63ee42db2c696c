/* SPDX-License-Identifier: Apache-2.0 */
#include "histogram.h"
#include "base/compiler.h"

/* Slots 0 to 63 are exact; after them slot 64k + i stands for values of the form (64 + i) << (k - 1)
 * and what follows up to the next slot. */
enum { STEP_BITS = 6, STEPS = 1 << STEP_BITS };

static unsigned slot_of(uint64_t value)
{
    if (value < STEPS)
        return (unsigned)value;
    unsigned magnitude = 63u - STEP_BITS - (unsigned)__builtin_clzll(value);
    unsigned slot = (magnitude + 1) * STEPS + (unsigned)((value >> magnitude) - STEPS);
    return TD_MIN(slot, HISTOGRAM_SLOTS - 1u);
}

static uint64_t middle_of(unsigned slot)
{
    if (slot < STEPS)
        return slot;
    unsigned magnitude = slot / STEPS - 1;
    return ((uint64_t)(STEPS + slot % STEPS) << magnitude) + ((UINT64_C(1) << magnitude) >> 1);
}

void histogram_add(struct histogram *histogram, uint64_t duration_ns)
{
    histogram->count++;
    histogram->max_ns = TD_MAX(histogram->max_ns, duration_ns);
    histogram->slots[slot_of(duration_ns)]++;
}

uint64_t histogram_quantile_ns(const struct histogram *histogram, double quantile)
{
    uint64_t rank = (uint64_t)(quantile * (double)histogram->count);
    uint64_t passed = 0;

    if (histogram->count == 0)
        return 0;
    for (unsigned slot = 0; slot < HISTOGRAM_SLOTS; slot++) {
        passed += histogram->slots[slot];
        if (passed > rank)
            return TD_MIN(middle_of(slot), histogram->max_ns);
    }
    return histogram->max_ns;
}
