/* SPDX-License-Identifier: Apache-2.0 */
/* What a process has used, from /proc. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct process_usage {
    uint64_t cpu_ns; /* all threads, user and system */
    uint64_t rss_bytes;
};

/* All zero when there is no such process. */
struct process_usage process_usage(pid_t pid);
