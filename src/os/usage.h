/* SPDX-License-Identifier: Apache-2.0 */
/* What this process uses of the machine. */
#pragma once

#include "base/units.h"

struct td_usage {
    td_ns cpu;               /* user and system, all threads */
    uint64_t resident_bytes; /* physical memory */
    uint64_t virtual_bytes;
    uint64_t descriptors, descriptors_max; /* open, and how many may be */
};

/* What can't be learned is 0.  Reading the descriptors takes longer the more are open. */
void td_usage_read(struct td_usage *ret_usage);
